/* Messages of the protocol, see wire.h. */
#include "wire.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum wire_type type;
	bool needs_bytes;
} types[] = {
	{ "started", WIRE_STARTED, true },  { "ack", WIRE_ACK, true },	    { "saved", WIRE_SAVED, true },
	{ "aborted", WIRE_ABORTED, false }, { "error", WIRE_ERROR, false },
};

static void get_text(const json_t *object, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));
	snprintf(out, size, "%s", text ? text : "");
}

static uint64_t get_count(const json_t *object, const char *key, uint64_t otherwise)
{
	const json_t *value = json_object_get(object, key);
	return json_is_integer(value) && json_integer_value(value) >= 0 ? (uint64_t)json_integer_value(value)
									: otherwise;
}

static bool read_message(const json_t *root, struct wire_message *out)
{
	const char *name = json_string_value(json_object_get(root, "type"));
	if (!name)
		return false;
	out->type = WIRE_UNKNOWN;
	out->bytes = get_count(root, "bytes", WIRE_NO_BYTES);
	uint64_t heartbeat = get_count(root, "heartbeatMs", 0);
	out->heartbeat_ms = heartbeat > UINT32_MAX ? UINT32_MAX : (uint32_t)heartbeat;
	out->resumed = json_is_true(json_object_get(root, "resumed"));
	out->retry = json_is_true(json_object_get(root, "retry"));
	get_text(root, "id", out->id, sizeof out->id);
	get_text(root, "url", out->url, sizeof out->url);
	get_text(root, "sha256", out->sha256, sizeof out->sha256);
	get_text(root, "code", out->code, sizeof out->code);
	get_text(root, "message", out->text, sizeof out->text);
	for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (strcmp(types[i].name, name) != 0)
			continue;
		out->type = types[i].type;
		if (types[i].needs_bytes && out->bytes == WIRE_NO_BYTES)
			return false;
	}
	if (out->type == WIRE_ABORTED)
		get_text(root, "reason", out->text, sizeof out->text);
	return out->type != WIRE_ERROR || *out->code;
}

bool wire_parse(const char *text, size_t len, struct wire_message *out)
{
	*out = (struct wire_message){ 0 };
	json_t *root = json_loadb(text, len, 0, NULL);
	bool ok = json_is_object(root) && read_message(root, out);
	json_decref(root);
	return ok;
}

static char *dump(json_t *root)
{
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}

static void set_text(json_t *root, const char *key, const char *value)
{
	if (value)
		json_object_set_new(root, key, json_string(value));
}

char *wire_format_start(const struct wire_start *start)
{
	json_t *root = json_pack("{s:s, s:s}", "type", "start", "sessionId", start->session_id);
	if (!root)
		return NULL;
	set_text(root, "mime", start->mime);
	set_text(root, "ext", start->ext);
	set_text(root, "name", start->name);
	set_text(root, "track", start->track);
	json_object_set_new(root, "from", json_integer((json_int_t)start->from));
	if (start->resume)
		json_object_set_new(root, "resume", json_true());
	set_text(root, "token", start->token);
	if (start->tracks) {
		json_t *tracks = json_array();
		for (const char *const *track = start->tracks; *track; track++)
			json_array_append_new(tracks, json_string(*track));
		json_object_set_new(root, "tracks", tracks);
	}
	return dump(root);
}

char *wire_format_end(uint64_t total_bytes, const char *sha256_or_null)
{
	json_t *root = json_pack("{s:s, s:I}", "type", "end", "totalBytes", (json_int_t)total_bytes);
	if (root)
		set_text(root, "sha256", sha256_or_null);
	return dump(root);
}

char *wire_format_abort(const char *reason_or_null)
{
	json_t *root = json_pack("{s:s}", "type", "abort");
	if (root)
		set_text(root, "reason", reason_or_null);
	return dump(root);
}
