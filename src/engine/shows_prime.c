/* A show that goes on in this process from the middle of its stream, as after a restart: listeners need the header that
 * its host sent long ago. It stands in the recording, at the beginning of the newest part. See shows.h. */
#include "engine/shows.h"

#include <stdlib.h>
#include <string.h>

struct priming {
	struct engine *engine;
	char show[LIMIT_SHOW_CHARS + 1];
	uint32_t turn;
	uint64_t reader, from;
};

static void over(struct priming *p, const void *data, size_t len)
{
	struct engine *e = p->engine;
	struct air *air = air_find(e, p->show);
	struct conn *c = air && !air->loading ? conn_find(e, air->show.conn) : NULL;
	if (c && c->hosting && air->show.turn == p->turn && !air->broadcast) {
		air->broadcast = must(broadcast_new());
		broadcast_begin(air->broadcast, air->mime);
		broadcast_prime(air->broadcast, data, len);
		air->aired = c->stream_at;
		air->changed = true;
		air_due(e, air);
	}
	if (p->reader)
		engine_reader_close(e, p->reader);
	free(p);
}

static void was_read(void *arg, enum err err, const void *data, size_t len)
{
	over(arg, data, err ? 0 : len);
}

static void was_opened(void *arg, enum err err, const struct engine_original *original)
{
	struct priming *p = arg;
	if (err || original->bytes <= p->from) {
		p->reader = err ? 0 : original->reader;
		over(p, NULL, 0);
		return;
	}
	uint64_t left = original->bytes - p->from;
	p->reader = original->reader;
	engine_read(p->engine, p->reader, p->from, left < LIMIT_READ_BYTES ? (size_t)left : LIMIT_READ_BYTES, was_read,
		    p);
}

void air_prime(struct engine *e, struct air *air, const struct take *t)
{
	const struct track_info *track = &t->rec.info.tracks[0];
	struct priming *p = must(calloc(1, sizeof *p));
	char id[UUID_TEXT];
	p->engine = e;
	p->turn = air->show.turn;
	p->from = track->part_count ? track->parts[track->part_count - 1] : 0;
	memcpy(p->show, air->show.name, sizeof p->show);
	uuid_format(&t->rec.info.id, id);
	engine_original(e, (struct engine_ref){ id, grant_local() }, track->name, was_opened, p);
}

/* --- a version that goes on amid its host's stream --- */

bool air_fresh(const struct take *t)
{
	const struct recording_info *info = &t->rec.info;
	return info->version != info->first && (info->track_count == 0 || t->rec.tracks[0].accepted == 0);
}

bool air_prefill(struct engine *e, struct conn *c, struct air *air, struct take *t, uint64_t from)
{
	bool to_now = from == BYTES_UNKNOWN;
	struct broadcast_reader r = { 0 };
	struct iovec iov;
	t->rec.info.shift = c->stream_from = to_now || from < air->aired ? air->aired : from;
	if (!air->broadcast || !broadcast_join(air->broadcast, &r))
		return to_now;
	uint64_t back = broadcast_fed(air->broadcast) - r.joined_at, header = r.header_len;
	if (r.joined_at < air->turn_at) { /* that is a former host's: its own begins there */
		broadcast_take(&r, r.header_len + (size_t)(air->turn_at - r.joined_at));
		back = broadcast_fed(air->broadcast) - air->turn_at;
		header = 0;
	}
	uint64_t at = air->aired > back ? air->aired - back : 0;
	to_now = to_now || from > at;
	t->rec.info.shift = at > header ? at - header : 0;
	c->stream_from = at;
	while (broadcast_peek(&r, &iov, 1) > 0 && (to_now || header > 0)) {
		size_t len = iov.iov_len < LIMIT_INPUT_BYTES ? iov.iov_len : LIMIT_INPUT_BYTES;
		if (!to_now && len > header)
			len = (size_t)header;
		conn_hold(e, c, (struct engine_media){ .data = iov.iov_base, .len = len });
		header -= len < header ? len : header;
		broadcast_take(&r, len);
	}
	broadcast_leave(&r);
	return to_now;
}
