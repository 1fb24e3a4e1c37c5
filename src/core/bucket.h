/* A token bucket: so many a second, and no more than `burst` at once. Pure; times are monotonic ms and never go back.
 *
 * Counted in thousandths, so that a second of small steps gives just what a second gives. */
#ifndef HOLDFAST_CORE_BUCKET_H
#define HOLDFAST_CORE_BUCKET_H

#include <stdint.h>

struct token_rate {
	uint32_t per_s; /* more than 0 */
	uint32_t burst; /* likewise */
};

struct token_bucket {
	uint64_t level; /* thousandths of a token, at … */
	uint64_t at_ms;
};

/* A full one. */
void token_bucket_init(struct token_bucket *b, struct token_rate rate, uint64_t now_ms);
/* Whole tokens that are there now. A rate that changed counts from here on. */
uint64_t token_bucket_tokens(struct token_bucket *b, struct token_rate rate, uint64_t now_ms);
/* Takes `count` of them; what is not there is not taken. */
void token_bucket_take(struct token_bucket *b, uint64_t count);
/* How long until `count` are there (never more than the burst), at the present level. */
uint64_t token_bucket_wait_ms(const struct token_bucket *b, struct token_rate rate, uint64_t count);

#endif
