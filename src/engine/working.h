/* What the engine holds beside its takes, and what the rest of it sees of jobs.c: who works on what was recorded. */
#ifndef HOLDFAST_ENGINE_WORKING_H
#define HOLDFAST_ENGINE_WORKING_H

#include "base/list.h"
#include "base/timer.h"
#include "engine/engine.h"
#include "proto/message.h"

struct lease;
struct conn;
struct take;
struct message_start;
struct slot;
struct watch;

/* Syncing spools and manifests, so that segments may be used again: checkpoint.c. */
struct checkpoint {
	bool running, wanted;
	uint64_t cut;		 /* of the one that runs: records up to this will be covered */
	uint64_t covered;	 /* records up to this are, durably */
	bool at_work;		 /* a group is being synced */
	struct list todo, ready; /* struct checkpoint_item; ready: its spools are written */
	unsigned ready_count;
	uint64_t done_count;
	struct timer timer;
	bool stalled;	    /* a manifest could not be written: again when space_check finds space */
	bool recording;	    /* the record is on its way … */
	struct position at; /* … here */
};

/* A connection without a peer (a fetch, a request that brings bytes): who has it is called instead, with what a peer
 * would be told. */
struct inner {
	void (*started)(struct engine *e, struct conn *c, uint64_t bytes);
	void (*acked)(struct engine *e, struct conn *c, uint64_t bytes); /* NULL: of no interest */
	void (*refused)(struct engine *e, struct conn *c, enum err err); /* an error, or ABORTED: it is detached */
	void (*saved)(struct engine *e, struct conn *c);
	void (*paused)(struct engine *e, struct conn *c, bool paused);
};

/* Requests that bring bytes, and what else is under way about uploads, see uploads.h. */
struct uploads {
	struct list appends;	      /* struct upload_append */
	struct list due;	      /* of them: those with something to be said at the end of the turn */
	struct list looks;	      /* struct upload_look: wait until what came is durable */
	struct list joins;	      /* struct upload_join: final ones that are made of their parts */
	struct upload_append **slots; /* owned; LIMIT_UPLOADS_AT_ONCE of them, NULL until one is needed */
	uint64_t numbers;	      /* rising */
	bool wanted;		      /* something has become due since the last turn */
	uint64_t listening_ms;	      /* since when the server listens */
	struct timer timer;	      /* of the sweep */
	bool looking;
	unsigned at_work; /* transactions, file work and deletions under way */
};

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

/* Who is to hear of changes, see subscriptions.h. */
struct following {
	unsigned count;		   /* connections that follow anything; with 0 nothing is noted */
	struct list alls;	   /* struct follow, of those that follow all */
	struct list ready;	   /* struct follow, of those that may have something to be told */
	struct watch **watches;	   /* a table by id */
	struct list changed;	   /* takes whose change is to be passed on */
	struct list unsettled;	   /* … once it is durable */
	struct list grown_watched; /* takes with more bytes, that somebody follows by id … */
	struct list grown;	   /* … and the others */
	unsigned told;		   /* in the slice that began at … */
	uint64_t slice_ms;
	struct timer timer;
	struct server_figures figures; /* as they were at … */
	uint64_t figures_ms;
};

/* See retention.c. */
struct retention {
	struct timer timer;
	bool looking;	  /* the catalog is asked */
	unsigned at_work; /* originals and recordings that are being removed */
};

/* Shows on air, see shows.h. */
struct shows {
	struct list airs, due; /* struct air */
	unsigned count;
	struct list stops; /* who asked over HTTP to stop one */
	uint64_t stop_next;
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

/* uploads.c, see uploads.h */
void uploads_init(struct engine *e);
void uploads_release(struct engine *e);
void uploads_listening(struct engine *e);
void uploads_turn(struct engine *e);
void uploads_timer(struct engine *e);
void uploads_stop(struct engine *e);
bool uploads_idle(const struct engine *e);
/* Blocking, at the start: what requests that a crash ended had put aside goes. */
enum err uploads_recover(struct engine *e);

/* shows.c, shows_hosts.c; see shows.h */
void shows_init(struct engine *e);
void shows_release(struct engine *e);
enum err shows_recover(struct engine *e);
void shows_listening(struct engine *e);
void shows_turn(struct engine *e);
void shows_timer(struct engine *e, struct timer *timer);
/* There is room again. */
void shows_space_back(struct engine *e);
/* After each step of a take's machine: is it a show's version that begins to end, or failed? */
void shows_look(struct engine *e, struct take *t);
/* Storage failed under a show's version, and the show goes on: true. Any other take is the caller's to end. */
bool shows_failed(struct engine *e, struct take *t, enum err err);
/* Is the version that fails on air all the same? Then its transaction says so. */
bool shows_on_air(const struct engine *e, const struct take *t);
/* A `start` with `show`. */
void shows_start(struct engine *e, struct conn *c, const struct message_start *m, const struct grant *grant);
void shows_stop(struct engine *e, struct conn *c);
/* Is it about the show that it hosts, or asks to host, and the same take? */
bool shows_same(const struct conn *c, const struct message_start *m);
/* The connection leaves its show. */
void shows_left(struct engine *e, struct conn *c);
/* Its take is lost to it: a host stays on air. True: it is not told as an error. */
bool shows_keep(struct engine *e, struct conn *c, const struct take *t, enum err err);
/* `started` or `moved` leaves: from `at` of its stream on it is on air. */
void shows_started(struct engine *e, struct conn *c, uint64_t at);
void shows_moved(struct engine *e, struct conn *c, struct take *t);
/* What a host sends goes to its listeners at once. */
void shows_media(struct engine *e, struct conn *c, struct engine_media media);
/* More of a host waits for storage than is kept. */
void shows_behind(struct engine *e, struct conn *c);

#endif
