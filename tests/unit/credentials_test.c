/* The operator's file of credentials: what it means, and what is wrong with it. */
#include "work/credentials.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool parse(const char *text, struct credentials *out, unsigned *line, const char **problem)
{
	char *copy = strdup(text);
	bool ok = credentials_parse(copy, out, line, problem);
	free(copy);
	return ok;
}

static const struct credential *find(const struct credentials *c, const char *host, unsigned port)
{
	struct source_place place = { .port = (uint16_t)port };
	snprintf(place.host, sizeof place.host, "%s", host);
	return credentials_find(c, &place);
}

static void hosts_have_their_own(void **state)
{
	struct credentials c;
	unsigned line;
	const char *problem;
	assert_true(parse(
		"# a comment\n\n[Calls.Example.com]\nuser = ann\npassword = a = b # c\n\n"
		"[calls.example.com:8443]\r\nheader = Authorization: Bearer x\r\n[[fd12::1]]\nuser=u\npassword=p\n"
		"[[fd12::1]:99]\nheader=X-Key: y",
		&c, &line, &problem));
	assert_int_equal(c.count, 4);
	assert_string_equal(find(&c, "calls.example.com", 443)->user, "ann");
	assert_string_equal(find(&c, "calls.example.com", 443)->password, "a = b # c");
	assert_string_equal(find(&c, "calls.example.com", 8443)->header, "Authorization: Bearer x");
	assert_string_equal(find(&c, "fd12::1", 443)->user, "u");
	assert_string_equal(find(&c, "fd12::1", 99)->header, "X-Key: y");
	assert_null(find(&c, "example.com", 443));
	assert_null(find(&c, "xcalls.example.com", 443));
	assert_null(find(&c, "calls.example.com.", 443));
	credentials_release(&c);
	assert_true(parse("", &c, &line, &problem));
	assert_null(find(&c, "a", 1));
	credentials_release(&c);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = {
		{ "user = a", 1 },
		{ "[a]\nuser = a", 3 },
		{ "[a]\nuser = a\n[b]\nheader = A: b", 3 },
		{ "[a]\n[b]", 2 },
		{ "[]", 1 },
		{ "[a", 1 },
		{ "[a:]", 1 },
		{ "[a:0]", 1 },
		{ "[a:70000]", 1 },
		{ "[a:x]", 1 },
		{ "[a]\nuser = a:b\npassword = c", 4 },
		{ "[a]\nuser = a\nuser = b", 3 },
		{ "[a]\nuser =\n", 2 },
		{ "[a]\nheader = nonsense", 2 },
		{ "[a]\nheader = : b", 2 },
		{ "[a]\nheader = A b: c", 2 },
		{ "[a]\nheader = A: b\nuser = c\npassword = d", 5 },
		{ "[a]\ntoken = b", 2 },
		{ "[a]\nheader = A: \x01", 2 },
	};
	struct credentials c;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsigned line = 0;
		const char *problem = NULL;
		if (parse(rows[i].text, &c, &line, &problem))
			fail_msg("'%s' was taken", rows[i].text);
		if (line != rows[i].line)
			fail_msg("'%s': line %u, %s", rows[i].text, line, problem);
		assert_null(c.items);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_have_their_own),
		cmocka_unit_test(what_is_wrong_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
