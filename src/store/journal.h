/* The journal: preallocated, zero-filled, recycled segments to which records are appended and made durable in groups.
 *
 * Guarantees: a position is durable only after every record up to it was written and one sync behind them returned
 * success; a sync is never retried; records carry a CRC32C chain, so that recovery takes exactly a prefix of what was
 * written that contains everything durable, or says what is damaged. docs/journal.md states the format.
 *
 * Loop thread unless said otherwise. The commit lane writes; nothing here blocks the loop but journal_open and
 * journal_replay (start-up). */
#ifndef HOLDFAST_STORE_JOURNAL_H
#define HOLDFAST_STORE_JOURNAL_H

#include "base/exec.h"
#include "base/id.h"
#include "store/vfs.h"

struct journal;

enum record_type {
	RECORD_APPEND = 1, /* bytes of a track at `offset`: the payload */
	RECORD_EXTENT,	   /* bytes that stand synced in the spool: offset; payload: u64 length, u32 CRC32C of them */
	RECORD_OPEN,	   /* a recording, a track of it, or its late resume; payload JSON */
	RECORD_PART,	   /* a part begins at `offset` */
	RECORD_SEAL,	   /* a track (offset: its length) or, with track RECORD_WHOLE, the recording; payload JSON */
	RECORD_ABORT,	   /* the recording; payload JSON */
	RECORD_DELETE,	   /* the recording; no payload */
	RECORD_CHECKPOINT, /* `offset`: replay starts at this sequence; payload: struct checkpoint_track's, encoded */
};

enum { RECORD_WHOLE = 0xffff };

/* What a caller appends and what replay hands back. */
struct record {
	enum record_type type;
	uint16_t track;	       /* number within the recording, or RECORD_WHOLE */
	struct uuid recording; /* zero for a checkpoint */
	uint64_t offset;
	uint64_t sequence;	     /* set by the journal */
	uint64_t synced;	     /* set by the journal: the highest sequence known durable when this was written */
	const struct iovec *payload; /* pieces; the iovec array is copied at append, the memory it points to must
				      * stay unchanged until the position is durable */
	int payload_count;
	uint32_t payload_len; /* the sum; at most LIMIT_APPEND_BYTES but for checkpoints, which may fill half a segment
			       */
	void *owned;	      /* freed by the journal once durable (a payload of JSON), or NULL */
};

/* A place in the journal: made by journal_append only. */
struct position {
	uint64_t sequence; /* 0: nothing to wait for */
};

enum journal_io { JOURNAL_IO_AUTO, JOURNAL_IO_DIRECT, JOURNAL_IO_BUFFERED };

/* How large the segments of a new journal of so many bytes are. */
uint32_t journal_segment_bytes(uint64_t size_bytes);

struct journal_config {
	struct vfs *vfs;
	struct exec *exec;
	uint64_t size_bytes;	/* in all; rounded up to segments */
	uint32_t segment_bytes; /* of a new one: journal_segment_bytes; tests take smaller ones (at least 64 KiB) */
	enum journal_io io;	/* AUTO: O_DIRECT where the file system takes it */
	void (*random)(void *arg, void *out, size_t len);
	void *random_arg;
	/* Called on the loop thread when more is durable: everything up to `sequence`. */
	void (*durable)(void *arg, uint64_t sequence);
	/* Called once on the loop thread when a write or sync of the journal failed: nothing behind the last durable
	 * sequence will ever be acked. The process must say so and stop. */
	void (*failed)(void *arg, enum err err);
	/* Called on the loop thread when a segment became free after there was none. */
	void (*room)(void *arg);
	/* May segments that nobody needs yet be filled now? Asked on the loop thread before each piece of zeros; after
	 * a false it waits for journal_fill_on. NULL: always. */
	bool (*may_fill)(void *arg);
	void *arg;
};

