/* Which files are safe already: a list in the spool, so that the same command sends nothing twice. A file is its
 * server, path, size and time of change; a line is added when the server has said that it has all of it, before what
 * the spool holds of the take is removed. Whoever removes the list and `device` sends
 * everything anew, and loses nothing. */
#ifndef HOLDFAST_CLIENT_SENT_H
#define HOLDFAST_CLIENT_SENT_H

#include "files.h"

enum { SENT_KEY = 33 };

struct sent {
	int fd;	    /* -1: there is no list, nothing is noted */
	char *text; /* owned: the list as far as it was read */
	size_t len, room;
	size_t *slots; /* owned: where lines begin in `text`, and 1, by their key; 0: free. Open addressing */
	size_t slot_count, used;
	char device[SENT_KEY]; /* random, as long as the spool is there; "": it can't be kept */
};

/* Reads the list, and makes it where it is missing. 0 or a negative errno; *out is good for sent_find in any case. */
int sent_open(const char *spool_dir, struct sent *out);
/* The server's id of the file, into id; false when it is not known to be safe. Sees what other processes note
 * meanwhile. */
bool sent_find(struct sent *s, const char *server, const struct file *file, char *id, size_t size);
/* What the take of this file is called on the server: the same whenever this device is asked, also when all notes were
 * lost with the power, so that the file is one recording. False: the device has no name of its own. */
bool sent_session(const struct sent *s, const char *server, const struct file *file, char out[SENT_KEY]);
int sent_note(struct sent *s, const char *server, const struct file *file, const char *id);
/* Makes the notes durable. Those of takes that are named by sent_session need not be: one that is lost with the power
 * costs a question. */
int sent_sync(const struct sent *s);
void sent_close(struct sent *s);

#endif
