/* One request of tus by libcurl: its headers and body out, the answer's headers in. */
#ifndef HOLDFAST_CLIENT_TUS_REQUEST_H
#define HOLDFAST_CLIENT_TUS_REQUEST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TUS_LOCATION = 2048, TUS_TEXT = 2000 };

enum tus_method { TUS_OPTIONS, TUS_POST, TUS_HEAD, TUS_PATCH };

struct tus_call {
	enum tus_method method;
	const char *url, *token, *ca_file; /* token, ca_file: or NULL */
	int fd;				   /* PATCH: its body is [offset, offset + length) of it */
	uint64_t offset, length;	   /* POST: length of the file */
	const char *name, *mime;	   /* POST: metadata; mime or NULL */
};

struct tus_answer {
	long status, retry_after_s;
	int64_t offset, length; /* -1: not said */
	bool speaks_tus;
	char location[TUS_LOCATION];
	char text[TUS_TEXT]; /* the body's beginning */
};

struct tus_request {
	CURL *easy;
	struct curl_slist *headers;
	int fd;
	uint64_t body_start, body_at, body_end;
	bool body_failed; /* the file could not be read */
	struct tus_answer answer;
	char reason[CURL_ERROR_SIZE];
};

/* Makes an easy handle that is ready to be performed; `out` must stay where it is. False: no memory; to be released in
 * any case. */
bool tus_request_make(struct tus_request *out, const struct tus_call *call);
void tus_request_release(struct tus_request *r);

/* Do scheme, host and port agree? */
bool tus_url_same_origin(const char *a, const char *b);
/* What the answer's body says to people: a problem's detail, or its first line; "" when nothing. */
void tus_answer_sentence(const struct tus_answer *answer, char *out, size_t size);
/* A failure that the next attempt would meet again: the address, the certificate. */
bool tus_request_is_misconfigured(CURLcode result);
/* `location`, which may be relative, as seen from `base`; NULL when it is none. To be freed. */
char *tus_url_resolve(const char *base, const char *location);

#endif
