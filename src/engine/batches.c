/* Batches over HTTP: made, asked for, listed. What they hold is counted in the catalog, see catalog_batches.c. */
#include "engine/internal.h"
#include "proto/problem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void batches_init(struct engine *e)
{
	e->batches.watches = must(calloc(BATCH_BUCKETS, sizeof(struct batch_watch *)));
	list_init(&e->batches.due);
	e->limits.table = must(calloc(LIMIT_BUCKET_TABLE, sizeof(struct limit *)));
	list_init(&e->limits.recent);
}

void batches_release(struct engine *e)
{
	limits_release(e);
	free(e->limits.table);
	free(e->batches.watches);
}

/* --- the object --- */

static json_t *errors_json(const struct batch_info *batch)
{
	json_t *errors = must(json_array());
	for (unsigned i = 0; i < batch->error_count; i++)
		json_array_append_new(errors, json_pack("{s:s, s:I}", "code", err_code(batch->errors[i].code), "count",
							(json_int_t)batch->errors[i].count));
	return errors;
}

static json_t *time_or_null(int64_t ms)
{
	return ms ? json_integer(ms) : json_null();
}

void batch_json(struct buf *out, const struct batch_info *batch)
{
	json_t *counts = must(json_object());
	for (int i = 0; i < PHASE_COUNT; i++)
		json_object_set_new(counts, phase_name((enum phase)i), json_integer((json_int_t)batch->counts[i]));
	json_t *total = batch->total == BYTES_UNKNOWN ? json_null() : json_integer((json_int_t)batch->total);
	json_t *object = json_pack(
		"{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:b, s:o, s:o, s:s, s:I, s:I}", "id", batch->id, "name",
		batch->name ? json_string(batch->name) : json_null(), "total", total, "counts", counts, "items",
		(json_int_t)batch_info_items(batch), "ended", (json_int_t)batch_info_ended(batch), "failed",
		(json_int_t)batch_info_failed(batch), "complete", (int)(batch->completed_ms != 0), "completedAt",
		time_or_null(batch->completed_ms), "errors", errors_json(batch), "owner", batch->principal, "createdAt",
		(json_int_t)batch->created_ms, "updatedAt", (json_int_t)batch->updated_ms);
	json_format(out, must(object));
	json_decref(object);
	must(out->failed ? NULL : out);
}

enum err batch_find(struct catalog *c, const struct grant *grant, bool all, const char *id, struct batch_info *out)
{
	enum err err = c->ops->batch_get(c, grant->subject, id, out);
	return err == ERR_NOT_FOUND && all ? c->ops->batch_get(c, NULL, id, out) : err;
}

/* --- the questions --- */

struct batch_op {
	struct catalog_op op; /* first */
	struct grant grant;
	char *id, *name;
	uint64_t total;
	int64_t before, now_ms;
	struct batch_info row;
	bool created;
	struct buf items; /* of a list */
	unsigned count;
	int64_t last;
	engine_batch_fn *made;
	engine_json_fn *done;
	void *arg;
};

static struct batch_op *op_new(struct engine *e, const struct grant *grant,
			       enum err (*run)(struct catalog *c, struct catalog_op *op),
			       void (*done)(struct engine *e, struct catalog_op *op))
{
	struct batch_op *o = must(calloc(1, sizeof *o));
	o->op.run = run;
	o->op.done = done;
	o->grant = *grant;
	o->now_ms = engine_wall(e);
	buf_init(&o->items);
	return o;
}

