/* Fetching by libcurl against a server in the same loop: resuming, redirects, what is refused, what is cut off. */
#include "support/web_server.h"
#include "work/fetcher_curl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 100 * 1000, WAIT_MS = 10 * 1000 };

struct rig {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct fetcher *f;
	struct web_server *servers[2];
	char heads[16][8192]; /* what was asked */
	unsigned asked;
	void (*answer)(struct rig *g, struct web_peer *peer, const struct web_request *r);
	unsigned port, other;
	/* what came of it */
	struct fetch_head head;
	char validator[512];
	char data[2 * MAX_BYTES];
	size_t len;
	unsigned headed, ended;
	enum err err;
	char message[256];
	bool pause_at_once, cancel_at_once, closed, late;
	unsigned paused_calls;
};

static void on_request(void *arg, struct web_peer *peer, const struct web_request *r)
{
	struct rig *g = arg;
	snprintf(g->heads[g->asked % 16], sizeof g->heads[0], "%s", r->head);
	g->asked++;
	g->answer(g, peer, r);
}

static void on_head(void *arg, uint64_t id, const struct fetch_head *head, const char *validator)
{
	struct rig *g = arg;
	assert_int_equal(id, 7);
	g->head = *head;
	g->headed++;
	snprintf(g->validator, sizeof g->validator, "%s", validator ? validator : "");
}

static void on_data(void *arg, uint64_t id, const void *data, size_t len)
{
	struct rig *g = arg;
	assert_int_equal(id, 7);
	assert_int_equal(g->headed, 1);
	assert_true(g->len + len <= sizeof g->data);
	memcpy(g->data + g->len, data, len);
	g->len += len;
	if (g->pause_at_once) {
		g->f->ops->pause(g->f, 7, true);
		g->paused_calls++;
	}
	if (g->cancel_at_once)
		g->f->ops->cancel(g->f, 7);
}

static void on_ended(void *arg, uint64_t id, enum err err, const char *message)
{
	struct rig *g = arg;
	assert_int_equal(id, 7);
	g->ended++;
	uv_stop(&g->loop); /* UV_RUN_ONCE would wait behind the timer that brought it */
	g->err = err;
	snprintf(g->message, sizeof g->message, "%s", message ? message : "");
}

static void on_late(uv_timer_t *timer)
{
	((struct rig *)timer->data)->late = true;
}

/* Opens the fetcher anew: `allow` NULL: nothing is open. */
static void open_fetcher(struct rig *g, const char *allow, bool http)
{
	struct fetcher_curl_config config = {
		.loop = &g->loop, .rules.http = http, .agent = "test/1", .max_bytes = MAX_BYTES, .stall_s = 1
	};
	const char *problem;
	unsigned line;
	char credentials[256];
	snprintf(credentials, sizeof credentials,
		 "[127.0.0.1:%u]\nuser=ann\npassword=s3cret\n[127.0.0.2]\nheader = Authorization: Bearer other\n",
		 g->port);
	if (allow)
		assert_true(address_ranges_parse(allow, &config.rules.allow, &problem));
	assert_true(credentials_parse(credentials, &config.credentials, &line, &problem));
	assert_int_equal(fetcher_curl_new(&config, &g->f), ERR_OK);
	g->f->events = (struct fetcher_events){ on_head, on_data, on_ended, g };
}

static void on_closed(void *arg)
{
	((struct rig *)arg)->closed = true;
}

static void close_fetcher(struct rig *g)
{
	g->closed = false;
	fetcher_curl_close(g->f, on_closed, g);
	while (!g->closed)
		uv_run(&g->loop, UV_RUN_ONCE);
}

static int set_up(void **state)
{
	struct rig *g = calloc(1, sizeof *g);
	assert_non_null(g);
	uv_loop_init(&g->loop);
	uv_timer_init(&g->loop, &g->deadline);
	g->deadline.data = g;
	for (int i = 0; i < 2; i++)
		g->servers[i] = web_server_new(&g->loop, on_request, g);
	g->port = web_server_port(g->servers[0]);
	g->other = web_server_port(g->servers[1]);
	open_fetcher(g, "127.0.0.0/8", true);
	*state = g;
	return 0;
}

/* Nothing may be left on the loop when the fetcher has said that it is closed. */
static int tear_down(void **state)
{
	struct rig *g = *state;
	close_fetcher(g);
	for (int i = 0; i < 2; i++)
		web_server_free(g->servers[i]);
	uv_close((uv_handle_t *)&g->deadline, NULL);
	uv_run(&g->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&g->loop), 0);
	free(g);
	return 0;
}

