/* The catalog's contract about the outbox and retention, run on every implementation of it. */
#include "support/catalog_jobs_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail /* cmocka's macro hides the operation of that name */

enum { T = 100000 };

static void events_are_read_by_who_may(void **state)
{
	struct fixture *f = *state;
	struct recording_info foreign = take(2);
	struct uuid one = id_of(1), two = id_of(2);
	char text[1000];
	int64_t first, last;
	assert_int_equal(f->c->ops->event_bounds(f->c, &first, &last), ERR_OK);
	assert_true(first == 0 && last == 0);
	free(foreign.principal);
	foreign.principal = strdup("somebody");
	begin(f);
	start(f, take(1));
	start(f, foreign);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	claim(f, 2, SEALED_BY_END, 1, 10, ERR_CHECKSUM_MISMATCH);
	remove_take(f, 1);
	commit(f);
	struct catalog_event_filter filter = { .limit = 1000 };
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "phase queued; failed error; deleted deleted");
	filter.principal = "local"; /* also of what is deleted */
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "phase queued; deleted deleted");
	filter.recording = &two;
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "");
	filter.recording = &one;
	filter.principal = NULL;
	filter.limit = 1;
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "phase queued");
	assert_int_equal(f->c->ops->event_bounds(f->c, &first, &last), ERR_OK);
	assert_int_equal(last - first, 2);
	filter = (struct catalog_event_filter){ .after = first, .limit = 1000 };
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "failed error; deleted deleted");
	filter.after = last;
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "");
}

static void trimming_keeps_the_newest_of_each(void **state)
{
	struct fixture *f = *state;
	struct catalog_event_filter filter = { .limit = 100 };
	char text[1000];
	start_takes(f, 2);
	begin(f);
	complete_take(f, 1, SEALED_BY_END, T);
	claim(f, 2, SEALED_BY_END, 1, 10, ERR_OK); /* at 5001 */
	assert_int_equal(f->c->ops->events_trim(f->c, T), ERR_OK);
	commit(f);
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "phase processing; phase generating_thumbnail; completed complete; phase queued");
	begin(f);
	assert_int_equal(f->c->ops->events_trim(f->c, 10 * T), ERR_OK);
	commit(f);
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "completed complete; phase queued");
}

/* Webhooks */

/* Where the lease's cursor stands, from what is running. */
static enum err note_delivered(void *arg, const struct job_info *job)
{
	if (job->kind == JOB_NOTIFY)
		*(int64_t *)arg = job->delivered;
	return ERR_OK;
}

static int64_t delivered(struct fixture *f)
{
	int64_t seq = -1;
	assert_int_equal(f->c->ops->each_running(f->c, note_delivered, &seq), ERR_OK);
	return seq;
}

static unsigned notifies(struct fixture *f, enum job_state which)
{
	unsigned counts[JOB_STATE_COUNT];
	assert_int_equal(f->c->ops->job_tally(f->c, JOB_NOTIFY, counts), ERR_OK);
	return counts[which];
}

/* Take n is sealed and resumed while its first event is on its way to the webhook. */
static void reopen_late(struct fixture *f, unsigned n)
{
	start(f, take(n));
	claim(f, n, SEALED_BY_GRACE, 1, 10, ERR_OK);
	struct job_key key = lease(f, JOB_NOTIFY, T);
	assert_true(key.id != 0);
	assert_int_equal(reopen(f, n), CATALOG_CHANGED);
	int64_t seq = delivered(f);
	assert_int_equal(f->c->ops->job_delivered(f->c, &key, seq + 1, T), ERR_OK);
	remove_take(f, n);
	assert_int_equal(f->c->ops->job_delivered(f->c, &key, seq + 3, T), ERR_OK);
	assert_int_equal(done(f, key, T), ERR_OK);
	assert_int_equal(notifies(f, JOB_QUEUED), 0);
}

