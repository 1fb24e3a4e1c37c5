/* Checkpoints: what the journal holds is synced into spools and manifests, then its segments are free again.
 *
 * Fuzzy: a cut is taken at the durable position, then each take that is behind is written out, synced and its manifest
 * replaced, in groups on a lane of their own, while recording goes on. Only then the checkpoint record is appended, and
 * only when it is durable segments are recycled.
 *
 * A large group is written out some files at a time and then synced with two calls for the whole file system, contents
 * before names: file by file, the first checkpoint of 9,000 takes needs 45,000 syncs, and the journal is full before it
 * ends. Each such call also writes what thousands of other takes gathered meanwhile, in as many small pieces: hence one
 * group for all, not one for each thousand. A small one is synced file by file: that does not wait for what others
 * wrote. */
#include "engine/internal.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>

/* One take's part in a checkpoint. */
struct checkpoint_item {
	struct list link;
	struct take *take;
	struct recording_info info; /* the manifest's content */
	bool write_manifest;
	bool first; /* the take's first manifest: its folder's own name may not be synced, whoever made it */
	uint64_t goals[LIMIT_TRACKS]; /* each spool must be synced up to here */
	struct vfs_file *files[LIMIT_TRACKS];
	bool names[LIMIT_TRACKS];
	uint32_t count;
	enum err err;
};

static bool take_behind(const struct take *t)
{
	if (t->loading || t->gone)
		return false;
	for (uint32_t i = 0; i < t->io_count; i++) {
		if (!t->io[i]->failed && t->io[i]->synced < t->rec.tracks[i].durable)
			return true;
	}
	return t->manifest_dirty || !t->manifest_on_disk;
}

/* Takes that are synced with one task. */
struct checkpoint_group {
	struct task task;
	struct engine *engine;
	struct list items;
	unsigned count;
	enum err sync_err; /* of what was synced together */
};

static void item_sync(struct vfs *vfs, struct checkpoint_item *item)
{
	for (uint32_t i = 0; i < item->count && !item->err; i++) {
		if (item->files[i])
			item->err = spool_sync(vfs, &item->info.id, item->files[i], !item->names[i]);
	}
	if (!item->err && item->write_manifest)
		item->err = manifest_write(vfs, &item->info);
	if (!item->err && item->write_manifest && item->first)
		item->err = vfs_sync_dir(vfs, "spool");
}

/* The contents of all spools on their way to the disk, some files at a time: the sync of everything behind it finds
 * little left to write, and commits get their turn meanwhile instead of waiting behind all of it. */
static enum err contents_write_out(struct checkpoint_group *g)
{
	struct vfs_file *window[LIMIT_CHECKPOINT_WRITE_OUT];
	unsigned begun = 0, ended = 0;
	enum err err = ERR_OK;
	for (struct list *at = g->items.next; at != &g->items; at = at->next) {
		struct checkpoint_item *item = list_entry(at, struct checkpoint_item, link);
		for (uint32_t i = 0; i < item->count && !err; i++) {
			if (!item->files[i])
				continue;
			if (begun - ended == LIMIT_CHECKPOINT_WRITE_OUT)
				err = vfs_file_write_out(window[ended++ % LIMIT_CHECKPOINT_WRITE_OUT], true);
			window[begun++ % LIMIT_CHECKPOINT_WRITE_OUT] = item->files[i];
			err = err ? err : vfs_file_write_out(item->files[i], false);
		}
	}
	while (ended < begun && !err)
		err = vfs_file_write_out(window[ended++ % LIMIT_CHECKPOINT_WRITE_OUT], true);
	return err;
}

static void group_sync(struct vfs *vfs, struct checkpoint_group *g)
{
	bool manifests = false;
	g->sync_err = contents_write_out(g);
	if (g->sync_err)
		return;
	for (struct list *at = g->items.next; at != &g->items; at = at->next) {
		struct checkpoint_item *item = list_entry(at, struct checkpoint_item, link);
		if (item->write_manifest)
			item->err = manifest_write_begin(vfs, &item->info);
	}
	g->sync_err = vfs_sync_all(vfs);
	for (struct list *at = g->items.next; at != &g->items && !g->sync_err; at = at->next) {
		struct checkpoint_item *item = list_entry(at, struct checkpoint_item, link);
		if (!item->write_manifest || item->err)
			continue;
		item->err = manifest_write_end(vfs, &item->info.id);
		manifests = true;
	}
	if (!g->sync_err && manifests)
		g->sync_err = vfs_sync_all(vfs);
}

