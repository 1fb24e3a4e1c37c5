/* The recording machine: who is attached, what is accepted, and what time does. Sealing is in sealing_test.c. */
#include "support/take_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
	struct take_rig *t = malloc(sizeof *t);
	take_rig_init(t, NULL);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	take_rig_release(*state);
	free(*state);
	return 0;
}

/* An attachment of connection 1 to `main` with 100 durable bytes. */
static uint16_t with_bytes(struct take_rig *t)
{
	uint16_t track = take_rig_attach(t, 1, "main");
	assert_true(take_rig_data(t, track, 100));
	take_rig_durable(t, track);
	take_rig_forget(t);
	return track;
}

static uint16_t attach_from(struct take_rig *t, uint64_t conn, uint64_t from, bool part)
{
	struct attach a = { .conn = conn, .track = "main", .from = from, .part = part, .wall_ms = t->wall };
	uint16_t track;
	assert_int_equal(recording_attach(&t->r, &a, t->now, &track, &t->fx), ANSWER_DONE);
	return track;
}

/* --- attaching --- */

static void a_new_take_is_journaled_before_it_is_started(void **state)
{
	struct take_rig *t = *state;
	struct attach a = { .conn = 1, .track = "main", .from = BYTES_UNKNOWN, .created = true };
	uint16_t track;
	assert_int_equal(recording_attach(&t->r, &a, t->now, &track, &t->fx), ANSWER_DONE);
	take_rig_expect(t, "open t0, started c1 t0 0 new");
	assert_int_equal(track, 0);
	assert_int_equal(t->r.tracks[0].epoch, 1);
	assert_true(recording_attached(&t->r));
}

static void a_second_connection_takes_over(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	uint32_t old = t->r.tracks[0].epoch;
	assert_int_equal(take_rig_attach(t, 2, "main"), 0);
	take_rig_expect(t, "error c1 taken_over 100, started c2 t0 100 resumed");
	assert_true(t->r.tracks[0].epoch > old);
	assert_false(recording_data(&t->r, 0, old, 10, t->now, &t->fx)); /* dropped without a word */
	take_rig_expect(t, "");
	assert_int_equal(t->r.tracks[0].accepted, 100);
	recording_detach(&t->r, 0, 1, t->now, &t->fx); /* the old one goes: it has nothing to lose any more */
	assert_true(recording_attached(&t->r));
	assert_true(recording_next_wake(&t->r) == UINT64_MAX);
}

static void started_waits_until_all_that_it_says_is_durable(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_data(t, 0, 50);
	take_rig_data(t, 0, 50);
	take_rig_attach(t, 2, "main");
	take_rig_expect(t, "error c1 taken_over 100");
	recording_durable(&t->r, 0, 150, &t->fx);
	take_rig_expect(t, ""); /* not the new one's bytes: no ack before its `started` */
	recording_durable(&t->r, 0, 200, &t->fx);
	take_rig_expect(t, "started c2 t0 200 resumed");
	take_rig_data(t, 0, 1);
	recording_durable(&t->r, 0, 201, &t->fx);
	take_rig_expect(t, "ack c2 t0 201");
}

static void a_resume_that_leaves_before_started_is_not_told(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_data(t, 0, 50);
	take_rig_attach(t, 2, "main");
	take_rig_forget(t);
	recording_detach(&t->r, 0, 2, t->now, &t->fx);
	take_rig_durable(t, 0);
	take_rig_expect(t, "");
	take_rig_attach(t, 3, "main");
	take_rig_expect(t, "started c3 t0 150 resumed");
}

static void a_repeated_start_says_the_position_again(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	uint32_t epoch = t->r.tracks[0].epoch;
	recording_repeat(&t->r, 0, &t->fx);
	take_rig_expect(t, "started c1 t0 100 resumed");
	take_rig_data(t, 0, 20);
	recording_repeat(&t->r, 0, &t->fx);
	take_rig_expect(t, ""); /* 20 are not durable yet */
	take_rig_durable(t, 0);
	take_rig_expect(t, "started c1 t0 120 resumed");
	assert_int_equal(t->r.tracks[0].epoch, epoch);
}