static void each_event_has_a_webhook_waiting(void **state)
{
	struct fixture *f = *state;
	struct uuid id = id_of(1);
	struct catalog_event_filter filter = { .recording = &id, .limit = 10 };
	char text[1000];
	start_takes(f, 1);
	begin(f);
	claim(f, 1, SEALED_BY_GRACE, 1, 10, ERR_OK); /* nobody is to hear of this one */
	commit(f);
	assert_int_equal(notifies(f, JOB_QUEUED), 0);
	f->c->webhooks = true;
	begin(f);
	reopen(f, 1);
	claim(f, 1, SEALED_BY_END, 2, 10, ERR_OK);
	commit(f);
	assert_int_equal(notifies(f, JOB_QUEUED), 1);
	begin(f);
	struct job_key key = lease(f, JOB_NOTIFY, T);
	assert_int_equal(lease(f, JOB_NOTIFY, T).id, 0);
	commit(f);
	filter.after = delivered(f);
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "phase uploading; phase queued");
	struct job_info job = job_of(f, 1);
	assert_int_equal(job.kind, JOB_FINALIZE); /* the row shows the work on it */
	job_info_release(&job);
	/* one is delivered, another comes */
	begin(f);
	assert_int_equal(f->c->ops->job_delivered(f->c, &key, filter.after + 1, T + 5), ERR_OK);
	lease(f, JOB_FINALIZE, T);
	assert_int_equal(done(f, key, T), ERR_OK);
	commit(f);
	assert_int_equal(notifies(f, JOB_QUEUED), 1);
	begin(f);
	key = lease(f, JOB_NOTIFY, T);
	assert_int_equal(delivered(f), filter.after + 1);
	filter.after++;
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, "phase queued; phase processing");
	assert_int_equal(f->c->ops->job_delivered(f->c, &key, filter.after + 2, T + 5), ERR_OK);
	assert_int_equal(done(f, key, T), ERR_OK);
	assert_int_equal(notifies(f, JOB_QUEUED), 0);
	assert_int_equal(lease(f, JOB_NOTIFY, T).id, 0);
	/* the deletion is an event too, and takes no lease away */
	reopen_late(f, 2);
	remove_take(f, 1);
	commit(f);
	begin(f);
	key = lease(f, JOB_NOTIFY, T);
	assert_int_equal(delivered(f), filter.after + 2);
	assert_int_equal(done(f, key, T), ERR_OK);
	assert_int_equal(notifies(f, JOB_QUEUED), 1); /* nothing was delivered */
	commit(f);
}

static void parked_webhooks_wait_to_be_asked(void **state)
{
	struct fixture *f = *state;
	int64_t now_ms = T;
	f->c->webhooks = true;
	start_takes(f, 1);
	begin(f);
	claim(f, 1, SEALED_BY_GRACE, 1, 10, ERR_OK);
	for (int i = 0; i < LIMIT_NOTIFY_ATTEMPTS; i++) {
		struct job_key key = lease(f, JOB_NOTIFY, now_ms);
		assert_true(key.id != 0);
		enum job_state stands = lose(f, key, ERR_ENDPOINT_FAILED, now_ms);
		assert_int_equal(stands, i < LIMIT_NOTIFY_ATTEMPTS - 1 ? JOB_QUEUED : JOB_PARKED);
		now_ms += LIMIT_NOTIFY_MAX_MS;
	}
	assert_phase(f, 1, PHASE_QUEUED); /* no business of the recording's */
	reopen(f, 1);			  /* what comes now stays behind it */
	assert_int_equal(notifies(f, JOB_PARKED), 1);
	assert_int_equal(lease(f, JOB_NOTIFY, now_ms).id, 0);
	assert_int_equal(f->c->ops->events_trim(f->c, INT64_MAX), ERR_OK); /* and is kept for it */
	commit(f);
	assert_counts(f, 1, 2, 2);
	begin(f);
	assert_int_equal(f->c->ops->unpark(f->c, JOB_NOTIFY, now_ms), ERR_OK);
	commit(f);
	assert_int_equal(notifies(f, JOB_PARKED), 0);
	begin(f);
	struct job_key key = lease(f, JOB_NOTIFY, now_ms);
	int64_t from = delivered(f);
	assert_int_equal(f->c->ops->job_delivered(f->c, &key, from + 2, T + 5), ERR_OK);
	assert_int_equal(done(f, key, now_ms), ERR_OK);
	assert_int_equal(f->c->ops->events_trim(f->c, INT64_MAX), ERR_OK);
	commit(f);
	assert_counts(f, 1, 2, 1);
}

