/* The queue of effects: in order, complete, also when more is added while it is drained. */
#include "core/effect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void add(struct effects *fx, uint64_t number)
{
	effects_add(fx, (struct effect){ .type = EFFECT_ACK, .conn = number, .bytes = ~number, .flag = number & 1 });
}

static void assert_next(struct effects *fx, uint64_t number)
{
	const struct effect *next = effects_drain(fx);
	assert_non_null(next);
	assert_true(next->type == EFFECT_ACK && next->conn == number && next->bytes == ~number);
	assert_int_equal(next->flag, number & 1);
}

static void an_empty_queue_has_nothing(void **state)
{
	struct effects fx;
	(void)state;
	effects_init(&fx);
	assert_null(effects_drain(&fx));
	assert_null(effects_drain(&fx));
	effects_release(&fx);
	effects_release(&fx);
}

static void effects_come_in_their_order(void **state)
{
	struct effects fx;
	(void)state;
	effects_init(&fx);
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 1000; i++)
			add(&fx, i);
		for (uint64_t i = 0; i < 1000; i++)
			assert_next(&fx, i);
		assert_null(effects_drain(&fx));
	}
	effects_release(&fx);
}

/* Carrying out one effect decides the next. */
static void what_is_added_while_draining_comes_behind(void **state)
{
	struct effects fx;
	uint64_t added = 0, taken = 0;
	(void)state;
	effects_init(&fx);
	while (added < 20)
		add(&fx, added++);
	while (taken < 500) {
		assert_next(&fx, taken++);
		if (taken % 2 && added < 500)
			add(&fx, added++);
		if (taken % 3 && added < 500)
			add(&fx, added++);
	}
	assert_null(effects_drain(&fx));
	effects_release(&fx);
}

static void the_room_of_a_drained_queue_is_used_again(void **state)
{
	struct effects fx;
	(void)state;
	effects_init(&fx);
	for (uint64_t i = 0; i < 100000; i++) {
		add(&fx, i);
		assert_next(&fx, i);
		assert_null(effects_drain(&fx));
	}
	assert_true(fx.capacity <= 16);
	effects_release(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_queue_has_nothing),
		cmocka_unit_test(effects_come_in_their_order),
		cmocka_unit_test(what_is_added_while_draining_comes_behind),
		cmocka_unit_test(the_room_of_a_drained_queue_is_used_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
