/* Retention: only what was published goes, when its time is over, a few at a time, and whatever crashes in between. */
#include "sim/disk.h"
#include "store/media.h"
#include "store/spool.h"
#include "support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HOUR_MS = 3600 * 1000 };

struct fixture {
	struct disk *disk;
	struct engine_rig *g;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_int_equal(disk_new(1, &f->disk), ERR_OK);
	f->g = engine_rig_new(disk_vfs(f->disk));
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

/* A life in which takes of 20,000 bytes are recorded and ended; the journal keeps its records unless time passes. */
static void record(struct fixture *f, unsigned count)
{
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	for (unsigned i = 0; i < count; i++) {
		char text[100];
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"s%u\"}", i);
		uint64_t conn = engine_rig_say(f->g, 0, text);
		engine_rig_media(f->g, conn, 0, 20000);
		engine_rig_turn(f->g);
		engine_rig_say(f->g, conn, "{\"type\":\"end\",\"totalBytes\":20000}");
		assert_non_null(strstr(engine_rig_last(f->g), "\"saved\""));
		engine_conn_closed(f->g->e, conn, f->g->now);
	}
}

static enum err place(void *arg)
{
	return ERR_OK;
}

/* What a worker would make of all that is queued; the catalog is between two lives of the engine. */
static void publish_all(struct fixture *f)
{
	struct catalog *c;
	struct vfs *vfs = disk_vfs(f->disk);
	int64_t now_ms = f->g->now.wall_ms;
	engine_rig_close(f->g);
	assert_int_equal(catalog_sqlite_open(vfs, false, &c), ERR_OK);
	for (;;) {
		struct media_info media = { .bytes = 4, .duration_ms = 5, .mime = "video/webm", .ext = "webm" };
		struct media_attempt a;
		struct job_info job;
		struct recording_info row;
		assert_int_equal(c->ops->begin(c), ERR_OK);
		enum err err = c->ops->job_claim(c, JOB_FINALIZE, now_ms, now_ms + 1, &job, &row);
		if (err == ERR_NOT_FOUND)
			break;
		assert_int_equal(err, ERR_OK);
		struct job_key key = { job.id, job.epoch };
		media.revision = job.revision;
		assert_int_equal(media_attempt_open(vfs, &row.id, job.revision, job.epoch, &a), ERR_OK);
		assert_int_equal(vfs_file_write(a.files[MEDIA_FILE], "file", 4, 0), ERR_OK);
		assert_int_equal(media_attempt_seal(vfs, &a, &media), ERR_OK);
		assert_int_equal(media_attempt_publish(vfs, &a), ERR_OK);
		assert_int_equal(media_attempt_finish(vfs, &a, &media), ERR_OK);
		media_attempt_close(vfs, &a, false);
		recording_info_release(&row);
		assert_int_equal(c->ops->job_publish(c, &key, &media, NULL, now_ms, place, NULL, &row), ERR_OK);
		recording_info_release(&row);
		assert_int_equal(c->ops->job_done(c, &key, &media, NULL, now_ms, &row), ERR_OK);
		recording_info_release(&row);
		job_info_release(&job);
		assert_int_equal(c->ops->commit(c), ERR_OK);
	}
	c->ops->rollback(c);
	catalog_close(c);
}

struct tally {
	struct vfs *vfs;
	unsigned folders, tracks, manifests, media;
};

static enum err count_folder(void *arg, const struct uuid *id)
{
	struct tally *t = arg;
	struct vfs_file *file;
	struct recording_info info;
	struct media_info media;
	char path[SPOOL_PATH];
	t->folders++;
	spool_file_path(id, 0, path);
	if (vfs_open(t->vfs, path, VFS_READ, &file) == ERR_OK) {
		t->tracks++;
		vfs_file_close(file);
	}
	if (manifest_read(t->vfs, id, &info) == ERR_OK) {
		t->manifests++;
		recording_info_release(&info);
	}
	t->media += media_read(t->vfs, id, &media) == ERR_OK;
	return ERR_OK;
}

static struct tally tally(struct fixture *f)
{
	struct tally t = { .vfs = disk_vfs(f->disk) };
	assert_int_equal(spool_each(t.vfs, count_folder, &t), ERR_OK);
	return t;
}

static enum err count_removed(void *arg, const struct recording_info *row)
{
	assert_string_equal(phase_name(row->phase), "complete");
	*(unsigned *)arg += row->original_removed;
	return ERR_OK;
}

/* Of the rows, all `complete`, those whose original is gone; the engine is not open. */
static unsigned removed_rows(struct fixture *f)
{
	struct catalog *c;
	unsigned count = 0;
	struct catalog_filter filter = { .phase = -1, .limit = LIMIT_LIST_ITEMS };
	assert_int_equal(catalog_sqlite_open(disk_vfs(f->disk), false, &c), ERR_OK);
	assert_int_equal(c->ops->list(c, &filter, count_removed, &count), ERR_OK);
	catalog_close(c);
	return count;
}

