/* One WebSocket to the server at a time, on libwebsockets with a poll() of our own, so that other links and
 * descriptors can be waited for beside it. No more: when to connect and what to send is the sender's to say.
 *
 * One thread. Callbacks come from inside link_service only. */
#ifndef HOLDFAST_CLIENT_LINK_H
#define HOLDFAST_CLIENT_LINK_H

#include "url.h"

#include <poll.h>
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

/* 0 or a negative errno. `url` is copied. `ca_file`: PEM, or NULL. */
int link_new(const struct url *url, const char *ca_file, const struct link_callbacks *callbacks, struct link **out);
/* Who is called back from now on. */
void link_bind(struct link *l, const struct link_callbacks *callbacks);
bool link_is_up(const struct link *l);

/* Begins to connect; up or lost follows. There must be no link. */
void link_connect(struct link *l);
/* Ends the link, if there is one; lost does not follow. */
void link_close(struct link *l);
/* fill is to be called as soon as the link takes a message. */
void link_want_write(struct link *l);

/* What to poll() for, and for how many ms at most (of timeout_ms). */
int link_prepare(struct link *l, struct pollfd *out, int timeout_ms);
/* Does what is due on the link behind the poll(); `revents` of it, 0 when it was interrupted. */
void link_service(struct link *l, short revents);

/* Says goodbye if the link is up, for a moment at most. Accepts NULL. */
void link_free(struct link *l);

#endif
