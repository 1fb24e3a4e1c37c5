/* The simulated disk's calls, see disk.h: what counts, fails or dies, and then does what disk_inode.c and disk_tree.c
 * do. */
#include "disk_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct vfs_file_ops file_ops;

static struct disk *disk_of(struct vfs *vfs)
{
	return (struct disk *)(void *)vfs;
}

static struct disk_file *file_of(struct vfs_file *file)
{
	return (struct disk_file *)(void *)file;
}

/* How a call of this kind says that it failed for no special reason. */
static enum err plain_failure(enum disk_call call)
{
	switch (call) {
	case DISK_READ:
	case DISK_LIST:
		return ERR_READ_FAILED;
	case DISK_SYNC:
	case DISK_SYNC_DIR:
		return ERR_SYNC_FAILED;
	default:
		return ERR_WRITE_FAILED;
	}
}

static enum err injected(struct disk *disk, enum disk_call call, const char *path)
{
	for (unsigned i = 0; i < disk->fault_count; i++) {
		struct disk_fault *fault = &disk->faults[i];
		if (fault->call != call || (fault->prefix && strncmp(path, fault->prefix, strlen(fault->prefix)) != 0))
			continue;
		if (fault->after > 0) {
			fault->after--;
			continue;
		}
		enum err err = fault->err;
		if (fault->times > 0 && --fault->times == 0)
			*fault = disk->faults[--disk->fault_count];
		disk->failures++;
		return err;
	}
	return ERR_OK;
}

/* Before each call: what it must answer without being done; *dying says that it is the last one, done in part. */
static enum err enter(struct disk *disk, enum disk_call call, const char *path, bool *dying)
{
	*dying = false;
	if (disk->dead)
		return plain_failure(call);
	disk->counts[call]++;
	if (call != DISK_READ && call != DISK_LIST && call != DISK_OPEN) {
		disk->change_calls++;
		if (disk->die_after > 0 && --disk->die_after == 0) {
			disk->dead = *dying = true;
			return plain_failure(call);
		}
	}
	return injected(disk, call, path);
}

static enum err leave(struct disk *disk, enum disk_call call, const char *path, uint64_t a, uint64_t b, enum err err)
{
	if (disk->trace)
		disk->trace(disk->trace_arg, call, path, a, b, err);
	return err;
}

static enum err file_pread(struct vfs_file *file, void *data, size_t len, uint64_t off, size_t *out)
{
	struct disk_file *f = file_of(file);
	bool dying;
	enum err err = enter(f->disk, DISK_READ, f->path, &dying);
	*out = 0;
	if (err == ERR_OK && !(f->flags & VFS_READ))
		err = ERR_READ_FAILED;
	if (err == ERR_OK && off < f->inode->size) {
		*out = f->inode->size - off < len ? f->inode->size - off : len;
		inode_read(f->inode, data, *out, off);
	}
	return leave(f->disk, DISK_READ, f->path, off, *out, err);
}

/* Writes the first `len` bytes of the pieces. */
static enum err write_pieces(struct disk_file *f, const struct iovec *iov, int count, uint64_t off, size_t len)
{
	for (int i = 0; i < count && len > 0; i++) {
		size_t n = iov[i].iov_len < len ? iov[i].iov_len : len;
		if (n == 0)
			continue;
		enum err err = inode_allocate(f->disk, f->inode, off + n);
		if (err != ERR_OK)
			return err;
		inode_write(f->disk, f->inode, iov[i].iov_base, n, off);
		off += n;
		len -= n;
	}
	return ERR_OK;
}

