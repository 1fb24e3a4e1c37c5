/* See take_model.h. The connections and the checks are here, storage is in take_model_storage.c. */
#include "support/take_model_impl.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = { "main", "video", "audio" };

uint32_t take_model_random(struct take_model *m, uint32_t below)
{
	m->random = m->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((m->random >> 33) % below);
}

static bool chance(struct take_model *m, unsigned percent)
{
	return take_model_random(m, 100) < percent;
}

void model_trace(struct take_model *m, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(m->trace[m->traced++ % TRACE], sizeof m->trace[0], format, args);
	va_end(args);
}

void model_check(struct take_model *m, bool holds, const char *promise)
{
	if (!holds && !m->broken)
		m->broken = promise;
}

const char *take_model_broken(const struct take_model *m)
{
	return m->broken;
}

const char *take_model_trace(struct take_model *m)
{
	size_t len = 0;
	unsigned first = m->traced > TRACE ? m->traced - TRACE : 0;
	for (unsigned i = first; i < m->traced; i++)
		len += (size_t)snprintf(m->text + len, sizeof m->text - len, "  %s\n", m->trace[i % TRACE]);
	return m->text;
}

struct take_model *take_model_new(uint64_t seed, struct take_model_counts *counts)
{
	struct take_model *m = calloc(1, sizeof *m);
	assert(m);
	m->random = seed * 0x9e3779b97f4a7c15ULL + 1;
	m->counts = counts;
	m->now = 1 + take_model_random(m, 100000);
	m->wall = 1700000000000;
	m->row.phase = PHASE_UPLOADING;
	effects_init(&m->fx);
	struct recording_info info = { .phase = PHASE_UPLOADING };
	if (chance(m, 40)) {
		info.declared_tracks = calloc(2, sizeof *info.declared_tracks);
		info.declared_tracks[0] = strdup(names[take_model_random(m, 2)]);
		info.declared_tracks[1] = strdup("audio");
		info.declared_count = 2;
	}
	m->single = info.declared_count == 0 && chance(m, 50);
	enum err err = recording_init(&m->r, &info, MODEL_GRACE, MODEL_LATE);
	assert(err == ERR_OK);
	recording_listen(&m->r, m->now, &m->fx);
	model_drain(m);
	return m;
}

void take_model_free(struct take_model *m)
{
	recording_release(&m->r);
	effects_release(&m->fx);
	free(m);
}

/* --- what the machine decides, against what was promised --- */

static struct model_conn *conn_of(struct take_model *m, uint64_t id)
{
	for (int i = 0; i < CONNS; i++) {
		if (m->conns[i].id == id)
			return &m->conns[i];
	}
	return NULL;
}

static void leave(struct model_conn *c)
{
	c->attached = c->started = false;
	c->heard = 0;
}

/* A message to a connection: only to one that is there, and nothing that is not durable. */
static void to_conn(struct take_model *m, const struct effect *fx)
{
	struct model_conn *c = conn_of(m, fx->conn);
	model_check(m, c != NULL, "nobody is told what is meant for another connection");
	if (!c)
		return;
	uint64_t durable = fx->track < m->r.info.track_count ? m->r.tracks[fx->track].durable : 0;
	switch (fx->type) {
	case EFFECT_STARTED:
	case EFFECT_ACK:
		model_check(m, c->attached && c->track == fx->track, "only who is attached is told of bytes");
		model_check(m, fx->bytes <= durable, "acked is durable");
		model_check(m, fx->bytes >= c->heard, "positions only grow");
		model_check(m, c->started || fx->type == EFFECT_STARTED, "no ack before `started`");
		c->started = true;
		c->heard = fx->bytes;
		break;
	case EFFECT_SAVED:
		model_check(m, m->told[fx->track], "saved only after the catalog knows");
		m->counts->saved++;
		leave(c);
		break;
	case EFFECT_ABORTED:
		model_check(m, m->row.phase == PHASE_ABORTED, "aborted only after the transaction");
		leave(c);
		break;
	default:
		leave(c);
	}
}

void model_drain(struct take_model *m)
{
	const struct effect *next;
	while ((next = effects_drain(&m->fx))) {
		struct effect fx = *next;
		model_trace(m, "    -> %d c%d t%d %llu err %d", fx.type, (int)fx.conn, fx.track,
			    (unsigned long long)fx.bytes, fx.err);
		if (fx.type < EFFECT_LOG_OPEN)
			to_conn(m, &fx);
		else
			model_submit(m, &fx);
	}
}

/* --- what the connections do --- */

