/* What server and worker say to each other: there and back, and all that is not believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/message.h"
#include "work/worker_private.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct wire_event parsed;

static bool parse(const char *text)
{
	const char *why = NULL;
	enum err err = wire_event_parse(text, strlen(text), &parsed, &why);
	if (err != ERR_OK)
		assert_non_null(why);
	return err == ERR_OK;
}

static void there_and_back(const struct worker_event *event, const char *lacks)
{
	struct buf text;
	buf_init(&text);
	wire_event_format(&text, event, lacks);
	assert_false(text.failed);
	if (!parse(text.data))
		fail_msg("refused: %s", text.data);
	assert_int_equal(parsed.event.type, event->type);
	buf_release(&text);
}

static void test_there_and_back(void **state)
{
	there_and_back(&(struct worker_event){ .type = WORKER_READY }, NULL);
	assert_string_equal(parsed.lacks, "");
	there_and_back(&(struct worker_event){ .type = WORKER_READY }, "Landlock");
	assert_string_equal(parsed.lacks, "Landlock");
	there_and_back(&(struct worker_event){ .type = WORKER_ALIVE, .progress = 1000 }, NULL);
	assert_int_equal(parsed.event.progress, 1000);
	const struct media_info media = { .as_is = true,
					  .has_waveform = true,
					  .bytes = LIMIT_NUMBER - 1,
					  .duration_ms = 36000000,
					  .mime = "audio/x-matroska",
					  .ext = "mkv" };
	there_and_back(&(struct worker_event){ .type = WORKER_FILE,
					       .media = &media,
					       .warnings = "[{\"code\":\"truncated\",\"message\":\"Ümläut\"}]" },
		       NULL);
	assert_true(parsed.media.as_is && parsed.media.has_waveform && !parsed.media.has_thumbnail);
	assert_int_equal(parsed.media.bytes, media.bytes);
	assert_int_equal(parsed.media.duration_ms, 36000000);
	assert_string_equal(parsed.media.mime, media.mime);
	assert_string_equal(parsed.media.ext, "mkv");
	assert_string_equal(parsed.event.warnings, "[{\"code\":\"truncated\",\"message\":\"Ümläut\"}]");
	wire_event_release(&parsed);
	const struct media_info unknown = { .duration_ms = -1, .mime = "application/octet-stream" };
	there_and_back(&(struct worker_event){ .type = WORKER_DONE, .media = &unknown }, NULL);
	assert_int_equal(parsed.media.duration_ms, -1);
	assert_null(parsed.event.warnings);
	const struct track_hash hashes[] = { { 0, { { 0xab, 1 } } }, { LIMIT_TRACKS - 1, { { 2 } } } };
	there_and_back(&(struct worker_event){ .type = WORKER_HASHED, .hashes = hashes, .hash_count = 2 }, NULL);
	assert_int_equal(parsed.event.hash_count, 2);
	assert_int_equal(parsed.event.hashes[1].track, LIMIT_TRACKS - 1);
	for (unsigned i = 0; i < 2; i++)
		assert_memory_equal(&parsed.event.hashes[i].sha256, &hashes[i].sha256, 32);
	there_and_back(&(struct worker_event){ .type = WORKER_FAILED, .err = ERR_MEDIA_UNREADABLE }, NULL);
	assert_int_equal(parsed.event.err, ERR_MEDIA_UNREADABLE);
	assert_string_equal(parsed.event.message, err_text(ERR_MEDIA_UNREADABLE));
	there_and_back(&(struct worker_event){ .type = WORKER_FAILED, .err = ERR_MEDIA_LIMIT, .message = "a\tb\xff" },
		       NULL);
	assert_string_equal(parsed.event.message, "a?b?");
}

/* A name has 64 characters at most, which are not bytes. */
static void test_a_long_name(void **state)
{
	char name[4 * LIMIT_TRACK_CHARS + 1] = "";
	struct wire_job out;
	struct buf text;
	for (unsigned i = 0; i < LIMIT_TRACK_CHARS; i++)
		memcpy(name + (size_t)4 * i, "\xf0\x9f\x8e\xa4", 4);
	assert_true(text_valid(name, LIMIT_TRACK_CHARS));
	struct worker_track track = { .name = name, .bytes = 9 };
	struct worker_job job = { .tracks = &track, .track_count = 1, .max_output_bytes = 10, .max_ms = 10 };
	buf_init(&text);
	wire_job_format(&text, &job);
	assert_int_equal(wire_job_parse(text.data, text.len, &out), ERR_OK);
	assert_string_equal(out.tracks[0].name, name);
	wire_job_release(&out);
	buf_release(&text);
}

