/* What the scanners of the containers share: see container.h and container.c.
 *
 * A scanner is a step function: with scan->skip at 0 it looks at the bytes at scan->at and passes over some, or changes
 * its state; true: call again; false: it needs more bytes. It asks for so many bytes at a time as what it has seen
 * says, never for "what there is", and so it can't see how the stream was cut. */
#ifndef HOLDFAST_PROTO_CONTAINER_PRIVATE_H
#define HOLDFAST_PROTO_CONTAINER_PRIVATE_H

#include "proto/container.h"

/* The next n bytes (1 to CONTAINER_CARRY_BYTES) in one piece; NULL: they are not all there. Good until the next call.
 */
const uint8_t *scan_peek(struct container_scan *s, size_t n);

/* Passes over n bytes. The skip is carried out before the next step. */
void scan_pass(struct container_scan *s, uint64_t n);

/* Passes over bytes until `found` says of the next n that they are it; false: more bytes are needed for that. It is
 * asked at every place, and most are noise: the first byte should tell. */
bool scan_search(struct container_scan *s, size_t n, bool (*found)(const struct container_scan *s, const uint8_t *p));

/* From scan->at on all is header, until scan_header_done tells it. Begun again: from here. */
void scan_header_begin(struct container_scan *s);
void scan_header_done(struct container_scan *s, const char *mime);

/* Of the part whose header is told; too near to the one before it is not told. */
void scan_join(struct container_scan *s, uint64_t at);

/* What is here makes no sense: a header that is not complete is dropped, the next boundary is looked for. True. */
bool scan_lost(struct container_scan *s);

/* The part is unknown from now on. */
void scan_give_up(struct container_scan *s);

/* How the streams of a kind begin: is it this one, by its first 10 bytes? */
bool webm_begins(const uint8_t *p);
bool mp4_begins(const uint8_t *p);
bool ogg_begins(const uint8_t *p);
bool webm_step(struct container_scan *s);
bool mp4_step(struct container_scan *s);
bool ogg_step(struct container_scan *s);

/* Of MP3 and ADTS, and while sniffing: what is no frame is tried as one. */
bool frames_step(struct container_scan *s);
/* How long the ID3v2 tag is that begins with these 10 bytes; 0: none does. */
uint64_t frames_tag(const uint8_t *p);

static inline uint32_t scan_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
