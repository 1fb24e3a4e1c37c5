/* Shows in the simulation: what their hosts send, what the server said of it, and what must be true of their versions.
 *
 *   host.c         those who go on air
 *   onair.c        what the server says, as it says it: hosts, versions, the broadcast
 *   onair_ask.c    those who ask, stop, complete, delete, follow and listen
 *   onair_audit.c  what is left at the end */
#ifndef HOLDFAST_SIM_ONAIR_H
#define HOLDFAST_SIM_ONAIR_H

#include "world.h"

#include "proto/broadcast.h"

enum {
	SHOWS = 3,
	AIR_HOSTS = 12,
	AIR_TAKES = 96,	   /* of a seed */
	AIR_VERSIONS = 64, /* of a show */
	AIR_FEEDS = 512,   /* stretches of one broadcast */
};

/* What one host sends as one stream: positions count in it, over all of its versions. */
struct air_take {
	struct show_truth *show;
	const char *principal;
	char session[48]; /* "" if it names none */
	uint64_t content, total;
	uint64_t delivered; /* handed to the engine: the most that it can have */
	unsigned starts;    /* delivered; of a session */
	bool retired;	    /* another take was heard behind it, in this broadcast */
};

struct version_truth {
	struct take_truth take; /* as a recording */
	struct air_take *whose; /* NULL: nobody was told of it yet */
	uint64_t promised;	/* of its host's stream */
	bool known, stopped;	/* it was said; its end was */
};

/* A stretch of what was fed to a broadcast: [at, at + len) of it is [off, off + len) of a take. */
struct air_feed {
	struct air_take *take;
	uint64_t at, off, len;
};

struct show_truth {
	struct world *w;
	unsigned number;
	char name[16];
	struct version_truth versions[AIR_VERSIONS]; /* by number - 1 */
	struct air_take *host;			     /* who was told last that it is on air */
	uint32_t newest;			     /* the highest that was said */
	unsigned attached;			     /* links that were told `started`, and not detached since */
	uint64_t detached_us;			     /* when the last of them left */
	bool on_air;				     /* it was said to be, and not to be off since */
	bool may_be_off;			     /* something may have ended it since the last `started` */
	unsigned enders;			     /* calls that end it, or a version, without an answer */
	unsigned principals;			     /* of its hosts, how many there are */
	/* what listeners hear, of one process */
	struct broadcast *broadcast;
	unsigned life;
	struct air_feed feeds[AIR_FEEDS];
	unsigned feed_count;
	struct listener *listener;
	struct show_follower *follower;
};

struct onair {
	struct world *w;
	struct rng rng;
	struct show_truth shows[SHOWS];
	struct air_take takes[AIR_TAKES];
	unsigned take_count;
	struct host *hosts[AIR_HOSTS];
	unsigned host_count;
};

void onair_init(struct world *w);
void onair_begin(struct world *w);
/* The server process is gone. */
void onair_gone(struct world *w);

/* host.c */
void hosts_begin(struct world *w);
bool hosts_done(struct world *w);
void hosts_describe(struct world *w, char *out, size_t size);
struct show_truth *host_show(const struct host *h);
const char *host_principal(const struct host *h);

/* onair.c */
struct air_take *air_take_new(struct world *w, struct show_truth *show, const char *principal, const char *session);
struct version_truth *air_version(struct show_truth *show, uint32_t version);
struct show_truth *show_named(struct world *w, const char *name);
/* Storage may fail under a version. */
bool onair_frail(const struct world *w);
/* What came over a host's link, or left it. */
void onair_text(struct world *w, struct link *link, const char *text);
void onair_sent(struct world *w, struct link *link, const struct message_in *m);
void onair_detached(struct world *w, struct link *link);
/* A piece of a host's stream reached the engine; `fed`: what onair_fed said before. */
struct air_piece {
	uint64_t fed, content, off, len;
};
uint64_t onair_fed(struct world *w, struct link *link);
void onair_delivered(struct world *w, struct link *link, const struct air_piece *piece);
/* [pos, pos + len) of the show's broadcast, as a listener has it. */
void onair_heard(struct show_truth *show, uint64_t pos, const uint8_t *data, size_t len);
/* A show's object, wherever it was said. `newest`: the version that was known when it was asked for. */
void onair_status(struct world *w, const json_t *object, uint32_t newest);
/* A recording's object; false: it is none of a show's. */
bool onair_recording(struct world *w, const json_t *object);

/* onair_ask.c */
void onair_callers_begin(struct world *w);
void listener_leave(struct show_truth *show);
/* When nothing changes any more. */
void onair_check_all(struct world *w);
void onair_check(struct world *w);

/* onair_audit.c */
struct catalog;
void onair_audit(struct world *w, struct catalog *catalog);

#endif
