/* Where recordings are pushed to, see s3_url.h. */
#include "work/s3_url.h"

#include "work/s3_sign.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char digits[] = "0123456789";

static int hex_value(char c)
{
	const char *all = "0123456789abcdef", *at = c ? strchr(all, tolower((unsigned char)c)) : NULL;
	return at ? (int)(at - all) : -1;
}

/* No control character in it, also none that was encoded. */
static bool decode(const char *text, size_t len, char *out, size_t size)
{
	size_t to = 0;
	for (size_t at = 0; at < len; at++) {
		unsigned char c = (unsigned char)text[at];
		if (c == '%') {
			int high = at + 2 < len ? hex_value(text[at + 1]) : -1;
			int low = high >= 0 ? hex_value(text[at + 2]) : -1;
			if (low < 0)
				return false;
			c = (unsigned char)(high * 16 + low);
			at += 2;
		}
		if (to + 1 >= size || c < 0x20 || c == 0x7f)
			return false;
		out[to++] = (char)c;
	}
	out[to] = '\0';
	return true;
}

/* --- the endpoint --- */

static bool loopback(const char *host, size_t len)
{
	char text[64];
	struct in_addr v4;
	if (len >= sizeof text)
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	return strcasecmp(text, "localhost") == 0 || strcmp(text, "[::1]") == 0 ||
	       (inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

/* The length of a host's name or address at the beginning of text, 0 if there is none. */
static size_t host_length(const char *text)
{
	struct in6_addr v6;
	char address[64];
	if (*text != '[') {
		for (size_t i = 0;; i++) {
			if (!isalnum((unsigned char)text[i]) && text[i] != '.' && text[i] != '-')
				return *text == '.' || *text == '-' ? 0 : i;
		}
	}
	size_t len = strcspn(text + 1, "]");
	if (len >= sizeof address || text[1 + len] != ']')
		return 0;
	memcpy(address, text + 1, len);
	address[len] = '\0';
	return inet_pton(AF_INET6, address, &v6) == 1 ? len + 2 : 0;
}

static bool port_fine(const char *text)
{
	size_t len = strspn(text, digits);
	unsigned port = 0;
	if (len == 0 || len > 5 || text[len])
		return false;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	return port > 0 && port <= UINT16_MAX;
}

/* "https://host" or "https://host:port". */
static bool endpoint_parse(const char *text, bool http, struct s3_target *out, const char **problem)
{
	*problem = "endpoint is not like https://host or https://host:port";
	out->tls = strncmp(text, "https://", 8) == 0;
	if (!out->tls && strncmp(text, "http://", 7) != 0)
		return false;
	text += out->tls ? 8 : 7;
	size_t len = host_length(text), all = strlen(text);
	if (all > 0 && text[all - 1] == '/')
		all--;
	const char *rest = text + len;
	char port[8] = "";
	if (len == 0 || len > 253)
		return false;
	if (*rest == ':') {
		if (all - len - 1 >= sizeof port)
			return false;
		memcpy(port, rest + 1, all - len - 1);
		port[all - len - 1] = '\0';
		if (!port_fine(port))
			return false;
	} else if (len != all) {
		return false;
	}
	if (!out->tls && !http && !loopback(text, len)) {
		*problem = "plain http is for this machine itself; elsewhere what is pushed could be read on the way";
		return false;
	}
	bool usual = strcmp(port, out->tls ? "443" : "80") == 0;
	snprintf(out->host, sizeof out->host, "%.*s%s%s", (int)len, text, *port && !usual ? ":" : "",
		 usual ? "" : port);
	return true;
}

/* --- the whole --- */

struct options {
	char endpoint[S3_HOST], region[LIMIT_S3_REGION_CHARS + 1], style[8];
};

static bool option_set(struct options *o, const char *pair, size_t len, const char **problem)
{
	const char *equals = memchr(pair, '=', len);
	size_t name = equals ? (size_t)(equals - pair) : len;
	struct {
		const char *name;
		char *place;
		size_t size;
	} rows[] = { { "endpoint", o->endpoint, sizeof o->endpoint },
		     { "region", o->region, sizeof o->region },
		     { "style", o->style, sizeof o->style } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (name != strlen(rows[i].name) || memcmp(pair, rows[i].name, name) != 0)
			continue;
		*problem = "endpoint, region or style is empty, too long, or there twice";
		return equals && !*rows[i].place && decode(equals + 1, len - name - 1, rows[i].place, rows[i].size) &&
		       *rows[i].place;
	}
	*problem = "behind the question mark stand endpoint, region and style, and nothing else";
	return false;
}

static bool options_parse(const char *text, struct options *o, const char **problem)
{
	while (*text) {
		size_t len = strcspn(text, "&");
		if (!option_set(o, text, len, problem))
			return false;
		text += len;
		text += *text == '&';
	}
	*problem = "region is not like eu-central-1";
	size_t len = strlen(o->region);
	if (strspn(o->region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != len)
		return false;
	*problem = "style is path or host";
	return !*o->style || strcmp(o->style, "path") == 0 || strcmp(o->style, "host") == 0;
}

static bool bucket_parse(const char *text, size_t len, struct s3_target *out)
{
	if (len < 3 || len >= sizeof out->bucket)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool letter = isalnum((unsigned char)text[i]);
		if (!letter && (i == 0 || i == len - 1 || !strchr(".-_", text[i])))
			return false;
		if (text[i] == '.' && text[i - 1] == '.')
			return false;
	}
	memcpy(out->bucket, text, len);
	return true;
}

static bool prefix_parse(const char *text, size_t len, struct s3_target *out)
{
	size_t room = sizeof out->prefix - 1; /* for the slash */
	if (!decode(text, len, out->prefix, room))
		return false;
	size_t got = strlen(out->prefix);
	if (got > 0 && out->prefix[got - 1] != '/')
		memcpy(out->prefix + got, "/", 2);
	return out->prefix[0] != '/';
}

/* The host, by what the options say. */
static bool settle(struct s3_target *out, const struct options *o, bool http, const char **problem)
{
	char host[S3_HOST];
	bool small = true;
	for (const char *p = out->bucket; *p; p++)
		small = small && !isupper((unsigned char)*p) && *p != '_';
	*problem = "without an endpoint it is AWS, and that needs region=…";
	if (!*o->endpoint && !*o->region)
		return false;
	snprintf(out->region, sizeof out->region, "%s", *o->region ? o->region : "us-east-1");
	char aws[128];
	snprintf(aws, sizeof aws, "https://s3.%s.amazonaws.com%s", out->region,
		 strncmp(out->region, "cn-", 3) == 0 ? ".cn" : "");
	if (!endpoint_parse(*o->endpoint ? o->endpoint : aws, http, out, problem))
		return false;
	out->in_path = *o->style ? o->style[0] == 'p' : *o->endpoint || strchr(out->bucket, '.');
	if (out->in_path)
		return true;
	*problem = "style=host needs a bucket of small letters, and a host that has a name";
	if (!small || out->host[0] == '[' || isdigit((unsigned char)out->host[0]))
		return false;
	memcpy(host, out->host, sizeof host);
	return snprintf(out->host, sizeof out->host, "%s.%s", out->bucket, host) < (int)sizeof out->host;
}

bool s3_url_parse(const char *text, bool http, struct s3_target *out, const char **problem)
{
	struct options o = { 0 };
	*out = (struct s3_target){ 0 };
	*problem = "it is not like s3://bucket/folder?endpoint=https://host&region=name";
	if (strncmp(text, "s3://", 5) != 0 || strlen(text) > LIMIT_URL_CHARS || strchr(text, '#'))
		return false;
	text += 5;
	size_t path = strcspn(text, "?"), bucket = strcspn(text, "/?");
	*problem = "the bucket's name is not one";
	if (!bucket_parse(text, bucket, out))
		return false;
	*problem = "the folder in the bucket has no sound name";
	if (bucket < path && !prefix_parse(text + bucket + 1, path - bucket - 1, out))
		return false;
	return options_parse(text + path + (text[path] == '?'), &o, problem) && settle(out, &o, http, problem);
}

bool s3_target_key(const struct s3_target *target, const char *key, char out[LIMIT_S3_KEY_BYTES + 1])
{
	int len = snprintf(out, LIMIT_S3_KEY_BYTES + 1, "%s%s", target->prefix, key);
	return *key && len > 0 && len <= LIMIT_S3_KEY_BYTES;
}

void s3_target_path(const struct s3_target *target, const char *whole_key, struct buf *out)
{
	buf_add_text(out, "/");
	if (target->in_path) {
		s3_encode(out, target->bucket, true);
		if (whole_key)
			buf_add_text(out, "/");
	}
	if (whole_key)
		s3_encode(out, whole_key, true);
}
