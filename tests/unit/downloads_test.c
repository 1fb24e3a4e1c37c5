/* Questions for a recording's bytes through the engine's face: what is published, what is not yet, and downloads that
 * outlive what they read. A worker's part is done here by hand, between two lives of the engine. */
#include "engine/engine.h"
#include "sim/disk.h"
#include "store/media.h"
#include "support/engine_rig.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TAKE_BYTES = 300000, FILE_BYTES = 400000 };

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

/* --- what was asked, and the answer --- */

struct answer {
	struct serving serving;
	struct engine_original file;
	bool has_file;
	json_t *body;
	char *read; /* all of the file */
	size_t len;
	enum err err;
	unsigned count;
};

static void answered(void *arg, const struct serving *serving, const struct engine_original *file, const char *body,
		     size_t len)
{
	struct answer *a = arg;
	a->serving = *serving;
	a->has_file = file != NULL;
	if (file)
		a->file = *file;
	a->body = body ? json_loadb(body, len, 0, NULL) : NULL;
	a->count++;
}

static void answer_release(struct engine_rig *g, struct answer *a)
{
	if (a->has_file)
		engine_reader_close(g->e, a->file.reader);
	json_decref(a->body);
	free(a->read);
}

static struct answer ask_as(struct engine_rig *g, enum resource resource, const char *track, const struct grant *grant)
{
	struct answer a = { 0 };
	engine_download(g->e, (struct engine_ref){ "session:a", grant }, resource, track, answered, &a);
	engine_rig_turn(g);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.has_file, a.serving.status == 200);
	assert_int_equal(a.body != NULL, a.serving.status != 200);
	return a;
}

static struct answer ask(struct engine_rig *g, enum resource resource)
{
	return ask_as(g, resource, NULL, grant_local());
}

static void piece(void *arg, enum err err, const void *data, size_t len)
{
	struct answer *a = arg;
	a->err = err;
	if (err)
		return;
	memcpy(a->read + a->len, data, len);
	a->len += len;
}

/* Reads on to `to`. */
static void read_to(struct engine_rig *g, struct answer *a, uint64_t to)
{
	if (!a->read)
		a->read = malloc(a->file.bytes + 1);
	while (a->len < to && !a->err) {
		engine_read(g->e, a->file.reader, a->len, to - a->len, piece, a);
		engine_rig_turn(g);
	}
	assert_int_equal(a->err, ERR_OK);
}

static const char *code(const struct answer *a)
{
	return json_string_value(json_object_get(a->body, "code"));
}

static void assert_refused(struct engine_rig *g, struct answer a, int status, enum err err)
{
	assert_int_equal(a.serving.status, status);
	assert_string_equal(code(&a), err_code(err));
	assert_int_equal(json_integer_value(json_object_get(a.body, "status")), status);
	answer_release(g, &a);
}

/* --- a take, and what a worker makes of it --- */

/* Session "a", sealed: TAKE_BYTES of engine_rig_byte. */
static void record(struct engine_rig *g)
{
	uint64_t conn = engine_rig_say(
		g, 0, "{\"type\":\"start\",\"sessionId\":\"a\",\"mime\":\"video/webm\",\"ext\":\"webm\"}");
	engine_rig_media(g, conn, 0, TAKE_BYTES);
	engine_rig_turn(g);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":300000}");
	assert_non_null(strstr(engine_rig_last(g), "\"saved\""));
}

static char made_byte(enum media_part part, size_t offset)
{
	return (char)(offset * 7 >> 4 ^ (size_t)part);
}

static const uint64_t part_bytes[] = { [MEDIA_FILE] = FILE_BYTES, [MEDIA_THUMBNAIL] = 5000, [MEDIA_WAVEFORM] = 5000 };

static void fill_part(struct vfs_file *file, enum media_part part)
{
	char *bytes = malloc(part_bytes[part]);
	for (size_t i = 0; i < part_bytes[part]; i++)
		bytes[i] = made_byte(part, i);
	assert_int_equal(vfs_file_write(file, bytes, part_bytes[part], 0), ERR_OK);
	free(bytes);
}

struct placing {
	struct vfs *vfs;
	struct media_attempt *attempt;
};

