/* What only the real file seam does: it stays inside its directory whatever lies there, holds a lock, and takes reads
 * and writes of one file from several threads. */
#include "base/limits.h"
#include "store/vfs.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char outside[64], dir[96];
	struct vfs *vfs;
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	snprintf(f->outside, sizeof f->outside, "/tmp/vfs-test-XXXXXX");
	assert_non_null(mkdtemp(f->outside));
	snprintf(f->dir, sizeof f->dir, "%s/data", f->outside);
	assert_int_equal(vfs_posix_open(f->dir, &f->vfs), ERR_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	vfs_free(f->vfs);
	nftw(f->outside, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void in_dir(const struct fixture *f, const char *name, char out[256])
{
	snprintf(out, 256, "%s/%s", f->dir, name);
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void everything_is_private(void **state)
{
	struct fixture *f = *state;
	char path[256];
	assert_int_equal(mode_of(f->dir), 0700);
	assert_int_equal(vfs_mkdir(f->vfs, "d"), ERR_OK);
	assert_int_equal(vfs_replace(f->vfs, "d/a", "x", 1), ERR_OK);
	in_dir(f, "d", path);
	assert_int_equal(mode_of(path), 0700);
	in_dir(f, "d/a", path);
	assert_int_equal(mode_of(path), 0600);
	in_dir(f, "lock", path);
	assert_int_equal(mode_of(path), 0600);
}

static enum err no_entry(void *arg, const char *name)
{
	return ERR_OK;
}

static void check_nothing_leads_out(struct vfs *vfs, const char *dir, const char *file)
{
	char path[128];
	struct vfs_file *opened;
	assert_int_not_equal(vfs_open(vfs, file, VFS_READ, &opened), ERR_OK);
	assert_int_not_equal(vfs_open(vfs, file, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &opened), ERR_OK);
	assert_int_not_equal(vfs_list(vfs, dir, no_entry, NULL), ERR_OK);
	assert_int_not_equal(vfs_sync_dir(vfs, dir), ERR_OK);
	snprintf(path, sizeof path, "%s/new", dir);
	assert_int_not_equal(vfs_open(vfs, path, VFS_WRITE | VFS_CREATE, &opened), ERR_OK);
	assert_int_not_equal(vfs_mkdir(vfs, path), ERR_OK);
	assert_int_not_equal(vfs_replace(vfs, path, "x", 1), ERR_OK);
	assert_int_not_equal(vfs_rename(vfs, "inside", path), ERR_OK);
	snprintf(path, sizeof path, "%s/secret", dir);
	assert_int_not_equal(vfs_unlink(vfs, path), ERR_OK);
	assert_int_not_equal(vfs_rename(vfs, path, "stolen"), ERR_OK);
}

static void no_path_leads_out(void **state)
{
	struct fixture *f = *state;
	char secret[128], path[256];
	snprintf(secret, sizeof secret, "%s/secret", f->outside);
	int fd = open(secret, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "secret", 6), 6);
	close(fd);
	assert_int_equal(vfs_replace(f->vfs, "inside", "x", 1), ERR_OK);
	in_dir(f, "link", path);
	assert_int_equal(symlink(f->outside, path), 0);
	in_dir(f, "file", path);
	assert_int_equal(symlink(secret, path), 0);
	in_dir(f, "home", path);
	assert_int_equal(symlink("inside", path), 0); /* not even inside */
	check_nothing_leads_out(f->vfs, "link", "link/secret");
	check_nothing_leads_out(f->vfs, "..", "../secret");
	check_nothing_leads_out(f->vfs, f->outside, secret);
	check_nothing_leads_out(f->vfs, "link/data/..", "file");
	struct vfs_file *opened;
	assert_int_not_equal(vfs_open(f->vfs, "home", VFS_READ, &opened), ERR_OK);
	struct stat st;
	assert_int_equal(stat(secret, &st), 0);
	assert_int_equal(st.st_size, 6);
}

static void one_process_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct vfs *second;
	assert_int_equal(vfs_posix_open(f->dir, &second), ERR_LOCKED);
	assert_null(second);
	pid_t child = fork();
	if (child == 0)
		_exit((int)vfs_posix_open(f->dir, &second));
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ERR_LOCKED);
	vfs_free(f->vfs);
	assert_int_equal(vfs_posix_open(f->dir, &f->vfs), ERR_OK);
}

