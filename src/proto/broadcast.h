/* What the listeners of a show hear: the newest bytes of its host, each copied once, in chunks that all readers share.
 * Pure; loop thread.
 *
 * Who feeds never waits and knows nothing of readers. A reader holds the chunk that it is at, a chunk holds the next
 * one: what the slowest reader has left behind frees itself, and what nobody reads is kept no longer than a latecomer
 * may want it. A reader begins with the container's header and a place where a latecomer may join (container.h): of
 * those at most LIMIT_LISTEN_BURST_BYTES back the oldest, so that players have something to begin with, else the newest
 * one in the ring. How far a reader may fall behind is its owner's to judge (broadcast_behind).
 */
#ifndef HOLDFAST_PROTO_BROADCAST_H
#define HOLDFAST_PROTO_BROADCAST_H

#include "base/err.h"
#include "proto/icy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct broadcast;
struct broadcast_chunk;

/* Held once by the caller. NULL: no memory. */
struct broadcast *broadcast_new(void);
struct broadcast *broadcast_hold(struct broadcast *b);
void broadcast_release(struct broadcast *b); /* accepts NULL */

/* What is fed from here on has a header of its own: another recorder, source or host. `mime`: as its sender calls it,
 * may be NULL; it counts where the bytes are of no known container. Readers get the new header in the stream itself. */
void broadcast_begin(struct broadcast *b, const char *mime);
/* Before the first feed, behind begin: what is fed goes on amid a stream that begins with `data`. Only its header is
 * taken from there. */
void broadcast_prime(struct broadcast *b, const void *data, size_t len);
/* Copies the bytes, unmasked (base/mask.h; zeros: they are not masked). Out of memory ends the process, as elsewhere.
 */
void broadcast_feed(struct broadcast *b, const void *data, size_t len, const uint8_t mask[4]);
/* Nobody is on air any more: readers come to the end of what there is, and then to an end. */
void broadcast_end(struct broadcast *b);
bool broadcast_ended(const struct broadcast *b);
/* Bytes that were ever fed. */
uint64_t broadcast_fed(const struct broadcast *b);
/* Judged from the bytes, else as begin had it, else "application/octet-stream". Good until the next begin or feed. */
const char *broadcast_mime(const struct broadcast *b);

/* Where the header that was told last begins, counted as broadcast_fed; 0 without one. */
uint64_t broadcast_header_at(const struct broadcast *b);

/* The title of what plays ("" none; cut as icy_title_set does), and the text of it ("" none). */
void broadcast_title_set(struct broadcast *b, const char *title);
const struct icy_title *broadcast_title(const struct broadcast *b);
const char *broadcast_title_text(const struct broadcast *b);

/* A place in the broadcast. Its fields are broadcast.c's own but for these. */
struct broadcast_reader {
	struct broadcast *broadcast;		/* held; NULL: it does not read */
	uint64_t joined_at;			/* so much had been fed before the byte behind the header … */
	size_t header_len;			/* … which has so many bytes */
	struct broadcast_chunk *header, *chunk; /* held */
	size_t offset;
	uint64_t position; /* of the next byte behind the header, counted as joined_at */
};

/* Joins, see above. False: nothing can be played yet (no header came, or no boundary); to be asked again when more was
 * fed. A container that is not known is joined where something that was fed began. */
bool broadcast_join(struct broadcast *b, struct broadcast_reader *r);
/* The next bytes, at most `max` pieces; how many there are of them. 0: all was read (more may come). */
int broadcast_peek(const struct broadcast_reader *r, struct iovec *iov, int max);
/* So many of them were read. */
void broadcast_take(struct broadcast_reader *r, size_t len);
/* Bytes that it has not read. */
uint64_t broadcast_behind(const struct broadcast_reader *r);
/* So many bytes on there is a boundary, 0: it is at one. UINT64_MAX: none is known, or it still reads the header. */
uint64_t broadcast_to_boundary(const struct broadcast_reader *r);
/* At a boundary: leaves out what it has not read up to the newest one of the same header, or, where a newer header
 * follows, up to that; nothing is torn. False: it is at no boundary, or there is none ahead of it. */
bool broadcast_skip(struct broadcast_reader *r);
void broadcast_leave(struct broadcast_reader *r); /* also of one that does not read */
unsigned broadcast_readers(const struct broadcast *b);

#endif
