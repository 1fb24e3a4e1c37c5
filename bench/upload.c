/* Uploads of large files, each over connections of its own from a thread of its own, with as little work for the
 * machine as there can be: one buffer that is sent again and again. The same for every server: tus 1.0.0 (creation, one
 * PATCH), or a plain PUT.
 *
 *   upload tus|put PORT FILES[xTIMES] BYTES PID...    prints one line of JSON; the PIDs are the server's processes
 *
 * FILES at a time, TIMES one after another in each thread.
 *
 * CPU is read once more after the last answer, when what the server still had to do behind it is over. */
#include "stat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE_BYTES = 256 * 1024, HEAD_BYTES = 8192, FILES_MAX = 64, PIDS_MAX = 32, SETTLE_MS = 2000 };

struct upload {
	pthread_t thread;
	unsigned number, times, port;
	bool tus;
	uint64_t bytes;
	bool done;
	char why[256]; /* not done: because of this */
};

static uint8_t piece[PIECE_BYTES];

static bool failed(struct upload *u, const char *what, const char *more)
{
	snprintf(u->why, sizeof u->why, "%s: %.180s", what, more);
	return false;
}

static bool send_all(int fd, const void *data, size_t len)
{
	const char *at = data;
	while (len > 0) {
		ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		at += sent;
		len -= (size_t)sent;
	}
	return true;
}

/* The head of the answer; what is behind it goes with the connection. */
static bool answer_read(int fd, char head[HEAD_BYTES])
{
	size_t len = 0;
	while (len < HEAD_BYTES - 1) {
		ssize_t got = recv(fd, head + len, HEAD_BYTES - 1 - len, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		len += (size_t)got;
		head[len] = '\0';
		if (strstr(head, "\r\n\r\n"))
			return true;
	}
	return false;
}

/* The value of a header, to the end of its line; NULL when there is none. */
static const char *header_of(const char *head, const char *name)
{
	size_t len = strlen(name);
	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
			return line + 3 + len + strspn(line + 3 + len, " ");
	return NULL;
}

/* One request on a connection of its own; its status, or 0. */
static unsigned ask(struct upload *u, const char *request, uint64_t body, char head[HEAD_BYTES])
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)u->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned status = 0;
	bool sent = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
		    send_all(fd, request, strlen(request));
	while (sent && body > 0) {
		size_t len = body < sizeof piece ? (size_t)body : sizeof piece;
		sent = send_all(fd, piece, len);
		body -= len;
	}
	/* who refuses a body may say why before it has come */
	if (fd >= 0 && answer_read(fd, head) && sscanf(head, "HTTP/1.1 %u", &status) != 1)
		status = 0;
	if (fd >= 0)
		close(fd);
	return status;
}

static bool put(struct upload *u)
{
	char request[512], head[HEAD_BYTES] = "";
	snprintf(request, sizeof request,
		 "PUT /%u.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %" PRIu64 "\r\n\r\n",
		 u->number, u->bytes);
	unsigned status = ask(u, request, u->bytes, head);
	return status == 201 || status == 204 || failed(u, "PUT", head);
}

/* The path of the upload that was made. */
static bool create(struct upload *u, char path[512])
{
	char request[512], head[HEAD_BYTES] = "";
	snprintf(request, sizeof request,
		 "POST /files/ HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\n"
		 "Upload-Length: %" PRIu64 "\r\nContent-Length: 0\r\n\r\n",
		 u->port, u->bytes);
	unsigned status = ask(u, request, 0, head);
	const char *location = header_of(head, "location");
	if (status != 201 || !location)
		return failed(u, "POST", head);
	const char *scheme = strstr(location, "://");
	if (scheme && scheme < strchr(location, '\r'))
		location = strchr(scheme + 3, '/');
	size_t len = location ? strcspn(location, "\r") : 0;
	if (len == 0 || len >= 300)
		return failed(u, "Location", head);
	memcpy(path, location, len);
	path[len] = '\0';
	return true;
}

