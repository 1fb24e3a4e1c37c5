/* Icecast's sources: hosting tools that go on air with PUT or SOURCE, and say what plays with GET /admin/metadata.
 *
 * Such a connection is a host as any: the engine gets a `start` with the show, then the media, and answers through the
 * callbacks (conns.c). What differs is what a source can be told: a status line before its media, and the end of the
 * connection. It keeps nothing and counts no bytes, so each of its connections begins a part of its recording. A body
 * that ends as it was announced stops the show; a connection that breaks is a lost link, and the show waits for it. */
#include "net/private.h"

#include "base/log.h"
#include "net/source_keys.h"
#include "proto/source_reply.h"

#include <stdlib.h>
#include <string.h>

static struct mount *mount_make(struct peer *p)
{
	struct mount *m = calloc(1, sizeof *m);
	if (!m) {
		peer_doom(p);
		return NULL;
	}
	m->conn.peer = p;
	list_init(&m->link);
	p->mount = m;
	return m;
}

/* No more of its show: another one may have it. */
static void leave(struct mount *m)
{
	if (list_empty(&m->link))
		return;
	list_remove(&m->link);
	m->conn.peer->net->mount_count--;
}

void mount_gone(struct peer *p)
{
	struct mount *m = p->mount;
	leave(m);
	if (m->conn.id)
		conn_gone(&m->conn);
	source_head_release(&m->head);
	explicit_bzero(&m->request, sizeof m->request);
	p->mount = NULL;
	free(m);
}

/* --- answers --- */

void mount_finish(struct mount *m)
{
	struct peer *p = m->conn.peer;
	if (m->conn.closing)
		return;
	m->conn.closing = true;
	leave(m);
	peer_deadline(p, LIMIT_CLOSE_WAIT_MS);
	peer_finish(p);
}

static void write_text(struct mount *m, const char *text, size_t len)
{
	if (len > 0)
		peer_write(m->conn.peer, &(struct iovec){ (void *)(uintptr_t)text, len }, 1, false);
}

static void answer(struct mount *m, const char *text)
{
	write_text(m, text, strlen(text));
	mount_finish(m);
}

/* In words that sources know: what another one has is 403, and our own trouble 503, after which they come again. */
static int status_of(enum err err)
{
	int status = err_status(err);
	if (status == 409 || status == 410)
		return 403;
	return status == 429 || (status >= 500 && status != 501) ? 503 : status;
}

static void refuse(struct mount *m, enum err err, const char *sentence)
{
	char text[SOURCE_REPLY_BYTES];
	size_t len = source_reply_refuse(status_of(err), sentence ? sentence : err_text(err), text);
	write_text(m, text, len);
	mount_finish(m);
}

/* --- going on air --- */

/* Is it another's? One that has been silent for long may be dead: its successor takes over from it. */
static bool in_use(struct net *n, const char *show)
{
	uint64_t now_ms = uv_now(n->config.loop);
	for (struct list *l = n->mounts.next; l != &n->mounts; l = l->next) {
		const struct mount *other = list_entry(l, struct mount, link);
		bool waits = other->phase != MOUNT_ON_AIR || other->conn.peer->gates; /* for us */
		if (strcmp(other->request.mount, show) == 0 &&
		    (waits || now_ms - other->heard_ms < LIMIT_SOURCE_SILENT_MS))
			return true;
	}
	return false;
}

/* As much of the name as a recording's may have. */
static size_t name_cut(const char *name)
{
	size_t len = 0, chars = 0;
	for (; name[len]; len++)
		if (((unsigned char)name[len] & 0xc0) != 0x80 && chars++ == LIMIT_NAME_CHARS)
			break;
	return len;
}

static char *start_text(const struct source_request *r)
{
	json_t *start = json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "start", "show", r->mount, "mime", r->mime,
				  "ext", r->ext, "part", 1);
	size_t len = name_cut(r->name);
	if (start && len > 0)
		json_object_set_new(start, "name", json_stringn(r->name, len));
	char *text = start ? json_dumps(start, JSON_COMPACT) : NULL;
	json_decref(start);
	return text;
}

