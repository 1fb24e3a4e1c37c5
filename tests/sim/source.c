/* Sources as fetched from: by the seed they hand out everything, drop behind any byte, resume by range or send all
 * again, change, say wrong totals, know nothing, refuse, are slower than any lease, or speak once they were cancelled.
 */
#include "content.h"
#include "outside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum course {
	COURSE_WHOLE,
	COURSE_DROPS,
	COURSE_SLOW,	    /* beyond the lease, between two bytes */
	COURSE_WRONG_TOTAL, /* says another than it sends */
	COURSE_UNREACHABLE,
	COURSE_GONE,
	COURSE_REFUSES,
	COURSE_TOO_LARGE,
};

struct transfer {
	struct world *w;
	struct import_truth *import;
	uint64_t id, from, at, stop_at, deadline_us;
	char *validator;
	unsigned life, version;
	enum course course;
	bool live, paused, waiting, headed, slept;
};

static struct rng *luck(struct world *w)
{
	return &w->outside->rng;
}

static void step(void *arg, uint64_t x);

static void later(struct transfer *t, uint64_t delay_us)
{
	if (t->waiting)
		return;
	t->waiting = true;
	sim_after(&t->w->sim, delay_us, step, t, 0);
}

static void over(struct transfer *t)
{
	assert(t->live);
	t->live = false;
	t->import->live--;
}

static void end(struct transfer *t, enum err err, const char *message)
{
	struct fetcher *f = &t->w->outside->fetcher;
	over(t);
	t->import->failures += err != ERR_OK;
	sim_trace(&t->w->sim, "source ends", err_code(err), t->import->number, t->at);
	world_tally(t->w, err ? TALLY_SOURCE_FAILURES : TALLY_SOURCE_ENDS);
	uint64_t after_ms = err && rng_chance(luck(t->w), 20) ? 1 + rng_below(luck(t->w), 400 * 1000) : 0;
	f->events.ended(f->events.arg, t->id, err, message, after_ms);
	world_touched(t->w);
}

static void validator_of(const struct import_truth *import, unsigned version, char out[32])
{
	snprintf(out, 32, "\"v%u-%u\"", import->number, version);
}

/* What it is asked for decides what it sends: the rest by range, or all from its first byte. */
static void head(struct transfer *t)
{
	struct world *w = t->w;
	struct source *source = &t->import->source;
	struct fetch_head h = { .total = BYTES_UNKNOWN };
	char validator[32];
	t->version = source->now;
	uint64_t total = source->total[t->version];
	validator_of(t->import, t->version, validator);
	bool same = t->validator && strcmp(t->validator, validator) == 0;
	h.from_start = !(t->from > 0 && source->ranges && same);
	t->at = h.from_start ? 0 : t->from;
	assert(t->at <= total); /* of the same version no more came than there is */
	t->stop_at = t->at + rng_below(luck(w), total - t->at + 1);
	if (source->says_total || !h.from_start)
		h.total = total;
	if (t->course == COURSE_WRONG_TOTAL)
		h.total = rng_below(luck(w), 2 * total + 2);
	snprintf(h.mime, sizeof h.mime, "%s", rng_chance(luck(w), 50) ? "audio/x-sim" : "");
	t->headed = true;
	sim_trace(&w->sim, h.from_start ? "source begins" : "source goes on", t->import->ref, t->version, t->at);
	if (!h.from_start)
		world_tally(w, TALLY_RANGES);
	else if (t->from > 0)
		world_tally(w, TALLY_COMPARED);
	struct fetcher *f = &w->outside->fetcher;
	f->events.head(f->events.arg, t->id, &h, source->validators ? validator : NULL);
	world_touched(w);
}

static void send_piece(struct transfer *t)
{
	static uint8_t piece[LIMIT_INPUT_BYTES];
	struct world *w = t->w;
	struct source *source = &t->import->source;
	uint64_t total = source->total[t->version];
	uint64_t left = (t->course == COURSE_DROPS ? t->stop_at : total) - t->at;
	size_t len = 1 + (size_t)rng_below(luck(w), rng_chance(luck(w), 50) ? sizeof piece : 4000);
	if (len > left)
		len = (size_t)left;
	content_fill(source->content[t->version], t->at, piece, len);
	t->at += len;
	source->served |= 1u << t->version;
	if (t->at > t->import->most)
		t->import->most = t->at;
	struct fetcher *f = &w->outside->fetcher;
	f->events.data(f->events.arg, t->id, piece, len);
	world_touched(w);
}

