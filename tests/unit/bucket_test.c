/* Token buckets: what a second gives, what a burst holds, and how long is to be waited. */
#include "core/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct token_rate RATE = { 10, 25 };

static void a_full_one_gives_its_burst(void **state)
{
	(void)state;
	struct token_bucket b;
	token_bucket_init(&b, RATE, 1000);
	assert_int_equal(token_bucket_tokens(&b, RATE, 1000), 25);
	token_bucket_take(&b, 25);
	assert_int_equal(token_bucket_tokens(&b, RATE, 1000), 0);
	assert_int_equal(token_bucket_wait_ms(&b, RATE, 1), 100);
	assert_int_equal(token_bucket_tokens(&b, RATE, 1099), 0);
	assert_int_equal(token_bucket_tokens(&b, RATE, 1100), 1);
	assert_int_equal(token_bucket_tokens(&b, RATE, UINT64_MAX), 25);
}

/* However often it is looked at: nothing is lost between two looks. */
static void small_steps_give_what_a_long_one_does(void **state)
{
	(void)state;
	struct token_rate rate = { 3, 1000 };
	struct token_bucket b;
	token_bucket_init(&b, rate, 0);
	token_bucket_take(&b, 1000);
	for (uint64_t now = 0; now <= 10 * 1000; now++)
		token_bucket_tokens(&b, rate, now);
	assert_int_equal(token_bucket_tokens(&b, rate, 10 * 1000), 30);
}

static void time_never_goes_back(void **state)
{
	(void)state;
	struct token_bucket b;
	token_bucket_init(&b, RATE, 1000);
	token_bucket_take(&b, 25);
	assert_int_equal(token_bucket_tokens(&b, RATE, 500), 0);
	assert_int_equal(token_bucket_tokens(&b, RATE, 1100), 1);
}

static void waiting_is_bounded_and_enough(void **state)
{
	(void)state;
	struct token_bucket b;
	token_bucket_init(&b, RATE, 0);
	token_bucket_take(&b, 25);
	assert_int_equal(token_bucket_wait_ms(&b, RATE, 1000), 2500); /* more than the burst never comes */
	uint64_t wait = token_bucket_wait_ms(&b, RATE, 7);
	assert_int_equal(token_bucket_tokens(&b, RATE, wait), 7);
	token_bucket_take(&b, UINT64_MAX);
	assert_int_equal(token_bucket_tokens(&b, RATE, wait), 0);
}

static void a_smaller_burst_counts_at_once(void **state)
{
	(void)state;
	struct token_bucket b;
	token_bucket_init(&b, RATE, 0);
	struct token_rate less = { 10, 5 };
	assert_int_equal(token_bucket_tokens(&b, less, 1), 5);
	struct token_rate most = { UINT32_MAX, UINT32_MAX };
	assert_int_equal(token_bucket_tokens(&b, most, 1 + 3600 * 1000), UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_one_gives_its_burst),
		cmocka_unit_test(small_steps_give_what_a_long_one_does),
		cmocka_unit_test(time_never_goes_back),
		cmocka_unit_test(waiting_is_bounded_and_enough),
		cmocka_unit_test(a_smaller_burst_counts_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
