/* What listeners hear: late joins with their header, one copy for all, nothing kept without need. */
#include "proto/broadcast.h"

#include "support/live_rig.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t bare[4];
static struct live live;
static struct broadcast *air;
static struct buf heard;
static size_t fed; /* of live */

static int begin(void **state)
{
	live_init(&live);
	buf_init(&heard);
	fed = 0;
	air = broadcast_new();
	return air ? 0 : -1;
}

static int end(void **state)
{
	live_release(&live);
	buf_release(&heard);
	broadcast_release(air);
	return 0;
}

/* Feeds what was written since the last time, in pieces. */
static void feed(size_t step)
{
	while (fed < live.data.len) {
		size_t n = live.data.len - fed < step ? live.data.len - fed : step;
		broadcast_feed(air, live.data.data + fed, n, bare);
		fed += n;
	}
}

/* Reads at most `max` bytes as they come, `most` of them at a time. */
static void hear_some(struct broadcast_reader *r, size_t max, size_t most)
{
	struct iovec iov[3];
	int count;
	while (max > 0 && (count = broadcast_peek(r, iov, 3)) > 0) {
		size_t took = 0;
		for (int i = 0; i < count && took < most && took < max; i++) {
			size_t n = iov[i].iov_len < most - took ? iov[i].iov_len : most - took;
			n = n < max - took ? n : max - took;
			assert_true(n > 0);
			buf_add(&heard, iov[i].iov_base, n);
			took += n;
		}
		broadcast_take(r, took);
		max -= took;
	}
}

static void hear(struct broadcast_reader *r)
{
	hear_some(r, SIZE_MAX, 5000);
}

/* What was heard behind the header (which may differ in a length) is the stream's own from `at` on. */
static void heard_is(size_t header, size_t at)
{
	assert_int_equal(heard.len, header + live.data.len - at);
	assert_memory_equal(heard.data + header, live.data.data + at, live.data.len - at);
}

static void a_latecomer_gets_the_header_and_a_boundary(void **state)
{
	struct broadcast_reader r = { 0 };
	assert_false(broadcast_join(air, &r));
	broadcast_begin(air, "audio/webm;codecs=opus");
	assert_string_equal(broadcast_mime(air), "audio/webm;codecs=opus");
	webm_header(&live, false, false);
	size_t header = live.data.len;
	feed(100);
	assert_false(broadcast_join(air, &r)); /* no boundary yet */
	size_t at = 0;
	for (int i = 0; i < 300; i++) {
		if (live.data.len + 900 * 3 > 700 * 1024)
			break;
		at = live.data.len;
		webm_sound(&live, 3, 900);
	}
	feed(1000);
	size_t clusters = (live.data.len - header) / (live.data.len - at);
	size_t one = (live.data.len - header) / clusters;
	assert_string_equal(broadcast_mime(air), "audio/webm");
	assert_true(broadcast_join(air, &r));
	assert_int_equal(broadcast_fed(air), live.data.len);
	assert_int_equal(r.header_len, header);
	assert_int_equal(r.position, r.joined_at);
	assert_int_equal((r.joined_at - header) % one, 0);
	size_t back = live.data.len - r.joined_at;
	assert_true(back <= LIMIT_LISTEN_BURST_BYTES && back > LIMIT_LISTEN_BURST_BYTES - one);
	assert_int_equal(broadcast_behind(&r), back + header);
	assert_int_equal(broadcast_readers(air), 1);
	hear(&r);
	heard_is(header, r.joined_at);
	assert_memory_equal(heard.data, "\x1a\x45\xdf\xa3", 4);
	assert_int_equal(broadcast_behind(&r), 0);
	webm_sound(&live, 3, 900);
	feed(7);
	hear(&r);
	heard_is(header, r.joined_at);
	broadcast_leave(&r);
	broadcast_leave(&r);
	assert_int_equal(broadcast_readers(air), 0);
}

static void a_boundary_far_back_is_better_than_none(void **state)
{
	struct broadcast_reader r = { 0 };
	webm_header(&live, true, false);
	size_t header = live.data.len, at = live.data.len;
	webm_cluster(&live, 0);
	webm_block(&live, 2, true, 2000);
	while (live.data.len < LIMIT_LISTEN_RING_BYTES - 8192)
		webm_block(&live, 2, false, 4000);
	feed(10000);
	assert_true(broadcast_join(air, &r));
	assert_int_equal(r.joined_at, at);
	hear(&r);
	heard_is(header, at);
	broadcast_leave(&r);
	while (live.data.len < LIMIT_LISTEN_RING_BYTES + header + 2 * LIMIT_LISTEN_CHUNK_BYTES)
		webm_block(&live, 2, false, 4000);
	feed(10000);
	assert_false(broadcast_join(air, &r)); /* nothing of it is there any more */
	at = live.data.len;
	webm_cluster(&live, 0);
	webm_block(&live, 2, true, 2000);
	feed(10000);
	assert_true(broadcast_join(air, &r));
	assert_int_equal(r.joined_at, at);
	broadcast_leave(&r);
}

