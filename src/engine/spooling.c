/* Spools behind the journal: reserving ahead of need, write-behind in large pieces, large appends, hashing.
 *
 * Only durable bytes are written to a spool, but for a large append, which is written and synced before its extent
 * record makes it durable. One write is under way per track; blocks stay until theirs is done. */
#include "engine/internal.h"

#include "base/crc.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = LIMIT_BLOCK_BYTES };

/* --- reserving --- */

struct reserve_op {
	struct task task;
	struct engine *engine;
	struct track_io *io;
	struct vfs_file *opened;
	uint64_t from, len, floor_bytes;
	struct vfs_space space;
	enum err err;
};

static void reserve_run(struct task *task)
{
	struct reserve_op *op = (struct reserve_op *)task;
	struct vfs *vfs = op->engine->config.vfs;
	struct vfs_file *file = op->io->file;
	op->err = vfs_space(vfs, &op->space);
	if (!op->err && op->space.free_bytes < op->floor_bytes + op->len)
		op->err = ERR_STORAGE_FULL;
	if (!op->err && !file) {
		op->err = spool_open(vfs, &op->io->take->rec.info.id, op->io->number, &op->opened);
		file = op->opened;
	}
	if (!op->err)
		op->err = vfs_file_reserve(file, op->from, op->len);
}

/* Those who wait for room of this track. */
static void room_came(struct engine *e, struct track_io *io)
{
	struct conn *c = conn_find(e, io->take->rec.tracks[io->number].conn);
	if (!c)
		return;
	conn_send_started(e, c);
	if (c->blocked || c->held)
		conn_unblock(e, c);
}

static void reserve_done(struct task *task)
{
	struct reserve_op *op = (struct reserve_op *)task;
	struct engine *e = op->engine;
	struct track_io *io = op->io;
	struct take *t = io->take;
	io->reserving = false;
	if (op->opened)
		io->file = op->opened;
	e->free_bytes = op->space.free_bytes;
	if (!op->err) {
		io->reserved = op->from + op->len;
		room_came(e, io);
	} else if (op->err == ERR_STORAGE_FULL) {
		if (!shows_failed(e, t, ERR_STORAGE_FULL))
			recording_storage_full(&t->rec, e->now.mono_ms, &e->fx);
		effects_run(e, t);
		space_full(e);
	} else {
		log_event(LOG_ERROR, "spool_reserve_failed", "code", err_code(op->err), NULL);
		if (!shows_failed(e, t, ERR_WRITE_FAILED))
			recording_detach_all(&t->rec, ERR_WRITE_FAILED, e->now.mono_ms, &e->fx);
		effects_run(e, t);
	}
	spool_update(e, io); /* bytes may have waited for the file */
	spool_hash_finish(e, io);
	free(op);
	spool_pump(e);
	take_unpin(e, t);
}

/* All that a track can come to have, in whole blocks: an upload's length, if it is known. */
static uint64_t most_of(const struct track_io *io)
{
	const struct upload_info *upload = &io->take->rec.info.upload;
	bool known = upload->kind != UPLOAD_NONE && upload->length != BYTES_UNKNOWN;
	return known ? (upload->length + BLOCK - 1) / BLOCK * BLOCK : UINT64_MAX;
}

bool spool_has_room(const struct track_io *io, uint64_t end)
{
	uint64_t most = most_of(io);
	return io->reserved >= (end < most ? end : most);
}

/* Steps double from LIMIT_RESERVE_FIRST to LIMIT_RESERVE_STEP; the next is asked for when half of the last is used. */
void spool_want_room(struct engine *e, struct track_io *io)
{
	uint64_t accepted = io->take->rec.tracks[io->number].accepted;
	uint64_t step = io->file ? accepted : LIMIT_RESERVE_FIRST;
	if (step < LIMIT_RESERVE_FIRST)
		step = LIMIT_RESERVE_FIRST;
	if (step > LIMIT_RESERVE_STEP)
		step = LIMIT_RESERVE_STEP;
	uint64_t room = io->reserved - accepted, most = most_of(io);
	if (io->reserving || io->failed || (io->file && room >= LIMIT_INPUT_BYTES && room >= step / 2))
		return;
	if (io->file && io->reserved >= most)
		return;
	if (room < LIMIT_INPUT_BYTES && step < LIMIT_INPUT_BYTES + BLOCK)
		step = LIMIT_INPUT_BYTES + BLOCK;
	struct reserve_op *op = must(calloc(1, sizeof *op));
	op->task.run = reserve_run;
	op->task.done = reserve_done;
	op->engine = e;
	op->io = io;
	op->from = io->reserved;
	op->len = (step + BLOCK - 1) / BLOCK * BLOCK;
	if (op->len > most - op->from)
		op->len = most > op->from ? most - op->from : BLOCK;
	op->floor_bytes = space_floor(e);
	io->reserving = true;
	take_pin(io->take);
	exec_submit(e->config.exec, LANE_SPOOL, &op->task);
}

