/* The seam for threads: work runs on a lane, its completion on the loop thread.
 *
 * The server runs lanes on threads (exec_threads.c); the simulation runs them on one thread in an order that its seed
 * decides. A lane with one thread runs and completes its tasks in the order of submission; a lane with several may not.
 * Nothing but a lane blocks. */
#ifndef HOLDFAST_BASE_EXEC_H
#define HOLDFAST_BASE_EXEC_H

#include "base/err.h"

enum lane {
	LANE_COMMIT,	 /* one thread: the journal's writes and syncs */
	LANE_SPOOL,	 /* a few: opening, reserving and writing spools */
	LANE_CHECKPOINT, /* one: syncing spools, writing manifests, filling segments */
	LANE_CATALOG,	 /* one: SQLite */
	LANE_POOL,	 /* a few: file reads, hashing, free space */
	LANE_COUNT
};

/* Embedded in the caller's own struct. Owned by the executor from submit until `done` is called; `done` may free it or
 * submit it again. */
struct task {
	struct task *next;
	void (*run)(struct task *task);	 /* on a thread of the lane */
	void (*done)(struct task *task); /* on the loop thread */
};

struct exec;

struct exec_ops {
	void (*submit)(struct exec *exec, enum lane lane, struct task *task);
};

struct exec {
	const struct exec_ops *ops;
};

/* Loop thread only. Never fails and never blocks. */
static inline void exec_submit(struct exec *exec, enum lane lane, struct task *task)
{
	exec->ops->submit(exec, lane, task);
}

/* The executor of the server: real threads. `wake` is called from lane threads when completions wait; it must be
 * async-safe towards the loop (uv_async_send). */
struct exec_threads;
enum err exec_threads_new(void (*wake)(void *arg), void *arg, struct exec_threads **out);
struct exec *exec_threads_exec(struct exec_threads *threads);

/* Runs the `done` of all that has completed. Loop thread. Returns how many there were. */
unsigned exec_threads_turn(struct exec_threads *threads);

/* Blocks until nothing is queued or running, running completions meanwhile; for start-up and stop only. */
void exec_threads_drain(struct exec_threads *threads);

/* Tasks submitted and not yet done. */
unsigned exec_threads_pending(const struct exec_threads *threads);

/* Ends the threads; nothing may be queued or running. Accepts NULL. */
void exec_threads_free(struct exec_threads *threads);

#endif
