/* Workers as the engine sees them: processes outside of it, each good for one job. One interface; worker_process.c
 * starts `holdfast-worker`, the simulation has its own.
 *
 * A slot is a place for one process. Life of a process: worker_start → WORKER_READY → (worker_ping → WORKER_READY)… →
 * worker_give → WORKER_ALIVE… → WORKER_HASHED (if the job asks for it) → WORKER_ALIVE… → WORKER_FILE → WORKER_ALIVE… →
 * WORKER_DONE, or WORKER_FAILED, and always WORKER_GONE last, also after worker_kill and when it could not be started;
 * then the slot is free again. Loop thread; nothing blocks; events come from the loop, never from inside a call. */
#ifndef HOLDFAST_WORK_WORKER_H
#define HOLDFAST_WORK_WORKER_H

#include "core/model.h"

struct vfs_file;
struct workers;

struct worker_track {
	const char *name;
	struct vfs_file *file; /* open for reading; [0, bytes) */
	uint64_t bytes;
	const uint64_t *parts; /* where parts begin, ascending; 0 is not listed */
	uint32_t part_count;
	bool hash; /* its SHA-256 is wanted */
};

/* All of it is the caller's, until WORKER_GONE. */
struct worker_job {
	struct uuid recording; /* for the log */
	uint32_t revision;
	const struct worker_track *tracks;
	uint32_t track_count;
	struct vfs_file *file, *thumbnail, *waveform; /* empty, open for reading and writing */
	uint64_t max_output_bytes;		      /* of each of them */
	uint64_t max_ms;			      /* killed on overrun */
};

enum worker_event_type {
	WORKER_READY,  /* it runs, is locked in, and takes a job; also the answer to a ping */
	WORKER_ALIVE,  /* a sign of life: progress */
	WORKER_HASHED, /* hashes: of every track of which it is wanted, by the job's order. Before it has parsed a byte
			*/
	WORKER_FILE,   /* `file` is written and checked: media (all but thumbnail and waveform), warnings */
	WORKER_DONE,   /* thumbnail and waveform are written, or there are none: media, warnings */
	WORKER_FAILED, /* err, message: why it gave up */
	WORKER_GONE,   /* the process is no more; err, message: why, if it was given a job and did not finish it, or if
			  it could not be started */
};

struct worker_event {
	enum worker_event_type type;
	unsigned progress;		/* per mille */
	const struct media_info *media; /* revision and published_ms are 0 */
	const char *warnings;		/* a JSON array of {code, message} or NULL: all so far */
	const struct track_hash *hashes;
	uint32_t hash_count;
	enum err err;
	const char *message; /* NULL: err_text */
};

struct workers_ops {
	void (*start)(struct workers *w, unsigned slot);
	void (*ping)(struct workers *w, unsigned slot);
	void (*give)(struct workers *w, unsigned slot, const struct worker_job *job);
	void (*kill)(struct workers *w, unsigned slot);
};

struct workers {
	const struct workers_ops *ops;
	/* set by the engine before the first start */
	void (*event)(void *arg, unsigned slot, const struct worker_event *event);
	void *arg;
};

static inline void worker_start(struct workers *w, unsigned slot)
{
	w->ops->start(w, slot);
}
static inline void worker_ping(struct workers *w, unsigned slot)
{
	w->ops->ping(w, slot);
}
static inline void worker_give(struct workers *w, unsigned slot, const struct worker_job *job)
{
	w->ops->give(w, slot, job);
}
/* For good, also a stopped one; WORKER_GONE follows. */
static inline void worker_kill(struct workers *w, unsigned slot)
{
	w->ops->kill(w, slot);
}

#endif
