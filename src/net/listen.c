/* GET /live/{show}: the stream of a show on air, to as many as want it.
 *
 * Nothing is copied for a listener: he reads the chunks of the broadcast (proto/broadcast.h), and what his socket does
 * not take stays there. So a slow one costs his place in it, and nobody waits for him. One whose queue is full goes on
 * at the newest boundary as soon as he is at one; one that takes nothing at all meanwhile is dropped.
 *
 * What came is sent in rounds, not as it comes: each HEARERS_STEP_MS some of the listeners get all that is there. A few
 * are all of them, and hear everything at once; of thousands each has his turn within LIMIT_LISTEN_ROUND_MS, and gets
 * with one write what would have been a dozen. The engine is never called back from inside of its own call. */
#include "net/private.h"

#include "proto/broadcast.h"
#include "proto/icy.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

enum {
	STEP_MS = 10,
	A_STEP = LIMIT_LISTEN_WRITES_S * STEP_MS / 1000, /* listeners served with one, where that makes the round */
	STEPS_A_ROUND = LIMIT_LISTEN_ROUND_MS / STEP_MS,
	PARTS = 40, /* pieces of one write: a whole queue, and the titles in it */
	WRITES = 4, /* for one listener before it is others' turn */
};

struct hearer {
	struct request *request;
	struct list link;	     /* net->hearers: who was served last is the last */
	struct broadcast *broadcast; /* held while nothing can be joined yet */
	struct broadcast_reader reader;
	char mime[LIMIT_MIME_CHARS + 1]; /* what he was told */
	uint64_t header_at;		 /* where the newest header that he can take begins … */
	uint64_t until;			 /* … and where one that he can't; UINT64_MAX: there is none */
	uint64_t since_ms;		 /* he took something last, or began to wait */
	bool titled;
	struct icy_listener icy;
	struct buf rest; /* of a title that was sent in part */
	size_t rest_sent;
};

/* One write: media and titles in their order. */
struct batch {
	struct iovec parts[PARTS];
	bool is_title[PARTS];
	int count;
	size_t total;
};

static uint64_t now_ms(const struct hearer *h)
{
	return uv_now(h->request->net->config.loop);
}

/* --- one write --- */

static void part_add(struct batch *b, const void *data, size_t len, bool is_title)
{
	b->parts[b->count] = (struct iovec){ (void *)(uintptr_t)data, len };
	b->is_title[b->count++] = is_title;
	b->total += len;
}

/* Puts a piece of media into the batch, and each title where it is due. */
static void media_add(const struct hearer *h, struct icy_listener *icy, struct batch *b, const uint8_t *data,
		      size_t len)
{
	while (len > 0 && b->count < PARTS) {
		size_t n = h->titled ? icy_media_next(icy, len) : len;
		if (n == 0) {
			const uint8_t *title;
			size_t title_len = icy_block_next(icy, broadcast_title(h->reader.broadcast), &title);
			part_add(b, title, title_len, true);
			continue;
		}
		part_add(b, data, n, false);
		if (h->titled)
			icy_media_sent(icy, n);
		data += n;
		len -= n;
	}
}

/* At most so many bytes of media may follow now. A full queue is left out from boundary to boundary. */
static uint64_t allowed(struct hearer *h)
{
	uint64_t left = h->until > h->reader.position ? h->until - h->reader.position : 0;
	if (h->reader.header)
		return UINT64_MAX;
	if (broadcast_behind(&h->reader) <= LIMIT_LISTEN_QUEUE_BYTES || h->until != UINT64_MAX)
		return left;
	if (broadcast_skip(&h->reader))
		return left;
	uint64_t boundary = broadcast_to_boundary(&h->reader);
	return boundary == 0 ? left : boundary;
}

static void batch_fill(struct hearer *h, struct batch *b)
{
	struct iovec media[PARTS];
	struct icy_listener icy = h->icy;
	uint64_t left = allowed(h);
	b->count = 0;
	b->total = 0;
	if (h->rest.len > 0)
		part_add(b, h->rest.data + h->rest_sent, h->rest.len - h->rest_sent, true);
	int count = left > 0 ? broadcast_peek(&h->reader, media, PARTS) : 0;
	for (int i = 0; i < count && left > 0 && b->count < PARTS; i++) {
		size_t n = media[i].iov_len < left ? media[i].iov_len : (size_t)left;
		media_add(h, &icy, b, media[i].iov_base, n);
		left -= n;
	}
}

/* So much of the rest of a title was sent. */
static void rest_sent(struct hearer *h, size_t len)
{
	h->rest_sent += len;
	if (h->rest_sent < h->rest.len)
		return;
	buf_release(&h->rest);
	buf_init(&h->rest);
	h->rest_sent = 0;
}

