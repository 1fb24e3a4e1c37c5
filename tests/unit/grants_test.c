/* The engine under grants: who sees, changes and goes on with which recordings, and how large a take may become. */
#include "support/engine_rig.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What tokens mean here: the subject is the text up to the first dot, the scopes are the letters behind it (r, p, a,
 * l), a number behind a second dot is the most bytes. "old" and "gone" are what their names say. */
static enum err grant_of(void *arg, const char *token, struct grant *out)
{
	char scopes[8] = "";
	unsigned long long max = 0;
	*out = (struct grant){ .max_bytes = UINT64_MAX, .expires_ms = INT64_MAX };
	(void)arg;
	if (strcmp(token, "old") == 0)
		return ERR_TOKEN_EXPIRED;
	if (strcmp(token, "gone") == 0)
		return ERR_TOKEN_REVOKED;
	if (sscanf(token, "%100[^.].%7[a-z].%llu", out->subject, scopes, &max) < 2)
		return ERR_UNAUTHORIZED;
	for (const char *p = scopes; *p; p++)
		out->scopes |= *p == 'r'   ? SCOPE_RECORD
			       : *p == 'p' ? SCOPE_PLAY
			       : *p == 'a' ? SCOPE_ADMIN
					   : SCOPE_LISTEN;
	if (max)
		out->max_bytes = max;
	snprintf(out->token_id, sizeof out->token_id, "%.22s", token);
	return ERR_OK;
}

static struct grant made(const char *token)
{
	struct grant g;
	assert_int_equal(grant_of(NULL, token, &g), ERR_OK);
	return g;
}

static int set_up(void **state)
{
	struct engine_rig *g = engine_rig_new(NULL);
	g->grant = grant_of;
	*state = g;
	return engine_rig_open(g);
}

static int tear_down(void **state)
{
	engine_rig_free(*state);
	return 0;
}

static uint64_t say_as(struct engine_rig *g, const struct grant *grant, const char *text)
{
	return engine_rig_say(g, engine_conn_open(g->e, grant, g->now), text);
}

static void assert_last(struct engine_rig *g, const char *part)
{
	if (!strstr(engine_rig_last(g), part))
		fail_msg("%s is not in %s", part, engine_rig_last(g));
}

static void close_conn(struct engine_rig *g, uint64_t conn)
{
	engine_conn_closed(g->e, conn, g->now);
	engine_rig_turn(g);
}

/* A take of this session by this token, of `len` bytes; its id. */
static char *record(struct engine_rig *g, const char *token, const char *session, size_t len)
{
	char text[200], *id = NULL;
	snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"%s\"%s%s%s}", session,
		 token ? ",\"token\":\"" : "", token ? token : "", token ? "\"" : "");
	uint64_t conn = say_as(g, token ? NULL : grant_local(), text);
	assert_last(g, "\"started\"");
	const char *at = strstr(engine_rig_last(g), "\"id\":\"");
	assert_non_null(at);
	id = strndup(at + 6, UUID_TEXT - 1);
	engine_rig_media(g, conn, 0, len);
	engine_rig_turn(g);
	close_conn(g, conn);
	return id;
}

struct answer {
	enum err err;
	char *json;
};

static void answered(void *arg, enum err err, const char *json, size_t len)
{
	struct answer *a = arg;
	free(a->json);
	a->err = err;
	a->json = json ? strndup(json, len) : NULL;
}

static enum err get(struct engine_rig *g, const char *ref, struct grant grant)
{
	struct answer a = { 0 };
	engine_get(g->e, (struct engine_ref){ ref, &grant }, answered, &a);
	engine_rig_turn(g);
	free(a.json);
	return a.err;
}

static enum err rename_as(struct engine_rig *g, const char *ref, struct grant grant)
{
	struct answer a = { 0 };
	engine_rename(g->e, (struct engine_ref){ ref, &grant }, "new", answered, &a);
	engine_rig_turn(g);
	free(a.json);
	return a.err;
}

static enum err complete_as(struct engine_rig *g, const char *ref, struct grant grant)
{
	struct answer a = { 0 };
	engine_complete(g->e, (struct engine_ref){ ref, &grant }, NULL, 0, answered, &a);
	engine_rig_turn(g);
	free(a.json);
	return a.err;
}

