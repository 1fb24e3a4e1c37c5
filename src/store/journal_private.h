/* What the files of the journal share; nobody else includes it.
 *
 * journal.c          appending, committing, recycling, starting a run
 * journal_writer.c   writing a batch (on the commit lane)
 * journal_open.c     opening, closing, status
 * journal_segments.c opening, making and filling segments (and the task on the checkpoint lane)
 * journal_replay.c   what to hand out of what the last run left
 * journal_scan.c     finding the whole records in segments
 * journal_format.c   bytes */
#ifndef HOLDFAST_STORE_JOURNAL_PRIVATE_H
#define HOLDFAST_STORE_JOURNAL_PRIVATE_H

#include "base/list.h"
#include "store/journal_format.h"

enum segment_state {
	SEGMENT_ABSENT,	 /* no file */
	SEGMENT_UNREADY, /* a file without a valid header: half filled, or its header is damaged and it may hold records
			  */
	SEGMENT_FILLING, /* the checkpoint lane's until it is ready */
	SEGMENT_FREE,	 /* may be written */
	SEGMENT_USED,	 /* holds records that a recovery may need, or is being written */
};

struct segment {
	enum segment_state state;
	struct vfs_file *file;
	uint64_t file_bytes;
	uint64_t last_sequence; /* the highest that was placed in it */
	/* replay only */
	uint64_t first_sequence; /* of the record at its beginning; 0: none is readable there */
	bool needed;		 /* holds something that must stay until the new run is fenced off */
	bool copied;		 /* to quarantine/ */
	bool blank;		 /* nothing but zeros: never written */
};

/* One record that waits or is being committed. */
struct entry {
	struct record_head head;
	size_t piece_first;
	int piece_count;
	unsigned segment;   /* where it goes, once placed */
	bool fresh_segment; /* begin a new segment with it if there is one */
	void *owned;
};

struct gather {
	struct entry *entries;
	size_t count, capacity;
	struct iovec *pieces;
	size_t piece_count, piece_capacity;
	uint64_t bytes; /* of the records, without the padding of the batch */
};

/* Writes records one behind the other, in large pieces. The commit lane's during a commit. */
struct journal_writer {
	uint8_t *buffer; /* page-aligned */
	size_t len;
	struct vfs_file *file;
	uint64_t off;
	uint64_t written;
	uint32_t chain; /* CRC of the last record encoded */
};

struct filler {
	struct task task;
	uint8_t *zeros; /* page-aligned piece; made when first needed */
	bool busy, stopped;
	bool waiting; /* busy, and its next step is not asked for: journal_fill_on */
	unsigned segment;
	uint64_t pos;
	bool ready; /* result of a step: the segment is whole */
	enum err err;
};

struct hold {
	uint64_t sequence;
	unsigned count;
};

struct journal {
	struct journal_config config;
	uint64_t nonce;
	uint32_t segment_bytes;
	uint64_t batch_bytes; /* most that one commit writes */
	uint32_t append_max;
	struct segment *segments; /* LIMIT_SEGMENTS_MAX of them, by number */
	unsigned segment_count;	  /* highest number in use, plus one */
	unsigned target_count;	  /* what size_bytes asks for */

	bool replayed, started, failed;
	bool starved;	    /* records wait for a segment */
	bool full_seen;	    /* config.room is owed */
	unsigned active;    /* the segment being written */
	uint64_t pos;	    /* in it: where the next batch goes */
	uint64_t run_first; /* first sequence of this run */
	uint64_t next_sequence, durable, replay_from;
	uint64_t since_checkpoint; /* bytes placed since the last checkpoint record */
	struct hold *holds;
	size_t hold_count, hold_capacity;

	struct gather gathering, committing;
	struct task commit;
	bool busy;
	enum err commit_err;
	struct journal_writer writer;
	uint64_t batches, bytes_written; /* since start */

	struct filler filler;

	/* what replay leaves for journal_start */
	uint64_t next_run, last_sequence;
	bool has_tail;
	unsigned tail_segment;
	uint64_t tail_pos;
};

/* journal_segments.c */
void segment_path(unsigned number, char out[32]);
bool segment_is_ready(const struct segment *segment);
/* Opens journal/ and all segments; at the first start makes two. */
enum err segments_open(struct journal *j);
/* Makes this segment at once, blocking. */
enum err segment_make(struct journal *j, unsigned number);
/* Fills what is missing behind, one at a time; with `extra` also beyond the configured size. */
void filler_kick(struct journal *j, bool extra);
void filler_stop(struct journal *j);

/* journal_writer.c: writes and syncs what is in `committing`. Commit lane, or at the start. */
enum { JOURNAL_WRITE_BYTES = 2 * LIMIT_PIECE_BYTES };
enum err journal_write_batch(struct journal *j);

unsigned journal_count_free(const struct journal *j);

/* journal.c: a segment became ready or records became durable; loop thread. */
void journal_segments_changed(struct journal *j);

/* A whole chain of records that stand one behind the other in one segment. */
struct stretch {
	unsigned segment;
	uint64_t pos, end;	     /* of its first record; behind its last */
	uint64_t first, last;	     /* sequences */
	uint32_t prev_crc, last_crc; /* what the first chains to; of the last */
	uint64_t synced;	     /* the highest `synced` of its records */
	uint64_t checkpoint_pos;     /* of its last CHECKPOINT record; 0: none */
	uint64_t checkpoint_from;    /* where that one lets replay start */
	bool accepted;		     /* part of what was durable, or of the whole beginning of the last batch */
};

/* journal_scan.c: one segment in memory at a time. */
struct scan {
	struct journal *journal;
	uint8_t *buffer;
	size_t len;
	unsigned loaded; /* segment number, or LIMIT_SEGMENTS_MAX */
	bool unreadable; /* a read failed somewhere: what was there counts as damaged */
	struct stretch *stretches;
	size_t count, capacity;
};

enum err scan_init(struct scan *s, struct journal *j);
void scan_release(struct scan *s);
enum err scan_load(struct scan *s, unsigned number);
/* The next whole record at or behind *pos of the loaded segment, before `end`. */
bool scan_next(const struct scan *s, uint64_t *pos, uint64_t end, struct record_head *out);
/* Finds all segments' stretches that matter and judges them; sorted by sequence. */
enum err scan_find(struct scan *s);
/* The newest checkpoint among the accepted ones, or NULL. */
const struct stretch *scan_checkpoint(const struct scan *s);
/* The highest sequence of this run that is known to have been durable, 0 if none. */
uint64_t scan_run_durable(const struct scan *s, uint64_t run);

#endif
