/* WebM and Matroska: RFC 8794 (EBML), RFC 9559 (Matroska).
 *
 * The elements are read flat: of those with content of interest only the head is passed over, so that what is inside
 * comes next, and all others are passed over whole. So Segments and Clusters without a length, as recorders in
 * browsers write them, are as good as others. Inside of a track's entry an element that is not known is passed over;
 * elsewhere the known ones are all there is, and everything else is noise. */
#include "proto/container_private.h"

#include <string.h>

enum {
	ID_EBML = 0x1a45dfa3,
	ID_DOC_TYPE = 0x4282,
	ID_SEGMENT = 0x18538067,
	ID_TRACKS = 0x1654ae6b,
	ID_TRACK_ENTRY = 0xae,
	ID_TRACK_NUMBER = 0xd7,
	ID_TRACK_TYPE = 0x83,
	ID_CLUSTER = 0x1f43b675,
	ID_TIMECODE = 0xe7,
	ID_SIMPLE_BLOCK = 0xa3,
	ID_BLOCK_GROUP = 0xa0,
	ID_BLOCK = 0xa1,
	ID_REFERENCE = 0xfb,
	ID_VOID = 0xec,
	ID_CRC = 0xbf,
	TYPE_VIDEO = 1,
	BLOCK_KEYFRAME = 0x80,
	FOUND_BYTES = 14, /* a Cluster's id, its length, and the head of what is in it */
};

/* The head of an element. */
struct head {
	uint32_t id;
	unsigned size;	      /* of the head itself */
	uint64_t length;      /* of the content; UINT64_MAX: not known */
	unsigned length_size; /* how wide that is written */
};

enum head_result { HEAD_MORE, HEAD_WRONG, HEAD_READ };

bool webm_begins(const uint8_t *p)
{
	return scan_be32(p) == ID_EBML;
}

/* How many bytes the number that begins with this byte has; 9: it is none. */
static unsigned vint_size(uint8_t first)
{
	return first ? (unsigned)__builtin_clz(first) - 24 + 1 : 9;
}

/* A number of `size` bytes; UINT64_MAX for the one that means "not known". */
static uint64_t vint_read(const uint8_t *p, unsigned size)
{
	uint64_t value = p[0] & (0xffU >> size), most = (1ULL << (7 * size)) - 1;
	for (unsigned i = 1; i < size; i++)
		value = value << 8 | p[i];
	return value == most ? UINT64_MAX : value;
}

static uint64_t uint_read(const uint8_t *p, size_t size)
{
	uint64_t value = 0;
	for (size_t i = 0; i < size; i++)
		value = value << 8 | p[i];
	return value;
}

static enum head_result head_read(struct container_scan *s, struct head *h)
{
	const uint8_t *p = scan_peek(s, 1);
	if (!p)
		return HEAD_MORE;
	unsigned id_size = vint_size(p[0]);
	if (id_size > 4)
		return HEAD_WRONG;
	p = scan_peek(s, id_size + 1);
	if (!p)
		return HEAD_MORE;
	h->length_size = vint_size(p[id_size]);
	if (h->length_size > 8)
		return HEAD_WRONG;
	h->size = id_size + h->length_size;
	p = scan_peek(s, h->size);
	if (!p)
		return HEAD_MORE;
	h->id = (uint32_t)uint_read(p, id_size);
	h->length = vint_read(p + id_size, h->length_size);
	return HEAD_READ;
}

static bool webm_lost(struct container_scan *s)
{
	s->of.webm.pending = false;
	s->of.webm.group_end = 0;
	return scan_lost(s);
}

static bool pass_whole(struct container_scan *s, const struct head *h)
{
	if (h->length > LIMIT_LIVE_ELEMENT_BYTES)
		return webm_lost(s);
	scan_pass(s, h->size + h->length);
	return true;
}

static bool pass_head(struct container_scan *s, const struct head *h)
{
	scan_pass(s, h->size);
	return true;
}

/* Like pass_head, of an element of the header: it bounds what is in it. */
static bool enter(struct container_scan *s, const struct head *h)
{
	s->of.webm.until = h->length > LIMIT_LIVE_ELEMENT_BYTES ? 0 : s->at + h->size + h->length;
	return pass_head(s, h);
}

