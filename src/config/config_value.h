/* Inside config: text to values. Pure. */
#ifndef HOLDFAST_CONFIG_VALUE_H
#define HOLDFAST_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

/* Digits only, no sign; false otherwise or above `max`. */
bool value_count_parse(const char *text, uint64_t max, uint64_t *out);

/* "50" or "50:1000": so many a second, and at once (the same ten seconds' worth if it is not said); each from 1 to
 * LIMIT_RATE_MAX. */
bool value_rate_parse(const char *text, uint32_t *per_s, uint32_t *burst);

/* yes, no, true, false, on, off, 1, 0; false when it is none. */
bool value_switch_parse(const char *text, bool *out);

/* Of an address. */
bool value_is_loopback(const char *host);

/* HOST:PORT with an address as host ("localhost" is 127.0.0.1): *host is a new string. `everywhere`: ":PORT" is one,
 * too, with "" as host. On false *problem is a fixed sentence. */
bool value_listen_parse(const char *text, bool everywhere, char **host, uint16_t *port, const char **problem);

/* A list of origins, "https://HOST" or with a port, separated by commas: *out is a new string, in lower case and
 * without default ports and blanks. On false *problem is a fixed sentence. */
bool value_origins_parse(const char *text, char **out, const char **problem);

/* "30s", "96M": the largest unit that divides, into out[32]. */
void value_duration_format(uint64_t ms, char *out);
void value_size_format(uint64_t bytes, char *out);

#endif
