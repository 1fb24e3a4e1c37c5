/* What followers are told: their backlogs, and how they leave. See subscriptions.h. */
#include "engine/subscriptions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- the backlog --- */

static struct news **slot_of(const struct follow *f, const struct uuid *id)
{
	return &f->table[uuid_hash(id) & (f->table_size - 1)];
}

static struct news *news_find(const struct follow *f, const struct uuid *id)
{
	struct news *n = f->table_size > 0 ? *slot_of(f, id) : NULL;
	while (n && !uuid_equal(&n->id, id))
		n = n->next;
	return n;
}

static void table_grow(struct follow *f)
{
	struct news **old = f->table;
	unsigned old_size = f->table_size;
	f->table_size = old_size ? old_size * 2 : 8;
	f->table = must(calloc(f->table_size, sizeof(struct news *)));
	for (unsigned i = 0; i < old_size; i++) {
		for (struct news *n = old[i], *next; n; n = next) {
			next = n->next;
			n->next = *slot_of(f, &n->id);
			*slot_of(f, &n->id) = n;
		}
	}
	free(old);
}

static void row_drop(struct news *n)
{
	if (n->row)
		recording_info_release(n->row);
	free(n->row);
	n->row = NULL;
}

static void news_free(struct follow *f, struct news *n)
{
	if (n->kind == NEWS_RECORDING) {
		struct news **at = slot_of(f, &n->id);
		while (*at != n)
			at = &(*at)->next;
		*at = n->next;
		f->count--;
		f->reading_count -= n->reading;
	} else {
		f->markers--;
	}
	list_remove(&n->link);
	row_drop(n);
	free(n);
}

static void list_free(struct follow *f, struct list *list)
{
	while (!list_empty(list))
		news_free(f, list_entry(list->next, struct news, link));
}

void backlog_free(struct follow *f)
{
	list_free(f, &f->changes);
	list_free(f, &f->bytes);
	list_free(f, &f->reading);
	free(f->table);
	f->table = NULL;
	f->table_size = 0;
}

/* More changed than is kept for one who does not read: those that it follows by id stay, for all it begins anew. */
static void backlog_overflow(struct engine *e, struct follow *f)
{
	backlog_free(f);
	f->all_answer = false;
	for (struct list *at = f->watches.next; at != &f->watches; at = at->next) {
		struct watch *w = list_entry(at, struct watch, link);
		backlog_note(e, f, &w->id, false);
		if (w->answering)
			backlog_mark(e, f, NEWS_SUBSCRIBED, &w->id);
	}
	follow_batches_anew(e, f);
	if (f->follows_all && !f->listing)
		follow_list(e, f);
}

static struct news *news_new(struct follow *f, enum news_kind kind, const struct uuid *id)
{
	struct news *n = must(calloc(1, sizeof *n));
	n->kind = kind;
	n->id = id ? *id : (struct uuid){ 0 };
	if (kind != NEWS_RECORDING) {
		f->markers++;
		return n;
	}
	if (f->count >= f->table_size)
		table_grow(f);
	n->next = *slot_of(f, id);
	*slot_of(f, id) = n;
	f->count++;
	return n;
}

void backlog_note(struct engine *e, struct follow *f, const struct uuid *id, bool only_bytes)
{
	struct news *n = news_find(f, id);
	follow_ready(e, f);
	if (!n && f->count >= LIMIT_STATUS_BACKLOG) {
		backlog_overflow(e, f);
		n = news_find(f, id);
	}
	if (!n) {
		n = news_new(f, NEWS_RECORDING, id);
		n->only_bytes = only_bytes;
		list_push(only_bytes ? &f->bytes : &f->changes, &n->link);
		return;
	}
	row_drop(n);
	n->outdated = n->reading;
	if (!n->only_bytes || only_bytes || n->reading)
		return;
	n->only_bytes = false;
	list_remove(&n->link);
	list_push(&f->changes, &n->link);
}

void backlog_mark(struct engine *e, struct follow *f, enum news_kind kind, const struct uuid *id)
{
	list_push(&f->changes, &news_new(f, kind, id)->link);
	follow_ready(e, f);
}

/* --- rows of what is not in memory --- */

struct rows_op {
	struct catalog_op op;
	uint64_t conn;
	unsigned count;
	struct uuid ids[LIMIT_STATUS_ROWS];
	struct recording_info *rows[LIMIT_STATUS_ROWS]; /* NULL: there is none */
};

static void rows_drop(struct rows_op *o)
{
	for (unsigned i = 0; i < o->count; i++) {
		if (o->rows[i])
			recording_info_release(o->rows[i]);
		free(o->rows[i]);
		o->rows[i] = NULL;
	}
}

