/* What the files of the engine share; nobody outside src/engine includes it.
 *
 *   engine.c      open, turn, timers, stop       conns.c       connections and their messages
 *   receiving.c   what they send, what is held
 *   failing.c     storage failed under a take    starts.c      `start`, to an attached connection
 *   hashing.c     what a seal waits for          replay.c      records into spools, at start-up
 *   takes.c       the takes in memory            appends.c     bytes in memory, into the journal
 *   effects.c     carries out the core's word    spooling.c    reserving, write-behind, hashing
 *   requests.c    the HTTP questions             checkpoint.c  syncing spools, recycling segments
 *   reads.c       readers and their pieces       recover.c     start-up
 *   downloads.c   which answer a file gets       registering.c recordings by URL
 *   reply.c       the one way out                space.c       free space, full storage
 *   catalogue.c   transactions in groups         json.c        what the API shows
 *   granting.c    what grants let pass           retention.c   what is kept for how long
 *   fetching*.c   what is fetched by URL         notifying.c   webhooks
 *   pushing*.c    what goes to a bucket          authorities*.c  who may do what, asked outside
 *   jobs*.c       workers and their leases       events.c      the outbox, read
 *   subscriptions.c, telling.c   who follows what, and what they are told when
 *   shows*.c      shows on air, see shows.h       upload*.c   uploads, see uploads.h
 *   batches*.c, slices.c, items.c, limits.c  batches, see batches.h
 */
#ifndef HOLDFAST_ENGINE_INTERNAL_H
#define HOLDFAST_ENGINE_INTERNAL_H

#include "base/block.h"
#include "base/list.h"
#include "base/timer.h"
#include "core/recording.h"
#include "core/session.h"
#include "engine/batches.h"
#include "engine/engine.h"
#include "engine/outside.h"
#include "engine/reply.h"
#include "engine/working.h"
#include "proto/message.h"
#include "store/spool.h"

#include <openssl/evp.h>

struct take;
struct engine;
struct request;
struct follow;
struct watch;
struct air;

/* Bytes of a track that wait in memory: a ring of blocks; slot 0 covers file block `first`. */
struct chain {
	uint8_t **blocks;
	uint32_t head, count, capacity;
	uint64_t first;
};

/* A track at work. Offsets into the track, always in this order:
 * synced ≤ spooled ≤ durable (the core's) ≤ logged ≤ accepted (the core's) ≤ reserved;
 * but a large append is spooled and synced before its extent makes it durable. */
struct track_io {
	struct take *take;
	uint16_t number;
	struct vfs_file *file; /* NULL until reserved first */
	uint64_t reserved;     /* space is kept in the file up to here */
	uint64_t logged;       /* handed to the journal */
	uint64_t referenced;   /* the journal reads from the chain up to here, until that is durable */
	uint64_t spooled;      /* written to the spool */
	uint64_t synced;       /* synced there */
	uint64_t gather_ms;    /* what came of a file and is little waits until then for more of it; 0: it does not */
	struct chain chain;
	EVP_MD_CTX *hash; /* over [0, hashed), or NULL */
	uint64_t hashed;
	uint64_t flush_to;     /* the spool is wanted at least up to here */
	bool reserving;	       /* a reservation is under way */
	bool writing;	       /* a spool write or large append is under way */
	bool extent;	       /* … a large append: nothing else of the track is logged meanwhile */
	bool hashing;	       /* the seal waits for its last bytes, and for its SHA-256 where it has one */
	bool names_synced;     /* the folders know the file */
	bool failed;	       /* storage failed under it */
	uint8_t size_class;    /* which of engine.spoolable it is in */
	struct list dirty;     /* in engine.dirty while accepted > logged */
	struct list spoolable; /* in engine.spoolable[size_class] while durable bytes wait for their spool */
};

/* Something that waits until a take can answer: a start, a request. `go` gets the take, or an error and NULL; it may
 * put the waiter back (take_wait). */
struct waiter {
	struct list link;
	void (*go)(struct engine *e, struct waiter *w, struct take *take, enum err err);
	bool created; /* the take was made for this very waiter */
};

/* A deletion that is not whole yet: until its row and its files are gone, no checkpoint covers its record. */
struct deletion {
	struct list link; /* engine.deletions, in the order of their records */
	uint64_t sequence;
};

