/* A show's versions begin and end: the show machine's word to storage, and storage's answers. See shows.h. */
#include "engine/shows.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text)
{
	return text ? must(strdup(text)) : NULL;
}

/* --- a new version --- */

struct begin_op {
	struct catalog_op op;
	struct air *air;
	struct recording_info info, row;
	bool inserted;
};

static enum err begin_run(struct catalog *c, struct catalog_op *op)
{
	struct begin_op *o = (struct begin_op *)op;
	recording_info_release(&o->row);
	return c->ops->start(c, &o->info, &o->inserted, &o->row);
}

static void begin_failed(struct engine *e, struct air *air, enum err err)
{
	show_begin_failed(&air->show, err, e->now.mono_ms, &air->fx);
	air_due(e, air);
}

static void begin_done(struct engine *e, struct catalog_op *op)
{
	struct begin_op *o = (struct begin_op *)op;
	struct air *air = o->air;
	air->pins--;
	if (op->err || !o->inserted) {
		begin_failed(e, air, op->err ? op->err : ERR_EXISTS);
	} else {
		struct uuid id = o->row.id;
		struct take *t = take_adopt(e, &o->row);
		take_pin(t);
		t->rec.on_air = true;
		recording_listen(&t->rec, e->now.mono_ms, &e->fx);
		follow_change(e, t);
		effects_add(&e->fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = EFFECT_NO_TRACK });
		effects_run(e, t);
		show_begun(&air->show, &id, e->now.mono_ms, &air->fx);
		air_due(e, air);
		take_unpin(e, t);
	}
	recording_info_release(&o->info);
	recording_info_release(&o->row);
	free(o);
}

static void begin_new(struct engine *e, struct air *air, const struct show_effect *fx)
{
	if (space_refuses_new(e)) {
		begin_failed(e, air, ERR_STORAGE_FULL);
		return;
	}
	air_called(e, air);
	struct begin_op *o = must(calloc(1, sizeof *o));
	o->op.run = begin_run;
	o->op.done = begin_done;
	o->air = air;
	o->info = (struct recording_info){
		.id = engine_new_id(e),
		.principal = copy_text(air->show.principal),
		.session_id = copy_text(fx->named ? air->show.session : NULL),
		.name = copy_text(air->name),
		.mime = copy_text(air->mime),
		.ext = copy_text(air->ext),
		.ts = air->ts,
		.created_ms = engine_wall(e),
		.updated_ms = engine_wall(e),
		.phase = PHASE_UPLOADING,
		.show = copy_text(air->show.name),
		.version = fx->version,
		.first = fx->first,
	};
	air->pins++;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* --- the last version again: its late resume --- */

struct again {
	struct waiter waiter;
	struct air *air;
	bool asked;
};

static void again_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct again *a = (struct again *)w;
	struct air *air = a->air;
	bool open = !err && t->rec.busy == BUSY_NONE && t->rec.info.phase == PHASE_UPLOADING;
	bool may = !err && !open && (!a->asked || t->rec.busy != BUSY_NONE);
	if (may && recording_resume_late(&t->rec, engine_wall(e), &e->fx) == ANSWER_WAIT) {
		a->asked = true;
		t->rec.on_air = true;
		take_wait(t, w);
		effects_run(e, t);
		return;
	}
	air->pins--;
	if (open) {
		struct uuid id = t->rec.info.id;
		t->rec.on_air = true;
		show_begun(&air->show, &id, e->now.mono_ms, &air->fx);
		air_due(e, air);
	} else {
		if (!err)
			t->rec.on_air = false;
		begin_failed(e, air, err ? err : ERR_SEALED);
	}
	free(a);
}

/* Of a row that the show machine named: nobody's grant is asked. */
static void take_by_row(struct engine *e, const struct uuid *id, struct waiter *w)
{
	char text[UUID_TEXT];
	uuid_format(id, text);
	take_want(e, (struct engine_ref){ text, grant_local() }, w);
}

