/* Programs that hand over batches: slices sent over links that drop, again until they are acked, some of them though
 * they were. And what must be true of them: a key has one recording and one job, what was acked is there, counts are
 * those of the rows, and a batch ends once.
 *
 * Items end by themselves (their source is gone), or are deleted once all is calm. */
#include "outside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCHES = 2, SLICES = 6, SLICE_ITEMS = 5, ITEMS = SLICES * SLICE_ITEMS };

struct item {
	char id[ID_TEXT]; /* "" until it was acked */
	bool fetched, was_new, deleted;
};

struct batcher {
	struct world *w;
	struct link *link; /* NULL: none … */
	uint64_t since_us; /* … else since then */
	struct rng rng;
	unsigned number, slices, items; /* how many it has */
	bool creating, created, acked[SLICES];
	unsigned deleting; /* the item that is being deleted, from 1; 0: none */
	bool complete;	   /* it was told so */
	struct item each[ITEMS];
};

struct batchers {
	struct batcher each[BATCHES];
};

static struct batcher *batcher_of(struct world *w, unsigned i)
{
	return &w->outside->batchers->each[i];
}

static void name_of(const struct batcher *b, char out[16])
{
	snprintf(out, 16, "batch-%u", b->number);
}

static bool done(const struct batcher *b)
{
	for (unsigned i = 0; i < b->slices; i++) {
		if (!b->acked[i])
			return false;
	}
	for (unsigned i = 0; i < b->items; i++) {
		if (!b->each[i].fetched && !b->each[i].deleted)
			return false;
	}
	return true;
}

bool batchers_idle(struct world *w)
{
	for (unsigned i = 0; i < w->plan.batches; i++) {
		if (!done(batcher_of(w, i)))
			return false;
	}
	return true;
}

bool batchers_url(const char *url)
{
	return strncmp(url, "https://gone.example/", 21) == 0;
}

