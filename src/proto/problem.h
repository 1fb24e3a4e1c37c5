/* application/problem+json (RFC 9457) and the JSON of the HTTP API. Pure. */
#ifndef HOLDFAST_PROTO_PROBLEM_H
#define HOLDFAST_PROTO_PROBLEM_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

/* {"type": "about:blank", "title": …, "status": …, "code": …, "detail": …}; members of `extra` are added (it may be
 * NULL; not consumed). `detail` NULL: err_text. */
void problem_format(struct buf *out, enum err err, const char *detail, const json_t *extra);

/* Appends the compact JSON of a value. */
void json_format(struct buf *out, const json_t *value);

#endif
