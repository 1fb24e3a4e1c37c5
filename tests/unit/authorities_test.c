/* The engine and an outside authority: one question for each token, what is kept and for how long, and messages that
 * wait in their order. */
#include "support/engine_rig.h"
#include "work/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ASKS = 1024 };

/* Remembers its questions until the test answers them. */
struct oracle {
	struct authority authority; /* first */
	struct {
		uint64_t id;
		char token[32];
		bool over;
	} asks[ASKS];
	unsigned count, cancelled;
};

static void oracle_ask(struct authority *a, uint64_t id, const char *token)
{
	struct oracle *o = (struct oracle *)a;
	assert_true(o->count < ASKS);
	o->asks[o->count].id = id;
	o->asks[o->count].over = false;
	snprintf(o->asks[o->count++].token, sizeof o->asks[0].token, "%s", token);
}

static void oracle_cancel(struct authority *a, uint64_t id)
{
	struct oracle *o = (struct oracle *)a;
	for (unsigned i = 0; i < o->count; i++)
		if (o->asks[i].id == id && !o->asks[i].over) {
			o->asks[i].over = true;
			o->cancelled++;
		}
}

static const struct authority_ops oracle_ops = { oracle_ask, oracle_cancel };

static enum err own_grant(void *arg, const char *token, struct grant *out)
{
	(void)arg;
	*out = (struct grant){
		.subject = "own", .scopes = SCOPE_RECORD, .max_bytes = UINT64_MAX, .expires_ms = INT64_MAX
	};
	return strcmp(token, "hf1.own") == 0 ? ERR_OK : ERR_UNAUTHORIZED;
}

static struct oracle *oracle_of(struct engine_rig *g)
{
	return (struct oracle *)g->authority;
}

static int set_up(void **state)
{
	struct engine_rig *g = engine_rig_new(NULL);
	struct oracle *o = calloc(1, sizeof *o);
	assert_non_null(o);
	o->authority.ops = &oracle_ops;
	g->authority = &o->authority;
	g->grant = own_grant;
	*state = g;
	return engine_rig_open(g);
}

static int tear_down(void **state)
{
	struct engine_rig *g = *state;
	struct oracle *o = oracle_of(g);
	engine_rig_free(g);
	free(o);
	return 0;
}

static struct authority_answer anna(void)
{
	return (struct authority_answer){ .allow = true,
					  .subject = "x:anna",
					  .scopes = SCOPE_RECORD,
					  .max_bytes = 1000,
					  .rate_per_s = 3,
					  .rate_burst = 7,
					  .expires_in_s = 60 };
}

/* Answers question `i`, with a turn behind it. */
static void answer(struct engine_rig *g, unsigned i, enum err err, const struct authority_answer *said)
{
	struct oracle *o = oracle_of(g);
	assert_true(i < o->count && !o->asks[i].over);
	o->asks[i].over = true;
	o->authority.done(o->authority.arg, o->asks[i].id, err, said, err ? "It failed." : NULL);
	engine_rig_turn(g);
}

struct wish {
	struct engine_asked asked;
	unsigned told;
	enum err err;
	struct grant grant;
};

static void on_told(void *arg, enum err err, const struct grant *grant)
{
	struct wish *w = arg;
	w->told++;
	w->err = err;
	if (grant)
		w->grant = *grant;
}

/* What it says at once. */
static enum err ask_from(struct engine_rig *g, uint64_t origin, const char *token, struct wish *w)
{
	*w = (struct wish){ .asked = { .done = on_told, .arg = w, .origin = origin } };
	list_init(&w->asked.link);
	enum err err = engine_authority(g->e, token, &w->asked, &w->grant, g->now);
	if (w->told == 0)
		w->err = err;
	engine_rig_turn(g);
	return err;
}

static enum err ask(struct engine_rig *g, const char *token, struct wish *w)
{
	return ask_from(g, 0, token, w);
}

