/* Fuzzes authority_answer_parse: whatever an authority, or who stands in its place, sends must come out as authority.h
 * promises, and must stay the same when it is kept. */
#include "base/scope.h"
#include "proto/authority.h"
#include "proto/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct authority_answer *a)
{
	size_t len = strlen(a->subject);
	assert(len > 0 && len <= LIMIT_PRINCIPAL_CHARS && text_valid(a->subject, LIMIT_PRINCIPAL_CHARS));
	assert(strcmp(a->subject, "local") != 0 && strcmp(a->subject, "source") != 0);
	assert((a->scopes & ~(unsigned)SCOPE_ALL) == 0);
	assert(a->max_bytes > 0 && (a->max_bytes < LIMIT_NUMBER || a->max_bytes == UINT64_MAX));
	assert((a->rate_per_s > 0) == (a->rate_burst > 0));
	assert(a->rate_per_s <= LIMIT_RATE_MAX && a->rate_burst <= LIMIT_RATE_MAX);
	assert(a->expires_in_s > 0 && a->expires_in_s <= LIMIT_AUTHORITY_KEEP_S);
}

static bool same(const struct authority_answer *a, const struct authority_answer *b)
{
	return a->allow == b->allow && strcmp(a->subject, b->subject) == 0 && a->scopes == b->scopes &&
	       a->max_bytes == b->max_bytes && a->rate_per_s == b->rate_per_s && a->rate_burst == b->rate_burst &&
	       a->expires_in_s == b->expires_in_s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct authority_answer answer, again;
	struct buf kept;
	const char *why = NULL;
	char *text = malloc(size ? size : 1); /* an exact copy, so that a read behind the end is seen */
	if (!text)
		return 0;
	memcpy(text, data, size);
	bool taken = authority_answer_parse(text, size, &answer, &why);
	free(text);
	if (!taken) {
		assert(!answer.allow && why && *why);
		return 0;
	}
	if (!answer.allow)
		return 0;
	judge(&answer);
	buf_init(&kept);
	authority_answer_format(&kept, &answer);
	assert(authority_answer_parse(kept.data, kept.len, &again, &why));
	assert(same(&answer, &again));
	buf_release(&kept);
	return 0;
}
