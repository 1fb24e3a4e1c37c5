/* Clock, events, trace; see sim.h. */
#include "sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void sim_init(struct sim *s, uint64_t seed, bool trace)
{
	*s = (struct sim){ .seed = seed, .trace = trace };
	s->rng.state = rng_mix(seed + 1);
	s->now_us = SECOND;
	s->wall_ms = 1750000000000LL;
	s->hash = 0xcbf29ce484222325ULL;
}

void sim_release(struct sim *s)
{
	free(s->heap);
}

static bool sooner(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_after(struct sim *s, uint64_t delay_us, void (*fn)(void *arg, uint64_t x), void *arg, uint64_t x)
{
	if (s->count == s->capacity) {
		s->capacity = s->capacity ? 2 * s->capacity : 64;
		s->heap = realloc(s->heap, s->capacity * sizeof *s->heap);
		assert(s->heap);
	}
	struct event event = { s->now_us + delay_us, s->order++, fn, arg, x };
	size_t i = s->count++;
	while (i > 0 && sooner(&event, &s->heap[(i - 1) / 2])) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = event;
}

uint64_t sim_next(const struct sim *s)
{
	return s->count > 0 ? s->heap[0].at : UINT64_MAX;
}

bool sim_step(struct sim *s)
{
	if (s->count == 0 || s->heap[0].at > s->now_us)
		return false;
	struct event first = s->heap[0], last = s->heap[--s->count];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= s->count)
			break;
		if (child + 1 < s->count && sooner(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!sooner(&s->heap[child], &last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	if (s->count > 0)
		s->heap[i] = last;
	first.fn(first.arg, first.x);
	return true;
}

static void hash_add(struct sim *s, uint64_t value)
{
	s->hash = rng_mix(s->hash ^ value) * 0x100000001b3ULL;
}

void sim_trace(struct sim *s, const char *what, const char *text, uint64_t a, uint64_t b)
{
	s->steps++;
	hash_add(s, s->now_us);
	for (const char *p = what; *p; p++)
		s->hash = (s->hash ^ (uint8_t)*p) * 0x100000001b3ULL;
	for (const char *p = text ? text : ""; *p; p++)
		s->hash = (s->hash ^ (uint8_t)*p) * 0x100000001b3ULL;
	hash_add(s, a);
	hash_add(s, b);
	if (s->trace)
		printf("%10.3f  %-12s %s %" PRIu64 " %" PRIu64 "\n", (double)s->now_us / 1e3, what, text ? text : "", a,
		       b);
}

void sim_fail(struct sim *s, const char *invariant, const char *format, ...)
{
	char text[2048];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fflush(stdout);
	printf("seed %" PRIu64 " broke \"%s\" at %.3f ms: %s\n", s->seed, invariant, (double)s->now_us / 1e3, text);
	fflush(stdout);
	_exit(1);
}
