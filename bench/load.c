/* The load client: what Holdfast, or anything that speaks its protocol, takes in, and what that costs.
 *
 *   load flat  --port P [--pid PID]   as fast as acks come back, a window of unacked bytes for each connection
 *   load paced --port P [--pid PID]   one message a second on each of many connections, spread evenly
 *
 * One thread, one epoll, prepared frames. Prints one line of JSON; bench/run makes a table of it. Exit status 1 when
 * any connection failed or was told what can't be true. */
#include "conn.h"
#include "stat.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum {
	EVENTS = 512,
	SHAKING = 128, /* connections that are being opened at a time: below any listen backlog */
	CONNECT_WAIT_S = 120,
	DRAIN_WAIT_S = 60,
	END_WAIT_S = 180,
	MARKS_PACED = 64, /* a server silent for a minute is not measured any finer */
	MARKS_FLAT = 1024,
	SECOND_US = 1000000,
};

struct options {
	bool paced, end, trace;
	unsigned port, conns, seconds, warmup;
	size_t message_bytes;
	uint64_t window_bytes;
	int send_buffer;
	pid_t pid;
};

struct sample {
	uint64_t at_us, acked;
	double own_cpu_s, machine_cpu_s;
	struct process_use server;
};

struct load {
	struct options options;
	struct traffic traffic;
	struct conn *conns;
	int epoll;
	unsigned open, saved, failed; /* how many came that far */
	uint64_t now_us, acked;
	uint64_t lag_us; /* paced: the latest that a message was sent after its time */
	bool measuring;
	struct histogram latency, second;
};

static void acked(void *arg, struct conn *c)
{
	struct load *l = arg;
	struct mark mark;
	while (conn_unmark(c, &mark)) {
		if (!l->measuring)
			continue;
		histogram_add(&l->latency, l->now_us - mark.sent_us);
		histogram_add(&l->second, l->now_us - mark.sent_us);
	}
}

/* Lets a connection write what its window allows. */
static void window_fill(struct load *l, struct conn *c)
{
	const struct traffic *t = &l->traffic;
	uint64_t frames = (c->acked + l->options.window_bytes) / t->message_bytes;
	if (frames * t->frame_bytes <= c->wire_limit)
		return;
	c->wire_limit = frames * t->frame_bytes;
}

static void write_marked(struct load *l, struct conn *c)
{
	conn_write(c, &l->traffic);
	if (!l->options.paced)
		conn_mark(c, conn_sent(c, &l->traffic), l->now_us);
}

static void conn_event(struct load *l, struct conn *c, bool flowing)
{
	enum conn_state before = c->state;
	uint64_t acked_before = c->acked;
	if (before >= CONN_SAVED)
		return;
	if (before >= CONN_UPGRADING)
		conn_read(c, &l->traffic, acked, l);
	l->acked += c->acked - acked_before;
	if (flowing && c->state == CONN_OPEN && !l->options.paced)
		window_fill(l, c);
	if (c->fd >= 0)
		write_marked(l, c);
	if (before < CONN_OPEN && c->state == CONN_OPEN)
		l->open++;
	if (before != CONN_SAVED && c->state == CONN_SAVED)
		l->saved++;
	if (c->state == CONN_FAILED) {
		if (l->failed++ < 5)
			fprintf(stderr, "connection %u: %s\n", c->number, c->failure);
	}
}

/* One turn of the loop. */
static void turn(struct load *l, int timeout_ms, bool flowing)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(l->epoll, events, EVENTS, timeout_ms);
	l->now_us = clock_us();
	for (int i = 0; i < n; i++) {
		conn_event(l, events[i].data.ptr, flowing);
		if (!l->options.paced)
			l->now_us = clock_us(); /* a window's worth of writing takes its time */
	}
}

static bool connect_all(struct load *l)
{
	unsigned n = l->options.conns, opened = 0;
	uint64_t until_us = clock_us() + (uint64_t)CONNECT_WAIT_S * SECOND_US;
	while (l->open + l->failed < n && clock_us() < until_us && l->failed < 5) {
		while (opened < n && opened - l->open - l->failed < SHAKING) {
			struct conn *c = &l->conns[opened];
			conn_open(c, &l->traffic, opened++, l->options.paced ? MARKS_PACED : MARKS_FLAT);
			struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
						     .data.ptr = c };
			if (c->fd < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event)) {
				fprintf(stderr, "connection %u: %s\n", c->number, c->failure);
				l->failed++;
			}
		}
		turn(l, 10, false);
	}
	return l->open == n;
}

