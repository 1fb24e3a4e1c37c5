/* The journal's segment files: opening what is there, making the first ones at once and the others behind.
 *
 * A segment is whole once its header is valid, and the header is written only after every byte of the file was written
 * with zeros and synced: a sync in it writes no metadata from then on. A file without a valid header was cut short
 * while it was filled, or its header is damaged; either way it is filled again, but only after recovery has read it. */
#include "store/journal_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILL_BYTES = LIMIT_PIECE_BYTES };

void segment_path(unsigned number, char out[32])
{
	snprintf(out, 32, "journal/%04u", number);
}

bool segment_is_ready(const struct segment *segment)
{
	return segment->state == SEGMENT_FREE || segment->state == SEGMENT_USED;
}

static enum err open_segment(struct journal *j, unsigned number, unsigned flags)
{
	char path[32];
	segment_path(number, path);
	flags |= VFS_READ | VFS_WRITE | (j->config.io == JOURNAL_IO_BUFFERED ? 0 : VFS_DIRECT);
	return vfs_open(j->config.vfs, path, flags, &j->segments[number].file);
}

/* filling: any thread, one segment at a time */

static enum err fill_begin(struct journal *j, unsigned number)
{
	struct segment *segment = &j->segments[number];
	if (!j->filler.zeros) {
		j->filler.zeros = aligned_alloc(JOURNAL_BLOCK, FILL_BYTES);
		if (!j->filler.zeros)
			return ERR_NO_MEMORY;
		memset(j->filler.zeros, 0, FILL_BYTES);
	}
	if (!segment->file) {
		enum err err = open_segment(j, number, VFS_CREATE);
		if (err != ERR_OK)
			return err;
	}
	return vfs_file_reserve(segment->file, 0, j->segment_bytes);
}

static enum err fill_end(struct journal *j, unsigned number)
{
	struct segment *segment = &j->segments[number];
	struct segment_head head = { .number = number, .segment_bytes = j->segment_bytes, .nonce = j->nonce };
	uint8_t block[JOURNAL_BLOCK];
	enum err err = vfs_file_sync(segment->file);
	if (err == ERR_OK)
		err = vfs_sync_dir(j->config.vfs, "journal");
	segment_head_encode(&head, block);
	if (err == ERR_OK)
		err = vfs_file_write(segment->file, block, sizeof block, 0);
	if (err == ERR_OK)
		err = vfs_file_sync(segment->file);
	return err;
}

static enum err fill_piece(struct journal *j)
{
	struct filler *f = &j->filler;
	struct segment *segment = &j->segments[f->segment];
	uint64_t len = j->segment_bytes - f->pos < FILL_BYTES ? j->segment_bytes - f->pos : FILL_BYTES;
	struct iovec piece = { f->zeros, len };
	uint64_t off = f->pos;
	f->pos += len;
	return vfs_file_writev(segment->file, &piece, 1, off, segment->file->direct);
}

/* One step: a piece of zeros, or the end. What can't be filled keeps no space. */
static void fill_step(struct journal *j)
{
	struct filler *f = &j->filler;
	if (f->pos == 0)
		f->err = fill_begin(j, f->segment);
	if (f->err == ERR_OK && f->pos < j->segment_bytes) {
		f->err = fill_piece(j);
	} else if (f->err == ERR_OK) {
		f->err = fill_end(j, f->segment);
		f->ready = f->err == ERR_OK;
	}
	if (f->err != ERR_OK && j->segments[f->segment].file)
		vfs_file_truncate(j->segments[f->segment].file, 0);
}

static void fill_choose(struct journal *j, unsigned number)
{
	struct filler *f = &j->filler;
	f->segment = number;
	f->pos = 0;
	f->ready = false;
	f->err = ERR_OK;
	j->segments[number].state = SEGMENT_FILLING;
	if (number >= j->segment_count)
		j->segment_count = number + 1;
}

