/* Who follows a batch: its state now, then after changes, at most twice a second, and its items as they change.
 *
 * A change costs a look into a table, whatever the batch's size. The state is asked for behind the change it tells of,
 * so the last one told is the last there was. */
#include "engine/subscriptions.h"

#include <stdlib.h>
#include <string.h>

struct batch_watch {
	struct batch_watch *next; /* of its bucket, once it is found */
	struct list link;	  /* follow.batches */
	struct list due;	  /* engine.batches.due */
	struct follow *follow;
	uint64_t number;
	char *principal; /* whose batch it is; NULL until it was found */
	char *id;
	struct grant grant;
	bool asked;	  /* the catalog is asked for it */
	bool answering;	  /* `subscribed` follows its state … */
	bool told;	  /* … which was told since then */
	uint64_t told_ms; /* when its state was asked for last */
	char *json;	  /* its state, to be told; NULL: none is */
};

static struct batch_watch **bucket_of(const struct engine *e, const char *principal, const char *id)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (const char *p = principal; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	for (const char *p = id; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	return &e->batches.watches[(h ^ h >> 16) & (BATCH_BUCKETS - 1)];
}

static bool is_about(const struct batch_watch *w, const struct recording_info *info)
{
	return strcmp(w->principal, info->principal) == 0 && strcmp(w->id, info->batch) == 0;
}

static void watch_drop(struct engine *e, struct batch_watch *w)
{
	if (w->principal) {
		struct batch_watch **at = bucket_of(e, w->principal, w->id);
		while (*at != w)
			at = &(*at)->next;
		*at = w->next;
	}
	list_remove(&w->link);
	list_remove(&w->due);
	free(w->principal);
	free(w->id);
	free(w->json);
	free(w);
}

void follow_batches_drop(struct engine *e, struct follow *f)
{
	while (!list_empty(&f->batches))
		watch_drop(e, list_entry(f->batches.next, struct batch_watch, link));
}

static struct batch_watch *watch_find(const struct follow *f, const char *id)
{
	for (const struct list *at = f->batches.next; at != &f->batches; at = at->next) {
		struct batch_watch *w = list_entry(at, struct batch_watch, link);
		if (strcmp(w->id, id) == 0)
			return w;
	}
	return NULL;
}

bool follow_batch_under(const struct follow *f, const char *token_id)
{
	for (const struct list *at = f->batches.next; at != &f->batches; at = at->next) {
		if (strcmp(list_entry(at, struct batch_watch, link)->grant.token_id, token_id) == 0)
			return true;
	}
	return false;
}

/* --- its state --- */

struct state_op {
	struct catalog_op op; /* first */
	uint64_t conn, number;
	struct grant grant;
	char *principal, *id; /* principal NULL: it is looked for */
	struct batch_info row;
};

static enum err state_run(struct catalog *c, struct catalog_op *op)
{
	struct state_op *o = (struct state_op *)op;
	batch_info_release(&o->row);
	if (o->principal)
		return c->ops->batch_get(c, o->principal, o->id, &o->row);
	return batch_find(c, &o->grant, o->grant.scopes & SCOPE_ADMIN, o->id, &o->row);
}

static struct batch_watch *watch_of(struct engine *e, const struct state_op *o)
{
	struct conn *c = conn_find(e, o->conn);
	for (struct list *at = c && c->follow ? c->follow->batches.next : NULL; at && at != &c->follow->batches;
	     at = at->next) {
		struct batch_watch *w = list_entry(at, struct batch_watch, link);
		if (w->number == o->number)
			return w;
	}
	return NULL;
}

static void state_done(struct engine *e, struct catalog_op *op)
{
	struct state_op *o = (struct state_op *)op;
	struct batch_watch *w = watch_of(e, o);
	if (w && op->err) {
		conn_subscribe_refuse(e, w->follow->conn, op->err, NULL, &(struct message_subscribe){ .batch = w->id });
		watch_drop(e, w);
	} else if (w) {
		struct buf json;
		buf_init(&json);
		batch_json(&json, &o->row);
		free(w->json);
		w->json = must(strdup(json.data));
		w->asked = false;
		buf_release(&json);
		if (!w->principal) {
			struct batch_watch **slot = bucket_of(e, o->row.principal, w->id);
			w->principal = must(strdup(o->row.principal));
			w->next = *slot;
			*slot = w;
		}
		follow_ready(e, w->follow);
	}
	batch_info_release(&o->row);
	free(o->principal);
	free(o->id);
	free(o);
}

static void state_ask(struct engine *e, struct batch_watch *w)
{
	struct state_op *o = must(calloc(1, sizeof *o));
	o->op.run = state_run;
	o->op.done = state_done;
	o->conn = w->follow->conn->id;
	o->number = w->number;
	o->grant = w->grant;
	o->principal = w->principal ? must(strdup(w->principal)) : NULL;
	o->id = must(strdup(w->id));
	list_remove(&w->due);
	w->asked = true;
	w->told_ms = e->now.mono_ms;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* --- the subscription --- */

void conn_subscribe_batch(struct engine *e, struct conn *c, const struct message_subscribe *m,
			  const struct grant *grant)
{
	struct follow *f = follow_of(e, c);
	struct batch_watch *w = watch_find(f, m->batch);
	enum err err = ERR_OK;
	unsigned count = 0;
	if (!(grant->scopes & (SCOPE_RECORD | SCOPE_IMPORT | SCOPE_ADMIN)) || grant->has_resource)
		err = ERR_FORBIDDEN_SCOPE;
	for (const struct list *at = f->batches.next; at != &f->batches; at = at->next)
		count++;
	if (!err && !w && count >= LIMIT_SUBSCRIPTIONS)
		err = ERR_LIMIT_EXCEEDED;
	if (err) {
		conn_subscribe_refuse(e, c, err, NULL, m);
		return;
	}
	if (w && strcmp(w->grant.subject, grant->subject) != 0) { /* that one's batch is another */
		watch_drop(e, w);
		w = NULL;
	}
	if (!w) {
		w = must(calloc(1, sizeof *w));
		w->follow = f;
		w->number = ++e->batches.watch_next;
		w->id = must(strdup(m->batch));
		list_init(&w->due);
		list_push(&f->batches, &w->link);
	}
	w->grant = *grant;
	w->answering = true;
	w->told = false;
	if (!w->asked) /* else the answer that is on its way serves both */
		state_ask(e, w);
}

/* --- what changed --- */

static void watch_due(struct engine *e, struct batch_watch *w)
{
	if (!list_empty(&w->due))
		return;
	list_push(&e->batches.due, &w->due);
	follow_arm(e, w->told_ms + LIMIT_STATUS_BATCH_MS);
}

bool batches_watched(const struct engine *e, const struct recording_info *info)
{
	if (!info->batch || !info->principal)
		return false;
	const struct batch_watch *w = *bucket_of(e, info->principal, info->batch);
	while (w && !is_about(w, info))
		w = w->next;
	return w != NULL;
}

static bool grant_sees(const struct engine *e, const struct batch_watch *w, const struct recording_info *info)
{
	bool own = strcmp(w->grant.subject, info->principal) == 0;
	return w->grant.expires_ms > engine_wall(e) && grant_judge(&w->grant, GRANT_READ, own, &info->id) == ERR_OK;
}

void batches_pass(struct engine *e, const struct recording_info *info, bool only_bytes)
{
	if (!info->batch || !info->principal)
		return;
	for (struct batch_watch *w = *bucket_of(e, info->principal, info->batch); w; w = w->next) {
		if (!is_about(w, info))
			continue;
		if (!only_bytes)
			watch_due(e, w);
		if (grant_sees(e, w, info))
			backlog_note(e, w->follow, &info->id, only_bytes);
	}
}

void batches_said(struct engine *e, const struct batch_info *batch)
{
	const struct recording_info info = { .principal = batch->principal, .batch = batch->id };
	for (struct batch_watch *w = *bucket_of(e, batch->principal, batch->id); w; w = w->next) {
		if (is_about(w, &info))
			watch_due(e, w);
	}
}

bool follow_batch_sees(const struct engine *e, const struct follow *f, const struct recording_info *info)
{
	for (const struct list *at = f->batches.next; info->batch && info->principal && at != &f->batches;
	     at = at->next) {
		const struct batch_watch *w = list_entry(at, struct batch_watch, link);
		if (w->principal && is_about(w, info) && grant_sees(e, w, info))
			return true;
	}
	return false;
}

void follow_batches_anew(struct engine *e, struct follow *f)
{
	for (struct list *at = f->batches.next; at != &f->batches; at = at->next) {
		struct batch_watch *w = list_entry(at, struct batch_watch, link);
		w->answering = true;
		w->told = false;
		watch_due(e, w);
	}
}

void batches_turn(struct engine *e)
{
	for (struct list *at = e->batches.due.next, *next; at != &e->batches.due; at = next) {
		next = at->next;
		struct batch_watch *w = list_entry(at, struct batch_watch, due);
		uint64_t due_ms = w->told_ms + LIMIT_STATUS_BATCH_MS;
		if (w->asked || w->json)
			continue; /* its end, or the network's room, comes back here */
		if (due_ms <= e->now.mono_ms)
			state_ask(e, w);
		else
			follow_arm(e, due_ms);
	}
}

/* --- telling --- */

static struct batch_watch *watch_ready(const struct follow *f)
{
	for (const struct list *at = f->batches.next; at != &f->batches; at = at->next) {
		struct batch_watch *w = list_entry(at, struct batch_watch, link);
		if (w->json || (w->answering && w->told))
			return w;
	}
	return NULL;
}

bool follow_batch_due(const struct follow *f)
{
	return watch_ready(f) != NULL;
}

void follow_batch_tell(struct engine *e, struct follow *f)
{
	struct batch_watch *w = watch_ready(f);
	struct buf text;
	buf_init(&text);
	if (w->grant.expires_ms <= engine_wall(e)) {
		conn_subscribe_refuse(e, f->conn, ERR_TOKEN_EXPIRED, NULL,
				      &(struct message_subscribe){ .batch = w->id });
		watch_drop(e, w);
		return;
	}
	if (w->json) {
		message_status(&text, "batch", w->json);
		free(w->json);
		w->json = NULL;
		w->told = true;
	} else {
		message_subscribed(&text, &(struct message_subscribe){ .batch = w->id });
		w->answering = false;
	}
	reply_send(e, f->conn->id, &text, (struct promise){ .catalog = e->catalog_durable });
}
