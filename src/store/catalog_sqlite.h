/* Inside of the SQLite catalog, shared by its files; nobody else includes it.
 *
 *   catalog_sqlite.c  operations on takes       catalog_leases.c  operations on jobs
 *   catalog_moves.c   phases, and their events  catalog_jobs.c    rows of jobs, lists of them
 *   catalog_list.c    lists of recordings       catalog_events.c  the outbox
 *   catalog_rows.c    statements and rows       catalog_schema.c  open, migrations
 *   catalog_media.c   what is published, what retention may take
 *   catalog_shows.c   versions of shows
 *   catalog_pushes.c  what goes to a bucket
 *   catalog_batches.c batches and their slices
 *   catalog_authorities.c  what an outside authority said
 *   catalog_sql.c     the statements' text */
#ifndef HOLDFAST_STORE_CATALOG_SQLITE_H
#define HOLDFAST_STORE_CATALOG_SQLITE_H

#include "store/catalog.h"
#include "store/vfs_sqlite.h"

#include <sqlite3.h>

enum catalog_statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_INSERT,
	STATEMENT_RESTORE,
	STATEMENT_GET,
	STATEMENT_FIND_SESSION,
	STATEMENT_FIND_REF,
	STATEMENT_GET_TRACKS,
	STATEMENT_PUT_TRACK,
	STATEMENT_TRACK_HASHED,
	STATEMENT_DROP_TRACKS,
	STATEMENT_TOUCH,
	STATEMENT_PUT_UPLOAD,
	STATEMENT_FIND_FINAL,
	STATEMENT_UPLOADS_EXPIRED,
	STATEMENT_CLAIM,
	STATEMENT_REOPEN,
	STATEMENT_UNSEAL_TRACKS,
	STATEMENT_ABORT,
	STATEMENT_MOVE,
	STATEMENT_RENAME,
	STATEMENT_REMOVE,
	STATEMENT_PUBLISH,
	STATEMENT_ORIGINAL_REMOVED,
	STATEMENT_EXPIRED_ORIGINALS,
	STATEMENT_EXPIRED_RECORDINGS,
	STATEMENT_PUT_VALIDATOR,
	STATEMENT_GET_VALIDATOR,
	STATEMENT_JOB_INSERT,
	STATEMENT_JOB_UPDATE,
	STATEMENT_JOB_RENEW,
	STATEMENT_JOB_GET,
	STATEMENT_JOB_OF,
	STATEMENT_JOB_SHOWN,
	STATEMENT_JOB_FIRST,
	STATEMENT_JOB_LATEST,
	STATEMENT_JOBS_RUNNING,
	STATEMENT_JOBS_IN,
	STATEMENT_TALLY,
	STATEMENT_FENCE_JOBS,
	STATEMENT_DROP_JOBS,
	STATEMENT_EVENT,
	STATEMENT_EVENT_OLD,
	STATEMENT_EVENT_WAITS,
	STATEMENT_EVENTS,
	STATEMENT_EVENTS_OF,
	STATEMENT_EVENTS_FOR,
	STATEMENT_EVENT_BOUNDS,
	STATEMENT_EVENTS_TRIM,
	STATEMENT_PUSH_INSERT,
	STATEMENT_PUSH_MISSING,
	STATEMENT_PUSH_GET,
	STATEMENT_PUSH_PARTS,
	STATEMENT_PUSH_FORGET_PARTS,
	STATEMENT_PUSH_BEGIN,
	STATEMENT_PUSH_PART,
	STATEMENT_PUSH_DONE,
	STATEMENT_PUSH_SWEEP,
	STATEMENT_PUSH_DROP,
	STATEMENT_PUSH_SHOWN,
	STATEMENT_SWEEP_NEXT,
	STATEMENT_SWEEP_DONE,
	STATEMENT_SWEEP_LATER,
	STATEMENT_LIST,
	STATEMENT_LIST_PHASE,
	STATEMENT_LIST_BATCH,
	STATEMENT_LIST_BATCH_PHASE,
	STATEMENT_BATCH_CREATE,
	STATEMENT_BATCH_RESTORE,
	STATEMENT_BATCH_SAY,
	STATEMENT_BATCH_ENDED,
	STATEMENT_BATCH_GET,
	STATEMENT_BATCH_FIND,
	STATEMENT_BATCHES,
	STATEMENT_BATCHES_OF,
	STATEMENT_BATCH_COUNTS,
	STATEMENT_BATCH_ERRORS,
	STATEMENT_BATCH_COMPLETE,
	STATEMENT_ITEM_FIND,
	STATEMENT_ITEM_FILL,
	STATEMENT_SHOW_PUT,
	STATEMENT_SHOW_GET,
	STATEMENT_SHOW_FAILED,
	STATEMENT_SHOW_VERSION,
	STATEMENT_SHOW_NEWEST,
	STATEMENT_SHOWS_FAILED,
	STATEMENT_AUTHORITY_PUT,
	STATEMENT_AUTHORITY_GET,
	STATEMENT_AUTHORITY_TRIM,
	STATEMENT_AUTHORITY_BOUND,
	STATEMENT_AUTHORITY_OF,
	STATEMENT_AUTHORITY_FORGET,
	STATEMENT_UNFINISHED,
	STATEMENT_WAITING,
	STATEMENT_COUNT_JOBS,
	STATEMENT_COUNT_EVENTS,
	STATEMENT_COUNT
};

