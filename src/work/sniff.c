/* Containers by their bytes, see sniff.h. Formats: RFC 8794 and 9559 (EBML, Matroska), ISO/IEC 14496-12 (boxes),
 * RFC 3533 (Ogg), ISO/IEC 11172-3 and 13818-7 (MPEG audio, ADTS), RFC 9639 (FLAC), id3.org (ID3v2). */
#include "work/sniff.h"

#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct container_row rows[CONTAINER_COUNT] = {
	[CONTAINER_NONE] = { NULL, NULL, "", "application/octet-stream", "application/octet-stream" },
	[CONTAINER_WEBM] = { "matroska", "webm", "webm", "video/webm", "audio/webm" },
	[CONTAINER_MATROSKA] = { "matroska", "matroska", "mkv", "video/x-matroska", "audio/x-matroska" },
	[CONTAINER_MP4] = { "mov", "mp4", "mp4", "video/mp4", "audio/mp4" },
	[CONTAINER_OGG] = { "ogg", "ogg", "ogg", "video/ogg", "audio/ogg" },
	[CONTAINER_WAV] = { "wav", "wav", "wav", "audio/wav", "audio/wav" },
	[CONTAINER_MP3] = { "mp3", "mp3", "mp3", "audio/mpeg", "audio/mpeg" },
	[CONTAINER_ADTS] = { "aac", "mp4", "mp4", "video/mp4", "audio/mp4" },
	[CONTAINER_FLAC] = { "flac", "flac", "flac", "audio/flac", "audio/flac" },
};

const struct container_row *container_row(enum container c)
{
	return &rows[c];
}

