/* Walking MP4 boxes, see boxes.h. ISO/IEC 14496-12. */
#include "work/boxes.h"

#include <stdlib.h>
#include <string.h>

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The samples of the runs in a moof or traf, given its content. */
static uint64_t run_samples(const uint8_t *data, size_t len, int depth)
{
	uint64_t sum = 0;
	while (len >= 8) {
		size_t size = be32(data);
		if (size < 8 || size > len)
			break;
		if (memcmp(data + 4, "traf", 4) == 0 && depth == 0)
			sum += run_samples(data + 8, size - 8, 1);
		else if (memcmp(data + 4, "trun", 4) == 0 && size >= 16)
			sum += be32(data + 12);
		data += size;
		len -= size;
	}
	return sum;
}

static enum err read_fragment(const struct range *range, uint64_t at, uint64_t size, struct boxes *out)
{
	size_t got;
	if (size > LIMIT_MEDIA_MOOF_BYTES)
		return ERR_OK; /* counted too low: the index gets its place another way */
	uint8_t *data = malloc(size);
	if (!data)
		return ERR_NO_MEMORY;
	enum err err = sniff_read(range->fd, at, data, size, &got);
	if (!err)
		out->samples += run_samples(data, got, 0);
	free(data);
	return err;
}

enum err boxes_walk(struct watch *w, const struct range *range, struct boxes *out)
{
	uint64_t at = range->begin;
	bool media = false;
	*out = (struct boxes){ 0 };
	while (at < range->end) {
		uint8_t h[16];
		size_t got;
		if (!watch_tick(w))
			return ERR_MEDIA_LIMIT;
		enum err err = sniff_read(range->fd, at, h, range->end - at < 16 ? range->end - at : 16, &got);
		if (err)
			return err;
		if (got < 8) {
			out->cut = true;
			return ERR_OK;
		}
		uint64_t size = be32(h), head = 8;
		if (size == 1 && got == 16) {
			size = (uint64_t)be32(h + 8) << 32 | be32(h + 12);
			head = 16;
		} else if (size == 0) {
			size = range->end - at; /* to the end */
		}
		if (size < head || size > range->end - at) {
			out->cut = true;
			return ERR_OK;
		}
		if (memcmp(h + 4, "mdat", 4) == 0) {
			media = true;
		} else if (memcmp(h + 4, "moov", 4) == 0) {
			out->has_index = true;
			out->index_first = !media;
		} else if (memcmp(h + 4, "moof", 4) == 0) {
			err = read_fragment(range, at + head, size - head, out);
			if (err)
				return err;
		}
		at += size;
	}
	return ERR_OK;
}
