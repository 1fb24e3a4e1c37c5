/* The operations of the SQLite catalog, see catalog.h.
 *
 * Guarantees: a phase changes only where phase_may says so, by one UPDATE that names the phase that was seen, together
 * with exactly one event; a transaction that met an error cannot be committed; after a failed sync nothing can. */
#include "store/catalog_sqlite.h"

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

static enum err run_for(struct catalog_sqlite *c, enum catalog_statement which, const struct uuid *id)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, which, id, &stmt);
	return err == ERR_OK ? catalog_run(c, stmt) : err;
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
	err = catalog_write_tracks(c, &info->id, info->tracks, info->track_count, NULL);
	if (err == ERR_OK && recording_info_copy(row, info) != ERR_OK)
		err = catalog_error(c, SQLITE_NOMEM);
	return err;
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
	err = catalog_run(c, stmt);
	if (err != ERR_OK)
		return err;
	if (sqlite3_changes(c->db) == 0)
		return ERR_NOT_FOUND;
	return catalog_write_tracks(c, &info->id, info->tracks, info->track_count, NULL);
}

static const char *event_type(enum phase to, bool interrupted)
{
	switch (to) {
	case PHASE_COMPLETE:
		return interrupted ? "recording.interrupted" : "recording.completed";
	case PHASE_ERROR:
		return "recording.failed";
	case PHASE_DELETED:
		return "recording.deleted";
	default:
		return "recording.phase";
	}
}

static enum err write_event(struct catalog_sqlite *c, const struct recording_info *row, int64_t now_ms)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, STATEMENT_EVENT, &row->id, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 2, event_type(row->phase, row->interrupted));
	catalog_bind_text(stmt, 3, phase_name(row->phase));
	sqlite3_bind_int64(stmt, 4, row->revision);
	sqlite3_bind_int64(stmt, 5, now_ms);
	return catalog_run(c, stmt);
}

/* One change of phase, from the row as it was found to the row as it then stands. */
struct move {
	struct catalog_sqlite *c;
	struct recording_info *row;
	int64_t now_ms;
	bool may;
	sqlite3_stmt *stmt; /* the UPDATE, with id, the phase seen and the time bound as 1, 2 and 3 */
};

/* Reads the row, and asks the table whether it may go to `to`. */
static enum err move_look(struct move *m, const struct uuid *id, enum phase to)
{
	assert(m->c->open);
	enum err err = catalog_load_id(m->c, id, m->row);
	m->may = err == ERR_OK && phase_may(m->row->phase, to, m->row->sealed_by);
	return err;
}

static enum err move_prepare(struct move *m, enum catalog_statement which)
{
	enum err err = catalog_statement_for(m->c, which, &m->row->id, &m->stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(m->stmt, 2, phase_name(m->row->phase));
	sqlite3_bind_int64(m->stmt, 3, m->now_ms);
	return ERR_OK;
}

/* The event and the row's new state, behind the UPDATE and what belongs to it; `err` is how those went. */
static enum err move_finish(struct move *m, enum err err)
{
	struct uuid id = m->row->id;
	recording_info_release(m->row);
	if (err == ERR_OK)
		err = catalog_load_id(m->c, &id, m->row);
	if (err == ERR_OK)
		err = write_event(m->c, m->row, m->now_ms);
	if (err != ERR_OK)
		recording_info_release(m->row);
	return err;
}

static enum err put_job(struct catalog_sqlite *c, enum catalog_statement which, const struct uuid *id,
			uint32_t revision, int64_t now_ms)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, which, id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, revision);
	sqlite3_bind_int64(stmt, 3, now_ms);
	return catalog_run(c, stmt);
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
}

static enum err op_claim(struct catalog *base, const struct catalog_seal *seal, enum catalog_outcome *outcome,
			 struct recording_info *row)
{
	struct move m = { .c = catalog_self(base), .row = row, .now_ms = seal->now_ms };
	enum phase to = seal->error == ERR_OK ? PHASE_QUEUED : PHASE_ERROR;
	*outcome = CATALOG_UNCHANGED;
	enum err err = move_look(&m, &seal->id, to);
	if (err != ERR_OK || !m.may || !seal_is_new(seal, row))
		return err;
	err = move_prepare(&m, STATEMENT_CLAIM);
	if (err == ERR_OK) {
		bind_seal(m.stmt, seal, to);
		err = catalog_run(m.c, m.stmt);
	}
	if (err == ERR_OK)
		err = catalog_write_tracks(m.c, &seal->id, seal->tracks, seal->track_count, row);
	if (err == ERR_OK && to == PHASE_QUEUED)
		err = put_job(m.c, STATEMENT_QUEUE_JOB, &seal->id, seal->revision, seal->now_ms);
	*outcome = CATALOG_CHANGED;
	return move_finish(&m, err);
}

