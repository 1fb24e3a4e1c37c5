/* Connections as hosts of shows: their `start`, their media on the way to the listeners, and what they are told.
 *
 * Positions that a host is told count in its own stream, which goes on over failures and versions; its take's byte 0 is
 * byte `shift` of that. What the listeners have had (`aired`) counts in it, too: what a host sends again after a lost
 * link is recorded, and not heard twice. See shows.h. */
#include "engine/starting.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* --- start --- */

/* Which version of the show its session is, when no take in memory says it. */
struct session_op {
	struct catalog_op op;
	uint64_t conn;
	struct start *start;
	char *principal, *session;
	struct recording_info row;
	bool found;
};

static struct conn *start_conn(struct engine *e, const struct start *s)
{
	struct conn *c = conn_find(e, s->conn);
	return c && c->starting == &s->waiter ? c : NULL;
}

/* Up to where its stream could be gone on with here, if that is known. */
static uint64_t known_to(struct engine *e, const struct air *air, const struct start *s, const struct conn *c)
{
	const struct show *show = &air->show;
	bool same = s->session_id ? s->version && s->version == show->version
				  : show->state != SHOW_OFF && strcmp(show->principal, c->work.subject) == 0;
	if (!same)
		return s->version ? BYTES_UNKNOWN : 0;
	const struct take *t = take_by_id(e, &show->id);
	if (show->take == SHOW_TAKE_FAILED && air->broadcast && air->turn == show->turn)
		return air->aired > air->reached ? air->aired : air->reached;
	if (!t || t->loading || show->take == SHOW_TAKE_FAILED || air_fresh(t))
		return BYTES_UNKNOWN;
	return t->rec.info.shift + (t->rec.info.track_count ? t->rec.tracks[0].accepted : 0);
}

static void start_host(struct engine *e, struct air *air, struct start *s, struct conn *c)
{
	struct show_start host = {
		.conn = c->id,
		.principal = c->work.subject,
		.session = s->session_id,
		.version = s->version,
		.wall_ms = engine_wall(e),
	};
	uint64_t known = known_to(e, air, s, c);
	if (s->from != BYTES_UNKNOWN && known != BYTES_UNKNOWN && s->from > known) {
		conn_error(e, c, ERR_POSITION_CONFLICT, NULL, known);
		start_free(s);
		return;
	}
	c->air = air;
	show_host(&air->show, &host, e->now.mono_ms, &air->fx);
	air_due(e, air);
}

static void start_ordinary(struct engine *e, struct start *s, struct conn *c)
{
	struct buf ref;
	c->air = NULL;
	buf_init(&ref);
	buf_addf(&ref, "session:%s", s->session_id);
	take_want(e, (struct engine_ref){ must(ref.data), &c->work }, &s->waiter);
	buf_release(&ref);
}

