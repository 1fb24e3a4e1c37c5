/* The simulated world: one server process that starts, dies and stops, the disk under it, the network before it, and
 * what its clients were promised. Everything runs on one thread; sim.h decides when. */
#ifndef HOLDFAST_SIM_WORLD_H
#define HOLDFAST_SIM_WORLD_H

#include "disk.h"
#include "engine/engine.h"
#include "exec_sim.h"
#include "sim.h"

#include <jansson.h>

enum {
	TAKES = 12,
	TRACKS = 3,
	CLIENTS = 32,
	WATCHERS = 4,
	SIM_WORKERS = 3,
	LINKS = 4096,
	ID_TEXT = UUID_TEXT,
	LATE_FOR_EVER = 3600 * 1000, /* a late resume that no seed outlives, ms */
};

/* What the server said, parsed. */
enum said {
	SAID_STARTED,
	SAID_ACK,
	SAID_SAVED,
	SAID_ABORTED,
	SAID_ERROR,
	SAID_STATUS,
	SAID_SUBSCRIBED,
	SAID_MOVED,
	SAID_STOPPED,
	SAID_NOT_SUBSCRIBED,
	SAID_OTHER
};

struct message_in {
	enum said said;
	char id[ID_TEXT];
	uint64_t bytes; /* BYTES_UNKNOWN: absent */
	bool resumed, retry, has_sha256;
	uint8_t sha256[32];
	char code[40];
	uint32_t version; /* of a show; 0: absent */
	char session[48];
	uint64_t from;	  /* where it was moved */
	const char *text; /* of a status, as it came */
};

/* One track of a take: the truth, what the server took in, and what it promised. */
struct track_truth {
	char name[16];
	uint64_t content, total; /* what the client records */
	uint64_t shift;		 /* its byte 0 is this one of the content: of a show's version */
	uint64_t delivered;	 /* handed to the engine: the most that it can have */
	uint64_t promised;	 /* said to be durable, to anyone */
	uint64_t last_part;	 /* a part boundary behind which bytes were acked, or 0 */
	bool saved;
	uint64_t saved_bytes;
	uint8_t saved_sha256[32];
	bool end_delivered; /* an `end` reached the server */
	bool known;	    /* `started` was said of it */
	bool final;	    /* saved for good: only grace may be resumed */
};

enum fate { /* what else happens to a take while its client records */
	    FATE_NONE,
	    FATE_ABORT,	       /* its client gives it up half-way */
	    FATE_DELETE,       /* somebody deletes it */
	    FATE_COMPLETE,     /* somebody declares it complete as it stands */
	    FATE_COMPLETE_ALL, /* many declare it complete, with its totals */
	    FATE_WRONG_SHA,    /* its client is wrong about its own checksum */
	    FATE_SILENT_END,   /* its client never says `end`: grace must seal it */
};

struct take_truth {
	char session[48], id[ID_TEXT]; /* id "" until known */
	bool honest;
	enum fate fate;
	unsigned track_count;
	struct track_truth tracks[TRACKS];
	/* said or seen */
	bool completed_bare; /* complete without totals reached the server */
	bool completed;	     /* any complete did */
	bool deleting, deleted, aborting, aborted;
	bool in_error;	      /* phase error was seen or said */
	uint32_t revision;    /* the highest seen */
	uint32_t published;   /* the highest whose file was seen */
	unsigned attached;    /* links that were told `started` and not detached since */
	uint64_t detached_us; /* when the last of them left */
	bool may_be_sealed;   /* grace may have run out since the last `started` */
	unsigned begun;	      /* complete answered `started` so often */
	bool told_error;      /* a status said so */
	unsigned failures;    /* attempts to finish it that came to nothing */
	bool work_error;      /* … and it was seen in error for that */
	uint32_t told_open;   /* a status said that it is open again behind this revision */
	bool on_air;	      /* a show's version: it fails with a full disk, too */
	bool late_hash;	      /* an upload: its tracks' hashes are known when it is finished … */
	bool early_hash;      /* … or earlier: somebody said one */
	/* a liar's: what was read once stays */
	uint64_t read_bytes, read_hash;
};

