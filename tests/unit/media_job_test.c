/* Finalize jobs on media that ffmpeg makes: what comes in, in which container it leaves, and that nothing is lost. */
#include "support/media_rig.h"
#include "work/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct media_rig rig;

static const struct {
	const char *name, *args, *mime, *streams;
	bool picture, wave;
} kinds[] = {
	{ "live.webm", "pipe " RIG_VIDEO RIG_AUDIO RIG_VP8 "-c:a libopus -live 1 -f webm", "video/webm",
	  "vp8 50, opus 101", true, true },
	{ "opus.webm", "pipe " RIG_AUDIO "-c:a libopus -live 1 -f webm", "audio/webm", "opus 101", false, true },
	{ "frag.mp4", RIG_VIDEO RIG_AUDIO RIG_H264 "-c:a aac -movflags frag_keyframe+empty_moov", "video/mp4",
	  "h264 50, aac 95", true, true },
	{ "plain.mp4", RIG_VIDEO RIG_AUDIO RIG_H264 "-bf 2 -c:a aac", "video/mp4", "h264 50, aac 95", true, true },
	{ "h264.mkv", RIG_VIDEO RIG_AUDIO RIG_H264 "-c:a aac", "video/x-matroska", "h264 50, aac 95", true, true },
	{ "pcm.mkv", RIG_AUDIO "-c:a pcm_s16le", "audio/x-matroska", "pcm_s16le 94", false, true },
	{ "opus.ogg", RIG_AUDIO "-c:a libopus", "audio/ogg", "opus 101", false, true },
	{ "sound.wav", RIG_AUDIO, "audio/wav", "pcm_s16le 47", false, true },
	{ "piped.wav", "pipe " RIG_AUDIO "-f wav", "audio/wav", "pcm_s16le 47", false, true },
	{ "sound.mp3", RIG_AUDIO "-c:a libmp3lame", "audio/mpeg", "mp3 85", false, true },
	{ "sound.aac", RIG_AUDIO "-c:a aac", "audio/mp4", "aac 95", false, true },
	{ "sound.flac", RIG_AUDIO "-c:a flac", "audio/flac", "flac 21", false, true },
	{ "piped.flac", "pipe " RIG_AUDIO "-c:a flac -f flac", "audio/flac", "flac 21", false, true },
};

static const char *make(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(kinds[i].name, name) == 0)
			rig_make(&rig, name, kinds[i].args);
	}
	return name;
}

static void run_one(struct rig_run *run, const char *name, uint64_t most)
{
	struct rig_track track = { { make(name) }, most };
	rig_run(&rig, run, &track, 1);
}

static void run_two(struct rig_run *run, const char *a, const char *b)
{
	struct rig_track tracks[] = { { { a }, 0 }, { { b }, 0 } };
	rig_run(&rig, run, tracks, 2);
}

static void expect(struct rig_run *run, const char *mime, const char *streams, double seconds)
{
	char found[256];
	if (run->err)
		print_message("%s: %s\n", err_code(run->err), run->result.message);
	assert_int_equal(run->err, ERR_OK);
	assert_false(run->result.media.as_is);
	assert_string_equal(run->result.media.mime, mime);
	assert_int_equal(run->told, 1);
	assert_true(run->told_whole);
	double duration = rig_probe(rig_file(run), found, sizeof found);
	assert_string_equal(found, streams);
	assert_true(fabs(duration - seconds) < 0.15);
	assert_true(fabs((double)run->result.media.duration_ms / 1000 - seconds) < 0.15);
}

static void every_container(void **state)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct rig_run run = { 0 };
		print_message("%s\n", kinds[i].name);
		run_one(&run, kinds[i].name, 0);
		expect(&run, kinds[i].mime, kinds[i].streams, 2);
		assert_null(run.result.warnings);
		assert_int_equal(run.result.media.has_thumbnail, kinds[i].picture);
		assert_int_equal(run.result.media.has_waveform, kinds[i].wave);
		rig_done(&run);
	}
}

