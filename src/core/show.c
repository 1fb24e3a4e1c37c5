/* The show machine, see show.h: how its versions begin and end. Its hosts are in hosting.c, what waits in asking.c. */
#include "core/hosting.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool show_name_valid(const char *name)
{
	size_t len = strlen(name);
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	return len >= 1 && len <= LIMIT_SHOW_CHARS && name[0] != '.' && strspn(name, set) == len;
}

struct show_view show_view(const struct show *s)
{
	struct show_view v = { .state = s->state, .take = s->take, .version = s->version, .turn = s->turn };
	if (s->take == SHOW_TAKE_FAILED)
		v.error = s->error;
	if (s->state == SHOW_STARTING || s->state == SHOW_OFF)
		v = (struct show_view){ .version = s->version }; /* whose turn it was concerns nobody any more */
	return v;
}

void show_tell(const struct show *s, const struct show_view *before, struct show_effects *fx)
{
	struct show_view v = show_view(s);
	if (v.state != before->state || v.take != before->take || v.error != before->error ||
	    v.version != before->version || v.turn != before->turn)
		show_effects_add(fx, (struct show_effect){ .type = SHOW_EFFECT_STATUS });
}

uint32_t show_beginning(const struct show *s)
{
	if (!s->begin)
		return 0;
	return s->begin == SHOW_BEGIN_AGAIN ? s->version : s->version + 1;
}

void show_begin(struct show *s, enum show_begin kind, struct show_effects *fx)
{
	assert(!s->begin && s->take != SHOW_TAKE_RECORDING && s->version < UINT32_MAX);
	s->begin = kind;
	s->begin_named = kind != SHOW_BEGIN_AGAIN && s->session && !s->session_used;
	s->session_used = s->session_used || s->begin_named || kind == SHOW_BEGIN_AGAIN;
	show_effects_add(fx,
			 (struct show_effect){ .type = SHOW_EFFECT_BEGIN,
					       .version = show_beginning(s),
					       .first = s->first,
					       .id = kind == SHOW_BEGIN_AGAIN ? s->id : (struct uuid){ .bytes = { 0 } },
					       .again = kind == SHOW_BEGIN_AGAIN,
					       .named = s->begin_named });
}

void show_finalise(struct show *s, enum show_why why, bool asked, struct show_effects *fx)
{
	if (s->take != SHOW_TAKE_RECORDING)
		return; /* there is none, or it failed and was finalised then */
	s->take = SHOW_TAKE_NONE;
	s->ended = why;
	s->settled = false;
	if (!asked)
		show_effects_add(fx, (struct show_effect){ .type = SHOW_EFFECT_FINALISE,
							   .version = s->version,
							   .id = s->id,
							   .why = why,
							   .err = why == SHOW_WHY_FAILED ? s->error : ERR_OK });
}

static void mark_off(struct show *s, struct show_effects *fx)
{
	if (!s->marked || s->state != SHOW_OFF || s->begin || !s->settled)
		return; /* what marks it must not come behind this */
	s->marked = false;
	show_effects_add(fx, (struct show_effect){ .type = SHOW_EFFECT_MARK_OFF });
}

void show_drop_conn(struct show *s, enum err err, struct show_effects *fx)
{
	if (s->conn)
		show_refuse_hosts(s, true, err ? err : ERR_SHOW_STOPPED, fx);
	if (s->conn)
		show_effects_add(fx, (struct show_effect){ .type = SHOW_EFFECT_RELEASE, .conn = s->conn, .err = err });
	s->conn = 0;
}

/* Ends the show, whoever wants it. What is just beginning is ended as soon as it has begun. */
static void finish(struct show *s, enum show_why why, bool asked, struct show_effects *fx)
{
	if (s->state == SHOW_OFF)
		return;
	show_finalise(s, why, asked, fx);
	if (s->begin)
		s->begin_ended = why;
	s->take = SHOW_TAKE_NONE;
	s->state = SHOW_OFF;
	s->grace_deadline = UINT64_MAX;
	s->space = false;
	show_drop_conn(s, ERR_OK, fx);
	mark_off(s, fx);
}

