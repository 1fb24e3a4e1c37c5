/* Pushing to S3 by libcurl, see work/pusher.h: signed by s3_sign.h, no redirects, nothing of this process's user
 * (proxies, .netrc). The endpoint is the operator's own, so it may have any address. */
#ifndef HOLDFAST_WORK_PUSHER_S3_H
#define HOLDFAST_WORK_PUSHER_S3_H

#include "work/pusher.h"
#include "work/s3_keys.h"
#include "work/s3_url.h"

#include <uv.h>

struct pusher_s3_config {
	uv_loop_t *loop;
	const struct s3_target *target; /* copied, as everything */
	const struct s3_keys *keys;
	const char *ca_file; /* certificates to trust instead of the system's; NULL: the system's */
	const char *agent;   /* User-Agent */
	uint32_t connect_ms, wait_ms, complete_ms, stall_s; /* 0: the limits */
};

enum err pusher_s3_new(const struct pusher_s3_config *config, struct pusher **out);
/* Cancels what is under way; `closed` comes when nothing of it is left on the loop. Accepts NULL (no `closed`). */
void pusher_s3_close(struct pusher *pusher, void (*closed)(void *arg), void *arg);

#endif
