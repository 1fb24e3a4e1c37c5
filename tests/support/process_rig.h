/* Workers that are real processes of a worker whose media job misbehaves by name (media_job_bad.c), on a loop of the
 * test's own. */
#ifndef HOLDFAST_TESTS_PROCESS_RIG_H
#define HOLDFAST_TESTS_PROCESS_RIG_H

#include "work/worker_process.h"

#include <sys/types.h>

enum { RIG_EVENTS = 4096 };

struct process_rig {
	uv_loop_t loop;
	struct workers *workers;
	struct worker_event events[RIG_EVENTS]; /* slot 0's, without their pointers */
	unsigned count, at;			/* at: up to there rig_until has looked */
	const char *eager;			/* a deed that is given inside the next READY */
	struct media_info media;		/* of the newest FILE or DONE */
	char warnings[512];
	char message[1024]; /* of the newest FAILED or GONE */
	int fds[5];	    /* file, thumbnail, waveform, two tracks */
	struct worker_track tracks[2];
	bool hash;		     /* both are to be hashed */
	struct track_hash hashes[2]; /* of the newest HASHED */
	struct worker_job job;
	bool closed;
};

void rig_open(struct process_rig *rig, const char *program);
/* Closes the workers; fails the test when anything of them is left on the loop. */
void rig_close(struct process_rig *rig);

/* Runs the loop until slot 0 has said `type`, behind where the last call stopped; fails the test after a minute. */
void rig_until(struct process_rig *rig, enum worker_event_type type);
void rig_run_ms(struct process_rig *rig, unsigned ms);
bool rig_heard(const struct process_rig *rig, enum worker_event_type type);

/* Starts one and waits for its READY; then gives it the job named `deed`. */
void rig_ready(struct process_rig *rig);
void rig_give(struct process_rig *rig, const char *deed, uint64_t max_ms);
/* The only child of this process, or of `parent`; 0 if there is none. */
pid_t rig_child(pid_t parent);

#endif
