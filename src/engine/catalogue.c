/* The catalog's queue: operations gather while a transaction runs and go together in the next one, self-clocking. */
#include "engine/internal.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>

struct batch {
	struct task task;
	struct engine *engine;
	struct list ops;
	uint64_t number;
	enum err err;
	bool watched;	    /* somebody wants to hear of new events … */
	int64_t event_last; /* … and this is the newest */
};

/* All in one transaction; an operation that fails for good fails the whole, so that each is then tried on its own. */
static enum err run_ops(struct catalog *c, struct list *ops)
{
	enum err err = c->ops->begin(c);
	if (err)
		return err;
	for (struct list *at = ops->next; at != ops; at = at->next) {
		struct catalog_op *op = list_entry(at, struct catalog_op, link);
		op->err = op->run(c, op);
		if (op->err != ERR_OK && op->err != ERR_NOT_FOUND && op->err != ERR_EXISTS) {
			c->ops->rollback(c);
			return op->err;
		}
	}
	err = c->ops->commit(c);
	if (err)
		c->ops->rollback(c);
	return err;
}

/* What failed will be tried again: nothing of the same take may overtake it. */
static enum err earlier_failure(const struct list *ops, const struct catalog_op *op)
{
	for (const struct list *at = ops->next; at != &op->link; at = at->next) {
		const struct catalog_op *other = list_entry(at, struct catalog_op, link);
		bool failed = other->err && other->err != ERR_NOT_FOUND && other->err != ERR_EXISTS;
		if (op->take && other->take == op->take && failed)
			return other->err;
	}
	return ERR_OK;
}

/* One of them may be at fault: each alone, so that the others don't suffer for it. */
static void run_each(struct batch *b)
{
	struct catalog *c = b->engine->config.catalog;
	b->err = ERR_OK;
	for (struct list *at = b->ops.next; at != &b->ops && b->err != ERR_SYNC_FAILED; at = at->next) {
		struct catalog_op *op = list_entry(at, struct catalog_op, link);
		op->err = earlier_failure(&b->ops, op);
		if (op->err)
			continue;
		b->err = c->ops->begin(c);
		op->err = b->err ? b->err : op->run(c, op);
		bool fine = op->err == ERR_OK || op->err == ERR_NOT_FOUND || op->err == ERR_EXISTS;
		if (b->err)
			continue;
		b->err = fine ? c->ops->commit(c) : ERR_OK;
		if (b->err)
			op->err = b->err;
		if (b->err || !fine)
			c->ops->rollback(c);
	}
	if (b->err != ERR_SYNC_FAILED)
		b->err = ERR_OK;
}

static void batch_run(struct task *task)
{
	struct batch *b = (struct batch *)task;
	struct catalog *c = b->engine->config.catalog;
	b->err = run_ops(c, &b->ops);
	if (b->err != ERR_OK && b->err != ERR_SYNC_FAILED)
		run_each(b);
	if (b->watched && b->err == ERR_OK)
		events_look(c, &b->event_last);
}

static void batch_done(struct task *task)
{
	struct batch *b = (struct batch *)task;
	struct engine *e = b->engine;
	if (b->err == ERR_SYNC_FAILED) {
		engine_fail(e, b->err, "the catalog");
	} else {
		e->catalog_durable = b->number;
	}
	e->catalog_busy = false;
	struct list *link;
	while ((link = list_pop(&b->ops))) {
		struct catalog_op *op = list_entry(link, struct catalog_op, link);
		if (e->failed)
			op->err = ERR_SYNC_FAILED;
		op->done(e, op);
	}
	if (b->watched)
		events_wake(e, b->event_last);
	free(b);
	replies_release(e);
	follow_settled(e);
	catalog_pump(e);
}

static bool waits(const struct engine *e, const struct take *take)
{
	for (const struct list *at = e->catalog_retry.next; take && at != &e->catalog_retry; at = at->next) {
		if (list_entry(at, struct catalog_op, link)->take == take)
			return true;
	}
	return false;
}

static void retry_put(struct engine *e, struct catalog_op *op)
{
	struct list *at = e->catalog_retry.prev;
	while (at != &e->catalog_retry && list_entry(at, struct catalog_op, link)->number > op->number)
		at = at->prev;
	list_insert(at->next, &op->link);
}

void catalog_again(struct engine *e, struct catalog_op *op)
{
	log_event(LOG_ERROR, "catalog_failed", "code", err_code(op->err), NULL);
	retry_put(e, op);
	for (struct list *at = e->catalog_queue.next, *next; at != &e->catalog_queue; at = next) {
		next = at->next;
		struct catalog_op *later = list_entry(at, struct catalog_op, link);
		if (!op->take || later->take != op->take)
			continue;
		list_remove(at);
		retry_put(e, later);
	}
	if (op->err == ERR_STORAGE_FULL)
		space_full(e);
	else
		timer_set(&e->timers, &e->space_timer, e->now.mono_ms + LIMIT_SPACE_CHECK_MS);
}

uint64_t catalog_submit(struct engine *e, struct catalog_op *op)
{
	op->number = ++e->catalog_numbers;
	if (waits(e, op->take))
		retry_put(e, op);
	else
		list_push(&e->catalog_queue, &op->link);
	return e->catalog_submitted + 1;
}

void catalog_pump(struct engine *e)
{
	if (e->catalog_busy || list_empty(&e->catalog_queue) || e->failed)
		return;
	struct batch *b = must(calloc(1, sizeof *b));
	b->task.run = batch_run;
	b->task.done = batch_done;
	b->engine = e;
	list_init(&b->ops);
	list_move(&b->ops, &e->catalog_queue);
	b->number = ++e->catalog_submitted;
	b->watched = !list_empty(&e->event_watches);
	e->catalog_busy = true;
	exec_submit(e->config.exec, LANE_CATALOG, &b->task);
}

void take_row(struct engine *e, const struct recording_info *row)
{
	struct take *t = take_by_id(e, &row->id);
	if (!t || t->loading) {
		follow_change_row(e, row);
		return;
	}
	if (t->gone || t->failing)
		return;
	take_pin(t);
	if (recording_worked(&t->rec, row))
		t->manifest_dirty = true;
	follow_change(e, t);
	take_unpin(e, t);
}

void take_row_told(struct engine *e, const struct recording_info *row)
{
	struct take *t = take_by_id(e, &row->id);
	if (t && !t->loading)
		follow_change(e, t);
	else
		follow_change_row(e, row);
}
