/* The executor of the simulation: lanes as queues on one thread. The seed decides how long each task waits and works
 * and which of several runs first; lanes with one thread keep their order, SPOOL and POOL keep none.
 *
 * A task runs whole at one instant; its completion comes at a later one. */
#ifndef HOLDFAST_SIM_EXEC_SIM_H
#define HOLDFAST_SIM_EXEC_SIM_H

#include "base/exec.h"
#include "rng.h"

struct exec_sim;

struct exec_sim *exec_sim_new(uint64_t seed);
void exec_sim_free(struct exec_sim *x);
struct exec *exec_sim_exec(struct exec_sim *x);

/* The clock, in us: tasks submitted from here on start no earlier. */
void exec_sim_set_now(struct exec_sim *x, uint64_t now_us);
/* When something is to be done next; UINT64_MAX: nothing is queued. */
uint64_t exec_sim_next(const struct exec_sim *x);
/* Does one thing whose time has come: runs a task, or delivers a completion (true in *completed). False: nothing. */
bool exec_sim_step(struct exec_sim *x, uint64_t now_us, bool *completed);
/* Tasks submitted and not done. */
unsigned exec_sim_pending(const struct exec_sim *x);
/* Average work of a task, in us. */
void exec_sim_set_speed(struct exec_sim *x, enum lane lane, uint64_t mean_us);
/* The lane does nothing before this time. */
void exec_sim_stall(struct exec_sim *x, enum lane lane, uint64_t until_us);
/* The process is gone: forgets everything. */
void exec_sim_reset(struct exec_sim *x);

#endif
