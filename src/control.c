/* The server's side of control.sock, see control.h. */
#include "control.h"

#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "proto/problem.h"
#include "token_requests.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char name[] = "control.sock";

struct control {
	struct control_config config;
	uv_pipe_t listener;
	struct list conns;
	unsigned conn_count;
	char *dir;
};

struct conn {
	struct list link;
	struct control *control;
	uv_pipe_t pipe;
	uv_timer_t wait;
	unsigned open_handles;
	struct control_call *call; /* being answered: nothing is read */
	bool closing;
	size_t len;
	char in[LIMIT_CONTROL_LINE_BYTES];
};

struct control_call {
	struct conn *conn; /* NULL when it is gone */
};

struct write {
	uv_write_t request;
	struct conn *conn;
	bool last;
	char text[];
};

/* --- the socket file --- */

int control_socket(const char *dir, int (*attach)(int fd, const struct sockaddr *address, socklen_t len))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -1;
	/* a path of its own may be longer than an address holds */
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* what is bound has the mode of its descriptor: nobody else gets in between */
	bool ok =
		fd >= 0 && fchmod(fd, 0600) == 0 && attach(fd, (const struct sockaddr *)&address, sizeof address) == 0;
	int error = errno;
	close(folder);
	if (ok)
		return fd;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

/* Removes a socket that is left over, and nothing else. */
static void file_remove(const char *dir)
{
	struct stat st;
	int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
		unlinkat(folder, name, 0);
	close(folder);
}

/* --- connections --- */

static void conn_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;
	if (--c->open_handles == 0)
		free(c);
}

static void conn_close(struct conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	if (c->call)
		c->call->conn = NULL;
	list_remove(&c->link);
	c->control->conn_count--;
	uv_close((uv_handle_t *)&c->pipe, conn_closed);
	uv_close((uv_handle_t *)&c->wait, conn_closed);
}

static void on_wait(uv_timer_t *timer)
{
	struct conn *c = timer->data;
	if (!c->call) /* else it is we who are slow */
		conn_close(c);
}

static void conn_wait(struct conn *c)
{
	uv_timer_start(&c->wait, on_wait, LIMIT_CONTROL_WAIT_S * 1000, 0);
}

static void conn_read(struct conn *c);

static void on_written(uv_write_t *request, int status)
{
	struct write *w = (struct write *)request;
	struct conn *c = w->conn;
	bool last = w->last || status < 0;
	free(w);
	if (c->closing)
		return;
	if (last)
		conn_close(c);
	else
		conn_read(c);
}

static void conn_write(struct conn *c, const char *text, size_t len, bool last)
{
	struct write *w = malloc(sizeof *w + len + 1);
	if (!w) {
		conn_close(c);
		return;
	}
	w->conn = c;
	w->last = last;
	memcpy(w->text, text, len);
	w->text[len] = '\n';
	uv_buf_t piece = uv_buf_init(w->text, (unsigned)len + 1);
	conn_wait(c);
	if (uv_write(&w->request, (uv_stream_t *)&c->pipe, &piece, 1, on_written) != 0) {
		free(w);
		conn_close(c);
	}
}

static void conn_refuse(struct conn *c, const char *sentence)
{
	json_t *answer = refusal_json(ERR_BAD_MESSAGE, sentence);
	struct buf text;
	buf_init(&text);
	json_format(&text, answer);
	json_decref(answer);
	uv_read_stop((uv_stream_t *)&c->pipe);
	if (text.failed)
		conn_close(c);
	else
		conn_write(c, text.data, text.len, true);
	buf_release(&text);
}

void control_answer(struct control_call *call, const char *text, size_t len)
{
	struct conn *c = call->conn;
	free(call);
	if (!c)
		return;
	c->call = NULL;
	conn_write(c, text, len, false);
}

