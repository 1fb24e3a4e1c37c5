/* What listeners of a live stream are told besides its media: the station in headers, and, to those that asked with
 * `Icy-MetaData: 1`, the title of what plays in blocks between the media. Pure.
 *
 * A block stands behind each LIMIT_ICY_INTERVAL_BYTES of media in the listener's own stream: one byte that counts
 * sixteens, then text padded with NULs; nothing new is one zero byte. A title's block is made once and shared by all
 * listeners, each of which keeps 8 bytes. */
#ifndef HOLDFAST_PROTO_ICY_H
#define HOLDFAST_PROTO_ICY_H

#include "base/buf.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Strings may be NULL or empty: then their header is left out. Not owned. */
struct icy_station {
	const char *name, *genre, *description, *url;
	unsigned bitrate_kbps; /* 0: not said */
	bool is_public;
};

/* Does the value of Icy-MetaData (NULL when absent) ask for titles? */
bool icy_wanted(const char *value);

/* Adds the header lines, each with its CRLF. Control characters of the texts are left out. */
void icy_headers_add(struct buf *out, const struct icy_station *station, bool titles);

/* The present title of a show. */
struct icy_title {
	uint32_t version; /* counts changes; 0: nobody has said one yet */
	size_t len;
	uint8_t block[1 + LIMIT_ICY_BLOCK_BYTES];
};

/* Makes the block of a new title (UTF-8; "" when nothing has one), cut between two characters when it is too long. The
 * same block again is no change. All zero is a title that was never set. */
void icy_title_set(struct icy_title *t, const char *title);

struct icy_listener {
	uint32_t media_left; /* until the next block */
	uint32_t version;    /* of the title it was told */
};

void icy_listener_init(struct icy_listener *l);

/* How many of `len` bytes of media may go out before the next block; 0 when it is due. */
static inline size_t icy_media_next(const struct icy_listener *l, size_t len)
{
	return len < l->media_left ? len : l->media_left;
}

/* So many bytes of media, at most what icy_media_next said, are in the listener's stream now. */
void icy_media_sent(struct icy_listener *l, size_t len);

/* The block that is due (icy_media_next says 0): *block and its length. It belongs to the title and is good until that
 * is set again: what can't leave at once is to be copied. Afterwards a whole interval of media may follow. */
size_t icy_block_next(struct icy_listener *l, const struct icy_title *t, const uint8_t **block);

#endif
