/* Fuzzes wire_event_parse: whoever made the media may own the worker, so what the server takes of its words must be
 * what worker_wire.h promises, whatever they are. */
#include "proto/message.h"
#include "work/worker_wire.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_media(const struct media_info *media)
{
	assert(media && media->bytes <= LIMIT_NUMBER && media->duration_ms >= -1);
	assert(strlen(media->ext) < sizeof media->ext &&
	       strspn(media->ext, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(media->ext));
	assert(*media->mime && !strpbrk(media->mime, "\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_event out;
	const char *why = NULL;
	char *text = malloc(size ? size : 1); /* an exact copy, so that a read behind the end is seen */
	if (!text)
		return 0;
	memcpy(text, data, size);
	enum err err = wire_event_parse(text, size, &out, &why);
	free(text);
	if (err != ERR_OK) {
		assert(why && *why);
		return 0;
	}
	switch (out.event.type) {
	case WORKER_READY:
		break;
	case WORKER_ALIVE:
		assert(out.event.progress <= 1000);
		break;
	case WORKER_HASHED:
		assert(out.event.hash_count > 0 && out.event.hash_count <= LIMIT_TRACKS);
		for (uint32_t i = 0; i < out.event.hash_count; i++)
			assert(out.event.hashes[i].track < LIMIT_TRACKS);
		break;
	case WORKER_FILE:
	case WORKER_DONE: {
		judge_media(out.event.media);
		json_t *list = out.event.warnings ? json_loads(out.event.warnings, 0, NULL) : json_array();
		assert(json_is_array(list));
		json_decref(list);
		break;
	}
	case WORKER_FAILED:
		assert(out.event.err != ERR_OK && text_valid(out.event.message, sizeof out.message));
		break;
	default:
		assert(!"nothing else comes out");
	}
	wire_event_release(&out);
	return 0;
}
