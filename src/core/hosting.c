/* The show machine: who is its host. See show.h. */
#include "core/hosting.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool is_principal(const struct show *s, const struct show_ask *a)
{
	return strcmp(s->principal, a->principal) == 0;
}

/* Its take is the one that the show's present or last version has. */
static bool has_session(const struct show *s, const struct show_ask *a)
{
	return is_principal(s, a) && s->session && a->session && strcmp(s->session, a->session) == 0;
}

/* It is the host of the show on air. */
static bool is_host(const struct show *s, const struct show_ask *a)
{
	if (!is_principal(s, a))
		return false;
	return !a->session || has_session(s, a) || (a->version >= s->first && a->version <= s->version);
}

/* The take of this host is another from now on: no version up to now is its own. */
static void adopt(struct show *s, struct show_ask *a)
{
	free(s->session);
	s->session = a->session;
	a->session = NULL;
	s->session_used = false;
	s->first = s->version + 1;
}

/* The host's connection is another one from now on. True: it is answered. */
static bool join(struct show *s, struct show_ask *a, uint64_t now, struct show_effects *fx)
{
	if (s->conn != a->conn)
		show_drop_conn(s, ERR_TAKEN_OVER, fx);
	s->conn = a->conn;
	if (s->state == SHOW_WAITING)
		s->state = SHOW_LIVE;
	s->grace_deadline = UINT64_MAX;
	if (s->begin == SHOW_BEGIN_FIRST || s->begin == SHOW_BEGIN_AGAIN) {
		a->joined = true;
		return false;
	}
	bool recording = s->take == SHOW_TAKE_RECORDING;
	show_effects_add(fx, (struct show_effect){ .type = SHOW_EFFECT_HOSTED,
						   .conn = a->conn,
						   .version = s->version,
						   .id = s->id,
						   .err = recording ? ERR_OK : s->error,
						   .recording = recording });
	show_begin_next(s, now, fx);
	return true;
}

/* A new host, of the show off air or instead of the old one; or the last one again. */
static void host_begin(struct show *s, struct show_ask *a, enum show_begin kind, struct show_effects *fx)
{
	s->state = s->state == SHOW_OFF ? SHOW_STARTING : SHOW_LIVE;
	s->take = SHOW_TAKE_NONE;
	s->grace_deadline = UINT64_MAX;
	s->turn++;
	s->conn = a->conn;
	s->since_ms = a->wall_ms;
	s->retry_ms = 0;
	s->space = false;
	memcpy(s->principal, a->principal, sizeof s->principal);
	uint32_t first = kind == SHOW_BEGIN_AGAIN ? s->version_first : s->version + 1;
	adopt(s, a);
	s->first = first;
	a->joined = true;
	show_begin(s, kind, fx);
}

/* Another take than the one on air: of another principal, or of the host itself. True: it is answered. */
static bool take_over(struct show *s, struct show_ask *a, uint64_t now, struct show_effects *fx)
{
	bool own = is_principal(s, a);
	if (!own && !s->takeover) {
		show_refuse(a->conn, ERR_SHOW_ON_AIR, fx);
		return true;
	}
	if (s->begin)
		return false;
	if (s->take == SHOW_TAKE_FAILED && !show_storage_back(s, now)) {
		if (own) {
			adopt(s, a);
			s->turn++; /* another stream */
			return join(s, a, now, fx);
		}
		show_refuse(a->conn, s->error, fx);
		return true;
	}
	show_finalise(s, SHOW_WHY_TAKEOVER, false, fx);
	if (s->conn != a->conn)
		show_drop_conn(s, ERR_TAKEN_OVER, fx);
	host_begin(s, a, SHOW_BEGIN_FIRST, fx);
	return false;
}

