/* Uploads: who may send to one, how it stands, and what the rest of the engine asks of them. See uploads.h. */
#include "engine/uploads.h"

#include <stdlib.h>
#include <string.h>

uint64_t upload_accepted(const struct take *t)
{
	return t->rec.info.track_count > 0 ? t->rec.tracks[0].accepted : 0;
}

uint64_t upload_durable(const struct take *t)
{
	return t->rec.info.track_count > 0 ? t->rec.tracks[0].durable : 0;
}

bool upload_settled(const struct engine *e, const struct take *t)
{
	return upload_durable(t) == upload_accepted(t) && journal_durable(e->journal) >= t->opened.sequence &&
	       t->rec.busy != BUSY_REOPENING;
}

static int64_t expires_ms(const struct engine *e, const struct recording_info *info)
{
	return info->updated_ms + (int64_t)e->config.upload_expires_ms;
}

/* By the wall clock, which alone knows how long the server was away; but a clock that was set forward ends nothing that
 * somebody was just at, nor all there is when the server starts. */
static bool time_over(const struct engine *e, const struct take *t)
{
	uint64_t least =
		e->config.upload_expires_ms < LIMIT_UPLOAD_IDLE_MS ? e->config.upload_expires_ms : LIMIT_UPLOAD_IDLE_MS;
	uint64_t since = t->touched_ms > e->uploads.listening_ms ? t->touched_ms : e->uploads.listening_ms;
	return expires_ms(e, &t->rec.info) <= engine_wall(e) && e->now.mono_ms - since >= least;
}

bool upload_expired(const struct engine *e, const struct take *t)
{
	return t->rec.info.phase == PHASE_UPLOADING && recording_at_rest(&t->rec) && !recording_attached(&t->rec) &&
	       !recording_upload_whole(&t->rec) && t->rec.info.upload.kind != UPLOAD_FINAL && time_over(e, t);
}

enum err upload_judge(const struct engine *e, const struct take *t, const struct grant *g)
{
	if (!(g->scopes & (SCOPE_RECORD | SCOPE_IMPORT | SCOPE_ADMIN)))
		return ERR_FORBIDDEN_SCOPE;
	bool own = strcmp(t->rec.info.principal, g->subject) == 0;
	bool bound = g->has_resource && !uuid_equal(&g->resource, &t->rec.info.id);
	if (t->rec.info.upload.kind == UPLOAD_NONE || bound || (!own && !(g->scopes & SCOPE_ADMIN)))
		return ERR_NOT_FOUND;
	return t->rec.info.phase == PHASE_DELETED || t->deletion || upload_expired(e, t) ? ERR_DELETED : ERR_OK;
}

void upload_fill(const struct engine *e, const struct take *t, struct engine_upload *out)
{
	const struct recording_info *info = &t->rec.info;
	bool partial = info->upload.kind == UPLOAD_PARTIAL;
	*out = (struct engine_upload){
		.id = info->id,
		.kind = info->upload.kind,
		.phase = info->phase,
		.offset = upload_durable(t),
		.length = info->upload.length,
		.metadata = info->upload.metadata,
		.parts = info->upload.parts,
		.concat = info->upload.concat,
	};
	bool sealed = info->phase >= PHASE_QUEUED && info->phase <= PHASE_ERROR && recording_whole(&t->rec);
	out->complete = partial ? out->offset == out->length : sealed;
	if (out->complete && !partial && out->length == BYTES_UNKNOWN)
		out->length = out->offset; /* ended by a connection that said how much it is */
	if (info->phase == PHASE_UPLOADING && info->upload.kind != UPLOAD_FINAL)
		out->expires_ms = expires_ms(e, info);
}

void upload_open(struct engine *e, struct take *t)
{
	if (t->opened.sequence == 0)
		effects_add(&e->fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = EFFECT_NO_TRACK });
}

void upload_length_set(struct engine *e, struct take *t, uint64_t length)
{
	t->rec.info.upload.length = length;
	effects_add(&e->fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = EFFECT_NO_TRACK });
	effects_run(e, t);
}

/* --- its row --- */

struct touch_op {
	struct catalog_op op;
	struct recording_info info;
};

static enum err touch_run(struct catalog *c, struct catalog_op *op)
{
	enum err err = c->ops->put_upload(c, &((struct touch_op *)op)->info);
	return err == ERR_NOT_FOUND ? ERR_OK : err; /* it is whole meanwhile */
}

static void touch_done(struct engine *e, struct catalog_op *op)
{
	struct touch_op *o = (struct touch_op *)op;
	if (op->err == ERR_STORAGE_FULL && !e->failed) {
		catalog_again(e, op);
		return;
	}
	recording_info_release(&o->info);
	free(o);
}

void upload_touch(struct engine *e, struct take *t)
{
	if (t->rec.info.phase != PHASE_UPLOADING || e->failed)
		return;
	struct touch_op *o = must(calloc(1, sizeof *o));
	t->rec.info.updated_ms = engine_wall(e);
	t->touched_ms = e->now.mono_ms;
	o->op.run = touch_run;
	o->op.done = touch_done;
	o->op.take = t;
	must(recording_info_copy(&o->info, &t->rec.info) ? NULL : o);
	catalog_submit(e, &o->op); /* one that waits for space holds no stop up */
	follow_look(e, t);
}

/* --- how it stands --- */

struct upload_look {
	struct waiter waiter;
	struct list link; /* engine.uploads.looks */
	struct grant grant;
	struct take *take;  /* pinned while in the list */
	uint64_t until;	    /* so much has to be durable; who goes on meanwhile is not waited for */
	uint64_t whole_ms;  /* a final one is waited for until then … */
	struct timer timer; /* … and this wakes for it */
	engine_upload_fn *done;
	void *arg;
};

