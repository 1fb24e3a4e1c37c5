/* The peaks of a finished file's sound. */
#ifndef HOLDFAST_WORK_WAVEFORM_H
#define HOLDFAST_WORK_WAVEFORM_H

#include "work/finished.h"

/* waveform.json into fd; false: there is none, and if there should be one a warning says why. */
bool waveform_make(struct watch *w, const struct finished *file, int fd, unsigned share);

#endif