static void do_attach(struct take_model *m)
{
	struct model_conn *c = &m->conns[take_model_random(m, CONNS)];
	if (c->attached)
		return;
	c->id = ++m->next_id;
	struct attach a = {
		.conn = c->id,
		.track = names[m->single ? 0 : take_model_random(m, 3)],
		.from = chance(m, 70) ? BYTES_UNKNOWN : take_model_random(m, 3000),
		.part = chance(m, 30),
		.wall_ms = m->wall,
	};
	uint16_t track;
	bool rest = model_at_rest(m);
	uint32_t tracks = m->r.info.track_count;
	enum recording_answer answer = recording_attach(&m->r, &a, m->now, &track, &m->fx);
	model_trace(m, "attach c%d %s from %lld: %d t%d", (int)c->id, a.track, (long long)a.from, answer, track);
	if (answer == ANSWER_WAIT) {
		model_check(m, !rest || m->r.busy == BUSY_REOPENING, "a start waits only for a change of state");
		c->waits = true;
	} else if (track != EFFECT_NO_TRACK) {
		struct track_state *t = &m->r.tracks[track];
		struct model_conn *old = conn_of(m, m->holder[track]);
		*c = (struct model_conn){ .id = c->id, .attached = true, .track = track };
		model_check(m, t->epoch == ++m->epochs[track], "an attach raises the epoch by one");
		model_check(m, a.from == BYTES_UNKNOWN || a.from <= t->accepted, "no hole is attached to");
		model_drain(m);
		model_check(m, !old || !old->attached, "who was taken over is told");
		m->counts->attached++;
	} else {
		model_check(m, m->r.info.track_count == tracks, "a refused start makes no track");
	}
}

/* A random connection, with some luck one that is attached. */
static struct model_conn *conn_any(struct take_model *m)
{
	uint32_t first = take_model_random(m, CONNS);
	for (uint32_t i = 0; i < CONNS; i++) {
		if (m->conns[(first + i) % CONNS].attached)
			return &m->conns[(first + i) % CONNS];
	}
	return &m->conns[first];
}

/* The track of a random connection that is attached, -1 if none is. */
static int attached_track(struct take_model *m)
{
	const struct model_conn *c = conn_any(m);
	return c->attached ? c->track : -1;
}

static void do_data(struct take_model *m)
{
	int track = attached_track(m);
	if (track < 0)
		return;
	struct track_state *t = &m->r.tracks[track];
	uint64_t total = m->r.info.tracks[track].total, accepted = t->accepted;
	uint64_t len = chance(m, 30) && total != BYTES_UNKNOWN && total > accepted ? total - accepted
										   : 1 + take_model_random(m, 900);
	uint32_t epoch = t->epoch - (chance(m, 10) ? 1 : 0);
	bool wanted = epoch == t->epoch && t->stage == STAGE_OPEN && m->r.busy == BUSY_NONE &&
		      m->r.info.phase == PHASE_UPLOADING && (total == BYTES_UNKNOWN || accepted + len <= total);
	bool taken = recording_data(&m->r, (uint16_t)track, epoch, len, m->now, &m->fx);
	model_trace(m, "data t%d epoch %u, %llu: %d", track, epoch, (unsigned long long)len, taken);
	model_check(m, taken == wanted, "accepted is what an open track of this epoch gets");
	model_check(m, t->accepted == accepted + (taken ? len : 0), "accepted grows by what was taken");
	m->counts->accepted += taken;
}

static void do_durable(struct take_model *m)
{
	for (uint32_t i = 0; i < m->r.info.track_count; i++) {
		struct track_state *t = &m->r.tracks[i];
		if (t->durable == t->accepted || chance(m, 30))
			continue;
		uint64_t more = 1 + take_model_random(m, (uint32_t)(t->accepted - t->durable));
		if (chance(m, 60))
			more = t->accepted - t->durable;
		model_trace(m, "durable t%u %llu", i, (unsigned long long)(t->durable + more));
		recording_durable(&m->r, (uint16_t)i, t->durable + more, &m->fx);
		return;
	}
}

static void do_end(struct take_model *m)
{
	int track = attached_track(m);
	if (track < 0 || !chance(m, 20))
		return;
	uint64_t total = m->r.tracks[track].accepted;
	if (chance(m, 30))
		total += take_model_random(m, 1000);
	else if (chance(m, 10) && total > 0)
		total -= 1;
	struct sha256 sha = model_sha((uint16_t)track, chance(m, 90) ? total : total + 1);
	model_trace(m, "end t%d %llu", track, (unsigned long long)total);
	recording_end(&m->r, (uint16_t)track, total, chance(m, 40) ? &sha : NULL, m->now, &m->fx);
}

