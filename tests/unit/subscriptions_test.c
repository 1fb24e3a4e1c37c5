/* Following recordings through the engine's face: the state, then every change, at a rate that holds, and to slow
 * readers the newest. */
#include "base/limits.h"
#include "engine/engine.h"
#include "sim/disk.h"
#include "support/engine_rig.h"

#include <jansson.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char START[] = "{\"type\":\"start\",\"sessionId\":\"a\",\"name\":\"first\"}";
static const char ALL[] = "{\"type\":\"subscribe\",\"all\":true}";

/* What one connection heard. */
struct heard {
	uint64_t conn;
	unsigned statuses, figures, subscribed, errors, others;
	char last[2048], status[2048]; /* the newest; status: of a recording */
	unsigned most_a_second, this_second;
	uint64_t second;
	struct engine_rig *g;
};

static void hear(void *arg, uint64_t conn, const char *text)
{
	struct heard *h = arg;
	if (conn != h->conn)
		return;
	snprintf(h->last, sizeof h->last, "%s", text);
	if (strstr(text, "\"of\":\"recording\"")) {
		h->statuses++;
		snprintf(h->status, sizeof h->status, "%s", text);
	} else if (strstr(text, "\"of\":\"server\"")) {
		h->figures++;
	} else if (strstr(text, "\"subscribed\"")) {
		h->subscribed++;
	} else if (strstr(text, "\"error\"")) {
		h->errors++;
	} else {
		h->others++;
	}
	if (h->g->now.mono_ms / 1000 != h->second)
		h->this_second = 0;
	h->second = h->g->now.mono_ms / 1000;
	if (++h->this_second > h->most_a_second)
		h->most_a_second = h->this_second;
}

static struct disk *the_disk;

static int setup(void **state)
{
	if (disk_new(7, &the_disk) != ERR_OK)
		return -1;
	struct engine_rig *g = engine_rig_new(disk_vfs(the_disk));
	*state = g;
	return engine_rig_open(g) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	engine_rig_free(*state);
	disk_free(the_disk);
	return 0;
}

/* A connection whose messages are counted from here on, and that said `text`. */
static struct heard *listener(struct engine_rig *g, const char *text)
{
	static struct heard h;
	h = (struct heard){ .conn = engine_conn_open(g->e, grant_local(), g->now), .g = g };
	g->heard = hear;
	g->heard_arg = &h;
	if (text)
		engine_rig_say(g, h.conn, text);
	return &h;
}

static void assert_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("wanted %s in %s", part, text);
}

/* The id of session "a", as a `subscribe` of it. */
static const char *subscribe_text(struct engine_rig *g)
{
	static char text[256];
	char *json = engine_rig_get(g, "session:a");
	json_t *object = json_loads(json, 0, NULL);
	snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"id\":\"%s\"}",
		 json_string_value(json_object_get(object, "id")));
	json_decref(object);
	free(json);
	return text;
}

/* The last status is the recording as GET shows it. */
static void assert_is_the_state(struct engine_rig *g, const struct heard *h)
{
	char *json = engine_rig_get(g, "session:a");
	json_t *state = json_loads(json, 0, NULL), *status = json_loads(h->status, 0, NULL);
	json_object_del(status, "type");
	json_object_del(status, "of");
	if (!state || !json_equal(state, status))
		fail_msg("%s is not the state %s", h->status, json);
	json_decref(state);
	json_decref(status);
	free(json);
}

static void done(void *arg, enum err err, const char *json, size_t len)
{
	(void)json;
	(void)len;
	*(enum err *)arg = err;
}

static void listed(void *arg, enum err err, const char *json, size_t len)
{
	assert_int_equal(err, ERR_OK);
	*(char **)arg = strndup(json, len);
}

static void assert_none_in_phase(struct engine_rig *g, const char *phase)
{
	char *json = NULL;
	engine_list(g->e, &(struct engine_query){ .grant = grant_local(), .phase = phase }, listed, &json);
	engine_rig_turn(g);
	assert_string_equal(json, "{\"items\":[],\"next\":null}");
	free(json);
}

static void finish(struct engine_rig *g, enum err *err)
{
	engine_rig_turn(g);
	assert_int_equal(*err, ERR_OK);
}

