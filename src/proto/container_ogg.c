/* Ogg: RFC 3533 (pages), RFC 7845 (Opus), and the mappings of Vorbis, FLAC, Theora and Speex.
 *
 * The header is the pages up to the one with which each stream's last header packet ends; of a codec that is not known,
 * up to the first page at which time is not 0. A page's checksum is not computed: behind a broken place the second page
 * in a row is believed. */
#include "proto/container_private.h"

#include <string.h>

enum {
	PAGE_HEAD = 27,
	PAGE_CONTINUES = 1, /* flags: begins inside of a packet */
	PAGE_BEGINS = 2,    /* is a stream's first */
	CODEC_BYTES = 9,    /* of the first packet: they name the codec */
	LEFT_UNKNOWN = -1,
	FOUND_BYTES = 6,
};

struct page {
	uint64_t size, granule;
	uint32_t serial;
	uint8_t flags;
	unsigned head, packets; /* bytes before the body; packets that end in it */
	uint8_t body[CODEC_BYTES];
	unsigned body_len; /* of `body` */
};

bool ogg_begins(const uint8_t *p)
{
	return memcmp(p, "OggS", 5) == 0 && p[5] < 8;
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Sets page->head to 0 when none begins here; false: more bytes are needed. */
static bool page_read(struct container_scan *s, struct page *page)
{
	size_t body = 0;
	*page = (struct page){ 0 };
	const uint8_t *p = scan_peek(s, PAGE_HEAD);
	if (!p)
		return false;
	if (!ogg_begins(p))
		return true;
	unsigned segments = p[26];
	p = scan_peek(s, PAGE_HEAD + segments);
	if (!p)
		return false;
	for (unsigned i = 0; i < segments; i++) {
		body += p[PAGE_HEAD + i];
		page->packets += p[PAGE_HEAD + i] < 255;
	}
	page->body_len = body < CODEC_BYTES ? (unsigned)body : CODEC_BYTES;
	p = scan_peek(s, PAGE_HEAD + segments + page->body_len);
	if (!p)
		return false;
	page->head = PAGE_HEAD + segments;
	page->size = page->head + body;
	page->flags = p[5];
	page->granule = (uint64_t)le32(p + 10) << 32 | le32(p + 6);
	page->serial = le32(p + 14);
	memcpy(page->body, p + page->head, page->body_len);
	/* A first packet of no bytes: what lies in the body is another's. */
	if (segments > 0 && p[PAGE_HEAD] == 0)
		page->body_len = 0;
	return true;
}

static bool ogg_lost(struct container_scan *s)
{
	s->of.ogg.run = 0;
	s->of.ogg.complete = false;
	return scan_lost(s);
}

/* The stream's header packets, this first one among them, and whether it is video. */
static void stream_judge(struct scan_ogg_stream *stream, const struct page *page)
{
	static const struct {
		const char *magic;
		uint8_t len;
		int8_t packets;
		bool video;
	} codecs[] = {
		{ "OpusHead", 8, 2, false },
		{ "\x01vorbis", 7, 3, false },
		{ "\x80theora", 7, 3, true },
		{ "Speex   ", 8, 2, false },
		{ "fishead", 8, LEFT_UNKNOWN, false },
		{ "\x7f"
		  "FLAC",
		  5, 0, false },
	};
	stream->left = LEFT_UNKNOWN;
	for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
		if (page->body_len < codecs[i].len || memcmp(page->body, codecs[i].magic, codecs[i].len) != 0)
			continue;
		stream->left = codecs[i].packets;
		stream->video = codecs[i].video;
	}
	if (stream->left == 0) { /* FLAC says how many follow, or 0 */
		int follow = page->body_len == CODEC_BYTES ? page->body[7] << 8 | page->body[8] : 0;
		stream->left = follow > 0 ? follow + 1 : LEFT_UNKNOWN;
	}
}

static struct scan_ogg_stream *stream_find(struct scan_ogg *o, uint32_t serial)
{
	for (size_t i = 0; i < o->count; i++) {
		if (o->streams[i].serial == serial)
			return &o->streams[i];
	}
	return NULL;
}

static void stream_begin(struct container_scan *s, const struct page *page)
{
	struct scan_ogg *o = &s->of.ogg;
	if (!s->collecting || o->data) { /* another chain */
		scan_header_begin(s);
		o->count = 0;
		o->data = false;
	}
	if (o->count == LIMIT_LIVE_STREAMS) {
		scan_give_up(s);
		return;
	}
	struct scan_ogg_stream *stream = &o->streams[o->count++];
	*stream = (struct scan_ogg_stream){ .serial = page->serial };
	stream_judge(stream, page);
}

/* Is nothing left of any header? With `time_began` none of those that are not known is either. */
static bool header_whole(const struct scan_ogg *o, bool time_began)
{
	for (size_t i = 0; i < o->count; i++) {
		if (o->streams[i].left > 0 || (o->streams[i].left < 0 && !time_began))
			return false;
	}
	return true;
}

static void header_done(struct container_scan *s)
{
	const struct scan_ogg *o = &s->of.ogg;
	bool video = false;
	for (size_t i = 0; i < o->count; i++)
		video = video || o->streams[i].video;
	scan_header_done(s, video ? "video/ogg" : "audio/ogg");
}

static void header_page(struct container_scan *s, const struct page *page)
{
	struct scan_ogg *o = &s->of.ogg;
	struct scan_ogg_stream *stream = stream_find(o, page->serial);
	o->data = !(page->flags & PAGE_BEGINS);
	if (o->data && page->granule != 0 && header_whole(o, true)) {
		header_done(s); /* before this page, which may be the first join */
		return;
	}
	if (stream && stream->left > 0)
		stream->left = (unsigned)stream->left > page->packets ? stream->left - (int)page->packets : 0;
	o->complete = header_whole(o, false);
}

/* A page of the header's streams at which a decoder may begin; with video only at a keyframe of it. */
static bool page_joins(struct scan_ogg *o, const struct page *page)
{
	const struct scan_ogg_stream *stream = stream_find(o, page->serial);
	if (!stream || (page->flags & PAGE_CONTINUES) || page->head == PAGE_HEAD)
		return false;
	bool video = false;
	for (size_t i = 0; i < o->count; i++)
		video = video || o->streams[i].video;
	/* Theora: the first bit says that it is a header, the second that it is made from other frames */
	return !video || (stream->video && page->body_len > 0 && (page->body[0] & 0xc0) == 0);
}

static bool found(const struct container_scan *s, const uint8_t *p)
{
	return p[0] == 'O' && ogg_begins(p);
}

static bool search(struct container_scan *s)
{
	if (!scan_search(s, FOUND_BYTES, found))
		return false;
	s->lost = false;
	return true;
}

bool ogg_step(struct container_scan *s)
{
	struct scan_ogg *o = &s->of.ogg;
	struct page page;
	if (s->lost)
		return search(s);
	if (o->complete) {
		o->complete = false;
		header_done(s);
	}
	if (!page_read(s, &page))
		return false;
	if (page.head == 0)
		return ogg_lost(s);
	if (page.flags & PAGE_BEGINS)
		stream_begin(s, &page);
	if (s->collecting)
		header_page(s, &page);
	if (s->ready && o->run > 0 && page_joins(o, &page))
		scan_join(s, s->at);
	if (o->run < 2)
		o->run++;
	scan_pass(s, page.size);
	return true;
}
