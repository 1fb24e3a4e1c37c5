/* Workers decided by the seed: most do their work, others fail, for now or for good, die, lie, hang, are slow, can't be
 * started for a while, or go silent past their lease and speak when nobody should listen any more. What they make of a
 * recording is its tracks, one behind the other. */
#include "work/worker.h"
#include "outside.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum course {
	COURSE_WORKS,
	COURSE_FAILS,
	COURSE_UNREADABLE,
	COURSE_DIES,	  /* before the file */
	COURSE_DIES_LATE, /* behind it */
	COURSE_SILENT,
	COURSE_LIES,	 /* says more than it wrote */
	COURSE_UNHASHED, /* leaves out what it was to hash, if anything */
};

struct hand {
	struct world *w;
	unsigned slot;
	uint64_t generation; /* of its process: what an earlier one meant to do is not done */
	bool there, killed, hashed, filed, heard;
	const struct worker_job *job;
	enum course course;
	unsigned signs; /* of life before the next thing happens */
};

struct sim_workers {
	struct workers base;
	struct hand hands[SIM_WORKERS];
};

static struct rng *luck(struct world *w)
{
	return &w->work_rng;
}

/* Nothing goes wrong any more. */
static bool fine(const struct world *w)
{
	return w->calm;
}

static struct take_truth *take_of(struct hand *h)
{
	char id[UUID_TEXT];
	uuid_format(&h->job->recording, id);
	for (unsigned i = 0; i < TAKES; i++) {
		if (strcmp(h->w->takes[i].id, id) == 0)
			return &h->w->takes[i];
	}
	return NULL; /* nobody was told its id yet */
}

static void came_to_nothing(struct hand *h)
{
	struct take_truth *take = h->job ? take_of(h) : NULL;
	if (take)
		take->failures++;
	else
		h->w->failures += h->job != NULL;
}

static void later(struct hand *h, uint64_t delay_us, void (*fn)(void *arg, uint64_t x))
{
	sim_after(&h->w->sim, delay_us, fn, h, h->generation);
}

static void say(struct hand *h, enum worker_event_type type, enum err err)
{
	struct world *w = h->w;
	static const char *const names[] = { "ready", "alive", "hashed", "file", "done", "failed", "gone" };
	struct media_info media = { .duration_ms = 1000, .mime = "video/x-sim", .ext = "sim" };
	struct worker_event event = { .type = type, .media = &media, .err = err };
	for (uint32_t i = 0; h->job && i < h->job->track_count; i++)
		media.bytes += h->job->tracks[i].bytes;
	media.bytes += h->course == COURSE_LIES;
	media.has_thumbnail = media.has_waveform = type == WORKER_DONE;
	event.progress = (unsigned)rng_below(luck(w), 1001);
	sim_trace(&w->sim, "worker", names[type], h->slot, err);
	h->heard = type != WORKER_GONE;
	if (type == WORKER_GONE) {
		h->there = h->killed = h->hashed = h->filed = false;
		h->job = NULL;
		h->generation++;
	}
	w->workers->base.event(w->workers->base.arg, h->slot, &event);
	world_touched(w);
}

static void go(void *arg, uint64_t x)
{
	struct hand *h = arg;
	if (x == h->generation)
		say(h, WORKER_GONE, h->job && h->course == COURSE_DIES ? ERR_WORKER_DIED : ERR_OK);
}

static void stillborn(void *arg, uint64_t x)
{
	struct hand *h = arg;
	if (x == h->generation)
		say(h, WORKER_GONE, ERR_NOT_FOUND);
}

static void ready(void *arg, uint64_t x)
{
	struct hand *h = arg;
	if (x == h->generation)
		say(h, WORKER_READY, ERR_OK);
}

/* The tracks, one behind the other. */
static enum err write_file(struct hand *h)
{
	static uint8_t piece[65536];
	uint64_t at = 0;
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < h->job->track_count && !err; i++) {
		const struct worker_track *track = &h->job->tracks[i];
		size_t got = 0;
		for (uint64_t off = 0; off < track->bytes && !err; off += got, at += got) {
			uint64_t rest = track->bytes - off;
			err = vfs_file_read(track->file, piece, rest < sizeof piece ? (size_t)rest : sizeof piece, off,
					    &got);
			if (!err && got == 0)
				err = ERR_READ_FAILED;
			if (!err)
				err = vfs_file_write(h->job->file, piece, got, at);
		}
	}
	return err;
}