static enum err delete_as(struct engine_rig *g, const char *ref, struct grant grant)
{
	struct answer a = { 0 };
	engine_delete(g->e, (struct engine_ref){ ref, &grant }, answered, &a);
	engine_rig_turn(g);
	free(a.json);
	return a.err;
}

static void opened(void *arg, enum err err, const struct engine_original *original)
{
	*(enum err *)arg = err;
	(void)original;
}

static enum err original(struct engine_rig *g, const char *ref, struct grant grant)
{
	enum err err = ERR_INTERNAL;
	engine_original(g->e, (struct engine_ref){ ref, &grant }, NULL, opened, &err);
	engine_rig_turn(g);
	return err;
}

/* How many the list shows; -1 with an error. */
static int list(struct engine_rig *g, struct grant grant, const char *before)
{
	struct answer a = { 0 };
	int count = -1;
	engine_list(g->e, &(struct engine_query){ .grant = &grant, .before = before }, answered, &a);
	engine_rig_turn(g);
	if (a.err == ERR_OK)
		count = 0;
	for (const char *at = a.json; at && (at = strstr(at, "\"sessionId\"")); at++)
		count++;
	free(a.json);
	return count;
}

static void who_may_start(void **state)
{
	struct engine_rig *g = *state;
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\"}");
	assert_last(g, "\"unauthorized\"");
	assert_last(g, "\"retry\":false");
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"nonsense\"}");
	assert_last(g, "\"unauthorized\"");
	say_as(g, grant_local(), "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"nonsense\"}"); /* it wins */
	assert_last(g, "\"unauthorized\"");
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"old\"}");
	assert_last(g, "\"token_expired\"");
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"gone\"}");
	assert_last(g, "\"token_revoked\"");
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"a.p\"}");
	assert_last(g, "\"forbidden_scope\"");
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"a.l\"}");
	assert_last(g, "\"forbidden_scope\"");
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"\"}");
	assert_last(g, "\"bad_field\"");
	assert_int_equal(list(g, *grant_local(), NULL), 0);
	assert_int_equal(g->known, 2); /* whose tokens were good, if not for this */
	uint64_t conn = say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"a.r\"}");
	assert_last(g, "\"started\"");
	assert_int_equal(g->known, 3);
	/* again, by another: that is another take */
	engine_rig_say(g, conn, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"b.r\"}");
	assert_last(g, "\"session_open\"");
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"t\",\"token\":\"a.a\"}");
	assert_last(g, "\"started\"");
	struct grant bearer = made("a.r");
	conn = say_as(g, &bearer, "{\"type\":\"start\",\"sessionId\":\"u\"}");
	assert_last(g, "\"started\"");
	close_conn(g, conn);
	bearer.expires_ms = g->now.wall_ms;
	say_as(g, &bearer, "{\"type\":\"start\",\"sessionId\":\"u\"}");
	assert_last(g, "\"token_expired\"");
}

/* Does the state that this grant is shown name the take's session? */
static bool names_session(struct engine_rig *g, const char *ref, struct grant grant)
{
	struct answer a = { 0 };
	engine_get(g->e, (struct engine_ref){ ref, &grant }, answered, &a);
	engine_rig_turn(g);
	assert_int_equal(a.err, ERR_OK);
	bool named = strstr(a.json, "\"sessionId\":\"") != NULL;
	assert_true(named || strstr(a.json, "\"sessionId\":null"));
	free(a.json);
	return named;
}

/* Who knows the session of a take of `local` may change it: who may only read it is not told. */
static void session_is_a_secret(void **state)
{
	struct engine_rig *g = *state;
	struct answer a = { 0 };
	char *own = record(g, "a.r", "one", 1000), *local = record(g, NULL, "two", 1000), text[200];
	struct grant reader = made("a.rp");
	assert_true(names_session(g, local, *grant_local()));
	assert_true(names_session(g, local, made("c.a")));
	assert_true(names_session(g, own, made("a.r")));
	assert_true(names_session(g, own, reader));
	assert_false(names_session(g, local, reader));
	assert_false(names_session(g, local, made("b.p")));
	assert_true(names_session(g, "session:two", reader)); /* it said so itself */
	engine_list(g->e, &(struct engine_query){ .grant = &reader }, answered, &a);
	engine_rig_turn(g);
	assert_non_null(strstr(a.json, "\"sessionId\":\"one\""));
	assert_null(strstr(a.json, "\"two\""));
	free(a.json);
	g->room = UINT_MAX;
	uint64_t conn = say_as(g, &reader, "{\"type\":\"subscribe\",\"all\":true}");
	snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"id\":\"%s\"}", local);
	engine_rig_say(g, conn, text);
	assert_last(g, "\"subscribed\"");
	for (unsigned i = 0; i < g->sent_count; i++)
		assert_true(!strstr(g->sent[i], "\"of\":\"recording\"") || !strstr(g->sent[i], "\"two\""));
	free(own);
	free(local);
}

