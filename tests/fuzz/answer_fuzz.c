/* Fuzzes fetch_answer_line and the judgement behind it: the header lines of whatever stands at a URL. */
#include "work/fetch_answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct fetch_answer *a, uint64_t from, const char *validator)
{
	enum err err = ERR_OK;
	enum fetch_verdict verdict = fetch_answer_judge(a, from, validator, &err);
	assert((verdict == FETCH_ENDED) == (err != ERR_OK));
	assert(verdict != FETCH_BODY || (from > 0 && a->first == from));
	assert(verdict != FETCH_REDIRECT || a->location[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fetch_answer a = { .length = BYTES_UNKNOWN, .first = BYTES_UNKNOWN, .total = BYTES_UNKNOWN };
	for (size_t at = 0; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) + 1 - at : size - at;
		char *line = malloc(len); /* an exact copy, so that a read behind the end is seen */
		if (!line)
			return 0;
		memcpy(line, data + at, len);
		fetch_answer_line(&a, line, len);
		free(line);
		at += len;
	}
	const char *validator = fetch_answer_validator(&a);
	assert(!validator || (*validator && !strpbrk(validator, "\r\n")));
	assert(!strpbrk(a.mime, "\r\n") && !strpbrk(a.location, "\r\n"));
	judge(&a, 0, NULL);
	judge(&a, 5, "\"one\"");
	judge(&a, a.total, validator);
	return 0;
}