static void op_submit(struct engine *e, struct batch_op *o)
{
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

static void op_free(struct batch_op *o)
{
	batch_info_release(&o->row);
	buf_release(&o->items);
	free(o->id);
	free(o->name);
	free(o);
}

/* A token for one recording is for no batch. */
static bool may(const struct grant *g, unsigned scopes)
{
	return g->scopes & scopes && !g->has_resource;
}

static enum err create_run(struct catalog *c, struct catalog_op *op)
{
	struct batch_op *o = (struct batch_op *)op;
	struct batch_info batch = {
		.principal = o->grant.subject, .id = o->id, .name = o->name, .total = o->total, .created_ms = o->now_ms
	};
	batch_info_release(&o->row);
	return c->ops->batch_create(c, &batch, &o->created, &o->row);
}

/* The same question has the same answer, so that a lost one can be asked for again. */
static bool same_batch(const struct batch_op *o)
{
	bool same_name = o->name && o->row.name ? strcmp(o->name, o->row.name) == 0 : o->name == o->row.name;
	return same_name && o->total == o->row.total;
}

static void create_done(struct engine *e, struct catalog_op *op)
{
	struct batch_op *o = (struct batch_op *)op;
	struct buf body;
	buf_init(&body);
	enum err err = op->err;
	if (!err && !o->created && !same_batch(o)) {
		err = ERR_EXISTS;
		problem_format(&body, err, "There is a batch of this id, with another total or name.", NULL);
	} else if (!err) {
		batch_json(&body, &o->row);
		batches_said(e, &o->row);
	}
	o->made(o->arg, err, o->created, body.len > 0 ? body.data : NULL, body.len);
	buf_release(&body);
	op_free(o);
}

void engine_batch_create(struct engine *e, const struct engine_batch_new *batch, engine_batch_fn *done, void *arg)
{
	enum err err = may(batch->grant, SCOPE_RECORD | SCOPE_IMPORT | SCOPE_ADMIN) ? ERR_OK : ERR_FORBIDDEN_SCOPE;
	if (!err && e->stopping)
		err = ERR_SHUTTING_DOWN;
	if (!err && space_refuses_new(e))
		err = ERR_STORAGE_FULL;
	if (err) {
		done(arg, err, false, NULL, 0);
		return;
	}
	struct batch_op *o = op_new(e, batch->grant, create_run, create_done);
	o->id = must(strdup(batch->id));
	o->name = batch->name ? must(strdup(batch->name)) : NULL;
	o->total = batch->total;
	o->made = done;
	o->arg = arg;
	op_submit(e, o);
}

static enum err get_run(struct catalog *c, struct catalog_op *op)
{
	struct batch_op *o = (struct batch_op *)op;
	batch_info_release(&o->row);
	return batch_find(c, &o->grant, o->grant.scopes & SCOPE_ADMIN, o->id, &o->row);
}

static void get_done(struct engine *e, struct catalog_op *op)
{
	struct batch_op *o = (struct batch_op *)op;
	struct buf body;
	(void)e;
	buf_init(&body);
	if (!op->err)
		batch_json(&body, &o->row);
	o->done(o->arg, op->err, op->err ? NULL : body.data, body.len);
	buf_release(&body);
	op_free(o);
}

void engine_batch_get(struct engine *e, const char *id, const struct grant *grant, engine_json_fn *done, void *arg)
{
	if (!may(grant, SCOPE_RECORD | SCOPE_IMPORT | SCOPE_ADMIN)) {
		done(arg, ERR_FORBIDDEN_SCOPE, NULL, 0);
		return;
	}
	struct batch_op *o = op_new(e, grant, get_run, get_done);
	o->id = must(strdup(id));
	o->done = done;
	o->arg = arg;
	op_submit(e, o);
}

static enum err list_row(void *arg, const struct batch_info *batch)
{
	struct batch_op *o = arg;
	if (o->count++ > 0)
		buf_add_text(&o->items, ",");
	batch_json(&o->items, batch);
	o->last = batch->seq;
	return ERR_OK;
}

static enum err list_run(struct catalog *c, struct catalog_op *op)
{
	struct batch_op *o = (struct batch_op *)op;
	buf_release(&o->items);
	buf_init(&o->items);
	o->count = 0;
	const char *principal = o->grant.scopes & SCOPE_ADMIN ? NULL : o->grant.subject;
	return c->ops->batch_list(c, principal, o->before, LIMIT_LIST_ITEMS, list_row, o);
}

static void list_done(struct engine *e, struct catalog_op *op)
{
	struct batch_op *o = (struct batch_op *)op;
	struct buf body;
	(void)e;
	buf_init(&body);
	buf_add_text(&body, "{\"items\":[");
	if (o->items.len > 0)
		buf_add(&body, o->items.data, o->items.len);
	if (o->count == LIMIT_LIST_ITEMS)
		buf_addf(&body, "],\"next\":\"%" PRId64 "\"}", o->last);
	else
		buf_add_text(&body, "],\"next\":null}");
	must(body.failed ? NULL : body.data);
	o->done(o->arg, op->err, op->err ? NULL : body.data, body.len);
	buf_release(&body);
	op_free(o);
}

/* A cursor: a batch's number. */
static bool cursor_parse(const char *text, int64_t *out)
{
	char *end;
	size_t len = strlen(text);
	if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
		return false;
	*out = strtoll(text, &end, 10);
	return *end == '\0' && *out > 0;
}

void engine_batch_list(struct engine *e, const struct grant *grant, const char *before, engine_json_fn *done, void *arg)
{
	int64_t cursor = 0;
	bool bad = before && !cursor_parse(before, &cursor);
	if (bad || !may(grant, SCOPE_RECORD | SCOPE_IMPORT | SCOPE_ADMIN)) {
		done(arg, bad ? ERR_BAD_FIELD : ERR_FORBIDDEN_SCOPE, NULL, 0);
		return;
	}
	struct batch_op *o = op_new(e, grant, list_run, list_done);
	o->before = cursor;
	o->done = done;
	o->arg = arg;
	op_submit(e, o);
}
