/* The engine through its one face: takes begin, grow, end, resume and survive a restart, on real files without threads.
 */
#include "engine/engine.h"
#include "support/exec_inline.h"
#include "support/vfs_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SENT = 64, SEGMENT = 256 * 1024 };

struct world {
	char dir[64];
	struct vfs *real, *vfs;
	struct exec_inline *exec;
	struct engine *e;
	struct now now;
	uint64_t random;
	char *sent[SENT]; /* "conn text" in order */
	unsigned sent_count, paused, closed;
	enum err fatal;
};

static void w_send(void *arg, uint64_t conn, const char *text, size_t len, bool is_ack)
{
	struct world *w = arg;
	(void)conn;
	(void)is_ack;
	if (w->sent_count == SENT) { /* the newest are looked at */
		free(w->sent[0]);
		memmove(w->sent, w->sent + 1, (SENT - 1) * sizeof w->sent[0]);
		w->sent_count--;
	}
	w->sent[w->sent_count++] = strndup(text, len);
}

static void w_close(void *arg, uint64_t conn, enum engine_close_code code)
{
	(void)conn;
	(void)code;
	((struct world *)arg)->closed++;
}

static void w_pause(void *arg, uint64_t conn, bool paused)
{
	(void)conn;
	((struct world *)arg)->paused = paused;
}

static void w_ping(void *arg, uint64_t conn)
{
	(void)arg;
	(void)conn;
}

static void w_fatal(void *arg, enum err err, const char *what)
{
	(void)what;
	((struct world *)arg)->fatal = err;
}

static void w_random(void *arg, void *out, size_t len)
{
	struct world *w = arg;
	for (size_t i = 0; i < len; i++) {
		w->random = w->random * 6364136223846793005ULL + 1442695040888963407ULL;
		((uint8_t *)out)[i] = (uint8_t)(w->random >> 56);
	}
}

static void world_open(struct world *w)
{
	struct catalog *catalog;
	w->exec = exec_inline_new();
	assert_int_equal(vfs_posix_open(w->dir, &w->real), ERR_OK);
	w->vfs = vfs_fault_new(w->real);
	assert_int_equal(catalog_sqlite_open(w->vfs, false, &catalog), ERR_OK);
	struct engine_config config = {
		.vfs = w->vfs,
		.exec = exec_inline_exec(w->exec),
		.catalog = catalog,
		.callbacks = { w_send, w_close, w_pause, w_ping, w_fatal, w },
		.memory_bytes = 4 * MIB,
		.journal_bytes = 8ULL * SEGMENT,
		.segment_bytes = SEGMENT,
		.grace_ms = 30000,
		.heartbeat_ms = 20000,
		.late_resume_ms = 7ULL * 24 * 3600 * 1000,
		.hash_early = true,
		.reserve_bytes = 1,
		.random = w_random,
		.random_arg = w,
	};
	assert_int_equal(engine_open(&config, w->now, &w->e), ERR_OK);
	engine_listening(w->e, w->now);
}

static void turn(struct world *w)
{
	for (int i = 0; i < 400; i++) {
		engine_turn(w->e, w->now);
		if (exec_inline_turn(w->exec) == 0)
			break;
	}
}

static void pass(struct world *w, uint64_t ms)
{
	while (ms > 0) {
		uint64_t step = ms < 1000 ? ms : 1000;
		w->now.mono_ms += step;
		w->now.wall_ms += (int64_t)step;
		ms -= step;
		turn(w);
	}
}

