/* Leases in the SQLite catalog: a job is taken, goes on, and ends. core/job.c says what follows what; here it is
 * written together with the phase and the event, and only while the lease is the one that is named. */
#include "store/catalog_sqlite.h"

#include "core/job.h"

#include <assert.h>
#include <string.h>

/* The job of this epoch if it stands so, or NOT_FOUND: somebody else has it by now, or nobody. */
static enum err load_keyed(struct catalog_sqlite *c, const struct job_key *key, enum job_state state,
			   struct job_info *job)
{
	sqlite3_stmt *stmt;
	assert(c->open);
	*job = (struct job_info){ 0 };
	enum err err = catalog_statement(c, STATEMENT_JOB_GET, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 1, key->id);
	err = catalog_load_job(c, stmt, job);
	if (err != ERR_OK || (job->state == state && job->epoch == key->epoch))
		return err;
	job_info_release(job);
	return ERR_NOT_FOUND;
}

enum err catalog_job_held(struct catalog_sqlite *c, const struct job_key *key, struct job_info *job)
{
	return load_keyed(c, key, JOB_RUNNING, job);
}

/* Taking */

static enum err load_queued(struct catalog_sqlite *c, enum catalog_statement which, enum job_kind kind,
			    struct job_info *job)
{
	sqlite3_stmt *stmt;
	*job = (struct job_info){ 0 };
	enum err err = catalog_statement(c, which, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 1, job_kind_name(kind));
	return catalog_load_job(c, stmt, job);
}

/* The one that was due first. If the clock was set back, the one that was queued last is the one that shows it. */
static enum err find_due(struct catalog_sqlite *c, enum job_kind kind, int64_t now_ms, struct job_info *job)
{
	static const enum catalog_statement looks[] = { STATEMENT_JOB_FIRST, STATEMENT_JOB_LATEST };
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
		enum err err = load_queued(c, looks[i], kind, job);
		if (err != ERR_OK || job_due(job, now_ms))
			return err;
		job_info_release(job);
	}
	return ERR_NOT_FOUND;
}

/* A fetch whose bytes are sealed has nothing left to do, and a row that went another way has no use for its file, nor a
 * bucket for one of an older revision. */
static bool serves(const struct job_info *job, const struct recording_info *row)
{
	switch (job->kind) {
	case JOB_FINALIZE:
		return row->phase == PHASE_QUEUED && row->revision == job->revision;
	case JOB_FETCH:
		return row->phase == PHASE_UPLOADING;
	case JOB_PUSH:
		return row->phase == PHASE_COMPLETE && row->media.revision == job->revision;
	default:
		return true;
	}
}

static enum err take_lease(struct catalog_move *m, struct job_info *job, int64_t lease_until_ms)
{
	job_lease(job, m->now_ms, lease_until_ms);
	enum err err = catalog_store_job(m->c, job);
	if (err == ERR_OK && job->kind == JOB_FINALIZE)
		return catalog_move_to(m, PHASE_PROCESSING, ERR_OK, NULL);
	recording_info_release(m->row);
	return err == ERR_OK ? catalog_load_id(m->c, &job->recording, m->row) : err;
}

enum err catalog_job_claim(struct catalog *base, enum job_kind kind, int64_t now_ms, int64_t lease_until_ms,
			   struct job_info *job, struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	enum err err;
	assert(m.c->open);
	*row = (struct recording_info){ 0 };
	while ((err = find_due(m.c, kind, now_ms, job)) == ERR_OK) {
		err = catalog_load_id(m.c, &job->recording, row);
		if (err != ERR_OK)
			break;
		if (serves(job, row)) {
			err = take_lease(&m, job, lease_until_ms);
			break;
		}
		recording_info_release(row);
		job_cancel(job);
		err = catalog_store_job(m.c, job);
		if (err == ERR_OK && kind == JOB_PUSH)
			err = catalog_push_drop(m.c, &job->recording, now_ms);
		job_info_release(job);
		if (err != ERR_OK)
			break;
	}
	if (err != ERR_OK)
		job_info_release(job);
	return err;
}

/* Going on */

enum err catalog_job_renew(struct catalog *base, const struct job_key *key, int64_t lease_until_ms, unsigned progress)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	enum err err = catalog_statement(c, STATEMENT_JOB_RENEW, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 1, key->id);
	sqlite3_bind_int64(stmt, 2, key->epoch);
	sqlite3_bind_int64(stmt, 3, lease_until_ms);
	sqlite3_bind_int(stmt, 4, progress < 1000 ? (int)progress : 1000);
	err = catalog_run(c, stmt);
	return err == ERR_OK && sqlite3_changes(c->db) == 0 ? ERR_NOT_FOUND : err;
}

