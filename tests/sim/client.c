/* Honest clients: each records one track, keeps what is not acked, and drives resume from "started and not yet saved".
 */
#include "content.h"
#include "proto/message.h"
#include "world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum client_state { CLIENT_WAITING, CLIENT_CONNECTING, CLIENT_STARTING, CLIENT_SENDING, CLIENT_DONE };

struct client {
	struct world *w;
	struct take_truth *take;
	struct track_truth *track;
	unsigned number, track_number;
	enum client_state state;
	struct link *link;
	struct rng rng;
	uint64_t generation;		    /* of its timers: one for each connection */
	uint64_t acked;			    /* what it may forget */
	uint64_t sent;			    /* the next byte to go on this connection */
	uint64_t window, message_max, rate; /* bytes; bytes a ms, 0: all is there at once */
	uint64_t began_us, heard_us;
	uint64_t part_at;    /* where the part begins that this connection's first byte begins, or 0 */
	uint64_t end_early;  /* `end` goes this many bytes before the last */
	uint64_t abort_at;   /* BYTES_UNKNOWN: never */
	uint64_t give_up_us; /* with FATE_SILENT_END: says nothing more after this */
	unsigned starts;
	bool says_sha, says_from, says_part, long_away, follows;
	bool end_sent, pumping, yielded, repeated, has_repeated;
	const char *why; /* how it ended */
};

static void client_connect(void *arg, uint64_t x);
static void client_pump(void *arg, uint64_t x);

static void client_end(struct client *c, const char *why)
{
	c->state = CLIENT_DONE;
	c->why = why;
	c->generation++;
	sim_trace(&c->w->sim, "client done", why, c->number, c->acked);
}

static uint64_t recorded(const struct client *c)
{
	uint64_t total = c->track->total;
	if (c->rate == 0)
		return total;
	uint64_t made = (c->w->sim.now_us - c->began_us) / MS * c->rate;
	return made < total ? made : total;
}

static void send_start(struct client *c)
{
	char text[512];
	int n = snprintf(text, sizeof text,
			 "{\"type\":\"start\",\"sessionId\":\"%s\",\"mime\":\"video/webm\",\"ext\":\"webm\"",
			 c->take->session);
	if (c->take->track_count > 1) {
		n += snprintf(text + n, sizeof text - (size_t)n, ",\"track\":\"%s\",\"tracks\":[", c->track->name);
		for (unsigned i = 0; i < c->take->track_count; i++)
			n += snprintf(text + n, sizeof text - (size_t)n, "%s\"%s\"", i ? "," : "",
				      c->take->tracks[i].name);
		n += snprintf(text + n, sizeof text - (size_t)n, "]");
	}
	if (c->starts > 0 && rng_chance(&c->rng, 70))
		n += snprintf(text + n, sizeof text - (size_t)n, ",\"resume\":true");
	if (c->says_from)
		n += snprintf(text + n, sizeof text - (size_t)n, ",\"from\":%" PRIu64, c->acked);
	if (c->says_part)
		n += snprintf(text + n, sizeof text - (size_t)n, ",\"part\":true");
	n += snprintf(text + n, sizeof text - (size_t)n, "}");
	link_text(c->link, text, (size_t)n);
	c->starts++;
	c->state = CLIENT_STARTING;
	c->end_sent = false;
}

static void send_end(struct client *c)
{
	char text[256], hex[65];
	uint8_t sha[32];
	content_sha256(c->track->content, 0, c->track->total, sha);
	if (c->take->fate == FATE_WRONG_SHA)
		sha[7] ^= 1;
	sha256_format(sha, hex);
	int n = snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%" PRIu64 "%s%s%s}", c->track->total,
			 c->says_sha ? ",\"sha256\":\"" : "", c->says_sha ? hex : "", c->says_sha ? "\"" : "");
	link_text(c->link, text, (size_t)n);
	c->end_sent = true;
}

static void pump_later(struct client *c, uint64_t delay_us)
{
	if (c->pumping)
		return;
	c->pumping = true;
	sim_after(&c->w->sim, delay_us, client_pump, c, c->generation);
}

static bool wants_end(const struct client *c)
{
	return !c->end_sent && c->take->fate != FATE_SILENT_END && c->sent + c->end_early >= c->track->total;
}

