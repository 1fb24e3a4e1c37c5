/* The oracle: remembers what each client was promised and says when the server breaks it. docs/testing.md lists the
 * invariants by the names that stand here. */
#include "content.h"
#include "onair.h"
#include "outside.h"
#include "uploader.h"

#include <inttypes.h>
#include <string.h>

static uint64_t grace_deadline(const struct world *w, const struct take_truth *take)
{
	if (take->attached > 0)
		return UINT64_MAX;
	uint64_t from = take->detached_us > w->listen_us ? take->detached_us : w->listen_us;
	return from / MS * MS + (uint64_t)w->plan.grace_ms * MS; /* the server counts in whole ms */
}

static void detach(struct world *w, struct take_truth *take, struct link *link)
{
	bool *told = link_told(link);
	if (!*told)
		return;
	*told = false;
	take->attached--;
	take->detached_us = w->sim.now_us;
}

void oracle_detached(struct world *w, struct link *link)
{
	struct take_truth *take = link_take(link);
	if (take && take->honest)
		detach(w, take, link);
}

static uint64_t promised_sum(const struct take_truth *take)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < take->track_count; i++)
		sum += take->tracks[i].promised;
	return sum;
}

/* A take without bytes is aborted by the server when its time is over. */
bool oracle_may_abort(const struct take_truth *take)
{
	return take->aborting || promised_sum(take) == 0;
}

uint64_t oracle_delivered_sum(const struct take_truth *take)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < take->track_count; i++)
		sum += take->tracks[i].delivered;
	return sum;
}

bool oracle_excused(const struct world *w, const struct take_truth *take)
{
	if (take->on_air && w->plan.full)
		return true;
	return (w->plan.bad_writes || w->plan.bad_syncs) && disk_failures(w->disk) > 0;
}

void oracle_delivered(struct world *w, struct link *link, uint64_t off, uint64_t len)
{
	struct take_truth *take = link_take(link);
	if (!take)
		return;
	struct track_truth *track = &take->tracks[link_track(link)];
	if (!take->honest)
		track->delivered += len;
	else if (off + len > track->delivered)
		track->delivered = off + len;
}

/* What `started`, `ack` and `saved` have in common: bytes that are durable. */
static void promise(struct world *w, struct take_truth *take, struct track_truth *track, uint64_t bytes)
{
	struct sim *s = &w->sim;
	if (bytes > track->delivered)
		sim_fail(s, "acked bytes were sent", "%s/%s: %" PRIu64 " promised, %" PRIu64 " came in", take->session,
			 track->name, bytes, track->delivered);
	if (bytes < track->promised)
		sim_fail(s, "acked bytes are there", "%s/%s: %" PRIu64 " after %" PRIu64 " was promised", take->session,
			 track->name, bytes, track->promised);
	track->promised = bytes;
}

static void check_id(struct world *w, struct take_truth *take, const struct message_in *m)
{
	if (m->id[0] == '\0')
		return;
	if (take->id[0] == '\0')
		memcpy(take->id, m->id, sizeof take->id);
	else if (strcmp(take->id, m->id) != 0)
		sim_fail(&w->sim, "one take, one id", "%s was %s, is %s", take->session, take->id, m->id);
}

static void sent_started(struct world *w, struct link *link, struct take_truth *take, const struct message_in *m)
{
	struct sim *s = &w->sim;
	struct track_truth *track = &take->tracks[link_track(link)];
	if (track->known && !m->resumed)
		sim_fail(s, "one take, one file", "%s/%s begins anew", take->session, track->name);
	if (take->aborted || take->deleted)
		sim_fail(s, "the end is the end", "%s starts after its end", take->session);
	if (track->final)
		sim_fail(s, "finished once", "%s/%s starts after it was saved", take->session, track->name);
	track->known = true;
	track->saved = false;
	promise(w, take, track, m->bytes);
	if (!*link_told(link)) {
		*link_told(link) = true;
		take->attached++;
	}
	take->may_be_sealed = false;
}

