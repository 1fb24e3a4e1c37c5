/* Those who register what stands elsewhere: once and again, under the same name with another URL, on demand; they ask,
 * complete what failed, and delete. And what the server may say of such a recording. */
#include "content.h"
#include "outside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was known when the question was asked: the answer must not say less. */
struct import_known {
	uint32_t revision, published;
	bool known, fetched, deleting, deleted, failed, completed, asked;
};

struct call {
	struct world *w;
	struct import_truth *import;
	struct import_known known;
	bool other; /* the URL */
	char ref[64];
};

static struct rng *luck(struct world *w)
{
	return &w->outside->rng;
}

static struct import_known know(const struct import_truth *import)
{
	return (struct import_known){ import->revision, import->published, import->known,
				      import->fetched,	import->deleting,  import->deleted,
				      import->failed,	import->completed, import->asked };
}

struct import_truth *import_by_ref(struct world *w, const char *ref)
{
	for (unsigned i = 0; ref && i < w->plan.imports; i++) {
		if (strcmp(w->outside->imports[i].ref, ref) == 0)
			return &w->outside->imports[i];
	}
	return NULL;
}

struct import_truth *import_by_id(struct world *w, const struct uuid *id)
{
	char text[UUID_TEXT];
	uuid_format(id, text);
	for (unsigned i = 0; i < w->plan.imports; i++) {
		if (strcmp(w->outside->imports[i].id, text) == 0)
			return &w->outside->imports[i];
	}
	return NULL;
}

static struct call *call_new(struct world *w, struct import_truth *import)
{
	struct call *c = calloc(1, sizeof *c);
	assert(c);
	c->w = w;
	c->import = import;
	c->known = know(import);
	/* a name that is deleted is nobody's any more */
	if (rng_chance(luck(w), 50) || import->deleting)
		snprintf(c->ref, sizeof c->ref, "%s", import->id);
	else
		snprintf(c->ref, sizeof c->ref, "ref:%s", import->ref);
	w->open_requests++;
	w->asking++;
	return c;
}

static void call_over(struct call *c)
{
	c->w->open_requests--;
	free(c);
}

static struct engine_ref ref_of(const struct call *c)
{
	return (struct engine_ref){ c->ref, rng_chance(luck(c->w), 50) ? grant_local() : &c->import->grant };
}

static bool faulty(const struct world *w)
{
	return (w->plan.bad_writes || w->plan.bad_syncs) && disk_failures(w->disk) > 0;
}

static bool passing(const struct call *c, enum err err)
{
	struct world *w = c->w;
	if (w->fatal || disk_dead(w->disk) || err == ERR_SHUTTING_DOWN || err == ERR_BUSY)
		return true;
	return (faulty(w) && err != ERR_NOT_FOUND) || (err == ERR_STORAGE_FULL && w->plan.full);
}

static void unexpected(const struct call *c, const char *what, enum err err)
{
	sim_fail(&c->w->sim, "the status is the truth", "%s of %s answers %s", what, c->import->ref, err_code(err));
}

/* --- the state --- */

static void check_id(struct world *w, struct import_truth *import, const json_t *json)
{
	const char *id = json_string_value(json_object_get(json, "id"));
	if (!id)
		sim_fail(&w->sim, "wire", "%s has no id", import->ref);
	if (import->id[0] == '\0')
		snprintf(import->id, sizeof import->id, "%s", id);
	else if (strcmp(import->id, id) != 0)
		sim_fail(&w->sim, "one take, one id", "%s was %s, is %s", import->ref, import->id, id);
}

static void check_phase(struct world *w, struct import_truth *import, const struct import_known *known,
			const char *phase)
{
	struct sim *s = &w->sim;
	bool uploading = strcmp(phase, "uploading") == 0, error = strcmp(phase, "error") == 0;
	if (known->deleted)
		sim_fail(s, "the end is the end", "%s is back from deletion: %s", import->ref, phase);
	if (strcmp(phase, "aborted") == 0)
		sim_fail(s, "the status is the truth", "%s is aborted, and nobody said so", import->ref);
	if (known->fetched && uploading)
		sim_fail(s, "finished once", "%s was fetched whole and is uploading again", import->ref);
	if (error && import->failures + w->failures == 0 && w->life == 1 && !faulty(w))
		sim_fail(s, "the status is the truth", "%s is in error, and nothing failed", import->ref);
	if (known->failed && !error && !import->completed && !import->again)
		sim_fail(s, "questions change nothing", "%s was in error and is %s", import->ref, phase);
	if (import->on_demand && !import->asked && !uploading)
		sim_fail(s, "on demand, when demanded", "%s is %s, and nobody asked for it", import->ref, phase);
	import->failed = import->failed || error;
}

