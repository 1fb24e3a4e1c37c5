/* The file seam on Linux, see vfs.h.
 *
 * Every path is resolved by openat2 beneath the data directory, without following a symbolic link, so that nothing that
 * lies in the directory can lead out of it.
 *
 * One descriptor a file, also with O_DIRECT: a server holds thousands of spools. O_DIRECT is set only while a direct
 * write is under way, under the file's mutex, which buffered writes and reads of such a file take too, because they
 * must not meet it. Syncs need no O_DIRECT and wait for none. */
#include "base/limits.h"
#include "store/vfs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A directory whose sync failed: its later syncs would say yes to what was lost. */
struct failed_dir {
	struct failed_dir *next;
	char path[LIMIT_PATH_BYTES];
};

struct posix_vfs {
	struct vfs vfs;
	int root;	       /* the data directory */
	int lock;	       /* DIR/lock, flocked */
	pthread_mutex_t mutex; /* syncs of directories */
	struct failed_dir *failed_dirs;
	unsigned failed_dir_count;
	bool dirs_failed; /* too many to remember which: all of them */
};

struct posix_file {
	struct vfs_file file;
	int fd;
	bool toggles;	       /* opened with VFS_DIRECT and taken: reads and writes hold the mutex */
	bool direct_refused;   /* under mutex: the file system took O_DIRECT and then no direct write */
	pthread_mutex_t mutex; /* the O_DIRECT flag of fd */
	pthread_mutex_t
		sync_mutex; /* one sync at a time, so that none starts between another's failure and the poison */
};

static int open_beneath(struct posix_vfs *p, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = mode,
		/* one file system: sync_all reaches no other */
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	for (;;) {
		long fd = syscall(SYS_openat2, p->root, *path ? path : ".", &how, sizeof how);
		if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
			return (int)fd;
	}
}

/* The directory that holds `path`, to be closed, and the last name in it. */
static int open_parent(struct posix_vfs *p, const char *path, const char **name)
{
	char dir[LIMIT_PATH_BYTES];
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash - path) : 0;
	assert(len < (int)sizeof dir);
	snprintf(dir, sizeof dir, "%.*s", len, path);
	*name = slash ? slash + 1 : path;
	return open_beneath(p, dir, O_PATH | O_DIRECTORY, 0);
}

/* files */

static struct posix_file *file_of(struct vfs_file *file)
{
	return (struct posix_file *)(void *)file;
}

static enum err file_pread(struct vfs_file *file, void *data, size_t len, uint64_t off, size_t *out)
{
	struct posix_file *f = file_of(file);
	enum err err = ERR_OK;
	if (f->toggles)
		pthread_mutex_lock(&f->mutex);
	while (*out < len) {
		ssize_t n = pread(f->fd, (char *)data + *out, len - *out, (off_t)(off + *out));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = err_from_errno(errno, ERR_READ_FAILED);
		if (n <= 0)
			break;
		*out += (size_t)n;
	}
	if (f->toggles)
		pthread_mutex_unlock(&f->mutex);
	return err;
}

