/* Pushing through the engine's one face, with the bucket in the test's hands: each revision is there once and whole,
 * whatever fails, is lost or dies in between; what is given up is swept; local files wait for the bucket's word. */
#include "proto/message.h"
#include "sim/disk.h"
#include "support/bucket_rig.h"
#include "support/engine_rig.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SMALL = 5000, PART = 6000, LARGE = 4 * PART + 100, LARGE_PARTS = 5, STEPS_MAX = 400 };

struct fixture {
	struct disk *disk;
	struct engine_rig *g;
	struct worker_rig workers;
	struct bucket bucket;
	struct bucket_rig pusher;
	unsigned steps;	 /* answered so far … */
	unsigned strike; /* … and the number of the one that is answered with `word`; 0: none. From 1 */
	enum bucket_word word;
	bool dies;  /* the server does there, when the bucket has done it, or not */
	bool down;  /* all steps fail */
	bool hangs; /* none is answered */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_int_equal(disk_new(3, &f->disk), ERR_OK);
	f->g = engine_rig_new(disk_vfs(f->disk));
	worker_rig_init(&f->workers);
	bucket_init(&f->bucket);
	bucket_rig_init(&f->pusher, &f->bucket);
	f->g->workers = &f->workers;
	f->g->pusher = &f->pusher.base;
	f->g->push_part_bytes = PART;
	*state = f;
	return engine_rig_open(f->g) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(f->bucket.damaged, 0);
	bucket_rig_forget(&f->pusher);
	engine_rig_free(f->g);
	bucket_release(&f->bucket);
	disk_free(f->disk);
	free(f);
	return 0;
}

/* The process ends without a word, and the next one begins. */
static void restart(struct fixture *f)
{
	engine_rig_close(f->g);
	bucket_rig_forget(&f->pusher);
	worker_rig_init(&f->workers);
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	engine_rig_turn(f->g);
}

static bool answer_one(struct fixture *f)
{
	uint64_t id = bucket_rig_step(&f->pusher);
	if (!id || f->hangs)
		return false;
	while (!bucket_rig_want(&f->pusher, id)) {
		engine_rig_turn(f->g);
		if (bucket_rig_step(&f->pusher) != id)
			return true;
	}
	bool strikes = ++f->steps == f->strike;
	if (strikes && f->dies) {
		if (f->word != BUCKET_FAILS)
			bucket_rig_do(&f->pusher, id);
		restart(f);
		return true;
	}
	bucket_rig_answer(&f->pusher, id, strikes ? f->word : f->down ? BUCKET_FAILS : BUCKET_DOES);
	engine_rig_turn(f->g);
	return true;
}

/* All that is asked of the bucket is answered. */
static void answers(struct fixture *f)
{
	for (unsigned i = 0; answer_one(f); i++)
		assert_true(i < STEPS_MAX);
}

/* … also what is asked when time has passed. */
static void settles(struct fixture *f, uint64_t ms)
{
	for (uint64_t done = 0; done < ms; done += 1000) {
		answers(f);
		engine_rig_pass(f->g, 1000);
	}
	answers(f);
}

static void finish(struct fixture *f)
{
	engine_rig_turn(f->g);
	int slot = worker_rig_busy(&f->workers);
	assert_true(slot >= 0);
	worker_rig_file(&f->workers, (unsigned)slot);
	engine_rig_turn(f->g);
	worker_rig_done(&f->workers, (unsigned)slot);
	engine_rig_turn(f->g);
}

static void record_as(struct fixture *f, const char *session, size_t bytes, bool ends)
{
	char text[120];
	snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"%s\",\"mime\":\"video/webm\"}", session);
	uint64_t conn = engine_rig_say(f->g, 0, text);
	engine_rig_media(f->g, conn, 0, bytes);
	engine_rig_turn(f->g);
	snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%zu}", bytes);
	if (ends)
		engine_rig_say(f->g, conn, text);
	engine_conn_closed(f->g->e, conn, f->g->now);
	engine_rig_turn(f->g);
	if (!ends)
		engine_rig_pass(f->g, 31000);
	finish(f);
}

static void record(struct fixture *f, size_t bytes)
{
	record_as(f, "a", bytes, true);
}

static json_t *state_of(struct fixture *f, const char *session)
{
	char ref[40];
	snprintf(ref, sizeof ref, "session:%s", session);
	char *text = engine_rig_get(f->g, ref);
	json_t *json = json_loads(text, 0, NULL);
	if (!json)
		fail_msg("%s", text);
	free(text);
	return json;
}