struct catalog_sqlite {
	struct catalog base; /* first */
	sqlite3 *db;
	struct vfs_sqlite *files;
	sqlite3_stmt *statements[STATEMENT_COUNT]; /* prepared when first used */
	bool open;				   /* between begin and commit or rollback */
	enum err failed;			   /* why this transaction can only be rolled back */
};

static inline struct catalog_sqlite *catalog_self(struct catalog *c)
{
	return (struct catalog_sqlite *)(void *)c;
}

/* catalog_sqlite.c */
extern const struct catalog_ops catalog_sqlite_ops;

/* catalog_schema.c */
void catalog_sqlite_close(struct catalog *base);

/* catalog_moves.c */

/* One change of phase, from the row as it was found to the row as it then stands. */
struct catalog_move {
	struct catalog_sqlite *c;
	struct recording_info *row;
	int64_t now_ms;
	bool may;
	sqlite3_stmt *stmt; /* the UPDATE, with id, the phase seen and the time bound as 1, 2 and 3 */
};
/* Reads the row, and asks the table whether it may go to `to`. */
enum err catalog_move_look(struct catalog_move *m, const struct uuid *id, enum phase to);
enum err catalog_move_prepare(struct catalog_move *m, enum catalog_statement which);
/* The event and the row's new state, behind the UPDATE and what belongs to it; `err` is how those went. */
enum err catalog_move_finish(struct catalog_move *m, enum err err);
/* All of it for a row that was read, where nothing but phase and error changes. */
enum err catalog_move_to(struct catalog_move *m, enum phase to, enum err error, const char *message);
/* One event about the row as it stands, and work for its webhook. */
enum err catalog_write_event(struct catalog_sqlite *c, const struct recording_info *row, int64_t now_ms);
/* … of another type than the phase's. `batch`: of a whole batch, else NULL. */
enum err catalog_write_event_of(struct catalog_sqlite *c, const struct recording_info *row, const char *type,
				const struct batch_info *batch, int64_t now_ms);

/* catalog_jobs.c */

/* The job that a bound SELECT of its columns finds, NOT_FOUND; to be released. Gives the statement back. */
enum err catalog_load_job(struct catalog_sqlite *c, sqlite3_stmt *stmt, struct job_info *job);
enum err catalog_job_of(struct catalog_sqlite *c, const struct uuid *id, enum job_kind kind, uint32_t revision,
			struct job_info *job);
/* Writes the job as it is; id 0: a new one. */
enum err catalog_store_job(struct catalog_sqlite *c, struct job_info *job);
/* A queued one of this kind and revision, unless one is at work: a new one, or the old one again. */
enum err catalog_queue_job(struct catalog_sqlite *c, const struct uuid *id, enum job_kind kind, uint32_t revision,
			   int64_t now_ms);
enum err catalog_job_next(struct catalog *base, enum job_kind kind, int64_t *due_ms);
enum err catalog_each_running(struct catalog *base, enum err (*job)(void *arg, const struct job_info *job), void *arg);
enum err catalog_job_tally(struct catalog *base, enum job_kind kind, unsigned counts[JOB_STATE_COUNT]);
enum err catalog_each_troubled(struct catalog *base, unsigned limit,
			       enum err (*job)(void *arg, const struct job_info *job), void *arg);
enum err catalog_unpark(struct catalog *base, enum job_kind kind, int64_t now_ms);

