/* Inside the simulated disk: inodes with two images, directories with two maps. Only disk*.c include this. */
#ifndef HOLDFAST_SIM_DISK_IMPL_H
#define HOLDFAST_SIM_DISK_IMPL_H

#include "disk.h"
#include "rng.h"

enum { SECTOR = 512, PAGE = 4096, PAGE_SECTORS = PAGE / SECTOR, FAULTS = 8, NAME_BYTES = 255 };

/* `cur` is the page cache, `dur` the platter, NULL a page of zeros. With all masks 0 the two are one: `cur`. */
struct page {
	uint8_t *cur, *dur;
	uint8_t dirty; /* sectors written since the last sync */
	uint8_t cut;   /* sectors zeroed by a truncation since */
	uint8_t lost;  /* sectors that a failed sync dropped: clean, and not on the platter */
};

struct entry {
	char *name;
	struct inode *inode;
};

struct entries {
	struct entry *items;
	size_t count, capacity;
};

struct inode {
	unsigned refs; /* entries of both maps, pending changes, open files */
	bool dir;
	/* a file */
	struct page *pages;
	size_t page_count;
	uint32_t *touched; /* pages whose masks are not all 0 */
	size_t touched_count, touched_capacity;
	uint64_t size, dur_size;
	uint64_t cut_size;  /* the smallest size since the last sync */
	uint64_t allocated; /* bytes that count as used */
	/* a directory */
	struct entries cur, dur;
};

/* A pending change of names: `from` loses it, `to` gets it; either may be missing. */
struct change {
	struct inode *inode, *from, *to;
	char *from_name, *to_name;
};

struct disk_file {
	struct vfs_file file;
	struct disk *disk;
	struct inode *inode;
	struct disk_file *next, **prev;
	unsigned flags;
	bool sync_failed;
	char path[128];
};

struct disk {
	struct vfs vfs;
	struct rng rng;
	struct inode *root;
	struct disk_file *files;
	struct change *changes;
	size_t change_count, change_capacity;
	uint64_t capacity, used;
	struct disk_fault faults[FAULTS];
	unsigned fault_count;
	uint64_t die_after; /* 0: never */
	bool dead;
	uint64_t counts[DISK_CALLS];
	uint64_t change_calls, resyncs, failures;
	disk_trace_fn *trace;
	void *trace_arg;
	void *free_pages;
};

/* disk.c */
void disk_close_all(struct disk *disk);

/* disk_inode.c: contents */
struct inode *inode_new(bool dir);
void inode_ref(struct inode *inode);
void inode_unref(struct disk *disk, struct inode *inode);
void inode_read(const struct inode *inode, void *data, size_t len, uint64_t off);
/* ERR_STORAGE_FULL leaves the inode as it is. */
enum err inode_allocate(struct disk *disk, struct inode *inode, uint64_t end);
void inode_write(struct disk *disk, struct inode *inode, const void *data, size_t len, uint64_t off);
void inode_truncate(struct disk *disk, struct inode *inode, uint64_t size);
void inode_sync(struct disk *disk, struct inode *inode);
void inode_sync_fail(struct disk *disk, struct inode *inode);
void inode_power_cut(struct disk *disk, struct inode *inode, enum disk_loss loss);
void inode_evict(struct disk *disk, struct inode *inode); /* lost sectors leave the page cache */

/* disk_tree.c: names */
struct inode *entries_find(const struct entries *entries, const char *name, size_t len);
/* Finds the directory of a path, and the last name in it; NULL when there is none. */
struct inode *tree_parent(struct disk *disk, const char *path, const char **name);
struct inode *tree_find(struct disk *disk, const char *path);
/* A change of names: at once in the page cache's map, pending for the platter's. */
void tree_change(struct disk *disk, const struct change *change);
void tree_sync(struct disk *disk, struct inode *dir);
void tree_power_cut(struct disk *disk, enum disk_loss loss);
/* Calls back once for each inode of the current map, files and directories. */
void tree_each(struct disk *disk, struct inode *dir, void (*visit)(struct disk *, struct inode *, void *), void *arg);
void tree_release(struct disk *disk);

#endif
