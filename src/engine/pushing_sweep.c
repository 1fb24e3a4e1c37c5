/* Uploads that nobody goes on with: of a recording that was deleted, or that a late resume went on with, while it was
 * being pushed. The catalog says of which keys, in the transaction that cancelled the push; a key names one revision of
 * one recording of ours, so nothing of anybody else's is aborted. */
#include "engine/outside_op.h"
#include "engine/pushing.h"

#include "base/log.h"

#include <stdlib.h>

struct sweep_op {
	struct outside_op base; /* first */
	struct catalog_sweep row;
	int64_t id, again_ms;
};

static enum err look_run(struct catalog *c, struct catalog_op *op)
{
	struct sweep_op *o = (struct sweep_op *)op;
	return c->ops->sweep_next(c, &o->row);
}

static void look_done(struct engine *e, struct catalog_op *op)
{
	struct sweep_op *o = (struct sweep_op *)op;
	struct push_sweep *w = &e->pushing->sweep;
	w->looking = false;
	if (!op->err && o->row.due_ms <= o->base.now_ms && !e->stopping && !e->failed) {
		w->row = o->row;
	} else if (op->err != ERR_NOT_FOUND && !e->stopping && !e->failed) {
		o->base.due_ms = o->row.due_ms;
		if (!op->err)
			op->err = ERR_NOT_FOUND; /* none is due */
		outside_wait(e, &o->base, &w->timer);
	}
	outside_op_free(&o->base);
}

static enum err end_run(struct catalog *c, struct catalog_op *op)
{
	struct sweep_op *o = (struct sweep_op *)op;
	return c->ops->sweep_end(c, o->id, o->again_ms);
}

/* Failed or not: the next look finds what is left. */
static void end_done(struct engine *e, struct catalog_op *op)
{
	struct push_sweep *w = &e->pushing->sweep;
	w->looking = false;
	w->wanted = !op->err;
	if (op->err && !e->stopping && !e->failed)
		timer_set(&e->timers, &w->timer, e->now.mono_ms + LIMIT_SWEEP_MS);
	outside_op_free(&((struct sweep_op *)op)->base);
}

static void look(struct engine *e)
{
	struct push_sweep *w = &e->pushing->sweep;
	struct sweep_op *o = outside_op_new(e, sizeof *o, look_run, look_done);
	w->wanted = false;
	w->looking = true;
	outside_op_submit(e, &o->base);
}

static void end(struct engine *e, bool swept)
{
	struct push_sweep *w = &e->pushing->sweep;
	struct sweep_op *o = outside_op_new(e, sizeof *o, end_run, end_done);
	o->id = w->row.id;
	o->again_ms = swept ? 0 : o->base.now_ms + LIMIT_PUSH_SWEEP_MS;
	log_event(swept ? LOG_INFO : LOG_WARN, swept ? "push_swept" : "push_not_swept", "key", w->row.key, NULL);
	w->row.id = 0;
	pushing_clear_release(&w->clearing);
	w->looking = true;
	outside_op_submit(e, &o->base);
}

void pushing_sweep_turn(struct engine *e)
{
	struct push_sweep *w = &e->pushing->sweep;
	while (!w->looking && !w->asker.step) {
		if (w->asker.answered) {
			struct push_answer answer = w->asker.answer;
			w->asker = (struct push_asker){ 0 };
			if (!pushing_clear_take(&w->clearing, &answer, w->row.key))
				end(e, false);
			else if (w->clearing.done)
				end(e, true);
			pushing_answer_release(&answer);
		} else if (w->row.id) {
			pushing_clear_next(e, &w->asker, &w->clearing, w->row.key);
		} else if (w->wanted) {
			look(e);
		} else {
			break;
		}
	}
}

void pushing_sweep_stop(struct engine *e)
{
	struct push_sweep *w = &e->pushing->sweep;
	pushing_ask_no_more(e, &w->asker);
	pushing_clear_release(&w->clearing);
	w->row.id = 0;
	w->wanted = false;
	timer_set(&e->timers, &w->timer, UINT64_MAX);
}
