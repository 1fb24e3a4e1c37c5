/* See engine_life.h. */
#include "support/engine_life.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void life_broken(struct life *l, const char *what, const char *about)
{
	if (!l->broken)
		fprintf(stderr, "%s:%u: %s: %s\n", l->label, l->nth, what, about);
	l->broken = true;
}

/* --- what the server says --- */

static size_t number_in(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void promise(struct life *l, struct client *c, const char *text)
{
	size_t bytes = number_in(text, "\"bytes\":");
	if (bytes < c->promised)
		life_broken(l, "a position went back", text);
	c->promised = bytes;
}

static void heard(void *arg, uint64_t conn, const char *text)
{
	struct life *l = arg;
	struct client *c = NULL;
	for (int i = 0; i < 2; i++)
		c = l->clients[i].conn == conn ? &l->clients[i] : c;
	if (!c)
		return;
	if (strstr(text, "\"type\":\"error\"")) {
		const char *code = strstr(text, "\"code\":\"") + 8;
		snprintf(c->code, sizeof c->code, "%.*s", (int)strcspn(code, "\""), code);
		c->started = false;
		c->lost = strstr(text, "\"retry\":false") != NULL;
		return;
	}
	promise(l, c, text);
	if (strstr(text, "\"started\"")) {
		c->started = true;
		c->position = c->promised;
	} else if (strstr(text, "\"saved\"")) {
		c->started = false;
		c->saved = c->was_saved = true;
	}
}

/* --- the server's lives --- */

static void forget_conns(struct life *l)
{
	for (int i = 0; i < 2; i++) {
		l->clients[i].conn = 0;
		l->clients[i].started = l->clients[i].saved = false;
	}
}

void life_crash(struct life *l, bool power, enum disk_loss loss)
{
	disk_die_after(l->disk, 1);
	engine_rig_close(l->g);
	if (power)
		disk_power_cut(l->disk, loss);
	else
		disk_kill(l->disk);
	forget_conns(l);
}

bool life_is_up(struct life *l)
{
	if (l->g->e && !l->g->fatal)
		return true;
	if (l->g->e)
		life_crash(l, true, l->nth % 2 ? DISK_LOSS_ALL : DISK_LOSS_MIX);
	for (int i = 0; i < 40; i++) { /* a fault ends */
		l->lives++;
		if (engine_rig_open(l->g) == ERR_OK)
			return true;
		life_crash(l, false, DISK_LOSS_NONE);
	}
	life_broken(l, "it does not start again", "");
	return false;
}

void life_pass(struct life *l, unsigned seconds)
{
	for (unsigned s = 0; s < seconds && life_is_up(l); s++) {
		for (int i = 0; i < 2; i++)
			engine_conn_alive(l->g->e, l->clients[i].conn, l->g->now);
		engine_rig_pass(l->g, 1000);
	}
}

/* --- clients that do what they can --- */

static bool over(const struct client *c)
{
	return c->saved || c->lost;
}

void client_leave(struct life *l, struct client *c)
{
	if (life_is_up(l) && c->conn)
		engine_conn_closed(l->g->e, c->conn, l->g->now);
	c->conn = 0;
	c->started = false;
}

void client_start(struct life *l, struct client *c)
{
	char text[96];
	snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"%s\"}", c->session);
	client_leave(l, c);
	c->code[0] = '\0';
	if (!life_is_up(l))
		return;
	c->conn = engine_conn_open(l->g->e, grant_local(), l->g->now);
	engine_rig_say(l->g, c->conn, text);
}

void client_reach(struct life *l, struct client *c, size_t want, size_t piece)
{
	for (int tries = 0; tries < 60 && c->promised < want && !over(c) && !l->broken; tries++) {
		if (!c->started)
			client_start(l, c);
		while (c->started && c->position < want && life_is_up(l)) {
			size_t len = want - c->position < piece ? want - c->position : piece;
			engine_rig_media(l->g, c->conn, c->position, len);
			c->position += len;
			if (c->position % (4 * piece) < piece)
				engine_rig_turn(l->g);
		}
		life_pass(l, 1);
	}
	if (c->promised < want && !over(c))
		life_broken(l, "no way on for a client", c->code);
}

