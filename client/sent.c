/* The list of files that are safe, see sent.h: lines of a key, a blank and the server's id. Several programs may append
 * at once; a line that a crash cut short is nobody's, as its key or its end is missing. */
#include "sent.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_CHARS = SENT_KEY - 1, ID_CHARS = 1024 };

static void hex_of(const char *bytes, size_t len, char out[SENT_KEY])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)bytes, len, digest);
	for (unsigned i = 0; i < KEY_CHARS / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void key_of(const char *server, const struct file *file, char out[SENT_KEY])
{
	char *text = NULL;
	int len = asprintf(&text, "%s%c%llu%c%lld%c%s", server, 0, (unsigned long long)file->size, 0,
			   (long long)file->mtime_ns, 0, file->path);
	hex_of(len < 0 ? "" : text, len < 0 ? 0 : (size_t)len, out);
	if (len >= 0)
		free(text);
}

static size_t slot_of(const struct sent *s, const char *key)
{
	size_t hash = 0;
	for (unsigned i = 0; i < KEY_CHARS; i++) /* it is a digest: any mixing does */
		hash = hash * 31 + (unsigned char)key[i];
	hash %= s->slot_count;
	while (s->slots[hash] && memcmp(s->text + s->slots[hash] - 1, key, KEY_CHARS) != 0)
		hash = (hash + 1) % s->slot_count;
	return hash;
}

static bool is_line(const char *line, size_t len)
{
	return len > KEY_CHARS + 1 && len <= KEY_CHARS + 1 + ID_CHARS && line[KEY_CHARS] == ' ' &&
	       strspn(line, "0123456789abcdef") == KEY_CHARS;
}

static void insert(struct sent *s, size_t at)
{
	size_t slot = slot_of(s, s->text + at);
	s->used += s->slots[slot] == 0;
	s->slots[slot] = at + 1;
}

static bool grow(struct sent *s)
{
	size_t *old = s->slots, old_count = s->slot_count;
	if (2 * (s->used + 1) < old_count)
		return true;
	s->slot_count = 4 * (s->used + 16);
	s->slots = calloc(s->slot_count, sizeof *s->slots);
	s->used = 0;
	for (size_t i = 0; s->slots && i < old_count; i++)
		if (old[i])
			insert(s, old[i] - 1);
	free(old);
	return s->slots != NULL;
}

/* Whole lines from `from` on get their slots; how far those reach. */
static size_t index_lines(struct sent *s, size_t from)
{
	for (char *end; (end = memchr(s->text + from, '\n', s->len - from)); from = (size_t)(end - s->text) + 1) {
		*end = '\0';
		if (is_line(s->text + from, (size_t)(end - s->text) - from) && grow(s))
			insert(s, from);
	}
	return from;
}

/* Reads what was added since. */
static int read_on(struct sent *s)
{
	struct stat st;
	if (s->fd < 0 || fstat(s->fd, &st) != 0)
		return -errno;
	size_t size = (size_t)st.st_size;
	if (size <= s->len)
		return 0;
	if (size + 1 > s->room) {
		char *grown = realloc(s->text, 2 * size + 1);
		if (!grown)
			return -ENOMEM;
		s->text = grown;
		s->room = 2 * size + 1;
	}
	size_t from = s->len;
	for (ssize_t n; s->len < size; s->len += (size_t)n) {
		n = pread(s->fd, s->text + s->len, size - s->len, (off_t)s->len);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
	}
	s->text[s->len] = '\0';
	s->len = index_lines(s, from); /* a line that is being written is read next time */
	return 0;
}

static bool device_read(const char *path, char out[SENT_KEY])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t len = fd < 0 ? -1 : read(fd, out, KEY_CHARS);
	out[len > 0 ? len : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return strspn(out, "0123456789abcdef") == KEY_CHARS;
}

/* Made whole under another name first: several programs may do so at once, and one of them wins. */
static bool device_make(const char *path, const char *name)
{
	unsigned char random[SHA256_DIGEST_LENGTH] = { 0 };
	char text[SENT_KEY];
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool made = fd >= 0 && getrandom(random, sizeof random, 0) == sizeof random;
	hex_of((const char *)random, sizeof random, text);
	made = made && write(fd, text, KEY_CHARS) == KEY_CHARS && fsync(fd) == 0 &&
	       (link(name, path) == 0 || errno == EEXIST);
	if (fd >= 0)
		close(fd);
	(void)unlink(name);
	return made;
}

/* Its own name for this spool; without one everything still works, see sent_session. */
static void device_open(const char *spool_dir, char out[SENT_KEY])
{
	char *path = NULL, *name = NULL;
	if (asprintf(&path, "%s/device", spool_dir) < 0)
		path = NULL;
	if (asprintf(&name, "%s/device.%ld", spool_dir, (long)getpid()) < 0)
		name = NULL;
	if (!path || !name || (!device_read(path, out) && (!device_make(path, name) || !device_read(path, out))))
		*out = '\0';
	int fd = *out ? open(spool_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0 || fsync(fd) != 0)
		*out = '\0';
	if (fd >= 0)
		close(fd);
	free(path);
	free(name);
}

int sent_open(const char *spool_dir, struct sent *out)
{
	char *path = NULL;
	struct stat st;
	*out = (struct sent){ .fd = -1 };
	if (!grow(out) || asprintf(&path, "%s/sent", spool_dir) < 0)
		return -ENOMEM;
	out->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int result = out->fd < 0 ? -errno : read_on(out);
	free(path);
	if (result == 0)
		device_open(spool_dir, out->device);
	/* what a crash cut short must not swallow the next line */
	if (result == 0 && fstat(out->fd, &st) == 0 && (size_t)st.st_size > out->len && write(out->fd, "\n", 1) != 1)
		result = -errno;
	return result;
}

bool sent_find(struct sent *s, const char *server, const struct file *file, char *id, size_t size)
{
	char key[SENT_KEY];
	if (!s->slots)
		return false;
	key_of(server, file, key);
	size_t at = s->slots[slot_of(s, key)];
	if (!at && read_on(s) == 0)
		at = s->slots[slot_of(s, key)];
	if (at)
		snprintf(id, size, "%s", s->text + at - 1 + KEY_CHARS + 1);
	return at != 0;
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
	return 0;
}

int sent_sync(const struct sent *s)
{
	return s->fd < 0 ? -EBADF : fdatasync(s->fd) == 0 ? 0 : -errno;
}

bool sent_session(const struct sent *s, const char *server, const struct file *file, char out[SENT_KEY])
{
	char text[2 * SENT_KEY];
	if (!*s->device)
		return false;
	key_of(server, file, text);
	memcpy(text + KEY_CHARS, s->device, SENT_KEY);
	hex_of(text, 2 * KEY_CHARS, out);
	return true;
}

void sent_close(struct sent *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->text);
	free(s->slots);
	*s = (struct sent){ .fd = -1 };
}
