/* Waits between attempts, see backoff.h. */
#include "backoff.h"

void backoff_init(struct backoff *b, uint64_t seed)
{
	*b = (struct backoff){ .state = seed };
}

void backoff_reset(struct backoff *b)
{
	b->attempts = 0;
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) */
static uint64_t next_random(struct backoff *b)
{
	uint64_t z = b->state += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t backoff_next_ms(struct backoff *b)
{
	uint64_t ceiling = BACKOFF_FIRST_MS;
	for (unsigned i = 0; i < b->attempts && ceiling < BACKOFF_MAX_MS; i++)
		ceiling *= 2;
	if (ceiling > BACKOFF_MAX_MS)
		ceiling = BACKOFF_MAX_MS;
	b->attempts++;
	return next_random(b) % (ceiling + 1);
}
