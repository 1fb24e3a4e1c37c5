/* The stream copy: all tracks into one file. */
#ifndef HOLDFAST_WORK_REMUX_H
#define HOLDFAST_WORK_REMUX_H

#include "work/take.h"

struct remuxed {
	uint64_t bytes;
	int64_t duration_us;		       /* of what was written */
	uint64_t packets[LIMIT_MEDIA_STREAMS]; /* of each stream of the file, in its order */
	unsigned stream_count;
};

/* Writes fd. Progress up to `share` per mille. NO_FILE: not one packet could be read. */
enum err remux(struct take *t, int fd, unsigned share, struct remuxed *out);

#endif
