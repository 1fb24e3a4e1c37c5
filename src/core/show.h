/* The show machine: a named place on air, from one host's first start to the end of the last version. Pure: no I/O,
 * clock, lock or global.
 *
 * Each time a show goes live it gets a recording, its next version. Here is decided who is its host, which version is
 * the present one, when one begins and when it ends. Guarantees: show_host alone makes sure that a recording has begun,
 * and one function behind show_stop, show_tick, a takeover, a failure and a restart ends it, so that each version is
 * asked to be finalised once for each time it was begun; the next one begins only after that; what one host sends is
 * never appended to another's version; a lost link has its whole grace; every question is answered once, or its asker
 * left.
 *
 * Functions append effects, in the order in which they are to be carried out. Times are monotonic ms but for wall_ms.
 */
#ifndef HOLDFAST_CORE_SHOW_H
#define HOLDFAST_CORE_SHOW_H

#include "base/err.h"
#include "base/id.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 1 to LIMIT_SHOW_CHARS of A-Z a-z 0-9 - _ . and no dot in front: it stands in URLs, where "." and ".." are resolved.
 */
bool show_name_valid(const char *name);

enum show_state {
	SHOW_OFF,
	SHOW_STARTING, /* its first version is being begun: to everybody else it is off */
	SHOW_LIVE,     /* its host is attached */
	SHOW_WAITING,  /* the host's link is lost, in its grace */
};

/* The present version. */
enum show_take {
	SHOW_TAKE_NONE, /* off, or the first one of this host is being begun */
	SHOW_TAKE_RECORDING,
	SHOW_TAKE_FAILED, /* its storage failed: on air without a recording until the next one begins */
};

/* What the storage of a version is being asked for. */
enum show_begin {
	SHOW_BEGIN_NONE,
	SHOW_BEGIN_FIRST, /* of a host that came: its answer waits for it */
	SHOW_BEGIN_AGAIN, /* … which goes on with the last version, that only a lost link ended */
	SHOW_BEGIN_NEXT,  /* after a failure: the show is on air meanwhile */
};

enum show_why {
	SHOW_WHY_NONE,
	SHOW_WHY_STOP,
	SHOW_WHY_GRACE,
	SHOW_WHY_TAKEOVER,  /* another host, or another take of the same one */
	SHOW_WHY_FAILED,    /* its storage */
	SHOW_WHY_ELSEWHERE, /* the recording was ended past the show: `end`, `complete`, an abort, a deletion */
};

/* The engine's part, effect by effect. A version is an ordinary recording (core/recording.h) with three more facts in
 * its row, its journal record and its manifest: show, version and `first`. (show, version) is UNIQUE, and there is a
 * table shows (name, version, failed): the newest number ever given, so that a deleted version's is not given again;
 * and the version that failed under a show which is on air nevertheless, else 0. All else a restart takes from the
 * rows.
 *
 * The recording has no grace of its own: in recording.c a version waits for nobody, as what is fetched does, because
 * its show does; a version without bytes is no exception. Nor does the show's grace stand still while storage is full:
 * the broadcast needs none. A show is never detached by recording_storage_full: a version that can't be written to has
 * failed. A clean stop of the server detaches hosts (show_detached), stops ticking shows, and ends none. */
