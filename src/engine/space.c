/* Free space: what is kept in reserve, and what happens when it runs low.
 *
 * Below the reserve (the smaller of 256 MiB and 5 %) no new recording begins; below a quarter of it running ones are
 * detached with storage_full and their timers stand still. The last quarter is for catalog and checkpoints. */
#include "engine/internal.h"

#include "base/log.h"

#include <stdlib.h>

struct space_op {
	struct task task;
	struct engine *engine;
	struct vfs_space space;
	enum err err;
};

uint64_t space_reserve(const struct engine *e)
{
	if (e->config.reserve_bytes)
		return e->config.reserve_bytes;
	uint64_t part = e->total_bytes / 100 * LIMIT_RESERVE_PERCENT;
	return part < LIMIT_RESERVE_BYTES ? part : LIMIT_RESERVE_BYTES;
}

uint64_t space_floor(const struct engine *e)
{
	return space_reserve(e) / 4;
}

bool space_refuses_new(const struct engine *e)
{
	return e->storage_full || e->free_bytes < space_reserve(e);
}

/* Timers of all unfinished takes stop or go on. */
static void freeze_all(struct engine *e, bool frozen)
{
	e->storage_full = frozen;
	log_event(LOG_WARN, frozen ? "storage_full" : "storage_free", "free", log_number(e->free_bytes), NULL);
	for (struct list *at = e->takes.next; at != &e->takes; at = at->next) {
		struct take *t = list_entry(at, struct take, link);
		if (t->loading)
			continue;
		recording_freeze(&t->rec, frozen, e->now.mono_ms);
		engine_rearm_take(e, t);
	}
}

void space_full(struct engine *e)
{
	if (!e->storage_full)
		freeze_all(e, true);
	timer_set(&e->timers, &e->space_timer, e->now.mono_ms + LIMIT_SPACE_CHECK_MS);
}

static void space_done(struct task *task)
{
	struct space_op *op = (struct space_op *)task;
	struct engine *e = op->engine;
	e->space_reading = false;
	if (!op->err) {
		e->free_bytes = op->space.free_bytes;
		e->total_bytes = op->space.total_bytes;
		e->space_read_ms = e->now.mono_ms;
		/* one step of every kind must fit before work goes on */
		if (e->storage_full && e->free_bytes > space_floor(e) + LIMIT_RESERVE_FIRST * 2)
			freeze_all(e, false);
		shows_space_back(e);
	}
	free(op);
	list_move(&e->catalog_queue, &e->catalog_retry);
	e->checkpoint.stalled = false;
	rescue_again(e);
	checkpoint_pump(e);
	catalog_pump(e);
	bool again = e->storage_full || e->checkpoint.stalled || !list_empty(&e->catalog_retry);
	/* While recording goes on the figure is kept fresh, so that a start is judged by it. */
	if (again || e->conn_count > 0)
		timer_set(&e->timers, &e->space_timer, e->now.mono_ms + LIMIT_SPACE_CHECK_MS);
}

static void space_run(struct task *task)
{
	struct space_op *op = (struct space_op *)task;
	op->err = vfs_space(op->engine->config.vfs, &op->space);
}

void space_check(struct engine *e)
{
	if (e->space_reading || e->failed)
		return;
	struct space_op *op = must(calloc(1, sizeof *op));
	op->task.run = space_run;
	op->task.done = space_done;
	op->engine = e;
	e->space_reading = true;
	exec_submit(e->config.exec, LANE_POOL, &op->task);
}