static enum err place(void *arg)
{
	struct placing *p = arg;
	return media_attempt_publish(p->vfs, p->attempt);
}

/* All that a worker does for the oldest job. */
static void work(struct engine_rig *g, struct media_info media)
{
	struct catalog *c;
	struct job_info job = { 0 };
	struct recording_info row = { 0 };
	struct media_attempt attempt;
	engine_rig_close(g);
	assert_int_equal(catalog_sqlite_open(g->vfs, false, &c), ERR_OK);
	assert_int_equal(c->ops->begin(c), ERR_OK);
	assert_int_equal(c->ops->job_claim(c, JOB_FINALIZE, g->now.wall_ms, g->now.wall_ms + 30000, &job, &row),
			 ERR_OK);
	struct job_key key = { job.id, job.epoch };
	media.revision = row.revision;
	media.published_ms = g->now.wall_ms;
	assert_int_equal(media_attempt_open(g->vfs, &row.id, row.revision, job.epoch, &attempt), ERR_OK);
	if (!media.as_is)
		fill_part(attempt.files[MEDIA_FILE], MEDIA_FILE);
	if (media.has_thumbnail)
		fill_part(attempt.files[MEDIA_THUMBNAIL], MEDIA_THUMBNAIL);
	if (media.has_waveform)
		fill_part(attempt.files[MEDIA_WAVEFORM], MEDIA_WAVEFORM);
	assert_int_equal(media_attempt_seal(g->vfs, &attempt, &media), ERR_OK);
	recording_info_release(&row);
	struct placing placing = { g->vfs, &attempt };
	assert_int_equal(c->ops->job_publish(c, &key, &media, NULL, g->now.wall_ms, place, &placing, &row), ERR_OK);
	assert_int_equal(media_attempt_finish(g->vfs, &attempt, &media), ERR_OK);
	recording_info_release(&row);
	assert_int_equal(c->ops->job_done(c, &key, &media, NULL, g->now.wall_ms, &row), ERR_OK);
	assert_int_equal(c->ops->commit(c), ERR_OK);
	media_attempt_close(g->vfs, &attempt, false);
	recording_info_release(&row);
	job_info_release(&job);
	catalog_close(c);
	assert_int_equal(engine_rig_open(g), ERR_OK);
}

static const struct media_info whole = {
	.has_thumbnail = true,
	.has_waveform = true,
	.bytes = FILE_BYTES,
	.duration_ms = 1000,
	.mime = "video/webm",
	.ext = "webm",
};

static void path_of(struct engine_rig *g, enum media_part part, char out[MEDIA_PATH])
{
	struct uuid id;
	struct media_info media = whole;
	char *json = engine_rig_get(g, "session:a");
	json_t *object = json_loads(json, 0, NULL);
	assert_true(uuid_parse(json_string_value(json_object_get(object, "id")), &id));
	media.revision = 1;
	media_part_path(&id, &media, part, out);
	json_decref(object);
	free(json);
}

/* --- the tests --- */

static void what_is_published_is_read(void **state)
{
	static const char *const mimes[] = { "video/webm", "image/jpeg", "application/json" };
	static const char *const exts[] = { ".webm", ".jpg", ".json" };
	static const enum resource resources[] = { RESOURCE_FILE, RESOURCE_THUMBNAIL, RESOURCE_WAVEFORM };
	struct engine_rig *g = *state;
	char etags[4][sizeof(((struct engine_original *)0)->etag)];
	record(g);
	work(g, whole);
	for (int i = 0; i < 3; i++) {
		struct answer a = ask(g, resources[i]);
		assert_int_equal(a.serving.status, 200);
		assert_int_equal(a.file.bytes, part_bytes[i]);
		assert_true(a.file.sealed);
		assert_string_equal(a.file.mime, mimes[i]);
		assert_string_equal(a.file.filename + UUID_TEXT - 1, exts[i]);
		assert_non_null(strstr(a.file.etag, "-r1"));
		snprintf(etags[i], sizeof etags[i], "%s", a.file.etag);
		read_to(g, &a, a.file.bytes);
		for (size_t k = 0; k < a.len; k++)
			assert_int_equal(a.read[k], made_byte((enum media_part)i, k));
		answer_release(g, &a);
	}
	struct answer a = ask(g, RESOURCE_ORIGINAL);
	read_to(g, &a, TAKE_BYTES);
	for (size_t k = 0; k < a.len; k++)
		assert_int_equal(a.read[k], engine_rig_byte(k));
	snprintf(etags[3], sizeof etags[3], "%s", a.file.etag);
	answer_release(g, &a);
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(etags[i], etags[k]);
	assert_refused(g, ask_as(g, RESOURCE_ORIGINAL, "video", grant_local()), 404, ERR_NOT_FOUND);
}

