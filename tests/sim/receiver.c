/* The receiver of the webhooks: takes, fails, says nothing, asks to be left alone for a while or for good, takes and
 * says so too late. It sees each recording's events in order, each at least once, a repeat only where the server could
 * not know. */
#include "outside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOOKS = 256 };

enum course {
	COURSE_TAKES,
	COURSE_TAKES_AND_IS_SILENT, /* the server believes that it failed */
	COURSE_FAILS,
	COURSE_SILENT,
	COURSE_LATER, /* Retry-After */
	COURSE_GONE,
};

/* What one recording's events have come to. */
struct hook {
	struct uuid id;
	int64_t taken, told; /* the newest sequence that was taken, that was seen */
	unsigned life;	     /* of the server that told it last */
	uint64_t flying;     /* the delivery that waits for its answer; 0: none */
	bool sure;	     /* that server was told that it was taken */
	bool parked;	     /* it was told that nobody wants it, and nobody asked for it since */
	int64_t not_before_ms;
};

struct delivery {
	struct world *w;
	struct hook *hook;
	uint64_t id;
	enum course course;
	uint64_t retry_after_ms;
	unsigned life;
	bool cancelled;
	int64_t seq;
};

struct receiver {
	struct hook hooks[HOOKS];
	unsigned hook_count;
	struct delivery *last[HOOKS]; /* of each hook */
	struct told_event *taken;     /* in order */
	size_t taken_count;
};

static struct rng *luck(struct world *w)
{
	return &w->outside->rng;
}

static struct hook *hook_of(struct receiver *r, const struct uuid *id)
{
	for (unsigned i = 0; i < r->hook_count; i++) {
		if (memcmp(&r->hooks[i].id, id, sizeof *id) == 0)
			return &r->hooks[i];
	}
	assert(r->hook_count < HOOKS);
	r->hooks[r->hook_count].id = *id;
	return &r->hooks[r->hook_count++];
}

static void take(struct world *w, struct hook *hook, int64_t seq)
{
	struct receiver *r = w->outside->receiver;
	if (hook->taken == seq)
		return; /* known by its id */
	hook->taken = seq;
	assert(r->taken_count < TOLD_EVENTS);
	r->taken[r->taken_count++] = (struct told_event){ .seq = seq, .recording = hook->id };
	bool dies = !w->calm && w->plan.at_calls && (w->plan.kills || w->plan.powers) && rng_chance(luck(w), 5);
	if (dies) /* amid writing down that it was taken */
		disk_die_after(w->disk, 1 + rng_below(luck(w), 8));
}

static void answer(void *arg, uint64_t x)
{
	struct delivery *d = arg;
	struct world *w = d->w;
	struct hook *hook = d->hook;
	struct notifier *n = &w->outside->notifier;
	if (d->cancelled || d->life != w->life || !w->engine || w->fatal || disk_dead(w->disk))
		return;
	enum err err = d->course == COURSE_TAKES  ? ERR_OK
		       : d->course == COURSE_GONE ? ERR_ENDPOINT_GONE
						  : ERR_ENDPOINT_FAILED;
	hook->flying = 0;
	hook->sure = err == ERR_OK;
	hook->parked = err == ERR_ENDPOINT_GONE;
	hook->not_before_ms = d->retry_after_ms ? world_now(w).wall_ms + (int64_t)d->retry_after_ms : 0;
	if (err == ERR_ENDPOINT_GONE)
		world_tally(w, TALLY_PARKED);
	sim_trace(&w->sim, "webhook answers", err_code(err), (uint64_t)d->seq, d->retry_after_ms);
	n->done(n->arg, d->id, err, err ? "as it says" : NULL, d->retry_after_ms);
	world_touched(w);
}

/* --- what may be told --- */