/* "done 1", "queued 1 bucket_failed", "null" */
static const char *push_of(struct fixture *f, const char *session)
{
	static char text[200];
	json_t *json = state_of(f, session), *push = json_object_get(json, "push");
	const char *code = json_string_value(json_object_get(json_object_get(push, "error"), "code"));
	assert_non_null(push);
	if (json_is_null(push))
		snprintf(text, sizeof text, "null");
	else
		snprintf(text, sizeof text, "%s %d%s%s", json_string_value(json_object_get(push, "state")),
			 (int)json_integer_value(json_object_get(push, "revision")), code ? " " : "", code ? code : "");
	json_decref(json);
	return text;
}

/* The only object is the recording's revision, made once, with the bytes that were recorded. */
static void assert_there(struct fixture *f, const char *session, unsigned revision, size_t bytes)
{
	char wanted[65], end[30];
	uint8_t sha256[32], *data = malloc(bytes);
	json_t *json = state_of(f, session);
	const char *key = json_string_value(json_object_get(json_object_get(json, "push"), "key"));
	assert_non_null(key);
	struct bucket_object *o = bucket_find(&f->bucket, key);
	if (!o)
		fail_msg("%s is not there", key);
	snprintf(end, sizeof end, "-r%u.test", revision);
	assert_non_null(strstr(key, end));
	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)engine_rig_byte(i);
	assert_int_equal(EVP_Digest(data, bytes, sha256, NULL, EVP_sha256(), NULL), 1);
	free(data);
	sha256_format(sha256, wanted);
	assert_int_equal(o->bytes, bytes);
	assert_string_equal(o->content, wanted);
	assert_string_equal(o->sha256, wanted);
	assert_int_equal(o->made, 1);
	json_decref(json);
}

static unsigned moves(const struct fixture *f)
{
	return f->bucket.did[PUSH_PUT] + f->bucket.did[PUSH_CREATE] + f->bucket.did[PUSH_PART] +
	       f->bucket.did[PUSH_COMPLETE];
}

/* --- all goes well --- */

static void what_is_finished_is_pushed_once(void **state)
{
	struct fixture *f = *state;
	record(f, SMALL);
	assert_string_equal(push_of(f, "a"), "pushing 1");
	answers(f);
	assert_string_equal(push_of(f, "a"), "done 1");
	assert_there(f, "a", 1, SMALL);
	assert_int_equal(moves(f), 1);
	restart(f);
	settles(f, 10000);
	assert_int_equal(moves(f), 1);
	assert_string_equal(push_of(f, "a"), "done 1");
}

static void what_is_large_goes_in_equal_parts(void **state)
{
	struct fixture *f = *state;
	record(f, LARGE);
	answers(f);
	assert_string_equal(push_of(f, "a"), "done 1");
	assert_there(f, "a", 1, LARGE);
	assert_int_equal(f->bucket.did[PUSH_PART], LARGE_PARTS);
	assert_int_equal(bucket_open_uploads(&f->bucket), 0);
}

static void nothing_received_is_nothing_pushed(void **state)
{
	struct fixture *f = *state;
	uint64_t conn = engine_rig_say(f->g, 0, "{\"type\":\"start\",\"sessionId\":\"a\"}");
	engine_rig_say(f->g, conn, "{\"type\":\"end\",\"totalBytes\":0}");
	settles(f, 2000);
	assert_string_equal(push_of(f, "a"), "null");
	assert_int_equal(f->pusher.started, 0);
}

/* --- each step in turn fails, is lost, kills --- */

static void strike(enum bucket_word word, bool dies, size_t bytes)
{
	for (unsigned at = 1;; at++) {
		struct fixture *f;
		assert_int_equal(setup((void **)&f), 0);
		f->strike = at;
		f->word = word;
		f->dies = dies;
		record(f, bytes);
		settles(f, 20000);
		bool struck = f->steps >= at;
		if (strcmp(push_of(f, "a"), "done 1") != 0)
			fail_msg("step %u: %s", at, push_of(f, "a"));
		assert_there(f, "a", 1, bytes);
		assert_int_equal(bucket_open_uploads(&f->bucket), 0);
		/* what was written down is not sent again: at most the part that was struck */
		for (unsigned i = 0, twice = 0; i < LARGE_PARTS; i++) {
			twice += f->bucket.sends[i] > 1 ? f->bucket.sends[i] - 1 : 0;
			assert_true(twice <= 1);
		}
		assert_int_equal(teardown((void **)&f), 0);
		if (!struck) {
			assert_true(at > (bytes == LARGE ? LARGE_PARTS + 3U : 3U));
			break;
		}
	}
}

