/* Fuzzes the token codec. The input is a payload: what is taken as one must be written and read back the same; and it
 * is a text: nothing that no key signed is ever a token. */
#include "proto/token.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct token_key key = { .secret = { 7 } };
	char text[TOKEN_TEXT];
	struct token t, back;
	char *copy = malloc(size + 1); /* exact, so that a read behind the end is seen */
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	assert(token_parse(copy, &key, 1, &back) == ERR_UNAUTHORIZED);
	if (token_payload_parse(copy, size, &t)) {
		memcpy(key.id, t.key, sizeof key.id);
		assert(token_format(&t, &key, text) == ERR_OK);
		assert(token_parse(text, &key, 1, &back) == ERR_OK);
		assert(strcmp(back.id, t.id) == 0 && strcmp(back.subject, t.subject) == 0);
		assert(back.scopes == t.scopes && back.max_bytes == t.max_bytes && back.expires_s == t.expires_s);
		assert(back.has_recording == t.has_recording && uuid_equal(&back.recording, &t.recording));
	}
	free(copy);
	return 0;
}
