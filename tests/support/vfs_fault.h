/* A layer over any vfs that counts its calls and makes chosen ones fail, for tests. A failing call does not reach what
 * is below. Any thread. */
#ifndef HOLDFAST_TESTS_VFS_FAULT_H
#define HOLDFAST_TESTS_VFS_FAULT_H

#include "store/vfs.h"

enum fault_kind {
	FAULT_OPEN,
	FAULT_RENAME,
	FAULT_UNLINK,
	FAULT_MKDIR,
	FAULT_RMDIR,
	FAULT_SYNC_DIR,
	FAULT_LIST,
	FAULT_SPACE,
	FAULT_READ,
	FAULT_WRITE,
	FAULT_SYNC,
	FAULT_WRITE_OUT,
	FAULT_TRUNCATE,
	FAULT_RESERVE,
	FAULT_SIZE,
	FAULT_ANY, /* all kinds together: "the Nth call of all" */
	FAULT_KINDS
};

/* Freed by vfs_free; `below` stays the caller's. */
struct vfs *vfs_fault_new(struct vfs *below);

/* The nth call of this kind from now on (1: the next) fails with `err`; with `for_good` all later ones too. Replaces
 * what was set for this kind; nth 0 lets all pass again. */
void vfs_fault_fail(struct vfs *fault, enum fault_kind kind, unsigned nth, enum err err, bool for_good);

/* Calls of this kind so far, with those that failed. */
unsigned vfs_fault_count(const struct vfs *fault, enum fault_kind kind);
/* How many were made to fail. */
unsigned vfs_fault_failed(const struct vfs *fault);

#endif
