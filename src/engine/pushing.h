/* What the pushing*.c files share; not for others.
 *
 *   pushing.c        the slots, whose jobs they have; what the pusher says
 *   pushing_jobs.c   the jobs in the catalog: taken, renewed, ended; what is there to be pushed
 *   pushing_steps.c  one push, from looking whether it is there to the bucket's confirmation
 *   pushing_read.c   the file: opened, hashed, and read for the pusher, on the pool lane
 *   pushing_sweep.c  uploads that nobody goes on with
 */
#ifndef HOLDFAST_ENGINE_PUSHING_H
#define HOLDFAST_ENGINE_PUSHING_H

#include "engine/internal.h"
#include "work/pusher.h"

enum { PUSH_SHA256_TEXT = 65 };

/* What a step came to: a copy, as the pusher's own is gone by the next turn. */
struct push_answer {
	enum err err;
	char *message; /* owned, as the lists */
	uint64_t retry_after_ms;
	char *upload;
	char etag[LIMIT_PUSH_ETAG_CHARS + 1], sha256[PUSH_SHA256_TEXT];
	uint64_t bytes;
	struct push_part *parts;
	size_t part_count;
	struct push_upload *uploads;
	size_t upload_count;
	bool more;
};

/* Who has one step at a time under way: a push, or the sweep. */
struct push_asker {
	uint64_t step; /* at work; 0: none */
	bool answered; /* … it was, and `answer` is what came of it */
	struct push_answer answer;
};

/* Aborts all uploads of one key: listed page by page, and then one after the other. */
struct push_clearing {
	struct push_upload *uploads; /* owned: of the page */
	size_t count, at;
	bool listed, more, done;
	struct push_upload *after; /* owned: the page's last */
};

/* The file that is pushed; closed when neither its push nor a read on the lane has it any more. */
struct push_file {
	struct vfs_file *file;
	unsigned users;
};

enum push_stage {
	PUSHING_OPEN,  /* its file */
	PUSHING_HASH,  /* … whole */
	PUSHING_LOOK,  /* is it there? By length and checksum: that is also what confirms it at the end */
	PUSHING_LIST,  /* which parts are there, of those that were written down */
	PUSHING_CLEAR, /* what an earlier attempt began and nobody wrote down */
	PUSHING_BEGIN, /* that an upload begins is written down before it does … */
	PUSHING_CREATE,
	PUSHING_CREATED, /* … and its id when it has */
	PUSHING_WHOLE,	 /* it goes in one piece */
	PUSHING_PART,	 /* the next part that is not there: hashed, then sent */
	PUSHING_PARTED,	 /* … and written down */
	PUSHING_COMPLETE,
	PUSHING_STAGES
};

struct push_slot {
	struct engine *engine;
	bool used;
	uint64_t number; /* rising: names this use of the slot */
	struct job_key key;
	struct uuid recording;
	struct media_info media;
	bool has_sealed_sha256; /* of a file that is published as it came, its seal's */
	char sealed_sha256[PUSH_SHA256_TEXT];
	struct catalog_push push; /* as the catalog has it */
	struct push_plan plan;
	struct push_file *file; /* NULL until it is open */
	enum push_stage stage;
	bool busy;     /* a task or a transaction that moves it on is under way */
	bool ending;   /* the transaction that ends it is */
	bool sent;     /* all of it, in this attempt */
	bool anew;     /* the bucket had forgotten its upload, once in this attempt */
	bool *there;   /* owned, of plan.parts: it is in the bucket and written down */
	unsigned part; /* the one at work, from 0 */
	bool part_hashed;
	uint8_t sha256[32]; /* of what was hashed last */
	struct catalog_push_part parted;
	struct push_asker asker;
	struct push_clearing clearing;
	uint64_t renew_ms, began_ms;
	struct timer timer;
};

struct push_sweep {
	struct catalog_sweep row; /* id 0: none is at work */
	bool looking;		  /* the catalog is asked, or told */
	bool wanted;
	struct push_asker asker;
	struct push_clearing clearing;
	struct timer timer;
};

struct pushing {
	struct push_slot slots[LIMIT_PUSHES];
	struct push_sweep sweep;
	uint64_t numbers, steps;
	unsigned tasks;			 /* on the lane */
	bool wanted, claiming, queueing; /* a job may be due; one claim at a time; older ones are being queued */
	bool closing;			 /* the engine is */
	unsigned failures;		 /* of the bucket, in a row … */
	uint64_t pause_ms;		 /* … so that nothing is claimed before this: one knocks for all */
	struct timer timer;
};

/* pushing.c */
struct push_slot *pushing_slot(struct engine *e, uint64_t number);
void pushing_close(struct push_slot *s);
void pushing_rearm(struct push_slot *s);
/* Begins a step: id and time are set here. */
void pushing_ask(struct engine *e, struct push_asker *a, struct push_step step);
void pushing_ask_no_more(struct engine *e, struct push_asker *a);
void pushing_answer_release(struct push_answer *a);
/* What is next, when no step is at work; with an answer: what it means. False: err and message of the answer say why it
 * can't go on. */
void pushing_clear_next(struct engine *e, struct push_asker *a, const struct push_clearing *c, const char *key);
bool pushing_clear_take(struct push_clearing *c, const struct push_answer *answer, const char *key);
void pushing_clear_release(struct push_clearing *c);
/* The bucket works. */
void pushing_works(struct engine *e);

/* pushing_jobs.c */
void pushing_claim(struct engine *e);
void pushing_renew(struct push_slot *s);
/* Writes s->push, or s->parted, and then goes on with `next`. */
void pushing_put(struct push_slot *s, enum push_stage next);
void pushing_put_part(struct push_slot *s, enum push_stage next);
/* The end of this attempt: ERR_OK, the bucket has it; else why not. */
void pushing_finish(struct push_slot *s, enum err err, const char *message, uint64_t retry_after_ms);
/* What was refused before, and what is complete and has no push: queued. */
void pushing_queue(struct engine *e);

/* pushing_steps.c */
void pushing_step(struct push_slot *s);

/* pushing_read.c. Each calls pushing_turn's next look at the slot by clearing `busy`. */
void pushing_open(struct push_slot *s);
void pushing_hash(struct push_slot *s, uint64_t offset, uint64_t len);
/* For the pusher: what the step asked for is read and fed. */
void pushing_read(struct push_slot *s, uint64_t offset, size_t len);
void pushing_file_put(struct engine *e, struct push_file *f);

/* pushing_sweep.c */
void pushing_sweep_turn(struct engine *e);
void pushing_sweep_stop(struct engine *e);

#endif
