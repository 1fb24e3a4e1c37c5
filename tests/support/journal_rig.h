/* A journal on small segments in a temporary directory, with a memory of everything that was appended, for tests.
 *
 * Time stands still between calls: lanes run only when the test says so. The bytes on the disk can be taken and put
 * back, so that a test can show recovery any state that a crash may leave. */
#ifndef HOLDFAST_TESTS_JOURNAL_RIG_H
#define HOLDFAST_TESTS_JOURNAL_RIG_H

#include "store/journal.h"
#include "support/exec_inline.h"
#include "support/vfs_fault.h"

enum { RIG_SEGMENT = 64 * 1024, RIG_SEGMENTS_MAX = 64 };

struct rig_record {	      /* what was appended, or replayed */
	struct record record; /* payload NULL */
	uint32_t payload_crc;
};

struct rig_damage {
	uint64_t first, next;
	char copy[64];
};

struct rig_list {
	struct rig_record *items;
	size_t count, capacity;
};

struct rig_image { /* the segments' bytes */
	unsigned count;
	uint8_t *bytes; /* count segments of RIG_SEGMENT */
};

struct rig {
	char dir[64];
	struct vfs *real, *vfs; /* vfs: the fault layer over real */
	struct exec_inline *exec;
	struct journal *journal;
	uint64_t seed;
	uint8_t *media; /* random bytes that payloads are taken from */
	uint64_t size_bytes;
	struct rig_list appended;
	uint64_t durable; /* last told */
	unsigned durable_calls, failed_calls, room_calls;
	bool fill_refused; /* may_fill says no */
	enum err failed_err;
	/* of the last replay */
	bool replayed_checkpoint; /* one was there */
	uint64_t replayed_from;
	struct checkpoint_track replayed_tracks[8];
	size_t replayed_track_count;
	struct rig_list replayed;
	struct rig_damage damage[64];
	size_t damage_count;
};

struct rig *rig_new(uint64_t size_bytes);
void rig_free(struct rig *r);
uint32_t rig_random(struct rig *r, uint32_t below);

/* journal_open; what is wanted is asserted by the caller. */
enum err rig_open(struct rig *r);
enum err rig_replay(struct rig *r, bool dry_run);
/* open, replay, start; asserts success. */
void rig_start(struct rig *r);
/* Closes the journal, wherever it is: what the disk has now is what a kill leaves. */
void rig_kill(struct rig *r);

/* Appends media of a random length up to `most`. */
struct position rig_append(struct rig *r, uint32_t most);
struct position rig_append_payload(struct rig *r, enum record_type type, const void *payload, uint32_t len);
/* Kicks until all that was appended is durable, or the journal is stuck. */
void rig_commit(struct rig *r);
/* A checkpoint from here on, committed: as if all spools were synced. */
void rig_checkpoint(struct rig *r);

struct rig_image rig_take(struct rig *r);
void rig_put(struct rig *r, const struct rig_image *image);
struct rig_image rig_image_copy(const struct rig_image *image);
void rig_image_free(struct rig_image *image);

/* Asserts that what was replayed is what was appended, in order, and that of [from, upto] nothing is missing but what
 * was reported as damaged. */
void rig_check(struct rig *r, uint64_t from, uint64_t upto);

#endif
