/* Hosts of shows: on air over links that drop, in the pace of a recorder, with a name for their take or without one;
 * they come back in time, late or never, two at a time, take each other over, and end their show in every way there is.
 */
#include "onair.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum host_state { HOST_WAITING, HOST_CONNECTING, HOST_STARTING, HOST_SENDING, HOST_DONE };

enum host_fate {	      /* how a take of it ends, when all is said */
		 HOST_ENDS,   /* `end` with its total */
		 HOST_STOPS,  /* `stop` */
		 HOST_SILENT, /* it leaves, and the grace ends it */
		 HOST_ABORTS, /* `abort`, somewhere on the way */
		 HOST_WAITS,  /* somebody else is to stop it; after a while it does itself */
		 HOST_FATES
};

struct host {
	struct world *w;
	struct show_truth *show;
	struct rng rng;
	unsigned number;
	struct grant grant;
	enum host_state state;
	enum host_fate fate;
	struct link *link;
	struct air_take *take; /* NULL: it names none, and was not told yet */
	bool names, twin;      /* it names its take; another one sends the same */
	uint64_t generation;
	uint64_t promised; /* acked of this take */
	uint64_t acked, sent, window, message_max, rate;
	uint64_t made, made_us; /* its recorder had made so much then */
	uint64_t heard_us, leave_us, stop_us;
	uint64_t end_early, abort_at;
	uint32_t version;
	unsigned rounds; /* takes that it still begins after this one */
	unsigned refusals, starts;
	bool failed; /* it is on air, and not recorded */
	bool says_from, says_part, long_away, end_sent, stop_sent, pumping;
	const char *why;
};

static void host_connect(void *arg, uint64_t x);
static void host_pump(void *arg, uint64_t x);

struct show_truth *host_show(const struct host *h)
{
	return h->show;
}

const char *host_principal(const struct host *h)
{
	return h->grant.subject;
}

static void again(struct host *h, uint64_t delay_us)
{
	h->generation++;
	h->pumping = false;
	h->state = HOST_WAITING;
	sim_after(&h->w->sim, delay_us, host_connect, h, h->generation);
}

/* A take of its own: another recorder. */
static void round_begin(struct host *h)
{
	char session[48] = "";
	struct rng *rng = &h->rng;
	snprintf(session, sizeof session, "air-%u-%u-%06x", h->number, h->rounds, (unsigned)rng_below(rng, 1 << 24));
	h->take = h->names ? air_take_new(h->w, h->show, h->grant.subject, session) : NULL;
	h->fate = (enum host_fate)rng_below(rng, HOST_FATES);
	h->acked = h->promised = h->sent = h->made = h->starts = h->version = 0;
	h->failed = h->end_sent = h->stop_sent = false;
	h->abort_at = h->fate == HOST_ABORTS ? rng_below(rng, 100 * KIB) : BYTES_UNKNOWN;
	h->stop_us = 0;
	h->rate = 1 + rng_below(rng, 60); /* bytes a ms */
	if (h->w->plan.burst)
		h->rate = 2000;
}

static void host_over(struct host *h, const char *why)
{
	h->generation++;
	h->pumping = false;
	h->state = HOST_DONE;
	h->why = why;
	sim_trace(&h->w->sim, "host done", why, h->number, h->acked);
	if (h->rounds == 0 || h->w->calm || h->twin)
		return;
	h->rounds--;
	round_begin(h);
	if (h->link)
		link_hang_up(h->link);
	again(h, rng_below(&h->rng, 4 * SECOND));
}

static uint64_t total(const struct host *h)
{
	return h->take ? h->take->total : 0;
}

static uint64_t recorded(const struct host *h)
{
	uint64_t made = h->made + (h->w->sim.now_us - h->made_us) / MS * h->rate;
	return made < total(h) ? made : total(h);
}

static void send_start(struct host *h)
{
	char text[512];
	int n = snprintf(text, sizeof text,
			 "{\"type\":\"start\",\"show\":\"%s\",\"mime\":\"audio/mpeg\",\"ext\":\"mp3\"", h->show->name);
	struct air_link *air = link_air(h->link);
	air->take = h->names ? h->take : NULL;
	if (h->names)
		n += snprintf(text + n, sizeof text - (size_t)n, ",\"sessionId\":\"%s\"", h->take->session);
	if (h->says_from && h->take)
		n += snprintf(text + n, sizeof text - (size_t)n, ",\"from\":%" PRIu64, h->acked);
	if (h->says_part)
		n += snprintf(text + n, sizeof text - (size_t)n, ",\"part\":true");
	n += snprintf(text + n, sizeof text - (size_t)n, "}");
	link_text(h->link, text, (size_t)n);
	h->state = HOST_STARTING;
	h->end_sent = h->stop_sent = false;
	h->starts++;
}