static void one_question_for_all_who_wait(void **state)
{
	struct engine_rig *g = *state;
	struct oracle *o = oracle_of(g);
	struct wish a[3], b, left;
	struct authority_answer said = anna(), no = { .allow = false };
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ask(g, "token-a", &a[i]), ERR_BUSY);
	assert_int_equal(ask(g, "token-b", &b), ERR_BUSY);
	assert_int_equal(ask(g, "token-a", &left), ERR_BUSY);
	engine_authority_leave(&left.asked);
	assert_int_equal(o->count, 2);
	assert_string_equal(o->asks[0].token, "token-a");
	answer(g, 1, ERR_OK, &no);
	assert_int_equal(b.told, 1);
	assert_int_equal(b.err, ERR_UNAUTHORIZED);
	answer(g, 0, ERR_OK, &said);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(a[i].told, 1);
		assert_int_equal(a[i].err, ERR_OK);
		assert_string_equal(a[i].grant.subject, "x:anna");
		assert_int_equal(a[i].grant.rate_per_s, 3);
		assert_int_equal(a[i].grant.rate_burst, 7);
		assert_int_equal(a[i].grant.max_bytes, 1000);
		assert_int_equal(a[i].grant.expires_ms, g->now.wall_ms + 60000);
		assert_int_equal(strlen(a[i].grant.token_id), LIMIT_TOKEN_ID_CHARS);
	}
	assert_int_equal(left.told, 0);
	assert_int_equal(ask(g, "token-a", &a[0]), ERR_OK);
	assert_int_equal(ask(g, "token-b", &b), ERR_UNAUTHORIZED);
	assert_int_equal(o->count, 2);
	/* what is ours, or can't be a token, is not asked about */
	assert_int_equal(ask(g, "hf1.e30.AAAA", &b), ERR_UNAUTHORIZED);
	assert_int_equal(ask(g, "two words", &b), ERR_UNAUTHORIZED);
	assert_int_equal(ask(g, "", &b), ERR_UNAUTHORIZED);
	assert_int_equal(o->count, 2);
}

static void it_is_kept_for_its_time(void **state)
{
	struct engine_rig *g = *state;
	struct oracle *o = oracle_of(g);
	struct authority_answer said = anna(), no = { .allow = false };
	struct wish a, b;
	ask(g, "token-a", &a);
	ask(g, "token-b", &b);
	answer(g, 0, ERR_OK, &said);
	answer(g, 1, ERR_OK, &no);
	g->now.wall_ms += 59999;
	assert_int_equal(ask(g, "token-a", &a), ERR_OK);
	assert_int_equal(ask(g, "token-b", &b), ERR_UNAUTHORIZED);
	g->now.wall_ms += 1;
	assert_int_equal(ask(g, "token-a", &a), ERR_BUSY);
	assert_int_equal(ask(g, "token-b", &b), ERR_BUSY);
	assert_int_equal(o->count, 4);
	answer(g, 2, ERR_AUTHORITY_FAILED, NULL);
	assert_int_equal(a.err, ERR_AUTHORITY_FAILED);
	assert_int_equal(ask(g, "token-a", &a), ERR_BUSY); /* a failure is remembered by nobody */
	answer(g, 4, ERR_OK, &said);
	assert_int_equal(a.err, ERR_OK);
	/* a clock that is set back makes nothing last longer */
	g->now.wall_ms -= 2 * LIMIT_AUTHORITY_KEEP_S * 1000LL;
	assert_int_equal(ask(g, "token-a", &a), ERR_BUSY);
	answer(g, 3, ERR_OK, &no);
	answer(g, 5, ERR_OK, &no);
}

