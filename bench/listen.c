/* Listeners of a live stream, thousands in one process, and the host that they listen to.
 *
 *   listen --host ws  --port P [--pid PID]   on air at Holdfast: `start` on /ws, listeners at /live/bench
 *   listen --host put --port P [--pid PID]   on air at Icecast: PUT /bench, listeners there
 *
 * The stream is MP3 of 128 kbit/s in form: frames of 384 bytes, 24 ms each. What a frame holds is its number and when
 * it was sent, so that each listener knows whether one is missing, and how long it was on its way. One thread, one
 * epoll. Prints one line of JSON; bench/listeners makes a table of it. Exit status 1 when a listener was lost. */
#include "stat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FRAME_BYTES = 384,
	FRAME_US = 24000,
	CHUNK_FRAMES = 4, /* sent at a time: about what encoders send */
	EVENTS = 512,
	OPENING = 1000, /* listeners that have no answer yet: Icecast answers when the host sends, all that wait */
	A_TURN = 2,	/* opened with one: Icecast's queue of new connections is short */
	SILENCE_US = 5000000,
	PATIENCE_US = 120000000, /* for all of them to come: Icecast takes its time */
	HEAD_BYTES = 2048,
	SECOND_US = 1000000,
};

static const char magic[8] = "HFLISTEN";
static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

struct frame { /* as it stands in the stream */
	uint8_t head[4];
	char magic[8];
	uint64_t number, sent_us;
	uint8_t filling[FRAME_BYTES - 28];
} __attribute__((packed));

struct listener {
	int fd; /* -1: gone */
	bool hears, synced, lost;
	size_t kept; /* of a head or a frame that is not whole */
	uint64_t number, bytes, heard_us, joined_us;
	char keep[HEAD_BYTES];
};

static struct {
	bool put;
	unsigned port, count, seconds, warmup;
	pid_t pid;
	int epoll, host;
	struct listener *listeners;
	unsigned opened, hearing, lost, gaps;
	uint64_t now_us, begun_us, number, bytes;
	bool measuring;
	struct histogram latency;
} l = { .count = 2000, .seconds = 20, .warmup = 5 };

static void fail(const char *what)
{
	fprintf(stderr, "listen: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int connect_to(unsigned port, int flags)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0 || (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS))
		fail("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
	for (const char *at = data; len > 0;) {
		ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
		if (sent <= 0)
			fail("send");
		at += sent;
		len -= (size_t)sent;
	}
}

/* --- the host --- */

static void ws_send(unsigned opcode, const void *payload, size_t len)
{
	static uint8_t frame[FRAME_BYTES * CHUNK_FRAMES + 1024];
	size_t n = 0;
	frame[n++] = (uint8_t)(0x80 | opcode);
	if (len < 126) {
		frame[n++] = (uint8_t)(0x80 | len);
	} else {
		frame[n++] = 0x80 | 126;
		frame[n++] = (uint8_t)(len >> 8);
		frame[n++] = (uint8_t)len;
	}
	memcpy(frame + n, mask, sizeof mask);
	n += sizeof mask;
	for (size_t i = 0; i < len; i++)
		frame[n++] = ((const uint8_t *)payload)[i] ^ mask[i % 4];
	send_all(l.host, frame, n);
}

/* Reads until `text` came. */
static void await(const char *text)
{
	char answer[4096];
	size_t len = 0;
	while (len < sizeof answer - 1) {
		ssize_t got = recv(l.host, answer + len, sizeof answer - 1 - len, 0);
		if (got <= 0)
			break;
		len += (size_t)got;
		if (memmem(answer, len, text, strlen(text)))
			return;
	}
	fprintf(stderr, "listen: no %s: %.*s\n", text, (int)len, answer);
	exit(2);
}

static void host_open(void)
{
	l.host = connect_to(l.port, 0);
	if (l.put) {
		static const char put[] = "PUT /bench HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n"
					  "Authorization: Basic c291cmNlOmJlbmNo\r\nContent-Type: audio/mpeg\r\n\r\n";
		send_all(l.host, put, sizeof put - 1);
		await(" 200 OK");
	} else {
		static const char upgrade[] = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
					      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
					      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
					      "Sec-WebSocket-Protocol: holdfast.v1\r\n\r\n";
		static const char start[] =
			"{\"type\":\"start\",\"show\":\"bench\",\"mime\":\"audio/mpeg\",\"ext\":\"mp3\"}";
		send_all(l.host, upgrade, sizeof upgrade - 1);
		await("\r\n\r\n");
		ws_send(1, start, sizeof start - 1);
		await("\"started\"");
	}
	fcntl(l.host, F_SETFL, O_NONBLOCK);
}

/* Sends what is due. */
static void host_go_on(void)
{
	struct frame chunk[CHUNK_FRAMES];
	while (l.now_us >= l.begun_us + (l.number + CHUNK_FRAMES) * FRAME_US) {
		for (unsigned i = 0; i < CHUNK_FRAMES; i++) {
			memset(&chunk[i], 0x55, sizeof chunk[i]);
			memcpy(chunk[i].head, "\xff\xfb\x94\xc4", 4); /* layer III, 128 kbit/s, 48 kHz, mono */
			memcpy(chunk[i].magic, magic, sizeof magic);
			chunk[i].number = l.number++;
			chunk[i].sent_us = clock_us();
		}
		if (l.put)
			send_all(l.host, chunk, sizeof chunk);
		else
			ws_send(2, chunk, sizeof chunk);
	}
}

/* Acks, and a ping: what it says is not answered, since media is a sign of life. */
static void host_read(void)
{
	char text[4096];
	ssize_t got = recv(l.host, text, sizeof text, 0);
	if (got == 0) {
		fprintf(stderr, "listen: the server ended the show\n");
		exit(2);
	}
}

/* --- listeners --- */

static void listener_lost(struct listener *who)
{
	if (who->lost)
		return;
	who->lost = true;
	l.lost++;
	if (!who->hears)
		l.hearing++; /* it is waited for no longer */
	close(who->fd);
	who->fd = -1;
}

static void listener_open(struct listener *who)
{
	who->fd = connect_to(l.port, SOCK_NONBLOCK);
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = who };
	epoll_ctl(l.epoll, EPOLL_CTL_ADD, who->fd, &event);
	who->heard_us = l.now_us;
	l.opened++;
}

/* It is connected. */
static void listener_ask(struct listener *who)
{
	char text[200];
	int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n\r\n",
			   l.put ? "/bench" : "/live/bench");
	send_all(who->fd, text, (size_t)len);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = who };
	epoll_ctl(l.epoll, EPOLL_CTL_MOD, who->fd, &event);
}