static void the_directory_must_be_one(void **state)
{
	struct fixture *f = *state;
	char path[256];
	struct vfs *other;
	in_dir(f, "file", path);
	assert_int_equal(vfs_replace(f->vfs, "file", "x", 1), ERR_OK);
	assert_int_not_equal(vfs_posix_open(path, &other), ERR_OK);
	snprintf(path, sizeof path, "%s/no/where", f->outside);
	assert_int_equal(vfs_posix_open(path, &other), ERR_NOT_FOUND);
	snprintf(path, sizeof path, "%s/with/", f->outside);
	assert_int_equal(vfs_posix_open(path, &other), ERR_OK);
	vfs_free(other);
}

static void no_descriptor_reaches_a_child(void **state)
{
	struct fixture *f = *state;
	struct vfs_file *file;
	assert_int_equal(vfs_open(f->vfs, "a", VFS_READ | VFS_WRITE | VFS_CREATE | VFS_DIRECT, &file), ERR_OK);
	unsigned seen = 0;
	for (int fd = 3; fd < 100; fd++) {
		char link[64], target[256];
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t len = readlink(link, target, sizeof target - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		if (strncmp(target, f->dir, strlen(f->dir)) != 0)
			continue;
		seen++;
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	assert_int_equal(seen, 3); /* the directory, its lock, one for the file */
	vfs_file_close(file);
}

static void truncating_gives_reserved_space_back(void **state)
{
	struct fixture *f = *state;
	struct vfs_file *file;
	struct stat st;
	char path[256];
	in_dir(f, "a", path);
	assert_int_equal(vfs_open(f->vfs, "a", VFS_READ | VFS_WRITE | VFS_CREATE, &file), ERR_OK);
	assert_int_equal(vfs_file_write(file, "text", 4, 0), ERR_OK);
	assert_int_equal(vfs_file_reserve(file, 0, 4 * MIB), ERR_OK);
	assert_int_equal(vfs_file_sync(file), ERR_OK);
	assert_int_equal(stat(path, &st), 0);
	if (st.st_blocks * 512 < 4 * (off_t)MIB) {
		vfs_file_close(file);
		skip(); /* this file system reserves nothing */
	}
	assert_int_equal(vfs_file_truncate(file, 4), ERR_OK);
	assert_int_equal(vfs_file_sync(file), ERR_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_blocks * 512 <= 64 * (off_t)KIB);
	assert_int_equal(st.st_size, 4);
	vfs_file_close(file);
}

/* threads */

enum { PIECE = 64 * 1024, PIECES = 64 };

struct shared {
	struct vfs_file *file;
	atomic_uint written; /* pieces */
	atomic_bool end;
	unsigned reads;
};

/* Reads and syncs beside the writer: unaligned, of what is written already. */
static void *read_along(void *arg)
{
	struct shared *s = arg;
	uint8_t *data = malloc(PIECE);
	while (!atomic_load(&s->end) || s->reads == 0) {
		unsigned written = atomic_load(&s->written);
		if (written == 0)
			continue;
		unsigned piece = s->reads % written;
		size_t got;
		enum err err = vfs_file_read(s->file, data + 1, PIECE - 7, (uint64_t)piece * PIECE + 3, &got);
		if (err != ERR_OK || got != PIECE - 7)
			abort();
		for (size_t i = 1; i <= got; i++)
			if (data[i] != (uint8_t)(piece + 1))
				abort();
		if (s->reads % 16 == 0 && vfs_file_sync(s->file) != ERR_OK)
			abort();
		s->reads++;
	}
	free(data);
	return NULL;
}

static void reads_and_syncs_go_beside_direct_writes(void **state)
{
	struct fixture *f = *state;
	struct shared s = { 0 };
	pthread_t thread;
	assert_int_equal(vfs_open(f->vfs, "a", VFS_READ | VFS_WRITE | VFS_CREATE | VFS_DIRECT, &s.file), ERR_OK);
	assert_int_equal(pthread_create(&thread, NULL, read_along, &s), 0);
	uint8_t *data = aligned_alloc(4096, PIECE);
	for (unsigned i = 0; i < PIECES; i++) {
		memset(data, (int)i + 1, PIECE);
		struct iovec piece = { data, PIECE };
		bool direct = i % 4 != 3;
		assert_int_equal(vfs_file_writev(s.file, &piece, 1, (uint64_t)i * PIECE, direct), ERR_OK);
		atomic_fetch_add(&s.written, 1);
	}
	atomic_store(&s.end, true);
	pthread_join(thread, NULL);
	assert_true(s.reads > 0);
	free(data);
	vfs_file_close(s.file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(everything_is_private),
		TEST(no_path_leads_out),
		TEST(one_process_at_a_time),
		TEST(the_directory_must_be_one),
		TEST(no_descriptor_reaches_a_child),
		TEST(truncating_gives_reserved_space_back),
		TEST(reads_and_syncs_go_beside_direct_writes),
	};
	return cmocka_run_group_tests_name("vfs_posix", tests, NULL, NULL);
}
