/* A request that brings bytes of an upload: it attaches to its take like any client, sends, and hears when all is
 * durable. What it hears leaves at the end of the turn, so that nobody is called back from inside of a call. */
#include "engine/uploads.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct now now_of(const struct engine *e)
{
	return (struct now){ e->now.mono_ms + e->skew_ms, e->now.wall_ms };
}

/* Numbers are never used twice: the slot in the low bits, a rising number above. */
struct upload_append *append_find(struct engine *e, uint64_t id)
{
	struct upload_append *a = e->uploads.slots ? e->uploads.slots[id % LIMIT_UPLOADS_AT_ONCE] : NULL;
	return a && a->id == id ? a : NULL;
}

/* False: there are too many. */
static bool slot_take(struct upload_append *a)
{
	struct uploads *u = &a->engine->uploads;
	if (!u->slots)
		u->slots = must(calloc(LIMIT_UPLOADS_AT_ONCE, sizeof *u->slots));
	for (unsigned i = 0; i < LIMIT_UPLOADS_AT_ONCE; i++) {
		uint64_t id = ++u->numbers;
		if (u->slots[id % LIMIT_UPLOADS_AT_ONCE])
			continue;
		u->slots[id % LIMIT_UPLOADS_AT_ONCE] = a;
		a->id = id;
		return true;
	}
	return false;
}

/* Something is to be said of it, or may be by now. */
static void due(struct upload_append *a)
{
	list_remove(&a->due);
	list_push(&a->engine->uploads.due, &a->due);
	a->engine->uploads.wanted = true;
}

/* What came last is not to wait for more: nothing does, or somebody wants to know that it is safe. */
static void gather_end(struct upload_append *a)
{
	timer_set(&a->engine->timers, &a->timer, UINT64_MAX);
	if (a->take && a->take->io_count > 0)
		a->take->io[0]->gather_ms = 0;
}

/* More came, and more will: see append_pump. */
static void gather(struct upload_append *a)
{
	struct engine *e = a->engine;
	struct track_io *io = a->take->io_count > 0 ? a->take->io[0] : NULL;
	if (!io || a->ended || a->over || io->gather_ms > e->now.mono_ms)
		return;
	io->gather_ms = e->now.mono_ms + LIMIT_UPLOAD_GATHER_MS;
	timer_set(&e->timers, &a->timer, io->gather_ms);
}

/* Its connection goes, and with it what was held for it: none of that was told to be safe. */
static void conn_drop(struct upload_append *a)
{
	struct engine *e = a->engine;
	struct conn *c = a->conn ? conn_find(e, a->conn) : NULL;
	a->conn = 0;
	gather_end(a);
	if (!c)
		return;
	c->inner = NULL;
	engine_conn_closed(e, c->id, now_of(e));
	if (e->fx.count > 0)
		effects_run(e, a->take);
}

void append_over(struct upload_append *a, enum err err)
{
	if (a->over)
		return;
	a->over = true;
	a->err = err;
	due(a);
}

/* The upload's position is told with a refusal, so it has to be what stays: behind what another request, which has
 * left, is still having written. */
static void refuse_settled(struct upload_append *a, enum err err)
{
	a->err = err;
	a->settling = true;
	due(a);
}

static uint64_t at_end(const struct upload_append *a)
{
	return a->ask.offset + a->fed;
}

/* --- what its connection hears --- */

static void on_started(struct engine *e, struct conn *c, uint64_t bytes)
{
	struct upload_append *a = c->inner_of;
	(void)e;
	assert(bytes == a->ask.offset);
	a->begun = true;
	due(a);
}

static void on_acked(struct engine *e, struct conn *c, uint64_t bytes)
{
	struct upload_append *a = c->inner_of;
	(void)e;
	if (a->ask.durable && !a->gone && !a->over)
		a->ask.durable(a->ask.arg, bytes);
	if (a->ended && !a->ending && bytes >= at_end(a))
		append_over(a, ERR_OK);
}

static void on_refused(struct engine *e, struct conn *c, enum err err)
{
	(void)e;
	gather_end(c->inner_of);
	append_over(c->inner_of, err == ERR_TOTAL_MISMATCH ? ERR_MESSAGE_TOO_LARGE : err);
}

