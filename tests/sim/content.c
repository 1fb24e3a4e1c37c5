/* See content.h: each 8 bytes are a hash of their place. */
#include "content.h"
#include "rng.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

static uint64_t word_at(uint64_t content, uint64_t index)
{
	return rng_mix(content + index * 0x9e3779b97f4a7c15ULL);
}

void content_fill(uint64_t content, uint64_t off, void *data, size_t len)
{
	uint8_t *to = data;
	while (len > 0) {
		uint64_t word = word_at(content, off / 8);
		size_t at = off % 8, n = 8 - at < len ? 8 - at : len;
		memcpy(to, (const uint8_t *)&word + at, n);
		to += n;
		off += n;
		len -= n;
	}
}

size_t content_differs(uint64_t content, uint64_t off, const void *data, size_t len)
{
	const uint8_t *from = data;
	uint8_t want[4096];
	for (size_t done = 0; done < len;) {
		size_t n = len - done < sizeof want ? len - done : sizeof want;
		content_fill(content, off + done, want, n);
		if (memcmp(from + done, want, n) != 0) {
			size_t i = 0;
			while (from[done + i] == want[i])
				i++;
			return done + i;
		}
		done += n;
	}
	return len;
}

void content_sha256(uint64_t content, uint64_t from, uint64_t len, uint8_t out[32])
{
	uint8_t data[16384];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert(ctx);
	EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	for (uint64_t off = 0; off < len;) {
		size_t n = len - off < sizeof data ? (size_t)(len - off) : sizeof data;
		content_fill(content, from + off, data, n);
		EVP_DigestUpdate(ctx, data, n);
		off += n;
	}
	EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
}
