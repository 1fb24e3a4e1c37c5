/* The WebSocket: its handshake, frames to the engine, the engine's replies to frames. */
#include "net/private.h"

#include "proto/message.h"
#include "proto/problem.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_CHARS = 24, /* 16 bytes in base64 */
	CLOSE_PROTOCOL = 1002,
	CLOSE_NOTHING = 1005, /* never sent: the peer gave no code */
};

static const char subprotocol[] = "holdfast.v1";

/* Tells the engine that the connection is over, and forgets it. */
static void ws_free(struct ws *w)
{
	conn_gone(&w->conn);
	w->conn.peer->ws = NULL;
	w->conn.peer->net->ws_count--;
	buf_release(&w->text);
	free(w);
}

void ws_gone(struct peer *p)
{
	ws_free(p->ws);
}

/* --- the handshake --- */

static bool key_valid(const char *key)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	return key && strlen(key) == KEY_CHARS && strspn(key, digits) == KEY_CHARS - 2 &&
	       strcmp(key + KEY_CHARS - 2, "==") == 0;
}

/* RFC 6455, section 4.2.2: base64 of the SHA-1 of the key and a fixed text. `out` holds 29 bytes. */
static bool accept_make(const char *key, char *out)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[KEY_CHARS + sizeof guid];
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned sum_len;
	snprintf(text, sizeof text, "%s%s", key, guid);
	if (EVP_Digest(text, strlen(text), sum, &sum_len, EVP_sha1(), NULL) != 1)
		return false;
	EVP_EncodeBlock((unsigned char *)out, sum, (int)sum_len);
	return true;
}

/* What is wrong with the request as an upgrade, or NULL. */
static const char *upgrade_judge(const struct http_request *head)
{
	const char *version = http_field_get(head, "sec-websocket-version");
	if (!http_field_has(head, "upgrade", "websocket", false) ||
	    !http_field_has(head, "connection", "upgrade", false))
		return "This is a WebSocket: it needs Upgrade: websocket and Connection: Upgrade.";
	if (strcmp(head->method, "GET") != 0 || head->minor == 0 || head->length > 0)
		return "A WebSocket begins with a GET of HTTP/1.1 without a body.";
	if (!version || strcmp(version, "13") != 0)
		return "Sec-WebSocket-Version must be 13.";
	if (http_field_count(head, "sec-websocket-key") != 1 || !key_valid(http_field_get(head, "sec-websocket-key")))
		return "Sec-WebSocket-Key must be 16 bytes in base64.";
	if (http_field_get(head, "sec-websocket-protocol") &&
	    !http_field_has(head, "sec-websocket-protocol", subprotocol, true))
		return "The subprotocol is holdfast.v1.";
	return NULL;
}

/* The engine knows it from here on. */
static void ws_open(struct peer *p, struct ws *w, const struct grant *grant)
{
	struct net *n = p->net;
	p->ws = w;
	p->state = PEER_WS;
	n->ws_count++;
	n->ws_opened++;
	peer_deadline(p, 0);
	peer_gate(p, GATE_ANSWER, false);
	conn_open(&w->conn, p, grant);
}

/* The text of the `start` that a query stands for; what it says is judged as a message's. ERR_BAD_FIELD,
 * ERR_NO_MEMORY. */
static enum err start_of_query(const char *query, struct buf *out)
{
	static const struct {
		const char *name, *field;
		bool number;
	} fields[] = {
		{ "show_id", "show", false }, { "show", "show", false }, { "sessionId", "sessionId", false },
		{ "mime", "mime", false },    { "ext", "ext", false },	 { "name", "name", false },
		{ "from", "from", true },     { "ts", "ts", true },	 { "part", "part", true },
	};
	json_t *start = json_pack("{s:s}", "type", "start");
	enum err err = ERR_OK;
	for (size_t i = 0; !err && i < sizeof fields / sizeof *fields; i++) {
		char *value = NULL, *end;
		err = http_query_get(query, fields[i].name, &value);
		if (value && *value && fields[i].number) {
			unsigned long long number = strtoull(value, &end, 10);
			if (strcmp(value, "true") == 0)
				json_object_set_new(start, fields[i].field, json_true());
			else if (*end == '\0' && *value >= '0' && *value <= '9' && number < 1ULL << 53)
				json_object_set_new(start, fields[i].field, json_integer((json_int_t)number));
			else
				err = ERR_BAD_FIELD;
		} else if (value && *value) {
			json_object_set_new(start, fields[i].field, json_string(value));
		}
		free(value);
	}
	if (!err && !json_object_get(start, "show"))
		err = ERR_BAD_FIELD;
	json_format(out, start);
	json_decref(start);
	return err ? err : out->failed ? ERR_NO_MEMORY : ERR_OK;
}

