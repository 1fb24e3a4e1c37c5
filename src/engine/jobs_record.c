/* The transactions of a lease: each names the job and its epoch, and one that finds another epoch changes nothing. What
 * one wrote is shown from the moment it is durable. */
#include "engine/jobs.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct lease_op {
	struct catalog_op op;
	struct lease *lease; /* NULL: of a job that nobody works on */
	struct job_key key;
	int64_t now_ms, lease_until_ms;
	unsigned progress;
	struct media_info media;
	struct track_hash hashes[LIMIT_TRACKS];
	unsigned hash_count;
	char *warnings, *message;
	enum err error;
	enum err place_err; /* of the publishing itself: the transaction is not at fault */
	struct job_info job;
	struct recording_info row;
};

static struct lease_op *op_new(struct engine *e, struct lease *l,
			       enum err (*run)(struct catalog *c, struct catalog_op *op),
			       void (*done)(struct engine *e, struct catalog_op *op))
{
	struct lease_op *o = must(calloc(1, sizeof *o));
	o->op.run = run;
	o->op.done = done;
	o->lease = l;
	o->now_ms = engine_wall(e);
	if (!l)
		return o;
	o->key = l->key;
	memcpy(o->hashes, l->hashes, sizeof o->hashes);
	o->hash_count = l->hash_count;
	return o;
}

static void op_free(struct lease_op *o)
{
	job_info_release(&o->job);
	recording_info_release(&o->row);
	free(o->warnings);
	free(o->message);
	free(o);
}

