/* The journal at work: records gather on the loop thread, one commit at a time writes and syncs them, checkpoints free
 * segments. See journal.h and docs/journal.md.
 *
 * Space: journal_append never fails, so there must always be somewhere to write. journal_full says so before the last
 * free segment is touched: that one is left for what still comes when nobody reads media any more (seals, checkpoints),
 * and a checkpoint written there frees the others. If even that runs out, records wait in memory, and one more segment
 * is filled behind, beyond the configured size. */
#include "base/log.h"
#include "store/journal_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The journal can't forget a record that it was given: without memory for it the process ends, and what was
 * acknowledged is on the disk. */
static void *grow(void *array, size_t count, size_t *capacity, size_t item_bytes)
{
	if (count < *capacity)
		return array;
	size_t more = *capacity ? *capacity * 2 : 64;
	void *grown = realloc(array, more * item_bytes);
	if (!grown) {
		log_event(LOG_ERROR, "journal_out_of_memory", NULL);
		abort();
	}
	*capacity = more;
	return grown;
}

/* space */

unsigned journal_count_free(const struct journal *j)
{
	unsigned count = 0;
	for (unsigned i = 0; i < j->segment_count; i++)
		count += j->segments[i].state == SEGMENT_FREE;
	return count;
}

/* The next free segment behind the active one, round and round, or -1. */
static int find_free(const struct journal *j)
{
	for (unsigned n = 1; n <= j->segment_count; n++) {
		unsigned i = (j->active + n) % j->segment_count;
		if (j->segments[i].state == SEGMENT_FREE)
			return (int)i;
	}
	return -1;
}

bool journal_full(const struct journal *j)
{
	uint64_t slack = record_bytes(j->append_max) + JOURNAL_BLOCK; /* lost at the end of a segment */
	uint64_t left = j->segment_bytes - j->pos;
	uint64_t room = left > slack ? left - slack : 0;
	unsigned free_count = journal_count_free(j);
	if (free_count == 0)
		return true;
	room += (free_count - 1) * (j->segment_bytes - JOURNAL_DATA - slack);
	uint64_t waiting = j->gathering.count ? j->gathering.bytes + JOURNAL_BLOCK : 0;
	return room < waiting + j->batch_bytes + JOURNAL_BLOCK;
}

/* A checkpoint just taken must not ask for the next one at once, unless the journal is full: then only a checkpoint
 * that gets further helps. */
bool journal_wants_checkpoint(const struct journal *j)
{
	if (!j->started || j->failed)
		return false;
	if (journal_full(j))
		return true;
	uint64_t ready = 0, used = j->pos;
	for (unsigned i = 0; i < j->segment_count; i++) {
		ready += segment_is_ready(&j->segments[i]);
		if (j->segments[i].state == SEGMENT_USED && i != j->active)
			used += j->segment_bytes;
	}
	return used * 2 >= ready * j->segment_bytes && j->since_checkpoint >= j->segment_bytes / 4;
}

/* Frees what lies wholly before the checkpoint and before every hold. */
static void recycle(struct journal *j)
{
	uint64_t keep_from = j->replay_from;
	for (size_t i = 0; i < j->hold_count; i++)
		if (j->holds[i].sequence < keep_from)
			keep_from = j->holds[i].sequence;
	for (unsigned i = 0; i < j->segment_count; i++) {
		struct segment *segment = &j->segments[i];
		if (segment->state == SEGMENT_USED && i != j->active && segment->last_sequence < keep_from)
			segment->state = SEGMENT_FREE;
	}
}

void journal_segments_changed(struct journal *j)
{
	if (!j->started || j->failed)
		return;
	recycle(j);
	if (j->starved)
		journal_kick(j);
	if (j->full_seen && !journal_full(j)) {
		j->full_seen = false;
		if (j->config.room)
			j->config.room(j->config.arg);
	}
}

/* Whoever can have seen the journal full is told when it no longer is. */
static void note_full(struct journal *j)
{
	if (!j->full_seen && journal_full(j))
		j->full_seen = true;
}

/* gathering */