static enum err rows_run(struct catalog *c, struct catalog_op *op)
{
	struct rows_op *o = (struct rows_op *)op;
	rows_drop(o);
	for (unsigned i = 0; i < o->count; i++) {
		struct recording_info *row = must(calloc(1, sizeof *row));
		enum err err = c->ops->get(c, &o->ids[i], row);
		if (!err)
			o->rows[i] = row;
		else
			free(row);
		if (err && err != ERR_NOT_FOUND)
			return err;
	}
	return ERR_OK;
}

/* A row was read: it takes its place in the backlog again, in front. */
static void row_take(struct follow *f, struct rows_op *o, unsigned i)
{
	struct news *n = news_find(f, &o->ids[i]);
	if (!n || !n->reading)
		return;
	bool outdated = n->outdated;
	n->reading = n->outdated = n->only_bytes = false;
	f->reading_count--;
	list_remove(&n->link);
	list_insert(f->changes.next, &n->link);
	if (!outdated && o->rows[i]) {
		n->row = o->rows[i];
		o->rows[i] = NULL;
	} else if (!outdated) {
		news_free(f, n);
	}
}

static void rows_done(struct engine *e, struct catalog_op *op)
{
	struct rows_op *o = (struct rows_op *)op;
	struct conn *c = conn_find(e, o->conn);
	struct follow *f = c ? c->follow : NULL;
	if (f && op->err && !e->failed) {
		catalog_again(e, op);
		return;
	}
	if (f && !op->err) {
		f->rows_asked = false;
		for (unsigned i = o->count; i > 0; i--)
			row_take(f, o, i - 1);
		follow_ready(e, f);
	}
	rows_drop(o);
	free(o);
}

static void rows_ask(struct engine *e, struct follow *f)
{
	if (f->rows_asked || list_empty(&f->reading))
		return;
	struct rows_op *o = must(calloc(1, sizeof *o));
	o->op.run = rows_run;
	o->op.done = rows_done;
	o->conn = f->conn->id;
	for (struct list *at = f->reading.next; at != &f->reading; at = at->next)
		o->ids[o->count++] = list_entry(at, struct news, link)->id;
	f->rows_asked = true;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* --- telling --- */

static uint64_t mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

uint64_t follow_digest(const struct take *t)
{
	const struct recording *r = &t->rec;
	uint64_t h = mix(r->info.track_count, (uint64_t)r->info.updated_ms);
	h = mix(h, (uint64_t)r->info.phase << 32 | (uint64_t)r->info.error << 16 | r->info.interrupted);
	h = mix(h, r->info.revision);
	h = mix(h, r->idle_deadline ^ (r->frozen_ms != UINT64_MAX));
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		bool sealed = r->tracks[i].stage == STAGE_SEALED;
		h = mix(h,
			(uint64_t)r->info.tracks[i].part_count << 2 | (uint64_t)sealed << 1 | (r->tracks[i].conn != 0));
	}
	return h;
}

void follow_ready(struct engine *e, struct follow *f)
{
	if (!f->blocked && list_empty(&f->ready))
		list_push(&e->following.ready, &f->ready);
}

void engine_conn_drained(struct engine *e, uint64_t conn, struct now now)
{
	engine_clock(e, now);
	struct conn *c = conn_find(e, conn);
	if (c)
		conn_slices_drained(e, c);
	c = conn_find(e, conn);
	if (!c || !c->follow)
		return;
	c->follow->blocked = false;
	follow_ready(e, c->follow);
}

bool follow_tellable(const struct engine *e, const struct take *t)
{
	return !t->loading && !t->failing && t->opened.sequence <= journal_durable(e->journal);
}

static void tell_recording(struct engine *e, const struct follow *f, const struct watch *w,
			   const struct recording_info *info, const struct take *t)
{
	const struct grant *reader = !w ? &f->grant : ref_by_session(w->text) ? NULL : &w->grant;
	struct buf object, text;
	buf_init(&object);
	buf_init(&text);
	recording_json(e, &object, info, t ? &t->rec : NULL, reader);
	message_status(&text, "recording", object.data);
	buf_release(&object);
	reply_send(
		e, f->conn->id, &text,
		(struct promise){ .journal = t ? t->opened : (struct position){ 0 }, .catalog = e->catalog_durable });
}

static bool figures_due(const struct engine *e, const struct follow *f)
{
	const struct server_figures *now = &e->following.figures, *told = &f->figures;
	if (!f->follows_all)
		return false;
	if (f->figures_ms == 0)
		return true;
	bool same = now->free_bytes == told->free_bytes && now->total_bytes == told->total_bytes &&
		    now->reserve_bytes == told->reserve_bytes && now->recordings == told->recordings;
	return !same && e->now.mono_ms >= f->figures_ms + LIMIT_STATUS_SERVER_MS;
}

static void tell_figures(struct engine *e, struct follow *f)
{
	struct buf text;
	buf_init(&text);
	f->figures = e->following.figures;
	f->figures_ms = e->following.figures_ms;
	message_status_server(&text, &f->figures);
	reply_send(e, f->conn->id, &text, (struct promise){ 0 });
}

