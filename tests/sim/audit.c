/* The end of a seed: what stands in the files and in the catalog is what was promised, nothing twice, nothing missing.
 */
#include "content.h"
#include "onair.h"
#include "outside.h"
#include "store/spool.h"
#include "uploader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool all_final(const struct take_truth *take)
{
	for (unsigned i = 0; i < take->track_count; i++) {
		if (!take->tracks[i].final && !(take->completed && take->tracks[i].total == 0))
			return false; /* a track of 0 bytes may be completed before it begins */
	}
	return true;
}

void oracle_final(struct world *w)
{
	for (unsigned i = 0; i < w->plan.takes; i++) {
		const struct take_truth *take = &w->takes[i];
		bool must = take->fate == FATE_NONE || take->fate == FATE_COMPLETE_ALL;
		bool empty = take->aborted && oracle_may_abort(take) && w->plan.late_ms < LATE_FOR_EVER;
		bool expired = take->deleted && w->plan.retain_ms != UINT64_MAX;
		if (must && !empty && !expired && !all_final(take) && !(take->in_error && oracle_excused(w, take)))
			sim_fail(&w->sim, "liveness", "%s was never saved", take->session);
	}
}

static void check_part(struct world *w, const struct take_truth *take, const struct track_truth *track,
		       const struct track_info *info)
{
	bool found = track->last_part == 0;
	for (uint32_t i = 0; i < info->part_count; i++) {
		found = found || info->parts[i] == track->last_part;
		if (info->parts[i] >= info->bytes || (i > 0 && info->parts[i] <= info->parts[i - 1]))
			sim_fail(&w->sim, "parts are kept", "%s has a part at %" PRIu64, take->session, info->parts[i]);
	}
	if (!found)
		sim_fail(&w->sim, "parts are kept", "%s/%s lost its part at %" PRIu64, take->session, track->name,
			 track->last_part);
}

/* Only what is published goes, and nothing that a late resume may still go on with. */
static void check_removed(struct world *w, const struct take_truth *take, const struct recording_info *row)
{
	if (!row->original_removed)
		return;
	bool late = row->sealed_by != SEALED_BY_GRACE || w->plan.late_ms < LATE_FOR_EVER;
	bool published = row->media.revision == row->revision && row->revision > 0 && !row->media.as_is;
	if (w->plan.retain_originals_ms == UINT64_MAX || row->phase != PHASE_COMPLETE || !published || !late)
		sim_fail(&w->sim, "the end is the end", "%s: its original was removed", take->session);
	world_tally(w, TALLY_ORIGINALS);
}

/* The spool file, read past the engine. */
static void check_file(struct world *w, const struct take_truth *take, const struct track_truth *track,
		       const struct recording_info *row, const struct track_info *info)
{
	static uint8_t data[65536];
	struct sim *s = &w->sim;
	char path[SPOOL_PATH];
	struct vfs_file *file;
	uint64_t size = 0, off = 0;
	size_t n = 0;
	spool_file_path(&row->id, info->number, path);
	enum err err = vfs_open(disk_vfs(w->disk), path, VFS_READ, &file);
	if (err == ERR_NOT_FOUND && (info->bytes == 0 || row->original_removed))
		return;
	if (err != ERR_OK)
		sim_fail(s, "acked bytes are there", "%s: no file %s", take->session, path);
	vfs_file_size(file, &size);
	if (size != info->bytes)
		sim_fail(s, "one take, one file", "%s/%s: the file has %" PRIu64 " bytes, the catalog says %" PRIu64,
			 take->session, info->name, size, info->bytes);
	while (take->honest && off < size && vfs_file_read(file, data, sizeof data, off, &n) == ERR_OK && n > 0) {
		size_t same = content_differs(track->content, track->shift + off, data, n);
		if (same < n)
			sim_fail(s, "acked bytes are there", "%s/%s has a wrong byte at %" PRIu64 " in its file",
				 take->session, track->name, off + same);
		off += n;
	}
	vfs_file_close(file);
}

