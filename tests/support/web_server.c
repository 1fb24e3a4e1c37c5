/* A web server in a test's hands, see web_server.h. */
#include "support/web_server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct web_server {
	uv_tcp_t tcp;
	void (*request)(void *arg, struct web_peer *peer, const struct web_request *r);
	bool (*head)(void *arg, struct web_peer *peer, const struct web_request *r);
	void *arg;
	unsigned accepted;
	struct web_peer *peers;
};

struct web_peer {
	uv_tcp_t tcp;
	struct web_server *server;
	struct web_peer *next;
	char *input; /* owned; grows with what is sent */
	size_t len, room;
	bool closing, headed, answered; /* answered: by its head, the rest goes nowhere */
};

struct sending {
	uv_write_t write;
	char data[];
};

static void on_peer_closed(uv_handle_t *handle)
{
	struct web_peer *p = handle->data;
	if (p->server) {
		struct web_peer **at = &p->server->peers;
		while (*at != p)
			at = &(*at)->next;
		*at = p->next;
	}
	free(p->input);
	free(p);
}

static void peer_close(struct web_peer *p)
{
	if (!uv_is_closing((uv_handle_t *)&p->tcp))
		uv_close((uv_handle_t *)&p->tcp, on_peer_closed);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct web_peer *p = handle->data;
	(void)size;
	if (p->room - p->len < 32768) {
		p->room = p->room ? p->room * 2 : 65536;
		p->input = realloc(p->input, p->room);
		assert(p->input);
	}
	*buf = uv_buf_init(p->input + p->len, (unsigned)(p->room - 1 - p->len));
}

static void take_requests(struct web_peer *p)
{
	for (;;) {
		struct web_request r = { .body = "" };
		char text[32];
		p->input[p->len] = '\0';
		char *end = strstr(p->input, "\r\n\r\n");
		if (!end)
			return;
		size_t head = (size_t)(end - p->input) + 4;
		assert(head < sizeof r.head);
		memcpy(r.head, p->input, head);
		r.body = p->input + head;
		r.body_len = web_header(&r, "content-length", text, sizeof text) ? (size_t)strtoul(text, NULL, 10) : 0;
		p->answered = !p->headed && p->server->head && p->server->head(p->server->arg, p, &r);
		p->headed = true;
		if (p->answered || p->len < head + r.body_len)
			return;
		p->headed = false;
		p->server->request(p->server->arg, p, &r);
		p->len -= head + r.body_len;
		memmove(p->input, p->input + head + r.body_len, p->len);
	}
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct web_peer *p = stream->data;
	(void)buf;
	if (got < 0) {
		peer_close(p);
		return;
	}
	p->len += (size_t)got;
	if (p->answered || p->closing)
		p->len = 0;
	else
		take_requests(p);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct web_server *s = stream->data;
	assert(status == 0);
	struct web_peer *p = calloc(1, sizeof *p);
	assert(p);
	uv_tcp_init(stream->loop, &p->tcp);
	p->tcp.data = p;
	p->server = s;
	p->next = s->peers;
	s->peers = p;
	s->accepted++;
	uv_accept(stream, (uv_stream_t *)&p->tcp);
	uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
}

struct web_server *web_server_new(uv_loop_t *loop,
				  void (*request)(void *arg, struct web_peer *peer, const struct web_request *r),
				  void *arg)
{
	struct sockaddr_in address;
	struct web_server *s = calloc(1, sizeof *s);
	assert(s);
	s->request = request;
	s->arg = arg;
	uv_ip4_addr("127.0.0.1", 0, &address);
	uv_tcp_init(loop, &s->tcp);
	s->tcp.data = s;
	int bad = uv_tcp_bind(&s->tcp, (const struct sockaddr *)&address, 0);
	assert(!bad);
	bad = uv_listen((uv_stream_t *)&s->tcp, 16, on_connection);
	assert(!bad);
	return s;
}

void web_server_on_head(struct web_server *s,
			bool (*head)(void *arg, struct web_peer *peer, const struct web_request *r))
{
	s->head = head;
}

unsigned web_server_port(const struct web_server *s)
{
	struct sockaddr_in address;
	int len = sizeof address;
	uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&address, &len);
	return ntohs(address.sin_port);
}

unsigned web_server_accepted(const struct web_server *s)
{
	return s->accepted;
}

static void on_server_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void web_server_free(struct web_server *s)
{
	for (struct web_peer *p = s->peers; p; p = p->next) {
		p->server = NULL;
		peer_close(p);
	}
	uv_close((uv_handle_t *)&s->tcp, on_server_closed);
}

static void on_sent(uv_write_t *write, int status)
{
	(void)status;
	free(write->data);
}

void web_send(struct web_peer *p, const char *data, size_t len)
{
	struct sending *s = malloc(sizeof *s + len);
	assert(s);
	memcpy(s->data, data, len);
	s->write.data = s;
	uv_buf_t buf = uv_buf_init(s->data, (unsigned)len);
	if (uv_write(&s->write, (uv_stream_t *)&p->tcp, &buf, 1, on_sent) != 0)
		free(s);
}

void web_say(struct web_peer *p, const char *text)
{
	web_send(p, text, strlen(text));
}

static void on_shut(uv_shutdown_t *shutdown, int status)
{
	struct web_peer *p = shutdown->data;
	(void)status;
	free(shutdown);
	peer_close(p);
}

void web_close(struct web_peer *p)
{
	uv_shutdown_t *shutdown = malloc(sizeof *shutdown);
	assert(shutdown);
	p->closing = true;
	shutdown->data = p;
	if (uv_shutdown(shutdown, (uv_stream_t *)&p->tcp, on_shut) != 0) {
		free(shutdown);
		peer_close(p);
	}
}

bool web_header(const struct web_request *r, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);
	for (const char *line = strstr(r->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
		const char *at = line + 2;
		if (strncasecmp(at, name, len) != 0 || at[len] != ':')
			continue;
		at += len + 1;
		at += strspn(at, " ");
		snprintf(out, size, "%.*s", (int)strcspn(at, "\r"), at);
		return true;
	}
	return false;
}
