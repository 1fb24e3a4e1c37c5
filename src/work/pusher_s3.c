/* Pushing to S3 by libcurl, see pusher_s3.h: the life of a step. */
#include "work/pusher_s3.h"

#include "work/pusher_private.h"
#include "work/s3_xml.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void request_end(struct push *t)
{
	curl_transfer_drop(t->p->loop, &t->curl);
	curl_slist_free_all(t->headers);
	t->headers = NULL;
	t->held = false;
}

/* What is left of it; asks nothing of the pusher. */
static void push_release(struct push *t)
{
	push_pieces_release(t);
	s3_parts_release(&t->parts);
	s3_uploads_release(&t->uploads);
	buf_release(&t->answer);
	buf_release(&t->text);
	free(t->upload);
	free(t->mime);
	free(t->after);
	free(t);
}

static void push_free(struct push *t)
{
	request_end(t);
	list_remove(&t->curl.link);
	push_release(t);
}

/* The last word; t is gone. Not from inside of libcurl. */
static void push_end(struct push *t, struct push_result *result, const char *message)
{
	struct pusher_events events = t->p->pusher.events;
	const char *none = "";
	result->message = result->err ? message : NULL;
	result->upload = result->upload ? result->upload : none;
	result->etag = result->etag ? result->etag : none;
	result->sha256 = result->sha256 ? result->sha256 : none;
	request_end(t);
	list_remove(&t->curl.link); /* what is called from inside finds it no more; even the pusher may be closed */
	events.done(events.arg, t->id, result);
	push_release(t);
}

static void push_fail(struct push *t, enum err err, const char *message)
{
	struct push_result result = { .err = err };
	push_end(t, &result, message);
}

/* False: out of memory. */
static bool request_begin(struct push *t)
{
	request_end(t);
	push_forget_answer(t);
	t->curl.easy = curl_loop_easy();
	return t->curl.easy && push_ask(t) && curl_loop_begin(t->p->loop, &t->curl);
}

