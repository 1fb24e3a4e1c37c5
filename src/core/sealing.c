/* Sealing: how tracks and recordings end, once. See recording.h.
 *
 * A track goes OPEN, DRAIN (everything accepted is durable), SPOOL, LOG (its seal is journaled), SEALED. When the last
 * track that the recording waits for reaches LOG, the recording's own seal is journaled behind it, then the catalog's
 * transaction claims completion, then everybody is told. */
#include "core/sealing.h"
#include "core/job.h"

#include <assert.h>
#include <string.h>

void recording_seal_advance(struct recording *r, uint16_t track, struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	if (t->stage != STAGE_DRAIN || t->durable < t->accepted)
		return;
	t->stage = STAGE_SPOOL;
	effects_add(fx, (struct effect){ .type = EFFECT_SPOOL, .track = track });
}

void recording_seal_track(struct recording *r, uint16_t track, enum sealed_by by, struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	assert(t->stage == STAGE_OPEN);
	t->stage = STAGE_DRAIN;
	t->sealing_by = by;
	t->end_deadline = UINT64_MAX;
	struct track_info *info = &r->info.tracks[track];
	if (info->total != BYTES_UNKNOWN && info->total != t->accepted)
		info->has_declared_sha256 = false; /* it speaks of more bytes than those that came before this seal */
	recording_seal_advance(r, track, fx);
}

/* All tracks are journaled or on the way there: the recording's own seal may follow. */
bool recording_hashed_whole(const struct recording *r)
{
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (r->tracks[i].stage < STAGE_LOG)
			return false;
	}
	return true;
}

void recording_seal_whole(struct recording *r, enum sealed_by by, struct effects *fx)
{
	assert(r->busy == BUSY_NONE);
	r->busy = BUSY_SEALING;
	r->sealing_by = by;
	r->idle_deadline = UINT64_MAX;
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (r->tracks[i].stage == STAGE_OPEN)
			recording_seal_track(r, (uint16_t)i, by, fx);
	}
	if (recording_hashed_whole(r))
		effects_add(fx, (struct effect){ .type = EFFECT_LOG_SEAL_WHOLE });
}

/* All of it came, and only its end is missing: its client was told, and has nothing more to say. */
bool recording_upload_whole(const struct recording *r)
{
	const struct upload_info *upload = &r->info.upload;
	bool single = upload->kind == UPLOAD_WHOLE || upload->kind == UPLOAD_FINAL;
	return single && upload->length != BYTES_UNKNOWN && r->info.track_count == 1 &&
	       r->tracks[0].accepted == upload->length;
}

void recording_end_upload(struct recording *r, struct effects *fx)
{
	if (r->info.phase == PHASE_UPLOADING && recording_at_rest(r) && recording_upload_whole(r))
		recording_seal_whole(r, SEALED_BY_END, fx);
}

static bool declared_sealed(const struct recording *r)
{
	for (uint32_t i = 0; i < r->info.declared_count; i++) {
		const char *name = r->info.declared_tracks[i];
		bool sealed = false;
		for (uint32_t k = 0; k < r->info.track_count; k++) {
			if (strcmp(r->info.tracks[k].name, name) == 0)
				sealed = r->tracks[k].stage >= STAGE_LOG;
		}
		if (!sealed)
			return false;
	}
	return true;
}

bool recording_end_completes(const struct recording *r)
{
	if (r->info.declared_count > 0)
		return declared_sealed(r);
	return r->info.track_count == 1 && strcmp(r->info.tracks[0].name, "main") == 0 &&
	       r->tracks[0].stage >= STAGE_LOG;
}

bool recording_hashes(const struct recording *r, uint16_t track)
{
	return r->info.upload.kind == UPLOAD_NONE || r->info.tracks[track].has_declared_sha256;
}

