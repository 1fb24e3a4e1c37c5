/* One HTTP request after the other on a connection: head, gates, body, answer. While one is answered nothing is read,
 * so that what a client pipelines waits in its own socket. */
#include "net/private.h"

#include "proto/problem.h"
#include "proto/tus.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- answers --- */

const char *retry_after(enum err err)
{
	switch (err) {
	case ERR_BUSY:
		return "Retry-After: 1\r\n";
	case ERR_STORAGE_FULL:
		return "Retry-After: 30\r\n";
	default:
		return err_retry(err) ? "Retry-After: 5\r\n" : "";
	}
}

/* The Date header's value; made anew once a second. */
static const char *date_text(struct net *n)
{
	time_t now = time(NULL);
	if (now != n->date_s) {
		struct tm parts;
		n->date_s = now;
		gmtime_r(&now, &parts);
		strftime(n->date, sizeof n->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
	}
	return n->date;
}

/* Is it everybody's because the operator said so? Then a page from elsewhere may play it, too. */
static bool is_open(const struct request *r)
{
	return r->net->config.listen_open && r->route && r->route->flags & ROUTE_SHOW;
}

/* Of a body that nobody wants: is it at its end, or so near to it that the connection can be kept? */
static bool body_droppable(const struct request *r)
{
	if (r->chunks || (r->body_left > 0 && r->expects)) /* whether that comes is the client's choice */
		return false;
	return r->body_left == 0 || (r->dialect != DIALECT_NONE && r->body_left <= LIMIT_UPLOAD_DRAIN_BYTES);
}

void request_begin(struct request *r, int status, const char *headers, uint64_t len)
{
	struct buf head;
	r->began = true;
	if (!r->peer)
		return;
	if (r->net->stop != NET_RUNNING || !body_droppable(r) || len == REQUEST_ENDLESS)
		r->keep_alive = false; /* what is left of the body is dropped with the connection */
	buf_init(&head);
	buf_addf(&head,
		 "HTTP/1.1 %d %s\r\nDate: %s\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
		 "Cross-Origin-Resource-Policy: %s\r\n",
		 status, http_phrase(status), date_text(r->net), is_open(r) ? "cross-origin" : "same-origin");
	if (r->net->config.allow_origin)
		buf_add_text(&head, "Vary: Origin\r\n");
	if (r->origin)
		buf_addf(&head,
			 "Access-Control-Allow-Origin: %s\r\nAccess-Control-Expose-Headers: Accept-Ranges, "
			 "Content-Length, Content-Range, ETag, Icy-MetaInt, Icy-Name, Retry-After%s\r\n",
			 r->origin, r->dialect == DIALECT_NONE ? "" : files_exposed);
	if (r->dialect == DIALECT_TUS)
		buf_add_text(&head, "Tus-Resumable: " TUS_VERSION "\r\n");
	if (status != 204 && status != 304 && len != REQUEST_ENDLESS)
		buf_addf(&head, "Content-Length: %" PRIu64 "\r\n", len);
	buf_addf(&head, "%s%sConnection: %s\r\n\r\n", headers, status == 401 ? "WWW-Authenticate: Bearer\r\n" : "",
		 r->keep_alive ? "keep-alive" : "close");
	if (head.failed)
		peer_doom(r->peer);
	else
		peer_write(r->peer, &(struct iovec){ head.data, head.len }, 1, false);
	buf_release(&head);
}

void request_body(struct request *r, const void *data, size_t len)
{
	if (r->peer && !r->head_only && len > 0)
		peer_write(r->peer, &(struct iovec){ (void *)(uintptr_t)data, len }, 1, false);
}

/* The answer is on its way or sent: the next request, or the end. */
static void complete(struct peer *p)
{
	struct request *r = p->request;
	bool keep_alive = r->keep_alive;
	uint64_t left = r->body_left;
	p->request = NULL;
	r->peer = NULL;
	request_settle(r);
	if (!keep_alive) {
		peer_finish(p);
		return;
	}
	p->state = PEER_HEAD;
	p->in_scanned = 0;
	p->drop = left;
	peer_deadline(p, LIMIT_HTTP_KEEP_ALIVE_S * 1000);
	peer_gate(p, GATE_ANSWER, false);
}

void request_end(struct request *r)
{
	r->ended = true;
	if (!r->peer)
		request_settle(r);
	else if (!peer_unsent(r->peer))
		complete(r->peer);
	else
		peer_deadline(r->peer, LIMIT_HTTP_SEND_WAIT_S * 1000);
}

void request_drained(struct peer *p)
{
	struct request *r = p->request;
	if (r->ended)
		complete(p);
	else if (r->download)
		download_drained(r);
	else if (r->stream)
		stream_drained(r);
	else if (r->hearer)
		hearer_drained(r);
}

void request_answer(struct request *r, const struct answer *answer)
{
	struct buf headers;
	buf_init(&headers);
	if (answer->type)
		buf_addf(&headers, "Content-Type: %s\r\n", answer->type);
	buf_add_text(&headers, answer->headers ? answer->headers : "");
	if (headers.failed) {
		if (r->peer)
			peer_doom(r->peer);
	} else {
		request_begin(r, answer->status, headers.data, answer->len);
		request_body(r, answer->body, answer->len);
	}
	buf_release(&headers);
	request_end(r);
}

void request_problem(struct request *r, enum err err, const char *detail, const char *headers)
{
	struct buf body, lines;
	buf_init(&body);
	buf_init(&lines);
	problem_format(&body, err, detail, NULL);
	buf_addf(&lines, "Cache-Control: no-store\r\n%s%s", retry_after(err), headers ? headers : "");
	if (body.failed || lines.failed) {
		if (r->peer)
			peer_doom(r->peer);
		request_end(r);
	} else {
		request_answer(r, &(struct answer){ .status = err_status(err),
						    .type = "application/problem+json",
						    .headers = lines.data,
						    .body = body.data,
						    .len = body.len });
	}
	buf_release(&body);
	buf_release(&lines);
}

/* --- life --- */

void request_settle(struct request *r)
{
	if (r->peer || r->pending)
		return;
	if (r->download)
		download_free(r);
	if (r->stream)
		stream_free(r);
	if (r->hearer)
		hearer_free(r);
	if (r->resumable)
		resumable_free(r);
	http_request_release(&r->head);
	buf_release(&r->body);
	r->net->requests--;
	free(r);
}

void request_orphan(struct request *r)
{
	r->peer->request = NULL;
	r->peer = NULL;
	if (r->asking)
		engine_authority_leave(&r->asked);
	r->asking = false;
	if (r->download)
		download_orphan(r);
	if (r->resumable)
		resumable_orphan(r);
	request_settle(r);
}

static void say_continue(struct request *r)
{
	if (r->expects)
		peer_write(r->peer, &(struct iovec){ (char[]){ "HTTP/1.1 100 Continue\r\n\r\n" }, 25 }, 1, false);
	r->expects = false;
}

void request_want(struct request *r)
{
	r->peer->state = PEER_BODY;
	peer_deadline(r->peer, LIMIT_UPLOAD_WAIT_S * 1000);
	say_continue(r);
	peer_gate(r->peer, GATE_ANSWER, false);
}

void request_hold(struct request *r)
{
	r->peer->state = PEER_ANSWER;
	peer_deadline(r->peer, 0);
	peer_gate(r->peer, GATE_ANSWER, true);
	peer_gate(r->peer, GATE_PAUSED, false);
}

size_t request_room(const struct peer *p)
{
	bool reads = p->state == PEER_BODY && p->request->resumable && !p->gates && !p->doomed;
	return reads ? resumable_room(p->request) : 0;
}

static struct request *request_make(struct peer *p)
{
	struct request *r = calloc(1, sizeof *r);
	if (!r) {
		peer_doom(p);
		return NULL;
	}
	r->peer = p;
	r->net = p->net;
	p->request = r;
	p->net->requests++;
	p->state = PEER_ANSWER;
	p->in_scanned = 0;
	peer_deadline(p, 0);
	peer_gate(p, GATE_ANSWER, true);
	return r;
}

/* --- heads --- */

/* A head that is none: answered, and the connection ends. */
static void refuse_head(struct peer *p, enum err err, const char *detail)
{
	struct request *r = request_make(p);
	if (r)
		request_problem(r, err, detail, NULL);
}

/* What a page of an allowed origin may send, asked by its browser before it does. */
static void preflight_answer(struct request *r, const char *allow)
{
	char headers[400];
	snprintf(headers, sizeof headers,
		 "Access-Control-Allow-Methods: %s\r\nAccess-Control-Allow-Headers: Authorization, Content-Type, "
		 "Icy-MetaData, If-None-Match, If-Range, Last-Event-ID, Range\r\nAccess-Control-Max-Age: "
		 "600\r\nCache-Control: "
		 "no-store\r\n",
		 allow);
	request_answer(r, &(struct answer){ .status = 204, .headers = headers });
}

static void admitted(struct request *r, enum err err, enum err found, const char *allow);

/* The gates before a route: who, where, how large. */
static void admit(struct request *r)
{
	char allow[64]; /* all methods that one path has */
	enum err found = route_find(r, allow, sizeof allow), err = ERR_OK;
	enum guard_origin from = guard_origin(&r->head, r->peer->tls, r->net->config.allow_origin);
	unsigned flags = found == ERR_OK ? r->route->flags : 0;
	r->body_left = r->head.length;
	r->chunks = r->head.chunked;
	r->expects = r->head.minor == 1 && http_field_has(&r->head, "expect", "100-continue", false);
	if (r->chunks && !(flags & ROUTE_FILES)) {
		request_problem(r, ERR_LENGTH_REQUIRED, NULL, NULL);
		return;
	}
	if (from == ORIGIN_ALLOWED)
		r->origin = http_field_get(&r->head, "origin");
	if (from == ORIGIN_ALLOWED && found == ERR_METHOD_NOT_ALLOWED && strcmp(r->head.method, "OPTIONS") == 0 &&
	    http_field_get(&r->head, "access-control-request-method")) {
		preflight_answer(r, allow);
		return;
	}
	err = guard_host(r->peer, &r->head);
	if (err == ERR_OK)
		err = from == ORIGIN_FOREIGN ? ERR_FORBIDDEN_ORIGIN : request_grant(r, found == ERR_OK);
	if (!r->asking)
		admitted(r, err, found, allow);
}

void request_asked(void *arg, enum err err, const struct grant *grant)
{
	struct request *r = arg;
	char allow[64];
	r->asking = false;
	if (r->peer->doomed) /* it leaves at the end of the turn */
		return;
	r->granted = err == ERR_OK;
	if (r->granted) {
		r->grant = *grant;
		peer_granted(r->peer);
	}
	enum err found = route_find(r, allow, sizeof allow);
	admitted(r, err, found, allow);
}

/* `err`: whether it is known who asks; `found`: whether there is such a route. */
static void admitted(struct request *r, enum err err, enum err found, const char *allow)
{
	char header[80];
	unsigned flags = found == ERR_OK ? r->route->flags : 0;
	if (err == ERR_OK)
		err = found;
	if (err == ERR_OK && http_field_has(&r->head, "upgrade", "h2c", false))
		err = ERR_NOT_SUPPORTED;
	if (err == ERR_OK && r->head.length > LIMIT_HTTP_BODY_BYTES && !(flags & ROUTE_FILES))
		err = ERR_MESSAGE_TOO_LARGE;
	if (err != ERR_OK) {
		snprintf(header, sizeof header, "Allow: %s\r\n", err == ERR_METHOD_NOT_ALLOWED ? allow : "");
		request_problem(r, err, NULL, err == ERR_METHOD_NOT_ALLOWED ? header : NULL);
		return;
	}
	if (r->head.length == 0 || flags & ROUTE_FILES) {
		r->route->run(r);
		return;
	}
	r->peer->state = PEER_BODY;
	peer_deadline(r->peer, LIMIT_HTTP_BODY_WAIT_S * 1000);
	peer_gate(r->peer, GATE_ANSWER, false);
	say_continue(r);
}

static size_t head_input(struct peer *p, uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	if (p->in_scanned == 0) {
		if (!http_head_plausible(text, len)) {
			refuse_head(p, ERR_BAD_REQUEST, "This is no HTTP/1.1 request.");
			return len;
		}
		if (p->door == DOOR_TLS && !p->tls) {
			refuse_head(p, ERR_BAD_REQUEST, "This port speaks https only.");
			return len;
		}
		if (p->deadline_ms > uv_now(p->net->config.loop) + LIMIT_HTTP_HEADER_WAIT_S * 1000)
			peer_deadline(p, LIMIT_HTTP_HEADER_WAIT_S * 1000); /* it waited between two requests */
	}
	size_t from = p->in_scanned > 3 ? p->in_scanned - 3 : 0; /* the end may have begun before */
	size_t head = http_head_length(text + from, len - from);
	if (head > 0)
		head += from;
	if (head > LIMIT_HTTP_HEADERS_BYTES || (head == 0 && len > LIMIT_HTTP_HEADERS_BYTES)) {
		refuse_head(p, ERR_HEADERS_TOO_LARGE, NULL);
		return len;
	}
	if (head == 0) {
		p->in_scanned = len;
		return 0;
	}
	const char *detail;
	struct http_request parsed;
	enum err err = http_request_parse(text, head, &parsed, &detail);
	if (err != ERR_OK) {
		refuse_head(p, err, detail);
		return head;
	}
	struct request *r = request_make(p);
	if (!r) {
		http_request_release(&parsed);
		return head;
	}
	r->head = parsed;
	r->keep_alive = parsed.keep_alive;
	r->head_only = strcmp(parsed.method, "HEAD") == 0;
	admit(r);
	return head;
}

static size_t body_input(struct peer *p, const uint8_t *data, size_t len)
{
	struct request *r = p->request;
	size_t taken = r->body_left < len ? (size_t)r->body_left : len;
	if (r->route->flags & ROUTE_BODY)
		buf_add(&r->body, data, taken);
	r->body_left -= taken;
	if (r->body.failed) {
		peer_doom(p);
	} else if (r->body_left == 0) {
		p->state = PEER_ANSWER;
		peer_deadline(p, 0);
		peer_gate(p, GATE_ANSWER, true);
		r->route->run(r);
	}
	return taken;
}

size_t request_input(struct peer *p, uint8_t *data, size_t len)
{
	if (p->drop > 0) {
		size_t dropped = p->drop < len ? (size_t)p->drop : len;
		p->drop -= dropped;
		return dropped;
	}
	if (p->state == PEER_HEAD)
		return head_input(p, data, len);
	return p->request->resumable ? resumable_input(p, data, len) : body_input(p, data, len);
}
