/* Problem documents: every error has one, and what is added is there. */
#include "proto/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *problem(enum err err, const char *detail, const json_t *extra)
{
	struct buf out;
	buf_init(&out);
	problem_format(&out, err, detail, extra);
	assert_false(out.failed);
	json_t *json = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	buf_release(&out);
	return json;
}

static const char *text(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static void every_error_is_a_problem(void **state)
{
	for (int err = ERR_BAD_MESSAGE; err < ERR_COUNT; err++) {
		json_t *json = problem(err, NULL, NULL);
		assert_string_equal(text(json, "type"), "about:blank");
		assert_string_not_equal(text(json, "title"), "Error");
		assert_string_equal(text(json, "code"), err_code(err));
		assert_string_equal(text(json, "detail"), err_text(err));
		assert_int_equal(json_integer_value(json_object_get(json, "status")), err_status(err));
		json_decref(json);
	}
}

static void members_are_added(void **state)
{
	json_t *extra = json_pack("{s:s, s:i}", "phase", "uploading", "bytes", 5);
	json_t *json = problem(ERR_BYTES_MISSING, "Five bytes \"are\" here.", extra);
	assert_string_equal(text(json, "phase"), "uploading");
	assert_string_equal(text(json, "detail"), "Five bytes \"are\" here.");
	assert_int_equal(json_integer_value(json_object_get(json, "bytes")), 5);
	assert_int_equal(json_object_size(extra), 2);
	json_decref(json);
	json_decref(extra);
}

static void a_detail_that_is_no_text_is_replaced(void **state)
{
	json_t *json = problem(ERR_NOT_FOUND, "\xff", NULL);
	assert_string_equal(text(json, "detail"), err_text(ERR_NOT_FOUND));
	json_decref(json);
}

static void json_is_appended_compact(void **state)
{
	struct buf out;
	buf_init(&out);
	json_t *json = json_pack("{s:[i,b,n]}", "a", 1, 1);
	buf_add_text(&out, "x");
	json_format(&out, json);
	assert_string_equal(out.data, "x{\"a\":[1,true,null]}");
	json_decref(json);
	json_format(&out, NULL);
	assert_true(out.failed);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_is_a_problem),
		cmocka_unit_test(members_are_added),
		cmocka_unit_test(a_detail_that_is_no_text_is_replaced),
		cmocka_unit_test(json_is_appended_compact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
