/* mask_copy against the definition, at every length, alignment and turn of the mask. */
#include "base/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 67 };

static void each_byte_has_its_own_byte_of_the_mask(void **state)
{
	(void)state;
	static const uint8_t mask[4] = { 0x12, 0xfe, 0x00, 0x9b };
	uint8_t from[MOST + 8], to[MOST + 8];
	for (size_t i = 0; i < sizeof from; i++)
		from[i] = (uint8_t)(i * 7);
	for (size_t len = 0; len <= MOST; len++) {
		for (size_t off = 0; off < 8; off++) {
			uint8_t turned[4], skipped[4];
			memcpy(turned, mask, 4);
			memcpy(skipped, mask, 4);
			memset(to, 0xee, sizeof to);
			mask_copy(to + off, from + off, len, turned);
			for (size_t i = 0; i < len; i++)
				assert_int_equal(to[off + i], from[off + i] ^ mask[i & 3]);
			assert_true(off + len == sizeof to || to[off + len] == 0xee);
			mask_skip(skipped, len);
			assert_memory_equal(turned, skipped, 4);
			assert_int_equal(turned[0], mask[len & 3]);
		}
	}
}

static void pieces_make_the_whole(void **state)
{
	(void)state;
	uint8_t whole[MOST], cut[MOST], from[MOST];
	for (size_t i = 0; i < MOST; i++)
		from[i] = (uint8_t)(i * 11);
	for (size_t at = 0; at <= MOST; at++) {
		uint8_t one[4] = { 1, 2, 3, 4 }, two[4] = { 1, 2, 3, 4 };
		mask_copy(whole, from, MOST, one);
		memcpy(cut, from, MOST);
		mask_copy(cut, cut, at, two);
		mask_copy(cut + at, cut + at, MOST - at, two);
		assert_memory_equal(whole, cut, MOST);
	}
}

static void zeros_copy(void **state)
{
	(void)state;
	uint8_t mask[4] = { 0 }, from[5] = { 1, 2, 3, 4, 5 }, to[5] = { 0 };
	mask_copy(to, from, sizeof from, mask);
	assert_memory_equal(to, from, sizeof from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_has_its_own_byte_of_the_mask),
		cmocka_unit_test(pieces_make_the_whole),
		cmocka_unit_test(zeros_copy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
