/* The look at the queue as it stands in the catalog: its figures, when the next job is due, and running jobs that
 * nobody works on. Those are given up one by one, at the start and while the server runs. */
#include "engine/jobs.h"

#include "base/log.h"

#include <stdlib.h>

/* At most so many running jobs of one look: all that slots, fetches and notifications can be, and as many lost ones. */
enum { LOOK_RUNNING = 2 * LIMIT_WORKERS + LIMIT_FETCHES + LIMIT_NOTIFIES + LIMIT_PUSHES };

struct look_op {
	struct catalog_op op;
	struct engine *engine;
	int64_t now_ms, due_ms[JOB_KIND_COUNT]; /* 0: none is queued */
	unsigned counts[JOB_KIND_COUNT][JOB_STATE_COUNT];
	struct job_info running[LOOK_RUNNING]; /* without their messages */
	unsigned running_count;
	struct job_info trouble; /* what failed or was parked last; id 0: nothing */
};

struct lease *jobs_find(const struct engine *e, const struct job_key *key)
{
	const struct jobs *j = &e->jobs;
	for (const struct list *at = j->leases.next; at != &j->leases; at = at->next) {
		struct lease *l = list_entry(at, struct lease, link);
		if (l->key.id == key->id && l->key.epoch == key->epoch)
			return l;
	}
	return NULL;
}

static enum err running_row(void *arg, const struct job_info *job)
{
	struct look_op *o = arg;
	if (o->running_count == LOOK_RUNNING)
		return ERR_OK; /* the next look finds the rest */
	o->running[o->running_count] = *job;
	o->running[o->running_count++].error_message = NULL;
	return ERR_OK;
}

static enum err trouble_row(void *arg, const struct job_info *job)
{
	struct look_op *o = arg;
	job_info_release(&o->trouble);
	return job_info_copy(&o->trouble, job);
}

static enum err look_run(struct catalog *c, struct catalog_op *op)
{
	struct look_op *o = (struct look_op *)op;
	enum err err = ERR_OK;
	o->running_count = 0;
	job_info_release(&o->trouble);
	for (int kind = 0; kind < JOB_KIND_COUNT && !err; kind++) {
		err = c->ops->job_tally(c, (enum job_kind)kind, o->counts[kind]);
		if (err)
			break;
		err = c->ops->job_next(c, (enum job_kind)kind, &o->due_ms[kind]);
		if (err == ERR_NOT_FOUND) {
			o->due_ms[kind] = 0;
			err = ERR_OK;
		}
	}
	if (!err)
		err = c->ops->each_troubled(c, 1, trouble_row, o);
	return err ? err : c->ops->each_running(c, running_row, o);
}

static void rearm(struct engine *e)
{
	struct jobs *j = &e->jobs;
	if (e->stopping || e->failed)
		return;
	timer_set(&e->timers, &j->timer, j->due_ms < j->look_ms ? j->due_ms : j->look_ms);
}

static void figures_take(struct engine *e, struct look_op *o)
{
	job_info_release(&e->jobs.trouble);
	e->jobs.trouble = o->trouble;
	o->trouble = (struct job_info){ 0 };
	for (int kind = 0; kind < JOB_KIND_COUNT; kind++) {
		const unsigned *counts = o->counts[kind];
		int64_t waited = o->due_ms[kind] ? o->now_ms - o->due_ms[kind] : 0;
		e->jobs.queues[kind] = (struct engine_queue){
			.queued = counts[JOB_QUEUED],
			.running = counts[JOB_RUNNING],
			.failed = counts[JOB_FAILED],
			.parked = counts[JOB_PARKED],
			.oldest_ms = waited > 0 ? (uint64_t)waited : 0,
		};
	}
}

static void look_done(struct engine *e, struct catalog_op *op)
{
	struct look_op *o = (struct look_op *)op;
	e->jobs.looking = false;
	if (!op->err && !e->failed && !e->stopping) {
		figures_take(e, o);
		/* Every claim that this look saw has come back before it: what no lease has is nobody's. */
		for (unsigned i = 0; i < o->running_count; i++) {
			struct job_key key = { o->running[i].id, o->running[i].epoch };
			if (o->running[i].kind == JOB_FINALIZE && !jobs_find(e, &key))
				job_give_up(e, &o->running[i]);
		}
		if (o->due_ms[JOB_FINALIZE])
			jobs_due_in(e, o->due_ms[JOB_FINALIZE] - o->now_ms);
	}
	rearm(e);
	job_info_release(&o->trouble);
	free(o);
}

