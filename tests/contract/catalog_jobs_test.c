/* The catalog's contract about jobs, run on every implementation of it: leases, epochs, attempts, publishing, fetches.
 */
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

static void assert_key(struct job_key key, bool there)
{
	assert_int_equal(key.id != 0, there);
}

/* All of take 1's events. */
static void assert_events(struct fixture *f, const char *expected)
{
	struct uuid id = id_of(1);
	struct catalog_event_filter filter = { .recording = &id, .limit = 100 };
	char text[1000];
	events_text(f, &filter, text, sizeof text);
	assert_string_equal(text, expected);
}

static void assert_job(struct fixture *f, unsigned n, enum job_state state, uint32_t epoch, uint32_t attempt)
{
	struct job_info job = job_of(f, n);
	assert_string_equal(job_state_name(job.state), job_state_name(state));
	assert_int_equal(job.epoch, epoch);
	assert_int_equal(job.attempt, attempt);
	job_info_release(&job);
}

static void a_lease_is_taken_once(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 2);
	begin(f);
	assert_key(lease(f, JOB_FINALIZE, T), false);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	struct job_key first = lease(f, JOB_FINALIZE, T);
	assert_key(first, true);
	assert_key(lease(f, JOB_FINALIZE, T), false); /* the second of two racing ones */
	commit(f);
	begin(f);
	assert_key(lease(f, JOB_FINALIZE, T + 10 * CATALOG_LEASE_MS),
		   false); /* a lease that ran out is taken away, not shared */
	assert_key(lease(f, JOB_FETCH, T), false);
	assert_key(lease(f, JOB_NOTIFY, T), false);
	commit(f);
	assert_phase(f, 1, PHASE_PROCESSING);
	assert_job(f, 1, JOB_RUNNING, first.epoch, 1);
	assert_events(f, "phase queued; phase processing");
}

static void the_oldest_goes_first(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 4);
	begin(f);
	claim(f, 3, SEALED_BY_END, 1, 10, ERR_OK); /* at 5001, as all here */
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	claim(f, 2, SEALED_BY_END, 1, 10, ERR_OK);
	struct job_key key = lease(f, JOB_FINALIZE, T);
	assert_phase(f, 3, PHASE_PROCESSING);
	assert_int_equal(lose(f, key, ERR_WORKER_DIED, T), JOB_QUEUED); /* behind the others now */
	lease(f, JOB_FINALIZE, T);
	assert_phase(f, 1, PHASE_PROCESSING);
	int64_t due_ms;
	assert_int_equal(f->c->ops->job_next(f->c, JOB_FINALIZE, &due_ms), ERR_OK);
	assert_int_equal(due_ms, 5001);
	lease(f, JOB_FINALIZE, T);
	assert_int_equal(f->c->ops->job_next(f->c, JOB_FINALIZE, &due_ms), ERR_OK);
	assert_int_equal(due_ms, T + LIMIT_RETRY_FIRST_MS);
	assert_key(lease(f, JOB_FINALIZE, T + LIMIT_RETRY_FIRST_MS - 1), false);
	assert_key(lease(f, JOB_FINALIZE, T + LIMIT_RETRY_FIRST_MS), true);
	assert_int_equal(f->c->ops->job_next(f->c, JOB_FINALIZE, &due_ms), ERR_NOT_FOUND);
	commit(f);
}

static void a_clock_set_back_keeps_no_job_from_its_worker(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 2);
	begin(f);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	struct job_key key = lease(f, JOB_FINALIZE, T);
	assert_int_equal(lose(f, key, ERR_WORKER_DIED, T), JOB_QUEUED);
	assert_key(lease(f, JOB_FINALIZE, T + 1), false);
	assert_key(lease(f, JOB_FINALIZE, T - 1), true);
	commit(f);
}

static enum err place(void *arg)
{
	(*(unsigned *)arg)++;
	return ERR_OK;
}

