/* Workers as processes, see worker_process.h.
 *
 * A run is one process, from its start to its end: four handles on the loop (its socket, what it writes to standard
 * error, its pidfd, a timer). Its end is seen at its pidfd, at once and whatever was the cause; what it had said until
 * then is heard first, then comes GONE. Nothing is killed by a number that could be another's: it is reaped only there.
 *
 * A worker that has seen media is taken to be its maker's: what it says is bounded in size, number and range, judged
 * (worker_judge.c), and one wrong word is its last. */
#include "base/log.h"
#include "work/worker_private.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_PIECE = 4096, TAIL_KEPT = 2 * LIMIT_WORKER_TAIL_BYTES };

struct workers_process {
	struct workers workers;
	struct workers_config config;
	char *program;
	struct run **slots;
	unsigned runs; /* with handles on the loop */
	bool lacking;  /* what the sandbox lacks was logged */
	bool closing;
	uv_timer_t anchor; /* makes `closed` come from the loop */
	bool anchor_closed;
	void (*closed)(void *arg);
	void *arg;
};

struct run {
	struct workers_process *p;
	unsigned slot, handles;
	bool spawned, kicked; /* kicked: it was sent a SIGKILL */
	bool reaped;	      /* its number may be another's now */
	bool leaving;	      /* it has little time left for that */
	bool mute;	      /* its end of the socket is closed: it ends by itself, or not */
	bool dropped;	      /* the engine wants to hear of its end only */
	struct worker_child child;
	uv_poll_t socket, said, end;
	uv_timer_t timer;
	struct worker_state state;
	char id[UUID_TEXT]; /* of its job, which may be the caller's no more once it has finished */
	uint32_t revision;
	uint64_t max_ms;
	enum err reason; /* why it is ended, when that is known before */
	char message[512];
	char tail[TAIL_KEPT]; /* the newest of what it wrote */
	size_t tail_len, said_bytes;
	uint64_t started_ms, events;
};

static struct workers_process *process_of(struct workers *w)
{
	return (struct workers_process *)(void *)w;
}

static void emit(struct run *r, const struct worker_event *event)
{
	struct workers *w = &r->p->workers;
	if (!r->p->closing && w->event)
		w->event(w->arg, r->slot, event);
}

static void kick(struct run *r, const char *why)
{
	if (!r->spawned || r->kicked || r->reaped)
		return;
	r->kicked = true;
	log_event(r->state.job ? LOG_INFO : LOG_DEBUG, "worker_killed", "pid", log_number((unsigned)r->child.pid),
		  "why", why, NULL);
	kill(r->child.pid, SIGKILL);
}

/* The first reason counts, and none against what it has finished. */
__attribute__((format(printf, 3, 4))) static void blame(struct run *r, enum err err, const char *format, ...)
{
	if (r->reason != ERR_OK || r->state.finished)
		return;
	va_list args;
	r->reason = err;
	va_start(args, format);
	vsnprintf(r->message, sizeof r->message, format, args);
	va_end(args);
}

/* A wrong word. One that has seen no media yet is ill, not hostile, and the medium it may be given next is not to
 * blame. */
static void distrust(struct run *r, const char *what, const char *detail)
{
	blame(r, r->state.job ? ERR_MEDIA_UNREADABLE : ERR_WORKER_DIED, "The worker could no longer be trusted. %s%s",
	      what, detail);
	kick(r, what);
}

/* Its end */

static void maybe_closed(struct workers_process *p)
{
	if (!p->anchor_closed || p->runs > 0)
		return;
	void (*closed)(void *arg) = p->closed;
	void *arg = p->arg;
	free(p->slots);
	free(p->program);
	free(p);
	closed(arg);
}

