/* Heads that no source sends in good faith: each has its own refusal, and a limit is met exactly. */
#include "proto/source_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PUT    "PUT /m HTTP/1.1\r\nContent-Type: audio/mpeg\r\n"
#define SOURCE "SOURCE /m HTTP/1.0\r\n"
#define TITLE  "GET /admin/metadata?mode=updinfo&mount=m&song=s"

/* Feeds as one and byte by byte: both must agree. Then the head, if it became one, is parsed. */
static enum err judged(const char *bytes, size_t len)
{
	static const struct source_request empty;
	struct source_head whole = { 0 }, single = { 0 };
	struct source_request r;
	const char *detail = NULL;
	size_t used, taken = 0;
	char *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	enum err err = source_head_feed(&whole, copy, len, &used);
	for (size_t i = 0; i < len; i++) {
		size_t one;
		source_head_feed(&single, copy + i, 1, &one);
		taken += one;
	}
	assert_int_equal(single.err, err);
	assert_int_equal(single.complete, whole.complete);
	assert_int_equal(taken, used);
	if (err != ERR_OK) {
		assert_non_null(whole.detail);
		assert_int_equal(source_head_feed(&whole, "SOURCE", 6, &used), err); /* it stays wrong */
		assert_int_equal(used, 0);
		assert_null(whole.text.data);
	} else if (whole.complete) {
		err = source_request_parse(whole.text.data, whole.text.len, &r, &detail);
		assert_true((err == ERR_OK) == (detail == NULL));
		if (err != ERR_OK)
			assert_memory_equal(&r, &empty, sizeof r);
	} else {
		err = ERR_BUSY; /* not yet */
	}
	source_head_release(&whole);
	source_head_release(&single);
	free(copy);
	return err;
}

static void refused(const char *const *heads, size_t count, enum err expected)
{
	for (size_t i = 0; i < count; i++) {
		enum err err = judged(heads[i], strlen(heads[i]));
		if (err != expected)
			print_error("%s: %s\n", heads[i], err_code(err));
		assert_int_equal(err, expected);
	}
}

#define REFUSED(err, ...)                                                                                              \
	do {                                                                                                           \
		static const char *const heads[] = { __VA_ARGS__ };                                                    \
		refused(heads, sizeof heads / sizeof *heads, err);                                                     \
	} while (0)

static void what_is_no_head(void **state)
{
	REFUSED(ERR_BAD_REQUEST, "\x16\x03\x01", "hackme\r\n", " SOURCE", "\r\n", "1", "\xff",
		"SOURCE hackme /m\nx-audiocast", "SOURCE /m HTTP/1.0\n\n", SOURCE "a: b\n", SOURCE "a: b\rc",
		SOURCE "a: b\r\r\n", SOURCE "a: \x01", SOURCE "a: \x7f", SOURCE "\n");
	assert_int_equal(judged(SOURCE "a: \0b\r\n\r\n", sizeof SOURCE + 8), ERR_BAD_REQUEST);
	assert_int_equal(judged("\0", 1), ERR_BAD_REQUEST);
	REFUSED(ERR_BUSY, "", "SOURCE", SOURCE, SOURCE "a: b", SOURCE "a: b\r\n\r");
}

static void malformed_lines(void **state)
{
	REFUSED(ERR_BAD_REQUEST, "SOURCE\r\n\r\n", "SOURCE /m\r\n\r\n", "SOURCE  /m HTTP/1.0\r\n\r\n",
		"SOURCE /m HTTP/1.0 \r\n\r\n", "SOURCE /m  HTTP/1.0\r\n\r\n", "SOURCE /m HTTP/1.2\r\n\r\n",
		"SOURCE /m HTTP/2.0\r\n\r\n", "SOURCE /m http/1.0\r\n\r\n", "PUT /m ICE/1.0\r\n\r\n",
		"SOURCE m HTTP/1.0\r\n\r\n", "SOURCE http://a/m HTTP/1.0\r\n\r\n", "SOURCE * HTTP/1.0\r\n\r\n",
		"SO(RCE /m HTTP/1.0\r\n\r\n", "SOURCE /m\tx HTTP/1.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n");
	REFUSED(ERR_BAD_REQUEST, SOURCE "a\r\n\r\n", SOURCE ": b\r\n\r\n", SOURCE "a : b\r\n\r\n",
		SOURCE " a: b\r\n\r\n", SOURCE "a: b\r\n c\r\n\r\n", SOURCE "a: b\r\n\tc\r\n\r\n",
		SOURCE "\xc3\xbc: b\r\n\r\n", SOURCE "a\xe9: b\r\n\r\n");
}

