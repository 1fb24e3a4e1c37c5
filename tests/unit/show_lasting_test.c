/* The show machine over time: late resumes, storage that fails, and restarts. */
#include "support/show_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- late resume --- */

static void what_grace_ended_goes_on_as_its_own_version(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_detach(r, 1);
	show_rig_pass(r, GRACE_MS);
	show_rig_forget(r);
	show_rig_start_version(r, 2, "ann", "A", 1);
	show_rig_expect(r, ""); /* its end is still under way */
	show_rig_finalised(r, 1);
	show_rig_expect(r, "begin v1 again");
	show_rig_begun(r);
	show_rig_expect(r, "hosted c2 v1, status");
	show_rig_start(r, 3, "ann", "A");
	show_rig_expect(r, "release c2 taken_over, hosted c3 v1");
	show_rig_stop(r, 7);
	show_rig_expect(r, "finalise v1 stop, release c3 ok, status");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "stopped c7 v1");
	show_rig_start(r, 2, "ann", "B");
	show_rig_expect(r, "begin v2 named");
}

static void a_late_resume_is_for_the_takes_own_principal(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_detach(r, 1);
	show_rig_pass(r, GRACE_MS);
	show_rig_finalised(r, 1);
	show_rig_forget(r);
	show_rig_start(r, 2, "bob", "A"); /* a name of his own, which happens to be hers */
	show_rig_expect(r, "begin v2 named");
}

static void a_late_resume_that_fails_is_an_ordinary_start(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_detach(r, 1);
	show_rig_pass(r, GRACE_MS);
	show_rig_finalised(r, 1);
	show_rig_start(r, 2, "ann", "A"); /* looked up before: the machine knows better */
	show_rig_forget(r);
	show_rig_stop(r, 7);
	show_rig_expect(r, "refused c2 show_stopped");
	show_begin_failed(&r->s, ERR_DELETED, r->now, &r->fx);
	show_rig_expect(r, "stopped c7 v1");
	show_rig_start_version(r, 2, "ann", "A", 1);
	show_rig_forget(r);
	show_begin_failed(&r->s, ERR_DELETED, r->now, &r->fx);
	show_rig_expect(r, "ordinary c2 v1");
	assert_int_equal(r->s.state, SHOW_OFF);
}

static void a_late_resume_comes_too_late_when_the_next_version_is_there(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_detach(r, 1);
	show_rig_pass(r, GRACE_MS);
	show_rig_forget(r);
	show_rig_start_version(r, 2, "ann", "A", 1);
	show_rig_start(r, 3, "bob", "B");
	show_rig_expect(r, "begin v2 named");
	show_rig_begun(r);
	show_rig_expect(r, "hosted c3 v2, ordinary c2 v1, status");
}

static void who_named_no_take_is_not_tied_to_a_late_resume(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_detach(r, 1);
	show_rig_pass(r, GRACE_MS);
	show_rig_finalised(r, 1);
	show_rig_start_version(r, 2, "ann", "A", 1);
	show_rig_forget(r);
	show_rig_start(r, 3, "ann", NULL);
	show_rig_expect(r, "refused c2 taken_over");
	show_begin_failed(&r->s, ERR_ABORTED, r->now, &r->fx);
	show_rig_expect(r, "begin v2");
	show_rig_begun(r);
	show_rig_expect(r, "hosted c3 v2, status");
}

static void what_goes_on_late_keeps_the_takes_name(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_failed(r, ERR_STORAGE_FULL);
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	show_rig_space_back(r);
	show_rig_begun(r); /* version 2 is A's too */
	show_rig_detach(r, 1);
	show_rig_pass(r, GRACE_MS);
	show_rig_forget(r);
	show_rig_start_version(r, 2, "ann", "A", 1);
	show_rig_start(r, 3, "bob", "B");
	show_begin_failed(&r->s, ERR_NO_MEMORY, r->now, &r->fx);
	show_rig_forget(r);
	show_rig_finalised(r, 2);
	const struct show_effect *e = show_effects_drain(&r->fx);
	assert_true(e && e->type == SHOW_EFFECT_BEGIN && e->again && e->version == 2);
	assert_int_equal(e->first, 1); /* a restart then finds A by version 1 */
	show_rig_forget(r);
	show_rig_begun(r);
	show_rig_forget(r);
	show_rig_start_version(r, 4, "ann", "A", 1);
	show_rig_expect(r, "release c2 taken_over, hosted c4 v2");
}

