/* A blocking client of control.sock, see control_client.h. */
#include "control_client.h"

#include "base/buf.h"
#include "base/limits.h"
#include "control.h"
#include "proto/problem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct control_client {
	int fd;
};

enum err control_connect(const char *dir, struct control_client **out)
{
	*out = NULL;
	int fd = control_socket(dir, connect);
	if (fd < 0)
		return ERR_NOT_FOUND;
	struct control_client *c = malloc(sizeof *c);
	if (!c) {
		close(fd);
		return ERR_NO_MEMORY;
	}
	struct timeval patience = { .tv_sec = LIMIT_CONTROL_WAIT_S };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	c->fd = fd;
	*out = c;
	return ERR_OK;
}

static bool send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		data += sent;
		len -= (size_t)sent;
	}
	return true;
}

/* A line into `out`, without its end. */
static bool read_line(int fd, struct buf *out)
{
	char piece[16 * 1024];
	for (;;) {
		ssize_t got = recv(fd, piece, sizeof piece, 0);
		if (got <= 0)
			return false;
		bool end = piece[got - 1] == '\n'; /* one answer comes at a time */
		buf_add(out, piece, (size_t)got - end);
		if (out->failed || out->len > LIMIT_TOKENS_BYTES)
			return false;
		if (end)
			return true;
	}
}

enum err control_ask(struct control_client *c, const json_t *request, json_t **out)
{
	struct buf line, answer;
	buf_init(&line);
	buf_init(&answer);
	*out = NULL;
	json_format(&line, request);
	buf_add_text(&line, "\n");
	enum err err = ERR_READ_FAILED;
	if (!line.failed && send_all(c->fd, line.data, line.len) && read_line(c->fd, &answer))
		*out = json_loadb(answer.data ? answer.data : "", answer.len, JSON_REJECT_DUPLICATES, NULL);
	if (*out)
		err = ERR_OK;
	buf_release(&line);
	buf_release(&answer);
	return err;
}

void control_disconnect(struct control_client *c)
{
	if (!c)
		return;
	close(c->fd);
	free(c);
}
