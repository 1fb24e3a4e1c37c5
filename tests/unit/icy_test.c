/* What listeners are told: headers, and titles between the media, taken apart again as a player does. */
#include "proto/icy.h"

#include "proto/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void headers(void **state)
{
	struct buf b;
	buf_init(&b);
	struct icy_station station = { "Tür\r\nSet-Cookie: a=b", "", NULL, "http://x/", 128, true };
	icy_headers_add(&b, &station, true);
	assert_string_equal(b.data,
			    "icy-name: TürSet-Cookie: a=b\r\nicy-url: http://x/\r\nicy-br: 128\r\nicy-pub: 1\r\n"
			    "icy-metaint: 16000\r\n");
	buf_release(&b);
	buf_init(&b);
	station = (struct icy_station){ .genre = "g", .description = "d" };
	icy_headers_add(&b, &station, false);
	assert_string_equal(b.data, "icy-genre: g\r\nicy-description: d\r\nicy-pub: 0\r\n");
	buf_release(&b);
}

static void who_wants_titles(void **state)
{
	assert_true(icy_wanted("1"));
	assert_false(icy_wanted(NULL) || icy_wanted("") || icy_wanted("0") || icy_wanted("11") || icy_wanted("true"));
}

/* The text of a block, after its form was judged. */
static const char *block_text(const struct icy_title *t)
{
	assert_int_equal(t->len, 1 + t->block[0] * 16u);
	const char *text = (const char *)t->block + 1;
	size_t len = strnlen(text, t->len - 1);
	assert_true(t->len - 1 - len < 16); /* no sixteen of padding alone */
	for (size_t i = 1 + len; i < t->len; i++)
		assert_int_equal(t->block[i], 0);
	static char copy[LIMIT_ICY_BLOCK_BYTES + 1];
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static void blocks(void **state)
{
	static const char *const rows[][2] = {
		{ "Björk - Jóga", "StreamTitle='Björk - Jóga';" },
		{ "", "StreamTitle='';" },
		{ "It's on 'n' on'", "StreamTitle='It's on 'n' on'';" },
		{ "a';StreamUrl='x';", "StreamTitle='a' ;StreamUrl='x' ;';" },
		{ ";;'", "StreamTitle=';;'';" },
		{ "a\r\n\x01\x7f"
		  "b",
		  "StreamTitle='ab';" },
		{ "'\x01;", "StreamTitle='' ;';" },
		{ "a", "StreamTitle='a';" },   /* 16 bytes: one sixteen */
		{ "ab", "StreamTitle='ab';" }, /* 17: two */
	};
	struct icy_title t = { 0 };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		icy_title_set(&t, rows[i][0]);
		assert_int_equal(t.version, i + 1);
		assert_string_equal(block_text(&t), rows[i][1]);
	}
	assert_int_equal(t.len, 33);
	icy_title_set(&t, "a");
	assert_int_equal(t.len, 17);
	uint32_t version = t.version;
	icy_title_set(&t, "a");
	assert_int_equal(t.version, version);
}

static void long_titles_are_cut_between_characters(void **state)
{
	enum { ROOM = LIMIT_ICY_BLOCK_BYTES - 15 };
	char title[ROOM + 16], expected[LIMIT_ICY_BLOCK_BYTES + 1];
	struct icy_title t = { 0 };
	for (size_t before = 0; before < 4; before++) {
		memset(title, 'a', ROOM - before);
		stpcpy(title + ROOM - before, "😀b"); /* it fits only when nothing else stands there */
		icy_title_set(&t, title);
		assert_int_equal(t.block[0], 255);
		assert_int_equal(snprintf(expected, sizeof expected, "StreamTitle='%.*s';", ROOM - (int)before, title),
				 LIMIT_ICY_BLOCK_BYTES - before);
		assert_string_equal(block_text(&t), expected);
		assert_true(text_valid(block_text(&t), SIZE_MAX));
	}
	stpcpy(title + ROOM - 4, "😀b");
	icy_title_set(&t, title);
	assert_int_equal(strlen(block_text(&t)), LIMIT_ICY_BLOCK_BYTES);
	stpcpy(title + ROOM - 2, "';"); /* the blank between has no room, so the rest goes */
	icy_title_set(&t, title);
	assert_int_equal(strlen(block_text(&t)), LIMIT_ICY_BLOCK_BYTES - 1);
}

/* A listener's stream is made with runs of any size and taken apart again; titles change on the way. */
static void interleaved_and_taken_apart(void **state)
{
	enum { MEDIA = 10 * LIMIT_ICY_INTERVAL_BYTES + 77 };
	uint8_t *media = malloc(MEDIA), *stream = malloc(2 * MEDIA), *back = malloc(MEDIA);
	assert_true(media && stream && back);
	for (size_t i = 0; i < MEDIA; i++)
		media[i] = (uint8_t)(i * 2654435761u >> 13);
	for (size_t run = 1; run < 40000; run = run * 3 + 1) {
		struct icy_title t = { 0 };
		struct icy_listener l;
		const uint8_t *block;
		size_t len = 0, got = 0;
		unsigned blocks = 0, titles = 0;
		icy_listener_init(&l);
		for (size_t at = 0; at < MEDIA;) {
			size_t n = icy_media_next(&l, run < MEDIA - at ? run : MEDIA - at);
			if (n > 0) {
				memcpy(stream + len, media + at, n);
				icy_media_sent(&l, n);
				len += n;
				at += n;
				continue;
			}
			if (++blocks == 3)
				icy_title_set(&t, "one");
			if (blocks == 6)
				icy_title_set(&t, "two");
			n = icy_block_next(&l, &t, &block);
			memcpy(stream + len, block, n);
			len += n;
		}
		assert_int_equal(blocks, 10);
		for (size_t at = 0; at < len;) { /* the player */
			size_t n = len - at < LIMIT_ICY_INTERVAL_BYTES ? len - at : LIMIT_ICY_INTERVAL_BYTES;
			memcpy(back + got, stream + at, n);
			got += n;
			at += n;
			if (at == len)
				break;
			size_t size = stream[at++] * 16u;
			if (size > 0)
				assert_string_equal((char *)stream + at,
						    titles++ ? "StreamTitle='two';" : "StreamTitle='one';");
			at += size;
		}
		assert_int_equal(titles, 2);
		assert_int_equal(got, MEDIA);
		assert_memory_equal(back, media, MEDIA);
	}
	free(media);
	free(stream);
	free(back);
}

static void who_joins_late_is_told_at_the_first_block(void **state)
{
	struct icy_title t = { 0 };
	struct icy_listener l;
	const uint8_t *block;
	icy_title_set(&t, "a");
	icy_listener_init(&l);
	assert_int_equal(icy_media_next(&l, SIZE_MAX), 16000);
	icy_media_sent(&l, 16000);
	assert_int_equal(icy_media_next(&l, 1), 0);
	assert_int_equal(icy_block_next(&l, &t, &block), 17);
	assert_ptr_equal(block, t.block); /* shared, not copied */
	icy_media_sent(&l, 16000);
	assert_int_equal(icy_block_next(&l, &t, &block), 1);
	assert_int_equal(block[0], 0);
	t.version = UINT32_MAX; /* counting goes round past "nobody has said one" */
	icy_title_set(&t, "b");
	assert_int_equal(t.version, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(who_wants_titles),
		cmocka_unit_test(blocks),
		cmocka_unit_test(long_titles_are_cut_between_characters),
		cmocka_unit_test(interleaved_and_taken_apart),
		cmocka_unit_test(who_joins_late_is_told_at_the_first_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
