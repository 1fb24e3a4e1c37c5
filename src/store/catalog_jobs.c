/* Rows of jobs in the SQLite catalog: job_info to columns and back, and the lists of them. What follows what is
 * core/job.h's to say. */
#include "store/catalog_sqlite.h"

#include "core/job.h"

#include <assert.h>
#include <stdlib.h>

/* A code of another version is still an error. */
void catalog_column_error(sqlite3_stmt *stmt, int at, enum err *out)
{
	const char *code = (const char *)sqlite3_column_text(stmt, at);
	if (code && !err_parse(code, out))
		*out = ERR_INTERNAL;
}

static enum err load_columns(sqlite3_stmt *stmt, struct job_info *job)
{
	const char *kind = (const char *)sqlite3_column_text(stmt, JOB_COLUMN_kind);
	const char *state = (const char *)sqlite3_column_text(stmt, JOB_COLUMN_state);
	if (!kind || !job_kind_parse(kind, &job->kind) || !state || !job_state_parse(state, &job->state))
		return ERR_CORRUPT;
	job->id = sqlite3_column_int64(stmt, JOB_COLUMN_id);
	job->revision = (uint32_t)sqlite3_column_int64(stmt, JOB_COLUMN_revision);
	job->epoch = (uint32_t)sqlite3_column_int64(stmt, JOB_COLUMN_epoch);
	job->attempt = (uint32_t)sqlite3_column_int64(stmt, JOB_COLUMN_attempt);
	job->window_ms = sqlite3_column_int64(stmt, JOB_COLUMN_window_at);
	job->created_ms = sqlite3_column_int64(stmt, JOB_COLUMN_created_at);
	job->queued_ms = sqlite3_column_int64(stmt, JOB_COLUMN_queued_at);
	job->started_ms = sqlite3_column_int64(stmt, JOB_COLUMN_started_at);
	job->lease_until_ms = sqlite3_column_int64(stmt, JOB_COLUMN_lease_until);
	job->not_before_ms = sqlite3_column_int64(stmt, JOB_COLUMN_not_before);
	job->progress = (uint16_t)sqlite3_column_int(stmt, JOB_COLUMN_progress);
	job->delivered = sqlite3_column_int64(stmt, JOB_COLUMN_delivered);
	catalog_column_error(stmt, JOB_COLUMN_error_code, &job->error);
	enum err err = catalog_column_id(stmt, JOB_COLUMN_recording, &job->recording);
	return err == ERR_OK ? catalog_column_text(stmt, JOB_COLUMN_error_message, &job->error_message) : err;
}

/* The next row of a SELECT that stays open. */
static enum err step(struct catalog_sqlite *c, sqlite3_stmt *stmt, struct job_info *job)
{
	*job = (struct job_info){ 0 };
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_DONE)
		return ERR_NOT_FOUND;
	enum err err = rc == SQLITE_ROW ? load_columns(stmt, job) : catalog_error(c, rc);
	if (err != ERR_OK)
		job_info_release(job);
	return catalog_fail(c, err);
}

enum err catalog_load_job(struct catalog_sqlite *c, sqlite3_stmt *stmt, struct job_info *job)
{
	enum err err = step(c, stmt, job);
	catalog_done(stmt);
	return err;
}

enum err catalog_job_of(struct catalog_sqlite *c, const struct uuid *id, enum job_kind kind, uint32_t revision,
			struct job_info *job)
{
	sqlite3_stmt *stmt;
	*job = (struct job_info){ 0 };
	enum err err = catalog_statement_for(c, STATEMENT_JOB_OF, id, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 2, job_kind_name(kind));
	sqlite3_bind_int64(stmt, 3, revision);
	return catalog_load_job(c, stmt, job);
}

