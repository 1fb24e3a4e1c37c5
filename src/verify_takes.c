/* Takes as they stand on the disk, see verify_takes.h.
 *
 * The journal is replayed without writing anything. A track is read once, from its first byte to its last: up to a
 * record's offset from the spool, then the record's own bytes, and what is behind the last record from the spool again.
 * That is exactly what recovery would make of it. */
#include "verify_takes.h"

#include "base/crc.h"
#include "store/journal.h"
#include "store/media.h"
#include "store/spool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void verify_init(struct verify *v)
{
	*v = (struct verify){ 0 };
	v->last = &v->first;
}

static void take_free(struct checked_take *t)
{
	for (unsigned i = 0; i < LIMIT_TRACKS; i++)
		EVP_MD_CTX_free(t->tracks[i].hash);
	recording_info_release(&t->info);
	free(t);
}

void verify_release(struct verify *v)
{
	while (v->first) {
		struct checked_take *t = v->first;
		v->first = t->sibling;
		take_free(t);
	}
}

void verify_problem(struct verify *v, const struct uuid *id, const char *format, ...)
{
	char sentence[512];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	v->problems++;
	v->problem(v->arg, id, sentence);
}

struct checked_take *verify_find(const struct verify *v, const struct uuid *id)
{
	struct checked_take *t = v->table[uuid_hash(id) % VERIFY_TABLE];
	while (t && !uuid_equal(&t->id, id))
		t = t->next;
	return t;
}

static bool file_there(struct verify *v, const char *path)
{
	struct vfs_file *file;
	enum err err = vfs_open(v->vfs, path, VFS_READ, &file);
	if (err == ERR_OK)
		vfs_file_close(file);
	return err != ERR_NOT_FOUND;
}

/* What was published, and whether it is all that is left; the catalog is asked later whether it was meant so. */
static void look_published(struct verify *v, struct checked_take *t)
{
	enum err err = media_read(v->vfs, &t->id, &t->media);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		verify_problem(v, &t->id, "what was published of it can't be read: %s", err_code(err));
	for (uint32_t i = 0; t->known && t->media.revision > 0 && !t->media.as_is && i < t->info.track_count; i++) {
		char path[SPOOL_PATH];
		spool_file_path(&t->id, (uint16_t)i, path);
		if (t->info.tracks[i].sealed && t->info.tracks[i].bytes > 0 && !file_there(v, path))
			t->removed = true;
	}
}

/* The take of this id, made when it is new. Its first state is recording.json. NULL: no memory. */
static struct checked_take *take_get(struct verify *v, const struct uuid *id)
{
	struct checked_take *t = verify_find(v, id);
	if (t)
		return t;
	t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->id = *id;
	for (unsigned i = 0; i < LIMIT_TRACKS; i++)
		t->tracks[i].len = BYTES_UNKNOWN;
	enum err err = manifest_read(v->vfs, id, &t->info);
	t->known = err == ERR_OK;
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		verify_problem(v, id, "its recording.json can't be read: %s", err_code(err));
	look_published(v, t);
	t->next = v->table[uuid_hash(id) % VERIFY_TABLE];
	v->table[uuid_hash(id) % VERIFY_TABLE] = t;
	*v->last = t;
	v->last = &t->sibling;
	return t;
}

static void hash_add(struct checked_track *track, const void *data, size_t len)
{
	if (!track->hash) {
		track->hash = EVP_MD_CTX_new();
		EVP_DigestInit_ex(track->hash, EVP_sha256(), NULL);
	}
	EVP_DigestUpdate(track->hash, data, len);
	track->read += len;
}

/* A stretch of a spool to be read: into the track's digest, and into a CRC where one is asked for. */
struct stretch {
	struct checked_take *take;
	uint16_t number;
	uint64_t from, to;
	uint32_t *crc; /* or NULL */
};