static enum err note_waiting(void *arg, const struct uuid *id)
{
	*(bool *)arg = true;
	return ERR_OK;
}

/* Is there an original that is to go, or whose files may be left? */
static bool originals_wait(struct fixture *f)
{
	struct catalog *c;
	bool any = false;
	int64_t now_ms = f->g->now.wall_ms;
	assert_int_equal(catalog_sqlite_open(disk_vfs(f->disk), false, &c), ERR_OK);
	assert_int_equal(c->ops->expired(c, EXPIRY_ORIGINALS, now_ms, now_ms, 9, note_waiting, &any), ERR_OK);
	catalog_close(c);
	return any;
}

static void originals_go_when_their_time_is_over(void **state)
{
	struct fixture *f = *state;
	record(f, 3);
	engine_rig_pass(f->g, 2 * LIMIT_CHECKPOINT_MS);
	publish_all(f);
	f->g->retain_originals_ms = HOUR_MS;
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	engine_rig_pass(f->g, HOUR_MS - LIMIT_RETENTION_MS);
	assert_int_equal(tally(f).tracks, 3);
	char *json = engine_rig_get(f->g, "session:s0");
	assert_non_null(strstr(json, "\"complete\""));
	free(json);
	engine_rig_pass(f->g, 2 * LIMIT_RETENTION_MS + LIMIT_RETENTION_FIRST_MS);
	struct tally t = tally(f);
	assert_true(t.tracks == 0 && t.folders == 3 && t.manifests == 3 && t.media == 3);
	engine_rig_close(f->g);
	assert_int_equal(removed_rows(f), 3);
	assert_false(originals_wait(f));
	/* and it starts again, with them as they are */
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	assert_int_equal(engine_recovery(f->g->e)->quarantined, 0);
	engine_rig_pass(f->g, HOUR_MS);
	engine_rig_close(f->g);
	assert_int_equal(removed_rows(f), 3);
}

static void what_is_not_published_stays(void **state)
{
	struct fixture *f = *state;
	record(f, 2);
	engine_rig_pass(f->g, 2 * LIMIT_CHECKPOINT_MS);
	engine_rig_close(f->g);
	f->g->retain_originals_ms = f->g->retain_ms = 0;
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	engine_rig_pass(f->g, 24 * HOUR_MS);
	assert_int_equal(tally(f).tracks, 2);
}

static void recordings_go_whole_a_few_at_a_time(void **state)
{
	struct fixture *f = *state;
	record(f, 40);
	engine_rig_pass(f->g, 2 * LIMIT_CHECKPOINT_MS);
	publish_all(f);
	f->g->retain_originals_ms = f->g->retain_ms = 0;
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	engine_rig_pass(f->g, LIMIT_RETENTION_FIRST_MS + 1000);
	assert_int_equal(tally(f).folders, 40 - LIMIT_RETENTION_ITEMS);
	engine_rig_pass(f->g, LIMIT_RETENTION_MS + 1000);
	struct tally t = tally(f);
	assert_true(t.folders == 0);
	char *json = engine_rig_get(f->g, "session:s0");
	assert_string_equal(json, "deleted");
	free(json);
	struct uuid none;
	assert_int_equal(vfs_list(disk_vfs(f->disk), "media", NULL, &none), ERR_OK); /* would call NULL */
}

static enum err note_id(void *arg, const struct recording_info *row)
{
	struct uuid *ids = arg;
	while (ids->bytes[0])
		ids++;
	*ids = row->id;
	return ERR_OK;
}

/* Says so in the catalog, and removes the files of it that there are. */
static void remove_originals(struct fixture *f)
{
	struct catalog *c;
	struct uuid ids[4] = { 0 };
	struct catalog_filter filter = { .phase = -1, .limit = LIMIT_LIST_ITEMS };
	assert_int_equal(catalog_sqlite_open(disk_vfs(f->disk), false, &c), ERR_OK);
	assert_int_equal(c->ops->begin(c), ERR_OK);
	assert_int_equal(c->ops->list(c, &filter, note_id, ids), ERR_OK);
	for (struct uuid *id = ids; id->bytes[0]; id++) {
		struct recording_info row;
		assert_int_equal(c->ops->original_removed(c, id, false, 1, &row), ERR_OK);
		assert_true(row.original_removed);
		recording_info_release(&row);
		assert_int_equal(spool_remove_tracks(disk_vfs(f->disk), id, 1), ERR_OK);
	}
	assert_int_equal(c->ops->commit(c), ERR_OK);
	catalog_close(c);
}

