/* A media job that does what a decoder in the hands of a hostile file would: the first track's name says what. It is
 * linked into a worker of its own (tests only), in place of the real one. Each that should have been stopped and was
 * not answers ERR_INTERNAL, which no worker may say. */
#include "work/media_job.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERVER = 3 };

typedef enum err (*deed)(const struct media_job *job, struct media_result *out);

static void say(const char *text)
{
	send(SERVER, text, strlen(text), MSG_NOSIGNAL);
}

/* The system refused it, and the worker lives to tell; `worked`: it did not. */
static enum err refused(struct media_result *out, bool worked)
{
	snprintf(out->message, sizeof out->message, "%s", worked ? "It worked!" : strerror(errno));
	return worked ? ERR_INTERNAL : ERR_MEDIA_UNREADABLE;
}

static enum err finish(const struct media_job *job, struct media_result *out, uint64_t bytes)
{
	out->media = (struct media_info){ .bytes = bytes, .duration_ms = 1500, .ext = "webm" };
	snprintf(out->media.mime, sizeof out->media.mime, "video/webm; codecs=\"vp8\"");
	out->warnings = strdup("[{\"code\":\"truncated\",\"message\":\"The end is missing.\"}]");
	job->file_done(job->arg, &out->media, out->warnings);
	if (pwrite(job->thumbnail_fd, "jpeg", 4, 0) != 4)
		return ERR_WRITE_FAILED;
	out->media.has_thumbnail = true;
	return ERR_OK;
}

static void *in_thread(void *arg)
{
	const struct media_job *job = arg;
	char piece[4096];
	uint64_t at = 0;
	for (ssize_t got; (got = pread(job->tracks[0].fd, piece, sizeof piece, (off_t)at)) > 0; at += (uint64_t)got)
		if (pwrite(job->file_fd, piece, (size_t)got, (off_t)at) != got)
			return NULL;
	return malloc(1 << 20);
}

/* What a good one does, in a thread as decoders do. */
static enum err copy(const struct media_job *job, struct media_result *out)
{
	pthread_t thread;
	void *result = NULL;
	if (!job->alive(job->arg, 100) || pthread_create(&thread, NULL, in_thread, (void *)(uintptr_t)job) != 0)
		return ERR_READ_FAILED;
	pthread_join(thread, &result);
	free(result);
	struct stat st;
	if (!result || fstat(job->file_fd, &st) != 0 || ftruncate(job->file_fd, st.st_size) != 0)
		return ERR_WRITE_FAILED;
	return finish(job, out, job->tracks[0].bytes);
}

static enum err wait_for_end(const struct media_job *job, struct media_result *out)
{
	while (job->alive(job->arg, 500))
		usleep(1000);
	return ERR_MEDIA_LIMIT;
}

static enum err open_path(const struct media_job *job, struct media_result *out)
{
	return refused(out, open("/etc/hostname", O_RDONLY) >= 0);
}

static enum err open_again(const struct media_job *job, struct media_result *out)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", job->tracks[0].fd);
	return refused(out, open(path, O_RDWR) >= 0);
}

static enum err write_track(const struct media_job *job, struct media_result *out)
{
	return refused(out, pwrite(job->tracks[0].fd, "x", 1, 0) == 1 || ftruncate(job->tracks[0].fd, 0) == 0);
}

static enum err write_description(const struct media_job *job, struct media_result *out)
{
	bool wrote = false; /* it came first of the descriptors */
	for (int fd = SERVER + 1; fd < job->file_fd; fd++)
		wrote = wrote || pwrite(fd, "x", 1, 0) == 1;
	return refused(out, wrote);
}

