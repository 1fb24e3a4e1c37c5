/* Fuzzes what uploads' headers say, in tus and in the draft: the first byte picks the header. Nothing is read beyond
 * its end, nothing leaks, and what is let through is what tus.h and resumable.h promise. */
#include "base/limits.h"
#include "proto/base64.h"
#include "proto/message.h"
#include "proto/resumable.h"
#include "proto/tus.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void metadata(const char *text)
{
	static const char *const keys[] = { "filename", "name", "filetype", "recording", "a" };
	if (tus_metadata_check(text) != ERR_OK)
		return;
	assert(strlen(text) <= LIMIT_UPLOAD_METADATA_BYTES);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		char *value;
		assert(tus_metadata_get(text, keys[i], 8, &value) == ERR_OK);
		assert(!value || text_valid(value, 8));
		free(value);
	}
}

static void concat(const char *text)
{
	struct buf ids;
	struct uuid id;
	enum tus_concat kind;
	buf_init(&ids);
	if (tus_concat_parse(text, &kind, &ids) == ERR_OK && kind == TUS_FINAL) {
		assert(ids.len % UUID_TEXT == UUID_TEXT - 1 && ids.len / UUID_TEXT < LIMIT_UPLOAD_PARTS);
		for (size_t at = 0; at < ids.len; at += UUID_TEXT) {
			ids.data[at + UUID_TEXT - 1] = '\0';
			assert(uuid_parse(ids.data + at, &id));
		}
	}
	buf_release(&ids);
}

static void fields(const char *text)
{
	uint8_t sum[32];
	uint64_t number;
	bool flag;
	char *name;
	field_boolean(text, &flag);
	if (field_integer(text, &number) == ERR_OK)
		assert(number <= LIMIT_UPLOAD_BYTES);
	if (tus_number_parse(text, &number) == ERR_OK)
		assert(number <= LIMIT_UPLOAD_BYTES);
	field_digest(text, sum, &flag);
	assert(field_filename(text, 16, &name) == ERR_OK);
	assert(!name || (*name && text_valid(name, 16) && !strchr(name, '/')));
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tus_checksum sum;
	if (size == 0)
		return 0;
	char *text = malloc(size); /* exactly as long, so that a read behind the end is seen */
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 4) {
	case 0:
		metadata(text);
		break;
	case 1:
		concat(text);
		break;
	case 2:
		if (tus_checksum_parse(text, &sum) == ERR_OK)
			assert(sum.algorithm != TUS_DIGEST_NONE && sum.len <= sizeof sum.value);
		break;
	default:
		fields(text);
	}
	free(text);
	return 0;
}
