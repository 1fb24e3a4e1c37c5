/* Webhooks by libcurl, see notifier_curl.h. */
#include "work/notifier_curl.h"

#include "work/curl_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct notifier_curl {
	struct notifier notifier;
	struct notifier_curl_config config;
	char *url, *ca_file, *agent; /* owned */
	struct curl_loop *loop;
	struct list deliveries;
	void (*closed)(void *arg);
	void *closed_arg;
};

struct delivery {
	struct curl_transfer curl;
	struct notifier_curl *n;
	uint64_t id;
	char *message_id, *body;
	size_t len, answered;
	int64_t timestamp_s;
	struct curl_slist *headers;
	bool begin, cancelled;
};

static void delivery_free(struct delivery *d)
{
	curl_transfer_drop(d->n->loop, &d->curl);
	curl_slist_free_all(d->headers);
	list_remove(&d->curl.link);
	free(d->message_id);
	free(d->body);
	free(d);
}

/* The last word; d is gone. */
static void delivery_end(struct delivery *d, enum err err, const char *message, uint64_t retry_after_ms)
{
	struct notifier notifier = d->n->notifier;
	uint64_t id = d->id;
	delivery_free(d);
	notifier.done(notifier.arg, id, err, message, retry_after_ms);
}

/* The answer's body is read as far as it is short, so that the connection serves the next one too. */
static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct delivery *d = arg;
	(void)data;
	d->answered += size * count;
	return d->cancelled || d->answered > LIMIT_NOTIFY_ANSWER_BYTES ? 0 : size * count;
}

static void on_done(struct curl_transfer *curl, CURLcode code)
{
	struct delivery *d = (struct delivery *)curl;
	char message[160];
	long status = 0;
	if (d->cancelled)
		return;
	curl_easy_getinfo(curl->easy, CURLINFO_RESPONSE_CODE, &status);
	bool answered = status >= 200 && (code == CURLE_OK || code == CURLE_WRITE_ERROR);
	if (answered && status < 300) {
		delivery_end(d, ERR_OK, NULL, 0);
		return;
	}
	if (!answered) {
		snprintf(message, sizeof message, "The webhook's receiver failed: %s.", curl_easy_strerror(code));
		delivery_end(d, ERR_ENDPOINT_FAILED, message, 0);
		return;
	}
	snprintf(message, sizeof message, "The webhook's receiver answered %ld.", status);
	uint64_t after_ms = curl_retry_after_ms(curl->easy);
	delivery_end(d, status == 410 ? ERR_ENDPOINT_GONE : ERR_ENDPOINT_FAILED, message,
		     after_ms < LIMIT_NOTIFY_MAX_MS ? after_ms : LIMIT_NOTIFY_MAX_MS);
}

static bool add_header(struct delivery *d, const char *line)
{
	struct curl_slist *more = curl_slist_append(d->headers, line);
	if (more)
		d->headers = more;
	return more != NULL;
}

static bool add_headers(struct delivery *d)
{
	char line[256], signature[WEBHOOK_SIGNATURE];
	struct webhook_message m = { d->message_id, d->timestamp_s, d->body, d->len };
	if (!webhook_sign(&d->n->config.secret, &m, signature))
		return false;
	if (!add_header(d, "Content-Type: application/json") || !add_header(d, "Expect:"))
		return false;
	snprintf(line, sizeof line, "webhook-id: %s", d->message_id);
	if (!add_header(d, line))
		return false;
	snprintf(line, sizeof line, "webhook-timestamp: %lld", (long long)d->timestamp_s);
	if (!add_header(d, line))
		return false;
	snprintf(line, sizeof line, "webhook-signature: %s", signature);
	return add_header(d, line);
}

static void set_up(struct delivery *d)
{
	const struct notifier_curl *n = d->n;
	CURL *easy = d->curl.easy;
	curl_easy_setopt(easy, CURLOPT_URL, n->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)d->len);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, d->body);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, d->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, n->agent);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, d);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)n->config.wait_ms);
	if (n->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, n->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

static void delivery_begin(struct delivery *d)
{
	d->begin = false;
	d->curl.easy = curl_loop_easy();
	bool ok = d->curl.easy && add_headers(d);
	if (ok) {
		set_up(d);
		ok = curl_loop_begin(d->n->loop, &d->curl);
	}
	if (!ok)
		delivery_end(d, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY), 0);
}

