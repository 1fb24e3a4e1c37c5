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

char *keep_meta_format(const struct keep_meta *m)
{
	struct keep_meta copy = *m;
	json_t *root = json_object();
	bool ok = root && json_object_set_new(root, "version", json_integer(VERSION)) == 0;
	for (unsigned i = 0; i < TEXTS && ok; i++)
		if (*text_at(&copy, i))
			ok = json_object_set_new(root, texts[i].key, json_string(*text_at(&copy, i))) == 0;
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