static void a_file_without_picture_and_sound(void **state)
{
	struct engine_rig *g = *state;
	struct media_info media = whole;
	record(g);
	media.has_thumbnail = media.has_waveform = false;
	work(g, media);
	struct answer a = ask(g, RESOURCE_FILE);
	assert_int_equal(a.serving.status, 200);
	answer_release(g, &a);
	assert_refused(g, ask(g, RESOURCE_THUMBNAIL), 404, ERR_NO_THUMBNAIL);
	assert_refused(g, ask(g, RESOURCE_WAVEFORM), 404, ERR_NO_WAVEFORM);
}

static void what_is_no_media_is_served_as_it_came(void **state)
{
	struct engine_rig *g = *state;
	struct media_info media = {
		.as_is = true, .bytes = TAKE_BYTES, .duration_ms = -1, .mime = "text/plain", .ext = "txt"
	};
	record(g);
	work(g, media);
	struct answer a = ask(g, RESOURCE_FILE);
	assert_int_equal(a.serving.status, 200);
	assert_int_equal(a.file.bytes, TAKE_BYTES);
	assert_string_equal(a.file.mime, "text/plain");
	assert_non_null(strstr(a.file.filename, ".txt"));
	assert_non_null(strstr(a.file.etag, "-r1"));
	read_to(g, &a, TAKE_BYTES);
	for (size_t k = 0; k < a.len; k++)
		assert_int_equal(a.read[k], engine_rig_byte(k));
	answer_release(g, &a);
}

static void not_yet_says_how_far_it_is(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	static const enum resource resources[] = { RESOURCE_FILE, RESOURCE_THUMBNAIL, RESOURCE_WAVEFORM };
	for (int i = 0; i < 3; i++) {
		struct answer a = ask(g, resources[i]);
		assert_int_equal(a.serving.status, 202);
		assert_int_equal(a.serving.retry_after_s, LIMIT_NOT_YET_S);
		assert_string_equal(json_string_value(json_object_get(a.body, "status")), "notYet");
		assert_string_equal(json_string_value(json_object_get(a.body, "phase")), "queued");
		assert_int_equal(json_integer_value(json_object_get(a.body, "attempt")), 0);
		assert_int_equal(json_integer_value(json_object_get(a.body, "attempts")), LIMIT_ATTEMPTS);
		assert_true(json_is_null(json_object_get(a.body, "progress")));
		assert_int_equal(json_integer_value(json_object_get(a.body, "retryAfter")), LIMIT_NOT_YET_S);
		assert_true(json_is_string(json_object_get(a.body, "message")));
		answer_release(g, &a);
	}
	struct answer a = ask(g, RESOURCE_ORIGINAL);
	assert_int_equal(a.serving.status, 200);
	answer_release(g, &a);
}

static void a_download_outlives_its_file(void **state)
{
	struct engine_rig *g = *state;
	char path[MEDIA_PATH];
	record(g);
	work(g, whole);
	struct answer a = ask(g, RESOURCE_FILE);
	read_to(g, &a, 1000);
	path_of(g, MEDIA_FILE, path);
	assert_int_equal(vfs_unlink(g->vfs, path), ERR_OK); /* as a later revision does, or a deletion */
	read_to(g, &a, FILE_BYTES);
	for (size_t k = 0; k < a.len; k++)
		assert_int_equal(a.read[k], made_byte(MEDIA_FILE, k));
	answer_release(g, &a);
	/* who comes now is not told that it is there */
	assert_refused(g, ask(g, RESOURCE_FILE), 500, ERR_CORRUPT);
}

