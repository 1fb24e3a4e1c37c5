/* The network between simulated clients and the engine: messages in order, late, cut at any byte, or silent for good.
 */
#include "content.h"
#include "onair.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum frame_kind { FRAME_TEXT, FRAME_BINARY, FRAME_PONG, FRAME_PING, FRAME_MESSAGE, FRAME_CLOSE };

struct frame {
	struct frame *next;
	uint64_t at;
	enum frame_kind kind;
	char *text;
	uint64_t content, off;
	size_t len;
	struct message_in message;
};

/* One direction. */
struct pipe_sim {
	struct frame *head, **tail;
	uint64_t last_at;
	bool scheduled;
};

struct link {
	struct world *w;
	const struct peer *peer;
	void *arg;
	struct take_truth *take;
	struct air_link air;
	unsigned track, number;
	unsigned starts; /* delivered and not refused */
	uint64_t conn;	 /* 0: the server does not know it */
	unsigned life;
	bool client_open, server_open;
	bool paused, silent, cut, told;
	bool deaf;		/* its client reads nothing */
	bool full;		/* the engine waits for room */
	unsigned unread;	/* messages on their way down */
	unsigned room;		/* so many may be when a status is sent */
	unsigned told_of, owed; /* takes, by their bits */
	uint64_t heard_us;	/* when the client got something last */
	struct pipe_sim up, down;
};

static void up_step(void *arg, uint64_t x);
static void down_step(void *arg, uint64_t x);

static void pipe_schedule(struct link *link, struct pipe_sim *pipe)
{
	if (pipe->scheduled || !pipe->head || link->silent)
		return;
	if (pipe == &link->up ? link->paused : link->deaf)
		return;
	pipe->scheduled = true;
	uint64_t now = link->w->sim.now_us, at = pipe->head->at > now ? pipe->head->at : now;
	sim_after(&link->w->sim, at - now, pipe == &link->up ? up_step : down_step, link, 0);
}

static struct frame *pipe_push(struct link *link, struct pipe_sim *pipe, enum frame_kind kind)
{
	struct world *w = link->w;
	struct frame *frame = calloc(1, sizeof *frame);
	assert(frame);
	frame->kind = kind;
	frame->at = w->sim.now_us + w->plan.latency_us / 2 + rng_below(&w->net_rng, w->plan.latency_us + 1);
	if (frame->at < pipe->last_at)
		frame->at = pipe->last_at;
	pipe->last_at = frame->at;
	*pipe->tail = frame;
	pipe->tail = &frame->next;
	return frame;
}

static void pipe_pop(struct pipe_sim *pipe)
{
	struct frame *frame = pipe->head;
	pipe->head = frame->next;
	if (!pipe->head)
		pipe->tail = &pipe->head;
	free(frame->text);
	free(frame);
}

static void pipe_clear(struct pipe_sim *pipe)
{
	while (pipe->head)
		pipe_pop(pipe);
}

/* A cut loses what is under way from a random byte on. */
static void pipe_cut(struct link *link, struct pipe_sim *pipe)
{
	struct rng *rng = &link->w->net_rng;
	unsigned count = 0;
	for (struct frame *f = pipe->head; f; f = f->next)
		count++;
	uint64_t keep = rng_below(rng, count + 1);
	struct frame **at = &pipe->head;
	for (; keep > 0; keep--)
		at = &(*at)->next;
	if (*at && (*at)->kind == FRAME_BINARY && (*at)->len > 1) {
		(*at)->len = 1 + rng_below(rng, (*at)->len - 1);
		at = &(*at)->next;
	}
	struct frame *rest = *at;
	*at = NULL;
	pipe->tail = at;
	while (rest) {
		struct frame *next = rest->next;
		link->unread -= rest->kind == FRAME_MESSAGE;
		free(rest->text);
		free(rest);
		rest = next;
	}
}

static void server_closed(struct link *link)
{
	struct world *w = link->w;
	if (!link->server_open)
		return;
	link->server_open = false;
	oracle_detached(w, link);
	onair_detached(w, link);
	sim_trace(&w->sim, "conn closed", NULL, link->number, 0);
	if (w->engine && w->life == link->life) {
		engine_conn_closed(w->engine, link->conn, world_now(w));
		world_touched(w);
	}
}