static void rename_to(struct engine_rig *g, const char *name)
{
	enum err err = ERR_INTERNAL;
	engine_rename(g->e, (struct engine_ref){ "session:a", grant_local() }, name, done, &err);
	finish(g, &err);
}

static void delete_it(struct engine_rig *g)
{
	enum err err = ERR_INTERNAL;
	engine_delete(g->e, (struct engine_ref){ "session:a", grant_local() }, done, &err);
	finish(g, &err);
}

static void one_is_followed(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	engine_rig_media(g, conn, 0, 1000);
	engine_rig_turn(g);
	struct heard *h = listener(g, subscribe_text(g));
	assert_int_equal(h->statuses, 1);
	assert_int_equal(h->subscribed, 1);
	assert_int_equal(h->figures, 0);
	assert_part(h->last, "\"subscribed\",\"id\":\"");
	assert_part(h->status, "\"owner\":\"local\"");
	assert_part(h->status, "\"phase\":\"uploading\"");
	assert_part(h->status, "\"attached\":true,\"graceLeftMs\":null");
	engine_conn_closed(g->e, conn, g->now);
	engine_rig_turn(g);
	assert_part(h->last, "\"attached\":false,\"graceLeftMs\":30000");
	engine_rig_pass(g, 5000);
	assert_int_equal(h->statuses, 2); /* whoever follows counts down by himself */
	char *json = engine_rig_get(g, "session:a");
	assert_part(json, "\"graceLeftMs\":25000");
	free(json);
	conn = engine_rig_say(g, 0, START);
	assert_part(h->last, "\"attached\":true,\"graceLeftMs\":null");
	rename_to(g, "second");
	assert_part(h->last, "\"name\":\"second\"");
	engine_rig_media(g, conn, 1000, 4000);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":5000}");
	assert_part(h->last, "\"phase\":\"queued\"");
	assert_part(h->last, "\"bytes\":5000");
	assert_is_the_state(g, h);
	delete_it(g);
	assert_part(h->last, "\"phase\":\"deleted\"");
	assert_int_equal(h->errors, 0);
	unsigned statuses = h->statuses;
	engine_rig_pass(g, 5000);
	assert_int_equal(h->statuses, statuses);
}

static void byte_counts_come_twice_a_second(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	struct heard *h = listener(g, subscribe_text(g));
	unsigned before = h->statuses;
	for (size_t i = 0; i < 200; i++) { /* 4 s */
		engine_rig_media(g, conn, i * 1000, 1000);
		engine_rig_turn(g);
		engine_rig_pass(g, 20);
	}
	unsigned told = h->statuses - before;
	assert_in_range(told, 6, 9);
	engine_rig_pass(g, 1000);
	assert_part(h->status, "\"bytes\":200000");
	assert_is_the_state(g, h);
}

static void all_are_followed(void **state)
{
	struct engine_rig *g = *state;
	char text[128];
	for (unsigned i = 0; i < 130; i++) { /* finished ones, and out of memory */
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"old-%u\"}", i);
		uint64_t conn = engine_rig_say(g, 0, text);
		engine_rig_media(g, conn, 0, 10);
		engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":10}");
		engine_conn_closed(g->e, conn, g->now);
		g->now.wall_ms++;
	}
	engine_rig_pass(g, 130000);
	struct engine_status status;
	engine_status(g->e, &status);
	uint64_t conn = engine_rig_say(g, 0, START);
	struct heard *h = listener(g, ALL);
	engine_rig_pass(g, LIMIT_STATUS_SLICE_MS);
	assert_int_equal(h->statuses, 100);
	assert_int_equal(h->figures, 1);
	assert_int_equal(h->subscribed, 1);
	assert_string_equal(h->last, "{\"type\":\"subscribed\",\"all\":true}");
	engine_rig_say(g, h->conn, ALL); /* again: the same answer */
	engine_rig_pass(g, 200);
	assert_int_equal(h->statuses, 200);
	assert_int_equal(h->subscribed, 2);
	engine_rig_say(g, 0, "{\"type\":\"start\",\"sessionId\":\"new\"}");
	assert_part(h->status, "\"sessionId\":\"new\"");
	assert_part(h->status, "\"attached\":true");
	engine_rig_pass(g, 3000);
	assert_part(h->last, "\"of\":\"server\"");
	assert_part(h->last, "\"recordings\":2");
	delete_it(g);
	assert_part(h->status, "\"phase\":\"deleted\"");
	engine_conn_closed(g->e, conn, g->now);
	engine_conn_closed(g->e, h->conn, g->now); /* nobody follows: nothing is told */
	engine_rig_say(g, 0, "{\"type\":\"start\",\"sessionId\":\"newer\"}");
	assert_int_equal(h->errors, 0);
}

