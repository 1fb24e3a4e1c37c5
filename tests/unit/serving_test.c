/* The table of what a file answers, row by row: each row names a recording as it stands, and what each of the four
 * questions about it is answered with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/serving.h"

enum { NOW = 1700000000 };

/* An answer as one word: "200", "202" (come back in 2 s), "202r" (in 5 s: it is tried again), "202f" (and it is fetched
 * from now on), else the code. */
static const char *answer_text(const struct serving *s)
{
	if (s->status == 200)
		return "200";
	if (s->status == 202 && s->fetch)
		return "202f";
	if (s->status == 202)
		return s->retry_after_s == LIMIT_RECOVERING_S ? "202r" : "202";
	return err_code(s->err);
}

static int status_of(const char *text)
{
	static const struct {
		const char *code;
		int status;
	} never[] = {
		{ "deleted", 410 },	{ "original_removed", 410 }, { "no_file", 404 },     { "no_thumbnail", 404 },
		{ "no_waveform", 404 }, { "not_found", 404 },	     { "source_gone", 404 },
	};
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		if (strcmp(never[i].code, text) == 0)
			return never[i].status;
	return strncmp(text, "20", 2) == 0 ? (int)(text[0] - '0') * 100 + (text[2] - '0') : 500;
}

enum published { NOTHING, BARE, WHOLE, AS_IS }; /* BARE: without thumbnail and waveform */
enum source { UPLOADED, FETCH_NOW, ON_DEMAND };

struct line {
	enum phase phase;
	enum published published;
	enum err error;
	uint32_t revision; /* sealed so often */
	enum source source;
	struct job_info job;
	unsigned special;
	const char *file, *original, *thumbnail, *waveform;
};
enum { UNSERVED = 1, REMOVED = 2, QUARANTINED = 4, TRACKLESS = 8 };

#define JOB(kind_, state_, attempt_)                                                                                   \
	{                                                                                                              \
		.id = 7, .kind = JOB_##kind_, .state = JOB_##state_, .attempt = attempt_, .window_ms = NOW - 1000      \
	}
/* … after a failure */
#define RETRY(kind_, state_, attempt_)                                                                                 \
	{                                                                                                              \
		.id = 7, .kind = JOB_##kind_, .state = JOB_##state_, .attempt = attempt_, .window_ms = NOW - 1000,     \
		.error = ERR_WORKER_DIED                                                                               \
	}
#define OLD_JOB(kind_, state_, attempt_)                                                                               \
	{                                                                                                              \
		.id = 7, .kind = JOB_##kind_, .state = JOB_##state_, .attempt = attempt_,                              \
		.window_ms = NOW - LIMIT_ATTEMPTS_MS                                                                   \
	}
#define NO_JOB                                                                                                         \
	{                                                                                                              \
		0                                                                                                      \
	}

