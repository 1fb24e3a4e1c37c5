/* The HTTP questions: state, list, rename, delete, complete. Each answers its callback once. */
#include "base/log.h"
#include "core/job.h"
#include "engine/internal.h"
#include "proto/problem.h"

#include <stdlib.h>
#include <string.h>

struct request {
	struct waiter waiter;
	struct engine *engine;
	struct grant grant;
	bool by_session;
	char *text; /* a new name */
	engine_json_fn *done;
	void *arg;
	struct total *totals;
	size_t total_count;
	bool began; /* this very call started the completion */
};

static struct request *request_new(struct engine *e, struct engine_ref ref, engine_json_fn *done, void *arg,
				   void (*go)(struct engine *e, struct waiter *w, struct take *t, enum err err))
{
	struct request *r = must(calloc(1, sizeof *r));
	r->waiter.go = go;
	r->engine = e;
	r->grant = *ref.grant;
	r->by_session = ref_by_session(ref.text);
	r->done = done;
	r->arg = arg;
	return r;
}

static void request_free(struct request *r)
{
	for (size_t i = 0; i < r->total_count; i++) {
		free((char *)r->totals[i].track);
		free((struct sha256 *)r->totals[i].sha256);
	}
	free(r->totals);
	free(r->text);
	free(r);
}

static void answer(struct request *r, enum err err, const struct buf *body)
{
	r->done(r->arg, err, body ? body->data : NULL, body ? body->len : 0);
	request_free(r);
}

/* True when the take is there for this grant; answers otherwise. */
static bool visible(struct request *r, const struct take *t, enum err err, enum grant_use use)
{
	static const struct uuid none;
	if (!err)
		err = take_judge(t, &r->grant, use, r->by_session);
	else if (err == ERR_NOT_FOUND && grant_judge(&r->grant, use, false, &none) == ERR_FORBIDDEN_SCOPE)
		err = ERR_FORBIDDEN_SCOPE; /* whether there is one or not: it may not ask */
	if (err)
		answer(r, err, NULL);
	return !err;
}

static void answer_json(struct request *r, const struct take *t)
{
	struct buf body;
	buf_init(&body);
	recording_json(r->engine, &body, &t->rec.info, &t->rec, r->by_session ? NULL : &r->grant);
	answer(r, ERR_OK, &body);
	buf_release(&body);
}

static void get_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	(void)e;
	struct request *r = (struct request *)w;
	if (!visible(r, t, err, GRANT_READ))
		return;
	if (t->rec.info.phase == PHASE_DELETED)
		answer(r, ERR_DELETED, NULL);
	else if (t->rec.info.upload.kind == UPLOAD_PARTIAL)
		answer(r, ERR_NOT_FOUND, NULL); /* it is no recording */
	else
		answer_json(r, t);
}

void engine_get(struct engine *e, struct engine_ref ref, engine_json_fn *done, void *arg)
{
	take_want(e, ref, &request_new(e, ref, done, arg, get_go)->waiter);
}

/* --- complete --- */

static void answer_status(struct request *r, const char *status, enum phase phase)
{
	struct buf body;
	buf_init(&body);
	buf_addf(&body, "{\"status\":\"%s\",\"phase\":\"%s\"}", status, phase_name(phase));
	must(body.data);
	answer(r, ERR_OK, &body);
	buf_release(&body);
}

static json_t *missing_json(const struct request *r, const struct take *t)
{
	json_t *tracks = json_array();
	for (size_t i = 0; i < r->total_count; i++) {
		const struct track_info *track = recording_info_track(&t->rec.info, r->totals[i].track);
		uint64_t bytes = track ? track->bytes : 0;
		if (bytes != r->totals[i].bytes)
			json_array_append_new(tracks,
					      json_pack("{s:s, s:I, s:I}", "track", r->totals[i].track, "declared",
							(json_int_t)r->totals[i].bytes, "bytes", (json_int_t)bytes));
	}
	return tracks;
}

/* A refusal says in which phase it is, names for each total what is missing, and of a job that failed its own reason
 * and when it may be claimed again. */