/* A document begins, the first one or another. */
static bool document(struct container_scan *s, const struct head *h)
{
	memset(&s->of.webm, 0, sizeof s->of.webm);
	scan_header_begin(s);
	return enter(s, h);
}

/* The Segment's length is that from the stream's begin, and who joins later gets another one: what is collected says
 * that it isn't known. */
static void length_forget(struct container_scan *s)
{
	struct scan_webm *w = &s->of.webm;
	if (w->length_size == 0)
		return;
	memset(s->next.data + w->length_at, 0xff, w->length_size);
	s->next.data[w->length_at] = (char)(0xffU >> (w->length_size - 1));
}

static bool cluster(struct container_scan *s, const struct head *h)
{
	struct scan_webm *w = &s->of.webm;
	if (!w->body) {
		length_forget(s);
		w->body = true;
		scan_header_done(s, w->video  ? w->webm ? "video/webm" : "video/x-matroska"
				    : w->webm ? "audio/webm"
					      : "audio/x-matroska");
	}
	w->cluster_at = s->at;
	w->until = h->length == UINT64_MAX ? UINT64_MAX : s->at + h->size + h->length;
	w->pending = true;
	w->dated = false;
	return pass_head(s, h);
}

/* Number and type of a track, in any order. */
static bool track_field(struct container_scan *s, const struct head *h, uint64_t *field)
{
	struct scan_webm *w = &s->of.webm;
	if (h->length < 1 || h->length > 8)
		return webm_lost(s);
	const uint8_t *p = scan_peek(s, h->size + (size_t)h->length);
	if (!p)
		return false;
	*field = uint_read(p + h->size, (size_t)h->length);
	if (w->type == TYPE_VIDEO && w->number > 0 && w->video == 0)
		w->video = w->number;
	return pass_whole(s, h);
}

static bool doc_type(struct container_scan *s, const struct head *h)
{
	if (h->length == 4) {
		const uint8_t *p = scan_peek(s, h->size + 4);
		if (!p)
			return false;
		s->of.webm.webm = memcmp(p + h->size, "webm", 4) == 0;
	}
	return pass_whole(s, h);
}

/* What else may stand in a Cluster or a BlockGroup, or in a Segment behind Clusters. */
static bool passed_over(uint32_t id)
{
	switch (id) {
	case ID_VOID:
	case ID_CRC:
	case 0xa7:	 /* Position */
	case 0xab:	 /* PrevSize */
	case 0x5854:	 /* SilentTracks */
	case 0xaf:	 /* EncryptedBlock */
	case 0xa2:	 /* BlockVirtual */
	case 0x75a1:	 /* BlockAdditions */
	case 0x9b:	 /* BlockDuration */
	case 0xfa:	 /* ReferencePriority */
	case 0xfd:	 /* ReferenceVirtual */
	case 0xa4:	 /* CodecState */
	case 0x75a2:	 /* DiscardPadding */
	case 0x8e:	 /* Slices */
	case 0xc8:	 /* ReferenceFrame */
	case 0x114d9b74: /* SeekHead */
	case 0x1549a966: /* Info */
	case ID_TRACKS:
	case 0x1c53bb6b: /* Cues */
	case 0x1941a469: /* Attachments */
	case 0x1043a770: /* Chapters */
	case 0x1254c367: /* Tags */
		return true;
	default:
		return false;
	}
}

/* Does what begins here end where what it is in ends, at the latest? */
static bool fits(const struct container_scan *s, const struct head *h)
{
	const struct scan_webm *w = &s->of.webm;
	uint64_t within = w->group_end > 0 ? w->group_end : s->at < w->until ? w->until : UINT64_MAX;
	return within == UINT64_MAX || (h->length <= within && s->at + h->size + h->length <= within);
}

static bool header_step(struct container_scan *s, const struct head *h)
{
	struct scan_webm *w = &s->of.webm;
	if (!fits(s, h))
		return webm_lost(s);
	switch (h->id) {
	case ID_EBML:
		return document(s, h);
	case ID_DOC_TYPE:
		return doc_type(s, h);
	case ID_SEGMENT:
		w->length_at = s->next.len + h->size - h->length_size;
		w->length_size = h->length_size;
		return pass_head(s, h);
	case ID_TRACKS:
		return enter(s, h);
	case ID_TRACK_ENTRY:
		w->number = w->type = 0;
		return enter(s, h);
	case ID_TRACK_NUMBER:
		return track_field(s, h, &w->number);
	case ID_TRACK_TYPE:
		return track_field(s, h, &w->type);
	case ID_CLUSTER:
		return cluster(s, h);
	default:
		return s->at < w->until || passed_over(h->id) ? pass_whole(s, h) : webm_lost(s);
	}
}