/* A title began to leave; what is left of it is copied, because another may be set meanwhile. */
static void title_sent(struct hearer *h, size_t len)
{
	const uint8_t *title;
	size_t title_len = icy_block_next(&h->icy, broadcast_title(h->reader.broadcast), &title);
	if (len == title_len)
		return;
	buf_add(&h->rest, title + len, title_len - len);
	if (h->rest.failed)
		peer_doom(h->request->peer);
}

/* The first `sent` bytes of the batch have left. */
static void batch_sent(struct hearer *h, const struct batch *b, size_t sent)
{
	bool rest = h->rest.len > 0;
	h->request->net->heard_bytes += sent;
	for (int i = 0; i < b->count && sent > 0; i++) {
		size_t n = b->parts[i].iov_len < sent ? b->parts[i].iov_len : sent;
		sent -= n;
		if (i == 0 && rest) {
			rest_sent(h, n);
		} else if (b->is_title[i]) {
			title_sent(h, n);
		} else {
			if (h->titled)
				icy_media_sent(&h->icy, n);
			broadcast_take(&h->reader, n);
		}
	}
}

/* --- what goes on air is another now --- */

/* May what follows such a header stand in the same answer behind another of the same type? A decoder of frames or of
 * Ogg's chains goes on; those of the others take a second header for noise. */
static bool may_follow(const char *mime)
{
	return strcmp(mime, "audio/mpeg") == 0 || strcmp(mime, "audio/aac") == 0 || strstr(mime, "/ogg");
}

static void header_look(struct hearer *h)
{
	const struct broadcast *b = h->reader.broadcast;
	uint64_t at = broadcast_header_at(b);
	if (at == h->header_at || h->until != UINT64_MAX)
		return;
	h->header_at = at;
	if (strcmp(mime_served(broadcast_mime(b)), h->mime) != 0 || !may_follow(h->mime))
		h->until = at;
}

/* --- a listener's turn --- */

static void over(struct hearer *h)
{
	struct request *r = h->request;
	broadcast_leave(&h->reader);
	request_end(r);
}

static void serve(struct hearer *h)
{
	struct batch batch;
	struct peer *p = h->request->peer;
	if (peer_unsent(p))
		return;
	for (int i = 0; i < WRITES; i++) {
		if (p->doomed || p->blocked)
			return;
		header_look(h);
		batch_fill(h, &batch);
		if (batch.count == 0) {
			const struct broadcast *b = h->reader.broadcast;
			if (broadcast_ended(b) || h->reader.position >= h->until)
				over(h);
			return;
		}
		ssize_t sent = peer_send(p, batch.parts, batch.count);
		if (sent > 0) {
			h->since_ms = now_ms(h);
			batch_sent(h, &batch, (size_t)sent);
		}
		if (sent < 0 || (size_t)sent < batch.total)
			return;
	}
	peer_await_writable(p); /* there may be more: when it was others' turn */
}

static void headers_format(const struct request *r, const struct broadcast *b, bool titled, struct buf *out)
{
	const char *mime = mime_served(broadcast_mime(b));
	buf_addf(out, "Content-Type: %s\r\n%sCache-Control: no-store\r\n", mime,
		 strcmp(mime, MIME_UNKNOWN) == 0 ? "Content-Disposition: attachment\r\n" : "");
	buf_add_text(out, "Content-Security-Policy: sandbox allow-same-origin; default-src 'none'; media-src 'self'; "
			  "style-src 'unsafe-inline'\r\n");
	icy_headers_add(out, &(struct icy_station){ .name = r->id }, titled);
}

static void head_write(struct request *r, const struct broadcast *b, bool titled)
{
	struct buf headers;
	buf_init(&headers);
	headers_format(r, b, titled, &headers);
	if (headers.failed)
		peer_doom(r->peer);
	else
		request_begin(r, 200, headers.data, REQUEST_ENDLESS);
	buf_release(&headers);
}

/* Joins and begins to answer, if there is something to be heard. */
static bool join(struct hearer *h)
{
	struct request *r = h->request;
	struct broadcast *b = h->broadcast;
	if (!broadcast_join(b, &h->reader))
		return false;
	h->broadcast = NULL;
	broadcast_release(b); /* the reader holds it */
	snprintf(h->mime, sizeof h->mime, "%s", mime_served(broadcast_mime(b)));
	h->header_at = broadcast_header_at(b);
	h->since_ms = now_ms(h);
	setsockopt(lws_get_socket_fd(r->peer->wsi), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){ LIMIT_LISTEN_SOCKET_BYTES },
		   sizeof(int));
	peer_known(r->peer); /* he is counted among the listeners now */
	r->net->heard++;
	head_write(r, b, h->titled);
	if (!r->peer->doomed)
		serve(h);
	return true;
}

static void turn(struct hearer *h)
{
	struct request *r = h->request;
	if (!r->peer || r->peer->doomed || r->ended)
		return;
	if (h->reader.broadcast)
		serve(h);
	else if (!join(h) && broadcast_ended(h->broadcast))
		request_problem(r, ERR_NOT_ON_AIR, NULL, NULL);
}

