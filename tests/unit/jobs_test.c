/* Finalize jobs through the engine's one face, with workers in the test's hands: claimed once, published once, tried
 * again, given up; and what `complete` says of all that. */
#include "engine/internal.h"
#include "support/engine_rig.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct worker_rig workers;

static int setup(void **state)
{
	struct engine_rig *g = engine_rig_new(NULL);
	worker_rig_init(&workers);
	g->workers = &workers;
	*state = g;
	return engine_rig_open(g) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	engine_rig_free(*state);
	return 0;
}

static const char START[] = "{\"type\":\"start\",\"sessionId\":\"a\",\"mime\":\"video/webm\",\"ext\":\"webm\"}";
enum { BYTES = 10000 };

static void record(struct engine_rig *g)
{
	uint64_t conn = engine_rig_say(g, 0, START);
	engine_rig_media(g, conn, 0, BYTES);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":10000}");
	engine_conn_closed(g->e, conn, g->now);
	engine_rig_turn(g);
}

/* A link that broke: grace seals it, and a late resume may come. */
static void record_interrupted(struct engine_rig *g)
{
	uint64_t conn = engine_rig_say(g, 0, START);
	engine_rig_media(g, conn, 0, BYTES);
	engine_rig_turn(g);
	engine_conn_closed(g->e, conn, g->now);
	engine_rig_pass(g, 31000);
}

static json_t *state_of(struct engine_rig *g)
{
	char *text = engine_rig_get(g, "session:a");
	json_t *json = json_loads(text, 0, NULL);
	if (!json)
		fail_msg("%s", text);
	free(text);
	return json;
}

/* The state holds these members with these values. */
static void assert_state(struct engine_rig *g, const char *wanted)
{
	json_t *json = state_of(g), *want = json_loads(wanted, 0, NULL), *value;
	const char *key;
	assert_non_null(want);
	json_object_foreach(want, key, value)
	{
		json_t *is = json_object_get(json, key);
		bool same = json_is_object(value) && json_is_object(is);
		if (same) { /* of an object only what is named */
			const char *inner;
			json_t *part;
			json_object_foreach(value, inner, part) same =
				same && json_equal(json_object_get(is, inner), part);
		} else {
			same = json_equal(is, value);
		}
		if (!same) {
			char *text = json_dumps(json, 0);
			fail_msg("wanted %s in %s", wanted, text);
		}
	}
	json_decref(want);
	json_decref(json);
}

static int busy_slot(void)
{
	int slot = worker_rig_busy(&workers);
	if (slot < 0)
		fail_msg("no worker has a job");
	return slot;
}

static void say(struct engine_rig *g, enum worker_event_type type, enum err err)
{
	worker_rig_say(&workers, (unsigned)busy_slot(), type, err);
	engine_rig_turn(g);
}

static void finish(struct engine_rig *g)
{
	unsigned slot = (unsigned)busy_slot();
	worker_rig_file(&workers, slot);
	engine_rig_turn(g);
	worker_rig_done(&workers, slot);
	engine_rig_turn(g);
}

struct said {
	enum err err;
	unsigned count;
	json_t *json;
};

static void on_said(void *arg, enum err err, const char *json, size_t len)
{
	struct said *said = arg;
	said->err = err;
	said->count++;
	json_decref(said->json);
	said->json = json ? json_loadb(json, len, 0, NULL) : NULL;
}

static struct said complete(struct engine_rig *g)
{
	struct said said = { 0 };
	engine_complete(g->e, (struct engine_ref){ "session:a", grant_local() }, NULL, 0, on_said, &said);
	engine_rig_turn(g);
	assert_int_equal(said.count, 1);
	return said;
}

static void assert_completes(struct engine_rig *g, const char *status)
{
	struct said said = complete(g);
	assert_int_equal(said.err, ERR_OK);
	assert_string_equal(json_string_value(json_object_get(said.json, "status")), status);
	json_decref(said.json);
}

