/* What a running server answers at its control.sock, see answers.h. */
#include "answers.h"

#include "proto/problem.h"
#include "token_requests.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What waits behind the takes, and what went wrong last. */
static json_t *work_json(const struct engine_status *e)
{
	json_t *work = json_pack("{s:i, s:i}", "workers", (int)e->workers, "workersAlive", (int)e->workers_alive);
	for (int kind = 0; kind < JOB_KIND_COUNT; kind++) {
		const struct engine_queue *q = &e->queues[kind];
		json_object_set_new(work, job_kind_name((enum job_kind)kind),
				    json_pack("{s:i, s:i, s:i, s:i, s:I}", "queued", (int)q->queued, "running",
					      (int)q->running, "failed", (int)q->failed, "parked", (int)q->parked,
					      "oldestMs", (json_int_t)q->oldest_ms));
	}
	const struct job_info *t = e->trouble;
	if (t) {
		char id[UUID_TEXT];
		uuid_format(&t->recording, id);
		json_object_set_new(work, "lastError",
				    json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "kind", job_kind_name(t->kind), "state",
					      job_state_name(t->state), "id", id, "code", err_code(t->error), "message",
					      t->error_message ? t->error_message : err_text(t->error), "at",
					      (json_int_t)t->not_before_ms));
	}
	return work;
}

/* Null where nobody is asked. */
static json_t *authority_json(const struct engine_authority_figures *a)
{
	if (!a->used)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:i}", "asked", (json_int_t)a->asked, "failed", (json_int_t)a->failed,
			 "refused", (json_int_t)a->refused, "cached", (json_int_t)a->cached, "waiting",
			 (int)a->waiting);
}

static void answer_status(const struct answers *a, struct control_call *call)
{
	struct engine_status e;
	struct buf text;
	engine_status(a->engine, &e);
	json_t *figures = json_pack("{s:b, s:s, s:s, s:I, s:I, s:I}", "ok", 1, "version", HOLDFAST_VERSION, "listen",
				    a->at, "pid", (json_int_t)getpid(), "uptimeMs",
				    (json_int_t)(net_now(a->net).mono_ms - a->started_ms), "connections",
				    (json_int_t)net_connections(a->net));
	json_t *more =
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "attached", (json_int_t)e.attached,
			  "takes", (json_int_t)e.takes, "bytesReceived", (json_int_t)e.bytes_received, "bytesDurable",
			  (json_int_t)e.bytes_durable, "freeBytes", (json_int_t)e.free_bytes, "totalBytes",
			  (json_int_t)e.total_bytes, "reserveBytes", (json_int_t)e.reserve_bytes, "memoryUsed",
			  (json_int_t)e.memory_used, "memoryBytes", (json_int_t)e.memory_bytes, "paused", e.paused);
	buf_init(&text);
	if (figures && more && json_object_update(figures, more) == 0 &&
	    json_object_set_new(figures, "work", work_json(&e)) == 0 &&
	    json_object_set_new(figures, "authority", authority_json(&e.authority)) == 0)
		json_format(&text, figures);
	json_decref(figures);
	json_decref(more);
	if (text.len > 0) {
		text.data[--text.len] = '\0'; /* the object goes on */
		buf_add_text(&text, ",\"recordings\":");
		engine_unfinished(a->engine, LIMIT_STATUS_TAKES, &text);
		buf_add_text(&text, "}");
	}
	if (text.len > 0 && !text.failed)
		control_answer(call, text.data, text.len);
	else
		control_answer_json(call, NULL);
	buf_release(&text);
}

static void on_answer(void *arg, json_t *answer)
{
	control_answer_json(arg, answer);
}

/* What the authority said is forgotten, and who works under it is cut off. */
struct forgetting {
	const struct answers *answers;
	struct control_call *call;
	unsigned count;
};

static void on_forgotten(void *arg, enum err err, const char *token_id)
{
	struct forgetting *f = arg;
	if (token_id) {
		f->count++;
		if (f->answers->net)
			net_revoke(f->answers->net, token_id);
		return;
	}
	control_answer_json(f->call, err ? refusal_json(err, NULL)
					 : json_pack("{s:b, s:i}", "ok", 1, "forgotten", (int)f->count));
	free(f);
}

static void answer_forget(const struct answers *a, struct control_call *call, const json_t *request)
{
	const json_t *value = json_object_get(request, "subject");
	const char *subject = json_string_value(value);
	bool fine = json_object_size(request) == 1 + (value != NULL) &&
		    (!value || (subject && strlen(subject) == json_string_length(value)));
	struct forgetting *f = fine ? calloc(1, sizeof *f) : NULL;
	if (!f) {
		control_answer_json(call, fine ? NULL : refusal_json(ERR_BAD_FIELD, NULL));
		return;
	}
	*f = (struct forgetting){ .answers = a, .call = call };
	engine_authority_forget(a->engine, subject, on_forgotten, f);
}

void answers_ask(void *arg, struct control_call *call, const json_t *request)
{
	const struct answers *a = arg;
	const char *what = json_string_value(json_object_get(request, "do"));
	if (!a->net)
		control_answer_json(call, refusal_json(ERR_SHUTTING_DOWN, NULL));
	else if (what && strcmp(what, "token.forget") == 0)
		answer_forget(a, call, request);
	else if (what && token_request_is(what))
		token_request(a->auth, request, net_now(a->net).wall_ms, on_answer, call);
	else if (what && strcmp(what, "status") == 0 && json_object_size(request) == 1)
		answer_status(a, call);
	else
		control_answer_json(call, refusal_json(ERR_UNKNOWN_TYPE, "This request is unknown."));
}
