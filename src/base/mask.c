/* Masking, see mask.h. */
#include "base/mask.h"

#include <string.h>

void mask_skip(uint8_t mask[4], size_t len)
{
	uint8_t twice[8];
	memcpy(twice, mask, 4);
	memcpy(twice + 4, mask, 4);
	memcpy(mask, twice + (len & 3), 4);
}

/* Sixteen bytes at a time, of which the compiler makes vectors. */
void mask_copy(uint8_t *to, const uint8_t *from, size_t len, uint8_t mask[4])
{
	static const uint8_t none[4];
	uint64_t key, words[2];
	size_t i = 0;
	if (memcmp(mask, none, sizeof none) == 0) {
		if (to != from)
			memcpy(to, from, len);
		return;
	}
	memcpy(&key, mask, 4);
	memcpy((uint8_t *)&key + 4, mask, 4);
	for (; i + sizeof words <= len; i += sizeof words) {
		memcpy(words, from + i, sizeof words);
		words[0] ^= key;
		words[1] ^= key;
		memcpy(to + i, words, sizeof words);
	}
	for (; i < len; i++)
		to[i] = from[i] ^ mask[i & 3];
	mask_skip(mask, len);
}
