/* Signs of life, errors and warnings of a media job, see watch.h. */
#include "work/watch.h"

#include <errno.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* libav's last error. Its decoders log from threads of their own. */
static struct {
	pthread_mutex_t lock;
	char line[LIMIT_MEDIA_ERROR_CHARS];
} heard = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void hear(void *context, int level, const char *format, va_list args)
{
	char line[LIMIT_MEDIA_ERROR_CHARS];
	if ((level & 0xff) > AV_LOG_ERROR)
		return;
	int len = vsnprintf(line, sizeof line, format, args);
	if (len <= 0)
		return;
	for (char *c = line; *c; c++) {
		if (*c == '\n' && !c[1])
			*c = 0;
		else if (*c < ' ' || *c > '~')
			*c = '?';
	}
	pthread_mutex_lock(&heard.lock);
	memcpy(heard.line, line, sizeof line);
	pthread_mutex_unlock(&heard.lock);
}

int64_t watch_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void watch_init(struct watch *w, const struct media_job *job)
{
	*w = (struct watch){ .job = job };
	pthread_mutex_lock(&heard.lock);
	heard.line[0] = 0;
	pthread_mutex_unlock(&heard.lock);
	av_log_set_callback(hear);
	av_max_alloc(LIMIT_MEDIA_ALLOC_BYTES);
	/* A packet with a keyframe would be mapped, faulted in and unmapped again, each time. */
	mallopt(M_MMAP_THRESHOLD, 16 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
}

void watch_release(struct watch *w)
{
	json_decref(w->warnings);
	w->warnings = NULL;
}

bool watch_tick(struct watch *w)
{
	int64_t now = watch_now_ms();
	if (now >= w->next_ms && !w->stopped) {
		w->next_ms = now + LIMIT_WORKER_ALIVE_MS / 4;
		w->stopped = !w->job->alive(w->job->arg, w->progress);
	}
	return !w->stopped;
}

void watch_progress(struct watch *w, unsigned per_mille)
{
	if (per_mille > w->progress)
		w->progress = per_mille < 1000 ? per_mille : 1000;
}

static int interrupted(void *arg)
{
	return !watch_tick(arg);
}

AVIOInterruptCB watch_interrupt(struct watch *w)
{
	return (AVIOInterruptCB){ .callback = interrupted, .opaque = w };
}

void watch_fail(struct watch *w, enum err err, const char *sentence)
{
	if (w->own)
		return;
	w->own = err;
	snprintf(w->sentence, sizeof w->sentence, "%s", sentence);
}

enum err watch_err(const struct watch *w, int averror, enum err otherwise)
{
	if (w->stopped)
		return ERR_MEDIA_LIMIT;
	if (w->own)
		return w->own;
	return averror == AVERROR(ENOMEM) ? ERR_NO_MEMORY : otherwise;
}

void watch_forget(struct watch *w)
{
	w->own = ERR_OK;
}

void watch_explain(const struct watch *w, enum err err, char *out, size_t size)
{
	char line[LIMIT_MEDIA_ERROR_CHARS];
	pthread_mutex_lock(&heard.lock);
	memcpy(line, heard.line, sizeof line);
	pthread_mutex_unlock(&heard.lock);
	if (w->stopped)
		snprintf(out, size, "The worker was told to give up.");
	else if (w->own)
		snprintf(out, size, "%s %s", err_text(err), w->sentence);
	else if (line[0])
		snprintf(out, size, "%s %s", err_text(err), line);
	else
		snprintf(out, size, "%s", err_text(err));
}

void watch_warn(struct watch *w, const char *code, const char *format, ...)
{
	char sentence[LIMIT_SENTENCE_CHARS];
	va_list args;
	size_t i;
	json_t *warning;
	if (!w->warnings)
		w->warnings = json_array();
	json_array_foreach(w->warnings, i, warning)
	{
		if (strcmp(json_string_value(json_object_get(warning, "code")), code) == 0)
			return;
	}
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	if (json_array_append_new(w->warnings, json_pack("{s:s, s:s}", "code", code, "message", sentence)))
		w->lost = true;
}

char *watch_warnings(struct watch *w)
{
	if (json_array_size(w->warnings) == 0)
		return NULL;
	char *text = json_dumps(w->warnings, JSON_COMPACT);
	if (!text)
		w->lost = true;
	return text;
}