static void frame_heard(struct listener *who, const char *data)
{
	struct frame frame;
	memcpy(&frame, data, sizeof frame);
	if (memcmp(frame.magic, magic, sizeof magic) != 0 || (who->number && frame.number != who->number + 1)) {
		l.gaps++;
		who->synced = false;
		who->number = 0;
		return;
	}
	who->number = frame.number;
	if (l.measuring && frame.sent_us > who->joined_us)
		histogram_add(&l.latency, l.now_us > frame.sent_us ? l.now_us - frame.sent_us : 0);
}

/* All that came of the body, behind what was kept of it. */
static void body_heard(struct listener *who, const char *data, size_t len)
{
	while (len > 0) {
		if (!who->synced) {
			const char *at = memmem(data, len, magic, sizeof magic);
			if (!at || at - data < 4)
				return; /* the next frame will do */
			len -= (size_t)(at - 4 - data);
			data = at - 4;
			who->synced = true;
			who->kept = 0;
		}
		if (who->kept == 0 && len >= FRAME_BYTES) {
			frame_heard(who, data);
			data += FRAME_BYTES;
			len -= FRAME_BYTES;
			continue;
		}
		size_t n = FRAME_BYTES - who->kept < len ? FRAME_BYTES - who->kept : len;
		memcpy(who->keep + who->kept, data, n);
		who->kept += n;
		data += n;
		len -= n;
		if (who->kept == FRAME_BYTES) {
			who->kept = 0;
			frame_heard(who, who->keep);
		}
	}
}

static void head_heard(struct listener *who, const char *data, size_t len)
{
	size_t n = len < HEAD_BYTES - who->kept ? len : HEAD_BYTES - who->kept, before = who->kept;
	memcpy(who->keep + before, data, n);
	who->kept += n;
	const char *end = memmem(who->keep, who->kept, "\r\n\r\n", 4);
	if (!end && who->kept < HEAD_BYTES)
		return;
	if (!end || !memmem(who->keep, who->kept, " 200 ", 5)) {
		fprintf(stderr, "listen: a listener is refused: %.60s\n", who->keep);
		listener_lost(who);
		return;
	}
	size_t head = (size_t)(end + 4 - who->keep) - before;
	who->kept = 0;
	who->hears = true;
	who->joined_us = l.now_us;
	l.hearing++;
	body_heard(who, data + head, len - head);
}

static void listener_read(struct listener *who)
{
	static char data[256 * 1024];
	ssize_t got = recv(who->fd, data, sizeof data, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		listener_lost(who);
		return;
	}
	who->heard_us = l.now_us;
	if (l.measuring)
		l.bytes += (size_t)got;
	if (who->hears)
		body_heard(who, data, (size_t)got);
	else
		head_heard(who, data, (size_t)got);
}

