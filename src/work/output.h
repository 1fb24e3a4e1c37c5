/* The file that is being made: libav's muxer over pwrite to a descriptor. */
#ifndef HOLDFAST_WORK_OUTPUT_H
#define HOLDFAST_WORK_OUTPUT_H

#include "work/take.h"

struct output {
	struct watch *watch;
	int fd;
	uint64_t at, size, most; /* most: bytes that it may have */
	AVFormatContext *format;
	AVIOContext *io;
	unsigned errors;  /* packets in a row that the muxer refused */
	bool headed;	  /* the header is written */
	bool no_room;	  /* MP4: the index did not fit into the place before the media */
	bool fast_header; /* … which was kept */
};

/* Begins a file for the take's slots in its container. packets: how many there will be at most, as far as is known:
 * an MP4's index gets its place before the media. */
enum err output_open(struct output *out, struct take *t, int fd, uint64_t packets);
/* Writes the packet at hand of `s`. */
enum err output_write(struct output *out, struct take *t, struct source *s);
/* Index, duration, sizes. After MEDIA_UNREADABLE with no_room it may be done again with the true number of packets. */
enum err output_finish(struct output *out);
/* Accepts one that is not open. */
void output_close(struct output *out);

#endif
