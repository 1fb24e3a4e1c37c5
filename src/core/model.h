/* The nouns as data: what the core decides on, the store keeps and the API shows. No behaviour but the table of phases.
 */
#ifndef HOLDFAST_CORE_MODEL_H
#define HOLDFAST_CORE_MODEL_H

#include "base/err.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stdint.h>

#define BYTES_UNKNOWN UINT64_MAX /* no total was declared */

#define PHASE_TABLE(X)                                                                                                 \
	X(UPLOADING, "uploading")                                                                                      \
	X(QUEUED, "queued")                                                                                            \
	X(PROCESSING, "processing")                                                                                    \
	X(GENERATING_THUMBNAIL, "generating_thumbnail")                                                                \
	X(COMPLETE, "complete")                                                                                        \
	X(ERROR, "error")                                                                                              \
	X(ABORTED, "aborted")                                                                                          \
	X(DELETED, "deleted")

enum phase {
#define X(name, text) PHASE_##name,
	PHASE_TABLE(X)
#undef X
		PHASE_COUNT
};

const char *phase_name(enum phase phase);
bool phase_parse(const char *name, enum phase *out);

/* Who sealed a recording last. Only grace lets a later start resume it. */
enum sealed_by { SEALED_BY_NONE, SEALED_BY_END, SEALED_BY_COMPLETE, SEALED_BY_GRACE };

/* "end", "complete", "grace"; NULL for SEALED_BY_NONE. */
const char *sealed_by_name(enum sealed_by by);
bool sealed_by_parse(const char *name, enum sealed_by *out);

/* The one table of phases: may a recording go from `from` to `to`? `by`: who sealed it (late resume only after grace).
 * The catalog's refetch alone goes from `error` to `uploading` without a seal. */
bool phase_may(enum phase from, enum phase to, enum sealed_by by);

struct sha256 {
	uint8_t bytes[32];
};

#define PRINCIPAL_LOCAL "local" /* who needs no token; no token's subject */

/* What a request or a connection may do. */
struct grant {
	char subject[LIMIT_PRINCIPAL_CHARS + 1]; /* the principal */
	unsigned scopes;			 /* of enum scope */
	bool has_resource;
	struct uuid resource;			 /* only this recording */
	uint64_t max_bytes;			 /* of one take; UINT64_MAX: no limit */
	uint32_t rate_per_s, rate_burst;	 /* new recordings and items of its subject; rate_per_s 0: no limit */
	int64_t expires_ms;			 /* wall clock; INT64_MAX: never */
	char token_id[LIMIT_TOKEN_ID_CHARS + 1]; /* "" when it comes from no token */
};

/* The principal `local`: everything. */
const struct grant *grant_local(void);
bool grant_is_local(const struct grant *g);

enum grant_use { GRANT_READ, GRANT_CHANGE };

/* May it read, or complete, rename and delete, this recording? `own`: it belongs to the grant's subject. ERR_OK;
 * ERR_NOT_FOUND: it is not even to know that there is one; ERR_FORBIDDEN_SCOPE. */
enum err grant_judge(const struct grant *g, enum grant_use use, bool own, const struct uuid *recording);

struct track_info {
	char *name;	 /* owned */
	uint16_t number; /* its place in the spool folder; dense from 0 */
	bool sealed;
	bool has_sha256;
	bool has_declared_sha256;
	enum sealed_by sealed_by; /* when sealed: what a late resume opens again is what grace sealed */
	uint64_t bytes;		  /* durable */
	uint64_t total;		  /* declared by `end` or `complete`, or BYTES_UNKNOWN */
	struct sha256 sha256;	  /* of [0, bytes) when sealed; a file over HTTP gets it when it is finished */
	struct sha256 declared_sha256;
	uint64_t *parts; /* owned: offsets at which a part begins, ascending; 0 is not listed */
	uint32_t part_count;
};

/* The SHA-256 of a track, by its number: of one that was sealed without. */
struct track_hash {
	uint16_t track;
	struct sha256 sha256;
};

