/* See relay.h. The lock stands between loop and thread; libshout is called without it. */
#include "work/relay.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <shout/shout.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	STEP_MS = 20, /* between two looks at a connection that is busy */
	SPARES = 64,
	PIECE_BYTES = 16384, /* taken from the queue at once */
	NAME_BYTES = LIMIT_NAME_CHARS * 4 + 1,
};

struct relay {
	struct relay_url url;
	const char *agent;
	pthread_mutex_t lock;
	pthread_cond_t news; /* to the thread */

	/* under the lock */
	bool quit;
	unsigned turn; /* counts begins */
	bool wanted, draining;
	enum relay_state state;
	char why[RELAY_WHY];
	char mount[RELAY_MOUNT], mime[LIMIT_MIME_CHARS + 1], name[NAME_BYTES], title[LIMIT_TITLE_BYTES + 1];
	bool titled; /* `title` is news */
	uint8_t *queue;
	size_t at, len; /* a ring */
};

/* The thread's own. */
struct link {
	struct relay *r;
	unsigned turn;
	shout_t *shout;
	char mount[RELAY_MOUNT], mime[LIMIT_MIME_CHARS + 1], name[NAME_BYTES];
};

static const struct format {
	const char *mime;
	unsigned format, usage;
	bool titles; /* told apart */
} formats[] = {
	/* libshout has no type for AAC: an Icecast passes it on as it passes on MP3, and players look at the bytes */
	{ "audio/aac", SHOUT_FORMAT_MP3, SHOUT_USAGE_AUDIO, true },
	{ "audio/mpeg", SHOUT_FORMAT_MP3, SHOUT_USAGE_AUDIO, true },
	{ "audio/ogg", SHOUT_FORMAT_OGG, SHOUT_USAGE_AUDIO, false },
	{ "audio/webm", SHOUT_FORMAT_WEBM, SHOUT_USAGE_AUDIO, false },
	{ "audio/x-matroska", SHOUT_FORMAT_MATROSKA, SHOUT_USAGE_AUDIO, false },
	{ "video/x-matroska", SHOUT_FORMAT_MATROSKA, SHOUT_USAGE_AUDIO | SHOUT_USAGE_VISUAL, false },
	{ "video/ogg", SHOUT_FORMAT_OGG, SHOUT_USAGE_AUDIO | SHOUT_USAGE_VISUAL, false },
	{ "video/webm", SHOUT_FORMAT_WEBM, SHOUT_USAGE_AUDIO | SHOUT_USAGE_VISUAL, false },
};

static const struct format *format_of(const char *mime)
{
	size_t len = strcspn(mime, "; ");
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (strlen(formats[i].mime) == len && memcmp(formats[i].mime, mime, len) == 0)
			return &formats[i];
	return NULL;
}

bool relay_takes(const char *mime)
{
	return format_of(mime) != NULL;
}

static uint64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- the thread --- */

/* Under the lock. */
static bool current(const struct link *l)
{
	return !l->r->quit && l->r->wanted && l->r->turn == l->turn;
}

/* Waits for news, or so long; false when this link is to end. */
static bool rest(struct link *l, unsigned ms)
{
	struct relay *r = l->r;
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&r->lock);
	if (current(l))
		pthread_cond_timedwait(&r->news, &r->lock, &until);
	bool go_on = current(l);
	pthread_mutex_unlock(&r->lock);
	return go_on;
}

static void state_set(struct link *l, enum relay_state state, const char *why)
{
	struct relay *r = l->r;
	pthread_mutex_lock(&r->lock);
	if (current(l)) {
		r->state = state;
		snprintf(r->why, sizeof r->why, "%s", why && *why ? why : "the connection broke");
		if (state == RELAY_FAILED || state == RELAY_IDLE) {
			r->wanted = false;
			r->len = 0;
		}
	}
	pthread_mutex_unlock(&r->lock);
}

/* libshout 2.4.6 frees nothing of a shout_t that has no connection any more, which is each one: what was used is
 * used again, or an Icecast that is down for long would cost memory at each try. */
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;
static shout_t *spares[SPARES];
static unsigned spare_count;

static shout_t *spare_take(void)
{
	pthread_mutex_lock(&spare_lock);
	shout_t *shout = spare_count > 0 ? spares[--spare_count] : NULL;
	pthread_mutex_unlock(&spare_lock);
	return shout ? shout : shout_new();
}

static void spare_put(shout_t *shout)
{
	if (!shout)
		return;
	shout_close(shout);
	pthread_mutex_lock(&spare_lock);
	if (spare_count < SPARES)
		spares[spare_count++] = shout;
	pthread_mutex_unlock(&spare_lock);
}

