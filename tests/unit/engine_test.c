/* The engine through its one face: takes begin, grow, end, resume and survive a restart, on real files without threads.
 */
#include "engine/engine.h"
#include "support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
	struct engine_rig *g = engine_rig_new(NULL);
	*state = g;
	return engine_rig_open(g) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	engine_rig_free(*state);
	return 0;
}

static void restart(struct engine_rig *g)
{
	engine_rig_close(g);
	assert_int_equal(engine_rig_open(g), ERR_OK);
}

static void assert_last(struct engine_rig *g, const char *part)
{
	if (!strstr(engine_rig_last(g), part))
		fail_msg("wanted %s in %s", part, engine_rig_last(g));
}

static const char START[] = "{\"type\":\"start\",\"sessionId\":\"a\",\"mime\":\"video/webm\",\"ext\":\"webm\"}";

static void a_take_is_acked_and_saved(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	assert_last(g, "\"started\"");
	assert_last(g, "\"resumed\":false");
	engine_rig_media(g, conn, 0, 10000);
	assert_last(g, "\"started\""); /* nothing leaves before its commit */
	engine_rig_turn(g);
	assert_last(g, "\"type\":\"ack\",\"bytes\":10000");
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":10000}");
	assert_last(g, "\"saved\"");
	assert_last(g, "\"bytes\":10000");
	unsigned count = g->sent_count;
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":10000}");
	assert_int_equal(g->sent_count, count + 1);
	assert_last(g, "\"saved\"");
	engine_rig_say(g, 0, START);
	assert_last(g, "\"saved\"");
}

static void assert_state(struct engine_rig *g, const char *part)
{
	char *json = engine_rig_get(g, "session:a");
	if (!strstr(json, part))
		fail_msg("wanted %s in %s", part, json);
	free(json);
}

static void a_restart_keeps_what_was_acked(void **state)
{
	struct engine_rig *g = *state;
	size_t sent = 0;
	for (int round = 0; round < 6; round++) {
		uint64_t conn = engine_rig_say(g, 0, START);
		char wanted[64];
		snprintf(wanted, sizeof wanted, "\"bytes\":%zu", sent);
		assert_last(g, "\"started\"");
		assert_last(g, wanted);
		for (int i = 0; i < 40; i++) {
			engine_rig_media(g, conn, sent, 5000 + (size_t)round * 1111);
			sent += 5000 + (size_t)round * 1111;
			if (i % 7 == 0)
				engine_rig_turn(g);
		}
		engine_rig_turn(g);
		restart(g);
	}
	uint64_t conn = engine_rig_say(g, 0, START);
	char end[64];
	snprintf(end, sizeof end, "{\"type\":\"end\",\"totalBytes\":%zu}", sent);
	engine_rig_say(g, conn, end);
	assert_last(g, "\"saved\"");
	restart(g);
	engine_rig_say(g, 0, START);
	assert_last(g, "\"saved\"");
	assert_state(g, "\"phase\":\"queued\"");
}

static void grace_seals_and_late_resume_opens_again(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	engine_rig_media(g, conn, 0, 7000);
	engine_rig_turn(g);
	engine_conn_closed(g->e, conn, g->now);
	engine_rig_pass(g, 29000);
	assert_state(g, "\"phase\":\"uploading\"");
	engine_rig_pass(g, 2000);
	assert_state(g, "\"phase\":\"queued\"");
	assert_state(g, "\"interrupted\":true");
	conn = engine_rig_say(g, 0, START);
	assert_last(g, "\"resumed\":true,\"bytes\":7000");
	assert_state(g, "\"phase\":\"uploading\"");
	engine_rig_media(g, conn, 7000, 3000);
	engine_rig_turn(g);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":10000}");
	assert_last(g, "\"saved\"");
	assert_state(g, "\"revision\":2");
	assert_state(g, "\"interrupted\":false");
}

static void a_big_take_goes_through_recycled_segments(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	size_t sent = 0;
	for (int i = 0; i < 500; i++) {
		engine_rig_media(g, conn, sent, 60000);
		sent += 60000;
		if (i % 3 == 0)
			engine_rig_turn(g);
	}
	engine_rig_turn(g);
	char end[64];
	snprintf(end, sizeof end, "{\"type\":\"end\",\"totalBytes\":%zu}", sent);
	engine_rig_say(g, conn, end);
	assert_last(g, "\"saved\"");
	struct engine_status status;
	engine_status(g->e, &status);
	assert_true(status.checkpoints > 0);
	assert_int_equal(status.memory_used, 0);
}

static void another_connection_takes_over(void **state)
{
	struct engine_rig *g = *state;
	uint64_t old = engine_rig_say(g, 0, START);
	engine_rig_media(g, old, 0, 4000);
	engine_rig_turn(g);
	engine_rig_forget(g);
	uint64_t new = engine_rig_say(g, 0, START);
	assert_non_null(strstr(g->sent[0], "taken_over"));
	assert_last(g, "\"resumed\":true,\"bytes\":4000");
	engine_rig_media(g, old, 4000, 100); /* dropped */
	engine_rig_media(g, new, 4000, 100);
	engine_rig_turn(g);
	assert_last(g, "\"bytes\":4100");
	engine_conn_closed(g->e, old, g->now);
	assert_state(g, "\"attached\":true");
}

static void nothing_is_acked_after_a_failed_sync(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	vfs_fault_fail(g->vfs, FAULT_SYNC, 1, ERR_SYNC_FAILED, false);
	engine_rig_forget(g);
	engine_rig_media(g, conn, 0, 4000);
	engine_rig_turn(g);
	assert_int_equal(g->fatal, ERR_SYNC_FAILED);
	assert_int_equal(g->sent_count, 0);
	engine_rig_media(g, conn, 4000, 4000);
	engine_rig_turn(g);
	assert_int_equal(g->sent_count, 0);
}

