/* What a push hears from libcurl: the answer's headers and body, and what they mean. */
#include "work/pusher_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The value of "name: value\r\n", trimmed; NULL if it is another header. */
static const char *value_of(const char *line, size_t len, const char *name, size_t *value_len)
{
	size_t skip = strlen(name);
	if (len <= skip || strncasecmp(line, name, skip) != 0 || line[skip] != ':')
		return NULL;
	const char *at = line + skip + 1, *end = line + len;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (end > at && strchr(" \t\r\n", end[-1]))
		end--;
	*value_len = (size_t)(end - at);
	return at;
}

static void take_text(char *out, size_t size, const char *value, size_t len)
{
	out[0] = '\0';
	if (len >= size)
		return;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < 0x20 || value[i] > '~')
			return;
	}
	memcpy(out, value, len);
	out[len] = '\0';
}

static void take_date(struct push *t, const char *value, size_t len)
{
	char text[64];
	take_text(text, sizeof text, value, len);
	time_t when = *text ? curl_getdate(text, NULL) : -1;
	t->date_s = when > 0 ? (int64_t)when : 0;
}

static void take_length(struct push *t, const char *value, size_t len)
{
	uint64_t length = 0;
	t->has_length = len > 0 && len <= 16;
	for (size_t i = 0; i < len && t->has_length; i++) {
		if (value[i] < '0' || value[i] > '9')
			t->has_length = false;
		length = length * 10 + (uint64_t)(value[i] - '0');
	}
	t->length = t->has_length ? length : 0;
}

static void take_sha256(struct push *t, const char *value, size_t len)
{
	take_text(t->meta_sha256, sizeof t->meta_sha256, value, len);
	if (strspn(t->meta_sha256, "0123456789abcdef") != S3_HASH - 1)
		t->meta_sha256[0] = '\0';
}

/* Of one answer: what a 100 Continue said counts no more behind the next status. */
static void take_status(struct push *t)
{
	t->etag[0] = t->meta_sha256[0] = '\0';
	t->date_s = 0;
	t->region = t->has_length = false;
	t->length = 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct push *t = arg;
	size_t len = size * count, value_len;
	const char *value;
	t->header_bytes += len;
	if (t->cancelled)
		return 0;
	if (t->header_bytes > LIMIT_PUSH_HEADERS_BYTES) {
		t->too_long = true;
		return 0;
	}
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
		take_status(t);
	else if ((value = value_of(line, len, "etag", &value_len)))
		take_text(t->etag, sizeof t->etag, value, value_len);
	else if ((value = value_of(line, len, "x-amz-meta-sha256", &value_len)))
		take_sha256(t, value, value_len);
	else if ((value = value_of(line, len, "date", &value_len)))
		take_date(t, value, value_len);
	else if ((value = value_of(line, len, "content-length", &value_len)))
		take_length(t, value, value_len);
	else if (value_of(line, len, "x-amz-bucket-region", &value_len))
		t->region = true; /* only of interest when it refuses */
	return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct push *t = arg;
	size_t len = size * count;
	bool list = t->verb == PUSH_PARTS || t->verb == PUSH_UPLOADS || t->verb == PUSH_COMPLETE;
	if (t->cancelled)
		return 0;
	if (t->answer.len + len > (list ? LIMIT_PUSH_ANSWER_BYTES : LIMIT_PUSH_ERROR_BYTES)) {
		t->too_long = true;
		return 0;
	}
	buf_add(&t->answer, data, len);
	return t->answer.failed ? 0 : len;
}

void push_listen(struct push *t)
{
	CURL *easy = t->curl.easy;
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
}

void push_forget_answer(struct push *t)
{
	buf_release(&t->answer);
	take_status(t);
	t->header_bytes = 0;
	t->too_long = false;
}

/* --- what it means --- */

static bool nonsense(struct push_result *result, char message[S3_SENTENCE])
{
	snprintf(message, S3_SENTENCE, "The bucket's answer is not one that S3 gives.");
	result->err = ERR_BUCKET_FAILED;
	return true;
}

static bool refused(struct push *t, int status, const char *code, struct push_result *result, char message[S3_SENTENCE])
{
	struct s3_refusal r = { .status = status, .region = t->region && status >= 300 && status < 404 };
	if (t->date_s)
		r.skew_s = t->date_s - push_now_s(t);
	if (code)
		snprintf(r.code, sizeof r.code, "%s", code);
	else
		s3_error_read(t->answer.data ? t->answer.data : "", t->answer.len, r.code);
	if (t->conditional && (status == 501 || strcmp(r.code, "NotImplemented") == 0)) {
		t->p->unconditional = true;
		return false;
	}
	result->err = s3_refusal_judge(&r, t->verb, message);
	result->retry_after_ms = curl_retry_after_ms(t->curl.easy);
	return true;
}

static bool completed(struct push *t, struct push_result *result, char message[S3_SENTENCE])
{
	struct s3_completed c;
	if (!s3_completed_read(t->answer.data ? t->answer.data : "", t->answer.len, &c))
		return nonsense(result, message);
	if (*c.code) { /* it had said 200 before it knew */
		int status = strcmp(c.code, "NotImplemented") == 0	 ? 501
			     : strcmp(c.code, "PreconditionFailed") == 0 ? 412
									 : 500;
		return refused(t, status, c.code, result, message);
	}
	memcpy(t->etag, c.etag, sizeof t->etag);
	return true;
}

/* A 2xx. */
static bool granted(struct push *t, struct push_result *result, char message[S3_SENTENCE])
{
	const char *data = t->answer.data ? t->answer.data : "";
	char upload[LIMIT_PUSH_UPLOAD_CHARS + 1];
	switch (t->verb) {
	case PUSH_PUT:
	case PUSH_PART:
		return *t->etag ? true : nonsense(result, message);
	case PUSH_HEAD:
		return t->has_length ? true : nonsense(result, message);
	case PUSH_ABORT:
		return true;
	case PUSH_CREATE:
		if (!s3_created_read(data, t->answer.len, upload))
			return nonsense(result, message);
		t->upload = strdup(upload);
		result->err = t->upload ? ERR_OK : ERR_NO_MEMORY;
		return true;
	case PUSH_COMPLETE:
		return completed(t, result, message);
	case PUSH_PARTS:
		if (!s3_parts_read(data, t->answer.len, &t->parts))
			return nonsense(result, message);
		return !t->parts.more;
	case PUSH_UPLOADS:
		t->uploads.prefix = t->p->target.prefix;
		return s3_uploads_read(data, t->answer.len, &t->uploads) ? true : nonsense(result, message);
	}
	return true;
}

bool push_judge(struct push *t, struct push_result *result, char message[S3_SENTENCE])
{
	long status = 0;
	curl_easy_getinfo(t->curl.easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status >= 300) {
		if (!refused(t, (int)status, NULL, result, message))
			return false;
	} else if (!granted(t, result, message)) {
		return false;
	}
	if (result->err)
		return true;
	result->etag = t->etag;
	result->sha256 = t->meta_sha256;
	result->bytes = t->length;
	result->upload = t->upload ? t->upload : "";
	result->parts = t->parts.items;
	result->part_count = t->parts.count;
	result->uploads = t->uploads.items;
	result->upload_count = t->uploads.count;
	result->more = t->uploads.more;
	return true;
}