static void who_sees_what(void **state)
{
	struct engine_rig *g = *state;
	char *a = record(g, "a.r", "one", 1000), *b = record(g, "b.r", "two", 1000),
	     *l = record(g, NULL, "three", 1000);
	const char *const ids[] = { a, b, l };
	static const struct {
		const char *token;
		bool sees[3], changes[3];
		int listed;
	} rows[] = {
		{ "a.r", { true, false, false }, { true, false, false }, 1 },
		{ "b.r", { false, true, false }, { false, true, false }, 1 },
		{ "c.r", { false, false, false }, { false, false, false }, 0 },
		{ "a.p", { true, true, true }, { false, false, false }, 3 },
		{ "a.rp", { true, true, true }, { true, false, false }, 3 },
		{ "c.a", { true, true, true }, { true, true, true }, 3 },
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		struct grant grant = made(rows[r].token);
		for (unsigned i = 0; i < 3; i++) {
			enum err seen = rows[r].sees[i] ? ERR_OK : ERR_NOT_FOUND;
			enum err changed = rows[r].changes[i] ? ERR_OK
					   : rows[r].sees[i]  ? ERR_FORBIDDEN_SCOPE
							      : ERR_NOT_FOUND;
			assert_int_equal(get(g, ids[i], grant), seen);
			assert_int_equal(original(g, ids[i], grant), seen);
			assert_int_equal(rename_as(g, ids[i], grant), changed);
			if (changed)
				assert_int_equal(complete_as(g, ids[i], grant), changed);
			if (changed)
				assert_int_equal(delete_as(g, ids[i], grant), changed);
		}
		assert_int_equal(list(g, grant, NULL), rows[r].listed);
	}
	assert_int_equal(list(g, *grant_local(), NULL), 3);
	assert_int_equal(list(g, made("a.l"), NULL), -1);
	assert_int_equal(get(g, a, made("a.l")), ERR_FORBIDDEN_SCOPE);
	assert_int_equal(get(g, "nothing", made("a.l")), ERR_FORBIDDEN_SCOPE); /* it can't ask what there is */
	assert_int_equal(original(g, "nothing", made("a.l")), ERR_FORBIDDEN_SCOPE);
	assert_int_equal(get(g, "nothing", made("a.r")), ERR_NOT_FOUND);
	assert_int_equal(complete_as(g, a, made("a.r")), ERR_OK);
	assert_int_equal(delete_as(g, b, made("b.r")), ERR_OK);
	assert_int_equal(get(g, b, made("b.r")), ERR_DELETED);
	assert_int_equal(get(g, b, made("a.r")), ERR_NOT_FOUND);
	assert_int_equal(delete_as(g, l, made("c.a")), ERR_OK);
	free(a);
	free(b);
	free(l);
}

