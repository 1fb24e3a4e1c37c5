/* A step as a request: its URL, its headers, signed, and its body. What is signed is what is sent: path and query are
 * encoded once, every header of ours stands in the signature; libcurl adds Content-Length, Expect and User-Agent. */
#include "work/pusher_private.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that a request is made of, until it is with libcurl. */
struct ask {
	const char *method;
	struct s3_pair headers[S3_SIGNED], query[S3_SIGNED];
	size_t header_count, query_count;
	char payload[S3_HASH], time[S3_TIME], md5[32], numbers[3][24];
};

static void header(struct ask *a, const char *name, const char *value)
{
	assert(a->header_count < S3_SIGNED);
	a->headers[a->header_count++] = (struct s3_pair){ name, value };
}

static void query(struct ask *a, const char *name, const char *value)
{
	assert(a->query_count < S3_SIGNED);
	a->query[a->query_count++] = (struct s3_pair){ name, value };
}

static const char *number(struct ask *a, unsigned which, unsigned value)
{
	snprintf(a->numbers[which], sizeof a->numbers[which], "%u", value);
	return a->numbers[which];
}

static void about_object(const struct push *t, struct ask *a)
{
	header(a, "content-type", t->mime ? t->mime : "application/octet-stream");
	if (*t->sha256)
		header(a, "x-amz-meta-sha256", t->sha256);
}

static void about_parts(const struct push *t, struct ask *a)
{
	query(a, "uploadId", t->upload);
	query(a, "max-parts", number(a, 0, LIMIT_PUSH_LIST_PARTS));
	if (t->parts.count > 0)
		query(a, "part-number-marker", number(a, 1, t->parts.items[t->parts.count - 1].number));
}

static void about_uploads(struct push *t, struct ask *a)
{
	query(a, "uploads", "");
	query(a, "prefix", t->key);
	query(a, "max-uploads", number(a, 0, LIMIT_PUSH_LIST_UPLOADS));
	if (t->after) {
		query(a, "key-marker", t->after->key);
		query(a, "upload-id-marker", t->after->upload);
	}
}

static void about_step(struct push *t, struct ask *a)
{
	switch (t->verb) {
	case PUSH_PUT:
		a->method = "PUT";
		about_object(t, a);
		break;
	case PUSH_CREATE:
		a->method = "POST";
		query(a, "uploads", "");
		about_object(t, a);
		break;
	case PUSH_PART:
		a->method = "PUT";
		query(a, "partNumber", number(a, 0, t->part));
		query(a, "uploadId", t->upload);
		break;
	case PUSH_PARTS:
		a->method = "GET";
		about_parts(t, a);
		break;
	case PUSH_COMPLETE:
		a->method = "POST";
		query(a, "uploadId", t->upload);
		header(a, "content-type", "application/xml");
		break;
	case PUSH_HEAD:
		a->method = "HEAD";
		break;
	case PUSH_ABORT:
		a->method = "DELETE";
		query(a, "uploadId", t->upload);
		break;
	case PUSH_UPLOADS:
		a->method = "GET";
		about_uploads(t, a);
		break;
	}
	if (t->conditional)
		header(a, "if-none-match", "*");
}

static bool sends_body(const struct push *t)
{
	return t->verb == PUSH_PUT || t->verb == PUSH_PART;
}

int64_t push_now_s(const struct push *t)
{
	return (t->now_ms + (int64_t)(uv_now(t->p->config.loop) - t->started_ms)) / 1000;
}

bool push_may_ask_first(const struct push *t)
{
	return sends_body(t) && t->body.len < LIMIT_PUSH_EXPECT_BYTES && !t->asked_first;
}

