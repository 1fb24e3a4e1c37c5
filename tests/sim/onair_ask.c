/* Those around a show who are not its hosts: they ask what is on air, stop it from several places at once, complete and
 * delete its versions, follow it, and listen. */
#include "onair.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

static struct rng *luck(struct world *w)
{
	return &w->onair->rng;
}

static bool can_ask(const struct world *w)
{
	return w->up && !w->stopping && !w->fatal && !w->ending;
}

/* --- listeners --- */

struct listener {
	struct show_truth *show;
	struct broadcast_reader reader;
	unsigned life;
};

/* Reads at most so much. */
static void listen_some(struct listener *l, uint64_t most)
{
	struct iovec iov;
	while (most > 0 && broadcast_peek(&l->reader, &iov, 1) > 0) {
		size_t n = iov.iov_len < most ? iov.iov_len : (size_t)most;
		if (l->reader.header_len == 0)
			onair_heard(l->show, l->reader.position, iov.iov_base, n);
		broadcast_take(&l->reader, n);
		most -= n;
	}
}

void listener_leave(struct show_truth *show)
{
	struct listener *l = show->listener;
	if (!l || !l->reader.broadcast)
		return;
	bool same = show->w->engine && l->life == show->w->life;
	if (same && l->reader.broadcast == show->broadcast)
		listen_some(l, UINT64_MAX);
	if (same)
		broadcast_leave(&l->reader);
	l->reader = (struct broadcast_reader){ .broadcast = NULL };
}

static void listener_tick(void *arg, uint64_t x)
{
	struct listener *l = arg;
	struct world *w = l->show->w;
	struct broadcast *b;
	if (w->ending || w->quiet)
		return;
	if (can_ask(w) && !l->reader.broadcast) {
		l->life = w->life;
		bool there = engine_listen(w->engine, l->show->name, grant_local(), &b) == ERR_OK;
		if (there && b == l->show->broadcast && l->show->life == w->life)
			broadcast_join(b, &l->reader);
	} else if (can_ask(w)) {
		listen_some(l, rng_below(luck(w), 64 * KIB));
		if (broadcast_ended(l->reader.broadcast) || rng_chance(luck(w), 3))
			listener_leave(l->show);
	}
	sim_after(&w->sim, 20 * MS + rng_below(luck(w), 400 * MS), listener_tick, l, 0);
}

/* --- followers --- */

struct show_follower {
	struct show_truth *show;
	struct link *link;
	uint64_t generation, heard_us;
	json_t *last;
	bool subscribed;
};

static void follower_connect(void *arg, uint64_t x);

static void follower_again(struct show_follower *f, uint64_t delay_us)
{
	json_decref(f->last);
	f->last = NULL;
	f->subscribed = false;
	sim_after(&f->show->w->sim, delay_us, follower_connect, f, ++f->generation);
}

static void follower_act(void *arg, uint64_t x)
{
	struct show_follower *f = arg;
	struct world *w = f->show->w;
	if (x != f->generation)
		return;
	link_read(f->link, w->calm || rng_chance(luck(w), 70));
	if (!w->calm && rng_chance(luck(w), 3)) {
		link_hang_up(f->link);
		follower_again(f, rng_below(luck(w), 2 * SECOND));
		return;
	}
	sim_after(&w->sim, 100 * MS + rng_below(luck(w), 2 * SECOND), follower_act, f, x);
}

static void follower_opened(void *arg, struct link *link)
{
	struct show_follower *f = arg;
	char text[96];
	if (f->link != link)
		return;
	f->heard_us = f->show->w->sim.now_us;
	snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"show\":\"%s\"}", f->show->name);
	link_text(link, text, strlen(text));
	sim_after(&f->show->w->sim, rng_below(luck(f->show->w), SECOND), follower_act, f, f->generation);
}

static void follower_heard(void *arg, struct link *link, const struct message_in *m)
{
	struct show_follower *f = arg;
	struct sim *s = &f->show->w->sim;
	if (f->link != link)
		return;
	f->heard_us = s->now_us;
	if (m->said == SAID_STATUS) {
		json_t *status = json_loads(m->text, 0, NULL);
		const char *show = json_string_value(json_object_get(status, "show"));
		if (!show || strcmp(show, f->show->name) != 0)
			sim_fail(s, "wire", "a follower of %s hears of %s", f->show->name, show ? show : "nothing");
		json_decref(f->last);
		f->last = status;
	} else if (m->said == SAID_SUBSCRIBED) {
		if (!f->last)
			sim_fail(s, "the status is the truth", "subscribed, and nothing told of %s", f->show->name);
		f->subscribed = true;
	} else if (m->said == SAID_NOT_SUBSCRIBED || m->said == SAID_ERROR) {
		if (!m->retry && !onair_frail(f->show->w))
			sim_fail(s, "honest clients are served", "%s may not be followed: %s", f->show->name, m->code);
		link_hang_up(link);
		follower_again(f, 500 * MS);
	}
}