static void op_submit(struct engine *e, struct lease_op *o)
{
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* True when it will be tried again: no space, or trouble that passes. */
static bool again(struct engine *e, struct lease_op *o)
{
	if (o->op.err == ERR_OK || o->op.err == ERR_NOT_FOUND || e->failed)
		return false;
	catalog_again(e, &o->op);
	return true;
}

/* The end of one that moves the lease on. False: the engine has failed, and nothing moves any more. */
static bool settle(struct engine *e, struct lease_op *o)
{
	struct lease *l = o->lease;
	if (l)
		l->busy = false;
	if (e->failed)
		return false;
	if (o->op.err == ERR_OK) {
		take_row(e, &o->row);
		jobs_look_soon(e);
	} else if (o->op.err == ERR_NOT_FOUND && l) {
		l->fenced = true; /* the epoch is another one */
	}
	return true;
}

/* What the worker found of tracks that were sealed without; *fits: none is another than somebody declared. */
static enum err put_hashes(struct catalog *c, const struct lease_op *o, bool *fits)
{
	*fits = true;
	return o->hash_count > 0 ? c->ops->job_hashes(c, &o->key, o->hashes, o->hash_count, fits) : ERR_OK;
}

/* --- publishing --- */

static enum err place(void *arg)
{
	struct lease_op *o = arg;
	struct lease *l = o->lease;
	enum err err = media_attempt_publish(l->engine->config.vfs, &l->attempt);
	/* a sync that failed here says nothing of the catalog, and ends this attempt, not the process */
	o->place_err = err == ERR_SYNC_FAILED || err == ERR_NOT_FOUND ? ERR_WRITE_FAILED : err;
	return o->place_err;
}

static enum err publish_run(struct catalog *c, struct catalog_op *op)
{
	struct lease_op *o = (struct lease_op *)op;
	recording_info_release(&o->row);
	o->place_err = ERR_OK;
	bool fits;
	enum err err = put_hashes(c, o, &fits);
	if (err == ERR_OK && !fits)
		return o->place_err = ERR_CHECKSUM_MISMATCH;
	return err ? err : c->ops->job_publish(c, &o->key, &o->media, o->warnings, o->now_ms, place, o, &o->row);
}

static void publish_done(struct engine *e, struct catalog_op *op)
{
	struct lease_op *o = (struct lease_op *)op;
	struct lease *l = o->lease;
	if (o->place_err == ERR_OK && again(e, o))
		return;
	if (settle(e, o)) {
		if (o->place_err) {
			lease_fail(l, o->place_err, NULL);
		} else if (op->err == ERR_OK) {
			l->published = true;
			l->engine->jobs.room_ms = 0;
			l->keep = l->job.revision;
			l->stage = LEASE_PUBLISHED;
		}
		lease_advance(l);
	}
	op_free(o);
}

void lease_publish(struct lease *l)
{
	struct lease_op *o = op_new(l->engine, l, publish_run, publish_done);
	o->media = l->file;
	o->warnings = l->file_warnings ? must(strdup(l->file_warnings)) : NULL;
	l->busy = true;
	op_submit(l->engine, o);
}

/* --- the ends --- */

static enum err done_run(struct catalog *c, struct catalog_op *op)
{
	struct lease_op *o = (struct lease_op *)op;
	recording_info_release(&o->row);
	return c->ops->job_done(c, &o->key, &o->media, o->warnings, o->now_ms, &o->row);
}

static void done_done(struct engine *e, struct catalog_op *op)
{
	struct lease_op *o = (struct lease_op *)op;
	if (again(e, o))
		return;
	if (settle(e, o)) {
		o->lease->stage = LEASE_OVER;
		lease_advance(o->lease);
		pushing_published(e);
	}
	op_free(o);
}

void lease_done(struct lease *l)
{
	struct lease_op *o = op_new(l->engine, l, done_run, done_done);
	o->media = l->end;
	o->warnings = l->end_warnings ? must(strdup(l->end_warnings)) : NULL;
	l->busy = true;
	op_submit(l->engine, o);
}

static enum err fail_run(struct catalog *c, struct catalog_op *op)
{
	struct lease_op *o = (struct lease_op *)op;
	job_info_release(&o->job);
	recording_info_release(&o->row);
	bool fits;
	enum err err = put_hashes(c, o, &fits);
	if (err == ERR_OK && !fits && o->error != ERR_CHECKSUM_MISMATCH) {
		free(o->message);
		o->message = NULL;
		o->error = ERR_CHECKSUM_MISMATCH; /* no later attempt would look at it any more */
	}
	return err ? err : c->ops->job_fail(c, &o->key, o->error, o->message, o->now_ms, &o->job, &o->row);
}

static void fail_done(struct engine *e, struct catalog_op *op)
{
	struct lease_op *o = (struct lease_op *)op;
	if (again(e, o))
		return;
	if (settle(e, o)) {
		char id[UUID_TEXT];
		uuid_format(&o->row.id, id);
		if (op->err == ERR_OK && o->error != ERR_STORAGE_FULL)
			log_event(LOG_WARN, "job_failed", "id", id, "code", err_code(o->error), "attempt",
				  log_number(o->job.attempt), "state", job_state_name(o->job.state), "why",
				  o->message ? o->message : err_text(o->error), NULL);
		if (op->err == ERR_OK && o->job.state == JOB_QUEUED)
			jobs_due_in(e, o->job.not_before_ms - o->now_ms);
		if (o->lease) {
			o->lease->stage = LEASE_OVER;
			lease_advance(o->lease);
		}
	}
	op_free(o);
}

void lease_failed(struct lease *l)
{
	struct lease_op *o = op_new(l->engine, l, fail_run, fail_done);
	o->error = l->failure;
	o->message = l->failure_message ? must(strdup(l->failure_message)) : NULL;
	l->busy = true;
	op_submit(l->engine, o);
}

void job_give_up(struct engine *e, const struct job_info *job)
{
	struct lease_op *o = op_new(e, NULL, fail_run, fail_done);
	o->key = (struct job_key){ job->id, job->epoch };
	o->error = ERR_WORKER_DIED;
	op_submit(e, o);
}

/* --- the lease goes on --- */

static enum err renew_run(struct catalog *c, struct catalog_op *op)
{
	struct lease_op *o = (struct lease_op *)op;
	return c->ops->job_renew(c, &o->key, o->lease_until_ms, o->progress);
}

/* One that failed is not tried again: the next third of the lease brings another. */
static void renew_done(struct engine *e, struct catalog_op *op)
{
	struct lease_op *o = (struct lease_op *)op;
	struct lease *l = o->lease;
	l->renewing = false;
	if (!e->failed && op->err == ERR_NOT_FOUND && l->stage < LEASE_OVER && !l->busy) {
		l->fenced = true;
		if (l->slot && l->given)
			slot_kill(l->slot);
	}
	if (!e->failed)
		lease_advance(l);
	op_free(o);
}

void lease_renew(struct lease *l)
{
	struct engine *e = l->engine;
	struct lease_op *o = op_new(e, l, renew_run, renew_done);
	o->lease_until_ms = o->now_ms + e->config.lease_ms;
	o->progress = l->progress;
	l->renewing = true;
	l->renewed_ms = e->now.mono_ms;
	op_submit(e, o);
}