static void fill_settle(struct journal *j)
{
	struct segment *segment = &j->segments[j->filler.segment];
	segment->state = j->filler.ready ? SEGMENT_FREE : SEGMENT_UNREADY;
	segment->file_bytes = j->segment_bytes;
	segment->last_sequence = 0;
	if (!j->filler.ready) { /* opened afresh, should it be tried again: a failed sync stays with the descriptor */
		vfs_file_close(segment->file);
		segment->file = NULL;
	}
}

enum err segment_make(struct journal *j, unsigned number)
{
	assert(!j->filler.busy);
	fill_choose(j, number);
	while (j->filler.err == ERR_OK && !j->filler.ready)
		fill_step(j);
	fill_settle(j);
	return j->filler.err;
}

static struct journal *journal_of_filler(struct task *task)
{
	return list_entry(task, struct journal, filler.task);
}

static void fill_run(struct task *task)
{
	fill_step(journal_of_filler(task));
}

/* The writer will soon want one more than there are. */
static bool fill_pressing(const struct journal *j)
{
	unsigned free = 0;
	for (unsigned i = 0; i < j->segment_count; i++)
		free += j->segments[i].state == SEGMENT_FREE;
	return free < LIMIT_SEGMENTS_MIN;
}

static void fill_next(struct journal *j)
{
	struct filler *f = &j->filler;
	f->waiting = j->config.may_fill && !fill_pressing(j) && !j->config.may_fill(j->config.arg);
	if (!f->waiting)
		exec_submit(j->config.exec, LANE_CHECKPOINT, &f->task);
}

void journal_fill_on(struct journal *j)
{
	struct filler *f = &j->filler;
	if (!f->waiting || f->stopped || j->failed)
		return;
	f->waiting = false;
	exec_submit(j->config.exec, LANE_CHECKPOINT, &f->task);
}

void filler_stop(struct journal *j)
{
	struct filler *f = &j->filler;
	f->stopped = true;
	if (!f->waiting)
		return;
	f->waiting = f->busy = false;
	fill_settle(j);
}

static void fill_done(struct task *task)
{
	struct journal *j = journal_of_filler(task);
	struct filler *f = &j->filler;
	if (f->err == ERR_OK && !f->ready && !f->stopped && !j->failed) {
		fill_next(j);
		return;
	}
	f->busy = false;
	fill_settle(j);
	if (f->ready) {
		filler_kick(j, false);
		journal_segments_changed(j);
	}
	/* After an error the journal goes on with the segments it has; only want of one tries again. */
}

void filler_kick(struct journal *j, bool extra)
{
	struct filler *f = &j->filler;
	if (extra)
		journal_fill_on(j);
	if (f->busy || f->stopped || j->failed)
		return;
	unsigned most = extra ? LIMIT_SEGMENTS_MAX : j->target_count, number = 0;
	for (; number < LIMIT_SEGMENTS_MAX; number++) {
		enum segment_state state = j->segments[number].state;
		if (state == SEGMENT_UNREADY || (state == SEGMENT_ABSENT && number < most))
			break;
	}
	if (number == LIMIT_SEGMENTS_MAX)
		return;
	f->busy = true;
	fill_choose(j, number);
	f->task.run = fill_run;
	f->task.done = fill_done;
	fill_next(j);
}

/* opening */

/* Names are the server's own: four digits. Everything else in the folder is left alone. */
static enum err note_segment(void *arg, const char *name)
{
	struct journal *j = arg;
	unsigned number = 0;
	if (strlen(name) != 4 || strspn(name, "0123456789") != 4)
		return ERR_OK;
	for (int i = 0; i < 4; i++)
		number = number * 10 + (unsigned)(name[i] - '0');
	if (number >= LIMIT_SEGMENTS_MAX)
		return ERR_OK;
	j->segments[number].state = SEGMENT_UNREADY;
	if (number >= j->segment_count)
		j->segment_count = number + 1;
	return ERR_OK;
}

