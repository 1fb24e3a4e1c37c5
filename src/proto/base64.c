/* Base64, see base64.h. */
#include "proto/base64.h"

#include <stdint.h>

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_parse(const char *text, size_t len, void *out, size_t size, size_t *out_len)
{
	uint8_t *bytes = out;
	uint32_t bits = 0;
	unsigned count = 0;
	if (len % 4 != 0)
		return false;
	size_t padding = len > 0 && text[len - 1] == '=' ? 1 + (text[len - 2] == '=') : 0;
	if (BASE64_BYTES(len) - padding > size)
		return false;
	for (size_t i = 0; i < len - padding; i++) {
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