/* What a seal or a worker has found out of the track. */
static void check_hash(struct world *w, const struct take_truth *take, const struct track_truth *track,
		       const struct recording_info *row, const struct track_info *info)
{
	uint8_t sha[32];
	bool may_lack = take->late_hash && row->phase != PHASE_COMPLETE;
	if (!info->has_sha256 && may_lack)
		return;
	if (take->late_hash && !take->early_hash && w->plan.workers == 0)
		sim_fail(&w->sim, "hashed by whom", "%s/%s has a SHA-256, and nobody can have made it", take->session,
			 track->name);
	content_sha256(track->content, track->shift, info->bytes, sha);
	if (!info->has_sha256 || memcmp(sha, info->sha256.bytes, sizeof sha) != 0)
		sim_fail(&w->sim, "saved is what was sent", "%s/%s: wrong SHA-256 in the catalog", take->session,
			 track->name);
}

static void check_track(struct world *w, const struct take_truth *take, const struct track_truth *track,
			struct recording_info *row)
{
	struct sim *s = &w->sim;
	const struct track_info *info = recording_info_track(row, track->name);
	if (!info) {
		if (track->known && row->phase != PHASE_UPLOADING) /* the catalog may lag until then */
			sim_fail(s, "one take, one file", "%s lost its track %s", take->session, track->name);
		return;
	}
	if (info->bytes < track->promised)
		sim_fail(s, "acked bytes are there", "%s/%s: %" PRIu64 " of %" PRIu64 " bytes", take->session,
			 track->name, info->bytes, track->promised);
	if (track->final && info->bytes != track->saved_bytes)
		sim_fail(s, "finished once", "%s/%s was saved with %" PRIu64 " bytes and has %" PRIu64, take->session,
			 track->name, track->saved_bytes, info->bytes);
	if (info->sealed)
		check_hash(w, take, track, row, info);
	check_part(w, take, track, info);
	check_file(w, take, track, row, info);
}

static void check_row_phase(struct world *w, const struct take_truth *take, const struct recording_info *row)
{
	struct sim *s = &w->sim;
	const char *phase = phase_name(row->phase);
	bool deleted = row->phase == PHASE_DELETED;
	if ((take->deleted && !deleted) || (deleted && !take->deleting))
		sim_fail(s, "the end is the end", "%s is %s", take->session, phase);
	if (take->aborted && row->phase != PHASE_ABORTED && row->phase != PHASE_DELETED)
		sim_fail(s, "the end is the end", "%s was aborted and is %s", take->session, phase);
	if (take->told_error && row->phase == PHASE_UPLOADING)
		sim_fail(s, "the status is the truth", "%s was said to be in error and is %s", take->session, phase);
	if (take->in_error || take->aborted || deleted)
		return;
	if (take->fate == FATE_WRONG_SHA && row->phase == PHASE_ERROR)
		return;
	bool given_up = row->phase == PHASE_ERROR && take->failures + w->failures > 0;
	bool finished = w->plan.workers == 0 ? row->phase == PHASE_QUEUED : row->phase == PHASE_COMPLETE || given_up;
	if (all_final(take) && !finished)
		sim_fail(s, "the status is the truth", "%s was saved and is %s", take->session, phase);
	if (row->phase != PHASE_UPLOADING && !finished)
		sim_fail(s, "liveness", "%s is still %s", take->session, phase);
	if (row->phase == PHASE_UPLOADING && recording_info_bytes(row) > 0)
		sim_fail(s, "liveness", "%s is still uploading", take->session);
	if (row->revision < take->revision)
		sim_fail(s, "finished once", "%s went back to revision %" PRIu32, take->session, row->revision);
}

/* The manifest knows the seal; what became of it behind that, the catalog alone. */
static bool same_side(enum phase manifest, enum phase row)
{
	bool sealed = manifest >= PHASE_QUEUED && manifest <= PHASE_ERROR;
	return manifest == row || (sealed && row >= PHASE_QUEUED && row <= PHASE_ERROR);
}

