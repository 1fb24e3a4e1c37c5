/* Clients that follow recordings: all or one, reading slowly at times, hanging up and coming back. What they heard last
 * of a recording is, when all is quiet, what asking for it answers. */
#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct watcher {
	struct world *w;
	struct link *link;
	struct rng rng;
	unsigned number, life;
	uint64_t generation; /* of its timers: one for each connection */
	uint64_t heard_us;
	int one; /* the take that it follows, -1: all */
	bool subscribed;
	json_t *last[TAKES];
};

static void watcher_connect(void *arg, uint64_t x);
static void watcher_act(void *arg, uint64_t x);

static void forget(struct watcher *v)
{
	v->subscribed = false;
	for (unsigned i = 0; i < TAKES; i++) {
		json_decref(v->last[i]);
		v->last[i] = NULL;
	}
}

static void subscribe(struct watcher *v)
{
	char text[128] = "{\"type\":\"subscribe\",\"all\":true}";
	if (v->one >= 0 && (v->w->takes[v->one].id[0] == '\0' || rng_chance(&v->rng, 30)))
		snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"id\":\"session:%s\"}",
			 v->w->takes[v->one].session);
	else if (v->one >= 0)
		snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"id\":\"%s\"}", v->w->takes[v->one].id);
	link_text(v->link, text, strlen(text));
}

static void again(struct watcher *v, uint64_t delay_us)
{
	forget(v);
	sim_after(&v->w->sim, delay_us, watcher_connect, v, ++v->generation);
}

static void on_opened(void *arg, struct link *link)
{
	struct watcher *v = arg;
	if (v->link != link)
		return;
	v->heard_us = v->w->sim.now_us;
	subscribe(v);
	sim_after(&v->w->sim, rng_below(&v->rng, SECOND), watcher_act, v, v->generation);
}

static void heard_status(struct watcher *v, const char *text)
{
	json_t *status = json_loads(text, 0, NULL);
	const char *session = json_string_value(json_object_get(status, "sessionId"));
	for (unsigned i = 0; session && i < TAKES; i++) {
		if (strcmp(v->w->takes[i].session, session) != 0)
			continue;
		if (v->one >= 0 && v->one != (int)i)
			sim_fail(&v->w->sim, "wire", "watcher %u hears of %s", v->number, session);
		json_decref(v->last[i]);
		v->last[i] = json_incref(status);
	}
	json_decref(status);
}

static void on_message(void *arg, struct link *link, const struct message_in *m)
{
	struct watcher *v = arg;
	struct world *w = v->w;
	if (v->link != link)
		return;
	v->heard_us = w->sim.now_us;
	if (m->said == SAID_STATUS)
		heard_status(v, m->text);
	else if (m->said == SAID_SUBSCRIBED)
		v->subscribed = true;
	else if (m->said == SAID_NOT_SUBSCRIBED && v->one < 0 && !m->retry)
		sim_fail(&w->sim, "honest clients are served", "watcher %u may not follow: %s", v->number, m->code);
	else if (m->said == SAID_ERROR && strcmp(m->code, "slow_reader") == 0)
		sim_fail(&w->sim, "honest clients are served", "watcher %u is too slow", v->number);
}

static void on_closed(void *arg, struct link *link)
{
	struct watcher *v = arg;
	if (v->link == link)
		again(v, 20 * MS + rng_below(&v->rng, SECOND));
}

static const struct peer watcher_peer = { on_opened, on_message, on_closed };

static void watcher_connect(void *arg, uint64_t x)
{
	struct watcher *v = arg;
	if (x != v->generation)
		return;
	v->life = v->w->life;
	v->link = link_open(v->w, &watcher_peer, v, NULL, 0);
}

/* Now and then it subscribes again, stops reading, or leaves. */
static void watcher_act(void *arg, uint64_t x)
{
	struct watcher *v = arg;
	struct world *w = v->w;
	if (x != v->generation)
		return;
	link_read(v->link, w->calm || rng_chance(&v->rng, 60));
	if (!v->subscribed || (!w->calm && rng_chance(&v->rng, 10)))
		subscribe(v);
	if (!w->calm && rng_chance(&v->rng, 3)) {
		link_hang_up(v->link);
		again(v, 20 * MS + rng_below(&v->rng, 3 * SECOND));
		return;
	}
	sim_after(&w->sim, 100 * MS + rng_below(&v->rng, 2 * SECOND), watcher_act, v, v->generation);
}

/* A link that says nothing is given up; while it does not read it can't know. */
static void watcher_watch(void *arg, uint64_t x)
{
	struct watcher *v = arg;
	struct world *w = v->w;
	uint64_t patience = (w->plan.heartbeat_ms + 4000) * MS;
	if (v->link && link_heard_us(v->link) > v->heard_us)
		v->heard_us = link_heard_us(v->link);
	if (v->link && w->sim.now_us - v->heard_us > patience) {
		v->heard_us = w->sim.now_us;
		link_hang_up(v->link);
		again(v, 50 * MS);
	}
	sim_after(&w->sim, SECOND + rng_below(&v->rng, SECOND), watcher_watch, v, 0);
}

void watchers_begin(struct world *w)
{
	for (unsigned i = 0; i < w->plan.watchers; i++) {
		struct watcher *v = calloc(1, sizeof *v);
		assert(v);
		v->w = w;
		v->number = i;
		v->rng = rng_fork(&w->client_rng, 7000 + i);
		v->one = rng_chance(&v->rng, 70) ? -1 : (int)rng_below(&v->rng, w->plan.takes);
		w->watchers[i] = v;
		sim_after(&w->sim, rng_below(&v->rng, 5 * SECOND), watcher_connect, v, 0);
		sim_after(&w->sim, 6 * SECOND, watcher_watch, v, 0);
	}
}

/* It is sure to hear everything. One that follows a single take may find that it was deleted, or never begun. */
static bool in_order(const struct watcher *v)
{
	return v->subscribed && link_usable(v->link) && !link_silent(v->link);
}

void watchers_check(struct world *w)
{
	for (unsigned i = 0; i < w->plan.watchers; i++) {
		const struct watcher *v = w->watchers[i];
		if (!in_order(v) && v->one < 0 && !w->plan.deaf)
			sim_fail(&w->sim, "liveness", "watcher %u is not subscribed", i);
	}
}

void watchers_compare(struct world *w, const struct take_truth *take, const json_t *state)
{
	static const char *const others[] = { "type", "of" };
	for (unsigned i = 0; i < w->plan.watchers; i++) {
		const struct watcher *v = w->watchers[i];
		const json_t *last = v->last[take - w->takes];
		if (!in_order(v) || (v->one >= 0 && v->one != (int)(take - w->takes)))
			continue;
		json_t *status = json_copy((json_t *)(uintptr_t)last);
		bool left = json_is_integer(json_object_get(last, "graceLeftMs")); /* it runs down */
		bool same = left == json_is_integer(json_object_get(state, "graceLeftMs"));
		json_object_set(status, "graceLeftMs", json_object_get(state, "graceLeftMs"));
		for (unsigned k = 0; k < sizeof others / sizeof *others; k++)
			json_object_del(status, others[k]);
		if (!same || !json_equal(status, state))
			sim_fail(&w->sim, "the status is the truth", "watcher %u heard %.700s last, %s is %.700s", i,
				 last ? json_dumps(last, JSON_COMPACT) : "nothing", take->session,
				 json_dumps(state, JSON_COMPACT));
		json_decref(status);
	}
}
