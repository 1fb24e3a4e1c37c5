/* What a show shows, and to whom: followers, hosts, and the HTTP questions. See shows.h, subscriptions.h. */
#include "engine/shows.h"
#include "engine/subscriptions.h"

#include "proto/problem.h"

#include <stdlib.h>
#include <string.h>

/* --- the object --- */

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static const char *state_name(enum show_state state)
{
	return state == SHOW_LIVE ? "live" : state == SHOW_WAITING ? "waiting" : "off";
}

static json_t *recording_word(const struct show_view *v)
{
	if (v->state == SHOW_OFF || v->take == SHOW_TAKE_NONE)
		return json_string("none");
	return json_string(v->take == SHOW_TAKE_FAILED ? "recording_failed" : "recording");
}

static json_t *grace_left(const struct engine *e, const struct show *s)
{
	if (s->state != SHOW_WAITING || s->grace_deadline == UINT64_MAX)
		return json_null();
	uint64_t now = e->now.mono_ms;
	return json_integer(s->grace_deadline > now ? (json_int_t)(s->grace_deadline - now) : 0);
}

static json_t *air_json(const struct engine *e, const struct air *air)
{
	const struct show *s = &air->show;
	struct show_view v = show_view(s);
	bool on = v.state != SHOW_OFF;
	char id[UUID_TEXT];
	static const struct uuid none;
	uuid_format(&s->id, id);
	json_t *object = json_object();
	must(object);
	json_object_set_new(object, "show", json_string(s->name));
	json_object_set_new(object, "state", json_string(state_name(v.state)));
	json_object_set_new(object, "version", json_integer(v.version));
	json_object_set_new(object, "id", v.version && !uuid_equal(&s->id, &none) ? json_string(id) : json_null());
	json_object_set_new(object, "since", on ? json_integer(s->since_ms) : json_null());
	json_object_set_new(object, "graceLeftMs", grace_left(e, s));
	json_object_set_new(object, "recording", recording_word(&v));
	json_object_set_new(object, "error",
			    v.error ? json_pack("{s:s, s:s}", "code", err_code(v.error), "message", err_text(v.error))
				    : json_null());
	json_object_set_new(object, "owner", text_or_null(on ? s->principal : NULL));
	json_object_set_new(object, "name", text_or_null(on ? air->name : NULL));
	json_object_set_new(object, "mime", text_or_null(air->broadcast ? broadcast_mime(air->broadcast) : NULL));
	json_object_set_new(object, "title", json_string(air->broadcast ? broadcast_title_text(air->broadcast) : ""));
	json_object_set_new(object, "listeners", json_integer(air->broadcast ? broadcast_readers(air->broadcast) : 0));
	return object;
}

/* --- who may --- */

/* A token for one recording is for no show. */
static enum err may_see(const struct grant *g)
{
	return !g->has_resource && g->scopes & (SCOPE_LISTEN | SCOPE_RECORD | SCOPE_PLAY | SCOPE_ADMIN)
		       ? ERR_OK
		       : ERR_FORBIDDEN_SCOPE;
}

static enum err may_end(const struct air *air, const struct grant *g)
{
	if (g->scopes & SCOPE_ADMIN)
		return ERR_OK;
	bool own = g->scopes & SCOPE_RECORD && strcmp(air->show.principal, g->subject) == 0;
	return own ? ERR_OK : ERR_FORBIDDEN_SCOPE;
}

/* --- followers --- */

static struct show_watch *watch_find(const struct follow *f, const struct air *air)
{
	for (const struct list *at = f->shows.next; at != &f->shows; at = at->next) {
		struct show_watch *w = list_entry(at, struct show_watch, link);
		if (w->air == air)
			return w;
	}
	return NULL;
}

static struct show_watch *watch_add(struct engine *e, struct follow *f, struct air *air)
{
	struct show_watch *w = watch_find(f, air);
	if (!w) {
		w = must(calloc(1, sizeof *w));
		w->follow = f;
		w->air = air;
		list_push(&f->shows, &w->link);
		list_push(&air->watches, &w->at);
	}
	w->due = true;
	follow_ready(e, f);
	return w;
}

void follow_show_drop(struct engine *e, struct show_watch *w)
{
	struct air *air = w->air;
	list_remove(&w->link);
	list_remove(&w->at);
	free(w);
	air_due(e, air);
}

void air_tell_host(struct engine *e, struct air *air, struct conn *c)
{
	struct show_watch *w = watch_add(e, follow_of(e, c), air);
	w->grant = c->work;
}

/* A subscription to a show, until that is in memory. */
struct asking_show {
	struct air_waiter waiter;
	uint64_t conn;
	char *show;
	struct grant grant;
};

static void asking_go(struct engine *e, struct air_waiter *waiter, struct air *air, enum err err)
{
	struct asking_show *a = list_entry(waiter, struct asking_show, waiter);
	struct conn *c = conn_find(e, a->conn);
	if (c && c->closed)
		c = NULL; /* it follows nothing any more */
	if (c)
		c->follow->asking_shows--;
	if (c && err) {
		conn_subscribe_refuse(e, c, err, NULL, &(struct message_subscribe){ .show = a->show });
	} else if (c) {
		struct show_watch *w = watch_add(e, follow_of(e, c), air);
		w->grant = a->grant;
		w->asked = w->answering = true;
	}
	free(a->show);
	free(a);
}