static enum err op_reopen(struct catalog *base, const struct uuid *id, int64_t now_ms, enum catalog_outcome *outcome,
			  struct recording_info *row)
{
	struct move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	*outcome = CATALOG_UNCHANGED;
	enum err err = move_look(&m, id, PHASE_UPLOADING);
	if (err != ERR_OK || !m.may)
		return err;
	err = move_prepare(&m, STATEMENT_REOPEN);
	if (err == ERR_OK)
		err = catalog_run(m.c, m.stmt);
	if (err == ERR_OK)
		err = run_for(m.c, STATEMENT_UNSEAL_TRACKS, id);
	if (err == ERR_OK)
		err = run_for(m.c, STATEMENT_FENCE_JOBS, id);
	*outcome = CATALOG_CHANGED;
	return move_finish(&m, err);
}

static enum err op_abort(struct catalog *base, const struct uuid *id, const char *reason, int64_t now_ms,
			 enum catalog_outcome *outcome, struct recording_info *row)
{
	struct move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	*outcome = CATALOG_UNCHANGED;
	enum err err = move_look(&m, id, PHASE_ABORTED);
	if (err != ERR_OK || !m.may)
		return err;
	err = move_prepare(&m, STATEMENT_ABORT);
	if (err == ERR_OK) {
		catalog_bind_text(m.stmt, 4, reason);
		err = catalog_run(m.c, m.stmt);
	}
	*outcome = CATALOG_CHANGED;
	return move_finish(&m, err);
}

static enum err op_fail(struct catalog *base, const struct uuid *id, enum err error, const char *message,
			int64_t now_ms, enum catalog_outcome *outcome, struct recording_info *row)
{
	struct move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	*outcome = CATALOG_UNCHANGED;
	enum err err = move_look(&m, id, PHASE_ERROR);
	if (err != ERR_OK || !m.may)
		return err;
	err = move_prepare(&m, STATEMENT_FAIL);
	if (err == ERR_OK) {
		catalog_bind_text(m.stmt, 4, err_code(error));
		catalog_bind_text(m.stmt, 5, message);
		err = catalog_run(m.c, m.stmt);
	}
	if (err == ERR_OK)
		err = run_for(m.c, STATEMENT_FENCE_JOBS, id);
	*outcome = CATALOG_CHANGED;
	return move_finish(&m, err);
}

static enum err op_remove(struct catalog *base, const struct uuid *id, int64_t now_ms, enum catalog_outcome *outcome,
			  struct recording_info *row)
{
	struct move m = { .c = catalog_self(base), .row = row, .now_ms = now_ms };
	*outcome = CATALOG_UNCHANGED;
	enum err err = move_look(&m, id, PHASE_DELETED);
	if (err != ERR_OK || !m.may)
		return err;
	err = move_prepare(&m, STATEMENT_REMOVE);
	if (err == ERR_OK)
		err = catalog_run(m.c, m.stmt);
	if (err == ERR_OK)
		err = run_for(m.c, STATEMENT_DROP_TRACKS, id);
	if (err == ERR_OK)
		err = run_for(m.c, STATEMENT_DROP_JOBS, id);
	*outcome = CATALOG_CHANGED;
	return move_finish(&m, err);
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

static bool needs_job(enum phase phase)
{
	return phase == PHASE_QUEUED || phase == PHASE_PROCESSING || phase == PHASE_GENERATING_THUMBNAIL;
}

static enum err op_restore(struct catalog *base, const struct recording_info *info)
{
	struct catalog_sqlite *c = catalog_self(base);
	assert(c->open);
	struct recording_info was;
	enum err err = catalog_load_id(c, &info->id, &was);
	bool moves = err == ERR_OK && was.phase != info->phase;
	recording_info_release(&was);
	if (err == ERR_OK || err == ERR_NOT_FOUND)
		err = catalog_write_row(c, STATEMENT_RESTORE, info);
	if (err == ERR_OK)
		err = run_for(c, STATEMENT_DROP_TRACKS, &info->id);
	if (err == ERR_OK)
		err = catalog_write_tracks(c, &info->id, info->tracks, info->track_count, NULL);
	if (err == ERR_OK && needs_job(info->phase))
		err = put_job(c, STATEMENT_KEEP_JOB, &info->id, info->revision, info->updated_ms);
	return err == ERR_OK && moves ? write_event(c, info, info->updated_ms) : err;
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
	.list = catalog_list,
	.each_unfinished = catalog_each_unfinished,
	.restore = op_restore,
	.job_count = catalog_job_count,
	.event_count = catalog_event_count,
	.close = catalog_sqlite_close,
};