static enum err file_pwritev(struct vfs_file *file, const struct iovec *iov, int count, uint64_t off, bool direct)
{
	struct disk_file *f = file_of(file);
	size_t len = 0;
	for (int i = 0; i < count; i++) {
		assert(!direct || ((uintptr_t)iov[i].iov_base % PAGE == 0 && iov[i].iov_len % PAGE == 0));
		len += iov[i].iov_len;
	}
	assert(!direct || off % PAGE == 0);
	bool dying;
	enum err err = enter(f->disk, DISK_WRITE, f->path, &dying);
	if (err == ERR_OK && !(f->flags & VFS_WRITE))
		err = ERR_WRITE_FAILED;
	else if (err == ERR_OK)
		err = write_pieces(f, iov, count, off, len);
	else if (f->flags & VFS_WRITE && (dying || !f->disk->dead))
		write_pieces(f, iov, count, off, rng_below(&f->disk->rng, len + 1));
	return leave(f->disk, DISK_WRITE, f->path, off, len, err);
}

static enum err file_sync(struct vfs_file *file)
{
	struct disk_file *f = file_of(file);
	bool dying;
	enum err err = enter(f->disk, DISK_SYNC, f->path, &dying);
	if (!f->disk->dead && f->sync_failed)
		f->disk->resyncs++;
	if (err == ERR_OK || (dying && rng_chance(&f->disk->rng, 50))) {
		inode_sync(f->disk, f->inode);
	} else if (!f->disk->dead) {
		f->sync_failed = true;
		inode_sync_fail(f->disk, f->inode);
	}
	return leave(f->disk, DISK_SYNC, f->path, f->inode->size, 0, err);
}

static enum err file_truncate(struct vfs_file *file, uint64_t size)
{
	struct disk_file *f = file_of(file);
	bool dying;
	enum err err = enter(f->disk, DISK_TRUNCATE, f->path, &dying);
	if (err == ERR_OK && !(f->flags & VFS_WRITE))
		err = ERR_WRITE_FAILED;
	if (err == ERR_OK || dying)
		inode_truncate(f->disk, f->inode, size);
	return leave(f->disk, DISK_TRUNCATE, f->path, size, 0, err);
}

static enum err file_reserve(struct vfs_file *file, uint64_t off, uint64_t len)
{
	struct disk_file *f = file_of(file);
	bool dying;
	enum err err = enter(f->disk, DISK_RESERVE, f->path, &dying);
	if (err == ERR_OK && !(f->flags & VFS_WRITE))
		err = ERR_WRITE_FAILED;
	if (err == ERR_OK)
		err = inode_allocate(f->disk, f->inode, off + len);
	return leave(f->disk, DISK_RESERVE, f->path, off, len, err);
}

static enum err file_size(struct vfs_file *file, uint64_t *out)
{
	*out = file_of(file)->inode->size;
	return ERR_OK;
}

static void file_close(struct vfs_file *file)
{
	struct disk_file *f = file_of(file);
	*f->prev = f->next;
	if (f->next)
		f->next->prev = f->prev;
	inode_unref(f->disk, f->inode);
	free(f);
}

static const struct vfs_file_ops file_ops = {
	file_pread, file_pwritev, file_sync, NULL, file_truncate, file_reserve, file_size, file_close,
};

static struct vfs_file *file_new(struct disk *disk, struct inode *inode, const char *path, unsigned flags)
{
	struct disk_file *f = calloc(1, sizeof *f);
	assert(f);
	f->file.ops = &file_ops;
	f->file.direct = flags & VFS_DIRECT;
	atomic_init(&f->file.poisoned, false);
	f->disk = disk;
	f->inode = inode;
	f->flags = flags;
	snprintf(f->path, sizeof f->path, "%s", path);
	inode_ref(inode);
	f->next = disk->files;
	if (f->next)
		f->next->prev = &f->next;
	f->prev = &disk->files;
	disk->files = f;
	return &f->file;
}

static enum err create(struct disk *disk, const char *path, struct inode **out)
{
	const char *name;
	struct inode *dir = tree_parent(disk, path, &name);
	if (!dir)
		return ERR_NOT_FOUND;
	bool dying;
	enum err err = enter(disk, DISK_NAME, path, &dying);
	if (err == ERR_OK || dying) {
		*out = inode_new(false);
		tree_change(disk, &(struct change){ .inode = *out, .to = dir, .to_name = (char *)(uintptr_t)name });
	}
	return err;
}

