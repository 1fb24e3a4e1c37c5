/* holdfast-worker: one finalize job, in a cage. Started by `holdfast serve` with one socket and nothing else.
 *
 * It locks itself in (sandbox.h), says READY, answers pings, takes one job, hashes what is to be hashed before it
 * parses anything (digest.h), does the job (media_job.h), says how it ended, and is gone. It never outlives the server:
 * the kernel kills it with the thread that started it, and a socket whose other end is closed ends it too. */
#include "base/limits.h"
#include "work/digest.h"
#include "work/sandbox.h"
#include "work/worker_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2,
	TELL_MS = 250,	  /* how often progress is told */
	SHARE_HASH = 100, /* of the progress, per mille, when there is something to hash */
};

static const char help[] = "Usage: holdfast-worker\n"
			   "Makes a playable file of a recording, for 'holdfast serve', which starts it itself.\n"
			   "It works on what the server hands over, and can open nothing of its own.\n"
			   "\n"
			   "  --help     display this help and exit\n"
			   "  --version  output version information and exit\n";

struct work {
	uint64_t told_ms;
	unsigned told_progress;
	bool told, file_told;
	unsigned share; /* of the progress that is behind it when the media's work begins */
	uint64_t hashed, to_hash;
};

/* No atexit, no buffers: everything that was to be said has been sent. */
__attribute__((noreturn)) static void leave(int status, const char *what)
{
	if (what)
		dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
	_exit(status);
}

/* False: nobody listens any more. */
static bool tell(const struct worker_event *event, const char *lacks)
{
	struct buf text;
	buf_init(&text);
	wire_event_format(&text, event, lacks);
	ssize_t sent = -1;
	if (text.failed)
		errno = ENOMEM;
	else
		do
			sent = send(WIRE_SOCKET, text.data, text.len, MSG_NOSIGNAL);
		while (sent < 0 && errno == EINTR);
	buf_release(&text);
	return sent >= 0;
}

static bool alive(struct work *w, unsigned progress)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	uint64_t wait = progress == w->told_progress ? LIMIT_WORKER_ALIVE_MS / 2 : TELL_MS;
	if (w->told && ms - w->told_ms < wait)
		return true;
	w->told = true;
	w->told_ms = ms;
	w->told_progress = progress;
	return tell(&(struct worker_event){ .type = WORKER_ALIVE, .progress = progress < 1000 ? progress : 1000 },
		    NULL);
}

static bool on_alive(void *arg, unsigned progress)
{
	struct work *w = arg;
	return alive(w, w->share + (progress < 1000 ? progress : 1000) * (1000 - w->share) / 1000);
}

static bool on_hashed(void *arg, uint64_t bytes)
{
	struct work *w = arg;
	w->hashed += bytes;
	return alive(w, (unsigned)((double)w->hashed / (double)w->to_hash * SHARE_HASH));
}

static void on_file_done(void *arg, const struct media_info *media, const char *warnings)
{
	struct work *w = arg;
	w->file_told = true;
	if (!tell(&(struct worker_event){ .type = WORKER_FILE, .media = media, .warnings = warnings }, NULL))
		leave(1, "telling the server");
}

/* What it can't get is what it was not allowed: the limit of memory is its own. */
static void fail(enum err err, const char *message)
{
	struct worker_event event = { .type = WORKER_FAILED, .err = err, .message = message };
	if (err == ERR_NO_MEMORY) {
		event.err = ERR_MEDIA_LIMIT;
		event.message = "The media needs more memory than a worker may take.";
	}
	if (!tell(&event, NULL))
		leave(1, "telling the server");
}

/* False: it has failed, and said so. */
static bool hash(struct work *w, const struct wire_job *given)
{
	struct track_hash hashes[LIMIT_TRACKS];
	uint32_t count = 0;
	for (uint32_t i = 0; i < given->track_count; i++)
		w->to_hash += given->hash[i] ? given->tracks[i].bytes : 0;
	for (uint32_t i = 0; i < given->track_count; i++) {
		const struct media_track *t = &given->tracks[i];
		if (!given->hash[i])
			continue;
		hashes[count].track = (uint16_t)i;
		enum err err = digest_make(t->fd, t->bytes, on_hashed, w, &hashes[count++].sha256);
		if (err != ERR_OK) {
			fail(err, NULL);
			return false;
		}
	}
	if (count == 0)
		return true;
	w->share = SHARE_HASH;
	if (!tell(&(struct worker_event){ .type = WORKER_HASHED, .hashes = hashes, .hash_count = count }, NULL))
		leave(1, "telling the server");
	return true;
}

