/* How many TLS handshakes may begin, see handshakes.h. */
#include "net/handshakes.h"

#include <netinet/in.h>
#include <string.h>

void source_of(const struct sockaddr *address, struct source *out)
{
	memset(out, 0, sizeof *out);
	if (address->sa_family == AF_INET6) {
		memcpy(out->bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
	} else if (address->sa_family == AF_INET) {
		out->bytes[10] = out->bytes[11] = 0xff;
		memcpy(out->bytes + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
	}
}

static uint32_t slot_of(const struct handshakes *h, const struct source *source)
{
	uint64_t half[2], hash = h->key;
	memcpy(half, source->bytes, sizeof half);
	for (unsigned i = 0; i < 2; i++) {
		hash = (hash ^ half[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	return (uint32_t)(hash % LIMIT_HANDSHAKE_SOURCES);
}

uint64_t source_number(const struct source *source, uint64_t key)
{
	uint64_t half[2];
	memcpy(half, source->bytes, sizeof half);
	key = (key ^ (half[0] ? half[0] : half[1])) * 0x9e3779b97f4a7c15ULL;
	key = (key ^ key >> 32) * 0x9e3779b97f4a7c15ULL;
	return (key ^ key >> 29) | 1ULL << 63;
}

/* What has grown since, `most` at most. */
static void grow(struct allowance *a, uint32_t a_second, uint32_t most, uint64_t now_ms)
{
	uint64_t past_ms = now_ms - a->at_ms, full = most * 1000ULL;
	uint64_t thousandths = past_ms > full ? full : a->thousandths + past_ms * a_second;
	a->thousandths = (uint32_t)(thousandths > full ? full : thousandths);
	a->at_ms = now_ms;
}

void handshakes_init(struct handshakes *h, uint64_t key, uint64_t now_ms)
{
	memset(h, 0, sizeof *h);
	h->key = key;
	h->common = (struct allowance){ now_ms, LIMIT_HANDSHAKES_A_SECOND * 1000 };
}

bool handshakes_begin(struct handshakes *h, const struct source *source, uint64_t now_ms)
{
	uint32_t i = slot_of(h, source);
	bool mine = h->slots[i].used && memcmp(&h->slots[i].source, source, sizeof *source) == 0;
	if (!mine && !h->slots[i].known) {
		h->slots[i].source = *source;
		h->slots[i].own = (struct allowance){ now_ms, LIMIT_HANDSHAKES_AT_ONCE * 1000 };
		h->slots[i].used = mine = true;
	}
	struct allowance *own = mine ? &h->slots[i].own : NULL;
	struct allowance *common = mine && h->slots[i].known ? NULL : &h->common;
	if (own)
		grow(own, LIMIT_HANDSHAKES_A_SOURCE, LIMIT_HANDSHAKES_AT_ONCE, now_ms);
	if (common)
		grow(common, LIMIT_HANDSHAKES_A_SECOND, LIMIT_HANDSHAKES_A_SECOND, now_ms);
	if ((own && own->thousandths < 1000) || (common && common->thousandths < 1000))
		return false;
	if (own)
		own->thousandths -= 1000;
	if (common)
		common->thousandths -= 1000;
	return true;
}

void handshakes_known(struct handshakes *h, const struct source *source, uint64_t now_ms)
{
	uint32_t i = slot_of(h, source);
	if (!h->slots[i].used || memcmp(&h->slots[i].source, source, sizeof *source) != 0) {
		h->slots[i].source = *source;
		h->slots[i].own = (struct allowance){ now_ms, LIMIT_HANDSHAKES_AT_ONCE * 1000 };
		h->slots[i].used = true;
	}
	h->slots[i].known = true;
}