/* As kill -9 would: what is on the lanes is forgotten. */
static void world_close(struct world *w)
{
	exec_inline_drain(w->exec);
	engine_close(w->e);
	exec_inline_free(w->exec);
	vfs_free(w->vfs);
	vfs_free(w->real);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	strcpy(w->dir, "/tmp/holdfast-engine-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->now = (struct now){ 1000000, 1700000000000 };
	w->random = 42;
	world_open(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[128];
	world_close(w);
	snprintf(command, sizeof command, "rm -rf %s", w->dir);
	assert_int_equal(system(command), 0);
	while (w->sent_count > 0)
		free(w->sent[--w->sent_count]);
	free(w);
	return 0;
}

static void forget(struct world *w)
{
	while (w->sent_count > 0)
		free(w->sent[--w->sent_count]);
}

static const char *last(struct world *w)
{
	return w->sent_count ? w->sent[w->sent_count - 1] : "";
}

static void assert_last(struct world *w, const char *part)
{
	if (!strstr(last(w), part))
		fail_msg("wanted %s in %s", part, last(w));
}

static uint64_t say(struct world *w, uint64_t conn, const char *text)
{
	if (!conn)
		conn = engine_conn_open(w->e, "local", w->now);
	engine_conn_text(w->e, conn, text, strlen(text), w->now);
	turn(w);
	return conn;
}

static void media(struct world *w, uint64_t conn, size_t from, size_t len)
{
	char *bytes = malloc(len + 1);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)((from + i) * 31 >> 3);
	engine_conn_binary(w->e, conn, bytes, len, w->now);
	free(bytes);
}

static const char START[] = "{\"type\":\"start\",\"sessionId\":\"a\",\"mime\":\"video/webm\",\"ext\":\"webm\"}";

static void a_take_is_acked_and_saved(void **state)
{
	struct world *w = *state;
	uint64_t conn = say(w, 0, START);
	assert_last(w, "\"started\"");
	assert_last(w, "\"resumed\":false");
	media(w, conn, 0, 10000);
	assert_last(w, "\"started\""); /* nothing leaves before its commit */
	turn(w);
	assert_last(w, "\"type\":\"ack\",\"bytes\":10000");
	say(w, conn, "{\"type\":\"end\",\"totalBytes\":10000}");
	assert_last(w, "\"saved\"");
	assert_last(w, "\"bytes\":10000");
	unsigned count = w->sent_count;
	say(w, conn, "{\"type\":\"end\",\"totalBytes\":10000}");
	assert_int_equal(w->sent_count, count + 1);
	assert_last(w, "\"saved\"");
	say(w, 0, START);
	assert_last(w, "\"saved\"");
}

static void json_done(void *arg, enum err err, const char *json, size_t len)
{
	char **out = arg;
	free(*out);
	*out = json ? strndup(json, len) : strdup(err_code(err));
}

static char *get(struct world *w)
{
	char *json = NULL;
	engine_get(w->e, (struct engine_ref){ "session:a", "local" }, json_done, &json);
	turn(w);
	assert_non_null(json);
	return json;
}

static void assert_state(struct world *w, const char *part)
{
	char *json = get(w);
	if (!strstr(json, part))
		fail_msg("wanted %s in %s", part, json);
	free(json);
}

static void a_restart_keeps_what_was_acked(void **state)
{
	struct world *w = *state;
	size_t sent = 0;
	for (int round = 0; round < 6; round++) {
		uint64_t conn = say(w, 0, START);
		char wanted[64];
		snprintf(wanted, sizeof wanted, "\"bytes\":%zu", sent);
		assert_last(w, "\"started\"");
		assert_last(w, wanted);
		for (int i = 0; i < 40; i++) {
			media(w, conn, sent, 5000 + (size_t)round * 1111);
			sent += 5000 + (size_t)round * 1111;
			if (i % 7 == 0)
				turn(w);
		}
		turn(w);
		world_close(w);
		world_open(w);
	}
	uint64_t conn = say(w, 0, START);
	char end[64];
	snprintf(end, sizeof end, "{\"type\":\"end\",\"totalBytes\":%zu}", sent);
	say(w, conn, end);
	assert_last(w, "\"saved\"");
	world_close(w);
	world_open(w);
	say(w, 0, START);
	assert_last(w, "\"saved\"");
	assert_state(w, "\"phase\":\"queued\"");
}

static void grace_seals_and_late_resume_opens_again(void **state)
{
	struct world *w = *state;
	uint64_t conn = say(w, 0, START);
	media(w, conn, 0, 7000);
	turn(w);
	engine_conn_closed(w->e, conn, w->now);
	pass(w, 29000);
	assert_state(w, "\"phase\":\"uploading\"");
	pass(w, 2000);
	assert_state(w, "\"phase\":\"queued\"");
	assert_state(w, "\"interrupted\":true");
	conn = say(w, 0, START);
	assert_last(w, "\"resumed\":true,\"bytes\":7000");
	assert_state(w, "\"phase\":\"uploading\"");
	media(w, conn, 7000, 3000);
	turn(w);
	say(w, conn, "{\"type\":\"end\",\"totalBytes\":10000}");
	assert_last(w, "\"saved\"");
	assert_state(w, "\"revision\":2");
	assert_state(w, "\"interrupted\":false");
}

static void a_big_take_goes_through_recycled_segments(void **state)
{
	struct world *w = *state;
	uint64_t conn = say(w, 0, START);
	size_t sent = 0;
	for (int i = 0; i < 500; i++) {
		media(w, conn, sent, 60000);
		sent += 60000;
		if (i % 3 == 0)
			turn(w);
	}
	turn(w);
	char end[64];
	snprintf(end, sizeof end, "{\"type\":\"end\",\"totalBytes\":%zu}", sent);
	say(w, conn, end);
	assert_last(w, "\"saved\"");
	struct engine_status status;
	engine_status(w->e, &status);
	assert_true(status.checkpoints > 0);
	assert_int_equal(status.memory_used, 0);
}

static void another_connection_takes_over(void **state)
{
	struct world *w = *state;
	uint64_t old = say(w, 0, START);
	media(w, old, 0, 4000);
	turn(w);
	forget(w);
	uint64_t new = say(w, 0, START);
	assert_non_null(strstr(w->sent[0], "taken_over"));
	assert_last(w, "\"resumed\":true,\"bytes\":4000");
	media(w, old, 4000, 100); /* dropped */
	media(w, new, 4000, 100);
	turn(w);
	assert_last(w, "\"bytes\":4100");
	engine_conn_closed(w->e, old, w->now);
	assert_state(w, "\"attached\":true");
}

static void nothing_is_acked_after_a_failed_sync(void **state)
{
	struct world *w = *state;
	uint64_t conn = say(w, 0, START);
	vfs_fault_fail(w->vfs, FAULT_SYNC, 1, ERR_SYNC_FAILED, false);
	forget(w);
	media(w, conn, 0, 4000);
	turn(w);
	assert_int_equal(w->fatal, ERR_SYNC_FAILED);
	assert_int_equal(w->sent_count, 0);
	media(w, conn, 4000, 4000);
	turn(w);
	assert_int_equal(w->sent_count, 0);
}

static void errors_detach(void **state)
{
	struct world *w = *state;
	uint64_t conn = engine_conn_open(w->e, "local", w->now);
	media(w, conn, 0, 10);
	turn(w);
	assert_last(w, "binary_without_session");
	forget(w);
	media(w, conn, 0, 10); /* dropped in silence */
	turn(w);
	assert_int_equal(w->sent_count, 0);
	say(w, conn, START);
	assert_last(w, "\"started\"");
	say(w, conn, "{\"type\":\"start\",\"sessionId\":\"b\"}");
	assert_last(w, "session_open");
	say(w, conn, START);
	assert_last(w, "\"started\"");
	media(w, conn, 0, 100);
	say(w, conn, "{\"type\":\"end\",\"totalBytes\":50}");
	assert_last(w, "total_mismatch");
	say(w, conn, "{\"type\":\"start\",\"sessionId\":\"a\",\"from\":101}");
	assert_last(w, "position_conflict");
	say(w, conn, START);
	assert_last(w, "\"bytes\":100");
	say(w, conn, "{\"type\":\"end\",\"totalBytes\":120}");
	pass(w, 11000);
	assert_last(w, "bytes_missing");
	say(w, conn, START);
	say(w, conn, "{\"type\":\"abort\",\"reason\":\"no\"}");
	assert_last(w, "\"aborted\"");
	say(w, conn, START);
	assert_last(w, "\"aborted\"");
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
		cmocka_unit_test_setup_teardown(errors_detach, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
