/* The heap of timers against a plain array that is searched. */
#include "base/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TIMERS = 200, STEPS = 200000 };

struct model {
	struct timers heap;
	struct timer timers[TIMERS];
	uint64_t due[TIMERS]; /* UINT64_MAX: not armed */
	uint64_t random, now;
};

static uint32_t below(struct model *m, uint32_t limit)
{
	m->random = m->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((m->random >> 33) % limit);
}

static int setup(void **state)
{
	struct model *m = calloc(1, sizeof *m);
	timers_init(&m->heap);
	m->random = 42;
	for (int i = 0; i < TIMERS; i++) {
		m->timers[i].kind = i;
		m->due[i] = UINT64_MAX;
	}
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct model *m = *state;
	timers_release(&m->heap);
	free(m);
	return 0;
}

static uint64_t model_next(const struct model *m)
{
	uint64_t next = UINT64_MAX;
	for (int i = 0; i < TIMERS; i++)
		next = m->due[i] < next ? m->due[i] : next;
	return next;
}

static void set(struct model *m, int which, uint64_t due)
{
	timer_set(&m->heap, &m->timers[which], due);
	m->due[which] = due;
}

/* Takes what is due; true if something was. */
static bool take(struct model *m)
{
	struct timer *timer = timers_due(&m->heap, m->now);
	uint64_t first = model_next(m);
	if (!timer) {
		assert_true(first > m->now);
		return false;
	}
	assert_true(m->due[timer->kind] == first && first <= m->now);
	assert_true(timer->due_ms == first && timer->place == 0);
	m->due[timer->kind] = UINT64_MAX;
	return true;
}

static void random_operations_match_a_searched_array(void **state)
{
	struct model *m = *state;
	for (int step = 0; step < STEPS; step++) {
		int which = (int)below(m, TIMERS);
		switch (below(m, 8)) {
		case 0:
		case 1:
		case 2:
			set(m, which, m->now + below(m, 1000));
			break;
		case 3: /* many are due at once */
			set(m, which, m->now + 100 - m->now % 100);
			break;
		case 4:
			set(m, which, UINT64_MAX);
			break;
		case 5: /* to where it was: nothing changes */
			set(m, which, m->due[which]);
			break;
		case 6:
			m->now += below(m, 30);
			break;
		default:
			take(m);
		}
		assert_true(timers_next(&m->heap) == model_next(m));
		assert_int_equal(m->timers[which].place != 0, m->due[which] != UINT64_MAX);
	}
	m->now = UINT64_MAX - 1;
	while (take(m))
		;
	assert_int_equal(m->heap.count, 0);
	assert_true(timers_next(&m->heap) == UINT64_MAX);
}

static void a_timer_that_fired_can_be_armed_again(void **state)
{
	struct model *m = *state;
	m->now = 10;
	set(m, 0, 10);
	assert_true(take(m));
	assert_false(take(m));
	set(m, 0, 10); /* the same time as before */
	assert_true(take(m));
	set(m, 0, 5); /* the past is due */
	assert_true(take(m));
}

static void a_timer_moves_both_ways(void **state)
{
	struct model *m = *state;
	for (int i = 0; i < TIMERS; i++)
		set(m, i, 1000 + (uint64_t)i);
	set(m, TIMERS - 1, 1);
	assert_true(timers_next(&m->heap) == 1);
	set(m, TIMERS - 1, 5000);
	set(m, 0, 6000);
	assert_true(timers_next(&m->heap) == 1001);
	set(m, 3, UINT64_MAX - 1); /* far away is not never */
	m->now = UINT64_MAX - 2;
	for (int i = 0; i < TIMERS - 1; i++)
		assert_true(take(m));
	assert_false(take(m));
	assert_true(timers_next(&m->heap) == UINT64_MAX - 1);
}

static void disarming_what_is_not_armed_is_nothing(void **state)
{
	struct model *m = *state;
	set(m, 0, UINT64_MAX);
	set(m, 0, UINT64_MAX);
	assert_int_equal(m->heap.count, 0);
	m->now = UINT64_MAX;
	assert_null(timers_due(&m->heap, m->now));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(random_operations_match_a_searched_array),
		TEST(a_timer_that_fired_can_be_armed_again),
		TEST(a_timer_moves_both_ways),
		TEST(disarming_what_is_not_armed_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
