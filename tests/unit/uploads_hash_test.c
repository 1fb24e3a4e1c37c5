/* The SHA-256 of files over HTTP: nobody computes one before a worker has read the file, whose word is kept with what
 * it makes; what a client declared is compared then. */
#include "engine/internal.h"
#include "sim/disk.h"
#include "support/engine_rig.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES = 100000 };

struct fixture {
	struct disk *disk;
	struct engine_rig *g;
	struct worker_rig workers;
	char id[UUID_TEXT];
	char sha256[65], other[65]; /* its own, and another one */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_int_equal(disk_new(1, &f->disk), ERR_OK);
	f->g = engine_rig_new(disk_vfs(f->disk));
	worker_rig_init(&f->workers);
	f->g->workers = &f->workers;
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	engine_rig_free(f->g);
	disk_free(f->disk);
	free(f);
	return 0;
}

static void crash(struct fixture *f)
{
	engine_rig_close(f->g);
	worker_rig_init(&f->workers);
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
}

static void heard(void *arg, enum err err, const struct engine_upload *upload)
{
	struct fixture *f = arg;
	assert_int_equal(err, ERR_OK);
	uuid_format(&upload->id, f->id);
}

static void begun(void *arg, const struct engine_upload *upload)
{
}

static void paused(void *arg, bool is)
{
}

/* A whole file of so many bytes. */
static void upload(struct fixture *f, size_t len)
{
	struct engine_upload_new new = { .grant = grant_local(), .length = len, .name = "x" };
	char *bytes = malloc(len + 1);
	uint8_t sum[32];
	for (size_t i = 0; i < len; i++)
		bytes[i] = engine_rig_byte(i);
	EVP_Digest(bytes, len, sum, NULL, EVP_sha256(), NULL);
	sha256_format(sum, f->sha256);
	sum[9] ^= 1;
	sha256_format(sum, f->other);
	engine_upload_create(f->g->e, &new, heard, f);
	engine_rig_turn(f->g);
	struct engine_append ask = { .ref = { f->id, grant_local() },
				     .length = BYTES_UNKNOWN,
				     .body = len,
				     .begun = begun,
				     .pause = paused,
				     .done = heard,
				     .arg = f };
	uint64_t number = len > 0 ? engine_append(f->g->e, &ask, f->g->now) : 0;
	engine_rig_turn(f->g);
	engine_append_data(f->g->e, number, (struct engine_media){ bytes, len, { 0 }, 0 }, f->g->now);
	engine_append_end(f->g->e, number, f->g->now);
	engine_rig_turn(f->g);
	free(bytes);
}

/* The status has these members; both hashes in it are `sha256`, or null. */
static void assert_shows(struct fixture *f, const char *phase, const char *sha256)
{
	char *text = engine_rig_get(f->g, f->id);
	json_t *json = json_loads(text, 0, NULL);
	json_t *track = json_array_get(json_object_get(json, "tracks"), 0);
	const char *whole = json_string_value(json_object_get(json, "sha256"));
	const char *one = json_string_value(json_object_get(track, "sha256"));
	const char *is = json_string_value(json_object_get(json, "phase"));
	bool same = sha256 ? whole && one && strcmp(whole, sha256) == 0 && strcmp(one, sha256) == 0 : !whole && !one;
	if (!same || !is || strcmp(is, phase) != 0 || !json_is_true(json_object_get(track, "sealed")))
		fail_msg("wanted %s, %s: %s", phase, sha256 ? sha256 : "no hash", text);
	json_decref(json);
	free(text);
}

static unsigned busy(struct fixture *f)
{
	int slot = worker_rig_busy(&f->workers);
	if (slot < 0)
		fail_msg("no worker has a job");
	return (unsigned)slot;
}

static void said(void *arg, enum err err, const char *json, size_t len)
{
	*(enum err *)arg = err;
}

static enum err complete(struct fixture *f, const char *sha256)
{
	enum err err = ERR_INTERNAL;
	struct engine_total total = { .bytes = BYTES, .has_sha256 = true };
	assert_true(sha256_parse(sha256, total.sha256.bytes));
	engine_complete(f->g->e, (struct engine_ref){ f->id, grant_local() }, &total, 1, said, &err);
	engine_rig_turn(f->g);
	return err;
}

static void finish(struct fixture *f)
{
	unsigned slot = busy(f);
	worker_rig_file_only(&f->workers, slot);
	engine_rig_turn(f->g);
	worker_rig_done(&f->workers, slot);
	engine_rig_turn(f->g);
}

static void test_from_the_worker(void **state)
{
	struct fixture *f = *state;
	upload(f, BYTES);
	assert_shows(f, "processing", NULL);
	unsigned slot = busy(f);
	assert_true(worker_rig_hash(&f->workers, slot, false));
	engine_rig_turn(f->g);
	assert_shows(f, "processing", NULL); /* with what is made of it, not before */
	worker_rig_file_only(&f->workers, slot);
	engine_rig_turn(f->g);
	assert_shows(f, "generating_thumbnail", f->sha256);
	crash(f);
	engine_rig_pass(f->g, LIMIT_RETRY_FIRST_MS);		    /* what was at work is tried again */
	assert_false(worker_rig_hash(&f->workers, busy(f), false)); /* and is known already */
	finish(f);
	assert_shows(f, "complete", f->sha256);
	crash(f);
	assert_shows(f, "complete", f->sha256);
}

