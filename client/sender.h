/* The client's side of the protocol as a pure machine: no socket, file, clock or thread. Events go in by the
 * sender_… functions with the time; what is to be done comes out of sender_link (the link) and sender_out (the next
 * message); sender_next_wake tells when to ask again.
 *
 * Guarantees: binary goes out only between `started` and the next detaching, from its `bytes`, in order; no more than
 * max_unacked bytes are in flight; `acked` is what the server called durable and never more than was sent; the machine
 * gives up only where the protocol says that trying again can't help, and then keeps the last real error. */
#ifndef HOLDFAST_CLIENT_SENDER_H
#define HOLDFAST_CLIENT_SENDER_H

#include "backoff.h"
#include "wire.h"

enum {
	SENDER_MESSAGE_BYTES = 64 * 1024,	/* one binary message: an ack and a lost link cost little */
	SENDER_UNACKED_BYTES = 4 * 1024 * 1024, /* in flight, by default */
	SENDER_CONNECT_MS = 10 * 1000,		/* name, connection and upgrade together */
	SENDER_START_MS = 30 * 1000,		/* the answer to `start`: a server that recovers may be slow */
	SENDER_SETTLED_MS = 10 * 1000,		/* attached that long: the link is good, the next wait is short */
	SENDER_HEARTBEAT_MS = 20 * 1000,	/* until `started` tells */
};

enum sender_state {
	SENDER_DOWN, /* no link; the next attempt at retry_at */
	SENDER_CONNECTING,
	SENDER_STARTING, /* linked; `start` is due or on its way */
	SENDER_ATTACHED,
	SENDER_WAITING, /* linked, detached by an error that passes; `start` again at retry_at */
	SENDER_SAVED,	/* the end */
	SENDER_ABORTED, /* the end: as was asked */
	SENDER_FAILED,	/* the end: see code and text */
};

enum sender_link { SENDER_LINK_KEEP, SENDER_LINK_CONNECT, SENDER_LINK_CLOSE };

struct sender_out {
	enum { SENDER_OUT_NONE, SENDER_OUT_START, SENDER_OUT_BYTES, SENDER_OUT_END, SENDER_OUT_ABORT } type;
	uint64_t offset; /* of SENDER_OUT_BYTES */
	size_t len;
};

struct sender {
	enum sender_state state;
	struct backoff backoff;
	uint64_t max_unacked;
	uint64_t retry_at, deadline; /* ms; of DOWN and WAITING; of CONNECTING and STARTING */
	uint64_t received_at, attached_at;
	uint32_t heartbeat_ms;
	uint64_t low; /* the lowest byte still held */
	uint64_t written, sent, acked;
	bool ended, hash_ready; /* `written` is the total; the digest is known, or known to be lost */
	bool may_adopt;		/* the server may hold more than we do: our tail was lost with the power */
	bool adopted;		/* and so it was: written grew */
	bool begun;		/* the server may know the take: a `start` went out once */
	bool started_once, start_sent, end_sent, abort_asked, abort_sent, close_due;
	unsigned reconnects;
	char sha256[65];			       /* ours, or "" */
	char id[64], url[WIRE_TEXT], saved_sha256[65]; /* the server's */
	char code[64], text[WIRE_TEXT];		       /* the last real error */
};

struct sender_setup {
	uint64_t low, written; /* what is held: [low, written) */
	uint64_t max_unacked;  /* 0: SENDER_UNACKED_BYTES */
	bool ended, may_adopt;
	bool begun;    /* an earlier run may have started it on the server */
	uint64_t seed; /* of the jitter */
};

/* Begins in SENDER_DOWN with the first attempt due at once. */
void sender_init(struct sender *s, const struct sender_setup *setup, uint64_t now_ms);

/* So many bytes are there; never fewer than before. */
void sender_written(struct sender *s, uint64_t bytes);
/* No more bytes come. `end` waits for sender_hashed. */
void sender_ended(struct sender *s);
/* The digest of all of it in hex; "": lost, `end` goes without. */
void sender_hashed(struct sender *s, const char *sha256);
/* Bytes below are no longer held; only acked ones may be. */
void sender_released(struct sender *s, uint64_t low);
/* Gives the take up on the server too; one that the server can't know is ABORTED at once. */
void sender_abort(struct sender *s);
/* Something on this side makes going on impossible. */
void sender_fail(struct sender *s, const char *code, const char *text);

void sender_link_up(struct sender *s, uint64_t now_ms);
/* There is a link already, from the beginning: another take's. */
void sender_adopt_link(struct sender *s, uint64_t now_ms);
/* The link is gone or did not come up. `http_status` of a refused upgrade, or 0. */
void sender_link_lost(struct sender *s, const char *why, int http_status, uint64_t now_ms);
/* Anything at all came from the server. */
void sender_received(struct sender *s, uint64_t now_ms);
void sender_message(struct sender *s, const struct wire_message *m, uint64_t now_ms);

/* What to do with the link; looks at the clocks first. After CONNECT the state is CONNECTING, after CLOSE the link is
 * taken for gone: no sender_link_lost may follow. */
enum sender_link sender_link(struct sender *s, uint64_t now_ms);
/* What to send next, which counts as sent; call it when the link takes a message. */
struct sender_out sender_out(struct sender *s);
/* Would sender_out give something? */
bool sender_wants_out(const struct sender *s);

/* When sender_link must be asked again at the latest, ms; UINT64_MAX: never. */
uint64_t sender_next_wake(const struct sender *s);

static inline bool sender_done(const struct sender *s)
{
	return s->state >= SENDER_SAVED;
}

#endif