static void the_newest_of_two_far_ones(void **state)
{
	struct broadcast_reader r = { 0 };
	size_t at = 0;
	webm_header(&live, true, false);
	for (int i = 0; i < 2; i++) {
		at = live.data.len;
		webm_cluster(&live, 0);
		webm_block(&live, 2, true, 2000);
		for (int j = 0; j < 30; j++)
			webm_block(&live, 2, false, 4000);
	}
	feed(SIZE_MAX);
	assert_true(broadcast_join(air, &r));
	assert_int_equal(r.joined_at, at);
	broadcast_leave(&r);
}

static void a_new_part_brings_its_header(void **state)
{
	struct broadcast_reader before = { 0 }, late = { 0 };
	broadcast_begin(air, "audio/webm");
	webm_header(&live, false, false);
	size_t header = live.data.len;
	webm_sound(&live, 3, 900);
	feed(500);
	assert_true(broadcast_join(air, &before));
	hear(&before);
	size_t part = live.data.len;
	broadcast_begin(air, "audio/mpeg");
	live_noise(&live, 20); /* too little to judge */
	feed(500);
	assert_true(broadcast_join(air, &late)); /* what is there goes on */
	assert_int_equal(late.joined_at, header);
	broadcast_leave(&late);
	mp3_frames(&live, 9);
	feed(500);
	assert_string_equal(broadcast_mime(air), "audio/mpeg");
	assert_true(broadcast_join(air, &late));
	assert_int_equal(late.header_len, 0);
	assert_true(late.joined_at >= part);
	hear(&before);
	heard_is(header, header); /* the whole stream */
	broadcast_leave(&before);
	heard.len = 0;
	hear(&late);
	heard_is(0, late.joined_at);
	broadcast_leave(&late);
}

static void what_nobody_knows_is_joined_anywhere(void **state)
{
	struct broadcast_reader r = { 0 };
	broadcast_begin(air, "audio/flac");
	live_bytes(&live, "fLaC", 4);
	live_noise(&live, 100);
	feed(SIZE_MAX);
	assert_string_equal(broadcast_mime(air), "audio/flac");
	assert_true(broadcast_join(air, &r));
	assert_int_equal(r.joined_at, 0);
	broadcast_leave(&r);
	for (int i = 0; i < 100; i++) {
		live_noise(&live, 3000);
		feed(SIZE_MAX);
	}
	assert_true(broadcast_join(air, &r));
	assert_int_equal((r.joined_at - 104) % 3000, 0);
	assert_in_range(live.data.len - r.joined_at, LIMIT_LISTEN_BURST_BYTES - 3000, LIMIT_LISTEN_BURST_BYTES);
	hear(&r);
	heard_is(0, r.joined_at);
	broadcast_leave(&r);
	static const char *const odd[] = { NULL, "" };
	for (int i = 0; i < 2; i++) {
		broadcast_begin(air, odd[i]);
		live_bytes(&live, "RIFF", 4);
		live_noise(&live, 100);
		feed(SIZE_MAX);
		assert_string_equal(broadcast_mime(air), "application/octet-stream");
	}
}

static void masked_pieces_are_as_bare_ones(void **state)
{
	struct broadcast_reader r = { 0 };
	static const uint8_t mask[4] = { 1, 200, 3, 77 };
	webm_header(&live, false, false);
	size_t header = live.data.len;
	for (int i = 0; i < 20; i++)
		webm_sound(&live, 3, 900);
	uint8_t *copy = malloc(live.data.len);
	for (size_t i = 0; i < live.data.len; i++)
		copy[i] = (uint8_t)live.data.data[i] ^ mask[i & 3];
	broadcast_feed(air, copy, live.data.len, mask); /* over several chunks */
	free(copy);
	assert_true(broadcast_join(air, &r));
	hear(&r);
	heard_is(header, r.joined_at);
	broadcast_leave(&r);
}