static void status_check(struct world *w, struct import_truth *import, const struct import_known *known,
			 const json_t *json)
{
	struct sim *s = &w->sim;
	const char *phase = json_string_value(json_object_get(json, "phase"));
	uint64_t bytes = (uint64_t)json_integer_value(json_object_get(json, "bytes"));
	uint32_t revision = (uint32_t)json_integer_value(json_object_get(json, "revision"));
	const json_t *file = json_object_get(json, "file");
	uint32_t published = (uint32_t)json_integer_value(json_object_get(file, "revision"));
	if (!phase)
		sim_fail(s, "the status is the truth", "%s has no phase", import->ref);
	sim_trace(s, "import", phase, bytes, revision);
	check_id(w, import, json);
	check_phase(w, import, known, phase);
	if (bytes > import->most)
		sim_fail(s, "acked bytes were sent", "%s has %" PRIu64 " bytes, only %" PRIu64 " came", import->ref,
			 bytes, import->most);
	if (revision > 1 || revision < known->revision || published > revision || published < known->published)
		sim_fail(s, "finished once",
			 "%s went from revision %" PRIu32 " to %" PRIu32 ", its file %" PRIu32 " to %" PRIu32,
			 import->ref, known->revision, revision, known->published, published);
	if (json_integer_value(json_object_get(json, "attempt")) > LIMIT_ATTEMPTS)
		sim_fail(s, "three attempts", "%s is at attempt %d", import->ref,
			 (int)json_integer_value(json_object_get(json, "attempt")));
	double progress = json_real_value(json_object_get(json, "progress"));
	if (progress < 0 || progress > 1)
		sim_fail(s, "the status is the truth", "%s has come to %f", import->ref, progress);
	if (strcmp(phase, "complete") == 0 && published != 1)
		sim_fail(s, "finished once", "%s is complete without a file", import->ref);
	import->revision = revision > import->revision ? revision : import->revision;
	import->published = published > import->published ? published : import->published;
	import->fetched = import->fetched || revision > 0;
}

void import_status(struct world *w, struct import_truth *import, const json_t *json)
{
	struct import_known known = know(import);
	const char *phase = json_string_value(json_object_get(json, "phase"));
	if (phase && strcmp(phase, "deleted") == 0) {
		if (!import->deleting)
			sim_fail(&w->sim, "the end is the end", "%s is deleted, and nobody said so", import->ref);
		import->deleted = true;
		return;
	}
	known.deleted = import->deleted;
	status_check(w, import, &known, json);
}

/* --- the calls --- */

static void registered(void *arg, enum err err, bool created, const char *text, size_t len)
{
	struct call *c = arg;
	struct world *w = c->w;
	struct import_truth *import = c->import;
	w->asking--;
	sim_trace(&w->sim, "registered", err_code(err), created, len);
	json_t *json = json_loadb(text, len, 0, NULL);
	if (err == ERR_OK && c->other)
		sim_fail(&w->sim, "one take, one id", "%s is registered with another URL", import->ref);
	if (err == ERR_OK && created && c->known.known && !import->deleting)
		sim_fail(&w->sim, "one take, one id", "%s is created once more", import->ref);
	if (err == ERR_OK && !import->deleting) {
		check_id(w, import, json);
		import->known = true;
		status_check(w, import, &c->known, json);
	} else if (err == ERR_EXISTS && !c->other) {
		unexpected(c, "registering", err);
	} else if (err != ERR_OK && err != ERR_EXISTS && !passing(c, err)) {
		unexpected(c, "registering", err);
	}
	json_decref(json);
	call_over(c);
}

static void ask_register(struct world *w, struct import_truth *import, bool other)
{
	struct call *c = call_new(w, import);
	struct engine_source source = {
		.grant = &import->grant,
		.url = other ? import->other_url : import->url,
		.ref = import->ref,
		.name = "Ms Rossi",
		.ext = "wav",
		.on_demand = import->on_demand,
	};
	c->other = other;
	import->registering = true;
	engine_register(w->engine, &source, registered, c);
}

