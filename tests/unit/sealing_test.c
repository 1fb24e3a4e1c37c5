/* How takes end: seals in their order, completion's table, aborts, storage that fails, late resumes and restarts. */
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

/* Connection `conn` on a track with `bytes` durable bytes. */
static uint16_t with_bytes(struct take_rig *t, uint64_t conn, const char *name, uint64_t bytes)
{
	uint16_t track = take_rig_attach(t, conn, name);
	if (bytes > 0) {
		assert_true(take_rig_data(t, track, bytes));
		take_rig_durable(t, track);
	}
	take_rig_forget(t);
	return track;
}

/* `main` with 100 bytes, sealed by grace; the phase is `queued`. */
static void grace_sealed(struct take_rig *t)
{
	with_bytes(t, 1, "main", 100);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	take_rig_pass(t, TAKE_GRACE);
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
}

/* --- the order of a seal --- */

static void a_seal_drains_hashes_logs_and_claims_in_this_order(void **state)
{
	struct take_rig *t = *state;
	struct track_state *track;
	with_bytes(t, 1, "main", 100);
	track = &t->r.tracks[0];
	take_rig_data(t, 0, 20);
	take_rig_end(t, 0, 120);
	assert_int_equal(track->stage, STAGE_DRAIN);
	recording_durable(&t->r, 0, 119, &t->fx);
	take_rig_expect(t, "ack c1 t0 119");
	recording_durable(&t->r, 0, 120, &t->fx);
	take_rig_expect(t, "ack c1 t0 120, hash t0");
	assert_int_equal(track->stage, STAGE_SPOOL);
	take_rig_hashed(t, 0);
	take_rig_expect(t, "seal t0, seal whole");
	assert_int_equal(track->stage, STAGE_LOG);
	assert_int_equal(t->r.busy, BUSY_SEALING);
	take_rig_logged(t, 0);
	take_rig_expect(t, "");
	assert_int_equal(track->stage, STAGE_SEALED);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_expect(t, "claim");
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING); /* not before the transaction */
	take_rig_claimed(t);
	take_rig_expect(t, "saved c1 t0, idle");
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	assert_int_equal(t->r.info.revision, 1);
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_END);
	assert_false(t->r.info.interrupted);
	struct sha256 sha = take_rig_sha(0);
	assert_memory_equal(&t->r.info.tracks[0].sha256, &sha, sizeof sha);
	assert_false(recording_attached(&t->r));
}

static void a_take_of_no_bytes_can_be_ended(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "main", 0);
	take_rig_end(t, 0, 0);
	take_rig_expect(t, "hash t0");
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
}

static void while_it_seals_a_start_waits_and_is_then_saved(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "main", 100);
	take_rig_end(t, 0, 100);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	take_rig_forget(t);
	assert_int_equal(take_rig_attach(t, 2, "main"), TAKE_RIG_WAIT);
	take_rig_hashed(t, 0);
	assert_int_equal(take_rig_attach(t, 2, "main"), TAKE_RIG_WAIT);
	take_rig_logged(t, 0);
	take_rig_logged(t, RECORDING_WHOLE);
	assert_int_equal(take_rig_attach(t, 2, "main"), TAKE_RIG_WAIT);
	take_rig_forget(t);
	take_rig_claimed(t);
	take_rig_expect(t, "idle");
	assert_int_equal(take_rig_attach(t, 2, "main"), EFFECT_NO_TRACK);
	take_rig_expect(t, "saved c2 t0");
	assert_int_equal(take_rig_attach(t, 3, "other"), EFFECT_NO_TRACK);
	take_rig_expect(t, "error c3 sealed -");
}

static void a_checksum_that_does_not_fit_ends_in_error(void **state)
{
	struct take_rig *t = *state;
	struct sha256 wrong = take_rig_sha(7);
	enum err err;
	with_bytes(t, 1, "main", 100);
	recording_end(&t->r, 0, 100, &wrong, t->now, &t->fx);
	take_rig_hashed(t, 0);
	take_rig_expect(t, "hash t0, seal t0, seal whole");
	take_rig_logged(t, 0);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_expect(t, "claim, error c1 checksum_mismatch 100, idle");
	assert_int_equal(t->r.info.phase, PHASE_ERROR);
	assert_int_equal(t->r.info.error, ERR_CHECKSUM_MISMATCH);
	take_rig_attach(t, 2, "main"); /* told again, never `saved` */
	take_rig_expect(t, "error c2 checksum_mismatch 100");
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_STARTED); /* `error` can be claimed again */
	take_rig_claimed(t);
	take_rig_expect(t, "claim, idle");
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	assert_int_equal(t->r.info.error, ERR_OK);
	assert_int_equal(t->r.info.revision, 1); /* which keeps the revision */
}

