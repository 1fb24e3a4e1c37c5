/* The engine: takes recordings in and keeps the promises. The one face that the network sees.
 *
 * It owns every take at work, performs what the core's machines decide, and is the only part that knows core, store and
 * threads together. All functions are called on the loop thread and never block, but engine_open and engine_close
 * (start-up and stop). Callbacks come on the loop thread, from engine_turn and from completions; inside one, any
 * function here may be called but engine_close.
 *
 * Replies leave through callbacks->send only, and only when what they promise is durable (reply.h). */
#ifndef HOLDFAST_ENGINE_ENGINE_H
#define HOLDFAST_ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/exec.h"
#include "base/list.h"
#include "core/model.h"
#include "core/serving.h"
#include "store/catalog.h"
#include "store/journal.h"
#include "store/vfs.h"

struct authority;
struct broadcast;
struct engine;
struct fetcher;
struct notifier;
struct pusher;
struct workers;

/* The time, read once per loop turn: monotonic for timers, wall clock for people. */
struct now {
	uint64_t mono_ms;
	int64_t wall_ms;
};

enum engine_close_code { /* WebSocket close codes */
			 ENGINE_CLOSE_NORMAL = 1000,
			 ENGINE_CLOSE_GOING_AWAY = 1001,
			 ENGINE_CLOSE_POLICY = 1008,
			 ENGINE_CLOSE_TRY_LATER = 1013,
};

struct engine_callbacks {
	/* Queue a text message to the connection; copied by the callee. `is_ack`: may replace an unsent ack right
	 * before it (positions only grow). */
	void (*send)(void *arg, uint64_t conn, const char *text, size_t len, bool is_ack);
	/* Send what is queued, then close. engine_conn_closed still follows from the network. */
	void (*close)(void *arg, uint64_t conn, enum engine_close_code code);
	/* Stop or go on reading from one connection: nothing that was delivered is ever dropped. */
	void (*pause)(void *arg, uint64_t conn, bool paused);
	void (*ping)(void *arg, uint64_t conn);
	/* May a status be sent, because hardly anything sent before waits for the peer? After a false
	 * engine_conn_drained comes when all is sent. What is newest is told then: slow readers are sent less, not
	 * later. */
	bool (*roomy)(void *arg, uint64_t conn);
	/* More of a show is there for its listeners, or its end. NULL: of no interest. */
	void (*air)(void *arg, struct broadcast *b);
	/* A message brought a token that counts: somebody known is there. NULL: of no interest. */
	void (*known)(void *arg, uint64_t conn);
	/* A sync failed or storage can't be trusted any more: say so and end the process with a failure. Nothing is
	 * acked after this. */
	void (*fatal)(void *arg, enum err err, const char *what);
	void *arg;
};

