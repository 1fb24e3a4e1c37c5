/* The journal on a disk that dies at any call and keeps, drops or tears whatever was not synced: what was told durable
 * is there after every crash, also one in the middle of the first start, of filling or of a start behind a crash; and
 * such a disk, which loses nothing that it promised, never looks damaged. */
#include "base/crc.h"
#include "base/limits.h"
#include "sim/disk.h"
#include "store/journal.h"
#include "support/exec_inline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEDS = 150, LIVES = 12, SEGMENT = 64 * 1024, APPENDED_MAX = 4096, MEDIA = 8192 };

struct appended {
	uint64_t sequence;
	uint32_t crc;
	bool acked, replayed;
};

struct world {
	uint64_t random;
	struct disk *disk;
	struct exec_inline *exec;
	struct journal *journal;
	struct appended appended[APPENDED_MAX];
	size_t count;
	uint64_t from; /* of the last replay */
	bool failed;
	unsigned recovered; /* records, in all */
};

static uint32_t draw(struct world *w, uint32_t below)
{
	/* splitmix64, by Sebastiano Vigna, in the public domain */
	uint64_t z = w->random += 0x9e3779b97f4a7c15ULL;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ z >> 31) % below);
}

static void random_bytes(void *arg, void *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)draw(arg, 256);
}

static void on_durable(void *arg, uint64_t sequence)
{
	struct world *w = arg;
	for (size_t i = w->count; i > 0 && !w->appended[i - 1].acked; i--)
		if (w->appended[i - 1].sequence <= sequence)
			w->appended[i - 1].acked = true;
	for (size_t i = 0; i < w->count; i++)
		if (w->appended[i].sequence <= sequence)
			w->appended[i].acked = true;
}

static void on_failed(void *arg, enum err err)
{
	((struct world *)arg)->failed = true;
}

static enum err on_checkpoint(void *arg, const struct record *record)
{
	((struct world *)arg)->from = record ? record->offset : 0;
	return ERR_OK;
}

static enum err on_record(void *arg, const struct record *record)
{
	struct world *w = arg;
	for (size_t i = 0; i < w->count; i++) {
		if (w->appended[i].sequence != record->sequence)
			continue;
		uint32_t crc = record->payload_count ? crc32c(0, record->payload->iov_base, record->payload_len) : 0;
		assert_int_equal(crc, w->appended[i].crc);
		w->appended[i].replayed = true;
		w->recovered++;
		return ERR_OK;
	}
	fail_msg("a record that nobody appended: %llu", (unsigned long long)record->sequence);
	return ERR_CORRUPT;
}

static void on_damaged(void *arg, uint64_t first, uint64_t next, const char *copy)
{
	fail_msg("damage is reported from %llu", (unsigned long long)first);
}

/* Whether the journal came up; if the disk did not die meanwhile, it must. */
static bool start(struct world *w)
{
	struct journal_config config = {
		.vfs = disk_vfs(w->disk),
		.size_bytes = 5 * SEGMENT,
		.segment_bytes = SEGMENT,
		.io = draw(w, 2) ? JOURNAL_IO_AUTO : JOURNAL_IO_BUFFERED,
		.random = random_bytes,
		.random_arg = w,
		.durable = on_durable,
		.failed = on_failed,
		.arg = w,
	};
	struct replay replay = { .checkpoint = on_checkpoint, .record = on_record, .damaged = on_damaged, .arg = w };
	w->exec = exec_inline_new();
	config.exec = exec_inline_exec(w->exec);
	w->failed = false;
	enum err err = journal_open(&config, &w->journal);
	for (size_t i = 0; i < w->count; i++)
		w->appended[i].replayed = false;
	if (err == ERR_OK)
		err = journal_replay(w->journal, &replay, false);
	if (err == ERR_OK)
		for (size_t i = 0; i < w->count; i++)
			if (w->appended[i].acked && w->appended[i].sequence >= w->from)
				assert_true(w->appended[i].replayed);
	if (err == ERR_OK)
		err = journal_start(w->journal, NULL, 0);
	assert_true(err == ERR_OK || disk_dead(w->disk));
	if (err == ERR_OK) /* all that was replayed stands elsewhere now; only this run is on trial */
		w->count = 0;
	return err == ERR_OK;
}

static void append(struct world *w)
{
	static uint8_t media[MEDIA * 2];
	uint32_t at = draw(w, MEDIA), len = draw(w, 4) ? draw(w, 500) : draw(w, MEDIA);
	for (uint32_t i = 0; i < 16; i++)
		media[draw(w, sizeof media)] = (uint8_t)draw(w, 256);
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, media + at, len);
	struct iovec piece = { copy, len };
	struct record record = {
		.type = RECORD_APPEND, .payload = &piece, .payload_count = 1, .payload_len = len, .owned = copy
	};
	struct position position = journal_append(w->journal, &record);
	assert_true(w->count < APPENDED_MAX);
	w->appended[w->count++] = (struct appended){ position.sequence, len ? crc32c(0, copy, len) : 0, false, false };
}

static void work(struct world *w)
{
	for (uint32_t steps = draw(w, 300); steps > 0 && !disk_dead(w->disk); steps--) {
		uint32_t what = draw(w, 20);
		struct journal_status status;
		journal_status(w->journal, &status);
		if (what < 10 && !journal_full(w->journal))
			append(w);
		else if (what == 10 || (what < 13 && journal_wants_checkpoint(w->journal)))
			journal_checkpoint(w->journal,
					   draw(w, 2)
						   ? status.next_sequence
						   : status.durable_sequence - draw(w, 2) * (status.durable_sequence >
											     status.replay_from),
					   NULL, 0);
		else if (what < 15)
			exec_inline_turn_lane(w->exec, LANE_CHECKPOINT);
		else
			journal_kick(w->journal);
		if (draw(w, 2))
			exec_inline_turn_lane(w->exec, LANE_COMMIT);
	}
}

static void stop(struct world *w)
{
	if (w->journal) {
		journal_quiet(w->journal);
		exec_inline_drain(w->exec);
	}
	journal_close(w->journal);
	exec_inline_free(w->exec);
	w->journal = NULL;
	w->exec = NULL;
}

static void every_crash_keeps_what_was_durable(void **state)
{
	unsigned recovered = 0;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *w = calloc(1, sizeof *w);
		w->random = seed;
		assert_int_equal(disk_new(seed, &w->disk), ERR_OK);
		for (int life = 0; life < LIVES; life++) {
			disk_die_after(w->disk, 1 + draw(w, draw(w, 3) ? 40 : 400));
			if (start(w))
				work(w);
			if (!disk_dead(w->disk)) /* in the middle of whatever it is at */
				disk_die_after(w->disk, 1);
			stop(w);
			if (draw(w, 3) == 0)
				disk_kill(w->disk);
			else
				disk_power_cut(w->disk, (enum disk_loss)draw(w, DISK_LOSSES));
			disk_die_after(w->disk, 0);
		}
		assert_true(start(w));
		stop(w);
		recovered += w->recovered;
		vfs_free(disk_vfs(w->disk));
		free(w);
	}
	print_message("%u records recovered\n", recovered);
	assert_true(recovered > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_crash_keeps_what_was_durable),
	};
	return cmocka_run_group_tests_name("journal_crash", tests, NULL, NULL);
}
