/* Shows over HTTP: what is on air, one show, its end, and a URL by which a media element may listen. The engine makes
 * the JSON. */
#include "net/private.h"

#include "proto/message.h"

#include <stdlib.h>
#include <string.h>

void shows_list(struct request *r)
{
	r->pending = true;
	engine_shows(r->net->engine, &r->grant, api_answered, r);
}

void shows_get(struct request *r)
{
	r->pending = true;
	engine_show(r->net->engine, r->id, &r->grant, api_answered, r);
}

void shows_end(struct request *r)
{
	r->pending = true;
	engine_show_stop(r->net->engine, r->id, &r->grant, api_answered, r);
}

/* *out: owned; NULL when neither query nor body names a show. False: it was answered. */
static bool show_named(struct request *r, char **out)
{
	json_t *body;
	enum err err = http_query_get(r->head.query, "show_id", out);
	if (err != ERR_OK) {
		request_problem(r, err, NULL, NULL);
		return false;
	}
	if (*out)
		return true;
	if (!request_json(r, true, &body))
		return false;
	const json_t *value = json_object_get(body, "show_id");
	const char *text = json_string_value(value);
	bool right = !value || json_is_null(value) || (text && strlen(text) == json_string_length(value));
	if (right && text)
		*out = strdup(text);
	if (!right)
		request_problem(r, ERR_BAD_FIELD, "show_id must be the name of a show.", NULL);
	else if (text && !*out)
		request_problem(r, ERR_NO_MEMORY, NULL, NULL);
	json_decref(body);
	return right && (!text || *out);
}

void stream_stop(struct request *r)
{
	char *show = NULL;
	if (show_named(r, &show)) {
		r->pending = true;
		engine_show_stop(r->net->engine, show, &r->grant, api_answered, r);
	}
	free(show);
}

/* --- POST /api/shows/{id}/sign --- */

/* The show may be seen, and so it may be heard. */
static void signed_for(void *arg, enum err err, const char *json, size_t len)
{
	struct request *r = arg;
	r->pending = false;
	if (!r->peer)
		request_settle(r);
	else if (err != ERR_OK)
		request_problem(r, err, NULL, NULL);
	else
		access_url_answer(r, &(struct auth_url){ .show = r->id, .what = "live", .track = "" });
}

void shows_sign(struct request *r)
{
	if (!r->net->config.auth) {
		request_problem(r, ERR_NOT_SUPPORTED, NULL, NULL);
		return;
	}
	r->pending = true;
	engine_show(r->net->engine, r->id, &r->grant, signed_for, r);
}
