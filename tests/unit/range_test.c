/* Ranges, entity tags and lengths of HTTP requests. */
#include "proto/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(const char *value, uint64_t size, enum range_result result, uint64_t first, uint64_t last)
{
	uint64_t a = 7, b = 7;
	assert_int_equal(range_parse(value, size, &a, &b), result);
	assert_int_equal(a, result == RANGE_PART ? first : 7);
	assert_int_equal(b, result == RANGE_PART ? last : 7);
}

static void ranges_are_satisfied(void **state)
{
	expect("bytes=0-0", 10, RANGE_PART, 0, 0);
	expect("bytes=0-9", 10, RANGE_PART, 0, 9);
	expect("bytes=3-", 10, RANGE_PART, 3, 9);
	expect("bytes=3-99", 10, RANGE_PART, 3, 9);
	expect("bytes=-3", 10, RANGE_PART, 7, 9);
	expect("bytes=-10", 10, RANGE_PART, 0, 9);
	expect("bytes=-11", 10, RANGE_PART, 0, 9);
	expect("BYTES= 3-4 ", 10, RANGE_PART, 3, 4);
	expect("bytes=5-99999999999999999999999999", 10, RANGE_PART, 5, 9);
	expect("bytes=-99999999999999999999999999", 10, RANGE_PART, 0, 9);
	expect("bytes=0-", UINT64_MAX, RANGE_PART, 0, UINT64_MAX - 1);
}

static void ranges_beyond_are_refused(void **state)
{
	expect("bytes=10-", 10, RANGE_NOT_SATISFIABLE, 0, 0);
	expect("bytes=10-12", 10, RANGE_NOT_SATISFIABLE, 0, 0);
	expect("bytes=-0", 10, RANGE_NOT_SATISFIABLE, 0, 0);
	expect("bytes=0-", 0, RANGE_NOT_SATISFIABLE, 0, 0);
	expect("bytes=0-0", 0, RANGE_NOT_SATISFIABLE, 0, 0);
	expect("bytes=18446744073709551616-", 10, RANGE_NOT_SATISFIABLE, 0, 0);
}

static void everything_else_is_the_whole_file(void **state)
{
	static const char *const values[] = {
		"",	     "bytes",	      "bytes=",	    "bytes=-",	 "bytes=a-b",  "bytes=1-0",
		"bytes=1",   "bytes=0-1,3-4", "bytes=+1-2", "items=0-",	 "bytes=0-1x", "bytes=1 -",
		"bytes=--1", "bytes=-1-2",    "bytes=0x1-", "bytes 0-1",
	};
	expect(NULL, 10, RANGE_WHOLE, 0, 0);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		expect(values[i], 10, RANGE_WHOLE, 0, 0);
	expect("bytes=-5", 0, RANGE_WHOLE, 0, 0);
}

static void if_range_compares_strongly(void **state)
{
	assert_true(if_range_matches("\"a-1\"", "\"a-1\""));
	assert_true(if_range_matches(" \"a-1\" ", "\"a-1\""));
	assert_false(if_range_matches("W/\"a-1\"", "\"a-1\""));
	assert_false(if_range_matches("\"a-2\"", "\"a-1\""));
	assert_false(if_range_matches("\"a-1", "\"a-1\""));
	assert_false(if_range_matches("\"a-1\"x", "\"a-1\""));
	assert_false(if_range_matches("Wed, 21 Oct 2015 07:28:00 GMT", "\"a-1\""));
	assert_false(if_range_matches("", "\"a-1\""));
	assert_false(if_range_matches("*", "\"a-1\""));
}

static void if_none_match_takes_a_list(void **state)
{
	assert_true(if_none_match_matches("*", "\"a\""));
	assert_true(if_none_match_matches("\"a\"", "\"a\""));
	assert_true(if_none_match_matches("W/\"a\"", "\"a\""));
	assert_true(if_none_match_matches("\"b\", \"c,d\" ,W/\"a\"", "\"a\""));
	assert_true(if_none_match_matches(",, \"b\",,\"a\"", "\"a\"") == false); /* begins with no tag */
	assert_false(if_none_match_matches("\"b\"", "\"a\""));
	assert_false(if_none_match_matches("a", "\"a\""));
	assert_false(if_none_match_matches("\"b,\"a\"", "\"a\""));
	assert_false(if_none_match_matches("", "\"a\""));
	assert_false(if_none_match_matches("*x", "\"a\""));
}

static void lengths_are_digits_only(void **state)
{
	uint64_t n = 7;
	assert_true(content_length_parse("0", &n));
	assert_int_equal(n, 0);
	assert_true(content_length_parse("9999999999999999999", &n));
	assert_int_equal(n, 9999999999999999999ULL);
	static const char *const values[] = { "",
					      "-1",
					      "+1",
					      " 1",
					      "1 ",
					      "1,1",
					      "1, 1",
					      "0x10",
					      "1e3",
					      "a",
					      "1.0",
					      "1\r1",
					      "10000000000000000000",
					      "12345678901234567890123" };
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		n = 7;
		assert_false(content_length_parse(values[i], &n));
		assert_int_equal(n, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_satisfied),
		cmocka_unit_test(ranges_beyond_are_refused),
		cmocka_unit_test(everything_else_is_the_whole_file),
		cmocka_unit_test(if_range_compares_strongly),
		cmocka_unit_test(if_none_match_takes_a_list),
		cmocka_unit_test(lengths_are_digits_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