static void answer_refused(struct request *r, const struct take *t, enum err err)
{
	const struct recording_info *info = &t->rec.info;
	bool failed = info->phase == PHASE_ERROR && err == info->error;
	int64_t closed_ms = failed ? job_closed_ms(&info->job, engine_wall(r->engine)) : 0;
	json_t *extra = json_pack("{s:s, s:i, s:i, s:o}", "phase", phase_name(info->phase), "attempt",
				  (int)info->job.attempt, "attempts", LIMIT_ATTEMPTS, "tracks", missing_json(r, t));
	if (failed && err_status(err) > 500) /* what failed is the job, whatever its reason means elsewhere */
		json_object_set_new(extra, "status", json_integer(500));
	if (closed_ms > 0)
		json_object_set_new(extra, "retryAfter", json_integer((closed_ms + 999) / 1000));
	else if (err == ERR_BUSY)
		json_object_set_new(extra, "retryAfter", json_integer(LIMIT_NOT_YET_S));
	struct buf body;
	buf_init(&body);
	problem_format(&body, err, failed ? info->error_message : NULL, extra);
	json_decref(extra);
	answer(r, err, &body);
	buf_release(&body);
}

/* This very call claimed, and the row was in another phase by then: whoever changed it was faster. What it is now is
 * said, and the next call is answered by it. */
static void answer_changed(struct request *r, const struct take *t)
{
	char id[UUID_TEXT];
	uuid_format(&t->rec.info.id, id);
	log_event(LOG_WARN, "claim_lost", "id", id, "phase", phase_name(t->rec.info.phase), NULL);
	answer_refused(r, t, ERR_BUSY);
}

/* What was never fetched whole is not claimed again but fetched again. */
static bool fetch_again(const struct engine *e, const struct take *t)
{
	const struct recording_info *info = &t->rec.info;
	bool unsealed = info->source_url && info->sealed_by == SEALED_BY_NONE;
	return info->phase == PHASE_ERROR && unsealed && !t->failing && !recording_info_broken(info) &&
	       e->config.fetcher && job_closed_ms(&info->job, engine_wall(e)) == 0;
}

static void complete_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct request *r = (struct request *)w;
	if (!visible(r, t, err, GRANT_CHANGE))
		return;
	const struct recording_info *info = &t->rec.info;
	if (r->began && t->rec.busy == BUSY_NONE) {
		if (info->phase == PHASE_ERROR)
			answer_refused(r, t, info->error);
		else if (info->phase == PHASE_UPLOADING && info->source_url)
			answer_status(r, "started", info->phase); /* its fetch */
		else if (t->claim_lost || info->phase == PHASE_UPLOADING || info->phase == PHASE_ABORTED ||
			 info->phase == PHASE_DELETED)
			answer_changed(r, t);
		else
			answer_status(r, "started", info->phase);
		return;
	}
	if (fetch_again(e, t)) {
		r->began = true;
		take_wait(t, w);
		fetching_want(e, &info->id);
		return;
	}
	struct completion said = { r->totals, r->total_count, engine_wall(e) };
	switch (recording_complete(&t->rec, &said, &err, &e->fx)) {
	case COMPLETE_STARTED:
		r->began = true;
		take_wait(t, w);
		effects_run(e, t);
		break;
	case COMPLETE_WAIT:
		take_wait(t, w);
		effects_run(e, t);
		break;
	case COMPLETE_PROCESSING:
		answer_status(r, "alreadyProcessing", info->phase);
		break;
	case COMPLETE_COMPLETE:
		answer_status(r, "alreadyComplete", info->phase);
		break;
	case COMPLETE_REFUSED:
		answer_refused(r, t, err);
		break;
	}
}

void engine_complete(struct engine *e, struct engine_ref ref, const struct engine_total *totals, size_t count,
		     engine_json_fn *done, void *arg)
{
	struct request *r = request_new(e, ref, done, arg, complete_go);
	r->totals = must(calloc(count ? count : 1, sizeof *r->totals));
	r->total_count = count;
	for (size_t i = 0; i < count; i++) {
		r->totals[i].track = must(strdup(totals[i].track ? totals[i].track : "main"));
		r->totals[i].bytes = totals[i].bytes;
		if (!totals[i].has_sha256)
			continue;
		struct sha256 *sha256 = must(malloc(sizeof *sha256));
		*sha256 = totals[i].sha256;
		r->totals[i].sha256 = sha256;
	}
	take_want(e, ref, &r->waiter);
}

/* --- rename and delete: one transaction each --- */

struct change_op {
	struct catalog_op op;
	struct request *request;
	struct take *take;
	struct uuid id;
	char *name; /* NULL: delete */
	int64_t now_ms;
	enum catalog_outcome outcome;
	struct recording_info row;
};

static enum err change_run(struct catalog *c, struct catalog_op *op)
{
	struct change_op *o = (struct change_op *)op;
	recording_info_release(&o->row);
	if (o->name)
		return c->ops->rename(c, &o->id, o->name, o->now_ms, &o->row);
	return c->ops->remove(c, &o->id, o->now_ms, &o->outcome, &o->row);
}

