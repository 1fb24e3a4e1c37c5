/* Request heads: what is accepted, and what two readers could understand differently is refused. */
#include "proto/http.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "GET / HTTP/1.1\r\nHost: a\r\n"

static struct http_request parsed(const char *text)
{
	struct http_request r;
	assert_int_equal(http_head_length(text, strlen(text)), strlen(text));
	assert_int_equal(http_request_parse(text, strlen(text), &r, NULL), ERR_OK);
	return r;
}

static void refused_bytes(const char *text, size_t len, enum err expected)
{
	struct http_request r, empty = { 0 };
	const char *detail = NULL;
	enum err err = http_request_parse(text, len, &r, &detail);
	if (err != expected)
		print_error("%s: %s\n", text, err_code(err));
	assert_int_equal(err, expected);
	assert_non_null(detail);
	assert_memory_equal(&r, &empty, sizeof r);
}

static void refused(const char *text, enum err expected)
{
	refused_bytes(text, strlen(text), expected);
}

static void a_request(void **state)
{
	struct http_request r =
		parsed("PATCH /api/a%2Fb%20c/?x=1&y=a+%C3%BC HTTP/1.1\r\nHOST: localhost:1\r\nX-A:\t b \t\r\n"
		       "Empty:\r\nContent-Length: 17\r\nConnection: Upgrade , close\r\n\r\n");
	assert_string_equal(r.method, "PATCH");
	assert_string_equal(r.target, "/api/a%2Fb%20c/?x=1&y=a+%C3%BC");
	assert_string_equal(r.query, "x=1&y=a+%C3%BC");
	assert_int_equal(r.segment_count, 3);
	assert_string_equal(r.segments[0], "api");
	assert_string_equal(r.segments[1], "a/b c");
	assert_string_equal(r.segments[2], "");
	assert_int_equal(r.field_count, 5);
	assert_string_equal(http_field_get(&r, "host"), "localhost:1");
	assert_string_equal(http_field_get(&r, "x-a"), "b");
	assert_string_equal(http_field_get(&r, "empty"), "");
	assert_null(http_field_get(&r, "x"));
	assert_true(r.has_length);
	assert_int_equal(r.length, 17);
	assert_false(r.keep_alive);
	char *value;
	assert_int_equal(http_query_get(r.query, "y", &value), ERR_OK);
	assert_string_equal(value, "a ü");
	free(value);
	http_request_release(&r);
}

static void a_target_may_be_a_url(void **state)
{
	struct http_request r = parsed("GET HTTP://A:80/b?c=/ HTTP/1.1\r\nHost: a:80\r\n\r\n");
	assert_string_equal(r.target, "/b?c=/");
	assert_string_equal(r.query, "c=/");
	assert_string_equal(r.segments[0], "b");
	http_request_release(&r);
}

static void the_head_ends_at_its_empty_line(void **state)
{
	assert_int_equal(http_head_length("", 0), 0);
	assert_int_equal(http_head_length("GET / HTTP/1.1\r\n\r", 17), 0);
	assert_int_equal(http_head_length("a\r\n\r\nbody\r\n\r\n", 13), 5);
	assert_true(http_head_plausible("", 0) && http_head_plausible("GET", 3));
	assert_false(http_head_plausible("\x16\x03", 2) || http_head_plausible(" ", 1) || http_head_plausible("\0", 1));
}

static void connections_are_kept_by_version(void **state)
{
	static const struct {
		const char *text;
		bool kept;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nHost: a\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: a\r\nConnection: b,CLOSE\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct http_request r = parsed(rows[i].text);
		assert_int_equal(r.keep_alive, rows[i].kept);
		assert_false(r.has_length);
		http_request_release(&r);
	}
}

