/* One line per event on standard error: time, level, event name, key=value. Values from outside are escaped: a log
 * line never holds a raw control character, and no token is ever a value. */
#ifndef HOLDFAST_BASE_LOG_H
#define HOLDFAST_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Any thread. `event` is a fixed name ("take_sealed"); then pairs of key and value, both const char *, ended by NULL:
 * log_event(LOG_INFO, "take_sealed", "id", id, "bytes", text, NULL). */
__attribute__((sentinel)) void log_event(enum log_level level, const char *event, ...);

/* What is written: LOG_INFO to begin with. */
void log_set_level(enum log_level level);

/* A number as text for a value, in one of a few rotating thread-local buffers: good until the eighth next call. */
const char *log_number(unsigned long long value);

#endif