static void say_failure(struct push *t, CURLcode code)
{
	char message[S3_SENTENCE];
	if (code == CURLE_OUT_OF_MEMORY || t->answer.failed) {
		push_fail(t, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
		return;
	}
	if (t->too_long)
		snprintf(message, sizeof message, "The bucket's answer is longer than the limit.");
	else if (code == CURLE_COULDNT_CONNECT)
		snprintf(message, sizeof message, "The bucket can't be connected to.");
	else if (code == CURLE_OPERATION_TIMEDOUT)
		snprintf(message, sizeof message,
			 "The bucket is too slow: it takes or says nothing, or hardly anything.");
	else /* fixed sentences of libcurl, without any part of the request */
		snprintf(message, sizeof message, "The bucket failed: %s.", curl_easy_strerror(code));
	push_fail(t, ERR_BUCKET_FAILED, message);
}

static void on_done(struct curl_transfer *curl, CURLcode code)
{
	struct push *t = (struct push *)curl;
	struct push_result result = { 0 };
	char message[S3_SENTENCE] = "";
	long status = 0;
	if (t->cancelled)
		return; /* it goes soon */
	curl_easy_getinfo(curl->easy, CURLINFO_RESPONSE_CODE, &status);
	/* who refuses early hangs up while the body is still being sent, and libcurl may not have read why */
	bool cut = !t->too_long && (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
				    code == CURLE_PARTIAL_FILE);
	bool ask_first = cut && status == 0 && push_may_ask_first(t);
	t->asked_first = t->asked_first || ask_first;
	if (code != CURLE_OK && !ask_first && !(cut && status >= 300)) {
		say_failure(t, code);
		return;
	}
	if (!ask_first && push_judge(t, &result, message))
		push_end(t, &result, message);
	else if (!request_begin(t))
		push_fail(t, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
}

/* --- what was asked for inside of callbacks --- */

static bool fed(const struct push *t)
{
	return t->held && t->pieces[t->sent_at / LIMIT_READ_BYTES % PIECES].here;
}

/* True when there was something to do; t may be gone. */
static bool push_step(struct push *t)
{
	if (t->cancelled) {
		push_free(t);
	} else if (t->begin) {
		t->begin = false;
		if (!t->key_fine)
			push_fail(t, ERR_BUCKET_REFUSED, "The object's name is longer than S3 allows, or empty.");
		else if (!request_begin(t))
			push_fail(t, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
	} else if (fed(t)) {
		t->held = false;
		curl_easy_pause(t->curl.easy, CURLPAUSE_CONT);
	} else {
		return false;
	}
	return true;
}

static void on_soon(void *arg)
{
	struct pusher_s3 *p = arg;
	for (struct list *at = p->pushes.next; at != &p->pushes;) {
		bool stepped = push_step(list_entry(at, struct push, curl.link));
		at = stepped ? p->pushes.next : at->next; /* what was told may have changed the list */
	}
}

static struct push *find(struct pusher_s3 *p, uint64_t id)
{
	for (struct list *at = p->pushes.next; at != &p->pushes; at = at->next) {
		struct push *t = list_entry(at, struct push, curl.link);
		if (t->id == id && !t->cancelled)
			return t;
	}
	return NULL;
}

/* --- the interface --- */

static char *copy(const char *text)
{
	char *out = text ? strdup(text) : NULL;
	if (text && !out)
		abort(); /* as everywhere: recovery is safer than a step that nobody hears of again */
	return out;
}

/* What completing sends. */
static void list_parts(struct buf *out, const struct push_step *step)
{
	buf_add_text(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < step->part_count; i++) {
		buf_addf(out, "<Part><PartNumber>%u</PartNumber><ETag>", step->parts[i].number);
		s3_xml_add(out, step->parts[i].etag);
		buf_add_text(out, "</ETag></Part>");
	}
	buf_add_text(out, "</CompleteMultipartUpload>");
	if (out->failed)
		abort();
}

static void copy_body(struct push *t, const struct push_body *body)
{
	t->body = *body;
	if (!body->md5)
		return;
	memcpy(t->md5, body->md5, sizeof t->md5);
	t->body.md5 = t->md5;
}

static void copy_after(struct push *t, const struct push_upload *after)
{
	t->after = malloc(sizeof *t->after);
	if (!t->after)
		abort();
	*t->after = *after;
	s3_target_key(&t->p->target, after->key, t->after->key);
}

static void pusher_start(struct pusher *pusher, const struct push_step *step)
{
	struct pusher_s3 *p = (struct pusher_s3 *)pusher;
	struct push *t = calloc(1, sizeof *t);
	if (!t)
		abort();
	bool upload = step->verb == PUSH_PART || step->verb == PUSH_PARTS || step->verb == PUSH_COMPLETE ||
		      step->verb == PUSH_ABORT;
	assert(!upload || step->upload);
	t->p = p;
	t->curl.done = on_done;
	t->id = step->id;
	t->verb = step->verb;
	t->now_ms = step->now_ms;
	uv_update_time(p->config.loop);
	t->started_ms = uv_now(p->config.loop);
	t->key_fine = s3_target_key(&p->target, step->key, t->key) || (step->verb == PUSH_UPLOADS && !*step->key);
	t->upload = upload ? copy(step->upload) : NULL;
	t->mime = copy(step->mime);
	if (step->sha256)
		snprintf(t->sha256, sizeof t->sha256, "%s", step->sha256);
	t->part = step->part;
	t->fresh = step->fresh;
	copy_body(t, &step->body);
	if (step->after)
		copy_after(t, step->after);
	if (step->verb == PUSH_COMPLETE)
		list_parts(&t->text, step);
	t->begin = true;
	list_push(&p->pushes, &t->curl.link);
	curl_loop_soon(p->loop);
}

static void pusher_feed(struct pusher *pusher, uint64_t id, uint64_t offset, const void *data, size_t len)
{
	struct push *t = find((struct pusher_s3 *)pusher, id);
	if (t)
		push_feed(t, offset, data, len);
}

static void pusher_cancel(struct pusher *pusher, uint64_t id)
{
	struct pusher_s3 *p = (struct pusher_s3 *)pusher;
	struct push *t = find(p, id);
	if (!t)
		return;
	t->cancelled = true;
	curl_loop_soon(p->loop);
}

static const struct pusher_ops ops = { pusher_start, pusher_feed, pusher_cancel };

static void pusher_free(struct pusher_s3 *p)
{
	s3_keys_forget(&p->keys);
	free(p->ca_file);
	free(p->agent);
	free(p);
}

enum err pusher_s3_new(const struct pusher_s3_config *config, struct pusher **out)
{
	struct pusher_s3 *p = calloc(1, sizeof *p);
	*out = NULL;
	if (!p)
		return ERR_NO_MEMORY;
	p->pusher.ops = &ops;
	p->config = *config;
	p->config.connect_ms = config->connect_ms ? config->connect_ms : LIMIT_PUSH_CONNECT_MS;
	p->config.wait_ms = config->wait_ms ? config->wait_ms : LIMIT_PUSH_WAIT_MS;
	p->config.complete_ms = config->complete_ms ? config->complete_ms : LIMIT_PUSH_COMPLETE_MS;
	p->config.stall_s = config->stall_s ? config->stall_s : LIMIT_PUSH_STALL_S;
	p->target = *config->target;
	p->keys = *config->keys;
	p->config.target = &p->target;
	p->config.keys = &p->keys;
	p->ca_file = config->ca_file ? strdup(config->ca_file) : NULL;
	p->agent = strdup(config->agent);
	list_init(&p->pushes);
	enum err err = !p->agent || (config->ca_file && !p->ca_file) ? ERR_NO_MEMORY : ERR_OK;
	if (!err)
		err = curl_loop_new(config->loop, on_soon, p, &p->loop);
	if (err) {
		pusher_free(p);
		return err;
	}
	*out = &p->pusher;
	return ERR_OK;
}

static void on_loop_closed(void *arg)
{
	struct pusher_s3 *p = arg;
	void (*closed)(void *arg) = p->closed;
	void *closed_arg = p->closed_arg;
	pusher_free(p);
	if (closed)
		closed(closed_arg);
}

void pusher_s3_close(struct pusher *pusher, void (*closed)(void *arg), void *arg)
{
	struct pusher_s3 *p = (struct pusher_s3 *)pusher;
	if (!p)
		return;
	p->closed = closed;
	p->closed_arg = arg;
	while (!list_empty(&p->pushes))
		push_free(list_entry(p->pushes.next, struct push, curl.link));
	curl_loop_close(p->loop, on_loop_closed, p);
}
