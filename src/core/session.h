/* The session machine: what one connection may do next. Pure: no I/O, clock, lock or global.
 *
 * It guards the order of the protocol (nothing before `start`, one take at a time, silence after an error) and the
 * heartbeat. What concerns the take is the recording machine's; the engine stands between the two. */
#ifndef HOLDFAST_CORE_SESSION_H
#define HOLDFAST_CORE_SESSION_H

#include "core/effect.h"

#include <stdbool.h>
#include <stdint.h>

enum session_state {
	SESSION_IDLE,	  /* no take was started */
	SESSION_STARTING, /* `start` came; `started` has not left */
	SESSION_OPEN,	  /* attached: media is appended */
	SESSION_SAVED,	  /* its track is sealed; a repeated `end` is answered again */
	SESSION_DETACHED, /* after an error: media is dropped until a new `start` */
	SESSION_CLOSING,  /* nothing is heard any more */
};

struct session {
	uint64_t conn;
	enum session_state state;
	uint32_t heartbeat_ms;
	uint64_t next_ping_ms;
	bool pinged;	    /* a ping was sent since the connection opened */
	bool heard;	    /* something came since the previous ping */
	bool paused;	    /* the server isn't reading: the interval stands still */
	uint64_t paused_ms; /* since when */
};

/* What the engine is to do with a message. */
enum session_verdict {
	SESSION_PASS,	/* go on with it */
	SESSION_REPEAT, /* a `start` while one is at work: the same take repeats, another is session_refuse'd */
	SESSION_DROP,	/* ignore it; any answer stands in the effects */
};

void session_init(struct session *s, uint64_t conn, uint32_t heartbeat_ms, uint64_t now_ms);

/* Something was received: counts against silence. */
void session_heard(struct session *s);

/* A `start`. PASS: the state is STARTING. REPEAT: the caller compares takes and calls session_refuse for another. */
enum session_verdict session_start(struct session *s);
/* `started` leaves now. */
void session_started(struct session *s);
/* Media of `len` bytes. Empty messages are legal everywhere (Safari sends one at stop). */
enum session_verdict session_binary(struct session *s, size_t len, struct effects *fx);
/* `end`, and `abort`. A detached client's pipelined `end` is dropped without a word, as its media is. */
enum session_verdict session_end(struct session *s, struct effects *fx);
enum session_verdict session_abort(struct session *s, struct effects *fx);
/* `saved` or `aborted` leaves now: the connection is free for another take. */
void session_saved(struct session *s);
void session_released(struct session *s);
/* An error leaves now: detached; a closing session stays so. */
void session_detached(struct session *s);
/* An error about the connection as it stands; adds EFFECT_ERROR and detaches. */
void session_refuse(struct session *s, enum err err, struct effects *fx);

/* Reading stopped or went on. */
void session_pause(struct session *s, bool paused, uint64_t now_ms);
/* Pings when due; a peer that was silent since the previous ping gets heartbeat_lost and is closed. */
void session_tick(struct session *s, uint64_t now_ms, struct effects *fx);
uint64_t session_next_wake(const struct session *s);

#endif
