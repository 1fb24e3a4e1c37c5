/* The job machine: due or not, attempts and their window, clocks that jump, what is tried again and what is not. */
#include "core/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { T = 1000000000, LEASE = 30000 };

static struct job_info queued(enum job_kind kind, int64_t now_ms)
{
	return (struct job_info){
		.id = 1, .kind = kind, .created_ms = now_ms, .queued_ms = now_ms, .not_before_ms = now_ms
	};
}

static void lease(struct job_info *job, int64_t now_ms)
{
	assert_true(job_due(job, now_ms));
	job_lease(job, now_ms, now_ms + LEASE);
	assert_int_equal(job->state, JOB_RUNNING);
}

static void lose(struct job_info *job, int64_t now_ms)
{
	assert_int_equal(job_failed(job, ERR_WORKER_DIED, NULL, now_ms), ERR_OK);
}

static void a_lease_is_an_attempt(void **state)
{
	struct job_info job = queued(JOB_FINALIZE, T);
	assert_false(job_due(&job, T - 1) && job.queued_ms <= T - 1);
	job.epoch = 6;
	job.progress = 77;
	lease(&job, T + 5);
	assert_int_equal(job.epoch, 7);
	assert_int_equal(job.attempt, 1);
	assert_int_equal(job.window_ms, T + 5);
	assert_int_equal(job.started_ms, T + 5);
	assert_int_equal(job.lease_until_ms, T + 5 + LEASE);
	assert_int_equal(job.progress, 0);
	assert_false(job_due(&job, T + 5 + 2 * LEASE)); /* running is not due, however old */
	assert_false(job_recovering(&job));
	job_succeeded(&job);
	assert_int_equal(job.state, JOB_DONE);
	assert_int_equal(job.progress, 1000);
	assert_int_equal(job.lease_until_ms, 0);
	assert_false(job_due(&job, T + 100));
}

static void only_what_is_queued_is_due(void **state)
{
	for (int i = 0; i < JOB_STATE_COUNT; i++) {
		struct job_info job = queued(JOB_FETCH, T);
		job.state = (enum job_state)i;
		assert_int_equal(job_due(&job, T), i == JOB_QUEUED);
	}
}

static void three_attempts_and_then_it_has_failed(void **state)
{
	struct job_info job = queued(JOB_FINALIZE, T);
	lease(&job, T);
	assert_int_equal(job_failed(&job, ERR_WORKER_DIED, "one", T), ERR_OK);
	assert_int_equal(job.state, JOB_QUEUED);
	assert_int_equal(job.error, ERR_WORKER_DIED);
	assert_string_equal(job.error_message, "one");
	assert_int_equal(job.not_before_ms, T + 1000);
	assert_true(job_recovering(&job));
	assert_false(job_due(&job, T + 999));
	lease(&job, T + 1000);
	assert_true(job_recovering(&job));
	lose(&job, T + 1000);
	assert_null(job.error_message);
	assert_int_equal(job.not_before_ms, T + 5000);
	assert_false(job_due(&job, T + 4999));
	lease(&job, T + 5000);
	assert_int_equal(job.attempt, 3);
	assert_int_equal(job_closed_ms(&job, T + 5000), 0);
	assert_int_equal(job_failed(&job, ERR_CHECK_FAILED, "No packets.", T + 5000), ERR_OK);
	assert_int_equal(job.state, JOB_FAILED);
	assert_int_equal(job.error, ERR_CHECK_FAILED);
	assert_string_equal(job.error_message, "All 3 attempts failed; the last one: No packets.");
	assert_false(job_recovering(&job));
	assert_int_equal(job_closed_ms(&job, T + 5000), LIMIT_ATTEMPTS_MS - 5000);
	assert_int_equal(job_closed_ms(&job, T + LIMIT_ATTEMPTS_MS - 1), 1);
	assert_int_equal(job_closed_ms(&job, T + LIMIT_ATTEMPTS_MS), 0);
	/* claimed again then: three more */
	job_requeue(&job, T + LIMIT_ATTEMPTS_MS);
	assert_int_equal(job.state, JOB_QUEUED);
	assert_int_equal(job.error, ERR_OK);
	assert_null(job.error_message);
	lease(&job, T + LIMIT_ATTEMPTS_MS);
	assert_int_equal(job.attempt, 1);
	job_info_release(&job);
}