/* For those who read it. */
static void note_made(const struct hand *h)
{
	static const char *const names[] = { "main", "video", "audio", "screen" };
	struct made_file made = { h->job->recording, h->job->revision, h->job->track_count, { 0 }, { 0 } };
	if (h->job->track_count > TRACKS)
		return; /* a liar's */
	for (uint32_t i = 0; i < h->job->track_count; i++) {
		for (unsigned k = 1; k < sizeof names / sizeof *names; k++) {
			if (strcmp(h->job->tracks[i].name, names[k]) == 0)
				made.tracks[i] = k - 1;
		}
		made.bytes[i] = h->job->tracks[i].bytes;
	}
	asker_made(h->w, &made);
}

static void give_up(struct hand *h, enum err err)
{
	came_to_nothing(h);
	say(h, WORKER_FAILED, err);
	later(h, rng_below(luck(h->w), 20 * MS), go);
}

static bool wants_hash(const struct hand *h)
{
	for (uint32_t i = 0; i < h->job->track_count && !h->hashed; i++) {
		if (h->job->tracks[i].hash)
			return true;
	}
	return false;
}

/* The SHA-256 of what it is asked for. False: it has given up. */
static bool hash(struct hand *h)
{
	struct world *w = h->w;
	struct track_hash hashes[LIMIT_TRACKS];
	struct worker_event event = { .type = WORKER_HASHED, .hashes = hashes };
	for (uint32_t i = 0; i < h->job->track_count; i++) {
		const struct worker_track *t = &h->job->tracks[i];
		uint8_t *data = t->hash ? malloc(t->bytes) : NULL;
		size_t got = 0;
		if (!data)
			continue;
		enum err err = vfs_file_read(t->file, data, t->bytes, 0, &got);
		hashes[event.hash_count].track = (uint16_t)i;
		EVP_Digest(data, got, hashes[event.hash_count++].sha256.bytes, NULL, EVP_sha256(), NULL);
		free(data);
		if (err != ERR_OK || got != t->bytes) {
			give_up(h, ERR_READ_FAILED);
			return false;
		}
	}
	h->hashed = true;
	sim_trace(&w->sim, "worker", "hashed", h->slot, event.hash_count);
	world_tally(w, TALLY_HASHED);
	w->workers->base.event(w->workers->base.arg, h->slot, &event);
	world_touched(w);
	return true;
}

/* The file, or why there is none. True: there is more to come. */
static bool make_file(struct hand *h)
{
	enum err err;
	switch (h->course) {
	case COURSE_FAILS:
		give_up(h, ERR_CHECK_FAILED);
		return false;
	case COURSE_UNREADABLE:
		give_up(h, ERR_MEDIA_UNREADABLE);
		return false;
	case COURSE_DIES:
		came_to_nothing(h);
		go(h, h->generation);
		return false;
	default:
		err = write_file(h);
		if (err) {
			give_up(h, err);
			return false;
		}
		note_made(h);
		if (h->course == COURSE_LIES || wants_hash(h))
			came_to_nothing(h);
		h->filed = true;
		h->signs = (unsigned)rng_below(luck(h->w), 3);
		say(h, WORKER_FILE, ERR_OK);
		return true;
	}
}

static void make_rest(struct hand *h)
{
	if (h->course == COURSE_DIES_LATE) {
		came_to_nothing(h);
		go(h, h->generation);
		return;
	}
	enum err err = vfs_file_write(h->job->thumbnail, "picture", 7, 0);
	if (!err)
		err = vfs_file_write(h->job->waveform, "{}", 2, 0);
	if (err) {
		give_up(h, err);
		return;
	}
	say(h, WORKER_DONE, ERR_OK);
	world_tally(h->w, TALLY_FINISHED);
	later(h, rng_below(luck(h->w), 20 * MS), go);
}

static void step(void *arg, uint64_t x)
{
	struct hand *h = arg;
	struct world *w = h->w;
	if (x != h->generation || disk_dead(w->disk) || !w->engine)
		return;
	bool more = true;
	if (h->signs > 0) {
		h->signs--;
		say(h, WORKER_ALIVE, ERR_OK);
	} else if (!h->filed && wants_hash(h) && h->course != COURSE_UNHASHED) {
		h->signs = (unsigned)rng_below(luck(w), 3);
		more = hash(h);
	} else if (!h->filed) {
		more = make_file(h);
	} else {
		make_rest(h);
		more = false;
	}
	if (more && x == h->generation)
		later(h, rng_below(luck(w), w->plan.lease_ms * MS / 2), step);
}