static void change_done(struct engine *e, struct catalog_op *op)
{
	struct change_op *o = (struct change_op *)op;
	struct take *t = o->take;
	/* the DELETE record is durable: sooner or later it is done */
	bool again = op->err && op->err != ERR_NOT_FOUND && !o->name && !e->failed;
	bool deleted = !op->err && !o->name && o->outcome == CATALOG_CHANGED;
	if (op->err && o->request) {
		answer(o->request, op->err, NULL);
		o->request = NULL;
	}
	if (again) {
		catalog_again(e, op);
		return;
	}
	if (!op->err) {
		t->rec.info.updated_ms = o->now_ms;
		if (o->name) {
			free(t->rec.info.name);
			t->rec.info.name = o->name;
			o->name = NULL;
			t->manifest_dirty = true;
			follow_change(e, t);
		}
		if (o->request)
			answer_json(o->request, t);
	}
	if (t->rec.info.phase == PHASE_DELETED)
		t->gone = true;
	if (deleted)
		jobs_fence(e, &t->rec.info.id);
	recording_info_release(&o->row);
	free(o->name);
	free(o);
	take_wake(e, t, ERR_OK);
	take_unpin(e, t);
}

static void change_submit(struct engine *e, struct take *t, struct request *r, char *name)
{
	struct change_op *o = must(calloc(1, sizeof *o));
	o->op.run = change_run;
	o->op.done = change_done;
	o->op.take = t;
	o->request = r;
	o->take = t;
	o->id = t->rec.info.id;
	o->name = name;
	o->now_ms = engine_wall(e);
	take_pin(t);
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

static void rename_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct request *r = (struct request *)w;
	if (!visible(r, t, err, GRANT_CHANGE))
		return;
	if (t->rec.info.phase == PHASE_DELETED) {
		answer(r, ERR_DELETED, NULL);
		return;
	}
	char *name = r->text;
	r->text = NULL;
	change_submit(e, t, r, name);
}

void engine_rename(struct engine *e, struct engine_ref ref, const char *name, engine_json_fn *done, void *arg)
{
	if (!text_valid(name, LIMIT_NAME_CHARS)) {
		done(arg, ERR_BAD_FIELD, NULL, 0);
		return;
	}
	struct request *r = request_new(e, ref, done, arg, rename_go);
	r->text = must(strdup(name));
	take_want(e, ref, &r->waiter);
}

/* The DELETE record is durable. */
static void deleted_go(struct engine *e, struct take *t, uint16_t what)
{
	(void)what;
	struct request *r = t->deleting;
	t->deleting = NULL;
	change_submit(e, t, r, NULL);
	recording_deleted(&t->rec, e->now.mono_ms, &e->fx);
	effects_run(e, t);
}

static void delete_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct request *r = (struct request *)w;
	if (!visible(r, t, err, GRANT_CHANGE))
		return;
	if (t->rec.info.phase == PHASE_DELETED) {
		answer(r, ERR_DELETED, NULL);
		return;
	}
	if (!recording_at_rest(&t->rec)) {
		take_wait(t, w);
		return;
	}
	recording_deleting(&t->rec); /* nobody hears of it before it is durable */
	t->deleting = r;
	struct record record = { .type = RECORD_DELETE, .track = RECORD_WHOLE, .recording = t->rec.info.id };
	struct position at = journal_append(e->journal, &record);
	t->deletion = must(calloc(1, sizeof *t->deletion));
	t->deletion->sequence = at.sequence;
	list_push(&e->deletions, &t->deletion->link);
	take_pin(t);
	in_flight_push(e, (struct in_flight){ .take = t, .sequence = at.sequence, .go = deleted_go });
	effects_run(e, t);
	append_pump(e);
}

void engine_delete(struct engine *e, struct engine_ref ref, engine_json_fn *done, void *arg)
{
	take_want(e, ref, &request_new(e, ref, done, arg, delete_go)->waiter);
}

/* --- the list --- */

struct list_op {
	struct catalog_op op;
	struct grant grant;
	char *search, *show, *batch;
	bool all;		 /* it sees everybody's */
	struct batch_info owner; /* of `batch` */
	struct catalog_filter filter;
	struct recording_info *rows; /* of LIMIT_LIST_ITEMS + 1 */
	unsigned count;
	engine_json_fn *done;
	void *arg;
};

