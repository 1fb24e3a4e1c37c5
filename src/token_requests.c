/* The requests of `holdfast token`, see token_requests.h. */
#include "token_requests.h"

#include "proto/message.h"
#include "proto/problem.h"

#include <stdlib.h>
#include <string.h>

struct pending {
	void (*done)(void *arg, json_t *answer);
	void *arg;
};

json_t *refusal_json(enum err err, const char *message)
{
	return json_pack("{s:b, s:s, s:s}", "ok", 0, "code", err_code(err), "message",
			 message ? message : err_text(err));
}

static json_t *token_json(const struct auth_token *t, int64_t now_ms)
{
	char id[UUID_TEXT];
	json_t *scopes = json_array();
	for (unsigned i = 0; i < SCOPE_COUNT; i++)
		if (t->token.scopes & 1u << i)
			json_array_append_new(scopes, json_string(scope_name(i)));
	uuid_format(&t->token.recording, id);
	int64_t expires_ms = t->token.expires_s * 1000;
	bool limited = t->token.max_bytes != UINT64_MAX;
	const char *state = t->revoked_ms ? "revoked" : expires_ms <= now_ms ? "expired" : "valid";
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:o, s:s, s:o}", "id", t->token.id, "subject",
			 t->token.subject, "scopes", scopes, "recording",
			 t->token.has_recording ? json_string(id) : json_null(), "maxBytes",
			 limited ? json_integer((json_int_t)t->token.max_bytes) : json_null(), "createdAt",
			 (json_int_t)t->created_ms, "expiresAt", (json_int_t)expires_ms, "revokedAt",
			 t->revoked_ms ? json_integer(t->revoked_ms) : json_null(), "state", state, "device",
			 t->device ? json_string(t->device) : json_null());
}

static void changed(void *arg, enum err err, const char *token, const struct auth_token *about)
{
	struct pending *p = arg;
	json_t *answer = err == ERR_OK ? json_pack("{s:b}", "ok", 1) : refusal_json(err, NULL);
	if (err == ERR_OK && token)
		json_object_set_new(answer, "token", json_string(token));
	if (err == ERR_OK && about)
		json_object_set_new(answer, "about", token_json(about, about->created_ms));
	p->done(p->arg, answer);
	free(p);
}

static struct pending *pending_new(void (*done)(void *arg, json_t *answer), void *arg)
{
	struct pending *p = calloc(1, sizeof *p);
	if (p)
		*p = (struct pending){ done, arg };
	else
		done(arg, NULL);
	return p;
}

/* --- reading --- */

static bool text_field(const json_t *request, const char *field, const char **out)
{
	const json_t *value = json_object_get(request, field);
	*out = json_string_value(value);
	return !value || (*out && strlen(*out) == json_string_length(value));
}

/* NULL when the wish is understood, else a sentence. */
static const char *wish_read(const json_t *request, int64_t now_ms, struct auth_wish *wish)
{
	const json_t *scopes = json_object_get(request, "scopes"), *max = json_object_get(request, "maxBytes");
	const char *recording;
	uint64_t expires_in_ms;
	*wish = (struct auth_wish){ .max_bytes = UINT64_MAX };
	for (size_t i = 0; i < json_array_size(scopes); i++) {
		const json_t *name = json_array_get(scopes, i);
		unsigned scope;
		if (!json_is_string(name) || !scope_parse(json_string_value(name), json_string_length(name), &scope))
			return "A scope is record, listen, play, import or admin.";
		wish->scopes |= scope;
	}
	if (wish->scopes == 0)
		return "A scope is missing.";
	if (!text_field(request, "subject", &wish->subject) || !text_field(request, "device", &wish->device))
		return "subject and device must be text.";
	if (wish->subject && strcmp(wish->subject, PRINCIPAL_LOCAL) == 0)
		return "The subject local is for those who need no token.";
	if (!text_field(request, "recording", &recording) || (recording && !uuid_parse(recording, &wish->recording)))
		return "The recording must be the id of one.";
	wish->has_recording = recording != NULL;
	if (max && (!json_count(max, &wish->max_bytes) || wish->max_bytes == 0))
		return "maxBytes must be a whole number from 1 to 2^53 - 1.";
	if (!json_count(json_object_get(request, "expiresInMs"), &expires_in_ms) || expires_in_ms < 1000)
		return "A token must be good for a second at least.";
	wish->expires_ms = now_ms + (int64_t)expires_in_ms;
	return NULL;
}

