/* A final upload is made of its parts: read back one after the other and appended like any bytes, so that a crash
 * leaves a beginning of it that is gone on from. When it is sealed its parts are removed. */
#include "engine/uploads.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct upload_join {
	struct list link; /* engine.uploads.joins */
	struct engine *engine;
	struct take *take; /* pinned */
	uint64_t conn;
	struct waiter waiter; /* for the next part */
	char *parts;	      /* owned: the list */
	const char *next;     /* in `parts`: the first that was not opened */
	uint64_t at;	      /* so many bytes of the whole stand before the part that is read */
	uint64_t done;	      /* … and so many are appended */
	uint64_t reader, left, offset;
	bool started, reading, waiting, ended;
	bool again; /* storage was full: from the beginning, later */
	uint64_t again_ms;
	bool over;
};

static void parts_begin(struct upload_join *j);
static void part_next(struct upload_join *j);

static struct now now_of(const struct engine *e)
{
	return (struct now){ e->now.mono_ms + e->skew_ms, e->now.wall_ms };
}

static void stop_reading(struct upload_join *j)
{
	if (j->reader)
		engine_reader_close(j->engine, j->reader);
	j->reader = 0;
	j->reading = false;
}

/* --- what its connection hears --- */

static void read_more(struct upload_join *j);

static void on_started(struct engine *e, struct conn *c, uint64_t bytes)
{
	struct upload_join *j = c->inner_of;
	(void)e;
	j->started = true;
	j->done = bytes;
	parts_begin(j);
}

static void on_refused(struct engine *e, struct conn *c, enum err err)
{
	struct upload_join *j = c->inner_of;
	stop_reading(j);
	j->started = false;
	j->again = err == ERR_STORAGE_FULL;
	j->again_ms = e->now.mono_ms + LIMIT_SPACE_CHECK_MS;
	j->over = !j->again;
	e->uploads.wanted = true;
}

static void on_saved(struct engine *e, struct conn *c)
{
	struct upload_join *j = c->inner_of;
	stop_reading(j);
	j->ended = j->over = true;
	e->uploads.wanted = true;
}

static void on_paused(struct engine *e, struct conn *c, bool paused)
{
	(void)e;
	if (!paused)
		read_more(c->inner_of);
}

static const struct inner join_inner = { on_started, NULL, on_refused, on_saved, on_paused };

/* --- its parts --- */

static void fail(struct upload_join *j, enum err err)
{
	char id[UUID_TEXT];
	uuid_format(&j->take->rec.info.id, id);
	log_event(LOG_ERROR, "upload_join_failed", "id", id, "code", err_code(err), NULL);
	stop_reading(j);
	recording_poison(&j->take->rec, err, &j->engine->fx);
	effects_run(j->engine, j->take);
}

static void on_read(void *arg, enum err err, const void *data, size_t len)
{
	struct upload_join *j = arg;
	j->reading = false;
	if (err) {
		fail(j, err);
		return;
	}
	j->offset += len;
	j->left -= len;
	j->done += len;
	engine_conn_media(j->engine, j->conn, (struct engine_media){ data, len, { 0 }, 0 }, now_of(j->engine));
	read_more(j);
}

static void end(struct upload_join *j)
{
	char text[80];
	snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%llu}", (unsigned long long)j->done);
	engine_conn_text(j->engine, j->conn, text, strlen(text), now_of(j->engine));
}

static void read_more(struct upload_join *j)
{
	const struct conn *c = conn_find(j->engine, j->conn);
	if (!j->started || j->reading || !j->reader || !c || c->paused)
		return;
	if (j->left == 0) {
		stop_reading(j);
		part_next(j);
		return;
	}
	j->reading = true;
	engine_read(j->engine, j->reader, j->offset, j->left < LIMIT_READ_BYTES ? (size_t)j->left : LIMIT_READ_BYTES,
		    on_read, j);
}

static void on_open(void *arg, enum err err, const struct engine_original *original)
{
	struct upload_join *j = arg;
	j->waiting = false;
	if (!j->take) { /* the engine was closed */
		free(j->parts);
		free(j);
		return;
	}
	if (err == ERR_BUSY) { /* too many read at the moment */
		j->again = true;
		j->again_ms = j->engine->now.mono_ms + LIMIT_SPACE_CHECK_MS;
		return;
	}
	if (err) {
		fail(j, err);
		return;
	}
	uint64_t skip = j->done > j->at ? j->done - j->at : 0;
	j->at += original->bytes;
	j->reader = original->reader;
	j->offset = skip < original->bytes ? skip : original->bytes;
	j->left = original->bytes - j->offset;
	read_more(j);
}

