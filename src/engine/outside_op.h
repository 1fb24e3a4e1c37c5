/* What fetching_jobs.c and notifying.c share: asking the catalog about a job whose work is outside of this machine. */
#ifndef HOLDFAST_ENGINE_OUTSIDE_OP_H
#define HOLDFAST_ENGINE_OUTSIDE_OP_H

#include "engine/internal.h"

/* The first member of their own ops. */
struct outside_op {
	struct catalog_op op; /* first */
	uint64_t number;      /* of the slot; 0: none yet */
	struct job_key key;
	struct uuid id; /* of the recording */
	int64_t now_ms, lease_until_ms, due_ms, retry_after_ms;
	enum err error;
	char *message; /* owned */
	struct job_info job;
	struct recording_info row;
};

/* Memory of `size` bytes that begins with an outside_op, all else zero; it goes with outside_op_free. Loop thread, as
 * all but what runs in a transaction. */
void *outside_op_new(struct engine *e, size_t size, enum err (*run)(struct catalog *c, struct catalog_op *op),
		     void (*done)(struct engine *e, struct catalog_op *op));
/* What a transaction that is run once more reads anew. */
void outside_op_reset(struct outside_op *o);
void outside_op_free(struct outside_op *o);
void outside_op_submit(struct engine *e, struct outside_op *o);

/* In a transaction. ERR_NOT_FOUND: none is due, and `due_ms` says when one will be (0: none will). */
enum err outside_claim(struct catalog *c, struct outside_op *o, enum job_kind kind);
/* The job failed, with `error` and `message`; it is not tried again before `retry_after_ms`. */
enum err outside_failed(struct catalog *c, struct outside_op *o);

/* Behind a claim that brought none: `timer` is due when there may be one. */
void outside_wait(struct engine *e, const struct outside_op *o, struct timer *timer);

#endif
