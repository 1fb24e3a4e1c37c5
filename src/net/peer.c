/* A connection's bytes: read in pieces of at most LIMIT_INPUT_BYTES, worked by the file of its state, written at once
 * or queued. libwebsockets tells when the socket is readable, writable or gone.
 * Nothing is closed from inside a call of another part: peer_doom only marks, and the end of the turn closes. */
#include "net/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SEND_PARTS = 16 }; /* chunks sent with one call */
static void peers_todo(uv_idle_t *idle);

static void put_off(struct peer *p)
{
	list_remove(&p->todo);
	list_push(&p->net->todo, &p->todo);
	uv_idle_start(&p->net->todo_idle, peers_todo);
}

void peer_doom(struct peer *p)
{
	if (p->doomed)
		return;
	p->doomed = true;
	put_off(p);
}

void peer_deadline(struct peer *p, uint64_t ms)
{
	list_remove(&p->timed);
	p->deadline_ms = 0;
	if (ms == 0)
		return;
	p->deadline_ms = uv_now(p->net->config.loop) + ms;
	list_push(&p->net->timed, &p->timed);
}

/* --- out --- */

static void chunks_free(struct peer *p)
{
	while (p->out) {
		struct chunk *c = p->out;
		p->out = c->next;
		free(c);
	}
	p->out_tail = &p->out;
	p->out_count = 0;
	p->out_sent = 0;
}

/* Who reads gets more time for the rest. */
static void progress(struct peer *p)
{
	if (p->deadline_ms && (p->state == PEER_ANSWER || p->state == PEER_STREAM))
		peer_deadline(p, LIMIT_HTTP_SEND_WAIT_S * 1000);
	else if (p->deadline_ms && p->state == PEER_WS_DONE)
		peer_deadline(p, LIMIT_CLOSE_WAIT_MS);
}

ssize_t peer_socket_send(struct peer *p, const struct iovec *parts, int count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count };
	for (;;) {
		ssize_t sent = sendmsg(lws_get_socket_fd(p->wsi), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0)
			progress(p);
		if (sent >= 0)
			return sent;
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
			return 0;
		if (errno != EINTR)
			return -1;
	}
}

/* Sends what it can; the bytes taken, or -1 when nothing more can ever be sent. */
static ssize_t send_now(struct peer *p, const struct iovec *parts, int count)
{
	return p->secure ? secure_send(p, parts, count) : peer_socket_send(p, parts, count);
}

void peer_await_writable(struct peer *p)
{
	p->blocked = true;
	lws_callback_on_writable(p->wsi);
}

bool peer_unsent(const struct peer *p)
{
	size_t waits = 0;
	if (p->secure)
		tls_out(p->secure, &waits);
	return p->out || waits > 0;
}

/* Everything is sent: whoever waited for that goes on. */
static void drained(struct peer *p)
{
	if (p->request)
		request_drained(p);
	if (p->ws)
		ws_drained(p->ws);
	if (!p->finish || peer_unsent(p) || p->doomed || p->state == PEER_LINGER)
		return;
	if (p->secure) {
		tls_goodbye(p->secure);
		if (!secure_flush(p))
			return;
		if (peer_unsent(p)) { /* called again when it is not */
			peer_deadline(p, LIMIT_CLOSE_WAIT_MS);
			return;
		}
	}
	p->state = PEER_LINGER;
	buf_release(&p->in);
	shutdown(lws_get_socket_fd(p->wsi), SHUT_WR);
	peer_deadline(p, LIMIT_LINGER_MS);
	peer_gate(p, GATE_ANSWER | GATE_PAUSED, false);
}

/* Takes `sent` bytes off the queue. */
static void chunks_sent(struct peer *p, size_t sent)
{
	sent += p->out_sent;
	while (p->out && sent >= p->out->len) {
		struct chunk *c = p->out;
		sent -= c->len;
		p->out = c->next;
		p->out_count--;
		free(c);
	}
	if (!p->out)
		p->out_tail = &p->out;
	p->out_sent = sent;
}

