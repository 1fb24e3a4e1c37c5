/* The show machine: who is on air, and which version is recorded. How versions end otherwise is in show_lasting_test.c.
 */
#include "support/show_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
	struct show_rig *r = *state;
	show_rig_start(r, 1, "ann", "A");
	show_rig_expect(r, "begin v1 named");
	assert_int_equal(show_view(&r->s).state, SHOW_OFF);
	show_rig_begun(r);
	show_rig_expect(r, "hosted c1 v1, status");
	assert_int_equal(show_view(&r->s).state, SHOW_LIVE);
	assert_int_equal(show_view(&r->s).version, 1);
	assert_true(show_next_wake(&r->s) == UINT64_MAX);
}

static void a_start_without_a_name_makes_a_take_without_one(void **state)
{
	struct show_rig *r = *state;
	show_rig_start(r, 1, "ann", NULL);
	show_rig_expect(r, "begin v1");
	show_rig_begun(r);
	show_rig_detach(r, 1);
	show_rig_forget(r);
	show_rig_start(r, 2, "ann", NULL);
	show_rig_expect(r, "hosted c2 v1, status");
}

static void what_can_not_be_recorded_does_not_go_on_air(void **state)
{
	struct show_rig *r = *state;
	show_rig_start(r, 1, "ann", "A");
	show_rig_forget(r);
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	show_rig_expect(r, "refused c1 storage_full");
	show_rig_start(r, 1, "ann", "A"); /* the number was not used, nor was the name */
	show_rig_expect(r, "begin v1 named");
}

static void each_time_on_air_is_the_next_version(void **state)
{
	struct show_rig *r = *state;
	for (uint32_t i = 1; i <= 4; i++) {
		char session[2] = { (char)('A' + i), 0 };
		show_rig_start(r, i, "ann", session);
		show_rig_begun(r);
		show_rig_stop(r, 99);
		assert_int_equal(r->s.version, i);
		show_rig_finalised(r, i);
		show_rig_forget(r);
	}
}

static void a_host_that_leaves_before_it_began_has_its_grace(void **state)
{
	struct show_rig *r = *state;
	show_rig_start(r, 1, "ann", "A");
	show_rig_detach(r, 1);
	show_rig_expect(r, "begin v1 named");
	r->now += 5000;
	show_rig_begun(r);
	show_rig_expect(r, "status");
	assert_int_equal(r->s.state, SHOW_WAITING);
	assert_true(show_next_wake(&r->s) == r->now + GRACE_MS);
	show_rig_pass(r, GRACE_MS);
	show_rig_expect(r, "finalise v1 grace, status");
}

static void who_waits_is_answered_in_order(void **state)
{
	struct show_rig *r = *state;
	show_rig_start(r, 1, "ann", "A");
	show_rig_start(r, 2, "ann", "A"); /* the same take: it is the host, the first one is not */
	show_rig_start(r, 3, "ann", "A");
	show_rig_expect(r, "begin v1 named, refused c1 taken_over, refused c2 taken_over");
	show_rig_start(r, 4, "bob", "B");
	show_rig_expect(r, "refused c4 show_on_air");
	show_rig_begun(r);
	show_rig_expect(r, "hosted c3 v1, status");
	assert_int_equal(r->s.conn, 3);
}

static void too_many_who_wait_are_told_so(void **state)
{
	struct show_rig *r = *state;
	for (unsigned i = 0; i < LIMIT_SHOW_ASKS; i++)
		show_rig_start(r, 1, "ann", "A");
	show_rig_expect(r, "begin v1 named");
	show_rig_start(r, 2, "ann", "A");
	show_rig_expect(r, "refused c2 busy");
	show_rig_stop(r, 3);
	show_rig_forget(r);
	for (unsigned i = 1; i < LIMIT_SHOW_ASKS; i++)
		show_rig_stop(r, 4);
	show_rig_expect(r, "");
	show_rig_stop(r, 5);
	show_rig_expect(r, "refused c5 busy");
}

/* --- the same host again --- */

static void a_start_that_lost_nothing_changes_nothing(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_start(r, 1, "ann", "A");
	show_rig_expect(r, "hosted c1 v1");
	show_rig_start_version(r, 1, "ann", "A", 1);
	show_rig_expect(r, "hosted c1 v1");
}

