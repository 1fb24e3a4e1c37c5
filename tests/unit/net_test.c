/* Connections of a running network, TLS and plain on one port: what a client gets, whatever the pieces it sends and
 * however slowly it reads. The engine is not there: only routes that do not need it are asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/private.h"
#include "support/names_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 30 };

static uv_loop_t loop;
static struct net *net;
static struct lan *lan;
static uint16_t tls_only_port;
static SSL_CTX *client_context;
static char *leaf_pem;

struct client {
	int fd;
	SSL *ssl; /* NULL: plain */
	struct buf got;
	bool ended;   /* the server closed */
	bool goodbye; /* and said so */
};

/* True until it takes too long. */
static bool patient(uint64_t *end)
{
	if (*end == 0)
		*end = uv_hrtime() + PATIENCE_S * 1000000000ULL;
	return uv_hrtime() < *end;
}

static bool collect(struct names *out)
{
	names_make(out, "studio", NAMES("192.168.1.5", "127.0.0.1"));
	return true;
}

static void keep(void *arg, const char *pem, size_t len)
{
	free(leaf_pem);
	leaf_pem = strndup(pem, len);
}

static int set_up(void **state)
{
	struct names names;
	struct buf ca;
	const char *why;
	SSL_CTX *tls;
	buf_init(&ca);
	collect(&names);
	uv_loop_init(&loop);
	assert_int_equal(ca_make(&names, time(NULL), &ca), ERR_OK);
	struct lan_config lan_config = { .ca_pem = ca.data, .keep = keep, .collect = collect };
	assert_int_equal(lan_new(&lan_config, time(NULL), &lan, &why), ERR_OK);
	assert_int_equal(tls_context_new(leaf_pem, leaf_pem, &tls, &why), ERR_OK);
	struct net_config config = { .loop = &loop, .host = "127.0.0.1", .tls = tls, .max_connections = 100 };
	assert_int_equal(net_new(&config, &net), ERR_OK);
	net_lan(net, lan, 0);
	assert_int_equal(net_listen(net, NULL), ERR_OK);
	tls_only_port = net_port(net);
	client_context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(client_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	buf_release(&ca);
	return 0;
}

static void closed(void *arg)
{
	*(bool *)arg = true;
}

static int tear_down(void **state)
{
	bool done = false;
	net_close(net, closed, &done);
	while (!done)
		uv_run(&loop, UV_RUN_ONCE);
	while (uv_run(&loop, UV_RUN_NOWAIT))
		;
	SSL_CTX_free(client_context);
	free(leaf_pem);
	return uv_loop_close(&loop);
}

static void client_open(struct client *c, uint16_t port, bool tls)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	*c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	/* as over a network: on loopback a segment is larger than small buffers are, and windows open late */
	setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &(int){ 1400 }, sizeof(int));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &(int){ 16384 }, sizeof(int));
	assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	if (!tls)
		return;
	c->ssl = SSL_new(client_context);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
	for (uint64_t end = 0; SSL_do_handshake(c->ssl) != 1;) {
		assert_true(patient(&end));
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}

static void client_close(struct client *c)
{
	SSL_free(c->ssl);
	close(c->fd);
	buf_release(&c->got);
	ERR_clear_error();
}

/* Sends what it can of it; how much that was. */
static size_t client_send(struct client *c, const char *text, size_t len)
{
	ERR_clear_error();
	ssize_t sent = c->ssl ? SSL_write(c->ssl, text, (int)len) : send(c->fd, text, len, MSG_NOSIGNAL);
	return sent > 0 ? (size_t)sent : 0;
}

static void client_send_all(struct client *c, const char *text, size_t piece)
{
	size_t len = strlen(text);
	uint64_t end = 0;
	for (size_t at = 0; at < len;) {
		at += client_send(c, text + at, len - at < piece ? len - at : piece);
		uv_run(&loop, UV_RUN_NOWAIT);
		assert_true(patient(&end));
	}
}

