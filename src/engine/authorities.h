/* What an outside authority said of tokens that are none of ours: asked once for each, kept for an hour in memory and
 * in the catalog. The engine's own part; engine.h has what the network asks. */
#ifndef HOLDFAST_ENGINE_AUTHORITIES_H
#define HOLDFAST_ENGINE_AUTHORITIES_H

#include "engine/engine.h"

struct conn;
struct message;
struct known;

struct authorities {
	struct known **table; /* by the token's hash; NULL: there is no authority */
	struct list recent;   /* of them: who was seen last is the last */
	unsigned known_count;
	struct token_bucket *shares; /* of origins: who asks about tokens that are none */
	struct list questions;	     /* tokens that are being asked about: the oldest first */
	unsigned question_count, asking;
	uint64_t numbers;
	uint64_t asked, failed, refused, cached; /* since the start */
	uint64_t said_ms;			 /* of the log line about failures … */
	unsigned unsaid;			 /* … and how many it left out */
};

void authorities_init(struct engine *e);
void authorities_release(struct engine *e);
/* Whoever waits is told that the server stops. */
void authorities_stop(struct engine *e);
/* Hands on what was answered, in time that is right. */
void authorities_turn(struct engine *e);
void authorities_status(const struct engine *e, struct engine_status *out);

/* A message of the connection, held in front of all that is. */
void conn_hold_first(struct engine *e, struct conn *c, const char *text, size_t len);
/* What a message may do: by its token, which wins, or as the connection was opened. */
enum err conn_grant(struct engine *e, struct conn *c, const char *token, struct grant *out);

/* As engine_authority, at the present time. */
enum err authorities_ask(struct engine *e, const char *token, struct engine_asked *asked, struct grant *out);
/* Does the message wait for what its token allows? Then it is held, in front of all that comes behind it. */
bool authorities_hold(struct engine *e, struct conn *c, const struct message *m, const char *text, size_t len);
/* … and it still does: nothing that is held may be taken. */
bool authorities_waits(const struct conn *c);
/* What the token of the message at hand allows: of one that waited, what was answered. */
enum err authorities_grant(struct engine *e, struct conn *c, const char *token, struct grant *out);
/* The message was taken, or the connection is gone: its answer is for nothing else. */
void authorities_leave(struct conn *c);

#endif
