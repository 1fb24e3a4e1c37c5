/* Which answer each question for a recording's bytes gets, as one table (docs/protocol.md, "What a file answers").
 * Pure.
 *
 * The four classes: it is there (200; the network makes 206, 304 and 416 of it), not yet (202 with Retry-After), never
 * (404, 410), broken (500 with the reason). */
#ifndef HOLDFAST_CORE_SERVING_H
#define HOLDFAST_CORE_SERVING_H

#include "core/model.h"

enum resource { RESOURCE_FILE, RESOURCE_ORIGINAL, RESOURCE_THUMBNAIL, RESOURCE_WAVEFORM, RESOURCE_COUNT };

const char *resource_name(enum resource resource); /* "file", … */
bool resource_parse(const char *name, enum resource *out);

/* What the row alone doesn't tell. */
struct serving_facts {
	int64_t now_ms;	  /* wall clock */
	bool unserved;	  /* its job has waited too long, and nobody works on the queue */
	bool has_track;	  /* the track that is asked for exists */
	bool quarantined; /* its folder was moved */
};

struct serving {
	int status;		/* 200, 202, 404, 410, 500, 503 */
	enum err err;		/* ERR_OK with 200 and 202 */
	unsigned retry_after_s; /* 0: no Retry-After */
	bool fetch;		/* with 202: nobody fetches it yet, so this question begins to */
	bool was_whole;		/* with DELETED: it did not expire */
};

struct serving serving_judge(enum resource resource, const struct recording_info *info,
			     const struct serving_facts *facts);

#endif