static void the_last_one_without_a_message_says_what_its_error_says(void **state)
{
	struct job_info job = queued(JOB_FINALIZE, T);
	char text[300];
	for (int i = 0; i < 3; i++) {
		lease(&job, T + 10000 * i);
		lose(&job, T + 10000 * i);
	}
	snprintf(text, sizeof text, "All 3 attempts failed; the last one: %s", err_text(ERR_WORKER_DIED));
	assert_string_equal(job.error_message, text);
	job_info_release(&job);
}

static void the_window_has_edges(void **state)
{
	struct job_info job = queued(JOB_FINALIZE, T);
	lease(&job, T);
	lose(&job, T);
	struct job_info inside = job, outside = job;
	lease(&inside, T + LIMIT_ATTEMPTS_MS - 1);
	assert_int_equal(inside.attempt, 2);
	assert_int_equal(inside.window_ms, T);
	lease(&outside, T + LIMIT_ATTEMPTS_MS);
	assert_int_equal(outside.attempt, 1);
	assert_int_equal(outside.window_ms, T + LIMIT_ATTEMPTS_MS);
}

/* Otherwise a job that dies of itself after a quarter of an hour would be tried for ever. */
static void long_attempts_do_not_use_the_window_up(void **state)
{
	struct job_info job = queued(JOB_FINALIZE, T);
	int64_t now_ms = T;
	for (int i = 1; i <= 3; i++) {
		lease(&job, now_ms);
		assert_int_equal(job.attempt, i);
		now_ms += 2 * LIMIT_ATTEMPTS_MS;
		lose(&job, now_ms);
		now_ms = job.not_before_ms;
	}
	assert_int_equal(job.state, JOB_FAILED);
	assert_int_equal(job_closed_ms(&job, now_ms), LIMIT_ATTEMPTS_MS - 5000);
	job_info_release(&job);
}

static void what_repeats_by_nature_is_not_tried_again(void **state)
{
	for (int i = 1; i < ERR_COUNT; i++) {
		struct job_info job = queued(JOB_FETCH, T);
		lease(&job, T);
		assert_int_equal(job_failed(&job, (enum err)i, "why", T), ERR_OK);
		bool again = err_class((enum err)i) == ERR_CLASS_TRANSIENT;
		assert_int_equal(job.state, again ? JOB_QUEUED : JOB_FAILED);
		assert_string_equal(job.error_message, "why"); /* no attempts were used up */
		assert_int_equal(job_closed_ms(&job, T), 0);
		if (!again) {
			job_requeue(&job, T + 1); /* two are left */
			assert_int_equal(job.error, i);
			assert_true(job_recovering(&job));
			lease(&job, T + 1);
			assert_int_equal(job.attempt, 2);
		}
		job_info_release(&job);
	}
}

static void claimed_again_and_again_it_is_closed_all_the_same(void **state)
{
	struct job_info job = queued(JOB_FINALIZE, T);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(job_closed_ms(&job, T + i), 0);
		lease(&job, T + i);
		assert_int_equal(job_failed(&job, ERR_MEDIA_UNREADABLE, "No header.", T + i), ERR_OK);
		assert_int_equal(job.state, JOB_FAILED);
		if (i < 2)
			job_requeue(&job, T + i + 1);
	}
	assert_int_equal(job_closed_ms(&job, T + 2), LIMIT_ATTEMPTS_MS - 2);
	job_info_release(&job);
}

