/* Delivering one event to the webhook, as the engine sees it; notifier_curl.c is the real one (Standard Webhooks).
 * Loop thread; `done` comes from the loop, once for each deliver. */
#ifndef HOLDFAST_WORK_NOTIFIER_H
#define HOLDFAST_WORK_NOTIFIER_H

#include "core/model.h"

struct notifier;

struct notification {
	uint64_t id;		/* the caller's */
	const char *message_id; /* webhook-id: the same for each repeat; copied */
	int64_t now_ms;		/* webhook-timestamp */
	const char *body;	/* JSON; copied */
	size_t len;
};

struct notifier_ops {
	void (*deliver)(struct notifier *n, const struct notification *what);
	void (*cancel)(struct notifier *n, uint64_t id);
};

struct notifier {
	const struct notifier_ops *ops;
	/* set by the engine. ERR_OK: accepted (2xx). ERR_ENDPOINT_FAILED else, and ERR_ENDPOINT_GONE when the receiver
	 * says that it wants none ever again; message: why. retry_after_ms: what the receiver asked for, 0 if nothing
	 */
	void (*done)(void *arg, uint64_t id, enum err err, const char *message, uint64_t retry_after_ms);
	void *arg;
};

#endif