enum { MANY = 12, PIECE = 16 * 1024 };

static unsigned syncs(const struct engine_rig *g)
{
	return vfs_fault_count(g->vfs, FAULT_SYNC) + vfs_fault_count(g->vfs, FAULT_SYNC_DIR);
}

/* Half a journal of many takes: their files, folders and manifests are synced together, not one by one. */
static void many_takes_are_checkpointed_together(void **state)
{
	struct engine_rig *g = *state;
	char text[64];
	uint64_t conns[MANY];
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"many-%d\"}", i);
		conns[i] = engine_rig_say(g, 0, text);
		assert_last(g, "\"started\"");
	}
	struct engine_status status = { 0 };
	unsigned before = syncs(g);
	size_t each = 0;
	for (; status.checkpoints == 0 && each < 16 * PIECE; each += PIECE) {
		for (int i = 0; i < MANY; i++)
			engine_rig_media(g, conns[i], each, PIECE);
		engine_rig_turn(g);
		engine_status(g->e, &status);
	}
	assert_int_equal(status.checkpoints, 1);
	assert_true(syncs(g) - before < 3 * MANY);
	restart(g);
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"many-%d\"}", i);
		engine_rig_say(g, 0, text);
		snprintf(text, sizeof text, "\"resumed\":true,\"bytes\":%zu", each);
		assert_last(g, text);
	}
}

static void room_is_what_can_be_taken_at_once(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_conn_open(g->e, "local", g->now);
	assert_int_equal(engine_conn_room(g->e, conn), 0);
	engine_rig_say(g, conn, START);
	size_t at = 0, room;
	while ((room = engine_conn_room(g->e, conn)) > 0 && at < 4 << 20) {
		engine_rig_media(g, conn, at, room);
		at += room;
		assert_int_equal(g->paused, 0); /* all of it was taken */
	}
	assert_true(at >= LIMIT_INPUT_BYTES);
	engine_rig_turn(g);
	assert_true(engine_conn_room(g->e, conn) > 0);
	engine_conn_closed(g->e, conn, g->now);
	assert_int_equal(engine_conn_room(g->e, conn), 0);
}

static void a_start_that_is_said_again_at_once_is_no_other_take(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_conn_open(g->e, "local", g->now);
	engine_conn_text(g->e, conn, START, strlen(START), g->now);
	engine_conn_text(g->e, conn, START, strlen(START), g->now);
	engine_rig_turn(g);
	for (unsigned i = 0; i < g->sent_count; i++)
		assert_null(strstr(g->sent[i], "error"));
	assert_last(g, "\"started\"");
}

static void renamed(void *arg, enum err err, const char *json, size_t len)
{
	(void)json;
	(void)len;
	*(enum err *)arg = err;
}

/* The journal knows the first name only. */
static void a_new_name_survives_a_restart(void **state)
{
	struct engine_rig *g = *state;
	enum err err = ERR_INTERNAL;
	uint64_t conn = engine_rig_say(g, 0, "{\"type\":\"start\",\"sessionId\":\"a\",\"name\":\"old\"}");
	engine_rig_media(g, conn, 0, 100);
	engine_rig_turn(g);
	engine_rename(g->e, (struct engine_ref){ "session:a", "local" }, "new", renamed, &err);
	engine_rig_turn(g);
	assert_int_equal(err, ERR_OK);
	restart(g);
	assert_state(g, "\"name\":\"new\"");
	engine_rig_say(g, 0, START);
	engine_rig_pass(g, 61000); /* a checkpoint, and what it writes is what the next start reads */
	restart(g);
	assert_state(g, "\"name\":\"new\"");
}

static void errors_detach(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_conn_open(g->e, "local", g->now);
	engine_rig_media(g, conn, 0, 10);
	engine_rig_turn(g);
	assert_last(g, "binary_without_session");
	engine_rig_forget(g);
	engine_rig_media(g, conn, 0, 10); /* dropped in silence */
	engine_rig_turn(g);
	assert_int_equal(g->sent_count, 0);
	engine_rig_say(g, conn, START);
	assert_last(g, "\"started\"");
	engine_rig_say(g, conn, "{\"type\":\"start\",\"sessionId\":\"b\"}");
	assert_last(g, "session_open");
	engine_rig_say(g, conn, START);
	assert_last(g, "\"started\"");
	engine_rig_media(g, conn, 0, 100);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":50}");
	assert_last(g, "total_mismatch");
	engine_rig_say(g, conn, "{\"type\":\"start\",\"sessionId\":\"a\",\"from\":101}");
	assert_last(g, "position_conflict");
	engine_rig_say(g, conn, START);
	assert_last(g, "\"bytes\":100");
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":120}");
	engine_rig_pass(g, 11000);
	assert_last(g, "bytes_missing");
	engine_rig_say(g, conn, START);
	engine_rig_say(g, conn, "{\"type\":\"abort\",\"reason\":\"no\"}");
	assert_last(g, "\"aborted\"");
	engine_rig_say(g, conn, START);
	assert_last(g, "\"aborted\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_take_is_acked_and_saved, setup, teardown),
		cmocka_unit_test_setup_teardown(a_restart_keeps_what_was_acked, setup, teardown),
		cmocka_unit_test_setup_teardown(grace_seals_and_late_resume_opens_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_big_take_goes_through_recycled_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(another_connection_takes_over, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_acked_after_a_failed_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(many_takes_are_checkpointed_together, setup, teardown),
		cmocka_unit_test_setup_teardown(room_is_what_can_be_taken_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_start_that_is_said_again_at_once_is_no_other_take, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_name_survives_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_detach, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
