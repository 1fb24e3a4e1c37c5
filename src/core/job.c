/* The job machine, see job.h. */
#include "core/job.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool running_or_queued(const struct job_info *job)
{
	return job->state == JOB_QUEUED || job->state == JOB_RUNNING;
}

/* The longest that a job of the kind may have to wait. */
static int64_t longest_wait_ms(enum job_kind kind)
{
	int64_t wait_ms = LIMIT_RETRY_FIRST_MS;
	if (kind == JOB_NOTIFY)
		return LIMIT_NOTIFY_MAX_MS;
	if (kind == JOB_FETCH)
		return LIMIT_FETCH_WAIT_MAX_MS;
	if (kind == JOB_PUSH)
		return LIMIT_PUSH_RETRY_MAX_MS;
	for (int i = 1; i < LIMIT_ATTEMPTS; i++)
		wait_ms *= 4;
	return wait_ms;
}

/* After so many failed attempts. */
static int64_t wait_ms(enum job_kind kind, uint32_t attempt)
{
	static const struct {
		int64_t first_ms, times;
	} waits[JOB_KIND_COUNT] = {
		[JOB_FINALIZE] = { LIMIT_RETRY_FIRST_MS, 4 },
		[JOB_FETCH] = { LIMIT_FETCH_WAIT_FIRST_MS, 8 },
		[JOB_NOTIFY] = { LIMIT_NOTIFY_FIRST_MS, 6 },
		[JOB_PUSH] = { LIMIT_PUSH_RETRY_FIRST_MS, 3 },
	};
	int64_t wait_ms = waits[kind].first_ms, most_ms = longest_wait_ms(kind);
	for (uint32_t i = 1; i < attempt && wait_ms < most_ms; i++)
		wait_ms *= waits[kind].times;
	return wait_ms < most_ms ? wait_ms : most_ms;
}

static uint32_t attempts_of(enum job_kind kind)
{
	if (kind == JOB_PUSH)
		return UINT32_MAX; /* a bucket that is down comes back */
	return kind == JOB_NOTIFY ? LIMIT_NOTIFY_ATTEMPTS : LIMIT_ATTEMPTS;
}

/* Its attempts are those of a window; the others' are those of one event, or since something went on. */
static bool windowed(enum job_kind kind)
{
	return kind == JOB_FINALIZE || kind == JOB_FETCH;
}

bool job_due(const struct job_info *job, int64_t now_ms)
{
	if (job->state != JOB_QUEUED)
		return false;
	return job->not_before_ms <= now_ms || job->queued_ms > now_ms ||
	       job->not_before_ms - job->queued_ms > longest_wait_ms(job->kind);
}

static bool window_over(const struct job_info *job, int64_t now_ms)
{
	if (job->window_ms == 0)
		return true;
	return windowed(job->kind) && (job->window_ms > now_ms || now_ms - job->window_ms >= LIMIT_ATTEMPTS_MS);
}

void job_lease(struct job_info *job, int64_t now_ms, int64_t lease_until_ms)
{
	assert(job_due(job, now_ms));
	if (window_over(job, now_ms)) {
		job->window_ms = now_ms;
		job->attempt = 0;
	}
	job->state = JOB_RUNNING;
	job->epoch++;
	job->attempt++;
	job->started_ms = now_ms;
	job->lease_until_ms = lease_until_ms;
	job->not_before_ms = 0;
	job->progress = 0;
}

/* The length of the character at `s` if it is valid UTF-8 (RFC 3629, section 4), else 0. */
static size_t character(const unsigned char *s)
{
	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
	bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
	return overlong || outside ? 0 : len;
}

/* Sentences come from libraries and from the other side of the network: what is kept is text of a bounded length, so
 * that everybody who has to show it can. */
static char *sentence(const char *before, const char *text)
{
	const char *const pieces[] = { before, text };
	char *out = malloc(strlen(before) + strlen(text) + 1);
	size_t len = 0, count = 0;
	for (size_t i = 0; out && i < 2; i++) {
		const unsigned char *s = (const unsigned char *)pieces[i];
		for (size_t step; *s && count < LIMIT_SENTENCE_CHARS; s += step, count++) {
			size_t bytes = character(s);
			step = bytes ? bytes : 1;
			if (bytes)
				memcpy(out + len, s, bytes);
			else
				out[len] = '?';
			len += step;
		}
	}
	if (out)
		out[len] = '\0';
	return out;
}