static enum err read_pieces(struct verify *v, const struct stretch *s, struct vfs_file *file, uint64_t *reached)
{
	struct checked_track *track = &s->take->tracks[s->number];
	uint8_t *piece = malloc(LIMIT_PIECE_BYTES);
	enum err err = piece ? ERR_OK : ERR_NO_MEMORY;
	for (*reached = s->from; err == ERR_OK && *reached < s->to;) {
		uint64_t left = s->to - *reached;
		size_t got = 0, want = left < LIMIT_PIECE_BYTES ? (size_t)left : LIMIT_PIECE_BYTES;
		err = vfs_file_read(file, piece, want, *reached, &got);
		if (err != ERR_OK || got == 0)
			break;
		if (s->crc)
			*s->crc = crc32c(*s->crc, piece, got);
		if (track->read >= *reached && track->read < *reached + got) {
			size_t skip = (size_t)(track->read - *reached);
			hash_add(track, piece + skip, got - skip);
		}
		*reached += got;
		v->bytes_read += got;
		v->progress(v->arg);
	}
	free(piece);
	return err;
}

/* Reads [from, to) of a spool. False after a problem was told: then bytes are not there. */
static bool read_stretch(struct verify *v, const struct stretch *s)
{
	char path[SPOOL_PATH];
	struct vfs_file *file;
	uint64_t reached = s->from;
	if (s->from >= s->to)
		return true;
	spool_file_path(&s->take->id, s->number, path);
	enum err err = vfs_open(v->vfs, path, VFS_READ, &file);
	if (err == ERR_OK) {
		err = read_pieces(v, s, file, &reached);
		vfs_file_close(file);
	}
	if (reached == s->to)
		return true;
	verify_problem(v, &s->take->id, "track %u: bytes %llu to %llu are %s", s->number, (unsigned long long)reached,
		       (unsigned long long)s->to, err == ERR_OK || err == ERR_NOT_FOUND ? "missing" : "not readable");
	s->take->tracks[s->number].read = s->to; /* told once */
	return false;
}

/* The records */

static enum err on_checkpoint(void *arg, const struct record *record)
{
	struct verify *v = arg;
	struct checkpoint_track *tracks = NULL;
	size_t count = 0;
	if (!record)
		return ERR_OK;
	enum err err = journal_checkpoint_parse(record, &tracks, &count);
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		struct checked_take *t = take_get(v, &tracks[i].recording);
		if (!t)
			err = ERR_NO_MEMORY;
		else if (tracks[i].track < LIMIT_TRACKS)
			t->tracks[tracks[i].track].len = tracks[i].synced_bytes;
	}
	free(tracks);
	return err;
}

/* Brings a track up to `offset`, where a record goes on. */
static bool reach(struct verify *v, struct checked_take *t, const struct record *record)
{
	struct checked_track *track = &t->tracks[record->track];
	if (track->len == BYTES_UNKNOWN)
		track->len = record->offset;
	if (record->offset > track->len) {
		verify_problem(v, &t->id, "track %u: bytes %llu to %llu are missing from the journal", record->track,
			       (unsigned long long)track->len, (unsigned long long)record->offset);
		track->len = track->read = record->offset;
		return false;
	}
	return read_stretch(v, &(struct stretch){ t, record->track, track->read, record->offset, NULL });
}

static void on_append(struct verify *v, struct checked_take *t, const struct record *record)
{
	struct checked_track *track = &t->tracks[record->track];
	uint64_t at = record->offset;
	reach(v, t, record);
	for (int i = 0; i < record->payload_count; i++) {
		const struct iovec *piece = &record->payload[i];
		if (track->read >= at && track->read < at + piece->iov_len) {
			size_t skip = (size_t)(track->read - at);
			hash_add(track, (const uint8_t *)piece->iov_base + skip, piece->iov_len - skip);
		}
		at += piece->iov_len;
	}
	if (at > track->len)
		track->len = at;
}

static uint64_t little_endian(const uint8_t *bytes, unsigned count)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < count; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

