/* The storage of the take's model: a journal that keeps its order, a catalog that may try again later, a pool that
 * hashes when it likes; and a power cut. */
#include "support/take_model_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct sha256 model_sha(uint16_t track, uint64_t bytes)
{
	struct sha256 sha = { .bytes = { (uint8_t)track, (uint8_t)bytes, (uint8_t)(bytes >> 8),
					 (uint8_t)(bytes >> 16) } };
	return sha;
}

bool model_at_rest(const struct take_model *m)
{
	for (uint32_t i = 0; i < m->r.info.track_count; i++) {
		enum seal_stage stage = m->r.tracks[i].stage;
		if (stage != STAGE_OPEN && stage != STAGE_SEALED)
			return false;
	}
	return m->r.busy == BUSY_NONE;
}

bool model_owed(const struct take_model *m)
{
	for (uint32_t i = 0; i < m->r.info.track_count; i++) {
		if (m->r.tracks[i].durable < m->r.tracks[i].accepted)
			return true;
	}
	return m->owed_count > 0;
}

static bool is_whole(enum effect_type type)
{
	return type == EFFECT_LOG_SEAL_WHOLE || type == EFFECT_CLAIM || type == EFFECT_REOPEN ||
	       type == EFFECT_LOG_ABORT;
}

void model_submit(struct take_model *m, const struct effect *fx)
{
	if (fx->type == EFFECT_IDLE) {
		for (int i = 0; i < CONNS; i++)
			m->conns[i].waits = false;
		return;
	}
	if (fx->type == EFFECT_LOG_OPEN || fx->type == EFFECT_LOG_PART)
		return;
	for (unsigned i = 0; i < m->owed_count && is_whole(fx->type); i++)
		model_check(m, !is_whole(m->owed[i].type), "one change of state at a time");
	assert(m->owed_count < PENDING);
	struct model_owed *o = &m->owed[m->owed_count++];
	*o = (struct model_owed){ .type = fx->type, .track = fx->track };
	o->in_journal = fx->type != EFFECT_SPOOL && fx->type != EFFECT_PUT_TRACKS && fx->type != EFFECT_CLAIM &&
			fx->type != EFFECT_FAIL;
	if (fx->type == EFFECT_CLAIM)
		o->view = recording_sealed_view(&m->r, m->wall);
	o->view.error = fx->type == EFFECT_FAIL ? fx->err : o->view.error;
}

static void forget(struct take_model *m, unsigned at)
{
	memmove(&m->owed[at], &m->owed[at + 1], (m->owed_count - at - 1) * sizeof m->owed[0]);
	m->owed_count--;
}

/* --- the catalog --- */

static bool row_move(struct take_model *m, enum phase to)
{
	if (!phase_may(m->row.phase, to, m->row.sealed_by))
		return false;
	m->row.phase = to;
	m->row.error = ERR_OK;
	return true;
}

static void row_claim(struct take_model *m, const struct model_owed *o)
{
	bool again = m->row.phase == PHASE_ERROR;
	bool newer = o->view.revision > m->row.revision || (again && o->view.revision == m->row.revision);
	if (!newer || !row_move(m, o->view.phase))
		return;
	model_check(m, again || o->view.revision == m->row.revision + 1, "each seal is the next revision");
	m->row.sealed_by = o->view.sealed_by;
	m->row.interrupted = o->view.sealed_by == SEALED_BY_GRACE;
	m->row.revision = o->view.revision;
	m->row.sealed_ms = o->view.sealed_ms;
	m->row.error = o->view.error;
	m->counts->claims++;
	for (uint32_t i = 0; i < m->r.info.track_count; i++)
		m->told[i] = true;
}

static void row_reopen(struct take_model *m)
{
	if (!row_move(m, PHASE_UPLOADING))
		return;
	m->row.sealed_by = SEALED_BY_NONE;
	m->row.interrupted = false;
	m->counts->reopened++;
	for (uint32_t i = 0; i < m->r.info.track_count; i++) {
		if (m->r.info.tracks[i].sealed_by == SEALED_BY_GRACE)
			m->told[i] = m->logged[i] = false;
	}
}

/* The transaction itself; answers come behind it. */
static void row_do(struct take_model *m, const struct model_owed *o)
{
	switch (o->type) {
	case EFFECT_PUT_TRACKS:
		m->told[o->track] = true;
		break;
	case EFFECT_CLAIM:
		row_claim(m, o);
		break;
	case EFFECT_REOPEN:
		row_reopen(m);
		break;
	case EFFECT_LOG_ABORT:
		m->counts->aborted += row_move(m, PHASE_ABORTED);
		break;
	case EFFECT_FAIL:
		if (row_move(m, PHASE_ERROR))
			m->row.error = o->view.error;
		break;
	default:
		assert(!"no transaction");
	}
}

static struct recording_info row_info(const struct take_model *m)
{
	return (struct recording_info){
		.phase = m->row.phase,
		.sealed_by = m->row.sealed_by,
		.interrupted = m->row.interrupted,
		.revision = m->row.revision,
		.sealed_ms = m->row.sealed_ms,
		.error = m->row.error,
		.updated_ms = m->wall,
	};
}

static void answer_catalog(struct take_model *m, const struct model_owed *o)
{
	row_do(m, o);
	struct recording_info row = row_info(m);
	if (o->type == EFFECT_PUT_TRACKS)
		recording_tracks_put(&m->r, o->track, m->now, &m->fx);
	else if (o->type == EFFECT_CLAIM)
		recording_claimed(&m->r, &row, m->now, &m->fx);
	else if (o->type == EFFECT_REOPEN)
		recording_reopened(&m->r, &row, m->now, &m->fx);
	else if (o->type == EFFECT_LOG_ABORT)
		recording_aborted(&m->r, &row, &m->fx);
}

