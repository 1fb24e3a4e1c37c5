/* What the server said, read as a client reads it. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static void tally_message(struct world *w, const struct message_in *m)
{
	static const enum tally_item items[] = { TALLY_STARTED, TALLY_ACKS, TALLY_SAVED, TALLY_ERRORS, TALLY_ERRORS };
	if (m->said < SAID_STATUS)
		world_tally(w, items[m->said]);
	if (m->said == SAID_STATUS)
		world_tally(w, TALLY_STATUSES);
	if (m->said == SAID_STARTED && m->resumed)
		world_tally(w, TALLY_RESUMED);
	if (strcmp(m->code, "taken_over") == 0)
		world_tally(w, TALLY_TAKEN_OVER);
	if (strcmp(m->code, "storage_full") == 0)
		world_tally(w, TALLY_FULL);
}

void wire_parse(struct world *w, const char *text, size_t len, struct message_in *out)
{
	static const char *const types[] = { "started", "ack",	      "saved", "aborted", "error",
					     "status",	"subscribed", "moved", "stopped" };
	memset(out, 0, sizeof *out);
	out->said = SAID_OTHER;
	out->bytes = BYTES_UNKNOWN;
	json_t *json = json_loadb(text, len, 0, NULL);
	const char *type = json_string_value(json_object_get(json, "type"));
	if (!type)
		sim_fail(&w->sim, "wire", "the server said %.*s", (int)len, text);
	for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
		if (strcmp(type, types[i]) == 0)
			out->said = (enum said)i;
	}
	const char *of = json_string_value(json_object_get(json, "of"));
	if (out->said == SAID_ERROR && of && strcmp(of, "subscription") == 0)
		out->said = SAID_NOT_SUBSCRIBED;
	if (out->said == SAID_ERROR && of && strcmp(of, "slice") == 0)
		out->said = SAID_OTHER; /* it detaches nothing */
	const char *id = json_string_value(json_object_get(json, "id"));
	snprintf(out->id, sizeof out->id, "%s", id ? id : "");
	const char *code = json_string_value(json_object_get(json, "code"));
	snprintf(out->code, sizeof out->code, "%s", code ? code : "");
	const json_t *bytes = json_object_get(json, "bytes");
	if (bytes && out->said < SAID_STATUS)
		out->bytes = (uint64_t)json_integer_value(bytes);
	const char *session = json_string_value(json_object_get(json, "sessionId"));
	snprintf(out->session, sizeof out->session, "%s", session ? session : "");
	out->version = (uint32_t)json_integer_value(json_object_get(json, "version"));
	out->from = (uint64_t)json_integer_value(json_object_get(json, "from"));
	out->resumed = json_is_true(json_object_get(json, "resumed"));
	out->retry = json_is_true(json_object_get(json, "retry"));
	const char *sha = json_string_value(json_object_get(json, "sha256"));
	for (unsigned i = 0; sha && i < 32; i++) {
		unsigned byte;
		out->has_sha256 = sscanf(sha + (size_t)2 * i, "%2x", &byte) == 1;
		out->sha256[i] = (uint8_t)byte;
	}
	json_decref(json);
	tally_message(w, out);
}