void recording_hashed(struct recording *r, uint16_t track, const struct sha256 *sha256, struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	struct track_info *info = &r->info.tracks[track];
	if (t->stage != STAGE_SPOOL) /* poisoned meanwhile */
		return;
	t->stage = STAGE_LOG;
	info->sealed = true;
	info->has_sha256 = sha256 != NULL;
	if (sha256)
		info->sha256 = *sha256;
	info->sealed_by = t->sealing_by;
	if (sha256 && info->has_declared_sha256 && memcmp(&info->declared_sha256, sha256, sizeof *sha256) != 0)
		r->seal_error = ERR_CHECKSUM_MISMATCH;
	effects_add(fx, (struct effect){ .type = EFFECT_LOG_SEAL_TRACK, .track = track });
	if (r->busy == BUSY_SEALING) {
		if (recording_hashed_whole(r))
			effects_add(fx, (struct effect){ .type = EFFECT_LOG_SEAL_WHOLE });
	} else if (r->seal_error || recording_end_completes(r)) {
		recording_seal_whole(r, SEALED_BY_END, fx);
	}
}

void recording_logged(struct recording *r, uint16_t track, uint64_t now, struct effects *fx)
{
	(void)now;
	bool poisoned = r->info.phase == PHASE_ERROR && r->busy == BUSY_NONE;
	if (poisoned && track != RECORDING_WHOLE) {
		r->tracks[track].stage = STAGE_SEALED; /* of a take that stays in `error`: at rest now */
		effects_add(fx, (struct effect){ .type = EFFECT_IDLE });
	}
	if (poisoned)
		return;
	if (track == RECORDING_WHOLE) {
		effects_add(fx, (struct effect){ .type = EFFECT_CLAIM });
		return;
	}
	if (r->busy == BUSY_SEALING)
		r->tracks[track].stage = STAGE_SEALED; /* the claim tells the catalog */
	else
		effects_add(fx, (struct effect){ .type = EFFECT_PUT_TRACKS, .track = track });
}

/* The sealed track's connection, if it is still there, hears of it and is free. */
static void tell_saved(struct recording *r, uint16_t track, struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	if (t->conn)
		effects_add(fx, (struct effect){ .type = EFFECT_SAVED, .conn = t->conn, .track = track });
	t->conn = 0;
	t->ended = false;
}

void recording_tracks_put(struct recording *r, uint16_t track, uint64_t now, struct effects *fx)
{
	r->tracks[track].stage = STAGE_SEALED;
	if (r->busy == BUSY_DECLARING)
		r->busy = BUSY_NONE;
	tell_saved(r, track, fx);
	recording_deadline_update(r, now);
	effects_add(fx, (struct effect){ .type = EFFECT_IDLE });
}

struct recording_info recording_sealed_view(const struct recording *r, int64_t wall_ms)
{
	struct recording_info view = r->info;
	bool again = r->info.phase == PHASE_ERROR; /* claiming `error` again keeps the revision and who sealed it */
	view.phase = r->seal_error ? PHASE_ERROR : PHASE_QUEUED;
	view.error = r->seal_error;
	view.updated_ms = wall_ms;
	if (!again) {
		view.revision = r->info.revision + 1;
		view.sealed_by = r->sealing_by;
		view.interrupted = r->sealing_by == SEALED_BY_GRACE;
		view.sealed_ms = wall_ms;
	}
	return view;
}

void recording_claimed(struct recording *r, const struct recording_info *row, uint64_t now, struct effects *fx)
{
	assert(r->busy == BUSY_SEALING);
	r->busy = BUSY_NONE;
	recording_row_take(r, row);
	r->info.revision = row->revision;
	r->info.sealed_ms = row->sealed_ms;
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (r->seal_error)
			recording_drop_conn(r, (uint16_t)i, r->seal_error, fx);
		else
			tell_saved(r, (uint16_t)i, fx);
		r->tracks[i].stage = STAGE_SEALED;
	}
	r->seal_error = ERR_OK;
	recording_deadline_update(r, now);
	effects_add(fx, (struct effect){ .type = EFFECT_IDLE });
}

/* Do the declared totals fit what was received? */
static enum err totals_check(const struct recording *r, const struct completion *c)
{
	const struct total *totals = c->totals;
	for (size_t i = 0; i < c->count; i++) {
		const struct track_state *found = NULL;
		for (uint32_t k = 0; k < r->info.track_count; k++) {
			if (strcmp(r->info.tracks[k].name, totals[i].track) == 0)
				found = &r->tracks[k];
		}
		uint64_t accepted = found ? found->accepted : 0;
		if (totals[i].bytes > accepted)
			return ERR_BYTES_MISSING;
		if (totals[i].bytes < accepted)
			return ERR_TOTAL_MISMATCH;
	}
	return ERR_OK;
}