static void work(const struct wire_job *given, const int *fds)
{
	struct work w = { 0 };
	struct media_result result = { 0 };
	struct media_job job = {
		.tracks = given->tracks,
		.track_count = given->track_count,
		.file_fd = fds[WIRE_FD_FILE],
		.thumbnail_fd = fds[WIRE_FD_THUMBNAIL],
		.waveform_fd = fds[WIRE_FD_WAVEFORM],
		.max_output_bytes = given->max_output_bytes,
		.alive = on_alive,
		.file_done = on_file_done,
		.arg = &w,
	};
	if (!hash(&w, given))
		return;
	enum err err = media_job_run(&job, &result);
	if (err != ERR_OK) {
		fail(err, result.message[0] ? result.message : NULL);
		return;
	}
	if (!w.file_told)
		on_file_done(&w, &result.media, result.warnings);
	if (!tell(&(struct worker_event){ .type = WORKER_DONE, .media = &result.media, .warnings = result.warnings },
		  NULL))
		leave(1, "telling the server");
}

/* The description that came with the descriptors. */
static enum err job_read(int fd, struct wire_job *out)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || st.st_size < 0 || st.st_size > LIMIT_WORKER_JOB_BYTES)
		return ERR_READ_FAILED;
	size_t len = (size_t)st.st_size, at = 0;
	char *text = malloc(len + 1);
	while (text && at < len) {
		ssize_t got = pread(fd, text + at, len - at, (off_t)at);
		if (got <= 0)
			break;
		at += (size_t)got;
	}
	enum err err = !text ? ERR_NO_MEMORY : at < len ? ERR_READ_FAILED : wire_job_parse(text, len, out);
	free(text);
	return err;
}

__attribute__((noreturn)) static void take_job(const int *fds, unsigned count)
{
	static struct wire_job job;
	if (count < WIRE_FD_TRACKS || job_read(fds[WIRE_FD_JOB], &job) != ERR_OK ||
	    job.track_count != count - WIRE_FD_TRACKS) {
		errno = EBADMSG;
		leave(1, "reading the job");
	}
	for (uint32_t i = 0; i < job.track_count; i++)
		job.tracks[i].fd = fds[WIRE_FD_TRACKS + i];
	if (sandbox_close(job.max_output_bytes, job.max_ms) != ERR_OK)
		leave(1, "closing the sandbox");
	work(&job, fds);
	leave(0, NULL);
}

/* One message of the server; the number of descriptors that came with it. */
static unsigned hear(char text[64], int fds[WIRE_FDS])
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
	} control;
	struct iovec piece = { .iov_base = text, .iov_len = 63 };
	struct msghdr message = {
		.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
	};
	ssize_t got;
	do
		got = recvmsg(WIRE_SOCKET, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got == 0 || (got < 0 && errno == ECONNRESET))
		leave(0, NULL); /* the server closed it */
	if (got < 0)
		leave(1, "listening to the server");
	text[got] = '\0';
	const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	if (!head || head->cmsg_type != SCM_RIGHTS)
		return 0;
	size_t bytes = head->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(head), bytes);
	return (unsigned)(bytes / sizeof(int));
}

static bool is_socket(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

static int by_hand(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("holdfast-worker %s\n", HOLDFAST_VERSION);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	if (argc > 1)
		fprintf(stderr, "holdfast-worker: unexpected argument '%s'\n", argv[1]);
	else
		fprintf(stderr, "holdfast-worker: 'holdfast serve' starts it; there is nothing to do by hand\n");
	fprintf(stderr, "Try 'holdfast-worker --help' for more information.\n");
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (argc > 1 || !is_socket(WIRE_SOCKET))
		return by_hand(argc, argv);
	/* a server that is gone by now has closed the socket, which is noticed below */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
		leave(1, "tying itself to the server");
	json_object_seed(0); /* reads /dev/urandom while it can */
	if (digest_prepare() != ERR_OK)
		leave(1, "preparing to hash");
	const char *lacks;
	if (sandbox_enter(&lacks) != ERR_OK)
		leave(1, lacks);
	const struct worker_event ready = { .type = WORKER_READY };
	if (!tell(&ready, lacks))
		leave(1, "telling the server");
	for (;;) {
		char text[64];
		int fds[WIRE_FDS];
		unsigned count = hear(text, fds);
		if (strcmp(text, WIRE_JOB) == 0)
			take_job(fds, count);
		if (strcmp(text, WIRE_PING) == 0 && !tell(&ready, NULL))
			leave(1, "telling the server");
	}
}
