/* GET /api/events: the outbox as Server-Sent Events, from where the client was on.
 *
 * A stream holds its place in the outbox and nothing else: it reads a page, sends it, and reads the next one when all
 * of it has left. So a slow client is behind and costs nothing; one that reads nothing for LIMIT_HTTP_SEND_WAIT_S is
 * cut off, and goes on where it was when it comes back. */
#include "net/private.h"

#include "proto/problem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct stream {
	struct request *request;
	struct list link; /* net->stream_list */
	struct engine_watch watch;
	int64_t after; /* the sequence of the last event that it was told */
	bool from_now; /* nothing that was: `after` is not known yet */
	bool watched, asking;
	bool behind; /* there may be more than it was told */
	uint64_t said_ms;
};

static void ask(struct request *r);

/* What can't be sent at once waits, and with it everything else. */
static void say(struct request *r, const struct buf *text)
{
	struct stream *s = r->stream;
	if (text->failed) {
		peer_doom(r->peer);
		return;
	}
	s->said_ms = uv_now(r->net->config.loop);
	request_body(r, text->data, text->len);
	if (peer_unsent(r->peer))
		peer_deadline(r->peer, LIMIT_HTTP_SEND_WAIT_S * 1000);
}

static void event_format(struct buf *out, const struct engine_event *event)
{
	char id[UUID_TEXT];
	uuid_format(&event->recording, id);
	buf_addf(out,
		 "id: %" PRId64 "\nevent: %s\ndata: {\"id\":\"%s\",\"phase\":\"%s\",\"revision\":%" PRIu32
		 ",\"at\":%" PRId64 ",\"type\":\"%s\"",
		 event->seq, event->type, id, phase_name(event->phase), event->revision, event->at_ms, event->type);
	if (event->show) /* a name that needs no escapes */
		buf_addf(out, ",\"show\":\"%s\",\"version\":%" PRIu32, event->show, event->version);
	if (event->batch) {
		json_t *batch = json_string(event->batch);
		buf_add_text(out, ",\"batch\":");
		json_format(out, batch);
		json_decref(batch);
	}
	if (event->batch_total > 0)
		buf_addf(out, ",\"total\":%" PRIu64 ",\"failed\":%" PRIu64, event->batch_total, event->batch_failed);
	buf_add_text(out, "}\n\n");
}

/* Tells what came; `first`, `last`: what the outbox held when it was asked. */
static void tell(struct request *r, const struct engine_event *events, size_t count, int64_t first, int64_t last)
{
	struct stream *s = r->stream;
	struct buf text;
	buf_init(&text);
	/* what it asks for was forgotten, or is of an outbox that is no more */
	bool missed = !s->from_now && (s->after > last || s->after + 1 < first);
	if (missed)
		buf_addf(&text, "event: missed\ndata: {\"after\":%" PRId64 ",\"first\":%" PRId64 "}\n\n", s->after,
			 first);
	if (s->from_now || s->after > last)
		s->after = last;
	else if (missed)
		s->after = first - 1;
	s->from_now = false;
	for (size_t i = 0; i < count; i++) {
		event_format(&text, &events[i]);
		s->after = events[i].seq;
	}
	s->behind |= count == LIMIT_EVENTS_PAGE;
	if (text.len > 0 || text.failed)
		say(r, &text);
	buf_release(&text);
}

static void page_came(void *arg, enum err err, const struct engine_event *events, size_t count, int64_t first,
		      int64_t last)
{
	struct request *r = arg;
	struct stream *s = r->stream;
	s->asking = r->pending = false;
	if (!r->peer) {
		request_settle(r);
		return;
	}
	if (err != ERR_OK && !r->began) {
		request_problem(r, err, NULL, NULL);
		return;
	}
	if (err != ERR_OK) {
		peer_doom(r->peer); /* it comes again, from where it was */
		return;
	}
	if (!r->began) {
		request_begin(r, 200, "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n",
			      REQUEST_ENDLESS);
		if (r->head_only) {
			request_end(r);
			return;
		}
		r->peer->state = PEER_STREAM;
		peer_gate(r->peer, GATE_ANSWER, false);
		say(r, &(struct buf){ .data = (char[]){ "retry: 2000\n\n" }, .len = 13 });
	}
	tell(r, events, s->from_now ? 0 : count, first, last);
	ask(r);
}