/* Retention */

struct expired {
	unsigned ids[300], count;
};

static enum err note_expired(void *arg, const struct uuid *id)
{
	struct expired *e = arg;
	e->ids[e->count++] = id->bytes[7]; /* as id_of made it */
	return ERR_OK;
}

static void assert_expired(struct fixture *f, enum catalog_expiry what, int64_t before_ms, int64_t late_before_ms,
			   const char *expected)
{
	struct expired e = { .count = 0 };
	char text[100] = "";
	assert_int_equal(f->c->ops->expired(f->c, what, before_ms, late_before_ms, 4, note_expired, &e), ERR_OK);
	for (unsigned i = 0; i < e.count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%u", e.ids[i]);
	assert_string_equal(text, expected);
}

static void only_what_is_published_expires(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 7);
	begin(f);
	complete_take(f, 3, SEALED_BY_END, T + 3);
	complete_take(f, 1, SEALED_BY_COMPLETE, T + 5);
	complete_take(f, 2, SEALED_BY_GRACE, T + 4);
	complete_take(f, 4, SEALED_BY_GRACE, T + 1);
	reopen(f, 4);
	claim(f, 5, SEALED_BY_END, 1, 10, ERR_OK);
	publish(f, lease(f, JOB_FINALIZE, T), T); /* not complete yet */
	complete_take(f, 6, SEALED_BY_END, T + 9);
	remove_take(f, 6);
	commit(f);
	for (int what = 0; what < 2; what++) {
		assert_expired(f, (enum catalog_expiry)what, T + 3, T + 100, "");
		assert_expired(f, (enum catalog_expiry)what, T + 4, T + 100, "3");
		assert_expired(f, (enum catalog_expiry)what, T + 100, T + 100, "321");
		assert_expired(f, (enum catalog_expiry)what, T + 100, T + 4, "31"); /* it may still be resumed */
		assert_expired(f, (enum catalog_expiry)what, T + 5, T + 100, "32");
	}
}

static void originals_go_in_two_steps(void **state)
{
	struct fixture *f = *state;
	struct uuid one = id_of(1), two = id_of(2), nobody = id_of(9);
	struct recording_info row;
	start_takes(f, 2);
	begin(f);
	complete_take(f, 1, SEALED_BY_GRACE, T);
	assert_int_equal(f->c->ops->original_removed(f->c, &nobody, false, T + 5, &row), ERR_NOT_FOUND);
	assert_int_equal(f->c->ops->original_removed(f->c, &two, false, T + 5, &row), ERR_OK); /* not published */
	assert_false(row.original_removed);
	recording_info_release(&row);
	assert_int_equal(f->c->ops->original_removed(f->c, &one, true, T + 5, &row),
			 ERR_OK); /* nobody said so before */
	assert_false(row.original_removed);
	recording_info_release(&row);
	assert_int_equal(f->c->ops->original_removed(f->c, &one, false, T + 5, &row), ERR_OK);
	assert_true(row.original_removed);
	recording_info_release(&row);
	commit(f);
	assert_expired(f, EXPIRY_ORIGINALS, T + 100, T + 100, "1"); /* its files may be there */
	begin(f);
	assert_int_equal(reopen(f, 1), CATALOG_UNCHANGED); /* there is nothing to go on with */
	assert_int_equal(f->c->ops->original_removed(f->c, &one, true, T + 6, &row), ERR_OK);
	assert_true(row.original_removed);
	recording_info_release(&row);
	commit(f);
	assert_expired(f, EXPIRY_ORIGINALS, T + 100, T + 100, "");
	assert_expired(f, EXPIRY_RECORDINGS, T + 100, T + 100, "1");
	assert_counts(f, 1, 1, 4);
}