static void a_checksum_that_fits_is_fine(void **state)
{
	struct take_rig *t = *state;
	struct sha256 right = take_rig_sha(0);
	with_bytes(t, 1, "main", 100);
	recording_end(&t->r, 0, 100, &right, t->now, &t->fx);
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
}

static void the_checksum_of_more_bytes_than_came_is_no_mismatch(void **state)
{
	struct take_rig *t = *state;
	struct sha256 of_more = take_rig_sha(7);
	with_bytes(t, 1, "main", 100);
	recording_end(&t->r, 0, 200, &of_more, t->now, &t->fx);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	take_rig_pass(t, TAKE_GRACE);
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED); /* interrupted, and not broken */
}

/* --- several tracks --- */

static void two_tracks_that_nobody_declared_wait_for_complete(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	with_bytes(t, 1, "main", 10);
	with_bytes(t, 2, "audio", 20);
	take_rig_end(t, 0, 10);
	take_rig_hashed(t, 0);
	take_rig_expect(t, "hash t0, seal t0");
	take_rig_logged(t, 0);
	take_rig_expect(t, "put t0");
	take_rig_put(t, 0);
	take_rig_expect(t, "saved c1 t0, idle");
	take_rig_end(t, 1, 20);
	take_rig_hashed(t, 1);
	take_rig_logged(t, 1);
	take_rig_put(t, 1);
	take_rig_expect(t, "hash t1, seal t1, put t1, saved c2 t1, idle");
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_STARTED);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_expect(t, "seal whole, claim, idle");
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_COMPLETE);
	assert_int_equal(t->r.info.tracks[0].sealed_by, SEALED_BY_END);
}

static void declared_tracks_end_the_recording_with_the_last(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "video", 10);
	take_rig_end(t, 0, 10);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_put(t, 0);
	take_rig_expect(t, "hash t0, seal t0, put t0, saved c1 t0, idle"); /* audio never came so far */
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING);
	with_bytes(t, 2, "audio", 20);
	take_rig_end(t, 1, 20);
	take_rig_hashed(t, 1);
	take_rig_expect(t, "hash t1, seal t1, seal whole");
	take_rig_logged(t, 1);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_expect(t, "claim, saved c2 t1, idle");
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_END);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
}

static void a_track_beside_the_declared_ones_is_sealed_with_them(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "video", 10);
	with_bytes(t, 2, "audio", 20);
	with_bytes(t, 3, "more", 30);
	take_rig_data(t, 2, 5);
	take_rig_end(t, 0, 10);
	take_rig_end(t, 1, 20);
	take_rig_hashed(t, 0);
	take_rig_hashed(t, 1);
	take_rig_expect(t, "hash t0, hash t1, seal t0, seal t1");
	take_rig_logged(t, 0);
	take_rig_logged(t, 1);
	take_rig_expect(t, "");
	take_rig_durable(t, 2);
	take_rig_hashed(t, 2);
	take_rig_expect(t, "ack c3 t2 35, hash t2, seal t2, seal whole");
	take_rig_logged(t, 2);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_expect(t, "claim, saved c1 t0, saved c2 t1, saved c3 t2, idle");
}

static void a_sealed_track_is_saved_once_the_catalog_has_it(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "main", 10);
	with_bytes(t, 2, "audio", 20);
	take_rig_end(t, 0, 10);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_expect(t, "hash t0, seal t0, put t0");
	assert_int_equal(take_rig_attach(t, 3, "main"), TAKE_RIG_WAIT); /* no `saved` past the transaction */
	take_rig_expect(t, "");
	take_rig_put(t, 0);
	take_rig_expect(t, "saved c1 t0, idle");
	take_rig_attach(t, 3, "main");
	take_rig_expect(t, "saved c3 t0");
}

static void a_wrong_checksum_of_one_track_ends_all(void **state)
{
	struct take_rig *t = *state;
	struct sha256 wrong = take_rig_sha(7);
	with_bytes(t, 1, "main", 10);
	with_bytes(t, 2, "audio", 20);
	recording_end(&t->r, 0, 10, &wrong, t->now, &t->fx);
	take_rig_hashed(t, 0);
	take_rig_expect(t, "hash t0, seal t0, hash t1");
	take_rig_hashed(t, 1);
	take_rig_logged(t, 0);
	take_rig_logged(t, 1);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_expect(t, "seal t1, seal whole, claim, error c1 checksum_mismatch 10, "
			   "error c2 checksum_mismatch 20, idle");
	assert_int_equal(t->r.info.phase, PHASE_ERROR);
}

