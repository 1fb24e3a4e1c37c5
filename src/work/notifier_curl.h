/* Webhooks by libcurl, see work/notifier.h: signed as in Standard Webhooks, no redirects, one time-out for the whole.
 * The URL is the operator's own, so it may be plain http and on any address. */
#ifndef HOLDFAST_WORK_NOTIFIER_CURL_H
#define HOLDFAST_WORK_NOTIFIER_CURL_H

#include "work/notifier.h"
#include "work/webhook.h"

#include <uv.h>

struct notifier_curl_config {
	uv_loop_t *loop;
	const char *url; /* copied, as all text */
	struct webhook_secret secret;
	const char *ca_file; /* NULL: the system's */
	const char *agent;
	uint32_t wait_ms; /* 0: LIMIT_NOTIFY_WAIT_MS */
};

/* http or https, with a host. */
bool notifier_url_fine(const char *url);
enum err notifier_curl_new(const struct notifier_curl_config *config, struct notifier **out);
/* Cancels what is under way; `closed` comes when nothing of it is left on the loop. Accepts NULL (no `closed`). */
void notifier_curl_close(struct notifier *notifier, void (*closed)(void *arg), void *arg);

#endif