struct take {
	struct recording rec;
	struct track_io **io; /* one for each track */
	uint32_t io_count;
	bool loading;		       /* the catalog is asked; rec holds only the key */
	struct recording_info *logged; /* what a record in the journal says and the catalog doesn't yet, or NULL */
	bool manifest_dirty;	       /* recording.json is behind */
	bool manifest_on_disk;
	bool manifest_writing;
	struct deletion *deletion; /* with phase DELETED, until its files are handed to be removed */
	bool gone;		   /* deleted: leaves memory when nothing holds it */
	unsigned pins;		   /* work on lanes and records in flight that point here */
	struct position opened;	   /* the newest OPEN record: what is sent must wait for it */
	struct request *deleting;  /* who asked for its deletion */
	struct list waiting;	   /* struct waiter */
	bool claim_lost;	   /* the last claim found the row in another phase than it should have had */
	bool failing;		   /* that its phase is `error` is not durable yet */
	struct list changed;	   /* in engine.following.changed or .unsettled: subscribers are to hear of it */
	struct list grown;	   /* in engine.following.grown or .grown_watched: … of its bytes */
	uint64_t shown;		   /* a digest of what subscribers were last told of, but for the bytes */
	uint64_t grown_ms;	   /* when they were last told of its bytes */
	uint64_t touched_ms;	   /* of an upload: when somebody was at it last, in this process */
	struct timer timer;
	struct list link; /* engine.takes */
	struct take *next_by_id, *next_by_key;
	bool in_id_table, in_key_table;
};

/* Something that came while it could not be taken: kept in order, never dropped. */
struct held {
	struct held *next;
	size_t len;
	uint64_t follows; /* of media: see struct engine_media */
	bool text;
	char data[];
};

struct conn {
	struct session session;
	uint64_t id, origin;
	struct grant opened; /* with `granted`: what it may do without a token in its messages */
	struct grant work;   /* of its last `start` */
	bool granted;
	bool known;	     /* a message brought a good token */
	struct take *take;   /* attached to, NULL otherwise */
	struct uuid take_id; /* with `named`: the take that the last `start` was about */
	bool named;
	uint16_t track;
	uint32_t epoch;
	bool attached;
	uint32_t reply_epoch;		 /* raised by each error: replies of an older one that wait are dropped */
	bool paused;			 /* the network was told */
	bool blocked;			 /* waits for its track's reservation */
	bool start_ready, start_resumed; /* `started` waits only for room to append to */
	uint64_t start_bytes;
	struct held *held, **held_tail;
	size_t held_bytes;	   /* of those */
	struct air *air;	   /* the show that it hosts, or asks to host; NULL: none */
	bool hosting;		   /* it does: what it sends is on air … */
	bool closed;		   /* its peer has gone; what is held of a host is recorded all the same */
	bool moving;		   /* … and is about to be recorded as another version */
	bool host_part;		   /* its `start` said `part` */
	bool stopping;		   /* it asked for the show's end, and hears of it */
	bool off_air;		   /* its show was ended: what it sends until its next `start` is dropped */
	uint64_t host_from;	   /* … and `from`, 0 if it did not */
	uint64_t stream_at;	   /* so much of its stream has come … */
	uint64_t stream_from;	   /* … and its take has it from here on: acks begin behind it */
	struct waiter *starting;   /* its `start` that waits */
	struct asking *asking;	   /* the first of what is held waits for an outside authority, NULL: it does not */
	struct follow *follow;	   /* what it subscribed to, NULL: nothing */
	unsigned slices;	   /* on their way, or acked and not left yet … */
	struct list slice_acks;	   /* … these: struct waiting_ack of slices.c */
	const struct inner *inner; /* there is no peer: it is one of our own, and this hears what a peer would */
	void *inner_of;
	struct timer timer;
	struct list link;  /* engine.conns */
	struct list ready; /* in engine.ready while what was held may go on */
};

/* One operation for the catalog; batched with others in a transaction. */
struct catalog_op {
	struct list link;
	enum err err;
	const struct take *take; /* operations on one take keep their order, also when one must be tried again */
	uint64_t number;	 /* in the order in which they were submitted */
	enum err (*run)(struct catalog *c, struct catalog_op *op); /* catalog lane */
	void (*done)(struct engine *e, struct catalog_op *op);	   /* loop; frees it */
};

/* A record in flight whose durability moves a track on. */
struct in_flight {
	struct track_io *io; /* NULL: `go` is called */
	struct take *take;
	uint64_t end, sequence;
	void (*go)(struct engine *e, struct take *take, uint16_t what);
	uint16_t what;
};

