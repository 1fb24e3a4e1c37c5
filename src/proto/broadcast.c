/* A live stream and those who read it, see broadcast.h.
 *
 * The bytes stand in a chain of chunks, each held by the one before it. The broadcast holds two of them: the oldest
 * that a latecomer may want, and the one that is being filled. A reader holds the one that it reads. So a chunk goes
 * when neither a latecomer nor any reader can come to it, without anybody looking for it. */
#include "proto/broadcast.h"

#include "base/mask.h"
#include "proto/container.h"
#include "proto/source_text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Joins of one header that a latecomer may want: those in a burst, and one before it. */
	JOINS = LIMIT_LISTEN_BURST_BYTES / LIMIT_LIVE_JOIN_BYTES + 2,
	/* Boundaries that begin in one chunk: its joins, and a few headers. More are not known as such. */
	CHUNK_MARKS = LIMIT_LISTEN_CHUNK_BYTES / LIMIT_LIVE_JOIN_BYTES + 4,
};

struct broadcast_chunk {
	struct broadcast_chunk *next; /* held */
	unsigned refs;
	size_t len, capacity;
	uint64_t at; /* of its first byte */
	unsigned mark_count;
	uint16_t marks[CHUNK_MARKS]; /* the offsets at which a join or a header begins */
	uint8_t data[];
};

struct broadcast {
	unsigned refs, readers;
	bool ended;
	uint64_t fed;
	uint64_t primed;			 /* so many bytes had the scan before the first one that was fed */
	struct broadcast_chunk *oldest, *newest; /* held; NULL: nothing came yet */
	struct broadcast_chunk *header;		 /* held; NULL: none was told yet */
	uint64_t header_at;			 /* where it begins in the stream */
	uint64_t joins[JOINS];			 /* of that header, rising */
	unsigned join_count;
	uint64_t guessed_at; /* the join that was made last because none are told */
	char mime_begun[LIMIT_MIME_CHARS + 1], mime_told[LIMIT_MIME_CHARS + 1];
	struct icy_title title;
	char title_text[LIMIT_TITLE_BYTES + 1];
	struct container_scan scan;
};

static struct broadcast_chunk *chunk_new(size_t capacity)
{
	struct broadcast_chunk *c = malloc(sizeof *c + capacity);
	if (!c)
		abort(); /* as everywhere: recovery is safer than a stream with a hole that nobody knows of */
	*c = (struct broadcast_chunk){ .refs = 1, .capacity = capacity };
	return c;
}

static struct broadcast_chunk *chunk_hold(struct broadcast_chunk *c)
{
	c->refs++;
	return c;
}

static void chunk_release(struct broadcast_chunk *c)
{
	while (c && --c->refs == 0) {
		struct broadcast_chunk *next = c->next;
		free(c);
		c = next;
	}
}

static void chunk_mark(struct broadcast_chunk *c, uint64_t at)
{
	while (c && at - c->at >= c->capacity)
		c = c->next;
	if (c && c->mark_count < CHUNK_MARKS)
		c->marks[c->mark_count++] = (uint16_t)(at - c->at);
}

static void join_add(struct broadcast *b, uint64_t at)
{
	while (b->join_count > 1 && at - b->joins[0] > LIMIT_LISTEN_BURST_BYTES) {
		b->join_count--;
		memmove(b->joins, b->joins + 1, b->join_count * sizeof *b->joins);
	}
	if (b->join_count == JOINS)
		return;
	b->joins[b->join_count++] = at;
	if (b->oldest && at >= b->oldest->at)
		chunk_mark(b->oldest, at);
}

static void header_told(struct broadcast *b, uint64_t at)
{
	size_t len;
	const uint8_t *header = container_scan_header(&b->scan, &len);
	struct broadcast_chunk *c = chunk_new(len);
	if (len > 0)
		memcpy(c->data, header, len);
	c->len = len;
	chunk_release(b->header);
	b->header = c;
	b->header_at = at;
	b->join_count = 0;
	b->guessed_at = at;
	memcpy(b->mime_told, b->mime_begun, sizeof b->mime_told);
	if (b->oldest && at >= b->oldest->at)
		chunk_mark(b->oldest, at);
}

