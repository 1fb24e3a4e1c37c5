/* The recording machine: the life of one unfinished take. Pure: no I/O, clock, lock or global.
 *
 * It decides who is attached (epochs), what is accepted, when a track and the recording are sealed, and runs grace and
 * the other timers. Guarantees: what an older epoch sends is never accepted; nothing is accepted behind a seal; a seal
 * begins only when everything accepted is durable; one change of state is under way at a time.
 *
 * Functions append effects; those that need storage are answered by the function that effect.h names. Times are
 * monotonic ms but for wall_ms. docs: ARCHITECTURE.md, "A take's life". */
#ifndef HOLDFAST_CORE_RECORDING_H
#define HOLDFAST_CORE_RECORDING_H

#include "core/effect.h"
#include "core/model.h"

enum seal_stage {
	STAGE_OPEN,   /* takes bytes */
	STAGE_DRAIN,  /* takes none; waits until all is durable */
	STAGE_SPOOL,  /* is written out, and hashed unless its worker does that */
	STAGE_LOG,    /* its seal is on the way into journal and catalog */
	STAGE_SEALED, /* durable in both, or the recording's claim will tell the catalog */
};

enum recording_busy { BUSY_NONE, BUSY_SEALING, BUSY_DECLARING, BUSY_REOPENING, BUSY_ABORTING, BUSY_DELETING };

/* What a track is at work; what it is stands in info.tracks of the same index. */
struct track_state {
	uint64_t accepted;     /* taken in: in memory or further */
	uint64_t durable;      /* the journal has it */
	uint64_t conn;	       /* attached, 0: nobody */
	uint64_t started_at;   /* with start_pending: what `started` will say once it is durable */
	uint64_t end_deadline; /* with ended: bytes_missing when it passes */
	uint32_t epoch;	       /* raised by every attach */
	enum seal_stage stage;
	enum sealed_by sealing_by;
	bool start_pending, resumed;
	bool part_pending; /* this attachment begins a part: its first byte marks the boundary */
	bool ended;	   /* `end` declared the total on this attachment */
};

struct recording {
	struct recording_info info;
	struct track_state *tracks; /* owned; info.track_count of them */
	enum recording_busy busy;
	enum sealed_by sealing_by;
	enum err seal_error; /* a checksum that did not fit: the claim moves to `error` */
	uint32_t grace_ms;
	uint64_t late_ms;
	bool on_air;		/* a show's present version: its show waits for the host, not the recording itself */
	uint64_t idle_deadline; /* nobody attached: grace, or the end of an empty take; UINT64_MAX: none */
	uint64_t frozen_ms;	/* since when timers stand still (storage full), UINT64_MAX: they run */
};

/* Takes `info` over (it is empty afterwards). Every unsealed track begins at info.tracks[i].bytes, durable.
 * ERR_NO_MEMORY. */
enum err recording_init(struct recording *r, struct recording_info *info, uint32_t grace_ms, uint64_t late_ms);
void recording_release(struct recording *r);

struct attach {
	uint64_t conn;
	const char *track; /* never NULL */
	uint64_t from;	   /* BYTES_UNKNOWN: not said */
	bool part;	   /* its bytes begin a part. An attachment that sends none leaves no boundary */
	bool created;	   /* this very start made the recording: `started` says resumed: false */
	int64_t wall_ms;
};

enum recording_answer {
	ANSWER_DONE, /* the answer stands in the effects, or will come as one */
	ANSWER_WAIT, /* a change of state is under way: ask again after EFFECT_IDLE */
};

/* A connection wants the track. On success it is attached at once: *track is its number; whoever had it is taken over.
 * EFFECT_STARTED follows when everything accepted is durable. *track is EFFECT_NO_TRACK when it was not attached. */
enum recording_answer recording_attach(struct recording *r, const struct attach *a, uint64_t now, uint16_t *track,
				       struct effects *fx);
/* The same connection said `start` again: `started` is repeated. */
void recording_repeat(struct recording *r, uint16_t track, struct effects *fx);

/* `len` bytes came on an attachment of `epoch`. True: they are accepted, at the previous `accepted`. False: they are
 * not; if the client must know, it stands in the effects. */
bool recording_data(struct recording *r, uint16_t track, uint32_t epoch, uint64_t len, uint64_t now,
		    struct effects *fx);
/* The journal has the track up to `bytes`. */
void recording_durable(struct recording *r, uint16_t track, uint64_t bytes, struct effects *fx);

/* The server itself does not read from the attached connection: its silence behind `end` begins anew. */
void recording_unread(struct recording *r, uint16_t track, uint64_t now);
/* `end` on the attachment: declares the total; seals when all is there. sha256: NULL if not given. */
void recording_end(struct recording *r, uint16_t track, uint64_t total, const struct sha256 *sha256, uint64_t now,
		   struct effects *fx);
/* The connection left the track, for whatever reason; nothing happens if it no longer had it. */
void recording_detach(struct recording *r, uint16_t track, uint64_t conn, uint64_t now, struct effects *fx);
/* `abort` on an attachment, or by the server. `reason` is copied. WAIT as for attach; while a seal is under way, too.
 */
