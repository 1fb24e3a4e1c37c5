/* The spool on this device, see keep.h. */
#include "keep.h"

#include "keep_meta.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { META_BYTES = 64 * 1024, FOLDER_NAME = 33, SWEEP_S = 60 };

/* Session ids are anybody's text; a folder's name is not. */
static void folder_name(const char *session_id, char out[FOLDER_NAME])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)session_id, strlen(session_id), digest);
	for (unsigned i = 0; i < (FOLDER_NAME - 1) / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static int sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int result = fsync(fd) == 0 ? 0 : -errno;
	close(fd);
	return result;
}

static int sync_parent(const char *path)
{
	char *parent = strdup(path);
	if (!parent)
		return -ENOMEM;
	char *slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = '\0';
	int result = sync_dir(slash ? parent : ".");
	free(parent);
	return result;
}

/* mkdir -p, each new folder synced into its parent. */
static int make_dirs(const char *path)
{
	char *part = strdup(path);
	int result = part ? 0 : -ENOMEM;
	for (char *p = part; p && result == 0;) {
		p = strchr(p + 1, '/');
		if (p)
			*p = '\0';
		if (mkdir(part, 0700) == 0)
			result = sync_parent(part);
		else if (errno != EEXIST)
			result = -errno;
		if (p)
			*p = '/';
	}
	free(part);
	return result;
}

int keep_make_spool(const char *spool_dir)
{
	return make_dirs(spool_dir);
}

