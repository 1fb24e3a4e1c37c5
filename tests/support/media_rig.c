/* Media for tests, see media_rig.h. */
#include "support/media_rig.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void rig_init(struct media_rig *rig)
{
	snprintf(rig->dir, sizeof rig->dir, "/tmp/holdfast-media-XXXXXX");
	if (!mkdtemp(rig->dir))
		abort();
}

static void shell(const char *command)
{
	if (system(command) != 0) {
		fprintf(stderr, "failed: %s\n", command);
		abort();
	}
}

void rig_release(struct media_rig *rig)
{
	char command[256];
	snprintf(command, sizeof command, "rm -rf '%s'", rig->dir);
	shell(command);
}

const char *rig_path(const struct media_rig *rig, const char *name)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", rig->dir, name);
	return path;
}

void rig_make(struct media_rig *rig, const char *name, const char *args)
{
	char command[2048];
	bool pipe = strncmp(args, "pipe ", 5) == 0;
	if (access(rig_path(rig, name), F_OK) == 0)
		return;
	snprintf(command, sizeof command, "ffmpeg -nostdin -v error -y %s %s'%s/%s'", pipe ? args + 5 : args,
		 pipe ? "pipe: | cat > " : "", rig->dir, name);
	shell(command);
}

void rig_write(struct media_rig *rig, const char *name, const void *data, size_t len)
{
	int fd = open(rig_path(rig, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

static int memory_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		abort();
	return fd;
}

/* The files of a track behind each other, in memory. */
static void join(const struct media_rig *rig, const struct rig_track *from, struct media_track *to, uint64_t *parts)
{
	*to = (struct media_track){ .name = "main", .fd = memory_file("track"), .parts = parts };
	for (unsigned i = 0; i < RIG_PARTS && from->files[i]; i++) {
		struct stat st;
		int fd = open(rig_path(rig, from->files[i]), O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st))
			abort();
		char *data = malloc((size_t)st.st_size + 1);
		if (!data || read(fd, data, (size_t)st.st_size) != st.st_size ||
		    pwrite(to->fd, data, (size_t)st.st_size, (off_t)to->bytes) != st.st_size)
			abort();
		free(data);
		close(fd);
		if (i > 0)
			parts[to->part_count++] = to->bytes;
		to->bytes += (uint64_t)st.st_size;
	}
	if (from->most && from->most < to->bytes)
		to->bytes = from->most;
}

bool rig_alive(void *arg, unsigned progress)
{
	struct rig_run *run = arg;
	assert(progress <= 1000);
	run->alive++;
	return !run->alive_most || run->alive < run->alive_most;
}

void rig_file_done(void *arg, const struct media_info *media, const char *warnings)
{
	struct rig_run *run = arg;
	struct stat st;
	run->told++;
	run->told_whole = fstat(run->file, &st) == 0 && (uint64_t)st.st_size == (media->as_is ? 0 : media->bytes);
}

void rig_run(struct media_rig *rig, struct rig_run *run, const struct rig_track *tracks, unsigned count)
{
	struct media_track media[LIMIT_TRACKS];
	uint64_t parts[LIMIT_TRACKS][RIG_PARTS];
	run->file = memory_file("file");
	run->thumbnail = memory_file("thumbnail");
	run->waveform = memory_file("waveform");
	struct media_job job = { .tracks = media,
				 .track_count = count,
				 .file_fd = run->file,
				 .alive = rig_alive,
				 .thumbnail_fd = run->thumbnail,
				 .waveform_fd = run->waveform,
				 .file_done = rig_file_done };
	job.max_output_bytes = run->max_bytes ? run->max_bytes : GIB;
	job.arg = run;
	for (unsigned i = 0; i < count; i++)
		join(rig, &tracks[i], &media[i], parts[i]);
	run->err = media_job_run(&job, &run->result);
	for (unsigned i = 0; i < count; i++)
		close(media[i].fd);
}

void rig_done(struct rig_run *run)
{
	free(run->result.warnings);
	close(run->file);
	close(run->thumbnail);
	close(run->waveform);
	*run = (struct rig_run){ 0 };
}

const char *rig_file(struct rig_run *run)
{
	static char path[64];
	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), run->file);
	return path;
}

double rig_probe(const char *path, char *streams, size_t size)
{
	char command[512], line[256];
	double duration = -1;
	snprintf(command, sizeof command,
		 "ffprobe -v error -count_packets -show_entries stream=codec_name,nb_read_packets:format=duration "
		 "-of csv=p=0 '%s'",
		 path);
	FILE *out = popen(command, "r");
	if (!out)
		abort();
	streams[0] = 0;
	while (fgets(line, sizeof line, out)) {
		line[strcspn(line, "\n")] = 0;
		char *comma = strchr(line, ',');
		if (!comma) {
			duration = strtod(line, NULL);
			continue;
		}
		*comma = ' ';
		size_t len = strlen(streams);
		snprintf(streams + len, size - len, "%s%s", len ? ", " : "", line);
	}
	pclose(out);
	return duration;
}

bool rig_warned(const struct rig_run *run, const char *code)
{
	char quoted[64];
	snprintf(quoted, sizeof quoted, "\"%s\"", code);
	return run->result.warnings && strstr(run->result.warnings, quoted);
}
