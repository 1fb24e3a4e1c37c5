/* The catalog's contract about phases, run on every implementation of it: claims, late resumes, ends. */
#include "support/catalog_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail /* cmocka's macro hides the operation of that name */

static void the_first_claim_wins(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	begin(f);
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 99, ERR_OK), CATALOG_CHANGED);
	assert_int_equal(claim(f, 1, SEALED_BY_COMPLETE, 1, 99, ERR_OK), CATALOG_UNCHANGED);
	assert_int_equal(claim(f, 1, SEALED_BY_GRACE, 2, 50, ERR_OK), CATALOG_UNCHANGED);
	commit(f);
	reopen_catalog(f);
	begin(f);
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 99, ERR_OK), CATALOG_UNCHANGED);
	commit(f);
	struct recording_info row = row_of(f, 1);
	assert_int_equal(row.phase, PHASE_QUEUED);
	assert_int_equal(row.sealed_by, SEALED_BY_END);
	assert_false(row.interrupted);
	assert_int_equal(row.revision, 1);
	assert_int_equal(row.sealed_ms, 5001);
	assert_int_equal(row.track_count, 1);
	assert_string_equal(row.tracks[0].name, "main"); /* the seal gave no name */
	assert_int_equal(row.tracks[0].bytes, 99);
	assert_true(row.tracks[0].has_sha256);
	assert_int_equal(row.tracks[0].sha256.bytes[31], 0xab);
	recording_info_release(&row);
	assert_counts(f, 1, 1, 1);
}

static void an_unknown_recording_is_not_found(void **state)
{
	struct fixture *f = *state;
	struct catalog_seal seal = { .id = id_of(8), .by = SEALED_BY_END, .revision = 1 };
	enum catalog_outcome outcome;
	struct recording_info row;
	begin(f);
	assert_int_equal(f->c->ops->claim(f->c, &seal, &outcome, &row), ERR_NOT_FOUND);
	assert_int_equal(f->c->ops->reopen(f->c, &seal.id, 1, &outcome, &row), ERR_NOT_FOUND);
	assert_int_equal(f->c->ops->abort(f->c, &seal.id, "why", 1, &outcome, &row), ERR_NOT_FOUND);
	assert_int_equal(f->c->ops->fail(f->c, &seal.id, ERR_POISONED, NULL, 1, &outcome, &row), ERR_NOT_FOUND);
	assert_int_equal(f->c->ops->remove(f->c, &seal.id, 1, &outcome, &row), ERR_NOT_FOUND);
	assert_int_equal(f->c->ops->rename(f->c, &seal.id, "n", 1, &row), ERR_NOT_FOUND);
	assert_int_equal(f->c->ops->get(f->c, &seal.id, &row), ERR_NOT_FOUND);
	start(f, take(1)); /* none of it spoils the transaction */
	commit(f);
	assert_phase(f, 1, PHASE_UPLOADING);
}

static void a_seal_with_an_error_can_be_claimed_again(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	begin(f);
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 10, ERR_CHECKSUM_MISMATCH), CATALOG_CHANGED);
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 10, ERR_CHECKSUM_MISMATCH), CATALOG_UNCHANGED);
	commit(f);
	struct recording_info row = row_of(f, 1);
	assert_int_equal(row.phase, PHASE_ERROR);
	assert_int_equal(row.error, ERR_CHECKSUM_MISMATCH);
	assert_string_equal(row.error_message, "It went wrong.");
	assert_int_equal(row.revision, 1);
	recording_info_release(&row);
	assert_counts(f, 1, 0, 1);
	begin(f);
	assert_int_equal(claim(f, 1, SEALED_BY_COMPLETE, 1, 10, ERR_OK), CATALOG_CHANGED);
	commit(f);
	row = row_of(f, 1);
	assert_int_equal(row.phase, PHASE_QUEUED);
	assert_int_equal(row.error, ERR_OK);
	assert_null(row.error_message);
	assert_int_equal(row.revision, 1);
	recording_info_release(&row);
	assert_counts(f, 1, 1, 2);
	/* it fails in processing and is claimed again: the job it had goes on */
	begin(f);
	assert_int_equal(fail_take(f, 1), CATALOG_CHANGED);
	assert_int_equal(claim(f, 1, SEALED_BY_COMPLETE, 1, 10, ERR_OK), CATALOG_CHANGED);
	commit(f);
	assert_phase(f, 1, PHASE_QUEUED);
	assert_counts(f, 1, 1, 4);
}