struct engine_config {
	struct vfs *vfs;
	struct exec *exec;
	struct catalog *catalog; /* owned by the engine from engine_open on */
	struct engine_callbacks callbacks;
	uint64_t memory_bytes;	/* --memory */
	uint64_t journal_bytes; /* --journal-size */
	uint32_t segment_bytes; /* 0: what suits journal_bytes */
	enum journal_io journal_io;
	uint32_t grace_ms, heartbeat_ms;
	uint64_t late_resume_ms;
	uint64_t upload_expires_ms; /* 0: LIMIT_UPLOAD_EXPIRES_MS */
	/* new recordings and items of each principal but `local` that has no limit of its own; per_s 0: no limit */
	uint32_t rate_per_s, rate_burst;
	bool takeover;		/* a show on air: another principal takes over; else it is refused */
	bool hash_early;	/* SHA-256 while bytes come in; else read back at the seal */
	uint64_t reserve_bytes; /* free space kept; 0: the default rule */
	void (*random)(void *arg, void *out, size_t len);
	void *random_arg;
	/* What a token in a message allows; never blocks. ERR_UNAUTHORIZED, ERR_TOKEN_EXPIRED, ERR_TOKEN_REVOKED. NULL:
	 * no token is known. */
	enum err (*grant)(void *arg, const char *token, struct grant *out);
	void *grant_arg;
	struct authority *authority;  /* is asked about tokens that are none of ours; NULL: there is none */
	struct workers *workers;      /* finalize jobs; NULL: nobody serves their queue. work/worker.h */
	unsigned worker_count;	      /* its slots */
	struct fetcher *fetcher;      /* NULL: recordings by URL are refused with NOT_SUPPORTED */
	uint64_t fetch_ms;	      /* an attempt to fetch takes no longer; 0: LIMIT_FETCH_MS */
	struct notifier *notifier;    /* NULL: there is no webhook */
	struct pusher *pusher;	      /* NULL: nothing is pushed. work/pusher.h */
	uint64_t push_part_bytes;     /* 0: LIMIT_PUSH_PART_BYTES */
	uint32_t lease_ms;	      /* 0: LIMIT_LEASE_MS */
	uint32_t queue_wait_ms;	      /* 0: LIMIT_QUEUE_WAIT_MS */
	uint64_t retain_originals_ms; /* after completion; UINT64_MAX: for ever */
	uint64_t retain_ms;	      /* whole recordings likewise */
	/* Called again and again while engine_open waits for its own work on the lanes: runs completions, may block
	 * until there is one. */
	void (*pump)(void *arg);
	void *pump_arg;
};

struct engine_recovery {	 /* what start-up found, for the log and for verify */
	uint64_t records, bytes; /* replayed */
	unsigned takes, quarantined, damaged;
};

/* Opens the journal, recovers, and leaves a server that may listen. Blocking. On error nothing is left open. */
enum err engine_open(const struct engine_config *config, struct now now, struct engine **out);
const struct engine_recovery *engine_recovery(const struct engine *e);

/* The server listens now: every unfinished take gets a full grace from here. */
void engine_listening(struct engine *e, struct now now);

/* It is so late now. To be said before completions run: they may begin or end what is timed. */
void engine_time(struct engine *e, struct now now);
/* At the end of every loop turn: runs what is due, starts a commit of what gathered. */
void engine_turn(struct engine *e, struct now now);
/* When engine_turn must be called next at the latest (monotonic ms), UINT64_MAX for never. */
uint64_t engine_next_wake(const struct engine *e);

/* Connections. Ids are never reused; 0 is none. `grant` is copied; NULL: nobody is known yet, and its messages must
 * bring a token. After engine_conn_closed the id is unknown and no callback names it. Unknown ids are ignored
 * everywhere. */
uint64_t engine_conn_open(struct engine *e, const struct grant *grant, struct now now);
/* What its questions to an outside authority have as their origin (engine_asked). */
void engine_conn_origin(struct engine *e, uint64_t conn, uint64_t origin);
void engine_conn_text(struct engine *e, uint64_t conn, const char *text, size_t len, struct now now);
/* A piece of a binary message (or all of it); empty ones are legal. It may still be masked as WebSocket clients do: it
 * is unmasked where it is copied anyway (mask_copy; zeros: it is not masked). */
struct engine_media {
	const void *data;
	size_t len;
	uint8_t mask[4];
	uint64_t follows; /* known to follow of the same message: what is above a token's limit is refused whole */
};
void engine_conn_media(struct engine *e, uint64_t conn, struct engine_media media, struct now now);
/* How much media the connection's take can take at once; 0 when it can't now. To be asked before a large read. */
size_t engine_conn_room(struct engine *e, uint64_t conn);
/* Anything came from the peer that is not one of the above (a pong, a piece of a frame). */
void engine_conn_alive(struct engine *e, uint64_t conn, struct now now);
/* callbacks->roomy said no, and all is sent now. */
void engine_conn_drained(struct engine *e, uint64_t conn, struct now now);
void engine_conn_closed(struct engine *e, uint64_t conn, struct now now);
/* The network refuses something on the connection (a text message above the limit): answered and detached as any error.
 */
