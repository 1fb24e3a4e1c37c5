/* Published files go to a bucket: each revision once, and for as long as it takes. work/pusher.h has the steps; what
 * came of each is in the catalog before the next one begins, so that a crash, a failure and a stop are all the same:
 * the next attempt looks what is there, and goes on behind it.
 *
 * The bucket's word is asked for before anything is sent and behind it (PUSH_HEAD: length and SHA-256): a lost answer
 * is never guessed, and only that word ends a push. The local file is kept until then, see catalog.h (`expired`). */
#include "engine/pushing.h"

#include <stdlib.h>
#include <string.h>

struct push_slot *pushing_slot(struct engine *e, uint64_t number)
{
	for (unsigned i = 0; i < LIMIT_PUSHES; i++) {
		struct push_slot *s = &e->pushing->slots[i];
		if (s->used && s->number == number)
			return s;
	}
	return NULL;
}

void pushing_close(struct push_slot *s)
{
	struct engine *e = s->engine;
	pushing_ask_no_more(e, &s->asker);
	pushing_clear_release(&s->clearing);
	if (s->file)
		pushing_file_put(e, s->file);
	timer_set(&e->timers, &s->timer, UINT64_MAX);
	catalog_push_release(&s->push);
	free(s->there);
	*s = (struct push_slot){ .engine = e, .timer.kind = TIMER_PUSH_SLOT };
	e->pushing->wanted = true;
}

void pushing_rearm(struct push_slot *s)
{
	timer_set(&s->engine->timers, &s->timer, s->used && !s->ending ? s->renew_ms : UINT64_MAX);
}

void pushing_works(struct engine *e)
{
	e->pushing->failures = 0;
	e->pushing->pause_ms = 0;
}

/* --- asking --- */

void pushing_answer_release(struct push_answer *a)
{
	free(a->message);
	free(a->upload);
	free(a->parts);
	free(a->uploads);
	*a = (struct push_answer){ 0 };
}

void pushing_ask(struct engine *e, struct push_asker *a, struct push_step step)
{
	step.id = a->step = ++e->pushing->steps;
	step.now_ms = engine_wall(e);
	e->config.pusher->ops->start(e->config.pusher, &step);
}

void pushing_ask_no_more(struct engine *e, struct push_asker *a)
{
	if (a->step)
		e->config.pusher->ops->cancel(e->config.pusher, a->step);
	pushing_answer_release(&a->answer);
	*a = (struct push_asker){ 0 };
}

static void *copy(const void *from, size_t count, size_t size)
{
	if (count == 0)
		return NULL;
	void *to = must(malloc(count * size));
	memcpy(to, from, count * size);
	return to;
}

static struct push_asker *asker_of(struct engine *e, uint64_t step)
{
	struct pushing *p = e->pushing;
	for (unsigned i = 0; i < LIMIT_PUSHES; i++) {
		if (p->slots[i].asker.step == step)
			return &p->slots[i].asker;
	}
	return p->sweep.asker.step == step ? &p->sweep.asker : NULL;
}

static void on_done(void *arg, uint64_t id, const struct push_result *r)
{
	struct push_asker *a = id ? asker_of(arg, id) : NULL;
	if (!a)
		return;
	a->step = 0;
	a->answered = true;
	a->answer = (struct push_answer){
		.err = r->err,
		.message = r->message ? must(strdup(r->message)) : NULL,
		.retry_after_ms = r->retry_after_ms,
		.upload = must(strdup(r->upload ? r->upload : "")),
		.bytes = r->bytes,
		.parts = copy(r->parts, r->part_count, sizeof *r->parts),
		.part_count = r->part_count,
		.uploads = copy(r->uploads, r->upload_count, sizeof *r->uploads),
		.upload_count = r->upload_count,
		.more = r->more,
	};
	snprintf(a->answer.etag, sizeof a->answer.etag, "%s", r->etag ? r->etag : "");
	snprintf(a->answer.sha256, sizeof a->answer.sha256, "%s", r->sha256 ? r->sha256 : "");
}

static void on_want(void *arg, uint64_t id, uint64_t offset, size_t len)
{
	struct engine *e = arg;
	for (unsigned i = 0; i < LIMIT_PUSHES; i++) {
		struct push_slot *s = &e->pushing->slots[i];
		if (s->used && s->file && s->asker.step == id)
			pushing_read(s, offset, len);
	}
}

/* --- uploads of a key, aborted --- */

void pushing_clear_release(struct push_clearing *c)
{
	free(c->uploads);
	free(c->after);
	*c = (struct push_clearing){ 0 };
}

void pushing_clear_next(struct engine *e, struct push_asker *a, const struct push_clearing *c, const char *key)
{
	if (c->listed)
		pushing_ask(e, a,
			    (struct push_step){ .verb = PUSH_ABORT, .key = key, .upload = c->uploads[c->at].upload });
	else
		pushing_ask(e, a, (struct push_step){ .verb = PUSH_UPLOADS, .key = key, .after = c->after });
}

