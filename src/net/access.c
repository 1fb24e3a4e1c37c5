/* Routes about who may do what: pairing, signed URLs, and what the server and the asker's grant are. */
#include "net/private.h"

#include "proto/message.h"
#include "proto/problem.h"

#include <stdlib.h>
#include <string.h>

/* The object, which is given back; NULL: out of memory. Nothing of these answers may be kept. */
static void json_answer(struct request *r, json_t *object)
{
	struct buf text;
	buf_init(&text);
	if (object)
		json_format(&text, object);
	if (!object || text.failed)
		request_problem(r, ERR_NO_MEMORY, NULL, NULL);
	else
		request_answer(r, &(struct answer){ .status = 200,
						    .type = "application/json",
						    .headers = "Cache-Control: no-store\r\n",
						    .body = text.data,
						    .len = text.len });
	json_decref(object);
	buf_release(&text);
}

static json_t *scopes_json(unsigned scopes)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < SCOPE_COUNT; i++)
		if (scopes & 1u << i)
			json_array_append_new(list, json_string(scope_name(i)));
	return list;
}

/* --- GET /api/server --- */

void access_server(struct request *r)
{
	struct engine_status s = { 0 };
	const struct grant *g = &r->grant;
	const char *version = r->net->config.version;
	engine_status(r->net->engine, &s);
	json_t *grant = json_pack("{s:s, s:o, s:b, s:o}", "subject", g->subject, "scopes", scopes_json(g->scopes),
				  "local", grant_is_local(g), "expiresAt",
				  g->expires_ms == INT64_MAX ? json_null() : json_integer(g->expires_ms));
	json_answer(r, json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "version", version ? version : "", "time",
				 (json_int_t)net_now(r->net).wall_ms, "freeBytes", (json_int_t)s.free_bytes,
				 "totalBytes", (json_int_t)s.total_bytes, "reserveBytes", (json_int_t)s.reserve_bytes,
				 "secure", r->peer->tls, "lan", r->net->lan != NULL, "grant", grant));
}

/* --- POST /api/pair --- */

/* An optional text; false when it is something else. */
static bool text_field(const json_t *body, const char *field, size_t max_chars, const char **out)
{
	const json_t *value = json_object_get(body, field);
	*out = json_string_value(value);
	if (!value || json_is_null(value))
		return true;
	return *out && strlen(*out) == json_string_length(value) && text_valid(*out, max_chars);
}

static void paired(void *arg, enum err err, const char *token, const struct auth_token *about)
{
	struct request *r = arg;
	r->pending = false;
	if (!r->peer)
		request_settle(r); /* a lost reply: the nonce gets it again */
	else if (err != ERR_OK)
		request_problem(r, err, NULL, NULL);
	else
		json_answer(r, json_pack("{s:s, s:s, s:o, s:I}", "token", token, "subject", about->token.subject,
					 "scopes", scopes_json(about->token.scopes), "expiresAt",
					 (json_int_t)about->token.expires_s * 1000));
}

void access_pair(struct request *r)
{
	struct auth_pair pair;
	json_t *body;
	if (!request_json(r, false, &body))
		return;
	const char *wrong = NULL;
	if (!text_field(body, "pairing", LIMIT_TOKEN_CHARS, &pair.pairing) || !pair.pairing)
		wrong = "pairing must be a string.";
	else if (!text_field(body, "nonce", LIMIT_NONCE_CHARS, &pair.nonce))
		wrong = "nonce must be a string of at most 64 characters.";
	else if (!text_field(body, "device", LIMIT_NAME_CHARS, &pair.device))
		wrong = "device must be a string of at most 200 characters, none of them a control character.";
	else if (!text_field(body, "token", LIMIT_TOKEN_CHARS, &pair.token))
		wrong = "token must be a string.";
	_Static_assert(LIMIT_NONCE_CHARS == 64 && LIMIT_NAME_CHARS == 200, "the sentences name them");
	if (wrong || !r->net->config.auth) {
		request_problem(r, wrong ? ERR_BAD_FIELD : ERR_NOT_SUPPORTED, wrong, NULL);
	} else {
		r->pending = true;
		auth_pair(r->net->config.auth, &pair, net_now(r->net).wall_ms, paired, r);
	}
	json_decref(body);
}

