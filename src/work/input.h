/* One part of a track, open for libav: reads of [begin, end) of a descriptor by pread, and nothing else. No path is
 * ever opened, no protocol allowed, no other demuxer than the one that the bytes asked for. */
#ifndef HOLDFAST_WORK_INPUT_H
#define HOLDFAST_WORK_INPUT_H

#include "work/sniff.h"
#include "work/watch.h"

struct range {
	int fd;
	uint64_t begin, end;
};

struct input {
	struct watch *watch;
	struct range range;
	uint64_t at;	  /* absolute */
	uint64_t *taken;  /* NULL, or where bytes that were read for the first time are counted */
	uint64_t highest; /* read so far, absolute */
	AVFormatContext *format;
	AVIOContext *io;
};

/* `probe`: also reads on until the streams' parameters are known. MEDIA_UNREADABLE: libav does not see that container
 * in it, or no streams; else an error of ours. Nothing is open after an error. */
enum err input_open(struct input *in, struct watch *w, const struct range *range, enum container container, bool probe);
/* Accepts one that is not open. */
void input_close(struct input *in);

#endif
