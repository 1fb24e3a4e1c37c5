/* What an outside authority may answer, and what it is asked. */
#include "base/scope.h"
#include "proto/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void takes(const char *text, struct authority_answer *out)
{
	const char *why;
	if (!authority_answer_parse(text, strlen(text), out, &why))
		fail_msg("%s: %s", text, why);
}

static void answers_that_are_taken(void **state)
{
	struct authority_answer a;
	(void)state;
	takes("{\"allow\":false}", &a);
	assert_false(a.allow);
	takes("{\"allow\":false,\"subject\":5,\"reason\":\"no\"}", &a);
	assert_false(a.allow);
	takes("{\"allow\":true,\"subject\":\"anna\",\"scopes\":[]}", &a);
	assert_true(a.allow && a.scopes == 0 && a.max_bytes == UINT64_MAX && a.rate_per_s == 0 && a.rate_burst == 0);
	assert_int_equal(a.expires_in_s, LIMIT_AUTHORITY_KEEP_S);
	takes("{\"allow\":true,\"subject\":\"x:\xc3\xa4\",\"scopes\":[\"record\",\"fly\",\"admin\",\"record\"],"
	      "\"maxBytes\":9007199254740991,\"rate\":{\"perSecond\":1,\"burst\":1000000},\"expiresIn\":2,\"more\":[]}",
	      &a);
	assert_string_equal(a.subject, "x:\xc3\xa4");
	assert_int_equal(a.scopes, SCOPE_RECORD | SCOPE_ADMIN);
	assert_int_equal(a.max_bytes, 9007199254740991);
	assert_int_equal(a.rate_per_s, 1);
	assert_int_equal(a.rate_burst, 1000000);
	assert_int_equal(a.expires_in_s, 2);
	takes("{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"expiresIn\":9007199254740991}", &a);
	assert_int_equal(a.expires_in_s, LIMIT_AUTHORITY_KEEP_S);
}

/* What is wrong with an answer lets nobody in, whatever else is right. */
static void answers_that_are_none(void **state)
{
	static const char *const texts[] = {
		"",
		"null",
		"true",
		"[]",
		"{}",
		"{\"allow\":1}",
		"{\"allow\":\"true\"}",
		"{\"allow\":null}",
		"{\"allow\":true}",
		"{\"allow\":true,\"subject\":\"a\"}",
		"{\"allow\":true,\"scopes\":[]}",
		"{\"allow\":false,\"allow\":true,\"subject\":\"a\",\"scopes\":[]}",
		"{\"allow\":true,\"subject\":\"\",\"scopes\":[]}",
		"{\"allow\":true,\"subject\":\"local\",\"scopes\":[]}",
		"{\"allow\":true,\"subject\":\"source\",\"scopes\":[]}",
		"{\"allow\":true,\"subject\":\"local\\u0000\",\"scopes\":[]}",
		"{\"allow\":true,\"subject\":\"a\\n\",\"scopes\":[]}",
		"{\"allow\":true,\"subject\":\"\xff\",\"scopes\":[]}",
		"{\"allow\":true,\"subject\":[\"a\"],\"scopes\":[]}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":{}}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[null]}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"maxBytes\":0}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"maxBytes\":9007199254740992}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"maxBytes\":null}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"rate\":null}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"rate\":{\"perSecond\":0.5,\"burst\":1}}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"rate\":{\"perSecond\":1000001,\"burst\":1}}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"rate\":{\"burst\":1}}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"expiresIn\":0}",
		"{\"allow\":true,\"subject\":\"a\",\"scopes\":[],\"expiresIn\":\"1\"}",
	};
	struct authority_answer a;
	const char *why;
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		a.allow = true;
		why = NULL;
		if (authority_answer_parse(texts[i], strlen(texts[i]), &a, &why) || a.allow || !why)
			fail_msg("%s", texts[i]);
	}
}

static void a_subject_has_its_length(void **state)
{
	char text[400], subject[LIMIT_PRINCIPAL_CHARS + 2];
	struct authority_answer a;
	const char *why;
	(void)state;
	for (size_t len = LIMIT_PRINCIPAL_CHARS; len <= LIMIT_PRINCIPAL_CHARS + 1; len++) {
		memset(subject, 'x', len);
		subject[len] = '\0';
		snprintf(text, sizeof text, "{\"allow\":true,\"subject\":\"%s\",\"scopes\":[]}", subject);
		assert_int_equal(authority_answer_parse(text, strlen(text), &a, &why), len == LIMIT_PRINCIPAL_CHARS);
	}
}

static bool same(const struct authority_answer *a, const struct authority_answer *b)
{
	return a->allow == b->allow && strcmp(a->subject, b->subject) == 0 && a->scopes == b->scopes &&
	       a->max_bytes == b->max_bytes && a->rate_per_s == b->rate_per_s && a->rate_burst == b->rate_burst &&
	       a->expires_in_s == b->expires_in_s;
}

static void what_is_kept_is_the_same(void **state)
{
	struct authority_answer a = { .allow = true,
				      .subject = "a\"b",
				      .scopes = SCOPE_PLAY | SCOPE_IMPORT,
				      .max_bytes = 5,
				      .rate_per_s = 7,
				      .rate_burst = 9,
				      .expires_in_s = 11 },
				b = { .allow = true, .subject = "b", .max_bytes = UINT64_MAX, .expires_in_s = 3600 },
				read;
	struct buf text;
	(void)state;
	buf_init(&text);
	authority_answer_format(&text, &a);
	takes(text.data, &read);
	assert_true(same(&read, &a));
	buf_release(&text);
	authority_answer_format(&text, &b);
	takes(text.data, &read);
	assert_true(same(&read, &b));
	buf_release(&text);
}

static void tokens_and_questions(void **state)
{
	static char text[LIMIT_AUTHORITY_TOKEN_CHARS + 2];
	struct buf question;
	(void)state;
	assert_true(authority_token_valid("a"));
	assert_true(authority_token_valid("eyJ.A-_~+/=\"\\"));
	assert_false(authority_token_valid(""));
	assert_false(authority_token_valid("a b"));
	assert_false(authority_token_valid("a\x7f"));
	assert_false(authority_token_valid("\xc3\xa4"));
	memset(text, 'x', sizeof text - 1);
	assert_false(authority_token_valid(text));
	text[LIMIT_AUTHORITY_TOKEN_CHARS] = '\0';
	assert_true(authority_token_valid(text));
	buf_init(&question);
	authority_question_format(&question, "a\"\\b");
	assert_string_equal(question.data, "{\"token\":\"a\\\"\\\\b\"}");
	buf_release(&question);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_that_are_taken),   cmocka_unit_test(answers_that_are_none),
		cmocka_unit_test(a_subject_has_its_length), cmocka_unit_test(what_is_kept_is_the_same),
		cmocka_unit_test(tokens_and_questions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
