/* The show machine under random schedules of hosts, drops, stops, failures and crashes, with storage that answers in
 * any order. The model below is the engine and the catalog in their simplest form: after each step it checks what the
 * machine promises, from the rows and from what each connection was told.
 *
 * HOLDFAST_SEED=n runs other schedules, HOLDFAST_STEPS=n more of them; a failure names the seed and its steps. */
#include "core/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GRACE_MS = 30000, CONNS = 12, ROWS = 256, STEPS_A_SHOW = 200, TRACE_BYTES = 96 * 1024 };

/* A version in the catalog. */
struct row {
	bool there;
	bool open;  /* unfinished; else it ended, by `ended` */
	bool asked; /* its end is under way: nothing may be appended, nobody may ask again */
	enum show_why ended;
	uint32_t first;
	unsigned principal;
	char session[16]; /* "" if it has none */
	bool unnamed;	  /* its host has a name, which an older take has: it was looked up too early */
	unsigned begins, ends;
};

struct conn {
	uint64_t id; /* 0: none */
	unsigned principal;
	char session[16];
	unsigned starts; /* show_host that are not answered */
	uint32_t on;	 /* the version that its bytes go to, 0: none */
	bool host;	 /* was told that it is, and not that it is no more */
};

struct stopper {
	uint64_t id;
	uint32_t least; /* it must hear of this version or a later one … */
	bool waits;
};

/* What the show asked of storage and has no answer to. */
struct finalising {
	uint32_t version;
	enum show_why why;
};

struct model {
	struct show s;
	struct show_effects fx;
	uint64_t random, now, next_id;
	bool takeover;
	struct row rows[ROWS];
	uint32_t newest;   /* row */
	uint32_t failed;   /* shows.failed */
	bool mark_pending; /* of shows.failed = 0 */
	struct conn conns[CONNS];
	struct stopper stoppers[CONNS];
	struct finalising finals[ROWS];
	unsigned final_count;
	struct show_effect begin; /* version 0: none is under way */
	uint64_t alone_since;	  /* nobody hosts */
	uint64_t failed_at;
	bool exists; /* the next version was refused its name */
	bool space;  /* said to be back since then */
	bool status;
	uint32_t hosted_version; /* the last HOSTED of this step, of … */
	uint64_t hosted_conn;
	unsigned taken_from;	/* principal whose version a takeover of this step ended, 0: none */
	struct show_start late; /* a start whose look-up is not fresh any more; conn 0: none */
	char late_session[16];
	const char *broken;
	char *trace;
	size_t trace_len;
};

static struct {
	unsigned begins, again, next, failures, takeovers, graces, stops, elsewhere, restarts, resumed, ordinary,
		refused;
} counts;

static const char *const principals[] = { "", "ann", "bob", "cid" };

static uint64_t rnd(struct model *m, uint64_t below)
{
	uint64_t z = m->random += 0x9e3779b97f4a7c15ULL;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) % below;
}

__attribute__((format(printf, 2, 3))) static void note(struct model *m, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(m->trace + m->trace_len, TRACE_BYTES - m->trace_len, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < TRACE_BYTES - m->trace_len)
		m->trace_len += (size_t)n;
}

static void check(struct model *m, bool holds, const char *promise)
{
	if (!holds && !m->broken)
		m->broken = promise;
}

static struct conn *conn_of(struct model *m, uint64_t id)
{
	for (unsigned i = 0; i < CONNS; i++) {
		if (id && m->conns[i].id == id)
			return &m->conns[i];
	}
	return NULL;
}

static unsigned principal_of(const char *name)
{
	for (unsigned i = 1; i < sizeof principals / sizeof *principals; i++) {
		if (strcmp(principals[i], name) == 0)
			return i;
	}
	return 0;
}

static struct uuid id_of(uint32_t version)
{
	struct uuid id = { .bytes = { 0x77 } };
	memcpy(id.bytes + 1, &version, sizeof version);
	return id;
}

/* The version of this show that is the principal's take of that name. */
static uint32_t lookup(const struct model *m, unsigned principal, const char *session)
{
	for (uint32_t v = 1; v <= m->newest && *session; v++) {
		if (m->rows[v].principal == principal && strcmp(m->rows[v].session, session) == 0)
			return v;
	}
	return 0;
}

