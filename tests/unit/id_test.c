/* UUIDv7: the example of RFC 9562, order by time, and text that is read back exactly. */
#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_example_of_the_rfc(void **state)
{
	/* appendix A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F; the bits that become version and variant are set wrong */
	static const uint8_t random[10] = { 0x0c, 0xc3, 0xd8, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f };
	struct uuid id = uuid_v7(0x017f22e279b0, random);
	char text[UUID_TEXT];
	uuid_format(&id, text);
	assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void sorts_by_time(void **state)
{
	uint8_t high[10], low[10] = { 0 };
	memset(high, 0xff, sizeof high);
	struct uuid before = uuid_v7(1000, high), after = uuid_v7(1001, low);
	assert_true(memcmp(before.bytes, after.bytes, 16) < 0);
	assert_false(uuid_equal(&before, &after));
	assert_true(uuid_hash(&before) != uuid_hash(&after));
}

static void reads_what_it_wrote(void **state)
{
	uint8_t random[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	for (int64_t ms = 0; ms < 1LL << 47; ms = ms * 3 + 1) {
		struct uuid id = uuid_v7(ms, random), back;
		char text[UUID_TEXT];
		uuid_format(&id, text);
		assert_int_equal(strlen(text), 36);
		assert_true(uuid_parse(text, &back));
		assert_true(uuid_equal(&id, &back));
	}
	struct uuid a, b;
	assert_true(uuid_parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", &a));
	assert_true(uuid_parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", &b));
	assert_true(uuid_equal(&a, &b));
}

static void refuses_everything_else(void **state)
{
	static const char *const wrong[] = {
		"",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
		"017f22e279b07cc398c4dc0c0c07398f",
		"017f22e2079b0-7cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
		"g17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
		"-17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
		" 017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"../../../../../../../../etc/passwd00",
		"017f22e2-79b0-7cc3-98c4dc0c0c07398f-",
	};
	struct uuid id;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(uuid_parse(wrong[i], &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_rfc),
		cmocka_unit_test(sorts_by_time),
		cmocka_unit_test(reads_what_it_wrote),
		cmocka_unit_test(refuses_everything_else),
	};
	return cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
