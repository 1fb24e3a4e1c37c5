/* Requests over HTTP, as the network would hand them to the engine: asking, listing, completing from many places at
 * once, deleting, renaming, and reading back what was promised. */
#include "content.h"
#include "outside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	struct world *w;
	struct take_truth *take;
	struct track_truth *track;
	struct known known;
	unsigned life;
	uint64_t promised, reader, off, bytes, hash;
	bool reading, whole;
	char ref[64];
};

static struct request *request_new(struct world *w, struct take_truth *take)
{
	struct request *r = calloc(1, sizeof *r);
	assert(r);
	r->w = w;
	r->take = take;
	r->life = w->life;
	oracle_know(take, &r->known);
	if (rng_chance(&w->client_rng, 70))
		snprintf(r->ref, sizeof r->ref, "%s", take->id);
	else
		snprintf(r->ref, sizeof r->ref, "session:%s", take->session);
	w->open_requests++;
	w->asking++;
	return r;
}

static struct engine_ref ref_of(const struct request *r)
{
	return (struct engine_ref){ r->ref, grant_local() };
}

static void request_over(struct request *r)
{
	r->w->open_requests--;
	free(r);
}

/* What any answer may be while the server stops, or after its storage failed. */
static bool passing(const struct request *r, enum err err)
{
	if (r->w->fatal || disk_dead(r->w->disk) || err == ERR_SHUTTING_DOWN || err == ERR_BUSY)
		return true;
	return oracle_excused(r->w, r->take) && err != ERR_NOT_FOUND;
}

static void unexpected(const struct request *r, const char *what, enum err err)
{
	sim_fail(&r->w->sim, "the status is the truth", "%s of %s answers %s", what, r->take->session, err_code(err));
}

static void got(void *arg, enum err err, const char *text, size_t len)
{
	struct request *r = arg;
	r->w->asking--;
	struct world *w = r->w;
	sim_trace(&w->sim, "got", err_code(err), err, len);
	if (err == ERR_OK) {
		json_t *json = json_loadb(text, len, 0, NULL);
		if (!json)
			sim_fail(&w->sim, "wire", "not JSON: %.*s", (int)len, text);
		oracle_status(w, r->take, &r->known, json);
		if (w->quiet)
			watchers_compare(w, r->take, json);
		if (w->quiet && r->take->honest && !oracle_excused(w, r->take))
			asker_compare(w, r->take->id, json);
		json_decref(json);
	} else if (!(err == ERR_DELETED && r->take->deleting) && !passing(r, err)) {
		unexpected(r, "the state", err);
	}
	request_over(r);
}

static void ask_state(struct world *w, struct take_truth *take)
{
	struct request *r = request_new(w, take);
	engine_get(w->engine, ref_of(r), got, r);
}

static void listed(void *arg, enum err err, const char *text, size_t len)
{
	struct request *r = arg;
	r->w->asking--;
	json_t *json = err == ERR_OK ? json_loadb(text, len, 0, NULL) : NULL;
	if (!json && !passing(r, err))
		unexpected(r, "the list", err);
	const json_t *items = json_object_get(json, "items");
	bool found = false;
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);
		const char *id = json_string_value(json_object_get(item, "id"));
		if (!id || strcmp(id, r->take->id) != 0)
			continue;
		found = true;
		oracle_status(r->w, r->take, &r->known, item);
	}
	if (json && !found && !r->take->deleting)
		sim_fail(&r->w->sim, "the status is the truth", "%s is not in the list", r->take->session);
	json_decref(json);
	request_over(r);
}

static void ask_list(struct world *w, struct take_truth *take)
{
	struct request *r = request_new(w, take);
	struct engine_query query = { .grant = grant_local() };
	engine_list(w->engine, &query, listed, r);
}

static void renamed(void *arg, enum err err, const char *text, size_t len)
{
	struct request *r = arg;
	r->w->asking--;
	if (err != ERR_OK && !(err == ERR_DELETED && r->take->deleting) && !passing(r, err) && err != ERR_STORAGE_FULL)
		unexpected(r, "renaming", err);
	request_over(r);
}

static void deleted(void *arg, enum err err, const char *text, size_t len)
{
	struct request *r = arg;
	r->w->asking--;
	sim_trace(&r->w->sim, "deleted", err_code(err), err, 0);
	if (err == ERR_OK || err == ERR_DELETED)
		r->take->deleted = true;
	else if (!passing(r, err) && err != ERR_STORAGE_FULL)
		unexpected(r, "deletion", err);
	request_over(r);
}

