/* Recovery of the journal: every state that a crash may leave gives back what was durable, in order and whole; damage
 * is reported; nothing is ever made up. */
#include "base/limits.h"
#include "store/journal_format.h"
#include "support/journal_rig.h"
#include "support/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FOUR = 4 * RIG_SEGMENT, SECTOR = 512, SECTORS = RIG_SEGMENT / SECTOR };

static uint64_t last_sequence(const struct rig *r)
{
	return r->appended.items[r->appended.count - 1].record.sequence;
}

/* Opens and replays what is on the disk, without writing, and closes again. */
static void look(struct rig *r)
{
	assert_int_equal(rig_open(r), ERR_OK);
	assert_int_equal(rig_replay(r, true), ERR_OK);
	rig_kill(r);
}

static void append_batches(struct rig *r, int batches, int records, uint32_t most)
{
	for (int b = 0; b < batches; b++) {
		for (int i = 0; i < records; i++)
			rig_append(r, most);
		rig_commit(r);
	}
}

/* torn batches */

struct torn {
	struct rig *rig;
	struct rig_image before, after;
	unsigned changed[4 * SECTORS * 8]; /* sectors that the last batch wrote, in order */
	unsigned count;
	uint64_t from, durable;
};

/* A journal whose last batch is in `after` and not in `before`. */
static void torn_init(struct torn *t, int batches_before, int records)
{
	struct rig *r = t->rig = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	append_batches(r, batches_before / 2, 4, 3000);
	rig_checkpoint(r);
	append_batches(r, batches_before - batches_before / 2, 4, 3000);
	struct journal_status status;
	journal_status(r->journal, &status);
	t->from = status.replay_from;
	t->durable = journal_durable(r->journal);
	t->before = rig_take(r);
	for (int i = 0; i < records; i++)
		rig_append_payload(r, RECORD_APPEND, r->media + 7 * i, 900);
	journal_kick(r->journal); /* one commit */
	exec_inline_turn(r->exec);
	assert_int_equal(journal_durable(r->journal), last_sequence(r));
	t->after = rig_take(r);
	rig_kill(r);
	t->count = 0;
	for (unsigned s = 0; s < t->after.count * SECTORS; s++)
		if (memcmp(t->before.bytes + (size_t)s * SECTOR, t->after.bytes + (size_t)s * SECTOR, SECTOR) != 0)
			t->changed[t->count++] = s;
	assert_true(t->count > 4);
}

static void torn_release(struct torn *t)
{
	rig_image_free(&t->before);
	rig_image_free(&t->after);
	rig_free(t->rig);
}

static void copy_sector(struct rig_image *to, const struct rig_image *from, unsigned sector)
{
	memcpy(to->bytes + (size_t)sector * SECTOR, from->bytes + (size_t)sector * SECTOR, SECTOR);
}

/* What was durable comes back, of the last batch a beginning, and nobody speaks of damage. */
static void check_torn(struct torn *t, const struct rig_image *image)
{
	struct rig *r = t->rig;
	rig_put(r, image);
	look(r);
	assert_int_equal(r->damage_count, 0);
	assert_true(r->replayed_from >= t->from);
	rig_check(r, t->from, t->durable);
	for (size_t i = 1; i < r->replayed.count; i++) /* checkpoints are left out of the count */
		if (r->replayed.items[i - 1].record.sequence >= t->durable)
			assert_int_equal(r->replayed.items[i].record.sequence,
					 r->replayed.items[i - 1].record.sequence + 1);
}

