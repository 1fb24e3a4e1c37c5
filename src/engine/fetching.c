/* Recordings whose bytes are fetched: each fetch is a client of the engine's own append path. What it brings goes
 * through the same journal, under the same back-pressure, and its seal is that of any take; so a crash leaves what it
 * leaves of any take, and the fetch goes on behind the durable bytes.
 *
 * A source that can't say that it is the same one begins anew, and its beginning is compared with what is there: equal
 * bytes are skipped, others end it (SOURCE_CHANGED): no recording is ever made of two sources. */
#include "engine/fetching.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* As late as it is known to be: for calls of our own. */
static struct now now_of(const struct engine *e)
{
	return (struct now){ e->now.mono_ms + e->skew_ms, e->now.wall_ms };
}

struct fetch_slot *fetch_find(struct engine *e, uint64_t number)
{
	for (unsigned i = 0; i < LIMIT_FETCHES; i++) {
		struct fetch_slot *s = &e->fetching.slots[i];
		if (s->used && s->number == number)
			return s;
	}
	return NULL;
}

/* --- what is next --- */

void fetch_rearm(struct fetch_slot *s)
{
	uint64_t due = s->ending ? UINT64_MAX : s->renew_ms;
	if (s->next != FETCH_NEXT_NONE && s->next_ms < due)
		due = s->next_ms;
	timer_set(&s->engine->timers, &s->timer, s->used ? due : UINT64_MAX);
}

void fetch_next(struct fetch_slot *s, enum fetch_next next, uint64_t in_ms)
{
	if (s->ending || s->next >= FETCH_NEXT_DONE)
		return;
	s->next = next;
	s->next_ms = s->engine->now.mono_ms + in_ms;
	fetch_rearm(s);
}

void fetch_fail(struct fetch_slot *s, enum err err, const char *message)
{
	if (s->ending || s->next >= FETCH_NEXT_DONE)
		return;
	s->err = err;
	free(s->message);
	s->message = message ? must(strdup(message)) : NULL;
	fetch_next(s, FETCH_NEXT_FAIL, 0);
}

static void transfer_cancel(struct fetch_slot *s)
{
	struct engine *e = s->engine;
	if (s->transferring)
		e->config.fetcher->ops->cancel(e->config.fetcher, s->number);
	s->transferring = s->comparing = false;
	if (s->reader)
		engine_reader_close(e, s->reader);
	s->reader = 0;
	s->reading = s->pausing = false;
	buf_release(&s->pending);
	buf_init(&s->pending);
	free(s->new_validator);
	s->new_validator = NULL;
}

void fetch_close(struct fetch_slot *s)
{
	struct engine *e = s->engine;
	transfer_cancel(s);
	struct conn *c = s->conn ? conn_find(e, s->conn) : NULL;
	if (c) {
		c->inner = NULL;
		engine_conn_closed(e, s->conn, now_of(e));
		if (e->fx.count > 0)
			effects_run(e, NULL);
	}
	timer_set(&e->timers, &s->timer, UINT64_MAX);
	free(s->url);
	free(s->validator);
	free(s->message);
	*s = (struct fetch_slot){ .engine = e, .timer = { .kind = TIMER_FETCH_SLOT } };
	e->fetching.wanted = true;
}

/* --- attaching --- */

struct fetch_waiter {
	struct waiter waiter;
	uint64_t number;
};

static void attach_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct fetch_waiter *fw = (struct fetch_waiter *)w;
	struct fetch_slot *s = fetch_find(e, fw->number);
	struct conn *c = s ? conn_find(e, s->conn) : NULL;
	if (!c || c->starting != w || err) {
		if (s && err)
			fetch_fail(s, err, NULL);
		free(fw);
		return;
	}
	struct attach a = { .conn = c->id, .track = "main", .from = BYTES_UNKNOWN, .wall_ms = engine_wall(e) };
	uint16_t track;
	/* What the journal and the folder say of it may be of before it failed: this says that it goes on. */
	if (t->rec.busy == BUSY_NONE && t->rec.info.phase == PHASE_UPLOADING && t->rec.info.track_count > 0)
		effects_add(&e->fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = EFFECT_NO_TRACK });
	if (recording_attach(&t->rec, &a, e->now.mono_ms, &track, &e->fx) == ANSWER_WAIT) {
		take_wait(t, w);
		effects_run(e, t);
		return;
	}
	c->starting = NULL;
	if (track != EFFECT_NO_TRACK)
		conn_bind(e, c, t, track);
	effects_run(e, t);
	free(fw);
}

