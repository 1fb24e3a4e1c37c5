/* The checked functions of the file seam, see vfs.h: whoever implements it sees only calls that make sense, and a
 * poisoned file is never synced again. */
#include "store/vfs.h"
#include "base/limits.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECT_ALIGN = LIMIT_BLOCK_BYTES };

enum err vfs_open(struct vfs *vfs, const char *path, unsigned flags, struct vfs_file **out)
{
	assert(flags & (VFS_READ | VFS_WRITE));
	assert(!(flags & (VFS_CREATE | VFS_TRUNCATE)) || flags & VFS_WRITE);
	*out = NULL;
	return vfs->ops->open(vfs, path, flags, out);
}

enum err vfs_rename(struct vfs *vfs, const char *from, const char *to)
{
	return vfs->ops->rename(vfs, from, to);
}

enum err vfs_unlink(struct vfs *vfs, const char *path)
{
	return vfs->ops->unlink(vfs, path);
}

enum err vfs_mkdir(struct vfs *vfs, const char *path)
{
	return vfs->ops->mkdir(vfs, path);
}

enum err vfs_rmdir(struct vfs *vfs, const char *path)
{
	return vfs->ops->rmdir(vfs, path);
}

enum err vfs_sync_all(struct vfs *vfs)
{
	return vfs->ops->sync_all(vfs);
}

enum err vfs_sync_dir(struct vfs *vfs, const char *path)
{
	return vfs->ops->sync_dir(vfs, path);
}

enum err vfs_list(struct vfs *vfs, const char *path, enum err (*entry)(void *arg, const char *name), void *arg)
{
	return vfs->ops->list(vfs, path, entry, arg);
}

enum err vfs_space(struct vfs *vfs, struct vfs_space *out)
{
	return vfs->ops->space(vfs, out);
}

void vfs_free(struct vfs *vfs)
{
	if (vfs)
		vfs->ops->free(vfs);
}

enum err vfs_file_read(struct vfs_file *file, void *data, size_t len, uint64_t off, size_t *out)
{
	*out = 0;
	if (len == 0)
		return ERR_OK;
	return file->ops->pread(file, data, len, off, out);
}

enum err vfs_file_write(struct vfs_file *file, const void *data, size_t len, uint64_t off)
{
	struct iovec piece = { (void *)data, len };
	return vfs_file_writev(file, &piece, 1, off, false);
}

enum err vfs_file_writev(struct vfs_file *file, const struct iovec *iov, int count, uint64_t off, bool direct)
{
	assert(!direct || off % DIRECT_ALIGN == 0);
	while (count > 0) {
		int some = count < IOV_MAX ? count : IOV_MAX;
		size_t len = 0;
		for (int i = 0; i < some; i++) {
			assert(!direct ||
			       ((uintptr_t)iov[i].iov_base % DIRECT_ALIGN == 0 && iov[i].iov_len % DIRECT_ALIGN == 0));
			len += iov[i].iov_len;
		}
		if (len > 0) {
			enum err err = file->ops->pwritev(file, iov, some, off, direct);
			if (err != ERR_OK)
				return err;
		}
		iov += some;
		count -= some;
		off += len;
	}
	return ERR_OK;
}

enum err vfs_file_sync(struct vfs_file *file)
{
	if (atomic_load(&file->poisoned))
		return ERR_SYNC_FAILED;
	if (file->ops->sync(file) == ERR_OK)
		return ERR_OK;
	atomic_store(&file->poisoned, true);
	return ERR_SYNC_FAILED;
}

enum err vfs_file_write_out(struct vfs_file *file, bool wait)
{
	if (atomic_load(&file->poisoned))
		return ERR_SYNC_FAILED;
	if (!file->ops->write_out || file->ops->write_out(file, wait) == ERR_OK)
		return ERR_OK;
	atomic_store(&file->poisoned, true);
	return ERR_SYNC_FAILED;
}

enum err vfs_file_truncate(struct vfs_file *file, uint64_t size)
{
	return file->ops->truncate(file, size);
}

enum err vfs_file_reserve(struct vfs_file *file, uint64_t off, uint64_t len)
{
	return len > 0 ? file->ops->reserve(file, off, len) : ERR_OK;
}

enum err vfs_file_size(struct vfs_file *file, uint64_t *out)
{
	*out = 0;
	return file->ops->size(file, out);
}

void vfs_file_close(struct vfs_file *file)
{
	if (file)
		file->ops->close(file);
}

/* The whole of an open file; a file that shrinks meanwhile gives what is there. */
static enum err read_whole(struct vfs_file *file, size_t limit, char **out, size_t *len)
{
	uint64_t size;
	enum err err = vfs_file_size(file, &size);
	if (err != ERR_OK)
		return err;
	if (size > limit)
		return ERR_CORRUPT;
	char *data = malloc((size_t)size + 1);
	if (!data)
		return ERR_NO_MEMORY;
	err = vfs_file_read(file, data, (size_t)size, 0, len);
	if (err != ERR_OK) {
		free(data);
		return err;
	}
	data[*len] = '\0';
	*out = data;
	return ERR_OK;
}

enum err vfs_read_all(struct vfs *vfs, const char *path, size_t limit, char **out, size_t *len)
{
	struct vfs_file *file;
	*out = NULL;
	*len = 0;
	enum err err = vfs_open(vfs, path, VFS_READ, &file);
	if (err != ERR_OK)
		return err;
	err = read_whole(file, limit, out, len);
	vfs_file_close(file);
	return err;
}

static enum err write_file(struct vfs *vfs, const char *path, struct iovec content, bool sync)
{
	struct vfs_file *file;
	enum err err = vfs_open(vfs, path, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &file);
	if (err != ERR_OK)
		return err;
	err = vfs_file_write(file, content.iov_base, content.iov_len, 0);
	if (err == ERR_OK && sync)
		err = vfs_file_sync(file);
	vfs_file_close(file);
	return err;
}

static void temporary_path(const char *path, char out[LIMIT_PATH_BYTES])
{
	int needed = snprintf(out, LIMIT_PATH_BYTES, "%s.tmp", path);
	assert(needed > 0 && needed < LIMIT_PATH_BYTES);
}

enum err vfs_replace_begin(struct vfs *vfs, const char *path, const void *data, size_t len)
{
	char temporary[LIMIT_PATH_BYTES];
	temporary_path(path, temporary);
	return write_file(vfs, temporary, (struct iovec){ (void *)(uintptr_t)data, len }, false);
}

enum err vfs_replace_end(struct vfs *vfs, const char *path)
{
	char temporary[LIMIT_PATH_BYTES];
	temporary_path(path, temporary);
	return vfs_rename(vfs, temporary, path);
}

enum err vfs_replace(struct vfs *vfs, const char *path, const void *data, size_t len)
{
	char temporary[LIMIT_PATH_BYTES], dir[LIMIT_PATH_BYTES];
	temporary_path(path, temporary);
	const char *slash = strrchr(path, '/');
	snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 0, path);

	enum err err = write_file(vfs, temporary, (struct iovec){ (void *)(uintptr_t)data, len }, true);
	if (err == ERR_OK)
		err = vfs_rename(vfs, temporary, path);
	if (err != ERR_OK) {
		vfs_unlink(vfs, temporary); /* it may not exist; the first error is what counts */
		return err;
	}
	return vfs_sync_dir(vfs, dir);
}