bool show_storage_back(const struct show *s, uint64_t now)
{
	return s->space && now >= s->retry_at;
}

void show_begin_next(struct show *s, uint64_t now, struct show_effects *fx)
{
	if (s->take == SHOW_TAKE_FAILED && s->state == SHOW_LIVE && !s->begin && show_storage_back(s, now))
		show_begin(s, SHOW_BEGIN_NEXT, fx);
}

void show_wait(struct show *s, uint64_t now)
{
	s->state = SHOW_WAITING;
	s->grace_deadline = now + s->grace_ms;
}

void show_init(struct show *s, const char *name, uint32_t grace_ms, bool takeover)
{
	assert(show_name_valid(name));
	*s = (struct show){
		.grace_ms = grace_ms,
		.takeover = takeover,
		.settled = true,
		.grace_deadline = UINT64_MAX,
	};
	memcpy(s->name, name, strlen(name) + 1);
}

void show_release(struct show *s)
{
	while (s->asks)
		show_ask_remove(s, &s->asks);
	free(s->session);
	*s = (struct show){ 0 };
}

enum err show_restore(struct show *s, const struct show_past *past, struct show_effects *fx)
{
	assert(past->version > s->version && strlen(past->principal) < sizeof s->principal);
	char *session = past->session ? strdup(past->session) : NULL;
	if (past->session && !session)
		return ERR_NO_MEMORY;
	show_finalise(s, SHOW_WHY_TAKEOVER, false, fx);
	free(s->session);
	s->session = session;
	s->session_used = session != NULL;
	memcpy(s->principal, past->principal, strlen(past->principal) + 1);
	s->version = past->version;
	s->first = s->version_first = past->first;
	s->id = past->id;
	s->take = past->take;
	s->ended = past->take == SHOW_TAKE_NONE ? past->ended : SHOW_WHY_NONE;
	if (past->take == SHOW_TAKE_FAILED)
		s->ended = SHOW_WHY_FAILED;
	s->settled = past->take != SHOW_TAKE_RECORDING;
	s->error = past->error;
	s->marked = past->marked;
	s->since_ms = past->since_ms;
	s->state = past->take == SHOW_TAKE_NONE ? SHOW_OFF : SHOW_WAITING;
	mark_off(s, fx);
	return ERR_OK;
}

void show_listen(struct show *s, uint64_t now)
{
	if (s->state == SHOW_WAITING)
		show_wait(s, now);
}

void show_stop(struct show *s, uint64_t conn, struct show_effects *fx)
{
	struct show_view before = show_view(s);
	show_refuse_hosts(s, false, ERR_SHOW_STOPPED, fx);
	struct show_ask *a = show_ask_new(s, conn);
	if (a) {
		a->stop = true;
		a->version = s->begin ? show_beginning(s) : s->version;
		a->id = s->id;
		show_ask_append(s, a);
	} else {
		show_refuse(conn, ERR_BUSY, fx);
	}
	finish(s, SHOW_WHY_STOP, false, fx);
	show_answer_stops(s, 0, fx);
	show_tell(s, &before, fx);
}

void show_begun(struct show *s, const struct uuid *id, uint64_t now, struct show_effects *fx)
{
	struct show_view before = show_view(s);
	assert(s->begin);
	enum show_begin kind = s->begin;
	enum show_why ended = s->begin_ended;
	s->version = show_beginning(s);
	s->version_first = s->first;
	s->id = *id;
	s->begin = SHOW_BEGIN_NONE;
	s->begin_ended = SHOW_WHY_NONE;
	s->ended = SHOW_WHY_NONE;
	s->error = ERR_OK;
	s->take = SHOW_TAKE_RECORDING;
	s->settled = s->marked = s->space = false;
	s->begun_at = now;
	if (ended) {
		show_finalise(s, ended, false, fx);
	} else if (kind != SHOW_BEGIN_NEXT && s->state == SHOW_STARTING) {
		s->state = SHOW_LIVE;
		if (!s->conn)
			show_wait(s, now);
	}
	if (kind == SHOW_BEGIN_NEXT && s->conn)
		show_effects_add(
			fx, (struct show_effect){
				    .type = SHOW_EFFECT_MOVE, .conn = s->conn, .version = s->version, .id = s->id });
	show_answer_joined(s, fx);
	show_decide_waiting(s, now, fx);
	show_tell(s, &before, fx);
}