struct position journal_append(struct journal *j, const struct record *record)
{
	struct gather *g = &j->gathering;
	assert(j->started && record->payload_count >= 0);
	g->entries = grow(g->entries, g->count, &g->capacity, sizeof *g->entries);
	struct entry *e = &g->entries[g->count++];
	*e = (struct entry){ .piece_first = g->piece_count,
			     .piece_count = record->payload_count,
			     .owned = record->owned };
	e->head.type = (uint8_t)record->type;
	e->head.track = record->track;
	e->head.recording = record->recording;
	e->head.offset = record->offset;
	e->head.payload_len = record->payload_len;
	e->head.sequence = j->next_sequence++;
	size_t sum = 0;
	for (int i = 0; i < record->payload_count; i++) {
		g->pieces = grow(g->pieces, g->piece_count, &g->piece_capacity, sizeof *g->pieces);
		g->pieces[g->piece_count++] = record->payload[i];
		sum += record->payload[i].iov_len;
	}
	assert(sum == record->payload_len);
	assert(record->type == RECORD_CHECKPOINT || sum <= j->append_max);
	g->bytes += record_bytes(record->payload_len);
	note_full(j);
	return (struct position){ e->head.sequence };
}

/* The checkpoint's payload; NULL when it would fill more than half a segment or memory is out. */
static uint8_t *checkpoint_payload(struct journal *j, const struct checkpoint_track *tracks, size_t count, size_t *len)
{
	uint8_t salt[JOURNAL_SALT];
	if (count > j->segment_bytes / 2)
		return NULL;
	*len = checkpoint_bytes(count);
	if (*len > j->segment_bytes / 2 - JOURNAL_DATA)
		return NULL;
	uint8_t *payload = malloc(*len);
	if (!payload)
		return NULL;
	j->config.random(j->config.random_arg, salt, sizeof salt);
	checkpoint_encode(tracks, count, salt, payload);
	return payload;
}

struct position journal_checkpoint(struct journal *j, uint64_t replay_from, const struct checkpoint_track *tracks,
				   size_t count)
{
	size_t len;
	uint8_t *payload = checkpoint_payload(j, tracks, count, &len);
	if (!payload) {
		log_event(LOG_ERROR, "journal_out_of_memory", NULL);
		abort();
	}
	/* what is not durable yet, or belongs to an earlier run, is nothing that this checkpoint could vouch for */
	if (replay_from > j->durable + 1)
		replay_from = j->durable + 1;
	if (replay_from < j->run_first)
		replay_from = j->run_first;
	/* In a full journal a checkpoint that leaves nothing to replay goes to a segment of its own, so that it frees
	 * even the one that was being written. */
	bool fresh = journal_full(j) && replay_from == j->next_sequence;
	struct iovec piece = { payload, len };
	struct record record = { .type = RECORD_CHECKPOINT,
				 .offset = replay_from,
				 .payload = &piece,
				 .payload_count = 1,
				 .payload_len = (uint32_t)len,
				 .owned = payload };
	struct position position = journal_append(j, &record);
	j->gathering.entries[j->gathering.count - 1].fresh_segment = fresh;
	j->since_checkpoint = 0;
	return position;
}

/* committing: placing, on the loop thread */

static bool begin_segment(struct journal *j)
{
	int next = find_free(j);
	if (next < 0)
		return false;
	j->active = (unsigned)next;
	j->segments[next].state = SEGMENT_USED;
	j->segments[next].last_sequence = 0;
	j->pos = JOURNAL_DATA;
	return true;
}

/* Gives as many of the gathered records their places as one commit takes; returns how many. */
static size_t place(struct journal *j)
{
	struct gather *g = &j->gathering;
	uint64_t bytes = 0;
	size_t n = 0;
	j->starved = false;
	for (; n < g->count && n < LIMIT_BATCH_RECORDS; n++) {
		struct entry *e = &g->entries[n];
		uint64_t len = record_bytes(e->head.payload_len);
		if (n > 0 && bytes + len > j->batch_bytes)
			break;
		if (e->fresh_segment && j->pos > JOURNAL_DATA)
			begin_segment(j);
		if (j->pos + len > j->segment_bytes && !begin_segment(j)) {
			j->starved = true;
			break;
		}
		e->segment = j->active;
		j->segments[j->active].last_sequence = e->head.sequence;
		j->pos += len;
		bytes += len;
	}
	j->pos = block_up(j->pos);
	j->since_checkpoint += block_up(bytes);
	return n;
}

