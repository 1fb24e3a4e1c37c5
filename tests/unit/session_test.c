/* The session machine: what one connection may say when, and the heartbeat. */
#include "core/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CONN = 7, BEAT = 20000, BEGAN = 5000, STATES = SESSION_CLOSING + 1 };

struct fixture {
	struct session s;
	struct effects fx;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	session_init(&f->s, CONN, BEAT, BEGAN);
	effects_init(&f->fx);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	effects_release(&f->fx);
	free(f);
	return 0;
}

static void assert_effect(struct fixture *f, enum effect_type type)
{
	const struct effect *fx = effects_drain(&f->fx);
	assert_non_null(fx);
	assert_int_equal(fx->type, type);
	assert_int_equal(fx->conn, CONN);
}

static void assert_error(struct fixture *f, enum err err)
{
	const struct effect *fx = effects_drain(&f->fx);
	assert_non_null(fx);
	assert_int_equal(fx->type, EFFECT_ERROR);
	assert_int_equal(fx->conn, CONN);
	assert_int_equal(fx->err, err);
}

static void assert_silence(struct fixture *f)
{
	assert_null(effects_drain(&f->fx));
}

/* A fresh session brought into this state by what brings it there. */
static void enter(struct fixture *f, enum session_state wanted)
{
	effects_release(&f->fx);
	session_init(&f->s, CONN, BEAT, BEGAN);
	if (wanted >= SESSION_STARTING)
		session_start(&f->s);
	if (wanted == SESSION_OPEN || wanted == SESSION_SAVED)
		session_started(&f->s);
	if (wanted == SESSION_SAVED)
		session_saved(&f->s);
	if (wanted == SESSION_DETACHED)
		session_detached(&f->s);
	if (wanted == SESSION_CLOSING) {
		session_tick(&f->s, BEGAN + BEAT, &f->fx);
		session_tick(&f->s, BEGAN + 2 * BEAT, &f->fx);
		while (effects_drain(&f->fx))
			;
	}
	assert_int_equal(f->s.state, wanted);
}

/* What each message meets in each state: the verdict, the error that is said (ERR_OK: none), the state behind it. */
struct row {
	enum session_state state;
	enum session_verdict verdict;
	enum err err;
	enum session_state then;
};

static void start_by_state(void **state)
{
	struct fixture *f = *state;
	static const struct row rows[STATES] = {
		{ SESSION_IDLE, SESSION_PASS, ERR_OK, SESSION_STARTING },
		{ SESSION_STARTING, SESSION_REPEAT, ERR_OK, SESSION_STARTING },
		{ SESSION_OPEN, SESSION_REPEAT, ERR_OK, SESSION_OPEN },
		{ SESSION_SAVED, SESSION_PASS, ERR_OK, SESSION_STARTING },
		{ SESSION_DETACHED, SESSION_PASS, ERR_OK, SESSION_STARTING },
		{ SESSION_CLOSING, SESSION_DROP, ERR_OK, SESSION_CLOSING },
	};
	for (size_t i = 0; i < STATES; i++) {
		enter(f, rows[i].state);
		assert_int_equal(session_start(&f->s), rows[i].verdict);
		assert_int_equal(f->s.state, rows[i].then);
		assert_silence(f);
	}
}

static enum session_verdict some_media(struct session *s, struct effects *fx)
{
	return session_binary(s, 100, fx);
}

static enum session_verdict no_media(struct session *s, struct effects *fx)
{
	return session_binary(s, 0, fx);
}

static void check_rows(struct fixture *f, enum session_verdict (*message)(struct session *s, struct effects *fx),
		       const struct row *rows)
{
	for (size_t i = 0; i < STATES; i++) {
		enter(f, rows[i].state);
		assert_int_equal(message(&f->s, &f->fx), rows[i].verdict);
		assert_int_equal(f->s.state, rows[i].then);
		if (rows[i].err)
			assert_error(f, rows[i].err);
		assert_silence(f);
	}
}

