/* Control messages in and out, see message.h. */
#include "proto/message.h"

#include "base/limits.h"
#include "proto/problem.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LIMIT_TRACKS == 16, "a sentence below names it");

/* What every reader of a field needs. */
struct fields {
	const json_t *object;
	char *detail;
	size_t detail_size;
};

static enum err refuse(const struct fields *f, enum err err, const char *field, const char *rule)
{
	if (f->detail_size > 0)
		snprintf(f->detail, f->detail_size, "%s%s%s", field, *field ? " " : "", rule);
	return err;
}

/* The value of a field; null counts as absent. */
static const json_t *field_get(const struct fields *f, const char *field)
{
	const json_t *value = json_object_get(f->object, field);
	return json_is_null(value) ? NULL : value;
}

/* Text of 1 to max_chars characters, copied into *out. */
static enum err text_copy(const struct fields *f, const char *field, const json_t *value, size_t max_chars, char **out)
{
	if (!json_is_string(value))
		return refuse(f, ERR_BAD_FIELD, field, "must be a string.");
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);
	if (len == 0)
		return refuse(f, ERR_BAD_FIELD, field, "must not be empty.");
	if (strlen(text) != len || !text_valid(text, SIZE_MAX))
		return refuse(f, ERR_BAD_FIELD, field, "must not hold control characters.");
	if (!text_valid(text, max_chars))
		return refuse(f, ERR_BAD_FIELD, field, "is too long.");
	*out = strdup(text);
	return *out ? ERR_OK : ERR_NO_MEMORY;
}

/* An optional text; empty counts as absent (a recorder that doesn't know its type yet sends ""). */
static enum err text_read(const struct fields *f, const char *field, size_t max_chars, char **out)
{
	const json_t *value = field_get(f, field);
	if (!value || (json_is_string(value) && json_string_length(value) == 0))
		return ERR_OK;
	return text_copy(f, field, value, max_chars, out);
}

static enum err bool_read(const struct fields *f, const char *field, bool *out)
{
	const json_t *value = field_get(f, field);
	if (value && !json_is_boolean(value))
		return refuse(f, ERR_BAD_FIELD, field, "must be true or false.");
	*out = json_is_true(value);
	return ERR_OK;
}

/* A whole number below 2^53; *out is untouched when it is absent. */
static enum err count_read(const struct fields *f, const char *field, uint64_t *out)
{
	const json_t *value = field_get(f, field);
	if (!value)
		return ERR_OK;
	if (!json_count(value, out))
		return refuse(f, ERR_BAD_FIELD, field, "must be a whole number from 0 to 2^53 - 1.");
	return ERR_OK;
}

/* An extension becomes the end of a file's name when it is downloaded. */
static bool ext_valid(const char *ext)
{
	if (*ext == '.')
		return false;
	for (; *ext; ext++) {
		bool letter =
			(*ext >= 'a' && *ext <= 'z') || (*ext >= 'A' && *ext <= 'Z') || (*ext >= '0' && *ext <= '9');
		if (!letter && !strchr(".-_+", *ext))
			return false;
	}
	return true;
}

static enum err tracks_read(const struct fields *f, struct message_start *start)
{
	const json_t *list = field_get(f, "tracks");
	if (!list)
		return ERR_OK;
	size_t count = json_array_size(list);
	if (!json_is_array(list) || count == 0 || count > LIMIT_TRACKS)
		return refuse(f, ERR_BAD_FIELD, "tracks", "must be a list of 1 to 16 names.");
	start->tracks = calloc(count, sizeof *start->tracks);
	if (!start->tracks)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		enum err err = text_copy(f, "tracks", json_array_get(list, i), LIMIT_TRACK_CHARS, &start->tracks[i]);
		if (err)
			return err;
		start->tracks_count++;
		for (size_t k = 0; k < i; k++)
			if (strcmp(start->tracks[k], start->tracks[i]) == 0)
				return refuse(f, ERR_BAD_FIELD, "tracks", "must not name a track twice.");
	}
	return ERR_OK;
}

static enum err track_read(const struct fields *f, char **out)
{
	const json_t *value = field_get(f, "track");
	return value ? text_copy(f, "track", value, LIMIT_TRACK_CHARS, out) : ERR_OK;
}

static enum err token_read(const struct fields *f, char **out)
{
	const json_t *value = field_get(f, "token");
	return value ? text_copy(f, "token", value, LIMIT_AUTHORITY_TOKEN_CHARS, out) : ERR_OK;
}

