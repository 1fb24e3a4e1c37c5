/* Webhooks: each recording's events leave its outbox in order, one at a time. What was taken is written down before the
 * next one leaves, so a crash repeats at most one event, under the same id.
 *
 * The job in the catalog says who waits for what (core/job.c: tried for about a day, then parked until somebody says
 * that it may go on). */
#include "engine/outside_op.h"

#include "base/log.h"
#include "work/notifier.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct notify_op {
	struct outside_op base;	    /* first */
	int64_t delivered;	    /* what was taken last; 0: nothing was just now */
	struct catalog_event event; /* the next one; seq 0: none waits */
	char type[LIMIT_EVENT_TYPE_CHARS + 1];
};

static struct notify_op *op_new(struct engine *e, const struct notify_slot *s,
				enum err (*run)(struct catalog *c, struct catalog_op *op),
				void (*done)(struct engine *e, struct catalog_op *op))
{
	struct notify_op *o = outside_op_new(e, sizeof *o, run, done);
	if (s) {
		o->base.number = s->number;
		o->base.key = s->key;
		o->base.id = s->recording;
	}
	return o;
}

static struct notify_slot *slot_find(struct engine *e, uint64_t number)
{
	for (unsigned i = 0; i < LIMIT_NOTIFIES; i++) {
		struct notify_slot *s = &e->notifying.slots[i];
		if (s->used && s->number == number)
			return s;
	}
	return NULL;
}

static struct notify_slot *slot_unused(struct engine *e)
{
	for (unsigned i = 0; i < LIMIT_NOTIFIES; i++) {
		if (!e->notifying.slots[i].used)
			return &e->notifying.slots[i];
	}
	return NULL;
}

static void slot_close(struct notify_slot *s)
{
	struct engine *e = s->engine;
	if (s->sending)
		e->config.notifier->ops->cancel(e->config.notifier, s->number);
	free(s->message);
	*s = (struct notify_slot){ .engine = e };
	e->notifying.wanted = true;
}

/* --- the message --- */

/* RFC 3339 in UTC, with milliseconds. */
static void time_format(int64_t at_ms, char out[40])
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t len = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + len, 40 - len, ".%03dZ", (int)(at_ms % 1000));
}

static char *body_format(const struct notify_op *o)
{
	char id[UUID_TEXT], at[40];
	uuid_format(&o->base.id, id);
	time_format(o->event.at_ms, at);
	json_t *body = json_pack(
		"{s:s, s:s, s:{s:s, s:s*, s:s*, s:s*, s:s, s:I, s:s, s:I, s:s*, s:s*, s:o*}}", "type", o->type,
		"timestamp", at, "data", "id", id, "ref", o->base.row.ref, "sessionId", o->base.row.session_id, "name",
		o->base.row.name, "phase", phase_name(o->event.phase), "revision", (json_int_t)o->event.revision, "at",
		at, "seq", (json_int_t)o->event.seq, "error",
		o->event.phase == PHASE_ERROR && o->base.row.error ? err_code(o->base.row.error) : NULL, "show",
		o->base.row.show, "version", o->base.row.show ? json_integer(o->base.row.version) : NULL);
	json_t *data = json_object_get(body, "data");
	if (o->base.row.batch) {
		json_object_set_new(data, "batch", json_string(o->base.row.batch));
		json_object_set_new(data, "key", json_string(o->base.row.batch_key));
	}
	if (o->event.batch_total > 0) {
		json_object_set_new(data, "total", json_integer((json_int_t)o->event.batch_total));
		json_object_set_new(data, "failed", json_integer((json_int_t)o->event.batch_failed));
	}
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	return must(text);
}

static void deliver(struct engine *e, struct notify_slot *s, const struct notify_op *o)
{
	char message_id[60], *body = body_format(o);
	/* the same for each repeat, and never another's: after `verify --rebuild` the sequence begins anew */
	snprintf(message_id, sizeof message_id, "evt_%" PRId64 "_%" PRIx64, o->event.seq, (uint64_t)o->event.at_ms);
	struct notification what = { s->number, message_id, engine_wall(e), body, strlen(body) };
	s->seq = o->event.seq;
	s->sending = true;
	e->config.notifier->ops->deliver(e->config.notifier, &what);
	free(body);
}

/* --- the next event --- */

