/* What the rest of the engine sees of fetching.c, notifying.c and pushing.c: its work with the outside world. */
#ifndef HOLDFAST_ENGINE_OUTSIDE_H
#define HOLDFAST_ENGINE_OUTSIDE_H

#include "base/buf.h"
#include "base/timer.h"
#include "engine/authorities.h"
#include "engine/engine.h"

struct conn;

enum { TIMER_FETCH_SLOT = 100, TIMER_FETCHES, TIMER_NOTIFIES, TIMER_PUSHES, TIMER_PUSH_SLOT, TIMER_PUSH_SWEEP };

/* What a fetch does next, when its timer is due. */
enum fetch_next {
	FETCH_NEXT_NONE,
	FETCH_NEXT_ATTACH,   /* to its take */
	FETCH_NEXT_TRANSFER, /* the transfer begins, or goes on behind a drop */
	FETCH_NEXT_DONE,     /* its bytes are sealed */
	FETCH_NEXT_FAIL,     /* with `err` and `message` */
	FETCH_NEXT_DROP,     /* nobody wants it any more: the job is not ours, or is gone */
};

/* One fetch job at work: an in-process client of the engine's own append path. Its connection is a struct conn as any,
 * but what would be sent to a peer comes to fetching.c. */
struct fetch_slot {
	struct engine *engine;
	bool used;
	uint64_t number; /* rising: names this use of the slot, and its transfer */
	struct job_key key;
	struct uuid recording;
	char *url;	 /* owned */
	char *validator; /* owned: of the bytes that are there, NULL: none */
	uint64_t conn;	 /* 0: none */
	enum fetch_next next;
	uint64_t next_ms, renew_ms, began_ms;
	enum err err;
	char *message; /* owned */
	uint64_t retry_after_ms;
	bool ending; /* the transaction that ends it is under way */
	/* of the transfer */
	bool transferring, ended, pausing;
	uint64_t at;	   /* the track's length with all that came */
	uint64_t at_begin; /* when the transfer began */
	uint64_t total;
	unsigned resumes;
	/* the source's beginning compared with what is there: of a source without ranges, or one that may have changed
	 */
	bool comparing, reading;
	uint64_t compared, had, reader;
	char *new_validator; /* owned: what the bytes have when they are found to be the same */
	struct buf pending;
	struct timer timer;
};

struct fetching {
	struct fetch_slot slots[LIMIT_FETCHES];
	uint64_t numbers;
	bool wanted, claiming; /* a job may be due; one claim at a time */
	struct timer timer;    /* the next job is due */
};

/* A webhook's job at work: the events of its recording leave one after the other. */
struct notify_slot {
	struct engine *engine;
	bool used, sending;
	uint64_t number; /* rising: names this use of the slot, and its deliveries */
	struct job_key key;
	struct uuid recording;
	int64_t seq; /* of the event that is on its way */
	/* what its receiver said: the next turn, which knows how late it is, writes it down */
	bool answered;
	enum err err;
	char *message; /* owned */
	uint64_t retry_after_ms;
};

struct notifying {
	struct notify_slot slots[LIMIT_NOTIFIES];
	uint64_t numbers;
	bool wanted, claiming;
	struct engine_watch watch; /* of the outbox */
	struct timer timer;
};

struct pushing;

/* fetching.c */
void fetching_init(struct engine *e);
void fetching_release(struct engine *e);
void fetching_listening(struct engine *e);
void fetching_stop(struct engine *e);
bool fetching_idle(const struct engine *e);
/* Somebody asked for what is fetched on demand, or for what failed before; or a job was made. */
void fetching_want(struct engine *e, const struct uuid *id);
/* Takes jobs while there is room for them. At the end of each turn. */
void fetching_turn(struct engine *e);
void fetching_slot_timer(struct timer *timer);
void fetching_timer(struct engine *e);
/* Of a running job that is ours: per mille; false: it isn't. */
bool fetching_progress(const struct engine *e, const struct job_key *key, unsigned *per_mille);

/* notifying.c */
void notifying_init(struct engine *e);
void notifying_release(struct engine *e);
void notifying_listening(struct engine *e);
void notifying_stop(struct engine *e);
bool notifying_idle(const struct engine *e);
void notifying_turn(struct engine *e);
void notifying_timer(struct engine *e);

/* pushing.c */
void pushing_init(struct engine *e);
void pushing_release(struct engine *e);
void pushing_free(struct engine *e);
void pushing_listening(struct engine *e);
void pushing_stop(struct engine *e);
bool pushing_idle(const struct engine *e);
/* What was parked is queued again. */
void pushing_retry(struct engine *e);
/* What was published may have a push job. */
void pushing_published(struct engine *e);
/* The catalog cancelled the recording's pushes (late resume, deletion). */
void pushing_fence(struct engine *e, const struct uuid *recording);
void pushing_turn(struct engine *e);
void pushing_slot_timer(struct timer *timer);
void pushing_timer(struct engine *e);
void pushing_sweep_timer(struct engine *e);

#endif
