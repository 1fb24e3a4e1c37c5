/* The journal at work: appending, committing, recycling, running full, failing. Recovery has its own test. */
#include "base/limits.h"
#include "support/journal_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FOUR = 4 * RIG_SEGMENT };

static struct journal_status status_of(struct rig *r)
{
	struct journal_status status;
	journal_status(r->journal, &status);
	return status;
}

static void comes_back_as_it_was_appended(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	assert_int_equal(status_of(r).segments_ready, 4);
	for (int batch = 0; batch < 5; batch++) {
		for (int i = 0; i < 5; i++)
			rig_append(r, 3000);
		rig_append_payload(r, RECORD_DELETE, NULL, 0);
		rig_commit(r);
	}
	rig_append_payload(r, RECORD_APPEND, r->media, journal_append_max(r->journal));
	rig_commit(r);
	uint64_t durable = r->durable;
	assert_int_equal(durable, 1 + 31);
	rig_kill(r);
	assert_int_equal(rig_open(r), ERR_OK);
	assert_int_equal(rig_replay(r, false), ERR_OK);
	assert_true(r->replayed_checkpoint);
	assert_int_equal(r->replayed.count, 31);
	assert_int_equal(r->damage_count, 0);
	rig_check(r, 0, durable);
	rig_free(r);
}

static void nothing_is_durable_before_its_commit_ends(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	uint64_t before = journal_durable(r->journal);
	unsigned syncs = vfs_fault_count(r->vfs, FAULT_SYNC);
	struct position first = rig_append(r, 100);
	assert_false(journal_busy(r->journal));
	journal_kick(r->journal);
	assert_true(journal_busy(r->journal));
	struct position second = rig_append(r, 100);
	journal_kick(r->journal); /* one at a time */
	assert_int_equal(journal_durable(r->journal), before);
	assert_int_equal(exec_inline_turn_lane(r->exec, LANE_COMMIT), 1);
	assert_int_equal(journal_durable(r->journal), first.sequence);
	assert_int_equal(r->durable, first.sequence);
	assert_int_equal(vfs_fault_count(r->vfs, FAULT_SYNC), syncs + 1);
	journal_kick(r->journal);
	assert_int_equal(exec_inline_turn_lane(r->exec, LANE_COMMIT), 1);
	assert_int_equal(journal_durable(r->journal), second.sequence);
	assert_int_equal(vfs_fault_count(r->vfs, FAULT_SYNC), syncs + 2);
	rig_free(r);
}

static void a_batch_is_one_sync_and_is_capped(void **state)
{
	struct rig *r = rig_new(16 * RIG_SEGMENT);
	rig_start(r);
	exec_inline_drain(r->exec);
	for (int i = 0; i < 20; i++)
		rig_append_payload(r, RECORD_APPEND, r->media, 4000);
	unsigned calls = r->durable_calls;
	journal_kick(r->journal);
	exec_inline_turn(r->exec);
	assert_int_equal(r->durable_calls, calls + 1);
	/* half a segment: eight records of 4064 bytes */
	assert_int_equal(journal_durable(r->journal), 1 + 8);
	rig_commit(r);
	assert_int_equal(journal_durable(r->journal), 1 + 20);
	uint64_t durable = r->durable;
	rig_kill(r);
	rig_start(r);
	rig_check(r, 0, durable);
	assert_int_equal(r->replayed.count, 20);
	rig_free(r);
}

/* A batch that goes on in the next segment is durable when both are synced, not before. */
static void a_batch_over_two_segments_syncs_both(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	unsigned twice = 0;
	for (int i = 0; i < 20; i++) {
		unsigned free_before = status_of(r).segments_free;
		for (int n = 0; n < 3; n++)
			rig_append_payload(r, RECORD_APPEND, r->media, 3000 + (uint32_t)n);
		unsigned syncs = vfs_fault_count(r->vfs, FAULT_SYNC);
		uint64_t before = journal_durable(r->journal);
		rig_commit(r);
		assert_int_equal(journal_durable(r->journal), before + 3);
		unsigned done = vfs_fault_count(r->vfs, FAULT_SYNC) - syncs;
		if (status_of(r).segments_free == free_before)
			assert_int_equal(done, 1);
		else if (done == 2) /* else it began with the new one */
			twice++;
		if (journal_wants_checkpoint(r->journal))
			rig_checkpoint(r);
	}
	assert_true(twice >= 1);
	rig_free(r);
}

