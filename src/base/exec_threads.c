/* Lanes as threads, see exec.h.
 *
 * A task goes: submit (loop) -> its lane's queue -> run (a thread of the lane) -> the one list of completions -> done
 * (loop, in exec_threads_turn). The wake callback is called only when that list turns non-empty, so a burst of
 * completions costs one wake. */
#include "base/exec.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

enum { THREADS_MAX = 9 };

static const struct {
	const char *name;
	unsigned threads;
} lanes[LANE_COUNT] = {
	[LANE_COMMIT] = { "commit", 1 },   [LANE_SPOOL] = { "spool", 4 }, [LANE_CHECKPOINT] = { "checkpoint", 1 },
	[LANE_CATALOG] = { "catalog", 1 }, [LANE_POOL] = { "pool", 2 },
};

/* First in, first out. */
struct queue {
	struct task *head, **tail;
};

struct lane_state {
	struct exec_threads *owner;
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct queue queue;
	bool stop;
};

struct exec_threads {
	struct exec exec; /* first: exec_threads_exec hands out its address */
	void (*wake)(void *arg);
	void *wake_arg;
	struct lane_state lanes[LANE_COUNT];
	pthread_t threads[THREADS_MAX];
	unsigned thread_count;
	unsigned pending; /* loop thread */
	pthread_mutex_t done_mutex;
	pthread_cond_t done_some;
	struct queue done;
};

static void queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void queue_push(struct queue *q, struct task *task)
{
	task->next = NULL;
	*q->tail = task;
	q->tail = &task->next;
}

static struct task *queue_pop(struct queue *q)
{
	struct task *task = q->head;
	if (!task)
		return NULL;
	q->head = task->next;
	if (!q->head)
		q->tail = &q->head;
	return task;
}

/* Wakes under the mutex: once exec_threads_turn has taken the last completion, no wake is still on its way. */
static void complete(struct exec_threads *t, struct task *task)
{
	pthread_mutex_lock(&t->done_mutex);
	bool first = !t->done.head;
	queue_push(&t->done, task);
	if (first) {
		pthread_cond_signal(&t->done_some);
		if (t->wake)
			t->wake(t->wake_arg);
	}
	pthread_mutex_unlock(&t->done_mutex);
}

static void *lane_main(void *arg)
{
	struct lane_state *lane = arg;
	pthread_mutex_lock(&lane->mutex);
	for (;;) {
		struct task *task = queue_pop(&lane->queue);
		if (task) {
			pthread_mutex_unlock(&lane->mutex);
			task->run(task);
			complete(lane->owner, task);
			pthread_mutex_lock(&lane->mutex);
		} else if (lane->stop) {
			break;
		} else {
			pthread_cond_wait(&lane->work, &lane->mutex);
		}
	}
	pthread_mutex_unlock(&lane->mutex);
	return NULL;
}

static void threads_submit(struct exec *exec, enum lane which, struct task *task)
{
	struct exec_threads *t = (struct exec_threads *)(void *)exec;
	assert(which < LANE_COUNT);
	t->pending++;
	struct lane_state *lane = &t->lanes[which];
	pthread_mutex_lock(&lane->mutex);
	queue_push(&lane->queue, task);
	pthread_cond_signal(&lane->work);
	pthread_mutex_unlock(&lane->mutex);
}

static const struct exec_ops threads_ops = { threads_submit };

/* Signals stay with the loop thread: lanes are started with all of them blocked. */
static enum err start_threads(struct exec_threads *t)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	enum err err = ERR_OK;
	for (unsigned i = 0; i < LANE_COUNT && err == ERR_OK; i++) {
		for (unsigned n = 0; n < lanes[i].threads && err == ERR_OK; n++) {
			assert(t->thread_count < THREADS_MAX);
			pthread_t *thread = &t->threads[t->thread_count];
			if (pthread_create(thread, NULL, lane_main, &t->lanes[i]) != 0) {
				err = ERR_NO_MEMORY;
			} else {
				pthread_setname_np(*thread, lanes[i].name);
				t->thread_count++;
			}
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

enum err exec_threads_new(void (*wake)(void *arg), void *arg, struct exec_threads **out)
{
	struct exec_threads *t = calloc(1, sizeof *t);
	*out = NULL;
	if (!t)
		return ERR_NO_MEMORY;
	t->exec.ops = &threads_ops;
	t->wake = wake;
	t->wake_arg = arg;
	pthread_mutex_init(&t->done_mutex, NULL);
	pthread_cond_init(&t->done_some, NULL);
	queue_init(&t->done);
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		t->lanes[i].owner = t;
		pthread_mutex_init(&t->lanes[i].mutex, NULL);
		pthread_cond_init(&t->lanes[i].work, NULL);
		queue_init(&t->lanes[i].queue);
	}
	enum err err = start_threads(t);
	if (err != ERR_OK) {
		exec_threads_free(t);
		return err;
	}
	*out = t;
	return ERR_OK;
}

struct exec *exec_threads_exec(struct exec_threads *threads)
{
	return &threads->exec;
}

unsigned exec_threads_turn(struct exec_threads *t)
{
	pthread_mutex_lock(&t->done_mutex);
	struct task *task = t->done.head;
	queue_init(&t->done);
	pthread_mutex_unlock(&t->done_mutex);
	unsigned count = 0;
	while (task) {
		struct task *next = task->next; /* `done` may free or submit it */
		assert(t->pending > 0);
		t->pending--;
		task->done(task);
		count++;
		task = next;
	}
	return count;
}

void exec_threads_drain(struct exec_threads *t)
{
	while (t->pending > 0) {
		pthread_mutex_lock(&t->done_mutex);
		while (!t->done.head)
			pthread_cond_wait(&t->done_some, &t->done_mutex);
		pthread_mutex_unlock(&t->done_mutex);
		exec_threads_turn(t);
	}
}

unsigned exec_threads_pending(const struct exec_threads *threads)
{
	return threads->pending;
}

void exec_threads_free(struct exec_threads *t)
{
	if (!t)
		return;
	assert(t->pending == 0);
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		pthread_mutex_lock(&t->lanes[i].mutex);
		t->lanes[i].stop = true;
		pthread_cond_broadcast(&t->lanes[i].work);
		pthread_mutex_unlock(&t->lanes[i].mutex);
	}
	for (unsigned i = 0; i < t->thread_count; i++)
		pthread_join(t->threads[i], NULL);
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		pthread_cond_destroy(&t->lanes[i].work);
		pthread_mutex_destroy(&t->lanes[i].mutex);
	}
	pthread_cond_destroy(&t->done_some);
	pthread_mutex_destroy(&t->done_mutex);
	free(t);
}
