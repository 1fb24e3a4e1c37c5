/* Texts of sources, see source_text.h. */
#include "proto/source_text.h"

#include "proto/base64.h"

#include "base/hex.h"

#include <stdint.h>
#include <string.h>

/* What Windows-1252 has at 0x80 to 0x9f; 0 where it has nothing. */
static const uint16_t windows_1252[32] = {
	0x20ac, 0,	0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
	0x2039, 0x0152, 0,	0x017d, 0,	0,	0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
	0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,	0x017e, 0x0178,
};

/* The character at `p` of `len` > 0 bytes, or 0 when they are no UTF-8; *code is its code point. */
static size_t utf8_get(const uint8_t *p, size_t len, uint32_t *code)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t size = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	if (size == 0 || size > len)
		return 0;
	*code = size == 1 ? p[0] : p[0] & (0xffu >> (size + 1));
	for (size_t i = 1; i < size; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		*code = *code << 6 | (p[i] & 0x3fu);
	}
	bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
	return *code >= lowest[size] && *code <= 0x10ffff && !surrogate ? size : 0;
}

static size_t utf8_put(uint32_t code, uint8_t out[4])
{
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = size - 1; i > 0; i--, code >>= 6)
		out[i] = (uint8_t)(0x80 | (code & 0x3f));
	out[0] = (uint8_t)(0xf00 >> size | code);
	return size;
}

static bool is_utf8(const uint8_t *p, size_t len)
{
	uint32_t code;
	for (size_t size; len > 0; p += size, len -= size) {
		size = utf8_get(p, len, &code);
		if (size == 0)
			return false;
	}
	return true;
}

static bool is_blank(uint32_t code)
{
	return code == ' ' || code == '\t' || code == '\r' || code == '\n';
}

static bool is_control(uint32_t code)
{
	return code < ' ' || (code >= 0x7f && code < 0xa0);
}

size_t source_text_clean(const char *bytes, size_t len, bool latin1, char *out, size_t size)
{
	const uint8_t *p = (const uint8_t *)bytes;
	size_t used = 0, kept = 0; /* kept: up to the last that is no blank */
	latin1 = latin1 || !is_utf8(p, len);
	for (size_t step = 1; len > 0; p += step, len -= step) {
		uint32_t code = p[0];
		uint8_t encoded[4];
		if (!latin1)
			step = utf8_get(p, len, &code);
		else if (code >= 0x80 && code < 0xa0)
			code = windows_1252[code - 0x80];
		bool blank = is_blank(code);
		if (blank ? used == 0 : is_control(code))
			continue;
		size_t more = utf8_put(blank ? ' ' : code, encoded);
		if (more >= size - used)
			break;
		memcpy(out + used, encoded, more);
		used += more;
		kept = blank ? kept : used;
	}
	out[kept] = '\0';
	return kept;
}

bool source_percent_decode(const char *text, size_t len, bool plus, char *out, size_t size, size_t *out_len)
{
	size_t used = 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '%') {
			int high = len - i > 2 ? hex_value(text[i + 1]) : -1;
			int low = len - i > 2 ? hex_value(text[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (plus && c == '+') {
			c = ' ';
		}
		if (c == '\0' || used == size)
			return false;
		out[used++] = c;
	}
	*out_len = used;
	return true;
}

bool source_base64_decode(const char *text, size_t len, char *out, size_t size, size_t *out_len)
{
	return len > 0 && base64_parse(text, len, out, size, out_len);
}
