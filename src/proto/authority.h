/* What is asked of an outside authority (--auth-url) about a token, and what it may answer. Pure; docs/authority.md is
 * the page for people.
 *
 * Guarantees of an answer that was taken: the subject is 1 to LIMIT_PRINCIPAL_CHARS bytes of valid text and neither
 * `local` nor `source`; every number is in its range; scopes hold what we know, and what we don't is ignored. An answer
 * that breaks any of this is none: whoever asked is told that the authority failed, never more. */
#ifndef HOLDFAST_PROTO_AUTHORITY_H
#define HOLDFAST_PROTO_AUTHORITY_H

#include "base/buf.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authority_answer {
	bool allow; /* else all that follows is unset */
	char subject[LIMIT_PRINCIPAL_CHARS + 1];
	unsigned scopes;       /* of base/scope.h, perhaps none */
	uint64_t max_bytes;    /* 1 to LIMIT_NUMBER - 1, or UINT64_MAX: no limit */
	uint32_t rate_per_s;   /* 1 to LIMIT_RATE_MAX; both 0: there is none */
	uint32_t rate_burst;   /* likewise */
	unsigned expires_in_s; /* 1 to LIMIT_AUTHORITY_KEEP_S */
};

/* Could this be somebody's bearer token? 1 to LIMIT_AUTHORITY_TOKEN_CHARS visible characters of ASCII. */
bool authority_token_valid(const char *token);
/* {"token": …} */
void authority_question_format(struct buf *out, const char *token);
/* The body of a 200. False: it is none, and *why is a sentence's end ("its subject is …"). */
bool authority_answer_parse(const char *text, size_t len, struct authority_answer *out, const char **why);
/* The same again, for the catalog. */
void authority_answer_format(struct buf *out, const struct authority_answer *answer);

#endif