static void each_start_begins_a_run_of_its_own(void **state)
{
	struct rig *r = rig_new(FOUR);
	uint64_t last = 0;
	for (int run = 0; run < 40; run++) {
		rig_start(r);
		if (run > 0) {
			assert_int_equal(r->replayed.count, 3);
			rig_check(r, last - 2, last);
			assert_int_equal(journal_durable(r->journal), (uint64_t)run << 40);
		}
		for (int i = 0; i < 3; i++)
			last = rig_append(r, 3000).sequence;
		rig_commit(r);
		rig_kill(r);
	}
	/* four segments carried all of it */
	rig_start(r);
	assert_int_equal(status_of(r).segments, 4);
	rig_free(r);
}

static void segments_are_recycled_for_ever(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	unsigned checkpoints = 0;
	for (int i = 0; i < 3000; i++) {
		if (journal_wants_checkpoint(r->journal)) {
			rig_checkpoint(r);
			checkpoints++;
		}
		assert_false(journal_full(r->journal));
		rig_append(r, 3000);
		if (rig_random(r, 3) == 0)
			rig_commit(r);
		if (i % 500 == 250) { /* and every lap can be replayed */
			rig_commit(r);
			uint64_t from = status_of(r).replay_from, durable = r->durable;
			rig_kill(r);
			rig_start(r);
			assert_int_equal(r->damage_count, 0);
			assert_int_equal(r->replayed_from, from);
			rig_check(r, from, durable);
			exec_inline_drain(r->exec);
		}
	}
	assert_in_range(checkpoints, 20, 200);
	assert_int_equal(status_of(r).segments, 4);
	rig_free(r);
}

static void what_is_not_checkpointed_is_kept(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	uint64_t from = journal_durable(r->journal);
	while (!journal_full(r->journal)) {
		rig_append(r, 3000);
		rig_commit(r);
	}
	/* checkpoints that vouch for nothing free nothing */
	unsigned free_before = status_of(r).segments_free;
	journal_checkpoint(r->journal, from + 1, NULL, 0);
	rig_commit(r);
	assert_int_equal(status_of(r).segments_free, free_before);
	uint64_t durable = r->durable;
	rig_kill(r);
	rig_start(r);
	rig_check(r, from + 1, durable);
	rig_free(r);
}

static void a_segment_is_freed_with_its_last_record_and_not_before(void **state)
{
	struct rig *r = rig_new(8 * RIG_SEGMENT);
	rig_start(r);
	exec_inline_drain(r->exec);
	unsigned free_before = status_of(r).segments_free;
	uint64_t first = 0; /* of the second segment */
	while (status_of(r).segments_free == free_before) {
		first = rig_append_payload(r, RECORD_APPEND, r->media, 5000).sequence;
		rig_commit(r);
	}
	journal_checkpoint(r->journal, first - 1, NULL, 0);
	rig_commit(r);
	assert_int_equal(status_of(r).segments_free, free_before - 1);
	journal_hold(r->journal, first - 1);
	journal_checkpoint(r->journal, first, NULL, 0);
	rig_commit(r);
	assert_int_equal(status_of(r).segments_free, free_before - 1);
	journal_release(r->journal, first - 1);
	assert_int_equal(status_of(r).segments_free, free_before);
	rig_free(r);
}