static bool about_payload(struct push *t, struct ask *a)
{
	const struct pusher_s3 *p = t->p;
	bool ok = s3_time(push_now_s(t), a->time);
	if (sends_body(t))
		s3_hex(t->body.sha256, sizeof t->body.sha256, a->payload);
	else
		ok = ok && s3_hash(t->text.data ? t->text.data : "", t->text.len, a->payload);
	if (sends_body(t) && t->body.md5) {
		EVP_EncodeBlock((unsigned char *)a->md5, t->body.md5, sizeof t->md5);
		header(a, "content-md5", a->md5);
	}
	header(a, "host", p->target.host);
	header(a, "x-amz-content-sha256", a->payload);
	header(a, "x-amz-date", a->time);
	if (*p->keys.token)
		header(a, "x-amz-security-token", p->keys.token);
	return ok;
}

static bool add_line(struct push *t, const char *line)
{
	struct curl_slist *more = curl_slist_append(t->headers, line);
	if (more)
		t->headers = more;
	return more != NULL;
}

static bool add_header(struct push *t, const char *name, const char *value)
{
	char *line = NULL;
	if (asprintf(&line, "%s: %s", name, value) < 0)
		return false;
	bool ok = add_line(t, line);
	free(line);
	return ok;
}

/* Signs it, and gives its headers and URL to libcurl. */
static bool give(struct push *t, const struct ask *a)
{
	const struct pusher_s3 *p = t->p;
	struct s3_scope scope = { .keys = &p->keys, .region = p->target.region, .service = "s3" };
	struct buf path, text, url, signature;
	buf_init(&path);
	buf_init(&text);
	buf_init(&url);
	buf_init(&signature);
	memcpy(scope.time, a->time, sizeof scope.time);
	s3_target_path(&p->target, t->verb == PUSH_UPLOADS ? NULL : t->key, &path);
	buf_add_text(&text, "");
	s3_query(&text, a->query, a->query_count);
	bool ok = !path.failed && !text.failed;
	if (ok) {
		struct s3_request r = { a->method, path.data, text.data, a->headers, a->header_count, a->payload };
		buf_addf(&url, "%s://%s%s%s%s", p->target.tls ? "https" : "http", p->target.host, path.data,
			 text.len > 0 ? "?" : "", text.data);
		ok = s3_sign(&r, &scope, &signature) && !url.failed && add_header(t, "Authorization", signature.data);
	}
	for (size_t i = 0; ok && i < a->header_count; i++)
		ok = add_header(t, a->headers[i].name, a->headers[i].value);
	/* a large body waits for a "100 Continue", so that who refuses says so before it is sent; a small one is sent
	 */
	if (!sends_body(t) || push_may_ask_first(t))
		ok = ok && add_line(t, "Expect:");
	ok = ok && curl_easy_setopt(t->curl.easy, CURLOPT_URL, url.data) == CURLE_OK;
	buf_release(&path);
	buf_release(&text);
	buf_release(&url);
	buf_release(&signature);
	return ok;
}

static void set_method(struct push *t, const struct ask *a)
{
	CURL *easy = t->curl.easy;
	if (sends_body(t)) {
		push_send(t);
	} else if (strcmp(a->method, "POST") == 0) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->text.len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t->text.data ? t->text.data : "");
	} else if (strcmp(a->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else if (strcmp(a->method, "DELETE") == 0) {
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE");
	}
}

static void set_waits(struct push *t)
{
	const struct pusher_s3_config *c = &t->p->config;
	CURL *easy = t->curl.easy;
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
	if (sends_body(t)) {
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)LIMIT_PUSH_SLOW_BYTES);
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)c->stall_s);
	} else {
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
				 (long)(t->verb == PUSH_COMPLETE ? c->complete_ms : c->wait_ms));
	}
}

bool push_ask(struct push *t)
{
	struct ask a = { 0 };
	CURL *easy = t->curl.easy;
	t->conditional = t->fresh && !t->p->unconditional && (t->verb == PUSH_PUT || t->verb == PUSH_COMPLETE);
	about_step(t, &a);
	if (!about_payload(t, &a) || !give(t, &a))
		return false;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, t->p->target.tls ? "https" : "http");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, t->p->agent);
	set_method(t, &a);
	set_waits(t);
	push_listen(t);
	if (t->p->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, t->p->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	return true;
}
