/* What subscriptions.c (who follows what) and telling.c (what they are told) share.
 *
 * A change is noted once for its take and, at the end of the turn, as soon as it is durable, once for each connection
 * that follows it: as an id in the connection's backlog, where it stands once however often the recording changes. What
 * a status says is made only when it leaves, and it leaves when the network has room. So a slow reader is sent fewer
 * states, never older ones, and holds up nobody. */
#ifndef HOLDFAST_ENGINE_SUBSCRIPTIONS_H
#define HOLDFAST_ENGINE_SUBSCRIPTIONS_H

#include "engine/internal.h"

struct show_watch;

enum { WATCH_BUCKETS = 4096 };

/* A connection follows a recording by its id. */
struct watch {
	struct watch *next; /* of its bucket in engine.following.watches */
	struct list link;   /* follow.watches */
	struct follow *follow;
	struct uuid id;
	char *text; /* as the client wrote it */
	struct grant grant;
	bool answering; /* its `subscribed` stands in the backlog */
};

enum news_kind {
	NEWS_RECORDING,	 /* the recording `id` is to be told */
	NEWS_SUBSCRIBED, /* `subscribed` of `id` is, behind what stands before it … */
	NEWS_ALL,	 /* … or of all */
};

/* One entry of a backlog. */
struct news {
	struct list link;  /* follow.changes, .bytes or .reading */
	struct news *next; /* of its bucket in follow.table; of a recording only */
	struct uuid id;
	struct recording_info *row; /* not in memory: as the catalog had it, until that is told or outdated */
	enum news_kind kind;
	bool only_bytes; /* it stands in follow.bytes */
	bool reading;	 /* … in follow.reading … */
	bool outdated;	 /* … and changed since */
};

/* What a connection follows, and its backlog. */
struct follow {
	struct conn *conn;
	struct list all;     /* in engine.following.alls */
	struct list ready;   /* in engine.following.ready */
	struct list watches; /* struct watch */
	struct list askings; /* those by id whose recording is being looked for */
	struct list shows;   /* struct show_watch */
	struct list batches; /* struct batch_watch */
	unsigned watch_count, asking, asking_shows;
	bool follows_all;
	struct grant grant; /* with follows_all */
	bool listing;	    /* the catalog is asked for the newest of all */
	bool all_answer;    /* … or has answered, and `subscribed` stands in the backlog */
	bool blocked;	    /* the network has no room */
	bool rows_asked;    /* the catalog is asked for those in `reading` */
	struct list changes, bytes, reading;
	unsigned markers;	       /* entries that are not NEWS_RECORDING */
	unsigned count, reading_count; /* entries that are; those of them in `reading` */
	struct news **table;
	unsigned table_size;
	struct server_figures figures; /* as told; they were read at … */
	uint64_t figures_ms;	       /* 0: nothing was told */
};

/* --- subscriptions.c --- */

/* May it be told of this recording, by its subscription to all or the one to it (`w`, or NULL)? */
bool follow_sees(const struct engine *e, const struct follow *f, const struct watch *w,
		 const struct recording_info *info);
struct watch *follow_watch(const struct follow *f, const struct uuid *id);
/* Nothing more can come of it. */
void follow_unwatch(struct engine *e, struct watch *w);
/* Asks the catalog for the newest; they and `subscribed` then come into the backlog. */
void follow_list(struct engine *e, struct follow *f);
void follow_arm(struct engine *e, uint64_t at_ms);

/* What the connection follows, made if it follows nothing yet. */
struct follow *follow_of(struct engine *e, struct conn *c);

/* --- shows_told.c --- */

void conn_subscribe_show(struct engine *e, struct conn *c, const struct message_subscribe *m,
			 const struct grant *grant);
void follow_show_drop(struct engine *e, struct show_watch *w);
/* Is anything about a show to be told? Tells one thing of it. */
bool follow_show_due(const struct follow *f);
void follow_show_tell(struct engine *e, struct follow *f);

/* --- telling.c --- */

/* The recording is to be told to this connection. */
void backlog_note(struct engine *e, struct follow *f, const struct uuid *id, bool only_bytes);
void backlog_mark(struct engine *e, struct follow *f, enum news_kind kind, const struct uuid *id);
void backlog_free(struct follow *f);
/* The connection may have something to hear. */
void follow_ready(struct engine *e, struct follow *f);
/* A digest of all that a take shows but its bytes and its name. */
uint64_t follow_digest(const struct take *t);
/* Is all that the take shows durable? */
bool follow_tellable(const struct engine *e, const struct take *t);
/* Tells what there is room for. */
void follow_tell(struct engine *e);

#endif