static void look_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct upload_look *l = (struct upload_look *)w;
	if (!err)
		err = upload_judge(e, t, &l->grant);
	if (err) {
		struct engine_upload upload;
		bool known = err == ERR_DELETED && t;
		if (known)
			upload_fill(e, t, &upload);
		l->done(l->arg, err, known ? &upload : NULL);
		free(l);
		return;
	}
	if (t->rec.info.upload.kind != UPLOAD_FINAL)
		recording_detach_all(&t->rec, ERR_TAKEN_OVER, e->now.mono_ms, &e->fx);
	take_pin(t);
	l->take = t;
	l->until = upload_accepted(t);
	list_push(&e->uploads.looks, &l->link);
	e->uploads.wanted = true;
	effects_run(e, t);
}

void upload_whole_tell(struct engine *e, struct take *t, const struct grant *g, engine_upload_fn *done, void *arg)
{
	struct upload_look *l = must(calloc(1, sizeof *l));
	l->grant = *g;
	l->done = done;
	l->arg = arg;
	l->whole_ms = e->now.mono_ms + LIMIT_UPLOAD_JOIN_WAIT_MS;
	l->timer.kind = TIMER_FOLLOW; /* the turn that comes with it is what is wanted */
	timer_set(&e->timers, &l->timer, l->whole_ms);
	take_pin(t);
	l->take = t;
	list_push(&e->uploads.looks, &l->link);
	e->uploads.wanted = true;
}

void engine_upload_look(struct engine *e, struct engine_ref ref, engine_upload_fn *done, void *arg)
{
	struct upload_look *l = must(calloc(1, sizeof *l));
	l->waiter.go = look_go;
	l->grant = *ref.grant;
	l->done = done;
	l->arg = arg;
	list_init(&l->link);
	take_want(e, ref, &l->waiter);
}

/* Is what is to be told not there yet? */
static bool look_waits(const struct engine *e, const struct upload_look *l)
{
	const struct take *t = l->take;
	if (e->failed || t->rec.info.phase != PHASE_UPLOADING)
		return false;
	if (t->rec.info.upload.kind == UPLOAD_FINAL)
		return e->now.mono_ms < l->whole_ms && !e->stopping && !t->deletion;
	return upload_durable(t) < l->until || journal_durable(e->journal) < t->opened.sequence;
}

static void looks_turn(struct engine *e)
{
	struct list ready;
	list_init(&ready);
	list_move(&ready, &e->uploads.looks);
	struct list *link;
	while ((link = list_pop(&ready))) {
		struct upload_look *l = list_entry(link, struct upload_look, link);
		struct take *t = l->take;
		if (look_waits(e, l)) {
			list_push(&e->uploads.looks, &l->link);
			continue;
		}
		struct engine_upload upload;
		upload_fill(e, t, &upload);
		enum err err = e->failed ? ERR_SHUTTING_DOWN : upload_judge(e, t, &l->grant);
		timer_set(&e->timers, &l->timer, UINT64_MAX);
		l->done(l->arg, err, err ? NULL : &upload);
		take_unpin(e, t);
		free(l);
	}
}

/* --- for engine.c --- */

void uploads_init(struct engine *e)
{
	struct uploads *u = &e->uploads;
	list_init(&u->appends);
	list_init(&u->due);
	list_init(&u->looks);
	list_init(&u->joins);
	u->timer.kind = TIMER_UPLOADS;
}

/* Final ones that a crash or a stop interrupted are made on. */
void uploads_listening(struct engine *e)
{
	e->uploads.listening_ms = e->now.mono_ms;
	for (struct list *at = e->takes.next; at != &e->takes; at = at->next) {
		struct take *t = list_entry(at, struct take, link);
		if (!t->loading && t->rec.info.upload.kind == UPLOAD_FINAL && t->rec.info.phase == PHASE_UPLOADING &&
		    recording_at_rest(&t->rec) && !recording_upload_whole(&t->rec))
			join_begin(e, t);
	}
	uploads_sweep_later(e);
}

void uploads_turn(struct engine *e)
{
	e->uploads.wanted = false;
	appends_turn(e);
	looks_turn(e);
	joins_turn(e);
}

void uploads_stop(struct engine *e)
{
	timer_set(&e->timers, &e->uploads.timer, UINT64_MAX);
	appends_stop(e);
}

bool uploads_idle(const struct engine *e)
{
	const struct uploads *u = &e->uploads;
	return list_empty(&u->due) && list_empty(&u->looks) && list_empty(&u->joins) && !u->looking && u->at_work == 0;
}

void uploads_release(struct engine *e)
{
	appends_release(e);
	joins_release(e);
	struct list *link;
	while ((link = list_pop(&e->uploads.looks))) {
		struct upload_look *l = list_entry(link, struct upload_look, link);
		timer_set(&e->timers, &l->timer, UINT64_MAX);
		l->done(l->arg, ERR_SHUTTING_DOWN, NULL);
		l->take->pins--;
		free(l);
	}
}

static enum err note_aside(void *arg, const char *name)
{
	struct vfs *vfs = arg;
	char path[64];
	snprintf(path, sizeof path, "aside/%s", name);
	enum err err = vfs_unlink(vfs, path);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err uploads_recover(struct engine *e)
{
	enum err err = vfs_list(e->config.vfs, "aside", note_aside, e->config.vfs);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}
