/* The session machine, see session.h. */
#include "core/session.h"

#include <assert.h>

void session_init(struct session *s, uint64_t conn, uint32_t heartbeat_ms, uint64_t now_ms)
{
	assert(heartbeat_ms > 0);
	*s = (struct session){
		.conn = conn,
		.state = SESSION_IDLE,
		.heartbeat_ms = heartbeat_ms,
		.next_ping_ms = now_ms + heartbeat_ms,
	};
}

void session_heard(struct session *s)
{
	s->heard = true;
}

enum session_verdict session_start(struct session *s)
{
	switch (s->state) {
	case SESSION_STARTING:
	case SESSION_OPEN:
		return SESSION_REPEAT;
	case SESSION_CLOSING:
		return SESSION_DROP;
	case SESSION_IDLE:
	case SESSION_SAVED:
	case SESSION_DETACHED:
		break;
	}
	s->state = SESSION_STARTING;
	return SESSION_PASS;
}

void session_started(struct session *s)
{
	if (s->state == SESSION_STARTING)
		s->state = SESSION_OPEN;
}

enum session_verdict session_binary(struct session *s, size_t len, struct effects *fx)
{
	if (len == 0)
		return SESSION_DROP;
	switch (s->state) {
	case SESSION_OPEN:
		return SESSION_PASS;
	case SESSION_IDLE:
	case SESSION_STARTING: /* the client can't know yet where to go on */
		session_refuse(s, ERR_BINARY_WITHOUT_SESSION, fx);
		return SESSION_DROP;
	case SESSION_SAVED:
		session_refuse(s, ERR_SEALED, fx);
		return SESSION_DROP;
	case SESSION_DETACHED:
	case SESSION_CLOSING:
		break;
	}
	return SESSION_DROP;
}

enum session_verdict session_end(struct session *s, struct effects *fx)
{
	switch (s->state) {
	case SESSION_OPEN:
	case SESSION_SAVED:
		return SESSION_PASS;
	case SESSION_IDLE:
	case SESSION_STARTING:
		session_refuse(s, ERR_NO_SESSION, fx);
		return SESSION_DROP;
	case SESSION_DETACHED:
	case SESSION_CLOSING:
		break;
	}
	return SESSION_DROP;
}

enum session_verdict session_abort(struct session *s, struct effects *fx)
{
	switch (s->state) {
	case SESSION_OPEN:
		return SESSION_PASS;
	case SESSION_CLOSING:
		return SESSION_DROP;
	case SESSION_SAVED:
		session_refuse(s, ERR_SEALED, fx);
		return SESSION_DROP;
	case SESSION_IDLE:
	case SESSION_STARTING:
	case SESSION_DETACHED:
		break;
	}
	session_refuse(s, ERR_NO_SESSION, fx);
	return SESSION_DROP;
}

void session_saved(struct session *s)
{
	if (s->state != SESSION_CLOSING)
		s->state = SESSION_SAVED;
}

void session_released(struct session *s)
{
	if (s->state != SESSION_CLOSING)
		s->state = SESSION_IDLE;
}

void session_detached(struct session *s)
{
	if (s->state != SESSION_CLOSING)
		s->state = SESSION_DETACHED;
}

void session_refuse(struct session *s, enum err err, struct effects *fx)
{
	if (s->state == SESSION_CLOSING)
		return;
	s->state = SESSION_DETACHED;
	effects_add(fx, (struct effect){ .type = EFFECT_ERROR, .conn = s->conn, .err = err, .bytes = UINT64_MAX });
}

void session_pause(struct session *s, bool paused, uint64_t now_ms)
{
	if (paused == s->paused)
		return;
	s->paused = paused;
	if (paused)
		s->paused_ms = now_ms;
	else
		s->next_ping_ms += now_ms - s->paused_ms;
}

void session_tick(struct session *s, uint64_t now_ms, struct effects *fx)
{
	if (s->state == SESSION_CLOSING || s->paused || now_ms < s->next_ping_ms)
		return;
	if (s->pinged && !s->heard) {
		session_refuse(s, ERR_HEARTBEAT_LOST, fx);
		s->state = SESSION_CLOSING;
		effects_add(fx, (struct effect){ .type = EFFECT_CLOSE, .conn = s->conn });
		return;
	}
	s->pinged = true;
	s->heard = false;
	s->next_ping_ms = now_ms + s->heartbeat_ms;
	effects_add(fx, (struct effect){ .type = EFFECT_PING, .conn = s->conn });
}

uint64_t session_next_wake(const struct session *s)
{
	return s->state == SESSION_CLOSING || s->paused ? UINT64_MAX : s->next_ping_ms;
}
