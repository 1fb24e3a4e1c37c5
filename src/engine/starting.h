/* A `start` on its way to an attached connection: starts.c, and shows_hosts.c for the hosts of shows. */
#ifndef HOLDFAST_ENGINE_STARTING_H
#define HOLDFAST_ENGINE_STARTING_H

#include "engine/shows.h"

struct start {
	struct waiter waiter; /* for its take */
	uint64_t conn;
	uint64_t from;
	bool part;
	char *session_id, *track; /* session_id NULL: of a show's host that names no take, or of an item */
	bool by_id;		  /* it is the batch's item … */
	struct uuid id;		  /* … of this id */
	/* of a show's host */
	struct air_waiter air_waiter;
	char *show, *name, *mime, *ext;
	int64_t ts;
	uint32_t version; /* of the show, that its session is; 0: none */
};

/* Makes it the connection's; `grant` is what it works under. */
struct start *start_new(struct conn *c, const struct message_start *m, const struct grant *grant);
void start_free(struct start *s);
/* Its take is there: attaches. */
void start_go(struct engine *e, struct waiter *w, struct take *t, enum err err);
/* The connection's, if it still is the one that waits. */
struct start *start_of(const struct conn *c);

#endif