static enum err show_read(const struct fields *f, char **out)
{
	const json_t *value = field_get(f, "show");
	return value ? text_copy(f, "show", value, LIMIT_SHOW_CHARS, out) : ERR_OK;
}

static enum err batch_read(const struct fields *f, char **out)
{
	const json_t *value = field_get(f, "batchId");
	return value ? text_copy(f, "batchId", value, LIMIT_BATCH_ID_CHARS, out) : ERR_OK;
}

static enum err stop_read(const struct fields *f, struct message *m)
{
	(void)f;
	(void)m;
	return ERR_OK;
}

static enum err id_read(const struct fields *f, struct message_start *start)
{
	const json_t *value = field_get(f, "id");
	if (!value)
		return ERR_OK;
	start->has_id = json_is_string(value) && json_string_length(value) == UUID_TEXT - 1 &&
			uuid_parse(json_string_value(value), &start->id);
	if (!start->has_id)
		return refuse(f, ERR_BAD_FIELD, "id", "must be a recording's id.");
	if (start->show || field_get(f, "sessionId"))
		return refuse(f, ERR_BAD_FIELD, "id", "must stand without sessionId and show.");
	return ERR_OK;
}

static enum err start_read(const struct fields *f, struct message *m)
{
	struct message_start *start = &m->start;
	start->from = MESSAGE_NO_BYTES;
	const json_t *session = field_get(f, "sessionId");
	uint64_t ts = 0;
	enum err err = show_read(f, &start->show);
	if (!err)
		err = id_read(f, start);
	if (err)
		return err;
	if (!session && !start->show && !start->has_id)
		return refuse(f, ERR_BAD_FIELD, "sessionId", "is missing.");
	if ((session && (err = text_copy(f, "sessionId", session, LIMIT_SESSION_ID_CHARS, &start->session_id))) ||
	    (err = text_read(f, "mime", LIMIT_MIME_CHARS, &start->mime)) ||
	    (err = text_read(f, "ext", LIMIT_EXT_CHARS, &start->ext)) ||
	    (err = text_read(f, "name", LIMIT_NAME_CHARS, &start->name)) || (err = track_read(f, &start->track)) ||
	    (err = token_read(f, &start->token)) || (err = tracks_read(f, start)) ||
	    (err = bool_read(f, "resume", &start->resume)) || (err = bool_read(f, "part", &start->part)) ||
	    (err = count_read(f, "from", &start->from)) || (err = count_read(f, "ts", &ts)))
		return err;
	if (start->ext && !ext_valid(start->ext))
		return refuse(f, ERR_BAD_FIELD, "ext", "must be letters, digits and any of . - _ + only.");
	start->ts = (int64_t)ts;
	bool one = !start->tracks && (!start->track || strcmp(start->track, "main") == 0);
	if (start->show && !one)
		return refuse(f, ERR_BAD_FIELD, "track", "must be main: a show is one stream.");
	if (start->has_id && !one)
		return refuse(f, ERR_BAD_FIELD, "track", "must be main: an item is one file.");
	return ERR_OK;
}

static enum err end_read(const struct fields *f, struct message *m)
{
	if (!field_get(f, "totalBytes"))
		return refuse(f, ERR_BAD_FIELD, "totalBytes", "is missing.");
	enum err err = count_read(f, "totalBytes", &m->end.total_bytes);
	if (err)
		return err;
	const json_t *sha256 = field_get(f, "sha256");
	if (!sha256)
		return ERR_OK;
	if (!json_is_string(sha256) || json_string_length(sha256) != 64 ||
	    !sha256_parse(json_string_value(sha256), m->end.sha256))
		return refuse(f, ERR_BAD_FIELD, "sha256", "must be 64 hexadecimal digits.");
	m->end.has_sha256 = true;
	return ERR_OK;
}

static enum err abort_read(const struct fields *f, struct message *m)
{
	return text_read(f, "reason", LIMIT_REASON_CHARS, &m->abort_reason);
}

enum { ID_CHARS = sizeof "session:" - 1 + LIMIT_SESSION_ID_CHARS };

