/* The client's machine, see sender.h. */
#include "sender.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void sender_init(struct sender *s, const struct sender_setup *setup, uint64_t now_ms)
{
	assert(setup->low <= setup->written);
	*s = (struct sender){
		.state = SENDER_DOWN,
		.max_unacked = setup->max_unacked ? setup->max_unacked : SENDER_UNACKED_BYTES,
		.retry_at = now_ms,
		.heartbeat_ms = SENDER_HEARTBEAT_MS,
		.low = setup->low,
		.written = setup->written,
		.sent = setup->low,
		.acked = setup->low,
		.ended = setup->ended,
		.may_adopt = setup->may_adopt,
		.begun = setup->begun,
	};
	backoff_init(&s->backoff, setup->seed);
}

static void note_error(struct sender *s, const char *code, const char *text)
{
	snprintf(s->code, sizeof s->code, "%s", code);
	snprintf(s->text, sizeof s->text, "%s", text);
}

void sender_fail(struct sender *s, const char *code, const char *text)
{
	if (sender_done(s))
		return;
	note_error(s, code, text);
	s->close_due = s->state != SENDER_DOWN;
	s->state = SENDER_FAILED;
}

void sender_written(struct sender *s, uint64_t bytes)
{
	assert(bytes >= s->written && !s->ended);
	s->written = bytes;
}

void sender_ended(struct sender *s)
{
	s->ended = true;
}

void sender_hashed(struct sender *s, const char *sha256)
{
	snprintf(s->sha256, sizeof s->sha256, "%s", sha256);
	s->hash_ready = true;
}

void sender_released(struct sender *s, uint64_t low)
{
	assert(low >= s->low && low <= s->acked);
	s->low = low;
}

void sender_abort(struct sender *s)
{
	if (sender_done(s))
		return;
	s->abort_asked = true;
	if (s->begun)
		return;
	s->close_due = s->state != SENDER_DOWN;
	s->state = SENDER_ABORTED;
}

static void back_off(struct sender *s, enum sender_state state, uint64_t now_ms)
{
	s->state = state;
	s->retry_at = now_ms + backoff_next_ms(&s->backoff);
}

static void begin_start(struct sender *s, uint64_t now_ms)
{
	s->state = SENDER_STARTING;
	s->start_sent = s->end_sent = s->abort_sent = false;
	s->deadline = now_ms + SENDER_START_MS;
}

void sender_link_up(struct sender *s, uint64_t now_ms)
{
	if (s->state != SENDER_CONNECTING)
		return;
	s->received_at = now_ms;
	begin_start(s, now_ms);
}

void sender_adopt_link(struct sender *s, uint64_t now_ms)
{
	assert(s->state == SENDER_DOWN && !s->started_once);
	s->state = SENDER_CONNECTING;
	sender_link_up(s, now_ms);
}

/* A refusal by HTTP that will be the same next time: the wrong address, no right to it. */
static bool status_is_final(int http_status)
{
	return http_status >= 400 && http_status < 500 && http_status != 408 && http_status != 425 &&
	       http_status != 429;
}

void sender_link_lost(struct sender *s, const char *why, int http_status, uint64_t now_ms)
{
	if (sender_done(s) || s->state == SENDER_DOWN)
		return;
	if (status_is_final(http_status)) {
		s->state = SENDER_DOWN;
		sender_fail(s, "refused", why);
		return;
	}
	/* an error that the server gave before it closed says more than the loss */
	if (s->state != SENDER_WAITING)
		note_error(s, "link_lost", why);
	if (s->state == SENDER_ATTACHED && now_ms - s->attached_at >= SENDER_SETTLED_MS)
		backoff_reset(&s->backoff);
	back_off(s, SENDER_DOWN, now_ms);
}

void sender_received(struct sender *s, uint64_t now_ms)
{
	s->received_at = now_ms;
}

/* The server's count is beyond ours. After a power cut the tail of our copy may be gone while the server has it: then
 * its length is the truth. Otherwise the bytes there are not ours. */
