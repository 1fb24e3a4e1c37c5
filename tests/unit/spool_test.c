/* Folders and files of takes on a real file system: made, listed, set aside, removed. */
#include "store/spool.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char dir[64];
	struct vfs *vfs;
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	snprintf(f->dir, sizeof f->dir, "%s/spool-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(vfs_posix_open(f->dir, &f->vfs), ERR_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	vfs_free(f->vfs);
	nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static bool is_there(struct fixture *f, const char *path)
{
	char full[200];
	snprintf(full, sizeof full, "%s/%s", f->dir, path);
	return access(full, F_OK) == 0;
}

static struct uuid id_of(uint8_t n)
{
	const uint8_t random[10] = { n };
	return uuid_v7(1700000000000 + n, random);
}

static void write_take(struct fixture *f, const struct uuid *id)
{
	struct vfs_file *file;
	for (uint16_t number = 0; number < 2; number++) {
		assert_int_equal(spool_open(f->vfs, id, number, &file), ERR_OK);
		assert_int_equal(vfs_file_write(file, "bytes", 5, 0), ERR_OK);
		assert_int_equal(spool_sync(f->vfs, id, file, true), ERR_OK);
		vfs_file_close(file);
	}
	struct recording_info info = { .id = *id, .principal = (char *)"local", .phase = PHASE_QUEUED };
	assert_int_equal(manifest_write(f->vfs, &info), ERR_OK);
}

static void paths_are_made_of_ids(void **state)
{
	struct uuid id = id_of(1);
	char path[SPOOL_PATH], text[UUID_TEXT], expected[100];
	uuid_format(&id, text);
	snprintf(expected, sizeof expected, "spool/%s", text);
	spool_dir_path(&id, path);
	assert_string_equal(path, expected);
	snprintf(expected, sizeof expected, "spool/%s/65535", text);
	spool_file_path(&id, 65535, path);
	assert_string_equal(path, expected);
	snprintf(expected, sizeof expected, "spool/%s/recording.json", text);
	spool_manifest_path(&id, path);
	assert_string_equal(path, expected);
}

static void a_spool_opened_again_holds_its_bytes(void **state)
{
	struct fixture *f = *state;
	struct uuid id = id_of(1);
	write_take(f, &id);
	struct vfs_file *file;
	char data[10];
	size_t len;
	assert_int_equal(spool_open(f->vfs, &id, 1, &file), ERR_OK);
	assert_int_equal(vfs_file_read(file, data, sizeof data, 0, &len), ERR_OK);
	assert_int_equal(len, 5);
	vfs_file_close(file);
}

static void a_manifest_of_another_take_is_corrupt(void **state)
{
	struct fixture *f = *state;
	struct uuid id = id_of(1), other = id_of(2);
	struct recording_info info;
	char from[SPOOL_PATH], to[SPOOL_PATH];
	assert_int_equal(manifest_read(f->vfs, &id, &info), ERR_NOT_FOUND);
	write_take(f, &id);
	write_take(f, &other);
	assert_int_equal(manifest_read(f->vfs, &id, &info), ERR_OK);
	assert_int_equal(info.phase, PHASE_QUEUED);
	recording_info_release(&info);
	spool_manifest_path(&other, from);
	spool_manifest_path(&id, to);
	assert_int_equal(vfs_rename(f->vfs, from, to), ERR_OK);
	assert_int_equal(manifest_read(f->vfs, &id, &info), ERR_CORRUPT);
	assert_null(info.principal);
}

struct seen {
	struct fixture *f;
	unsigned count;
};

static enum err remove_seen(void *arg, const struct uuid *id)
{
	struct seen *seen = arg;
	struct uuid expected = id_of((uint8_t)(1 + seen->count++));
	assert_true(uuid_equal(id, &expected)); /* the oldest first */
	return spool_remove(seen->f->vfs, id);
}

static void each_take_may_be_removed_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { .f = f };
	assert_int_equal(spool_each(f->vfs, remove_seen, &seen), ERR_OK); /* there is no spool yet */
	for (uint8_t n = 5; n > 0; n--) {
		struct uuid id = id_of(n);
		write_take(f, &id);
	}
	assert_int_equal(vfs_mkdir(f->vfs, "spool/lost+found"), ERR_OK);
	assert_int_equal(vfs_mkdir(f->vfs, "spool/018BCFE5-6800-7000-8000-000000000000"),
			 ERR_OK); /* not our spelling */
	assert_int_equal(spool_each(f->vfs, remove_seen, &seen), ERR_OK);
	assert_int_equal(seen.count, 5);
	assert_int_equal(spool_each(f->vfs, remove_seen, &seen), ERR_OK);
	assert_int_equal(seen.count, 5);
	assert_true(is_there(f, "spool/lost+found"));
}

static void quarantine_keeps_every_one(void **state)
{
	struct fixture *f = *state;
	struct uuid id = id_of(1);
	char text[UUID_TEXT], path[100];
	uuid_format(&id, text);
	for (int i = 0; i < 3; i++) {
		write_take(f, &id);
		assert_int_equal(spool_quarantine(f->vfs, &id), ERR_OK);
		snprintf(path, sizeof path, "spool/%s", text);
		assert_false(is_there(f, path));
		snprintf(path, sizeof path, i ? "quarantine/%s.%d/recording.json" : "quarantine/%s/recording.json",
			 text, i);
		assert_true(is_there(f, path));
	}
	assert_int_equal(spool_quarantine(f->vfs, &id), ERR_NOT_FOUND);
}

static void remove_takes_all_and_nothing_twice(void **state)
{
	struct fixture *f = *state;
	struct uuid id = id_of(1), other = id_of(2);
	char path[SPOOL_PATH];
	write_take(f, &id);
	write_take(f, &other);
	assert_int_equal(spool_remove(f->vfs, &id), ERR_OK);
	assert_int_equal(spool_remove(f->vfs, &id), ERR_OK);
	spool_dir_path(&id, path);
	assert_false(is_there(f, path));
	spool_manifest_path(&other, path);
	assert_true(is_there(f, path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_made_of_ids),
		TEST(a_spool_opened_again_holds_its_bytes),
		TEST(a_manifest_of_another_take_is_corrupt),
		TEST(each_take_may_be_removed_meanwhile),
		TEST(quarantine_keeps_every_one),
		TEST(remove_takes_all_and_nothing_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
