/* MP3 (layers I to III) and AAC in ADTS: frames behind each other, each with its length. ISO/IEC 11172-3 and 13818-3,
 * 13818-7; ID3v2 (id3.org) between them is passed over.
 *
 * A frame's head is some bits that any noise has, too: only frames that lead to the next one of the same kind are
 * believed. What comes to nothing as a frame is passed over as one: nothing has to be kept to look at it again, and
 * a search still finds its way within a few frames. */
#include "proto/container_private.h"

enum {
	FRAME_HEAD_BYTES = 10, /* of an ID3v2 tag; MP3 has 4, ADTS 7 */
	LIKE_MPEG = 1 << 29,
	LIKE_ADTS = 1 << 30,
};

uint64_t frames_tag(const uint8_t *p)
{
	if (p[0] != 'I' || p[1] != 'D' || p[2] != '3' || p[3] == 0xff || p[4] == 0xff)
		return 0;
	if ((p[6] | p[7] | p[8] | p[9]) & 0x80)
		return 0;
	uint64_t footer = p[5] & 0x10 ? 10 : 0;
	return 10 + ((uint64_t)p[6] << 21 | (uint64_t)p[7] << 14 | (uint64_t)p[8] << 7 | p[9]) + footer;
}

/* The length of the MPEG audio frame that begins here, and what it has in common with its neighbours; 0: none does. */
static size_t mpeg_length(const uint8_t *p, uint32_t *like)
{
	/* kbit/s by MPEG-1's layers I, II, III, then the lower rates' layer I, then their II and III. Free format is
	 * not among them: it does not say how long it is. */
	static const uint16_t kbits[5][14] = {
		{ 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448 },
		{ 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384 },
		{ 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 },
		{ 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256 },
		{ 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },
	};
	static const uint32_t mpeg1_hz[3] = { 44100, 48000, 32000 };
	unsigned version = p[1] >> 3 & 3, layer = 4 - (p[1] >> 1 & 3);
	unsigned rate = p[2] >> 2 & 3, bits = p[2] >> 4, padding = p[2] >> 1 & 1;
	if (p[0] != 0xff || p[1] < 0xe0 || version == 1 || layer == 4 || rate == 3 || bits == 0 || bits == 15)
		return 0;
	bool first = version == 3; /* MPEG-1, not 2 or 2.5 */
	unsigned row = first ? layer - 1 : layer == 1 ? 3 : 4;
	uint32_t hz = mpeg1_hz[rate] >> (first ? 0 : version == 2 ? 1 : 2);
	uint32_t bps = kbits[row][bits - 1] * 1000U;
	*like = LIKE_MPEG | (p[1] & 0x1eU) << 8 | (p[2] & 0x0cU);
	if (layer == 1)
		return (12 * bps / hz + padding) * 4;
	return (layer == 3 && !first ? 72 : 144) * bps / hz + padding;
}

static size_t adts_length(const uint8_t *p, uint32_t *like)
{
	size_t head = p[1] & 1 ? 7 : 9, len = (size_t)(p[3] & 3) << 11 | (size_t)p[4] << 3 | p[5] >> 5;
	if (p[0] != 0xff || (p[1] & 0xf6) != 0xf0 || (p[2] >> 2 & 15) > 12 || len <= head)
		return 0;
	*like = LIKE_ADTS | (uint32_t)(p[1] & 8) << 16 | (uint32_t)(p[2] & 0xfd) << 8 | (p[3] & 0xc0U);
	return len;
}

static bool frame_found(const struct container_scan *s, const uint8_t *p)
{
	uint32_t like;
	if (p[0] == 0xff)
		return adts_length(p, &like) > 0 || mpeg_length(p, &like) > 0;
	return p[0] == 'I' && frames_tag(p) > 0;
}

/* Enough frames in a row: it is this kind, or it is so again. */
static void frames_found(struct container_scan *s)
{
	struct scan_frames *f = &s->of.frames;
	if (s->kind == CONTAINER_KIND_SNIFFING) {
		s->kind = CONTAINER_KIND_FRAMES;
		f->need = 2;
		scan_header_begin(s);
		s->next_at = s->part_at;
		scan_header_done(s, f->like & LIKE_ADTS ? "audio/aac" : "audio/mpeg");
	}
	scan_join(s, f->first_at);
}

bool frames_step(struct container_scan *s)
{
	struct scan_frames *f = &s->of.frames;
	uint32_t like = 0;
	const uint8_t *p = scan_peek(s, FRAME_HEAD_BYTES);
	if (!p)
		return false;
	uint64_t tag = frames_tag(p);
	if (tag > 0) {
		scan_pass(s, tag);
		return true;
	}
	size_t len = adts_length(p, &like);
	if (len == 0)
		len = mpeg_length(p, &like);
	if (len == 0 || like != f->like)
		f->run = 0;
	if (len == 0) {
		scan_pass(s, 1);
		return s->kind == CONTAINER_KIND_SNIFFING || scan_search(s, FRAME_HEAD_BYTES, frame_found);
	}
	if (f->run == 0) {
		f->first_at = s->at;
		f->like = like;
	}
	if (f->run <= f->need)
		f->run++;
	if (f->run == f->need)
		frames_found(s);
	else if (f->run > f->need)
		scan_join(s, s->at);
	scan_pass(s, len);
	return true;
}
