/* A recording machine for tests: what it decides becomes one line of text, and storage answers when the test says so.
 *
 * A line is a list of effects in order: "started c1 t0 100 resumed, ack c1 t0 200, saved c1 t0, aborted c1,
 * error c1 sealed 200 (or -), open t0, part t0 100, hash t0, seal t0, seal whole, put t0, claim, reopen, log abort,
 * fail poisoned, idle". */
#ifndef HOLDFAST_TESTS_TAKE_RIG_H
#define HOLDFAST_TESTS_TAKE_RIG_H

#include "core/recording.h"

enum { TAKE_GRACE = 30 * 1000, TAKE_LATE = 24 * 3600 * 1000 };

struct take_rig {
	struct recording r;
	struct effects fx;
	uint64_t now; /* monotonic ms */
	int64_t wall;
	bool logged[LIMIT_TRACKS]; /* the track's seal is durable in the journal */
	char line[1024];	   /* the last that take_rig_line made */
};

/* An unfinished take without tracks; `declared`: names with spaces between, or NULL. Listens at time 1000. */
void take_rig_init(struct take_rig *t, const char *declared);
void take_rig_release(struct take_rig *t);

/* All effects that wait, as text; they are drained. */
const char *take_rig_line(struct take_rig *t);
/* Fails the test when the effects are others. */
#define take_rig_expect(t, wanted) assert_string_equal(take_rig_line(t), wanted)
void take_rig_forget(struct take_rig *t);

/* Returns the track's number, EFFECT_NO_TRACK when it was refused, TAKE_RIG_WAIT when it must wait. */
enum { TAKE_RIG_WAIT = 0xfffe };
uint16_t take_rig_attach(struct take_rig *t, uint64_t conn, const char *track);
/* `len` bytes on the attachment as it stands. */
bool take_rig_data(struct take_rig *t, uint16_t track, uint64_t len);
/* All that was accepted is durable. */
void take_rig_durable(struct take_rig *t, uint16_t track);
void take_rig_end(struct take_rig *t, uint16_t track, uint64_t total);
enum complete_answer take_rig_complete(struct take_rig *t, enum err *err);
/* Time passes in one step, with a tick at its end. */
void take_rig_pass(struct take_rig *t, uint64_t ms);

/* Storage answers; the hash of a track is take_rig_sha(its number). */
struct sha256 take_rig_sha(unsigned value);
void take_rig_hashed(struct take_rig *t, uint16_t track);
void take_rig_logged(struct take_rig *t, uint16_t track);
void take_rig_put(struct take_rig *t, uint16_t track);
void take_rig_claimed(struct take_rig *t);
void take_rig_reopened(struct take_rig *t);
void take_rig_aborted(struct take_rig *t);
/* From the end of a single `main` to its claim, without looking: forgets the effects. */
void take_rig_seal_main(struct take_rig *t);

/* kill -9, and a start with what recovery finds: the durable lengths, and the seals that were logged but for those of a
 * grace or complete that did not come to its end. Then it listens. */
void take_rig_restart(struct take_rig *t);

#endif
