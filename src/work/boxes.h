/* The boxes of an MP4 file, walked without libav: how many samples its fragments hold (so that the index of the
 * finished file has its place before the media), whether it was cut off, and whether a file that was written is whole.
 */
#ifndef HOLDFAST_WORK_BOXES_H
#define HOLDFAST_WORK_BOXES_H

#include "work/input.h"

struct boxes {
	uint64_t samples; /* of all fragments */
	bool cut;	  /* the last box is longer than what is there */
	bool index_first; /* moov stands before the media */
	bool has_index;
};

/* READ_FAILED, NO_MEMORY, MEDIA_LIMIT (told to stop). */
enum err boxes_walk(struct watch *w, const struct range *range, struct boxes *out);

#endif
