/* recording.json and the JSON of the journal's records: a recording_info as text and back, see spool.h.
 *
 * manifest_parse judges arbitrary bytes: what it accepts has the right types, is within limits.h, and has unique track
 * names, ascending parts and a known phase. Unknown fields are ignored; null is the same as absent. */
#include "core/model.h"
#include "store/spool.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { HEX_BYTES = 65 };

static void hex_format(const struct sha256 *sha256, char out[HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < 32; i++) {
		out[2 * i] = digits[sha256->bytes[i] >> 4];
		out[2 * i + 1] = digits[sha256->bytes[i] & 15];
	}
	out[64] = '\0';
}

static bool hex_parse(const char *text, struct sha256 *out)
{
	if (strlen(text) != 64)
		return false;
	for (int i = 0; i < 64; i++) {
		char c = text[i];
		int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (value < 0)
			return false;
		out->bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : out->bytes[i / 2] | value);
	}
	return true;
}

/* Writing: each put keeps what went wrong in *ok, judged once at the end. */

static void put(json_t *object, const char *key, json_t *value, bool *ok)
{
	if (json_object_set_new(object, key, value) != 0)
		*ok = false;
}

static void put_text(json_t *object, const char *key, const char *text, bool *ok)
{
	if (text)
		put(object, key, json_string(text), ok);
}

static void put_number(json_t *object, const char *key, uint64_t value, bool *ok)
{
	if (value > LIMIT_NUMBER)
		*ok = false;
	else
		put(object, key, json_integer((json_int_t)value), ok);
}

static void put_sha256(json_t *object, const char *key, const struct sha256 *sha256, bool *ok)
{
	char hex[HEX_BYTES];
	hex_format(sha256, hex);
	put_text(object, key, hex, ok);
}

static json_t *parts_json(const struct track_info *track, bool *ok)
{
	json_t *array = json_array();
	for (uint32_t i = 0; i < track->part_count; i++) {
		if (track->parts[i] > LIMIT_NUMBER ||
		    json_array_append_new(array, json_integer((json_int_t)track->parts[i])))
			*ok = false;
	}
	return array;
}

static json_t *track_json(const struct track_info *track, bool *ok)
{
	json_t *object = json_object();
	put_text(object, "track", track->name, ok);
	put_number(object, "bytes", track->bytes, ok);
	put(object, "sealed", json_boolean(track->sealed), ok);
	put_text(object, "sealedBy", sealed_by_name(track->sealed_by), ok);
	if (track->total != BYTES_UNKNOWN)
		put_number(object, "total", track->total, ok);
	if (track->has_sha256)
		put_sha256(object, "sha256", &track->sha256, ok);
	if (track->has_declared_sha256)
		put_sha256(object, "declaredSha256", &track->declared_sha256, ok);
	if (track->part_count > 0)
		put(object, "parts", parts_json(track, ok), ok);
	return object;
}

static void put_lists(json_t *object, const struct recording_info *info, bool *ok)
{
	json_t *tracks = json_array();
	for (uint32_t i = 0; i < info->track_count; i++) {
		if (json_array_append_new(tracks, track_json(&info->tracks[i], ok)) != 0)
			*ok = false;
	}
	put(object, "tracks", tracks, ok);
	if (info->declared_count == 0)
		return;
	json_t *declared = json_array();
	for (uint32_t i = 0; i < info->declared_count; i++) {
		if (json_array_append_new(declared, json_string(info->declared_tracks[i])) != 0)
			*ok = false;
	}
	put(object, "declaredTracks", declared, ok);
}

static void put_times(json_t *object, const struct recording_info *info, bool *ok)
{
	if (info->ts != 0)
		put(object, "ts", json_integer(info->ts), ok);
	put(object, "createdAt", json_integer(info->created_ms), ok);
	put(object, "updatedAt", json_integer(info->updated_ms), ok);
	if (info->sealed_ms != 0)
		put(object, "sealedAt", json_integer(info->sealed_ms), ok);
}

static void put_state(json_t *object, const struct recording_info *info, bool *ok)
{
	put_text(object, "phase", phase_name(info->phase), ok);
	put_text(object, "sealedBy", sealed_by_name(info->sealed_by), ok);
	put(object, "interrupted", json_boolean(info->interrupted), ok);
	put_number(object, "revision", info->revision, ok);
	if (info->error != ERR_OK) {
		json_t *error = json_object();
		put_text(error, "code", err_code(info->error), ok);
		put_text(error, "message", info->error_message, ok);
		put(object, "error", error, ok);
	}
	put_text(object, "abortReason", info->abort_reason, ok);
}

