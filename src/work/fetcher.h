/* Fetching a URL, as the engine sees it. One interface; fetcher_curl.c is the real one, the simulation may have its
 * own.
 *
 * Bytes come as `data` in order from `from`; the engine may pause. Exactly one `ended` for each start, unless it is
 * cancelled. `head` comes before the first byte, and before an `ended` with ERR_OK. Loop thread; callbacks come from
 * the loop, never from inside a call; inside one, any of the calls may be made. */
#ifndef HOLDFAST_WORK_FETCHER_H
#define HOLDFAST_WORK_FETCHER_H

#include "core/model.h"

struct fetcher;

struct fetch_head {
	uint64_t total;			 /* the whole length, BYTES_UNKNOWN if the source doesn't say */
	char mime[LIMIT_MIME_CHARS + 1]; /* declared, "" if not */
	bool from_start; /* the source does not do ranges (or it changed): what follows begins at byte 0 */
};

struct fetch {
	uint64_t id;	       /* the caller's; names it in every callback */
	const char *url;       /* copied */
	uint64_t from;	       /* bytes that are there already */
	const char *validator; /* ETag or Last-Modified of the earlier part, NULL if none; copied */
	uint64_t max_ms;       /* it takes no longer, redirects and pauses included; 0: LIMIT_FETCH_MS */
};

struct fetcher_events {
	void (*head)(void *arg, uint64_t id, const struct fetch_head *head, const char *validator);
	void (*data)(void *arg, uint64_t id, const void *data, size_t len);
	/* ERR_OK: the body is whole. retry_after_ms: what the source asked for, 0 if nothing */
	void (*ended)(void *arg, uint64_t id, enum err err, const char *message, uint64_t retry_after_ms);
	void *arg;
};

struct fetcher_ops {
	/* Judges the URL before anything is stored: scheme, form, literal addresses. ERR_OK, ERR_URL_REFUSED; *why: a
	 * sentence. */
	enum err (*judge)(struct fetcher *f, const char *url, const char **why);
	void (*start)(struct fetcher *f, const struct fetch *fetch);
	void (*pause)(struct fetcher *f, uint64_t id, bool paused);
	void (*cancel)(struct fetcher *f, uint64_t id);
};

struct fetcher {
	const struct fetcher_ops *ops;
	struct fetcher_events events; /* set by the engine */
};

#endif
