/* Connections: their messages, in order, and what had to be held back. */
#include "engine/internal.h"

#include "base/mask.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Ids are never reused: the slot in the low bits, a rising number above. */
enum { SLOT_BITS = 20 };

struct conn *conn_find(struct engine *e, uint64_t id)
{
	uint64_t slot = id & ((1u << SLOT_BITS) - 1);
	if (slot >= e->conn_capacity || !e->conn_slots[slot] || e->conn_slots[slot]->id != id)
		return NULL;
	return e->conn_slots[slot];
}

static uint32_t slot_find(struct engine *e)
{
	for (uint32_t i = 0; i < e->conn_capacity; i++) {
		uint32_t slot = (uint32_t)((e->conn_next + i) % e->conn_capacity);
		if (!e->conn_slots[slot])
			return slot;
	}
	uint32_t capacity = e->conn_capacity ? e->conn_capacity * 2 : 64;
	assert(capacity <= 1u << SLOT_BITS);
	e->conn_slots = must(realloc(e->conn_slots, capacity * sizeof *e->conn_slots));
	memset(e->conn_slots + e->conn_capacity, 0, (capacity - e->conn_capacity) * sizeof *e->conn_slots);
	uint32_t slot = e->conn_capacity;
	e->conn_capacity = capacity;
	return slot;
}

uint64_t engine_conn_open(struct engine *e, const struct grant *grant, struct now now)
{
	struct conn *c = must(calloc(1, sizeof *c));
	uint32_t slot = slot_find(e);
	c->id = ++e->conn_next << SLOT_BITS | slot;
	c->granted = grant != NULL;
	if (grant)
		c->opened = c->work = *grant;
	c->held_tail = &c->held;
	c->timer.kind = TIMER_CONN;
	list_init(&c->ready);
	engine_clock(e, now);
	session_init(&c->session, c->id, e->config.heartbeat_ms, e->now.mono_ms);
	e->conn_slots[slot] = c;
	e->conn_count++;
	list_push(&e->conns, &c->link);
	/* Where everybody is paused, this one is with its first message: the network does not know its id yet. */
	engine_rearm_conn(e, c);
	return c->id;
}

static void held_drop(struct engine *e, struct conn *c)
{
	while (c->held) {
		struct held *h = c->held;
		c->held = h->next;
		e->held_bytes -= h->len;
		free(h);
	}
	c->held_tail = &c->held;
}

/* Leaves the take without a word to the client. */
void conn_detach(struct engine *e, struct conn *c)
{
	if (!c->attached)
		return;
	struct take *t = c->take;
	c->attached = c->blocked = c->start_ready = false;
	c->take = NULL;
	recording_detach(&t->rec, c->track, c->id, e->now.mono_ms, &e->fx);
	engine_rearm_take(e, t);
}

void conn_error(struct engine *e, struct conn *c, enum err err, const char *detail, uint64_t bytes)
{
	struct buf text;
	buf_init(&text);
	message_error(&text, err, detail, c->named ? &c->take_id : NULL,
		      bytes == UINT64_MAX ? MESSAGE_NO_BYTES : bytes);
	session_detached(&c->session);
	conn_detach(e, c);
	c->starting = NULL;
	c->start_ready = false;
	c->reply_epoch++; /* a `started` that still waits is no longer true */
	/* An error promises nothing. */
	reply_send(e, c->id, &text, (struct promise){ 0 });
	if (c->fetch)
		fetching_refused(e, c, err);
	conn_unblock(e, c);
}

void engine_conn_error(struct engine *e, uint64_t conn, enum err err, struct now now)
{
	engine_clock(e, now);
	struct conn *c = conn_find(e, conn);
	if (c)
		conn_error(e, c, err, NULL, UINT64_MAX);
}

void engine_conn_closed(struct engine *e, uint64_t conn, struct now now)
{
	engine_clock(e, now);
	struct conn *c = conn_find(e, conn);
	if (!c)
		return;
	conn_detach(e, c);
	held_drop(e, c);
	timer_set(&e->timers, &c->timer, UINT64_MAX);
	follow_conn_closed(e, c);
	list_remove(&c->link);
	list_remove(&c->ready);
	e->conn_slots[conn & ((1u << SLOT_BITS) - 1)] = NULL;
	e->conn_count--;
	free(c);
	append_pressure(e);
}

void conn_pause_update(struct engine *e, struct conn *c)
{
	bool pause = e->paused || c->blocked || c->held != NULL;
	if (pause == c->paused)
		return;
	c->paused = pause;
	session_pause(&c->session, pause, e->now.mono_ms);
	engine_rearm_conn(e, c);
	if (c->fetch)
		fetching_paused(e, c, pause);
	else
		e->config.callbacks.pause(e->config.callbacks.arg, c->id, pause);
}

