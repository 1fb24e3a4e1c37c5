/* What the parts of src/store do on a disk whose failed syncs lie: the page cache keeps what the disk lacks. */
#include "disk.h"
#include "store/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TRIES = 100 };

static enum err start(struct catalog *c, unsigned number)
{
	char session[32];
	snprintf(session, sizeof session, "session-%u", number);
	struct recording_info info = { .principal = (char *)(uintptr_t) "local",
				       .session_id = session,
				       .created_ms = 1 };
	struct recording_info row = { 0 };
	bool inserted;
	memcpy(info.id.bytes, &number, sizeof number);
	enum err err = c->ops->begin(c);
	if (err == ERR_OK)
		err = c->ops->start(c, &info, &inserted, &row);
	recording_info_release(&row);
	if (err == ERR_OK)
		return c->ops->commit(c);
	c->ops->rollback(c);
	return err;
}

static bool is_there(struct catalog *c, unsigned number)
{
	struct uuid id = { { 0 } };
	struct recording_info row;
	memcpy(id.bytes, &number, sizeof number);
	enum err err = c->ops->get(c, &id, &row);
	recording_info_release(&row);
	return err == ERR_OK;
}

/* A commit whose sync failed leaves frames that seem committed; what is committed behind them later must not depend on
 * them. */
static void commits_behind_a_failed_sync_stay(void **state)
{
	for (uint64_t seed = 0; seed < TRIES; seed++) {
		struct disk *disk;
		struct catalog *c;
		assert_int_equal(disk_new(seed, &disk), ERR_OK);
		assert_int_equal(catalog_sqlite_open(disk_vfs(disk), false, &c), ERR_OK);
		assert_int_equal(start(c, 1), ERR_OK);
		disk_fail(disk,
			  &(struct disk_fault){
				  .call = DISK_SYNC, .prefix = "catalog.db-wal", .times = 1, .err = ERR_SYNC_FAILED });
		assert_int_equal(start(c, 2), ERR_SYNC_FAILED);
		disk_die_after(disk, 1); /* nothing of this process reaches the disk any more */
		catalog_close(c);
		disk_kill(disk);
		assert_int_equal(catalog_sqlite_open(disk_vfs(disk), false, &c), ERR_OK);
		assert_true(is_there(c, 1));
		assert_int_equal(start(c, 3), ERR_OK);
		disk_die_after(disk, 1);
		catalog_close(c);
		disk_power_cut(disk, DISK_LOSS_ALL);
		assert_int_equal(catalog_sqlite_open(disk_vfs(disk), false, &c), ERR_OK);
		assert_true(is_there(c, 1));
		assert_true(is_there(c, 3));
		catalog_close(c);
		vfs_free(disk_vfs(disk));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commits_behind_a_failed_sync_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
