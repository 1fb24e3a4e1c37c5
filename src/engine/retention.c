/* Retention: what was published and verified goes when its time is over, a few at a time, and so do old events.
 *
 * An original goes in three steps: the catalog says that nobody is to be given it any more, durably; then its files go,
 * durably; then the catalog knows that too. Whatever the crash, nobody is promised bytes that are gone, and the next
 * look finds what was begun. Whole recordings go as if somebody had deleted them. Only the catalog says what may go
 * (catalog.h, `expired`): never what is not published, nor what a late resume may still change. */
#include "engine/internal.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct look_op {
	struct catalog_op op;
	enum catalog_expiry what;
	int64_t before_ms, late_before_ms;
	struct uuid ids[LIMIT_RETENTION_ITEMS];
	unsigned count;
};

struct removal {
	struct waiter waiter;
	struct catalog_op op;
	struct task task;
	struct engine *engine;
	struct take *take; /* pinned */
	struct uuid id;
	int64_t now_ms;
	bool gone; /* the files are */
	bool removed;
	int64_t updated_ms; /* as the row says */
	uint32_t tracks;
	enum err err;
};

static void look(struct engine *e, enum catalog_expiry what);

static void rest(struct engine *e)
{
	if (!retention_busy(e) && !e->stopping)
		timer_set(&e->timers, &e->retention.timer, e->now.mono_ms + LIMIT_RETENTION_MS);
}

/* One of those at work is through. */
static void item_done(struct engine *e)
{
	e->retention.at_work--;
	rest(e);
}

/* Originals */

static void removal_end(struct engine *e, struct removal *r, enum err err)
{
	char id[UUID_TEXT];
	uuid_format(&r->id, id);
	if (err && !e->failed)
		log_event(LOG_ERROR, "retention_failed", "id", id, "code", err_code(err), NULL);
	else if (!err && r->gone)
		log_event(LOG_INFO, "original_removed", "id", id, NULL);
	struct take *t = r->take;
	free(r);
	if (t)
		take_unpin(e, t);
	item_done(e);
}

static enum err say_run(struct catalog *c, struct catalog_op *op)
{
	struct removal *r = list_entry(op, struct removal, op);
	struct recording_info row;
	enum err err = c->ops->original_removed(c, &r->id, r->gone, r->now_ms, &row);
	r->removed = err == ERR_OK && row.original_removed;
	r->tracks = row.track_count;
	r->updated_ms = row.updated_ms;
	recording_info_release(&row);
	return err;
}

static void say(struct engine *e, struct removal *r)
{
	r->now_ms = engine_wall(e); /* the lane must not ask the loop's clock */
	catalog_submit(e, &r->op);
	catalog_pump(e);
}

static void files_run(struct task *task)
{
	struct removal *r = list_entry(task, struct removal, task);
	r->err = spool_remove_tracks(r->engine->config.vfs, &r->id, r->tracks);
}

static void files_done(struct task *task)
{
	struct removal *r = list_entry(task, struct removal, task);
	struct engine *e = r->engine;
	if (r->err == ERR_SYNC_FAILED)
		engine_fail(e, r->err, "a folder of a removed original");
	if (r->err || e->failed) {
		removal_end(e, r, r->err);
		return;
	}
	r->gone = true;
	say(e, r);
}

static void said(struct engine *e, struct catalog_op *op)
{
	struct removal *r = list_entry(op, struct removal, op);
	if (!op->err && r->removed && !e->failed) {
		r->take->rec.info.original_removed = true;
		r->take->rec.info.updated_ms = r->updated_ms;
		follow_change(e, r->take);
	}
	if (op->err || !r->removed || r->gone || e->failed) {
		removal_end(e, r, op->err);
		return;
	}
	exec_submit(e->config.exec, LANE_CHECKPOINT, &r->task);
}

/* Not while anything of it is under way: there will be another look. */
static bool may_go(const struct take *t)
{
	return take_finished(t) && t->rec.info.phase == PHASE_COMPLETE && recording_at_rest(&t->rec) &&
	       t->manifest_on_disk && !recording_attached(&t->rec) && !t->deletion && take_clean(t);
}

static void removal_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct removal *r = list_entry(w, struct removal, waiter);
	if (err || !may_go(t)) {
		if (!err && (!t->manifest_on_disk || !take_clean(t)))
			checkpoint_begin(
				e); /* what is in the journal only has no original yet: the next look finds it */
		removal_end(e, r, err == ERR_NOT_FOUND ? ERR_OK : err);
		return;
	}
	take_pin(t);
	r->take = t;
	r->op.take = t;
	say(e, r);
}

