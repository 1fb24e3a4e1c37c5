/* See serve_source.h. */
#include "serve_source.h"

#include "base/limits.h"
#include "net/source_keys.h"
#include "serve_web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_file(struct source_keys *keys, const char *path)
{
	const char *problem;
	unsigned line;
	char *text = serve_secret_read(path, LIMIT_SOURCE_KEYS_BYTES);
	if (!text)
		return 1;
	size_t len = strlen(text);
	bool ok = source_keys_parse(keys, text, &line, &problem);
	explicit_bzero(text, len);
	free(text);
	if (!ok)
		fprintf(stderr, "holdfast: %s:%u: %s\n", path, line, problem);
	return ok ? 0 : 1;
}

int serve_source_open(struct serve_source *s, struct net *net, const struct config *c)
{
	const char *problem;
	if (!c->source_host)
		return 0;
	if (source_keys_new(&s->keys) != ERR_OK) {
		fprintf(stderr, "holdfast: the passwords of sources: out of memory\n");
		return 1;
	}
	if (c->source_passwords && read_file(s->keys, c->source_passwords) != 0)
		return 1;
	if (c->source_password && !source_keys_add(s->keys, "*", c->source_password, &problem)) {
		fprintf(stderr, "holdfast: --source-password: %s\n", problem);
		return 1;
	}
	net_source(net, &(struct net_source){ .host = c->source_host, .port = c->source_port, .keys = s->keys });
	return 0;
}

void serve_source_close(struct serve_source *s)
{
	source_keys_free(s->keys);
	s->keys = NULL;
}

void serve_source_print(const char *host, uint16_t port)
{
	bool is_v6 = strchr(host, ':') != NULL;
	printf("sources at icecast://source@%s%s%s:%u/SHOW\n", is_v6 ? "[" : "", *host ? host : "*", is_v6 ? "]" : "",
	       port);
}