static void publishing_places_inside_the_transaction(void **state)
{
	struct fixture *f = *state;
	const struct media_info media = { .bytes = 9, .duration_ms = -1, .mime = "audio/ogg", .ext = "ogg" };
	unsigned placed = 0;
	struct recording_info row;
	start_takes(f, 1);
	begin(f);
	claim(f, 1, SEALED_BY_GRACE, 1, 10, ERR_OK);
	struct job_key key = lease(f, JOB_FINALIZE, T), stale = { key.id, key.epoch - 1 };
	commit(f);
	begin(f);
	assert_int_equal(f->c->ops->job_publish(f->c, &stale, &media, NULL, T, place, &placed, &row), ERR_NOT_FOUND);
	assert_int_equal(placed, 0); /* nothing of a late result is put anywhere */
	assert_int_equal(f->c->ops->job_publish(f->c, &key, &media, NULL, T, place, &placed, &row), ERR_OK);
	assert_int_equal(placed, 1);
	recording_info_release(&row);
	f->c->ops->rollback(f->c);
	assert_phase(f, 1, PHASE_PROCESSING);
	for (unsigned i = 2; i < 4; i++) { /* the second: it was committed, and nobody knew */
		begin(f);
		assert_int_equal(f->c->ops->job_publish(f->c, &key, &media, "[1]", T + 1, place, &placed, &row),
				 ERR_OK);
		assert_int_equal(placed, i);
		assert_int_equal(row.phase, PHASE_GENERATING_THUMBNAIL);
		assert_int_equal(row.media.revision, 1);
		assert_int_equal(row.media.published_ms, T + 1);
		assert_string_equal(row.media.ext, "ogg");
		assert_string_equal(row.media.mime, "audio/ogg");
		assert_int_equal(row.media.duration_ms, -1);
		assert_string_equal(row.warnings, "[1]");
		recording_info_release(&row);
		commit(f);
	}
	begin(f);
	assert_int_equal(done(f, key, T + 9), ERR_OK);
	assert_int_equal(done(f, key, T + 9), ERR_NOT_FOUND);
	commit(f);
	reopen_catalog(f);
	row = row_of(f, 1);
	assert_int_equal(row.phase, PHASE_COMPLETE);
	assert_true(row.media.has_thumbnail && !row.media.has_waveform && !row.media.as_is);
	assert_int_equal(row.media.published_ms, T + 1);
	assert_int_equal(row.job.state, JOB_DONE);
	assert_int_equal(row.job.progress, 1000);
	recording_info_release(&row);
	assert_events(f, "phase queued; phase processing; phase generating_thumbnail; interrupted complete");
}

static enum err hashed(struct fixture *f, struct job_key key, uint8_t first, bool *fits)
{
	const struct track_hash hash = { 0, { { first } } };
	return f->c->ops->job_hashes(f->c, &key, &hash, 1, fits);
}

/* What was sealed without is told by its worker, once, and nobody who knows less takes it away again. */
static void a_hash_comes_with_its_job(void **state)
{
	struct fixture *f = *state;
	struct track_info track = { .name = (char *)"main", .sealed = true, .sealed_by = SEALED_BY_END, .bytes = 10 };
	struct recording_info row = { .id = id_of(1) };
	bool fits = false;
	start_takes(f, 1);
	row.tracks = &track;
	row.track_count = 1;
	begin(f);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	track.bytes = 9;
	assert_int_equal(f->c->ops->put_tracks(f->c, &row), ERR_OK); /* other bytes: the hash goes */
	struct job_key key = lease(f, JOB_FINALIZE, T), stale = { key.id, key.epoch - 1 };
	assert_int_equal(hashed(f, stale, 1, &fits), ERR_NOT_FOUND);
	assert_int_equal(hashed(f, key, 1, &fits), ERR_OK);
	assert_true(fits);
	assert_int_equal(hashed(f, key, 2, &fits), ERR_OK);
	commit(f);
	struct recording_info is = row_of(f, 1);
	assert_true(is.tracks[0].has_sha256);
	assert_int_equal(is.tracks[0].sha256.bytes[0], 1);
	recording_info_release(&is);
	begin(f);
	track.has_declared_sha256 = true;
	track.declared_sha256.bytes[0] = 3;
	assert_int_equal(f->c->ops->put_tracks(f->c, &row), ERR_OK); /* without */
	assert_int_equal(hashed(f, key, 2, &fits), ERR_OK);
	assert_false(fits);
	assert_int_equal(hashed(f, key, 3, &fits), ERR_OK);
	assert_true(fits);
	commit(f);
	is = row_of(f, 1);
	assert_true(is.tracks[0].has_sha256 && is.tracks[0].has_declared_sha256);
	assert_int_equal(is.tracks[0].sha256.bytes[0], 1);
	recording_info_release(&is);
	begin(f);
	track.sealed = false;
	assert_int_equal(f->c->ops->put_tracks(f->c, &row), ERR_OK);
	commit(f);
	is = row_of(f, 1);
	assert_false(is.tracks[0].has_sha256);
	recording_info_release(&is);
}