static unsigned number_of(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

/* --- what is said --- */

static void say_slice(struct batcher *b, unsigned slice)
{
	char text[1600], batch[16];
	int len;
	name_of(b, batch);
	len = snprintf(text, sizeof text, "{\"type\":\"slice\",\"batchId\":\"%s\",\"sliceId\":\"%u\",\"items\":[",
		       batch, slice);
	for (unsigned i = slice * SLICE_ITEMS; i < (slice + 1) * SLICE_ITEMS; i++) {
		len += snprintf(text + len, sizeof text - (size_t)len, "%s{\"key\":\"%u\",\"name\":\"item %u\"",
				i % SLICE_ITEMS ? "," : "", i, i);
		if (b->each[i].fetched)
			len += snprintf(text + len, sizeof text - (size_t)len,
					",\"sourceUrl\":\"https://gone.example/%u/%u\"", b->number, i);
		len += snprintf(text + len, sizeof text - (size_t)len, "}");
	}
	len += snprintf(text + len, sizeof text - (size_t)len, "]}");
	assert((size_t)len < sizeof text);
	link_text(b->link, text, (size_t)len);
}

static void say_differing(struct batcher *b)
{
	char text[200], batch[16];
	name_of(b, batch);
	int len =
		snprintf(text, sizeof text,
			 "{\"type\":\"slice\",\"batchId\":\"%s\",\"sliceId\":\"x\",\"items\":[{\"key\":\"0\",\"name\":"
			 "\"another\"}]}",
			 batch);
	link_text(b->link, text, (size_t)len);
}

/* --- what is answered --- */

static void take_item(struct batcher *b, unsigned slice, size_t at, const json_t *json)
{
	struct sim *s = &b->w->sim;
	const char *key = json_string_value(json_object_get(json, "key"));
	const char *id = json_string_value(json_object_get(json, "id"));
	unsigned n = slice * SLICE_ITEMS + (unsigned)at;
	struct item *item = &b->each[n];
	bool fresh = json_is_true(json_object_get(json, "isNew"));
	if (!key || number_of(key) != n || !id || json_object_get(json, "error"))
		sim_fail(s, "wire", "item %u of batch %u is answered wrongly", n, b->number);
	if (fresh && (item->was_new || item->id[0]))
		sim_fail(s, "an item is new once", "item %u of batch %u is new again", n, b->number);
	if (item->id[0] && strcmp(item->id, id) != 0)
		sim_fail(s, "one item, one recording", "item %u of batch %u was %s, is %s", n, b->number, item->id, id);
	item->was_new |= fresh;
	snprintf(item->id, sizeof item->id, "%s", id);
}

static void take_ack(struct batcher *b, const json_t *json)
{
	const char *name = json_string_value(json_object_get(json, "sliceId"));
	const json_t *items = json_object_get(json, "items");
	if (name && strcmp(name, "x") == 0) {
		const char *code =
			json_string_value(json_object_get(json_object_get(json_array_get(items, 0), "error"), "code"));
		const char *status = json_string_value(json_object_get(json_array_get(items, 0), "status"));
		/* what a deleted one was nobody knows any more */
		if ((!code || strcmp(code, "item_differs") != 0) && (!status || strcmp(status, "deleted") != 0))
			sim_fail(&b->w->sim, "an item stays as it is", "another one of its key is taken");
		return;
	}
	unsigned slice = name ? number_of(name) : SLICES;
	if (slice >= b->slices || json_array_size(items) != SLICE_ITEMS)
		sim_fail(&b->w->sim, "wire", "an ack of a slice that is none");
	for (size_t i = 0; i < SLICE_ITEMS; i++)
		take_item(b, slice, i, json_array_get(items, i));
	b->acked[slice] = true;
	world_tally(b->w, TALLY_SLICES);
}

static void check_state(struct batcher *b, const json_t *json)
{
	struct sim *s = &b->w->sim;
	const char *phase;
	json_t *count;
	json_int_t sum = 0, items = json_integer_value(json_object_get(json, "items"));
	json_int_t ended = json_integer_value(json_object_get(json, "ended"));
	bool complete = json_is_true(json_object_get(json, "complete"));
	json_object_foreach(json_object_get(json, "counts"), phase, count) sum += json_integer_value(count);
	if (sum != items || items > b->items || ended > items)
		sim_fail(s, "counts are those of the rows", "batch %u has %d items, %d counted", b->number, (int)items,
			 (int)sum);
	if (complete && items != b->items)
		sim_fail(s, "a batch ends once", "batch %u is complete with %d items", b->number, (int)items);
	if (b->complete && !complete)
		sim_fail(s, "a batch ends once", "batch %u was complete, and is not", b->number);
	b->complete |= complete;
}

static void act(void *arg, uint64_t x);

static void act_later(struct batcher *b, uint64_t most)
{
	sim_after(&b->w->sim, rng_below(&b->rng, most), act, b, 0);
}

static void send_all(struct batcher *b)
{
	for (unsigned i = 0; i < b->slices; i++) {
		unsigned slice = (i + (unsigned)rng_below(&b->rng, 2)) % b->slices;
		if (!b->acked[slice] || rng_chance(&b->rng, 15))
			say_slice(b, slice);
	}
	if (b->each[0].id[0] && !b->each[0].deleted && b->deleting == 0)
		say_differing(b);
}

static void on_opened(void *arg, struct link *link)
{
	struct batcher *b = arg;
	char text[80], batch[16];
	if (link != b->link)
		return;
	if (rng_chance(&b->rng, 50)) {
		name_of(b, batch);
		int len = snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"batchId\":\"%s\"}", batch);
		link_text(link, text, (size_t)len);
	}
	send_all(b);
}

static void on_message(void *arg, struct link *link, const struct message_in *m)
{
	struct batcher *b = arg;
	json_t *json = m->text ? json_loads(m->text, 0, NULL) : NULL;
	const char *type = json_string_value(json_object_get(json, "type"));
	const char *of = json_string_value(json_object_get(json, "of"));
	if (type && strcmp(type, "slice_ack") == 0)
		take_ack(b, json);
	else if (type && strcmp(type, "status") == 0 && of && strcmp(of, "batch") == 0)
		check_state(b, json);
	json_decref(json);
}

static void on_closed(void *arg, struct link *link)
{
	struct batcher *b = arg;
	if (link == b->link)
		b->link = NULL;
}

static const struct peer peer = { .opened = on_opened, .message = on_message, .closed = on_closed };

/* --- what it does --- */