static void check_order(struct world *w, const struct hook *hook, int64_t seq)
{
	struct sim *s = &w->sim;
	bool same_life = hook->life == w->life;
	if (hook->flying && same_life)
		sim_fail(s, "webhooks in order", "event %" PRId64 " comes while another is on its way", seq);
	if (seq < hook->taken)
		sim_fail(s, "webhooks in order", "event %" PRId64 " behind %" PRId64, seq, hook->taken);
	if (hook->told != hook->taken && seq != hook->told)
		sim_fail(s, "webhooks in order", "event %" PRId64 ", and %" PRId64 " was not taken", seq, hook->told);
	if (seq == hook->taken && same_life && hook->sure)
		sim_fail(s, "webhooks in order", "event %" PRId64 " again, and it was known to be taken", seq);
	if (hook->parked && same_life)
		sim_fail(s, "webhooks in order", "event %" PRId64 " is told, and nobody wants it", seq);
	if (same_life && !w->plan.jumps && world_now(w).wall_ms < hook->not_before_ms)
		sim_fail(s, "webhooks in order", "event %" PRId64 " again, sooner than was asked for", seq);
}

static struct told_event parse(struct world *w, const struct notification *what)
{
	struct told_event event = { 0 };
	char id[40];
	json_t *body = json_loadb(what->body, what->len, 0, NULL);
	const json_t *data = json_object_get(body, "data");
	const char *recording = json_string_value(json_object_get(data, "id"));
	const char *phase = json_string_value(json_object_get(data, "phase"));
	event.seq = (int64_t)json_integer_value(json_object_get(data, "seq"));
	event.revision = (uint32_t)json_integer_value(json_object_get(data, "revision"));
	snprintf(id, sizeof id, "evt_%" PRId64 "_", event.seq);
	bool good = recording && uuid_parse(recording, &event.recording) && phase && phase_parse(phase, &event.phase);
	if (!good || strncmp(id, what->message_id, strlen(id)) != 0)
		sim_fail(&w->sim, "wire", "a webhook says %s: %s", what->message_id, what->body);
	json_decref(body);
	return event;
}

static enum course course_of(struct world *w)
{
	static const struct {
		unsigned below;
		enum course course;
	} table[] = { { 60, COURSE_TAKES }, { 66, COURSE_TAKES_AND_IS_SILENT },
		      { 80, COURSE_FAILS }, { 86, COURSE_SILENT },
		      { 95, COURSE_LATER }, { 100, COURSE_GONE } };
	uint64_t n = rng_below(luck(w), 100);
	unsigned i = 0;
	while (n >= table[i].below)
		i++;
	return w->calm ? COURSE_TAKES : table[i].course;
}

static void on_deliver(struct notifier *n, const struct notification *what)
{
	struct outside *o = (struct outside *)(void *)((char *)n - offsetof(struct outside, notifier));
	struct world *w = o->w;
	struct told_event event = parse(w, what);
	struct hook *hook = hook_of(o->receiver, &event.recording);
	sim_trace(&w->sim, "webhook", phase_name(event.phase), (uint64_t)event.seq, what->id);
	check_order(w, hook, event.seq);
	events_told(w, &event);
	world_tally(w, event.seq == hook->taken ? TALLY_REPEATS : TALLY_WEBHOOKS);
	struct delivery *d = calloc(1, sizeof *d);
	assert(d);
	*d = (struct delivery){ .w = w, .hook = hook, .id = what->id, .life = w->life, .seq = event.seq };
	d->course = course_of(w);
	if (d->course == COURSE_LATER)
		d->retry_after_ms = 1 + rng_below(luck(w), 20000);
	o->receiver->last[hook - o->receiver->hooks] = d;
	hook->told = event.seq;
	hook->life = w->life;
	hook->flying = what->id;
	hook->sure = false;
	if (d->course == COURSE_TAKES || d->course == COURSE_TAKES_AND_IS_SILENT)
		take(w, hook, event.seq);
	bool silent = d->course == COURSE_SILENT || d->course == COURSE_TAKES_AND_IS_SILENT;
	uint64_t wait = rng_below(luck(w), rng_chance(luck(w), 10) ? 3 * SECOND : 100 * MS);
	sim_after(&w->sim, silent ? (uint64_t)LIMIT_NOTIFY_WAIT_MS * MS : wait, answer, d, 0);
}

