/* Pushing to S3: what its files share. Nobody else includes it. */
#ifndef HOLDFAST_WORK_PUSHER_PRIVATE_H
#define HOLDFAST_WORK_PUSHER_PRIVATE_H

#include "work/curl_loop.h"
#include "work/pusher_s3.h"
#include "work/s3_answer.h"
#include "work/s3_sign.h"

struct pusher_s3 {
	struct pusher pusher;
	struct pusher_s3_config config; /* its pointers: owned, or to what stands here */
	struct s3_target target;
	struct s3_keys keys;
	char *ca_file, *agent; /* owned */
	struct curl_loop *loop;
	struct list pushes;
	bool unconditional; /* the bucket has no If-None-Match: remembered, so that it is not asked again */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* A piece of a body: free, asked for, or here. */
struct piece {
	uint64_t at; /* of the body */
	size_t len, used;
	bool asked, here;
	uint8_t *data; /* owned, LIMIT_READ_BYTES; NULL before its first use */
};

enum { PIECES = 2, KEY = LIMIT_S3_KEY_BYTES + 1 };

/* A step at work: one request, or one for each page of a list. */
struct push {
	struct curl_transfer curl;
	struct pusher_s3 *p;
	uint64_t id;
	enum push_verb verb;
	int64_t now_ms;	     /* wall clock, when … */
	uint64_t started_ms; /* … the loop's was this */
	char key[KEY];	     /* whole */
	char *upload, *mime; /* owned, NULL if none */
	char sha256[S3_HASH];
	unsigned part;
	struct push_body body;
	uint8_t md5[16]; /* body.md5 points to it, or is NULL */
	bool fresh, key_fine;
	struct buf text;	   /* the body of complete */
	struct push_upload *after; /* owned */

	bool begin, cancelled, held; /* held: libcurl waits for feed */
	bool asked_first;	     /* it was cut off once: the body waits for "100 Continue", however small it is */
	bool conditional;	     /* this request has If-None-Match */
	struct piece pieces[PIECES];
	uint64_t sent_at, want_at; /* of the body */
	struct curl_slist *headers;
	/* the answer */
	struct buf answer;
	size_t header_bytes, answer_bytes;
	bool too_long;
	char etag[LIMIT_PUSH_ETAG_CHARS + 1], meta_sha256[S3_HASH];
	int64_t date_s; /* 0: none */
	bool region;
	uint64_t length;
	bool has_length;
	struct s3_parts parts;
	struct s3_uploads uploads;
};

/* pusher_s3_ask.c: a request's headers, URL and body, given to the easy handle. False: out of memory. */
bool push_ask(struct push *t);
/* Wall clock, by the caller's word at the start: a part may take longer than clocks may differ. */
int64_t push_now_s(const struct push *t);
/* It sent its body without waiting for a "100 Continue", and has one. */
bool push_may_ask_first(const struct push *t);
/* pusher_s3_hear.c: what libcurl calls, and what the answer means. */
void push_listen(struct push *t);
void push_forget_answer(struct push *t);
/* Of an answered request. True: the step has ended, and *result is its result, with the sentence in `message`; false:
 * it goes on with another request. */
bool push_judge(struct push *t, struct push_result *result, char message[S3_SENTENCE]);
/* pusher_s3_body.c: the body's pieces. */
void push_send(struct push *t);
void push_feed(struct push *t, uint64_t offset, const void *data, size_t len);
void push_pieces_release(struct push *t);

#endif