static void what_left_memory_is_told_from_its_row(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	engine_rig_media(g, conn, 0, 700);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":700}");
	engine_conn_closed(g->e, conn, g->now);
	engine_rig_pass(g, 130000);
	struct heard *h = listener(g, subscribe_text(g));
	engine_rig_turn(g);
	assert_int_equal(h->statuses, 1);
	assert_int_equal(h->subscribed, 1);
	assert_part(h->status, "\"bytes\":700");
	g->room = 0;
	rename_to(g, "while it does not read");
	delete_it(g);
	engine_rig_pass(g, 5000);
	assert_int_equal(h->statuses, 1);
	g->room = UINT_MAX;
	engine_conn_drained(g->e, h->conn, g->now);
	engine_rig_turn(g);
	assert_int_equal(h->statuses, 2);
	assert_part(h->status, "\"phase\":\"deleted\"");
}

static void errors_leave_the_take_alone(void **state)
{
	struct engine_rig *g = *state;
	struct heard *h = listener(g, START);
	engine_rig_media(g, h->conn, 0, 100);
	engine_rig_turn(g);
	static const char *const wrong[][2] = {
		{ "{\"type\":\"subscribe\"}", "\"bad_field\"" },
		{ "{\"type\":\"subscribe\",\"all\":true,\"id\":\"x\"}", "\"all\":true,\"id\":\"x\"" },
		{ "{\"type\":\"subscribe\",\"id\":\"nonsense\"}", "\"code\":\"not_found\"" },
		{ "{\"type\":\"subscribe\",\"id\":\"nonsense\"}",
		  "\"retry\":false,\"of\":\"subscription\",\"id\":\"nonsense\"" },
		{ "{\"type\":\"subscribe\",\"id\":\"0199c0de-0000-7000-8000-000000000001\"}", "\"not_found\"" },
		{ "{\"type\":\"subscribe\",\"all\":7}", "\"bad_field\"" },
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		engine_rig_say(g, h->conn, wrong[i][0]);
		assert_part(h->last, wrong[i][1]);
	}
	assert_int_equal(h->errors, sizeof wrong / sizeof *wrong);
	engine_rig_say(g, h->conn, ALL);
	assert_part(h->last, "\"subscribed\"");
	engine_rig_media(g, h->conn, 100, 100);
	engine_rig_turn(g);
	assert_string_equal(h->last, "{\"type\":\"ack\",\"bytes\":200}");
	engine_rig_say(g, h->conn, "{\"type\":\"end\",\"totalBytes\":200}");
	engine_rig_turn(g);
	assert_part(h->status, "\"phase\":\"queued\"");
	engine_rig_say(g, 0, START);
	assert_part(engine_rig_last(g), "\"saved\"");
}

static void a_deleted_one_and_a_strangers_are_refused(void **state)
{
	struct engine_rig *g = *state;
	engine_rig_say(g, 0, START);
	const char *text = subscribe_text(g);
	uint64_t stranger = engine_conn_open(
		g->e, &(struct grant){ .subject = "somebody", .scopes = SCOPE_RECORD, .expires_ms = INT64_MAX },
		g->now);
	engine_rig_say(g, stranger, text);
	assert_part(engine_rig_last(g), "not_found");
	engine_rig_say(g, stranger, ALL);
	engine_rig_say(g, 0, "{\"type\":\"start\",\"sessionId\":\"b\"}");
	engine_rig_forget(g);
	rename_to(g, "not for strangers");
	assert_int_equal(g->sent_count, 0);
	delete_it(g);
	assert_part(engine_rig_last(g), "\"code\":\"deleted\""); /* to the recorder */
	engine_rig_say(g, 0, text);
	assert_part(engine_rig_last(g), "\"code\":\"deleted\"");
	assert_part(engine_rig_last(g), "\"id\":\"");
}

