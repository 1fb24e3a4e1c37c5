/* The fetch jobs in the catalog: taken, renewed, ended. A lease that is another's by now ends the fetch and changes
 * nothing. */
#include "engine/fetching.h"
#include "engine/outside_op.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct fetch_op {
	struct outside_op base; /* first */
	unsigned progress;
	char *validator;	      /* owned */
	struct recording_info tracks; /* their lengths */
};

static struct fetch_op *op_new(struct engine *e, const struct fetch_slot *s,
			       enum err (*run)(struct catalog *c, struct catalog_op *op),
			       void (*done)(struct engine *e, struct catalog_op *op))
{
	struct fetch_op *o = outside_op_new(e, sizeof *o, run, done);
	if (s) {
		o->base.number = s->number;
		o->base.key = s->key;
		o->base.id = s->recording;
	}
	return o;
}

static void op_free(struct fetch_op *o)
{
	recording_info_release(&o->tracks);
	free(o->validator);
	outside_op_free(&o->base);
}

static void op_submit(struct engine *e, struct fetch_op *o)
{
	outside_op_submit(e, &o->base);
}

/* --- taking one --- */

static enum err claim_run(struct catalog *c, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	free(o->validator);
	o->validator = NULL;
	enum err err = outside_claim(c, &o->base, JOB_FETCH);
	return err ? err : c->ops->get_validator(c, &o->base.row.id, &o->validator);
}

static void slot_take(struct engine *e, struct fetch_slot *s, struct fetch_op *o)
{
	char id[UUID_TEXT];
	s->used = true;
	s->number = ++e->fetching.numbers;
	s->key = (struct job_key){ o->base.job.id, o->base.job.epoch };
	s->recording = o->base.row.id;
	s->url = must(strdup(o->base.row.source_url));
	s->validator = o->validator;
	o->validator = NULL;
	s->total = BYTES_UNKNOWN;
	s->began_ms = e->now.mono_ms;
	s->renew_ms = e->now.mono_ms + e->config.lease_ms / 3;
	buf_init(&s->pending);
	uuid_format(&s->recording, id);
	log_event(LOG_INFO, "fetch_begins", "id", id, "attempt", log_number(o->base.job.attempt), NULL);
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
		take_row(e, &o->base.row);
		slot_take(e, s, o);
		if (e->stopping)
			fetch_finish(s, ERR_SHUTTING_DOWN, NULL);
		f->wanted = true;
	} else if (!e->failed && !e->stopping) {
		outside_wait(e, &o->base, &f->timer);
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
	return c->ops->job_renew(c, &o->base.key, o->base.lease_until_ms, o->progress);
}

/* One that failed is not tried again: the next third of the lease brings another. */
static void renew_done(struct engine *e, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	struct fetch_slot *s = fetch_find(e, o->base.number);
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
	return c->ops->put_validator(c, &o->base.id, o->validator);
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
	outside_op_reset(&o->base);
	if (!o->base.error)
		return c->ops->job_done(c, &o->base.key, NULL, NULL, o->base.now_ms, &o->base.row);
	/* what came so far stays for download, once the take has left memory */
	enum err err = o->tracks.track_count > 0 ? c->ops->put_tracks(c, &o->tracks) : ERR_OK;
	return err ? err : outside_failed(c, &o->base);
}

static void finish_done(struct engine *e, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	struct fetch_slot *s = fetch_find(e, o->base.number);
	char id[UUID_TEXT];
	bool left = o->base.error == ERR_SHUTTING_DOWN; /* if it can't be given back now, the next start finds it */
	if (op->err && op->err != ERR_NOT_FOUND && !e->failed && !left) {
		catalog_again(e, op);
		return;
	}
	uuid_format(&o->base.id, id);
	if (op->err == ERR_OK)
		take_row(e, &o->base.row);
	if (op->err == ERR_OK && o->base.error && !left)
		log_event(LOG_WARN, "fetch_failed", "id", id, "code", err_code(o->base.error), "attempt",
			  log_number(o->base.job.attempt), "state", job_state_name(o->base.job.state), "why",
			  o->base.message ? o->base.message : err_text(o->base.error), NULL);
	else if (op->err == ERR_OK && !o->base.error)
		log_event(LOG_INFO, "fetched", "id", id, "bytes", log_number(recording_info_bytes(&o->base.row)), NULL);
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
	o->base.error = err;
	o->base.message = message ? must(strdup(message)) : NULL;
	o->base.retry_after_ms = (int64_t)s->retry_after_ms;
	if (c && c->attached) { /* nothing that it held is appended any more */
		session_detached(&c->session);
		conn_detach(e, c);
		if (e->fx.count > 0)
			effects_run(e, t);
	}
	if (err && t && !t->loading)
		must(recording_info_copy(&o->tracks, &t->rec.info) ? NULL : t);
	o->base.op.take = t;
	s->ending = true;
	fetch_rearm(s);
	op_submit(e, o);
}

/* --- asked for --- */

static enum err want_run(struct catalog *c, struct catalog_op *op)
{
	struct fetch_op *o = (struct fetch_op *)op;
	recording_info_release(&o->base.row);
	enum err err = c->ops->refetch(c, &o->base.id, o->base.now_ms, &o->base.row);
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
		take_row(e, &o->base.row);
		e->fetching.wanted = true;
	}
	struct take *t = take_by_id(e, &o->base.id); /* who asked may wait for it */
	if (t && !t->loading)
		take_wake(e, t, ERR_OK);
	op_free(o);
}

void fetching_want(struct engine *e, const struct uuid *id)
{
	struct fetch_op *o = op_new(e, NULL, want_run, want_done);
	o->base.id = *id;
	op_submit(e, o);
}