static void flush(struct peer *p)
{
	if (p->secure && !secure_flush(p))
		return;
	while (p->out && !p->doomed) {
		struct iovec parts[SEND_PARTS];
		size_t total = 0;
		int count = 0;
		for (struct chunk *c = p->out; c && count < SEND_PARTS; c = c->next) {
			size_t skip = c == p->out ? p->out_sent : 0;
			parts[count++] = (struct iovec){ c->data + skip, c->len - skip };
			total += c->len - skip;
		}
		ssize_t sent = send_now(p, parts, count);
		if (sent < 0) {
			peer_doom(p);
			return;
		}
		chunks_sent(p, (size_t)sent);
		if ((size_t)sent < total) {
			peer_await_writable(p);
			return;
		}
	}
	if (!p->doomed && !peer_unsent(p))
		drained(p);
}

static size_t parts_len(const struct iovec *parts, int count)
{
	size_t len = 0;
	for (int i = 0; i < count; i++)
		len += parts[i].iov_len;
	return len;
}

/* Copies the parts behind their first `skip` bytes. */
static void parts_copy(uint8_t *to, const struct iovec *parts, int count, size_t skip)
{
	for (int i = 0; i < count; i++) {
		if (skip >= parts[i].iov_len) {
			skip -= parts[i].iov_len;
			continue;
		}
		memcpy(to, (const uint8_t *)parts[i].iov_base + skip, parts[i].iov_len - skip);
		to += parts[i].iov_len - skip;
		skip = 0;
	}
}

static struct chunk *chunk_last(struct peer *p)
{
	return p->out ? (struct chunk *)(void *)((char *)p->out_tail - offsetof(struct chunk, next)) : NULL;
}

/* Puts the rest of the parts at the end of the queue, an ack in the place of an unsent one. */
static void enqueue(struct peer *p, const struct iovec *parts, int count, size_t skip, bool is_ack)
{
	size_t len = parts_len(parts, count) - skip;
	struct chunk *last = chunk_last(p);
	bool untouched = last && (last != p->out || p->out_sent == 0);
	if (is_ack && skip == 0 && untouched && last->is_ack && last->capacity >= len) {
		parts_copy(last->data, parts, count, 0);
		last->len = len;
		return;
	}
	size_t capacity = is_ack && len < 64 ? 64 : len; /* an ack grows by a digit now and then */
	struct chunk *c = malloc(sizeof *c + capacity);
	if (!c) {
		peer_doom(p);
		return;
	}
	*c = (struct chunk){ .len = len, .capacity = capacity, .is_ack = is_ack && skip == 0 };
	parts_copy(c->data, parts, count, skip);
	*p->out_tail = c;
	p->out_tail = &c->next;
	p->out_count++;
}

void peer_write(struct peer *p, const struct iovec *parts, int count, bool is_ack)
{
	if (p->doomed || p->state == PEER_LINGER)
		return;
	ssize_t sent = 0;
	if (!p->out && !p->blocked) {
		sent = send_now(p, parts, count);
		if (sent < 0) {
			peer_doom(p);
			return;
		}
		if ((size_t)sent == parts_len(parts, count))
			return;
	}
	enqueue(p, parts, count, (size_t)sent, is_ack);
	if (!p->blocked)
		peer_await_writable(p);
}

ssize_t peer_send(struct peer *p, const struct iovec *parts, int count)
{
	if (p->doomed || p->state == PEER_LINGER || p->out || p->blocked)
		return 0;
	ssize_t sent = send_now(p, parts, count);
	if (sent < 0)
		peer_doom(p);
	else if ((size_t)sent < parts_len(parts, count) && !p->blocked)
		peer_await_writable(p);
	return sent;
}

void peer_finish(struct peer *p)
{
	p->finish = true;
	if (!peer_unsent(p))
		drained(p);
}

/* --- in --- */

