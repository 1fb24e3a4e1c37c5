/* One request of tus, see tus_request.h. */
#include "tus_request.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
	CONNECT_MS = 10 * 1000,
	ANSWER_S = 30,	/* to what has no body */
	SILENCE_S = 60, /* a body that does not move, or whose answer does not come */
	BUFFER_BYTES = 512 * 1024,
};

static size_t on_body_wanted(char *out, size_t size, size_t count, void *arg)
{
	struct tus_request *r = arg;
	size_t most = size * count;
	most = r->body_end - r->body_at < most ? (size_t)(r->body_end - r->body_at) : most;
	ssize_t n;
	do
		n = most > 0 ? pread(r->fd, out, most, (off_t)r->body_at) : 0;
	while (n < 0 && errno == EINTR);
	if (n < 0 || (n == 0 && most > 0)) {
		r->body_failed = true;
		return CURL_READFUNC_ABORT;
	}
	r->body_at += (uint64_t)n;
	return (size_t)n;
}

/* libcurl sends a body again from its beginning, over a connection that it found dead. */
static int on_body_sought(void *arg, curl_off_t offset, int origin)
{
	struct tus_request *r = arg;
	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > r->body_end - r->body_start)
		return CURL_SEEKFUNC_FAIL;
	r->body_at = r->body_start + (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static bool header_is(const char *line, size_t len, const char *name, char *value, size_t size)
{
	size_t name_len = strlen(name);
	if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
		return false;
	const char *at = line + name_len + 1, *end = line + len;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (end > at && strchr(" \t\r\n", end[-1]))
		end--;
	snprintf(value, size, "%.*s", (int)(end - at), at);
	return (size_t)(end - at) < size;
}

static int64_t count_parse(const char *text)
{
	char *end;
	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0' ? value : -1;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct tus_answer *a = &((struct tus_request *)arg)->answer;
	size_t len = size * count;
	char value[TUS_LOCATION];
	if (len > 12 && strncmp(line, "HTTP/", 5) == 0) /* an interim answer's headers are none of the answer's */
		*a = (struct tus_answer){ .status = strtol(line + 9, NULL, 10), .offset = -1, .length = -1 };
	else if (header_is(line, len, "Upload-Offset", value, sizeof value))
		a->offset = count_parse(value);
	else if (header_is(line, len, "Upload-Length", value, sizeof value))
		a->length = count_parse(value);
	else if (header_is(line, len, "Tus-Version", value, sizeof value))
		a->speaks_tus = strstr(value, "1.0.0") != NULL;
	else if (header_is(line, len, "Location", value, sizeof value))
		snprintf(a->location, sizeof a->location, "%s", value);
	else if (header_is(line, len, "Retry-After", value, sizeof value) && count_parse(value) > 0)
		a->retry_after_s = (long)count_parse(value);
	return len;
}

static size_t on_text(char *data, size_t size, size_t count, void *arg)
{
	struct tus_answer *a = &((struct tus_request *)arg)->answer;
	size_t len = size * count, have = strlen(a->text), room = sizeof a->text - 1 - have;
	size_t more = len < room ? len : room;
	memcpy(a->text + have, data, more);
	a->text[have + more] = '\0';
	return len;
}

void tus_answer_sentence(const struct tus_answer *answer, char *out, size_t size)
{
	json_t *problem = json_loads(answer->text, 0, NULL);
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	if (!detail)
		detail = json_string_value(json_object_get(problem, "message"));
	if (!detail)
		detail = *answer->text == '<' || *answer->text == '{' ? "" : answer->text; /* a page says nothing */
	snprintf(out, size, "%.*s", (int)strcspn(detail, "\r\n"), detail);
	json_decref(problem);
}

static bool add_header(struct tus_request *r, const char *name, const char *value)
{
	char *line = NULL;
	if (asprintf(&line, "%s: %s", name, value) < 0)
		return false;
	struct curl_slist *more = curl_slist_append(r->headers, line);
	free(line);
	r->headers = more ? more : r->headers;
	return more != NULL;
}

static bool add_number(struct tus_request *r, const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	return add_header(r, name, text);
}

static char *base64(const char *text)
{
	size_t len = strlen(text);
	char *out = malloc(4 * (len / 3 + 1) + 1);
	if (out)
		EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)len);
	return out;
}