/* The manifest is what the catalog would be rebuilt from. */
static void check_manifest(struct world *w, const struct take_truth *take, const struct recording_info *row)
{
	struct recording_info manifest;
	enum err err = manifest_read(disk_vfs(w->disk), &row->id, &manifest);
	if (err == ERR_NOT_FOUND && recording_info_bytes(row) == 0)
		return;
	if (err != ERR_OK)
		sim_fail(&w->sim, "the catalog can be rebuilt", "%s: recording.json: %s", take->session, err_code(err));
	if (recording_info_bytes(&manifest) != recording_info_bytes(row) || !same_side(manifest.phase, row->phase))
		sim_fail(&w->sim, "the catalog can be rebuilt",
			 "%s: recording.json has %" PRIu64 " bytes in %s, the catalog %" PRIu64 " in %s", take->session,
			 recording_info_bytes(&manifest), phase_name(manifest.phase), recording_info_bytes(row),
			 phase_name(row->phase));
	recording_info_release(&manifest);
}

static enum err count_entry(void *arg, const char *name)
{
	++*(unsigned *)arg;
	return ERR_OK;
}

/* What was deleted is gone from the disk too, and nothing was set aside without a reason. */
static void check_leftovers(struct world *w, const struct take_truth *take, const struct recording_info *row)
{
	char path[SPOOL_PATH];
	unsigned count = 0;
	spool_dir_path(&row->id, path);
	enum err err = vfs_list(disk_vfs(w->disk), path, count_entry, &count);
	if (row->phase == PHASE_DELETED && err != ERR_NOT_FOUND)
		sim_fail(&w->sim, "the end is the end", "%s is deleted and its folder holds %u files", take->session,
			 count);
	count = 0;
	err = vfs_list(disk_vfs(w->disk), "quarantine", count_entry, &count);
	if (count > 0 && !oracle_excused(w, take))
		sim_fail(&w->sim, "no fault", "%u entries in quarantine/", count);
}

/* If it is deleted, nobody but the server did that, and it had something. */
static bool expired(const struct world *w, const struct take_truth *take)
{
	bool any = false;
	for (unsigned i = 0; i < take->track_count; i++)
		any = any || take->tracks[i].promised > 0;
	return w->plan.retain_ms != UINT64_MAX && take->fate != FATE_DELETE && take->track_count == 1 && any;
}

void audit_take(struct world *w, struct catalog *catalog, const struct take_truth *take)
{
	struct recording_info row;
	struct uuid id;
	if (!uuid_parse(take->id, &id))
		return;
	enum err err = catalog->ops->get(catalog, &id, &row);
	if (err != ERR_OK)
		sim_fail(&w->sim, "the status is the truth", "%s has no row: %s", take->session, err_code(err));
	check_row_phase(w, take, &row);
	audit_work(w, catalog, take, &row);
	if (w->plan.notifies)
		receiver_audit(w, catalog, &id, take->session);
	if (!take->in_error)
		pushes_audit(w, &row, take->session, expired(w, take));
	check_leftovers(w, take, &row);
	check_removed(w, take, &row);
	if (row.phase != PHASE_DELETED && row.phase != PHASE_ABORTED && !take->in_error) {
		for (unsigned i = 0; i < take->track_count; i++)
			check_track(w, take, &take->tracks[i], &row);
		check_manifest(w, take, &row);
	}
	recording_info_release(&row);
}

void oracle_audit(struct world *w)
{
	struct catalog *catalog;
	enum err err = catalog_sqlite_open(disk_vfs(w->disk), true, &catalog);
	if (err != ERR_OK)
		sim_fail(&w->sim, "it starts again", "the catalog can't be read: %s", err_code(err));
	for (unsigned i = 0; i < w->plan.takes; i++)
		audit_take(w, catalog, &w->takes[i]);
	imports_audit(w, catalog);
	batchers_audit(w, catalog);
	onair_audit(w, catalog);
	uploaders_audit(w, catalog);
	events_audit(w, catalog);
	pushes_audit_all(w);
	catalog_close(catalog);
}
