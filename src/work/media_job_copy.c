/* A stand-in for the media job while that is being written: the first track's bytes, as they came. */
#include "work/media_job.h"

#include <stdio.h>
#include <unistd.h>

enum err media_job_run(const struct media_job *job, struct media_result *out)
{
	char piece[64 * 1024];
	const struct media_track *track = &job->tracks[0];
	uint64_t at = 0;
	while (at < track->bytes) {
		uint64_t left = track->bytes - at;
		ssize_t got = pread(track->fd, piece, left < sizeof piece ? (size_t)left : sizeof piece, (off_t)at);
		if (got <= 0)
			return ERR_READ_FAILED;
		if (pwrite(job->file_fd, piece, (size_t)got, (off_t)at) != got)
			return ERR_WRITE_FAILED;
		at += (uint64_t)got;
		if (!job->alive(job->arg, (unsigned)(at * 1000 / track->bytes)))
			return ERR_MEDIA_LIMIT;
	}
	out->media = (struct media_info){ .bytes = at, .duration_ms = -1 };
	snprintf(out->media.mime, sizeof out->media.mime, "application/octet-stream");
	job->file_done(job->arg, &out->media, NULL);
	return ERR_OK;
}
