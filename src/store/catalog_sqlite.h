/* Inside of the SQLite catalog: what catalog_sqlite.c (operations), catalog_list.c (lists), catalog_rows.c (statements
 * and rows) and catalog_schema.c (open, migrations), with catalog_sql.c (the statements' text), share. Nobody else
 * includes it. */
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
	STATEMENT_DROP_TRACKS,
	STATEMENT_TOUCH,
	STATEMENT_CLAIM,
	STATEMENT_REOPEN,
	STATEMENT_UNSEAL_TRACKS,
	STATEMENT_ABORT,
	STATEMENT_FAIL,
	STATEMENT_RENAME,
	STATEMENT_REMOVE,
	STATEMENT_QUEUE_JOB,
	STATEMENT_KEEP_JOB,
	STATEMENT_FENCE_JOBS,
	STATEMENT_DROP_JOBS,
	STATEMENT_EVENT,
	STATEMENT_LIST,
	STATEMENT_LIST_PHASE,
	STATEMENT_UNFINISHED,
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

/* catalog_list.c */
enum err catalog_list(struct catalog *base, const struct catalog_filter *filter,
		      enum err (*row)(void *arg, const struct recording_info *row), void *arg);
enum err catalog_each_unfinished(struct catalog *base, enum err (*row)(void *arg, const struct recording_info *row),
				 void *arg);
enum err catalog_job_count(struct catalog *base, const struct uuid *id, unsigned *out);
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

/* The row that a bound SELECT of the recording's columns finds, with its tracks; gives the statement back. */
enum err catalog_load(struct catalog_sqlite *c, sqlite3_stmt *stmt, struct recording_info *row);
enum err catalog_load_id(struct catalog_sqlite *c, const struct uuid *id, struct recording_info *row);
/* Runs STATEMENT_INSERT or STATEMENT_RESTORE. */
enum err catalog_write_row(struct catalog_sqlite *c, enum catalog_statement which, const struct recording_info *info);
/* Writes all tracks; a track without a name keeps the one that `row` has for it (row may be NULL). */
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
	X(updated_at)

enum catalog_column {
#define X(name) COLUMN_##name,
	CATALOG_COLUMNS(X)
#undef X
		COLUMN_sealed_at /* the last: lists need one without a comma behind it */
};

#endif
