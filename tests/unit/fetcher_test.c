/* Fetching by libcurl against a server in the same loop: resuming, what a status means, limits, pauses. */
#include "support/fetch_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- what comes whole --- */

static void a_body_comes_whole(void **state)
{
	struct rig *g = *state;
	g->answer = whole;
	fetch_from(g, 0, NULL);
	expect(g, ERR_OK, "0123456789");
	assert_int_equal(g->head.total, 10);
	assert_true(g->head.from_start);
	assert_string_equal(g->head.mime, "audio/ogg");
	assert_string_equal(g->validator, "\"one\"");
	assert_true(asked(g, 0, "GET /call HTTP/1.1\r\n"));
	assert_true(asked(g, 0, "Accept-Encoding: identity\r\n"));
	assert_true(asked(g, 0, "User-Agent: test/1\r\n"));
	assert_false(asked(g, 0, "Range:"));
	assert_true(asked(g, 0, "Authorization: Basic YW5uOnMzY3JldA==\r\n"));
}

static void chunked(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: W/\"weak\"\r\nLast-Modified: then\r\n\r\n"
		   "4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n");
}

static void without_a_length(void **state)
{
	struct rig *g = *state;
	g->answer = chunked;
	fetch_from(g, 0, NULL);
	expect(g, ERR_OK, "0123456789");
	assert_true(g->head.total == BYTES_UNKNOWN);
	assert_string_equal(g->validator, "then");
}

static void empty(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void an_empty_body_has_a_head(void **state)
{
	struct rig *g = *state;
	g->answer = empty;
	fetch_from(g, 0, NULL);
	expect(g, ERR_OK, "");
	assert_int_equal(g->headed, 1);
	assert_int_equal(g->head.total, 0);
}

/* --- going on --- */

static void ranged(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p,
		"HTTP/1.1 206 Part\r\nContent-Length: 6\r\nContent-Range: bytes 4-9/10\r\nETag: \"one\"\r\n\r\n456789");
}

static void a_range_goes_on(void **state)
{
	struct rig *g = *state;
	g->answer = ranged;
	fetch_from(g, 4, "\"one\"");
	expect(g, ERR_OK, "456789");
	assert_false(g->head.from_start);
	assert_int_equal(g->head.total, 10);
	assert_true(asked(g, 0, "Range: bytes=4-\r\n"));
	assert_true(asked(g, 0, "If-Range: \"one\"\r\n"));
}

static void without_a_validator_no_range_is_asked_for(void **state)
{
	struct rig *g = *state;
	g->answer = whole;
	fetch_from(g, 4, NULL);
	expect(g, ERR_OK, "0123456789");
	assert_true(g->head.from_start);
	assert_false(asked(g, 0, "Range:"));
}

static void a_changed_source_comes_from_its_start(void **state)
{
	struct rig *g = *state;
	g->answer = whole;
	fetch_from(g, 4, "\"zero\"");
	expect(g, ERR_OK, "0123456789");
	assert_true(g->head.from_start);
}

static const char *wrong_part;
static void part_then_whole(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, asked(g, g->asked - 1, "Range:") ? wrong_part : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

/* A part that was not asked for is never taken for the one that was. */
static void wrong_parts_are_not_taken(void **state)
{
	static const char *const wrong[] = {
		"HTTP/1.1 206 Part\r\nContent-Length: 2\r\nContent-Range: bytes 3-4/10\r\n\r\nxx",
		"HTTP/1.1 206 Part\r\nContent-Length: 2\r\nContent-Range: bytes 5-6/10\r\n\r\nxx",
		"HTTP/1.1 206 Part\r\nContent-Length: 2\r\nContent-Range: bytes 4-3/10\r\n\r\nxx",
		"HTTP/1.1 206 Part\r\nContent-Length: 2\r\nContent-Range: bytes 4-5/4\r\n\r\nxx",
		"HTTP/1.1 206 Part\r\nContent-Length: 2\r\nContent-Range: rows 4-5/10\r\n\r\nxx",
		"HTTP/1.1 206 Part\r\nContent-Length: 2\r\n\r\nxx",
		"HTTP/1.1 206 Part\r\nContent-Length: 2\r\nContent-Range: bytes 4-5/10\r\nETag: \"two\"\r\n\r\nxx",
		"HTTP/1.1 416 No\r\nContent-Length: 0\r\nContent-Range: bytes */3\r\n\r\n",
		"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n",
	};
	struct rig *g = *state;
	g->answer = part_then_whole;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		wrong_part = wrong[i];
		fetch_from(g, 4, "\"one\"");
		expect(g, ERR_OK, "ok");
		assert_true(g->head.from_start);
	}
}

static void nothing_more(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 416 No\r\nContent-Length: 0\r\nContent-Range: bytes */4\r\n\r\n");
}

