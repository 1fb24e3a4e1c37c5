/* What a source's answer says of the bytes it is about to send, read from its header lines. Pure. */
#ifndef HOLDFAST_WORK_FETCH_ANSWER_H
#define HOLDFAST_WORK_FETCH_ANSWER_H

#include "core/model.h"

#include <stddef.h>

struct fetch_answer {
	int status;	 /* of the last answer of a request: those before it (100, 103) don't count */
	bool whole;	 /* its head came to its end */
	uint64_t length; /* Content-Length; BYTES_UNKNOWN: none */
	bool ranged;	 /* a Content-Range that can be read … */
	uint64_t first;	 /* … from here; BYTES_UNKNOWN: unsatisfied ("*") … */
	uint64_t total;	 /* … of so many; BYTES_UNKNOWN: not said */
	bool encoded;	 /* a Content-Encoding that is not identity */
	char mime[LIMIT_MIME_CHARS + 1];
	char etag[LIMIT_VALIDATOR_CHARS + 1]; /* a strong one */
	char modified[64];
	char location[LIMIT_URL_CHARS + 1];
};

/* A line as it came, with its end; a status line begins anew. */
void fetch_answer_line(struct fetch_answer *a, const char *line, size_t len);
/* What If-Range can be asked with, NULL: nothing. */
const char *fetch_answer_validator(const struct fetch_answer *a);

enum fetch_verdict {
	FETCH_BODY,	  /* its bytes go on where ours end */
	FETCH_FROM_START, /* its bytes are the whole */
	FETCH_WHOLE,	  /* there is nothing behind what we have */
	FETCH_REDIRECT,
	FETCH_ASK_WHOLE, /* the range that was asked for leads nowhere: without one */
	FETCH_ENDED,	 /* *err: why */
};

/* `from`: what a range was asked from, 0: none was. `validator`: what it was asked with, or NULL. */
enum fetch_verdict fetch_answer_judge(const struct fetch_answer *a, uint64_t from, const char *validator,
				      enum err *err);

#endif