static void follower_closed(void *arg, struct link *link)
{
	struct show_follower *f = arg;
	if (f->link == link)
		follower_again(f, rng_below(luck(f->show->w), SECOND));
}

static const struct peer follower_peer = { follower_opened, follower_heard, follower_closed };

static void follower_connect(void *arg, uint64_t x)
{
	struct show_follower *f = arg;
	if (x == f->generation)
		f->link = link_open(f->show->w, &follower_peer, f, NULL, 0);
}

static void follower_watch(void *arg, uint64_t x)
{
	struct show_follower *f = arg;
	struct world *w = f->show->w;
	uint64_t patience = (w->plan.heartbeat_ms + 4000) * MS;
	if (f->link && link_heard_us(f->link) > f->heard_us)
		f->heard_us = link_heard_us(f->link);
	if (f->link && w->sim.now_us - f->heard_us > patience) {
		f->heard_us = w->sim.now_us;
		link_hang_up(f->link);
		follower_again(f, 50 * MS);
	}
	if (!w->ending)
		sim_after(&w->sim, SECOND + rng_below(luck(w), SECOND), follower_watch, f, 0);
}

/* --- questions --- */

struct question {
	struct world *w;
	struct show_truth *show;
	struct version_truth *v;
	struct known known;
	uint32_t newest;
	unsigned answers;
	bool quiet;
};

static struct question *question_new(struct show_truth *show, uint32_t version)
{
	struct question *q = calloc(1, sizeof *q);
	assert(q);
	q->w = show->w;
	q->show = show;
	q->newest = show->newest;
	q->quiet = show->w->quiet;
	q->v = version ? air_version(show, version) : NULL;
	if (q->v)
		oracle_know(&q->v->take, &q->known);
	q->w->open_requests++;
	q->w->asking++;
	return q;
}

static void answered(struct question *q)
{
	if (q->answers++ > 0)
		sim_fail(&q->w->sim, "every request is answered", "%s: one of them twice", q->show->name);
	q->w->open_requests--;
	q->w->asking--;
}

/* q stays: a second answer would be seen. */
static bool passing(const struct question *q, enum err err)
{
	const struct world *w = q->w;
	if (w->fatal || disk_dead(w->disk) || err == ERR_SHUTTING_DOWN || err == ERR_BUSY || err == ERR_STORAGE_FULL)
		return true;
	return onair_frail(w) && err != ERR_NOT_FOUND;
}

static void unexpected(const struct question *q, const char *what, enum err err)
{
	if (!passing(q, err))
		sim_fail(&q->w->sim, "the status is the truth", "%s of %s answers %s", what, q->show->name,
			 err_code(err));
}

static unsigned listeners_of(const struct show_truth *show)
{
	const struct listener *l = show->listener;
	return l && l->reader.broadcast && l->life == show->w->life && !broadcast_ended(l->reader.broadcast);
}

static void check_listeners(struct show_truth *show, const json_t *object)
{
	unsigned said = (unsigned)json_integer_value(json_object_get(object, "listeners"));
	if (said != listeners_of(show))
		sim_fail(&show->w->sim, "the status is the truth", "%s has %u listeners, says %u", show->name,
			 listeners_of(show), said);
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static void check_quiet(struct show_truth *show, const json_t *object)
{
	struct sim *s = &show->w->sim;
	const struct show_follower *f = show->follower;
	if (strcmp(text_of(object, "state"), "off") != 0)
		sim_fail(s, "liveness", "%s is still on air: %s", show->name, text_of(object, "state"));
	if (!f || !f->subscribed || !link_usable(f->link))
		return;
	static const char *const names[] = { "state", "version", "id", "recording", "error", "owner", "name" };
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		if (!json_equal(json_object_get(object, names[i]), json_object_get(f->last, names[i])))
			sim_fail(s, "the status is the truth", "%s: the last status says another %s", show->name,
				 names[i]);
	}
}

