/* Records of uploads by tus, see tus_record.h: "SIZE MTIME URL\n". One that a crash cut short has no end and counts for
 * nothing. */
#include "tus_record.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	RECORD_BYTES = 4096,
	NAME = 37,
	SYNCED_BYTES =
		4 * 1024 * 1024, /* of smaller files a record need not outlive a power cut: they are sent again */
};

static void name_of(const char *server, const struct file *file, char out[NAME])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char *text = NULL;
	int len = asprintf(&text, "%s%c%s", server, 0, file->path);
	SHA256((const unsigned char *)(len < 0 ? "" : text), len < 0 ? 0 : (size_t)len, digest);
	if (len >= 0)
		free(text);
	snprintf(out, NAME, "tus-");
	for (unsigned i = 0; i < 16; i++)
		snprintf(out + 4 + 2 * i, 3, "%02x", digest[i]);
}

static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 || fsync(fd) != 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return result;
}

static int read_url(struct tus_record *r, const struct file *file)
{
	char text[RECORD_BYTES + 1];
	unsigned long long size;
	long long mtime_ns;
	int at = 0;
	ssize_t len = pread(r->fd, text, RECORD_BYTES, 0);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	if (len == 0 || text[len - 1] != '\n' || sscanf(text, "%llu %lld %n", &size, &mtime_ns, &at) != 2 || at == 0 ||
	    size != file->size || mtime_ns != file->mtime_ns)
		return 0;
	text[len - 1] = '\0';
	r->url = strdup(text + at);
	return r->url ? 0 : -ENOMEM;
}

int tus_record_open(struct tus_record *out, const char *spool_dir, const char *server, const struct file *file)
{
	char name[NAME];
	struct stat st;
	*out = (struct tus_record){ .fd = -1 };
	name_of(server, file, name);
	if (asprintf(&out->path, "%s/%s", spool_dir, name) < 0) {
		out->path = NULL;
		return -ENOMEM;
	}
	out->fd = open(out->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out->fd < 0)
		return -errno;
	/* another process may also have finished and removed it between */
	if (flock(out->fd, LOCK_EX | LOCK_NB) != 0 || fstat(out->fd, &st) != 0 || st.st_nlink == 0) {
		close(out->fd);
		out->fd = -1;
		return -EBUSY;
	}
	out->synced = file->size >= SYNCED_BYTES;
	int result = out->synced ? sync_folder(spool_dir) : 0;
	return result == 0 ? read_url(out, file) : result;
}

static int write_text(struct tus_record *r, const char *text)
{
	size_t len = strlen(text);
	if (ftruncate(r->fd, 0) != 0)
		return -errno;
	ssize_t written = pwrite(r->fd, text, len, 0);
	if (written != (ssize_t)len)
		return written < 0 ? -errno : -ENOSPC;
	return !r->synced || fdatasync(r->fd) == 0 ? 0 : -errno;
}

int tus_record_set(struct tus_record *r, const char *url, const struct file *file)
{
	char text[RECORD_BYTES];
	int len = snprintf(text, sizeof text, "%llu %lld %s\n", (unsigned long long)file->size,
			   (long long)file->mtime_ns, url);
	if (len >= (int)sizeof text)
		return -EBADMSG;
	free(r->url);
	r->url = strdup(url);
	return r->url ? write_text(r, text) : -ENOMEM;
}

int tus_record_forget(struct tus_record *r)
{
	free(r->url);
	r->url = NULL;
	return write_text(r, "");
}

int tus_record_remove(struct tus_record *r)
{
	return unlink(r->path) == 0 ? 0 : -errno;
}

void tus_record_close(struct tus_record *r)
{
	if (r->fd >= 0 && !r->url) /* nothing is there to go on with */
		(void)unlink(r->path);
	if (r->fd >= 0)
		close(r->fd);
	free(r->path);
	free(r->url);
	*r = (struct tus_record){ .fd = -1 };
}
