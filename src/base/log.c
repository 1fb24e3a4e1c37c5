/* Log lines, see log.h. A line is built whole and written with one write(), so that lines of several threads do not
 * mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_BYTES = 4096, /* a line; what does not fit is cut and marked by "…" */
	NUMBERS = 8,	   /* rotating buffers of log_number */
	NUMBER_BYTES = 24,
};

struct line {
	char data[LINE_BYTES];
	size_t len;
	bool cut;
};

static atomic_int level_now = LOG_INFO;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

const char *log_number(unsigned long long value)
{
	static _Thread_local char buffers[NUMBERS][NUMBER_BYTES];
	static _Thread_local unsigned turn;
	char *out = buffers[turn++ % NUMBERS];
	snprintf(out, NUMBER_BYTES, "%llu", value);
	return out;
}

/* Adds whole pieces only, and keeps room for the mark of a cut and the newline. */
static void line_add(struct line *l, const char *text, size_t len)
{
	if (l->cut || len > LINE_BYTES - 8 - l->len) {
		l->cut = true;
		return;
	}
	memcpy(l->data + l->len, text, len);
	l->len += len;
}

static bool is_plain(const char *value)
{
	if (!*value)
		return false;
	for (const unsigned char *p = (const unsigned char *)value; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\' || *p == '=')
			return false;
	return true;
}

/* Everything but printable ASCII becomes \xNN: that covers control characters, line separators and direction marks of
 * Unicode, and bytes that are no text at all. */
static void line_add_quoted(struct line *l, const char *value)
{
	line_add(l, "\"", 1);
	for (const unsigned char *p = (const unsigned char *)value; *p && !l->cut; p++) {
		char escaped[8];
		if (*p == '"' || *p == '\\')
			snprintf(escaped, sizeof escaped, "\\%c", *p);
		else if (*p < ' ' || *p > '~')
			snprintf(escaped, sizeof escaped, "\\x%02x", *p);
		else
			snprintf(escaped, sizeof escaped, "%c", *p);
		line_add(l, escaped, strlen(escaped));
	}
	line_add(l, "\"", 1);
}

static void line_begin(struct line *l, enum log_level level, const char *event)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	char stamp[64];
	size_t len = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
	line_add(l, stamp, len);
	snprintf(stamp, sizeof stamp, ".%03dZ ", (int)(now.tv_nsec / 1000000));
	line_add(l, stamp, strlen(stamp));
	line_add(l, names[level], strlen(names[level]));
	line_add(l, " ", 1);
	line_add(l, event, strlen(event));
}

static void line_write(struct line *l)
{
	if (l->cut) {
		memcpy(l->data + l->len, "…", 3);
		l->len += 3;
	}
	l->data[l->len++] = '\n';
	/* a log that can't be written has nowhere to say so */
	ssize_t written = write(STDERR_FILENO, l->data, l->len);
	(void)written;
}

void log_event(enum log_level level, const char *event, ...)
{
	if ((int)level > atomic_load_explicit(&level_now, memory_order_relaxed))
		return;
	struct line l;
	l.len = 0;
	l.cut = false;
	line_begin(&l, level, event);
	va_list args;
	va_start(args, event);
	for (const char *key; (key = va_arg(args, const char *));) {
		const char *value = va_arg(args, const char *);
		if (!value)
			value = "";
		line_add(&l, " ", 1);
		line_add(&l, key, strlen(key));
		line_add(&l, "=", 1);
		if (is_plain(value))
			line_add(&l, value, strlen(value));
		else
			line_add_quoted(&l, value);
	}
	va_end(args);
	line_write(&l);
}
