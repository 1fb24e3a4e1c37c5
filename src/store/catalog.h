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
	const char *mime; /* known by now: of a row that has none; NULL: still not */
	uint64_t shift;	  /* of a show's version, see recording_info */
	enum err error;	  /* ERR_OK: to `queued` with a finalize job; else to `error` with this code, no job */
	const char *error_message;
	int64_t now_ms;
};

struct catalog_filter {
	const char *principal; /* NULL: all */
	const char *search;    /* substring of the name, the ref or the sessionId, case-insensitive; NULL: all */
	const char *show;      /* NULL: all */
	const char *batch;     /* NULL: all; else a batch of `principal`, and `show` is not looked at */
	int phase;	       /* enum phase, or -1 */
	struct uuid before;    /* page: only ids below this; all zero: from the newest */
	unsigned limit;	       /* at most LIMIT_LIST_ITEMS */
};

/* Whose lease a job is: with another epoch, or no longer running, nothing is changed and the answer is NOT_FOUND. */
struct job_key {
	int64_t id;
	uint32_t epoch;
};

/* One row of the outbox. Strings are the callback's only during the call. */
struct catalog_event {
	int64_t seq;
	struct uuid recording;
	const char *principal; /* whose recording it is */
	const char *type;      /* "recording.completed", … */
	const char *show;      /* NULL: its recording is of none */
	uint32_t version;
	const char *batch;		    /* NULL: its recording is an item of none */
	uint64_t batch_total, batch_failed; /* of batch.completed, as it was then */
	enum phase phase;
	uint32_t revision;
	int64_t at_ms;
};

struct catalog_event_filter {
	int64_t after;		      /* sequence */
	const char *principal;	      /* NULL: all */
	const struct uuid *recording; /* NULL: all */
	unsigned limit;
};

/* A part of an upload, as the bucket has it. */
struct catalog_push_part {
	unsigned number; /* from 1 */
	uint64_t bytes;
	char etag[LIMIT_PUSH_ETAG_CHARS + 1];
	char sha256[65]; /* hexadecimal */
};

/* How far the push of a revision has come. */
struct catalog_push {
	uint32_t revision;
	char *key;	     /* owned, as the rest: the object's name */
	char *sha256;	     /* of the whole file; NULL: not known yet */
	uint64_t part_bytes; /* 0: it was not begun, or goes in one piece */
	char *upload;	     /* NULL: none, or its id never came back */
	struct catalog_push_part *parts;
	size_t part_count;
};
void catalog_push_release(struct catalog_push *push);

/* Uploads of this key are to be aborted: nobody goes on with them. */
struct catalog_sweep {
	int64_t id;
	char key[PUSH_KEY];
	int64_t due_ms;
};

/* What retention may take; while `pushes` is on, nothing that the bucket has not confirmed. */
enum catalog_expiry {
	EXPIRY_ORIGINALS,  /* complete, published as a file of its own (not as_is), original there; sealed by end or
			      complete,  or beyond its late resume */
	EXPIRY_RECORDINGS, /* complete and published, likewise */
};

/* A show: the newest version that was ever given, and the one that failed while it stays on air, else 0. */
struct catalog_show {
	uint32_t version, failed;
};

/* One item of a slice: what it is to be, and what came of it. */
struct catalog_item {
	struct recording_info info; /* with a new id, batch, key and `item`; the caller's */
	enum err err;		    /* ITEM_DIFFERS: there is another one of that key, which stays as it is */
	bool inserted;
	struct uuid id;	  /* of the one that there is … */
	enum phase phase; /* … and its phase; PHASE_COUNT: there is none, for the slice was refused */
};

struct catalog_slice {
	const char *principal, *batch;
	struct catalog_item *items;
	unsigned count;
	uint64_t most_new; /* so many new ones may it have … */
	enum err above;	   /* … or this is why not */
};
/* Strings are owned where they come from the catalog. */
struct catalog_authority {
	struct sha256 token;
	char *subject, *answer; /* answer: as proto/authority.h writes it */
	int64_t expires_ms;
};
void catalog_authority_release(struct catalog_authority *said);

