/* The show machine: who is on air, which version is recorded, and that each ends once. */
#include "core/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GRACE_MS = 30000 };

/* A show, and what it has decided since the last look. The id of version n is n in its first byte. */
struct rig {
	struct show s;
	struct show_effects fx;
	uint64_t now;
	char text[2000];
};

static void rig_init(struct rig *r, bool takeover)
{
	memset(r, 0, sizeof *r);
	r->now = 1000;
	show_init(&r->s, "morning", GRACE_MS, takeover);
	show_effects_init(&r->fx);
	show_listen(&r->s, r->now);
}

static int setup(void **state)
{
	*state = malloc(sizeof(struct rig));
	rig_init(*state, false);
	return 0;
}

static int setup_takeover(void **state)
{
	*state = malloc(sizeof(struct rig));
	rig_init(*state, true);
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	show_release(&r->s);
	show_effects_release(&r->fx);
	free(r);
	return 0;
}

static void line(const struct show_effect *e, char *out, size_t size)
{
	static const char *const whys[] = { "none", "stop", "grace", "takeover", "failed", "elsewhere" };
	unsigned long long conn = e->conn;
	switch (e->type) {
	case SHOW_EFFECT_BEGIN:
		snprintf(out, size, "begin v%u%s%s", e->version, e->named ? " named" : "", e->again ? " again" : "");
		break;
	case SHOW_EFFECT_FINALISE:
		snprintf(out, size, "finalise v%u %s%s%s", e->version, whys[e->why], e->err ? " " : "",
			 e->err ? err_code(e->err) : "");
		break;
	case SHOW_EFFECT_MARK_OFF:
		snprintf(out, size, "mark off");
		break;
	case SHOW_EFFECT_STATUS:
		snprintf(out, size, "status");
		break;
	case SHOW_EFFECT_RELEASE:
		snprintf(out, size, "release c%llu %s", conn, err_code(e->err));
		break;
	case SHOW_EFFECT_MOVE:
		snprintf(out, size, "move c%llu v%u", conn, e->version);
		break;
	case SHOW_EFFECT_HOSTED:
		snprintf(out, size, "hosted c%llu v%u%s%s", conn, e->version, e->recording ? "" : " without ",
			 e->recording ? "" : err_code(e->err));
		break;
	case SHOW_EFFECT_ORDINARY:
		snprintf(out, size, "ordinary c%llu v%u", conn, e->version);
		break;
	case SHOW_EFFECT_REFUSED:
		snprintf(out, size, "refused c%llu %s", conn, err_code(e->err));
		break;
	case SHOW_EFFECT_STOPPED:
		snprintf(out, size, "stopped c%llu v%u", conn, e->version);
		break;
	}
}

static void expect_at(struct rig *r, const char *expected, int at)
{
	const struct show_effect *e;
	r->text[0] = 0;
	while ((e = show_effects_drain(&r->fx))) {
		size_t used = strlen(r->text);
		if (used)
			used += (size_t)snprintf(r->text + used, sizeof r->text - used, ", ");
		line(e, r->text + used, sizeof r->text - used);
		if (e->version && e->type != SHOW_EFFECT_ORDINARY && (e->type != SHOW_EFFECT_BEGIN || e->again))
			assert_int_equal(e->id.bytes[0], e->version);
	}
	if (strcmp(r->text, expected) != 0)
		fail_msg("line %d: \"%s\", expected \"%s\"", at, r->text, expected);
}
#define expect(r, expected) expect_at(r, expected, __LINE__)

static void start_version(struct rig *r, uint64_t conn, const char *who, const char *session, uint32_t version)
{
	struct show_start start = { .conn = conn, .principal = who, .session = session, .version = version };
	show_host(&r->s, &start, r->now, &r->fx);
}

static void start(struct rig *r, uint64_t conn, const char *who, const char *session)
{
	start_version(r, conn, who, session, 0);
}

static void begun(struct rig *r)
{
	struct uuid id = { .bytes = { (uint8_t)show_beginning(&r->s) } };
	show_begun(&r->s, &id, r->now, &r->fx);
}