static void sample_take(struct load *l, struct sample *s)
{
	s->at_us = clock_us();
	s->acked = l->acked;
	s->own_cpu_s = own_cpu_s();
	s->machine_cpu_s = machine_cpu_s();
	process_use_read(l->options.pid, &s->server);
}

static void second_trace(struct load *l, unsigned second, uint64_t acked_bytes)
{
	struct process_use use;
	process_use_read(l->options.pid, &use);
	fprintf(stderr, "%3u s: %7.1f MB/s, ack p50 %.1f p99 %.1f max %.1f ms, server %.2f CPU-s, RSS %.0f MB\n",
		second, (double)acked_bytes / 1e6, (double)histogram_quantile(&l->second, 0.5) / 1e3,
		(double)histogram_quantile(&l->second, 0.99) / 1e3, (double)l->second.max_us / 1e3, use.cpu_s,
		(double)use.rss_kib / 1e3);
	memset(&l->second, 0, sizeof l->second);
}

static void flat_begin(struct load *l)
{
	l->now_us = clock_us();
	for (unsigned i = 0; i < l->options.conns; i++) {
		if (l->conns[i].state != CONN_OPEN)
			continue;
		window_fill(l, &l->conns[i]);
		write_marked(l, &l->conns[i]);
	}
}

/* Message number k of all goes out at k / conns seconds, on connection k modulo conns. */
static void paced_send(struct load *l, uint64_t begin_us, uint64_t *next)
{
	uint64_t due_us, n = l->options.conns;
	l->now_us = clock_us();
	while ((due_us = begin_us + *next * SECOND_US / n) <= l->now_us) {
		struct conn *c = &l->conns[*next % n];
		if (l->now_us - due_us > l->lag_us)
			l->lag_us = l->now_us - due_us;
		++*next;
		if (c->state != CONN_OPEN)
			continue;
		c->wire_limit += l->traffic.frame_bytes;
		conn_mark(c, c->wire_limit / l->traffic.frame_bytes * l->traffic.message_bytes, l->now_us);
		conn_write(c, &l->traffic);
		l->now_us = clock_us();
	}
}

static void run(struct load *l, struct sample *from, struct sample *to)
{
	const struct options *o = &l->options;
	uint64_t begin_us = clock_us(), next = 0, second_acked = 0;
	uint64_t measured_us = begin_us + (uint64_t)o->warmup * SECOND_US;
	uint64_t end_us = measured_us + (uint64_t)o->seconds * SECOND_US;
	unsigned second = 0;
	if (!o->paced)
		flat_begin(l);
	while (l->now_us < end_us && l->failed < l->options.conns) {
		if (!l->measuring && l->now_us >= measured_us) {
			sample_take(l, from);
			l->measuring = true;
		}
		if (o->paced)
			paced_send(l, begin_us, &next);
		turn(l, o->paced ? 1 : 10, true);
		if (o->trace && l->now_us >= begin_us + (second + 1ULL) * SECOND_US) {
			second_trace(l, ++second, l->acked - second_acked);
			second_acked = l->acked;
		}
	}
	sample_take(l, to);
}

static bool all_acked(const struct load *l)
{
	for (unsigned i = 0; i < l->options.conns; i++) {
		const struct conn *c = &l->conns[i];
		if (c->state == CONN_OPEN && (c->wire != c->wire_limit || c->acked != conn_sent(c, &l->traffic)))
			return false;
	}
	return true;
}

/* What was never acked waited at least until now: a server that fell silent must not look quick. */
static void count_unacked(struct load *l)
{
	uint64_t now_us = clock_us();
	for (unsigned i = 0; i < l->options.conns; i++) {
		struct conn *c = &l->conns[i];
		uint64_t acked_bytes = c->acked;
		c->acked = UINT64_MAX; /* takes all marks out */
		for (struct mark mark; conn_unmark(c, &mark);)
			histogram_add(&l->latency, now_us - mark.sent_us);
		c->acked = acked_bytes;
	}
}