static enum err subscribe_read(const struct fields *f, struct message *m)
{
	const json_t *id = field_get(f, "id");
	enum err err = bool_read(f, "all", &m->subscribe.all);
	if (!err && id)
		err = text_copy(f, "id", id, ID_CHARS, &m->subscribe.id);
	if (!err)
		err = show_read(f, &m->subscribe.show);
	if (!err)
		err = batch_read(f, &m->subscribe.batch);
	bool batch = m->subscribe.batch, show = m->subscribe.show;
	if (!err && m->subscribe.all + (id != NULL) + batch + show != 1)
		err = refuse(f, ERR_BAD_FIELD, "", "Either all must be true or id, batchId or show be given.");
	return err ? err : token_read(f, &m->subscribe.token);
}

/* --- slices --- */

/* Whole numbers as such: they were read as what every language's number is. The value is mended in place. */
static json_t *numbers_mend(json_t *value)
{
	const char *key;
	json_t *inner;
	size_t i;
	void *next;
	if (json_is_real(value)) {
		double number = json_real_value(value);
		bool whole = number > -(double)LIMIT_NUMBER && number < (double)LIMIT_NUMBER &&
			     (double)(json_int_t)number == number;
		return whole ? json_integer((json_int_t)number) : json_incref(value);
	}
	json_object_foreach_safe(value, next, key, inner) json_object_set_new(value, key, numbers_mend(inner));
	json_array_foreach(value, i, inner) json_array_set_new(value, i, numbers_mend(inner));
	return json_incref(value);
}

static enum err meta_read(const struct fields *f, char **out)
{
	const json_t *value = field_get(f, "meta");
	if (!value)
		return ERR_OK;
	if (!json_is_object(value))
		return refuse(f, ERR_BAD_FIELD, "meta", "must be an object.");
	json_t *copy = json_deep_copy(value);
	json_t *mended = copy ? numbers_mend(copy) : NULL;
	*out = mended ? json_dumps(mended, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(mended);
	json_decref(copy);
	if (!*out)
		return ERR_NO_MEMORY;
	if (strlen(*out) > LIMIT_ITEM_META_BYTES)
		return refuse(f, ERR_BAD_FIELD, "meta", "is larger than 4 KiB.");
	return ERR_OK;
}

_Static_assert(LIMIT_ITEM_META_BYTES == 4096 && LIMIT_SLICE_ITEMS == 100, "sentences name them");

/* All but its key. */
static enum err item_fields(const struct fields *f, struct message_item *item)
{
	enum err err;
	if ((err = text_read(f, "name", LIMIT_NAME_CHARS, &item->name)) ||
	    (err = text_read(f, "mime", LIMIT_MIME_CHARS, &item->mime)) ||
	    (err = text_read(f, "ext", LIMIT_EXT_CHARS, &item->ext)) ||
	    (err = text_read(f, "sourceUrl", LIMIT_URL_CHARS, &item->source_url)) ||
	    (err = count_read(f, "bytes", &item->bytes)) || (err = meta_read(f, &item->meta)))
		return err;
	if (item->ext && !ext_valid(item->ext))
		return refuse(f, ERR_BAD_FIELD, "ext", "must be letters, digits and any of . - _ + only.");
	if (item->bytes != MESSAGE_NO_BYTES && item->bytes > LIMIT_UPLOAD_BYTES)
		return refuse(f, ERR_BAD_FIELD, "bytes", "is more than any file has.");
	return ERR_OK;
}

/* What is wrong with one item is that item's error, as long as it has a key to be named by. */
static enum err item_read(const struct fields *f, const json_t *value, struct message_item *item)
{
	char why[160] = "";
	struct fields inner = { .object = value, .detail = f->detail, .detail_size = f->detail_size };
	item->bytes = MESSAGE_NO_BYTES;
	if (!json_is_object(value))
		return refuse(f, ERR_BAD_FIELD, "items", "must be a list of objects.");
	const json_t *key = field_get(&inner, "key");
	if (!key)
		return refuse(f, ERR_BAD_FIELD, "key", "is missing.");
	enum err err = text_copy(&inner, "key", key, LIMIT_ITEM_KEY_CHARS, &item->key);
	if (err)
		return err;
	inner.detail = why;
	inner.detail_size = sizeof why;
	item->err = item_fields(&inner, item);
	if (!item->err)
		return ERR_OK;
	item->why = strdup(why);
	return item->err == ERR_NO_MEMORY || !item->why ? ERR_NO_MEMORY : ERR_OK;
}

static enum err items_read(const struct fields *f, struct message_slice *slice)
{
	const json_t *list = field_get(f, "items");
	size_t count = json_array_size(list);
	if (!json_is_array(list) || count == 0 || count > LIMIT_SLICE_ITEMS)
		return refuse(f, ERR_BAD_FIELD, "items", "must be a list of 1 to 100 items.");
	slice->items = calloc(count, sizeof *slice->items);
	if (!slice->items)
		return ERR_NO_MEMORY;
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err; i++) {
		slice->count++;
		err = item_read(f, json_array_get(list, i), &slice->items[i]);
	}
	return err;
}

