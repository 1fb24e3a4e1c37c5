/* The messages between server and worker, see worker_wire.h. */
#include "work/worker_wire.h"

#include "proto/message.h"
#include "proto/problem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACK_BYTES = 4 * LIMIT_TRACK_CHARS }; /* a character has at most four */

static const char *const names[] = {
	[WORKER_READY] = "ready", [WORKER_ALIVE] = "alive",   [WORKER_HASHED] = "hashed", [WORKER_FILE] = "file",
	[WORKER_DONE] = "done",	  [WORKER_FAILED] = "failed", [WORKER_GONE] = NULL
};

/* What a worker may blame. */
static const enum err blames[] = { ERR_MEDIA_UNREADABLE, ERR_MEDIA_LIMIT,  ERR_CHECK_FAILED, ERR_STORAGE_FULL,
				   ERR_READ_FAILED,	 ERR_WRITE_FAILED, ERR_NO_MEMORY };

/* writing */

/* A string; what is no text is made one, rather than lost. */
static json_t *text_new(const char *text)
{
	json_t *value = json_string(text);
	char *copy = value ? NULL : strdup(text);
	if (!copy)
		return value;
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

static json_t *media_new(const struct media_info *m)
{
	return json_pack("{s:b, s:b, s:b, s:I, s:o, s:o, s:o}", "asIs", m->as_is, "thumbnail", m->has_thumbnail,
			 "waveform", m->has_waveform, "bytes", (json_int_t)m->bytes, "duration",
			 m->duration_ms < 0 ? json_null() : json_integer(m->duration_ms), "mime", text_new(m->mime),
			 "ext", text_new(m->ext));
}

static json_t *hashes_new(const struct track_hash *hashes, uint32_t count)
{
	json_t *list = json_array();
	char hex[65];
	int failed = list ? 0 : -1;
	for (uint32_t i = 0; !failed && i < count; i++) {
		sha256_format(hashes[i].sha256.bytes, hex);
		failed = json_array_append_new(list,
					       json_pack("{s:i, s:s}", "track", (int)hashes[i].track, "sha256", hex));
	}
	if (!failed)
		return list;
	json_decref(list);
	return NULL;
}

void wire_event_format(struct buf *out, const struct worker_event *event, const char *lacks)
{
	assert(event->type < WORKER_GONE);
	json_t *root = json_pack("{s:s}", "type", names[event->type]);
	int failed = root ? 0 : -1;
	if (event->type == WORKER_READY && lacks)
		failed |= json_object_set_new(root, "lacks", text_new(lacks));
	if (event->type == WORKER_ALIVE)
		failed |= json_object_set_new(root, "progress", json_integer(event->progress));
	if (event->type == WORKER_HASHED)
		failed |= json_object_set_new(root, "tracks", hashes_new(event->hashes, event->hash_count));
	if (event->type == WORKER_FILE || event->type == WORKER_DONE) {
		failed |= json_object_set_new(root, "media", media_new(event->media));
		if (event->warnings)
			failed |= json_object_set_new(root, "warnings", json_loads(event->warnings, 0, NULL));
	}
	if (event->type == WORKER_FAILED) {
		failed |= json_object_set_new(root, "code", json_string(err_code(event->err)));
		failed |= json_object_set_new(root, "message",
					      text_new(event->message ? event->message : err_text(event->err)));
	}
	if (failed)
		out->failed = true;
	else
		json_format(out, root);
	json_decref(root);
}

/* "No limit" is a limit too: what JSON carries. */
static unsigned long long bounded(uint64_t value)
{
	return value < LIMIT_NUMBER ? value : LIMIT_NUMBER - 1;
}

void wire_job_format(struct buf *out, const struct worker_job *job)
{
	buf_addf(out, "{\"maxOutputBytes\":%llu,\"maxMs\":%llu,\"tracks\":[", bounded(job->max_output_bytes),
		 bounded(job->max_ms));
	for (uint32_t i = 0; i < job->track_count; i++) {
		const struct worker_track *t = &job->tracks[i];
		json_t *name = text_new(t->name);
		buf_add_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
		if (name)
			json_format(out, name);
		else
			out->failed = true;
		json_decref(name);
		buf_addf(out, ",\"bytes\":%llu,\"hash\":%s,\"parts\":[", (unsigned long long)t->bytes,
			 t->hash ? "true" : "false");
		for (uint32_t k = 0; k < t->part_count; k++)
			buf_addf(out, k > 0 ? ",%llu" : "%llu", (unsigned long long)t->parts[k]);
		buf_add_text(out, "]}");
	}
	buf_add_text(out, "]}");
}

/* judging */

static bool count_get(const json_t *root, const char *key, uint64_t max, uint64_t *out)
{
	return json_count(json_object_get(root, key), out) && *out <= max;
}

/* Printable text of at most `max` bytes; "" is none. */
static bool sentence_get(const json_t *root, const char *key, size_t max, const char **out)
{
	const json_t *value = json_object_get(root, key);
	*out = json_string_value(value);
	size_t len = json_string_length(value);
	if (!*out || len == 0 || len > max || strlen(*out) != len)
		return false;
	for (const unsigned char *p = (const unsigned char *)*out; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			return false;
	return true;
}

/* What is served later under this type must be no document that a browser would run. */
static bool mime_fits(const char *mime)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/+-._;=,\" ";
	static const char *const wholes[] = { "application/octet-stream", "application/ogg", "application/mp4" };
	if (mime[strspn(mime, chars)] != '\0')
		return false;
	for (unsigned i = 0; i < sizeof wholes / sizeof wholes[0]; i++)
		if (strcmp(mime, wholes[i]) == 0)
			return true;
	return (strncmp(mime, "audio/", 6) == 0 || strncmp(mime, "video/", 6) == 0) && mime[6] >= 'a' && mime[6] <= 'z';
}

static bool media_parse(const json_t *value, struct media_info *out)
{
	const json_t *as_is = json_object_get(value, "asIs"), *thumbnail = json_object_get(value, "thumbnail");
	const json_t *waveform = json_object_get(value, "waveform"), *duration = json_object_get(value, "duration");
	const json_t *ext_value = json_object_get(value, "ext");
	const char *mime, *ext = json_string_value(ext_value);
	uint64_t ms = 0;
	if (json_object_size(value) != 7 || !json_is_boolean(as_is) || !json_is_boolean(thumbnail) ||
	    !json_is_boolean(waveform) || !count_get(value, "bytes", LIMIT_NUMBER, &out->bytes))
		return false;
	if (!json_is_null(duration) && (!json_count(duration, &ms) || ms > LIMIT_MEDIA_DAYS * 86400000ULL))
		return false;
	if (!sentence_get(value, "mime", LIMIT_MIME_CHARS, &mime) || !mime_fits(mime))
		return false;
	if (!ext || json_string_length(ext_value) > LIMIT_EXT_CHARS ||
	    strspn(ext, "abcdefghijklmnopqrstuvwxyz0123456789") != json_string_length(ext_value))
		return false;
	out->as_is = json_is_true(as_is);
	out->has_thumbnail = json_is_true(thumbnail);
	out->has_waveform = json_is_true(waveform);
	out->duration_ms = json_is_null(duration) ? -1 : (int64_t)ms;
	snprintf(out->mime, sizeof out->mime, "%s", mime);
	snprintf(out->ext, sizeof out->ext, "%s", ext);
	return true;
}

/* Written anew from what was understood of it. */
static bool warnings_parse(const json_t *list, char **out)
{
	struct buf text;
	buf_init(&text);
	bool ok = json_is_array(list) && json_array_size(list) <= LIMIT_WARNINGS;
	buf_add_text(&text, "[");
	for (size_t i = 0; ok && i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *code, *message;
		ok = json_object_size(item) == 2 && sentence_get(item, "code", LIMIT_CODE_CHARS, &code) &&
		     strspn(code, "abcdefghijklmnopqrstuvwxyz_") == strlen(code) &&
		     sentence_get(item, "message", LIMIT_SENTENCE_CHARS, &message);
		if (!ok)
			break;
		buf_add_text(&text, i > 0 ? "," : "");
		json_format(&text, item);
	}
	buf_add_text(&text, "]");
	ok = ok && !text.failed;
	*out = ok ? buf_take(&text) : NULL;
	buf_release(&text);
	return ok && *out;
}

static bool result_parse(const json_t *root, struct wire_event *out)
{
	const json_t *warnings = json_object_get(root, "warnings");
	if (json_object_size(root) != (warnings ? 3U : 2U) || !media_parse(json_object_get(root, "media"), &out->media))
		return false;
	out->event.media = &out->media;
	if (!warnings)
		return true;
	if (!warnings_parse(warnings, &out->warnings))
		return false;
	out->event.warnings = out->warnings;
	return true;
}

static bool hashes_parse(const json_t *root, struct wire_event *out)
{
	const json_t *list = json_object_get(root, "tracks");
	size_t count = json_array_size(list);
	if (json_object_size(root) != 2 || count == 0 || count > LIMIT_TRACKS)
		return false;
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(list, i), *sha256 = json_object_get(item, "sha256");
		uint64_t track;
		if (json_object_size(item) != 2 || !count_get(item, "track", LIMIT_TRACKS - 1, &track) ||
		    json_string_length(sha256) != 64 ||
		    !sha256_parse(json_string_value(sha256), out->hashes[i].sha256.bytes))
			return false;
		out->hashes[i].track = (uint16_t)track;
	}
	out->event.hashes = out->hashes;
	out->event.hash_count = (uint32_t)count;
	return true;
}

