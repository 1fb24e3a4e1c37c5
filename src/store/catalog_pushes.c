/* What is pushed to a bucket, in the SQLite catalog: how far each push has come, and the uploads that are to be swept
 * because nobody goes on with them. The job of a push is one as any, see catalog_leases.c. */
#include "store/catalog_sqlite.h"

#include "core/job.h"

#include <assert.h>
#include <stdlib.h>

void catalog_push_release(struct catalog_push *push)
{
	free(push->key);
	free(push->sha256);
	free(push->upload);
	free(push->parts);
	*push = (struct catalog_push){ 0 };
}

/* Queueing */

static enum err insert(struct catalog_sqlite *c, const struct recording_info *row)
{
	char key[PUSH_KEY];
	sqlite3_stmt *stmt;
	recording_info_push_key(row, key);
	enum err err = catalog_statement_for(c, STATEMENT_PUSH_INSERT, &row->id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, row->media.revision);
	catalog_bind_text(stmt, 3, key);
	return catalog_run(c, stmt);
}

enum err catalog_queue_push(struct catalog_sqlite *c, const struct recording_info *row, int64_t now_ms)
{
	struct job_info job;
	if (row->media.bytes == 0)
		return ERR_OK; /* nothing was received: no object could say more */
	enum err err = catalog_job_of(c, &row->id, JOB_PUSH, row->media.revision, &job);
	bool done = err == ERR_OK && job.state == JOB_DONE;
	job_info_release(&job);
	if (err == ERR_NOT_FOUND)
		err = ERR_OK;
	if (err != ERR_OK || done)
		return err;
	err = insert(c, row);
	return err == ERR_OK ? catalog_queue_job(c, &row->id, JOB_PUSH, row->media.revision, now_ms) : err;
}

enum err catalog_push_missing(struct catalog *base, int64_t now_ms, unsigned limit, unsigned *count)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct uuid *ids = calloc(limit ? limit : 1, sizeof *ids); /* gathered: queueing changes what is found */
	sqlite3_stmt *stmt;
	int rc;
	assert(c->open);
	*count = 0;
	if (!ids)
		return catalog_fail(c, ERR_NO_MEMORY);
	enum err err = catalog_statement(c, STATEMENT_PUSH_MISSING, &stmt);
	if (err == ERR_OK) {
		sqlite3_bind_int64(stmt, 1, limit);
		while (err == ERR_OK && *count < limit && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
			err = rc == SQLITE_ROW ? catalog_column_id(stmt, 0, &ids[(*count)++]) : catalog_error(c, rc);
		catalog_done(stmt);
	}
	for (unsigned i = 0; err == ERR_OK && i < *count; i++) {
		struct recording_info row;
		err = catalog_load_id(c, &ids[i], &row);
		if (err == ERR_OK)
			err = catalog_queue_push(c, &row, now_ms);
		recording_info_release(&row);
	}
	free(ids);
	return err;
}

/* How far it has come */

static enum err add_part(sqlite3_stmt *stmt, struct catalog_push *push, size_t *capacity)
{
	if (push->part_count == *capacity) {
		*capacity = *capacity ? 2 * *capacity : 16;
		struct catalog_push_part *parts = realloc(push->parts, *capacity * sizeof *parts);
		if (!parts)
			return ERR_NO_MEMORY;
		push->parts = parts;
	}
	struct catalog_push_part *part = &push->parts[push->part_count];
	part->number = (unsigned)sqlite3_column_int64(stmt, 0);
	part->bytes = (uint64_t)sqlite3_column_int64(stmt, 1);
	enum err err = catalog_column_copy(stmt, 2, part->etag, sizeof part->etag);
	if (err == ERR_OK)
		err = catalog_column_copy(stmt, 3, part->sha256, sizeof part->sha256);
	push->part_count += err == ERR_OK;
	return err;
}

static enum err load_parts(struct catalog_sqlite *c, const struct uuid *id, struct catalog_push *push)
{
	sqlite3_stmt *stmt;
	size_t capacity = 0;
	int rc;
	enum err err = catalog_statement_for(c, STATEMENT_PUSH_PARTS, id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, push->revision);
	while (err == ERR_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
		err = rc == SQLITE_ROW ? catalog_fail(c, add_part(stmt, push, &capacity)) : catalog_error(c, rc);
	catalog_done(stmt);
	return err;
}

static enum err load(struct catalog_sqlite *c, sqlite3_stmt *stmt, struct catalog_push *push)
{
	int rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? ERR_NOT_FOUND : catalog_error(c, rc);
	push->part_bytes = (uint64_t)sqlite3_column_int64(stmt, 3);
	enum err err = catalog_column_text(stmt, 0, &push->key);
	if (err == ERR_OK)
		err = catalog_column_text(stmt, 1, &push->sha256);
	if (err == ERR_OK)
		err = catalog_column_text(stmt, 2, &push->upload);
	return catalog_fail(c, err);
}

enum err catalog_push_get(struct catalog *base, const struct uuid *id, uint32_t revision, struct catalog_push *out)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*out = (struct catalog_push){ .revision = revision };
	enum err err = catalog_statement_for(c, STATEMENT_PUSH_GET, id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, revision);
	err = load(c, stmt, out);
	catalog_done(stmt);
	if (err == ERR_OK)
		err = load_parts(c, id, out);
	if (err != ERR_OK)
		catalog_push_release(out);
	return err;
}

