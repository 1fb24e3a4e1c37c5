/* One HTTP byte range (RFC 9110, section 14). Pure. */
#ifndef HOLDFAST_PROTO_RANGE_H
#define HOLDFAST_PROTO_RANGE_H

#include <stdbool.h>
#include <stdint.h>

enum range_result {
	RANGE_WHOLE,	       /* no, malformed, foreign or several ranges: answer 200 with everything */
	RANGE_PART,	       /* 206 with [first, last] */
	RANGE_NOT_SATISFIABLE, /* 416 */
};

/* Judges the Range header `value` (NULL: none) of a file of `size` bytes. */
enum range_result range_parse(const char *value, uint64_t size, uint64_t *first, uint64_t *last);

/* Does an If-Range or If-None-Match value match the strong etag (with quotes)? If-Range: strong comparison, a date
 * never matches. If-None-Match: a list, weak comparison, "*" matches. */
bool if_range_matches(const char *value, const char *etag);
bool if_none_match_matches(const char *value, const char *etag);

/* A Content-Length by the book: digits only, at most 19, no sign, no list; false otherwise. */
bool content_length_parse(const char *value, uint64_t *out);

#endif
