/* An outside authority by libcurl against a server in the same loop: what is sent, and what each answer means. */
#include "support/web_server.h"
#include "work/authority_curl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
	uv_loop_t loop;
	struct authority *a;
	struct web_server *server;
	struct web_request asked;
	char body[512];
	const char *answer; /* NULL: none */
	unsigned count, done;
	uint64_t id;
	enum err err;
	struct authority_answer said;
	char why[256];
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

static void on_done(void *arg, uint64_t id, enum err err, const struct authority_answer *answer, const char *why)
{
	struct rig *g = arg;
	assert_int_equal(answer != NULL, err == ERR_OK);
	assert_int_equal(why != NULL, err != ERR_OK);
	g->done++;
	g->id = id;
	g->err = err;
	g->said = answer ? *answer : (struct authority_answer){ 0 };
	snprintf(g->why, sizeof g->why, "%s", why ? why : "");
	uv_stop(&g->loop);
}

static int set_up(void **state)
{
	struct rig *g = calloc(1, sizeof *g);
	char url[64];
	assert_non_null(g);
	uv_loop_init(&g->loop);
	g->server = web_server_new(&g->loop, on_request, g);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/check", web_server_port(g->server));
	struct authority_curl_config config = {
		.loop = &g->loop, .url = url, .secret = "studio", .agent = "test/1", .wait_ms = 500
	};
	assert_int_equal(authority_curl_new(&config, &g->a), ERR_OK);
	g->a->done = on_done;
	g->a->arg = g;
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
	authority_curl_close(g->a, on_closed, g);
	while (!g->closed)
		uv_run(&g->loop, UV_RUN_ONCE);
	web_server_free(g->server);
	uv_run(&g->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&g->loop), 0);
	free(g);
	return 0;
}

static void ask(struct rig *g, const char *answer)
{
	g->answer = answer;
	g->done = 0;
	g->a->ops->ask(g->a, 3, "secret.token");
	assert_int_equal(g->done, 0);
	while (!g->done)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_int_equal(g->id, 3);
	assert_null(strstr(g->why, "secret"));
}

#define ALLOW "{\"allow\":true,\"subject\":\"anna\",\"scopes\":[\"record\"]}"

static void the_token_stands_in_the_body(void **state)
{
	struct rig *g = *state;
	char text[128];
	ask(g, "HTTP/1.1 200 OK\r\nContent-Length: 51\r\n\r\n" ALLOW);
	assert_int_equal(g->err, ERR_OK);
	assert_true(g->said.allow);
	assert_string_equal(g->said.subject, "anna");
	assert_memory_equal(g->asked.head, "POST /check HTTP/1.1\r\n", 22);
	assert_null(strstr(g->asked.head, "secret"));
	assert_string_equal(g->body, "{\"token\":\"secret.token\"}");
	assert_true(web_header(&g->asked, "authorization", text, sizeof text));
	assert_string_equal(text, "Bearer studio");
	assert_true(web_header(&g->asked, "content-type", text, sizeof text));
	assert_string_equal(text, "application/json");
	assert_false(web_header(&g->asked, "expect", text, sizeof text));
}

static void answers_have_meanings(void **state)
{
	static const struct {
		const char *answer;
		enum err err;
		const char *why;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"allow\":false}", ERR_OK, "" },
		{ "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", ERR_OK, "" },
		{ "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", ERR_OK, "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ERR_AUTHORITY_FAILED, "no JSON object" },
		{ "HTTP/1.1 204 OK\r\n\r\n", ERR_AUTHORITY_FAILED, "answered 204" },
		{ "HTTP/1.1 301 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n", ERR_AUTHORITY_FAILED,
		  "answered 301" },
		{ "HTTP/1.1 307 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n", ERR_AUTHORITY_FAILED,
		  "answered 307" },
		{ "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", ERR_AUTHORITY_FAILED, "answered 404" },
		{ "HTTP/1.1 500 No\r\nContent-Length: 15\r\n\r\n{\"allow\":false}", ERR_AUTHORITY_FAILED,
		  "answered 500" },
		{ "nonsense\r\n\r\n", ERR_AUTHORITY_FAILED, "It failed" },
		{ NULL, ERR_AUTHORITY_FAILED, "It failed" }, /* the time-out */
	};
	struct rig *g = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ask(g, rows[i].answer);
		if (g->err != rows[i].err || g->said.allow || !strstr(g->why, rows[i].why))
			fail_msg("%s: %s, %s", rows[i].answer, err_code(g->err), g->why);
		assert_int_equal(g->count, i + 1); /* nothing was followed or repeated */
	}
}

/* An answer that breaks off says nothing, however much of it is there. */
static void a_long_or_broken_answer_is_none(void **state)
{
	struct rig *g = *state;
	static char answer[200 * 1000];
	snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\n\r\n" ALLOW);
	memset(answer + strlen(answer), ' ', sizeof answer - 1 - strlen(answer));
	ask(g, answer);
	assert_int_equal(g->err, ERR_AUTHORITY_FAILED);
	assert_non_null(strstr(g->why, "too long"));
	ask(g, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" ALLOW);
	assert_int_equal(g->err, ERR_AUTHORITY_FAILED);
	snprintf(answer, sizeof answer, "HTTP/1.1 403 No\r\n\r\n");
	memset(answer + strlen(answer), 'x', sizeof answer - 1 - strlen(answer));
	ask(g, answer);
	assert_int_equal(g->err, ERR_OK);
	assert_false(g->said.allow);
}

static void what_is_cancelled_says_nothing_more(void **state)
{
	struct rig *g = *state;
	g->a->ops->ask(g->a, 4, "t");
	while (g->count == 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	g->a->ops->cancel(g->a, 4);
	ask(g, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(g->done, 1);
	g->answer = NULL;
	g->a->ops->ask(g->a, 5, "t"); /* tear_down closes over this one */
	uv_run(&g->loop, UV_RUN_NOWAIT);
}

static void urls_and_secrets(void **state)
{
	static char text[LIMIT_AUTHORITY_SECRET_CHARS + 2];
	char good[] = "abc-=\r\n", blank[] = " \n", two[] = "a b\n";
	(void)state;
	assert_true(authority_url_fine("https://auth.example.com/a?b=c"));
	assert_true(authority_url_fine("http://127.0.0.1:9/"));
	assert_true(authority_url_fine("http://localhost/check"));
	assert_true(authority_url_fine("http://[::1]:9/check"));
	assert_false(authority_url_fine("http://auth.example.com/"));
	assert_false(authority_url_fine("http://127.0.0.1.example.com/"));
	assert_false(authority_url_fine("http://[::2]/"));
	assert_false(authority_url_fine("https://me:pass@auth.example.com/"));
	assert_false(authority_url_fine("https://me@auth.example.com/"));
	assert_false(authority_url_fine("ftp://127.0.0.1/"));
	assert_false(authority_url_fine("auth.example.com"));
	assert_false(authority_url_fine(""));
	assert_true(authority_secret_trim(good));
	assert_string_equal(good, "abc-=");
	assert_false(authority_secret_trim(blank));
	assert_false(authority_secret_trim(two));
	memset(text, 'x', sizeof text - 1);
	assert_false(authority_secret_trim(text));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_token_stands_in_the_body),    TEST(answers_have_meanings),
		TEST(a_long_or_broken_answer_is_none), TEST(what_is_cancelled_says_nothing_more),
		cmocka_unit_test(urls_and_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
