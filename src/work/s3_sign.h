/* Requests to S3, signed: Signature Version 4 with the payload's hash in a header (AWS, "Signing AWS API requests" and
 * the S3 API's "Authenticating Requests: Using the Authorization Header"). Pure.
 *
 * Ours because libcurl 7.88 signs paths and queries as they are typed, sorts headers wrongly, and hashes what a read
 * function would bring as if it were nothing. */
#ifndef HOLDFAST_WORK_S3_SIGN_H
#define HOLDFAST_WORK_S3_SIGN_H

#include "base/buf.h"
#include "work/s3_keys.h"

#include <stdint.h>

enum { S3_HASH = 65, S3_TIME = 17, S3_SIGNED = 16 };

struct s3_pair {
	const char *name; /* of a header: in lower case */
	const char *value;
};

/* What is signed is what is sent: the same path, the same query, these headers and no other with x-amz- before it. */
struct s3_request {
	const char *method;
	const char *path;	       /* encoded, beginning with a slash */
	const char *query;	       /* as s3_query makes it, "" if none */
	const struct s3_pair *headers; /* with host, x-amz-date and x-amz-content-sha256; in any order … */
	size_t header_count;	       /* … at most S3_SIGNED */
	const char *payload;	       /* x-amz-content-sha256's value */
};

struct s3_scope {
	const struct s3_keys *keys;
	const char *region;
	const char *service; /* "s3" */
	char time[S3_TIME];  /* x-amz-date's value */
};

/* "20150830T123600Z". False for a year that has not four digits. */
bool s3_time(int64_t now_s, char out[S3_TIME]);
/* SHA-256 in lower-case hexadecimal. */
bool s3_hash(const void *data, size_t len, char out[S3_HASH]);
void s3_hex(const uint8_t *bytes, size_t len, char *out); /* 2 * len + 1 */
/* Percent-encoded as SigV4 wants: all but A-Z a-z 0-9 - . _ ~ and, with `path`, the slash. */
void s3_encode(struct buf *out, const char *text, bool path);
/* The canonical query: encoded, sorted by name; at most S3_SIGNED pairs, none twice. */
void s3_query(struct buf *out, const struct s3_pair *pairs, size_t count);
/* Appends the value of Authorization. False when memory or libcrypto fails. */
bool s3_sign(const struct s3_request *request, const struct s3_scope *scope, struct buf *out);

#endif
