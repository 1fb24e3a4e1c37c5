/* The show machine under random schedules of hosts, drops, stops, failures and crashes, with storage that answers in
 * any order. After each step everything that the machine promises is checked.
 *
 * HOLDFAST_SEED=n runs other schedules, HOLDFAST_STEPS=n more of them; a failure names the seed and its steps. */
#include "support/show_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS_A_SHOW = 200 };

static void deliver(struct show_model *m, struct conn *c, const struct show_start *start)
{
	struct show_view before = show_view(&m->s);
	unsigned now_host = show_model_principal(m->s.principal);
	bool at_rest = !m->s.begin && before.state != SHOW_OFF;
	show_model_note(m, "\nstart c%llu %s %s v%u", (unsigned long long)c->id, start->principal,
			start->session ? start->session : "-", start->version);
	c->starts++;
	m->hosted_conn = 0;
	show_host(&m->s, start, m->now, &m->fx);
	show_model_drain(m);
	if (at_rest && now_host == c->principal && !start->session) {
		show_model_check(m, m->hosted_conn == c->id && m->hosted_version == before.version,
				 "a reconnect goes on");
		show_model_counts.resumed++;
	}
}

static void start_some(struct show_model *m)
{
	struct conn *c = &m->conns[show_model_random(m, CONNS)];
	if (!c->id) {
		*c = (struct conn){ .id = ++m->next_id,
				    .principal =
					    1 + (unsigned)(show_model_random(m, 8) * show_model_random(m, 8) / 20) };
		if (c->principal > 3)
			c->principal = 3;
		unsigned takes = 1 + m->newest / 3;
		if (show_model_random(m, 3))
			snprintf(c->session, sizeof c->session, "t%u",
				 (unsigned)(takes - show_model_random(m, takes > 2 ? 2 : takes)));
	}
	struct show_start start = { .conn = c->id,
				    .principal = show_model_principals[c->principal],
				    .session = c->session[0] ? c->session : NULL,
				    .version = show_model_lookup(m, c->principal, c->session) };
	if (show_model_random(m, 6) == 0 && !m->late.conn) {
		m->late = start;
		snprintf(m->late_session, sizeof m->late_session, "%s", c->session);
		m->late.session = c->session[0] ? m->late_session : NULL;
		return;
	}
	deliver(m, c, &start);
}

static void start_late(struct show_model *m)
{
	struct conn *c = show_model_conn(m, m->late.conn);
	if (c)
		deliver(m, c, &m->late);
	m->late.conn = 0;
}

static void drop(struct show_model *m, struct conn *c)
{
	if (!c->id)
		return;
	show_model_note(m, "\ndrop c%llu", (unsigned long long)c->id);
	uint64_t id = c->id;
	if (m->s.conn == id)
		m->alone_since = m->now;
	*c = (struct conn){ 0 };
	show_detached(&m->s, id, m->now, &m->fx);
}

static void stop(struct show_model *m)
{
	struct stopper *s = &m->stoppers[show_model_random(m, CONNS)];
	if (s->waits)
		return;
	*s = (struct stopper){ .id = ++m->next_id, .waits = true, .least = m->newest };
	show_model_note(m, "\nstop c%llu", (unsigned long long)s->id);
	show_stop(&m->s, s->id, &m->fx);
	show_model_drain(m);
	for (unsigned i = 0; i < CONNS; i++)
		show_model_check(m, !m->conns[i].starts, "a stop is for hosts that wait, too");
	show_model_check(m, m->s.state == SHOW_OFF, "a stop takes it off the air at once");
}

static void break_disk(struct show_model *m)
{
	uint32_t version = m->newest - (uint32_t)show_model_random(m, 2);
	if (!version || version > m->newest || !m->rows[version].open)
		return;
	show_model_note(m, "\nfail v%u", version);
	bool present = !m->rows[version].asked && m->s.take == SHOW_TAKE_RECORDING && version == m->s.version;
	if (present) {
		m->failed_at = m->now;
		m->space = false;
		show_model_counts.failures++;
	}
	enum show_state state = m->s.state;
	enum show_take take = m->s.take;
	show_recording_failed(&m->s, version, ERR_STORAGE_FULL, m->now, &m->fx);
	show_model_check(m, m->s.state == state, "a failure leaves the show on air");
	show_model_check(m, present || m->s.take == take, "a failure of another version is no concern");
}

static void elsewhere(struct show_model *m)
{
	uint32_t version = m->newest;
	if (!version || !m->rows[version].open)
		return;
	show_model_note(m, "\nended v%u", version);
	if (!m->rows[version].asked) {
		m->rows[version].asked = true;
		m->finals[m->final_count++] = (struct finalising){ .version = version, .why = SHOW_WHY_ELSEWHERE };
		for (unsigned i = 0; i < CONNS; i++)
			m->conns[i].on = 0;
		show_model_counts.elsewhere++;
	}
	show_ended(&m->s, version, &m->fx);
}

