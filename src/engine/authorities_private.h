/* What authorities.c (questions) and authorities_kept.c (answers) share. */
#ifndef HOLDFAST_ENGINE_AUTHORITIES_PRIVATE_H
#define HOLDFAST_ENGINE_AUTHORITIES_PRIVATE_H

#include "engine/internal.h"
#include "proto/authority.h"

/* An answer in memory. */
struct known {
	struct list recent;
	struct known *next; /* of its bucket */
	struct sha256 hash;
	bool allow;
	struct grant grant;
	int64_t expires_ms;
};

/* An operation on the catalog about a token. */
struct said_op {
	struct catalog_op op;
	struct catalog_authority said; /* owned */
	int64_t now_ms;
	uint64_t number; /* of the question */
};
struct said_op *said_op_new(struct engine *e, enum err (*run)(struct catalog *c, struct catalog_op *op),
			    void (*done)(struct engine *e, struct catalog_op *op));
void said_op_free(struct said_op *o);

void known_init(struct engine *e);
void known_release(struct engine *e);
/* What is in memory and still holds, or NULL. */
struct known *known_find(struct engine *e, const struct sha256 *hash);
/* It holds from now on; valid until the next call of these. */
struct known *known_add(struct engine *e, const struct sha256 *hash, const struct authority_answer *answer,
			int64_t expires_ms);
/* … and stands in the catalog, soon. */
void said_keep(struct engine *e, const struct known *k, const struct authority_answer *answer);
bool said_over(const struct engine *e, int64_t expires_ms);
bool said_equal(const struct sha256 *a, const struct sha256 *b);

#endif
