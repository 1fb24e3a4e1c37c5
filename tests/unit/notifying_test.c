/* Webhooks through the engine's one face, with the receiver in the test's hands: what a stop and a crash make of what
 * is on its way. */
#include "sim/disk.h"
#include "support/engine_rig.h"
#include "work/notifier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct receiver {
	struct notifier base;
	uint64_t id; /* of what is on its way; 0: nothing is */
	unsigned delivers;
	char message_id[64];
};

static void deliver(struct notifier *n, const struct notification *what)
{
	struct receiver *r = (struct receiver *)n;
	r->id = what->id;
	r->delivers++;
	snprintf(r->message_id, sizeof r->message_id, "%s", what->message_id);
}

static void cancel(struct notifier *n, uint64_t id)
{
	struct receiver *r = (struct receiver *)n;
	if (r->id == id)
		r->id = 0;
}

static const struct notifier_ops ops = { deliver, cancel };
static struct receiver receiver;
static struct disk *disk;

static int setup(void **state)
{
	if (disk_new(7, &disk) != ERR_OK)
		return -1;
	struct engine_rig *g = engine_rig_new(disk_vfs(disk));
	receiver = (struct receiver){ .base.ops = &ops };
	g->notifier = &receiver.base;
	*state = g;
	return engine_rig_open(g) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	engine_rig_free(*state);
	disk_free(disk);
	return 0;
}

static void record(struct engine_rig *g)
{
	uint64_t conn = engine_rig_say(g, 0, "{\"type\":\"start\",\"sessionId\":\"a\"}");
	engine_rig_media(g, conn, 0, 100);
	engine_rig_turn(g);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":100}");
	engine_conn_closed(g->e, conn, g->now);
	engine_rig_turn(g);
}

static void takes(struct engine_rig *g, enum err err)
{
	uint64_t id = receiver.id;
	assert_true(id != 0);
	receiver.id = 0;
	receiver.base.done(receiver.base.arg, id, err, err ? "It said no." : NULL, 0);
	engine_rig_turn(g);
}

static struct engine_queue queue(struct engine_rig *g)
{
	struct engine_status s;
	engine_rig_pass(g, 5000); /* the figures are for eyes */
	engine_status(g->e, &s);
	return s.queues[JOB_NOTIFY];
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

/* Whether the server is stopped or dies while an event is on its way says nothing of its receiver: it is repeated under
 * the same id, soon, and never parked for that. */
static void restarts_park_nothing(void **state)
{
	struct engine_rig *g = *state;
	char message_id[64];
	record(g);
	engine_rig_pass(g, 1000);
	assert_true(receiver.id != 0);
	snprintf(message_id, sizeof message_id, "%s", receiver.message_id);
	for (unsigned i = 0; i < 2 * LIMIT_NOTIFY_ATTEMPTS; i++) {
		bool stopped = false;
		if (i % 2 == 0) {
			engine_stop(g->e, g->now, on_stopped, &stopped);
			engine_rig_turn(g);
			assert_true(stopped);
		}
		engine_rig_close(g);
		receiver.id = 0;
		assert_int_equal(engine_rig_open(g), ERR_OK);
		engine_rig_pass(g, 10000);
		if (!receiver.id)
			fail_msg("after %u restarts nothing is on its way", i + 1);
		assert_string_equal(receiver.message_id, message_id);
	}
	takes(g, ERR_OK);
	assert_int_equal(queue(g).parked, 0);
	assert_int_equal(queue(g).queued + queue(g).running, 0);
}

/* A receiver that says no is tried as often as it may be, then the events are parked until somebody asks. */
static void a_receiver_that_refuses(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	engine_rig_pass(g, 1000);
	for (unsigned i = 0; i < LIMIT_NOTIFY_ATTEMPTS; i++) {
		takes(g, ERR_ENDPOINT_FAILED);
		g->now.wall_ms += LIMIT_NOTIFY_MAX_MS;
		engine_rig_pass(g, LIMIT_SWEEP_MS + 1000);
	}
	assert_int_equal(receiver.id, 0);
	assert_int_equal(queue(g).parked, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(restarts_park_nothing),
		TEST(a_receiver_that_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
