/* MP4 in fragments: ISO/IEC 14496-12. What goes before is ftyp and moov; a join is a moof, or what leads to it.
 *
 * Boxes are read flat, as elements are in container_webm.c: moov, trak, mdia, mvex, moof and traf are entered, all
 * others are passed over whole. A file that is not in fragments has a header perhaps, but no joins. */
#include "proto/container_private.h"

#include <string.h>

enum {
	LEAF_BYTES = 56,	 /* the most that is looked at of a box inside */
	FLAG_DEFAULT_BASE = 0x1, /* tfhd: base-data-offset is there */
	FLAG_INDEX = 0x2,
	FLAG_DURATION = 0x8,
	FLAG_SIZE = 0x10,
	FLAG_FLAGS = 0x20,
	RUN_OFFSET = 0x1, /* trun: data-offset is there */
	RUN_FIRST_FLAGS = 0x4,
	RUN_DURATION = 0x100,
	RUN_SIZE = 0x200,
	RUN_FLAGS = 0x400,
	SAMPLE_NOT_SYNC = 0x10000,
	SAMPLE_DEPENDS = 0x3000000, /* the two bits of sample_depends_on … */
	SAMPLE_DEPENDS_YES = 0x1000000,
	FOUND_BYTES = 16, /* the head of a box and that of the first one in it */
};

#define BOX(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
enum {
	BOX_FTYP = BOX('f', 't', 'y', 'p'),
	BOX_MOOV = BOX('m', 'o', 'o', 'v'),
	BOX_TRAK = BOX('t', 'r', 'a', 'k'),
	BOX_MDIA = BOX('m', 'd', 'i', 'a'),
	BOX_MVEX = BOX('m', 'v', 'e', 'x'),
	BOX_TKHD = BOX('t', 'k', 'h', 'd'),
	BOX_HDLR = BOX('h', 'd', 'l', 'r'),
	BOX_TREX = BOX('t', 'r', 'e', 'x'),
	BOX_MOOF = BOX('m', 'o', 'o', 'f'),
	BOX_MFHD = BOX('m', 'f', 'h', 'd'),
	BOX_TRAF = BOX('t', 'r', 'a', 'f'),
	BOX_TFHD = BOX('t', 'f', 'h', 'd'),
	BOX_TRUN = BOX('t', 'r', 'u', 'n'),
	BOX_MDAT = BOX('m', 'd', 'a', 't'),
	BOX_STYP = BOX('s', 't', 'y', 'p'),
	BOX_SIDX = BOX('s', 'i', 'd', 'x'),
	BOX_EMSG = BOX('e', 'm', 's', 'g'),
	BOX_PRFT = BOX('p', 'r', 'f', 't'),
	BOX_MVHD = BOX('m', 'v', 'h', 'd'),
	BOX_FREE = BOX('f', 'r', 'e', 'e'),
	BOX_SKIP = BOX('s', 'k', 'i', 'p'),
	BOX_WIDE = BOX('w', 'i', 'd', 'e'),
	BOX_VIDE = BOX('v', 'i', 'd', 'e'), /* a handler, not a box */
};

struct box {
	uint32_t type;
	unsigned head; /* bytes of the head */
	uint64_t size; /* of the whole box */
};

/* A box inside, as far as it is looked at. */
struct leaf {
	const uint8_t *data; /* behind the head and the version's byte: three bytes of flags come first */
	size_t len;
	uint8_t version;
};

bool mp4_begins(const uint8_t *p)
{
	uint32_t size = scan_be32(p);
	if (size < 8)
		return false;
	switch (scan_be32(p + 4)) {
	case BOX_FTYP:
	case BOX_STYP:
	case BOX_MOOV:
	case BOX_MOOF:
	case BOX_SIDX:
	case BOX_EMSG:
	case BOX_PRFT:
	case BOX_FREE:
	case BOX_SKIP:
	case BOX_WIDE:
		return size <= LIMIT_LIVE_ELEMENT_BYTES;
	default:
		return false;
	}
}

static bool mp4_lost(struct container_scan *s)
{
	s->of.mp4.outer_end = 0;
	s->of.mp4.prefix = false;
	return scan_lost(s);
}

/* Four characters of a type: anything else is noise. */
static bool printable(uint32_t type)
{
	for (unsigned shift = 0; shift < 32; shift += 8) {
		uint8_t c = (uint8_t)(type >> shift);
		if ((c < ' ' || c > '~') && c != 0xa9)
			return false;
	}
	return true;
}

/* Sets b->head to 0 when there is no sensible box; false: more bytes are needed. A box "up to the end" is not sensible
 * in a stream that has none. */
