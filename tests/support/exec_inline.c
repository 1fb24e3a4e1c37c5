/* See exec_inline.h. */
#include "support/exec_inline.h"

#include <assert.h>
#include <stdlib.h>

struct exec_inline {
	struct exec exec;
	struct task *head[LANE_COUNT], **tail[LANE_COUNT];
	unsigned waiting[LANE_COUNT];
};

static void inline_submit(struct exec *exec, enum lane lane, struct task *task)
{
	struct exec_inline *e = (struct exec_inline *)(void *)exec;
	task->next = NULL;
	*e->tail[lane] = task;
	e->tail[lane] = &task->next;
	e->waiting[lane]++;
}

static const struct exec_ops inline_ops = { inline_submit };

struct exec_inline *exec_inline_new(void)
{
	struct exec_inline *e = calloc(1, sizeof *e);
	assert(e);
	e->exec.ops = &inline_ops;
	for (int i = 0; i < LANE_COUNT; i++)
		e->tail[i] = &e->head[i];
	return e;
}

struct exec *exec_inline_exec(struct exec_inline *e)
{
	return &e->exec;
}

unsigned exec_inline_turn_lane(struct exec_inline *e, enum lane lane)
{
	struct task *task = e->head[lane];
	if (!task)
		return 0;
	e->head[lane] = task->next;
	if (!e->head[lane])
		e->tail[lane] = &e->head[lane];
	e->waiting[lane]--;
	task->run(task);
	task->done(task);
	return 1;
}

unsigned exec_inline_turn(struct exec_inline *e)
{
	unsigned now[LANE_COUNT], total = 0;
	for (int i = 0; i < LANE_COUNT; i++)
		now[i] = e->waiting[i];
	for (int i = 0; i < LANE_COUNT; i++)
		for (unsigned n = 0; n < now[i]; n++)
			total += exec_inline_turn_lane(e, (enum lane)i);
	return total;
}

void exec_inline_drain(struct exec_inline *e)
{
	while (exec_inline_turn(e) > 0)
		;
}

unsigned exec_inline_pending(const struct exec_inline *e)
{
	unsigned total = 0;
	for (int i = 0; i < LANE_COUNT; i++)
		total += e->waiting[i];
	return total;
}

void exec_inline_free(struct exec_inline *e)
{
	free(e);
}
