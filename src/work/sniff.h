/* Which container it is, judged from the bytes: what a client says of them (ext, mime) is never asked. */
#ifndef HOLDFAST_WORK_SNIFF_H
#define HOLDFAST_WORK_SNIFF_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum container {
	CONTAINER_NONE,
	CONTAINER_WEBM,
	CONTAINER_MATROSKA,
	CONTAINER_MP4, /* and QuickTime, fragmented or not */
	CONTAINER_OGG,
	CONTAINER_WAV,
	CONTAINER_MP3,
	CONTAINER_ADTS,
	CONTAINER_FLAC,
	CONTAINER_COUNT
};

/* How libav calls them, and what a finished file is called. */
struct container_row {
	const char *demuxer, *muxer;
	const char *ext, *video_mime, *audio_mime;
};
const struct container_row *container_row(enum container c);

/* Of what begins at `begin`; nothing at or behind `end` is read. CONTAINER_NONE: none that we know. READ_FAILED. */
enum err sniff(int fd, uint64_t begin, uint64_t end, enum container *out);

/* Of a WAV file: does its header know how long the sound is? A program that writes into a pipe does not: it says 0, or
 * the most that fits, or what it had at first. */
enum err sniff_wav_length(int fd, uint64_t begin, uint64_t end, bool *honest, bool *cut);

/* pread of as much as there is, up to `size`. READ_FAILED. */
enum err sniff_read(int fd, uint64_t at, void *out, size_t size, size_t *got);

/* The length of the frame of MP3 or ADTS that begins with these 7 bytes; 0: none does. */
size_t sniff_frame(enum container c, const uint8_t *h);

#endif
