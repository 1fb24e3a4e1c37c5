/* `start`: from the message to an attached connection, by way of the catalog when the take is not in memory. */
#include "engine/starting.h"

#include <stdlib.h>
#include <string.h>

void start_free(struct start *s)
{
	free(s->session_id);
	free(s->track);
	free(s->show);
	free(s->name);
	free(s->mime);
	free(s->ext);
	free(s);
}

void conn_bind(struct engine *e, struct conn *c, struct take *t, uint16_t track)
{
	c->take = t;
	c->track = track;
	c->epoch = t->rec.tracks[track].epoch;
	c->attached = true;
	spool_want_room(e, take_io(e, t, track));
}

void start_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct start *s = (struct start *)w;
	struct conn *c = conn_find(e, s->conn);
	if (c && c->starting != w)
		c = NULL; /* it was refused meanwhile */
	if (!c) {
		start_free(s);
		return;
	}
	bool bound = c->work.has_resource;
	if (bound && (err == ERR_NOT_FOUND || (!err && !uuid_equal(&c->work.resource, &t->rec.info.id))))
		err = ERR_FORBIDDEN_SCOPE; /* its token is for one recording, and this is another */
	if (err) {
		c->starting = NULL;
		conn_error(e, c, err, NULL, UINT64_MAX);
		start_free(s);
		return;
	}
	struct attach a = {
		.conn = s->conn,
		.track = s->track,
		.from = s->from,
		.part = s->part,
		.created = w->created,
		.wall_ms = engine_wall(e),
	};
	uint16_t track;
	if (recording_attach(&t->rec, &a, e->now.mono_ms, &track, &e->fx) == ANSWER_WAIT) {
		take_wait(t, w);
		effects_run(e, t);
		return;
	}
	c->starting = NULL;
	c->named = true;
	c->take_id = t->rec.info.id;
	if (track != EFFECT_NO_TRACK)
		conn_bind(e, c, t, track);
	effects_run(e, t);
	start_free(s);
}

static bool same_take(const struct conn *c, const struct message_start *m)
{
	if (m->show)
		return shows_same(c, m);
	const struct start *s = start_of(c);
	if (m->has_id)
		return s ? s->by_id && uuid_equal(&s->id, &m->id)
			 : c->attached && uuid_equal(&c->take->rec.info.id, &m->id);
	if (s)
		return s->session_id && strcmp(s->session_id, m->session_id) == 0 &&
		       strcmp(s->track, m->track ? m->track : "main") == 0;
	if (!c->attached || !c->take->rec.info.session_id)
		return false;
	return strcmp(c->take->rec.info.session_id, m->session_id) == 0 &&
	       strcmp(c->take->rec.info.tracks[c->track].name, m->track ? m->track : "main") == 0;
}

static char *copy_text(const char *text)
{
	return text ? must(strdup(text)) : NULL;
}

struct start *start_of(const struct conn *c)
{
	return (struct start *)c->starting;
}

struct start *start_new(struct conn *c, const struct message_start *m, const struct grant *grant)
{
	struct start *s = must(calloc(1, sizeof *s));
	s->waiter.go = start_go;
	s->conn = c->id;
	s->from = m->from == MESSAGE_NO_BYTES ? BYTES_UNKNOWN : m->from;
	s->part = m->part;
	s->session_id = copy_text(m->session_id);
	s->by_id = m->has_id;
	s->id = m->id;
	s->track = copy_text(m->track ? m->track : "main");
	s->show = copy_text(m->show);
	s->name = copy_text(m->name);
	s->mime = copy_text(m->mime);
	s->ext = copy_text(m->ext);
	s->ts = m->ts;
	c->named = false;
	c->starting = &s->waiter;
	c->off_air = false;
	c->work = *grant;
	return s;
}

static void info_from_start(struct engine *e, const struct conn *c, const struct message_start *m,
			    struct recording_info *info)
{
	memset(info, 0, sizeof *info);
	info->id = engine_new_id(e);
	info->principal = copy_text(c->work.subject);
	info->session_id = copy_text(m->session_id);
	info->name = copy_text(m->name);
	info->mime = copy_text(m->mime);
	info->ext = copy_text(m->ext);
	info->ts = m->ts;
	info->created_ms = info->updated_ms = engine_wall(e);
	info->phase = PHASE_UPLOADING;
	if (m->tracks_count > 0) {
		info->declared_tracks = must(calloc(m->tracks_count, sizeof *info->declared_tracks));
		for (uint32_t i = 0; i < m->tracks_count; i++)
			info->declared_tracks[i] = copy_text(m->tracks[i]);
		info->declared_count = m->tracks_count;
	}
}

/* The same take again, or another while one is at work. */
static void start_again(struct engine *e, struct conn *c, const struct message_start *m, const struct grant *g)
{
	if (!same_take(c, m) || strcmp(c->work.subject, g->subject) != 0) {
		conn_error(e, c, ERR_SESSION_OPEN, NULL, UINT64_MAX);
	} else if (!c->starting && c->attached) { /* else the answer that is on its way serves both */
		recording_repeat(&c->take->rec, c->track, &e->fx);
		effects_run(e, c->take);
	}
}

/* A token for one recording makes none. */
static void start_bound(struct engine *e, struct conn *c, struct start *s)
{
	struct buf ref;
	buf_init(&ref);
	buf_addf(&ref, "session:%s", s->session_id);
	take_want(e, (struct engine_ref){ must(ref.data), &c->work }, &s->waiter);
	buf_release(&ref);
}

void conn_start(struct engine *e, struct conn *c, const struct message_start *m)
{
	struct grant grant;
	if (e->stopping) {
		conn_error(e, c, ERR_SHUTTING_DOWN, NULL, UINT64_MAX);
		return;
	}
	enum session_verdict verdict = session_start(&c->session);
	if (verdict == SESSION_DROP)
		return;
	enum err err = conn_grant(e, c, m->token, &grant);
	if (!err && !(grant.scopes & (SCOPE_RECORD | SCOPE_ADMIN)))
		err = ERR_FORBIDDEN_SCOPE;
	if (err) {
		conn_error(e, c, err, NULL, UINT64_MAX);
		return;
	}
	if (verdict == SESSION_REPEAT) {
		start_again(e, c, m, &grant);
		return;
	}
	if (m->show) {
		shows_start(e, c, m, &grant);
		return;
	}
	if (m->has_id) {
		conn_start_item(e, c, m, &grant);
		return;
	}
	struct start *s = start_new(c, m, &grant);
	if (grant.has_resource) {
		start_bound(e, c, s);
		return;
	}
	struct recording_info info;
	info_from_start(e, c, m, &info);
	take_start(e, &info, &grant, &s->waiter);
}
