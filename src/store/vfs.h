/* The one file seam: everything that Holdfast stores passes here, so that tests can count, fail, drop or tear it.
 *
 * Paths are relative to the data directory, made of the server's own names only, and never leave it (openat2 with
 * RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV: a data directory is one file system). Implementations:
 * vfs_posix.c, and in the tests a simulated disk and layers over either. Callers use the checked functions below, never
 * the table.
 *
 * Syncs: a file whose sync failed once is poisoned: each later sync of it answers ERR_SYNC_FAILED without asking the
 * system again, because the system may have dropped the pages and would say yes. Functions of one file may be called
 * from several threads where pread and pwrite may. */
#ifndef HOLDFAST_STORE_VFS_H
#define HOLDFAST_STORE_VFS_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct vfs;
struct vfs_file;

enum vfs_flags {
	VFS_READ = 1,
	VFS_WRITE = 2,
	VFS_CREATE = 4,	   /* create if missing, mode 0600 */
	VFS_EXCLUSIVE = 8, /* with VFS_CREATE: ERR_EXISTS if it is there */
	VFS_DIRECT = 16,   /* O_DIRECT where the file system allows it; vfs_file_direct tells */
	VFS_TRUNCATE = 32,
};

struct vfs_space {
	uint64_t free_bytes, total_bytes;
};

struct vfs_ops {
	enum err (*open)(struct vfs *vfs, const char *path, unsigned flags, struct vfs_file **out);
	enum err (*rename)(struct vfs *vfs, const char *from, const char *to); /* replaces `to` */
	enum err (*unlink)(struct vfs *vfs, const char *path);
	enum err (*mkdir)(struct vfs *vfs, const char *path); /* ERR_EXISTS if there; parents must exist */
	enum err (*rmdir)(struct vfs *vfs, const char *path);
	enum err (*sync_dir)(struct vfs *vfs, const char *path); /* "" is the data directory */
	enum err (*sync_all)(struct vfs *vfs);			 /* every file and name: syncfs */
	/* Calls back for each entry but "." and ".."; any order; stops at the first error, which it returns. */
	enum err (*list)(struct vfs *vfs, const char *path, enum err (*entry)(void *arg, const char *name), void *arg);
	enum err (*space)(struct vfs *vfs, struct vfs_space *out);
	void (*free)(struct vfs *vfs);
};

struct vfs {
	const struct vfs_ops *ops;
};

struct vfs_file_ops {
	/* Reads up to len bytes at off; *out < len only at the end of the file. */
	enum err (*pread)(struct vfs_file *file, void *data, size_t len, uint64_t off, size_t *out);
	/* Writes all or fails; after a failure any part may have been written. `direct`: the caller has aligned offset,
	 * length and every piece of memory to 4096 and wants the page cache bypassed if the file was opened so. */
	enum err (*pwritev)(struct vfs_file *file, const struct iovec *iov, int count, uint64_t off, bool direct);
	enum err (*sync)(struct vfs_file *file); /* fdatasync */
	/* Begins to write what the page cache holds of it, or waits for that. NULL: there is nothing to gain. */
	enum err (*write_out)(struct vfs_file *file, bool wait);
	enum err (*truncate)(struct vfs_file *file, uint64_t size); /* also frees what was reserved behind it */
	enum err (*reserve)(struct vfs_file *file, uint64_t off, uint64_t len); /* fallocate(KEEP_SIZE) */
	enum err (*size)(struct vfs_file *file, uint64_t *out);
	void (*close)(struct vfs_file *file);
};

struct vfs_file {
	const struct vfs_file_ops *ops;
	bool direct;	      /* opened with O_DIRECT, and the file system took it */
	atomic_bool poisoned; /* a sync of it failed */
};

/* The checked functions. Any lane thread; at start-up also the loop. Errors: STORAGE_FULL, NOT_FOUND, EXISTS,
 * NO_MEMORY, READ_FAILED or WRITE_FAILED for the rest, SYNC_FAILED from the syncs only. */
enum err vfs_open(struct vfs *vfs, const char *path, unsigned flags, struct vfs_file **out);
enum err vfs_rename(struct vfs *vfs, const char *from, const char *to);
enum err vfs_unlink(struct vfs *vfs, const char *path);
enum err vfs_mkdir(struct vfs *vfs, const char *path);
enum err vfs_rmdir(struct vfs *vfs, const char *path);
enum err vfs_sync_dir(struct vfs *vfs, const char *path);
/* Everything written and named so far, with one call: for start-up, where thousands of files wait. It waits for what
 * others wrote to the same file system too. */
enum err vfs_sync_all(struct vfs *vfs);
enum err vfs_list(struct vfs *vfs, const char *path, enum err (*entry)(void *arg, const char *name), void *arg);
enum err vfs_space(struct vfs *vfs, struct vfs_space *out);
void vfs_free(struct vfs *vfs); /* accepts NULL */

enum err vfs_file_read(struct vfs_file *file, void *data, size_t len, uint64_t off, size_t *out);
enum err vfs_file_write(struct vfs_file *file, const void *data, size_t len, uint64_t off);
/* Writes the pieces one after the other from `off`; count up to any number (split at IOV_MAX). With `direct` all of
 * off, the pieces and their lengths must be multiples of 4096 (asserted). */
enum err vfs_file_writev(struct vfs_file *file, const struct iovec *iov, int count, uint64_t off, bool direct);
enum err vfs_file_sync(struct vfs_file *file);
/* Gets the file's dirty pages on their way to the disk (first without `wait`, then with it), so that a sync that
 * follows is short. Promises nothing: what was written out is durable only after a sync. One that fails poisons the
 * file like a sync: the pages are gone. */
enum err vfs_file_write_out(struct vfs_file *file, bool wait);
enum err vfs_file_truncate(struct vfs_file *file, uint64_t size);
enum err vfs_file_reserve(struct vfs_file *file, uint64_t off, uint64_t len);
enum err vfs_file_size(struct vfs_file *file, uint64_t *out);
void vfs_file_close(struct vfs_file *file); /* accepts NULL */

/* Convenience, built from the above: a whole small file (at most `limit` bytes, else ERR_CORRUPT) with a NUL behind it,
 * to be freed; and its durable replacement: PATH.tmp, sync, rename, sync of the directory. */
enum err vfs_read_all(struct vfs *vfs, const char *path, size_t limit, char **out, size_t *len);
enum err vfs_replace(struct vfs *vfs, const char *path, const void *data, size_t len);
/* The same for many files with few syncs: `begin` for each, vfs_sync_all, `end` for each, vfs_sync_all. */
enum err vfs_replace_begin(struct vfs *vfs, const char *path, const void *data, size_t len);
enum err vfs_replace_end(struct vfs *vfs, const char *path);

/* The real one. Takes the data directory (made, with 0700, if missing, and its parent synced) and its lock (flock on
 * DIR/lock): ERR_LOCKED when another process holds it. Freed by vfs_free, which gives the lock back. */
enum err vfs_posix_open(const char *dir, struct vfs **out);
/* The descriptor of a file that vfs_posix opened, for a child process; -1 for another implementation's. */
int vfs_posix_fd(struct vfs_file *file);

#endif
