/* Fetches through the engine's one face, with the source in the test's hands: what a stop, a failure of storage and a
 * deletion make of them. */
#include "sim/disk.h"
#include "store/catalog.h"
#include "store/spool.h"
#include "support/engine_rig.h"
#include "work/fetcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct source {
	struct fetcher base;
	unsigned starts, cancels;
	uint64_t id, from; /* of the newest transfer; id 0: none is under way */
	char validator[64];
	uint64_t retry_after_ms; /* what it says with its failures */
};

static enum err judge(struct fetcher *f, const char *url, const char **why)
{
	*why = "";
	return ERR_OK;
}

static void start(struct fetcher *f, const struct fetch *fetch)
{
	struct source *s = (struct source *)f;
	s->starts++;
	s->id = fetch->id;
	s->from = fetch->from;
	snprintf(s->validator, sizeof s->validator, "%s", fetch->validator ? fetch->validator : "");
}

static void pause_fetch(struct fetcher *f, uint64_t id, bool paused)
{
}

static void cancel(struct fetcher *f, uint64_t id)
{
	struct source *s = (struct source *)f;
	s->cancels++;
	if (s->id == id)
		s->id = 0;
}

static const struct fetcher_ops ops = { judge, start, pause_fetch, cancel };
static struct source source;
static struct disk *disk;

static int setup(void **state)
{
	if (disk_new(7, &disk) != ERR_OK)
		return -1;
	struct engine_rig *g = engine_rig_new(disk_vfs(disk));
	source = (struct source){ .base.ops = &ops };
	g->fetcher = &source.base;
	*state = g;
	return engine_rig_open(g) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	engine_rig_free(*state);
	disk_free(disk);
	return 0;
}

struct said {
	enum err err;
	unsigned count;
	char body[4096];
};

static void on_said(void *arg, enum err err, const char *json, size_t len)
{
	struct said *s = arg;
	s->err = err;
	s->count++;
	snprintf(s->body, sizeof s->body, "%.*s", (int)len, json ? json : "");
}

static void on_registered(void *arg, enum err err, bool created, const char *json, size_t len)
{
	on_said(arg, err, json, len);
}

static struct said add(struct engine_rig *g, const char *ref)
{
	struct said s = { 0 };
	engine_register(
		g->e,
		&(struct engine_source){ .grant = grant_local(), .url = "https://provider.example/1", .ref = ref },
		on_registered, &s);
	engine_rig_turn(g);
	assert_int_equal(s.count, 1);
	return s;
}

static struct said complete(struct engine_rig *g)
{
	struct said s = { 0 };
	engine_complete(g->e, (struct engine_ref){ "ref:call", grant_local() }, NULL, 0, on_said, &s);
	engine_rig_turn(g);
	return s;
}

/* The source begins to answer, with a validator. */
static void begins(struct engine_rig *g, uint64_t total)
{
	struct fetch_head head = { .total = total, .mime = "audio/ogg", .from_start = source.from == 0 };
	assert_true(source.id != 0);
	source.base.events.head(source.base.events.arg, source.id, &head, "\"one\"");
	engine_rig_turn(g);
}

static void sends(struct engine_rig *g, size_t from, size_t len)
{
	char *bytes = malloc(len);
	for (size_t i = 0; i < len; i++)
		bytes[i] = engine_rig_byte(from + i);
	source.base.events.data(source.base.events.arg, source.id, bytes, len);
	free(bytes);
	engine_rig_turn(g);
}

static void ends(struct engine_rig *g, enum err err)
{
	uint64_t id = source.id;
	source.id = 0;
	source.base.events.ended(source.base.events.arg, id, err, err ? "It broke." : NULL, source.retry_after_ms);
	engine_rig_turn(g);
}