void client_end(struct life *l, struct client *c)
{
	size_t total = c->position;
	char text[64];
	for (int tries = 0; tries < 60 && !over(c) && !l->broken; tries++) {
		if (!c->started)
			client_start(l, c);
		client_reach(l, c, total, 65536);
		if (!c->started)
			continue;
		snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%zu}", total);
		engine_rig_say(l->g, c->conn, text);
		life_pass(l, 2);
	}
	if (!over(c))
		life_broken(l, "an end that is never answered", c->code);
	if (c->saved && c->promised != total)
		life_broken(l, "saved with another length", c->session);
}

/* --- what is there afterwards --- */

struct reading {
	enum err err;
	struct engine_original original;
	size_t good; /* bytes from 0 that are what was sent */
};

static void on_original(void *arg, enum err err, const struct engine_original *original)
{
	struct reading *r = arg;
	r->err = err;
	if (!err)
		r->original = *original;
}

static void on_piece(void *arg, enum err err, const void *data, size_t len)
{
	struct reading *r = arg;
	r->err = err;
	for (size_t i = 0; i < len && !err; i++) {
		if (((const char *)data)[i] != engine_rig_byte(r->good)) {
			r->err = ERR_CORRUPT;
			return;
		}
		r->good++;
	}
}

/* quarantine/<id>-0-<offset> holds what was acked and is not in the spool. */
static void read_rescued(struct life *l, const char *json, struct reading *r)
{
	char path[96], *bytes;
	size_t len;
	const char *id = strstr(json, "\"id\":\"");
	if (!id)
		return;
	snprintf(path, sizeof path, "quarantine/%.36s-0-%zu", id + 6, r->good);
	if (vfs_read_all(l->g->vfs, path, 4 * MIB, &bytes, &len) != ERR_OK)
		return;
	on_piece(r, ERR_OK, bytes, len);
	free(bytes);
}

static void check_client(struct life *l, const struct client *c)
{
	struct engine_rig *g = l->g;
	struct reading r = { .err = ERR_INTERNAL };
	char ref[32];
	snprintf(ref, sizeof ref, "session:%s", c->session);
	char *json = engine_rig_get(g, ref);
	struct engine_ref by = { ref, grant_local() };
	engine_original(g->e, by, NULL, on_original, &r);
	engine_rig_turn(g);
	while (!r.err && r.good < r.original.bytes) {
		engine_read(g->e, r.original.reader, r.good, LIMIT_READ_BYTES, on_piece, &r);
		engine_rig_turn(g);
	}
	if (r.original.reader)
		engine_reader_close(g->e, r.original.reader);
	if (!r.err && r.good < c->promised)
		read_rescued(l, json, &r);
	if (c->promised > 0 && (r.err || r.good < c->promised)) {
		char about[2000];
		snprintf(about, sizeof about, "%s: %zu of %zu bytes, %s: %s", c->session, r.good, c->promised,
			 err_code(r.err), json);
		life_broken(l, "acked bytes are lost", about);
	}
	if (c->was_saved && (!strstr(json, "\"phase\":\"queued\"") || r.original.bytes != c->promised))
		life_broken(l, "what was saved is not", json);
	free(json);
}

void life_begin(struct life *l, const char *label, unsigned nth)
{
	*l = (struct life){ .label = label, .nth = nth, .clients = { { .session = "a" }, { .session = "b" } } };
	enum err err = disk_new(nth, &l->disk);
	assert(err == ERR_OK);
	catalog_sqlite_seed(nth);
	l->g = engine_rig_new(disk_vfs(l->disk));
	l->g->heard = heard;
	l->g->heard_arg = l;
}

void life_end(struct life *l, enum disk_loss loss)
{
	if (disk_resyncs(l->disk) > 0)
		life_broken(l, "a failed sync was asked for again", "");
	disk_heal(l->disk);
	life_crash(l, true, loss);
	enum err err = engine_rig_open(l->g);
	if (err)
		life_broken(l, "it does not start after the fault", err_code(err));
	for (int i = 0; i < 2 && !err; i++)
		check_client(l, &l->clients[i]);
	engine_rig_free(l->g);
	disk_free(l->disk);
}