static enum err place_fails(void *arg)
{
	return *(enum err *)arg;
}

static void what_can_not_be_placed_is_not_published(void **state)
{
	static enum err errors[] = { ERR_WRITE_FAILED, ERR_STORAGE_FULL, ERR_NOT_FOUND, ERR_EXISTS };
	struct fixture *f = *state;
	const struct media_info media = { .bytes = 9 };
	struct recording_info row;
	start_takes(f, 1);
	begin(f);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	struct job_key key = lease(f, JOB_FINALIZE, T);
	commit(f);
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		begin(f);
		enum err err = f->c->ops->job_publish(f->c, &key, &media, NULL, T, place_fails, &errors[i], &row);
		assert_int_equal(err, i < 2 ? errors[i] : ERR_WRITE_FAILED); /* NOT_FOUND would mean: no lease */
		f->c->ops->rollback(f->c);
	}
	assert_phase(f, 1, PHASE_PROCESSING);
	assert_counts(f, 1, 1, 2);
}

/* Everything that a worker without its lease may try. */
static void assert_stale(struct fixture *f, struct job_key key)
{
	begin(f);
	assert_int_equal(f->c->ops->job_renew(f->c, &key, T + 99999, 500), ERR_NOT_FOUND);
	assert_int_equal(publish(f, key, T), ERR_NOT_FOUND);
	assert_int_equal(done(f, key, T), ERR_NOT_FOUND);
	assert_int_equal(lose(f, key, ERR_WORKER_DIED, T), JOB_STATE_COUNT);
	assert_int_equal(f->c->ops->job_delivered(f->c, &key, 5, T), ERR_NOT_FOUND);
	commit(f);
}

static void stale_epochs_change_nothing(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 2);
	begin(f);
	claim(f, 1, SEALED_BY_GRACE, 1, 10, ERR_OK);
	struct job_key first = lease(f, JOB_FINALIZE, T);
	commit(f);
	begin(f);
	assert_int_equal(lose(f, first, ERR_WORKER_SILENT, T), JOB_QUEUED);
	commit(f);
	assert_stale(f, first); /* queued again */
	begin(f);
	struct job_key second = lease(f, JOB_FINALIZE, T + 1000);
	commit(f);
	assert_int_equal(second.id, first.id);
	assert_int_equal(second.epoch, first.epoch + 1);
	assert_stale(f, first); /* somebody else's */
	begin(f);
	assert_int_equal(reopen(f, 1), CATALOG_CHANGED);
	commit(f);
	assert_stale(f, second); /* fenced */
	assert_phase(f, 1, PHASE_UPLOADING);
	begin(f);
	claim(f, 1, SEALED_BY_END, 2, 20, ERR_OK);
	struct job_key third = lease(f, JOB_FINALIZE, T + 2000);
	remove_take(f, 1);
	commit(f);
	assert_stale(f, third); /* deleted */
	/* and the number of a job that is no more is nobody else's */
	begin(f);
	claim(f, 2, SEALED_BY_END, 1, 10, ERR_OK);
	struct job_key other = lease(f, JOB_FINALIZE, T + 2000);
	commit(f);
	assert_true(other.id > third.id);
	assert_stale(f, third);
	assert_phase(f, 2, PHASE_PROCESSING);
	assert_events(f,
		      "phase queued; phase processing; phase queued; phase processing; phase uploading; phase queued; "
		      "phase processing; deleted deleted");
}

static void renewing_tells_progress_and_no_event(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	begin(f);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	struct job_key key = lease(f, JOB_FINALIZE, T);
	assert_int_equal(f->c->ops->job_renew(f->c, &key, T + 99999, 420), ERR_OK);
	commit(f);
	struct job_info job = job_of(f, 1);
	assert_int_equal(job.progress, 420);
	assert_int_equal(job.lease_until_ms, T + 99999);
	assert_int_equal(job.started_ms, T);
	job_info_release(&job);
	assert_counts(f, 1, 1, 2);
}

