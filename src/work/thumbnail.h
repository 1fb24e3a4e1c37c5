/* A picture of a finished file: a keyframe near a tenth of it. */
#ifndef HOLDFAST_WORK_THUMBNAIL_H
#define HOLDFAST_WORK_THUMBNAIL_H

#include "work/finished.h"

/* A JPEG into fd; false: there is none, and if there should be one a warning says why. */
bool thumbnail_make(struct watch *w, const struct finished *file, int fd);

#endif
