/* A token bucket, see bucket.h. */
#include "core/bucket.h"

#include <assert.h>

enum { PARTS = 1000 };

void token_bucket_init(struct token_bucket *b, struct token_rate rate, uint64_t now_ms)
{
	*b = (struct token_bucket){ (uint64_t)rate.burst * PARTS, now_ms };
}

uint64_t token_bucket_tokens(struct token_bucket *b, struct token_rate rate, uint64_t now_ms)
{
	assert(rate.per_s > 0 && rate.burst > 0);
	uint64_t full = (uint64_t)rate.burst * PARTS;
	uint64_t passed = now_ms > b->at_ms ? now_ms - b->at_ms : 0;
	/* per_s a second is per_s thousandths a millisecond */
	uint64_t missing = full > b->level ? full - b->level : 0;
	b->level = passed > missing / rate.per_s ? full : b->level + passed * rate.per_s;
	if (b->level > full)
		b->level = full;
	b->at_ms = now_ms > b->at_ms ? now_ms : b->at_ms;
	return b->level / PARTS;
}

void token_bucket_take(struct token_bucket *b, uint64_t count)
{
	uint64_t parts = count < UINT64_MAX / PARTS ? count * PARTS : UINT64_MAX;
	b->level -= parts < b->level ? parts : b->level;
}

uint64_t token_bucket_wait_ms(const struct token_bucket *b, struct token_rate rate, uint64_t count)
{
	uint64_t wanted = (count < rate.burst ? count : rate.burst) * (uint64_t)PARTS;
	if (wanted <= b->level)
		return 0;
	return (wanted - b->level + rate.per_s - 1) / rate.per_s;
}