static void attempts_are_counted_and_then_it_is_an_error(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	begin(f);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	assert_int_equal(lose(f, lease(f, JOB_FINALIZE, T), ERR_WORKER_DIED, T), JOB_QUEUED);
	assert_phase(f, 1, PHASE_QUEUED);
	struct job_key second = lease(f, JOB_FINALIZE, T + 1000);
	assert_int_equal(publish(f, second, T + 1000), ERR_OK); /* it dies over the thumbnail */
	assert_int_equal(lose(f, second, ERR_WORKER_DIED, T + 1000), JOB_QUEUED);
	assert_phase(f, 1, PHASE_QUEUED);
	commit(f);
	reopen_catalog(f); /* they count in the catalog */
	begin(f);
	assert_int_equal(lose(f, lease(f, JOB_FINALIZE, T + 5000), ERR_CHECK_FAILED, T + 5000), JOB_FAILED);
	assert_key(lease(f, JOB_FINALIZE, T + 999999), false);
	commit(f);
	struct recording_info row = row_of(f, 1);
	assert_int_equal(row.phase, PHASE_ERROR);
	assert_int_equal(row.error, ERR_CHECK_FAILED);
	assert_string_equal(row.error_message, "All 3 attempts failed; the last one: It died.");
	assert_int_equal(row.media.revision, 1); /* what was published stays */
	recording_info_release(&row);
	assert_events(f, "phase queued; phase processing; phase queued; phase processing; phase generating_thumbnail; "
			 "phase queued; phase processing; failed error");
}

static enum catalog_outcome claim_at(struct fixture *f, int64_t now_ms)
{
	struct track_info track = { .bytes = 10, .total = 10, .sealed = true, .sealed_by = SEALED_BY_COMPLETE };
	struct catalog_seal seal = { .id = id_of(1),
				     .by = SEALED_BY_COMPLETE,
				     .revision = 1,
				     .tracks = &track,
				     .track_count = 1,
				     .now_ms = now_ms };
	enum catalog_outcome outcome;
	struct recording_info row;
	assert_int_equal(f->c->ops->claim(f->c, &seal, &outcome, &row), ERR_OK);
	recording_info_release(&row);
	return outcome;
}

static void what_is_used_up_is_claimed_when_its_window_is_over(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	begin(f);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	for (int i = 0; i < LIMIT_ATTEMPTS; i++)
		lose(f, lease(f, JOB_FINALIZE, T + 10000 * i), ERR_WORKER_DIED, T + 10000 * i);
	assert_phase(f, 1, PHASE_ERROR);
	assert_int_equal(claim_at(f, T + LIMIT_ATTEMPTS_MS - 1), CATALOG_UNCHANGED);
	assert_phase(f, 1, PHASE_ERROR);
	assert_job(f, 1, JOB_FAILED, 3, 3);
	assert_int_equal(claim_at(f, T + LIMIT_ATTEMPTS_MS), CATALOG_CHANGED);
	assert_job(f, 1, JOB_QUEUED, 4, 0);
	commit(f);
	/* what repeats by nature has attempts left, and they are the same window's */
	begin(f);
	lose(f, lease(f, JOB_FINALIZE, T + LIMIT_ATTEMPTS_MS), ERR_MEDIA_UNREADABLE, T + LIMIT_ATTEMPTS_MS);
	assert_phase(f, 1, PHASE_ERROR);
	assert_int_equal(claim_at(f, T + LIMIT_ATTEMPTS_MS + 1), CATALOG_CHANGED);
	assert_key(lease(f, JOB_FINALIZE, T + LIMIT_ATTEMPTS_MS + 1), true);
	commit(f);
	assert_job(f, 1, JOB_RUNNING, 7, 2);
	assert_counts(f, 1, 1, 12);
}