static void completed(void *arg, enum err err, const char *text, size_t len)
{
	struct request *r = arg;
	r->w->asking--;
	struct take_truth *take = r->take;
	sim_trace(&r->w->sim, "completed", err_code(err), err, len);
	switch (err) {
	case ERR_OK:
		if (text && strstr(text, "\"started\""))
			take->begun++;
		break;
	case ERR_BYTES_MISSING:
		if (take->completed_bare && take->fate == FATE_COMPLETE)
			unexpected(r, "completion", err);
		break;
	case ERR_DELETED:
		if (!take->deleting)
			unexpected(r, "completion", err);
		break;
	case ERR_ABORTED:
		if (!oracle_may_abort(take))
			unexpected(r, "completion", err);
		break;
	case ERR_STORAGE_FULL:
		break;
	default:
		/* in `error`, its attempts used up: the job's own reason */
		if (!passing(r, err) &&
		    !(text && take->failures + r->w->failures > 0 && strstr(text, "\"retryAfter\"")))
			unexpected(r, "completion", err);
	}
	request_over(r);
}

static void ask_complete(struct world *w, struct take_truth *take, bool bare)
{
	struct request *r = request_new(w, take);
	struct engine_total totals[TRACKS];
	for (unsigned i = 0; i < take->track_count; i++) {
		const struct track_truth *track = &take->tracks[i];
		totals[i] = (struct engine_total){ .track = i == 0 && take->track_count == 1 ? NULL : track->name,
						   .bytes = track->total };
		if (rng_chance(&w->client_rng, 50)) {
			totals[i].has_sha256 = true;
			content_sha256(track->content, 0, track->total, totals[i].sha256.bytes);
		}
	}
	take->completed = true;
	take->completed_bare = take->completed_bare || bare;
	engine_complete(w->engine, ref_of(r), bare ? NULL : totals, bare ? 0 : take->track_count, completed, r);
}

/* Reading back. */

static void read_next(struct request *r);

static void read_over(struct request *r)
{
	if (r->life == r->w->life && r->w->engine)
		engine_reader_close(r->w->engine, r->reader);
	if (!r->take->honest && r->off == r->bytes && r->whole) {
		struct take_truth *take = r->take;
		take->read_bytes = r->bytes;
		take->read_hash = r->hash;
	}
	request_over(r);
}

static void read_later(void *arg, uint64_t x)
{
	struct request *r = arg;
	struct world *w = r->w;
	if (r->life != w->life || !w->engine) {
		free(r); /* its process is gone, and the count with it */
		return;
	}
	read_next(r);
	world_touched(w);
}

/* A liar's bytes are only known to be what they were. */
static void check_liar(struct request *r, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (r->off + i == r->take->read_bytes && r->hash != r->take->read_hash && r->take->read_bytes > 0)
			sim_fail(&r->w->sim, "acked bytes are there", "%s reads otherwise than before",
				 r->take->session);
		r->hash = rng_mix(r->hash ^ data[i]);
	}
}

static void read_done(void *arg, enum err err, const void *data, size_t len)
{
	struct request *r = arg;
	struct world *w = r->w;
	w->asking--;
	if (err != ERR_OK || len == 0) {
		bool removed = w->plan.retain_originals_ms != UINT64_MAX;
		if (!passing(r, err) && !(err == ERR_DELETED && (r->take->deleting || removed)) &&
		    !(r->take->deleting && err == ERR_NOT_FOUND))
			unexpected(r, "reading", err);
		r->whole = false;
		read_over(r);
		return;
	}
	if (r->take->honest) {
		size_t same = content_differs(r->track->content, r->off, data, len);
		if (same < len)
			sim_fail(&w->sim, "acked bytes are there", "%s/%s has a wrong byte at %" PRIu64,
				 r->take->session, r->track->name, r->off + same);
	} else {
		check_liar(r, data, len);
	}
	r->off += len;
	world_tally(w, TALLY_READS);
	sim_trace(&w->sim, "read", r->take->session, r->off, len);
	if (r->off >= r->bytes || (!r->whole && rng_chance(&w->client_rng, 20))) {
		read_over(r);
		return;
	}
	sim_after(&w->sim, rng_below(&w->client_rng, 2 * MS), read_later, r, 0);
}

static void read_next(struct request *r)
{
	uint64_t rest = r->bytes - r->off;
	size_t len = 1 + rng_below(&r->w->client_rng, LIMIT_READ_BYTES);
	r->w->asking++;
	engine_read(r->w->engine, r->reader, r->off, len < rest ? len : (size_t)rest, read_done, r);
}