static enum err keep_message(struct job_info *job, const char *message)
{
	char before[80] = "";
	bool used_up = job->state == JOB_FAILED || job->state == JOB_PARKED;
	if (used_up && job->attempt >= attempts_of(job->kind))
		snprintf(before, sizeof before, "All %u attempts failed; the last one: ", job->attempt);
	if (!message && *before)
		message = err_text(job->error);
	char *kept = message ? sentence(before, message) : NULL;
	free(job->error_message);
	job->error_message = kept;
	return message && !kept ? ERR_NO_MEMORY : ERR_OK;
}

enum err job_failed(struct job_info *job, enum err error, const char *message, int64_t now_ms)
{
	assert(job->state == JOB_RUNNING && error != ERR_OK);
	/* a clean stop and a full disk are not its failure: neither may end a recording in `error` */
	bool counts = error != ERR_SHUTTING_DOWN && (error != ERR_STORAGE_FULL || job->kind != JOB_FINALIZE);
	if (!counts && job->attempt > 0)
		job->attempt--;
	bool again = err_retry(error) && job->attempt < attempts_of(job->kind);
	/* the window is for what fails at once: three attempts of twenty minutes each must not go on for ever */
	if (job->started_ms <= now_ms && job->window_ms <= job->started_ms)
		job->window_ms += now_ms - job->started_ms;
	if (again)
		job->state = JOB_QUEUED;
	else
		job->state = windowed(job->kind) ? JOB_FAILED : JOB_PARKED;
	job->lease_until_ms = 0;
	job->progress = 0;
	job->queued_ms = now_ms;
	bool wait = again && error != ERR_SHUTTING_DOWN;
	job->not_before_ms = now_ms + (wait ? wait_ms(job->kind, job->attempt) : 0);
	job->error = error;
	return keep_message(job, message);
}

static void forget_error(struct job_info *job)
{
	free(job->error_message);
	job->error_message = NULL;
	job->error = ERR_OK;
}

void job_succeeded(struct job_info *job)
{
	job->state = JOB_DONE;
	job->lease_until_ms = 0;
	job->not_before_ms = 0;
	job->progress = 1000;
	forget_error(job);
}

void job_went_on(struct job_info *job, int64_t lease_until_ms)
{
	job->lease_until_ms = lease_until_ms;
	job->attempt = 1;
	forget_error(job);
}

void job_delivered(struct job_info *job, int64_t seq, int64_t lease_until_ms)
{
	assert(job->kind == JOB_NOTIFY);
	job->delivered = seq > job->delivered ? seq : job->delivered;
	job_went_on(job, lease_until_ms);
}

void job_requeue(struct job_info *job, int64_t now_ms)
{
	assert(!running_or_queued(job));
	/* the attempts of a webhook count for one event, and it begins anew with this one; likewise a push */
	if (!windowed(job->kind) || window_over(job, now_ms)) {
		job->window_ms = 0;
		job->attempt = 0;
		forget_error(job);
	}
	job->state = JOB_QUEUED;
	job->epoch++;
	job->queued_ms = now_ms;
	job->not_before_ms = now_ms;
	job->started_ms = 0;
	job->lease_until_ms = 0;
	job->progress = 0;
}

void job_cancel(struct job_info *job)
{
	job->epoch++;
	job->lease_until_ms = 0;
	if (running_or_queued(job))
		job->state = JOB_CANCELLED;
}

int64_t job_closed_ms(const struct job_info *job, int64_t now_ms)
{
	if (job->state != JOB_FAILED || job->attempt < attempts_of(job->kind) || window_over(job, now_ms))
		return 0;
	return job->window_ms + LIMIT_ATTEMPTS_MS - now_ms;
}

bool job_recovering(const struct job_info *job)
{
	return running_or_queued(job) && job->error != ERR_OK;
}
