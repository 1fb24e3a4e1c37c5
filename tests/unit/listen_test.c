/* GET /live/{show} and the routes of shows on a running network; what is on air is the test's own broadcast, so that it
 * decides what comes when. Clients have small windows: what leaves is cut anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/private.h"
#include "proto/broadcast.h"
#include "sim/disk.h"
#include "support/engine_rig.h"
#include "support/live_rig.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_S = 30, SMALL = 4096, CONNECTIONS = 100, MANY = 60 };

static const uint8_t bare[4];
static uv_loop_t loop;
static struct net *net;
static struct engine_rig *rig;
static struct disk *the_disk;
static struct live live;
static size_t fed;
static struct broadcast *air;
static unsigned asked_scopes;
static char stopped[LIMIT_SHOW_CHARS + 1];

/* --- the engine, as far as shows go --- */

enum err __wrap_engine_listen(struct engine *e, const char *show, const struct grant *grant, struct broadcast **out);
enum err __wrap_engine_listen(struct engine *e, const char *show, const struct grant *grant, struct broadcast **out)
{
	asked_scopes = grant->scopes;
	*out = air;
	return strcmp(show, "morning") != 0 || !air ? ERR_NOT_ON_AIR : ERR_OK;
}

void __wrap_engine_show(struct engine *e, const char *show, const struct grant *grant, engine_json_fn *done, void *arg);
void __wrap_engine_show(struct engine *e, const char *show, const struct grant *grant, engine_json_fn *done, void *arg)
{
	char json[200];
	int len = snprintf(json, sizeof json, "{\"show\":\"%s\"}", show);
	asked_scopes = grant->scopes;
	if (strcmp(show, "no show") == 0)
		done(arg, ERR_NOT_FOUND, NULL, 0);
	else
		done(arg, ERR_OK, json, (size_t)len);
}

void __wrap_engine_shows(struct engine *e, const struct grant *grant, engine_json_fn *done, void *arg);
void __wrap_engine_shows(struct engine *e, const struct grant *grant, engine_json_fn *done, void *arg)
{
	done(arg, ERR_OK, "{\"items\":[]}", 12);
}

void __wrap_engine_show_stop(struct engine *e, const char *show, const struct grant *grant, engine_json_fn *done,
			     void *arg);
void __wrap_engine_show_stop(struct engine *e, const char *show, const struct grant *grant, engine_json_fn *done,
			     void *arg)
{
	snprintf(stopped, sizeof stopped, "%s", show ? show : "the only one");
	done(arg, ERR_OK, "{\"stopped\":null}", 16);
}

static void feed(size_t step)
{
	while (fed < live.data.len) {
		size_t n = live.data.len - fed < step ? live.data.len - fed : step;
		broadcast_feed(air, live.data.data + fed, n, bare);
		fed += n;
		hearers_air(net, air);
	}
}

static void air_end(void)
{
	struct broadcast *b = air;
	air = NULL;
	broadcast_end(b);
	hearers_air(net, b);
	broadcast_release(b);
}

/* --- the network --- */

static void set_up(bool listen_open)
{
	uv_loop_init(&loop);
	struct net_config config = {
		.loop = &loop, .host = "127.0.0.1", .max_connections = CONNECTIONS, .listen_open = listen_open
	};
	assert_int_equal(disk_new(7, &the_disk), ERR_OK);
	rig = engine_rig_new(disk_vfs(the_disk));
	assert_int_equal(engine_rig_open(rig), ERR_OK);
	assert_int_equal(net_new(&config, &net), ERR_OK);
	assert_int_equal(net_listen(net, rig->e), ERR_OK);
	/* accepted sockets inherit it */
	setsockopt(net->listeners[0].fd, SOL_SOCKET, SO_SNDBUF, &(int){ SMALL }, sizeof(int));
}

static int begin(void **state)
{
	set_up(false);
	live_init(&live);
	fed = 0;
	air = broadcast_new();
	broadcast_begin(air, NULL);
	return 0;
}

static int begin_open(void **state)
{
	begin(state);
	net->config.listen_open = true;
	return 0;
}

static void closed(void *arg)
{
	*(bool *)arg = true;
}

static void turn(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	engine_rig_turn(rig);
}

static int end(void **state)
{
	bool done = false;
	net_close(net, closed, &done);
	while (!done) {
		uv_run(&loop, UV_RUN_ONCE);
		engine_rig_turn(rig);
	}
	while (uv_run(&loop, UV_RUN_NOWAIT))
		;
	engine_rig_free(rig);
	disk_free(the_disk);
	broadcast_release(air);
	live_release(&live);
	return uv_loop_close(&loop);
}

