/* Fields of the draft for resumable uploads: structured fields of the right type, and nothing else. */
#include "proto/resumable.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void booleans(void **state)
{
	static const char *const wrong[] = {
		"", "?", "?2", "1", "true", "?1?", "?10", "?1, ?0", "?1;", "?1; =2", " ?1"
	};
	bool value = false;
	(void)state;
	assert_true(field_boolean("?1", &value) && value);
	assert_true(field_boolean("?0", &value) && !value);
	assert_true(field_boolean("?1;a;b=2; c=\"d\"", &value) && value);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(field_boolean(wrong[i], &value));
}

static void integers(void **state)
{
	static const char *const wrong[] = {
		"", "-1", "+1", "1.0", "1 ", " 1", "1,2", "1x", "1000000000000000", "\"1\""
	};
	uint64_t value;
	(void)state;
	assert_int_equal(field_integer("0", &value), ERR_OK);
	assert_true(value == 0);
	assert_int_equal(field_integer("123;a=1", &value), ERR_OK);
	assert_true(value == 123);
	assert_int_equal(field_integer("999999999999999", &value), ERR_MESSAGE_TOO_LARGE);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(field_integer(wrong[i], &value), ERR_BAD_FIELD);
}

#define EMPTY "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static void digests(void **state)
{
	static const char *const wrong[] = {
		"",
		"sha-256",
		"sha-256=",
		"sha-256=:" EMPTY,
		"sha-256=" EMPTY,
		"sha-256=:Zg==:",
		"sha-256=:" EMPTY ":x",
		"sha-256=:" EMPTY ":,",
		"sha-256=:Zg==:, a",
		"SHA-256=:" EMPTY ":",
		"=:Zg==:",
	};
	uint8_t sum[32];
	bool found;
	(void)state;
	assert_int_equal(field_digest("sha-256=:" EMPTY ":", sum, &found), ERR_OK);
	assert_true(found && sum[0] == 0xe3 && sum[31] == 0x55);
	assert_int_equal(field_digest("sha-512=:Zg==:, sha-256=:" EMPTY ":;a=1 , md5=:Zg==:", sum, &found), ERR_OK);
	assert_true(found);
	assert_int_equal(field_digest("sha-512=:Zg==:", sum, &found), ERR_OK);
	assert_false(found);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(field_digest(wrong[i], sum, &found), ERR_BAD_FIELD);
}

static void named(const char *disposition, const char *expected)
{
	char *name;
	assert_int_equal(field_filename(disposition, 20, &name), ERR_OK);
	if (expected)
		assert_string_equal(name, expected);
	else
		assert_null(name);
	free(name);
}

static void names_of_files(void **state)
{
	(void)state;
	named("attachment; filename=\"a b.mp4\"", "a b.mp4");
	named("attachment;filename=a.mp4", "a.mp4");
	named("attachment; FileName=a.mp4; x=y", "a.mp4");
	named("attachment; filename=\"a\\\"b;c.mp4\"", "a\"b;c.mp4");
	named("attachment; filename=\"../../etc/passwd\"", "passwd");
	named("attachment; filename=a.mp4; filename*=UTF-8''%C3%A4.mp4", "\xc3\xa4.mp4");
	named("attachment; filename*=utf-8'de'%C3%A4.mp4; filename=a.mp4", "\xc3\xa4.mp4");
	named("attachment; filename*=utf-8'de'%2e%2e%2Fb", "b");
	named("attachment; filename*=UTF-8''%zz; filename=a.mp4", "a.mp4");
	named("attachment; filename*=UTF-8''%00", NULL);
	named("attachment; filename*=UTF-8''a%", NULL);
	named("attachment; filename*=UTF-8'a", NULL);
	named("attachment; filename*=latin1''a", NULL);
	named("attachment", NULL);
	named("", NULL);
	named("attachment; filename=\"\"", NULL);
	named("attachment; filename=\"a/\"", NULL);
	named("attachment; filename", NULL);
	named("attachment; filename=\"a", "a");
	named("attachment; filename=aaaaaaaaaaaaaaaaaaaaa", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(booleans),
		cmocka_unit_test(integers),
		cmocka_unit_test(digests),
		cmocka_unit_test(names_of_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
