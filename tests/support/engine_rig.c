/* See engine_rig.h. */
#include "support/engine_rig.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_send(void *arg, uint64_t conn, const char *text, size_t len, bool is_ack)
{
	struct engine_rig *g = arg;
	(void)is_ack;
	char *copy = strndup(text, len);
	if (g->heard)
		g->heard(g->heard_arg, conn, copy);
	if (g->sent_count == RIG_SENT) { /* the newest are looked at */
		free(g->sent[0]);
		memmove(g->sent, g->sent + 1, (RIG_SENT - 1) * sizeof g->sent[0]);
		g->sent_count--;
	}
	g->sent[g->sent_count++] = copy;
}

static void on_close(void *arg, uint64_t conn, enum engine_close_code code)
{
	(void)conn;
	(void)code;
	((struct engine_rig *)arg)->closed++;
}

static void on_pause(void *arg, uint64_t conn, bool paused)
{
	(void)conn;
	((struct engine_rig *)arg)->paused = paused;
}

static void on_ping(void *arg, uint64_t conn)
{
	(void)arg;
	(void)conn;
}

static bool on_roomy(void *arg, uint64_t conn)
{
	(void)conn;
	struct engine_rig *g = arg;
	return g->room != 0 && (g->room == UINT_MAX || g->room-- > 0);
}

static void on_known(void *arg, uint64_t conn)
{
	struct engine_rig *g = arg;
	(void)conn;
	g->known++;
}

static void on_fatal(void *arg, enum err err, const char *what)
{
	(void)what;
	((struct engine_rig *)arg)->fatal = err;
}

static void on_random(void *arg, void *out, size_t len)
{
	struct engine_rig *g = arg;
	for (size_t i = 0; i < len; i++) {
		g->random = g->random * 6364136223846793005ULL + 1442695040888963407ULL;
		((uint8_t *)out)[i] = (uint8_t)(g->random >> 56);
	}
}

struct engine_rig *engine_rig_new(struct vfs *below)
{
	struct engine_rig *g = calloc(1, sizeof *g);
	assert(g);
	g->now = (struct now){ 1000000, 1700000000000 };
	g->random = 42;
	g->room = UINT_MAX;
	g->retain_originals_ms = g->retain_ms = UINT64_MAX;
	g->foreign = below != NULL;
	g->below = below;
	if (!below) {
		snprintf(g->dir, sizeof g->dir, "/tmp/holdfast-engine-XXXXXX");
		char *made = mkdtemp(g->dir);
		assert(made);
	} else {
		g->vfs = vfs_fault_new(below);
	}
	return g;
}

void engine_rig_free(struct engine_rig *g)
{
	char command[128];
	engine_rig_close(g);
	engine_rig_forget(g);
	if (g->foreign) {
		vfs_free(g->vfs);
	} else {
		snprintf(command, sizeof command, "rm -rf %s", g->dir);
		int status = system(command);
		assert(status == 0);
	}
	free(g);
}

/* The directory's lock is taken and given back with each life. */
static void files_open(struct engine_rig *g)
{
	if (g->foreign)
		return;
	enum err err = vfs_posix_open(g->dir, &g->below);
	assert(err == ERR_OK);
	g->vfs = vfs_fault_new(g->below);
}

static void files_close(struct engine_rig *g)
{
	if (g->foreign)
		return;
	vfs_free(g->vfs);
	vfs_free(g->below);
	g->vfs = g->below = NULL;
}

static void pump(void *arg)
{
	exec_inline_turn(((struct engine_rig *)arg)->exec);
}

