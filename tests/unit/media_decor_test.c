/* Thumbnail and waveform of finished files: sizes, what is upright, what is loud. */
#include "support/media_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct media_rig rig;

static void run_one(struct rig_run *run, const char *name, const char *args)
{
	rig_make(&rig, name, args);
	struct rig_track track = { { name }, 0 };
	rig_run(&rig, run, &track, 1);
	assert_int_equal(run->err, ERR_OK);
}

/* The picture as grey bytes of 60 by what fits, and its size. */
static size_t look(struct rig_run *run, int *width, int *height, uint8_t *grey, size_t size)
{
	char command[512];
	snprintf(command, sizeof command,
		 "ffprobe -v error -f mjpeg -show_entries stream=width,height -of csv=p=0 /proc/%d/fd/%d",
		 (int)getpid(), run->thumbnail);
	FILE *out = popen(command, "r");
	assert_int_equal(fscanf(out, "%d,%d", width, height), 2);
	pclose(out);
	snprintf(command, sizeof command,
		 "ffmpeg -v error -f mjpeg -i /proc/%d/fd/%d -vf scale=60:-1 -f rawvideo -pix_fmt gray -",
		 (int)getpid(), run->thumbnail);
	out = popen(command, "r");
	size_t len = fread(grey, 1, size, out);
	pclose(out);
	return len;
}

static void the_picture_has_its_shape(void **state)
{
	static const struct {
		const char *name, *args;
		int width, height;
	} cases[] = {
		{ "wide.webm", "-f lavfi -i testsrc2=s=1280x720:r=5:d=1 " RIG_VP8, 480, 270 },
		{ "small.webm", "-f lavfi -i testsrc2=s=160x90:r=5:d=1 " RIG_VP8, 160, 90 },
		{ "tall.webm", "-f lavfi -i testsrc2=s=360x640:r=5:d=1 " RIG_VP8, 360, 640 },
		{ "narrow.mp4", "-f lavfi -i testsrc2=s=320x480:r=5:d=1 -vf setsar=3 " RIG_H264, 480, 240 },
	};
	static uint8_t grey[60 * 400];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rig_run run = { 0 };
		int width, height;
		run_one(&run, cases[i].name, cases[i].args);
		assert_true(run.result.media.has_thumbnail);
		look(&run, &width, &height, grey, sizeof grey);
		assert_int_equal(width, cases[i].width);
		assert_int_equal(height, cases[i].height);
		rig_done(&run);
	}
}

/* A phone held upright: the left half is white, and turned by 90 degrees it is the upper or the lower one. */
static void the_picture_is_upright(void **state)
{
	static uint8_t grey[60 * 400];
	struct rig_run run = { 0 };
	int width, height;
	rig_make(&rig, "flat.mp4",
		 "-f lavfi -i color=black:s=320x160:r=5:d=1,drawbox=w=160:color=white:t=fill " RIG_H264);
	char args[300];
	snprintf(args, sizeof args, "-display_rotation 90 -i %s -c copy", rig_path(&rig, "flat.mp4"));
	if (system("ffmpeg -hide_banner -h full 2>/dev/null | grep -q display_rotation") != 0)
		snprintf(args, sizeof args, "-i %s -c copy -metadata:s:v rotate=90", rig_path(&rig, "flat.mp4"));
	run_one(&run, "turned.mp4", args);
	assert_true(run.result.media.has_thumbnail);
	size_t len = look(&run, &width, &height, grey, sizeof grey);
	assert_int_equal(width, 160);
	assert_int_equal(height, 320);
	/* What ffmpeg itself shows, when it plays the file. */
	char command[300];
	static uint8_t shown[60 * 400];
	snprintf(command, sizeof command,
		 "ffmpeg -v error -i %s -frames:v 1 -vf scale=60:-1 -f rawvideo -pix_fmt gray -",
		 rig_path(&rig, "turned.mp4"));
	FILE *out = popen(command, "r");
	assert_int_equal(fread(shown, 1, sizeof shown, out), len);
	pclose(out);
	for (size_t row = 10; row < len / 60; row += 20)
		assert_in_range(abs((int)grey[row * 60 + 30] - shown[row * 60 + 30]), 0, 40);
	rig_done(&run);
}

static void the_dark_is_passed_over(void **state)
{
	static uint8_t grey[60 * 400];
	struct rig_run run = { 0 };
	int width, height;
	run_one(&run, "dark.webm",
		"-f lavfi -i color=black:s=320x180:r=5:d=4 -f lavfi -i testsrc2=s=320x180:r=5:d=4 -filter_complex "
		"concat=n=2 -c:v libvpx -deadline realtime -cpu-used 8 -g 5");
	size_t len = look(&run, &width, &height, grey, sizeof grey);
	unsigned high = 0;
	for (size_t i = 0; i < len; i++)
		high = grey[i] > high ? grey[i] : high;
	assert_in_range(high, 100, 255);
	rig_done(&run);
}