void conn_subscribe_show(struct engine *e, struct conn *c, const struct message_subscribe *m, const struct grant *grant)
{
	enum err err = may_see(grant);
	struct follow *f = follow_of(e, c);
	unsigned count = f->asking_shows;
	for (const struct list *at = f->shows.next; at != &f->shows; at = at->next)
		count++;
	if (!err && count >= LIMIT_SUBSCRIPTIONS)
		err = ERR_LIMIT_EXCEEDED;
	if (err) {
		conn_subscribe_refuse(e, c, err, NULL, m);
		return;
	}
	struct asking_show *a = must(calloc(1, sizeof *a));
	a->waiter.go = asking_go;
	a->conn = c->id;
	a->show = must(strdup(m->show));
	a->grant = *grant;
	f->asking_shows++;
	air_want(e, a->show, &a->waiter);
}

bool follow_show_due(const struct follow *f)
{
	for (const struct list *at = f->shows.next; at != &f->shows; at = at->next) {
		const struct show_watch *w = list_entry(at, struct show_watch, link);
		if (w->due || w->answering)
			return true;
	}
	return false;
}

void follow_show_tell(struct engine *e, struct follow *f)
{
	struct show_watch *w = NULL;
	for (struct list *at = f->shows.next; !w && at != &f->shows; at = at->next) {
		w = list_entry(at, struct show_watch, link);
		if (!w->due && !w->answering)
			w = NULL;
	}
	if (!w)
		return;
	struct buf text, object;
	buf_init(&text);
	buf_init(&object);
	if (w->asked && w->grant.expires_ms <= engine_wall(e)) {
		conn_subscribe_refuse(e, f->conn, ERR_TOKEN_EXPIRED, NULL,
				      &(struct message_subscribe){ .show = w->air->show.name });
		follow_show_drop(e, w);
		return;
	}
	if (w->due) {
		json_t *json = air_json(e, w->air);
		json_format(&object, json);
		json_decref(json);
		must(object.data);
		message_status(&text, "show", object.data);
		buf_release(&object);
		w->due = false;
	} else {
		message_subscribed(&text, &(struct message_subscribe){ .show = w->air->show.name });
		w->answering = false;
	}
	reply_send(e, f->conn->id, &text, (struct promise){ .catalog = e->catalog_durable });
}

void air_tell(struct engine *e, struct air *air)
{
	if (!air->changed)
		return;
	air->changed = false;
	air->told_ms = e->now.mono_ms;
	air->told_listeners = air->broadcast ? broadcast_readers(air->broadcast) : 0;
	for (struct list *at = air->watches.next; at != &air->watches; at = at->next) {
		struct show_watch *w = list_entry(at, struct show_watch, at);
		w->due = true;
		follow_ready(e, w->follow);
	}
}

uint64_t air_look(struct engine *e, struct air *air)
{
	if (!air->broadcast || list_empty(&air->watches) || !e->listening)
		return UINT64_MAX;
	uint64_t next = air->told_ms + LIMIT_STATUS_SERVER_MS;
	if (e->now.mono_ms < next)
		return next;
	if (broadcast_readers(air->broadcast) != air->told_listeners) {
		air->changed = true;
		air_tell(e, air);
	}
	air->told_ms = e->now.mono_ms;
	return air->told_ms + LIMIT_STATUS_SERVER_MS;
}

/* --- questions --- */

enum err engine_listen(struct engine *e, const char *show, const struct grant *grant, struct broadcast **out)
{
	const struct air *air = air_find(e, show);
	enum err err = may_see(grant);
	if (err)
		return err;
	if (!show_name_valid(show))
		return ERR_NOT_FOUND;
	if (!air || !air->broadcast || show_view(&air->show).state == SHOW_OFF)
		return ERR_NOT_ON_AIR;
	*out = air->broadcast;
	return ERR_OK;
}

enum err engine_show_title(struct engine *e, const char *show, const struct grant *grant, const char *title)
{
	struct air *air = air_find(e, show);
	if (!air || !air->broadcast || show_view(&air->show).state == SHOW_OFF)
		return ERR_NOT_ON_AIR;
	enum err err = may_end(air, grant); /* who may end it may name it */
	if (err)
		return err;
	broadcast_title_set(air->broadcast, title);
	air->changed = true;
	air_due(e, air);
	return ERR_OK;
}

static void answer_json(engine_json_fn *done, void *arg, json_t *json)
{
	struct buf body;
	buf_init(&body);
	json_format(&body, must(json));
	json_decref(json);
	must(body.data);
	done(arg, ERR_OK, body.data, body.len);
	buf_release(&body);
}

struct show_question {
	struct air_waiter waiter;
	engine_json_fn *done;
	void *arg;
};

