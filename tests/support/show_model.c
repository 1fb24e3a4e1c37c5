/* See show_model.h. */
#include "support/show_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct show_model_counts show_model_counts;

const char *const show_model_principals[SHOW_MODEL_PRINCIPALS] = { "", "ann", "bob", "cid" };

uint64_t show_model_random(struct show_model *m, uint64_t below)
{
	uint64_t z = m->random += 0x9e3779b97f4a7c15ULL;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) % below;
}

void show_model_note(struct show_model *m, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(m->trace + m->trace_len, TRACE_BYTES - m->trace_len, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < TRACE_BYTES - m->trace_len)
		m->trace_len += (size_t)n;
}

void show_model_check(struct show_model *m, bool holds, const char *promise)
{
	if (!holds && !m->broken)
		m->broken = promise;
}

struct conn *show_model_conn(struct show_model *m, uint64_t id)
{
	for (unsigned i = 0; i < CONNS; i++) {
		if (id && m->conns[i].id == id)
			return &m->conns[i];
	}
	return NULL;
}

unsigned show_model_principal(const char *name)
{
	for (unsigned i = 1; i < SHOW_MODEL_PRINCIPALS; i++) {
		if (strcmp(show_model_principals[i], name) == 0)
			return i;
	}
	return 0;
}

struct uuid show_model_id(uint32_t version)
{
	struct uuid id = { .bytes = { 0x77 } };
	memcpy(id.bytes + 1, &version, sizeof version);
	return id;
}

/* The version of this show that is the principal's take of that name. */
uint32_t show_model_lookup(const struct show_model *m, unsigned principal, const char *session)
{
	for (uint32_t v = 1; v <= m->newest && *session; v++) {
		if (m->rows[v].principal == principal && strcmp(m->rows[v].session, session) == 0)
			return v;
	}
	return 0;
}

/* May this connection's bytes go to that version? */
static void check_takes(struct show_model *m, const struct conn *c, uint32_t version)
{
	const struct row *row = &m->rows[version];
	show_model_check(m, row->there && row->open && !row->asked, "bytes go to an unfinished version only");
	show_model_check(m, row->principal == c->principal, "nothing is appended to another principal's version");
	const struct row *first = &m->rows[row->first];
	show_model_check(m, !c->session[0] || first->unnamed || strcmp(c->session, first->session) == 0,
			 "nothing is appended to another take's version");
}

static void on_begin(struct show_model *m, const struct show_effect *e)
{
	show_model_check(m, !m->begin.version, "one version begins at a time");
	for (uint32_t v = 1; v <= m->newest; v++)
		show_model_check(m, !m->rows[v].open || m->rows[v].asked, "never two versions recording");
	const struct row *row = &m->rows[e->version];
	if (e->again) {
		show_model_check(m, row->there && !row->open && e->version == m->newest, "what goes on has ended");
		show_model_check(m, row->ended == SHOW_WHY_GRACE || row->ended == SHOW_WHY_TAKEOVER,
				 "only a lost link goes on");
		show_model_counts.again++;
	} else {
		show_model_check(m, e->version == m->newest + 1, "versions rise by one");
	}
	m->exists = m->exists && m->s.begin == SHOW_BEGIN_NEXT;
	if (m->s.begin == SHOW_BEGIN_NEXT) {
		show_model_check(m, m->space && m->now >= m->failed_at + LIMIT_SHOW_RETRY_FIRST_MS,
				 "tried when space is back");
		show_model_check(m, m->s.conn && m->s.state == SHOW_LIVE, "begun for a host that is there");
		show_model_check(m, !e->named || e->first == e->version, "a take's name is its first version's");
		show_model_counts.next++;
	}
	bool other = m->taken_from && m->taken_from != show_model_principal(m->s.principal);
	show_model_check(m, !other || m->takeover, "nobody takes over where that is refused");
	m->begin = *e;
}

