/* When storage fails under a take: it is taken out of use. What was acked and is in its spool is synced there, for no
 * checkpoint will do it any more; the rest is copied from memory to quarantine/. Until both are durable (on a failing
 * disk: until the restart) the journal keeps the records. */
#include "engine/internal.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct rescue_op {
	struct task task;
	struct list link; /* engine.rescues while it waits for another try */
	struct engine *engine;
	struct take *take;
	struct track_io *io;
	uint64_t held; /* the sequence that the journal holds for us */
	uint64_t from; /* what the spool holds */
	bool sync;     /* … not all of it synced */
	enum err err;
	int count;
	struct iovec iov[];
};

static enum err rescue_write(struct vfs *vfs, const char *path, struct rescue_op *op)
{
	struct vfs_file *file;
	enum err err = vfs_open(vfs, path, VFS_READ | VFS_WRITE | VFS_CREATE, &file);
	if (err)
		return err;
	err = vfs_file_writev(file, op->iov, op->count, 0, false);
	if (!err)
		err = vfs_file_sync(file);
	vfs_file_close(file);
	return err ? err : vfs_sync_dir(vfs, "quarantine");
}

/* quarantine/<id>-<track>-<offset>: the bytes of the track from the offset on. */
static void rescue_run(struct task *task)
{
	struct rescue_op *op = (struct rescue_op *)task;
	struct vfs *vfs = op->engine->config.vfs;
	const struct uuid *recording = &op->take->rec.info.id;
	char id[UUID_TEXT], path[128];
	op->err = op->sync ? spool_sync(vfs, recording, op->io->file, !op->io->names_synced) : ERR_OK;
	op->sync = op->sync && op->err;
	if (op->err || op->count == 0)
		return;
	uuid_format(recording, id);
	snprintf(path, sizeof path, "quarantine/%s-%u-%llu", id, (unsigned)op->io->number,
		 (unsigned long long)op->from);
	op->err = vfs_mkdir(vfs, "quarantine");
	if (op->err == ERR_OK || op->err == ERR_EXISTS)
		op->err = vfs_sync_dir(vfs, ""); /* whoever made it may not have come so far */
	if (!op->err)
		op->err = rescue_write(vfs, path, op);
}

static void rescue_done(struct task *task)
{
	struct rescue_op *op = (struct rescue_op *)task;
	struct engine *e = op->engine;
	char id[UUID_TEXT];
	uuid_format(&op->take->rec.info.id, id);
	if (op->err && op->err != ERR_SYNC_FAILED) { /* nothing was promised of it: again when there is space */
		log_event(LOG_ERROR, "rescue_failed", "id", id, "code", err_code(op->err), NULL);
		list_push(&e->rescues, &op->link);
		timer_set(&e->timers, &e->space_timer, e->now.mono_ms + LIMIT_SPACE_CHECK_MS);
		return;
	}
	if (op->err) {
		log_event(LOG_ERROR, "rescue_failed", "id", id, "code", err_code(op->err), NULL);
		e->held_for_good = true;
	} else {
		if (op->count > 0)
			log_event(LOG_WARN, "rescued_to_quarantine", "id", id, "from", log_number(op->from), NULL);
		op->io->synced = op->from;
		journal_release(e->journal, op->held);
		if (--e->holds == 0)
			e->hold_floor = UINT64_MAX;
	}
	take_unpin(e, op->take);
	free(op);
}

void rescue_again(struct engine *e)
{
	struct list rescues;
	struct list *link;
	list_init(&rescues);
	list_move(&rescues, &e->rescues);
	while ((link = list_pop(&rescues)))
		exec_submit(e->config.exec, LANE_CHECKPOINT, &list_entry(link, struct rescue_op, link)->task);
}

void rescue_drop(struct list *link)
{
	free(list_entry(link, struct rescue_op, link));
}

static void rescue(struct engine *e, struct track_io *io, uint64_t durable)
{
	uint64_t rest = durable > io->spooled ? durable - io->spooled : 0;
	int max = (int)(rest / LIMIT_BLOCK_BYTES) + 2;
	struct rescue_op *op = must(calloc(1, sizeof *op + (size_t)max * sizeof op->iov[0]));
	op->task.run = rescue_run;
	op->task.done = rescue_done;
	op->engine = e;
	op->take = io->take;
	op->io = io;
	op->held = e->checkpoint.covered + 1;
	op->from = io->spooled;
	op->sync = io->file && io->spooled > io->synced;
	op->count = chain_iov(&io->chain, io->spooled, io->spooled + rest, op->iov, max);
	journal_hold(e->journal, op->held);
	e->holds++;
	if (op->held < e->hold_floor)
		e->hold_floor = op->held;
	take_pin(op->take);
	exec_submit(e->config.exec, LANE_CHECKPOINT, &op->task);
}

void spool_failed(struct engine *e, struct track_io *io, enum err err)
{
	struct take *t = io->take;
	if (io->failed)
		return;
	char id[UUID_TEXT];
	uuid_format(&t->rec.info.id, id);
	log_event(LOG_ERROR, "spool_failed", "id", id, "code", err_code(err), NULL);
	io->failed = true;
	list_remove(&io->dirty);
	list_remove(&io->spoolable);
	uint64_t durable = t->rec.tracks[io->number].durable;
	if (durable > io->synced)
		rescue(e, io, durable);
	shows_failed(e, t, ERR_POISONED);
	recording_poison(&t->rec, ERR_POISONED, &e->fx);
	effects_run(e, t);
}

void spool_failed_lengths(const struct take *t, struct recording_info *info)
{
	for (uint32_t i = 0; i < t->io_count; i++) {
		if (t->io[i]->failed && t->io[i]->spooled < info->tracks[i].bytes)
			info->tracks[i].bytes = t->io[i]->spooled;
	}
}