struct replay {
	/* First, once: the newest checkpoint record (its payload in memory), or NULL on an empty journal. Then every
	 * record from its replay sequence on, in order, CHECKPOINT records left out. An error stops the replay. */
	enum err (*checkpoint)(void *arg, const struct record *record);
	enum err (*record)(void *arg, const struct record *record);
	/* Records from first_sequence up to before next_sequence were durable and are damaged; the segment's bytes have
	 * been copied to quarantine/ under `copy`. Replay goes on with the next whole record. */
	void (*damaged)(void *arg, uint64_t first_sequence, uint64_t next_sequence, const char *copy);
	void *arg;
};

struct journal_status {
	uint64_t next_sequence, durable_sequence;
	uint64_t replay_from;				  /* of the last durable checkpoint */
	unsigned segments, segments_free, segments_ready; /* in all, free to write, filled with zeros so far */
	bool direct;					  /* O_DIRECT is in use */
	uint64_t batches, bytes_written;		  /* syncs done, bytes written since start */
};

/* Opens or makes journal/ in the vfs; at the first start two segments are filled at once, the rest behind once
 * journal_start was called. Blocking. Errors: as vfs; ERR_CORRUPT when segments exist and none has a readable header.
 */
enum err journal_open(const struct journal_config *config, struct journal **out);

/* Reads what the last run left. Blocking; before journal_start. With `dry_run` nothing is written, not even to
 * quarantine/ (verify). */
enum err journal_replay(struct journal *journal, const struct replay *replay, bool dry_run);

/* Begins a new run behind what replay found: writes and syncs a first checkpoint record, blocking, that fences off
 * what was discarded (it holds random bytes, so no old record can chain to it). `tracks` as in journal_checkpoint; all
 * that replay handed out must be synced elsewhere before. */
struct checkpoint_track {
	struct uuid recording;
	uint16_t track;
	uint64_t synced_bytes;
};
enum err journal_start(struct journal *journal, const struct checkpoint_track *tracks, size_t count);

/* Appends a record to the batch that gathers. Never blocks and never fails: memory for it is bounded by the caller's
 * own backpressure (journal_full). */
struct position journal_append(struct journal *journal, const struct record *record);

/* Starts a commit of all that has gathered, if none is under way. When a commit ends, config.durable is called and
 * the caller kicks again: self-clocking. */
void journal_kick(struct journal *journal);

/* One more piece of zeros, if filling waits: may_fill refused it. */
void journal_fill_on(struct journal *journal);

/* True while a commit is under way. */
bool journal_busy(const struct journal *journal);

/* True when the free segments do not suffice for another batch: stop reading, checkpoint. */
bool journal_full(const struct journal *journal);

/* True when a checkpoint should begin (half of the segments are used). */
bool journal_wants_checkpoint(const struct journal *journal);

/* Appends a checkpoint record: all records before `replay_from` are synced in their spools and manifests; `tracks` are
 * the open ones (copied). Once it is durable, segments wholly before replay_from are recycled, but for held ones. */
struct position journal_checkpoint(struct journal *journal, uint64_t replay_from, const struct checkpoint_track *tracks,
				   size_t count);

/* Parses the payload of a CHECKPOINT record: *count tracks in a new array, to be freed. ERR_CORRUPT. */
enum err journal_checkpoint_parse(const struct record *record, struct checkpoint_track **tracks, size_t *count);

/* Keeps segments from `sequence` on from being recycled until the matching journal_release (a spool whose write failed;
 * its records must be copied out first). Counted per call. */
void journal_hold(struct journal *journal, uint64_t sequence);
void journal_release(struct journal *journal, uint64_t sequence);

/* The longest payload of a record that is no checkpoint: LIMIT_APPEND_BYTES, less with small segments. */
uint32_t journal_append_max(const struct journal *journal);

/* Fills no more segments: called before the last drain of a stop, which would wait for them. */
void journal_quiet(struct journal *journal);

uint64_t journal_durable(const struct journal *journal);
void journal_status(const struct journal *journal, struct journal_status *out);

/* Nothing may be under way. Accepts NULL. Blocking. */
void journal_close(struct journal *journal);

#endif
