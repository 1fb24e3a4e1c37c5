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