/* Of a sealed track the checksum is known, but for a file over HTTP that is not finished. */
static enum err checksums_check(const struct recording *r, const struct completion *c)
{
	const struct total *totals = c->totals;
	for (size_t i = 0; i < c->count; i++) {
		const struct track_info *track = recording_info_track(&r->info, totals[i].track);
		if (track && track->sealed && track->has_sha256 && totals[i].sha256 &&
		    memcmp(&track->sha256, totals[i].sha256, sizeof track->sha256) != 0)
			return ERR_CHECKSUM_MISMATCH;
	}
	return ERR_OK;
}

/* Those of the others are compared when they are hashed. True: one of a sealed track is new, and its row is to have it.
 */
static bool checksums_take(struct recording *r, const struct completion *c, uint16_t *sealed)
{
	const struct total *totals = c->totals;
	bool fresh = false;
	for (size_t i = 0; i < c->count; i++) {
		struct track_info *track = recording_info_track(&r->info, totals[i].track);
		if (!track || !totals[i].sha256)
			continue;
		bool same = track->has_declared_sha256 &&
			    memcmp(&track->declared_sha256, totals[i].sha256, sizeof track->declared_sha256) == 0;
		if (track->sealed && !track->has_sha256 && !same) {
			*sealed = track->number;
			fresh = true;
		}
		track->total = totals[i].bytes;
		track->declared_sha256 = *totals[i].sha256;
		track->has_declared_sha256 = true;
	}
	return fresh;
}

/* It is sealed and not finished: whoever finishes it finds the new checksum in its row. */
static enum complete_answer declare(struct recording *r, uint16_t track, struct effects *fx)
{
	r->busy = BUSY_DECLARING;
	effects_add(fx, (struct effect){ .type = EFFECT_PUT_TRACKS, .track = track });
	return COMPLETE_WAIT;
}

static enum complete_answer refused(enum err *err, enum err why)
{
	*err = why;
	return COMPLETE_REFUSED;
}

/* Its source has not handed out all of it yet. */
static bool unfetched(const struct recording *r)
{
	return r->info.source_url && r->info.sealed_by == SEALED_BY_NONE;
}

/* … or its client, as one that sends a file. */
static bool unsent(const struct recording *r)
{
	return r->info.upload.kind != UPLOAD_NONE && r->info.sealed_by == SEALED_BY_NONE && !recording_upload_whole(r);
}

/* In `error`, and nothing that can be claimed again. */
static bool stays_failed(const struct recording *r)
{
	bool unsealed = !recording_whole(r) || unfetched(r);
	return r->info.phase == PHASE_ERROR && (unsealed || r->info.error == ERR_QUARANTINED);
}

enum complete_answer recording_complete(struct recording *r, const struct completion *c, enum err *err,
					struct effects *fx)
{
	if (r->busy != BUSY_NONE)
		return COMPLETE_WAIT;
	if (r->info.phase == PHASE_ABORTED)
		return refused(err, ERR_ABORTED);
	if (r->info.phase == PHASE_DELETED)
		return refused(err, ERR_DELETED);
	if (stays_failed(r))
		return refused(err, r->info.error); /* storage failed under it: there is nothing sealed to finish */
	*err = totals_check(r, c);
	if (!*err)
		*err = checksums_check(r, c);
	if (*err)
		return COMPLETE_REFUSED;
	if (r->info.phase == PHASE_ERROR && job_closed_ms(&r->info.job, c->wall_ms) > 0)
		return refused(err, r->info.error);
	uint16_t track;
	bool fresh = checksums_take(r, c, &track);
	switch (r->info.phase) {
	case PHASE_UPLOADING:
		if (unfetched(r) || unsent(r))
			return refused(err, ERR_BYTES_MISSING); /* nobody makes half a recording of it */
		recording_seal_whole(r, SEALED_BY_COMPLETE, fx);
		return COMPLETE_STARTED;
	case PHASE_ERROR:
		r->busy = BUSY_SEALING;
		effects_add(fx, (struct effect){ .type = EFFECT_CLAIM });
		return COMPLETE_STARTED;
	case PHASE_COMPLETE:
		return COMPLETE_COMPLETE;
	default:
		return fresh ? declare(r, track, fx) : COMPLETE_PROCESSING;
	}
}