static void start(struct mount *m)
{
	static const struct grant grant = {
		.subject = "source", .scopes = SCOPE_RECORD, .max_bytes = UINT64_MAX, .expires_ms = INT64_MAX
	};
	struct peer *p = m->conn.peer;
	struct net *n = p->net;
	char *text = start_text(&m->request);
	if (!text) {
		refuse(m, ERR_NO_MEMORY, NULL);
		return;
	}
	m->phase = MOUNT_STARTING;
	m->left = m->request.length;
	list_push(&n->mounts, &m->link);
	n->mount_count++;
	peer_deadline(p, 0);
	peer_gate(p, GATE_ANSWER, true); /* its media waits until the engine has begun */
	conn_open(&m->conn, p, &grant);
	engine_conn_text(n->engine, m->conn.id, text, strlen(text), net_now(n));
	free(text);
}

static void started(struct mount *m)
{
	struct peer *p = m->conn.peer;
	if (m->phase != MOUNT_STARTING)
		return;
	const char *text = source_reply_accept(&m->request);
	m->phase = MOUNT_ON_AIR;
	m->heard_ms = uv_now(p->net->config.loop);
	p->net->mounts_opened++;
	log_event(LOG_INFO, "source_on_air", "show", m->request.mount, "type", m->request.mime, "agent",
		  m->request.agent, NULL);
	write_text(m, text, strlen(text));
	peer_gate(p, GATE_ANSWER, false);
}

/* --- requests --- */

/* A line a minute at most: anybody on the network can cause it. */
static void say_refused(struct mount *m)
{
	struct net *n = m->conn.peer->net;
	uint64_t now_ms = uv_now(n->config.loop);
	n->sources_refused++;
	if (n->source_said_ms && now_ms - n->source_said_ms < LIMIT_TLS_LOG_MS)
		return;
	n->source_said_ms = now_ms;
	log_event(LOG_WARN, "source_refused", "show", m->request.mount, "why", "wrong password", "refused_until_now",
		  log_number(n->sources_refused), NULL);
}

/* False: it was answered. */
static bool known(struct mount *m)
{
	struct source_request *r = &m->request;
	bool has = r->has_credentials;
	bool ok = has && source_keys_match(m->conn.peer->net->source.keys, r->mount, r->user, r->password);
	explicit_bzero(r->password, sizeof r->password);
	if (ok) {
		peer_granted(m->conn.peer);
		return true;
	}
	if (has)
		say_refused(m);
	refuse(m, ERR_UNAUTHORIZED, has ? "This is not the show's password." : "The show's password is needed.");
	return false;
}

static void title_set(struct mount *m)
{
	static const struct grant grant = {
		.subject = "source", .scopes = SCOPE_RECORD, .max_bytes = UINT64_MAX, .expires_ms = INT64_MAX
	};
	const struct source_request *r = &m->request;
	enum err err = engine_show_title(m->conn.peer->net->engine, r->mount, &grant, r->title);
	if (err == ERR_OK)
		answer(m, source_reply_accept(r));
	else
		refuse(m, err, NULL);
}

static void request_judge(struct mount *m)
{
	struct net *n = m->conn.peer->net;
	const struct source_request *r = &m->request;
	const char *detail;
	enum err err = source_request_parse(m->head.text.data, m->head.text.len, &m->request, &detail);
	explicit_bzero(m->head.text.data, m->head.text.len); /* it holds the password */
	source_head_release(&m->head);
	m->conn.peer->state = PEER_SOURCE;
	if (err != ERR_OK)
		refuse(m, err, detail);
	else if (n->stop != NET_RUNNING || !n->listening)
		refuse(m, ERR_SHUTTING_DOWN, NULL);
	else if (r->kind == SOURCE_OPTIONS)
		answer(m, source_reply_accept(r));
	else if (!known(m))
		return;
	else if (r->kind == SOURCE_TITLE)
		title_set(m);
	else if (r->body == SOURCE_BODY_NONE) /* libshout asks whether it may */
		answer(m, source_reply_accept(r));
	else if (in_use(n, r->mount))
		refuse(m, ERR_SHOW_ON_AIR, "Another source is on air on this mount.");
	else
		start(m);
}

/* --- bytes --- */

static size_t head_input(struct mount *m, const uint8_t *data, size_t len)
{
	size_t used;
	enum err err = source_head_feed(&m->head, data, len, &used);
	if (err != ERR_OK) {
		m->conn.peer->state = PEER_SOURCE;
		refuse(m, err, m->head.detail);
		return len;
	}
	if (m->head.complete)
		request_judge(m);
	return used;
}