/* Sends what there is, within its window. */
static void client_pump(void *arg, uint64_t x)
{
	struct client *c = arg;
	if (x != c->generation)
		return;
	c->pumping = false;
	if (c->state != CLIENT_SENDING)
		return;
	uint64_t have = recorded(c);
	for (unsigned burst = 0; burst < 8 && c->sent < have && c->sent - c->acked < c->window; burst++) {
		uint64_t n = 1 + rng_below(&c->rng, c->message_max);
		if (n > have - c->sent)
			n = have - c->sent;
		if (c->sent >= c->abort_at) {
			link_text(c->link, "{\"type\":\"abort\",\"reason\":\"changed my mind\"}", 43);
			c->abort_at = BYTES_UNKNOWN;
			return;
		}
		if (wants_end(c))
			send_end(c);
		link_binary(c->link, c->track->content, c->sent, n);
		c->sent += n;
		if (rng_chance(&c->rng, 3))
			link_binary(c->link, c->track->content, c->sent, 0);
	}
	if (wants_end(c))
		send_end(c);
	if (c->take->fate == FATE_SILENT_END && c->sent == c->track->total && c->acked == c->sent) {
		link_hang_up(c->link);
		client_end(c, "hung up without an end");
		return;
	}
	if (c->sent < c->track->total && c->sent - c->acked < c->window)
		pump_later(c, c->rate ? 5 * MS + rng_below(&c->rng, 50 * MS) : rng_below(&c->rng, 300));
}

static void client_again(struct client *c, uint64_t delay_us)
{
	c->generation++;
	c->pumping = false;
	c->state = CLIENT_WAITING;
	sim_after(&c->w->sim, delay_us, client_connect, c, c->generation);
}

static void on_opened(void *arg, struct link *link)
{
	struct client *c = arg;
	if (c->link != link || c->state != CLIENT_CONNECTING)
		return;
	c->heard_us = c->w->sim.now_us;
	send_start(c);
}

static void started(struct client *c, const struct message_in *m)
{
	struct sim *s = &c->w->sim;
	if (m->bytes < c->acked)
		sim_fail(s, "offsets never go back", "client %u had %" PRIu64 " acked, started says %" PRIu64,
			 c->number, c->acked, m->bytes);
	c->part_at = c->says_part ? m->bytes : 0;
	if (!c->repeated && rng_chance(&c->rng, 2)) {
		/* A second start for the same take is harmless, if nothing is sent before it is answered as well. */
		c->repeated = c->has_repeated = true;
		send_start(c);
		return;
	}
	c->repeated = false;
	c->state = CLIENT_SENDING;
	c->acked = c->sent = m->bytes;
	if (c->follows)
		link_text(c->link, "{\"type\":\"subscribe\",\"all\":true}", 31);
	pump_later(c, 0);
}

/* What an honest client may hear, and what it does then. */
static void refused(struct client *c, struct link *link, const struct message_in *m)
{
	struct sim *s = &c->w->sim;
	const char *code = m->code;
	if (strcmp(code, "taken_over") == 0 && c->has_repeated) {
		/* Its own repeated start may have come to a link that it had left. */
		c->has_repeated = false;
		link_hang_up(link);
		client_again(c, 100 * MS);
	} else if (strcmp(code, "taken_over") == 0) {
		c->yielded = true;
		client_end(c, "taken over");
		link_hang_up(link);
	} else if (strcmp(code, "deleted") == 0 && c->take->deleting) {
		c->take->deleted = true;
		client_end(c, "deleted");
	} else if (strcmp(code, "sealed") == 0 &&
		   (c->take->completed_bare || (c->take->completed && c->track->total == 0))) {
		client_end(c, "completed before it began");
	} else if (c->take->fate == FATE_WRONG_SHA &&
		   (strcmp(code, "checksum_mismatch") == 0 || strcmp(code, "total_mismatch") == 0)) {
		/* one track's checksum ends them all, wherever they are */
		client_end(c, "wrong checksum");
	} else if (oracle_excused(c->w, c->take) && !m->retry) {
		c->take->in_error = true;
		client_end(c, "storage failed");
	} else if (strcmp(code, "bytes_missing") == 0 || strcmp(code, "sealed") == 0 || m->retry ||
		   (strcmp(code, "no_session") == 0 && c->take->fate == FATE_ABORT)) {
		/* no_session: its abort came when an error had detached it */
		/* On the same connection, unless a `started` may still come that answers an earlier start. */
		if (!c->repeated && rng_chance(&c->rng, 50)) {
			c->generation++;
			c->pumping = false;
			c->state = CLIENT_STARTING;
			sim_after(s, 100 * MS + rng_below(&c->rng, SECOND), client_connect, c, c->generation);
		} else {
			link_hang_up(link);
			client_again(c, 100 * MS + rng_below(&c->rng, 2 * SECOND));
		}
	} else {
		sim_fail(s, "honest clients are served", "client %u of %s heard %s", c->number, c->take->session, code);
	}
}