static void begin(struct rig *g, const char *url, uint64_t from, const char *validator)
{
	struct fetch fetch = { .id = 7, .url = url, .from = from, .validator = validator };
	g->headed = g->ended = 0;
	g->len = 0;
	g->f->ops->start(g->f, &fetch);
	assert_int_equal(g->ended, 0);
}

static void wait_end(struct rig *g)
{
	g->late = false;
	uv_timer_start(&g->deadline, on_late, WAIT_MS, 0);
	while (!g->ended && !g->late)
		uv_run(&g->loop, UV_RUN_ONCE);
	uv_timer_stop(&g->deadline);
	assert_int_equal(g->ended, 1);
}

static void fetch_from(struct rig *g, uint64_t from, const char *validator)
{
	char url[64];
	snprintf(url, sizeof url, "http://127.0.0.1:%u/call", g->port);
	begin(g, url, from, validator);
	wait_end(g);
}

static void expect(struct rig *g, enum err err, const char *data)
{
	if (g->err != err)
		fail_msg("%s: %s", err_code(g->err), g->message);
	assert_int_equal(g->len, strlen(data));
	assert_memory_equal(g->data, data, g->len);
}

static bool asked(struct rig *g, unsigned request, const char *line)
{
	return strstr(g->heads[request], line) != NULL;
}

/* --- what comes whole --- */

static void whole(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 103 Early\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"one\"\r\n"
		   "Content-Type: audio/ogg\r\n\r\n0123456789");
}

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
	g->servers[1] = web_server_new(&g->loop, on_request, g);
}

/* --- addresses --- */

static void every_spelling_is_refused_before_it_is_connected(void **state)
{
	static const char *const hosts[] = {
		"127.0.0.1",
		"127.1",
		"2130706433",
		"0x7f000001",
		"017700000001",
		"0177.0.0.1",
		"localhost",
		"[::1]",
		"[::ffff:127.0.0.1]",
		"[::ffff:7f00:1]",
		"0",
		"0.0.0.0",
		"127.0.1",
		"0x7f.0.0x0.1",
		"[::]",
		"[64:ff9b::127.0.0.1]",
		"%31%32%37.0.0.1",
	};
	struct rig *g = *state;
	close_fetcher(g);
	open_fetcher(g, "192.0.2.1", true); /* plain http is open, but to another address */
	g->answer = whole;
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		for (int tls = 0; tls < 2; tls++) {
			char url[128];
			snprintf(url, sizeof url, "http%s://%s:%u/", tls ? "s" : "", hosts[i], g->port);
			begin(g, url, 0, NULL);
			wait_end(g);
			if (g->err != ERR_URL_REFUSED)
				fail_msg("%s: %s %s", url, err_code(g->err), g->message);
		}
	}
	assert_int_equal(web_server_accepted(g->servers[0]), 0);
	assert_int_equal(g->asked, 0);
}

static void urls_are_judged_before_they_are_stored(void **state)
{
	static const struct {
		const char *url;
		enum err err;
	} rows[] = {
		{ "https://example.com/a", ERR_OK },
		{ "HTTPS://EXAMPLE.com:8443/a?b#c", ERR_OK },
		{ "https://8.8.8.8/", ERR_OK },
		{ "http://127.9.9.9/", ERR_OK },
		{ "http://example.com/", ERR_OK }, /* judged when it is resolved */
		{ "http://8.8.8.8/", ERR_URL_REFUSED },
		{ "https://10.0.0.1/", ERR_URL_REFUSED },
		{ "https://0xa.1/", ERR_URL_REFUSED },
		{ "https://167772161/", ERR_URL_REFUSED },
		{ "https://[fe80::1%25eth0]/", ERR_URL_REFUSED },
		{ "https://169.254.169.254/latest", ERR_URL_REFUSED },
		{ "https://ann:word@example.com/", ERR_URL_REFUSED },
		{ "https://ann@example.com/", ERR_URL_REFUSED },
		{ "https://:@example.com/", ERR_URL_REFUSED },
		{ "ftp://example.com/a", ERR_URL_REFUSED },
		{ "file:///etc/passwd", ERR_URL_REFUSED },
		{ "gopher://example.com/", ERR_URL_REFUSED },
		{ "dict://example.com/", ERR_URL_REFUSED },
		{ "javascript:alert(1)", ERR_URL_REFUSED },
		{ "example.com/a", ERR_URL_REFUSED },
		{ "//example.com/a", ERR_URL_REFUSED },
		{ "https://", ERR_URL_REFUSED },
		{ "https://example.com:0/", ERR_URL_REFUSED },
		{ "https://example.com:99999/", ERR_URL_REFUSED },
		{ "https://exa mple.com/", ERR_URL_REFUSED },
		{ "https://example.com/a b", ERR_URL_REFUSED },
		{ "https://example.com/\r\nX: y", ERR_URL_REFUSED },
		{ "https://example.com\\@10.0.0.1/", ERR_URL_REFUSED },
		{ "", ERR_URL_REFUSED },
	};
	struct rig *g = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *why = NULL;
		enum err err = g->f->ops->judge(g->f, rows[i].url, &why);
		if (err != rows[i].err)
			fail_msg("%s: %s %s", rows[i].url, err_code(err), why);
		if (err)
			assert_non_null(why);
	}
	char longer[LIMIT_URL_CHARS + 2] = "https://example.com/";
	memset(longer + strlen(longer), 'a', sizeof longer - 1 - strlen(longer));
	const char *why;
	assert_int_equal(g->f->ops->judge(g->f, longer, &why), ERR_URL_REFUSED);
	close_fetcher(g);
	open_fetcher(g, "127.0.0.0/8", false);
	assert_int_equal(g->f->ops->judge(g->f, "http://127.0.0.1/", &why), ERR_URL_REFUSED);
	assert_int_equal(g->f->ops->judge(g->f, "https://127.0.0.1/", &why), ERR_OK);
}

