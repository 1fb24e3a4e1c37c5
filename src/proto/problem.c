/* Problem documents and JSON of the HTTP API, see problem.h. */
#include "proto/problem.h"

#include <stdint.h>

/* RFC 9457: with "about:blank" the title is the status's own phrase. */
static const char *status_phrase(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 410:
		return "Gone";
	case 411:
		return "Length Required";
	case 413:
		return "Content Too Large";
	case 416:
		return "Range Not Satisfiable";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 501:
		return "Not Implemented";
	case 503:
		return "Service Unavailable";
	case 507:
		return "Insufficient Storage";
	default:
		return "Error";
	}
}

static int add_piece(const char *data, size_t len, void *arg)
{
	struct buf *out = arg;
	buf_add(out, data, len);
	return out->failed ? -1 : 0;
}

void json_format(struct buf *out, const json_t *value)
{
	if (json_dump_callback(value, add_piece, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		out->failed = true;
}

void problem_format(struct buf *out, enum err err, const char *detail, const json_t *extra)
{
	int status = err_status(err);
	json_t *problem = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title", status_phrase(status),
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
