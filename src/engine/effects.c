/* Carries out what the core decided: replies, journal records, transactions. */
#include "engine/internal.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- journal records about a take --- */

static void in_flight_go(struct engine *e, struct take *t, struct position at, uint16_t what,
			 void (*go)(struct engine *e, struct take *t, uint16_t what))
{
	take_pin(t);
	in_flight_push(e, (struct in_flight){ .take = t, .sequence = at.sequence, .go = go, .what = what });
}

/* A record whose payload is the recording as `info` shows it: replay takes the newest one. */
static struct position log_manifest(struct engine *e, struct take *t, enum record_type type, uint16_t track,
				    const struct recording_info *info)
{
	char *text = must(manifest_format(info));
	struct iovec iov = { text, strlen(text) };
	struct record record = {
		.type = type,
		.track = track,
		.recording = info->id,
		.offset = track == RECORD_WHOLE ? 0 : info->tracks[track].bytes,
		.payload = &iov,
		.payload_count = 1,
		.payload_len = (uint32_t)iov.iov_len,
		.owned = text,
	};
	t->manifest_dirty = true;
	return journal_append(e->journal, &record);
}

/* The recording as a record of its seal, abort or reopening shows it, until the catalog has it too: what a checkpoint
 * in between must write to recording.json, because it may recycle the record. */
static void logged_set(struct take *t, const struct recording_info *view)
{
	if (!t->logged)
		t->logged = must(calloc(1, sizeof *t->logged));
	recording_info_release(t->logged);
	must(recording_info_copy(t->logged, view) ? NULL : t->logged);
}

void take_logged_clear(struct take *t)
{
	if (t->logged)
		recording_info_release(t->logged);
	free(t->logged);
	t->logged = NULL;
	t->manifest_dirty = true;
}

static void log_part(struct engine *e, struct take *t, uint16_t track, uint64_t offset)
{
	struct record record = { .type = RECORD_PART, .track = track, .recording = t->rec.info.id, .offset = offset };
	t->manifest_dirty = true;
	t->opened = journal_append(e->journal, &record);
}

static void sealed_go(struct engine *e, struct take *t, uint16_t what)
{
	recording_logged(&t->rec, what, e->now.mono_ms, &e->fx);
	effects_run(e, t);
}

/* --- transactions about a take --- */

struct take_op {
	struct catalog_op op;
	enum effect_type kind;
	struct take *take;
	uint16_t track;
	struct recording_info info; /* a copy: the lane reads it while the loop goes on */
	char *reason;
	bool on_air; /* it fails under a show that goes on */
	enum catalog_outcome outcome;
	struct recording_info row;
};

static enum err take_op_run(struct catalog *c, struct catalog_op *op)
{
	struct take_op *o = (struct take_op *)op;
	const struct recording_info *info = &o->info;
	recording_info_release(&o->row);
	switch (o->kind) {
	case EFFECT_PUT_TRACKS:
		return c->ops->put_tracks(c, info);
	case EFFECT_CLAIM: {
		struct catalog_seal seal = {
			.id = info->id,
			.by = info->sealed_by,
			.revision = info->revision,
			.tracks = info->tracks,
			.track_count = info->track_count,
			.mime = info->mime,
			.shift = info->shift,
			.error = info->error,
			.error_message = info->error ? err_text(info->error) : NULL,
			.now_ms = info->updated_ms,
		};
		return c->ops->claim(c, &seal, &o->outcome, &o->row);
	}
	case EFFECT_REOPEN:
		return c->ops->reopen(c, &info->id, info->updated_ms, &o->outcome, &o->row);
	case EFFECT_LOG_ABORT: {
		/* the bytes stay for download: the row must know them once the take has left memory */
		enum err err = c->ops->put_tracks(c, info);
		return err ? err : c->ops->abort(c, &info->id, o->reason, info->updated_ms, &o->outcome, &o->row);
	}
	case EFFECT_FAIL: {
		enum err err = c->ops->put_tracks(c, info);
		if (err == ERR_NOT_FOUND) /* deleted meanwhile */
			return ERR_OK;
		if (!err)
			err = c->ops->fail(c, &info->id, info->error, err_text(info->error), info->updated_ms,
					   &o->outcome, &o->row);
		/* one that only brings the row more bytes comes later, perhaps behind the end of the show */
		bool first = o->on_air && o->outcome == CATALOG_CHANGED;
		return err || !first ? err : c->ops->show_failed(c, info->show, info->version, info->updated_ms);
	}
	default:
		assert(!"an effect that is no transaction");
		return ERR_INTERNAL;
	}
}

