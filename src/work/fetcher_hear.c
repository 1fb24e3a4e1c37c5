/* What a fetch hears from libcurl: the address that it is about to connect to, the answer's head, its bytes. */
#include "work/fetcher_private.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void fetch_say(struct transfer *t, enum err err, const char *message)
{
	t->err = err;
	snprintf(t->message, sizeof t->message, "%s", message);
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *t = arg;
	if (purpose != CURLSOCKTYPE_IPCXN || !source_address_open(&address->addr, t->place.tls, &t->f->config.rules)) {
		t->refused = true;
		return CURL_SOCKET_BAD;
	}
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * count;
	t->header_bytes += len;
	if (t->cancelled)
		return 0;
	if (t->header_bytes > LIMIT_FETCH_HEADERS_BYTES) {
		t->judged = true;
		t->verdict = FETCH_ENDED;
		fetch_say(t, ERR_SOURCE_REFUSED, "The source's headers are larger than the limit.");
		return 0;
	}
	fetch_answer_line(&t->answer, line, len);
	return len;
}

bool fetch_asks_range(const struct transfer *t)
{
	return t->from > 0 && t->validator;
}

/* The bytes begin: says so. */
static void head(struct transfer *t)
{
	const struct fetch_answer *a = &t->answer;
	struct fetch_head h = { .total = a->length, .from_start = t->verdict == FETCH_FROM_START };
	t->at = h.from_start ? 0 : t->from;
	if (t->verdict == FETCH_WHOLE)
		h.total = t->from;
	else if (!h.from_start)
		h.total = a->total != BYTES_UNKNOWN    ? a->total
			  : a->length == BYTES_UNKNOWN ? a->length
						       : t->from + a->length;
	t->total = h.total;
	if (h.total != BYTES_UNKNOWN && h.total > t->f->config.max_bytes) {
		t->verdict = FETCH_ENDED;
		fetch_say(t, ERR_SOURCE_TOO_LARGE, "The source says that it is larger than --fetch-max.");
		return;
	}
	snprintf(h.mime, sizeof h.mime, "%s", a->mime);
	t->f->fetcher.events.head(t->f->fetcher.events.arg, t->id, &h, fetch_answer_validator(a));
}

void fetch_judge(struct transfer *t)
{
	if (t->judged)
		return;
	t->judged = true;
	enum err err = ERR_OK;
	t->verdict = fetch_answer_judge(&t->answer, fetch_asks_range(t) ? t->from : 0, t->validator, &err);
	if (t->verdict == FETCH_BODY || t->verdict == FETCH_FROM_START || t->verdict == FETCH_WHOLE) {
		head(t);
		return;
	}
	if (t->verdict != FETCH_ENDED)
		return;
	t->err = err;
	if (t->answer.encoded)
		snprintf(t->message, sizeof t->message,
			 "The source sends compressed bytes though none were asked for.");
	else
		snprintf(t->message, sizeof t->message, "The source answered %d.", t->answer.status);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * count;
	if (!t->cancelled)
		fetch_judge(t);
	if (t->cancelled || (t->verdict != FETCH_BODY && t->verdict != FETCH_FROM_START))
		return 0; /* it is cut off: nothing of it is wanted */
	if (t->paused) {
		t->held = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (len > t->f->config.max_bytes - t->at) {
		t->verdict = FETCH_ENDED;
		fetch_say(t, ERR_SOURCE_TOO_LARGE, "The source sent more than --fetch-max.");
		return 0;
	}
	t->at += len;
	t->f->fetcher.events.data(t->f->fetcher.events.arg, t->id, data, len);
	return t->cancelled ? 0 : len;
}

void fetch_listen(struct transfer *t)
{
	CURL *easy = t->curl.easy;
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
}
