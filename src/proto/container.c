/* The scan itself: pieces become a stream that can be looked at, headers are collected, marks told. See container.h. */
#include "proto/container_private.h"

#include <assert.h>
#include <string.h>

enum { SNIFF_BYTES = 10 }; /* what tells the kinds apart: an ID3v2 tag's head */

static const char mime_unknown[] = "application/octet-stream";

void container_scan_init(struct container_scan *s, void (*mark)(void *arg, enum container_mark what, uint64_t at),
			 void *arg)
{
	memset(s, 0, sizeof *s);
	s->mark = mark;
	s->arg = arg;
	s->mime = mime_unknown;
	buf_init(&s->header);
	buf_init(&s->next);
	container_scan_part(s);
}

void container_scan_release(struct container_scan *s)
{
	buf_release(&s->header);
	buf_release(&s->next);
}

/* If what is carried is of this piece alone, the piece itself has it. */
static void carry_return(struct container_scan *s)
{
	if (s->carry_len == 0 || s->carry_len > s->carry_new)
		return;
	s->in -= s->carry_len;
	s->in_len += s->carry_len;
	s->carry_len = s->carry_new = 0;
}

const uint8_t *scan_peek(struct container_scan *s, size_t n)
{
	assert(n > 0 && n <= sizeof s->carry && s->skip == 0);
	carry_return(s);
	if (s->carry_len == 0 && s->in_len >= n)
		return s->in;
	if (s->carry_len < n && s->in_len > 0) {
		size_t more = n - s->carry_len < s->in_len ? n - s->carry_len : s->in_len;
		memcpy(s->carry + s->carry_len, s->in, more);
		s->carry_len += more;
		s->carry_new += more;
		s->in += more;
		s->in_len -= more;
	}
	return s->carry_len >= n ? s->carry : NULL;
}

static void collect(struct container_scan *s, const uint8_t *data, size_t len)
{
	if (!s->collecting)
		return;
	if (len <= LIMIT_LIVE_HEADER_BYTES - s->next.len)
		buf_add(&s->next, data, len);
	else
		s->next.failed = true;
	if (s->next.failed)
		scan_give_up(s);
}

/* Passes over up to n bytes that are there; how many were. */
static size_t pass_some(struct container_scan *s, uint64_t n)
{
	size_t carried = n < s->carry_len ? (size_t)n : s->carry_len;
	if (carried > 0) {
		collect(s, s->carry, carried);
		s->carry_len -= carried;
		memmove(s->carry, s->carry + carried, s->carry_len);
		if (s->carry_new > s->carry_len)
			s->carry_new = s->carry_len;
	}
	size_t more = n - carried < s->in_len ? (size_t)(n - carried) : s->in_len;
	if (more > 0) {
		collect(s, s->in, more);
		s->in += more;
		s->in_len -= more;
	}
	s->at += carried + more;
	return carried + more;
}

void scan_pass(struct container_scan *s, uint64_t n)
{
	s->skip += n - pass_some(s, n);
}

bool scan_search(struct container_scan *s, size_t n, bool (*found)(const struct container_scan *s, const uint8_t *p))
{
	const uint8_t *p;
	while ((p = scan_peek(s, n)) != NULL) {
		if (p == s->carry) {
			if (found(s, p))
				return true;
			pass_some(s, 1);
			continue;
		}
		size_t i = 0;
		while (s->in_len - i >= n && !found(s, s->in + i))
			i++;
		pass_some(s, i);
		if (s->in_len >= n)
			return true;
	}
	return false;
}

void scan_header_begin(struct container_scan *s)
{
	s->next.len = 0;
	s->next_at = s->at;
	s->collecting = true;
	s->ready = false;
}

void scan_header_done(struct container_scan *s, const char *mime)
{
	struct buf old = s->header;
	s->header = s->next;
	buf_release(&old);
	buf_init(&s->next);
	s->collecting = false;
	s->ready = true;
	s->joined = false;
	s->told_kind = s->kind;
	s->mime = mime;
	s->mark(s->arg, CONTAINER_MARK_HEADER, s->next_at);
}