/* What lets two readers see two different bodies. */
static void smuggling(void **state)
{
	REFUSED(ERR_BAD_REQUEST, PUT "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
		PUT "Transfer-Encoding: chunked\r\ncontent-length: 3\r\n\r\n",
		PUT "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
		PUT "Content-Length: 3\r\nCONTENT-LENGTH: 4\r\n\r\n",
		PUT "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		PUT "Transfer-Encoding : chunked\r\n\r\n", PUT "Transfer-Encoding\t: chunked\r\n\r\n",
		PUT "a: b\r\n Transfer-Encoding: chunked\r\n\r\n", SOURCE "Transfer-Encoding: chunked\r\n\r\n",
		PUT "Content-Length: 3, 3\r\n\r\n", PUT "Content-Length: +3\r\n\r\n", PUT "Content-Length: -3\r\n\r\n",
		PUT "Content-Length: 0x3\r\n\r\n", PUT "Content-Length: 3 4\r\n\r\n", PUT "Content-Length:\r\n\r\n",
		PUT "Content-Length: 99999999999999999999\r\n\r\n",
		PUT "Content-Length: 00000000000000000000000000000003\r\n\r\n",
		PUT "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", PUT "Expect: 200-ok\r\n\r\n",
		SOURCE "Expect: 200-ok\r\n\r\n", PUT "Host: a\r\nHost: a\r\n\r\n",
		PUT "Content-Type: audio/mpeg\r\n\r\n", TITLE " HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
		TITLE " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
		SOURCE "Authorization: Basic Og==\r\nAuthorization: Basic Og==\r\n\r\n");
	REFUSED(ERR_NOT_SUPPORTED, PUT "Transfer-Encoding: gzip, chunked\r\n\r\n",
		PUT "Transfer-Encoding: xchunked\r\n\r\n", PUT "Transfer-Encoding: identity\r\n\r\n",
		PUT "Transfer-Encoding: \"chunked\"\r\n\r\n", PUT "Transfer-Encoding:\r\n\r\n",
		PUT "Transfer-Encoding: chunked, chunked\r\n\r\n", PUT "Transfer-Encoding: chunked;a\r\n\r\n");
	REFUSED(ERR_OK, PUT "\r\n", PUT "transfer-encoding:\tCHUNKED \r\n\r\n", PUT "X-Transfer-Encoding: gzip\r\n\r\n",
		TITLE " HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
}

static void wrong_subjects(void **state)
{
	REFUSED(ERR_BAD_FIELD, "SOURCE / HTTP/1.0\r\n\r\n", "SOURCE // HTTP/1.0\r\n\r\n", "SOURCE //m HTTP/1.0\r\n\r\n",
		"SOURCE /m/ HTTP/1.0\r\n\r\n", "SOURCE /a/b HTTP/1.0\r\n\r\n", "SOURCE /a%2Fb HTTP/1.0\r\n\r\n",
		"SOURCE /a%5cb HTTP/1.0\r\n\r\n", "SOURCE /. HTTP/1.0\r\n\r\n", "SOURCE /.. HTTP/1.0\r\n\r\n",
		"SOURCE /%2e%2e HTTP/1.0\r\n\r\n", "SOURCE /.hidden HTTP/1.0\r\n\r\n", "SOURCE /.mp3 HTTP/1.0\r\n\r\n",
		"SOURCE /..mp3 HTTP/1.0\r\n\r\n", "SOURCE /m%00 HTTP/1.0\r\n\r\n", "SOURCE /m%0a HTTP/1.0\r\n\r\n",
		"SOURCE /m% HTTP/1.0\r\n\r\n", "SOURCE /m%4 HTTP/1.0\r\n\r\n", "SOURCE /m%4g HTTP/1.0\r\n\r\n",
		"SOURCE /m%%34 HTTP/1.0\r\n\r\n", "SOURCE /a+b HTTP/1.0\r\n\r\n", "SOURCE /\xc3\xbc HTTP/1.0\r\n\r\n",
		"SOURCE /%C3%BC HTTP/1.0\r\n\r\n", "SOURCE /m? HTTP/1.0\r\n\r\n", "SOURCE /m?a=b HTTP/1.0\r\n\r\n",
		"SOURCE /<m> HTTP/1.0\r\n\r\n");
	REFUSED(ERR_BAD_FIELD, "GET /admin/metadata HTTP/1.0\r\n\r\n", "GET /admin/metadata? HTTP/1.0\r\n\r\n",
		"GET /admin/metadata?mode=updinfo&song=s HTTP/1.0\r\n\r\n",
		"GET /admin/metadata?mode=updinfo&mount=m HTTP/1.0\r\n\r\n",
		"GET /admin/metadata?mount=m&song=s HTTP/1.0\r\n\r\n",
		"GET /admin/metadata?mode=x&mount=m&song=s HTTP/1.0\r\n\r\n", TITLE "&song=t HTTP/1.0\r\n\r\n",
		TITLE "&mount=n HTTP/1.0\r\n\r\n", TITLE "&mode=updinfo HTTP/1.0\r\n\r\n", TITLE "% HTTP/1.0\r\n\r\n",
		TITLE "%0 HTTP/1.0\r\n\r\n", TITLE "%00 HTTP/1.0\r\n\r\n",
		"GET /admin/metadata?mode=updinfo&mount=/a/b&song=s HTTP/1.0\r\n\r\n",
		"GET /admin/metadata?mode=updinfo&mount=&song=s HTTP/1.0\r\n\r\n");
	REFUSED(ERR_NOT_FOUND, "GET / HTTP/1.1\r\n\r\n", "GET /m HTTP/1.0\r\n\r\n",
		"GET /admin/metadata/ HTTP/1.0\r\n\r\n",
		"GET /admin.cgi?mode=updinfo&pass=hackme&song=s HTTP/1.1\r\n\r\n");
	REFUSED(ERR_METHOD_NOT_ALLOWED, "POST /m HTTP/1.1\r\n\r\n", "HEAD /m HTTP/1.1\r\n\r\n",
		"DELETE /m HTTP/1.1\r\n\r\n", "CONNECT /m HTTP/1.1\r\n\r\n", "Put /m HTTP/1.1\r\n\r\n");
	REFUSED(ERR_UNSUPPORTED_MEDIA, "PUT /m HTTP/1.1\r\n\r\n", SOURCE "Content-Type: audio/flac\r\n\r\n",
		SOURCE "Content-Type: text/html\r\n\r\n", SOURCE "Content-Type:\r\n\r\n",
		SOURCE "Content-Type: audio/mpegx\r\n\r\n", SOURCE "Content-Type: audio/mpeg, audio/ogg\r\n\r\n",
		PUT "Content-Encoding: gzip\r\n\r\n");
}

static void wrong_credentials(void **state)
{
	REFUSED(ERR_BAD_REQUEST, SOURCE "Authorization: Basic\r\n\r\n",
		SOURCE "Authorization: Basic c291cmNlOmhhY2ttZQ\r\n\r\n",
		SOURCE "Authorization: Basic c291cmNlOmhhY2ttZQ=\r\n\r\n",
		SOURCE "Authorization: Basic c291cmNlOmhhY2ttZR==\r\n\r\n",
		SOURCE "Authorization: Basic c291cmNl\r\n\r\n",
		SOURCE "Authorization: Basic c291 cmNlOmhhY2ttZQ==\r\n\r\n", SOURCE "Authorization: Basic c2=1\r\n\r\n",
		SOURCE "Authorization: Basic ====\r\n\r\n", SOURCE "Authorization: Basic Og==Og==\r\n\r\n",
		SOURCE "Authorization: Basic Oi_-\r\n\r\n", SOURCE "Authorization: Basic YToA\r\n\r\n",
		/* a:NUL */ SOURCE "Authorization: Basic YTpiCg==\r\n\r\n", /* a:b LF */
		SOURCE "Authorization: Basic YTpiCQ==\r\n\r\n" /* a:b TAB */);
}

/* `count` times `unit` between two texts. */
static enum err padded(const char *before, const char *unit, size_t count, const char *after)
{
	size_t len = strlen(before) + count * strlen(unit) + strlen(after);
	char *text = malloc(len + 1), *at = text;
	assert_non_null(text);
	at = stpcpy(at, before);
	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, unit);
	stpcpy(at, after);
	enum err err = judged(text, len);
	free(text);
	return err;
}