static void a_recorder_hears_of_the_deletion_and_its_file_goes(void **state)
{
	struct engine_rig *g = *state;
	char path[64], *json;
	struct heard *h = listener(g, START);
	engine_rig_media(g, h->conn, 0, 100000);
	engine_rig_turn(g);
	json = engine_rig_get(g, "session:a");
	snprintf(path, sizeof path, "spool/%.36s/0", strstr(json, "\"id\":\"") + 6);
	free(json);
	struct vfs_file *file;
	assert_int_equal(vfs_open(g->vfs, path, VFS_READ, &file), ERR_OK);
	vfs_file_close(file);
	delete_it(g);
	assert_part(h->last, "\"code\":\"deleted\"");
	assert_part(h->last, "\"retry\":false");
	engine_rig_media(g, h->conn, 100000, 10); /* dropped in silence */
	engine_rig_turn(g);
	assert_int_equal(h->errors, 1);
	assert_int_equal(vfs_open(g->vfs, path, VFS_READ, &file), ERR_NOT_FOUND);
}

static void so_many_are_followed_by_id_and_no_more(void **state)
{
	struct engine_rig *g = *state;
	char text[128];
	struct heard *h = listener(g, NULL);
	for (unsigned i = 0; i <= LIMIT_SUBSCRIPTIONS; i++) {
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"s%u\"}", i);
		engine_rig_say(g, 0, text);
		snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"id\":\"session:s%u\"}", i);
		engine_rig_say(g, h->conn, text);
	}
	assert_int_equal(h->subscribed, LIMIT_SUBSCRIPTIONS);
	assert_part(h->last, "\"code\":\"limit_exceeded\"");
	assert_part(h->last, "\"id\":\"session:s32\"");
	enum err err = ERR_INTERNAL;
	engine_delete(g->e, (struct engine_ref){ "session:s3", grant_local() }, done, &err);
	finish(g, &err);
	engine_rig_say(g, h->conn, text); /* the deleted one made room */
	assert_int_equal(h->subscribed, LIMIT_SUBSCRIPTIONS + 1);
}

static void a_slow_reader_gets_the_newest_only(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	struct heard *h = listener(g, ALL);
	unsigned before = h->statuses;
	g->room = 0;
	for (size_t i = 0; i < 50; i++) {
		char name[32];
		engine_rig_media(g, conn, i * 100, 100);
		snprintf(name, sizeof name, "name %zu", i);
		rename_to(g, name);
		engine_rig_pass(g, 600);
	}
	assert_int_equal(h->statuses, before);
	g->room = 1;
	engine_conn_drained(g->e, h->conn, g->now);
	engine_rig_turn(g);
	g->room = UINT_MAX;
	engine_conn_drained(g->e, h->conn, g->now);
	engine_rig_turn(g);
	assert_int_equal(h->statuses, before + 1);
	assert_is_the_state(g, h);
	assert_int_equal(h->errors, 0);
}

/* Takes that are begun, left and deleted. */
static void churn(struct engine_rig *g, unsigned from, unsigned count)
{
	uint64_t conns[512];
	enum err errs[512];
	char text[96];
	assert_true(count <= 512);
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"churn-%u\"}", from + i);
		conns[i] = engine_conn_open(g->e, grant_local(), g->now);
		engine_conn_text(g->e, conns[i], text, strlen(text), g->now);
	}
	engine_rig_turn(g);
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof text, "session:churn-%u", from + i);
		engine_conn_closed(g->e, conns[i], g->now);
		errs[i] = ERR_INTERNAL;
		engine_delete(g->e, (struct engine_ref){ text, grant_local() }, done, &errs[i]);
	}
	engine_rig_turn(g);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(errs[i], ERR_OK);
}

static void a_backlog_that_runs_over_begins_anew(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	struct heard *h = listener(g, ALL);
	engine_rig_say(g, h->conn, subscribe_text(g));
	assert_int_equal(h->subscribed, 2);
	g->room = 0;
	engine_rig_say(g, conn, "{\"type\":\"abort\"}");
	unsigned before = h->statuses, churned = 0;
	for (; churned <= LIMIT_STATUS_BACKLOG; churned += 512)
		churn(g, churned, 512);
	assert_int_equal(h->statuses, before);
	g->room = UINT_MAX;
	engine_conn_drained(g->e, h->conn, g->now);
	engine_rig_pass(g, 20000);
	assert_int_equal(h->subscribed, 3);
	assert_true(h->statuses - before < 2048);
	assert_part(h->status, "\"phase\":\"");
	assert_int_equal(h->errors, 0);
	engine_rig_say(g, h->conn, subscribe_text(g));
	assert_is_the_state(g, h);
}

