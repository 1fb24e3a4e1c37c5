/* The operations of the SQLite catalog on takes, see catalog.h; those on jobs are in catalog_leases.c.
 *
 * Guarantees: a transaction that met an error cannot be committed; after a failed sync nothing can. Phases change by
 * catalog_moves.c. */
#include "store/catalog_sqlite.h"

#include "core/job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum err run_plain(struct catalog_sqlite *c, enum catalog_statement which)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, which, &stmt);
	return err == ERR_OK ? catalog_run(c, stmt) : err;
}

static enum err op_begin(struct catalog *base)
{
	struct catalog_sqlite *c = catalog_self(base);
	assert(!c->open);
	if (vfs_sqlite_sync_failed(c->files))
		return ERR_SYNC_FAILED;
	enum err err = run_plain(c, STATEMENT_BEGIN);
	c->open = err == ERR_OK;
	c->failed = ERR_OK;
	return err;
}

static void op_rollback(struct catalog *base)
{
	struct catalog_sqlite *c = catalog_self(base);
	c->open = false;
	if (sqlite3_get_autocommit(c->db) == 0) /* else SQLite has rolled back by itself */
		run_plain(c, STATEMENT_ROLLBACK);
}

static enum err op_commit(struct catalog *base)
{
	struct catalog_sqlite *c = catalog_self(base);
	assert(c->open);
	enum err err = run_plain(c, STATEMENT_COMMIT);
	if (err != ERR_OK)
		op_rollback(base);
	c->open = false;
	/* the failed sync of a checkpoint behind the commit is swallowed by SQLite */
	return vfs_sqlite_sync_failed(c->files) ? ERR_SYNC_FAILED : err;
}

static enum err op_get(struct catalog *base, const struct uuid *id, struct recording_info *row)
{
	return catalog_load_id(catalog_self(base), id, row);
}

static enum err op_find_session(struct catalog *base, const char *principal, const char *session_id,
				struct recording_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*row = (struct recording_info){ 0 };
	enum err err = catalog_statement(c, STATEMENT_FIND_SESSION, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 1, principal);
	catalog_bind_text(stmt, 2, session_id);
	return catalog_load(c, stmt, row);
}

static enum err op_find_ref(struct catalog *base, const char *ref, struct recording_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*row = (struct recording_info){ 0 };
	enum err err = catalog_statement(c, STATEMENT_FIND_REF, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 1, ref);
	return catalog_load(c, stmt, row);
}

/* What stood in the way of an insert: the row of the same session, else of the same ref. */
static enum err find_taken(struct catalog *base, const struct recording_info *info, struct recording_info *row)
{
	enum err err = ERR_NOT_FOUND;
	if (info->session_id)
		err = op_find_session(base, info->principal, info->session_id, row);
	if (err == ERR_NOT_FOUND && info->ref)
		err = op_find_ref(base, info->ref, row);
	if (err == ERR_NOT_FOUND && info->show)
		err = catalog_show_version(base, info->show, info->version, row);
	return err == ERR_NOT_FOUND ? ERR_EXISTS : err; /* then the id itself was taken */
}

static enum err op_start(struct catalog *base, const struct recording_info *info, bool *inserted,
			 struct recording_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	assert(c->open);
	*inserted = false;
	*row = (struct recording_info){ 0 };
	enum err err = catalog_write_row(c, STATEMENT_INSERT, info);
	if (err != ERR_OK)
		return err;
	if (sqlite3_changes(c->db) == 0)
		return find_taken(base, info, row);
	*inserted = true;
	if (info->show)
		err = catalog_show_live(c, info);
	if (err == ERR_OK)
		err = catalog_write_tracks(c, &info->id, info->tracks, info->track_count, NULL);
	if (err == ERR_OK && info->source_url && !info->on_demand)
		err = catalog_queue_job(c, &info->id, JOB_FETCH, 0, info->created_ms);
	if (err != ERR_OK)
		return err;
	if (info->source_url)
		return catalog_load_id(c, &info->id, row);
	return catalog_fail(c, recording_info_copy(row, info)); /* it is what was written */
}

