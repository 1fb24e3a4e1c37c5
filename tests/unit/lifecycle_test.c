/* Aborts and storage that fails, at every stage of a seal; late resumes; what a restart makes of seals half done. */
#include "support/take_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

static int setup_declared(void **state)
{
	struct take_rig *t = malloc(sizeof *t);
	take_rig_init(t, "video audio");
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	take_rig_release(*state);
	free(*state);
	return 0;
}

static void again(struct take_rig *t)
{
	take_rig_release(t);
	take_rig_init(t, NULL);
}

static uint16_t with_bytes(struct take_rig *t, uint64_t conn, const char *name, uint64_t bytes)
{
	uint16_t track = take_rig_attach(t, conn, name);
	assert_true(take_rig_data(t, track, bytes));
	take_rig_durable(t, track);
	take_rig_forget(t);
	return track;
}

enum step { OPEN, DRAIN, HASH, LOG, LOGGED, CLAIM, STEPS };

/* A single `main` whose end has come this far; connection 1 is attached. */
static void at_step(struct take_rig *t, enum step step)
{
	with_bytes(t, 1, "main", 100);
	take_rig_data(t, 0, 10);
	if (step >= DRAIN)
		take_rig_end(t, 0, 110);
	if (step >= HASH)
		take_rig_durable(t, 0);
	if (step >= LOG)
		take_rig_hashed(t, 0);
	if (step >= LOGGED)
		take_rig_logged(t, 0);
	if (step >= CLAIM)
		take_rig_logged(t, RECORDING_WHOLE);
	take_rig_forget(t);
}

static bool at_rest(const struct take_rig *t)
{
	for (uint32_t i = 0; i < t->r.info.track_count; i++) {
		if (t->r.tracks[i].stage != STAGE_OPEN && t->r.tracks[i].stage != STAGE_SEALED)
			return false;
	}
	return t->r.busy == BUSY_NONE;
}

/* --- abort --- */

static void an_abort_first_acks_what_came_before_it(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "main", 100);
	take_rig_data(t, 0, 10);
	assert_int_equal(recording_abort(&t->r, "no", &t->fx), ANSWER_DONE);
	take_rig_expect(t, "");
	take_rig_durable(t, 0);
	take_rig_expect(t, "ack c1 t0 110, log abort");
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING);
	take_rig_aborted(t);
	take_rig_expect(t, "aborted c1, idle");
	assert_int_equal(t->r.info.phase, PHASE_ABORTED);
	assert_string_equal(t->r.info.abort_reason, "no");
	assert_true(recording_next_wake(&t->r) == UINT64_MAX);
}

static void an_abort_at_any_stage_of_a_seal_waits(void **state)
{
	struct take_rig *t = *state;
	for (enum step step = DRAIN; step < STEPS; step++) {
		again(t);
		at_step(t, step);
		assert_int_equal(recording_abort(&t->r, "no", &t->fx), ANSWER_WAIT);
		take_rig_expect(t, "");
	}
	take_rig_claimed(t);
	take_rig_forget(t);
	assert_int_equal(recording_abort(&t->r, "no", &t->fx), ANSWER_DONE); /* too late: it stays what it is */
	take_rig_expect(t, "");
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
}

static void while_it_aborts_nothing_else_begins(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	with_bytes(t, 1, "main", 100);
	with_bytes(t, 2, "audio", 50);
	take_rig_data(t, 0, 10);
	take_rig_end(t, 1, 60); /* its timer must not ring into the abort */
	recording_abort(&t->r, "no", &t->fx);
	assert_int_equal(recording_abort(&t->r, "again", &t->fx), ANSWER_DONE);
	assert_string_equal(t->r.info.abort_reason, "no");
	take_rig_end(t, 0, 110); /* pipelined behind the abort */
	take_rig_end(t, 0, 5);
	assert_false(take_rig_data(t, 0, 1));
	assert_false(take_rig_data(t, 1, 10));
	take_rig_expect(t, ""); /* `aborted` is on its way to both */
	assert_int_equal(take_rig_attach(t, 3, "main"), TAKE_RIG_WAIT);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_WAIT);
	take_rig_pass(t, 10ULL * TAKE_GRACE);
	take_rig_expect(t, "");
	take_rig_durable(t, 0);
	take_rig_expect(t, "ack c1 t0 110, log abort");
	take_rig_aborted(t);
	take_rig_expect(t, "aborted c1, aborted c2, idle");
	take_rig_attach(t, 3, "main");
	take_rig_expect(t, "aborted c3");
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_REFUSED);
	assert_int_equal(err, ERR_ABORTED);
}

