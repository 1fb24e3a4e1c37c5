/* What the files of the take's model share; for them only. */
#ifndef HOLDFAST_TESTS_TAKE_MODEL_IMPL_H
#define HOLDFAST_TESTS_TAKE_MODEL_IMPL_H

#include "support/take_model.h"

enum { CONNS = 4, PENDING = 64, TRACE = 60, MODEL_GRACE = 30 * 1000, MODEL_LATE = 3600 * 1000 };

struct model_conn {
	uint64_t id;
	uint16_t track;
	bool attached, started, waits;
	uint64_t heard; /* the highest position it was told */
};

/* Something that storage owes an answer. */
struct model_owed {
	enum effect_type type;
	uint16_t track;
	bool in_journal;	    /* it goes to the catalog next */
	struct recording_info view; /* shallow: phase, revision, seal and error only */
};

struct model_row { /* the catalog's view */
	enum phase phase;
	enum sealed_by sealed_by;
	bool interrupted;
	uint32_t revision;
	int64_t sealed_ms;
	enum err error;
};

struct take_model {
	struct recording r;
	struct effects fx;
	struct take_model_counts *counts;
	uint64_t random, now, next_id;
	int64_t wall;
	bool single; /* only `main` is ever started */
	struct model_conn conns[CONNS];
	struct model_owed owed[PENDING];
	unsigned owed_count;
	struct model_row row;
	/* what was seen after the previous step */
	enum phase phase;
	enum sealed_by by;
	uint64_t durable[LIMIT_TRACKS], accepted[LIMIT_TRACKS], holder[LIMIT_TRACKS];
	uint32_t epochs[LIMIT_TRACKS];
	enum seal_stage stage[LIMIT_TRACKS];
	bool told[LIMIT_TRACKS];   /* the catalog knows that it is sealed */
	bool logged[LIMIT_TRACKS]; /* the journal does */
	const char *broken;
	unsigned traced;
	char trace[TRACE][96];
	char text[TRACE * 100];
};

void model_trace(struct take_model *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
void model_check(struct take_model *m, bool holds, const char *promise);
void model_drain(struct take_model *m);
/* The SHA-256 that storage finds in the first `bytes` of a track. */
struct sha256 model_sha(uint16_t track, uint64_t bytes);

void model_submit(struct take_model *m, const struct effect *fx);
/* Storage answers one thing that it owes, if any. */
void model_answer(struct take_model *m);
/* Storage still owes something: an answer, or bytes that are to become durable. */
bool model_owed(const struct take_model *m);
bool model_at_rest(const struct take_model *m);
void model_restart(struct take_model *m);
void model_delete(struct take_model *m);
/* The worker's next step on a sealed recording. */
void model_work(struct take_model *m);

#endif