void engine_conn_error(struct engine *e, uint64_t conn, enum err err, struct now now);

/* The token counts no longer: connections that were opened or work under it are told token_revoked and closed. */
void engine_revoke(struct engine *e, const char *token_id, struct now now);

/* What a token that is none of ours allows, as an outside authority (--auth-url) says. ERR_OK: *out; ERR_UNAUTHORIZED:
 * it says no, or there is none to ask; AUTHORITY_FAILED: too many are asked about already; SHUTTING_DOWN. ERR_BUSY: it
 * is asked, and asked->done comes later, once, with ERR_OK and the grant, or with one of these, unless
 * engine_authority_leave came before. `asked` NULL: nothing is asked. */
struct engine_asked {
	struct list link;
	uint64_t origin; /* a number for the address that asks, which has a share of the questions; 0: it has no bounds
			  */
	void (*done)(void *arg, enum err err, const struct grant *grant);
	void *arg;
};
enum err engine_authority(struct engine *e, const char *token, struct engine_asked *asked, struct grant *out,
			  struct now now);
void engine_authority_leave(struct engine_asked *asked);
/* What it said of a subject (NULL: of everybody) is forgotten: `done` comes for each token of whom that was, and, when
 * that is durable, with NULL. Connections go on. */
void engine_authority_forget(struct engine *e, const char *subject,
			     void (*done)(void *arg, enum err err, const char *token_id), void *arg);

/* Requests: each answers its callback exactly once, perhaps before it returns. What the grant does not let see is
 * ERR_NOT_FOUND, what it lets see but not change, or a grant without any scope for it, ERR_FORBIDDEN_SCOPE. */

/* {id} of a route: a UUID, "session:…" or "ref:…". ERR_NOT_FOUND for what is none. A session is the subject's own, else
 * one of `local`: who knows its name may go on with it as with his own. Both are copied. */
struct engine_ref {
	const char *text;
	const struct grant *grant;
};

/* `json` is the recording's object (design.md section 2), valid during the call; with an error NULL. */
typedef void engine_json_fn(void *arg, enum err err, const char *json, size_t len);
void engine_get(struct engine *e, struct engine_ref ref, engine_json_fn *done, void *arg);
/* `before`: the cursor `next` of the page before, or NULL. */
struct engine_query {
	const struct grant *grant;
	const char *search, *phase, *before, *show, *batch;
};
void engine_list(struct engine *e, const struct engine_query *query, engine_json_fn *done, void *arg);
void engine_rename(struct engine *e, struct engine_ref ref, const char *name, engine_json_fn *done, void *arg);
void engine_delete(struct engine *e, struct engine_ref ref, engine_json_fn *done, void *arg);

struct engine_total {
	const char *track; /* NULL: main */
	uint64_t bytes;
	bool has_sha256;
	struct sha256 sha256;
};
/* POST …/complete. `json` is the whole body, also with an error (a problem object with what is missing): its `status`
 * is the status to answer with, its `retryAfter`, if it has one, goes into the Retry-After header (seconds). */
void engine_complete(struct engine *e, struct engine_ref ref, const struct engine_total *totals, size_t count,
		     engine_json_fn *done, void *arg);

/* Downloads of the bytes as received. `open` answers with what the response's head needs; then pieces are read one at a
 * time; `close` may come at any time, also while a read is under way (its callback then does not come). */
struct engine_original {
	uint64_t reader; /* for engine_read and engine_reader_close */
	uint64_t bytes;	 /* durable now; the response holds exactly these */
	bool sealed;
	char etag[96];	    /* with quotes; names the content, of a published file its revision too */
	char mime[256];	    /* declared by the client: judge before sending */
	char filename[256]; /* made of the id and the extension only */
};
void engine_original(struct engine *e, struct engine_ref ref, const char *track,
		     void (*done)(void *arg, enum err err, const struct engine_original *original), void *arg);
