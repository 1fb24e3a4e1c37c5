/* Files to a tus server, see tus.h. libcurl rather than libwebsockets: uploads are plain requests with bodies, for
 * which it has everything (answers in the middle of a body, proxies, connections kept and shared), and the server links
 * it anyway.
 *
 * An upload is one request at a time: CREATE gives its URL, LOOK asks for its offset, SEND appends. Whatever goes wrong
 * with a link leads through a wait to LOOK; only what the server said is believed. */
#include "tus.h"

#include "backoff.h"
#include "tus_record.h"
#include "tus_request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	IN_VAIN = 8,	    /* so often it may be told that a request was no good, without progress between */
	RETRY_AFTER_S = 60, /* a server is not believed that wants us to wait longer */
	ERROR_TEXT = 512,
};

enum step { STEP_CREATE, STEP_LOOK, STEP_SEND, STEP_DONE, STEP_FAILED };

struct tus {
	struct tus_server *server;
	struct tus *next;
	struct file file; /* path is owned */
	char *name, *mime;
	int fd;
	struct tus_record record;
	enum step step;
	struct tus_request request;
	bool waits;
	uint64_t retry_at;
	struct backoff backoff;
	uint64_t offset; /* as the server said */
	uint64_t most_sent;
	unsigned reconnects, in_vain;
	bool refused;
	char error[ERROR_TEXT];
};

struct tus_server {
	struct tus_options options;
	CURLM *multi;
	struct tus *uploads;
	bool ended; /* an upload has, in this turn */
	char why[CURL_ERROR_SIZE];
};

static uint64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int tus_server_new(const struct tus_options *options, struct tus_server **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	(*out)->options = *options;
	(*out)->multi = curl_multi_init();
	return (*out)->multi ? 0 : -ENOMEM;
}

/* The server may send us elsewhere, but not our token. */
static struct tus_call call_of(const struct tus_server *server, enum tus_method method, const char *url)
{
	const struct tus_options *o = &server->options;
	struct tus_call call = { .method = method, .url = url, .ca_file = o->ca_file };
	if (o->token && tus_url_same_origin(o->url, url))
		call.token = o->token;
	return call;
}

