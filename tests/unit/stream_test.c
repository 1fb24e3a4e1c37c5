/* GET /api/events on a running network over an engine, to clients with small windows: a stream holds one page and
 * nothing else for one who does not read, and misses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/private.h"
#include "sim/disk.h"
#include "support/engine_rig.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_S = 30, EVENTS = 350, SMALL = 4096 };

static uv_loop_t loop;
static struct net *net;
static struct engine_rig *rig;
static struct disk *the_disk;

static int set_up(void **state)
{
	uv_loop_init(&loop);
	struct net_config config = { .loop = &loop, .host = "127.0.0.1", .max_connections = 100 };
	if (disk_new(7, &the_disk) != ERR_OK)
		return -1;
	rig = engine_rig_new(disk_vfs(the_disk));
	assert_int_equal(engine_rig_open(rig), ERR_OK);
	assert_int_equal(net_new(&config, &net), ERR_OK);
	assert_int_equal(net_listen(net, rig->e), ERR_OK);
	/* accepted sockets inherit it */
	setsockopt(net->listeners[0].fd, SOL_SOCKET, SO_SNDBUF, &(int){ SMALL }, sizeof(int));
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

static int tear_down(void **state)
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
	return uv_loop_close(&loop);
}

/* `count` changes of phase. */
static void happen(unsigned count)
{
	static unsigned number;
	char text[128];
	uint64_t conn = engine_conn_open(rig->e, grant_local(), rig->now);
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"s%u\"}", number++);
		engine_rig_say(rig, conn, text);
		engine_rig_say(rig, conn, "{\"type\":\"abort\"}");
	}
	engine_conn_closed(rig->e, conn, rig->now);
}

struct client {
	int fd;
	struct buf got;
	bool ended;
};

static void client_open(struct client *c, const char *target)
{
	char text[128];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(net_port(net)) };
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	*c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &(int){ 1400 },
		   sizeof(int)); /* windows open late, as over a network */
	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &(int){ SMALL }, sizeof(int));
	assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", target);
	assert_int_equal(send(c->fd, text, (size_t)len, MSG_NOSIGNAL), len);
}

static void client_close(struct client *c)
{
	close(c->fd);
	buf_release(&c->got);
}

static void client_read(struct client *c)
{
	char text[1000];
	ssize_t got = recv(c->fd, text, sizeof text, 0);
	if (got > 0)
		buf_add(&c->got, text, (size_t)got);
	c->ended |= got == 0;
}

/* Events that came; each behind the one before. */
static unsigned events(const struct client *c)
{
	unsigned count = 0;
	long last = 0;
	for (const char *at = c->got.data; at && (at = strstr(at, "\nid: ")); at++) {
		if (!strstr(at, "\n\n"))
			break; /* not whole yet */
		long seq = strtol(at + 5, NULL, 10);
		assert_true(seq > last);
		last = seq;
		count++;
	}
	return count;
}

static void until_events(struct client *c, unsigned count)
{
	uint64_t end = uv_hrtime() + PATIENCE_S * 1000000000ULL;
	while (events(c) < count) {
		assert_true(uv_hrtime() < end);
		assert_false(c->ended);
		turn();
		client_read(c);
	}
	assert_int_equal(events(c), count);
}

static struct peer *only_peer(void)
{
	assert_int_equal(net->peer_count, 1);
	return list_entry(net->peers.next, struct peer, all);
}

static size_t waits(const struct peer *p)
{
	size_t bytes = 0;
	for (const struct chunk *chunk = p->out; chunk; chunk = chunk->next)
		bytes += chunk->len;
	return bytes;
}

static void until_gone(void)
{
	uint64_t end = uv_hrtime() + PATIENCE_S * 1000000000ULL;
	while (net->peer_count > 0) {
		assert_true(uv_hrtime() < end);
		turn();
	}
	assert_int_equal(net->streams, 0);
	assert_true(list_empty(&net->stream_list));
}

static void a_slow_reader_is_behind_and_misses_nothing(void **state)
{
	struct client c;
	client_open(&c, "/api/events?after=0");
	for (unsigned i = 0; i < 20; i++)
		turn();
	happen(EVENTS);
	for (unsigned i = 0; i < 200; i++)
		turn();
	struct peer *p = only_peer();
	assert_true(peer_unsent(p));
	assert_in_range(waits(p), 1, LIMIT_EVENTS_PAGE * 200);
	assert_true(p->deadline_ms > 0); /* one that never reads is cut off */
	until_events(&c, EVENTS);
	happen(3);
	until_events(&c, EVENTS + 3);
	assert_true(p->deadline_ms == 0);
	client_close(&c);
	until_gone();
}

static void what_a_client_says_meanwhile_is_dropped(void **state)
{
	struct client c;
	char noise[1000];
	memset(noise, 'x', sizeof noise);
	client_open(&c, "/api/events");
	for (unsigned i = 0; i < 500; i++) {
		(void)!send(c.fd, noise, sizeof noise, MSG_NOSIGNAL | MSG_DONTWAIT);
		turn();
	}
	assert_int_equal(only_peer()->in.len, 0);
	happen(1);
	until_events(&c, 1);
	client_close(&c);
	until_gone();
}

static void who_leaves_at_any_time_leaves_nothing(void **state)
{
	for (unsigned turns = 0; turns < 12; turns++) {
		struct client c;
		client_open(&c, "/api/events?after=0");
		for (unsigned i = 0; i < turns; i++)
			uv_run(&loop, UV_RUN_NOWAIT); /* the engine has not answered */
		if (turns % 2)
			happen(1);
		client_close(&c);
		until_gone();
	}
}

/* Nothing more comes from it: it has gone, whatever its system still takes. */
static void who_says_goodbye_makes_room_at_once(void **state)
{
	struct client c;
	client_open(&c, "/api/events");
	for (unsigned i = 0; i < 50; i++)
		turn();
	happen(1);
	until_events(&c, 1);
	shutdown(c.fd, SHUT_WR);
	for (unsigned i = 0; i < 50 && net->streams > 0; i++)
		turn();
	assert_int_equal(net->streams, 0);
	client_close(&c);
	until_gone();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_reader_is_behind_and_misses_nothing),
		cmocka_unit_test(what_a_client_says_meanwhile_is_dropped),
		cmocka_unit_test(who_says_goodbye_makes_room_at_once),
		cmocka_unit_test(who_leaves_at_any_time_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
