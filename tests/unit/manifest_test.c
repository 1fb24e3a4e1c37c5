/* recording.json: what was written comes back, and no bytes whatever do harm. */
#include "store/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *text_of(char c, size_t len)
{
	char *text = malloc(len + 1);
	assert_non_null(text);
	memset(text, c, len);
	text[len] = '\0';
	return text;
}

/* A recording in which every field is set. */
static struct recording_info full_recording(void)
{
	struct recording_info info = {
		.principal = strdup("local"),
		.session_id = strdup("take \"1\" / \xc3\xa9\xf0\x9f\x8e\x99 \x01"),
		.ref = strdup("call-77"),
		.name = strdup("../../etc/passwd"),
		.mime = strdup("video/webm;codecs=vp8,opus"),
		.ext = strdup("webm"),
		.source_url = strdup("https://calls.example/1?x=\xc3\xa4"),
		.on_demand = true,
		.ts = 1700000000123,
		.created_ms = 1700000000200,
		.updated_ms = 1700000000300,
		.sealed_ms = 1700000000250,
		.phase = PHASE_ERROR,
		.sealed_by = SEALED_BY_GRACE,
		.interrupted = true,
		.revision = 7,
		.error = ERR_CHECKSUM_MISMATCH,
		.error_message = strdup("The checksum differs."),
		.abort_reason = strdup("empty"),
	};
	for (int i = 0; i < 16; i++)
		info.id.bytes[i] = (uint8_t)(17 * i);
	info.declared_tracks = calloc(2, sizeof(char *));
	info.declared_tracks[0] = strdup("video");
	info.declared_tracks[1] = strdup("audio");
	info.declared_count = 2;
	struct track_info *track = recording_info_add_track(&info, "video");
	track->bytes = 123456789012;
	track->total = 0;
	track->sealed = true;
	track->sealed_by = SEALED_BY_END;
	track->has_sha256 = track->has_declared_sha256 = true;
	for (int i = 0; i < 32; i++) {
		track->sha256.bytes[i] = (uint8_t)(255 - 7 * i);
		track->declared_sha256.bytes[i] = (uint8_t)i;
	}
	track_info_add_part(track, 1000);
	track_info_add_part(track, LIMIT_NUMBER);
	recording_info_add_track(&info, "audio");
	return info;
}

static void assert_text(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static void assert_track(const struct track_info *a, const struct track_info *b)
{
	assert_text(a->name, b->name);
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->bytes, b->bytes);
	assert_true(a->total == b->total);
	assert_int_equal(a->sealed, b->sealed);
	assert_int_equal(a->sealed_by, b->sealed_by);
	assert_int_equal(a->has_sha256, b->has_sha256);
	assert_int_equal(a->has_declared_sha256, b->has_declared_sha256);
	assert_memory_equal(&a->sha256, &b->sha256, sizeof a->sha256);
	assert_memory_equal(&a->declared_sha256, &b->declared_sha256, sizeof a->sha256);
	assert_int_equal(a->part_count, b->part_count);
	for (uint32_t i = 0; i < a->part_count; i++)
		assert_true(a->parts[i] == b->parts[i]);
}

static void assert_recording(const struct recording_info *a, const struct recording_info *b)
{
	assert_memory_equal(&a->id, &b->id, sizeof a->id);
	assert_text(a->principal, b->principal);
	assert_text(a->session_id, b->session_id);
	assert_text(a->ref, b->ref);
	assert_text(a->name, b->name);
	assert_text(a->mime, b->mime);
	assert_text(a->ext, b->ext);
	assert_text(a->source_url, b->source_url);
	assert_int_equal(a->on_demand, b->on_demand);
	assert_text(a->error_message, b->error_message);
	assert_text(a->abort_reason, b->abort_reason);
	assert_int_equal(a->ts, b->ts);
	assert_int_equal(a->created_ms, b->created_ms);
	assert_int_equal(a->updated_ms, b->updated_ms);
	assert_int_equal(a->sealed_ms, b->sealed_ms);
	assert_int_equal(a->phase, b->phase);
	assert_int_equal(a->sealed_by, b->sealed_by);
	assert_int_equal(a->interrupted, b->interrupted);
	assert_int_equal(a->revision, b->revision);
	assert_int_equal(a->error, b->error);
	assert_int_equal(a->declared_count, b->declared_count);
	for (uint32_t i = 0; i < a->declared_count; i++)
		assert_text(a->declared_tracks[i], b->declared_tracks[i]);
	assert_int_equal(a->track_count, b->track_count);
	for (uint32_t i = 0; i < a->track_count; i++)
		assert_track(&a->tracks[i], &b->tracks[i]);
}

/* Parses a copy that ends where the text ends, so that a read beyond it is seen by the sanitizer. */
static enum err parse(const char *text, size_t len, struct recording_info *out)
{
	char *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	enum err err = manifest_parse(copy, len, out);
	free(copy);
	return err;
}

