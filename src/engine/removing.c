/* What a deleted recording leaves on the disk goes, durably, before a checkpoint covers the record of its deletion. */
#include "engine/internal.h"

#include "base/log.h"
#include "store/media.h"

#include <stdlib.h>

struct remove_op {
	struct task task;
	struct engine *engine;
	struct uuid id;
	struct deletion *deletion;
	enum err err;
};

enum err recording_remove_files(struct vfs *vfs, const struct uuid *id)
{
	enum err err = spool_remove(vfs, id);
	if (!err)
		err = vfs_sync_dir(vfs, "spool");
	if (!err)
		err = media_remove(vfs, id, 0);
	if (!err)
		err = vfs_sync_dir(vfs, "media");
	return err == ERR_NOT_FOUND ? ERR_OK : err; /* nothing was ever published */
}

static void remove_run(struct task *task)
{
	struct remove_op *op = (struct remove_op *)task;
	op->err = recording_remove_files(op->engine->config.vfs, &op->id);
}

static void remove_done(struct task *task)
{
	struct remove_op *op = (struct remove_op *)task;
	if (op->err)
		log_event(LOG_ERROR, "remove_failed", "code", err_code(op->err), NULL);
	list_remove(&op->deletion->link);
	free(op->deletion);
	free(op);
}

void take_remove_files(struct engine *e, struct take *t)
{
	struct remove_op *op = must(calloc(1, sizeof *op));
	op->task.run = remove_run;
	op->task.done = remove_done;
	op->engine = e;
	op->id = t->rec.info.id;
	op->deletion = t->deletion;
	t->deletion = NULL;
	exec_submit(e->config.exec, LANE_CHECKPOINT, &op->task);
}
