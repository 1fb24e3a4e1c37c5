/* The client's side of one WebSocket connection. See conn.h. */
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Not zero: a server may pass over unmasking with a key of zeros, and browsers never send one. */
static const uint8_t mask_key[4] = { 0x37, 0xfa, 0x21, 0x3d };

enum {
	BLOCK_BYTES = 256 * 1024, /* stays in the cache of the core that writes it */
	PORTS_PER_ADDRESS = 20000,
	OPCODE_TEXT = 1,
	OPCODE_BINARY = 2,
	OPCODE_CLOSE = 8,
	OPCODE_PING = 9,
	OPCODE_PONG = 10,
};

static size_t frame_format(uint8_t *out, unsigned opcode, const void *payload, size_t len)
{
	size_t n = 0;
	out[n++] = (uint8_t)(0x80 | opcode);
	if (len < 126) {
		out[n++] = (uint8_t)(0x80 | len);
	} else if (len < 65536) {
		out[n++] = 0x80 | 126;
		out[n++] = (uint8_t)(len >> 8);
		out[n++] = (uint8_t)len;
	} else {
		out[n++] = 0x80 | 127;
		for (int shift = 56; shift >= 0; shift -= 8)
			out[n++] = (uint8_t)((uint64_t)len >> shift);
	}
	memcpy(out + n, mask_key, sizeof mask_key);
	n += sizeof mask_key;
	for (size_t i = 0; i < len; i++)
		out[n++] = ((const uint8_t *)payload)[i] ^ mask_key[i % 4];
	return n;
}

bool traffic_init(struct traffic *t, uint16_t port, size_t message_bytes)
{
	memset(t, 0, sizeof *t);
	t->port = port;
	t->message_bytes = message_bytes;
	size_t frames = message_bytes < BLOCK_BYTES ? BLOCK_BYTES / message_bytes : 1;
	uint8_t *payload = malloc(message_bytes);
	t->block = malloc(frames * (message_bytes + 14));
	if (!payload || !t->block) {
		free(payload);
		return false;
	}
	uint32_t noise = 2463534242; /* xorshift: nothing on the way may win by compressing */
	for (size_t i = 0; i < message_bytes; i++) {
		noise ^= noise << 13;
		noise ^= noise >> 17;
		noise ^= noise << 5;
		payload[i] = (uint8_t)noise;
	}
	t->frame_bytes = frame_format(t->block, OPCODE_BINARY, payload, message_bytes);
	for (size_t i = 1; i < frames; i++)
		memcpy(t->block + i * t->frame_bytes, t->block, t->frame_bytes);
	t->block_bytes = frames * t->frame_bytes;
	free(payload);
	return true;
}

void traffic_release(struct traffic *t)
{
	free(t->block);
	t->block = NULL;
}

__attribute__((format(printf, 2, 3))) static void fail(struct conn *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(c->failure, sizeof c->failure, format, args);
	va_end(args);
	conn_close(c);
	c->state = CONN_FAILED;
}

void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Text from the caller into the small buffer that goes out before, or between, media frames. */
static void control_add(struct conn *c, unsigned opcode, const char *payload, size_t len)
{
	uint8_t frame[CONN_OUT_BYTES];
	if (c->out_len + len + 14 > CONN_OUT_BYTES) {
		fail(c, "the server does not read what it is sent");
		return;
	}
	size_t n = frame_format(frame, opcode, payload, len);
	memcpy(c->out + c->out_len, frame, n);
	c->out_len += (uint32_t)n;
}

static int socket_open(const struct traffic *t, unsigned number)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (t->send_buffer)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &t->send_buffer, sizeof t->send_buffer);
	struct sockaddr_in address = { .sin_family = AF_INET };
	if (number >= PORTS_PER_ADDRESS) {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / PORTS_PER_ADDRESS);
		if (bind(fd, (struct sockaddr *)&address, sizeof address))
			goto bad;
	}
	address.sin_port = htons(t->port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!connect(fd, (struct sockaddr *)&address, sizeof address) || errno == EINPROGRESS)
		return fd;
bad:
	close(fd);
	return -1;
}