static void comes_back_as_it_was(void **state)
{
	struct recording_info info = full_recording(), back;
	char *text = manifest_format(&info);
	assert_non_null(text);
	assert_int_equal(parse(text, strlen(text), &back), ERR_OK);
	assert_recording(&info, &back);
	free(text);
	recording_info_release(&back);
	recording_info_release(&info);
}

static void a_sparse_one_comes_back(void **state)
{
	struct recording_info info = { .principal = strdup("p"), .phase = PHASE_UPLOADING }, back;
	char *text = manifest_format(&info);
	assert_int_equal(parse(text, strlen(text), &back), ERR_OK);
	assert_recording(&info, &back);
	assert_null(back.tracks);
	free(text);
	recording_info_release(&back);
	recording_info_release(&info);
}

static void cut_anywhere_it_is_corrupt(void **state)
{
	struct recording_info info = full_recording(), back;
	char *text = manifest_format(&info);
	for (size_t len = 0; len < strlen(text); len++) {
		assert_int_equal(parse(text, len, &back), ERR_CORRUPT);
		assert_null(back.principal);
	}
	free(text);
	recording_info_release(&info);
}

static void changed_anywhere_it_does_no_harm(void **state)
{
	struct recording_info info = full_recording(), back;
	char *text = manifest_format(&info);
	size_t len = strlen(text);
	static const char values[] = { 0, '"', '0', '9', '-', '{', ']', ',', (char)0x80, (char)0xff, 'n', '\\' };
	unsigned whole = 0;
	for (size_t at = 0; at < len; at++) {
		for (size_t i = 0; i < sizeof values; i++) {
			char was = text[at];
			text[at] = values[i];
			if (parse(text, len, &back) == ERR_OK) {
				whole++;
				assert_true(back.track_count <= LIMIT_TRACKS);
				recording_info_release(&back);
			}
			text[at] = was;
		}
	}
	assert_true(whole > 0);
	free(text);
	recording_info_release(&info);
}

#define ID   "\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\""
#define BASE ID ",\"principal\":\"p\",\"phase\":\"uploading\""

static void refuses_what_is_wrong(void **state)
{
	static const char *const texts[] = {
		"",
		"null",
		"[]",
		"\"x\"",
		"{}",
		"{" ID "}",
		"{" ID ",\"principal\":\"p\"}",
		"{" ID ",\"phase\":\"uploading\"}",
		"{\"principal\":\"p\",\"phase\":\"uploading\"}",
		"{\"id\":7,\"principal\":\"p\",\"phase\":\"uploading\"}",
		"{\"id\":\"01890a5d\",\"principal\":\"p\",\"phase\":\"uploading\"}",
		"{" ID ",\"principal\":\"p\",\"phase\":\"flying\"}",
		"{" ID ",\"principal\":{},\"phase\":\"uploading\"}",
		"{" BASE "} trailing",
		"{" BASE ",\"name\":7}",
		"{" BASE ",\"name\":\"a\\u0000b\"}",
		"{" BASE ",\"name\":\"\xff\"}",
		"{" BASE ",\"name\":\"a\",\"name\":\"b\"}",
		"{" BASE ",\"ext\":\"01234567890123456\"}",
		"{" BASE ",\"revision\":-1}",
		"{" BASE ",\"revision\":4294967296}",
		"{" BASE ",\"revision\":1.5}",
		"{" BASE ",\"revision\":1e2}",
		"{" BASE ",\"revision\":\"1\"}",
		"{" BASE ",\"interrupted\":1}",
		"{" BASE ",\"createdAt\":9223372036854775807}",
		"{" BASE ",\"createdAt\":92233720368547758070}",
		"{" BASE ",\"sealedBy\":\"nobody\"}",
		"{" BASE ",\"error\":\"bad\"}",
		"{" BASE ",\"error\":{}}",
		"{" BASE ",\"error\":{\"code\":\"ok\"}}",
		"{" BASE ",\"error\":{\"code\":\"corrupt\",\"message\":[]}}",
		"{" BASE ",\"tracks\":{}}",
		"{" BASE ",\"tracks\":[7]}",
		"{" BASE ",\"tracks\":[{}]}",
		"{" BASE ",\"tracks\":[{\"track\":\"\"}]}",
		"{" BASE ",\"tracks\":[{\"track\":\"a\"},{\"track\":\"a\"}]}",
		"{" BASE ",\"tracks\":[{\"track\":\"a\",\"bytes\":-1}]}",
		"{" BASE ",\"tracks\":[{\"track\":\"a\",\"bytes\":9007199254740993}]}",
		"{" BASE ",\"tracks\":[{\"track\":\"a\",\"sha256\":\"00\"}]}",
		"{" BASE ",\"tracks\":[{\"track\":\"a\",\"parts\":[0]}]}",
		"{" BASE ",\"tracks\":[{\"track\":\"a\",\"parts\":[5,5]}]}",
		"{" BASE ",\"tracks\":[{\"track\":\"a\",\"parts\":[5,4]}]}",
		"{" BASE ",\"tracks\":[{\"track\":\"a\",\"parts\":[\"5\"]}]}",
		"{" BASE ",\"declaredTracks\":[1]}",
		"{" BASE ",\"declaredTracks\":[\"a\",\"a\"]}",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct recording_info out;
		enum err err = parse(texts[i], strlen(texts[i]), &out);
		if (err != ERR_CORRUPT)
			fail_msg("%s: %s", texts[i], err_code(err));
		assert_null(out.tracks);
		assert_null(out.name);
	}
}

