/* SQLite's file layer on a struct vfs, so that the catalog's files pass the one seam like all others.
 *
 * One connection only: locks succeed trivially, because the data directory's own lock keeps other processes out, and
 * there is no shared memory, so WAL works only with locking_mode=EXCLUSIVE. A sync that failed is remembered for good.
 */
#ifndef HOLDFAST_STORE_VFS_SQLITE_H
#define HOLDFAST_STORE_VFS_SQLITE_H

#include "store/vfs.h"

struct vfs_sqlite;

/* Registers a VFS under a name of its own. `read_only`: nothing is written; a missing WAL reads as an empty one. */
enum err vfs_sqlite_register(struct vfs *vfs, bool read_only, struct vfs_sqlite **out);
/* For sqlite3_open_v2. */
const char *vfs_sqlite_name(const struct vfs_sqlite *v);
/* Has any sync through it failed? SQLite itself swallows that of a checkpoint. */
bool vfs_sqlite_sync_failed(const struct vfs_sqlite *v);
/* All its files must be closed. Accepts NULL. */
void vfs_sqlite_unregister(struct vfs_sqlite *v);

#endif