/* --- failure --- */

static void a_failed_version_leaves_the_show_on_air(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_failed(r, ERR_STORAGE_FULL);
	show_rig_expect(r, "finalise v1 failed storage_full, status");
	assert_int_equal(show_view(&r->s).state, SHOW_LIVE);
	assert_int_equal(show_view(&r->s).take, SHOW_TAKE_FAILED);
	assert_int_equal(show_view(&r->s).error, ERR_STORAGE_FULL);
	show_rig_failed(r, ERR_STORAGE_FULL); /* other tracks and writes of it */
	show_rig_expect(r, "");
	show_rig_finalised(r, 1);
	show_rig_pass(r, 3600 * 1000);
	show_rig_expect(r, ""); /* nothing is tried before there is space */
	show_rig_space_back(r);
	show_rig_expect(r, "begin v2"); /* the client's name is version 1's */
	show_rig_space_back(r);
	show_rig_expect(r, "");
	show_rig_begun(r);
	show_rig_expect(r, "move c1 v2, status");
	show_rig_start_version(r, 2, "ann", "A", 1); /* by that name, it is still the host */
	show_rig_expect(r, "release c1 taken_over, hosted c2 v2");
	show_rig_stop(r, 7);
	show_rig_expect(r, "finalise v2 stop, release c2 ok, status");
}

static void reconnects_go_on_with_the_broadcast(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_failed(r, ERR_WRITE_FAILED);
	show_rig_detach(r, 1);
	show_rig_forget(r);
	show_rig_start_version(r, 2, "ann", "A", 1);
	show_rig_expect(r, "hosted c2 v1 without write_failed, status");
	show_rig_detach(r, 2);
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	show_rig_space_back(r);
	show_rig_expect(r, "status"); /* nobody is there to be recorded */
	show_rig_start(r, 3, "ann", NULL);
	show_rig_expect(r, "hosted c3 v1 without write_failed, begin v2, status");
	show_rig_start(r, 4, "ann", "A");
	show_rig_expect(r, "release c3 taken_over, hosted c4 v1 without write_failed");
	show_rig_begun(r);
	show_rig_expect(r, "move c4 v2, status");
}

static void a_failed_version_has_nothing_left_to_finalise(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_failed(r, ERR_STORAGE_FULL);
	show_rig_finalised(r, 1);
	show_rig_forget(r);
	show_rig_stop(r, 7);
	show_rig_expect(r, "release c1 ok, mark off, stopped c7 v1, status");
	show_rig_space_back(r);
	show_rig_expect(r, "");

	show_rig_start(r, 1, "ann", "B");
	show_rig_begun(r);
	show_rig_failed(r, ERR_STORAGE_FULL);
	show_rig_detach(r, 1);
	show_rig_forget(r);
	show_rig_pass(r, GRACE_MS);
	show_rig_expect(r, "status");
	show_rig_finalised(r, 2); /* what marks it must not come behind the end of the mark */
	show_rig_expect(r, "mark off");
	show_rig_start_version(r, 1, "ann", "B", 2);
	show_rig_expect(r, "ordinary c1 v2");
}