/* Names that only begin as the key does are others'. */
static void page_take(struct push_clearing *c, const struct push_answer *answer, const char *key)
{
	free(c->uploads);
	free(c->after);
	c->uploads = copy(answer->uploads, answer->upload_count, sizeof *answer->uploads);
	c->more = answer->more && answer->upload_count > 0;
	c->after = c->more ? copy(answer->uploads + answer->upload_count - 1, 1, sizeof *answer->uploads) : NULL;
	c->at = c->count = 0;
	c->listed = true;
	for (size_t i = 0; i < answer->upload_count; i++) {
		if (strcmp(c->uploads[i].key, key) == 0)
			c->uploads[c->count++] = c->uploads[i];
	}
}

bool pushing_clear_take(struct push_clearing *c, const struct push_answer *answer, const char *key)
{
	if (answer->err && !(c->listed && answer->err == ERR_UPLOAD_GONE))
		return false;
	if (c->listed)
		c->at++;
	else
		page_take(c, answer, key);
	if (c->at == c->count) {
		c->listed = false;
		c->done = !c->more;
	}
	return true;
}

/* --- for the others --- */

void pushing_turn(struct engine *e)
{
	struct pushing *p = e->pushing;
	if (!e->config.pusher || e->failed)
		return;
	for (unsigned i = 0; i < LIMIT_PUSHES; i++) {
		if (p->slots[i].used)
			pushing_step(&p->slots[i]);
	}
	if (!e->listening || e->stopping)
		return;
	pushing_sweep_turn(e);
	if (p->wanted && !p->claiming)
		pushing_claim(e);
}

void pushing_slot_timer(struct timer *timer)
{
	struct push_slot *s = list_entry(timer, struct push_slot, timer);
	if (s->used && !s->ending)
		pushing_renew(s);
}

void pushing_timer(struct engine *e)
{
	e->pushing->wanted = true;
}

void pushing_sweep_timer(struct engine *e)
{
	e->pushing->sweep.wanted = true;
}

void pushing_retry(struct engine *e)
{
	pushing_works(e); /* somebody says so: no need to wait until it is found out */
	e->pushing->wanted = true;
}

void pushing_published(struct engine *e)
{
	e->pushing->wanted = true;
}

void pushing_fence(struct engine *e, const struct uuid *recording)
{
	for (unsigned i = 0; i < LIMIT_PUSHES; i++) {
		struct push_slot *s = &e->pushing->slots[i];
		if (s->used && !s->ending && uuid_equal(&s->recording, recording))
			pushing_close(s);
	}
	e->pushing->sweep.wanted = true;
}

void pushing_init(struct engine *e)
{
	struct pushing *p = must(calloc(1, sizeof *p));
	e->pushing = p;
	p->timer.kind = TIMER_PUSHES;
	p->sweep.timer.kind = TIMER_PUSH_SWEEP;
	for (unsigned i = 0; i < LIMIT_PUSHES; i++)
		p->slots[i] = (struct push_slot){ .engine = e, .timer.kind = TIMER_PUSH_SLOT };
	if (e->config.push_part_bytes == 0)
		e->config.push_part_bytes = LIMIT_PUSH_PART_BYTES;
	if (e->config.pusher)
		e->config.pusher->events = (struct pusher_events){ on_want, on_done, e };
}

void pushing_listening(struct engine *e)
{
	if (!e->config.pusher)
		return;
	e->pushing->sweep.wanted = true;
	pushing_queue(e);
}

void pushing_stop(struct engine *e)
{
	for (unsigned i = 0; i < LIMIT_PUSHES; i++) {
		struct push_slot *s = &e->pushing->slots[i];
		if (s->used && !s->ending)
			pushing_finish(s, ERR_SHUTTING_DOWN, NULL, 0);
	}
	pushing_sweep_stop(e);
	timer_set(&e->timers, &e->pushing->timer, UINT64_MAX);
}

bool pushing_idle(const struct engine *e)
{
	const struct pushing *p = e->pushing;
	bool idle = p->tasks == 0 && !p->claiming && !p->queueing && !p->sweep.looking;
	for (unsigned i = 0; i < LIMIT_PUSHES; i++)
		idle = idle && !p->slots[i].used;
	return idle;
}

void pushing_release(struct engine *e)
{
	struct pushing *p = e->pushing;
	p->closing = true;
	for (unsigned i = 0; i < LIMIT_PUSHES; i++) {
		if (p->slots[i].used)
			pushing_close(&p->slots[i]);
	}
	pushing_sweep_stop(e);
}

/* Behind all that may still speak of it (engine_close). */
void pushing_free(struct engine *e)
{
	free(e->pushing);
	e->pushing = NULL;
}
