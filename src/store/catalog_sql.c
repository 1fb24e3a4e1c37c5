/* The text of every statement that the SQLite catalog runs again and again; migrations stand in catalog_schema.c. */
#include "store/catalog_sqlite.h"

#include <assert.h>

#define NAME(name)   #name ", "
#define MARK(name)   "?, "
#define TAKE(name)   #name " = excluded." #name ", "
#define ALL_COLUMNS  CATALOG_COLUMNS(NAME) "sealed_at"
#define SELECT_WHERE "SELECT " ALL_COLUMNS " FROM recordings WHERE "
#define INSERT_ROW   "INSERT INTO recordings (" ALL_COLUMNS ") VALUES (" CATALOG_COLUMNS(MARK) "?) "
#define JOB_SELECT   "SELECT " CATALOG_JOB_COLUMNS(NAME) "error_message FROM jobs WHERE "
#define QUEUED	     JOB_SELECT "state = 'queued' AND kind = ?1 "
#define EVENT_SELECT                                                                                                   \
	"SELECT seq, recording, e.principal, type, e.phase, e.revision, at, r.show, r.version, e.batch, batch_total, " \
	"batch_failed FROM events AS e "                                                                               \
	"LEFT JOIN recordings AS r ON r.id = recording WHERE seq > ?1 "
/* with ?4: and the bucket has confirmed it, or is not to have it */
#define PUSHED                                                                                                         \
	"AND (?4 = 0 OR NOT EXISTS (SELECT 1 FROM jobs WHERE recording = recordings.id AND kind = 'push' "             \
	"AND state NOT IN ('done', 'cancelled'))) "
/* oldest first, of those that a late resume can't change any more; both halves come in the order of their index */
#define EXPIRED(index, where)                                                                                          \
	"SELECT id, published_at FROM recordings INDEXED BY " index " WHERE " where                                    \
	" AND interrupted = 0 AND published_at < ?1 " PUSHED                                                           \
	"UNION ALL SELECT id, published_at FROM recordings INDEXED BY " index " WHERE " where                          \
	" AND interrupted = 1 AND published_at < min(?1, ?2) " PUSHED "ORDER BY published_at LIMIT ?3"
#define PUBLISHED "phase = 'complete' AND media_revision > 0"
#define ORIGINALS PUBLISHED " AND media_as_is = 0 AND original_removed < 2"
#define LIST_WHERE                                                                                                     \
	"id < ?1 AND upload <> 2 AND (?2 IS NULL OR principal = ?2) AND (?6 IS NULL OR show = ?6) "                    \
	"AND (?3 IS NULL OR contains(name, ?3) OR contains(ref, ?3) OR contains(session_id, ?3)) ORDER BY id DESC "    \
	"LIMIT ?4"

#define LIST_BATCH                                                                                                     \
	"id < ?1 AND principal = ?2 AND batch = ?6 "                                                                   \
	"AND (?3 IS NULL OR contains(name, ?3) OR contains(ref, ?3) OR contains(batch_key, ?3)) ORDER BY id DESC "     \
	"LIMIT ?4"
