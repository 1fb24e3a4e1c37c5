/* One WebSocket to the server at a time, on libwebsockets with a poll() of our own, so that another descriptor can be
 * waited for beside it. No more: when to connect and what to send is the sender's to say.
 *
 * One thread. Callbacks come from inside link_poll only. */
#ifndef HOLDFAST_CLIENT_LINK_H
#define HOLDFAST_CLIENT_LINK_H

#include "url.h"

#include <stddef.h>

struct link;

struct link_callbacks {
	void (*up)(void *arg);
	/* The link is gone or did not come up; `http_status` of a refused upgrade, or 0. */
	void (*lost)(void *arg, const char *why, int http_status);
	void (*text)(void *arg, const char *text, size_t len);
	/* Bytes of any kind came, a ping too. */
	void (*received)(void *arg);
	/* The next message into out (of size bytes): its length and kind, or false when there is none. */
	bool (*fill)(void *arg, char *out, size_t size, size_t *len, bool *is_text);
	void *arg;
};

enum { LINK_MESSAGE_BYTES = 64 * 1024, LINK_TEXT_BYTES = 64 * 1024 };

/* 0 or a negative errno. `url` is copied. */
int link_new(const struct url *url, const struct link_callbacks *callbacks, struct link **out);

/* Begins to connect; up or lost follows. There must be no link. */
void link_connect(struct link *l);
/* Ends the link, if there is one; lost does not follow. */
void link_close(struct link *l);
/* fill is to be called as soon as the link takes a message. */
void link_want_write(struct link *l);

/* Waits for the link, for `fd` (-1: none) to be readable, or for timeout_ms, and does what is due on the link. True
 * when fd is readable. */
bool link_poll(struct link *l, int fd, int timeout_ms);

/* Says goodbye if the link is up, for a moment at most. Accepts NULL. */
void link_free(struct link *l);

#endif
