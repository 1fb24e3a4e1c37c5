/* A disk that can die: `struct vfs` in memory, with what a real one may do to bytes that nobody synced.
 *
 * Files: what was written is in the page cache at once; a 512-byte sector reaches the platter at a sync of its file,
 * or, by the seed, at a power cut, whole, torn or not at all. Sizes are pending alike. Names: made, renamed and removed
 * entries are pending until sync_dir of a directory that the change touches (a rename is one change); syncing a file
 * does not keep its name. A failed sync drops what was pending and marks it clean, as Linux does: a later sync says yes
 * and keeps nothing of it. O_DIRECT changes nothing of this: unsynced is unsynced.
 *
 * One thread. Memory is sparse: zero pages are not stored. */
#ifndef HOLDFAST_SIM_DISK_H
#define HOLDFAST_SIM_DISK_H

#include "store/vfs.h"

struct disk;

enum disk_call {
	DISK_OPEN,
	DISK_READ,
	DISK_WRITE,
	DISK_SYNC,
	DISK_TRUNCATE,
	DISK_RESERVE,
	DISK_NAME, /* create, rename, unlink, mkdir, rmdir */
	DISK_SYNC_DIR,
	DISK_LIST,
	DISK_CALLS
};

/* The calls of a kind fail with `err`, from the after'th on (0: the next), `times` times (0: until disk_heal), counting
 * only paths that begin with `prefix` (NULL: all). A failing write may have written a part. */
struct disk_fault {
	enum disk_call call;
	const char *prefix;
	uint64_t after;
	unsigned times;
	enum err err;
};

enum disk_loss {		 /* what a power cut does to what is pending */
		 DISK_LOSS_NONE, /* all of it reached the platter in time */
		 DISK_LOSS_ALL,	 /* none of it did */
		 DISK_LOSS_MIX,	 /* each sector and name by itself: kept or dropped */
		 DISK_LOSS_TEAR, /* the same, and sectors may be torn */
		 DISK_LOSSES
};

/* Called at every call: for the trace. `path` is the file's at open. */
typedef void disk_trace_fn(void *arg, enum disk_call call, const char *path, uint64_t a, uint64_t b, enum err err);

enum err disk_new(uint64_t seed, struct disk **out);
void disk_free(struct disk *disk); /* accepts NULL */
struct vfs *disk_vfs(struct disk *disk);
void disk_set_trace(struct disk *disk, disk_trace_fn *trace, void *arg);

/* Bytes that fit; what was reserved counts. Begins at 64 GiB. May be set below what is in use. */
void disk_set_capacity(struct disk *disk, uint64_t bytes);
uint64_t disk_used(const struct disk *disk);

/* Up to eight faults at a time. */
void disk_fail(struct disk *disk, const struct disk_fault *fault);
void disk_heal(struct disk *disk);

/* The process dies inside the calls'th changing call from now: it happens in part, and every later call fails without
 * an effect. The world then ends the process by disk_kill or disk_power_cut. 0: not at all. */
void disk_die_after(struct disk *disk, uint64_t calls);
bool disk_dead(const struct disk *disk);

/* The process ends: open files are closed; the page cache stays. */
void disk_kill(struct disk *disk);
/* The machine ends: what is pending meets its fate. */
void disk_power_cut(struct disk *disk, enum disk_loss loss);

uint64_t disk_count(const struct disk *disk, enum disk_call call);
uint64_t disk_changes(const struct disk *disk); /* calls that disk_die_after counts */
/* Syncs that were asked for again after one of the same open file had failed: never right. */
uint64_t disk_resyncs(const struct disk *disk);
/* Files that are open now. */
unsigned disk_open_files(const struct disk *disk);
/* Injected failures so far. */
uint64_t disk_failures(const struct disk *disk);

#endif
