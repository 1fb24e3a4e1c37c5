/* The ground of the simulation: the clock, what is to happen when, the trace, and the end by a broken promise. */
#ifndef HOLDFAST_SIM_SIM_H
#define HOLDFAST_SIM_SIM_H

#include "rng.h"

#include <stddef.h>
#include <stdint.h>

#define MS     1000ULL
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)

struct event {
	uint64_t at, order; /* of two at one time the one that was made first comes first */
	void (*fn)(void *arg, uint64_t x);
	void *arg;
	uint64_t x;
};

struct sim {
	uint64_t seed;
	struct rng rng;	 /* the schedule's own choices */
	uint64_t now_us; /* monotonic */
	int64_t wall_ms; /* the wall clock minus the monotonic one */
	struct event *heap;
	size_t count, capacity;
	uint64_t order;
	uint64_t hash; /* of all that happened */
	uint64_t steps;
	bool trace;
};

void sim_init(struct sim *s, uint64_t seed, bool trace);
void sim_release(struct sim *s);

/* fn(arg, x) in `delay_us` from now. Whoever may be gone by then checks a number in x. */
void sim_after(struct sim *s, uint64_t delay_us, void (*fn)(void *arg, uint64_t x), void *arg, uint64_t x);
/* When the next event comes; UINT64_MAX for none. */
uint64_t sim_next(const struct sim *s);
/* Runs the next event if its time has come. */
bool sim_step(struct sim *s);

/* One thing that happened: into the hash, and with --trace on a line. `text` may be NULL. */
void sim_trace(struct sim *s, const char *what, const char *text, uint64_t a, uint64_t b);

/* A promise was broken: says which, with the seed, and ends the process with status 1. */
__attribute__((noreturn, format(printf, 3, 4))) void sim_fail(struct sim *s, const char *invariant, const char *format,
							      ...);

#endif