static void a_clock_set_back_holds_nothing_up(void **state)
{
	/* a wait that would begin in the future */
	struct job_info job = queued(JOB_FINALIZE, T);
	lease(&job, T);
	lose(&job, T);
	assert_false(job_due(&job, T));
	assert_true(job_due(&job, T - 1));
	lease(&job, T - 3600000);
	assert_int_equal(job.attempt, 1); /* its window too */
	assert_int_equal(job.window_ms, T - 3600000);
	/* set back during the attempt */
	lose(&job, T - 7200000);
	assert_int_equal(job.not_before_ms, T - 7200000 + 1000);
	assert_int_equal(job.window_ms, T - 3600000);
	lease(&job, T - 7200000 + 1000);
	assert_int_equal(job.attempt, 1);
	/* a closed job opens */
	job.state = JOB_FAILED;
	job.attempt = 3;
	job.window_ms = T;
	assert_int_equal(job_closed_ms(&job, T - 1), 0);
	assert_int_equal(job_closed_ms(&job, T), LIMIT_ATTEMPTS_MS);
	job_info_release(&job);
}

static void a_clock_set_forward_is_wrong_once(void **state)
{
	struct job_info job = queued(JOB_FINALIZE, T);
	int64_t later_ms = T + 365LL * 24 * 3600 * 1000;
	lease(&job, T);
	lose(&job, later_ms); /* set forward during the attempt */
	assert_int_equal(job.not_before_ms, later_ms + 1000);
	assert_true(job_due(&job, T + 5)); /* and back again */
	lease(&job, T + 5);
	assert_int_equal(job.attempt, 1);
	lose(&job, T + 5);
	lease(&job, T + 5 + 1000);
	assert_int_equal(job.attempt, 2);
	job_info_release(&job);
	/* a wait longer than there is one */
	job = queued(JOB_FINALIZE, T);
	job.not_before_ms = T + 16000;
	assert_false(job_due(&job, T));
	job.not_before_ms = T + 16001;
	assert_true(job_due(&job, T));
}

static void webhooks_are_tried_for_a_day_and_parked(void **state)
{
	static const int64_t waits_s[] = { 5, 30, 180, 1080, 6480, 28800, 28800 };
	struct job_info job = queued(JOB_NOTIFY, T);
	int64_t now_ms = T;
	for (size_t i = 0; i < LIMIT_NOTIFY_ATTEMPTS; i++) {
		lease(&job, now_ms);
		assert_int_equal(job.attempt, i + 1);
		assert_int_equal(job_failed(&job, ERR_ENDPOINT_FAILED, "503", now_ms), ERR_OK);
		if (i == LIMIT_NOTIFY_ATTEMPTS - 1)
			break;
		assert_int_equal(job.state, JOB_QUEUED);
		assert_int_equal(job.not_before_ms - now_ms, 1000 * waits_s[i]);
		assert_false(job_due(&job, job.not_before_ms - 1));
		now_ms = job.not_before_ms;
	}
	assert_int_equal(job.state, JOB_PARKED);
	assert_string_equal(job.error_message, "All 8 attempts failed; the last one: 503");
	assert_int_equal(job_closed_ms(&job, now_ms), 0);
	job_requeue(&job, now_ms);
	lease(&job, now_ms);
	assert_int_equal(job.attempt, 1);
	/* a receiver that will never take it */
	assert_int_equal(job_failed(&job, ERR_URL_REFUSED, NULL, now_ms), ERR_OK);
	assert_int_equal(job.state, JOB_PARKED);
	job_info_release(&job);
}

/* What was given back: the next lease is the first attempt still, however often. */
static void what_is_not_its_own_failure_does_not_count(void **state)
{
	static const enum err errors[] = { ERR_SHUTTING_DOWN, ERR_STORAGE_FULL };
	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct job_info job = queued(JOB_FINALIZE, T);
		int64_t now = T;
		for (int k = 0; k < 2 * LIMIT_ATTEMPTS; k++) {
			lease(&job, now);
			assert_int_equal(job.attempt, 1);
			assert_int_equal(job_failed(&job, errors[i], NULL, now), ERR_OK);
			assert_int_equal(job.state, JOB_QUEUED);
			assert_int_equal(job.attempt, 0);
			assert_int_equal(job.error, errors[i]);
			now = job.not_before_ms;
		}
		job_info_release(&job);
	}
}