struct in_flight_queue {
	struct in_flight *items;
	size_t head, count, capacity;
};

enum {
	SIZE_CLASSES = 12,
	TIMER_CONN = 1,
	TIMER_TAKE,
	TIMER_SPACE,
	TIMER_CHECKPOINT,
	TIMER_FOLLOW,
	TIMER_SLOT,
	TIMER_JOBS,
	TIMER_AIR,
	TIMER_UPLOADS,
	TIMER_FILL,
	TIMER_RETENTION /* and those of outside.h */
};

struct engine {
	struct engine_config config;
	struct journal *journal;
	struct block_pool pool;
	struct replies replies;
	struct effects fx;
	struct timers timers;
	struct now now;
	uint64_t skew_ms; /* how long the process did not run when it should have */
	struct engine_recovery recovery;

	struct list conns, ready;
	struct conn **conn_slots;
	uint32_t conn_count, conn_capacity;
	uint64_t conn_next;

	struct list takes;
	unsigned take_count, finished_count; /* finished since the last checkpoint */
	struct take **by_id, **by_key;
	size_t table_size;

	struct list dirty;
	struct list spoolable[SIZE_CLASSES];
	uint64_t spoolable_bytes;
	uint64_t spool_ms; /* when the last of them began */
	unsigned spool_writes;
	struct in_flight_queue in_flight;
	uint64_t gathered_bytes; /* accepted and not yet logged */
	bool paused;		 /* everybody is */
	size_t held_bytes;

	struct list catalog_queue, catalog_retry;
	bool catalog_busy;
	uint64_t catalog_submitted, catalog_durable, catalog_numbers;

	struct checkpoint checkpoint;
	uint64_t hold_floor; /* records from here on are held for failed spools; UINT64_MAX: none are */
	unsigned holds;
	struct list deletions;
	bool held_for_good;  /* a sync of what was to be rescued failed: only recovery helps */
	struct list rescues; /* those that failed otherwise, until the next look at the space */

	uint64_t free_bytes, total_bytes, space_read_ms;
	bool space_reading, storage_full;
	struct timer space_timer, fill_timer;

	struct list readers;
	uint64_t reader_next;
	unsigned reader_count;

	struct following following;
	struct jobs jobs;
	struct fetching fetching;
	struct notifying notifying;
	struct pushing *pushing;   /* owned */
	struct list event_watches; /* struct engine_watch: who hears of new events */
	int64_t event_last;	   /* sequence of the newest event that they heard of */
	struct retention retention;
	struct shows shows;
	struct batches batches;
	struct limits limits;
	struct uploads uploads;
	struct authorities authorities;

