/* The body of an upload's request: from the socket to the engine as it comes, with no copy of ours between.
 *
 * Bytes are read when the engine wants them (`begun`) and while it has room. Whatever ends the request, a lost
 * connection, silence, another request for the same upload, what came until then is the engine's and is kept. */
#include "net/resumable.h"

#include <string.h>

static struct engine *engine_of(const struct request *r)
{
	return r->net->engine;
}

/* All of the body came: reading stops until it is answered. */
static void ended(struct request *r)
{
	struct resumable *u = r->resumable;
	request_hold(r);
	engine_append_end(engine_of(r), u->append, net_now(r->net));
}

static void begun(void *arg, const struct engine_upload *upload)
{
	struct request *r = arg;
	(void)upload;
	if (!r->peer || r->peer->doomed)
		return;
	if (files_has_body(r))
		request_want(r);
	else
		engine_append_end(engine_of(r), r->resumable->append, net_now(r->net));
}

static void paused(void *arg, bool paused)
{
	struct request *r = arg;
	struct peer *p = r->peer;
	if (!p || p->state != PEER_BODY)
		return;
	peer_gate(p, GATE_PAUSED, paused);
	peer_deadline(p, paused ? 0 : LIMIT_UPLOAD_WAIT_S * 1000); /* the silence is ours */
}

static void durable(void *arg, uint64_t offset)
{
	struct request *r = arg;
	if (r->peer && r->dialect == DIALECT_DRAFT)
		draft_interim(r, NULL, offset);
}

/* The append is over: no more of the body is wanted. */
static void leave(struct request *r)
{
	r->resumable->appending = false;
	r->pending = false;
	if (r->peer && !r->peer->doomed)
		request_hold(r);
}

/* An upload that is whole already: was all that this request wants true before? */
static void sealed(void *arg, enum err err, const struct engine_upload *upload)
{
	struct request *r = arg;
	const struct resumable *u = r->resumable;
	r->pending = false;
	if (!r->peer) {
		request_settle(r);
		return;
	}
	if (!err && upload->kind == UPLOAD_FINAL) {
		files_refuse(
			r, &(struct refusal){ .err = ERR_FORBIDDEN_SCOPE, .detail = "A final upload takes no bytes." });
		return;
	}
	bool nothing = !err && upload->complete && u->offset == upload->offset && r->head.length == 0 && u->came == 0;
	if (nothing)
		files_changed(r, upload);
	else
		files_refuse(r, &(struct refusal){ .err = err ? err : ERR_SEALED, .upload = err ? NULL : upload });
}

static void done(void *arg, enum err err, const struct engine_upload *upload)
{
	struct request *r = arg;
	struct resumable *u = r->resumable;
	leave(r);
	if (!r->peer) {
		request_settle(r);
	} else if (err == ERR_TAKEN_OVER) {
		peer_doom(r->peer); /* its client is elsewhere by now */
	} else if (err == ERR_OK) {
		files_changed(r, upload);
	} else if (err == ERR_SEALED || (upload && upload->complete)) {
		r->pending = true;
		engine_upload_look(engine_of(r), (struct engine_ref){ u->id, &r->grant }, sealed, r);
	} else {
		files_refuse(r, &(struct refusal){ .err = err, .upload = upload });
	}
}

void resumable_append(struct request *r)
{
	struct resumable *u = r->resumable;
	struct engine_append append = {
		.ref = { u->id, &r->grant },
		.offset = u->offset,
		.length = u->length,
		.body = r->head.chunked ? BYTES_UNKNOWN : r->head.length,
		.last = u->last,
		.digest = u->digest,
		.begun = begun,
		.pause = paused,
		.durable = durable,
		.done = done,
		.arg = r,
	};
	memcpy(append.digest_value, u->digest_value, sizeof append.digest_value);
	u->appending = r->pending = true;
	u->append = engine_append(engine_of(r), &append, net_now(r->net));
	if (u->append == 0) {
		u->appending = r->pending = false;
		files_refuse(r, &(struct refusal){ .err = ERR_BUSY, .detail = "Too many uploads are under way." });
	}
}

/* --- bytes --- */

size_t resumable_room(const struct request *r)
{
	const struct resumable *u = r->resumable;
	return u->appending ? engine_append_room(r->net->engine, u->append) : 0;
}

static void hand_over(struct request *r, const void *data, size_t len)
{
	struct resumable *u = r->resumable;
	u->came += len;
	if (len > 0)
		engine_append_data(engine_of(r), u->append,
				   (struct engine_media){ .data = data, .len = len, .follows = r->body_left },
				   net_now(r->net));
}

/* Where the body goes on nobody knows: what came stays, and the connection ends with the answer. */
static void broken(struct request *r)
{
	engine_append_gone(engine_of(r), r->resumable->append, net_now(r->net));
	leave(r);
	files_refuse(r, &(struct refusal){ .err = ERR_BAD_REQUEST, .detail = "The body's chunks can't be followed." });
}

/* Is the body still wanted? The engine may have answered, and `r` may be gone. */
static bool wanted(const struct peer *p, const struct request *r)
{
	return p->request == r && p->state == PEER_BODY && !p->doomed;
}

static size_t chunks_input(struct peer *p, const uint8_t *data, size_t len)
{
	struct request *r = p->request;
	size_t taken = 0;
	while (taken < len && wanted(p, r) && p->gates == 0) {
		struct chunked_piece piece;
		size_t used;
		if (chunked_feed(&r->resumable->chunked, data + taken, len - taken, &used, &piece) != ERR_OK) {
			broken(r);
			return len;
		}
		taken += used;
		r->chunks = !r->resumable->chunked.done;
		hand_over(r, piece.media, piece.len);
		if (wanted(p, r) && !r->chunks)
			ended(r);
	}
	return taken;
}

size_t resumable_input(struct peer *p, uint8_t *data, size_t len)
{
	struct request *r = p->request;
	if (!r->resumable->appending)
		return len; /* it was answered: the connection ends */
	peer_deadline(p, LIMIT_UPLOAD_WAIT_S * 1000);
	if (r->chunks)
		return chunks_input(p, data, len);
	size_t taken = r->body_left < len ? (size_t)r->body_left : len;
	r->body_left -= taken;
	hand_over(r, data, taken);
	if (wanted(p, r) && r->body_left == 0)
		ended(r);
	return taken;
}

void resumable_orphan(struct request *r)
{
	struct resumable *u = r->resumable;
	if (!u->appending)
		return; /* what else is asked of the engine is answered to nobody */
	engine_append_gone(engine_of(r), u->append, net_now(r->net));
	u->appending = false;
	r->pending = false;
}
