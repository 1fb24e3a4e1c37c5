/* How an upload begins: by itself, as a final one of whole parts, or by filling a batch's item. Its row is durable
 * before anybody is told of it. */
#include "engine/uploads.h"

#include <stdlib.h>
#include <string.h>

struct create_op {
	struct catalog_op op;
	struct waiter waiter; /* for the item, or the next of the parts */
	struct engine *engine;
	struct grant grant;
	struct recording_info info, row; /* what is wanted; what there is */
	const char *next_part;		 /* in info.upload.parts: the first that was not looked at */
	char *item;			 /* owned: the id of the batch's item that it fills, or NULL */
	bool inserted;
	bool charged; /* a token was taken for it */
	engine_upload_fn *done;
	void *arg;
};

static void create_free(struct create_op *o)
{
	recording_info_release(&o->info);
	recording_info_release(&o->row);
	free(o->item);
	free(o);
}

static void create_fail(struct create_op *o, enum err err)
{
	o->done(o->arg, err, NULL);
	create_free(o);
}

static void create_answer(struct engine *e, struct create_op *o, struct take *t)
{
	struct engine_upload upload;
	upload_fill(e, t, &upload);
	if (upload.kind == UPLOAD_FINAL && !upload.complete) /* its client takes it for whole when it is told of it */
		upload_whole_tell(e, t, &o->grant, o->done, o->arg);
	else
		o->done(o->arg, ERR_OK, &upload);
	create_free(o);
}

static enum err create_run(struct catalog *c, struct catalog_op *op)
{
	struct create_op *o = (struct create_op *)op;
	recording_info_release(&o->row);
	o->inserted = false;
	enum err err = ERR_NOT_FOUND;
	if (o->info.upload.kind == UPLOAD_FINAL) /* a lost answer is asked for again: not a second one */
		err = c->ops->find_final(c, o->info.principal, o->info.upload.parts, &o->row);
	return err == ERR_NOT_FOUND ? c->ops->start(c, &o->info, &o->inserted, &o->row) : err;
}

/* An upload without a byte is whole as soon as it is there. */
static void end_empty(struct engine *e, struct take *t)
{
	recording_end_upload(&t->rec, &e->fx);
	effects_run(e, t);
}

static void create_done(struct engine *e, struct catalog_op *op)
{
	struct create_op *o = (struct create_op *)op;
	if (o->charged && (op->err || !o->inserted))
		limit_give_back(e, &o->grant);
	if (op->err) {
		create_fail(o, op->err);
		return;
	}
	struct take *t = take_by_id(e, &o->row.id);
	if (!t) {
		struct recording_info row;
		must(recording_info_copy(&row, &o->row) ? NULL : o);
		t = take_adopt(e, &row);
	}
	take_pin(t);
	if (o->inserted) {
		t->touched_ms = e->now.mono_ms;
		t->manifest_on_disk = false;
		follow_change(e, t);
		effects_add(&e->fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = EFFECT_NO_TRACK });
		effects_run(e, t);
		if (t->rec.info.upload.kind == UPLOAD_FINAL)
			join_begin(e, t);
		end_empty(e, t);
	}
	create_answer(e, o, t);
	take_unpin(e, t);
}

static void create_submit(struct engine *e, struct create_op *o)
{
	if (space_refuses_new(e)) {
		create_fail(o, ERR_STORAGE_FULL);
		return;
	}
	struct engine_upload limited = { 0 };
	bool counts = o->info.upload.kind != UPLOAD_PARTIAL; /* what becomes a recording */
	if (counts && !limit_take(e, &o->grant, &limited.retry_ms)) {
		o->done(o->arg, ERR_RATE_LIMITED, &limited);
		create_free(o);
		return;
	}
	o->charged = counts;
	o->op.run = create_run;
	o->op.done = create_done;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* --- a final one: its parts are whole --- */

static void parts_next(struct engine *e, struct create_op *o);

static void part_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct create_op *o = list_entry(w, struct create_op, waiter);
	if (!err)
		err = upload_judge(e, t, &o->grant);
	if (!err && t->rec.info.upload.kind != UPLOAD_PARTIAL)
		err = ERR_NOT_FOUND;
	if (!err && (upload_durable(t) != t->rec.info.upload.length || recording_attached(&t->rec)))
		err = ERR_UPLOAD_INCOMPLETE;
	if (!err && o->info.upload.length + upload_durable(t) > LIMIT_UPLOAD_BYTES)
		err = ERR_MESSAGE_TOO_LARGE;
	if (err) {
		create_fail(o, err);
		return;
	}
	o->info.upload.length += upload_durable(t);
	parts_next(e, o);
}

static void parts_next(struct engine *e, struct create_op *o)
{
	char id[UUID_TEXT];
	if (*o->next_part == '\0') {
		create_submit(e, o);
		return;
	}
	size_t len = strcspn(o->next_part, " ");
	if (len != sizeof id - 1) {
		create_fail(o, ERR_NOT_FOUND);
		return;
	}
	memcpy(id, o->next_part, len);
	id[len] = '\0';
	o->next_part += len + (o->next_part[len] == ' ');
	take_want(e, (struct engine_ref){ id, &o->grant }, &o->waiter);
}

/* The same list as before: its parts may be gone, and nobody is to be told that. */
struct final_op {
	struct catalog_op op;
	struct create_op *create;
};

static enum err final_run(struct catalog *c, struct catalog_op *op)
{
	struct create_op *o = ((struct final_op *)op)->create;
	recording_info_release(&o->row);
	return c->ops->find_final(c, o->info.principal, o->info.upload.parts, &o->row);
}