struct world;
struct link;
struct outside;
struct onair;
struct uploaders;
struct host;
struct air_take;

/* A program at the other end of a link. */
struct peer {
	void (*opened)(void *arg, struct link *link);
	void (*message)(void *arg, struct link *link, const struct message_in *m);
	void (*closed)(void *arg, struct link *link);
};

enum crash { CRASH_KILL, CRASH_POWER };

/* How much of what the seeds made happen: a fault that never strikes proves nothing. */
#define TALLY_TABLE(X)                                                                                                 \
	X(STARTS, "starts")                                                                                            \
	X(KILLS, "kills")                                                                                              \
	X(POWER_CUTS, "power cuts")                                                                                    \
	X(STOPS, "clean stops")                                                                                        \
	X(FATALS, "failed syncs")                                                                                      \
	X(CUTS, "cut links")                                                                                           \
	X(STARTED, "started")                                                                                          \
	X(RESUMED, "resumed")                                                                                          \
	X(ACKS, "acks")                                                                                                \
	X(SAVED, "saved")                                                                                              \
	X(ERRORS, "errors")                                                                                            \
	X(TAKEN_OVER, "taken over")                                                                                    \
	X(FULL, "storage full")                                                                                        \
	X(PAUSES, "pauses")                                                                                            \
	X(CHECKPOINTS, "checkpoints")                                                                                  \
	X(REVISIONS, "second revisions")                                                                               \
	X(STATUSES, "statuses")                                                                                        \
	X(FOLDS, "times without room")                                                                                 \
	X(READS, "pieces read back")                                                                                   \
	X(LEASES, "leases")                                                                                            \
	X(HASHED, "hashed by a worker")                                                                                \
	X(HASH_DIFFERS, "uploads that differ from their SHA-256")                                                      \
	X(FINISHED, "finished")                                                                                        \
	X(WORKERS_KILLED, "workers killed")                                                                            \
	X(WORK_ERRORS, "given up")                                                                                     \
	X(QUESTIONS, "questions for files")                                                                            \
	X(FETCHES, "fetches")                                                                                          \
	X(SOURCE_ENDS, "fetched")                                                                                      \
	X(SOURCE_FAILURES, "failed sources")                                                                           \
	X(RANGES, "resumed by range")                                                                                  \
	X(COMPARED, "compared from the start")                                                                         \
	X(WEBHOOKS, "webhooks")                                                                                        \
	X(REPEATS, "repeated webhooks")                                                                                \
	X(PARKED, "parked")                                                                                            \
	X(EVENTS, "events followed")                                                                                   \
	X(PUSH_STEPS, "steps of pushes")                                                                               \
	X(PUSH_FAILURES, "failed or lost")                                                                             \
	X(PUSH_CLEARED, "looks for uploads")                                                                           \
	X(PUSHED, "pushed")                                                                                            \
	X(ORIGINALS, "originals removed")                                                                              \
	X(EXPIRED, "recordings removed")                                                                               \
	X(HOSTED, "hosts on air")                                                                                      \
	X(VERSIONS, "versions")                                                                                        \
	X(VERSIONS_AGAIN, "versions resumed late")                                                                     \
	X(VERSIONS_FAILED, "versions failed")                                                                          \
	X(MOVED, "moved")                                                                                              \
	X(STOPPED, "shows stopped")                                                                                    \
	X(SLICES, "slices acked")                                                                                      \
	X(HEARD, "pieces heard")                                                                                       \
	X(UPLOAD_REQUESTS, "requests with bytes")                                                                      \
	X(UPLOAD_REFUSALS, "refused")                                                                                  \
	X(UPLOAD_CUTS, "cut")                                                                                          \
	X(UPLOADED, "uploaded")                                                                                        \
	X(STEPS, "steps")

enum tally_item {
#define X(name, text) TALLY_##name,
	TALLY_TABLE(X)
#undef X
		TALLY_COUNT
};

struct tally {
	uint64_t counts[TALLY_COUNT];
};

