/* The SQLite catalog on a disk that dies at every call in turn, and then loses what was not synced: what a commit
 * acknowledged is there after the next start, and that start works. */
#include "sim/disk.h"
#include "store/catalog.h"
#include "support/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TAKES = 40, BATCH = 4 };

static struct uuid id_of(unsigned n)
{
	const uint8_t random[10] = { (uint8_t)(n >> 8), (uint8_t)n };
	return uuid_v7(1700000000000 + n, random);
}

static enum err start(struct catalog *c, unsigned n)
{
	char session[32];
	snprintf(session, sizeof session, "session-%u", n);
	struct recording_info info = { .id = id_of(n), .principal = strdup("local"), .session_id = strdup(session) },
			      row;
	assert_non_null(recording_info_add_track(&info, "main"));
	bool inserted;
	enum err err = c->ops->start(c, &info, &inserted, &row);
	recording_info_release(&row);
	recording_info_release(&info);
	return err;
}

/* Starts a batch in one transaction. */
static enum err start_batch(struct catalog *c, unsigned from)
{
	enum err err = c->ops->begin(c);
	if (err != ERR_OK)
		return err;
	for (unsigned n = from; err == ERR_OK && n < from + BATCH; n++)
		err = start(c, n);
	if (err == ERR_OK)
		return c->ops->commit(c);
	c->ops->rollback(c);
	return err;
}

static bool exists(struct catalog *c, unsigned n)
{
	struct uuid id = id_of(n);
	struct recording_info row;
	enum err err = c->ops->get(c, &id, &row);
	assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
	if (err == ERR_OK)
		assert_int_equal(row.track_count, 1);
	recording_info_release(&row);
	return err == ERR_OK;
}

/* A batch stands as a whole or not at all, and the acked ones stand. */
static void check(struct catalog *c, const bool *acked)
{
	for (unsigned n = 0; n < TAKES; n += BATCH) {
		bool first = exists(c, n);
		assert_true(first || !acked[n / BATCH]);
		for (unsigned i = 1; i < BATCH; i++)
			assert_int_equal(exists(c, n + i), first);
	}
	assert_int_equal(start_batch(c, 1000), ERR_OK);
}

/* One life that ends at the calls'th change, and the next one. False when the first outlived all its calls. */
static bool live_and_die(enum disk_loss loss, unsigned calls)
{
	struct disk *disk;
	struct catalog *c;
	bool acked[TAKES / BATCH] = { false };
	assert_int_equal(disk_new(1000 * calls + loss, &disk), ERR_OK);
	catalog_sqlite_seed(calls);
	disk_die_after(disk, calls);
	if (catalog_sqlite_open(disk_vfs(disk), false, &c) == ERR_OK) {
		for (unsigned n = 0; n < TAKES; n += BATCH)
			acked[n / BATCH] = start_batch(c, n) == ERR_OK;
		catalog_close(c);
	}
	bool dead = disk_dead(disk);
	disk_power_cut(disk, loss);
	enum err err = catalog_sqlite_open(disk_vfs(disk), false, &c);
	if (err != ERR_OK)
		fail_msg("loss %d after %u calls: %s", loss, calls, err_code(err));
	check(c, acked);
	catalog_close(c);
	disk_free(disk);
	return dead;
}

/* A job's way, a transaction a step: what each of them leads to. */
static const enum phase steps[] = {
	PHASE_UPLOADING, PHASE_QUEUED,	   PHASE_PROCESSING,	       PHASE_GENERATING_THUMBNAIL,
	PHASE_QUEUED,	 PHASE_PROCESSING, PHASE_GENERATING_THUMBNAIL, PHASE_COMPLETE
};
enum { STEPS = sizeof steps / sizeof *steps };

struct walk {
	struct catalog *c;
	struct job_key key;
};

static enum err place(void *arg)
{
	return ERR_OK;
}