static bool adopt(struct sender *s, uint64_t bytes)
{
	if (bytes <= s->written)
		return true;
	if (!s->may_adopt)
		return false;
	s->written = bytes;
	s->adopted = true;
	return true;
}

static void on_started(struct sender *s, const struct wire_message *m, uint64_t now_ms)
{
	if (s->state != SENDER_STARTING || !s->start_sent)
		return;
	if (m->bytes < s->low || !adopt(s, m->bytes)) {
		char text[WIRE_TEXT];
		snprintf(text, sizeof text,
			 "The server has %llu bytes of this take; here are bytes %llu to %llu of it.",
			 (unsigned long long)m->bytes, (unsigned long long)s->low, (unsigned long long)s->written);
		sender_fail(s, "position_conflict", text);
		return;
	}
	s->reconnects += s->started_once;
	s->started_once = true;
	s->state = SENDER_ATTACHED;
	s->attached_at = now_ms;
	if (m->bytes > s->acked)
		backoff_reset(&s->backoff);
	s->sent = s->acked = m->bytes;
	if (m->heartbeat_ms)
		s->heartbeat_ms = m->heartbeat_ms;
	snprintf(s->id, sizeof s->id, "%s", m->id);
}

static void on_ack(struct sender *s, uint64_t bytes)
{
	if (bytes > s->sent) {
		sender_fail(s, "position_conflict", "The server acknowledged bytes that were never sent.");
		return;
	}
	if (bytes <= s->acked)
		return;
	s->acked = bytes;
	backoff_reset(&s->backoff);
}

static void on_saved(struct sender *s, const struct wire_message *m)
{
	char text[WIRE_TEXT];
	if (!adopt(s, m->bytes) || !s->ended || m->bytes != s->written) {
		snprintf(text, sizeof text, "The take was completed on the server at %llu bytes; %llu are here.",
			 (unsigned long long)m->bytes, (unsigned long long)s->written);
		sender_fail(s, "sealed", text);
		return;
	}
	if (*s->sha256 && *m->sha256 && strcmp(s->sha256, m->sha256) != 0) {
		sender_fail(s, "checksum_mismatch", "The SHA-256 of the saved bytes is not that of the bytes here.");
		return;
	}
	s->sent = s->acked = m->bytes;
	snprintf(s->id, sizeof s->id, "%s", m->id);
	snprintf(s->url, sizeof s->url, "%s", m->url);
	snprintf(s->saved_sha256, sizeof s->saved_sha256, "%s", m->sha256);
	note_error(s, "", "");
	s->state = SENDER_SAVED;
	s->close_due = true;
}

static void on_aborted(struct sender *s, const struct wire_message *m)
{
	if (!s->abort_asked) {
		sender_fail(s, "aborted", *m->text ? m->text : "The take was aborted.");
		return;
	}
	s->state = SENDER_ABORTED;
	s->close_due = true;
}

static bool is_code(const struct wire_message *m, const char *code)
{
	return strcmp(m->code, code) == 0;
}

static void on_error(struct sender *s, const struct wire_message *m, uint64_t now_ms)
{
	bool attached = s->state == SENDER_ATTACHED;
	/* what was under way when an error detached us may be answered by these; the new start settles it */
	if (!attached && (is_code(m, "binary_without_session") || is_code(m, "no_session")))
		return;
	note_error(s, m->code, m->text);
	if (m->retry || is_code(m, "bytes_missing"))
		back_off(s, SENDER_WAITING, now_ms);
	else if (s->abort_asked && is_code(m, "deleted"))
		on_aborted(s, m);
	else
		sender_fail(s, m->code, m->text);
}