enum err catalog_store_job(struct catalog_sqlite *c, struct job_info *job)
{
	sqlite3_stmt *stmt;
	bool new = job->id == 0;
	enum err err = catalog_statement(c, new ? STATEMENT_JOB_INSERT : STATEMENT_JOB_UPDATE, &stmt);
	if (err != ERR_OK)
		return err;
	if (new) {
		catalog_bind_id(stmt, JOB_COLUMN_recording + 1, &job->recording);
		catalog_bind_text(stmt, JOB_COLUMN_kind + 1, job_kind_name(job->kind));
		sqlite3_bind_int64(stmt, JOB_COLUMN_revision + 1, job->revision);
		sqlite3_bind_int64(stmt, JOB_COLUMN_created_at + 1, job->created_ms);
	} else {
		sqlite3_bind_int64(stmt, JOB_COLUMN_id + 1, job->id);
	}
	catalog_bind_text(stmt, JOB_COLUMN_state + 1, job_state_name(job->state));
	sqlite3_bind_int64(stmt, JOB_COLUMN_epoch + 1, job->epoch);
	sqlite3_bind_int64(stmt, JOB_COLUMN_attempt + 1, job->attempt);
	sqlite3_bind_int64(stmt, JOB_COLUMN_window_at + 1, job->window_ms);
	sqlite3_bind_int64(stmt, JOB_COLUMN_queued_at + 1, job->queued_ms);
	sqlite3_bind_int64(stmt, JOB_COLUMN_started_at + 1, job->started_ms);
	sqlite3_bind_int64(stmt, JOB_COLUMN_lease_until + 1, job->lease_until_ms);
	sqlite3_bind_int64(stmt, JOB_COLUMN_not_before + 1, job->not_before_ms);
	sqlite3_bind_int(stmt, JOB_COLUMN_progress + 1, job->progress);
	sqlite3_bind_int64(stmt, JOB_COLUMN_delivered + 1, job->delivered);
	catalog_bind_text(stmt, JOB_COLUMN_error_code + 1, job->error == ERR_OK ? NULL : err_code(job->error));
	catalog_bind_text(stmt, JOB_COLUMN_error_message + 1, job->error_message);
	err = catalog_run(c, stmt);
	if (err == ERR_OK && new)
		job->id = sqlite3_last_insert_rowid(c->db);
	return err;
}

enum err catalog_queue_job(struct catalog_sqlite *c, const struct uuid *id, enum job_kind kind, uint32_t revision,
			   int64_t now_ms)
{
	struct job_info job;
	enum err err = catalog_job_of(c, id, kind, revision, &job);
	bool at_work = job.state == JOB_QUEUED || job.state == JOB_RUNNING;
	if (err == ERR_NOT_FOUND) {
		job = (struct job_info){
			.recording = *id,
			.kind = kind,
			.revision = revision,
			.created_ms = now_ms,
			.queued_ms = now_ms,
			.not_before_ms = now_ms,
		};
		err = catalog_store_job(c, &job);
	} else if (err == ERR_OK && !at_work) {
		job_requeue(&job, now_ms);
		err = catalog_store_job(c, &job);
	}
	job_info_release(&job);
	return err;
}

enum err catalog_job_next(struct catalog *base, enum job_kind kind, int64_t *due_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct job_info job;
	sqlite3_stmt *stmt;
	*due_ms = 0;
	enum err err = catalog_statement(c, STATEMENT_JOB_FIRST, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 1, job_kind_name(kind));
	err = catalog_load_job(c, stmt, &job);
	*due_ms = job.not_before_ms;
	job_info_release(&job);
	return err;
}

/* Jobs are gathered before the callbacks, which may change them. */
struct job_list {
	struct job_info *jobs;
	size_t count, capacity;
};

static enum err job_list_add(struct catalog_sqlite *c, struct job_list *list, const struct job_info *job)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : LIMIT_LIST_ITEMS;
		struct job_info *jobs = realloc(list->jobs, capacity * sizeof *jobs);
		if (!jobs)
			return catalog_fail(c, ERR_NO_MEMORY);
		list->jobs = jobs;
		list->capacity = capacity;
	}
	list->jobs[list->count++] = *job;
	return ERR_OK;
}