static void bound_to_one(void **state)
{
	struct engine_rig *g = *state;
	char *a = record(g, "a.r", "one", 1000), *b = record(g, "a.r", "two", 1000);
	struct grant grant = made("a.r"), play = made("x.p");
	grant.has_resource = play.has_resource = true;
	uuid_parse(a, &grant.resource);
	play.resource = grant.resource;
	assert_int_equal(get(g, a, grant), ERR_OK);
	assert_int_equal(get(g, b, grant), ERR_NOT_FOUND);
	assert_int_equal(get(g, a, play), ERR_OK);
	assert_int_equal(original(g, a, play), ERR_OK);
	assert_int_equal(get(g, b, play), ERR_NOT_FOUND);
	assert_int_equal(original(g, b, play), ERR_NOT_FOUND);
	assert_int_equal(rename_as(g, b, grant), ERR_NOT_FOUND);
	assert_int_equal(rename_as(g, a, grant), ERR_OK);
	assert_int_equal(rename_as(g, a, play), ERR_FORBIDDEN_SCOPE);
	assert_int_equal(list(g, grant, NULL), 1);
	assert_int_equal(list(g, play, NULL), 1);
	assert_int_equal(list(g, play, a), 0); /* the page behind it */
	assert_int_equal(list(g, play, b), 1);
	/* goes on with its own, and makes no other */
	uint64_t conn = say_as(g, &grant, "{\"type\":\"start\",\"sessionId\":\"one\"}");
	assert_last(g, "\"bytes\":1000");
	close_conn(g, conn);
	say_as(g, &grant, "{\"type\":\"start\",\"sessionId\":\"two\"}");
	assert_last(g, "\"forbidden_scope\"");
	say_as(g, &grant, "{\"type\":\"start\",\"sessionId\":\"new\"}");
	assert_last(g, "\"forbidden_scope\"");
	assert_int_equal(list(g, *grant_local(), NULL), 2);
	/* when it is gone there is nothing, and not the next one */
	play.resource = (struct uuid){ { 0 } };
	uuid_parse(b, &play.resource);
	assert_int_equal(delete_as(g, b, *grant_local()), ERR_OK);
	assert_int_equal(list(g, play, NULL), 0);
	free(a);
	free(b);
}

/* A take that began without a token goes on under one, in memory or from the catalog, before and after a restart. */
static void local_goes_on_under_a_token(void **state)
{
	struct engine_rig *g = *state;
	char *l = record(g, NULL, "mine", 1000), *other = NULL;
	for (int lives = 0; lives < 2; lives++) {
		uint64_t conn = say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"mine\",\"token\":\"a.r\"}");
		assert_last(g, "\"resumed\":true");
		assert_last(g, l);
		assert_last(g, "\"bytes\":1000");
		close_conn(g, conn);
		assert_int_equal(get(g, "session:mine", made("a.r")), ERR_OK); /* who knows its name */
		assert_int_equal(original(g, "session:mine", made("a.r")), ERR_OK);
		assert_int_equal(get(g, l, made("a.r")), ERR_NOT_FOUND); /* and not who knows its id */
		assert_int_equal(get(g, "session:mine", made("a.l")), ERR_FORBIDDEN_SCOPE);
		if (lives == 0) { /* from the catalog: sealed, and no longer in memory */
			engine_rig_pass(g, 31000);
			engine_rig_pass(g, 61000);
		}
		engine_rig_close(g);
		assert_int_equal(engine_rig_open(g), ERR_OK);
	}
	assert_int_equal(list(g, *grant_local(), NULL), 1);
	/* one's own comes before one of local */
	other = record(g, "b.r", "both", 10);
	free(record(g, NULL, "both", 20));
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"both\",\"token\":\"b.r\"}");
	assert_last(g, other);
	/* one of another subject is never gone on with */
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"both\",\"token\":\"c.r\"}");
	assert_last(g, "\"bytes\":20");
	free(record(g, "b.r", "private", 10));
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"private\",\"token\":\"c.r\"}");
	assert_last(g, "\"resumed\":false");
	say_as(g, grant_local(), "{\"type\":\"start\",\"sessionId\":\"private\"}");
	assert_last(g, "\"resumed\":false");
	free(l);
	free(other);
}

/* A local start and one under a token, at the same moment, when nothing is in memory: one take. */
static void both_at_once(void **state)
{
	struct engine_rig *g = *state;
	for (int order = 0; order < 4; order++) {
		char session[20], text[100], with[120];
		snprintf(session, sizeof session, "s%d", order);
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"%s\"}", session);
		snprintf(with, sizeof with, "{\"type\":\"start\",\"sessionId\":\"%s\",\"token\":\"a.r\"}", session);
		if (order >= 2) { /* it is in the catalog only */
			free(record(g, NULL, session, 10));
			engine_rig_close(g);
			assert_int_equal(engine_rig_open(g), ERR_OK);
		}
		uint64_t a = engine_conn_open(g->e, grant_local(), g->now), b = engine_conn_open(g->e, NULL, g->now);
		if (order % 2) {
			engine_conn_text(g->e, b, with, strlen(with), g->now);
			engine_conn_text(g->e, a, text, strlen(text), g->now);
		} else {
			engine_conn_text(g->e, a, text, strlen(text), g->now);
			engine_conn_text(g->e, b, with, strlen(with), g->now);
		}
		engine_rig_turn(g);
		/* the token first and nothing there: then there are two; else they meet, and the later one has it */
		assert_last(g, "\"type\":\"");
		int expected = order == 1 ? 2 : 1, before = order == 0 ? 0 : order == 1 ? 1 : order == 2 ? 3 : 4;
		assert_int_equal(list(g, *grant_local(), NULL), before + expected);
		close_conn(g, a);
		close_conn(g, b);
	}
}

