/* Lanes on one thread under the simulated clock, see exec_sim.h. */
#include "exec_sim.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS = 4 }; /* tasks at work at a time in a lane without order */

enum stage { STAGE_FREE, STAGE_RUNS };

struct slot {
	struct task *task;
	uint64_t at; /* when the next stage comes */
	enum stage stage;
};

struct lane_sim {
	struct task *head, **tail;
	struct slot slots[SLOTS];
	unsigned slot_count;
	uint64_t mean_us, stalled_until, last_done;
};

/* Completions of a lane of one thread wait here, so that the next task may run before they are delivered. */
struct completion {
	struct task *task;
	uint64_t at;
};

struct exec_sim {
	struct exec exec;
	struct rng rng;
	uint64_t now;
	unsigned pending;
	struct lane_sim lanes[LANE_COUNT];
	struct completion *done;
	size_t done_count, done_capacity;
};

static const unsigned lane_slots[LANE_COUNT] = {
	[LANE_COMMIT] = 1, [LANE_SPOOL] = SLOTS, [LANE_CHECKPOINT] = 1, [LANE_CATALOG] = 1, [LANE_POOL] = SLOTS,
};

/* Mostly short, now and then long. */
static uint64_t duration(struct exec_sim *x, uint64_t mean)
{
	uint64_t d = rng_below(&x->rng, 2 * mean + 1);
	return rng_chance(&x->rng, 3) ? d * 8 : d;
}

static void start_some(struct exec_sim *x, struct lane_sim *lane)
{
	for (unsigned i = 0; i < lane->slot_count && lane->head; i++) {
		struct slot *slot = &lane->slots[i];
		if (slot->stage != STAGE_FREE)
			continue;
		slot->task = lane->head;
		lane->head = slot->task->next;
		if (!lane->head)
			lane->tail = &lane->head;
		uint64_t start = x->now > lane->stalled_until ? x->now : lane->stalled_until;
		slot->at = start + duration(x, lane->mean_us);
		slot->stage = STAGE_RUNS;
	}
}

static void sim_submit(struct exec *exec, enum lane which, struct task *task)
{
	struct exec_sim *x = (struct exec_sim *)(void *)exec;
	struct lane_sim *lane = &x->lanes[which];
	task->next = NULL;
	*lane->tail = task;
	lane->tail = &task->next;
	x->pending++;
	start_some(x, lane);
}

static const struct exec_ops sim_ops = { sim_submit };

void exec_sim_reset(struct exec_sim *x)
{
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		struct lane_sim *lane = &x->lanes[i];
		uint64_t mean = lane->mean_us;
		*lane = (struct lane_sim){ .slot_count = lane_slots[i], .mean_us = mean };
		lane->tail = &lane->head;
	}
	x->done_count = 0;
	x->pending = 0;
}

struct exec_sim *exec_sim_new(uint64_t seed)
{
	struct exec_sim *x = calloc(1, sizeof *x);
	assert(x);
	x->exec.ops = &sim_ops;
	x->rng.state = seed;
	for (unsigned i = 0; i < LANE_COUNT; i++)
		x->lanes[i].mean_us = 200;
	exec_sim_reset(x);
	return x;
}

void exec_sim_free(struct exec_sim *x)
{
	if (x)
		free(x->done);
	free(x);
}

struct exec *exec_sim_exec(struct exec_sim *x)
{
	return &x->exec;
}

void exec_sim_set_now(struct exec_sim *x, uint64_t now_us)
{
	x->now = now_us;
}

/* The earliest task to run, or NULL. */
static struct slot *next_slot(const struct exec_sim *x, unsigned *lane)
{
	struct slot *best = NULL;
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		for (unsigned s = 0; s < x->lanes[i].slot_count; s++) {
			const struct slot *slot = &x->lanes[i].slots[s];
			if (slot->stage == STAGE_RUNS && (!best || slot->at < best->at)) {
				best = (struct slot *)(uintptr_t)slot;
				*lane = i;
			}
		}
	}
	return best;
}

/* The earliest completion; of several at one time the oldest, so that a lane's order holds. */
static size_t next_done(const struct exec_sim *x)
{
	size_t best = 0;
	for (size_t i = 1; i < x->done_count; i++) {
		if (x->done[i].at < x->done[best].at)
			best = i;
	}
	return best;
}

uint64_t exec_sim_next(const struct exec_sim *x)
{
	unsigned lane;
	const struct slot *slot = next_slot(x, &lane);
	uint64_t at = slot ? slot->at : UINT64_MAX;
	if (x->done_count > 0) {
		uint64_t done = x->done[next_done(x)].at;
		if (done < at)
			at = done;
	}
	return at < x->now ? x->now : at;
}

static void run_slot(struct exec_sim *x, struct slot *slot, struct lane_sim *lane)
{
	struct task *task = slot->task;
	task->run(task);
	uint64_t at = x->now + duration(x, lane->mean_us / 2);
	if (lane->slot_count == 1 && at < lane->last_done)
		at = lane->last_done;
	lane->last_done = at;
	slot->stage = STAGE_FREE;
	if (x->done_count == x->done_capacity) {
		x->done_capacity = x->done_capacity ? 2 * x->done_capacity : 16;
		x->done = realloc(x->done, x->done_capacity * sizeof *x->done);
		assert(x->done);
	}
	x->done[x->done_count++] = (struct completion){ task, at };
	start_some(x, lane);
}

bool exec_sim_step(struct exec_sim *x, uint64_t now_us, bool *completed)
{
	*completed = false;
	x->now = now_us;
	unsigned lane = 0;
	struct slot *slot = next_slot(x, &lane);
	size_t index = next_done(x);
	bool done_due = x->done_count > 0 && x->done[index].at <= now_us;
	if (done_due && (!slot || x->done[index].at <= slot->at)) {
		struct task *task = x->done[index].task;
		x->done_count--;
		for (size_t i = index; i < x->done_count; i++)
			x->done[i] = x->done[i + 1];
		x->pending--;
		*completed = true;
		task->done(task);
		return true;
	}
	if (!slot || slot->at > now_us)
		return false;
	run_slot(x, slot, &x->lanes[lane]);
	return true;
}

unsigned exec_sim_pending(const struct exec_sim *x)
{
	return x->pending;
}

void exec_sim_set_speed(struct exec_sim *x, enum lane lane, uint64_t mean_us)
{
	x->lanes[lane].mean_us = mean_us;
}

void exec_sim_stall(struct exec_sim *x, enum lane lane, uint64_t until_us)
{
	x->lanes[lane].stalled_until = until_us;
	for (unsigned i = 0; i < x->lanes[lane].slot_count; i++) {
		struct slot *slot = &x->lanes[lane].slots[i];
		if (slot->stage == STAGE_RUNS && slot->at < until_us)
			slot->at = until_us;
	}
}