static void on_finalise(struct show_model *m, const struct show_effect *e)
{
	struct row *row = &m->rows[e->version];
	show_model_check(m, row->there && row->open, "what is finalised has begun");
	show_model_check(m, !row->asked, "one finalisation a version");
	if (e->why == SHOW_WHY_GRACE) {
		show_model_check(m, m->now >= m->alone_since + GRACE_MS, "grace never ends early");
		for (unsigned i = 0; i < CONNS; i++)
			show_model_check(m, !m->conns[i].host, "grace never ends what has a host");
		show_model_counts.graces++;
	}
	row->asked = true;
	for (unsigned i = 0; i < CONNS; i++) {
		if (m->conns[i].on == e->version)
			m->conns[i].on = 0; /* it takes no more bytes */
	}
	show_model_counts.takeovers += e->why == SHOW_WHY_TAKEOVER;
	show_model_counts.stops += e->why == SHOW_WHY_STOP;
	if (e->why == SHOW_WHY_TAKEOVER)
		m->taken_from = row->principal;
	m->finals[m->final_count++] = (struct finalising){ .version = e->version, .why = e->why };
}

static void host_lost(struct show_model *m, struct conn *c)
{
	if (c->host)
		m->alone_since = m->now;
	c->host = false;
	c->on = 0;
}

static void on_hosted(struct show_model *m, const struct show_effect *e, struct conn *c)
{
	for (unsigned i = 0; i < CONNS; i++)
		show_model_check(m, !m->conns[i].host || &m->conns[i] == c, "one host at a time");
	c->host = true;
	c->on = 0;
	m->hosted_conn = e->conn;
	m->hosted_version = e->version;
	if (e->recording) {
		check_takes(m, c, e->version);
		c->on = e->version;
	} else {
		show_model_check(m, m->rows[e->version].ended == SHOW_WHY_FAILED || m->rows[e->version].asked,
				 "it has failed");
		show_model_check(m, m->rows[e->version].principal == c->principal, "the broadcast is its own");
		show_model_check(m, e->err != ERR_OK, "a failure has its reason");
	}
}

static void on_stopped(struct show_model *m, const struct show_effect *e)
{
	struct stopper *s = NULL;
	for (unsigned i = 0; i < CONNS; i++) {
		if (m->stoppers[i].waits && m->stoppers[i].id == e->conn)
			s = &m->stoppers[i];
	}
	show_model_check(m, s != NULL, "a stop is answered once");
	if (!s)
		return;
	s->waits = false;
	show_model_check(m, e->version >= s->least, "a stop hears of what it stopped");
	if (e->version) {
		struct uuid id = show_model_id(e->version);
		show_model_check(m, !m->rows[e->version].open, "a stop is answered when the end is durable");
		show_model_check(m, uuid_equal(&id, &e->id), "a stop names the recording");
	}
}

static void on_answer(struct show_model *m, const struct show_effect *e)
{
	struct conn *c = show_model_conn(m, e->conn);
	show_model_check(m, c != NULL && c->starts > 0, "a start is answered once");
	if (!c || !c->starts)
		return;
	c->starts--;
	if (e->type == SHOW_EFFECT_HOSTED) {
		on_hosted(m, e, c);
		return;
	}
	if (e->type == SHOW_EFFECT_ORDINARY) {
		show_model_check(m, c->session[0], "a take without a name can't be another");
		show_model_counts.ordinary++;
	} else {
		show_model_check(m, e->err != ERR_SHOW_ON_AIR || !m->takeover, "refused where taking over is allowed");
		show_model_counts.refused++;
	}
	if (e->type == SHOW_EFFECT_REFUSED && (e->err == ERR_TAKEN_OVER || e->err == ERR_SHOW_STOPPED))
		host_lost(m, c);
}