static void a_stop_while_the_next_version_begins(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_failed(r, ERR_STORAGE_FULL);
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	show_rig_space_back(r);
	show_rig_forget(r);
	show_rig_stop(r, 7);
	show_rig_expect(r, "release c1 ok, status");
	show_rig_begun(r);
	show_rig_expect(r, "finalise v2 stop, status");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "");
	show_rig_finalised(r, 2);
	show_rig_expect(r, "stopped c7 v2");

	show_rig_start(r, 1, "ann", "B");
	show_rig_begun(r);
	show_rig_failed(r, ERR_STORAGE_FULL);
	show_rig_finalised(r, 3);
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	show_rig_space_back(r);
	show_rig_stop(r, 7);
	show_rig_forget(r);
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	show_rig_expect(r, "mark off, stopped c7 v3");
}

static void a_disk_that_flickers_is_tried_more_and_more_rarely(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	uint64_t wait = LIMIT_SHOW_RETRY_FIRST_MS;
	for (unsigned i = 0; i < 10; i++) {
		show_rig_failed(r, ERR_WRITE_FAILED);
		show_rig_space_back(r);
		show_rig_forget(r);
		assert_true(show_next_wake(&r->s) == r->now + wait);
		show_rig_pass(r, wait - 1);
		show_rig_expect(r, "");
		show_rig_pass(r, 1);
		assert_int_equal(show_beginning(&r->s), r->s.version + 1);
		if (i % 2)
			show_begin_failed(&r->s, ERR_WRITE_FAILED, r->now, &r->fx);
		wait = wait * 2 > LIMIT_SHOW_RETRY_MAX_MS ? LIMIT_SHOW_RETRY_MAX_MS : wait * 2;
		if (i % 2) {
			show_rig_space_back(r);
			show_rig_pass(r, wait);
			wait = wait * 2 > LIMIT_SHOW_RETRY_MAX_MS ? LIMIT_SHOW_RETRY_MAX_MS : wait * 2;
		}
		show_rig_begun(r);
		show_rig_forget(r);
	}
	r->now += LIMIT_SHOW_RETRY_MAX_MS; /* a good while */
	show_rig_failed(r, ERR_WRITE_FAILED);
	show_rig_space_back(r);
	assert_true(show_next_wake(&r->s) == r->now + LIMIT_SHOW_RETRY_FIRST_MS);
}

static void another_take_while_it_has_failed(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_failed(r, ERR_STORAGE_FULL);
	show_rig_forget(r);
	show_rig_start(r, 2, "ann", "B");
	show_rig_expect(r, "release c1 taken_over, hosted c2 v1 without storage_full, status");
	show_rig_start_version(r, 3, "ann", "A", 1); /* the next version will be B's */
	show_rig_expect(r, "ordinary c3 v1");
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	show_rig_space_back(r);
	show_rig_expect(r, "begin v2 named");
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	r->now += 2 * LIMIT_SHOW_RETRY_FIRST_MS;
	show_rig_space_back(r);
	show_rig_expect(r, "begin v2 named");
	show_rig_begun(r);
	show_rig_expect(r, "move c2 v2, status");
}

static void a_name_that_is_an_older_takes_does_not_keep_the_next_version_away(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_failed(r, ERR_STORAGE_FULL);
	show_rig_start(r, 2, "ann", "B"); /* looked up too early */
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	show_rig_space_back(r);
	show_rig_forget(r);
	show_begin_failed(&r->s, ERR_EXISTS, r->now, &r->fx);
	show_rig_expect(r, "status");
	r->now += 2 * LIMIT_SHOW_RETRY_FIRST_MS;
	show_rig_space_back(r);
	show_rig_expect(r, "begin v2");
}

static void nobody_takes_over_what_could_not_be_recorded(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_failed(r, ERR_STORAGE_FULL);
	show_rig_finalised(r, 1);
	show_rig_forget(r);
	show_rig_start(r, 2, "bob", "B");
	show_rig_expect(r, "refused c2 storage_full");
	assert_int_equal(r->s.conn, 1);
	show_rig_space_back(r); /* but not yet time to try */
	show_rig_start(r, 2, "bob", "B");
	show_rig_expect(r, "refused c2 storage_full");
	show_rig_detach(r, 1);
	r->now += LIMIT_SHOW_RETRY_FIRST_MS;
	show_rig_space_back(r);
	show_rig_forget(r);
	show_rig_start(r, 2, "bob", "B");
	show_rig_expect(r, "begin v2 named, status");
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	show_rig_expect(r, "refused c2 storage_full, mark off, status");
}