/* catalog_leases.c */
/* The job whose lease this is, NOT_FOUND; to be released. */
enum err catalog_job_held(struct catalog_sqlite *c, const struct job_key *key, struct job_info *job);
enum err catalog_job_claim(struct catalog *base, enum job_kind kind, int64_t now_ms, int64_t lease_until_ms,
			   struct job_info *job, struct recording_info *row);
enum err catalog_job_renew(struct catalog *base, const struct job_key *key, int64_t lease_until_ms, unsigned progress);
enum err catalog_job_hashes(struct catalog *base, const struct job_key *key, const struct track_hash *hashes,
			    unsigned count, bool *fits);
enum err catalog_job_publish(struct catalog *base, const struct job_key *key, const struct media_info *media,
			     const char *warnings, int64_t now_ms, enum err (*place)(void *arg), void *arg,
			     struct recording_info *row);
enum err catalog_job_done(struct catalog *base, const struct job_key *key, const struct media_info *media,
			  const char *warnings, int64_t now_ms, struct recording_info *row);
enum err catalog_job_fail(struct catalog *base, const struct job_key *key, enum err error, const char *message,
			  int64_t now_ms, struct job_info *job, struct recording_info *row);
enum err catalog_job_postpone(struct catalog *base, const struct job_key *key, int64_t not_before_ms);
enum err catalog_job_delivered(struct catalog *base, const struct job_key *key, int64_t seq, int64_t lease_until_ms);
enum err catalog_refetch(struct catalog *base, const struct uuid *id, int64_t now_ms, struct recording_info *row);

/* catalog_media.c */
enum err catalog_publish(struct catalog_sqlite *c, const struct recording_info *row, const struct media_info *media,
			 const char *warnings);
enum err catalog_expired(struct catalog *base, enum catalog_expiry what, int64_t before_ms, int64_t late_before_ms,
			 unsigned limit, enum err (*id)(void *arg, const struct uuid *id), void *arg);
enum err catalog_original_removed(struct catalog *base, const struct uuid *id, bool gone, int64_t now_ms,
				  struct recording_info *row);
enum err catalog_put_validator(struct catalog *base, const struct uuid *id, const char *validator);
enum err catalog_get_validator(struct catalog *base, const struct uuid *id, char **out);

/* catalog_pushes.c */
/* Its published file is to be pushed, unless it was: a row for what comes of it, and a job. */
enum err catalog_queue_push(struct catalog_sqlite *c, const struct recording_info *row, int64_t now_ms);
enum err catalog_push_missing(struct catalog *base, int64_t now_ms, unsigned limit, unsigned *count);
enum err catalog_push_get(struct catalog *base, const struct uuid *id, uint32_t revision, struct catalog_push *out);
enum err catalog_push_begin(struct catalog *base, const struct job_key *key, const struct catalog_push *push,
			    int64_t lease_until_ms);
enum err catalog_push_part(struct catalog *base, const struct job_key *key, const struct catalog_push_part *part,
			   int64_t lease_until_ms);
/* The bucket has it: what it took to get there is forgotten. */
enum err catalog_push_done(struct catalog_sqlite *c, const struct job_info *job, int64_t now_ms);
/* Nobody goes on with what is not done of the recording: its uploads are to be swept. */
enum err catalog_push_drop(struct catalog_sqlite *c, const struct uuid *id, int64_t now_ms);
enum err catalog_sweep_next(struct catalog *base, struct catalog_sweep *out);
enum err catalog_sweep_end(struct catalog *base, int64_t id, int64_t again_ms);
enum err catalog_load_push(struct catalog_sqlite *c, struct recording_info *row);

/* catalog_events.c */
enum err catalog_events(struct catalog *base, const struct catalog_event_filter *filter,
			enum err (*event)(void *arg, const struct catalog_event *event), void *arg);
enum err catalog_event_bounds(struct catalog *base, int64_t *first, int64_t *last);
enum err catalog_events_trim(struct catalog *base, int64_t before_ms);
/* Does the recording have an event behind `seq`? */
enum err catalog_event_waits(struct catalog_sqlite *c, const struct uuid *id, int64_t seq, bool *out);

