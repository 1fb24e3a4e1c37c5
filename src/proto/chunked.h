/* The body of a request in chunks (RFC 9112, section 7.1), decoded in place and in any splitting. Pure.
 *
 * Strict: lines end in CRLF, a size is hexadecimal digits and nothing else, the CRLF behind a chunk is where its size
 * says. Extensions and trailers are skipped, within limits. The result does not depend on how the bytes were split. */
#ifndef HOLDFAST_PROTO_CHUNKED_H
#define HOLDFAST_PROTO_CHUNKED_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is the state before the first byte. */
struct chunked {
	int state;	/* private */
	unsigned count; /* digits or bytes of the present line */
	uint64_t left;	/* of the present chunk */
	enum err err;
	bool done; /* the last chunk and its trailers are read; what follows is no body */
};

struct chunked_piece {
	const uint8_t *media; /* inside the bytes that were fed, not owned */
	size_t len;
};

/* Reads on until one run of media was found or all is read; *used bytes are done with, and *piece is the run, maybe
 * empty. To be called again with the rest until *used is all or `done`. Memory and time are bounded by `len`.
 * ERR_BAD_REQUEST: the body can't be followed any more, now or in any later call. */
enum err chunked_feed(struct chunked *c, const void *data, size_t len, size_t *used, struct chunked_piece *piece);

#endif