static enum err op_put_tracks(struct catalog *base, const struct recording_info *info)
{
	struct catalog_sqlite *c = catalog_self(base);
	assert(c->open);
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, STATEMENT_TOUCH, &info->id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)recording_info_bytes(info));
	sqlite3_bind_int64(stmt, 3, info->updated_ms);
	sqlite3_bind_int64(stmt, 4, (sqlite3_int64)info->shift);
	if (info->upload.kind != UPLOAD_NONE && info->upload.length != BYTES_UNKNOWN)
		sqlite3_bind_int64(stmt, 5, (sqlite3_int64)info->upload.length);
	err = catalog_run(c, stmt);
	if (err != ERR_OK)
		return err;
	if (sqlite3_changes(c->db) == 0)
		return ERR_NOT_FOUND;
	return catalog_write_tracks(c, &info->id, info->tracks, info->track_count, NULL);
}

/* An open take is sealed as a later revision than it had; a failed one may keep its own. All else is an old seal. */
static bool seal_is_new(const struct catalog_seal *seal, const struct recording_info *row)
{
	return row->phase == PHASE_ERROR ? seal->revision >= row->revision : seal->revision > row->revision;
}

static void bind_seal(sqlite3_stmt *stmt, const struct catalog_seal *seal, enum phase to)
{
	const struct recording_info sum = { .tracks = (struct track_info *)seal->tracks,
					    .track_count = seal->track_count };
	catalog_bind_text(stmt, 4, phase_name(to));
	catalog_bind_text(stmt, 5, sealed_by_name(seal->by));
	sqlite3_bind_int(stmt, 6, seal->by == SEALED_BY_GRACE);
	sqlite3_bind_int64(stmt, 7, seal->revision);
	sqlite3_bind_int64(stmt, 8, (sqlite3_int64)recording_info_bytes(&sum));
	if (seal->error != ERR_OK) {
		catalog_bind_text(stmt, 9, err_code(seal->error));
		catalog_bind_text(stmt, 10, seal->error_message);
	}
	catalog_bind_text(stmt, 11, seal->mime);
	sqlite3_bind_int64(stmt, 12, (sqlite3_int64)seal->shift);
}

/* Its job has just been tried as often as it may be: there is to be no new attempt before the window is over. */
static enum err seal_closed(struct catalog_sqlite *c, const struct catalog_seal *seal, const struct recording_info *row,
			    bool *closed)
{
	struct job_info job;
	*closed = false;
	if (row->phase != PHASE_ERROR || seal->error != ERR_OK)
		return ERR_OK;
	enum err err = catalog_job_of(c, &seal->id, JOB_FINALIZE, seal->revision, &job);
	*closed = err == ERR_OK && job_closed_ms(&job, seal->now_ms) > 0;
	job_info_release(&job);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err op_claim(struct catalog *base, const struct catalog_seal *seal, enum catalog_outcome *outcome,
			 struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = seal->now_ms };
	enum phase to = seal->error == ERR_OK ? PHASE_QUEUED : PHASE_ERROR;
	bool closed = false;
	*outcome = CATALOG_UNCHANGED;
	enum err err = catalog_move_look(&m, &seal->id, to);
	if (err != ERR_OK || !m.may || !seal_is_new(seal, row))
		return err;
	err = seal_closed(m.c, seal, row, &closed);
	if (err != ERR_OK || closed)
		return err;
	err = catalog_move_prepare(&m, STATEMENT_CLAIM);
	if (err == ERR_OK) {
		bind_seal(m.stmt, seal, to);
		err = catalog_run(m.c, m.stmt);
	}
	if (err == ERR_OK)
		err = catalog_write_tracks(m.c, &seal->id, seal->tracks, seal->track_count, row);
	if (err == ERR_OK && to == PHASE_QUEUED)
		err = catalog_queue_job(m.c, &seal->id, JOB_FINALIZE, seal->revision, seal->now_ms);
	*outcome = CATALOG_CHANGED;
	return catalog_move_finish(&m, err);
}

