/* Base64url, see base64url.h. */
#include "proto/base64url.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_format(const void *data, size_t len, char *out)
{
	const uint8_t *bytes = data;
	uint32_t bits = 0;
	unsigned count = 0;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | bytes[i];
		for (count += 8; count >= 6; count -= 6)
			*out++ = digits[bits >> (count - 6) & 63];
	}
	if (count > 0)
		*out++ = digits[bits << (6 - count) & 63];
	*out = '\0';
}

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_parse(const char *text, size_t len, void *out, size_t size, size_t *out_len)
{
	uint8_t *bytes = out;
	uint32_t bits = 0;
	unsigned count = 0;
	if (len % 4 == 1 || len / 4 * 3 + len % 4 * 3 / 4 > size)
		return false;
	for (size_t i = 0; i < len; i++) {
		int value = digit_value(text[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		count += 6;
		if (count >= 8) {
			count -= 8;
			*bytes++ = (uint8_t)(bits >> count);
		}
	}
	*out_len = (size_t)(bytes - (uint8_t *)out);
	return (bits & ((1u << count) - 1)) == 0;
}