static bool failed_parse(const json_t *root, struct wire_event *out)
{
	const char *code, *message;
	enum err err;
	if (json_object_size(root) != 3 || !sentence_get(root, "code", LIMIT_CODE_CHARS, &code) ||
	    !sentence_get(root, "message", sizeof out->message - 1, &message) || !err_parse(code, &err))
		return false;
	bool may = false;
	for (unsigned i = 0; i < sizeof blames / sizeof blames[0]; i++)
		may = may || blames[i] == err;
	snprintf(out->message, sizeof out->message, "%s", message);
	out->event.err = err;
	out->event.message = out->message;
	return may;
}

static bool event_parse(const json_t *root, struct wire_event *out)
{
	const char *lacks;
	uint64_t progress;
	switch (out->event.type) {
	case WORKER_READY:
		if (json_object_size(root) == 1)
			return true;
		if (json_object_size(root) != 2 || !sentence_get(root, "lacks", sizeof out->lacks - 1, &lacks))
			return false;
		snprintf(out->lacks, sizeof out->lacks, "%s", lacks);
		return true;
	case WORKER_ALIVE:
		if (json_object_size(root) != 2 || !count_get(root, "progress", 1000, &progress))
			return false;
		out->event.progress = (unsigned)progress;
		return true;
	case WORKER_HASHED:
		return hashes_parse(root, out);
	case WORKER_FILE:
	case WORKER_DONE:
		return result_parse(root, out);
	default:
		return failed_parse(root, out);
	}
}