/* No message is begun any more, every one begun is finished, and all is acked. Acks that come now still count: their
 * messages were sent while it was measured. */
static bool drain(struct load *l)
{
	uint64_t until_us = clock_us() + (uint64_t)DRAIN_WAIT_S * SECOND_US;
	size_t frame = l->traffic.frame_bytes;
	for (unsigned i = 0; i < l->options.conns; i++) {
		struct conn *c = &l->conns[i];
		if (!l->options.paced)
			c->wire_limit = (c->wire + frame - 1) / frame * frame;
	}
	bool done;
	while (!(done = all_acked(l)) && clock_us() < until_us)
		turn(l, 10, false);
	if (!done) {
		fprintf(stderr, "not all was acked within %d s\n", DRAIN_WAIT_S);
		count_unacked(l);
	}
	l->measuring = false;
	return done;
}

static bool end_all(struct load *l)
{
	uint64_t until_us = clock_us() + (uint64_t)END_WAIT_S * SECOND_US;
	for (unsigned i = 0; i < l->options.conns; i++) {
		if (l->conns[i].state == CONN_OPEN)
			conn_end(&l->conns[i], &l->traffic);
	}
	while (l->saved + l->failed < l->options.conns && clock_us() < until_us)
		turn(l, 10, false);
	return l->saved == l->options.conns;
}

/* The connections that got least and most through: flat out, a fair server serves all alike. */
static void spread(const struct load *l, uint64_t *least, uint64_t *most)
{
	*least = UINT64_MAX;
	*most = 0;
	for (unsigned i = 0; i < l->options.conns; i++) {
		uint64_t bytes = l->conns[i].acked;
		*least = bytes < *least ? bytes : *least;
		*most = bytes > *most ? bytes : *most;
	}
}

static void report(const struct load *l, const struct sample s[4], double connect_s)
{
	double seconds = (double)(s[1].at_us - s[0].at_us) / 1e6, gb = (double)(s[1].acked - s[0].acked) / 1e9;
	double server = s[1].server.cpu_s - s[0].server.cpu_s;
	double end_s = (double)(s[3].at_us - s[2].at_us) / 1e6;
	const struct histogram *h = &l->latency;
	uint64_t least, most;
	spread(l, &least, &most);
	printf("{\"mode\":\"%s\",\"conns\":%u,\"messageBytes\":%zu,\"seconds\":%.3f,\"ackedBytes\":%llu,",
	       l->options.paced ? "paced" : "flat", l->options.conns, l->traffic.message_bytes, seconds,
	       (unsigned long long)(s[1].acked - s[0].acked));
	printf("\"mbPerS\":%.1f,\"p50Ms\":%.2f,\"p99Ms\":%.2f,\"p999Ms\":%.2f,\"maxMs\":%.2f,\"samples\":%llu,",
	       gb * 1e3 / seconds, (double)histogram_quantile(h, 0.5) / 1e3, (double)histogram_quantile(h, 0.99) / 1e3,
	       (double)histogram_quantile(h, 0.999) / 1e3, (double)h->max_us / 1e3, (unsigned long long)h->count);
	printf("\"serverCpuS\":%.2f,\"serverCores\":%.3f,\"serverCpuPerGb\":%.3f,", server, server / seconds,
	       gb > 0 ? server / gb : 0);
	printf("\"clientCores\":%.3f,\"clientCpuPerGb\":%.3f,\"machineCores\":%.3f,\"clientLagMs\":%.2f,",
	       (s[1].own_cpu_s - s[0].own_cpu_s) / seconds, gb > 0 ? (s[1].own_cpu_s - s[0].own_cpu_s) / gb : 0,
	       (s[1].machine_cpu_s - s[0].machine_cpu_s) / seconds, (double)l->lag_us / 1e3);
	printf("\"rssMb\":%.1f,\"peakRssMb\":%.1f,\"connectS\":%.2f,", (double)s[1].server.rss_kib / 1024,
	       (double)s[3].server.hwm_kib / 1024, connect_s);
	printf("\"leastBytes\":%llu,\"mostBytes\":%llu,", (unsigned long long)least, (unsigned long long)most);
	printf("\"saved\":%u,\"endS\":%.2f,\"endCpuS\":%.2f,\"totalBytes\":%llu,\"failed\":%u}\n", l->saved, end_s,
	       s[3].server.cpu_s - s[2].server.cpu_s, (unsigned long long)s[3].acked, l->failed);
}

