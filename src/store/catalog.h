/* The catalog: which recordings there are, in which phase, their jobs and events. One interface; catalog_sqlite.c now,
 * PostgreSQL later, so: plain SQL ideas, leases, no shared memory.
 *
 * For lengths and seals the catalog may lag the journal and never leads it. All functions block and run on the
 * catalog lane (or at start-up). The engine gathers operations and runs each gathering in one transaction:
 * catalog_begin, operations, catalog_commit; durable when commit returned ERR_OK, and nothing of it happened otherwise.
 * Reads may run in the same transaction and see its writes.
 *
 * Errors: STORAGE_FULL (also SQLITE_FULL), NOT_FOUND, NO_MEMORY, SYNC_FAILED (fatal: the process stops), READ_FAILED or
 * WRITE_FAILED for the rest. After an error other than NOT_FOUND or EXISTS the transaction must be rolled back. */
#ifndef HOLDFAST_STORE_CATALOG_H
#define HOLDFAST_STORE_CATALOG_H

#include "core/model.h"
#include "store/vfs.h"

struct catalog;

/* What a claim, reopen or abort found when it changed nothing: the row as it is. */
enum catalog_outcome {
	CATALOG_CHANGED,   /* the statement moved the row; its new state is in *row */
	CATALOG_UNCHANGED, /* the row was in another phase; *row is what was found */
};

/* One sealing of a recording: the values that the claim writes with the move to `queued`. */
struct catalog_seal {
	struct uuid id;
	enum sealed_by by;
	uint32_t revision;		 /* the revision that this seal makes */
	const struct track_info *tracks; /* number, bytes, sha256, sealed, parts: all tracks */
	uint32_t track_count;
	enum err error; /* ERR_OK: to `queued` with a finalize job; else to `error` with this code, no job */
	const char *error_message;
	int64_t now_ms;
};

struct catalog_filter {
	const char *principal; /* NULL: all */
	const char *search;    /* substring of the name or the sessionId, case-insensitive; NULL: all */
	int phase;	       /* enum phase, or -1 */
	struct uuid before;    /* page: only ids below this; all zero: from the newest */
	unsigned limit;	       /* at most LIMIT_LIST_ITEMS */
};

struct catalog_ops {
	enum err (*begin)(struct catalog *c);
	enum err (*commit)(struct catalog *c);
	void (*rollback)(struct catalog *c);

	/* Inserts the row unless (principal, session_id) is taken; *inserted tells, *row is the row as it now stands,
	 * a new recording_info to be released. A deleted one is found as such. */
	enum err (*start)(struct catalog *c, const struct recording_info *info, bool *inserted,
			  struct recording_info *row);
	enum err (*get)(struct catalog *c, const struct uuid *id, struct recording_info *row);
	enum err (*find_session)(struct catalog *c, const char *principal, const char *session_id,
				 struct recording_info *row);
	enum err (*find_ref)(struct catalog *c, const char *ref, struct recording_info *row);

	/* Writes lengths, names, totals, parts and sealing of tracks, and updated_ms; the phase is not touched. Used
	 * when a track is added or sealed, at detach and at checkpoints. Rows of unknown or deleted recordings:
	 * NOT_FOUND. */
	enum err (*put_tracks)(struct catalog *c, const struct recording_info *info);

	/* Claims first: one statement moves `uploading` or `error` to `queued` (or, with seal->error, to `error`),
	 * writes the tracks, raises the revision to seal->revision, inserts the finalize job for it if there is none
	 * and exactly one event. A repeat of the same seal changes nothing. */
	enum err (*claim)(struct catalog *c, const struct catalog_seal *seal, enum catalog_outcome *outcome,
			  struct recording_info *row);
	/* Late resume: `queued` … `error` back to `uploading`, only if grace sealed it; raises the epoch of its jobs so
	 * that no result of theirs counts, unseals what grace sealed, one event. */
	enum err (*reopen)(struct catalog *c, const struct uuid *id, int64_t now_ms, enum catalog_outcome *outcome,
			   struct recording_info *row);
	/* `uploading` to `aborted`, with the reason. */
	enum err (*abort)(struct catalog *c, const struct uuid *id, const char *reason, int64_t now_ms,
			  enum catalog_outcome *outcome, struct recording_info *row);
	/* `uploading` to `error` with a code (a poisoned or quarantined take); one event. */
	enum err (*fail)(struct catalog *c, const struct uuid *id, enum err error, const char *message, int64_t now_ms,
			 enum catalog_outcome *outcome, struct recording_info *row);
	enum err (*rename)(struct catalog *c, const struct uuid *id, const char *name, int64_t now_ms,
			   struct recording_info *row);
	/* Any phase to `deleted`: a tombstone that keeps id, principal, session_id; jobs go. */
	enum err (*remove)(struct catalog *c, const struct uuid *id, int64_t now_ms, enum catalog_outcome *outcome,
			   struct recording_info *row);

	/* Newest first, without deleted ones. Each row is the callback's only during the call. */
	enum err (*list)(struct catalog *c, const struct catalog_filter *filter,
			 enum err (*row)(void *arg, const struct recording_info *row), void *arg);
	/* All in `uploading`. */
	enum err (*each_unfinished)(struct catalog *c, enum err (*row)(void *arg, const struct recording_info *row),
				    void *arg);
	/* Puts a row back from its manifest whatever was there (verify --rebuild, recovery of a take whose row was
	 * lost); a sealed one gets its job if it has none. */
	enum err (*restore)(struct catalog *c, const struct recording_info *info);

	/* For tests, the API and the worker to come. */
	enum err (*job_count)(struct catalog *c, const struct uuid *id, unsigned *out);
	enum err (*event_count)(struct catalog *c, const struct uuid *id, unsigned *out);
	void (*close)(struct catalog *c);
};

struct catalog {
	const struct catalog_ops *ops;
};

/* catalog.db in the vfs: WAL, synchronous=FULL, locking_mode=EXCLUSIVE, one connection, through a SQLite VFS that
 * stands on `vfs` (store/vfs_sqlite.c). Migrations are numbered and run in a transaction; ERR_SCHEMA_NEWER refuses a
 * newer file. `read_only` for verify. */
enum err catalog_sqlite_open(struct vfs *vfs, bool read_only, struct catalog **out);
/* For the simulation, before the catalog is opened: what SQLite draws by lot (the salts of its WAL) follows from the
 * seed, in the whole process. Without it the system's entropy is used. */
void catalog_sqlite_seed(unsigned seed);
void catalog_close(struct catalog *c); /* accepts NULL */

#endif
