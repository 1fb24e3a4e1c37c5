/* Those who read the outbox: one who may see all of it, and one who sees what is its own. Each event once, ascending,
 * none left out, and what anybody was told of one is what it says at the end. */
#include "outside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FOLLOWERS = 2 };

struct follower {
	struct world *w;
	struct grant grant;
	const char *principal; /* NULL: all */
	int64_t after;
	struct told_event *told;
	size_t count;
	bool asking;
};

struct followers {
	struct follower each[FOLLOWERS];
};

static struct rng *luck(struct world *w)
{
	return &w->outside->rng;
}

static bool wanted(const struct world *w)
{
	return w->plan.imports > 0 || w->plan.notifies;
}

static void told(void *arg, enum err err, const struct engine_event *events, size_t count, int64_t first, int64_t last)
{
	struct follower *f = arg;
	struct world *w = f->w;
	struct sim *s = &w->sim;
	f->asking = false;
	w->asking--;
	w->open_requests--;
	if (err != ERR_OK) {
		bool passing = w->fatal || disk_dead(w->disk) || disk_failures(w->disk) > 0 || w->plan.full;
		if (!passing)
			sim_fail(s, "each event once", "the outbox answers %s", err_code(err));
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct engine_event *event = &events[i];
		if (event->seq <= f->after || event->seq < first || event->seq > last)
			sim_fail(s, "each event once",
				 "event %" PRId64 " of %" PRId64 " to %" PRId64 " behind %" PRId64, event->seq, first,
				 last, f->after);
		f->after = event->seq;
		assert(f->count < TOLD_EVENTS);
		f->told[f->count++] =
			(struct told_event){ event->seq, event->recording, event->phase, event->revision };
		world_tally(w, TALLY_EVENTS);
	}
}

static void look(void *arg, uint64_t x)
{
	struct follower *f = arg;
	struct world *w = f->w;
	if (w->quiet || w->ending)
		return;
	if (w->up && !w->stopping && !w->fatal && !f->asking) {
		f->asking = true;
		w->asking++;
		w->open_requests++;
		engine_events(w->engine, &f->grant, f->after, told, f);
		world_touched(w);
	}
	uint64_t wait = w->calm ? 5 * SECOND : 100 * MS + rng_below(luck(w), 3 * SECOND);
	sim_after(&w->sim, wait, look, f, 0);
}

void followers_begin(struct world *w)
{
	struct outside *o = w->outside;
	if (!wanted(w))
		return;
	o->followers = calloc(1, sizeof *o->followers);
	o->told = calloc(TOLD_EVENTS, sizeof *o->told);
	assert(o->followers && o->told);
	for (unsigned i = 0; i < FOLLOWERS; i++) {
		struct follower *f = &o->followers->each[i];
		f->w = w;
		f->grant = *grant_local();
		f->told = calloc(TOLD_EVENTS, sizeof *f->told);
		assert(f->told);
		if (i > 0) {
			f->principal = "centre";
			f->grant.scopes = SCOPE_RECORD;
			memcpy(f->grant.subject, "centre", sizeof "centre");
		}
		sim_after(&w->sim, rng_below(luck(w), 3 * SECOND), look, f, 0);
	}
}

void followers_gone(struct world *w)
{
	for (unsigned i = 0; i < FOLLOWERS && w->outside->followers; i++)
		w->outside->followers->each[i].asking = false;
}

void events_told(struct world *w, const struct told_event *event)
{
	struct outside *o = w->outside;
	assert(o->told_count < TOLD_EVENTS);
	o->told[o->told_count++] = *event;
}

/* --- the end --- */

struct page {
	struct world *w;
	struct told_event *events;
	size_t count;
};

static enum err event_kept(void *arg, const struct catalog_event *event)
{
	struct page *p = arg;
	assert(p->count < TOLD_EVENTS);
	p->events[p->count++] = (struct told_event){ event->seq, event->recording, event->phase, event->revision };
	return ERR_OK;
}

static void outbox_read(struct world *w, struct catalog *catalog, const char *principal, struct page *out)
{
	size_t before;
	*out = (struct page){ .w = w, .events = calloc(TOLD_EVENTS, sizeof *out->events) };
	assert(out->events);
	do {
		struct catalog_event_filter filter = { .after = out->count ? out->events[out->count - 1].seq : 0,
						       .principal = principal,
						       .limit = LIMIT_EVENTS_PAGE };
		before = out->count;
		if (catalog->ops->events(catalog, &filter, event_kept, out) != ERR_OK)
			sim_fail(&w->sim, "it starts again", "the outbox can't be read");
	} while (out->count > before);
}

static bool same(const struct told_event *a, const struct told_event *b)
{
	return a->seq == b->seq && a->phase == b->phase && a->revision == b->revision &&
	       memcmp(&a->recording, &b->recording, sizeof a->recording) == 0;
}

void events_audit(struct world *w, struct catalog *catalog)
{
	struct outside *o = w->outside;
	struct sim *s = &w->sim;
	struct page page;
	if (!wanted(w))
		return;
	for (unsigned i = 0; i < FOLLOWERS; i++) {
		const struct follower *f = &o->followers->each[i];
		outbox_read(w, catalog, f->principal, &page);
		for (size_t k = 0; k < f->count || (k < page.count && page.events[k].seq <= f->after); k++) {
			if (k >= page.count || k >= f->count || !same(&f->told[k], &page.events[k]))
				sim_fail(s, "each event once", "follower %u's event number %zu is another", i, k);
		}
		free(page.events);
	}
	outbox_read(w, catalog, NULL, &page);
	for (size_t i = 0; i < o->told_count; i++) {
		bool found = false;
		for (size_t k = 0; k < page.count && !found; k++)
			found = same(&o->told[i], &page.events[k]);
		if (!found)
			sim_fail(s, "each event once", "event %" PRId64 " was told, and is another", o->told[i].seq);
	}
	free(page.events);
}