/* What is left in the folder says it, too. */
static void test_in_the_manifest(void **state)
{
	struct fixture *f = *state;
	struct recording_info info;
	struct uuid id;
	upload(f, BYTES);
	assert_true(uuid_parse(f->id, &id));
	struct take *t = take_by_id(f->g->e, &id);
	take_pin(t); /* somebody reads it, say */
	checkpoint_begin(f->g->e);
	engine_rig_turn(f->g);
	assert_false(t->manifest_dirty);
	worker_rig_file(&f->workers, busy(f));
	engine_rig_turn(f->g);
	worker_rig_done(&f->workers, busy(f));
	engine_rig_turn(f->g);
	checkpoint_begin(f->g->e);
	engine_rig_turn(f->g);
	take_unpin(f->g->e, t);
	assert_int_equal(manifest_read(disk_vfs(f->disk), &id, &info), ERR_OK);
	char hex[65] = "";
	if (info.tracks[0].has_sha256)
		sha256_format(info.tracks[0].sha256.bytes, hex);
	recording_info_release(&info);
	assert_string_equal(hex, f->sha256);
}

static void test_empty(void **state)
{
	struct fixture *f = *state;
	upload(f, 0);
	engine_rig_turn(f->g);
	assert_shows(f, "complete", f->sha256);
}

/* An attempt that failed behind its hash leaves it to the next one. */
static void test_kept_by_a_failure(void **state)
{
	struct fixture *f = *state;
	upload(f, BYTES);
	assert_true(worker_rig_hash(&f->workers, busy(f), false));
	worker_rig_say(&f->workers, busy(f), WORKER_GONE, ERR_WORKER_DIED);
	engine_rig_turn(f->g);
	assert_shows(f, "queued", f->sha256);
	engine_rig_pass(f->g, LIMIT_RETRY_FIRST_MS);
	assert_false(worker_rig_hash(&f->workers, busy(f), false));
	finish(f);
	assert_shows(f, "complete", f->sha256);
}

/* It comes first, once, and of all that is asked for: whoever has seen media is not believed. */
static void test_too_late(void **state)
{
	struct fixture *f = *state;
	upload(f, BYTES);
	worker_rig_file_only(&f->workers, busy(f)); /* without */
	engine_rig_turn(f->g);
	assert_shows(f, "queued", NULL);
	engine_rig_pass(f->g, LIMIT_RETRY_FIRST_MS);
	unsigned slot = busy(f);
	assert_true(worker_rig_hash(&f->workers, slot, false));
	worker_rig_hash(&f->workers, slot, true); /* another one */
	engine_rig_turn(f->g);
	assert_shows(f, "queued", f->sha256);
}

static void test_declared_wrong(void **state)
{
	struct fixture *f = *state;
	upload(f, BYTES);
	assert_int_equal(complete(f, f->other), ERR_OK); /* who knows */
	assert_shows(f, "processing", NULL);
	worker_rig_file(&f->workers, busy(f));
	engine_rig_turn(f->g);
	assert_shows(f, "error", f->sha256);
	char *text = engine_rig_get(f->g, f->id);
	assert_non_null(strstr(text, "\"error\":{\"code\":\"checksum_mismatch\""));
	assert_non_null(strstr(text, "\"bytes\":100000"));
	free(text);
	assert_int_equal(complete(f, f->other), ERR_CHECKSUM_MISMATCH); /* now it is known */
	assert_int_equal(complete(f, f->sha256), ERR_OK);
	engine_rig_turn(f->g);
	finish(f);
	assert_shows(f, "complete", f->sha256);
}

/* Also when what was said of it is known to the disk alone. */
static void test_declared_and_crashed(void **state)
{
	struct fixture *f = *state;
	upload(f, BYTES);
	assert_int_equal(complete(f, f->other), ERR_OK);
	crash(f);
	engine_rig_pass(f->g, LIMIT_RETRY_FIRST_MS);
	assert_true(worker_rig_hash(&f->workers, busy(f), false));
	worker_rig_say(&f->workers, busy(f), WORKER_GONE, ERR_WORKER_DIED);
	engine_rig_turn(f->g);
	assert_shows(f, "error", f->sha256); /* no later attempt is needed to know that */
}

static void test_declared_right(void **state)
{
	struct fixture *f = *state;
	upload(f, BYTES);
	assert_int_equal(complete(f, f->sha256), ERR_OK);
	assert_int_equal(complete(f, f->sha256), ERR_OK);
	worker_rig_file(&f->workers, busy(f));
	engine_rig_turn(f->g);
	assert_int_equal(complete(f, f->other), ERR_CHECKSUM_MISMATCH);
	worker_rig_done(&f->workers, busy(f));
	engine_rig_turn(f->g);
	assert_shows(f, "complete", f->sha256);
}

/* A worker publishes in the very moment in which somebody says what the file should have been. */
static void test_declared_amid_publishing(void **state)
{
	struct fixture *f = *state;
	enum err err = ERR_INTERNAL;
	struct engine_total total = { .bytes = BYTES, .has_sha256 = true };
	upload(f, BYTES);
	assert_true(sha256_parse(f->other, total.sha256.bytes));
	worker_rig_file(&f->workers, busy(f));
	engine_complete(f->g->e, (struct engine_ref){ f->id, grant_local() }, &total, 1, said, &err);
	engine_rig_turn(f->g);
	char *text = engine_rig_get(f->g, f->id);
	bool failed = strstr(text, "\"phase\":\"error\"") != NULL;
	free(text);
	assert_int_equal(err, failed ? ERR_OK : ERR_CHECKSUM_MISMATCH);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_from_the_worker),	 TEST(test_in_the_manifest), TEST(test_empty),
		TEST(test_kept_by_a_failure),	 TEST(test_too_late),	     TEST(test_declared_wrong),
		TEST(test_declared_and_crashed), TEST(test_declared_right),  TEST(test_declared_amid_publishing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