static void quota(void **state)
{
	struct engine_rig *g = *state;
	char bytes[3000] = { 0 };
	uint64_t conn = say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"a.r.1000\"}");
	engine_rig_media(g, conn, 0, 1000);
	engine_rig_turn(g);
	assert_last(g, "\"bytes\":1000");
	engine_rig_media(g, conn, 1000, 1);
	engine_rig_turn(g);
	assert_last(g, "\"quota_exceeded\"");
	assert_last(g, "\"retry\":false");
	assert_last(g, "\"bytes\":1000");
	engine_rig_say(g, conn, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"a.r.1000\"}");
	assert_last(g, "\"bytes\":1000"); /* all of it is there, and can be ended */
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":1000}");
	assert_last(g, "\"saved\"");
	/* a message that is above it is refused whole, although its first piece would fit */
	conn = say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"t\",\"token\":\"a.r.1000\"}");
	engine_rig_media(g, conn, 0, 100);
	engine_conn_media(g->e, conn, (struct engine_media){ bytes, 500, { 0 }, 1500 }, g->now);
	engine_conn_media(g->e, conn, (struct engine_media){ bytes, 1500, { 0 }, 0 }, g->now);
	engine_rig_turn(g);
	struct answer a = { 0 };
	engine_get(g->e, (struct engine_ref){ "session:t", &(struct grant){ .subject = "a", .scopes = SCOPE_RECORD } },
		   answered, &a);
	engine_rig_turn(g);
	assert_non_null(strstr(a.json, "\"bytes\":100,"));
	free(a.json);
	/* of the whole take, all tracks together */
	uint64_t video =
		say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"u\",\"track\":\"video\",\"token\":\"a.r.1000\"}");
	uint64_t audio =
		say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"u\",\"track\":\"audio\",\"token\":\"a.r.1000\"}");
	engine_rig_media(g, video, 0, 600);
	engine_rig_media(g, audio, 0, 400);
	engine_rig_turn(g);
	assert_last(g, "\"bytes\":400");
	engine_rig_media(g, video, 600, 1);
	engine_rig_turn(g);
	assert_last(g, "\"quota_exceeded\"");
}

/* The token of a subscription is revoked while its recording is looked for. */
static void revoked_while_asked(void **state)
{
	struct engine_rig *g = *state;
	char text[200], *id = record(g, "a.r", "s", 1000);
	assert_int_equal(complete_as(g, id, made("a.r")), ERR_OK);
	engine_rig_close(g); /* the take leaves memory, so that it must be looked for */
	assert_int_equal(engine_rig_open(g), ERR_OK);
	uint64_t conn = engine_conn_open(g->e, NULL, g->now);
	snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"id\":\"%s\",\"token\":\"b.p\"}", id);
	engine_conn_text(g->e, conn, text, strlen(text), g->now);
	engine_revoke(g->e, "b.p", g->now);
	engine_rig_turn(g);
	assert_last(g, "\"token_revoked\"");
	assert_int_equal(g->closed, 1);
	close_conn(g, conn);
	conn = engine_conn_open(g->e, NULL, g->now);
	engine_conn_text(g->e, conn, text, strlen(text), g->now);
	engine_conn_closed(g->e, conn, g->now); /* the answer finds nobody */
	engine_rig_turn(g);
	free(id);
}