/* A recording whose bytes come by requests of their own (docs/protocol.md, "Uploads"), or a batch's item without a
 * source. No grace ends it: it waits until it is whole, or until it expires. */
enum upload_kind {
	UPLOAD_NONE,
	UPLOAD_WHOLE,
	UPLOAD_PARTIAL, /* a piece of a later one, and no recording: it is not listed, not announced and never ends */
	UPLOAD_FINAL,	/* made of partial ones, as soon as their bytes are copied */
};

struct upload_info {
	enum upload_kind kind;
	uint64_t length; /* what it is to have, BYTES_UNKNOWN if nobody said it yet; only where there is a kind */
	char *metadata;	 /* owned; as its client sent it, to be given back like that */
	char *parts;	 /* owned; of a final one: the ids of its partial ones, a space between two … */
	char *concat;	 /* owned; … and the list as its client wrote it, to be given back like that */
};

/* Durable work on a recording. Push jobs are parked and not failed: what refuses them is put right by a person. */
enum job_kind {
	JOB_FINALIZE, /* by a worker: the published file, thumbnail, waveform */
	JOB_FETCH,    /* the bytes come from source_url */
	JOB_NOTIFY,   /* its events go to the webhook, in order */
	JOB_PUSH,     /* the published file of a revision goes to a bucket */
	JOB_KIND_COUNT
};

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING, /* somebody holds its lease */
	JOB_DONE,
	JOB_CANCELLED, /* a late resume or a deletion made it pointless */
	JOB_FAILED,    /* for good, until it is claimed again */
	JOB_PARKED,    /* a webhook that was tried for long: shown, and tried again on request */
	JOB_STATE_COUNT
};

const char *job_kind_name(enum job_kind kind); /* "finalize", … */
bool job_kind_parse(const char *name, enum job_kind *out);
const char *job_state_name(enum job_state state);
bool job_state_parse(const char *name, enum job_state *out);

/* Times are wall clock ms, 0 if never. An attempt is one lease taken. */
struct job_info {
	int64_t id; /* 0: there is none */
	struct uuid recording;
	enum job_kind kind;
	enum job_state state;
	uint32_t revision; /* of what it makes or pushes; 0 for fetch and notify */
	uint32_t epoch;	   /* raised by each lease and each cancellation: results of an older one change nothing */
	uint32_t attempt;  /* leases taken in the window … */
	int64_t window_ms; /* … that began then */
	int64_t created_ms, queued_ms, started_ms, lease_until_ms;
	int64_t not_before_ms; /* queued: not tried before this; failed or parked: since then */
	uint16_t progress;     /* per mille of the present attempt */
	int64_t delivered;     /* notify: events up to this sequence were delivered */
	enum err error;	       /* the last failure, ERR_OK if none */
	char *error_message;   /* owned; its sentence */
};

void job_info_release(struct job_info *job);
enum err job_info_copy(struct job_info *out, const struct job_info *from); /* ERR_NO_MEMORY leaves *out empty */

/* The newest published form of a recording. It stands in media/<id>/<revision>/, see store/media.h. */
struct media_info {
	uint32_t revision; /* 0: nothing is published */
	bool as_is;	   /* it is the bytes as received (of the first track): no file of its own */
	bool has_thumbnail, has_waveform;
	uint64_t bytes;
	int64_t duration_ms;		 /* -1: unknown */
	char mime[LIMIT_MIME_CHARS + 1]; /* judged from the bytes */
	char ext[LIMIT_EXT_CHARS + 1];	 /* of the file's name; "" if none */
	int64_t published_ms;		 /* wall clock */
};

/* How the push of its newest published revision stands, as the catalog last showed it. */
struct push_info {
	uint32_t revision;    /* 0: none was asked for, or a later revision made it pointless */
	enum job_state state; /* QUEUED, RUNNING, DONE or PARKED */
	char *key;	      /* owned; the object's name, behind the bucket's prefix */
	enum err error;	      /* the last failure while it is not done, ERR_OK if none … */
	char *error_message;  /* … owned; its sentence */
};

