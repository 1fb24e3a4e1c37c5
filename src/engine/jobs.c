/* The dispatcher of finalize jobs: slots of worker processes, and which of them takes the next lease.
 *
 * A process is started before there is work and asked whether it lives before it is given any, so that one that hangs
 * takes no lease. Whoever is silent for too long is killed; what it says after that is not heard. Times count on the
 * engine's clock, which stands still while the server itself does: a server that slept blames no worker. */
#include "engine/jobs.h"

#include "base/log.h"

#include <stdlib.h>

static bool slot_alive(const struct slot *s)
{
	return s->process >= PROCESS_IDLE && s->process <= PROCESS_OVER;
}

/* Alive, or on the way: whoever did its job is replaced at once, and is not missed meanwhile. */
static bool slot_in_service(const struct slot *s)
{
	return slot_alive(s) || s->failures == 0;
}

void slot_kill(struct slot *s)
{
	struct engine *e = s->engine;
	if (s->process == PROCESS_NONE || s->process == PROCESS_KILLED)
		return;
	s->process = PROCESS_KILLED;
	timer_set(&e->timers, &s->timer, UINT64_MAX);
	worker_kill(e->config.workers, s->number);
}

static void slot_start(struct slot *s)
{
	struct engine *e = s->engine;
	s->process = PROCESS_STARTING;
	s->served = s->heard = false;
	timer_set(&e->timers, &s->timer, e->now.mono_ms + LIMIT_WORKER_START_MS);
	worker_start(e->config.workers, s->number);
}

void slot_arm(struct slot *s)
{
	struct engine *e = s->engine;
	uint64_t due = UINT64_MAX;
	if (s->process == PROCESS_LEASED && s->lease && s->lease->given)
		due = s->heard_ms + e->config.lease_ms;
	else if (s->process == PROCESS_OVER)
		due = s->heard_ms + LIMIT_WORKER_EXIT_MS;
	timer_set(&e->timers, &s->timer, due);
}

void slot_release(struct slot *s)
{
	s->process = PROCESS_IDLE;
	s->lease = NULL;
	slot_arm(s);
}

void jobs_log(const char *event, const struct uuid *recording)
{
	char id[UUID_TEXT];
	uuid_format(recording, id);
	log_event(LOG_WARN, event, "id", id, NULL);
}

void jobs_no_room(struct engine *e, const struct uuid *recording)
{
	if (e->jobs.room_ms == 0)
		jobs_log("no_room_to_finish", recording); /* once, until something was finished again */
	e->jobs.room_ms = e->now.mono_ms + LIMIT_NO_ROOM_MS;
}

/* What goes on for a night is told at its first, second, fourth, eighth … time. */
static void gone_tell(struct slot *s, const struct worker_event *event)
{
	if (s->failures & (s->failures - 1))
		return;
	log_event(LOG_WARN, "worker_gone", "slot", log_number(s->number), "failures", log_number(s->failures), "why",
		  event->message ? event->message : err_text(event->err), NULL);
	s->told = true;
}

static void back_tell(struct slot *s)
{
	if (s->told)
		log_event(LOG_INFO, "worker_back", "slot", log_number(s->number), NULL);
	s->told = false;
}

static void slot_gone(struct slot *s, const struct worker_event *event)
{
	struct engine *e = s->engine;
	struct lease *l = s->lease;
	if (slot_alive(s))
		e->jobs.alive_ms = e->now.mono_ms;
	s->failures = s->served ? 0 : s->failures + 1;
	if (!s->served && s->process != PROCESS_KILLED)
		gone_tell(s, event);
	s->process = PROCESS_NONE;
	s->heard = false;
	s->lease = NULL;
	timer_set(&e->timers, &s->timer, UINT64_MAX);
	if (l) {
		l->slot = NULL;
		lease_gone(l, event);
	}
}