static enum err op_reopen(struct catalog *base, const struct uuid *id, int64_t now_ms, enum catalog_outcome *outcome,
			  struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	*outcome = CATALOG_UNCHANGED;
	enum err err = catalog_move_look(&m, id, PHASE_UPLOADING);
	if (err != ERR_OK || !m.may || row->original_removed) /* what would it grow from? */
		return err;
	err = catalog_move_prepare(&m, STATEMENT_REOPEN);
	if (err == ERR_OK)
		err = catalog_run(m.c, m.stmt);
	if (err == ERR_OK)
		err = catalog_run_for(m.c, STATEMENT_UNSEAL_TRACKS, id);
	if (err == ERR_OK)
		err = catalog_run_for(m.c, STATEMENT_FENCE_JOBS, id);
	if (err == ERR_OK)
		err = catalog_push_drop(m.c, id, now_ms);
	*outcome = CATALOG_CHANGED;
	return catalog_move_finish(&m, err);
}

static enum err op_abort(struct catalog *base, const struct uuid *id, const char *reason, int64_t now_ms,
			 enum catalog_outcome *outcome, struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	*outcome = CATALOG_UNCHANGED;
	enum err err = catalog_move_look(&m, id, PHASE_ABORTED);
	if (err != ERR_OK || !m.may)
		return err;
	err = catalog_move_prepare(&m, STATEMENT_ABORT);
	if (err == ERR_OK) {
		catalog_bind_text(m.stmt, 4, reason);
		err = catalog_run(m.c, m.stmt);
	}
	*outcome = CATALOG_CHANGED;
	return catalog_move_finish(&m, err);
}

static enum err op_fail(struct catalog *base, const struct uuid *id, enum err error, const char *message,
			int64_t now_ms, enum catalog_outcome *outcome, struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	*outcome = CATALOG_UNCHANGED;
	enum err err = catalog_move_look(&m, id, PHASE_ERROR);
	if (err != ERR_OK || !m.may)
		return err;
	*outcome = CATALOG_CHANGED;
	err = catalog_run_for(m.c, STATEMENT_FENCE_JOBS, id);
	if (err == ERR_OK)
		return catalog_move_to(&m, PHASE_ERROR, error, message);
	recording_info_release(row);
	return err;
}

static enum err op_remove(struct catalog *base, const struct uuid *id, int64_t now_ms, enum catalog_outcome *outcome,
			  struct recording_info *row)
{
	struct catalog_move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	*outcome = CATALOG_UNCHANGED;
	enum err err = catalog_move_look(&m, id, PHASE_DELETED);
	if (err != ERR_OK || !m.may)
		return err;
	err = catalog_move_prepare(&m, STATEMENT_REMOVE);
	if (err == ERR_OK)
		err = catalog_run(m.c, m.stmt);
	if (err == ERR_OK)
		err = catalog_run_for(m.c, STATEMENT_DROP_TRACKS, id);
	if (err == ERR_OK)
		err = catalog_run_for(m.c, STATEMENT_DROP_JOBS, id);
	if (err == ERR_OK)
		err = catalog_push_drop(m.c, id, now_ms);
	*outcome = CATALOG_CHANGED;
	return catalog_move_finish(&m, err);
}

static enum err op_rename(struct catalog *base, const struct uuid *id, const char *name, int64_t now_ms,
			  struct recording_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	assert(c->open);
	sqlite3_stmt *stmt;
	*row = (struct recording_info){ 0 };
	enum err err = catalog_statement_for(c, STATEMENT_RENAME, id, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 2, name);
	sqlite3_bind_int64(stmt, 3, now_ms);
	err = catalog_run(c, stmt);
	return err == ERR_OK ? catalog_load_id(c, id, row) : err;
}

/* What a manifest says is not what became of the take since: with what is published beside it, it is. */
static enum phase restored_phase(const struct recording_info *info)
{
	switch (info->phase) {
	case PHASE_QUEUED:
	case PHASE_PROCESSING:
	case PHASE_GENERATING_THUMBNAIL:
	case PHASE_COMPLETE:
		return info->media.revision > 0 && info->media.revision == info->revision ? PHASE_COMPLETE
											  : PHASE_QUEUED;
	default:
		return info->phase;
	}
}

