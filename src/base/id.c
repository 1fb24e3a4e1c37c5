/* UUIDv7, see id.h. */
#include "base/id.h"

#include "base/hex.h"

#include <assert.h>

struct uuid uuid_v7(int64_t wall_ms, const uint8_t random[10])
{
	assert(wall_ms >= 0);
	struct uuid id;
	for (int i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)((uint64_t)wall_ms >> (40 - 8 * i));
	memcpy(id.bytes + 6, random, 10);
	id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x70);
	id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
	return id;
}

void uuid_format(const struct uuid *id, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[id->bytes[i] >> 4];
		*out++ = digits[id->bytes[i] & 15];
	}
	*out = '\0';
}

bool uuid_parse(const char *text, struct uuid *out)
{
	if (strlen(text) != 36)
		return false;
	struct uuid id;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10) {
			if (*text++ != '-')
				return false;
		}
		int high = hex_value(text[0]), low = hex_value(text[1]);
		if (high < 0 || low < 0)
			return false;
		id.bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	*out = id;
	return true;
}

uint64_t uuid_hash(const struct uuid *id)
{
	uint64_t a, b;
	memcpy(&a, id->bytes, 8);
	memcpy(&b, id->bytes + 8, 8);
	a ^= b;
	/* the finalizer of MurmurHash3, which mixes every input bit into every output bit */
	a ^= a >> 33;
	a *= 0xff51afd7ed558ccdULL;
	a ^= a >> 33;
	a *= 0xc4ceb9fe1a85ec53ULL;
	return a ^ a >> 33;
}