void ws_stream(struct request *r)
{
	struct peer *p = r->peer;
	struct net *n = r->net;
	struct buf start;
	buf_init(&start);
	enum err err = start_of_query(r->head.query, &start);
	if (err) {
		request_problem(r, err, err == ERR_BAD_FIELD ? "show_id must be the name of a show." : NULL, NULL);
	} else {
		ws_upgrade(r);
		if (p->state == PEER_WS && p->ws)
			engine_conn_text(n->engine, p->ws->conn.id, start.data, start.len, net_now(n));
	}
	buf_release(&start);
}

void ws_upgrade(struct request *r)
{
	struct peer *p = r->peer;
	char accept[32], text[256];
	const char *wrong = upgrade_judge(&r->head);
	if (wrong) {
		request_problem(r, ERR_BAD_REQUEST, wrong, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
		return;
	}
	if (r->net->stop != NET_RUNNING || !r->net->listening) {
		request_problem(r, ERR_SHUTTING_DOWN, NULL, NULL);
		return;
	}
	struct ws *w = calloc(1, sizeof *w);
	if (!w || !accept_make(http_field_get(&r->head, "sec-websocket-key"), accept)) {
		free(w);
		request_problem(r, ERR_NO_MEMORY, NULL, NULL);
		return;
	}
	bool named = http_field_get(&r->head, "sec-websocket-protocol");
	int len = snprintf(text, sizeof text,
			   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			   "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
			   accept, named ? "Sec-WebSocket-Protocol: " : "", named ? subprotocol : "",
			   named ? "\r\n" : "");
	struct grant grant = r->grant;
	bool granted = r->granted;
	peer_write(p, &(struct iovec){ text, (size_t)len }, 1, false);
	p->request = NULL;
	r->peer = NULL;
	request_settle(r);
	ws_open(p, w, granted ? &grant : NULL);
}

/* --- frames in --- */

static void frame_write(struct peer *p, enum frame_opcode opcode, const void *data, size_t len, bool is_ack)
{
	uint8_t head[FRAME_HEAD_MAX];
	size_t head_len = frame_head(head, opcode, len);
	struct iovec parts[2] = { { head, head_len }, { (void *)(uintptr_t)data, len } };
	peer_write(p, parts, len ? 2 : 1, is_ack);
}

static void close_write(struct peer *p, unsigned code)
{
	uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };
	frame_write(p, FRAME_CLOSE, payload, code == CLOSE_NOTHING ? 0 : 2, false);
}

/* The peer said goodbye, or nonsense: answered, and it's over. */
static void over(struct peer *p, unsigned code)
{
	bool said = p->state == PEER_WS_DONE;
	if (p->ws)
		ws_free(p->ws);
	p->state = PEER_WS_DONE;
	if (!said)
		close_write(p, code);
	peer_deadline(p, LIMIT_CLOSE_WAIT_MS);
	peer_finish(p);
}

void ws_close(struct ws *w, unsigned code)
{
	struct peer *p = w->conn.peer;
	if (w->conn.closing)
		return;
	w->conn.closing = true;
	p->state = PEER_WS_DONE;
	close_write(p, code);
	peer_deadline(p, LIMIT_CLOSE_WAIT_MS);
	peer_gate(p, GATE_PAUSED, false); /* to see the peer's goodbye */
}