static void all_was_there_already(void **state)
{
	struct rig *g = *state;
	g->answer = nothing_more;
	fetch_from(g, 4, "\"one\"");
	expect(g, ERR_OK, "");
	assert_int_equal(g->head.total, 4);
	assert_false(g->head.from_start);
}

static void cut_short(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"one\"\r\n\r\n0123");
	web_close(p);
}

static void a_body_that_ends_early_has_failed(void **state)
{
	struct rig *g = *state;
	g->answer = cut_short;
	fetch_from(g, 0, NULL);
	expect(g, ERR_SOURCE_FAILED, "0123");
	assert_string_equal(g->validator, "\"one\"");
}

/* --- what a status means --- */

static int status;
static void by_status(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	char text[128];
	snprintf(text, sizeof text, "HTTP/1.1 %d X\r\nContent-Length: 4\r\n\r\noops", status);
	web_say(p, text);
}

static void statuses_have_classes(void **state)
{
	static const struct {
		int status;
		enum err err;
	} rows[] = {
		{ 204, ERR_SOURCE_REFUSED }, { 206, ERR_SOURCE_FAILED },  { 300, ERR_SOURCE_REFUSED },
		{ 302, ERR_SOURCE_REFUSED }, { 304, ERR_SOURCE_REFUSED }, { 400, ERR_SOURCE_REFUSED },
		{ 401, ERR_SOURCE_REFUSED }, { 403, ERR_SOURCE_REFUSED }, { 404, ERR_SOURCE_GONE },
		{ 408, ERR_SOURCE_FAILED },  { 410, ERR_SOURCE_GONE },	  { 416, ERR_SOURCE_REFUSED },
		{ 418, ERR_SOURCE_REFUSED }, { 425, ERR_SOURCE_FAILED },  { 429, ERR_SOURCE_FAILED },
		{ 500, ERR_SOURCE_FAILED },  { 502, ERR_SOURCE_FAILED },  { 503, ERR_SOURCE_FAILED },
		{ 599, ERR_SOURCE_FAILED },
	};
	struct rig *g = *state;
	g->answer = by_status;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		status = rows[i].status;
		fetch_from(g, 0, NULL);
		if (g->err != rows[i].err)
			fail_msg("%d: %s", status, err_code(g->err));
		assert_int_equal(g->len, 0);
		assert_int_equal(g->headed, 0);
		assert_null(strstr(g->message, "s3cret"));
	}
}

static void busy(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 503 X\r\nRetry-After: 90\r\nContent-Length: 4\r\n\r\noops");
}

static void a_busy_source_says_when(void **state)
{
	struct rig *g = *state;
	g->answer = busy;
	fetch_from(g, 0, NULL);
	expect(g, ERR_SOURCE_FAILED, "");
	assert_int_equal(g->retry_after_ms, 90000);
	g->answer = by_status;
	status = 503;
	fetch_from(g, 0, NULL);
	assert_int_equal(g->retry_after_ms, 0);
}

static const char *raw;
static void say_raw(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, raw);
	web_close(p);
}

static void garbage_is_a_failure(void **state)
{
	static const char *const garbage[] = {
		"",
		"\r\n\r\n",
		"hello\r\n\r\n",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 999999999999 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
	};
	struct rig *g = *state;
	g->answer = say_raw;
	for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
		raw = garbage[i];
		fetch_from(g, 0, NULL);
		if (g->err != ERR_SOURCE_FAILED)
			fail_msg("%s: %s", garbage[i], err_code(g->err));
	}
}

static void compressed_bytes_are_refused(void **state)
{
	struct rig *g = *state;
	g->answer = say_raw;
	raw = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd";
	fetch_from(g, 0, NULL);
	expect(g, ERR_SOURCE_REFUSED, "");
}

/* --- limits --- */

static void says_too_large(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\nx");
}

static void endless(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	static char bytes[MAX_BYTES + 1];
	memset(bytes, 'x', sizeof bytes);
	web_say(p, "HTTP/1.1 200 OK\r\n\r\n");
	web_send(p, bytes, sizeof bytes);
}

static void large_bodies_are_cut_off(void **state)
{
	struct rig *g = *state;
	g->answer = says_too_large;
	fetch_from(g, 0, NULL);
	expect(g, ERR_SOURCE_TOO_LARGE, "");
	assert_int_equal(g->headed, 0);
	g->answer = endless;
	fetch_from(g, 0, NULL);
	assert_int_equal(g->err, ERR_SOURCE_TOO_LARGE);
	assert_true(g->len <= MAX_BYTES);
}

static void endless_headers(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 4000; i++)
		web_say(p, "X-Filler: 0123456789012345678901234567890123456789\r\n");
}

static void silent(struct rig *g, struct web_peer *p, const struct web_request *r)
{
}

static void half(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
}

