/* 128-bit ids: UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits, so that ids sort by
 * the time they were made. */
#ifndef HOLDFAST_BASE_ID_H
#define HOLDFAST_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct uuid {
	uint8_t bytes[16];
};

enum { UUID_TEXT = 37 }; /* 36 characters and the NUL */

/* A new id from the wall clock in ms and ten random bytes. Pure. */
struct uuid uuid_v7(int64_t wall_ms, const uint8_t random[10]);

/* Canonical lower-case text; `out` holds UUID_TEXT bytes. */
void uuid_format(const struct uuid *id, char *out);

/* Accepts only the canonical form of 36 characters, in either case; false otherwise. */
bool uuid_parse(const char *text, struct uuid *out);

static inline bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* A well-mixed 64-bit hash of the id, for tables. */
uint64_t uuid_hash(const struct uuid *id);

#endif
