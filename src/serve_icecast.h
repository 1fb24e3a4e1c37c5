/* --icecast: what is on air here goes to a foreign Icecast too.
 *
 * Each show has a stream of its own (work/relay.h), fed from its broadcast as any listener is; with one mount for all,
 * one show at a time. A stream that ends by itself is begun again, after 1 s, 2 s … 30 s, with the newest of what is on
 * air; another recorder or host begins another stream, because its header differs. What fails is logged when it begins
 * to, or fails in another way, and when it is over. Loop thread. */
#ifndef HOLDFAST_SERVE_ICECAST_H
#define HOLDFAST_SERVE_ICECAST_H

#include "base/list.h"
#include "engine/engine.h"
#include "work/relay_url.h"

#include <uv.h>

struct serve_icecast {
	struct engine *engine;
	struct relay_url url;
	uv_timer_t timer;
	struct list pushes;
	unsigned count;
	uint64_t shows_at_ms; /* asked for last */
	bool open, asking;
};

/* `url` was judged by relay_url_parse; NULL: there is none. */
void serve_icecast_open(struct serve_icecast *s, uv_loop_t *loop, struct engine *engine, const char *url);
/* Before engine_close; the loop must run once more behind it. Also when it is not open. */
void serve_icecast_close(struct serve_icecast *s);

#endif
