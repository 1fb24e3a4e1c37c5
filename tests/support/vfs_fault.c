/* See vfs_fault.h. */
#include "support/vfs_fault.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct rule {
	unsigned left; /* calls until the one that fails; 0: none does */
	bool for_good;
	enum err err;
};

struct fault {
	struct vfs vfs;
	struct vfs *below;
	pthread_mutex_t mutex;
	unsigned counts[FAULT_KINDS], failed;
	struct rule rules[FAULT_KINDS];
};

struct fault_file {
	struct vfs_file file;
	struct vfs_file *below;
	struct fault *fault;
};

static struct fault *fault_of(const struct vfs *vfs)
{
	return (struct fault *)(void *)vfs;
}

static struct fault_file *file_of(struct vfs_file *file)
{
	return (struct fault_file *)(void *)file;
}

static enum err check_rule(struct fault *f, enum fault_kind kind)
{
	struct rule *r = &f->rules[kind];
	f->counts[kind]++;
	if (r->left == 0 || (r->left > 1 && --r->left > 0))
		return ERR_OK;
	r->left = r->for_good ? 1 : 0;
	f->failed++;
	return r->err;
}

static enum err check(struct fault *f, enum fault_kind kind)
{
	pthread_mutex_lock(&f->mutex);
	enum err err = check_rule(f, kind), any = check_rule(f, FAULT_ANY);
	pthread_mutex_unlock(&f->mutex);
	return err != ERR_OK ? err : any;
}

#define CHECK(f, kind)                                                                                                 \
	do {                                                                                                           \
		enum err check_err = check(f, kind);                                                                   \
		if (check_err != ERR_OK)                                                                               \
			return check_err;                                                                              \
	} while (0)

static enum err fault_pread(struct vfs_file *file, void *data, size_t len, uint64_t off, size_t *out)
{
	CHECK(file_of(file)->fault, FAULT_READ);
	return vfs_file_read(file_of(file)->below, data, len, off, out);
}

static enum err fault_pwritev(struct vfs_file *file, const struct iovec *iov, int count, uint64_t off, bool direct)
{
	CHECK(file_of(file)->fault, FAULT_WRITE);
	return vfs_file_writev(file_of(file)->below, iov, count, off, direct);
}

static enum err fault_sync(struct vfs_file *file)
{
	CHECK(file_of(file)->fault, FAULT_SYNC);
	return vfs_file_sync(file_of(file)->below);
}

static enum err fault_write_out(struct vfs_file *file, bool wait)
{
	CHECK(file_of(file)->fault, FAULT_WRITE_OUT);
	return vfs_file_write_out(file_of(file)->below, wait);
}

static enum err fault_truncate(struct vfs_file *file, uint64_t size)
{
	CHECK(file_of(file)->fault, FAULT_TRUNCATE);
	return vfs_file_truncate(file_of(file)->below, size);
}

static enum err fault_reserve(struct vfs_file *file, uint64_t off, uint64_t len)
{
	CHECK(file_of(file)->fault, FAULT_RESERVE);
	return vfs_file_reserve(file_of(file)->below, off, len);
}

static enum err fault_size(struct vfs_file *file, uint64_t *out)
{
	CHECK(file_of(file)->fault, FAULT_SIZE);
	return vfs_file_size(file_of(file)->below, out);
}

static void fault_close(struct vfs_file *file)
{
	vfs_file_close(file_of(file)->below);
	free(file);
}

static const struct vfs_file_ops file_ops = {
	.pread = fault_pread,
	.pwritev = fault_pwritev,
	.sync = fault_sync,
	.write_out = fault_write_out,
	.truncate = fault_truncate,
	.reserve = fault_reserve,
	.size = fault_size,
	.close = fault_close,
};