/* Strings are owned, NULL when absent. */
struct recording_info {
	struct uuid id;
	char *principal, *session_id, *ref, *name, *mime, *ext;
	char **declared_tracks; /* start {tracks: […]}, or NULL */
	uint32_t declared_count;
	int64_t ts;				   /* the client's own time stamp in ms, 0 if none */
	int64_t created_ms, updated_ms, sealed_ms; /* wall clock; sealed_ms 0 if never */
	enum phase phase;
	enum sealed_by sealed_by;
	bool interrupted; /* the last seal came from grace */
	uint32_t revision;
	enum err error;	     /* ERR_OK unless phase is error */
	char *error_message; /* the sentence, may be more than err_text */
	char *abort_reason;
	char *warnings;		 /* a JSON array of {code, message}, or NULL: about what was published */
	char *source_url;	 /* its bytes are fetched from there; then it has no grace and expires never */
	bool on_demand;		 /* … when somebody first asks for them */
	bool original_removed;	 /* retention took the bytes as received: published and verified */
	char *show;		 /* NULL: it is none of a show's */
	uint32_t version, first; /* of the show; the version that its host's name belongs to (core/show.h) */
	uint64_t shift;		 /* its byte 0 is this one of what its host sends: more than 0 behind a failure */
	struct upload_info upload;
	char *batch, *batch_key; /* of its principal, the batch that it is an item of, and its key in it; or NULL */
	char *meta;		 /* an item's own words, JSON; or NULL */
	bool has_item;		 /* … and of what its client said of it when it was new, to tell a repetition … */
	struct sha256 item;	 /* … from another item of that key: the SHA-256 */
	struct media_info media;
	struct job_info job; /* its newest finalize or fetch job, as the catalog last showed it; id 0: none */
	struct push_info push;
	struct track_info *tracks; /* owned array; numbers are indices */
	uint32_t track_count;
};

void recording_info_release(struct recording_info *info);
/* A deep copy; ERR_NO_MEMORY leaves *out empty. */
enum err recording_info_copy(struct recording_info *out, const struct recording_info *from);
/* The name of its published file in a bucket, behind the prefix: it names the recording and the revision, and never
 * changes. */
enum { PUSH_KEY = 160 };
void recording_info_push_key(const struct recording_info *info, char out[PUSH_KEY]);
/* In `error` because storage failed under it, or it was moved to quarantine: there is nothing that could go on. */
bool recording_info_broken(const struct recording_info *info);
/* Sum of the tracks' bytes. */
uint64_t recording_info_bytes(const struct recording_info *info);
/* The track of this name, or NULL. */
struct track_info *recording_info_track(const struct recording_info *info, const char *name);
/* A new track at the end, unsealed, empty, total unknown; NULL when memory is out or LIMIT_TRACKS reached. */
struct track_info *recording_info_add_track(struct recording_info *info, const char *name);
/* Adds a part boundary if it is new; false when LIMIT_PARTS is reached or memory is out. */
bool track_info_add_part(struct track_info *track, uint64_t offset);

/* Many recordings that belong together: of one principal, named by its client. */
struct batch_error { /* why items stand in `error` */
	enum err code;
	uint64_t count;
};

struct batch_info {
	int64_t seq;		      /* rises from batch to batch */
	char *principal, *id, *name;  /* owned; name NULL: none */
	uint64_t total;		      /* items that it is to have; BYTES_UNKNOWN: nobody said */
	uint64_t counts[PHASE_COUNT]; /* of its items */
	struct batch_error *errors;   /* owned; most first */
	unsigned error_count;
	int64_t created_ms, updated_ms, completed_ms; /* wall clock; completed_ms 0: it is not */
};

void batch_info_release(struct batch_info *batch);
uint64_t batch_info_items(const struct batch_info *batch);
/* Those that nothing more becomes of by itself; and those of them without a file, which nobody deleted. */
uint64_t batch_info_ended(const struct batch_info *batch);
uint64_t batch_info_failed(const struct batch_info *batch);
/* Is this such a phase? */
bool phase_ended(enum phase phase);

#endif
