/* The outbox as others read it: pages of events behind a sequence, and who is woken when there are more. */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

struct events_op {
	struct catalog_op op;
	struct grant grant;
	struct catalog_event_filter filter;
	struct engine_event events[LIMIT_EVENTS_PAGE];
	char types[LIMIT_EVENTS_PAGE][LIMIT_EVENT_TYPE_CHARS + 1];
	char shows[LIMIT_EVENTS_PAGE][LIMIT_SHOW_CHARS + 1];
	char *batches[LIMIT_EVENTS_PAGE]; /* owned */
	size_t count;
	int64_t first, last;
	void (*done)(void *arg, enum err err, const struct engine_event *events, size_t count, int64_t first,
		     int64_t last);
	void *arg;
};

static enum err events_row(void *arg, const struct catalog_event *event)
{
	struct events_op *o = arg;
	char *type = o->types[o->count];
	char *show = o->shows[o->count];
	snprintf(type, sizeof o->types[0], "%s", event->type);
	snprintf(show, sizeof o->shows[0], "%s", event->show ? event->show : "");
	o->batches[o->count] = event->batch ? must(strdup(event->batch)) : NULL;
	o->events[o->count] = (struct engine_event){
		.seq = event->seq,
		.recording = event->recording,
		.type = type,
		.phase = event->phase,
		.revision = event->revision,
		.at_ms = event->at_ms,
		.show = event->show ? show : NULL,
		.version = event->version,
		.batch = o->batches[o->count],
		.batch_total = event->batch_total,
		.batch_failed = event->batch_failed,
	};
	o->count++;
	return ERR_OK;
}

static void events_drop(struct events_op *o)
{
	while (o->count > 0)
		free(o->batches[--o->count]);
}

/* The bounds first: what is written behind them is not in between. */
static enum err events_run(struct catalog *c, struct catalog_op *op)
{
	struct events_op *o = (struct events_op *)op;
	events_drop(o);
	enum err err = c->ops->event_bounds(c, &o->first, &o->last);
	return err ? err : c->ops->events(c, &o->filter, events_row, o);
}

static void events_done(struct engine *e, struct catalog_op *op)
{
	struct events_op *o = (struct events_op *)op;
	(void)e;
	o->done(o->arg, op->err, o->events, op->err ? 0 : o->count, o->first, o->last);
	events_drop(o);
	free(o);
}

void engine_events(struct engine *e, const struct grant *grant, int64_t after,
		   void (*done)(void *arg, enum err err, const struct engine_event *events, size_t count, int64_t first,
				int64_t last),
		   void *arg)
{
	bool all = grant->scopes & (SCOPE_ADMIN | SCOPE_PLAY);
	if (!all && !(grant->scopes & SCOPE_OWN)) {
		done(arg, ERR_FORBIDDEN_SCOPE, NULL, 0, 0, 0);
		return;
	}
	struct events_op *o = must(calloc(1, sizeof *o));
	o->op.run = events_run;
	o->op.done = events_done;
	o->grant = *grant;
	o->filter = (struct catalog_event_filter){
		.after = after,
		.principal = all ? NULL : o->grant.subject,
		.recording = o->grant.has_resource ? &o->grant.resource : NULL,
		.limit = LIMIT_EVENTS_PAGE,
	};
	o->done = done;
	o->arg = arg;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

void engine_events_watch(struct engine *e, struct engine_watch *watch)
{
	list_push(&e->event_watches, &watch->link);
}

void engine_events_unwatch(struct engine_watch *watch)
{
	list_remove(&watch->link);
}

/* A failure to look is none of the transaction's: then there is nothing new, until the next one. */
void events_look(struct catalog *c, int64_t *last)
{
	int64_t first;
	if (c->ops->event_bounds(c, &first, last) != ERR_OK)
		*last = 0;
}

void events_wake(struct engine *e, int64_t last)
{
	if (last <= e->event_last)
		return;
	e->event_last = last;
	struct list woken; /* a wake may unwatch itself, or another */
	list_init(&woken);
	list_move(&woken, &e->event_watches);
	for (struct list *link; (link = list_pop(&woken));) {
		struct engine_watch *watch = list_entry(link, struct engine_watch, link);
		list_push(&e->event_watches, link);
		watch->wake(watch->arg);
	}
}
