/* How long to wait before the next attempt: exponential, with full jitter (a delay between nothing and the ceiling, so
 * that thousands of clients that lost one server don't come back together), for ever. Pure. */
#ifndef HOLDFAST_CLIENT_BACKOFF_H
#define HOLDFAST_CLIENT_BACKOFF_H

#include <stdint.h>

enum { BACKOFF_FIRST_MS = 200, BACKOFF_MAX_MS = 10 * 1000 };

struct backoff {
	unsigned attempts; /* since the last progress */
	uint64_t state;	   /* of the random numbers; any seed */
};

void backoff_init(struct backoff *b, uint64_t seed);
/* There was progress: the next wait is a short one again. */
void backoff_reset(struct backoff *b);
/* The wait before the next attempt, which it counts. */
uint64_t backoff_next_ms(struct backoff *b);

#endif