static void from_above_what_is_there_is_refused(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	uint64_t wake = recording_next_wake(&t->r);
	assert_int_equal(attach_from(t, 2, 101, false), EFFECT_NO_TRACK);
	take_rig_expect(t, "error c2 position_conflict 100");
	assert_false(recording_attached(&t->r));
	assert_true(recording_next_wake(&t->r) == wake); /* its grace goes on */
	assert_int_equal(attach_from(t, 2, 100, false), 0);
	take_rig_expect(t, "started c2 t0 100 resumed");
	assert_int_equal(attach_from(t, 3, 0, false), 0);
	take_rig_expect(t, "error c2 taken_over 100, started c3 t0 100 resumed");
}

static void a_refused_start_disturbs_nobody(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	assert_int_equal(attach_from(t, 2, 101, true), EFFECT_NO_TRACK);
	take_rig_expect(t, "error c2 position_conflict 100"); /* no part either */
	assert_true(take_rig_data(t, 0, 1));
	assert_int_equal(t->r.info.tracks[0].part_count, 0);
}

static void a_refused_start_makes_no_track(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	struct attach a = { .conn = 2, .track = "audio", .from = 5 };
	uint16_t track;
	recording_attach(&t->r, &a, t->now, &track, &t->fx);
	take_rig_expect(t, "error c2 position_conflict 0");
	assert_int_equal(track, EFFECT_NO_TRACK);
	assert_int_equal(t->r.info.track_count, 1);
	take_rig_end(t, 0, 100);
	take_rig_hashed(t, 0);
	take_rig_expect(t, "hash t0, seal t0, seal whole"); /* `main` is still the only track */
}

static void a_part_begins_where_the_take_stands(void **state)
{
	struct take_rig *t = *state;
	assert_int_equal(attach_from(t, 1, 0, true), 0);
	take_rig_expect(t, "open t0, started c1 t0 0 new"); /* the first bytes begin a part by nature */
	assert_int_equal(t->r.info.tracks[0].part_count, 0);
	take_rig_data(t, 0, 70);
	attach_from(t, 2, BYTES_UNKNOWN, true);
	take_rig_expect(t, "error c1 taken_over 0");
	take_rig_durable(t, 0);
	take_rig_expect(t, "started c2 t0 70 resumed");
	attach_from(t, 3, BYTES_UNKNOWN, true); /* nothing came in between: the same boundary */
	take_rig_forget(t);
	take_rig_data(t, 0, 0);
	assert_int_equal(t->r.info.tracks[0].part_count, 0); /* an empty message is no first byte */
	take_rig_data(t, 0, 5);
	take_rig_data(t, 0, 5);
	take_rig_expect(t, "part t0 70");
	assert_int_equal(t->r.info.tracks[0].part_count, 1);
	assert_int_equal(t->r.info.tracks[0].parts[0], 70);
}

/* A `start` that a dead link delivers late must not mark a boundary amid what a newer attachment sent. */
static void an_attachment_without_bytes_leaves_no_boundary(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	attach_from(t, 2, 100, true);
	take_rig_data(t, 0, 50);
	take_rig_durable(t, 0);
	take_rig_forget(t);
	attach_from(t, 3, 100, true); /* late, of before connection 2 */
	take_rig_expect(t, "error c2 taken_over 150, started c3 t0 150 resumed");
	recording_detach(&t->r, 0, 3, t->now, &t->fx);
	attach_from(t, 4, 150, false);
	take_rig_data(t, 0, 50);
	assert_int_equal(t->r.info.tracks[0].part_count, 1);
	assert_int_equal(t->r.info.tracks[0].parts[0], 100);
}

static void a_boundary_whose_bytes_a_crash_took_is_none(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	attach_from(t, 1, BYTES_UNKNOWN, true);
	take_rig_data(t, 0, 50);
	take_rig_durable(t, 0);
	attach_from(t, 2, BYTES_UNKNOWN, true);
	take_rig_data(t, 0, 50);
	assert_int_equal(t->r.info.tracks[0].part_count, 2);
	take_rig_restart(t); /* the last 50 bytes were not durable */
	assert_int_equal(t->r.tracks[0].accepted, 150);
	assert_int_equal(t->r.info.tracks[0].part_count, 1);
	assert_int_equal(t->r.info.tracks[0].parts[0], 100);
}

