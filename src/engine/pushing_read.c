/* The file of a push, read on the pool lane: opened, hashed piece by piece, and read again (from the page cache,
 * mostly) for the pusher, which has two pieces at most. */
#include "engine/pushing.h"

#include "store/media.h"

#include <stdlib.h>
#include <string.h>

struct open_task {
	struct task task;
	struct engine *engine;
	uint64_t number;
	struct uuid id;
	struct media_info media;
	struct vfs_file *file;
	enum err err;
};

struct read_task {
	struct task task;
	struct engine *engine;
	uint64_t number; /* of the slot */
	uint64_t step;	 /* of the step that wants it */
	struct push_file *file;
	uint64_t offset, left;
	size_t len;
	uint8_t *data;
	EVP_MD_CTX *hash; /* NULL: it is read for the pusher */
	uint8_t sha256[32];
	enum err err;
};

struct close_task {
	struct task task;
	struct engine *engine;
	struct vfs_file *file;
};

static void submit(struct engine *e, struct task *task, void (*run)(struct task *task), void (*done)(struct task *task))
{
	task->run = run;
	task->done = done;
	e->pushing->tasks++;
	exec_submit(e->config.exec, LANE_POOL, task);
}

/* --- closing --- */

static void close_run(struct task *task)
{
	vfs_file_close(((struct close_task *)task)->file);
}

static void close_done(struct task *task)
{
	((struct close_task *)task)->engine->pushing->tasks--;
	free(task);
}

static void file_close(struct engine *e, struct vfs_file *file)
{
	if (e->pushing->closing) {
		vfs_file_close(file);
		return;
	}
	struct close_task *c = must(calloc(1, sizeof *c));
	c->engine = e;
	c->file = file;
	submit(e, &c->task, close_run, close_done);
}

void pushing_file_put(struct engine *e, struct push_file *f)
{
	if (--f->users > 0)
		return;
	file_close(e, f->file);
	free(f);
}

/* --- opening --- */

/* What is published as it came stands in the spool, which may go on behind it. */
static void open_run(struct task *task)
{
	struct open_task *o = (struct open_task *)task;
	char path[MEDIA_PATH];
	uint64_t size = 0;
	if (o->media.as_is)
		spool_file_path(&o->id, 0, path);
	else
		media_part_path(&o->id, &o->media, MEDIA_FILE, path);
	o->err = vfs_open(o->engine->config.vfs, path, VFS_READ, &o->file);
	if (!o->err)
		o->err = vfs_file_size(o->file, &size);
	bool whole = o->media.as_is ? size >= o->media.bytes : size == o->media.bytes;
	if (o->err == ERR_NOT_FOUND || (!o->err && !whole))
		o->err = ERR_CORRUPT;
}

static void open_done(struct task *task)
{
	struct open_task *o = (struct open_task *)task;
	struct engine *e = o->engine;
	struct push_slot *s = pushing_slot(e, o->number);
	e->pushing->tasks--;
	if (s)
		s->busy = false;
	if (s && !s->ending && !o->err) {
		s->file = must(calloc(1, sizeof *s->file));
		s->file->file = o->file;
		s->file->users = 1;
		s->stage = s->push.sha256 ? PUSHING_LOOK : PUSHING_HASH;
	} else {
		if (s && !s->ending)
			pushing_finish(s, o->err,
				       o->err == ERR_CORRUPT ? "The published file is not there whole." : NULL, 0);
		if (o->file)
			file_close(e, o->file);
	}
	free(o);
}

void pushing_open(struct push_slot *s)
{
	struct open_task *o = must(calloc(1, sizeof *o));
	o->engine = s->engine;
	o->number = s->number;
	o->id = s->recording;
	o->media = s->media;
	s->busy = true;
	submit(s->engine, &o->task, open_run, open_done);
}

/* --- reading --- */

static struct read_task *read_new(struct push_slot *s, uint64_t offset)
{
	struct read_task *r = must(calloc(1, sizeof *r));
	r->engine = s->engine;
	r->number = s->number;
	r->step = s->asker.step;
	r->file = s->file;
	r->file->users++;
	r->offset = offset;
	r->data = must(malloc(LIMIT_READ_BYTES));
	return r;
}

static void read_free(struct read_task *r)
{
	pushing_file_put(r->engine, r->file);
	EVP_MD_CTX_free(r->hash);
	free(r->data);
	free(r);
}

static enum err read_piece(struct read_task *r, size_t len)
{
	size_t got = 0;
	enum err err = vfs_file_read(r->file->file, r->data, len, r->offset, &got);
	return !err && got < len ? ERR_CORRUPT : err;
}

static void read_run(struct task *task)
{
	struct read_task *r = (struct read_task *)task;
	r->err = read_piece(r, r->len);
}

static void read_done(struct task *task)
{
	struct read_task *r = (struct read_task *)task;
	struct engine *e = r->engine;
	struct push_slot *s = pushing_slot(e, r->number);
	e->pushing->tasks--;
	if (s && !s->ending && s->asker.step == r->step && !e->failed) {
		if (r->err)
			pushing_finish(s, r->err, NULL, 0);
		else
			e->config.pusher->ops->feed(e->config.pusher, r->step, r->offset, r->data, r->len);
	}
	read_free(r);
}

void pushing_read(struct push_slot *s, uint64_t offset, size_t len)
{
	struct read_task *r = read_new(s, offset);
	r->len = len;
	submit(s->engine, &r->task, read_run, read_done);
}

/* --- hashing --- */

static void hash_run(struct task *task)
{
	struct read_task *r = (struct read_task *)task;
	for (uint64_t done = 0; !r->err && r->left > 0 && done < LIMIT_PUSH_HASH_BYTES;) {
		size_t len = r->left < LIMIT_READ_BYTES ? (size_t)r->left : LIMIT_READ_BYTES;
		r->err = read_piece(r, len);
		if (!r->err && EVP_DigestUpdate(r->hash, r->data, len) != 1)
			r->err = ERR_NO_MEMORY;
		r->offset += len;
		r->left -= len;
		done += len;
	}
	if (!r->err && r->left == 0 && EVP_DigestFinal_ex(r->hash, r->sha256, NULL) != 1)
		r->err = ERR_NO_MEMORY;
}

static void hash_done(struct task *task)
{
	struct read_task *r = (struct read_task *)task;
	struct engine *e = r->engine;
	struct push_slot *s = pushing_slot(e, r->number);
	e->pushing->tasks--;
	bool wanted = s && !s->ending && !e->failed;
	if (wanted && !r->err && r->left > 0) {
		submit(e, task, hash_run, hash_done);
		return;
	}
	if (s)
		s->busy = false;
	if (wanted && r->err)
		pushing_finish(s, r->err, NULL, 0);
	else if (wanted)
		memcpy(s->sha256, r->sha256, sizeof s->sha256);
	if (wanted && !r->err)
		s->part_hashed = true;
	read_free(r);
}

void pushing_hash(struct push_slot *s, uint64_t offset, uint64_t len)
{
	struct read_task *r = read_new(s, offset);
	r->left = len;
	r->hash = must(EVP_MD_CTX_new());
	must(EVP_DigestInit_ex(r->hash, EVP_sha256(), NULL) == 1 ? r->hash : NULL);
	s->busy = true;
	submit(s->engine, &r->task, hash_run, hash_done);
}
