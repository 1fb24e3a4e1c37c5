/* Subscriptions: who follows what, and which changes are to be passed on. See subscriptions.h. */
#include "engine/subscriptions.h"
#include "engine/shows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- who may see what: the one place that judges it --- */

static bool grant_sees(const struct engine *e, const struct grant *g, const struct recording_info *info,
		       bool by_session)
{
	const char *owner = info->principal ? info->principal : "";
	bool own = strcmp(g->subject, owner) == 0 || (by_session && strcmp(owner, PRINCIPAL_LOCAL) == 0);
	return g->expires_ms > engine_wall(e) && grant_judge(g, GRANT_READ, own, &info->id) == ERR_OK;
}

bool follow_sees(const struct engine *e, const struct follow *f, const struct watch *w,
		 const struct recording_info *info)
{
	return (f->follows_all && grant_sees(e, &f->grant, info, false)) ||
	       (w && grant_sees(e, &w->grant, info, ref_by_session(w->text))) || follow_batch_sees(e, f, info);
}

/* Whose recordings the newest are looked for among; NULL: everybody's. */
static const char *follow_scope(const struct grant *g)
{
	return g->scopes & (SCOPE_PLAY | SCOPE_ADMIN) ? NULL : g->subject;
}

/* --- who follows what --- */

void follow_init(struct engine *e)
{
	struct following *g = &e->following;
	list_init(&g->alls);
	list_init(&g->ready);
	list_init(&g->changed);
	list_init(&g->unsettled);
	list_init(&g->grown_watched);
	list_init(&g->grown);
	g->watches = must(calloc(WATCH_BUCKETS, sizeof(struct watch *)));
	g->timer.kind = TIMER_FOLLOW;
}

void follow_release(struct engine *e)
{
	free(e->following.watches);
}

static struct watch **bucket_of(const struct engine *e, const struct uuid *id)
{
	return &e->following.watches[uuid_hash(id) & (WATCH_BUCKETS - 1)];
}

struct watch *follow_watch(const struct follow *f, const struct uuid *id)
{
	for (const struct list *at = f->watches.next; at != &f->watches; at = at->next) {
		struct watch *w = list_entry(at, struct watch, link);
		if (uuid_equal(&w->id, id))
			return w;
	}
	return NULL;
}

void follow_unwatch(struct engine *e, struct watch *w)
{
	struct watch **at = bucket_of(e, &w->id);
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	list_remove(&w->link);
	w->follow->watch_count--;
	free(w->text);
	free(w);
}

static bool watched(const struct engine *e, const struct uuid *id)
{
	const struct watch *w = *bucket_of(e, id);
	while (w && !uuid_equal(&w->id, id))
		w = w->next;
	return w != NULL;
}

struct follow *follow_of(struct engine *e, struct conn *c)
{
	if (c->follow)
		return c->follow;
	struct follow *f = must(calloc(1, sizeof *f));
	f->conn = c;
	list_init(&f->all);
	list_init(&f->ready);
	list_init(&f->watches);
	list_init(&f->askings);
	list_init(&f->shows);
	list_init(&f->batches);
	list_init(&f->changes);
	list_init(&f->bytes);
	list_init(&f->reading);
	c->follow = f;
	if (e->following.count++ > 0)
		return f;
	/* what changed while nobody followed is no news */
	for (struct list *at = e->takes.next; at != &e->takes; at = at->next)
		follow_seen(list_entry(at, struct take, link));
	return f;
}

static void take_forget(struct take *t)
{
	list_remove(&t->changed);
	list_remove(&t->grown);
}

void follow_conn_closed(struct engine *e, struct conn *c)
{
	struct follow *f = c->follow;
	if (!f)
		return;
	while (!list_empty(&f->watches))
		follow_unwatch(e, list_entry(f->watches.next, struct watch, link));
	while (list_pop(&f->askings))
		; /* their answers come, and find nobody */
	while (!list_empty(&f->shows))
		follow_show_drop(e, list_entry(f->shows.next, struct show_watch, link));
	follow_batches_drop(e, f);
	list_remove(&f->all);
	list_remove(&f->ready);
	backlog_free(f);
	free(f);
	c->follow = NULL;
	if (--e->following.count > 0)
		return;
	timer_set(&e->timers, &e->following.timer, UINT64_MAX);
	for (struct list *at = e->takes.next; at != &e->takes; at = at->next)
		take_forget(list_entry(at, struct take, link));
}