/* Hands the first n gathered records to the commit; the others close up. */
static void hand_over(struct journal *j, size_t n)
{
	struct gather *g = &j->gathering, *c = &j->committing;
	if (n == g->count) {
		struct gather whole = *g;
		*g = *c;
		*c = whole;
		g->count = g->piece_count = 0;
		g->bytes = 0;
		return;
	}
	size_t pieces = g->entries[n].piece_first;
	c->count = c->piece_count = 0;
	for (size_t i = 0; i < n; i++) {
		c->entries = grow(c->entries, c->count, &c->capacity, sizeof *c->entries);
		c->entries[c->count++] = g->entries[i];
		g->bytes -= record_bytes(g->entries[i].head.payload_len);
	}
	for (size_t i = 0; i < pieces; i++) {
		c->pieces = grow(c->pieces, c->piece_count, &c->piece_capacity, sizeof *c->pieces);
		c->pieces[c->piece_count++] = g->pieces[i];
	}
	g->count -= n;
	g->piece_count -= pieces;
	memmove(g->entries, g->entries + n, g->count * sizeof *g->entries);
	memmove(g->pieces, g->pieces + pieces, g->piece_count * sizeof *g->pieces);
	for (size_t i = 0; i < g->count; i++)
		g->entries[i].piece_first -= pieces;
}

/* committing: the task */

static void commit_run(struct task *task)
{
	struct journal *j = list_entry(task, struct journal, commit);
	j->commit_err = journal_write_batch(j);
}

/* committing: what became of it, on the loop thread */

static void fail(struct journal *j, enum err err)
{
	if (j->failed)
		return;
	j->failed = true;
	if (j->config.failed)
		j->config.failed(j->config.arg, err);
}

static void commit_done(struct task *task)
{
	struct journal *j = list_entry(task, struct journal, commit);
	struct gather *c = &j->committing;
	j->busy = false;
	if (j->commit_err != ERR_OK) {
		fail(j, j->commit_err);
		return;
	}
	j->batches++;
	j->bytes_written = j->writer.written;
	j->durable = c->entries[c->count - 1].head.sequence;
	for (size_t i = 0; i < c->count; i++) {
		if (c->entries[i].head.type == RECORD_CHECKPOINT)
			j->replay_from = c->entries[i].head.offset;
		free(c->entries[i].owned);
	}
	c->count = c->piece_count = 0;
	recycle(j);
	if (j->config.durable)
		j->config.durable(j->config.arg, j->durable);
	journal_segments_changed(j);
}

void journal_kick(struct journal *j)
{
	if (j->busy || j->failed || j->gathering.count == 0)
		return;
	/* the writer goes on where the active segment stands; the commit lane sees when a record lies in another one */
	j->writer.file = j->segments[j->active].file;
	j->writer.off = j->pos;
	size_t n = place(j);
	note_full(j);
	if (j->starved)
		filler_kick(j, true);
	if (n == 0)
		return;
	hand_over(j, n);
	for (size_t i = 0; i < n; i++)
		j->committing.entries[i].head.synced = j->durable;
	j->busy = true;
	j->commit.run = commit_run;
	j->commit.done = commit_done;
	exec_submit(j->config.exec, LANE_COMMIT, &j->commit);
}

bool journal_busy(const struct journal *j)
{
	return j->busy;
}

/* holding */

void journal_hold(struct journal *j, uint64_t sequence)
{
	for (size_t i = 0; i < j->hold_count; i++) {
		if (j->holds[i].sequence == sequence) {
			j->holds[i].count++;
			return;
		}
	}
	j->holds = grow(j->holds, j->hold_count, &j->hold_capacity, sizeof *j->holds);
	j->holds[j->hold_count++] = (struct hold){ sequence, 1 };
}

