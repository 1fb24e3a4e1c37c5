/* An outside authority asked by libcurl, see work/authority.h: one POST of JSON for each token, the token in its body
 * alone; no redirects, one time-out for the whole, a short answer. */
#ifndef HOLDFAST_WORK_AUTHORITY_CURL_H
#define HOLDFAST_WORK_AUTHORITY_CURL_H

#include "work/authority.h"

#include <uv.h>

struct authority_curl_config {
	uv_loop_t *loop;
	const char *url;     /* authority_url_fine; copied, as all text */
	const char *secret;  /* sent as a bearer token, so that it knows who asks; NULL: none is */
	const char *ca_file; /* NULL: the system's */
	const char *agent;
	uint32_t wait_ms; /* 0: LIMIT_AUTHORITY_WAIT_MS */
};

/* https, or http on loopback; nobody's name or password in it. */
bool authority_url_fine(const char *url);
/* A line of visible characters, blanks and ends of line behind it ignored: cut in place; false when it is none. */
bool authority_secret_trim(char *text);
enum err authority_curl_new(const struct authority_curl_config *config, struct authority **out);
/* Cancels what is under way; `closed` comes when nothing of it is left on the loop. Accepts NULL (no `closed`). */
void authority_curl_close(struct authority *authority, void (*closed)(void *arg), void *arg);

#endif
