/* See bucket_rig.h. */
#include "support/bucket_rig.h"

#include "proto/message.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 2 };

struct bucket_step {
	struct bucket_step *next;
	struct push_step step; /* its texts are the copies below */
	char key[PUSH_KEY], upload[LIMIT_PUSH_UPLOAD_CHARS + 1], sha256[65];
	struct push_upload after;
	struct push_part *parts; /* owned */
	uint8_t *data;		 /* owned: the body */
	uint64_t asked, got;
	unsigned pieces; /* asked for and not here */
};

struct answer {
	enum err err;
	char etag[40], sha256[65], upload[24];
	uint64_t bytes;
	struct push_part parts[BUCKET_PARTS];
	size_t part_count;
	struct push_upload uploads[4];
	size_t upload_count;
	bool more;
};

static void sha256_text(const uint8_t *data, size_t len, char out[65])
{
	uint8_t sha256[32];
	int ok = EVP_Digest(data ? data : (const uint8_t *)"", len, sha256, NULL, EVP_sha256(), NULL);
	assert(ok == 1);
	sha256_format(sha256, out);
}

/* --- the bucket --- */

void bucket_init(struct bucket *b)
{
	*b = (struct bucket){ .uploads = calloc(BUCKET_UPLOADS, sizeof *b->uploads) };
	assert(b->uploads);
}

static void upload_close(struct bucket *b, struct bucket_upload *u)
{
	b->open_uploads -= u->open;
	for (unsigned i = 0; i < BUCKET_PARTS; i++)
		free(u->parts[i].data);
	*u = (struct bucket_upload){ 0 };
}

void bucket_release(struct bucket *b)
{
	for (unsigned i = 0; i < BUCKET_UPLOADS; i++)
		upload_close(b, &b->uploads[i]);
	free(b->uploads);
	b->uploads = NULL;
}

struct bucket_object *bucket_find(struct bucket *b, const char *key)
{
	for (unsigned i = 0; i < b->object_count; i++) {
		if (strcmp(b->objects[i].key, key) == 0)
			return &b->objects[i];
	}
	return NULL;
}

unsigned bucket_open_uploads(const struct bucket *b)
{
	return b->open_uploads;
}

static struct bucket_upload *upload_find(struct bucket *b, const char *key, const char *id)
{
	for (unsigned i = 0; i < BUCKET_UPLOADS; i++) {
		struct bucket_upload *u = &b->uploads[i];
		if (u->open && strcmp(u->key, key) == 0 && strcmp(u->id, id) == 0)
			return u;
	}
	return NULL;
}

static void object_make(struct bucket *b, const char *key, const char *sha256, const uint8_t *data, uint64_t bytes)
{
	struct bucket_object *o = bucket_find(b, key);
	if (!o) {
		assert(b->object_count < BUCKET_OBJECTS);
		o = &b->objects[b->object_count++];
		snprintf(o->key, sizeof o->key, "%s", key);
	}
	o->made++;
	o->bytes = bytes;
	snprintf(o->sha256, sizeof o->sha256, "%s", sha256);
	sha256_text(data, bytes, o->content);
}

static bool body_whole(struct bucket *b, const struct bucket_step *s)
{
	char is[65], should[65];
	sha256_text(s->data, s->step.body.len, is);
	sha256_format(s->step.body.sha256, should);
	bool whole = strcmp(is, should) == 0;
	b->damaged += !whole;
	return whole;
}

static void do_put(struct bucket *b, const struct bucket_step *s, struct answer *a)
{
	if (s->step.fresh && bucket_find(b, s->key))
		a->err = ERR_EXISTS;
	else if (!body_whole(b, s))
		a->err = ERR_BUCKET_FAILED;
	else
		object_make(b, s->key, s->sha256, s->data, s->step.body.len);
}

static void do_create(struct bucket *b, const struct bucket_step *s, struct answer *a)
{
	struct bucket_upload *u = &b->uploads[b->upload_numbers++ % BUCKET_UPLOADS];
	assert(!u->open);
	u->open = true;
	b->open_uploads++;
	u->begun_ms = s->step.now_ms;
	snprintf(u->id, sizeof u->id, "u%llu", (unsigned long long)b->upload_numbers);
	snprintf(u->key, sizeof u->key, "%s", s->key);
	snprintf(u->sha256, sizeof u->sha256, "%s", s->sha256);
	memcpy(a->upload, u->id, sizeof a->upload);
}

static void do_part(struct bucket *b, struct bucket_step *s, struct answer *a)
{
	struct bucket_upload *u = upload_find(b, s->key, s->upload);
	assert(s->step.part >= 1 && s->step.part <= BUCKET_PARTS);
	b->sends[s->step.part - 1]++;
	if (!u) {
		a->err = ERR_UPLOAD_GONE;
		return;
	}
	if (!body_whole(b, s)) {
		a->err = ERR_BUCKET_FAILED;
		return;
	}
	struct bucket_part *p = &u->parts[s->step.part - 1];
	free(p->data);
	p->data = s->data;
	s->data = NULL;
	p->bytes = s->step.body.len;
	snprintf(p->etag, sizeof p->etag, "\"%llx\"", (unsigned long long)++b->etags);
	memcpy(a->etag, p->etag, sizeof a->etag);
}