void hearer_drained(struct request *r)
{
	if (r->hearer->reader.broadcast && !r->ended)
		serve(r->hearer);
}

/* --- rounds --- */

static void step(uv_timer_t *timer)
{
	struct net *n = timer->data;
	unsigned count = n->hearer_count / STEPS_A_ROUND + 1;
	if (count < A_STEP)
		count = A_STEP;
	if (count > n->round_left)
		count = n->round_left;
	n->round_left -= count;
	n->step_ms = uv_now(n->config.loop);
	for (; count > 0 && !list_empty(&n->hearers); count--) {
		struct list *first = list_pop(&n->hearers);
		list_push(&n->hearers, first);
		turn(list_entry(first, struct hearer, link));
	}
	if (n->round_left > 0)
		uv_timer_start(timer, step, STEP_MS, 0);
}

/* A whole round from here: each of them gets what there is now. */
static void round_begin(struct net *n)
{
	n->round_left = n->hearer_count;
	if (n->round_left == 0 || uv_is_active((uv_handle_t *)&n->step_timer) || n->stop >= NET_DESTROYING)
		return;
	uint64_t passed = uv_now(n->config.loop) - n->step_ms;
	uv_timer_start(&n->step_timer, step, passed < STEP_MS ? STEP_MS - passed : 0, 0);
}

void hearers_air(void *arg, struct broadcast *b)
{
	round_begin(arg);
}

/* Why he is to go, NULL: he may stay. */
static bool is_lost(const struct hearer *h, uint64_t now)
{
	uint64_t behind = broadcast_behind(&h->reader);
	if (behind >= LIMIT_LISTEN_QUEUE_BYTES && now - h->since_ms >= LIMIT_LISTEN_STALL_MS)
		return true;
	return behind >= LIMIT_LISTEN_RING_BYTES + LIMIT_LISTEN_QUEUE_BYTES; /* whom no boundary helped */
}

void hearers_tick(struct net *n)
{
	uint64_t now = uv_now(n->config.loop);
	int64_t wall_ms = net_now(n).wall_ms;
	for (struct list *at = n->hearers.next, *next; at != &n->hearers; at = next) {
		next = at->next;
		struct hearer *h = list_entry(at, struct hearer, link);
		struct request *r = h->request;
		if (!r->peer || r->peer->doomed || r->ended)
			continue;
		if (!h->reader.broadcast && now - h->since_ms >= LIMIT_LISTEN_WAIT_MS) {
			request_problem(r, ERR_NOT_ON_AIR, "Nothing that can be played has come yet.", NULL);
		} else if (*r->grant.token_id && r->grant.expires_ms <= wall_ms) {
			peer_doom(r->peer); /* what he may hear, he may hear no longer */
		} else if (h->reader.broadcast && is_lost(h, now)) {
			n->hearers_lost++;
			peer_doom(r->peer);
		}
	}
}

/* --- the route --- */

void hearer_free(struct request *r)
{
	struct hearer *h = r->hearer;
	broadcast_leave(&h->reader);
	broadcast_release(h->broadcast);
	buf_release(&h->rest);
	list_remove(&h->link);
	r->net->hearer_count--;
	r->hearer = NULL;
	free(h);
}

static bool is_full(const struct net *n)
{
	unsigned share = n->config.max_connections - n->config.max_connections / 5; /* hosts need room, too */
	return n->hearer_count >= (share < LIMIT_LISTENERS ? share : LIMIT_LISTENERS);
}

void listen_run(struct request *r)
{
	struct net *n = r->net;
	struct broadcast *b;
	enum err err = engine_listen(n->engine, r->id, &r->grant, &b);
	if (err == ERR_OK && !r->head_only && is_full(n)) {
		request_problem(r, ERR_BUSY, "So many people listen that there is no room for one more.", NULL);
		return;
	}
	bool titled = icy_wanted(http_field_get(&r->head, "icy-metadata"));
	if (err == ERR_OK && r->head_only) {
		head_write(r, b, titled);
		request_end(r);
		return;
	}
	struct hearer *h = err == ERR_OK ? calloc(1, sizeof *h) : NULL;
	if (!h) {
		request_problem(r, err != ERR_OK ? err : ERR_NO_MEMORY, NULL, NULL);
		return;
	}
	h->request = r;
	h->broadcast = broadcast_hold(b);
	h->until = UINT64_MAX;
	h->titled = titled;
	icy_listener_init(&h->icy);
	list_push(&n->hearers, &h->link);
	n->hearer_count++;
	r->hearer = h;
	h->since_ms = now_ms(h);
	r->keep_alive = false;
	r->peer->state = PEER_STREAM; /* so that his leaving is seen */
	peer_gate(r->peer, GATE_ANSWER, false);
	if (!join(h) && broadcast_ended(b))
		request_problem(r, ERR_NOT_ON_AIR, NULL, NULL);
}