static bool add_metadata(struct tus_request *r, const struct tus_call *call)
{
	char *name = base64(call->name), *mime = call->mime ? base64(call->mime) : NULL, *value = NULL;
	bool ok = name && (!call->mime || mime) &&
		  asprintf(&value, "filename %s%s%s", name, mime ? ",filetype " : "", mime ? mime : "") >= 0;
	ok = ok && add_header(r, "Upload-Metadata", value);
	free(name);
	free(mime);
	free(value);
	return ok;
}

static bool set_method(struct tus_request *r, const struct tus_call *call)
{
	CURL *easy = r->easy;
	switch (call->method) {
	case TUS_OPTIONS:
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "OPTIONS") == CURLE_OK;
	case TUS_HEAD:
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
	case TUS_POST:
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
		return add_header(r, "Content-Type", "") && add_number(r, "Upload-Length", call->length) &&
		       add_metadata(r, call);
	case TUS_PATCH:
		r->fd = call->fd;
		r->body_start = r->body_at = call->offset;
		r->body_end = call->offset + call->length;
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PATCH");
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->length);
		curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_body_wanted);
		curl_easy_setopt(easy, CURLOPT_READDATA, r);
		curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_body_sought);
		curl_easy_setopt(easy, CURLOPT_SEEKDATA, r);
		return add_header(r, "Content-Type", "application/offset+octet-stream") &&
		       add_number(r, "Upload-Offset", call->offset) && add_header(r, "Expect", "");
	}
	return false;
}

bool tus_request_make(struct tus_request *r, const struct tus_call *call)
{
	char bearer[4200];
	*r = (struct tus_request){ .easy = curl_easy_init(), .answer = { .offset = -1, .length = -1 } };
	if (!r->easy || !add_header(r, "Tus-Resumable", "1.0.0") || !set_method(r, call))
		return false;
	snprintf(bearer, sizeof bearer, "Bearer %s", call->token ? call->token : "");
	if (call->token && !add_header(r, "Authorization", bearer))
		return false;
	bool has_body = call->method == TUS_PATCH;
	curl_easy_setopt(r->easy, CURLOPT_URL, call->url);
	curl_easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(r->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(r->easy, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
	curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(r->easy, CURLOPT_TIMEOUT, has_body ? 0L : (long)ANSWER_S);
	curl_easy_setopt(r->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(r->easy, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
	curl_easy_setopt(r->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(r->easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_text);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->reason);
	if (call->ca_file)
		curl_easy_setopt(r->easy, CURLOPT_CAINFO, call->ca_file);
	return true;
}

void tus_request_release(struct tus_request *r)
{
	if (r->easy)
		curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	r->easy = NULL;
	r->headers = NULL;
}

bool tus_request_is_misconfigured(CURLcode result)
{
	return result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL ||
	       result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE;
}

char *tus_url_resolve(const char *base, const char *location)
{
	char *text = NULL, *out = NULL;
	CURLU *url = curl_url();
	if (url && *location && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_URL, location, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK && strlen(text) < TUS_LOCATION)
		out = strdup(text);
	curl_free(text);
	curl_url_cleanup(url);
	return out;
}

bool tus_url_same_origin(const char *a, const char *b)
{
	static const CURLUPart parts[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
	CURLU *urls[] = { curl_url(), curl_url() };
	bool same = urls[0] && urls[1] && curl_url_set(urls[0], CURLUPART_URL, a, 0) == CURLUE_OK &&
		    curl_url_set(urls[1], CURLUPART_URL, b, 0) == CURLUE_OK;
	for (unsigned i = 0; same && i < sizeof parts / sizeof parts[0]; i++) {
		char *of_a = NULL, *of_b = NULL;
		same = curl_url_get(urls[0], parts[i], &of_a, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		       curl_url_get(urls[1], parts[i], &of_b, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		       strcasecmp(of_a, of_b) == 0;
		curl_free(of_a);
		curl_free(of_b);
	}
	curl_url_cleanup(urls[0]);
	curl_url_cleanup(urls[1]);
	return same;
}
