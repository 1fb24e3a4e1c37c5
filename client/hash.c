/* A SHA-256 with marks, see hash.h. */
#include "hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARK_EVERY = 4 * 1024 * 1024 };

void hash_init(struct hash *h)
{
	*h = (struct hash){ .mark_every = MARK_EVERY };
	SHA256_Init(&h->context);
}

void hash_release(struct hash *h)
{
	free(h->marks);
	h->marks = NULL;
	h->mark_count = 0;
}

/* Without memory there is no mark, and the local copy is kept longer: no harm. */
static void mark(struct hash *h)
{
	if (!h->marks)
		h->marks = malloc(HASH_MARKS * sizeof *h->marks);
	if (!h->marks)
		return;
	if (h->mark_count == HASH_MARKS) { /* a long time offline: every second one will do */
		for (unsigned i = 0; i < HASH_MARKS / 2; i++)
			h->marks[i] = h->marks[2 * i + 1];
		h->mark_count = HASH_MARKS / 2;
		h->mark_every *= 2;
	}
	h->marks[h->mark_count++] = (struct hash_mark){ h->position, h->context };
}

void hash_feed(struct hash *h, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	while (len > 0) {
		uint64_t until_mark = h->mark_every - h->position % h->mark_every;
		size_t step = len < until_mark ? len : (size_t)until_mark;
		SHA256_Update(&h->context, bytes, step);
		h->position += step;
		bytes += step;
		len -= step;
		if (step == until_mark)
			mark(h);
	}
}

void hash_digest(const struct hash *h, char out[65])
{
	SHA256_CTX context = h->context;
	unsigned char digest[32];
	SHA256_Final(digest, &context);
	for (unsigned i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

const struct hash_mark *hash_mark_below(struct hash *h, uint64_t position)
{
	unsigned older = 0;
	while (older < h->mark_count && h->marks[older].position <= position)
		older++;
	if (older == 0)
		return NULL;
	memmove(h->marks, h->marks + older - 1, (h->mark_count - older + 1) * sizeof *h->marks);
	h->mark_count -= older - 1;
	return &h->marks[0];
}

void hash_state_format(const struct hash_mark *m, char out[HASH_STATE_HEX])
{
	const uint8_t *bytes = (const uint8_t *)&m->context;
	for (size_t i = 0; i < sizeof m->context; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int nibble(char c)
{
	const char *const digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

bool hash_state_parse(struct hash *h, uint64_t position, const char *text)
{
	SHA256_CTX context;
	uint8_t *bytes = (uint8_t *)&context;
	if (strlen(text) != HASH_STATE_HEX - 1)
		return false;
	for (size_t i = 0; i < sizeof context; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	/* the state counts its bits itself: what does not fit was not written for this position */
	uint64_t bits = (uint64_t)context.Nh << 32 | context.Nl;
	if (bits != position * 8 || context.num != position % 64 || context.md_len != 32)
		return false;
	h->context = context;
	h->position = position;
	return true;
}