static void on_extent(struct verify *v, struct checked_take *t, const struct record *record)
{
	struct checked_track *track = &t->tracks[record->track];
	uint32_t crc = 0;
	if (record->payload_len != 12) {
		verify_problem(v, &t->id, "track %u: a large append's record has the wrong form", record->track);
		return;
	}
	const uint8_t *payload = record->payload[0].iov_base;
	uint64_t end = record->offset + little_endian(payload, 8);
	reach(v, t, record);
	if (read_stretch(v, &(struct stretch){ t, record->track, record->offset, end, &crc }) &&
	    crc != (uint32_t)little_endian(payload + 8, 4))
		verify_problem(v, &t->id, "track %u: bytes %llu to %llu are not those that were journaled",
			       record->track, (unsigned long long)record->offset, (unsigned long long)end);
	if (end > track->len)
		track->len = end;
}

static void on_manifest(struct verify *v, struct checked_take *t, const struct record *record)
{
	struct recording_info info;
	if (record->payload_count != 1 ||
	    manifest_parse(record->payload[0].iov_base, record->payload_len, &info) != ERR_OK) {
		verify_problem(v, &t->id, "a manifest in the journal can't be read");
		return;
	}
	recording_info_release(&t->info);
	t->info = info;
	t->known = true;
	for (uint32_t i = 0; i < info.track_count; i++)
		if (t->tracks[i].len == BYTES_UNKNOWN)
			t->tracks[i].len = info.tracks[i].bytes;
}

static enum err on_record(void *arg, const struct record *record)
{
	struct verify *v = arg;
	struct checked_take *t = take_get(v, &record->recording);
	if (!t)
		return ERR_NO_MEMORY;
	t->in_journal = true;
	if (record->track != RECORD_WHOLE && record->track >= LIMIT_TRACKS) {
		verify_problem(v, &t->id, "a record in the journal names track %u", record->track);
		return ERR_OK;
	}
	switch (record->type) {
	case RECORD_APPEND:
		if (!t->removed)
			on_append(v, t, record);
		break;
	case RECORD_EXTENT:
		if (!t->removed)
			on_extent(v, t, record);
		break;
	case RECORD_PART:
		if (t->known && record->track < t->info.track_count)
			track_info_add_part(&t->info.tracks[record->track], record->offset);
		break;
	case RECORD_OPEN:
	case RECORD_SEAL:
	case RECORD_ABORT:
		on_manifest(v, t, record);
		break;
	case RECORD_DELETE:
		t->deleted = true;
		break;
	case RECORD_CHECKPOINT:
		break;
	}
	return ERR_OK;
}

static void on_damaged(void *arg, uint64_t first, uint64_t next, const char *copy)
{
	verify_problem(arg, NULL, "the journal's records %llu to %llu were durable and are damaged",
		       (unsigned long long)first, (unsigned long long)next - 1);
}

static void fill_random(void *arg, void *out, size_t len)
{
	if (getrandom(out, len, 0) != (ssize_t)len)
		abort(); /* cannot happen below 256 bytes */
}

static void on_durable(void *arg, uint64_t sequence)
{
}

static void on_failed(void *arg, enum err err)
{
}

static void on_room(void *arg)
{
}

static enum err note_entry(void *arg, const char *name)
{
	*(bool *)arg = true;
	return ERR_OK;
}

/* journal_open makes what is missing; verify must not, so it looks first. */
static enum err read_journal(struct verify *v, struct exec *exec, uint64_t journal_bytes)
{
	struct journal *journal;
	struct journal_config config = {
		.vfs = v->vfs,
		.exec = exec,
		.size_bytes = journal_bytes,
		.segment_bytes = journal_segment_bytes(journal_bytes),
		.io = JOURNAL_IO_AUTO,
		.random = fill_random,
		.durable = on_durable,
		.failed = on_failed,
		.room = on_room,
	};
	struct replay replay = { on_checkpoint, on_record, on_damaged, v };
	bool any = false;
	enum err err = vfs_list(v->vfs, "journal", note_entry, &any);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && !any))
		return ERR_OK;
	if (err == ERR_OK)
		err = journal_open(&config, &journal);
	if (err != ERR_OK)
		return err;
	err = journal_replay(journal, &replay, true);
	journal_close(journal);
	return err;
}