/* catalog_shows.c */
/* The row is of a show: its version was given, and is not given again. */
enum err catalog_show_put(struct catalog_sqlite *c, const struct recording_info *info);
/* … and is on air from now on. */
enum err catalog_show_live(struct catalog_sqlite *c, const struct recording_info *info);
void catalog_load_upload(sqlite3_stmt *stmt, struct upload_info *upload);
void catalog_bind_upload(sqlite3_stmt *stmt, const struct upload_info *upload);
enum err catalog_put_upload(struct catalog *base, const struct recording_info *info);
enum err catalog_find_final(struct catalog *base, const char *principal, const char *parts, struct recording_info *row);
enum err catalog_uploads_expired(struct catalog *base, int64_t before_ms, unsigned limit,
				 enum err (*id)(void *arg, const struct uuid *id), void *arg);
enum err catalog_show_get(struct catalog *base, const char *name, struct catalog_show *out);
enum err catalog_show_failed(struct catalog *base, const char *name, uint32_t version, int64_t now_ms);
enum err catalog_show_version(struct catalog *base, const char *name, uint32_t version, struct recording_info *row);
enum err catalog_each_show_failed(struct catalog *base, enum err (*show)(void *arg, const char *name), void *arg);

/* catalog_batches.c */
/* An item's phase has just changed to this: with the last one's end its batch is complete, which it is once. */
enum err catalog_batch_settle(struct catalog_sqlite *c, const struct recording_info *item, int64_t now_ms);
/* A row was put back: there is a batch for it. */
enum err catalog_batch_put(struct catalog_sqlite *c, const struct recording_info *item);
enum err catalog_batch_create(struct catalog *base, const struct batch_info *batch, bool *created,
			      struct batch_info *row);
enum err catalog_batch_get(struct catalog *base, const char *principal, const char *id, struct batch_info *row);
enum err catalog_batch_list(struct catalog *base, const char *principal, int64_t before, unsigned limit,
			    enum err (*batch)(void *arg, const struct batch_info *batch), void *arg);
enum err catalog_slice(struct catalog *base, const struct catalog_slice *slice, enum err *refusal);
enum err catalog_item_fill(struct catalog *base, const struct recording_info *info, struct recording_info *row);
/* catalog_authorities.c */
enum err catalog_authority_put(struct catalog *base, const struct catalog_authority *said, int64_t now_ms);
enum err catalog_authority_get(struct catalog *base, const struct sha256 *token, struct catalog_authority *out);
enum err catalog_authority_forget(struct catalog *base, const char *subject,
				  enum err (*each)(void *arg, const struct sha256 *token), void *arg);

/* catalog_list.c */
enum err catalog_list(struct catalog *base, const struct catalog_filter *filter,
		      enum err (*row)(void *arg, const struct recording_info *row), void *arg);
enum err catalog_each_unfinished(struct catalog *base, enum err (*row)(void *arg, const struct recording_info *row),
				 void *arg);
enum err catalog_each_waiting(struct catalog *base, enum err (*id)(void *arg, const struct uuid *id), void *arg);
enum err catalog_job_count(struct catalog *base, const struct uuid *id, enum job_kind kind, unsigned *out);
enum err catalog_event_count(struct catalog *base, const struct uuid *id, unsigned *out);

/* catalog_rows.c */

/* A result code of the connection as an error; remembers what forces a rollback. */
enum err catalog_error(struct catalog_sqlite *c, int rc);
/* A statement ready to be bound; run or abandoned, it must go back through catalog_done. */
enum err catalog_statement(struct catalog_sqlite *c, enum catalog_statement which, sqlite3_stmt **out);
/* The same, with the id bound as 1. */
enum err catalog_statement_for(struct catalog_sqlite *c, enum catalog_statement which, const struct uuid *id,
			       sqlite3_stmt **out);
void catalog_done(sqlite3_stmt *stmt);
void catalog_bind_id(sqlite3_stmt *stmt, int at, const struct uuid *id);
void catalog_bind_text(sqlite3_stmt *stmt, int at, const char *text); /* NULL binds NULL; not copied */
/* Runs a statement that returns no rows and gives it back. */
enum err catalog_run(struct catalog_sqlite *c, sqlite3_stmt *stmt);
/* The same for one that needs nothing but an id. */
enum err catalog_run_for(struct catalog_sqlite *c, enum catalog_statement which, const struct uuid *id);
/* An error that SQLite did not make, such as memory that is out: forces a rollback as its own do. */
enum err catalog_fail(struct catalog_sqlite *c, enum err err);
/* Columns; NULL stays NULL. */
enum err catalog_column_text(sqlite3_stmt *stmt, int at, char **out);
/* Into a fixed buffer; what does not fit was not written by us. */
enum err catalog_column_copy(sqlite3_stmt *stmt, int at, char *out, size_t size);
enum err catalog_column_id(sqlite3_stmt *stmt, int at, struct uuid *out);
void catalog_column_error(sqlite3_stmt *stmt, int at, enum err *out);