static bool box_read(struct container_scan *s, struct box *b)
{
	const struct scan_mp4 *m = &s->of.mp4;
	const uint8_t *p = scan_peek(s, 8);
	if (!p)
		return false;
	*b = (struct box){ .type = scan_be32(p + 4), .head = 8, .size = scan_be32(p) };
	if (b->size == 1) {
		p = scan_peek(s, 16);
		if (!p)
			return false;
		b->head = 16;
		b->size = (uint64_t)scan_be32(p + 8) << 32 | scan_be32(p + 12);
	}
	if (b->size < b->head || b->size > LIMIT_LIVE_ELEMENT_BYTES || !printable(b->type) ||
	    (m->outer_end > 0 && s->at + b->size > m->outer_end))
		b->head = 0;
	return true;
}

static bool pass_box(struct container_scan *s, const struct box *b)
{
	scan_pass(s, b->size);
	return true;
}

static bool enter(struct container_scan *s, const struct box *b)
{
	scan_pass(s, b->head);
	return true;
}

static struct scan_mp4_track *track_find(struct scan_mp4 *m, uint32_t id)
{
	for (size_t i = 0; i < m->count; i++) {
		if (m->tracks[i].id == id)
			return &m->tracks[i];
	}
	return NULL;
}

/* NULL: more than there may be. */
static struct scan_mp4_track *track_add(struct scan_mp4 *m, uint32_t id)
{
	struct scan_mp4_track *track = track_find(m, id);
	if (!track && m->count < LIMIT_LIVE_STREAMS) {
		track = &m->tracks[m->count++];
		*track = (struct scan_mp4_track){ .id = id };
	}
	return track;
}

static bool has_video(const struct scan_mp4 *m)
{
	for (size_t i = 0; i < m->count; i++) {
		if (m->tracks[i].video)
			return true;
	}
	return false;
}

/* The readers of the boxes inside. `data` begins with the three bytes of flags; false: too short. */
static uint32_t leaf_flags(const struct leaf *leaf)
{
	return scan_be32(leaf->data - 1) & 0xffffff;
}

static bool tkhd_read(struct scan_mp4 *m, const struct leaf *leaf)
{
	size_t id_at = 3 + (leaf->version == 1 ? 16 : 8);
	if (leaf->len < id_at + 4)
		return false;
	m->track = scan_be32(leaf->data + id_at);
	return true;
}

static bool hdlr_read(struct scan_mp4 *m, const struct leaf *leaf)
{
	if (leaf->len < 3 + 8)
		return false;
	if (scan_be32(leaf->data + 3 + 4) == BOX_VIDE) {
		struct scan_mp4_track *track = track_add(m, m->track);
		if (track)
			track->video = true;
	}
	return true;
}

static bool trex_read(struct scan_mp4 *m, const struct leaf *leaf)
{
	if (leaf->len < 3 + 20)
		return false;
	struct scan_mp4_track *track = track_add(m, scan_be32(leaf->data + 3));
	if (track)
		track->usual_flags = scan_be32(leaf->data + 3 + 16);
	return true;
}

static bool tfhd_read(struct scan_mp4 *m, const struct leaf *leaf)
{
	uint32_t flags = leaf_flags(leaf);
	size_t at = 3 + 4;
	if (leaf->len < at)
		return false;
	m->track = scan_be32(leaf->data + 3);
	const struct scan_mp4_track *track = track_find(m, m->track);
	m->usual_flags = track ? track->usual_flags : 0;
	if (flags & FLAG_DEFAULT_BASE)
		m->absolute = true;
	at += (flags & FLAG_DEFAULT_BASE ? 8 : 0) + (flags & FLAG_INDEX ? 4 : 0);
	at += (flags & FLAG_DURATION ? 4 : 0) + (flags & FLAG_SIZE ? 4 : 0);
	if (!(flags & FLAG_FLAGS))
		return true;
	if (leaf->len < at + 4)
		return false;
	m->usual_flags = scan_be32(leaf->data + at);
	return true;
}

/* The first sample of video in a fragment decides whether it is a join. */
static bool trun_read(struct scan_mp4 *m, const struct leaf *leaf)
{
	const struct scan_mp4_track *track = track_find(m, m->track);
	uint32_t flags = leaf_flags(leaf), sample = m->usual_flags;
	size_t at = 3 + 4;
	if (leaf->len < at)
		return false;
	if (m->ran || !track || !track->video || scan_be32(leaf->data + 3) == 0)
		return true;
	at += flags & RUN_OFFSET ? 4 : 0;
	if (!(flags & RUN_FIRST_FLAGS) && (flags & RUN_FLAGS))
		at += (flags & RUN_DURATION ? 4 : 0) + (flags & RUN_SIZE ? 4 : 0);
	if (flags & (RUN_FIRST_FLAGS | RUN_FLAGS)) {
		if (leaf->len < at + 4)
			return false;
		sample = scan_be32(leaf->data + at);
	}
	m->ran = true;
	m->keyframe = !(sample & SAMPLE_NOT_SYNC) && (sample & SAMPLE_DEPENDS) != SAMPLE_DEPENDS_YES;
	return true;
}

