/* The writers of live streams, see live_rig.h. */
#include "support/live_rig.h"

#include <string.h>

void live_init(struct live *l)
{
	*l = (struct live){ .seed = 1 };
}

void live_release(struct live *l)
{
	buf_release(&l->data);
	buf_release(&l->want);
}

void live_bytes(struct live *l, const void *data, size_t len)
{
	buf_add(&l->data, data, len);
}

void live_noise(struct live *l, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		l->seed = l->seed * 1664525 + 1013904223;
		uint8_t byte = (uint8_t)(l->seed >> 24);
		if (byte == 0xff || byte == 0x1f || byte == 0x1a || byte == 'O' || byte == 0 || byte == 'I')
			byte = 0x55;
		buf_add(&l->data, &byte, 1);
	}
}

void live_header_begin(struct live *l)
{
	l->header_at = l->data.len;
}

void live_header_end(struct live *l, const char *mime)
{
	buf_addf(&l->want, "H%zu+%zu:%s ", l->header_at, l->data.len - l->header_at, mime);
}

void live_join(struct live *l)
{
	buf_addf(&l->want, "J%zu ", l->data.len);
}

/* The last `size` bytes of value, the highest first. */
static void number(struct live *l, uint64_t value, unsigned size)
{
	for (unsigned i = size; i-- > 0;) {
		uint8_t byte = (uint8_t)(value >> (8 * i));
		buf_add(&l->data, &byte, 1);
	}
}

static void element(struct live *l, uint32_t id, const void *data, size_t len)
{
	number(l, id, id > 0xffffff ? 4 : id > 0xffff ? 3 : id > 0xff ? 2 : 1);
	number(l, 0x4000 | len, 2);
	live_bytes(l, data, len);
}

static void element_uint(struct live *l, uint32_t id, uint64_t value)
{
	uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };
	element(l, id, bytes, 4);
}

/* An element made of those that `l` got since `at`. */
static void wrap(struct live *l, size_t at, uint32_t id)
{
	struct buf inner = { 0 };
	buf_add(&inner, l->data.data + at, l->data.len - at);
	l->data.len = at;
	element(l, id, inner.data, inner.len);
	buf_release(&inner);
}

static void webm_track(struct live *l, unsigned number_is, unsigned type)
{
	size_t at = l->data.len;
	element_uint(l, 0xd7, number_is);
	element_uint(l, 0x73c5, 77 + number_is);
	element_uint(l, 0x83, type);
	element(l, 0x86, type == 1 ? "V_VP8" : "A_OPUS", type == 1 ? 5 : 6);
	wrap(l, at, 0xae);
}

void webm_header(struct live *l, bool video, bool sized)
{
	live_header_begin(l);
	size_t at = l->data.len;
	element_uint(l, 0x4286, 1);
	element(l, 0x4282, "webm", 4);
	wrap(l, at, 0x1a45dfa3);
	number(l, 0x18538067, 4);
	number(l, sized ? 0x0100000000100000 : 0x01ffffffffffffff, 8);
	at = l->data.len;
	element_uint(l, 0x2ad7b1, 1000000);
	wrap(l, at, 0x1549a966);
	at = l->data.len;
	webm_track(l, 1, 2);
	if (video)
		webm_track(l, 2, 1);
	wrap(l, at, 0x1654ae6b);
	live_header_end(l, video ? "video/webm" : "audio/webm");
}

void webm_cluster(struct live *l, size_t size)
{
	number(l, 0x1f43b675, 4);
	number(l, size ? 0x0100000000000000 | size : 0x01ffffffffffffff, 8);
	element_uint(l, 0xe7, l->time += 1000);
}

static void block_body(struct live *l, unsigned track, uint8_t flags, size_t len)
{
	number(l, 0x80 | track, 1);
	number(l, 20, 2);
	number(l, flags, 1);
	live_noise(l, len);
}

void webm_block(struct live *l, unsigned track, bool keyframe, size_t len)
{
	size_t at = l->data.len;
	block_body(l, track, keyframe ? 0x80 : 0, len);
	wrap(l, at, 0xa3);
}

void webm_group(struct live *l, unsigned track, bool refers, size_t len)
{
	size_t at = l->data.len;
	block_body(l, track, 0, len);
	wrap(l, at, 0xa1);
	element_uint(l, 0x9b, 20);
	if (refers)
		element_uint(l, 0xfb, 0xffffffec);
	wrap(l, at, 0xa0);
}

void webm_sound(struct live *l, unsigned blocks, size_t len)
{
	webm_cluster(l, 0);
	for (unsigned i = 0; i < blocks; i++)
		webm_block(l, 1, true, len);
}

void mp4_box(struct live *l, const char *type, const void *data, size_t len)
{
	number(l, len + 8, 4);
	live_bytes(l, type, 4);
	live_bytes(l, data, len);
}

/* A box made of those that `l` got since `at`. */
static void box_around(struct live *l, size_t at, const char *type)
{
	struct buf inner = { 0 };
	buf_add(&inner, l->data.data + at, l->data.len - at);
	l->data.len = at;
	mp4_box(l, type, inner.data, inner.len);
	buf_release(&inner);
}

static void mp4_track(struct live *l, uint32_t id, const char *handler)
{
	uint8_t tkhd[84] = { [15] = (uint8_t)id }, hdlr[25] = { 0 };
	memcpy(hdlr + 8, handler, 4);
	size_t trak = l->data.len;
	mp4_box(l, "tkhd", tkhd, sizeof tkhd);
	size_t mdia = l->data.len;
	mp4_box(l, "hdlr", hdlr, sizeof hdlr);
	box_around(l, mdia, "mdia");
	box_around(l, trak, "trak");
}