static bool next_id(struct upload_join *j, char id[UUID_TEXT])
{
	if (*j->next == '\0')
		return false;
	memcpy(id, j->next, UUID_TEXT - 1);
	id[UUID_TEXT - 1] = '\0';
	j->next += UUID_TEXT - 1;
	j->next += *j->next == ' ';
	return true;
}

static void part_next(struct upload_join *j)
{
	char id[UUID_TEXT];
	if (!next_id(j, id)) {
		end(j);
		return;
	}
	j->waiting = true;
	engine_original(j->engine, (struct engine_ref){ id, grant_local() }, NULL, on_open, j);
}

/* From the first one on; what is appended already is skipped. */
static void parts_begin(struct upload_join *j)
{
	j->again = false;
	j->next = j->parts;
	j->at = 0;
	part_next(j);
}

/* --- its life --- */

static void attach(struct upload_join *j)
{
	struct engine *e = j->engine;
	struct take *t = j->take;
	uint16_t track;
	struct conn *c = j->conn ? conn_find(e, j->conn) : NULL;
	if (!c) {
		j->conn = engine_conn_open(e, grant_local(), now_of(e));
		c = conn_find(e, j->conn);
		c->inner = &join_inner;
		c->inner_of = j;
		session_init(&c->session, c->id, UINT32_MAX, e->now.mono_ms);
		engine_rearm_conn(e, c);
	}
	j->again = false;
	if (session_start(&c->session) != SESSION_PASS)
		return;
	struct attach a = { .conn = c->id, .track = "main", .from = BYTES_UNKNOWN, .wall_ms = engine_wall(e) };
	upload_open(e, t);
	if (recording_attach(&t->rec, &a, e->now.mono_ms, &track, &e->fx) == ANSWER_WAIT) {
		session_detached(&c->session);
		j->again = true; /* it is being deleted: that ends it */
		j->again_ms = e->now.mono_ms + LIMIT_SPACE_CHECK_MS;
	} else if (track != EFFECT_NO_TRACK) {
		conn_bind(e, c, t, track);
	}
	effects_run(e, t);
}

void join_begin(struct engine *e, struct take *t)
{
	struct upload_join *j = must(calloc(1, sizeof *j));
	j->engine = e;
	j->take = t;
	j->parts = must(strdup(t->rec.info.upload.parts));
	take_pin(t);
	list_push(&e->uploads.joins, &j->link);
	attach(j);
}

static void removed(void *arg, enum err err, const char *json, size_t len)
{
	struct engine *e = arg;
	(void)err; /* what stays expires */
	(void)json;
	(void)len;
	e->uploads.at_work--;
}

static void join_free(struct upload_join *j)
{
	struct engine *e = j->engine;
	struct conn *c = j->conn ? conn_find(e, j->conn) : NULL;
	char id[UUID_TEXT];
	stop_reading(j);
	if (c) {
		c->inner = NULL;
		engine_conn_closed(e, c->id, now_of(e));
		if (e->fx.count > 0)
			effects_run(e, j->take);
	}
	j->next = j->parts;
	while (j->ended && !e->failed && !e->stopping && next_id(j, id)) {
		e->uploads.at_work++;
		engine_delete(e, (struct engine_ref){ id, grant_local() }, removed, e);
	}
	list_remove(&j->link);
	take_unpin(e, j->take);
	j->take = NULL;
	if (j->waiting)
		return; /* on_open frees it */
	free(j->parts);
	free(j);
}

void joins_turn(struct engine *e)
{
	struct list ready;
	list_init(&ready);
	list_move(&ready, &e->uploads.joins);
	struct list *link;
	while ((link = list_pop(&ready))) {
		struct upload_join *j = list_entry(link, struct upload_join, link);
		list_push(&e->uploads.joins, &j->link);
		if (j->over && !j->waiting && !j->reading)
			join_free(j);
		else if (j->again && !j->waiting && (e->stopping || e->now.mono_ms >= j->again_ms)) {
			if (e->stopping)
				j->over = true;
			else if (j->started)
				parts_begin(j);
			else
				attach(j);
		}
	}
}

void joins_release(struct engine *e)
{
	while (!list_empty(&e->uploads.joins))
		join_free(list_entry(e->uploads.joins.next, struct upload_join, link));
}
