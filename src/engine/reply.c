/* The one way out, see reply.h. */
#include "engine/internal.h"

#include <assert.h>
#include <stdlib.h>

struct reply {
	struct list link;
	uint64_t conn;
	uint32_t epoch; /* of the connection when it was made */
	struct promise promise;
	struct buf text;
};

void replies_init(struct replies *r)
{
	list_init(&r->by_journal);
	list_init(&r->by_catalog);
	r->count = 0;
}

static void reply_free(struct reply *reply)
{
	buf_release(&reply->text);
	free(reply);
}

void replies_free(struct replies *r)
{
	struct list *link;
	while ((link = list_pop(&r->by_journal)) || (link = list_pop(&r->by_catalog)))
		reply_free(list_entry(link, struct reply, link));
	r->count = 0;
}

static bool journal_kept(const struct engine *e, struct promise p)
{
	return p.journal.sequence <= journal_durable(e->journal);
}

static bool catalog_kept(const struct engine *e, struct promise p)
{
	return p.catalog <= e->catalog_durable;
}

/* The only call of the network's send in the program. */
static void leave(struct engine *e, uint64_t conn, const struct buf *text, struct promise promise, bool is_ack)
{
	assert(journal_kept(e, promise) && catalog_kept(e, promise));
	if (e->failed)
		return; /* a sync failed: nothing is promised any more */
	const struct conn *c = conn_find(e, conn);
	if (!c || c->inner || c->closed)
		return; /* it closed while the reply waited, or nobody is there to read it */
	e->config.callbacks.send(e->config.callbacks.arg, conn, text->data, text->len, is_ack);
}

void reply_send(struct engine *e, uint64_t conn, struct buf *text, struct promise promise)
{
	must(text->failed ? NULL : text);
	if (journal_kept(e, promise) && catalog_kept(e, promise)) {
		leave(e, conn, text, promise, false);
		buf_release(text);
		return;
	}
	struct reply *reply = must(calloc(1, sizeof *reply));
	reply->conn = conn;
	const struct conn *c = conn_find(e, conn);
	reply->epoch = c ? c->reply_epoch : 0;
	reply->promise = promise;
	reply->text = *text;
	buf_init(text);
	e->replies.count++;
	if (journal_kept(e, promise)) {
		list_push(&e->replies.by_catalog, &reply->link);
		return;
	}
	struct list *at = &e->replies.by_journal;
	while (at->prev != &e->replies.by_journal &&
	       list_entry(at->prev, struct reply, link)->promise.journal.sequence > promise.journal.sequence)
		at = at->prev;
	list_insert(at, &reply->link);
}

void reply_ack(struct engine *e, uint64_t conn, uint64_t bytes, struct position position)
{
	struct buf text;
	buf_init(&text);
	message_ack(&text, bytes);
	must(text.failed ? NULL : &text);
	leave(e, conn, &text, (struct promise){ .journal = position }, true);
	buf_release(&text);
}

static void release_one(struct engine *e, struct reply *reply)
{
	list_remove(&reply->link);
	e->replies.count--;
	const struct conn *c = conn_find(e, reply->conn);
	if (c && c->reply_epoch == reply->epoch)
		leave(e, reply->conn, &reply->text, reply->promise, false);
	reply_free(reply);
}

void replies_release(struct engine *e)
{
	struct replies *r = &e->replies;
	while (!list_empty(&r->by_journal)) {
		struct reply *reply = list_entry(r->by_journal.next, struct reply, link);
		if (!journal_kept(e, reply->promise))
			break;
		if (catalog_kept(e, reply->promise)) {
			release_one(e, reply);
		} else {
			list_remove(&reply->link);
			list_push(&r->by_catalog, &reply->link);
		}
	}
	for (struct list *at = r->by_catalog.next, *next; at != &r->by_catalog; at = next) {
		next = at->next;
		struct reply *reply = list_entry(at, struct reply, link);
		if (catalog_kept(e, reply->promise))
			release_one(e, reply);
	}
}