static void revoked(void **state)
{
	struct engine_rig *g = *state;
	struct grant bearer = made("a.r");
	uint64_t works = say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"a.r\"}");
	engine_rig_media(g, works, 0, 100);
	uint64_t other = say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"b.r\"}");
	uint64_t idle = engine_conn_open(g->e, &bearer, g->now);
	/* it came in by the one and works under another */
	uint64_t both = say_as(g, &bearer, "{\"type\":\"start\",\"sessionId\":\"t\",\"token\":\"b.r\"}");
	engine_rig_turn(g);
	engine_rig_forget(g);
	engine_revoke(g->e, "a.r", g->now);
	engine_rig_turn(g);
	assert_int_equal(g->sent_count, 3);
	for (unsigned i = 0; i < g->sent_count; i++)
		assert_non_null(strstr(g->sent[i], "\"token_revoked\""));
	assert_int_equal(g->closed, 3);
	close_conn(g, both);
	engine_rig_media(g, works, 100, 100); /* on its way: dropped */
	engine_rig_media(g, other, 0, 10);
	engine_rig_turn(g);
	assert_last(g, "\"bytes\":10"); /* nobody else is disturbed */
	close_conn(g, works);
	close_conn(g, idle);
	struct answer a = { 0 };
	engine_get(g->e, (struct engine_ref){ "session:s", &bearer }, answered, &a);
	engine_rig_turn(g);
	assert_non_null(strstr(a.json, "\"bytes\":100,")); /* what is durable stays */
	free(a.json);
}

static void following_needs_a_grant(void **state)
{
	struct engine_rig *g = *state;
	say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"a.r\"}");
	say_as(g, NULL, "{\"type\":\"subscribe\",\"all\":true}");
	assert_last(g, "\"unauthorized\"");
	say_as(g, NULL, "{\"type\":\"subscribe\",\"all\":true,\"token\":\"nonsense\"}");
	assert_last(g, "\"unauthorized\"");
	say_as(g, NULL, "{\"type\":\"subscribe\",\"all\":true,\"token\":\"a.l\"}");
	assert_last(g, "\"forbidden_scope\"");
	say_as(g, NULL, "{\"type\":\"subscribe\",\"id\":\"session:s\",\"token\":\"b.r\"}");
	assert_last(g, "\"not_found\""); /* it is somebody else's */
	engine_rig_forget(g);
	say_as(g, NULL, "{\"type\":\"subscribe\",\"all\":true,\"token\":\"b.r\"}");
	assert_last(g, "\"subscribed\"");
	for (unsigned i = 0; i < g->sent_count; i++)
		assert_null(strstr(g->sent[i], "\"sessionId\":\"s\""));
	say_as(g, NULL, "{\"type\":\"subscribe\",\"id\":\"session:s\",\"token\":\"a.r\"}");
	assert_last(g, "\"subscribed\"");
	engine_rig_forget(g);
	say_as(g, NULL, "{\"type\":\"subscribe\",\"all\":true,\"token\":\"b.a\"}");
	bool told = false;
	for (unsigned i = 0; i < g->sent_count; i++)
		told |= strstr(g->sent[i], "\"sessionId\":\"s\"") != NULL;
	assert_true(told);
}

/* Who never says who he is does not hold a connection. */
static void strangers_leave(void **state)
{
	struct engine_rig *g = *state;
	uint64_t silent = engine_conn_open(g->e, NULL, g->now), wrong = engine_conn_open(g->e, NULL, g->now);
	uint64_t known = say_as(g, NULL, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"a.r\"}");
	uint64_t local = engine_conn_open(g->e, grant_local(), g->now);
	engine_rig_say(g, wrong, "{\"type\":\"start\",\"sessionId\":\"s\",\"token\":\"nonsense\"}");
	engine_rig_forget(g);
	for (int s = 0; s < 21; s++) {
		engine_rig_pass(g, 1000);
		engine_conn_alive(g->e, silent, g->now); /* it answers pings, and that is not enough */
		engine_conn_alive(g->e, wrong, g->now);
		engine_conn_alive(g->e, known, g->now);
		engine_conn_alive(g->e, local, g->now);
	}
	assert_int_equal(g->closed, 2);
	assert_int_equal(g->sent_count, 2);
	assert_last(g, "\"unauthorized\"");
	engine_rig_pass(g, 30000); /* said once */
	assert_non_null(strstr(g->sent[1], "\"unauthorized\""));
	assert_true(g->sent_count == 2 || !strstr(g->sent[2], "\"unauthorized\""));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(who_may_start),
		TEST(who_sees_what),
		TEST(bound_to_one),
		TEST(local_goes_on_under_a_token),
		TEST(both_at_once),
		TEST(quota),
		TEST(revoked),
		TEST(revoked_while_asked),
		TEST(session_is_a_secret),
		TEST(strangers_leave),
		TEST(following_needs_a_grant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
