/* meta.json of a kept take: one table of its texts, one of its numbers, for both ways. */
#include "keep_meta.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };

static const struct {
	const char *key;
	size_t offset;
	bool required;
} texts[] = {
	{ "sessionId", offsetof(struct keep_meta, session_id), true },
	{ "url", offsetof(struct keep_meta, url), true },
	{ "name", offsetof(struct keep_meta, name), false },
	{ "mime", offsetof(struct keep_meta, mime), false },
	{ "ext", offsetof(struct keep_meta, ext), false },
	{ "track", offsetof(struct keep_meta, track), false },
	{ "sourcePath", offsetof(struct keep_meta, source_path), false },
	{ "failed", offsetof(struct keep_meta, failed), false },
	{ "bootId", offsetof(struct keep_meta, boot_id), false },
	{ "hashState", offsetof(struct keep_meta, hash_state), false },
};

static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{ "sourceSize", offsetof(struct keep_meta, source_size) },
	{ "sourceMtimeNs", offsetof(struct keep_meta, source_mtime_ns) },
	{ "low", offsetof(struct keep_meta, low) },
	{ "synced", offsetof(struct keep_meta, synced) },
	{ "total", offsetof(struct keep_meta, total) },
};

enum { TEXTS = sizeof texts / sizeof texts[0], NUMBERS = sizeof numbers / sizeof numbers[0] };

static char **text_at(struct keep_meta *m, unsigned i)
{
	return (char **)(void *)((char *)m + texts[i].offset);
}

void keep_meta_release(struct keep_meta *m)
{
	for (unsigned i = 0; i < TEXTS; i++)
		free(*text_at(m, i));
	*m = (struct keep_meta){ 0 };
}

static const char *const digits = "0123456789abcdef";

/* A path is bytes, and JSON is text: one that is no UTF-8 is written in hex. */
static bool set_path_hex(json_t *root, const char *path)
{
	char *hex = malloc(2 * strlen(path) + 1), *out = hex;
	if (!hex)
		return false;
	for (; *path; path++) {
		*out++ = digits[(unsigned char)*path >> 4];
		*out++ = digits[*path & 15];
	}
	*out = '\0';
	bool ok = json_object_set_new(root, "sourcePathHex", json_string(hex)) == 0;
	free(hex);
	return ok;
}

static bool get_path_hex(const json_t *root, char **out)
{
	const char *hex = json_string_value(json_object_get(root, "sourcePathHex"));
	size_t len = hex ? strlen(hex) : 0;
	if (len == 0 || *out)
		return true;
	if (len % 2 || strspn(hex, digits) != len || !(*out = malloc(len / 2 + 1)))
		return false;
	for (size_t i = 0; i < len / 2; i++)
		(*out)[i] =
			(char)((strchr(digits, hex[2 * i]) - digits) << 4 | (strchr(digits, hex[2 * i + 1]) - digits));
	(*out)[len / 2] = '\0';
	return strlen(*out) == len / 2;
}

char *keep_meta_format(const struct keep_meta *m)
{
	struct keep_meta copy = *m;
	json_t *root = json_object();
	bool ok = root && json_object_set_new(root, "version", json_integer(VERSION)) == 0;
	for (unsigned i = 0; i < TEXTS && ok; i++) {
		json_t *text = *text_at(&copy, i) ? json_string(*text_at(&copy, i)) : NULL;
		if (text)
			ok = json_object_set_new(root, texts[i].key, text) == 0;
		else if (*text_at(&copy, i))
			ok = text_at(&copy, i) == &copy.source_path && set_path_hex(root, copy.source_path);
	}
	for (unsigned i = 0; i < NUMBERS && ok; i++) {
		const int64_t *value = (const void *)((const char *)m + numbers[i].offset);
		ok = json_object_set_new(root, numbers[i].key, json_integer(*value)) == 0;
	}
	ok = ok && json_object_set_new(root, "ended", json_boolean(m->ended)) == 0;
	char *text = ok ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	return text;
}

static bool read_all(const json_t *root, struct keep_meta *out)
{
	if (json_integer_value(json_object_get(root, "version")) != VERSION)
		return false;
	for (unsigned i = 0; i < TEXTS; i++) {
		const char *text = json_string_value(json_object_get(root, texts[i].key));
		if (!text && texts[i].required)
			return false;
		if (text && !(*text_at(out, i) = strdup(text)))
			return false;
	}
	for (unsigned i = 0; i < NUMBERS; i++) {
		const json_t *value = json_object_get(root, numbers[i].key);
		if (!json_is_integer(value))
			return false;
		*(int64_t *)(void *)((char *)out + numbers[i].offset) = json_integer_value(value);
	}
	if (!get_path_hex(root, &out->source_path))
		return false;
	out->ended = json_is_true(json_object_get(root, "ended"));
	return (int64_t)out->source_size >= 0 && (int64_t)out->low >= 0 && (int64_t)out->synced >= 0 &&
	       (int64_t)out->total >= 0;
}

bool keep_meta_parse(const char *text, size_t len, struct keep_meta *out)
{
	*out = (struct keep_meta){ 0 };
	json_t *root = json_loadb(text, len, 0, NULL);
	bool ok = json_is_object(root) && read_all(root, out);
	json_decref(root);
	if (!ok)
		keep_meta_release(out);
	return ok;
}