/* --- clients --- */

struct client {
	int fd;
	struct buf got;
	bool ended;
};

static void client_ask(struct client *c, const char *request)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(net_port(net)) };
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	*c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &(int){ 1400 }, sizeof(int));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &(int){ SMALL }, sizeof(int));
	assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(send(c->fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	turn();
}

static void client_open(struct client *c, const char *method, const char *target, const char *fields)
{
	char text[1024];
	snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", method, target, fields);
	client_ask(c, text);
}

static void client_close(struct client *c)
{
	close(c->fd);
	buf_release(&c->got);
}

static void client_read(struct client *c)
{
	char text[1500];
	ssize_t got = recv(c->fd, text, sizeof text, 0);
	if (got > 0)
		buf_add(&c->got, text, (size_t)got);
	c->ended |= got == 0;
}

static size_t body_at(const struct client *c)
{
	const char *at = c->got.data ? memmem(c->got.data, c->got.len, "\r\n\r\n", 4) : NULL;
	return at ? (size_t)(at + 4 - c->got.data) : 0;
}

static size_t body_len(const struct client *c)
{
	return body_at(c) ? c->got.len - body_at(c) : 0;
}

static void until(struct client *c, bool (*come)(const struct client *c, size_t n), size_t n)
{
	uint64_t limit = uv_hrtime() + PATIENCE_S * 1000000000ULL;
	while (!come(c, n)) {
		assert_true(uv_hrtime() < limit);
		turn();
		client_read(c);
	}
}

static bool has_body(const struct client *c, size_t n)
{
	return body_at(c) && body_len(c) >= n;
}

static bool has_ended(const struct client *c, size_t n)
{
	return c->ended;
}

/* The whole answer to a short question. */
static const char *ask(const char *method, const char *target, const char *fields)
{
	static char answer[4096];
	struct client c;
	char more[512];
	snprintf(more, sizeof more, "%sConnection: close\r\n", fields);
	client_open(&c, method, target, more);
	until(&c, has_ended, 0);
	snprintf(answer, sizeof answer, "%.*s", (int)c.got.len, c.got.data ? c.got.data : "");
	client_close(&c);
	return answer;
}

static void turns(unsigned count)
{
	while (count-- > 0)
		turn();
}

static void until_gone(void)
{
	uint64_t limit = uv_hrtime() + PATIENCE_S * 1000000000ULL;
	while (net->peer_count > 0) {
		assert_true(uv_hrtime() < limit);
		turn();
	}
	assert_int_equal(net->hearer_count, 0);
	assert_true(list_empty(&net->hearers));
	if (air)
		assert_int_equal(broadcast_readers(air), 0);
}

static bool body_begins(const struct client *c, const void *data, size_t len)
{
	return body_len(c) >= len && memcmp(c->got.data + body_at(c), data, len) == 0;
}

/* --- tests --- */

static void a_listener_hears_header_boundary_and_what_comes(void **state)
{
	struct client c;
	webm_header(&live, false, false);
	size_t header = live.data.len;
	webm_sound(&live, 3, 900);
	feed(500);
	client_open(&c, "GET", "/live/morning", "");
	until(&c, has_body, live.data.len);
	assert_non_null(strstr(c.got.data, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(c.got.data, "\r\nContent-Type: audio/webm\r\n"));
	assert_non_null(strstr(c.got.data, "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(c.got.data, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(c.got.data, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(c.got.data, "\r\nicy-name: morning\r\n"));
	assert_null(strstr(c.got.data, "icy-metaint"));
	assert_null(strstr(c.got.data, "Content-Length"));
	assert_null(strstr(c.got.data, "Transfer-Encoding"));
	assert_int_equal(broadcast_readers(air), 1);
	for (int i = 0; i < 100; i++)
		webm_sound(&live, 3, 900);
	feed(3000);
	until(&c, has_body, live.data.len);
	air_end();
	until(&c, has_ended, 0);
	assert_int_equal(body_len(&c), live.data.len);
	assert_memory_equal(c.got.data + body_at(&c) + header, live.data.data + header, live.data.len - header);
	client_close(&c);
	until_gone();
}

static void old_clients_and_questions_without_a_body(void **state)
{
	struct client c;
	mp3_frames(&live, 9);
	feed(500);
	client_ask(&c, "GET /live/morning HTTP/1.0\r\nHost: localhost\r\n\r\n");
	until(&c, has_body, live.data.len);
	assert_true(body_begins(&c, live.data.data, live.data.len));
	assert_non_null(strstr(c.got.data, "\r\nContent-Type: audio/mpeg\r\n"));
	client_close(&c);
	const char *head = ask("HEAD", "/live/morning", "Icy-MetaData: 1\r\n");
	assert_non_null(strstr(head, "HTTP/1.1 200 "));
	assert_non_null(strstr(head, "icy-metaint: 16000\r\n"));
	assert_string_equal(strstr(head, "\r\n\r\n"), "\r\n\r\n");
	assert_non_null(strstr(ask("GET", "/live/evening", ""), "\"not_on_air\""));
	assert_non_null(strstr(ask("POST", "/live/morning", ""), "HTTP/1.1 405 "));
	until_gone();
}

static void what_a_listener_says_is_dropped(void **state)
{
	struct client c;
	char noise[1000];
	memset(noise, 'x', sizeof noise);
	mp3_frames(&live, 9);
	feed(500);
	client_open(&c, "GET", "/live/morning", "");
	until(&c, has_body, live.data.len);
	for (unsigned i = 0; i < 200; i++) {
		(void)!send(c.fd, noise, sizeof noise, MSG_NOSIGNAL | MSG_DONTWAIT);
		turn();
	}
	assert_int_equal(list_entry(net->peers.next, struct peer, all)->in.len, 0);
	client_close(&c);
	until_gone();
}

/* Takes the titles out of what a listener got: media into *media, each title as a line into *titles. */
static void icy_split(const struct client *c, struct buf *media, struct buf *titles)
{
	size_t at = body_at(c);
	for (;;) {
		size_t left = c->got.len - at;
		if (left <= LIMIT_ICY_INTERVAL_BYTES) {
			buf_add(media, c->got.data + at, left);
			return;
		}
		buf_add(media, c->got.data + at, LIMIT_ICY_INTERVAL_BYTES);
		at += LIMIT_ICY_INTERVAL_BYTES;
		size_t len = (uint8_t)c->got.data[at++] * 16u;
		assert_true(len <= c->got.len - at);
		if (len > 0)
			buf_addf(titles, "%.*s\n", (int)strnlen(c->got.data + at, len), c->got.data + at);
		at += len;
	}
}

static void titles_stand_where_they_belong(void **state)
{
	struct client c;
	struct buf media, titles;
	buf_init(&media);
	buf_init(&titles);
	char lengthy[1000];
	memset(lengthy, 'x', sizeof lengthy - 1);
	lengthy[sizeof lengthy - 1] = '\0';
	mp3_frames(&live, 9);
	feed(500);
	broadcast_title_set(air, lengthy);
	client_open(&c, "GET", "/live/morning", "Icy-MetaData: 1\r\n");
	until(&c, has_body, live.data.len);
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 10; k++) {
			mp3_frames(&live, 11);
			feed(700);
			turn();
			client_read(&c); /* slowly: a title is cut, too */
		}
		lengthy[0] = (char)('a' + i);
		broadcast_title_set(air, lengthy);
	}
	until(&c, has_body, live.data.len + 3 * sizeof lengthy);
	air_end();
	until(&c, has_ended, 0);
	icy_split(&c, &media, &titles);
	assert_int_equal(media.len, live.data.len);
	assert_memory_equal(media.data, live.data.data, media.len);
	unsigned count = 0;
	for (const char *p = titles.data; (p = strchr(p, '\n')); p++, count++)
		assert_memory_equal(p - 3, "x';", 3);
	assert_in_range(count, 3, 6);
	buf_release(&media);
	buf_release(&titles);
	client_close(&c);
	until_gone();
}

static void who_comes_first_waits_for_something_to_hear(void **state)
{
	struct client c, gone;
	webm_header(&live, false, false);
	feed(500);
	client_open(&c, "GET", "/live/morning", "");
	client_open(&gone, "GET", "/live/morning", "");
	turns(20);
	client_read(&c);
	assert_int_equal(c.got.len, 0);
	assert_int_equal(net->hearer_count, 2);
	client_close(&gone);
	webm_sound(&live, 3, 900);
	feed(500);
	until(&c, has_body, live.data.len);
	assert_int_equal(net->hearer_count, 1);
	client_close(&c);
	until_gone();
	/* and in vain */
	broadcast_release(air);
	air = broadcast_new();
	client_open(&c, "GET", "/live/morning", "");
	turns(5);
	air_end();
	until(&c, has_ended, 0);
	assert_non_null(strstr(c.got.data, "\"not_on_air\""));
	client_close(&c);
	until_gone();
}

/* One who reads slowly misses stretches, and what he hears is whole between them. */
static void a_slow_listener_goes_from_boundary_to_boundary(void **state)
{
	struct client c;
	mp3_frames(&live, 3);
	size_t frame = live.data.len / 3;
	feed(500);
	client_open(&c, "GET", "/live/morning", "");
	until(&c, has_body, live.data.len);
	for (int i = 0; i < 40; i++) {
		mp3_frames(&live, 100);
		feed(3000);
		turns(3);
		client_read(&c);
	}
	assert_true(live.data.len > 6 * LIMIT_LISTEN_QUEUE_BYTES);
	air_end();
	until(&c, has_ended, 0);
	assert_true(body_len(&c) < live.data.len / 2);
	assert_int_equal(body_len(&c) % frame, 0);
	const char *at = live.data.data;
	for (size_t i = 0; i < body_len(&c); i += frame) { /* each frame is one of the stream's, in their order */
		at = memmem(at, (size_t)(live.data.data + live.data.len - at), c.got.data + body_at(&c) + i, frame);
		assert_non_null(at);
		assert_int_equal((size_t)(at - live.data.data) % frame, 0);
		at += frame;
	}
	assert_memory_equal(at - frame, live.data.data + live.data.len - frame, frame);
	client_close(&c);
	until_gone();
}

static void another_kind_of_media_ends_the_answer(void **state)
{
	struct client c, other;
	webm_header(&live, false, false);
	webm_sound(&live, 3, 900);
	feed(500);
	client_open(&c, "GET", "/live/morning", "");
	size_t webm = live.data.len;
	until(&c, has_body, webm);
	broadcast_begin(air, NULL);
	mp3_frames(&live, 20);
	size_t mp3 = live.data.len;
	feed(20000);
	until(&c, has_ended, 0);
	assert_int_equal(body_len(&c), webm);
	client_close(&c);
	client_open(&other, "GET", "/live/morning", "");
	until(&other, has_body, mp3 - webm);
	broadcast_begin(air, NULL); /* another source of the same kind */
	mp3_frames(&live, 20);
	feed(500);
	until(&other, has_body, live.data.len - webm);
	assert_true(body_begins(&other, live.data.data + webm, live.data.len - webm));
	client_close(&other);
	until_gone();
}

/* No player goes on in the middle of a WebM behind another header. */
static void another_recorder_ends_the_answer_where_players_need_it(void **state)
{
	struct client c;
	webm_header(&live, false, false);
	webm_sound(&live, 3, 900);
	feed(500);
	client_open(&c, "GET", "/live/morning", "");
	size_t first = live.data.len;
	until(&c, has_body, first);
	broadcast_begin(air, NULL);
	webm_header(&live, false, false);
	webm_sound(&live, 3, 900);
	feed(20000);
	until(&c, has_ended, 0);
	assert_int_equal(body_len(&c), first);
	client_close(&c);
	until_gone();
}

static void what_a_browser_might_run_is_no_such_type(void **state)
{
	struct client c;
	broadcast_begin(air, "text/html");
	live_bytes(&live, "fLaC", 4);
	live_noise(&live, 3000);
	feed(SIZE_MAX);
	client_open(&c, "GET", "/live/morning", "");
	until(&c, has_body, live.data.len);
	assert_non_null(strstr(c.got.data, "\r\nContent-Type: application/octet-stream\r\n"));
	assert_non_null(strstr(c.got.data, "\r\nContent-Disposition: attachment\r\n"));
	client_close(&c);
	broadcast_begin(air, "audio/flac");
	live_bytes(&live, "fLaC", 4);
	live_noise(&live, 3000);
	feed(SIZE_MAX);
	client_open(&c, "GET", "/live/morning", "");
	until(&c, has_body, 3004);
	assert_non_null(strstr(c.got.data, "\r\nContent-Type: audio/flac\r\n"));
	client_close(&c);
	until_gone();
}

static void many_come_and_go_at_once(void **state)
{
	struct client many[MANY];
	mp3_frames(&live, 90);
	feed(500);
	for (int i = 0; i < MANY; i++)
		client_open(&many[i], "GET", "/live/morning", i % 2 ? "Icy-MetaData: 1\r\n" : "");
	for (int i = 0; i < MANY; i += 2) {
		turn();
		client_close(&many[i]);
	}
	mp3_frames(&live, 90);
	feed(500);
	for (int i = 1; i < MANY; i += 2)
		until(&many[i], has_body, LIMIT_LISTEN_BURST_BYTES);
	assert_int_equal(broadcast_readers(air), MANY / 2);
	for (int i = 1; i < MANY; i += 2)
		client_close(&many[i]);
	until_gone();
	assert_int_equal(net->heard, MANY);
}

static void hosts_keep_some_room(void **state)
{
	struct client many[CONNECTIONS];
	mp3_frames(&live, 9);
	feed(500);
	int count = 0;
	do
		client_open(&many[count], "GET", "/live/morning", "");
	while (++count < CONNECTIONS * 4 / 5);
	until(&many[count - 1], has_body, live.data.len);
	assert_non_null(strstr(ask("GET", "/live/morning", ""), "HTTP/1.1 503 "));
	assert_non_null(strstr(ask("GET", "/api/shows", ""), "HTTP/1.1 200 "));
	while (count-- > 0)
		client_close(&many[count]);
	until_gone();
}

static void routes_of_shows(void **state)
{
	assert_non_null(strstr(ask("GET", "/api/shows", ""), "{\"items\":[]}"));
	assert_non_null(strstr(ask("GET", "/api/shows/morning", ""), "{\"show\":\"morning\"}"));
	assert_int_equal(asked_scopes, SCOPE_ALL);
	assert_non_null(strstr(ask("GET", "/api/shows/no%20show", ""), "HTTP/1.1 404 "));
	assert_non_null(strstr(ask("POST", "/api/shows/morning/stop", ""), "{\"stopped\":null}"));
	assert_string_equal(stopped, "morning");
	ask("POST", "/api/stream/stop?show_id=a", "");
	assert_string_equal(stopped, "a");
	ask("POST", "/api/stream/stop", "");
	assert_string_equal(stopped, "the only one");
	ask("POST", "/api/stream/stop", "Content-Length: 15\r\n\r\n{\"show_id\":\"b\"}");
	assert_string_equal(stopped, "b");
	assert_non_null(
		strstr(ask("POST", "/api/stream/stop", "Content-Length: 13\r\n\r\n{\"show_id\":1}"), "HTTP/1.1 400 "));
	assert_string_equal(stopped, "b");
	assert_non_null(strstr(ask("POST", "/api/shows/morning/sign", ""), "HTTP/1.1 501 ")); /* no tokens here */
}

/* From behind a proxy nobody is local. */
static const char far[] = "X-Forwarded-For: 192.0.2.1\r\n";

static void without_a_token_nobody_from_elsewhere_listens(void **state)
{
	mp3_frames(&live, 9);
	feed(500);
	assert_non_null(strstr(ask("HEAD", "/live/morning", far), "HTTP/1.1 401 "));
	assert_non_null(strstr(ask("GET", "/api/shows", far), "HTTP/1.1 401 "));
}

static void an_open_show_is_everybodys(void **state)
{
	mp3_frames(&live, 9);
	feed(500);
	const char *head = ask("HEAD", "/live/morning", far);
	assert_non_null(strstr(head, "HTTP/1.1 200 "));
	assert_non_null(strstr(head, "Cross-Origin-Resource-Policy: cross-origin\r\n"));
	assert_int_equal(asked_scopes, SCOPE_LISTEN);
	assert_non_null(strstr(ask("GET", "/api/shows/morning", far), "HTTP/1.1 200 "));
	assert_non_null(strstr(ask("POST", "/api/shows/morning/stop", far), "HTTP/1.1 401 "));
	assert_non_null(strstr(ask("GET", "/api/recordings", far), "HTTP/1.1 401 "));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_listener_hears_header_boundary_and_what_comes),
		TEST(old_clients_and_questions_without_a_body),
		TEST(what_a_listener_says_is_dropped),
		TEST(titles_stand_where_they_belong),
		TEST(who_comes_first_waits_for_something_to_hear),
		TEST(a_slow_listener_goes_from_boundary_to_boundary),
		TEST(another_kind_of_media_ends_the_answer),
		TEST(another_recorder_ends_the_answer_where_players_need_it),
		TEST(what_a_browser_might_run_is_no_such_type),
		TEST(many_come_and_go_at_once),
		TEST(hosts_keep_some_room),
		TEST(routes_of_shows),
		TEST(without_a_token_nobody_from_elsewhere_listens),
		cmocka_unit_test_setup_teardown(an_open_show_is_everybodys, begin_open, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