/* --- the run --- */

static void turn(void)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(l.epoll, events, EVENTS, 5);
	for (int i = 0; i < count; i++) {
		struct listener *who = events[i].data.ptr;
		l.now_us = clock_us();
		if (!who)
			host_read();
		else if (who->fd >= 0 && events[i].events & EPOLLOUT)
			listener_ask(who);
		else if (who->fd >= 0)
			listener_read(who);
	}
	l.now_us = clock_us();
	host_go_on();
}

static void turn_until(uint64_t end_us)
{
	while (l.now_us < end_us)
		turn();
}

static void everybody_joins(void)
{
	uint64_t end_us = l.now_us + PATIENCE_US;
	while (l.hearing < l.count && l.now_us < end_us) {
		for (unsigned i = 0; i < A_TURN && l.opened < l.count && l.opened - l.hearing < OPENING; i++)
			listener_open(&l.listeners[l.opened]);
		turn();
	}
}

static void measure(void)
{
	struct process_use before, after;
	process_use_read(l.pid, &before);
	double own = own_cpu_s();
	uint64_t begin_us = l.now_us;
	l.measuring = true;
	turn_until(begin_us + (uint64_t)l.seconds * SECOND_US);
	process_use_read(l.pid, &after);
	double seconds = (double)(l.now_us - begin_us) / SECOND_US, cpu = after.cpu_s - before.cpu_s;
	l.lost += l.count - l.opened; /* there was no time for them */
	for (unsigned i = 0; i < l.count; i++)
		if (l.listeners[i].fd >= 0 && l.now_us - l.listeners[i].heard_us > SILENCE_US)
			listener_lost(&l.listeners[i]);
	double gb = (double)l.bytes / 1e9;
	printf("{\"listeners\":%u,\"lost\":%u,\"gaps\":%u,\"seconds\":%.1f,\"mbPerS\":%.2f,\"cpuS\":%.2f,\"cpuPerGb\":%"
	       ".3f,"
	       "\"rssMb\":%.1f,\"clientCpuPerGb\":%.3f,\"p50Ms\":%.1f,\"p99Ms\":%.1f,\"maxMs\":%.1f}\n",
	       l.count, l.lost, l.gaps, seconds, gb * 1e3 / seconds, cpu, gb > 0 ? cpu / gb : 0,
	       (double)after.rss_kib / 1024, gb > 0 ? (own_cpu_s() - own) / gb : 0,
	       (double)histogram_quantile(&l.latency, 0.5) / 1e3, (double)histogram_quantile(&l.latency, 0.99) / 1e3,
	       (double)l.latency.max_us / 1e3);
}

static void options_read(int argc, char **argv)
{
	static const struct option names[] = {
		{ "host", required_argument, NULL, 'h' },
		{ "port", required_argument, NULL, 'p' },
		{ "pid", required_argument, NULL, 'i' },
		{ "listeners", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 's' },
		{ "warmup", required_argument, NULL, 'w' },
		{ 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		unsigned value = (unsigned)strtoul(optarg ? optarg : "", NULL, 10);
		switch (c) {
		case 'h':
			l.put = strcmp(optarg, "put") == 0;
			break;
		case 'p':
			l.port = value;
			break;
		case 'i':
			l.pid = (pid_t)value;
			break;
		case 'n':
			l.count = value;
			break;
		case 's':
			l.seconds = value;
			break;
		case 'w':
			l.warmup = value;
			break;
		default:
			exit(2);
		}
	}
	if (l.port == 0 || l.count == 0) {
		fprintf(stderr, "usage: listen --host ws|put --port P [--pid PID] [--listeners N] [--seconds T] "
				"[--warmup T]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	_Static_assert(sizeof(struct frame) == FRAME_BYTES, "a frame is one");
	options_read(argc, argv);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	l.listeners = calloc(l.count, sizeof *l.listeners);
	l.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!l.listeners || l.epoll < 0)
		fail("set-up");
	for (unsigned i = 0; i < l.count; i++)
		l.listeners[i].fd = -1;
	host_open();
	epoll_ctl(l.epoll, EPOLL_CTL_ADD, l.host, &(struct epoll_event){ .events = EPOLLIN });
	l.begun_us = l.now_us = clock_us();
	turn_until(l.begun_us + 5ULL * SECOND_US); /* a whole burst is there for the first */
	everybody_joins();
	turn_until(l.now_us + (uint64_t)l.warmup * SECOND_US);
	measure();
	return l.lost > 0 || l.gaps > 0;
}
