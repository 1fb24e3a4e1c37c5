/* What the engine's files about shows share. core/show.h decides, this carries it out:
 *
 *   shows.c        shows in memory, from the catalog and back; effects in their order
 *   shows_store.c  versions begin and end
 *   shows_hosts.c  connections as hosts: start, media to the broadcast, what they are told
 *   shows_prime.c  a broadcast that goes on amid its stream
 *   shows_told.c   what a show shows, to whom
 *
 * Whatever happens calls the show machine at once and leaves its effects to the end of the turn (shows_turn), so that
 * none of them is carried out inside of another. */
#ifndef HOLDFAST_ENGINE_SHOWS_H
#define HOLDFAST_ENGINE_SHOWS_H

#include "core/show.h"
#include "engine/internal.h"
#include "proto/broadcast.h"

/* A show in memory: while it is on air, somebody follows it, or something about it is under way. */
struct air {
	struct show show;
	struct show_effects fx;
	bool loading; /* the catalog is asked */
	unsigned pins;
	struct list link;    /* engine.shows.airs */
	struct list due;     /* engine.shows.due: has effects, or a change to be told */
	struct list waiting; /* struct air_waiter */
	struct list watches; /* struct show_watch */
	struct timer timer;
	struct broadcast *broadcast; /* while it is on air and something came; held */
	uint32_t turn;		     /* whose stream that is (show.turn) */
	uint64_t aired;		     /* listeners have had it up to here */
	uint64_t reached;	     /* a version that failed has its host's stream up to here … */
	uint32_t reached_turn;	     /* … whose that is */
	uint64_t turn_at;	     /* so much had been fed before that host's first byte */
	char *name, *mime, *ext;     /* as its host began; owned, may be NULL */
	int64_t ts;
	bool changed; /* what it shows; followers are to be told */
	unsigned told_listeners;
	uint64_t told_ms;
};

/* Waits until a show is in memory. With an error `air` is NULL. */
struct air_waiter {
	struct list link;
	bool host; /* it wants to go on air: others leave room for it */
	void (*go)(struct engine *e, struct air_waiter *w, struct air *air, enum err err);
};

/* A connection follows a show. */
struct show_watch {
	struct list link; /* follow.shows */
	struct list at;	  /* air.watches */
	struct follow *follow;
	struct air *air;
	struct grant grant;
	bool asked;	/* it subscribed: not only because it is the host */
	bool due;	/* is to be told … */
	bool answering; /* … and then `subscribed` */
};

/* --- shows.c --- */

/* The show, in memory; NULL. `name` need not be valid. */
struct air *air_find(const struct engine *e, const char *name);
/* Gives the waiter the show, from memory or the catalog: now or later. NOT_FOUND: no valid name; BUSY: too many. */
void air_want(struct engine *e, const char *name, struct air_waiter *w);
/* Something was decided: its effects are carried out at the end of this turn. */
void air_due(struct engine *e, struct air *air);
/* The version on air that the take is, or NULL. */
struct air *air_of(const struct engine *e, const struct take *t);

/* --- shows_store.c --- */

void air_begin(struct engine *e, struct air *air, const struct show_effect *fx);
void air_finalise(struct engine *e, struct air *air, const struct show_effect *fx);
void air_mark_off(struct engine *e, struct air *air);
/* Its recording begins to end past the show: the show hears when it has. */
void air_await(struct engine *e, struct air *air, struct take *t);

/* --- shows_hosts.c --- */

/* The effects that are about connections. */
void air_to_conn(struct engine *e, struct air *air, const struct show_effect *fx);
void air_off(struct engine *e, struct air *air);
/* A new host's `start` says what it is called. */
void air_called(struct engine *e, struct air *air);

/* --- shows_prime.c --- */

/* Makes its broadcast, with the header that its version has; what the host sends until then is not heard by anybody,
 * because nobody can be there yet. */
void air_prime(struct engine *e, struct air *air, const struct take *t);
/* The version follows one that failed, and nothing came yet. */
bool air_fresh(const struct take *t);
/* The version follows one that failed, and nothing is in it yet: it begins with the header of the stream that is on
 * air, and with the newest place where that can be played. And with all since then, when the host does not
 * have it any more (`from` lies behind, or BYTES_UNKNOWN): true; else it is told to go on from there. */
bool air_prefill(struct engine *e, struct conn *c, struct air *air, struct take *t, uint64_t from);

/* --- shows_told.c --- */

/* The host hears of its show. */
void air_tell_host(struct engine *e, struct air *air, struct conn *c);
/* Passes on what changed. */
void air_tell(struct engine *e, struct air *air);
/* The regular look: the number of listeners. When it is to come next, UINT64_MAX: never. */
uint64_t air_look(struct engine *e, struct air *air);
/* Answers a `stop` over HTTP; false: the number is none of those. */
bool air_stopped(struct engine *e, struct air *air, uint64_t asker, const struct show_effect *fx);
bool air_stop_refused(struct engine *e, uint64_t asker, enum err err);
/* All that still wait (engine_close). */
void air_stops_end(struct engine *e);

#endif
