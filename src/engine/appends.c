/* From accepted bytes to a durable position: blocks in memory, records in the journal.
 *
 * While a commit is under way, bytes gather in their tracks' chains; when it ends, each track with bytes gives one
 * record to the next. Nothing is copied but once into the chain and once, by the journal, into its batch. */
#include "engine/internal.h"

#include "base/mask.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = LIMIT_BLOCK_BYTES };

/* --- chains --- */

static uint8_t **chain_slot(struct chain *c, uint32_t index)
{
	return &c->blocks[(c->head + index) & (c->capacity - 1)];
}

static void chain_grow(struct chain *c)
{
	uint32_t capacity = c->capacity ? c->capacity * 2 : 4;
	uint8_t **blocks = must(malloc(capacity * sizeof *blocks));
	for (uint32_t i = 0; i < c->count; i++)
		blocks[i] = *chain_slot(c, i);
	free(c->blocks);
	c->blocks = blocks;
	c->capacity = capacity;
	c->head = 0;
}

int chain_iov(const struct chain *c, uint64_t from, uint64_t to, struct iovec *iov, int max)
{
	int count = 0;
	while (from < to) {
		uint64_t index = from / BLOCK - c->first;
		size_t off = from % BLOCK;
		size_t len = BLOCK - off;
		if (len > to - from)
			len = (size_t)(to - from);
		assert(count < max && index < c->count);
		uint8_t *at = c->blocks[(c->head + index) & (c->capacity - 1)] + off;
		struct iovec *last = count > 0 ? &iov[count - 1] : NULL;
		/* whole blocks that lie side by side are one piece */
		if (last && len == BLOCK && last->iov_len % BLOCK == 0 &&
		    (uint8_t *)last->iov_base + last->iov_len == at)
			last->iov_len += len;
		else
			iov[count++] = (struct iovec){ at, len };
		from += len;
	}
	return count;
}

void chain_release_below(struct engine *e, struct chain *c, uint64_t offset)
{
	uint32_t n = 0;
	while (n < c->count && (c->first + n + 1) * BLOCK <= offset)
		n++;
	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		block_put(&e->pool, *chain_slot(c, i));
	c->head = (c->head + n) & (c->capacity - 1);
	c->count -= n;
	c->first += n;
}

void chain_free(struct engine *e, struct chain *c)
{
	chain_release_below(e, c, UINT64_MAX / 2);
	free(c->blocks);
	*c = (struct chain){ 0 };
}

/* --- memory --- */

/* Blocks that `len` more bytes behind `end` may need. */
static uint32_t blocks_for(size_t len)
{
	return (uint32_t)(len / BLOCK) + 2;
}

bool append_fits(struct engine *e, struct track_io *io, size_t len)
{
	uint64_t accepted = io->take->rec.tracks[io->number].accepted;
	if (io->failed || io->reserved < accepted + len)
		return false;
	if (e->pool.free_count < blocks_for(len)) {
		append_pressure(e);
		return false;
	}
	return true;
}

void append_copy(struct engine *e, struct track_io *io, struct engine_media media, uint64_t end)
{
	struct chain *c = &io->chain;
	size_t len = media.len;
	uint64_t at = end - len;
	const uint8_t *from = media.data;
	bool bulk = len >= LIMIT_INPUT_BYTES / 2 || c->count >= LIMIT_INPUT_BYTES / BLOCK;
	if (c->count == 0)
		c->first = at / BLOCK;
	while (len > 0) {
		uint64_t index = at / BLOCK - c->first;
		if (index == c->count) {
			if (c->count == c->capacity)
				chain_grow(c);
			const uint8_t *last = c->count > 0 ? *chain_slot(c, c->count - 1) : NULL;
			*chain_slot(c, c->count++) = must(block_get(&e->pool, last, bulk));
		}
		size_t off = at % BLOCK;
		size_t piece = BLOCK - off < len ? BLOCK - off : len;
		mask_copy(*chain_slot(c, (uint32_t)index) + off, from, piece, media.mask);
		at += piece;
		from += piece;
		len -= piece;
		e->gathered_bytes += piece;
	}
	if (list_empty(&io->dirty))
		list_push(&e->dirty, &io->dirty);
	spool_want_room(e, io);
	append_pressure(e);
}

void append_pressure(struct engine *e)
{
	uint32_t low = append_low(e);
	if (e->held_for_good && journal_full(e->journal))
		engine_fail(e, ERR_SYNC_FAILED, "a take whose bytes only the journal keeps; recovery frees it");
	bool short_now = e->pool.free_count < low || journal_full(e->journal);
	bool enough = e->pool.free_count >= low * 2 && !journal_full(e->journal);
	if (short_now && !e->paused)
		e->paused = true;
	else if (enough && e->paused)
		e->paused = false;
	else
		return;
	for (struct list *at = e->conns.next; at != &e->conns; at = at->next) {
		struct conn *c = list_entry(at, struct conn, link);
		if (!e->paused && c->held)
			conn_unblock(e, c);
		else
			conn_pause_update(e, c);
	}
}

/* --- the journal --- */

