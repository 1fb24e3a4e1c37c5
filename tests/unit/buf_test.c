/* The growable buffer: what was added is there, terminated; a failure is remembered. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void grows_and_stays_terminated(void **state)
{
	struct buf b;
	buf_init(&b);
	assert_null(b.data);
	for (int i = 0; i < 1000; i++) {
		buf_addf(&b, "%03d", i);
		buf_add(&b, "\0", 1);
		buf_add_text(&b, "xy");
		assert_int_equal(b.len, (size_t)(i + 1) * 6);
		assert_int_equal(b.data[b.len], '\0');
	}
	for (int i = 0; i < 1000; i++) {
		assert_memory_equal(b.data + 6 * i + 3, "\0xy", 3);
		assert_int_equal(strtol(b.data + 6 * i, NULL, 10), i);
	}
	buf_release(&b);
	assert_null(b.data);
}

/* Lengths around the first capacity, where terminating NUL and growth meet. */
static void every_length_fits(void **state)
{
	char text[600];
	memset(text, 'a', sizeof text);
	for (size_t len = 0; len < sizeof text; len++) {
		struct buf b;
		buf_init(&b);
		buf_add(&b, text, len);
		assert_int_equal(strlen(b.data), len);
		buf_addf(&b, "%.*s", (int)len, text);
		assert_int_equal(strlen(b.data), 2 * len);
		buf_release(&b);
	}
}

static void can_be_taken(void **state)
{
	struct buf b;
	buf_init(&b);
	char *empty = buf_take(&b);
	assert_string_equal(empty, "");
	free(empty);
	buf_add_text(&b, "text");
	char *text = buf_take(&b);
	assert_string_equal(text, "text");
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	free(text);
}

static void a_failure_stays(void **state)
{
	struct buf b;
	buf_init(&b);
	buf_add_text(&b, "text");
	buf_add(&b, "x", SIZE_MAX - 2);
	assert_true(b.failed);
	assert_int_equal(b.len, 4);
	buf_add_text(&b, "more");
	buf_addf(&b, "%d", 1);
	assert_int_equal(b.len, 4);
	assert_null(buf_take(&b));
	assert_false(b.failed); /* as new */
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_stays_terminated),
		cmocka_unit_test(every_length_fits),
		cmocka_unit_test(can_be_taken),
		cmocka_unit_test(a_failure_stays),
	};
	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