static void tear_everywhere(int batches_before, int records)
{
	struct torn t;
	torn_init(&t, batches_before, records);
	struct rig_image some = rig_image_copy(&t.before);
	for (unsigned k = 0; k <= t.count; k++) { /* only the first k sectors */
		check_torn(&t, &some);
		if (k < t.count)
			copy_sector(&some, &t.after, t.changed[k]);
	}
	assert_int_equal(t.rig->replayed.items[t.rig->replayed.count - 1].record.sequence, last_sequence(t.rig));
	for (unsigned k = 0; k < t.count; k++) { /* only the last ones */
		copy_sector(&some, &t.before, t.changed[k]);
		check_torn(&t, &some);
	}
	rig_image_free(&some);
	some = rig_image_copy(&t.after);
	for (unsigned k = 0; k < t.count; k++) { /* all but one, which is as it was, or zeros, or half */
		copy_sector(&some, &t.before, t.changed[k]);
		check_torn(&t, &some);
		memset(some.bytes + (size_t)t.changed[k] * SECTOR, 0, SECTOR);
		check_torn(&t, &some);
		copy_sector(&some, &t.after, t.changed[k]);
		memset(some.bytes + (size_t)t.changed[k] * SECTOR, 0, SECTOR / 2);
		check_torn(&t, &some);
		copy_sector(&some, &t.after, t.changed[k]);
	}
	for (int n = 0; n < 200; n++) { /* any */
		for (unsigned k = 0; k < t.count; k++)
			copy_sector(&some, rig_random(t.rig, 2) ? &t.after : &t.before, t.changed[k]);
		check_torn(&t, &some);
	}
	rig_image_free(&some);
	torn_release(&t);
}

static void a_torn_batch_is_cut_off(void **state)
{
	tear_everywhere(6, 20);
}

static void a_torn_batch_over_two_segments_is_cut_off(void **state)
{
	for (int batches = 8; batches < 13; batches++)
		tear_everywhere(batches, 30);
}

/* What was torn off is not there for the next run either, even when that one is damaged and all is read. */
static void what_was_cut_off_never_comes_back(void **state)
{
	struct torn t;
	torn_init(&t, 9, 30);
	struct rig *r = t.rig;
	size_t appended = r->appended.count;
	for (unsigned k = 0; k < t.count; k++) {
		r->appended.count = appended; /* back to that day */
		struct rig_image some = rig_image_copy(&t.after);
		copy_sector(&some, &t.before, t.changed[k]);
		rig_put(r, &some);
		rig_image_free(&some);
		rig_start(r);
		rig_check(r, t.from, t.durable);
		uint64_t kept = r->replayed.items[r->replayed.count - 1].record.sequence;
		uint64_t fence = journal_durable(r->journal);
		append_batches(r, 3, 2, 500);
		uint64_t durable = r->durable;
		rig_kill(r);
		look(r);
		assert_int_equal(r->replayed_from, fence);
		assert_int_equal(r->damage_count, 0);
		rig_check(r, fence, durable);
		/* now the fence is lost: its segment and place are those of the first record of that run */
		struct rig_image image = rig_take(r);
		for (size_t at = 0; at + 64 <= (size_t)image.count * RIG_SEGMENT; at += JOURNAL_BLOCK)
			if (image.bytes[at + 8] == RECORD_CHECKPOINT && memcmp(image.bytes + at + 16, &fence, 8) == 0)
				image.bytes[at + 70] ^= 1;
		rig_put(r, &image);
		rig_image_free(&image);
		look(r);
		assert_true(r->damage_count >= 1);
		rig_check(r, fence, durable);
		for (size_t i = 0; i < r->replayed.count; i++) {
			uint64_t sequence = r->replayed.items[i].record.sequence;
			assert_true(sequence <= kept || sequence > fence);
		}
	}
	torn_release(&t);
}

/* The first record of a run is torn: the last run is all there, wherever that record went. */
static void a_start_cut_short_keeps_the_last_run(void **state)
{
	for (int batches = 1; batches < 24; batches++) {
		struct torn t = { .rig = rig_new(FOUR) };
		struct rig *r = t.rig;
		rig_start(r);
		exec_inline_drain(r->exec);
		append_batches(r, batches, 3, 2500);
		uint64_t durable = r->durable;
		rig_kill(r);
		t.before = rig_take(r);
		rig_start(r);
		uint64_t fence = journal_durable(r->journal);
		rig_kill(r);
		t.after = rig_take(r);
		unsigned lost = 0;
		for (unsigned s = 0; s < t.before.count * SECTORS; s++) {
			struct rig_image some = rig_image_copy(&t.before);
			bool changed =
				memcmp(t.before.bytes + (size_t)s * SECTOR, t.after.bytes + (size_t)s * SECTOR, SECTOR);
			copy_sector(&some, &t.after, s);
			memset(some.bytes + (size_t)s * SECTOR + 30, 0x55, SECTOR - 30);
			if (changed) {
				rig_put(r, &some);
				look(r);
				assert_int_equal(r->damage_count, 0);
				rig_check(r, 2, durable);
				lost++;
			}
			rig_image_free(&some);
		}
		assert_in_range(lost, 1, 8);
		rig_put(r, &t.after);
		look(r);
		assert_int_equal(r->replayed_from, fence);
		torn_release(&t);
	}
}