static void assert_shows(struct engine_rig *g, const char *part)
{
	char *json = engine_rig_get(g, "ref:call");
	if (!strstr(json, part))
		fail_msg("no %s in %s", part, json);
	free(json);
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

/* Stopped cleanly, and started again. */
static void restart(struct engine_rig *g)
{
	bool stopped = false;
	engine_stop(g->e, g->now, on_stopped, &stopped);
	engine_rig_turn(g);
	assert_true(stopped);
	engine_rig_close(g);
	source.id = 0;
	assert_int_equal(engine_rig_open(g), ERR_OK);
	engine_rig_pass(g, 3000);
}

static void it_goes_on_behind_what_is_there(void **state)
{
	struct engine_rig *g = *state;
	add(g, "call");
	engine_rig_pass(g, 1000);
	begins(g, 3000);
	sends(g, 0, 1000);
	ends(g, ERR_SOURCE_FAILED);
	engine_rig_pass(g, 3000);
	assert_int_equal(source.from, 1000);
	assert_string_equal(source.validator, "\"one\"");
	begins(g, 3000);
	sends(g, 1000, 2000);
	ends(g, ERR_OK);
	engine_rig_pass(g, 1000);
	assert_shows(g, "\"phase\":\"queued\"");
	assert_shows(g, "\"bytes\":3000");
}

/* Nobody's failure: a server that is updated again and again must not end a recording in `error`. */
static void a_clean_stop_is_no_attempt(void **state)
{
	struct engine_rig *g = *state;
	add(g, "call");
	engine_rig_pass(g, 1000);
	for (size_t i = 0; i < 5; i++) {
		begins(g, 6000);
		sends(g, 1000 * i, 1000);
		assert_shows(g, "\"attempt\":1,");
		restart(g);
		assert_int_equal(source.from, 1000 * (i + 1));
	}
	begins(g, 6000);
	sends(g, 5000, 1000);
	ends(g, ERR_OK);
	engine_rig_pass(g, 1000);
	assert_shows(g, "\"phase\":\"queued\"");
}

/* A crash is: three of them within ten minutes, and somebody has to look. */
static void a_crash_is_an_attempt(void **state)
{
	struct engine_rig *g = *state;
	add(g, "call");
	engine_rig_pass(g, 1000);
	for (unsigned i = 0; i < 3; i++) {
		assert_shows(g, "\"phase\":\"uploading\"");
		begins(g, 6000);
		engine_rig_close(g);
		disk_power_cut(disk, DISK_LOSS_ALL);
		assert_int_equal(engine_rig_open(g), ERR_OK);
		engine_rig_pass(g, 40000); /* the longest wait between two attempts */
	}
	assert_shows(g, "\"phase\":\"error\"");
	assert_shows(g, "All 3 attempts failed");
}

/* Three attempts are spread, and a source that says when to come back is left alone until then. */
static void a_source_that_is_busy_is_left_alone(void **state)
{
	static const struct {
		uint64_t asks_ms, wait_ms;
	} waits[] = { { 0, LIMIT_FETCH_WAIT_FIRST_MS },
		      { 0, LIMIT_FETCH_WAIT_FIRST_MS * 8 },
		      { 60 * 1000, 60 * 1000 },
		      { 24 * 3600 * 1000, LIMIT_FETCH_WAIT_MAX_MS } };
	struct engine_rig *g = *state;
	add(g, "call");
	engine_rig_pass(g, 1000);
	for (unsigned i = 0; i < sizeof waits / sizeof *waits; i++) {
		unsigned starts = source.starts;
		if (i == 2) { /* the attempts of another window */
			ends(g, ERR_SOURCE_FAILED);
			assert_shows(g, "\"phase\":\"error\"");
			engine_rig_pass(g, LIMIT_ATTEMPTS_MS);
			assert_int_equal(complete(g).err, ERR_OK);
			engine_rig_pass(g, 1000);
			starts = source.starts;
		}
		source.retry_after_ms = waits[i].asks_ms;
		ends(g, ERR_SOURCE_FAILED);
		engine_rig_pass(g, waits[i].wait_ms - 500);
		assert_int_equal(source.starts, starts);
		engine_rig_pass(g, 2000);
		assert_int_equal(source.starts, starts + 1);
	}
}

/* What was deleted is not taken for one from elsewhere, and does not come back. */
static void a_ref_that_was_deleted(void **state)
{
	struct engine_rig *g = *state;
	struct said s = { 0 };
	add(g, "call");
	engine_delete(g->e, (struct engine_ref){ "ref:call", grant_local() }, on_said, &s);
	engine_rig_pass(g, 1000);
	assert_int_equal(s.err, ERR_OK);
	assert_int_equal(source.id, 0);
	struct said again = add(g, "call");
	assert_int_equal(again.err, ERR_DELETED);
	assert_non_null(strstr(again.body, "\"deleted\""));
}

/* Storage failed under it: there is nothing to go on from. */
static void what_storage_failed_is_not_fetched_on(void **state)
{
	struct engine_rig *g = *state;
	add(g, "call");
	engine_rig_pass(g, 1000);
	begins(g, 900000);
	sends(g, 0, 1000);
	disk_fail(disk, &(struct disk_fault){ .call = DISK_WRITE, .prefix = "spool", .err = ERR_WRITE_FAILED });
	for (size_t at = 1000; at < 800000 && source.id; at += 16000)
		sends(g, at, 16000);
	engine_rig_pass(g, 70000);
	disk_heal(disk);
	assert_shows(g, "\"phase\":\"error\"");
	assert_shows(g, "\"poisoned\"");
	struct said s = complete(g);
	engine_rig_pass(g, 60000);
	assert_int_equal(s.err, ERR_POISONED);
	assert_shows(g, "\"phase\":\"error\"");
}

/* Its folder was moved away with what it had: what would follow would stand behind a hole. */
static void what_is_in_quarantine_is_not_fetched_on(void **state)
{
	struct engine_rig *g = *state;
	struct catalog *c;
	struct recording_info row;
	enum catalog_outcome outcome;
	add(g, "call");
	engine_rig_pass(g, 1000);
	begins(g, 3000);
	sends(g, 0, 1000);
	ends(g, ERR_SOURCE_FAILED);
	engine_rig_pass(g, 1000);
	ends(g, ERR_SOURCE_FAILED); /* twice without a byte: the attempt has failed, and the row knows the length */
	engine_rig_pass(g, 1);
	bool stopped = false;
	engine_stop(g->e, g->now, on_stopped, &stopped);
	engine_rig_turn(g);
	assert_true(stopped);
	engine_rig_close(g);
	source.id = 0;
	/* as recovery does with what does not add up */
	assert_int_equal(catalog_sqlite_open(disk_vfs(disk), false, &c), ERR_OK);
	assert_int_equal(c->ops->begin(c), ERR_OK);
	assert_int_equal(c->ops->find_ref(c, "call", &row), ERR_OK);
	struct uuid id = row.id;
	assert_int_equal(recording_info_bytes(&row), 1000);
	recording_info_release(&row);
	assert_int_equal(spool_quarantine(disk_vfs(disk), &id), ERR_OK);
	assert_int_equal((c->ops->fail)(c, &id, ERR_QUARANTINED, "it broke", 1, &outcome, &row), ERR_OK);
	assert_int_equal(outcome, CATALOG_CHANGED);
	recording_info_release(&row);
	assert_int_equal(c->ops->commit(c), ERR_OK);
	catalog_close(c);
	assert_int_equal(engine_rig_open(g), ERR_OK);
	struct said s = complete(g);
	engine_rig_pass(g, 10000);
	assert_int_equal(source.id, 0);
	assert_int_equal(s.err, ERR_QUARANTINED);
	assert_shows(g, "\"phase\":\"error\"");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_goes_on_behind_what_is_there),
		TEST(a_clean_stop_is_no_attempt),
		TEST(a_crash_is_an_attempt),
		TEST(a_source_that_is_busy_is_left_alone),
		TEST(a_ref_that_was_deleted),
		TEST(what_storage_failed_is_not_fetched_on),
		TEST(what_is_in_quarantine_is_not_fetched_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