static const struct inner fetch_inner;

static void attach(struct fetch_slot *s)
{
	struct engine *e = s->engine;
	struct conn *c = s->conn ? conn_find(e, s->conn) : NULL;
	char id[UUID_TEXT];
	if (!c) {
		s->conn = engine_conn_open(e, grant_local(), now_of(e));
		c = conn_find(e, s->conn);
		c->inner = &fetch_inner;
		c->inner_of = s;
		session_init(&c->session, c->id, UINT32_MAX, e->now.mono_ms); /* nobody is there to be asked */
		engine_rearm_conn(e, c);
	}
	if (session_start(&c->session) != SESSION_PASS)
		return; /* it is attached, or about to be */
	struct fetch_waiter *fw = must(calloc(1, sizeof *fw));
	fw->waiter.go = attach_go;
	fw->number = s->number;
	c->starting = &fw->waiter;
	uuid_format(&s->recording, id);
	take_want(e, (struct engine_ref){ id, grant_local() }, &fw->waiter);
}

static void on_started(struct engine *e, struct conn *c, uint64_t bytes)
{
	struct fetch_slot *s = c->inner_of;
	(void)e;
	s->at = bytes;
	fetch_next(s, FETCH_NEXT_TRANSFER, 0);
}

/* `aborted` has no other cause than a deletion or an abort by somebody else: the job is gone with it. */
static void on_refused(struct engine *e, struct conn *c, enum err err)
{
	struct fetch_slot *s = c->inner_of;
	transfer_cancel(s);
	switch (err) {
	case ERR_STORAGE_FULL: /* the take goes on when space returns, and its fetch with it */
		if (e->listening)
			fetch_next(s, FETCH_NEXT_ATTACH, LIMIT_SPACE_CHECK_MS);
		break;
	case ERR_SEALED:
		fetch_next(s, FETCH_NEXT_DONE, 0);
		break;
	case ERR_DELETED:
	case ERR_ABORTED:
	case ERR_SHUTTING_DOWN: /* fetching_stop gives the job back */
		fetch_next(s, FETCH_NEXT_DROP, 0);
		break;
	default:
		fetch_fail(s, err, NULL);
	}
}

static void on_saved(struct engine *e, struct conn *c)
{
	(void)e;
	fetch_next(c->inner_of, FETCH_NEXT_DONE, 0);
}

/* --- the transfer --- */

void fetch_pause_update(struct fetch_slot *s)
{
	struct engine *e = s->engine;
	const struct conn *c = conn_find(e, s->conn);
	bool pause = (c && c->paused) || s->pending.len > 0;
	if (pause == s->pausing || !s->transferring)
		return;
	s->pausing = pause;
	e->config.fetcher->ops->pause(e->config.fetcher, s->number, pause);
}

static void on_paused(struct engine *e, struct conn *c, bool paused)
{
	(void)e;
	(void)paused;
	fetch_pause_update(c->inner_of);
}

static const struct inner fetch_inner = { on_started, NULL, on_refused, on_saved, on_paused };

void fetch_begin(struct fetch_slot *s)
{
	struct engine *e = s->engine;
	uint64_t spent = e->now.mono_ms - s->began_ms;
	if (spent >= e->config.fetch_ms) {
		fetch_fail(s, ERR_SOURCE_FAILED, "Fetching took longer than --fetch-timeout.");
		return;
	}
	struct fetch fetch = { s->number, s->url, s->at, s->validator, e->config.fetch_ms - spent };
	transfer_cancel(s);
	s->at_begin = s->at;
	s->total = BYTES_UNKNOWN;
	s->ended = false;
	s->transferring = true;
	e->config.fetcher->ops->start(e->config.fetcher, &fetch);
	fetch_pause_update(s);
}

