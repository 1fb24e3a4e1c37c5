/* The world beyond the server's clients: sources that recordings are fetched from, the receiver of its webhooks, those
 * the bucket that files are pushed to, who register, ask and follow the outbox; and what is true of them. */
#ifndef HOLDFAST_SIM_OUTSIDE_H
#define HOLDFAST_SIM_OUTSIDE_H

#include "support/bucket_rig.h"
#include "world.h"

#include "work/fetcher.h"
#include "work/notifier.h"

enum {
	IMPORTS = 5,
	VERSIONS = 4,	    /* of a source */
	TRANSFERS = 64,	    /* of one process: cancelled ones too, for what they still say */
	TOLD_EVENTS = 4096, /* of one seed */
	MADE = 512,	    /* files that workers made */
};

/* What stands at a URL. */
struct source {
	uint64_t content[VERSIONS], total[VERSIONS];
	unsigned count, now; /* versions; the present one */
	unsigned served;     /* versions that a transfer brought something of, by their bits */
	bool ranges, validators, says_total, changes;
};

/* One recording that is fetched: the truth, and what the server said of it. */
struct import_truth {
	unsigned number;
	char url[80], other_url[80], ref[48], id[ID_TEXT]; /* id "" until known */
	struct grant grant;
	struct source source;
	bool on_demand;
	bool registering, known, created; /* it was asked for; answered; answered as new */
	bool asked;			  /* its file or original was asked for, or a completion */
	bool completed;
	bool again;   /* asked for in a way that may fetch it again */
	bool retried; /* … at the end, when all sources hand out what they have */
	bool deleting, deleted, removed_original;
	bool fetched;	   /* seen sealed */
	unsigned live;	   /* transfers at work */
	unsigned failures; /* transfers and attempts that came to nothing */
	int64_t attempts[LIMIT_ATTEMPTS];
	unsigned attempt_count, attempt_life;
	uint64_t attempt_id;
	uint64_t most; /* bytes that the server can have */
	uint32_t revision, published;
	bool failed; /* seen in error */
};

/* One event as somebody was told it. */
struct told_event {
	int64_t seq;
	struct uuid recording;
	enum phase phase;
	uint32_t revision;
};

/* What a worker made of a recording's revision: its tracks, one behind the other. */
struct made_file {
	struct uuid recording;
	uint32_t revision, track_count;
	unsigned tracks[TRACKS]; /* which of the take's */
	uint64_t bytes[TRACKS];
};

struct transfer;
struct receiver;
struct followers;
struct batchers;

struct outside {
	struct world *w;
	struct rng rng;
	struct fetcher fetcher;
	struct notifier notifier;
	struct import_truth imports[IMPORTS];
	struct transfer *transfers[TRANSFERS];
	unsigned transfer_count;
	struct receiver *receiver;
	struct followers *followers;
	struct told_event *told; /* by followers and webhooks together, in no order */
	size_t told_count;
	struct made_file made[MADE];
	unsigned made_count;
	struct rng push_rng;
	unsigned push_faults; /* that it has left */
	struct bucket bucket;
	struct bucket_rig pusher;
	struct batchers *batchers;
};

/* source.c */
void sources_init(struct world *w);
void sources_begin(struct world *w);
void sources_gone(struct world *w);
struct fetcher *sources_base(struct world *w);

/* receiver.c */
void receiver_init(struct world *w);
void receiver_begin(struct world *w);
struct notifier *receiver_base(struct world *w);
/* All that the outbox holds was taken, in order. */
void receiver_audit(struct world *w, struct catalog *catalog, const struct uuid *id, const char *name);

/* bucket.c */
void pushes_init(struct world *w);
void pushes_begin(struct world *w);
struct pusher *pushes_base(struct world *w);
void pushes_gone(struct world *w);
/* Nothing waits, and no upload is left over. */
bool pushes_idle(struct world *w, const struct engine_status *status);
/* What became of one recording; `expired`: if it is deleted, retention alone has done that, and it had bytes. */
void pushes_audit(struct world *w, const struct recording_info *row, const char *name, bool expired);
void pushes_audit_all(struct world *w);

/* follower.c: the outbox as it is read; and every event that anybody was told is in it at the end. */
void followers_begin(struct world *w);
void followers_gone(struct world *w);
void events_told(struct world *w, const struct told_event *event);
void events_audit(struct world *w, struct catalog *catalog);

/* importer.c: those who register, complete and delete what is fetched */
void importers_begin(struct world *w);
struct import_truth *import_by_ref(struct world *w, const char *ref);
struct import_truth *import_by_id(struct world *w, const struct uuid *id);
void import_status(struct world *w, struct import_truth *import, const json_t *json);
/* What failed is asked for again, by whoever may: its window is over by now. */
void importers_again(struct world *w);
/* Asks for each of them: over when world.open_requests is 0. */
void importers_check_all(struct world *w);
void imports_audit(struct world *w, struct catalog *catalog);

/* batcher.c: programs that hand over batches */
void batchers_begin(struct world *w);
void batchers_gone(struct world *w);
/* All is acked, and what nobody has bytes for is deleted. */
bool batchers_idle(struct world *w);
/* An item's source, where there never was anything. */
bool batchers_url(const char *url);
/* The status of an item: true; of another recording: false. */
bool batchers_status(struct world *w, const json_t *status);
void batchers_audit(struct world *w, struct catalog *catalog);

/* asker.c: questions for file, original, thumbnail and waveform */
void asker_take(struct world *w, struct take_truth *take, enum resource resource);
void asker_import(struct world *w, struct import_truth *import, enum resource resource);
/* When nothing changes any more: all four of it, against the state that was just answered. */
void asker_compare(struct world *w, const char *ref, const json_t *state);
void asker_made(struct world *w, const struct made_file *made);

/* Nothing of it is queued or at work. */
bool outside_idle(struct world *w);

#endif