/* The media as the row is to keep it: its revision is the job's. */
static struct media_info media_of(const struct job_info *job, const struct recording_info *row,
				  const struct media_info *media, int64_t now_ms)
{
	struct media_info out = *media;
	bool same = row->media.revision == job->revision && row->phase == PHASE_GENERATING_THUMBNAIL;
	out.revision = job->revision;
	if (out.published_ms == 0)
		out.published_ms = same ? row->media.published_ms : now_ms;
	return out;
}

enum err catalog_job_hashes(struct catalog *base, const struct job_key *key, const struct track_hash *hashes,
			    unsigned count, bool *fits)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct recording_info row = { 0 };
	struct job_info job;
	*fits = true;
	enum err err = catalog_job_held(c, key, &job);
	if (err != ERR_OK)
		return err;
	err = job.kind == JOB_FINALIZE ? catalog_load_id(c, &job.recording, &row) : ERR_NOT_FOUND;
	for (unsigned i = 0; err == ERR_OK && i < count; i++) {
		const struct track_info *t = hashes[i].track < row.track_count ? &row.tracks[hashes[i].track] : NULL;
		err = t ? catalog_write_hash(c, &row.id, &hashes[i]) : ERR_NOT_FOUND;
		if (t && t->has_declared_sha256 &&
		    memcmp(&t->declared_sha256, &hashes[i].sha256, sizeof t->declared_sha256) != 0)
			*fits = false;
	}
	recording_info_release(&row);
	job_info_release(&job);
	return err;
}

enum err catalog_job_publish(struct catalog *base, const struct job_key *key, const struct media_info *media,
			     const char *warnings, int64_t now_ms, enum err (*place)(void *arg), void *arg,
			     struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	struct job_info job;
	*row = (struct recording_info){ 0 };
	enum err err = catalog_job_held(m.c, key, &job);
	if (err != ERR_OK)
		return err;
	err = catalog_move_look(&m, &job.recording, PHASE_GENERATING_THUMBNAIL);
	bool again = err == ERR_OK && row->phase == PHASE_GENERATING_THUMBNAIL;
	if (err == ERR_OK && (job.kind != JOB_FINALIZE || !(m.may || again)))
		err = ERR_NOT_FOUND;
	if (err == ERR_OK) {
		err = place(arg);
		if (err == ERR_NOT_FOUND || err == ERR_EXISTS) /* of a folder; here these words mean something else */
			err = ERR_WRITE_FAILED;
	}
	if (err == ERR_OK) {
		struct media_info kept = media_of(&job, row, media, now_ms);
		err = catalog_publish(m.c, row, &kept, warnings);
	}
	if (err == ERR_OK && !again) {
		err = catalog_move_to(&m, PHASE_GENERATING_THUMBNAIL, ERR_OK, NULL);
	} else if (err == ERR_OK) {
		recording_info_release(row);
		err = catalog_load_id(m.c, &job.recording, row);
	}
	if (err != ERR_OK)
		recording_info_release(row);
	job_info_release(&job);
	return err;
}

/* The end */

static enum err done_notify(struct catalog_sqlite *c, struct job_info *job, int64_t now_ms)
{
	bool waits;
	enum err err = catalog_event_waits(c, &job->recording, job->delivered, &waits);
	job_succeeded(job);
	if (err == ERR_OK && waits)
		job_requeue(job, now_ms);
	return err;
}

static enum err done_finalize(struct catalog_move *m, struct job_info *job, const struct media_info *media,
			      const char *warnings)
{
	struct media_info kept = media_of(job, m->row, media, m->now_ms);
	enum err err = catalog_publish(m->c, m->row, &kept, warnings);
	job_succeeded(job);
	if (err == ERR_OK)
		err = catalog_store_job(m->c, job);
	if (err == ERR_OK && m->c->base.pushes) {
		m->row->media = kept;
		err = catalog_queue_push(m->c, m->row, m->now_ms);
	}
	return err == ERR_OK ? catalog_move_to(m, PHASE_COMPLETE, ERR_OK, NULL) : err;
}

enum err catalog_job_done(struct catalog *base, const struct job_key *key, const struct media_info *media,
			  const char *warnings, int64_t now_ms, struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	struct job_info job;
	*row = (struct recording_info){ 0 };
	enum err err = catalog_job_held(m.c, key, &job);
	if (err != ERR_OK)
		return err;
	if (job.kind == JOB_FINALIZE) {
		err = catalog_move_look(&m, &job.recording, PHASE_COMPLETE);
		if (err == ERR_OK)
			err = m.may ? done_finalize(&m, &job, media, warnings) : ERR_NOT_FOUND;
	} else {
		if (job.kind == JOB_NOTIFY)
			err = done_notify(m.c, &job, now_ms);
		else
			job_succeeded(&job);
		if (err == ERR_OK && job.kind == JOB_PUSH)
			err = catalog_push_done(m.c, &job, now_ms);
		if (err == ERR_OK)
			err = catalog_store_job(m.c, &job);
		if (err == ERR_OK)
			err = catalog_load_id(m.c, &job.recording, row);
	}
	if (err != ERR_OK)
		recording_info_release(row);
	job_info_release(&job);
	return err;
}