static void slow_ones_are_given_up(void **state)
{
	struct rig *g = *state;
	g->answer = endless_headers;
	fetch_from(g, 0, NULL);
	assert_int_equal(g->err, ERR_SOURCE_REFUSED);
	g->answer = silent;
	fetch_from(g, 0, NULL);
	expect(g, ERR_SOURCE_FAILED, "");
	g->answer = half;
	fetch_from(g, 0, NULL);
	expect(g, ERR_SOURCE_FAILED, "01234");
	assert_non_null(strstr(g->message, "slow"));
}

static void the_whole_has_a_time(void **state)
{
	struct rig *g = *state;
	char url[64];
	g->answer = silent;
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", g->port);
	struct fetch fetch = { .id = 7, .url = url, .max_ms = 100 };
	g->f->ops->start(g->f, &fetch);
	wait_end(g);
	assert_int_equal(g->err, ERR_SOURCE_FAILED);
	assert_non_null(strstr(g->message, "--fetch-timeout"));
}

static void nobody_listens(void **state)
{
	struct rig *g = *state;
	char url[64];
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", g->other);
	web_server_free(g->servers[1]);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	begin(g, url, 0, NULL);
	wait_end(g);
	expect(g, ERR_SOURCE_FAILED, "");
	g->servers[1] = web_server_new(&g->loop, fetch_rig_answer, g);
}

/* --- the caller's wishes --- */

static void large(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	static char bytes[MAX_BYTES];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 31 >> 3);
	web_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	web_send(p, bytes, sizeof bytes);
}

static void on_tick(uv_timer_t *timer)
{
	struct rig *g = timer->data;
	g->f->ops->pause(g->f, 7, false);
}

/* Paused at each piece and let go a moment later: every byte comes, once and in order. */
static void a_pause_loses_nothing(void **state)
{
	struct rig *g = *state;
	uv_timer_t tick;
	char url[64];
	g->answer = large;
	g->pause_at_once = true;
	uv_timer_init(&g->loop, &tick);
	tick.data = g;
	uv_timer_start(&tick, on_tick, 5, 5);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", g->port);
	begin(g, url, 0, NULL);
	wait_end(g);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	assert_int_equal(g->err, ERR_OK);
	assert_int_equal(g->len, MAX_BYTES);
	assert_true(g->paused_calls > 1);
	for (size_t i = 0; i < g->len; i++)
		assert_int_equal(g->data[i], (char)(i * 31 >> 3));
}

/* A pause is the caller's: it does not count as the source's slowness. */
static void on_let_go(uv_timer_t *timer)
{
	struct rig *g = timer->data;
	assert_int_equal(g->ended, 0);
	g->pause_at_once = false;
	g->f->ops->pause(g->f, 7, false);
}

static void a_pause_is_no_stall(void **state)
{
	struct rig *g = *state;
	uv_timer_t timer;
	char url[64];
	g->answer = large;
	g->pause_at_once = true;
	uv_timer_init(&g->loop, &timer);
	timer.data = g;
	uv_timer_start(&timer, on_let_go, 2500, 0); /* the stall's limit is 1 s here */
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", g->port);
	begin(g, url, 0, NULL);
	wait_end(g);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	assert_int_equal(g->err, ERR_OK);
	assert_int_equal(g->len, MAX_BYTES);
}

static void what_is_cancelled_says_nothing_more(void **state)
{
	struct rig *g = *state;
	char url[64];
	g->answer = large;
	g->cancel_at_once = true;
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", g->port);
	begin(g, url, 0, NULL);
	while (g->len == 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	size_t len = g->len;
	g->cancel_at_once = false;
	/* another one of the same name right behind it, whole */
	g->answer = whole;
	begin(g, url, 0, NULL);
	wait_end(g);
	expect(g, ERR_OK, "0123456789");
	assert_true(len <= MAX_BYTES);
	begin(g, url, 0, NULL); /* and one that never began; tear_down closes over another */
	g->f->ops->cancel(g->f, 7);
	g->answer = silent;
	begin(g, url, 0, NULL);
	while (g->asked < 3)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_int_equal(g->ended, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fetch_rig_set_up, fetch_rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_body_comes_whole),
		TEST(without_a_length),
		TEST(an_empty_body_has_a_head),
		TEST(a_range_goes_on),
		TEST(without_a_validator_no_range_is_asked_for),
		TEST(a_changed_source_comes_from_its_start),
		TEST(wrong_parts_are_not_taken),
		TEST(all_was_there_already),
		TEST(a_body_that_ends_early_has_failed),
		TEST(statuses_have_classes),
		TEST(a_busy_source_says_when),
		TEST(garbage_is_a_failure),
		TEST(compressed_bytes_are_refused),
		TEST(large_bodies_are_cut_off),
		TEST(slow_ones_are_given_up),
		TEST(the_whole_has_a_time),
		TEST(nobody_listens),
		TEST(a_pause_loses_nothing),
		TEST(a_pause_is_no_stall),
		TEST(what_is_cancelled_says_nothing_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