static void any_step_may_fail(void **state)
{
	(void)state;
	strike(BUCKET_FAILS, false, SMALL);
	strike(BUCKET_FAILS, false, LARGE);
}

static void any_answer_may_be_lost(void **state)
{
	(void)state;
	strike(BUCKET_LOSES, false, SMALL);
	strike(BUCKET_LOSES, false, LARGE);
}

static void the_server_may_die_at_any_step(void **state)
{
	(void)state;
	strike(BUCKET_FAILS, true, SMALL);
	strike(BUCKET_FAILS, true, LARGE);
	strike(BUCKET_LOSES, true, SMALL);
	strike(BUCKET_LOSES, true, LARGE);
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

/* A clean stop amid any step: it is no attempt, and the next start goes on. */
static void stops_cost_nothing(void **state)
{
	struct fixture *f = *state;
	record(f, LARGE);
	for (unsigned i = 0; bucket_rig_step(&f->pusher); i++) {
		bool stopped = false;
		assert_true(i < STEPS_MAX);
		for (unsigned k = 0; k < 4; k++)
			answer_one(f);
		engine_stop(f->g->e, f->g->now, on_stopped, &stopped);
		engine_rig_turn(f->g);
		assert_true(stopped);
		restart(f);
		settles(f, 0);
		engine_rig_pass(f->g, 1000);
	}
	settles(f, 1000);
	assert_string_equal(push_of(f, "a"), "done 1");
	assert_there(f, "a", 1, LARGE);
}

/* --- a bucket that does not work --- */

/* One knocks for all, with growing waits; when it is back all of them go at once, and nobody is told to wait longer. */
static void a_bucket_that_is_down(void **state)
{
	struct fixture *f = *state;
	char session[8];
	f->down = true;
	for (unsigned i = 0; i < 6; i++) {
		snprintf(session, sizeof session, "s%u", i);
		record_as(f, session, SMALL, true);
	}
	settles(f, 3600 * 1000);
	unsigned knocks = f->pusher.started;
	assert_true(knocks >= 3600 / (LIMIT_PUSH_RETRY_MAX_MS / 1000));
	assert_true(knocks < 2 * 3600 / (LIMIT_PUSH_RETRY_MAX_MS / 1000));
	assert_string_equal(push_of(f, "s0"), "queued 1 bucket_failed");
	f->down = false;
	settles(f, 2 * LIMIT_PUSH_RETRY_MAX_MS);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(session, sizeof session, "s%u", i);
		assert_string_equal(push_of(f, session), "done 1");
		assert_there(f, session, 1, SMALL);
	}
}

static void on_unparked(void *arg, enum err err)
{
	*(enum err *)arg = err;
}

/* What the bucket refuses waits for somebody: who says so, or starts the server anew. */
static void a_bucket_that_refuses(void **state)
{
	struct fixture *f = *state;
	enum err err = ERR_INTERNAL;
	struct engine_status s;
	f->strike = 1;
	f->word = BUCKET_REFUSES;
	record(f, SMALL);
	settles(f, 3600 * 1000);
	assert_string_equal(push_of(f, "a"), "failed 1 bucket_refused");
	assert_int_equal(f->pusher.started, 1);
	engine_status(f->g->e, &s);
	assert_int_equal(s.queues[JOB_PUSH].parked, 1);
	assert_non_null(s.trouble);
	assert_int_equal(s.trouble->kind, JOB_PUSH);
	f->strike = 2;
	engine_unpark(f->g->e, JOB_PUSH, on_unparked, &err);
	settles(f, 10000);
	assert_int_equal(err, ERR_OK);
	assert_string_equal(push_of(f, "a"), "failed 1 bucket_refused");
	restart(f);
	settles(f, 1000);
	assert_string_equal(push_of(f, "a"), "done 1");
	assert_there(f, "a", 1, SMALL);
}

