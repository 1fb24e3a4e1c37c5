/* The operator's file of credentials, see credentials.h. */
#include "work/credentials.h"

#include "base/limits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static char *trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	size_t len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static bool host_parse(char *text, struct credential *out)
{
	char *port = NULL;
	if (*text == '[') {
		char *end = strchr(++text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
		*end = '\0';
	} else if ((port = strrchr(text, ':')) && strchr(text, ':') == port) {
		*port++ = '\0';
	} else {
		port = NULL;
	}
	size_t len = strlen(text);
	if (len == 0 || len >= sizeof out->host)
		return false;
	for (size_t i = 0; i <= len; i++)
		out->host[i] = (char)tolower((unsigned char)text[i]);
	if (!port)
		return true;
	char *end;
	unsigned long value = isdigit((unsigned char)*port) ? strtoul(port, &end, 10) : 0;
	if (value == 0 || value > UINT16_MAX || *end)
		return false;
	out->port = (uint16_t)value;
	return true;
}

static bool value_fine(const char *value)
{
	for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			return false;
	}
	return *value != '\0';
}

static bool set(char **place, const char *value, const char **problem)
{
	*problem = *place ? "it was said before" : "the value is empty, or holds a control character";
	if (*place || !value_fine(value))
		return false;
	*place = strdup(value);
	*problem = "out of memory";
	return *place != NULL;
}

static bool header_fine(const char *value)
{
	const char *colon = strchr(value, ':');
	if (!colon || colon == value)
		return false;
	for (const char *p = value; p < colon; p++) {
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			return false;
	}
	return colon[1] != '\0';
}

static bool pair_parse(struct credential *c, char *line, const char **problem)
{
	char *equals = strchr(line, '=');
	*problem = "it is neither [host] nor user, password or header = value";
	if (!equals || !c)
		return false;
	*equals = '\0';
	const char *key = trim(line), *value = trim(equals + 1);
	if (strcmp(key, "user") == 0)
		return set(&c->user, value, problem);
	if (strcmp(key, "password") == 0)
		return set(&c->password, value, problem);
	if (strcmp(key, "header") != 0)
		return false;
	*problem = "a header is like 'Authorization: Bearer …'";
	return header_fine(value) && set(&c->header, value, problem);
}

static bool complete(const struct credential *c, const char **problem)
{
	*problem = "the host before it needs user and password, or a header";
	if (!c)
		return true;
	if (c->user && strchr(c->user, ':')) {
		*problem = "a user's name has no colon";
		return false;
	}
	return c->header ? !c->user && !c->password : c->user && c->password;
}

static bool line_parse(struct credentials *out, char *line, const char **problem)
{
	struct credential *last = out->count > 0 ? &out->items[out->count - 1] : NULL;
	size_t len = strlen(line);
	if (*line == '\0' || *line == '#' || *line == ';')
		return true;
	if (*line != '[' || line[len - 1] != ']')
		return pair_parse(last, line, problem);
	if (!complete(last, problem))
		return false;
	*problem = "too many hosts";
	if (out->count == LIMIT_CREDENTIALS)
		return false;
	line[len - 1] = '\0';
	*problem = "it names no host";
	if (!host_parse(trim(line + 1), &out->items[out->count]))
		return false;
	out->count++;
	return true;
}

bool credentials_parse(char *text, struct credentials *out, unsigned *line, const char **problem)
{
	*out = (struct credentials){ .items = calloc(LIMIT_CREDENTIALS + 1, sizeof *out->items) };
	*problem = "out of memory";
	*line = 1;
	bool ok = out->items != NULL;
	for (char *at = text, *next; ok && at; at = next, *line += 1) {
		next = strchr(at, '\n');
		if (next)
			*next++ = '\0';
		ok = line_parse(out, trim(at), problem);
		if (!ok)
			break;
	}
	ok = ok && (out->count == 0 || complete(&out->items[out->count - 1], problem));
	if (!ok)
		credentials_release(out);
	return ok;
}

static void forget(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void credentials_release(struct credentials *c)
{
	for (size_t i = 0; c->items && i <= LIMIT_CREDENTIALS; i++) {
		forget(c->items[i].user);
		forget(c->items[i].password);
		forget(c->items[i].header);
	}
	free(c->items);
	*c = (struct credentials){ 0 };
}

const struct credential *credentials_find(const struct credentials *c, const struct source_place *place)
{
	const struct credential *found = NULL;
	for (size_t i = 0; i < c->count; i++) {
		const struct credential *at = &c->items[i];
		if (strcmp(at->host, place->host) != 0 || (at->port && at->port != place->port))
			continue;
		if (!found || at->port)
			found = at;
	}
	return found;
}
