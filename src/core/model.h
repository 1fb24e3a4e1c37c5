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
 */
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
	struct sha256 sha256;	  /* of [0, bytes) when sealed */
	struct sha256 declared_sha256;
	uint64_t *parts; /* owned: offsets at which a part begins, ascending; 0 is not listed */
	uint32_t part_count;
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
	uint32_t attempt;
	enum err error;	     /* ERR_OK unless phase is error */
	char *error_message; /* the sentence, may be more than err_text */
	char *abort_reason;
	struct track_info *tracks; /* owned array; numbers are indices */
	uint32_t track_count;
};

void recording_info_release(struct recording_info *info);
/* A deep copy; ERR_NO_MEMORY leaves *out empty. */
enum err recording_info_copy(struct recording_info *out, const struct recording_info *from);
/* Sum of the tracks' bytes. */
uint64_t recording_info_bytes(const struct recording_info *info);
/* The track of this name, or NULL. */
struct track_info *recording_info_track(const struct recording_info *info, const char *name);
/* A new track at the end, unsealed, empty, total unknown; NULL when memory is out or LIMIT_TRACKS reached. */
struct track_info *recording_info_add_track(struct recording_info *info, const char *name);
/* Adds a part boundary if it is new; false when LIMIT_PARTS is reached or memory is out. */
bool track_info_add_part(struct track_info *track, uint64_t offset);

#endif
