/* The body of a part: asked for piece by piece, one ahead of what libcurl sends. */
#include "work/pusher_private.h"

#include <stdlib.h>
#include <string.h>

static struct piece *piece_of(struct push *t, uint64_t at)
{
	return &t->pieces[at / LIMIT_READ_BYTES % PIECES];
}

/* Asks for what there is room for. The feed may come from inside of this. */
static void want(struct push *t)
{
	while (t->want_at < t->body.len) {
		struct piece *p = piece_of(t, t->want_at);
		if (p->asked || p->here)
			return;
		uint64_t left = t->body.len - t->want_at;
		p->at = t->want_at;
		p->len = left < LIMIT_READ_BYTES ? (size_t)left : LIMIT_READ_BYTES;
		p->used = 0;
		p->asked = true;
		t->want_at += p->len;
		struct pusher_events *events = &t->p->pusher.events;
		events->want(events->arg, t->id, t->body.offset + p->at, p->len);
	}
}

static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
	struct push *t = arg;
	size_t room = size * count;
	if (t->cancelled)
		return CURL_READFUNC_ABORT;
	if (t->sent_at == t->body.len)
		return 0;
	want(t);
	struct piece *p = piece_of(t, t->sent_at);
	if (t->cancelled)
		return CURL_READFUNC_ABORT;
	if (!p->here) {
		t->held = true;
		return CURL_READFUNC_PAUSE;
	}
	size_t len = p->len - p->used < room ? p->len - p->used : room;
	memcpy(out, p->data + p->used, len);
	p->used += len;
	t->sent_at += len;
	if (p->used == p->len) {
		p->here = false;
		want(t);
	}
	return t->cancelled ? CURL_READFUNC_ABORT : len;
}

/* A kept connection turned out to be closed: the request begins again on another one. What was asked for is forgotten;
 * if it comes, it is what is asked for now, or nothing. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct push *t = arg;
	if (offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	for (unsigned i = 0; i < PIECES; i++)
		t->pieces[i].asked = t->pieces[i].here = false;
	t->sent_at = t->want_at = 0;
	t->held = false;
	return CURL_SEEKFUNC_OK;
}

void push_send(struct push *t)
{
	CURL *easy = t->curl.easy;
	on_seek(t, 0, SEEK_SET);
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->body.len);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)LIMIT_READ_BYTES);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, t);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
}

void push_feed(struct push *t, uint64_t offset, const void *data, size_t len)
{
	uint64_t at = offset - t->body.offset;
	struct piece *p = piece_of(t, at);
	if (offset < t->body.offset || !p->asked || p->at != at || p->len != len)
		return;
	if (!p->data)
		p->data = malloc(LIMIT_READ_BYTES);
	if (!p->data)
		abort(); /* as everywhere */
	memcpy(p->data, data, p->len);
	p->asked = false;
	p->here = true;
	if (t->held)
		curl_loop_soon(t->p->loop);
}

void push_pieces_release(struct push *t)
{
	for (unsigned i = 0; i < PIECES; i++)
		free(t->pieces[i].data);
	memset(t->pieces, 0, sizeof t->pieces);
}