static void got_show(void *arg, enum err err, const char *text, size_t len)
{
	struct question *q = arg;
	answered(q);
	if (err) {
		unexpected(q, "the show", err);
		return;
	}
	json_t *object = json_loadb(text, len, 0, NULL);
	onair_status(q->w, object, q->newest);
	check_listeners(q->show, object);
	if (q->quiet)
		check_quiet(q->show, object);
	json_decref(object);
}

static void got_shows(void *arg, enum err err, const char *text, size_t len)
{
	struct question *q = arg;
	answered(q);
	if (err) {
		unexpected(q, "the list of shows", err);
		return;
	}
	json_t *object = json_loadb(text, len, 0, NULL);
	const json_t *items = json_object_get(object, "items");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);
		const struct show_truth *show = show_named(q->w, text_of(item, "show"));
		onair_status(q->w, item, show ? show->newest : 0);
		if (strcmp(text_of(item, "state"), "off") == 0 || q->quiet)
			sim_fail(&q->w->sim, "the status is the truth", "%s is listed and off air",
				 text_of(item, "show"));
	}
	json_decref(object);
}

static void ask_show(struct show_truth *show)
{
	engine_show(show->w->engine, show->name, grant_local(), got_show, question_new(show, 0));
}

/* --- stops --- */

/* What is answered is so: it is off air, or a later version is on air. */
static void stop_is_true(void *arg, enum err err, const char *text, size_t len)
{
	struct question *q = arg;
	answered(q);
	json_t *object = err ? NULL : json_loadb(text, len, 0, NULL);
	uint32_t version = (uint32_t)json_integer_value(json_object_get(object, "version"));
	if (object && strcmp(text_of(object, "state"), "off") != 0 && version <= q->newest)
		sim_fail(&q->w->sim, "a stop is answered once",
			 "%s: version %" PRIu32 " was stopped, %" PRIu32 " is %s", q->show->name, q->newest, version,
			 text_of(object, "state"));
	json_decref(object);
}

static void stopped(void *arg, enum err err, const char *text, size_t len)
{
	struct question *q = arg;
	struct world *w = q->w;
	answered(q);
	sim_trace(&w->sim, "stopped", err_code(err), err, len);
	for (unsigned i = 0; i < w->plan.shows; i++) {
		struct show_truth *show = &w->onair->shows[i];
		show->enders -= show->enders > 0;
	}
	if (err && err != ERR_BAD_FIELD)
		unexpected(q, "a stop", err);
	if (err)
		return;
	json_t *object = json_loadb(text, len, 0, NULL);
	const json_t *what = json_object_get(object, "stopped");
	struct show_truth *show = show_named(w, text_of(what, "show"));
	uint32_t version = (uint32_t)json_integer_value(json_object_get(what, "version"));
	if (show && version) {
		struct version_truth *v = air_version(show, version);
		const char *id = text_of(what, "id");
		if (v->take.id[0] && strcmp(v->take.id, id) != 0)
			sim_fail(&w->sim, "one version, one recording", "%s is %s, stopped is %s", v->take.session,
				 v->take.id, id);
		v->stopped = true;
		world_tally(w, TALLY_STOPPED);
		struct question *then = question_new(show, 0);
		then->newest = version;
		engine_show(w->engine, show->name, grant_local(), stop_is_true, then);
	} else if (json_is_null(what) && q->v) {
		sim_fail(&w->sim, "a stop is answered once", "%s was never on air?", q->show->name);
	}
	json_decref(object);
}

static void stop_show(struct show_truth *show)
{
	struct world *w = show->w;
	bool any = rng_chance(luck(w), 15);
	for (uint64_t n = 1 + rng_below(luck(w), 4); n > 0; n--) {
		for (unsigned i = 0; i < w->plan.shows; i++) {
			struct show_truth *each = &w->onair->shows[i];
			each->enders++;
			each->may_be_off = each->may_be_off || any || each == show;
		}
		struct question *q = question_new(show, any ? 0 : show->newest);
		engine_show_stop(w->engine, any ? NULL : show->name, grant_local(), stopped, q);
	}
}

/* --- its recordings --- */

static void got_version(void *arg, enum err err, const char *text, size_t len)
{
	struct question *q = arg;
	answered(q);
	if (err) {
		if (err != ERR_DELETED || !q->v->take.deleting)
			unexpected(q, "a version", err);
		return;
	}
	json_t *object = json_loadb(text, len, 0, NULL);
	oracle_status(q->w, &q->v->take, &q->known, object);
	json_decref(object);
}

