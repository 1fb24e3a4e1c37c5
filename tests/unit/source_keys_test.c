/* Passwords of sources: whose opens what, and what a file of them may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "net/source_keys.h"

#include <stdio.h>
#include <string.h>

static struct source_keys *read_text(const char *text)
{
	struct source_keys *k;
	const char *problem;
	unsigned line;
	char copy[2048];
	snprintf(copy, sizeof copy, "%s", text);
	assert_int_equal(source_keys_new(&k), ERR_OK);
	if (!source_keys_parse(k, copy, &line, &problem))
		fail_msg("line %u: %s", line, problem);
	return k;
}

static void a_show_has_its_own_or_the_common_one(void **state)
{
	struct source_keys *k = read_text("# who may\n\n  morning \t secret one  \r\n* common\nnight.2 x");
	assert_true(source_keys_match(k, "morning", "source", "secret one"));
	assert_true(source_keys_match(k, "night.2", "source", "x"));
	assert_true(source_keys_match(k, "evening", "source", "common"));
	assert_false(source_keys_match(k, "morning", "source", "common"));
	assert_false(source_keys_match(k, "evening", "source", "secret one"));
	assert_false(source_keys_match(k, "morning", "source", "secret"));
	assert_false(source_keys_match(k, "morning", "source", "secret one "));
	assert_false(source_keys_match(k, "morning", "source", ""));
	assert_false(source_keys_match(k, "Morning", "source", "secret one"));
	assert_false(source_keys_match(k, "morning", "admin", "secret one"));
	assert_false(source_keys_match(k, "morning", "", "secret one"));
	source_keys_free(k);
}

static void without_a_common_one_other_shows_are_shut(void **state)
{
	struct source_keys *k = read_text("morning secret");
	assert_true(source_keys_match(k, "morning", "source", "secret"));
	assert_false(source_keys_match(k, "evening", "source", "secret"));
	assert_false(source_keys_match(k, "evening", "source", ""));
	assert_false(source_keys_match(k, "*", "source", ""));
	source_keys_free(k);
	k = read_text("");
	assert_false(source_keys_match(k, "morning", "source", ""));
	source_keys_free(k);
	source_keys_free(NULL);
}

static void what_is_no_line_is_named_by_its_number(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = {
		{ "morning", 1 }, { "a b\n\nmorning \nc d", 3 },  { "a b\na c", 2 }, { "* b\n* c", 2 }, { ".a b", 1 },
		{ "a/b c", 1 },	  { "a b\nm\xc3\xb6rning c", 2 }, { "a b\x01", 1 },  { "** b", 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct source_keys *k;
		const char *problem = NULL;
		unsigned line = 0;
		char copy[64];
		snprintf(copy, sizeof copy, "%s", rows[i].text);
		assert_int_equal(source_keys_new(&k), ERR_OK);
		if (source_keys_parse(k, copy, &line, &problem) || line != rows[i].line || !problem)
			fail_msg("row %zu: line %u", i, line);
		source_keys_free(k);
	}
}

static void names_and_passwords_have_a_length(void **state)
{
	char text[LIMIT_SOURCE_PASSWORD_CHARS + 2];
	const char *problem;
	struct source_keys *k;
	assert_int_equal(source_keys_new(&k), ERR_OK);
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_false(source_keys_add(k, "show", text, &problem));
	assert_false(source_keys_add(k, "show", "", &problem));
	assert_true(source_keys_add(k, "show", text + 1, &problem));
	assert_true(source_keys_match(k, "show", "source", text + 1));
	assert_false(source_keys_match(k, "show", "source", text + 2));
	text[LIMIT_SHOW_CHARS + 1] = '\0';
	assert_false(source_keys_add(k, text, "x", &problem));
	assert_true(source_keys_add(k, text + 1, "x", &problem));
	source_keys_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_show_has_its_own_or_the_common_one),
		cmocka_unit_test(without_a_common_one_other_shows_are_shut),
		cmocka_unit_test(what_is_no_line_is_named_by_its_number),
		cmocka_unit_test(names_and_passwords_have_a_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