static void what_is_served_as_received_keeps_its_original(void **state)
{
	struct fixture *f = *state;
	struct uuid one = id_of(1);
	const struct media_info media = { .as_is = true, .bytes = 10, .duration_ms = -1 };
	struct recording_info row;
	start_takes(f, 1);
	begin(f);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	struct job_key key = lease(f, JOB_FINALIZE, T);
	assert_int_equal(publish(f, key, T), ERR_OK);
	assert_int_equal(f->c->ops->job_done(f->c, &key, &media, NULL, T, &row), ERR_OK);
	assert_true(row.media.as_is);
	recording_info_release(&row);
	assert_int_equal(f->c->ops->original_removed(f->c, &one, false, T, &row), ERR_OK);
	assert_false(row.original_removed);
	recording_info_release(&row);
	commit(f);
	assert_expired(f, EXPIRY_ORIGINALS, T + 100, T + 100, "");
	assert_expired(f, EXPIRY_RECORDINGS, T + 100, T + 100, "1");
}

/* Restoring */

static void what_is_published_is_restored_complete(void **state)
{
	struct fixture *f = *state;
	struct recording_info info = take(1), older = take(2), fetched = source(3, false), row;
	info.phase = older.phase = PHASE_QUEUED;
	info.revision = older.revision = 2;
	info.sealed_by = older.sealed_by = SEALED_BY_END;
	info.media =
		(struct media_info){ .revision = 2, .bytes = 7, .duration_ms = 9, .ext = "mp4", .published_ms = T };
	older.media = info.media;
	older.media.revision = 1;
	info.original_removed = true;
	begin(f);
	assert_int_equal(f->c->ops->restore(f->c, &info), ERR_OK);
	assert_int_equal(f->c->ops->restore(f->c, &older), ERR_OK);
	assert_int_equal(f->c->ops->restore(f->c, &fetched), ERR_OK);
	commit(f);
	row = row_of(f, 1);
	assert_int_equal(row.phase, PHASE_COMPLETE);
	assert_int_equal(row.media.revision, 2);
	assert_int_equal(row.media.bytes, 7);
	assert_string_equal(row.media.ext, "mp4");
	assert_true(row.original_removed);
	recording_info_release(&row);
	assert_counts(f, 1, 0, 0);
	row = row_of(f, 2);
	assert_int_equal(row.phase, PHASE_QUEUED);
	assert_int_equal(row.media.revision, 1);
	recording_info_release(&row);
	assert_counts(f, 2, 1, 0);
	begin(f);
	assert_true(lease(f, JOB_FETCH, T).id != 0);
	commit(f);
	assert_expired(f, EXPIRY_ORIGINALS, T + 1, T + 1, "1");
	recording_info_release(&info);
	recording_info_release(&older);
	recording_info_release(&fetched);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(events_are_read_by_who_may),
		TEST(trimming_keeps_the_newest_of_each),
		TEST(each_event_has_a_webhook_waiting),
		TEST(parked_webhooks_wait_to_be_asked),
		TEST(only_what_is_published_expires),
		TEST(originals_go_in_two_steps),
		TEST(what_is_served_as_received_keeps_its_original),
		TEST(what_is_published_is_restored_complete),
	};
	const char *name;
	int failed = 0;
	for (size_t i = 0; (name = catalog_rig_choose(i)); i++)
		failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
	return failed;
}
