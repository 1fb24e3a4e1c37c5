/* The recording machine: attachments, bytes and timers; sealing.c seals, ending.c ends. See recording.h. */
#include "core/recording.h"
#include "core/sealing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct track_state fresh_track = { .end_deadline = UINT64_MAX };

static enum err tracks_fit(struct recording *r, uint32_t count)
{
	struct track_state *tracks = realloc(r->tracks, (count ? count : 1) * sizeof *tracks);
	if (!tracks)
		return ERR_NO_MEMORY;
	r->tracks = tracks;
	return ERR_OK;
}

/* A boundary whose first byte did not survive a crash marks nothing: who comes back says again what begins there. */
static void parts_trim(struct track_info *track)
{
	while (track->part_count > 0 && track->parts[track->part_count - 1] >= track->bytes)
		track->part_count--;
}

enum err recording_init(struct recording *r, struct recording_info *info, uint32_t grace_ms, uint64_t late_ms)
{
	*r = (struct recording){
		.grace_ms = grace_ms,
		.late_ms = late_ms,
		.idle_deadline = UINT64_MAX,
		.frozen_ms = UINT64_MAX,
	};
	enum err err = tracks_fit(r, info->track_count);
	if (err)
		return err;
	r->info = *info;
	memset(info, 0, sizeof *info);
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		r->tracks[i] = fresh_track;
		r->tracks[i].accepted = r->tracks[i].durable = r->info.tracks[i].bytes;
		r->tracks[i].stage = r->info.tracks[i].sealed ? STAGE_SEALED : STAGE_OPEN;
		parts_trim(&r->info.tracks[i]);
	}
	return ERR_OK;
}

void recording_release(struct recording *r)
{
	recording_info_release(&r->info);
	free(r->tracks);
	memset(r, 0, sizeof *r);
}

bool recording_attached(const struct recording *r)
{
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (r->tracks[i].conn)
			return true;
	}
	return false;
}

static bool has_bytes(const struct recording *r)
{
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (r->tracks[i].accepted)
			return true;
	}
	return false;
}

bool recording_whole(const struct recording *r)
{
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (r->tracks[i].stage != STAGE_SEALED)
			return false;
	}
	return true;
}

bool recording_at_rest(const struct recording *r)
{
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (r->tracks[i].stage != STAGE_OPEN && r->tracks[i].stage != STAGE_SEALED)
			return false;
	}
	return r->busy == BUSY_NONE;
}

/* Somebody came or left: begins or ends the time that the take waits alone. What is fetched has no such time: its
 * source is asked again, or it fails; an upload waits for its client until it expires; for the version on air its show
 * has it. While a track is being sealed nobody is waited for: a take that was ended must not be called interrupted
 * because the disk is slow. */
static void deadline_update(struct recording *r, uint64_t now)
{
	bool waits = r->info.phase == PHASE_UPLOADING && recording_at_rest(r) && !recording_attached(r) &&
		     !r->info.source_url && r->info.upload.kind == UPLOAD_NONE && !r->on_air;
	uint64_t from = r->frozen_ms == UINT64_MAX ? now : r->frozen_ms; /* recording_freeze adds the rest */
	if (!waits)
		r->idle_deadline = UINT64_MAX;
	else if (r->idle_deadline == UINT64_MAX)
		r->idle_deadline = from + (has_bytes(r) ? r->grace_ms : r->late_ms);
}

void recording_deadline_update(struct recording *r, uint64_t now)
{
	deadline_update(r, now);
}

