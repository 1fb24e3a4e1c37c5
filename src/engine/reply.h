/* The one way out: replies that wait for what they promise.
 *
 * A reply carries a promise: a journal position and a catalog position, which only journal_append and the catalog's
 * queue hand out. It leaves when both are durable; this file alone calls the network's `send`. */
#ifndef HOLDFAST_ENGINE_REPLY_H
#define HOLDFAST_ENGINE_REPLY_H

#include "base/buf.h"
#include "base/list.h"
#include "store/journal.h"

struct engine;

struct promise {
	struct position journal;
	uint64_t catalog; /* number of a catalog transaction, 0: none */
};

struct replies {
	struct list by_journal; /* waits for the journal, by rising sequence */
	struct list by_catalog; /* only the catalog is missing */
	size_t count;
};

void replies_init(struct replies *r);
void replies_free(struct replies *r);

/* Sends `text` (consumed) to the connection once `promise` is kept. */
void reply_send(struct engine *e, uint64_t conn, struct buf *text, struct promise promise);
/* Tells how much of a track is safe: `bytes` were made durable by `position`. */
void reply_ack(struct engine *e, uint64_t conn, uint64_t bytes, struct position position);
/* More is durable. */
void replies_release(struct engine *e);

#endif