static void full_leaves_room_for_what_still_comes(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	while (!journal_full(r->journal)) {
		rig_append(r, 3000);
		rig_commit(r);
	}
	assert_true(journal_wants_checkpoint(r->journal));
	assert_true(status_of(r).segments_free >= 1);
	unsigned room_calls = r->room_calls;
	for (int i = 0; i < 8; i++) { /* seals, and a checkpoint behind them */
		rig_append_payload(r, RECORD_SEAL, r->media, 1000);
		rig_commit(r);
	}
	assert_int_equal(r->durable, r->appended.items[r->appended.count - 1].record.sequence);
	assert_int_equal(r->room_calls, room_calls);
	rig_checkpoint(r);
	assert_false(journal_full(r->journal));
	assert_int_equal(r->room_calls, room_calls + 1);
	assert_int_equal(status_of(r).segments, 4);
	rig_free(r);
}

static void two_segments_are_enough_to_go_on(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r); /* the checkpoint lane never gets to fill the others */
	for (int i = 0; i < 500; i++) {
		if (journal_full(r->journal)) {
			while (exec_inline_turn_lane(r->exec, LANE_COMMIT))
				;
			struct journal_status s = status_of(r);
			journal_checkpoint(r->journal, s.next_sequence, NULL, 0);
		} else {
			rig_append(r, 3000);
		}
		journal_kick(r->journal);
		exec_inline_turn_lane(r->exec, LANE_COMMIT);
	}
	assert_int_equal(status_of(r).segments_ready, 2);
	assert_true(r->appended.count > 200);
	assert_true(r->durable >= r->appended.items[r->appended.count - 1].record.sequence);
	rig_free(r);
}

static void without_any_segment_records_wait_for_one_more(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	uint64_t last = 0;
	for (int i = 0; i < 400; i++) /* nobody looks at journal_full */
		last = rig_append_payload(r, RECORD_APPEND, r->media, 2000).sequence;
	for (int i = 0; i < 400; i++) {
		journal_kick(r->journal);
		exec_inline_turn_lane(r->exec, LANE_COMMIT);
	}
	assert_true(journal_durable(r->journal) < last);
	assert_false(journal_busy(r->journal));
	assert_int_equal(r->failed_calls, 0);
	for (int i = 0; i < 400; i++) {
		journal_kick(r->journal);
		exec_inline_turn(r->exec);
	}
	assert_int_equal(journal_durable(r->journal), last);
	assert_true(status_of(r).segments > 4);
	rig_kill(r);
	rig_start(r);
	rig_check(r, 0, last);
	assert_int_equal(r->replayed.count, 400);
	rig_free(r);
}

/* Nor can it be made: they wait on, and go on when it can. */
static void without_space_for_one_more_they_wait_on(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	vfs_fault_fail(r->vfs, FAULT_RESERVE, 1, ERR_STORAGE_FULL, true);
	uint64_t last = 0;
	for (int i = 0; i < 400; i++)
		last = rig_append_payload(r, RECORD_APPEND, r->media, 2000).sequence;
	for (int i = 0; i < 2000; i++) {
		journal_kick(r->journal);
		exec_inline_turn(r->exec);
	}
	assert_true(journal_durable(r->journal) < last);
	assert_int_equal(r->failed_calls, 0);
	assert_int_equal(status_of(r).segments, 5); /* the one that is tried again and again */
	vfs_fault_fail(r->vfs, FAULT_RESERVE, 0, ERR_OK, false);
	for (int i = 0; i < 400; i++) {
		journal_kick(r->journal);
		exec_inline_turn(r->exec);
	}
	assert_int_equal(journal_durable(r->journal), last);
	rig_free(r);
}

static void held_segments_stay(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	uint64_t held = rig_append(r, 100).sequence;
	journal_hold(r->journal, held);
	journal_hold(r->journal, held);
	while (!journal_full(r->journal)) {
		rig_append(r, 3000);
		rig_commit(r);
	}
	unsigned free_before = status_of(r).segments_free, room_calls = r->room_calls;
	rig_checkpoint(r);
	assert_true(status_of(r).segments_free <= free_before);
	journal_release(r->journal, held);
	assert_true(status_of(r).segments_free <= free_before);
	assert_int_equal(r->room_calls, room_calls);
	journal_release(r->journal, held);
	assert_true(status_of(r).segments_free > free_before);
	assert_int_equal(r->room_calls, room_calls + 1);
	rig_free(r);
}

