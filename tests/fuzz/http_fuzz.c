/* Fuzzes http_request_parse and http_query_get: they must stay inside their input, leak nothing, and let through only
 * what http.h promises. */
#include "base/limits.h"
#include "proto/http.h"
#include "proto/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct http_request *r)
{
	char *value;
	assert(r->target[0] == '/' && strlen(r->target) <= LIMIT_URI_BYTES);
	assert(r->segment_count <= HTTP_SEGMENTS_MAX && r->field_count <= LIMIT_HTTP_HEADER_FIELDS);
	assert(http_field_count(r, "host") == 1);
	assert(r->chunked == (http_field_get(r, "transfer-encoding") != NULL) && !(r->chunked && r->has_length));
	assert(r->has_length || r->length == 0);
	for (unsigned i = 0; i < r->segment_count; i++)
		assert(text_valid(r->segments[i], SIZE_MAX));
	for (unsigned i = 0; i < r->field_count; i++)
		assert(!strpbrk(r->fields[i].name, " :\r\n") && !strpbrk(r->fields[i].value, "\r\n"));
	http_field_has(r, "connection", "upgrade", false);
	if (http_query_get(r->query, "a", &value) == ERR_OK && value)
		assert(text_valid(value, SIZE_MAX));
	free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size ? size : 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	http_head_plausible(text, size);
	size_t len = http_head_length(text, size);
	struct http_request r;
	const char *detail;
	if (len > 0) {
		enum err err = http_request_parse(text, len, &r, &detail);
		assert((err == ERR_OK) == (detail == NULL));
		if (err == ERR_OK)
			judge(&r);
		http_request_release(&r);
	}
	free(text);
	return 0;
}