/* One step of the state; returns how much it took, 0 when it can't go on now. */
static size_t understand(struct peer *p, uint8_t *data, size_t len)
{
	switch ((enum peer_state)p->state) {
	case PEER_HEAD:
	case PEER_BODY:
		return request_input(p, data, len);
	case PEER_WS:
	case PEER_WS_DONE:
		return ws_input(p, data, len);
	case PEER_SOURCE_HEAD:
	case PEER_SOURCE:
		return source_input(p, data, len);
	case PEER_LINGER:
	case PEER_STREAM:
		return len;
	case PEER_ANSWER:
		break;
	}
	return 0;
}

static size_t work(struct peer *p, uint8_t *data, size_t len)
{
	size_t done = 0;
	while (done < len && !p->doomed && p->gates == 0) {
		size_t taken = understand(p, data + done, len - done);
		if (taken == 0)
			break;
		done += taken;
	}
	return done;
}

/* Works what was kept. */
static void work_kept(struct peer *p)
{
	struct buf in = p->in; /* a state that is left may release p->in */
	buf_init(&p->in);
	size_t done = work(p, (uint8_t *)in.data, in.len);
	if (done < in.len && !p->doomed && p->state != PEER_LINGER) {
		in.len -= done;
		memmove(in.data, in.data + done, in.len);
		p->in = in;
		p->in_scanned = done ? 0 : p->in_scanned;
	} else {
		buf_release(&in);
		p->in_scanned = 0;
	}
}

void peer_receive(struct peer *p, uint8_t *data, size_t len)
{
	p->in_rx = true;
	if (p->in.len > 0 || p->gates) {
		buf_add(&p->in, data, len);
		if (p->gates == 0)
			work_kept(p);
	} else {
		size_t done = work(p, data, len);
		if (done < len && !p->doomed && p->state != PEER_LINGER)
			buf_add(&p->in, data + done, len - done);
	}
	if (p->in.failed)
		peer_doom(p);
	p->in_rx = false;
}

/* Goes on with a sender that has more here already: large reads cost half of many small ones, and what comes in one go
 * leaves in one piece. No more is read than the engine can take, so that nothing of it has to be kept here. Ends and
 * errors are left to libwebsockets, which finds them next. */
static void receive_more(struct peer *p)
{
	struct net *n = p->net;
	if (!n->input && !(n->input = malloc(LIMIT_INPUT_AT_ONCE_BYTES)))
		return;
	for (size_t run = LIMIT_INPUT_BYTES; run < LIMIT_INPUT_RUN_BYTES;) {
		size_t room = p->request ? request_room(p) : conn_room(p);
		if (room > LIMIT_INPUT_AT_ONCE_BYTES)
			room = LIMIT_INPUT_AT_ONCE_BYTES;
		if (room < LIMIT_INPUT_BYTES)
			return;
		ssize_t len = recv(lws_get_socket_fd(p->wsi), n->input, room, MSG_DONTWAIT);
		if (len <= 0)
			return;
		secure_input(p, n->input, (size_t)len);
		run += (size_t)len;
		if ((size_t)len < room)
			return;
	}
}

void peer_gate(struct peer *p, enum peer_gate gate, bool closed)
{
	p->gates = (uint8_t)(closed ? p->gates | gate : p->gates & ~gate);
	if (p->gates && !p->held) {
		p->held = true;
		lws_rx_flow_control(p->wsi, 0);
	} else if (!p->gates && p->held && !p->doomed) {
		put_off(p); /* what was kept comes first */
	}
}

void peer_input_ended(struct peer *p)
{
	p->ended = true;
	if (p->gates || p->doomed || p->state == PEER_LINGER)
		return; /* what was read comes first, and an answer is owed */
	if (p->ws || (p->mount && !p->mount->conn.closing) || (p->request && p->request->resumable))
		peer_doom(p);
	else
		peer_finish(p);
}