static enum err session_run(struct catalog *c, struct catalog_op *op)
{
	struct session_op *o = (struct session_op *)op;
	recording_info_release(&o->row);
	enum err err = c->ops->find_session(c, o->principal, o->session, &o->row);
	o->found = err == ERR_OK;
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* The take of its session is of another show, or of none: it goes on as what it is. */
static bool elsewhere(const struct start *s, const struct recording_info *info)
{
	return !info->show || strcmp(info->show, s->show) != 0;
}

static void session_done(struct engine *e, struct catalog_op *op)
{
	struct session_op *o = (struct session_op *)op;
	struct start *s = o->start;
	struct conn *c = start_conn(e, s);
	struct air *air = air_find(e, s->show);
	if (air)
		air->pins--;
	if (!c || !air || op->err) {
		if (c)
			conn_error(e, c, op->err ? op->err : ERR_BUSY, NULL, UINT64_MAX);
		start_free(s);
	} else if (o->found && elsewhere(s, &o->row)) {
		start_ordinary(e, s, c);
	} else {
		s->version = o->found ? o->row.version : 0;
		start_host(e, air, s, c);
	}
	if (air)
		air_due(e, air);
	recording_info_release(&o->row);
	free(o->principal);
	free(o->session);
	free(o);
}

static void start_air(struct engine *e, struct air_waiter *w, struct air *air, enum err err)
{
	struct start *s = list_entry(w, struct start, air_waiter);
	struct conn *c = start_conn(e, s);
	if (!c || err) {
		if (c)
			conn_error(e, c, err, NULL, UINT64_MAX);
		start_free(s);
		return;
	}
	struct take *t = s->session_id ? take_by_key(e, c->work.subject, s->session_id) : NULL;
	if (t && !t->loading && elsewhere(s, &t->rec.info)) {
		start_ordinary(e, s, c);
		return;
	}
	if (!s->session_id || (t && !t->loading)) {
		s->version = t ? t->rec.info.version : 0;
		start_host(e, air, s, c);
		return;
	}
	struct session_op *o = must(calloc(1, sizeof *o));
	o->op.run = session_run;
	o->op.done = session_done;
	o->start = s;
	o->principal = must(strdup(c->work.subject));
	o->session = must(strdup(s->session_id));
	air->pins++;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

void shows_start(struct engine *e, struct conn *c, const struct message_start *m, const struct grant *grant)
{
	if (!show_name_valid(m->show)) {
		conn_error(e, c, ERR_BAD_FIELD, "show must be letters, digits, - _ and . with no . in front.",
			   UINT64_MAX);
		return;
	}
	if (grant->has_resource) { /* a token for one recording makes none */
		conn_error(e, c, ERR_FORBIDDEN_SCOPE, NULL, UINT64_MAX);
		return;
	}
	struct start *s = start_new(c, m, grant);
	s->air_waiter.go = start_air;
	s->air_waiter.host = true;
	air_want(e, s->show, &s->air_waiter);
}

bool shows_same(const struct conn *c, const struct message_start *m)
{
	const struct start *s = start_of(c);
	const char *session = s ? s->session_id : c->air ? c->air->show.session : NULL;
	const char *show = s && s->show ? s->show : c->air ? c->air->show.name : NULL;
	if (!show || strcmp(show, m->show) != 0)
		return false;
	return !m->session_id || (session && strcmp(session, m->session_id) == 0);
}

void shows_stop(struct engine *e, struct conn *c)
{
	if (!c->air) {
		session_refuse(&c->session, ERR_NO_SESSION, &e->fx);
		return;
	}
	c->stopping = true;
	show_stop(&c->air->show, c->id, &c->air->fx);
	air_due(e, c->air);
}

void shows_left(struct engine *e, struct conn *c)
{
	struct air *air = c->air;
	if (air && !c->hosting && c->starting) /* nobody else has it while the show is asked */
		start_free(start_of(c));
	c->air = NULL;
	c->hosting = c->moving = c->stopping = false;
	if (!air)
		return;
	show_detached(&air->show, c->id, e->now.mono_ms, &air->fx);
	air_due(e, air);
}

/* --- a host and its version --- */

static void text_set(char **out, const char *text)
{
	free(*out);
	*out = text ? must(strdup(text)) : NULL;
}

void air_called(struct engine *e, struct air *air)
{
	const struct conn *c = conn_find(e, air->show.conn);
	const struct start *s = c ? start_of(c) : NULL;
	if (!s || air->turn == air->show.turn)
		return; /* the same host goes on */
	text_set(&air->name, s->name);
	text_set(&air->mime, s->mime);
	text_set(&air->ext, s->ext);
	air->ts = s->ts;
}

/* On air, and nothing is recorded. */
static void start_unrecorded(struct engine *e, struct conn *c, struct air *air)
{
	struct start *s = start_of(c);
	bool same = air->turn == air->show.turn;
	uint64_t at = same ? air->aired : 0;
	if (air->reached_turn == air->show.turn && air->reached > at)
		at = air->reached;
	if (c->host_from > at)
		at = c->host_from;
	if (s) {
		c->host_part = s->part;
		c->starting = NULL;
		start_free(s);
	}
	struct buf text;
	buf_init(&text);
	message_started(&text, &(struct message_started){ .id = &air->show.id,
							  .session_id = air->show.session,
							  .show = air->show.name,
							  .version = air->show.version,
							  .resumed = same || at > 0,
							  .bytes = at,
							  .grace_ms = e->config.grace_ms,
							  .heartbeat_ms = e->config.heartbeat_ms });
	session_started(&c->session);
	shows_started(e, c, at);
	reply_send(e, c->id, &text, (struct promise){ 0 });
	conn_unblock(e, c);
}

static void hosted(struct engine *e, struct air *air, const struct show_effect *fx)
{
	struct conn *c = conn_find(e, fx->conn);
	struct start *s = c ? start_of(c) : NULL;
	if (!s)
		return;
	c->hosting = true;
	c->host_from = s->from == BYTES_UNKNOWN ? 0 : s->from;
	air_called(e, air);
	struct take *t = fx->recording ? take_by_id(e, &fx->id) : NULL;
	if (!t || t->loading || t->rec.info.phase != PHASE_UPLOADING) {
		start_unrecorded(e, c, air);
		return;
	}
	c->host_part = s->part;
	if (air_fresh(t)) {
		uint64_t shift = t->rec.info.shift;
		if (air_prefill(e, c, air, t, s->from))
			c->stream_from = air->aired;			       /* it sends what comes next */
		s->from = BYTES_UNKNOWN;				       /* it was judged */
		if (t->rec.info.shift != shift && t->rec.info.track_count > 0) /* the journal has another one */
			effects_add(&e->fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = EFFECT_NO_TRACK });
	} else {
		c->stream_from = t->rec.info.shift;
		if (s->from != BYTES_UNKNOWN)
			s->from -= s->from < t->rec.info.shift ? s->from : t->rec.info.shift;
	}
	take_pin(t);
	start_go(e, &s->waiter, t, ERR_OK);
	take_unpin(e, t);
}

/* From here on its bytes go to the next version: its header first. */
static void move(struct engine *e, struct air *air, const struct show_effect *fx)
{
	struct conn *c = conn_find(e, fx->conn);
	struct take *t = take_by_id(e, &fx->id);
	uint16_t track;
	if (!c || !c->hosting || c->air != air || !t || c->session.state != SESSION_OPEN)
		return;
	struct attach a = {
		.conn = c->id, .track = "main", .from = BYTES_UNKNOWN, .created = true, .wall_ms = engine_wall(e)
	};
	take_pin(t);
	air_prefill(e, c, air, t, BYTES_UNKNOWN);
	c->moving = true;
	if (recording_attach(&t->rec, &a, e->now.mono_ms, &track, &e->fx) == ANSWER_DONE && track != EFFECT_NO_TRACK) {
		c->take_id = t->rec.info.id;
		conn_bind(e, c, t, track);
	}
	effects_run(e, t);
	take_unpin(e, t);
}

void shows_moved(struct engine *e, struct conn *c, struct take *t)
{
	struct buf text;
	buf_init(&text);
	c->moving = false;
	message_moved(&text, t->rec.info.show, t->rec.info.version, &t->rec.info.id, c->stream_from);
	reply_send(e, c->id, &text, (struct promise){ .journal = t->opened });
	uint64_t durable = t->rec.tracks[c->track].durable + t->rec.info.shift;
	if (durable > c->stream_from) { /* no ack left before this */
		message_ack(&text, durable);
		reply_send(e, c->id, &text, (struct promise){ .journal = t->opened });
	}
	conn_unblock(e, c);
}

bool shows_keep(struct engine *e, struct conn *c, const struct take *t, enum err err)
{
	bool storage =
		err == ERR_POISONED || err == ERR_STORAGE_FULL || err == ERR_STORAGE_SLOW || err == ERR_WRITE_FAILED;
	if (!c->hosting || !storage || (c->attached && c->take != t))
		return false;
	c->attached = c->blocked = c->start_ready = c->moving = false;
	c->take = NULL;
	if (c->session.state == SESSION_STARTING)
		start_unrecorded(e, c, c->air);
	conn_unblock(e, c);
	return true;
}

/* --- media --- */

void air_off(struct engine *e, struct air *air)
{
	struct broadcast *b = air->broadcast;
	if (!b)
		return;
	air->broadcast = NULL;
	broadcast_end(b);
	if (e->config.callbacks.air)
		e->config.callbacks.air(e->config.callbacks.arg, b);
	broadcast_release(b);
}

void shows_started(struct engine *e, struct conn *c, uint64_t at)
{
	struct air *air = c->air;
	if (!air || !c->hosting)
		return;
	bool fresh = !air->broadcast || air->turn != air->show.turn;
	bool amid = !air->broadcast && at > 0 && !c->host_part && c->take && c->take->rec.info.track_count > 0;
	if (amid)
		air_prime(e, air, c->take);
	else if (!air->broadcast)
		air->broadcast = must(broadcast_new());
	if (air->broadcast && (fresh || c->host_part))
		broadcast_begin(air->broadcast, air->mime);
	if (fresh || c->host_part || air->aired < at)
		air->aired = at;
	if (fresh)
		air->turn_at = air->broadcast ? broadcast_fed(air->broadcast) : 0;
	air->turn = air->show.turn;
	air->changed = true;
	c->host_part = false;
	c->stream_at = at;
	air_tell_host(e, air, c);
	air_due(e, air);
}

void shows_media(struct engine *e, struct conn *c, struct engine_media media)
{
	struct air *air = c->air;
	if (!c->hosting || c->session.state != SESSION_OPEN || media.len == 0)
		return;
	uint64_t end = c->stream_at + media.len;
	if (air->broadcast && end > air->aired) {
		size_t heard = air->aired > c->stream_at ? (size_t)(air->aired - c->stream_at) : 0;
		uint8_t mask[4];
		for (size_t i = 0; i < sizeof mask; i++)
			mask[i] = media.mask[(i + heard) % sizeof mask];
		broadcast_feed(air->broadcast, (const uint8_t *)media.data + heard, media.len - heard, mask);
		air->aired = end;
		if (e->config.callbacks.air)
			e->config.callbacks.air(e->config.callbacks.arg, air->broadcast);
	}
	c->stream_at = end;
}

void shows_behind(struct engine *e, struct conn *c)
{
	if (c->take)
		shows_failed(e, c->take, ERR_STORAGE_SLOW);
}

/* --- what connections are told --- */

static void say_stopped(struct engine *e, struct conn *c, const struct air *air, uint32_t version,
			const struct uuid *id)
{
	struct buf text;
	buf_init(&text);
	message_stopped(&text, air->show.name, version, version ? id : NULL);
	reply_send(e, c->id, &text, (struct promise){ .catalog = e->catalog_durable });
}

static void released(struct engine *e, struct air *air, const struct show_effect *fx)
{
	struct conn *c = conn_find(e, fx->conn);
	if (!c || c->air != air)
		return;
	c->air = NULL;
	c->hosting = c->moving = false;
	c->off_air = !fx->err;
	c->reply_epoch++; /* a `started` that still waits is no longer true */
	conn_unblock(e, c);
	if (fx->err) {
		conn_error(e, c, fx->err, NULL, UINT64_MAX);
	} else if (!c->attached && c->session.state == SESSION_OPEN) {
		session_released(&c->session); /* nothing is recorded that could be `saved` */
		if (!c->stopping)
			say_stopped(e, c, air, air->show.version, &air->show.id);
	}
}

static void refused(struct engine *e, struct air *air, const struct show_effect *fx)
{
	struct conn *c = conn_find(e, fx->conn);
	struct start *s = c ? start_of(c) : NULL;
	if (air_stop_refused(e, fx->conn, fx->err) || !c)
		return;
	if (c->air == air)
		c->air = NULL;
	c->hosting = false;
	conn_error(e, c, fx->err, NULL, UINT64_MAX);
	if (s)
		start_free(s);
}

static void ordinary(struct engine *e, const struct show_effect *fx)
{
	struct conn *c = conn_find(e, fx->conn);
	struct start *s = c ? start_of(c) : NULL;
	if (s)
		start_ordinary(e, s, c);
}

static void stopped(struct engine *e, struct air *air, const struct show_effect *fx)
{
	struct conn *c = conn_find(e, fx->conn);
	if (air_stopped(e, air, fx->conn, fx) || !c)
		return;
	c->stopping = false;
	say_stopped(e, c, air, fx->version, &fx->id);
}

void air_to_conn(struct engine *e, struct air *air, const struct show_effect *fx)
{
	switch (fx->type) {
	case SHOW_EFFECT_RELEASE:
		released(e, air, fx);
		break;
	case SHOW_EFFECT_MOVE:
		move(e, air, fx);
		break;
	case SHOW_EFFECT_HOSTED:
		hosted(e, air, fx);
		break;
	case SHOW_EFFECT_ORDINARY:
		ordinary(e, fx);
		break;
	case SHOW_EFFECT_REFUSED:
		refused(e, air, fx);
		break;
	case SHOW_EFFECT_STOPPED:
		stopped(e, air, fx);
		break;
	default:
		log_event(LOG_ERROR, "show_effect_unknown", NULL);
	}
}