/* What needs the time is done at the end of the turn: an event comes without it. */
static void on_event(void *arg, unsigned number, const struct worker_event *event)
{
	struct engine *e = arg;
	if (number >= e->jobs.slot_count)
		return;
	struct slot *s = &e->jobs.slots[number];
	if (event->type == WORKER_GONE) {
		slot_gone(s, event);
		return;
	}
	if (s->process == PROCESS_NONE || s->process == PROCESS_KILLED)
		return;
	s->heard = true;
	if (event->type == WORKER_READY) {
		back_tell(s);
		if (s->process == PROCESS_STARTING || s->process == PROCESS_PINGED)
			s->process = PROCESS_IDLE;
		return;
	}
	if (s->process != PROCESS_LEASED || !s->lease || !s->lease->given)
		return;
	s->served = true;
	lease_event(s->lease, event);
	if (event->type == WORKER_DONE || event->type == WORKER_FAILED)
		s->process = PROCESS_OVER;
}

static void on_event_late(void *arg, unsigned number, const struct worker_event *event)
{
	(void)arg;
	(void)number;
	(void)event;
}

void jobs_timer(struct timer *timer)
{
	struct slot *s = list_entry(timer, struct slot, timer);
	switch (s->process) {
	case PROCESS_NONE:
		if (!s->engine->stopping)
			slot_start(s);
		break;
	case PROCESS_STARTING:
	case PROCESS_PINGED:
		log_event(LOG_WARN, "worker_unresponsive", "slot", log_number(s->number), NULL);
		slot_kill(s);
		break;
	case PROCESS_LEASED:
		jobs_log("lease_lost", &s->lease->info.id);
		lease_fail(s->lease, ERR_WORKER_SILENT, NULL);
		slot_kill(s);
		lease_advance(s->lease);
		break;
	default:
		slot_kill(s);
	}
}

/* --- claiming --- */

struct claim_op {
	struct catalog_op op;
	struct slot *slot;
	int64_t now_ms, lease_until_ms, due_ms; /* due_ms: of the next one when there was none; 0: none is queued */
	struct job_info job;
	struct recording_info row;
};

static enum err claim_run(struct catalog *c, struct catalog_op *op)
{
	struct claim_op *o = (struct claim_op *)op;
	job_info_release(&o->job);
	recording_info_release(&o->row);
	o->due_ms = 0;
	enum err err = c->ops->job_claim(c, JOB_FINALIZE, o->now_ms, o->lease_until_ms, &o->job, &o->row);
	if (err != ERR_NOT_FOUND)
		return err;
	err = c->ops->job_next(c, JOB_FINALIZE, &o->due_ms);
	if (err == ERR_NOT_FOUND)
		o->due_ms = 0;
	return err ? err : ERR_NOT_FOUND;
}

static void claim_done(struct engine *e, struct catalog_op *op)
{
	struct claim_op *o = (struct claim_op *)op;
	struct slot *s = o->slot;
	bool there = s->process == PROCESS_CLAIMING;
	e->jobs.claiming = false;
	if (there)
		s->process = PROCESS_IDLE;
	if (op->err == ERR_OK && !e->failed) {
		e->jobs.wanted = true; /* perhaps not the only one */
		lease_new(e, there ? s : NULL, &o->job, &o->row);
	} else if (op->err == ERR_NOT_FOUND && o->due_ms != 0) {
		int64_t wait = o->due_ms - o->now_ms; /* never at once: it has just been looked */
		jobs_due_in(e, wait < LIMIT_WORKER_FRESH_MS ? LIMIT_WORKER_FRESH_MS : wait);
	} else if (op->err != ERR_NOT_FOUND) { /* no space, or trouble that passes: nothing was claimed */
		jobs_due_in(e, LIMIT_SPACE_CHECK_MS);
	}
	job_info_release(&o->job);
	recording_info_release(&o->row);
	free(o);
}