static uint64_t pace(struct transfer *t)
{
	struct world *w = t->w;
	if (t->course == COURSE_SLOW && !t->slept && rng_chance(luck(w), 20)) {
		t->slept = true;
		return (uint64_t)w->plan.lease_ms * MS + rng_below(luck(w), 2 * SECOND);
	}
	return rng_below(luck(w), rng_chance(luck(w), 10) ? 500 * MS : 20 * MS);
}

static void early_end(struct transfer *t)
{
	switch (t->course) {
	case COURSE_UNREACHABLE:
		end(t, ERR_SOURCE_FAILED, "The source can't be connected to.");
		break;
	case COURSE_GONE:
		end(t, ERR_SOURCE_GONE, "The source answered 404.");
		break;
	case COURSE_REFUSES:
		end(t, ERR_SOURCE_REFUSED, "The source answered 403.");
		break;
	default:
		end(t, ERR_SOURCE_TOO_LARGE, "The source says that it is larger than --fetch-max.");
	}
}

static void body_end(struct transfer *t)
{
	if (t->course == COURSE_WRONG_TOTAL)
		end(t, ERR_SOURCE_FAILED, "The source sent another number of bytes than it said.");
	else
		end(t, ERR_OK, NULL);
}

static bool dead(const struct transfer *t)
{
	const struct world *w = t->w;
	return !t->live || t->life != w->life || !w->engine || w->fatal || disk_dead(w->disk);
}

static void step(void *arg, uint64_t x)
{
	struct transfer *t = arg;
	t->waiting = false;
	if (dead(t))
		return;
	if (t->w->sim.now_us >= t->deadline_us)
		end(t, ERR_SOURCE_FAILED, "Fetching took longer than --fetch-timeout.");
	else if (t->course >= COURSE_UNREACHABLE)
		early_end(t);
	else if (!t->headed)
		head(t);
	else if (t->course == COURSE_DROPS && t->at == t->stop_at)
		end(t, ERR_SOURCE_FAILED, "The source ended before its last byte.");
	else if (t->at == t->import->source.total[t->version])
		body_end(t);
	else if (!t->paused)
		send_piece(t);
	else
		return; /* it is told when to go on; its deadline is looked at then */
	if (!dead(t))
		later(t, pace(t));
}

/* In the calm all sources hand out what they have. */
static enum course course_of(struct world *w)
{
	static const struct {
		unsigned below;
		enum course course;
	} table[] = { { 45, COURSE_WHOLE },	  { 74, COURSE_DROPS },	      { 82, COURSE_SLOW },
		      { 87, COURSE_WRONG_TOTAL }, { 95, COURSE_UNREACHABLE }, { 97, COURSE_GONE },
		      { 99, COURSE_REFUSES },	  { 100, COURSE_TOO_LARGE } };
	uint64_t n = rng_below(luck(w), 100);
	unsigned i = 0;
	while (n >= table[i].below)
		i++;
	return w->calm ? COURSE_WHOLE : table[i].course;
}

/* An attempt is a number that this process gave; three within ten minutes, and what they took besides. */
static void attempt_seen(struct world *w, struct import_truth *import, uint64_t id)
{
	if (import->attempt_life == w->life && import->attempt_id == id)
		return; /* it goes on behind a drop */
	import->attempt_life = w->life;
	import->attempt_id = id;
	int64_t now_ms = world_now(w).wall_ms;
	int64_t *oldest = &import->attempts[import->attempt_count % LIMIT_ATTEMPTS];
	bool tells = !w->plan.jumps && !w->plan.stops;
	if (tells && import->attempt_count >= LIMIT_ATTEMPTS && now_ms - *oldest < LIMIT_ATTEMPTS_MS)
		sim_fail(&w->sim, "three attempts", "%s is fetched for the %uth time in %" PRId64 " ms", import->ref,
			 import->attempt_count + 1, now_ms - *oldest);
	*oldest = now_ms;
	import->attempt_count++;
	world_tally(w, TALLY_FETCHES);
}