enum show_effect_type {
	/* One transaction inserts the row of `version` for show->principal and sets shows.version; then its `open`
	 * record and its file: show_begun, or show_begin_failed when there is no row. What fails behind the row is
	 * show_begun, then show_recording_failed. `named`: it takes show->session for its sessionId; else it has none
	 * (the host's own name is an earlier version's, which failed). Names stand in the show until it is answered.
	 * If that is taken, show_begin_failed says EXISTS. `again`: instead, the late resume of recording `id`;
	 * show_begin_failed if it has none. Crash before the transaction: nothing is left, the host asks again. Behind
	 * it: the row is unfinished, and the show waits for its host. */
	SHOW_EFFECT_BEGIN,
	/* Recording `id` is to be ended; show_finalised when that is durable, as recording_complete's COMPLETE_STARTED
	 * is: also when it was ended already. STOP: recording_complete without totals. GRACE, TAKEOVER: sealed as by a
	 * lost link, interrupted, so that what its client still holds may come later; without bytes it is aborted as
	 * `empty`. FAILED: recording_poison with `err`, and its transaction sets shows.failed. Crash before the
	 * transaction: the row is unfinished, and the show has a full grace, or, if a newer version stands,
	 * show_restore asks for it again. A seal that is in the journal is claimed by recovery, before that. */
	SHOW_EFFECT_FINALISE,
	/* Write shows.failed = 0, behind FINALISE's transaction: the show went off while its version had failed, and no
	 * row says so. Crash before it: the show waits for one grace, and this comes again. */
	SHOW_EFFECT_MARK_OFF,
	/* What show_view shows is another: tell followers (when what it shows is durable). */
	SHOW_EFFECT_STATUS,
	/* conn is the host no more. TAKEN_OVER: detach it and tell it so (recording_attach would, of the version that
	 * it is attached to: detach it first). OK: the show was ended; its recording's `saved` tells it, or, when
	 * nothing was being recorded, the engine: `stopped`. */
	SHOW_EFFECT_RELEASE,
	/* From the next boundary on, the bytes of conn, the host, go to version `version`, `id`, headers first. */
	SHOW_EFFECT_MOVE,
	/* Answers to show_host. */
	SHOW_EFFECT_HOSTED,   /* conn is the host: attach it to `id`. Not `recording`: to the broadcast alone */
	SHOW_EFFECT_ORDINARY, /* its take is not on air and does not go on air: a `start` as if without show */
	SHOW_EFFECT_REFUSED,  /* `err`; also of show_stop when too much waits (the show is stopped all the same) */
	/* Answer to show_stop: the last version, 0 if there never was one. */
	SHOW_EFFECT_STOPPED,
};

struct show_effect {
	enum show_effect_type type;
	enum show_why why;
	enum err err;
	uint32_t version;
	uint32_t first; /* with BEGIN */
	uint64_t conn;
	struct uuid id;
	bool recording, again, named;
};

struct show_effects {
	struct show_effect *items; /* owned */
	size_t count, capacity, next;
};

/* As effects_* of effect.h. */
void show_effects_init(struct show_effects *fx);
void show_effects_release(struct show_effects *fx);
const struct show_effect *show_effects_drain(struct show_effects *fx);

struct show_ask; /* a question that waits */

struct show {
	char name[LIMIT_SHOW_CHARS + 1];
	uint32_t grace_ms;
	bool takeover; /* another principal takes over; else it is refused */

	enum show_state state;
	enum show_take take;
	enum show_begin begin;	   /* under way; the version is show_beginning */
	bool begin_named;	   /* it takes `session` */
	enum show_why begin_ended; /* it is to be ended as soon as it has begun */

	uint32_t version;	/* the newest one that began */
	struct uuid id;		/* of that */
	uint32_t version_first; /* of that: what `first` was */
	uint32_t first;		/* the first version of the take on air (more if storage failed), began or not */
	enum show_why ended;	/* of `version`; NONE: it is the present one */
	bool settled;		/* … and that is durable. True without a version */
	enum err error;		/* with SHOW_TAKE_FAILED */

	char principal[LIMIT_PRINCIPAL_CHARS + 1]; /* the present or last host; "" if its version never began */
	char *session;				   /* owned; the host's name for its take, NULL: it gave none */
	bool session_used;			   /* a recording has it */
	uint32_t turn;				   /* raised with each new host */
	uint64_t conn;				   /* the host's, 0: none */
	int64_t since_ms;			   /* wall clock; on air since then */

	uint64_t grace_deadline; /* with WAITING; UINT64_MAX: the server does not listen yet */
	uint64_t begun_at, retry_at;
	uint32_t retry_ms;
	bool space;  /* storage is said to be back */
	bool marked; /* shows.failed names `version` */

	struct show_ask *asks; /* owned, in their order */
	uint32_t ask_count;
};

/* `name` is valid. grace_ms: what a lost link has. takeover: see struct show. */
void show_init(struct show *s, const char *name, uint32_t grace_ms, bool takeover);
void show_release(struct show *s);

