/* Workers in a test's hands: nothing happens but what the test says, and the engine hears of it with the next turn. */
#ifndef HOLDFAST_TESTS_WORKER_RIG_H
#define HOLDFAST_TESTS_WORKER_RIG_H

#include "work/worker.h"

enum { WORKER_RIG_SLOTS = 2 };

struct worker_rig_slot {
	bool there;   /* a process is */
	bool answers; /* to its start, or a ping: with the next turn */
	bool dies;    /* WORKER_GONE with the next turn */
	unsigned starts, pings, kills;
	const struct worker_job *job; /* NULL: none */
};

struct worker_rig {
	struct workers base;
	struct worker_rig_slot slots[WORKER_RIG_SLOTS];
	bool mute;	/* nobody answers */
	bool no_start;	/* a process can't be started */
	bool immortal;	/* one that is killed takes its time */
	unsigned gives; /* jobs so far */
};

void worker_rig_init(struct worker_rig *w);
/* What is pending comes; returns how much that was. */
unsigned worker_rig_turn(struct worker_rig *w);
/* The slot that has a job, -1 if none has. */
int worker_rig_busy(const struct worker_rig *w);
/* Any word of the process in the slot. */
void worker_rig_say(struct worker_rig *w, unsigned slot, enum worker_event_type type, enum err err);
/* Tells the SHA-256 of the tracks of which it is wanted, perhaps a wrong one; false: there is none. */
bool worker_rig_hash(struct worker_rig *w, unsigned slot, bool wrong);
/* … then the tracks one behind the other become the file, and it says so; then thumbnail and waveform, and that it is
 * done. */
void worker_rig_file(struct worker_rig *w, unsigned slot);
void worker_rig_file_only(struct worker_rig *w, unsigned slot); /* without a hash */
void worker_rig_done(struct worker_rig *w, unsigned slot);

#endif