static void say(struct host *h, const char *text)
{
	link_text(h->link, text, strlen(text));
}

static void send_end(struct host *h)
{
	char text[96];
	snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%" PRIu64 "}", total(h));
	say(h, text);
	h->end_sent = true;
}

static void send_stop(struct host *h)
{
	if (!h->stop_sent)
		say(h, "{\"type\":\"stop\"}");
	h->stop_sent = true;
}

static void pump_later(struct host *h, uint64_t delay_us)
{
	if (h->pumping)
		return;
	h->pumping = true;
	sim_after(&h->w->sim, delay_us, host_pump, h, h->generation);
}

/* All is said. */
static void finish(struct host *h)
{
	uint64_t now = h->w->sim.now_us;
	if (h->leave_us == 0)
		h->leave_us = now + 3 * SECOND;
	switch (h->fate) {
	case HOST_ENDS:
		if (!h->end_sent)
			send_end(h);
		return;
	case HOST_SILENT:
		if (h->acked < h->sent && !h->failed && now < h->leave_us)
			break;
		link_hang_up(h->link);
		host_over(h, "left");
		return;
	case HOST_WAITS:
		if (now < h->leave_us)
			break;
		send_stop(h);
		return;
	default:
		send_stop(h);
		return;
	}
	pump_later(h, 200 * MS);
}

static void host_pump(void *arg, uint64_t x)
{
	struct host *h = arg;
	if (x != h->generation)
		return;
	h->pumping = false;
	if (h->state != HOST_SENDING || h->stop_sent)
		return;
	uint64_t have = recorded(h);
	for (unsigned burst = 0; burst < 8 && h->sent < have && (h->failed || h->sent - h->acked < h->window);
	     burst++) {
		uint64_t n = 1 + rng_below(&h->rng, h->message_max);
		if (n > have - h->sent)
			n = have - h->sent;
		if (h->sent >= h->abort_at) {
			say(h, "{\"type\":\"abort\",\"reason\":\"not today\"}");
			h->abort_at = BYTES_UNKNOWN;
			return;
		}
		if (h->fate == HOST_ENDS && !h->end_sent && !h->failed && h->sent + h->end_early >= total(h))
			send_end(h);
		link_binary(h->link, h->take->content, h->sent, n);
		h->sent += n;
	}
	if (h->stop_us && h->w->sim.now_us >= h->stop_us) {
		send_stop(h);
		return;
	}
	if (h->sent == total(h))
		finish(h);
	else
		pump_later(h, 5 * MS + rng_below(&h->rng, 60 * MS));
}

static void on_opened(void *arg, struct link *link)
{
	struct host *h = arg;
	if (h->link != link || h->state != HOST_CONNECTING)
		return;
	h->heard_us = h->w->sim.now_us;
	send_start(h);
}

static void started(struct host *h, struct link *link, const struct message_in *m)
{
	struct air_take *take = link_air(link)->take; /* as the server sees it */
	uint64_t now = h->w->sim.now_us;
	if (h->take == take && m->bytes < h->promised)
		sim_fail(&h->w->sim, "offsets never go back", "host %u had %" PRIu64 " acked, started says %" PRIu64,
			 h->number, h->promised, m->bytes);
	if (h->take != take)
		h->promised = 0;
	if (h->take != take || h->made_us == 0 || m->bytes > recorded(h)) { /* a recorder that begins here */
		h->made = m->bytes;
		h->made_us = now;
	}
	if (h->starts == 1 && h->take == take && h->made == 0)
		h->made_us = now;
	h->take = take;
	h->version = m->version;
	h->acked = h->sent = m->bytes;
	h->state = HOST_SENDING;
	h->failed = false;
	h->leave_us = 0;
	pump_later(h, 0);
}

/* It comes back soon, unless it has had enough. */
static void patient(struct host *h, struct link *link, unsigned most, const char *why)
{
	link_hang_up(link);
	if (h->refusals++ >= most)
		host_over(h, why);
	else
		again(h, 100 * MS + rng_below(&h->rng, 1500 * MS));
}

