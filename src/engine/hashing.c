/* A track at its seal: all of it is written out, its file gets its length, and its SHA-256 is finished, for which what
 * write-behind has not hashed on the way is read back. A file over HTTP is sealed without: see recording_hashes. */
#include "engine/internal.h"

#include <assert.h>
#include <stdlib.h>

void spool_hash_begin(struct track_io *io)
{
	if (io->hash)
		return;
	io->hash = must(EVP_MD_CTX_new());
	must(EVP_DigestInit_ex(io->hash, EVP_sha256(), NULL) == 1 ? io : NULL);
	io->hashed = 0;
}

struct hash_op {
	struct task task;
	struct engine *engine;
	struct track_io *io;
	uint64_t len;
	bool hashes;
	struct sha256 sha256;
	enum err err;
};

static enum err hash_rest(struct hash_op *op)
{
	enum { PIECE = LIMIT_READ_BYTES };
	struct track_io *io = op->io;
	uint8_t *piece = must(malloc(PIECE));
	enum err err = ERR_OK;
	while (!err && io->hashed < op->len) {
		uint64_t rest = op->len - io->hashed;
		size_t got;
		err = vfs_file_read(io->file, piece, rest < PIECE ? (size_t)rest : PIECE, io->hashed, &got);
		if (!err && got == 0)
			err = ERR_CORRUPT;
		if (!err) {
			EVP_DigestUpdate(io->hash, piece, got);
			io->hashed += got;
		}
	}
	free(piece);
	return err;
}

static void hash_run(struct task *task)
{
	struct hash_op *op = (struct hash_op *)task;
	struct track_io *io = op->io;
	op->err = io->file && op->hashes ? hash_rest(op) : ERR_OK;
	if (!op->err && io->file) /* what was reserved behind the end is given back */
		op->err = vfs_file_truncate(io->file, op->len);
	if (!op->hashes)
		return;
	/* a copy is finished: after a late resume the hash goes on where it was */
	EVP_MD_CTX *copy = must(EVP_MD_CTX_new());
	must(EVP_MD_CTX_copy_ex(copy, io->hash) == 1 ? copy : NULL);
	EVP_DigestFinal_ex(copy, op->sha256.bytes, NULL);
	EVP_MD_CTX_free(copy);
}

static void hash_done(struct task *task)
{
	struct hash_op *op = (struct hash_op *)task;
	struct engine *e = op->engine;
	struct track_io *io = op->io;
	struct take *t = io->take;
	io->hashing = io->writing = false;
	io->reserved = op->len;
	if (op->err)
		spool_failed(e, io, op->err);
	else
		recording_hashed(&t->rec, io->number, op->hashes ? &op->sha256 : NULL, &e->fx);
	effects_run(e, t);
	free(op);
	checkpoint_pump(e);
	take_unpin(e, t);
}

/* Everything of the track is in the spool: its seal can go on. */
void spool_hash_finish(struct engine *e, struct track_io *io)
{
	uint64_t len = io->take->rec.tracks[io->number].durable;
	if (!io->hashing || io->writing || io->reserving || io->failed)
		return;
	if (io->spooled < len) {
		spool_flush(e, io, len);
		return;
	}
	struct hash_op *op = must(calloc(1, sizeof *op));
	op->hashes = recording_hashes(&io->take->rec, io->number);
	if (op->hashes)
		spool_hash_begin(io);
	op->task.run = hash_run;
	op->task.done = hash_done;
	op->engine = e;
	op->io = io;
	op->len = len;
	io->writing = true; /* until hash_done: no other write */
	take_pin(io->take);
	exec_submit(e->config.exec, LANE_POOL, &op->task);
}

struct open_op {
	struct task task;
	struct engine *engine;
	struct track_io *io;
	struct vfs_file *file;
	enum err err;
};

static void open_run(struct task *task)
{
	struct open_op *op = (struct open_op *)task;
	op->err = spool_open(op->engine->config.vfs, &op->io->take->rec.info.id, op->io->number, &op->file);
}

static void open_done(struct task *task)
{
	struct open_op *op = (struct open_op *)task;
	struct engine *e = op->engine;
	struct track_io *io = op->io;
	struct take *t = io->take;
	io->reserving = false;
	if (op->err) {
		spool_failed(e, io, op->err);
	} else {
		io->file = op->file;
		spool_update(e, io);
		spool_hash_finish(e, io);
	}
	free(op);
	take_unpin(e, t);
}

void spool_hash(struct engine *e, struct track_io *io)
{
	io->hashing = true;
	uint64_t len = io->take->rec.tracks[io->number].durable;
	if (io->file || len == 0) {
		spool_hash_finish(e, io);
		return;
	}
	if (io->reserving)
		return; /* see reserve_done */
	struct open_op *op = must(calloc(1, sizeof *op));
	op->task.run = open_run;
	op->task.done = open_done;
	op->engine = e;
	op->io = io;
	io->reserving = true;
	take_pin(io->take);
	exec_submit(e->config.exec, LANE_SPOOL, &op->task);
}