static void question_go(struct engine *e, struct air_waiter *w, struct air *air, enum err err)
{
	struct show_question *q = list_entry(w, struct show_question, waiter);
	if (err)
		q->done(q->arg, err, NULL, 0);
	else
		answer_json(q->done, q->arg, air_json(e, air));
	free(q);
}

void engine_show(struct engine *e, const char *show, const struct grant *grant, engine_json_fn *done, void *arg)
{
	enum err err = may_see(grant);
	if (err) {
		done(arg, err, NULL, 0);
		return;
	}
	struct show_question *q = must(calloc(1, sizeof *q));
	q->waiter.go = question_go;
	q->done = done;
	q->arg = arg;
	air_want(e, show, &q->waiter);
}

void engine_shows(struct engine *e, const struct grant *grant, engine_json_fn *done, void *arg)
{
	enum err err = may_see(grant);
	if (err) {
		done(arg, err, NULL, 0);
		return;
	}
	json_t *items = json_array();
	for (const struct list *at = e->shows.airs.next; at != &e->shows.airs; at = at->next) {
		const struct air *air = list_entry(at, struct air, link);
		if (!air->loading && show_view(&air->show).state != SHOW_OFF)
			json_array_append_new(items, air_json(e, air));
	}
	answer_json(done, arg, json_pack("{s:o}", "items", items));
}

/* Who asked over HTTP for the end of a show. Their numbers are none of a connection's. */
struct show_stop_ask {
	struct air_waiter waiter;
	struct list link; /* engine.shows.stops */
	uint64_t number;
	struct grant grant;
	engine_json_fn *done;
	void *arg;
};

static struct show_stop_ask *stop_find(const struct engine *e, uint64_t number)
{
	for (const struct list *at = e->shows.stops.next; at != &e->shows.stops; at = at->next) {
		struct show_stop_ask *a = list_entry(at, struct show_stop_ask, link);
		if (a->number == number)
			return a;
	}
	return NULL;
}

static void stop_free(struct show_stop_ask *a)
{
	list_remove(&a->link);
	free(a);
}

bool air_stopped(struct engine *e, struct air *air, uint64_t asker, const struct show_effect *fx)
{
	struct show_stop_ask *a = stop_find(e, asker);
	char id[UUID_TEXT];
	if (!a)
		return false;
	uuid_format(&fx->id, id);
	answer_json(a->done, a->arg,
		    fx->version == 0 ? json_pack("{s:n}", "stopped")
				     : json_pack("{s:{s:s, s:I, s:s}}", "stopped", "show", air->show.name, "version",
						 (json_int_t)fx->version, "id", id));
	stop_free(a);
	return true;
}

bool air_stop_refused(struct engine *e, uint64_t asker, enum err err)
{
	struct show_stop_ask *a = stop_find(e, asker);
	if (!a)
		return false;
	a->done(a->arg, err, NULL, 0);
	stop_free(a);
	return true;
}

void air_stops_end(struct engine *e)
{
	while (!list_empty(&e->shows.stops))
		air_stop_refused(e, list_entry(e->shows.stops.next, struct show_stop_ask, link)->number,
				 ERR_SHUTTING_DOWN);
}

static void stop_go(struct engine *e, struct air_waiter *w, struct air *air, enum err err)
{
	struct show_stop_ask *a = list_entry(w, struct show_stop_ask, waiter);
	if (!err && show_view(&air->show).state != SHOW_OFF)
		err = may_end(air, &a->grant);
	if (err) {
		air_stop_refused(e, a->number, err);
		return;
	}
	show_stop(&air->show, a->number, &air->fx);
	air_due(e, air);
}

/* The only show on air; NULL: there is none, *several: there are more. */
static struct air *only_on_air(const struct engine *e, bool *several)
{
	struct air *only = NULL;
	*several = false;
	for (const struct list *at = e->shows.airs.next; at != &e->shows.airs; at = at->next) {
		struct air *air = list_entry(at, struct air, link);
		if (air->loading || show_view(&air->show).state == SHOW_OFF)
			continue;
		*several = only != NULL;
		only = air;
	}
	return only;
}

void engine_show_stop(struct engine *e, const char *show, const struct grant *grant, engine_json_fn *done, void *arg)
{
	bool several = false;
	const struct air *only = show ? NULL : only_on_air(e, &several);
	enum err err = grant->scopes & (SCOPE_RECORD | SCOPE_ADMIN) ? ERR_OK : ERR_FORBIDDEN_SCOPE;
	if (!err && several)
		err = ERR_BAD_FIELD;
	if (err) {
		done(arg, err, NULL, 0);
		return;
	}
	if (!show && !only) {
		answer_json(done, arg, json_pack("{s:n}", "stopped"));
		return;
	}
	struct show_stop_ask *a = must(calloc(1, sizeof *a));
	a->waiter.go = stop_go;
	a->number = ++e->shows.stop_next | 1ULL << 63;
	a->grant = *grant;
	a->done = done;
	a->arg = arg;
	list_push(&e->shows.stops, &a->link);
	air_want(e, show ? show : only->show.name, &a->waiter);
}