static void only_what_grace_sealed_reopens(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 3);
	begin(f);
	assert_int_equal(reopen(f, 1), CATALOG_UNCHANGED); /* not sealed at all */
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK), CATALOG_CHANGED);
	assert_int_equal(reopen(f, 1), CATALOG_UNCHANGED);
	assert_int_equal(claim(f, 2, SEALED_BY_GRACE, 1, 10, ERR_OK), CATALOG_CHANGED);
	commit(f);
	struct recording_info row = row_of(f, 2);
	assert_true(row.interrupted);
	recording_info_release(&row);
	begin(f);
	assert_int_equal(reopen(f, 2), CATALOG_CHANGED);
	assert_int_equal(reopen(f, 2), CATALOG_UNCHANGED);
	commit(f);
	row = row_of(f, 2);
	assert_int_equal(row.phase, PHASE_UPLOADING);
	assert_int_equal(row.sealed_by, SEALED_BY_NONE);
	assert_false(row.interrupted);
	assert_int_equal(row.revision, 1);
	assert_false(row.tracks[0].sealed);
	assert_false(row.tracks[0].has_sha256);
	assert_int_equal(row.tracks[0].bytes, 10);
	recording_info_release(&row);
	assert_counts(f, 2, 1, 2);
	begin(f);
	assert_int_equal(claim(f, 2, SEALED_BY_GRACE, 1, 10, ERR_OK), CATALOG_UNCHANGED); /* the old seal */
	assert_int_equal(claim(f, 2, SEALED_BY_END, 2, 20, ERR_OK), CATALOG_CHANGED);
	commit(f);
	assert_counts(f, 2, 2, 3);
	row = row_of(f, 2);
	assert_int_equal(row.revision, 2);
	assert_false(row.interrupted);
	recording_info_release(&row);
	/* an error that grace sealed */
	begin(f);
	assert_int_equal(claim(f, 3, SEALED_BY_GRACE, 1, 10, ERR_POISONED), CATALOG_CHANGED);
	assert_int_equal(reopen(f, 3), CATALOG_CHANGED);
	commit(f);
	row = row_of(f, 3);
	assert_int_equal(row.error, ERR_OK);
	recording_info_release(&row);
}

static void reopening_unseals_grace_only(void **state)
{
	struct fixture *f = *state;
	struct recording_info info = take(1);
	recording_info_add_track(&info, "audio");
	struct track_info tracks[2] = {
		{ .number = 0, .sealed = true, .sealed_by = SEALED_BY_END, .has_sha256 = true, .bytes = 5, .total = 5 },
		{ .number = 1,
		  .sealed = true,
		  .sealed_by = SEALED_BY_GRACE,
		  .has_sha256 = true,
		  .bytes = 6,
		  .total = 9 },
	};
	struct catalog_seal seal = {
		.id = info.id, .by = SEALED_BY_GRACE, .revision = 1, .tracks = tracks, .track_count = 2
	};
	enum catalog_outcome outcome;
	struct recording_info row;
	begin(f);
	start(f, info);
	assert_int_equal(f->c->ops->claim(f->c, &seal, &outcome, &row), ERR_OK);
	recording_info_release(&row);
	assert_int_equal(reopen(f, 1), CATALOG_CHANGED);
	commit(f);
	row = row_of(f, 1);
	assert_true(row.tracks[0].sealed && row.tracks[0].has_sha256);
	assert_int_equal(row.tracks[0].sealed_by, SEALED_BY_END);
	assert_false(row.tracks[1].sealed || row.tracks[1].has_sha256);
	assert_int_equal(row.tracks[1].sealed_by, SEALED_BY_NONE);
	assert_int_equal(row.tracks[1].total, 9);
	recording_info_release(&row);
}