static void do_parts(struct bucket *b, const struct bucket_step *s, struct answer *a)
{
	const struct bucket_upload *u = upload_find(b, s->key, s->upload);
	if (!u) {
		a->err = ERR_UPLOAD_GONE;
		return;
	}
	for (unsigned i = 0; i < BUCKET_PARTS; i++) {
		if (!u->parts[i].etag[0])
			continue;
		struct push_part *p = &a->parts[a->part_count++];
		p->number = i + 1;
		p->bytes = u->parts[i].bytes;
		snprintf(p->etag, sizeof p->etag, "%s", u->parts[i].etag);
	}
}

/* All named parts are there as named, and all but the last are of one size: some buckets insist on that. */
static bool parts_right(const struct bucket_upload *u, const struct bucket_step *s)
{
	bool right = s->step.part_count > 0;
	for (size_t i = 0; right && i < s->step.part_count; i++) {
		const struct push_part *p = &s->parts[i];
		right = p->number == i + 1 && p->number <= BUCKET_PARTS && strcmp(u->parts[i].etag, p->etag) == 0 &&
			u->parts[i].bytes > 0 &&
			(u->parts[i].bytes == u->parts[0].bytes ||
			 (i + 1 == s->step.part_count && u->parts[i].bytes < u->parts[0].bytes));
	}
	return right;
}

/* Like radosgw, it looks for no other object of the name. */
static void do_complete(struct bucket *b, const struct bucket_step *s, struct answer *a)
{
	struct bucket_upload *u = upload_find(b, s->key, s->upload);
	uint64_t bytes = 0;
	if (!u || !parts_right(u, s)) {
		a->err = ERR_UPLOAD_GONE;
		return;
	}
	for (size_t i = 0; i < s->step.part_count; i++)
		bytes += u->parts[i].bytes;
	uint8_t *data = malloc(bytes), *to = data;
	assert(data);
	for (size_t i = 0; i < s->step.part_count; i++) {
		memcpy(to, u->parts[i].data, u->parts[i].bytes);
		to += u->parts[i].bytes;
	}
	object_make(b, s->key, u->sha256, data, bytes);
	free(data);
	upload_close(b, u);
}

static void do_head(struct bucket *b, const struct bucket_step *s, struct answer *a)
{
	const struct bucket_object *o = bucket_find(b, s->key);
	if (!o) {
		a->err = ERR_NOT_FOUND;
		return;
	}
	a->bytes = o->bytes;
	memcpy(a->sha256, o->sha256, sizeof a->sha256);
	snprintf(a->etag, sizeof a->etag, "\"%.32s\"", o->content);
}

static void do_abort(struct bucket *b, const struct bucket_step *s, struct answer *a)
{
	struct bucket_upload *u = upload_find(b, s->key, s->upload);
	if (u)
		upload_close(b, u);
	else
		a->err = ERR_UPLOAD_GONE;
}

/* In the order of their beginning here; a real bucket sorts by name, which nobody may rely on for what is aborted. */
static void do_uploads(struct bucket *b, const struct bucket_step *s, struct answer *a)
{
	bool behind = !s->step.after;
	uint64_t first = b->upload_numbers > BUCKET_UPLOADS ? b->upload_numbers - BUCKET_UPLOADS : 0;
	for (uint64_t n = first; n < b->upload_numbers; n++) {
		const struct bucket_upload *u = &b->uploads[n % BUCKET_UPLOADS];
		unsigned long long number = 0;
		if (s->step.after && sscanf(s->after.upload, "u%llu", &number) == 1)
			behind = n + 1 > number;
		if (!behind || !u->open || strncmp(u->key, s->key, strlen(s->key)) != 0)
			continue;
		if (a->upload_count == sizeof a->uploads / sizeof a->uploads[0]) {
			a->more = true;
			return;
		}
		struct push_upload *out = &a->uploads[a->upload_count++];
		snprintf(out->key, sizeof out->key, "%s", u->key);
		snprintf(out->upload, sizeof out->upload, "%s", u->id);
		out->begun_ms = u->begun_ms;
	}
}

static void apply(struct bucket *b, struct bucket_step *s, struct answer *a)
{
	b->did[s->step.verb]++;
	switch (s->step.verb) {
	case PUSH_PUT:
		do_put(b, s, a);
		break;
	case PUSH_CREATE:
		do_create(b, s, a);
		break;
	case PUSH_PART:
		do_part(b, s, a);
		break;
	case PUSH_PARTS:
		do_parts(b, s, a);
		break;
	case PUSH_COMPLETE:
		do_complete(b, s, a);
		break;
	case PUSH_HEAD:
		do_head(b, s, a);
		break;
	case PUSH_ABORT:
		do_abort(b, s, a);
		break;
	case PUSH_UPLOADS:
		do_uploads(b, s, a);
		break;
	}
}

/* --- the pusher --- */

