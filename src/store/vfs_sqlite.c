/* SQLite's file layer on a struct vfs, see vfs_sqlite.h. Errors are translated here, both ways. */
#include "store/vfs_sqlite.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 32, PATH_BYTES = 64, SECTOR_BYTES = 4096 };

struct vfs_sqlite {
	sqlite3_vfs base; /* first: SQLite's pointer is ours */
	struct vfs *vfs;
	bool read_only;
	atomic_bool sync_failed;
	char name[NAME_BYTES];
};

struct db_file {
	sqlite3_file base; /* first, as above */
	struct vfs_sqlite *owner;
	struct vfs_file *file; /* NULL: the empty WAL of a read-only database */
	bool sync_dir;	       /* it was created: its directory must be synced with it, once */
	bool delete_on_close;
	char path[PATH_BYTES];
};

static struct vfs_sqlite *owner_of(sqlite3_vfs *base)
{
	return base->pAppData;
}

static struct db_file *file_of(sqlite3_file *base)
{
	return (struct db_file *)(void *)base;
}

/* What SQLite is told: full storage and memory by their own codes, the rest by `otherwise`. */
static int code_of(enum err err, int otherwise)
{
	switch (err) {
	case ERR_OK:
		return SQLITE_OK;
	case ERR_STORAGE_FULL:
		return SQLITE_FULL;
	case ERR_NO_MEMORY:
		return SQLITE_IOERR_NOMEM;
	default:
		return otherwise;
	}
}

static int sync_code(struct vfs_sqlite *v, enum err err, int otherwise)
{
	if (err == ERR_OK)
		return SQLITE_OK;
	atomic_store(&v->sync_failed, true);
	return otherwise;
}

static int sync_parent(struct vfs_sqlite *v, const char *path)
{
	char dir[PATH_BYTES] = "";
	const char *slash = strrchr(path, '/');
	if (slash) {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = '\0';
	}
	return sync_code(v, vfs_sync_dir(v->vfs, dir), SQLITE_IOERR_DIR_FSYNC);
}