enum err sniff_read(int fd, uint64_t at, void *out, size_t size, size_t *got)
{
	*got = 0;
	while (*got < size) {
		ssize_t n = pread(fd, (char *)out + *got, size - *got, (off_t)(at + *got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_READ_FAILED;
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return ERR_OK;
}

/* The document's type stands in the EBML header, which is some forty bytes long. */
static enum container sniff_ebml(const uint8_t *data, size_t len)
{
	size_t most = len < 256 ? len : 256;
	const uint8_t *type = memmem(data, most, "\x42\x82", 2);
	if (!type || type + 3 + 4 > data + most)
		return CONTAINER_MATROSKA;
	return type[2] == 0x84 && memcmp(type + 3, "webm", 4) == 0 ? CONTAINER_WEBM : CONTAINER_MATROSKA;
}

static bool sniff_box(const uint8_t *data, size_t len)
{
	static const char types[][5] = {
		"ftyp", "styp", "moov", "moof", "mdat", "free", "skip", "wide", "sidx", "pnot"
	};
	if (len < 8)
		return false;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (memcmp(data + 4, types[i], 4) == 0)
			return true;
	}
	return false;
}

/* The length of the MPEG audio frame (layers I to III) that begins here; 0: none does. */
static size_t mpeg_frame(const uint8_t *h)
{
	static const uint16_t kbits[5][16] = {
		{ 0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448, 0 }, /* 1, I */
		{ 0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0 },    /* 1, II */
		{ 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0 },     /* 1, III */
		{ 0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 0 },    /* 2, I */
		{ 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0 },	     /* 2, II and III */
	};
	static const unsigned rates[3] = { 44100, 48000, 32000 };
	unsigned version = h[1] >> 3 & 3, layer = 4 - (h[1] >> 1 & 3); /* version 3: 1, 2: 2, 0: 2.5 */
	unsigned rate = h[2] >> 2 & 3, pad = h[2] >> 1 & 1;
	if (h[0] != 0xff || h[1] < 0xe0 || version == 1 || layer == 4 || rate == 3)
		return 0;
	unsigned row = version == 3 ? layer - 1 : layer == 1 ? 3 : 4;
	unsigned bits = kbits[row][h[2] >> 4] * 1000, hz = rates[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
	if (bits == 0)
		return 0;
	if (layer == 1)
		return (12 * bits / hz + pad) * 4;
	return (layer == 3 && version != 3 ? 72 : 144) * bits / hz + pad;
}

/* The length of the ADTS frame that begins here; 0: none does. */
static size_t adts_frame(const uint8_t *h)
{
	size_t len = (size_t)(h[3] & 3) << 11 | (size_t)h[4] << 3 | h[5] >> 5;
	return h[0] == 0xff && (h[1] & 0xf6) == 0xf0 && (h[2] >> 2 & 15) < 13 && len > 7 ? len : 0;
}

size_t sniff_frame(enum container c, const uint8_t *h)
{
	return c == CONTAINER_ADTS ? adts_frame(h) : mpeg_frame(h);
}

/* Three frames behind each other, or as many as there are: two bytes alone are in any noise. */
static bool frames(const uint8_t *data, size_t len, size_t (*frame)(const uint8_t *))
{
	size_t at = 0;
	for (int i = 0; i < 3; i++) {
		if (len - at < 7)
			return i > 0;
		size_t size = frame(data + at);
		if (size == 0)
			return false;
		if (size > len - at)
			return i > 0;
		at += size;
	}
	return true;
}

static enum container sniff_bytes(const uint8_t *data, size_t len)
{
	if (len >= 5 && memcmp(data, "\x1a\x45\xdf\xa3", 4) == 0)
		return sniff_ebml(data, len);
	if (len >= 27 && memcmp(data, "OggS", 5) == 0)
		return CONTAINER_OGG;
	if (len >= 12 && (memcmp(data, "RIFF", 4) == 0 || memcmp(data, "RF64", 4) == 0) &&
	    memcmp(data + 8, "WAVE", 4) == 0)
		return CONTAINER_WAV;
	if (len >= 8 && memcmp(data, "fLaC", 4) == 0)
		return CONTAINER_FLAC;
	if (sniff_box(data, len))
		return CONTAINER_MP4;
	if (frames(data, len, adts_frame))
		return CONTAINER_ADTS;
	if (frames(data, len, mpeg_frame))
		return CONTAINER_MP3;
	return CONTAINER_NONE;
}

enum err sniff(int fd, uint64_t begin, uint64_t end, enum container *out)
{
	uint8_t *data = malloc(LIMIT_MEDIA_SNIFF_BYTES);
	enum err err = data ? ERR_OK : ERR_NO_MEMORY;
	*out = CONTAINER_NONE;
	/* An ID3v2 tag or two stand before MP3, and sometimes before ADTS and FLAC. */
	for (int tags = 0; !err && tags < 3; tags++) {
		size_t most = end - begin < LIMIT_MEDIA_SNIFF_BYTES ? (size_t)(end - begin) : LIMIT_MEDIA_SNIFF_BYTES;
		size_t len;
		err = sniff_read(fd, begin, data, most, &len);
		if (err)
			break;
		if (len < 10 || memcmp(data, "ID3", 3) != 0) {
			*out = sniff_bytes(data, len);
			break;
		}
		uint64_t size = 10 + ((uint64_t)(data[6] & 127) << 21 | (data[7] & 127) << 14 | (data[8] & 127) << 7 |
				      (data[9] & 127));
		if (size >= end - begin)
			break;
		begin += size;
	}
	free(data);
	return err;
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool chunk_name(const uint8_t *p)
{
	for (int i = 0; i < 4; i++) {
		if (p[i] < ' ' || p[i] > '~')
			return false;
	}
	return true;
}

enum err sniff_wav_length(int fd, uint64_t begin, uint64_t end, bool *honest, bool *cut)
{
	uint8_t h[12];
	size_t got;
	uint64_t at = begin + 12;
	*honest = true;
	*cut = false;
	for (int chunks = 0; chunks < 64 && at + 8 <= end; chunks++) {
		enum err err = sniff_read(fd, at, h, 8, &got);
		if (err)
			return err;
		if (got < 8)
			return ERR_OK;
		uint64_t size = le32(h + 4);
		if (memcmp(h, "ds64", 4) == 0)
			return ERR_OK; /* RF64 was made by a program that knew */
		if (memcmp(h, "data", 4) != 0) {
			at += 8 + size + (size & 1);
			continue;
		}
		uint64_t there = end - at - 8;
		if (size == 0 || size >= 0x7ffff000) {
			*honest = false;
		} else if (size > there) {
			*cut = true;
		} else if (size + 9 < there) {
			/* What follows the sound must be a chunk again, or the header is older than the sound. */
			err = sniff_read(fd, at + 8 + size + (size & 1), h, 8, &got);
			if (err)
				return err;
			*honest = got == 8 && chunk_name(h) && le32(h + 4) <= there - size - 8;
		}
		return ERR_OK;
	}
	return ERR_OK;
}