static void tell_subscribed(struct engine *e, struct follow *f, struct news *n)
{
	struct watch *w = n->kind == NEWS_SUBSCRIBED ? follow_watch(f, &n->id) : NULL;
	bool all = n->kind == NEWS_ALL;
	news_free(f, n);
	if (all)
		f->all_answer = false;
	if (w)
		w->answering = false;
	if (!all && !w)
		return; /* deleted meanwhile, and told so */
	struct buf text;
	buf_init(&text);
	message_subscribed(&text, &(struct message_subscribe){ .all = !w, .id = w ? w->text : NULL });
	reply_send(e, f->conn->id, &text, (struct promise){ 0 });
}

/* It is not in memory: its row is asked for. */
static void row_want(struct follow *f, struct news *n)
{
	list_remove(&n->link);
	list_push(&f->reading, &n->link);
	n->reading = true;
	f->reading_count++;
}

enum progress {
	PROGRESS_TOLD,
	PROGRESS_MADE, /* without a word */
	PROGRESS_WAIT, /* for the journal, the catalog or the network: whoever ends that says so */
};

static enum progress recording_tell(struct engine *e, struct follow *f, struct news *n)
{
	struct take *t = take_by_id(e, &n->id);
	if (t && t->loading)
		t = NULL;
	if (!t && !n->row) {
		if (f->rows_asked || f->reading_count == LIMIT_STATUS_ROWS)
			return PROGRESS_WAIT;
		row_want(f, n);
		return PROGRESS_MADE;
	}
	if (t && !follow_tellable(e, t)) {
		if (f->markers > 0)
			return PROGRESS_WAIT; /* it belongs before `subscribed` */
		news_free(f, n);
		list_remove(&t->changed);
		list_push(&e->following.unsettled, &t->changed);
		return PROGRESS_MADE;
	}
	const struct recording_info *info = t ? &t->rec.info : n->row;
	struct watch *w = follow_watch(f, &n->id);
	bool over = info->phase == PHASE_DELETED;
	if (follow_sees(e, f, w, info))
		tell_recording(e, f, w, info, t);
	news_free(f, n);
	if (over && w)
		follow_unwatch(e, w);
	return PROGRESS_TOLD;
}

static enum progress news_tell(struct engine *e, struct follow *f, struct news *n)
{
	if (n->kind == NEWS_RECORDING)
		return recording_tell(e, f, n);
	if (f->reading_count > 0)
		return PROGRESS_WAIT; /* what stands before it is being read */
	tell_subscribed(e, f, n);
	return PROGRESS_TOLD;
}

static struct news *news_next(const struct follow *f)
{
	const struct list *from = !list_empty(&f->changes) ? &f->changes : &f->bytes;
	return list_empty(from) ? NULL : list_entry(from->next, struct news, link);
}

/* Up to `most` messages; WAIT: it waits for something, or has nothing more. */
static enum progress follow_tell_some(struct engine *e, struct follow *f, unsigned most)
{
	struct following *g = &e->following;
	enum progress progress = PROGRESS_TOLD;
	for (unsigned i = 0; i < most && progress != PROGRESS_WAIT; i++) {
		struct news *n = news_next(f);
		bool figures = figures_due(e, f), show = follow_show_due(f), batch = follow_batch_due(f);
		if (!figures && !n && !show && !batch) {
			progress = PROGRESS_WAIT;
			break;
		}
		if (!e->config.callbacks.roomy(e->config.callbacks.arg, f->conn->id)) {
			f->blocked = true;
			progress = PROGRESS_WAIT;
			break;
		}
		progress = PROGRESS_TOLD;
		if (figures)
			tell_figures(e, f);
		else if (show)
			follow_show_tell(e, f);
		else if (batch)
			follow_batch_tell(e, f);
		else
			progress = news_tell(e, f, n);
		g->told += progress == PROGRESS_TOLD;
	}
	rows_ask(e, f);
	return progress;
}

void follow_tell(struct engine *e)
{
	struct following *g = &e->following;
	struct list waiting;
	list_init(&waiting);
	while (!list_empty(&g->ready) && g->told < LIMIT_STATUS_SLICE) {
		struct follow *f = list_entry(list_pop(&g->ready), struct follow, ready);
		if (f->conn->session.state == SESSION_CLOSING)
			continue;
		unsigned left = LIMIT_STATUS_SLICE - g->told;
		enum progress progress = follow_tell_some(e, f, left < LIMIT_STATUS_TURN ? left : LIMIT_STATUS_TURN);
		if (progress != PROGRESS_WAIT)
			list_push(&g->ready, &f->ready);
		else if (!f->blocked && news_next(f) && !f->rows_asked)
			list_push(&waiting, &f->ready); /* for the journal: looked at again with the next turn */
	}
	list_move(&g->ready, &waiting);
}
