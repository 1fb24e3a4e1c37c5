/* Other ends of a take than its seal: aborts and storage that fails; and the way back, by a late resume. See
 * recording.h. */
#include "core/sealing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What was accepted before the abort is durable, and acked, before the abort is: its row then names the bytes that
 * stay. Nothing more is accepted, so this comes to its end once. */
void recording_abort_advance(struct recording *r, struct effects *fx)
{
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (r->tracks[i].durable < r->tracks[i].accepted)
			return;
	}
	effects_add(fx, (struct effect){ .type = EFFECT_LOG_ABORT });
}

enum recording_answer recording_abort(struct recording *r, const char *reason, struct effects *fx)
{
	if (r->busy == BUSY_ABORTING)
		return ANSWER_DONE; /* `aborted` is on its way */
	if (!recording_at_rest(r))
		return ANSWER_WAIT;
	if (r->info.phase != PHASE_UPLOADING)
		return ANSWER_DONE;
	r->busy = BUSY_ABORTING;
	r->idle_deadline = UINT64_MAX;
	for (uint32_t i = 0; i < r->info.track_count; i++)
		r->tracks[i].end_deadline = UINT64_MAX;
	free(r->info.abort_reason);
	r->info.abort_reason = strdup(reason);
	recording_abort_advance(r, fx);
	return ANSWER_DONE;
}

/* What a worker found of tracks that were sealed without their hash. True: there was such a one. */
static bool take_hashes(struct recording *r, const struct recording_info *row)
{
	bool any = false;
	for (uint32_t i = 0; i < r->info.track_count && i < row->track_count; i++) {
		struct track_info *track = &r->info.tracks[i];
		const struct track_info *from = &row->tracks[i];
		if (!track->sealed || track->has_sha256 || !from->has_sha256 || track->bytes != from->bytes)
			continue;
		track->has_sha256 = any = true;
		track->sha256 = from->sha256;
	}
	return any;
}

bool recording_row_take(struct recording *r, const struct recording_info *row)
{
	r->info.phase = row->phase;
	r->info.sealed_by = row->sealed_by;
	r->info.interrupted = row->interrupted;
	r->info.updated_ms = row->updated_ms;
	r->info.error = row->error;
	free(r->info.error_message);
	r->info.error_message = row->error_message ? strdup(row->error_message) : NULL;
	free(r->info.warnings);
	r->info.warnings = row->warnings ? strdup(row->warnings) : NULL;
	r->info.original_removed = row->original_removed;
	r->info.media = row->media;
	job_info_release(&r->info.job);
	job_info_copy(&r->info.job, &row->job); /* without memory its message is missing, no more */
	free(r->info.push.key);
	free(r->info.push.error_message);
	r->info.push = row->push;
	r->info.push.key = row->push.key ? strdup(row->push.key) : NULL;
	r->info.push.error_message = row->push.error_message ? strdup(row->push.error_message) : NULL;
	return take_hashes(r, row);
}

bool recording_worked(struct recording *r, const struct recording_info *row)
{
	return r->info.phase != PHASE_DELETED && r->info.phase != PHASE_ABORTED && recording_row_take(r, row);
}

void recording_aborted(struct recording *r, const struct recording_info *row, struct effects *fx)
{
	if (r->busy == BUSY_ABORTING)
		r->busy = BUSY_NONE; /* else storage failed meanwhile: whichever transaction came first stands */
	recording_row_take(r, row);
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		struct track_state *t = &r->tracks[i];
		if (t->conn)
			effects_add(fx, (struct effect){ .type = EFFECT_ABORTED, .conn = t->conn });
		t->conn = 0;
		t->start_pending = t->ended = false;
	}
	effects_add(fx, (struct effect){ .type = EFFECT_IDLE });
}

void recording_deleting(struct recording *r)
{
	assert(recording_at_rest(r));
	r->busy = BUSY_DELETING;
	r->idle_deadline = UINT64_MAX;
}

void recording_deleted(struct recording *r, uint64_t now, struct effects *fx)
{
	r->busy = BUSY_NONE;
	r->info.phase = PHASE_DELETED;
	recording_detach_all(r, ERR_DELETED, now, fx);
	r->idle_deadline = UINT64_MAX;
	effects_add(fx, (struct effect){ .type = EFFECT_IDLE });
}

void recording_reopened(struct recording *r, const struct recording_info *row, uint64_t now, struct effects *fx)
{
	assert(r->busy == BUSY_REOPENING);
	r->busy = BUSY_NONE;
	recording_row_take(r, row);
	for (uint32_t i = 0; i < r->info.track_count && row->phase == PHASE_UPLOADING; i++) {
		if (r->info.tracks[i].sealed_by != SEALED_BY_GRACE)
			continue;
		r->info.tracks[i].sealed = r->info.tracks[i].has_sha256 = false;
		r->info.tracks[i].sealed_by = SEALED_BY_NONE;
		r->tracks[i].stage = STAGE_OPEN;
	}
	recording_deadline_update(r, now);
	effects_add(fx, (struct effect){ .type = EFFECT_IDLE });
}

void recording_poison(struct recording *r, enum err err, struct effects *fx)
{
	if (r->info.phase != PHASE_UPLOADING || recording_hashed_whole(r))
		return;
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		struct track_state *t = &r->tracks[i];
		recording_drop_conn(r, (uint16_t)i, err, fx);
		if (t->stage == STAGE_DRAIN || t->stage == STAGE_SPOOL)
			t->stage = STAGE_OPEN; /* its seal never comes; one in the journal is waited for */
	}
	r->info.phase = PHASE_ERROR;
	r->info.error = err;
	r->busy = BUSY_NONE;
	r->idle_deadline = UINT64_MAX;
	effects_add(fx, (struct effect){ .type = EFFECT_FAIL, .err = err });
	effects_add(fx, (struct effect){ .type = EFFECT_IDLE });
}

void recording_storage_full(struct recording *r, uint64_t now, struct effects *fx)
{
	recording_detach_all(r, ERR_STORAGE_FULL, now, fx);
}

void recording_freeze(struct recording *r, bool frozen, uint64_t now)
{
	if (frozen == (r->frozen_ms != UINT64_MAX))
		return;
	if (frozen) {
		r->frozen_ms = now;
		return;
	}
	if (r->idle_deadline != UINT64_MAX)
		r->idle_deadline += now - r->frozen_ms;
	r->frozen_ms = UINT64_MAX;
}