static void grace_seals_what_end_did_not(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "main", 10);
	with_bytes(t, 2, "audio", 20);
	take_rig_end(t, 0, 10);
	recording_detach(&t->r, 0, 1, t->now, &t->fx);
	recording_detach(&t->r, 1, 2, t->now, &t->fx);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_put(t, 0);
	take_rig_forget(t);
	take_rig_pass(t, TAKE_GRACE);
	take_rig_hashed(t, 1);
	take_rig_logged(t, 1);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_expect(t, "hash t1, seal t1, seal whole, claim, idle");
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_GRACE);
	assert_int_equal(t->r.info.tracks[0].sealed_by, SEALED_BY_END);
	assert_int_equal(t->r.info.tracks[1].sealed_by, SEALED_BY_GRACE);
}

/* --- files over HTTP --- */

/* `main` of 100 bytes, all of them durable. */
static void uploaded(struct take_rig *t)
{
	t->r.info.upload.kind = UPLOAD_WHOLE;
	t->r.info.upload.length = 100;
	with_bytes(t, 1, "main", 100);
}

static void sealed_without_hash(struct take_rig *t)
{
	uploaded(t);
	take_rig_end(t, 0, 100);
	take_rig_expect(t, "hash t0");
	assert_false(recording_hashes(&t->r, 0));
	recording_hashed(&t->r, 0, NULL, &t->fx);
	take_rig_logged(t, 0);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_forget(t);
}

static void an_upload_is_sealed_without_its_hash(void **state)
{
	struct take_rig *t = *state;
	sealed_without_hash(t);
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	assert_true(t->r.info.tracks[0].sealed);
	assert_false(t->r.info.tracks[0].has_sha256);
	/* its worker finds it */
	struct recording_info row = t->r.info;
	struct track_info track = row.tracks[0];
	row.tracks = &track;
	row.phase = PHASE_GENERATING_THUMBNAIL;
	assert_false(recording_worked(&t->r, &row));
	track.has_sha256 = true;
	track.sha256 = take_rig_sha(3);
	track.bytes = 99; /* of something else */
	assert_false(recording_worked(&t->r, &row));
	track.bytes = 100;
	assert_true(recording_worked(&t->r, &row));
	assert_memory_equal(&t->r.info.tracks[0].sha256, &track.sha256, sizeof track.sha256);
	assert_false(recording_worked(&t->r, &row));
}

static void an_upload_whose_hash_was_declared_is_hashed(void **state)
{
	struct take_rig *t = *state;
	struct sha256 wrong = take_rig_sha(7);
	uploaded(t);
	recording_end(&t->r, 0, 100, &wrong, t->now, &t->fx);
	assert_true(recording_hashes(&t->r, 0));
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.error, ERR_CHECKSUM_MISMATCH);
}
/* --- complete --- */

static enum complete_answer complete(struct take_rig *t, const char *track, uint64_t bytes, const struct sha256 *sha,
				     enum err *err)
{
	struct total total = { .track = track, .bytes = bytes, .sha256 = sha };
	struct completion said = { &total, 1, t->wall };
	*err = ERR_OK;
	return recording_complete(&t->r, &said, err, &t->fx);
}

static void complete_seals_what_is_accepted(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	with_bytes(t, 1, "main", 100);
	take_rig_data(t, 0, 11);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_STARTED);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_WAIT);
	take_rig_durable(t, 0);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_logged(t, RECORDING_WHOLE);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_WAIT);
	take_rig_claimed(t);
	take_rig_expect(t, "ack c1 t0 111, hash t0, seal t0, seal whole, claim, saved c1 t0, idle");
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_PROCESSING);
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_COMPLETE);
	assert_false(t->r.info.interrupted);
}

static void complete_never_finishes_with_a_gap(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	with_bytes(t, 1, "main", 100);
	assert_int_equal(complete(t, "main", 101, NULL, &err), COMPLETE_REFUSED);
	assert_int_equal(err, ERR_BYTES_MISSING);
	assert_int_equal(complete(t, "audio", 1, NULL, &err), COMPLETE_REFUSED);
	assert_int_equal(err, ERR_BYTES_MISSING);
	assert_int_equal(complete(t, "main", 99, NULL, &err), COMPLETE_REFUSED);
	assert_int_equal(err, ERR_TOTAL_MISMATCH);
	take_rig_expect(t, "");
	assert_int_equal(t->r.info.phase, PHASE_UPLOADING);
	assert_true(take_rig_data(t, 0, 1)); /* the attached connection is left alone */
	take_rig_durable(t, 0);
	take_rig_expect(t, "ack c1 t0 101");
	assert_int_equal(complete(t, "main", 101, NULL, &err), COMPLETE_STARTED);
}

