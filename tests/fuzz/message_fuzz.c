/* Fuzzes message_parse: it must never read outside its input, leak, or let through what message.h promises to refuse.
 */
#include "base/limits.h"
#include "proto/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const char *text, size_t max_chars)
{
	if (text)
		assert(*text && text_valid(text, max_chars));
}

static void judge_item(const struct message_item *item, enum err err)
{
	assert(item->key || err != ERR_OK);
	judge(item->key, LIMIT_ITEM_KEY_CHARS);
	judge(item->name, LIMIT_NAME_CHARS);
	judge(item->source_url, LIMIT_URL_CHARS);
	if (item->meta && !item->err)
		assert(*item->meta == '{' && strlen(item->meta) <= LIMIT_ITEM_META_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message m;
	char detail[128] = "x";
	/* An exact copy, so that a read behind the end is seen. */
	char *text = malloc(size ? size : 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	enum err err = message_parse(text, size, &m, detail, sizeof detail);
	free(text);
	assert((err == ERR_OK) == (detail[0] == '\0'));
	if (err == ERR_OK && m.type == MESSAGE_START) {
		assert((m.start.session_id || m.start.show) != m.start.has_id);
		judge(m.start.session_id, LIMIT_SESSION_ID_CHARS);
		judge(m.start.mime, LIMIT_MIME_CHARS);
		judge(m.start.ext, LIMIT_EXT_CHARS);
		judge(m.start.name, LIMIT_NAME_CHARS);
		judge(m.start.track, LIMIT_TRACK_CHARS);
		assert(m.start.tracks_count <= LIMIT_TRACKS);
		for (uint32_t i = 0; i < m.start.tracks_count; i++)
			judge(m.start.tracks[i], LIMIT_TRACK_CHARS);
	} else if (err == ERR_OK && m.type == MESSAGE_ABORT) {
		judge(m.abort_reason, LIMIT_REASON_CHARS);
	} else if (m.type == MESSAGE_SUBSCRIBE) { /* also when it was refused */
		judge(m.subscribe.id, LIMIT_SESSION_ID_CHARS + 8);
		judge(m.subscribe.batch, LIMIT_BATCH_ID_CHARS);
		assert(err != ERR_OK || m.subscribe.all + (m.subscribe.id != NULL) + (m.subscribe.batch != NULL) +
							(m.subscribe.show != NULL) ==
						1);
	} else if (m.type == MESSAGE_SLICE) { /* likewise */
		judge(m.slice.batch_id, LIMIT_BATCH_ID_CHARS);
		judge(m.slice.slice_id, LIMIT_SLICE_ID_CHARS);
		assert(m.slice.count <= LIMIT_SLICE_ITEMS && (err != ERR_OK || m.slice.count > 0));
		for (uint32_t i = 0; i < m.slice.count; i++)
			judge_item(&m.slice.items[i], err);
	} else {
		assert(err == ERR_OK || !m.start.session_id);
	}
	message_release(&m);
	return 0;
}