enum tus_ask tus_server_ask(struct tus_server *server, int timeout_ms, const char **why)
{
	struct tus_request request = { 0 };
	struct tus_call call = call_of(server, TUS_OPTIONS, server->options.url);
	*why = "out of memory";
	if (!tus_request_make(&request, &call))
		return TUS_ASK_SILENT;
	curl_easy_setopt(request.easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	CURLcode result = curl_easy_perform(request.easy);
	snprintf(server->why, sizeof server->why, "%s", *request.reason ? request.reason : curl_easy_strerror(result));
	*why = server->why;
	enum tus_ask answer = request.answer.speaks_tus ? TUS_ASK_YES : TUS_ASK_NO;
	if (result != CURLE_OK)
		answer = tus_request_is_misconfigured(result) ? TUS_ASK_IN_VAIN : TUS_ASK_SILENT;
	tus_request_release(&request);
	return answer;
}

static void fail(struct tus *t, const char *code, const char *sentence)
{
	char text[ERROR_TEXT]; /* the sentence may be a part of the error that is there */
	snprintf(text, sizeof text, "%.60s: %.440s", code, sentence);
	memcpy(t->error, text, sizeof text);
	t->step = STEP_FAILED;
	t->server->ended = true;
}

static void retry(struct tus *t, enum step step, uint64_t now_ms, long retry_after_s)
{
	uint64_t wait_ms = backoff_next_ms(&t->backoff);
	if (retry_after_s > 0) {
		long s = retry_after_s < RETRY_AFTER_S ? retry_after_s : RETRY_AFTER_S;
		wait_ms = wait_ms > (uint64_t)s * 1000 ? wait_ms : (uint64_t)s * 1000;
	}
	t->step = step;
	t->waits = true;
	t->retry_at = now_ms + wait_ms;
}

static bool is_changed(const struct tus *t)
{
	struct stat st;
	return fstat(t->fd, &st) != 0 || (uint64_t)st.st_size != t->file.size ||
	       (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec != t->file.mtime_ns;
}

/* The server says how much it has. */
static void advance(struct tus *t, uint64_t offset)
{
	if (offset > t->offset) {
		backoff_reset(&t->backoff);
		t->in_vain = 0;
	}
	t->offset = offset;
	t->most_sent = offset > t->most_sent ? offset : t->most_sent;
	if (is_changed(t)) {
		fail(t, "source_changed", "The file was changed while it was sent.");
		return;
	}
	t->step = offset == t->file.size ? STEP_DONE : STEP_SEND;
	t->server->ended |= t->step == STEP_DONE;
}

static void begin_anew(struct tus *t, uint64_t now_ms)
{
	snprintf(t->error, sizeof t->error, "gone: The server has forgotten the upload; it begins anew.");
	(void)tus_record_forget(&t->record);
	t->offset = t->most_sent = 0;
	if (++t->in_vain > IN_VAIN)
		fail(t, "gone", "The server forgets the upload again and again.");
	else
		retry(t, STEP_CREATE, now_ms, 0);
}

static void say(struct tus *t, const char *code)
{
	char sentence[300];
	tus_answer_sentence(&t->request.answer, sentence, sizeof sentence);
	snprintf(t->error, sizeof t->error, "%s: The server answered HTTP %ld%s%s", code, t->request.answer.status,
		 *sentence ? ": " : ".", sentence);
}

static void refuse(struct tus *t, const char *code, bool others, const char *advice)
{
	char text[ERROR_TEXT];
	say(t, code);
	snprintf(text, sizeof text, "%s%s%s", t->error + strlen(code) + 2, *advice ? " " : "", advice);
	fail(t, code, text);
	t->refused = others;
}

/* Trouble that passes, in any step. False: it does not. */
static bool passes(struct tus *t, uint64_t now_ms)
{
	const struct tus_answer *a = &t->request.answer;
	if (a->status < 500 && a->status != 408 && a->status != 423 && a->status != 425 && a->status != 429)
		return false;
	say(t, "busy");
	retry(t, t->record.url ? STEP_LOOK : STEP_CREATE, now_ms, a->retry_after_s);
	return true;
}

/* What no step can go on from. */
static void refuse_common(struct tus *t)
{
	long status = t->request.answer.status;
	if (status == 401 || status == 403)
		refuse(t, "unauthorized", true, "");
	else if (status == 413)
		refuse(t, "too_large", false,
		       "A smaller --tus-chunk may help, if it is not the file that is too large.");
	else
		refuse(t, "refused", true, "");
}

static void on_created(struct tus *t)
{
	const struct tus_answer *a = &t->request.answer;
	if (a->status != 201 && a->status != 200) {
		refuse_common(t);
		return;
	}
	char *url = tus_url_resolve(t->server->options.url, a->location);
	int result = url ? tus_record_set(&t->record, url, &t->file) : -EBADMSG;
	free(url);
	if (result == -EBADMSG)
		fail(t, "refused", "The server made an upload and did not say where.");
	else if (result != 0)
		fail(t, "local_storage", strerror(-result));
	else
		advance(t, 0);
}

static void on_looked(struct tus *t, uint64_t now_ms)
{
	const struct tus_answer *a = &t->request.answer;
	if (a->status == 404 || a->status == 410)
		begin_anew(t, now_ms);
	else if (a->status != 200 && a->status != 204)
		refuse_common(t);
	else if (a->offset < 0 || (uint64_t)a->offset > t->file.size ||
		 (a->length >= 0 && (uint64_t)a->length != t->file.size))
		begin_anew(t, now_ms); /* not this upload any more */
	else
		advance(t, (uint64_t)a->offset);
}

static void on_sent(struct tus *t, uint64_t now_ms)
{
	const struct tus_answer *a = &t->request.answer;
	bool ok = a->status == 204 || a->status == 200;
	if (ok && a->offset > (int64_t)t->offset && (uint64_t)a->offset <= t->request.body_end) {
		advance(t, (uint64_t)a->offset);
	} else if (a->status == 404 || a->status == 410) {
		begin_anew(t, now_ms);
	} else if ((ok || a->status == 409 || a->status == 400 || a->status == 460) && ++t->in_vain <= IN_VAIN) {
		/* it has another offset than we think, or lost the request's end: it tells */
		say(t, "conflict");
		retry(t, STEP_LOOK, now_ms, 0);
	} else {
		refuse_common(t);
	}
}

static void on_lost(struct tus *t, CURLcode result, uint64_t now_ms)
{
	if (t->request.body_failed && is_changed(t)) {
		fail(t, "source_changed", "The file was changed while it was sent.");
		return;
	}
	if (t->request.body_failed) {
		fail(t, "local_storage", "The file can't be read.");
		return;
	}
	snprintf(t->error, sizeof t->error, "link_lost: %s",
		 *t->request.reason ? t->request.reason : curl_easy_strerror(result));
	t->reconnects++;
	if (tus_request_is_misconfigured(result))
		fail(t, "refused", t->error + strlen("link_lost: "));
	else
		retry(t, t->record.url ? STEP_LOOK : STEP_CREATE, now_ms, 0);
	t->refused |= t->step == STEP_FAILED;
}

static void on_answer(struct tus *t, CURLcode result)
{
	uint64_t now_ms = clock_ms();
	curl_multi_remove_handle(t->server->multi, t->request.easy);
	if (result != CURLE_OK && t->request.answer.status < 400) /* an early refusal ends a body, too */
		on_lost(t, result, now_ms);
	else if (passes(t, now_ms))
		;
	else if (t->step == STEP_CREATE)
		on_created(t);
	else if (t->step == STEP_LOOK)
		on_looked(t, now_ms);
	else
		on_sent(t, now_ms);
	tus_request_release(&t->request);
}

static void begin_request(struct tus *t)
{
	struct tus_server *server = t->server;
	enum tus_method method = t->step == STEP_CREATE ? TUS_POST : t->step == STEP_LOOK ? TUS_HEAD : TUS_PATCH;
	struct tus_call call = call_of(server, method, t->step == STEP_CREATE ? server->options.url : t->record.url);
	uint64_t most = server->options.chunk_bytes, left = t->file.size - t->offset;
	call.fd = t->fd;
	call.offset = t->offset;
	call.length = t->step == STEP_CREATE ? t->file.size : most > 0 && most < left ? most : left;
	call.name = t->name;
	call.mime = t->mime;
	t->waits = false;
	if (!tus_request_make(&t->request, &call) ||
	    curl_easy_setopt(t->request.easy, CURLOPT_PRIVATE, t) != CURLE_OK ||
	    curl_multi_add_handle(server->multi, t->request.easy) != CURLM_OK) {
		tus_request_release(&t->request);
		fail(t, "local", "out of memory");
	}
}

/* Begins what is due; how long until the next is. */
static int begin_due(struct tus_server *server, uint64_t now_ms, uint64_t deadline)
{
	for (struct tus *t = server->uploads; t; t = t->next) {
		if (t->step >= STEP_DONE || t->request.easy)
			continue;
		if (!t->waits || now_ms >= t->retry_at)
			begin_request(t);
		else if (t->retry_at < deadline)
			deadline = t->retry_at;
	}
	return deadline > now_ms ? (int)(deadline - now_ms) : 0;
}

void tus_server_run(struct tus_server *server, int timeout_ms)
{
	uint64_t now_ms = clock_ms(), deadline = now_ms + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
	int running, left;
	server->ended = false;
	do {
		int wait_ms = begin_due(server, now_ms, deadline);
		curl_multi_perform(server->multi, &running);
		if (curl_multi_poll(server->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
			return;
		curl_multi_perform(server->multi, &running);
		for (CURLMsg *m; (m = curl_multi_info_read(server->multi, &left));) {
			struct tus *t;
			CURLcode result = m->data.result; /* the message goes with its handle */
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
			on_answer(t, result);
		}
		now_ms = clock_ms();
	} while (!server->ended && now_ms < deadline);
}

void tus_server_free(struct tus_server *server)
{
	if (!server)
		return;
	if (server->multi)
		curl_multi_cleanup(server->multi);
	free(server);
}

static int open_file(struct tus *t, const struct file *file)
{
	struct stat st;
	t->file = (struct file){ .path = strdup(file->path) };
	t->fd = t->file.path ? open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	if (!t->file.path || t->fd < 0 || fstat(t->fd, &st) != 0)
		return t->file.path ? -errno : -ENOMEM;
	t->file.size = (uint64_t)st.st_size;
	t->file.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

int tus_new(struct tus_server *server, const struct file *file, const char *name, const char *mime, struct tus **out)
{
	uint64_t seed = clock_ms();
	struct tus *t = *out = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	t->server = server;
	t->fd = t->record.fd = -1;
	t->name = strdup(name);
	t->mime = mime ? strdup(mime) : NULL;
	int result = !t->name || (mime && !t->mime) ? -ENOMEM : open_file(t, file);
	if (result == 0)
		result = tus_record_open(&t->record, server->options.spool_dir, server->options.url, &t->file);
	if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		seed = clock_ms();
	backoff_init(&t->backoff, seed);
	t->step = t->record.url ? STEP_LOOK : STEP_CREATE;
	t->next = server->uploads;
	server->uploads = t;
	if (result != 0) {
		tus_free(t);
		*out = NULL;
	}
	return result;
}

void tus_progress(const struct tus *t, struct hf_progress *out)
{
	uint64_t now_ms = clock_ms(), sent = t->request.easy && t->step == STEP_SEND ? t->request.body_at : t->offset;
	*out = (struct hf_progress){
		.state = t->step == STEP_DONE		     ? HF_SAVED
			 : t->step == STEP_FAILED	     ? HF_FAILED
			 : t->step == STEP_SEND && !t->waits ? HF_SENDING
							     : HF_CONNECTING,
		.reconnects = t->reconnects,
		.bytes_read = sent > t->most_sent ? sent : t->most_sent,
		.bytes_safe = t->offset,
		.bytes_total = t->file.size,
		.retry_in_ms = t->waits && t->retry_at > now_ms ? t->retry_at - now_ms : 0,
	};
}

const struct file *tus_file(const struct tus *t)
{
	return &t->file;
}

const char *tus_url(const struct tus *t)
{
	return t->record.url ? t->record.url : "";
}

const char *tus_error(const struct tus *t)
{
	return t->error;
}

bool tus_is_refused(const struct tus *t)
{
	return t->refused;
}

void tus_settle(struct tus *t)
{
	(void)tus_record_remove(&t->record);
}

void tus_free(struct tus *t)
{
	if (!t)
		return;
	for (struct tus **at = &t->server->uploads; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	if (t->request.easy)
		curl_multi_remove_handle(t->server->multi, t->request.easy);
	tus_request_release(&t->request);
	tus_record_close(&t->record);
	if (t->fd >= 0)
		close(t->fd);
	free(t->file.path);
	free(t->name);
	free(t->mime);
	free(t);
}
