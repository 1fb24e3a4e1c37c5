/* What `holdfast serve` needs for its work with the outside: who fetches recordings by URL, and who delivers webhooks,
 * who pushes to a bucket, and who is asked what tokens allow; all as the options say. */
#ifndef HOLDFAST_SERVE_WEB_H
#define HOLDFAST_SERVE_WEB_H

#include "config/config.h"

#include <uv.h>

struct authority;
struct fetcher;
struct notifier;
struct pusher;

struct serve_web {
	struct fetcher *fetcher;
	struct notifier *notifier;   /* NULL: there is no webhook */
	struct pusher *pusher;	     /* NULL: there is no bucket */
	struct authority *authority; /* NULL: nobody is asked */
};

/* A file that only its owner may read: a new string of at most `max` bytes, to be wiped; NULL after a sentence on
 * standard error. */
char *serve_secret_read(const char *path, size_t max);

/* 0, or 1 after a sentence on standard error. */
int serve_web_open(struct serve_web *w, uv_loop_t *loop, const struct config *config);
/* When the engine is closed; the loop must run once more behind it. */
void serve_web_close(struct serve_web *w);

#endif
