/* Bodies in chunks: decoded alike however they are split, and refused where two readers could disagree. */
#include "proto/chunked.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct decoded {
	char media[8192];
	size_t len, used;
	enum err err;
	bool done;
};

/* Feeds `len` bytes as one, in an exact copy so that a read behind the end is seen. */
static void feed(struct chunked *c, const char *bytes, size_t len, struct decoded *out)
{
	char *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	for (size_t at = 0; at < len && !c->done && out->err == ERR_OK;) {
		struct chunked_piece piece;
		size_t used;
		out->err = chunked_feed(c, copy + at, len - at, &used, &piece);
		assert_true(used > 0 && used <= len - at);
		assert_true(piece.len <= used && out->len + piece.len <= sizeof out->media);
		memcpy(out->media + out->len, piece.media, piece.len);
		out->len += piece.len;
		out->used += used;
		at += used;
	}
	out->done = c->done;
	free(copy);
}

/* Fed in pieces of `step` bytes, the first one `first`. */
static struct decoded decode(const char *bytes, size_t len, size_t first, size_t step)
{
	struct decoded out = { 0 };
	struct chunked c = { 0 };
	for (size_t at = 0, n = first; at < len; at += n, n = step) {
		if (n > len - at)
			n = len - at;
		feed(&c, bytes + at, n, &out);
	}
	return out;
}

static void same(const struct decoded *a, const struct decoded *b)
{
	assert_int_equal(a->err, b->err);
	assert_int_equal(a->done, b->done);
	assert_int_equal(a->used, b->used);
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->media, b->media, a->len);
}

/* Decodes as one, and shows that no splitting makes a difference. */
static struct decoded decoded(const char *bytes, size_t len)
{
	struct decoded whole = decode(bytes, len, len, 1);
	for (size_t i = 0; i <= len; i++) {
		struct decoded split = decode(bytes, len, i, len);
		same(&whole, &split);
	}
	struct decoded single = decode(bytes, len, 1, 1);
	same(&whole, &single);
	return whole;
}

static void media_comes_out(void **state)
{
	/* what curl -T - sends, with the media shortened, and what is no body any more behind its end */
	static const char body[] = "8\r\nID3\x04\0\0\0\0\r\n0A\r\n\r\n0\r\n\r\n\xff\xfb\x90\r\n0\r\n\r\nSOURCE";
	struct decoded d = decoded(body, sizeof body - 1);
	assert_int_equal(d.err, ERR_OK);
	assert_true(d.done);
	assert_int_equal(d.len, 18);
	assert_memory_equal(d.media, "ID3\x04\0\0\0\0\r\n0\r\n\r\n\xff\xfb\x90", 18);
	assert_int_equal(d.used, sizeof body - 1 - 6);
}

static void extensions_and_trailers_are_skipped(void **state)
{
	static const char body[] = "2;a=\"b\";c\r\nxy\r\n000000\r\nA: b\r\nC:\r\n\r\n";
	struct decoded d = decoded(body, sizeof body - 1);
	assert_int_equal(d.err, ERR_OK);
	assert_true(d.done);
	assert_int_equal(d.len, 2);
	assert_int_equal(d.used, sizeof body - 1);
}

static void an_end_that_did_not_come_is_no_end(void **state)
{
	struct decoded d = decoded("3\r\nabc\r\n0\r\n\r", 12);
	assert_int_equal(d.err, ERR_OK);
	assert_false(d.done);
	assert_int_equal(d.len, 3);
}

static void malformed(void **state)
{
	static const char *const bodies[] = {
		"\r\n",
		"g\r\n",
		"3\nabc\r\n",
		"3\r\nabcd\r\n",
		"3\r\nab\r\n0\r\n\r\n",
		" 3\r\nabc\r\n",
		"3 \r\nabc\r\n",
		"0x3\r\nabc\r\n",
		"+3\r\nabc\r\n",
		"-3\r\nabc\r\n",
		"3\r\rabc\r\n",
		"3\r\nabc\n0\r\n",
		"3\r\nabc0\r\n",
		"3;a\nabc\r\n",
		"3;a\x01\r\nabc\r\n",
		"100000000\r\n",
		"000000003\r\nabc",
		"ffffffffffffffff1",
		"0\r\nA: b\n\r\n",
		"0\r\nA\x7f: b\r\n\r\n",
		"0\r\n\rA",
		"3\r\nabc\rX0\r\n\r\n",
		"0\r\nA: b\r\r\n",
		";a\r\n",
	};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct decoded d = decoded(bodies[i], strlen(bodies[i]));
		if (d.err != ERR_BAD_REQUEST)
			print_error("%s\n", bodies[i]);
		assert_int_equal(d.err, ERR_BAD_REQUEST);
		assert_false(d.done);
	}
	struct decoded d = decoded("3\r\nab\0\0\n", 8);
	assert_int_equal(d.err, ERR_BAD_REQUEST);
	d = decoded("3\0\r\n", 4);
	assert_int_equal(d.err, ERR_BAD_REQUEST);
}

static void an_error_stays(void **state)
{
	struct chunked c = { 0 };
	struct chunked_piece piece;
	size_t used;
	assert_int_equal(chunked_feed(&c, "x", 1, &used, &piece), ERR_BAD_REQUEST);
	assert_int_equal(chunked_feed(&c, "3\r\nabc", 6, &used, &piece), ERR_BAD_REQUEST);
	assert_int_equal(used, 0);
	assert_int_equal(piece.len, 0);
}

/* `count` bytes "a" between two texts. */
static enum err padded(const char *before, size_t count, const char *after)
{
	char *text;
	char *middle = malloc(count + 1);
	assert_non_null(middle);
	memset(middle, 'a', count);
	middle[count] = '\0';
	assert_true(asprintf(&text, "%s%s%s", before, middle, after) > 0);
	size_t len = strlen(text);
	struct decoded whole = decode(text, len, len, 1), single = decode(text, len, 1, 1);
	same(&whole, &single);
	free(middle);
	free(text);
	return whole.err;
}

static void limits(void **state)
{
	assert_int_equal(padded("1;", LIMIT_CHUNK_EXTENSION_BYTES, "\r\nx\r\n"), ERR_OK);
	assert_int_equal(padded("1;", LIMIT_CHUNK_EXTENSION_BYTES + 1, "\r\nx\r\n"), ERR_BAD_REQUEST);
	assert_int_equal(padded("0\r\n", LIMIT_CHUNK_TRAILER_BYTES, "\r\n\r\n"), ERR_OK);
	assert_int_equal(padded("0\r\n", LIMIT_CHUNK_TRAILER_BYTES + 1, "\r\n\r\n"), ERR_BAD_REQUEST);
	assert_int_equal(padded("0\r\nab\r\n", LIMIT_CHUNK_TRAILER_BYTES - 1, "\r\n\r\n"), ERR_BAD_REQUEST);
	struct chunked c = { 0 };
	struct chunked_piece piece;
	size_t used;
	assert_int_equal(chunked_feed(&c, "ffffffff\r\nab", 12, &used, &piece), ERR_OK);
	assert_int_equal(piece.len, 2);
	assert_true(c.left == UINT32_MAX - 2ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(media_comes_out),
		cmocka_unit_test(extensions_and_trailers_are_skipped),
		cmocka_unit_test(an_end_that_did_not_come_is_no_end),
		cmocka_unit_test(malformed),
		cmocka_unit_test(an_error_stays),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
