/* Where a take is sent. Pure. */
#ifndef HOLDFAST_CLIENT_URL_H
#define HOLDFAST_CLIENT_URL_H

#include <stdbool.h>
#include <stdint.h>

struct url {
	bool tls;
	uint16_t port;
	char host[256];	     /* without brackets */
	char path[512];	     /* of the WebSocket */
	char authority[272]; /* for the Host header */
	char text[800];	     /* the one form of it, "ws://host:port/path": what equals means the same server */
};

/* Reads "http://HOST[:PORT][/PREFIX]" (the WebSocket is at PREFIX/ws), "ws://HOST[:PORT]/PATH" or "HOST:PORT"; https
 * and wss alike. False when it is none, or holds a user, a query or a fragment. */
bool url_parse(const char *text, struct url *out);

#endif
