/* Uploads over HTTP: recordings whose bytes come by requests; what uploads.c (how they stand), uploads_create.c (how
 * they begin), uploads_sweep.c (how they expire), uploading.c (a request that brings bytes), uploads_checked.c (one
 * whose bytes count only if their checksum fits) and uploads_join.c (a final one, made of partial ones) share. Not for
 * others.
 *
 * A request is a client of the engine's own append path, as a fetch is: a connection without a peer. What it brings
 * goes through the same journal, and the upload's last byte is a take's `end`; so a crash leaves what it leaves of any
 * take. What is not whole waits, without a grace, until it expires. */
#ifndef HOLDFAST_ENGINE_UPLOADS_H
#define HOLDFAST_ENGINE_UPLOADS_H

#include "engine/internal.h"

struct checked;

/* A request that brings bytes. */
struct upload_append {
	struct list link;   /* engine.uploads.appends */
	struct list due;    /* engine.uploads.due */
	struct timer timer; /* what gathers has waited long enough */
	struct engine *engine;
	uint64_t id;
	struct engine_append ask; /* its grant and its text are not to be used: … */
	struct grant grant;	  /* … this is its own */
	struct take *take;	  /* pinned; NULL: not there yet */
	uint64_t conn;		  /* 0: none */
	struct checked *checked;  /* owned; NULL: bytes count as they come */
	uint64_t fed;		  /* bytes that came */
	bool settling;		  /* it is refused as soon as what came before is durable */
	bool begun, begun_told;	  /* its bytes are taken */
	bool ended;		  /* all of its bytes came */
	bool ending;		  /* … and are the upload's last: its `end` was said */
	bool over;		  /* with `err`, which is to be told */
	bool gone;		  /* nobody is there to be told */
	enum err err;
};

/* uploading.c */
struct upload_append *append_find(struct engine *e, uint64_t id);
/* Tells it at the end of the turn. The first call counts. */
void append_over(struct upload_append *a, enum err err);
/* Bytes that count, behind those before. */
void append_take(struct upload_append *a, const void *data, size_t len);
/* All of them came: ends the upload, or waits until they are durable. */
void append_finish(struct upload_append *a);
void append_pause(struct upload_append *a, bool paused);
void appends_turn(struct engine *e);
void appends_stop(struct engine *e);
void appends_release(struct engine *e);

/* uploads_checked.c. Bytes are put aside in a file until all are there. */
struct checked *checked_new(struct upload_append *a);
void checked_add(struct checked *c, const void *data, size_t len);
/* All came: compares, and hands them to append_take; or the request is over with CHECKSUM_MISMATCH. */
void checked_end(struct checked *c);
/* There is room for more of what is handed over. */
void checked_resume(struct checked *c);
/* Nobody waits for it; frees it when no lane works on it. */
void checked_drop(struct checked *c);

/* uploads_join.c */
void join_begin(struct engine *e, struct take *t);
void joins_release(struct engine *e);
void joins_turn(struct engine *e);

/* uploads_sweep.c */
void uploads_sweep_later(struct engine *e);

/* uploads.c */
/* Is it an upload that this grant may send to or end? ERR_NOT_FOUND, ERR_DELETED (also: expired), ERR_FORBIDDEN_SCOPE.
 */
enum err upload_judge(const struct engine *e, const struct take *t, const struct grant *g);
/* Nobody went on with it for so long that it is gone, swept already or not. */
bool upload_expired(const struct engine *e, const struct take *t);
void upload_fill(const struct engine *e, const struct take *t, struct engine_upload *out);
/* Tells how a final one stands when it is whole, or its client has waited long enough. Pins the take meanwhile. */
void upload_whole_tell(struct engine *e, struct take *t, const struct grant *g, engine_upload_fn *done, void *arg);
/* Of its track, 0 while it has none. */
uint64_t upload_accepted(const struct take *t);
uint64_t upload_durable(const struct take *t);
/* Nothing of what was accepted, or said of it, is on its way to the disk any more. */
bool upload_settled(const struct engine *e, const struct take *t);
/* Before bytes come: a crash behind its creation may have left nothing in the journal that says what it is. Adds to the
 * effects. */
void upload_open(struct engine *e, struct take *t);
/* The whole's length is known now: journaled, before what comes. */
void upload_length_set(struct engine *e, struct take *t, uint64_t length);
/* Somebody went on with it: the row says so, later. */
void upload_touch(struct engine *e, struct take *t);

#endif
