/* The push jobs in the catalog: taken, renewed, ended; and how far each has come. A lease that is another's by now ends
 * the push and changes nothing. */
#include "engine/outside_op.h"
#include "engine/pushing.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct push_op {
	struct outside_op base; /* first */
	struct catalog_push push;
	struct catalog_push_part part;
	enum push_stage next;
	unsigned count; /* queued */
	bool unpark;
};

static struct push_op *op_new(struct engine *e, const struct push_slot *s,
			      enum err (*run)(struct catalog *c, struct catalog_op *op),
			      void (*done)(struct engine *e, struct catalog_op *op))
{
	struct push_op *o = outside_op_new(e, sizeof *o, run, done);
	if (s) {
		o->base.number = s->number;
		o->base.key = s->key;
		o->base.id = s->recording;
	}
	return o;
}

static void op_free(struct push_op *o)
{
	catalog_push_release(&o->push);
	outside_op_free(&o->base);
}

/* --- taking one --- */

static enum err claim_run(struct catalog *c, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	catalog_push_release(&o->push);
	enum err err = outside_claim(c, &o->base, JOB_PUSH);
	if (err)
		return err;
	err = c->ops->push_get(c, &o->base.row.id, o->base.job.revision, &o->push);
	return err == ERR_NOT_FOUND ? ERR_CORRUPT : err; /* each job has its row */
}

static void slot_take(struct engine *e, struct push_slot *s, struct push_op *o)
{
	const struct recording_info *row = &o->base.row;
	s->used = true;
	s->number = ++e->pushing->numbers;
	s->key = (struct job_key){ o->base.job.id, o->base.job.epoch };
	s->recording = row->id;
	s->media = row->media;
	s->push = o->push;
	o->push = (struct catalog_push){ 0 };
	s->has_sealed_sha256 = row->media.as_is && row->track_count > 0 && row->tracks[0].has_sha256;
	if (s->has_sealed_sha256)
		sha256_format(row->tracks[0].sha256.bytes, s->sealed_sha256);
	s->stage = PUSHING_OPEN;
	s->began_ms = e->now.mono_ms;
	s->renew_ms = e->now.mono_ms + e->config.lease_ms / 3;
	pushing_rearm(s);
}

static struct push_slot *slot_free(struct engine *e)
{
	for (unsigned i = 0; i < LIMIT_PUSHES; i++) {
		if (!e->pushing->slots[i].used)
			return &e->pushing->slots[i];
	}
	return NULL;
}

static void claim_done(struct engine *e, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	struct pushing *p = e->pushing;
	p->claiming = false;
	if (op->err == ERR_OK && !e->failed) {
		struct push_slot *s = slot_free(e); /* there was one, and one is claimed at a time */
		assert(s);
		take_row(e, &o->base.row);
		slot_take(e, s, o);
		if (e->stopping)
			pushing_finish(s, ERR_SHUTTING_DOWN, NULL, 0);
		p->wanted = true;
		jobs_wanted(e);
	} else if (!e->failed && !e->stopping) {
		outside_wait(e, &o->base, &p->timer);
		p->sweep.wanted = true; /* a job that nobody has a use for any more may have left one */
	}
	op_free(o);
}

/* How many are at it while the bucket does not work: one, and it knocks with growing waits. */
static bool may_claim(struct engine *e)
{
	struct pushing *p = e->pushing;
	if (!slot_free(e))
		return false; /* one that gets free looks again */
	if (e->now.mono_ms < p->pause_ms) {
		timer_set(&e->timers, &p->timer, p->pause_ms);
		return false;
	}
	for (unsigned i = 0; i < LIMIT_PUSHES; i++) {
		if (p->failures > 0 && p->slots[i].used)
			return false;
	}
	return true;
}

void pushing_claim(struct engine *e)
{
	struct pushing *p = e->pushing;
	p->wanted = false;
	if (!may_claim(e))
		return;
	p->claiming = true;
	timer_set(&e->timers, &p->timer, UINT64_MAX);
	outside_op_submit(e, &op_new(e, NULL, claim_run, claim_done)->base);
}

/* --- while it is at work --- */

static enum err renew_run(struct catalog *c, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	return c->ops->job_renew(c, &o->base.key, o->base.lease_until_ms, 0);
}

/* One that failed is not tried again: the next third of the lease brings another. */
static void renew_done(struct engine *e, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	struct push_slot *s = pushing_slot(e, o->base.number);
	if (s && !s->ending && !e->failed && op->err == ERR_NOT_FOUND)
		pushing_close(s);
	op_free(o);
}

void pushing_renew(struct push_slot *s)
{
	struct engine *e = s->engine;
	s->renew_ms = e->now.mono_ms + e->config.lease_ms / 3;
	pushing_rearm(s);
	outside_op_submit(e, &op_new(e, s, renew_run, renew_done)->base);
}

/* True: it is tried again. */
static bool again(struct engine *e, struct push_op *o)
{
	if (!o->base.op.err || o->base.op.err == ERR_NOT_FOUND || e->failed)
		return false;
	catalog_again(e, &o->base.op);
	return true;
}

static void put_done(struct engine *e, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	struct push_slot *s = pushing_slot(e, o->base.number);
	if (again(e, o))
		return;
	if (s)
		s->busy = false;
	if (s && !s->ending && !e->failed) {
		if (op->err) {
			pushing_close(s);
		} else {
			s->stage = o->next;
			pushing_works(e);
			e->pushing->wanted = true;
		}
	}
	op_free(o);
}

