/* A SHA-256 that runs along with the bytes and can be stored half-way, so that a take that goes on after a crash needs
 * no byte that was already forgotten here. */
#ifndef HOLDFAST_CLIENT_HASH_H
#define HOLDFAST_CLIENT_HASH_H

#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED /* the newer interface can't store its state */
#endif
#include <openssl/sha.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HASH_STATE_HEX = 2 * sizeof(SHA256_CTX) + 1, HASH_MARKS = 4096 };

struct hash_mark {
	uint64_t position;
	SHA256_CTX context;
};

struct hash {
	uint64_t position; /* bytes hashed so far */
	SHA256_CTX context;
	bool lost;		 /* bytes are gone that it would need: there is no digest */
	struct hash_mark *marks; /* owned: states on the way, for hash_mark_below; ascending */
	unsigned mark_count;
	uint64_t mark_every; /* bytes between marks; grows so that the marks stay few */
};

void hash_init(struct hash *h);
void hash_release(struct hash *h);
void hash_feed(struct hash *h, const void *data, size_t len);
void hash_digest(const struct hash *h, char out[65]);

/* The newest mark at or below `position`, older ones are forgotten; NULL: none. Valid until the next call. */
const struct hash_mark *hash_mark_below(struct hash *h, uint64_t position);

/* The state as text for the same kind of machine, and back; false when it does not read as one. */
void hash_state_format(const struct hash_mark *mark, char out[HASH_STATE_HEX]);
bool hash_state_parse(struct hash *h, uint64_t position, const char *text);

#endif
