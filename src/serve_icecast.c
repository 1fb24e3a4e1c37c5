/* See serve_icecast.h. */
#include "serve_icecast.h"

#include "base/log.h"
#include "proto/broadcast.h"
#include "work/relay.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { PEEK = 16 };

struct push {
	struct list link;
	char show[LIMIT_SHOW_CHARS + 1];
	char *name; /* owned; NULL: none */
	bool listed;
	struct relay *relay;
	struct broadcast *broadcast;	/* held; NULL: not on air */
	struct broadcast_reader reader; /* of what is sent */
	struct broadcast_reader probe;	/* joined again at each look: a newer header shows there */
	uint32_t title_version;
	uint64_t retry_at_ms, wait_ms, connected_ms; /* connected_ms 0: it is not */
	char said[RELAY_WHY];			     /* that it failed; "" when that was not said */
	bool refused_said;
};

static void push_leave(struct push *p)
{
	broadcast_leave(&p->reader);
	broadcast_leave(&p->probe);
}

static void push_free(struct serve_icecast *s, struct push *p)
{
	push_leave(p);
	broadcast_release(p->broadcast);
	relay_free(p->relay);
	list_remove(&p->link);
	s->count--;
	free(p->name);
	free(p);
}

/* --- what is on air --- */

static struct push *push_of(struct serve_icecast *s, const char *show)
{
	for (struct list *l = s->pushes.next; l != &s->pushes; l = l->next)
		if (strcmp(list_entry(l, struct push, link)->show, show) == 0)
			return list_entry(l, struct push, link);
	struct push *p = calloc(1, sizeof *p);
	if (!p || strlen(show) > LIMIT_SHOW_CHARS || s->count == (s->url.each ? LIMIT_SHOWS : 1) ||
	    relay_new(&s->url, "holdfast/" HOLDFAST_VERSION, &p->relay) != ERR_OK) {
		free(p);
		return NULL;
	}
	memcpy(p->show, show, strlen(show));
	p->wait_ms = LIMIT_RELAY_WAIT_MIN_MS;
	list_push(&s->pushes, &p->link);
	s->count++;
	return p;
}

static void on_shows(void *arg, enum err err, const char *text, size_t len)
{
	struct serve_icecast *s = arg;
	size_t i;
	json_t *item, *object;
	s->asking = false;
	if (err != ERR_OK || !s->open)
		return;
	for (struct list *l = s->pushes.next; l != &s->pushes; l = l->next)
		list_entry(l, struct push, link)->listed = false;
	object = json_loadb(text, len, 0, NULL);
	json_array_foreach(json_object_get(object, "items"), i, item)
	{
		const char *show = json_string_value(json_object_get(item, "show"));
		const char *name = json_string_value(json_object_get(item, "name"));
		struct push *p = show ? push_of(s, show) : NULL;
		if (!p)
			continue;
		p->listed = true;
		free(p->name);
		p->name = name ? strdup(name) : NULL;
	}
	json_decref(object);
}

/* --- one stream --- */

static void push_begin(struct serve_icecast *s, struct push *p)
{
	char mount[RELAY_MOUNT];
	const char *mime = broadcast_mime(p->broadcast);
	if (!broadcast_join(p->broadcast, &p->reader))
		return; /* there is nothing yet that could be played */
	if (!relay_takes(mime)) {
		if (!p->refused_said)
			log_event(LOG_WARN, "icecast_type", "show", p->show, "type", mime, "why",
				  "Icecast takes WebM, Ogg, MP3 and AAC", NULL);
		p->refused_said = true;
		push_leave(p);
		return;
	}
	broadcast_join(p->broadcast, &p->probe);
	relay_mount(&s->url, p->show, mount);
	relay_begin(p->relay, mount, mime, p->name ? p->name : p->show);
	p->refused_said = false;
	p->title_version = 0;
	p->connected_ms = 0;
}

/* Does what is fed now have another header than what is being sent? */
static bool header_is_newer(struct push *p)
{
	struct broadcast_reader now = { 0 };
	bool joined = broadcast_join(p->broadcast, &now);
	bool newer = !joined || now.header != p->probe.header; /* both are held: they can't be the same by chance */
	broadcast_leave(&p->probe);
	p->probe = now;
	return newer;
}

static void push_feed(struct push *p)
{
	struct iovec parts[PEEK];
	size_t taken = 1;
	int count;
	while (taken > 0 && (count = broadcast_peek(&p->reader, parts, PEEK)) > 0) {
		taken = 0;
		for (int i = 0; i < count; i++) {
			size_t n = relay_feed(p->relay, parts[i].iov_base, parts[i].iov_len);
			taken += n;
			if (n < parts[i].iov_len)
				break;
		}
		broadcast_take(&p->reader, taken);
	}
	const struct icy_title *title = broadcast_title(p->broadcast);
	if (p->connected_ms && title->version != p->title_version) {
		relay_title(p->relay, broadcast_title_text(p->broadcast));
		p->title_version = title->version;
	}
}

