/* The recording machine under random sequences of all its functions, with storage that answers in any order that real
 * storage might. After each step everything that the machine promises is checked.
 *
 * HOLDFAST_SEED=n runs another sequence, HOLDFAST_STEPS=n a longer one; a failure names the seed. */
#include "support/take_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void every_step_keeps_every_promise(void **state)
{
	uint64_t seed = number_from("HOLDFAST_SEED", 1), steps = number_from("HOLDFAST_STEPS", 100000);
	uint64_t done = 0, takes = 0;
	struct take_model_counts counts = { 0 };
	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	while (done < steps) {
		struct take_model *m = take_model_new(seed * 1000003 + takes++, &counts);
		unsigned left = 300;
		while (left-- > 0 && !take_model_broken(m)) {
			take_model_step(m);
			done++;
			if (take_model_over(m) && left > 12)
				left = 12; /* what comes late must change nothing; then the next take */
		}
		if (!take_model_broken(m))
			take_model_settle(m);
		const char *broken = take_model_broken(m);
		if (broken)
			print_error("%s", take_model_trace(m));
		take_model_free(m);
		if (broken)
			fail_msg("seed %llu, take %llu: %s", (unsigned long long)seed, (unsigned long long)takes - 1,
				 broken);
	}
	print_message("%llu takes: %u attached, %u accepted, %u saved, %u claims, %u late resumes, %u aborts, "
		      "%u failed, %u restarts\n",
		      (unsigned long long)takes, counts.attached, counts.accepted, counts.saved, counts.claims,
		      counts.reopened, counts.aborted, counts.failed, counts.restarts);
	/* a model that never gets anywhere proves nothing */
	assert_true(counts.saved > steps / 500 && counts.claims > steps / 1000 && counts.reopened > steps / 5000);
	assert_true(counts.aborted > steps / 5000 && counts.failed > steps / 5000 && counts.restarts > steps / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_step_keeps_every_promise) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
