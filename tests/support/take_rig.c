/* See take_rig.h. */
#include "support/take_rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void declare(struct recording_info *info, const char *names)
{
	info->declared_tracks = calloc(LIMIT_TRACKS, sizeof *info->declared_tracks);
	assert(info->declared_tracks);
	while (*names) {
		size_t len = strcspn(names, " ");
		info->declared_tracks[info->declared_count++] = strndup(names, len);
		names += len + strspn(names + len, " ");
	}
}

void take_rig_init(struct take_rig *t, const char *declared)
{
	struct recording_info info = { .phase = PHASE_UPLOADING };
	memset(t, 0, sizeof *t);
	effects_init(&t->fx);
	t->now = 1000;
	t->wall = 1700000000000;
	if (declared)
		declare(&info, declared);
	enum err err = recording_init(&t->r, &info, TAKE_GRACE, TAKE_LATE);
	assert(err == ERR_OK);
	recording_listen(&t->r, t->now, &t->fx);
}

void take_rig_release(struct take_rig *t)
{
	recording_release(&t->r);
	effects_release(&t->fx);
}

static int format_bytes(char *out, size_t room, uint64_t bytes)
{
	return bytes == UINT64_MAX ? snprintf(out, room, "-") : snprintf(out, room, "%llu", (unsigned long long)bytes);
}

static void format_conn(char *out, size_t room, const struct effect *fx)
{
	unsigned conn = (unsigned)fx->conn, track = fx->track;
	char bytes[24];
	format_bytes(bytes, sizeof bytes, fx->bytes);
	switch (fx->type) {
	case EFFECT_STARTED:
		snprintf(out, room, "started c%u t%u %s %s", conn, track, bytes, fx->flag ? "resumed" : "new");
		break;
	case EFFECT_ACK:
		snprintf(out, room, "ack c%u t%u %s", conn, track, bytes);
		break;
	case EFFECT_SAVED:
		snprintf(out, room, "saved c%u t%u", conn, track);
		break;
	case EFFECT_ABORTED:
		snprintf(out, room, "aborted c%u", conn);
		break;
	case EFFECT_ERROR:
		snprintf(out, room, "error c%u %s %s", conn, err_code(fx->err), bytes);
		break;
	default:
		snprintf(out, room, "?");
	}
}

static void format_storage(char *out, size_t room, const struct effect *fx)
{
	unsigned track = fx->track;
	switch (fx->type) {
	case EFFECT_LOG_OPEN:
		snprintf(out, room, "open t%u", track);
		break;
	case EFFECT_LOG_PART:
		snprintf(out, room, "part t%u %llu", track, (unsigned long long)fx->bytes);
		break;
	case EFFECT_SPOOL:
		snprintf(out, room, "hash t%u", track);
		break;
	case EFFECT_LOG_SEAL_TRACK:
		snprintf(out, room, "seal t%u", track);
		break;
	case EFFECT_PUT_TRACKS:
		snprintf(out, room, "put t%u", track);
		break;
	case EFFECT_FAIL:
		snprintf(out, room, "fail %s", err_code(fx->err));
		break;
	default: {
		static const char *const plain[] = {
			[EFFECT_LOG_SEAL_WHOLE] = "seal whole", [EFFECT_CLAIM] = "claim", [EFFECT_REOPEN] = "reopen",
			[EFFECT_LOG_ABORT] = "log abort",	[EFFECT_IDLE] = "idle",
		};
		snprintf(out, room, "%s", plain[fx->type]);
	}
	}
}

const char *take_rig_line(struct take_rig *t)
{
	const struct effect *fx;
	size_t len = 0;
	t->line[0] = '\0';
	while ((fx = effects_drain(&t->fx))) {
		char text[80];
		if (fx->type < EFFECT_LOG_OPEN)
			format_conn(text, sizeof text, fx);
		else
			format_storage(text, sizeof text, fx);
		len += (size_t)snprintf(t->line + len, sizeof t->line - len, "%s%s", len ? ", " : "", text);
		assert(len < sizeof t->line);
	}
	return t->line;
}

void take_rig_forget(struct take_rig *t)
{
	while (effects_drain(&t->fx))
		;
}

