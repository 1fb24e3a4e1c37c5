/* What show.c, hosting.c and asking.c share; not for others. */
#ifndef HOLDFAST_CORE_HOSTING_H
#define HOLDFAST_CORE_HOSTING_H

#include "core/show.h"

/* A show_host or show_stop that is not answered yet. */
struct show_ask {
	struct show_ask *next;
	uint64_t conn;
	bool stop;
	bool joined;	  /* a host that is attached: answered when its version has begun */
	uint32_t version; /* stop: the one it waits for. Host: as in show_start */
	struct uuid id;	  /* stop: of that, once it has begun */
	bool named;	  /* host: it came with a session … */
	char *session;	  /* … which is owned, and the show's own once it is the host */
	int64_t wall_ms;
	char principal[LIMIT_PRINCIPAL_CHARS + 1];
};

/* asking.c */

void show_effects_add(struct show_effects *fx, struct show_effect effect);
void show_refuse(uint64_t conn, enum err err, struct show_effects *fx);
/* NULL without memory, or when too many wait. It waits once it is appended. */
struct show_ask *show_ask_new(struct show *s, uint64_t conn);
void show_ask_free(struct show_ask *a);
void show_ask_append(struct show *s, struct show_ask *a);
struct show_ask *show_ask_unlink(struct show *s, struct show_ask **at);
void show_ask_remove(struct show *s, struct show_ask **at);
/* Refuses the hosts that wait: all, or those that have joined. The joined ones' connection is told no more. */
void show_refuse_hosts(struct show *s, bool joined_only, enum err err, struct show_effects *fx);
/* Answers stops whose version's end is durable. `finalised`: of which that was just heard, 0: of none. */
void show_answer_stops(struct show *s, uint32_t finalised, struct show_effects *fx);
/* The version has begun: its hosts are told so, and stops that wait for it learn its id. */
void show_answer_joined(struct show *s, struct show_effects *fx);

/* show.c */

void show_begin(struct show *s, enum show_begin kind, struct show_effects *fx);
/* After a failure: the next version, for a host that is there. */
void show_begin_next(struct show *s, uint64_t now, struct show_effects *fx);
bool show_storage_back(const struct show *s, uint64_t now);
/* The one place where the present version ends; nothing if there is none. `asked`: its recording ends already. */
void show_finalise(struct show *s, enum show_why why, bool asked, struct show_effects *fx);
/* The host's connection is it no more. */
void show_drop_conn(struct show *s, enum err err, struct show_effects *fx);
void show_wait(struct show *s, uint64_t now);
/* At the end of every function that may have changed what is seen. */
void show_tell(const struct show *s, const struct show_view *before, struct show_effects *fx);

/* hosting.c */

/* Something was under way and is over: who waits is asked about again, in order, until something begins. */
void show_decide_waiting(struct show *s, uint64_t now, struct show_effects *fx);
/* The host that came can't be recorded, so it does not go on air; what it took over is off the air. */
void show_host_failed(struct show *s, enum err err, bool again, struct show_effects *fx);

#endif
