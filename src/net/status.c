/* What operators ask: alive, ready, and the figures as Prometheus text. */
#include "net/private.h"

#include <inttypes.h>

static void text_answer(struct request *r, int status, const char *text)
{
	request_answer(r, &(struct answer){ .status = status,
					    .type = "text/plain; charset=utf-8",
					    .headers = "Cache-Control: no-store\r\n",
					    .body = text,
					    .len = strlen(text) });
}

void health_run(struct request *r)
{
	text_answer(r, 200, "ok\n");
}

void ready_run(struct request *r)
{
	if (r->net->listening && r->net->stop == NET_RUNNING)
		text_answer(r, 200, "ready\n");
	else
		request_problem(r, ERR_SHUTTING_DOWN, NULL, NULL);
}

struct figure {
	const char *name, *type, *help;
	uint64_t value;
};

static void queues_format(struct buf *out, const struct engine_status *s)
{
	buf_add_text(out, "# HELP holdfast_jobs Work after the take, by what it is and how it stands.\n"
			  "# TYPE holdfast_jobs gauge\n");
	for (int i = 0; i < JOB_KIND_COUNT; i++) {
		const struct engine_queue *q = &s->queues[i];
		const struct {
			enum job_state state;
			unsigned count;
		} states[] = { { JOB_QUEUED, q->queued },
			       { JOB_RUNNING, q->running },
			       { JOB_FAILED, q->failed },
			       { JOB_PARKED, q->parked } };
		for (size_t k = 0; k < sizeof states / sizeof *states; k++)
			buf_addf(out, "holdfast_jobs{kind=\"%s\",state=\"%s\"} %u\n", job_kind_name((enum job_kind)i),
				 job_state_name(states[k].state), states[k].count);
	}
	buf_add_text(out, "# HELP holdfast_jobs_oldest_seconds How long the first queued one has waited.\n"
			  "# TYPE holdfast_jobs_oldest_seconds gauge\n");
	for (int i = 0; i < JOB_KIND_COUNT; i++)
		buf_addf(out, "holdfast_jobs_oldest_seconds{kind=\"%s\"} %.3f\n", job_kind_name((enum job_kind)i),
			 (double)s->queues[i].oldest_ms / 1000);
}

void metrics_run(struct request *r)
{
	struct engine_status s = { 0 };
	const struct net *n = r->net;
	if (!(r->grant.scopes & SCOPE_ADMIN)) {
		request_problem(r, ERR_FORBIDDEN_SCOPE, NULL, NULL);
		return;
	}
	engine_status(n->engine, &s);
	const struct figure figures[] = {
		{ "sockets", "gauge", "Open connections of any kind.", n->peer_count },
		{ "websockets", "gauge", "Open WebSocket connections.", n->ws_count },
		{ "websockets_opened_total", "counter", "WebSocket connections since the start.", n->ws_opened },
		{ "sources", "gauge", "Sources at --source-listen that are on air.", n->mount_count },
		{ "sources_opened_total", "counter", "Sources that went on air since the start.", n->mounts_opened },
		{ "sources_refused_total", "counter", "Requests of sources with a wrong password.",
		  n->sources_refused },
		{ "downloads", "gauge", "Downloads at work.", n->readers },
		{ "event_streams", "gauge", "Clients that follow the events.", n->streams },
		{ "listeners", "gauge", "Who listens to shows.", n->hearer_count },
		{ "listeners_total", "counter", "Who listened to shows since the start.", n->heard },
		{ "listeners_dropped_total", "counter", "Of them: took nothing any more.", n->hearers_lost },
		{ "listened_bytes_total", "counter", "Sent to them since the start.", n->heard_bytes },
		{ "workers", "gauge", "Workers that there are to be.", s.workers },
		{ "workers_alive", "gauge", "Workers that live.", s.workers_alive },
		{ "attached", "gauge", "Connections attached to a track.", s.attached },
		{ "takes", "gauge", "Unfinished takes in memory.", s.takes },
		{ "memory_used_bytes", "gauge", "Media that waits in memory.", s.memory_used },
		{ "memory_limit_bytes", "gauge", "What --memory allows.", s.memory_bytes },
		{ "received_bytes_total", "counter", "Media received since the start.", s.bytes_received },
		{ "durable_bytes_total", "counter", "Media made durable since the start.", s.bytes_durable },
		{ "free_bytes", "gauge", "Free space of the data directory.", s.free_bytes },
		{ "reserve_bytes", "gauge", "Free space that is kept.", s.reserve_bytes },
		{ "checkpoints_total", "counter", "Checkpoints since the start.", s.checkpoints },
		{ "authority_asked_total", "counter", "Questions to --auth-url since the start.", s.authority.asked },
		{ "authority_failed_total", "counter", "Of them: failed, or never asked because of too many.",
		  s.authority.failed },
		{ "authority_refused_total", "counter", "Of them: answered no.", s.authority.refused },
		{ "authority_cached_total", "counter", "Tokens whose answer was known.", s.authority.cached },
		{ "authority_waiting", "gauge", "Tokens that wait for an answer.", s.authority.waiting },
		{ "reading_paused", "gauge", "1 while reading stands still for all.", s.paused },
	};
	struct buf text;
	buf_init(&text);
	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
		const struct figure *f = &figures[i];
		buf_addf(&text, "# HELP holdfast_%s %s\n# TYPE holdfast_%s %s\nholdfast_%s %" PRIu64 "\n", f->name,
			 f->help, f->name, f->type, f->name, f->value);
	}
	queues_format(&text, &s);
	if (text.failed)
		request_problem(r, ERR_NO_MEMORY, NULL, NULL);
	else
		request_answer(r, &(struct answer){ .status = 200,
						    .type = "text/plain; version=0.0.4; charset=utf-8",
						    .headers = "Cache-Control: no-store\r\n",
						    .body = text.data,
						    .len = text.len });
	buf_release(&text);
}
