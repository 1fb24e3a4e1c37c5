/* The journal's format on the disk: segment headers, record headers, the payload of a checkpoint. Pure, any thread.
 * All numbers are little-endian. docs/journal.md says what they mean. */
#ifndef HOLDFAST_STORE_JOURNAL_FORMAT_H
#define HOLDFAST_STORE_JOURNAL_FORMAT_H

#include "base/limits.h"
#include "store/journal.h"

enum {
	JOURNAL_BLOCK = LIMIT_BLOCK_BYTES, /* the segment's header fills one; every batch begins at one */
	JOURNAL_DATA = JOURNAL_BLOCK,	   /* where a segment's records begin */
	JOURNAL_HEAD = 64,		   /* the header of a record */
	JOURNAL_SALT = 16,		   /* random bytes in a checkpoint */
	JOURNAL_RUN_SHIFT = 40,		   /* the bits of a sequence above it number the start of the server */
};

struct segment_head {
	uint32_t number, segment_bytes;
	uint64_t nonce; /* the same in every segment of a data directory; never leaves it */
};

void segment_head_encode(const struct segment_head *head, uint8_t out[JOURNAL_BLOCK]);
bool segment_head_decode(const uint8_t block[JOURNAL_BLOCK], struct segment_head *out);

struct record_head {
	uint32_t crc; /* of everything behind it in the header and of the payload */
	uint32_t payload_len;
	uint8_t type;
	uint16_t track;
	uint32_t prev_crc;
	uint64_t sequence, synced, offset;
	struct uuid recording;
	uint64_t nonce;
};

/* The header's bytes, with the CRC over them and the payload's pieces, which it stores in head->crc too. */
void record_head_encode(struct record_head *head, const struct iovec *payload, int count, uint8_t out[JOURNAL_HEAD]);

/* The whole record that begins at `data`, of which `room` bytes are there: false unless nonce, fields, length and CRC
 * are right. */
bool record_decode(const uint8_t *data, size_t room, uint64_t nonce, struct record_head *out);

/* Only the header, without the CRC. */
bool record_head_decode(const uint8_t data[JOURNAL_HEAD], uint64_t nonce, struct record_head *out);

/* What a record takes up: header and payload, to the next multiple of 8. */
static inline uint64_t record_bytes(uint32_t payload_len)
{
	return ((uint64_t)JOURNAL_HEAD + payload_len + 7) & ~7ULL;
}

static inline uint64_t block_up(uint64_t value)
{
	return (value + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK;
}

/* Which start of the server wrote this sequence, and the sequence that a start begins with (0 is none: never given). */
static inline uint64_t sequence_run(uint64_t sequence)
{
	return sequence >> JOURNAL_RUN_SHIFT;
}

static inline uint64_t run_first_sequence(uint64_t run)
{
	return run == 0 ? 1 : run << JOURNAL_RUN_SHIFT;
}

size_t checkpoint_bytes(size_t count);
void checkpoint_encode(const struct checkpoint_track *tracks, size_t count, const uint8_t salt[JOURNAL_SALT],
		       uint8_t *out);

#endif
