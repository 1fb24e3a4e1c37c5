/* The simulated disk loses what it may and nothing else. What every vfs must do is asked by the contract suite. */
#include "disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TRIES = 200 };

static struct vfs_file *must_open(struct disk *disk, const char *path)
{
	struct vfs_file *file = NULL;
	assert_int_equal(vfs_open(disk_vfs(disk), path, VFS_READ | VFS_WRITE | VFS_CREATE, &file), ERR_OK);
	return file;
}

static struct disk *disk_with(uint64_t seed)
{
	struct disk *disk;
	assert_int_equal(disk_new(seed, &disk), ERR_OK);
	return disk;
}

static void fill(struct disk *disk, const char *path, char c, size_t len, bool sync)
{
	char data[8192];
	memset(data, c, sizeof data);
	struct vfs_file *file = must_open(disk, path);
	assert_int_equal(vfs_file_write(file, data, len, 0), ERR_OK);
	if (sync)
		assert_int_equal(vfs_file_sync(file), ERR_OK);
	vfs_file_close(file);
}

/* The byte at `off`, or -1 behind the end, or -2 without the file. */
static int byte_at(struct disk *disk, const char *path, uint64_t off)
{
	struct vfs_file *file;
	char c = 0;
	size_t n = 0;
	if (vfs_open(disk_vfs(disk), path, VFS_READ, &file) != ERR_OK)
		return -2;
	vfs_file_read(file, &c, 1, off, &n);
	vfs_file_close(file);
	return n ? c : -1;
}

static void synced_stays(void **state)
{
	for (uint64_t seed = 0; seed < TRIES; seed++) {
		struct disk *disk = disk_with(seed);
		fill(disk, "a", 'x', 8192, true);
		assert_int_equal(vfs_sync_dir(disk_vfs(disk), ""), ERR_OK);
		disk_power_cut(disk, (enum disk_loss)(seed % DISK_LOSSES));
		for (uint64_t off = 0; off < 8192; off += 511)
			assert_int_equal(byte_at(disk, "a", off), 'x');
		assert_int_equal(byte_at(disk, "a", 8192), -1);
		vfs_free(disk_vfs(disk));
	}
}

/* A file's own sync does not keep its name. */
static void names_need_their_directory(void **state)
{
	unsigned lost = 0;
	for (uint64_t seed = 0; seed < TRIES; seed++) {
		struct disk *disk = disk_with(seed);
		fill(disk, "a", 'x', 100, true);
		disk_power_cut(disk, DISK_LOSS_MIX);
		lost += byte_at(disk, "a", 0) == -2;
		vfs_free(disk_vfs(disk));
	}
	assert_in_range(lost, TRIES / 4, TRIES * 3 / 4);
}

/* A rename happens or it does not; what was there is never lost with it. */
static void renames_are_whole(void **state)
{
	unsigned old = 0, fresh = 0;
	for (uint64_t seed = 0; seed < TRIES; seed++) {
		struct disk *disk = disk_with(seed);
		fill(disk, "to", 'o', 100, true);
		assert_int_equal(vfs_sync_dir(disk_vfs(disk), ""), ERR_OK);
		fill(disk, "from", 'n', 100, true);
		assert_int_equal(vfs_rename(disk_vfs(disk), "from", "to"), ERR_OK);
		disk_power_cut(disk, DISK_LOSS_MIX);
		int c = byte_at(disk, "to", 99);
		assert_true(c == 'o' || c == 'n');
		old += c == 'o';
		fresh += c == 'n';
		vfs_free(disk_vfs(disk));
	}
	assert_true(old > 20 && fresh > 20);
}

/* Sectors meet their fate one by one, and torn ones are seen. */
static void unsynced_may_go(void **state)
{
	unsigned kept = 0, dropped = 0, torn = 0;
	for (uint64_t seed = 0; seed < TRIES; seed++) {
		struct disk *disk = disk_with(seed);
		fill(disk, "a", 'o', 4096, true);
		assert_int_equal(vfs_sync_dir(disk_vfs(disk), ""), ERR_OK);
		fill(disk, "a", 'n', 4096, false);
		disk_power_cut(disk, DISK_LOSS_TEAR);
		for (uint64_t at = 0; at < 4096; at += 512) {
			int first = byte_at(disk, "a", at), last = byte_at(disk, "a", at + 511);
			kept += first == 'n' && last == 'n';
			dropped += first == 'o' && last == 'o';
			torn += first != last;
		}
		vfs_free(disk_vfs(disk));
	}
	assert_true(kept > 500 && dropped > 300 && torn > 50);
}

static void a_kill_loses_nothing(void **state)
{
	struct disk *disk = disk_with(1);
	fill(disk, "a", 'x', 5000, false);
	disk_kill(disk);
	assert_int_equal(byte_at(disk, "a", 4999), 'x');
	disk_power_cut(disk, DISK_LOSS_ALL);
	assert_int_equal(byte_at(disk, "a", 0), -2);
	vfs_free(disk_vfs(disk));
}