static void put_show(json_t *object, const struct recording_info *info, bool *ok)
{
	if (!info->show)
		return;
	put_text(object, "show", info->show, ok);
	put_number(object, "version", info->version, ok);
	put_number(object, "firstVersion", info->first, ok);
	if (info->shift)
		put_number(object, "shift", info->shift, ok);
}

static void put_upload(json_t *object, const struct recording_info *info, bool *ok)
{
	put_text(object, "batch", info->batch, ok);
	put_text(object, "key", info->batch_key, ok);
	put_text(object, "meta", info->meta, ok);
	if (info->has_item)
		put_sha256(object, "item", &info->item, ok);
	if (info->upload.kind == UPLOAD_NONE)
		return;
	json_t *upload = json_object();
	put_number(upload, "kind", info->upload.kind, ok);
	if (info->upload.length != BYTES_UNKNOWN)
		put_number(upload, "length", info->upload.length, ok);
	put_text(upload, "metadata", info->upload.metadata, ok);
	put_text(upload, "parts", info->upload.parts, ok);
	put_text(upload, "concat", info->upload.concat, ok);
	put(object, "upload", upload, ok);
}

char *manifest_format(const struct recording_info *info)
{
	bool ok = true;
	char id[UUID_TEXT];
	uuid_format(&info->id, id);
	json_t *object = json_object();
	put_text(object, "id", id, &ok);
	put_text(object, "principal", info->principal, &ok);
	put_text(object, "sessionId", info->session_id, &ok);
	put_text(object, "ref", info->ref, &ok);
	put_text(object, "name", info->name, &ok);
	put_text(object, "mime", info->mime, &ok);
	put_text(object, "ext", info->ext, &ok);
	put_text(object, "sourceUrl", info->source_url, &ok);
	if (info->on_demand)
		put(object, "onDemand", json_true(), &ok);
	put_show(object, info, &ok);
	put_upload(object, info, &ok);
	put_state(object, info, &ok);
	put_times(object, info, &ok);
	put_lists(object, info, &ok);
	char *text = ok ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return text;
}

/* Reading: a field set of one object; the first error stays, and later gets do nothing. */
struct fields {
	const json_t *object;
	enum err err;
};

static void corrupt(struct fields *f)
{
	if (f->err == ERR_OK)
		f->err = ERR_CORRUPT;
}

/* NULL when absent, null or after an error. */
static json_t *get(const struct fields *f, const char *key)
{
	json_t *value = f->err == ERR_OK ? json_object_get(f->object, key) : NULL;
	return json_is_null(value) ? NULL : value;
}

/* Owned copy of a string of 1 to max_chars characters; the parser let no NUL and no invalid UTF-8 pass. */
static char *copy_text(struct fields *f, const json_t *value, size_t max_chars)
{
	if (!json_is_string(value)) {
		corrupt(f);
		return NULL;
	}
	const char *text = json_string_value(value);
	size_t chars = 0;
	for (const char *c = text; *c; c++)
		chars += (*c & 0xc0) != 0x80;
	if (chars > max_chars) {
		corrupt(f);
		return NULL;
	}
	char *copy = strdup(text);
	if (!copy)
		f->err = ERR_NO_MEMORY;
	return copy;
}

static char *get_text(struct fields *f, const char *key, size_t max_chars)
{
	json_t *value = get(f, key);
	return value ? copy_text(f, value, max_chars) : NULL;
}

static int64_t get_integer(struct fields *f, const char *key, int64_t least, int64_t most)
{
	json_t *value = get(f, key);
	if (!value)
		return least < 0 ? 0 : least;
	json_int_t number = json_integer_value(value);
	if (!json_is_integer(value) || number < least || number > most) {
		corrupt(f);
		return 0;
	}
	return number;
}

static uint64_t get_number(struct fields *f, const char *key)
{
	return (uint64_t)get_integer(f, key, 0, (int64_t)LIMIT_NUMBER);
}

static int64_t get_time(struct fields *f, const char *key)
{
	return get_integer(f, key, -(int64_t)LIMIT_NUMBER, (int64_t)LIMIT_NUMBER);
}

