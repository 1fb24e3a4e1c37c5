/* Pushing finished files to a bucket, as the engine sees it: single steps, each of which the engine drives, and whose
 * results it writes to the catalog between them, so that a crash resumes where it was. pusher_s3.c is the real one.
 *
 * A file below one part (push_plan): PUSH_PUT. Else PUSH_CREATE, whose upload id is written down; PUSH_PART for each,
 * whose ETag is written down; PUSH_COMPLETE. After a crash PUSH_PARTS says what is there: parts of the right size and
 * the ETag that was written down are not sent again. What the answer to a lost PUSH_PUT or PUSH_COMPLETE was, PUSH_HEAD
 * tells: so also after ERR_EXISTS and ERR_UPLOAD_GONE, before anything is begun anew. Each step may be repeated.
 * Not every bucket looks at `fresh` when it completes (radosgw 16 does for PUSH_PUT only): PUSH_HEAD before
 * PUSH_COMPLETE is what keeps another's object from being replaced there.
 *
 * A body's bytes are the engine's to read, where it reads everything: `want` asks for a stretch of the file, the engine
 * reads it on a lane and answers with feed. Two pieces at most are asked for or held at a time, so nothing is ever
 * whole in memory and nothing here reads a file. Hashes go before the body, so they are the caller's too: it reads a
 * part once on the pool lane for them, from the page cache the second time. (The other ways: unsigned payloads, which
 * protect nothing on plain http; chunks signed one by one, which not every server takes.) The bucket compares
 * x-amz-content- sha256 with what it got, so a part that was damaged on the way is refused and not kept.
 *
 * Loop thread; callbacks come from the loop, exactly one `done` for each start, unless it is cancelled. Inside a
 * callback any of the calls may be made. */
#ifndef HOLDFAST_WORK_PUSHER_H
#define HOLDFAST_WORK_PUSHER_H

#include "base/err.h"
#include "base/limits.h"

#include <stddef.h>
#include <stdint.h>

struct pusher;

enum push_verb {
	PUSH_PUT,      /* the whole object: key, body, mime, sha256, fresh -> etag */
	PUSH_CREATE,   /* key, mime, sha256 -> upload */
	PUSH_PART,     /* key, upload, part, body -> etag */
	PUSH_PARTS,    /* key, upload -> parts, in their order */
	PUSH_COMPLETE, /* key, upload, parts, fresh -> etag, or "": not every bucket says it; PUSH_HEAD does */
	PUSH_HEAD,     /* key -> bytes, etag, sha256; ERR_NOT_FOUND */
	PUSH_ABORT,    /* key, upload; ERR_UPLOAD_GONE is as good as ERR_OK */
	PUSH_UPLOADS,  /* key (what they begin with, may be ""), after -> uploads, more */
};

struct push_body {
	uint64_t offset, len; /* in the caller's file */
	uint8_t sha256[32];   /* of that stretch */
	const uint8_t *md5;   /* 16 bytes, or NULL: only buckets with object locks want it; copied */
};

struct push_part {
	unsigned number; /* from 1 */
	uint64_t bytes;
	char etag[LIMIT_PUSH_ETAG_CHARS + 1]; /* with its quotes, as the bucket says it */
};

struct push_upload {
	char key[LIMIT_S3_KEY_BYTES + 1]; /* without the target's prefix */
	char upload[LIMIT_PUSH_UPLOAD_CHARS + 1];
	int64_t begun_ms; /* wall clock; 0 if the bucket doesn't say */
};

/* All text is copied. */
struct push_step {
	uint64_t id; /* the caller's, never used twice: a read under way may outlive its step */
	enum push_verb verb;
	int64_t now_ms;	    /* wall clock: requests are signed with it */
	const char *key;    /* behind the target's prefix */
	const char *upload; /* its id */
	unsigned part;
	struct push_body body;
	const char *mime;
	const char *sha256; /* of the whole object, 64 hexadecimal digits: kept as its metadata; NULL: unknown */
	bool fresh;	    /* If-None-Match: *, where the bucket has that: ERR_EXISTS instead of replacing */
	const struct push_part *parts; /* copied */
	size_t part_count;
	const struct push_upload *after; /* the last one of the page before, NULL: the first page */
};

/* Good until `done` returns. */
struct push_result {
	enum err err;	     /* its class says whether the step may be tried again */
	const char *message; /* a sentence, NULL with ERR_OK; never holds a secret */
	uint64_t retry_after_ms;
	const char *upload, *etag, *sha256; /* "" if there is none */
	uint64_t bytes;
	const struct push_part *parts;
	size_t part_count;
	const struct push_upload *uploads;
	size_t upload_count;
	bool more; /* uploads: there are others behind these */
};

struct pusher_events {
	/* Read so many bytes at that offset of the file, then call feed. What can't be read: cancel. */
	void (*want)(void *arg, uint64_t id, uint64_t offset, size_t len);
	void (*done)(void *arg, uint64_t id, const struct push_result *result);
	void *arg;
};

struct pusher_ops {
	void (*start)(struct pusher *p, const struct push_step *step);
	/* Exactly what was asked for; copied. What nobody waits for any more (also after cancel and `done`) is dropped.
	 */
	void (*feed)(struct pusher *p, uint64_t id, uint64_t offset, const void *data, size_t len);
	/* No word comes of it any more; what it did in the bucket until then stays. */
	void (*cancel)(struct pusher *p, uint64_t id);
};

struct pusher {
	const struct pusher_ops *ops;
	struct pusher_events events; /* set by the engine */
};

struct push_plan {
	uint64_t part_bytes; /* of each but the last; written down with the upload, as parts of one upload never change
			      */
	unsigned parts;	     /* 0: no parts, PUSH_PUT */
};

/* `part_bytes`: LIMIT_PUSH_PART_BYTES, or what is configured. Larger files get larger parts, of whole MiB. */
static inline struct push_plan push_plan(uint64_t bytes, uint64_t part_bytes)
{
	if (bytes <= part_bytes)
		return (struct push_plan){ bytes, 0 };
	uint64_t least = (bytes + LIMIT_PUSH_PARTS - 1) / LIMIT_PUSH_PARTS;
	if (part_bytes < least)
		part_bytes = (least + MIB - 1) / MIB * MIB;
	return (struct push_plan){ part_bytes, (unsigned)((bytes + part_bytes - 1) / part_bytes) };
}

#endif