static void take_op_done(struct engine *e, struct catalog_op *op)
{
	struct take_op *o = (struct take_op *)op;
	struct take *t = o->take;
	if (op->err && !e->failed) {
		catalog_again(e, op);
		return;
	}
	if (!op->err && !t->gone) {
		switch (o->kind) {
		case EFFECT_PUT_TRACKS:
			t->rec.info.updated_ms = o->info.updated_ms;
			recording_tracks_put(&t->rec, o->track, e->now.mono_ms, &e->fx);
			break;
		case EFFECT_CLAIM:
			t->claim_lost = o->outcome == CATALOG_UNCHANGED;
			recording_claimed(&t->rec, &o->row, e->now.mono_ms, &e->fx);
			jobs_wanted(e);
			break;
		case EFFECT_REOPEN:
			recording_reopened(&t->rec, &o->row, e->now.mono_ms, &e->fx);
			if (o->outcome == CATALOG_CHANGED)
				jobs_fence(e, &t->rec.info.id);
			break;
		case EFFECT_LOG_ABORT:
			recording_aborted(&t->rec, &o->row, &e->fx);
			break;
		case EFFECT_FAIL:
			t->failing = false;
			spool_failed_lengths(t, &t->rec.info);
			if (o->outcome == CATALOG_CHANGED) {
				t->rec.info.updated_ms = o->info.updated_ms;
				jobs_fence(e, &t->rec.info.id);
			}
			break;
		default:
			break;
		}
		if (o->kind != EFFECT_PUT_TRACKS)
			take_logged_clear(t);
		effects_run(e, t);
		if (o->kind == EFFECT_FAIL)
			take_wake(e, t, ERR_OK);
		if (take_finished(t)) {
			e->finished_count++;
			checkpoint_maybe(e);
		}
	}
	recording_info_release(&o->info);
	recording_info_release(&o->row);
	free(o->reason);
	free(o);
	take_unpin(e, t);
}