static void on_saved(struct engine *e, struct conn *c)
{
	struct upload_append *a = c->inner_of;
	(void)e;
	/* attached too late, it was whole */
	append_over(a, a->begun ? ERR_OK : ERR_SEALED);
}

static void on_paused(struct engine *e, struct conn *c, bool paused)
{
	struct upload_append *a = c->inner_of;
	(void)e;
	if (a->checked)
		checked_resume(a->checked);
	else
		append_pause(a, paused);
}

static const struct inner append_inner = { on_started, on_acked, on_refused, on_saved, on_paused };

void append_pause(struct upload_append *a, bool paused)
{
	if (!a->gone && !a->over)
		a->ask.pause(a->ask.arg, paused);
}

/* --- attaching --- */

struct append_waiter {
	struct waiter waiter;
	uint64_t id;
};

/* What the request says of the whole; ERR_OK, and *length is what it is to be now. */
static enum err judge_length(const struct upload_append *a, const struct take *t, uint64_t *length)
{
	uint64_t known = t->rec.info.upload.length, said = a->ask.length;
	if (a->ask.last && a->ask.body != BYTES_UNKNOWN) {
		uint64_t end = a->ask.offset + a->ask.body;
		if (said != BYTES_UNKNOWN && said != end)
			return ERR_LENGTH_MISMATCH;
		said = end;
	}
	if (said != BYTES_UNKNOWN && known != BYTES_UNKNOWN && said != known)
		return ERR_LENGTH_MISMATCH;
	*length = known == BYTES_UNKNOWN ? said : known;
	if (*length != BYTES_UNKNOWN && *length < upload_accepted(t))
		return ERR_LENGTH_MISMATCH;
	uint64_t end = a->ask.body == BYTES_UNKNOWN ? a->ask.offset : a->ask.offset + a->ask.body;
	if (end > (*length < LIMIT_UPLOAD_BYTES ? *length : LIMIT_UPLOAD_BYTES))
		return ERR_MESSAGE_TOO_LARGE;
	return end > a->grant.max_bytes ? ERR_QUOTA_EXCEEDED : ERR_OK;
}

/* Nothing more can come: who brings nothing, just behind the end, repeats a question whose answer was lost. */
static void refuse_whole(struct upload_append *a, const struct take *t)
{
	bool fits = a->ask.offset == upload_accepted(t) && t->rec.info.upload.kind != UPLOAD_FINAL;
	bool empty = a->ask.body == 0 && (a->ask.length == BYTES_UNKNOWN || a->ask.length == upload_accepted(t));
	if (t->rec.info.phase == PHASE_ABORTED)
		append_over(a, ERR_ABORTED);
	else if (t->rec.info.phase == PHASE_ERROR && !recording_whole(&t->rec))
		append_over(a, err_retry(t->rec.info.error) ? ERR_POISONED : t->rec.info.error);
	else if (t->rec.info.upload.kind == UPLOAD_FINAL)
		append_over(a, ERR_SEALED);
	else
		refuse_settled(a, !fits ? ERR_POSITION_CONFLICT : empty ? ERR_OK : ERR_SEALED);
}

/* True: it may attach. */
static bool judge(struct upload_append *a, struct take *t)
{
	struct engine *e = a->engine;
	uint64_t length;
	enum err err = upload_judge(e, t, &a->grant);
	if (!err && t->rec.info.track_count > 0 && strcmp(t->rec.info.tracks[0].name, "main") != 0)
		err = ERR_NOT_FOUND; /* other tracks than a file has */
	if (err) {
		append_over(a, err);
		return false;
	}
	take_pin(t);
	a->take = t;
	if (t->rec.info.phase != PHASE_UPLOADING || t->rec.info.upload.kind == UPLOAD_FINAL) {
		refuse_whole(a, t);
		return false;
	}
	if (a->ask.offset != upload_accepted(t)) {
		refuse_settled(a, ERR_POSITION_CONFLICT);
		return false;
	}
	err = judge_length(a, t, &length);
	if (err) {
		refuse_settled(a, err);
		return false;
	}
	if (length != t->rec.info.upload.length) {
		upload_length_set(e, t, length);
		upload_touch(e, t);
	}
	return true;
}