/* --- storage that fails --- */

static void storage_that_fails_tells_everybody_at_any_stage(void **state)
{
	struct take_rig *t = *state;
	for (enum step step = OPEN; step <= HASH; step++) {
		again(t);
		enum err err;
		at_step(t, step);
		recording_poison(&t->r, ERR_POISONED, &t->fx);
		take_rig_expect(t, step >= HASH ? "error c1 poisoned 110, fail poisoned, idle"
						: "error c1 poisoned 100, fail poisoned, idle");
		assert_int_equal(t->r.info.phase, PHASE_ERROR);
		assert_int_equal(t->r.info.error, ERR_POISONED);
		assert_true(at_rest(t)); /* a deletion need not wait for a seal that never comes */
		if (step < HASH)
			take_rig_durable(t, 0); /* what was on its way */
		else
			take_rig_hashed(t, 0);
		take_rig_expect(t, "");
		assert_true(at_rest(t));
		recording_poison(&t->r, ERR_POISONED, &t->fx);
		take_rig_end(t, 0, 110);
		assert_false(take_rig_data(t, 0, 1));
		take_rig_pass(t, 10ULL * TAKE_LATE);
		take_rig_expect(t, "");
		take_rig_attach(t, 2, "main");
		take_rig_expect(t, "error c2 poisoned 110");
		assert_int_equal(take_rig_complete(t, &err), COMPLETE_REFUSED);
		assert_int_equal(err, ERR_POISONED);
		assert_int_equal(recording_abort(&t->r, "no", &t->fx), ANSWER_DONE);
		take_rig_expect(t, "");
	}
}

static void what_is_hashed_whole_can_not_fail_any_more(void **state)
{
	struct take_rig *t = *state;
	for (enum step step = LOG; step < STEPS; step++) {
		again(t);
		at_step(t, step);
		recording_poison(&t->r, ERR_POISONED, &t->fx);
		take_rig_expect(t, "");
		if (step < LOGGED)
			take_rig_logged(t, 0);
		if (step < CLAIM)
			take_rig_logged(t, RECORDING_WHOLE);
		take_rig_claimed(t);
		assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	}
}

static void one_track_that_fails_ends_the_others_seals(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "video", 10);
	with_bytes(t, 2, "audio", 20);
	with_bytes(t, 3, "more", 30);
	with_bytes(t, 4, "last", 30);
	for (uint16_t i = 0; i < 3; i++)
		take_rig_end(t, i, 10 + 10ULL * i);
	take_rig_hashed(t, 1);
	take_rig_hashed(t, 2);
	take_rig_logged(t, 2);
	take_rig_expect(t, "hash t0, hash t1, hash t2, seal t1, seal t2, put t2");
	recording_poison(&t->r, ERR_POISONED, &t->fx);
	take_rig_expect(t, "error c1 poisoned 10, error c2 poisoned 20, error c3 poisoned 30, error c4 poisoned 30, "
			   "fail poisoned, idle");
	take_rig_hashed(t, 0); /* the answers that were on their way begin nothing */
	take_rig_expect(t, "");
	take_rig_logged(t, 1);
	take_rig_put(t, 2);
	take_rig_expect(t, "idle, idle");
	assert_true(at_rest(t));
	assert_int_equal(t->r.info.phase, PHASE_ERROR);
}

static void storage_that_fails_under_an_abort(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "main", 100);
	take_rig_data(t, 0, 10);
	recording_abort(&t->r, "no", &t->fx);
	recording_poison(&t->r, ERR_POISONED, &t->fx);
	take_rig_expect(t, "error c1 poisoned 100, fail poisoned, idle");
	take_rig_durable(t, 0);
	take_rig_expect(t, ""); /* no abort any more: the row is on its way to `error` */

	again(t);
	with_bytes(t, 1, "main", 100);
	recording_abort(&t->r, "no", &t->fx);
	recording_poison(&t->r, ERR_POISONED, &t->fx);
	take_rig_expect(t, "log abort, error c1 poisoned 100, fail poisoned, idle");
	take_rig_aborted(t); /* its transaction came first: the row tells */
	take_rig_expect(t, "idle");
	assert_int_equal(t->r.info.phase, PHASE_ABORTED);
	assert_int_equal(t->r.info.error, ERR_OK);
	take_rig_attach(t, 2, "main");
	take_rig_expect(t, "aborted c2");
}

/* --- late resume --- */

