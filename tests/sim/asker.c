/* Questions for a recording's bytes, as the network asks them (engine_download): at any time the class of the answer is
 * one that the state allows, and what is handed out is the bytes of what it names. */
#include "content.h"
#include "outside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct question {
	struct world *w;
	struct take_truth *take; /* of the one or the other; neither: only the status is compared */
	struct import_truth *import;
	struct track_truth *track; /* of a take's original */
	enum resource resource;
	struct known known;
	uint64_t promised;
	unsigned life, expect[2]; /* 0: as the state allows */
	uint64_t reader, off, bytes;
	struct made_file made;
	unsigned versions; /* of the source that it may be, by their bits */
	char ref[64], code[24];
};

static struct rng *luck(struct world *w)
{
	return &w->outside->rng;
}

static const char *name_of(const struct question *q)
{
	return q->take ? q->take->session : q->import ? q->import->ref : q->ref;
}

static struct question *question_new(struct world *w, enum resource resource)
{
	struct question *q = calloc(1, sizeof *q);
	assert(q);
	q->w = w;
	q->resource = resource;
	q->life = w->life;
	w->open_requests++;
	w->asking++;
	world_tally(w, TALLY_QUESTIONS);
	return q;
}

static void question_over(struct question *q)
{
	q->w->open_requests--;
	free(q);
}

static bool faulty(const struct world *w)
{
	return w->fatal || disk_dead(w->disk) ||
	       ((w->plan.bad_writes || w->plan.bad_syncs) && disk_failures(w->disk) > 0);
}

static void broke(const struct question *q, const char *what, enum err err)
{
	sim_fail(&q->w->sim, "the answer is the truth", "%s of %s: %s %s", resource_name(q->resource), name_of(q), what,
		 err_code(err));
}

static bool something_failed(const struct question *q)
{
	const struct world *w = q->w;
	unsigned failures = w->failures + (w->life > 1);
	failures += q->take ? q->take->failures : 0;
	failures += q->import ? q->import->failures : 0;
	return failures > 0 || w->plan.full;
}

/* --- refusals --- */

static bool deleting(const struct question *q)
{
	return q->take ? q->take->deleting : q->import ? q->import->deleting : false;
}

static void check_not_yet(const struct question *q, const struct serving *s, const json_t *body)
{
	const char *phase = json_string_value(json_object_get(body, "phase"));
	bool published = q->known.published > 0 && q->resource == RESOURCE_FILE;
	bool original = q->take && q->resource == RESOURCE_ORIGINAL;
	if (published || original || q->known.deleted || q->known.aborted)
		broke(q, "not yet, though it was there, or never will be", s->err);
	if (!phase || (s->retry_after_s != LIMIT_NOT_YET_S && s->retry_after_s != LIMIT_RECOVERING_S))
		broke(q, "when to ask again is not said", s->err);
	if (s->retry_after_s == LIMIT_RECOVERING_S && !something_failed(q))
		broke(q, "it is tried again, and nothing failed", s->err);
	if (json_integer_value(json_object_get(body, "attempt")) > LIMIT_ATTEMPTS)
		sim_fail(&q->w->sim, "three attempts", "%s is at attempt %d", name_of(q),
			 (int)json_integer_value(json_object_get(body, "attempt")));
}

static bool never_fits(const struct question *q, enum err err)
{
	bool made = q->known.published > 0;
	switch (err) {
	case ERR_DELETED:
		return deleting(q);
	case ERR_ORIGINAL_REMOVED:
		return q->resource == RESOURCE_ORIGINAL && q->w->plan.retain_originals_ms != UINT64_MAX;
	case ERR_NO_FILE:
		return q->take && oracle_may_abort(q->take) && !made;
	case ERR_NOT_FOUND:
		return q->resource == RESOURCE_ORIGINAL ? q->take && !q->track->known : deleting(q);
	case ERR_NO_THUMBNAIL:
	case ERR_NO_WAVEFORM:
		return something_failed(q) || q->import ||
		       (q->take && (q->take->completed_bare || oracle_delivered_sum(q->take) == 0));
	case ERR_SOURCE_GONE:
		return q->import && q->import->failures > 0 && !q->import->fetched;
	default:
		return false;
	}
}

static bool broken_fits(const struct question *q, enum err err)
{
	if (err == ERR_WORKER_NOT_PROCESSING_QUEUE)
		return q->resource != RESOURCE_ORIGINAL && !workers_alive(q->w);
	if (q->known.published > 0 && q->resource == RESOURCE_FILE)
		return false;
	if (q->take && (q->take->in_error || q->take->fate == FATE_WRONG_SHA))
		return true;
	return something_failed(q) && !(q->take && q->resource == RESOURCE_ORIGINAL);
}

