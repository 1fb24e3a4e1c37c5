/* What a take keeps on this device until the server has it: a folder of the spool, with `meta.json` (what the take is)
 * and `data` (its bytes; holes up to what the server acknowledged). A take that is sent from a file of the user's has
 * no `data`.
 *
 * Guarantees: the folder is durable when keep_new returned, unless it is renewable; one process at a time has it
 * (flock); `meta.json` is replaced whole; bytes are given up (keep_forget) only after a durable meta.json says so. All
 * functions block on the local disk. They return 0 or a negative errno. */
#ifndef HOLDFAST_CLIENT_KEEP_H
#define HOLDFAST_CLIENT_KEEP_H

#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keep_meta { /* strings are owned, NULL when absent */
	char *session_id, *url, *name, *mime, *ext, *track;
	char *source_path; /* the user's file; its size and time below must not change */
	char *failed;	   /* why an earlier run gave it up */
	char *boot_id;	   /* of the system's run that wrote this: data behind `synced` is only sure within it */
	char *hash_state;  /* of bytes [0, low); NULL: lost, or low is 0 */
	uint64_t source_size;
	int64_t source_mtime_ns;
	uint64_t low;	 /* bytes below were acknowledged and given up here */
	uint64_t synced; /* bytes below are on this device's disk */
	bool ended;
	bool renewable; /* not on disk: nothing here needs to outlive a power cut */
	uint64_t total; /* when ended */
};

struct keep {
	int dir_fd, data_fd;	/* dir_fd holds the lock; data_fd is the copy or the user's file */
	char *spool_dir, *path; /* owned: the spool, the take's folder in it */
	struct keep_meta meta;
	uint64_t bytes; /* length of the data */
	bool rebooted;	/* found so by keep_open: the tail behind `synced` can't be trusted and was cut off */
};

/* Makes the folder of meta->session_id and its data, or opens the source file and notes its size and time. Takes over
 * meta's strings, also on failure. -EEXIST: there is one already; -EBUSY: another process has it, or the
 * source file (both are locked). */
int keep_new(const char *spool_dir, struct keep_meta *meta, struct keep *out);
/* -ENOENT: none; -EBUSY: another process has it; -ESTALE: the source file changed; -EBADMSG: meta.json is damaged. */
int keep_open(const char *spool_dir, const char *session_id, struct keep *out);

/* Makes the spool itself, if it is missing; durable. */
int keep_make_spool(const char *spool_dir);

int keep_append(struct keep *k, const void *data, size_t len);
/* Reads at most len bytes at `offset`; *out < len only at the end. -ENODATA below `low`. */
int keep_read(const struct keep *k, void *data, size_t len, uint64_t offset, size_t *out);
/* Syncs the data, then replaces meta.json durably. */
int keep_persist(struct keep *k);
/* Gives bytes below `low` up; `state` is the hash's at `low`, or NULL when it is lost. */
int keep_forget(struct keep *k, uint64_t low, const char *state);
/* Writes down that the take will not go on by itself, and why, as far as the disk allows. */
void keep_give_up(struct keep *k, const char *why);
/* The server has `bytes` of it, more than are here: the data is as long, and empty. */
int keep_skip_to(struct keep *k, uint64_t bytes);
/* -ESTALE when the user's file is not what it was. */
int keep_check_source(const struct keep *k);

/* Removes the folder; keep_close is still to be called. Not synced: a take that comes back with the power asks the
 * server, which knows that it is over. */
int keep_remove(struct keep *k);
void keep_close(struct keep *k);
/* Removes a take's folder without opening its data or source; -EBUSY when another process has it, 0 when there is none.
 */
int keep_discard(const char *spool_dir, const char *session_id);

/* Calls back for each take in the spool that can be read, whether another process has it or not. */
int keep_each(const char *spool_dir, void (*take)(void *arg, const struct keep_meta *meta), void *arg);

void keep_meta_release(struct keep_meta *m);

#endif