static void sealed_as(struct take_rig *t, enum sealed_by by)
{
	enum err err;
	with_bytes(t, 1, "main", 100);
	if (by == SEALED_BY_END)
		take_rig_end(t, 0, 100);
	else if (by == SEALED_BY_COMPLETE)
		take_rig_complete(t, &err);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	if (by == SEALED_BY_GRACE)
		take_rig_pass(t, TAKE_GRACE);
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	assert_int_equal(t->r.info.sealed_by, by);
}

static void only_what_grace_sealed_goes_on_in_every_phase(void **state)
{
	struct take_rig *t = *state;
	static const enum phase phases[] = { PHASE_QUEUED, PHASE_PROCESSING, PHASE_GENERATING_THUMBNAIL, PHASE_COMPLETE,
					     PHASE_ERROR };
	for (int by = SEALED_BY_END; by <= SEALED_BY_GRACE; by++) {
		for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
			again(t);
			sealed_as(t, (enum sealed_by)by);
			t->r.info.phase = phases[i];
			t->r.info.error = phases[i] == PHASE_ERROR ? ERR_INTERNAL : ERR_OK;
			bool late = by == SEALED_BY_GRACE;
			assert_int_equal(take_rig_attach(t, 2, "main"), late ? TAKE_RIG_WAIT : EFFECT_NO_TRACK);
			take_rig_expect(t, late ? "reopen" : "saved c2 t0");
			assert_int_equal(t->r.info.phase, phases[i]);
			assert_int_equal(t->r.busy, late ? BUSY_REOPENING : BUSY_NONE);
		}
	}
}

static void a_late_resume_grows_into_the_next_revision(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	sealed_as(t, SEALED_BY_GRACE);
	t->r.info.phase = PHASE_ERROR;
	t->r.info.error = ERR_INTERNAL;
	t->r.info.error_message = strdup("the job's own words");
	assert_int_equal(take_rig_attach(t, 2, "main"), TAKE_RIG_WAIT);
	assert_int_equal(take_rig_attach(t, 3, "main"), TAKE_RIG_WAIT);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_WAIT);
	assert_int_equal(recording_abort(&t->r, "no", &t->fx), ANSWER_WAIT);
	take_rig_expect(t, "reopen");
	take_rig_reopened(t);
	take_rig_expect(t, "idle");
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING);
	assert_int_equal(t->r.info.error, ERR_OK);
	assert_null(t->r.info.error_message);
	assert_false(t->r.info.interrupted);
	assert_false(t->r.info.tracks[0].sealed || t->r.info.tracks[0].has_sha256);
	assert_int_equal(take_rig_attach(t, 2, "main"), 0);
	take_rig_expect(t, "started c2 t0 100 resumed");
	assert_true(take_rig_data(t, 0, 50));
	take_rig_durable(t, 0);
	take_rig_end(t, 0, 150);
	take_rig_expect(t, "ack c2 t0 150, hash t0");
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.revision, 2);
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_END);
	assert_false(t->r.info.interrupted);
	take_rig_attach(t, 4, "main");
	take_rig_expect(t, "saved c4 t0"); /* and not once more */
}

static void a_late_resume_that_nobody_uses_is_sealed_again(void **state)
{
	struct take_rig *t = *state;
	sealed_as(t, SEALED_BY_GRACE);
	take_rig_attach(t, 2, "main");
	take_rig_reopened(t);
	take_rig_expect(t, "reopen, idle");
	take_rig_pass(t, TAKE_GRACE - 1);
	take_rig_expect(t, "");
	take_rig_pass(t, 1);
	take_rig_expect(t, "hash t0");
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.revision, 2);
	assert_true(t->r.info.interrupted);
}

static void a_late_resume_has_a_window(void **state)
{
	struct take_rig *t = *state;
	sealed_as(t, SEALED_BY_GRACE);
	t->wall += TAKE_LATE - 1;
	assert_int_equal(take_rig_attach(t, 2, "main"), TAKE_RIG_WAIT);
	take_rig_expect(t, "reopen");
	again(t);
	sealed_as(t, SEALED_BY_GRACE);
	t->wall += TAKE_LATE;
	assert_int_equal(take_rig_attach(t, 2, "main"), EFFECT_NO_TRACK);
	take_rig_expect(t, "saved c2 t0");
	again(t);
	sealed_as(t, SEALED_BY_GRACE);
	t->wall -= 2LL * TAKE_LATE; /* a clock that was put back must not lock anybody out */
	assert_int_equal(take_rig_attach(t, 2, "main"), TAKE_RIG_WAIT);
}

