/* Start-up, first half: the journal's records are put into the spools, and each take's newest manifest and lengths are
 * found. See recover.c. */
#include "base/crc.h"
#include "base/log.h"
#include "engine/recover.h"

#include <stdlib.h>
#include <string.h>

static struct found *found_get(struct recovery *r, const struct uuid *id)
{
	struct found **slot = &r->table[uuid_hash(id) % FOUND_TABLE];
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

void found_bad(struct found *f, const char *why)
{
	f->bad = true;
	f->why = why;
}

void found_free(struct found *f)
{
	for (int i = 0; i < LIMIT_TRACKS; i++)
		vfs_file_close(f->tracks[i].file);
	recording_info_release(&f->info);
	free(f);
}

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

enum err found_track_open(struct recovery *r, struct found *f, uint16_t number)
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
	enum err err = found_track_open(r, f, record->track);
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
	enum err err = found_track_open(r, f, record->track);
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

enum err recovery_replay(struct recovery *r)
{
	struct replay replay = { .checkpoint = on_checkpoint, .record = on_record, .damaged = on_damaged, .arg = r };
	return journal_replay(r->e->journal, &replay, false);
}