/* Hands one piece of a binary message to the engine; true when it was the last. */
static bool deliver_binary(struct link *link, struct frame *frame)
{
	static uint8_t data[65536];
	struct world *w = link->w;
	size_t n = frame->len < sizeof data ? frame->len : sizeof data;
	if (n > 1 && rng_chance(&w->net_rng, 15))
		n = 1 + rng_below(&w->net_rng, n);
	content_fill(frame->content, frame->off, data, n);
	sim_trace(&w->sim, "binary", NULL, link->number, frame->off + n);
	oracle_delivered(w, link, frame->off, n);
	uint64_t fed = onair_fed(w, link);
	engine_conn_media(w->engine, link->conn, (struct engine_media){ data, n, { 0 }, 0 }, world_now(w));
	onair_delivered(w, link, &(struct air_piece){ fed, frame->content, frame->off, n });
	frame->off += n;
	frame->len -= n;
	return frame->len == 0;
}

static void note_end(struct link *link, const char *text)
{
	if (strstr(text, "\"type\":\"start\""))
		link->starts++;
	if (link->air.host)
		onair_text(link->w, link, text);
	if (link->take && strstr(text, "\"end\""))
		link->take->tracks[link->track].end_delivered = true;
	if (link->take && strstr(text, "\"abort\""))
		link->take->aborting = true;
	if (strstr(text, "\"subscribe\",\"all\":true}"))
		oracle_subscribes(link->w, link);
}

static void up_step(void *arg, uint64_t x)
{
	struct link *link = arg;
	struct world *w = link->w;
	link->up.scheduled = false;
	struct frame *frame = link->up.head;
	if (!frame || link->paused || link->silent)
		return;
	bool alive = link->server_open && w->engine && w->life == link->life;
	bool last = true;
	if (frame->kind == FRAME_CLOSE) {
		server_closed(link);
	} else if (alive && frame->kind == FRAME_TEXT) {
		sim_trace(&w->sim, "text", frame->text, link->number, frame->len);
		note_end(link, frame->text);
		engine_conn_text(w->engine, link->conn, frame->text, frame->len, world_now(w));
	} else if (alive && frame->kind == FRAME_PONG) {
		engine_conn_alive(w->engine, link->conn, world_now(w));
	} else if (alive) {
		last = deliver_binary(link, frame);
	}
	if (alive)
		world_touched(w);
	if (last && link->up.head == frame)
		pipe_pop(&link->up);
	else if (link->up.head == frame)
		frame->at = w->sim.now_us + rng_below(&w->net_rng, 200);
	pipe_schedule(link, &link->up);
}

static void client_closed(struct link *link)
{
	if (!link->client_open)
		return;
	link->client_open = false;
	link->peer->closed(link->arg, link);
}

/* A message was read: with the last of them there is room again. */
static void unread_less(struct link *link)
{
	struct world *w = link->w;
	if (--link->unread > 0 || !link->full)
		return;
	link->full = false;
	if (!link->server_open || !w->engine || w->life != link->life)
		return;
	engine_conn_drained(w->engine, link->conn, world_now(w));
	world_touched(w);
}

static void down_step(void *arg, uint64_t x)
{
	struct link *link = arg;
	struct world *w = link->w;
	link->down.scheduled = false;
	struct frame *frame = link->down.head;
	if (!frame || link->silent || link->deaf)
		return;
	link->down.head = frame->next;
	if (!link->down.head)
		link->down.tail = &link->down.head;
	link->heard_us = w->sim.now_us;
	if (frame->kind == FRAME_CLOSE) {
		client_closed(link);
	} else if (link->client_open && frame->kind == FRAME_PING) {
		if (!(w->plan.deaf && link->number % 7 == 3))
			pipe_push(link, &link->up, FRAME_PONG);
		pipe_schedule(link, &link->up);
	} else if (link->client_open) {
		frame->message.text = frame->text;
		link->peer->message(link->arg, link, &frame->message);
	}
	if (frame->kind == FRAME_MESSAGE)
		unread_less(link);
	free(frame->text);
	free(frame);
	pipe_schedule(link, &link->down);
}

static void connect_done(void *arg, uint64_t x)
{
	struct link *link = arg;
	struct world *w = link->w;
	if (!link->client_open)
		return;
	if (!w->up || w->stopping) {
		client_closed(link);
		return;
	}
	link->life = w->life;
	link->conn = engine_conn_open(w->engine, link->air.host ? &link->air.grant : grant_local(), world_now(w));
	link->server_open = true;
	sim_trace(&w->sim, "conn open", NULL, link->number, link->conn);
	world_touched(w);
	link->peer->opened(link->arg, link);
}

