/* Recovery: what the last run left is handed out in order, damage is set aside and reported. See journal.h,
 * docs/journal.md and journal_scan.c, which decides what counts. */
#include "store/journal_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct replayer {
	struct journal *journal;
	const struct replay *replay;
	bool dry_run;
	struct scan scan;
	uint64_t from;		      /* where replay starts */
	uint64_t next;		      /* the sequence that comes next */
	const struct stretch *before; /* what was handed out last */
	char folder[64];	      /* quarantine/journal-…, once something was copied */
	bool reported;
};

/* quarantine */

static enum err copy_segment(struct replayer *r, unsigned number)
{
	struct vfs *vfs = r->journal->config.vfs;
	struct segment *segment = &r->journal->segments[number];
	if (segment->copied)
		return ERR_OK;
	enum err err = scan_load(&r->scan, number);
	if (err != ERR_OK)
		return err;
	char path[96];
	struct vfs_file *file;
	snprintf(path, sizeof path, "%s/%04u", r->folder, number);
	err = vfs_open(vfs, path, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &file);
	if (err != ERR_OK)
		return err;
	for (size_t off = 0; off < r->scan.len && err == ERR_OK; off += LIMIT_PIECE_BYTES) {
		size_t len = r->scan.len - off < LIMIT_PIECE_BYTES ? r->scan.len - off : LIMIT_PIECE_BYTES;
		err = vfs_file_write(file, r->scan.buffer + off, len, off);
	}
	if (err == ERR_OK)
		err = vfs_file_sync(file);
	vfs_file_close(file);
	segment->copied = segment->needed = err == ERR_OK;
	return err;
}

static enum err make_quarantine(struct replayer *r, uint64_t first)
{
	struct vfs *vfs = r->journal->config.vfs;
	if (r->folder[0])
		return ERR_OK;
	snprintf(r->folder, sizeof r->folder, "quarantine/journal-%llu", (unsigned long long)first);
	enum err err = vfs_mkdir(vfs, "quarantine");
	if (err == ERR_OK || err == ERR_EXISTS)
		err = vfs_sync_dir(vfs, "");
	if (err == ERR_OK)
		err = vfs_mkdir(vfs, r->folder);
	if (err == ERR_OK || err == ERR_EXISTS)
		err = vfs_sync_dir(vfs, "quarantine");
	return err;
}

/* Sets aside every segment in which the missing records can have stood: where the last good one and the next good one
 * are, and those without a single whole record that are not blank. */
static enum err set_aside(struct replayer *r, uint64_t first, const struct stretch *after)
{
	struct journal *j = r->journal;
	enum err err = make_quarantine(r, first);
	if (err == ERR_OK && r->before)
		err = copy_segment(r, r->before->segment);
	if (err == ERR_OK && after)
		err = copy_segment(r, after->segment);
	for (unsigned i = 0; i < j->segment_count && err == ERR_OK; i++)
		if (j->segments[i].file && j->segments[i].first_sequence == 0 && !j->segments[i].blank)
			err = copy_segment(r, i);
	if (err == ERR_OK)
		err = vfs_sync_dir(j->config.vfs, r->folder);
	return err;
}

static enum err report(struct replayer *r, uint64_t first, uint64_t next, const struct stretch *after)
{
	r->reported = true;
	if (!r->dry_run) {
		enum err err = set_aside(r, first, after);
		if (err != ERR_OK)
			return err;
	}
	if (r->replay->damaged)
		r->replay->damaged(r->replay->arg, first, next, r->folder);
	return ERR_OK;
}

/* handing out */

static enum err hand_out(struct replayer *r, const struct record_head *head, uint64_t pos,
			 enum err (*to)(void *arg, const struct record *record))
{
	struct iovec piece = { r->scan.buffer + pos + JOURNAL_HEAD, head->payload_len };
	struct record record = {
		.type = (enum record_type)head->type,
		.track = head->track,
		.recording = head->recording,
		.offset = head->offset,
		.sequence = head->sequence,
		.synced = head->synced,
		.payload = &piece,
		.payload_count = head->payload_len > 0,
		.payload_len = head->payload_len,
	};
	return to ? to(r->replay->arg, &record) : ERR_OK;
}

static enum err hand_out_checkpoint(struct replayer *r)
{
	const struct stretch *t = scan_checkpoint(&r->scan);
	struct record_head head;
	if (!t) {
		r->from = run_first_sequence(0);
		return r->replay->checkpoint ? r->replay->checkpoint(r->replay->arg, NULL) : ERR_OK;
	}
	enum err err = scan_load(&r->scan, t->segment);
	if (err != ERR_OK)
		return err;
	uint64_t pos = t->checkpoint_pos;
	if (!scan_next(&r->scan, &pos, t->end, &head) || pos != t->checkpoint_pos)
		return ERR_READ_FAILED; /* it was whole a moment ago */
	r->from = head.offset;
	return hand_out(r, &head, pos, r->replay->checkpoint);
}