void fetch_append(struct fetch_slot *s, const void *data, size_t len)
{
	s->at += len;
	engine_conn_media(s->engine, s->conn, (struct engine_media){ data, len, { 0 }, 0 }, now_of(s->engine));
}

/* All came: the take's `end`, behind what is held. */
void fetch_end(struct fetch_slot *s)
{
	char text[80];
	if (s->comparing) {
		fetch_fail(s, ERR_SOURCE_CHANGED, "The source is shorter now than what was fetched of it before.");
		return;
	}
	snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%llu}", (unsigned long long)s->at);
	engine_conn_text(s->engine, s->conn, text, strlen(text), now_of(s->engine));
}

void fetch_validator_take(struct fetch_slot *s, const char *validator)
{
	bool same = validator && s->validator ? strcmp(validator, s->validator) == 0 : validator == s->validator;
	if (same)
		return;
	char *copy = validator ? must(strdup(validator)) : NULL;
	free(s->validator);
	s->validator = copy;
	fetch_validator_put(s, copy);
}

/* --- what the fetcher says --- */

static struct fetch_slot *slot_of(struct engine *e, uint64_t id)
{
	struct fetch_slot *s = fetch_find(e, id);
	return s && s->transferring && s->next < FETCH_NEXT_DONE ? s : NULL;
}

/* What the source says it is, where nobody said it before: in memory, and with the next record of it in its manifest.
 */
static void kind_take(struct engine *e, struct fetch_slot *s, const struct fetch_head *head)
{
	const struct conn *c = conn_find(e, s->conn);
	if (!c || !c->take || c->take->rec.info.mime || !head->mime[0])
		return;
	c->take->rec.info.mime = must(strdup(head->mime));
	c->take->manifest_dirty = true;
	follow_look(e, c->take);
}

static void on_head(void *arg, uint64_t id, const struct fetch_head *head, const char *validator)
{
	struct engine *e = arg;
	struct fetch_slot *s = slot_of(e, id);
	if (!s)
		return;
	s->total = head->total;
	kind_take(e, s, head);
	if (head->from_start && s->at > 0)
		fetch_compare_begin(s, head, validator);
	else if (head->from_start)
		fetch_validator_take(s, validator);
}

static void on_data(void *arg, uint64_t id, const void *data, size_t len)
{
	struct fetch_slot *s = slot_of(arg, id);
	if (!s)
		return;
	if (!s->comparing) {
		fetch_append(s, data, len);
		return;
	}
	buf_add(&s->pending, data, len);
	must(s->pending.failed ? NULL : s->pending.data);
	fetch_compare(s);
	fetch_pause_update(s);
}

/* A drop behind which more came than before is gone on from, in the same attempt. */
static bool may_resume(const struct fetch_slot *s, enum err err)
{
	return err == ERR_SOURCE_FAILED && s->at > s->at_begin && s->resumes < LIMIT_FETCH_RESUMES &&
	       s->engine->now.mono_ms - s->began_ms < s->engine->config.fetch_ms;
}

static void on_ended(void *arg, uint64_t id, enum err err, const char *message, uint64_t retry_after_ms)
{
	struct engine *e = arg;
	struct fetch_slot *s = slot_of(e, id);
	if (!s)
		return;
	s->transferring = false;
	if (!err) {
		s->ended = true;
		if (s->comparing)
			fetch_compare(s); /* which says it when it comes to its end */
		else
			fetch_end(s);
		return;
	}
	if (may_resume(s, err)) {
		transfer_cancel(s);
		s->resumes++;
		fetch_next(s, FETCH_NEXT_TRANSFER, LIMIT_FETCH_RESUME_MS);
		return;
	}
	s->retry_after_ms = retry_after_ms < LIMIT_FETCH_WAIT_MAX_MS ? retry_after_ms : LIMIT_FETCH_WAIT_MAX_MS;
	fetch_fail(s, err, message);
}

/* --- for the others --- */

/* All that came before is durable: what is compared is read back. */
static bool settled(const struct fetch_slot *s)
{
	const struct conn *c = conn_find(s->engine, s->conn);
	return c && c->attached && !c->held && c->take->rec.tracks[c->track].durable == s->at;
}

