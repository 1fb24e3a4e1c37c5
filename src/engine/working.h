/* What the rest of the engine sees of jobs.c and its like: who works on what was recorded. */
#ifndef HOLDFAST_ENGINE_WORKING_H
#define HOLDFAST_ENGINE_WORKING_H

#include "base/list.h"
#include "base/timer.h"
#include "engine/engine.h"

struct lease;
struct slot;

/* Finalize jobs and who works on them, see jobs.h. */
struct jobs {
	struct slot *slots; /* owned; of config.workers */
	unsigned slot_count;
	struct list leases; /* struct lease */
	unsigned lease_count;
	bool wanted;	   /* a job may be due */
	bool claiming;	   /* one claim at a time */
	bool looking;	   /* … and one look at the queue */
	uint64_t alive_ms; /* some worker was alive then */
	uint64_t room_ms;  /* no claim before: there was no room for a file. 0: there was */
	uint64_t due_ms;   /* the next job is due then … */
	uint64_t look_ms, looked_ms;
	struct timer timer; /* … at the first of the two */
	struct engine_queue queues[JOB_KIND_COUNT];
	struct job_info trouble; /* what failed or was parked last; id 0: nothing */
};

/* jobs.c */
void jobs_init(struct engine *e);
void jobs_release(struct engine *e);
void jobs_listening(struct engine *e);
/* Near the beginning of each turn: what workers said is timed now, and what is next for their leases begins. */
void jobs_turn(struct engine *e);
void jobs_timer(struct timer *timer); /* of a slot */
/* A job may be due: one was queued. */
void jobs_wanted(struct engine *e);
/* The catalog raised the epoch of the recording's jobs (late resume, deletion, failure): who works on them is ended. */
void jobs_fence(struct engine *e, const struct uuid *recording);
/* A lease on the recording is not over yet: its folder in media/ may be written to. */
bool jobs_hold(const struct engine *e, const struct uuid *recording);
/* Its job has waited too long, and nobody works on the queue (worker_not_processing_queue). */
bool jobs_unserved(const struct engine *e, const struct recording_info *info);
/* Of the attempt that runs; false: none does. */
bool jobs_progress(const struct engine *e, const struct recording_info *info, unsigned *per_mille);
void jobs_status(const struct engine *e, struct engine_status *out);
void jobs_stop(struct engine *e);
bool jobs_idle(const struct engine *e);

/* jobs_sweep.c. Its timer; and at the start, when nobody works on what stands as running. */
void jobs_look(struct engine *e);
enum err jobs_recover(struct engine *e);

#endif