/* (engine_download below is how HTTP asks for any of them.) At most LIMIT_READ_BYTES from `offset`; the data is valid
 * during the callback. */
void engine_read(struct engine *e, uint64_t reader, uint64_t offset, size_t len,
		 void (*done)(void *arg, enum err err, const void *data, size_t len), void *arg);
void engine_reader_close(struct engine *e, uint64_t reader);

/* Any resource of a recording, by the table of core/serving.h. `serving.status` 200: `file` is open for engine_read as
 * with engine_original; else `body` is the JSON to answer with: for 202 {phase, attempt, attempts, progress, …}, else a
 * problem object. A 202 may begin a fetch. `track` is for RESOURCE_ORIGINAL. */
typedef void engine_download_fn(void *arg, const struct serving *serving, const struct engine_original *file,
				const char *body, size_t len);
void engine_download(struct engine *e, struct engine_ref ref, enum resource resource, const char *track,
		     engine_download_fn *done, void *arg);

/* A recording whose bytes are fetched. Answers with its object; *created: it is new. By a `ref` that is known the one
 * that there is: ERR_OK if its URL is the same, else ERR_EXISTS. URL_REFUSED, STORAGE_FULL, NOT_SUPPORTED,
 * FORBIDDEN_SCOPE. */
struct engine_source {
	const struct grant *grant;
	const char *url, *ref, *name, *mime, *ext; /* all but url may be NULL; copied */
	bool on_demand;
};
void engine_register(struct engine *e, const struct engine_source *source,
		     void (*done)(void *arg, enum err err, bool created, const char *json, size_t len), void *arg);

/* Uploads over HTTP: recordings whose bytes come by requests (core/model.h, enum upload_kind). */
struct engine_upload {
	struct uuid id;
	enum upload_kind kind;
	enum phase phase;
	uint64_t offset;      /* so many bytes are durable */
	uint64_t length;      /* BYTES_UNKNOWN: not said yet */
	bool complete;	      /* all is there, and sealed (a partial one: all is there) */
	int64_t expires_ms;   /* wall clock; 0: never, for it is complete */
	uint64_t retry_ms;    /* with RATE_LIMITED: after this there is a token again */
	const char *metadata; /* as it came; NULL: none. Valid during the call, as is … */
	const char *parts; /* … the list of a final one's partial ones: their ids, a space between two; else NULL … */
	const char *concat; /* … and that list as its client wrote it; NULL: nobody kept it */
};
/* `upload` NULL with an error, but for POSITION_CONFLICT and LENGTH_MISMATCH: then it is as it is; for RATE_LIMITED:
 * then it has retry_ms and nothing else; and, of a look, for DELETED: then it is what it was. */
typedef void engine_upload_fn(void *arg, enum err err, const struct engine_upload *upload);

/* A new upload; answers when it is durable, a final one when it is whole, which is waited for so long as clients do.
 * FORBIDDEN_SCOPE, STORAGE_FULL, QUOTA_EXCEEDED, MESSAGE_TOO_LARGE (length),
 * UPLOAD_INCOMPLETE and NOT_FOUND (of a final one's parts), SHUTTING_DOWN. All strings may be NULL; copied. */
struct engine_upload_new {
	const struct grant *grant;
	uint64_t length; /* BYTES_UNKNOWN: said later */
	const char *metadata, *name, *mime, *ext;
	const char *item;   /* the id of a batch's item: that is filled, and nothing is made */
	const char *parts;  /* makes it a final one: ids, a space between two. The same list has the same final one */
	const char *concat; /* … as its client wrote it: to be given back */
	bool partial;
};
void engine_upload_create(struct engine *e, const struct engine_upload_new *upload, engine_upload_fn *done, void *arg);

/* How it stands. Whoever is sending to it is ended first (taken_over), and what came of that is durable: what is told
 * stays true until its client goes on. NOT_FOUND for a recording that is no upload, DELETED. */
