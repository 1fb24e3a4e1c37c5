/* The head of an HTTP/1.1 request, by the book (RFC 9112), and small helpers around it. Pure.
 *
 * Strict on purpose: what two readers could understand differently is refused, never mended. Lines end in CRLF, names
 * touch their colon, nothing is folded, one Host, at most one Content-Length of digits or, in HTTP/1.1, one
 * "Transfer-Encoding: chunked" and never both, a path that begins with a slash. Paths are cut at their slashes first
 * and decoded after: an encoded slash stays in its segment. */
#ifndef HOLDFAST_PROTO_HTTP_H
#define HOLDFAST_PROTO_HTTP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_SEGMENTS_MAX = 8 }; /* of a path; a longer one is no path of ours */

struct http_field {
	const char *name, *value; /* name in lower case; value without the blanks around it */
};

/* Strings live in `text` and `decoded`, NUL-terminated, until http_request_release. */
struct http_request {
	char *text, *decoded; /* owned */
	const char *method;
	const char *target; /* as it came: path and query */
	const char *query;  /* behind the "?", not decoded; "" when there is none */
	unsigned minor;	    /* HTTP/1.minor: 0 or 1 */
	/* The path's segments, percent-decoded; "/" is one empty segment. When one can't be decoded or holds what
	 * text_valid refuses, or there are too many: segment_count 0, which no route matches. */
	const char *segments[HTTP_SEGMENTS_MAX];
	unsigned segment_count;
	struct http_field *fields; /* owned */
	unsigned field_count;
	bool has_length;
	uint64_t length; /* Content-Length, 0 when absent */
	bool chunked;	 /* the body comes in chunks (chunked.h); whoever takes none answers ERR_LENGTH_REQUIRED */
	bool keep_alive; /* by version and Connection */
};

/* The length of the head that begins at `text`, its empty line included; 0 when it isn't complete. */
size_t http_head_length(const char *text, size_t len);

/* False when no request begins with these bytes: a first byte that begins no method (TLS, a binary protocol). */
bool http_head_plausible(const char *text, size_t len);

/* Parses a complete head. ERR_BAD_REQUEST, ERR_HEADERS_TOO_LARGE (too many fields), ERR_LENGTH_REQUIRED (another
 * Transfer-Encoding), ERR_NO_MEMORY: then *out is empty and *detail, when not NULL, is a sentence. */
enum err http_request_parse(const char *text, size_t len, struct http_request *out, const char **detail);
void http_request_release(struct http_request *r);

/* The first field of this (lower-case) name, or NULL. */
const char *http_field_get(const struct http_request *r, const char *name);
unsigned http_field_count(const struct http_request *r, const char *name);
/* Is the token in the comma-separated lists of all fields of this name? Case is ignored unless `exact`. */
bool http_field_has(const struct http_request *r, const char *name, const char *token, bool exact);

/* The first value of a name in the query, decoded ("+" is a blank), into *out, to be freed; NULL when absent.
 * ERR_BAD_FIELD when it can't be decoded or is no valid text. */
enum err http_query_get(const char *query, const char *name, char **out);

/* "Not Found" for 404; "" for a status that we never send. */
const char *http_phrase(int status);

#endif