static void original_open(void *arg, enum err err, const struct engine_original *original)
{
	struct request *r = arg;
	struct world *w = r->w;
	w->asking--;
	sim_trace(&w->sim, "original", err_code(err), err, original ? original->bytes : 0);
	if (err != ERR_OK) {
		bool removed = err == ERR_ORIGINAL_REMOVED && r->w->plan.retain_originals_ms != UINT64_MAX;
		if (!(err == ERR_DELETED && r->take->deleting) && !(err == ERR_NOT_FOUND && !r->track->known) &&
		    !removed && !passing(r, err))
			unexpected(r, "the original", err);
		request_over(r);
		return;
	}
	if (r->known.deleted)
		sim_fail(&w->sim, "the end is the end", "%s is read after its deletion", r->take->session);
	if (original->bytes < r->promised && !r->take->in_error && !r->known.aborted)
		sim_fail(&w->sim, "acked bytes are there", "%s/%s reads %" PRIu64 " of %" PRIu64, r->take->session,
			 r->track->name, original->bytes, r->promised);
	if (r->take->honest && original->bytes > r->track->delivered)
		sim_fail(&w->sim, "acked bytes were sent", "%s/%s reads %" PRIu64 ", %" PRIu64 " came in",
			 r->take->session, r->track->name, original->bytes, r->track->delivered);
	r->reader = original->reader;
	r->bytes = original->bytes;
	if (r->bytes == 0)
		read_over(r);
	else
		sim_after(&w->sim, rng_below(&w->client_rng, 2 * MS), read_later, r, 0);
}

static void ask_original(struct world *w, struct take_truth *take, unsigned track, bool whole)
{
	struct request *r = request_new(w, take);
	r->track = &take->tracks[track];
	r->promised = r->track->promised;
	r->whole = whole;
	const char *name = take->track_count == 1 ? NULL : r->track->name;
	engine_original(w->engine, ref_of(r), name, original_open, r);
}

void callers_check_all(struct world *w)
{
	for (unsigned i = 0; i < TAKES && w->engine; i++) {
		struct take_truth *take = &w->takes[i];
		if (take->id[0] == '\0')
			continue;
		ask_state(w, take);
		asker_take(w, take, RESOURCE_FILE);
		for (unsigned k = 0; k < take->track_count; k++)
			ask_original(w, take, k, true);
	}
	world_touched(w);
}

static void ask_something(struct world *w, struct take_truth *take)
{
	struct rng *rng = &w->client_rng;
	uint64_t what = rng_below(rng, 100);
	if (what < 40)
		ask_state(w, take);
	else if (what < 60)
		asker_take(w, take, (enum resource)rng_below(rng, RESOURCE_COUNT));
	else if (what < 65)
		ask_list(w, take);
	else if (what < 70) {
		struct request *r = request_new(w, take);
		engine_rename(w->engine, ref_of(r), "a name", renamed, r);
	} else {
		ask_original(w, take, (unsigned)rng_below(rng, take->track_count), rng_chance(rng, 50));
	}
}

static bool can_ask(const struct world *w)
{
	return w->up && !w->stopping && !w->fatal;
}

static void caller_tick(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct take_truth *take = &w->takes[rng_below(&w->client_rng, w->plan.takes)];
	if (can_ask(w) && take->id[0]) {
		bool again = take->work_error && take->fate != FATE_WRONG_SHA && rng_chance(&w->client_rng, 40);
		if (again) /* what was given up is claimed again, unless its attempts are used up */
			ask_complete(w, take, take->fate == FATE_COMPLETE);
		else
			ask_something(w, take);
		world_touched(w);
	}
	if (!w->calm)
		sim_after(&w->sim, 20 * MS + rng_below(&w->client_rng, 800 * MS), caller_tick, w, 0);
}

/* What befalls the take, as soon as the server knows it. */
static void fate_comes(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct take_truth *take = &w->takes[x];
	bool again = true;
	if (can_ask(w) && take->id[0]) {
		if (take->fate == FATE_DELETE) {
			struct request *r = request_new(w, take);
			take->deleting = true;
			engine_delete(w->engine, ref_of(r), deleted, r);
		} else if (take->fate == FATE_COMPLETE) {
			ask_complete(w, take, true);
			again = rng_chance(&w->client_rng, 80);
		} else if (take->fate == FATE_COMPLETE_ALL) {
			for (uint64_t n = 1 + rng_below(&w->client_rng, 8); n > 0 && w->engine; n--)
				ask_complete(w, take, false);
		}
		world_touched(w);
	}
	if (again && !take->deleted && !w->calm)
		sim_after(&w->sim, 100 * MS + rng_below(&w->client_rng, 3 * SECOND), fate_comes, w, x);
}

void callers_begin(struct world *w)
{
	sim_after(&w->sim, rng_below(&w->client_rng, 500 * MS), caller_tick, w, 0);
	for (unsigned i = 0; i < w->plan.takes; i++) {
		enum fate fate = w->takes[i].fate;
		if (fate == FATE_DELETE || fate == FATE_COMPLETE || fate == FATE_COMPLETE_ALL)
			sim_after(&w->sim, rng_below(&w->client_rng, w->plan.calm_us), fate_comes, w, i);
	}
}