static shout_t *shout_make(const struct link *l, bool waits)
{
	const struct relay_url *url = &l->r->url;
	const struct format *f = format_of(l->mime);
	shout_t *shout = spare_take();
	bool ok = shout && f && shout_set_host(shout, url->host) == SHOUTERR_SUCCESS &&
		  shout_set_port(shout, url->port) == SHOUTERR_SUCCESS &&
		  shout_set_protocol(shout, SHOUT_PROTOCOL_HTTP) == SHOUTERR_SUCCESS &&
		  shout_set_user(shout, url->user) == SHOUTERR_SUCCESS &&
		  shout_set_password(shout, url->password) == SHOUTERR_SUCCESS &&
		  shout_set_mount(shout, l->mount) == SHOUTERR_SUCCESS &&
		  shout_set_agent(shout, l->r->agent) == SHOUTERR_SUCCESS &&
		  shout_set_meta(shout, SHOUT_META_NAME, *l->name ? l->name : "no name") == SHOUTERR_SUCCESS &&
		  shout_set_content_format(shout, f->format, f->usage, NULL) == SHOUTERR_SUCCESS &&
		  shout_set_nonblocking(shout, waits ? SHOUT_BLOCKING_FULL : SHOUT_BLOCKING_NONE) == SHOUTERR_SUCCESS;
	if (ok)
		return shout;
	spare_put(shout);
	return NULL;
}

static void fail(struct link *l, const char *why)
{
	state_set(l, RELAY_FAILED, why);
}

static bool connect_shout(struct link *l)
{
	uint64_t until = clock_ms() + LIMIT_RELAY_CONNECT_MS;
	state_set(l, RELAY_CONNECTING, NULL);
	l->shout = shout_make(l, false);
	if (!l->shout) {
		fail(l, "out of memory");
		return false;
	}
	int result = shout_open(l->shout);
	while (result == SHOUTERR_BUSY) {
		if (clock_ms() > until) {
			fail(l, "no answer");
			return false;
		}
		if (!rest(l, STEP_MS))
			return false;
		result = shout_get_connected(l->shout);
	}
	if (result != SHOUTERR_SUCCESS && result != SHOUTERR_CONNECTED) {
		fail(l, shout_get_error(l->shout));
		return false;
	}
	state_set(l, RELAY_SENDING, NULL);
	return true;
}

/* On a connection of its own, which may take as long as the network likes. What an Icecast does not want of it harms
 * nobody. */
static void title_send(struct link *l, const char *title)
{
	shout_t *shout = shout_make(l, true);
	shout_metadata_t *metadata = shout_metadata_new();
	if (shout && metadata && shout_metadata_add(metadata, "song", title) == SHOUTERR_SUCCESS)
		(void)!shout_set_metadata_utf8(shout, metadata);
	if (metadata)
		shout_metadata_free(metadata);
	spare_put(shout);
}

struct piece {
	uint8_t data[PIECE_BYTES];
	size_t len;
	char title[LIMIT_TITLE_BYTES + 1];
	bool titled, last;
};

/* What is next; false when this link is to end. */
static bool piece_take(struct link *l, bool idle, struct piece *out)
{
	struct relay *r = l->r;
	pthread_mutex_lock(&r->lock);
	while (idle && current(l) && r->len == 0 && !r->titled && !r->draining)
		pthread_cond_wait(&r->news, &r->lock);
	out->len = r->len < PIECE_BYTES ? r->len : PIECE_BYTES;
	for (size_t done = 0; done < out->len;) {
		size_t run = LIMIT_RELAY_QUEUE_BYTES - r->at;
		if (run > out->len - done)
			run = out->len - done;
		memcpy(out->data + done, r->queue + r->at, run);
		r->at = (r->at + run) % LIMIT_RELAY_QUEUE_BYTES;
		r->len -= run;
		done += run;
	}
	out->titled = r->titled;
	memcpy(out->title, r->title, sizeof out->title);
	r->titled = false;
	out->last = r->draining && r->len == 0;
	bool go_on = current(l);
	pthread_mutex_unlock(&r->lock);
	return go_on;
}

/* Gives libshout what it may still hold; false when nothing more can be sent. */
static bool flush(struct link *l, ssize_t *queued, uint64_t *progress_ms)
{
	static const unsigned char none[1];
	bool lives = shout_send_raw(l->shout, none, 0) >= 0; /* where an error of the send before comes out */
	ssize_t now = shout_queuelen(l->shout);
	if (now < *queued || now == 0)
		*progress_ms = clock_ms();
	*queued = now;
	if (!lives || shout_get_connected(l->shout) != SHOUTERR_CONNECTED)
		fail(l, shout_get_error(l->shout));
	else if (clock_ms() - *progress_ms > LIMIT_LISTEN_STALL_MS)
		fail(l, "it takes no more");
	else
		return true;
	return false;
}

static void send_all(struct link *l)
{
	static _Thread_local struct piece piece;
	ssize_t queued = 0;
	uint64_t progress_ms = clock_ms();
	for (;;) {
		if (queued > 0) { /* the socket is full: our own queue is to fill, not libshout's */
			if (!rest(l, STEP_MS) || !flush(l, &queued, &progress_ms))
				return;
			continue;
		}
		if (!piece_take(l, true, &piece))
			return;
		if (piece.titled && format_of(l->mime)->titles)
			title_send(l, piece.title);
		if (piece.len > 0 && shout_send_raw(l->shout, piece.data, piece.len) < 0) {
			fail(l, shout_get_error(l->shout));
			return;
		}
		if (!flush(l, &queued, &progress_ms))
			return;
		if (piece.last && queued <= 0) {
			state_set(l, RELAY_IDLE, NULL);
			return;
		}
	}
}