static void on_cancel(struct notifier *n, uint64_t id)
{
	struct outside *o = (struct outside *)(void *)((char *)n - offsetof(struct outside, notifier));
	struct receiver *r = o->receiver;
	for (unsigned i = 0; i < r->hook_count; i++) {
		if (r->hooks[i].flying != id || !r->last[i] || r->last[i]->life != o->w->life)
			continue;
		r->last[i]->cancelled = true;
		r->hooks[i].flying = 0;
	}
}

static const struct notifier_ops ops = { on_deliver, on_cancel };

void receiver_init(struct world *w)
{
	struct outside *o = w->outside;
	o->notifier.ops = &ops;
	o->receiver = calloc(1, sizeof *o->receiver);
	assert(o->receiver);
	o->receiver->taken = calloc(TOLD_EVENTS, sizeof *o->receiver->taken);
	assert(o->receiver->taken);
}

struct notifier *receiver_base(struct world *w)
{
	return w->plan.notifies ? &w->outside->notifier : NULL;
}

/* --- what is parked goes on when somebody says so --- */

static void unparked(void *arg, enum err err)
{
	struct world *w = arg;
	w->asking--;
	w->open_requests--;
	if (err != ERR_OK && !w->fatal && !disk_dead(w->disk) && err != ERR_SHUTTING_DOWN && err != ERR_STORAGE_FULL &&
	    disk_failures(w->disk) == 0)
		sim_fail(&w->sim, "every request is answered", "unpark: %s", err_code(err));
}

static void unpark(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct receiver *r = w->outside->receiver;
	if (w->quiet || w->ending)
		return;
	if (w->up && !w->stopping && !w->fatal && (w->calm || rng_chance(luck(w), 40))) {
		for (unsigned i = 0; i < r->hook_count; i++) {
			r->hooks[i].parked = false;
			r->hooks[i].not_before_ms = 0; /* whoever asked to be left alone has changed their mind */
		}
		w->asking++;
		w->open_requests++;
		engine_unpark(w->engine, JOB_NOTIFY, unparked, w);
		world_touched(w);
	}
	sim_after(&w->sim, SECOND + rng_below(luck(w), w->calm ? 30 * SECOND : 8 * SECOND), unpark, w, 0);
}

void receiver_begin(struct world *w)
{
	if (w->plan.notifies)
		sim_after(&w->sim, rng_below(luck(w), 10 * SECOND), unpark, w, 0);
}

/* --- the end --- */

struct telling {
	struct world *w;
	const char *name;
	const struct uuid *id;
	size_t at; /* in what was taken */
	int64_t after;
	unsigned count;
};

static enum err event_taken(void *arg, const struct catalog_event *event)
{
	struct telling *t = arg;
	const struct receiver *r = t->w->outside->receiver;
	while (t->at < r->taken_count && memcmp(&r->taken[t->at].recording, t->id, sizeof *t->id) != 0)
		t->at++;
	if (t->at == r->taken_count || r->taken[t->at].seq != event->seq)
		sim_fail(&t->w->sim, "webhooks in order", "%s: event %" PRId64 " (%s) was not told in its turn",
			 t->name, event->seq, phase_name(event->phase));
	t->at++;
	t->after = event->seq;
	t->count++;
	return ERR_OK;
}

void receiver_audit(struct world *w, struct catalog *catalog, const struct uuid *id, const char *name)
{
	struct telling t = { .w = w, .name = name, .id = id };
	unsigned before;
	do {
		struct catalog_event_filter filter = { .after = t.after, .recording = id, .limit = LIMIT_EVENTS_PAGE };
		before = t.count;
		if (catalog->ops->events(catalog, &filter, event_taken, &t) != ERR_OK)
			sim_fail(&w->sim, "it starts again", "the events of %s can't be read", name);
	} while (t.count > before);
}