/* True when the engine heard of it. */
static bool text_piece(struct ws *w, const struct frame_piece *piece, struct now now)
{
	struct engine *e = w->conn.peer->net->engine;
	if (piece->first)
		w->text_dropped = false;
	if (!w->text_dropped && w->text.len + piece->len > LIMIT_CONTROL_BYTES) {
		w->text_dropped = true;
		buf_release(&w->text);
		engine_conn_error(e, w->conn.id, ERR_MESSAGE_TOO_LARGE, now);
		return true;
	}
	if (w->text_dropped)
		return false;
	if (piece->first && piece->last) {
		engine_conn_text(e, w->conn.id, (const char *)piece->data, piece->len, now);
		return true;
	}
	buf_add(&w->text, piece->data, piece->len);
	if (w->text.failed)
		peer_doom(w->conn.peer);
	if (w->text.failed || !piece->last)
		return false;
	struct buf text = w->text; /* the connection may be over before the engine returns */
	buf_init(&w->text);
	engine_conn_text(e, w->conn.id, text.data ? text.data : "", text.len, now);
	buf_release(&text);
	return true;
}

static struct engine_media media_of(const struct frame_reader *reader, const struct frame_piece *piece)
{
	struct engine_media media = { .data = piece->data, .len = piece->len, .follows = reader->remaining };
	memcpy(media.mask, piece->mask, sizeof media.mask);
	return media;
}

/* True when the engine heard of it. */
static bool take(struct peer *p, const struct frame_piece *piece, struct now now)
{
	struct ws *w = p->ws;
	bool closing = p->state == PEER_WS_DONE;
	switch (piece->opcode) {
	case FRAME_TEXT:
		return !closing && text_piece(w, piece, now);
	case FRAME_BINARY:
		if (!closing)
			engine_conn_media(p->net->engine, w->conn.id, media_of(&w->reader, piece), now);
		return !closing;
	case FRAME_PING:
		if (!closing && !peer_unsent(p)) /* one that does not read gets no more than what is queued */
			frame_write(p, FRAME_PONG, piece->data, piece->len, false);
		return false;
	case FRAME_CLOSE:
		over(p, frame_close_code(piece->data, piece->len));
		return true;
	case FRAME_PONG:
	case FRAME_CONTINUATION:
		break;
	}
	return false;
}

size_t ws_input(struct peer *p, uint8_t *data, size_t len)
{
	uint8_t *begin = data;
	struct now now = net_now(p->net);
	if (p->state == PEER_WS_DONE && !p->ws)
		return len; /* said goodbye; its last frames are on their way out */
	bool heard = false;
	while (p->ws && p->gates == 0 && !p->doomed) {
		struct frame_piece piece;
		enum frame_result result = frame_read(&p->ws->reader, &data, &len, &piece);
		if (result == FRAME_WRONG) {
			over(p, CLOSE_PROTOCOL);
			len = 0;
			break;
		}
		if (result == FRAME_MORE)
			break;
		heard |= take(p, &piece, now);
	}
	if (!p->ws)
		return (size_t)(data - begin) + len;
	if (!heard)
		engine_conn_alive(p->net->engine, p->ws->conn.id, now);
	return (size_t)(data - begin);
}

/* --- the engine's callbacks, through conns.c --- */

void ws_send(struct ws *w, const char *text, size_t len, bool is_ack)
{
	struct peer *p = w->conn.peer;
	if (p->out_count < LIMIT_SEND_QUEUE || is_ack) { /* acks are folded: one more at the most */
		frame_write(p, FRAME_TEXT, text, len, is_ack);
		return;
	}
	struct buf error;
	buf_init(&error);
	message_error(&error, ERR_SLOW_READER, NULL, NULL, MESSAGE_NO_BYTES);
	if (!error.failed)
		frame_write(p, FRAME_TEXT, error.data, error.len, false);
	buf_release(&error);
	ws_close(w, ENGINE_CLOSE_POLICY);
}

void ws_ping(struct ws *w)
{
	if (w->conn.peer->out_count < LIMIT_SEND_QUEUE)
		frame_write(w->conn.peer, FRAME_PING, NULL, 0, false);
}

bool ws_roomy(struct ws *w)
{
	w->full = w->conn.peer->out_count >= LIMIT_STATUS_QUEUE;
	return !w->full;
}

void ws_drained(struct ws *w)
{
	if (!w->full)
		return;
	w->full = false;
	engine_conn_drained(w->conn.peer->net->engine, w->conn.id, net_now(w->conn.peer->net));
}