/* The first block of video decides whether its Cluster is a join. */
static void block_judge(struct scan_webm *w, struct container_scan *s, bool keyframe)
{
	w->pending = false;
	if (keyframe && w->dated)
		scan_join(s, w->cluster_at);
}

static bool block(struct container_scan *s, const struct head *h)
{
	struct scan_webm *w = &s->of.webm;
	if (w->pending && w->video > 0) {
		const uint8_t *p = scan_peek(s, h->size + 1);
		if (!p)
			return false;
		unsigned track_size = vint_size(p[h->size]), head = track_size + 3; /* and a time, and flags */
		if (track_size > 8 || h->length < head)
			return webm_lost(s);
		p = scan_peek(s, h->size + head);
		if (!p)
			return false;
		if (vint_read(p + h->size, track_size) == w->video) {
			if (h->id == ID_SIMPLE_BLOCK)
				block_judge(w, s, p[h->size + head - 1] & BLOCK_KEYFRAME);
			else
				w->group_video = w->group_end > 0;
		}
	}
	return pass_whole(s, h);
}

static bool block_group(struct container_scan *s, const struct head *h)
{
	struct scan_webm *w = &s->of.webm;
	if (h->length > LIMIT_LIVE_ELEMENT_BYTES)
		return webm_lost(s);
	w->group_end = s->at + h->size + h->length;
	w->group_video = w->group_refers = false;
	return pass_head(s, h);
}

static void group_over(struct container_scan *s)
{
	struct scan_webm *w = &s->of.webm;
	w->group_end = 0;
	if (w->pending && w->group_video)
		block_judge(w, s, !w->group_refers);
}

static bool body_step(struct container_scan *s, const struct head *h)
{
	struct scan_webm *w = &s->of.webm;
	if (!fits(s, h))
		return webm_lost(s);
	switch (h->id) {
	case ID_EBML:
		return document(s, h);
	case ID_CLUSTER:
		return cluster(s, h);
	case ID_TIMECODE:
		w->dated = true;
		if (w->pending && w->video == 0)
			block_judge(w, s, true);
		return pass_whole(s, h);
	case ID_SIMPLE_BLOCK:
	case ID_BLOCK:
		return block(s, h);
	case ID_BLOCK_GROUP:
		return block_group(s, h);
	case ID_REFERENCE:
		w->group_refers = true;
		return pass_whole(s, h);
	default:
		return passed_over(h->id) ? pass_whole(s, h) : webm_lost(s);
	}
}

/* Is this an EBML header, or a Cluster with its Timecode (or a checksum or padding before that)? */
static bool found(const struct container_scan *s, const uint8_t *p)
{
	if (p[0] != 0x1a && p[0] != 0x1f)
		return false;
	uint32_t id = scan_be32(p);
	unsigned size = vint_size(p[4]);
	if ((id != ID_EBML && id != ID_CLUSTER) || size > 8)
		return false;
	uint64_t length = vint_read(p + 4, size);
	uint8_t first = p[4 + size];
	if (id == ID_EBML)
		return length < 256 && (first == 0x42 || first == ID_VOID || first == ID_CRC);
	return s->ready && (first == ID_TIMECODE || first == ID_CRC || first == ID_VOID);
}

static bool search(struct container_scan *s)
{
	if (!scan_search(s, FOUND_BYTES, found))
		return false;
	s->lost = false;
	s->of.webm.until = UINT64_MAX;
	return true;
}

bool webm_step(struct container_scan *s)
{
	struct scan_webm *w = &s->of.webm;
	struct head h = { 0 };
	if (s->lost)
		return search(s);
	if (w->group_end > 0 && s->at >= w->group_end)
		group_over(s);
	switch (head_read(s, &h)) {
	case HEAD_MORE:
		return false;
	case HEAD_WRONG:
		return webm_lost(s);
	case HEAD_READ:
		break;
	}
	return w->body ? body_step(s, &h) : header_step(s, &h);
}