void conns_unread(struct engine *e, struct take *t)
{
	for (uint32_t i = 0; i < t->rec.info.track_count; i++) {
		const struct conn *c = conn_find(e, t->rec.tracks[i].conn);
		if (c && c->paused)
			recording_unread(&t->rec, (uint16_t)i, e->now.mono_ms);
	}
}

void conn_send_started(struct engine *e, struct conn *c)
{
	struct take *t = c->take;
	if (!c->start_ready || !c->attached)
		return;
	const struct track_io *io = take_io(e, t, c->track);
	if (!io->file || io->reserved < c->start_bytes + LIMIT_INPUT_BYTES)
		return; /* the reservation under way ends here or in storage_full */
	c->start_ready = false;
	if (c->fetch) {
		fetching_started(e, c, c->start_bytes);
		return;
	}
	struct buf text;
	buf_init(&text);
	message_started(&text, &t->rec.info.id, t->rec.info.session_id, c->start_resumed, c->start_bytes,
			e->config.grace_ms, e->config.heartbeat_ms);
	session_started(&c->session);
	reply_send(e, c->id, &text, (struct promise){ .journal = t->opened });
}

/* "/api/recordings/{id}/original", with the track's name percent-encoded where there are several. */
static void original_url(const struct take *t, uint16_t track, struct buf *out)
{
	char id[UUID_TEXT];
	uuid_format(&t->rec.info.id, id);
	buf_addf(out, "/api/recordings/%s/original", id);
	if (t->rec.info.track_count == 1)
		return;
	buf_add_text(out, "?track=");
	for (const unsigned char *p = (const unsigned char *)t->rec.info.tracks[track].name; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			     *p == '-' || *p == '_' || *p == '.';
		if (plain)
			buf_add(out, p, 1);
		else
			buf_addf(out, "%%%02X", *p);
	}
}

void conn_send_saved(struct engine *e, struct conn *c, struct take *t, uint16_t track)
{
	const struct track_info *info = &t->rec.info.tracks[track];
	if (c->fetch) {
		conn_detach(e, c);
		session_saved(&c->session);
		fetching_saved(e, c);
		return;
	}
	struct buf text, url;
	buf_init(&text);
	buf_init(&url);
	original_url(t, track, &url);
	must(url.data);
	message_saved(&text, &t->rec.info.id, info->bytes, info->sha256.bytes, url.data);
	buf_release(&url);
	conn_detach(e, c);
	c->track = track; /* for a repeated `end` */
	session_saved(&c->session);
	reply_send(e, c->id, &text, (struct promise){ .journal = t->opened, .catalog = e->catalog_durable });
}

void conn_send_aborted(struct engine *e, struct conn *c, struct take *t)
{
	if (c->fetch) {
		conn_detach(e, c);
		session_released(&c->session);
		fetching_refused(e, c, ERR_ABORTED);
		return;
	}
	struct buf text;
	buf_init(&text);
	const char *reason = t->rec.info.abort_reason;
	message_aborted(&text, &t->rec.info.id, reason ? reason : "");
	conn_detach(e, c);
	session_released(&c->session);
	reply_send(e, c->id, &text, (struct promise){ .catalog = e->catalog_durable });
}

/* --- the other messages --- */

/* A repeated `end` after `saved`: answered from the take, which may have left memory. */
struct again {
	struct waiter waiter;
	uint64_t conn, total;
};

static void again_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct again *a = (struct again *)w;
	struct conn *c = conn_find(e, a->conn);
	if (c && c->session.state == SESSION_SAVED) {
		if (err)
			conn_error(e, c, err, NULL, UINT64_MAX);
		else if (a->total != t->rec.info.tracks[c->track].bytes)
			conn_error(e, c, ERR_TOTAL_MISMATCH, NULL, t->rec.info.tracks[c->track].bytes);
		else
			conn_send_saved(e, c, t, c->track);
	}
	free(a);
}

static void end_again(struct engine *e, struct conn *c, uint64_t total)
{
	struct again *a = must(calloc(1, sizeof *a));
	a->waiter.go = again_go;
	a->conn = c->id;
	a->total = total;
	char id[UUID_TEXT];
	uuid_format(&c->take_id, id);
	take_want(e, (struct engine_ref){ id, &c->work }, &a->waiter);
}