static void space(struct show_model *m)
{
	show_model_note(m, "\nspace");
	m->space = true;
	show_space_back(&m->s, m->now, &m->fx);
}

static void pass(struct show_model *m, uint64_t ms)
{
	m->now += ms;
	show_model_note(m, "\n%llu", (unsigned long long)m->now);
	show_tick(&m->s, m->now, &m->fx);
	show_model_check(m, m->s.state != SHOW_WAITING || m->now < m->alone_since + GRACE_MS, "grace comes to its end");
}

static void pass_some(struct show_model *m)
{
	static const uint64_t steps_ms[] = { 1, 10, 400, 1000, 3000, 9000, GRACE_MS - 1, GRACE_MS, 61000 };
	uint64_t wake = show_next_wake(&m->s);
	bool exactly = wake != UINT64_MAX && wake > m->now && show_model_random(m, 4) == 0;
	pass(m, exactly ? wake - m->now - show_model_random(m, 2)
			: steps_ms[show_model_random(m, sizeof steps_ms / sizeof *steps_ms)]);
}

static void restore(struct show_model *m)
{
	for (uint32_t v = 1; v <= m->newest; v++) {
		const struct row *row = &m->rows[v];
		if (v < m->newest && !row->open)
			continue;
		bool failed = !row->open && row->ended == SHOW_WHY_FAILED && m->failed == v;
		const char *session = m->rows[row->first].session;
		struct show_past past = { .version = v,
					  .first = row->first,
					  .id = show_model_id(v),
					  .principal = show_model_principals[row->principal],
					  .session = *session ? session : NULL,
					  .take = row->open ? SHOW_TAKE_RECORDING
						  : failed  ? SHOW_TAKE_FAILED
							    : SHOW_TAKE_NONE,
					  .ended = row->ended,
					  .error = failed ? ERR_STORAGE_FULL : ERR_OK,
					  .marked = m->failed == v };
		show_model_check(m, show_restore(&m->s, &past, &m->fx) == ERR_OK, "memory");
	}
}

/* Off, it is forgotten, and is asked for again. */
static void forget(struct show_model *m)
{
	if (!show_at_rest(&m->s) || m->begin.version || m->final_count || m->mark_pending)
		return;
	show_model_note(m, "\nforget");
	show_release(&m->s);
	show_init(&m->s, "morning", GRACE_MS, m->takeover);
	restore(m);
	show_listen(&m->s, m->now);
}

/* A crash: of what was under way, some is durable. */
static void restart(struct show_model *m)
{
	show_model_note(m, "\nrestart");
	if (m->begin.version && show_model_random(m, 2) &&
	    !(m->begin.named && show_model_lookup(m, show_model_principal(m->s.principal), m->s.session)))
		show_model_begin_row(m);
	for (unsigned i = 0; i < m->final_count; i++) {
		if (show_model_random(m, 2))
			show_model_final_row(m, &m->finals[i]);
	}
	m->final_count = 0;
	if (show_model_random(m, 2))
		show_model_mark_answer(m);
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
	m->now += show_model_random(m, 3 * GRACE_MS);
	show_tick(&m->s, m->now, &m->fx);
	show_listen(&m->s, m->now);
	m->alone_since = m->now;
	m->failed_at = 0;
	m->space = false;
	bool unfinished = m->newest && m->rows[m->newest].open;
	show_model_check(m, !unfinished || m->s.state == SHOW_WAITING, "a restart waits for who was on air");
	show_model_counts.restarts++;
}

/* Checks and loop */

static void check_rest(struct show_model *m, const struct show_view *before, bool restarted)
{
	struct show_view v = show_view(&m->s);
	bool same = v.state == before->state && v.take == before->take && v.error == before->error &&
		    v.version == before->version && v.turn == before->turn;
	show_model_check(m, restarted || same == !m->status, "a status for each change, and for nothing else");
	struct conn *host = show_model_conn(m, m->s.conn);
	if (v.state == SHOW_LIVE && v.take == SHOW_TAKE_RECORDING)
		show_model_check(m, host && host->host && host->on == m->s.version, "who is live is recorded");
	if (v.state == SHOW_LIVE && v.take == SHOW_TAKE_FAILED)
		show_model_check(m, host && host->host, "who is live is told so");
	for (unsigned i = 0; i < CONNS; i++)
		show_model_check(m, !m->conns[i].host || (v.state == SHOW_LIVE && &m->conns[i] == host),
				 "only the host is one");
	if (m->begin.version || m->final_count)
		return;
	show_model_check(m, m->s.ask_count == 0, "nobody waits for nothing");
	show_model_check(m, show_at_rest(&m->s) == (v.state == SHOW_OFF), "off, it may leave memory");
	for (unsigned i = 0; i < CONNS; i++)
		show_model_check(m, !m->stoppers[i].waits && !m->conns[i].starts, "every question is answered");
}

