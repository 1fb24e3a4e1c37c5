/* What `holdfast token` asks, as JSON both ways: the same for a server's control.sock and for a command that works on
 * the data directory alone. Answers have `ok`; without it `code` and `message`. */
#ifndef HOLDFAST_TOKEN_REQUESTS_H
#define HOLDFAST_TOKEN_REQUESTS_H

#include "net/auth.h"

#include <jansson.h>

/* {"do": "token.mint", scopes, subject?, device?, recording?, maxBytes?, expiresInMs} · {"do": "token.list"} ·
 * {"do": "token.revoke", id} · {"do": "token.rotate"} · {"do": "token.pair"}. Fields that are none of these are
 * refused. `done` gets an answer that it owns (NULL: out of memory), exactly once, perhaps before this returns: for
 * what changes something, once that is on disk. */
void token_request(struct auth *a, const json_t *request, int64_t now_ms, void (*done)(void *arg, json_t *answer),
		   void *arg);
bool token_request_is(const char *what);

/* {"ok": false, "code", "message"}; message NULL: the table's. */
json_t *refusal_json(enum err err, const char *message);

#endif