static void abort_and_fail_go_by_the_table(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 2);
	struct uuid id = id_of(1);
	enum catalog_outcome outcome;
	struct recording_info row;
	begin(f);
	assert_int_equal(f->c->ops->abort(f->c, &id, "by the user", 6000, &outcome, &row), ERR_OK);
	assert_int_equal(outcome, CATALOG_CHANGED);
	assert_string_equal(row.abort_reason, "by the user");
	assert_int_equal(row.updated_ms, 6000);
	recording_info_release(&row);
	assert_int_equal(f->c->ops->abort(f->c, &id, "again", 6001, &outcome, &row), ERR_OK);
	assert_int_equal(outcome, CATALOG_UNCHANGED);
	assert_string_equal(row.abort_reason, "by the user");
	recording_info_release(&row);
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK), CATALOG_UNCHANGED);
	assert_int_equal(fail_take(f, 1), CATALOG_UNCHANGED);
	assert_int_equal(reopen(f, 1), CATALOG_UNCHANGED);
	assert_int_equal(fail_take(f, 2), CATALOG_CHANGED);
	assert_int_equal(fail_take(f, 2), CATALOG_UNCHANGED);
	commit(f);
	assert_phase(f, 1, PHASE_ABORTED);
	assert_counts(f, 1, 0, 1);
	row = row_of(f, 2);
	assert_int_equal(row.phase, PHASE_ERROR);
	assert_int_equal(row.error, ERR_POISONED);
	assert_string_equal(row.error_message, "Bad disk.");
	recording_info_release(&row);
	assert_counts(f, 2, 0, 1);
}

static void remove_leaves_a_tombstone(void **state)
{
	struct fixture *f = *state;
	struct recording_info info = take(1), again = take(2), row;
	info.name = strdup("secret");
	info.ref = strdup("call-9");
	begin(f);
	start(f, info);
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK), CATALOG_CHANGED);
	assert_int_equal(remove_take(f, 1), CATALOG_CHANGED);
	assert_int_equal(remove_take(f, 1), CATALOG_UNCHANGED);
	assert_int_equal(claim(f, 1, SEALED_BY_END, 2, 10, ERR_OK), CATALOG_UNCHANGED);
	commit(f);
	assert_counts(f, 1, 0, 2);
	row = row_of(f, 1);
	assert_int_equal(row.phase, PHASE_DELETED);
	assert_string_equal(row.session_id, "session-1");
	assert_string_equal(row.principal, "local");
	assert_null(row.name);
	assert_int_equal(row.track_count, 0);
	recording_info_release(&row);
	/* the session is still taken, by what was deleted */
	bool inserted;
	free(again.session_id);
	again.session_id = strdup("session-1");
	begin(f);
	assert_int_equal(f->c->ops->start(f->c, &again, &inserted, &row), ERR_OK);
	assert_false(inserted);
	assert_int_equal(row.phase, PHASE_DELETED);
	recording_info_release(&row);
	struct uuid id = id_of(1);
	assert_int_equal(f->c->ops->rename(f->c, &id, "back", 1, &row), ERR_OK);
	assert_int_equal(row.phase, PHASE_DELETED);
	assert_null(row.name);
	recording_info_release(&row);
	commit(f);
	recording_info_release(&again);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_first_claim_wins),
		TEST(an_unknown_recording_is_not_found),
		TEST(a_seal_with_an_error_can_be_claimed_again),
		TEST(only_what_grace_sealed_reopens),
		TEST(reopening_unseals_grace_only),
		TEST(abort_and_fail_go_by_the_table),
		TEST(remove_leaves_a_tombstone),
	};
	const char *name;
	int failed = 0;
	for (size_t i = 0; (name = catalog_rig_choose(i)); i++)
		failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
	return failed;
}
