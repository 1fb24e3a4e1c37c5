/* The look at a finished file before anybody is told of it. */
#ifndef HOLDFAST_WORK_CHECK_H
#define HOLDFAST_WORK_CHECK_H

#include "work/remux.h"

/* Reads it back: as many packets in each stream as were written, a duration that fits them, the beginning and the end
 * that its container has. *duration_us: as a player reads it. CHECK_FAILED: `watch_explain` says what. */
enum err check_file(const struct take *t, int fd, const struct remuxed *made, int64_t *duration_us);

#endif
