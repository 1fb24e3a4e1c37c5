/* Jobs by take number, for the tests of the catalog's contract. */
#ifndef HOLDFAST_TESTS_CATALOG_JOBS_RIG_H
#define HOLDFAST_TESTS_CATALOG_JOBS_RIG_H

#include "support/catalog_rig.h"

enum { CATALOG_LEASE_MS = 30000 };

/* Each within a transaction, and must succeed unless it says what it answers. */

/* The lease that was taken; id 0: there was none to take. */
struct job_key lease(struct fixture *f, enum job_kind kind, int64_t now_ms);
/* What a worker made of it, placed by nobody. */
enum err publish(struct fixture *f, struct job_key key, int64_t now_ms);
enum err done(struct fixture *f, struct job_key key, int64_t now_ms);
/* How the job then stands; JOB_STATE_COUNT: NOT_FOUND. */
enum job_state lose(struct fixture *f, struct job_key key, enum err error, int64_t now_ms);
/* Take n from `uploading` to `complete` as revision 1, published at `now_ms`, sealed by `by`. */
void complete_take(struct fixture *f, unsigned n, enum sealed_by by, int64_t now_ms);
/* A recording by URL, number n. */
struct recording_info source(unsigned n, bool on_demand);
/* The row's job. */
struct job_info job_of(struct fixture *f, unsigned n);

/* The types of events behind `after`, as "type phase; …" into out. */
void events_text(struct fixture *f, const struct catalog_event_filter *filter, char *out, size_t size);

#endif
