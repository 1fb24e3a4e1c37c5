/* See catalog_jobs_rig.h. */
#include "support/catalog_jobs_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail /* cmocka's macro hides the operation of that name */

struct job_key lease(struct fixture *f, enum job_kind kind, int64_t now_ms)
{
	struct job_info job;
	struct recording_info row;
	struct job_key key = { 0 };
	enum err err = f->c->ops->job_claim(f->c, kind, now_ms, now_ms + CATALOG_LEASE_MS, &job, &row);
	assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
	if (err == ERR_OK) {
		assert_int_equal(job.state, JOB_RUNNING);
		assert_int_equal(job.kind, kind);
		assert_int_equal(job.lease_until_ms, now_ms + CATALOG_LEASE_MS);
		assert_true(uuid_equal(&job.recording, &row.id));
		key = (struct job_key){ job.id, job.epoch };
	}
	job_info_release(&job);
	recording_info_release(&row);
	return key;
}

static enum err place_nothing(void *arg)
{
	return ERR_OK;
}

static const struct media_info made = { .bytes = 1234, .duration_ms = 2500, .mime = "video/webm", .ext = "webm" };

enum err publish(struct fixture *f, struct job_key key, int64_t now_ms)
{
	struct recording_info row;
	enum err err = f->c->ops->job_publish(f->c, &key, &made, "[]", now_ms, place_nothing, NULL, &row);
	recording_info_release(&row);
	return err;
}

enum err done(struct fixture *f, struct job_key key, int64_t now_ms)
{
	struct recording_info row;
	struct media_info media = made;
	media.has_thumbnail = true;
	enum err err = f->c->ops->job_done(f->c, &key, &media, "[{\"code\":\"truncated\"}]", now_ms, &row);
	recording_info_release(&row);
	return err;
}

enum job_state lose(struct fixture *f, struct job_key key, enum err error, int64_t now_ms)
{
	struct job_info job;
	struct recording_info row;
	enum err err = f->c->ops->job_fail(f->c, &key, error, "It died.", now_ms, &job, &row);
	assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
	enum job_state state = err == ERR_OK ? job.state : JOB_STATE_COUNT;
	job_info_release(&job);
	recording_info_release(&row);
	return state;
}

void complete_take(struct fixture *f, unsigned n, enum sealed_by by, int64_t now_ms)
{
	assert_int_equal(claim(f, n, by, 1, 10, ERR_OK), CATALOG_CHANGED);
	struct job_key key = lease(f, JOB_FINALIZE, now_ms);
	assert_int_equal(publish(f, key, now_ms), ERR_OK);
	assert_int_equal(done(f, key, now_ms), ERR_OK);
	assert_phase(f, n, PHASE_COMPLETE);
}

struct recording_info source(unsigned n, bool on_demand)
{
	struct recording_info info = take(n);
	char ref[32];
	snprintf(ref, sizeof ref, "call-%u", n);
	info.ref = strdup(ref);
	info.source_url = strdup("https://calls.example/1");
	info.on_demand = on_demand;
	info.tracks[0].bytes = 0;
	return info;
}

struct job_info job_of(struct fixture *f, unsigned n)
{
	struct recording_info row = row_of(f, n);
	struct job_info job;
	assert_int_equal(job_info_copy(&job, &row.job), ERR_OK);
	recording_info_release(&row);
	return job;
}

struct text {
	char *out;
	size_t size;
	int64_t seq;
};

static enum err add_event(void *arg, const struct catalog_event *event)
{
	struct text *text = arg;
	size_t len = strlen(text->out);
	assert_true(event->seq > text->seq);
	assert_true(event->principal && *event->principal);
	text->seq = event->seq;
	snprintf(text->out + len, text->size - len, "%s%s %s", len ? "; " : "", event->type + strlen("recording."),
		 phase_name(event->phase));
	return ERR_OK;
}

void events_text(struct fixture *f, const struct catalog_event_filter *filter, char *out, size_t size)
{
	struct text text = { out, size, filter->after };
	out[0] = '\0';
	assert_int_equal(f->c->ops->events(f->c, filter, add_event, &text), ERR_OK);
}
