/* A spool: the bytes of one track as received, in spool/<id>/<number>.
 *
 * Blocking; lane threads (or start-up). One writer at a time per spool, which the engine sees to; a sync or a read may
 * go on beside a write. */
#ifndef HOLDFAST_STORE_SPOOL_H
#define HOLDFAST_STORE_SPOOL_H

#include "core/model.h"
#include "store/vfs.h"

enum { SPOOL_PATH = 64 };

/* "spool/<id>", "spool/<id>/<number>", "spool/<id>/recording.json" into out[SPOOL_PATH]. */
void spool_dir_path(const struct uuid *id, char *out);
void spool_file_path(const struct uuid *id, uint16_t number, char *out);
void spool_manifest_path(const struct uuid *id, char *out);

/* Opens the file for reading and writing, making folder and file if they are missing; not yet synced. */
enum err spool_open(struct vfs *vfs, const struct uuid *id, uint16_t number, struct vfs_file **out);

/* Syncs the file, and with `directories` also spool/<id>/ and spool/ (needed once after spool_open made them). */
enum err spool_sync(struct vfs *vfs, const struct uuid *id, struct vfs_file *file, bool directories);

/* recording.json: all of recording_info, replaced durably (a folder that spool_open made must be synced by spool_sync).
 * ERR_LIMIT_EXCEEDED when the text would be longer than manifest_read takes. */
enum err manifest_write(struct vfs *vfs, const struct recording_info *info);
/* The same in two steps for many takes at once: `begin` for each, vfs_sync_all, `end` for each, vfs_sync_all. */
enum err manifest_write_begin(struct vfs *vfs, const struct recording_info *info);
enum err manifest_write_end(struct vfs *vfs, const struct uuid *id);
/* ERR_NOT_FOUND, ERR_CORRUPT. *out is to be released. */
enum err manifest_read(struct vfs *vfs, const struct uuid *id, struct recording_info *out);
/* The same as text, for the journal's OPEN and SEAL records; manifest_format's result is to be freed, NULL: no memory.
 */
char *manifest_format(const struct recording_info *info);
enum err manifest_parse(const char *text, size_t len, struct recording_info *out);

/* Calls back for each recording folder in spool/; foreign names are skipped. */
enum err spool_each(struct vfs *vfs, enum err (*recording)(void *arg, const struct uuid *id), void *arg);

/* Moves spool/<id> to quarantine/<id>, syncing both directories. */
enum err spool_quarantine(struct vfs *vfs, const struct uuid *id);
/* Removes its tracks and leaves recording.json; durable with ERR_OK, also when there was none. */
enum err spool_remove_tracks(struct vfs *vfs, const struct uuid *id, uint32_t count);
/* Removes the files and the folder of a recording; ERR_OK when there are none. Not synced. */
enum err spool_remove(struct vfs *vfs, const struct uuid *id);

#endif
