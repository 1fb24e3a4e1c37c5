/* Start-up: what the journal holds is replayed into the spools, the catalog is brought up to it, and only then a new
 * run begins.
 *
 * A take's state is its newest manifest (in a record, else recording.json) with the lengths that the records add up to.
 * A take whose bytes don't add up goes to quarantine/, and the server starts without it. */
#include "engine/internal.h"

#include "base/crc.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE = 4096 };

struct found_track {
	uint64_t len; /* BYTES_UNKNOWN: nothing said so far */
	struct vfs_file *file;
	bool touched;
};

struct found {
	struct found *next;
	struct uuid id;
	struct recording_info info;
	bool known; /* info stands */
	bool bad, deleted;
	bool touched; /* a record named it: its spools and manifest are behind */
	const char *why;
	struct found_track tracks[LIMIT_TRACKS];
};

struct recovery {
	struct engine *e;
	enum err err; /* what stops the recovery */
	struct found *table[TABLE];
};

static struct found *found_get(struct recovery *r, const struct uuid *id)
{
	struct found **slot = &r->table[uuid_hash(id) % TABLE];
	for (struct found *f = *slot; f; f = f->next) {
		if (uuid_equal(&f->id, id))
			return f;
	}
	struct found *f = must(calloc(1, sizeof *f));
	f->id = *id;
	for (int i = 0; i < LIMIT_TRACKS; i++)
		f->tracks[i].len = BYTES_UNKNOWN;
	enum err err = manifest_read(r->e->config.vfs, id, &f->info);
	f->known = err == ERR_OK;
	if (err != ERR_OK && err != ERR_NOT_FOUND && err != ERR_CORRUPT)
		r->err = err; /* a disk that can't be read now is no reason to give the take up */
	f->next = *slot;
	*slot = f;
	return f;
}

static void found_bad(struct found *f, const char *why)
{
	f->bad = true;
	f->why = why;
}

static void found_free(struct found *f)
{
	for (int i = 0; i < LIMIT_TRACKS; i++)
		vfs_file_close(f->tracks[i].file);
	recording_info_release(&f->info);
	free(f);
}

/* --- records --- */

static enum err on_checkpoint(void *arg, const struct record *record)
{
	struct recovery *r = arg;
	struct checkpoint_track *tracks;
	size_t count;
	if (!record)
		return ERR_OK;
	enum err err = journal_checkpoint_parse(record, &tracks, &count);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		struct found *f = found_get(r, &tracks[i].recording);
		if (tracks[i].track >= LIMIT_TRACKS)
			found_bad(f, "a track number out of range");
		else
			f->tracks[tracks[i].track].len = tracks[i].synced_bytes;
	}
	free(tracks);
	return r->err;
}

static enum err track_open(struct recovery *r, struct found *f, uint16_t number)
{
	struct found_track *t = &f->tracks[number];
	t->touched = true;
	return t->file ? ERR_OK : spool_open(r->e->config.vfs, &f->id, number, &t->file);
}

/* False when bytes before `offset` are missing. What lies before the first record about a track was synced before the
 * checkpoint. */
static bool reaches(struct found *f, uint16_t number, uint64_t offset)
{
	struct found_track *t = &f->tracks[number];
	if (t->len == BYTES_UNKNOWN)
		t->len = offset;
	if (offset <= t->len)
		return true;
	found_bad(f, "bytes are missing");
	return false;
}

static enum err on_append(struct recovery *r, struct found *f, const struct record *record)
{
	struct found_track *t = &f->tracks[record->track];
	if (!reaches(f, record->track, record->offset))
		return ERR_OK;
	enum err err = track_open(r, f, record->track);
	if (!err)
		err = vfs_file_writev(t->file, record->payload, record->payload_count, record->offset, false);
	if (err)
		return err;
	if (record->offset + record->payload_len > t->len)
		t->len = record->offset + record->payload_len;
	r->e->recovery.bytes += record->payload_len;
	return ERR_OK;
}

