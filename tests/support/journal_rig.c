/* See journal_rig.h. */
#include "support/journal_rig.h"
#include "base/crc.h"
#include "base/limits.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEDIA_BYTES = 1 << 16 };

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

uint32_t rig_random(struct rig *r, uint32_t below)
{
	/* splitmix64, by Sebastiano Vigna, in the public domain */
	uint64_t z = r->seed += 0x9e3779b97f4a7c15ULL;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	z ^= z >> 31;
	return (uint32_t)(z % below);
}

static void random_bytes(void *arg, void *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)rig_random(arg, 256);
}

struct rig *rig_new(uint64_t size_bytes)
{
	struct rig *r = calloc(1, sizeof *r);
	assert(r);
	r->seed = 1;
	r->size_bytes = size_bytes;
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(r->dir, sizeof r->dir, "%s/journal-test-XXXXXX", base);
	char *made = mkdtemp(r->dir);
	enum err err = vfs_posix_open(r->dir, &r->real);
	r->media = malloc(MEDIA_BYTES);
	assert(made && err == ERR_OK && r->media);
	random_bytes(r, r->media, MEDIA_BYTES);
	r->vfs = vfs_fault_new(r->real);
	return r;
}

void rig_free(struct rig *r)
{
	rig_kill(r);
	vfs_free(r->vfs);
	vfs_free(r->real);
	nftw(r->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(r->appended.items);
	free(r->replayed.items);
	free(r->media);
	free(r);
}

static void on_durable(void *arg, uint64_t sequence)
{
	struct rig *r = arg;
	assert(sequence > r->durable);
	r->durable = sequence;
	r->durable_calls++;
}

static void on_failed(void *arg, enum err err)
{
	struct rig *r = arg;
	r->failed_calls++;
	r->failed_err = err;
}

static void on_room(void *arg)
{
	struct rig *r = arg;
	assert(!journal_full(r->journal));
	r->room_calls++;
}

static bool on_fill(void *arg)
{
	return !((struct rig *)arg)->fill_refused;
}

enum err rig_open(struct rig *r)
{
	struct journal_config config = {
		.vfs = r->vfs,
		.size_bytes = r->size_bytes,
		.segment_bytes = RIG_SEGMENT,
		.random = random_bytes,
		.random_arg = r,
		.durable = on_durable,
		.failed = on_failed,
		.room = on_room,
		.may_fill = on_fill,
		.arg = r,
	};
	r->exec = exec_inline_new();
	config.exec = exec_inline_exec(r->exec);
	r->durable = 0;
	return journal_open(&config, &r->journal);
}

static void remember(struct rig_list *list, const struct record *record)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 64;
		list->items = realloc(list->items, list->capacity * sizeof *list->items);
		assert(list->items);
	}
	struct rig_record *item = &list->items[list->count++];
	item->record = *record;
	item->payload_crc = 0;
	for (int i = 0; i < record->payload_count; i++)
		item->payload_crc = crc32c(item->payload_crc, record->payload[i].iov_base, record->payload[i].iov_len);
	item->record.payload = NULL;
}

static enum err on_checkpoint(void *arg, const struct record *record)
{
	struct rig *r = arg;
	r->replayed_checkpoint = record != NULL;
	r->replayed_from = record ? record->offset : 0;
	if (record) {
		struct checkpoint_track *tracks;
		size_t count;
		enum err err = journal_checkpoint_parse(record, &tracks, &count);
		assert(err == ERR_OK && count <= sizeof r->replayed_tracks / sizeof *tracks);
		memcpy(r->replayed_tracks, tracks, count * sizeof *tracks);
		r->replayed_track_count = count;
		free(tracks);
	}
	return ERR_OK;
}

static enum err on_record(void *arg, const struct record *record)
{
	struct rig *r = arg;
	remember(&r->replayed, record);
	return ERR_OK;
}

static void on_damaged(void *arg, uint64_t first, uint64_t next, const char *copy)
{
	struct rig *r = arg;
	assert(first < next && r->damage_count < sizeof r->damage / sizeof *r->damage);
	struct rig_damage *d = &r->damage[r->damage_count++];
	d->first = first;
	d->next = next;
	snprintf(d->copy, sizeof d->copy, "%s", copy);
}

enum err rig_replay(struct rig *r, bool dry_run)
{
	struct replay replay = { .checkpoint = on_checkpoint, .record = on_record, .damaged = on_damaged, .arg = r };
	r->replayed.count = 0;
	r->damage_count = 0;
	return journal_replay(r->journal, &replay, dry_run);
}

void rig_start(struct rig *r)
{
	enum err err = rig_open(r);
	if (err == ERR_OK)
		err = rig_replay(r, false);
	if (err == ERR_OK)
		err = journal_start(r->journal, NULL, 0);
	assert(err == ERR_OK);
	r->durable = journal_durable(r->journal);
}

void rig_kill(struct rig *r)
{
	if (r->journal) {
		journal_quiet(r->journal);
		exec_inline_drain(r->exec);
	}
	journal_close(r->journal);
	exec_inline_free(r->exec);
	r->journal = NULL;
	r->exec = NULL;
}

