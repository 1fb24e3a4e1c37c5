/* The engine's life: open, turn, timers, stop. See engine.h. */
#include "engine/internal.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_SIZE = 1 << 15 };

void *must(void *memory)
{
	if (!memory) {
		log_event(LOG_ERROR, "out_of_memory", NULL);
		abort(); /* recovery is the safe way on: nothing half-done is acked */
	}
	return memory;
}

int64_t engine_wall(const struct engine *e)
{
	return e->now.wall_ms;
}

struct uuid engine_new_id(struct engine *e)
{
	uint8_t random[10];
	e->config.random(e->config.random_arg, random, sizeof random);
	return uuid_v7(engine_wall(e), random);
}

void engine_fail(struct engine *e, enum err err, const char *what)
{
	if (e->failed)
		return;
	e->failed = true;
	e->config.callbacks.fatal(e->config.callbacks.arg, err, what);
}

/* A process that was stopped, or a machine that slept, heard nobody meanwhile: that time does not count against
 * clients. It shows as a timer that is overdue by more than any turn takes. */
void engine_clock(struct engine *e, struct now now)
{
	uint64_t mono = now.mono_ms - e->skew_ms;
	uint64_t due = timers_next(&e->timers);
	if (due != UINT64_MAX && mono > due + LIMIT_LATE_MS && mono > e->now.mono_ms + LIMIT_LATE_MS) {
		uint64_t from = due > e->now.mono_ms ? due : e->now.mono_ms;
		log_event(LOG_WARN, "stood_still", "ms", log_number(mono - from), NULL);
		e->skew_ms += mono - from;
		mono = from;
	}
	if (mono > e->now.mono_ms)
		e->now.mono_ms = mono;
	e->now.wall_ms = now.wall_ms;
}

void engine_rearm_conn(struct engine *e, struct conn *c)
{
	timer_set(&e->timers, &c->timer, session_next_wake(&c->session));
}

void engine_rearm_take(struct engine *e, struct take *t)
{
	if (t->loading || t->gone)
		return;
	shows_look(e, t);
	follow_look(e, t);
	timer_set(&e->timers, &t->timer, e->listening ? recording_next_wake(&t->rec) : UINT64_MAX);
}

static void on_durable(void *arg, uint64_t sequence)
{
	struct engine *e = arg;
	append_durable(e, sequence);
	checkpoint_durable(e, sequence);
	replies_release(e);
	follow_settled(e);
	append_pump(e);
	spool_pump(e);
	checkpoint_maybe(e);
	append_pressure(e);
}

static void on_journal_failed(void *arg, enum err err)
{
	engine_fail(arg, err, "the journal");
}

static void on_room(void *arg)
{
	append_pressure(arg);
	append_pump(arg);
}

/* The disk is the recordings' first. */
static bool on_fill(void *arg)
{
	struct engine *e = arg;
	bool quiet = e->now.mono_ms - e->spool_ms >= LIMIT_FILL_QUIET_MS;
	if (!quiet)
		timer_set(&e->timers, &e->fill_timer, e->now.mono_ms + LIMIT_FILL_PACE_MS);
	return quiet;
}

static enum err open_journal(struct engine *e)
{
	struct journal_config config = {
		.vfs = e->config.vfs,
		.exec = e->config.exec,
		.size_bytes = e->config.journal_bytes,
		.segment_bytes = e->config.segment_bytes ? e->config.segment_bytes
							 : journal_segment_bytes(e->config.journal_bytes),
		.io = e->config.journal_io,
		.random = e->config.random,
		.random_arg = e->config.random_arg,
		.durable = on_durable,
		.failed = on_journal_failed,
		.room = on_room,
		.may_fill = on_fill,
		.arg = e,
	};
	return journal_open(&config, &e->journal);
}

