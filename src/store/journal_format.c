/* Encoding and decoding, see journal_format.h. */
#include "store/journal_format.h"
#include "base/crc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t magic[8] = { 'H', 'F', 'J', 'R', 'N', 'L', '\r', '\n' };

enum { FORMAT_VERSION = 1, SEGMENT_HEAD = 32, CHECKPOINT_HEAD = JOURNAL_SALT + 8, CHECKPOINT_TRACK = 26 };

static void put16(uint8_t *out, uint16_t value)
{
	out[0] = (uint8_t)value;
	out[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *out, uint32_t value)
{
	put16(out, (uint16_t)value);
	put16(out + 2, (uint16_t)(value >> 16));
}

static void put64(uint8_t *out, uint64_t value)
{
	put32(out, (uint32_t)value);
	put32(out + 4, (uint32_t)(value >> 32));
}

static uint16_t get16(const uint8_t *in)
{
	return (uint16_t)(in[0] | in[1] << 8);
}

static uint32_t get32(const uint8_t *in)
{
	return get16(in) | (uint32_t)get16(in + 2) << 16;
}

static uint64_t get64(const uint8_t *in)
{
	return get32(in) | (uint64_t)get32(in + 4) << 32;
}

/* magic 8, version 4, segment_bytes 4, nonce 8, number 4, CRC of these 4 */
void segment_head_encode(const struct segment_head *head, uint8_t out[JOURNAL_BLOCK])
{
	memset(out, 0, JOURNAL_BLOCK);
	memcpy(out, magic, sizeof magic);
	put32(out + 8, FORMAT_VERSION);
	put32(out + 12, head->segment_bytes);
	put64(out + 16, head->nonce);
	put32(out + 24, head->number);
	put32(out + 28, crc32c(0, out, SEGMENT_HEAD - 4));
}

bool segment_head_decode(const uint8_t block[JOURNAL_BLOCK], struct segment_head *out)
{
	if (memcmp(block, magic, sizeof magic) != 0 || get32(block + 8) != FORMAT_VERSION)
		return false;
	if (get32(block + 28) != crc32c(0, block, SEGMENT_HEAD - 4))
		return false;
	out->segment_bytes = get32(block + 12);
	out->nonce = get64(block + 16);
	out->number = get32(block + 24);
	return out->segment_bytes % JOURNAL_BLOCK == 0 && out->segment_bytes >= 64 * KIB;
}

/* CRC 4, length 4, type 1, flags 1, track 2, previous CRC 4, sequence 8, synced 8, offset 8, recording 16, nonce 8 */
void record_head_encode(struct record_head *head, const struct iovec *payload, int count, uint8_t out[JOURNAL_HEAD])
{
	put32(out + 4, head->payload_len);
	out[8] = head->type;
	out[9] = 0;
	put16(out + 10, head->track);
	put32(out + 12, head->prev_crc);
	put64(out + 16, head->sequence);
	put64(out + 24, head->synced);
	put64(out + 32, head->offset);
	memcpy(out + 40, head->recording.bytes, 16);
	put64(out + 56, head->nonce);
	uint32_t crc = crc32c(0, out + 4, JOURNAL_HEAD - 4);
	for (int i = 0; i < count; i++)
		crc = crc32c(crc, payload[i].iov_base, payload[i].iov_len);
	head->crc = crc;
	put32(out, crc);
}

bool record_head_decode(const uint8_t data[JOURNAL_HEAD], uint64_t nonce, struct record_head *out)
{
	out->nonce = get64(data + 56);
	if (out->nonce != nonce)
		return false;
	out->crc = get32(data);
	out->payload_len = get32(data + 4);
	out->type = data[8];
	out->track = get16(data + 10);
	out->prev_crc = get32(data + 12);
	out->sequence = get64(data + 16);
	out->synced = get64(data + 24);
	out->offset = get64(data + 32);
	memcpy(out->recording.bytes, data + 40, 16);
	return out->type >= RECORD_APPEND && out->type <= RECORD_CHECKPOINT && data[9] == 0 &&
	       out->synced < out->sequence;
}

bool record_decode(const uint8_t *data, size_t room, uint64_t nonce, struct record_head *out)
{
	if (room < JOURNAL_HEAD || !record_head_decode(data, nonce, out))
		return false;
	if (out->payload_len > room - JOURNAL_HEAD)
		return false;
	return crc32c(0, data + 4, JOURNAL_HEAD - 4 + (size_t)out->payload_len) == out->crc;
}

size_t checkpoint_bytes(size_t count)
{
	return CHECKPOINT_HEAD + count * CHECKPOINT_TRACK;
}

/* salt 16, count 4, zero 4; then for each track: recording 16, track 2, synced bytes 8 */
void checkpoint_encode(const struct checkpoint_track *tracks, size_t count, const uint8_t salt[JOURNAL_SALT],
		       uint8_t *out)
{
	assert(count <= UINT32_MAX);
	memcpy(out, salt, JOURNAL_SALT);
	put32(out + JOURNAL_SALT, (uint32_t)count);
	put32(out + JOURNAL_SALT + 4, 0);
	out += CHECKPOINT_HEAD;
	for (size_t i = 0; i < count; i++, out += CHECKPOINT_TRACK) {
		memcpy(out, tracks[i].recording.bytes, 16);
		put16(out + 16, tracks[i].track);
		put64(out + 18, tracks[i].synced_bytes);
	}
}

enum err journal_checkpoint_parse(const struct record *record, struct checkpoint_track **tracks, size_t *count)
{
	*tracks = NULL;
	*count = 0;
	if (record->type != RECORD_CHECKPOINT || record->payload_count != 1 || record->payload_len < CHECKPOINT_HEAD)
		return ERR_CORRUPT;
	const uint8_t *in = record->payload[0].iov_base;
	size_t listed = get32(in + JOURNAL_SALT);
	if (record->payload_len != checkpoint_bytes(listed))
		return ERR_CORRUPT;
	*tracks = calloc(listed ? listed : 1, sizeof **tracks);
	if (!*tracks)
		return ERR_NO_MEMORY;
	in += CHECKPOINT_HEAD;
	for (size_t i = 0; i < listed; i++, in += CHECKPOINT_TRACK) {
		struct checkpoint_track *t = *tracks + i;
		memcpy(t->recording.bytes, in, 16);
		t->track = get16(in + 16);
		t->synced_bytes = get64(in + 18);
	}
	*count = listed;
	return ERR_OK;
}