static void got(void *arg, enum err err, const char *text, size_t len)
{
	struct call *c = arg;
	struct world *w = c->w;
	w->asking--;
	if (err == ERR_OK) {
		json_t *json = json_loadb(text, len, 0, NULL);
		status_check(w, c->import, &c->known, json);
		if (w->quiet)
			asker_compare(w, c->import->id, json);
		json_decref(json);
	} else if (!(err == ERR_DELETED && c->import->deleting) &&
		   !(err == ERR_NOT_FOUND && c->import->deleting && strncmp(c->ref, "ref:", 4) == 0) &&
		   !passing(c, err)) {
		unexpected(c, "the state", err);
	}
	call_over(c);
}

static void ask_state(struct world *w, struct import_truth *import)
{
	struct call *c = call_new(w, import);
	engine_get(w->engine, ref_of(c), got, c);
}

static void deleted(void *arg, enum err err, const char *text, size_t len)
{
	struct call *c = arg;
	c->w->asking--;
	sim_trace(&c->w->sim, "import deleted", err_code(err), err, 0);
	if (err == ERR_OK || err == ERR_DELETED)
		c->import->deleted = true;
	else if (!passing(c, err) && err != ERR_STORAGE_FULL)
		unexpected(c, "deletion", err);
	call_over(c);
}

static void ask_delete(struct world *w, struct import_truth *import)
{
	import->deleting = true;
	struct call *c = call_new(w, import);
	engine_delete(w->engine, ref_of(c), deleted, c);
}

static void completed(void *arg, enum err err, const char *text, size_t len)
{
	struct call *c = arg;
	struct world *w = c->w;
	w->asking--;
	sim_trace(&w->sim, "import completed", err_code(err), err, len);
	bool own = text && c->import->failures + w->failures + (w->life > 1) > 0 && err != ERR_NOT_FOUND;
	bool fine = err == ERR_OK || (err == ERR_BYTES_MISSING && !c->known.fetched) || err == ERR_STORAGE_FULL ||
		    (err == ERR_DELETED && c->import->deleting);
	if (!fine && !passing(c, err) && !own)
		unexpected(c, "completion", err);
	call_over(c);
}

static void ask_complete(struct world *w, struct import_truth *import)
{
	struct call *c = call_new(w, import);
	import->completed = true;
	engine_complete(w->engine, ref_of(c), NULL, 0, completed, c);
}

static void ask_something(struct world *w, struct import_truth *import)
{
	struct rng *rng = luck(w);
	uint64_t what = rng_below(rng, 100);
	if (what < 40)
		ask_state(w, import);
	else if (what < 48)
		ask_register(w, import, rng_chance(rng, 50));
	else if (what < 54 && (import->failed || rng_chance(rng, 20)))
		ask_complete(w, import);
	else if (what < 57 && import->number == 0)
		ask_delete(w, import);
	else
		asker_import(w, import, (enum resource)rng_below(rng, RESOURCE_COUNT));
}

static bool can_ask(const struct world *w)
{
	return w->up && !w->stopping && !w->fatal;
}

/* Each is registered sooner or later, and until somebody heard that it is. */
static void tick(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct import_truth *import = &w->outside->imports[x];
	bool wait = import->known && w->calm;
	if (can_ask(w)) {
		if (!import->known)
			ask_register(w, import, false);
		else if (!import->deleting && !w->calm)
			ask_something(w, import);
		world_touched(w);
	}
	if (!wait && !import->deleted)
		sim_after(&w->sim, 100 * MS + rng_below(luck(w), 3 * SECOND), tick, w, x);
}

void importers_begin(struct world *w)
{
	for (unsigned i = 0; i < w->plan.imports; i++)
		sim_after(&w->sim, rng_below(luck(w), w->plan.calm_us * 3 / 4), tick, w, i);
}

void importers_again(struct world *w)
{
	for (unsigned i = 0; i < w->plan.imports && w->engine; i++) {
		struct import_truth *import = &w->outside->imports[i];
		if (!import->failed || import->deleting || !import->known)
			continue;
		import->retried = true;
		if (import->on_demand && !import->fetched)
			asker_import(w, import, RESOURCE_FILE);
		else
			ask_complete(w, import);
	}
	world_touched(w);
}

void importers_check_all(struct world *w)
{
	for (unsigned i = 0; i < w->plan.imports && w->engine; i++) {
		struct import_truth *import = &w->outside->imports[i];
		if (!import->id[0] || import->deleting)
			continue;
		ask_state(w, import);
		if (import->fetched) {
			asker_import(w, import, RESOURCE_ORIGINAL);
			asker_import(w, import, RESOURCE_FILE);
		}
	}
}