static void check_refusal(const struct question *q, const struct serving *s, const char *text, size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL);
	if (!body)
		broke(q, "no body", s->err);
	const char *code = json_string_value(json_object_get(body, "code"));
	if (s->status == 202)
		check_not_yet(q, s, body);
	else if (!code || strcmp(code, err_code(s->err)) != 0 ||
		 json_integer_value(json_object_get(body, "status")) != s->status)
		broke(q, "its body says something else than", s->err);
	bool fits = s->status == 202 || s->status == 503 || faulty(q->w);
	if (s->status == 404 || s->status == 410)
		fits = fits || never_fits(q, s->err);
	else if (s->status == 500)
		fits = fits || broken_fits(q, s->err);
	if (!fits)
		broke(q, "answers", s->err);
	json_decref(body);
}

/* --- what is handed out --- */

static void read_later(void *arg, uint64_t x);

static void read_over(struct question *q)
{
	if (q->reader)
		engine_reader_close(q->w->engine, q->reader);
	question_over(q);
}

static void wrong_byte(const struct question *q, uint64_t off)
{
	sim_fail(&q->w->sim, q->import ? "one source, one version" : "the answer is the truth",
		 "%s of %s has a wrong byte at %" PRIu64, resource_name(q->resource), name_of(q), off);
}

static void check_version(struct question *q, const uint8_t *data, size_t len)
{
	const struct source *source = &q->import->source;
	size_t most = 0;
	for (unsigned v = 0; v < source->count; v++) {
		size_t same = q->versions & 1u << v ? content_differs(source->content[v], q->off, data, len) : 0;
		if (same < len)
			q->versions &= ~(1u << v);
		most = same > most ? same : most;
	}
	if (most < len)
		wrong_byte(q, q->off + most);
}

/* The tracks, one behind the other. */
static void check_made(const struct question *q, const uint8_t *data, size_t len)
{
	uint64_t off = q->off, begin = 0;
	for (uint32_t i = 0; i < q->made.track_count && len > 0; i++) {
		uint64_t end = begin + q->made.bytes[i];
		if (off < end) {
			size_t n = end - off < len ? (size_t)(end - off) : len;
			const struct track_truth *track = &q->take->tracks[q->made.tracks[i]];
			size_t same = content_differs(track->content, off - begin, data, n);
			if (same < n)
				wrong_byte(q, off + same);
			data += n;
			off += n;
			len -= n;
		}
		begin = end;
	}
	if (len > 0)
		wrong_byte(q, off);
}

static void check_bytes(struct question *q, const uint8_t *data, size_t len)
{
	if (q->resource == RESOURCE_THUMBNAIL || q->resource == RESOURCE_WAVEFORM) {
		const char *want = q->resource == RESOURCE_THUMBNAIL ? "picture" : "{}";
		if (len > strlen(want) - q->off || memcmp(data, want + q->off, len) != 0)
			wrong_byte(q, q->off);
	} else if (q->import) {
		check_version(q, data, len);
	} else if (q->resource == RESOURCE_FILE) {
		check_made(q, data, len);
	} else {
		size_t same = content_differs(q->track->content, q->off, data, len);
		if (same < len)
			wrong_byte(q, q->off + same);
	}
}

/* A published file that is being read is neither changed nor ended by anything. */
static void read_done(void *arg, enum err err, const void *data, size_t len)
{
	struct question *q = arg;
	struct world *w = q->w;
	w->asking--;
	if (err != ERR_OK || len == 0) {
		bool lost =
			q->resource == RESOURCE_ORIGINAL && (deleting(q) || w->plan.retain_originals_ms != UINT64_MAX);
		if (!lost && !faulty(w) && err != ERR_SHUTTING_DOWN)
			broke(q, "reading answers", err);
		read_over(q);
		return;
	}
	check_bytes(q, data, len);
	q->off += len;
	world_tally(w, TALLY_READS);
	if (q->off >= q->bytes || (!w->calm && rng_chance(luck(w), 10)))
		read_over(q);
	else
		sim_after(&w->sim, rng_below(luck(w), rng_chance(luck(w), 5) ? 2 * SECOND : 2 * MS), read_later, q, 0);
}

static void read_later(void *arg, uint64_t x)
{
	struct question *q = arg;
	struct world *w = q->w;
	if (q->life != w->life || !w->engine) {
		free(q); /* its process is gone, and the count with it */
		return;
	}
	uint64_t rest = q->bytes - q->off;
	size_t len = 1 + (size_t)rng_below(luck(w), LIMIT_READ_BYTES);
	w->asking++;
	engine_read(w->engine, q->reader, q->off, len < rest ? len : (size_t)rest, read_done, q);
	world_touched(w);
}