struct catalog_ops {
	enum err (*begin)(struct catalog *c);
	enum err (*commit)(struct catalog *c);
	void (*rollback)(struct catalog *c);

	/* Inserts the row unless (principal, session_id) is taken; *inserted tells, *row is the row as it now stands,
	 * a new recording_info to be released. A deleted one is found as such. One of a show takes its version in the
	 * same way: (show, version) is unique, too; and one event says that it is live. */
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

	/* Shows. NOT_FOUND for one that never had a version; show_failed writes
	 * one event; with version 0: none failed, and none is written. */
	enum err (*show_get)(struct catalog *c, const char *name, struct catalog_show *out);
	enum err (*show_failed)(struct catalog *c, const char *name, uint32_t version, int64_t now_ms);
	/* The recording of a version, 0: the newest of which there is a row (deleted ones, too). */
	enum err (*show_version)(struct catalog *c, const char *name, uint32_t version, struct recording_info *row);
	enum err (*each_show_failed)(struct catalog *c, enum err (*show)(void *arg, const char *name), void *arg);

	/* Batches. Created unless there is one of that principal and id; *row is the one that there is. Its name and
	 * total, if it had none, are from now on those that are said here. */
	enum err (*batch_create)(struct catalog *c, const struct batch_info *batch, bool *created,
				 struct batch_info *row);
	/* `principal` NULL: anybody's, the newest of that id. Costs the same however many items it has. */
	enum err (*batch_get)(struct catalog *c, const char *principal, const char *id, struct batch_info *row);
	/* Newest first, below the number `before` (0: from the newest); `principal` NULL: everybody's. */
	enum err (*batch_list)(struct catalog *c, const char *principal, int64_t before, unsigned limit,
			       enum err (*batch)(void *arg, const struct batch_info *batch), void *arg);
	/* Finds or inserts each item, with its fetch job where it has a source. All or none of the new ones: *refusal
	 * is LIMIT_EXCEEDED above the batch's total, or slice->above; then the items that are there are found all the
	 * same. NOT_FOUND: there is no such batch. */
	enum err (*slice)(struct catalog *c, const struct catalog_slice *slice, enum err *refusal);
	/* Name, mime and ext of info->id, where the row has none and is `uploading`. */
	enum err (*item_fill)(struct catalog *c, const struct recording_info *info, struct recording_info *row);

	/* Newest first, without deleted ones. Each row is the callback's only during the call. */
	enum err (*list)(struct catalog *c, const struct catalog_filter *filter,
			 enum err (*row)(void *arg, const struct recording_info *row), void *arg);
	/* All in `uploading`, but for … */
	enum err (*each_unfinished)(struct catalog *c, enum err (*row)(void *arg, const struct recording_info *row),
				    void *arg);
	/* … items of batches that have no track yet: ids only, for they may be many. */
	enum err (*each_waiting)(struct catalog *c, enum err (*id)(void *arg, const struct uuid *id), void *arg);
	/* Puts a row back from its manifest whatever was there (verify --rebuild, recovery of a take whose row was
	 * lost); a sealed one gets its job if it has none. */
	enum err (*restore)(struct catalog *c, const struct recording_info *info);

	/* Uploads. Writes length, metadata, lengths of tracks and updated_at, and what kind of file it is where nobody
	 * said so before. NOT_FOUND: it is none that waits for bytes. */
	enum err (*put_upload)(struct catalog *c, const struct recording_info *info);
	/* The principal's final upload of exactly these parts (upload_info). */
	enum err (*find_final)(struct catalog *c, const char *principal, const char *parts, struct recording_info *row);
	/* Ids of those that wait for bytes and were not touched since `before_ms`, the longest first, at most `limit`.
	 */
	enum err (*uploads_expired)(struct catalog *c, int64_t before_ms, unsigned limit,
				    enum err (*id)(void *arg, const struct uuid *id), void *arg);

	/* Jobs; core/job.h says what follows what. `start` with a source_url inserts the fetch job unless it is
	 * on_demand; claim inserts the finalize job (or requeues it); each event queues the notify job of its recording
	 * while `webhooks` is on. A recording that the job was about is in *row afterwards. */