static void sent_saved(struct world *w, struct link *link, struct take_truth *take, const struct message_in *m)
{
	struct sim *s = &w->sim;
	struct track_truth *track = &take->tracks[link_track(link)];
	uint8_t sha[32];
	promise(w, take, track, m->bytes);
	content_sha256(track->content, 0, m->bytes, sha);
	if (!m->has_sha256 || memcmp(sha, m->sha256, sizeof sha) != 0)
		sim_fail(s, "saved is what was sent", "%s/%s: wrong SHA-256 over %" PRIu64, take->session, track->name,
			 m->bytes);
	bool expired = w->plan.late_ms < LATE_FOR_EVER; /* what grace sealed may not be resumable any more */
	if (!track->end_delivered && !take->completed && !expired)
		sim_fail(s, "finished once", "%s/%s is saved, and nobody said so", take->session, track->name);
	if (!take->completed_bare && m->bytes != track->total && !expired)
		sim_fail(s, "no silent gaps", "%s/%s is saved with %" PRIu64 " of %" PRIu64, take->session, track->name,
			 m->bytes, track->total);
	if (track->final && track->saved_bytes != m->bytes)
		sim_fail(s, "finished once", "%s/%s is saved with %" PRIu64 ", before with %" PRIu64, take->session,
			 track->name, m->bytes, track->saved_bytes);
	if (take->fate == FATE_WRONG_SHA && track->end_delivered && !take->completed)
		sim_fail(s, "saved is what was sent", "%s/%s is saved under a wrong checksum", take->session,
			 track->name);
	if (take->aborted || take->deleted)
		sim_fail(s, "the end is the end", "%s is saved after its end", take->session);
	track->saved = track->final = true;
	track->saved_bytes = m->bytes;
	detach(w, take, link);
}

static struct take_truth *take_named(struct world *w, const json_t *status)
{
	const char *session = json_string_value(json_object_get(status, "sessionId"));
	for (unsigned i = 0; session && i < TAKES; i++) {
		if (strcmp(w->takes[i].session, session) == 0)
			return &w->takes[i];
	}
	return NULL;
}

/* What a status says of a track is as durable as an ack. */
static void told_tracks(struct world *w, struct take_truth *take, const json_t *status)
{
	const json_t *tracks = json_object_get(status, "tracks");
	for (size_t i = 0; i < json_array_size(tracks); i++) {
		const json_t *item = json_array_get(tracks, i);
		const char *name = json_string_value(json_object_get(item, "track"));
		for (unsigned k = 0; k < take->track_count; k++) {
			if (strcmp(take->tracks[k].name, name) == 0)
				promise(w, take, &take->tracks[k],
					(uint64_t)json_integer_value(json_object_get(item, "bytes")));
		}
	}
}

static void told_recording(struct world *w, struct link *link, const struct message_in *m, const json_t *status)
{
	struct take_truth *take = take_named(w, status);
	const char *phase = json_string_value(json_object_get(status, "phase"));
	struct known known;
	struct import_truth *import = import_by_ref(w, json_string_value(json_object_get(status, "ref")));
	if (import) {
		import_status(w, import, status);
		return;
	}
	if (batchers_status(w, status) || onair_recording(w, status) || uploaders_status(w, status))
		return;
	if (!take || !phase)
		sim_fail(&w->sim, "wire", "a status of nobody: %s", m->text);
	*link_told_of(link) |= 1u << (take - w->takes);
	if (!take->honest)
		return;
	check_id(w, take, m);
	if (strcmp(phase, "deleted") == 0) {
		if (!take->deleting)
			sim_fail(&w->sim, "the end is the end", "%s is deleted, and nobody said so", take->session);
		take->deleted = true;
		return;
	}
	oracle_know(take, &known);
	oracle_status(w, take, &known, status);
	if (strcmp(phase, "error") == 0 && !oracle_work_error(status))
		take->told_error = true;
	else if (strcmp(phase, "uploading") == 0)
		take->told_open = take->revision;
	if (!take->in_error && !take->aborted)
		told_tracks(w, take, status);
}

void oracle_subscribes(struct world *w, struct link *link)
{
	if (*link_owed(link)) /* the answer that is on its way serves both */
		return;
	*link_owed(link) = 1u << TAKES; /* the answer itself */
	for (unsigned i = 0; i < w->plan.takes; i++) {
		if (w->takes[i].tracks[0].known && !w->takes[i].deleting)
			*link_owed(link) |= 1u << i;
	}
}

/* What there was is told before. */
static void told_all(struct world *w, struct link *link, const struct message_in *m)
{
	for (unsigned i = 0; i < w->plan.takes; i++) {
		const struct take_truth *take = &w->takes[i];
		bool owed = m->id[0] ? strcmp(take->id, m->id) == 0 : *link_owed(link) & 1u << i;
		if (owed && !take->deleting && !(*link_told_of(link) & 1u << i))
			sim_fail(&w->sim, "the status is the truth", "subscribed, and nothing told of %s",
				 take->session);
	}
	if (!m->id[0])
		*link_owed(link) = 0;
}

static void oracle_told(struct world *w, struct link *link, const struct message_in *m)
{
	struct sim *s = &w->sim;
	if (m->said == SAID_SUBSCRIBED)
		told_all(w, link, m);
	if (m->said != SAID_STATUS)
		return;
	if (s->now_us / SECOND != w->status_second)
		w->statuses = 0;
	w->status_second = s->now_us / SECOND;
	if (++w->statuses > LIMIT_STATUS_SLICE * (1000 / LIMIT_STATUS_SLICE_MS + 1))
		sim_fail(s, "queues are bounded", "%u statuses in a second", w->statuses);
	json_t *status = json_loads(m->text, 0, NULL);
	const char *of = json_string_value(json_object_get(status, "of"));
	if (!of)
		sim_fail(s, "wire", "a status of nothing: %s", m->text);
	if (strcmp(of, "recording") == 0)
		told_recording(w, link, m, status);
	if (strcmp(of, "show") == 0)
		onair_status(w, status, 0);
	json_decref(status);
}