/* There is a recording that nobody can finish before the calm. */
static enum course course_of(struct hand *h)
{
	struct world *w = h->w;
	uint64_t n = rng_below(luck(w), 100);
	static const struct {
		unsigned below;
		enum course course;
	} table[] = { { 58, COURSE_WORKS }, { 66, COURSE_FAILS },     { 69, COURSE_UNREADABLE },
		      { 79, COURSE_DIES },  { 86, COURSE_DIES_LATE }, { 94, COURSE_SILENT },
		      { 98, COURSE_LIES },  { 100, COURSE_UNHASHED } };
	unsigned i = 0;
	while (n >= table[i].below)
		i++;
	bool cursed = w->plan.cursed > 0 && take_of(h) == &w->takes[w->plan.cursed - 1];
	if (fine(w))
		return COURSE_WORKS;
	return cursed && n < 90 ? (n < 45 ? COURSE_FAILS : COURSE_DIES) : table[i].course;
}

static struct hand *hand_of(struct workers *workers, unsigned slot)
{
	assert(slot < SIM_WORKERS);
	return &((struct sim_workers *)workers)->hands[slot];
}

static void on_start(struct workers *workers, unsigned slot)
{
	struct hand *h = hand_of(workers, slot);
	struct world *w = h->w;
	assert(!h->there);
	h->there = true;
	h->heard = false;
	h->generation++;
	if (!fine(w) && w->workers_broken)
		later(h, rng_below(luck(w), 50 * MS), stillborn);
	else if (fine(w) || rng_chance(luck(w), 97))
		later(h, MS + rng_below(luck(w), 100 * MS), ready);
}

static void on_ping(struct workers *workers, unsigned slot)
{
	struct hand *h = hand_of(workers, slot);
	assert(h->there && !h->job && !h->killed);
	if (fine(h->w) || rng_chance(luck(h->w), 96))
		later(h, rng_below(luck(h->w), 5 * MS), ready);
}

static void on_give(struct workers *workers, unsigned slot, const struct worker_job *job)
{
	struct hand *h = hand_of(workers, slot);
	struct world *w = h->w;
	assert(h->there && !h->job && !h->killed);
	h->job = job;
	h->filed = h->hashed = false;
	h->course = course_of(h);
	h->signs = (unsigned)rng_below(luck(w), rng_chance(luck(w), 10) ? 40 : 4);
	world_tally(w, TALLY_LEASES);
	uint64_t wait = rng_below(luck(w), 50 * MS);
	if (h->course == COURSE_SILENT) {
		came_to_nothing(h);
		h->signs = 0;
		wait = w->plan.lease_ms * MS + rng_below(luck(w), 3 * SECOND);
	}
	later(h, wait, step);
}

/* It may take its time, and speak meanwhile. */
static void on_kill(struct workers *workers, unsigned slot)
{
	struct hand *h = hand_of(workers, slot);
	struct world *w = h->w;
	assert(h->there && !h->killed);
	h->killed = true;
	came_to_nothing(h);
	world_tally(w, TALLY_WORKERS_KILLED);
	later(h, rng_chance(luck(w), 30) ? rng_below(luck(w), 3 * SECOND) : rng_below(luck(w), 2 * MS), go);
}

static const struct workers_ops ops = { on_start, on_ping, on_give, on_kill };

void workers_init(struct world *w)
{
	w->workers = calloc(1, sizeof *w->workers);
	assert(w->workers);
	w->workers->base.ops = &ops;
	for (unsigned i = 0; i < SIM_WORKERS; i++)
		w->workers->hands[i] = (struct hand){ .w = w, .slot = i };
}

struct workers *workers_base(struct world *w)
{
	return w->plan.workers > 0 ? &w->workers->base : NULL;
}

void workers_gone(struct world *w)
{
	for (unsigned i = 0; i < SIM_WORKERS; i++) {
		struct hand *h = &w->workers->hands[i];
		came_to_nothing(h);
		h->there = h->killed = h->filed = false;
		h->job = NULL;
		h->generation++;
	}
}

static void breakdown(void *arg, uint64_t x)
{
	struct world *w = arg;
	w->workers_broken = x != 0 && !w->calm;
	if (!w->calm)
		sim_after(&w->sim, SECOND + rng_below(luck(w), 10 * SECOND), breakdown, w, !x);
}

void workers_begin(struct world *w)
{
	if (w->plan.breakdowns)
		sim_after(&w->sim, rng_below(luck(w), 3 * SECOND), breakdown, w, 1);
}

bool workers_idle(struct world *w)
{
	struct engine_status status;
	if (!w->engine || !w->up)
		return false;
	engine_status(w->engine, &status);
	for (unsigned i = 0; i < SIM_WORKERS; i++) {
		if (w->workers->hands[i].job)
			return false;
	}
	const struct engine_queue *q = &status.queues[JOB_FINALIZE];
	return w->plan.workers == 0 || q->queued + q->running == 0;
}

bool workers_alive(const struct world *w)
{
	for (unsigned i = 0; i < SIM_WORKERS; i++) {
		const struct hand *h = &w->workers->hands[i];
		if (h->there && h->heard && !h->killed)
			return true;
	}
	return false;
}