static void limits(void **state)
{
	size_t room = LIMIT_SOURCE_HEAD_BYTES - strlen(SOURCE "a: \r\n\r\n");
	assert_int_equal(padded(SOURCE "a: ", "b", room, "\r\n\r\n"), ERR_OK);
	assert_int_equal(padded(SOURCE "a: ", "b", room + 1, "\r\n\r\n"), ERR_HEADERS_TOO_LARGE);
	assert_int_equal(padded("S", "S", 100000, ""), ERR_HEADERS_TOO_LARGE);
	assert_int_equal(padded(SOURCE, "a:\r\n", 100000, ""), ERR_HEADERS_TOO_LARGE);
	assert_int_equal(padded(SOURCE, "a:\r\n", LIMIT_SOURCE_FIELDS, "\r\n"), ERR_OK);
	assert_int_equal(padded(SOURCE, "a:\r\n", LIMIT_SOURCE_FIELDS + 1, "\r\n"), ERR_HEADERS_TOO_LARGE);
	assert_int_equal(padded("SOURCE /", "a", LIMIT_SHOW_CHARS, ".webm HTTP/1.0\r\n\r\n"), ERR_OK);
	assert_int_equal(padded("SOURCE /", "a", LIMIT_SHOW_CHARS + 1, ".webm HTTP/1.0\r\n\r\n"), ERR_BAD_FIELD);
	assert_int_equal(padded("SOURCE /", "a", LIMIT_SHOW_CHARS + 1, " HTTP/1.0\r\n\r\n"), ERR_BAD_FIELD);
	assert_int_equal(padded("SOURCE /", "%61", LIMIT_SHOW_CHARS, " HTTP/1.0\r\n\r\n"), ERR_OK);
	/* "YWFh" is "aaa", "YTo=" is "a:", "YWE6" is "aa:" */
	enum { USER = LIMIT_SOURCE_USER_CHARS, PASSWORD = LIMIT_SOURCE_PASSWORD_CHARS };
	assert_int_equal(USER % 3, 1);
	assert_int_equal(PASSWORD % 3, 1);
	assert_int_equal(padded(SOURCE "Authorization: Basic ", "YWFh", USER / 3, "YTo=\r\n\r\n"), ERR_OK);
	assert_int_equal(padded(SOURCE "Authorization: Basic ", "YWFh", USER / 3, "YWE6\r\n\r\n"), ERR_BAD_REQUEST);
	assert_int_equal(padded(SOURCE "Authorization: Basic YWE6", "YWFh", PASSWORD / 3, "YQ==\r\n\r\n"), ERR_OK);
	assert_int_equal(padded(SOURCE "Authorization: Basic YWE6", "YWFh", PASSWORD / 3, "YWE=\r\n\r\n"),
			 ERR_BAD_REQUEST);
	assert_int_equal(padded(SOURCE "Authorization: Basic YWE6", "YWFh", 1500, "\r\n\r\n"), ERR_BAD_REQUEST);
	assert_int_equal(padded(TITLE, "%41", 2000, " HTTP/1.0\r\n\r\n"), ERR_OK);
}

static void only_whole_heads_are_parsed(void **state)
{
	static const char *const texts[] = {
		"", "\r\n", "\r\n\r\n", "SOURCE /m HTTP/1.0", SOURCE, SOURCE "\r\n\r\n", SOURCE "\r\nx", SOURCE "a: b"
	};
	struct source_request r;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(source_request_parse(texts[i], strlen(texts[i]), &r, NULL), ERR_BAD_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_head),
		cmocka_unit_test(malformed_lines),
		cmocka_unit_test(smuggling),
		cmocka_unit_test(wrong_subjects),
		cmocka_unit_test(wrong_credentials),
		cmocka_unit_test(limits),
		cmocka_unit_test(only_whole_heads_are_parsed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
