/* WebSocket frames as a server reads and writes them (RFC 6455, section 5), without extensions. Pure.
 *
 * Strict: frames that are not masked, reserved bits and opcodes, lengths that are not the shortest form, fragmented or
 * long control frames and fragments out of order are protocol errors. Payload is unmasked in place and handed on as it
 * arrives; only a control frame's is collected. Nothing is allocated. */
#ifndef HOLDFAST_PROTO_FRAME_H
#define HOLDFAST_PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_opcode {
	FRAME_CONTINUATION = 0,
	FRAME_TEXT = 1,
	FRAME_BINARY = 2,
	FRAME_CLOSE = 8,
	FRAME_PING = 9,
	FRAME_PONG = 10,
};

enum {
	FRAME_CONTROL_MAX = 125, /* payload of a control frame */
	FRAME_HEAD_MAX = 10,	 /* head of a frame that the server writes */
};

/* All zero to begin with. */
struct frame_reader {
	uint64_t remaining;	   /* payload bytes of this frame still to come */
	uint8_t head[14], mask[4]; /* mask: turned so that mask[0] is for the next byte */
	uint8_t head_len, head_need;
	uint8_t opcode;	 /* of this frame */
	uint8_t message; /* FRAME_TEXT or FRAME_BINARY while a message is open, else 0 */
	uint8_t control_len;
	bool final, in_payload, begun; /* begun: a piece of the open message was handed on */
	uint8_t control[FRAME_CONTROL_MAX];
};

/* What frame_read found. */
struct frame_piece {
	enum frame_opcode opcode; /* FRAME_TEXT or FRAME_BINARY: a piece of a message; else a whole control frame */
	bool first, last;	  /* of its message */
	const uint8_t *data;	  /* in the input, or, of a control frame, in the reader until the next call */
	size_t len;
	uint8_t mask[4]; /* of a piece of a binary message, which is still masked: see mask_copy. Zeros for all else */
};

enum frame_result {
	FRAME_MORE,  /* the input is used up */
	FRAME_PIECE, /* *piece is set; call again with what is left, even if that is nothing */
	FRAME_WRONG, /* the peer breaks the protocol: close with 1002 and read no more */
};

/* Reads from *data, *len and moves them on. An empty message or fragment gives an empty piece. */
enum frame_result frame_read(struct frame_reader *r, uint8_t **data, size_t *len, struct frame_piece *piece);

/* Writes the head of an unfragmented frame of `len` payload bytes; returns its length. */
size_t frame_head(uint8_t out[FRAME_HEAD_MAX], enum frame_opcode opcode, uint64_t len);

/* The status code of a close frame's payload: 1005 when there is none, 1002 when it is not a legal one. */
unsigned frame_close_code(const uint8_t *data, size_t len);

#endif