static void marked(void *arg, enum container_mark what, uint64_t at)
{
	struct broadcast *b = arg;
	bool before = at < b->primed;
	if (what == CONTAINER_MARK_HEADER)
		header_told(b, before ? 0 : at - b->primed);
	else if (!before)
		join_add(b, at - b->primed);
}

struct broadcast *broadcast_new(void)
{
	struct broadcast *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	b->refs = 1;
	container_scan_init(&b->scan, marked, b);
	return b;
}

struct broadcast *broadcast_hold(struct broadcast *b)
{
	b->refs++;
	return b;
}

void broadcast_release(struct broadcast *b)
{
	if (!b || --b->refs > 0)
		return;
	chunk_release(b->oldest);
	chunk_release(b->newest);
	chunk_release(b->header);
	container_scan_release(&b->scan);
	free(b);
}

void broadcast_begin(struct broadcast *b, const char *mime)
{
	size_t len = mime ? strnlen(mime, LIMIT_MIME_CHARS + 1) : 0;
	if (len > LIMIT_MIME_CHARS)
		len = 0;
	memset(b->mime_begun, 0, sizeof b->mime_begun);
	if (len > 0)
		memcpy(b->mime_begun, mime, len);
	container_scan_part(&b->scan);
}

void broadcast_prime(struct broadcast *b, const void *data, size_t len)
{
	assert(b->fed == 0);
	b->primed += len; /* before: what is told of it lies in front of the stream */
	container_scan_feed(&b->scan, data, len);
}

/* A chunk with room at the end of the chain. */
static struct broadcast_chunk *chunk_open(struct broadcast *b)
{
	if (b->newest && b->newest->len < b->newest->capacity)
		return b->newest;
	struct broadcast_chunk *c = chunk_new(LIMIT_LISTEN_CHUNK_BYTES);
	c->at = b->fed;
	if (b->newest) {
		b->newest->next = chunk_hold(c);
		chunk_release(b->newest);
	} else {
		b->oldest = chunk_hold(c);
	}
	b->newest = c;
	return c;
}

/* Where a latecomer would begin: as far back as a burst reaches, else at the newest join, if that is in the ring. */
static bool join_find(const struct broadcast *b, uint64_t *at)
{
	unsigned i = 0;
	while (i + 1 < b->join_count && b->fed - b->joins[i] > LIMIT_LISTEN_BURST_BYTES)
		i++;
	if (i == b->join_count || !b->oldest || b->joins[i] < b->oldest->at)
		return false;
	*at = b->joins[i];
	return true;
}

/* Lets go what no latecomer wants any more. */
static void trim(struct broadcast *b)
{
	uint64_t ring = b->fed > LIMIT_LISTEN_RING_BYTES ? b->fed - LIMIT_LISTEN_RING_BYTES : 0, keep;
	if (!join_find(b, &keep) || keep < ring)
		keep = ring;
	while (b->oldest && b->oldest->next && b->oldest->at + b->oldest->len <= keep) {
		struct broadcast_chunk *next = chunk_hold(b->oldest->next);
		chunk_release(b->oldest);
		b->oldest = next;
	}
}

void broadcast_feed(struct broadcast *b, const void *data, size_t len, const uint8_t mask[4])
{
	const uint8_t *from = data;
	uint8_t turning[4];
	memcpy(turning, mask, sizeof turning);
	assert(!b->ended);
	uint64_t begin = b->fed;
	while (len > 0) {
		struct broadcast_chunk *c = chunk_open(b);
		size_t n = c->capacity - c->len < len ? c->capacity - c->len : len;
		uint8_t *to = c->data + c->len;
		mask_copy(to, from, n, turning);
		c->len += n;
		b->fed += n;
		container_scan_feed(&b->scan, to, n);
		from += n;
		len -= n;
	}
	if (b->header && container_scan_unknown(&b->scan) && b->fed > begin && begin >= b->header_at &&
	    (b->join_count == 0 || begin - b->guessed_at >= LIMIT_LIVE_JOIN_BYTES)) {
		b->guessed_at = begin;
		join_add(b, begin);
	}
	trim(b);
}

void broadcast_end(struct broadcast *b)
{
	b->ended = true;
}

bool broadcast_ended(const struct broadcast *b)
{
	return b->ended;
}

uint64_t broadcast_fed(const struct broadcast *b)
{
	return b->fed;
}