/* What a seed lets happen. */
struct plan {
	unsigned takes;
	bool cuts, half_open, kills, powers, stops, full, bad_writes, bad_syncs, slow, jumps, liars, deaf;
	bool burst;	  /* few large takes that come at once, and crashes amid them */
	bool at_calls;	  /* the process also dies inside of disk calls */
	uint64_t calm_us; /* when the faults end */
	uint32_t grace_ms, heartbeat_ms, segment_bytes;
	uint64_t late_ms, memory_bytes, journal_bytes, reserve_bytes, capacity;
	bool hash_early;
	enum journal_io io;
	uint64_t latency_us;
	unsigned watchers;
	unsigned workers; /* 0: nobody serves the queue */
	bool breakdowns;  /* … and at times none can be started */
	uint32_t lease_ms;
	unsigned imports; /* recordings that are fetched */
	bool notifies;	  /* there is a webhook */
	bool pushes;	  /* there is a bucket */
	uint64_t push_part_bytes;
	uint64_t fetch_ms;
	uint32_t queue_wait_ms;
	uint64_t retain_originals_ms, retain_ms; /* UINT64_MAX: for ever */
	unsigned cursed;			 /* the take that nobody can finish before the calm, from 1; 0: none */
	unsigned shows;
	bool takeover; /* another principal takes a show on air over */
	bool tight;    /* the disk is full for moments */
	unsigned uploads;
	unsigned batches;
};

struct world {
	struct sim sim;
	struct plan plan;
	struct rng net_rng, client_rng, engine_rng, work_rng;
	struct disk *disk;
	struct exec_sim *exec;
	struct engine *engine; /* NULL: down */
	struct sim_workers *workers;
	struct outside *outside;
	struct onair *onair;
	struct uploaders *uploaders;
	bool workers_broken;
	unsigned failures; /* attempts that came to nothing, of recordings whose id nobody knows yet */
	unsigned life;	   /* which server process this is */
	bool up;	   /* listening */
	bool stopping, stopped, fatal, calm;
	bool start_planned, ending;
	uint64_t listen_us, turn_at;
	uint64_t crash_at_send; /* dies right behind this many sends more; 0: not */
	unsigned asking;	/* calls of the engine without an answer */
	unsigned open_requests; /* requests, which may be several calls */
	struct tally tally;
	uint64_t checkpoints; /* of this process */
	struct take_truth takes[TAKES];
	struct link *links[LINKS];
	unsigned link_count, first_link;
	struct watcher *watchers[WATCHERS];
	unsigned statuses; /* in this second */
	uint64_t status_second;
	bool quiet; /* nothing changes any more: statuses and states must be the same */
	struct client *clients[CLIENTS];
	unsigned client_count;
};

/* world.c: the process */
void world_init(struct world *w, uint64_t seed, bool trace);
void world_release(struct world *w);
void world_tally(struct world *w, enum tally_item item);
struct now world_now(const struct world *w);
/* The engine was touched: the end of a loop turn is due. */
void world_touched(struct world *w);
/* Runs until `until_us`, or until done(w). */
void world_run(struct world *w, uint64_t until_us, bool (*done)(struct world *w));
void world_start(struct world *w);
void world_crash(struct world *w, enum crash crash);
/* Asks for a clean stop; the world closes the engine once it is done. */
void world_stop(struct world *w);
bool world_down(struct world *w);

/* plan.c: what the seed lets happen, and when */
void plan_make(struct world *w);
void plan_begin(struct world *w);