/* --- journal and pool --- */

static void answer_journal(struct take_model *m, unsigned at)
{
	struct model_owed o = m->owed[at];
	if (o.type == EFFECT_REOPEN || o.type == EFFECT_LOG_ABORT) {
		m->owed[at].in_journal = false; /* journal first, catalog behind */
		return;
	}
	forget(m, at);
	if (o.type == EFFECT_LOG_SEAL_TRACK)
		m->logged[o.track] = true;
	recording_logged(&m->r, o.type == EFFECT_LOG_SEAL_WHOLE ? RECORDING_WHOLE : o.track, m->now, &m->fx);
}

static void answer_hash(struct take_model *m, unsigned at)
{
	struct model_owed o = m->owed[at];
	forget(m, at);
	struct sha256 sha = model_sha(o.track, m->r.tracks[o.track].durable);
	recording_hashed(&m->r, o.track, &sha, &m->fx);
}

void model_answer(struct take_model *m)
{
	if (m->owed_count == 0)
		return;
	unsigned at = take_model_random(m, m->owed_count);
	if (m->owed[at].in_journal) { /* in its order */
		for (at = 0; !m->owed[at].in_journal; at++)
			;
	}
	struct model_owed o = m->owed[at];
	model_trace(m, "storage: %d t%d %s", o.type, o.track, o.in_journal ? "journaled" : "done");
	if (o.in_journal) {
		answer_journal(m, at);
	} else if (o.type == EFFECT_SPOOL) {
		answer_hash(m, at);
	} else {
		forget(m, at);
		answer_catalog(m, &o);
	}
}

/* --- others at work on it --- */

void model_work(struct take_model *m)
{
	static const enum phase next[PHASE_COUNT] = {
		[PHASE_QUEUED] = PHASE_PROCESSING,
		[PHASE_PROCESSING] = PHASE_GENERATING_THUMBNAIL,
		[PHASE_GENERATING_THUMBNAIL] = PHASE_COMPLETE,
	};
	enum phase to = next[m->row.phase];
	if (take_model_random(m, 6) == 0 && m->row.phase != PHASE_COMPLETE)
		to = PHASE_ERROR;
	bool in_step = m->r.busy == BUSY_NONE && m->r.info.phase == m->row.phase && m->row.phase != PHASE_UPLOADING;
	if (!in_step || to == PHASE_UPLOADING || !row_move(m, to))
		return;
	model_trace(m, "worker: phase %d", to);
	m->row.error = to == PHASE_ERROR ? ERR_INTERNAL : ERR_OK;
	m->r.info.phase = to;
	m->r.info.error = m->row.error;
}

void model_delete(struct take_model *m)
{
	if (!model_at_rest(m) || m->owed_count > 0 || !row_move(m, PHASE_DELETED))
		return;
	model_trace(m, "delete");
	recording_detach_all(&m->r, ERR_DELETED, m->now, &m->fx);
	m->r.info.phase = PHASE_DELETED;
	m->r.info.error = ERR_OK;
	m->r.idle_deadline = UINT64_MAX;
}

/* What recovery makes of the catalog: what the journal has is done, what only the catalog was asked is lost. */
static void recover_row(struct take_model *m)
{
	for (unsigned i = 0; i < m->owed_count; i++) {
		struct model_owed *o = &m->owed[i];
		bool known = o->type == EFFECT_PUT_TRACKS || o->type == EFFECT_REOPEN || o->type == EFFECT_LOG_ABORT ||
			     (o->type == EFFECT_CLAIM && m->row.phase == PHASE_UPLOADING);
		if (known && !o->in_journal)
			row_do(m, o);
	}
	m->owed_count = 0;
}

static void recover_track(struct take_model *m, struct recording_info *info, uint32_t i)
{
	struct track_info *track = &info->tracks[i];
	track->bytes = m->r.tracks[i].durable;
	bool open = m->row.phase == PHASE_UPLOADING && track->sealed_by != SEALED_BY_END;
	m->logged[i] = m->logged[i] && !open;
	m->told[i] = m->logged[i];
	if (m->logged[i])
		return;
	track->sealed = track->has_sha256 = false;
	track->sealed_by = SEALED_BY_NONE;
}

void model_restart(struct take_model *m)
{
	struct recording_info info;
	model_trace(m, "restart");
	recover_row(m);
	enum err err = recording_info_copy(&info, &m->r.info);
	assert(err == ERR_OK);
	struct recording_info row = row_info(m);
	info.phase = row.phase;
	info.sealed_by = row.sealed_by;
	info.interrupted = row.interrupted;
	info.revision = row.revision;
	info.sealed_ms = row.sealed_ms;
	info.error = row.error;
	for (uint32_t i = 0; i < info.track_count; i++)
		recover_track(m, &info, i);
	recording_release(&m->r);
	memset(m->conns, 0, sizeof m->conns);
	memset(m->epochs, 0, sizeof m->epochs);
	err = recording_init(&m->r, &info, MODEL_GRACE, MODEL_LATE);
	assert(err == ERR_OK);
	m->phase = m->r.info.phase;
	m->by = m->r.info.sealed_by;
	for (uint32_t i = 0; i < m->r.info.track_count; i++) {
		m->accepted[i] = m->r.tracks[i].accepted;
		m->stage[i] = m->r.tracks[i].stage;
	}
	m->counts->restarts++;
	recording_listen(&m->r, m->now, &m->fx);
}