static void slot_step(struct fetch_slot *s)
{
	struct engine *e = s->engine;
	enum fetch_next next = s->next_ms <= e->now.mono_ms ? s->next : FETCH_NEXT_NONE;
	if (next != FETCH_NEXT_NONE && next < FETCH_NEXT_DONE)
		s->next = FETCH_NEXT_NONE;
	switch (next) {
	case FETCH_NEXT_NONE:
		break;
	case FETCH_NEXT_ATTACH:
		if (e->storage_full)
			fetch_next(s, FETCH_NEXT_ATTACH, LIMIT_SPACE_CHECK_MS);
		else
			attach(s);
		break;
	case FETCH_NEXT_TRANSFER:
		if (settled(s))
			fetch_begin(s);
		else
			fetch_next(s, FETCH_NEXT_TRANSFER, LIMIT_FETCH_RESUME_MS);
		break;
	case FETCH_NEXT_DONE:
		fetch_finish(s, ERR_OK, NULL);
		return;
	case FETCH_NEXT_FAIL:
		fetch_finish(s, s->err, s->message);
		return;
	case FETCH_NEXT_DROP:
		fetch_close(s);
		return;
	}
	if (s->renew_ms <= e->now.mono_ms)
		fetch_renew(s);
	fetch_rearm(s);
}

void fetching_slot_timer(struct timer *timer)
{
	struct fetch_slot *s = list_entry(timer, struct fetch_slot, timer);
	if (s->used && !s->ending)
		slot_step(s);
}

void fetching_timer(struct engine *e)
{
	e->fetching.wanted = true;
}

bool fetching_progress(const struct engine *e, const struct job_key *key, unsigned *per_mille)
{
	for (unsigned i = 0; i < LIMIT_FETCHES; i++) {
		const struct fetch_slot *s = &e->fetching.slots[i];
		if (!s->used || s->key.id != key->id || s->key.epoch != key->epoch)
			continue;
		bool known = s->total != BYTES_UNKNOWN && s->total > 0 && s->at <= s->total;
		*per_mille = known ? (unsigned)((double)s->at / (double)s->total * 1000) : 0;
		return true;
	}
	return false;
}

void fetching_init(struct engine *e)
{
	struct fetching *f = &e->fetching;
	f->timer.kind = TIMER_FETCHES;
	for (unsigned i = 0; i < LIMIT_FETCHES; i++)
		f->slots[i] = (struct fetch_slot){ .engine = e, .timer = { .kind = TIMER_FETCH_SLOT } };
	if (e->config.fetch_ms == 0)
		e->config.fetch_ms = LIMIT_FETCH_MS;
	if (e->config.fetcher)
		e->config.fetcher->events = (struct fetcher_events){ on_head, on_data, on_ended, e };
}

void fetching_listening(struct engine *e)
{
	e->fetching.wanted = true;
}

void fetching_turn(struct engine *e)
{
	struct fetching *f = &e->fetching;
	if (f->wanted && e->config.fetcher && e->listening && !e->stopping && !e->failed && !f->claiming)
		fetch_claim(e);
}

/* Their connections were told before, which ended the transfers: what is left is to give the jobs back. */
void fetching_stop(struct engine *e)
{
	for (unsigned i = 0; i < LIMIT_FETCHES; i++) {
		struct fetch_slot *s = &e->fetching.slots[i];
		if (s->used && !s->ending)
			fetch_finish(s, ERR_SHUTTING_DOWN, NULL);
	}
	timer_set(&e->timers, &e->fetching.timer, UINT64_MAX);
}

bool fetching_idle(const struct engine *e)
{
	bool idle = !e->fetching.claiming;
	for (unsigned i = 0; i < LIMIT_FETCHES; i++)
		idle = idle && !e->fetching.slots[i].used;
	return idle;
}

void fetching_release(struct engine *e)
{
	for (unsigned i = 0; i < LIMIT_FETCHES; i++) {
		if (e->fetching.slots[i].used)
			fetch_close(&e->fetching.slots[i]);
	}
}
