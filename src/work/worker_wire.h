/* What server and worker say to each other: JSON, one object a datagram of their SOCK_SEQPACKET pair. Pure.
 *
 * To the worker: {"type": "ping"} and, with descriptors, {"type": "job"}: WIRE_FD_JOB holds the job's description, the
 * next three take the outputs, the rest are the tracks in order. From the worker: a worker_event, without GONE. A
 * worker that has seen media may be in the hands of whoever made it, so the server takes nothing of it but what
 * wire_event_parse lets through. */
#ifndef HOLDFAST_WORK_WORKER_WIRE_H
#define HOLDFAST_WORK_WORKER_WIRE_H

#include "base/buf.h"
#include "work/media_job.h"
#include "work/worker.h"

#include <stddef.h>

enum {
	WIRE_SOCKET = 3, /* the worker's end of the pair, beside 0, 1, 2 */
	WIRE_FD_JOB = 0, /* the descriptors of a job, by their place in the message */
	WIRE_FD_FILE,
	WIRE_FD_THUMBNAIL,
	WIRE_FD_WAVEFORM,
	WIRE_FD_TRACKS,
	WIRE_FDS = WIRE_FD_TRACKS + LIMIT_TRACKS,
};

#define WIRE_PING "{\"type\":\"ping\"}"
#define WIRE_JOB  "{\"type\":\"job\"}"

/* An event with the memory that its pointers point into. */
struct wire_event {
	struct worker_event event;
	struct media_info media;
	struct track_hash hashes[LIMIT_TRACKS];
	char *warnings; /* owned */
	char message[512];
	char lacks[128]; /* of READY: what of the sandbox is missing, "" if nothing */
};

/* `lacks` is of READY, else NULL. Text that is no UTF-8 becomes question marks. */
void wire_event_format(struct buf *out, const struct worker_event *event, const char *lacks);
/* ERR_OK; else *why is a sentence on what is wrong, and nothing is to be released. Only READY, ALIVE, HASHED, FILE,
 * DONE and FAILED come out, with all values in their ranges; media has type and name from a short list of characters.
 */
enum err wire_event_parse(const char *text, size_t len, struct wire_event *out, const char **why);
void wire_event_release(struct wire_event *event);

void wire_job_format(struct buf *out, const struct worker_job *job);

/* A job as the worker reads it; the descriptors are its own business. */
struct wire_job {
	struct media_track tracks[LIMIT_TRACKS]; /* names and parts owned; fd -1 */
	bool hash[LIMIT_TRACKS];		 /* of which the SHA-256 is wanted */
	uint32_t track_count;
	uint64_t max_output_bytes, max_ms;
};

enum err wire_job_parse(const char *text, size_t len, struct wire_job *out);
void wire_job_release(struct wire_job *job);

#endif