static void failed(struct rig *r, enum err err)
{
	show_recording_failed(&r->s, r->s.version, err, r->now, &r->fx);
}

static void finalised(struct rig *r, uint32_t version)
{
	show_finalised(&r->s, version, r->now, &r->fx);
}

static void pass(struct rig *r, uint64_t ms)
{
	r->now += ms;
	show_tick(&r->s, r->now, &r->fx);
}

static void stop(struct rig *r, uint64_t conn)
{
	show_stop(&r->s, conn, &r->fx);
}

static void detach(struct rig *r, uint64_t conn)
{
	show_detached(&r->s, conn, r->now, &r->fx);
}

static void space_back(struct rig *r)
{
	show_space_back(&r->s, r->now, &r->fx);
}

static void forget(struct rig *r)
{
	while (show_effects_drain(&r->fx))
		;
}

/* Ann is on air with take A, on connection 1, version 1. */
static void on_air(struct rig *r)
{
	start(r, 1, "ann", "A");
	begun(r);
	assert_int_equal(r->s.state, SHOW_LIVE);
	forget(r);
}

static void names(void **state)
{
	char longest[LIMIT_SHOW_CHARS + 2];
	(void)state;
	memset(longest, 'a', sizeof longest);
	longest[LIMIT_SHOW_CHARS] = 0;
	assert_true(show_name_valid("morning"));
	assert_true(show_name_valid("Morning_Show-2.1"));
	assert_true(show_name_valid("7"));
	assert_true(show_name_valid("-_"));
	assert_true(show_name_valid("a."));
	assert_true(show_name_valid(longest));
	longest[LIMIT_SHOW_CHARS] = 'a';
	longest[LIMIT_SHOW_CHARS + 1] = 0;
	static const char *const bad[] = { "", ".", "..", ".a", "a/b", "a b", "a%2f", "\xc3\xa4", "a\n", "a?", "a:b" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(show_name_valid(bad[i]));
	assert_false(show_name_valid(longest));
}

/* --- going live --- */

static void it_is_on_air_when_its_recording_has_begun(void **state)
{
	struct rig *r = *state;
	start(r, 1, "ann", "A");
	expect(r, "begin v1 named");
	assert_int_equal(show_view(&r->s).state, SHOW_OFF);
	begun(r);
	expect(r, "hosted c1 v1, status");
	assert_int_equal(show_view(&r->s).state, SHOW_LIVE);
	assert_int_equal(show_view(&r->s).version, 1);
	assert_true(show_next_wake(&r->s) == UINT64_MAX);
}

static void a_start_without_a_name_makes_a_take_without_one(void **state)
{
	struct rig *r = *state;
	start(r, 1, "ann", NULL);
	expect(r, "begin v1");
	begun(r);
	detach(r, 1);
	forget(r);
	start(r, 2, "ann", NULL);
	expect(r, "hosted c2 v1, status");
}

static void what_can_not_be_recorded_does_not_go_on_air(void **state)
{
	struct rig *r = *state;
	start(r, 1, "ann", "A");
	forget(r);
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	expect(r, "refused c1 storage_full");
	start(r, 1, "ann", "A"); /* the number was not used, nor was the name */
	expect(r, "begin v1 named");
}

static void each_time_on_air_is_the_next_version(void **state)
{
	struct rig *r = *state;
	for (uint32_t i = 1; i <= 4; i++) {
		char session[2] = { (char)('A' + i), 0 };
		start(r, i, "ann", session);
		begun(r);
		stop(r, 99);
		assert_int_equal(r->s.version, i);
		finalised(r, i);
		forget(r);
	}
}

static void a_host_that_leaves_before_it_began_has_its_grace(void **state)
{
	struct rig *r = *state;
	start(r, 1, "ann", "A");
	detach(r, 1);
	expect(r, "begin v1 named");
	r->now += 5000;
	begun(r);
	expect(r, "status");
	assert_int_equal(r->s.state, SHOW_WAITING);
	assert_true(show_next_wake(&r->s) == r->now + GRACE_MS);
	pass(r, GRACE_MS);
	expect(r, "finalise v1 grace, status");
}

static void who_waits_is_answered_in_order(void **state)
{
	struct rig *r = *state;
	start(r, 1, "ann", "A");
	start(r, 2, "ann", "A"); /* the same take: it is the host, the first one is not */
	start(r, 3, "ann", "A");
	expect(r, "begin v1 named, refused c1 taken_over, refused c2 taken_over");
	start(r, 4, "bob", "B");
	expect(r, "refused c4 show_on_air");
	begun(r);
	expect(r, "hosted c3 v1, status");
	assert_int_equal(r->s.conn, 3);
}

static void too_many_who_wait_are_told_so(void **state)
{
	struct rig *r = *state;
	for (unsigned i = 0; i < LIMIT_SHOW_ASKS; i++)
		start(r, 1, "ann", "A");
	expect(r, "begin v1 named");
	start(r, 2, "ann", "A");
	expect(r, "refused c2 busy");
	stop(r, 3);
	forget(r);
	for (unsigned i = 1; i < LIMIT_SHOW_ASKS; i++)
		stop(r, 4);
	expect(r, "");
	stop(r, 5);
	expect(r, "refused c5 busy");
}

/* --- the same host again --- */

static void a_start_that_lost_nothing_changes_nothing(void **state)
{
	struct rig *r = *state;
	on_air(r);
	start(r, 1, "ann", "A");
	expect(r, "hosted c1 v1");
	start_version(r, 1, "ann", "A", 1);
	expect(r, "hosted c1 v1");
}

static void a_reconnect_goes_on_with_the_version(void **state)
{
	struct rig *r = *state;
	on_air(r);
	detach(r, 1);
	expect(r, "status");
	assert_int_equal(r->s.state, SHOW_WAITING);
	pass(r, GRACE_MS - 1);
	expect(r, "");
	start(r, 2, "ann", "A");
	expect(r, "hosted c2 v1, status");
	pass(r, 10 * GRACE_MS); /* the old grace is over and forgotten */
	expect(r, "");
	detach(r, 2);
	expect(r, "status");
	assert_true(show_next_wake(&r->s) == r->now + GRACE_MS); /* and a new one is whole */
}

static void a_reconnect_may_come_before_the_loss_is_noticed(void **state)
{
	struct rig *r = *state;
	on_air(r);
	start(r, 2, "ann", "A");
	expect(r, "release c1 taken_over, hosted c2 v1");
	detach(r, 1); /* it is not the host any more */
	expect(r, "");
	assert_int_equal(r->s.state, SHOW_LIVE);
}

static void another_take_of_the_host_is_a_new_version(void **state)
{
	struct rig *r = *state;
	on_air(r);
	start(r, 2, "ann", "B");
	expect(r, "finalise v1 takeover, release c1 taken_over, begin v2 named, status");
	assert_int_equal(show_view(&r->s).state, SHOW_LIVE); /* the broadcast goes on */
	begun(r);
	expect(r, "hosted c2 v2, status");
	finalised(r, 1);
	expect(r, "");
	start_version(r, 3, "ann", "A", 1); /* the rest of the old one is not on air */
	expect(r, "ordinary c3 v1");
	assert_int_equal(r->s.conn, 2);
}

/* --- others --- */

static void another_principal_is_refused(void **state)
{
	struct rig *r = *state;
	on_air(r);
	start(r, 2, "bob", "B");
	expect(r, "refused c2 show_on_air");
	start(r, 2, "bob", "A"); /* names are a principal's own */
	expect(r, "refused c2 show_on_air");
	start(r, 2, "bob", NULL);
	expect(r, "refused c2 show_on_air");
	detach(r, 1);
	forget(r);
	start(r, 2, "bob", "B"); /* in the grace, too */
	expect(r, "refused c2 show_on_air");
	pass(r, GRACE_MS);
	expect(r, "finalise v1 grace, status");
	start(r, 2, "bob", "B");
	expect(r, "begin v2 named");
}

static void another_principal_takes_over_with_a_new_version(void **state)
{
	struct rig *r = *state;
	on_air(r);
	start(r, 2, "bob", NULL);
	expect(r, "finalise v1 takeover, release c1 taken_over, begin v2, status");
	begun(r);
	expect(r, "hosted c2 v2, status");
	start_version(r, 3, "ann", "A", 1);
	expect(r, "ordinary c3 v1");
	detach(r, 2);
	forget(r);
	start(r, 4, "ann", "C"); /* in the grace as well */
	expect(r, "finalise v2 takeover, begin v3 named, status");
}

static void a_takeover_that_can_not_be_recorded_ends_the_show(void **state)
{
	struct rig *r = *state;
	on_air(r);
	start(r, 2, "bob", "B");
	forget(r);
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	expect(r, "refused c2 storage_full, status");
	assert_int_equal(r->s.state, SHOW_OFF);
	finalised(r, 1);
	start_version(r, 1, "ann", "A", 1); /* it was not her who ended it */
	expect(r, "begin v1 again");
}

static void takeovers_wait_for_what_begins(void **state)
{
	struct rig *r = *state;
	on_air(r);
	start(r, 2, "bob", "B");
	start(r, 3, "cid", "C");
	start(r, 4, "ann", "D");
	expect(r, "finalise v1 takeover, release c1 taken_over, begin v2 named, status");
	begun(r);
	expect(r, "hosted c2 v2, finalise v2 takeover, release c2 taken_over, begin v3 named, status");
	detach(r, 4); /* she lost patience */
	begun(r);
	expect(r, "hosted c3 v3, status");
}

/* --- stopping --- */

static void a_stop_is_answered_when_the_end_is_durable(void **state)
{
	struct rig *r = *state;
	on_air(r);
	stop(r, 7);
	expect(r, "finalise v1 stop, release c1 ok, status");
	stop(r, 8); /* again, while it is under way */
	expect(r, "");
	finalised(r, 1);
	expect(r, "stopped c7 v1, stopped c8 v1");
	stop(r, 9);
	expect(r, "stopped c9 v1");
	finalised(r, 1);
	expect(r, "");
}

static void a_stop_off_air_has_no_recording_to_name(void **state)
{
	struct rig *r = *state;
	stop(r, 7);
	expect(r, "stopped c7 v0");
}

static void a_stop_ends_what_is_only_beginning(void **state)
{
	struct rig *r = *state;
	start(r, 1, "ann", "A");
	stop(r, 7);
	expect(r, "begin v1 named, refused c1 show_stopped");
	start(r, 2, "bob", "B"); /* behind the stop */
	begun(r);
	expect(r, "finalise v1 stop, begin v2 named, status");
	finalised(r, 1);
	expect(r, "stopped c7 v1");
	begun(r);
	expect(r, "hosted c2 v2, status");
}

static void a_stop_of_what_never_begins_names_the_one_before(void **state)
{
	struct rig *r = *state;
	on_air(r);
	start(r, 2, "bob", "B");
	stop(r, 7);
	expect(r, "finalise v1 takeover, release c1 taken_over, begin v2 named, status, "
		  "refused c2 show_stopped, status");
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	expect(r, "");
	finalised(r, 1);
	expect(r, "stopped c7 v1");
}

static void a_stop_refuses_hosts_that_came_before_it(void **state)
{
	struct rig *r = *state;
	on_air(r);
	start(r, 2, "bob", "B");
	start(r, 3, "cid", "C");
	forget(r);
	stop(r, 7);
	expect(r, "refused c2 show_stopped, refused c3 show_stopped, status");
	begun(r);
	expect(r, "finalise v2 stop, status");
	finalised(r, 2);
	expect(r, "stopped c7 v2");
	finalised(r, 1); /* late, and nobody waits for it */
	expect(r, "");
}

static void a_stop_waits_for_its_own_version(void **state)
{
	struct rig *r = *state;
	on_air(r);
	stop(r, 7);
	start(r, 2, "bob", "B");
	forget(r);
	finalised(r, 1);
	expect(r, "stopped c7 v1");
	begun(r);
	stop(r, 8);
	start(r, 3, "cid", "C");
	begun(r);
	forget(r);
	finalised(r, 3); /* of no concern */
	expect(r, "");
	finalised(r, 2);
	expect(r, "stopped c8 v2");
}

static void stop_and_grace_and_reconnect_in_any_order(void **state)
{
	struct rig *r = *state;
	on_air(r);
	detach(r, 1);
	forget(r);
	stop(r, 7);
	expect(r, "finalise v1 stop, status");
	pass(r, GRACE_MS);
	expect(r, "");
	start(r, 2, "ann", "A"); /* the take was ended for good */
	expect(r, "ordinary c2 v1");
	finalised(r, 1);
	expect(r, "stopped c7 v1");

	start(r, 3, "ann", "B");
	begun(r);
	detach(r, 3);
	forget(r);
	pass(r, GRACE_MS);
	expect(r, "finalise v2 grace, status");
	stop(r, 7);
	expect(r, "");
	finalised(r, 2);
	expect(r, "stopped c7 v2");
}

static void what_is_ended_elsewhere_is_not_ended_again(void **state)
{
	struct rig *r = *state;
	on_air(r);
	show_ended(&r->s, 1, &r->fx);
	expect(r, "release c1 ok, status");
	stop(r, 7);
	pass(r, GRACE_MS);
	expect(r, "");
	finalised(r, 1);
	expect(r, "stopped c7 v1");
	start(r, 1, "ann", "A");
	expect(r, "ordinary c1 v1");
	start(r, 1, "ann", "B");
	begun(r);
	forget(r);
	show_ended(&r->s, 1, &r->fx); /* an older one */
	expect(r, "");
	stop(r, 7);
	forget(r);
	show_ended(&r->s, 2, &r->fx);
	expect(r, "");
}

/* --- late resume --- */

static void what_grace_ended_goes_on_as_its_own_version(void **state)
{
	struct rig *r = *state;
	on_air(r);
	detach(r, 1);
	pass(r, GRACE_MS);
	forget(r);
	start_version(r, 2, "ann", "A", 1);
	expect(r, ""); /* its end is still under way */
	finalised(r, 1);
	expect(r, "begin v1 again");
	begun(r);
	expect(r, "hosted c2 v1, status");
	start(r, 3, "ann", "A");
	expect(r, "release c2 taken_over, hosted c3 v1");
	stop(r, 7);
	expect(r, "finalise v1 stop, release c3 ok, status");
	finalised(r, 1);
	expect(r, "stopped c7 v1");
	start(r, 2, "ann", "B");
	expect(r, "begin v2 named");
}

static void a_late_resume_that_fails_is_an_ordinary_start(void **state)
{
	struct rig *r = *state;
	on_air(r);
	detach(r, 1);
	pass(r, GRACE_MS);
	finalised(r, 1);
	start(r, 2, "ann", "A"); /* looked up before: the machine knows better */
	forget(r);
	stop(r, 7);
	expect(r, "refused c2 show_stopped");
	show_begin_failed(&r->s, ERR_DELETED, r->now, &r->fx);
	expect(r, "stopped c7 v1");
	start_version(r, 2, "ann", "A", 1);
	forget(r);
	show_begin_failed(&r->s, ERR_DELETED, r->now, &r->fx);
	expect(r, "ordinary c2 v1");
	assert_int_equal(r->s.state, SHOW_OFF);
}

static void a_late_resume_comes_too_late_when_the_next_version_is_there(void **state)
{
	struct rig *r = *state;
	on_air(r);
	detach(r, 1);
	pass(r, GRACE_MS);
	forget(r);
	start_version(r, 2, "ann", "A", 1);
	start(r, 3, "bob", "B");
	expect(r, "begin v2 named");
	begun(r);
	expect(r, "hosted c3 v2, ordinary c2 v1, status");
}

/* --- failure --- */

static void a_failed_version_leaves_the_show_on_air(void **state)
{
	struct rig *r = *state;
	on_air(r);
	failed(r, ERR_STORAGE_FULL);
	expect(r, "finalise v1 failed storage_full, status");
	assert_int_equal(show_view(&r->s).state, SHOW_LIVE);
	assert_int_equal(show_view(&r->s).take, SHOW_TAKE_FAILED);
	assert_int_equal(show_view(&r->s).error, ERR_STORAGE_FULL);
	failed(r, ERR_STORAGE_FULL); /* other tracks and writes of it */
	expect(r, "");
	finalised(r, 1);
	pass(r, 3600 * 1000);
	expect(r, ""); /* nothing is tried before there is space */
	space_back(r);
	expect(r, "begin v2"); /* the client's name is version 1's */
	space_back(r);
	expect(r, "");
	begun(r);
	expect(r, "move c1 v2, status");
	start_version(r, 2, "ann", "A", 1); /* by that name, it is still the host */
	expect(r, "release c1 taken_over, hosted c2 v2");
	stop(r, 7);
	expect(r, "finalise v2 stop, release c2 ok, status");
}

static void reconnects_go_on_with_the_broadcast(void **state)
{
	struct rig *r = *state;
	on_air(r);
	failed(r, ERR_WRITE_FAILED);
	detach(r, 1);
	forget(r);
	start_version(r, 2, "ann", "A", 1);
	expect(r, "hosted c2 v1 without write_failed, status");
	detach(r, 2);
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	space_back(r);
	expect(r, "status"); /* nobody is there to be recorded */
	start(r, 3, "ann", NULL);
	expect(r, "hosted c3 v1 without write_failed, begin v2, status");
	start(r, 4, "ann", "A");
	expect(r, "release c3 taken_over, hosted c4 v1 without write_failed");
	begun(r);
	expect(r, "move c4 v2, status");
}

static void a_failed_version_has_nothing_left_to_finalise(void **state)
{
	struct rig *r = *state;
	on_air(r);
	failed(r, ERR_STORAGE_FULL);
	finalised(r, 1);
	forget(r);
	stop(r, 7);
	expect(r, "release c1 ok, mark off, stopped c7 v1, status");
	space_back(r);
	expect(r, "");

	start(r, 1, "ann", "B");
	begun(r);
	failed(r, ERR_STORAGE_FULL);
	detach(r, 1);
	forget(r);
	pass(r, GRACE_MS);
	expect(r, "mark off, status");
	start_version(r, 1, "ann", "B", 2);
	expect(r, "ordinary c1 v2");
}

static void a_stop_while_the_next_version_begins(void **state)
{
	struct rig *r = *state;
	on_air(r);
	failed(r, ERR_STORAGE_FULL);
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	space_back(r);
	forget(r);
	stop(r, 7);
	expect(r, "release c1 ok, status");
	begun(r);
	expect(r, "finalise v2 stop, status");
	finalised(r, 1);
	expect(r, "");
	finalised(r, 2);
	expect(r, "stopped c7 v2");

	start(r, 1, "ann", "B");
	begun(r);
	failed(r, ERR_STORAGE_FULL);
	finalised(r, 3);
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	space_back(r);
	stop(r, 7);
	forget(r);
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	expect(r, "mark off, stopped c7 v3");
}

static void a_disk_that_flickers_is_tried_more_and_more_rarely(void **state)
{
	struct rig *r = *state;
	on_air(r);
	uint64_t wait = LIMIT_SHOW_RETRY_FIRST_MS;
	for (unsigned i = 0; i < 10; i++) {
		failed(r, ERR_WRITE_FAILED);
		space_back(r);
		forget(r);
		assert_true(show_next_wake(&r->s) == r->now + wait);
		pass(r, wait - 1);
		expect(r, "");
		pass(r, 1);
		assert_int_equal(show_beginning(&r->s), r->s.version + 1);
		if (i % 2)
			show_begin_failed(&r->s, ERR_WRITE_FAILED, r->now, &r->fx);
		wait = wait * 2 > LIMIT_SHOW_RETRY_MAX_MS ? LIMIT_SHOW_RETRY_MAX_MS : wait * 2;
		if (i % 2) {
			space_back(r);
			pass(r, wait);
			wait = wait * 2 > LIMIT_SHOW_RETRY_MAX_MS ? LIMIT_SHOW_RETRY_MAX_MS : wait * 2;
		}
		begun(r);
		forget(r);
	}
	r->now += LIMIT_SHOW_RETRY_MAX_MS; /* a good while */
	failed(r, ERR_WRITE_FAILED);
	space_back(r);
	assert_true(show_next_wake(&r->s) == r->now + LIMIT_SHOW_RETRY_FIRST_MS);
}

static void another_take_while_it_has_failed(void **state)
{
	struct rig *r = *state;
	on_air(r);
	failed(r, ERR_STORAGE_FULL);
	forget(r);
	start(r, 2, "ann", "B");
	expect(r, "release c1 taken_over, hosted c2 v1 without storage_full");
	start_version(r, 3, "ann", "A", 1); /* the next version will be B's */
	expect(r, "ordinary c3 v1");
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	space_back(r);
	expect(r, "begin v2 named");
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	r->now += 2 * LIMIT_SHOW_RETRY_FIRST_MS;
	space_back(r);
	expect(r, "begin v2 named");
	begun(r);
	expect(r, "move c2 v2, status");
}

static void nobody_takes_over_what_could_not_be_recorded(void **state)
{
	struct rig *r = *state;
	on_air(r);
	failed(r, ERR_STORAGE_FULL);
	forget(r);
	start(r, 2, "bob", "B");
	expect(r, "refused c2 storage_full");
	assert_int_equal(r->s.conn, 1);
	space_back(r); /* but not yet time to try */
	start(r, 2, "bob", "B");
	expect(r, "refused c2 storage_full");
	detach(r, 1);
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	space_back(r);
	forget(r);
	start(r, 2, "bob", "B");
	expect(r, "begin v2 named, status");
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	expect(r, "refused c2 storage_full, mark off, status");
}

static void a_failure_behind_the_end_is_no_concern_of_the_show(void **state)
{
	struct rig *r = *state;
	on_air(r);
	stop(r, 7);
	forget(r);
	failed(r, ERR_WRITE_FAILED);
	expect(r, "");
	finalised(r, 1);
	expect(r, "stopped c7 v1");
}

/* --- restart --- */

static struct show_past past_of(uint32_t version, enum show_take take, enum show_why ended)
{
	return (struct show_past){ .version = version,
				   .first = version,
				   .id = { .bytes = { (uint8_t)version } },
				   .principal = "ann",
				   .session = "A",
				   .take = take,
				   .ended = ended,
				   .error = take == SHOW_TAKE_FAILED ? ERR_STORAGE_FULL : ERR_OK };
}

static void a_restart_gives_a_whole_grace(void **state)
{
	struct rig *r = *state;
	struct show_past past = past_of(5, SHOW_TAKE_RECORDING, SHOW_WHY_NONE);
	assert_int_equal(show_restore(&r->s, &past, &r->fx), ERR_OK);
	assert_int_equal(show_view(&r->s).state, SHOW_WAITING);
	pass(r, 10 * GRACE_MS); /* recovery takes its time */
	assert_true(show_next_wake(&r->s) == UINT64_MAX);
	show_listen(&r->s, r->now);
	assert_true(show_next_wake(&r->s) == r->now + GRACE_MS);
	pass(r, GRACE_MS - 1);
	expect(r, "");
	start(r, 2, "bob", "B");
	start_version(r, 1, "ann", "A", 5);
	expect(r, "refused c2 show_on_air, hosted c1 v5, status");
	detach(r, 1);
	forget(r);
	pass(r, GRACE_MS);
	expect(r, "finalise v5 grace, status");
}

static void a_restart_ends_what_a_takeover_had_ended(void **state)
{
	struct rig *r = *state;
	struct show_past old = past_of(5, SHOW_TAKE_RECORDING, SHOW_WHY_NONE);
	struct show_past new = past_of(6, SHOW_TAKE_RECORDING, SHOW_WHY_NONE);
	new.principal = "bob";
	show_restore(&r->s, &old, &r->fx);
	show_restore(&r->s, &new, &r->fx);
	expect(r, "finalise v5 takeover");
	show_listen(&r->s, r->now);
	start_version(r, 1, "ann", "A", 5);
	expect(r, "ordinary c1 v5");
	start_version(r, 2, "bob", "A", 6);
	expect(r, "hosted c2 v6, status");
}

static void a_restart_while_the_version_had_failed(void **state)
{
	struct rig *r = *state;
	struct show_past past = past_of(5, SHOW_TAKE_FAILED, SHOW_WHY_FAILED);
	past.first = 3;
	show_restore(&r->s, &past, &r->fx);
	show_listen(&r->s, r->now);
	space_back(r);
	expect(r, "");
	start_version(r, 1, "ann", "A", 3);
	expect(r, "hosted c1 v5 without storage_full, begin v6, status");
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	expect(r, "");
	detach(r, 1);
	forget(r);
	pass(r, GRACE_MS);
	expect(r, "mark off, status");
}

static void a_restart_knows_the_last_version(void **state)
{
	struct rig *r = *state;
	struct show_past past = past_of(5, SHOW_TAKE_NONE, SHOW_WHY_GRACE);
	show_restore(&r->s, &past, &r->fx);
	show_listen(&r->s, r->now);
	assert_true(show_next_wake(&r->s) == UINT64_MAX);
	stop(r, 7);
	expect(r, "stopped c7 v5");
	start_version(r, 1, "ann", "A", 5);
	expect(r, "begin v5 again");
	begun(r);
	stop(r, 8);
	finalised(r, 5);
	forget(r);
	start(r, 1, "ann", NULL);
	expect(r, "begin v6");
}

#define TEST(name)	    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_TAKEOVER(name) cmocka_unit_test_setup_teardown(name, setup_takeover, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		TEST(it_is_on_air_when_its_recording_has_begun),
		TEST(a_start_without_a_name_makes_a_take_without_one),
		TEST(what_can_not_be_recorded_does_not_go_on_air),
		TEST(each_time_on_air_is_the_next_version),
		TEST(a_host_that_leaves_before_it_began_has_its_grace),
		TEST(who_waits_is_answered_in_order),
		TEST(too_many_who_wait_are_told_so),
		TEST(a_start_that_lost_nothing_changes_nothing),
		TEST(a_reconnect_goes_on_with_the_version),
		TEST(a_reconnect_may_come_before_the_loss_is_noticed),
		TEST(another_take_of_the_host_is_a_new_version),
		TEST(another_principal_is_refused),
		TEST_TAKEOVER(another_principal_takes_over_with_a_new_version),
		TEST_TAKEOVER(a_takeover_that_can_not_be_recorded_ends_the_show),
		TEST_TAKEOVER(takeovers_wait_for_what_begins),
		TEST(a_stop_is_answered_when_the_end_is_durable),
		TEST(a_stop_off_air_has_no_recording_to_name),
		TEST(a_stop_ends_what_is_only_beginning),
		TEST_TAKEOVER(a_stop_of_what_never_begins_names_the_one_before),
		TEST_TAKEOVER(a_stop_refuses_hosts_that_came_before_it),
		TEST(a_stop_waits_for_its_own_version),
		TEST(stop_and_grace_and_reconnect_in_any_order),
		TEST(what_is_ended_elsewhere_is_not_ended_again),
		TEST(what_grace_ended_goes_on_as_its_own_version),
		TEST(a_late_resume_that_fails_is_an_ordinary_start),
		TEST(a_late_resume_comes_too_late_when_the_next_version_is_there),
		TEST(a_failed_version_leaves_the_show_on_air),
		TEST(reconnects_go_on_with_the_broadcast),
		TEST(a_failed_version_has_nothing_left_to_finalise),
		TEST(a_stop_while_the_next_version_begins),
		TEST(a_disk_that_flickers_is_tried_more_and_more_rarely),
		TEST(another_take_while_it_has_failed),
		TEST_TAKEOVER(nobody_takes_over_what_could_not_be_recorded),
		TEST(a_failure_behind_the_end_is_no_concern_of_the_show),
		TEST(a_restart_gives_a_whole_grace),
		TEST(a_restart_ends_what_a_takeover_had_ended),
		TEST(a_restart_while_the_version_had_failed),
		TEST(a_restart_knows_the_last_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
