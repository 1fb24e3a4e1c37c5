/* What fetcher_curl.c (a fetch's life) and fetcher_hear.c (what libcurl tells it) share; not for others. */
#ifndef HOLDFAST_WORK_FETCHER_PRIVATE_H
#define HOLDFAST_WORK_FETCHER_PRIVATE_H

#include "work/curl_loop.h"
#include "work/fetch_answer.h"
#include "work/fetcher_curl.h"

struct fetcher_curl {
	struct fetcher fetcher;
	struct fetcher_curl_config config;
	char *ca_file, *agent; /* owned */
	struct curl_loop *loop;
	struct list transfers;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* One fetch: request after request, until one hands out the bytes. */
struct transfer {
	struct curl_transfer curl;
	struct fetcher_curl *f;
	uint64_t id;
	char *url;	      /* of the present hop */
	char *validator;      /* NULL: no range is asked for */
	uint64_t from;	      /* what the caller has */
	uint64_t at;	      /* where the next byte stands */
	uint64_t total;	      /* of the whole */
	uint64_t deadline_ms; /* of the loop's clock */
	unsigned redirects;
	struct source_place place;
	struct curl_slist *headers;
	struct fetch_answer answer;
	size_t header_bytes;
	enum fetch_verdict verdict;
	bool judged;	       /* `verdict` and `err` are of the present answer */
	bool refused;	       /* an address was */
	bool begin, cancelled; /* to be done soon */
	bool paused, held;     /* the caller's wish; libcurl holds bytes back */
	enum err err;
	uint64_t retry_after_ms; /* the last answer's */
	char message[160];
};

/* Why it ends. */
void fetch_say(struct transfer *t, enum err err, const char *message);
bool fetch_asks_range(const struct transfer *t);
/* Decides by the answer's head, once, and tells the caller if its bytes are wanted. */
void fetch_judge(struct transfer *t);
/* Sets what libcurl calls. */
void fetch_listen(struct transfer *t);

#endif