/* The records of one stretch from r->next on. */
static enum err walk(struct replayer *r, const struct stretch *t)
{
	struct record_head head;
	enum err err = scan_load(&r->scan, t->segment);
	for (uint64_t pos = t->pos; err == ERR_OK && scan_next(&r->scan, &pos, t->end, &head);) {
		if (head.sequence == r->next) {
			if (head.type != RECORD_CHECKPOINT)
				err = hand_out(r, &head, pos, r->replay->record);
			r->next++;
		}
		pos += record_bytes(head.payload_len);
	}
	if (err == ERR_OK && r->next != t->last + 1)
		return ERR_READ_FAILED; /* it was whole a moment ago */
	r->before = t;
	return err;
}

/* The accepted stretch that holds r->next, or else the first one behind it, or NULL. */
static const struct stretch *find_next(const struct replayer *r)
{
	for (size_t i = 0; i < r->scan.count; i++)
		if (r->scan.stretches[i].accepted && r->scan.stretches[i].last >= r->next)
			return &r->scan.stretches[i];
	return NULL;
}

/* Of this run nothing is found any more from `first` on: was it durable? */
static enum err report_lost_end(struct replayer *r, uint64_t first)
{
	uint64_t durable = scan_run_durable(&r->scan, sequence_run(first));
	return durable >= first ? report(r, first, durable + 1, NULL) : ERR_OK;
}

/* r->next is nowhere: says what is damaged, if anything, and goes on at `after` (or ends, NULL). A later run that is
 * reached this way has lost its fence, the checkpoint that it began with. */
static enum err bridge(struct replayer *r, const struct stretch *after)
{
	uint64_t run = sequence_run(r->next), target = after ? sequence_run(after->first) : UINT64_MAX;
	enum err err = ERR_OK;
	uint64_t missing = r->next; /* the first one missing of the target's run */
	if (run != target) {
		err = report_lost_end(r, r->next);
		for (size_t i = 0; i < r->scan.count && err == ERR_OK; i++) {
			uint64_t other = sequence_run(r->scan.stretches[i].first);
			if (other <= run || other >= target)
				continue;
			run = other; /* sorted: each once */
			err = report_lost_end(r, run_first_sequence(other));
		}
		missing = after ? run_first_sequence(target) : 0;
	}
	if (err != ERR_OK || !after)
		return err;
	r->next = after->first;
	return missing < after->first ? report(r, missing, after->first, after) : ERR_OK;
}

static enum err hand_out_records(struct replayer *r)
{
	const struct stretch *t;
	enum err err = ERR_OK;
	r->next = r->from;
	while (err == ERR_OK && (t = find_next(r))) {
		if (t->first > r->next)
			err = bridge(r, t);
		if (err == ERR_OK)
			err = walk(r, t);
	}
	if (err == ERR_OK && r->scan.count > 0)
		err = bridge(r, NULL);
	/* What could not be read may have been the end: nothing proves it, but nobody may call it a torn batch. */
	if (err == ERR_OK && r->scan.unreadable && !r->reported)
		err = report(r, r->next, r->next + 1, NULL);
	return err;
}

/* Where the new run begins, and which segments must stay as they are until then. */
static void note_result(struct replayer *r)
{
	struct journal *j = r->journal;
	const struct stretch *tail = NULL;
	j->next_run = 0;
	for (size_t i = 0; i < r->scan.count; i++) {
		const struct stretch *t = &r->scan.stretches[i];
		if (sequence_run(t->last) + 1 > j->next_run)
			j->next_run = sequence_run(t->last) + 1;
		if (t->last >= r->from)
			j->segments[t->segment].needed = true;
		if (t->accepted && (!tail || t->last > tail->last))
			tail = t;
	}
	for (unsigned i = 0; i < j->segment_count; i++)
		if (j->segments[i].file && j->segments[i].first_sequence == 0 && !j->segments[i].blank)
			j->segments[i].needed = true;
	j->has_tail = tail != NULL;
	if (tail) {
		j->last_sequence = tail->last;
		j->tail_segment = tail->segment;
		j->tail_pos = tail->end;
	}
}

enum err journal_replay(struct journal *j, const struct replay *replay, bool dry_run)
{
	assert(!j->started);
	struct replayer r = { .journal = j, .replay = replay, .dry_run = dry_run };
	enum err err = scan_init(&r.scan, j);
	if (err == ERR_OK)
		err = scan_find(&r.scan);
	if (err == ERR_OK)
		err = hand_out_checkpoint(&r);
	if (err == ERR_OK)
		err = hand_out_records(&r);
	if (err == ERR_OK)
		note_result(&r);
	j->replayed = err == ERR_OK && !dry_run;
	scan_release(&r.scan);
	return err;
}