static void read_boot_id(char out[64])
{
	out[0] = '\0';
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t len = read(fd, out, 63);
	close(fd);
	out[len > 0 ? len : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* Opens the folder of a take and locks it. */
static int open_folder(struct keep *k, const char *spool_dir, const char *session_id)
{
	char name[FOLDER_NAME];
	folder_name(session_id, name);
	*k = (struct keep){ .dir_fd = -1, .data_fd = -1 };
	k->spool_dir = strdup(spool_dir);
	if (!k->spool_dir || asprintf(&k->path, "%s/%s", spool_dir, name) < 0) {
		k->path = NULL;
		return -ENOMEM;
	}
	k->dir_fd = open(k->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->dir_fd < 0)
		return -errno;
	if (flock(k->dir_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

static int meta_read(int dir_fd, struct keep_meta *out)
{
	int fd = openat(dir_fd, "meta.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	char *text = malloc(META_BYTES);
	ssize_t len = text ? read(fd, text, META_BYTES) : -1;
	int result = !text ? -ENOMEM : len < 0 ? -errno : 0;
	close(fd);
	if (result == 0 && (len == META_BYTES || !keep_meta_parse(text, (size_t)len, out)))
		result = -EBADMSG;
	free(text);
	return result;
}

static int meta_write(const struct keep *k)
{
	char *text = keep_meta_format(&k->meta);
	if (!text)
		return -EINVAL;
	size_t len = strlen(text);
	int result = -EIO, fd = openat(k->dir_fd, "meta.json.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		result = -errno;
	} else {
		ssize_t written = write(fd, text, len);
		result = written == (ssize_t)len ? 0 : written < 0 ? -errno : -ENOSPC;
		if (result == 0 && !k->meta.renewable && fsync(fd) != 0)
			result = -errno;
		close(fd);
	}
	free(text);
	if (result == 0 && renameat(k->dir_fd, "meta.json.tmp", k->dir_fd, "meta.json") != 0)
		result = -errno;
	if (result == 0 && !k->meta.renewable && fsync(k->dir_fd) != 0)
		result = -errno;
	return result;
}

static int open_source(struct keep *k, struct stat *st)
{
	k->data_fd = open(k->meta.source_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (k->data_fd < 0 || fstat(k->data_fd, st) != 0)
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	/* two takes of one file at a time would be two recordings; file systems without locks have it so */
	return flock(k->data_fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK ? -EBUSY : 0;
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

int keep_check_source(const struct keep *k)
{
	struct stat st;
	if (!k->meta.source_path)
		return 0;
	if (fstat(k->data_fd, &st) != 0)
		return -errno;
	return (uint64_t)st.st_size == k->meta.source_size && mtime_ns(&st) == k->meta.source_mtime_ns ? 0 : -ESTALE;
}

static int new_data(struct keep *k)
{
	struct stat st;
	if (!k->meta.source_path) {
		k->data_fd = openat(k->dir_fd, "data", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		return k->data_fd < 0 ? -errno : 0;
	}
	int result = open_source(k, &st);
	if (result != 0)
		return result;
	k->meta.source_size = k->meta.total = k->bytes = (uint64_t)st.st_size;
	k->meta.source_mtime_ns = mtime_ns(&st);
	k->meta.ended = true;
	return 0;
}

static int remove_folder(int dir_fd, const char *path)
{
	/* meta.json first: what is left by a crash in between is no take any more */
	const char *const files[] = { "meta.json", "meta.json.tmp", "data" };
	for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++)
		if (unlinkat(dir_fd, files[i], 0) != 0 && errno != ENOENT)
			return -errno;
	return rmdir(path) == 0 ? 0 : -errno;
}

int keep_remove(struct keep *k)
{
	return remove_folder(k->dir_fd, k->path);
}

/* A power cut may leave a meta.json of a renewable take that says nothing. */
static bool is_there(const struct keep *k)
{
	struct keep_meta found = { 0 };
	int result = k->meta.renewable ? meta_read(k->dir_fd, &found) : faccessat(k->dir_fd, "meta.json", F_OK, 0);
	keep_meta_release(&found);
	return result == 0;
}

int keep_new(const char *spool_dir, struct keep_meta *meta, struct keep *out)
{
	char name[FOLDER_NAME], path[4096];
	*out = (struct keep){ .dir_fd = -1, .data_fd = -1 };
	folder_name(meta->session_id, name);
	snprintf(path, sizeof path, "%s/%s", spool_dir, name);
	int result = make_dirs(spool_dir);
	if (result == 0 && mkdir(path, 0700) != 0 && errno != EEXIST)
		result = -errno;
	if (result == 0)
		result = open_folder(out, spool_dir, meta->session_id);
	out->meta = *meta;
	*meta = (struct keep_meta){ 0 };
	if (result != 0)
		return result;
	if (is_there(out))
		return -EEXIST;
	result = new_data(out);
	if (result == 0)
		result = keep_persist(out);
	/* now its folder lasts, too, also one that a crash had left */
	if (result == 0 && !out->meta.renewable)
		result = sync_dir(spool_dir);
	if (result != 0)
		(void)keep_remove(out);
	return result;
}

/* The length of the copy that can be relied on. Within one run of the system the page cache is the truth; after a
 * reboot only what was synced is. */
static int open_copy(struct keep *k)
{
	char boot_id[64];
	struct stat st;
	k->data_fd = openat(k->dir_fd, "data", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (k->data_fd < 0 || fstat(k->data_fd, &st) != 0)
		return -errno;
	k->bytes = (uint64_t)st.st_size;
	read_boot_id(boot_id);
	k->rebooted = !k->meta.boot_id || strcmp(boot_id, k->meta.boot_id) != 0;
	if (k->rebooted && k->bytes > k->meta.synced)
		k->bytes = k->meta.synced;
	if (k->meta.ended)
		k->bytes = k->meta.total;
	if (k->bytes < k->meta.low)
		return -EBADMSG;
	return ftruncate(k->data_fd, (off_t)k->bytes) == 0 ? 0 : -errno;
}

int keep_open(const char *spool_dir, const char *session_id, struct keep *out)
{
	struct stat st;
	int result = open_folder(out, spool_dir, session_id);
	if (result == 0)
		result = meta_read(out->dir_fd, &out->meta);
	if (result != 0)
		return result;
	if (strcmp(out->meta.session_id, session_id) != 0)
		return -EBADMSG;
	if (!out->meta.source_path)
		return open_copy(out);
	result = open_source(out, &st);
	if (result != 0)
		return result == -EBUSY ? result : -ESTALE;
	out->bytes = out->meta.source_size;
	return keep_check_source(out);
}

int keep_append(struct keep *k, const void *data, size_t len)
{
	assert(!k->meta.source_path && !k->meta.ended);
	const char *bytes = data;
	size_t done = 0;
	while (done < len) {
		ssize_t n = pwrite(k->data_fd, bytes + done, len - done, (off_t)(k->bytes + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		done += (size_t)n;
	}
	k->bytes += len;
	return 0;
}

int keep_read(const struct keep *k, void *data, size_t len, uint64_t offset, size_t *out)
{
	*out = 0;
	if (offset < k->meta.low)
		return -ENODATA;
	while (*out < len) {
		ssize_t n = pread(k->data_fd, (char *)data + *out, len - *out, (off_t)(offset + *out));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*out += (size_t)n;
	}
	return 0;
}

int keep_persist(struct keep *k)
{
	char boot_id[64];
	if (!k->meta.source_path && fdatasync(k->data_fd) != 0)
		return -errno;
	k->meta.synced = k->bytes;
	read_boot_id(boot_id);
	free(k->meta.boot_id);
	k->meta.boot_id = *boot_id ? strdup(boot_id) : NULL;
	return meta_write(k);
}

int keep_forget(struct keep *k, uint64_t low, const char *state)
{
	assert(low >= k->meta.low && low <= k->bytes && !k->meta.source_path);
	free(k->meta.hash_state);
	k->meta.hash_state = state ? strdup(state) : NULL;
	k->meta.low = low;
	int result = keep_persist(k);
	/* where the file system can't punch holes the copy stays whole: larger, not wrong */
	if (result == 0 && low > 0)
		(void)fallocate(k->data_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)low);
	return result;
}

void keep_give_up(struct keep *k, const char *why)
{
	free(k->meta.failed);
	k->meta.failed = strdup(why);
	if (k->meta.failed)
		(void)meta_write(k);
}

int keep_skip_to(struct keep *k, uint64_t bytes)
{
	assert(bytes >= k->bytes && !k->meta.source_path);
	if (ftruncate(k->data_fd, (off_t)bytes) != 0)
		return -errno;
	k->bytes = bytes;
	return keep_forget(k, bytes, NULL);
}

int keep_discard(const char *spool_dir, const char *session_id)
{
	struct keep k;
	int result = open_folder(&k, spool_dir, session_id);
	if (result == 0)
		result = keep_remove(&k);
	if (result == 0)
		result = sync_dir(spool_dir);
	keep_close(&k);
	return result == -ENOENT ? 0 : result;
}

void keep_close(struct keep *k)
{
	if (k->data_fd >= 0)
		close(k->data_fd);
	if (k->dir_fd >= 0)
		close(k->dir_fd);
	keep_meta_release(&k->meta);
	free(k->spool_dir);
	free(k->path);
	*k = (struct keep){ .dir_fd = -1, .data_fd = -1 };
}

/* A folder without meta.json is no take: a crash left it while it was made or removed. One that is young may be just
 * being made. */
static void sweep(int dir_fd, const char *spool_dir, const char *name)
{
	struct stat st;
	char *path = NULL;
	if (fstat(dir_fd, &st) != 0 || time(NULL) - st.st_mtim.tv_sec < SWEEP_S ||
	    flock(dir_fd, LOCK_EX | LOCK_NB) != 0 || asprintf(&path, "%s/%s", spool_dir, name) < 0)
		return;
	(void)remove_folder(dir_fd, path);
	free(path);
}

int keep_each(const char *spool_dir, void (*take)(void *arg, const struct keep_meta *meta), void *arg)
{
	DIR *dir = opendir(spool_dir);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct keep_meta meta;
		if (strlen(entry->d_name) != FOLDER_NAME - 1)
			continue;
		int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			continue;
		int result = meta_read(fd, &meta);
		if (result == 0) {
			take(arg, &meta);
			keep_meta_release(&meta);
		} else if (result == -ENOENT) {
			sweep(fd, spool_dir, entry->d_name);
		}
		close(fd);
	}
	closedir(dir);
	return 0;
}
