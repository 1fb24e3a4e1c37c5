/* Finding the whole records that lie in segments, and which of them count.
 *
 * A record is whole when its nonce, its fields and its CRC are right. The nonce is secret, so nothing in a payload can
 * pass for a record; therefore a scan may look for records at every multiple of 8, and finds all that are whole, also
 * behind damage.
 *
 * What counts, for each run (one start of the server) on its own: D is the highest `synced` of its records, so all of
 * the run up to D was durable. Behind D came one batch of which nobody knows whether its sync succeeded: its beginning
 * counts as far as it is whole, the rest was never acknowledged and is left out. */
#include "store/journal_private.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = LIMIT_PIECE_BYTES, NOTHING_LOADED = LIMIT_SEGMENTS_MAX };

enum err scan_init(struct scan *s, struct journal *j)
{
	*s = (struct scan){ .journal = j, .loaded = NOTHING_LOADED };
	s->buffer = malloc(j->segment_bytes);
	return s->buffer ? ERR_OK : ERR_NO_MEMORY;
}

void scan_release(struct scan *s)
{
	free(s->buffer);
	free(s->stretches);
	*s = (struct scan){ .loaded = NOTHING_LOADED };
}

/* Reads [off, off + len) of the file into its place in the buffer. Blocks that can't be read count as zeros, and as
 * damage. */
static enum err read_piece(struct scan *s, struct vfs_file *file, size_t off, size_t len)
{
	size_t got;
	enum err err = vfs_file_read(file, s->buffer + off, len, off, &got);
	if (err == ERR_OK)
		memset(s->buffer + off + got, 0, len - got);
	if (err != ERR_READ_FAILED)
		return err;
	for (size_t end = off + len; off < end; off += JOURNAL_BLOCK) {
		size_t block = end - off < JOURNAL_BLOCK ? end - off : JOURNAL_BLOCK;
		err = vfs_file_read(file, s->buffer + off, block, off, &got);
		if (err != ERR_OK && err != ERR_READ_FAILED)
			return err;
		if (err == ERR_READ_FAILED) {
			s->unreadable = true;
			got = 0;
		}
		memset(s->buffer + off + got, 0, block - got);
	}
	return ERR_OK;
}

enum err scan_load(struct scan *s, unsigned number)
{
	if (s->loaded == number)
		return ERR_OK;
	const struct segment *segment = &s->journal->segments[number];
	uint64_t bytes = segment->file_bytes;
	s->loaded = NOTHING_LOADED;
	s->len = (size_t)(bytes < s->journal->segment_bytes ? bytes : s->journal->segment_bytes);
	for (size_t off = 0; off < s->len; off += READ_BYTES) {
		size_t len = s->len - off < READ_BYTES ? s->len - off : READ_BYTES;
		enum err err = read_piece(s, segment->file, off, len);
		if (err != ERR_OK)
			return err;
	}
	s->loaded = number;
	return ERR_OK;
}

bool scan_next(const struct scan *s, uint64_t *pos, uint64_t end, struct record_head *out)
{
	uint64_t nonce = htole64(s->journal->nonce), word;
	if (end > s->len)
		end = s->len;
	for (; *pos + JOURNAL_HEAD <= end; *pos += 8) {
		memcpy(&word, s->buffer + *pos + JOURNAL_HEAD - sizeof word, sizeof word);
		if (word != nonce)
			continue;
		if (record_decode(s->buffer + *pos, (size_t)(end - *pos), s->journal->nonce, out))
			return true;
	}
	return false;
}

/* The record at the segment's beginning tells what the segment holds, without reading all of it. */
static enum err probe(struct scan *s, unsigned number)
{
	struct segment *segment = &s->journal->segments[number];
	struct record_head head;
	segment->first_sequence = 0;
	s->loaded = NOTHING_LOADED;
	if (segment->file_bytes < JOURNAL_DATA + JOURNAL_BLOCK)
		return ERR_OK;
	enum err err = read_piece(s, segment->file, JOURNAL_DATA, JOURNAL_BLOCK);
	if (err != ERR_OK || !record_head_decode(s->buffer + JOURNAL_DATA, s->journal->nonce, &head))
		return err;
	uint64_t end = JOURNAL_DATA + record_bytes(head.payload_len);
	if (end > segment->file_bytes || end > s->journal->segment_bytes)
		return ERR_OK;
	if (end > JOURNAL_DATA + JOURNAL_BLOCK)
		err = read_piece(s, segment->file, JOURNAL_DATA, (size_t)end - JOURNAL_DATA);
	if (err == ERR_OK &&
	    record_decode(s->buffer + JOURNAL_DATA, (size_t)end - JOURNAL_DATA, s->journal->nonce, &head))
		segment->first_sequence = head.sequence;
	return err;
}

static enum err add_stretch(struct scan *s, struct stretch **out)
{
	if (s->count == s->capacity) {
		size_t more = s->capacity ? s->capacity * 2 : 64;
		struct stretch *grown = realloc(s->stretches, more * sizeof *grown);
		if (!grown)
			return ERR_NO_MEMORY;
		s->stretches = grown;
		s->capacity = more;
	}
	*out = &s->stretches[s->count++];
	return ERR_OK;
}

/* Nothing behind the header of the loaded segment? */
static bool is_blank(const struct scan *s)
{
	const uint8_t *data = s->buffer + JOURNAL_DATA;
	return s->len <= JOURNAL_DATA || (data[0] == 0 && memcmp(data, data + 1, s->len - JOURNAL_DATA - 1) == 0);
}