/* What is in the recording's folder in media/, by name. */
static bool media_has(struct engine_rig *g, const char *name)
{
	char command[256];
	snprintf(command, sizeof command, "test -e %s/media/*/%s", g->dir, name);
	return system(command) == 0;
}

static bool media_empty(struct engine_rig *g)
{
	char command[256];
	snprintf(command, sizeof command, "test -z \"$(ls -A %s/media/* 2>/dev/null)\"", g->dir);
	return system(command) == 0;
}

static void what_was_recorded_becomes_a_file(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	assert_state(g, "{\"phase\":\"processing\",\"attempt\":1,\"attempts\":3,\"progress\":0.0,\"file\":null}");
	say(g, WORKER_ALIVE, ERR_OK);
	assert_state(g, "{\"progress\":0.25}");
	unsigned slot = (unsigned)busy_slot();
	assert_int_equal(workers.slots[slot].job->track_count, 1);
	assert_int_equal(workers.slots[slot].job->tracks[0].bytes, BYTES);
	worker_rig_file(&workers, slot);
	engine_rig_turn(g);
	assert_state(g, "{\"phase\":\"generating_thumbnail\",\"duration\":1.5,"
			"\"file\":{\"revision\":1,\"bytes\":10000,\"thumbnail\":false}}");
	worker_rig_done(&workers, slot);
	engine_rig_turn(g);
	assert_state(g, "{\"phase\":\"complete\",\"progress\":null,\"lastError\":null,\"warnings\":[],"
			"\"file\":{\"mime\":\"video/test\",\"asIs\":false,\"thumbnail\":true,\"waveform\":true}}");
	assert_true(media_has(g, "1/file.test"));
	assert_int_equal(workers.gives, 1);
	assert_completes(g, "alreadyComplete");
	engine_rig_close(g);
	worker_rig_init(&workers);
	assert_int_equal(engine_rig_open(g), ERR_OK);
	engine_rig_turn(g);
	assert_state(g, "{\"phase\":\"complete\",\"file\":{\"revision\":1}}");
	assert_int_equal(workers.gives, 0);
}

static void nothing_recorded_is_published_without_a_worker(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, START);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":0}");
	engine_rig_turn(g);
	assert_state(g, "{\"phase\":\"complete\",\"file\":{\"bytes\":0,\"asIs\":true}}");
	assert_int_equal(workers.gives, 0);
}

#define TRACKS "{\"type\":\"start\",\"sessionId\":\"a\",\"tracks\":[\"video\",\"audio\"],\"track\":"

static void a_track_without_a_byte_is_told(void **state)
{
	struct engine_rig *g = *state;
	uint64_t video = engine_rig_say(g, 0, TRACKS "\"video\"}"), audio = engine_rig_say(g, 0, TRACKS "\"audio\"}");
	engine_rig_media(g, video, 0, BYTES);
	engine_rig_say(g, video, "{\"type\":\"end\",\"totalBytes\":10000}");
	engine_rig_say(g, audio, "{\"type\":\"end\",\"totalBytes\":0}");
	engine_conn_closed(g->e, video, g->now);
	engine_conn_closed(g->e, audio, g->now);
	engine_rig_turn(g);
	assert_int_equal(workers.slots[busy_slot()].job->track_count, 1);
	finish(g);
	assert_state(g, "{\"phase\":\"complete\",\"warnings\":[{\"code\":\"tracks_differ\","
			"\"message\":\"Nothing was received of the track \\\"audio\\\".\"}]}");
}

static void a_worker_that_did_its_job_is_not_missed(void **state)
{
	struct engine_rig *g = *state;
	struct engine_status status;
	record(g);
	unsigned slot = (unsigned)busy_slot();
	workers.no_start = true;
	for (unsigned i = 0; i < WORKER_RIG_SLOTS; i++) {
		if (i != slot)
			worker_rig_say(&workers, i, WORKER_GONE, ERR_WORKER_DIED);
	}
	engine_status(g->e, &status);
	assert_int_equal(status.workers_alive, 1);
	worker_rig_file(&workers, slot);
	engine_rig_turn(g);
	worker_rig_done(&workers, slot);
	engine_status(g->e, &status);
	assert_int_equal(status.workers_alive, 1);
	engine_rig_pass(g, 60 * 1000);
	engine_status(g->e, &status);
	assert_int_equal(status.workers_alive, 0);
}