static void group_run(struct task *task)
{
	struct checkpoint_group *g = (struct checkpoint_group *)task;
	struct vfs *vfs = g->engine->config.vfs;
	if (g->count > LIMIT_CHECKPOINT_ALONE) {
		group_sync(vfs, g);
		return;
	}
	for (struct list *at = g->items.next; at != &g->items; at = at->next)
		item_sync(vfs, list_entry(at, struct checkpoint_item, link));
}

static void item_free(struct engine *e, struct checkpoint_item *item)
{
	struct take *t = item->take;
	recording_info_release(&item->info);
	free(item);
	take_unpin(e, t);
}

void checkpoint_drop(struct engine *e, struct list *link)
{
	item_free(e, list_entry(link, struct checkpoint_item, link));
}

static void item_synced(struct checkpoint_item *item)
{
	struct take *t = item->take;
	for (uint32_t i = 0; i < item->count; i++) {
		if (!item->files[i])
			continue;
		t->io[i]->names_synced = true;
		if (t->io[i]->synced < item->goals[i])
			t->io[i]->synced = item->goals[i];
	}
	if (item->write_manifest)
		t->manifest_on_disk = true;
}

static void item_done(struct engine *e, struct checkpoint_item *item)
{
	struct take *t = item->take;
	t->manifest_writing = false;
	if (item->err == ERR_SYNC_FAILED) { /* the page cache can't be trusted any more */
		engine_fail(e, item->err, "a checkpoint");
	} else if (item->err) { /* nothing was promised: the journal keeps the records, and it is tried again */
		log_event(LOG_ERROR, "checkpoint_failed", "code", err_code(item->err), NULL);
		t->manifest_dirty |= item->write_manifest;
		recording_info_release(&item->info);
		item->err = ERR_OK;
		list_push(&e->checkpoint.todo, &item->link);
		e->checkpoint.stalled = true;
		timer_set(&e->timers, &e->space_timer, e->now.mono_ms + LIMIT_SPACE_CHECK_MS);
		return;
	} else {
		item_synced(item);
	}
	item_free(e, item);
}

static void group_done(struct task *task)
{
	struct checkpoint_group *g = (struct checkpoint_group *)task;
	struct engine *e = g->engine;
	e->checkpoint.at_work = false;
	struct list *link;
	while ((link = list_pop(&g->items))) {
		struct checkpoint_item *item = list_entry(link, struct checkpoint_item, link);
		if (g->sync_err)
			item->err = g->sync_err;
		item_done(e, item);
	}
	free(g);
	checkpoint_pump(e);
}

/* Every spool of the item holds its goal: it can be synced. Otherwise the writes it waits for are wanted. */
static bool item_ready(struct engine *e, struct checkpoint_item *item)
{
	bool ready = true;
	struct take *t = item->take;
	for (uint32_t i = 0; i < item->count; i++) {
		struct track_io *io = t->io[i];
		if (io->failed || io->spooled >= item->goals[i])
			continue;
		spool_flush(e, io, item->goals[i]);
		ready = false;
	}
	return ready;
}

/* What the lane is to do, as the take is now. */
static void item_prepare(struct checkpoint_item *item)
{
	struct take *t = item->take;
	for (uint32_t i = 0; i < item->count; i++) {
		struct track_io *io = t->io[i];
		bool behind = io->synced < item->goals[i] || !io->names_synced;
		item->files[i] = !io->failed && behind ? io->file : NULL;
		item->names[i] = io->names_synced;
	}
	item->first = !t->manifest_on_disk;
	item->write_manifest = t->manifest_dirty || !t->manifest_on_disk;
	if (item->write_manifest) {
		must(recording_info_copy(&item->info, t->logged ? t->logged : &t->rec.info) ? NULL : item);
		t->manifest_dirty = false;
		t->manifest_writing = true;
	} else {
		item->info.id = t->rec.info.id;
	}
}

static void group_submit(struct engine *e)
{
	struct checkpoint *c = &e->checkpoint;
	struct checkpoint_group *g = must(calloc(1, sizeof *g));
	g->task.run = group_run;
	g->task.done = group_done;
	g->engine = e;
	list_init(&g->items);
	for (struct list *link; g->count < LIMIT_CHECKPOINT_TAKES && (link = list_pop(&c->ready)); g->count++) {
		item_prepare(list_entry(link, struct checkpoint_item, link));
		list_push(&g->items, link);
		c->ready_count--;
	}
	c->at_work = true;
	exec_submit(e->config.exec, LANE_CHECKPOINT, &g->task);
}