static void many_takes_do_not_make_many_messages(void **state)
{
	enum { TAKES = 400 };
	struct engine_rig *g = *state;
	uint64_t conns[TAKES];
	char text[64];
	struct heard *h = listener(g, ALL);
	for (unsigned i = 0; i < TAKES; i++) {
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"m%u\"}", i);
		conns[i] = engine_rig_say(g, 0, text);
	}
	engine_rig_pass(g, 5000);
	assert_int_equal(h->statuses, TAKES); /* each was told */
	h->most_a_second = 0;
	unsigned before = h->statuses;
	for (unsigned k = 0; k < 60; k++) { /* 3 s */
		for (unsigned i = 0; i < TAKES; i++)
			engine_rig_media(g, conns[i], (size_t)k * 10, 10);
		engine_rig_turn(g);
		engine_rig_pass(g, 50);
	}
	unsigned most = LIMIT_STATUS_GROWN * 1000 / LIMIT_STATUS_SLICE_MS + LIMIT_STATUS_GROWN;
	assert_in_range(h->most_a_second, most / 2, most);
	assert_true(h->statuses - before >= TAKES); /* and nobody is forgotten */
	engine_rig_pass(g, 5000);
	assert_part(h->status, "\"bytes\":600");
}

/* The phase `error` is told when its transaction is durable, not when storage fails. */
static void an_error_is_told_when_it_is_durable(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	struct heard *h = listener(g, subscribe_text(g));
	for (size_t i = 0; i < 30; i++) {
		engine_rig_media(g, conn, i * 10000, 10000);
		engine_rig_turn(g);
	}
	struct disk_fault fault = { .call = DISK_WRITE, .prefix = "catalog", .times = 1000, .err = ERR_WRITE_FAILED };
	disk_fail(the_disk, &fault);
	vfs_fault_fail(g->vfs, FAULT_WRITE, 1, ERR_WRITE_FAILED, false);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":300000}");
	engine_rig_pass(g, 10000);
	assert_part(engine_rig_last(g), "\"poisoned\""); /* the recorder knows */
	assert_part(h->status, "\"phase\":\"uploading\"");
	disk_heal(the_disk);
	assert_none_in_phase(g, "uploading"); /* its row still says so */
	engine_rig_pass(g, 10000);
	assert_part(h->status, "\"phase\":\"error\"");
	assert_part(h->status, "\"code\":\"poisoned\"");
	assert_is_the_state(g, h);
}

static void a_restart_ends_subscriptions_and_they_begin_again(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	engine_rig_media(g, conn, 0, 900);
	engine_rig_turn(g);
	listener(g, ALL);
	engine_rig_close(g);
	assert_int_equal(engine_rig_open(g), ERR_OK);
	struct heard *h = listener(g, ALL);
	assert_int_equal(h->statuses, 1);
	assert_part(h->status, "\"bytes\":900");
	assert_part(h->status, "\"attached\":false,\"graceLeftMs\":30000");
	engine_rig_pass(g, 31000);
	assert_part(h->status, "\"interrupted\":true");
	assert_is_the_state(g, h);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_is_followed),
		TEST(byte_counts_come_twice_a_second),
		TEST(all_are_followed),
		TEST(what_left_memory_is_told_from_its_row),
		TEST(errors_leave_the_take_alone),
		TEST(a_deleted_one_and_a_strangers_are_refused),
		TEST(a_recorder_hears_of_the_deletion_and_its_file_goes),
		TEST(so_many_are_followed_by_id_and_no_more),
		TEST(a_slow_reader_gets_the_newest_only),
		TEST(a_backlog_that_runs_over_begins_anew),
		TEST(many_takes_do_not_make_many_messages),
		TEST(an_error_is_told_when_it_is_durable),
		TEST(a_restart_ends_subscriptions_and_they_begin_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