static void init(struct engine *e, const struct engine_config *config, struct now now)
{
	e->config = *config;
	if (e->config.upload_expires_ms == 0)
		e->config.upload_expires_ms = LIMIT_UPLOAD_EXPIRES_MS;
	e->now = now;
	e->table_size = TABLE_SIZE;
	e->by_id = must(calloc(TABLE_SIZE, sizeof *e->by_id));
	e->by_key = must(calloc(TABLE_SIZE, sizeof *e->by_key));
	e->hold_floor = UINT64_MAX;
	list_init(&e->deletions);
	replies_init(&e->replies);
	effects_init(&e->fx);
	timers_init(&e->timers);
	list_init(&e->conns);
	list_init(&e->ready);
	list_init(&e->takes);
	list_init(&e->dirty);
	list_init(&e->catalog_queue);
	list_init(&e->catalog_retry);
	list_init(&e->readers);
	list_init(&e->checkpoint.todo);
	list_init(&e->checkpoint.ready);
	list_init(&e->rescues);
	list_init(&e->event_watches);
	follow_init(e);
	jobs_init(e);
	fetching_init(e);
	uploads_init(e);
	notifying_init(e);
	shows_init(e);
	batches_init(e);
	pushing_init(e);
	authorities_init(e);
	for (int i = 0; i < SIZE_CLASSES; i++)
		list_init(&e->spoolable[i]);
	e->space_timer.kind = TIMER_SPACE;
	e->fill_timer.kind = TIMER_FILL;
	e->checkpoint.timer.kind = TIMER_CHECKPOINT;
	e->retention.timer.kind = TIMER_RETENTION;
}

/* Media blocks take what is left of --memory after the journal's batch, reads and bookkeeping. */
static size_t pool_bytes(uint64_t memory_bytes)
{
	uint64_t other = memory_bytes / 4 < 16 * MIB ? memory_bytes / 4 : 16 * MIB;
	return (size_t)(memory_bytes - other);
}

enum err engine_open(const struct engine_config *config, struct now now, struct engine **out)
{
	struct engine *e = must(calloc(1, sizeof *e));
	struct vfs_space space;
	init(e, config, now);
	*out = NULL;
	enum err err = block_pool_init(&e->pool, pool_bytes(config->memory_bytes));
	if (!err)
		err = vfs_space(config->vfs, &space);
	if (!err) {
		e->free_bytes = space.free_bytes;
		e->total_bytes = space.total_bytes;
		err = open_journal(e);
	}
	if (!err)
		err = engine_recover(e);
	if (!err && e->failed)
		err = ERR_SYNC_FAILED;
	if (err) {
		engine_close(e);
		return err;
	}
	*out = e;
	return ERR_OK;
}

const struct engine_recovery *engine_recovery(const struct engine *e)
{
	return &e->recovery;
}

void engine_listening(struct engine *e, struct now now)
{
	engine_clock(e, now);
	e->listening = true;
	for (struct list *at = e->takes.next, *next; at != &e->takes; at = next) {
		next = at->next;
		struct take *t = list_entry(at, struct take, link);
		if (t->loading)
			continue;
		recording_listen(&t->rec, e->now.mono_ms, &e->fx);
		effects_run(e, t);
	}
	timer_set(&e->timers, &e->checkpoint.timer, e->now.mono_ms + LIMIT_CHECKPOINT_MS);
	shows_listening(e);
	jobs_listening(e);
	retention_listen(e);
	fetching_listening(e);
	uploads_listening(e);
	notifying_listening(e);
	pushing_listening(e);
	space_check(e);
}