void conn_open(struct conn *c, const struct traffic *t, unsigned number, unsigned marks)
{
	memset(c, 0, sizeof *c);
	c->number = number;
	c->mark_size = marks;
	c->marks = calloc(marks, sizeof *c->marks);
	c->fd = socket_open(t, number);
	if (c->fd < 0 || !c->marks) {
		fail(c, "cannot connect: %s", strerror(errno));
		return;
	}
	c->state = CONN_CONNECTING;
	c->out_len = (uint32_t)snprintf(c->out, sizeof c->out,
					"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
					"Connection: Upgrade\r\nSec-WebSocket-Key: SG9sZGZhc3RCZW5jaExvYQ==\r\n"
					"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: holdfast.v1\r\n\r\n",
					t->port);
}

uint64_t conn_sent(const struct conn *c, const struct traffic *t)
{
	return c->wire / t->frame_bytes * t->message_bytes;
}

/* Payload bytes written, those of an unfinished frame too: a server may ack inside a message. */
static uint64_t payload_written(const struct conn *c, const struct traffic *t)
{
	size_t rest = c->wire % t->frame_bytes, header = t->frame_bytes - t->message_bytes;
	return conn_sent(c, t) + (rest > header ? rest - header : 0);
}

/* True when something was written. */
static bool write_some(struct conn *c, const void *data, size_t len, size_t *written)
{
	ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail(c, "send: %s", strerror(errno));
	*written = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void end_add(struct conn *c, const struct traffic *t)
{
	char text[96];
	c->end_due = false;
	int n = snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%llu}",
			 (unsigned long long)conn_sent(c, t));
	control_add(c, OPCODE_TEXT, text, (size_t)n);
}

void conn_write(struct conn *c, const struct traffic *t)
{
	if (c->state == CONN_CONNECTING)
		c->state = CONN_UPGRADING;
	while (c->fd >= 0) {
		size_t n, inside = c->wire % t->frame_bytes;
		if (c->end_due && c->wire == c->wire_limit)
			end_add(c, t);
		if (c->out_len && !inside) {
			if (!write_some(c, c->out, c->out_len, &n))
				return;
			c->out_len -= (uint32_t)n;
			memmove(c->out, c->out + n, c->out_len);
			continue;
		}
		/* What is in `out` waits for the end of the frame, no longer. */
		uint64_t limit = c->out_len ? c->wire + t->frame_bytes - inside : c->wire_limit;
		if (c->wire >= limit)
			return;
		size_t len = t->block_bytes - inside;
		if (len > limit - c->wire)
			len = limit - c->wire;
		if (!write_some(c, t->block + inside, len, &n))
			return;
		c->wire += n;
		if (n < len)
			return; /* full: the next edge comes when there is room */
	}
}

void conn_mark(struct conn *c, uint64_t position, uint64_t now_us)
{
	if (c->mark_count) {
		struct mark *last = &c->marks[(c->mark_first + c->mark_count - 1) % c->mark_size];
		if (last->position >= position)
			return;
		if (c->mark_count == c->mark_size) { /* the older time: never flatters */
			last->position = position;
			return;
		}
	}
	c->marks[(c->mark_first + c->mark_count++) % c->mark_size] = (struct mark){ position, now_us };
}

bool conn_unmark(struct conn *c, struct mark *out)
{
	if (!c->mark_count || c->marks[c->mark_first].position > c->acked)
		return false;
	*out = c->marks[c->mark_first];
	c->mark_first = (c->mark_first + 1) % c->mark_size;
	c->mark_count--;
	return true;
}

void conn_end(struct conn *c, const struct traffic *t)
{
	c->state = CONN_ENDING;
	c->end_due = true;
	conn_write(c, t);
}

/* The number behind a key of a small JSON object that the server wrote. */
static bool field_number(const char *text, const char *key, uint64_t *out)
{
	char quoted[32];
	snprintf(quoted, sizeof quoted, "\"%s\"", key);
	const char *at = strstr(text, quoted);
	if (!at)
		return false;
	at += strlen(quoted);
	at += strspn(at, " :");
	char *end;
	*out = strtoull(at, &end, 10);
	return end != at;
}

static bool text_is(const char *text, const char *type)
{
	char plain[48];
	snprintf(plain, sizeof plain, "\"type\":\"%s\"", type);
	if (strstr(text, plain))
		return true;
	snprintf(plain, sizeof plain, "\"type\": \"%s\"", type);
	return strstr(text, plain) != NULL;
}

