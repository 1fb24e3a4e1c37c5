/* The engine in a test's hands: on any vfs, without threads, with a clock that the test moves and a memory of what was
 * sent. Lanes run only inside of engine_rig_turn, and everything they start with them. */
#ifndef HOLDFAST_TESTS_ENGINE_RIG_H
#define HOLDFAST_TESTS_ENGINE_RIG_H

#include "engine/engine.h"
#include "support/exec_inline.h"
#include "support/vfs_fault.h"
#include "support/worker_rig.h"

enum { RIG_SENT = 64, RIG_SEGMENT_BYTES = 256 * 1024 };

struct engine_rig {
	char dir[64];		  /* on real files: the data directory, removed at the end */
	struct vfs *below, *vfs;  /* vfs: the fault layer over `below` */
	bool foreign;		  /* `below` is the caller's */
	struct exec_inline *exec; /* NULL while it is not open */
	struct engine *e;	  /* NULL while it is not open */
	struct now now;
	uint64_t random;
	char *sent[RIG_SENT]; /* the newest texts, in order */
	unsigned sent_count, paused, closed, known;
	uint64_t retain_originals_ms, retain_ms; /* UINT64_MAX: for ever */
	unsigned room;				 /* statuses that the network takes; UINT_MAX: any number */
	enum err fatal;
	enum err (*grant)(void *arg, const char *token, struct grant *out); /* NULL: no token is known */
	struct worker_rig *workers;					    /* NULL: none; the caller's */
	struct fetcher *fetcher;					    /* NULL: there is none */
	struct notifier *notifier;					    /* likewise */
	struct pusher *pusher;						    /* likewise */
	struct authority *authority;					    /* likewise */
	uint64_t push_part_bytes;
	/* NULL, or told of each text before it is remembered */
	void (*heard)(void *arg, uint64_t conn, const char *text);
	void *heard_arg;
};

/* On real files in a new directory (`below` NULL), or on a vfs that stays the caller's. Not open yet. */
struct engine_rig *engine_rig_new(struct vfs *below);
void engine_rig_free(struct engine_rig *g);

/* Opens catalog and engine, and listens. On an error nothing is open. */
enum err engine_rig_open(struct engine_rig *g);
/* Runs what is on the lanes, and closes. Accepts what is not open. */
void engine_rig_close(struct engine_rig *g);

/* Until nothing more comes of it. */
void engine_rig_turn(struct engine_rig *g);
/* Time passes, a second at a time, with a turn behind each. */
void engine_rig_pass(struct engine_rig *g, uint64_t ms);

/* A message on the connection, on a new one for 0, with a turn behind it; returns the connection. */
uint64_t engine_rig_say(struct engine_rig *g, uint64_t conn, const char *text);
/* Bytes [from, from + len) of what every test records; without a turn. */
void engine_rig_media(struct engine_rig *g, uint64_t conn, size_t from, size_t len);
char engine_rig_byte(size_t offset);

void engine_rig_forget(struct engine_rig *g);
/* The newest text, "" if there is none. */
const char *engine_rig_last(struct engine_rig *g);
/* The recording as the API shows it, or the code of the error; to be freed. */
char *engine_rig_get(struct engine_rig *g, const char *ref);

#endif
