/* Fetching by libcurl, see fetcher_curl.h. */
#include "work/fetcher_curl.h"

#include "work/fetcher_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What goes with a request. */
static void hop_end(struct transfer *t)
{
	curl_transfer_drop(t->f->loop, &t->curl);
	curl_slist_free_all(t->headers);
	t->headers = NULL;
}

static void transfer_free(struct transfer *t)
{
	hop_end(t);
	list_remove(&t->curl.link);
	free(t->url);
	free(t->validator);
	free(t);
}

/* The last word; t is gone. Not from inside of libcurl. */
static void transfer_end(struct transfer *t)
{
	struct fetcher_events events = t->f->fetcher.events;
	uint64_t id = t->id, retry_after_ms = t->retry_after_ms;
	enum err err = t->err;
	char message[sizeof t->message];
	memcpy(message, t->message, sizeof message);
	transfer_free(t);
	events.ended(events.arg, id, err, err ? message : NULL, err ? retry_after_ms : 0);
}

/* --- a request's life --- */

static bool add_header(struct transfer *t, const char *line)
{
	struct curl_slist *more = curl_slist_append(t->headers, line);
	if (more)
		t->headers = more;
	return more != NULL;
}

/* Those of this hop's host, and no other's. */
static bool show_credentials(struct transfer *t)
{
	const struct credential *c = credentials_find(&t->f->config.credentials, &t->place);
	if (!c)
		return true;
	if (c->header)
		return add_header(t, c->header);
	CURL *easy = t->curl.easy;
	return curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_USERNAME, c->user) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PASSWORD, c->password) == CURLE_OK;
}

static bool add_headers(struct transfer *t)
{
	char line[LIMIT_VALIDATOR_CHARS + 64];
	if (!add_header(t, "Accept: */*") || !add_header(t, "Accept-Encoding: identity"))
		return false;
	if (!fetch_asks_range(t))
		return true;
	snprintf(line, sizeof line, "Range: bytes=%llu-", (unsigned long long)t->from);
	if (!add_header(t, line))
		return false;
	snprintf(line, sizeof line, "If-Range: %s", t->validator);
	return add_header(t, line);
}

