/* What every step of a media job carries along: signs of life, what went wrong, and the warnings.
 *
 * libav calls back for interrupts and logs; both end here, so that a job tells that it lives also while libav probes
 * or decodes, and so that of libav's words only a short, printable line is kept. One job at a time in a process. */
#ifndef HOLDFAST_WORK_WATCH_H
#define HOLDFAST_WORK_WATCH_H

#include "work/media_job.h"

#include <jansson.h>
#include <libavformat/avformat.h>

struct watch {
	const struct media_job *job;
	int64_t next_ms;   /* monotonic: the next sign of life is due */
	unsigned progress; /* per mille */
	bool stopped;	   /* `alive` said so */
	bool lost;	   /* memory is out: a warning could not be kept */
	enum err own;	   /* what a descriptor of ours answered, or a limit that was met; the first counts */
	json_t *warnings;  /* owned */
	char sentence[LIMIT_MEDIA_ERROR_CHARS]; /* about `own` */
};

/* Monotonic. */
int64_t watch_now_ms(void);

/* Takes libav's log and allocations over. */
void watch_init(struct watch *w, const struct media_job *job);
void watch_release(struct watch *w);

/* To be called all the time; false: stop. */
bool watch_tick(struct watch *w);
/* It has come so far; never goes back. */
void watch_progress(struct watch *w, unsigned per_mille);
AVIOInterruptCB watch_interrupt(struct watch *w);

/* Something of ours failed, inside a callback of libav: what libav says about it later does not matter. */
void watch_fail(struct watch *w, enum err err, const char *sentence);
/* The error of a call of libav that returned `averror` (< 0): ours if there is one. */
enum err watch_err(const struct watch *w, int averror, enum err otherwise);
/* What `watch_fail` said is dealt with. */
void watch_forget(struct watch *w);
/* A sentence for it: `what`, and libav's own words. */
void watch_explain(const struct watch *w, enum err err, char *out, size_t size);

/* Each code is told once, with its first sentence. */
__attribute__((format(printf, 3, 4))) void watch_warn(struct watch *w, const char *code, const char *format, ...);
/* All so far as a JSON array, owned by the caller; NULL if none. */
char *watch_warnings(struct watch *w);

#endif
