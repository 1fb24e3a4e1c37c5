/* What a bucket's answers say: errors, ids, lists. Pure; all of it is outside bytes. On false nothing of `data` counts.
 */
#ifndef HOLDFAST_WORK_S3_ANSWER_H
#define HOLDFAST_WORK_S3_ANSWER_H

#include "work/pusher.h"

#include <stdbool.h>

struct s3_refusal {
	int status;			    /* HTTP's */
	char code[LIMIT_S3_CODE_CHARS + 1]; /* of letters and digits, "" if there is none */
	int64_t skew_s;			    /* how much the bucket's clock is ahead of ours, 0 if it doesn't say */
	bool region;			    /* it says that the bucket is in another region */
};

enum { S3_SENTENCE = 200 };

/* What the answer (any but 2xx, or an error with a 200) to `verb` means, with a sentence. */
enum err s3_refusal_judge(const struct s3_refusal *r, enum push_verb verb, char message[S3_SENTENCE]);

/* The code of an <Error>. */
bool s3_error_read(const char *data, size_t len, char code[LIMIT_S3_CODE_CHARS + 1]);
bool s3_created_read(const char *data, size_t len, char upload[LIMIT_PUSH_UPLOAD_CHARS + 1]);
/* Completing may fail behind a 200: then true, with a code. */
struct s3_completed {
	bool whole;
	char etag[LIMIT_PUSH_ETAG_CHARS + 1]; /* "": it doesn't say (radosgw 16) */
	char code[LIMIT_S3_CODE_CHARS + 1];
};
bool s3_completed_read(const char *data, size_t len, struct s3_completed *out);

struct s3_parts {
	struct push_part *items; /* owned; grows page by page */
	size_t count, room;
	bool more;
};

/* Appends a page; numbers rise over all pages, and there are no more than S3 allows. */
bool s3_parts_read(const char *data, size_t len, struct s3_parts *out);
void s3_parts_release(struct s3_parts *p);

struct s3_uploads {
	struct push_upload *items; /* owned */
	size_t count;
	bool more;
	const char *prefix; /* the target's, taken off; what has it not is left out */
};

/* One page. */
bool s3_uploads_read(const char *data, size_t len, struct s3_uploads *out);
void s3_uploads_release(struct s3_uploads *u);

/* "2026-11-24T10:00:00.000Z" in ms; 0 if it is none. */
int64_t s3_date_read(const char *text);

#endif