static void on_message(void *arg, struct link *link, const struct message_in *m)
{
	struct client *c = arg;
	if (c->link != link || c->state == CLIENT_DONE)
		return;
	c->heard_us = c->w->sim.now_us;
	switch (m->said) {
	case SAID_STARTED:
		started(c, m);
		break;
	case SAID_ACK:
		if (m->bytes < c->acked || m->bytes > c->sent)
			sim_fail(&c->w->sim, "offsets never go back",
				 "client %u: ack %" PRIu64 " after %" PRIu64 ", sent %" PRIu64, c->number, m->bytes,
				 c->acked, c->sent);
		c->acked = m->bytes;
		if (c->part_at > 0 && c->acked > c->part_at)
			c->track->last_part = c->part_at;
		if (c->state == CLIENT_SENDING)
			pump_later(c, rng_below(&c->rng, 100));
		break;
	case SAID_SAVED:
		c->acked = m->bytes;
		client_end(c, "saved");
		if (rng_chance(&c->rng, 50))
			link_hang_up(link);
		break;
	case SAID_ABORTED:
		client_end(c, "aborted");
		break;
	case SAID_ERROR:
		refused(c, link, m);
		break;
	case SAID_NOT_SUBSCRIBED:
		if (!m->retry)
			sim_fail(&c->w->sim, "honest clients are served", "client %u may not follow: %s", c->number,
				 m->code);
		break;
	case SAID_STATUS:
	case SAID_SUBSCRIBED:
	case SAID_MOVED:
	case SAID_STOPPED:
	case SAID_OTHER:
		break;
	}
}

/* How long it stays away: mostly short, sometimes longer than the grace. */
static uint64_t away_us(struct client *c)
{
	if (c->w->calm)
		return 50 * MS + rng_below(&c->rng, 500 * MS);
	if (c->long_away && rng_chance(&c->rng, 30))
		return (uint64_t)c->w->plan.grace_ms * MS + rng_below(&c->rng, 4 * SECOND);
	return 20 * MS + rng_below(&c->rng, SECOND);
}

static void on_closed(void *arg, struct link *link)
{
	struct client *c = arg;
	if (c->link != link || c->state == CLIENT_DONE)
		return;
	client_again(c, away_us(c));
}

static const struct peer client_peer = { on_opened, on_message, on_closed };

/* Also the timer of a `start` that is said again on a link that is still there. */
static void client_connect(void *arg, uint64_t x)
{
	struct client *c = arg;
	if (x != c->generation || c->state == CLIENT_DONE)
		return;
	if (c->state == CLIENT_STARTING && c->link && link_usable(c->link)) {
		send_start(c);
		return;
	}
	c->generation++;
	c->pumping = c->repeated = false;
	c->state = CLIENT_CONNECTING;
	c->link = link_open(c->w, &client_peer, c, c->take, c->track_number);
}

/* A link that says nothing is given up after a while: half-open, or the server did not answer. */
static void client_watch(void *arg, uint64_t x)
{
	struct client *c = arg;
	struct world *w = c->w;
	if (c->state == CLIENT_DONE)
		return;
	uint64_t patience = (w->plan.heartbeat_ms + 4000) * MS;
	if (c->link && link_heard_us(c->link) > c->heard_us)
		c->heard_us = link_heard_us(c->link);
	bool stuck = c->state != CLIENT_WAITING && w->sim.now_us - c->heard_us > patience;
	if (stuck && c->link) {
		link_hang_up(c->link);
		c->heard_us = w->sim.now_us;
		client_again(c, away_us(c));
	}
	sim_after(&w->sim, SECOND + rng_below(&c->rng, SECOND), client_watch, c, 0);
}

static uint64_t window_of(struct rng *rng)
{
	static const uint64_t windows[] = { 16 * KIB, 128 * KIB, 512 * KIB, 4 * MIB };
	return windows[rng_below(rng, 4)];
}