static void a_failure_behind_the_end_is_no_concern_of_the_show(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_stop(r, 7);
	show_rig_forget(r);
	show_rig_failed(r, ERR_WRITE_FAILED);
	show_rig_expect(r, "");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "stopped c7 v1");
	show_rig_start(r, 1, "ann", "B");
	show_rig_begun(r);
	show_rig_forget(r);
	show_recording_failed(&r->s, 1, ERR_WRITE_FAILED, r->now, &r->fx);
	show_rig_expect(r, "");
	assert_int_equal(r->s.take, SHOW_TAKE_RECORDING);
}

/* --- memory --- */

static void it_leaves_memory_when_nothing_is_under_way(void **state)
{
	struct show_rig *r = *state;
	assert_true(show_at_rest(&r->s));
	show_rig_start(r, 1, "ann", "A");
	assert_false(show_at_rest(&r->s));
	show_rig_stop(r, 7);
	assert_false(show_at_rest(&r->s));
	show_rig_begun(r);
	assert_false(show_at_rest(&r->s));
	show_rig_finalised(r, 1);
	assert_true(show_at_rest(&r->s));
	show_rig_start(r, 1, "ann", "B");
	show_rig_begun(r);
	assert_false(show_at_rest(&r->s));
	show_rig_detach(r, 1);
	assert_false(show_at_rest(&r->s));
	show_rig_pass(r, GRACE_MS);
	assert_false(show_at_rest(&r->s));
	show_rig_finalised(r, 2);
	assert_true(show_at_rest(&r->s));
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
				   .error = take == SHOW_TAKE_FAILED ? ERR_STORAGE_FULL : ERR_OK,
				   .marked = take == SHOW_TAKE_FAILED };
}

static void a_restart_gives_a_whole_grace(void **state)
{
	struct show_rig *r = *state;
	struct show_past past = past_of(5, SHOW_TAKE_RECORDING, SHOW_WHY_NONE);
	assert_int_equal(show_restore(&r->s, &past, &r->fx), ERR_OK);
	assert_int_equal(show_view(&r->s).state, SHOW_WAITING);
	show_rig_pass(r, 10 * GRACE_MS); /* recovery takes its time */
	assert_true(show_next_wake(&r->s) == UINT64_MAX);
	show_listen(&r->s, r->now);
	assert_true(show_next_wake(&r->s) == r->now + GRACE_MS);
	show_rig_pass(r, GRACE_MS - 1);
	show_rig_expect(r, "");
	show_rig_start(r, 2, "bob", "B");
	show_rig_start_version(r, 1, "ann", "A", 5);
	show_rig_expect(r, "refused c2 show_on_air, hosted c1 v5, status");
	show_rig_detach(r, 1);
	show_rig_forget(r);
	show_rig_pass(r, GRACE_MS);
	show_rig_expect(r, "finalise v5 grace, status");
}

static void a_restart_ends_what_a_takeover_had_ended(void **state)
{
	struct show_rig *r = *state;
	struct show_past old = past_of(5, SHOW_TAKE_RECORDING, SHOW_WHY_NONE);
	struct show_past new = past_of(6, SHOW_TAKE_RECORDING, SHOW_WHY_NONE);
	new.principal = "bob";
	show_restore(&r->s, &old, &r->fx);
	show_restore(&r->s, &new, &r->fx);
	show_rig_expect(r, "finalise v5 takeover");
	show_listen(&r->s, r->now);
	show_rig_start_version(r, 1, "ann", "A", 5);
	show_rig_expect(r, "ordinary c1 v5");
	show_rig_start_version(r, 2, "bob", "A", 6);
	show_rig_expect(r, "hosted c2 v6, status");
}