/* clang-format off */
static const struct line lines[] = {
	/* all goes well */
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, UPLOADED, NO_JOB, 0, "202", "200", "202", "202" },
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, UPLOADED, NO_JOB, TRACKLESS, "202", "not_found", "202", "202" },
	{ PHASE_QUEUED, NOTHING, ERR_OK, 1, UPLOADED, JOB(FINALIZE, QUEUED, 0), 0, "202", "200", "202", "202" },
	{ PHASE_PROCESSING, NOTHING, ERR_OK, 1, UPLOADED, JOB(FINALIZE, RUNNING, 1), 0, "202", "200", "202", "202" },
	{ PHASE_GENERATING_THUMBNAIL, BARE, ERR_OK, 1, UPLOADED, JOB(FINALIZE, RUNNING, 1), 0, "200", "200", "202", "202" },
	{ PHASE_GENERATING_THUMBNAIL, NOTHING, ERR_OK, 1, UPLOADED, JOB(FINALIZE, RUNNING, 1), 0, "202", "200", "202", "202" },
	{ PHASE_COMPLETE, WHOLE, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), 0, "200", "200", "200", "200" },
	{ PHASE_COMPLETE, BARE, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), 0, "200", "200", "no_thumbnail", "no_waveform" },
	{ PHASE_COMPLETE, AS_IS, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), 0, "200", "200", "no_thumbnail", "no_waveform" },
	{ PHASE_COMPLETE, WHOLE, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), TRACKLESS, "200", "not_found", "200", "200" },
	{ PHASE_COMPLETE, NOTHING, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), 0, "corrupt", "200", "no_thumbnail", "no_waveform" },
	/* an attempt failed, and another is made */
	{ PHASE_QUEUED, NOTHING, ERR_OK, 1, UPLOADED, RETRY(FINALIZE, QUEUED, 1), 0, "202r", "200", "202r", "202r" },
	{ PHASE_PROCESSING, NOTHING, ERR_OK, 1, UPLOADED, RETRY(FINALIZE, RUNNING, 2), 0, "202r", "200", "202r", "202r" },
	{ PHASE_PROCESSING, NOTHING, ERR_OK, 1, UPLOADED, RETRY(FINALIZE, RUNNING, 3), 0, "202r", "200", "202r", "202r" },
	{ PHASE_QUEUED, BARE, ERR_OK, 1, UPLOADED, RETRY(FINALIZE, QUEUED, 1), 0, "200", "200", "202r", "202r" },
	{ PHASE_GENERATING_THUMBNAIL, BARE, ERR_OK, 1, UPLOADED, RETRY(FINALIZE, RUNNING, 2), 0, "200", "200", "202r", "202r" },
	/* nobody works on the queue */
	{ PHASE_QUEUED, NOTHING, ERR_OK, 1, UPLOADED, JOB(FINALIZE, QUEUED, 0), UNSERVED, "worker_not_processing_queue", "200", "worker_not_processing_queue", "worker_not_processing_queue" },
	{ PHASE_QUEUED, NOTHING, ERR_OK, 1, UPLOADED, JOB(FINALIZE, QUEUED, 2), UNSERVED, "worker_not_processing_queue", "200", "worker_not_processing_queue", "worker_not_processing_queue" },
	{ PHASE_QUEUED, BARE, ERR_OK, 2, UPLOADED, JOB(FINALIZE, QUEUED, 0), UNSERVED, "200", "200", "worker_not_processing_queue", "worker_not_processing_queue" },
	{ PHASE_QUEUED, WHOLE, ERR_OK, 2, UPLOADED, JOB(FINALIZE, QUEUED, 0), UNSERVED, "200", "200", "200", "200" },
	{ PHASE_PROCESSING, NOTHING, ERR_OK, 1, UPLOADED, JOB(FINALIZE, RUNNING, 1), UNSERVED, "202", "200", "202", "202" },
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, UPLOADED, NO_JOB, UNSERVED, "202", "200", "202", "202" },
	/* it failed for good */
	{ PHASE_ERROR, NOTHING, ERR_WORKER_DIED, 1, UPLOADED, JOB(FINALIZE, FAILED, 3), 0, "worker_died", "200", "worker_died", "worker_died" },
	{ PHASE_ERROR, NOTHING, ERR_WORKER_DIED, 1, UPLOADED, OLD_JOB(FINALIZE, FAILED, 3), 0, "worker_died", "200", "worker_died", "worker_died" },
	{ PHASE_ERROR, NOTHING, ERR_MEDIA_LIMIT, 1, UPLOADED, JOB(FINALIZE, FAILED, 1), 0, "media_limit", "200", "media_limit", "media_limit" },
	{ PHASE_ERROR, NOTHING, ERR_CHECKSUM_MISMATCH, 1, UPLOADED, NO_JOB, 0, "checksum_mismatch", "200", "checksum_mismatch", "checksum_mismatch" },
	{ PHASE_ERROR, NOTHING, ERR_POISONED, 0, UPLOADED, NO_JOB, 0, "poisoned", "200", "poisoned", "poisoned" },
	{ PHASE_ERROR, NOTHING, ERR_OK, 1, UPLOADED, NO_JOB, 0, "internal", "200", "internal", "internal" },
	{ PHASE_ERROR, BARE, ERR_WORKER_SILENT, 1, UPLOADED, JOB(FINALIZE, FAILED, 3), 0, "200", "200", "worker_silent", "worker_silent" },
	{ PHASE_ERROR, WHOLE, ERR_CHECK_FAILED, 2, UPLOADED, JOB(FINALIZE, FAILED, 3), 0, "200", "200", "200", "200" },
	{ PHASE_ERROR, NOTHING, ERR_QUARANTINED, 0, UPLOADED, NO_JOB, QUARANTINED, "quarantined", "quarantined", "quarantined", "quarantined" },
	{ PHASE_ERROR, WHOLE, ERR_QUARANTINED, 1, UPLOADED, NO_JOB, QUARANTINED, "200", "quarantined", "200", "200" },
	{ PHASE_ERROR, AS_IS, ERR_QUARANTINED, 1, UPLOADED, NO_JOB, QUARANTINED, "quarantined", "quarantined", "quarantined", "quarantined" },
	/* a late resume: the earlier revision is served until the next */
	{ PHASE_UPLOADING, WHOLE, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), 0, "200", "200", "200", "200" },
	{ PHASE_UPLOADING, BARE, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), 0, "200", "200", "202", "202" },
	{ PHASE_UPLOADING, AS_IS, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), 0, "200", "200", "202", "202" },
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 1, UPLOADED, JOB(FINALIZE, CANCELLED, 2), 0, "202", "200", "202", "202" },
	{ PHASE_PROCESSING, WHOLE, ERR_OK, 2, UPLOADED, JOB(FINALIZE, RUNNING, 1), 0, "200", "200", "200", "200" },
	{ PHASE_ABORTED, WHOLE, ERR_OK, 1, UPLOADED, NO_JOB, 0, "200", "200", "200", "200" },
	/* never */
	{ PHASE_ABORTED, NOTHING, ERR_OK, 0, UPLOADED, NO_JOB, 0, "no_file", "200", "no_file", "no_file" },
	{ PHASE_ABORTED, NOTHING, ERR_OK, 0, UPLOADED, NO_JOB, TRACKLESS, "no_file", "not_found", "no_file", "no_file" },
	{ PHASE_DELETED, NOTHING, ERR_OK, 0, UPLOADED, NO_JOB, 0, "deleted", "deleted", "deleted", "deleted" },
	{ PHASE_DELETED, WHOLE, ERR_OK, 1, UPLOADED, NO_JOB, 0, "deleted", "deleted", "deleted", "deleted" },
	{ PHASE_DELETED, NOTHING, ERR_OK, 0, ON_DEMAND, NO_JOB, REMOVED, "deleted", "deleted", "deleted", "deleted" },
	/* retention took the bytes as received */
	{ PHASE_COMPLETE, WHOLE, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), REMOVED, "200", "original_removed", "200", "200" },
	{ PHASE_COMPLETE, AS_IS, ERR_OK, 1, UPLOADED, JOB(FINALIZE, DONE, 1), REMOVED, "original_removed", "original_removed", "no_thumbnail", "no_waveform" },
	/* fetched from a source, at once */
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, FETCH_NOW, JOB(FETCH, QUEUED, 0), TRACKLESS, "202", "202", "202", "202" },
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, FETCH_NOW, JOB(FETCH, RUNNING, 1), 0, "202", "202", "202", "202" },
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, FETCH_NOW, RETRY(FETCH, QUEUED, 1), 0, "202r", "202r", "202r", "202r" },
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, FETCH_NOW, RETRY(FETCH, RUNNING, 2), 0, "202r", "202r", "202r", "202r" },
	{ PHASE_QUEUED, NOTHING, ERR_OK, 1, FETCH_NOW, JOB(FINALIZE, QUEUED, 0), 0, "202", "200", "202", "202" },
	{ PHASE_COMPLETE, WHOLE, ERR_OK, 1, FETCH_NOW, JOB(FINALIZE, DONE, 1), 0, "200", "200", "200", "200" },
	{ PHASE_ERROR, NOTHING, ERR_SOURCE_FAILED, 0, FETCH_NOW, JOB(FETCH, FAILED, 3), 0, "source_failed", "source_failed", "source_failed", "source_failed" },
	{ PHASE_ERROR, NOTHING, ERR_SOURCE_FAILED, 0, FETCH_NOW, OLD_JOB(FETCH, FAILED, 3), 0, "source_failed", "source_failed", "source_failed", "source_failed" },
	{ PHASE_ERROR, NOTHING, ERR_SOURCE_GONE, 0, FETCH_NOW, JOB(FETCH, FAILED, 1), 0, "source_gone", "source_gone", "source_gone", "source_gone" },
	{ PHASE_ERROR, NOTHING, ERR_URL_REFUSED, 0, FETCH_NOW, JOB(FETCH, FAILED, 1), 0, "url_refused", "url_refused", "url_refused", "url_refused" },
	{ PHASE_ERROR, NOTHING, ERR_WORKER_DIED, 1, FETCH_NOW, JOB(FINALIZE, FAILED, 3), 0, "worker_died", "200", "worker_died", "worker_died" },
	{ PHASE_ABORTED, NOTHING, ERR_OK, 0, FETCH_NOW, NO_JOB, TRACKLESS, "no_file", "no_file", "no_file", "no_file" },
	/* … and when it is first asked for */
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, ON_DEMAND, NO_JOB, TRACKLESS, "202f", "202f", "202", "202" },
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, ON_DEMAND, JOB(FETCH, QUEUED, 0), TRACKLESS, "202", "202", "202", "202" },
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, ON_DEMAND, RETRY(FETCH, QUEUED, 1), 0, "202r", "202r", "202r", "202r" },
	{ PHASE_UPLOADING, NOTHING, ERR_OK, 0, ON_DEMAND, JOB(FETCH, RUNNING, 1), 0, "202", "202", "202", "202" },
	{ PHASE_QUEUED, NOTHING, ERR_OK, 1, ON_DEMAND, JOB(FINALIZE, QUEUED, 0), 0, "202", "200", "202", "202" },
	{ PHASE_COMPLETE, WHOLE, ERR_OK, 1, ON_DEMAND, JOB(FINALIZE, DONE, 1), 0, "200", "200", "200", "200" },
	{ PHASE_ERROR, NOTHING, ERR_SOURCE_FAILED, 0, ON_DEMAND, JOB(FETCH, FAILED, 3), 0, "source_failed", "source_failed", "source_failed", "source_failed" },
	{ PHASE_ERROR, NOTHING, ERR_SOURCE_FAILED, 0, ON_DEMAND, OLD_JOB(FETCH, FAILED, 3), 0, "202f", "202f", "source_failed", "source_failed" },
	{ PHASE_ERROR, NOTHING, ERR_SOURCE_GONE, 0, ON_DEMAND, OLD_JOB(FETCH, FAILED, 1), 0, "source_gone", "source_gone", "source_gone", "source_gone" },
	{ PHASE_ERROR, NOTHING, ERR_SOURCE_TOO_LARGE, 0, ON_DEMAND, OLD_JOB(FETCH, FAILED, 1), 0, "source_too_large", "source_too_large", "source_too_large", "source_too_large" },
	{ PHASE_ERROR, NOTHING, ERR_WORKER_DIED, 1, ON_DEMAND, OLD_JOB(FINALIZE, FAILED, 3), 0, "worker_died", "200", "worker_died", "worker_died" },
};
/* clang-format on */