/* The row that a bound SELECT of the recording's columns finds, with its tracks; gives the statement back. */
enum err catalog_load(struct catalog_sqlite *c, sqlite3_stmt *stmt, struct recording_info *row);
enum err catalog_load_id(struct catalog_sqlite *c, const struct uuid *id, struct recording_info *row);
/* Runs STATEMENT_INSERT or STATEMENT_RESTORE. */
enum err catalog_write_row(struct catalog_sqlite *c, enum catalog_statement which, const struct recording_info *info);
/* Writes all tracks; a track without a name keeps the one that `row` has for it (row may be NULL). */
enum err catalog_write_hash(struct catalog_sqlite *c, const struct uuid *id, const struct track_hash *hash);
enum err catalog_write_tracks(struct catalog_sqlite *c, const struct uuid *id, const struct track_info *tracks,
			      uint32_t count, const struct recording_info *row);

/* catalog_sql.c */
const char *catalog_sql(enum catalog_statement which);

/* The columns of recordings that a recording_info holds, in the order of catalog_sql's SELECTs and INSERTs. */
#define CATALOG_COLUMNS(X)                                                                                             \
	X(id)                                                                                                          \
	X(principal)                                                                                                   \
	X(session_id)                                                                                                  \
	X(ref)                                                                                                         \
	X(name)                                                                                                        \
	X(mime)                                                                                                        \
	X(ext)                                                                                                         \
	X(declared_tracks)                                                                                             \
	X(ts)                                                                                                          \
	X(phase)                                                                                                       \
	X(sealed_by)                                                                                                   \
	X(interrupted)                                                                                                 \
	X(revision)                                                                                                    \
	X(bytes)                                                                                                       \
	X(attempt)                                                                                                     \
	X(error_code)                                                                                                  \
	X(error_message)                                                                                               \
	X(abort_reason)                                                                                                \
	X(created_at)                                                                                                  \
	X(updated_at)                                                                                                  \
	X(warnings)                                                                                                    \
	X(source_url)                                                                                                  \
	X(on_demand)                                                                                                   \
	X(original_removed)                                                                                            \
	X(media_revision)                                                                                              \
	X(media_as_is)                                                                                                 \
	X(media_thumbnail)                                                                                             \
	X(media_waveform)                                                                                              \
	X(media_bytes)                                                                                                 \
	X(media_duration)                                                                                              \
	X(media_mime)                                                                                                  \
	X(media_ext)                                                                                                   \
	X(published_at)                                                                                                \
	X(show)                                                                                                        \
	X(version)                                                                                                     \
	X(show_first)                                                                                                  \
	X(show_shift)                                                                                                  \
	X(upload)                                                                                                      \
	X(upload_length)                                                                                               \
	X(upload_metadata)                                                                                             \
	X(upload_parts)                                                                                                \
	X(batch)                                                                                                       \
	X(batch_key)                                                                                                   \
	X(item_meta)                                                                                                   \
	X(item_content)                                                                                                \
	X(upload_concat)

enum catalog_column {
#define X(name) COLUMN_##name,
	CATALOG_COLUMNS(X)
#undef X
		COLUMN_sealed_at /* the last: lists need one without a comma behind it */
};

/* The same of jobs and a job_info; the last is the error's sentence. */
#define CATALOG_JOB_COLUMNS(X)                                                                                         \
	X(id)                                                                                                          \
	X(recording)                                                                                                   \
	X(kind)                                                                                                        \
	X(revision)                                                                                                    \
	X(state)                                                                                                       \
	X(epoch)                                                                                                       \
	X(attempt)                                                                                                     \
	X(window_at)                                                                                                   \
	X(created_at)                                                                                                  \
	X(queued_at)                                                                                                   \
	X(started_at)                                                                                                  \
	X(lease_until)                                                                                                 \
	X(not_before)                                                                                                  \
	X(progress)                                                                                                    \
	X(delivered)                                                                                                   \
	X(error_code)

enum catalog_job_column {
#define X(name) JOB_COLUMN_##name,
	CATALOG_JOB_COLUMNS(X)
#undef X
		JOB_COLUMN_error_message
};

#endif