static void refused(struct host *h, struct link *link, const struct message_in *m)
{
	const char *code = m->code;
	bool ends = h->stop_sent || h->end_sent;
	if (strcmp(code, "taken_over") == 0) {
		patient(h, link, 3, "taken over");
	} else if (strcmp(code, "show_on_air") == 0 && !h->w->plan.takeover && h->show->principals > 1) {
		patient(h, link, 4, "somebody else is on air");
	} else if (strcmp(code, "show_stopped") == 0 || strcmp(code, "sealed") == 0) {
		patient(h, link, 3, "stopped");
	} else if (strcmp(code, "deleted") == 0) {
		link_hang_up(link);
		host_over(h, "deleted");
	} else if (strcmp(code, "no_session") == 0 && (ends || h->fate == HOST_ABORTS)) {
		patient(h, link, 3, "ended meanwhile");
	} else if (strcmp(code, "position_conflict") == 0 && !h->names) {
		h->take = NULL; /* it is another take now */
		h->acked = 0;
		patient(h, link, 6, "it has ended");
	} else if (m->retry) {
		patient(h, link, h->w->calm ? 40 : 200, "refused");
		if (h->state == HOST_DONE && h->w->calm)
			sim_fail(&h->w->sim, "honest clients are served", "host %u of %s hears %s for ever", h->number,
				 h->show->name, code);
	} else if (onair_frail(h->w)) {
		patient(h, link, 3, "storage failed");
	} else {
		sim_fail(&h->w->sim, "honest clients are served", "host %u of %s heard %s", h->number, h->show->name,
			 code);
	}
}

static void heard_status(struct host *h, const struct message_in *m)
{
	json_t *status = json_loads(m->text, 0, NULL);
	const char *recording = json_string_value(json_object_get(status, "recording"));
	if (recording)
		h->failed = strcmp(recording, "recording_failed") == 0;
	json_decref(status);
}

static void on_message(void *arg, struct link *link, const struct message_in *m)
{
	struct host *h = arg;
	if (h->link != link || h->state == HOST_DONE)
		return;
	h->heard_us = h->w->sim.now_us;
	switch (m->said) {
	case SAID_STARTED:
		started(h, link, m);
		break;
	case SAID_ACK:
		if (m->bytes > h->sent)
			sim_fail(&h->w->sim, "offsets never go back", "host %u: ack %" PRIu64 ", sent %" PRIu64,
				 h->number, m->bytes, h->sent);
		h->acked = m->bytes > h->acked ? m->bytes : h->acked;
		h->promised = m->bytes > h->promised ? m->bytes : h->promised;
		break;
	case SAID_MOVED:
		h->failed = false;
		h->version = m->version;
		h->acked = m->from > h->acked ? m->from : h->acked;
		break;
	case SAID_STATUS:
		heard_status(h, m);
		break;
	case SAID_STOPPED:
	case SAID_SAVED:
	case SAID_ABORTED:
		if (rng_chance(&h->rng, 50))
			link_hang_up(link);
		host_over(h, m->said == SAID_STOPPED ? "stopped" : m->said == SAID_SAVED ? "saved" : "aborted");
		break;
	case SAID_ERROR:
		refused(h, link, m);
		break;
	default:
		break;
	}
}

/* Mostly it is back within the grace. */
static uint64_t away_us(struct host *h)
{
	if (h->w->calm)
		return 50 * MS + rng_below(&h->rng, 500 * MS);
	if (h->long_away && rng_chance(&h->rng, 40))
		return (uint64_t)h->w->plan.grace_ms * MS * rng_between(&h->rng, 70, 130) / 100;
	return 20 * MS + rng_below(&h->rng, SECOND);
}

static void on_closed(void *arg, struct link *link)
{
	struct host *h = arg;
	if (h->link == link && h->state != HOST_DONE && h->state != HOST_WAITING)
		again(h, away_us(h));
}

static const struct peer host_peer = { on_opened, on_message, on_closed };

static void host_connect(void *arg, uint64_t x)
{
	struct host *h = arg;
	if (x != h->generation || h->state == HOST_DONE)
		return;
	h->generation++;
	h->pumping = false;
	h->state = HOST_CONNECTING;
	h->link = link_open(h->w, &host_peer, h, NULL, 0);
	struct air_link *air = link_air(h->link);
	air->host = h;
	air->grant = h->grant;
}