/* The folders */

static bool holds_bytes(struct verify *v, const struct checked_take *t)
{
	bool any = false;
	for (uint16_t i = 0; i < LIMIT_TRACKS && !any; i++) {
		char path[SPOOL_PATH];
		struct vfs_file *file;
		uint64_t size = 0;
		spool_file_path(&t->id, i, path);
		if (vfs_open(v->vfs, path, VFS_READ, &file) != ERR_OK)
			continue;
		any = vfs_file_size(file, &size) != ERR_OK || size > 0;
		vfs_file_close(file);
	}
	return any;
}

static void check_digest(struct verify *v, struct checked_take *t, uint32_t i)
{
	struct track_info *info = &t->info.tracks[i];
	struct checked_track *track = &t->tracks[i];
	struct sha256 digest;
	bool published = t->media.revision > 0 && t->media.revision == t->info.revision;
	if (!info->sealed || !(info->has_sha256 || published))
		return;
	hash_add(track, "", 0);
	EVP_DigestFinal_ex(track->hash, digest.bytes, NULL);
	if (!info->has_sha256) { /* its worker found it, and told the catalog: that is compared with this one */
		info->sha256 = digest;
		info->has_sha256 = true;
	} else if (memcmp(&digest, &info->sha256, sizeof digest) != 0)
		verify_problem(v, &t->id, "track %u: its SHA-256 is not the one that it was sealed with", i);
}

/* No bytes to read: what there is was published from them. */
static void finish_removed(struct verify *v, struct checked_take *t)
{
	if (t->media.revision != t->info.revision)
		verify_problem(v, &t->id, "its bytes are missing, and revision %u was not published of them",
			       t->info.revision);
	t->info.original_removed = true;
	v->recordings++;
}

static void finish_take(struct verify *v, struct checked_take *t)
{
	for (uint32_t i = 0; i < t->info.track_count; i++) {
		struct track_info *info = &t->info.tracks[i];
		uint64_t len = t->tracks[i].len == BYTES_UNKNOWN ? info->bytes : t->tracks[i].len;
		bool whole = read_stretch(v, &(struct stretch){ t, (uint16_t)i, t->tracks[i].read, len, NULL });
		if (info->sealed && len != info->bytes) {
			verify_problem(v, &t->id, "track %u: it was sealed with %llu bytes and has %llu", i,
				       (unsigned long long)info->bytes, (unsigned long long)len);
			whole = false;
		}
		info->bytes = len;
		v->bytes += len;
		if (whole)
			check_digest(v, t, i);
		EVP_MD_CTX_free(t->tracks[i].hash);
		t->tracks[i].hash = NULL;
	}
	v->recordings++;
}

static enum err note_folder(void *arg, const struct uuid *id)
{
	return take_get(arg, id) ? ERR_OK : ERR_NO_MEMORY;
}

enum err verify_read(struct verify *v, struct exec *exec, uint64_t journal_bytes)
{
	enum err err = read_journal(v, exec, journal_bytes);
	if (err == ERR_NO_MEMORY)
		return err;
	if (err != ERR_OK)
		verify_problem(v, NULL, "the journal can't be read: %s", err_text(err));
	err = spool_each(v->vfs, note_folder, v);
	if (err != ERR_OK)
		return err;
	for (struct checked_take *t = v->first; t; t = t->sibling) {
		if (t->deleted)
			continue;
		t->info.media = t->media;
		if (t->known && t->removed)
			finish_removed(v, t);
		else if (t->known)
			finish_take(v, t);
		else if (t->in_journal || holds_bytes(v, t)) /* else a folder made ahead of a start that never was */
			verify_problem(v, &t->id,
				       "nothing says what it is: its recording.json is missing or unreadable");
	}
	return ERR_OK;
}