enum err checkpoint_tracks(struct engine *e, struct checkpoint_track **out, size_t *count)
{
	size_t n = 0;
	for (struct list *at = e->takes.next; at != &e->takes; at = at->next)
		n += list_entry(at, struct take, link)->rec.info.track_count + 1;
	struct checkpoint_track *tracks = malloc((n ? n : 1) * sizeof *tracks);
	if (!tracks)
		return ERR_NO_MEMORY;
	n = 0;
	for (struct list *at = e->takes.next; at != &e->takes; at = at->next) {
		struct take *t = list_entry(at, struct take, link);
		/* also finished ones: a record behind the cut may name a track with a length that is long outgrown */
		if (t->loading || t->gone || !t->manifest_on_disk)
			continue;
		for (uint32_t i = 0; i < t->rec.info.track_count; i++) {
			uint64_t synced = i < t->io_count ? t->io[i]->synced : t->rec.info.tracks[i].bytes;
			tracks[n++] = (struct checkpoint_track){ t->rec.info.id, (uint16_t)i, synced };
		}
	}
	*out = tracks;
	*count = n;
	return ERR_OK;
}

static void checkpoint_end(struct engine *e)
{
	struct checkpoint *c = &e->checkpoint;
	struct checkpoint_track *tracks;
	size_t count;
	enum err err = checkpoint_tracks(e, &tracks, &count);
	if (err) {
		engine_fail(e, err, "a checkpoint");
		return;
	}
	c->recording = true;
	if (c->cut + 1 > e->hold_floor)
		c->cut = e->hold_floor - 1;
	if (!list_empty(&e->deletions)) {
		uint64_t first = list_entry(e->deletions.next, struct deletion, link)->sequence;
		c->cut = c->cut < first ? c->cut : first - 1;
	}
	c->at = journal_checkpoint(e->journal, c->cut + 1, tracks, count);
	free(tracks);
	append_pump(e);
}

/* Called at each durable step: the record of the checkpoint may be there. */
void checkpoint_durable(struct engine *e, uint64_t sequence)
{
	struct checkpoint *c = &e->checkpoint;
	if (!c->recording || c->at.sequence > sequence)
		return;
	c->recording = c->running = false;
	c->covered = c->cut;
	c->done_count++;
	e->finished_count = 0;
	for (struct list *at = e->takes.next, *next; at != &e->takes; at = next) {
		next = at->next;
		take_evict(e, list_entry(at, struct take, link));
	}
	append_pressure(e);
	if (c->wanted) {
		c->wanted = false;
		checkpoint_begin(e);
	}
}

void checkpoint_pump(struct engine *e)
{
	struct checkpoint *c = &e->checkpoint;
	if (!c->running || c->recording || c->stalled || e->failed)
		return;
	struct list *at = c->todo.next;
	unsigned waiting = 0; /* for writes that end in a call of this */
	while (at != &c->todo && waiting < LIMIT_CHECKPOINT_WRITES && c->ready_count < LIMIT_CHECKPOINT_TAKES) {
		struct checkpoint_item *item = list_entry(at, struct checkpoint_item, link);
		at = at->next;
		if (!item_ready(e, item)) {
			waiting++;
			continue;
		}
		list_remove(&item->link);
		list_push(&c->ready, &item->link);
		c->ready_count++;
	}
	if (c->at_work)
		return;
	if (list_empty(&c->todo) && list_empty(&c->ready))
		checkpoint_end(e);
	else if (list_empty(&c->todo) || c->ready_count >= LIMIT_CHECKPOINT_TAKES)
		group_submit(e);
}

void checkpoint_begin(struct engine *e)
{
	struct checkpoint *c = &e->checkpoint;
	if (e->failed)
		return;
	if (c->running) {
		c->wanted = true;
		return;
	}
	c->running = true;
	c->cut = append_settled(e); /* goals are what the takes know to be durable */
	timer_set(&e->timers, &c->timer, e->now.mono_ms + LIMIT_CHECKPOINT_MS);
	for (struct list *at = e->takes.next; at != &e->takes; at = at->next) {
		struct take *t = list_entry(at, struct take, link);
		if (!take_behind(t))
			continue;
		struct checkpoint_item *item = must(calloc(1, sizeof *item));
		item->take = t;
		item->count = t->io_count;
		for (uint32_t i = 0; i < t->io_count; i++)
			item->goals[i] = t->rec.tracks[i].durable;
		take_pin(t);
		list_push(&c->todo, &item->link);
	}
	checkpoint_pump(e);
}

/* Begins one when half of the journal is used, many finished takes wait in memory, or it is time. */
void checkpoint_maybe(struct engine *e)
{
	if (e->checkpoint.running || e->failed)
		return;
	if (e->holds > 0)
		return; /* it could free nothing: records are held for a take that failed */
	if (journal_wants_checkpoint(e->journal) || e->finished_count > LIMIT_FINISHED_TAKES)
		checkpoint_begin(e);
}