static void on_connected(struct push *p, uint64_t now_ms)
{
	p->connected_ms = now_ms;
	p->said[0] = '\0';
	log_event(LOG_INFO, "icecast_connected", "show", p->show, NULL);
}

static void on_failed(struct push *p, uint64_t now_ms)
{
	char why[RELAY_WHY];
	relay_why(p->relay, why);
	relay_end(p->relay);
	push_leave(p);
	if (p->connected_ms && now_ms - p->connected_ms >= LIMIT_RELAY_WAIT_MAX_MS)
		p->wait_ms = LIMIT_RELAY_WAIT_MIN_MS;
	if (strcmp(why, p->said) != 0)
		log_event(LOG_WARN, "icecast_failed", "show", p->show, "why", why, "retry_ms", log_number(p->wait_ms),
			  NULL);
	memcpy(p->said, why, sizeof why);
	p->connected_ms = 0;
	p->retry_at_ms = now_ms + p->wait_ms;
	p->wait_ms = p->wait_ms * 2 < LIMIT_RELAY_WAIT_MAX_MS ? p->wait_ms * 2 : LIMIT_RELAY_WAIT_MAX_MS;
}

static void push_stop(struct push *p)
{
	relay_end(p->relay);
	push_leave(p);
	p->connected_ms = 0;
}

/* Sends on, or ends what can't go on. */
static void push_go_on(struct push *p)
{
	if (!broadcast_ended(p->broadcast) && header_is_newer(p)) {
		push_stop(p);
		return;
	}
	push_feed(p);
	if (broadcast_behind(&p->reader) > LIMIT_LISTEN_QUEUE_BYTES) {
		log_event(LOG_WARN, "icecast_slow", "show", p->show, NULL);
		push_stop(p); /* what is newest comes next */
	} else if (broadcast_ended(p->broadcast) && broadcast_behind(&p->reader) == 0) {
		push_stop(p);
	}
}

static void push_step(struct serve_icecast *s, struct push *p, uint64_t now_ms)
{
	struct broadcast *b;
	enum relay_state state = relay_state(p->relay);
	if (!p->reader.broadcast && state == RELAY_FAILED) { /* while its end was still being sent */
		relay_end(p->relay);
		state = RELAY_IDLE;
	}
	if (!p->broadcast && engine_listen(s->engine, p->show, grant_local(), &b) == ERR_OK)
		p->broadcast = broadcast_hold(b);
	if (p->reader.broadcast && state == RELAY_SENDING && !p->connected_ms)
		on_connected(p, now_ms);
	if (p->reader.broadcast && state == RELAY_FAILED)
		on_failed(p, now_ms);
	else if (p->reader.broadcast)
		push_go_on(p);
	else if (p->broadcast && !broadcast_ended(p->broadcast) && state == RELAY_IDLE && now_ms >= p->retry_at_ms)
		push_begin(s, p);
	if (p->broadcast && broadcast_ended(p->broadcast) && !p->reader.broadcast) {
		broadcast_release(p->broadcast);
		p->broadcast = NULL;
	}
	if (!p->broadcast && !p->listed && state == RELAY_IDLE)
		push_free(s, p);
}

static void on_look(uv_timer_t *timer)
{
	struct serve_icecast *s = timer->data;
	uint64_t now_ms = uv_now(timer->loop);
	if (!s->asking && now_ms - s->shows_at_ms >= LIMIT_RELAY_SHOWS_MS) {
		s->asking = true;
		s->shows_at_ms = now_ms;
		engine_shows(s->engine, grant_local(), on_shows, s);
	}
	for (struct list *l = s->pushes.next, *next; l != &s->pushes; l = next) {
		next = l->next;
		push_step(s, list_entry(l, struct push, link), now_ms);
	}
	uv_timer_start(timer, on_look, s->count > 0 ? LIMIT_RELAY_LOOK_MS : LIMIT_RELAY_SHOWS_MS, 0);
}

void serve_icecast_open(struct serve_icecast *s, uv_loop_t *loop, struct engine *engine, const char *url)
{
	const char *problem;
	if (!url || !relay_url_parse(url, &s->url, &problem))
		return;
	s->engine = engine;
	s->open = true;
	list_init(&s->pushes);
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
	uv_timer_start(&s->timer, on_look, LIMIT_RELAY_LOOK_MS, 0);
}

void serve_icecast_close(struct serve_icecast *s)
{
	if (!s->open)
		return;
	s->open = false;
	for (struct list *l = s->pushes.next, *next; l != &s->pushes; l = next) {
		next = l->next;
		push_free(s, list_entry(l, struct push, link));
	}
	uv_close((uv_handle_t *)&s->timer, NULL);
	explicit_bzero(&s->url, sizeof s->url);
}