	/* Takes the lease of the oldest due job of the kind; NOT_FOUND: there is none. finalize: phase to `processing`.
	 */
	enum err (*job_claim)(struct catalog *c, enum job_kind kind, int64_t now_ms, int64_t lease_until_ms,
			      struct job_info *job, struct recording_info *row);
	enum err (*job_renew)(struct catalog *c, const struct job_key *key, int64_t lease_until_ms, unsigned progress);
	/* finalize: the SHA-256 of tracks that were sealed without, in the transaction that publishes or fails behind
	 * it; *fits: none is another than was declared. */
	enum err (*job_hashes)(struct catalog *c, const struct job_key *key, const struct track_hash *hashes,
			       unsigned count, bool *fits);
	/* finalize: `place` publishes the files (called inside the transaction, after the epoch was found right;
	 * perhaps again if the transaction has to be repeated), the row gets its media and warnings, phase to
	 * `generating_thumbnail`. */
	enum err (*job_publish)(struct catalog *c, const struct job_key *key, const struct media_info *media,
				const char *warnings, int64_t now_ms, enum err (*place)(void *arg), void *arg,
				struct recording_info *row);
	/* finalize: media (thumbnail, waveform) and warnings as they are now, phase to `complete`. fetch: only the job
	 * is done; the seal is the engine's. notify: done, unless events wait, then queued again. push: the bucket has
	 * confirmed it. */
	enum err (*job_done)(struct catalog *c, const struct job_key *key, const struct media_info *media,
			     const char *warnings, int64_t now_ms, struct recording_info *row);
	/* The attempt failed or its lease was lost: queued again, failed for good (phase to `error`, one event), or
	 * parked; *job is how it stands. */
	enum err (*job_fail)(struct catalog *c, const struct job_key *key, enum err error, const char *message,
			     int64_t now_ms, struct job_info *job, struct recording_info *row);
	/* Behind a job_fail that queued it again: it is not tried before this either (the receiver asked for it). */
	enum err (*job_postpone)(struct catalog *c, const struct job_key *key, int64_t not_before_ms);
	/* notify: events up to `seq` were delivered; the lease goes on. */
	enum err (*job_delivered)(struct catalog *c, const struct job_key *key, int64_t seq, int64_t lease_until_ms);
	/* Asked for on demand, or again after an error: a fetch job if there is none at work, phase back to `uploading`
	 * if it was `error`. ERR_BUSY while its attempts are used up (job_closed_ms). */
	enum err (*refetch)(struct catalog *c, const struct uuid *id, int64_t now_ms, struct recording_info *row);
	/* The validator (ETag …) of what was fetched so far. */
	enum err (*put_validator)(struct catalog *c, const struct uuid *id, const char *validator);
	enum err (*get_validator)(struct catalog *c, const struct uuid *id, char **out); /* to be freed; NULL if none */
	/* Parked jobs of the kind (notify, push) go on. */
	enum err (*unpark)(struct catalog *c, enum job_kind kind, int64_t now_ms);

	/* Pushing. While `pushes` is on, the end of a finalize job queues the push of what it published (unless that is
	 * empty). A late resume and a deletion cancel what is not done, and leave a sweep for its upload. */

	/* Queues what is complete and has no push yet: of before there was a bucket, or of a catalog that was lost. At
	 * most `limit`; *count: so many. */
	enum err (*push_missing)(struct catalog *c, int64_t now_ms, unsigned limit, unsigned *count);
	enum err (*push_get)(struct catalog *c, const struct uuid *id, uint32_t revision, struct catalog_push *out);
	/* Writes sha256, part_bytes and upload, and forgets all parts. Both: NOT_FOUND if the lease is another's. */
	enum err (*push_begin)(struct catalog *c, const struct job_key *key, const struct catalog_push *push,
			       int64_t lease_until_ms);
	enum err (*push_part)(struct catalog *c, const struct job_key *key, const struct catalog_push_part *part,
			      int64_t lease_until_ms);
	/* The one that is due first, due or not; NOT_FOUND: none. */
	enum err (*sweep_next)(struct catalog *c, struct catalog_sweep *out);
	/* It was swept, or (again_ms) could not be and is due anew then. */
	enum err (*sweep_end)(struct catalog *c, int64_t id, int64_t again_ms);
	/* When the next queued job of the kind is due; NOT_FOUND: none is queued. A clock that was set back since then
	 * makes job_claim give it earlier. */
	enum err (*job_next)(struct catalog *c, enum job_kind kind, int64_t *due_ms);
	/* Every job that is running: at start nobody works on them, and each is to be failed with WORKER_DIED. */
	enum err (*each_running)(struct catalog *c, enum err (*job)(void *arg, const struct job_info *job), void *arg);
	/* How many of the kind stand so; those that are done or cancelled are not counted. */
	enum err (*job_tally)(struct catalog *c, enum job_kind kind, unsigned counts[JOB_STATE_COUNT]);
	/* Jobs that failed or are parked, the newest first, at most `limit`; not_before_ms says since when. */
	enum err (*each_troubled)(struct catalog *c, unsigned limit,
				  enum err (*job)(void *arg, const struct job_info *job), void *arg);

