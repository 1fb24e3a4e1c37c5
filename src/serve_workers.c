/* See serve_workers.h. */
#include "serve_workers.h"

#include "base/log.h"
#include "store/vfs.h"
#include "work/worker_process.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORKER_PROGRAM "holdfast-worker"

int serve_workers_open(uv_loop_t *loop, unsigned slots, struct workers **out)
{
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof program - sizeof WORKER_PROGRAM);
	char *slash = len > 0 ? memrchr(program, '/', (size_t)len) : NULL;
	*out = NULL;
	if (slots == 0)
		return 0;
	if (!slash) {
		fprintf(stderr, "holdfast: cannot find the folder of its own program: is /proc there?\n");
		return 1;
	}
	memcpy(slash + 1, WORKER_PROGRAM, sizeof WORKER_PROGRAM);
	if (access(program, X_OK) != 0)
		log_event(LOG_WARN, "worker_missing", "program", program, "why", strerror(errno), NULL);
	struct workers_config config = { .loop = loop, .program = program, .slots = slots, .file_fd = vfs_posix_fd };
	enum err err = workers_process_new(&config, out);
	if (err != ERR_OK)
		fprintf(stderr, "holdfast: the workers: %s\n", err_text(err));
	return err == ERR_OK ? 0 : 1;
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

void serve_workers_close(struct workers *workers, uv_loop_t *loop)
{
	bool closed = !workers;
	workers_process_close(workers, on_closed, &closed);
	while (!closed)
		uv_run(loop, UV_RUN_ONCE);
}
