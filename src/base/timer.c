/* A binary heap of timers, see timer.h. */
#include "base/timer.h"

#include <stdlib.h>

void timers_init(struct timers *t)
{
	*t = (struct timers){ 0 };
}

void timers_release(struct timers *t)
{
	free(t->heap);
	timers_init(t);
}

static void put(struct timers *t, size_t place, struct timer *timer)
{
	t->heap[place - 1] = timer;
	timer->place = place;
}

static void sift_up(struct timers *t, struct timer *timer)
{
	size_t place = timer->place;
	while (place > 1 && t->heap[place / 2 - 1]->due_ms > timer->due_ms) {
		put(t, place, t->heap[place / 2 - 1]);
		place /= 2;
	}
	put(t, place, timer);
}

static void sift_down(struct timers *t, struct timer *timer)
{
	size_t place = timer->place;
	for (;;) {
		size_t child = place * 2;
		if (child > t->count)
			break;
		if (child < t->count && t->heap[child]->due_ms < t->heap[child - 1]->due_ms)
			child++;
		if (t->heap[child - 1]->due_ms >= timer->due_ms)
			break;
		put(t, place, t->heap[child - 1]);
		place = child;
	}
	put(t, place, timer);
}

static void disarm(struct timers *t, struct timer *timer)
{
	struct timer *last = t->heap[--t->count];
	if (last != timer) {
		put(t, timer->place, last);
		sift_up(t, last);
		sift_down(t, last);
	}
	timer->place = 0;
}

void timer_set(struct timers *t, struct timer *timer, uint64_t due_ms)
{
	if (timer->place && timer->due_ms == due_ms)
		return;
	if (due_ms == UINT64_MAX) {
		if (timer->place)
			disarm(t, timer);
		return;
	}
	timer->due_ms = due_ms;
	if (!timer->place) {
		if (t->count == t->capacity) {
			size_t capacity = t->capacity ? t->capacity * 2 : 64;
			struct timer **heap = realloc(t->heap, capacity * sizeof *heap);
			if (!heap)
				abort(); /* a grace that never ends would be a lost take */
			t->heap = heap;
			t->capacity = capacity;
		}
		put(t, ++t->count, timer);
	}
	sift_up(t, timer);
	sift_down(t, timer);
}

struct timer *timers_due(struct timers *t, uint64_t now_ms)
{
	if (t->count == 0 || t->heap[0]->due_ms > now_ms)
		return NULL;
	struct timer *first = t->heap[0];
	disarm(t, first);
	return first;
}

uint64_t timers_next(const struct timers *t)
{
	return t->count ? t->heap[0]->due_ms : UINT64_MAX;
}