static void client_read(struct client *c)
{
	char text[4096];
	ERR_clear_error();
	ssize_t got = c->ssl ? SSL_read(c->ssl, text, sizeof text) : recv(c->fd, text, sizeof text, 0);
	if (got > 0)
		buf_add(&c->got, text, (size_t)got);
	else if (c->ssl)
		c->ended = SSL_get_error(c->ssl, (int)got) != SSL_ERROR_WANT_READ;
	else
		c->ended = got == 0 || errno != EAGAIN;
	c->goodbye = c->ended && (!c->ssl || SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN);
}

/* Answers that came whole; bodies are those of their Content-Length. */
static unsigned answers(const struct client *c)
{
	unsigned count = 0;
	const char *at = c->got.data, *end = at ? at + c->got.len : at, *body, *length;
	while (at && at < end) {
		/* within a head's length: a sanitizer looks at all that a search may read, each time */
		size_t left = (size_t)(end - at) < 4096 ? (size_t)(end - at) : 4096;
		body = memmem(at, left, "\r\n\r\n", 4);
		length = memmem(at, left, "Content-Length: ", 16);
		if (!body || !length)
			break;
		at = body + 4 + strtoul(length + 16, NULL, 10);
		count += at <= end;
	}
	return count;
}

static void until_answers(struct client *c, unsigned count)
{
	for (uint64_t end = 0; answers(c) < count && !c->ended;) {
		assert_true(patient(&end));
		uv_run(&loop, UV_RUN_NOWAIT);
		client_read(c);
	}
	assert_int_equal(answers(c), count);
}

static void until_ended(struct client *c)
{
	for (uint64_t end = 0; !c->ended;) {
		assert_true(patient(&end));
		uv_run(&loop, UV_RUN_NOWAIT);
		client_read(c);
	}
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

static void one_port_speaks_both(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct client c;
		size_t len;
		client_open(&c, lan_port(lan), i);
		client_send_all(&c, GET("/trust/ca.crt"), 1000);
		until_answers(&c, 1);
		assert_memory_equal(c.got.data, "HTTP/1.1 200 ", 13);
		const uint8_t *der = ca_der(lan_ca(lan), &len);
		assert_memory_equal(c.got.data + c.got.len - len, der, len);
		assert_null(strstr(c.got.data, "Strict-Transport"));
		client_close(&c);
	}
}

static void byte_by_byte(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct client c;
		client_open(&c, lan_port(lan), i);
		client_send_all(&c, GET("/record") GET("/"), 1);
		until_answers(&c, 2);
		client_close(&c);
	}
}

static void only_our_names(void **state)
{
	static const struct {
		const char *host;
		int status;
	} rows[] = { { "127.0.0.1", 200 }, { "192.168.1.5:8443", 200 }, { "studio.local", 200 },
		     { "localhost", 200 }, { "evil.example", 421 },	{ "192.168.1.6", 421 },
		     { "studio", 421 } };
	for (unsigned i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
		struct client c;
		char text[128], status[32];
		client_open(&c, lan_port(lan), i % 2);
		snprintf(text, sizeof text, "GET /record HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i / 2].host);
		snprintf(status, sizeof status, "HTTP/1.1 %d ", rows[i / 2].status);
		client_send_all(&c, text, 1000);
		until_answers(&c, 1);
		assert_memory_equal(c.got.data, status, strlen(status));
		client_close(&c);
	}
}

static void what_is_open_and_what_is_not(void **state)
{
	static const struct {
		const char *path;
		int status;
	} rows[] = { { "/", 200 },
		     { "/record", 200 },
		     { "/api/trust", 200 },
		     { "/trust/holdfast.mobileconfig", 200 },
		     { "/api/lan", 401 },
		     { "/api/lan/qr.svg", 401 },
		     { "/api/recordings", 401 },
		     { "/api/recordings/x/file", 401 },
		     { "/api/recordings/x/waveform?track=&sig=x&exp=1", 401 },
		     { "/api/events", 401 },
		     { "/metrics", 401 },
		     { "/nothing", 401 },
		     { "/ws", 400 } }; /* open to those who bring a token in `start`; this is no upgrade */
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client c;
		char text[128], status[32];
		client_open(&c, lan_port(lan), true);
		/* as a phone: not a loopback name */
		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: studio.local:8443\r\n\r\n", rows[i].path);
		snprintf(status, sizeof status, "HTTP/1.1 %d ", rows[i].status);
		client_send_all(&c, text, 1000);
		until_answers(&c, 1);
		if (memcmp(c.got.data, status, strlen(status)) != 0)
			fail_msg("%s: %.12s", rows[i].path, c.got.data);
		client_close(&c);
	}
}

