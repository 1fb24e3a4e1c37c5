/* Lanes on threads: each task runs once off the loop and is done once on it; a lane of one thread keeps the order; a
 * burst wakes the loop once. */
#include "base/exec.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { TASKS = 500 };

struct counted {
	struct task task; /* first */
	unsigned number;
	enum lane lane;
	bool ran, done;
	unsigned again; /* submits from `done` that are left */
	pthread_t thread;
};

static struct exec_threads *threads;
static atomic_uint wakes;
static pthread_t loop;
static unsigned next_number[LANE_COUNT];
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wake(void *arg)
{
	assert_ptr_equal(arg, &wakes);
	atomic_fetch_add(&wakes, 1);
}

static int setup(void **state)
{
	atomic_store(&wakes, 0);
	loop = pthread_self();
	for (int i = 0; i < LANE_COUNT; i++)
		next_number[i] = 0;
	return exec_threads_new(wake, &wakes, &threads) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	exec_threads_free(threads);
	exec_threads_free(NULL);
	return 0;
}

static void run_counted(struct task *task)
{
	struct counted *c = (struct counted *)(void *)task;
	assert_false(c->ran);
	c->ran = true;
	c->thread = pthread_self();
}

static bool one_thread(enum lane lane)
{
	return lane == LANE_COMMIT || lane == LANE_CHECKPOINT || lane == LANE_CATALOG;
}

static void done_counted(struct task *task)
{
	struct counted *c = (struct counted *)(void *)task;
	assert_true(pthread_equal(pthread_self(), loop));
	assert_false(pthread_equal(c->thread, loop));
	assert_true(c->ran);
	if (one_thread(c->lane) && c->again == 0)
		assert_int_equal(c->number, next_number[c->lane]++);
	if (c->again > 0) {
		c->again--;
		c->ran = false;
		exec_submit(exec_threads_exec(threads), c->lane, task);
		return;
	}
	c->done = true;
}

static void every_task_once_and_in_order(void **state)
{
	static struct counted tasks[LANE_COUNT][TASKS];
	for (unsigned n = 0; n < TASKS; n++) {
		for (int lane = 0; lane < LANE_COUNT; lane++) {
			struct counted *c = &tasks[lane][n];
			*c = (struct counted){ .task = { .run = run_counted, .done = done_counted }, .number = n };
			c->lane = (enum lane)lane;
			exec_submit(exec_threads_exec(threads), c->lane, &c->task);
		}
	}
	assert_int_equal(exec_threads_pending(threads), TASKS * LANE_COUNT);
	exec_threads_drain(threads);
	assert_int_equal(exec_threads_pending(threads), 0);
	assert_int_equal(exec_threads_turn(threads), 0);
	for (int lane = 0; lane < LANE_COUNT; lane++)
		for (unsigned n = 0; n < TASKS; n++)
			assert_true(tasks[lane][n].done);
}

static void done_may_submit_again(void **state)
{
	struct counted c = { .task = { .run = run_counted, .done = done_counted }, .lane = LANE_POOL, .again = 100 };
	exec_submit(exec_threads_exec(threads), LANE_POOL, &c.task);
	exec_threads_drain(threads);
	assert_true(c.done);
}

static void free_it(struct task *task)
{
	free(task);
}

static void nothing(struct task *task)
{
}

static void done_may_free(void **state)
{
	for (int i = 0; i < 100; i++) {
		struct task *task = calloc(1, sizeof *task);
		task->run = nothing;
		task->done = free_it;
		exec_submit(exec_threads_exec(threads), (enum lane)(i % LANE_COUNT), task);
	}
	exec_threads_drain(threads);
}

static void wait_at_gate(struct task *task)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static void a_burst_wakes_once(void **state)
{
	static struct task tasks[50];
	for (int i = 0; i < 50; i++) {
		tasks[i] = (struct task){ .run = i ? nothing : wait_at_gate, .done = nothing };
		if (i == 0)
			pthread_mutex_lock(&gate);
		exec_submit(exec_threads_exec(threads), LANE_COMMIT, &tasks[i]);
	}
	assert_int_equal(exec_threads_turn(threads), 0); /* does not wait */
	assert_int_equal(atomic_load(&wakes), 0);
	pthread_mutex_unlock(&gate);
	/* nobody takes a turn meanwhile, so the list stays as it is and the other 49 wake nobody */
	while (atomic_load(&wakes) == 0)
		usleep(100);
	usleep(20000);
	assert_int_equal(atomic_load(&wakes), 1);
	unsigned done = 0;
	while (done < 50)
		done += exec_threads_turn(threads);
	assert_int_equal(done, 50);
}

static void block_signals_probe(struct task *task)
{
	sigset_t set;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	assert_true(sigismember(&set, SIGTERM));
	assert_true(sigismember(&set, SIGINT));
}

static void signals_stay_with_the_loop(void **state)
{
	struct task task = { .run = block_signals_probe, .done = nothing };
	exec_submit(exec_threads_exec(threads), LANE_POOL, &task);
	exec_threads_drain(threads);
	sigset_t set;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	assert_false(sigismember(&set, SIGTERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_task_once_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(done_may_submit_again, setup, teardown),
		cmocka_unit_test_setup_teardown(done_may_free, setup, teardown),
		cmocka_unit_test_setup_teardown(a_burst_wakes_once, setup, teardown),
		cmocka_unit_test_setup_teardown(signals_stay_with_the_loop, setup, teardown),
	};
	return cmocka_run_group_tests_name("exec_threads", tests, NULL, NULL);
}
