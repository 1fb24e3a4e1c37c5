/* Batches: what batches.c (the questions), slices.c (items), items.c (`start` with an item's id), batches_told.c (who
 * follows one) and limits.c (how many new ones a principal may make) share.
 *
 * An item that waits for its bytes is a row, and nothing in memory: neither the slice that made it nor a start-up loads
 * it (take_evict, recover.c). It has no record in the journal before its first byte. */
#ifndef HOLDFAST_ENGINE_BATCHES_H
#define HOLDFAST_ENGINE_BATCHES_H

#include "base/list.h"
#include "core/bucket.h"
#include "engine/engine.h"
#include "proto/message.h"

struct conn;
struct follow;
struct batch_watch;
struct limit;

enum { BATCH_BUCKETS = 256, LIMIT_BUCKET_TABLE = 256 };

struct batches {
	unsigned slices;	      /* on their way, of all connections */
	struct batch_watch **watches; /* a table by principal and id */
	struct list due;	      /* struct batch_watch whose batch changed since it was asked for last */
	uint64_t watch_next;
};

struct limits {
	struct limit **table; /* by subject */
	struct list recent;   /* struct limit; the one that was asked for last is the last */
	unsigned count;
};

void batches_init(struct engine *e);
void batches_release(struct engine *e);

/* batches.c */
/* The grant's own batch, else anybody's where it sees all. Catalog lane. */
enum err batch_find(struct catalog *c, const struct grant *grant, bool all, const char *id, struct batch_info *out);
void batch_json(struct buf *out, const struct batch_info *batch);

/* slices.c */
/* Takes over what the message holds. */
void conn_slice(struct engine *e, struct conn *c, struct message_slice *m);
void conn_slice_refuse(struct engine *e, struct conn *c, enum err err, const char *detail,
		       const struct message_slice *m);
/* So many are on their way that the connection is not read from. */
bool conn_slices_full(const struct engine *e, const struct conn *c);
/* The network has room again: what waited for it leaves. */
void conn_slices_drained(struct engine *e, struct conn *c);
void conn_slices_closed(struct conn *c);

/* items.c */
void conn_start_item(struct engine *e, struct conn *c, const struct message_start *m, const struct grant *grant);

/* batches_told.c */
void conn_subscribe_batch(struct engine *e, struct conn *c, const struct message_subscribe *m,
			  const struct grant *grant);
/* Something of a batch's item changed: who follows the batch hears of it. `only_bytes`: nothing that counts. */
void batches_pass(struct engine *e, const struct recording_info *info, bool only_bytes);
/* The batch itself may have changed. */
void batches_said(struct engine *e, const struct batch_info *batch);
bool batches_watched(const struct engine *e, const struct recording_info *info);
/* May it be told of this item, by its subscription to the batch? */
bool follow_batch_sees(const struct engine *e, const struct follow *f, const struct recording_info *info);
bool follow_batch_due(const struct follow *f);
void follow_batch_tell(struct engine *e, struct follow *f);
void follow_batches_drop(struct engine *e, struct follow *f);
bool follow_batch_under(const struct follow *f, const char *token_id);
/* Its backlog was dropped: each of its batches is told anew. */
void follow_batches_anew(struct engine *e, struct follow *f);
/* Asks for what changed, each batch twice a second at most. */
void batches_turn(struct engine *e);

/* limits.c */

void limits_release(struct engine *e);

/* What waits until it is known how many of its principal's tokens are left. */
struct limited {
	struct list link;
	struct limit *limit; /* NULL: there is none */
	uint64_t held;	     /* tokens that it may use */
	uint64_t wanted;
	void (*go)(struct engine *e, struct limited *l);
};
/* `wanted` new ones at most are to be made: `go` comes as soon as `held` is known, perhaps at once; UINT64_MAX where
 * nothing is limited. Behind it limited_done with how many they were, once. */
void limited_ask(struct engine *e, const struct grant *grant, struct limited *l);
void limited_done(struct engine *e, struct limited *l, uint64_t made);
/* How long until its principal has `count` tokens; to be asked behind limited_ask and before limited_done. */
uint64_t limited_wait_ms(struct engine *e, const struct limited *l, uint64_t count);
/* Is there a token for one new recording? It is taken, and given back where none was made. *retry_ms: when not. */
bool limit_take(struct engine *e, const struct grant *grant, uint64_t *retry_ms);
void limit_give_back(struct engine *e, const struct grant *grant);

#endif