static void do_leave(struct take_model *m)
{
	struct model_conn *c = chance(m, 50) ? conn_any(m) : &m->conns[take_model_random(m, CONNS)];
	model_trace(m, "detach c%d", (int)c->id);
	if (c->attached)
		recording_detach(&m->r, c->track, c->id, m->now, &m->fx);
	else if (m->r.info.track_count > 0) /* of one that had lost its place: nothing happens */
		recording_detach(&m->r, 0, m->next_id + 1000, m->now, &m->fx);
	leave(c);
}

static void do_abort(struct take_model *m)
{
	if (attached_track(m) < 0 || !chance(m, 3))
		return;
	bool busy = m->r.busy == BUSY_ABORTING, rest = model_at_rest(m);
	enum recording_answer answer = recording_abort(&m->r, "no", &m->fx);
	model_trace(m, "abort: %d", answer);
	model_check(m, (answer == ANSWER_WAIT) == (!rest && !busy), "an abort waits for a change of state");
}

static void do_complete(struct take_model *m)
{
	struct total totals[2];
	struct sha256 sha[2];
	if (!chance(m, m->r.info.phase == PHASE_UPLOADING ? 5 : 50))
		return;
	size_t count = take_model_random(m, 3);
	for (size_t i = 0; i < count; i++) {
		uint32_t track = take_model_random(m, 3);
		const struct track_info *info = recording_info_track(&m->r.info, names[track]);
		uint64_t bytes = info ? m->r.tracks[info->number].accepted : 0;
		bytes += chance(m, 15) ? take_model_random(m, 50) : 0;
		sha[i] = model_sha(info ? info->number : 9, bytes + chance(m, 10));
		totals[i] = (struct total){ names[track], bytes, chance(m, 50) ? &sha[i] : NULL };
	}
	enum phase phase = m->r.info.phase;
	bool busy = m->r.busy != BUSY_NONE;
	enum err err = ERR_OK;
	struct completion completion = { totals, count, 0 };
	enum complete_answer answer = recording_complete(&m->r, &completion, &err, &m->fx);
	model_trace(m, "complete of %zu: %d, err %d", count, answer, err);
	model_check(m, (answer == COMPLETE_WAIT) == busy, "complete waits while another change is under way");
	model_check(m, (answer == COMPLETE_REFUSED) == (err != ERR_OK), "a refusal has its reason");
	model_check(m, (m->r.busy == BUSY_SEALING) >= (answer == COMPLETE_STARTED), "a start is one");
	if (answer == COMPLETE_STARTED)
		model_check(m, phase == PHASE_UPLOADING || phase == PHASE_ERROR, "only these are claimed");
	if (answer == COMPLETE_COMPLETE)
		model_check(m, phase == PHASE_COMPLETE, "complete means complete");
}

static void do_repeat(struct take_model *m)
{
	int track = attached_track(m);
	if (track < 0)
		return;
	model_trace(m, "repeat t%d", track);
	recording_repeat(&m->r, (uint16_t)track, &m->fx);
}

/* --- what time and the server do --- */

static void do_time(struct take_model *m)
{
	uint64_t wake = recording_next_wake(&m->r), step = take_model_random(m, 3000);
	if (chance(m, 40) && wake != UINT64_MAX)
		step = wake > m->now ? wake - m->now : 0;
	m->now += step;
	m->wall += (int64_t)(chance(m, 2) ? MODEL_LATE : step);
	model_trace(m, "tick +%llu", (unsigned long long)step);
	recording_tick(&m->r, m->now, &m->fx);
	model_check(m, recording_next_wake(&m->r) > m->now, "no timer rings for ever");
}

static void do_trouble(struct take_model *m)
{
	switch (take_model_random(m, 8)) {
	case 0:
		model_trace(m, "storage full");
		recording_storage_full(&m->r, m->now, &m->fx);
		recording_freeze(&m->r, true, m->now);
		break;
	case 1:
	case 2:
		model_trace(m, "space is back");
		recording_freeze(&m->r, false, m->now);
		break;
	case 3:
		model_trace(m, "all detached");
		recording_detach_all(&m->r, ERR_SHUTTING_DOWN, m->now, &m->fx);
		break;
	default:
		if (chance(m, 10)) {
			model_trace(m, "poison");
			m->counts->failed += m->r.info.phase == PHASE_UPLOADING;
			recording_poison(&m->r, ERR_POISONED, &m->fx);
		}
	}
}

/* --- what always holds --- */