static void a_restart_asks_nothing(void **state)
{
	struct engine_rig *g = *state;
	struct oracle *o = oracle_of(g);
	struct authority_answer said = anna(), no = { .allow = false };
	struct wish a;
	ask(g, "token-a", &a);
	answer(g, 0, ERR_OK, &said);
	ask(g, "token-b", &a);
	answer(g, 1, ERR_OK, &no);
	int64_t expires_ms = g->now.wall_ms + 60000;
	engine_rig_close(g);
	g->now.wall_ms += 30000;
	assert_int_equal(engine_rig_open(g), ERR_OK);
	assert_int_equal(ask(g, "token-a", &a), ERR_BUSY); /* the catalog is looked into */
	assert_int_equal(a.told, 1);
	assert_int_equal(a.err, ERR_OK);
	assert_string_equal(a.grant.subject, "x:anna");
	assert_int_equal(a.grant.expires_ms, expires_ms);
	assert_int_equal(a.grant.rate_burst, 7);
	assert_int_equal(o->count, 2);
	assert_int_equal(ask(g, "token-b", &a), ERR_BUSY); /* a refusal is not kept */
	assert_int_equal(o->count, 3);
	engine_rig_close(g); /* with a question under way */
	assert_int_equal(a.told, 1);
	assert_int_equal(a.err, ERR_SHUTTING_DOWN);
	assert_int_equal(o->cancelled, 1);
	g->now.wall_ms = expires_ms;
	assert_int_equal(engine_rig_open(g), ERR_OK);
	assert_int_equal(ask(g, "token-a", &a), ERR_BUSY);
	assert_int_equal(o->count, 4);
	assert_int_equal(a.told, 0);
	engine_authority_leave(&a.asked);
}

static void questions_are_bounded(void **state)
{
	struct engine_rig *g = *state;
	struct oracle *o = oracle_of(g);
	static struct wish w[LIMIT_AUTHORITY_QUESTIONS + 1];
	struct authority_answer no = { .allow = false };
	char token[32];
	for (unsigned i = 0; i < LIMIT_AUTHORITY_QUESTIONS; i++) {
		snprintf(token, sizeof token, "token-%u", i);
		assert_int_equal(ask(g, token, &w[i]), ERR_BUSY);
	}
	assert_int_equal(o->count, LIMIT_AUTHORITY_AT_ONCE);
	assert_int_equal(ask(g, "one-more", &w[LIMIT_AUTHORITY_QUESTIONS]), ERR_AUTHORITY_FAILED);
	answer(g, 0, ERR_OK, &no);
	assert_int_equal(o->count, LIMIT_AUTHORITY_AT_ONCE + 1);
	/* who has waited for too long for his turn is not kept */
	engine_rig_pass(g, LIMIT_AUTHORITY_WAIT_MS + 1000);
	assert_int_equal(w[LIMIT_AUTHORITY_AT_ONCE + 1].told, 0);
	answer(g, 1, ERR_AUTHORITY_FAILED, NULL);
	unsigned failed = 0;
	for (unsigned i = 0; i < LIMIT_AUTHORITY_QUESTIONS; i++)
		failed += w[i].told == 1 && w[i].err == ERR_AUTHORITY_FAILED;
	assert_int_equal(o->count, LIMIT_AUTHORITY_AT_ONCE + 1);
	assert_int_equal(failed, LIMIT_AUTHORITY_QUESTIONS - LIMIT_AUTHORITY_AT_ONCE);
	for (unsigned i = 2; i < LIMIT_AUTHORITY_AT_ONCE + 1; i++)
		answer(g, i, ERR_OK, &no);
	assert_int_equal(ask(g, "one-more", &w[0]), ERR_BUSY);
	answer(g, LIMIT_AUTHORITY_AT_ONCE + 1, ERR_OK, &no);
}

