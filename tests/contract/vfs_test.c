/* The file seam's contract, run on every implementation: what callers rely on, whatever is below. What only the real
 * one can do (links, locks, open descriptors) is tested in tests/unit/vfs_posix_test.c. */
#include "base/limits.h"
#include "sim/disk.h"
#include "store/vfs.h"
#include "support/vfs_fault.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	char dir[64];
	struct vfs *vfs, *below;
};

/* The implementations: a line each. `close` is called with the vfs already freed. */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void open_posix(struct fixture *f)
{
	snprintf(f->dir, sizeof f->dir, "/tmp/vfs-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(vfs_posix_open(f->dir, &f->vfs), ERR_OK);
}

static void close_posix(struct fixture *f)
{
	nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* The layer of the tests must not change what it does not fail. */
static void open_fault(struct fixture *f)
{
	open_posix(f);
	f->below = f->vfs;
	f->vfs = vfs_fault_new(f->below);
}

static void close_fault(struct fixture *f)
{
	vfs_free(f->below);
	close_posix(f);
}

static void open_simulated(struct fixture *f)
{
	struct disk *disk;
	assert_int_equal(disk_new(1, &disk), ERR_OK);
	f->vfs = disk_vfs(disk);
}

static void close_simulated(struct fixture *f)
{
	/* the disk ended with its vfs */
}

static const struct {
	const char *name;
	void (*open)(struct fixture *f);
	void (*close)(struct fixture *f);
} implementations[] = {
	{ "posix", open_posix, close_posix },
	{ "fault", open_fault, close_fault },
	{ "simulated", open_simulated, close_simulated },
};

static size_t current; /* of implementations */

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	implementations[current].open(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	vfs_free(f->vfs);
	implementations[current].close(f);
	free(f);
	return 0;
}

static struct vfs *vfs_of(void **state)
{
	return ((struct fixture *)*state)->vfs;
}

enum { RW = VFS_READ | VFS_WRITE, NEW = RW | VFS_CREATE };

static struct vfs_file *open_file(struct vfs *vfs, const char *path, unsigned flags)
{
	struct vfs_file *file;
	assert_int_equal(vfs_open(vfs, path, flags, &file), ERR_OK);
	assert_non_null(file);
	return file;
}

static void check_content(struct vfs *vfs, const char *path, const void *data, size_t len)
{
	char *got;
	size_t got_len;
	assert_int_equal(vfs_read_all(vfs, path, 100 * MIB, &got, &got_len), ERR_OK);
	assert_int_equal(got_len, len);
	assert_memory_equal(got, data, len);
	assert_int_equal(got[got_len], '\0');
	free(got);
}

/* opening */

static void open_makes_finds_and_refuses(void **state)
{
	struct vfs *vfs = vfs_of(state);
	struct vfs_file *file = (struct vfs_file *)1;
	assert_int_equal(vfs_open(vfs, "a", RW, &file), ERR_NOT_FOUND);
	assert_null(file);
	assert_int_equal(vfs_open(vfs, "no/a", NEW, &file), ERR_NOT_FOUND);
	vfs_file_close(open_file(vfs, "a", NEW | VFS_EXCLUSIVE));
	assert_int_equal(vfs_open(vfs, "a", NEW | VFS_EXCLUSIVE, &file), ERR_EXISTS);
	file = open_file(vfs, "a", NEW);
	assert_int_equal(vfs_file_write(file, "text", 4, 0), ERR_OK);
	vfs_file_close(file);
	vfs_file_close(open_file(vfs, "a", NEW)); /* keeps what is in it */
	check_content(vfs, "a", "text", 4);
	vfs_file_close(open_file(vfs, "a", NEW | VFS_TRUNCATE));
	check_content(vfs, "a", "", 0);
	vfs_file_close(NULL);
}

static void a_file_open_only_for_reading_is_not_written(void **state)
{
	struct vfs *vfs = vfs_of(state);
	vfs_file_close(open_file(vfs, "a", NEW));
	struct vfs_file *file = open_file(vfs, "a", VFS_READ);
	assert_int_equal(vfs_file_write(file, "x", 1, 0), ERR_WRITE_FAILED);
	vfs_file_close(file);
	check_content(vfs, "a", "", 0);
}

/* reading and writing */

static void reads_end_at_the_end(void **state)
{
	struct vfs_file *file = open_file(vfs_of(state), "a", NEW);
	char data[20];
	size_t got = 7;
	assert_int_equal(vfs_file_read(file, data, 10, 0, &got), ERR_OK);
	assert_int_equal(got, 0);
	assert_int_equal(vfs_file_write(file, "0123456789", 10, 0), ERR_OK);
	assert_int_equal(vfs_file_read(file, data, 20, 0, &got), ERR_OK);
	assert_int_equal(got, 10);
	assert_int_equal(vfs_file_read(file, data, 4, 3, &got), ERR_OK);
	assert_int_equal(got, 4);
	assert_memory_equal(data, "3456", 4);
	assert_int_equal(vfs_file_read(file, data, 20, 8, &got), ERR_OK);
	assert_int_equal(got, 2);
	assert_int_equal(vfs_file_read(file, data, 20, 10, &got), ERR_OK);
	assert_int_equal(got, 0);
	assert_int_equal(vfs_file_read(file, data, 20, 1 << 20, &got), ERR_OK);
	assert_int_equal(got, 0);
	assert_int_equal(vfs_file_read(file, NULL, 0, 0, &got), ERR_OK);
	vfs_file_close(file);
}

static void a_hole_reads_as_zeros(void **state)
{
	struct vfs *vfs = vfs_of(state);
	struct vfs_file *file = open_file(vfs, "a", NEW);
	static const char zeros[10000];
	char data[10000];
	size_t got;
	uint64_t size;
	assert_int_equal(vfs_file_write(file, "end", 3, 10000), ERR_OK);
	assert_int_equal(vfs_file_size(file, &size), ERR_OK);
	assert_int_equal(size, 10003);
	assert_int_equal(vfs_file_read(file, data, sizeof data, 0, &got), ERR_OK);
	assert_int_equal(got, sizeof data);
	assert_memory_equal(data, zeros, sizeof data);
	vfs_file_close(file);
}

/* More pieces than a system takes at once, of every length, empty ones too. */
static void many_pieces_are_written_in_order(void **state)
{
	struct vfs *vfs = vfs_of(state);
	struct vfs_file *file = open_file(vfs, "a", NEW);
	enum { PIECES = 3000, MOST = PIECES * 7 };
	static uint8_t data[MOST];
	static struct iovec pieces[PIECES];
	size_t len = 0;
	for (size_t i = 0; i < MOST; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	for (int i = 0; i < PIECES; i++) {
		pieces[i] = (struct iovec){ data + len, (size_t)i % 7 };
		len += (size_t)i % 7;
	}
	assert_int_equal(vfs_file_writev(file, pieces, PIECES, 0, false), ERR_OK);
	check_content(vfs, "a", data, len);
	assert_int_equal(vfs_file_writev(file, pieces, 0, 0, false), ERR_OK);
	assert_int_equal(vfs_file_writev(file, pieces, 1, 0, false), ERR_OK); /* empty */
	check_content(vfs, "a", data, len);
	vfs_file_close(file);
}

static void direct_and_buffered_writes_meet_in_one_file(void **state)
{
	struct vfs *vfs = vfs_of(state);
	struct vfs_file *file = open_file(vfs, "a", NEW | VFS_DIRECT);
	enum { BLOCKS = 64, BYTES = BLOCKS * 4096 };
	uint8_t *data = aligned_alloc(4096, BYTES), *model = calloc(1, BYTES + 100), *got = malloc(BYTES + 100);
	assert_true(data && model && got);
	for (unsigned n = 0; n < 200; n++) {
		memset(data, (int)n + 1, BYTES);
		unsigned at = n * 7 % BLOCKS, len = 1 + n * 13 % (BLOCKS - at);
		size_t off = at * 4096ULL, bytes = len * 4096ULL, read;
		if (n % 3 == 0) { /* no alignment of any kind */
			off += n;
			bytes -= n;
			assert_int_equal(vfs_file_write(file, data + 1, bytes, off), ERR_OK);
		} else {
			struct iovec pieces[2] = { { data, 4096 }, { data + 8192, bytes - 4096 } };
			if (bytes > BYTES - 8192)
				pieces[1].iov_base = data;
			assert_int_equal(vfs_file_writev(file, pieces, 2, off, true), ERR_OK);
		}
		memset(model + off, (int)n + 1, bytes);
		assert_int_equal(vfs_file_read(file, got + 1, bytes, off, &read), ERR_OK);
		assert_int_equal(read, bytes);
		assert_memory_equal(got + 1, model + off, bytes);
		if (n % 10 == 0)
			assert_int_equal(vfs_file_sync(file), ERR_OK);
	}
	uint64_t size;
	assert_int_equal(vfs_file_size(file, &size), ERR_OK);
	vfs_file_close(file);
	check_content(vfs, "a", model, (size_t)size);
	free(data);
	free(model);
	free(got);
}

static void truncating_cuts_and_extends(void **state)
{
	struct vfs *vfs = vfs_of(state);
	struct vfs_file *file = open_file(vfs, "a", NEW);
	assert_int_equal(vfs_file_write(file, "0123456789", 10, 0), ERR_OK);
	assert_int_equal(vfs_file_truncate(file, 4), ERR_OK);
	check_content(vfs, "a", "0123", 4);
	assert_int_equal(vfs_file_truncate(file, 6), ERR_OK);
	check_content(vfs, "a", "0123\0\0", 6);
	vfs_file_close(file);
}

static void reserving_changes_no_size(void **state)
{
	struct vfs *vfs = vfs_of(state);
	struct vfs_file *file = open_file(vfs, "a", NEW);
	uint64_t size;
	assert_int_equal(vfs_file_write(file, "text", 4, 0), ERR_OK);
	assert_int_equal(vfs_file_reserve(file, 4, 1 << 20), ERR_OK);
	assert_int_equal(vfs_file_reserve(file, 0, 0), ERR_OK);
	assert_int_equal(vfs_file_size(file, &size), ERR_OK);
	assert_int_equal(size, 4);
	check_content(vfs, "a", "text", 4);
	assert_int_equal(vfs_file_truncate(file, 4), ERR_OK);
	check_content(vfs, "a", "text", 4);
	vfs_file_close(file);
}

static void an_open_file_outlives_its_name(void **state)
{
	struct vfs *vfs = vfs_of(state);
	struct vfs_file *file = open_file(vfs, "a", NEW);
	char data[4];
	size_t got;
	assert_int_equal(vfs_file_write(file, "text", 4, 0), ERR_OK);
	assert_int_equal(vfs_unlink(vfs, "a"), ERR_OK);
	assert_int_equal(vfs_file_read(file, data, 4, 0, &got), ERR_OK);
	assert_memory_equal(data, "text", 4);
	vfs_file_close(file);
	assert_int_equal(vfs_open(vfs, "a", RW, &file), ERR_NOT_FOUND);
}

/* names */

static void folders_are_made_and_removed(void **state)
{
	struct vfs *vfs = vfs_of(state);
	assert_int_equal(vfs_mkdir(vfs, "d/e"), ERR_NOT_FOUND);
	assert_int_equal(vfs_mkdir(vfs, "d"), ERR_OK);
	assert_int_equal(vfs_mkdir(vfs, "d"), ERR_EXISTS);
	assert_int_equal(vfs_mkdir(vfs, "d/e"), ERR_OK);
	vfs_file_close(open_file(vfs, "d/e/f", NEW));
	assert_int_not_equal(vfs_rmdir(vfs, "d/e"), ERR_OK);
	assert_int_equal(vfs_sync_dir(vfs, "d/e"), ERR_OK);
	assert_int_equal(vfs_sync_dir(vfs, "d"), ERR_OK);
	assert_int_equal(vfs_sync_dir(vfs, ""), ERR_OK);
	assert_int_equal(vfs_sync_dir(vfs, "d/no"), ERR_NOT_FOUND);
	assert_int_equal(vfs_unlink(vfs, "d/e/f"), ERR_OK);
	assert_int_equal(vfs_unlink(vfs, "d/e/f"), ERR_NOT_FOUND);
	assert_int_equal(vfs_rmdir(vfs, "d/e"), ERR_OK);
	assert_int_equal(vfs_rmdir(vfs, "d/e"), ERR_NOT_FOUND);
	assert_int_equal(vfs_rmdir(vfs, "d"), ERR_OK);
}

static void renaming_replaces(void **state)
{
	struct vfs *vfs = vfs_of(state);
	assert_int_equal(vfs_mkdir(vfs, "d"), ERR_OK);
	assert_int_equal(vfs_rename(vfs, "a", "b"), ERR_NOT_FOUND);
	assert_int_equal(vfs_replace(vfs, "a", "one", 3), ERR_OK);
	assert_int_equal(vfs_replace(vfs, "d/b", "two", 3), ERR_OK);
	assert_int_equal(vfs_rename(vfs, "a", "d/b"), ERR_OK);
	check_content(vfs, "d/b", "one", 3);
	struct vfs_file *file;
	assert_int_equal(vfs_open(vfs, "a", RW, &file), ERR_NOT_FOUND);
	assert_int_equal(vfs_rename(vfs, "d/b", "no/b"), ERR_NOT_FOUND);
	assert_int_equal(vfs_rename(vfs, "d", "moved"), ERR_OK); /* with what is in it */
	check_content(vfs, "moved/b", "one", 3);
}

struct names {
	char names[16][16];
	unsigned count, stop_at;
};

static enum err note_name(void *arg, const char *name)
{
	struct names *n = arg;
	snprintf(n->names[n->count++], 16, "%s", name);
	return n->count == n->stop_at ? ERR_STORAGE_FULL : ERR_OK;
}

static void listing_names_each_entry_once(void **state)
{
	struct vfs *vfs = vfs_of(state);
	struct names found = { .count = 0 };
	assert_int_equal(vfs_list(vfs, "d", note_name, &found), ERR_NOT_FOUND);
	assert_int_equal(vfs_mkdir(vfs, "d"), ERR_OK);
	assert_int_equal(vfs_list(vfs, "d", note_name, &found), ERR_OK);
	assert_int_equal(found.count, 0);
	for (char path[] = "d/0"; path[2] < '8'; path[2]++)
		vfs_file_close(open_file(vfs, path, NEW));
	assert_int_equal(vfs_mkdir(vfs, "d/x"), ERR_OK);
	assert_int_equal(vfs_list(vfs, "d", note_name, &found), ERR_OK);
	assert_int_equal(found.count, 9);
	for (char name[] = "0"; name[0] < '8'; name[0]++) {
		unsigned times = 0;
		for (unsigned i = 0; i < found.count; i++)
			times += strcmp(found.names[i], name) == 0;
		assert_int_equal(times, 1);
	}
	struct names some = { .stop_at = 3 };
	assert_int_equal(vfs_list(vfs, "d", note_name, &some), ERR_STORAGE_FULL);
	assert_int_equal(some.count, 3);
}

static void space_is_told(void **state)
{
	struct vfs_space space = { 0 };
	assert_int_equal(vfs_space(vfs_of(state), &space), ERR_OK);
	assert_true(space.total_bytes > 0 && space.free_bytes <= space.total_bytes);
}

/* whole files */

static void read_all_has_a_limit(void **state)
{
	struct vfs *vfs = vfs_of(state);
	char *data = (char *)1;
	size_t len;
	assert_int_equal(vfs_read_all(vfs, "a", 10, &data, &len), ERR_NOT_FOUND);
	assert_null(data);
	assert_int_equal(vfs_replace(vfs, "a", "0123456789", 10), ERR_OK);
	assert_int_equal(vfs_read_all(vfs, "a", 9, &data, &len), ERR_CORRUPT);
	assert_null(data);
	assert_int_equal(vfs_read_all(vfs, "a", 10, &data, &len), ERR_OK);
	assert_int_equal(len, 10);
	free(data);
}

static void replace_leaves_nothing_behind(void **state)
{
	struct vfs *vfs = vfs_of(state);
	assert_int_equal(vfs_mkdir(vfs, "d"), ERR_OK);
	assert_int_equal(vfs_replace(vfs, "d/a", "the longer one", 14), ERR_OK);
	assert_int_equal(vfs_replace(vfs, "d/a", "short", 5), ERR_OK);
	check_content(vfs, "d/a", "short", 5);
	assert_int_equal(vfs_replace(vfs, "d/a", "", 0), ERR_OK);
	check_content(vfs, "d/a", "", 0);
	assert_int_equal(vfs_replace(vfs, "no/a", "x", 1), ERR_NOT_FOUND);
	struct names found = { .count = 0 };
	assert_int_equal(vfs_list(vfs, "d", note_name, &found), ERR_OK);
	assert_int_equal(found.count, 1);
}

/* The Nth call of a replacement fails: the file is the old one or the new one, whole, and an error says so. */
static void a_failed_replacement_keeps_a_whole_file(void **state)
{
	struct vfs *fault = vfs_fault_new(vfs_of(state));
	unsigned n = 0, failed = 0;
	do {
		assert_int_equal(vfs_replace(vfs_of(state), "a", "old", 3), ERR_OK);
		unsigned before = vfs_fault_failed(fault);
		vfs_fault_fail(fault, FAULT_ANY, ++n, ERR_WRITE_FAILED, false);
		enum err err = vfs_replace(fault, "a", "newer", 5);
		failed = vfs_fault_failed(fault) - before;
		assert_int_equal(err != ERR_OK, failed > 0);
		char *data;
		size_t len;
		assert_int_equal(vfs_read_all(vfs_of(state), "a", 100, &data, &len), ERR_OK);
		assert_true(strcmp(data, "old") == 0 || strcmp(data, "newer") == 0);
		if (!failed)
			assert_string_equal(data, "newer");
		free(data);
	} while (failed);
	assert_int_equal(n, 6); /* open, write, sync, rename, sync of the directory all failed once */
	vfs_free(fault);
}

/* syncs */

static void a_failed_sync_is_never_asked_again(void **state)
{
	struct vfs *fault = vfs_fault_new(vfs_of(state));
	struct vfs_file *file = open_file(fault, "a", NEW);
	struct vfs_file *other = open_file(fault, "b", NEW);
	assert_int_equal(vfs_file_write(file, "text", 4, 0), ERR_OK);
	assert_int_equal(vfs_file_sync(file), ERR_OK);
	/* whatever the system calls it, it is a failed sync */
	vfs_fault_fail(fault, FAULT_SYNC, 1, ERR_STORAGE_FULL, false);
	assert_int_equal(vfs_file_sync(file), ERR_SYNC_FAILED);
	unsigned asked = vfs_fault_count(fault, FAULT_SYNC);
	for (int i = 0; i < 5; i++)
		assert_int_equal(vfs_file_sync(file), ERR_SYNC_FAILED);
	assert_int_equal(vfs_fault_count(fault, FAULT_SYNC), asked);
	assert_int_equal(vfs_file_sync(other), ERR_OK); /* it is about this file only */
	vfs_file_close(file);
	vfs_file_close(other);
	vfs_free(fault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(open_makes_finds_and_refuses),
		TEST(a_file_open_only_for_reading_is_not_written),
		TEST(reads_end_at_the_end),
		TEST(a_hole_reads_as_zeros),
		TEST(many_pieces_are_written_in_order),
		TEST(direct_and_buffered_writes_meet_in_one_file),
		TEST(truncating_cuts_and_extends),
		TEST(reserving_changes_no_size),
		TEST(an_open_file_outlives_its_name),
		TEST(folders_are_made_and_removed),
		TEST(renaming_replaces),
		TEST(listing_names_each_entry_once),
		TEST(space_is_told),
		TEST(read_all_has_a_limit),
		TEST(replace_leaves_nothing_behind),
		TEST(a_failed_replacement_keeps_a_whole_file),
		TEST(a_failed_sync_is_never_asked_again),
	};
	int failed = 0;
	for (current = 0; current < sizeof implementations / sizeof *implementations; current++)
		failed += cmocka_run_group_tests_name(implementations[current].name, tests, NULL, NULL);
	return failed;
}