static void slot_claim(struct slot *s)
{
	struct engine *e = s->engine;
	struct claim_op *o = must(calloc(1, sizeof *o));
	o->op.run = claim_run;
	o->op.done = claim_done;
	o->slot = s;
	o->now_ms = engine_wall(e);
	o->lease_until_ms = o->now_ms + e->config.lease_ms;
	s->process = PROCESS_CLAIMING;
	e->jobs.claiming = true;
	e->jobs.wanted = false;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* One claim at a time, for one that has just shown that it lives. With full storage an attempt would only fail. */
static void pump(struct engine *e)
{
	struct jobs *j = &e->jobs;
	bool may = e->listening && !e->stopping && !e->failed && !e->storage_full;
	if (!j->wanted || j->claiming || !may || j->lease_count >= 2 * j->slot_count)
		return;
	if (e->now.mono_ms < j->room_ms) {
		jobs_due_in(e, (int64_t)(j->room_ms - e->now.mono_ms));
		return;
	}
	for (unsigned i = 0; i < j->slot_count; i++) {
		struct slot *s = &j->slots[i];
		if (s->process == PROCESS_IDLE && e->now.mono_ms <= s->heard_ms + LIMIT_WORKER_FRESH_MS) {
			slot_claim(s);
			return;
		}
	}
	for (unsigned i = 0; i < j->slot_count; i++) {
		struct slot *s = &j->slots[i];
		if (s->process != PROCESS_IDLE)
			continue;
		s->process = PROCESS_PINGED;
		timer_set(&e->timers, &s->timer, e->now.mono_ms + LIMIT_WORKER_PING_MS);
		worker_ping(e->config.workers, s->number);
	}
}

/* A place without a process gets one, at once or after a wait that grows while they come to nothing. */
static void slot_fill(struct slot *s)
{
	struct engine *e = s->engine;
	if (s->process != PROCESS_NONE || s->timer.place != 0 || e->stopping || !e->listening)
		return;
	if (s->failures == 0) {
		slot_start(s);
		return;
	}
	unsigned doublings = s->failures - 1 < 16 ? s->failures - 1 : 16;
	uint64_t wait = (uint64_t)LIMIT_RESPAWN_FIRST_MS << doublings;
	timer_set(&e->timers, &s->timer, e->now.mono_ms + (wait < LIMIT_RESPAWN_MAX_MS ? wait : LIMIT_RESPAWN_MAX_MS));
}

void jobs_turn(struct engine *e)
{
	struct jobs *j = &e->jobs;
	if (e->failed)
		return;
	for (unsigned i = 0; i < j->slot_count; i++) {
		struct slot *s = &j->slots[i];
		if (s->heard) {
			s->heard = false;
			s->heard_ms = e->now.mono_ms;
			slot_arm(s);
		}
		slot_fill(s);
		if (slot_alive(s))
			j->alive_ms = e->now.mono_ms;
	}
	for (struct list *at = j->leases.next; at != &j->leases; at = at->next)
		lease_turn(list_entry(at, struct lease, link));
	pump(e);
}

/* --- for the others --- */

void jobs_init(struct engine *e)
{
	struct jobs *j = &e->jobs;
	list_init(&j->leases);
	j->timer.kind = TIMER_JOBS;
	j->due_ms = j->look_ms = UINT64_MAX;
	j->alive_ms = e->now.mono_ms;
	if (e->config.lease_ms == 0)
		e->config.lease_ms = LIMIT_LEASE_MS;
	if (e->config.queue_wait_ms == 0)
		e->config.queue_wait_ms = LIMIT_QUEUE_WAIT_MS;
	if (!e->config.workers)
		return;
	j->slot_count = e->config.worker_count;
	j->slots = must(calloc(j->slot_count ? j->slot_count : 1, sizeof *j->slots));
	for (unsigned i = 0; i < j->slot_count; i++) {
		j->slots[i].engine = e;
		j->slots[i].number = i;
		j->slots[i].timer.kind = TIMER_SLOT;
	}
	e->config.workers->event = on_event;
	e->config.workers->arg = e;
}

void jobs_listening(struct engine *e)
{
	e->jobs.alive_ms = e->now.mono_ms;
	if (e->config.workers || e->config.fetcher || e->config.notifier || e->config.pusher)
		jobs_look_soon(e);
	e->jobs.wanted = e->jobs.slot_count > 0;
}

void jobs_wanted(struct engine *e)
{
	e->jobs.wanted = e->jobs.slot_count > 0;
	jobs_look_soon(e);
}

void jobs_fence(struct engine *e, const struct uuid *recording)
{
	struct jobs *j = &e->jobs;
	pushing_fence(e, recording);
	for (struct list *at = j->leases.next; at != &j->leases; at = at->next) {
		struct lease *l = list_entry(at, struct lease, link);
		if (!uuid_equal(&l->info.id, recording) || l->stage == LEASE_OVER)
			continue;
		l->fenced = true;
		if (l->slot && l->given)
			slot_kill(l->slot);
		lease_advance(l);
	}
	jobs_look_soon(e);
}

bool jobs_hold(const struct engine *e, const struct uuid *recording)
{
	const struct jobs *j = &e->jobs;
	for (const struct list *at = j->leases.next; at != &j->leases; at = at->next) {
		if (uuid_equal(&list_entry(at, struct lease, link)->info.id, recording))
			return true;
	}
	return false;
}

bool jobs_unserved(const struct engine *e, const struct recording_info *info)
{
	const struct job_info *job = &info->job;
	if (job->id == 0 || job->kind != JOB_FINALIZE || job->state != JOB_QUEUED)
		return false;
	for (unsigned i = 0; i < e->jobs.slot_count; i++) {
		if (slot_alive(&e->jobs.slots[i]))
			return false;
	}
	int64_t waited = engine_wall(e) - job->queued_ms; /* below 0: the clock jumped, and it is not known */
	bool long_queued = waited < 0 || waited >= (int64_t)e->config.queue_wait_ms;
	return long_queued && e->now.mono_ms - e->jobs.alive_ms >= e->config.queue_wait_ms;
}

bool jobs_progress(const struct engine *e, const struct recording_info *info, unsigned *per_mille)
{
	if (info->job.id == 0 || info->job.state != JOB_RUNNING)
		return false;
	struct job_key key = { info->job.id, info->job.epoch };
	const struct lease *l = jobs_find(e, &key);
	*per_mille = l ? l->progress : info->job.progress;
	fetching_progress(e, &key, per_mille);
	return true;
}

void jobs_status(const struct engine *e, struct engine_status *out)
{
	const struct jobs *j = &e->jobs;
	out->workers = j->slot_count;
	for (unsigned i = 0; i < j->slot_count; i++)
		out->workers_alive += slot_in_service(&j->slots[i]);
	for (int kind = 0; kind < JOB_KIND_COUNT; kind++)
		out->queues[kind] = j->queues[kind];
	out->trouble = j->trouble.id ? &j->trouble : NULL;
}

/* Workers go, and what they worked on is tried again at the next start. A lease whose worker has done its part is
 * brought to its end. */
void jobs_stop(struct engine *e)
{
	struct jobs *j = &e->jobs;
	for (struct list *at = j->leases.next; at != &j->leases; at = at->next) {
		struct lease *l = list_entry(at, struct lease, link);
		if (!l->ended)
			lease_fail(l, ERR_SHUTTING_DOWN, NULL);
	}
	for (unsigned i = 0; i < j->slot_count; i++) {
		timer_set(&e->timers, &j->slots[i].timer, UINT64_MAX);
		slot_kill(&j->slots[i]);
	}
	timer_set(&e->timers, &j->timer, UINT64_MAX);
	for (struct list *at = j->leases.next; at != &j->leases; at = at->next)
		lease_advance(list_entry(at, struct lease, link));
}

bool jobs_idle(const struct engine *e)
{
	const struct jobs *j = &e->jobs;
	bool idle = j->lease_count == 0 && !j->claiming;
	for (unsigned i = 0; i < j->slot_count; i++)
		idle = idle && j->slots[i].process == PROCESS_NONE;
	return idle;
}

void jobs_release(struct engine *e)
{
	struct list *link;
	if (e->config.workers)
		e->config.workers->event = on_event_late;
	while ((link = list_pop(&e->jobs.leases)))
		lease_drop(list_entry(link, struct lease, link));
	free(e->jobs.slots);
	job_info_release(&e->jobs.trouble);
}