/* The job of this lease, whose lease goes on. */
static enum err go_on(struct catalog_sqlite *c, const struct job_key *key, int64_t lease_until_ms, struct job_info *job)
{
	enum err err = catalog_job_held(c, key, job);
	if (err == ERR_OK && job->kind != JOB_PUSH)
		err = ERR_NOT_FOUND;
	if (err != ERR_OK)
		return err;
	job_went_on(job, lease_until_ms);
	return catalog_store_job(c, job);
}

static enum err forget_parts(struct catalog_sqlite *c, const struct job_info *job)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, STATEMENT_PUSH_FORGET_PARTS, &job->recording, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, job->revision);
	return catalog_run(c, stmt);
}

enum err catalog_push_begin(struct catalog *base, const struct job_key *key, const struct catalog_push *push,
			    int64_t lease_until_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct job_info job;
	sqlite3_stmt *stmt;
	enum err err = go_on(c, key, lease_until_ms, &job);
	if (err == ERR_OK)
		err = forget_parts(c, &job);
	if (err == ERR_OK)
		err = catalog_statement_for(c, STATEMENT_PUSH_BEGIN, &job.recording, &stmt);
	if (err == ERR_OK) {
		sqlite3_bind_int64(stmt, 2, job.revision);
		catalog_bind_text(stmt, 3, push->sha256);
		sqlite3_bind_int64(stmt, 4, (sqlite3_int64)push->part_bytes);
		catalog_bind_text(stmt, 5, push->upload);
		err = catalog_run(c, stmt);
	}
	job_info_release(&job);
	return err;
}

enum err catalog_push_part(struct catalog *base, const struct job_key *key, const struct catalog_push_part *part,
			   int64_t lease_until_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct job_info job;
	sqlite3_stmt *stmt;
	enum err err = go_on(c, key, lease_until_ms, &job);
	if (err == ERR_OK)
		err = catalog_statement_for(c, STATEMENT_PUSH_PART, &job.recording, &stmt);
	if (err == ERR_OK) {
		sqlite3_bind_int64(stmt, 2, job.revision);
		sqlite3_bind_int64(stmt, 3, part->number);
		sqlite3_bind_int64(stmt, 4, (sqlite3_int64)part->bytes);
		catalog_bind_text(stmt, 5, part->etag);
		catalog_bind_text(stmt, 6, part->sha256);
		err = catalog_run(c, stmt);
	}
	job_info_release(&job);
	return err;
}

/* The end */

enum err catalog_push_done(struct catalog_sqlite *c, const struct job_info *job, int64_t now_ms)
{
	sqlite3_stmt *stmt;
	enum err err = forget_parts(c, job);
	if (err == ERR_OK)
		err = catalog_statement_for(c, STATEMENT_PUSH_DONE, &job->recording, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, job->revision);
	sqlite3_bind_int64(stmt, 3, now_ms);
	return catalog_run(c, stmt);
}

enum err catalog_push_drop(struct catalog_sqlite *c, const struct uuid *id, int64_t now_ms)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, STATEMENT_PUSH_SWEEP, id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, now_ms);
	sqlite3_bind_int64(stmt, 3, now_ms + LIMIT_PUSH_SWEEP_MS);
	err = catalog_run(c, stmt);
	return err == ERR_OK ? catalog_run_for(c, STATEMENT_PUSH_DROP, id) : err;
}

enum err catalog_sweep_next(struct catalog *base, struct catalog_sweep *out)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*out = (struct catalog_sweep){ 0 };
	enum err err = catalog_statement(c, STATEMENT_SWEEP_NEXT, &stmt);
	if (err != ERR_OK)
		return err;
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		out->id = sqlite3_column_int64(stmt, 0);
		out->due_ms = sqlite3_column_int64(stmt, 2);
		err = catalog_fail(c, catalog_column_copy(stmt, 1, out->key, sizeof out->key));
	} else {
		err = rc == SQLITE_DONE ? ERR_NOT_FOUND : catalog_error(c, rc);
	}
	catalog_done(stmt);
	return err;
}

enum err catalog_sweep_end(struct catalog *base, int64_t id, int64_t again_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	enum err err = catalog_statement(c, again_ms ? STATEMENT_SWEEP_LATER : STATEMENT_SWEEP_DONE, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 1, id);
	if (again_ms)
		sqlite3_bind_int64(stmt, 2, again_ms);
	return catalog_run(c, stmt);
}

/* What a row shows of it */

enum err catalog_load_push(struct catalog_sqlite *c, struct recording_info *row)
{
	sqlite3_stmt *stmt;
	if (row->media.revision == 0)
		return ERR_OK;
	enum err err = catalog_statement_for(c, STATEMENT_PUSH_SHOWN, &row->id, &stmt);
	if (err != ERR_OK)
		return err;
	int rc = sqlite3_step(stmt);
	const char *state = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 1) : NULL;
	struct push_info push = { 0 };
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		err = catalog_error(c, rc);
	else if (state && !job_state_parse(state, &push.state))
		err = ERR_CORRUPT;
	if (err == ERR_OK && state && push.state != JOB_CANCELLED) {
		push.revision = (uint32_t)sqlite3_column_int64(stmt, 0);
		catalog_column_error(stmt, 2, &push.error);
		row->push = push;
		err = catalog_column_text(stmt, 3, &row->push.error_message);
		if (err == ERR_OK)
			err = catalog_column_text(stmt, 4, &row->push.key);
	}
	catalog_done(stmt);
	return err;
}
