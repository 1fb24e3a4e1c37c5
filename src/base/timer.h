/* Timers: a binary heap of due times. The owner embeds a struct timer and learns by its kind who is due. */
#ifndef HOLDFAST_BASE_TIMER_H
#define HOLDFAST_BASE_TIMER_H

#include <stddef.h>
#include <stdint.h>

struct timer {
	uint64_t due_ms;
	size_t place; /* 1-based in the heap, 0: not armed */
	int kind;     /* the owner's */
};

struct timers {
	struct timer **heap;
	size_t count, capacity;
};

void timers_init(struct timers *t);
void timers_release(struct timers *t);
/* Arms, moves, or with UINT64_MAX disarms the timer. Running out of memory is fatal (abort). */
void timer_set(struct timers *t, struct timer *timer, uint64_t due_ms);
/* The next timer that is due, disarmed; NULL when none is. */
struct timer *timers_due(struct timers *t, uint64_t now_ms);
/* When the first is due, UINT64_MAX for never. */
uint64_t timers_next(const struct timers *t);

#endif