static void created(void *arg, enum err err, bool made, const char *json, size_t len)
{
	struct batcher *b = arg;
	struct world *w = b->w;
	w->asking--;
	w->open_requests--;
	b->creating = false;
	sim_trace(&w->sim, "batch", err_code(err), b->number, made);
	if (err == ERR_OK && made && b->created)
		sim_fail(&w->sim, "one item, one recording", "batch %u is made again", b->number);
	b->created |= err == ERR_OK;
}

static void ask_create(struct batcher *b)
{
	char name[16];
	name_of(b, name);
	b->creating = true;
	b->w->asking++;
	b->w->open_requests++;
	engine_batch_create(b->w->engine, &(struct engine_batch_new){ grant_local(), name, NULL, b->items }, created,
			    b);
}

static void deleted(void *arg, enum err err, const char *json, size_t len)
{
	struct batcher *b = arg;
	b->w->asking--;
	b->w->open_requests--;
	b->each[b->deleting - 1].deleted |= err == ERR_OK || err == ERR_DELETED;
	b->deleting = 0;
}

/* One at a time: those that wait for bytes which nobody has, and some that failed. */
static void ask_delete(struct batcher *b)
{
	unsigned first = (unsigned)rng_below(&b->rng, b->items);
	for (unsigned i = 0; i < b->items; i++) {
		unsigned n = (first + i) % b->items;
		struct item *item = &b->each[n];
		if (item->deleted || !item->id[0] || (item->fetched && n % 4 != 0))
			continue;
		b->deleting = n + 1;
		b->w->asking++;
		b->w->open_requests++;
		engine_delete(b->w->engine, (struct engine_ref){ item->id, grant_local() }, deleted, b);
		return;
	}
}

/* A link on which nothing came for long is lost, whatever it looks like. */
static void give_up_silent(struct batcher *b)
{
	uint64_t heard = b->link ? link_heard_us(b->link) : 0;
	uint64_t patience = 3 * (uint64_t)b->w->plan.heartbeat_ms * MS;
	if (!b->link || b->w->sim.now_us < (heard > b->since_us ? heard : b->since_us) + patience)
		return;
	link_hang_up(b->link);
	b->link = NULL;
}

static void act(void *arg, uint64_t x)
{
	struct batcher *b = arg;
	struct world *w = b->w;
	bool can = w->up && !w->stopping && !w->fatal && !w->quiet && !w->ending;
	give_up_silent(b);
	if (can && !b->created && !b->creating)
		ask_create(b);
	else if (can && w->calm && b->created && b->deleting == 0)
		ask_delete(b);
	if (can)
		world_touched(w);
	if (can && b->created && !b->link && !done(b)) {
		b->since_us = w->sim.now_us;
		b->link = link_open(w, &peer, b, NULL, 0);
	} else if (b->link && rng_chance(&b->rng, w->calm ? 5 : 20)) {
		link_cut(b->link, false);
	} else if (b->link && link_usable(b->link) && rng_chance(&b->rng, 30)) {
		send_all(b);
	}
	if (!w->ending)
		act_later(b, w->calm ? 300 * MS : SECOND);
}

void batchers_gone(struct world *w)
{
	for (unsigned i = 0; i < w->plan.batches; i++) {
		struct batcher *b = batcher_of(w, i);
		b->creating = false;
		b->deleting = 0;
	}
}

void batchers_begin(struct world *w)
{
	if (w->plan.batches == 0)
		return;
	w->outside->batchers = calloc(1, sizeof *w->outside->batchers);
	assert(w->outside->batchers);
	for (unsigned i = 0; i < w->plan.batches; i++) {
		struct batcher *b = batcher_of(w, i);
		b->w = w;
		b->number = i;
		b->rng = (struct rng){ rng_mix(w->sim.seed * 7411 + i) };
		b->slices = 1 + (unsigned)rng_below(&b->rng, SLICES);
		b->items = b->slices * SLICE_ITEMS;
		for (unsigned k = 0; k < b->items; k++)
			b->each[k].fetched = rng_chance(&b->rng, 50);
		act_later(b, 5 * SECOND);
	}
}

