/* What the machines of the core decide: plain values that the engine carries out.
 *
 * A machine's functions append effects; the engine drains them in order. Nothing here does anything. */
#ifndef HOLDFAST_CORE_EFFECT_H
#define HOLDFAST_CORE_EFFECT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum effect_type {
	/* to a connection */
	EFFECT_STARTED, /* conn may send from `bytes`; `flag`: resumed */
	EFFECT_ACK,	/* conn: `bytes` of the track are durable */
	EFFECT_SAVED,	/* conn: the track is sealed */
	EFFECT_ABORTED, /* conn: the recording is aborted */
	EFFECT_ERROR,	/* conn: error `err`, `bytes` durable where known; the connection is detached */
	EFFECT_PING,	/* conn */
	EFFECT_CLOSE,	/* conn */
	/* to storage; each is answered by the function named */
	EFFECT_LOG_OPEN, /* journal the recording and its tracks as they are; gates what is sent after it */
	EFFECT_LOG_PART, /* a part of `track` begins at `bytes` */
	EFFECT_SPOOL,	 /* write all of `track` to its spool, and hash it if recording_hashes: recording_hashed */
	EFFECT_LOG_SEAL_TRACK, /* journal the sealed track: recording_logged */
	EFFECT_LOG_SEAL_WHOLE, /* journal the sealed recording: recording_logged */
	EFFECT_PUT_TRACKS,     /* tell the catalog of a sealed track: recording_tracks_put */
	EFFECT_CLAIM,	       /* the completing transaction: recording_claimed */
	EFFECT_REOPEN,	       /* the transaction of a late resume, then journal it: recording_reopened */
	EFFECT_LOG_ABORT,      /* journal, then the transaction: recording_aborted */
	EFFECT_FAIL,	       /* the transaction that moves to `error` */
	EFFECT_IDLE,	       /* no change of state is under way any more: what waited may try again */
};

enum { EFFECT_NO_TRACK = 0xffff };

struct effect {
	enum effect_type type;
	enum err err;
	uint64_t conn;
	uint64_t bytes;
	uint16_t track;
	bool flag;
};

struct effects {
	struct effect *items; /* owned */
	size_t count, capacity, next;
};

void effects_init(struct effects *fx);
void effects_release(struct effects *fx);
/* Appends; memory for a handful is always there, running out of it is fatal (abort). */
void effects_add(struct effects *fx, struct effect effect);
/* The next one in order, or NULL; then the queue is empty again. The pointer holds until the next add. */
const struct effect *effects_drain(struct effects *fx);

#endif