static void media_by_state(void **state)
{
	static const struct row rows[STATES] = {
		{ SESSION_IDLE, SESSION_DROP, ERR_BINARY_WITHOUT_SESSION, SESSION_DETACHED },
		{ SESSION_STARTING, SESSION_DROP, ERR_BINARY_WITHOUT_SESSION, SESSION_DETACHED },
		{ SESSION_OPEN, SESSION_PASS, ERR_OK, SESSION_OPEN },
		{ SESSION_SAVED, SESSION_DROP, ERR_SEALED, SESSION_DETACHED },
		{ SESSION_DETACHED, SESSION_DROP, ERR_OK, SESSION_DETACHED },
		{ SESSION_CLOSING, SESSION_DROP, ERR_OK, SESSION_CLOSING },
	};
	check_rows(*state, some_media, rows);
}

/* Safari sends one when it stops. */
static void an_empty_message_is_legal_in_every_state(void **state)
{
	struct row rows[STATES];
	for (int i = 0; i < STATES; i++)
		rows[i] = (struct row){ (enum session_state)i, SESSION_DROP, ERR_OK, (enum session_state)i };
	check_rows(*state, no_media, rows);
}

static void end_by_state(void **state)
{
	static const struct row rows[STATES] = {
		{ SESSION_IDLE, SESSION_DROP, ERR_NO_SESSION, SESSION_DETACHED },
		{ SESSION_STARTING, SESSION_DROP, ERR_NO_SESSION, SESSION_DETACHED },
		{ SESSION_OPEN, SESSION_PASS, ERR_OK, SESSION_OPEN },
		{ SESSION_SAVED, SESSION_PASS, ERR_OK, SESSION_SAVED }, /* answered again */
		{ SESSION_DETACHED, SESSION_DROP, ERR_OK, SESSION_DETACHED },
		{ SESSION_CLOSING, SESSION_DROP, ERR_OK, SESSION_CLOSING },
	};
	check_rows(*state, session_end, rows);
}

static void abort_by_state(void **state)
{
	static const struct row rows[STATES] = {
		{ SESSION_IDLE, SESSION_DROP, ERR_NO_SESSION, SESSION_DETACHED },
		{ SESSION_STARTING, SESSION_DROP, ERR_NO_SESSION, SESSION_DETACHED },
		{ SESSION_OPEN, SESSION_PASS, ERR_OK, SESSION_OPEN },
		{ SESSION_SAVED, SESSION_DROP, ERR_SEALED, SESSION_DETACHED },
		{ SESSION_DETACHED, SESSION_DROP, ERR_NO_SESSION, SESSION_DETACHED },
		{ SESSION_CLOSING, SESSION_DROP, ERR_OK, SESSION_CLOSING },
	};
	check_rows(*state, session_abort, rows);
}

/* Clients pipeline: one error, and silence until a new start. */
static void after_an_error_everything_is_dropped_until_a_start(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(session_binary(&f->s, 1, &f->fx), SESSION_DROP);
	assert_error(f, ERR_BINARY_WITHOUT_SESSION);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(session_binary(&f->s, 1, &f->fx), SESSION_DROP);
	assert_int_equal(session_end(&f->s, &f->fx), SESSION_DROP);
	assert_silence(f);
	assert_int_equal(session_start(&f->s), SESSION_PASS);
	session_started(&f->s);
	assert_int_equal(session_binary(&f->s, 1, &f->fx), SESSION_PASS);
}

static void a_late_started_opens_nothing(void **state)
{
	struct fixture *f = *state;
	session_start(&f->s);
	session_detached(&f->s);
	session_started(&f->s);
	assert_int_equal(f->s.state, SESSION_DETACHED);
}

static void after_saved_or_aborted_another_take_may_begin(void **state)
{
	struct fixture *f = *state;
	enter(f, SESSION_SAVED);
	assert_int_equal(session_start(&f->s), SESSION_PASS);
	enter(f, SESSION_OPEN);
	session_released(&f->s);
	assert_int_equal(f->s.state, SESSION_IDLE);
	assert_int_equal(session_start(&f->s), SESSION_PASS);
}

