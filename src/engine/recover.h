/* What recover.c and replay.c share: what start-up found, take by take. */
#ifndef HOLDFAST_ENGINE_RECOVER_H
#define HOLDFAST_ENGINE_RECOVER_H

#include "engine/internal.h"

enum { FOUND_TABLE = 4096 };

struct found_track {
	uint64_t len; /* BYTES_UNKNOWN: nothing said so far */
	struct vfs_file *file;
	bool touched;
};

struct found {
	struct found *next;
	struct uuid id;
	struct recording_info info;
	bool known; /* info stands */
	bool bad, deleted;
	bool renamed; /* the catalog knew a newer name */
	bool touched; /* a record named it: its spools and manifest are behind */
	const char *why;
	struct found_track tracks[LIMIT_TRACKS];
};

struct recovery {
	struct engine *e;
	enum err err; /* what stops the recovery */
	struct found *table[FOUND_TABLE];
};

/* Its bytes don't add up: it goes to quarantine. `why` is a fixed text. */
void found_bad(struct found *f, const char *why);
void found_free(struct found *f);
/* The spool, opened; it will be synced. */
enum err found_track_open(struct recovery *r, struct found *f, uint16_t number);

/* Reads the journal into the spools and into r->table. */
enum err recovery_replay(struct recovery *r);

#endif