static enum err slice_read(const struct fields *f, struct message *m)
{
	struct message_slice *slice = &m->slice;
	const json_t *id = field_get(f, "sliceId");
	enum err err = id ? text_copy(f, "sliceId", id, LIMIT_SLICE_ID_CHARS, &slice->slice_id)
			  : refuse(f, ERR_BAD_FIELD, "sliceId", "is missing.");
	if (!err)
		err = batch_read(f, &slice->batch_id);
	if (!err && !slice->batch_id)
		err = refuse(f, ERR_BAD_FIELD, "batchId", "is missing.");
	if (!err)
		err = token_read(f, &slice->token);
	return err ? err : items_read(f, slice);
}

static void slice_release(struct message_slice *slice)
{
	for (uint32_t i = 0; i < slice->count; i++) {
		struct message_item *item = &slice->items[i];
		free(item->key);
		free(item->name);
		free(item->mime);
		free(item->ext);
		free(item->source_url);
		free(item->meta);
		free(item->why);
	}
	free(slice->items);
	free(slice->batch_id);
	free(slice->slice_id);
	free(slice->token);
}

static const struct {
	const char *name;
	enum message_type type;
	enum err (*read)(const struct fields *f, struct message *m);
} types[] = {
	{ "start", MESSAGE_START, start_read }, { "end", MESSAGE_END, end_read },
	{ "abort", MESSAGE_ABORT, abort_read }, { "subscribe", MESSAGE_SUBSCRIBE, subscribe_read },
	{ "stop", MESSAGE_STOP, stop_read },	{ "slice", MESSAGE_SLICE, slice_read },
};

static enum err typed_read(const struct fields *f, struct message *m)
{
	const json_t *type = json_object_get(f->object, "type");
	if (!json_is_string(type))
		return refuse(f, ERR_BAD_MESSAGE, "", "The message has no type.");
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		/* A name with a NUL inside is another name. */
		if (json_string_length(type) == strlen(types[i].name) &&
		    strcmp(json_string_value(type), types[i].name) == 0) {
			m->type = types[i].type;
			return types[i].read(f, m);
		}
	}
	return refuse(f, ERR_UNKNOWN_TYPE, "", err_text(ERR_UNKNOWN_TYPE));
}

enum err message_parse(const char *text, size_t len, struct message *out, char *detail, size_t detail_size)
{
	struct fields f = { .detail = detail, .detail_size = detail_size };
	*out = (struct message){ 0 };
	if (detail_size > 0)
		*detail = '\0';
	if (len > LIMIT_CONTROL_BYTES)
		return refuse(&f, ERR_MESSAGE_TOO_LARGE, "", err_text(ERR_MESSAGE_TOO_LARGE));
	const char *sentence;
	json_t *json;
	enum err err = json_read(text, len, &json, &sentence);
	if (err)
		return refuse(&f, err, "", sentence);
	f.object = json;
	struct message m = { 0 };
	err = typed_read(&f, &m);
	json_decref(json);
	if (err && m.type != MESSAGE_SUBSCRIBE && m.type != MESSAGE_SLICE)
		message_release(&m);
	*out = m;
	return err == ERR_NO_MEMORY ? refuse(&f, err, "", err_text(err)) : err;
}

void message_release(struct message *m)
{
	if (m->type == MESSAGE_START) {
		struct message_start *start = &m->start;
		free(start->session_id);
		free(start->show);
		free(start->mime);
		free(start->ext);
		free(start->name);
		free(start->track);
		free(start->token);
		for (uint32_t i = 0; i < start->tracks_count; i++)
			free(start->tracks[i]);
		free(start->tracks);
	} else if (m->type == MESSAGE_ABORT) {
		free(m->abort_reason);
	} else if (m->type == MESSAGE_SUBSCRIBE) {
		free(m->subscribe.id);
		free(m->subscribe.show);
		free(m->subscribe.batch);
		free(m->subscribe.token);
	} else if (m->type == MESSAGE_SLICE) {
		slice_release(&m->slice);
	}
	*m = (struct message){ 0 };
}
