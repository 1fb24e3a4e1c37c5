/* What the tests of the catalog's contract stand on: a catalog of the chosen implementation in a folder of its own,
 * takes by number, and operations that must succeed. */
#ifndef HOLDFAST_TESTS_CATALOG_RIG_H
#define HOLDFAST_TESTS_CATALOG_RIG_H

#include "store/catalog.h"

struct fixture {
	char dir[64];
	struct vfs *vfs;
	struct catalog *c;
};

/* The implementation that is tested from now on, by its number; its name, or NULL when there are no more. */
const char *catalog_rig_choose(size_t index);

int setup(void **state);
int teardown(void **state);
/* Closes the catalog and opens it again. */
void reopen_catalog(struct fixture *f);

void begin(struct fixture *f);
void commit(struct fixture *f);

struct uuid id_of(unsigned n);
/* A new take, number n, with one track of ten bytes; to be released. */
struct recording_info take(unsigned n);
/* Within a transaction; releases `info`. */
void start(struct fixture *f, struct recording_info info);
/* Takes 1 to count, in a transaction of their own. */
void start_takes(struct fixture *f, unsigned count);
struct recording_info row_of(struct fixture *f, unsigned n);
void assert_phase(struct fixture *f, unsigned n, enum phase phase);
void assert_counts(struct fixture *f, unsigned n, unsigned jobs, unsigned events);

/* Each within a transaction; what it did. `claim` seals take n with its one track at `bytes`. */
enum catalog_outcome claim(struct fixture *f, unsigned n, enum sealed_by by, uint32_t revision, uint64_t bytes,
			   enum err error);
enum catalog_outcome reopen(struct fixture *f, unsigned n);
enum catalog_outcome fail_take(struct fixture *f, unsigned n);
enum catalog_outcome remove_take(struct fixture *f, unsigned n);

#endif
