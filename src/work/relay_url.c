/* See relay_url.h. */
#include "work/relay_url.h"

#include "base/hex.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char scheme[] = "icecast://", place[] = "{show}";

enum { PORT = 8000 };

/* Decodes [from, to) into out[size]; false when it does not fit or is malformed. */
static bool decode(const char *from, const char *to, char *out, size_t size)
{
	size_t len = 0;
	for (; from < to; from++) {
		unsigned char c = (unsigned char)*from;
		if (c == '%') {
			int high = to - from > 2 ? hex_value(from[1]) : -1, low = high >= 0 ? hex_value(from[2]) : -1;
			if (low < 0)
				return false;
			c = (unsigned char)(high << 4 | low);
			from += 2;
		}
		if (c < ' ' || c == 0x7f || len + 1 >= size)
			return false;
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return true;
}

/* "host", "host:port", "[v6]:port" in [from, to). */
static bool host_parse(const char *from, const char *to, struct relay_url *out)
{
	const char *end = *from == '[' ? memchr(from, ']', (size_t)(to - from)) : NULL;
	if (*from == '[' && !end)
		return false;
	const char *port = memchr(end ? end : from, ':', (size_t)(to - (end ? end : from)));
	if (end && end + 1 != (port ? port : to))
		return false;
	const char *begin = end ? from + 1 : from;
	size_t len = (size_t)((end ? end : port ? port : to) - begin);
	if (len == 0 || len >= sizeof out->host)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)begin[i]) && !strchr(end ? ":." : "-._", begin[i]))
			return false;
	memcpy(out->host, begin, len);
	out->port = PORT;
	if (!port)
		return true;
	unsigned value = 0;
	for (port++; port < to && isdigit((unsigned char)*port) && value <= UINT16_MAX; port++)
		value = value * 10 + (unsigned)(*port - '0');
	out->port = (uint16_t)value;
	return port == to && value > 0 && value <= UINT16_MAX;
}

static bool mount_parse(const char *text, struct relay_url *out)
{
	size_t len = strlen(text);
	const char *show = strstr(text, place);
	if (len < 2 || len > LIMIT_RELAY_MOUNT_CHARS || (show && strstr(show + 1, place)))
		return false;
	for (size_t i = 0; i < len; i++) {
		bool in_place = show && text + i >= show && text + i < show + sizeof place - 1;
		if (!in_place && !isalnum((unsigned char)text[i]) && !strchr("/-_.~", text[i]))
			return false;
	}
	memcpy(out->mount, text, len + 1);
	out->each = show != NULL;
	return true;
}

static bool parse(const char *text, struct relay_url *out, const char **problem)
{
	*problem = "it must be like icecast://source:PASSWORD@HOST:8000/{show}";
	if (strncmp(text, scheme, sizeof scheme - 1) != 0)
		return false;
	text += sizeof scheme - 1;
	const char *slash = strchr(text, '/');
	const char *at = slash ? memrchr(text, '@', (size_t)(slash - text)) : NULL;
	const char *colon = at ? memchr(text, ':', (size_t)(at - text)) : NULL;
	if (!colon)
		return false;
	*problem = "its user or password is malformed or too long";
	if (!decode(text, colon, out->user, sizeof out->user) ||
	    !decode(colon + 1, at, out->password, sizeof out->password) || !*out->password)
		return false;
	if (!*out->user)
		snprintf(out->user, sizeof out->user, "source");
	*problem = "its host or port is none";
	if (!host_parse(at + 1, slash, out))
		return false;
	*problem = "its mount must be letters, digits, '-', '_', '.', '~' and '/', with {show} once at most";
	return mount_parse(slash, out);
}

bool relay_url_parse(const char *text, struct relay_url *out, const char **problem)
{
	*out = (struct relay_url){ 0 };
	if (parse(text, out, problem))
		return true;
	explicit_bzero(out, sizeof *out);
	return false;
}

void relay_mount(const struct relay_url *url, const char *show, char out[RELAY_MOUNT])
{
	const char *at = strstr(url->mount, place);
	if (at)
		snprintf(out, RELAY_MOUNT, "%.*s%s%s", (int)(at - url->mount), url->mount, show, at + sizeof place - 1);
	else
		snprintf(out, RELAY_MOUNT, "%s", url->mount);
}