/* Asks for what comes next, if there may be any, and room for it. */
static void ask(struct request *r)
{
	struct stream *s = r->stream;
	if (!s->behind || s->asking || peer_unsent(r->peer) || r->peer->doomed)
		return;
	s->behind = false;
	s->asking = r->pending = true;
	engine_events(r->net->engine, &r->grant, s->from_now ? INT64_MAX : s->after, page_came, r);
}

static void wake(void *arg)
{
	struct request *r = arg;
	r->stream->behind = true;
	if (r->peer)
		ask(r);
}

void stream_drained(struct request *r)
{
	peer_deadline(r->peer, 0);
	ask(r);
}

void streams_tick(struct net *n)
{
	int64_t wall_ms = net_now(n).wall_ms;
	for (struct list *at = n->stream_list.next, *next; at != &n->stream_list; at = next) {
		next = at->next;
		struct stream *s = list_entry(at, struct stream, link);
		struct request *r = s->request;
		if (!r->peer || !r->began || r->peer->doomed)
			continue;
		if (r->grant.expires_ms <= wall_ms)
			peer_doom(r->peer); /* what it may see, it may see no longer */
		else if (!peer_unsent(r->peer) && uv_now(n->config.loop) - s->said_ms >= LIMIT_EVENTS_ALIVE_MS)
			say(r, &(struct buf){ .data = (char[]){ ":\n\n" }, .len = 3 });
	}
}

void stream_free(struct request *r)
{
	struct stream *s = r->stream;
	if (s->watched)
		engine_events_unwatch(&s->watch);
	list_remove(&s->link);
	r->net->streams--;
	r->stream = NULL;
	free(s);
}

/* *out: -1 when the client says nothing of where it was. */
static enum err after_read(const struct request *r, int64_t *out)
{
	enum { DIGITS = 18 };
	char *query = NULL;
	const char *text = http_field_get(&r->head, "last-event-id");
	enum err err = text && *text ? ERR_OK : http_query_get(r->head.query, "after", &query);
	if (query)
		text = query;
	*out = -1;
	if (err == ERR_OK && text && *text) {
		size_t len = strlen(text);
		if (len > DIGITS || strspn(text, "0123456789") != len)
			err = ERR_BAD_FIELD;
		else
			*out = strtoll(text, NULL, 10);
	}
	free(query);
	return err;
}

void events_run(struct request *r)
{
	int64_t after;
	enum err err = after_read(r, &after);
	struct net *n = r->net;
	if (err == ERR_OK && n->streams >= LIMIT_EVENT_STREAMS)
		err = ERR_LIMIT_EXCEEDED;
	struct stream *s = err == ERR_OK ? calloc(1, sizeof *s) : NULL;
	if (!s) {
		request_problem(r, err != ERR_OK ? err : ERR_NO_MEMORY,
				err == ERR_BAD_FIELD ? "Last-Event-ID, or after, must be the id of an event." : NULL,
				NULL);
		return;
	}
	s->request = r;
	s->from_now = after < 0;
	s->after = after < 0 ? 0 : after;
	s->behind = true;
	s->watch.wake = wake;
	s->watch.arg = r;
	s->said_ms = uv_now(n->config.loop);
	list_push(&n->stream_list, &s->link);
	n->streams++;
	r->stream = s;
	s->watched = true;
	engine_events_watch(n->engine, &s->watch); /* before the first look: nothing comes in between */
	ask(r);
}