static void many_callers_make_one_job(void **state)
{
	struct engine_rig *g = *state;
	enum { CALLERS = 64 };
	struct said said[CALLERS] = { 0 };
	unsigned started = 0;
	uint64_t conn = engine_rig_say(g, 0, START);
	engine_rig_media(g, conn, 0, BYTES);
	for (int i = 0; i < CALLERS; i++)
		engine_complete(g->e, (struct engine_ref){ "session:a", grant_local() }, NULL, 0, on_said, &said[i]);
	engine_rig_turn(g);
	for (int i = 0; i < CALLERS; i++) {
		assert_int_equal(said[i].count, 1);
		assert_int_equal(said[i].err, ERR_OK);
		const char *status = json_string_value(json_object_get(said[i].json, "status"));
		started += strcmp(status, "started") == 0;
		assert_true(strcmp(status, "started") == 0 || strcmp(status, "alreadyProcessing") == 0);
		json_decref(said[i].json);
	}
	assert_int_equal(started, 1);
	assert_int_equal(workers.gives, 1);
}

/* Somebody else claims the row, between what the engine has read and what it writes. */
static struct catalog_seal theft;

static enum err steal_run(struct catalog *c, struct catalog_op *op)
{
	struct recording_info row = { 0 };
	enum catalog_outcome outcome;
	(void)op;
	enum err err = c->ops->claim(c, &theft, &outcome, &row);
	recording_info_release(&row);
	return err;
}

static void steal_done(struct engine *e, struct catalog_op *op)
{
	(void)e;
	(void)op;
}

static void a_row_that_changed_under_the_claim_is_told(void **state)
{
	struct engine_rig *g = *state;
	struct catalog_op op = { .run = steal_run, .done = steal_done };
	workers.mute = true;
	uint64_t conn = engine_rig_say(g, 0, START);
	engine_rig_media(g, conn, 0, BYTES);
	engine_rig_turn(g);
	const struct recording_info *info = &take_by_key(g->e, "local", "a")->rec.info;
	theft = (struct catalog_seal){ .id = info->id,
				       .by = SEALED_BY_COMPLETE,
				       .revision = 1,
				       .tracks = info->tracks,
				       .track_count = info->track_count,
				       .now_ms = g->now.wall_ms };
	catalog_submit(g->e, &op);
	struct said said = complete(g);
	assert_int_equal(said.err, ERR_BUSY);
	assert_string_equal(json_string_value(json_object_get(said.json, "phase")), "queued");
	assert_int_equal(json_integer_value(json_object_get(said.json, "status")), 503);
	assert_true(json_integer_value(json_object_get(said.json, "retryAfter")) > 0);
	json_decref(said.json);
	assert_completes(g, "alreadyProcessing");
}

static void a_worker_that_dies_is_noticed_at_once(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	say(g, WORKER_GONE, ERR_WORKER_DIED);
	assert_state(g, "{\"phase\":\"queued\",\"attempt\":1,\"lastError\":{\"code\":\"worker_died\"}}");
	engine_rig_pass(g, 2000);
	assert_state(g, "{\"phase\":\"processing\",\"attempt\":2}");
	finish(g);
	assert_state(g, "{\"phase\":\"complete\",\"lastError\":null}");
	assert_true(media_has(g, "1/file.test"));
	assert_false(media_has(g, "*.tmp"));
}

