/* Inside worker_process: what its files share. */
#ifndef HOLDFAST_WORK_WORKER_PRIVATE_H
#define HOLDFAST_WORK_WORKER_PRIVATE_H

#include "work/worker_process.h"
#include "work/worker_wire.h"

#include <sys/types.h>

/* worker_spawn.c: the process and the descriptors that lead to it. */
struct worker_child {
	pid_t pid;
	int pidfd;  /* readable when it has ended */
	int socket; /* our end of the pair */
	int said;   /* what it writes to its standard error */
};

/* 0, or the errno; then nothing is open and nothing runs. */
int worker_spawn(const char *program, struct worker_child *out);
/* Sends the job: its description and descriptors of the worker's own, of which those of the tracks can only be read. 0
 * or the errno. */
int worker_hand_over(int socket, const struct worker_job *job, int (*file_fd)(struct vfs_file *file));

/* worker_judge.c: what may be believed of a worker. */
struct worker_state {
	const struct worker_job *job;	    /* NULL: none was given */
	struct media_info media;	    /* of WORKER_FILE */
	unsigned pings;			    /* not answered */
	bool ready, hashed, file, finished; /* what it has said; finished: done or failed */
};

/* May it say this now, and is it so? NULL: yes, and the state has followed; else what is wrong. */
const char *worker_judge(struct worker_state *s, struct wire_event *e, int (*file_fd)(struct vfs_file *file));
/* How it ended (of waitpid), for a worker that had not finished: an error and its sentence. */
enum err worker_death(int status, char *out, size_t size);
/* The end of what it wrote, on one line of printable ASCII; "" if nothing. */
void worker_tail(const char *said, size_t len, char out[LIMIT_WORKER_TAIL_BYTES + 1]);

#endif