static void look_submit(struct engine *e)
{
	struct look_op *o = must(calloc(1, sizeof *o));
	o->op.run = look_run;
	o->op.done = look_done;
	o->now_ms = engine_wall(e);
	e->jobs.looking = true;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

void jobs_look_soon(struct engine *e)
{
	struct jobs *j = &e->jobs;
	if (!e->config.workers && !e->config.fetcher && !e->config.notifier && !e->config.pusher)
		return;
	uint64_t at = j->looked_ms ? j->looked_ms + LIMIT_LOOK_MS : e->now.mono_ms;
	if (at < j->look_ms)
		j->look_ms = at;
	rearm(e);
}

/* A wait by the wall clock, which may have jumped: it is looked again in time whatever it says. */
void jobs_due_in(struct engine *e, int64_t ms)
{
	struct jobs *j = &e->jobs;
	uint64_t wait = ms < 0 ? 0 : ms > LIMIT_SWEEP_MS ? LIMIT_SWEEP_MS : (uint64_t)ms;
	if (j->slot_count == 0)
		return;
	if (e->now.mono_ms + wait < j->due_ms)
		j->due_ms = e->now.mono_ms + wait;
	rearm(e);
}

void jobs_look(struct engine *e)
{
	struct jobs *j = &e->jobs;
	if (e->now.mono_ms >= j->due_ms) {
		j->due_ms = UINT64_MAX;
		j->wanted = true;
	}
	if (e->now.mono_ms >= j->look_ms) {
		j->looked_ms = e->now.mono_ms;
		j->look_ms = e->now.mono_ms + LIMIT_SWEEP_MS;
		if (!j->looking)
			look_submit(e);
	}
	rearm(e);
}

/* --- at the start --- */

struct found_jobs {
	struct found_job {
		struct job_key key;
		enum job_kind kind;
	} * jobs;
	size_t count, capacity;
};

static enum err found_row(void *arg, const struct job_info *job)
{
	struct found_jobs *f = arg;
	if (f->count == f->capacity) {
		f->capacity = f->capacity ? 2 * f->capacity : 16;
		f->jobs = must(realloc(f->jobs, f->capacity * sizeof *f->jobs));
	}
	f->jobs[f->count++] = (struct found_job){ { job->id, job->epoch }, job->kind };
	return ERR_OK;
}

enum err jobs_recover(struct engine *e)
{
	struct catalog *c = e->config.catalog;
	struct found_jobs found = { 0 };
	enum err err = c->ops->begin(c);
	if (err)
		return err;
	err = c->ops->each_running(c, found_row, &found);
	for (size_t i = 0; i < found.count && !err; i++) {
		struct job_info job = { 0 };
		struct recording_info row = { 0 };
		/* that something was on its way says nothing of its receiver: it is no attempt */
		bool outgoing = found.jobs[i].kind == JOB_NOTIFY || found.jobs[i].kind == JOB_PUSH;
		err = c->ops->job_fail(c, &found.jobs[i].key, outgoing ? ERR_SHUTTING_DOWN : ERR_WORKER_DIED,
				       "The server ended while it worked on it.", e->now.wall_ms, &job, &row);
		if (!err && job.kind == JOB_FINALIZE && media_remove(e->config.vfs, &row.id, row.media.revision))
			jobs_log("media_left", &row.id); /* what the attempt had made by then */
		if (!err)
			take_row(e, &row);
		job_info_release(&job);
		recording_info_release(&row);
		if (err == ERR_NOT_FOUND)
			err = ERR_OK;
	}
	if (!err && found.count > 0)
		log_event(LOG_INFO, "jobs_recovered", "count", log_number(found.count), NULL);
	free(found.jobs);
	if (!err)
		err = c->ops->commit(c);
	if (err)
		c->ops->rollback(c);
	return err;
}