const char *broadcast_mime(const struct broadcast *b)
{
	if (b->header && !container_scan_unknown(&b->scan))
		return container_scan_mime(&b->scan);
	const char *said = b->header ? b->mime_told : b->mime_begun;
	return *said ? said : "application/octet-stream";
}

uint64_t broadcast_header_at(const struct broadcast *b)
{
	return b->header_at;
}

void broadcast_title_set(struct broadcast *b, const char *title)
{
	source_text_clean(title, strlen(title), false, b->title_text, sizeof b->title_text);
	icy_title_set(&b->title, b->title_text);
}

const struct icy_title *broadcast_title(const struct broadcast *b)
{
	return &b->title;
}

const char *broadcast_title_text(const struct broadcast *b)
{
	return b->title_text;
}

/* The reader is at this byte now; the chunk is at or behind its present one. */
static void reader_put(struct broadcast_reader *r, uint64_t at)
{
	struct broadcast_chunk *c = r->chunk;
	while (at - c->at >= c->len && c->next)
		c = c->next;
	if (c != r->chunk) {
		chunk_hold(c);
		chunk_release(r->chunk);
		r->chunk = c;
	}
	r->position = at;
}

bool broadcast_join(struct broadcast *b, struct broadcast_reader *r)
{
	uint64_t at;
	if (!b->header || !join_find(b, &at))
		return false;
	*r = (struct broadcast_reader){ .broadcast = broadcast_hold(b), .joined_at = at, .header_len = b->header->len };
	r->header = b->header->len > 0 ? chunk_hold(b->header) : NULL;
	r->chunk = chunk_hold(b->oldest);
	reader_put(r, at);
	b->readers++;
	return true;
}

int broadcast_peek(const struct broadcast_reader *r, struct iovec *iov, int max)
{
	int count = 0;
	if (!r->broadcast)
		return 0;
	if (r->header && r->offset < r->header->len && max > 0)
		iov[count++] = (struct iovec){ r->header->data + r->offset, r->header->len - r->offset };
	size_t from = (size_t)(r->position - r->chunk->at);
	for (struct broadcast_chunk *c = r->chunk; c && count < max; c = c->next, from = 0)
		if (from < c->len)
			iov[count++] = (struct iovec){ c->data + from, c->len - from };
	return count;
}

void broadcast_take(struct broadcast_reader *r, size_t len)
{
	if (r->header) {
		size_t n = r->header->len - r->offset < len ? r->header->len - r->offset : len;
		r->offset += n;
		len -= n;
		if (r->offset < r->header->len)
			return;
		chunk_release(r->header);
		r->header = NULL;
	}
	assert(len <= r->broadcast->fed - r->position);
	reader_put(r, r->position + len);
}

uint64_t broadcast_behind(const struct broadcast_reader *r)
{
	if (!r->broadcast)
		return 0;
	return r->broadcast->fed - r->position + (r->header ? r->header->len - r->offset : 0);
}

uint64_t broadcast_to_boundary(const struct broadcast_reader *r)
{
	if (!r->broadcast || r->header)
		return UINT64_MAX;
	uint64_t best = UINT64_MAX;
	for (const struct broadcast_chunk *c = r->chunk; c && best == UINT64_MAX; c = c->next)
		for (unsigned i = 0; i < c->mark_count; i++)
			if (c->at + c->marks[i] >= r->position && c->at + c->marks[i] - r->position < best)
				best = c->at + c->marks[i] - r->position;
	return best;
}

bool broadcast_skip(struct broadcast_reader *r)
{
	if (broadcast_to_boundary(r) != 0)
		return false;
	const struct broadcast *b = r->broadcast;
	uint64_t at = b->header_at;
	if (r->position >= at && b->join_count > 0)
		at = b->joins[b->join_count - 1];
	if (at <= r->position)
		return false;
	reader_put(r, at);
	return true;
}

void broadcast_leave(struct broadcast_reader *r)
{
	if (!r->broadcast)
		return;
	chunk_release(r->header);
	chunk_release(r->chunk);
	r->broadcast->readers--;
	broadcast_release(r->broadcast);
	*r = (struct broadcast_reader){ .broadcast = NULL };
}

unsigned broadcast_readers(const struct broadcast *b)
{
	return b->readers;
}