/* "ID-rN…": which revision it is of. */
static void check_revision(struct question *q, const struct engine_original *file)
{
	struct outside *o = q->w->outside;
	char id[UUID_TEXT] = "";
	unsigned revision = 0;
	uint64_t sum = 0;
	struct uuid uuid;
	snprintf(id, sizeof id, "%s", file->etag + 1);
	if (!uuid_parse(id, &uuid) || sscanf(file->etag + UUID_TEXT, "-r%u", &revision) != 1)
		broke(q, file->etag, ERR_OK);
	if (revision < q->known.published)
		sim_fail(&q->w->sim, "finished once", "%s of %s is of revision %u, it was at %" PRIu32,
			 resource_name(q->resource), name_of(q), revision, q->known.published);
	if (q->resource != RESOURCE_FILE) {
		if (file->bytes != (q->resource == RESOURCE_THUMBNAIL ? 7 : 2))
			broke(q, "has another length", ERR_OK);
		return;
	}
	for (unsigned i = 0; i < o->made_count; i++) {
		if (o->made[i].revision == revision && memcmp(&o->made[i].recording, &uuid, sizeof uuid) == 0)
			q->made = o->made[i];
	}
	for (uint32_t i = 0; i < q->made.track_count; i++)
		sum += q->made.bytes[i];
	if ((q->made.revision != revision && file->bytes > 0) ||
	    sum != file->bytes) /* of nothing no worker is needed */
		broke(q, "nobody made it so", ERR_OK);
	if (q->take && q->take->published < revision)
		q->take->published = revision;
}

static void check_import(struct question *q, const struct engine_original *file)
{
	const struct source *source = &q->import->source;
	if (q->resource == RESOURCE_THUMBNAIL || q->resource == RESOURCE_WAVEFORM)
		return;
	for (unsigned v = 0; v < source->count; v++) {
		if (source->total[v] == file->bytes)
			q->versions |= 1u << v;
	}
	if (!q->versions)
		sim_fail(&q->w->sim, "one source, one version", "%s of %s has %" PRIu64 " bytes, as no version has",
			 resource_name(q->resource), name_of(q), file->bytes);
	q->import->fetched = true;
}

static void check_original(const struct question *q, const struct engine_original *file)
{
	if (file->bytes < q->promised && !q->take->in_error && !q->known.aborted)
		broke(q, "less than was promised", ERR_OK);
	if (file->bytes > q->track->delivered)
		broke(q, "more than came in", ERR_OK);
}

static void handed_out(struct question *q, const struct engine_original *file)
{
	q->reader = file->reader;
	q->bytes = file->bytes;
	if (q->known.deleted)
		sim_fail(&q->w->sim, "the end is the end", "%s is read after its deletion", name_of(q));
	if (q->resource != RESOURCE_ORIGINAL)
		check_revision(q, file);
	else if (q->take)
		check_original(q, file);
	if (q->import)
		check_import(q, file);
	if (q->bytes == 0)
		read_over(q);
	else
		sim_after(&q->w->sim, rng_below(luck(q->w), 2 * MS), read_later, q, 0);
}

static void answered(void *arg, const struct serving *s, const struct engine_original *file, const char *body,
		     size_t len)
{
	struct question *q = arg;
	struct world *w = q->w;
	w->asking--;
	sim_trace(&w->sim, "answer", resource_name(q->resource), (uint64_t)s->status, s->err);
	bool as_expected = s->status == (int)q->expect[0] || s->status == (int)q->expect[1];
	if (q->expect[0] && !as_expected && s->status != 503 && !faulty(w))
		sim_fail(&w->sim, "the answer is the truth", "%s of %s is %s, and answers %d",
			 resource_name(q->resource), q->ref, q->code, s->status);
	bool judged = q->take || q->import;
	if (s->status == 200 && judged) {
		handed_out(q, file);
		return;
	}
	if (s->status == 200)
		engine_reader_close(w->engine, file->reader);
	else if (judged)
		check_refusal(q, s, body, len);
	question_over(q);
}

/* --- asking --- */

