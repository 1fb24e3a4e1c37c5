/* The job machine: what follows a lease, a failure, a success. Pure: no I/O, clock, lock or global; the catalog writes
 * what it says, in the transaction that asks.
 *
 * An attempt is one lease taken. LIMIT_ATTEMPTS of them within LIMIT_ATTEMPTS_MS, not counting how long the attempts
 * themselves took, and the job has failed for good until the window is over; a failure that repeats by nature (any
 * err_class but TRANSIENT) ends it at once. Webhooks (JOB_NOTIFY) are tried longer, LIMIT_NOTIFY_ATTEMPTS for each
 * event, with a backoff, and then parked; a push (JOB_PUSH) for as long as it takes, and parked only by a failure that
 * repeats by nature. Times are wall clock ms; a clock that jumps makes a wait wrong at most once:
 * a window or a wait that would begin in the future, or last longer than it can, counts as over. */
#ifndef HOLDFAST_CORE_JOB_H
#define HOLDFAST_CORE_JOB_H

#include "core/model.h"

/* May a worker take it now? */
bool job_due(const struct job_info *job, int64_t now_ms);
/* Somebody takes the lease: state, epoch, attempt and its window, times. job_due was true. */
void job_lease(struct job_info *job, int64_t now_ms, int64_t lease_until_ms);
/* The attempt failed, or its lease was lost. One that ends with the server (SHUTTING_DOWN) does not count. Sets state
 * (QUEUED with not_before_ms, FAILED or PARKED), since when, error and message: a copy, valid UTF-8 of at most
 * LIMIT_SENTENCE_CHARS; may be NULL; when the attempts are used up it begins with saying so. ERR_NO_MEMORY: only the
 * message is missing. */
enum err job_failed(struct job_info *job, enum err error, const char *message, int64_t now_ms);
void job_succeeded(struct job_info *job);
/* A webhook took the event `seq`: the lease goes on, and the attempts of the next event begin. */
void job_delivered(struct job_info *job, int64_t seq, int64_t lease_until_ms);
/* A push is at work and part of it is in the bucket: the lease goes on, and a failure behind it is the first one. */
void job_went_on(struct job_info *job, int64_t lease_until_ms);
/* It is claimed again by `complete` (or asked for again): a fresh window if the old one is over. It is neither queued
 * nor running. */
void job_requeue(struct job_info *job, int64_t now_ms);
/* A late resume or a failure of the take makes it pointless: no result of it counts any more. */
void job_cancel(struct job_info *job);
/* Of a failed job: ms until it may be claimed again; 0: it may now. */
int64_t job_closed_ms(const struct job_info *job, int64_t now_ms);
/* Is it being tried again, or waiting for that? Then readers are told to come back soon. */
bool job_recovering(const struct job_info *job);

#endif