static void parts_and_tracks_have_a_limit(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	for (int i = 0; i < LIMIT_PARTS; i++) {
		assert_int_equal(attach_from(t, 1, BYTES_UNKNOWN, true), 0);
		take_rig_data(t, 0, 1);
		take_rig_durable(t, 0);
		take_rig_forget(t);
	}
	assert_int_equal(attach_from(t, 2, BYTES_UNKNOWN, true), EFFECT_NO_TRACK);
	char wanted[64];
	snprintf(wanted, sizeof wanted, "error c2 limit_exceeded %d", 100 + LIMIT_PARTS);
	take_rig_expect(t, wanted);
	for (int i = 1; i < LIMIT_TRACKS; i++) {
		char name[16];
		snprintf(name, sizeof name, "t%d", i);
		assert_int_equal(take_rig_attach(t, 10 + (uint64_t)i, name), i);
	}
	take_rig_forget(t);
	assert_int_equal(take_rig_attach(t, 3, "one more"), EFFECT_NO_TRACK);
	take_rig_expect(t, "error c3 limit_exceeded 0");
}

static void tracks_are_attached_apart(void **state)
{
	struct take_rig *t = *state;
	assert_int_equal(take_rig_attach(t, 1, "video"), 0);
	assert_int_equal(take_rig_attach(t, 2, "audio"), 1);
	take_rig_forget(t);
	take_rig_data(t, 0, 10);
	take_rig_data(t, 1, 20);
	take_rig_durable(t, 1);
	take_rig_expect(t, "ack c2 t1 20");
	take_rig_attach(t, 3, "audio");
	take_rig_expect(t, "error c2 taken_over 20, started c3 t1 20 resumed");
	recording_detach(&t->r, 1, 3, t->now, &t->fx);
	assert_true(recording_next_wake(&t->r) == UINT64_MAX); /* video is still there */
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	assert_true(recording_next_wake(&t->r) == t->now + TAKE_GRACE);
}

/* --- the end and its totals --- */

static void a_total_below_what_came_does_not_fit(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_end(t, 0, 99);
	take_rig_expect(t, "error c1 total_mismatch 100");
	assert_false(take_rig_data(t, 0, 1));
	take_rig_expect(t, ""); /* detached: dropped */
	take_rig_attach(t, 1, "main");
	take_rig_expect(t, "started c1 t0 100 resumed");
	take_rig_end(t, 0, 100);
	take_rig_expect(t, "hash t0");
}

static void the_end_may_come_before_the_last_bytes(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_end(t, 0, 130);
	take_rig_expect(t, "");
	assert_true(take_rig_data(t, 0, 30));
	take_rig_expect(t, ""); /* not before they are durable */
	take_rig_durable(t, 0);
	take_rig_expect(t, "ack c1 t0 130, hash t0");
}

static void bytes_behind_the_total_do_not_fit(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_end(t, 0, 130);
	assert_false(take_rig_data(t, 0, 31));
	take_rig_expect(t, "error c1 total_mismatch 100");
	assert_int_equal(t->r.tracks[0].accepted, 100);
	take_rig_attach(t, 2, "main"); /* the next attachment declares its own */
	assert_true(take_rig_data(t, 0, 31));
}

static void what_is_missing_is_said_after_ten_seconds_of_silence(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_end(t, 0, 130);
	take_rig_pass(t, LIMIT_END_SILENCE_MS - 1);
	take_rig_data(t, 0, 1);
	take_rig_durable(t, 0);
	take_rig_expect(t, "ack c1 t0 101"); /* … and the ten seconds begin again */
	assert_true(recording_next_wake(&t->r) == t->now + LIMIT_END_SILENCE_MS);
	take_rig_pass(t, LIMIT_END_SILENCE_MS - 1);
	take_rig_expect(t, "");
	take_rig_pass(t, 1);
	take_rig_expect(t, "error c1 bytes_missing 101");
	assert_true(recording_next_wake(&t->r) == t->now + TAKE_GRACE); /* nobody is attached now */
	take_rig_pass(t, TAKE_GRACE - 1);
	take_rig_expect(t, "");
}