static enum err restore_jobs(struct catalog_sqlite *c, const struct recording_info *info)
{
	if (info->phase == PHASE_QUEUED)
		return catalog_queue_job(c, &info->id, JOB_FINALIZE, info->revision, info->updated_ms);
	if (info->phase == PHASE_UPLOADING && info->source_url && !info->on_demand)
		return catalog_queue_job(c, &info->id, JOB_FETCH, 0, info->updated_ms);
	return ERR_OK;
}

static enum err op_restore(struct catalog *base, const struct recording_info *info)
{
	struct catalog_sqlite *c = catalog_self(base);
	assert(c->open);
	struct recording_info was, now = *info; /* borrows all that it points to */
	now.phase = restored_phase(info);
	enum err err = catalog_load_id(c, &now.id, &was);
	bool moves = err == ERR_OK && was.phase != now.phase;
	recording_info_release(&was);
	if (err == ERR_OK || err == ERR_NOT_FOUND)
		err = catalog_write_row(c, STATEMENT_RESTORE, &now);
	if (err == ERR_OK)
		err = catalog_run_for(c, STATEMENT_DROP_TRACKS, &now.id);
	if (err == ERR_OK)
		err = catalog_write_tracks(c, &now.id, now.tracks, now.track_count, NULL);
	if (err == ERR_OK && now.show)
		err = catalog_show_put(c, &now);
	if (err == ERR_OK && now.batch)
		err = catalog_batch_put(c, &now);
	if (err == ERR_OK)
		err = restore_jobs(c, &now);
	if (err == ERR_OK && moves)
		err = catalog_write_event(c, &now, now.updated_ms);
	return err == ERR_OK ? catalog_batch_settle(c, &now, now.updated_ms) : err;
}

const struct catalog_ops catalog_sqlite_ops = {
	.begin = op_begin,
	.commit = op_commit,
	.rollback = op_rollback,
	.start = op_start,
	.get = op_get,
	.find_session = op_find_session,
	.find_ref = op_find_ref,
	.put_tracks = op_put_tracks,
	.claim = op_claim,
	.reopen = op_reopen,
	.abort = op_abort,
	.fail = op_fail,
	.rename = op_rename,
	.remove = op_remove,
	.show_get = catalog_show_get,
	.show_failed = catalog_show_failed,
	.show_version = catalog_show_version,
	.each_show_failed = catalog_each_show_failed,
	.batch_create = catalog_batch_create,
	.batch_get = catalog_batch_get,
	.batch_list = catalog_batch_list,
	.slice = catalog_slice,
	.item_fill = catalog_item_fill,
	.list = catalog_list,
	.each_unfinished = catalog_each_unfinished,
	.each_waiting = catalog_each_waiting,
	.restore = op_restore,
	.job_claim = catalog_job_claim,
	.job_renew = catalog_job_renew,
	.job_hashes = catalog_job_hashes,
	.job_publish = catalog_job_publish,
	.job_done = catalog_job_done,
	.job_fail = catalog_job_fail,
	.job_postpone = catalog_job_postpone,
	.job_delivered = catalog_job_delivered,
	.refetch = catalog_refetch,
	.put_validator = catalog_put_validator,
	.get_validator = catalog_get_validator,
	.unpark = catalog_unpark,
	.push_missing = catalog_push_missing,
	.push_get = catalog_push_get,
	.push_begin = catalog_push_begin,
	.push_part = catalog_push_part,
	.sweep_next = catalog_sweep_next,
	.sweep_end = catalog_sweep_end,
	.job_next = catalog_job_next,
	.each_running = catalog_each_running,
	.job_tally = catalog_job_tally,
	.each_troubled = catalog_each_troubled,
	.events = catalog_events,
	.event_bounds = catalog_event_bounds,
	.events_trim = catalog_events_trim,
	.put_upload = catalog_put_upload,
	.find_final = catalog_find_final,
	.uploads_expired = catalog_uploads_expired,
	.expired = catalog_expired,
	.original_removed = catalog_original_removed,
	.authority_put = catalog_authority_put,
	.authority_get = catalog_authority_get,
	.authority_forget = catalog_authority_forget,
	.job_count = catalog_job_count,
	.event_count = catalog_event_count,
	.close = catalog_sqlite_close,
};
