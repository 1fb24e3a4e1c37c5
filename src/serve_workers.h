/* The workers of `holdfast serve`: processes of the program that lies beside our own. */
#ifndef HOLDFAST_SERVE_WORKERS_H
#define HOLDFAST_SERVE_WORKERS_H

#include "work/worker.h"

#include <uv.h>

/* *out stays NULL with `slots` 0. Returns 0, or 1 after a sentence on standard error. Without the program, which is
 * only logged, nobody works on the queue, and readers are told. */
int serve_workers_open(uv_loop_t *loop, unsigned slots, struct workers **out);
/* Ends them; nothing of them is left on the loop then. Accepts NULL. */
void serve_workers_close(struct workers *workers, uv_loop_t *loop);

#endif