static void a_failed_sync_is_the_end(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	rig_append(r, 100);
	rig_commit(r);
	uint64_t durable = r->durable;
	unsigned syncs = vfs_fault_count(r->vfs, FAULT_SYNC);
	vfs_fault_fail(r->vfs, FAULT_SYNC, 1, ERR_SYNC_FAILED, false);
	for (int i = 0; i < 10; i++) {
		rig_append(r, 100);
		rig_commit(r);
		journal_kick(r->journal);
		exec_inline_drain(r->exec);
	}
	assert_int_equal(r->failed_calls, 1);
	assert_int_equal(r->failed_err, ERR_SYNC_FAILED);
	assert_int_equal(journal_durable(r->journal), durable);
	assert_int_equal(vfs_fault_count(r->vfs, FAULT_SYNC), syncs + 1);
	rig_free(r);
}

static void a_failed_write_is_the_end(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	uint64_t durable = r->durable;
	unsigned syncs = vfs_fault_count(r->vfs, FAULT_SYNC), writes = vfs_fault_count(r->vfs, FAULT_WRITE);
	vfs_fault_fail(r->vfs, FAULT_WRITE, 1, ERR_STORAGE_FULL, false);
	for (int i = 0; i < 10; i++) {
		rig_append(r, 100);
		rig_commit(r);
	}
	assert_int_equal(r->failed_calls, 1);
	assert_int_equal(r->failed_err, ERR_WRITE_FAILED);
	assert_int_equal(journal_durable(r->journal), durable);
	assert_int_equal(vfs_fault_count(r->vfs, FAULT_SYNC), syncs);
	assert_int_equal(vfs_fault_count(r->vfs, FAULT_WRITE), writes + 1);
	rig_free(r);
}

/* A fill that fails costs segments, not the journal. */
static void a_failed_fill_is_no_failure(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	vfs_fault_fail(r->vfs, FAULT_RESERVE, 1, ERR_STORAGE_FULL, true);
	exec_inline_drain(r->exec);
	assert_int_equal(r->failed_calls, 0);
	assert_int_equal(status_of(r).segments_ready, 2);
	rig_append(r, 100);
	rig_commit(r);
	assert_int_equal(r->failed_calls, 0);
	vfs_fault_fail(r->vfs, FAULT_RESERVE, 0, ERR_OK, false);
	rig_kill(r);
	rig_start(r);
	exec_inline_drain(r->exec);
	assert_int_equal(status_of(r).segments_ready, 4);
	rig_free(r);
}

/* The Nth call of all fails, for every N, at a first start and at a second one: an error, no lasting harm. */
static void any_call_of_a_start_may_fail(void **state)
{
	struct rig *r = rig_new(FOUR);
	unsigned n = 0, failed;
	uint64_t durable = 0;
	do {
		unsigned before = vfs_fault_failed(r->vfs);
		vfs_fault_fail(r->vfs, FAULT_ANY, ++n, ERR_WRITE_FAILED, false);
		enum err err = rig_open(r);
		if (err == ERR_OK)
			err = rig_replay(r, false);
		if (err == ERR_OK)
			err = journal_start(r->journal, NULL, 0);
		failed = vfs_fault_failed(r->vfs) - before;
		vfs_fault_fail(r->vfs, FAULT_ANY, 0, ERR_OK, false);
		assert_true(failed ? err != ERR_OK : err == ERR_OK);
		rig_kill(r);
		rig_start(r);
		if (r->replayed_from <= durable) /* else the run that failed had got as far as its fence */
			rig_check(r, durable, durable);
		durable = rig_append(r, 3000).sequence;
		rig_commit(r);
		exec_inline_drain(r->exec);
		rig_kill(r);
	} while (failed);
	assert_true(n > 10);
	rig_free(r);
}