static struct import_truth *import_of(struct world *w, const char *url)
{
	for (unsigned i = 0; i < w->plan.imports; i++) {
		struct import_truth *import = &w->outside->imports[i];
		if (strcmp(import->url, url) == 0)
			return import;
	}
	return NULL;
}

static struct outside *outside_of(struct fetcher *f)
{
	return (struct outside *)(void *)((char *)f - offsetof(struct outside, fetcher));
}

static struct transfer *find(struct outside *o, uint64_t id)
{
	for (unsigned i = 0; i < o->transfer_count; i++) {
		if (o->transfers[i]->live && o->transfers[i]->id == id)
			return o->transfers[i];
	}
	return NULL;
}

static void check_start(struct world *w, struct import_truth *import, const struct fetch *fetch)
{
	struct sim *s = &w->sim;
	if (!import)
		sim_fail(s, "fetched as registered", "%s was never registered", fetch->url);
	if (import->on_demand && !import->asked)
		sim_fail(s, "on demand, when demanded", "%s is fetched, and nobody asked for it", import->ref);
	if (import->live > 0)
		sim_fail(s, "finished once", "%s is fetched twice at a time", import->ref);
	if (import->fetched)
		sim_fail(s, "finished once", "%s is fetched again", import->ref);
	if (import->deleted)
		sim_fail(s, "the end is the end", "%s is fetched after its deletion", import->ref);
	if (fetch->from > import->most)
		sim_fail(s, "acked bytes were sent", "%s is asked for from %" PRIu64 ", %" PRIu64 " came", import->ref,
			 fetch->from, import->most);
}

static void transfer_keep(struct outside *o, struct transfer *t)
{
	for (unsigned i = 0; i < o->transfer_count; i++) {
		if (!o->transfers[i]->live) { /* its timers know it still: it is not freed */
			o->transfers[i] = t;
			return;
		}
	}
	assert(o->transfer_count < TRANSFERS);
	o->transfers[o->transfer_count++] = t;
}

static enum err on_judge(struct fetcher *f, const char *url, const char **why)
{
	*why = strncmp(url, "https://", 8) == 0 ? NULL : "Only https.";
	return *why ? ERR_URL_REFUSED : ERR_OK;
}

/* There never was anything at an item's address. Who has cancelled it meanwhile is told as others are: too late. */
struct gone {
	struct world *w;
	uint64_t id;
	unsigned life;
};

static void gone_now(void *arg, uint64_t x)
{
	struct gone *g = arg;
	struct world *w = g->w;
	struct fetcher *f = &w->outside->fetcher;
	if (g->life == w->life && w->engine && !w->fatal && !disk_dead(w->disk)) {
		f->events.ended(f->events.arg, g->id, ERR_SOURCE_GONE, NULL, 0);
		world_touched(w);
	}
	free(g);
}

static void gone_later(struct world *w, uint64_t id)
{
	struct gone *g = calloc(1, sizeof *g);
	assert(g);
	*g = (struct gone){ w, id, w->life };
	sim_after(&w->sim, rng_below(luck(w), 300 * MS), gone_now, g, 0);
}

static void on_start(struct fetcher *f, const struct fetch *fetch)
{
	struct outside *o = outside_of(f);
	struct world *w = o->w;
	struct import_truth *import = import_of(w, fetch->url);
	if (batchers_url(fetch->url)) {
		gone_later(w, fetch->id);
		return;
	}
	check_start(w, import, fetch);
	assert(!find(o, fetch->id));
	attempt_seen(w, import, fetch->id);
	struct transfer *t = calloc(1, sizeof *t);
	assert(t);
	*t = (struct transfer){ .w = w, .import = import, .id = fetch->id, .from = fetch->from, .live = true };
	t->validator = fetch->validator ? strdup(fetch->validator) : NULL;
	t->life = w->life;
	t->deadline_us = w->sim.now_us + fetch->max_ms * MS;
	t->course = course_of(w);
	import->live++;
	transfer_keep(o, t);
	sim_trace(&w->sim, "fetch", import->ref, fetch->id, fetch->from);
	later(t, rng_below(luck(w), 100 * MS));
}

static void on_pause(struct fetcher *f, uint64_t id, bool paused)
{
	struct transfer *t = find(outside_of(f), id);
	if (!t)
		return;
	t->paused = paused;
	if (!paused)
		later(t, rng_below(luck(t->w), MS));
}