/* What forwards a stranger's connection to us on this machine comes from loopback, and the stranger writes the Host. */
static void the_networks_door_makes_nobody_local(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct client c;
		client_open(&c, i == 2 ? tls_only_port : lan_port(lan), i > 0);
		client_send_all(&c, GET("/api/lan"), 1000);
		until_answers(&c, 1);
		assert_memory_equal(c.got.data, i == 2 ? "HTTP/1.1 200 " : "HTTP/1.1 401 ", 13);
		client_close(&c);
	}
}

/* Whoever shows no grant gets a share of the connections: those who did keep theirs, and newcomers find room. */
static void strangers_do_not_crowd_out(void **state)
{
	enum { STRANGERS = 130 };
	static struct client strangers[STRANGERS];
	static const char own[] = "GET /api/lan HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
	struct client known, newcomer;
	client_open(&known, tls_only_port, true);
	client_send_all(&known, own, 1000);
	until_answers(&known, 1);
	assert_memory_equal(known.got.data, "HTTP/1.1 200 ", 13);
	for (unsigned i = 0; i < STRANGERS; i++) {
		client_open(&strangers[i], i % 2 ? lan_port(lan) : tls_only_port, false);
		for (unsigned k = 0; k < 3; k++)
			uv_run(&loop, UV_RUN_NOWAIT);
	}
	assert_in_range(net_connections(net), 1, 30);
	client_send_all(&known, own, 1000);
	until_answers(&known, 2);
	client_open(&newcomer, lan_port(lan), true);
	client_send_all(&newcomer, GET("/"), 1000);
	until_answers(&newcomer, 1);
	client_close(&newcomer);
	client_close(&known);
	for (unsigned i = 0; i < STRANGERS; i++)
		client_close(&strangers[i]);
}

static void a_port_for_tls_alone(void **state)
{
	struct client c;
	client_open(&c, tls_only_port, true);
	client_send_all(&c, GET("/record"), 1000);
	until_answers(&c, 1);
	assert_memory_equal(c.got.data, "HTTP/1.1 200 ", 13);
	client_close(&c);
	client_open(&c, tls_only_port, false);
	client_send_all(&c, GET("/record"), 1000);
	until_ended(&c);
	assert_memory_equal(c.got.data, "HTTP/1.1 400 ", 13);
	assert_non_null(strstr(c.got.data, "https only"));
	client_close(&c);
}

/* The answers of many requests, sent ahead by a client that does not read for long: all of them, in order. */
static void a_slow_reader(void **state)
{
	enum { REQUESTS = 3000 };
	static const char one[] = GET("/record"), last[] = "GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n"
							   "Connection: close\r\n\r\n";
	for (unsigned i = 0; i < 2; i++) {
		struct client c;
		struct buf all;
		buf_init(&all);
		client_open(&c, lan_port(lan), i);
		for (unsigned k = 0; k < REQUESTS; k++)
			buf_add(&all, one, sizeof one - 1);
		buf_add(&all, last, sizeof last - 1);
		for (size_t at = 0, stuck = 0; at < all.len; stuck++) {
			size_t sent = client_send(&c, all.data + at, all.len - at);
			at += sent;
			uv_run(&loop, UV_RUN_NOWAIT);
			if (sent > 0)
				stuck = 0;
			else if (stuck > 100) /* the server reads no more: its answers wait for us */
				client_read(&c);
		}
		until_ended(&c);
		assert_int_equal(answers(&c), REQUESTS + 1);
		assert_true(c.goodbye);
		buf_release(&all);
		client_close(&c);
	}
}

