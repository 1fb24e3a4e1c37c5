/* See radosgw.h. */
#include "support/radosgw.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { TRIES = 3, PORTS = 3 };

/* Ports that nobody has now. */
static bool free_ports(unsigned ports[PORTS])
{
	int fds[PORTS];
	bool ok = true;
	for (int i = 0; i < PORTS; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof a;
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ok = ok && bind(fds[i], (const struct sockaddr *)&a, sizeof a) == 0 &&
		     getsockname(fds[i], (struct sockaddr *)&a, &len) == 0;
		ports[i] = ntohs(a.sin_port);
	}
	for (int i = 0; i < PORTS; i++)
		close(fds[i]);
	return ok;
}

static bool spawn(struct radosgw *r, const unsigned ports[PORTS], int *out)
{
	char text[PORTS][16];
	int in[2], said[2];
	posix_spawn_file_actions_t actions;
	for (int i = 0; i < PORTS; i++)
		snprintf(text[i], sizeof text[i], "%u", ports[i]);
	char *const argv[] = { (char *)RADOSGW, r->dir, text[0], text[1], text[2], NULL };
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(said, O_CLOEXEC) != 0)
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, said[1], STDOUT_FILENO);
	bool ok = posix_spawn(&r->script, RADOSGW, &actions, NULL, argv, environ) == 0;
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(said[1]);
	r->hold = in[1];
	*out = said[0];
	return ok;
}

static int remove_one(const char *path, const struct stat *is, int flag, struct FTW *ftw)
{
	(void)is;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void radosgw_stop(struct radosgw *r)
{
	int status;
	close(r->hold);
	waitpid(r->script, &status, 0);
	nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* One line, or what there is of it. */
static void read_line(int fd, char *line, size_t size)
{
	size_t len = 0;
	while (len + 1 < size && read(fd, line + len, 1) == 1 && line[len] != '\n')
		len++;
	line[len] = '\0';
}

static bool try_start(struct radosgw *r, char *why, int size)
{
	unsigned ports[PORTS];
	char line[4096];
	int out;
	snprintf(r->dir, sizeof r->dir, "/tmp/holdfast-s3-XXXXXX"); /* short: sockets are in it */
	if (!mkdtemp(r->dir) || !free_ports(ports) || !spawn(r, ports, &out)) {
		snprintf(why, (size_t)size, "no directory, port or process");
		return false;
	}
	read_line(out, line, sizeof line);
	close(out);
	int pid = 0;
	if (sscanf(line, "ready %d", &pid) == 1 && pid > 0) {
		r->pid = pid;
		r->port = ports[1];
		r->tls_port = ports[2];
		snprintf(r->ca, sizeof r->ca, "%s/tls.pem", r->dir);
		return true;
	}
	snprintf(why, (size_t)size, "%s", line);
	radosgw_stop(r);
	return false;
}

bool radosgw_start(struct radosgw *r, char *why, int size)
{
	for (int i = 0; i < TRIES; i++) {
		if (try_start(r, why, size))
			return true;
	}
	return false;
}