/* What the catalog knows of a version after a restart. */
struct show_past {
	uint32_t version, first; /* as its row has them */
	struct uuid id;
	const char *principal, *session; /* copied. session: of `first`; NULL if it had none */
	int64_t since_ms;		 /* first's creation, wall clock */
	enum show_take take; /* RECORDING: unfinished. FAILED: `marked`, and not ended. NONE: it has ended … */
	enum show_why ended; /* … by that: GRACE for what grace or a takeover sealed */
	enum err error;	     /* with FAILED */
	bool marked;	     /* shows.failed names it; what is off air loses that mark, as if it had just ended */
};

/* Before the server listens: each unfinished version and the newest one, the oldest first. An older one that is
 * unfinished is asked to be finalised. If shows.version is above all rows (they were deleted), it is given as ended by
 * ELSEWHERE, of principal "" and with no id. ERR_NO_MEMORY: nothing has changed. */
enum err show_restore(struct show *s, const struct show_past *past, struct show_effects *fx);
/* The server listens: who was on air has a full grace from now. Behind it show_space_back, if there is space. */
void show_listen(struct show *s, uint64_t now);

struct show_start {
	uint64_t conn;	       /* not 0 */
	const char *principal; /* never NULL */
	const char *session;   /* copied; the client's own name for its take. NULL: none */
	/* The version of this show that (principal, session) is, as the catalog or the takes in memory have it; 0:
	 * none. A take of that name which is none of this show's is not asked about here. */
	uint32_t version;
	int64_t wall_ms;
};

/* A host starts or comes back. Answered by HOSTED, ORDINARY or REFUSED: now, or when the recording has begun.
 * - Nobody is on air: a new version begins. But a take that a lost link ended goes on as its own version (late resume).
 * - The host itself (same principal, same take or none named): it is attached; a former connection is taken over.
 * - Its principal with another take: a new version, the old one is finalised at once. While the version has failed
 *   there is nothing to finalise, and the next one will be the new take's.
 * - Another principal: SHOW_ON_AIR, or takes over in the same way, unless that could not be recorded: the failed
 *   version's error. The host that is on air stays on air.
 * A position that the engine would refuse (`from`) is best refused before: a takeover can't be taken back. */
void show_host(struct show *s, const struct show_start *start, uint64_t now, struct show_effects *fx);
/* The connection left, was detached or failed to attach. Its unanswered starts are forgotten. */
void show_detached(struct show *s, uint64_t conn, uint64_t now, struct show_effects *fx);
/* Ends the show at once and refuses hosts that wait (SHOW_STOPPED). Answered when the version's end is durable; off air
 * with the last one. */
void show_stop(struct show *s, uint64_t conn, struct show_effects *fx);

/* Answers of storage. */
void show_begun(struct show *s, const struct uuid *id, uint64_t now, struct show_effects *fx);
void show_begin_failed(struct show *s, enum err err, uint64_t now, struct show_effects *fx);
/* What concerns a version that is not the present one any more changes nothing. */
void show_recording_failed(struct show *s, uint32_t version, enum err err, uint64_t now, struct show_effects *fx);
/* The recording begins to end past the show (`end` with all its bytes, `complete`, abort, deletion): no FINALISE is
 * asked for; show_finalised follows. */
void show_ended(struct show *s, uint32_t version, struct show_effects *fx);
void show_finalised(struct show *s, uint32_t version, uint64_t now, struct show_effects *fx);
/* Storage takes bytes again, whatever the failure was. The next version begins when a host is attached, and no earlier
 * than LIMIT_SHOW_RETRY_FIRST_MS behind the failure, doubled with each that follows soon. */
void show_space_back(struct show *s, uint64_t now, struct show_effects *fx);

void show_tick(struct show *s, uint64_t now, struct show_effects *fx);
uint64_t show_next_wake(const struct show *s);

/* Off, and nothing is under way: all that it knows stands in the catalog, so it may leave memory. When somebody asks
 * for it, show_restore of the newest version brings it back. */
bool show_at_rest(const struct show *s);
/* The version that is being begun, 0: none. */
uint32_t show_beginning(const struct show *s);

/* What others see of it: a change is one SHOW_EFFECT_STATUS. */
struct show_view {
	enum show_state state; /* never STARTING */
	enum show_take take;
	enum err error;
	uint32_t version; /* present or last, 0: none; of a new host: none yet while take is NONE */
	uint32_t turn;	  /* another host, another turn */
};
struct show_view show_view(const struct show *s);

#endif