/* --- redirects --- */

static char location[256];
static void redirects_once(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	char text[512];
	if (!asked(g, g->asked - 1, "GET /call")) {
		whole(g, p, r);
		return;
	}
	snprintf(text, sizeof text, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nhere", location);
	web_say(p, text);
}

static void redirects_are_followed(void **state)
{
	struct rig *g = *state;
	g->answer = redirects_once;
	snprintf(location, sizeof location, "/elsewhere?a=b");
	fetch_from(g, 0, NULL);
	expect(g, ERR_OK, "0123456789");
	assert_true(asked(g, 1, "GET /elsewhere?a=b HTTP/1.1\r\n"));
	assert_true(asked(g, 1, "Authorization: Basic")); /* the same host */
}

static void credentials_stay_with_their_host(void **state)
{
	struct rig *g = *state;
	g->answer = redirects_once;
	snprintf(location, sizeof location, "http://127.0.0.1:%u/elsewhere", g->other); /* another port is another */
	fetch_from(g, 0, NULL);
	expect(g, ERR_OK, "0123456789");
	assert_true(asked(g, 0, "Authorization: Basic"));
	assert_false(asked(g, 1, "Authorization"));
	assert_false(asked(g, 1, "Referer"));
}

static void redirects_are_judged(void **state)
{
	static const char *const places[] = {
		"http://10.0.0.1/",	      "http://[::1]/",	   "http://0xa9fea9fe/",
		"https://192.168.0.1/",	      "ftp://127.0.0.1/a", "file:///etc/passwd",
		"http://ann:word@127.0.0.1/", "http://8.8.8.8/",   "gopher://127.0.0.1/",
	};
	struct rig *g = *state;
	g->answer = redirects_once;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(location, sizeof location, "%s", places[i]);
		fetch_from(g, 0, NULL);
		if (g->err != ERR_URL_REFUSED)
			fail_msg("%s: %s %s", places[i], err_code(g->err), g->message);
		assert_non_null(strstr(g->message, "redirect"));
	}
}

static void redirects_for_ever(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 307 Again\r\nLocation: /call\r\nContent-Length: 0\r\n\r\n");
}

static void redirects_end(void **state)
{
	struct rig *g = *state;
	g->answer = redirects_for_ever;
	fetch_from(g, 0, NULL);
	expect(g, ERR_SOURCE_REFUSED, "");
	assert_int_equal(g->asked, 1 + LIMIT_FETCH_REDIRECTS);
}

static void ranges_survive_redirects(void **state)
{
	struct rig *g = *state;
	g->answer = redirects_once;
	snprintf(location, sizeof location, "/elsewhere");
	fetch_from(g, 4, "\"one\"");
	assert_true(asked(g, 0, "Range: bytes=4-\r\n"));
	assert_true(asked(g, 1, "Range: bytes=4-\r\n"));
	assert_true(asked(g, 1, "If-Range: \"one\"\r\n"));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
		TEST(garbage_is_a_failure),
		TEST(compressed_bytes_are_refused),
		TEST(large_bodies_are_cut_off),
		TEST(slow_ones_are_given_up),
		TEST(the_whole_has_a_time),
		TEST(nobody_listens),
		TEST(every_spelling_is_refused_before_it_is_connected),
		TEST(urls_are_judged_before_they_are_stored),
		TEST(redirects_are_followed),
		TEST(credentials_stay_with_their_host),
		TEST(redirects_are_judged),
		TEST(redirects_end),
		TEST(ranges_survive_redirects),
		TEST(a_pause_loses_nothing),
		TEST(a_pause_is_no_stall),
		TEST(what_is_cancelled_says_nothing_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