struct link *link_open(struct world *w, const struct peer *peer, void *arg, struct take_truth *take, unsigned track)
{
	struct link *link = calloc(1, sizeof *link);
	assert(link);
	if (w->link_count == LINKS)
		sim_fail(&w->sim, "liveness", "%d connections and no end", LINKS);
	link->w = w;
	link->peer = peer;
	link->arg = arg;
	link->take = take;
	link->track = track;
	link->number = w->link_count;
	link->client_open = true;
	link->room = 1 + (unsigned)rng_below(&w->net_rng, LIMIT_STATUS_QUEUE);
	link->up.tail = &link->up.head;
	link->down.tail = &link->down.head;
	w->links[w->link_count++] = link;
	sim_after(&w->sim, w->plan.latency_us + rng_below(&w->net_rng, w->plan.latency_us + 1), connect_done, link, 0);
	return link;
}

void link_text(struct link *link, const char *text, size_t len)
{
	if (!link->client_open || link->cut)
		return;
	struct frame *frame = pipe_push(link, &link->up, FRAME_TEXT);
	frame->text = malloc(len + 1);
	assert(frame->text);
	memcpy(frame->text, text, len);
	frame->text[len] = '\0';
	frame->len = len;
	pipe_schedule(link, &link->up);
}

void link_binary(struct link *link, uint64_t content, uint64_t off, size_t len)
{
	if (!link->client_open || link->cut)
		return;
	struct frame *frame = pipe_push(link, &link->up, FRAME_BINARY);
	frame->content = content;
	frame->off = off;
	frame->len = len;
	pipe_schedule(link, &link->up);
}

void link_hang_up(struct link *link)
{
	if (!link->client_open)
		return;
	link->client_open = false;
	if (link->silent || link->cut || !link->server_open)
		return;
	link->cut = true;
	pipe_push(link, &link->up, FRAME_CLOSE);
	pipe_schedule(link, &link->up);
}

void link_cut(struct link *link, bool silent)
{
	if (link->cut || link->silent)
		return;
	sim_trace(&link->w->sim, silent ? "half-open" : "cut", NULL, link->number, 0);
	link->cut = true;
	world_tally(link->w, TALLY_CUTS);
	if (silent) {
		link->silent = true;
		return;
	}
	pipe_cut(link, &link->up);
	pipe_cut(link, &link->down);
	pipe_push(link, &link->up, FRAME_CLOSE);
	pipe_push(link, &link->down, FRAME_CLOSE);
	pipe_schedule(link, &link->up);
	pipe_schedule(link, &link->down);
}

void link_read(struct link *link, bool reading)
{
	link->deaf = !reading;
	pipe_schedule(link, &link->down);
}

struct air_link *link_air(struct link *link)
{
	return &link->air;
}

unsigned *link_told_of(struct link *link)
{
	return &link->told_of;
}

unsigned *link_owed(struct link *link)
{
	return &link->owed;
}

bool link_usable(const struct link *link)
{
	return link->client_open && !link->cut;
}

uint64_t link_heard_us(const struct link *link)
{
	return link->heard_us;
}

bool link_silent(const struct link *link)
{
	return link->silent;
}

struct world *link_world(const struct link *link)
{
	return link->w;
}

struct take_truth *link_take(const struct link *link)
{
	return link->take;
}

unsigned link_track(const struct link *link)
{
	return link->track;
}

bool *link_told(struct link *link)
{
	return &link->told;
}

void link_set_take(struct link *link, struct take_truth *take, unsigned track)
{
	link->take = take;
	link->track = track;
}

struct link *link_pick(struct world *w)
{
	while (w->first_link < w->link_count && !w->links[w->first_link]->client_open &&
	       !w->links[w->first_link]->server_open)
		w->first_link++;
	unsigned span = w->link_count - w->first_link;
	if (span == 0)
		return NULL;
	struct link *link = w->links[w->first_link + rng_below(&w->net_rng, span)];
	return link->server_open && !link->cut && !link->silent ? link : NULL;
}

static struct link *link_of(struct world *w, uint64_t conn)
{
	for (unsigned i = w->link_count; i-- > w->first_link;) {
		struct link *link = w->links[i];
		if (link->conn == conn && link->life == w->life && link->conn != 0)
			return link;
	}
	return NULL;
}

