/* Start-up: what the journal holds is replayed into the spools, the catalog is brought up to it, and only then a new
 * run begins.
 *
 * A take's state is its newest manifest (in a record, else recording.json) with the lengths that the records add up to.
 * A take whose bytes don't add up goes to quarantine/, and the server starts without it. */
#include "engine/recover.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- spools --- */

/* A crash between the seals of the tracks and that of the recording: what its client did not end was not sealed, and
 * nobody was told so. Otherwise a `start` would be answered by `saved`, with the rest of the take still on the client.
 */
static void track_unseal(struct found *f, struct track_info *track)
{
	if (f->info.phase != PHASE_UPLOADING || !track->sealed || track->sealed_by == SEALED_BY_END)
		return;
	track->sealed = track->has_sha256 = false;
	track->sealed_by = SEALED_BY_NONE;
	f->touched = true; /* its manifest must not say otherwise when bytes come */
}

/* Cuts every spool to its length and writes the manifest beside the old one; nothing is synced yet. A take that no
 * record named is as the checkpoint left it, but for the rest of a large append that was not acked. */
static enum err settle_spools(struct recovery *r, struct found *f)
{
	struct vfs *vfs = r->e->config.vfs;
	for (uint32_t i = 0; i < f->info.track_count; i++) {
		struct found_track *t = &f->tracks[i];
		struct track_info *info = &f->info.tracks[i];
		uint64_t len = t->len == BYTES_UNKNOWN ? info->bytes : t->len;
		if (info->sealed && len != info->bytes) {
			found_bad(f, "a sealed track has another length");
			return ERR_OK;
		}
		info->bytes = len;
		track_unseal(f, info);
		if (len == 0 && !t->file)
			continue;
		uint64_t size = 0;
		enum err err = found_track_open(r, f, (uint16_t)i);
		if (!err)
			err = vfs_file_size(t->file, &size);
		if (!err && size < len) {
			found_bad(f, "the spool is shorter than what was synced");
			return ERR_OK;
		}
		if (!err && size > len) /* what was reserved behind it stays, for what comes */
			err = vfs_file_truncate(t->file, len);
		if (err)
			return err;
	}
	return f->touched ? manifest_write_begin(vfs, &f->info) : ERR_OK;
}

/* --- the catalog --- */

static enum err claim_found(struct catalog *c, const struct recording_info *info)
{
	enum catalog_outcome outcome;
	struct recording_info row = { 0 };
	struct catalog_seal seal = {
		.id = info->id,
		.by = info->sealed_by,
		.revision = info->revision,
		.tracks = info->tracks,
		.track_count = info->track_count,
		.mime = info->mime,
		.shift = info->shift,
		.error = info->phase == PHASE_ERROR ? info->error : ERR_OK,
		.error_message = info->phase == PHASE_ERROR ? err_text(info->error) : NULL,
		.now_ms = info->updated_ms,
	};
	enum err err = c->ops->claim(c, &seal, &outcome, &row);
	recording_info_release(&row);
	return err;
}

/* A new name stands in the catalog alone; manifests follow. True when there was one. */
static bool name_take(struct recording_info *info, const struct recording_info *row)
{
	if (!row->name || (info->name && strcmp(info->name, row->name) == 0))
		return false;
	free(info->name);
	info->name = must(strdup(row->name));
	return true;
}

/* What was made of it stands in the catalog alone, too. */
static void work_take(struct recording_info *info, const struct recording_info *row)
{
	free(info->warnings);
	info->warnings = row->warnings ? must(strdup(row->warnings)) : NULL;
	info->media = row->media;
	info->original_removed = row->original_removed;
	job_info_release(&info->job);
	must(job_info_copy(&info->job, &row->job) ? NULL : info);
}

/* Brings the row up to the journal: the same functions that the running server uses. The journal leads but where the
 * catalog knows an end that is no business of the journal's. */
