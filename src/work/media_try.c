/* A developer's program: media_job_run on files, without server and sandbox.
 *
 *     media_try FILE… -o DIR      each FILE a track; DIR gets file, thumbnail.jpg, waveform.json
 *     … FILE@OFFSET@OFFSET …      with parts that begin there
 *
 * Prints the result as one line of JSON; status 1 if the job failed. */
#include "work/media_job.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct timespec began;
static double file_ms, file_cpu_ms;

static double elapsed_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)(t.tv_sec - began.tv_sec) * 1e3 + (double)(t.tv_nsec - began.tv_nsec) / 1e6;
}

static bool alive(void *arg, unsigned progress)
{
	return true;
}

static void file_done(void *arg, const struct media_info *media, const char *warnings)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	file_cpu_ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
	file_ms = elapsed_ms();
}

static int open_in(const char *dir, const char *name)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

static bool open_track(char *spec, struct media_track *track)
{
	struct stat st;
	uint64_t *parts = calloc(strlen(spec), sizeof *parts);
	char *at = strchr(spec, '@');
	*track = (struct media_track){ .name = "main", .parts = parts };
	while (at) {
		*at++ = 0;
		parts[track->part_count++] = strtoull(at, &at, 10);
		at = *at == '@' ? at : NULL;
	}
	track->fd = open(spec, O_RDONLY | O_CLOEXEC);
	if (track->fd < 0 || fstat(track->fd, &st))
		return false;
	track->bytes = (uint64_t)st.st_size;
	return true;
}

int main(int argc, char **argv)
{
	struct media_track tracks[LIMIT_TRACKS];
	struct media_job job = { .tracks = tracks, .alive = alive, .file_done = file_done };
	struct media_result result;
	const char *dir = NULL;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-o") == 0 && i + 1 < argc)
			dir = argv[++i];
		else if (job.track_count < LIMIT_TRACKS && open_track(argv[i], &tracks[job.track_count]))
			job.track_count++;
		else
			return fprintf(stderr, "media_try: can't open %s\n", argv[i]), 2;
	}
	if (!dir || job.track_count == 0)
		return fprintf(stderr, "usage: media_try FILE[@OFFSET…]… -o DIR\n"), 2;
	mkdir(dir, 0755);
	job.file_fd = open_in(dir, "file");
	job.thumbnail_fd = open_in(dir, "thumbnail.jpg");
	job.waveform_fd = open_in(dir, "waveform.json");
	clock_gettime(CLOCK_MONOTONIC, &began);
	enum err err = media_job_run(&job, &result);
	printf("{\"error\": \"%s\", \"message\": \"%s\", \"asIs\": %d, \"mime\": \"%s\", \"ext\": \"%s\", \"bytes\": "
	       "%llu, "
	       "\"durationMs\": %lld, \"thumbnail\": %d, \"waveform\": %d, \"copyMs\": %u, \"checkMs\": %u, "
	       "\"thumbnailMs\": %u, \"waveformMs\": %u, \"fileMs\": %.1f, \"fileCpuMs\": %.1f, \"allMs\": %.1f, "
	       "\"warnings\": %s}\n",
	       err_code(err), result.message, result.media.as_is, result.media.mime, result.media.ext,
	       (unsigned long long)result.media.bytes, (long long)result.media.duration_ms, result.media.has_thumbnail,
	       result.media.has_waveform, result.times.copy_ms, result.times.check_ms, result.times.thumbnail_ms,
	       result.times.waveform_ms, file_ms, file_cpu_ms, elapsed_ms(), result.warnings ? result.warnings : "[]");
	return err != ERR_OK;
}
