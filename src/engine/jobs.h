/* What the jobs*.c files share; not for others.
 *
 *   jobs.c          the slots: processes started ahead, asked whether they live, killed when they don't; who claims
 *   jobs_lease.c    one lease, from the claim to its end: files, the worker's word, sealing, publishing
 *   jobs_record.c   … its transactions
 *   jobs_word.c     … what its worker says
 *   jobs_sweep.c    jobs that nobody works on, the queue's figures, when the next one is due
 *
 * A slot has a process; a lease has a job. They meet while the process works on it. Each ends by its own: a process
 * that is killed still holds the files until it is gone, a lease goes on with what its worker finished. */
#ifndef HOLDFAST_ENGINE_JOBS_H
#define HOLDFAST_ENGINE_JOBS_H

#include "engine/internal.h"
#include "store/media.h"
#include "work/worker.h"

enum process {
	PROCESS_NONE,
	PROCESS_STARTING,
	PROCESS_IDLE,
	PROCESS_PINGED,
	PROCESS_CLAIMING, /* a lease is being taken for it */
	PROCESS_LEASED,	  /* it has one: files are being opened for it, or it works */
	PROCESS_OVER,	  /* it said its last word and is expected to go */
	PROCESS_KILLED,
};

struct slot {
	struct engine *engine;
	unsigned number;
	enum process process;
	bool heard;	   /* since the last turn: when that was is known then */
	bool served;	   /* this process gave a sign of life while it had a job */
	unsigned failures; /* processes in a row that came to nothing */
	bool told;	   /* of those, in the log */
	uint64_t heard_ms;
	struct lease *lease;
	struct timer timer;
};

enum lease_stage {
	LEASE_WAITS,	 /* for an earlier lease on the same recording to be over */
	LEASE_OPENED,	 /* its files are there */
	LEASE_GIVEN,	 /* the worker writes the file, or has */
	LEASE_SEALED,	 /* the file is durable, under the attempt's own name */
	LEASE_PUBLISHED, /* the row has it; the worker makes thumbnail and waveform, or has */
	LEASE_FINISHED,	 /* those are durable too */
	LEASE_OVER,	 /* nothing of it changes the job any more */
};

struct lease {
	struct list link; /* jobs.leases */
	struct task task;
	struct engine *engine;
	struct slot *slot; /* NULL: the process is gone, or was never needed */
	enum lease_stage stage;
	bool busy;			  /* a task or a transaction that moves it on is under way */
	bool renewing;			  /* … one that renews it */
	bool opened;			  /* `attempt` is to be closed */
	bool given, hashed, filed, ended; /* the worker has the job; said HASHED, FILE, DONE */
	bool published;
	bool poor;   /* it ends with the file alone: the rest came to nothing */
	bool fenced; /* its epoch is over: nothing of it counts */
	struct job_key key;
	struct job_info job;	    /* as it was claimed */
	struct recording_info info; /* likewise: the tracks' names and lengths stay while the worker reads them */
	struct media_attempt attempt;
	struct worker_job given_job;
	struct worker_track tracks[LIMIT_TRACKS];
	uint16_t numbers[LIMIT_TRACKS]; /* of those tracks: their place in the recording */
	unsigned wanted;		/* of so many the worker is to find the SHA-256 */
	struct track_hash hashes[LIMIT_TRACKS];
	unsigned hash_count;
	uint32_t keep;		     /* the revision that is published, by this lease or before */
	struct media_info file, end; /* what the worker said with FILE, with DONE */
	char *file_warnings, *end_warnings;
	enum err failure; /* why it comes to nothing, ERR_OK: it may yet succeed */
	char *failure_message;
	enum err err; /* of the task */
	uint64_t reserve;
	unsigned progress;
	unsigned told_progress;
	uint64_t since_ms, renewed_ms, told_ms;
};

/* jobs.c */
void slot_kill(struct slot *s);
/* The next sign of life is waited for from now on, by what it does. */
void slot_arm(struct slot *s);
/* A lease that needed no worker gives it back. */
void slot_release(struct slot *s);

/* jobs_lease.c. Takes `job` and `row` over; `slot` NULL: its process has died meanwhile. */
void jobs_log(const char *event, const struct uuid *recording); /* a warning */
/* No job is claimed for a while. */
void jobs_no_room(struct engine *e, const struct uuid *recording);
void lease_new(struct engine *e, struct slot *slot, struct job_info *job, struct recording_info *row);
void lease_event(struct lease *l, const struct worker_event *event);
void lease_gone(struct lease *l, const struct worker_event *event);
/* Why it comes to nothing; the first reason stands. */
void lease_fail(struct lease *l, enum err err, const char *message);
/* Does what is next, unless something is under way. */
void lease_advance(struct lease *l);
void lease_turn(struct lease *l);
/* Frees it whatever is open (engine_close). */
void lease_drop(struct lease *l);

/* jobs_record.c: transactions; each comes back by lease_advance, but for the renewal. */
void lease_publish(struct lease *l);
void lease_done(struct lease *l);
void lease_failed(struct lease *l);
void lease_renew(struct lease *l);
/* Of a job that nobody works on. */
void job_give_up(struct engine *e, const struct job_info *job);

/* jobs_sweep.c */
/* Counts and what else is known of the queue changed. */
void jobs_look_soon(struct engine *e);
/* A job is due in so long. */
void jobs_due_in(struct engine *e, int64_t ms);
struct lease *jobs_find(const struct engine *e, const struct job_key *key);

#endif