static void complete_checks_every_total_before_it_changes_anything(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	struct sha256 right = take_rig_sha(1), wrong = take_rig_sha(7);
	with_bytes(t, 1, "main", 10);
	with_bytes(t, 2, "audio", 20);
	take_rig_end(t, 0, 10);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_put(t, 0);
	take_rig_forget(t);
	struct total totals[] = { { "audio", 20, &right }, { "main", 10, &wrong } };
	struct completion said = { totals, 2, t->wall };
	err = ERR_OK;
	assert_int_equal(recording_complete(&t->r, &said, &err, &t->fx), COMPLETE_REFUSED);
	assert_int_equal(err, ERR_CHECKSUM_MISMATCH);
	assert_true(take_rig_data(t, 1, 5)); /* audio is none the worse for it */
	take_rig_durable(t, 1);
	take_rig_expect(t, "ack c2 t1 25");
}

/* Each phase, what complete without totals answers, and with what error. */
static void complete_answers_by_its_table(void **state)
{
	struct take_rig *t = *state;
	static const struct {
		enum phase phase;
		enum complete_answer answer;
		enum err err;
	} table[] = {
		{ PHASE_QUEUED, COMPLETE_PROCESSING, ERR_OK },
		{ PHASE_PROCESSING, COMPLETE_PROCESSING, ERR_OK },
		{ PHASE_GENERATING_THUMBNAIL, COMPLETE_PROCESSING, ERR_OK },
		{ PHASE_COMPLETE, COMPLETE_COMPLETE, ERR_OK },
		{ PHASE_ABORTED, COMPLETE_REFUSED, ERR_ABORTED },
		{ PHASE_DELETED, COMPLETE_REFUSED, ERR_DELETED },
	};
	grace_sealed(t);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		enum err err;
		t->r.info.phase = table[i].phase;
		assert_int_equal(take_rig_complete(t, &err), table[i].answer);
		assert_int_equal(err, table[i].err);
		if (table[i].answer == COMPLETE_REFUSED)
			continue;
		assert_int_equal(complete(t, "main", 100, NULL, &err), table[i].answer);
		assert_int_equal(complete(t, "main", 101, NULL, &err), COMPLETE_REFUSED); /* also after grace */
		assert_int_equal(err, ERR_BYTES_MISSING);
		struct sha256 right = take_rig_sha(0), wrong = take_rig_sha(7);
		assert_int_equal(complete(t, "main", 100, &right, &err), table[i].answer);
		assert_int_equal(complete(t, "main", 100, &wrong, &err), COMPLETE_REFUSED);
		assert_int_equal(err, ERR_CHECKSUM_MISMATCH);
		assert_int_equal(t->r.info.phase, table[i].phase);
	}
	take_rig_expect(t, "");
	assert_int_equal(t->r.busy, BUSY_NONE);
}

/* A checksum of what was sealed without one is kept, durably, before that is answered. */
static void complete_declares_the_hash_of_an_upload(void **state)
{
	struct take_rig *t = *state;
	struct sha256 right = take_rig_sha(0), wrong = take_rig_sha(7);
	enum err err;
	sealed_without_hash(t);
	assert_int_equal(complete(t, "main", 100, &wrong, &err), COMPLETE_WAIT);
	assert_int_equal(complete(t, "main", 100, &right, &err), COMPLETE_WAIT); /* one after the other */
	assert_false(recording_at_rest(&t->r));
	take_rig_expect(t, "put t0");
	take_rig_put(t, 0);
	take_rig_expect(t, "idle");
	assert_true(recording_at_rest(&t->r));
	assert_int_equal(complete(t, "main", 100, &wrong, &err), COMPLETE_PROCESSING);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_PROCESSING);
	take_rig_expect(t, "");
	assert_memory_equal(&t->r.info.tracks[0].declared_sha256, &wrong, sizeof wrong);
	assert_int_equal(complete(t, "main", 100, &right, &err), COMPLETE_WAIT); /* who says it last */
	take_rig_put(t, 0);
	take_rig_forget(t);
	t->r.info.tracks[0].has_sha256 = true;
	t->r.info.tracks[0].sha256 = right;
	assert_int_equal(complete(t, "main", 100, &wrong, &err), COMPLETE_REFUSED);
	assert_int_equal(err, ERR_CHECKSUM_MISMATCH);
	assert_int_equal(complete(t, "main", 100, &right, &err), COMPLETE_PROCESSING);
}