static void take_transact(struct engine *e, struct take *t, enum effect_type kind, uint16_t track,
			  const struct recording_info *info)
{
	struct take_op *o = must(calloc(1, sizeof *o));
	o->op.run = take_op_run;
	o->op.done = take_op_done;
	o->op.take = t;
	o->kind = kind;
	o->take = t;
	o->track = track;
	must(recording_info_copy(&o->info, info) ? NULL : o);
	o->info.updated_ms = engine_wall(e);
	if (kind == EFFECT_FAIL)
		spool_failed_lengths(t, &o->info);
	t->failing = t->failing || kind == EFFECT_FAIL;
	o->on_air = kind == EFFECT_FAIL && shows_on_air(e, t);
	if (kind == EFFECT_LOG_ABORT)
		o->reason = must(strdup(t->rec.info.abort_reason ? t->rec.info.abort_reason : ""));
	take_pin(t);
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

static void reopen_go(struct engine *e, struct take *t, uint16_t what)
{
	(void)what;
	take_transact(e, t, EFFECT_REOPEN, 0, &t->rec.info);
}

static void abort_go(struct engine *e, struct take *t, uint16_t what)
{
	(void)what;
	take_transact(e, t, EFFECT_LOG_ABORT, 0, &t->rec.info);
}

/* Journal first, catalog behind: the catalog never leads. */
static void log_reopen(struct engine *e, struct take *t)
{
	struct recording_info view;
	must(recording_info_copy(&view, &t->rec.info) ? NULL : t);
	view.phase = PHASE_UPLOADING;
	view.updated_ms = engine_wall(e);
	for (uint32_t i = 0; i < view.track_count; i++) {
		if (view.tracks[i].sealed_by != SEALED_BY_GRACE)
			continue;
		view.tracks[i].sealed = false;
		view.tracks[i].sealed_by = SEALED_BY_NONE;
	}
	t->opened = log_manifest(e, t, RECORD_OPEN, RECORD_WHOLE, &view);
	logged_set(t, &view);
	recording_info_release(&view);
	in_flight_go(e, t, t->opened, 0, reopen_go);
}

static void log_abort(struct engine *e, struct take *t)
{
	struct recording_info view = t->rec.info;
	view.phase = PHASE_ABORTED;
	view.updated_ms = engine_wall(e);
	logged_set(t, &view);
	in_flight_go(e, t, log_manifest(e, t, RECORD_ABORT, RECORD_WHOLE, &view), 0, abort_go);
}

static void log_seal(struct engine *e, struct take *t, uint16_t track)
{
	struct recording_info view = t->rec.info;
	if (track == RECORD_WHOLE) {
		view = recording_sealed_view(&t->rec, engine_wall(e));
		logged_set(t, &view);
	}
	in_flight_go(e, t, log_manifest(e, t, RECORD_SEAL, track, &view), track, sealed_go);
}

static void claim(struct engine *e, struct take *t)
{
	struct recording_info view = recording_sealed_view(&t->rec, engine_wall(e));
	take_transact(e, t, EFFECT_CLAIM, 0, &view);
}

/* --- the queue --- */

/* As the connection counts. */
static uint64_t shifted(const struct take *t, uint64_t bytes)
{
	return t && bytes != BYTES_UNKNOWN ? bytes + t->rec.info.shift : bytes;
}

static void to_conn(struct engine *e, struct take *t, const struct effect *fx)
{
	struct conn *c = conn_find(e, fx->conn);
	if (!c)
		return;
	switch (fx->type) {
	case EFFECT_STARTED:
		c->start_ready = true;
		c->start_bytes = fx->bytes;
		c->start_resumed = fx->flag;
		conn_send_started(e, c);
		break;
	case EFFECT_ACK:
		if (c->inner && c->inner->acked)
			c->inner->acked(e, c, fx->bytes);
		if (c->session.state == SESSION_OPEN && !c->inner && !c->moving && !c->off_air &&
		    (!c->hosting || fx->bytes + t->rec.info.shift > c->stream_from)) {
			if (c->hosting)
				replies_release(e); /* a `moved` that this commit lets go was said before */
			reply_ack(e, c->id, fx->bytes + t->rec.info.shift,
				  (struct position){ journal_durable(e->journal) });
		}
		break;
	case EFFECT_SAVED:
		conn_send_saved(e, c, t, fx->track);
		break;
	case EFFECT_ABORTED:
		conn_send_aborted(e, c, t);
		break;
	case EFFECT_ERROR:
		if (!t || !shows_keep(e, c, t, fx->err))
			conn_error(e, c, fx->err, NULL, shifted(t, fx->bytes));
		break;
	case EFFECT_PING:
		if (c->inner)
			session_heard(&c->session);
		else if (!c->closed)
			e->config.callbacks.ping(e->config.callbacks.arg, c->id);
		break;
	case EFFECT_CLOSE:
		if (c->closed)
			engine_conn_closed(e, c->id, e->now);
		else
			e->config.callbacks.close(e->config.callbacks.arg, c->id, ENGINE_CLOSE_POLICY);
		break;
	default:
		assert(!"no effect for a connection");
	}
}

static void to_storage(struct engine *e, struct take *t, const struct effect *fx)
{
	switch (fx->type) {
	case EFFECT_LOG_OPEN:
		t->opened = log_manifest(e, t, RECORD_OPEN, RECORD_WHOLE, &t->rec.info);
		break;
	case EFFECT_LOG_PART:
		log_part(e, t, fx->track, fx->bytes);
		break;
	case EFFECT_SPOOL:
		spool_hash(e, take_io(e, t, fx->track));
		break;
	case EFFECT_LOG_SEAL_TRACK:
		log_seal(e, t, fx->track);
		break;
	case EFFECT_LOG_SEAL_WHOLE:
		log_seal(e, t, RECORD_WHOLE);
		break;
	case EFFECT_PUT_TRACKS:
		t->manifest_dirty = t->manifest_dirty || t->rec.busy == BUSY_DECLARING;
		take_transact(e, t, EFFECT_PUT_TRACKS, fx->track, &t->rec.info);
		break;
	case EFFECT_CLAIM:
		claim(e, t);
		break;
	case EFFECT_REOPEN:
		log_reopen(e, t);
		break;
	case EFFECT_LOG_ABORT:
		log_abort(e, t);
		break;
	case EFFECT_FAIL:
		take_transact(e, t, EFFECT_FAIL, 0, &t->rec.info);
		break;
	case EFFECT_IDLE:
		take_wake(e, t, ERR_OK);
		break;
	default:
		assert(!"no effect for storage");
	}
}

void effects_run(struct engine *e, struct take *t)
{
	const struct effect *next;
	if (t)
		take_pin(t);
	while ((next = effects_drain(&e->fx))) {
		struct effect fx = *next; /* the queue may move under it */
		if (fx.type < EFFECT_LOG_OPEN)
			to_conn(e, t, &fx);
		else
			to_storage(e, t, &fx);
	}
	if (t) {
		engine_rearm_take(e, t);
		take_unpin(e, t);
	}
}
