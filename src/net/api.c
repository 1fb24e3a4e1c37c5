/* Recordings over HTTP: list, state, register, rename, delete, complete. The engine makes the JSON; here it gets its
 * status. */
#include "net/private.h"

#include "proto/message.h"
#include "proto/problem.h"

#include <stdlib.h>
#include <string.h>

/* What a problem of the engine's says itself, else what the error does: the status, and when to come back. */
static int problem_read(enum err err, struct iovec json, char retry[40])
{
	const char *detail;
	json_t *problem = NULL;
	uint64_t seconds, status;
	int answer = err_status(err);
	snprintf(retry, 40, "%s", retry_after(err));
	if (!json.iov_base || json_read(json.iov_base, json.iov_len, &problem, &detail) != ERR_OK)
		return answer;
	if (json_count(json_object_get(problem, "retryAfter"), &seconds) && seconds > 0)
		snprintf(retry, 40, "Retry-After: %llu\r\n", (unsigned long long)seconds);
	if (json_count(json_object_get(problem, "status"), &status) && status >= 400 && status < 600)
		answer = (int)status;
	json_decref(problem);
	return answer;
}

/* `status`: of what went well. */
static void json_answer(struct request *r, int status, enum err err, struct iovec json)
{
	r->pending = false;
	if (!r->peer) {
		request_settle(r);
		return;
	}
	char headers[80], retry[40] = "";
	if (err != ERR_OK)
		status = problem_read(err, json, retry);
	snprintf(headers, sizeof headers, "Cache-Control: no-store\r\n%s", retry);
	if (err != ERR_OK && !json.iov_base)
		request_problem(r, err, NULL, NULL);
	else
		request_answer(r, &(struct answer){ .status = status,
						    .type = !json.iov_base  ? NULL
							    : err == ERR_OK ? "application/json"
									    : "application/problem+json",
						    .headers = headers,
						    .body = json.iov_base,
						    .len = json.iov_len });
}

void api_json(struct request *r, int status, enum err err, const char *json, size_t len)
{
	json_answer(r, status, err, (struct iovec){ (void *)(uintptr_t)json, len });
}

/* Most questions to the engine end here. */
void api_answered(void *arg, enum err err, const char *json, size_t len)
{
	json_answer(arg, json ? 200 : 204, err, (struct iovec){ (void *)(uintptr_t)json, len });
}

static struct engine_ref ref_of(const struct request *r)
{
	return (struct engine_ref){ .text = r->id, .grant = &r->grant };
}

void api_get(struct request *r)
{
	r->pending = true;
	engine_get(r->net->engine, ref_of(r), api_answered, r);
}

void api_delete(struct request *r)
{
	r->pending = true;
	engine_delete(r->net->engine, ref_of(r), api_answered, r);
}

void api_list(struct request *r)
{
	char *search = NULL, *phase = NULL, *before = NULL, *show = NULL, *batch = NULL;
	const char *query = r->head.query;
	enum err err;
	if ((err = http_query_get(query, "search", &search)) == ERR_OK &&
	    (err = http_query_get(query, "phase", &phase)) == ERR_OK &&
	    (err = http_query_get(query, "before", &before)) == ERR_OK &&
	    (err = http_query_get(query, "show", &show)) == ERR_OK &&
	    (err = http_query_get(query, "batch", &batch)) == ERR_OK) {
		struct engine_query q = { .grant = &r->grant,
					  .search = search && *search ? search : NULL,
					  .phase = phase && *phase ? phase : NULL,
					  .before = before && *before ? before : NULL,
					  .show = show && *show ? show : NULL,
					  .batch = batch && *batch ? batch : NULL };
		r->pending = true;
		engine_list(r->net->engine, &q, api_answered, r);
	} else {
		request_problem(r, err, NULL, NULL);
	}
	free(search);
	free(phase);
	free(before);
	free(show);
	free(batch);
}

bool request_json(struct request *r, bool optional, json_t **out)
{
	const char *detail;
	*out = NULL;
	if (optional && r->body.len == 0)
		return true;
	enum err err = json_read(r->body.data ? r->body.data : "", r->body.len, out, &detail);
	if (err == ERR_OK)
		return true;
	request_problem(r, err == ERR_BAD_MESSAGE ? ERR_BAD_REQUEST : err, detail, NULL);
	return false;
}

void api_rename(struct request *r)
{
	json_t *body;
	if (!request_json(r, false, &body))
		return;
	const json_t *name = json_object_get(body, "name");
	const char *text = json_string_value(name);
	if (!text || strlen(text) != json_string_length(name) || !text_valid(text, LIMIT_NAME_CHARS)) {
		request_problem(r, ERR_BAD_FIELD,
				"name must be a string of at most 200 characters, none of them a control character.",
				NULL);
	} else {
		r->pending = true;
		engine_rename(r->net->engine, ref_of(r), text, api_answered, r);
	}
	json_decref(body);
}

_Static_assert(LIMIT_NAME_CHARS == 200 && LIMIT_TRACKS == 16, "the sentences name them");