/* True: it is answered. Else it waits: attached, for its version; or for what is under way, to be asked again. */
static bool decide(struct show *s, struct show_ask *a, uint64_t now, struct show_effects *fx)
{
	bool on_air = s->state != SHOW_OFF;
	if (on_air && is_host(s, a))
		return join(s, a, now, fx);
	if (s->begin && !on_air)
		return false; /* it may be just this take */
	if (!on_air && s->session_used && has_session(s, a))
		a->version = s->version; /* since it was looked up */
	bool late =
		!on_air && a->version == s->version && (s->ended == SHOW_WHY_GRACE || s->ended == SHOW_WHY_TAKEOVER);
	if (a->session && a->version && !late) {
		show_effects_add(fx, (struct show_effect){
					     .type = SHOW_EFFECT_ORDINARY, .conn = a->conn, .version = a->version });
		return true;
	}
	if (on_air)
		return take_over(s, a, now, fx);
	late = late && a->session && a->version;
	if (late && !s->settled)
		return false;
	host_begin(s, a, late ? SHOW_BEGIN_AGAIN : SHOW_BEGIN_FIRST, fx);
	return false;
}

void show_decide_waiting(struct show *s, uint64_t now, struct show_effects *fx)
{
	for (struct show_ask **at = &s->asks; *at;) {
		struct show_ask *a = *at;
		if (a->stop || a->joined) {
			at = &a->next;
			continue;
		}
		uint32_t count = s->ask_count;
		show_ask_unlink(s, at);
		bool answered = decide(s, a, now, fx);
		bool others = s->ask_count != count - 1;
		if (answered) {
			show_ask_free(a);
		} else if (others) {
			show_ask_append(s, a); /* only what has joined is alone in the list's order */
		} else {
			a->next = *at;
			*at = a;
			s->ask_count++;
			at = &a->next;
		}
		if (others)
			at = &s->asks;
	}
}

void show_host_failed(struct show *s, enum err err, bool again, struct show_effects *fx)
{
	for (struct show_ask **at = &s->asks; *at;) {
		struct show_ask *a = *at;
		if (a->joined && again && !a->named)
			a->joined = false; /* it named no take, so it is not tied to this one: asked about again */
		if (!a->joined) {
			at = &a->next;
			continue;
		}
		if (again)
			show_effects_add(fx, (struct show_effect){ .type = SHOW_EFFECT_ORDINARY,
								   .conn = a->conn,
								   .version = s->version });
		else
			show_refuse(a->conn, err, fx);
		show_ask_remove(s, at);
	}
	s->state = SHOW_OFF;
	s->conn = 0;
	s->grace_deadline = UINT64_MAX;
	if (again)
		return; /* host and take are still the last version's */
	s->principal[0] = 0;
	free(s->session);
	s->session = NULL;
}

void show_host(struct show *s, const struct show_start *start, uint64_t now, struct show_effects *fx)
{
	struct show_view before = show_view(s);
	assert(start->conn && strlen(start->principal) <= LIMIT_PRINCIPAL_CHARS);
	struct show_ask *a = show_ask_new(s, start->conn);
	if (!a) {
		show_refuse(start->conn, ERR_BUSY, fx);
		return;
	}
	memcpy(a->principal, start->principal, strlen(start->principal) + 1);
	a->version = start->version;
	a->wall_ms = start->wall_ms;
	a->named = start->session != NULL;
	a->session = a->named ? strdup(start->session) : NULL;
	if (a->named && !a->session) {
		show_ask_free(a);
		show_refuse(start->conn, ERR_NO_MEMORY, fx);
		return;
	}
	if (decide(s, a, now, fx))
		show_ask_free(a);
	else
		show_ask_append(s, a);
	show_tell(s, &before, fx);
}

void show_detached(struct show *s, uint64_t conn, uint64_t now, struct show_effects *fx)
{
	struct show_view before = show_view(s);
	for (struct show_ask **at = &s->asks; *at;) {
		if (!(*at)->stop && (*at)->conn == conn)
			show_ask_remove(s, at);
		else
			at = &(*at)->next;
	}
	if (!conn || s->conn != conn)
		return;
	s->conn = 0;
	if (s->state == SHOW_LIVE)
		show_wait(s, now);
	show_tell(s, &before, fx);
}
