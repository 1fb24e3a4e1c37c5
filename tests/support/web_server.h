/* A web server in a test's hands, on the test's own libuv loop and 127.0.0.1: each request is given to the test, which
 * writes what goes back, byte for byte. */
#ifndef HOLDFAST_TESTS_WEB_SERVER_H
#define HOLDFAST_TESTS_WEB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct web_server;
struct web_peer;

struct web_request {
	char head[8192]; /* with the blank line */
	const char *body;
	size_t body_len;
};

struct web_server *web_server_new(uv_loop_t *loop,
				  void (*request)(void *arg, struct web_peer *peer, const struct web_request *r),
				  void *arg);
/* Called when a request's head is there, and perhaps not all of its body; true: it was answered, and what else comes
 * is not looked at. */
void web_server_on_head(struct web_server *s,
			bool (*head)(void *arg, struct web_peer *peer, const struct web_request *r));
unsigned web_server_port(const struct web_server *s);
unsigned web_server_accepted(const struct web_server *s); /* connections so far */
/* Everything of it leaves the loop (which must run once more). */
void web_server_free(struct web_server *s);

void web_send(struct web_peer *peer, const char *data, size_t len);
void web_say(struct web_peer *peer, const char *text);
/* Behind what was sent. */
void web_close(struct web_peer *peer);
/* The value of a header into out[size]; false when there is none. */
bool web_header(const struct web_request *r, const char *name, char *out, size_t size);

#endif