struct position rig_append_payload(struct rig *r, enum record_type type, const void *payload, uint32_t len)
{
	struct iovec pieces[3];
	uint32_t a = len / 3, b = len / 2;
	pieces[0] = (struct iovec){ (void *)payload, a };
	pieces[1] = (struct iovec){ (uint8_t *)payload + a, b - a };
	pieces[2] = (struct iovec){ (uint8_t *)payload + b, len - b };
	struct record record = { .type = type,
				 .track = (uint16_t)rig_random(r, 16),
				 .offset = rig_random(r, 1000000),
				 .payload = pieces,
				 .payload_count = len ? 3 : 0,
				 .payload_len = len };
	memset(record.recording.bytes, (int)rig_random(r, 256), sizeof record.recording.bytes);
	struct position position = journal_append(r->journal, &record);
	record.sequence = position.sequence;
	remember(&r->appended, &record);
	return position;
}

struct position rig_append(struct rig *r, uint32_t most)
{
	static const enum record_type types[] = { RECORD_APPEND, RECORD_APPEND, RECORD_EXTENT, RECORD_OPEN,
						  RECORD_SEAL };
	uint32_t len = rig_random(r, most + 1);
	return rig_append_payload(r, types[rig_random(r, 5)], r->media + rig_random(r, MEDIA_BYTES - most), len);
}

void rig_commit(struct rig *r)
{
	uint64_t before;
	do {
		before = r->durable;
		journal_kick(r->journal);
		exec_inline_turn(r->exec);
	} while (r->durable != before);
}

void rig_checkpoint(struct rig *r)
{
	rig_commit(r);
	struct journal_status status;
	journal_status(r->journal, &status);
	struct checkpoint_track track = { .track = 1, .synced_bytes = 5 };
	journal_checkpoint(r->journal, status.next_sequence, &track, 1);
	rig_commit(r);
}

/* the bytes on the disk */

static void segment_name(unsigned number, char out[32])
{
	snprintf(out, 32, "journal/%04u", number);
}

struct rig_image rig_take(struct rig *r)
{
	struct rig_image image = { .bytes = malloc((size_t)RIG_SEGMENTS_MAX * RIG_SEGMENT) };
	assert(image.bytes);
	for (unsigned i = 0; i < RIG_SEGMENTS_MAX; i++) {
		char path[32];
		struct vfs_file *file;
		size_t got;
		segment_name(i, path);
		if (vfs_open(r->real, path, VFS_READ, &file) != ERR_OK)
			break;
		uint8_t *to = image.bytes + (size_t)i * RIG_SEGMENT;
		memset(to, 0, RIG_SEGMENT);
		enum err err = vfs_file_read(file, to, RIG_SEGMENT, 0, &got);
		assert(err == ERR_OK);
		vfs_file_close(file);
		image.count = i + 1;
	}
	return image;
}

void rig_put(struct rig *r, const struct rig_image *image)
{
	for (unsigned i = 0; i < RIG_SEGMENTS_MAX; i++) {
		char path[32];
		struct vfs_file *file;
		segment_name(i, path);
		if (i >= image->count) {
			if (vfs_unlink(r->real, path) != ERR_OK)
				break;
			continue;
		}
		enum err err = vfs_open(r->real, path, VFS_WRITE | VFS_CREATE, &file);
		if (err == ERR_OK)
			err = vfs_file_write(file, image->bytes + (size_t)i * RIG_SEGMENT, RIG_SEGMENT, 0);
		assert(err == ERR_OK);
		vfs_file_close(file);
	}
}

struct rig_image rig_image_copy(const struct rig_image *image)
{
	size_t bytes = (size_t)image->count * RIG_SEGMENT;
	struct rig_image copy = { .count = image->count, .bytes = malloc(bytes) };
	assert(copy.bytes);
	memcpy(copy.bytes, image->bytes, bytes);
	return copy;
}

void rig_image_free(struct rig_image *image)
{
	free(image->bytes);
	*image = (struct rig_image){ 0 };
}

/* the oracle */

static const struct rig_record *find_appended(const struct rig *r, uint64_t sequence)
{
	for (size_t i = 0; i < r->appended.count; i++)
		if (r->appended.items[i].record.sequence == sequence)
			return &r->appended.items[i];
	return NULL;
}

static bool same_record(const struct rig_record *a, const struct rig_record *b)
{
	const struct record *x = &a->record, *y = &b->record;
	return x->type == y->type && x->track == y->track && x->offset == y->offset && x->sequence == y->sequence &&
	       x->payload_len == y->payload_len && a->payload_crc == b->payload_crc &&
	       uuid_equal(&x->recording, &y->recording);
}

static bool is_reported(const struct rig *r, uint64_t sequence)
{
	for (size_t i = 0; i < r->damage_count; i++)
		if (r->damage[i].first <= sequence && sequence < r->damage[i].next)
			return true;
	return false;
}

void rig_check(struct rig *r, uint64_t from, uint64_t upto)
{
	uint64_t last = 0;
	for (size_t i = 0; i < r->replayed.count; i++) {
		const struct rig_record *got = &r->replayed.items[i];
		const struct rig_record *want = find_appended(r, got->record.sequence);
		assert(want && same_record(got, want));
		assert(got->record.sequence > last);
		last = got->record.sequence;
		assert(!is_reported(r, last));
	}
	size_t next = 0;
	for (size_t i = 0; i < r->appended.count; i++) {
		uint64_t sequence = r->appended.items[i].record.sequence;
		if (sequence < from || sequence > upto)
			continue;
		while (next < r->replayed.count && r->replayed.items[next].record.sequence < sequence)
			next++;
		bool there = next < r->replayed.count && r->replayed.items[next].record.sequence == sequence;
		assert(there || is_reported(r, sequence));
	}
}
