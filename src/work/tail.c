/* The ends of parts, see tail.h. RFC 8794 and 9559 (EBML, Matroska), RFC 3533 (Ogg),
 * ISO/IEC 11172-3 and 13818-7 (MPEG audio, ADTS), RFC 9639 (FLAC). */
#include "work/tail.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS = 100000, ID_SEGMENT = 0x18538067, ID_CLUSTER = 0x1f43b675, ID_GROUP = 0xa0 };

struct element {
	uint32_t id;
	bool endless; /* its size is not known: it ends with what it is in */
	uint64_t content, end;
};

/* The element at `at`; false: its head is not there, or is none. */
static bool element_at(const struct range *range, uint64_t at, struct element *e)
{
	uint8_t h[12];
	size_t got;
	uint64_t left = range->end - at;
	if (sniff_read(range->fd, at, h, left < sizeof h ? (size_t)left : sizeof h, &got) || got < 2 || h[0] < 0x10)
		return false;
	unsigned id_len = (unsigned)__builtin_clz(h[0]) - 23;
	if (id_len >= got || h[id_len] == 0)
		return false;
	unsigned len = (unsigned)__builtin_clz(h[id_len]) - 23;
	if (id_len + len > got)
		return false;
	e->id = 0;
	for (unsigned i = 0; i < id_len; i++)
		e->id = e->id << 8 | h[i];
	uint64_t size = h[id_len] & (0xffU >> len);
	for (unsigned i = 1; i < len; i++)
		size = size << 8 | h[id_len + i];
	e->endless = size == (1ULL << 7 * len) - 1;
	e->content = at + id_len + len;
	if (!e->endless && size > LIMIT_NUMBER)
		return false;
	e->end = e->content + size;
	return true;
}

/* The head of the block whose content begins at `at`, behind an ID of one byte and a size of one to eight. */
static uint64_t block_head(const struct range *range, uint64_t at)
{
	uint8_t h[9];
	size_t got;
	struct element e;
	if (at < range->begin + sizeof h || sniff_read(range->fd, at - sizeof h, h, sizeof h, &got) || got < sizeof h)
		return 0;
	for (unsigned len = 1; len <= 8; len++) {
		uint8_t id = h[sizeof h - len - 1];
		if ((id == 0xa3 || id == 0xa1) && element_at(range, at - len - 1, &e) && e.content == at && !e.endless)
			return at - len - 1;
	}
	return 0;
}

/* From `at`, element by element: does one of them end behind the end? What holds others is entered. */
static bool ebml_cut(const struct range *range, uint64_t at, bool to_cluster)
{
	struct element e;
	for (int i = 0; i < STEPS && at < range->end; i++) {
		if (!element_at(range, at, &e))
			return true;
		if (!e.endless && e.end > range->end)
			return true;
		if (e.id == ID_CLUSTER && to_cluster)
			return false;
		at = e.endless || e.id == ID_SEGMENT || e.id == ID_CLUSTER || e.id == ID_GROUP ? e.content : e.end;
	}
	return false;
}

/* The last page of Ogg ends where the bytes end. */
static bool ogg_cut(const struct range *range)
{
	enum { MOST = 65307 }; /* a page's most bytes */
	uint64_t size = range->end - range->begin, from = size > MOST ? range->end - MOST : range->begin;
	uint8_t *data = malloc(MOST);
	size_t got = 0;
	bool cut = true;
	if (!data || sniff_read(range->fd, from, data, (size_t)(range->end - from), &got) || got < 27) {
		free(data);
		return false;
	}
	for (size_t at = got - 27 + 1; at-- > 0;) {
		if (memcmp(data + at, "OggS", 5) != 0 || at + 27 + data[at + 26] > got)
			continue;
		size_t end = at + 27 + data[at + 26];
		for (unsigned i = 0; i < data[at + 26]; i++)
			end += data[at + 27 + i];
		cut = end != got;
		break;
	}
	free(data);
	return cut;
}

/* From the last frame that was read on, frame by frame: does one of them end behind the end? Tags may follow. */
static bool frames_cut(const struct range *range, enum container c, uint64_t at)
{
	uint8_t h[7];
	size_t got, len;
	for (int i = 0; i < STEPS && at < range->end; i++) {
		if (sniff_read(range->fd, at, h, sizeof h, &got))
			return false;
		if (range->end - at < sizeof h)
			return h[0] == 0xff && (range->end - at < 2 || h[1] >= 0xe0);
		len = got < sizeof h ? 0 : sniff_frame(c, h);
		if (len == 0)
			return false;
		at += len;
	}
	return at > range->end;
}

/* The last frame of FLAC ends with its CRC-16, which makes that of all of it 0. An ID3v1 tag may follow. */
static bool flac_cut(const struct range *range, uint64_t at)
{
	size_t size = (size_t)(range->end - at), got = 0;
	uint8_t *data = range->end - at <= LIMIT_MEDIA_TAIL_BYTES ? malloc(size) : NULL;
	if (!data || sniff_read(range->fd, at, data, size, &got) || got < size) {
		free(data);
		return false;
	}
	if (size > 128 && memcmp(data + size - 128, "TAG", 3) == 0)
		size -= 128;
	unsigned crc = 0;
	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned)data[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 0x8000 ? crc << 1 ^ 0x8005 : crc << 1) & 0xffff;
	}
	free(data);
	return crc != 0;
}

bool tail_cut(const struct range *range, enum container container, int64_t last)
{
	if (container == CONTAINER_OGG)
		return ogg_cut(range);
	if (last >= 0 && (container == CONTAINER_MP3 || container == CONTAINER_ADTS))
		return frames_cut(range, container, range->begin + (uint64_t)last);
	if (last >= 0 && container == CONTAINER_FLAC)
		return flac_cut(range, range->begin + (uint64_t)last);
	if (container != CONTAINER_WEBM && container != CONTAINER_MATROSKA)
		return false;
	if (ebml_cut(range, range->begin, true))
		return true;
	uint64_t head = last < 0 ? 0 : block_head(range, range->begin + (uint64_t)last);
	return head && ebml_cut(range, head, false);
}