void in_flight_push(struct engine *e, struct in_flight item)
{
	struct in_flight_queue *q = &e->in_flight;
	if (q->count == q->capacity) {
		size_t capacity = q->capacity ? q->capacity * 2 : 256;
		struct in_flight *items = must(malloc(capacity * sizeof *items));
		for (size_t i = 0; i < q->count; i++)
			items[i] = q->items[(q->head + i) & (q->capacity - 1)];
		free(q->items);
		q->items = items;
		q->capacity = capacity;
		q->head = 0;
	}
	q->items[(q->head + q->count++) & (q->capacity - 1)] = item;
}

enum { APPEND_IOV = LIMIT_APPEND_BYTES / BLOCK + 1 };

/* One record with bytes of the track, at most as many as the journal takes in one. */
static uint64_t log_bytes(struct engine *e, struct track_io *io)
{
	static _Thread_local struct iovec iov[APPEND_IOV];
	uint64_t accepted = io->take->rec.tracks[io->number].accepted;
	uint64_t max = journal_append_max(e->journal);
	uint64_t end = accepted - io->logged > max ? io->logged + max : accepted;
	struct record record = {
		.type = RECORD_APPEND,
		.track = io->number,
		.recording = io->take->rec.info.id,
		.offset = io->logged,
		.payload = iov,
		.payload_count = chain_iov(&io->chain, io->logged, end, iov, APPEND_IOV),
		.payload_len = (uint32_t)(end - io->logged),
	};
	struct position at = journal_append(e->journal, &record);
	uint64_t len = end - io->logged;
	io->logged = io->referenced = end;
	e->gathered_bytes -= len;
	take_pin(io->take);
	in_flight_push(e, (struct in_flight){ .io = io, .take = io->take, .end = end, .sequence = at.sequence });
	return len;
}

/* A file's bytes are acknowledged when all are there, or now and then: in large pieces they go to their spool alone,
 * and not by way of the journal as well. */
static bool gathers(const struct engine *e, const struct track_io *io, uint64_t gathered)
{
	return gathered < LIMIT_EXTENT_BYTES && io->gather_ms > e->now.mono_ms &&
	       e->pool.free_count > e->pool.count / 2;
}

void append_pump(struct engine *e)
{
	if (e->failed || journal_busy(e->journal))
		return;
	uint64_t budget = LIMIT_BATCH_BYTES;
	struct list later;
	list_init(&later);
	while (budget > 0 && !list_empty(&e->dirty) && !journal_full(e->journal)) {
		struct track_io *io = list_entry(list_pop(&e->dirty), struct track_io, dirty);
		uint64_t gathered = io->take->rec.tracks[io->number].accepted - io->logged;
		if (io->failed)
			continue;
		if (gathers(e, io, gathered) || io->extent || (gathered >= LIMIT_EXTENT_BYTES && io->writing)) {
			list_push(&later, &io->dirty); /* its spool is at work: soon */
			continue;
		}
		if (gathered >= LIMIT_EXTENT_BYTES) {
			spool_large_append(e, io);
			continue;
		}
		uint64_t len = log_bytes(e, io);
		budget -= len < budget ? len : budget;
		if (len < gathered)
			list_push(&e->dirty, &io->dirty); /* the rest, behind the others */
	}
	list_move(&e->dirty, &later);
	journal_kick(e->journal);
}

/* A large append may be in the spool while records before it are still on their way: the journal reads those from the
 * chain when it writes them. */
void chain_settle(struct engine *e, struct track_io *io)
{
	const struct track_state *t = &io->take->rec.tracks[io->number];
	uint64_t to = io->spooled;
	if (io->referenced > t->durable && to > t->durable)
		to = t->durable;
	chain_release_below(e, &io->chain, to);
	if (to == t->accepted && to % BLOCK)
		chain_release_below(e, &io->chain, to + BLOCK); /* nothing more waits in its last block */
}

/* A track's bytes up to `end` are durable. */
static void track_durable(struct engine *e, struct track_io *io, uint64_t end)
{
	struct take *t = io->take;
	if (t->rec.tracks[io->number].durable >= end)
		return;
	e->bytes_durable += end - t->rec.tracks[io->number].durable;
	recording_durable(&t->rec, io->number, end, &e->fx);
	if (io->failed && !t->failing)
		spool_failed_lengths(t, &t->rec.info); /* as its row has it */
	else if (recording_info_broken(&t->rec.info))
		effects_add(&e->fx,
			    (struct effect){ .type = EFFECT_FAIL, .err = t->rec.info.error }); /* its row had less */
	follow_grew(e, t);
	chain_settle(e, io);
	spool_update(e, io);
	effects_run(e, t);
}

/* Within append_durable the journal is further than what the takes know. */
uint64_t append_settled(const struct engine *e)
{
	const struct in_flight_queue *q = &e->in_flight;
	uint64_t durable = journal_durable(e->journal);
	uint64_t before = q->count > 0 ? q->items[q->head].sequence - 1 : durable;
	return before < durable ? before : durable;
}

void append_durable(struct engine *e, uint64_t sequence)
{
	struct in_flight_queue *q = &e->in_flight;
	while (q->count > 0 && q->items[q->head].sequence <= sequence) {
		struct in_flight item = q->items[q->head];
		q->head = (q->head + 1) & (q->capacity - 1);
		q->count--;
		if (item.io)
			track_durable(e, item.io, item.end);
		else
			item.go(e, item.take, item.what);
		take_unpin(e, item.take);
	}
}
