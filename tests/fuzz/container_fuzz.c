/* Fuzzes container_scan: what it promises of its marks, headers and memory holds whatever comes in; and it must hear
 * the same when the stream is cut elsewhere. The first four bytes say where the cuts and a part that is told are. */
#include "base/limits.h"
#include "proto/container.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct hearing {
	struct container_scan scan;
	uint64_t fed, header_at, join_at, hash;
	bool header, join, unknown;
};

static void hash_add(struct hearing *h, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h->hash = (h->hash ^ ((const uint8_t *)data)[i]) * 1099511628211ULL;
}

static void hear(void *arg, enum container_mark what, uint64_t at)
{
	struct hearing *h = arg;
	size_t len;
	const uint8_t *header = container_scan_header(&h->scan, &len);
	hash_add(h, &what, sizeof what);
	hash_add(h, &at, sizeof at);
	assert(at < h->fed);
	if (what == CONTAINER_MARK_JOIN) {
		assert(h->header && !h->unknown && at >= h->header_at + len);
		assert(!h->join || at >= h->join_at + LIMIT_LIVE_JOIN_BYTES);
		h->join = true;
		h->join_at = at;
		return;
	}
	const char *mime = container_scan_mime(&h->scan);
	assert(!h->header || at >= h->header_at); /* the same one again: it grew too large */
	assert(len <= LIMIT_LIVE_HEADER_BYTES && at + len <= h->fed);
	h->unknown = container_scan_unknown(&h->scan);
	assert(h->unknown == (strcmp(mime, "application/octet-stream") == 0) && (!h->unknown || len == 0));
	hash_add(h, header, len);
	hash_add(h, mime, strlen(mime));
	h->header = true;
	h->join = false;
	h->header_at = at;
}

/* Large pieces as exact copies, so that a read outside of one is seen. */
static void feed(struct hearing *h, const uint8_t *data, size_t len, size_t step)
{
	for (size_t at = 0; at < len; at += step) {
		size_t some = len - at < step ? len - at : step;
		uint8_t *copy = step >= 64 ? malloc(some) : NULL;
		if (copy)
			memcpy(copy, data + at, some);
		h->fed += some;
		container_scan_feed(&h->scan, copy ? copy : data + at, some);
		free(copy);
	}
}

/* Cut once at `cut`, and then every `step`; a part is told at `part`. */
static uint64_t scan_all(const uint8_t *data, size_t size, size_t cut, size_t step, size_t part)
{
	struct hearing h = { .hash = 14695981039346656037ULL };
	size_t first = cut < part ? cut : part;
	container_scan_init(&h.scan, hear, &h);
	feed(&h, data, first, SIZE_MAX / 2);
	feed(&h, data + first, part - first, step);
	container_scan_part(&h.scan);
	feed(&h, data + part, size - part, step);
	container_scan_release(&h.scan);
	return h.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	size_t a = (size_t)data[0] << 8 | data[1], b = (size_t)data[2] << 8 | data[3];
	data += 4;
	size -= 4;
	size_t cut = a % (size + 1), part = b % 4 == 0 ? b / 4 % (size + 1) : size;
	uint64_t whole = scan_all(data, size, 0, size + 1, part);
	assert(scan_all(data, size, cut, size + 1, part) == whole);
	assert(scan_all(data, size, 0, 1, part) == whole);
	assert(scan_all(data, size, cut, 1 + a % 61, part) == whole);
	return 0;
}
