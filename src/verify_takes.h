/* What verify finds on the disk: every take as recovery would see it, and whether its bytes are the sealed ones.
 * Nothing is written. */
#ifndef HOLDFAST_VERIFY_TAKES_H
#define HOLDFAST_VERIFY_TAKES_H

#include "base/exec.h"
#include "core/model.h"
#include "store/vfs.h"

#include <openssl/evp.h>

struct checked_track {
	uint64_t len;	  /* BYTES_UNKNOWN: no record says */
	uint64_t read;	  /* bytes read and hashed so far */
	EVP_MD_CTX *hash; /* owned; NULL before the first byte */
};

struct checked_take {
	struct checked_take *next, *sibling; /* of the table's row; in the order of finding */
	struct uuid id;
	struct recording_info info; /* its newest manifest, with the lengths found */
	bool known;		    /* info stands */
	bool in_journal;	    /* records of it are still to be recovered: the catalog may lag */
	bool deleted;
	struct media_info media; /* its newest whole publication; revision 0: none */
	bool removed;		 /* retention took the bytes as received: no spool is looked for */
	struct checked_track tracks[LIMIT_TRACKS];
};

enum { VERIFY_TABLE = 4096 };

struct verify {
	struct vfs *vfs;
	struct checked_take *table[VERIFY_TABLE];
	struct checked_take *first, **last;
	uint64_t recordings, bytes, problems;
	uint64_t bytes_read; /* for the display */
	/* A sentence about what does not hold; `id` NULL: about the whole directory. */
	void (*problem)(void *arg, const struct uuid *id, const char *sentence);
	void (*progress)(void *arg);
	void *arg;
};

void verify_init(struct verify *v);
void verify_release(struct verify *v);

/* Reads the journal and all spools. An error only when going on makes no sense. */
enum err verify_read(struct verify *v, struct exec *exec, uint64_t journal_bytes);

struct checked_take *verify_find(const struct verify *v, const struct uuid *id);

__attribute__((format(printf, 3, 4))) void verify_problem(struct verify *v, const struct uuid *id, const char *format,
							  ...);

#endif