/* Who left nothing behind costs nothing; a slow one keeps what it has not read; none hurts another. */
static void only_what_may_be_read_is_kept(void **state)
{
	struct broadcast_reader slow = { 0 }, fast = { 0 };
	static uint8_t piece[64 * 1024];
	mp3_frames(&live, 9);
	feed(SIZE_MAX);
	assert_true(broadcast_join(air, &slow));
	assert_true(broadcast_join(air, &fast));
	size_t before = mallinfo2().uordblks;
	for (int i = 0; i < 4; i++) {
		mp3_frames(&live, 1000);
		feed(3000);
		hear(&fast);
		assert_int_equal(heard.len, live.data.len);
	}
	size_t rig = live.data.capacity + heard.capacity;
	assert_true(live.data.len > 1024 * 1024);
	assert_int_equal(broadcast_behind(&slow), live.data.len);
	heard.len = 0;
	hear_some(&slow, SIZE_MAX, sizeof piece);
	heard_is(0, 0);
	size_t after = mallinfo2().uordblks;
	assert_true(after < before + rig + LIMIT_LISTEN_BURST_BYTES + 4 * LIMIT_LISTEN_CHUNK_BYTES);
	broadcast_leave(&slow);
	broadcast_leave(&fast);
}

static void a_slow_reader_skips_from_boundary_to_boundary(void **state)
{
	struct broadcast_reader r = { 0 };
	webm_header(&live, false, false);
	webm_sound(&live, 3, 900);
	size_t second = live.data.len;
	webm_sound(&live, 3, 900);
	feed(SIZE_MAX);
	assert_true(broadcast_join(air, &r));
	assert_int_equal(broadcast_to_boundary(&r), UINT64_MAX); /* a header has none inside */
	assert_false(broadcast_skip(&r));
	hear_some(&r, r.header_len + 10, SIZE_MAX);
	size_t newest = 0;
	for (int i = 0; i < 200; i++) {
		newest = live.data.len;
		webm_sound(&live, 3, 900);
	}
	feed(1000);
	assert_false(broadcast_skip(&r)); /* inside of a Cluster */
	assert_int_equal(broadcast_to_boundary(&r), second - r.position);
	hear_some(&r, (size_t)broadcast_to_boundary(&r), SIZE_MAX);
	assert_int_equal(broadcast_to_boundary(&r), 0);
	heard.len = 0;
	assert_true(broadcast_skip(&r));
	assert_int_equal(r.position, newest);
	assert_false(broadcast_skip(&r));
	hear_some(&r, 10, SIZE_MAX);
	assert_int_equal(broadcast_to_boundary(&r), UINT64_MAX);
	size_t next = live.data.len;
	for (int i = 0; i < 3; i++)
		webm_sound(&live, 3, 900);
	feed(SIZE_MAX);
	size_t part = live.data.len;
	broadcast_begin(air, NULL);
	mp3_frames(&live, 20);
	feed(SIZE_MAX);
	hear_some(&r, next - r.position, SIZE_MAX);
	assert_true(broadcast_skip(&r)); /* no further than to the next header */
	assert_int_equal(r.position, part);
	broadcast_leave(&r);
}

static void the_end_comes_behind_the_last_byte(void **state)
{
	struct broadcast_reader r = { 0 };
	mp3_frames(&live, 9);
	feed(SIZE_MAX);
	assert_true(broadcast_join(air, &r));
	broadcast_end(air);
	assert_true(broadcast_ended(air));
	broadcast_release(air); /* the reader holds it */
	hear(&r);
	heard_is(0, 0);
	assert_true(broadcast_ended(r.broadcast));
	air = broadcast_hold(r.broadcast);
	broadcast_leave(&r);
}

static void titles(void **state)
{
	assert_string_equal(broadcast_title_text(air), "");
	assert_int_equal(broadcast_title(air)->version, 0);
	broadcast_title_set(air, "Björk -\nJóga");
	assert_string_equal(broadcast_title_text(air), "Björk - Jóga");
	assert_int_equal(broadcast_title(air)->version, 1);
	assert_string_equal((const char *)broadcast_title(air)->block + 1, "StreamTitle='Björk - Jóga';");
	char *lengthy = malloc(3 * LIMIT_TITLE_BYTES);
	for (int i = 0; i < LIMIT_TITLE_BYTES; i++)
		memcpy(lengthy + 2 * i, "ö", 3);
	broadcast_title_set(air, lengthy);
	free(lengthy);
	assert_int_equal(strlen(broadcast_title_text(air)), LIMIT_TITLE_BYTES);
	broadcast_title_set(air, "");
	assert_string_equal(broadcast_title_text(air), "");
	assert_int_equal(broadcast_title(air)->version, 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_latecomer_gets_the_header_and_a_boundary),
		TEST(a_boundary_far_back_is_better_than_none),
		TEST(the_newest_of_two_far_ones),
		TEST(a_new_part_brings_its_header),
		TEST(what_nobody_knows_is_joined_anywhere),
		TEST(masked_pieces_are_as_bare_ones),
		TEST(only_what_may_be_read_is_kept),
		TEST(a_slow_reader_skips_from_boundary_to_boundary),
		TEST(the_end_comes_behind_the_last_byte),
		TEST(titles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