static void malformed_heads(void **state)
{
	static const char *const texts[] = {
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET /\r\n\r\n",
		" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
		"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
		"GET / http/1.1\r\nHost: a\r\n\r\n",
		"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\n",
		"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http:/// HTTP/1.1\r\nHost: \r\n\r\n",
		"GET http://a?b=/ HTTP/1.1\r\nHost: a?b=\r\n\r\n",
		"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\xc3\xbc HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\t HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		HEAD "Host: a\r\n\r\n",
		HEAD "a\r\n\r\n",
		HEAD ": a\r\n\r\n",
		HEAD "a : b\r\n\r\n",
		HEAD " a: b\r\n\r\n",
		HEAD "a: b\r\n c\r\n\r\n",
		HEAD "a: b\rc: d\r\n\r\n",
		HEAD "a: b\nc: d\r\n\r\n",
		HEAD "a: \x01\r\n\r\n",
		HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
		HEAD "Content-Length: 1, 1\r\n\r\n",
		HEAD "Content-Length: -1\r\n\r\n",
		HEAD "Content-Length:\r\n\r\n",
		HEAD "Content-Length: 12345678901234567890123\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		refused(texts[i], ERR_BAD_REQUEST);
	refused(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", ERR_LENGTH_REQUIRED);
	refused(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_LENGTH_REQUIRED);
	refused("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_LENGTH_REQUIRED);
	refused_bytes("GET / HTTP/1.1\r\nHost: a\r\nb: \0\r\n\r\n", 33, ERR_BAD_REQUEST);
	refused_bytes("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n", 27, ERR_BAD_REQUEST);
}

static void chunks_are_said_in_one_way(void **state)
{
	struct http_request r = parsed(HEAD "Transfer-Encoding: Chunked\r\n\r\n");
	assert_true(r.chunked && !r.has_length && r.length == 0);
	http_request_release(&r);
	r = parsed(HEAD "Content-Length: 0\r\n\r\n");
	assert_true(!r.chunked && r.has_length);
	http_request_release(&r);
}

static void heads_are_bounded(void **state)
{
	char text[LIMIT_URI_BYTES + LIMIT_HTTP_HEADER_FIELDS * 8 + 100];
	int at = snprintf(text, sizeof text, HEAD);
	for (int i = 1; i < LIMIT_HTTP_HEADER_FIELDS; i++)
		at += snprintf(text + at, sizeof text - (size_t)at, "a: b\r\n");
	snprintf(text + at, sizeof text - (size_t)at, "\r\n");
	struct http_request r = parsed(text);
	assert_int_equal(r.field_count, LIMIT_HTTP_HEADER_FIELDS);
	http_request_release(&r);
	snprintf(text + at, sizeof text - (size_t)at, "a: b\r\n\r\n");
	refused(text, ERR_HEADERS_TOO_LARGE);
	for (int more = 0; more < 2; more++) {
		memset(text, 'a', sizeof text);
		memcpy(text, "GET /", 5);
		snprintf(text + 4 + LIMIT_URI_BYTES + more, 50, " HTTP/1.1\r\nHost: a\r\n\r\n");
		if (more) {
			refused(text, ERR_BAD_REQUEST);
		} else {
			r = parsed(text);
			http_request_release(&r);
		}
	}
}

static void paths_that_are_none(void **state)
{
	static const struct {
		const char *target;
		unsigned segments;
	} rows[] = {
		{ "/", 1 },
		{ "//", 2 },
		{ "/..", 1 },
		{ "/a/../b", 3 },
		{ "/%00", 0 },
		{ "/a/%", 0 },
		{ "/a/%4", 0 },
		{ "/%4g", 0 },
		{ "/%0a", 0 },
		{ "/%ff", 0 },
		{ "/%c2%85", 0 },
		{ "/%2e%2e", 1 },
		{ "/1/2/3/4/5/6/7/8", 8 },
		{ "/1/2/3/4/5/6/7/8/9", 0 },
		{ "/a?/b", 1 },
	};
	char text[100];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", rows[i].target);
		struct http_request r = parsed(text);
		assert_int_equal(r.segment_count, rows[i].segments);
		http_request_release(&r);
	}
}

static void lists_and_queries(void **state)
{
	struct http_request r = parsed(HEAD "P: holdfast.v1x,  other\r\nP: ,,b , Holdfast.v1\r\n\r\n");
	assert_true(http_field_has(&r, "p", "holdfast.v1", false));
	assert_false(http_field_has(&r, "p", "holdfast.v1", true));
	assert_true(http_field_has(&r, "p", "b", true));
	assert_false(http_field_has(&r, "p", "", true));
	assert_false(http_field_has(&r, "q", "b", true));
	assert_int_equal(http_field_count(&r, "p"), 2);
	http_request_release(&r);
	static const struct {
		const char *query, *value;
		enum err err;
	} rows[] = {
		{ "", NULL, ERR_OK },
		{ "name", NULL, ERR_OK },
		{ "name=", "", ERR_OK },
		{ "xname=1", NULL, ERR_OK },
		{ "a=b&name=c%26&name=d", "c&", ERR_OK },
		{ "name=%", NULL, ERR_BAD_FIELD },
		{ "name=%00", NULL, ERR_BAD_FIELD },
		{ "&&name=%2B+", "+ ", ERR_OK },
		{ "name=%c3", NULL, ERR_BAD_FIELD },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *value;
		assert_int_equal(http_query_get(rows[i].query, "name", &value), rows[i].err);
		if (rows[i].value)
			assert_string_equal(value, rows[i].value);
		else
			assert_null(value);
		free(value);
	}
}

static void every_error_has_a_phrase(void **state)
{
	for (int err = 0; err < ERR_COUNT; err++)
		assert_string_not_equal(http_phrase(err_status(err)), "");
	assert_string_equal(http_phrase(201), "Created");
	assert_string_equal(http_phrase(202), "Accepted");
	assert_string_equal(http_phrase(299), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request),
		cmocka_unit_test(a_target_may_be_a_url),
		cmocka_unit_test(the_head_ends_at_its_empty_line),
		cmocka_unit_test(connections_are_kept_by_version),
		cmocka_unit_test(malformed_heads),
		cmocka_unit_test(chunks_are_said_in_one_way),
		cmocka_unit_test(heads_are_bounded),
		cmocka_unit_test(paths_that_are_none),
		cmocka_unit_test(lists_and_queries),
		cmocka_unit_test(every_error_has_a_phrase),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