void sender_message(struct sender *s, const struct wire_message *m, uint64_t now_ms)
{
	if (sender_done(s) || s->state < SENDER_STARTING)
		return;
	switch (m->type) {
	case WIRE_STARTED:
		on_started(s, m, now_ms);
		break;
	case WIRE_ACK:
		on_ack(s, m->bytes);
		break;
	case WIRE_SAVED:
		on_saved(s, m);
		break;
	case WIRE_ABORTED:
		on_aborted(s, m);
		break;
	case WIRE_ERROR:
		on_error(s, m, now_ms);
		break;
	case WIRE_UNKNOWN: /* of a later version: not for us */
		break;
	}
}

/* From when on silence means that the link is dead: two pings and a half. */
static uint64_t silence_at(const struct sender *s)
{
	return s->received_at + (uint64_t)s->heartbeat_ms * 5 / 2;
}

static enum sender_link give_up_link(struct sender *s, const char *why, uint64_t now_ms)
{
	note_error(s, "link_lost", why);
	back_off(s, SENDER_DOWN, now_ms);
	return SENDER_LINK_CLOSE;
}

enum sender_link sender_link(struct sender *s, uint64_t now_ms)
{
	if (s->close_due) {
		s->close_due = false;
		return SENDER_LINK_CLOSE;
	}
	if (s->state == SENDER_DOWN && now_ms >= s->retry_at) {
		s->state = SENDER_CONNECTING;
		s->deadline = now_ms + SENDER_CONNECT_MS;
		return SENDER_LINK_CONNECT;
	}
	if (s->state == SENDER_CONNECTING && now_ms >= s->deadline)
		return give_up_link(s, "The server does not answer.", now_ms);
	if (s->state == SENDER_STARTING && now_ms >= s->deadline)
		return give_up_link(s, "The server did not answer the start of the take.", now_ms);
	if ((s->state == SENDER_ATTACHED || s->state == SENDER_WAITING) && now_ms >= silence_at(s))
		return give_up_link(s, "Nothing came from the server any more.", now_ms);
	if (s->state == SENDER_WAITING && now_ms >= s->retry_at)
		begin_start(s, now_ms);
	return SENDER_LINK_KEEP;
}

static struct sender_out next_out(const struct sender *s)
{
	struct sender_out out = { .type = SENDER_OUT_NONE };
	if (s->state == SENDER_STARTING && !s->start_sent) {
		out.type = SENDER_OUT_START;
	} else if (s->state != SENDER_ATTACHED || s->end_sent || s->abort_sent) {
		return out;
	} else if (s->abort_asked) {
		out.type = SENDER_OUT_ABORT;
	} else if (s->sent < s->written) {
		uint64_t room = s->max_unacked - (s->sent - s->acked), len = s->written - s->sent;
		len = len < SENDER_MESSAGE_BYTES ? len : SENDER_MESSAGE_BYTES;
		len = len < room ? len : room;
		if (len > 0)
			out = (struct sender_out){ SENDER_OUT_BYTES, s->sent, (size_t)len };
	} else if (s->ended && s->hash_ready) {
		out.type = SENDER_OUT_END;
	}
	return out;
}

bool sender_wants_out(const struct sender *s)
{
	return next_out(s).type != SENDER_OUT_NONE;
}

struct sender_out sender_out(struct sender *s)
{
	struct sender_out out = next_out(s);
	s->start_sent |= out.type == SENDER_OUT_START;
	s->begun |= s->start_sent;
	s->end_sent |= out.type == SENDER_OUT_END;
	s->abort_sent |= out.type == SENDER_OUT_ABORT;
	s->sent += out.len;
	return out;
}

uint64_t sender_next_wake(const struct sender *s)
{
	uint64_t silence = silence_at(s);
	if (s->close_due)
		return 0;
	switch (s->state) {
	case SENDER_DOWN:
		return s->retry_at;
	case SENDER_CONNECTING:
	case SENDER_STARTING:
		return s->deadline;
	case SENDER_ATTACHED:
		return silence;
	case SENDER_WAITING:
		return s->retry_at < silence ? s->retry_at : silence;
	default:
		return UINT64_MAX;
	}
}