/* --- the message --- */

/* Errors and answers about a subscription promise nothing. */
static void refuse(struct engine *e, uint64_t conn, enum err err, const char *detail, const struct message_subscribe *m)
{
	struct buf text;
	buf_init(&text);
	message_subscription_error(&text, err, detail, m);
	reply_send(e, conn, &text, (struct promise){ 0 });
}

void conn_subscribe_refuse(struct engine *e, struct conn *c, enum err err, const char *detail,
			   const struct message_subscribe *m)
{
	if (c->session.state != SESSION_CLOSING)
		refuse(e, c->id, err, detail, m);
}

/* A subscription by id, until its recording is found. */
struct asking {
	struct waiter waiter;
	struct list link; /* follow.askings */
	uint64_t conn;
	char *text;
	struct grant grant;
};

static void watch_add(struct engine *e, struct follow *f, const struct uuid *id, struct asking *a)
{
	struct watch *w = follow_watch(f, id);
	if (!w) {
		w = must(calloc(1, sizeof *w));
		w->follow = f;
		w->id = *id;
		w->text = a->text;
		a->text = NULL;
		w->next = *bucket_of(e, id);
		*bucket_of(e, id) = w;
		list_push(&f->watches, &w->link);
		f->watch_count++;
	}
	w->grant = a->grant;
	backlog_note(e, f, id, false);
	if (!w->answering) { /* else the answer that is on its way serves both */
		w->answering = true;
		backlog_mark(e, f, NEWS_SUBSCRIBED, id);
	}
}

static void asking_go(struct engine *e, struct waiter *waiter, struct take *t, enum err err)
{
	struct asking *a = (struct asking *)waiter;
	struct conn *c = conn_find(e, a->conn);
	struct follow *f = c ? c->follow : NULL;
	list_remove(&a->link);
	if (f) {
		f->asking--;
		if (!err)
			err = take_judge(t, &a->grant, GRANT_READ, ref_by_session(a->text));
		if (!err && t->rec.info.phase == PHASE_DELETED)
			err = ERR_DELETED;
		if (err)
			refuse(e, c->id, err, NULL, &(struct message_subscribe){ .id = a->text });
		else
			watch_add(e, f, &t->rec.info.id, a);
	}
	free(a->text);
	free(a);
}

bool follow_under(const struct follow *f, const char *token_id)
{
	bool found = f && f->follows_all && strcmp(f->grant.token_id, token_id) == 0;
	for (const struct list *at = f ? f->watches.next : NULL; f && at != &f->watches && !found; at = at->next)
		found = strcmp(list_entry(at, struct watch, link)->grant.token_id, token_id) == 0;
	for (const struct list *at = f ? f->askings.next : NULL; f && at != &f->askings && !found; at = at->next)
		found = strcmp(list_entry(at, struct asking, link)->grant.token_id, token_id) == 0;
	return found || (f && follow_batch_under(f, token_id));
}

/* The newest of all, for one who follows all. */
struct newest_op {
	struct catalog_op op;
	uint64_t conn;
	char *principal;
	struct uuid ids[LIMIT_LIST_ITEMS];
	unsigned count;
};

static enum err newest_row(void *arg, const struct recording_info *row)
{
	struct newest_op *o = arg;
	o->ids[o->count++] = row->id;
	return ERR_OK;
}

static enum err newest_run(struct catalog *c, struct catalog_op *op)
{
	struct newest_op *o = (struct newest_op *)op;
	struct catalog_filter filter = { .principal = o->principal, .phase = -1, .limit = LIMIT_LIST_ITEMS };
	o->count = 0;
	return c->ops->list(c, &filter, newest_row, o);
}

