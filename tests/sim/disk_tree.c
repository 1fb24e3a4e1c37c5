/* Names of the simulated disk, see disk.h: each directory has the map that processes see and the one on the platter;
 * between them stands one ordered list of pending changes. */
#include "disk_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct inode *entries_find(const struct entries *entries, const char *name, size_t len)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *e = &entries->items[i];
		if (strncmp(e->name, name, len) == 0 && e->name[len] == 0)
			return e->inode;
	}
	return NULL;
}

/* Points the name to `inode`, or with NULL removes it. */
static void entries_set(struct disk *disk, struct entries *entries, const char *name, struct inode *inode)
{
	if (inode)
		inode_ref(inode);
	for (size_t i = 0; i < entries->count; i++) {
		struct entry *e = &entries->items[i];
		if (strcmp(e->name, name) != 0)
			continue;
		struct inode *old = e->inode;
		e->inode = inode;
		if (!inode) {
			free(e->name);
			*e = entries->items[--entries->count];
		}
		inode_unref(disk, old);
		return;
	}
	if (!inode)
		return;
	if (entries->count == entries->capacity) {
		entries->capacity = entries->capacity ? 2 * entries->capacity : 8;
		entries->items = realloc(entries->items, entries->capacity * sizeof *entries->items);
		assert(entries->items);
	}
	entries->items[entries->count++] = (struct entry){ strdup(name), inode };
}

/* A name that a path of the server may hold: nothing that leads elsewhere. */
static bool component_valid(const char *name, size_t len)
{
	return len > 0 && len <= NAME_BYTES && !(len == 1 && name[0] == '.') &&
	       !(len == 2 && name[0] == '.' && name[1] == '.');
}

struct inode *tree_parent(struct disk *disk, const char *path, const char **name)
{
	struct inode *dir = disk->root;
	for (;;) {
		const char *slash = strchr(path, '/');
		size_t len = slash ? (size_t)(slash - path) : strlen(path);
		if (!component_valid(path, len))
			return NULL;
		if (!slash) {
			*name = path;
			return dir;
		}
		dir = entries_find(&dir->cur, path, len);
		if (!dir || !dir->dir)
			return NULL;
		path = slash + 1;
	}
}

struct inode *tree_find(struct disk *disk, const char *path)
{
	if (*path == 0)
		return disk->root;
	const char *name;
	struct inode *dir = tree_parent(disk, path, &name);
	return dir ? entries_find(&dir->cur, name, strlen(name)) : NULL;
}

static void change_release(struct disk *disk, struct change *change)
{
	inode_unref(disk, change->inode);
	inode_unref(disk, change->from);
	inode_unref(disk, change->to);
	free(change->from_name);
	free(change->to_name);
}

static char *copy_name(const char *name)
{
	return name ? strdup(name) : NULL;
}

void tree_change(struct disk *disk, const struct change *change)
{
	if (disk->change_count == disk->change_capacity) {
		disk->change_capacity = disk->change_capacity ? 2 * disk->change_capacity : 16;
		disk->changes = realloc(disk->changes, disk->change_capacity * sizeof *disk->changes);
		assert(disk->changes);
	}
	struct change copy = { change->inode, change->from, change->to, copy_name(change->from_name),
			       copy_name(change->to_name) };
	inode_ref(copy.inode);
	if (copy.from) {
		inode_ref(copy.from);
		entries_set(disk, &copy.from->cur, copy.from_name, NULL);
	}
	if (copy.to) {
		inode_ref(copy.to);
		entries_set(disk, &copy.to->cur, copy.to_name, copy.inode);
	}
	disk->changes[disk->change_count++] = copy;
}

/* On the platter. A change that was dropped before may have left nothing to remove. */
static void change_apply(struct disk *disk, const struct change *change)
{
	if (change->from &&
	    entries_find(&change->from->dur, change->from_name, strlen(change->from_name)) == change->inode)
		entries_set(disk, &change->from->dur, change->from_name, NULL);
	if (change->to)
		entries_set(disk, &change->to->dur, change->to_name, change->inode);
}

void tree_sync(struct disk *disk, struct inode *dir)
{
	size_t kept = 0;
	for (size_t i = 0; i < disk->change_count; i++) {
		struct change *change = &disk->changes[i];
		if (change->from != dir && change->to != dir) {
			disk->changes[kept++] = *change;
			continue;
		}
		change_apply(disk, change);
		change_release(disk, change);
	}
	disk->change_count = kept;
}

/* What stands on the platter is what processes see from now on. */
static void adopt(struct disk *disk, struct inode *dir)
{
	while (dir->cur.count > 0)
		entries_set(disk, &dir->cur, dir->cur.items[dir->cur.count - 1].name, NULL);
	for (size_t i = 0; i < dir->dur.count; i++) {
		const struct entry *e = &dir->dur.items[i];
		entries_set(disk, &dir->cur, e->name, e->inode);
		if (e->inode->dir)
			adopt(disk, e->inode);
	}
}

void tree_power_cut(struct disk *disk, enum disk_loss loss)
{
	for (size_t i = 0; i < disk->change_count; i++) {
		struct change *change = &disk->changes[i];
		if (loss == DISK_LOSS_NONE || (loss != DISK_LOSS_ALL && rng_chance(&disk->rng, 50)))
			change_apply(disk, change);
	}
	adopt(disk, disk->root);
	for (size_t i = 0; i < disk->change_count; i++)
		change_release(disk, &disk->changes[i]);
	disk->change_count = 0;
}

void tree_each(struct disk *disk, struct inode *dir, void (*visit)(struct disk *, struct inode *, void *), void *arg)
{
	visit(disk, dir, arg);
	for (size_t i = 0; i < dir->cur.count; i++) {
		struct inode *inode = dir->cur.items[i].inode;
		if (inode->dir)
			tree_each(disk, inode, visit, arg);
		else
			visit(disk, inode, arg);
	}
}

void tree_release(struct disk *disk)
{
	for (size_t i = 0; i < disk->change_count; i++)
		change_release(disk, &disk->changes[i]);
	free(disk->changes);
	inode_unref(disk, disk->root);
}
