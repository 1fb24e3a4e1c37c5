/* What is kept of an upload by tus, between runs: a file in the spool with its URL, and the size and time of the file
 * that it is of. One process has it at a time. */
#ifndef HOLDFAST_CLIENT_TUS_RECORD_H
#define HOLDFAST_CLIENT_TUS_RECORD_H

#include "files.h"

struct tus_record {
	int fd;		  /* holds the lock; -1: none */
	char *path, *url; /* owned; url NULL: there is no upload yet */
	bool synced;	  /* its file is large: what is set is durable */
};

/* Finds what was kept of this file for this server; one of a file that has changed since is forgotten. -EBUSY: another
 * process is at work on it. 0 or a negative errno; to be closed in any case. */
int tus_record_open(struct tus_record *out, const char *spool_dir, const char *server, const struct file *file);
/* Durable when it returns 0, if `synced`. */
int tus_record_set(struct tus_record *r, const char *url, const struct file *file);
/* There is no such upload any more. */
int tus_record_forget(struct tus_record *r);
/* It is over: the record goes. */
int tus_record_remove(struct tus_record *r);
void tus_record_close(struct tus_record *r);

#endif