/* Writes all of the pieces; returns 0 or the errno. A short write goes on in the middle of its piece. */
static int write_all(int fd, const struct iovec *iov, int count, uint64_t off)
{
	size_t done = 0; /* of the first piece */
	while (count > 0) {
		ssize_t n;
		if (done > 0)
			n = pwrite(fd, (char *)iov->iov_base + done, iov->iov_len - done, (off_t)off);
		else
			n = pwritev(fd, iov, count, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		off += (uint64_t)n;
		done += (size_t)n;
		while (count > 0 && done >= iov->iov_len) {
			done -= iov->iov_len;
			iov++;
			count--;
		}
		if (n == 0 && count > 0)
			return EIO;
	}
	return 0;
}

static enum err file_pwritev(struct vfs_file *file, const struct iovec *iov, int count, uint64_t off, bool direct)
{
	struct posix_file *f = file_of(file);
	if (!f->toggles)
		return err_from_errno(write_all(f->fd, iov, count, off), ERR_WRITE_FAILED);
	pthread_mutex_lock(&f->mutex);
	int failed = EINVAL;
	if (direct && !f->direct_refused && fcntl(f->fd, F_SETFL, O_DIRECT) == 0) {
		failed = write_all(f->fd, iov, count, off);
		int cleared = fcntl(f->fd, F_SETFL, 0);
		assert(cleared == 0);
		f->direct_refused = failed == EINVAL;
	}
	if (failed == EINVAL)
		failed = write_all(f->fd, iov, count, off);
	pthread_mutex_unlock(&f->mutex);
	return err_from_errno(failed, ERR_WRITE_FAILED);
}

static enum err file_sync(struct vfs_file *file)
{
	struct posix_file *f = file_of(file);
	pthread_mutex_lock(&f->sync_mutex);
	bool failed = atomic_load(&file->poisoned) || fdatasync(f->fd) != 0;
	if (failed)
		atomic_store(&file->poisoned, true);
	pthread_mutex_unlock(&f->sync_mutex);
	return failed ? ERR_SYNC_FAILED : ERR_OK;
}

static enum err file_truncate(struct vfs_file *file, uint64_t size)
{
	/* also where the size stays: ext4 and XFS free blocks reserved behind the end */
	while (ftruncate(file_of(file)->fd, (off_t)size) != 0)
		if (errno != EINTR)
			return err_from_errno(errno, ERR_WRITE_FAILED);
	return ERR_OK;
}

static enum err file_reserve(struct vfs_file *file, uint64_t off, uint64_t len)
{
	while (fallocate(file_of(file)->fd, FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) != 0) {
		if (errno == EOPNOTSUPP)
			return ERR_OK; /* this file system reserves nothing: a write may find it full */
		if (errno != EINTR)
			return err_from_errno(errno, ERR_WRITE_FAILED);
	}
	return ERR_OK;
}

static enum err file_size(struct vfs_file *file, uint64_t *out)
{
	struct stat st;
	if (fstat(file_of(file)->fd, &st) != 0)
		return ERR_READ_FAILED;
	*out = (uint64_t)st.st_size;
	return ERR_OK;
}

static void file_close(struct vfs_file *file)
{
	struct posix_file *f = file_of(file);
	close(f->fd);
	pthread_mutex_destroy(&f->mutex);
	pthread_mutex_destroy(&f->sync_mutex);
	free(f);
}

static enum err file_write_out(struct vfs_file *file, bool wait)
{
	unsigned flags = wait ? SYNC_FILE_RANGE_WAIT_BEFORE : SYNC_FILE_RANGE_WRITE;
	if (sync_file_range(file_of(file)->fd, 0, 0, flags) == 0)
		return ERR_OK;
	/* Where there is no such call nothing was done. Any other error may be told only once, here: no later sync
	 * would know of it. */
	return errno == ENOSYS || errno == ESPIPE || errno == EINVAL ? ERR_OK : ERR_SYNC_FAILED;
}

static const struct vfs_file_ops file_ops = {
	.pread = file_pread,
	.pwritev = file_pwritev,
	.sync = file_sync,
	.write_out = file_write_out,
	.truncate = file_truncate,
	.reserve = file_reserve,
	.size = file_size,
	.close = file_close,
};

int vfs_posix_fd(struct vfs_file *file)
{
	return file->ops == &file_ops ? file_of(file)->fd : -1;
}

/* the directory */

static struct posix_vfs *vfs_of(struct vfs *vfs)
{
	return (struct posix_vfs *)(void *)vfs;
}

static enum err posix_open(struct vfs *vfs, const char *path, unsigned flags, struct vfs_file **out)
{
	int how = flags & VFS_WRITE ? flags & VFS_READ ? O_RDWR : O_WRONLY : O_RDONLY;
	how |= (flags & VFS_CREATE ? O_CREAT : 0) | (flags & VFS_EXCLUSIVE ? O_EXCL : 0);
	how |= flags & VFS_TRUNCATE ? O_TRUNC : 0;
	struct posix_file *f = calloc(1, sizeof *f);
	if (!f)
		return ERR_NO_MEMORY;
	f->fd = open_beneath(vfs_of(vfs), path, how, flags & VFS_CREATE ? 0600 : 0);
	if (f->fd < 0) {
		enum err err = err_from_errno(errno, flags & VFS_WRITE ? ERR_WRITE_FAILED : ERR_READ_FAILED);
		free(f);
		return err;
	}
	f->file.ops = &file_ops;
	atomic_init(&f->file.poisoned, false);
	if (flags & VFS_DIRECT && fcntl(f->fd, F_SETFL, O_DIRECT) == 0) {
		f->file.direct = f->toggles = true;
		int cleared = fcntl(f->fd, F_SETFL, 0);
		assert(cleared == 0);
	}
	pthread_mutex_init(&f->mutex, NULL);
	pthread_mutex_init(&f->sync_mutex, NULL);
	*out = &f->file;
	return ERR_OK;
}

static enum err posix_rename(struct vfs *vfs, const char *from, const char *to)
{
	const char *from_name, *to_name;
	enum err err = ERR_OK;
	int from_dir = open_parent(vfs_of(vfs), from, &from_name);
	if (from_dir < 0)
		return err_from_errno(errno, ERR_WRITE_FAILED);
	int to_dir = open_parent(vfs_of(vfs), to, &to_name);
	if (to_dir < 0 || renameat(from_dir, from_name, to_dir, to_name) != 0)
		err = err_from_errno(errno, ERR_WRITE_FAILED);
	if (to_dir >= 0)
		close(to_dir);
	close(from_dir);
	return err;
}

static enum err remove_name(struct vfs *vfs, const char *path, int flags)
{
	const char *name;
	enum err err = ERR_OK;
	int dir = open_parent(vfs_of(vfs), path, &name);
	if (dir < 0)
		return err_from_errno(errno, ERR_WRITE_FAILED);
	if (unlinkat(dir, name, flags) != 0)
		err = err_from_errno(errno, ERR_WRITE_FAILED);
	close(dir);
	return err;
}

static enum err posix_unlink(struct vfs *vfs, const char *path)
{
	return remove_name(vfs, path, 0);
}

static enum err posix_rmdir(struct vfs *vfs, const char *path)
{
	return remove_name(vfs, path, AT_REMOVEDIR);
}

static enum err posix_mkdir(struct vfs *vfs, const char *path)
{
	const char *name;
	enum err err = ERR_OK;
	int dir = open_parent(vfs_of(vfs), path, &name);
	if (dir < 0)
		return err_from_errno(errno, ERR_WRITE_FAILED);
	if (mkdirat(dir, name, 0700) != 0)
		err = err_from_errno(errno, ERR_WRITE_FAILED);
	close(dir);
	return err;
}

static bool dir_failed_before(struct posix_vfs *p, const char *path)
{
	if (p->dirs_failed)
		return true;
	for (struct failed_dir *d = p->failed_dirs; d; d = d->next)
		if (strcmp(d->path, path) == 0)
			return true;
	return false;
}

static void remember_failed_dir(struct posix_vfs *p, const char *path)
{
	struct failed_dir *d = p->failed_dir_count < LIMIT_FAILED_DIRS ? malloc(sizeof *d) : NULL;
	if (!d) {
		p->dirs_failed = true;
		return;
	}
	p->failed_dir_count++;
	assert(strlen(path) < sizeof d->path);
	snprintf(d->path, sizeof d->path, "%s", path);
	d->next = p->failed_dirs;
	p->failed_dirs = d;
}

static enum err posix_sync_dir(struct vfs *vfs, const char *path)
{
	struct posix_vfs *p = vfs_of(vfs);
	int dir = open_beneath(p, path, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return err_from_errno(errno, ERR_READ_FAILED);
	pthread_mutex_lock(&p->mutex);
	bool failed = dir_failed_before(p, path);
	if (!failed && fsync(dir) != 0) {
		remember_failed_dir(p, path);
		failed = true;
	}
	pthread_mutex_unlock(&p->mutex);
	close(dir);
	return failed ? ERR_SYNC_FAILED : ERR_OK;
}

static enum err posix_sync_all(struct vfs *vfs)
{
	/* since Linux 5.8 syncfs reports failed write-back; the caller stops then, so none is asked twice */
	return syncfs(vfs_of(vfs)->root) == 0 ? ERR_OK : ERR_SYNC_FAILED;
}

static enum err posix_list(struct vfs *vfs, const char *path, enum err (*entry)(void *arg, const char *name), void *arg)
{
	int fd = open_beneath(vfs_of(vfs), path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return err_from_errno(errno, ERR_READ_FAILED);
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return ERR_NO_MEMORY;
	}
	enum err err = ERR_OK;
	while (err == ERR_OK) {
		errno = 0;
		struct dirent *d = readdir(dir);
		if (!d) {
			err = err_from_errno(errno, ERR_READ_FAILED);
			break;
		}
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			err = entry(arg, d->d_name);
	}
	closedir(dir);
	return err;
}

static enum err posix_space(struct vfs *vfs, struct vfs_space *out)
{
	struct statvfs st;
	if (fstatvfs(vfs_of(vfs)->root, &st) != 0)
		return ERR_READ_FAILED;
	out->free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	out->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	return ERR_OK;
}

static void posix_free(struct vfs *vfs)
{
	struct posix_vfs *p = vfs_of(vfs);
	if (p->root >= 0)
		close(p->root);
	if (p->lock >= 0)
		close(p->lock);
	while (p->failed_dirs) {
		struct failed_dir *d = p->failed_dirs;
		p->failed_dirs = d->next;
		free(d);
	}
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

static const struct vfs_ops posix_ops = {
	.open = posix_open,
	.rename = posix_rename,
	.unlink = posix_unlink,
	.mkdir = posix_mkdir,
	.rmdir = posix_rmdir,
	.sync_dir = posix_sync_dir,
	.sync_all = posix_sync_all,
	.list = posix_list,
	.space = posix_space,
	.free = posix_free,
};

/* Makes the data directory if it is missing and then syncs the directory it stands in. */
static enum err make_root(const char *dir)
{
	if (mkdir(dir, 0700) != 0)
		return errno == EEXIST ? ERR_OK : err_from_errno(errno, ERR_WRITE_FAILED);
	size_t len = strlen(dir);
	while (len > 1 && dir[len - 1] == '/')
		len--;
	while (len > 0 && dir[len - 1] != '/')
		len--;
	char *parent = len > 0 ? strndup(dir, len) : strdup(".");
	if (!parent)
		return ERR_NO_MEMORY;
	int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (fd < 0)
		return err_from_errno(errno, ERR_READ_FAILED);
	int failed = fsync(fd);
	close(fd);
	return failed ? ERR_SYNC_FAILED : ERR_OK;
}

static enum err open_root(struct posix_vfs *p, const char *dir)
{
	p->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->root < 0)
		return err_from_errno(errno, ERR_READ_FAILED);
	p->lock = open_beneath(p, "lock", O_RDWR | O_CREAT, 0600);
	if (p->lock < 0)
		return err_from_errno(errno, ERR_WRITE_FAILED);
	if (flock(p->lock, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? ERR_LOCKED : ERR_WRITE_FAILED;
	return ERR_OK;
}

enum err vfs_posix_open(const char *dir, struct vfs **out)
{
	*out = NULL;
	enum err err = make_root(dir);
	if (err != ERR_OK)
		return err;
	struct posix_vfs *p = calloc(1, sizeof *p);
	if (!p)
		return ERR_NO_MEMORY;
	p->vfs.ops = &posix_ops;
	p->root = p->lock = -1;
	pthread_mutex_init(&p->mutex, NULL);
	err = open_root(p, dir);
	if (err != ERR_OK) {
		posix_free(&p->vfs);
		return err;
	}
	*out = &p->vfs;
	return ERR_OK;
}