static bool tus(struct upload *u)
{
	char path[512], request[1024], head[HEAD_BYTES] = "";
	if (!create(u, path))
		return false;
	snprintf(request, sizeof request,
		 "PATCH %s HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\n"
		 "Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: %" PRIu64
		 "\r\n\r\n",
		 path, u->port, u->bytes);
	unsigned status = ask(u, request, u->bytes, head);
	const char *offset = header_of(head, "upload-offset");
	return (status == 204 && offset && strtoull(offset, NULL, 10) == u->bytes) || failed(u, "PATCH", head);
}

static void *work(void *arg)
{
	struct upload *u = arg;
	u->done = true;
	for (unsigned i = 0; i < u->times && u->done; i++, u->number += FILES_MAX)
		u->done = u->tus ? tus(u) : put(u);
	return NULL;
}

static double cpu_of(const pid_t *pids, unsigned count)
{
	double sum = 0;
	struct process_use use;
	for (unsigned i = 0; i < count; i++) {
		process_use_read(pids[i], &use);
		sum += use.cpu_s;
	}
	return sum;
}

static void fill(void)
{
	uint64_t x = 88172645463325252ULL; /* no zeros, no pattern: a file system could save its work */
	for (size_t i = 0; i + sizeof x <= sizeof piece; i += sizeof x) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(piece + i, &x, sizeof x);
	}
}

int main(int argc, char **argv)
{
	static struct upload uploads[FILES_MAX];
	pid_t pids[PIDS_MAX];
	char *times = NULL;
	unsigned files = argc > 4 ? (unsigned)strtoul(argv[3], &times, 10) : 0, pid_count = 0;
	unsigned each = times && *times == 'x' ? (unsigned)strtoul(times + 1, NULL, 10) : 1;
	if (argc < 6 || files == 0 || files > FILES_MAX || each == 0 || argc - 5 > PIDS_MAX) {
		fputs("usage: upload tus|put PORT FILES[xTIMES] BYTES PID...\n", stderr);
		return 2;
	}
	for (int i = 5; i < argc; i++)
		pids[pid_count++] = (pid_t)strtol(argv[i], NULL, 10);
	fill();
	double cpu_s = cpu_of(pids, pid_count), own_s = own_cpu_s(), machine_s = machine_cpu_s();
	uint64_t begin_us = clock_us();
	for (unsigned i = 0; i < files; i++) {
		uploads[i] = (struct upload){ .number = i,
					      .times = each,
					      .port = (unsigned)strtoul(argv[2], NULL, 10),
					      .tus = strcmp(argv[1], "tus") == 0,
					      .bytes = strtoull(argv[4], NULL, 10) };
		if (pthread_create(&uploads[i].thread, NULL, work, &uploads[i]) != 0)
			return 1;
	}
	bool all = true;
	for (unsigned i = 0; i < files; i++) {
		pthread_join(uploads[i].thread, NULL);
		if (!uploads[i].done)
			fprintf(stderr, "upload %u: %s\n", i, uploads[i].why);
		all &= uploads[i].done;
	}
	double seconds = (double)(clock_us() - begin_us) / 1e6,
	       gb = (double)files * each * (double)uploads[0].bytes / 1e9;
	own_s = own_cpu_s() - own_s;
	double until_s = cpu_of(pids, pid_count) - cpu_s;
	usleep(SETTLE_MS * 1000);
	if (!all)
		return 1;
	printf("{\"filesPerS\":%.1f,\"mbPerS\":%.1f,\"seconds\":%.3f,\"cpuPerGb\":%.3f,\"cpuPerGbUntilAnswered\":%.3f,"
	       "\"clientCpuPerGb\":%"
	       ".3f,"
	       "\"machineCpuPerGb\":%.3f}\n",
	       files * each / seconds, gb * 1e3 / seconds, seconds, (cpu_of(pids, pid_count) - cpu_s) / gb,
	       until_s / gb, own_s / gb, (machine_cpu_s() - machine_s) / gb);
	return 0;
}
