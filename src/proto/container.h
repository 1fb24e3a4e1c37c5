/* Scans a live stream of media as it comes in: where may a listener join who comes late, and which header does he need
 * before it? Pure; it runs in the loop thread for every byte of a show, for days.
 *
 * The container is judged from the bytes, part by part:
 *
 * container             header                                   a join
 * WebM, Matroska        all before the first Cluster             a Cluster; with video one whose first block of video
 *                                                                is a keyframe
 * MP4 in fragments      ftyp to moov                             moof, or the styp, sidx, emsg, prft right before it;
 *                                                                with video only if its first sample is a sync sample
 * Ogg                   the header pages of all its streams      a page that begins a packet; with Theora a keyframe's
 * MP3, AAC in ADTS      none                                     a frame
 * all else: "unknown"   none                                     none is told, see container_scan_unknown
 *
 * It guarantees:
 * - However the stream is cut into pieces, the marks are the same, in the same order, though some come later: a join is
 *   told once what follows has shown that it is one. Positions count from the first byte ever fed; joins rise, and
 *   each lies at or behind the header told last.
 * - Whatever comes in, memory stays below two headers of LIMIT_LIVE_HEADER_BYTES (and what malloc rounds up), nothing
 *   outside the input is read, and the time is linear.
 * - Broken places give no join; behind them it goes on at the next thing that can only be a boundary.
 *
 * What is told is right for the container. It can't promise that a decoder starts without a noise: an MP3 frame may
 * refer to bits of frames before it. */
#ifndef HOLDFAST_PROTO_CONTAINER_H
#define HOLDFAST_PROTO_CONTAINER_H

#include "base/buf.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum container_mark {
	/* A part of the stream begins at `at`, and container_scan_header, _mime and _unknown are now about it: joins
	 * told before belong to another header. Told once its header is complete, also when it has none. */
	CONTAINER_MARK_HEADER,
	/* From `at` on the stream can be played behind the header. */
	CONTAINER_MARK_JOIN,
};

enum container_kind {
	CONTAINER_KIND_SNIFFING, /* too little has come */
	CONTAINER_KIND_EBML,
	CONTAINER_KIND_BOXES,
	CONTAINER_KIND_PAGES,
	CONTAINER_KIND_FRAMES,
	CONTAINER_KIND_UNKNOWN,
};

enum {
	CONTAINER_CARRY_BYTES = 320
}; /* the longest thing looked at as one: an Ogg page's head of 282, 13 of its body */

struct scan_webm {
	uint64_t video;		       /* number of the first video track; 0: none */
	uint64_t number, type;	       /* of the track whose entry is read */
	uint64_t cluster_at;	       /* this Cluster */
	uint64_t until;		       /* its end, UINT64_MAX: not known; in the header that of the element entered */
	uint64_t group_end;	       /* of the BlockGroup that is read; 0: none */
	size_t length_at, length_size; /* the Segment's length, in the header; 0: none yet */
	bool body;		       /* Clusters follow, not the header */
	bool webm;		       /* the document says that it is WebM */
	bool pending, dated;	       /* this Cluster may yet be a join; its Timecode was there */
	bool group_video, group_refers;
};

struct scan_mp4 {
	uint64_t outer_end; /* of the moov or moof that is read; 0: none */
	uint64_t join_at;   /* where this fragment begins, or what leads to it */
	uint64_t prefix_at;
	bool moof, prefix;    /* which one; the box before was one that leads to a moof */
	bool absolute;	      /* this fragment names positions in the whole stream */
	bool ran, keyframe;   /* its first sample of video was seen; and is a sync sample */
	uint32_t track;	      /* whose trak or traf is read; 0: not said yet */
	uint32_t usual_flags; /* of this traf's samples */
	size_t count;
	struct scan_mp4_track {
		uint32_t id, usual_flags;
		bool video;
	} tracks[LIMIT_LIVE_STREAMS];
};

struct scan_ogg {
	size_t count;
	bool data;     /* the pages that begin streams are over */
	bool complete; /* the header ends here */
	unsigned run;  /* pages in a row */
	struct scan_ogg_stream {
		uint32_t serial;
		int left; /* header packets still to come; below 0: as many as come before time begins */
		bool video;
	} streams[LIMIT_LIVE_STREAMS];
};

struct scan_frames {
	uint64_t first_at; /* of the frames in a row */
	uint32_t like;	   /* what they have in common; 0: none */
	unsigned run, need;
};

/* Made by container_scan_init; its fields are container*.c's own. */
struct container_scan {
	void (*mark)(void *arg, enum container_mark what, uint64_t at);
	void *arg;
	const uint8_t *in; /* what is left of the piece, while it is fed */
	size_t in_len;
	uint64_t at, skip; /* of the next byte to look at; so many from there are passed over */
	size_t carry_len, carry_new;
	uint8_t carry[CONTAINER_CARRY_BYTES]; /* before `in`; the last carry_new of them are of the same piece */

	enum container_kind kind, told_kind;
	const char *mime;
	uint64_t part_at, sniff_from;
	struct buf header, next; /* the one told, the one collected */
	uint64_t next_at, joined_at;
	bool collecting, ready, joined, lost;
	union {
		struct scan_webm webm;
		struct scan_mp4 mp4;
		struct scan_ogg ogg;
		struct scan_frames frames;
	} of; /* the kind */
};

/* `mark` is called within container_scan_feed; it may ask for the header, but neither feed nor begin a part. */
void container_scan_init(struct container_scan *s, void (*mark)(void *arg, enum container_mark what, uint64_t at),
			 void *arg);
void container_scan_release(struct container_scan *s);

/* The next bytes of the stream, any number of them. Without memory for its header a part becomes unknown. */
void container_scan_feed(struct container_scan *s, const uint8_t *data, size_t len);

/* What is fed from now on begins anew, with a header of its own: the container is judged again, and what was not
 * complete of the part before gives no mark any more. The header told stays until the new one is. */
void container_scan_part(struct container_scan *s);

/* What goes before the bytes from a join on. Owned by the scan, good until the next call that feeds; may be empty. It
 * is the stream's own but for the length of a WebM Segment, which becomes "unknown", since a latecomer's is another. */
const uint8_t *container_scan_header(const struct container_scan *s, size_t *len);

/* The Content-Type of the part whose header was told last: "video/webm", "audio/webm", "video/x-matroska",
 * "audio/x-matroska", "video/mp4", "audio/mp4", "video/ogg", "audio/ogg", "audio/mpeg", "audio/aac", or
 * "application/octet-stream". */
const char *container_scan_mime(const struct container_scan *s);

/* Is the part whose header was told last of a kind that is not known? Then no joins are told: who wants to join may do
 * so anywhere, as well as it goes. Also false as long as none was told. */
bool container_scan_unknown(const struct container_scan *s);

#endif
