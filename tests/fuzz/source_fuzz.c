/* Fuzzes what a source sends, as its connection would be read: head after head, bodies in chunks decoded, titles made
 * into blocks for listeners. Nothing may depend on how the bytes were split, and only what the headers promise may come
 * out. */
#include "proto/chunked.h"
#include "proto/icy.h"
#include "proto/message.h"
#include "proto/source_reply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_text(const char *text, size_t limit)
{
	assert(strlen(text) <= limit && text_valid(text, SIZE_MAX));
}

static void judge_title(const char *title)
{
	static struct icy_title t;
	icy_title_set(&t, title);
	assert(t.len == 1 + t.block[0] * 16u);
	char text[LIMIT_ICY_BLOCK_BYTES + 1] = { 0 };
	memcpy(text, t.block + 1, t.len - 1);
	judge_text(text, LIMIT_ICY_BLOCK_BYTES);
	assert(strncmp(text, "StreamTitle='", 13) == 0);
	assert(strcmp(strstr(text + 13, "';"), "';") == 0); /* the first end is the last */
}

static void judge(const struct source_request *r)
{
	assert((strlen(r->mount) > 0) == (r->kind != SOURCE_OPTIONS));
	assert(r->mount[0] != '.' && !strpbrk(r->mount, "/\\%<>&\"' ") && strlen(r->mount) <= LIMIT_SHOW_CHARS);
	judge_text(r->mount, LIMIT_SHOW_CHARS);
	judge_text(r->name, LIMIT_SOURCE_TEXT_BYTES);
	judge_text(r->description, LIMIT_SOURCE_TEXT_BYTES);
	judge_text(r->genre, LIMIT_SOURCE_TEXT_BYTES);
	judge_text(r->url, LIMIT_SOURCE_TEXT_BYTES);
	judge_text(r->audio_info, LIMIT_SOURCE_TEXT_BYTES);
	judge_text(r->agent, LIMIT_SOURCE_TEXT_BYTES);
	judge_text(r->title, LIMIT_TITLE_BYTES);
	assert(r->has_credentials || (!*r->user && !*r->password));
	assert(!strpbrk(r->user, ":\r\n") && !strpbrk(r->password, "\r\n"));
	assert((r->kind == SOURCE_STREAM) == (r->mime != NULL) &&
	       (r->kind == SOURCE_STREAM || r->body == SOURCE_BODY_NONE));
	assert((r->body == SOURCE_BODY_LENGTH) == (r->length > 0));
	assert(!r->expects || r->body != SOURCE_BODY_NONE);
	assert(strncmp(source_reply_accept(r), "HTTP/1.", 7) == 0);
	source_reply_end(r);
	judge_title(r->title);
}

/* Decodes in pieces of `step`; returns how many bytes belonged to the body. */
static size_t chunks_read(const uint8_t *data, size_t size, size_t step, uint8_t *media, size_t *media_len)
{
	struct chunked c = { 0 };
	size_t at = 0;
	*media_len = 0;
	while (at < size && !c.done && c.err == ERR_OK) {
		struct chunked_piece piece;
		size_t used, n = step < size - at ? step : size - at;
		chunked_feed(&c, data + at, n, &used, &piece);
		assert(used > 0 && used <= n && piece.len <= used && piece.media >= data &&
		       piece.media + piece.len <= data + size);
		memcpy(media + *media_len, piece.media, piece.len);
		*media_len += piece.len;
		at += used;
	}
	return at;
}

static size_t judge_chunks(const uint8_t *data, size_t size)
{
	uint8_t *one = malloc(size + 1), *two = malloc(size + 1);
	size_t one_len, two_len;
	assert(one && two);
	size_t used = chunks_read(data, size, SIZE_MAX, one, &one_len);
	assert(chunks_read(data, size, 1, two, &two_len) == used);
	assert(one_len == two_len && memcmp(one, two, one_len) == 0);
	free(one);
	free(two);
	return used;
}

/* Reads one head at once and byte by byte; returns how many bytes it had. */
static size_t head_read(struct source_head *h, const uint8_t *data, size_t size)
{
	struct source_head single = { 0 };
	size_t used, taken = 0, one;
	source_head_feed(h, data, size, &used);
	for (size_t i = 0; i < size; i++) {
		source_head_feed(&single, data + i, 1, &one);
		taken += one;
	}
	assert(used == taken && h->err == single.err && h->complete == single.complete);
	assert(h->text.len == single.text.len && h->text.len <= LIMIT_SOURCE_HEAD_BYTES);
	assert((h->err == ERR_OK) == (h->detail == NULL));
	source_head_release(&single);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char answer[SOURCE_REPLY_BYTES];
	uint8_t *bytes = malloc(size ? size : 1); /* an exact copy, so that a read behind the end is seen */
	assert(bytes);
	memcpy(bytes, data, size);
	for (size_t at = 0; at < size;) {
		struct source_head h = { 0 };
		struct source_request r = { 0 };
		const char *detail = NULL;
		at += head_read(&h, bytes + at, size - at);
		enum err err = h.complete ? source_request_parse(h.text.data, h.text.len, &r, &detail) : h.err;
		if (h.complete && err == ERR_OK)
			judge(&r);
		else if (h.complete)
			assert(detail && source_reply_refuse(err_status(err), detail, answer) < sizeof answer);
		bool ends = !h.complete || err != ERR_OK;
		source_head_release(&h);
		if (ends)
			break;
		if (r.body == SOURCE_BODY_CHUNKED)
			at += judge_chunks(bytes + at, size - at);
		else if (r.body != SOURCE_BODY_NONE)
			break;
	}
	free(bytes);
	return 0;
}