static void a_late_resume_leaves_what_is_published(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	begin(f);
	complete_take(f, 1, SEALED_BY_GRACE, T);
	assert_int_equal(reopen(f, 1), CATALOG_CHANGED);
	claim(f, 1, SEALED_BY_END, 2, 20, ERR_OK);
	commit(f);
	struct recording_info row = row_of(f, 1);
	assert_int_equal(row.media.revision, 1);
	assert_int_equal(row.revision, 2);
	assert_int_equal(row.job.revision, 2);
	assert_int_equal(row.job.state, JOB_QUEUED);
	recording_info_release(&row);
	begin(f);
	struct job_key key = lease(f, JOB_FINALIZE, T + 5);
	assert_int_equal(publish(f, key, T + 5), ERR_OK);
	commit(f);
	row = row_of(f, 1);
	assert_int_equal(row.media.revision, 2);
	assert_int_equal(row.media.published_ms, T + 5);
	recording_info_release(&row);
	begin(f);
	assert_int_equal(done(f, key, T + 6), ERR_OK);
	remove_take(f, 1);
	commit(f);
	row = row_of(f, 1);
	assert_int_equal(row.media.revision, 0);
	assert_null(row.warnings);
	assert_int_equal(row.job.id, 0);
	recording_info_release(&row);
}

/* Fetches */

static void sources_are_fetched_at_once_or_on_demand(void **state)
{
	struct fixture *f = *state;
	struct uuid two = id_of(2);
	struct recording_info row;
	begin(f);
	start(f, source(1, false));
	start(f, source(2, true));
	commit(f);
	assert_counts(f, 1, 1, 0);
	assert_counts(f, 2, 0, 0);
	row = row_of(f, 2);
	assert_string_equal(row.source_url, "https://calls.example/1");
	assert_true(row.on_demand);
	assert_int_equal(row.phase, PHASE_UPLOADING);
	recording_info_release(&row);
	begin(f);
	struct job_key key = lease(f, JOB_FETCH, T);
	assert_key(key, true);
	assert_key(lease(f, JOB_FETCH, T), false);
	for (int i = 0; i < 2; i++) { /* asked for twice, fetched once */
		assert_int_equal(f->c->ops->refetch(f->c, &two, T, &row), ERR_OK);
		assert_int_equal(row.job.kind, JOB_FETCH);
		assert_int_equal(row.job.state, JOB_QUEUED);
		recording_info_release(&row);
	}
	assert_key(lease(f, JOB_FETCH, T), true);
	assert_int_equal(f->c->ops->refetch(f->c, &two, T, &row), ERR_OK);
	assert_int_equal(row.job.state, JOB_RUNNING);
	recording_info_release(&row);
	commit(f);
	assert_phase(f, 1, PHASE_UPLOADING); /* a fetch is no phase */
	begin(f);
	claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK);
	assert_int_equal(done(f, key, T), ERR_OK);
	assert_key(lease(f, JOB_FINALIZE, T), true);
	commit(f);
	assert_counts(f, 1, 2, 2);
}

static void a_fetch_that_fails_is_an_error_and_may_begin_again(void **state)
{
	struct fixture *f = *state;
	struct uuid one = id_of(1);
	struct recording_info row;
	int64_t again_ms = T + LIMIT_FETCH_WAIT_FIRST_MS;
	begin(f);
	start(f, source(1, true));
	assert_int_equal(f->c->ops->refetch(f->c, &one, T, &row), ERR_OK);
	recording_info_release(&row);
	assert_int_equal(lose(f, lease(f, JOB_FETCH, T), ERR_SOURCE_FAILED, T), JOB_QUEUED);
	assert_phase(f, 1, PHASE_UPLOADING);
	assert_int_equal(lose(f, lease(f, JOB_FETCH, again_ms), ERR_SOURCE_GONE, again_ms), JOB_FAILED);
	assert_phase(f, 1, PHASE_ERROR);
	assert_int_equal(f->c->ops->refetch(f->c, &one, again_ms + 1, &row), ERR_OK); /* an attempt is left */
	assert_int_equal(row.phase, PHASE_UPLOADING);
	assert_int_equal(row.error, ERR_OK);
	recording_info_release(&row);
	assert_int_equal(lose(f, lease(f, JOB_FETCH, again_ms + 1), ERR_SOURCE_FAILED, again_ms + 1), JOB_FAILED);
	commit(f);
	begin(f);
	assert_int_equal(f->c->ops->refetch(f->c, &one, again_ms + 2, &row), ERR_BUSY);
	recording_info_release(&row);
	f->c->ops->rollback(f->c);
	assert_phase(f, 1, PHASE_ERROR);
	begin(f);
	assert_int_equal(f->c->ops->refetch(f->c, &one, T + LIMIT_ATTEMPTS_MS, &row), ERR_OK);
	recording_info_release(&row);
	commit(f);
	assert_events(f, "failed error; phase uploading; failed error; phase uploading");
	assert_counts(f, 1, 1, 4);
}