static void a_reconnect_goes_on_with_the_version(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_detach(r, 1);
	show_rig_expect(r, "status");
	assert_int_equal(r->s.state, SHOW_WAITING);
	show_rig_pass(r, GRACE_MS - 1);
	show_rig_expect(r, "");
	show_rig_start(r, 2, "ann", "A");
	show_rig_expect(r, "hosted c2 v1, status");
	show_rig_pass(r, 10 * GRACE_MS); /* the old grace is over and forgotten */
	show_rig_expect(r, "");
	show_rig_detach(r, 2);
	show_rig_expect(r, "status");
	assert_true(show_next_wake(&r->s) == r->now + GRACE_MS); /* and a new one is whole */
}

static void a_reconnect_may_come_before_the_loss_is_noticed(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_start(r, 2, "ann", "A");
	show_rig_expect(r, "release c1 taken_over, hosted c2 v1");
	show_rig_detach(r, 1); /* it is not the host any more */
	show_rig_expect(r, "");
	assert_int_equal(r->s.state, SHOW_LIVE);
}

static void another_take_of_the_host_is_a_new_version(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_start(r, 2, "ann", "B");
	show_rig_expect(r, "finalise v1 takeover, release c1 taken_over, begin v2 named, status");
	assert_int_equal(show_view(&r->s).state, SHOW_LIVE); /* the broadcast goes on */
	show_rig_begun(r);
	show_rig_expect(r, "hosted c2 v2, status");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "");
	show_rig_start_version(r, 3, "ann", "A", 1); /* the rest of the old one is not on air */
	show_rig_expect(r, "ordinary c3 v1");
	assert_int_equal(r->s.conn, 2);
}

/* --- others --- */

static void another_principal_is_refused(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_start(r, 2, "bob", "B");
	show_rig_expect(r, "refused c2 show_on_air");
	show_rig_start(r, 2, "bob", "A"); /* names are a principal's own */
	show_rig_expect(r, "refused c2 show_on_air");
	show_rig_start(r, 2, "bob", NULL);
	show_rig_expect(r, "refused c2 show_on_air");
	show_rig_detach(r, 1);
	show_rig_forget(r);
	show_rig_start(r, 2, "bob", "B"); /* in the grace, too */
	show_rig_expect(r, "refused c2 show_on_air");
	show_rig_pass(r, GRACE_MS);
	show_rig_expect(r, "finalise v1 grace, status");
	show_rig_start(r, 2, "bob", "B");
	show_rig_expect(r, "begin v2 named");
}

static void another_principal_takes_over_with_a_new_version(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_start(r, 2, "bob", NULL);
	show_rig_expect(r, "finalise v1 takeover, release c1 taken_over, begin v2, status");
	show_rig_begun(r);
	show_rig_expect(r, "hosted c2 v2, status");
	show_rig_start_version(r, 3, "ann", "A", 1);
	show_rig_expect(r, "ordinary c3 v1");
	show_rig_detach(r, 2);
	show_rig_forget(r);
	show_rig_start(r, 4, "ann", "C"); /* in the grace as well */
	show_rig_expect(r, "finalise v2 takeover, begin v3 named, status");
}

static void a_takeover_that_can_not_be_recorded_ends_the_show(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_start(r, 2, "bob", "B");
	show_rig_forget(r);
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	show_rig_expect(r, "refused c2 storage_full, status");
	assert_int_equal(r->s.state, SHOW_OFF);
	show_rig_finalised(r, 1);
	show_rig_start_version(r, 1, "ann", "A", 1); /* it was not her who ended it */
	show_rig_expect(r, "begin v1 again");
}

static void takeovers_wait_for_what_begins(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_start(r, 2, "bob", "B");
	show_rig_start(r, 3, "cid", "C");
	show_rig_start(r, 4, "ann", "D");
	show_rig_expect(r, "finalise v1 takeover, release c1 taken_over, begin v2 named, status");
	show_rig_begun(r);
	show_rig_expect(r, "hosted c2 v2, finalise v2 takeover, release c2 taken_over, begin v3 named, status");
	show_rig_detach(r, 4); /* she lost patience */
	show_rig_begun(r);
	show_rig_expect(r, "hosted c3 v3, status");
}

/* --- stopping --- */

static void a_stop_is_answered_when_the_end_is_durable(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_stop(r, 7);
	show_rig_expect(r, "finalise v1 stop, release c1 ok, status");
	show_rig_stop(r, 8); /* again, while it is under way */
	show_rig_expect(r, "");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "stopped c7 v1, stopped c8 v1");
	show_rig_stop(r, 9);
	show_rig_expect(r, "stopped c9 v1");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "");
}

static void a_stop_off_air_has_no_recording_to_name(void **state)
{
	struct show_rig *r = *state;
	show_rig_stop(r, 7);
	show_rig_expect(r, "stopped c7 v0");
}

