/* Webhooks by libcurl against a server in the same loop: what is sent, and what each answer means. */
#include "support/web_server.h"
#include "work/notifier_curl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
	uv_loop_t loop;
	struct notifier *n;
	struct web_server *server;
	struct web_request asked;
	char body[512];
	const char *answer; /* NULL: none */
	unsigned count, done;
	enum err err;
	char message[256];
	uint64_t after_ms;
	bool closed;
};

static void on_request(void *arg, struct web_peer *peer, const struct web_request *r)
{
	struct rig *g = arg;
	g->asked = *r;
	g->count++;
	snprintf(g->body, sizeof g->body, "%.*s", (int)r->body_len, r->body);
	if (g->answer)
		web_say(peer, g->answer);
}

static void on_done(void *arg, uint64_t id, enum err err, const char *message, uint64_t after_ms)
{
	struct rig *g = arg;
	assert_int_equal(id, 3);
	g->done++;
	uv_stop(&g->loop);
	g->err = err;
	g->after_ms = after_ms;
	snprintf(g->message, sizeof g->message, "%s", message ? message : "");
}

static int set_up(void **state)
{
	struct rig *g = calloc(1, sizeof *g);
	char url[64];
	assert_non_null(g);
	uv_loop_init(&g->loop);
	g->server = web_server_new(&g->loop, on_request, g);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/hook", web_server_port(g->server));
	struct notifier_curl_config config = { .loop = &g->loop, .url = url, .agent = "test/1", .wait_ms = 500 };
	assert_true(webhook_secret_parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", &config.secret));
	assert_int_equal(notifier_curl_new(&config, &g->n), ERR_OK);
	g->n->done = on_done;
	g->n->arg = g;
	*state = g;
	return 0;
}

static void on_closed(void *arg)
{
	((struct rig *)arg)->closed = true;
}

static int tear_down(void **state)
{
	struct rig *g = *state;
	notifier_curl_close(g->n, on_closed, g);
	while (!g->closed)
		uv_run(&g->loop, UV_RUN_ONCE);
	web_server_free(g->server);
	uv_run(&g->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&g->loop), 0);
	free(g);
	return 0;
}

static void deliver(struct rig *g, const char *answer)
{
	static const char body[] = "{\"type\":\"recording.completed\"}";
	struct notification what = {
		.id = 3, .message_id = "evt_7", .now_ms = 1700000000999, .body = body, .len = sizeof body - 1
	};
	g->answer = answer;
	g->done = 0;
	g->n->ops->deliver(g->n, &what);
	assert_int_equal(g->done, 0);
	while (!g->done)
		uv_run(&g->loop, UV_RUN_ONCE);
}

static void an_event_is_signed(void **state)
{
	struct rig *g = *state;
	char text[128];
	deliver(g, "HTTP/1.1 204 Fine\r\n\r\n");
	assert_int_equal(g->err, ERR_OK);
	assert_memory_equal(g->asked.head, "POST /hook HTTP/1.1\r\n", 21);
	assert_string_equal(g->body, "{\"type\":\"recording.completed\"}");
	assert_true(web_header(&g->asked, "webhook-id", text, sizeof text));
	assert_string_equal(text, "evt_7");
	assert_true(web_header(&g->asked, "webhook-timestamp", text, sizeof text));
	assert_string_equal(text, "1700000000");
	assert_true(web_header(&g->asked, "webhook-signature", text, sizeof text));
	assert_string_equal(text, "v1,0xDAdYafSFflMzlgqGG0fnSoBGx8A26Qso9RTi66Nxo="); /* of webhook_test.c */
	assert_true(web_header(&g->asked, "content-type", text, sizeof text));
	assert_string_equal(text, "application/json");
	assert_false(web_header(&g->asked, "expect", text, sizeof text));
}

static void answers_have_meanings(void **state)
{
	static const struct {
		const char *answer;
		enum err err;
		uint64_t after_ms;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ERR_OK, 0 },
		{ "HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n", ERR_OK, 0 },
		{ "HTTP/1.1 301 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n", ERR_ENDPOINT_FAILED, 0 },
		{ "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", ERR_ENDPOINT_FAILED, 0 },
		{ "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", ERR_ENDPOINT_GONE, 0 },
		{ "HTTP/1.1 429 Slow\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n", ERR_ENDPOINT_FAILED, 90000 },
		{ "HTTP/1.1 503 No\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n", ERR_ENDPOINT_FAILED,
		  LIMIT_NOTIFY_MAX_MS },
		{ "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", ERR_ENDPOINT_FAILED, 0 },
		{ "nonsense\r\n\r\n", ERR_ENDPOINT_FAILED, 0 },
		{ NULL, ERR_ENDPOINT_FAILED, 0 }, /* the time-out */
	};
	struct rig *g = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		deliver(g, rows[i].answer);
		if (g->err != rows[i].err || g->after_ms != rows[i].after_ms)
			fail_msg("%s: %s, %llu", rows[i].answer, err_code(g->err), (unsigned long long)g->after_ms);
		assert_int_equal(g->count, i + 1); /* nothing was followed or repeated */
	}
}

/* An answer without an end is taken by its status. */
static void a_long_answer_is_cut_off(void **state)
{
	struct rig *g = *state;
	static char answer[200 * 1000];
	snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\n\r\n");
	memset(answer + strlen(answer), 'x', sizeof answer - 1 - strlen(answer));
	deliver(g, answer);
	assert_int_equal(g->err, ERR_OK);
}

static void what_is_cancelled_says_nothing_more(void **state)
{
	struct rig *g = *state;
	struct notification what = { .id = 3, .message_id = "evt_8", .now_ms = 1, .body = "{}", .len = 2 };
	g->n->ops->deliver(g->n, &what);
	while (g->count == 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	g->n->ops->cancel(g->n, 3);
	deliver(g, "HTTP/1.1 204 Fine\r\n\r\n");
	assert_int_equal(g->done, 1);
	g->answer = NULL;
	g->n->ops->deliver(g->n, &what); /* tear_down closes over this one */
	uv_run(&g->loop, UV_RUN_NOWAIT);
}

static void webhook_urls(void **state)
{
	(void)state;
	assert_true(notifier_url_fine("http://127.0.0.1:9/hook"));
	assert_true(notifier_url_fine("https://hooks.example.com/a?b=c"));
	assert_false(notifier_url_fine("ftp://example.com/"));
	assert_false(notifier_url_fine("example.com"));
	assert_false(notifier_url_fine(""));
	assert_false(notifier_url_fine("https://"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_event_is_signed),	TEST(answers_have_meanings),
		TEST(a_long_answer_is_cut_off), TEST(what_is_cancelled_says_nothing_more),
		cmocka_unit_test(webhook_urls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
