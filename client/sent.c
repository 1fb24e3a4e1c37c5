/* The list of files that are safe, see sent.h: lines of a key, a blank and the server's id. Several programs may append
 * at once; a line that a crash cut short is nobody's, as its key or its end is missing. */
#include "sent.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_CHARS = SENT_KEY - 1, ID_CHARS = 1024 };

static void key_of(const char *server, const struct file *file, char out[SENT_KEY])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char *text = NULL;
	int len = asprintf(&text, "%s%c%llu%c%lld%c%s", server, 0, (unsigned long long)file->size, 0,
			   (long long)file->mtime_ns, 0, file->path);
	SHA256((const unsigned char *)(len < 0 ? "" : text), len < 0 ? 0 : (size_t)len, digest);
	if (len >= 0)
		free(text);
	for (unsigned i = 0; i < KEY_CHARS / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static size_t slot_of(const struct sent *s, const char *key)
{
	size_t hash = 0;
	for (unsigned i = 0; i < KEY_CHARS; i++) /* it is a digest: any mixing does */
		hash = hash * 31 + (unsigned char)key[i];
	hash %= s->slot_count;
	while (s->slots[hash] && memcmp(s->slots[hash], key, KEY_CHARS) != 0)
		hash = (hash + 1) % s->slot_count;
	return hash;
}

static bool is_line(const char *line, size_t len)
{
	return len > KEY_CHARS + 1 && len <= KEY_CHARS + 1 + ID_CHARS && line[KEY_CHARS] == ' ' &&
	       strspn(line, "0123456789abcdef") == KEY_CHARS;
}

static int index_lines(struct sent *s)
{
	size_t lines = 0;
	for (const char *at = s->text; (at = strchr(at, '\n')); at++)
		lines++;
	s->slot_count = 2 * lines + 1;
	s->slots = calloc(s->slot_count, sizeof *s->slots);
	if (!s->slots)
		return -ENOMEM;
	for (char *line = s->text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (is_line(line, (size_t)(end - line)))
			s->slots[slot_of(s, line)] = line;
	}
	return 0;
}

static int read_text(struct sent *s)
{
	struct stat st;
	if (fstat(s->fd, &st) != 0)
		return -errno;
	s->text = malloc((size_t)st.st_size + 1);
	if (!s->text)
		return -ENOMEM;
	size_t len = 0;
	for (ssize_t n; len < (size_t)st.st_size; len += (size_t)n) {
		n = pread(s->fd, s->text + len, (size_t)st.st_size - len, (off_t)len);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
	}
	s->text[len] = '\0';
	/* what a crash cut short must not swallow the next line */
	if (len > 0 && s->text[len - 1] != '\n' && write(s->fd, "\n", 1) != 1)
		return -errno;
	return index_lines(s);
}

int sent_open(const char *spool_dir, struct sent *out)
{
	char *path = NULL;
	*out = (struct sent){ .fd = -1 };
	if (asprintf(&path, "%s/sent", spool_dir) < 0)
		return -ENOMEM;
	out->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int result = out->fd < 0 ? -errno : read_text(out);
	free(path);
	return result;
}

bool sent_find(const struct sent *s, const char *server, const struct file *file, char *id, size_t size)
{
	char key[SENT_KEY];
	if (!s->slots)
		return false;
	key_of(server, file, key);
	const char *line = s->slots[slot_of(s, key)];
	if (line)
		snprintf(id, size, "%s", line + KEY_CHARS + 1);
	return line != NULL;
}

int sent_note(struct sent *s, const char *server, const struct file *file, const char *id)
{
	char key[SENT_KEY], line[SENT_KEY + ID_CHARS + 2];
	if (s->fd < 0 || !*id || strlen(id) > ID_CHARS || strpbrk(id, " \n"))
		return s->fd < 0 ? -EBADF : -EINVAL;
	key_of(server, file, key);
	int len = snprintf(line, sizeof line, "%s %s\n", key, id);
	ssize_t written = write(s->fd, line, (size_t)len);
	if (written != len)
		return written < 0 ? -errno : -ENOSPC;
	return fdatasync(s->fd) == 0 ? 0 : -errno;
}

void sent_close(struct sent *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->text);
	free(s->slots);
	*s = (struct sent){ .fd = -1 };
}
