/* The table of errors: complete, unambiguous, and true to the protocol's words. */
#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void every_row_is_whole(void **state)
{
	(void)state;
	for (int i = ERR_OK + 1; i < ERR_COUNT; i++) {
		enum err err = (enum err)i;
		const char *code = err_code(err), *text = err_text(err);
		assert_true(strlen(code) > 0 && strlen(code) < 40);
		for (const char *p = code; *p; p++)
			assert_true(islower((unsigned char)*p) || *p == '_');
		assert_true(isupper((unsigned char)text[0]));
		assert_int_equal(text[strlen(text) - 1], '.'); /* a sentence */
		assert_int_not_equal(err_class(err), ERR_CLASS_NONE);
		assert_in_range(err_status(err), 400, 599);
	}
	assert_string_equal(err_code(ERR_OK), "ok");
	assert_int_equal(err_class(ERR_OK), ERR_CLASS_NONE);
	assert_int_equal(err_status(ERR_OK), 200);
}

static void codes_are_read_back_and_none_is_twice(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_COUNT; i++) {
		enum err err = ERR_COUNT;
		assert_true(err_parse(err_code((enum err)i), &err));
		assert_int_equal(err, i);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(err_code((enum err)i), err_code((enum err)k));
	}
	static const char *const strangers[] = { "", "OK", "sealed ", " sealed", "seale", "sealed_", "ERR_SEALED" };
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
		enum err err = ERR_SEALED;
		assert_false(err_parse(strangers[i], &err));
		assert_int_equal(err, ERR_SEALED); /* untouched */
	}
}

/* What the protocol promises of a code: may the client try again, and what HTTP says. */
static void the_protocols_words(void **state)
{
	static const struct {
		const char *code;
		bool retry;
		int status;
	} words[] = {
		{ "binary_without_session", false, 409 },
		{ "sealed", false, 409 },
		{ "position_conflict", false, 409 },
		{ "bytes_missing", false, 409 },
		{ "total_mismatch", false, 409 },
		{ "checksum_mismatch", false, 409 },
		{ "session_open", false, 409 },
		{ "taken_over", false, 409 },
		{ "aborted", false, 409 },
		{ "deleted", false, 410 },
		{ "not_found", false, 404 },
		{ "forbidden_origin", false, 403 },
		{ "storage_full", true, 507 },
		{ "shutting_down", true, 503 },
		{ "heartbeat_lost", true, 408 },
		{ "write_failed", true, 500 },
		{ "poisoned", false, 500 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		enum err err;
		assert_true(err_parse(words[i].code, &err));
		assert_int_equal(err_retry(err), words[i].retry);
		assert_int_equal(err_status(err), words[i].status);
	}
}

static void the_class_drives_retry(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_COUNT; i++)
		assert_int_equal(err_retry((enum err)i), err_class((enum err)i) == ERR_CLASS_TRANSIENT);
	assert_int_equal(err_class(ERR_SYNC_FAILED), ERR_CLASS_FATAL);
	assert_int_equal(err_class(ERR_LOCKED), ERR_CLASS_FATAL);
}

static void errno_is_translated(void **state)
{
	(void)state;
	assert_int_equal(err_from_errno(0, ERR_WRITE_FAILED), ERR_OK);
	assert_int_equal(err_from_errno(ENOSPC, ERR_WRITE_FAILED), ERR_STORAGE_FULL);
	assert_int_equal(err_from_errno(EDQUOT, ERR_READ_FAILED), ERR_STORAGE_FULL);
	assert_int_equal(err_from_errno(ENOENT, ERR_READ_FAILED), ERR_NOT_FOUND);
	assert_int_equal(err_from_errno(EEXIST, ERR_WRITE_FAILED), ERR_EXISTS);
	assert_int_equal(err_from_errno(ENOMEM, ERR_WRITE_FAILED), ERR_NO_MEMORY);
	static const int others[] = { EIO, EPERM, EACCES, EROFS, EMFILE, EINVAL, -1, 100000 };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		assert_int_equal(err_from_errno(others[i], ERR_READ_FAILED), ERR_READ_FAILED);
		assert_int_equal(err_from_errno(others[i], ERR_WRITE_FAILED), ERR_WRITE_FAILED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole),  cmocka_unit_test(codes_are_read_back_and_none_is_twice),
		cmocka_unit_test(the_protocols_words), cmocka_unit_test(the_class_drives_retry),
		cmocka_unit_test(errno_is_translated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