void scan_join(struct container_scan *s, uint64_t at)
{
	if (!s->ready || (s->joined && at - s->joined_at < LIMIT_LIVE_JOIN_BYTES))
		return;
	s->joined = true;
	s->joined_at = at;
	s->mark(s->arg, CONTAINER_MARK_JOIN, at);
}

static void collecting_stop(struct container_scan *s)
{
	buf_release(&s->next);
	s->collecting = false;
}

bool scan_lost(struct container_scan *s)
{
	collecting_stop(s);
	s->lost = true;
	return true;
}

void scan_give_up(struct container_scan *s)
{
	if (!s->collecting)
		s->next_at = s->part_at;
	collecting_stop(s);
	s->kind = CONTAINER_KIND_UNKNOWN;
	scan_header_done(s, mime_unknown);
	s->ready = false;
}

static void kind_begin(struct container_scan *s, enum container_kind kind)
{
	s->kind = kind;
	memset(&s->of, 0, sizeof s->of);
}

/* The kind that the part is, by its first bytes or, if it begins with noise, by what follows that. */
static bool sniff_step(struct container_scan *s)
{
	const uint8_t *p = scan_peek(s, SNIFF_BYTES);
	if (!p)
		return false;
	if (webm_begins(p)) {
		kind_begin(s, CONTAINER_KIND_EBML);
	} else if (mp4_begins(p)) {
		kind_begin(s, CONTAINER_KIND_BOXES);
	} else if (ogg_begins(p)) {
		kind_begin(s, CONTAINER_KIND_PAGES);
	} else if (frames_tag(p) > 0) {
		uint64_t tag = frames_tag(p);
		s->sniff_from = s->at + tag; /* however large its pictures are */
		s->of.frames.run = 0;
		scan_pass(s, tag);
	} else if (memcmp(p, "RIFF", 4) == 0 || memcmp(p, "fLaC", 4) == 0 ||
		   s->at - s->sniff_from >= LIMIT_LIVE_SNIFF_BYTES) {
		scan_give_up(s);
	} else {
		return frames_step(s);
	}
	return true;
}

static bool step(struct container_scan *s)
{
	switch (s->kind) {
	case CONTAINER_KIND_SNIFFING:
		return sniff_step(s);
	case CONTAINER_KIND_EBML:
		return webm_step(s);
	case CONTAINER_KIND_BOXES:
		return mp4_step(s);
	case CONTAINER_KIND_PAGES:
		return ogg_step(s);
	case CONTAINER_KIND_FRAMES:
		return frames_step(s);
	case CONTAINER_KIND_UNKNOWN:
		break;
	}
	s->skip = 0;
	pass_some(s, UINT64_MAX);
	return false;
}

void container_scan_feed(struct container_scan *s, const uint8_t *data, size_t len)
{
	s->in = data;
	s->in_len = len;
	s->carry_new = 0;
	do
		s->skip -= pass_some(s, s->skip);
	while (s->skip == 0 && step(s));
	assert(s->in_len == 0);
	s->in = NULL;
}

void container_scan_part(struct container_scan *s)
{
	s->at += s->carry_len;
	s->carry_len = s->carry_new = 0;
	s->skip = 0;
	collecting_stop(s);
	s->part_at = s->sniff_from = s->at;
	s->ready = s->lost = false;
	kind_begin(s, CONTAINER_KIND_SNIFFING);
	s->of.frames.need = 3; /* two frames' heads are in any noise of some MiB */
}

const uint8_t *container_scan_header(const struct container_scan *s, size_t *len)
{
	*len = s->header.len;
	return (const uint8_t *)s->header.data;
}

const char *container_scan_mime(const struct container_scan *s)
{
	return s->mime;
}

bool container_scan_unknown(const struct container_scan *s)
{
	return s->told_kind == CONTAINER_KIND_UNKNOWN;
}