static void on_end(struct engine *e, struct conn *c, const struct message_end *m)
{
	struct take *t = c->take;
	if (session_end(&c->session, &e->fx) != SESSION_PASS)
		return;
	if (c->session.state == SESSION_SAVED) {
		end_again(e, c, m->total_bytes);
		return;
	}
	struct sha256 sha256;
	memcpy(sha256.bytes, m->sha256, sizeof sha256.bytes);
	recording_end(&t->rec, c->track, m->total_bytes, m->has_sha256 ? &sha256 : NULL, e->now.mono_ms, &e->fx);
	effects_run(e, t);
}

/* An `abort`, which waits while a track is being sealed. */
struct abortion {
	struct waiter waiter;
	uint64_t conn;
	char *reason;
};

static void abort_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct abortion *a = (struct abortion *)w;
	struct conn *c = conn_find(e, a->conn);
	bool attached = !err && c && c->attached && c->take == t;
	if (attached && recording_abort(&t->rec, a->reason, &e->fx) == ANSWER_WAIT) {
		take_wait(t, w);
		return;
	}
	if (attached)
		effects_run(e, t);
	free(a->reason);
	free(a);
}

static void on_abort(struct engine *e, struct conn *c, const char *reason)
{
	if (session_abort(&c->session, &e->fx) != SESSION_PASS)
		return;
	struct abortion *a = must(calloc(1, sizeof *a));
	a->waiter.go = abort_go;
	a->conn = c->id;
	a->reason = must(strdup(reason ? reason : "aborted by the client"));
	abort_go(e, &a->waiter, c->take, ERR_OK);
}

static void take_message(struct engine *e, struct conn *c, const char *text, size_t len)
{
	struct message m;
	char detail[160];
	enum err err = message_parse(text, len, &m, detail, sizeof detail);
	if (err && m.type == MESSAGE_SUBSCRIBE) {
		conn_subscribe_refuse(e, c, err, detail, &m.subscribe);
		message_release(&m);
		return;
	}
	if (err) {
		conn_error(e, c, err, detail, UINT64_MAX);
		return;
	}
	uint64_t id = c->id;
	switch (m.type) {
	case MESSAGE_START:
		conn_start(e, c, &m.start);
		break;
	case MESSAGE_END:
		on_end(e, c, &m.end);
		break;
	case MESSAGE_ABORT:
		on_abort(e, c, m.abort_reason);
		break;
	case MESSAGE_SUBSCRIBE:
		conn_subscribe(e, c, &m.subscribe);
		break;
	}
	message_release(&m);
	c = conn_find(e, id);
	if (c && e->fx.count > 0)
		effects_run(e, c->take);
}

/* False: it can't be taken now; nothing of it was. */
static bool take_binary(struct engine *e, struct conn *c, struct engine_media media)
{
	size_t len = media.len;
	if (c->session.state == SESSION_OPEN && c->attached && len > 0) {
		struct take *t = c->take;
		struct track_io *io = take_io(e, t, c->track);
		if (conn_above_quota(c, t, len + media.follows)) {
			conn_error(e, c, ERR_QUOTA_EXCEEDED, NULL, t->rec.tracks[c->track].durable);
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
	conn_pause_update(e, c);
}

void conn_unblock(struct engine *e, struct conn *c)
{
	c->blocked = false;
	list_remove(&c->ready);
	list_push(&e->ready, &c->ready);
}

/* Takes what was held, in order, until something can't be taken or nothing is left. */
static void held_take(struct engine *e, uint64_t id)
{
	struct conn *c;
	while ((c = conn_find(e, id)) && c->held && !c->blocked) {
		struct held *h = c->held;
		if (!h->text && !take_binary(e, c, (struct engine_media){ h->data, h->len, { 0 }, h->follows }))
			break;
		c = conn_find(e, id);
		if (!c)
			return; /* h went with it */
		c->held = h->next;
		if (!c->held)
			c->held_tail = &c->held;
		e->held_bytes -= h->len;
		if (h->text)
			take_message(e, c, h->data, h->len);
		free(h);
	}
	if (c)
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
	if (c->held)
		hold(e, c, (struct engine_media){ text, len, { 0 }, 0 }, true);
	else
		take_message(e, c, text, len);
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
	struct engine_media piece = media;
	do { /* small pieces, so that each finds room sooner or later */
		piece.len = media.len < LIMIT_INPUT_BYTES ? media.len : LIMIT_INPUT_BYTES;
		media.len -= piece.len;
		piece.follows = media.len + media.follows;
		if (c->held || !take_binary(e, c, piece))
			hold(e, c, piece, false);
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