static enum err disk_open(struct vfs *vfs, const char *path, unsigned flags, struct vfs_file **out)
{
	struct disk *disk = disk_of(vfs);
	bool dying;
	enum err err = enter(disk, DISK_OPEN, path, &dying);
	struct inode *inode = err == ERR_OK ? tree_find(disk, path) : NULL;
	*out = NULL;
	if (err != ERR_OK)
		return leave(disk, DISK_OPEN, path, flags, 0, err);
	if (inode && inode->dir)
		err = flags & VFS_WRITE ? ERR_WRITE_FAILED : ERR_READ_FAILED;
	else if (inode && flags & VFS_CREATE && flags & VFS_EXCLUSIVE)
		err = ERR_EXISTS;
	else if (!inode)
		err = flags & VFS_CREATE ? create(disk, path, &inode) : ERR_NOT_FOUND;
	else if (flags & VFS_TRUNCATE)
		inode_truncate(disk, inode, 0);
	if (err == ERR_OK)
		*out = file_new(disk, inode, path, flags);
	return leave(disk, DISK_OPEN, path, flags, 0, err);
}

/* Puts `inode` under the name, which must be free unless `replace`. */
static enum err link_name(struct disk *disk, const char *path, struct inode *inode)
{
	const char *name;
	struct inode *dir = tree_parent(disk, path, &name);
	if (!dir)
		return ERR_NOT_FOUND;
	tree_change(disk, &(struct change){ .inode = inode, .to = dir, .to_name = (char *)(uintptr_t)name });
	return ERR_OK;
}

static enum err disk_mkdir(struct vfs *vfs, const char *path)
{
	struct disk *disk = disk_of(vfs);
	bool dying;
	enum err err = enter(disk, DISK_NAME, path, &dying);
	if (err == ERR_OK && tree_find(disk, path))
		err = ERR_EXISTS;
	if (err == ERR_OK) {
		struct inode *made = inode_new(true);
		err = link_name(disk, path, made);
		if (err != ERR_OK)
			free(made);
	}
	return leave(disk, DISK_NAME, path, 'm', 0, err);
}

static bool rename_fits(const struct inode *from, const struct inode *to)
{
	return !to || from == to || (from->dir == to->dir && to->cur.count == 0);
}

static enum err disk_rename(struct vfs *vfs, const char *from, const char *to)
{
	struct disk *disk = disk_of(vfs);
	bool dying;
	enum err err = enter(disk, DISK_NAME, from, &dying);
	if (err == ERR_OK || dying) {
		const char *from_name, *to_name;
		struct inode *from_dir = tree_parent(disk, from, &from_name);
		struct inode *to_dir = tree_parent(disk, to, &to_name);
		struct inode *inode = tree_find(disk, from);
		enum err found = !inode || !to_dir ? ERR_NOT_FOUND : ERR_OK;
		if (found == ERR_OK && !rename_fits(inode, tree_find(disk, to)))
			found = ERR_WRITE_FAILED;
		if (found == ERR_OK && inode != tree_find(disk, to))
			tree_change(disk, &(struct change){ inode, from_dir, to_dir, (char *)(uintptr_t)from_name,
							    (char *)(uintptr_t)to_name });
		err = err == ERR_OK ? found : err;
	}
	return leave(disk, DISK_NAME, to, 'r', 0, err);
}

static enum err remove_name(struct vfs *vfs, const char *path, bool dir)
{
	struct disk *disk = disk_of(vfs);
	bool dying;
	enum err err = enter(disk, DISK_NAME, path, &dying);
	if (err == ERR_OK) {
		const char *name;
		struct inode *parent = tree_parent(disk, path, &name);
		struct inode *inode = parent ? tree_find(disk, path) : NULL;
		if (!inode)
			err = ERR_NOT_FOUND;
		else if (inode->dir != dir || inode->cur.count > 0)
			err = ERR_WRITE_FAILED;
		else
			tree_change(disk, &(struct change){ .inode = inode,
							    .from = parent,
							    .from_name = (char *)(uintptr_t)name });
	}
	return leave(disk, DISK_NAME, path, dir ? 'd' : 'u', 0, err);
}