static bool get_bool(struct fields *f, const char *key)
{
	json_t *value = get(f, key);
	if (value && !json_is_boolean(value))
		corrupt(f);
	return json_is_true(value);
}

static enum sealed_by get_sealed_by(struct fields *f, const char *key)
{
	json_t *value = get(f, key);
	enum sealed_by by = SEALED_BY_NONE;
	if (value && !(json_is_string(value) && sealed_by_parse(json_string_value(value), &by)))
		corrupt(f);
	return by;
}

static bool get_sha256(struct fields *f, const char *key, struct sha256 *out)
{
	json_t *value = get(f, key);
	if (!value)
		return false;
	if (!json_is_string(value) || !hex_parse(json_string_value(value), out)) {
		corrupt(f);
		return false;
	}
	return true;
}

/* An array of at most `limit` entries; NULL when absent or no such thing. */
static json_t *get_array(struct fields *f, const char *key, size_t limit)
{
	json_t *value = get(f, key);
	if (value && (!json_is_array(value) || json_array_size(value) > limit))
		corrupt(f);
	return f->err == ERR_OK ? value : NULL;
}

static void parse_parts(struct fields *f, struct track_info *track)
{
	json_t *array = get_array(f, "parts", LIMIT_PARTS);
	size_t count = json_array_size(array);
	if (count == 0)
		return;
	track->parts = malloc(count * sizeof *track->parts);
	if (!track->parts) {
		f->err = ERR_NO_MEMORY;
		return;
	}
	uint64_t last = 0;
	for (size_t i = 0; i < count; i++) {
		json_t *value = json_array_get(array, i);
		json_int_t offset = json_integer_value(value);
		if (!json_is_integer(value) || offset <= 0 || (uint64_t)offset <= last ||
		    (uint64_t)offset > LIMIT_NUMBER) {
			corrupt(f);
			return;
		}
		last = (uint64_t)offset;
		track->parts[track->part_count++] = last;
	}
}

static enum err parse_track(const json_t *value, struct recording_info *info)
{
	if (!json_is_object(value))
		return ERR_CORRUPT;
	struct fields f = { .object = value };
	char *name = get_text(&f, "track", LIMIT_TRACK_CHARS);
	if (!name || !*name || recording_info_track(info, name)) {
		free(name);
		return f.err == ERR_OK ? ERR_CORRUPT : f.err;
	}
	struct track_info *track = recording_info_add_track(info, name);
	free(name);
	if (!track)
		return ERR_NO_MEMORY;
	track->bytes = get_number(&f, "bytes");
	track->total = get(&f, "total") ? get_number(&f, "total") : BYTES_UNKNOWN;
	track->sealed = get_bool(&f, "sealed");
	track->sealed_by = get_sealed_by(&f, "sealedBy");
	track->has_sha256 = get_sha256(&f, "sha256", &track->sha256);
	track->has_declared_sha256 = get_sha256(&f, "declaredSha256", &track->declared_sha256);
	parse_parts(&f, track);
	return f.err;
}

static void parse_declared(struct fields *f, struct recording_info *out)
{
	json_t *array = get_array(f, "declaredTracks", LIMIT_TRACKS);
	size_t count = json_array_size(array);
	if (count == 0)
		return;
	out->declared_tracks = calloc(count, sizeof *out->declared_tracks);
	if (!out->declared_tracks) {
		f->err = ERR_NO_MEMORY;
		return;
	}
	for (size_t i = 0; i < count && f->err == ERR_OK; i++) {
		char *name = copy_text(f, json_array_get(array, i), LIMIT_TRACK_CHARS);
		if (!name)
			return;
		out->declared_tracks[out->declared_count++] = name;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(out->declared_tracks[k], name) == 0)
				corrupt(f);
		}
	}
}

static void parse_error(struct fields *f, struct recording_info *out)
{
	json_t *value = get(f, "error");
	if (!value)
		return;
	struct fields inner = { .object = value };
	json_t *code = get(&inner, "code");
	/* a code of another version is still an error, only not one that this version knows */
	if (!json_is_string(code) || !err_parse(json_string_value(code), &out->error))
		out->error = ERR_INTERNAL;
	if (!json_is_object(value) || !json_is_string(code) || out->error == ERR_OK)
		corrupt(&inner);
	out->error_message = get_text(&inner, "message", LIMIT_SENTENCE_CHARS);
	f->err = inner.err;
}