static void a_file_of_another_length_is_not_served(void **state)
{
	struct engine_rig *g = *state;
	char path[MEDIA_PATH];
	struct vfs_file *file;
	record(g);
	work(g, whole);
	path_of(g, MEDIA_FILE, path);
	assert_int_equal(vfs_open(g->vfs, path, VFS_READ | VFS_WRITE, &file), ERR_OK);
	assert_int_equal(vfs_file_truncate(file, FILE_BYTES - 1), ERR_OK);
	vfs_file_close(file);
	assert_refused(g, ask(g, RESOURCE_FILE), 500, ERR_CORRUPT);
}

static void ignore(void *arg, enum err err, const char *json, size_t len)
{
	(void)arg;
	(void)json;
	(void)len;
	assert_int_equal(err, ERR_OK);
}

static void deleted_is_gone_but_for_who_reads_it(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	work(g, whole);
	struct answer a = ask(g, RESOURCE_FILE), original = ask(g, RESOURCE_ORIGINAL);
	read_to(g, &a, 1000);
	read_to(g, &original, 1000);
	engine_delete(g->e, (struct engine_ref){ "session:a", grant_local() }, ignore, NULL);
	engine_rig_turn(g);
	for (int i = 0; i < RESOURCE_COUNT; i++)
		assert_refused(g, ask(g, (enum resource)i), 410, ERR_DELETED);
	read_to(g, &a, FILE_BYTES);
	read_to(g, &original, TAKE_BYTES);
	answer_release(g, &a);
	answer_release(g, &original);
}

static void an_aborted_take_has_no_file(void **state)
{
	struct engine_rig *g = *state;
	uint64_t conn = engine_rig_say(g, 0, "{\"type\":\"start\",\"sessionId\":\"a\"}");
	engine_rig_media(g, conn, 0, 100);
	engine_rig_turn(g);
	engine_rig_say(g, conn, "{\"type\":\"abort\"}");
	assert_refused(g, ask(g, RESOURCE_FILE), 404, ERR_NO_FILE);
	struct answer a = ask(g, RESOURCE_ORIGINAL);
	assert_int_equal(a.serving.status, 200);
	answer_release(g, &a);
}

static void what_a_grant_does_not_see(void **state)
{
	struct engine_rig *g = *state;
	record(g);
	struct grant listen = { .subject = "b", .scopes = SCOPE_LISTEN, .expires_ms = INT64_MAX };
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		struct answer a = { 0 };
		engine_download(g->e, (struct engine_ref){ "session:nobody", grant_local() }, (enum resource)i, NULL,
				answered, &a);
		engine_rig_turn(g);
		assert_null(json_object_get(a.body, "phase"));
		assert_refused(g, a, 404, ERR_NOT_FOUND);
		assert_refused(g, ask_as(g, (enum resource)i, NULL, &listen), 403, ERR_FORBIDDEN_SCOPE);
	}
}

static void too_many_readers_come_later(void **state)
{
	struct engine_rig *g = *state;
	static struct answer readers[LIMIT_READERS];
	record(g);
	work(g, whole);
	for (unsigned i = 0; i < LIMIT_READERS; i++)
		readers[i] = ask(g, i % 2 ? RESOURCE_FILE : RESOURCE_ORIGINAL);
	assert_refused(g, ask(g, RESOURCE_FILE), 503, ERR_BUSY);
	assert_refused(g, ask(g, RESOURCE_ORIGINAL), 503, ERR_BUSY);
	for (unsigned i = 0; i < LIMIT_READERS; i++)
		answer_release(g, &readers[i]);
	struct answer a = ask(g, RESOURCE_FILE);
	assert_int_equal(a.serving.status, 200);
	answer_release(g, &a);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_published_is_read),
		TEST(a_file_without_picture_and_sound),
		TEST(what_is_no_media_is_served_as_it_came),
		TEST(not_yet_says_how_far_it_is),
		TEST(a_download_outlives_its_file),
		TEST(a_file_of_another_length_is_not_served),
		TEST(deleted_is_gone_but_for_who_reads_it),
		TEST(an_aborted_take_has_no_file),
		TEST(what_a_grant_does_not_see),
		TEST(too_many_readers_come_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