/* A crash before the checkpoint's record was durable: the journal still holds what is gone, as bytes or as no more than
 * their checksum. */
static void the_journal_brings_nothing_back(void **state)
{
	struct fixture *f = *state;
	record(f, 1);
	uint64_t conn = engine_rig_say(f->g, 0, "{\"type\":\"start\",\"sessionId\":\"large\"}");
	enum { PIECE = LIMIT_EXTENT_BYTES + 10000, PIECES = 4 };
	for (size_t i = 0; i < PIECES; i++) { /* what is reserved ahead has to grow before so much is taken at once */
		engine_rig_media(f->g, conn, i * PIECE, PIECE);
		engine_rig_turn(f->g);
	}
	char text[64];
	snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%d}", PIECE * PIECES);
	engine_rig_say(f->g, conn, text);
	assert_non_null(strstr(engine_rig_last(f->g), "\"saved\""));
	publish_all(f);
	remove_originals(f);
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	assert_int_equal(engine_recovery(f->g->e)->quarantined, 0);
	assert_true(engine_recovery(f->g->e)->records > 0);
	assert_int_equal(tally(f).tracks, 0);
	engine_rig_close(f->g);
	assert_int_equal(removed_rows(f), 2);
}

/* Each crash in between, and the next crash in between, and the next start. */
static void no_crash_makes_more_of_it_than_was_meant(void **state)
{
	bool alive = false;
	for (unsigned calls = 1; !alive; calls++) {
		struct fixture f;
		assert_int_equal(disk_new(calls, &f.disk), ERR_OK);
		f.g = engine_rig_new(disk_vfs(f.disk));
		record(&f, 2);
		engine_rig_pass(f.g, 2 * LIMIT_CHECKPOINT_MS); /* recording.json is there … */
		uint64_t conn = engine_rig_say(f.g, 0, "{\"type\":\"start\",\"sessionId\":\"s2\"}");
		engine_rig_media(f.g, conn, 0, 20000);
		engine_rig_turn(f.g);
		engine_rig_say(f.g, conn, "{\"type\":\"end\",\"totalBytes\":20000}");
		publish_all(&f); /* … of two, and the third is in the journal alone */
		f.g->retain_originals_ms = 0;
		assert_int_equal(engine_rig_open(f.g), ERR_OK);
		disk_die_after(f.disk, calls);
		engine_rig_pass(f.g, 3 * LIMIT_CHECKPOINT_MS);
		alive = !disk_dead(f.disk);
		engine_rig_close(f.g);
		disk_power_cut(f.disk, calls % 2 ? DISK_LOSS_MIX : DISK_LOSS_ALL);
		assert_int_equal(engine_rig_open(f.g), ERR_OK);
		assert_int_equal(engine_recovery(f.g->e)->quarantined, 0);
		engine_rig_pass(f.g, 3 * LIMIT_CHECKPOINT_MS);
		assert_int_equal(f.g->fatal, ERR_OK);
		struct tally t = tally(&f);
		if (t.tracks != 0 || t.manifests != 3 || t.media != 3)
			fail_msg("after %u calls: %u tracks, %u manifests, %u media", calls, t.tracks, t.manifests,
				 t.media);
		engine_rig_close(f.g);
		assert_int_equal(removed_rows(&f), 3);
		engine_rig_free(f.g);
		disk_free(f.disk);
	}
}

static void count_events(void *arg, enum err err, const struct engine_event *events, size_t count, int64_t first,
			 int64_t last)
{
	assert_int_equal(err, ERR_OK);
	*(size_t *)arg = count;
}

/* Also of a server that keeps its recordings for ever: the outbox does not grow for ever. */
static void old_events_are_forgotten(void **state)
{
	struct fixture *f = *state;
	size_t count = 0;
	record(f, 2);
	publish_all(f);
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	engine_rig_pass(f->g, 2 * LIMIT_RETENTION_MS);
	engine_events(f->g->e, grant_local(), 0, count_events, &count);
	engine_rig_turn(f->g);
	assert_int_equal(count, 8); /* queued, processing, generating_thumbnail, complete */
	f->g->now.wall_ms += (LIMIT_EVENTS_DAYS * 24LL + 1) * HOUR_MS;
	engine_rig_pass(f->g, 2 * LIMIT_RETENTION_MS);
	engine_events(f->g->e, grant_local(), 0, count_events, &count);
	engine_rig_turn(f->g);
	assert_int_equal(count, 2);
	engine_rig_close(f->g);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(originals_go_when_their_time_is_over), TEST(old_events_are_forgotten),
		TEST(what_is_not_published_stays),	    TEST(recordings_go_whole_a_few_at_a_time),
		TEST(the_journal_brings_nothing_back),	    cmocka_unit_test(no_crash_makes_more_of_it_than_was_meant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
