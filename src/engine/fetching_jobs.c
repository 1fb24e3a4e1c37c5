/* The fetch jobs in the catalog: taken, renewed, ended. A lease that is another's by now ends the fetch and changes
 * nothing. */
#include "engine/fetching.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct fetch_op {
	struct catalog_op op;
	uint64_t number; /* of the slot; 0: none yet */
	struct job_key key;
	struct uuid id;
	int64_t now_ms, lease_until_ms, due_ms;
	unsigned progress;
	char *validator, *message;
	enum err error;
	struct recording_info tracks; /* their lengths */
	struct job_info job;
	struct recording_info row;
};

static struct fetch_op *op_new(struct engine *e, const struct fetch_slot *s,
			       enum err (*run)(struct catalog *c, struct catalog_op *op),
			       void (*done)(struct engine *e, struct catalog_op *op))
{
	struct fetch_op *o = must(calloc(1, sizeof *o));
	o->op.run = run;
	o->op.done = done;
	o->now_ms = engine_wall(e);
	o->lease_until_ms = o->now_ms + e->config.lease_ms;
	if (s) {
		o->number = s->number;
		o->key = s->key;
		o->id = s->recording;
	}
	return o;
}

static void op_free(struct fetch_op *o)
{
	recording_info_release(&o->tracks);
	job_info_release(&o->job);
	recording_info_release(&o->row);
	free(o->validator);
	free(o->message);
	free(o);
}