enum recording_answer recording_abort(struct recording *r, const char *reason, struct effects *fx);

/* Nobody comes back any more: sealed as by a lost link with what is there, or aborted as `empty`. By itself this comes
 * with the grace; of a show's version its show says when (core/show.h). WAIT as for abort. */
enum recording_answer recording_lapse(struct recording *r, struct effects *fx);
/* A late resume without an attachment: WAIT while it, or another change of state, is under way; DONE: it is open, or
 * there is none. */
enum recording_answer recording_resume_late(struct recording *r, int64_t wall_ms, struct effects *fx);

struct total {
	const char *track; /* never NULL */
	uint64_t bytes;
	const struct sha256 *sha256; /* NULL: not given */
};

enum complete_answer {
	COMPLETE_STARTED,    /* this call seals, or claims an `error` again: answered when EFFECT_IDLE comes */
	COMPLETE_WAIT,	     /* ask again after EFFECT_IDLE */
	COMPLETE_PROCESSING, /* it is queued or at work already */
	COMPLETE_COMPLETE,   /* it is complete already */
	COMPLETE_REFUSED,    /* *err says why */
};

/* What a call of `complete` says. */
struct completion {
	const struct total *totals; /* what must have come, of `count` tracks; the others are taken as they are */
	size_t count;
	int64_t wall_ms;
};

/* Declares the recording complete. Totals are checked in every phase: BYTES_MISSING or TOTAL_MISMATCH changes nothing.
 * A checksum of a track that was sealed without one is kept (EFFECT_PUT_TRACKS, and WAIT), for whoever finishes it.
 * In `error` it is claimed again, but while its job's attempts are used up (job_closed_ms), where storage failed under
 * it, or when it is in quarantine: then *err is the recording's own. */
enum complete_answer recording_complete(struct recording *r, const struct completion *c, enum err *err,
					struct effects *fx);

/* Does the track's seal wait for its SHA-256? Not that of a file over HTTP of which nobody declared one: whoever
 * finishes it reads each byte anyway, and the path of large files is spared it. */
bool recording_hashes(const struct recording *r, uint16_t track);

/* Answers of storage. The track is in its spool; `sha256` NULL: it is sealed without (see above). */
void recording_hashed(struct recording *r, uint16_t track, const struct sha256 *sha256, struct effects *fx);
/* The seal of a track (or with RECORDING_WHOLE of the recording) is durable in the journal. */
enum { RECORDING_WHOLE = 0xffff };
void recording_logged(struct recording *r, uint16_t track, uint64_t now, struct effects *fx);
void recording_tracks_put(struct recording *r, uint16_t track, uint64_t now, struct effects *fx);
/* The transaction is done; `row` is the catalog's view, whoever won. */
void recording_claimed(struct recording *r, const struct recording_info *row, uint64_t now, struct effects *fx);
/* What a job wrote into the row, past this machine. True: a track that was sealed without its SHA-256 got it. */
bool recording_worked(struct recording *r, const struct recording_info *row);
/* No change of state is under way: neither of the whole nor of a track. */
bool recording_at_rest(const struct recording *r);
/* Deletion, of a recording at rest: nothing more is accepted; then, once that is durable, everybody is told. */
void recording_deleting(struct recording *r);
void recording_deleted(struct recording *r, uint64_t now, struct effects *fx);
void recording_reopened(struct recording *r, const struct recording_info *row, uint64_t now, struct effects *fx);
void recording_aborted(struct recording *r, const struct recording_info *row, struct effects *fx);

/* What the whole seal will make of info: phase, revision, sealed_by, interrupted, error. A shallow copy for the journal
 * and the claim; not to be released. */
struct recording_info recording_sealed_view(const struct recording *r, int64_t wall_ms);

/* Storage under the take failed: everybody is told, the phase becomes `error`, nothing more is accepted. Seals that are
 * not hashed never come. Nothing happens once all is hashed: then storage has done its part. */
void recording_poison(struct recording *r, enum err err, struct effects *fx);
/* No space: attached connections are detached with storage_full; the take stays. */
void recording_storage_full(struct recording *r, uint64_t now, struct effects *fx);
/* Timers stand still while storage is full. */
void recording_freeze(struct recording *r, bool frozen, uint64_t now);
/* Everybody is told `err` and detached (a clean stop). */
void recording_detach_all(struct recording *r, enum err err, uint64_t now, struct effects *fx);

/* A full grace from now (after a restart). A seal that only the crash kept from being finished goes on. */
void recording_listen(struct recording *r, uint64_t now, struct effects *fx);
void recording_tick(struct recording *r, uint64_t now, struct effects *fx);
uint64_t recording_next_wake(const struct recording *r);
/* Until it is ended because nobody is attached; UINT64_MAX: it will not be, as things are. */
uint64_t recording_time_left(const struct recording *r, uint64_t now);

bool recording_attached(const struct recording *r);
/* Seals an upload of which all came; nothing happens to any other recording. */
void recording_end_upload(struct recording *r, struct effects *fx);
/* An upload of which all came, sealed or not. A partial one is none. */
bool recording_upload_whole(const struct recording *r);
/* Every track is sealed. */
bool recording_whole(const struct recording *r);

#endif