static void parse_state(struct fields *f, struct recording_info *out)
{
	json_t *phase = get(f, "phase");
	if (!json_is_string(phase) || !phase_parse(json_string_value(phase), &out->phase))
		corrupt(f);
	out->sealed_by = get_sealed_by(f, "sealedBy");
	out->interrupted = get_bool(f, "interrupted");
	out->revision = (uint32_t)get_integer(f, "revision", 0, UINT32_MAX);
	parse_error(f, out);
	out->abort_reason = get_text(f, "abortReason", LIMIT_REASON_CHARS);
	out->ts = get_time(f, "ts");
	out->created_ms = get_time(f, "createdAt");
	out->updated_ms = get_time(f, "updatedAt");
	out->sealed_ms = get_time(f, "sealedAt");
}

static void parse_upload(struct fields *f, struct recording_info *out)
{
	json_t *object = get(f, "upload");
	struct fields u = { .object = object, .err = f->err };
	out->batch = get_text(f, "batch", LIMIT_BATCH_ID_CHARS);
	out->batch_key = get_text(f, "key", LIMIT_ITEM_KEY_CHARS);
	out->meta = get_text(f, "meta", LIMIT_ITEM_META_BYTES);
	out->has_item = get_sha256(f, "item", &out->item);
	if (!out->batch != !out->batch_key || (object && !json_is_object(object)))
		corrupt(f);
	if (!object || f->err)
		return;
	out->upload.kind = (enum upload_kind)get_integer(&u, "kind", UPLOAD_WHOLE, UPLOAD_FINAL);
	out->upload.length = get(&u, "length") ? get_number(&u, "length") : BYTES_UNKNOWN;
	out->upload.metadata = get_text(&u, "metadata", LIMIT_UPLOAD_METADATA_BYTES);
	out->upload.parts = get_text(&u, "parts", LIMIT_UPLOAD_PARTS * UUID_TEXT);
	out->upload.concat = get_text(&u, "concat", LIMIT_HTTP_HEADERS_BYTES);
	f->err = u.err;
}

static enum err parse_object(const json_t *object, struct recording_info *out)
{
	struct fields f = { .object = object };
	json_t *id = get(&f, "id");
	if (!json_is_string(id) || !uuid_parse(json_string_value(id), &out->id))
		return ERR_CORRUPT;
	out->principal = get_text(&f, "principal", LIMIT_PRINCIPAL_CHARS);
	out->session_id = get_text(&f, "sessionId", LIMIT_SESSION_ID_CHARS);
	out->ref = get_text(&f, "ref", LIMIT_REF_CHARS);
	out->name = get_text(&f, "name", LIMIT_NAME_CHARS);
	out->mime = get_text(&f, "mime", LIMIT_MIME_CHARS);
	out->ext = get_text(&f, "ext", LIMIT_EXT_CHARS);
	out->source_url = get_text(&f, "sourceUrl", LIMIT_URL_CHARS);
	out->on_demand = get_bool(&f, "onDemand");
	out->show = get_text(&f, "show", LIMIT_SHOW_CHARS);
	out->version = (uint32_t)get_integer(&f, "version", 0, UINT32_MAX);
	out->first = (uint32_t)get_integer(&f, "firstVersion", 0, UINT32_MAX);
	out->shift = get_number(&f, "shift");
	if (!out->principal || (out->show && (out->version == 0 || out->first == 0 || out->first > out->version)))
		corrupt(&f);
	parse_upload(&f, out);
	parse_state(&f, out);
	parse_declared(&f, out);
	json_t *tracks = get_array(&f, "tracks", LIMIT_TRACKS);
	for (size_t i = 0; f.err == ERR_OK && i < json_array_size(tracks); i++)
		f.err = parse_track(json_array_get(tracks, i), out);
	return f.err;
}

enum err manifest_parse(const char *text, size_t len, struct recording_info *out)
{
	*out = (struct recording_info){ 0 };
	if (len > LIMIT_MANIFEST_BYTES)
		return ERR_CORRUPT;
	json_error_t error;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!root) /* a take must not go to quarantine because memory was short */
		return json_error_code(&error) == json_error_out_of_memory ? ERR_NO_MEMORY : ERR_CORRUPT;
	enum err err = json_is_object(root) ? parse_object(root, out) : ERR_CORRUPT;
	json_decref(root);
	if (err != ERR_OK)
		recording_info_release(out);
	return err;
}
