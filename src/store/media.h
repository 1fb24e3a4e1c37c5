/* What was published: media/<id>/<revision>/ holds `file.<ext>` (unless the bytes as received are served as they are),
 * `thumbnail.jpg`, `waveform.json`, and `media.json`, the facts, so that a lost catalog can be made again.
 *
 * Each attempt writes into a folder of its own, media/<id>/<revision>.<epoch>.tmp/; publishing syncs its files and its
 * folder, renames it to media/<id>/<revision>/ and syncs media/<id>/. The rename happens inside the catalog's
 * transaction that checks the epoch (catalog.h, job_publish), so a late result never replaces anything. Blocking; any
 * lane. */
#ifndef HOLDFAST_STORE_MEDIA_H
#define HOLDFAST_STORE_MEDIA_H

#include "core/model.h"
#include "store/vfs.h"

enum media_part { MEDIA_FILE, MEDIA_THUMBNAIL, MEDIA_WAVEFORM, MEDIA_PART_COUNT };

#define MEDIA_PATH LIMIT_PATH_BYTES

/* The path of a part of a published revision (MEDIA_FILE: media->ext names it). */
void media_part_path(const struct uuid *id, const struct media_info *media, enum media_part part, char out[MEDIA_PATH]);

/* An attempt's folder, made anew (what an earlier one of the same name left goes first), with its three files open for
 * reading and writing. */
struct media_attempt {
	struct uuid id;
	uint32_t revision, epoch;
	struct vfs_file *files[MEDIA_PART_COUNT];
};
enum err media_attempt_open(struct vfs *vfs, const struct uuid *id, uint32_t revision, uint32_t epoch,
			    struct media_attempt *out);
/* Syncs `file`, names it by its ext, writes media.json, syncs the folder. An as_is one has no file. ERR_CHECK_FAILED:
 * what the worker said of it can't be. */
enum err media_attempt_seal(struct vfs *vfs, struct media_attempt *a, const struct media_info *media);
/* The rename and its sync. Done again for the same attempt it changes nothing; what an earlier attempt published as the
 * same revision makes room. */
enum err media_attempt_publish(struct vfs *vfs, const struct media_attempt *a);
/* Behind the publishing: syncs what there is of thumbnail and waveform (media says), removes what there is not, and
 * writes media.json again. NOT_FOUND: another attempt has published since. */
enum err media_attempt_finish(struct vfs *vfs, struct media_attempt *a, const struct media_info *media);
/* Closes the files; `discard`: removes the folder unless it was published. */
void media_attempt_close(struct vfs *vfs, struct media_attempt *a, bool discard);

/* Removes every folder of the recording but the revision `keep`, which is put back first if a crash left it aside (0:
 * all, and media/<id>/ itself; that is not synced). */
enum err media_remove(struct vfs *vfs, const struct uuid *id, uint32_t keep);
/* Is what was published there and whole? `why`: a sentence's end about what is not. NOT_FOUND, CORRUPT. */
enum err media_check(struct vfs *vfs, const struct uuid *id, const struct media_info *media, const char **why);
/* The facts of the newest revision that is whole; NOT_FOUND. For verify --rebuild. */
enum err media_read(struct vfs *vfs, const struct uuid *id, struct media_info *out);

#endif