static void on_timer(struct engine *e, struct timer *timer)
{
	switch (timer->kind) {
	case TIMER_CONN: {
		struct conn *c = list_entry(timer, struct conn, timer);
		uint64_t id = c->id;
		if (!c->granted && !c->known && c->session.state != SESSION_CLOSING)
			conn_cut(e, c, ERR_UNAUTHORIZED); /* a heartbeat has passed, and nobody knows who it is */
		session_tick(&c->session, e->now.mono_ms, &e->fx);
		effects_run(e, NULL);
		c = conn_find(e, id);
		if (c)
			engine_rearm_conn(e, c);
		break;
	}
	case TIMER_TAKE: {
		struct take *t = list_entry(timer, struct take, timer);
		take_pin(t);
		conns_unread(e, t);
		recording_tick(&t->rec, e->now.mono_ms, &e->fx);
		effects_run(e, t);
		take_unpin(e, t);
		break;
	}
	case TIMER_SPACE:
		space_check(e);
		break;
	case TIMER_CHECKPOINT:
		if (journal_durable(e->journal) > e->checkpoint.covered + 1)
			checkpoint_begin(e);
		else
			timer_set(&e->timers, timer, e->now.mono_ms + LIMIT_CHECKPOINT_MS);
		break;
	case TIMER_FILL:
		journal_fill_on(e->journal);
		break;
	case TIMER_UPLOADS:
		uploads_timer(e);
		break;
	case TIMER_RETENTION:
		retention_due(e);
		break;
	case TIMER_FOLLOW:
		break; /* the turn ends with it */
	case TIMER_SLOT:
		jobs_timer(timer);
		break;
	case TIMER_JOBS:
		jobs_look(e);
		break;
	case TIMER_FETCH_SLOT:
		fetching_slot_timer(timer);
		break;
	case TIMER_FETCHES:
		fetching_timer(e);
		break;
	case TIMER_NOTIFIES:
		notifying_timer(e);
		break;
	case TIMER_AIR:
		shows_timer(e, timer);
		break;
	case TIMER_PUSHES:
		pushing_timer(e);
		break;
	case TIMER_PUSH_SLOT:
		pushing_slot_timer(timer);
		break;
	case TIMER_PUSH_SWEEP:
		pushing_sweep_timer(e);
		break;
	}
}

/* A stop ends when nothing is under way and everything is checkpointed. */
static void stop_pump(struct engine *e)
{
	if (!e->stopping || !e->stopped || e->checkpoint.running || e->catalog_busy)
		return;
	bool busy = e->in_flight.count > 0 || e->spool_writes > 0 || !list_empty(&e->dirty) || e->space_reading;
	bool work = !list_empty(&e->shows.due) || retention_busy(e) || !jobs_idle(e) || !fetching_idle(e) ||
		    !uploads_idle(e) || !notifying_idle(e) || !pushing_idle(e);
	if (busy || work || journal_busy(e->journal) || !list_empty(&e->catalog_queue))
		return;
	bool behind = journal_durable(e->journal) > e->checkpoint.covered + 1;
	if (behind && e->checkpoint.done_count < e->stop_checkpoints + 3) {
		checkpoint_begin(e);
		return;
	}
	void (*stopped)(void *arg) = e->stopped;
	e->stopped = NULL;
	stopped(e->stopped_arg);
}

void engine_time(struct engine *e, struct now now)
{
	engine_clock(e, now);
}

void engine_turn(struct engine *e, struct now now)
{
	engine_clock(e, now);
	struct timer *due;
	jobs_turn(e); /* before timers: what was said in time came in time */
	while (!e->failed && (due = timers_due(&e->timers, e->now.mono_ms)))
		on_timer(e, due);
	authorities_turn(e);
	conns_ready(e);
	if (e->space_timer.place == 0 && !e->space_reading && e->conn_count > 0 && e->listening)
		timer_set(&e->timers, &e->space_timer, e->now.mono_ms + LIMIT_SPACE_CHECK_MS);
	fetching_turn(e);
	notifying_turn(e);
	shows_turn(e);
	pushing_turn(e);
	uploads_turn(e);
	catalog_pump(e);
	append_pump(e);
	spool_pump(e);
	checkpoint_maybe(e);
	follow_turn(e);
	stop_pump(e);
}

uint64_t engine_next_wake(const struct engine *e)
{
	bool more = !list_empty(&e->ready) || !list_empty(&e->shows.due) || e->uploads.wanted;
	uint64_t next = more ? 0 : timers_next(&e->timers);
	return next == UINT64_MAX ? UINT64_MAX : next + e->skew_ms;
}

