/* The journal on real lanes and real files: commits go on while segments are filled behind, and everything that was
 * told durable is there. Its use is greatest under the thread sanitizer. */
#include "base/limits.h"
#include "store/journal.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEGMENT = 256 * 1024, RECORDS = 3000, RECORD_BYTES = 2000 };

struct world {
	char dir[64];
	struct vfs *vfs;
	struct exec_threads *threads;
	struct journal *journal;
	pthread_mutex_t mutex;
	pthread_cond_t woken;
	bool awake;
	uint64_t durable, replayed, next;
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void wake(void *arg)
{
	struct world *w = arg;
	pthread_mutex_lock(&w->mutex);
	w->awake = true;
	pthread_cond_signal(&w->woken);
	pthread_mutex_unlock(&w->mutex);
}

static void wait_and_turn(struct world *w)
{
	pthread_mutex_lock(&w->mutex);
	while (!w->awake)
		pthread_cond_wait(&w->woken, &w->mutex);
	w->awake = false;
	pthread_mutex_unlock(&w->mutex);
	exec_threads_turn(w->threads);
}

static void random_bytes(void *arg, void *out, size_t len)
{
	memset(out, 0x5a, len);
}

static void on_durable(void *arg, uint64_t sequence)
{
	struct world *w = arg;
	assert_true(sequence > w->durable);
	w->durable = sequence;
	journal_kick(w->journal); /* self-clocking */
}

static void on_failed(void *arg, enum err err)
{
	fail_msg("failed: %s", err_code(err));
}

static enum err on_record(void *arg, const struct record *record)
{
	struct world *w = arg;
	const uint8_t *data = record->payload[0].iov_base;
	assert_int_equal(record->payload_len, RECORD_BYTES);
	for (uint32_t i = 0; i < record->payload_len; i++)
		assert_int_equal(data[i], (uint8_t)record->sequence);
	assert_true(record->sequence >= w->next); /* checkpoints are left out */
	w->next = record->sequence + 1;
	w->replayed++;
	return ERR_OK;
}

static void on_damaged(void *arg, uint64_t first, uint64_t next, const char *copy)
{
	fail_msg("damaged from %llu", (unsigned long long)first);
}

static void begin(struct world *w)
{
	struct journal_config config = {
		.vfs = w->vfs,
		.size_bytes = 32 * SEGMENT,
		.segment_bytes = SEGMENT,
		.random = random_bytes,
		.durable = on_durable,
		.failed = on_failed,
		.arg = w,
	};
	struct replay replay = { .record = on_record, .damaged = on_damaged, .arg = w };
	assert_int_equal(exec_threads_new(wake, w, &w->threads), ERR_OK);
	config.exec = exec_threads_exec(w->threads);
	assert_int_equal(journal_open(&config, &w->journal), ERR_OK);
	w->replayed = w->next = 0;
	assert_int_equal(journal_replay(w->journal, &replay, false), ERR_OK);
	assert_int_equal(journal_start(w->journal, NULL, 0), ERR_OK);
	w->durable = journal_durable(w->journal);
}

static void end(struct world *w)
{
	journal_quiet(w->journal);
	exec_threads_drain(w->threads);
	journal_close(w->journal);
	exec_threads_free(w->threads);
}

static void commits_go_on_beside_filling(void **state)
{
	static uint8_t media[256][RECORD_BYTES];
	struct world w = { .mutex = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER };
	for (int i = 0; i < 256; i++)
		memset(media[i], i, RECORD_BYTES);
	snprintf(w.dir, sizeof w.dir, "/tmp/journal-test-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	assert_int_equal(vfs_posix_open(w.dir, &w.vfs), ERR_OK);
	begin(&w);
	struct journal_status status;
	uint64_t last = 0;
	for (int i = 0; i < RECORDS; i++) {
		journal_status(w.journal, &status);
		struct iovec piece = { media[status.next_sequence % 256], RECORD_BYTES };
		struct record record = {
			.type = RECORD_APPEND, .payload = &piece, .payload_count = 1, .payload_len = RECORD_BYTES
		};
		last = journal_append(w.journal, &record).sequence;
		if (journal_wants_checkpoint(w.journal))
			journal_checkpoint(w.journal, w.durable + 1, NULL, 0);
		journal_kick(w.journal);
		while (journal_full(w.journal) && journal_busy(w.journal))
			wait_and_turn(&w);
	}
	while (w.durable < last)
		wait_and_turn(&w);
	journal_status(w.journal, &status);
	assert_true(status.batches > 10);
	uint64_t from = status.replay_from;
	end(&w);
	begin(&w);
	assert_true(w.replayed > 0);
	assert_true(w.next == last + 1 || from > last);
	end(&w);
	vfs_free(w.vfs);
	nftw(w.dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commits_go_on_beside_filling),
	};
	return cmocka_run_group_tests_name("journal_threads", tests, NULL, NULL);
}