static int file_close(sqlite3_file *base)
{
	struct db_file *f = file_of(base);
	vfs_file_close(f->file);
	f->file = NULL;
	if (f->delete_on_close)
		vfs_unlink(f->owner->vfs, f->path);
	return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *data, int len, sqlite3_int64 off)
{
	struct db_file *f = file_of(base);
	size_t got = 0;
	enum err err = f->file ? vfs_file_read(f->file, data, (size_t)len, (uint64_t)off, &got) : ERR_OK;
	if (err != ERR_OK)
		return code_of(err, SQLITE_IOERR_READ);
	if (got == (size_t)len)
		return SQLITE_OK;
	memset((char *)data + got, 0, (size_t)len - got); /* SQLite relies on zeros behind the end */
	return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *data, int len, sqlite3_int64 off)
{
	struct db_file *f = file_of(base);
	if (f->owner->read_only)
		return SQLITE_READONLY;
	return code_of(vfs_file_write(f->file, data, (size_t)len, (uint64_t)off), SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct db_file *f = file_of(base);
	if (f->owner->read_only)
		return SQLITE_READONLY;
	return code_of(vfs_file_truncate(f->file, (uint64_t)size), SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *base, int flags)
{
	struct db_file *f = file_of(base);
	if (f->owner->read_only)
		return SQLITE_OK;
	int rc = sync_code(f->owner, vfs_file_sync(f->file), SQLITE_IOERR_FSYNC);
	if (rc != SQLITE_OK || !f->sync_dir)
		return rc;
	f->sync_dir = false;
	return sync_parent(f->owner, f->path);
}

static int file_size(sqlite3_file *base, sqlite3_int64 *out)
{
	struct db_file *f = file_of(base);
	uint64_t size = 0;
	enum err err = f->file ? vfs_file_size(f->file, &size) : ERR_OK;
	*out = (sqlite3_int64)size;
	return code_of(err, SQLITE_IOERR_FSTAT);
}

static int file_lock(sqlite3_file *base, int level)
{
	return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *base, int *out)
{
	*out = 0;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
	return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base)
{
	return SECTOR_BYTES;
}

/* As SQLite's own VFS: an interrupted write damages nothing outside of the range that it wrote. */
static int file_characteristics(sqlite3_file *base)
{
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 1, /* no shared memory */
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_lock,
	.xCheckReservedLock = file_check_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_characteristics,
};

static enum err open_writable(struct db_file *f, int flags)
{
	enum err err = vfs_open(f->owner->vfs, f->path, VFS_READ | VFS_WRITE, &f->file);
	if (err != ERR_NOT_FOUND || !(flags & SQLITE_OPEN_CREATE))
		return err;
	f->sync_dir = true;
	return vfs_open(f->owner->vfs, f->path, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, &f->file);
}

static enum err open_read_only(struct db_file *f, int flags)
{
	enum err err = vfs_open(f->owner->vfs, f->path, VFS_READ, &f->file);
	/* a database that was closed cleanly has no WAL, and SQLite insists on one */
	return err == ERR_NOT_FOUND && (flags & SQLITE_OPEN_WAL) ? ERR_OK : err;
}

static int db_open(sqlite3_vfs *base, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	struct db_file *f = file_of(file);
	*f = (struct db_file){ .owner = owner_of(base) };
	if (!name || strlen(name) >= PATH_BYTES) /* no temporary files: temp_store is memory */
		return SQLITE_CANTOPEN;
	memcpy(f->path, name, strlen(name) + 1);
	f->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) && !f->owner->read_only;
	bool writable = (flags & SQLITE_OPEN_READWRITE) && !f->owner->read_only;
	enum err err = writable ? open_writable(f, flags) : open_read_only(f, flags);
	if (err != ERR_OK) {
		f->file = NULL;
		return code_of(err, SQLITE_CANTOPEN);
	}
	f->base.pMethods = &file_methods;
	if (out_flags)
		*out_flags = writable ? flags
				      : (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
	return SQLITE_OK;
}

static int db_delete(sqlite3_vfs *base, const char *name, int sync_dir)
{
	struct vfs_sqlite *v = owner_of(base);
	if (v->read_only)
		return SQLITE_READONLY;
	enum err err = vfs_unlink(v->vfs, name);
	if (err == ERR_NOT_FOUND)
		return SQLITE_IOERR_DELETE_NOENT;
	if (err != ERR_OK)
		return code_of(err, SQLITE_IOERR_DELETE);
	return sync_dir ? sync_parent(v, name) : SQLITE_OK;
}

/* As in SQLite's own VFS, an empty file counts as none: a journal without a header is no hot journal. */
static int db_access(sqlite3_vfs *base, const char *name, int flags, int *out)
{
	struct vfs_file *file;
	uint64_t size = 0;
	*out = 0;
	enum err err = vfs_open(owner_of(base)->vfs, name, VFS_READ, &file);
	if (err == ERR_NOT_FOUND)
		return SQLITE_OK;
	if (err == ERR_OK) {
		err = vfs_file_size(file, &size);
		vfs_file_close(file);
	}
	*out = size > 0;
	return code_of(err, SQLITE_IOERR_ACCESS);
}

static int db_full_path(sqlite3_vfs *base, const char *name, int size, char *out)
{
	if (strlen(name) >= (size_t)size)
		return SQLITE_CANTOPEN;
	memcpy(out, name, strlen(name) + 1);
	return SQLITE_OK;
}

/* The rest only has to be there. Nothing of it decides anything (no temporary names, no SQL dates, one connection), so
 * all of it is constant: the simulation must not see a clock or chance that its seed did not make. */

static int db_randomness(sqlite3_vfs *base, int len, char *out)
{
	memset(out, 0x5a, (size_t)len);
	return len;
}

static int db_sleep(sqlite3_vfs *base, int us)
{
	return 0;
}

static int db_time(sqlite3_vfs *base, double *out)
{
	*out = 2440587.5; /* 1970-01-01 as a Julian day */
	return SQLITE_OK;
}

static int db_last_error(sqlite3_vfs *base, int size, char *out)
{
	return 0;
}

enum err vfs_sqlite_register(struct vfs *vfs, bool read_only, struct vfs_sqlite **out)
{
	static atomic_uint count;
	*out = NULL;
	struct vfs_sqlite *v = calloc(1, sizeof *v);
	if (!v)
		return ERR_NO_MEMORY;
	snprintf(v->name, sizeof v->name, "holdfast-%u", atomic_fetch_add(&count, 1));
	v->vfs = vfs;
	v->read_only = read_only;
	v->base = (sqlite3_vfs){
		.iVersion = 1,
		.szOsFile = sizeof(struct db_file),
		.mxPathname = PATH_BYTES - 1,
		.zName = v->name,
		.pAppData = v,
		.xOpen = db_open,
		.xDelete = db_delete,
		.xAccess = db_access,
		.xFullPathname = db_full_path,
		.xRandomness = db_randomness,
		.xSleep = db_sleep,
		.xCurrentTime = db_time,
		.xGetLastError = db_last_error,
	};
	if (sqlite3_vfs_register(&v->base, 0) != SQLITE_OK) {
		free(v);
		return ERR_NO_MEMORY;
	}
	*out = v;
	return ERR_OK;
}

const char *vfs_sqlite_name(const struct vfs_sqlite *v)
{
	return v->name;
}

bool vfs_sqlite_sync_failed(const struct vfs_sqlite *v)
{
	return atomic_load(&v->sync_failed);
}

void vfs_sqlite_unregister(struct vfs_sqlite *v)
{
	if (!v)
		return;
	sqlite3_vfs_unregister(&v->base);
	free(v);
}