static void recording_make(const struct line *l, struct recording_info *info)
{
	*info = (struct recording_info){
		.phase = l->phase,
		.error = l->error,
		.revision = l->revision,
		.job = l->job,
		.source_url = l->source == UPLOADED ? NULL : (char[]){ "https://provider.example/1" },
		.on_demand = l->source == ON_DEMAND,
		.original_removed = l->special & REMOVED,
	};
	if (l->published != NOTHING)
		info->media = (struct media_info){ .revision = 1,
						   .as_is = l->published == AS_IS,
						   .has_thumbnail = l->published == WHOLE,
						   .has_waveform = l->published == WHOLE };
}

static void each_line(void **state)
{
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		const struct line *l = &lines[i];
		const char *const wanted[RESOURCE_COUNT] = { l->file, l->original, l->thumbnail, l->waveform };
		struct recording_info info;
		recording_make(l, &info);
		struct serving_facts facts = {
			.now_ms = NOW,
			.unserved = l->special & UNSERVED,
			.has_track = !(l->special & TRACKLESS),
			.quarantined = l->special & QUARANTINED,
		};
		for (int r = 0; r < RESOURCE_COUNT; r++) {
			struct serving s = serving_judge((enum resource)r, &info, &facts);
			const char *got = answer_text(&s);
			if (strcmp(got, wanted[r]) != 0)
				fail_msg("line %zu (%s), %s: %s, wanted %s", i, phase_name(l->phase),
					 resource_name((enum resource)r), got, wanted[r]);
			assert_int_equal(s.status, status_of(wanted[r]));
			assert_int_equal(s.err == ERR_OK, s.status < 300);
		}
	}
}

