/* An outside authority asked by libcurl, see authority_curl.h. */
#include "work/authority_curl.h"

#include "work/curl_loop.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct authority_curl {
	struct authority authority;
	struct authority_curl_config config;
	char *url, *secret, *ca_file, *agent; /* owned */
	struct curl_loop *loop;
	struct list questions;
	void (*closed)(void *arg);
	void *closed_arg;
};

struct question {
	struct curl_transfer curl;
	struct authority_curl *a;
	uint64_t id;
	struct buf body, answer;
	struct curl_slist *headers;
	bool begin, cancelled;
};

static void secret_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void question_free(struct question *q)
{
	curl_transfer_drop(q->a->loop, &q->curl);
	for (struct curl_slist *line = q->headers; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(q->headers);
	list_remove(&q->curl.link);
	if (q->body.data)
		explicit_bzero(q->body.data, q->body.len);
	buf_release(&q->body);
	buf_release(&q->answer);
	free(q);
}

/* The last word; q is gone. */
static void question_end(struct question *q, enum err err, const struct authority_answer *answer, const char *why)
{
	struct authority authority = q->a->authority;
	uint64_t id = q->id;
	question_free(q);
	authority.done(authority.arg, id, err, answer, why);
}

static void question_fail(struct question *q, const char *why)
{
	question_end(q, ERR_AUTHORITY_FAILED, NULL, why);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct question *q = arg;
	size_t len = size * count;
	if (q->cancelled || q->answer.len + len > LIMIT_AUTHORITY_ANSWER_BYTES)
		return 0;
	buf_add(&q->answer, data, len);
	return q->answer.failed ? 0 : len;
}

/* What a 200 says. */
static void on_answer(struct question *q)
{
	struct authority_answer answer;
	const char *wrong;
	char why[160];
	if (authority_answer_parse(q->answer.data ? q->answer.data : "", q->answer.len, &answer, &wrong)) {
		question_end(q, ERR_OK, &answer, NULL);
		return;
	}
	snprintf(why, sizeof why, "Its answer is none: %s.", wrong);
	question_fail(q, why);
}

static void on_done(struct curl_transfer *curl, CURLcode code)
{
	struct question *q = (struct question *)curl;
	char why[160];
	long status = 0;
	if (q->cancelled)
		return;
	curl_easy_getinfo(curl->easy, CURLINFO_RESPONSE_CODE, &status);
	/* of a refusal the status says all, however long its page is */
	if ((status == 401 || status == 403) && (code == CURLE_OK || code == CURLE_WRITE_ERROR)) {
		question_end(q, ERR_OK, &(struct authority_answer){ .allow = false }, NULL);
	} else if (code == CURLE_WRITE_ERROR) {
		question_fail(q, "Its answer is too long.");
	} else if (code != CURLE_OK) {
		snprintf(why, sizeof why, "It failed: %s.", curl_easy_strerror(code));
		question_fail(q, why);
	} else if (status != 200) {
		snprintf(why, sizeof why, "It answered %ld.", status);
		question_fail(q, why);
	} else {
		on_answer(q);
	}
}

static bool add_header(struct question *q, const char *line)
{
	struct curl_slist *more = curl_slist_append(q->headers, line);
	if (more)
		q->headers = more;
	return more != NULL;
}

static bool add_headers(struct question *q)
{
	char line[LIMIT_AUTHORITY_SECRET_CHARS + 32];
	if (!add_header(q, "Content-Type: application/json") || !add_header(q, "Accept: application/json") ||
	    !add_header(q, "Expect:"))
		return false;
	if (!q->a->secret)
		return true;
	snprintf(line, sizeof line, "Authorization: Bearer %s", q->a->secret);
	bool ok = add_header(q, line);
	explicit_bzero(line, sizeof line);
	return ok;
}

static void set_up(struct question *q)
{
	const struct authority_curl *a = q->a;
	CURL *easy = q->curl.easy;
	curl_easy_setopt(easy, CURLOPT_URL, a->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, q->body.data);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, q->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, a->agent);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, q);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)a->config.wait_ms);
	if (a->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, a->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

static void question_begin(struct question *q)
{
	q->begin = false;
	q->curl.easy = curl_loop_easy();
	bool ok = q->curl.easy && !q->body.failed && add_headers(q);
	if (ok) {
		set_up(q);
		ok = curl_loop_begin(q->a->loop, &q->curl);
	}
	if (!ok)
		question_fail(q, err_text(ERR_NO_MEMORY));
}

static void on_soon(void *arg)
{
	struct authority_curl *a = arg;
	for (struct list *at = a->questions.next; at != &a->questions;) {
		struct question *q = list_entry(at, struct question, curl.link);
		at = at->next;
		if (!q->cancelled && !q->begin)
			continue;
		if (q->cancelled)
			question_free(q);
		else
			question_begin(q);
		at = a->questions.next; /* what was told may have changed the list */
	}
}

static void authority_ask(struct authority *authority, uint64_t id, const char *token)
{
	struct authority_curl *a = (struct authority_curl *)authority;
	struct question *q = calloc(1, sizeof *q);
	if (!q)
		abort(); /* as everywhere: better than somebody who waits for ever */
	q->a = a;
	q->id = id;
	q->begin = true;
	q->curl.done = on_done;
	buf_init(&q->body);
	buf_init(&q->answer);
	authority_question_format(&q->body, token);
	list_push(&a->questions, &q->curl.link);
	curl_loop_soon(a->loop);
}

static void authority_cancel(struct authority *authority, uint64_t id)
{
	struct authority_curl *a = (struct authority_curl *)authority;
	for (struct list *at = a->questions.next; at != &a->questions; at = at->next) {
		struct question *q = list_entry(at, struct question, curl.link);
		if (q->id == id)
			q->cancelled = true;
	}
	curl_loop_soon(a->loop);
}

static const struct authority_ops ops = { authority_ask, authority_cancel };

/* --- settings --- */

static bool host_is_ours(const char *host)
{
	struct in_addr v4;
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

bool authority_url_fine(const char *url)
{
	CURLU *parsed = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL;
	bool fine = parsed && strlen(url) <= LIMIT_URL_CHARS &&
		    curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
		    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		    curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK && *host &&
		    curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_NO_USER;
	fine = fine && (strcmp(scheme, "https") == 0 || (strcmp(scheme, "http") == 0 && host_is_ours(host)));
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(parsed);
	return fine;
}

bool authority_secret_trim(char *text)
{
	size_t len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (text[i] < '!' || text[i] > '~')
			return false;
	return len > 0 && len <= LIMIT_AUTHORITY_SECRET_CHARS;
}

/* --- life --- */

static void authority_free(struct authority_curl *a)
{
	free(a->url);
	secret_free(a->secret);
	free(a->ca_file);
	free(a->agent);
	free(a);
}

enum err authority_curl_new(const struct authority_curl_config *config, struct authority **out)
{
	struct authority_curl *a = calloc(1, sizeof *a);
	*out = NULL;
	if (!a)
		return ERR_NO_MEMORY;
	a->authority.ops = &ops;
	a->config = *config;
	a->config.wait_ms = config->wait_ms ? config->wait_ms : LIMIT_AUTHORITY_WAIT_MS;
	a->url = strdup(config->url);
	a->agent = strdup(config->agent);
	a->secret = config->secret ? strdup(config->secret) : NULL;
	a->ca_file = config->ca_file ? strdup(config->ca_file) : NULL;
	list_init(&a->questions);
	bool copied = a->url && a->agent && (a->secret || !config->secret) && (a->ca_file || !config->ca_file);
	enum err err = copied ? curl_loop_new(config->loop, on_soon, a, &a->loop) : ERR_NO_MEMORY;
	if (err) {
		authority_free(a);
		return err;
	}
	*out = &a->authority;
	return ERR_OK;
}

static void on_loop_closed(void *arg)
{
	struct authority_curl *a = arg;
	void (*closed)(void *arg) = a->closed;
	void *closed_arg = a->closed_arg;
	authority_free(a);
	if (closed)
		closed(closed_arg);
}

void authority_curl_close(struct authority *authority, void (*closed)(void *arg), void *arg)
{
	struct authority_curl *a = (struct authority_curl *)authority;
	if (!a)
		return;
	a->closed = closed;
	a->closed_arg = arg;
	while (!list_empty(&a->questions))
		question_free(list_entry(a->questions.next, struct question, curl.link));
	curl_loop_close(a->loop, on_loop_closed, a);
}