/* Declared while its seal was already on its way. */
static void a_restart_compares_no_hash_that_is_not_there(void **state)
{
	struct take_rig *t = *state;
	struct sha256 right = take_rig_sha(0);
	enum err err;
	uploaded(t);
	take_rig_end(t, 0, 100);
	take_rig_forget(t);
	assert_int_equal(complete(t, "main", 100, &right, &err), COMPLETE_STARTED);
	recording_hashed(&t->r, 0, NULL, &t->fx);
	take_rig_logged(t, 0);
	assert_true(t->r.info.tracks[0].has_declared_sha256);
	take_rig_restart(t);
	assert_int_equal(t->r.seal_error, ERR_OK);
	assert_int_equal(t->r.busy, BUSY_SEALING);
}

static void complete_claims_an_error_again(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	grace_sealed(t);
	t->r.info.phase = PHASE_ERROR;
	t->r.info.error = ERR_INTERNAL;
	t->r.info.error_message = strdup("the job's own words");
	assert_int_equal(complete(t, "main", 101, NULL, &err), COMPLETE_REFUSED);
	assert_int_equal(err, ERR_BYTES_MISSING);
	assert_int_equal(take_rig_complete(t, &err), COMPLETE_STARTED);
	assert_int_equal(take_rig_attach(t, 2, "main"), TAKE_RIG_WAIT);
	take_rig_claimed(t);
	take_rig_expect(t, "claim, idle");
	assert_int_equal(t->r.info.phase, PHASE_QUEUED);
	assert_int_equal(t->r.info.error, ERR_OK);
	assert_null(t->r.info.error_message);
	assert_int_equal(t->r.info.revision, 1);
	assert_int_equal(t->r.info.sealed_by, SEALED_BY_GRACE);
	assert_true(t->r.info.interrupted);
}

static void complete_checks_the_hash_of_what_it_seals(void **state)
{
	struct take_rig *t = *state;
	enum err err;
	struct sha256 wrong = take_rig_sha(7);
	with_bytes(t, 1, "main", 100);
	assert_int_equal(complete(t, "main", 100, &wrong, &err), COMPLETE_STARTED);
	take_rig_seal_main(t);
	assert_int_equal(t->r.info.phase, PHASE_ERROR);
	assert_int_equal(t->r.info.error, ERR_CHECKSUM_MISMATCH);
}

static void who_lost_the_claim_reads_the_row(void **state)
{
	struct take_rig *t = *state;
	with_bytes(t, 1, "main", 100);
	take_rig_end(t, 0, 100);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_forget(t);
	struct recording_info row = t->r.info;
	row.phase = PHASE_PROCESSING;
	row.revision = 4;
	row.sealed_by = SEALED_BY_COMPLETE;
	recording_claimed(&t->r, &row, t->now, &t->fx);
	take_rig_expect(t, "saved c1 t0, idle");
	assert_int_equal(t->r.info.phase, PHASE_PROCESSING);
	assert_int_equal(t->r.info.revision, 4);
}

int main(void)
{
#define TEST(name)	    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_DECLARED(name) cmocka_unit_test_setup_teardown(name, setup_declared, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_seal_drains_hashes_logs_and_claims_in_this_order),
		TEST(a_take_of_no_bytes_can_be_ended),
		TEST(while_it_seals_a_start_waits_and_is_then_saved),
		TEST(a_checksum_that_does_not_fit_ends_in_error),
		TEST(a_checksum_that_fits_is_fine),
		TEST(the_checksum_of_more_bytes_than_came_is_no_mismatch),
		TEST(two_tracks_that_nobody_declared_wait_for_complete),
		TEST_DECLARED(declared_tracks_end_the_recording_with_the_last),
		TEST_DECLARED(a_track_beside_the_declared_ones_is_sealed_with_them),
		TEST(a_sealed_track_is_saved_once_the_catalog_has_it),
		TEST(a_wrong_checksum_of_one_track_ends_all),
		TEST(grace_seals_what_end_did_not),
		TEST(an_upload_is_sealed_without_its_hash),
		TEST(an_upload_whose_hash_was_declared_is_hashed),
		TEST(complete_declares_the_hash_of_an_upload),
		TEST(a_restart_compares_no_hash_that_is_not_there),
		TEST(complete_seals_what_is_accepted),
		TEST(complete_never_finishes_with_a_gap),
		TEST(complete_checks_every_total_before_it_changes_anything),
		TEST(complete_answers_by_its_table),
		TEST(complete_claims_an_error_again),
		TEST(complete_checks_the_hash_of_what_it_seals),
		TEST(who_lost_the_claim_reads_the_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
