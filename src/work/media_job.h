/* One finalize job, inside holdfast-worker: descriptors in, a seekable file, a thumbnail and waveform peaks out. The
 * only part of the project that uses libav*. Runs in the sandbox: no files but these descriptors, no network, bounded
 * memory and time. Single-threaded but for libavcodec's own threads. */
#ifndef HOLDFAST_WORK_MEDIA_JOB_H
#define HOLDFAST_WORK_MEDIA_JOB_H

#include "core/model.h"

struct media_track {
	const char *name;
	int fd; /* pread only, [0, bytes) */
	uint64_t bytes;
	const uint64_t *parts;
	uint32_t part_count;
};

struct media_job {
	const struct media_track *tracks;
	uint32_t track_count;
	int file_fd, thumbnail_fd, waveform_fd; /* empty, O_RDWR */
	uint64_t max_output_bytes;
	/* Called again and again while it works, at least every LIMIT_WORKER_ALIVE_MS: false: give up. */
	bool (*alive)(void *arg, unsigned progress_per_mille);
	/* The file is written and checked; what follows is decoration. */
	void (*file_done)(void *arg, const struct media_info *media, const char *warnings);
	void *arg;
};

/* What each step took, wall clock. */
struct media_times {
	unsigned copy_ms, check_ms, thumbnail_ms, waveform_ms;
};

struct media_result {
	struct media_info media;
	struct media_times times;
	char *warnings;	   /* owned JSON array or NULL */
	char message[512]; /* of an error: a sentence with libav's own words */
};

/* ERR_OK: all is there that there can be (an as_is result too). Else MEDIA_UNREADABLE, MEDIA_LIMIT, CHECK_FAILED,
 * STORAGE_FULL, READ_FAILED, WRITE_FAILED, NO_MEMORY. */
enum err media_job_run(const struct media_job *job, struct media_result *out);

#endif