/* May this connection's bytes go to that version? */
static void check_takes(struct model *m, const struct conn *c, uint32_t version)
{
	const struct row *row = &m->rows[version];
	check(m, row->there && row->open && !row->asked, "bytes go to an unfinished version only");
	check(m, row->principal == c->principal, "nothing is appended to another principal's version");
	const struct row *first = &m->rows[row->first];
	check(m, !c->session[0] || first->unnamed || strcmp(c->session, first->session) == 0,
	      "nothing is appended to another take's version");
}

static void on_begin(struct model *m, const struct show_effect *e)
{
	check(m, !m->begin.version, "one version begins at a time");
	for (uint32_t v = 1; v <= m->newest; v++)
		check(m, !m->rows[v].open || m->rows[v].asked, "never two versions recording");
	const struct row *row = &m->rows[e->version];
	if (e->again) {
		check(m, row->there && !row->open && e->version == m->newest, "what goes on has ended");
		check(m, row->ended == SHOW_WHY_GRACE || row->ended == SHOW_WHY_TAKEOVER, "only a lost link goes on");
		counts.again++;
	} else {
		check(m, e->version == m->newest + 1, "versions rise by one");
	}
	m->exists = m->exists && m->s.begin == SHOW_BEGIN_NEXT;
	if (m->s.begin == SHOW_BEGIN_NEXT) {
		check(m, m->space && m->now >= m->failed_at + LIMIT_SHOW_RETRY_FIRST_MS, "tried when space is back");
		counts.next++;
	}
	bool other = m->taken_from && m->taken_from != principal_of(m->s.principal);
	check(m, !other || m->takeover, "nobody takes over where that is refused");
	m->begin = *e;
}

static void on_finalise(struct model *m, const struct show_effect *e)
{
	struct row *row = &m->rows[e->version];
	check(m, row->there && row->open, "what is finalised has begun");
	check(m, !row->asked, "one finalisation a version");
	if (e->why == SHOW_WHY_GRACE) {
		check(m, m->now >= m->alone_since + GRACE_MS, "grace never ends early");
		for (unsigned i = 0; i < CONNS; i++)
			check(m, !m->conns[i].host, "grace never ends what has a host");
		counts.graces++;
	}
	row->asked = true;
	for (unsigned i = 0; i < CONNS; i++) {
		if (m->conns[i].on == e->version)
			m->conns[i].on = 0; /* it takes no more bytes */
	}
	counts.takeovers += e->why == SHOW_WHY_TAKEOVER;
	counts.stops += e->why == SHOW_WHY_STOP;
	if (e->why == SHOW_WHY_TAKEOVER)
		m->taken_from = row->principal;
	m->finals[m->final_count++] = (struct finalising){ .version = e->version, .why = e->why };
}

static void host_lost(struct model *m, struct conn *c)
{
	if (c->host)
		m->alone_since = m->now;
	c->host = false;
	c->on = 0;
}

static void on_hosted(struct model *m, const struct show_effect *e, struct conn *c)
{
	for (unsigned i = 0; i < CONNS; i++)
		check(m, !m->conns[i].host || &m->conns[i] == c, "one host at a time");
	c->host = true;
	c->on = 0;
	m->hosted_conn = e->conn;
	m->hosted_version = e->version;
	if (e->recording) {
		check_takes(m, c, e->version);
		c->on = e->version;
	} else {
		check(m, m->rows[e->version].ended == SHOW_WHY_FAILED || m->rows[e->version].asked, "it has failed");
		check(m, m->rows[e->version].principal == c->principal, "the broadcast is its own");
		check(m, e->err != ERR_OK, "a failure has its reason");
	}
}

static void on_stopped(struct model *m, const struct show_effect *e)
{
	struct stopper *s = NULL;
	for (unsigned i = 0; i < CONNS; i++) {
		if (m->stoppers[i].waits && m->stoppers[i].id == e->conn)
			s = &m->stoppers[i];
	}
	check(m, s != NULL, "a stop is answered once");
	if (!s)
		return;
	s->waits = false;
	check(m, e->version >= s->least, "a stop hears of what it stopped");
	if (e->version) {
		struct uuid id = id_of(e->version);
		check(m, !m->rows[e->version].open, "a stop is answered when the end is durable");
		check(m, uuid_equal(&id, &e->id), "a stop names the recording");
	}
}