/* A truncation that nobody synced may be undone, whole; never half. */
static void truncations_are_pending(void **state)
{
	unsigned undone = 0, done = 0;
	for (uint64_t seed = 0; seed < TRIES; seed++) {
		struct disk *disk = disk_with(seed);
		fill(disk, "a", 'x', 8192, true);
		assert_int_equal(vfs_sync_dir(disk_vfs(disk), ""), ERR_OK);
		struct vfs_file *file = must_open(disk, "a");
		assert_int_equal(vfs_file_truncate(file, 512), ERR_OK);
		disk_power_cut(disk, DISK_LOSS_MIX);
		bool whole = byte_at(disk, "a", 8191) == 'x';
		for (uint64_t off = 512; off < 8192; off += 512)
			assert_int_equal(byte_at(disk, "a", off), whole ? 'x' : -1);
		assert_int_equal(byte_at(disk, "a", 511), 'x');
		undone += whole;
		done += !whole;
		vfs_free(disk_vfs(disk));
	}
	assert_true(undone > 50 && done > 50);
}

/* After a failed sync the pages are clean: a second open and sync says yes and keeps nothing. */
static void a_failed_sync_forgets(void **state)
{
	unsigned lost = 0;
	for (uint64_t seed = 0; seed < TRIES; seed++) {
		struct disk *disk = disk_with(seed);
		fill(disk, "a", 'o', 512, true);
		assert_int_equal(vfs_sync_dir(disk_vfs(disk), ""), ERR_OK);
		disk_fail(disk, &(struct disk_fault){ .call = DISK_SYNC, .times = 1, .err = ERR_SYNC_FAILED });
		struct vfs_file *file = must_open(disk, "a");
		assert_int_equal(vfs_file_write(file, "nnnn", 4, 0), ERR_OK);
		assert_int_equal(vfs_file_sync(file), ERR_SYNC_FAILED);
		assert_int_equal(vfs_file_sync(file), ERR_SYNC_FAILED);
		vfs_file_close(file);
		assert_int_equal(byte_at(disk, "a", 0), 'n');
		file = must_open(disk, "a");
		assert_int_equal(vfs_file_sync(file), ERR_OK);
		disk_power_cut(disk, DISK_LOSS_NONE);
		lost += byte_at(disk, "a", 0) == 'o';
		vfs_free(disk_vfs(disk));
	}
	assert_true(lost > TRIES / 2);
}

/* The process dies inside of the third change: that one and all behind it fail. */
static void it_dies_when_told(void **state)
{
	struct disk *disk = disk_with(3);
	struct vfs_file *file = must_open(disk, "a");
	disk_die_after(disk, 2);
	assert_int_equal(vfs_file_write(file, "1", 1, 0), ERR_OK);
	assert_int_equal(vfs_file_write(file, "2", 1, 1), ERR_WRITE_FAILED);
	assert_true(disk_dead(disk));
	assert_int_equal(vfs_file_write(file, "3", 1, 2), ERR_WRITE_FAILED);
	disk_kill(disk);
	assert_int_equal(byte_at(disk, "a", 0), '1');
	assert_int_equal(byte_at(disk, "a", 2), -1);
	vfs_free(disk_vfs(disk));
}

static void space_is_counted(void **state)
{
	struct disk *disk = disk_with(4);
	char data[4096] = { 1 };
	disk_set_capacity(disk, 5 * 4096);
	struct vfs_file *file = must_open(disk, "a");
	assert_int_equal(vfs_file_reserve(file, 0, 3 * 4096), ERR_OK);
	struct vfs_file *other = must_open(disk, "b");
	assert_int_equal(vfs_file_write(other, data, 4096, 0), ERR_OK);
	assert_int_equal(vfs_file_write(other, data, 4096, 4096), ERR_OK);
	assert_int_equal(vfs_file_write(other, data, 4096, 8192), ERR_STORAGE_FULL);
	assert_int_equal(vfs_file_write(file, data, 4096, 8192), ERR_OK);
	vfs_file_close(other);
	assert_int_equal(vfs_unlink(disk_vfs(disk), "b"), ERR_OK);
	assert_int_equal(vfs_sync_dir(disk_vfs(disk), ""), ERR_OK);
	assert_int_equal(disk_used(disk), 3 * 4096);
	assert_int_equal(vfs_file_truncate(file, 4096), ERR_OK);
	assert_int_equal(disk_used(disk), 4096);
	vfs_free(disk_vfs(disk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(synced_stays),		 cmocka_unit_test(names_need_their_directory),
		cmocka_unit_test(renames_are_whole),	 cmocka_unit_test(unsynced_may_go),
		cmocka_unit_test(a_kill_loses_nothing),	 cmocka_unit_test(truncations_are_pending),
		cmocka_unit_test(a_failed_sync_forgets), cmocka_unit_test(it_dies_when_told),
		cmocka_unit_test(space_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