static void check_track(struct take_model *m, uint16_t i)
{
	const struct track_state *t = &m->r.tracks[i];
	const struct track_info *info = &m->r.info.tracks[i];
	model_check(m, t->durable <= t->accepted, "durable is at most accepted");
	model_check(m, t->durable == info->bytes, "what is shown is durable");
	model_check(m, t->durable >= m->durable[i], "durable only grows");
	model_check(m, t->epoch == m->epochs[i], "epochs rise by attaching only");
	model_check(m, m->stage[i] == STAGE_OPEN || t->accepted == m->accepted[i], "nothing is accepted behind a seal");
	model_check(m, t->stage < STAGE_SPOOL || t->durable == t->accepted, "only what is durable is hashed");
	model_check(m, !info->sealed || t->stage >= STAGE_LOG, "sealed is shown of sealed tracks only");
	for (uint32_t k = 0; k < info->part_count; k++) {
		model_check(m, info->parts[k] < t->accepted, "no part begins behind the last byte");
		model_check(m, k == 0 || info->parts[k] > info->parts[k - 1], "parts are in order");
	}
	const struct model_conn *c = conn_of(m, t->conn);
	model_check(m, !t->conn || (c && c->attached && c->track == i), "who lost its place is told");
	m->durable[i] = t->durable;
	m->accepted[i] = t->accepted;
	m->stage[i] = t->stage;
	m->holder[i] = t->conn;
}

static void check_phase(struct take_model *m)
{
	const struct recording_info *info = &m->r.info;
	bool moved = info->phase != m->phase;
	/* storage failed under an abort: memory said `error` until it read the row that came first */
	bool late = m->phase == PHASE_ERROR && info->phase == PHASE_ABORTED && m->row.phase == PHASE_ABORTED;
	model_check(m, !moved || late || phase_may(m->phase, info->phase, m->by), "phases move by the table");
	model_check(m, (info->error != ERR_OK) == (info->phase == PHASE_ERROR), "an error is told of `error` only");
	model_check(m, info->interrupted == (info->sealed_by == SEALED_BY_GRACE), "interrupted means grace");
	m->phase = info->phase;
	m->by = info->sealed_by;
}

static void check_all(struct take_model *m)
{
	for (uint32_t i = 0; i < m->r.info.track_count; i++)
		check_track(m, (uint16_t)i);
	for (int i = 0; i < CONNS; i++) {
		const struct model_conn *c = &m->conns[i];
		model_check(m, !c->attached || m->r.tracks[c->track].conn == c->id, "nobody is forgotten");
	}
	check_phase(m);
	bool alone = m->r.info.phase == PHASE_UPLOADING && model_at_rest(m) && !recording_attached(&m->r);
	model_check(m, (m->r.idle_deadline != UINT64_MAX) == alone, "the grace runs while a take waits alone");
	model_check(m, m->r.busy == BUSY_NONE || model_owed(m), "a change of state waits for storage");
}

void take_model_step(struct take_model *m)
{
	static void (*const steps[])(struct take_model * m) = {
		do_attach,  do_attach,	 do_data,      do_data,	     do_data,	   do_data,	 do_durable,
		do_durable, do_durable,	 do_end,       do_leave,     do_abort,	   do_repeat,	 do_time,
		do_trouble, do_complete, model_answer, model_answer, model_answer, model_answer, model_answer,
	};
	unsigned kind = take_model_random(m, 1000);
	if (kind < 6)
		model_restart(m);
	else if (kind < 7)
		model_delete(m);
	else if (kind < 40)
		model_work(m);
	else
		steps[kind % (sizeof steps / sizeof *steps)](m);
	model_drain(m);
	check_all(m);
}

bool take_model_over(const struct take_model *m)
{
	enum phase phase = m->row.phase;
	bool late = m->row.sealed_by == SEALED_BY_GRACE;
	return phase == PHASE_ABORTED || phase == PHASE_DELETED || (phase != PHASE_UPLOADING && !late);
}

void take_model_settle(struct take_model *m)
{
	recording_freeze(&m->r, false, m->now);
	for (int i = 0; i < 10000 && !m->broken; i++) {
		bool more = model_owed(m);
		do_durable(m);
		model_answer(m);
		model_drain(m);
		check_all(m);
		if (!more)
			break;
	}
	model_check(m, model_at_rest(m), "every change of state ends");
	model_check(m, m->r.info.phase == m->row.phase, "the catalog and memory say the same");
	for (int i = 0; i < CONNS; i++)
		model_check(m, !m->conns[i].waits, "who waits is woken");
}