static void mp4_trex(struct live *l, uint32_t id, uint32_t flags)
{
	size_t at = l->data.len;
	number(l, 0, 4);
	number(l, id, 4);
	number(l, 1, 4);
	number(l, 0, 8);
	number(l, flags, 4);
	box_around(l, at, "trex");
}

void mp4_header(struct live *l, bool video, uint32_t usual_flags)
{
	uint8_t mvhd[100] = { 0 };
	live_header_begin(l);
	mp4_box(l, "ftyp", "iso5\0\0\2\0iso6mp41", 16);
	size_t moov = l->data.len;
	mp4_box(l, "mvhd", mvhd, sizeof mvhd);
	mp4_track(l, 1, "soun");
	if (video)
		mp4_track(l, 2, "vide");
	size_t mvex = l->data.len;
	mp4_trex(l, 1, 0);
	if (video)
		mp4_trex(l, 2, usual_flags);
	box_around(l, mvex, "mvex");
	box_around(l, moov, "moov");
	live_header_end(l, video ? "video/mp4" : "audio/mp4");
}

static void mp4_traf(struct live *l, uint32_t id, enum mp4_says says, uint32_t flags, bool base)
{
	size_t traf = l->data.len, at = traf;
	number(l, (base ? 0x1 : 0x20000) | 0x8 | (says == SAYS_TFHD ? 0x20 : 0), 4);
	number(l, id, 4);
	if (base)
		number(l, 4711, 8);
	number(l, 1024, 4);
	if (says == SAYS_TFHD)
		number(l, flags, 4);
	box_around(l, at, "tfhd");
	at = l->data.len;
	number(l, 0x1 | 0x200 | (says == SAYS_FIRST ? 0x4 : says == SAYS_SAMPLE ? 0x400 : 0), 4);
	number(l, 1, 4);
	number(l, 200, 4);
	if (says == SAYS_FIRST)
		number(l, flags, 4);
	number(l, 1500, 4);
	if (says == SAYS_SAMPLE)
		number(l, flags, 4);
	box_around(l, at, "trun");
	at = l->data.len; /* another run, of usual samples: it decides nothing */
	number(l, 0x200, 4);
	number(l, 1, 4);
	number(l, 1500, 4);
	box_around(l, at, "trun");
	box_around(l, traf, "traf");
}

static void mp4_media(struct live *l, size_t moof)
{
	box_around(l, moof, "moof");
	size_t mdat = l->data.len;
	live_noise(l, 3000);
	box_around(l, mdat, "mdat");
}

void mp4_fragment(struct live *l, bool base)
{
	size_t moof = l->data.len;
	mp4_box(l, "mfhd", "\0\0\0\0\0\0\0\1", 8);
	mp4_traf(l, 1, SAYS_TREX, 0, base);
	mp4_media(l, moof);
}

void mp4_video(struct live *l, enum mp4_says says, uint32_t flags)
{
	size_t moof = l->data.len;
	mp4_box(l, "mfhd", "\0\0\0\0\0\0\0\1", 8);
	mp4_traf(l, 2, says, flags, false);
	mp4_traf(l, 1, SAYS_TREX, 0, false);
	mp4_media(l, moof);
}

static void number_le(struct live *l, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++, value >>= 8)
		buf_add(&l->data, &(uint8_t){ (uint8_t)value }, 1);
}

void ogg_page(struct live *l, const struct ogg_page *page)
{
	size_t segments = page->len / 255 + (page->open ? 0 : 1);
	live_bytes(l, "OggS", 5);
	number(l, page->flags, 1);
	number_le(l, page->granule, 8);
	number_le(l, page->serial, 4);
	number(l, 0, 8); /* number and checksum */
	number(l, segments, 1);
	for (size_t i = 0; i < segments; i++)
		number(l, (i + 1) * 255 <= page->len ? 255 : page->len % 255, 1);
	live_bytes(l, page->begin, page->begin_len);
	live_noise(l, page->len - page->begin_len);
}

void ogg_opus(struct live *l, uint32_t serial)
{
	live_header_begin(l);
	ogg_page(l, &(struct ogg_page){ serial, OGG_BEGINS, 0, "OpusHead\1\2", 10, 19, false });
	ogg_page(l, &(struct ogg_page){ serial, 0, 0, "OpusTags", 8, 510, true });
	ogg_page(l, &(struct ogg_page){ serial, OGG_CONTINUES, 0, "", 0, 300, false });
	live_header_end(l, "audio/ogg");
}

void mp3_frames(struct live *l, unsigned count)
{
	for (unsigned i = 0; i < count; i++) { /* MPEG-1, III, 320 kbit/s, 48 kHz */
		live_bytes(l, "\xff\xfb\xe4\x64", 4);
		live_noise(l, 960 - 4);
	}
}

void adts_frames(struct live *l, unsigned count)
{
	for (unsigned i = 0; i < count; i++) { /* AAC-LC, 48 kHz, two channels, 700 bytes */
		live_bytes(l, "\xff\xf1\x4c\x80\x57\x9f\xfc", 7);
		live_noise(l, 700 - 7);
	}
}

void id3_tag(struct live *l, size_t len)
{
	live_bytes(l, "ID3\4\0\0", 6);
	number(l, (uint64_t)(len >> 21 & 127) << 24 | (len >> 14 & 127) << 16 | (len >> 7 & 127) << 8 | (len & 127), 4);
	live_noise(l, len);
}