/* The phase that goes with how the job now stands, from the one that it is in; the same: nothing changes. */
static enum phase phase_behind(const struct job_info *job, enum phase now)
{
	bool working = now == PHASE_PROCESSING || now == PHASE_GENERATING_THUMBNAIL;
	if (job->kind == JOB_FINALIZE && working)
		return job->state == JOB_FAILED ? PHASE_ERROR : PHASE_QUEUED;
	if (job->kind == JOB_FETCH && now == PHASE_UPLOADING && job->state == JOB_FAILED)
		return PHASE_ERROR;
	return now;
}

enum err catalog_job_fail(struct catalog *base, const struct job_key *key, enum err error, const char *message,
			  int64_t now_ms, struct job_info *job, struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	*row = (struct recording_info){ 0 };
	enum err err = catalog_job_held(m.c, key, job);
	if (err != ERR_OK)
		return err;
	err = catalog_fail(m.c, job_failed(job, error, message, now_ms));
	if (err == ERR_OK)
		err = catalog_load_id(m.c, &job->recording, row);
	if (err == ERR_OK && job->kind == JOB_FETCH && row->phase != PHASE_UPLOADING)
		job_succeeded(job); /* its bytes were sealed before anybody could say that it is done */
	if (err == ERR_OK)
		err = catalog_store_job(m.c, job);
	enum phase to = err == ERR_OK ? phase_behind(job, row->phase) : PHASE_COUNT;
	if (err == ERR_OK && to != row->phase) {
		bool failed = to == PHASE_ERROR;
		assert(phase_may(row->phase, to, row->sealed_by));
		err = catalog_move_to(&m, to, failed ? job->error : ERR_OK, failed ? job->error_message : NULL);
	} else if (err == ERR_OK) {
		recording_info_release(row);
		err = catalog_load_id(m.c, &job->recording, row);
	}
	if (err != ERR_OK) {
		recording_info_release(row);
		job_info_release(job);
	}
	return err;
}

enum err catalog_job_postpone(struct catalog *base, const struct job_key *key, int64_t not_before_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct job_info job;
	enum err err = load_keyed(c, key, JOB_QUEUED, &job);
	if (err == ERR_OK && job.not_before_ms < not_before_ms) {
		job.not_before_ms = not_before_ms;
		err = catalog_store_job(c, &job);
	}
	job_info_release(&job);
	return err;
}

enum err catalog_job_delivered(struct catalog *base, const struct job_key *key, int64_t seq, int64_t lease_until_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct job_info job;
	enum err err = catalog_job_held(c, key, &job);
	if (err == ERR_OK && job.kind != JOB_NOTIFY)
		err = ERR_NOT_FOUND;
	if (err == ERR_OK) {
		job_delivered(&job, seq, lease_until_ms);
		err = catalog_store_job(c, &job);
	}
	job_info_release(&job);
	return err;
}

/* Asking again */

/* A fetch begins again where no byte of the recording was ever sealed; `error` is left for it, which no late resume
 * would be allowed to. */
static bool may_refetch(const struct recording_info *row)
{
	bool open = row->phase == PHASE_UPLOADING || row->phase == PHASE_ERROR;
	bool unsealed = row->revision == 0 && row->sealed_by == SEALED_BY_NONE;
	return row->source_url && open && unsealed && !recording_info_broken(row);
}

enum err catalog_refetch(struct catalog *base, const struct uuid *id, int64_t now_ms, struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	struct job_info job;
	assert(m.c->open);
	enum err err = catalog_load_id(m.c, id, row);
	if (err != ERR_OK || !may_refetch(row))
		return err;
	err = catalog_job_of(m.c, id, JOB_FETCH, 0, &job);
	bool closed = err == ERR_OK && job_closed_ms(&job, now_ms) > 0;
	job_info_release(&job);
	if (err == ERR_NOT_FOUND)
		err = ERR_OK;
	if (err == ERR_OK && closed)
		err = ERR_BUSY;
	if (err == ERR_OK)
		err = catalog_queue_job(m.c, id, JOB_FETCH, 0, now_ms);
	if (err == ERR_OK && row->phase == PHASE_ERROR)
		return catalog_move_to(&m, PHASE_UPLOADING, ERR_OK, NULL);
	recording_info_release(row);
	return err == ERR_OK ? catalog_load_id(m.c, id, row) : err;
}