static void act(struct show_model *m)
{
	uint64_t dice = show_model_random(m, 100);
	if (dice < 22)
		start_some(m);
	else if (dice < 26)
		start_late(m);
	else if (dice < 38)
		drop(m, show_model_random(m, 2) && show_model_conn(m, m->s.conn)
				? show_model_conn(m, m->s.conn)
				: &m->conns[show_model_random(m, CONNS)]);
	else if (dice < 41)
		stop(m);
	else if (dice < 61)
		show_model_begin_answer(m);
	else if (dice < 71)
		show_model_final_answer(m, (unsigned)show_model_random(m, m->final_count + 1));
	else if (dice < 74)
		show_model_mark_answer(m);
	else if (dice < 78)
		break_disk(m);
	else if (dice < 80)
		elsewhere(m);
	else if (dice < 86)
		space(m);
	else if (dice < 98)
		pass_some(m);
	else if (dice < 99)
		forget(m);
	else
		restart(m);
}

static void step(struct show_model *m)
{
	struct show_view before = show_view(&m->s);
	unsigned restarts = show_model_counts.restarts;
	m->status = false;
	m->taken_from = 0;
	act(m);
	show_model_drain(m);
	check_rest(m, &before, show_model_counts.restarts != restarts);
}

static void drain_anew(struct show_model *m)
{
	m->status = false;
	show_model_drain(m);
}

/* Everybody goes, storage answers, time passes: the show is off and all is ended. */
static void settle(struct show_model *m)
{
	if (m->s.state == SHOW_LIVE && m->s.take == SHOW_TAKE_FAILED && !m->broken) {
		space(m);
		pass(m, LIMIT_SHOW_RETRY_MAX_MS);
		show_model_check(m, m->s.begin == SHOW_BEGIN_NEXT, "who is live is recorded again");
		drain_anew(m);
	}
	for (unsigned i = 0; i < CONNS; i++) {
		drop(m, &m->conns[i]);
		drain_anew(m);
	}
	for (unsigned i = 0; i < 50 && !m->broken; i++) {
		drain_anew(m);
		show_model_begin_answer(m);
		drain_anew(m);
		show_model_final_answer(m, 0);
		drain_anew(m);
		pass(m, GRACE_MS);
	}
	drain_anew(m);
	show_model_mark_answer(m);
	show_model_check(m, m->s.state == SHOW_OFF && m->s.ask_count == 0, "after quiet, off");
	show_model_check(m, show_next_wake(&m->s) == UINT64_MAX, "off, nothing is waited for");
	for (uint32_t v = 1; v <= m->newest; v++)
		show_model_check(m, !m->rows[v].open && m->rows[v].begins == m->rows[v].ends,
				 "every version has ended");
	show_model_check(m, m->failed == 0 || m->failed != m->newest, "a restart would find it off");
}

static void run_show(uint64_t seed, uint64_t number, char *trace)
{
	struct show_model *m = calloc(1, sizeof *m);
	assert_non_null(m);
	m->random = seed * 1000003 + number;
	m->trace = trace;
	m->trace[0] = 0;
	m->now = m->alone_since = 100000;
	m->takeover = show_model_random(m, 2);
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
		      (unsigned long long)shows, show_model_counts.begins, show_model_counts.again,
		      show_model_counts.next, show_model_counts.failures, show_model_counts.takeovers,
		      show_model_counts.graces, show_model_counts.stops, show_model_counts.elsewhere,
		      show_model_counts.restarts, show_model_counts.resumed, show_model_counts.ordinary,
		      show_model_counts.refused);
	/* a model that never gets anywhere proves nothing */
	assert_true(show_model_counts.begins > shows * 4 && show_model_counts.again > shows / 10 &&
		    show_model_counts.next > shows / 10);
	assert_true(show_model_counts.failures > shows / 2 && show_model_counts.takeovers > shows / 2 &&
		    show_model_counts.graces > shows / 2);
	assert_true(show_model_counts.stops > shows / 2 && show_model_counts.elsewhere > shows / 10 &&
		    show_model_counts.restarts > shows / 2);
	assert_true(show_model_counts.resumed > shows && show_model_counts.ordinary > shows / 2 &&
		    show_model_counts.refused > shows / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_step_keeps_every_promise) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