static void nobody_is_silent_while_the_server_does_not_read(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	recording_unread(&t->r, 0, t->now); /* nothing was declared: nothing is awaited */
	take_rig_pass(t, LIMIT_END_SILENCE_MS);
	take_rig_end(t, 0, 130);
	take_rig_pass(t, LIMIT_END_SILENCE_MS - 1);
	recording_unread(&t->r, 0, t->now);
	take_rig_pass(t, LIMIT_END_SILENCE_MS - 1);
	take_rig_expect(t, "");
	take_rig_pass(t, 1);
	take_rig_expect(t, "error c1 bytes_missing 100");
}

static void a_later_end_corrects_an_earlier_one(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_end(t, 0, 130);
	take_rig_end(t, 0, 100);
	take_rig_expect(t, "hash t0");
}

static void behind_the_seal_nothing_is_accepted(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_data(t, 0, 5);
	take_rig_end(t, 0, 105);
	assert_int_equal(t->r.tracks[0].stage, STAGE_DRAIN);
	assert_false(take_rig_data(t, 0, 1));
	take_rig_expect(t, "error c1 sealed 100");
	take_rig_durable(t, 0);
	take_rig_expect(t, "hash t0"); /* the seal goes on */
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	assert_int_equal(t->r.info.tracks[0].bytes, 105);
}

static void who_lost_its_place_is_not_started_later(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	with_bytes(t);
	take_rig_data(t, 0, 5);
	recording_repeat(&t->r, 0, &t->fx); /* its `started` waits for 105 */
	take_rig_complete(t, &err);
	assert_false(take_rig_data(t, 0, 1));
	take_rig_expect(t, "error c1 sealed 100");
	take_rig_durable(t, 0);
	take_rig_expect(t, "hash t0");
}

static void a_repeated_end_while_sealing_is_checked(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_end(t, 0, 100);
	take_rig_expect(t, "hash t0");
	take_rig_end(t, 0, 100);
	take_rig_expect(t, "");
	take_rig_end(t, 0, 101);
	take_rig_expect(t, "error c1 total_mismatch 100");
}

/* --- time --- */

static void grace_seals_what_is_there(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_data(t, 0, 20);
	take_rig_end(t, 0, 500); /* even below a declared total */
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	take_rig_durable(t, 0);
	take_rig_pass(t, TAKE_GRACE - 1);
	take_rig_expect(t, "");
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING);
	take_rig_pass(t, 1);
	take_rig_expect(t, "hash t0");
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_GRACE);
	assert_true(t->r.info.interrupted);
	assert_int_equal(t->r.info.tracks[0].bytes, 120);
	assert_true(recording_next_wake(&t->r) == UINT64_MAX);
}

static void who_comes_back_within_the_grace_goes_on(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	for (uint64_t conn = 2; conn < 20; conn++) { /* each loss begins a full grace */
		recording_detach(&t->r, 0, conn - 1, t->now, &t->fx);
		take_rig_pass(t, TAKE_GRACE - 1);
		take_rig_expect(t, "");
		take_rig_attach(t, conn, "main");
		take_rig_forget(t);
		take_rig_pass(t, TAKE_GRACE * 10);
		take_rig_expect(t, "");
	}
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING);
}

static void a_take_that_was_ended_is_not_interrupted_by_a_slow_disk(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_data(t, 0, 20);
	take_rig_end(t, 0, 120);
	recording_detach(&t->r, 0, 1, t->now, &t->fx); /* it said all that it had to say */
	take_rig_pass(t, TAKE_GRACE + 1);
	take_rig_durable(t, 0);
	take_rig_pass(t, TAKE_GRACE + 1);
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_END);
	assert_false(t->r.info.interrupted);
}

static void a_take_without_bytes_is_aborted_as_empty(void **state)
{
	struct take_rig *t = *state;
	take_rig_attach(t, 1, "main");
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	take_rig_forget(t);
	take_rig_pass(t, TAKE_LATE - 1);
	take_rig_expect(t, ""); /* grace never claims it */
	take_rig_pass(t, 1);
	take_rig_expect(t, "log abort");
	assert_string_equal(t->r.info.abort_reason, "empty");
	take_rig_aborted(t);
	take_rig_expect(t, "idle");
	assert_int_equal(t->r.info.phase, PHASE_ABORTED);
	take_rig_attach(t, 2, "main");
	take_rig_expect(t, "aborted c2");
}

