/* Fetching by libcurl in a test's hands: a fetcher and two servers on one loop, and what came of it. */
#ifndef HOLDFAST_TESTS_FETCH_RIG_H
#define HOLDFAST_TESTS_FETCH_RIG_H

#include "support/web_server.h"
#include "work/fetcher_curl.h"

enum { MAX_BYTES = 100 * 1000, WAIT_MS = 10 * 1000 };

struct rig {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct fetcher *f;
	struct web_server *servers[2];
	char heads[16][8192]; /* what was asked */
	unsigned asked;
	void (*answer)(struct rig *g, struct web_peer *peer, const struct web_request *r);
	unsigned port, other;
	/* what came of it */
	uint64_t retry_after_ms;
	struct fetch_head head;
	char validator[512];
	char data[2 * MAX_BYTES];
	size_t len;
	unsigned headed, ended;
	enum err err;
	char message[256];
	bool pause_at_once, cancel_at_once, closed, late;
	unsigned paused_calls;
};

/* cmocka's own; *state is a struct rig. `whole` answers ten bytes and an ETag. */
void open_fetcher(struct rig *g, const char *allow, bool http);
void close_fetcher(struct rig *g);
void begin(struct rig *g, const char *url, uint64_t from, const char *validator);
void wait_end(struct rig *g);
void fetch_from(struct rig *g, uint64_t from, const char *validator);
void expect(struct rig *g, enum err err, const char *data);
bool asked(struct rig *g, unsigned request, const char *line);
int fetch_rig_set_up(void **state);
int fetch_rig_tear_down(void **state);
/* A server's request, with the rig as `arg`. */
void fetch_rig_answer(void *arg, struct web_peer *peer, const struct web_request *r);
void whole(struct rig *g, struct web_peer *p, const struct web_request *r);

#endif
