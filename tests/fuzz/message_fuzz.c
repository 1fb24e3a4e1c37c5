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
		assert(m.start.session_id);
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
		assert(err != ERR_OK || m.subscribe.all != (m.subscribe.id != NULL));
	} else {
		assert(err == ERR_OK || !m.start.session_id);
	}
	message_release(&m);
	return 0;
}
