/* A server's lives on a disk that fails and loses power, with two clients that do what real ones would: they start
 * again, send again what was not acked, and remember every promise. At the end each promised byte must be there. */
#ifndef HOLDFAST_TESTS_ENGINE_LIFE_H
#define HOLDFAST_TESTS_ENGINE_LIFE_H

#include "sim/disk.h"
#include "support/engine_rig.h"

struct client {
	const char *session;
	uint64_t conn;
	size_t position;	   /* what the next byte to send is */
	size_t promised;	   /* started, ack and saved said so */
	bool started, saved, lost; /* lost: told that this take goes on no more */
	bool was_saved;		   /* at any time, of `promised` bytes */
	char code[32];		   /* of the newest error, "" for none */
};

struct life {
	struct disk *disk;
	struct engine_rig *g;
	struct client clients[2];
	bool broken;
	const char *label; /* which call fails */
	unsigned nth, lives;
};

/* A new disk, two clients with the takes "a" and "b", and no server yet. `label` and `nth` name the life where it
 * breaks, and are its seed. */
void life_begin(struct life *l, const char *label, unsigned nth);
/* The power fails; the next life has no faults, and everything that was promised. Frees all. */
void life_end(struct life *l, enum disk_loss loss);

/* A promise was broken: the first is printed. */
void life_broken(struct life *l, const char *what, const char *about);
/* The process ends here, with the machine or without it. */
void life_crash(struct life *l, bool power, enum disk_loss loss);
/* Starts a server that stopped, or none yet; faults may keep it from that for a while, but not for ever. */
bool life_is_up(struct life *l);
/* Seconds in which the clients' links are alive. */
void life_pass(struct life *l, unsigned seconds);

void client_start(struct life *l, struct client *c);
void client_leave(struct life *l, struct client *c);
/* Sends in pieces of `piece` until `want` bytes are acked, over as many connections as that takes. */
void client_reach(struct life *l, struct client *c, size_t want, size_t piece);
/* Ends the take with what was sent so far, until it is saved or lost. */
void client_end(struct life *l, struct client *c);

#endif