#define MEDIA(members) "{\"type\":\"file\",\"media\":{" members "}}"
#define FLAGS	       "\"asIs\":false,\"thumbnail\":false,\"waveform\":false,"
#define REST	       "\"duration\":1,\"mime\":\"video/webm\",\"ext\":\"webm\""
#define SHA	       "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HASHED(items)  "{\"type\":\"hashed\",\"tracks\":[" items "]}"
#define ONE	       "{\"track\":0,\"sha256\":\"" SHA "\"}"
#define FOUR	       ONE "," ONE "," ONE "," ONE

static void test_what_is_not_believed(void **state)
{
	assert_true(parse(MEDIA(FLAGS "\"bytes\":1," REST)));
	assert_true(parse(HASHED(ONE)));
	assert_true(parse(HASHED(FOUR "," FOUR "," FOUR "," FOUR))); /* twice the same: worker_judge knows better */
	static const char *const wrong[] = {
		"",
		"null",
		"[]",
		"{}",
		"{\"type\":1}",
		"{\"type\":\"gone\"}",
		"{\"type\":\"ping\"}",
		"{\"type\":\"ready\",\"type\":\"ready\"}",
		"{\"type\":\"ready\"}{}",
		"{\"type\":\"ready\",\"more\":1}",
		"{\"type\":\"ready\",\"lacks\":\"\"}",
		"{\"type\":\"ready\",\"lacks\":\"a\\nb\"}",
		"{\"type\":\"alive\"}",
		"{\"type\":\"alive\",\"progress\":1001}",
		"{\"type\":\"alive\",\"progress\":-1}",
		"{\"type\":\"alive\",\"progress\":0.5}",
		"{\"type\":\"alive\",\"progress\":\"5\"}",
		"{\"type\":\"alive\",\"progress\":1e400}",
		"{\"type\":\"failed\",\"code\":\"media_unreadable\"}",
		"{\"type\":\"failed\",\"code\":\"media_unreadable\",\"message\":\"\"}",
		"{\"type\":\"failed\",\"code\":\"media_unreadable\",\"message\":\"a\\u0000b\"}",
		"{\"type\":\"failed\",\"code\":\"sync_failed\",\"message\":\"x\"}",
		"{\"type\":\"failed\",\"code\":\"no_such_code\",\"message\":\"x\"}",
		"{\"type\":\"hashed\"}",
		"{\"type\":\"hashed\",\"tracks\":{}}",
		"{\"type\":\"hashed\",\"tracks\":[" ONE "],\"more\":1}",
		HASHED(""),
		HASHED("1"),
		HASHED(FOUR "," FOUR "," FOUR "," FOUR "," ONE),
		HASHED("{\"track\":16,\"sha256\":\"" SHA "\"}"),
		HASHED("{\"track\":-1,\"sha256\":\"" SHA "\"}"),
		HASHED("{\"track\":0.5,\"sha256\":\"" SHA "\"}"),
		HASHED("{\"track\":0,\"sha256\":\"" SHA "0\"}"),
		HASHED("{\"track\":0,\"sha256\":\"x0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}"),
		HASHED("{\"track\":0,\"sha256\":null}"),
		HASHED("{\"track\":0,\"sha256\":\"" SHA "\",\"more\":1}"),
		HASHED("{\"sha256\":\"" SHA "\"}"),
		MEDIA(FLAGS REST),
		MEDIA(FLAGS "\"bytes\":-1," REST),
		MEDIA(FLAGS "\"bytes\":9007199254740992," REST),
		MEDIA(FLAGS "\"bytes\":1,\"more\":1," REST),
		MEDIA("\"asIs\":0,\"thumbnail\":false,\"waveform\":false,\"bytes\":1," REST),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":-1,\"mime\":\"video/webm\",\"ext\":\"webm\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":34560000001,\"mime\":\"video/webm\",\"ext\":\"webm\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"text/html\",\"ext\":\"webm\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"image/svg+xml\",\"ext\":\"webm\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"application/xhtml+xml\",\"ext\":\"webm\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"video/\",\"ext\":\"webm\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"video/webm\\r\\nX: y\",\"ext\":\"webm\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"video/webm<\",\"ext\":\"webm\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"video/webm\",\"ext\":\"../x\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"video/webm\",\"ext\":\"WEBM\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"video/webm\",\"ext\":\"a\\u0000b\""),
		MEDIA(FLAGS "\"bytes\":1,\"duration\":1,\"mime\":\"video/webm\",\"ext\":\"aaaaaaaaaaaaaaaaa\""),
	};
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (parse(wrong[i]))
			fail_msg("believed: %s", wrong[i]);
}