static void op_submit(struct engine *e, struct fetch_op *o)
{
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* --- taking one --- */

static enum err claim_run(struct catalog *c, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	job_info_release(&o->job);
	recording_info_release(&o->row);
	free(o->validator);
	o->validator = NULL;
	o->due_ms = 0;
	enum err err = c->ops->job_claim(c, JOB_FETCH, o->now_ms, o->lease_until_ms, &o->job, &o->row);
	if (err == ERR_OK)
		return c->ops->get_validator(c, &o->row.id, &o->validator);
	if (err != ERR_NOT_FOUND)
		return err;
	err = c->ops->job_next(c, JOB_FETCH, &o->due_ms);
	return err ? err : ERR_NOT_FOUND;
}

static void slot_take(struct engine *e, struct fetch_slot *s, struct fetch_op *o)
{
	char id[UUID_TEXT];
	s->used = true;
	s->number = ++e->fetching.numbers;
	s->key = (struct job_key){ o->job.id, o->job.epoch };
	s->recording = o->row.id;
	s->url = must(strdup(o->row.source_url));
	s->validator = o->validator;
	o->validator = NULL;
	s->total = BYTES_UNKNOWN;
	s->began_ms = e->now.mono_ms;
	s->renew_ms = e->now.mono_ms + e->config.lease_ms / 3;
	buf_init(&s->pending);
	uuid_format(&s->recording, id);
	log_event(LOG_INFO, "fetch_begins", "id", id, "attempt", log_number(o->job.attempt), NULL);
	fetch_next(s, FETCH_NEXT_ATTACH, 0);
}

static struct fetch_slot *slot_free(struct engine *e)
{
	for (unsigned i = 0; i < LIMIT_FETCHES; i++) {
		if (!e->fetching.slots[i].used)
			return &e->fetching.slots[i];
	}
	return NULL;
}

static void claim_done(struct engine *e, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	struct fetching *f = &e->fetching;
	f->claiming = false;
	if (op->err == ERR_OK && !e->failed) {
		struct fetch_slot *s = slot_free(e); /* there was one, and one is claimed at a time */
		take_row(e, &o->row);
		slot_take(e, s, o);
		if (e->stopping)
			fetch_finish(s, ERR_SHUTTING_DOWN, NULL);
		f->wanted = true;
	} else if (!e->failed && !e->stopping) {
		/* none is due, or the catalog could not be asked; a clock that jumped makes it one look too many */
		int64_t wait = op->err == ERR_NOT_FOUND ? o->due_ms - o->now_ms : LIMIT_SPACE_CHECK_MS;
		wait = wait < 1 ? 1 : wait > LIMIT_SWEEP_MS ? LIMIT_SWEEP_MS : wait;
		if (op->err != ERR_NOT_FOUND || o->due_ms > 0)
			timer_set(&e->timers, &f->timer, e->now.mono_ms + (uint64_t)wait);
	}
	op_free(o);
}

void fetch_claim(struct engine *e)
{
	struct fetching *f = &e->fetching;
	f->wanted = false;
	if (!slot_free(e))
		return; /* one that gets free looks again */
	if (e->storage_full) {
		timer_set(&e->timers, &f->timer, e->now.mono_ms + LIMIT_SPACE_CHECK_MS);
		return;
	}
	f->claiming = true;
	timer_set(&e->timers, &f->timer, UINT64_MAX);
	op_submit(e, op_new(e, NULL, claim_run, claim_done));
}

/* --- while it is at work --- */

static enum err renew_run(struct catalog *c, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	return c->ops->job_renew(c, &o->key, o->lease_until_ms, o->progress);
}

/* One that failed is not tried again: the next third of the lease brings another. */
static void renew_done(struct engine *e, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	struct fetch_slot *s = fetch_find(e, o->number);
	if (s && !e->failed && op->err == ERR_NOT_FOUND)
		fetch_next(s, FETCH_NEXT_DROP, 0);
	op_free(o);
}

void fetch_renew(struct fetch_slot *s)
{
	struct engine *e = s->engine;
	struct fetch_op *o = op_new(e, s, renew_run, renew_done);
	fetching_progress(e, &s->key, &o->progress);
	s->renew_ms = e->now.mono_ms + e->config.lease_ms / 3;
	op_submit(e, o);
	struct take *t = take_by_id(e, &s->recording);
	if (t && !t->loading)
		follow_change(e, t);
}

static enum err validator_run(struct catalog *c, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	return c->ops->put_validator(c, &o->id, o->validator);
}

/* Without it the next attempt begins at the start and compares: nothing is lost by a failure. */
static void validator_done(struct engine *e, struct catalog_op *op)
{
	(void)e;
	op_free((struct fetch_op *)op);
}

void fetch_validator_put(struct fetch_slot *s, const char *validator)
{
	struct fetch_op *o = op_new(s->engine, s, validator_run, validator_done);
	o->validator = validator ? must(strdup(validator)) : NULL;
	op_submit(s->engine, o);
}

/* --- its end --- */

static enum err finish_run(struct catalog *c, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	job_info_release(&o->job);
	recording_info_release(&o->row);
	if (!o->error)
		return c->ops->job_done(c, &o->key, NULL, NULL, o->now_ms, &o->row);
	/* what came so far stays for download, once the take has left memory */
	enum err err = o->tracks.track_count > 0 ? c->ops->put_tracks(c, &o->tracks) : ERR_OK;
	return err ? err : c->ops->job_fail(c, &o->key, o->error, o->message, o->now_ms, &o->job, &o->row);
}

static void finish_done(struct engine *e, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	struct fetch_slot *s = fetch_find(e, o->number);
	char id[UUID_TEXT];
	bool left = o->error == ERR_SHUTTING_DOWN; /* if it can't be given back now, the next start finds it */
	if (op->err && op->err != ERR_NOT_FOUND && !e->failed && !left) {
		catalog_again(e, op);
		return;
	}
	uuid_format(&o->id, id);
	if (op->err == ERR_OK)
		take_row(e, &o->row);
	if (op->err == ERR_OK && o->error && !left)
		log_event(LOG_WARN, "fetch_failed", "id", id, "code", err_code(o->error), "attempt",
			  log_number(o->job.attempt), "state", job_state_name(o->job.state), "why",
			  o->message ? o->message : err_text(o->error), NULL);
	else if (op->err == ERR_OK && !o->error)
		log_event(LOG_INFO, "fetched", "id", id, "bytes", log_number(recording_info_bytes(&o->row)), NULL);
	if (s)
		fetch_close(s);
	jobs_wanted(e);
	op_free(o);
}

void fetch_finish(struct fetch_slot *s, enum err err, const char *message)
{
	struct engine *e = s->engine;
	struct take *t = take_by_id(e, &s->recording);
	struct conn *c = s->conn ? conn_find(e, s->conn) : NULL;
	struct fetch_op *o = op_new(e, s, finish_run, finish_done);
	o->error = err;
	o->message = message ? must(strdup(message)) : NULL;
	if (c && c->attached) { /* nothing that it held is appended any more */
		session_detached(&c->session);
		conn_detach(e, c);
		if (e->fx.count > 0)
			effects_run(e, t);
	}
	if (err && t && !t->loading)
		must(recording_info_copy(&o->tracks, &t->rec.info) ? NULL : t);
	o->op.take = t;
	s->ending = true;
	fetch_rearm(s);
	op_submit(e, o);
}

/* --- asked for --- */

static enum err want_run(struct catalog *c, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	recording_info_release(&o->row);
	enum err err = c->ops->refetch(c, &o->id, o->now_ms, &o->row);
	return err == ERR_BUSY ? ERR_NOT_FOUND : err; /* its attempts are used up: no failure of the transaction */
}

static void want_done(struct engine *e, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	if (op->err && op->err != ERR_NOT_FOUND && !e->failed) {
		catalog_again(e, op);
		return;
	}
	if (op->err == ERR_OK && !e->failed) {
		take_row(e, &o->row);
		e->fetching.wanted = true;
	}
	struct take *t = take_by_id(e, &o->id); /* who asked may wait for it */
	if (t && !t->loading)
		take_wake(e, t, ERR_OK);
	op_free(o);
}

void fetching_want(struct engine *e, const struct uuid *id)
{
	struct fetch_op *o = op_new(e, NULL, want_run, want_done);
	o->id = *id;
	op_submit(e, o);
}