static void on_anchor_closed(uv_handle_t *handle)
{
	struct workers_process *p = handle->data;
	p->anchor_closed = true;
	maybe_closed(p);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct run *r = handle->data;
	struct workers_process *p = r->p;
	if (--r->handles > 0)
		return;
	if (r->spawned) {
		close(r->child.socket);
		close(r->child.said);
		close(r->child.pidfd);
	}
	free(r);
	p->runs--;
	maybe_closed(p);
}

static void run_release(struct run *r)
{
	uv_close((uv_handle_t *)&r->timer, on_handle_closed);
	if (!r->spawned)
		return;
	uv_close((uv_handle_t *)&r->socket, on_handle_closed);
	uv_close((uv_handle_t *)&r->said, on_handle_closed);
	uv_close((uv_handle_t *)&r->end, on_handle_closed);
}

static void log_end(const struct run *r, enum err err, const char *said)
{
	if (err == ERR_OK || !r->state.job) /* without a job it is the engine that tells of it */
		log_event(LOG_DEBUG, "worker_gone", "pid", log_number((unsigned)r->child.pid), "id", r->id, NULL);
	else
		log_event(LOG_WARN, "worker_failed", "pid", log_number((unsigned)r->child.pid), "id", r->id, "revision",
			  log_number(r->revision), "code", err_code(err), "why", r->message, "said", said, NULL);
}

/* Why it is gone: nothing to tell of one that was idle, or had finished. */
static enum err run_verdict(struct run *r, int status)
{
	if (r->state.finished)
		return r->reason; /* of a WORKER_FAILED, or a wrong word at the end */
	if (!r->state.job && (r->dropped || (r->state.ready && r->reason == ERR_OK)))
		return ERR_OK;
	if (r->dropped)
		blame(r, ERR_WORKER_DIED, "The server ended the worker.");
	if (r->reason == ERR_OK && r->state.job)
		r->reason = worker_death(status, r->message, sizeof r->message);
	blame(r, ERR_WORKER_DIED, "The worker ended before it was ready.");
	return r->reason;
}

/* The slot is free when the engine hears of it. */
static void run_gone(struct run *r, int status)
{
	char said[LIMIT_WORKER_TAIL_BYTES + 1];
	enum err err = run_verdict(r, status);
	worker_tail(r->tail, r->tail_len, said);
	log_end(r, err, said);
	size_t len = strlen(r->message);
	if (err != ERR_OK && !r->state.finished && said[0])
		snprintf(r->message + len, sizeof r->message - len, " It last said: %s", said);
	r->p->slots[r->slot] = NULL;
	run_release(r);
	emit(r,
	     &(struct worker_event){ .type = WORKER_GONE, .err = err, .message = err == ERR_OK ? NULL : r->message });
}

/* What it says */

static void heed(struct run *r, struct wire_event *e)
{
	bool was_ready = r->state.ready;
	const char *wrong = worker_judge(&r->state, e, r->p->config.file_fd);
	if (wrong) {
		distrust(r, wrong, "");
		return;
	}
	if (e->event.type == WORKER_READY && !was_ready) {
		uv_timer_stop(&r->timer);
		log_event(LOG_DEBUG, "worker_started", "pid", log_number((unsigned)r->child.pid), NULL);
		if (e->lacks[0] && !r->p->lacking)
			log_event(LOG_WARN, "worker_sandbox_lacks", "what", e->lacks, NULL);
		r->p->lacking = r->p->lacking || e->lacks[0];
	}
	if (e->event.type == WORKER_READY && r->state.job)
		return; /* a late answer: it has been given its job meanwhile */
	if (e->event.type == WORKER_FAILED) {
		r->reason = e->event.err;
		snprintf(r->message, sizeof r->message, "%s", e->message);
	}
	emit(r, &e->event);
}

