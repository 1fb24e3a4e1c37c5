/* Asking an outside authority what a token allows, as the engine sees it; authority_curl.c is the real one. Loop
 * thread; `done` comes from the loop, once for each ask that was not cancelled, never from inside of it. */
#ifndef HOLDFAST_WORK_AUTHORITY_H
#define HOLDFAST_WORK_AUTHORITY_H

#include "base/err.h"
#include "proto/authority.h"

struct authority;

struct authority_ops {
	void (*ask)(struct authority *a, uint64_t id, const char *token); /* copied, and wiped when it is over */
	void (*cancel)(struct authority *a, uint64_t id);
};

struct authority {
	const struct authority_ops *ops;
	/* set by the engine. ERR_OK: it has answered, yes or no. ERR_AUTHORITY_FAILED else; why: a sentence, which
	 * never holds the token */
	void (*done)(void *arg, uint64_t id, enum err err, const struct authority_answer *answer, const char *why);
	void *arg;
};

#endif