static void a_stop_ends_what_is_only_beginning(void **state)
{
	struct show_rig *r = *state;
	show_rig_start(r, 1, "ann", "A");
	show_rig_stop(r, 7);
	show_rig_expect(r, "begin v1 named, refused c1 show_stopped");
	show_rig_start(r, 2, "bob", "B"); /* behind the stop */
	show_rig_begun(r);
	show_rig_expect(r, "finalise v1 stop, begin v2 named, status");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "stopped c7 v1");
	show_rig_begun(r);
	show_rig_expect(r, "hosted c2 v2, status");
}

static void a_stop_of_what_never_begins_names_the_one_before(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_start(r, 2, "bob", "B");
	show_rig_stop(r, 7);
	show_rig_expect(r, "finalise v1 takeover, release c1 taken_over, begin v2 named, status, "
			   "refused c2 show_stopped, status");
	show_begin_failed(&r->s, ERR_STORAGE_FULL, r->now, &r->fx);
	show_rig_expect(r, "");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "stopped c7 v1");
}

static void a_stop_refuses_hosts_that_came_before_it(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_start(r, 2, "bob", "B");
	show_rig_start(r, 3, "cid", "C");
	show_rig_forget(r);
	show_rig_stop(r, 7);
	show_rig_expect(r, "refused c2 show_stopped, refused c3 show_stopped, status");
	show_rig_begun(r);
	show_rig_expect(r, "finalise v2 stop, status");
	assert_int_equal(show_view(&r->s).take, SHOW_TAKE_NONE);
	show_rig_failed(r, ERR_WRITE_FAILED);
	show_ended(&r->s, 2, &r->fx);
	show_rig_expect(r, "");
	show_rig_finalised(r, 2);
	show_rig_expect(r, "stopped c7 v2");
	show_rig_finalised(r, 1); /* late, and nobody waits for it */
	show_rig_expect(r, "");
}

static void a_stop_waits_for_its_own_version(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_stop(r, 7);
	show_rig_start(r, 2, "bob", "B");
	show_rig_forget(r);
	show_rig_finalised(r, 1);
	show_rig_expect(r, "stopped c7 v1");
	show_rig_begun(r);
	show_rig_stop(r, 8);
	show_rig_start(r, 3, "cid", "C");
	show_rig_begun(r);
	show_rig_forget(r);
	show_rig_finalised(r, 3); /* of no concern */
	show_rig_expect(r, "");
	show_rig_finalised(r, 2);
	show_rig_expect(r, "stopped c8 v2");
}

static void stop_and_grace_and_reconnect_in_any_order(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_rig_detach(r, 1);
	show_rig_forget(r);
	show_rig_stop(r, 7);
	show_rig_expect(r, "finalise v1 stop, status");
	show_rig_pass(r, GRACE_MS);
	show_rig_expect(r, "");
	show_rig_start(r, 2, "ann", "A"); /* the take was ended for good */
	show_rig_expect(r, "ordinary c2 v1");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "stopped c7 v1");

	show_rig_start(r, 3, "ann", "B");
	show_rig_begun(r);
	show_rig_detach(r, 3);
	show_rig_forget(r);
	show_rig_pass(r, GRACE_MS);
	show_rig_expect(r, "finalise v2 grace, status");
	show_rig_stop(r, 7);
	show_rig_expect(r, "");
	show_rig_finalised(r, 2);
	show_rig_expect(r, "stopped c7 v2");
}

static void what_is_ended_elsewhere_is_not_ended_again(void **state)
{
	struct show_rig *r = *state;
	show_rig_on_air(r);
	show_ended(&r->s, 1, &r->fx);
	show_rig_expect(r, "release c1 ok, status");
	show_rig_stop(r, 7);
	show_rig_pass(r, GRACE_MS);
	show_rig_expect(r, "");
	show_rig_finalised(r, 1);
	show_rig_expect(r, "stopped c7 v1");
	show_rig_start(r, 1, "ann", "A");
	show_rig_expect(r, "ordinary c1 v1");
	show_rig_start(r, 1, "ann", "B");
	show_rig_begun(r);
	show_rig_forget(r);
	show_ended(&r->s, 1, &r->fx); /* an older one */
	show_rig_expect(r, "");
	show_rig_stop(r, 7);
	show_rig_forget(r);
	show_ended(&r->s, 2, &r->fx);
	show_rig_expect(r, "");
}

#define TEST(name)	    cmocka_unit_test_setup_teardown(name, show_rig_setup, show_rig_teardown)
#define TEST_TAKEOVER(name) cmocka_unit_test_setup_teardown(name, show_rig_setup_takeover, show_rig_teardown)

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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
