/* Slices: a batch's items, up to a hundred at a time.
 *
 * A slice is one transaction, and is acked when that is durable. It tells of each item what it is by now: a slice that
 * is sent again, because its ack was lost, is acked again, makes nothing and costs nothing. Several of a connection are
 * on their way at once and may end in any order; who has too many is not read from. None of this touches the
 * connection's take. */
#include "engine/subscriptions.h"
#include "work/fetcher.h"

#include <stdlib.h>
#include <string.h>

struct slice {
	struct catalog_op op; /* first */
	struct limited limited;
	uint64_t conn;
	struct grant grant;
	struct message_slice said; /* owned */
	struct catalog_item *items;
	uint32_t *places; /* of each: its place in `said`; those that are refused beforehand are not asked for */
	uint32_t count;
	struct catalog_slice wanted;
	enum err refusal;
};

/* An ack that waits for the network. */
struct waiting_ack {
	struct list link; /* conn.slice_acks */
	struct buf text;
};

bool conn_slices_full(const struct engine *e, const struct conn *c)
{
	return c->slices >= LIMIT_SLICES_WAITING || (c->slices > 0 && e->batches.slices >= LIMIT_SLICES_AT_ONCE);
}

/* --- what an item is --- */

static void digest_text(EVP_MD_CTX *md, const char *text)
{
	uint64_t len = text ? strlen(text) + 1 : 0; /* 0: there is none */
	EVP_DigestUpdate(md, &len, sizeof len);
	if (text)
		EVP_DigestUpdate(md, text, (size_t)len);
}

static void digest_make(const struct message_item *said, struct sha256 *out)
{
	EVP_MD_CTX *md = must(EVP_MD_CTX_new());
	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	digest_text(md, said->name);
	digest_text(md, said->mime);
	digest_text(md, said->ext);
	digest_text(md, said->source_url);
	digest_text(md, said->meta);
	uint64_t bytes = said->bytes;
	EVP_DigestUpdate(md, &bytes, sizeof bytes);
	EVP_DigestFinal_ex(md, out->bytes, NULL);
	EVP_MD_CTX_free(md);
}

/* Its strings are the message's, which lives as long. */
static void info_make(struct engine *e, struct slice *s, const struct message_item *said, struct recording_info *info)
{
	*info = (struct recording_info){
		.id = engine_new_id(e),
		.principal = s->grant.subject,
		.name = said->name,
		.mime = said->mime,
		.ext = said->ext,
		.source_url = said->source_url,
		.batch = s->said.batch_id,
		.batch_key = said->key,
		.meta = said->meta,
		.has_item = true,
		.created_ms = engine_wall(e),
		.updated_ms = engine_wall(e),
		.phase = PHASE_UPLOADING,
	};
	if (!said->source_url)
		info->upload =
			(struct upload_info){ .kind = UPLOAD_WHOLE,
					      .length = said->bytes == MESSAGE_NO_BYTES ? BYTES_UNKNOWN : said->bytes };
	digest_make(said, &info->item);
}

/* What is wrong with it whatever there is; it is refused alone. */
static void item_judge(struct engine *e, struct message_item *said)
{
	const char *why = NULL;
	if (said->err || !said->source_url)
		return;
	struct fetcher *f = e->config.fetcher;
	said->err = f ? f->ops->judge(f, said->source_url, &why) : ERR_NOT_SUPPORTED;
	said->why = said->err && why ? must(strdup(why)) : NULL;
}

static void items_make(struct engine *e, struct slice *s)
{
	s->items = must(calloc(s->said.count, sizeof *s->items));
	s->places = must(calloc(s->said.count, sizeof *s->places));
	for (uint32_t i = 0; i < s->said.count; i++) {
		item_judge(e, &s->said.items[i]);
		if (s->said.items[i].err)
			continue;
		info_make(e, s, &s->said.items[i], &s->items[s->count].info);
		s->places[s->count++] = i;
	}
}

/* --- the answer --- */

static void slice_free(struct slice *s)
{
	struct message m = { .type = MESSAGE_SLICE, .slice = s->said };
	message_release(&m);
	free(s->items);
	free(s->places);
	free(s);
}

static void refuse(struct engine *e, uint64_t conn, enum err err, const char *detail, const struct message_slice *about,
		   uint64_t retry_ms)
{
	struct buf text;
	buf_init(&text);
	message_slice_error(&text, err, detail, about, retry_ms);
	reply_send(e, conn, &text, (struct promise){ 0 });
}

void conn_slice_refuse(struct engine *e, struct conn *c, enum err err, const char *detail,
		       const struct message_slice *m)
{
	if (c->session.state != SESSION_CLOSING)
		refuse(e, c->id, err, detail, m, 0);
}

/* As it is now: a take in memory may be ahead of its row, once what it knows is durable. */
static enum phase phase_now(struct engine *e, const struct catalog_item *item)
{
	const struct take *t = take_by_id(e, &item->id);
	return t && follow_tellable(e, t) ? t->rec.info.phase : item->phase;
}

static void ack_make(struct engine *e, struct slice *s, struct buf *text)
{
	struct message_outcome outcomes[LIMIT_SLICE_ITEMS] = { 0 };
	for (uint32_t i = 0; i < s->said.count; i++)
		outcomes[i] = (struct message_outcome){ .key = s->said.items[i].key,
							.err = s->said.items[i].err,
							.why = s->said.items[i].why };
	for (uint32_t i = 0; i < s->count; i++) {
		const struct catalog_item *item = &s->items[i];
		struct message_outcome *o = &outcomes[s->places[i]];
		o->id = &item->id;
		o->status = phase_name(phase_now(e, item));
		o->is_new = item->inserted;
		o->err = item->err;
	}
	message_slice_ack(text, s->said.batch_id, s->said.slice_id, outcomes, s->said.count);
	must(text->failed ? NULL : text);
}