/* Reads its header: *valid tells. An unreadable one counts as damaged. */
static enum err read_header(struct journal *j, unsigned number, struct segment_head *head, bool *valid)
{
	struct segment *segment = &j->segments[number];
	uint8_t block[JOURNAL_BLOCK];
	size_t got;
	*valid = false;
	enum err err = open_segment(j, number, 0);
	if (err == ERR_OK)
		err = vfs_file_size(segment->file, &segment->file_bytes);
	if (err != ERR_OK)
		return err;
	err = vfs_file_read(segment->file, block, sizeof block, 0, &got);
	if (err == ERR_OK && got == sizeof block)
		*valid = segment_head_decode(block, head);
	return err == ERR_READ_FAILED ? ERR_OK : err;
}

/* Opens all files there are. The first valid header says nonce and size of segments, which are those of the data
 * directory from then on; another one that contradicts it belongs elsewhere. */
static enum err read_headers(struct journal *j, bool *any)
{
	*any = false;
	for (unsigned i = 0; i < j->segment_count; i++) {
		struct segment_head head;
		bool valid;
		if (j->segments[i].state != SEGMENT_UNREADY)
			continue;
		enum err err = read_header(j, i, &head, &valid);
		if (err != ERR_OK)
			return err;
		if (!valid)
			continue;
		if (head.number != i || (*any && (head.nonce != j->nonce || head.segment_bytes != j->segment_bytes)))
			return ERR_CORRUPT;
		*any = true;
		j->nonce = head.nonce;
		j->segment_bytes = head.segment_bytes;
		if (j->segments[i].file_bytes >= head.segment_bytes)
			j->segments[i].state = SEGMENT_USED; /* until the new run is fenced off */
	}
	return ERR_OK;
}

static bool all_zero(const uint8_t *data, size_t len)
{
	return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* Is there nothing behind the headers? Then a first start was cut short, and no record was ever written. */
static enum err find_pristine(struct journal *j, bool *pristine)
{
	uint8_t *piece = malloc(FILL_BYTES);
	enum err err = piece ? ERR_OK : ERR_NO_MEMORY;
	*pristine = true;
	for (unsigned i = 0; i < j->segment_count && err == ERR_OK && *pristine; i++) {
		if (!j->segments[i].file)
			continue;
		for (uint64_t off = JOURNAL_DATA; err == ERR_OK && *pristine; off += FILL_BYTES) {
			size_t got;
			err = vfs_file_read(j->segments[i].file, piece, FILL_BYTES, off, &got);
			*pristine = err == ERR_OK && all_zero(piece, got);
			if (got < FILL_BYTES)
				break;
		}
	}
	free(piece);
	return err;
}

static enum err make_folder(struct vfs *vfs)
{
	enum err err = vfs_mkdir(vfs, "journal");
	if (err != ERR_OK && err != ERR_EXISTS)
		return err;
	return vfs_sync_dir(vfs, ""); /* always: whoever made it may have died before its sync */
}

/* The first start: a nonce, and two segments at once. */
static enum err make_first(struct journal *j)
{
	j->config.random(j->config.random_arg, &j->nonce, sizeof j->nonce);
	if (j->nonce == 0)
		j->nonce = 1; /* blocks of zeros must not look like records */
	enum err err = ERR_OK;
	for (unsigned i = 0; i < 2 && err == ERR_OK; i++)
		err = segment_make(j, i);
	return err;
}

enum err segments_open(struct journal *j)
{
	bool any, pristine;
	enum err err = make_folder(j->config.vfs);
	if (err == ERR_OK)
		err = vfs_list(j->config.vfs, "journal", note_segment, j);
	if (err == ERR_OK)
		err = read_headers(j, &any);
	if (err != ERR_OK || any)
		return err;
	err = find_pristine(j, &pristine);
	if (err != ERR_OK)
		return err;
	return pristine ? make_first(j) : ERR_CORRUPT;
}