static void on_soon(void *arg)
{
	struct notifier_curl *n = arg;
	for (struct list *at = n->deliveries.next; at != &n->deliveries;) {
		struct delivery *d = list_entry(at, struct delivery, curl.link);
		at = at->next;
		if (!d->cancelled && !d->begin)
			continue;
		if (d->cancelled)
			delivery_free(d);
		else
			delivery_begin(d);
		at = n->deliveries.next; /* what was told may have changed the list */
	}
}

static void notifier_deliver(struct notifier *notifier, const struct notification *what)
{
	struct notifier_curl *n = (struct notifier_curl *)notifier;
	struct delivery *d = calloc(1, sizeof *d);
	char *message_id = strdup(what->message_id), *body = malloc(what->len + 1);
	if (!d || !message_id || !body)
		abort(); /* as everywhere: recovery is safer than a delivery that nobody hears of again */
	memcpy(body, what->body, what->len);
	*d = (struct delivery){
		.n = n,
		.id = what->id,
		.message_id = message_id,
		.body = body,
		.len = what->len,
		.timestamp_s = what->now_ms / 1000,
		.begin = true,
	};
	d->curl.done = on_done;
	list_push(&n->deliveries, &d->curl.link);
	curl_loop_soon(n->loop);
}

static void notifier_cancel(struct notifier *notifier, uint64_t id)
{
	struct notifier_curl *n = (struct notifier_curl *)notifier;
	for (struct list *at = n->deliveries.next; at != &n->deliveries; at = at->next) {
		struct delivery *d = list_entry(at, struct delivery, curl.link);
		if (d->id == id)
			d->cancelled = true;
	}
	curl_loop_soon(n->loop);
}

static const struct notifier_ops ops = { notifier_deliver, notifier_cancel };

bool notifier_url_fine(const char *url)
{
	CURLU *parsed = curl_url();
	char *scheme = NULL, *host = NULL;
	bool fine = parsed && strlen(url) <= LIMIT_URL_CHARS &&
		    curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
		    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		    curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK;
	fine = fine && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) && *host;
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(parsed);
	return fine;
}

static void notifier_free(struct notifier_curl *n)
{
	explicit_bzero(&n->config.secret, sizeof n->config.secret);
	free(n->url);
	free(n->ca_file);
	free(n->agent);
	free(n);
}

enum err notifier_curl_new(const struct notifier_curl_config *config, struct notifier **out)
{
	struct notifier_curl *n = calloc(1, sizeof *n);
	*out = NULL;
	if (!n)
		return ERR_NO_MEMORY;
	n->notifier.ops = &ops;
	n->config = *config;
	n->config.wait_ms = config->wait_ms ? config->wait_ms : LIMIT_NOTIFY_WAIT_MS;
	n->url = strdup(config->url);
	n->agent = strdup(config->agent);
	n->ca_file = config->ca_file ? strdup(config->ca_file) : NULL;
	list_init(&n->deliveries);
	enum err err = !n->url || !n->agent || (config->ca_file && !n->ca_file) ? ERR_NO_MEMORY : ERR_OK;
	if (!err)
		err = curl_loop_new(config->loop, on_soon, n, &n->loop);
	if (err) {
		notifier_free(n);
		return err;
	}
	*out = &n->notifier;
	return ERR_OK;
}

static void on_loop_closed(void *arg)
{
	struct notifier_curl *n = arg;
	void (*closed)(void *arg) = n->closed;
	void *closed_arg = n->closed_arg;
	notifier_free(n);
	if (closed)
		closed(closed_arg);
}

void notifier_curl_close(struct notifier *notifier, void (*closed)(void *arg), void *arg)
{
	struct notifier_curl *n = (struct notifier_curl *)notifier;
	if (!n)
		return;
	n->closed = closed;
	n->closed_arg = arg;
	while (!list_empty(&n->deliveries))
		delivery_free(list_entry(n->deliveries.next, struct delivery, curl.link));
	curl_loop_close(n->loop, on_loop_closed, n);
}