void asker_take(struct world *w, struct take_truth *take, enum resource resource)
{
	if (!take->honest)
		return;
	struct question *q = question_new(w, resource);
	unsigned number = (unsigned)rng_below(luck(w), take->track_count);
	q->take = take;
	q->track = &take->tracks[number];
	q->promised = q->track->promised;
	oracle_know(take, &q->known);
	snprintf(q->ref, sizeof q->ref, "%s%s", rng_chance(luck(w), 70) ? "" : "session:", take->id);
	if (q->ref[0] == 's')
		snprintf(q->ref, sizeof q->ref, "session:%s", take->session);
	const char *track = resource == RESOURCE_ORIGINAL && take->track_count > 1 ? q->track->name : NULL;
	engine_download(w->engine, (struct engine_ref){ q->ref, grant_local() }, resource, track, answered, q);
}

void asker_import(struct world *w, struct import_truth *import, enum resource resource)
{
	struct question *q = question_new(w, resource);
	q->import = import;
	q->known = (struct known){ .revision = import->revision,
				   .published = import->published,
				   .deleted = import->deleted };
	bool by_ref = !import->deleting && rng_chance(luck(w), 50);
	snprintf(q->ref, sizeof q->ref, by_ref ? "ref:%s" : "%s", by_ref ? import->ref : import->id);
	if (resource == RESOURCE_FILE || resource == RESOURCE_ORIGINAL)
		import->asked = true;
	if (import->asked && import->on_demand && !import->fetched)
		import->again = true;
	engine_download(w->engine, (struct engine_ref){ q->ref, grant_local() }, resource, NULL, answered, q);
}

/* The table of docs/protocol.md, "What a file answers", read from the recording's object. */
static void expected(const struct world *w, enum resource resource, const json_t *state, unsigned out[2])
{
	static const char *const parts[] = { NULL, NULL, "thumbnail", "waveform" };
	const char *phase = json_string_value(json_object_get(state, "phase"));
	const char *code = json_string_value(json_object_get(json_object_get(state, "error"), "code"));
	const json_t *file = json_object_get(state, "file");
	bool fetched = json_is_null(json_object_get(state, "fetch")) ||
		       json_integer_value(json_object_get(state, "revision")) > 0;
	bool gone = code && strcmp(code, "source_gone") == 0;
	out[0] = out[1] = 0;
	if (code && strcmp(code, "quarantined") == 0)
		out[0] = resource == RESOURCE_ORIGINAL || !json_is_object(file) ? 500 : 200;
	else if (resource == RESOURCE_ORIGINAL && json_is_true(json_object_get(state, "originalRemoved")))
		out[0] = 410;
	else if (resource == RESOURCE_ORIGINAL && fetched)
		out[0] = json_array_size(json_object_get(state, "tracks")) > 0 ? 200 : 404;
	else if (json_is_object(file) && (!parts[resource] || json_is_true(json_object_get(file, parts[resource]))))
		out[0] = 200;
	else if (strcmp(phase, "aborted") == 0 || strcmp(phase, "complete") == 0)
		out[0] = 404;
	else if (strcmp(phase, "error") == 0)
		out[0] = gone ? 404 : 500;
	else
		out[0] = 202;
	out[1] = out[0] == 202 && w->plan.workers == 0 && strcmp(phase, "queued") == 0 ? 500 : out[0];
}

void asker_compare(struct world *w, const char *ref, const json_t *state)
{
	const json_t *tracks = json_object_get(state, "tracks");
	const char *fetch = json_string_value(json_object_get(state, "fetch"));
	bool begins =
		fetch && strcmp(fetch, "on_demand") == 0 && json_integer_value(json_object_get(state, "revision")) == 0;
	for (int i = 0; i < RESOURCE_COUNT && w->engine; i++) {
		enum resource resource = (enum resource)i;
		if (begins && (resource == RESOURCE_FILE || resource == RESOURCE_ORIGINAL))
			continue; /* it would begin to fetch, and nothing were quiet */
		struct question *q = question_new(w, resource);
		snprintf(q->ref, sizeof q->ref, "%s", ref);
		snprintf(q->code, sizeof q->code, "%s", json_string_value(json_object_get(state, "phase")));
		expected(w, resource, state, q->expect);
		const char *track = json_string_value(json_object_get(json_array_get(tracks, 0), "track"));
		engine_download(w->engine, (struct engine_ref){ q->ref, grant_local() }, resource, track, answered, q);
	}
}

void asker_made(struct world *w, const struct made_file *made)
{
	struct outside *o = w->outside;
	for (unsigned i = 0; i < o->made_count; i++) {
		if (o->made[i].revision == made->revision &&
		    memcmp(&o->made[i].recording, &made->recording, sizeof made->recording) == 0) {
			o->made[i] = *made;
			return;
		}
	}
	assert(o->made_count < MADE);
	o->made[o->made_count++] = *made;
}