/* damage */

static void damage_is_reported_wherever_it_is(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	for (int lap = 0; lap < 9; lap++) {
		append_batches(r, 5, 3, 2500);
		rig_checkpoint(r);
	}
	struct journal_status status;
	append_batches(r, 12, 3, 2500);
	journal_status(r->journal, &status);
	uint64_t proven = r->durable;
	append_batches(r, 1, 1, 100); /* whose `synced` proves all before it */
	rig_kill(r);
	struct rig_image whole = rig_take(r);
	unsigned reported = 0, went_on = 0;
	for (unsigned n = 0; n < 1500 / share(); n++) {
		struct rig_image image = rig_image_copy(&whole);
		for (uint32_t flips = 1 + rig_random(r, 6); flips > 0; flips--) {
			size_t at = rig_random(r, image.count * RIG_SEGMENT);
			uint32_t len = n % 3 == 0 ? rig_random(r, 6000) : 1;
			for (; len > 0 && at < (size_t)image.count * RIG_SEGMENT; len--, at++)
				image.bytes[at] ^= (uint8_t)(1 + rig_random(r, 255));
		}
		rig_put(r, &image);
		rig_image_free(&image);
		look(r);
		/* the very last batch may be what was damaged: without it the one before is unproven */
		bool last = r->replayed.count && r->replayed.items[r->replayed.count - 1].record.sequence > proven;
		uint64_t upto = last ? proven : r->replayed.items[r->replayed.count - 1].record.sequence;
		rig_check(r, status.replay_from, upto);
		reported += r->damage_count > 0;
		went_on += r->damage_count > 0 && last;
	}
	assert_true(reported > 300 / share() && went_on > 200 / share());
	rig_image_free(&whole);
	rig_free(r);
}

static size_t find_record(const struct rig_image *image, uint64_t sequence)
{
	uint8_t wanted[8];
	for (int i = 0; i < 8; i++)
		wanted[i] = (uint8_t)(sequence >> 8 * i);
	for (size_t at = 0; at + 64 <= (size_t)image->count * RIG_SEGMENT; at += 8)
		if (at % RIG_SEGMENT >= JOURNAL_DATA && memcmp(image->bytes + at + 16, wanted, 8) == 0)
			return at;
	fail_msg("no record %llu", (unsigned long long)sequence);
	return 0;
}

static void damage_is_set_aside_and_the_rest_goes_on(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	append_batches(r, 4, 3, 2000);
	uint64_t durable = r->durable; /* 2 to 13 */
	rig_kill(r);
	struct rig_image image = rig_take(r);
	image.bytes[find_record(&image, 6) + 20] ^= 1;
	image.bytes[find_record(&image, 7) + 3] ^= 1;
	image.bytes[find_record(&image, 9) + 40] ^= 1;
	rig_put(r, &image);
	rig_start(r);
	assert_int_equal(r->damage_count, 2);
	assert_int_equal(r->damage[0].first, 6);
	assert_int_equal(r->damage[0].next, 8);
	assert_int_equal(r->damage[1].first, 9);
	assert_int_equal(r->damage[1].next, 10);
	assert_int_equal(r->replayed.count, 9);
	rig_check(r, 2, durable);
	char path[96], *copy;
	size_t len;
	assert_string_equal(r->damage[0].copy, "quarantine/journal-6");
	snprintf(path, sizeof path, "%s/0000", r->damage[0].copy);
	assert_int_equal(vfs_read_all(r->real, path, RIG_SEGMENT, &copy, &len), ERR_OK);
	assert_int_equal(len, RIG_SEGMENT);
	assert_memory_equal(copy, image.bytes, RIG_SEGMENT);
	free(copy);
	/* reported once: the new run is fenced off from it */
	append_batches(r, 2, 2, 100);
	rig_kill(r);
	look(r);
	assert_int_equal(r->damage_count, 0);
	assert_int_equal(r->replayed.count, 4);
	rig_image_free(&image);
	rig_free(r);
}

