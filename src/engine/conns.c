/* Connections: how they come and go, their messages, and what they are told. */
#include "engine/internal.h"

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
	list_init(&c->slice_acks);
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
		c->held_bytes -= h->len;
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
	shows_left(e, c);
	c->starting = NULL;
	c->start_ready = false;
	c->reply_epoch++; /* a `started` that still waits is no longer true */
	/* An error promises nothing. */
	reply_send(e, c->id, &text, (struct promise){ 0 });
	if (c->inner)
		c->inner->refused(e, c, err);
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
	if (c->hosting && c->attached && c->held && !c->closed && !e->failed) {
		/* it was never asked to wait, so it could not know that this was not taken yet: held_take ends it */
		c->closed = true;
		follow_conn_closed(e, c);
		return;
	}
	conn_detach(e, c);
	shows_left(e, c);
	held_drop(e, c);
	authorities_leave(c);
	timer_set(&e->timers, &c->timer, UINT64_MAX);
	follow_conn_closed(e, c);
	conn_slices_closed(c);
	list_remove(&c->link);
	list_remove(&c->ready);
	e->conn_slots[conn & ((1u << SLOT_BITS) - 1)] = NULL;
	e->conn_count--;
	free(c);
	append_pressure(e);
}

void conn_pause_update(struct engine *e, struct conn *c)
{
	/* nobody on air is stopped because storage is slow: shows_behind judges that */
	bool pause = !c->hosting && (e->paused || c->blocked || c->held != NULL);
	pause |= conn_slices_full(e, c);
	if (pause == c->paused)
		return;
	c->paused = pause;
	session_pause(&c->session, pause, e->now.mono_ms);
	engine_rearm_conn(e, c);
	if (c->inner)
		c->inner->paused(e, c, pause);
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
	if (!c->start_ready || !c->attached || c->off_air)
		return;
	const struct track_io *io = take_io(e, t, c->track);
	if (!io->file || !spool_has_room(io, c->start_bytes + LIMIT_INPUT_BYTES))
		return; /* the reservation under way ends here or in storage_full */
	c->start_ready = false;
	if (c->inner) {
		session_started(&c->session);
		c->inner->started(e, c, c->start_bytes);
		return;
	}
	if (c->moving) {
		shows_moved(e, c, t);
		return;
	}
	uint64_t at = c->start_bytes + t->rec.info.shift;
	if (c->hosting && at < c->stream_from)
		at = c->stream_from;
	struct buf text;
	buf_init(&text);
	message_started(&text, &(struct message_started){ .id = &t->rec.info.id,
							  .session_id = t->rec.info.session_id,
							  .show = t->rec.info.show,
							  .version = t->rec.info.version,
							  .resumed = c->start_resumed,
							  .bytes = at,
							  .grace_ms = e->config.grace_ms,
							  .heartbeat_ms = e->config.heartbeat_ms });
	session_started(&c->session);
	reply_send(e, c->id, &text, (struct promise){ .journal = t->opened });
	if (c->hosting) {
		shows_started(e, c, at);
		conn_unblock(e, c);
	}
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
	if (c->inner) {
		conn_detach(e, c);
		session_saved(&c->session);
		c->inner->saved(e, c);
		return;
	}
	if (c->stopping) { /* it hears `stopped` instead */
		conn_detach(e, c);
		c->track = track;
		session_saved(&c->session);
		return;
	}
	struct buf text, url;
	buf_init(&text);
	buf_init(&url);
	original_url(t, track, &url);
	must(url.data);
	message_saved(&text, &t->rec.info.id, info->bytes + t->rec.info.shift,
		      info->has_sha256 ? info->sha256.bytes : NULL, url.data);
	buf_release(&url);
	conn_detach(e, c);
	c->track = track; /* for a repeated `end` */
	session_saved(&c->session);
	reply_send(e, c->id, &text, (struct promise){ .journal = t->opened, .catalog = e->catalog_durable });
}

void conn_send_aborted(struct engine *e, struct conn *c, struct take *t)
{
	if (c->inner) {
		conn_detach(e, c);
		session_released(&c->session);
		c->inner->refused(e, c, ERR_ABORTED);
		return;
	}
	struct buf text;
	buf_init(&text);
	const char *reason = t->rec.info.abort_reason;
	conn_detach(e, c);
	session_released(&c->session);
	if (c->stopping) /* likewise */
		return;
	message_aborted(&text, &t->rec.info.id, reason ? reason : "");
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
		else if (a->total != t->rec.info.tracks[c->track].bytes + t->rec.info.shift)
			conn_error(e, c, ERR_TOTAL_MISMATCH, NULL,
				   t->rec.info.tracks[c->track].bytes + t->rec.info.shift);
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
	if (!t) { /* on air, and not recorded */
		shows_stop(e, c);
		return;
	}
	struct sha256 sha256;
	memcpy(sha256.bytes, m->sha256, sizeof sha256.bytes);
	/* what a version behind a failure holds is not all that its host hashed */
	uint64_t shift = t->rec.info.shift, total = m->total_bytes > shift ? m->total_bytes - shift : 0;
	bool hashed = m->has_sha256 && shift == 0;
	recording_end(&t->rec, c->track, total, hashed ? &sha256 : NULL, e->now.mono_ms, &e->fx);
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
	if (!c->take) { /* on air, and not recorded */
		shows_stop(e, c);
		return;
	}
	struct abortion *a = must(calloc(1, sizeof *a));
	a->waiter.go = abort_go;
	a->conn = c->id;
	a->reason = must(strdup(reason ? reason : "aborted by the client"));
	abort_go(e, &a->waiter, c->take, ERR_OK);
}

void conn_message(struct engine *e, struct conn *c, const char *text, size_t len)
{
	struct message m;
	char detail[160];
	enum err err = message_parse(text, len, &m, detail, sizeof detail);
	if (err && m.type == MESSAGE_SUBSCRIBE) {
		conn_subscribe_refuse(e, c, err, detail, &m.subscribe);
		message_release(&m);
		return;
	}
	if (err && m.type == MESSAGE_SLICE) {
		conn_slice_refuse(e, c, err, detail, &m.slice);
		message_release(&m);
		return;
	}
	if (err) {
		conn_error(e, c, err, detail, UINT64_MAX);
		return;
	}
	if (authorities_hold(e, c, &m, text, len)) {
		message_release(&m);
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
	case MESSAGE_STOP:
		shows_stop(e, c);
		break;
	case MESSAGE_SLICE:
		conn_slice(e, c, &m.slice);
		break;
	}
	message_release(&m);
	c = conn_find(e, id);
	if (c)
		authorities_leave(c);
	if (c && e->fx.count > 0)
		effects_run(e, c->take);
}