void engine_upload_look(struct engine *e, struct engine_ref ref, engine_upload_fn *done, void *arg);

/* A request that brings bytes. Callbacks come on the loop thread, not from inside of engine_append; the last is `done`,
 * once, unless engine_append_gone came before. */
enum engine_digest { DIGEST_NONE, DIGEST_CRC32C, DIGEST_SHA1, DIGEST_SHA256 };
struct engine_append {
	struct engine_ref ref;
	uint64_t offset; /* of its first byte. POSITION_CONFLICT if the upload is not just there */
	uint64_t length; /* of the whole upload, where the request says it; LENGTH_MISMATCH. BYTES_UNKNOWN: it does not
			  */
	uint64_t body;	 /* so many bytes will come; BYTES_UNKNOWN: until engine_append_end */
	bool last;	 /* … and with them the upload is whole */
	enum engine_digest digest; /* of the body: nothing of it counts (CHECKSUM_MISMATCH) unless it is … */
	uint8_t digest_value[32];
	void (*begun)(void *arg, const struct engine_upload *upload); /* bytes are wanted now */
	void (*pause)(void *arg, bool paused);			      /* what was delivered is kept */
	void (*durable)(void *arg, uint64_t offset);		      /* up to here; perhaps never before `done` */
	/* All is durable, and with the upload's last byte the upload is complete; or why not: what came until then is
	 * kept. `upload` as for engine_upload_fn. */
	engine_upload_fn *done;
	void *arg;
};
/* Returns its number for the calls below, where an unknown one is ignored; 0: there are LIMIT_UPLOADS_AT_ONCE, and
 * nothing is called. */
uint64_t engine_append(struct engine *e, const struct engine_append *append, struct now now);
void engine_append_data(struct engine *e, uint64_t append, struct engine_media media, struct now now);
size_t engine_append_room(struct engine *e, uint64_t append);		    /* as engine_conn_room */
void engine_append_end(struct engine *e, uint64_t append, struct now now);  /* the whole body came */
void engine_append_gone(struct engine *e, uint64_t append, struct now now); /* no more comes; what came is kept */

/* Batches, of the grant's own; an admin finds others' too, where it has none of its own of that id. */
struct engine_batch_new {
	const struct grant *grant;
	const char *id, *name; /* name may be NULL; copied */
	uint64_t total;	       /* BYTES_UNKNOWN: not said */
};
/* `json` is the batch's object, also where it was there already (*created false). EXISTS: … with another name or total;
 * FORBIDDEN_SCOPE, STORAGE_FULL. */
typedef void engine_batch_fn(void *arg, enum err err, bool created, const char *json, size_t len);
void engine_batch_create(struct engine *e, const struct engine_batch_new *batch, engine_batch_fn *done, void *arg);
/* NOT_FOUND, FORBIDDEN_SCOPE. */
void engine_batch_get(struct engine *e, const char *id, const struct grant *grant, engine_json_fn *done, void *arg);
/* {"items": […], "next"}, newest first; `before`: the cursor `next` of the page before, or NULL. BAD_FIELD. */
void engine_batch_list(struct engine *e, const struct grant *grant, const char *before, engine_json_fn *done,
		       void *arg);

/* Shows. A connection becomes the host of a show by `start` with `show`; what it sends goes to the show's broadcast at
 * once (proto/broadcast.h), and beside that into the recording. */

/* What is on air there, for one who may listen: to be held (broadcast_hold) by who keeps it. ERR_NOT_FOUND: no valid
 * name; ERR_NOT_ON_AIR: nobody is, or nothing came yet; ERR_FORBIDDEN_SCOPE. It stays the same while the show is on
 * air, from host to host, and ends with it. */