/* --- the requests --- */

struct asked {
	struct auth *auth;
	const json_t *request;
	int64_t now_ms;
	void (*done)(void *arg, json_t *answer);
	void *arg;
};

static void mint(const struct asked *a)
{
	struct auth_wish wish;
	const char *wrong = wish_read(a->request, a->now_ms, &wish);
	struct pending *p = wrong ? NULL : pending_new(a->done, a->arg);
	if (wrong)
		a->done(a->arg, refusal_json(ERR_BAD_FIELD, wrong));
	else if (p)
		auth_mint(a->auth, &wish, a->now_ms, changed, p);
}

static void revoke(const struct asked *a)
{
	const char *id;
	bool given = text_field(a->request, "id", &id) && id;
	struct pending *p = given ? pending_new(a->done, a->arg) : NULL;
	if (!given)
		a->done(a->arg, refusal_json(ERR_BAD_FIELD, "The id is missing."));
	else if (p)
		auth_revoke(a->auth, id, a->now_ms, changed, p);
}

static void rotate(const struct asked *a)
{
	struct pending *p = pending_new(a->done, a->arg);
	if (p)
		auth_rotate(a->auth, a->now_ms, changed, p);
}

static void list(const struct asked *a)
{
	json_t *tokens = json_array();
	const struct auth_token *t;
	for (size_t i = 0; (t = auth_list(a->auth, i)); i++)
		json_array_append_new(tokens, token_json(t, a->now_ms));
	a->done(a->arg, json_pack("{s:b, s:o}", "ok", 1, "tokens", tokens));
}

static void pair(const struct asked *a)
{
	char pairing[PAIRING_TEXT];
	int64_t expires_ms;
	auth_pairing(a->auth, a->now_ms, pairing, &expires_ms);
	a->done(a->arg, *pairing ? json_pack("{s:b, s:s, s:I}", "ok", 1, "pairing", pairing, "expiresAt",
					     (json_int_t)expires_ms)
				 : refusal_json(ERR_NO_MEMORY, NULL));
}

static const struct {
	const char *what;
	void (*run)(const struct asked *a);
	const char *fields[8];
} requests[] = {
	{ "token.mint", mint, { "do", "scopes", "subject", "device", "recording", "maxBytes", "expiresInMs" } },
	{ "token.list", list, { "do" } },
	{ "token.revoke", revoke, { "do", "id" } },
	{ "token.rotate", rotate, { "do" } },
	{ "token.pair", pair, { "do" } },
};

enum { REQUESTS = sizeof requests / sizeof *requests };

static unsigned request_find(const char *what)
{
	unsigned i = 0;
	while (i < REQUESTS && (!what || strcmp(requests[i].what, what) != 0))
		i++;
	return i;
}

bool token_request_is(const char *what)
{
	return request_find(what) < REQUESTS;
}

static bool fields_known(const json_t *request, const char *const *fields)
{
	size_t known = 0;
	for (; *fields; fields++)
		known += json_object_get(request, *fields) != NULL;
	return known == json_object_size(request);
}

void token_request(struct auth *a, const json_t *request, int64_t now_ms, void (*done)(void *arg, json_t *answer),
		   void *arg)
{
	const struct asked asked = { a, request, now_ms, done, arg };
	unsigned i = request_find(json_string_value(json_object_get(request, "do")));
	if (i == REQUESTS)
		done(arg, refusal_json(ERR_UNKNOWN_TYPE, "This request is unknown."));
	else if (!fields_known(request, requests[i].fields))
		done(arg, refusal_json(ERR_BAD_FIELD, "The request has a field that is unknown."));
	else
		requests[i].run(&asked);
}