void control_answer_json(struct control_call *call, json_t *answer)
{
	static const char poor[] = "{\"ok\":false,\"code\":\"no_memory\",\"message\":\"The server is out of memory.\"}";
	struct buf text;
	buf_init(&text);
	if (answer)
		json_format(&text, answer);
	json_decref(answer);
	if (!answer || text.failed)
		control_answer(call, poor, sizeof poor - 1);
	else
		control_answer(call, text.data, text.len);
	buf_release(&text);
}

/* --- requests --- */

static void on_line(struct conn *c, const char *text, size_t len)
{
	const char *detail;
	json_t *request;
	if (json_read(text, len, &request, &detail) != ERR_OK) {
		conn_refuse(c, detail);
		return;
	}
	struct control_call *call = calloc(1, sizeof *call);
	if (call) {
		call->conn = c;
		c->call = call;
		c->control->config.ask(c->control->config.arg, call, request);
	} else {
		conn_close(c);
	}
	json_decref(request);
}

/* The first whole line of what came, if there is one; reading stops while it is answered. */
static bool line_take(struct conn *c)
{
	char line[LIMIT_CONTROL_LINE_BYTES];
	const char *end = memchr(c->in, '\n', c->len);
	if (!end)
		return false;
	size_t len = (size_t)(end - c->in);
	memcpy(line, c->in, len);
	c->len -= len + 1;
	memmove(c->in, end + 1, c->len);
	uv_read_stop((uv_stream_t *)&c->pipe);
	on_line(c, line, len);
	return true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct conn *c = handle->data;
	(void)suggested;
	*out = uv_buf_init(c->in + c->len, (unsigned)(sizeof c->in - c->len));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *data)
{
	struct conn *c = stream->data;
	(void)data;
	if (len < 0) {
		conn_close(c);
		return;
	}
	c->len += (size_t)len;
	if (!line_take(c) && c->len == sizeof c->in)
		conn_refuse(c, "The request is longer than 16 KiB.");
	_Static_assert(LIMIT_CONTROL_LINE_BYTES == 16 * 1024, "a sentence names it");
}

static void conn_read(struct conn *c)
{
	conn_wait(c);
	if (!line_take(c) && uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) != 0)
		conn_close(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct control *control = listener->data;
	struct conn *c = status == 0 ? calloc(1, sizeof *c) : NULL;
	if (!c)
		return;
	c->control = control;
	uv_pipe_init(control->config.loop, &c->pipe, 0);
	uv_timer_init(control->config.loop, &c->wait);
	c->pipe.data = c->wait.data = c;
	c->open_handles = 2;
	list_push(&control->conns, &c->link);
	control->conn_count++;
	if (uv_accept(listener, (uv_stream_t *)&c->pipe) != 0 || control->conn_count > LIMIT_CONTROL_CONNS)
		conn_close(c);
	else
		conn_read(c);
}

/* --- life --- */

static void listener_closed(uv_handle_t *handle)
{
	struct control *c = handle->data;
	free(c->dir);
	free(c);
}

enum err control_open(const struct control_config *config, struct control **out)
{
	struct control *c = calloc(1, sizeof *c);
	*out = NULL;
	if (!c || !(c->dir = strdup(config->dir))) {
		free(c);
		return ERR_NO_MEMORY;
	}
	c->config = *config;
	list_init(&c->conns);
	uv_pipe_init(config->loop, &c->listener, 0);
	c->listener.data = c;
	file_remove(c->dir);
	int fd = control_socket(c->dir, bind);
	int rc = fd < 0 ? -errno : uv_pipe_open(&c->listener, fd);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&c->listener, LIMIT_CONTROL_CONNS, on_connection);
	if (rc == 0) {
		*out = c;
		return ERR_OK;
	}
	log_event(LOG_WARN, "control_socket_failed", "error", strerror(-rc), NULL);
	if (fd >= 0)
		file_remove(c->dir);
	uv_close((uv_handle_t *)&c->listener, listener_closed);
	return ERR_INTERNAL;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	while (!list_empty(&c->conns))
		conn_close(list_entry(c->conns.next, struct conn, link));
	file_remove(c->dir);
	uv_close((uv_handle_t *)&c->listener, listener_closed);
}