static void only_a_source_that_was_never_sealed_is_fetched_again(void **state)
{
	struct fixture *f = *state;
	struct recording_info row;
	start_takes(f, 2);
	begin(f);
	fail_take(f, 1); /* no source */
	start(f, source(3, false));
	struct job_key key = lease(f, JOB_FETCH, T);
	claim(f, 3, SEALED_BY_END, 1, 10, ERR_CHECKSUM_MISMATCH);
	for (unsigned n = 1; n <= 3; n++) {
		struct uuid id = id_of(n);
		assert_int_equal(f->c->ops->refetch(f->c, &id, T, &row), ERR_OK);
		assert_int_equal(row.phase, n == 2 ? PHASE_UPLOADING : PHASE_ERROR);
		recording_info_release(&row);
	}
	assert_int_equal(reopen(f, 1), CATALOG_UNCHANGED); /* no way for others out of `error` */
	/* its bytes were sealed, and then the server died before it could say so */
	assert_int_equal(lose(f, key, ERR_WORKER_DIED, T), JOB_DONE);
	assert_key(lease(f, JOB_FETCH, T + 99999), false);
	commit(f);
	assert_phase(f, 3, PHASE_ERROR);
	assert_counts(f, 1, 0, 1);
	assert_counts(f, 3, 1, 1);
}

static void validators_are_kept(void **state)
{
	struct fixture *f = *state;
	struct uuid one = id_of(1), two = id_of(2);
	char *text;
	begin(f);
	start(f, source(1, false));
	assert_int_equal(f->c->ops->get_validator(f->c, &one, &text), ERR_OK);
	assert_null(text);
	assert_int_equal(f->c->ops->put_validator(f->c, &one, "\"etag\""), ERR_OK);
	assert_int_equal(f->c->ops->put_validator(f->c, &two, "\"etag\""), ERR_NOT_FOUND);
	commit(f);
	assert_int_equal(f->c->ops->get_validator(f->c, &one, &text), ERR_OK);
	assert_string_equal(text, "\"etag\"");
	free(text);
	assert_int_equal(f->c->ops->get_validator(f->c, &two, &text), ERR_NOT_FOUND);
	begin(f);
	assert_int_equal(f->c->ops->put_validator(f->c, &one, NULL), ERR_OK);
	commit(f);
	assert_int_equal(f->c->ops->get_validator(f->c, &one, &text), ERR_OK);
	assert_null(text);
}

/* Lists of jobs */

static enum err lose_running(void *arg, const struct job_info *job)
{
	struct fixture *f = arg;
	struct job_key key = { job->id, job->epoch };
	assert_int_equal(job->state, JOB_RUNNING);
	assert_int_equal(lose(f, key, ERR_WORKER_DIED, T), JOB_QUEUED);
	return ERR_OK;
}

static enum err count_job(void *arg, const struct job_info *job)
{
	unsigned *ids = arg;
	while (*ids)
		ids++;
	*ids = job->recording.bytes[7]; /* as id_of made it */
	return ERR_OK;
}

static void a_start_finds_what_ran(void **state)
{
	struct fixture *f = *state;
	unsigned counts[JOB_STATE_COUNT];
	start_takes(f, 3);
	begin(f);
	for (unsigned n = 1; n <= 3; n++)
		claim(f, n, SEALED_BY_END, 1, 10, ERR_OK);
	lease(f, JOB_FINALIZE, T);
	lease(f, JOB_FINALIZE, T);
	commit(f);
	reopen_catalog(f);
	assert_int_equal(f->c->ops->job_tally(f->c, JOB_FINALIZE, counts), ERR_OK);
	assert_true(counts[JOB_QUEUED] == 1 && counts[JOB_RUNNING] == 2 && counts[JOB_FAILED] == 0);
	begin(f);
	assert_int_equal(f->c->ops->each_running(f->c, lose_running, f), ERR_OK);
	commit(f);
	assert_int_equal(f->c->ops->job_tally(f->c, JOB_FINALIZE, counts), ERR_OK);
	assert_true(counts[JOB_QUEUED] == 3 && counts[JOB_RUNNING] == 0);
	assert_int_equal(f->c->ops->job_tally(f->c, JOB_FETCH, counts), ERR_OK);
	assert_true(counts[JOB_QUEUED] == 0);
}