	uint64_t bytes_received, bytes_durable;
	bool listening, stopping, failed;
	uint64_t stop_checkpoints;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* engine.c */
/* Reads the time that a caller brought: monotonic, but for stretches in which the process itself stood still. */
void engine_clock(struct engine *e, struct now now);
void engine_fail(struct engine *e, enum err err, const char *what);
void engine_rearm_conn(struct engine *e, struct conn *c);
void engine_rearm_take(struct engine *e, struct take *t);
/* Memory that must be there: aborts when it is not. */
void *must(void *memory);
int64_t engine_wall(const struct engine *e);
struct uuid engine_new_id(struct engine *e); /* of a new recording */

/* takes.c */
struct take *take_by_id(struct engine *e, const struct uuid *id);
struct take *take_by_key(struct engine *e, const char *principal, const char *session_id);
/* A take in memory from a row; takes `info` over. */
struct take *take_adopt(struct engine *e, struct recording_info *info);
struct track_io *take_io(struct engine *e, struct take *t, uint16_t number);
/* Gives waiters the take of this reference, from memory or the catalog; ERR_NOT_FOUND to those who ask for none. */
void take_want(struct engine *e, struct engine_ref ref, struct waiter *w);
/* … or of a start: the principal's own, else one of `local`, else made (`info` is taken over and names principal and
 * session). */
void take_start(struct engine *e, struct recording_info *info, const struct grant *grant, struct waiter *w);
void take_wait(struct take *t, struct waiter *w);
/* Everything that waits may try again. */
void take_wake(struct engine *e, struct take *t, enum err err);
void take_pin(struct take *t);
void take_unpin(struct engine *e, struct take *t);
bool take_finished(const struct take *t);
/* Its spools and its manifest hold all that memory has, synced. */
bool take_clean(const struct take *t);
/* Out of memory with it, if nothing needs it there: finished, clean, nobody at it. */
void take_evict(struct engine *e, struct take *t);
void take_free(struct engine *e, struct take *t);
/* What is on the disk of a deleted recording, durably. Blocking. */
enum err recording_remove_files(struct vfs *vfs, const struct uuid *id);

/* removing.c. The bytes of a deleted recording go once nothing works on them. */
void take_remove_files(struct engine *e, struct take *t);

/* effects.c */
void effects_run(struct engine *e, struct take *t);
/* The catalog has what the newest record says, or the take is out of use. */
void take_logged_clear(struct take *t);

/* receiving.c */
/* Keeps media of the connection, unmasked, until it can be taken, behind what is held already. */
void conn_hold(struct engine *e, struct conn *c, struct engine_media media);
/* What was held may go on, at the end of this turn. */
void conn_unblock(struct engine *e, struct conn *c);
void conns_ready(struct engine *e);

/* conns.c */
void conn_message(struct engine *e, struct conn *c, const char *text, size_t len);
struct conn *conn_find(struct engine *e, uint64_t id);
void conn_detach(struct engine *e, struct conn *c);
void conn_pause_update(struct engine *e, struct conn *c);
/* Who is not read from at the moment is not silent. */
void conns_unread(struct engine *e, struct take *t);
/* `started` leaves once its track has room. */
void conn_send_started(struct engine *e, struct conn *c);
/* `saved` and `aborted`: the connection is free. */
void conn_send_saved(struct engine *e, struct conn *c, struct take *t, uint16_t track);
void conn_send_aborted(struct engine *e, struct conn *c, struct take *t);
void conn_error(struct engine *e, struct conn *c, enum err err, const char *detail, uint64_t bytes);

/* granting.c */
/* May the grant read or change it? `by_session`: it was asked for by the name that only its client knows. */
enum err take_judge(const struct take *t, const struct grant *g, enum grant_use use, bool by_session);
bool ref_by_session(const char *text);
/* A last word, and the connection is closed: nothing more is taken from it. */
void conn_cut(struct engine *e, struct conn *c, enum err err);
/* Would its take be larger than the token allows, all tracks together? */
bool conn_above_quota(const struct conn *c, const struct take *t, uint64_t len);

/* starts.c */
/* The connection has its track: binds it, and sees to room for its bytes. */
void conn_bind(struct engine *e, struct conn *c, struct take *t, uint16_t track);
void conn_start(struct engine *e, struct conn *c, const struct message_start *m);

/* appends.c */
/* True when `len` more bytes fit into memory and the track's reservation. */
bool append_fits(struct engine *e, struct track_io *io, size_t len);
/* Copies accepted bytes behind what is there; append_fits was true. `end`: the track's accepted length with them. */
void append_copy(struct engine *e, struct track_io *io, struct engine_media media, uint64_t end);
/* Gives everything that gathered to the journal, if no commit is under way. */
void append_pump(struct engine *e);
void append_durable(struct engine *e, uint64_t sequence);
/* Everything up to this sequence is durable, and its takes have been told. */
uint64_t append_settled(const struct engine *e);
void in_flight_push(struct engine *e, struct in_flight item);
/* Below so many free blocks reading stops. */
static inline uint32_t append_low(const struct engine *e)
{
	return e->pool.count / 8;
}
/* Stops or starts reading for all, by how much memory and journal are left. */
void append_pressure(struct engine *e);
/* Pieces of the chain that cover [from, to): into iov (of max), returns how many. */
int chain_iov(const struct chain *c, uint64_t from, uint64_t to, struct iovec *iov, int max);
/* Gives back the blocks of the track that neither the spool nor the journal needs any more. */
void chain_settle(struct engine *e, struct track_io *io);
void chain_release_below(struct engine *e, struct chain *c, uint64_t offset);
void chain_free(struct engine *e, struct chain *c);

/* spooling.c */
/* Opens and reserves ahead of need. */
void spool_want_room(struct engine *e, struct track_io *io);
bool spool_has_room(const struct track_io *io, uint64_t end); /* up to there, or for all there will be */
void spool_update(struct engine *e, struct track_io *io);
/* Starts writes while memory or somebody wants them. */
void spool_pump(struct engine *e);
void spool_flush(struct engine *e, struct track_io *io, uint64_t to);
void spool_large_append(struct engine *e, struct track_io *io);

/* hashing.c */
void spool_hash_begin(struct track_io *io);
void spool_hash(struct engine *e, struct track_io *io);
/* Goes on with a seal that waited for a write or a reservation. */
void spool_hash_finish(struct engine *e, struct track_io *io);

/* failing.c */
void spool_failed(struct engine *e, struct track_io *io, enum err err);
/* Of a take whose storage failed only what its spool holds for sure may be served; the rest is in quarantine. */
void spool_failed_lengths(const struct take *t, struct recording_info *info);
void rescue_again(struct engine *e);
/* Frees one that waits and will not be done (engine_close). */
void rescue_drop(struct list *link);

/* checkpoint.c */
void checkpoint_maybe(struct engine *e);
void checkpoint_begin(struct engine *e);
/* A spool went on, or a take left: what waited for it may. */
void checkpoint_pump(struct engine *e);
/* Frees a part of a checkpoint that will not be done (engine_close). */
void checkpoint_drop(struct engine *e, struct list *link);
void checkpoint_durable(struct engine *e, uint64_t sequence);
enum err checkpoint_tracks(struct engine *e, struct checkpoint_track **out, size_t *count);

/* space.c */
void space_check(struct engine *e);
bool space_refuses_new(const struct engine *e);
/* What is kept free, and the part of it below which running takes are stopped. */
uint64_t space_reserve(const struct engine *e);
uint64_t space_floor(const struct engine *e);
void space_full(struct engine *e);

/* catalogue.c */
uint64_t catalog_submit(struct engine *e, struct catalog_op *op);
void catalog_pump(struct engine *e);
/* It failed: it goes to the queue again when space_check finds space, and what comes behind it on its take with it. */
void catalog_again(struct engine *e, struct catalog_op *op);
/* A job changed a row past the take's machine: the take in memory, if there is one, and its followers hear of it. */
void take_row(struct engine *e, const struct recording_info *row);
/* … only what is shown of it changed (progress). */
void take_row_told(struct engine *e, const struct recording_info *row);

/* requests.c, reads.c */
void readers_free(struct engine *e);

/* events.c. Catalog lane, behind each transaction while somebody watches: *last is the outbox's newest sequence. */
void events_look(struct catalog *c, int64_t *last);
/* Loop: wakes who watches, if there are newer events than they heard of. */
void events_wake(struct engine *e, int64_t last);

/* recover.c */
enum err engine_recover(struct engine *e);

/* subscriptions.c */
void follow_init(struct engine *e);
void follow_release(struct engine *e);
void conn_subscribe(struct engine *e, struct conn *c, const struct message_subscribe *m);
/* It was refused: says so, and leaves the take alone. */
void conn_subscribe_refuse(struct engine *e, struct conn *c, enum err err, const char *detail,
			   const struct message_subscribe *m);
void follow_conn_closed(struct engine *e, struct conn *c);
/* Does any of its subscriptions stand on this token? `f` may be NULL. */
bool follow_under(const struct follow *f, const char *token_id);
/* The take shows something else now. */
void follow_change(struct engine *e, struct take *t);
/* … one that is not in memory; its row says it. */
void follow_change_row(struct engine *e, const struct recording_info *row);
/* … if it does, compared to what was passed on last. */
void follow_compare(struct engine *e, struct take *t);
void follow_bytes(struct engine *e, struct take *t);
static inline void follow_look(struct engine *e, struct take *t)
{
	if (e->following.count > 0)
		follow_compare(e, t);
}
static inline void follow_grew(struct engine *e, struct take *t)
{
	if (e->following.count > 0)
		follow_bytes(e, t);
}
/* What it shows was not changed just now: it was read. */
void follow_seen(struct take *t);
/* It leaves memory. */
void follow_gone(struct engine *e, struct take *t);
/* More is durable. */
void follow_settled(struct engine *e);
/* The end of a turn: passes on what changed, and tells what there is room for. */
void follow_turn(struct engine *e);

/* retention.c */
void retention_listen(struct engine *e); /* the server has started */
void retention_due(struct engine *e);
static inline bool retention_busy(const struct engine *e)
{
	return e->retention.looking || e->retention.at_work > 0;
}

/* json.c. `live` NULL: it is not in memory. `reader`: who is shown it; NULL: one who knows its session. */
void recording_json(const struct engine *e, struct buf *out, const struct recording_info *info,
		    const struct recording *live, const struct grant *reader);

#endif