static void client_new(struct world *w, struct take_truth *take, unsigned track, uint64_t begins_us)
{
	struct client *c = calloc(1, sizeof *c);
	assert(c && w->client_count < CLIENTS);
	c->w = w;
	c->take = take;
	c->track = &take->tracks[track];
	c->track_number = track;
	c->number = w->client_count;
	c->rng = rng_fork(&w->client_rng, c->number);
	c->window = window_of(&c->rng);
	c->message_max = 1ULL << rng_between(&c->rng, 9, c->track->total > 512 * KIB ? 18 : 15);
	uint64_t lasts_ms = rng_between(&c->rng, 500, 20000);
	c->rate = rng_chance(&c->rng, 60) ? c->track->total / lasts_ms + 1 : 0;
	if (w->plan.burst) {
		c->window = 4 * MIB;
		c->message_max = 64 * KIB;
		c->rate = 0;
	}
	c->end_early = rng_chance(&c->rng, 30) ? rng_below(&c->rng, 20000) : 0;
	c->abort_at = take->fate == FATE_ABORT && track == 0 ? rng_below(&c->rng, c->track->total + 1) : BYTES_UNKNOWN;
	c->says_sha = take->fate == FATE_WRONG_SHA || rng_chance(&c->rng, 50);
	c->says_from = rng_chance(&c->rng, 50);
	c->says_part = rng_chance(&c->rng, 30);
	c->long_away = rng_chance(&c->rng, 30);
	c->follows = rng_chance(&c->rng, 15);
	c->heard_us = w->sim.now_us + begins_us;
	c->began_us = w->sim.now_us + begins_us;
	w->clients[w->client_count++] = c;
	sim_after(&w->sim, begins_us, client_connect, c, 0);
	sim_after(&w->sim, begins_us + SECOND, client_watch, c, 0);
}

static uint64_t size_of_take(const struct world *w, struct rng *rng)
{
	if (w->plan.burst)
		return MIB + rng_below(rng, 3 * MIB);
	switch (rng_below(rng, 10)) {
	case 0:
		return rng_below(rng, 2);
	case 1:
	case 2:
		return rng_below(rng, 5000);
	case 3:
		return MIB + rng_below(rng, 3 * MIB);
	default:
		return 4000 + rng_below(rng, 200 * KIB);
	}
}

static enum fate fate_of(struct rng *rng)
{
	static const enum fate fates[] = { FATE_ABORT,	      FATE_DELETE,    FATE_COMPLETE,
					   FATE_COMPLETE_ALL, FATE_WRONG_SHA, FATE_SILENT_END };
	return rng_chance(rng, 70) ? FATE_NONE : fates[rng_below(rng, sizeof fates / sizeof *fates)];
}

static void take_make(struct world *w, unsigned index)
{
	static const char *const names[] = { "video", "audio", "screen" };
	struct take_truth *take = &w->takes[index];
	struct rng rng = rng_fork(&w->client_rng, 1000 + index);
	snprintf(take->session, sizeof take->session, "take-%u-%08x", index, (unsigned)rng_next(&rng));
	take->honest = true;
	take->deleting = w->plan.retain_ms != UINT64_MAX; /* by the server, when its time is over */
	take->fate = fate_of(&rng);
	take->track_count = rng_chance(&rng, 80) ? 1 : 2 + (unsigned)rng_below(&rng, TRACKS - 1);
	uint64_t begins = rng_chance(&rng, 50) ? 0 : rng_below(&rng, w->plan.calm_us * 3 / 4);
	unsigned twins = rng_chance(&rng, 15) ? 2 : 1;
	for (unsigned i = 0; i < take->track_count; i++) {
		struct track_truth *track = &take->tracks[i];
		snprintf(track->name, sizeof track->name, "%s", take->track_count == 1 ? "main" : names[i]);
		track->content = rng_next(&rng);
		track->total = size_of_take(w, &rng);
		for (unsigned k = 0; k < twins && w->client_count < CLIENTS; k++)
			client_new(w, take, i, begins + k * rng_below(&rng, 5 * SECOND));
	}
}

void clients_begin(struct world *w)
{
	for (unsigned i = 0; i < w->plan.takes; i++)
		take_make(w, i);
}

bool clients_done(struct world *w)
{
	for (unsigned i = 0; i < w->client_count; i++) {
		if (w->clients[i]->state != CLIENT_DONE)
			return false;
	}
	return true;
}

void clients_describe(struct world *w, char *out, size_t size)
{
	static const char *const states[] = { "waiting", "connecting", "starting", "sending", "done" };
	for (unsigned i = 0; i < w->client_count; i++) {
		const struct client *c = w->clients[i];
		if (c->state == CLIENT_DONE)
			continue;
		snprintf(out, size, "client %u of %s is %s: acked %" PRIu64 ", sent %" PRIu64 " of %" PRIu64, c->number,
			 c->take->session, states[c->state], c->acked, c->sent, c->track->total);
		return;
	}
	snprintf(out, size, "all clients are done");
}
