/* The SQLite catalog on a disk that dies at every call in turn, and then loses what was not synced: what a commit
 * acknowledged is there after the next start, and that start works. */
#include "sim/disk.h"
#include "store/catalog.h"

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

static void no_crash_loses_what_was_committed(void **state)
{
	for (int loss = 0; loss < DISK_LOSSES; loss++) {
		unsigned calls = 1;
		while (live_and_die((enum disk_loss)loss, calls))
			calls++;
		assert_true(calls > 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_crash_loses_what_was_committed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