enum err wire_event_parse(const char *text, size_t len, struct wire_event *out, const char **why)
{
	json_t *root;
	*out = (struct wire_event){ 0 };
	enum err err = json_read(text, len, &root, why);
	if (err != ERR_OK)
		return err;
	const char *type = json_string_value(json_object_get(root, "type"));
	bool known = false;
	for (unsigned i = 0; type && !known && i < WORKER_GONE; i++)
		if (strcmp(type, names[i]) == 0) {
			known = true;
			out->event.type = (enum worker_event_type)i;
		}
	*why = known ? "A value in it is none of those that may be there." : "It has no known type.";
	bool ok = known && event_parse(root, out);
	if (!ok)
		wire_event_release(out);
	json_decref(root);
	return ok ? ERR_OK : ERR_BAD_MESSAGE;
}

void wire_event_release(struct wire_event *event)
{
	free(event->warnings);
	event->warnings = NULL;
	event->event.warnings = NULL;
}

/* the job */

static bool track_parse(const json_t *value, struct media_track *out, bool *hash)
{
	const json_t *list = json_object_get(value, "parts"), *wanted = json_object_get(value, "hash");
	const char *name;
	size_t count = json_array_size(list);
	out->fd = -1;
	if (!sentence_get(value, "name", TRACK_BYTES, &name) || !count_get(value, "bytes", LIMIT_NUMBER, &out->bytes) ||
	    !json_is_array(list) || count > LIMIT_PARTS || !json_is_boolean(wanted))
		return false;
	*hash = json_is_true(wanted);
	uint64_t *parts = calloc(count + 1, sizeof *parts);
	out->parts = parts;
	out->name = strdup(name);
	for (size_t i = 0; parts && i < count; i++)
		if (!json_count(json_array_get(list, i), &parts[i]) || parts[i] < (i > 0 ? parts[i - 1] : 0) ||
		    parts[i] > out->bytes)
			return false;
	out->part_count = (uint32_t)count;
	return parts && out->name;
}

enum err wire_job_parse(const char *text, size_t len, struct wire_job *out)
{
	json_t *root;
	const char *why;
	*out = (struct wire_job){ 0 };
	enum err err = json_read(text, len, &root, &why);
	if (err != ERR_OK)
		return err;
	const json_t *tracks = json_object_get(root, "tracks");
	bool ok = json_array_size(tracks) > 0 && json_array_size(tracks) <= LIMIT_TRACKS &&
		  count_get(root, "maxOutputBytes", LIMIT_NUMBER, &out->max_output_bytes) &&
		  count_get(root, "maxMs", LIMIT_NUMBER, &out->max_ms);
	for (size_t i = 0; ok && i < json_array_size(tracks); i++) {
		out->track_count++;
		ok = track_parse(json_array_get(tracks, i), &out->tracks[i], &out->hash[i]);
	}
	json_decref(root);
	if (!ok)
		wire_job_release(out);
	return ok ? ERR_OK : ERR_BAD_MESSAGE;
}

void wire_job_release(struct wire_job *job)
{
	for (uint32_t i = 0; i < job->track_count; i++) {
		free((void *)(uintptr_t)job->tracks[i].name);
		free((void *)(uintptr_t)job->tracks[i].parts);
	}
	*job = (struct wire_job){ 0 };
}