/* NULL when the total is right, else a sentence. */
static const char *total_read(const json_t *item, struct engine_total *total)
{
	const json_t *track = json_object_get(item, "track"), *sha256 = json_object_get(item, "sha256");
	if (!json_is_object(item))
		return "tracks must be a list of objects.";
	total->track = json_string_value(track);
	if (track && !json_is_null(track) &&
	    (!total->track || !*total->track || strlen(total->track) != json_string_length(track) ||
	     !text_valid(total->track, LIMIT_TRACK_CHARS)))
		return "track must be the name of a track.";
	if (!json_count(json_object_get(item, "bytes"), &total->bytes))
		return "bytes must be a whole number from 0 to 2^53 - 1.";
	if (!sha256 || json_is_null(sha256))
		return NULL;
	total->has_sha256 = true;
	if (json_string_length(sha256) != 64 || !sha256_parse(json_string_value(sha256), total->sha256.bytes))
		return "sha256 must be 64 hexadecimal digits.";
	return NULL;
}

static const char *totals_read(const json_t *list, struct engine_total *totals, size_t *count)
{
	*count = json_array_size(list);
	if (!list || json_is_null(list))
		return NULL;
	if (!json_is_array(list) || *count > LIMIT_TRACKS)
		return "tracks must be a list of at most 16 totals.";
	for (size_t i = 0; i < *count; i++) {
		const char *wrong = total_read(json_array_get(list, i), &totals[i]);
		if (wrong)
			return wrong;
		for (size_t k = 0; k < i; k++)
			if (strcmp(totals[k].track ? totals[k].track : "main",
				   totals[i].track ? totals[i].track : "main") == 0)
				return "tracks must not name a track twice.";
	}
	return NULL;
}

void api_complete(struct request *r)
{
	struct engine_total totals[LIMIT_TRACKS] = { 0 };
	size_t count;
	json_t *body;
	if (!request_json(r, true, &body))
		return;
	const char *wrong = totals_read(json_object_get(body, "tracks"), totals, &count);
	if (wrong) {
		request_problem(r, ERR_BAD_FIELD, wrong, NULL);
	} else {
		r->pending = true;
		engine_complete(r->net->engine, ref_of(r), totals, count, api_answered, r);
	}
	json_decref(body);
}

/* --- POST /api/recordings --- */

/* An optional text; a sentence when it is something else. */
static const char *text_read(const json_t *body, const char *field, size_t max_chars, const char **out)
{
	static char sentence[120];
	const json_t *value = json_object_get(body, field);
	*out = json_string_value(value);
	if (!value || json_is_null(value))
		return NULL;
	if (*out && **out && strlen(*out) == json_string_length(value) && text_valid(*out, max_chars))
		return NULL;
	snprintf(sentence, sizeof sentence,
		 "%s must be a string of 1 to %zu characters, none of them a control character.", field, max_chars);
	return sentence;
}

static const char *source_read(const json_t *body, struct engine_source *source)
{
	const struct {
		const char *name;
		size_t max_chars;
		const char **to;
	} fields[] = {
		{ "sourceUrl", LIMIT_URL_CHARS, &source->url }, { "ref", LIMIT_REF_CHARS, &source->ref },
		{ "name", LIMIT_NAME_CHARS, &source->name },	{ "mime", LIMIT_MIME_CHARS, &source->mime },
		{ "ext", LIMIT_EXT_CHARS, &source->ext },
	};
	const char *fetch;
	const char *wrong = text_read(body, "fetch", LIMIT_NAME_CHARS, &fetch);
	for (size_t i = 0; !wrong && i < sizeof fields / sizeof *fields; i++)
		wrong = text_read(body, fields[i].name, fields[i].max_chars, fields[i].to);
	if (wrong)
		return wrong;
	if (!source->url)
		return "sourceUrl is missing: the address that the recording is fetched from.";
	source->on_demand = fetch && strcmp(fetch, "on_demand") == 0;
	if (fetch && !source->on_demand && strcmp(fetch, "now") != 0)
		return "fetch must be \"now\" or \"on_demand\".";
	return NULL;
}

static void registered(void *arg, enum err err, bool created, const char *json, size_t len)
{
	json_answer(arg, created ? 201 : 200, err, (struct iovec){ (void *)(uintptr_t)json, len });
}

void api_register(struct request *r)
{
	struct engine_source source = { .grant = &r->grant };
	json_t *body;
	if (!request_json(r, false, &body))
		return;
	const char *wrong = source_read(body, &source);
	if (wrong) {
		request_problem(r, ERR_BAD_FIELD, wrong, NULL);
	} else {
		r->pending = true;
		engine_register(r->net->engine, &source, registered, r);
	}
	json_decref(body);
}

/* --- POST /api/webhooks/retry, POST /api/push/retry --- */

static void unparked(void *arg, enum err err)
{
	json_answer(arg, 204, err, (struct iovec){ 0 });
}

static void unpark(struct request *r, enum job_kind kind)
{
	if (!(r->grant.scopes & SCOPE_ADMIN)) {
		request_problem(r, ERR_FORBIDDEN_SCOPE, NULL, NULL);
		return;
	}
	r->pending = true;
	engine_unpark(r->net->engine, kind, unparked, r);
}

void api_unpark(struct request *r)
{
	unpark(r, JOB_NOTIFY);
}

void api_push_retry(struct request *r)
{
	unpark(r, JOB_PUSH);
}