static void ask_version(struct show_truth *show, uint32_t version)
{
	struct question *q = question_new(show, version);
	if (q->v->take.id[0])
		engine_get(show->w->engine, (struct engine_ref){ q->v->take.id, grant_local() }, got_version, q);
	else
		answered(q);
}

static void completed(void *arg, enum err err, const char *text, size_t len)
{
	struct question *q = arg;
	answered(q);
	q->show->enders -= q->show->enders > 0;
	sim_trace(&q->w->sim, "completed", err_code(err), err, len);
	if (err == ERR_OK && text && strstr(text, "\"started\""))
		q->v->take.begun++;
	if (err == ERR_NOT_FOUND && !q->v->take.deleting)
		unexpected(q, "completion", err);
}

static void deleted(void *arg, enum err err, const char *text, size_t len)
{
	struct question *q = arg;
	answered(q);
	q->show->enders -= q->show->enders > 0;
	sim_trace(&q->w->sim, "deleted", err_code(err), err, 0);
	if (err == ERR_OK || err == ERR_DELETED)
		q->v->take.deleted = true;
	else
		unexpected(q, "deletion", err);
}

static void end_version(struct show_truth *show)
{
	struct world *w = show->w;
	struct version_truth *v = show->newest ? air_version(show, show->newest) : NULL;
	if (!v || !v->take.id[0])
		return;
	struct question *q = question_new(show, show->newest);
	struct engine_ref ref = { v->take.id, grant_local() };
	show->enders++;
	show->may_be_off = true;
	if (rng_chance(luck(w), 60)) {
		v->take.completed = v->take.completed_bare = true;
		engine_complete(w->engine, ref, NULL, 0, completed, q);
	} else {
		v->take.deleting = true;
		v->take.fate = FATE_DELETE;
		engine_delete(w->engine, ref, deleted, q);
	}
}

static void caller_tick(void *arg, uint64_t x)
{
	struct show_truth *show = arg;
	struct world *w = show->w;
	if (w->calm || w->ending)
		return;
	uint64_t what = rng_below(luck(w), 100);
	if (can_ask(w)) {
		if (what < 50)
			ask_show(show);
		else if (what < 60)
			engine_shows(w->engine, grant_local(), got_shows, question_new(show, 0));
		else if (what < 90 && show->newest > 0)
			ask_version(show, 1 + (uint32_t)rng_below(luck(w), show->newest));
		else if (what >= 98)
			end_version(show);
		else if (what >= 95)
			stop_show(show);
		world_touched(w);
	}
	sim_after(&w->sim, 20 * MS + rng_below(luck(w), 700 * MS), caller_tick, show, 0);
}

void onair_callers_begin(struct world *w)
{
	for (unsigned i = 0; i < w->plan.shows; i++) {
		struct show_truth *show = &w->onair->shows[i];
		sim_after(&w->sim, rng_below(luck(w), SECOND), caller_tick, show, 0);
		show->listener = calloc(1, sizeof *show->listener);
		assert(show->listener);
		show->listener->show = show;
		sim_after(&w->sim, rng_below(luck(w), SECOND), listener_tick, show->listener, 0);
		if (rng_chance(luck(w), 40))
			continue;
		show->follower = calloc(1, sizeof *show->follower);
		assert(show->follower);
		show->follower->show = show;
		show->follower->heard_us = w->sim.now_us;
		sim_after(&w->sim, rng_below(luck(w), 3 * SECOND), follower_connect, show->follower, 0);
		sim_after(&w->sim, SECOND, follower_watch, show->follower, 0);
	}
}

void onair_check_all(struct world *w)
{
	for (unsigned i = 0; i < w->plan.shows && w->engine; i++) {
		struct show_truth *show = &w->onair->shows[i];
		listener_leave(show);
		ask_show(show);
		for (uint32_t v = 1; v <= show->newest; v++)
			ask_version(show, v);
		engine_shows(w->engine, grant_local(), got_shows, question_new(show, 0));
	}
	world_touched(w);
}

void onair_check(struct world *w)
{
	for (unsigned i = 0; i < w->plan.shows; i++) {
		const struct show_follower *f = w->onair->shows[i].follower;
		if (f && !f->subscribed)
			sim_fail(&w->sim, "liveness", "the follower of %s was never answered", f->show->name);
	}
}
