/* `start` with an item's id: a connection brings the bytes of a batch's item that waits for them.
 *
 * What its client knows by now and did not when it made the item (type, name) is written into its row before the
 * connection is attached. From there on it is a take as any, but that no grace ends it. */
#include "engine/starting.h"

#include <stdlib.h>
#include <string.h>

struct item_op {
	struct catalog_op op; /* first */
	struct start *start;  /* the connection's, if it is still waited for */
	struct grant grant;
	struct recording_info said, row;
};

/* Only its owner, and who may all, may say what an item is. */
static enum err item_judge(const struct grant *g, const struct recording_info *row)
{
	bool own = row->principal && strcmp(row->principal, g->subject) == 0;
	enum err err = grant_judge(g, GRANT_CHANGE, own, &row->id);
	if (err)
		return err == ERR_NOT_FOUND ? err : ERR_FORBIDDEN_SCOPE;
	if (row->phase == PHASE_DELETED)
		return ERR_DELETED;
	return row->batch && row->upload.kind == UPLOAD_WHOLE ? ERR_OK : ERR_NOT_FOUND;
}

static enum err item_run(struct catalog *c, struct catalog_op *op)
{
	struct item_op *o = (struct item_op *)op;
	recording_info_release(&o->row);
	enum err err = c->ops->get(c, &o->said.id, &o->row);
	if (err || item_judge(&o->grant, &o->row) != ERR_OK || o->row.phase != PHASE_UPLOADING)
		return err;
	recording_info_release(&o->row);
	return c->ops->item_fill(c, &o->said, &o->row);
}

static void text_take(char **text, char **from)
{
	if (*text || !*from)
		return;
	*text = *from;
	*from = NULL;
}

/* The take, as the row is by now; put into memory if it is not there. */
static struct take *item_take(struct engine *e, struct item_op *o)
{
	struct take *t = take_by_id(e, &o->row.id);
	if (!t) {
		t = take_adopt(e, &o->row);
		t->manifest_on_disk = true; /* else it would not have left memory */
	} else if (!t->loading) {
		text_take(&t->rec.info.name, &o->row.name);
		text_take(&t->rec.info.mime, &o->row.mime);
		text_take(&t->rec.info.ext, &o->row.ext);
	}
	return t;
}

static void item_done(struct engine *e, struct catalog_op *op)
{
	struct item_op *o = (struct item_op *)op;
	enum err err = op->err ? op->err : item_judge(&o->grant, &o->row);
	if (err || e->failed) {
		start_go(e, &o->start->waiter, NULL, err ? err : ERR_SHUTTING_DOWN);
	} else {
		struct take *t = item_take(e, o);
		take_pin(t);
		if (t->loading)
			take_wait(t, &o->start->waiter);
		else
			start_go(e, &o->start->waiter, t, ERR_OK);
		take_unpin(e, t);
	}
	recording_info_release(&o->said);
	recording_info_release(&o->row);
	free(o);
}

void conn_start_item(struct engine *e, struct conn *c, const struct message_start *m, const struct grant *grant)
{
	if ((m->track && strcmp(m->track, "main") != 0) || m->tracks_count > 0) {
		conn_error(e, c, ERR_BAD_FIELD, "An item is one file: it has no tracks.", UINT64_MAX);
		return;
	}
	struct item_op *o = must(calloc(1, sizeof *o));
	o->op.run = item_run;
	o->op.done = item_done;
	o->start = start_new(c, m, grant);
	o->grant = *grant;
	o->said.id = m->id;
	o->said.name = m->name ? must(strdup(m->name)) : NULL;
	o->said.mime = m->mime ? must(strdup(m->mime)) : NULL;
	o->said.ext = m->ext ? must(strdup(m->ext)) : NULL;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}