static void a_lost_segment_is_reported(void **state)
{
	struct rig *r = rig_new(8 * RIG_SEGMENT);
	rig_start(r);
	exec_inline_drain(r->exec);
	append_batches(r, 30, 4, 2500);
	uint64_t durable = r->durable;
	rig_kill(r);
	struct rig_image whole = rig_take(r);
	for (unsigned lost = 0; lost < 4; lost++) {
		for (int how = 0; how < 2; how++) {
			struct rig_image image = rig_image_copy(&whole);
			uint8_t *at = image.bytes + (size_t)lost * RIG_SEGMENT;
			if (how == 0)
				memset(at, 0, RIG_SEGMENT);
			else
				memcpy(at + JOURNAL_DATA, r->media, RIG_SEGMENT - JOURNAL_DATA);
			rig_put(r, &image);
			rig_image_free(&image);
			look(r);
			assert_int_equal(r->damage_count, lost < 3); /* nothing proves the end */
			rig_check(r, 0, lost < 3 ? durable : r->replayed.items[r->replayed.count - 1].record.sequence);
		}
	}
	rig_image_free(&whole);
	rig_free(r);
}

static void headers_may_be_damaged_but_for_one(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	append_batches(r, 12, 4, 2500);
	uint64_t durable = r->durable;
	rig_kill(r);
	struct rig_image whole = rig_take(r);
	struct rig_image image = rig_image_copy(&whole);
	for (unsigned i = 0; i < 3; i++)
		image.bytes[(size_t)i * RIG_SEGMENT + 17] ^= 4;
	rig_put(r, &image);
	rig_start(r);
	assert_int_equal(r->damage_count, 0);
	rig_check(r, 2, durable);
	exec_inline_drain(r->exec);
	struct journal_status status;
	journal_status(r->journal, &status);
	assert_true(status.segments_ready >= 4); /* filled again */
	rig_kill(r);

	for (unsigned i = 0; i < 4; i++)
		whole.bytes[(size_t)i * RIG_SEGMENT + 17] ^= 4;
	rig_put(r, &whole);
	assert_int_equal(rig_open(r), ERR_CORRUPT);
	rig_image_free(&image);
	rig_image_free(&whole);
	rig_free(r);
}

static void segments_of_elsewhere_are_refused(void **state)
{
	struct rig *a = rig_new(FOUR), *b = rig_new(FOUR);
	b->seed = 99;
	rig_start(a);
	rig_start(b);
	rig_kill(a);
	rig_kill(b);
	struct rig_image x = rig_take(a), y = rig_take(b);
	memcpy(x.bytes + RIG_SEGMENT, y.bytes + RIG_SEGMENT, RIG_SEGMENT);
	rig_put(a, &x);
	assert_int_equal(rig_open(a), ERR_CORRUPT);
	rig_image_free(&x);
	rig_image_free(&y);
	rig_free(a);
	rig_free(b);
}

static void a_fill_cut_short_is_done_again(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	append_batches(r, 2, 2, 1000);
	uint64_t durable = r->durable;
	rig_kill(r);
	struct vfs_file *file;
	static const uint8_t zeros[RIG_SEGMENT];
	assert_int_equal(vfs_open(r->real, "journal/0002", VFS_WRITE | VFS_CREATE, &file), ERR_OK);
	assert_int_equal(vfs_file_truncate(file, 0), ERR_OK);
	assert_int_equal(vfs_file_write(file, zeros, 20000, 0), ERR_OK);
	vfs_file_close(file);
	rig_start(r);
	rig_check(r, 2, durable);
	exec_inline_drain(r->exec);
	struct journal_status status;
	journal_status(r->journal, &status);
	assert_int_equal(status.segments_ready, 4);
	rig_kill(r);
	/* the same at the very first start: two files of zeros, no header */
	struct rig_image blank = rig_take(r);
	memset(blank.bytes, 0, (size_t)blank.count * RIG_SEGMENT);
	rig_put(r, &blank);
	rig_image_free(&blank);
	rig_start(r);
	assert_int_equal(r->replayed.count, 0);
	assert_false(r->replayed_checkpoint);
	rig_free(r);
}