static void set_up(struct transfer *t, uint64_t left_ms)
{
	const struct fetcher_curl_config *c = &t->f->config;
	CURL *easy = t->curl.easy;
	curl_easy_setopt(easy, CURLOPT_URL, t->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, t->place.tls ? "https" : "http");
	fetch_listen(t);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, t->f->agent);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)LIMIT_INPUT_BYTES);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)LIMIT_FETCH_SLOW_BYTES);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)c->stall_s);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
	if (t->f->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, t->f->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

static uint64_t left_ms(const struct transfer *t)
{
	uint64_t now = uv_now(t->f->config.loop);
	return t->deadline_ms > now ? t->deadline_ms - now : 0;
}

/* False: t->err says why there is no request. */
static bool hop_begin(struct transfer *t)
{
	const char *why;
	enum err err = source_url_judge(t->url, &t->f->config.rules, &t->place, &why);
	if (err) {
		snprintf(t->message, sizeof t->message, "%s%s", t->redirects > 0 ? "A redirect was refused: " : "",
			 why);
		t->err = err;
		return false;
	}
	uint64_t left = left_ms(t);
	if (left == 0) {
		fetch_say(t, ERR_SOURCE_FAILED, "Fetching took longer than --fetch-timeout.");
		return false;
	}
	t->answer = (struct fetch_answer){ .length = BYTES_UNKNOWN, .total = BYTES_UNKNOWN };
	t->header_bytes = 0;
	t->judged = t->refused = t->held = false;
	t->err = ERR_OK;
	t->curl.easy = curl_loop_easy();
	bool ok = t->curl.easy && add_headers(t) && show_credentials(t);
	if (ok) {
		set_up(t, left);
		ok = curl_loop_begin(t->f->loop, &t->curl);
	}
	if (!ok)
		fetch_say(t, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
	return ok;
}

static void hop_next(struct transfer *t)
{
	hop_end(t);
	if (!hop_begin(t))
		transfer_end(t);
}

static void redirect(struct transfer *t)
{
	char *next = source_url_follow(t->url, t->answer.location);
	if (!next || ++t->redirects > LIMIT_FETCH_REDIRECTS) {
		fetch_say(t, ERR_SOURCE_REFUSED,
			  next ? "The source redirects again and again." : "A redirect leads nowhere.");
		free(next);
		transfer_end(t);
		return;
	}
	free(t->url);
	t->url = next;
	hop_next(t);
}

/* libcurl's word on what went wrong, when no answer has decided. */
static void say_failure(struct transfer *t, CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		if (t->refused)
			fetch_say(t, ERR_URL_REFUSED,
				  t->redirects > 0
					  ? "A redirect was refused: its host's address may not be fetched from."
					  : "The address of its host may not be fetched from.");
		else
			fetch_say(t, ERR_SOURCE_FAILED, "The source can't be connected to.");
		break;
	case CURLE_OPERATION_TIMEDOUT:
		fetch_say(t, ERR_SOURCE_FAILED,
			  left_ms(t) == 0 ? "Fetching took longer than --fetch-timeout."
					  : "The source is too slow: it sends nothing, or hardly anything.");
		break;
	case CURLE_PARTIAL_FILE:
		fetch_say(t, ERR_SOURCE_FAILED, "The source ended before its last byte.");
		break;
	case CURLE_URL_MALFORMAT:
		fetch_say(t, ERR_URL_REFUSED, "The URL can't be fetched.");
		break;
	case CURLE_OUT_OF_MEMORY:
		fetch_say(t, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
		break;
	default: /* fixed sentences of libcurl, without any part of the URL */
		snprintf(t->message, sizeof t->message, "The source failed: %s.", curl_easy_strerror(code));
		t->err = ERR_SOURCE_FAILED;
	}
}

static void on_done(struct curl_transfer *curl, CURLcode code)
{
	struct transfer *t = (struct transfer *)curl;
	if (t->cancelled)
		return; /* it goes soon */
	if (!t->judged && t->answer.whole && (code == CURLE_OK || code == CURLE_PARTIAL_FILE))
		fetch_judge(t); /* it has no body */
	if (t->cancelled)
		return;
	if (!t->judged) {
		say_failure(t, code == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : code);
		transfer_end(t);
		return;
	}
	switch (t->verdict) {
	case FETCH_REDIRECT:
		redirect(t);
		return;
	case FETCH_ASK_WHOLE:
		free(t->validator);
		t->validator = NULL;
		hop_next(t);
		return;
	case FETCH_BODY:
	case FETCH_FROM_START:
		if (code != CURLE_OK)
			say_failure(t, code);
		else if (t->total != BYTES_UNKNOWN && t->at != t->total)
			fetch_say(t, ERR_SOURCE_FAILED, "The source sent another number of bytes than it said.");
		break;
	default:
		t->retry_after_ms = curl_retry_after_ms(curl->easy);
	}
	transfer_end(t);
}

/* --- what was asked for inside of callbacks --- */

/* True when there was something to do; t may be gone. */
static bool transfer_step(struct transfer *t)
{
	if (t->cancelled) {
		transfer_free(t);
	} else if (t->begin) {
		t->begin = false;
		if (!hop_begin(t))
			transfer_end(t);
	} else if (t->held && !t->paused) {
		t->held = false;
		curl_easy_pause(t->curl.easy, CURLPAUSE_CONT);
	} else {
		return false;
	}
	return true;
}

static void on_soon(void *arg)
{
	struct fetcher_curl *f = arg;
	for (struct list *at = f->transfers.next; at != &f->transfers;) {
		bool stepped = transfer_step(list_entry(at, struct transfer, curl.link));
		at = stepped ? f->transfers.next : at->next; /* what was told may have changed the list */
	}
}

static struct transfer *find(struct fetcher_curl *f, uint64_t id)
{
	for (struct list *at = f->transfers.next; at != &f->transfers; at = at->next) {
		struct transfer *t = list_entry(at, struct transfer, curl.link);
		if (t->id == id && !t->cancelled)
			return t;
	}
	return NULL;
}

/* --- the interface --- */

static enum err fetcher_judge(struct fetcher *fetcher, const char *url, const char **why)
{
	struct fetcher_curl *f = (struct fetcher_curl *)fetcher;
	return source_url_judge(url, &f->config.rules, NULL, why);
}

static void fetcher_start(struct fetcher *fetcher, const struct fetch *fetch)
{
	struct fetcher_curl *f = (struct fetcher_curl *)fetcher;
	struct transfer *t = calloc(1, sizeof *t);
	char *url = strdup(fetch->url);
	if (!t || !url)
		abort(); /* as everywhere: recovery is safer than a fetch that nobody hears of again */
	*t = (struct transfer){
		.f = f,
		.id = fetch->id,
		.url = url,
		.from = fetch->from,
		.validator = fetch->validator ? strdup(fetch->validator) : NULL,
		.begin = true,
	};
	t->curl.done = on_done;
	uv_update_time(f->config.loop);
	t->deadline_ms = uv_now(f->config.loop) + (fetch->max_ms ? fetch->max_ms : LIMIT_FETCH_MS);
	list_push(&f->transfers, &t->curl.link);
	curl_loop_soon(f->loop);
}

static void fetcher_pause(struct fetcher *fetcher, uint64_t id, bool paused)
{
	struct fetcher_curl *f = (struct fetcher_curl *)fetcher;
	struct transfer *t = find(f, id);
	if (!t)
		return;
	t->paused = paused;
	if (!paused && t->held)
		curl_loop_soon(f->loop);
}

static void fetcher_cancel(struct fetcher *fetcher, uint64_t id)
{
	struct fetcher_curl *f = (struct fetcher_curl *)fetcher;
	struct transfer *t = find(f, id);
	if (!t)
		return;
	t->cancelled = true;
	curl_loop_soon(f->loop);
}

static const struct fetcher_ops ops = { fetcher_judge, fetcher_start, fetcher_pause, fetcher_cancel };

static void fetcher_free(struct fetcher_curl *f)
{
	address_ranges_release(&f->config.rules.allow);
	credentials_release(&f->config.credentials);
	free(f->ca_file);
	free(f->agent);
	free(f);
}

enum err fetcher_curl_new(struct fetcher_curl_config *config, struct fetcher **out)
{
	struct fetcher_curl *f = calloc(1, sizeof *f);
	*out = NULL;
	if (!f) {
		address_ranges_release(&config->rules.allow);
		credentials_release(&config->credentials);
		return ERR_NO_MEMORY;
	}
	f->fetcher.ops = &ops;
	f->config = *config;
	f->config.connect_ms = config->connect_ms ? config->connect_ms : LIMIT_FETCH_CONNECT_MS;
	f->config.stall_s = config->stall_s ? config->stall_s : LIMIT_FETCH_STALL_S;
	f->ca_file = config->ca_file ? strdup(config->ca_file) : NULL;
	f->agent = strdup(config->agent);
	list_init(&f->transfers);
	enum err err = !f->agent || (config->ca_file && !f->ca_file) ? ERR_NO_MEMORY : ERR_OK;
	if (!err)
		err = curl_loop_new(config->loop, on_soon, f, &f->loop);
	if (err) {
		fetcher_free(f);
		return err;
	}
	*out = &f->fetcher;
	return ERR_OK;
}

static void on_loop_closed(void *arg)
{
	struct fetcher_curl *f = arg;
	void (*closed)(void *arg) = f->closed;
	void *closed_arg = f->closed_arg;
	fetcher_free(f);
	if (closed)
		closed(closed_arg);
}

void fetcher_curl_close(struct fetcher *fetcher, void (*closed)(void *arg), void *arg)
{
	struct fetcher_curl *f = (struct fetcher_curl *)fetcher;
	if (!f)
		return;
	f->closed = closed;
	f->closed_arg = arg;
	while (!list_empty(&f->transfers))
		transfer_free(list_entry(f->transfers.next, struct transfer, curl.link));
	curl_loop_close(f->loop, on_loop_closed, f);
}
