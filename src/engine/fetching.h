/* What fetching.c (the transfer) and fetching_jobs.c (its job in the catalog) share; not for others. */
#ifndef HOLDFAST_ENGINE_FETCHING_H
#define HOLDFAST_ENGINE_FETCHING_H

#include "engine/internal.h"
#include "work/fetcher.h"

/* fetching.c */
/* At `in_ms` from now; a failure or an end that is due already stands. */
void fetch_next(struct fetch_slot *s, enum fetch_next next, uint64_t in_ms);
void fetch_fail(struct fetch_slot *s, enum err err, const char *message);
void fetch_rearm(struct fetch_slot *s);
/* Frees the slot for another job. */
void fetch_close(struct fetch_slot *s);
/* The slot of this number, NULL when it is another's by now. */
struct fetch_slot *fetch_find(struct engine *e, uint64_t number);
void fetch_begin(struct fetch_slot *s);
/* More of the source, behind what is there. */
void fetch_append(struct fetch_slot *s, const void *data, size_t len);
/* All came. */
void fetch_end(struct fetch_slot *s);
/* What is there is of the source as this names it; NULL: nothing does. */
void fetch_validator_take(struct fetch_slot *s, const char *validator);
void fetch_pause_update(struct fetch_slot *s);

/* fetching_compare.c */
struct fetch_head;
void fetch_compare_begin(struct fetch_slot *s, const struct fetch_head *head, const char *validator);
/* What came and was not compared yet. */
void fetch_compare(struct fetch_slot *s);

/* fetching_jobs.c */
void fetch_claim(struct engine *e);
void fetch_renew(struct fetch_slot *s);
void fetch_validator_put(struct fetch_slot *s, const char *validator);
/* The job's end: done (ERR_OK) or failed. */
void fetch_finish(struct fetch_slot *s, enum err err, const char *message);

#endif