static void after_three_attempts_it_has_failed(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	for (int i = 0; i < 3; i++) {
		say(g, WORKER_FAILED, ERR_CHECK_FAILED);
		say(g, WORKER_GONE, ERR_OK);
		engine_rig_pass(g, 10000);
	}
	assert_state(g, "{\"phase\":\"error\",\"attempt\":3,\"error\":{\"code\":\"check_failed\"}}");
	assert_int_equal(worker_rig_busy(&workers), -1);
	struct said said = complete(g);
	assert_int_equal(said.err, ERR_CHECK_FAILED);
	json_int_t wait = json_integer_value(json_object_get(said.json, "retryAfter"));
	assert_true(wait > 500 && wait <= 600);
	assert_int_equal(json_integer_value(json_object_get(said.json, "status")), 500);
	assert_int_equal(json_integer_value(json_object_get(said.json, "attempt")), 3);
	assert_non_null(strstr(json_string_value(json_object_get(said.json, "detail")), "3 attempts"));
	json_decref(said.json);
	assert_int_equal(workers.gives, 3);
	engine_rig_pass(g, 10 * 60 * 1000);
	assert_completes(g, "started");
	engine_rig_turn(g);
	assert_state(g, "{\"phase\":\"processing\",\"attempt\":1}");
	finish(g);
	assert_state(g, "{\"phase\":\"complete\",\"error\":null}");
}

static void what_fails_by_nature_is_not_tried_again(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	say(g, WORKER_FAILED, ERR_MEDIA_UNREADABLE);
	say(g, WORKER_GONE, ERR_OK);
	engine_rig_pass(g, 60000);
	assert_state(g, "{\"phase\":\"error\",\"attempt\":1,\"error\":{\"code\":\"media_unreadable\"}}");
	assert_int_equal(workers.gives, 1);
	assert_true(media_empty(g));
	assert_completes(g, "started"); /* whoever asks may try */
	assert_state(g, "{\"phase\":\"processing\",\"attempt\":2}");
}

static void one_that_is_silent_loses_its_lease(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	unsigned silent = (unsigned)busy_slot();
	workers.immortal = true;
	for (int i = 0; i < 14; i++) { /* a long job with a heartbeat is not stuck */
		engine_rig_pass(g, 20000);
		say(g, WORKER_ALIVE, ERR_OK);
	}
	assert_state(g, "{\"phase\":\"processing\",\"attempt\":1}");
	engine_rig_pass(g, 29000);
	assert_int_equal(workers.slots[silent].kills, 0);
	engine_rig_pass(g, 3000);
	assert_int_equal(workers.slots[silent].kills, 1);
	assert_state(g, "{\"attempt\":2,\"lastError\":{\"code\":\"worker_silent\"}}");
	assert_int_equal(workers.gives, 1); /* the next one waits until nobody writes there any more */
	worker_rig_file(&workers, silent);  /* it wakes up, and its word counts no more */
	worker_rig_say(&workers, silent, WORKER_DONE, ERR_OK);
	engine_rig_turn(g);
	assert_state(g, "{\"file\":null}");
	worker_rig_say(&workers, silent, WORKER_GONE, ERR_OK);
	engine_rig_turn(g);
	assert_int_equal(workers.gives, 2);
	finish(g);
	assert_state(g, "{\"phase\":\"complete\",\"attempt\":2,\"file\":{\"revision\":1}}");
}

static void one_that_never_goes_away_blocks_nothing_for_ever(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	workers.immortal = true;
	engine_rig_pass(g, 31000); /* its lease is lost, and it hangs in the kernel */
	engine_rig_pass(g, 5 * 60 * 1000);
	assert_state(g, "{\"phase\":\"error\",\"error\":{\"code\":\"worker_silent\"}}");
	assert_int_equal(workers.gives, 1);
}

static void a_server_that_stood_still_blames_nobody(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	unsigned slot = (unsigned)busy_slot();
	g->now.mono_ms += 100000; /* a laptop that slept, and its worker with it */
	g->now.wall_ms += 100000;
	engine_rig_turn(g);
	assert_int_equal(workers.slots[slot].kills, 0);
	finish(g);
	assert_state(g, "{\"phase\":\"complete\",\"attempt\":1}");
}