static void on_answer(struct model *m, const struct show_effect *e)
{
	struct conn *c = conn_of(m, e->conn);
	check(m, c != NULL && c->starts > 0, "a start is answered once");
	if (!c || !c->starts)
		return;
	c->starts--;
	if (e->type == SHOW_EFFECT_HOSTED) {
		on_hosted(m, e, c);
		return;
	}
	if (e->type == SHOW_EFFECT_ORDINARY) {
		check(m, c->session[0], "a take without a name can't be another");
		counts.ordinary++;
	} else {
		check(m, e->err != ERR_SHOW_ON_AIR || !m->takeover, "refused where taking over is allowed");
		counts.refused++;
	}
	if (e->type == SHOW_EFFECT_REFUSED && (e->err == ERR_TAKEN_OVER || e->err == ERR_SHOW_STOPPED))
		host_lost(m, c);
}

static void drain(struct model *m)
{
	const struct show_effect *e;
	while ((e = show_effects_drain(&m->fx)) && !m->broken) {
		struct conn *c = conn_of(m, e->conn);
		note(m, " [%d v%u c%llu %d]", (int)e->type, e->version, (unsigned long long)e->conn, (int)e->why);
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
			check(m, !m->status, "one status a change");
			m->status = true;
			break;
		case SHOW_EFFECT_RELEASE:
			check(m, c && c->host, "who is released was the host");
			if (c)
				host_lost(m, c);
			break;
		case SHOW_EFFECT_MOVE:
			check(m, c && c->host, "who goes on is the host");
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

static void begin_row(struct model *m)
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
	row->principal = principal_of(m->s.principal);
	row->first = e->first;
	row->unnamed = m->exists;
	m->exists = false;
	if (e->named)
		snprintf(row->session, sizeof row->session, "%s", m->s.session);
	m->newest = e->version;
	counts.begins++;
}

static void begin_answer(struct model *m)
{
	struct show_effect e = m->begin;
	bool next = m->s.begin == SHOW_BEGIN_NEXT;
	if (!e.version)
		return;
	bool taken = e.named && lookup(m, principal_of(m->s.principal), m->s.session);
	if (taken || rnd(m, 5) == 0) {
		note(m, "\nbegin v%u failed", e.version);
		m->begin.version = 0;
		m->exists = taken && next;
		if (next) {
			m->failed_at = m->now;
			m->space = false;
		}
		show_begin_failed(&m->s, taken ? ERR_EXISTS : ERR_STORAGE_FULL, m->now, &m->fx);
		return;
	}
	note(m, "\nbegun v%u", e.version);
	begin_row(m);
	m->begin.version = 0;
	if (m->s.state == SHOW_STARTING && !m->s.conn)
		m->alone_since = m->now;
	struct uuid id = id_of(e.version);
	show_begun(&m->s, &id, m->now, &m->fx);
}

static void final_row(struct model *m, const struct finalising *f)
{
	struct row *row = &m->rows[f->version];
	row->open = row->asked = false;
	row->ended = f->why;
	row->ends++;
	check(m, row->ends == row->begins, "one end a begin");
	if (f->why == SHOW_WHY_FAILED)
		m->failed = f->version;
}

static void final_answer(struct model *m, unsigned at)
{
	if (at >= m->final_count)
		return;
	struct finalising f = m->finals[at];
	m->finals[at] = m->finals[--m->final_count];
	note(m, "\nfinalised v%u", f.version);
	final_row(m, &f);
	show_finalised(&m->s, f.version, m->now, &m->fx);
}

static void mark_answer(struct model *m)
{
	for (unsigned i = 0; i < m->final_count; i++) {
		if (m->finals[i].why == SHOW_WHY_FAILED)
			return; /* the lane does one after the other */
	}
	if (m->mark_pending)
		m->failed = 0;
	m->mark_pending = false;
}

/* What people do */

static void deliver(struct model *m, struct conn *c, const struct show_start *start)
{
	struct show_view before = show_view(&m->s);
	unsigned now_host = principal_of(m->s.principal);
	bool at_rest = !m->s.begin && before.state != SHOW_OFF;
	note(m, "\nstart c%llu %s %s v%u", (unsigned long long)c->id, start->principal,
	     start->session ? start->session : "-", start->version);
	c->starts++;
	m->hosted_conn = 0;
	show_host(&m->s, start, m->now, &m->fx);
	drain(m);
	if (at_rest && now_host == c->principal && !start->session) {
		check(m, m->hosted_conn == c->id && m->hosted_version == before.version, "a reconnect goes on");
		counts.resumed++;
	}
}

static void start_some(struct model *m)
{
	struct conn *c = &m->conns[rnd(m, CONNS)];
	if (!c->id) {
		*c = (struct conn){ .id = ++m->next_id, .principal = 1 + (unsigned)(rnd(m, 8) * rnd(m, 8) / 20) };
		if (c->principal > 3)
			c->principal = 3;
		unsigned takes = 1 + m->newest / 3;
		if (rnd(m, 3))
			snprintf(c->session, sizeof c->session, "t%u",
				 (unsigned)(takes - rnd(m, takes > 2 ? 2 : takes)));
	}
	struct show_start start = { .conn = c->id,
				    .principal = principals[c->principal],
				    .session = c->session[0] ? c->session : NULL,
				    .version = lookup(m, c->principal, c->session) };
	if (rnd(m, 6) == 0 && !m->late.conn) {
		m->late = start;
		snprintf(m->late_session, sizeof m->late_session, "%s", c->session);
		m->late.session = c->session[0] ? m->late_session : NULL;
		return;
	}
	deliver(m, c, &start);
}

static void start_late(struct model *m)
{
	struct conn *c = conn_of(m, m->late.conn);
	if (c)
		deliver(m, c, &m->late);
	m->late.conn = 0;
}

static void drop(struct model *m, struct conn *c)
{
	if (!c->id)
		return;
	note(m, "\ndrop c%llu", (unsigned long long)c->id);
	uint64_t id = c->id;
	if (m->s.conn == id)
		m->alone_since = m->now;
	*c = (struct conn){ 0 };
	show_detached(&m->s, id, m->now, &m->fx);
}

static void stop(struct model *m)
{
	struct stopper *s = &m->stoppers[rnd(m, CONNS)];
	if (s->waits)
		return;
	*s = (struct stopper){ .id = ++m->next_id, .waits = true, .least = m->newest };
	note(m, "\nstop c%llu", (unsigned long long)s->id);
	show_stop(&m->s, s->id, &m->fx);
	check(m, m->s.state == SHOW_OFF, "a stop takes it off the air at once");
}

static void break_disk(struct model *m)
{
	uint32_t version = m->newest - (uint32_t)rnd(m, 2);
	if (!version || version > m->newest || !m->rows[version].open)
		return;
	note(m, "\nfail v%u", version);
	bool present = !m->rows[version].asked && m->s.take == SHOW_TAKE_RECORDING && version == m->s.version;
	if (present) {
		m->failed_at = m->now;
		m->space = false;
		counts.failures++;
	}
	enum show_state state = m->s.state;
	show_recording_failed(&m->s, version, ERR_STORAGE_FULL, m->now, &m->fx);
	check(m, m->s.state == state, "a failure leaves the show on air");
}

static void elsewhere(struct model *m)
{
	uint32_t version = m->newest;
	if (!version || !m->rows[version].open)
		return;
	note(m, "\nended v%u", version);
	if (!m->rows[version].asked) {
		m->rows[version].asked = true;
		m->finals[m->final_count++] = (struct finalising){ .version = version, .why = SHOW_WHY_ELSEWHERE };
		for (unsigned i = 0; i < CONNS; i++)
			m->conns[i].on = 0;
		counts.elsewhere++;
	}
	show_ended(&m->s, version, &m->fx);
}

static void space(struct model *m)
{
	note(m, "\nspace");
	m->space = true;
	show_space_back(&m->s, m->now, &m->fx);
}

static void pass(struct model *m, uint64_t ms)
{
	m->now += ms;
	note(m, "\n%llu", (unsigned long long)m->now);
	show_tick(&m->s, m->now, &m->fx);
	check(m, m->s.state != SHOW_WAITING || m->now < m->alone_since + GRACE_MS, "grace comes to its end");
}

static void pass_some(struct model *m)
{
	static const uint64_t steps_ms[] = { 1, 10, 400, 1000, 3000, 9000, GRACE_MS - 1, GRACE_MS, 61000 };
	uint64_t wake = show_next_wake(&m->s);
	bool exactly = wake != UINT64_MAX && wake > m->now && rnd(m, 4) == 0;
	pass(m, exactly ? wake - m->now - rnd(m, 2) : steps_ms[rnd(m, sizeof steps_ms / sizeof *steps_ms)]);
}

static void restore(struct model *m)
{
	for (uint32_t v = 1; v <= m->newest; v++) {
		const struct row *row = &m->rows[v];
		if (v < m->newest && !row->open)
			continue;
		bool failed = !row->open && row->ended == SHOW_WHY_FAILED && m->failed == v;
		const char *session = m->rows[row->first].session;
		struct show_past past = { .version = v,
					  .first = row->first,
					  .id = id_of(v),
					  .principal = principals[row->principal],
					  .session = *session ? session : NULL,
					  .take = row->open ? SHOW_TAKE_RECORDING
						  : failed  ? SHOW_TAKE_FAILED
							    : SHOW_TAKE_NONE,
					  .ended = row->ended,
					  .error = failed ? ERR_STORAGE_FULL : ERR_OK };
		check(m, show_restore(&m->s, &past, &m->fx) == ERR_OK, "memory");
	}
}

/* A crash: of what was under way, some is durable. */
static void restart(struct model *m)
{
	note(m, "\nrestart");
	if (m->begin.version && rnd(m, 2) && !(m->begin.named && lookup(m, principal_of(m->s.principal), m->s.session)))
		begin_row(m);
	for (unsigned i = 0; i < m->final_count; i++) {
		if (rnd(m, 2))
			final_row(m, &m->finals[i]);
	}
	m->final_count = 0;
	if (rnd(m, 2))
		mark_answer(m);
	m->mark_pending = false;
	m->begin.version = 0;
	m->late.conn = 0;
	memset(m->conns, 0, sizeof m->conns);
	memset(m->stoppers, 0, sizeof m->stoppers);
	for (uint32_t v = 1; v <= m->newest; v++)
		m->rows[v].asked = false;
	show_release(&m->s);
	show_init(&m->s, "morning", GRACE_MS, m->takeover);
	restore(m);
	m->now += rnd(m, 3 * GRACE_MS);
	show_tick(&m->s, m->now, &m->fx);
	show_listen(&m->s, m->now);
	m->alone_since = m->now;
	m->failed_at = 0;
	m->space = false;
	bool unfinished = m->newest && m->rows[m->newest].open;
	check(m, !unfinished || m->s.state == SHOW_WAITING, "a restart waits for who was on air");
	counts.restarts++;
}

/* Checks and loop */

static void check_rest(struct model *m, const struct show_view *before, bool restarted)
{
	struct show_view v = show_view(&m->s);
	bool same = v.state == before->state && v.take == before->take && v.error == before->error &&
		    v.version == before->version && v.turn == before->turn;
	check(m, restarted || same == !m->status, "a status for each change, and for nothing else");
	struct conn *host = conn_of(m, m->s.conn);
	if (v.state == SHOW_LIVE && v.take == SHOW_TAKE_RECORDING)
		check(m, host && host->host && host->on == m->s.version, "who is live is recorded");
	if (v.state == SHOW_LIVE && v.take == SHOW_TAKE_FAILED)
		check(m, host && host->host, "who is live is told so");
	for (unsigned i = 0; i < CONNS; i++)
		check(m, !m->conns[i].host || (v.state == SHOW_LIVE && &m->conns[i] == host), "only the host is one");
	if (m->begin.version || m->final_count)
		return;
	check(m, m->s.ask_count == 0, "nobody waits for nothing");
	for (unsigned i = 0; i < CONNS; i++)
		check(m, !m->stoppers[i].waits && !m->conns[i].starts, "every question is answered");
}

static void act(struct model *m)
{
	uint64_t dice = rnd(m, 100);
	if (dice < 22)
		start_some(m);
	else if (dice < 26)
		start_late(m);
	else if (dice < 38)
		drop(m, rnd(m, 2) && conn_of(m, m->s.conn) ? conn_of(m, m->s.conn) : &m->conns[rnd(m, CONNS)]);
	else if (dice < 41)
		stop(m);
	else if (dice < 61)
		begin_answer(m);
	else if (dice < 71)
		final_answer(m, (unsigned)rnd(m, m->final_count + 1));
	else if (dice < 74)
		mark_answer(m);
	else if (dice < 78)
		break_disk(m);
	else if (dice < 80)
		elsewhere(m);
	else if (dice < 86)
		space(m);
	else if (dice < 99)
		pass_some(m);
	else
		restart(m);
}

static void step(struct model *m)
{
	struct show_view before = show_view(&m->s);
	unsigned restarts = counts.restarts;
	m->status = false;
	m->taken_from = 0;
	act(m);
	drain(m);
	check_rest(m, &before, counts.restarts != restarts);
}

static void drain_anew(struct model *m)
{
	m->status = false;
	drain(m);
}

/* Everybody goes, storage answers, time passes: the show is off and all is ended. */
static void settle(struct model *m)
{
	if (m->s.state == SHOW_LIVE && m->s.take == SHOW_TAKE_FAILED && !m->broken) {
		space(m);
		pass(m, LIMIT_SHOW_RETRY_MAX_MS);
		check(m, m->s.begin == SHOW_BEGIN_NEXT, "who is live is recorded again");
		drain_anew(m);
	}
	for (unsigned i = 0; i < CONNS; i++) {
		drop(m, &m->conns[i]);
		drain_anew(m);
	}
	for (unsigned i = 0; i < 50 && !m->broken; i++) {
		drain_anew(m);
		begin_answer(m);
		drain_anew(m);
		final_answer(m, 0);
		drain_anew(m);
		pass(m, GRACE_MS);
	}
	drain_anew(m);
	mark_answer(m);
	check(m, m->s.state == SHOW_OFF && m->s.ask_count == 0, "after quiet, off");
	check(m, show_next_wake(&m->s) == UINT64_MAX, "off, nothing is waited for");
	for (uint32_t v = 1; v <= m->newest; v++)
		check(m, !m->rows[v].open && m->rows[v].begins == m->rows[v].ends, "every version has ended");
	check(m, m->failed == 0 || m->failed != m->newest, "a restart would find it off");
}

static void run_show(uint64_t seed, uint64_t number, char *trace)
{
	struct model *m = calloc(1, sizeof *m);
	assert_non_null(m);
	m->random = seed * 1000003 + number;
	m->trace = trace;
	m->trace[0] = 0;
	m->now = m->alone_since = 100000;
	m->takeover = rnd(m, 2);
	show_init(&m->s, "morning", GRACE_MS, m->takeover);
	show_effects_init(&m->fx);
	show_listen(&m->s, m->now);
	for (unsigned i = 0; i < STEPS_A_SHOW && !m->broken; i++)
		step(m);
	settle(m);
	const char *broken = m->broken;
	show_release(&m->s);
	show_effects_release(&m->fx);
	free(m);
	if (broken) {
		fprintf(stderr, "%s\n", trace); /* cmocka's own cuts it short */
		fail_msg("seed %llu, show %llu: %s", (unsigned long long)seed, (unsigned long long)number, broken);
	}
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void every_step_keeps_every_promise(void **state)
{
	uint64_t seed = number_from("HOLDFAST_SEED", 1), steps = number_from("HOLDFAST_STEPS", 1000000);
	char *trace = malloc(TRACE_BYTES);
	(void)state;
	assert_non_null(trace);
	print_message("seed %llu\n", (unsigned long long)seed);
	uint64_t shows = steps / STEPS_A_SHOW;
	for (uint64_t i = 0; i < shows; i++)
		run_show(seed, i, trace);
	free(trace);
	print_message("%llu shows: %u versions, %u resumed late, %u next, %u failures, %u takeovers, %u graces, "
		      "%u stops, %u ended elsewhere, %u restarts, %u reconnects, %u ordinary, %u refused\n",
		      (unsigned long long)shows, counts.begins, counts.again, counts.next, counts.failures,
		      counts.takeovers, counts.graces, counts.stops, counts.elsewhere, counts.restarts, counts.resumed,
		      counts.ordinary, counts.refused);
	/* a model that never gets anywhere proves nothing */
	assert_true(counts.begins > shows * 4 && counts.again > shows / 10 && counts.next > shows / 10);
	assert_true(counts.failures > shows / 2 && counts.takeovers > shows / 2 && counts.graces > shows / 2);
	assert_true(counts.stops > shows / 2 && counts.elsewhere > shows / 10 && counts.restarts > shows / 2);
	assert_true(counts.resumed > shows && counts.ordinary > shows / 2 && counts.refused > shows / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_step_keeps_every_promise) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
