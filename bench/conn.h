/* One client connection of the load client: WebSocket with the subprotocol holdfast.v1, as cheap as it can be made.
 *
 * Every message of every connection is the same frame, masked once, so that sending is a write of prepared memory: the
 * CPU belongs to the server under test. What the server answers is checked: acks never go back and never cover what was
 * not sent, `saved` names exactly what was sent. */
#ifndef HOLDFAST_BENCH_CONN_H
#define HOLDFAST_BENCH_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONN_IN_BYTES = 1024, /* the answer to the upgrade, or a control message */
	CONN_OUT_BYTES = 512, /* upgrade request, start, end, pongs */
};

/* What is sent: the same for all. */
struct traffic {
	uint16_t port;
	int send_buffer;		   /* SO_SNDBUF, 0: the system's own */
	size_t message_bytes, frame_bytes; /* payload; payload with its frame header */
	size_t block_bytes;		   /* whole frames, one after the other */
	uint8_t *block;
};

/* False when memory is out. */
bool traffic_init(struct traffic *t, uint16_t port, size_t message_bytes);
void traffic_release(struct traffic *t);

enum conn_state {
	CONN_IDLE,
	CONN_CONNECTING,
	CONN_UPGRADING,
	CONN_STARTING, /* `start` is sent */
	CONN_OPEN,     /* `started` came */
	CONN_ENDING,   /* `end` is sent */
	CONN_SAVED,
	CONN_FAILED, /* `failure` says why */
};

struct mark { /* when the message that ends at `position` was sent */
	uint64_t position, sent_us;
};

struct conn {
	int fd;
	enum conn_state state;
	bool end_due; /* `end` follows when wire_limit is reached */
	unsigned number;
	uint64_t wire;	     /* bytes of media frames written */
	uint64_t wire_limit; /* may be written; always whole frames */
	uint64_t acked;	     /* payload */
	struct mark *marks;  /* ring of mark_size */
	unsigned mark_first, mark_count, mark_size;
	uint32_t in_len, out_len;
	char in[CONN_IN_BYTES], out[CONN_OUT_BYTES];
	char failure[160];
};

/* Begins to connect; `number` makes the session's name and, when ports of one address run out, the source address. */
void conn_open(struct conn *c, const struct traffic *t, unsigned number, unsigned marks);
void conn_close(struct conn *c);

/* Call after the socket became writable or wire_limit grew: writes until it is full or the limit reached. */
void conn_write(struct conn *c, const struct traffic *t);

/* Call when readable. `acked` is called for each ack, after conn->acked was set. */
void conn_read(struct conn *c, const struct traffic *t, void (*acked)(void *arg, struct conn *c), void *arg);

/* Remembers that the payload up to `position` was sent. */
void conn_mark(struct conn *c, uint64_t position, uint64_t now_us);
/* The oldest mark that the acked bytes cover, taken out. */
bool conn_unmark(struct conn *c, struct mark *out);

/* Payload bytes of whole messages written. */
uint64_t conn_sent(const struct conn *c, const struct traffic *t);

/* Sends `end` behind what wire_limit allows. */
void conn_end(struct conn *c, const struct traffic *t);

#endif