static void attach(struct upload_append *a, struct take *t, struct append_waiter *aw)
{
	struct engine *e = a->engine;
	struct conn *c = conn_find(e, a->conn);
	struct attach at = { .conn = c->id, .track = "main", .from = a->ask.offset, .wall_ms = engine_wall(e) };
	uint16_t track;
	c->starting = &aw->waiter;
	upload_open(e, t);
	enum recording_answer answer = recording_attach(&t->rec, &at, e->now.mono_ms, &track, &e->fx);
	assert(answer == ANSWER_DONE); /* it was at rest */
	c->starting = NULL;
	if (track != EFFECT_NO_TRACK)
		conn_bind(e, c, t, track);
	effects_run(e, t);
}

static void append_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct append_waiter *aw = (struct append_waiter *)w;
	struct upload_append *a = append_find(e, aw->id);
	if (a && err)
		append_over(a, err);
	if (!a || a->over || a->gone) {
		free(aw);
		return;
	}
	if (t->rec.busy != BUSY_NONE || (t->rec.info.phase == PHASE_UPLOADING && !recording_at_rest(&t->rec))) {
		take_wait(t, w);
		return;
	}
	if (judge(a, t)) {
		a->conn = engine_conn_open(e, &a->grant, now_of(e));
		struct conn *c = conn_find(e, a->conn);
		c->inner = &append_inner;
		c->inner_of = a;
		session_init(&c->session, c->id, UINT32_MAX, e->now.mono_ms); /* nobody is there to be pinged */
		engine_rearm_conn(e, c);
		session_start(&c->session);
		attach(a, t, aw);
	}
	free(aw);
}

/* --- bytes --- */

void append_take(struct upload_append *a, const void *data, size_t len)
{
	engine_conn_media(a->engine, a->conn, (struct engine_media){ data, len, { 0 }, 0 }, now_of(a->engine));
}

void append_finish(struct upload_append *a)
{
	struct engine *e = a->engine;
	struct take *t = a->take;
	const struct conn *c = a->conn ? conn_find(e, a->conn) : NULL;
	char text[80];
	gather_end(a);
	if (a->over || !c)
		return;
	if (a->ask.last && t->rec.info.upload.length == BYTES_UNKNOWN)
		upload_length_set(e, t, at_end(a));
	if (a->ask.last && t->rec.info.upload.length != at_end(a)) {
		append_over(a, ERR_LENGTH_MISMATCH);
	} else if (t->rec.info.upload.length == at_end(a) && t->rec.info.upload.kind == UPLOAD_WHOLE) {
		a->ending = true;
		snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%llu}", (unsigned long long)at_end(a));
		engine_conn_text(e, a->conn, text, strlen(text), now_of(e));
	} else if (upload_durable(t) >= at_end(a)) {
		append_over(a, ERR_OK);
	}
}

uint64_t engine_append(struct engine *e, const struct engine_append *append, struct now now)
{
	engine_clock(e, now);
	struct upload_append *a = must(calloc(1, sizeof *a));
	a->engine = e;
	if (!slot_take(a)) {
		free(a);
		return 0;
	}
	a->ask = *append;
	a->grant = *append->ref.grant;
	list_init(&a->due);
	a->timer.kind = TIMER_FOLLOW; /* the turn that comes with it is what is wanted */
	list_push(&e->uploads.appends, &a->link);
	if (e->stopping || e->failed) {
		append_over(a, ERR_SHUTTING_DOWN);
		return a->id;
	}
	struct append_waiter *aw = must(calloc(1, sizeof *aw));
	aw->waiter.go = append_go;
	uint64_t id = aw->id = a->id;
	take_want(e, (struct engine_ref){ append->ref.text, &a->grant }, &aw->waiter);
	return id;
}

void engine_append_data(struct engine *e, uint64_t append, struct engine_media media, struct now now)
{
	engine_clock(e, now);
	struct upload_append *a = append_find(e, append);
	if (!a || a->over || !a->begun_told || a->ended || media.len == 0)
		return;
	uint64_t length = a->take->rec.info.upload.length,
		 most = length < LIMIT_UPLOAD_BYTES ? length : LIMIT_UPLOAD_BYTES;
	if (media.len > most - at_end(a)) { /* no room is made for that */
		append_over(a, ERR_MESSAGE_TOO_LARGE);
		return;
	}
	a->fed += media.len;
	if (a->checked)
		checked_add(a->checked, media.data, media.len);
	else
		engine_conn_media(e, a->conn, media, now);
	gather(a);
	/* what is whole needs no word more: its client may be gone before that comes */
	if (!a->over && a->take->rec.info.upload.length == at_end(a))
		engine_append_end(e, append, now);
}