/* When the next version may be tried: soon, but a disk that fails again and again makes no row a second. */
static void retry_later(struct show *s, bool again, uint64_t now)
{
	s->retry_ms = again && s->retry_ms ? s->retry_ms * 2 : LIMIT_SHOW_RETRY_FIRST_MS;
	if (s->retry_ms > LIMIT_SHOW_RETRY_MAX_MS)
		s->retry_ms = LIMIT_SHOW_RETRY_MAX_MS;
	s->retry_at = now + s->retry_ms;
	s->space = false;
}

void show_begin_failed(struct show *s, enum err err, uint64_t now, struct show_effects *fx)
{
	struct show_view before = show_view(s);
	assert(s->begin && err != ERR_OK);
	enum show_begin kind = s->begin;
	s->begin = SHOW_BEGIN_NONE;
	s->begin_ended = SHOW_WHY_NONE;
	if (s->begin_named)
		s->session_used = err == ERR_EXISTS; /* a take of this name, elsewhere: the next one goes without */
	if (kind != SHOW_BEGIN_NEXT) {
		show_host_failed(s, err, kind == SHOW_BEGIN_AGAIN, fx);
	} else if (s->state != SHOW_OFF) {
		s->error = err;
		retry_later(s, true, now);
	}
	for (struct show_ask *a = s->asks; a; a = a->next) {
		if (a->stop && a->version > s->version) {
			a->version = s->version;
			a->id = s->id;
		}
	}
	mark_off(s, fx);
	show_answer_stops(s, 0, fx);
	show_decide_waiting(s, now, fx);
	show_tell(s, &before, fx);
}

void show_recording_failed(struct show *s, uint32_t version, enum err err, uint64_t now, struct show_effects *fx)
{
	struct show_view before = show_view(s);
	assert(err != ERR_OK);
	if (s->take != SHOW_TAKE_RECORDING || version != s->version)
		return;
	s->error = err;
	show_finalise(s, SHOW_WHY_FAILED, false, fx);
	s->take = SHOW_TAKE_FAILED;
	s->marked = true;
	retry_later(s, now - s->begun_at < LIMIT_SHOW_RETRY_MAX_MS, now);
	show_tell(s, &before, fx);
}

void show_ended(struct show *s, uint32_t version, struct show_effects *fx)
{
	struct show_view before = show_view(s);
	if (s->take == SHOW_TAKE_RECORDING && version == s->version)
		finish(s, SHOW_WHY_ELSEWHERE, true, fx);
	show_tell(s, &before, fx);
}

void show_finalised(struct show *s, uint32_t version, uint64_t now, struct show_effects *fx)
{
	struct show_view before = show_view(s);
	if (version == s->version && s->ended)
		s->settled = true;
	mark_off(s, fx);
	show_answer_stops(s, version, fx);
	show_decide_waiting(s, now, fx);
	show_tell(s, &before, fx);
}

void show_space_back(struct show *s, uint64_t now, struct show_effects *fx)
{
	s->space = s->take == SHOW_TAKE_FAILED;
	show_begin_next(s, now, fx);
}

void show_tick(struct show *s, uint64_t now, struct show_effects *fx)
{
	struct show_view before = show_view(s);
	if (s->state == SHOW_WAITING && now >= s->grace_deadline)
		finish(s, SHOW_WHY_GRACE, false, fx);
	show_begin_next(s, now, fx);
	show_tell(s, &before, fx);
}

uint64_t show_next_wake(const struct show *s)
{
	if (s->state == SHOW_WAITING)
		return s->grace_deadline;
	bool tries = s->state == SHOW_LIVE && s->take == SHOW_TAKE_FAILED && s->space && !s->begin;
	return tries ? s->retry_at : UINT64_MAX;
}

bool show_at_rest(const struct show *s)
{
	return s->state == SHOW_OFF && !s->begin && s->settled && !s->asks;
}