/* Whatever the combination: some answer, never a 200 for what there is not, never a 202 that no one can end. */
static void every_combination(void **state)
{
	static const enum err errors[] = { ERR_OK, ERR_SOURCE_GONE, ERR_SOURCE_FAILED, ERR_MEDIA_LIMIT,
					   ERR_QUARANTINED };
	unsigned count = 0;
	for (unsigned n = 0; n < PHASE_COUNT * 4 * 5 * 2 * 3 * JOB_STATE_COUNT * 4 * 16; n++) {
		unsigned at = n;
		struct line l = { 0 };
		l.phase = (enum phase)(at % PHASE_COUNT), at /= PHASE_COUNT;
		l.published = (enum published)(at % 4), at /= 4;
		l.error = errors[at % 5], at /= 5;
		l.revision = at % 2, at /= 2;
		l.source = (enum source)(at % 3), at /= 3;
		l.job = (struct job_info){ .id = 1,
					   .kind = JOB_FINALIZE,
					   .state = (enum job_state)(at % JOB_STATE_COUNT) };
		at /= JOB_STATE_COUNT;
		l.job.attempt = at % 4, at /= 4;
		l.special = at;
		struct recording_info info;
		recording_make(&l, &info);
		struct serving_facts facts = { NOW, l.special & UNSERVED, !(l.special & TRACKLESS),
					       l.special & QUARANTINED };
		for (int r = 0; r < RESOURCE_COUNT; r++) {
			struct serving s = serving_judge((enum resource)r, &info, &facts);
			bool known = s.status == 200 || s.status == 202 || s.status == 404 || s.status == 410 ||
				     s.status == 500;
			assert_true(known);
			assert_int_equal(s.err == ERR_OK, s.status < 300);
			assert_true(s.status != 202 || s.retry_after_s > 0);
			assert_true(!s.fetch || (s.status == 202 && l.source == ON_DEMAND));
			if (l.phase == PHASE_DELETED)
				assert_int_equal(s.status, 410);
			if (s.status == 202)
				assert_true(l.phase < PHASE_COMPLETE || s.fetch);
			if (s.status == 200 && r == RESOURCE_ORIGINAL)
				assert_true(!(l.special & (REMOVED | QUARANTINED | TRACKLESS)));
			if (s.status == 200 && r != RESOURCE_ORIGINAL)
				assert_true(l.published != NOTHING);
			count++;
		}
	}
	assert_true(count > 0);
}

static void when_to_come_back(void **state)
{
	struct recording_info info = { .phase = PHASE_QUEUED, .revision = 1, .job = JOB(FINALIZE, QUEUED, 0) };
	struct serving_facts facts = { .now_ms = NOW, .has_track = true };
	assert_int_equal(serving_judge(RESOURCE_FILE, &info, &facts).retry_after_s, LIMIT_NOT_YET_S);
	facts.unserved = true;
	assert_int_equal(serving_judge(RESOURCE_FILE, &info, &facts).retry_after_s, LIMIT_RECOVERING_S);
	assert_int_equal(serving_judge(RESOURCE_ORIGINAL, &info, &facts).retry_after_s, 0);
	info.phase = PHASE_ERROR;
	assert_int_equal(serving_judge(RESOURCE_FILE, &info, &facts).retry_after_s, 0);
}

static void names(void **state)
{
	enum resource resource;
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		assert_true(resource_parse(resource_name((enum resource)i), &resource));
		assert_int_equal(resource, i);
	}
	assert_false(resource_parse("files", &resource));
	assert_false(resource_parse("", &resource));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line),
		cmocka_unit_test(every_combination),
		cmocka_unit_test(when_to_come_back),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