/* --- POST /api/recordings/{id}/sign --- */

/* A name as it stands in a query. */
static void percent_encode(struct buf *out, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			     strchr("-_.", *p);
		if (plain)
			buf_add(out, p, 1);
		else
			buf_addf(out, "%%%02X", *p);
	}
}

static bool has_track(const json_t *recording, const char *track)
{
	const json_t *tracks = json_object_get(recording, "tracks");
	for (size_t i = 0; i < json_array_size(tracks); i++) {
		const char *name = json_string_value(json_object_get(json_array_get(tracks, i), "track"));
		if (name && strcmp(name, track) == 0)
			return true;
	}
	return *track == '\0';
}

void access_url_answer(struct request *r, const struct auth_url *what)
{
	char text[UUID_TEXT], signature[SIGNATURE_TEXT];
	int64_t now_ms = net_now(r->net).wall_ms, expires_s = now_ms / 1000 + LIMIT_SIGNED_S;
	struct buf url;
	if (r->grant.expires_ms / 1000 < expires_s) /* nobody gives longer than they have */
		expires_s = r->grant.expires_ms / 1000;
	if (auth_sign(r->net->config.auth, what, expires_s, signature) != ERR_OK) {
		request_problem(r, ERR_NO_MEMORY, NULL, NULL);
		return;
	}
	buf_init(&url);
	if (what->show) {
		buf_addf(&url, "/live/%s?", what->show); /* a show's name needs no encoding */
	} else {
		uuid_format(&what->recording, text);
		buf_addf(&url, "/api/recordings/%s/%s?", text, what->what);
	}
	if (*what->track) {
		buf_add_text(&url, "track=");
		percent_encode(&url, what->track);
		buf_add_text(&url, "&");
	}
	buf_addf(&url, "exp=%lld&sig=%s", (long long)expires_s, signature);
	json_answer(r, url.failed
			       ? NULL
			       : json_pack("{s:s, s:I}", "url", url.data, "expiresAt", (json_int_t)expires_s * 1000));
	buf_release(&url);
}

/* The state of the recording came: it may be read. The body was judged before, but for the track, which it names. */
static void signed_for(void *arg, enum err err, const char *json, size_t len)
{
	struct request *r = arg;
	const char *detail;
	json_t *body, *recording = NULL;
	r->pending = false;
	if (!r->peer) {
		request_settle(r);
		return;
	}
	if (err == ERR_OK)
		err = json_read(json, len, &recording, &detail);
	if (err != ERR_OK) {
		request_problem(r, err, NULL, NULL);
		return;
	}
	if (request_json(r, false, &body)) {
		struct auth_url url = {
			.what = json_string_value(json_object_get(body, "what")),
			.track = json_string_value(json_object_get(body, "track")),
		};
		url.track = url.track ? url.track : "";
		if (!uuid_parse(json_string_value(json_object_get(recording, "id")), &url.recording) ||
		    !has_track(recording, url.track))
			request_problem(r, ERR_NOT_FOUND, "The recording has no track of this name.", NULL);
		else
			access_url_answer(r, &url);
		json_decref(body);
	}
	json_decref(recording);
}

void access_sign(struct request *r)
{
	const char *what, *track;
	json_t *body;
	if (!request_json(r, false, &body))
		return;
	const char *wrong = NULL;
	enum resource resource;
	if (!text_field(body, "what", LIMIT_NAME_CHARS, &what) || !what || !resource_parse(what, &resource))
		wrong = "what must be \"file\", \"original\", \"thumbnail\" or \"waveform\".";
	else if (!text_field(body, "track", LIMIT_TRACK_CHARS, &track))
		wrong = "track must be the name of a track.";
	else if (track && resource != RESOURCE_ORIGINAL)
		wrong = "track is for an original only.";
	json_decref(body);
	if (wrong || !r->net->config.auth) {
		request_problem(r, wrong ? ERR_BAD_FIELD : ERR_NOT_SUPPORTED, wrong, NULL);
		return;
	}
	r->pending = true;
	engine_get(r->net->engine, (struct engine_ref){ .text = r->id, .grant = &r->grant }, signed_for, r);
}