static enum err put_run(struct catalog *c, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	return c->ops->push_begin(c, &o->base.key, &o->push, o->base.lease_until_ms);
}

void pushing_put(struct push_slot *s, enum push_stage next)
{
	struct push_op *o = op_new(s->engine, s, put_run, put_done);
	o->next = next;
	o->push.part_bytes = s->push.part_bytes;
	o->push.sha256 = must(strdup(s->push.sha256));
	o->push.upload = s->push.upload ? must(strdup(s->push.upload)) : NULL;
	s->busy = true;
	outside_op_submit(s->engine, &o->base);
}

static enum err part_run(struct catalog *c, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	return c->ops->push_part(c, &o->base.key, &o->part, o->base.lease_until_ms);
}

void pushing_put_part(struct push_slot *s, enum push_stage next)
{
	struct push_op *o = op_new(s->engine, s, part_run, put_done);
	o->next = next;
	o->part = s->parted;
	s->busy = true;
	outside_op_submit(s->engine, &o->base);
}

/* --- its end --- */

static enum err finish_run(struct catalog *c, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	outside_op_reset(&o->base);
	if (!o->base.error)
		return c->ops->job_done(c, &o->base.key, NULL, NULL, o->base.now_ms, &o->base.row);
	return outside_failed(c, &o->base);
}

/* The bucket did not work: nobody else need find out by itself. */
static void bucket_failed(struct engine *e, uint64_t retry_after_ms)
{
	struct pushing *p = e->pushing;
	uint64_t wait = LIMIT_PUSH_RETRY_FIRST_MS;
	for (unsigned i = 0; i < p->failures && wait < LIMIT_PUSH_RETRY_MAX_MS; i++)
		wait *= 3;
	wait = wait < LIMIT_PUSH_RETRY_MAX_MS ? wait : LIMIT_PUSH_RETRY_MAX_MS;
	p->failures++;
	p->pause_ms = e->now.mono_ms + (wait > retry_after_ms ? wait : retry_after_ms);
}

static void finish_log(const struct push_op *o, uint64_t took_ms)
{
	char id[UUID_TEXT];
	const struct recording_info *row = &o->base.row;
	uuid_format(&o->base.id, id);
	if (!o->base.error)
		log_event(LOG_INFO, "pushed", "id", id, "key", row->push.key ? row->push.key : "", "bytes",
			  log_number(row->media.bytes), "ms", log_number(took_ms), NULL);
	else if (o->base.error != ERR_SHUTTING_DOWN)
		log_event(o->base.job.state == JOB_PARKED ? LOG_ERROR : LOG_WARN,
			  o->base.job.state == JOB_PARKED ? "push_refused" : "push_failed", "id", id, "code",
			  err_code(o->base.error), "attempt", log_number(o->base.job.attempt), "why",
			  o->base.message ? o->base.message : err_text(o->base.error), NULL);
}

static void finish_done(struct engine *e, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	struct push_slot *s = pushing_slot(e, o->base.number);
	bool left = o->base.error == ERR_SHUTTING_DOWN; /* if it can't be given back now, the next start finds it */
	if (!left && again(e, o))
		return;
	if (op->err == ERR_OK && !e->failed) {
		take_row(e, &o->base.row);
		finish_log(o, s ? e->now.mono_ms - s->began_ms : 0);
	}
	if (s)
		pushing_close(s);
	jobs_wanted(e);
	op_free(o);
}

void pushing_finish(struct push_slot *s, enum err err, const char *message, uint64_t retry_after_ms)
{
	struct engine *e = s->engine;
	struct push_op *o = op_new(e, s, finish_run, finish_done);
	uint64_t wait_ms = retry_after_ms < LIMIT_PUSH_RETRY_MAX_MS ? retry_after_ms : LIMIT_PUSH_RETRY_MAX_MS;
	o->base.error = err;
	o->base.message = message ? must(strdup(message)) : NULL;
	o->base.retry_after_ms = (int64_t)wait_ms;
	pushing_ask_no_more(e, &s->asker);
	s->ending = true;
	pushing_rearm(s);
	if (!err)
		pushing_works(e);
	else if (err == ERR_BUCKET_FAILED)
		bucket_failed(e, wait_ms);
	outside_op_submit(e, &o->base);
}

/* --- what there is to be pushed --- */

static enum err queue_run(struct catalog *c, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	enum err err = o->unpark ? c->ops->unpark(c, JOB_PUSH, o->base.now_ms) : ERR_OK;
	return err ? err : c->ops->push_missing(c, o->base.now_ms, LIMIT_PUSH_QUEUE, &o->count);
}

static void queue_submit(struct engine *e, bool unpark);

static void queue_done(struct engine *e, struct catalog_op *op)
{
	struct push_op *o = (struct push_op *)op;
	bool more = !op->err && o->count == LIMIT_PUSH_QUEUE;
	if (!e->stopping && again(e, o))
		return;
	e->pushing->queueing = false;
	e->pushing->wanted = true;
	if (!op->err && o->count > 0 && !e->failed)
		log_event(LOG_INFO, "pushes_queued", "count", log_number(o->count), NULL);
	if (more && !e->stopping && !e->failed)
		queue_submit(e, false);
	jobs_wanted(e);
	op_free(o);
}

static void queue_submit(struct engine *e, bool unpark)
{
	struct push_op *o = op_new(e, NULL, queue_run, queue_done);
	o->unpark = unpark;
	e->pushing->queueing = true;
	outside_op_submit(e, &o->base);
}

void pushing_queue(struct engine *e)
{
	queue_submit(e, true);
}