static size_t slurp(int fd, uint8_t *out, size_t size)
{
	ssize_t n = pread(fd, out, size, 0);
	assert_true(n >= 0);
	return (size_t)n;
}

static void it_can_be_sought(void **state)
{
	static uint8_t data[8 << 20];
	struct rig_run run = { 0 };
	run_one(&run, "live.webm", 0);
	size_t len = slurp(run.file, data, sizeof data);
	assert_non_null(memmem(data, len, "\x1c\x53\xbb\x6b", 4)); /* Cues */
	rig_done(&run);
	run_one(&run, "frag.mp4", 0);
	len = slurp(run.file, data, sizeof data);
	uint8_t *index = memmem(data, len, "moov", 4), *media = memmem(data, len, "mdat", 4);
	assert_true(index && media && index < media);
	assert_null(memmem(data, len, "moof", 4));
	rig_done(&run);
}

static void the_same_bytes_again(void **state)
{
	static uint8_t a[1 << 20], b[1 << 20];
	struct rig_run first = { 0 }, second = { 0 };
	run_one(&first, "live.webm", 0);
	run_one(&second, "live.webm", 0);
	size_t len = slurp(first.file, a, sizeof a);
	assert_int_equal(len, slurp(second.file, b, sizeof b));
	assert_memory_equal(a, b, len);
	rig_done(&first);
	rig_done(&second);
}

static void tracks_are_muxed(void **state)
{
	struct rig_run run = { 0 };
	rig_make(&rig, "v.webm", RIG_VIDEO RIG_VP8);
	rig_make(&rig, "v.mp4", RIG_VIDEO RIG_H264 "-movflags frag_keyframe+empty_moov");
	rig_make(&rig, "a.mp4", RIG_AUDIO "-c:a aac -movflags frag_keyframe+empty_moov");
	run_two(&run, "v.webm", make("opus.webm"));
	expect(&run, "video/webm", "vp8 50, opus 101", 2);
	rig_done(&run);
	run_two(&run, "v.mp4", "a.mp4");
	expect(&run, "video/mp4", "h264 50, aac 95", 2);
	rig_done(&run);
	run_two(&run, "v.mp4", "opus.webm");
	expect(&run, "video/mp4", "h264 50, opus 101", 2);
	assert_null(run.result.warnings);
	rig_done(&run);
	run_two(&run, "v.webm", "a.mp4");
	expect(&run, "video/x-matroska", "vp8 50, aac 95", 2);
	rig_done(&run);
	rig_write(&rig, "noise", "this is not media", 17);
	run_two(&run, "v.webm", "noise");
	expect(&run, "video/webm", "vp8 50", 2);
	assert_true(rig_warned(&run, "tracks_differ"));
	rig_done(&run);
}

/* The first times of the streams, in ms. */
static void first_times(struct rig_run *run, int *video, int *audio)
{
	char command[512];
	snprintf(command, sizeof command, "ffprobe -v error -show_entries stream=start_time -of csv=p=0 '%s'",
		 rig_file(run));
	FILE *out = popen(command, "r");
	double times[2] = { -1, -1 };
	assert_int_equal(fscanf(out, "%lf %lf", &times[0], &times[1]), 2);
	pclose(out);
	*video = (int)lround(times[0] * 1000);
	*audio = (int)lround(times[1] * 1000);
}

static void clocks(void **state)
{
	struct rig_run run = { 0 };
	int video, audio;
	rig_make(&rig, "v100.webm", RIG_VIDEO RIG_VP8 "-output_ts_offset 100");
	rig_make(&rig, "a1004.webm", RIG_AUDIO "-c:a libopus -output_ts_offset 100.4");
	rig_make(&rig, "a900.webm", RIG_AUDIO "-c:a libopus -output_ts_offset 900");
	struct rig_track late = { { "v100.webm" }, 0 };
	rig_run(&rig, &run, &late, 1);
	expect(&run, "video/webm", "vp8 50", 2);
	rig_done(&run);
	run_two(&run, "v100.webm", "a1004.webm"); /* one clock: what lies between them stays */
	expect(&run, "video/webm", "vp8 50, opus 101", 2.4);
	first_times(&run, &video, &audio);
	assert_in_range(audio - video, 370, 410);
	rig_done(&run);
	run_two(&run, "v100.webm", "a900.webm"); /* two clocks: both begin at once */
	expect(&run, "video/webm", "vp8 50, opus 101", 2);
	rig_done(&run);
}

