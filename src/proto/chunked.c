/* Bodies in chunks, see chunked.h. */
#include "proto/chunked.h"

#include "base/hex.h"
#include "base/limits.h"

#include <assert.h>

enum { SIZE, EXTENSION, SIZE_LF, MEDIA, MEDIA_CR, MEDIA_LF, TRAILER, TRAILER_TEXT, TRAILER_LF, END_LF };

/* What a line that is skipped may hold. */
static bool is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool size_step(struct chunked *c, uint8_t byte)
{
	int value = hex_value(byte);
	if (value >= 0) {
		if (++c->count > LIMIT_CHUNK_DIGITS)
			return false;
		c->left = c->left << 4 | (unsigned)value;
		return true;
	}
	if (c->count == 0 || (byte != ';' && byte != '\r'))
		return false;
	c->state = byte == ';' ? EXTENSION : SIZE_LF;
	c->count = 0;
	return true;
}

/* A byte of a line to be skipped; `next` follows its CR. */
static bool skip_step(struct chunked *c, uint8_t byte, int next, unsigned limit)
{
	if (byte == '\r')
		c->state = next;
	else if (!is_text(byte) || ++c->count > limit)
		return false;
	return true;
}

static bool expect_step(struct chunked *c, uint8_t byte, uint8_t expected, int next)
{
	c->state = next;
	return byte == expected;
}

/* Any byte that is no media. */
static bool step(struct chunked *c, uint8_t byte)
{
	switch (c->state) {
	case SIZE:
		return size_step(c, byte);
	case EXTENSION:
		return skip_step(c, byte, SIZE_LF, LIMIT_CHUNK_EXTENSION_BYTES);
	case SIZE_LF:
		c->count = 0;
		return expect_step(c, byte, '\n', c->left > 0 ? MEDIA : TRAILER);
	case MEDIA_CR:
		return expect_step(c, byte, '\r', MEDIA_LF);
	case MEDIA_LF:
		return expect_step(c, byte, '\n', SIZE);
	case TRAILER: /* a line begins, or it is the empty one */
		c->state = byte == '\r' ? END_LF : TRAILER_TEXT;
		return byte == '\r' || skip_step(c, byte, TRAILER_LF, LIMIT_CHUNK_TRAILER_BYTES);
	case TRAILER_TEXT:
		return skip_step(c, byte, TRAILER_LF, LIMIT_CHUNK_TRAILER_BYTES);
	case TRAILER_LF:
		return expect_step(c, byte, '\n', TRAILER);
	default:
		assert(c->state == END_LF);
		c->done = byte == '\n';
		return c->done;
	}
}

enum err chunked_feed(struct chunked *c, const void *data, size_t len, size_t *used, struct chunked_piece *piece)
{
	const uint8_t *bytes = data;
	size_t i = 0;
	*piece = (struct chunked_piece){ bytes, 0 };
	while (i < len && !c->done && c->err == ERR_OK && c->state != MEDIA)
		if (!step(c, bytes[i++]))
			c->err = ERR_BAD_REQUEST;
	if (i < len && c->err == ERR_OK && c->state == MEDIA) {
		size_t run = len - i < c->left ? len - i : (size_t)c->left;
		*piece = (struct chunked_piece){ bytes + i, run };
		i += run;
		c->left -= run;
		if (c->left == 0)
			c->state = MEDIA_CR;
	}
	*used = i;
	return c->err;
}