static void what_closes_stays_closing(void **state)
{
	struct fixture *f = *state;
	enter(f, SESSION_CLOSING);
	session_started(&f->s);
	session_saved(&f->s);
	session_released(&f->s);
	session_detached(&f->s);
	session_refuse(&f->s, ERR_BAD_MESSAGE, &f->fx);
	session_tick(&f->s, BEGAN + 100 * BEAT, &f->fx);
	assert_int_equal(f->s.state, SESSION_CLOSING);
	assert_silence(f);
	assert_true(session_next_wake(&f->s) == UINT64_MAX);
}

/* --- the heartbeat --- */

static void pings_go_out_on_time(void **state)
{
	struct fixture *f = *state;
	assert_true(session_next_wake(&f->s) == BEGAN + BEAT);
	session_tick(&f->s, BEGAN + BEAT - 1, &f->fx);
	assert_silence(f);
	for (uint64_t n = 1; n < 10; n++) {
		session_tick(&f->s, BEGAN + n * BEAT, &f->fx);
		assert_effect(f, EFFECT_PING);
		assert_silence(f);
		assert_true(session_next_wake(&f->s) == BEGAN + (n + 1) * BEAT);
		session_heard(&f->s);
	}
}

static void a_silent_peer_is_cut_off_at_the_second_ping_time(void **state)
{
	struct fixture *f = *state;
	session_tick(&f->s, BEGAN + BEAT, &f->fx); /* nothing was heard so far, and no ping sent: it gets its chance */
	assert_effect(f, EFFECT_PING);
	session_tick(&f->s, BEGAN + 2 * BEAT - 1, &f->fx);
	assert_silence(f);
	session_tick(&f->s, BEGAN + 2 * BEAT, &f->fx);
	assert_error(f, ERR_HEARTBEAT_LOST); /* nothing is closed without a word */
	assert_effect(f, EFFECT_CLOSE);
	assert_silence(f);
	assert_int_equal(f->s.state, SESSION_CLOSING);
}

static void what_came_before_the_ping_does_not_count(void **state)
{
	struct fixture *f = *state;
	session_heard(&f->s);
	session_tick(&f->s, BEGAN + BEAT, &f->fx);
	assert_effect(f, EFFECT_PING);
	session_tick(&f->s, BEGAN + 2 * BEAT, &f->fx);
	assert_error(f, ERR_HEARTBEAT_LOST);
}

static void while_the_server_does_not_read_the_interval_stands_still(void **state)
{
	struct fixture *f = *state;
	session_tick(&f->s, BEGAN + BEAT, &f->fx);
	assert_effect(f, EFFECT_PING);
	uint64_t now = BEGAN + BEAT + 3000;
	session_pause(&f->s, true, now);
	session_pause(&f->s, true, now + 50); /* again: no other beginning */
	assert_true(session_next_wake(&f->s) == UINT64_MAX);
	session_tick(&f->s, now + 10 * BEAT, &f->fx);
	assert_silence(f);
	session_pause(&f->s, false, now + 10 * BEAT);
	session_pause(&f->s, false, now + 11 * BEAT);
	assert_true(session_next_wake(&f->s) == now + 10 * BEAT + BEAT - 3000);
	session_tick(&f->s, now + 11 * BEAT - 3001, &f->fx);
	assert_silence(f);
	session_heard(&f->s);
	session_tick(&f->s, now + 11 * BEAT - 3000, &f->fx);
	assert_effect(f, EFFECT_PING);
	assert_silence(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(start_by_state),
		TEST(media_by_state),
		TEST(an_empty_message_is_legal_in_every_state),
		TEST(end_by_state),
		TEST(abort_by_state),
		TEST(after_an_error_everything_is_dropped_until_a_start),
		TEST(a_late_started_opens_nothing),
		TEST(after_saved_or_aborted_another_take_may_begin),
		TEST(what_closes_stays_closing),
		TEST(pings_go_out_on_time),
		TEST(a_silent_peer_is_cut_off_at_the_second_ping_time),
		TEST(what_came_before_the_ping_does_not_count),
		TEST(while_the_server_does_not_read_the_interval_stands_still),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
