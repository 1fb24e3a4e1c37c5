/* Values of options from text, and back for sentences. Whatever does not read completely as a value is none: no
 * trailing letters, no signs, no overflow. */
#include "config/config_value.h"

#include "base/limits.h"
#include "config/config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 }
};
static const struct unit sizes[] = { { "", 1 }, { "K", KIB }, { "M", MIB }, { "G", GIB }, { "T", 1024 * GIB } };

enum { UNITS = sizeof sizes / sizeof sizes[0] };
_Static_assert(sizeof durations / sizeof durations[0] == UNITS, "both tables are walked with one count");

static bool digits_parse(const char *text, uint64_t *out, const char **end)
{
	uint64_t value = 0;
	const char *p = text;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value))
			return false;
	*out = value;
	*end = p;
	return p > text;
}

bool value_count_parse(const char *text, uint64_t max, uint64_t *out)
{
	const char *end;
	uint64_t value;
	if (!digits_parse(text, &value, &end) || *end || value > max)
		return false;
	*out = value;
	return true;
}

bool value_rate_parse(const char *text, uint32_t *per_s, uint32_t *burst)
{
	const char *colon = strchr(text, ':');
	char first[16];
	uint64_t rate, most;
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	if (len >= sizeof first)
		return false;
	memcpy(first, text, len);
	first[len] = '\0';
	if (!value_count_parse(first, LIMIT_RATE_MAX, &rate) || rate == 0)
		return false;
	most = rate * 10 < LIMIT_RATE_MAX ? rate * 10 : LIMIT_RATE_MAX;
	if (colon && (!value_count_parse(colon + 1, LIMIT_RATE_MAX, &most) || most == 0))
		return false;
	*per_s = (uint32_t)rate;
	*burst = (uint32_t)most;
	return true;
}

static bool unit_parse(const char *text, const struct unit *units, uint64_t *out)
{
	const char *end;
	uint64_t value;
	if (!digits_parse(text, &value, &end))
		return false;
	for (unsigned i = 0; i < UNITS; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(value, units[i].factor, &value) || value > INT64_MAX)
			return false;
		*out = value;
		return true;
	}
	return false;
}

bool config_duration_parse(const char *text, uint64_t *out_ms)
{
	return unit_parse(text, durations, out_ms);
}

bool config_size_parse(const char *text, uint64_t *out_bytes)
{
	return unit_parse(text, sizes, out_bytes);
}

static void unit_format(uint64_t value, const struct unit *units, char *out)
{
	unsigned best = 0;
	for (unsigned i = 1; i < UNITS; i++)
		if (value >= units[i].factor && value % units[i].factor == 0)
			best = i;
	snprintf(out, 32, "%llu%s", (unsigned long long)(value / units[best].factor), units[best].name);
}

void value_duration_format(uint64_t ms, char *out)
{
	unit_format(ms, durations, out);
}

void value_size_format(uint64_t bytes, char *out)
{
	unit_format(bytes, sizes, out);
}

/* The host between brackets, or before the last colon, into `host`. */
static bool listen_split(const char *text, bool everywhere, char host[64], const char **port)
{
	const char *begin = text, *end;
	if (*text == '[') {
		begin = text + 1;
		end = strchr(begin, ']');
		if (!end || end[1] != ':')
			return false;
		*port = end + 2;
	} else {
		end = strrchr(text, ':');
		if (!end)
			return false;
		*port = end + 1;
	}
	size_t len = (size_t)(end - begin);
	if ((len == 0 && (!everywhere || *text == '[')) || len >= 64)
		return false;
	memcpy(host, begin, len);
	host[len] = '\0';
	return true;
}

bool value_switch_parse(const char *text, bool *out)
{
	static const char *const words[2][4] = { { "no", "false", "off", "0" }, { "yes", "true", "on", "1" } };
	for (unsigned i = 0; i < 8; i++)
		if (strcmp(text, words[i / 4][i % 4]) == 0) {
			*out = i >= 4;
			return true;
		}
	return false;
}

bool value_is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static bool is_address(const char *host, bool bracketed)
{
	uint8_t bytes[16];
	return inet_pton(bracketed ? AF_INET6 : AF_INET, host, bytes) == 1;
}

bool value_listen_parse(const char *text, bool everywhere, char **host, uint16_t *port, const char **problem)
{
	char name[64];
	const char *digits;
	uint64_t number;
	if (!listen_split(text, everywhere, name, &digits) || !value_count_parse(digits, UINT16_MAX, &number)) {
		*problem = "it must be HOST:PORT, like 127.0.0.1:8480 or [::1]:8480";
		return false;
	}
	const char *address = strcmp(name, "localhost") == 0 && *text != '[' ? "127.0.0.1" : name;
	if (*name && !is_address(address, *text == '[')) {
		*problem = "the host must be an address like 127.0.0.1 or [::1], or localhost";
		return false;
	}
	*host = strdup(address);
	if (!*host) {
		*problem = "out of memory";
		return false;
	}
	*port = (uint16_t)number;
	return true;
}

/* One origin in lower case into `out`; its length, 0 when it is none. */
static size_t origin_parse(const char *text, size_t len, char *out)
{
	static const char host_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
	if (len == 0 || len > LIMIT_ORIGIN_CHARS)
		return 0;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
	out[len] = '\0';
	bool tls = strncmp(out, "https://", 8) == 0;
	if (!tls && strncmp(out, "http://", 7) != 0)
		return 0;
	char *host = out + (tls ? 8 : 7);
	size_t host_len = *host == '[' ? strspn(host + 1, "0123456789abcdef:.") + 2 : strspn(host, host_chars);
	if (host_len == 0 || host + host_len > out + len || (*host == '[' && host[host_len - 1] != ']'))
		return 0;
	char *port = host + host_len;
	uint64_t number;
	if (*port == '\0')
		return len;
	if (*port != ':' || !value_count_parse(port + 1, UINT16_MAX, &number) || number == 0 || port[1] == '0')
		return 0;
	if (number == (tls ? 443 : 80))
		*port = '\0';
	return strlen(out);
}

_Static_assert(LIMIT_ORIGINS == 16, "a sentence names it");

bool value_origins_parse(const char *text, char **out, const char **problem)
{
	char *list = malloc(strlen(text) + 2), origin[LIMIT_ORIGIN_CHARS + 1];
	size_t len = 0;
	unsigned count = 0;
	*problem = list ? "each must be like https://example.com or http://example.com:8080" : "out of memory";
	while (list) {
		text += strspn(text, " ");
		size_t item = strcspn(text, ","), next = item;
		while (item > 0 && text[item - 1] == ' ')
			item--;
		size_t origin_len = origin_parse(text, item, origin);
		if (count++ == LIMIT_ORIGINS)
			*problem = "there are more than 16";
		if (origin_len == 0 || count > LIMIT_ORIGINS)
			break;
		if (len > 0)
			list[len++] = ',';
		memcpy(list + len, origin, origin_len + 1);
		len += origin_len;
		text += next;
		if (*text++ == '\0') {
			*out = list;
			return true;
		}
	}
	free(list);
	return false;
}