/* Nobody's object is replaced, whatever it is. */
static void something_else_of_the_same_name(void **state)
{
	struct fixture *f = *state;
	f->hangs = true;
	record(f, LARGE);
	json_t *json = state_of(f, "a");
	const char *key = json_string_value(json_object_get(json_object_get(json, "push"), "key"));
	struct bucket_object *o = &f->bucket.objects[f->bucket.object_count++];
	*o = (struct bucket_object){ .bytes = 3, .sha256 = "x", .content = "y", .made = 1 };
	snprintf(o->key, sizeof o->key, "%s", key);
	json_decref(json);
	f->hangs = false;
	settles(f, 3600 * 1000);
	assert_string_equal(push_of(f, "a"), "failed 1 bucket_refused");
	assert_int_equal(o->bytes, 3);
	assert_int_equal(moves(f), 0);
}

/* --- what is given up --- */

static void on_deleted(void *arg, enum err err, const char *json, size_t len)
{
	(void)json;
	(void)len;
	*(enum err *)arg = err;
}

/* A deletion amid any step leaves no upload behind, and no object that was not whole before. */
static void a_deletion_amid_it(void **state)
{
	(void)state;
	for (unsigned at = 0;; at++) {
		struct fixture *f;
		enum err err = ERR_INTERNAL;
		assert_int_equal(setup((void **)&f), 0);
		record(f, LARGE);
		unsigned did = 0;
		while (did < at && answer_one(f))
			did++;
		bool over = !bucket_rig_step(&f->pusher);
		engine_delete(f->g->e, (struct engine_ref){ "session:a", grant_local() }, on_deleted, &err);
		engine_rig_turn(f->g);
		assert_int_equal(err, ERR_OK);
		/* what was on its way comes to the bucket all the same, or it doesn't: then later */
		if (at % 2)
			restart(f);
		settles(f, 2000 + (uint64_t)LIMIT_PUSH_SWEEP_MS);
		if (bucket_open_uploads(&f->bucket) > 0)
			fail_msg("deleted behind step %u: an upload is left", at);
		assert_true(over || f->bucket.did[PUSH_COMPLETE] == 0 || f->bucket.object_count == 1);
		assert_int_equal(teardown((void **)&f), 0);
		if (over)
			break;
	}
}

/* The beginning of an upload is on its way when its recording is deleted: it is found later. */
static void an_upload_that_begins_too_late(void **state)
{
	struct fixture *f = *state;
	enum err err = ERR_INTERNAL;
	enum push_verb verb = PUSH_HEAD;
	record(f, LARGE);
	while (bucket_rig_knows(&f->pusher, bucket_rig_step(&f->pusher), &verb) && verb != PUSH_CREATE)
		assert_true(answer_one(f));
	bucket_rig_do(&f->pusher, bucket_rig_step(&f->pusher));
	assert_int_equal(bucket_open_uploads(&f->bucket), 1);
	engine_delete(f->g->e, (struct engine_ref){ "session:a", grant_local() }, on_deleted, &err);
	engine_rig_turn(f->g);
	assert_int_equal(err, ERR_OK);
	settles(f, 1000);
	assert_int_equal(bucket_open_uploads(&f->bucket), 1); /* it may just be beginning */
	f->down = true;
	settles(f, LIMIT_PUSH_SWEEP_MS + 5000ULL);
	restart(f);
	f->down = false;
	settles(f, 2ULL * LIMIT_PUSH_SWEEP_MS);
	assert_int_equal(bucket_open_uploads(&f->bucket), 0);
}

/* A late resume amid the push of the first revision: the second is pushed, and of the first nothing is left. */
static void a_late_resume_amid_it(void **state)
{
	struct fixture *f = *state;
	record_as(f, "a", LARGE, false);
	for (unsigned i = 0; i < 5; i++)
		assert_true(answer_one(f));
	assert_int_equal(bucket_open_uploads(&f->bucket), 1);
	uint64_t conn = engine_rig_say(f->g, 0, "{\"type\":\"start\",\"sessionId\":\"a\"}");
	assert_non_null(strstr(engine_rig_last(f->g), "\"started\""));
	assert_string_equal(push_of(f, "a"), "null");
	engine_rig_media(f->g, conn, LARGE, 1000);
	engine_rig_turn(f->g);
	engine_rig_say(f->g, conn, "{\"type\":\"end\",\"totalBytes\":25100}");
	engine_conn_closed(f->g->e, conn, f->g->now);
	finish(f);
	settles(f, 5000);
	assert_string_equal(push_of(f, "a"), "done 2");
	assert_there(f, "a", 2, LARGE + 1000);
	assert_int_equal(bucket_open_uploads(&f->bucket), 0);
	assert_int_equal(f->bucket.object_count, 1);
}