/* The stream that is wanted next; false: the end. */
static bool wish_take(struct link *l)
{
	struct relay *r = l->r;
	pthread_mutex_lock(&r->lock);
	while (!r->quit && (!r->wanted || r->turn == l->turn))
		pthread_cond_wait(&r->news, &r->lock);
	l->turn = r->turn;
	memcpy(l->mount, r->mount, sizeof l->mount);
	memcpy(l->mime, r->mime, sizeof l->mime);
	memcpy(l->name, r->name, sizeof l->name);
	bool go_on = !r->quit;
	pthread_mutex_unlock(&r->lock);
	return go_on;
}

static void release(struct relay *r)
{
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->news);
	explicit_bzero(&r->url, sizeof r->url);
	free(r->queue);
	free(r);
}

static void *run(void *arg)
{
	struct link l = { .r = arg };
	sigset_t pipes; /* libshout writes to sockets that may have closed */
	sigemptyset(&pipes);
	sigaddset(&pipes, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipes, NULL);
	while (wish_take(&l)) {
		if (connect_shout(&l))
			send_all(&l);
		spare_put(l.shout);
		l.shout = NULL;
	}
	release(l.r);
	return NULL;
}

/* --- the loop --- */

static pthread_once_t shout_once = PTHREAD_ONCE_INIT;

enum err relay_new(const struct relay_url *url, const char *agent, struct relay **out)
{
	pthread_condattr_t attributes;
	struct relay *r = calloc(1, sizeof *r);
	*out = NULL;
	if (!r || !(r->queue = malloc(LIMIT_RELAY_QUEUE_BYTES))) {
		free(r);
		return ERR_NO_MEMORY;
	}
	pthread_once(&shout_once, shout_init);
	r->url = *url;
	r->agent = agent;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&r->news, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_t thread;
	if (pthread_create(&thread, NULL, run, r) != 0) {
		release(r);
		return ERR_INTERNAL;
	}
	pthread_detach(thread);
	*out = r;
	return ERR_OK;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->quit = true;
	pthread_cond_signal(&r->news);
	pthread_mutex_unlock(&r->lock);
}

void relay_begin(struct relay *r, const char *mount, const char *mime, const char *name)
{
	assert(relay_takes(mime));
	pthread_mutex_lock(&r->lock);
	r->turn++;
	r->wanted = true;
	r->draining = r->titled = false;
	r->state = RELAY_CONNECTING;
	r->at = r->len = 0;
	snprintf(r->mount, sizeof r->mount, "%s", mount);
	snprintf(r->mime, sizeof r->mime, "%s", mime);
	snprintf(r->name, sizeof r->name, "%s", name ? name : "");
	pthread_cond_signal(&r->news);
	pthread_mutex_unlock(&r->lock);
}

size_t relay_feed(struct relay *r, const void *data, size_t len)
{
	const uint8_t *from = data;
	pthread_mutex_lock(&r->lock);
	size_t room = r->wanted && !r->draining ? LIMIT_RELAY_QUEUE_BYTES - r->len : 0;
	if (len > room)
		len = room;
	for (size_t done = 0; done < len;) {
		size_t to = (r->at + r->len) % LIMIT_RELAY_QUEUE_BYTES, run = LIMIT_RELAY_QUEUE_BYTES - to;
		if (run > len - done)
			run = len - done;
		memcpy(r->queue + to, from + done, run);
		r->len += run;
		done += run;
	}
	if (len > 0)
		pthread_cond_signal(&r->news);
	pthread_mutex_unlock(&r->lock);
	return len;
}

void relay_title(struct relay *r, const char *title)
{
	pthread_mutex_lock(&r->lock);
	snprintf(r->title, sizeof r->title, "%s", title);
	r->titled = true;
	pthread_cond_signal(&r->news);
	pthread_mutex_unlock(&r->lock);
}

void relay_end(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->state == RELAY_SENDING || (r->state == RELAY_CONNECTING && r->len > 0)) {
		r->draining = true;
	} else {
		r->wanted = false;
		r->len = 0;
		r->state = RELAY_IDLE;
	}
	pthread_cond_signal(&r->news);
	pthread_mutex_unlock(&r->lock);
}

enum relay_state relay_state(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
	enum relay_state state = r->state;
	pthread_mutex_unlock(&r->lock);
	return state;
}

void relay_why(struct relay *r, char out[RELAY_WHY])
{
	pthread_mutex_lock(&r->lock);
	memcpy(out, r->why, RELAY_WHY);
	pthread_mutex_unlock(&r->lock);
}
