/* Starting holdfast-worker and handing it a job, see worker_private.h. */
#include "work/worker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ABOVE_STANDARD = 10, ENVIRONMENT = 8 };

static void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Away from 0 to 3, which the worker's own take: a server may have been started without them. */
static int move_up(int *fd)
{
	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, ABOVE_STANDARD);
	if (moved < 0)
		return errno;
	close(*fd);
	*fd = moved;
	return 0;
}

/* Both pairs: ours first. Nothing outlives an exec. */
static int open_pairs(int socket_pair[2], int said[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socket_pair) != 0)
		return errno;
	if (pipe2(said, O_CLOEXEC) != 0) {
		int failed = errno;
		close_all(socket_pair, 2);
		return failed;
	}
	int failed = move_up(&socket_pair[1]);
	if (!failed)
		failed = move_up(&said[1]);
	if (!failed &&
	    (fcntl(socket_pair[0], F_SETFL, O_NONBLOCK) != 0 || fcntl(said[0], F_SETFL, O_RDONLY | O_NONBLOCK) != 0))
		failed = errno;
	if (failed) {
		close_all(socket_pair, 2);
		close_all(said, 2);
	}
	return failed;
}

/* What a dynamic program and the sanitizers of a test build need, and no secret that stands in ours. */
static void choose_environment(char *out[ENVIRONMENT])
{
	static const char *const kept[] = { "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=" };
	static char arenas[] = "MALLOC_ARENA_MAX=2"; /* each takes 64 MiB of a limited address space */
	unsigned count = 0;
	out[count++] = arenas;
	for (unsigned k = 0; k < sizeof kept / sizeof kept[0]; k++)
		for (char **p = environ; p && *p; p++)
			if (strncmp(*p, kept[k], strlen(kept[k])) == 0 && count < ENVIRONMENT - 1)
				out[count++] = *p;
	out[count] = NULL;
}

/* posix_spawn: the child shares our memory until its exec, so that a large server does not copy its page tables. */
static int spawn(const char *program, int socket, int said, pid_t *out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	sigfillset(&all);
	sigemptyset(&none);
	int failed = posix_spawn_file_actions_init(&actions);
	if (failed)
		return failed;
	failed = posix_spawnattr_init(&attributes);
	if (failed) {
		posix_spawn_file_actions_destroy(&actions);
		return failed;
	}
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attributes, 0); /* Ctrl-C is the server's: it ends its workers itself */
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	failed |= posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	failed |= posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	failed |= posix_spawn_file_actions_adddup2(&actions, said, STDERR_FILENO);
	failed |= posix_spawn_file_actions_adddup2(&actions, socket, WIRE_SOCKET);
	failed |= posix_spawn_file_actions_addclosefrom_np(&actions, WIRE_SOCKET + 1);
	failed |= posix_spawn_file_actions_addchdir_np(&actions, "/");
	char name[] = "holdfast-worker", *argv[] = { name, NULL }, *environment[ENVIRONMENT];
	choose_environment(environment);
	if (!failed)
		failed = posix_spawn(out, program, &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return failed;
}

int worker_spawn(const char *program, struct worker_child *out)
{
	int socket_pair[2], said[2];
	int failed = open_pairs(socket_pair, said);
	if (failed)
		return failed;
	failed = spawn(program, socket_pair[1], said[1], &out->pid);
	close(socket_pair[1]);
	close(said[1]);
	if (!failed) {
		out->pidfd = (int)syscall(SYS_pidfd_open, out->pid, 0);
		failed = out->pidfd < 0 ? errno : 0;
		if (failed) {
			kill(out->pid, SIGKILL);
			waitpid(out->pid, NULL, 0);
		}
	}
	if (failed) {
		close(socket_pair[0]);
		close(said[0]);
		return failed;
	}
	out->socket = socket_pair[0];
	out->said = said[0];
	return 0;
}

/* Handing over */

/* A file opened anew: flags and position are the worker's own, and reading does not become writing. */
static int open_again(int fd, int flags)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC | O_NOCTTY);
}

/* The description in a sealed file in memory: thousands of parts are too much for a datagram. */
static int describe(const struct worker_job *job, int *out)
{
	struct buf text;
	buf_init(&text);
	wire_job_format(&text, job);
	int fd = text.failed ? -1 : memfd_create("job", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int failed = text.failed ? ENOMEM : fd < 0 ? errno : 0;
	for (size_t at = 0; !failed && at < text.len;) {
		ssize_t n = pwrite(fd, text.data + at, text.len - at, (off_t)at);
		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			failed = n == 0 ? EIO : errno;
	}
	if (!failed && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
		failed = errno;
	buf_release(&text);
	*out = fd;
	return failed;
}

static int send_all(int socket, const int *fds, unsigned count)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
	} control = { 0 };
	char text[] = WIRE_JOB;
	struct iovec piece = { .iov_base = text, .iov_len = sizeof text - 1 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control };
	message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * count);
	for (;;) {
		if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno != EINTR)
			return errno;
	}
}

int worker_hand_over(int socket, const struct worker_job *job, int (*file_fd)(struct vfs_file *file))
{
	int fds[WIRE_FDS];
	struct vfs_file *const outputs[] = { job->file, job->thumbnail, job->waveform };
	unsigned count = WIRE_FD_TRACKS + job->track_count;
	for (unsigned i = 0; i < WIRE_FDS; i++)
		fds[i] = -1;
	int failed =
		job->track_count == 0 || job->track_count > LIMIT_TRACKS ? EINVAL : describe(job, &fds[WIRE_FD_JOB]);
	for (unsigned i = WIRE_FD_FILE; !failed && i < count; i++) {
		bool is_track = i >= WIRE_FD_TRACKS;
		fds[i] = is_track ? open_again(file_fd(job->tracks[i - WIRE_FD_TRACKS].file), O_RDONLY)
				  : open_again(file_fd(outputs[i - WIRE_FD_FILE]), O_RDWR);
		failed = fds[i] < 0 ? errno : 0;
	}
	if (!failed)
		failed = send_all(socket, fds, count);
	close_all(fds, WIRE_FDS);
	return failed;
}