void oracle_sent(struct world *w, struct link *link, const struct message_in *m)
{
	if (m->said >= SAID_STATUS) {
		oracle_told(w, link, m);
		return;
	}
	struct take_truth *take = link_take(link);
	if (!take || !take->honest)
		return;
	check_id(w, take, m);
	switch (m->said) {
	case SAID_STARTED:
		sent_started(w, link, take, m);
		break;
	case SAID_ACK:
		if (!*link_told(link))
			sim_fail(&w->sim, "acks belong to a start", "%s/%u", take->session, link_track(link));
		promise(w, take, &take->tracks[link_track(link)], m->bytes);
		break;
	case SAID_SAVED:
		sent_saved(w, link, take, m);
		break;
	case SAID_ABORTED:
		if (!oracle_may_abort(take))
			sim_fail(&w->sim, "the end is the end", "%s is aborted, and nobody said so", take->session);
		take->aborted = true;
		detach(w, take, link);
		break;
	case SAID_ERROR:
		if (strcmp(m->code, "deleted") == 0 && !take->deleting)
			sim_fail(&w->sim, "the end is the end", "%s is deleted, and nobody said so", take->session);
		if (!m->retry && oracle_excused(w, take) && strcmp(m->code, "taken_over") != 0)
			take->in_error = true; /* also if the client never hears it */
		detach(w, take, link);
		break;
	default:
		break;
	}
}

void oracle_listening(struct world *w)
{
	w->listen_us = w->sim.now_us;
}

void oracle_crashed(struct world *w)
{
	for (unsigned i = 0; i < TAKES; i++) {
		struct take_truth *take = &w->takes[i];
		if (w->sim.now_us >= grace_deadline(w, take))
			take->may_be_sealed = true;
		take->attached = 0;
	}
}

void oracle_know(const struct take_truth *take, struct known *out)
{
	*out = (struct known){ .revision = take->revision,
			       .published = take->published,
			       .aborted = take->aborted,
			       .deleted = take->deleted,
			       .error = take->told_error,
			       .open = take->told_open };
	out->saved = true;
	for (unsigned i = 0; i < take->track_count; i++) {
		out->promised += take->tracks[i].promised;
		out->saved = out->saved && take->tracks[i].final;
	}
}

bool oracle_work_error(const json_t *status)
{
	const json_t *tracks = json_object_get(status, "tracks");
	const char *phase = json_string_value(json_object_get(status, "phase"));
	const char *code = json_string_value(json_object_get(json_object_get(status, "error"), "code"));
	bool sealed = json_array_size(tracks) > 0;
	for (size_t i = 0; i < json_array_size(tracks); i++)
		sealed = sealed && json_is_true(json_object_get(json_array_get(tracks, i), "sealed"));
	return phase && strcmp(phase, "error") == 0 && sealed && code && strcmp(code, "checksum_mismatch") != 0 &&
	       strcmp(code, "quarantined") != 0;
}

/* Finishing it was given up: somebody who tried must have come to nothing. */
static void check_work_error(struct world *w, struct take_truth *take)
{
	if (take->failures + w->failures == 0 && !w->plan.full && !oracle_excused(w, take))
		sim_fail(&w->sim, "the status is the truth", "%s was given up, and nobody failed", take->session);
	if (!take->work_error)
		world_tally(w, TALLY_WORK_ERRORS);
	take->work_error = true;
}

/* What is shown of its file and of the attempts to make it. */
static void check_work(struct world *w, struct take_truth *take, const struct known *known, const json_t *json)
{
	struct sim *s = &w->sim;
	const json_t *file = json_object_get(json, "file");
	uint32_t published = (uint32_t)json_integer_value(json_object_get(file, "revision"));
	uint32_t revision = (uint32_t)json_integer_value(json_object_get(json, "revision"));
	if (json_integer_value(json_object_get(json, "attempt")) > LIMIT_ATTEMPTS)
		sim_fail(s, "three attempts", "%s is at attempt %d", take->session,
			 (int)json_integer_value(json_object_get(json, "attempt")));
	if (published > revision)
		sim_fail(s, "finished once", "%s has a file of revision %" PRIu32 " at revision %" PRIu32,
			 take->session, published, revision);
	if (published < known->published)
		sim_fail(s, "finished once", "%s had the file of revision %" PRIu32 " and has that of %" PRIu32,
			 take->session, known->published, published);
	if (published > take->published)
		take->published = published;
	if (strcmp(json_string_value(json_object_get(json, "phase")), "complete") == 0 && published != revision)
		sim_fail(s, "finished once", "%s is complete at revision %" PRIu32 " with the file of %" PRIu32,
			 take->session, revision, published);
}