static const struct option long_options[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "pid", required_argument, NULL, 'P' },
	{ "conns", required_argument, NULL, 'c' },
	{ "size", required_argument, NULL, 's' },
	{ "window", required_argument, NULL, 'w' },
	{ "seconds", required_argument, NULL, 't' },
	{ "warmup", required_argument, NULL, 'u' },
	{ "sndbuf", required_argument, NULL, 'b' },
	{ "end", no_argument, NULL, 'e' },
	{ "trace", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

static void usage(void)
{
	fputs("usage: load flat|paced --port P [--pid PID] [--conns N] [--size BYTES] [--window BYTES] [--seconds T]\n"
	      "            [--warmup T] [--sndbuf BYTES] [--end] [--trace]\n",
	      stderr);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		usage();
	return value;
}

static void options_parse(struct options *o, int argc, char **argv)
{
	if (argc < 2 || (strcmp(argv[1], "flat") != 0 && strcmp(argv[1], "paced") != 0))
		usage();
	bool paced = strcmp(argv[1], "paced") == 0;
	*o = (struct options){ .paced = paced,
			       .conns = paced ? 9000 : 64,
			       .seconds = paced ? 50 : 8,
			       .warmup = 1,
			       .message_bytes = paced ? 4096 : 16384,
			       .window_bytes = 4 << 20,
			       .send_buffer = 0 };
	for (int c; (c = getopt_long(argc - 1, argv + 1, "", long_options, NULL)) != -1;) {
		switch (c) {
		case 'p':
			o->port = (unsigned)number(optarg);
			break;
		case 'P':
			o->pid = (pid_t)number(optarg);
			break;
		case 'c':
			o->conns = (unsigned)number(optarg);
			break;
		case 's':
			o->message_bytes = number(optarg);
			break;
		case 'w':
			o->window_bytes = number(optarg);
			break;
		case 't':
			o->seconds = (unsigned)number(optarg);
			break;
		case 'u':
			o->warmup = (unsigned)number(optarg);
			break;
		case 'b':
			o->send_buffer = (int)number(optarg);
			break;
		case 'e':
			o->end = true;
			break;
		case 'v':
			o->trace = true;
			break;
		default:
			usage();
		}
	}
	if (!o->port || o->port > 65535 || !o->conns || !o->seconds || !o->message_bytes ||
	    o->window_bytes < o->message_bytes)
		usage();
}

static bool load_init(struct load *l)
{
	struct rlimit files;
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->conns = calloc(l->options.conns, sizeof *l->conns);
	if (l->epoll < 0 || !l->conns ||
	    !traffic_init(&l->traffic, (uint16_t)l->options.port, l->options.message_bytes))
		return false;
	l->traffic.send_buffer = l->options.send_buffer;
	for (unsigned i = 0; i < l->options.conns; i++)
		l->conns[i].fd = -1;
	return true;
}

int main(int argc, char **argv)
{
	static struct load load;
	struct sample samples[4] = { 0 }; /* measured from, to; ending from, to */
	options_parse(&load.options, argc, argv);
	if (!load_init(&load)) {
		perror("load");
		return 1;
	}
	uint64_t begin_us = clock_us();
	bool good = connect_all(&load);
	double connect_s = (double)(clock_us() - begin_us) / 1e6;
	if (!good) {
		fprintf(stderr, "%u of %u connections opened\n", load.open, load.options.conns);
		return 1;
	}
	run(&load, &samples[0], &samples[1]);
	good = drain(&load);
	sample_take(&load, &samples[2]);
	if (load.options.end && good)
		good = end_all(&load);
	sample_take(&load, &samples[3]);
	report(&load, samples, connect_s);
	for (unsigned i = 0; i < load.options.conns; i++) {
		conn_close(&load.conns[i]);
		free(load.conns[i].marks);
	}
	traffic_release(&load.traffic);
	free(load.conns);
	return good && !load.failed ? 0 : 1;
}