void journal_release(struct journal *j, uint64_t sequence)
{
	size_t i = 0;
	while (i < j->hold_count && j->holds[i].sequence != sequence)
		i++;
	assert(i < j->hold_count);
	if (--j->holds[i].count == 0)
		j->holds[i] = j->holds[--j->hold_count];
	journal_segments_changed(j);
}

/* starting */

/* Where the new run's first record goes: into a segment that holds nothing needed, else behind the last record found,
 * else into one more. */
static enum err choose_first_segment(struct journal *j, uint64_t len)
{
	unsigned i = 0;
	while (i < j->segment_count && !(segment_is_ready(&j->segments[i]) && !j->segments[i].needed))
		i++;
	if (i == j->segment_count && j->has_tail && j->segments[j->tail_segment].state == SEGMENT_USED &&
	    block_up(j->tail_pos) + len <= j->segment_bytes) {
		j->active = j->tail_segment;
		j->pos = block_up(j->tail_pos);
		return ERR_OK;
	}
	enum err err = ERR_OK;
	if (i == j->segment_count)
		err = i < LIMIT_SEGMENTS_MAX ? segment_make(j, i) : ERR_STORAGE_FULL;
	j->active = i;
	j->pos = JOURNAL_DATA;
	return err;
}

/* The run before may have ended in a failed sync: what the page cache shows of its last batch, as clean, the disk may
 * lack. A new run behind it would be out of sight after a power cut, because recovery judges a segment by its
 * beginning. Written once more it is dirty, and the fence's sync makes it what it seems to be. */
static enum err rewrite_tail(struct journal *j)
{
	struct vfs_file *file = j->segments[j->active].file;
	for (uint64_t off = JOURNAL_DATA; off < j->pos; off += JOURNAL_WRITE_BYTES) {
		size_t got, len = j->pos - off < JOURNAL_WRITE_BYTES ? (size_t)(j->pos - off) : JOURNAL_WRITE_BYTES;
		enum err err = vfs_file_read(file, j->writer.buffer, len, off, &got);
		struct iovec piece = { j->writer.buffer, got };
		if (err == ERR_OK)
			err = vfs_file_writev(file, &piece, 1, off, file->direct && got % JOURNAL_BLOCK == 0);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

/* Writes the fence as a commit of one record. */
static enum err write_fence(struct journal *j)
{
	struct gather *g = &j->gathering;
	j->segments[j->active].state = SEGMENT_USED;
	j->writer.file = j->segments[j->active].file;
	j->writer.off = j->pos;
	j->writer.chain = 0;
	size_t n = place(j);
	assert(n == 1);
	hand_over(j, n);
	j->committing.entries[0].head.synced = j->last_sequence;
	enum err err = journal_write_batch(j);
	free(j->committing.entries[0].owned);
	j->committing.count = j->committing.piece_count = 0;
	j->batches = 1;
	assert(g->count == 0);
	return err;
}

enum err journal_start(struct journal *j, const struct checkpoint_track *tracks, size_t count)
{
	assert(j->replayed && !j->started);
	size_t len = checkpoint_bytes(count);
	if (count > j->segment_bytes / 2 || len > j->segment_bytes / 2 - JOURNAL_DATA)
		return ERR_LIMIT_EXCEEDED;
	enum err err = choose_first_segment(j, record_bytes((uint32_t)len));
	if (err != ERR_OK)
		return err;
	j->run_first = j->next_sequence = j->replay_from = run_first_sequence(j->next_run);
	j->durable = j->run_first - 1;
	j->started = true;
	journal_checkpoint(j, j->run_first, tracks, count);
	j->gathering.entries[0].fresh_segment = false; /* its place is chosen */
	err = rewrite_tail(j);
	if (err == ERR_OK)
		err = write_fence(j);
	if (err != ERR_OK) {
		j->failed = true;
		return err;
	}
	j->durable = j->run_first;
	for (unsigned i = 0; i < j->segment_count; i++)
		if (j->segments[i].state == SEGMENT_USED && i != j->active)
			j->segments[i].state = SEGMENT_FREE;
	note_full(j);
	filler_kick(j, false);
	return ERR_OK;
}

void journal_quiet(struct journal *j)
{
	filler_stop(j);
}

uint64_t journal_durable(const struct journal *j)
{
	return j->durable;
}