/* Finds all stretches of one segment, but for what an earlier lap left in it: that is older than its first record. */
static enum err scan_segment(struct scan *s, unsigned number)
{
	uint64_t oldest = s->journal->segments[number].first_sequence;
	struct record_head head;
	struct stretch *last = NULL;
	enum err err = scan_load(s, number);
	for (uint64_t pos = JOURNAL_DATA; err == ERR_OK && scan_next(s, &pos, s->len, &head);
	     pos += record_bytes(head.payload_len)) {
		if (head.sequence < oldest)
			continue;
		if (!last || head.sequence != last->last + 1 || head.prev_crc != last->last_crc) {
			err = add_stretch(s, &last);
			if (err != ERR_OK)
				return err;
			*last = (struct stretch){
				.segment = number, .pos = pos, .first = head.sequence, .prev_crc = head.prev_crc
			};
		}
		last->last = head.sequence;
		last->last_crc = head.crc;
		if (head.synced > last->synced)
			last->synced = head.synced;
		if (head.type == RECORD_CHECKPOINT) {
			last->checkpoint_pos = pos;
			last->checkpoint_from = head.offset;
		}
		last->end = pos + record_bytes(head.payload_len);
	}
	if (err == ERR_OK && !last)
		s->journal->segments[number].blank = is_blank(s);
	return err;
}

static int compare_stretches(const void *a, const void *b)
{
	const struct stretch *x = a, *y = b;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->last < y->last ? -1 : x->last > y->last;
}

uint64_t scan_run_durable(const struct scan *s, uint64_t run)
{
	uint64_t durable = 0;
	for (size_t i = 0; i < s->count; i++) {
		const struct stretch *t = &s->stretches[i];
		if (sequence_run(t->first) == run && sequence_run(t->synced) == run && t->synced > durable)
			durable = t->synced;
	}
	return durable;
}

/* Sorts and marks what counts. A run's fence, its first record, counts by itself; what is not known to be durable must
 * chain to what is before it. */
static void judge(struct scan *s)
{
	uint64_t run = UINT64_MAX, durable = 0, reach = 0;
	uint32_t chain = 0;   /* CRC of the record `reach` … */
	bool chained = false; /* … if that is known */
	if (s->count > 0)
		qsort(s->stretches, s->count, sizeof *s->stretches, compare_stretches);
	for (size_t i = 0; i < s->count; i++) {
		struct stretch *t = &s->stretches[i];
		if (sequence_run(t->first) != run) {
			run = sequence_run(t->first);
			durable = scan_run_durable(s, run);
			reach = run_first_sequence(run) - 1;
			if (durable > reach)
				reach = durable;
			chain = 0;
			chained = durable < reach || reach == 0; /* a fence chains to nothing */
		}
		bool follows = t->first == reach + 1 && (!chained || t->prev_crc == chain);
		t->accepted = t->first <= durable || follows;
		if (t->accepted && t->last >= reach) {
			reach = t->last;
			chain = t->last_crc;
			chained = true;
		}
	}
}

const struct stretch *scan_checkpoint(const struct scan *s)
{
	const struct stretch *newest = NULL;
	for (size_t i = 0; i < s->count; i++) {
		const struct stretch *t = &s->stretches[i];
		if (t->accepted && t->checkpoint_pos && (!newest || t->last > newest->last))
			newest = t;
	}
	return newest;
}

/* Has the record been found at which the newest checkpoint lets replay start, and is all older that was not scanned? */
static bool found_enough(const struct scan *s, uint64_t newest_left)
{
	const struct stretch *checkpoint = scan_checkpoint(s);
	if (!checkpoint || newest_left >= checkpoint->checkpoint_from)
		return false;
	for (size_t i = 0; i < s->count; i++) {
		const struct stretch *t = &s->stretches[i];
		if (t->accepted && t->first <= checkpoint->checkpoint_from && checkpoint->checkpoint_from <= t->last)
			return true;
	}
	return false;
}

/* The segment not yet scanned whose first record is the newest, or -1. */
static int newest_left(const struct scan *s, const bool *scanned)
{
	int newest = -1;
	for (unsigned i = 0; i < s->journal->segment_count; i++) {
		uint64_t first = s->journal->segments[i].first_sequence;
		if (!scanned[i] && first > 0 && (newest < 0 || first > s->journal->segments[newest].first_sequence))
			newest = (int)i;
	}
	return newest;
}

/* Segments whose beginning can't be read are scanned whole (a new journal's are blank); of the others the newest ones,
 * as far back as replay goes. Within a segment, and from one to the next newer, sequences only grow, until what is left
 * of an earlier lap begins, which is older than all of it. */
enum err scan_find(struct scan *s)
{
	struct journal *j = s->journal;
	bool scanned[LIMIT_SEGMENTS_MAX] = { false };
	enum err err = ERR_OK;
	for (unsigned i = 0; i < j->segment_count && err == ERR_OK; i++) {
		if (!j->segments[i].file)
			continue;
		err = probe(s, i);
		if (err == ERR_OK && j->segments[i].first_sequence == 0)
			err = scan_segment(s, i);
	}
	judge(s);
	int next;
	while (err == ERR_OK && (next = newest_left(s, scanned)) >= 0) {
		if (found_enough(s, j->segments[next].first_sequence))
			break;
		scanned[next] = true;
		err = scan_segment(s, (unsigned)next);
		judge(s);
	}
	return err;
}
