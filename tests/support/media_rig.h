/* Media for tests, made on the spot by the ffmpeg program, and jobs run on them in this process. */
#ifndef TESTS_MEDIA_RIG_H
#define TESTS_MEDIA_RIG_H

#include "work/media_job.h"

#define RIG_VIDEO "-f lavfi -i testsrc2=s=320x180:r=25:d=2 "
#define RIG_AUDIO "-f lavfi -i sine=f=440:d=2:r=48000 "
#define RIG_VP8	  "-c:v libvpx -deadline realtime -cpu-used 8 -g 25 "
#define RIG_H264  "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 "
#define RIG_PARTS 8

struct media_rig {
	char dir[64]; /* for all files; removed at the end */
};

/* One track of a job: a file of the rig, or several of them, one behind the other as parts. */
struct rig_track {
	const char *files[RIG_PARTS];
	uint64_t most; /* bytes of it that count; 0: all */
};

struct rig_run {
	enum err err;
	struct media_result result;
	unsigned told, alive; /* how often file_done and alive were called */
	bool told_whole;      /* file_done came when the file was whole */
	unsigned alive_most;  /* alive says false from this call on; 0: never */
	uint64_t max_bytes;   /* max_output_bytes; 0: a GiB */
	int file, thumbnail, waveform;
};

void rig_init(struct media_rig *rig);
void rig_release(struct media_rig *rig);
/* ffmpeg ARGS DIR/name, unless the file is there already. An argument `pipe` first: through a pipe, not seekable. */
void rig_make(struct media_rig *rig, const char *name, const char *args);
void rig_write(struct media_rig *rig, const char *name, const void *data, size_t len);
/* The path of a file of the rig, in a static buffer. */
const char *rig_path(const struct media_rig *rig, const char *name);

/* Runs a job; `run` says how and gets the result. */
void rig_run(struct media_rig *rig, struct rig_run *run, const struct rig_track *tracks, unsigned count);
void rig_done(struct rig_run *run);
/* What a job calls; arg is a rig_run. */
bool rig_alive(void *arg, unsigned progress);
void rig_file_done(void *arg, const struct media_info *media, const char *warnings);

/* What ffprobe says of a file: "codec packets" of each stream joined by ", ", and its duration in s. */
double rig_probe(const char *path, char *streams, size_t size);
/* The finished file of a run, as a path that stays while the run does. */
const char *rig_file(struct rig_run *run);
/* Is there a warning of this code? */
bool rig_warned(const struct rig_run *run, const char *code);

#endif