void recording_listen(struct recording *r, uint64_t now, struct effects *fx)
{
	r->idle_deadline = UINT64_MAX;
	for (uint32_t i = 0; i < r->info.track_count && r->info.phase == PHASE_UPLOADING; i++) {
		const struct track_info *t = &r->info.tracks[i];
		if (t->sealed && t->has_sha256 && t->has_declared_sha256 &&
		    memcmp(&t->sha256, &t->declared_sha256, sizeof t->sha256) != 0)
			r->seal_error = ERR_CHECKSUM_MISMATCH;
	}
	bool sealed = r->seal_error || recording_end_completes(r) || recording_upload_whole(r);
	if (r->info.phase == PHASE_UPLOADING && r->busy == BUSY_NONE && sealed)
		recording_seal_whole(r, SEALED_BY_END, fx);
	deadline_update(r, now);
}

/* Tells a connection that lost its place and forgets it. */
void recording_drop_conn(struct recording *r, uint16_t track, enum err err, struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	if (!t->conn)
		return;
	effects_add(fx,
		    (struct effect){
			    .type = EFFECT_ERROR, .conn = t->conn, .err = err, .bytes = t->durable, .track = track });
	t->conn = 0;
	t->start_pending = t->ended = false;
	t->end_deadline = UINT64_MAX;
}