uint16_t take_rig_attach(struct take_rig *t, uint64_t conn, const char *track)
{
	struct attach a = { .conn = conn, .track = track, .from = BYTES_UNKNOWN, .wall_ms = t->wall };
	uint16_t number;
	if (recording_attach(&t->r, &a, t->now, &number, &t->fx) == ANSWER_WAIT) {
		assert(number == EFFECT_NO_TRACK);
		return TAKE_RIG_WAIT;
	}
	return number;
}

bool take_rig_data(struct take_rig *t, uint16_t track, uint64_t len)
{
	return recording_data(&t->r, track, t->r.tracks[track].epoch, len, t->now, &t->fx);
}

void take_rig_durable(struct take_rig *t, uint16_t track)
{
	recording_durable(&t->r, track, t->r.tracks[track].accepted, &t->fx);
}

void take_rig_end(struct take_rig *t, uint16_t track, uint64_t total)
{
	recording_end(&t->r, track, total, NULL, t->now, &t->fx);
}

enum complete_answer take_rig_complete(struct take_rig *t, enum err *err)
{
	*err = ERR_OK;
	struct completion bare = { .wall_ms = t->wall };
	return recording_complete(&t->r, &bare, err, &t->fx);
}

void take_rig_pass(struct take_rig *t, uint64_t ms)
{
	t->now += ms;
	t->wall += (int64_t)ms;
	recording_tick(&t->r, t->now, &t->fx);
}

struct sha256 take_rig_sha(unsigned value)
{
	struct sha256 sha = { .bytes = { (uint8_t)(value + 1), 0x5a } };
	return sha;
}

void take_rig_hashed(struct take_rig *t, uint16_t track)
{
	struct sha256 sha = take_rig_sha(track);
	recording_hashed(&t->r, track, &sha, &t->fx);
}

void take_rig_logged(struct take_rig *t, uint16_t track)
{
	if (track != RECORDING_WHOLE)
		t->logged[track] = true;
	recording_logged(&t->r, track, t->now, &t->fx);
}

void take_rig_put(struct take_rig *t, uint16_t track)
{
	recording_tracks_put(&t->r, track, t->now, &t->fx);
}

void take_rig_claimed(struct take_rig *t)
{
	struct recording_info row = recording_sealed_view(&t->r, t->wall);
	row.error_message = NULL;
	recording_claimed(&t->r, &row, t->now, &t->fx);
}

void take_rig_reopened(struct take_rig *t)
{
	struct recording_info row = t->r.info;
	row.phase = PHASE_UPLOADING;
	row.sealed_by = SEALED_BY_NONE;
	row.interrupted = false;
	row.error = ERR_OK;
	row.error_message = NULL;
	memset(t->logged, 0, sizeof t->logged);
	recording_reopened(&t->r, &row, t->now, &t->fx);
}

void take_rig_aborted(struct take_rig *t)
{
	struct recording_info row = t->r.info;
	row.phase = PHASE_ABORTED;
	row.error = ERR_OK;
	recording_aborted(&t->r, &row, &t->fx);
}

void take_rig_seal_main(struct take_rig *t)
{
	if (t->r.tracks[0].stage == STAGE_DRAIN)
		take_rig_durable(t, 0);
	take_rig_hashed(t, 0);
	take_rig_logged(t, 0);
	take_rig_logged(t, RECORDING_WHOLE);
	take_rig_claimed(t);
	take_rig_forget(t);
}

void take_rig_restart(struct take_rig *t)
{
	struct recording_info info;
	enum err err = recording_info_copy(&info, &t->r.info);
	assert(err == ERR_OK);
	for (uint32_t i = 0; i < info.track_count; i++) {
		info.tracks[i].bytes = t->r.tracks[i].durable;
		bool sealing = info.phase == PHASE_UPLOADING && info.tracks[i].sealed_by != SEALED_BY_END;
		if (t->logged[i] && !sealing)
			continue;
		info.tracks[i].sealed = info.tracks[i].has_sha256 = false;
		info.tracks[i].sealed_by = SEALED_BY_NONE;
	}
	recording_release(&t->r);
	take_rig_forget(t);
	err = recording_init(&t->r, &info, TAKE_GRACE, TAKE_LATE);
	assert(err == ERR_OK);
	recording_listen(&t->r, t->now, &t->fx);
}
