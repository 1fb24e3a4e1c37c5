/* DIR/control.sock: how the program's other commands talk to a server at work. A unix socket (0600: the server's own
 * user), one JSON object a line, one answer for each request in their order.
 *
 * Bounded: LIMIT_CONTROL_CONNS connections, LIMIT_CONTROL_LINE_BYTES a request, one request of a connection at a time
 * (what comes behind it waits in its socket), LIMIT_CONTROL_WAIT_S of silence. Loop thread only. */
#ifndef HOLDFAST_CONTROL_H
#define HOLDFAST_CONTROL_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <uv.h>

struct control;
struct control_call;

struct control_config {
	uv_loop_t *loop;
	const char *dir; /* the data directory, whose lock is held: a socket file that is there is left over */
	/* A request came: an object. To be answered once by control_answer, now or later. */
	void (*ask)(void *arg, struct control_call *call, const json_t *request);
	void *arg;
};

/* ERR_INTERNAL, logged: the socket can't be made; nothing is left open. */
enum err control_open(const struct control_config *config, struct control **out);

/* One line of JSON, without its end. The call is over; its connection may be gone already. */
void control_answer(struct control_call *call, const char *text, size_t len);
/* The same with an object, which is given back; NULL: out of memory. */
void control_answer_json(struct control_call *call, json_t *answer);

/* Closes everything and removes the file. Calls that are under way must still be answered, which frees them. Accepts
 * NULL. */
void control_close(struct control *c);

/* Opens DIR/control.sock for `bind` or `connect`, however long DIR is. -1 and errno. */
int control_socket(const char *dir, int (*attach)(int fd, const struct sockaddr *address, socklen_t len));

#endif