static void final_done(struct engine *e, struct catalog_op *op)
{
	struct create_op *o = ((struct final_op *)op)->create;
	enum err err = op->err;
	free(op);
	if (err == ERR_NOT_FOUND) {
		o->waiter.go = part_go;
		o->next_part = o->info.upload.parts;
		parts_next(e, o);
		return;
	}
	o->op.err = err;
	create_done(e, &o->op);
}

static void final_look(struct engine *e, struct create_op *o)
{
	struct final_op *f = must(calloc(1, sizeof *f));
	f->op.run = final_run;
	f->op.done = final_done;
	f->create = o;
	catalog_submit(e, &f->op);
	catalog_pump(e);
}

/* --- a batch's item gets its file --- */

static void take_text(char **to, const char *from)
{
	if (from && !*to)
		*to = must(strdup(from));
}

static enum err item_put_run(struct catalog *c, struct catalog_op *op)
{
	return c->ops->put_upload(c, &((struct create_op *)op)->row);
}

static void item_put_done(struct engine *e, struct catalog_op *op)
{
	struct create_op *o = (struct create_op *)op;
	struct take *t = take_by_id(e, &o->row.id);
	if (op->err) {
		create_fail(o, op->err);
	} else {
		end_empty(e, t);
		create_answer(e, o, t);
	}
	take_unpin(e, t); /* item_fill has kept it there */
}

static void item_fill(struct engine *e, struct create_op *o, struct take *t)
{
	struct recording_info *info = &t->rec.info;
	take_text(&info->name, o->info.name);
	take_text(&info->mime, o->info.mime);
	take_text(&info->ext, o->info.ext);
	free(info->upload.metadata);
	info->upload.metadata = o->info.upload.metadata;
	o->info.upload.metadata = NULL;
	if (info->upload.length == BYTES_UNKNOWN)
		info->upload.length = o->info.upload.length;
	info->updated_ms = engine_wall(e);
	t->touched_ms = e->now.mono_ms;
	effects_add(&e->fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = EFFECT_NO_TRACK });
	effects_run(e, t);
	follow_look(e, t);
	must(recording_info_copy(&o->row, info) ? NULL : o);
	take_pin(t);
	o->op.run = item_put_run;
	o->op.done = item_put_done;
	o->op.take = t;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

static void item_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct create_op *o = list_entry(w, struct create_op, waiter);
	const struct upload_info *upload = t ? &t->rec.info.upload : NULL;
	if (!err)
		err = upload_judge(e, t, &o->grant);
	if (!err && upload->kind != UPLOAD_WHOLE)
		err = ERR_NOT_FOUND;
	bool said = !err && o->info.upload.length != BYTES_UNKNOWN && upload->length != BYTES_UNKNOWN;
	if (!err && said && o->info.upload.length != upload->length)
		err = ERR_LENGTH_MISMATCH;
	if (err)
		create_fail(o, err);
	else if (t->rec.info.phase != PHASE_UPLOADING || t->rec.busy != BUSY_NONE)
		create_answer(e, o, t); /* its bytes are all here: a client that comes again finds that */
	else
		item_fill(e, o, t);
}

/* --- */

static char *copy_text(const char *text)
{
	return text ? must(strdup(text)) : NULL;
}

static void info_make(struct engine *e, const struct engine_upload_new *upload, struct recording_info *info)
{
	info->id = engine_new_id(e);
	info->principal = copy_text(upload->grant->subject);
	info->name = copy_text(upload->name);
	info->mime = copy_text(upload->mime);
	info->ext = copy_text(upload->ext);
	info->created_ms = info->updated_ms = engine_wall(e);
	info->phase = PHASE_UPLOADING;
	info->upload.kind = upload->parts ? UPLOAD_FINAL : upload->partial ? UPLOAD_PARTIAL : UPLOAD_WHOLE;
	info->upload.length = upload->parts ? 0 : upload->length;
	info->upload.metadata = copy_text(upload->metadata);
	info->upload.parts = copy_text(upload->parts);
	info->upload.concat = copy_text(upload->concat);
	must(recording_info_add_track(info, "main"));
}

static enum err create_judge(const struct engine *e, const struct engine_upload_new *upload)
{
	const struct grant *g = upload->grant;
	if (!(g->scopes & (SCOPE_RECORD | SCOPE_IMPORT | SCOPE_ADMIN)) || (g->has_resource && !upload->item))
		return ERR_FORBIDDEN_SCOPE;
	if (e->stopping || e->failed)
		return ERR_SHUTTING_DOWN;
	if (upload->length != BYTES_UNKNOWN && !upload->parts && upload->length > LIMIT_UPLOAD_BYTES)
		return ERR_MESSAGE_TOO_LARGE;
	if (upload->length != BYTES_UNKNOWN && !upload->parts && upload->length > g->max_bytes)
		return ERR_QUOTA_EXCEEDED;
	return ERR_OK;
}

void engine_upload_create(struct engine *e, const struct engine_upload_new *upload, engine_upload_fn *done, void *arg)
{
	enum err err = create_judge(e, upload);
	if (err) {
		done(arg, err, NULL);
		return;
	}
	struct create_op *o = must(calloc(1, sizeof *o));
	o->engine = e;
	o->grant = *upload->grant;
	o->item = copy_text(upload->item);
	o->done = done;
	o->arg = arg;
	info_make(e, upload, &o->info);
	if (o->item) {
		o->waiter.go = item_go;
		take_want(e, (struct engine_ref){ o->item, &o->grant }, &o->waiter);
	} else if (upload->parts) {
		final_look(e, o);
	} else {
		create_submit(e, o);
	}
}
