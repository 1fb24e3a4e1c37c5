/* Problem documents and JSON of the HTTP API, see problem.h. */
#include "proto/problem.h"

#include "base/limits.h"
#include "proto/http.h"

#include <stdint.h>

static int add_piece(const char *data, size_t len, void *arg)
{
	struct buf *out = arg;
	buf_add(out, data, len);
	return out->failed ? -1 : 0;
}

void json_format(struct buf *out, const json_t *value)
{
	if (json_dump_callback(value, add_piece, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) != 0)
		out->failed = true;
}

/* Is the nesting within LIMIT_JSON_DEPTH? Looked at before parsing, since the parser recurses. */
static bool depth_fits(const char *text, size_t len)
{
	int depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (++depth > LIMIT_JSON_DEPTH)
				return false;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return true;
}

enum err json_read(const char *text, size_t len, json_t **out, const char **detail)
{
	json_error_t error;
	*out = NULL;
	*detail = "It is nested too deeply.";
	if (!depth_fits(text, len))
		return ERR_BAD_MESSAGE;
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
	if (json_is_object(json)) {
		*out = json;
		return ERR_OK;
	}
	enum json_error_code code = json ? json_error_unknown : json_error_code(&error);
	json_decref(json);
	switch (code) {
	case json_error_duplicate_key:
		*detail = "It names a field twice.";
		return ERR_BAD_MESSAGE;
	case json_error_numeric_overflow:
		*detail = "A number is out of range.";
		return ERR_BAD_FIELD;
	case json_error_out_of_memory:
		*detail = err_text(ERR_NO_MEMORY);
		return ERR_NO_MEMORY;
	default:
		*detail = "It is not a JSON object.";
		return ERR_BAD_MESSAGE;
	}
}

bool json_count(const json_t *value, uint64_t *out)
{
	double number = json_number_value(value);
	if (!json_is_number(value) || number < 0 || number >= (double)LIMIT_NUMBER ||
	    number != (double)(uint64_t)number)
		return false;
	*out = (uint64_t)number;
	return true;
}

void problem_format(struct buf *out, enum err err, const char *detail, const json_t *extra)
{
	int status = err_status(err);
	/* RFC 9457: with "about:blank" the title is the status's own phrase. */
	json_t *problem = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title", http_phrase(status),
				    "status", status, "code", err_code(err));
	/* A detail that is no UTF-8 has no JSON; the table's sentence always has. */
	json_t *sentence = detail ? json_string(detail) : NULL;
	if (!sentence)
		sentence = json_string(err_text(err));
	/* json_object_update never changes `extra`; jansson has no const there. */
	if (!problem || json_object_set_new(problem, "detail", sentence) != 0 ||
	    (extra && json_object_update(problem, (json_t *)(uintptr_t)extra) != 0))
		out->failed = true;
	else
		json_format(out, problem);
	json_decref(problem);
}
