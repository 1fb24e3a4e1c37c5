/* Writes short live streams of every container, and keeps beside them which marks a scan must tell of them. The media
 * in them is noise: a scan never looks at it. */
#ifndef HOLDFAST_TESTS_LIVE_RIG_H
#define HOLDFAST_TESTS_LIVE_RIG_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct live {
	struct buf data, want;	   /* want: "H0+12:audio/webm J453 …", a header's begin and length, a join's place */
	size_t header_at, part_at; /* part_at: where the caller tells of a part; 0: it does not */
	uint32_t seed, time;
};

void live_init(struct live *l);
void live_release(struct live *l);
void live_bytes(struct live *l, const void *data, size_t len);
/* Noise without anything in it that a container could begin with. */
void live_noise(struct live *l, size_t len);
void live_header_begin(struct live *l);
void live_header_end(struct live *l, const char *mime);
void live_join(struct live *l);

/* Sizes of elements are written, or left open as recorders in browsers do it. */
void webm_header(struct live *l, bool video, bool sized);
void webm_cluster(struct live *l, size_t size); /* 0: open */
void webm_block(struct live *l, unsigned track, bool keyframe, size_t len);
void webm_group(struct live *l, unsigned track, bool refers, size_t len);
/* A Cluster of `blocks` blocks of sound of track 1. */
void webm_sound(struct live *l, unsigned blocks, size_t len);

enum { SYNC = 0x02000000, NOT_SYNC = 0x01010000 };

/* What says whether the first sample of a fragment is a sync sample. */
enum mp4_says { SAYS_TREX, SAYS_TFHD, SAYS_FIRST, SAYS_SAMPLE };

void mp4_box(struct live *l, const char *type, const void *data, size_t len);
void mp4_header(struct live *l, bool video, uint32_t usual_flags);
/* Sound alone, in track 1; or with video, in track 2, before it. `base`: tfhd names its data's place in the stream. */
void mp4_fragment(struct live *l, bool base);
void mp4_video(struct live *l, enum mp4_says says, uint32_t flags);

enum { OGG_CONTINUES = 1, OGG_BEGINS = 2, OGG_ENDS = 4 };

/* A page of one packet that begins with `begin`, then noise up to `len` bytes; open: it goes on in the next page. */
struct ogg_page {
	uint32_t serial;
	uint8_t flags;
	uint64_t granule;
	const char *begin;
	size_t begin_len, len;
	bool open;
};
void ogg_page(struct live *l, const struct ogg_page *page);
void ogg_opus(struct live *l, uint32_t serial);

void mp3_frames(struct live *l, unsigned count);
void adts_frames(struct live *l, unsigned count);
void id3_tag(struct live *l, size_t len);

#endif