static struct bucket_step **place_of(struct bucket_rig *r, uint64_t id)
{
	struct bucket_step **at = &r->steps;
	while (*at && (*at)->step.id != id)
		at = &(*at)->next;
	return at;
}

static void step_free(struct bucket_step *s)
{
	free(s->parts);
	free(s->data);
	free(s);
}

static void on_start(struct pusher *p, const struct push_step *step)
{
	struct bucket_rig *r = (struct bucket_rig *)p;
	struct bucket_step *s = calloc(1, sizeof *s), **at = place_of(r, step->id);
	assert(s && !*at);
	s->step = *step;
	snprintf(s->key, sizeof s->key, "%s", step->key);
	snprintf(s->upload, sizeof s->upload, "%s", step->upload ? step->upload : "");
	snprintf(s->sha256, sizeof s->sha256, "%s", step->sha256 ? step->sha256 : "");
	if (step->after)
		s->after = *step->after;
	if (step->part_count > 0) {
		s->parts = calloc(step->part_count, sizeof *s->parts);
		assert(s->parts);
		memcpy(s->parts, step->parts, step->part_count * sizeof *s->parts);
	}
	s->data = malloc(step->body.len + 1);
	assert(s->data);
	*at = s;
	r->started++;
	if (r->begun)
		r->begun(r->arg, step->id);
}

static void on_feed(struct pusher *p, uint64_t id, uint64_t offset, const void *data, size_t len)
{
	struct bucket_step *s = *place_of((struct bucket_rig *)p, id);
	if (!s)
		return; /* it was cancelled while this was read */
	uint64_t at = offset - s->step.body.offset;
	assert(s->pieces > 0 && offset >= s->step.body.offset && at + len <= s->asked);
	memcpy(s->data + at, data, len);
	s->pieces--;
	s->got += len;
}

static void on_cancel(struct pusher *p, uint64_t id)
{
	struct bucket_step **at = place_of((struct bucket_rig *)p, id), *s = *at;
	if (!s)
		return;
	*at = s->next;
	step_free(s);
}

static const struct pusher_ops ops = { on_start, on_feed, on_cancel };

void bucket_rig_init(struct bucket_rig *r, struct bucket *b)
{
	*r = (struct bucket_rig){ .base.ops = &ops, .bucket = b };
}

void bucket_rig_forget(struct bucket_rig *r)
{
	while (r->steps) {
		struct bucket_step *s = r->steps;
		r->steps = s->next;
		step_free(s);
	}
}

uint64_t bucket_rig_step(const struct bucket_rig *r)
{
	return r->steps ? r->steps->step.id : 0;
}

bool bucket_rig_knows(const struct bucket_rig *r, uint64_t id, enum push_verb *verb)
{
	const struct bucket_step *s = *place_of((struct bucket_rig *)r, id);
	if (s && verb)
		*verb = s->step.verb;
	return s != NULL;
}

bool bucket_rig_want(struct bucket_rig *r, uint64_t id)
{
	struct bucket_step *s = *place_of(r, id);
	while (s && s->asked < s->step.body.len && s->pieces < PIECES) {
		uint64_t left = s->step.body.len - s->asked, at = s->asked;
		size_t len = left < LIMIT_READ_BYTES ? (size_t)left : LIMIT_READ_BYTES;
		s->pieces++;
		s->asked += len;
		r->base.events.want(r->base.events.arg, id, s->step.body.offset + at, len);
		s = *place_of(r, id);
	}
	return s && s->got == s->step.body.len;
}

static const char *sentence(enum err err)
{
	return err ? "The bucket says so." : NULL;
}

void bucket_rig_answer(struct bucket_rig *r, uint64_t id, enum bucket_word word)
{
	struct bucket_step **at = place_of(r, id), *s = *at;
	struct answer *a = calloc(1, sizeof *a);
	assert(s && a && s->got == s->step.body.len);
	*at = s->next;
	if (word == BUCKET_DOES || word == BUCKET_LOSES)
		apply(r->bucket, s, a);
	if (word == BUCKET_LOSES || word == BUCKET_FAILS)
		a->err = ERR_BUCKET_FAILED;
	else if (word == BUCKET_REFUSES)
		a->err = ERR_BUCKET_REFUSED;
	struct push_result result = {
		.err = a->err, .message = sentence(a->err), .upload = "", .etag = "", .sha256 = ""
	};
	if (!a->err) {
		result.upload = a->upload;
		result.etag = a->etag;
		result.sha256 = a->sha256;
		result.bytes = a->bytes;
		result.parts = a->parts;
		result.part_count = a->part_count;
		result.uploads = a->uploads;
		result.upload_count = a->upload_count;
		result.more = a->more;
	}
	step_free(s);
	r->base.events.done(r->base.events.arg, id, &result);
	free(a);
}

void bucket_rig_do(struct bucket_rig *r, uint64_t id)
{
	struct bucket_step *s = *place_of(r, id);
	struct answer *a = calloc(1, sizeof *a);
	assert(a);
	if (s && s->got == s->step.body.len)
		apply(r->bucket, s, a);
	free(a);
}
