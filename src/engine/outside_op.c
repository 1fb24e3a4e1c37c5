/* Jobs whose work is outside of this machine, see outside_op.h. */
#include "engine/outside_op.h"

#include <assert.h>
#include <stdlib.h>

void *outside_op_new(struct engine *e, size_t size, enum err (*run)(struct catalog *c, struct catalog_op *op),
		     void (*done)(struct engine *e, struct catalog_op *op))
{
	assert(size >= sizeof(struct outside_op));
	struct outside_op *o = must(calloc(1, size));
	o->op.run = run;
	o->op.done = done;
	o->now_ms = engine_wall(e);
	o->lease_until_ms = o->now_ms + e->config.lease_ms;
	return o;
}

void outside_op_reset(struct outside_op *o)
{
	job_info_release(&o->job);
	recording_info_release(&o->row);
	o->due_ms = 0;
}

void outside_op_free(struct outside_op *o)
{
	outside_op_reset(o);
	free(o->message);
	free(o);
}

void outside_op_submit(struct engine *e, struct outside_op *o)
{
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

enum err outside_claim(struct catalog *c, struct outside_op *o, enum job_kind kind)
{
	outside_op_reset(o);
	enum err err = c->ops->job_claim(c, kind, o->now_ms, o->lease_until_ms, &o->job, &o->row);
	if (err != ERR_NOT_FOUND)
		return err;
	err = c->ops->job_next(c, kind, &o->due_ms);
	return err ? err : ERR_NOT_FOUND;
}

enum err outside_failed(struct catalog *c, struct outside_op *o)
{
	outside_op_reset(o);
	enum err err = c->ops->job_fail(c, &o->key, o->error, o->message, o->now_ms, &o->job, &o->row);
	if (!err && o->job.state == JOB_QUEUED && o->now_ms + o->retry_after_ms > o->job.not_before_ms)
		err = c->ops->job_postpone(c, &o->key, o->now_ms + o->retry_after_ms);
	return err;
}

void outside_wait(struct engine *e, const struct outside_op *o, struct timer *timer)
{
	/* none is due, or the catalog could not be asked; a clock that jumped makes it one look too many */
	bool none = o->op.err == ERR_NOT_FOUND;
	int64_t wait = none ? o->due_ms - o->now_ms : LIMIT_SPACE_CHECK_MS;
	wait = wait < 1 ? 1 : wait > LIMIT_SWEEP_MS ? LIMIT_SWEEP_MS : wait;
	if (!none || o->due_ms > 0)
		timer_set(&e->timers, timer, e->now.mono_ms + (uint64_t)wait);
}
