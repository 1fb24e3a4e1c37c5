/* What a running server answers at its control.sock: {"do": "status"}, {"do": "token.forget", subject?}, and the
 * requests of token_requests.h. */
#ifndef HOLDFAST_ANSWERS_H
#define HOLDFAST_ANSWERS_H

#include "control.h"
#include "engine/engine.h"
#include "net/auth.h"
#include "net/server.h"

struct answers {
	struct engine *engine;
	struct net *net; /* NULL: it stops */
	struct auth *auth;
	const char *at; /* where it listens */
	uint64_t started_ms;
};

/* As control_config.ask; `arg` is the struct answers. */
void answers_ask(void *arg, struct control_call *call, const json_t *request);

#endif
