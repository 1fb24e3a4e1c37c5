/* One push, step by step. A stage begins something when nothing is under way, and takes what came of it; whatever fails
 * ends the attempt, and the next one begins at the top, with what the catalog has. */
#include "engine/pushing.h"

#include <stdlib.h>
#include <string.h>

static void fail_as(struct push_slot *s, const struct push_answer *a)
{
	pushing_finish(s, a->err, a->message, a->retry_after_ms);
}

static void sha256_take(struct push_slot *s)
{
	char text[PUSH_SHA256_TEXT];
	sha256_format(s->sha256, text);
	free(s->push.sha256);
	s->push.sha256 = must(strdup(text));
}

static uint64_t part_offset(const struct push_slot *s)
{
	return s->part * s->plan.part_bytes;
}

static uint64_t part_len(const struct push_slot *s)
{
	uint64_t left = s->media.bytes - part_offset(s);
	return left < s->plan.part_bytes ? left : s->plan.part_bytes;
}

static struct push_step step_of(const struct push_slot *s, enum push_verb verb)
{
	return (struct push_step){ .verb = verb,
				   .key = s->push.key,
				   .upload = s->push.upload,
				   .mime = s->media.mime,
				   .sha256 = s->push.sha256,
				   .fresh = true };
}

static void ask(struct push_slot *s, struct push_step step)
{
	pushing_ask(s->engine, &s->asker, step);
}

/* --- what it is, and whether it is there --- */

static void hash_step(struct push_slot *s)
{
	if (!s->part_hashed) {
		pushing_hash(s, 0, s->media.bytes);
		return;
	}
	s->part_hashed = s->plan.parts == 0; /* then the whole is what is sent */
	sha256_take(s);
	if (s->has_sealed_sha256 && strcmp(s->sealed_sha256, s->push.sha256) != 0)
		pushing_finish(s, ERR_CORRUPT, "The file is no longer what was sealed.", 0);
	s->stage = PUSHING_LOOK;
}

static void upload_forget(struct push_slot *s)
{
	free(s->push.upload);
	free(s->push.parts);
	s->push.upload = NULL;
	s->push.parts = NULL;
	s->push.part_count = 0;
	s->part_hashed = s->part_hashed && s->plan.parts == 0;
	if (s->there)
		memset(s->there, 0, s->plan.parts * sizeof *s->there);
}

/* It is not there. */
static void absent(struct push_slot *s)
{
	if (s->sent)
		pushing_finish(s, ERR_BUCKET_FAILED, "The bucket took it, and does not have it.", 0);
	else if (s->plan.parts == 0)
		s->stage = PUSHING_WHOLE;
	else
		s->stage = s->push.upload ? PUSHING_LIST : PUSHING_CLEAR;
}

static void look_take(struct push_slot *s, const struct push_answer *a)
{
	if (a->err == ERR_NOT_FOUND)
		absent(s);
	else if (a->err)
		fail_as(s, a);
	else if (a->bytes == s->media.bytes && strcmp(a->sha256, s->push.sha256) == 0)
		pushing_finish(s, ERR_OK, NULL, 0);
	else
		pushing_finish(s, ERR_BUCKET_REFUSED, "Something else of the same name is in the bucket.", 0);
}

/* --- an upload --- */

/* The bucket knows nothing of the upload: it was completed, and its answer lost, or it is gone. */
static void gone(struct push_slot *s)
{
	if (s->anew) {
		pushing_finish(s, ERR_BUCKET_FAILED, "The bucket forgets uploads.", 0);
		return;
	}
	s->anew = true;
	upload_forget(s);
	s->stage = PUSHING_LOOK;
}

static bool same_part(const struct catalog_push_part *known, const struct push_part *part)
{
	return part->number == known->number && part->bytes == known->bytes && strcmp(part->etag, known->etag) == 0;
}

static void list_take(struct push_slot *s, const struct push_answer *a)
{
	if (a->err == ERR_UPLOAD_GONE) {
		gone(s);
		return;
	}
	if (a->err) {
		fail_as(s, a);
		return;
	}
	for (size_t i = 0, k = 0; i < s->push.part_count; i++) { /* both in their order */
		const struct catalog_push_part *known = &s->push.parts[i];
		while (k < a->part_count && a->parts[k].number < known->number)
			k++;
		if (k < a->part_count && same_part(known, &a->parts[k]) && known->number <= s->plan.parts)
			s->there[known->number - 1] = true;
	}
	s->part = 0;
	s->stage = PUSHING_PART;
}

static void clear_take(struct push_slot *s, const struct push_answer *a)
{
	if (!pushing_clear_take(&s->clearing, a, s->push.key))
		fail_as(s, a);
	else if (s->clearing.done)
		s->stage = PUSHING_BEGIN;
}

static void begin_step(struct push_slot *s)
{
	pushing_clear_release(&s->clearing);
	s->push.part_bytes = s->plan.part_bytes;
	upload_forget(s);
	pushing_put(s, PUSHING_CREATE);
}

static void create_take(struct push_slot *s, const struct push_answer *a)
{
	if (a->err) {
		fail_as(s, a);
		return;
	}
	s->push.upload = must(strdup(a->upload));
	s->part = 0;
	s->stage = PUSHING_CREATED;
}

/* --- bytes --- */

static void whole_step(struct push_slot *s)
{
	struct push_step step = step_of(s, PUSH_PUT);
	step.body.len = s->media.bytes;
	if (!s->part_hashed) { /* not hashed in this attempt: the catalog had it */
		pushing_hash(s, 0, s->media.bytes);
		return;
	}
	memcpy(step.body.sha256, s->sha256, sizeof step.body.sha256);
	ask(s, step);
}