/* One message; false: there is none now, or there will be none. */
static bool hear(struct run *r)
{
	static char text[LIMIT_WORKER_EVENT_BYTES];
	struct iovec piece = { .iov_base = text, .iov_len = sizeof text };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	struct wire_event e;
	const char *why;
	ssize_t len = recvmsg(r->child.socket, &message, MSG_DONTWAIT);
	if (len < 0)
		return errno == EINTR || errno == ECONNRESET; /* reset: it left pings unread; its words come behind */
	if (len == 0) {
		r->mute = true;
		uv_poll_stop(&r->socket);
		return false;
	}
	if (r->dropped || r->kicked)
		return true; /* its word counts no longer */
	uint64_t allowed = LIMIT_WORKER_EVENTS_S * (2 + (uv_now(r->p->config.loop) - r->started_ms) / 1000);
	if (++r->events > allowed)
		distrust(r, "It talks without end.", "");
	else if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		distrust(r, "It sent what is too large.", "");
	else if (wire_event_parse(text, (size_t)len, &e, &why) != ERR_OK)
		distrust(r, "It sent a wrong message. ", why);
	else {
		heed(r, &e);
		wire_event_release(&e);
	}
	return true;
}

static void on_timer(uv_timer_t *timer)
{
	struct run *r = timer->data;
	if (!r->spawned) {
		run_gone(r, 0);
		return;
	}
	/* we may be late ourselves: what it said in time counts */
	for (unsigned i = 0; i < LIMIT_WORKER_EVENTS_TURN && hear(r); i++) {
	}
	if (r->mute && !r->state.finished)
		distrust(r, "It closed its connection.", "");
	if (r->state.job)
		blame(r, ERR_MEDIA_LIMIT, "The media needs more than the %llu s that a worker may take.",
		      (unsigned long long)(r->max_ms / 1000));
	blame(r, ERR_WORKER_DIED, "The worker was not ready within %d s.", LIMIT_PROCESS_START_MS / 1000);
	kick(r, "its time is over");
}

static void on_socket(uv_poll_t *handle, int status, int events)
{
	struct run *r = handle->data;
	for (unsigned i = 0; i < LIMIT_WORKER_EVENTS_TURN && hear(r); i++) {
	}
	bool leaving = r->mute || r->state.finished;
	if (leaving && !r->leaving)
		uv_timer_start(&r->timer, on_timer, LIMIT_PROCESS_EXIT_MS, 0);
	r->leaving = leaving;
}

/* A piece of what it wrote to its standard error; false: there is none. */
static bool read_said(struct run *r)
{
	char piece[SAID_PIECE];
	ssize_t got = read(r->child.said, piece, sizeof piece);
	if (got <= 0) {
		if (got == 0)
			uv_poll_stop(&r->said);
		return false;
	}
	size_t len = (size_t)got, kept = len < TAIL_KEPT ? len : TAIL_KEPT;
	size_t old = r->tail_len + kept > TAIL_KEPT ? TAIL_KEPT - kept : r->tail_len;
	memmove(r->tail, r->tail + r->tail_len - old, old);
	memcpy(r->tail + old, piece + len - kept, kept);
	r->tail_len = old + kept;
	r->said_bytes += len;
	if (r->said_bytes > LIMIT_WORKER_SAID_BYTES)
		distrust(r, "It writes without end.", "");
	return true;
}

static void on_said(uv_poll_t *handle, int status, int events)
{
	(void)read_said(handle->data);
}

static void on_end(uv_poll_t *handle, int status, int events)
{
	struct run *r = handle->data;
	int how = 0;
	pid_t got = waitpid(r->child.pid, &how, WNOHANG);
	if (got == 0 || (got < 0 && errno == EINTR))
		return;
	uv_poll_stop(&r->end);
	/* both are bounded by what the system had kept of them */
	while (hear(r)) {
	}
	while (read_said(r)) {
	}
	run_gone(r, how);
}

/* The engine's side */