static void host_watch(void *arg, uint64_t x)
{
	struct host *h = arg;
	struct world *w = h->w;
	if (h->state == HOST_DONE)
		return;
	uint64_t patience = (w->plan.heartbeat_ms + 4000) * MS;
	if (h->link && link_heard_us(h->link) > h->heard_us)
		h->heard_us = link_heard_us(h->link);
	bool stuck = h->state != HOST_WAITING && w->sim.now_us - h->heard_us > patience;
	bool storm = !w->calm && h->state == HOST_SENDING && rng_chance(&h->rng, 10);
	bool long_gone = !storm && !w->calm && h->state == HOST_SENDING && rng_chance(&h->rng, 8);
	if (long_gone) { /* behind the grace, or just within it */
		link_hang_up(h->link);
		again(h, (uint64_t)w->plan.grace_ms * MS * rng_between(&h->rng, 80, 150) / 100);
	} else if ((stuck || storm) && h->link) { /* a storm: back before the server knows that it had left */
		if (stuck || rng_chance(&h->rng, 50))
			link_hang_up(h->link);
		h->heard_us = w->sim.now_us;
		again(h, storm ? rng_below(&h->rng, 50 * MS) : away_us(h));
	}
	sim_after(&w->sim, SECOND + rng_below(&h->rng, SECOND), host_watch, h, 0);
}

static struct host *host_new(struct world *w, struct show_truth *show, const char *subject, uint64_t begins_us)
{
	struct onair *o = w->onair;
	struct host *h = calloc(1, sizeof *h);
	assert(h && o->host_count < AIR_HOSTS);
	h->w = w;
	h->show = show;
	h->number = o->host_count;
	h->rng = rng_fork(&o->rng, h->number);
	h->grant = *grant_local();
	if (strcmp(subject, h->grant.subject) != 0) {
		memset(h->grant.subject, 0, sizeof h->grant.subject);
		memcpy(h->grant.subject, subject, strlen(subject));
		h->grant.scopes = SCOPE_RECORD;
	}
	h->names = rng_chance(&h->rng, 65);
	h->window = 16 * KIB << rng_below(&h->rng, 6);
	h->message_max = 1ULL << rng_between(&h->rng, 7, 14);
	h->says_from = rng_chance(&h->rng, 50);
	h->says_part = rng_chance(&h->rng, 20);
	h->long_away = rng_chance(&h->rng, 40);
	h->end_early = rng_chance(&h->rng, 30) ? rng_below(&h->rng, 20000) : 0;
	h->rounds = (unsigned)rng_below(&h->rng, 3);
	round_begin(h);
	h->heard_us = w->sim.now_us + begins_us;
	o->hosts[o->host_count++] = h;
	sim_after(&w->sim, begins_us, host_connect, h, 0);
	sim_after(&w->sim, begins_us + SECOND, host_watch, h, 0);
	return h;
}

void hosts_begin(struct world *w)
{
	struct rng *rng = &w->onair->rng;
	for (unsigned i = 0; i < w->plan.shows; i++) {
		struct show_truth *show = &w->onair->shows[i];
		const char *subject = rng_chance(rng, 50) ? "local" : "ann";
		uint64_t begins = rng_below(rng, w->plan.calm_us / 2);
		struct host *first = host_new(w, show, subject, begins);
		show->principals = 1;
		if (rng_chance(rng, 30)) { /* the same take from two places */
			struct host *twin = host_new(w, show, subject, begins + rng_below(rng, 3 * SECOND));
			twin->names = first->names;
			twin->take = first->take;
			twin->twin = first->twin = true;
		}
		if (rng_chance(rng, 50)) {
			const char *other = rng_chance(rng, 60) ? "bob" : subject;
			show->principals += strcmp(other, subject) != 0;
			host_new(w, show, other, begins + rng_below(rng, w->plan.calm_us / 2));
		}
	}
}

bool hosts_done(struct world *w)
{
	for (unsigned i = 0; i < w->onair->host_count; i++) {
		if (w->onair->hosts[i]->state != HOST_DONE)
			return false;
	}
	return true;
}

void hosts_describe(struct world *w, char *out, size_t size)
{
	static const char *const states[] = { "waiting", "connecting", "starting", "sending", "done" };
	for (unsigned i = 0; i < w->onair->host_count; i++) {
		const struct host *h = w->onair->hosts[i];
		if (h->state == HOST_DONE)
			continue;
		snprintf(out, size, "host %u of %s is %s: acked %" PRIu64 ", sent %" PRIu64 " of %" PRIu64 ", %s%s%s",
			 h->number, h->show->name, states[h->state], h->acked, h->sent, total(h),
			 h->failed ? "failed " : "", h->end_sent ? "end " : "", h->stop_sent ? "stop" : "");
		return;
	}
}