static void one_that_hangs_takes_no_lease(void **state)
{
	struct engine_rig *g = *state;
	engine_rig_turn(g);
	engine_rig_pass(g, 2000); /* both are idle */
	workers.mute = true;
	record(g);
	assert_state(g, "{\"phase\":\"queued\",\"attempt\":0}");
	workers.mute = false;
	engine_rig_pass(g, 7000); /* killed, replaced, and the new one works */
	assert_int_equal(workers.slots[0].kills, 1);
	assert_state(g, "{\"phase\":\"processing\",\"attempt\":1}");
}

static void a_late_resume_ends_the_work(void **state)
{
	struct engine_rig *g = *state;
	record_interrupted(g);
	assert_state(g, "{\"phase\":\"processing\",\"interrupted\":true}");
	unsigned slot = (unsigned)busy_slot();
	worker_rig_file(&workers, slot);
	uint64_t conn = engine_rig_say(g, 0, START);
	assert_int_equal(workers.slots[slot].kills, 1);
	engine_rig_media(g, conn, BYTES, 5000);
	engine_rig_turn(g);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":15000}");
	assert_state(g, "{\"phase\":\"processing\",\"revision\":2,\"attempt\":1}");
	assert_int_equal(workers.slots[busy_slot()].job->tracks[0].bytes, 15000);
	finish(g);
	assert_state(g, "{\"phase\":\"complete\",\"file\":{\"revision\":2,\"bytes\":15000}}");
	assert_true(media_has(g, "2/file.test"));
	assert_false(media_has(g, "1"));
	assert_false(media_has(g, "*.tmp"));
}

static void a_deletion_leaves_nothing(void **state)
{
	struct engine_rig *g = *state;
	struct said said = { 0 };
	record(g);
	unsigned slot = (unsigned)busy_slot();
	workers.immortal = true;
	engine_delete(g->e, (struct engine_ref){ "session:a", grant_local() }, on_said, &said);
	engine_rig_turn(g);
	assert_int_equal(said.err, ERR_OK);
	assert_int_equal(workers.slots[slot].kills, 1);
	json_decref(said.json);
	worker_rig_file(&workers, slot); /* it still writes into what it was given */
	worker_rig_say(&workers, slot, WORKER_GONE, ERR_OK);
	engine_rig_turn(g);
	assert_true(media_empty(g));
	char *gone = engine_rig_get(g, "session:a");
	assert_string_equal(gone, "deleted");
	free(gone);
	char command[128];
	snprintf(command, sizeof command, "test -z \"$(ls -A %s/spool)\"", g->dir);
	assert_int_equal(system(command), 0);
}