static void a_start_that_can_not_go_on_opens_nothing(void **state)
{
	struct take_rig *t = *state;
	struct attach a = { .conn = 2, .track = "main", .from = 101, .wall_ms = t->wall };
	uint16_t track;
	sealed_as(t, SEALED_BY_GRACE);
	assert_int_equal(recording_attach(&t->r, &a, t->now, &track, &t->fx), ANSWER_DONE);
	take_rig_expect(t, "error c2 position_conflict 100");
	assert_int_equal(t->r.busy, BUSY_NONE);
}

static void a_deletion_beats_a_late_resume(void **state)
{
	struct take_rig *t = *state;
	sealed_as(t, SEALED_BY_GRACE);
	take_rig_attach(t, 2, "main");
	take_rig_forget(t);
	struct recording_info row = t->r.info;
	row.phase = PHASE_DELETED;
	recording_reopened(&t->r, &row, t->now, &t->fx);
	take_rig_expect(t, "idle");
	assert_true(at_rest(t));
	assert_int_equal(t->r.tracks[0].stage, STAGE_SEALED);
	take_rig_attach(t, 2, "main");
	take_rig_expect(t, "error c2 deleted -");
}

static void a_track_that_was_ended_is_saved_whoever_sealed_the_rest(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "video", 10);
	with_bytes(t, 2, "audio", 20);
	take_rig_end(t, 0, 10);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_put(t, 0);
	recording_detach(&t->r, 1, 2, t->now, &t->fx);
	take_rig_pass(t, TAKE_GRACE);
	take_rig_hashed(t, 1);
	take_rig_logged(t, 1);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_forget(t);
	assert_int_equal(take_rig_attach(t, 3, "video"), EFFECT_NO_TRACK);
	take_rig_expect(t, "saved c3 t0"); /* nothing could come of a late resume */
	assert_int_equal(take_rig_attach(t, 4, "audio"), TAKE_RIG_WAIT);
	take_rig_reopened(t);
	take_rig_forget(t);
	assert_int_equal(take_rig_attach(t, 4, "audio"), 1);
	take_rig_attach(t, 3, "video");
	take_rig_expect(t, "started c4 t1 20 resumed, saved c3 t0");
}

/* --- a restart in the middle of a seal --- */

static void the_end_of_main_goes_on(void **state)
{
	struct take_rig *t = *state;
	at_step(t, LOGGED);
	take_rig_restart(t);
	take_rig_expect(t, "seal whole");
	assert_int_equal(take_rig_attach(t, 2, "main"), TAKE_RIG_WAIT);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_expect(t, "claim, idle");
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_END);
	assert_int_equal(t->r.info.revision, 1);
}

static void a_seal_that_was_not_durable_never_was(void **state)
{
	struct take_rig *t = *state;
	at_step(t, LOG);
	take_rig_restart(t);
	take_rig_expect(t, "");
	assert_int_equal(take_rig_attach(t, 2, "main"), 0);
	take_rig_expect(t, "started c2 t0 110 resumed");
}

/* Nobody was told, and its client may hold more: it gets another grace. */
static void what_grace_did_not_finish_is_open_again(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "main", 100);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	take_rig_pass(t, TAKE_GRACE);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_restart(t);
	take_rig_expect(t, "");
	assert_true(recording_next_wake(&t->r) == t->now + TAKE_GRACE);
	assert_int_equal(take_rig_attach(t, 2, "main"), 0);
	take_rig_expect(t, "started c2 t0 100 resumed");
	assert_true(take_rig_data(t, 0, 50));
}

/* What complete checked may not all have been durable: nothing is finished with a gap. */
static void half_a_complete_waits_for_the_rest(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	with_bytes(t, 1, "video", 10);
	with_bytes(t, 2, "audio", 20);
	take_rig_data(t, 1, 5);
	take_rig_complete(t, &err);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_restart(t);
	take_rig_expect(t, "");
	assert_int_equal(t->r.tracks[1].accepted, 20);
	take_rig_attach(t, 2, "audio");
	take_rig_expect(t, "started c2 t1 20 resumed");
}

static void declared_tracks_that_are_sealed_end_it_whatever_else_is_open(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 3, "more", 30);
	with_bytes(t, 1, "video", 10);
	with_bytes(t, 2, "audio", 20);
	for (uint16_t i = 1; i < 3; i++) {
		take_rig_end(t, i, 10ULL * i);
		take_rig_hashed(t, i);
		take_rig_logged(t, i);
	}
	take_rig_restart(t);
	take_rig_expect(t, "hash t0");
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_expect(t, "seal t0, seal whole, claim, idle");
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_END);
}

