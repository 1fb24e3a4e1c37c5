/* A source's header lines, read strictly: numbers that are none, and fields that don't fit, are not there. */
#include "work/fetch_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct fetch_answer read_all(const char *text)
{
	struct fetch_answer a = { 0 };
	while (*text) {
		size_t len = strcspn(text, "\n") + 1;
		fetch_answer_line(&a, text, len);
		text += len;
	}
	return a;
}

static void a_status_line_begins_anew(void **state)
{
	struct fetch_answer a = read_all("HTTP/1.1 103 Early\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n"
					 "HTTP/1.1 200 OK\r\nContent-Type: audio/ogg\r\n\r\n");
	assert_int_equal(a.status, 200);
	assert_true(a.whole);
	assert_false(read_all("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n").whole);
	assert_true(a.length == BYTES_UNKNOWN);
	assert_null(fetch_answer_validator(&a));
	assert_string_equal(a.mime, "audio/ogg");
	assert_int_equal(read_all("HTTP/1.1 99999999999999999999 OK\r\n").status, 0);
	assert_int_equal(read_all("HTTP/1.1\r\n").status, 0);
}

static void ranges(void **state)
{
	static const struct {
		const char *text;
		bool ranged;
		uint64_t first, total;
	} rows[] = {
		{ "bytes 5-9/10", true, 5, 10 },
		{ "bytes 5-9/*", true, 5, BYTES_UNKNOWN },
		{ "bytes */10", true, BYTES_UNKNOWN, 10 },
		{ "BYTES 5-9/10", true, 5, 10 },
		{ "bytes 5-9", false, 0, 0 },
		{ "bytes 5-/10", false, 0, 0 },
		{ "bytes 9-5/10", false, 0, 0 },
		{ "bytes -5/10", false, 0, 0 },
		{ "bytes=5-9/10", false, 0, 0 },
		{ "bytes 5-9/10x", false, 0, 0 },
		{ "bytes 5-9/", false, 0, 0 },
		{ "bytes 99999999999999999999-99999999999999999999/99999999999999999999", false, 0, 0 },
		{ "", false, 0, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fetch_answer a = read_all("HTTP/1.1 206 Part\r\n");
		char line[200] = "Content-Range: ";
		strncat(line, rows[i].text, sizeof line - strlen(line) - 1);
		fetch_answer_line(&a, line, strlen(line));
		if (a.ranged != rows[i].ranged)
			fail_msg("%s", line);
		if (a.ranged && (a.first != rows[i].first || a.total != rows[i].total))
			fail_msg("%s", line);
	}
}

static void what_does_not_fit_is_not_there(void **state)
{
	char line[LIMIT_URL_CHARS + 200] = "Content-Type: ";
	struct fetch_answer a =
		read_all("HTTP/1.1 200 OK\r\nETag: W/\"weak\"\r\nContent-Length: 1x\r\nno colon\r\n: x\r\n"
			 "Location: /a\x01\r\nContent-Encoding: identity\r\n");
	assert_null(fetch_answer_validator(&a));
	assert_true(a.length == BYTES_UNKNOWN);
	assert_string_equal(a.location, "");
	assert_false(a.encoded);
	memset(line + strlen(line), 'a', LIMIT_MIME_CHARS + 1);
	fetch_answer_line(&a, line, strlen(line));
	assert_string_equal(a.mime, "");
	memset(line + strlen("Content-Type: "), 'a', sizeof line - 1 - strlen("Content-Type: "));
	fetch_answer_line(&a, line, strlen(line));
	fetch_answer_line(&a, "", 0);
	fetch_answer_line(&a, "Last-Modified: then\r\n", 21);
	assert_string_equal(fetch_answer_validator(&a), "then");
	fetch_answer_line(&a, "Content-Encoding: br", 20);
	assert_true(a.encoded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_line_begins_anew),
		cmocka_unit_test(ranges),
		cmocka_unit_test(what_does_not_fit_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