static void any_call_of_the_first_start_may_fail(void **state)
{
	for (unsigned n = 1;; n++) {
		struct rig *r = rig_new(FOUR);
		vfs_fault_fail(r->vfs, FAULT_ANY, n, ERR_WRITE_FAILED, false);
		enum err err = rig_open(r);
		if (err == ERR_OK)
			err = rig_replay(r, false);
		if (err == ERR_OK)
			err = journal_start(r->journal, NULL, 0);
		unsigned failed = vfs_fault_failed(r->vfs);
		vfs_fault_fail(r->vfs, FAULT_ANY, 0, ERR_OK, false);
		assert_true(failed ? err != ERR_OK : err == ERR_OK);
		rig_kill(r);
		rig_start(r);
		uint64_t durable = rig_append(r, 3000).sequence;
		rig_commit(r);
		rig_kill(r);
		rig_start(r);
		rig_check(r, 0, durable);
		rig_free(r);
		if (!failed)
			break;
	}
}

static void a_bigger_size_adds_segments_and_a_smaller_one_keeps_them(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	rig_kill(r);
	r->size_bytes = 7 * RIG_SEGMENT - 1;
	rig_start(r);
	exec_inline_drain(r->exec);
	assert_int_equal(status_of(r).segments_ready, 7);
	rig_kill(r);
	r->size_bytes = 1;
	rig_start(r);
	exec_inline_drain(r->exec);
	assert_int_equal(status_of(r).segments_ready, 7);
	rig_free(r);
}

static void filling_waits_where_the_disk_has_more_important_work(void **state)
{
	struct rig *r = rig_new(8ULL * RIG_SEGMENT);
	r->fill_refused = true;
	rig_start(r);
	exec_inline_drain(r->exec);
	assert_int_equal(status_of(r).segments_ready, 5); /* with fewer than four free it is not put off */
	for (int i = 0; i < 2; i++) {			  /* a segment is a piece, and its end */
		assert_int_equal(status_of(r).segments_ready, 5 + i);
		journal_fill_on(r->journal);
		exec_inline_drain(r->exec);
		journal_fill_on(r->journal);
		exec_inline_drain(r->exec);
	}
	rig_kill(r); /* in the middle of a wait */
	r->fill_refused = false;
	rig_start(r);
	exec_inline_drain(r->exec);
	assert_int_equal(status_of(r).segments_ready, 8);
	rig_free(r);
}

static void owned_memory_is_freed(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	for (int i = 0; i < 3; i++) { /* the last one never becomes durable; the leak checker looks */
		char *text = malloc(100);
		memset(text, 'x', 100);
		struct iovec piece = { text, 100 };
		struct record record = {
			.type = RECORD_OPEN, .payload = &piece, .payload_count = 1, .payload_len = 100, .owned = text
		};
		journal_append(r->journal, &record);
		if (i < 2)
			rig_commit(r);
	}
	rig_free(r);
}

static void a_checkpoint_tells_its_tracks(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	struct checkpoint_track tracks[3] = { { .track = 0, .synced_bytes = 7 },
					      { .track = 3, .synced_bytes = UINT64_MAX },
					      { .track = 65534 } };
	memset(tracks[1].recording.bytes, 0xab, 16);
	journal_checkpoint(r->journal, 1, tracks, 3);
	rig_commit(r);
	rig_kill(r);
	assert_int_equal(rig_open(r), ERR_OK);
	assert_int_equal(rig_replay(r, true), ERR_OK);
	assert_int_equal(r->replayed_from, 1);
	assert_int_equal(r->replayed_track_count, 3);
	assert_memory_equal(r->replayed_tracks, tracks, sizeof tracks);
	rig_free(r);
}