bool batchers_status(struct world *w, const json_t *status)
{
	const char *batch = json_string_value(json_object_get(status, "batch"));
	const char *key = json_string_value(json_object_get(status, "key"));
	const char *id = json_string_value(json_object_get(status, "id"));
	if (!batch)
		return false;
	for (unsigned i = 0; i < w->plan.batches; i++) {
		struct batcher *b = batcher_of(w, i);
		char name[16];
		name_of(b, name);
		unsigned n = key ? number_of(key) : ITEMS;
		if (strcmp(name, batch) != 0)
			continue;
		if (n >= b->items || (b->each[n].id[0] && strcmp(b->each[n].id, id) != 0))
			sim_fail(&w->sim, "one item, one recording", "a status of %s, item %s of %s", id, key, batch);
		return true;
	}
	return false;
}

/* --- the end --- */

static enum err count_row(void *arg, const struct recording_info *row)
{
	(void)row;
	++*(unsigned *)arg;
	return ERR_OK;
}

struct ends {
	const char *batch;
	unsigned count;
	int64_t last;
	unsigned read;
};

static enum err count_end(void *arg, const struct catalog_event *event)
{
	struct ends *e = arg;
	e->last = event->seq;
	e->read++;
	e->count += strcmp(event->type, "batch.completed") == 0 && event->batch && strcmp(event->batch, e->batch) == 0;
	return ERR_OK;
}

static unsigned ends_of(struct catalog *catalog, const char *batch)
{
	struct ends e = { .batch = batch };
	do {
		struct catalog_event_filter filter = { .after = e.last, .limit = LIMIT_EVENTS_PAGE };
		e.read = 0;
		catalog->ops->events(catalog, &filter, count_end, &e);
	} while (e.read > 0);
	return e.count;
}

static void audit_item(struct batcher *b, struct catalog *catalog, unsigned n, uint64_t counts[PHASE_COUNT])
{
	struct sim *s = &b->w->sim;
	struct item *item = &b->each[n];
	struct recording_info row;
	struct uuid id;
	unsigned jobs;
	if (!uuid_parse(item->id, &id) || catalog->ops->get(catalog, &id, &row) != ERR_OK)
		sim_fail(s, "what was acked is there", "item %u of batch %u is not", n, b->number);
	if (!row.batch_key || number_of(row.batch_key) != n)
		sim_fail(s, "one item, one recording", "item %u of batch %u is of key %s", n, b->number, row.batch_key);
	if (row.phase != PHASE_ERROR && row.phase != PHASE_DELETED)
		sim_fail(s, "liveness", "item %u of batch %u is still %s", n, b->number, phase_name(row.phase));
	catalog->ops->job_count(catalog, &id, JOB_FETCH, &jobs);
	if (jobs != (item->fetched && row.phase != PHASE_DELETED))
		sim_fail(s, "one item, one job", "item %u of batch %u has %u", n, b->number, jobs);
	counts[row.phase]++;
	recording_info_release(&row);
}

static void audit_batch(struct batcher *b, struct catalog *catalog)
{
	struct sim *s = &b->w->sim;
	struct batch_info batch;
	uint64_t counts[PHASE_COUNT] = { 0 };
	unsigned listed = 0;
	char name[16];
	name_of(b, name);
	if (catalog->ops->batch_get(catalog, PRINCIPAL_LOCAL, name, &batch) != ERR_OK)
		sim_fail(s, "what was acked is there", "batch %u is not", b->number);
	for (unsigned i = 0; i < b->items; i++)
		audit_item(b, catalog, i, counts);
	for (unsigned i = 0; i < PHASE_COUNT; i++) {
		if (counts[i] != batch.counts[i])
			sim_fail(s, "counts are those of the rows", "%s has %" PRIu64 " in %s, there are %" PRIu64,
				 name, batch.counts[i], phase_name((enum phase)i), counts[i]);
	}
	struct catalog_filter filter = {
		.principal = PRINCIPAL_LOCAL, .batch = name, .phase = -1, .limit = LIMIT_LIST_ITEMS
	};
	catalog->ops->list(catalog, &filter, count_row, &listed);
	if (listed + counts[PHASE_DELETED] != b->items)
		sim_fail(s, "one item, one recording", "%s lists %u items", name, listed);
	if (!batch.completed_ms || ends_of(catalog, name) != 1)
		sim_fail(s, "a batch ends once", "%s has ended %u times", name, ends_of(catalog, name));
	batch_info_release(&batch);
}

void batchers_audit(struct world *w, struct catalog *catalog)
{
	for (unsigned i = 0; i < w->plan.batches; i++)
		audit_batch(batcher_of(w, i), catalog);
}