	/* The outbox, ascending. */
	enum err (*events)(struct catalog *c, const struct catalog_event_filter *filter,
			   enum err (*event)(void *arg, const struct catalog_event *event), void *arg);
	/* The oldest that is kept and the newest sequence; 0 and 0: none. */
	enum err (*event_bounds)(struct catalog *c, int64_t *first, int64_t *last);
	/* Forgets delivered events older than this, but for the newest of each recording; the oldest LIMIT_EVENTS_TRIM
	 * of them. */
	enum err (*events_trim)(struct catalog *c, int64_t before_ms);

	/* Retention: ids only, oldest first, of what was published before `before_ms`, and, where grace sealed it,
	 * before `late_before_ms` too. */
	enum err (*expired)(struct catalog *c, enum catalog_expiry what, int64_t before_ms, int64_t late_before_ms,
			    unsigned limit, enum err (*id)(void *arg, const struct uuid *id), void *arg);
	/* Nobody is to be given the original any more; with `gone`, behind that: its files are no more. In between a
	 * crash may come, so EXPIRY_ORIGINALS gives it again until then. Changes nothing where it does not apply. */
	enum err (*original_removed)(struct catalog *c, const struct uuid *id, bool gone, int64_t now_ms,
				     struct recording_info *row);

	/* What an outside authority said of a token, by the token's SHA-256. put replaces what was there, forgets some
	 * that expired before `now_ms`, and of more than LIMIT_AUTHORITY_ROWS those that expire first. get: what has
	 * expired too, NOT_FOUND; to be released. */
	enum err (*authority_put)(struct catalog *c, const struct catalog_authority *said, int64_t now_ms);
	enum err (*authority_get)(struct catalog *c, const struct sha256 *token, struct catalog_authority *out);
	/* All of one subject's (NULL: all); `each` is told which. */
	enum err (*authority_forget)(struct catalog *c, const char *subject,
				     enum err (*each)(void *arg, const struct sha256 *token), void *arg);

	/* For tests. */
	enum err (*job_count)(struct catalog *c, const struct uuid *id, enum job_kind kind, unsigned *out);
	enum err (*event_count)(struct catalog *c, const struct uuid *id, unsigned *out);
	void (*close)(struct catalog *c);
};

struct catalog {
	const struct catalog_ops *ops;
	bool webhooks; /* set by the owner before use: events are to be delivered */
	bool pushes;   /* likewise: what is published is to be pushed */
};

/* catalog.db in the vfs: WAL, synchronous=FULL, locking_mode=EXCLUSIVE, one connection, through a SQLite VFS that
 * stands on `vfs` (store/vfs_sqlite.c). Migrations are numbered and run in a transaction; ERR_SCHEMA_NEWER refuses a
 * newer file. `read_only` for verify: ERR_NOT_SUPPORTED when a migration would have to run first. */
enum err catalog_sqlite_open(struct vfs *vfs, bool read_only, struct catalog **out);
/* For the simulation, before the catalog is opened: what SQLite draws by lot (the salts of its WAL) follows from the
 * seed, in the whole process. Without it the system's entropy is used. */
void catalog_sqlite_seed(unsigned seed);
void catalog_close(struct catalog *c); /* accepts NULL */

#endif
