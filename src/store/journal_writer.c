/* Writing a batch: the commit lane's part of the journal.
 *
 * Each byte of media is read once for its CRC and copied once, into a page-aligned buffer that goes to the disk in
 * large pieces (O_DIRECT where the file system takes it). Nothing of a batch is durable before every segment that it
 * touched was synced. */
#include "store/journal_private.h"

#include <string.h>

enum { WRITE_BYTES = JOURNAL_WRITE_BYTES };

static enum err writer_flush(struct journal_writer *w, size_t len)
{
	struct iovec piece = { w->buffer, len };
	enum err err = vfs_file_writev(w->file, &piece, 1, w->off, w->file->direct);
	w->off += len;
	w->written += len;
	w->len = 0;
	return err;
}

static enum err writer_add(struct journal_writer *w, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t some = WRITE_BYTES - w->len < len ? WRITE_BYTES - w->len : len;
		memcpy(w->buffer + w->len, data, some);
		w->len += some;
		data += some;
		len -= some;
		if (w->len == WRITE_BYTES) {
			enum err err = writer_flush(w, WRITE_BYTES);
			if (err != ERR_OK)
				return err;
		}
	}
	return ERR_OK;
}

/* The rest of the last block is zeros. */
static enum err writer_end(struct journal_writer *w)
{
	if (w->len == 0)
		return ERR_OK;
	size_t len = (size_t)block_up(w->len);
	memset(w->buffer + w->len, 0, len - w->len);
	return writer_flush(w, len);
}

static enum err write_entry(struct journal *j, struct entry *e, const struct iovec *pieces)
{
	static const uint8_t zeros[8];
	struct journal_writer *w = &j->writer;
	uint8_t head[JOURNAL_HEAD];
	e->head.prev_crc = w->chain;
	e->head.nonce = j->nonce;
	record_head_encode(&e->head, pieces, e->piece_count, head);
	w->chain = e->head.crc;
	enum err err = writer_add(w, head, sizeof head);
	for (int i = 0; i < e->piece_count && err == ERR_OK; i++)
		err = writer_add(w, pieces[i].iov_base, pieces[i].iov_len);
	if (err == ERR_OK)
		err = writer_add(w, zeros,
				 (size_t)record_bytes(e->head.payload_len) - JOURNAL_HEAD - e->head.payload_len);
	return err;
}

/* Writes the batch from its first place on and then syncs each segment that it touched. One batch fills at most half a
 * segment, so it touches two at the most. */
enum err journal_write_batch(struct journal *j)
{
	struct gather *c = &j->committing;
	struct journal_writer *w = &j->writer;
	enum err err = ERR_OK;
	for (size_t i = 0; i < c->count && err == ERR_OK; i++) {
		struct entry *e = &c->entries[i];
		struct vfs_file *file = j->segments[e->segment].file;
		if (file != w->file) {
			err = writer_end(w);
			w->file = file;
			w->off = JOURNAL_DATA;
		}
		if (err == ERR_OK)
			err = write_entry(j, e, c->pieces + e->piece_first);
	}
	if (err == ERR_OK)
		err = writer_end(w);
	if (err != ERR_OK)
		return err == ERR_SYNC_FAILED ? err : ERR_WRITE_FAILED;
	unsigned last = LIMIT_SEGMENTS_MAX;
	for (size_t i = 0; i < c->count && err == ERR_OK; i++) {
		if (c->entries[i].segment == last)
			continue;
		last = c->entries[i].segment;
		err = vfs_file_sync(j->segments[last].file);
	}
	return err;
}