static void go_on(struct peer *p)
{
	if (p->fresh && p->admitted) { /* what was kept is ciphertext */
		struct buf in = p->in;
		buf_init(&p->in);
		secure_input(p, (uint8_t *)in.data, in.len);
		buf_release(&in);
	} else if (p->gates == 0 && p->in.len > 0) {
		work_kept(p);
	}
	if (p->in.failed)
		peer_doom(p);
	if (p->ended)
		peer_input_ended(p);
	if (p->gates == 0 && p->held && !p->doomed) {
		p->held = false;
		lws_rx_flow_control(p->wsi, 1);
	}
}

/* What was put off to the end of the turn. */
static void peers_todo(uv_idle_t *idle)
{
	struct net *n = idle->data;
	struct list now;
	list_init(&now);
	list_move(&now, &n->todo);
	for (struct list *l; (l = list_pop(&now));) {
		struct peer *p = list_entry(l, struct peer, todo);
		if (!p->doomed)
			go_on(p);
		if (p->doomed) {
			list_remove(&p->todo);
			lws_set_timeout(p->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
		}
	}
	if (list_empty(&n->todo))
		uv_idle_stop(&n->todo_idle);
}

/* --- life --- */

void peer_adopt(struct listener *l, int fd, const struct sockaddr *address)
{
	struct net *n = l->net;
	struct peer *p = calloc(1, sizeof *p);
	lws_sock_file_fd_type socket = { .sockfd = fd };
	struct lws *wsi = NULL;
	if (p)
		wsi = lws_adopt_descriptor_vhost(n->vhost, LWS_ADOPT_SOCKET, socket, NULL, NULL);
	else
		close(fd);
	if (!wsi) { /* libwebsockets closed it */
		free(p);
		return;
	}
	p->net = n;
	p->wsi = wsi;
	p->nearby = address_is_loopback(address);
	p->local = l->loopback && p->nearby;
	source_of(address, &p->source);
	p->door = (uint8_t)l->door;
	p->fresh = l->door != DOOR_PLAIN;
	p->state = l->door == DOOR_SOURCE ? PEER_SOURCE_HEAD : PEER_HEAD;
	p->out_tail = &p->out;
	list_init(&p->timed);
	list_init(&p->todo);
	list_init(&p->waiting);
	strangers_add(p);
	list_push(&n->peers, &p->all);
	n->peer_count++;
	lws_set_opaque_user_data(wsi, p);
	peer_deadline(p, LIMIT_HTTP_HEADER_WAIT_S * 1000);
}

static void peer_gone(struct peer *p)
{
	struct net *n = p->net;
	p->doomed = true;
	if (p->request)
		request_orphan(p->request);
	conn_forget(p);
	secure_end(p);
	chunks_free(p);
	buf_release(&p->in);
	peer_known(p);
	list_remove(&p->all);
	list_remove(&p->timed);
	list_remove(&p->todo);
	list_remove(&p->waiting);
	n->peer_count--;
	free(p);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct peer *p;
	switch (reason) {
	case LWS_CALLBACK_RAW_RX:
		p = lws_get_opaque_user_data(wsi);
		if (p && !p->doomed) {
			secure_input(p, in, len);
			if (len >= LIMIT_INPUT_BYTES)
				receive_more(p);
		}
		return p && p->doomed ? -1 : 0;
	case LWS_CALLBACK_RAW_WRITEABLE:
		p = lws_get_opaque_user_data(wsi);
		if (!p || p->doomed)
			return p ? -1 : 0;
		p->blocked = false;
		flush(p);
		return p->doomed ? -1 : 0;
	case LWS_CALLBACK_RAW_CLOSE:
		p = lws_get_opaque_user_data(wsi);
		lws_set_opaque_user_data(wsi, NULL);
		if (p)
			peer_gone(p);
		return 0;
	default:
		return 0;
	}
}

const struct lws_protocols peer_protocols[] = {
	{ .name = "peer", .callback = callback },
	{ 0 },
};