/* The last answer may be the one that fills the socket, at every place: it comes whole, and the goodbye behind it. The
 * client asks to close by a header, or says goodbye itself while its answers still wait. */
static void the_last_answer_waits_for_the_socket(void **state)
{
	enum { MOST = 40 };
	static const char one[] = GET("/record"), last[] = "GET /record HTTP/1.1\r\nHost: 127.0.0.1\r\n"
							   "Connection: close\r\n\r\n";
	setsockopt(net->listeners[1].fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 },
		   sizeof(int)); /* accepted ones inherit it */
	for (unsigned i = 0; i < 3 * MOST; i++) {
		struct client c;
		struct buf all;
		buf_init(&all);
		client_open(&c, lan_port(lan), i % 3 > 0);
		for (unsigned k = 0; k < i / 3; k++)
			buf_add_text(&all, one);
		buf_add_text(&all, i % 3 == 2 ? one : last);
		assert_int_equal(client_send(&c, all.data, all.len), all.len);
		if (i % 3 == 2)
			SSL_shutdown(c.ssl);
		for (unsigned k = 0; k < 20; k++)
			uv_run(&loop, UV_RUN_NOWAIT);
		until_ended(&c);
		assert_int_equal(answers(&c), i / 3 + 1);
		assert_true(c.goodbye);
		buf_release(&all);
		client_close(&c);
	}
	setsockopt(net->listeners[1].fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int));
}

static void a_client_that_says_goodbye_gets_its_answers(void **state)
{
	struct client c;
	client_open(&c, lan_port(lan), true);
	static const char text[] = GET("/record") GET("/") GET("/trust/ca.crt");
	client_send(&c, text, sizeof text - 1);
	SSL_shutdown(c.ssl); /* both in the socket before the server reads */
	until_ended(&c);
	assert_int_equal(answers(&c), 3);
	assert_true(c.goodbye);
	client_close(&c);
	client_open(&c, lan_port(lan), true);
	client_send(&c, text, 20); /* half a head */
	SSL_shutdown(c.ssl);
	until_ended(&c);
	assert_true(c.goodbye);
	assert_int_equal(c.got.len, 0);
	client_close(&c);
}

static void broken_handshakes(void **state)
{
	static const char *const texts[] = { "\x16\x03\x01\x01\x01 nonsense", "\x16 GET / HTTP/1.1\r\n\r\n",
					     "\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16" };
	for (unsigned i = 0; i < 2 * sizeof texts / sizeof *texts; i++) {
		struct client c;
		char rest[600] = { 0 };
		client_open(&c, i % 2 ? lan_port(lan) : tls_only_port, false);
		uint64_t began = uv_hrtime();
		client_send(&c, texts[i / 2], strlen(texts[i / 2]));
		client_send(&c, rest, sizeof rest);
		until_ended(&c);
		/* at once, not when the time for a head is over */
		assert_true(uv_hrtime() - began < LIMIT_HTTP_HEADER_WAIT_S * 1000000000ULL / 2);
		assert_true(c.got.len == 0 || c.got.data[0] == 0x15); /* at most an alert */
		client_close(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_port_speaks_both),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(only_our_names),
		cmocka_unit_test(what_is_open_and_what_is_not),
		cmocka_unit_test(the_networks_door_makes_nobody_local),
		cmocka_unit_test(strangers_do_not_crowd_out),
		cmocka_unit_test(a_port_for_tls_alone),
		cmocka_unit_test(a_slow_reader),
		cmocka_unit_test(the_last_answer_waits_for_the_socket),
		cmocka_unit_test(a_client_that_says_goodbye_gets_its_answers),
		cmocka_unit_test(broken_handshakes),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