/* --- writing --- */

struct write_op {
	struct task task;
	struct engine *engine;
	struct track_io *io;
	uint64_t from, to;
	uint64_t extent_from; /* of a large append: its record covers [extent_from, to) */
	uint32_t crc;
	bool large, hash;
	enum err err;
	int count;
	struct iovec iov[];
};

/* The aligned middle past the page cache when it is worth it, what sticks out through it. */
static enum err write_pieces(struct write_op *op)
{
	struct vfs_file *file = op->io->file;
	if (op->to - op->from < LIMIT_DIRECT_BYTES || !file->direct)
		return vfs_file_writev(file, op->iov, op->count, op->from, false);
	int first = op->from % BLOCK ? 1 : 0;
	int last = op->to % BLOCK ? op->count - 1 : op->count;
	uint64_t at = op->from;
	if (first) {
		enum err err = vfs_file_writev(file, op->iov, 1, at, false);
		if (err)
			return err;
		at += op->iov[0].iov_len;
	}
	enum err err = vfs_file_writev(file, op->iov + first, last - first, at, true);
	if (!err && last < op->count)
		err = vfs_file_writev(file, op->iov + last, 1, op->to - op->to % BLOCK, false);
	return err;
}

/* What is hashed and checksummed is read once from memory: in pieces that stay in the processor's cache in between. */
static void write_digest(struct write_op *op)
{
	enum { PIECE = 32 * 1024 };
	uint64_t skip = op->extent_from - op->from;
	for (int i = 0; i < op->count; i++) {
		const char *data = op->iov[i].iov_base;
		for (size_t len = op->iov[i].iov_len, some; len > 0; data += some, len -= some) {
			some = len < PIECE ? len : PIECE;
			size_t off = skip < some ? (size_t)skip : some;
			skip -= off;
			if (op->hash)
				EVP_DigestUpdate(op->io->hash, data, some);
			if (op->large)
				op->crc = crc32c(op->crc, data + off, some - off);
		}
	}
}

static void write_run(struct task *task)
{
	struct write_op *op = (struct write_op *)task;
	struct track_io *io = op->io;
	op->err = write_pieces(op);
	if (op->err)
		return;
	if (op->hash || op->large)
		write_digest(op);
	if (op->large)
		op->err = spool_sync(op->engine->config.vfs, &io->take->rec.info.id, io->file, !io->names_synced);
}

static void log_extent(struct engine *e, struct write_op *op)
{
	struct track_io *io = op->io;
	uint8_t *payload = must(malloc(12));
	uint64_t len = op->to - op->extent_from;
	for (int i = 0; i < 8; i++)
		payload[i] = (uint8_t)(len >> 8 * i);
	for (int i = 0; i < 4; i++)
		payload[8 + i] = (uint8_t)(op->crc >> 8 * i);
	struct iovec iov = { payload, 12 };
	struct record record = {
		.type = RECORD_EXTENT,
		.track = io->number,
		.recording = io->take->rec.info.id,
		.offset = op->extent_from,
		.payload = &iov,
		.payload_count = 1,
		.payload_len = 12,
		.owned = payload,
	};
	struct position at = journal_append(e->journal, &record);
	take_pin(io->take);
	in_flight_push(e, (struct in_flight){ .io = io, .take = io->take, .end = op->to, .sequence = at.sequence });
}