/* net.c: links between clients and the engine */
struct link *link_open(struct world *w, const struct peer *peer, void *arg, struct take_truth *take, unsigned track);
void link_text(struct link *link, const char *text, size_t len);
/* [off, off + len) of a content as one binary message. */
void link_binary(struct link *link, uint64_t content, uint64_t off, size_t len);
/* The client hangs up: what is on its way still arrives, perhaps. */
void link_hang_up(struct link *link);
/* The link breaks; with `silent` nobody is told. */
void link_cut(struct link *link, bool silent);
bool link_usable(const struct link *link);
uint64_t link_heard_us(const struct link *link);
bool link_silent(const struct link *link);
struct world *link_world(const struct link *link);
struct take_truth *link_take(const struct link *link);
unsigned link_track(const struct link *link);
/* The server told it `started` and has not detached it since. */
bool *link_told(struct link *link);
void link_set_take(struct link *link, struct take_truth *take, unsigned track);
/* Its client reads nothing for a while. */
void link_read(struct link *link, bool reading);
/* Takes, by their bits: those it was told of, and those it must be told of before the next `subscribed`. */
unsigned *link_told_of(struct link *link);
unsigned *link_owed(struct link *link);
/* What a link is to a show: as whom its host opens it, and what the server said there. */
struct air_link {
	struct host *host; /* NULL: it is none's */
	struct grant grant;
	struct air_take *take; /* of its last start, once it is known */
	uint32_t version;      /* it was told so */
	unsigned starts;       /* delivered, and not answered yet */
	unsigned stops;	       /* delivered, and not answered yet */
	bool may_stop;	       /* it was told `started`, so its show may be ended */
	bool ordinary;	       /* its take is not on air any more, and goes on as a recording */
};
struct air_link *link_air(struct link *link);
/* A random one that is open, or NULL. */
struct link *link_pick(struct world *w);
void net_callbacks(struct world *w, struct engine_callbacks *out);
/* The server process is gone. */
void net_crashed(struct world *w);

/* wire.c: a message of the server */
void wire_parse(struct world *w, const char *text, size_t len, struct message_in *out);

/* client.c, liar.c */
void clients_begin(struct world *w);
bool clients_done(struct world *w);
void liars_begin(struct world *w);
/* The first client that is not done, for the report of a broken liveness. */
void clients_describe(struct world *w, char *out, size_t size);

/* watcher.c: they follow recordings */
void watchers_begin(struct world *w);
/* The state of a take as it was answered, when all is quiet. */
void watchers_compare(struct world *w, const struct take_truth *take, const json_t *state);
void watchers_check(struct world *w);

/* worker.c: those who finish what was recorded */
struct workers;
void workers_init(struct world *w);
void workers_begin(struct world *w);
struct workers *workers_base(struct world *w);
/* One of them could take a job. */
bool workers_alive(const struct world *w);
/* The server process is gone, and they with it. */
void workers_gone(struct world *w);
/* Nothing is queued or at work. */
bool workers_idle(struct world *w);

/* caller.c: requests over HTTP */
void callers_begin(struct world *w);
/* Asks for every take, and reads each back and compares; over when world.open_requests is 0. */
void callers_check_all(struct world *w);

/* oracle.c: what was promised */
void oracle_sent(struct world *w, struct link *link, const struct message_in *m);
/* A subscription to all reached the server. */
void oracle_subscribes(struct world *w, struct link *link);
void oracle_delivered(struct world *w, struct link *link, uint64_t off, uint64_t len);
void oracle_detached(struct world *w, struct link *link);
void oracle_listening(struct world *w);
void oracle_crashed(struct world *w);
void oracle_step(struct world *w);
/* What was known of a take when somebody asked for it: the answer must not say less. */
struct known {
	uint64_t promised;
	uint32_t revision, open, published;
	bool saved, aborted, deleted, error;
};
void oracle_know(const struct take_truth *take, struct known *out);
void oracle_status(struct world *w, struct take_truth *take, const struct known *known, const json_t *json);
/* In `error` because finishing it failed: all of it is sealed. */
bool oracle_work_error(const json_t *status);
bool oracle_may_abort(const struct take_truth *take);
uint64_t oracle_delivered_sum(const struct take_truth *take);
/* Storage failed under some takes: those may be in `error`. */
bool oracle_excused(const struct world *w, const struct take_truth *take);
/* When all clients are done: each honest take came to its end. */
void oracle_final(struct world *w);
/* audit_work.c: the events, jobs and published files of one of them. */
struct recording_info;
void audit_work(struct world *w, struct catalog *catalog, const struct take_truth *take,
		const struct recording_info *row);
void audit_take(struct world *w, struct catalog *catalog, const struct take_truth *take);
/* Takes the files and the catalog apart after a clean stop. */
void oracle_audit(struct world *w);

#endif
