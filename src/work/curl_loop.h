/* libcurl on a libuv loop: transfers whose sockets and timers the loop watches, nothing blocks.
 *
 * Nothing here calls libcurl from inside of a call to it: what a callback asks for is done in the loop's next turn
 * (`soon`). Name look-ups are libcurl's threads; one that is under way is left behind, not waited for. */
#ifndef HOLDFAST_WORK_CURL_LOOP_H
#define HOLDFAST_WORK_CURL_LOOP_H

#include "base/err.h"
#include "base/list.h"

#include <curl/curl.h>
#include <uv.h>

struct curl_loop;

/* Embedded in the caller's own struct. */
struct curl_transfer {
	struct list link;
	CURL *easy; /* the caller sets it up; owned here from curl_loop_begin on */
	bool added;
	/* It ended on its own; not after curl_transfer_drop. The easy handle may still be asked, and goes with
	 * curl_transfer_drop. Never from inside of a call to libcurl. */
	void (*done)(struct curl_transfer *transfer, CURLcode code);
};

/* `soon` comes in the loop's next turn after curl_loop_soon. ERR_NO_MEMORY. */
enum err curl_loop_new(uv_loop_t *loop, void (*soon)(void *arg), void *arg, struct curl_loop **out);
/* Every transfer was dropped. `closed` comes when nothing of it is left on the loop, and it is freed. */
void curl_loop_close(struct curl_loop *l, void (*closed)(void *arg), void *arg);

void curl_loop_soon(struct curl_loop *l);
/* These only from `soon` or `done`. An easy handle with what every transfer has (no proxy, no signals, no files of the
 * user's; one HTTP version); NULL when memory is out. */
CURL *curl_loop_easy(void);
bool curl_loop_begin(struct curl_loop *l, struct curl_transfer *transfer);
/* Of an answered one: how long it asks to be left alone, at most a day; 0: it doesn't. */
uint64_t curl_retry_after_ms(CURL *easy);
void curl_transfer_drop(struct curl_loop *l, struct curl_transfer *transfer);

#endif