static enum err event_row(void *arg, const struct catalog_event *event)
{
	struct notify_op *o = arg;
	o->event = *event;
	snprintf(o->type, sizeof o->type, "%s", event->type);
	o->event.type = o->type;
	o->event.principal = o->event.show = o->event.batch = NULL;
	return ERR_OK;
}

/* With none left the job is done, in the same transaction: an event that comes behind it queues it again. */
static enum err next_load(struct catalog *c, struct notify_op *o, int64_t after)
{
	struct catalog_event_filter filter = { .after = after, .recording = &o->base.id, .limit = 1 };
	o->event = (struct catalog_event){ 0 };
	recording_info_release(&o->base.row);
	enum err err = c->ops->events(c, &filter, event_row, o);
	if (err)
		return err;
	return o->event.seq ? c->ops->get(c, &o->base.id, &o->base.row)
			    : c->ops->job_done(c, &o->base.key, NULL, NULL, o->base.now_ms, &o->base.row);
}

static enum err delivered_run(struct catalog *c, struct catalog_op *op)
{
	struct notify_op *o = (struct notify_op *)op;
	enum err err = c->ops->job_delivered(c, &o->base.key, o->delivered, o->base.lease_until_ms);
	return err ? err : next_load(c, o, o->delivered);
}

static void next_done(struct engine *e, struct notify_op *o)
{
	struct notify_slot *s = slot_find(e, o->base.number);
	if (s && !e->failed) {
		if (o->base.op.err == ERR_OK && o->event.seq && !e->stopping)
			deliver(e, s, o);
		else
			slot_close(s); /* nothing waits, or the job is not ours any more */
		jobs_wanted(e);
	}
	outside_op_free(&o->base);
}

static void delivered_done(struct engine *e, struct catalog_op *op)
{
	if (op->err && op->err != ERR_NOT_FOUND && !e->failed)
		catalog_again(e, op);
	else
		next_done(e, (struct notify_op *)op);
}

/* --- taking a job --- */

static enum err claim_run(struct catalog *c, struct catalog_op *op)
{
	struct notify_op *o = (struct notify_op *)op;
	enum err err = outside_claim(c, &o->base, JOB_NOTIFY);
	if (err)
		return err;
	o->base.key = (struct job_key){ o->base.job.id, o->base.job.epoch };
	o->base.id = o->base.job.recording;
	return next_load(c, o, o->base.job.delivered);
}

static void claim_done(struct engine *e, struct catalog_op *op)
{
	struct notify_op *o = (struct notify_op *)op;
	struct notifying *n = &e->notifying;
	struct notify_slot *s = slot_unused(e);
	n->claiming = false;
	if (op->err == ERR_OK && o->base.job.id && s && !e->failed && !e->stopping) {
		s->used = true;
		s->number = o->base.number = ++n->numbers;
		s->key = o->base.key;
		s->recording = o->base.id;
		n->wanted = true;
		next_done(e, o);
		return;
	}
	if (op->err && !e->failed && !e->stopping)
		outside_wait(e, &o->base, &n->timer);
	outside_op_free(&o->base);
}

static void answers_take(struct engine *e);

void notifying_turn(struct engine *e)
{
	struct notifying *n = &e->notifying;
	answers_take(e);
	if (!n->wanted || n->claiming || !e->config.notifier || !e->listening || e->stopping || e->failed)
		return;
	n->wanted = false;
	if (!slot_unused(e))
		return; /* one that gets free looks again */
	n->claiming = true;
	timer_set(&e->timers, &n->timer, UINT64_MAX);
	outside_op_submit(e, &op_new(e, NULL, claim_run, claim_done)->base);
}

/* --- what the notifier says --- */

static enum err failed_run(struct catalog *c, struct catalog_op *op)
{
	return outside_failed(c, (struct outside_op *)op);
}

static void failed_done(struct engine *e, struct catalog_op *op)
{
	struct notify_op *o = (struct notify_op *)op;
	struct notify_slot *s = slot_find(e, o->base.number);
	char id[UUID_TEXT];
	if (op->err && op->err != ERR_NOT_FOUND && !e->failed) {
		catalog_again(e, op);
		return;
	}
	uuid_format(&o->base.id, id);
	if (op->err == ERR_OK)
		log_event(o->base.job.state == JOB_PARKED ? LOG_ERROR : LOG_WARN,
			  o->base.job.state == JOB_PARKED ? "webhook_parked" : "webhook_failed", "id", id, "attempt",
			  log_number(o->base.job.attempt), "why",
			  o->base.message ? o->base.message : err_text(o->base.error), NULL);
	if (s)
		slot_close(s);
	jobs_wanted(e);
	outside_op_free(&o->base);
}

