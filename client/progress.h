/* What `holdfast send` tells: bars on a terminal, plain lines now and then elsewhere, or JSON.
 *
 * On a terminal there is a bar for each file at work and one for all, redrawn in place; what failed is printed above
 * them and stays. Progress goes to standard error, what was saved and all JSON to standard output; where that is a
 * terminal, too, of many files only those are named that failed. */
#ifndef HOLDFAST_CLIENT_PROGRESS_H
#define HOLDFAST_CLIENT_PROGRESS_H

#include "bars.h"

#include <stdio.h>

enum { SHOW_SAMPLES = 16 };

/* Bytes a second, over the last few seconds. */
struct rate {
	struct {
		uint64_t ms, bytes;
	} samples[SHOW_SAMPLES]; /* a ring */
	unsigned next, count;
};

/* One take at work, or a file that is sent by tus. */
struct show_item {
	const char *label, *session;
	struct hf_progress p;
	uint64_t shown; /* bytes that its bar counts */
	bool counted;	/* its size is in the totals */
	const char *error, *note;
	struct rate rate;
	uint64_t told_ms; /* 0: never */
	uint64_t told_safe;
	enum hf_state told_state;
};

struct show_totals {
	size_t files, saved, skipped, failed, left;
	uint64_t bytes;	  /* of all files that are to be sent */
	uint64_t settled; /* of those that have ended */
	uint64_t sent;	  /* made safe by this run, for the rate */
};

/* A file that has ended well. */
struct show_saved {
	const char *label, *session, *id, *sha256, *url; /* sha256, session: NULL if there is none */
	uint64_t bytes;
	unsigned reconnects;
};

struct progress {
	bool json, quiet, terminal, hush; /* hush: what is saved needs no line */
	bool utf8, color;
	bool many;
	struct bars bars;
	struct rate rate;
	uint64_t began_ms, told_ms;
	bool told_waiting;
};

void progress_init(struct progress *s, bool json, bool quiet);
/* How many there are is known; more than one has a bar of its own for all. */
void progress_begin(struct progress *s, size_t files, uint64_t now_ms);
void progress_turn(struct progress *s, struct show_item **items, size_t count, const struct show_totals *totals,
		   uint64_t now_ms);
void progress_saved(struct progress *s, const struct show_saved *saved);
/* Safe since an earlier run. */
void progress_skipped(struct progress *s, const char *label, const char *id);
/* A sentence on a file that will not be saved by this run. */
void progress_failed(struct progress *s, const char *label, const char *why);
/* A sentence that is no failure. */
__attribute__((format(printf, 2, 3))) void progress_note(struct progress *s, const char *format, ...);
/* The end: how many, and again what failed. */
void progress_summary(struct progress *s, const struct show_totals *totals, const char *const *failures,
		      uint64_t now_ms);

#endif