size_t engine_append_room(struct engine *e, uint64_t append)
{
	const struct upload_append *a = append_find(e, append);
	return a && !a->checked && a->conn && !a->over ? engine_conn_room(e, a->conn) : 0;
}

void engine_append_end(struct engine *e, uint64_t append, struct now now)
{
	engine_clock(e, now);
	struct upload_append *a = append_find(e, append);
	if (!a || a->over || a->ended)
		return;
	a->ended = true;
	if (!a->begun_told)
		return; /* begin_tell goes on */
	if (a->checked)
		checked_end(a->checked);
	else
		append_finish(a);
}

void engine_append_gone(struct engine *e, uint64_t append, struct now now)
{
	engine_clock(e, now);
	struct upload_append *a = append_find(e, append);
	if (!a)
		return;
	a->gone = true;
	append_over(a, ERR_OK);
}

/* --- the end of a turn --- */

static void append_free(struct upload_append *a)
{
	struct engine *e = a->engine;
	struct take *t = a->take;
	conn_drop(a);
	if (a->checked)
		checked_drop(a->checked);
	list_remove(&a->link);
	list_remove(&a->due);
	e->uploads.slots[a->id % LIMIT_UPLOADS_AT_ONCE] = NULL;
	if (t && a->begun)
		upload_touch(e, t);
	if (t)
		take_unpin(e, t);
	free(a);
}

/* Its bytes are wanted now. */
static void begin_tell(struct upload_append *a)
{
	struct engine_upload upload;
	if (!a->begun || a->begun_told || a->over)
		return;
	a->begun_told = true;
	if (a->ask.digest != DIGEST_NONE)
		a->checked = checked_new(a);
	upload_fill(a->engine, a->take, &upload);
	a->ask.begun(a->ask.arg, &upload);
	if (a->ended && !a->over && a->checked)
		checked_end(a->checked);
	else if (a->ended && !a->over)
		append_finish(a);
}

/* May its last word leave? What it says of the upload has to be durable. */
static bool settled(const struct upload_append *a)
{
	const struct engine *e = a->engine;
	if (a->gone || e->failed || !a->take)
		return true;
	if (a->over)
		return a->err != ERR_OK || journal_durable(e->journal) >= a->take->opened.sequence;
	return a->settling && (recording_attached(&a->take->rec) || upload_settled(e, a->take));
}

static void end_tell(struct upload_append *a)
{
	struct engine_upload upload;
	enum err err = a->engine->failed ? ERR_SHUTTING_DOWN : a->err;
	if (a->take)
		upload_fill(a->engine, a->take, &upload);
	if (!a->gone)
		a->ask.done(a->ask.arg, err, a->take ? &upload : NULL);
	append_free(a);
}

void appends_turn(struct engine *e)
{
	struct list ready;
	list_init(&ready);
	list_move(&ready, &e->uploads.due);
	struct list *link;
	while ((link = list_pop(&ready))) {
		struct upload_append *a = list_entry(link, struct upload_append, due);
		begin_tell(a);
		if (!a->over && !a->settling)
			continue;
		if (settled(a))
			end_tell(a);
		else /* asked again as soon as more is durable: that is a turn, too */
			list_push(&e->uploads.due, &a->due);
	}
}

void appends_release(struct engine *e)
{
	while (!list_empty(&e->uploads.appends)) {
		struct upload_append *a = list_entry(e->uploads.appends.next, struct upload_append, link);
		if (!a->gone)
			a->ask.done(a->ask.arg, ERR_SHUTTING_DOWN, NULL);
		append_free(a);
	}
	free(e->uploads.slots);
	e->uploads.slots = NULL;
}

void appends_stop(struct engine *e)
{
	for (struct list *at = e->uploads.appends.next; at != &e->uploads.appends; at = at->next)
		append_over(list_entry(at, struct upload_append, link), ERR_SHUTTING_DOWN);
}
