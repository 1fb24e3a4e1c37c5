/* Where recordings are pushed to: `s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=NAME&style=path`. Pure.
 *
 * Without `endpoint` it is AWS, and `region` is needed. `style=host` puts the bucket's name before the endpoint's host;
 * `style=path` (a server of one's own; AWS with a dot in the bucket's name, which its certificate does not cover)
 * behind it. PREFIX is a folder. Secrets have no place in it, so that it may be shown and logged. */
#ifndef HOLDFAST_WORK_S3_URL_H
#define HOLDFAST_WORK_S3_URL_H

#include "base/buf.h"
#include "base/limits.h"

#include <stdbool.h>

enum { S3_HOST = 340 }; /* a name of 253 characters, a bucket's before it, a port */

struct s3_target {
	char bucket[LIMIT_S3_BUCKET_CHARS + 1];
	char prefix[LIMIT_S3_KEY_BYTES + 1]; /* ends in a slash, or is "" */
	char region[LIMIT_S3_REGION_CHARS + 1];
	char host[S3_HOST]; /* as the Host header has it */
	bool tls;
	bool in_path; /* the bucket's name */
};

/* Plain http is open to this machine itself, and with `http` to all. On false *problem is a fixed sentence. */
bool s3_url_parse(const char *text, bool http, struct s3_target *out, const char **problem);
/* The whole name of an object in its bucket; false when that is no name (empty, too long). */
bool s3_target_key(const struct s3_target *target, const char *key, char out[LIMIT_S3_KEY_BYTES + 1]);
/* Appends the encoded path of an object by its whole name, or of the bucket (NULL). */
void s3_target_path(const struct s3_target *target, const char *whole_key, struct buf *out);

#endif
