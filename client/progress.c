/* Progress of `holdfast send`, see progress.h. */
#include "progress.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { REDRAW_MS = 100, JSON_MS = 500, LINE_MS = 5000, FLAP_MS = 1000, RATE_MS = 250, BAR = 24 };

static const char *const states[] = { "connecting", "sending", "saved", "failed" };

void progress_init(struct progress *s, bool json, bool quiet)
{
	*s = (struct progress){ .json = json, .quiet = quiet, .terminal = !json && !quiet && isatty(STDERR_FILENO) };
}

void progress_begin(struct progress *s, const char *label)
{
	s->label = label;
	s->shown_ms = 0;
	s->sample_count = s->sample_next = 0;
}

static void end_line(struct progress *s)
{
	if (s->line_open)
		fputs("\r\033[K", stderr);
	s->line_open = false;
}

static void bytes_format(uint64_t bytes, char out[32])
{
	const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	unsigned unit = 0;
	for (; value >= 1024 && unit < 4; unit++)
		value /= 1024;
	snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* Bytes made safe a second, over the last few seconds. */
static uint64_t rate(struct progress *s, uint64_t safe, uint64_t now_ms)
{
	unsigned newest = (s->sample_next + SHOW_SAMPLES - 1) % SHOW_SAMPLES;
	if (s->sample_count == 0 || now_ms - s->samples[newest].ms >= RATE_MS) {
		s->samples[s->sample_next].ms = now_ms;
		s->samples[s->sample_next].bytes = safe;
		s->sample_next = (s->sample_next + 1) % SHOW_SAMPLES;
		if (s->sample_count < SHOW_SAMPLES)
			s->sample_count++;
	}
	unsigned oldest = (s->sample_next + SHOW_SAMPLES - s->sample_count) % SHOW_SAMPLES;
	uint64_t ms = now_ms - s->samples[oldest].ms;
	return ms > 0 && safe > s->samples[oldest].bytes ? (safe - s->samples[oldest].bytes) * 1000 / ms : 0;
}

static void state_format(const struct hf_take *take, const struct hf_progress *p, const char *note, char out[256])
{
	if (note)
		snprintf(out, 256, "%s", note);
	else if (p->state == HF_CONNECTING && p->retry_in_ms > 0)
		snprintf(out, 256, "next try in %llu s (%.180s)", (unsigned long long)(p->retry_in_ms + 999) / 1000,
			 hf_take_error(take));
	else
		snprintf(out, 256, "%s", states[p->state]);
}

static void line_format(struct progress *s, const struct hf_take *take, const char *note, uint64_t now_ms,
			char out[1024])
{
	struct hf_progress p;
	char read[32], safe[32], speed[32], state[256], bar[BAR + 1];
	hf_take_progress(take, &p);
	bytes_format(p.bytes_read, read);
	bytes_format(p.bytes_safe, safe);
	bytes_format(rate(s, p.bytes_safe, now_ms), speed);
	state_format(take, &p, note, state);
	if (p.bytes_total == UINT64_MAX || p.bytes_total == 0 || !s->terminal) {
		snprintf(out, 1024, "%s: %s read, %s safe, %s/s, %s", s->label, read, safe, speed, state);
		return;
	}
	unsigned filled = (unsigned)((double)p.bytes_safe / (double)p.bytes_total * BAR);
	for (unsigned i = 0; i < BAR; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[BAR] = '\0';
	snprintf(out, 1024, "%s: [%s] %3.0f%%, %s read, %s safe, %s/s, %s", s->label, bar,
		 100.0 * (double)p.bytes_safe / (double)p.bytes_total, read, safe, speed, state);
}

static void print_json(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	json_decref(object);
	if (text)
		puts(text);
	fflush(stdout);
	free(text);
}

/* Names of files are bytes; what is no UTF-8 is left out of the JSON. */
static json_t *json_begin(const struct progress *s, const char *type)
{
	json_t *object = json_object();
	json_object_set_new(object, "type", json_string(type));
	json_object_set_new(object, "source", json_string(s->label));
	return object;
}

static void progress_json(struct progress *s, const struct hf_take *take, const struct hf_progress *p)
{
	json_t *object = json_begin(s, "progress");
	json_object_set_new(object, "session", json_string(hf_take_session(take)));
	json_object_set_new(object, "state", json_string(states[p->state]));
	json_object_set_new(object, "bytesRead", json_integer((json_int_t)p->bytes_read));
	json_object_set_new(object, "bytesSafe", json_integer((json_int_t)p->bytes_safe));
	if (p->bytes_total != UINT64_MAX)
		json_object_set_new(object, "bytesTotal", json_integer((json_int_t)p->bytes_total));
	json_object_set_new(object, "reconnects", json_integer(p->reconnects));
	if (p->state == HF_CONNECTING && *hf_take_error(take))
		json_object_set_new(object, "error", json_string(hf_take_error(take)));
	print_json(object);
}

static void redraw(struct progress *s, const char *line)
{
	struct winsize size;
	size_t width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1U : 79;
	fprintf(stderr, "\r\033[K%.*s", (int)width, line);
	fflush(stderr);
	s->line_open = true;
}

void progress_bytes(struct progress *s, const struct hf_take *take, const char *note, uint64_t now_ms)
{
	struct hf_progress p;
	char line[1024];
	hf_take_progress(take, &p);
	/* a link that flickers is not told line by line */
	bool changed = s->shown_ms == 0 || (p.state != s->shown_state &&
					    (p.state >= HF_SAVED || s->terminal || now_ms - s->shown_ms >= FLAP_MS));
	uint64_t every = s->json ? JSON_MS : s->terminal ? REDRAW_MS : LINE_MS;
	bool due = now_ms - s->shown_ms >= every && (s->terminal || note || p.bytes_safe != s->shown_safe);
	if (s->quiet || (!changed && !due))
		return;
	s->shown_ms = now_ms;
	s->shown_state = p.state;
	s->shown_safe = p.bytes_safe;
	if (s->json) {
		progress_json(s, take, &p);
		return;
	}
	line_format(s, take, note, now_ms, line);
	if (s->terminal)
		redraw(s, line);
	else
		fprintf(stderr, "%s\n", line);
}

void progress_saved(struct progress *s, const struct hf_take *take, const char *url)
{
	struct hf_progress p;
	hf_take_progress(take, &p);
	if (s->json) {
		json_t *object = json_begin(s, "saved");
		json_object_set_new(object, "session", json_string(hf_take_session(take)));
		json_object_set_new(object, "id", json_string(hf_take_id(take)));
		json_object_set_new(object, "bytes", json_integer((json_int_t)p.bytes_safe));
		json_object_set_new(object, "sha256", json_string(hf_take_sha256(take)));
		json_object_set_new(object, "url", json_string(url));
		json_object_set_new(object, "reconnects", json_integer(p.reconnects));
		print_json(object);
		return;
	}
	end_line(s);
	printf("saved %s: %llu bytes, id %s, sha256 %s, %s\n", s->label, (unsigned long long)p.bytes_safe,
	       hf_take_id(take), hf_take_sha256(take), url);
	fflush(stdout);
}

void progress_failed(struct progress *s, const char *label, const char *why)
{
	if (s->json) {
		json_t *object = json_begin(s, "failed");
		json_object_set_new(object, "source", json_string(label));
		json_object_set_new(object, "error", json_string(why));
		print_json(object);
		return;
	}
	end_line(s);
	fprintf(stderr, "holdfast: %s: %s\n", label, why);
}

void progress_note(struct progress *s, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (s->json) {
		json_t *object = json_object();
		json_object_set_new(object, "type", json_string("note"));
		json_object_set_new(object, "message", json_string(text));
		print_json(object);
	} else if (!s->quiet) {
		end_line(s);
		fprintf(stderr, "%s\n", text);
	}
}
