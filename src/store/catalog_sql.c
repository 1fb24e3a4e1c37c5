/* The text of every statement that the SQLite catalog runs again and again; migrations stand in catalog_schema.c. */
#include "store/catalog_sqlite.h"

#include <assert.h>

#define NAME(name)   #name ", "
#define MARK(name)   "?, "
#define TAKE(name)   #name " = excluded." #name ", "
#define ALL_COLUMNS  CATALOG_COLUMNS(NAME) "sealed_at"
#define SELECT_WHERE "SELECT " ALL_COLUMNS " FROM recordings WHERE "
#define INSERT_ROW   "INSERT INTO recordings (" ALL_COLUMNS ") VALUES (" CATALOG_COLUMNS(MARK) "?) "
#define INSERT_JOB                                                                                                     \
	"INSERT INTO jobs (recording, kind, revision, state, created_at) VALUES (?1, 'finalize', ?2, 'queued', ?3) "   \
	"ON CONFLICT (recording, kind, revision) "
#define LIST_WHERE                                                                                                     \
	"id < ?1 AND (?2 IS NULL OR principal = ?2) "                                                                  \
	"AND (?3 IS NULL OR contains(name, ?3) OR contains(session_id, ?3)) ORDER BY id DESC LIMIT ?4"

static const char *const texts[STATEMENT_COUNT] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_INSERT] = INSERT_ROW "ON CONFLICT DO NOTHING",
	/* a name, an attempt or a tombstone that only the catalog knew goes: the manifest is what is left to go by */
	[STATEMENT_RESTORE] = INSERT_ROW
	"ON CONFLICT (id) DO UPDATE SET " CATALOG_COLUMNS(TAKE) "sealed_at = excluded.sealed_at, deleted_at = NULL",
	[STATEMENT_GET] = SELECT_WHERE "id = ?1",
	[STATEMENT_FIND_SESSION] = SELECT_WHERE "principal = ?1 AND session_id = ?2",
	[STATEMENT_FIND_REF] = SELECT_WHERE "ref = ?1",
	[STATEMENT_GET_TRACKS] = "SELECT number, name, bytes, total, sealed, sealed_by, sha256, declared_sha256, parts "
				 "FROM tracks WHERE recording = ?1 ORDER BY number",
	[STATEMENT_PUT_TRACK] = "INSERT INTO tracks (recording, number, name, bytes, total, sealed, sealed_by, sha256, "
				"declared_sha256, parts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) "
				"ON CONFLICT (recording, number) DO UPDATE SET name = excluded.name, "
				"bytes = excluded.bytes, total = excluded.total, sealed = excluded.sealed, "
				"sealed_by = excluded.sealed_by, sha256 = excluded.sha256, "
				"declared_sha256 = excluded.declared_sha256, parts = excluded.parts",
	[STATEMENT_DROP_TRACKS] = "DELETE FROM tracks WHERE recording = ?1",
	[STATEMENT_TOUCH] = "UPDATE recordings SET bytes = ?2, updated_at = ?3 WHERE id = ?1 AND phase <> 'deleted'",
	[STATEMENT_CLAIM] =
		"UPDATE recordings SET phase = ?4, sealed_by = ?5, interrupted = ?6, revision = ?7, bytes = ?8, "
		"error_code = ?9, error_message = ?10, updated_at = ?3, sealed_at = ?3 "
		"WHERE id = ?1 AND phase = ?2",
	[STATEMENT_REOPEN] = "UPDATE recordings SET phase = 'uploading', sealed_by = NULL, interrupted = 0, "
			     "error_code = NULL, error_message = NULL, updated_at = ?3 WHERE id = ?1 AND phase = ?2",
	/* a hash of what was sealed says nothing about what it grows to */
	[STATEMENT_UNSEAL_TRACKS] = "UPDATE tracks SET sealed = 0, sealed_by = NULL, sha256 = NULL "
				    "WHERE recording = ?1 AND sealed_by = 'grace'",
	[STATEMENT_ABORT] = "UPDATE recordings SET phase = 'aborted', abort_reason = ?4, updated_at = ?3 "
			    "WHERE id = ?1 AND phase = ?2",
	[STATEMENT_FAIL] =
		"UPDATE recordings SET phase = 'error', error_code = ?4, error_message = ?5, updated_at = ?3 "
		"WHERE id = ?1 AND phase = ?2",
	[STATEMENT_RENAME] = "UPDATE recordings SET name = ?2, updated_at = ?3 WHERE id = ?1 AND phase <> 'deleted'",
	[STATEMENT_REMOVE] = "UPDATE recordings SET phase = 'deleted', name = NULL, mime = NULL, ext = NULL, "
			     "declared_tracks = NULL, error_code = NULL, error_message = NULL, warnings = NULL, "
			     "abort_reason = NULL, bytes = 0, updated_at = ?3, deleted_at = ?3 "
			     "WHERE id = ?1 AND phase = ?2",
	/* claimed again after an error: the same job goes on under a new epoch */
	[STATEMENT_QUEUE_JOB] = INSERT_JOB "DO UPDATE SET state = 'queued', epoch = epoch + 1, lease_until = 0, "
					   "started_at = NULL",
	[STATEMENT_KEEP_JOB] = INSERT_JOB "DO NOTHING",
	/* no result of an older epoch counts, and no worker takes them any more */
	[STATEMENT_FENCE_JOBS] = "UPDATE jobs SET epoch = epoch + 1, lease_until = 0, "
				 "state = CASE WHEN state IN ('queued', 'running') THEN 'cancelled' ELSE state END "
				 "WHERE recording = ?1",
	[STATEMENT_DROP_JOBS] = "DELETE FROM jobs WHERE recording = ?1",
	[STATEMENT_EVENT] = "INSERT INTO events (recording, type, phase, revision, at) VALUES (?1, ?2, ?3, ?4, ?5)",
	[STATEMENT_LIST] = "SELECT id FROM recordings WHERE phase <> 'deleted' AND " LIST_WHERE,
	[STATEMENT_LIST_PHASE] = "SELECT id FROM recordings WHERE phase = ?5 AND " LIST_WHERE,
	[STATEMENT_UNFINISHED] = "SELECT id FROM recordings WHERE phase = 'uploading' ORDER BY id",
	[STATEMENT_COUNT_JOBS] = "SELECT count(*) FROM jobs WHERE recording = ?1",
	[STATEMENT_COUNT_EVENTS] = "SELECT count(*) FROM events WHERE recording = ?1",
};

const char *catalog_sql(enum catalog_statement which)
{
	assert(which < STATEMENT_COUNT && texts[which]);
	return texts[which];
}