/* made-up records */

/* The bytes of whole records, as a client may send them: with another nonce, with the right one but a wrong CRC, and a
 * copy of true ones, which are older than what carries them. */
static void records_inside_payloads_are_payload(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	append_batches(r, 2, 3, 1000);
	struct rig_image image = rig_take(r);
	struct segment_head head;
	assert_true(segment_head_decode(image.bytes, &head));
	uint8_t fake[2 * 4096] = { 0 };
	for (size_t at = 0; at + 512 <= sizeof fake; at += 512) {
		struct record_head h = { .payload_len = 8,
					 .type = RECORD_ABORT,
					 .sequence = 2 + rig_random(r, 40),
					 .synced = 0,
					 .nonce = at % 1024 ? head.nonce : head.nonce + 1 };
		struct iovec piece = { r->media, 8 };
		h.synced = h.sequence - 1;
		record_head_encode(&h, &piece, 1, fake + at);
		memcpy(fake + at + 64, r->media, 8);
		if (h.nonce == head.nonce)
			fake[at] ^= 1;
	}
	memcpy(fake + 4096, image.bytes + JOURNAL_DATA, 4096 - 512);
	rig_image_free(&image);
	for (int i = 0; i < 3; i++) {
		rig_append_payload(r, RECORD_APPEND, fake, sizeof fake);
		rig_append(r, 100);
		rig_commit(r);
	}
	uint64_t durable = r->durable;
	rig_kill(r);
	look(r);
	assert_int_equal(r->damage_count, 0);
	rig_check(r, 2, durable);
	struct rig_image whole = rig_take(r);
	for (int n = 0; n < 500; n++) { /* and when the record around them is damaged */
		image = rig_image_copy(&whole);
		for (int i = 0; i < 3; i++)
			image.bytes[JOURNAL_DATA + rig_random(r, 10 * 4096)] ^= (uint8_t)(1 + rig_random(r, 255));
		rig_put(r, &image);
		rig_image_free(&image);
		look(r);
		rig_check(r, 2, durable - 2);
	}
	rig_image_free(&whole);
	rig_free(r);
}

/* trouble while recovering */

static enum err refuse(void *arg, const struct record *record)
{
	unsigned *calls = arg;
	return ++*calls == 3 ? ERR_STORAGE_FULL : ERR_OK;
}

static void an_error_of_the_receiver_stops_it(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	append_batches(r, 2, 3, 1000);
	rig_kill(r);
	assert_int_equal(rig_open(r), ERR_OK);
	unsigned calls = 0;
	struct replay replay = { .record = refuse, .arg = &calls };
	assert_int_equal(journal_replay(r->journal, &replay, false), ERR_STORAGE_FULL);
	assert_int_equal(calls, 3);
	rig_free(r);
}

static void reads_that_fail_lose_nothing_in_silence(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	append_batches(r, 8, 4, 2000);
	uint64_t durable = r->durable;
	rig_kill(r);
	for (int for_good = 0; for_good < 2; for_good++) {
		unsigned failed;
		for (unsigned n = 1; n < 200; n++) {
			unsigned before = vfs_fault_failed(r->vfs);
			vfs_fault_fail(r->vfs, FAULT_READ, n, ERR_READ_FAILED, for_good);
			enum err err = rig_open(r);
			if (err == ERR_OK)
				err = rig_replay(r, true);
			failed = vfs_fault_failed(r->vfs) - before;
			vfs_fault_fail(r->vfs, FAULT_READ, 0, ERR_OK, false);
			if (err == ERR_OK && !for_good)
				rig_check(r, 2, durable); /* read again block by block */
			if (err == ERR_OK && for_good && failed)
				assert_true(r->damage_count > 0 || r->replayed.count == 32);
			rig_kill(r);
			if (!failed)
				break;
		}
		assert_int_equal(failed, 0);
	}
	rig_free(r);
}