static void on_send(void *arg, uint64_t conn, const char *text, size_t len, bool is_ack)
{
	struct world *w = arg;
	struct link *link = link_of(w, conn);
	if (!link || !link->server_open)
		sim_fail(&w->sim, "wire", "a message to a connection that is closed: %.*s", (int)len, text);
	struct message_in m;
	wire_parse(w, text, len, &m);
	sim_trace(&w->sim, "send", text, link->number, m.bytes);
	if (w->fatal)
		sim_fail(&w->sim, "no reply after a failed sync", "%.*s", (int)len, text);
	if (m.said == SAID_STARTED && link->starts == 0)
		sim_fail(&w->sim, "an error detaches", "started without a start: %.*s", (int)len, text);
	if (m.said == SAID_ERROR)
		link->starts = 0;
	m.text = text;
	if (m.said == SAID_STATUS && link->unread >= link->room)
		sim_fail(&w->sim, "queues are bounded", "a status where %u messages wait", link->unread);
	oracle_sent(w, link, &m);
	onair_sent(w, link, &m);
	m.text = NULL;
	if (w->crash_at_send > 0 && --w->crash_at_send == 0)
		disk_die_after(w->disk, 1);
	if (link->cut && !link->silent)
		return;
	struct frame *frame = pipe_push(link, &link->down, FRAME_MESSAGE);
	frame->message = m;
	if (m.said == SAID_STATUS || m.said == SAID_OTHER || link->air.host)
		frame->text = strndup(text, len);
	link->unread++;
	pipe_schedule(link, &link->down);
}

static bool on_roomy(void *arg, uint64_t conn)
{
	struct world *w = arg;
	struct link *link = link_of(w, conn);
	if (!link)
		sim_fail(&w->sim, "wire", "an unknown connection is asked for its room");
	link->full = link->unread >= link->room;
	if (link->full)
		world_tally(w, TALLY_FOLDS);
	return !link->full;
}

static void server_hangs_up(void *arg, uint64_t x)
{
	server_closed(arg);
}

static void on_close(void *arg, uint64_t conn, enum engine_close_code code)
{
	struct world *w = arg;
	struct link *link = link_of(w, conn);
	if (!link || !link->server_open)
		return;
	sim_trace(&w->sim, "close", NULL, link->number, code);
	onair_detached(w, link);
	if (!link->cut) {
		pipe_push(link, &link->down, FRAME_CLOSE);
		pipe_schedule(link, &link->down);
	}
	sim_after(&w->sim, rng_below(&w->net_rng, 50 * MS), server_hangs_up, link, 0);
}

static void on_pause(void *arg, uint64_t conn, bool paused)
{
	struct world *w = arg;
	struct link *link = link_of(w, conn);
	if (!link)
		sim_fail(&w->sim, "wire", "an unknown connection is paused");
	sim_trace(&w->sim, paused ? "pause" : "resume", NULL, link->number, 0);
	link->paused = paused;
	if (paused)
		world_tally(w, TALLY_PAUSES);
	pipe_schedule(link, &link->up);
}

static void on_ping(void *arg, uint64_t conn)
{
	struct world *w = arg;
	struct link *link = link_of(w, conn);
	if (!link)
		sim_fail(&w->sim, "wire", "an unknown connection is pinged");
	if (link->cut && !link->silent)
		return;
	pipe_push(link, &link->down, FRAME_PING);
	pipe_schedule(link, &link->down);
}

static void on_fatal(void *arg, enum err err, const char *what)
{
	struct world *w = arg;
	sim_trace(&w->sim, "fatal", what, err, 0);
	if (!disk_dead(w->disk) && disk_failures(w->disk) == 0)
		sim_fail(&w->sim, "no fault", "the server gave up without a fault: %s %s", err_code(err), what);
	w->fatal = true;
	world_tally(w, TALLY_FATALS);
}

void net_callbacks(struct world *w, struct engine_callbacks *out)
{
	*out = (struct engine_callbacks){ .send = on_send,
					  .close = on_close,
					  .pause = on_pause,
					  .ping = on_ping,
					  .roomy = on_roomy,
					  .fatal = on_fatal,
					  .arg = w };
}

void net_crashed(struct world *w)
{
	for (unsigned i = w->first_link; i < w->link_count; i++) {
		struct link *link = w->links[i];
		if (!link->server_open)
			continue;
		link->server_open = false;
		link->paused = link->told = link->full = false;
		pipe_clear(&link->up);
		if (link->silent || link->cut)
			continue;
		link->cut = true;
		/* A machine that lost its power says nothing: the client finds out by itself. */
		if (rng_chance(&w->net_rng, 20)) {
			link->silent = true;
			continue;
		}
		pipe_cut(link, &link->down);
		pipe_push(link, &link->down, FRAME_CLOSE);
		pipe_schedule(link, &link->down);
	}
}