enum err engine_rig_open(struct engine_rig *g)
{
	struct catalog *catalog;
	files_open(g);
	g->fatal = ERR_OK;
	g->exec = exec_inline_new();
	enum err err = catalog_sqlite_open(g->vfs, false, &catalog);
	struct engine_config config = {
		.vfs = g->vfs,
		.exec = exec_inline_exec(g->exec),
		.catalog = catalog,
		.callbacks = { .send = on_send,
			       .close = on_close,
			       .pause = on_pause,
			       .ping = on_ping,
			       .roomy = on_roomy,
			       .known = on_known,
			       .fatal = on_fatal,
			       .arg = g },
		.memory_bytes = 4 * MIB,
		.journal_bytes = 8ULL * RIG_SEGMENT_BYTES,
		.segment_bytes = RIG_SEGMENT_BYTES,
		.grace_ms = 30000,
		.heartbeat_ms = 20000,
		.late_resume_ms = 7ULL * 24 * 3600 * 1000,
		.retain_originals_ms = g->retain_originals_ms,
		.retain_ms = g->retain_ms,
		.hash_early = true,
		.reserve_bytes = 1,
		.random = on_random,
		.random_arg = g,
		.grant = g->grant,
		.workers = g->workers ? &g->workers->base : NULL,
		.worker_count = g->workers ? WORKER_RIG_SLOTS : 0,
		.fetcher = g->fetcher,
		.notifier = g->notifier,
		.pusher = g->pusher,
		.authority = g->authority,
		.push_part_bytes = g->push_part_bytes,
		.pump = pump,
		.pump_arg = g,
	};
	if (!err) {
		catalog->webhooks = g->notifier != NULL;
		catalog->pushes = g->pusher != NULL;
		err = engine_open(&config, g->now, &g->e);
	}
	if (err) {
		g->e = NULL;
		engine_rig_close(g);
		return err;
	}
	engine_listening(g->e, g->now);
	return ERR_OK;
}

void engine_rig_close(struct engine_rig *g)
{
	if (!g->exec)
		return;
	for (int i = 0; i < 1000 && exec_inline_turn(g->exec) > 0; i++)
		;
	assert(exec_inline_pending(g->exec) == 0);
	engine_close(g->e);
	g->e = NULL;
	exec_inline_free(g->exec);
	g->exec = NULL;
	files_close(g);
}

void engine_rig_turn(struct engine_rig *g)
{
	for (int i = 0; i < 400; i++) {
		engine_turn(g->e, g->now);
		unsigned said = g->workers ? worker_rig_turn(g->workers) : 0;
		if (exec_inline_turn(g->exec) == 0 && said == 0)
			break;
	}
}

void engine_rig_pass(struct engine_rig *g, uint64_t ms)
{
	while (ms > 0) {
		uint64_t step = ms < 1000 ? ms : 1000;
		g->now.mono_ms += step;
		g->now.wall_ms += (int64_t)step;
		ms -= step;
		engine_rig_turn(g);
	}
}

uint64_t engine_rig_say(struct engine_rig *g, uint64_t conn, const char *text)
{
	if (!conn)
		conn = engine_conn_open(g->e, grant_local(), g->now);
	engine_conn_text(g->e, conn, text, strlen(text), g->now);
	engine_rig_turn(g);
	return conn;
}

char engine_rig_byte(size_t offset)
{
	return (char)(offset * 31 >> 3 ^ offset >> 11);
}

void engine_rig_media(struct engine_rig *g, uint64_t conn, size_t from, size_t len)
{
	char *bytes = malloc(len + 1);
	assert(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = engine_rig_byte(from + i);
	engine_conn_media(g->e, conn, (struct engine_media){ bytes, len, { 0 }, 0 }, g->now);
	free(bytes);
}

void engine_rig_forget(struct engine_rig *g)
{
	while (g->sent_count > 0)
		free(g->sent[--g->sent_count]);
}

const char *engine_rig_last(struct engine_rig *g)
{
	return g->sent_count ? g->sent[g->sent_count - 1] : "";
}

static void json_done(void *arg, enum err err, const char *json, size_t len)
{
	char **out = arg;
	free(*out);
	*out = json ? strndup(json, len) : strdup(err_code(err));
}

char *engine_rig_get(struct engine_rig *g, const char *ref)
{
	char *json = NULL;
	engine_get(g->e, (struct engine_ref){ ref, grant_local() }, json_done, &json);
	engine_rig_turn(g);
	assert(json);
	return json;
}
