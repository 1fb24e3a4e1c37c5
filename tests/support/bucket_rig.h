/* A bucket in memory, and a pusher to it whose every step is in the hands of a test or of the simulation: what it is
 * asked is done, done and never answered, or not done. The bucket lives longer than the pushers: it is another machine.
 */
#ifndef HOLDFAST_TESTS_BUCKET_RIG_H
#define HOLDFAST_TESTS_BUCKET_RIG_H

#include "core/model.h"
#include "work/pusher.h"

enum { BUCKET_OBJECTS = 128, BUCKET_UPLOADS = 256, BUCKET_PARTS = 256, BUCKET_VERBS = PUSH_UPLOADS + 1 };

enum bucket_word {
	BUCKET_DOES,
	BUCKET_LOSES,	/* it does, and the answer is lost */
	BUCKET_FAILS,	/* it does nothing, and that passes */
	BUCKET_REFUSES, /* … and that doesn't */
};

struct bucket_object {
	char key[PUSH_KEY];
	uint64_t bytes;
	char sha256[65];  /* as its metadata say */
	char content[65]; /* … as it is */
	unsigned made;	  /* so often: put, or completed */
};

struct bucket_upload {
	bool open;
	char key[PUSH_KEY], id[24], sha256[65];
	int64_t begun_ms;
	struct bucket_part {
		uint64_t bytes;
		char etag[40]; /* "": it is not there */
		uint8_t *data; /* owned */
	} parts[BUCKET_PARTS];
};

struct bucket {
	struct bucket_object objects[BUCKET_OBJECTS];
	unsigned object_count;
	struct bucket_upload *uploads; /* owned: BUCKET_UPLOADS, the newest over the oldest */
	unsigned open_uploads;
	uint64_t upload_numbers, etags;
	unsigned did[BUCKET_VERBS];   /* steps that had an effect or an answer */
	unsigned sends[BUCKET_PARTS]; /* so often a part of this number came, from 0 */
	unsigned damaged;	      /* bodies that were not what their checksum says */
};

struct bucket_rig {
	struct pusher base; /* first */
	struct bucket *bucket;
	struct bucket_step *steps;
	unsigned started; /* steps so far */
	/* A step has begun: its body is asked for with bucket_rig_want, and it can be answered when that is here. */
	void (*begun)(void *arg, uint64_t id);
	void *arg;
};

void bucket_init(struct bucket *b);
void bucket_release(struct bucket *b);
/* NULL: there is none. */
struct bucket_object *bucket_find(struct bucket *b, const char *key);
unsigned bucket_open_uploads(const struct bucket *b);

void bucket_rig_init(struct bucket_rig *r, struct bucket *b);
/* Its process is gone: nothing of it is heard any more. What it was asked stays undone. */
void bucket_rig_forget(struct bucket_rig *r);
/* The oldest step, 0: none. */
uint64_t bucket_rig_step(const struct bucket_rig *r);
/* A step that is at work still; and which. */
bool bucket_rig_knows(const struct bucket_rig *r, uint64_t id, enum push_verb *verb);
/* Asks for what may be asked for of its body. True: all of that is here. */
bool bucket_rig_want(struct bucket_rig *r, uint64_t id);
/* … and says so, or not. */
void bucket_rig_answer(struct bucket_rig *r, uint64_t id, enum bucket_word word);
/* The bucket does it although its pusher died: the request was on its way. */
void bucket_rig_do(struct bucket_rig *r, uint64_t id);

#endif
