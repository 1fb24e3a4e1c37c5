/* The end of uploads that nobody goes on with: removed when their time is over, a few at a time. */
#include "engine/uploads.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct sweep_op {
	struct catalog_op op;
	int64_t before_ms;
	struct uuid ids[LIMIT_RETENTION_ITEMS];
	unsigned count;
};

struct sweep {
	struct waiter waiter;
	struct uuid id;
};

void uploads_sweep_later(struct engine *e)
{
	uint64_t ms = e->config.upload_expires_ms / 4;
	ms = ms < LIMIT_SPACE_CHECK_MS / 2 ? LIMIT_SPACE_CHECK_MS / 2
	     : ms < LIMIT_RETENTION_MS	   ? ms
					   : LIMIT_RETENTION_MS;
	if (!e->stopping)
		timer_set(&e->timers, &e->uploads.timer, e->now.mono_ms + ms);
}

static void swept(void *arg, enum err err, const char *json, size_t len)
{
	struct engine *e = arg;
	(void)json;
	(void)len;
	if (err && err != ERR_DELETED && err != ERR_NOT_FOUND && !e->failed)
		log_event(LOG_ERROR, "upload_sweep_failed", "code", err_code(err), NULL);
	e->uploads.at_work--;
}

/* The row may be behind: only who was looked at in memory is judged. */
static void sweep_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct sweep *s = (struct sweep *)w;
	char id[UUID_TEXT];
	uuid_format(&s->id, id);
	free(s);
	if (err || e->stopping || !upload_expired(e, t)) {
		e->uploads.at_work--;
		return;
	}
	log_event(LOG_INFO, "upload_expired", "id", id, "bytes", log_number(upload_durable(t)), NULL);
	engine_delete(e, (struct engine_ref){ id, grant_local() }, swept, e);
}

static enum err note_id(void *arg, const struct uuid *id)
{
	struct sweep_op *o = arg;
	o->ids[o->count++] = *id;
	return ERR_OK;
}

static enum err sweep_run(struct catalog *c, struct catalog_op *op)
{
	struct sweep_op *o = (struct sweep_op *)op;
	o->count = 0;
	return c->ops->uploads_expired(c, o->before_ms, LIMIT_RETENTION_ITEMS, note_id, o);
}

static void sweep_done(struct engine *e, struct catalog_op *op)
{
	struct sweep_op *o = (struct sweep_op *)op;
	e->uploads.looking = false;
	for (unsigned i = 0; i < o->count && !op->err && !e->stopping && !e->failed; i++) {
		struct sweep *s = must(calloc(1, sizeof *s));
		char id[UUID_TEXT];
		s->waiter.go = sweep_go;
		s->id = o->ids[i];
		uuid_format(&s->id, id);
		e->uploads.at_work++;
		take_want(e, (struct engine_ref){ id, grant_local() }, &s->waiter);
	}
	free(o);
	uploads_sweep_later(e);
}

void uploads_timer(struct engine *e)
{
	if (e->uploads.looking || e->stopping)
		return;
	struct sweep_op *o = must(calloc(1, sizeof *o));
	o->op.run = sweep_run;
	o->op.done = sweep_done;
	o->before_ms = engine_wall(e) - (int64_t)e->config.upload_expires_ms;
	e->uploads.looking = true;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}