/* Who guesses tokens has his share; who has good ones, and everybody else, is not kept by him. */
static void an_address_has_its_share(void **state)
{
	struct engine_rig *g = *state;
	static struct wish w[2 * LIMIT_AUTHORITY_SHARE + 1];
	struct authority_answer no = { .allow = false }, yes = anna();
	unsigned asked = 0, refused = 0;
	for (unsigned i = 0; i < 2 * LIMIT_AUTHORITY_SHARE; i++) {
		char token[32];
		snprintf(token, sizeof token, "good-%u", i);
		assert_int_equal(ask_from(g, 7, token, &w[i]), ERR_BUSY);
		answer(g, asked++, ERR_OK, &yes);
		assert_int_equal(w[i].err, ERR_OK);
	}
	for (unsigned i = 0; i < 2 * LIMIT_AUTHORITY_SHARE; i++) {
		char token[32];
		snprintf(token, sizeof token, "guess-%u", i);
		if (ask_from(g, 7, token, &w[i]) == ERR_BUSY)
			answer(g, asked++, ERR_OK, &no);
		else
			refused++;
	}
	assert_int_equal(refused, LIMIT_AUTHORITY_SHARE);
	assert_int_equal(ask_from(g, 7, "good-1", &w[0]), ERR_OK); /* what is known costs nothing */
	assert_int_equal(ask_from(g, 7, "guess-0", &w[0]), ERR_UNAUTHORIZED);
	assert_int_equal(ask_from(g, 8, "elsewhere", &w[0]), ERR_BUSY);
	assert_int_equal(ask_from(g, 0, "nearby", &w[1]), ERR_BUSY);
	engine_rig_pass(g, 1000);
	assert_int_equal(ask_from(g, 7, "later-1", &w[2]), ERR_BUSY);
	assert_int_equal(ask_from(g, 7, "later-2", &w[3]), ERR_BUSY);
	assert_int_equal(ask_from(g, 7, "later-3", &w[4]), ERR_AUTHORITY_FAILED);
}

static void memory_is_bounded_and_the_catalog_goes_on(void **state)
{
	struct engine_rig *g = *state;
	struct oracle *o = oracle_of(g);
	struct authority_answer said = anna(), no = { .allow = false };
	struct wish w;
	char token[32];
	assert_int_equal(ask(g, "first", &w), ERR_BUSY);
	answer(g, 0, ERR_OK, &said);
	for (unsigned i = 0; i < LIMIT_AUTHORITY_KNOWN; i++) {
		o->count = 0;
		snprintf(token, sizeof token, "token-%u", i);
		assert_int_equal(ask(g, token, &w), ERR_BUSY);
		answer(g, 0, ERR_OK, &no);
	}
	o->count = 0;
	assert_int_equal(ask(g, "first", &w), ERR_BUSY); /* not in memory any more */
	assert_int_equal(w.told, 1);
	assert_int_equal(o->count, 0);
	assert_string_equal(w.grant.subject, "x:anna");
}

static uint64_t say_stranger(struct engine_rig *g, const char *text)
{
	return engine_rig_say(g, engine_conn_open(g->e, NULL, g->now), text);
}

static void assert_last(struct engine_rig *g, const char *part)
{
	if (!strstr(engine_rig_last(g), part))
		fail_msg("%s is not in %s", part, engine_rig_last(g));
}

#define START(session, token) "{\"type\":\"start\",\"sessionId\":\"" session "\",\"token\":\"" token "\"}"

static void messages_wait_in_order(void **state)
{
	struct engine_rig *g = *state;
	struct authority_answer said = anna(), no = { .allow = false };
	uint64_t c = say_stranger(g, START("s", "token-a"));
	assert_int_equal(g->paused, 1);
	engine_rig_say(g, c, "{\"type\":\"subscribe\",\"all\":true,\"token\":\"token-b\"}");
	engine_rig_say(g, c, "{\"type\":\"nonsense\"}");
	engine_rig_pass(g, 3 * 60 * 1000); /* nor is it silent meanwhile */
	assert_string_equal(engine_rig_last(g), "");
	assert_int_equal(g->known, 0);
	assert_int_equal(oracle_of(g)->count, 1);
	answer(g, 0, ERR_OK, &said);
	assert_int_equal(oracle_of(g)->count, 2); /* the second message's turn */
	assert_last(g, "\"started\"");
	assert_int_equal(g->known, 1);
	answer(g, 1, ERR_OK, &no);
	assert_last(g, "unknown_type");
	unsigned refused = 0;
	for (unsigned i = 0; i < g->sent_count; i++)
		refused += strstr(g->sent[i], "\"unauthorized\"") != NULL;
	assert_int_equal(refused, 1);
	/* its own answer, and nobody else's */
	engine_rig_say(g, c, START("t", "token-b"));
	assert_last(g, "\"unauthorized\"");
	engine_rig_say(g, c, START("t", "token-a"));
	assert_last(g, "\"started\"");
	engine_rig_media(g, c, 0, 1001);
	engine_rig_turn(g);
	assert_last(g, "quota_exceeded");
	engine_conn_closed(g->e, c, g->now);
}