static void each_event_has_its_own_attempts(void **state)
{
	struct job_info job = queued(JOB_NOTIFY, T);
	lease(&job, T);
	assert_int_equal(job_failed(&job, ERR_ENDPOINT_FAILED, "503", T), ERR_OK);
	lease(&job, T + 5000);
	job_delivered(&job, 12, T + 90000);
	assert_int_equal(job.delivered, 12);
	assert_int_equal(job.lease_until_ms, T + 90000);
	assert_int_equal(job.error, ERR_OK);
	assert_int_equal(job.attempt, 1);
	job_delivered(&job, 11, T + 90001); /* never back */
	assert_int_equal(job.delivered, 12);
	assert_int_equal(job_failed(&job, ERR_ENDPOINT_FAILED, NULL, T + 6000), ERR_OK);
	assert_int_equal(job.not_before_ms, T + 6000 + 5000);
	job_info_release(&job);
}

static void cancelling_fences(void **state)
{
	struct job_info job = queued(JOB_FINALIZE, T);
	lease(&job, T);
	job_cancel(&job);
	assert_int_equal(job.state, JOB_CANCELLED);
	assert_int_equal(job.epoch, 2);
	assert_int_equal(job.lease_until_ms, 0);
	job_requeue(&job, T + 1);
	assert_int_equal(job.epoch, 3);
	lease(&job, T + 1);
	assert_int_equal(job.epoch, 4);
	job_succeeded(&job);
	job_cancel(&job);
	assert_int_equal(job.state, JOB_DONE);
	assert_int_equal(job.epoch, 5);
}

static void messages_are_text_of_a_bounded_length(void **state)
{
	struct job_info job = queued(JOB_FINALIZE, T);
	char text[4 * LIMIT_SENTENCE_CHARS];
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	lease(&job, T);
	assert_int_equal(job_failed(&job, ERR_CHECK_FAILED, text, T), ERR_OK);
	assert_int_equal(strlen(job.error_message), LIMIT_SENTENCE_CHARS);
	lease(&job, T + 1000);
	assert_int_equal(
		job_failed(&job, ERR_CHECK_FAILED,
			   "a\n\xff \xc3\xa4 \xc3( \xe2\x82\xac \xed\xa0\x80 \xf0\x9f\x8e\xa4 \xc0\xaf \xe2\x82",
			   T + 1000),
		ERR_OK);
	assert_string_equal(job.error_message, "a?? \xc3\xa4 ?( \xe2\x82\xac ??? \xf0\x9f\x8e\xa4 ?? ??");
	job_info_release(&job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lease_is_an_attempt),
		cmocka_unit_test(only_what_is_queued_is_due),
		cmocka_unit_test(three_attempts_and_then_it_has_failed),
		cmocka_unit_test(the_last_one_without_a_message_says_what_its_error_says),
		cmocka_unit_test(the_window_has_edges),
		cmocka_unit_test(long_attempts_do_not_use_the_window_up),
		cmocka_unit_test(what_repeats_by_nature_is_not_tried_again),
		cmocka_unit_test(claimed_again_and_again_it_is_closed_all_the_same),
		cmocka_unit_test(a_clock_set_back_holds_nothing_up),
		cmocka_unit_test(a_clock_set_forward_is_wrong_once),
		cmocka_unit_test(webhooks_are_tried_for_a_day_and_parked),
		cmocka_unit_test(each_event_has_its_own_attempts),
		cmocka_unit_test(what_is_not_its_own_failure_does_not_count),
		cmocka_unit_test(cancelling_fences),
		cmocka_unit_test(messages_are_text_of_a_bounded_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
