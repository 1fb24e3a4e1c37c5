/* What the FILEs of a command line mean: files, and all files in folders.
 *
 * In a folder, what begins with a dot is left out unless `hidden`; symbolic links are left out always (they may lead
 * out of the folder, around in it, or to a file that is sent anyway), and so is what is no file: sockets, pipes,
 * devices. What is named itself is sent whatever its name, and a link that is named itself is followed. A file that is
 * met twice is sent once. */
#ifndef HOLDFAST_CLIENT_FILES_H
#define HOLDFAST_CLIENT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct file {
	char *path;	  /* owned: absolute, without links */
	char *label;	  /* owned: as its argument named it */
	const char *name; /* in `path` or `label`: relative to the folder that was named */
	uint64_t size;
	int64_t mtime_ns;
	bool done; /* for the user of the list */
};

struct files {
	struct file *list; /* owned, in the order of the arguments, in folders by name */
	size_t count, capacity;
	uint64_t bytes;
	size_t hidden_left, links_left, others_left; /* what was left out */
	bool hidden;				     /* setting: send hidden files, too */
	const char *spool;			     /* setting: this folder is none of the user's files */
	dev_t spool_dev;
	ino_t spool_ino;
	void (*failed)(void *arg, const char *label, const char *why); /* setting: what can't be read */
	void *arg;
};

/* Adds a file, or what is in a folder. Blocks on the disk. False when memory is out. */
bool files_add(struct files *f, const char *argument);
/* Takes out what is there twice, and counts bytes. */
void files_settle(struct files *f);
/* The file of this path, or NULL; files_settle must have been called. */
struct file *files_find(struct files *f, const char *path);
void files_release(struct files *f);

#endif
