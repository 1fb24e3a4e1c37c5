/* Where every choice of the simulation comes from: one seed, split into streams that do not disturb each other
 * (SplitMix64, Steele et al. 2014). Same seed, same choices, on every machine. */
#ifndef HOLDFAST_SIM_RNG_H
#define HOLDFAST_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint64_t rng_next(struct rng *r)
{
	return rng_mix(r->state += 0x9e3779b97f4a7c15ULL);
}

/* 0 to n - 1; 0 when n is 0. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return (uint64_t)(__extension__((unsigned __int128)rng_next(r) * n) >> 64);
}

/* lo to hi, both included. */
static inline uint64_t rng_between(struct rng *r, uint64_t lo, uint64_t hi)
{
	return lo + rng_below(r, hi - lo + 1);
}

static inline bool rng_chance(struct rng *r, unsigned percent)
{
	return rng_below(r, 100) < percent;
}

/* A stream of its own: what is drawn from it changes nothing elsewhere. */
static inline struct rng rng_fork(struct rng *r, uint64_t salt)
{
	return (struct rng){ rng_mix(rng_next(r) ^ rng_mix(salt)) };
}

#endif