static void a_restart_while_the_version_had_failed(void **state)
{
	struct show_rig *r = *state;
	struct show_past past = past_of(5, SHOW_TAKE_FAILED, SHOW_WHY_FAILED);
	past.first = 3;
	show_restore(&r->s, &past, &r->fx);
	show_listen(&r->s, r->now);
	show_rig_space_back(r);
	show_rig_expect(r, "");
	show_rig_start_version(r, 1, "ann", "A", 3);
	show_rig_expect(r, "hosted c1 v5 without storage_full, begin v6, status");
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	show_rig_expect(r, "");
	show_rig_detach(r, 1);
	show_rig_forget(r);
	show_rig_pass(r, GRACE_MS);
	show_rig_expect(r, "mark off, status");
}

/* A crash between the deletion of the version that had failed and the end of the show. */
static void a_restart_takes_the_mark_of_a_version_that_is_gone(void **state)
{
	struct show_rig *r = *state;
	struct show_past past = past_of(5, SHOW_TAKE_NONE, SHOW_WHY_ELSEWHERE);
	past.marked = true;
	show_restore(&r->s, &past, &r->fx);
	show_listen(&r->s, r->now);
	show_rig_expect(r, "mark off");
}

static void a_restart_knows_the_last_version(void **state)
{
	struct show_rig *r = *state;
	struct show_past past = past_of(5, SHOW_TAKE_NONE, SHOW_WHY_GRACE);
	show_restore(&r->s, &past, &r->fx);
	show_listen(&r->s, r->now);
	assert_true(show_next_wake(&r->s) == UINT64_MAX);
	show_rig_stop(r, 7);
	show_rig_expect(r, "stopped c7 v5");
	show_rig_start_version(r, 1, "ann", "A", 5);
	show_rig_expect(r, "begin v5 again");
	show_rig_begun(r);
	show_rig_stop(r, 8);
	show_rig_finalised(r, 5);
	show_rig_forget(r);
	show_rig_start(r, 1, "ann", NULL);
	show_rig_expect(r, "begin v6");
}

#define TEST(name)	    cmocka_unit_test_setup_teardown(name, show_rig_setup, show_rig_teardown)
#define TEST_TAKEOVER(name) cmocka_unit_test_setup_teardown(name, show_rig_setup_takeover, show_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_grace_ended_goes_on_as_its_own_version),
		TEST(a_late_resume_is_for_the_takes_own_principal),
		TEST(a_late_resume_that_fails_is_an_ordinary_start),
		TEST(a_late_resume_comes_too_late_when_the_next_version_is_there),
		TEST(who_named_no_take_is_not_tied_to_a_late_resume),
		TEST(what_goes_on_late_keeps_the_takes_name),
		TEST(a_failed_version_leaves_the_show_on_air),
		TEST(reconnects_go_on_with_the_broadcast),
		TEST(a_failed_version_has_nothing_left_to_finalise),
		TEST(a_stop_while_the_next_version_begins),
		TEST(a_disk_that_flickers_is_tried_more_and_more_rarely),
		TEST(another_take_while_it_has_failed),
		TEST(a_name_that_is_an_older_takes_does_not_keep_the_next_version_away),
		TEST_TAKEOVER(nobody_takes_over_what_could_not_be_recorded),
		TEST(a_failure_behind_the_end_is_no_concern_of_the_show),
		TEST(it_leaves_memory_when_nothing_is_under_way),
		TEST(a_restart_gives_a_whole_grace),
		TEST(a_restart_ends_what_a_takeover_had_ended),
		TEST(a_restart_while_the_version_had_failed),
		TEST(a_restart_takes_the_mark_of_a_version_that_is_gone),
		TEST(a_restart_knows_the_last_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
