/* The port for Icecast's sources as the options say: its passwords, and what a person reads on the terminal. */
#ifndef HOLDFAST_SERVE_SOURCE_H
#define HOLDFAST_SERVE_SOURCE_H

#include "config/config.h"
#include "net/server.h"

struct serve_source {
	struct source_keys *keys;
};

/* Before net_listen. 0, or 1 after a sentence on standard error. */
int serve_source_open(struct serve_source *s, struct net *net, const struct config *config);
/* When net is closed. */
void serve_source_close(struct serve_source *s);
/* The line "sources at icecast://…". */
void serve_source_print(const char *host, uint16_t port);

#endif