static void on_done(void *arg, uint64_t number, enum err err, const char *message, uint64_t retry_after_ms)
{
	struct engine *e = arg;
	struct notify_slot *s = slot_find(e, number);
	if (!s || !s->sending)
		return;
	s->sending = false;
	s->answered = true;
	s->err = err;
	s->message = message ? must(strdup(message)) : NULL;
	s->retry_after_ms = retry_after_ms;
}

static void answers_take(struct engine *e)
{
	for (unsigned i = 0; i < LIMIT_NOTIFIES; i++) {
		struct notify_slot *s = &e->notifying.slots[i];
		if (!s->answered || e->failed)
			continue;
		bool failed = s->err != ERR_OK;
		struct notify_op *o =
			op_new(e, s, failed ? failed_run : delivered_run, failed ? failed_done : delivered_done);
		o->delivered = s->seq;
		o->base.error = s->err;
		o->base.message = s->message;
		o->base.retry_after_ms = (int64_t)s->retry_after_ms;
		s->message = NULL;
		s->answered = false;
		outside_op_submit(e, &o->base);
	}
}

/* --- for the others --- */

static void on_wake(void *arg)
{
	((struct engine *)arg)->notifying.wanted = true;
}

void notifying_timer(struct engine *e)
{
	e->notifying.wanted = true;
}

void notifying_init(struct engine *e)
{
	struct notifying *n = &e->notifying;
	n->timer.kind = TIMER_NOTIFIES;
	list_init(&n->watch.link);
	for (unsigned i = 0; i < LIMIT_NOTIFIES; i++)
		n->slots[i].engine = e;
	if (!e->config.notifier)
		return;
	e->config.notifier->done = on_done;
	e->config.notifier->arg = e;
	n->watch.wake = on_wake;
	n->watch.arg = e;
	engine_events_watch(e, &n->watch);
}

void notifying_listening(struct engine *e)
{
	e->notifying.wanted = true;
}

/* What is on its way is left: the next start repeats it, under the same id. */
void notifying_stop(struct engine *e)
{
	struct notifying *n = &e->notifying;
	for (unsigned i = 0; i < LIMIT_NOTIFIES; i++) {
		if (n->slots[i].used && n->slots[i].sending)
			slot_close(&n->slots[i]);
	}
	timer_set(&e->timers, &n->timer, UINT64_MAX);
}

bool notifying_idle(const struct engine *e)
{
	bool idle = !e->notifying.claiming;
	for (unsigned i = 0; i < LIMIT_NOTIFIES; i++)
		idle = idle && !e->notifying.slots[i].used;
	return idle;
}

void notifying_release(struct engine *e)
{
	for (unsigned i = 0; i < LIMIT_NOTIFIES; i++) {
		if (e->notifying.slots[i].used)
			slot_close(&e->notifying.slots[i]);
	}
	engine_events_unwatch(&e->notifying.watch);
}

struct unpark_op {
	struct catalog_op op;
	enum job_kind kind;
	int64_t now_ms;
	void (*done)(void *arg, enum err err);
	void *arg;
};

static enum err unpark_run(struct catalog *c, struct catalog_op *op)
{
	const struct unpark_op *o = (struct unpark_op *)op;
	return c->ops->unpark(c, o->kind, o->now_ms);
}

static void unpark_done(struct engine *e, struct catalog_op *op)
{
	struct unpark_op *o = (struct unpark_op *)op;
	if (o->kind == JOB_NOTIFY)
		e->notifying.wanted = true;
	else
		pushing_retry(e);
	jobs_wanted(e);
	o->done(o->arg, op->err);
	free(o);
}

void engine_unpark(struct engine *e, enum job_kind kind, void (*done)(void *arg, enum err err), void *arg)
{
	if (kind == JOB_NOTIFY ? !e->config.notifier : kind != JOB_PUSH || !e->config.pusher) {
		done(arg, ERR_NOT_SUPPORTED);
		return;
	}
	struct unpark_op *o = must(calloc(1, sizeof *o));
	o->op.run = unpark_run;
	o->op.done = unpark_done;
	o->kind = kind;
	o->now_ms = engine_wall(e);
	o->done = done;
	o->arg = arg;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}