/* A checkpoint can't vouch for what is not durable, nor for what an earlier run wrote. */
static void a_checkpoint_vouches_for_what_is_durable_only(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	uint64_t first = rig_append(r, 1000).sequence;
	rig_append(r, 1000);
	journal_checkpoint(r->journal, first + 2, NULL, 0);
	rig_commit(r);
	assert_int_equal(status_of(r).replay_from, first);
	uint64_t durable = r->durable;
	rig_kill(r);
	rig_start(r);
	assert_int_equal(r->replayed.count, 2);
	rig_check(r, first, durable);
	uint64_t fence = journal_durable(r->journal);
	journal_checkpoint(r->journal, 1, NULL, 0);
	rig_commit(r);
	assert_int_equal(status_of(r).replay_from, fence);
	rig_free(r);
}

static void a_checkpoint_of_the_wrong_length_is_refused(void **state)
{
	uint8_t bytes[64] = { 0 };
	struct checkpoint_track *tracks;
	size_t count;
	bytes[16] = 1; /* one track: 24 + 26 bytes */
	for (uint32_t len = 0; len <= sizeof bytes; len++) {
		struct iovec piece = { bytes, len };
		struct record record = {
			.type = RECORD_CHECKPOINT, .payload = &piece, .payload_count = 1, .payload_len = len
		};
		enum err err = journal_checkpoint_parse(&record, &tracks, &count);
		assert_int_equal(err, len == 50 ? ERR_OK : ERR_CORRUPT);
		free(tracks);
	}
	memset(bytes + 16, 0xff, 4); /* four thousand million tracks */
	struct iovec piece = { bytes, 50 };
	struct record record = { .type = RECORD_CHECKPOINT, .payload = &piece, .payload_count = 1, .payload_len = 50 };
	assert_int_equal(journal_checkpoint_parse(&record, &tracks, &count), ERR_CORRUPT);
}

static void a_small_journal_has_small_segments(void **state)
{
	(void)state;
	assert_int_equal(journal_segment_bytes(64 * MIB), 16 * MIB);
	assert_int_equal(journal_segment_bytes(103 * MIB), 25 * MIB);
	assert_int_equal(journal_segment_bytes(256 * MIB), LIMIT_SEGMENT_BYTES);
	assert_int_equal(journal_segment_bytes(GIB), LIMIT_SEGMENT_BYTES);
	assert_int_equal(journal_segment_bytes(0), LIMIT_SEGMENT_MIN_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_journal_has_small_segments),
		cmocka_unit_test(comes_back_as_it_was_appended),
		cmocka_unit_test(nothing_is_durable_before_its_commit_ends),
		cmocka_unit_test(a_batch_is_one_sync_and_is_capped),
		cmocka_unit_test(a_batch_over_two_segments_syncs_both),
		cmocka_unit_test(each_start_begins_a_run_of_its_own),
		cmocka_unit_test(segments_are_recycled_for_ever),
		cmocka_unit_test(what_is_not_checkpointed_is_kept),
		cmocka_unit_test(a_segment_is_freed_with_its_last_record_and_not_before),
		cmocka_unit_test(full_leaves_room_for_what_still_comes),
		cmocka_unit_test(two_segments_are_enough_to_go_on),
		cmocka_unit_test(without_any_segment_records_wait_for_one_more),
		cmocka_unit_test(without_space_for_one_more_they_wait_on),
		cmocka_unit_test(held_segments_stay),
		cmocka_unit_test(a_failed_sync_is_the_end),
		cmocka_unit_test(a_failed_write_is_the_end),
		cmocka_unit_test(a_failed_fill_is_no_failure),
		cmocka_unit_test(any_call_of_a_start_may_fail),
		cmocka_unit_test(any_call_of_the_first_start_may_fail),
		cmocka_unit_test(a_bigger_size_adds_segments_and_a_smaller_one_keeps_them),
		cmocka_unit_test(filling_waits_where_the_disk_has_more_important_work),
		cmocka_unit_test(owned_memory_is_freed),
		cmocka_unit_test(a_checkpoint_tells_its_tracks),
		cmocka_unit_test(a_checkpoint_vouches_for_what_is_durable_only),
		cmocka_unit_test(a_checkpoint_of_the_wrong_length_is_refused),
	};
	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