static enum err make_code(const struct media_job *job, struct media_result *out)
{
	return refused(out, mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static enum err make_socket(const struct media_job *job, struct media_result *out)
{
	return refused(out, socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static enum err connect_socket(const struct media_job *job, struct media_result *out)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return refused(out, connect(SERVER, (const struct sockaddr *)&to, sizeof to) == 0);
}

static enum err run_program(const struct media_job *job, struct media_result *out)
{
	char name[] = "true", *argv[] = { name, NULL }, *none[] = { NULL };
	execve("/bin/true", argv, none);
	return refused(out, false);
}

static enum err make_process(const struct media_job *job, struct media_result *out)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return refused(out, pid > 0);
}

static enum err trace(const struct media_job *job, struct media_result *out)
{
	return refused(out, ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
}

static enum err kill_server(const struct media_job *job, struct media_result *out)
{
	return refused(out, kill((pid_t)strtol(job->tracks[1].name, NULL, 10), 0) == 0);
}

static enum err raise_limit(const struct media_job *job, struct media_result *out)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	return refused(out, setrlimit(RLIMIT_FSIZE, &all) == 0);
}

static enum err take_more(const struct media_job *job, struct media_result *out)
{
	char byte;
	struct iovec piece = { &byte, 1 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	return refused(out, recvmsg(SERVER, &message, MSG_DONTWAIT) >= 0);
}

static enum err bomb(const struct media_job *job, struct media_result *out)
{
	for (unsigned i = 0; i < 1 << 16; i++)
		if (!malloc(16 << 20))
			return ERR_NO_MEMORY;
	return ERR_INTERNAL;
}

__attribute__((noreturn)) static enum err loop(const struct media_job *job, struct media_result *out)
{
	for (volatile unsigned long i = 0;; i++) {
	}
}

static enum err stop(const struct media_job *job, struct media_result *out)
{
	raise(SIGSTOP);
	return ERR_INTERNAL;
}

static enum err grow(const struct media_job *job, struct media_result *out)
{
	static const char block[4096];
	for (off_t at = 0; pwrite(job->file_fd, block, sizeof block, at) > 0; at += (off_t)sizeof block) {
	}
	return ERR_INTERNAL;
}

static enum err crash(const struct media_job *job, struct media_result *out)
{
	signal(SIGSEGV, SIG_DFL); /* also where a sanitizer would rather tell */
	dprintf(STDERR_FILENO, "before the end\n\x1b[31mred \xc3\xa9 \"quoted\"\n\n");
	raise(SIGSEGV);
	return ERR_INTERNAL;
}

static enum err give_up_hard(const struct media_job *job, struct media_result *out)
{
	abort();
}

static enum err leave(const struct media_job *job, struct media_result *out)
{
	_exit(0);
}

static enum err babble(const struct media_job *job, struct media_result *out)
{
	char line[4096];
	memset(line, 'b', sizeof line);
	while (write(STDERR_FILENO, line, sizeof line) > 0) {
	}
	return ERR_INTERNAL;
}

__attribute__((noreturn)) static enum err flood(const struct media_job *job, struct media_result *out)
{
	for (;;)
		say("{\"type\":\"alive\",\"progress\":1}");
}

static enum err garbage(const struct media_job *job, struct media_result *out)
{
	say("\x01\xff{{{");
	return wait_for_end(job, out);
}

static enum err huge(const struct media_job *job, struct media_result *out)
{
	static char text[LIMIT_WORKER_EVENT_BYTES + 2];
	memset(text, ' ', sizeof text - 1);
	say(text);
	return wait_for_end(job, out);
}

static enum err send_descriptor(const struct media_job *job, struct media_result *out)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	char text[] = "{\"type\":\"alive\",\"progress\":1}";
	struct iovec piece = { text, sizeof text - 1 };
	struct msghdr message = {
		.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
	};
	memcpy(CMSG_DATA(&control.head), &job->file_fd, sizeof(int));
	sendmsg(SERVER, &message, MSG_NOSIGNAL);
	return wait_for_end(job, out);
}

static enum err ready_again(const struct media_job *job, struct media_result *out)
{
	say("{\"type\":\"ready\"}");
	return wait_for_end(job, out);
}

/* What would be hashed by whoever made the media. */
static enum err hash_late(const struct media_job *job, struct media_result *out)
{
	say("{\"type\":\"hashed\",\"tracks\":[{\"track\":0,\"sha256\":"
	    "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}]}");
	return wait_for_end(job, out);
}

static enum err lie_about_size(const struct media_job *job, struct media_result *out)
{
	return finish(job, out, 123456);
}

static enum err lie_about_type(const struct media_job *job, struct media_result *out)
{
	if (pwrite(job->file_fd, "<script>", 8, 0) != 8)
		return ERR_WRITE_FAILED;
	out->media = (struct media_info){ .bytes = 8, .duration_ms = -1 };
	snprintf(out->media.mime, sizeof out->media.mime, "text/html");
	job->file_done(job->arg, &out->media, NULL);
	return wait_for_end(job, out);
}

static enum err change_story(const struct media_job *job, struct media_result *out)
{
	enum err err = copy(job, out);
	out->media.duration_ms++;
	return err;
}

static enum err no_thumbnail(const struct media_job *job, struct media_result *out)
{
	enum err err = copy(job, out);
	return ftruncate(job->thumbnail_fd, 0) == 0 ? err : ERR_WRITE_FAILED;
}

__attribute__((noreturn)) static enum err close_socket(const struct media_job *job, struct media_result *out)
{
	close(SERVER);
	for (;;)
		usleep(1000 * 1000);
}

static enum err blame(const struct media_job *job, struct media_result *out)
{
	snprintf(out->message, sizeof out->message, "Bad \xff\n text");
	return ERR_CHECK_FAILED;
}

static const struct {
	const char *name;
	deed run;
} deeds[] = { { "copy", copy },
	      { "wait", wait_for_end },
	      { "open", open_path },
	      { "open_again", open_again },
	      { "write_track", write_track },
	      { "write_description", write_description },
	      { "make_code", make_code },
	      { "socket", make_socket },
	      { "connect", connect_socket },
	      { "exec", run_program },
	      { "fork", make_process },
	      { "ptrace", trace },
	      { "kill", kill_server },
	      { "setrlimit", raise_limit },
	      { "recvmsg", take_more },
	      { "bomb", bomb },
	      { "loop", loop },
	      { "stop", stop },
	      { "grow", grow },
	      { "crash", crash },
	      { "abort", give_up_hard },
	      { "leave", leave },
	      { "babble", babble },
	      { "flood", flood },
	      { "garbage", garbage },
	      { "huge", huge },
	      { "send_descriptor", send_descriptor },
	      { "ready_again", ready_again },
	      { "hash_late", hash_late },
	      { "lie_about_size", lie_about_size },
	      { "lie_about_type", lie_about_type },
	      { "change_story", change_story },
	      { "no_thumbnail", no_thumbnail },
	      { "close_socket", close_socket },
	      { "blame", blame } };

enum err media_job_run(const struct media_job *job, struct media_result *out)
{
	for (unsigned i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
		if (strcmp(deeds[i].name, job->tracks[0].name) == 0)
			return deeds[i].run(job, out);
	return ERR_INTERNAL;
}