bool outside_idle(struct world *w)
{
	struct engine_status status;
	if (!w->engine || !w->up)
		return false;
	engine_status(w->engine, &status);
	const struct engine_queue *fetch = &status.queues[JOB_FETCH], *notify = &status.queues[JOB_NOTIFY];
	for (unsigned i = 0; i < w->plan.imports; i++) {
		if (w->outside->imports[i].registering && !w->outside->imports[i].known)
			return false;
	}
	bool still = !w->plan.notifies || notify->queued + notify->running + notify->parked == 0;
	bool fetches = w->plan.imports > 0 || w->plan.batches > 0;
	return still && pushes_idle(w, &status) && batchers_idle(w) &&
	       (!fetches || fetch->queued + fetch->running == 0);
}

/* --- the end --- */

/* The bytes of which version are these? The take that stands for it in the audit has its content. */
static void stand_in(struct world *w, const struct import_truth *import, const struct recording_info *row,
		     struct take_truth *out)
{
	const struct source *source = &import->source;
	const struct track_info *track = recording_info_track(row, "main");
	uint64_t bytes = track ? track->bytes : 0;
	*out = (struct take_truth){ .honest = true, .track_count = 1, .fate = FATE_NONE };
	snprintf(out->session, sizeof out->session, "%s", import->ref);
	memcpy(out->id, import->id, sizeof out->id);
	snprintf(out->tracks[0].name, sizeof out->tracks[0].name, "main");
	out->deleting = import->deleting;
	out->deleted = import->deleted;
	out->failures = import->failures;
	out->begun = 0;
	for (unsigned v = 0; v < source->count; v++) {
		uint8_t sha[32];
		if (source->total[v] != bytes)
			continue;
		content_sha256(source->content[v], 0, bytes, sha);
		if (track && track->has_sha256 && memcmp(sha, track->sha256.bytes, sizeof sha) == 0) {
			out->tracks[0].content = source->content[v];
			out->tracks[0].total = out->tracks[0].saved_bytes = bytes;
			out->tracks[0].known = out->tracks[0].final = true;
			return;
		}
	}
	if (row->phase != PHASE_DELETED && row->revision > 0)
		sim_fail(&w->sim, "one source, one version", "%s has %" PRIu64 " bytes, of no version of its source",
			 import->ref, bytes);
}

static void check_end(struct world *w, const struct import_truth *import, const struct recording_info *row)
{
	struct sim *s = &w->sim;
	const char *phase = phase_name(row->phase);
	bool untouched = row->phase == PHASE_UPLOADING && import->on_demand && recording_info_bytes(row) == 0;
	bool finished = row->phase == (w->plan.workers == 0 ? PHASE_QUEUED : PHASE_COMPLETE);
	/* those were asked for again, and all sources hand out what they have; a fetched one may fail in its workers */
	bool given_up = row->revision > 0 && import->failures + w->failures > 0;
	bool passing = err_class(row->error) == ERR_CLASS_TRANSIENT && !faulty(w) && !given_up;
	bool failed = row->phase == PHASE_ERROR && !(import->retried && passing);
	bool ended = finished || failed || row->phase == PHASE_DELETED;
	if (import->on_demand && !import->asked && row->phase != PHASE_DELETED && !untouched)
		sim_fail(s, "on demand, when demanded", "%s is %s with %" PRIu64 " bytes", import->ref, phase,
			 recording_info_bytes(row));
	if (!ended && !untouched)
		sim_fail(s, "liveness", "%s is still %s", import->ref, phase);
	if (row->job.id && (row->job.state == JOB_RUNNING || (row->job.state == JOB_QUEUED && w->plan.workers > 0)))
		sim_fail(s, "liveness", "%s is left at work", import->ref);
}

static void audit_import(struct world *w, struct catalog *catalog, const struct import_truth *import)
{
	struct recording_info row;
	struct take_truth take;
	struct uuid id;
	if (!import->known || !uuid_parse(import->id, &id))
		return;
	enum err err = catalog->ops->get(catalog, &id, &row);
	if (err != ERR_OK)
		sim_fail(&w->sim, "the status is the truth", "%s has no row: %s", import->ref, err_code(err));
	stand_in(w, import, &row, &take);
	check_end(w, import, &row);
	if (!faulty(w))
		audit_work(w, catalog, &take, &row);
	if (w->plan.notifies)
		receiver_audit(w, catalog, &id, import->ref);
	if (!faulty(w))
		pushes_audit(w, &row, import->ref, false);
	recording_info_release(&row);
}

void imports_audit(struct world *w, struct catalog *catalog)
{
	for (unsigned i = 0; i < w->plan.imports; i++)
		audit_import(w, catalog, &w->outside->imports[i]);
}