static void write_done(struct task *task)
{
	struct write_op *op = (struct write_op *)task;
	struct engine *e = op->engine;
	struct track_io *io = op->io;
	struct take *t = io->take;
	io->writing = false;
	e->spool_writes--;
	if (op->err) {
		io->extent = false;
		spool_failed(e, io, op->err);
	} else {
		io->spooled = op->to;
		if (op->hash)
			io->hashed = op->to;
		chain_settle(e, io);
		if (op->large) {
			io->synced = op->to;
			io->names_synced = true;
			io->extent = false;
			log_extent(e, op);
		}
		spool_update(e, io);
		spool_hash_finish(e, io);
	}
	free(op);
	append_pressure(e);
	append_pump(e);
	spool_pump(e);
	checkpoint_pump(e);
	take_unpin(e, t);
}

static void write_submit(struct engine *e, struct track_io *io, uint64_t to, bool large)
{
	int max = (int)((to - io->spooled) / BLOCK) + 2;
	struct write_op *op = must(calloc(1, sizeof *op + (size_t)max * sizeof op->iov[0]));
	op->task.run = write_run;
	op->task.done = write_done;
	op->engine = e;
	op->io = io;
	op->from = io->spooled;
	op->to = to;
	op->large = large;
	op->extent_from = io->logged;
	op->count = chain_iov(&io->chain, op->from, to, op->iov, max);
	if (e->config.hash_early && io->hashed == op->from && recording_hashes(&io->take->rec, io->number)) {
		spool_hash_begin(io);
		op->hash = true;
	}
	list_remove(&io->spoolable);
	io->writing = true;
	e->spool_writes++;
	e->spool_ms = e->now.mono_ms;
	take_pin(io->take);
	exec_submit(e->config.exec, LANE_SPOOL, &op->task);
}

void spool_large_append(struct engine *e, struct track_io *io)
{
	uint64_t accepted = io->take->rec.tracks[io->number].accepted;
	assert(!io->writing && io->file);
	uint64_t to = accepted - accepted % BLOCK;
	if (to - io->spooled > 4ULL * LIMIT_PIECE_BYTES)
		to = io->spooled + 4ULL * LIMIT_PIECE_BYTES - io->spooled % BLOCK;
	if (to <= io->logged)
		to = accepted;
	io->extent = true;
	write_submit(e, io, to, true);
	e->gathered_bytes -= to - io->logged;
	io->logged = to;
	if (accepted > to)
		list_push(&e->dirty, &io->dirty);
}

/* --- write-behind --- */

static uint64_t spool_waits(const struct track_io *io)
{
	return io->take->rec.tracks[io->number].durable - io->spooled;
}

/* Puts the track into the class of how much waits: class k holds [4 KiB · 2^(k-1), 4 KiB · 2^k), the last all above. */
void spool_update(struct engine *e, struct track_io *io)
{
	list_remove(&io->spoolable);
	if (io->writing || io->failed || !io->file)
		return;
	uint64_t waits = io->take->rec.tracks[io->number].durable > io->spooled ? spool_waits(io) : 0;
	if (waits == 0)
		return;
	unsigned class = 0;
	while (class < SIZE_CLASSES - 1 && waits >= (uint64_t)BLOCK << class)
		class ++;
	io->size_class = (uint8_t) class;
	list_push(&e->spoolable[class], &io->spoolable);
}

static void write_behind(struct engine *e, struct track_io *io)
{
	uint64_t durable = io->take->rec.tracks[io->number].durable;
	uint64_t to = durable;
	if (to - io->spooled > LIMIT_PIECE_BYTES)
		to = io->spooled + LIMIT_PIECE_BYTES;
	/* the last block stays until it is full, unless somebody wants it or nothing else is left to write */
	if (to > io->flush_to && to - to % BLOCK > io->spooled)
		to -= to % BLOCK;
	write_submit(e, io, to, false);
}

void spool_pump(struct engine *e)
{
	/* From half of the memory on, everything is wanted, the largest first; below that only full pieces. */
	unsigned lowest = e->pool.free_count < e->pool.count / 2 ? 0 : SIZE_CLASSES - 3;
	for (int class = SIZE_CLASSES - 1; class >= (int)lowest; class --) {
		while (e->spool_writes < LIMIT_SPOOL_WRITES && !list_empty(&e->spoolable[class]))
			write_behind(e, list_entry(e->spoolable[class].next, struct track_io, spoolable));
	}
}

void spool_flush(struct engine *e, struct track_io *io, uint64_t to)
{
	if (to > io->flush_to)
		io->flush_to = to;
	if (!io->writing && !io->failed && io->file && io->spooled < io->flush_to && spool_waits(io) > 0)
		write_behind(e, io);
}
