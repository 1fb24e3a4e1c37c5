/* CRC32C against the published vectors and a bitwise computation. */
#include "base/crc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* RFC 3720, appendix B.4, and the check value of the CRC catalogues. */
static void published_vectors(void **state)
{
	uint8_t data[32];
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	memset(data, 0, sizeof data);
	assert_int_equal(crc32c(0, data, sizeof data), 0x8a9136aa);
	memset(data, 0xff, sizeof data);
	assert_int_equal(crc32c(0, data, sizeof data), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)i;
	assert_int_equal(crc32c(0, data, sizeof data), 0x46dd794e);
	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc32c(77, "", 0), 77);
}

static uint32_t bitwise(const uint8_t *data, size_t len)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void pieces_make_the_whole(void **state)
{
	uint8_t data[3000];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 131 + (i >> 5));
	for (size_t len = 0; len < sizeof data; len += 97) {
		uint32_t whole = crc32c(0, data, len);
		assert_int_equal(whole, bitwise(data, len));
		for (size_t cut = 0; cut <= len; cut += 61)
			assert_int_equal(crc32c(crc32c(0, data, cut), data + cut, len - cut), whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(pieces_make_the_whole),
	};
	return cmocka_run_group_tests_name("crc", tests, NULL, NULL);
}