/* What was on its way when it was cancelled; a transfer that was begun anew under its number hears nothing of it. */
static void afterwards(void *arg, uint64_t x)
{
	struct transfer *t = arg;
	struct world *w = t->w;
	struct fetcher *f = &w->outside->fetcher;
	if (t->life != w->life || !w->engine || w->fatal || disk_dead(w->disk) || find(w->outside, t->id))
		return;
	if (rng_chance(luck(w), 50))
		f->events.data(f->events.arg, t->id, "late", 4);
	f->events.ended(f->events.arg, t->id, rng_chance(luck(w), 50) ? ERR_OK : ERR_SOURCE_FAILED, "late", 0);
	world_touched(w);
}

static void on_cancel(struct fetcher *f, uint64_t id)
{
	struct transfer *t = find(outside_of(f), id);
	if (!t)
		return;
	sim_trace(&t->w->sim, "fetch cancelled", t->import->ref, id, t->at);
	over(t);
	t->import->failures++;
	if (rng_chance(luck(t->w), 30))
		sim_after(&t->w->sim, rng_below(luck(t->w), 300 * MS), afterwards, t, 0);
}

static const struct fetcher_ops ops = { on_judge, on_start, on_pause, on_cancel };

static void source_make(struct source *source, struct rng *rng)
{
	source->count = 1 + (unsigned)rng_below(rng, VERSIONS);
	source->ranges = rng_chance(rng, 70);
	source->validators = rng_chance(rng, 75);
	source->says_total = rng_chance(rng, 70);
	source->changes = rng_chance(rng, 40);
	for (unsigned i = 0; i < source->count; i++) {
		/* some versions begin as the one before, and are longer or shorter */
		source->content[i] = i > 0 && rng_chance(rng, 40) ? source->content[i - 1] : rng_next(rng);
		source->total[i] = rng_chance(rng, 10)	 ? rng_below(rng, 3)
				   : rng_chance(rng, 20) ? rng_below(rng, 900 * KIB)
							 : rng_below(rng, 100 * KIB);
	}
}

static void import_make(struct world *w, unsigned index)
{
	struct import_truth *import = &w->outside->imports[index];
	struct rng rng = rng_fork(luck(w), 100 + index);
	import->number = index;
	import->grant = *grant_local();
	if (index % 2 == 1) { /* the call centre's own */
		import->grant.scopes = SCOPE_IMPORT | SCOPE_RECORD;
		snprintf(import->grant.subject, sizeof import->grant.subject, "centre");
	}
	snprintf(import->url, sizeof import->url, "https://provider.example/calls/%u.wav", index);
	snprintf(import->other_url, sizeof import->other_url, "https://provider.example/other/%u.wav", index);
	snprintf(import->ref, sizeof import->ref, "call-%u-%08x", index, (unsigned)rng_next(&rng));
	import->on_demand = rng_chance(&rng, 40);
	source_make(&import->source, &rng);
}

void sources_init(struct world *w)
{
	struct outside *o = w->outside;
	o->fetcher.ops = &ops;
	for (unsigned i = 0; i < w->plan.imports; i++)
		import_make(w, i);
}

struct fetcher *sources_base(struct world *w)
{
	return w->plan.imports > 0 || w->plan.batches > 0 ? &w->outside->fetcher : NULL;
}

void sources_gone(struct world *w)
{
	struct outside *o = w->outside;
	for (unsigned i = 0; i < o->transfer_count; i++) {
		if (!o->transfers[i]->live)
			continue;
		over(o->transfers[i]);
		o->transfers[i]->import->failures++;
	}
	o->transfer_count = 0;
}

static void change(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct source *source = &w->outside->imports[x].source;
	if (w->calm)
		return;
	if (source->now + 1 < source->count)
		source->now++;
	sim_after(&w->sim, SECOND + rng_below(luck(w), 8 * SECOND), change, w, x);
}

void sources_begin(struct world *w)
{
	for (unsigned i = 0; i < w->plan.imports; i++) {
		if (w->outside->imports[i].source.changes)
			sim_after(&w->sim, rng_below(luck(w), w->plan.calm_us), change, w, i);
	}
}