static enum err run_step(struct walk *w, unsigned step)
{
	const struct media_info media = { .bytes = 5, .ext = "webm" };
	struct track_info track = { .sealed = true, .sealed_by = SEALED_BY_END, .total = BYTES_UNKNOWN };
	struct catalog_seal seal = {
		.id = id_of(0), .by = SEALED_BY_END, .revision = 1, .tracks = &track, .track_count = 1, .now_ms = 1
	};
	const struct catalog_ops *ops = w->c->ops;
	enum catalog_outcome outcome;
	struct recording_info row = { 0 };
	struct job_info job = { 0 };
	int64_t now_ms = 10000 * (int64_t)step;
	enum err err;
	if (step == 0)
		err = start(w->c, 0);
	else if (step == 1)
		err = ops->claim(w->c, &seal, &outcome, &row);
	else if (step == 4)
		err = ops->job_fail(w->c, &w->key, ERR_WORKER_DIED, "why", now_ms, &job, &row);
	else if (step == STEPS - 1)
		err = ops->job_done(w->c, &w->key, &media, NULL, now_ms, &row);
	else if (steps[step] == PHASE_PROCESSING)
		err = ops->job_claim(w->c, JOB_FINALIZE, now_ms, now_ms + 1, &job, &row);
	else
		err = ops->job_publish(w->c, &w->key, &media, NULL, now_ms, place, NULL, &row);
	if (err == ERR_OK && steps[step] == PHASE_PROCESSING)
		w->key = (struct job_key){ job.id, job.epoch };
	job_info_release(&job);
	recording_info_release(&row);
	return err;
}

static enum err take_step(struct walk *w, unsigned step)
{
	enum err err = w->c->ops->begin(w->c);
	if (err != ERR_OK)
		return err;
	err = run_step(w, step);
	if (err == ERR_OK)
		return w->c->ops->commit(w->c);
	w->c->ops->rollback(w->c);
	return err;
}

/* Phase, job and events are those of the same step: one that was acked, or the one behind it. */
static void check_step(struct catalog *c, unsigned acked)
{
	static const enum job_state jobs[STEPS] = { JOB_QUEUED, JOB_QUEUED,  JOB_RUNNING, JOB_RUNNING,
						    JOB_QUEUED, JOB_RUNNING, JOB_RUNNING, JOB_DONE };
	struct uuid id = id_of(0);
	struct recording_info row;
	unsigned events, notifies[JOB_STATE_COUNT];
	enum err err = c->ops->get(c, &id, &row);
	if (err == ERR_NOT_FOUND && acked == 0)
		return;
	assert_int_equal(err, ERR_OK);
	assert_int_equal(c->ops->event_count(c, &id, &events), ERR_OK);
	assert_true(events + 1 == acked || events == acked); /* of as many steps, and the start has none */
	assert_int_equal(row.phase, steps[events]);
	assert_int_equal(row.job.id != 0, events > 0);
	assert_int_equal(row.job.state, jobs[events]);
	assert_int_equal(row.media.revision, events >= 3);
	assert_int_equal(c->ops->job_tally(c, JOB_NOTIFY, notifies), ERR_OK);
	assert_int_equal(notifies[JOB_QUEUED], events > 0);
	recording_info_release(&row);
}

static bool work_and_die(enum disk_loss loss, unsigned calls)
{
	struct disk *disk;
	struct walk w = { 0 };
	unsigned acked = 0;
	assert_int_equal(disk_new(1000 * calls + loss, &disk), ERR_OK);
	catalog_sqlite_seed(calls);
	disk_die_after(disk, calls);
	if (catalog_sqlite_open(disk_vfs(disk), false, &w.c) == ERR_OK) {
		w.c->webhooks = true;
		while (acked < STEPS && take_step(&w, acked) == ERR_OK)
			acked++;
		catalog_close(w.c);
	}
	bool dead = disk_dead(disk);
	disk_power_cut(disk, loss);
	assert_int_equal(catalog_sqlite_open(disk_vfs(disk), false, &w.c), ERR_OK);
	check_step(w.c, acked);
	catalog_close(w.c);
	disk_free(disk);
	return dead;
}

static void no_crash_parts_a_job_from_its_phase(void **state)
{
	for (int loss = 0; loss < DISK_LOSSES; loss++) {
		unsigned calls = 1;
		while (work_and_die((enum disk_loss)loss, calls))
			calls += share();
		assert_true(calls > 30);
	}
}

static void no_crash_loses_what_was_committed(void **state)
{
	for (int loss = 0; loss < DISK_LOSSES; loss++) {
		unsigned calls = 1;
		while (live_and_die((enum disk_loss)loss, calls))
			calls += share();
		assert_true(calls > 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_crash_loses_what_was_committed),
		cmocka_unit_test(no_crash_parts_a_job_from_its_phase),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
