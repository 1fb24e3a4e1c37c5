/* Changes of phase in the SQLite catalog, and the events that go with them.
 *
 * Guarantees: a phase changes only where the table in core/model.c says so, by one UPDATE that names the phase that was
 * seen, together with exactly one event; while there is a webhook, the event has work waiting for it. */
#include "store/catalog_sqlite.h"

#include "core/job.h"

#include <assert.h>

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

/* One job for all of a recording's events: it begins with the first that there was a webhook for. A parked one stays
 * so: what waits in it has to go first. */
static enum err queue_notify(struct catalog_sqlite *c, const struct uuid *id, int64_t seq, int64_t now_ms)
{
	struct job_info job;
	enum err err = catalog_job_of(c, id, JOB_NOTIFY, 0, &job);
	if (err == ERR_NOT_FOUND) {
		job = (struct job_info){
			.recording = *id,
			.kind = JOB_NOTIFY,
			.created_ms = now_ms,
			.queued_ms = now_ms,
			.not_before_ms = now_ms,
			.delivered = seq - 1,
		};
		err = catalog_store_job(c, &job);
	} else if (err == ERR_OK && (job.state == JOB_DONE || job.state == JOB_CANCELLED || job.state == JOB_FAILED)) {
		job_requeue(&job, now_ms);
		err = catalog_store_job(c, &job);
	}
	job_info_release(&job);
	return err;
}

enum err catalog_write_event_of(struct catalog_sqlite *c, const struct recording_info *row, const char *type,
				const struct batch_info *batch, int64_t now_ms)
{
	sqlite3_stmt *stmt;
	if (row->upload.kind == UPLOAD_PARTIAL) /* it is no recording */
		return ERR_OK;
	enum err err = catalog_run_for(c, STATEMENT_EVENT_OLD, &row->id);
	if (err == ERR_OK)
		err = catalog_statement_for(c, STATEMENT_EVENT, &row->id, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 2, type);
	catalog_bind_text(stmt, 3, phase_name(row->phase));
	sqlite3_bind_int64(stmt, 4, row->revision);
	sqlite3_bind_int64(stmt, 5, now_ms);
	catalog_bind_text(stmt, 6, row->principal);
	catalog_bind_text(stmt, 7, row->batch);
	if (batch) {
		sqlite3_bind_int64(stmt, 8, (sqlite3_int64)batch->total);
		sqlite3_bind_int64(stmt, 9, (sqlite3_int64)batch_info_failed(batch));
	}
	err = catalog_run(c, stmt);
	if (err == ERR_OK && c->base.webhooks)
		err = queue_notify(c, &row->id, sqlite3_last_insert_rowid(c->db), now_ms);
	return err;
}

enum err catalog_write_event(struct catalog_sqlite *c, const struct recording_info *row, int64_t now_ms)
{
	return catalog_write_event_of(c, row, event_type(row->phase, row->interrupted), NULL, now_ms);
}

enum err catalog_move_look(struct catalog_move *m, const struct uuid *id, enum phase to)
{
	assert(m->c->open);
	enum err err = catalog_load_id(m->c, id, m->row);
	m->may = err == ERR_OK && phase_may(m->row->phase, to, m->row->sealed_by);
	return err;
}

enum err catalog_move_prepare(struct catalog_move *m, enum catalog_statement which)
{
	enum err err = catalog_statement_for(m->c, which, &m->row->id, &m->stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(m->stmt, 2, phase_name(m->row->phase));
	sqlite3_bind_int64(m->stmt, 3, m->now_ms);
	return ERR_OK;
}

enum err catalog_move_finish(struct catalog_move *m, enum err err)
{
	struct uuid id = m->row->id;
	recording_info_release(m->row);
	if (err == ERR_OK)
		err = catalog_load_id(m->c, &id, m->row);
	if (err == ERR_OK)
		err = catalog_write_event(m->c, m->row, m->now_ms);
	if (err == ERR_OK)
		err = catalog_batch_settle(m->c, m->row, m->now_ms);
	if (err != ERR_OK)
		recording_info_release(m->row);
	return err;
}

enum err catalog_move_to(struct catalog_move *m, enum phase to, enum err error, const char *message)
{
	enum err err = catalog_move_prepare(m, STATEMENT_MOVE);
	if (err == ERR_OK) {
		catalog_bind_text(m->stmt, 4, phase_name(to));
		catalog_bind_text(m->stmt, 5, error == ERR_OK ? NULL : err_code(error));
		catalog_bind_text(m->stmt, 6, message);
		err = catalog_run(m->c, m->stmt);
	}
	return catalog_move_finish(m, err);
}