static void accepts_what_is_new_or_absent(void **state)
{
	static const char text[] = "{" BASE ",\"name\":null,\"error\":{\"code\":\"of_tomorrow\"},\"new\":{\"x\":[1]},"
				   "\"tracks\":[{\"track\":\"a\",\"color\":\"red\"}]}";
	struct recording_info out;
	assert_int_equal(parse(text, strlen(text), &out), ERR_OK);
	assert_null(out.name);
	assert_int_equal(out.error, ERR_INTERNAL);
	assert_int_equal(out.track_count, 1);
	assert_true(out.tracks[0].total == BYTES_UNKNOWN);
	recording_info_release(&out);
}

static const char *many_tracks(int count)
{
	static char text[2000];
	int len = snprintf(text, sizeof text, "{" BASE ",\"tracks\":[");
	for (int i = 0; i < count; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, "%s{\"track\":\"%d\"}", i ? "," : "", i);
	snprintf(text + len, sizeof text - (size_t)len, "]}");
	return text;
}

static void refuses_what_is_huge(void **state)
{
	struct recording_info out;
	char *nest = text_of('[', 1000 * 1000);
	assert_int_equal(parse(nest, 1000 * 1000, &out), ERR_CORRUPT);
	free(nest);
	char *blanks = text_of(' ', LIMIT_MANIFEST_BYTES + 100);
	memcpy(blanks, "{" BASE "}", strlen("{" BASE "}"));
	assert_int_equal(parse(blanks, LIMIT_MANIFEST_BYTES, &out), ERR_OK);
	recording_info_release(&out);
	assert_int_equal(parse(blanks, LIMIT_MANIFEST_BYTES + 1, &out), ERR_CORRUPT);
	free(blanks);
	assert_int_equal(parse(many_tracks(LIMIT_TRACKS), strlen(many_tracks(LIMIT_TRACKS)), &out), ERR_OK);
	recording_info_release(&out);
	assert_int_equal(parse(many_tracks(LIMIT_TRACKS + 1), strlen(many_tracks(LIMIT_TRACKS + 1)), &out),
			 ERR_CORRUPT);
	char *name = text_of('n', 500 * 1000), *text = malloc(600 * 1000);
	int len = snprintf(text, 600 * 1000, "{" BASE ",\"name\":\"%s\"}", name);
	assert_int_equal(parse(text, (size_t)len, &out), ERR_CORRUPT);
	free(name);
	free(text);
}

/* The limits themselves fit: the longest strings in four-byte characters, all tracks, all parts. */
static void the_largest_comes_back(void **state)
{
	struct recording_info info = { .principal = text_of('p', LIMIT_PRINCIPAL_CHARS), .phase = PHASE_QUEUED }, back;
	info.name = malloc(4 * LIMIT_NAME_CHARS + 1);
	for (int i = 0; i < LIMIT_NAME_CHARS; i++)
		memcpy(info.name + 4 * i, "\xf0\x9f\x8e\x99", 5);
	for (int i = 0; i < LIMIT_TRACKS; i++) {
		char *name = text_of((char)('a' + i), LIMIT_TRACK_CHARS);
		struct track_info *track = recording_info_add_track(&info, name);
		free(name);
		for (uint64_t k = 0; k < LIMIT_PARTS; k++) /* around 16 TiB, the largest file of ext4 */
			assert_true(track_info_add_part(track, 17592186044416 - LIMIT_PARTS + k));
	}
	char *text = manifest_format(&info);
	assert_non_null(text);
	assert_true(strlen(text) <= LIMIT_MANIFEST_BYTES);
	assert_int_equal(parse(text, strlen(text), &back), ERR_OK);
	assert_recording(&info, &back);
	free(text);
	recording_info_release(&back);
	recording_info_release(&info);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was),	      cmocka_unit_test(a_sparse_one_comes_back),
		cmocka_unit_test(cut_anywhere_it_is_corrupt), cmocka_unit_test(changed_anywhere_it_does_no_harm),
		cmocka_unit_test(refuses_what_is_wrong),      cmocka_unit_test(accepts_what_is_new_or_absent),
		cmocka_unit_test(refuses_what_is_huge),	      cmocka_unit_test(the_largest_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