static enum err fault_open(struct vfs *vfs, const char *path, unsigned flags, struct vfs_file **out)
{
	CHECK(fault_of(vfs), FAULT_OPEN);
	struct fault_file *f = calloc(1, sizeof *f);
	assert(f);
	enum err err = vfs_open(fault_of(vfs)->below, path, flags, &f->below);
	if (err != ERR_OK) {
		free(f);
		return err;
	}
	f->file.ops = &file_ops;
	f->file.direct = f->below->direct;
	atomic_init(&f->file.poisoned, false);
	f->fault = fault_of(vfs);
	*out = &f->file;
	return ERR_OK;
}

static enum err fault_rename(struct vfs *vfs, const char *from, const char *to)
{
	CHECK(fault_of(vfs), FAULT_RENAME);
	return vfs_rename(fault_of(vfs)->below, from, to);
}

static enum err fault_unlink(struct vfs *vfs, const char *path)
{
	CHECK(fault_of(vfs), FAULT_UNLINK);
	return vfs_unlink(fault_of(vfs)->below, path);
}

static enum err fault_mkdir(struct vfs *vfs, const char *path)
{
	CHECK(fault_of(vfs), FAULT_MKDIR);
	return vfs_mkdir(fault_of(vfs)->below, path);
}

static enum err fault_rmdir(struct vfs *vfs, const char *path)
{
	CHECK(fault_of(vfs), FAULT_RMDIR);
	return vfs_rmdir(fault_of(vfs)->below, path);
}

static enum err fault_sync_dir(struct vfs *vfs, const char *path)
{
	CHECK(fault_of(vfs), FAULT_SYNC_DIR);
	return vfs_sync_dir(fault_of(vfs)->below, path);
}

static enum err fault_sync_all(struct vfs *vfs)
{
	CHECK(fault_of(vfs), FAULT_SYNC);
	return vfs_sync_all(fault_of(vfs)->below);
}

static enum err fault_list(struct vfs *vfs, const char *path, enum err (*entry)(void *arg, const char *name), void *arg)
{
	CHECK(fault_of(vfs), FAULT_LIST);
	return vfs_list(fault_of(vfs)->below, path, entry, arg);
}

static enum err fault_space(struct vfs *vfs, struct vfs_space *out)
{
	CHECK(fault_of(vfs), FAULT_SPACE);
	return vfs_space(fault_of(vfs)->below, out);
}

static void fault_free(struct vfs *vfs)
{
	pthread_mutex_destroy(&fault_of(vfs)->mutex);
	free(vfs);
}

static const struct vfs_ops fault_ops = {
	.open = fault_open,
	.rename = fault_rename,
	.unlink = fault_unlink,
	.mkdir = fault_mkdir,
	.rmdir = fault_rmdir,
	.sync_dir = fault_sync_dir,
	.sync_all = fault_sync_all,
	.list = fault_list,
	.space = fault_space,
	.free = fault_free,
};

struct vfs *vfs_fault_new(struct vfs *below)
{
	struct fault *f = calloc(1, sizeof *f);
	assert(f);
	f->vfs.ops = &fault_ops;
	f->below = below;
	pthread_mutex_init(&f->mutex, NULL);
	return &f->vfs;
}

void vfs_fault_fail(struct vfs *vfs, enum fault_kind kind, unsigned nth, enum err err, bool for_good)
{
	struct fault *f = fault_of(vfs);
	pthread_mutex_lock(&f->mutex);
	f->rules[kind] = (struct rule){ .left = nth, .for_good = for_good, .err = err };
	pthread_mutex_unlock(&f->mutex);
}

unsigned vfs_fault_count(const struct vfs *vfs, enum fault_kind kind)
{
	struct fault *f = fault_of(vfs);
	pthread_mutex_lock(&f->mutex);
	unsigned count = f->counts[kind];
	pthread_mutex_unlock(&f->mutex);
	return count;
}

unsigned vfs_fault_failed(const struct vfs *vfs)
{
	struct fault *f = fault_of(vfs);
	pthread_mutex_lock(&f->mutex);
	unsigned failed = f->failed;
	pthread_mutex_unlock(&f->mutex);
	return failed;
}