static enum err disk_unlink(struct vfs *vfs, const char *path)
{
	return remove_name(vfs, path, false);
}

static enum err disk_rmdir(struct vfs *vfs, const char *path)
{
	return remove_name(vfs, path, true);
}

static enum err disk_sync_dir(struct vfs *vfs, const char *path)
{
	struct disk *disk = disk_of(vfs);
	bool dying;
	enum err err = enter(disk, DISK_SYNC_DIR, path, &dying);
	struct inode *dir = tree_find(disk, path);
	if (err == ERR_OK && (!dir || !dir->dir))
		err = dir ? ERR_SYNC_FAILED : ERR_NOT_FOUND;
	else if (err == ERR_OK || (dying && dir && rng_chance(&disk->rng, 50)))
		tree_sync(disk, dir);
	return leave(disk, DISK_SYNC_DIR, path, 0, 0, err);
}

/* A sync of everything that a crash interrupts may have reached any of it. */
static void sync_one(struct disk *disk, struct inode *inode, void *arg)
{
	const bool *whole = arg;
	if (!*whole && !rng_chance(&disk->rng, 50))
		return;
	if (inode->dir)
		tree_sync(disk, inode);
	else
		inode_sync(disk, inode);
}

static void sync_one_fails(struct disk *disk, struct inode *inode, void *arg)
{
	if (!inode->dir)
		inode_sync_fail(disk, inode);
}

static enum err disk_sync_all(struct vfs *vfs)
{
	struct disk *disk = disk_of(vfs);
	bool dying;
	enum err err = enter(disk, DISK_SYNC, "", &dying);
	bool whole = err == ERR_OK;
	if (whole || dying)
		tree_each(disk, disk->root, sync_one, &whole);
	else if (!disk->dead)
		tree_each(disk, disk->root, sync_one_fails, NULL);
	return leave(disk, DISK_SYNC, "", 0, 0, err);
}

static enum err disk_list(struct vfs *vfs, const char *path, enum err (*entry)(void *arg, const char *name), void *arg)
{
	struct disk *disk = disk_of(vfs);
	bool dying;
	enum err err = enter(disk, DISK_LIST, path, &dying);
	struct inode *dir = tree_find(disk, path);
	if (err == ERR_OK && (!dir || !dir->dir))
		err = dir ? ERR_READ_FAILED : ERR_NOT_FOUND;
	for (size_t i = 0; err == ERR_OK && i < dir->cur.count; i++)
		err = entry(arg, dir->cur.items[i].name);
	return err;
}

static enum err disk_space(struct vfs *vfs, struct vfs_space *out)
{
	struct disk *disk = disk_of(vfs);
	out->total_bytes = disk->capacity;
	out->free_bytes = disk->used < disk->capacity ? disk->capacity - disk->used : 0;
	return ERR_OK;
}

static void disk_vfs_free(struct vfs *vfs)
{
	disk_free(disk_of(vfs));
}

static const struct vfs_ops disk_ops = {
	disk_open,     disk_rename,   disk_unlink, disk_mkdir, disk_rmdir,
	disk_sync_dir, disk_sync_all, disk_list,   disk_space, disk_vfs_free,
};

enum err disk_new(uint64_t seed, struct disk **out)
{
	struct disk *disk = calloc(1, sizeof *disk);
	assert(disk);
	disk->vfs.ops = &disk_ops;
	disk->rng.state = seed;
	disk->capacity = 64ULL << 30;
	disk->root = inode_new(true);
	inode_ref(disk->root);
	*out = disk;
	return ERR_OK;
}

void disk_close_all(struct disk *disk)
{
	while (disk->files)
		file_close(&disk->files->file);
}

void disk_free(struct disk *disk)
{
	if (!disk)
		return;
	disk_close_all(disk);
	tree_release(disk);
	while (disk->free_pages) {
		void *page = disk->free_pages;
		memcpy(&disk->free_pages, page, sizeof disk->free_pages);
		free(page);
	}
	free(disk);
}

struct vfs *disk_vfs(struct disk *disk)
{
	return &disk->vfs;
}