static void text_take(struct conn *c, const struct traffic *t, const char *text)
{
	uint64_t bytes = 0;
	bool numbered = field_number(text, "bytes", &bytes);
	if (text_is(text, "ack") && numbered) {
		if (bytes < c->acked || bytes > payload_written(c, t))
			fail(c, "ack of %llu after %llu, %llu sent", (unsigned long long)bytes,
			     (unsigned long long)c->acked, (unsigned long long)payload_written(c, t));
		else
			c->acked = bytes;
	} else if (text_is(text, "started") && numbered && c->state == CONN_STARTING) {
		c->state = CONN_OPEN;
		if (bytes)
			fail(c, "a new take starts at %llu", (unsigned long long)bytes);
	} else if (text_is(text, "saved") && numbered && c->state == CONN_ENDING) {
		c->state = CONN_SAVED;
		if (bytes != conn_sent(c, t))
			fail(c, "saved %llu of %llu", (unsigned long long)bytes, (unsigned long long)conn_sent(c, t));
	} else {
		fail(c, "the server says %.120s", text);
	}
}

static void start_add(struct conn *c)
{
	struct timespec now;
	char text[160];
	clock_gettime(CLOCK_REALTIME, &now);
	int n = snprintf(text, sizeof text,
			 "{\"type\":\"start\",\"sessionId\":\"bench-%lx%09lx-%d-%u\",\"mime\":\"video/webm\","
			 "\"ext\":\"webm\"}",
			 (unsigned long)now.tv_sec, (unsigned long)now.tv_nsec, (int)getpid(), c->number);
	c->state = CONN_STARTING;
	control_add(c, OPCODE_TEXT, text, (size_t)n);
}

/* One frame from `in`; returns its length, or 0 while it isn't complete. */
static size_t frame_take(struct conn *c, const struct traffic *t, uint8_t *in, size_t len)
{
	size_t header = 2, payload = len >= 2 ? in[1] & 0x7f : 0;
	if (payload == 126) {
		header = 4;
		payload = len >= 4 ? (size_t)in[2] << 8 | in[3] : 0;
	}
	if (len < header || len < header + payload)
		return 0;
	char text[CONN_IN_BYTES + 1];
	memcpy(text, in + header, payload);
	text[payload] = 0;
	switch (in[0] & 0x0f) {
	case OPCODE_TEXT:
		text_take(c, t, text);
		break;
	case OPCODE_PING:
		control_add(c, OPCODE_PONG, text, payload);
		break;
	case OPCODE_PONG:
		break;
	case OPCODE_CLOSE:
		fail(c, "the server closes: %d %.100s", payload >= 2 ? (uint8_t)text[0] << 8 | (uint8_t)text[1] : 0,
		     payload > 2 ? text + 2 : "");
		break;
	default:
		fail(c, "a frame of opcode %d", in[0] & 0x0f);
	}
	return header + payload;
}

/* The answer to the upgrade; returns its length, or 0 while it isn't complete. */
static size_t upgrade_take(struct conn *c, char *in, size_t len)
{
	char *end = memmem(in, len, "\r\n\r\n", 4);
	if (!end)
		return 0;
	if (len < 12 || memcmp(in, "HTTP/1.1 101", 12) != 0)
		fail(c, "the server answers %.*s", (int)strcspn(in, "\r\n"), in);
	else
		start_add(c);
	return (size_t)(end + 4 - in);
}

void conn_read(struct conn *c, const struct traffic *t, void (*acked)(void *arg, struct conn *c), void *arg)
{
	while (c->fd >= 0) {
		ssize_t n = recv(c->fd, c->in + c->in_len, CONN_IN_BYTES - c->in_len, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			fail(c, "%s", n ? strerror(errno) : "the server hung up");
			return;
		}
		bool full = c->in_len + (size_t)n == CONN_IN_BYTES;
		c->in_len += (uint32_t)n;
		size_t used = 0, step;
		uint64_t before = c->acked;
		do {
			step = c->state == CONN_UPGRADING ? upgrade_take(c, c->in + used, c->in_len - used)
							  : frame_take(c, t, (uint8_t *)c->in + used, c->in_len - used);
			used += step;
		} while (step && c->fd >= 0);
		c->in_len -= (uint32_t)used;
		memmove(c->in, c->in + used, c->in_len);
		if (c->acked != before)
			acked(arg, c);
		if (!full)
			return; /* the socket is empty; the next edge tells */
		if (!used) {
			fail(c, "an answer of more than %d bytes", CONN_IN_BYTES);
			return;
		}
	}
}
