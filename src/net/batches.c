/* Batches over HTTP: made, asked for, listed. The engine makes the JSON; here it gets its status. */
#include "net/private.h"

#include "proto/message.h"
#include "proto/problem.h"

#include <stdlib.h>
#include <string.h>

/* A sentence when the field is no text of 1 to max_chars characters. */
static const char *text_read(const json_t *body, const char *field, size_t max_chars, const char **out)
{
	const json_t *value = json_object_get(body, field);
	*out = json_string_value(value);
	if (!value || json_is_null(value))
		return NULL;
	if (*out && **out && strlen(*out) == json_string_length(value) && text_valid(*out, max_chars))
		return NULL;
	return "batchId and name must be strings of 1 to 200 characters, none of them a control character.";
}

_Static_assert(LIMIT_BATCH_ID_CHARS == 200 && LIMIT_NAME_CHARS == 200 && LIMIT_BATCH_ITEMS == 10000000,
	       "the sentences name them");

static const char *batch_read(const json_t *body, struct engine_batch_new *batch)
{
	const json_t *total = json_object_get(body, "total");
	const char *wrong = text_read(body, "batchId", LIMIT_BATCH_ID_CHARS, &batch->id);
	if (!wrong)
		wrong = text_read(body, "name", LIMIT_NAME_CHARS, &batch->name);
	if (!wrong && !batch->id)
		wrong = "batchId is missing.";
	batch->total = BYTES_UNKNOWN;
	if (wrong || !total || json_is_null(total))
		return wrong;
	if (!json_count(total, &batch->total) || batch->total == 0 || batch->total > LIMIT_BATCH_ITEMS)
		return "total must be a whole number from 1 to 10000000.";
	return NULL;
}

static void made(void *arg, enum err err, bool created, const char *json, size_t len)
{
	api_json(arg, created ? 201 : 200, err, json, len);
}

void batches_make(struct request *r)
{
	struct engine_batch_new batch = { .grant = &r->grant };
	json_t *body;
	if (!request_json(r, false, &body))
		return;
	const char *wrong = batch_read(body, &batch);
	if (wrong) {
		request_problem(r, ERR_BAD_FIELD, wrong, NULL);
	} else {
		r->pending = true;
		engine_batch_create(r->net->engine, &batch, made, r);
	}
	json_decref(body);
}

void batches_get(struct request *r)
{
	r->pending = true;
	engine_batch_get(r->net->engine, r->id, &r->grant, api_answered, r);
}

void batches_list(struct request *r)
{
	char *before = NULL;
	enum err err = http_query_get(r->head.query, "before", &before);
	if (err) {
		request_problem(r, err, NULL, NULL);
		return;
	}
	r->pending = true;
	engine_batch_list(r->net->engine, &r->grant, before && *before ? before : NULL, api_answered, r);
	free(before);
}