/* an item without a byte */
#define WAITING	     "batch IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tracks WHERE recording = recordings.id)"
#define BATCH_SELECT "SELECT seq, principal, id, name, total, created_at, updated_at, completed_at FROM batches WHERE "

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
				"sealed_by = excluded.sealed_by, "
				/* what a worker found is not lost to who did not hear of it yet */
				"sha256 = CASE WHEN excluded.sha256 IS NULL AND sealed AND excluded.sealed "
				"AND bytes = excluded.bytes THEN sha256 ELSE excluded.sha256 END, "
				"declared_sha256 = excluded.declared_sha256, parts = excluded.parts",
	[STATEMENT_TRACK_HASHED] = "UPDATE tracks SET sha256 = ?3 WHERE recording = ?1 AND number = ?2 AND sealed "
				   "AND sha256 IS NULL",
	[STATEMENT_DROP_TRACKS] = "DELETE FROM tracks WHERE recording = ?1",
	[STATEMENT_TOUCH] = "UPDATE recordings SET bytes = ?2, updated_at = ?3, show_shift = ?4, upload_length = ?5 "
			    "WHERE id = ?1 AND phase <> 'deleted'",
	[STATEMENT_PUT_UPLOAD] =
		"UPDATE recordings SET upload_length = ?2, upload_metadata = ?3, name = coalesce(name, ?4), "
		"mime = coalesce(mime, ?5), ext = coalesce(ext, ?6), bytes = ?7, "
		"updated_at = max(updated_at, ?8) WHERE id = ?1 AND phase = 'uploading' AND upload > 0",
	[STATEMENT_FIND_FINAL] = SELECT_WHERE "principal = ?1 AND upload_parts = ?2 AND phase <> 'deleted'",
	[STATEMENT_UPLOADS_EXPIRED] = "SELECT id FROM recordings INDEXED BY recordings_uploads "
				      "WHERE upload > 0 AND phase = 'uploading' AND updated_at < ?1 "
				      "ORDER BY updated_at LIMIT ?2",
	[STATEMENT_CLAIM] =
		"UPDATE recordings SET phase = ?4, sealed_by = ?5, interrupted = ?6, revision = ?7, bytes = ?8, "
		"error_code = ?9, error_message = ?10, updated_at = ?3, sealed_at = ?3, mime = coalesce(mime, ?11), "
		"show_shift = ?12 "
		"WHERE id = ?1 AND phase = ?2",
	[STATEMENT_REOPEN] = "UPDATE recordings SET phase = 'uploading', sealed_by = NULL, interrupted = 0, "
			     "error_code = NULL, error_message = NULL, updated_at = ?3 WHERE id = ?1 AND phase = ?2",
	/* a hash of what was sealed says nothing about what it grows to */
	[STATEMENT_UNSEAL_TRACKS] = "UPDATE tracks SET sealed = 0, sealed_by = NULL, sha256 = NULL "
				    "WHERE recording = ?1 AND sealed_by = 'grace'",
	[STATEMENT_ABORT] = "UPDATE recordings SET phase = 'aborted', abort_reason = ?4, updated_at = ?3 "
			    "WHERE id = ?1 AND phase = ?2",
	[STATEMENT_MOVE] = "UPDATE recordings SET phase = ?4, error_code = ?5, error_message = ?6, updated_at = ?3 "
			   "WHERE id = ?1 AND phase = ?2",
	[STATEMENT_RENAME] = "UPDATE recordings SET name = ?2, updated_at = ?3 WHERE id = ?1 AND phase <> 'deleted'",
	[STATEMENT_REMOVE] = "UPDATE recordings SET phase = 'deleted', name = NULL, mime = NULL, ext = NULL, "
			     "declared_tracks = NULL, error_code = NULL, error_message = NULL, warnings = NULL, "
			     "abort_reason = NULL, bytes = 0, source_url = NULL, on_demand = 0, validator = NULL, "
			     "upload_metadata = NULL, upload_parts = NULL, upload_concat = NULL, item_meta = NULL, "
			     "item_content = NULL, "
			     "original_removed = 0, media_revision = 0, "
			     "media_bytes = 0, media_mime = NULL, "
			     "media_ext = NULL, published_at = 0, updated_at = ?3, deleted_at = ?3 "
			     "WHERE id = ?1 AND phase = ?2",
	[STATEMENT_PUBLISH] =
		"UPDATE recordings SET media_revision = ?2, media_as_is = ?3, media_thumbnail = ?4, "
		"media_waveform = ?5, media_bytes = ?6, media_duration = ?7, media_mime = ?8, media_ext = ?9, "
		"published_at = ?10, warnings = ?11 WHERE id = ?1",
	[STATEMENT_ORIGINAL_REMOVED] =
		"UPDATE recordings SET original_removed = max(original_removed, ?2), updated_at = ?3 "
		"WHERE id = ?1 AND " PUBLISHED " AND media_as_is = 0 AND original_removed >= ?2 - 1",
	[STATEMENT_EXPIRED_ORIGINALS] = EXPIRED("recordings_originals", ORIGINALS),
	[STATEMENT_EXPIRED_RECORDINGS] = EXPIRED("recordings_published", PUBLISHED),
	[STATEMENT_PUT_VALIDATOR] = "UPDATE recordings SET validator = ?2 WHERE id = ?1 AND phase = 'uploading'",
	[STATEMENT_GET_VALIDATOR] = "SELECT validator FROM recordings WHERE id = ?1",
	[STATEMENT_JOB_INSERT] =
		"INSERT INTO jobs (" CATALOG_JOB_COLUMNS(NAME) "error_message) VALUES (" CATALOG_JOB_COLUMNS(MARK) "?)",
	[STATEMENT_JOB_UPDATE] =
		"UPDATE jobs SET state = ?5, epoch = ?6, attempt = ?7, window_at = ?8, queued_at = ?10, "
		"started_at = ?11, lease_until = ?12, not_before = ?13, progress = ?14, delivered = ?15, "
		"error_code = ?16, error_message = ?17 WHERE id = ?1",
	[STATEMENT_JOB_RENEW] = "UPDATE jobs SET lease_until = ?3, progress = ?4 "
				"WHERE id = ?1 AND epoch = ?2 AND state = 'running'",
	[STATEMENT_JOB_GET] = JOB_SELECT "id = ?1",
	[STATEMENT_JOB_OF] = JOB_SELECT "recording = ?1 AND kind = ?2 AND revision = ?3",
	[STATEMENT_JOB_SHOWN] = JOB_SELECT "recording = ?1 AND kind IN ('finalize', 'fetch') ORDER BY id DESC LIMIT 1",
	[STATEMENT_JOB_FIRST] = QUEUED "ORDER BY not_before, id LIMIT 1",
	[STATEMENT_JOB_LATEST] = QUEUED "ORDER BY queued_at DESC LIMIT 1",
	[STATEMENT_JOBS_RUNNING] = JOB_SELECT "state = 'running' ORDER BY id",
	[STATEMENT_JOBS_IN] = JOB_SELECT "state = ?1 AND kind = ?2 ORDER BY not_before DESC LIMIT ?3",
	[STATEMENT_TALLY] = "SELECT count(*) FROM jobs WHERE state = ?1 AND kind = ?2",
	/* job_cancel: no result of an older epoch counts, and no worker takes them any more; of a later revision it
	 * is a later push, so that one that was refused is not asked for again either */
	[STATEMENT_FENCE_JOBS] =
		"UPDATE jobs SET epoch = epoch + 1, lease_until = 0, "
		"state = CASE WHEN state IN ('queued', 'running', 'parked') THEN 'cancelled' ELSE state END "
		"WHERE recording = ?1 AND kind <> 'notify'",
	[STATEMENT_PUSH_DROP] = "DELETE FROM pushes WHERE recording = ?1 AND done_at = 0",
	/* the webhook is still to hear of the end */
	[STATEMENT_DROP_JOBS] = "DELETE FROM jobs WHERE recording = ?1 AND kind <> 'notify'",
	[STATEMENT_EVENT] = "INSERT INTO events (recording, type, phase, revision, at, principal, batch, batch_total, "
			    "batch_failed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[STATEMENT_EVENT_OLD] = "UPDATE events SET newest = 0 WHERE recording = ?1 AND newest = 1",
	[STATEMENT_EVENT_WAITS] = "SELECT EXISTS (SELECT 1 FROM events WHERE recording = ?1 AND seq > ?2)",
	[STATEMENT_EVENTS] = EVENT_SELECT "ORDER BY seq LIMIT ?2",
	[STATEMENT_EVENTS_OF] =
		EVENT_SELECT "AND recording = ?3 AND (?4 IS NULL OR e.principal = ?4) ORDER BY seq LIMIT ?2",
	[STATEMENT_EVENTS_FOR] = EVENT_SELECT "AND e.principal = ?4 ORDER BY seq LIMIT ?2",
	[STATEMENT_EVENT_BOUNDS] = "SELECT (SELECT min(seq) FROM events), (SELECT max(seq) FROM events)",
	[STATEMENT_EVENTS_TRIM] =
		"DELETE FROM events WHERE seq IN (SELECT seq FROM events AS e WHERE newest = 0 AND at < ?1 "
		"AND NOT EXISTS (SELECT 1 FROM jobs WHERE recording = e.recording AND kind = 'notify' "
		"AND delivered < e.seq) ORDER BY at LIMIT ?2)",
	[STATEMENT_PUSH_INSERT] =
		"INSERT INTO pushes (recording, revision, key) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
	[STATEMENT_PUSH_MISSING] =
		"SELECT id FROM recordings INDEXED BY recordings_published WHERE " PUBLISHED " AND media_bytes > 0 "
		"AND NOT EXISTS (SELECT 1 FROM jobs WHERE recording = recordings.id AND kind = 'push' "
		"AND revision = media_revision) LIMIT ?1",
	[STATEMENT_PUSH_GET] =
		"SELECT key, sha256, upload, part_bytes FROM pushes WHERE recording = ?1 AND revision = ?2",
	[STATEMENT_PUSH_PARTS] = "SELECT number, bytes, etag, sha256 FROM push_parts "
				 "WHERE recording = ?1 AND revision = ?2 ORDER BY number",
	[STATEMENT_PUSH_FORGET_PARTS] = "DELETE FROM push_parts WHERE recording = ?1 AND revision = ?2",
	[STATEMENT_PUSH_BEGIN] = "UPDATE pushes SET sha256 = ?3, part_bytes = ?4, upload = ?5 "
				 "WHERE recording = ?1 AND revision = ?2",
	[STATEMENT_PUSH_PART] = "INSERT INTO push_parts (recording, revision, number, bytes, etag, sha256) "
				"VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (recording, revision, number) "
				"DO UPDATE SET bytes = excluded.bytes, etag = excluded.etag, sha256 = excluded.sha256",
	[STATEMENT_PUSH_DONE] = "UPDATE pushes SET done_at = ?3, upload = NULL WHERE recording = ?1 AND revision = ?2",
	/* an upload that is not written down may just be beginning: it is looked for later */
	[STATEMENT_PUSH_SWEEP] = "INSERT INTO push_sweeps (key, due_at) SELECT key, iif(upload IS NULL, ?3, ?2) "
				 "FROM pushes WHERE recording = ?1 AND done_at = 0 AND part_bytes > 0",
	[STATEMENT_PUSH_SHOWN] =
		"SELECT jobs.revision, state, error_code, error_message, key FROM jobs LEFT JOIN pushes "
		"ON pushes.recording = jobs.recording AND pushes.revision = jobs.revision "
		"WHERE jobs.recording = ?1 AND kind = 'push' ORDER BY jobs.revision DESC LIMIT 1",
	[STATEMENT_SWEEP_NEXT] = "SELECT id, key, due_at FROM push_sweeps ORDER BY due_at, id LIMIT 1",
	[STATEMENT_SWEEP_DONE] = "DELETE FROM push_sweeps WHERE id = ?1",
	[STATEMENT_SWEEP_LATER] = "UPDATE push_sweeps SET due_at = ?2 WHERE id = ?1",
	[STATEMENT_LIST] = "SELECT id FROM recordings WHERE phase <> 'deleted' AND " LIST_WHERE,
	[STATEMENT_LIST_PHASE] = "SELECT id FROM recordings WHERE phase = ?5 AND " LIST_WHERE,
	[STATEMENT_LIST_BATCH] = "SELECT id FROM recordings WHERE phase <> 'deleted' AND " LIST_BATCH,
	[STATEMENT_LIST_BATCH_PHASE] = "SELECT id FROM recordings WHERE phase = ?5 AND " LIST_BATCH,
	[STATEMENT_BATCH_CREATE] = "INSERT INTO batches (principal, id, name, total, created_at, updated_at) "
				   "VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO NOTHING",
	[STATEMENT_BATCH_RESTORE] = "INSERT INTO batches (principal, id, created_at, updated_at) "
				    "VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING",
	/* what nobody said of it, or what was lost with a catalog: once, and not below what there is */
	[STATEMENT_BATCH_SAY] =
		"UPDATE batches SET name = coalesce(name, ?3), total = coalesce(total, ?4), updated_at = "
		"max(updated_at, ?5) "
		"WHERE principal = ?1 AND id = ?2 AND completed_at = 0 AND (name IS NULL OR name IS ?3) "
		"AND (total IS NULL OR total IS ?4) AND (name IS NOT ?3 OR total IS NOT ?4) AND (?4 IS NULL OR ?4 >= "
		"(SELECT coalesce(sum(count), 0) FROM batch_counts WHERE principal = ?1 AND batch = ?2))",
	[STATEMENT_BATCH_ENDED] = SELECT_WHERE "principal = ?1 AND batch = ?2 "
					       "AND phase IN ('complete', 'error', 'aborted', 'deleted') LIMIT 1",
	[STATEMENT_BATCH_GET] = BATCH_SELECT "principal = ?1 AND id = ?2",
	[STATEMENT_BATCH_FIND] = BATCH_SELECT "id = ?1 ORDER BY seq DESC LIMIT 1",
	[STATEMENT_BATCHES] = BATCH_SELECT "seq < ?1 ORDER BY seq DESC LIMIT ?2",
	[STATEMENT_BATCHES_OF] = BATCH_SELECT "seq < ?1 AND principal = ?3 ORDER BY seq DESC LIMIT ?2",
	[STATEMENT_BATCH_COUNTS] =
		"SELECT phase, count FROM batch_counts WHERE principal = ?1 AND batch = ?2 AND count > 0",
	[STATEMENT_BATCH_ERRORS] = "SELECT code, count FROM batch_errors WHERE principal = ?1 AND batch = ?2 "
				   "AND count > 0 ORDER BY count DESC, code LIMIT ?3",
	[STATEMENT_BATCH_COMPLETE] =
		"UPDATE batches SET completed_at = ?3 WHERE principal = ?1 AND id = ?2 AND completed_at = 0 "
		"AND total <= (SELECT sum(count) FROM batch_counts WHERE principal = ?1 AND batch = ?2 "
		"AND phase IN ('complete', 'error', 'aborted', 'deleted'))",
	[STATEMENT_ITEM_FIND] = "SELECT id, phase, item_content FROM recordings "
				"WHERE principal = ?1 AND batch = ?2 AND batch_key = ?3",
	[STATEMENT_ITEM_FILL] = "UPDATE recordings SET name = coalesce(name, ?2), mime = coalesce(mime, ?3), "
				"ext = coalesce(ext, ?4) WHERE id = ?1 AND phase = 'uploading'",
	[STATEMENT_SHOW_PUT] = "INSERT INTO shows (name, version) VALUES (?1, ?2) "
			       "ON CONFLICT (name) DO UPDATE SET version = max(version, excluded.version)",
	[STATEMENT_SHOW_GET] = "SELECT version, failed FROM shows WHERE name = ?1",
	[STATEMENT_SHOW_FAILED] = "UPDATE shows SET failed = ?2 WHERE name = ?1",
	[STATEMENT_SHOW_VERSION] = SELECT_WHERE "show = ?1 AND version = ?2",
	[STATEMENT_SHOW_NEWEST] = SELECT_WHERE "show = ?1 ORDER BY version DESC LIMIT 1",
	[STATEMENT_SHOWS_FAILED] = "SELECT name FROM shows WHERE failed > 0 ORDER BY name",
	[STATEMENT_AUTHORITY_PUT] = "INSERT INTO authorities (token, subject, answer, expires_at) "
				    "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (token) DO UPDATE SET "
				    "subject = excluded.subject, answer = excluded.answer, "
				    "expires_at = excluded.expires_at",
	[STATEMENT_AUTHORITY_GET] = "SELECT subject, answer, expires_at FROM authorities WHERE token = ?1",
	[STATEMENT_AUTHORITY_TRIM] =
		"DELETE FROM authorities WHERE token IN (SELECT token FROM authorities WHERE expires_at <= ?1 "
		"ORDER BY expires_at LIMIT ?2)",
	[STATEMENT_AUTHORITY_BOUND] =
		"DELETE FROM authorities WHERE token IN (SELECT token FROM authorities ORDER BY expires_at "
		"LIMIT max(0, (SELECT count(*) FROM authorities) - ?1))",
	[STATEMENT_AUTHORITY_OF] = "SELECT token FROM authorities WHERE ?1 IS NULL OR subject = ?1",
	[STATEMENT_AUTHORITY_FORGET] = "DELETE FROM authorities WHERE ?1 IS NULL OR subject = ?1",
	[STATEMENT_UNFINISHED] =
		"SELECT id FROM recordings WHERE phase = 'uploading' AND NOT (" WAITING ") ORDER BY id",
	[STATEMENT_WAITING] = "SELECT id FROM recordings WHERE phase = 'uploading' AND " WAITING " ORDER BY id",
	[STATEMENT_COUNT_JOBS] = "SELECT count(*) FROM jobs WHERE recording = ?1 AND kind = ?2",
	[STATEMENT_COUNT_EVENTS] = "SELECT count(*) FROM events WHERE recording = ?1",
};

const char *catalog_sql(enum catalog_statement which)
{
	assert(which < STATEMENT_COUNT && texts[which]);
	return texts[which];
}