enum err engine_listen(struct engine *e, const char *show, const struct grant *grant, struct broadcast **out);
/* The title of what plays. ERR_NOT_ON_AIR. */
enum err engine_show_title(struct engine *e, const char *show, const struct grant *grant, const char *title);
/* The show as JSON (docs/protocol.md, "Shows"), on air or not; one that never was is off with version 0. NOT_FOUND: no
 * valid name; FORBIDDEN_SCOPE. */
void engine_show(struct engine *e, const char *show, const struct grant *grant, engine_json_fn *done, void *arg);
/* {"items": […]} of what is on air. */
void engine_shows(struct engine *e, const struct grant *grant, engine_json_fn *done, void *arg);
/* Ends it at once and answers when that is durable: {"stopped": {show, version, id}}, or {"stopped": null} when it
 * never was on air. `show` NULL: the only one on air (BAD_FIELD if there are several). */
void engine_show_stop(struct engine *e, const char *show, const struct grant *grant, engine_json_fn *done, void *arg);

/* The outbox. engine_events answers with what comes after `after`, at most LIMIT_EVENTS_PAGE, as the grant may see it;
 * `first`: the oldest that is kept. engine_events_watch: `wake` comes after each transaction that wrote some, until
 * unwatched. */
struct engine_event {
	int64_t seq;
	struct uuid recording;
	const char *type;
	enum phase phase;
	uint32_t revision;
	int64_t at_ms;
	const char *show; /* NULL: it is of none */
	uint32_t version;
	const char *batch;		    /* NULL: its recording is an item of none */
	uint64_t batch_total, batch_failed; /* of batch.completed */
};
void engine_events(struct engine *e, const struct grant *grant, int64_t after,
		   void (*done)(void *arg, enum err err, const struct engine_event *events, size_t count, int64_t first,
				int64_t last),
		   void *arg);
struct engine_watch {
	struct list link;
	void (*wake)(void *arg);
	void *arg;
};
void engine_events_watch(struct engine *e, struct engine_watch *watch); /* caller-owned */
void engine_events_unwatch(struct engine_watch *watch);

/* Parked webhooks (JOB_NOTIFY) or pushes (JOB_PUSH) go on now; answers when that is durable. NOT_SUPPORTED: there is
 * no webhook, no bucket. */
void engine_unpark(struct engine *e, enum job_kind kind, void (*done)(void *arg, enum err err), void *arg);

struct engine_queue { /* of one kind of job */
	unsigned queued, running, failed, parked;
	uint64_t oldest_ms; /* how long the first of the queued ones has waited */
};
struct engine_authority_figures {
	bool used;
	uint64_t asked, failed, refused, cached; /* since the start; cached: answered from what was kept */
	unsigned waiting;			 /* tokens */
};
struct engine_status {
	struct engine_authority_figures authority;
	struct engine_queue queues[JOB_KIND_COUNT];
	const struct job_info *trouble;	 /* the job that failed for good, or was parked, last; until the next turn */
	unsigned workers, workers_alive; /* alive, or just replaced after their job */
	unsigned connections, attached, takes;	/* takes: unfinished, in memory */
	uint64_t memory_used, memory_bytes;	/* media that waits */
	uint64_t bytes_received, bytes_durable; /* since start */
	uint64_t free_bytes, total_bytes, reserve_bytes;
	uint64_t checkpoints;
	bool paused; /* reading is stopped for all: memory or journal full */
	struct journal_status journal;
};
void engine_status(const struct engine *e, struct engine_status *out);
/* Adds a JSON array of the unfinished recordings in memory, the first `max` of them, as the API shows each. */
void engine_unfinished(const struct engine *e, unsigned max, struct buf *out);

/* A clean stop: refuses new work, detaches everybody with `shutting_down`, commits and checkpoints; `done` comes once,
 * when nothing is under way. Then engine_close. */
void engine_stop(struct engine *e, struct now now, void (*done)(void *arg), void *arg);
/* Nothing may be under way on the lanes. Accepts NULL. */
void engine_close(struct engine *e);

#endif