static void original_remove(struct engine *e, const struct uuid *id)
{
	struct removal *r = must(calloc(1, sizeof *r));
	char text[UUID_TEXT];
	r->engine = e;
	r->id = *id;
	r->waiter.go = removal_go;
	r->op.run = say_run;
	r->op.done = said;
	r->task.run = files_run;
	r->task.done = files_done;
	uuid_format(id, text);
	take_want(e, (struct engine_ref){ .text = text, .grant = grant_local() }, &r->waiter);
}

/* Whole recordings */

static void recording_removed(void *arg, enum err err, const char *json, size_t len)
{
	struct engine *e = arg;
	if (err && err != ERR_DELETED && err != ERR_NOT_FOUND && !e->failed)
		log_event(LOG_ERROR, "retention_failed", "code", err_code(err), NULL);
	item_done(e);
}

static void recording_remove(struct engine *e, const struct uuid *id)
{
	char text[UUID_TEXT];
	uuid_format(id, text);
	engine_delete(e, (struct engine_ref){ .text = text, .grant = grant_local() }, recording_removed, e);
}

/* Looking */

static enum err note_id(void *arg, const struct uuid *id)
{
	struct look_op *o = arg;
	if (o->count < LIMIT_RETENTION_ITEMS)
		o->ids[o->count++] = *id;
	return ERR_OK;
}

static enum err look_run(struct catalog *c, struct catalog_op *op)
{
	struct look_op *o = (struct look_op *)op;
	o->count = 0;
	return c->ops->expired(c, o->what, o->before_ms, o->late_before_ms, LIMIT_RETENTION_ITEMS, note_id, o);
}

static void look_done(struct engine *e, struct catalog_op *op)
{
	struct look_op *o = (struct look_op *)op;
	e->retention.looking = false;
	if (op->err || e->stopping || e->failed)
		o->count = 0;
	/* what is gone has no original: whole recordings first */
	bool next = o->what == EXPIRY_RECORDINGS && o->count < LIMIT_RETENTION_ITEMS && !op->err;
	e->retention.at_work += o->count;
	for (unsigned i = 0; i < o->count; i++) {
		if (o->what == EXPIRY_RECORDINGS)
			recording_remove(e, &o->ids[i]);
		else
			original_remove(e, &o->ids[i]);
	}
	if (next && !e->stopping && !e->failed)
		look(e, EXPIRY_ORIGINALS);
	free(o);
	rest(e);
}

/* So long before now; nothing was published before the time begins. */
static int64_t before(const struct engine *e, uint64_t ms)
{
	int64_t now_ms = engine_wall(e);
	return now_ms > 0 && ms < (uint64_t)now_ms ? now_ms - (int64_t)ms : 0;
}

static void look(struct engine *e, enum catalog_expiry what)
{
	uint64_t keep_ms = what == EXPIRY_RECORDINGS ? e->config.retain_ms : e->config.retain_originals_ms;
	if (keep_ms == UINT64_MAX)
		return;
	struct look_op *o = must(calloc(1, sizeof *o));
	o->op.run = look_run;
	o->op.done = look_done;
	o->what = what;
	o->before_ms = before(e, keep_ms);
	o->late_before_ms = before(e, e->config.late_resume_ms);
	e->retention.looking = true;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* The outbox */

struct trim_op {
	struct catalog_op op;
	int64_t before_ms;
};

static enum err trim_run(struct catalog *c, struct catalog_op *op)
{
	return c->ops->events_trim(c, ((struct trim_op *)op)->before_ms);
}

/* Failed or not: the next look does the rest. */
static void trim_done(struct engine *e, struct catalog_op *op)
{
	(void)e;
	free(op);
}

static void trim(struct engine *e)
{
	struct trim_op *o = must(calloc(1, sizeof *o));
	o->op.run = trim_run;
	o->op.done = trim_done;
	o->before_ms = before(e, LIMIT_EVENTS_DAYS * 24ULL * 3600 * 1000);
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

void retention_due(struct engine *e)
{
	if (retention_busy(e) || e->stopping)
		return; /* its end sets the timer again */
	trim(e);
	look(e, e->config.retain_ms == UINT64_MAX ? EXPIRY_ORIGINALS : EXPIRY_RECORDINGS);
	rest(e); /* unless a look began */
}

void retention_listen(struct engine *e)
{
	timer_set(&e->timers, &e->retention.timer, e->now.mono_ms + LIMIT_RETENTION_FIRST_MS);
}