static void media(struct mount *m, const uint8_t *data, size_t len, struct now now)
{
	if (len == 0)
		return;
	m->heard_ms = now.mono_ms;
	engine_conn_media(m->conn.peer->net->engine, m->conn.id, (struct engine_media){ .data = data, .len = len },
			  now);
}

/* The body has come to its end: the show too. */
static void end(struct mount *m, struct now now)
{
	static const char stop[] = "{\"type\":\"stop\"}";
	struct peer *p = m->conn.peer;
	m->phase = MOUNT_ENDING;
	peer_gate(p, GATE_ANSWER, true);
	engine_conn_text(p->net->engine, m->conn.id, stop, sizeof stop - 1, now);
}

static size_t chunks_input(struct mount *m, const uint8_t *data, size_t len, struct now now)
{
	struct peer *p = m->conn.peer;
	size_t done = 0;
	while (done < len && p->gates == 0 && !p->doomed && !m->conn.closing) {
		struct chunked_piece piece;
		size_t used;
		if (chunked_feed(&m->chunked, data + done, len - done, &used, &piece) != ERR_OK) {
			peer_doom(p); /* where the media went on nobody knows: a lost link */
			return len;
		}
		media(m, piece.media, piece.len, now);
		done += used;
		if (m->chunked.done && m->phase == MOUNT_ON_AIR)
			end(m, now);
	}
	return done;
}

static size_t body_input(struct mount *m, const uint8_t *data, size_t len)
{
	struct now now = net_now(m->conn.peer->net);
	if (m->request.body == SOURCE_BODY_CHUNKED)
		return chunks_input(m, data, len, now);
	bool counted = m->request.body == SOURCE_BODY_LENGTH;
	if (counted && len > m->left)
		len = m->left;
	m->left -= counted ? len : 0;
	media(m, data, len, now);
	if (counted && m->left == 0)
		end(m, now);
	return len;
}

size_t source_input(struct peer *p, uint8_t *data, size_t len)
{
	struct mount *m = p->mount ? p->mount : mount_make(p);
	if (!m || m->conn.closing)
		return len;
	if (p->state == PEER_SOURCE_HEAD)
		return head_input(m, data, len);
	if (m->phase != MOUNT_ON_AIR)
		return 0; /* it waits behind its gate */
	size_t taken = body_input(m, data, len);
	if (!m->conn.closing &&
	    m->request.body == SOURCE_BODY_CHUNKED) /* lines between chunks are signs of life, too */
		engine_conn_alive(p->net->engine, m->conn.id, net_now(p->net));
	return taken;
}

/* --- what the engine says --- */

/* The end of its show, whoever wanted it. */
static void stopped(struct mount *m)
{
	if (m->phase == MOUNT_ENDING)
		answer(m, source_reply_end(&m->request));
	else
		mount_finish(m);
}

static void failed(struct mount *m, const json_t *message)
{
	const char *code = json_string_value(json_object_get(message, "code"));
	const char *sentence = json_string_value(json_object_get(message, "message"));
	enum err err = ERR_INTERNAL;
	if (!code || !err_parse(code, &err))
		err = ERR_INTERNAL;
	log_event(LOG_INFO, m->phase == MOUNT_STARTING ? "source_not_on_air" : "source_ended", "show", m->request.mount,
		  "code", err_code(err), NULL);
	if (m->phase == MOUNT_STARTING)
		refuse(m, err, sentence);
	else
		mount_finish(m); /* its media has begun: there is nothing to be said any more */
}

void mount_hear(struct mount *m, const char *text, size_t len)
{
	json_t *message = json_loadb(text, len, 0, NULL);
	const char *type = json_string_value(json_object_get(message, "type"));
	if (type && strcmp(type, "started") == 0)
		started(m);
	else if (type && strcmp(type, "error") == 0)
		failed(m, message);
	else if (type && (strcmp(type, "stopped") == 0 || strcmp(type, "saved") == 0 || strcmp(type, "aborted") == 0))
		stopped(m);
	json_decref(message); /* else how the show stands: a source has no ear for it */
}
