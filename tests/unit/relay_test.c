/* A stream to a foreign Icecast: its address, and the thread against a server that behaves as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "work/relay.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

/* libshout 2.4.6 forgets what it could not send on a connection that broke: some KiB each time. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:shout_queue_data";
}

/* --- the address --- */

static void addresses_are_read(void **state)
{
	static const struct {
		const char *text, *host, *user, *password, *mount, *of_morning;
		uint16_t port;
	} rows[] = {
		{ "icecast://source:hackme@radio.example:8001/live.mp3", "radio.example", "source", "hackme",
		  "/live.mp3", "/live.mp3", 8001 },
		{ "icecast://:p%40s%3as@127.0.0.1/{show}", "127.0.0.1", "source", "p@s:s", "/{show}", "/morning",
		  8000 },
		{ "icecast://dj:a:b@[::1]:9000/a/{show}.webm", "::1", "dj", "a:b", "/a/{show}.webm", "/a/morning.webm",
		  9000 },
		{ "icecast://source:a@b@host/x", "host", "source", "a@b", "/x", "/x", 8000 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct relay_url url;
		const char *problem = "";
		char mount[RELAY_MOUNT];
		if (!relay_url_parse(rows[i].text, &url, &problem))
			fail_msg("%s: %s", rows[i].text, problem);
		assert_string_equal(url.host, rows[i].host);
		assert_string_equal(url.user, rows[i].user);
		assert_string_equal(url.password, rows[i].password);
		assert_string_equal(url.mount, rows[i].mount);
		assert_int_equal(url.port, rows[i].port);
		relay_mount(&url, "morning", mount);
		assert_string_equal(mount, rows[i].of_morning);
		assert_int_equal(url.each, strstr(rows[i].text, "{show}") != NULL);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"http://source:a@h/x",
		"icecast://h/x",
		"icecast://source@h/x",
		"icecast://source:@h/x",
		"icecast://source:a@/x",
		"icecast://source:a@h",
		"icecast://source:a@h/",
		"icecast://source:a@h:0/x",
		"icecast://source:a@h:65536/x",
		"icecast://source:a@h:8x/x",
		"icecast://source:a@h:/x",
		"icecast://source:a@[::1/x",
		"icecast://source:a@[::1]8/x",
		"icecast://source:a@h h/x",
		"icecast://source:%4@h/x",
		"icecast://source:%zz@h/x",
		"icecast://source:%00@h/x",
		"icecast://source:a@h/x y",
		"icecast://source:a@h/x?y",
		"icecast://source:a@h/{show}{show}",
		"icecast://source:a@h/{other}",
		"icecast://source:a@h/\r\nX: y",
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct relay_url url;
		const char *problem = NULL;
		if (relay_url_parse(rows[i], &url, &problem) || !problem || url.password[0])
			fail_msg("%s was taken", rows[i]);
	}
}

/* --- the thread --- */

static int listening;

static struct relay *relay_to(const char *password)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	char text[128];
	struct relay_url url;
	const char *problem;
	struct relay *r;
	listening = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listening, 8), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &len), 0);
	snprintf(text, sizeof text, "icecast://:%s@127.0.0.1:%u/{show}", password, ntohs(address.sin_port));
	assert_true(relay_url_parse(text, &url, &problem));
	assert_int_equal(relay_new(&url, "holdfast/test", &r), ERR_OK);
	assert_int_equal(relay_state(r), RELAY_IDLE);
	return r;
}

static bool readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	return poll(&one, 1, WAIT_MS) == 1;
}

