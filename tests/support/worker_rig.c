/* See worker_rig.h. */
#include "support/worker_rig.h"

#include "store/vfs.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static struct worker_rig_slot *slot_of(struct workers *w, unsigned slot)
{
	assert(slot < WORKER_RIG_SLOTS);
	return &((struct worker_rig *)w)->slots[slot];
}

static void on_start(struct workers *w, unsigned slot)
{
	struct worker_rig *rig = (struct worker_rig *)w;
	struct worker_rig_slot *s = slot_of(w, slot);
	assert(!s->there);
	s->there = true;
	s->starts++;
	s->answers = !rig->mute && !rig->no_start;
	s->dies = rig->no_start;
}

static void on_ping(struct workers *w, unsigned slot)
{
	struct worker_rig_slot *s = slot_of(w, slot);
	assert(s->there && !s->job);
	s->pings++;
	s->answers = !((struct worker_rig *)w)->mute;
}

static void on_give(struct workers *w, unsigned slot, const struct worker_job *job)
{
	struct worker_rig_slot *s = slot_of(w, slot);
	assert(s->there && !s->job);
	s->job = job;
	((struct worker_rig *)w)->gives++;
}

static void on_kill(struct workers *w, unsigned slot)
{
	struct worker_rig_slot *s = slot_of(w, slot);
	assert(s->there);
	s->kills++;
	s->answers = false;
	s->dies = !((struct worker_rig *)w)->immortal;
}

static const struct workers_ops ops = { on_start, on_ping, on_give, on_kill };

void worker_rig_init(struct worker_rig *w)
{
	*w = (struct worker_rig){ .base = { .ops = &ops } };
}

void worker_rig_say(struct worker_rig *w, unsigned slot, enum worker_event_type type, enum err err)
{
	struct media_info media = { .bytes = 0, .duration_ms = 1500, .mime = "video/test", .ext = "test" };
	struct worker_event event = { .type = type, .progress = 250, .media = &media, .err = err };
	struct worker_rig_slot *s = &w->slots[slot];
	for (uint32_t i = 0; s->job && i < s->job->track_count; i++)
		media.bytes += s->job->tracks[i].bytes;
	media.has_thumbnail = media.has_waveform = type == WORKER_DONE;
	if (type == WORKER_GONE)
		*s = (struct worker_rig_slot){ .starts = s->starts, .pings = s->pings, .kills = s->kills };
	w->base.event(w->base.arg, slot, &event);
}

unsigned worker_rig_turn(struct worker_rig *w)
{
	unsigned count = 0;
	for (unsigned i = 0; i < WORKER_RIG_SLOTS; i++) {
		struct worker_rig_slot *s = &w->slots[i];
		if (s->dies)
			worker_rig_say(w, i, WORKER_GONE, w->no_start ? ERR_NOT_FOUND : ERR_OK);
		else if (s->answers)
			worker_rig_say(w, i, WORKER_READY, ERR_OK);
		else
			continue;
		s->answers = false;
		count++;
	}
	return count;
}

int worker_rig_busy(const struct worker_rig *w)
{
	for (int i = 0; i < WORKER_RIG_SLOTS; i++) {
		if (w->slots[i].job)
			return i;
	}
	return -1;
}

bool worker_rig_hash(struct worker_rig *w, unsigned slot, bool wrong)
{
	const struct worker_job *job = w->slots[slot].job;
	struct track_hash hashes[LIMIT_TRACKS];
	uint32_t count = 0;
	for (uint32_t i = 0; i < job->track_count; i++) {
		const struct worker_track *t = &job->tracks[i];
		if (!t->hash)
			continue;
		char *data = malloc(t->bytes);
		size_t got;
		enum err err = vfs_file_read(t->file, data, t->bytes, 0, &got);
		assert(data && err == ERR_OK && got == t->bytes);
		hashes[count].track = (uint16_t)i;
		EVP_Digest(data, got, hashes[count].sha256.bytes, NULL, EVP_sha256(), NULL);
		hashes[count++].sha256.bytes[0] ^= wrong;
		free(data);
	}
	struct worker_event event = { .type = WORKER_HASHED, .hashes = hashes, .hash_count = count };
	if (count > 0)
		w->base.event(w->base.arg, slot, &event);
	return count > 0;
}

void worker_rig_file(struct worker_rig *w, unsigned slot)
{
	worker_rig_hash(w, slot, false);
	worker_rig_file_only(w, slot);
}

void worker_rig_file_only(struct worker_rig *w, unsigned slot)
{
	const struct worker_job *job = w->slots[slot].job;
	uint64_t at = 0;
	for (uint32_t i = 0; i < job->track_count; i++) {
		char piece[4096];
		size_t got = 0;
		for (uint64_t off = 0; off < job->tracks[i].bytes; off += got, at += got) {
			enum err err = vfs_file_read(job->tracks[i].file, piece, sizeof piece, off, &got);
			assert(err == ERR_OK && got > 0);
			err = vfs_file_write(job->file, piece, got, at);
			assert(err == ERR_OK);
		}
	}
	worker_rig_say(w, slot, WORKER_FILE, ERR_OK);
}

void worker_rig_done(struct worker_rig *w, unsigned slot)
{
	const struct worker_job *job = w->slots[slot].job;
	enum err err = vfs_file_write(job->thumbnail, "picture", 7, 0);
	if (!err)
		err = vfs_file_write(job->waveform, "{}", 2, 0);
	assert(err == ERR_OK);
	worker_rig_say(w, slot, WORKER_DONE, ERR_OK);
	worker_rig_say(w, slot, WORKER_GONE, ERR_OK);
}