static void newest_done(struct engine *e, struct catalog_op *op)
{
	struct newest_op *o = (struct newest_op *)op;
	struct conn *c = conn_find(e, o->conn);
	struct follow *f = c ? c->follow : NULL;
	if (f && op->err) {
		f->listing = f->follows_all = false;
		list_remove(&f->all);
		refuse(e, c->id, op->err, NULL, &(struct message_subscribe){ .all = true });
	} else if (f) {
		f->listing = false;
		for (unsigned i = 0; i < o->count; i++)
			backlog_note(e, f, &o->ids[i], false);
		f->all_answer =
			!f->listing; /* else the backlog ran over just now, and the next answer is the whole one */
		if (f->all_answer)
			backlog_mark(e, f, NEWS_ALL, NULL);
	}
	free(o->principal);
	free(o);
}

void follow_list(struct engine *e, struct follow *f)
{
	struct newest_op *o = must(calloc(1, sizeof *o));
	const char *principal = follow_scope(&f->grant);
	f->listing = true;
	o->op.run = newest_run;
	o->op.done = newest_done;
	o->conn = f->conn->id;
	o->principal = principal ? must(strdup(principal)) : NULL;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

void conn_subscribe(struct engine *e, struct conn *c, const struct message_subscribe *m)
{
	if (c->session.state == SESSION_CLOSING)
		return;
	if (e->stopping) {
		refuse(e, c->id, ERR_SHUTTING_DOWN, NULL, m);
		return;
	}
	struct grant grant;
	enum err err = conn_grant(e, c, m->token, &grant);
	if (!err && m->show) {
		conn_subscribe_show(e, c, m, &grant);
		return;
	}
	if (!err && m->batch) {
		conn_subscribe_batch(e, c, m, &grant);
		return;
	}
	if (!err && !(grant.scopes & (SCOPE_OWN | SCOPE_PLAY | SCOPE_ADMIN)))
		err = ERR_FORBIDDEN_SCOPE;
	if (err) {
		refuse(e, c->id, err, NULL, m);
		return;
	}
	struct follow *f = follow_of(e, c);
	if (m->all) {
		f->grant = grant;
		if (list_empty(&f->all))
			list_push(&e->following.alls, &f->all);
		f->follows_all = true;
		f->figures_ms = 0;
		if (!f->listing && !f->all_answer)
			follow_list(e, f);
		return;
	}
	if (f->watch_count + f->asking >= LIMIT_SUBSCRIPTIONS) {
		refuse(e, c->id, ERR_LIMIT_EXCEEDED, "A connection follows at most 32 recordings by id.", m);
		return;
	}
	struct asking *a = must(calloc(1, sizeof *a));
	a->waiter.go = asking_go;
	a->conn = c->id;
	a->text = must(strdup(m->id));
	a->grant = grant;
	f->asking++;
	list_push(&f->askings, &a->link);
	take_want(e, (struct engine_ref){ m->id, &grant }, &a->waiter);
}

_Static_assert(LIMIT_SUBSCRIPTIONS == 32, "a sentence names it");

/* --- what changed --- */

void follow_seen(struct take *t)
{
	if (!t->loading)
		t->shown = follow_digest(t);
}

void follow_change(struct engine *e, struct take *t)
{
	if (e->following.count == 0 || t->rec.info.upload.kind == UPLOAD_PARTIAL)
		return;
	follow_seen(t);
	list_remove(&t->changed);
	list_push(&e->following.changed, &t->changed);
}

void follow_compare(struct engine *e, struct take *t)
{
	if (t->shown != follow_digest(t))
		follow_change(e, t);
}

void follow_arm(struct engine *e, uint64_t at_ms)
{
	struct timer *timer = &e->following.timer;
	if (timer->place == 0 || timer->due_ms > at_ms)
		timer_set(&e->timers, timer, at_ms);
}

/* The end of the slice that runs, or of the one that would begin now. */
static uint64_t slice_end(const struct engine *e)
{
	uint64_t end = e->following.slice_ms + LIMIT_STATUS_SLICE_MS;
	return end > e->now.mono_ms ? end : e->now.mono_ms + LIMIT_STATUS_SLICE_MS;
}

void follow_bytes(struct engine *e, struct take *t)
{
	struct following *g = &e->following;
	if (!list_empty(&t->grown))
		return;
	bool by_id = watched(e, &t->rec.info.id) || batches_watched(e, &t->rec.info);
	if (!by_id && list_empty(&g->alls))
		return;
	list_push(by_id ? &g->grown_watched : &g->grown, &t->grown);
	follow_arm(e, slice_end(e));
}

static void pass_on(struct engine *e, const struct recording_info *info, bool only_bytes)
{
	const struct uuid *id = &info->id;
	struct following *g = &e->following;
	if (info->upload.kind == UPLOAD_PARTIAL) /* it is no recording */
		return;
	for (struct list *at = g->alls.next; at != &g->alls; at = at->next) {
		struct follow *f = list_entry(at, struct follow, all);
		if (grant_sees(e, &f->grant, info, false))
			backlog_note(e, f, id, only_bytes);
	}
	for (struct watch *w = *bucket_of(e, id); w; w = w->next) {
		if (uuid_equal(&w->id, id))
			backlog_note(e, w->follow, id, only_bytes);
	}
	batches_pass(e, info, only_bytes);
}

void follow_change_row(struct engine *e, const struct recording_info *row)
{
	if (e->following.count > 0)
		pass_on(e, row, false);
}

void follow_gone(struct engine *e, struct take *t)
{
	/* its row says it from now on */
	if (!list_empty(&t->changed) && !t->loading && t->rec.info.principal)
		pass_on(e, &t->rec.info, false);
	take_forget(t);
}

void follow_settled(struct engine *e)
{
	list_move(&e->following.changed, &e->following.unsettled);
}

static void changes_pass(struct engine *e)
{
	struct following *g = &e->following;
	struct list *link;
	while ((link = list_pop(&g->changed))) {
		struct take *t = list_entry(link, struct take, changed);
		if (follow_tellable(e, t))
			pass_on(e, &t->rec.info, false);
		else
			list_push(&g->unsettled, &t->changed);
	}
}

/* Byte counts that were not told for a while, up to `most`; returns how many. */
static unsigned bytes_pass(struct engine *e, struct list *grown, unsigned most)
{
	unsigned count = 0;
	while (count < most && !list_empty(grown)) {
		struct take *t = list_entry(grown->next, struct take, grown);
		if (t->grown_ms > 0 && e->now.mono_ms < t->grown_ms + LIMIT_STATUS_BYTES_MS)
			break;
		list_remove(&t->grown);
		t->grown_ms = e->now.mono_ms;
		pass_on(e, &t->rec.info, true);
		count++;
	}
	return count;
}

/* What the server shows of itself, looked up every two seconds for all. */
static void figures_update(struct engine *e)
{
	struct following *g = &e->following;
	bool fresh = g->figures_ms > 0 && e->now.mono_ms < g->figures_ms + LIMIT_STATUS_SERVER_MS;
	if (list_empty(&g->alls) || fresh)
		return;
	struct engine_status status;
	engine_status(e, &status);
	g->figures = (struct server_figures){
		.free_bytes = status.free_bytes,
		.total_bytes = status.total_bytes,
		.reserve_bytes = status.reserve_bytes,
		.recordings = status.attached,
	};
	g->figures_ms = e->now.mono_ms;
	for (struct list *at = g->alls.next, *next; at != &g->alls; at = next) {
		struct follow *f = list_entry(at, struct follow, all);
		next = at->next;
		if (f->grant.expires_ms <= engine_wall(e)) {
			f->follows_all = false;
			list_remove(&f->all);
			refuse(e, f->conn->id, ERR_TOKEN_EXPIRED, NULL, &(struct message_subscribe){ .all = true });
		} else {
			follow_ready(e, f);
		}
	}
}

void follow_turn(struct engine *e)
{
	struct following *g = &e->following;
	if (g->count == 0 || e->failed)
		return;
	uint64_t now = e->now.mono_ms;
	if (now >= g->slice_ms + LIMIT_STATUS_SLICE_MS) {
		g->slice_ms = now;
		g->told = 0;
		unsigned passed = bytes_pass(e, &g->grown_watched, LIMIT_STATUS_GROWN);
		bytes_pass(e, &g->grown, LIMIT_STATUS_GROWN - passed);
	}
	changes_pass(e);
	batches_turn(e);
	figures_update(e);
	follow_tell(e);
	if (!list_empty(&g->ready) || !list_empty(&g->grown) || !list_empty(&g->grown_watched))
		follow_arm(e, slice_end(e));
	else if (!list_empty(&g->alls))
		follow_arm(e, g->figures_ms + LIMIT_STATUS_SERVER_MS);
}