static json_t *peaks(struct rig_run *run)
{
	static char text[1 << 20];
	ssize_t len = pread(run->waveform, text, sizeof text - 1, 0);
	assert_true(len > 0);
	json_t *wave = json_loadb(text, (size_t)len, 0, NULL);
	assert_non_null(wave);
	assert_int_equal(json_integer_value(json_object_get(wave, "version")), 1);
	return wave;
}

static int peak(const json_t *wave, size_t i)
{
	return (int)json_integer_value(json_array_get(json_object_get(wave, "peaks"), i));
}

static void what_is_loud(void **state)
{
	static const char *const codecs[][2] = {
		{ "l.webm", "-c:a libopus" }, { "l.mp4", "-c:a aac" },	      { "l.wav", "" },
		{ "l.flac", "-c:a flac" },    { "l.mp3", "-c:a libmp3lame" }, { "l.ogg", "-c:a libvorbis" }
	};
	for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
		struct rig_run run = { 0 };
		char args[256];
		snprintf(args, sizeof args,
			 "-f lavfi -i \"aevalsrc='if(gt(t,2),0.5,0.0)*sin(2*PI*440*t)':s=48000:d=4\" %s", codecs[i][1]);
		run_one(&run, codecs[i][0], args);
		json_t *wave = peaks(&run);
		assert_int_equal(json_integer_value(json_object_get(wave, "perSecond")), 20);
		assert_in_range(json_array_size(json_object_get(wave, "peaks")), 80, 83);
		assert_in_range(peak(wave, 20), 0, 12);
		assert_in_range(peak(wave, 36), 0, 12);
		assert_in_range(peak(wave, 44), 110, 160);
		assert_in_range(peak(wave, 70), 110, 160);
		json_decref(wave);
		rig_done(&run);
	}
}

/* A long one is sampled, and shows the same. */
static void long_takes(void **state)
{
	struct rig_run run = { 0 };
	run_one(&run, "long.webm",
		"-f lavfi -i \"aevalsrc='if(gt(mod(t,200),100),0.5,0.0)*sin(2*PI*440*t)':s=8000:d=1800\" -c:a libopus "
		"-b:a 16k -application lowdelay");
	json_t *wave = peaks(&run);
	assert_true(json_is_true(json_object_get(wave, "sampled")));
	assert_int_equal(json_integer_value(json_object_get(wave, "perSecond")), 1);
	for (size_t i = 5; i < 1795; i++) {
		if (i % 100 < 2 || i % 100 > 97)
			continue;
		if (i % 200 < 100)
			assert_in_range(peak(wave, i), 0, 20);
		else
			assert_in_range(peak(wave, i), 90, 170);
	}
	json_decref(wave);
	rig_done(&run);
}

static void nothing_to_decode(void **state)
{
	struct rig_run run = { 0 };
	static uint8_t zeros[3000];
	rig_make(&rig, "ok.webm", RIG_VIDEO RIG_VP8 "-f webm");
	run_one(&run, "ok.webm", "");
	assert_false(run.result.media.has_waveform); /* there is no sound: no warning either */
	assert_null(run.result.warnings);
	rig_done(&run);
	/* A WebM whose pictures are noise: it is copied, and says that it has no thumbnail. */
	FILE *f = fopen(rig_path(&rig, "ok.webm"), "r+");
	static uint8_t data[1 << 20];
	size_t len = fread(data, 1, sizeof data, f);
	fclose(f);
	for (size_t at = 600; at + sizeof zeros < len; at++) {
		if (data[at] == 0x9d && data[at + 1] == 0x01 && data[at + 2] == 0x2a) /* a VP8 keyframe's start code */
			memset(data + at - 3, 0, 40);
	}
	for (size_t at = 0; at + 3 < len && at < 600; at++) {
		if (data[at] == 0x9d && data[at + 1] == 0x01 && data[at + 2] == 0x2a)
			memset(data + at - 3, 0, 40);
	}
	rig_write(&rig, "bad.webm", data, len);
	run_one(&run, "bad.webm", "");
	assert_false(run.result.media.as_is);
	assert_false(run.result.media.has_thumbnail);
	assert_true(rig_warned(&run, "no_thumbnail_made"));
	rig_done(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_picture_has_its_shape),
		cmocka_unit_test(the_picture_is_upright),
		cmocka_unit_test(the_dark_is_passed_over),
		cmocka_unit_test(what_is_loud),
		cmocka_unit_test(long_takes),
		cmocka_unit_test(nothing_to_decode),
	};
	rig_init(&rig);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rig_release(&rig);
	return failed;
}
