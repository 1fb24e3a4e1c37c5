/* What the show machine runs in, in its simplest form: the catalog's rows, storage that has not answered yet, and what
 * each connection was told. Draining its effects checks each of them against that. */
#ifndef HOLDFAST_TESTS_SUPPORT_SHOW_MODEL_H
#define HOLDFAST_TESTS_SUPPORT_SHOW_MODEL_H

#include "core/show.h"

enum { GRACE_MS = 30000, CONNS = 12, ROWS = 256, TRACE_BYTES = 96 * 1024, SHOW_MODEL_PRINCIPALS = 4 };

/* A version in the catalog. */
struct row {
	bool there;
	bool open;  /* unfinished; else it ended, by `ended` */
	bool asked; /* its end is under way: nothing may be appended, nobody may ask again */
	enum show_why ended;
	uint32_t first;
	unsigned principal;
	char session[16]; /* "" if it has none */
	bool unnamed;	  /* its host has a name, which an older take has: it was looked up too early */
	unsigned begins, ends;
};

struct conn {
	uint64_t id; /* 0: none */
	unsigned principal;
	char session[16];
	unsigned starts; /* show_host that are not answered */
	uint32_t on;	 /* the version that its bytes go to, 0: none */
	bool host;	 /* was told that it is, and not that it is no more */
};

struct stopper {
	uint64_t id;
	uint32_t least; /* it must hear of this version or a later one … */
	bool waits;
};

/* What the show asked of storage and has no answer to. */
struct finalising {
	uint32_t version;
	enum show_why why;
};

struct show_model {
	struct show s;
	struct show_effects fx;
	uint64_t random, now, next_id;
	bool takeover;
	struct row rows[ROWS];
	uint32_t newest;   /* row */
	uint32_t failed;   /* shows.failed */
	bool mark_pending; /* of shows.failed = 0 */
	struct conn conns[CONNS];
	struct stopper stoppers[CONNS];
	struct finalising finals[ROWS];
	unsigned final_count;
	struct show_effect begin; /* version 0: none is under way */
	uint64_t alone_since;	  /* nobody hosts */
	uint64_t failed_at;
	bool exists; /* the next version was refused its name */
	bool space;  /* said to be back since then */
	bool status;
	uint32_t hosted_version; /* the last HOSTED of this step, of … */
	uint64_t hosted_conn;
	unsigned taken_from;	/* principal whose version a takeover of this step ended, 0: none */
	struct show_start late; /* a start whose look-up is not fresh any more; conn 0: none */
	char late_session[16];
	const char *broken;
	char *trace;
	size_t trace_len;
};

struct show_model_counts {
	unsigned begins, again, next, failures, takeovers, graces, stops, elsewhere, restarts, resumed, ordinary,
		refused;
};
extern struct show_model_counts show_model_counts;

/* By number from 1; 0 is nobody. */
extern const char *const show_model_principals[SHOW_MODEL_PRINCIPALS];

uint64_t show_model_random(struct show_model *m, uint64_t below);
/* A line of the trace. */
__attribute__((format(printf, 2, 3))) void show_model_note(struct show_model *m, const char *format, ...);
/* The first promise that does not hold is kept in m->broken. */
void show_model_check(struct show_model *m, bool holds, const char *promise);
struct conn *show_model_conn(struct show_model *m, uint64_t id);
unsigned show_model_principal(const char *name);
struct uuid show_model_id(uint32_t version);
/* The version of this show that is the principal's take of that name, 0: none. */
uint32_t show_model_lookup(const struct show_model *m, unsigned principal, const char *session);
void show_model_drain(struct show_model *m);

/* What is durable once storage did what it was asked for … */
void show_model_begin_row(struct show_model *m);
void show_model_final_row(struct show_model *m, const struct finalising *f);
/* … and is answered; nothing if it was not asked. */
void show_model_begin_answer(struct show_model *m);
void show_model_final_answer(struct show_model *m, unsigned at);
void show_model_mark_answer(struct show_model *m);

#endif
