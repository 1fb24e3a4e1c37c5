/* POST /api/recordings: a recording whose bytes are fetched. Its row, and its fetch job unless it waits to be asked
 * for, are one transaction; the answer leaves behind it. By a `ref` the same question has the same answer, so that a
 * lost reply can be asked for again. */
#include "engine/internal.h"
#include "proto/problem.h"
#include "work/fetcher.h"

#include <stdlib.h>
#include <string.h>

typedef void register_fn(void *arg, enum err err, bool created, const char *json, size_t len);

struct register_op {
	struct catalog_op op;
	struct grant grant;
	struct recording_info info, row; /* what is wanted; what there is */
	bool limited;			 /* its principal made too many new ones … */
	uint64_t retry_ms;		 /* … and may go on after this */
	bool refused;			 /* no space for new ones: only one that is there can be answered */
	bool inserted;
	register_fn *done;
	void *arg;
};

static enum err register_run(struct catalog *c, struct catalog_op *op)
{
	struct register_op *o = (struct register_op *)op;
	recording_info_release(&o->row);
	o->inserted = false;
	enum err err = o->info.ref ? c->ops->find_ref(c, o->info.ref, &o->row) : ERR_NOT_FOUND;
	return err == ERR_NOT_FOUND && !o->refused && !o->limited ? c->ops->start(c, &o->info, &o->inserted, &o->row)
								  : err;
}

static void answer_problem(struct register_op *o, enum err err, const char *detail, const struct uuid *id)
{
	struct buf body;
	char text[UUID_TEXT];
	json_t *extra = NULL;
	if (id) {
		uuid_format(id, text);
		extra = must(json_pack("{s:s}", "id", text));
	}
	buf_init(&body);
	problem_format(&body, err, detail, extra);
	must(body.failed ? NULL : body.data);
	o->done(o->arg, err, false, body.data, body.len);
	json_decref(extra);
	buf_release(&body);
}

static void answer_limited(struct register_op *o)
{
	struct buf body;
	json_t *extra = must(json_pack("{s:I}", "retryAfter", (json_int_t)((o->retry_ms + 999) / 1000)));
	buf_init(&body);
	problem_format(&body, ERR_RATE_LIMITED, NULL, extra);
	must(body.failed ? NULL : body.data);
	o->done(o->arg, ERR_RATE_LIMITED, false, body.data, body.len);
	json_decref(extra);
	buf_release(&body);
}

static void answer_recording(struct engine *e, struct register_op *o, const struct uuid *id)
{
	const struct take *t = take_by_id(e, id);
	bool live = t && !t->loading;
	struct buf body;
	buf_init(&body);
	recording_json(e, &body, live ? &t->rec.info : &o->row, live ? &t->rec : NULL, &o->grant);
	o->done(o->arg, ERR_OK, o->inserted, body.data, body.len);
	buf_release(&body);
}

/* One of this ref was there. Who may not see it hears only that the name is taken; who may, that it was deleted: it
 * does not come back by a question that is repeated. */
static void answer_known(struct engine *e, struct register_op *o)
{
	bool own = o->row.principal && strcmp(o->row.principal, o->grant.subject) == 0;
	bool visible = own || grant_judge(&o->grant, GRANT_READ, own, &o->row.id) == ERR_OK;
	bool same = o->row.source_url && strcmp(o->row.source_url, o->info.source_url) == 0;
	struct uuid id = o->row.id;
	if (visible && o->row.phase == PHASE_DELETED)
		answer_problem(o, ERR_DELETED, NULL, &id);
	else if (visible && same)
		answer_recording(e, o, &id);
	else
		answer_problem(o, ERR_EXISTS, "There is a recording of this ref already, from elsewhere.",
			       visible ? &id : NULL);
}

/* It is in the catalog: now the journal and its manifest, and who follows, hear of it as of any other. */
static void adopt(struct engine *e, struct register_op *o)
{
	struct uuid id = o->row.id;
	struct take *t = take_by_id(e, &id);
	if (!t) {
		struct recording_info row;
		must(recording_info_copy(&row, &o->row) ? NULL : o);
		t = take_adopt(e, &row);
	}
	take_pin(t);
	t->manifest_on_disk = false;
	if (e->listening)
		recording_listen(&t->rec, e->now.mono_ms, &e->fx);
	follow_change(e, t);
	effects_add(&e->fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = EFFECT_NO_TRACK });
	effects_run(e, t);
	answer_recording(e, o, &id);
	take_unpin(e, t);
	if (!o->info.on_demand)
		fetching_want(e, &id);
}

static void register_done(struct engine *e, struct catalog_op *op)
{
	struct register_op *o = (struct register_op *)op;
	if (!o->inserted && !o->limited)
		limit_give_back(e, &o->grant);
	if (op->err == ERR_NOT_FOUND && !o->refused)
		answer_limited(o);
	else if (op->err)
		answer_problem(o, op->err == ERR_NOT_FOUND ? ERR_STORAGE_FULL : op->err, NULL, NULL);
	else if (o->inserted)
		adopt(e, o);
	else
		answer_known(e, o);
	recording_info_release(&o->info);
	recording_info_release(&o->row);
	free(o);
}

static char *copy_text(const char *text)
{
	return text ? must(strdup(text)) : NULL;
}

static void info_make(struct engine *e, const struct engine_source *source, struct recording_info *info)
{
	info->id = engine_new_id(e);
	info->principal = copy_text(source->grant->subject);
	info->ref = copy_text(source->ref);
	info->name = copy_text(source->name);
	info->mime = copy_text(source->mime);
	info->ext = copy_text(source->ext);
	info->source_url = copy_text(source->url);
	info->on_demand = source->on_demand;
	info->created_ms = info->updated_ms = engine_wall(e);
	info->phase = PHASE_UPLOADING;
}

static enum err judge(struct engine *e, const struct engine_source *source, const char **why)
{
	*why = NULL;
	if (!(source->grant->scopes & (SCOPE_IMPORT | SCOPE_RECORD | SCOPE_ADMIN)) || source->grant->has_resource)
		return ERR_FORBIDDEN_SCOPE; /* a token for one recording makes none */
	if (!e->config.fetcher)
		return ERR_NOT_SUPPORTED;
	if (e->stopping)
		return ERR_SHUTTING_DOWN;
	return e->config.fetcher->ops->judge(e->config.fetcher, source->url, why);
}

void engine_register(struct engine *e, const struct engine_source *source, register_fn *done, void *arg)
{
	const char *why;
	struct register_op *o = must(calloc(1, sizeof *o));
	o->done = done;
	o->arg = arg;
	enum err err = judge(e, source, &why);
	if (err) {
		answer_problem(o, err, why, NULL);
		free(o);
		return;
	}
	o->op.run = register_run;
	o->op.done = register_done;
	o->grant = *source->grant;
	o->refused = space_refuses_new(e);
	o->limited = !limit_take(e, &o->grant, &o->retry_ms);
	info_make(e, source, &o->info);
	catalog_submit(e, &o->op);
	catalog_pump(e);
}