static void what_failed_is_listed_the_newest_first(void **state)
{
	struct fixture *f = *state;
	unsigned ids[10] = { 0 };
	start_takes(f, 3);
	begin(f);
	start(f, source(4, false));
	for (unsigned n = 1; n <= 3; n++) {
		claim(f, n, SEALED_BY_END, 1, 10, ERR_OK);
		lose(f, lease(f, JOB_FINALIZE, T + 10 * n), ERR_MEDIA_LIMIT, T + 10 * n);
	}
	lose(f, lease(f, JOB_FETCH, T + 25), ERR_SOURCE_GONE, T + 25);
	commit(f);
	assert_int_equal(f->c->ops->each_troubled(f->c, 3, count_job, ids), ERR_OK);
	assert_true(ids[0] == 3 && ids[1] == 4 && ids[2] == 2 && ids[3] == 0);
}

/* Behind a failure, by who has just lost the lease; nobody else. */
static void a_receiver_says_when(void **state)
{
	struct fixture *f = *state;
	int64_t due;
	begin(f);
	start(f, source(1, false));
	struct job_key key = lease(f, JOB_FETCH, T);
	assert_int_equal(f->c->ops->job_postpone(f->c, &key, T + 60000), ERR_NOT_FOUND); /* it runs */
	assert_int_equal(lose(f, key, ERR_SOURCE_FAILED, T), JOB_QUEUED);
	assert_int_equal(f->c->ops->job_next(f->c, JOB_FETCH, &due), ERR_OK);
	assert_int_equal(due, T + LIMIT_FETCH_WAIT_FIRST_MS);
	assert_int_equal(f->c->ops->job_postpone(f->c, &key, T), ERR_OK); /* earlier is no later */
	assert_int_equal(f->c->ops->job_next(f->c, JOB_FETCH, &due), ERR_OK);
	assert_int_equal(due, T + LIMIT_FETCH_WAIT_FIRST_MS);
	assert_int_equal(f->c->ops->job_postpone(f->c, &key, T + 10000), ERR_OK);
	assert_int_equal(f->c->ops->job_next(f->c, JOB_FETCH, &due), ERR_OK);
	assert_int_equal(due, T + 10000);
	assert_key(lease(f, JOB_FETCH, T + 9999), false);
	key.epoch++;
	assert_int_equal(f->c->ops->job_postpone(f->c, &key, T + 20000), ERR_NOT_FOUND);
	assert_key(lease(f, JOB_FETCH, T + 10000), true);
	commit(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_lease_is_taken_once),
		TEST(the_oldest_goes_first),
		TEST(a_clock_set_back_keeps_no_job_from_its_worker),
		TEST(publishing_places_inside_the_transaction),
		TEST(a_hash_comes_with_its_job),
		TEST(what_can_not_be_placed_is_not_published),
		TEST(stale_epochs_change_nothing),
		TEST(renewing_tells_progress_and_no_event),
		TEST(attempts_are_counted_and_then_it_is_an_error),
		TEST(what_is_used_up_is_claimed_when_its_window_is_over),
		TEST(a_late_resume_leaves_what_is_published),
		TEST(sources_are_fetched_at_once_or_on_demand),
		TEST(a_fetch_that_fails_is_an_error_and_may_begin_again),
		TEST(only_a_source_that_was_never_sealed_is_fetched_again),
		TEST(validators_are_kept),
		TEST(a_start_finds_what_ran),
		TEST(what_failed_is_listed_the_newest_first),
		TEST(a_receiver_says_when),
	};
	const char *name;
	int failed = 0;
	for (size_t i = 0; (name = catalog_rig_choose(i)); i++)
		failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
	return failed;
}