static void a_restart_goes_on_with_what_was_running(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	assert_int_equal(workers.gives, 1);
	engine_rig_close(g); /* as a crash would: nobody gives the job back */
	worker_rig_init(&workers);
	assert_int_equal(engine_rig_open(g), ERR_OK);
	assert_state(g, "{\"phase\":\"queued\",\"attempt\":1,\"lastError\":{\"code\":\"worker_died\"}}");
	engine_rig_pass(g, 5000);
	assert_state(g, "{\"phase\":\"processing\",\"attempt\":2}");
	finish(g);
	assert_state(g, "{\"phase\":\"complete\"}");
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static void a_clean_stop_gives_the_work_back(void **state)
{
	struct engine_rig *g = *state;
	bool stopped = false;
	record(g);
	engine_stop(g->e, g->now, on_stopped, &stopped);
	engine_rig_turn(g);
	assert_true(stopped);
	assert_int_equal(worker_rig_busy(&workers), -1);
	engine_rig_close(g);
	worker_rig_init(&workers);
	assert_int_equal(engine_rig_open(g), ERR_OK);
	assert_state(g, "{\"phase\":\"queued\",\"attempt\":0,\"lastError\":{\"code\":\"shutting_down\"}}");
	engine_rig_pass(g, 5000);
	finish(g);
	assert_state(g, "{\"phase\":\"complete\"}");
}

static void one_that_cannot_be_started_is_tried_again_later(void **state)
{
	struct engine_rig *g = *state;
	struct engine_status status;
	workers.no_start = true;
	for (int i = 0; i < WORKER_RIG_SLOTS; i++)
		worker_rig_say(&workers, (unsigned)i, WORKER_GONE, ERR_OK);
	engine_rig_turn(g);
	record(g);
	engine_rig_pass(g, 5 * 60 * 1000);
	assert_state(g, "{\"phase\":\"queued\",\"attempt\":0}");
	assert_true(workers.slots[0].starts > 5 && workers.slots[0].starts < 20);
	engine_status(g->e, &status);
	assert_int_equal(status.workers, WORKER_RIG_SLOTS);
	assert_int_equal(status.workers_alive, 0);
	assert_int_equal(status.queues[JOB_FINALIZE].queued, 1);
	assert_true(status.queues[JOB_FINALIZE].oldest_ms >= 4 * 60 * 1000);
	struct recording_info row = { .job = { .id = 1,
					       .kind = JOB_FINALIZE,
					       .state = JOB_QUEUED,
					       .queued_ms = g->now.wall_ms - 5 * 60 * 1000 } };
	assert_true(jobs_unserved(g->e, &row));
	row.job.queued_ms += 1000; /* not long enough */
	assert_false(jobs_unserved(g->e, &row));
	row.job.queued_ms =
		g->now.wall_ms + 3600 * 1000; /* the clock was set back: what is sure is that nobody works */
	assert_true(jobs_unserved(g->e, &row));
	workers.no_start = false;
	for (int i = 0; i < 61 && worker_rig_busy(&workers) < 0; i++)
		engine_rig_pass(g, 1000);
	assert_state(g, "{\"phase\":\"processing\",\"attempt\":1}");
	assert_false(jobs_unserved(g->e, &row));
}

static void decoration_that_fails_for_good_is_a_warning(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	worker_rig_file(&workers, (unsigned)busy_slot());
	engine_rig_turn(g);
	say(g, WORKER_FAILED, ERR_MEDIA_LIMIT);
	say(g, WORKER_GONE, ERR_OK);
	assert_state(g, "{\"phase\":\"complete\",\"file\":{\"thumbnail\":false,\"waveform\":false}}");
	json_t *json = state_of(g);
	assert_int_equal(json_array_size(json_object_get(json, "warnings")), 2);
	json_decref(json);
}

static void a_worker_is_not_believed(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	say(g, WORKER_FILE, ERR_OK); /* it says so, and has written nothing */
	engine_rig_turn(g);
	assert_state(g, "{\"file\":null,\"lastError\":{\"code\":\"check_failed\"}}");
	engine_rig_pass(g, 2000);
	say(g, WORKER_DONE, ERR_OK); /* without a file */
	assert_state(g, "{\"file\":null}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_recorded_becomes_a_file),
		TEST(nothing_recorded_is_published_without_a_worker),
		TEST(a_track_without_a_byte_is_told),
		TEST(a_worker_that_did_its_job_is_not_missed),
		TEST(many_callers_make_one_job),
		TEST(a_row_that_changed_under_the_claim_is_told),
		TEST(a_worker_that_dies_is_noticed_at_once),
		TEST(after_three_attempts_it_has_failed),
		TEST(what_fails_by_nature_is_not_tried_again),
		TEST(one_that_is_silent_loses_its_lease),
		TEST(one_that_never_goes_away_blocks_nothing_for_ever),
		TEST(a_server_that_stood_still_blames_nobody),
		TEST(one_that_hangs_takes_no_lease),
		TEST(a_late_resume_ends_the_work),
		TEST(a_deletion_leaves_nothing),
		TEST(a_restart_goes_on_with_what_was_running),
		TEST(a_clean_stop_gives_the_work_back),
		TEST(one_that_cannot_be_started_is_tried_again_later),
		TEST(decoration_that_fails_for_good_is_a_warning),
		TEST(a_worker_is_not_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