static void a_restart_gives_a_full_grace(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	take_rig_pass(t, TAKE_GRACE - 1);
	take_rig_restart(t);
	take_rig_expect(t, "");
	take_rig_pass(t, TAKE_GRACE - 1);
	take_rig_expect(t, "");
	take_rig_pass(t, 1);
	take_rig_expect(t, "hash t0");
}

static void full_storage_detaches_and_keeps_the_take(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_attach(t, 2, "audio");
	take_rig_forget(t);
	recording_storage_full(&t->r, t->now, &t->fx);
	take_rig_expect(t, "error c1 storage_full 100, error c2 storage_full 0");
	recording_freeze(&t->r, true, t->now);
	assert_true(recording_next_wake(&t->r) == UINT64_MAX);
	take_rig_pass(t, 100ULL * TAKE_GRACE);
	take_rig_expect(t, "");
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING);
	recording_freeze(&t->r, false, t->now);
	take_rig_pass(t, TAKE_GRACE - 1);
	take_rig_expect(t, "");
	take_rig_attach(t, 3, "main");
	take_rig_expect(t, "started c3 t0 100 resumed");
}

static void the_grace_stands_still_while_storage_is_full(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	take_rig_pass(t, 10000);
	recording_freeze(&t->r, true, t->now);
	recording_freeze(&t->r, true, t->now + 5); /* again: no other beginning */
	take_rig_pass(t, 500000);
	recording_freeze(&t->r, false, t->now);
	recording_freeze(&t->r, false, t->now + 5);
	assert_true(recording_next_wake(&t->r) == t->now + TAKE_GRACE - 10000);
}

static void a_grace_that_begins_while_storage_is_full_is_a_grace(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	recording_freeze(&t->r, true, t->now);
	take_rig_pass(t, 500000);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	take_rig_pass(t, 1000);
	assert_true(recording_next_wake(&t->r) == UINT64_MAX);
	recording_freeze(&t->r, false, t->now);
	assert_true(recording_next_wake(&t->r) == t->now + TAKE_GRACE);
}

static void a_clean_stop_tells_everybody(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t);
	take_rig_attach(t, 2, "audio");
	take_rig_forget(t);
	recording_detach_all(&t->r, ERR_SHUTTING_DOWN, t->now, &t->fx);
	take_rig_expect(t, "error c1 shutting_down 100, error c2 shutting_down 0");
	assert_false(recording_attached(&t->r));
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_new_take_is_journaled_before_it_is_started),
		TEST(a_second_connection_takes_over),
		TEST(started_waits_until_all_that_it_says_is_durable),
		TEST(a_resume_that_leaves_before_started_is_not_told),
		TEST(a_repeated_start_says_the_position_again),
		TEST(from_above_what_is_there_is_refused),
		TEST(a_refused_start_disturbs_nobody),
		TEST(a_refused_start_makes_no_track),
		TEST(a_part_begins_where_the_take_stands),
		TEST(an_attachment_without_bytes_leaves_no_boundary),
		TEST(a_boundary_whose_bytes_a_crash_took_is_none),
		TEST(parts_and_tracks_have_a_limit),
		TEST(tracks_are_attached_apart),
		TEST(a_total_below_what_came_does_not_fit),
		TEST(the_end_may_come_before_the_last_bytes),
		TEST(bytes_behind_the_total_do_not_fit),
		TEST(what_is_missing_is_said_after_ten_seconds_of_silence),
		TEST(nobody_is_silent_while_the_server_does_not_read),
		TEST(a_later_end_corrects_an_earlier_one),
		TEST(behind_the_seal_nothing_is_accepted),
		TEST(who_lost_its_place_is_not_started_later),
		TEST(a_repeated_end_while_sealing_is_checked),
		TEST(grace_seals_what_is_there),
		TEST(who_comes_back_within_the_grace_goes_on),
		TEST(a_take_that_was_ended_is_not_interrupted_by_a_slow_disk),
		TEST(a_take_without_bytes_is_aborted_as_empty),
		TEST(a_restart_gives_a_full_grace),
		TEST(full_storage_detaches_and_keeps_the_take),
		TEST(the_grace_stands_still_while_storage_is_full),
		TEST(a_grace_that_begins_while_storage_is_full_is_a_grace),
		TEST(a_clean_stop_tells_everybody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
