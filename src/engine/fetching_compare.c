/* A source that begins anew: its beginning is read beside what is there. The transfer waits while a piece is read back,
 * so no more than one piece is in memory. */
#include "engine/fetching.h"

#include <stdlib.h>
#include <string.h>

static void on_compared(void *arg, enum err err, const void *data, size_t len)
{
	struct fetch_slot *s = arg;
	s->reading = false;
	if (err) {
		fetch_fail(s, err, NULL);
	} else if (memcmp(s->pending.data, data, len) != 0) {
		fetch_fail(s, ERR_SOURCE_CHANGED, NULL);
	} else {
		s->compared += len;
		s->pending.len -= len;
		memmove(s->pending.data, s->pending.data + len, s->pending.len);
		fetch_compare(s);
	}
}

static void compare_over(struct fetch_slot *s)
{
	struct buf rest = s->pending;
	buf_init(&s->pending);
	s->comparing = false;
	engine_reader_close(s->engine, s->reader);
	s->reader = 0;
	fetch_validator_take(s, s->new_validator);
	if (rest.len > 0)
		fetch_append(s, rest.data, rest.len);
	buf_release(&rest);
}

/* What came and was not compared yet; the transfer waits meanwhile. */
void fetch_compare(struct fetch_slot *s)
{
	if (!s->comparing || s->reading || s->next >= FETCH_NEXT_DONE)
		return;
	uint64_t left = s->had - s->compared;
	if (left == 0) {
		compare_over(s);
	} else if (s->pending.len > 0) {
		size_t len = s->pending.len < left ? s->pending.len : (size_t)left;
		s->reading = true;
		engine_read(s->engine, s->reader, s->compared, len, on_compared, s);
		return;
	}
	fetch_pause_update(s);
	if (s->ended && s->pending.len == 0)
		fetch_end(s);
}

static void on_reader(void *arg, enum err err, const struct engine_original *original)
{
	struct fetch_slot *s = arg; /* the take is in memory: this comes at once */
	if (err)
		fetch_fail(s, err, NULL);
	else
		s->reader = original->reader;
}

void fetch_compare_begin(struct fetch_slot *s, const struct fetch_head *head, const char *validator)
{
	char id[UUID_TEXT];
	if (head->total != BYTES_UNKNOWN && head->total < s->at) {
		fetch_fail(s, ERR_SOURCE_CHANGED, "The source is shorter now than what was fetched of it before.");
		return;
	}
	s->comparing = true;
	s->compared = 0;
	s->had = s->at;
	s->new_validator = validator ? must(strdup(validator)) : NULL;
	uuid_format(&s->recording, id);
	engine_original(s->engine, (struct engine_ref){ id, grant_local() }, "main", on_reader, s);
}