static void process_start(struct workers *w, unsigned slot)
{
	struct workers_process *p = process_of(w);
	assert(slot < p->config.slots && !p->slots[slot] && !p->closing);
	struct run *r = calloc(1, sizeof *r);
	assert(r);
	uv_update_time(p->config.loop);
	*r = (struct run){ .p = p, .slot = slot, .handles = 1, .started_ms = uv_now(p->config.loop) };
	p->slots[slot] = r;
	p->runs++;
	uv_timer_init(p->config.loop, &r->timer);
	r->timer.data = r->socket.data = r->said.data = r->end.data = r;
	int failed = worker_spawn(p->program, &r->child);
	if (failed) {
		blame(r, ERR_WORKER_DIED, "The worker %s could not be started: %s.", p->program, strerror(failed));
		uv_timer_start(&r->timer, on_timer, 0, 0);
		return;
	}
	r->spawned = true;
	r->handles += 3;
	uv_poll_init(p->config.loop, &r->socket, r->child.socket);
	uv_poll_init(p->config.loop, &r->said, r->child.said);
	uv_poll_init(p->config.loop, &r->end, r->child.pidfd);
	uv_poll_start(&r->socket, UV_READABLE, on_socket);
	uv_poll_start(&r->said, UV_READABLE, on_said);
	uv_poll_start(&r->end, UV_READABLE, on_end);
	uv_timer_start(&r->timer, on_timer, LIMIT_PROCESS_START_MS, 0);
}

/* Sent or not: one that does not read does not answer, which is what is asked. */
static void process_ping(struct workers *w, unsigned slot)
{
	struct run *r = process_of(w)->slots[slot];
	assert(r && r->state.ready && !r->state.job);
	if (send(r->child.socket, WIRE_PING, sizeof WIRE_PING - 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		r->state.pings++;
}

static void process_give(struct workers *w, unsigned slot, const struct worker_job *job)
{
	struct workers_process *p = process_of(w);
	struct run *r = p->slots[slot];
	assert(r && r->state.ready && !r->state.job);
	r->state.job = job;
	r->revision = job->revision;
	r->max_ms = job->max_ms;
	uuid_format(&job->recording, r->id);
	int failed = worker_hand_over(r->child.socket, job, p->config.file_fd);
	/* one that is dead already will be seen to be, with its cause */
	if (failed && failed != EPIPE && failed != ECONNRESET) {
		blame(r, failed == ENOMEM ? ERR_NO_MEMORY : ERR_READ_FAILED,
		      "The worker could not be given its files: %s.", strerror(failed));
		kick(r, "it could not be given its files");
	}
	uv_update_time(p->config.loop);
	r->started_ms = uv_now(p->config.loop);
	r->events = 0;
	uv_timer_start(&r->timer, on_timer, job->max_ms, 0);
}

static void process_kill(struct workers *w, unsigned slot)
{
	struct run *r = process_of(w)->slots[slot];
	if (!r)
		return;
	r->dropped = true;
	kick(r, "the server wants it so");
}

static const struct workers_ops process_ops = { process_start, process_ping, process_give, process_kill };

enum err workers_process_new(const struct workers_config *config, struct workers **out)
{
	struct workers_process *p = calloc(1, sizeof *p);
	*out = NULL;
	if (!p)
		return ERR_NO_MEMORY;
	p->workers.ops = &process_ops;
	p->config = *config;
	p->program = strdup(config->program);
	p->config.program = p->program;
	p->slots = calloc(config->slots + 1, sizeof(struct run *));
	if (!p->program || !p->slots) {
		free(p->program);
		free(p->slots);
		free(p);
		return ERR_NO_MEMORY;
	}
	uv_timer_init(config->loop, &p->anchor);
	p->anchor.data = p;
	*out = &p->workers;
	return ERR_OK;
}

void workers_process_close(struct workers *w, void (*closed)(void *arg), void *arg)
{
	if (!w)
		return;
	struct workers_process *p = process_of(w);
	p->closing = true;
	p->closed = closed;
	p->arg = arg;
	for (unsigned i = 0; i < p->config.slots; i++)
		if (p->slots[i])
			process_kill(w, i);
	uv_close((uv_handle_t *)&p->anchor, on_anchor_closed);
}