void show_model_drain(struct show_model *m)
{
	const struct show_effect *e;
	while ((e = show_effects_drain(&m->fx)) && !m->broken) {
		struct conn *c = show_model_conn(m, e->conn);
		show_model_note(m, " [%d v%u c%llu %d]", (int)e->type, e->version, (unsigned long long)e->conn,
				(int)e->why);
		switch (e->type) {
		case SHOW_EFFECT_BEGIN:
			on_begin(m, e);
			break;
		case SHOW_EFFECT_FINALISE:
			on_finalise(m, e);
			break;
		case SHOW_EFFECT_MARK_OFF:
			m->mark_pending = true;
			break;
		case SHOW_EFFECT_STATUS:
			show_model_check(m, !m->status, "one status a change");
			m->status = true;
			break;
		case SHOW_EFFECT_RELEASE:
			show_model_check(m, c && c->host, "who is released was the host");
			if (c)
				host_lost(m, c);
			break;
		case SHOW_EFFECT_MOVE:
			show_model_check(m, c && c->host, "who goes on is the host");
			if (c)
				check_takes(m, c, c->on = e->version);
			break;
		case SHOW_EFFECT_STOPPED:
			on_stopped(m, e);
			break;
		default:
			on_answer(m, e);
		}
	}
}

/* Storage answers */

void show_model_begin_row(struct show_model *m)
{
	const struct show_effect *e = &m->begin;
	struct row *row = &m->rows[e->version];
	row->begins++;
	row->open = true;
	row->asked = false;
	row->ended = SHOW_WHY_NONE;
	if (e->again)
		return;
	row->there = true;
	row->principal = show_model_principal(m->s.principal);
	row->first = e->first;
	row->unnamed = m->exists;
	m->exists = false;
	if (e->named)
		snprintf(row->session, sizeof row->session, "%s", m->s.session);
	m->newest = e->version;
	show_model_counts.begins++;
}

void show_model_begin_answer(struct show_model *m)
{
	struct show_effect e = m->begin;
	bool next = m->s.begin == SHOW_BEGIN_NEXT;
	if (!e.version)
		return;
	bool taken = e.named && show_model_lookup(m, show_model_principal(m->s.principal), m->s.session);
	if (taken || show_model_random(m, 5) == 0) {
		show_model_note(m, "\nbegin v%u failed", e.version);
		m->begin.version = 0;
		m->exists = taken && next;
		if (next) {
			m->failed_at = m->now;
			m->space = false;
		}
		show_begin_failed(&m->s, taken ? ERR_EXISTS : ERR_STORAGE_FULL, m->now, &m->fx);
		return;
	}
	show_model_note(m, "\nbegun v%u", e.version);
	show_model_begin_row(m);
	m->begin.version = 0;
	if (m->s.state == SHOW_STARTING && !m->s.conn)
		m->alone_since = m->now;
	struct uuid id = show_model_id(e.version);
	show_begun(&m->s, &id, m->now, &m->fx);
}

void show_model_final_row(struct show_model *m, const struct finalising *f)
{
	struct row *row = &m->rows[f->version];
	row->open = row->asked = false;
	row->ended = f->why;
	row->ends++;
	show_model_check(m, row->ends == row->begins, "one end a begin");
	if (f->why == SHOW_WHY_FAILED)
		m->failed = f->version;
}

void show_model_final_answer(struct show_model *m, unsigned at)
{
	if (at >= m->final_count)
		return;
	struct finalising f = m->finals[at];
	m->finals[at] = m->finals[--m->final_count];
	show_model_note(m, "\nfinalised v%u", f.version);
	show_model_final_row(m, &f);
	show_finalised(&m->s, f.version, m->now, &m->fx);
}

void show_model_mark_answer(struct show_model *m)
{
	for (unsigned i = 0; i < m->final_count; i++) {
		if (m->finals[i].why == SHOW_WHY_FAILED)
			return; /* the lane does one after the other */
	}
	if (m->mark_pending)
		m->failed = 0;
	m->mark_pending = false;
}