/* Damage, and no way to set it aside: recovery ends with the error, and nothing was written over. */
static void quarantine_must_succeed(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	exec_inline_drain(r->exec);
	append_batches(r, 4, 3, 2000);
	rig_kill(r);
	struct rig_image image = rig_take(r);
	image.bytes[find_record(&image, 6) + 20] ^= 1;
	rig_put(r, &image);
	static const enum fault_kind kinds[] = { FAULT_MKDIR, FAULT_WRITE, FAULT_SYNC, FAULT_SYNC_DIR };
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		assert_int_equal(rig_open(r), ERR_OK);
		vfs_fault_fail(r->vfs, kinds[k], 1, ERR_STORAGE_FULL, false);
		assert_int_not_equal(rig_replay(r, false), ERR_OK);
		rig_kill(r);
	}
	struct rig_image now = rig_take(r);
	assert_memory_equal(now.bytes, image.bytes, (size_t)image.count * RIG_SEGMENT);
	rig_image_free(&now);
	rig_image_free(&image);
	rig_free(r);
}

/* a long life */

/* Vouches for some of what is durable, or all of it. */
static void checkpoint_somewhere(struct rig *r)
{
	struct journal_status status;
	rig_commit(r);
	journal_status(r->journal, &status);
	uint64_t span = status.durable_sequence + 1 - status.replay_from;
	uint64_t from = status.replay_from + rig_random(r, (uint32_t)span + 1);
	journal_checkpoint(r->journal, rig_random(r, 2) ? from : status.next_sequence, NULL, 0);
	rig_commit(r);
}

/* Runs that end in the middle of a commit, some sectors of which reach the disk. What was durable is there each time.
 */
static void many_crashes_lose_nothing(void **state)
{
	struct rig *r = rig_new(FOUR);
	rig_start(r);
	for (int crash = 0; crash < 400; crash++) {
		for (uint32_t n = rig_random(r, 40); n > 0; n--) {
			rig_append(r, rig_random(r, 4) ? 600 : journal_append_max(r->journal));
			if (rig_random(r, 2))
				rig_commit(r);
			if (rig_random(r, 4) == 0)
				exec_inline_turn(r->exec);
			if (rig_random(r, 12) == 0 || journal_wants_checkpoint(r->journal))
				checkpoint_somewhere(r);
		}
		rig_commit(r);
		while (exec_inline_turn_lane(r->exec, LANE_COMMIT))
			;
		struct journal_status status;
		journal_status(r->journal, &status);
		struct rig_image before = rig_take(r);
		for (uint32_t n = 1 + rig_random(r, 20); n > 0; n--)
			rig_append(r, 3000);
		journal_kick(r->journal);
		exec_inline_turn_lane(r->exec, LANE_COMMIT);
		rig_kill(r);
		struct rig_image after = rig_take(r);
		uint32_t odds = 1 + rig_random(r, 8);
		for (unsigned s = 0; s < before.count * SECTORS; s++)
			if (rig_random(r, odds) == 0)
				copy_sector(&after, &before, s);
		rig_put(r, &after);
		rig_image_free(&before);
		rig_image_free(&after);
		rig_start(r);
		assert_int_equal(r->damage_count, 0);
		assert_true(r->replayed_from >= status.replay_from);
		rig_check(r, status.replay_from, status.durable_sequence);
	}
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_torn_batch_is_cut_off),
		cmocka_unit_test(a_torn_batch_over_two_segments_is_cut_off),
		cmocka_unit_test(what_was_cut_off_never_comes_back),
		cmocka_unit_test(a_start_cut_short_keeps_the_last_run),
		cmocka_unit_test(damage_is_reported_wherever_it_is),
		cmocka_unit_test(damage_is_set_aside_and_the_rest_goes_on),
		cmocka_unit_test(a_lost_segment_is_reported),
		cmocka_unit_test(headers_may_be_damaged_but_for_one),
		cmocka_unit_test(segments_of_elsewhere_are_refused),
		cmocka_unit_test(a_fill_cut_short_is_done_again),
		cmocka_unit_test(records_inside_payloads_are_payload),
		cmocka_unit_test(an_error_of_the_receiver_stops_it),
		cmocka_unit_test(reads_that_fail_lose_nothing_in_silence),
		cmocka_unit_test(quarantine_must_succeed),
		cmocka_unit_test(many_crashes_lose_nothing),
	};
	return cmocka_run_group_tests_name("journal_recovery", tests, NULL, NULL);
}