/* An answer that comes for a message is for that message alone. */
static void a_failure_is_told_and_not_kept(void **state)
{
	struct engine_rig *g = *state;
	struct authority_answer said = anna();
	uint64_t c = say_stranger(g, START("s", "token-a")), d = say_stranger(g, START("d", "token-a"));
	answer(g, 0, ERR_AUTHORITY_FAILED, NULL);
	assert_last(g, "\"authority_failed\"");
	assert_last(g, "\"retry\":true");
	engine_rig_forget(g);
	engine_rig_say(g, c, START("s", "hf1.own"));
	assert_last(g, "\"started\"");
	engine_rig_say(g, d, START("d", "hf1.other"));
	assert_last(g, "\"unauthorized\"");
	engine_rig_forget(g);
	engine_rig_say(g, d, START("d", "token-a"));
	assert_string_equal(engine_rig_last(g), "");
	engine_conn_closed(g->e, d, g->now); /* gone before its answer */
	answer(g, 1, ERR_OK, &said);
	assert_string_equal(engine_rig_last(g), "");
	engine_conn_closed(g->e, c, g->now);
}

struct forgotten {
	unsigned count, done;
	enum err err;
	char id[LIMIT_TOKEN_ID_CHARS + 1];
};

static void on_forgotten(void *arg, enum err err, const char *token_id)
{
	struct forgotten *f = arg;
	if (token_id) {
		f->count++;
		snprintf(f->id, sizeof f->id, "%s", token_id);
	} else {
		f->done++;
		f->err = err;
	}
}

static void forgotten_is_asked_again(void **state)
{
	struct engine_rig *g = *state;
	struct authority_answer said = anna(), ben = anna(), no = { .allow = false };
	struct forgotten f = { 0 };
	struct wish a, b, n;
	snprintf(ben.subject, sizeof ben.subject, "x:ben");
	ask(g, "token-a", &a);
	ask(g, "token-b", &b);
	ask(g, "token-n", &n);
	answer(g, 0, ERR_OK, &said);
	answer(g, 1, ERR_OK, &ben);
	answer(g, 2, ERR_OK, &no);
	engine_authority_forget(g->e, "x:anna", on_forgotten, &f);
	engine_rig_turn(g);
	assert_true(f.count == 1 && f.done == 1 && f.err == ERR_OK);
	assert_string_equal(f.id, a.grant.token_id);
	assert_int_equal(ask(g, "token-b", &b), ERR_OK);
	assert_int_equal(ask(g, "token-n", &n), ERR_UNAUTHORIZED);
	assert_int_equal(ask(g, "token-a", &a), ERR_BUSY);
	answer(g, 3, ERR_OK, &no);
	assert_int_equal(a.err, ERR_UNAUTHORIZED);
	engine_authority_forget(g->e, NULL, on_forgotten, &f);
	engine_rig_turn(g);
	assert_true(f.count == 2 && f.done == 2);
	assert_int_equal(ask(g, "token-n", &n), ERR_BUSY);
	answer(g, 4, ERR_OK, &no);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_question_for_all_who_wait), TEST(it_is_kept_for_its_time),
		TEST(a_restart_asks_nothing),	     TEST(questions_are_bounded),
		TEST(an_address_has_its_share),	     TEST(memory_is_bounded_and_the_catalog_goes_on),
		TEST(messages_wait_in_order),	     TEST(a_failure_is_told_and_not_kept),
		TEST(forgotten_is_asked_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