void air_begin(struct engine *e, struct air *air, const struct show_effect *fx)
{
	if (!fx->again) {
		begin_new(e, air, fx);
		return;
	}
	struct again *a = must(calloc(1, sizeof *a));
	a->waiter.go = again_go;
	a->air = air;
	air->pins++;
	take_by_row(e, &fx->id, &a->waiter);
}

/* --- the end of a version --- */

struct ending {
	struct waiter waiter;
	struct air *air;
	uint32_t version;
	enum show_why why;
	enum err err;
	bool acted; /* what ends it was said to its machine */
};

/* What ends it; WAIT: it can't be told now. */
static enum recording_answer ending_act(struct engine *e, struct ending *x, struct recording *r)
{
	struct completion said = { NULL, 0, engine_wall(e) };
	enum err err;
	if (x->why == SHOW_WHY_FAILED) {
		recording_poison(r, x->err, &e->fx);
		return ANSWER_DONE;
	}
	/* without a byte there is nothing to publish */
	if (x->why != SHOW_WHY_STOP || r->info.track_count == 0 || r->tracks[0].accepted == 0)
		return recording_lapse(r, &e->fx);
	return recording_complete(r, &said, &err, &e->fx) == COMPLETE_WAIT ? ANSWER_WAIT : ANSWER_DONE;
}

static void ending_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct ending *x = (struct ending *)w;
	struct air *air = x->air;
	if (!err && !x->acted && t->rec.info.phase == PHASE_UPLOADING) {
		x->acted = ending_act(e, x, &t->rec) == ANSWER_DONE;
		take_wait(t, w); /* its end is an EFFECT_IDLE, or the transaction of its failure */
		effects_run(e, t);
		return;
	}
	bool open = !err && (t->rec.busy != BUSY_NONE || t->rec.info.phase == PHASE_UPLOADING || t->failing);
	if (open) {
		take_wait(t, w);
		return;
	}
	air->pins--;
	if (!err)
		t->rec.on_air = false; /* opened again by itself it waits for its client as any recording does */
	show_finalised(&air->show, x->version, e->now.mono_ms, &air->fx);
	air_due(e, air);
	free(x);
}

static struct ending *ending_new(struct air *air, uint32_t version, enum show_why why)
{
	struct ending *x = must(calloc(1, sizeof *x));
	x->waiter.go = ending_go;
	x->air = air;
	x->version = version;
	x->why = why;
	air->pins++;
	return x;
}

void air_finalise(struct engine *e, struct air *air, const struct show_effect *fx)
{
	struct ending *x = ending_new(air, fx->version, fx->why);
	x->err = fx->err;
	take_by_row(e, &fx->id, &x->waiter);
}

void air_await(struct engine *e, struct air *air, struct take *t)
{
	struct ending *x = ending_new(air, t->rec.info.version, SHOW_WHY_ELSEWHERE);
	(void)e;
	x->acted = true;
	take_wait(t, &x->waiter);
	if (t->rec.busy == BUSY_NONE && t->rec.info.phase != PHASE_UPLOADING && !t->failing)
		take_wake(e, t, ERR_OK); /* it has ended already, in one step */
}

/* --- off air, after a failure --- */

struct mark_op {
	struct catalog_op op;
	struct air *air;
	uint32_t version; /* a later one may have failed before this is written */
};

static enum err mark_run(struct catalog *c, struct catalog_op *op)
{
	struct mark_op *o = (struct mark_op *)op;
	struct catalog_show counts;
	enum err err = c->ops->show_get(c, o->air->show.name, &counts);
	if (err || counts.failed != o->version)
		return err;
	return c->ops->show_failed(c, o->air->show.name, 0, 0);
}

static void mark_done(struct engine *e, struct catalog_op *op)
{
	struct mark_op *o = (struct mark_op *)op;
	if (op->err && !e->failed) {
		catalog_again(e, op);
		return;
	}
	o->air->pins--;
	air_due(e, o->air);
	free(o);
}

void air_mark_off(struct engine *e, struct air *air)
{
	struct mark_op *o = must(calloc(1, sizeof *o));
	o->op.run = mark_run;
	o->op.done = mark_done;
	o->air = air;
	o->version = air->show.version;
	air->pins++;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}