static int track_index(const struct recording *r, const char *name)
{
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (strcmp(r->info.tracks[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

static void refuse(struct effects *fx, uint64_t conn, enum err err, uint64_t bytes)
{
	effects_add(fx, (struct effect){ .type = EFFECT_ERROR, .conn = conn, .err = err, .bytes = bytes });
}

/* Why this start can't go on here, whatever the phase: ERR_OK if it can. `index`: the track, -1 if it would be new. */
static enum err start_refusal(const struct recording *r, const struct attach *a, int index)
{
	uint64_t accepted = index < 0 ? 0 : r->tracks[index].accepted;
	if (a->from != BYTES_UNKNOWN && a->from > accepted)
		return ERR_POSITION_CONFLICT;
	return index < 0 && r->info.track_count == LIMIT_TRACKS ? ERR_LIMIT_EXCEEDED : ERR_OK;
}

/* Late resume opens again what grace sealed, or makes a new track: to one that was ended it could bring nothing. */
static bool may_resume_late(const struct recording *r, const struct attach *a, int index)
{
	const struct recording_info *info = &r->info;
	int64_t age_ms = a->wall_ms - info->sealed_ms;
	return recording_whole(r) && !info->original_removed &&
	       phase_may(info->phase, PHASE_UPLOADING, info->sealed_by) && age_ms < (int64_t)r->late_ms &&
	       (index < 0 || info->tracks[index].sealed_by == SEALED_BY_GRACE);
}

enum recording_answer recording_resume_late(struct recording *r, int64_t wall_ms, struct effects *fx)
{
	const struct attach a = { .from = BYTES_UNKNOWN, .wall_ms = wall_ms };
	if (r->busy != BUSY_NONE)
		return ANSWER_WAIT;
	if (r->info.phase == PHASE_UPLOADING || !may_resume_late(r, &a, r->info.track_count ? 0 : -1))
		return ANSWER_DONE;
	r->busy = BUSY_REOPENING;
	effects_add(fx, (struct effect){ .type = EFFECT_REOPEN });
	return ANSWER_WAIT;
}

/* The recording is not `uploading`: answers from what it is, or begins a late resume. */
static enum recording_answer attach_finished(struct recording *r, const struct attach *a, struct effects *fx)
{
	const struct recording_info *info = &r->info;
	if (info->phase == PHASE_DELETED) {
		refuse(fx, a->conn, ERR_DELETED, BYTES_UNKNOWN);
		return ANSWER_DONE;
	}
	if (info->phase == PHASE_ABORTED) {
		effects_add(fx, (struct effect){ .type = EFFECT_ABORTED, .conn = a->conn });
		return ANSWER_DONE;
	}
	int index = track_index(r, a->track);
	uint64_t durable = index < 0 ? 0 : r->tracks[index].durable;
	if (may_resume_late(r, a, index)) {
		enum err err = start_refusal(r, a, index);
		if (err) {
			refuse(fx, a->conn, err, durable);
			return ANSWER_DONE;
		}
		r->busy = BUSY_REOPENING;
		effects_add(fx, (struct effect){ .type = EFFECT_REOPEN });
		return ANSWER_WAIT;
	}
	if (info->phase == PHASE_ERROR && (info->error == ERR_CHECKSUM_MISMATCH || !recording_whole(r)))
		/* what failed under it may be over, but not for this take */
		refuse(fx, a->conn, err_retry(info->error) ? ERR_POISONED : info->error,
		       index < 0 ? BYTES_UNKNOWN : durable);
	else if (index < 0)
		refuse(fx, a->conn, ERR_SEALED, BYTES_UNKNOWN);
	else
		effects_add(fx, (struct effect){ .type = EFFECT_SAVED, .conn = a->conn, .track = (uint16_t)index });
	return ANSWER_DONE;
}

/* The number of the track, made if it is new; -1 and an error in the effects if it can't be. */
static int track_for(struct recording *r, const struct attach *a, struct effects *fx)
{
	int index = track_index(r, a->track);
	enum err err = start_refusal(r, a, index);
	if (index >= 0 && r->tracks[index].stage != STAGE_OPEN)
		return index; /* it is answered by what it is */
	if (err) {
		refuse(fx, a->conn, err, index < 0 ? 0 : r->tracks[index].durable);
		return -1;
	}
	if (index >= 0)
		return index;
	if (tracks_fit(r, r->info.track_count + 1) || !recording_info_add_track(&r->info, a->track)) {
		refuse(fx, a->conn, ERR_NO_MEMORY, BYTES_UNKNOWN);
		return -1;
	}
	index = (int)r->info.track_count - 1;
	r->tracks[index] = fresh_track;
	effects_add(fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = (uint16_t)index });
	return index;
}

/* `started` leaves as soon as what it says is durable. */
static void start_when_durable(struct recording *r, uint16_t track, struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	if (!t->start_pending || t->durable < t->started_at)
		return;
	t->start_pending = false;
	effects_add(fx, (struct effect){ .type = EFFECT_STARTED,
					 .conn = t->conn,
					 .bytes = t->started_at,
					 .track = track,
					 .flag = t->resumed });
}

/* The first byte of an attachment that begins a part: only now is there a boundary, and its record stands before the
 * byte's. Marked by the `start` it could lie amid a part: a dead link's `start` may come after a newer attachment. */
static bool part_begin(struct recording *r, uint16_t track, struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	t->part_pending = false;
	if (!track_info_add_part(&r->info.tracks[track], t->accepted))
		return false;
	effects_add(fx, (struct effect){ .type = EFFECT_LOG_PART, .track = track, .bytes = t->accepted });
	return true;
}

enum recording_answer recording_attach(struct recording *r, const struct attach *a, uint64_t now, uint16_t *track,
				       struct effects *fx)
{
	*track = EFFECT_NO_TRACK;
	if (r->busy != BUSY_NONE)
		return ANSWER_WAIT;
	if (r->info.phase != PHASE_UPLOADING)
		return attach_finished(r, a, fx);
	uint32_t known = r->info.track_count;
	int index = track_for(r, a, fx);
	if (index < 0)
		return ANSWER_DONE;
	struct track_state *t = &r->tracks[index];
	if (t->stage == STAGE_SEALED) {
		effects_add(fx, (struct effect){ .type = EFFECT_SAVED, .conn = a->conn, .track = (uint16_t)index });
		return ANSWER_DONE;
	}
	if (t->stage != STAGE_OPEN)
		return ANSWER_WAIT;
	if (a->part && r->info.tracks[index].part_count >= LIMIT_PARTS) {
		refuse(fx, a->conn, ERR_LIMIT_EXCEEDED, t->durable);
		return ANSWER_DONE;
	}
	recording_drop_conn(r, (uint16_t)index, ERR_TAKEN_OVER, fx);
	t->epoch++;
	t->conn = a->conn;
	t->resumed = !a->created && (uint32_t)index < known;
	t->started_at = t->accepted;
	t->start_pending = true;
	t->part_pending = a->part && t->accepted > 0;
	r->info.tracks[index].total = BYTES_UNKNOWN; /* this attachment declares its own */
	r->info.tracks[index].has_declared_sha256 = false;
	deadline_update(r, now);
	*track = (uint16_t)index;
	start_when_durable(r, (uint16_t)index, fx);
	return ANSWER_DONE;
}

void recording_repeat(struct recording *r, uint16_t track, struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	if (t->stage != STAGE_OPEN) /* ended: `saved` is on its way */
		return;
	t->started_at = t->accepted;
	t->resumed = true;
	t->start_pending = true;
	start_when_durable(r, track, fx);
}

/* So many more bytes fit into what was declared. */
static uint64_t room_declared(const struct recording *r, uint16_t track)
{
	uint64_t total = r->info.tracks[track].total, length = BYTES_UNKNOWN;
	if (r->info.upload.kind != UPLOAD_NONE)
		length = r->info.upload.length;
	uint64_t least = total < length ? total : length, accepted = r->tracks[track].accepted;
	return least == BYTES_UNKNOWN ? BYTES_UNKNOWN : least > accepted ? least - accepted : 0;
}

bool recording_data(struct recording *r, uint16_t track, uint32_t epoch, uint64_t len, uint64_t now, struct effects *fx)
{
	assert(track < r->info.track_count);
	struct track_state *t = &r->tracks[track];
	if (epoch != t->epoch || !t->conn)
		return false;
	if (r->busy == BUSY_ABORTING || r->busy == BUSY_DELETING)
		return false; /* `aborted` or `deleted` is on its way */
	if (t->stage != STAGE_OPEN || r->busy != BUSY_NONE || r->info.phase != PHASE_UPLOADING) {
		effects_add(fx, (struct effect){ .type = EFFECT_ERROR,
						 .conn = t->conn,
						 .err = ERR_SEALED,
						 .bytes = t->durable,
						 .track = track });
		t->conn = 0; /* the seal goes on; its `saved` is answered to the next `start` */
		t->start_pending = t->ended = false;
		t->end_deadline = UINT64_MAX;
		return false;
	}
	if (len > room_declared(r, track)) {
		recording_drop_conn(r, track, ERR_TOTAL_MISMATCH, fx);
		deadline_update(r, now);
		return false;
	}
	if (t->part_pending && len > 0 && !part_begin(r, track, fx)) {
		recording_drop_conn(r, track, ERR_NO_MEMORY, fx);
		deadline_update(r, now);
		return false;
	}
	t->accepted += len;
	if (t->ended) {
		t->end_deadline = now + LIMIT_END_SILENCE_MS;
		if (t->accepted == r->info.tracks[track].total)
			recording_seal_track(r, track, SEALED_BY_END, fx);
	}
	return true;
}

void recording_unread(struct recording *r, uint16_t track, uint64_t now)
{
	struct track_state *t = &r->tracks[track];
	if (t->ended && t->end_deadline != UINT64_MAX)
		t->end_deadline = now + LIMIT_END_SILENCE_MS;
}

void recording_durable(struct recording *r, uint16_t track, uint64_t bytes, struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	assert(bytes >= t->durable && bytes <= t->accepted);
	t->durable = bytes;
	r->info.tracks[track].bytes = bytes;
	if (t->start_pending)
		start_when_durable(r, track, fx);
	else if (t->conn)
		effects_add(fx, (struct effect){ .type = EFFECT_ACK, .conn = t->conn, .bytes = bytes, .track = track });
	recording_seal_advance(r, track, fx);
	if (r->busy == BUSY_ABORTING)
		recording_abort_advance(r, fx);
}

void recording_end(struct recording *r, uint16_t track, uint64_t total, const struct sha256 *sha256, uint64_t now,
		   struct effects *fx)
{
	struct track_state *t = &r->tracks[track];
	struct track_info *info = &r->info.tracks[track];
	if (t->stage != STAGE_OPEN) {
		if (total != t->accepted) {
			/* somebody completed the take before its last bytes: the next `start` hears `saved` */
			bool early = total > t->accepted && t->sealing_by != SEALED_BY_END;
			recording_drop_conn(r, track, early ? ERR_SEALED : ERR_TOTAL_MISMATCH, fx);
			deadline_update(r, now);
		}
		return; /* `saved` is on its way */
	}
	if (r->busy != BUSY_NONE || r->info.phase != PHASE_UPLOADING)
		return; /* another track's client gave the recording up: `aborted` is on its way */
	bool other = r->info.upload.kind != UPLOAD_NONE && r->info.upload.length != BYTES_UNKNOWN &&
		     total != r->info.upload.length;
	if (total < t->accepted || other) {
		recording_drop_conn(r, track, ERR_TOTAL_MISMATCH, fx);
		deadline_update(r, now);
		return;
	}
	info->total = total;
	info->has_declared_sha256 = sha256 != NULL;
	if (sha256)
		info->declared_sha256 = *sha256;
	t->ended = true;
	t->end_deadline = now + LIMIT_END_SILENCE_MS;
	if (t->accepted == total)
		recording_seal_track(r, track, SEALED_BY_END, fx);
}

void recording_detach(struct recording *r, uint16_t track, uint64_t conn, uint64_t now, struct effects *fx)
{
	(void)fx;
	if (track >= r->info.track_count || r->tracks[track].conn != conn)
		return;
	struct track_state *t = &r->tracks[track];
	t->conn = 0;
	t->start_pending = t->ended = false;
	t->end_deadline = UINT64_MAX;
	deadline_update(r, now);
}

void recording_detach_all(struct recording *r, enum err err, uint64_t now, struct effects *fx)
{
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		if (r->tracks[i].stage == STAGE_OPEN)
			recording_drop_conn(r, (uint16_t)i, err, fx);
	}
	deadline_update(r, now);
}

enum recording_answer recording_lapse(struct recording *r, struct effects *fx)
{
	if (!recording_at_rest(r))
		return ANSWER_WAIT;
	if (r->info.phase != PHASE_UPLOADING)
		return ANSWER_DONE;
	r->idle_deadline = UINT64_MAX;
	if (!has_bytes(r))
		return recording_abort(r, "empty", fx);
	recording_seal_whole(r, SEALED_BY_GRACE, fx);
	return ANSWER_DONE;
}

void recording_tick(struct recording *r, uint64_t now, struct effects *fx)
{
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		struct track_state *t = &r->tracks[i];
		if (t->stage != STAGE_OPEN || now < t->end_deadline)
			continue;
		recording_drop_conn(r, (uint16_t)i, ERR_BYTES_MISSING, fx);
		deadline_update(r, now);
	}
	if (r->frozen_ms == UINT64_MAX && now >= r->idle_deadline && recording_lapse(r, fx) == ANSWER_WAIT)
		r->idle_deadline = now + r->grace_ms;
}

uint64_t recording_next_wake(const struct recording *r)
{
	uint64_t wake = r->frozen_ms == UINT64_MAX ? r->idle_deadline : UINT64_MAX;
	for (uint32_t i = 0; i < r->info.track_count; i++) {
		const struct track_state *t = &r->tracks[i];
		if (t->stage == STAGE_OPEN && t->end_deadline < wake)
			wake = t->end_deadline;
	}
	return wake;
}

uint64_t recording_time_left(const struct recording *r, uint64_t now)
{
	uint64_t from = r->frozen_ms == UINT64_MAX ? now : r->frozen_ms;
	if (r->idle_deadline == UINT64_MAX)
		return UINT64_MAX;
	return r->idle_deadline > from ? r->idle_deadline - from : 0;
}