static void sent_take(struct push_slot *s, const struct push_answer *a)
{
	if (a->err == ERR_UPLOAD_GONE) {
		gone(s);
		return;
	}
	if (a->err && a->err != ERR_EXISTS) {
		fail_as(s, a);
		return;
	}
	s->sent = true;
	s->stage = PUSHING_LOOK;
}

static void part_step(struct push_slot *s)
{
	while (s->part < s->plan.parts && s->there[s->part])
		s->part++;
	if (s->part == s->plan.parts) {
		s->stage = PUSHING_COMPLETE;
		return;
	}
	if (!s->part_hashed) {
		pushing_hash(s, part_offset(s), part_len(s));
		return;
	}
	struct push_step step = step_of(s, PUSH_PART);
	step.part = s->part + 1;
	step.body.offset = part_offset(s);
	step.body.len = part_len(s);
	memcpy(step.body.sha256, s->sha256, sizeof step.body.sha256);
	ask(s, step);
}

static void part_take(struct push_slot *s, const struct push_answer *a)
{
	if (a->err == ERR_UPLOAD_GONE) {
		gone(s);
		return;
	}
	if (a->err) {
		fail_as(s, a);
		return;
	}
	s->part_hashed = false;
	s->parted = (struct catalog_push_part){ .number = s->part + 1, .bytes = part_len(s) };
	memcpy(s->parted.etag, a->etag, sizeof s->parted.etag);
	sha256_format(s->sha256, s->parted.sha256);
	s->stage = PUSHING_PARTED;
}

/* Behind its transaction it counts as written down. */
static void parted_step(struct push_slot *s)
{
	struct catalog_push *p = &s->push;
	struct catalog_push_part *parts = must(realloc(p->parts, (p->part_count + 1) * sizeof *parts));
	size_t at = p->part_count;
	for (size_t i = 0; i < p->part_count; i++) {
		if (parts[i].number == s->parted.number)
			at = i;
	}
	parts[at] = s->parted;
	p->parts = parts;
	p->part_count += at == p->part_count;
	s->there[s->part] = true;
	pushing_put_part(s, PUSHING_PART);
}

static int by_number(const void *a, const void *b)
{
	const struct push_part *left = a, *right = b;
	return left->number < right->number ? -1 : left->number > right->number;
}

static void complete_step(struct push_slot *s)
{
	struct push_step step = step_of(s, PUSH_COMPLETE);
	struct push_part *parts = must(calloc(s->plan.parts, sizeof *parts));
	size_t count = 0;
	for (size_t i = 0; i < s->push.part_count && count < s->plan.parts; i++) {
		const struct catalog_push_part *p = &s->push.parts[i];
		if (p->number < 1 || p->number > s->plan.parts)
			continue;
		parts[count].number = p->number;
		parts[count].bytes = p->bytes;
		memcpy(parts[count++].etag, p->etag, sizeof p->etag);
	}
	qsort(parts, count, sizeof *parts, by_number);
	step.parts = parts;
	step.part_count = count;
	ask(s, step);
	free(parts);
}

/* --- one after the other --- */

static void plan(struct push_slot *s)
{
	/* the parts of an upload never change, whatever is configured now */
	uint64_t part_bytes = s->push.upload ? s->push.part_bytes : s->engine->config.push_part_bytes;
	s->plan = push_plan(s->media.bytes, part_bytes);
	if (s->plan.parts > 0)
		s->there = must(calloc(s->plan.parts, sizeof *s->there));
	pushing_open(s);
}

static void begin(struct push_slot *s)
{
	switch (s->stage) {
	case PUSHING_OPEN:
		plan(s);
		break;
	case PUSHING_HASH:
		hash_step(s);
		break;
	case PUSHING_LOOK:
		ask(s, step_of(s, PUSH_HEAD));
		break;
	case PUSHING_LIST:
		ask(s, step_of(s, PUSH_PARTS));
		break;
	case PUSHING_CLEAR:
		pushing_clear_next(s->engine, &s->asker, &s->clearing, s->push.key);
		break;
	case PUSHING_BEGIN:
		begin_step(s);
		break;
	case PUSHING_CREATE:
		ask(s, step_of(s, PUSH_CREATE));
		break;
	case PUSHING_CREATED:
		pushing_put(s, PUSHING_PART);
		break;
	case PUSHING_WHOLE:
		whole_step(s);
		break;
	case PUSHING_PART:
		part_step(s);
		break;
	case PUSHING_PARTED:
		parted_step(s);
		break;
	case PUSHING_COMPLETE:
		complete_step(s);
		break;
	case PUSHING_STAGES:
		break;
	}
}

static void take(struct push_slot *s, const struct push_answer *a)
{
	static void (*const takes[PUSHING_STAGES])(struct push_slot * s, const struct push_answer *a) = {
		[PUSHING_LOOK] = look_take,	[PUSHING_LIST] = list_take,  [PUSHING_CLEAR] = clear_take,
		[PUSHING_CREATE] = create_take, [PUSHING_WHOLE] = sent_take, [PUSHING_PART] = part_take,
		[PUSHING_COMPLETE] = sent_take,
	};
	if (takes[s->stage])
		takes[s->stage](s, a);
}

void pushing_step(struct push_slot *s)
{
	uint64_t number = s->number;
	while (s->used && s->number == number && !s->busy && !s->ending && !s->asker.step) {
		if (s->asker.answered) {
			struct push_answer answer = s->asker.answer;
			s->asker = (struct push_asker){ 0 };
			take(s, &answer);
			pushing_answer_release(&answer);
		} else {
			begin(s);
		}
	}
}
