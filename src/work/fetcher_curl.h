/* Fetching by libcurl, see work/fetcher.h.
 *
 * Redirects are followed here and not by libcurl: each hop is a request of its own, judged as the first one was, and
 * shown only the credentials of its own host. Every address is judged when its socket is made. Nothing that the user of
 * this process has configured elsewhere is used (proxies, .netrc, cookies). */
#ifndef HOLDFAST_WORK_FETCHER_CURL_H
#define HOLDFAST_WORK_FETCHER_CURL_H

#include "work/credentials.h"
#include "work/fetcher.h"
#include "work/source_url.h"

#include <uv.h>

struct fetcher_curl_config {
	uv_loop_t *loop;
	struct source_rules rules; /* these two are taken over, also on an error */
	struct credentials credentials;
	const char *ca_file; /* certificates to trust instead of the system's; NULL: the system's; copied */
	const char *agent;   /* User-Agent; copied */
	uint64_t max_bytes;
	uint32_t connect_ms, stall_s; /* 0: the limits */
};

enum err fetcher_curl_new(struct fetcher_curl_config *config, struct fetcher **out);
/* Cancels what is under way; `closed` comes when nothing of it is left on the loop. Accepts NULL (no `closed`). */
void fetcher_curl_close(struct fetcher *fetcher, void (*closed)(void *arg), void *arg);

#endif