/* All that a bound SELECT finds; gives it back. */
static enum err gather(struct catalog_sqlite *c, sqlite3_stmt *stmt, struct job_list *list)
{
	struct job_info job;
	enum err err;
	while ((err = step(c, stmt, &job)) == ERR_OK && (err = job_list_add(c, list, &job)) == ERR_OK)
		;
	catalog_done(stmt);
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	job_info_release(&job);
	return err;
}

static enum err call_each(struct job_list *list, size_t limit, enum err err,
			  enum err (*callback)(void *arg, const struct job_info *job), void *arg)
{
	for (size_t i = 0; i < list->count; i++) {
		if (err == ERR_OK && i < limit)
			err = callback(arg, &list->jobs[i]);
		job_info_release(&list->jobs[i]);
	}
	free(list->jobs);
	return err;
}

enum err catalog_each_running(struct catalog *base, enum err (*callback)(void *arg, const struct job_info *job),
			      void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct job_list list = { 0 };
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, STATEMENT_JOBS_RUNNING, &stmt);
	if (err == ERR_OK)
		err = gather(c, stmt, &list);
	return call_each(&list, SIZE_MAX, err, callback, arg);
}

enum err catalog_job_tally(struct catalog *base, enum job_kind kind, unsigned counts[JOB_STATE_COUNT])
{
	struct catalog_sqlite *c = catalog_self(base);
	for (int state = 0; state < JOB_STATE_COUNT; state++) {
		sqlite3_stmt *stmt;
		counts[state] = 0;
		if (state == JOB_DONE || state == JOB_CANCELLED)
			continue;
		enum err err = catalog_statement(c, STATEMENT_TALLY, &stmt);
		if (err != ERR_OK)
			return err;
		catalog_bind_text(stmt, 1, job_state_name((enum job_state)state));
		catalog_bind_text(stmt, 2, job_kind_name(kind));
		int rc = sqlite3_step(stmt);
		counts[state] = rc == SQLITE_ROW ? (unsigned)sqlite3_column_int64(stmt, 0) : 0;
		err = catalog_error(c, rc);
		catalog_done(stmt);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

static enum err gather_in(struct catalog_sqlite *c, enum job_state state, enum job_kind kind, int64_t limit,
			  struct job_list *list)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, STATEMENT_JOBS_IN, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 1, job_state_name(state));
	catalog_bind_text(stmt, 2, job_kind_name(kind));
	sqlite3_bind_int64(stmt, 3, limit);
	return gather(c, stmt, list);
}

static int newer_first(const void *a, const void *b)
{
	const struct job_info *left = a, *right = b;
	if (left->not_before_ms == right->not_before_ms)
		return left->id < right->id ? 1 : -1;
	return left->not_before_ms < right->not_before_ms ? 1 : -1;
}

enum err catalog_each_troubled(struct catalog *base, unsigned limit,
			       enum err (*callback)(void *arg, const struct job_info *job), void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct job_list list = { 0 };
	enum err err = ERR_OK;
	for (int kind = 0; err == ERR_OK && kind < JOB_KIND_COUNT; kind++)
		err = gather_in(c, kind == JOB_NOTIFY || kind == JOB_PUSH ? JOB_PARKED : JOB_FAILED,
				(enum job_kind)kind, limit, &list);
	if (list.count > 0)
		qsort(list.jobs, list.count, sizeof *list.jobs, newer_first);
	return call_each(&list, limit, err, callback, arg);
}

enum err catalog_unpark(struct catalog *base, enum job_kind kind, int64_t now_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct job_list list = { 0 };
	assert(c->open);
	enum err err = gather_in(c, JOB_PARKED, kind, -1, &list);
	for (size_t i = 0; i < list.count; i++) {
		if (err == ERR_OK) {
			job_requeue(&list.jobs[i], now_ms);
			err = catalog_store_job(c, &list.jobs[i]);
		}
		job_info_release(&list.jobs[i]);
	}
	free(list.jobs);
	return err;
}