static int no_fd(struct vfs_file *file)
{
	return -1;
}

/* What is asked of three tracks, of which the second and the third are to be hashed. */
static const char *judged(struct worker_state *s, const char *text)
{
	if (!parse(text))
		fail_msg("refused: %s", text);
	return worker_judge(s, &parsed, no_fd);
}

#define OF(track) "{\"track\":" #track ",\"sha256\":\"" SHA "\"}"
#define AS_IS	  "\"asIs\":true,\"thumbnail\":false,\"waveform\":false,\"bytes\":5,"
#define A_FILE	  MEDIA(AS_IS REST)

static void test_when_hashes_are_believed(void **state)
{
	const struct worker_track tracks[] = { { .bytes = 5 },
					       { .bytes = 5, .hash = true },
					       { .bytes = 5, .hash = true } };
	const struct worker_job job = { .tracks = tracks, .track_count = 3 },
				none = { .tracks = tracks, .track_count = 1 };
	static const char *const others[] = { HASHED(OF(1)),
					      HASHED(OF(2)),
					      HASHED(OF(1) "," OF(0)),
					      HASHED(OF(2) "," OF(1)),
					      HASHED(OF(1) "," OF(1)),
					      HASHED(OF(0) "," OF(1) "," OF(2)),
					      HASHED(OF(1) "," OF(2) "," OF(3)) };
	struct worker_state s = { .ready = true };
	assert_non_null(judged(&s, HASHED(OF(1) "," OF(2)))); /* without a job */
	s.job = &job;
	for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_non_null(judged(&s, others[i]));
	assert_non_null(judged(&s, A_FILE)); /* before them */
	assert_null(judged(&s, "{\"type\":\"alive\",\"progress\":1}"));
	assert_null(judged(&s, HASHED(OF(1) "," OF(2))));
	assert_non_null(judged(&s, HASHED(OF(1) "," OF(2)))); /* again */
	assert_null(judged(&s, A_FILE));
	assert_non_null(judged(&s, HASHED(OF(1) "," OF(2))));
	s = (struct worker_state){ .ready = true, .job = &none };
	assert_non_null(judged(&s, HASHED(OF(0)))); /* not asked for */
	assert_null(judged(&s, A_FILE));
}

static bool warned(const char *warnings)
{
	char text[8192];
	snprintf(text, sizeof text, "{\"type\":\"done\",\"media\":{" FLAGS "\"bytes\":1," REST "},\"warnings\":%s}",
		 warnings);
	bool ok = parse(text);
	if (ok)
		wire_event_release(&parsed);
	return ok;
}

