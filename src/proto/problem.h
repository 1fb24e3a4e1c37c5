/* application/problem+json (RFC 9457) and the JSON of the HTTP API. Pure. */
#ifndef HOLDFAST_PROTO_PROBLEM_H
#define HOLDFAST_PROTO_PROBLEM_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdint.h>

/* {"type": "about:blank", "title": …, "status": …, "code": …, "detail": …}; members of `extra` are added (it may be
 * NULL; not consumed). `detail` NULL: err_text. */
void problem_format(struct buf *out, enum err err, const char *detail, const json_t *extra);

/* Reads a JSON object from outside: no duplicate keys, nested at most LIMIT_JSON_DEPTH. Numbers come as doubles: exact
 * below 2^53, and one above it is refused by json_count, not rounded. ERR_BAD_MESSAGE, ERR_BAD_FIELD (a number beyond
 * any double), ERR_NO_MEMORY; *detail is a sentence then. */
enum err json_read(const char *text, size_t len, json_t **out, const char **detail);

/* A whole number below 2^53; false for anything else. */
bool json_count(const json_t *value, uint64_t *out);

/* Appends the compact JSON of a value. */
void json_format(struct buf *out, const json_t *value);

#endif