static void one_of_two_ended_waits_for_the_other(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "main", 10);
	with_bytes(t, 2, "audio", 20);
	take_rig_end(t, 0, 10);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_restart(t);
	take_rig_expect(t, "");
	take_rig_attach(t, 1, "main");
	take_rig_expect(t, "saved c1 t0");
	assert_true(recording_next_wake(&t->r) == t->now + TAKE_GRACE);
}

static void a_checksum_that_did_not_fit_is_not_forgotten(void **state)
{
	struct take_rig *t = *state;
	struct sha256 wrong = take_rig_sha(7);
	with_bytes(t, 1, "main", 10);
	with_bytes(t, 2, "audio", 20);
	recording_end(&t->r, 0, 10, &wrong, t->now, &t->fx);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_restart(t);
	take_rig_expect(t, "hash t1");
	take_rig_hashed(t, 1);
	take_rig_logged(t, 1);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	assert_int_equal(t->r.info.phase, PHASE_ERROR);
	assert_int_equal(t->r.info.error, ERR_CHECKSUM_MISMATCH);
}

/* Its source is asked again, or it fails: no silence ends it, and nobody makes half a recording of it. */
static void what_is_fetched_waits_for_its_source(void **state)
{
	struct take_rig *t = *state;
	enum err err = ERR_OK;
	t->r.info.source_url = strdup("https://calls.example/1");
	recording_listen(&t->r, t->now, &t->fx);
	assert_true(recording_next_wake(&t->r) == UINT64_MAX);
	take_rig_pass(t, 10 * (uint64_t)TAKE_LATE);
	take_rig_expect(t, "");
	take_rig_attach(t, 1, "main");
	take_rig_data(t, 0, 100);
	take_rig_durable(t, 0);
	take_rig_forget(t);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_REFUSED);
	assert_int_equal(err, ERR_BYTES_MISSING);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	assert_true(recording_next_wake(&t->r) == UINT64_MAX);
	assert_true(recording_time_left(&t->r, t->now) == UINT64_MAX);
	take_rig_pass(t, 10 * (uint64_t)TAKE_LATE);
	take_rig_expect(t, "");
	take_rig_restart(t);
	take_rig_pass(t, 10 * (uint64_t)TAKE_LATE);
	take_rig_expect(t, "");
	take_rig_attach(t, 2, "main");
	take_rig_end(t, 0, 100);
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	assert_false(t->r.info.interrupted);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_PROCESSING);
}

/* A fetch that failed before its first byte has no track: that does not make it whole. */
static void a_fetch_that_failed_is_not_claimed(void **state)
{
	struct take_rig *t = *state;
	enum err err = ERR_OK;
	t->r.info.source_url = strdup("https://calls.example/1");
	t->r.info.phase = PHASE_ERROR;
	t->r.info.error = ERR_SOURCE_GONE;
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_REFUSED);
	assert_int_equal(err, ERR_SOURCE_GONE);
	take_rig_expect(t, "");
}

int main(void)
{
#define TEST(name)	    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_DECLARED(name) cmocka_unit_test_setup_teardown(name, setup_declared, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_abort_first_acks_what_came_before_it),
		TEST(an_abort_at_any_stage_of_a_seal_waits),
		TEST(while_it_aborts_nothing_else_begins),
		TEST(storage_that_fails_tells_everybody_at_any_stage),
		TEST(what_is_hashed_whole_can_not_fail_any_more),
		TEST(one_track_that_fails_ends_the_others_seals),
		TEST(storage_that_fails_under_an_abort),
		TEST(only_what_grace_sealed_goes_on_in_every_phase),
		TEST(a_late_resume_grows_into_the_next_revision),
		TEST(a_late_resume_that_nobody_uses_is_sealed_again),
		TEST(a_late_resume_has_a_window),
		TEST(a_start_that_can_not_go_on_opens_nothing),
		TEST(a_deletion_beats_a_late_resume),
		TEST(a_track_that_was_ended_is_saved_whoever_sealed_the_rest),
		TEST(the_end_of_main_goes_on),
		TEST(a_seal_that_was_not_durable_never_was),
		TEST(what_grace_did_not_finish_is_open_again),
		TEST(half_a_complete_waits_for_the_rest),
		TEST_DECLARED(declared_tracks_that_are_sealed_end_it_whatever_else_is_open),
		TEST(one_of_two_ended_waits_for_the_other),
		TEST(a_checksum_that_did_not_fit_is_not_forgotten),
		TEST(what_is_fetched_waits_for_its_source),
		TEST(a_fetch_that_failed_is_not_claimed),
	};
	const char *only = getenv("ONLY"); /* one test by name: an assertion that fails ends the program */
	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