void engine_status(const struct engine *e, struct engine_status *out)
{
	*out = (struct engine_status){
		.connections = e->conn_count,
		.memory_used = (uint64_t)(e->pool.count - e->pool.free_count) * LIMIT_BLOCK_BYTES + e->held_bytes,
		.memory_bytes = e->config.memory_bytes,
		.bytes_received = e->bytes_received,
		.bytes_durable = e->bytes_durable,
		.free_bytes = e->free_bytes,
		.total_bytes = e->total_bytes,
		.reserve_bytes = space_reserve(e),
		.checkpoints = e->checkpoint.done_count,
		.paused = e->paused,
	};
	for (const struct list *at = e->takes.next; at != &e->takes; at = at->next) {
		const struct take *t = list_entry(at, struct take, link);
		if (t->loading)
			continue;
		out->takes += t->rec.info.phase == PHASE_UPLOADING;
		out->attached += recording_attached(&t->rec);
	}
	jobs_status(e, out);
	authorities_status(e, out);
	journal_status(e->journal, &out->journal);
}

void engine_stop(struct engine *e, struct now now, void (*done)(void *arg), void *arg)
{
	engine_clock(e, now);
	e->stopping = true;
	e->stopped = done;
	e->stopped_arg = arg;
	e->stop_checkpoints = e->checkpoint.done_count;
	for (struct list *at = e->conns.next, *next; at != &e->conns; at = next) {
		next = at->next;
		struct conn *c = list_entry(at, struct conn, link);
		conn_error(e, c, ERR_SHUTTING_DOWN, NULL, UINT64_MAX);
		if (c->inner)
			continue;
		c->session.state = SESSION_CLOSING;
		e->config.callbacks.close(e->config.callbacks.arg, c->id, ENGINE_CLOSE_GOING_AWAY);
	}
	for (struct list *at = e->takes.next; at != &e->takes; at = at->next)
		timer_set(&e->timers, &list_entry(at, struct take, link)->timer, UINT64_MAX);
	e->listening = false; /* no grace ends while we stop */
	jobs_stop(e);
	fetching_stop(e);
	uploads_stop(e);
	notifying_stop(e);
	pushing_stop(e);
	authorities_stop(e);
	journal_quiet(e->journal);
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	struct list *link;
	fetching_release(e);
	uploads_release(e);
	notifying_release(e);
	pushing_release(e);
	authorities_release(e);
	while (!list_empty(&e->conns)) {
		struct conn *c = list_entry(e->conns.next, struct conn, link);
		engine_conn_closed(e, c->id, e->now);
	}
	readers_free(e);
	replies_free(&e->replies);
	while ((link = list_pop(&e->checkpoint.todo)) || (link = list_pop(&e->checkpoint.ready)))
		checkpoint_drop(e, link);
	while ((link = list_pop(&e->rescues)))
		rescue_drop(link);
	while ((link = list_pop(&e->catalog_queue)) || (link = list_pop(&e->catalog_retry))) {
		struct catalog_op *op = list_entry(link, struct catalog_op, link);
		op->err = ERR_SHUTTING_DOWN;
		e->failed = true;
		op->done(e, op);
	}
	while (!list_empty(&e->takes)) {
		struct take *t = list_entry(e->takes.next, struct take, link);
		t->pins++; /* freed here, not by what it still tells */
		take_wake(e, t, ERR_SHUTTING_DOWN);
		take_free(e, t);
	}
	while ((link = list_pop(&e->deletions)))
		free(list_entry(link, struct deletion, link));
	shows_release(e);
	jobs_release(e);
	pushing_free(e);
	journal_close(e->journal);
	catalog_close(e->config.catalog);
	effects_release(&e->fx);
	timers_release(&e->timers);
	free(e->in_flight.items);
	follow_release(e);
	batches_release(e);
	free(e->conn_slots);
	free(e->by_id);
	free(e->by_key);
	block_pool_release(&e->pool);
	free(e);
}
