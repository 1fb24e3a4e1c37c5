/* What connections send: taken in order, and what can't be taken yet is held back, never dropped. */
#include "engine/internal.h"

#include "base/mask.h"

#include <stdlib.h>
#include <string.h>

/* False: it can't be taken now; nothing of it was. */
static bool take_binary(struct engine *e, struct conn *c, struct engine_media media)
{
	size_t len = media.len;
	if (c->off_air) /* it was on the way when the show was stopped */
		return true;
	if (c->session.state == SESSION_OPEN && c->attached && len > 0) {
		struct take *t = c->take;
		struct track_io *io = take_io(e, t, c->track);
		if (conn_above_quota(c, t, len + media.follows)) {
			conn_error(e, c, ERR_QUOTA_EXCEEDED, NULL, t->rec.tracks[c->track].durable + t->rec.info.shift);
			return true;
		}
		if (!append_fits(e, io, len)) {
			c->blocked = !io->failed && io->reserved - t->rec.tracks[c->track].accepted < len;
			spool_want_room(e, io);
			return false;
		}
		if (session_binary(&c->session, len, &e->fx) != SESSION_PASS)
			return true;
		if (recording_data(&t->rec, c->track, c->epoch, len, e->now.mono_ms, &e->fx))
			append_copy(e, io, media, t->rec.tracks[c->track].accepted);
		if (e->fx.count > 0 || t->rec.tracks[c->track].ended)
			effects_run(e, t);
		return true;
	}
	session_binary(&c->session, len, &e->fx);
	if (e->fx.count > 0)
		effects_run(e, NULL);
	return true;
}

static void hold(struct engine *e, struct conn *c, struct engine_media media, bool text)
{
	size_t len = media.len;
	struct held *h = must(malloc(sizeof *h + len));
	h->next = NULL;
	h->len = len;
	h->follows = media.follows;
	h->text = text;
	mask_copy((uint8_t *)h->data, media.data, len, media.mask);
	*c->held_tail = h;
	c->held_tail = &h->next;
	e->held_bytes += len;
	c->held_bytes += len;
	conn_pause_update(e, c);
}

void conn_hold(struct engine *e, struct conn *c, struct engine_media media)
{
	hold(e, c, media, false);
	if (c->hosting && c->held_bytes > LIMIT_SHOW_HELD_BYTES)
		shows_behind(e, c);
}

void conn_hold_first(struct engine *e, struct conn *c, const char *text, size_t len)
{
	struct held *h = must(malloc(sizeof *h + len));
	*h = (struct held){ .next = c->held, .len = len, .text = true };
	memcpy(h->data, text, len);
	if (!c->held)
		c->held_tail = &h->next;
	c->held = h;
	e->held_bytes += len;
	c->held_bytes += len;
	conn_pause_update(e, c);
}

void conn_unblock(struct engine *e, struct conn *c)
{
	c->blocked = false;
	list_remove(&c->ready);
	list_push(&e->ready, &c->ready);
}

/* What a version begins with is held before `started` leaves. */
static bool starting(const struct conn *c)
{
	return c->session.state == SESSION_STARTING;
}

/* Takes what was held, in order, until something can't be taken or nothing is left. */
static void held_take(struct engine *e, uint64_t id)
{
	struct conn *c;
	while ((c = conn_find(e, id)) && c->held && !c->blocked && !authorities_waits(c) &&
	       !(c->hosting && starting(c))) {
		struct held *h = c->held;
		if (h->text && conn_slices_full(e, c))
			break; /* slices.c goes on with it */
		if (!h->text && !take_binary(e, c, (struct engine_media){ h->data, h->len, { 0 }, h->follows }))
			break;
		c = conn_find(e, id);
		if (!c)
			return; /* h went with it */
		c->held = h->next;
		if (!c->held)
			c->held_tail = &c->held;
		e->held_bytes -= h->len;
		c->held_bytes -= h->len;
		if (h->text)
			conn_message(e, c, h->data, h->len);
		free(h);
	}
	if (c && c->closed && (!c->held || !c->attached)) /* nobody is there to send what is missing */
		engine_conn_closed(e, id, e->now);
	else if (c)
		conn_pause_update(e, c);
}

void conns_ready(struct engine *e)
{
	struct list ready;
	list_init(&ready);
	list_move(&ready, &e->ready);
	struct list *link;
	while ((link = list_pop(&ready)))
		held_take(e, list_entry(link, struct conn, ready)->id);
}

void engine_conn_text(struct engine *e, uint64_t conn, const char *text, size_t len, struct now now)
{
	engine_clock(e, now);
	struct conn *c = conn_find(e, conn);
	if (!c || e->failed)
		return;
	session_heard(&c->session);
	conn_pause_update(e, c);
	if (c->held || conn_slices_full(e, c))
		hold(e, c, (struct engine_media){ text, len, { 0 }, 0 }, true);
	else
		conn_message(e, c, text, len);
}

void engine_conn_media(struct engine *e, uint64_t conn, struct engine_media media, struct now now)
{
	_Static_assert(LIMIT_INPUT_BYTES % sizeof media.mask == 0, "the mask fits each piece as it is");
	engine_clock(e, now);
	struct conn *c = conn_find(e, conn);
	if (!c || e->failed)
		return;
	session_heard(&c->session);
	conn_pause_update(e, c);
	list_remove(&c->link); /* those that waited longest are the first to go on when reading stood still */
	list_push(&e->conns, &c->link);
	e->bytes_received += media.len;
	if (c->air)
		shows_media(e, c, media);
	struct engine_media piece = media;
	do { /* small pieces, so that each finds room sooner or later */
		piece.len = media.len < LIMIT_INPUT_BYTES ? media.len : LIMIT_INPUT_BYTES;
		media.len -= piece.len;
		piece.follows = media.len + media.follows;
		if (c->held || !take_binary(e, c, piece))
			conn_hold(e, c, piece);
		piece.data = (const uint8_t *)piece.data + piece.len;
		c = conn_find(e, conn);
	} while (c && media.len > 0);
}

size_t engine_conn_room(struct engine *e, uint64_t conn)
{
	const struct conn *c = conn_find(e, conn);
	if (!c || !c->attached || c->paused || c->session.state != SESSION_OPEN || e->pool.free_count <= append_low(e))
		return 0;
	const struct take *t = c->take;
	if (c->track >= t->io_count)
		return 0;
	uint64_t reserved = t->io[c->track]->reserved - t->rec.tracks[c->track].accepted;
	uint64_t memory = (uint64_t)(e->pool.free_count - append_low(e)) * LIMIT_BLOCK_BYTES;
	return (size_t)(reserved < memory ? reserved : memory);
}

void engine_conn_alive(struct engine *e, uint64_t conn, struct now now)
{
	engine_clock(e, now);
	struct conn *c = conn_find(e, conn);
	if (c)
		session_heard(&c->session);
}