static void ack_leaves(struct engine *e, struct conn *c, struct buf *text)
{
	/* made behind its transaction: what it promises is durable */
	reply_send(e, c->id, text, (struct promise){ .catalog = e->catalog_durable });
	c->slices--;
}

static void ack_send(struct engine *e, struct conn *c, struct buf *text)
{
	if (list_empty(&c->slice_acks) && e->config.callbacks.roomy(e->config.callbacks.arg, c->id)) {
		ack_leaves(e, c, text);
		return;
	}
	struct waiting_ack *w = must(calloc(1, sizeof *w));
	w->text = *text;
	list_push(&c->slice_acks, &w->link);
}

void conn_slices_drained(struct engine *e, struct conn *c)
{
	uint64_t id = c->id;
	while ((c = conn_find(e, id)) && !list_empty(&c->slice_acks) &&
	       e->config.callbacks.roomy(e->config.callbacks.arg, id)) {
		struct waiting_ack *w = list_entry(list_pop(&c->slice_acks), struct waiting_ack, link);
		ack_leaves(e, c, &w->text);
		free(w);
		conn_unblock(e, c);
	}
}

void conn_slices_closed(struct conn *c)
{
	struct list *link;
	while ((link = list_pop(&c->slice_acks))) {
		struct waiting_ack *w = list_entry(link, struct waiting_ack, link);
		buf_release(&w->text);
		free(w);
	}
}

/* --- its transaction --- */

static enum err slice_run(struct catalog *c, struct catalog_op *op)
{
	struct slice *s = (struct slice *)op;
	return c->ops->slice(c, &s->wanted, &s->refusal);
}

static uint64_t count_made(const struct slice *s)
{
	uint64_t made = 0;
	for (uint32_t i = 0; i < s->count; i++)
		made += s->items[i].inserted;
	return made;
}

static uint64_t count_missing(const struct slice *s)
{
	uint64_t missing = 0;
	for (uint32_t i = 0; i < s->count; i++)
		missing += s->items[i].phase == PHASE_COUNT;
	return missing;
}

/* Nobody loads what is new: it is work for the fetcher, and news for those who follow. */
static void announce(struct engine *e, const struct slice *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (!s->items[i].inserted)
			continue;
		follow_change_row(e, &s->items[i].info);
		e->fetching.wanted |= s->items[i].info.source_url != NULL;
	}
}

static const char full_of_items[] =
	"The batch has no room for so many new items: its total, or ten million, would be passed.";

static void slice_done(struct engine *e, struct catalog_op *op)
{
	struct slice *s = (struct slice *)op;
	struct conn *c = conn_find(e, s->conn);
	enum err err = op->err ? op->err : s->refusal;
	bool limited = err == ERR_RATE_LIMITED;
	uint64_t retry_ms = limited ? limited_wait_ms(e, &s->limited, count_missing(s)) : 0;
	e->batches.slices--;
	limited_done(e, &s->limited, err ? 0 : count_made(s));
	if (!err && !e->failed)
		announce(e, s);
	if (c && c->session.state != SESSION_CLOSING && !err) {
		struct buf text;
		buf_init(&text);
		ack_make(e, s, &text);
		ack_send(e, c, &text);
		conn_unblock(e, c);
	} else if (c) {
		c->slices--;
		if (c->session.state != SESSION_CLOSING)
			refuse(e, c->id, err, err == ERR_LIMIT_EXCEEDED ? full_of_items : NULL, &s->said,
			       limited && retry_ms == 0 ? 1 : retry_ms);
		conn_unblock(e, c);
	}
	slice_free(s);
}

static void slice_go(struct engine *e, struct limited *l)
{
	struct slice *s = list_entry(l, struct slice, limited);
	bool full = space_refuses_new(e);
	s->wanted = (struct catalog_slice){
		.principal = s->grant.subject,
		.batch = s->said.batch_id,
		.items = s->items,
		.count = s->count,
		.most_new = full ? 0 : l->held,
		.above = full ? ERR_STORAGE_FULL : ERR_RATE_LIMITED,
	};
	catalog_submit(e, &s->op);
	catalog_pump(e);
}

static enum err slice_judge(struct engine *e, struct conn *c, const struct message_slice *m, struct grant *grant)
{
	if (e->stopping)
		return ERR_SHUTTING_DOWN;
	enum err err = conn_grant(e, c, m->token, grant);
	if (!err && (!(grant->scopes & (SCOPE_RECORD | SCOPE_IMPORT | SCOPE_ADMIN)) || grant->has_resource))
		err = ERR_FORBIDDEN_SCOPE;
	return err;
}

void conn_slice(struct engine *e, struct conn *c, struct message_slice *m)
{
	struct grant grant;
	if (c->session.state == SESSION_CLOSING)
		return;
	enum err err = slice_judge(e, c, m, &grant);
	if (err) {
		refuse(e, c->id, err, NULL, m, 0);
		return;
	}
	struct slice *s = must(calloc(1, sizeof *s));
	s->op.run = slice_run;
	s->op.done = slice_done;
	s->conn = c->id;
	s->grant = grant;
	s->said = *m;
	*m = (struct message_slice){ 0 };
	items_make(e, s);
	c->slices++;
	e->batches.slices++;
	conn_pause_update(e, c);
	s->limited.wanted = s->count;
	s->limited.go = slice_go;
	limited_ask(e, &s->grant, &s->limited);
}
