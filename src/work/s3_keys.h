/* The access key of a bucket: from a file in AWS's own form, or from the environment. Never logged, never part of a
 * message. Pure but for s3_keys_environment.
 *
 *   [default]                           (optional; other profiles are passed over)
 *   aws_access_key_id = NAME
 *   aws_secret_access_key = WORD
 *   aws_session_token = WORD            (only with temporary keys) */
#ifndef HOLDFAST_WORK_S3_KEYS_H
#define HOLDFAST_WORK_S3_KEYS_H

#include "base/limits.h"

#include <stdbool.h>

struct s3_keys {
	char access[LIMIT_S3_ACCESS_CHARS + 1];
	char secret[LIMIT_S3_SECRET_CHARS + 1];
	char token[LIMIT_S3_TOKEN_CHARS + 1]; /* "": none */
};

/* `text` is changed by reading it; who read it from a file judges that file's mode and forgets the text. On false *line
 * (0: the file as a whole) and the fixed sentence *problem say what is wrong, and *out is empty. */
bool s3_keys_parse(char *text, struct s3_keys *out, unsigned *line, const char **problem);
/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. False with a fixed sentence in *problem when they are
 * not there, or are no keys. */
bool s3_keys_environment(struct s3_keys *out, const char **problem);
/* Overwrites them. */
void s3_keys_forget(struct s3_keys *keys);

#endif