static void parts_are_joined(void **state)
{
	struct rig_run run = { 0 };
	struct rig_track same = { { make("live.webm"), "live.webm", "live.webm" }, 0 };
	rig_run(&rig, &run, &same, 1);
	expect(&run, "video/webm", "vp8 150, opus 303", 6.06);
	assert_null(run.result.warnings);
	rig_done(&run);
	rig_make(&rig, "small.webm", "-f lavfi -i testsrc2=s=160x90:r=25:d=2 " RIG_VP8);
	struct rig_track smaller = { { "live.webm", "small.webm" }, 0 };
	rig_run(&rig, &run, &smaller, 1);
	expect(&run, "video/webm", "vp8 100, opus 101", 4);
	assert_true(rig_warned(&run, "parts_differ"));
	rig_done(&run);
	struct rig_track other = { { "live.webm", make("frag.mp4") }, 0 };
	rig_run(&rig, &run, &other, 1);
	expect(&run, "video/x-matroska", "vp8 50, opus 101, h264 50, aac 95", 4);
	assert_true(rig_warned(&run, "parts_differ"));
	rig_done(&run);
	struct rig_track broken = { { "live.webm", "live.webm" }, 0 };
	rig_write(&rig, "noise", "this is not media", 17);
	broken.files[1] = "noise";
	broken.files[2] = "live.webm";
	rig_run(&rig, &run, &broken, 1);
	expect(&run, "video/webm", "vp8 100, opus 202", 4.04);
	assert_true(rig_warned(&run, "parts_differ"));
	rig_done(&run);
	struct rig_track sounds = { { make("sound.wav"), "sound.wav" }, 0 };
	rig_run(&rig, &run, &sounds, 1);
	expect(&run, "audio/wav", "pcm_s16le 94", 4);
	rig_done(&run);
}

static void what_was_cut(void **state)
{
	static const char *const names[] = { "live.webm", "opus.webm", "frag.mp4",  "h264.mkv",
					     "opus.ogg",  "sound.wav", "sound.flac" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct rig_run run = { 0 };
		char streams[256];
		print_message("%s\n", names[i]);
		struct stat st;
		assert_int_equal(stat(rig_path(&rig, make(names[i])), &st), 0);
		run_one(&run, names[i], (uint64_t)st.st_size * 6 / 10 + 1);
		assert_int_equal(run.err, ERR_OK);
		assert_false(run.result.media.as_is);
		assert_true(rig_warned(&run, "truncated"));
		assert_true(rig_probe(rig_file(&run), streams, sizeof streams) > 0);
		rig_done(&run);
	}
}

static void no_media(void **state)
{
	static const char zip[] = "PK\3\4 and so on, and so on, and so on";
	static const struct {
		const char *data;
		size_t len;
	} inputs[] = { { "", 0 },
		       { "x", 1 },
		       { zip, sizeof zip },
		       { "\x1a\x45\xdf\xa3", 4 },
		       { "OggS", 4 },
		       { "\0\0\0\x8moov", 8 },
		       { "RIFF\xff\xff\xff\xffWAVE", 12 },
		       { "fLaC\0\0\0\0", 8 },
		       { "ID3\4\0\0\x7f\x7f\x7f\x7f", 10 } };
	for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
		struct rig_run run = { 0 };
		rig_write(&rig, "input", inputs[i].data, inputs[i].len);
		run_one(&run, "input", 0);
		assert_int_equal(run.err, ERR_OK);
		assert_true(run.result.media.as_is);
		assert_int_equal(run.result.media.bytes, inputs[i].len);
		assert_int_equal(run.result.media.duration_ms, -1);
		assert_true(rig_warned(&run, "not_media"));
		assert_int_equal(run.told, 1);
		assert_true(run.told_whole);
		rig_done(&run);
	}
}

