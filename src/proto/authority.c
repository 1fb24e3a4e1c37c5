/* Questions to an outside authority and its answers, see authority.h. */
#include "proto/authority.h"

#include "base/scope.h"
#include "proto/message.h"
#include "proto/problem.h"

#include <string.h>

bool authority_token_valid(const char *token)
{
	size_t len = 0;
	for (; token[len]; len++)
		if (len == LIMIT_AUTHORITY_TOKEN_CHARS || token[len] < '!' || token[len] > '~')
			return false;
	return len > 0;
}

void authority_question_format(struct buf *out, const char *token)
{
	json_t *question = json_pack("{s:s}", "token", token);
	json_format(out, question);
	json_decref(question);
}

/* Whoever is one of these has shown something else than a token. */
static bool subject_is_kept(const char *subject)
{
	return strcmp(subject, "local") == 0 || strcmp(subject, "source") == 0;
}

static bool subject_read(const json_t *value, char out[LIMIT_PRINCIPAL_CHARS + 1])
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);
	if (!text || len == 0 || len > LIMIT_PRINCIPAL_CHARS || strlen(text) != len ||
	    !text_valid(text, LIMIT_PRINCIPAL_CHARS) || subject_is_kept(text))
		return false;
	memcpy(out, text, len + 1);
	return true;
}

static bool scopes_read(const json_t *list, unsigned *out)
{
	*out = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *name = json_array_get(list, i);
		unsigned scope;
		if (!json_is_string(name))
			return false;
		if (scope_parse(json_string_value(name), json_string_length(name), &scope))
			*out |= scope;
	}
	return json_is_array(list);
}

/* A whole number from 1 to `most`. */
static bool number_read(const json_t *value, uint64_t most, uint64_t *out)
{
	return json_count(value, out) && *out >= 1 && *out <= most;
}

static bool rate_read(const json_t *rate, struct authority_answer *out)
{
	uint64_t per_s, burst;
	if (!rate)
		return true;
	if (!number_read(json_object_get(rate, "perSecond"), LIMIT_RATE_MAX, &per_s) ||
	    !number_read(json_object_get(rate, "burst"), LIMIT_RATE_MAX, &burst))
		return false;
	out->rate_per_s = (uint32_t)per_s;
	out->rate_burst = (uint32_t)burst;
	return true;
}

static const char *allowed_read(const json_t *object, struct authority_answer *out)
{
	const json_t *max = json_object_get(object, "maxBytes"), *expires = json_object_get(object, "expiresIn");
	uint64_t expires_in_s = LIMIT_AUTHORITY_KEEP_S;
	if (!subject_read(json_object_get(object, "subject"), out->subject))
		return "its subject is missing, too long, no text, or one that is kept for others";
	if (!scopes_read(json_object_get(object, "scopes"), &out->scopes))
		return "its scopes are no list of words";
	if (max && !number_read(max, LIMIT_NUMBER - 1, &out->max_bytes))
		return "its maxBytes is no number from 1 to 2^53 - 1";
	if (!rate_read(json_object_get(object, "rate"), out))
		return "its rate is no perSecond and burst from 1 to 1000000";
	if (expires && !number_read(expires, LIMIT_NUMBER - 1, &expires_in_s))
		return "its expiresIn is no number of seconds from 1";
	out->expires_in_s =
		expires_in_s < LIMIT_AUTHORITY_KEEP_S ? (unsigned)expires_in_s : (unsigned)LIMIT_AUTHORITY_KEEP_S;
	return NULL;
}

bool authority_answer_parse(const char *text, size_t len, struct authority_answer *out, const char **why)
{
	json_t *object;
	const char *detail;
	*out = (struct authority_answer){ 0 };
	*why = "it is no JSON object";
	if (len > LIMIT_AUTHORITY_ANSWER_BYTES || json_read(text, len, &object, &detail) != ERR_OK)
		return false;
	const json_t *allow = json_object_get(object, "allow");
	struct authority_answer read = { .allow = json_is_true(allow), .max_bytes = UINT64_MAX };
	*why = json_is_boolean(allow) ? NULL : "its allow is neither true nor false";
	if (read.allow)
		*why = allowed_read(object, &read);
	json_decref(object);
	if (!*why && read.allow)
		*out = read;
	return !*why;
}

void authority_answer_format(struct buf *out, const struct authority_answer *a)
{
	json_t *scopes = json_array(), *object;
	for (unsigned i = 0; i < SCOPE_COUNT; i++)
		if (a->scopes & 1u << i)
			json_array_append_new(scopes, json_string(scope_name(i)));
	object = json_pack("{s:b, s:s, s:o, s:i}", "allow", 1, "subject", a->subject, "scopes", scopes, "expiresIn",
			   (int)a->expires_in_s);
	if (a->max_bytes != UINT64_MAX)
		json_object_set_new(object, "maxBytes", json_integer((json_int_t)a->max_bytes));
	if (a->rate_per_s)
		json_object_set_new(object, "rate",
				    json_pack("{s:I, s:I}", "perSecond", (json_int_t)a->rate_per_s, "burst",
					      (json_int_t)a->rate_burst));
	json_format(out, object);
	json_decref(object);
}