static void check_phase(struct world *w, struct take_truth *take, const struct known *known, const char *phase,
			bool work)
{
	struct sim *s = &w->sim;
	bool uploading = strcmp(phase, "uploading") == 0, error = strcmp(phase, "error") == 0 && !work;
	bool aborted = strcmp(phase, "aborted") == 0;
	if (known->deleted)
		sim_fail(s, "the end is the end", "%s is back from deletion: %s", take->session, phase);
	if (known->aborted && !aborted)
		sim_fail(s, "the end is the end", "%s is back from its abort: %s", take->session, phase);
	if (aborted && !oracle_may_abort(take))
		sim_fail(s, "the status is the truth", "%s is aborted, and nobody said so", take->session);
	if (known->saved && (uploading || aborted || (error && take->fate != FATE_WRONG_SHA)))
		sim_fail(s, "the status is the truth", "%s was saved and is %s", take->session, phase);
	if (error && take->fate != FATE_WRONG_SHA && !oracle_excused(w, take))
		sim_fail(s, "the status is the truth", "%s is in error without a fault", take->session);
	if (known->error && uploading)
		sim_fail(s, "the status is the truth", "%s was said to be in error and is uploading", take->session);
	take->in_error = take->in_error || error;
	take->aborted = take->aborted || aborted;
}

void oracle_status(struct world *w, struct take_truth *take, const struct known *known, const json_t *json)
{
	struct sim *s = &w->sim;
	const char *phase = json_string_value(json_object_get(json, "phase"));
	uint64_t bytes = (uint64_t)json_integer_value(json_object_get(json, "bytes"));
	uint32_t revision = (uint32_t)json_integer_value(json_object_get(json, "revision"));
	bool interrupted = json_is_true(json_object_get(json, "interrupted"));
	if (!phase)
		sim_fail(s, "the status is the truth", "%s has no phase", take->session);
	enum phase parsed = PHASE_UPLOADING;
	phase_parse(phase, &parsed);
	bool sealed = (parsed >= PHASE_QUEUED && parsed <= PHASE_COMPLETE) || oracle_work_error(json);
	sim_trace(s, "status", phase, bytes, revision);
	if (!take->honest)
		return;
	bool work = oracle_work_error(json);
	if (work)
		check_work_error(w, take);
	check_phase(w, take, known, phase, work);
	check_work(w, take, known, json);
	if (bytes < known->promised && !take->in_error)
		sim_fail(s, "the status is the truth", "%s has %" PRIu64 " bytes, promised were %" PRIu64,
			 take->session, bytes, known->promised);
	if (bytes > oracle_delivered_sum(take))
		sim_fail(s, "the status is the truth", "%s has %" PRIu64 " bytes, only %" PRIu64 " came in",
			 take->session, bytes, oracle_delivered_sum(take));
	if (revision < known->revision)
		sim_fail(s, "finished once", "%s went from revision %" PRIu32 " to %" PRIu32, take->session,
			 known->revision, revision);
	if (sealed && revision > 0 && revision == known->open)
		sim_fail(s, "the status is the truth", "%s was said to be open again, and is not", take->session);
	if (revision > take->revision) {
		if (revision == 2)
			world_tally(w, TALLY_REVISIONS);
		take->revision = revision;
	}
	if (!sealed)
		return;
	if (interrupted && !take->may_be_sealed && s->now_us < grace_deadline(w, take))
		sim_fail(s, "a full grace", "%s was sealed by grace too early", take->session);
	if (s->now_us >= grace_deadline(w, take))
		take->may_be_sealed = true;
}

void oracle_step(struct world *w)
{
	struct sim *s = &w->sim;
	if (disk_resyncs(w->disk) > 0)
		sim_fail(s, "a failed sync is never retried", "a file was synced again");
	if (!w->engine || w->fatal)
		return;
	struct engine_status status;
	engine_status(w->engine, &status);
	if (status.memory_used > status.memory_bytes || status.memory_bytes > w->plan.memory_bytes)
		sim_fail(s, "memory is bounded", "%" PRIu64 " of %" PRIu64 " in use", status.memory_used,
			 status.memory_bytes);
	w->tally.counts[TALLY_CHECKPOINTS] += status.checkpoints - w->checkpoints;
	w->checkpoints = status.checkpoints;
	w->tally.counts[TALLY_STEPS]++;
	bool again = w->plan.shows > 0 && onair_frail(w); /* a version begins with what another one had */
	if (status.bytes_durable > status.bytes_received && !again)
		sim_fail(s, "acked bytes were sent", "more bytes are durable than came in");
}