static uint64_t little_endian(const uint8_t *bytes, int count)
{
	uint64_t value = 0;
	for (int i = 0; i < count; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

/* The bytes of an extent stand synced in the spool; they are read back and compared. */
static enum err on_extent(struct recovery *r, struct found *f, const struct record *record)
{
	enum { PIECE = 256 * 1024 };
	struct found_track *t = &f->tracks[record->track];
	if (!reaches(f, record->track, record->offset))
		return ERR_OK;
	if (record->payload_len != 12) {
		found_bad(f, "an extent of the wrong form");
		return ERR_OK;
	}
	const uint8_t *payload = record->payload[0].iov_base;
	uint64_t len = little_endian(payload, 8), at = 0;
	uint32_t crc = 0;
	enum err err = track_open(r, f, record->track);
	uint8_t *piece = must(malloc(PIECE));
	while (!err && at < len) {
		size_t got, want = len - at < PIECE ? (size_t)(len - at) : PIECE;
		err = vfs_file_read(t->file, piece, want, record->offset + at, &got);
		if (!err && got == 0)
			break;
		crc = crc32c(crc, piece, got);
		at += got;
	}
	free(piece);
	if (err)
		return err;
	if (at < len || crc != (uint32_t)little_endian(payload + 8, 4))
		found_bad(f, "a large append is damaged in its spool");
	else if (record->offset + len > t->len)
		t->len = record->offset + len;
	return ERR_OK;
}

static void on_manifest(struct found *f, const struct record *record)
{
	struct recording_info info;
	enum err err = record->payload_count == 1
			       ? manifest_parse(record->payload[0].iov_base, record->payload_len, &info)
			       : ERR_CORRUPT;
	if (err) {
		found_bad(f, "a record's manifest can't be read");
		return;
	}
	recording_info_release(&f->info);
	f->info = info;
	f->known = true;
	for (uint32_t i = 0; i < info.track_count; i++) {
		if (f->tracks[i].len == BYTES_UNKNOWN)
			f->tracks[i].len = info.tracks[i].bytes;
	}
}

static enum err on_record(void *arg, const struct record *record)
{
	struct recovery *r = arg;
	struct found *f = found_get(r, &record->recording);
	r->e->recovery.records++;
	f->touched = true;
	if (r->err)
		return r->err;
	if (record->track != RECORD_WHOLE && record->track >= LIMIT_TRACKS) {
		found_bad(f, "a track number out of range");
		return ERR_OK;
	}
	switch (record->type) {
	case RECORD_APPEND:
		return on_append(r, f, record);
	case RECORD_EXTENT:
		return on_extent(r, f, record);
	case RECORD_PART:
		if (f->known && record->track < f->info.track_count)
			track_info_add_part(&f->info.tracks[record->track], record->offset);
		break;
	case RECORD_OPEN:
	case RECORD_SEAL:
	case RECORD_ABORT:
		on_manifest(f, record);
		break;
	case RECORD_DELETE:
		f->deleted = true;
		break;
	case RECORD_CHECKPOINT:
		break;
	}
	return ERR_OK;
}

static void on_damaged(void *arg, uint64_t first, uint64_t next, const char *copy)
{
	struct recovery *r = arg;
	r->e->recovery.damaged++;
	log_event(LOG_ERROR, "journal_damaged", "first", log_number(first), "next", log_number(next), "copy", copy,
		  NULL);
}

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
		enum err err = track_open(r, f, (uint16_t)i);
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
		.error = info->phase == PHASE_ERROR ? info->error : ERR_OK,
		.error_message = info->phase == PHASE_ERROR ? err_text(info->error) : NULL,
		.now_ms = info->updated_ms,
	};
	enum err err = c->ops->claim(c, &seal, &outcome, &row);
	recording_info_release(&row);
	return err;
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
	if (row.phase == PHASE_UPLOADING && sealed) {
		err = claim_found(c, info);
	} else if (row.phase == PHASE_UPLOADING && info->phase == PHASE_ABORTED) {
		err = c->ops->put_tracks(c, info);
		if (!err)
			err = c->ops->abort(c, &f->id, info->abort_reason ? info->abort_reason : "", info->updated_ms,
					    &outcome, &changed);
	} else if (row.phase == PHASE_UPLOADING) {
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
	}
	recording_info_release(&row);
	recording_info_release(&changed);
	return err;
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
	enum err err = spool_remove(e->config.vfs, &f->id);
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
	if (f->bad)
		return quarantine(e, f);
	enum err err = reconcile(e, f);
	if (err || f->info.phase != PHASE_UPLOADING)
		return err;
	struct take *t = take_adopt(e, &f->info);
	t->manifest_on_disk = true;
	e->recovery.takes++;
	return ERR_OK;
}

static enum err each_found(struct recovery *r, enum err (*visit)(struct recovery *r, struct found *f))
{
	enum err err = ERR_OK;
	for (int i = 0; i < TABLE && !err; i++) {
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
	struct take *t = take_adopt(e, &info);
	t->manifest_dirty = true;
	e->recovery.takes++;
	return ERR_OK;
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
	struct replay replay = { .checkpoint = on_checkpoint, .record = on_record, .damaged = on_damaged, .arg = r };
	enum err err = journal_replay(e->journal, &replay, false);
	if (!err)
		err = settle_all(r);
	for (int i = 0; i < TABLE; i++) {
		while (r->table[i]) {
			struct found *f = r->table[i];
			r->table[i] = f->next;
			found_free(f);
		}
	}
	free(r);
	if (!err)
		err = checkpoint_tracks(e, &tracks, &count);
	if (!err)
		err = journal_start(e->journal, tracks, count);
	free(tracks);
	if (!err)
		e->checkpoint.covered = journal_durable(e->journal);
	return err;
}
