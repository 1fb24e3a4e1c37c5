/* Finalize jobs when the storage is full, and when the server stops between a claim and its word: neither is an attempt
 * that a recording could end in `error` by. On a disk whose size the test says. */
#include "engine/internal.h"
#include "sim/disk.h"
#include "support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct worker_rig workers;
static struct disk *disk;

static int setup(void **state)
{
	if (disk_new(7, &disk) != ERR_OK)
		return -1;
	struct engine_rig *g = engine_rig_new(disk_vfs(disk));
	worker_rig_init(&workers);
	g->workers = &workers;
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
	engine_rig_media(g, conn, 0, 10000);
	engine_rig_turn(g);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":10000}");
	engine_conn_closed(g->e, conn, g->now);
	engine_rig_turn(g);
}

static void assert_shows(struct engine_rig *g, const char *part)
{
	char *json = engine_rig_get(g, "session:a");
	if (!strstr(json, part))
		fail_msg("no %s in %s", part, json);
	free(json);
}

static void space_uses_up_no_attempt(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	unsigned failures = 0;
	for (unsigned i = 0; i < 60; i++) {
		int slot = worker_rig_busy(&workers);
		disk_set_capacity(disk, disk_used(disk) + 100 * 1024); /* the catalog can go on */
		if (slot >= 0) {
			worker_rig_say(&workers, (unsigned)slot, WORKER_FAILED, ERR_STORAGE_FULL);
			worker_rig_say(&workers, (unsigned)slot, WORKER_GONE, ERR_OK);
			engine_rig_turn(g);
			assert_shows(g, "\"phase\":\"queued\"");
			assert_shows(g, "\"attempt\":0,");
			failures++;
		}
		engine_rig_pass(g, 1000);
	}
	assert_true(failures > 3 && failures < 10); /* neither used up nor tried all the time */
	disk_set_capacity(disk, 1 * GIB);
	engine_rig_pass(g, LIMIT_NO_ROOM_MS + 1000);
	assert_true(worker_rig_busy(&workers) >= 0);
	assert_shows(g, "\"attempt\":1,");
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

/* The transaction that takes the lease is under way when the server is stopped. */
static void a_stop_amid_a_claim_is_no_attempt(void **state)
{
	struct engine_rig *g = *state;
	bool stopped = false;
	workers.mute = true;
	engine_rig_pass(g, 1000);
	record(g);
	assert_shows(g, "\"phase\":\"queued\"");
	for (unsigned i = 0; i < WORKER_RIG_SLOTS; i++)
		workers.slots[i].answers = true;
	worker_rig_turn(&workers);
	engine_turn(g->e, g->now);
	assert_true(g->e->jobs.claiming);
	engine_stop(g->e, g->now, on_stopped, &stopped);
	engine_rig_turn(g);
	assert_true(stopped);
	workers.mute = false;
	engine_rig_close(g);
	worker_rig_init(&workers);
	workers.mute = true;
	assert_int_equal(engine_rig_open(g), ERR_OK);
	engine_rig_pass(g, 1000);
	assert_shows(g, "\"attempt\":0,");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(space_uses_up_no_attempt),
		TEST(a_stop_amid_a_claim_is_no_attempt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