/* --- local files --- */

/* Retention takes nothing that the bucket has not confirmed, for as long as that takes. */
static void local_files_wait_for_the_bucket(void **state)
{
	struct fixture *f = *state;
	f->g->retain_ms = f->g->retain_originals_ms = 0;
	f->down = true;
	restart(f);
	record(f, SMALL);
	settles(f, 3600 * 1000);
	assert_string_equal(push_of(f, "a"), "queued 1 bucket_failed");
	json_t *json = state_of(f, "a");
	assert_true(json_is_false(json_object_get(json, "originalRemoved")));
	json_decref(json);
	f->down = false;
	settles(f, LIMIT_PUSH_RETRY_MAX_MS + 2 * LIMIT_RETENTION_MS + 1000);
	char *text = engine_rig_get(f->g, "session:a");
	assert_string_equal(text, "deleted");
	free(text);
	assert_int_equal(f->bucket.object_count, 1);
}

/* What was complete before there was a bucket goes there, too; without one nothing is said of it. */
static void what_was_there_before(void **state)
{
	struct fixture *f = *state;
	f->g->pusher = NULL;
	restart(f);
	record(f, SMALL);
	record_as(f, "b", LARGE, true);
	assert_string_equal(push_of(f, "a"), "null");
	f->g->pusher = &f->pusher.base;
	restart(f);
	settles(f, 1000);
	assert_string_equal(push_of(f, "a"), "done 1");
	assert_there(f, "a", 1, SMALL);
	assert_string_equal(push_of(f, "b"), "done 1");
	assert_there(f, "b", 1, LARGE);
}

/* A disk that can't be read for a moment: while it is hashed, or read for the bucket. */
static void reads_that_fail(void **state)
{
	(void)state;
	for (unsigned after = 0;; after++) {
		struct fixture *f;
		assert_int_equal(setup((void **)&f), 0);
		f->hangs = true;
		record_as(f, "other", SMALL, true);
		record_as(f, "more", SMALL, true); /* both slots are taken until the fault is planted */
		record(f, LARGE);
		disk_fail(f->disk, &(struct disk_fault){ .call = DISK_READ,
							 .prefix = "media/",
							 .after = after,
							 .times = 1,
							 .err = ERR_READ_FAILED });
		f->hangs = false;
		settles(f, 10000);
		bool struck = disk_failures(f->disk) > 0;
		disk_heal(f->disk);
		assert_string_equal(push_of(f, "a"), "done 1");
		assert_there(f, "a", 1, LARGE);
		assert_string_equal(push_of(f, "other"), "done 1");
		assert_int_equal(teardown((void **)&f), 0);
		if (!struck) {
			assert_true(after > 2 * LARGE_PARTS);
			break;
		}
	}
}

static void a_file_that_is_gone(void **state)
{
	struct fixture *f = *state;
	f->hangs = true;
	record_as(f, "other", SMALL, true); /* these two … */
	record_as(f, "more", SMALL, true);  /* … have both slots */
	record(f, SMALL);
	json_t *json = state_of(f, "a");
	char path[120];
	snprintf(path, sizeof path, "media/%s/1/file.test", json_string_value(json_object_get(json, "id")));
	json_decref(json);
	assert_int_equal(vfs_unlink(disk_vfs(f->disk), path), ERR_OK);
	f->hangs = false;
	settles(f, 5000);
	assert_string_equal(push_of(f, "a"), "failed 1 corrupt");
	assert_string_equal(push_of(f, "more"), "done 1");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_finished_is_pushed_once),
		TEST(what_is_large_goes_in_equal_parts),
		TEST(nothing_received_is_nothing_pushed),
		cmocka_unit_test(any_step_may_fail),
		cmocka_unit_test(any_answer_may_be_lost),
		cmocka_unit_test(the_server_may_die_at_any_step),
		TEST(stops_cost_nothing),
		TEST(a_bucket_that_is_down),
		TEST(a_bucket_that_refuses),
		TEST(something_else_of_the_same_name),
		cmocka_unit_test(a_deletion_amid_it),
		TEST(an_upload_that_begins_too_late),
		TEST(a_late_resume_amid_it),
		TEST(local_files_wait_for_the_bucket),
		TEST(what_was_there_before),
		cmocka_unit_test(reads_that_fail),
		TEST(a_file_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
