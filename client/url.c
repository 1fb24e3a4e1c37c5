/* Where a take is sent, see url.h. */
#include "url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct scheme {
	const char *prefix;
	bool tls, is_http;
};

static const struct scheme schemes[] = {
	{ "http://", false, true },
	{ "https://", true, true },
	{ "ws://", false, false },
	{ "wss://", true, false },
};

static bool port_parse(const char *text, size_t len, uint16_t *out)
{
	unsigned value = 0;
	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	*out = (uint16_t)value;
	return value > 0 && value <= UINT16_MAX;
}

/* "host", "host:port", "[v6]:port" of `len` characters. */
static bool authority_parse(const char *text, size_t len, struct url *out)
{
	const char *end = text + len, *host = text, *host_end;
	if (len > 0 && *text == '[') {
		host++;
		host_end = memchr(host, ']', (size_t)(end - host));
		if (!host_end)
			return false;
		text = host_end + 1;
	} else {
		host_end = memchr(text, ':', len);
		if (!host_end)
			host_end = end;
		text = host_end;
	}
	size_t host_len = (size_t)(host_end - host);
	if (host_len == 0 || host_len >= sizeof out->host)
		return false;
	for (size_t i = 0; i < host_len; i++)
		out->host[i] = (char)tolower((unsigned char)host[i]);
	out->host[host_len] = '\0';
	return text == end || (*text == ':' && port_parse(text + 1, (size_t)(end - text - 1), &out->port));
}

bool url_parse(const char *text, struct url *out)
{
	const struct scheme *scheme = &schemes[0];
	*out = (struct url){ 0 };
	for (unsigned i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t len = strlen(schemes[i].prefix);
		if (strncasecmp(text, schemes[i].prefix, len) != 0)
			continue;
		scheme = &schemes[i];
		text += len;
		break;
	}
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("@?#\\", *p))
			return false;
	out->tls = scheme->tls;
	out->port = scheme->tls ? 443 : 80;
	size_t len = strcspn(text, "/");
	if (!authority_parse(text, len, out))
		return false;
	const char *path = text + len;
	size_t path_len = strlen(path);
	while (path_len > 0 && path[path_len - 1] == '/')
		path_len--;
	if (path_len > sizeof out->path - 8)
		return false;
	bool add_ws = scheme->is_http || path_len == 0;
	snprintf(out->path, sizeof out->path, "%.*s%s", (int)path_len, path, add_ws ? "/ws" : "");
	bool is_v6 = strchr(out->host, ':') != NULL;
	snprintf(out->authority, sizeof out->authority, "%s%s%s:%u", is_v6 ? "[" : "", out->host, is_v6 ? "]" : "",
		 out->port);
	snprintf(out->text, sizeof out->text, "%s%s%s", out->tls ? "wss://" : "ws://", out->authority, out->path);
	return true;
}
