/* A recording's tracks on their way into one file: its tracks' parts one behind the other (source), and the streams of
 * the file that they become (slot). */
#ifndef HOLDFAST_WORK_TAKE_H
#define HOLDFAST_WORK_TAKE_H

#include "work/input.h"

#include <libavcodec/packet.h>

#define SLOT_NONE UINT8_MAX

/* A stream of the file that is being made. */
struct slot {
	AVCodecParameters *par;	     /* owned */
	AVDictionary *metadata;	     /* owned */
	AVPacketSideData *side_data; /* owned, its data too */
	int side_data_count;
	AVRational time_base, frame_rate, aspect; /* as it came in */
	int disposition;
	unsigned track, ordinal; /* the n-th of its kind in its track */
	unsigned part;		 /* the last that had it */
	bool dropped;		 /* no container for it */
	/* while it is written */
	AVStream *stream;
	uint64_t packets;
	int64_t last_dts, last_us; /* of the file's clock; AV_NOPTS_VALUE before the first */
	int64_t longest_us;	   /* the longest packet */
};

/* A stretch of a track that begins with its own container header. */
struct part {
	struct range range;
	enum container container;
	uint64_t samples; /* 0: not known */
	int64_t start_us; /* its own first time; AV_NOPTS_VALUE: not known */
	uint8_t stream_count;
	uint8_t slots[LIMIT_MEDIA_STREAMS]; /* of its streams, or SLOT_NONE */
};

/* A track: its parts in time, a packet at hand. */
struct source {
	struct part *parts;	 /* owned; those that are media */
	unsigned part_count, at; /* the one that is read */
	struct input input;
	bool open;
	AVPacket *packet; /* owned; the next one, if `has` */
	bool has;
	struct slot *slot;    /* of the packet */
	AVRational time_base; /* of the packet */
	int64_t time_us;      /* when it is due: never goes back */
	int64_t offset_us;    /* added to the present part's times */
	int64_t end_us;	      /* of all that came before */
	int64_t last_pos;     /* where in the part the last packet stood; -1: not known */
	unsigned errors;      /* in a row */
};

struct take {
	struct watch *watch;
	struct source *sources; /* owned; one for each track */
	unsigned source_count;
	struct slot slots[LIMIT_MEDIA_STREAMS];
	unsigned slot_count;
	enum container container; /* of the file; NONE: there is nothing to make one of */
	uint64_t bytes;		  /* of all tracks */
	uint64_t taken;		  /* of those, read by the sources */
};

/* Looks at all parts: what they are, which streams they have, which container holds them. Afterwards the first part of
 * each track that is media stays open. Warns of what it leaves out. */
enum err take_survey(struct take *t, struct watch *w);
void take_release(struct take *t);
/* Once more from the beginning. */
void take_rewind(struct take *t);
/* How many packets it will be, at most if that is known, else by looking at the first of them. */
uint64_t take_packets(struct take *t);

/* The container for the streams that were found; marks those that it can't hold as dropped (see container.c). */
void take_choose(struct take *t);
/* The slot for a stream of a part; SLOT_NONE and a warning where there can't be one (see slots.c). */
uint8_t take_slot(struct take *t, unsigned track, unsigned part, const AVStream *stream, unsigned ordinal);

/* The next packet into `packet`; `has` is false when there is none any more. */
enum err source_next(struct take *t, struct source *s);

#endif
