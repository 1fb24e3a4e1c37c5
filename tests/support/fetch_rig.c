/* See fetch_rig.h. */
#include "support/fetch_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void fetch_rig_answer(void *arg, struct web_peer *peer, const struct web_request *r)
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

static void on_ended(void *arg, uint64_t id, enum err err, const char *message, uint64_t retry_after_ms)
{
	struct rig *g = arg;
	assert_int_equal(id, 7);
	g->ended++;
	g->retry_after_ms = retry_after_ms;
	uv_stop(&g->loop); /* UV_RUN_ONCE would wait behind the timer that brought it */
	g->err = err;
	snprintf(g->message, sizeof g->message, "%s", message ? message : "");
}

static void on_late(uv_timer_t *timer)
{
	((struct rig *)timer->data)->late = true;
}

/* Opens the fetcher anew: `allow` NULL: nothing is open. */
void open_fetcher(struct rig *g, const char *allow, bool http)
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

void close_fetcher(struct rig *g)
{
	g->closed = false;
	fetcher_curl_close(g->f, on_closed, g);
	while (!g->closed)
		uv_run(&g->loop, UV_RUN_ONCE);
}

int fetch_rig_set_up(void **state)
{
	struct rig *g = calloc(1, sizeof *g);
	assert_non_null(g);
	uv_loop_init(&g->loop);
	uv_timer_init(&g->loop, &g->deadline);
	g->deadline.data = g;
	for (int i = 0; i < 2; i++)
		g->servers[i] = web_server_new(&g->loop, fetch_rig_answer, g);
	g->port = web_server_port(g->servers[0]);
	g->other = web_server_port(g->servers[1]);
	open_fetcher(g, "127.0.0.0/8", true);
	*state = g;
	return 0;
}

/* Nothing may be left on the loop when the fetcher has said that it is closed. */
int fetch_rig_tear_down(void **state)
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

void begin(struct rig *g, const char *url, uint64_t from, const char *validator)
{
	struct fetch fetch = { .id = 7, .url = url, .from = from, .validator = validator };
	g->headed = g->ended = 0;
	g->len = 0;
	g->f->ops->start(g->f, &fetch);
	assert_int_equal(g->ended, 0);
}

void wait_end(struct rig *g)
{
	g->late = false;
	uv_timer_start(&g->deadline, on_late, WAIT_MS, 0);
	while (!g->ended && !g->late)
		uv_run(&g->loop, UV_RUN_ONCE);
	uv_timer_stop(&g->deadline);
	assert_int_equal(g->ended, 1);
}

void fetch_from(struct rig *g, uint64_t from, const char *validator)
{
	char url[64];
	snprintf(url, sizeof url, "http://127.0.0.1:%u/call", g->port);
	begin(g, url, from, validator);
	wait_end(g);
}

void expect(struct rig *g, enum err err, const char *data)
{
	if (g->err != err)
		fail_msg("%s: %s", err_code(g->err), g->message);
	assert_int_equal(g->len, strlen(data));
	assert_memory_equal(g->data, data, g->len);
}

bool asked(struct rig *g, unsigned request, const char *line)
{
	return strstr(g->heads[request], line) != NULL;
}

void whole(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 103 Early\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"one\"\r\n"
		   "Content-Type: audio/ogg\r\n\r\n0123456789");
}