static enum err list_row(void *arg, const struct recording_info *row)
{
	struct list_op *o = arg;
	if (o->grant.has_resource && !uuid_equal(&o->grant.resource, &row->id))
		return ERR_OK;
	return recording_info_copy(&o->rows[o->count++], row);
}

static enum err list_run(struct catalog *c, struct catalog_op *op)
{
	struct list_op *o = (struct list_op *)op;
	while (o->count > 0)
		recording_info_release(&o->rows[--o->count]);
	batch_info_release(&o->owner);
	enum err err = o->batch ? batch_find(c, &o->grant, o->all, o->batch, &o->owner) : ERR_OK;
	if (o->batch)
		o->filter.principal = o->owner.principal;
	return err ? err : c->ops->list(c, &o->filter, list_row, o);
}

static void list_json(struct engine *e, struct list_op *o, struct buf *body)
{
	buf_add_text(body, "{\"items\":[");
	for (unsigned i = 0; i < o->count; i++) {
		const struct take *t = take_by_id(e, &o->rows[i].id);
		bool live = t && !t->loading;
		/* the row may be behind: a deletion, or storage that failed */
		if (live && (t->rec.info.phase == PHASE_DELETED ||
			     (o->filter.phase >= 0 && (int)t->rec.info.phase != o->filter.phase)))
			continue;
		if (body->data[body->len - 1] != '[')
			buf_add_text(body, ",");
		recording_json(e, body, live ? &t->rec.info : &o->rows[i], live ? &t->rec : NULL, &o->grant);
	}
	if (o->count == LIMIT_LIST_ITEMS) {
		char id[UUID_TEXT];
		uuid_format(&o->rows[o->count - 1].id, id);
		buf_addf(body, "],\"next\":\"%s\"}", id);
	} else {
		buf_add_text(body, "],\"next\":null}");
	}
	must(body->failed ? NULL : body);
}

static void list_done(struct engine *e, struct catalog_op *op)
{
	struct list_op *o = (struct list_op *)op;
	if (op->err) {
		o->done(o->arg, op->err, NULL, 0);
	} else {
		struct buf body;
		buf_init(&body);
		list_json(e, o, &body);
		o->done(o->arg, ERR_OK, body.data, body.len);
		buf_release(&body);
	}
	while (o->count > 0)
		recording_info_release(&o->rows[--o->count]);
	free(o->rows);
	free(o->search);
	free(o->show);
	free(o->batch);
	batch_info_release(&o->owner);
	free(o);
}

/* A grant for one recording lists that one: the newest below the id behind it. */
static struct uuid uuid_behind(struct uuid id)
{
	for (unsigned i = sizeof id.bytes; i > 0 && ++id.bytes[i - 1] == 0; i--)
		;
	return id;
}

void engine_list(struct engine *e, const struct engine_query *query, engine_json_fn *done, void *arg)
{
	static const char nothing[] = "{\"items\":[],\"next\":null}";
	const struct grant *g = query->grant;
	enum phase phase = PHASE_COUNT;
	struct uuid before = { 0 };
	bool bad = (query->phase && !phase_parse(query->phase, &phase)) ||
		   (query->before && !uuid_parse(query->before, &before));
	bool all = g->scopes & (SCOPE_ADMIN | SCOPE_PLAY);
	if (bad || !(all || g->scopes & SCOPE_OWN)) {
		done(arg, bad ? ERR_BAD_FIELD : ERR_FORBIDDEN_SCOPE, NULL, 0);
		return;
	}
	if (g->has_resource && query->before && memcmp(before.bytes, g->resource.bytes, sizeof before.bytes) <= 0) {
		done(arg, ERR_OK, nothing, sizeof nothing - 1);
		return;
	}
	struct list_op *o = must(calloc(1, sizeof *o));
	o->op.run = list_run;
	o->op.done = list_done;
	o->grant = *g;
	o->search = query->search ? must(strdup(query->search)) : NULL;
	o->show = query->show ? must(strdup(query->show)) : NULL;
	o->batch = query->batch ? must(strdup(query->batch)) : NULL;
	o->all = all;
	o->filter = (struct catalog_filter){
		.principal = all ? NULL : o->grant.subject,
		.search = o->search,
		.show = o->show,
		.batch = o->batch,
		.phase = query->phase ? (int)phase : -1,
		.before = g->has_resource ? uuid_behind(g->resource) : before,
		.limit = g->has_resource ? 1 : LIMIT_LIST_ITEMS,
	};
	o->rows = must(calloc(LIMIT_LIST_ITEMS + 1, sizeof *o->rows));
	o->done = done;
	o->arg = arg;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}