static enum err reconcile(struct engine *e, struct found *f)
{
	struct catalog *c = e->config.catalog;
	struct recording_info *info = &f->info, row = { 0 }, changed = { 0 };
	enum catalog_outcome outcome;
	enum err err = c->ops->get(c, &f->id, &row);
	if (err == ERR_NOT_FOUND)
		return c->ops->restore(c, info);
	if (err)
		return err;
	bool sealed = info->phase != PHASE_UPLOADING && info->phase != PHASE_ABORTED;
	f->renamed = name_take(info, &row);
	if (row.original_removed) { /* the journal had it still, and it was put back */
		err = spool_remove_tracks(e->config.vfs, &f->id, info->track_count);
		recording_info_release(&row);
		return err;
	}
	if (row.phase == PHASE_UPLOADING && sealed) {
		err = claim_found(c, info);
	} else if (row.phase == PHASE_UPLOADING && info->phase == PHASE_ABORTED) {
		err = c->ops->put_tracks(c, info);
		if (!err)
			err = c->ops->abort(c, &f->id, info->abort_reason ? info->abort_reason : "", info->updated_ms,
					    &outcome, &changed);
	} else if (row.phase == PHASE_UPLOADING) {
		if (info->updated_ms < row.updated_ms) /* an upload's time to wait is not to become shorter */
			info->updated_ms = row.updated_ms;
		err = c->ops->put_tracks(c, info);
	} else if (info->phase == PHASE_UPLOADING && row.revision == info->revision &&
		   phase_may(row.phase, PHASE_UPLOADING, row.sealed_by)) {
		err = c->ops->reopen(c, &f->id, info->updated_ms, &outcome, &changed);
	} else if (sealed && info->revision > row.revision && phase_may(row.phase, PHASE_UPLOADING, row.sealed_by)) {
		err = c->ops->reopen(c, &f->id, info->updated_ms, &outcome, &changed);
		if (!err)
			err = claim_found(c, info);
	} else if (row.phase != PHASE_UPLOADING && info->phase == PHASE_UPLOADING) {
		info->phase = row.phase; /* failed or deleted meanwhile */
		info->error = row.error;
		err = manifest_write(e->config.vfs, info);
		if (!err && row.phase == PHASE_ERROR) /* what the spool lacked then, the journal had */
			err = c->ops->put_tracks(c, info);
	}
	work_take(info, changed.principal ? &changed : &row);
	recording_info_release(&row);
	recording_info_release(&changed);
	return err;
}

/* Retention took the bytes, so they don't add up. True: that is all there is to it. */
static bool bytes_were_removed(struct engine *e, const struct found *f, enum err *err)
{
	struct recording_info row;
	*err = e->config.catalog->ops->get(e->config.catalog, &f->id, &row);
	bool removed = *err == ERR_OK && row.original_removed;
	if (removed)
		*err = spool_remove_tracks(e->config.vfs, &f->id, row.track_count);
	recording_info_release(&row);
	if (*err == ERR_NOT_FOUND)
		*err = ERR_OK;
	return removed;
}