static void limits(void **state)
{
	struct rig_run run = { .max_bytes = 20000 };
	run_one(&run, "live.webm", 0);
	assert_int_equal(run.err, ERR_MEDIA_LIMIT);
	assert_int_equal(run.told, 0);
	assert_non_null(strstr(run.result.message, "larger"));
	rig_done(&run);
	run.alive_most = 1;
	run_one(&run, "live.webm", 0);
	assert_int_equal(run.err, ERR_MEDIA_LIMIT);
	assert_int_equal(run.told, 0);
	assert_int_equal(run.alive, 1); /* not asked again */
	rig_done(&run);
}

/* Descriptors that fail. */
static void failing_files(void **state)
{
	struct rig_run seen = { 0 };
	struct media_result result;
	struct media_track track = { .name = "main", .bytes = 50000 };
	struct media_job job = { .tracks = &track, .track_count = 1, .max_output_bytes = GIB };
	run_one(&seen, "live.webm", 0); /* for its functions of a job */
	rig_done(&seen);
	track.fd = open(rig_path(&rig, "live.webm"), O_WRONLY);
	assert_true(track.fd >= 0);
	job.file_fd = job.thumbnail_fd = job.waveform_fd = open(rig_path(&rig, "out"), O_RDWR | O_CREAT, 0600);
	job.alive = rig_alive;
	job.file_done = rig_file_done;
	job.arg = &seen;
	assert_int_equal(media_job_run(&job, &result), ERR_READ_FAILED);
	close(track.fd);
	track.fd = open(rig_path(&rig, "live.webm"), O_RDONLY);
	close(job.file_fd);
	job.file_fd = open(rig_path(&rig, "out"), O_RDONLY);
	assert_int_equal(media_job_run(&job, &result), ERR_WRITE_FAILED);
	assert_int_equal(seen.told, 0);
	close(track.fd);
	close(job.file_fd);
}

/* A finished file that is not what was written does not pass. */
static void the_check(void **state)
{
	struct rig_run run = { 0 };
	struct media_job job = { .alive = rig_alive, .arg = &run };
	struct watch w;
	struct take take = { .watch = &w, .container = CONTAINER_WEBM };
	int64_t duration_us;
	run_one(&run, "live.webm", 0);
	const struct remuxed made = { run.result.media.bytes, run.result.media.duration_ms * 1000, { 50, 101 }, 2 };
	for (int i = 0; i < 7; i++) {
		struct remuxed said = made;
		said.packets[1] += i == 1;
		said.stream_count += i == 2;
		said.packets[2] = i == 2;
		said.duration_us += i == 3 ? 500 * 1000 : 0;
		said.bytes += i == 4;
		if (i == 5) /* the last cluster's sound is gone */
			assert_int_equal(ftruncate(run.file, (off_t)(said.bytes -= said.bytes / 4)), 0);
		if (i == 6)
			assert_int_equal(pwrite(run.file, "x", 1, 0), 1);
		watch_init(&w, &job);
		assert_int_equal(check_file(&take, run.file, &said, &duration_us), i ? ERR_CHECK_FAILED : ERR_OK);
		watch_release(&w);
	}
	rig_done(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_container),
		cmocka_unit_test(it_can_be_sought),
		cmocka_unit_test(the_same_bytes_again),
		cmocka_unit_test(tracks_are_muxed),
		cmocka_unit_test(clocks),
		cmocka_unit_test(parts_are_joined),
		cmocka_unit_test(what_was_cut),
		cmocka_unit_test(no_media),
		cmocka_unit_test(limits),
		cmocka_unit_test(failing_files),
		cmocka_unit_test(the_check),
	};
	rig_init(&rig);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rig_release(&rig);
	return failed;
}
