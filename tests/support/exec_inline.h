/* An executor without threads, for tests: submitted tasks wait until the test runs them. */
#ifndef HOLDFAST_TESTS_EXEC_INLINE_H
#define HOLDFAST_TESTS_EXEC_INLINE_H

#include "base/exec.h"

struct exec_inline;

struct exec_inline *exec_inline_new(void);
struct exec *exec_inline_exec(struct exec_inline *e);

/* Runs and completes the oldest task of this lane; returns how many there were (0 or 1). */
unsigned exec_inline_turn_lane(struct exec_inline *e, enum lane lane);
/* Runs and completes what waits now, on all lanes, each in order; what this submits waits. Returns how many. */
unsigned exec_inline_turn(struct exec_inline *e);
/* Until nothing waits. */
void exec_inline_drain(struct exec_inline *e);

unsigned exec_inline_pending(const struct exec_inline *e);
void exec_inline_free(struct exec_inline *e); /* accepts NULL; what waits is forgotten */

#endif