static void test_warnings(void **state)
{
	assert_true(warned("[]"));
	assert_true(warned("[{\"code\":\"no_thumbnail_made\",\"message\":\"x\"}]"));
	assert_false(warned("null"));
	assert_false(warned("{}"));
	assert_false(warned("[1]"));
	assert_false(warned("[{\"code\":\"a b\",\"message\":\"x\"}]"));
	assert_false(warned("[{\"code\":\"a\",\"message\":\"x\",\"more\":1}]"));
	assert_false(warned("[{\"code\":\"a\",\"message\":\"\"}]"));
	assert_false(warned("[{\"code\":\"a\"}]"));
	char many[4096] = "[";
	for (unsigned i = 0; i < LIMIT_WARNINGS + 1; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), "%s{\"code\":\"a\",\"message\":\"x\"}",
			 i > 0 ? "," : "");
	snprintf(many + strlen(many), sizeof many - strlen(many), "]");
	assert_false(warned(many));
}

static void test_job(void **state)
{
	const uint64_t parts[] = { 5, 5, 99 };
	const struct worker_track tracks[] = { { .name = "video \"1\"", .bytes = 99, .parts = parts, .part_count = 3 },
					       { .name = "audio", .bytes = 0, .hash = true } };
	const struct worker_job job = {
		.tracks = tracks, .track_count = 2, .max_output_bytes = UINT64_MAX, .max_ms = 1000
	};
	struct wire_job out;
	struct buf text;
	buf_init(&text);
	wire_job_format(&text, &job);
	assert_int_equal(wire_job_parse(text.data, text.len, &out), ERR_OK);
	assert_int_equal(out.track_count, 2);
	assert_string_equal(out.tracks[0].name, "video \"1\"");
	assert_int_equal(out.tracks[0].bytes, 99);
	assert_int_equal(out.tracks[0].part_count, 3);
	assert_memory_equal(out.tracks[0].parts, parts, sizeof parts);
	assert_int_equal(out.tracks[1].bytes, 0);
	assert_true(!out.hash[0] && out.hash[1]);
	assert_int_equal(out.tracks[1].fd, -1);
	assert_int_equal(out.max_output_bytes, LIMIT_NUMBER - 1);
	assert_int_equal(out.max_ms, 1000);
	wire_job_release(&out);
	for (size_t len = 0; len < text.len; len++)
		assert_int_not_equal(wire_job_parse(text.data, len, &out), ERR_OK);
	buf_release(&text);
}

/* Only a crash of the decoder is the medium's fault: what is killed from elsewhere is tried again. */
static void test_deaths(void **state)
{
	static const struct {
		int status;
		enum err err;
	} rows[] = {
		{ SIGSEGV, ERR_MEDIA_UNREADABLE }, { SIGABRT, ERR_MEDIA_UNREADABLE }, { SIGILL, ERR_MEDIA_UNREADABLE },
		{ SIGBUS, ERR_MEDIA_UNREADABLE },  { SIGFPE, ERR_MEDIA_UNREADABLE },  { SIGTRAP, ERR_MEDIA_UNREADABLE },
		{ SIGSYS, ERR_MEDIA_UNREADABLE },  { SIGXCPU, ERR_MEDIA_LIMIT },      { SIGXFSZ, ERR_MEDIA_LIMIT },
		{ SIGKILL, ERR_WORKER_DIED },	   { SIGTERM, ERR_WORKER_DIED },      { 0, ERR_WORKER_DIED },
		{ 1 << 8, ERR_WORKER_DIED },
	};
	char text[512];
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(worker_death(rows[i].status, text, sizeof text), rows[i].err);
		assert_true(text[0] && text[strlen(text) - 1] == '.');
	}
}

static void test_tail(void **state)
{
	char out[LIMIT_WORKER_TAIL_BYTES + 1], longer[1000];
	worker_tail("", 0, out);
	assert_string_equal(out, "");
	worker_tail(" \n\0", 3, out);
	assert_string_equal(out, "");
	worker_tail("\n a\r\n\n b\x1b[0m\x7f\xc3\xa9\n", 16, out);
	assert_string_equal(out, "a b?[0m???");
	memset(longer, 'x', sizeof longer);
	worker_tail(longer, sizeof longer, out);
	assert_int_equal(strlen(out), LIMIT_WORKER_TAIL_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_a_long_name),
		cmocka_unit_test(test_what_is_not_believed),
		cmocka_unit_test(test_when_hashes_are_believed),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_job),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_tail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