static enum err quarantine(struct engine *e, struct found *f)
{
	struct catalog *c = e->config.catalog;
	enum catalog_outcome outcome;
	struct recording_info row = { 0 };
	char id[UUID_TEXT];
	uuid_format(&f->id, id);
	log_event(LOG_ERROR, "quarantined", "id", id, "why", f->why, NULL);
	e->recovery.quarantined++;
	for (int i = 0; i < LIMIT_TRACKS; i++) {
		vfs_file_close(f->tracks[i].file);
		f->tracks[i].file = NULL;
	}
	enum err err = spool_quarantine(e->config.vfs, &f->id);
	if (err && err != ERR_NOT_FOUND)
		return err;
	err = c->ops->fail(c, &f->id, ERR_QUARANTINED, f->why, e->now.wall_ms, &outcome, &row);
	recording_info_release(&row);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err remove_found(struct engine *e, struct found *f)
{
	enum catalog_outcome outcome;
	struct recording_info row = { 0 };
	struct catalog *c = e->config.catalog;
	/* synced: the record that says so is not replayed again */
	enum err err = recording_remove_files(e->config.vfs, &f->id);
	if (!err)
		err = c->ops->remove(c, &f->id, e->now.wall_ms, &outcome, &row);
	recording_info_release(&row);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* What was found is in the folders and synced: the catalog follows, and what is unfinished goes on. */
static enum err settle(struct recovery *r, struct found *f)
{
	struct engine *e = r->e;
	if (f->deleted)
		return remove_found(e, f);
	enum err err;
	if (f->bad)
		return bytes_were_removed(e, f, &err) || err ? err : quarantine(e, f);
	err = reconcile(e, f);
	if (!err && f->info.phase != PHASE_UPLOADING && f->renamed)
		err = manifest_write(e->config.vfs, &f->info);
	if (err || f->info.phase != PHASE_UPLOADING)
		return err;
	struct take *t = take_adopt(e, &f->info);
	t->manifest_on_disk = true;
	t->manifest_dirty = f->renamed;
	e->recovery.takes++;
	return ERR_OK;
}

static enum err each_found(struct recovery *r, enum err (*visit)(struct recovery *r, struct found *f))
{
	enum err err = ERR_OK;
	for (int i = 0; i < FOUND_TABLE && !err; i++) {
		for (struct found *f = r->table[i]; f && !err; f = f->next)
			err = visit(r, f);
	}
	return err;
}

static enum err settle_files(struct recovery *r, struct found *f)
{
	if (!f->known && !f->bad && !f->deleted)
		found_bad(f, "nothing says what it is");
	return f->bad || f->deleted ? ERR_OK : settle_spools(r, f);
}

static enum err settle_manifest(struct recovery *r, struct found *f)
{
	bool written = f->touched && !f->bad && !f->deleted;
	return written ? manifest_write_end(r->e->config.vfs, &f->id) : ERR_OK;
}

/* Rows that are `uploading` and of which the journal knows nothing: begun, but never answered; or a lost journal, then
 * the spool's bytes are what there is. */
static enum err unknown_row(void *arg, const struct recording_info *row)
{
	struct recovery *r = arg;
	struct engine *e = r->e;
	if (take_by_id(e, &row->id))
		return ERR_OK;
	struct recording_info info;
	enum err read = manifest_read(e->config.vfs, &row->id, &info);
	if (read == ERR_NOT_FOUND || read == ERR_CORRUPT)
		read = recording_info_copy(&info, row);
	if (read)
		return read;
	name_take(&info, row);
	for (uint32_t i = 0; i < info.track_count; i++) {
		struct vfs_file *file;
		char path[SPOOL_PATH];
		spool_file_path(&info.id, (uint16_t)i, path);
		uint64_t size = 0;
		enum err err = vfs_open(e->config.vfs, path, VFS_READ, &file);
		if (err == ERR_OK) {
			err = vfs_file_size(file, &size);
			vfs_file_close(file);
		}
		if (err != ERR_OK && err != ERR_NOT_FOUND) {
			recording_info_release(&info);
			return err;
		}
		if (!info.tracks[i].sealed)
			info.tracks[i].bytes = size;
	}
	info.phase = PHASE_UPLOADING;
	work_take(&info, row);
	struct take *t = take_adopt(e, &info);
	t->manifest_dirty = true;
	e->recovery.takes++;
	return ERR_OK;
}

/* An item that waits: its row is all there is of it, unless a manifest knows better. */
static enum err waiting_row(void *arg, const struct uuid *id)
{
	struct recovery *r = arg;
	struct catalog *c = r->e->config.catalog;
	struct recording_info info, row;
	enum err err = manifest_read(r->e->config.vfs, id, &info);
	if (err == ERR_OK)
		recording_info_release(&info);
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err && err != ERR_CORRUPT)
		return err;
	err = c->ops->get(c, id, &row);
	if (!err)
		err = unknown_row(r, &row);
	recording_info_release(&row);
	return err;
}

static enum err settle_all(struct recovery *r)
{
	struct catalog *c = r->e->config.catalog;
	struct vfs *vfs = r->e->config.vfs;
	/* Thousands of takes may have been open: they are synced together, contents before names. */
	enum err err = each_found(r, settle_files);
	if (!err)
		err = vfs_sync_all(vfs);
	if (!err)
		err = each_found(r, settle_manifest);
	if (!err)
		err = vfs_sync_all(vfs);
	if (!err)
		err = c->ops->begin(c);
	if (err)
		return err;
	err = each_found(r, settle);
	if (!err)
		err = c->ops->each_unfinished(c, unknown_row, r);
	if (!err)
		err = c->ops->each_waiting(c, waiting_row, r);
	if (!err)
		err = c->ops->commit(c);
	if (err)
		c->ops->rollback(c);
	return err;
}

enum err engine_recover(struct engine *e)
{
	struct recovery *r = must(calloc(1, sizeof *r));
	struct checkpoint_track *tracks = NULL;
	size_t count = 0;
	r->e = e;
	enum err err = recovery_replay(r);
	if (!err)
		err = settle_all(r);
	for (int i = 0; i < FOUND_TABLE; i++) {
		while (r->table[i]) {
			struct found *f = r->table[i];
			r->table[i] = f->next;
			found_free(f);
		}
	}
	free(r);
	if (!err)
		err = jobs_recover(e);
	if (!err)
		err = shows_recover(e);
	if (!err)
		err = uploads_recover(e);
	if (!err)
		err = checkpoint_tracks(e, &tracks, &count);
	if (!err)
		err = journal_start(e->journal, tracks, count);
	free(tracks);
	if (!err)
		e->checkpoint.covered = journal_durable(e->journal);
	return err;
}