/* A head of the next connection, into `head`. */
static int request_read(char *head, size_t size)
{
	assert_true(readable(listening));
	int fd = accept(listening, NULL, NULL);
	size_t len = 0;
	assert_true(fd >= 0);
	head[0] = '\0';
	while (!strstr(head, "\r\n\r\n")) {
		assert_true(readable(fd) && len + 1 < size);
		ssize_t got = read(fd, head + len, 1);
		assert_int_equal(got, 1);
		head[++len] = '\0';
	}
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Answers each connection until one sends media; its socket. libshout asks with several before it decides. */
static int source_accept(char *head, size_t size, const char *answer)
{
	for (;;) {
		int fd = request_read(head, size);
		bool asks = strncmp(head, "OPTIONS", 7) == 0 || !strstr(head, "Authorization: Basic ");
		if (!asks) {
			say(fd, answer);
			return fd;
		}
		say(fd, strncmp(head, "OPTIONS", 7) == 0
				? "HTTP/1.0 200 OK\r\nAllow: GET, PUT, SOURCE, OPTIONS\r\nContent-Length: 0\r\n\r\n"
				: "HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
				  "Allow: GET, PUT, SOURCE, OPTIONS\r\nContent-Length: 0\r\n\r\n");
		close(fd);
	}
}

static void until(struct relay *r, enum relay_state state)
{
	for (int i = 0; i < WAIT_MS && relay_state(r) != state; i++)
		usleep(1000);
	assert_int_equal(relay_state(r), state);
}

static void media_read(int fd, const uint8_t *expected, size_t len)
{
	uint8_t *got = malloc(len);
	size_t done = 0;
	while (done < len) {
		assert_true(readable(fd));
		ssize_t n = read(fd, got + done, len - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
	assert_memory_equal(got, expected, len);
	free(got);
}

static void a_stream_arrives_as_it_was_fed(void **state)
{
	enum { BYTES = 3 * LIMIT_RELAY_QUEUE_BYTES + 12345 };
	char head[4096];
	struct relay *r = relay_to("hackme");
	uint8_t *media = malloc(BYTES), byte;
	for (size_t i = 0; i < BYTES; i++)
		media[i] = (uint8_t)(i * 2654435761u >> 13);
	relay_begin(r, "/morning", "audio/mpeg", "Morning show");
	size_t fed = relay_feed(r, media, BYTES); /* before anybody answered: the queue takes what it holds */
	assert_int_equal(fed, LIMIT_RELAY_QUEUE_BYTES);
	int fd = source_accept(head, sizeof head, "HTTP/1.0 200 OK\r\n\r\n");
	assert_non_null(strstr(head, " /morning HTTP/1."));
	assert_non_null(strstr(head, "audio/mpeg"));
	assert_non_null(strstr(head, "Morning show"));
	assert_non_null(strstr(head, "Basic c291cmNlOmhhY2ttZQ=="));
	until(r, RELAY_SENDING);
	size_t seen = 0;
	while (fed < BYTES) {
		size_t n = relay_feed(r, media + fed, BYTES - fed);
		media_read(fd, media + seen, fed + n - seen);
		seen = fed += n;
	}
	relay_end(r);
	assert_int_equal(relay_feed(r, media, 1), 0);
	until(r, RELAY_IDLE);
	assert_true(readable(fd));
	assert_int_equal(read(fd, &byte, 1), 0); /* and then it hangs up */
	close(fd);
	relay_free(r);
	close(listening);
	free(media);
}

static void a_refusal_is_said_without_the_password(void **state)
{
	char head[4096], why[RELAY_WHY];
	struct relay *r = relay_to("hackme");
	relay_begin(r, "/morning", "video/webm", NULL);
	int fd = source_accept(head, sizeof head, "HTTP/1.0 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	close(fd);
	until(r, RELAY_FAILED);
	relay_why(r, why);
	assert_true(strlen(why) > 0);
	assert_null(strstr(why, "hackme"));
	assert_int_equal(relay_feed(r, "x", 1), 0); /* it would wait for nobody */
	relay_free(r);
	close(listening);
}

static void a_lost_connection_fails_and_can_begin_again(void **state)
{
	char head[4096];
	uint8_t media[1000] = { 1, 2, 3 };
	struct relay *r = relay_to("hackme");
	relay_begin(r, "/morning", "audio/ogg", NULL);
	int fd = source_accept(head, sizeof head, "HTTP/1.0 200 OK\r\n\r\n");
	until(r, RELAY_SENDING);
	close(fd);
	for (int i = 0; i < WAIT_MS && relay_state(r) == RELAY_SENDING; i++) {
		relay_feed(r, media, sizeof media);
		usleep(1000);
	}
	assert_int_equal(relay_state(r), RELAY_FAILED);
	relay_begin(r, "/morning", "audio/ogg", NULL);
	assert_int_equal(relay_feed(r, media, sizeof media), sizeof media);
	fd = source_accept(head, sizeof head, "HTTP/1.0 200 OK\r\n\r\n");
	media_read(fd, media, sizeof media); /* nothing of before */
	relay_free(r);
	close(fd);
	close(listening);
}

static void a_stream_that_fails_at_its_end_can_begin_again(void **state)
{
	char head[4096];
	uint8_t *media = calloc(1, LIMIT_RELAY_QUEUE_BYTES);
	struct relay *r = relay_to("hackme");
	relay_begin(r, "/morning", "audio/ogg", NULL);
	int fd = source_accept(head, sizeof head, "HTTP/1.0 200 OK\r\n\r\n");
	until(r, RELAY_SENDING);
	for (int full = 0; full < 100;) { /* more than both ends of a socket hold, and nobody reads */
		full = relay_feed(r, media, LIMIT_RELAY_QUEUE_BYTES) == 0 ? full + 1 : 0;
		usleep(1000);
	}
	relay_end(r);
	assert_int_equal(relay_state(r), RELAY_SENDING);
	close(fd);
	until(r, RELAY_FAILED);
	relay_end(r);
	assert_int_equal(relay_state(r), RELAY_IDLE);
	relay_begin(r, "/morning", "audio/ogg", NULL);
	fd = source_accept(head, sizeof head, "HTTP/1.0 200 OK\r\n\r\n");
	until(r, RELAY_SENDING);
	relay_free(r);
	close(fd);
	close(listening);
	free(media);
}

static void what_ends_while_it_connects_still_arrives(void **state)
{
	char head[4096];
	uint8_t media[1000] = { 1, 2, 3 }, byte;
	struct relay *r = relay_to("hackme");
	relay_begin(r, "/morning", "audio/ogg", NULL);
	assert_int_equal(relay_feed(r, media, sizeof media), sizeof media);
	relay_end(r);
	int fd = source_accept(head, sizeof head, "HTTP/1.0 200 OK\r\n\r\n");
	media_read(fd, media, sizeof media);
	assert_true(readable(fd));
	assert_int_equal(read(fd, &byte, 1), 0);
	until(r, RELAY_IDLE);
	relay_free(r);
	close(fd);
	close(listening);
}

static void a_title_goes_on_its_own_way(void **state)
{
	char head[4096];
	struct relay *r = relay_to("hackme");
	relay_begin(r, "/morning", "audio/aac", NULL);
	int fd = source_accept(head, sizeof head, "HTTP/1.0 200 OK\r\n\r\n");
	until(r, RELAY_SENDING);
	relay_title(r, "Bj\xc3\xb6rk - J\xc3\xb3ga & co");
	int title = source_accept(head, sizeof head, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_non_null(strstr(head, "GET /admin/metadata?"));
	assert_non_null(strstr(head, "song=Bj%c3%b6rk%20%2d%20J%c3%b3ga%20%26%20co"));
	close(title);
	relay_free(r);
	close(fd);
	close(listening);
}

static void types_are_what_an_icecast_takes(void **state)
{
	static const char *const taken[] = { "audio/webm", "video/webm", "audio/webm;codecs=opus", "audio/ogg",
					     "audio/mpeg", "audio/aac",	 "video/x-matroska" };
	static const char *const others[] = { "", "audio/mp4", "video/mp4", "application/octet-stream", "audio/web" };
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		assert_true(relay_takes(taken[i]));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(relay_takes(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(types_are_what_an_icecast_takes),
		cmocka_unit_test(a_stream_arrives_as_it_was_fed),
		cmocka_unit_test(a_refusal_is_said_without_the_password),
		cmocka_unit_test(a_lost_connection_fails_and_can_begin_again),
		cmocka_unit_test(a_stream_that_fails_at_its_end_can_begin_again),
		cmocka_unit_test(what_ends_while_it_connects_still_arrives),
		cmocka_unit_test(a_title_goes_on_its_own_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