static bool leaf_step(struct container_scan *s, const struct box *b,
		      bool (*read)(struct scan_mp4 *, const struct leaf *))
{
	size_t most = b->head + LEAF_BYTES, size = b->size < most ? (size_t)b->size : most;
	const uint8_t *p = scan_peek(s, size);
	if (!p)
		return false;
	if (size < b->head + 4U)
		return mp4_lost(s);
	struct leaf leaf = { .data = p + b->head + 1, .len = size - b->head - 1, .version = p[b->head] };
	return read(&s->of.mp4, &leaf) ? pass_box(s, b) : mp4_lost(s);
}

/* Inside moov or moof. */
static bool inner_step(struct container_scan *s, const struct box *b)
{
	struct scan_mp4 *m = &s->of.mp4;
	if (m->moof) {
		switch (b->type) {
		case BOX_TRAF:
			m->track = m->usual_flags = 0;
			return enter(s, b);
		case BOX_TFHD:
			return leaf_step(s, b, tfhd_read);
		case BOX_TRUN:
			return leaf_step(s, b, trun_read);
		default:
			return pass_box(s, b);
		}
	}
	switch (b->type) {
	case BOX_TRAK:
		m->track = 0;
		return enter(s, b);
	case BOX_MDIA:
	case BOX_MVEX:
		return enter(s, b);
	case BOX_TKHD:
		return leaf_step(s, b, tkhd_read);
	case BOX_HDLR:
		return leaf_step(s, b, hdlr_read);
	case BOX_TREX:
		return leaf_step(s, b, trex_read);
	default:
		return pass_box(s, b);
	}
}

/* The moov or moof is over. */
static void outer_over(struct container_scan *s)
{
	struct scan_mp4 *m = &s->of.mp4;
	m->outer_end = 0;
	if (!m->moof)
		scan_header_done(s, has_video(m) ? "video/mp4" : "audio/mp4");
	else if (!m->absolute && (m->keyframe || !has_video(m)))
		scan_join(s, m->join_at);
}

static bool movie(struct container_scan *s, const struct box *b)
{
	struct scan_mp4 *m = &s->of.mp4;
	if (!s->collecting)
		scan_header_begin(s);
	m->outer_end = s->at + b->size;
	m->moof = m->prefix = false;
	m->count = 0;
	return enter(s, b);
}

static bool fragment(struct container_scan *s, const struct box *b)
{
	struct scan_mp4 *m = &s->of.mp4;
	m->join_at = m->prefix ? m->prefix_at : s->at;
	m->outer_end = s->at + b->size;
	m->moof = true;
	m->prefix = m->absolute = m->ran = m->keyframe = false;
	return enter(s, b);
}

static bool outer_step(struct container_scan *s, const struct box *b)
{
	struct scan_mp4 *m = &s->of.mp4;
	switch (b->type) {
	case BOX_FTYP:
		scan_header_begin(s);
		m->prefix = false;
		return pass_box(s, b);
	case BOX_MOOV:
		return movie(s, b);
	case BOX_MOOF:
		return fragment(s, b);
	case BOX_STYP:
	case BOX_SIDX:
	case BOX_EMSG:
	case BOX_PRFT:
		if (!m->prefix)
			m->prefix_at = s->at;
		m->prefix = true;
		return pass_box(s, b);
	case BOX_MDAT:
		m->prefix = false;
		return s->collecting ? mp4_lost(s) : pass_box(s, b); /* media before its header: no fragments */
	default:
		m->prefix = false;
		return pass_box(s, b);
	}
}

/* Is this a moof with its mfhd, or a moov with its mvhd, or an ftyp of usual size? */
static bool found(const struct container_scan *s, const uint8_t *p)
{
	if (p[0] != 0 || (p[4] != 'm' && p[4] != 'f')) /* none is as large as 16 MiB but a moof that nobody makes */
		return false;
	uint32_t size = scan_be32(p), inner = scan_be32(p + 8), inner_type = scan_be32(p + 12);
	if (size < 16)
		return false;
	switch (scan_be32(p + 4)) {
	case BOX_MOOF:
		return s->ready && inner == 16 && inner_type == BOX_MFHD;
	case BOX_MOOV:
		return inner_type == BOX_MVHD && (inner == 108 || inner == 120);
	case BOX_FTYP:
		return size <= 1024 && size % 4 == 0 && printable(inner);
	default:
		return false;
	}
}

static bool search(struct container_scan *s)
{
	if (!scan_search(s, FOUND_BYTES, found))
		return false;
	s->lost = false;
	return true;
}

bool mp4_step(struct container_scan *s)
{
	struct scan_mp4 *m = &s->of.mp4;
	struct box b;
	if (s->lost)
		return search(s);
	if (m->outer_end > 0 && s->at >= m->outer_end)
		outer_over(s);
	if (!box_read(s, &b))
		return false;
	if (b.head == 0)
		return mp4_lost(s);
	return m->outer_end > 0 ? inner_step(s, &b) : outer_step(s, &b);
}
