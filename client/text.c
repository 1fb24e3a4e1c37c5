/* Names into titles and columns, see text.h. */
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

enum { REPLACEMENT = 0xfffd, ELLIPSIS = 0x2026 };

uint32_t text_next(const char **at)
{
	const unsigned char *p = (const unsigned char *)*at;
	unsigned more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : *p >= 0xe0 && *p < 0xf0 ? 2 : 3;
	uint32_t c = more == 0 ? *p : *p & (0x3fu >> more);
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	*at += 1;
	if (*p >= 0x80 && (*p < 0xc2 || *p > 0xf4))
		return REPLACEMENT;
	for (unsigned i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return REPLACEMENT;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return REPLACEMENT;
	*at += more;
	return c;
}

static unsigned encode(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	unsigned len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (unsigned i = len - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	out[0] = (char)(leads[len] | c);
	return len;
}

/* Also those that turn the direction of what follows: a name must not look like another. */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void text_title(const char *bytes, char out[TEXT_TITLE])
{
	size_t chars = 0, skip = 0, len = 0;
	for (const char *at = bytes; *at; chars++)
		text_next(&at);
	if (chars > TEXT_TITLE_CHARS) {
		skip = chars - TEXT_TITLE_CHARS + 1;
		len = encode(ELLIPSIS, out);
	}
	for (const char *at = bytes; *at;) {
		uint32_t c = text_next(&at);
		if (skip > 0)
			skip--;
		else
			len += encode(c < 0x20 || (c >= 0x7f && c < 0xa0) ? REPLACEMENT : c, out + len);
	}
	out[len] = '\0';
}

/* What stands for the next character, and how wide it is. */
static uint32_t cell_next(const char **at, bool utf8, unsigned *width)
{
	uint32_t c = text_next(at);
	*width = 1;
	if (c < 0x7f && c >= 0x20)
		return c;
	if (!utf8)
		return '?';
	int columns = is_control(c) ? -1 : wcwidth((wchar_t)c);
	if (columns < 0)
		return REPLACEMENT;
	*width = (unsigned)columns;
	return c;
}

unsigned text_width(const char *bytes, bool utf8)
{
	unsigned sum = 0, width;
	for (const char *at = bytes; *at; sum += width)
		cell_next(&at, utf8, &width);
	return sum;
}

static size_t put(char *out, size_t size, size_t len, uint32_t c)
{
	char encoded[4];
	unsigned more = encode(c, encoded);
	if (len + more >= size)
		return len;
	memcpy(out + len, encoded, more);
	return len + more;
}

void text_shown(const char *bytes, bool utf8, char *out, size_t size)
{
	size_t len = 0;
	unsigned width;
	for (const char *at = bytes; *at;)
		len = put(out, size, len, cell_next(&at, utf8, &width));
	out[len] = '\0';
}

void text_cells(const char *bytes, unsigned columns, struct text_style style, char *out, size_t size)
{
	const bool utf8 = style.utf8;
	unsigned total = text_width(bytes, utf8), width, column = 0, used = 0;
	/* a third of what there is for the beginning: the end has the number and the type */
	unsigned head = total <= columns ? total : style.keep_end ? columns / 3 : columns - (columns > 0);
	unsigned tail_from = total <= columns ? total : total - (columns - head - (columns > head));
	size_t len = 0;
	bool cut = false;
	for (const char *at = bytes; *at; column += width) {
		uint32_t c = cell_next(&at, utf8, &width);
		bool in_head = column + width <= head && !cut;
		if (in_head || (column >= tail_from && used + width <= columns)) {
			len = put(out, size, len, c);
			used += width;
		} else if (!cut && used < columns) {
			cut = true;
			len = put(out, size, len, utf8 ? ELLIPSIS : '~');
			used++;
		}
	}
	for (; used < columns && len + 1 < size; used++)
		out[len++] = ' ';
	out[len] = '\0';
}
