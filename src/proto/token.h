/* Tokens as text: "hf1." + base64url(payload) + "." + base64url(HMAC-SHA256 of everything before that dot). Pure.
 *
 * The payload is a JSON object: {"k": key, "i": id, "u": subject, "s": [scopes], "r": recording?, "b": bytes?,
 * "e": expiry in seconds since 1970}. Guarantees: nothing of a text is understood before its MAC was found right, in
 * constant time; there is one text for one token and key (no padding, no second spelling, no unknown or repeated
 * field), so that no change of a text, however small, is another text of the same token. docs/protocol.md, "Tokens". */
#ifndef HOLDFAST_PROTO_TOKEN_H
#define HOLDFAST_PROTO_TOKEN_H

#include "base/err.h"
#include "base/id.h"
#include "base/limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKEN_SECRET_BYTES = 32, TOKEN_MAC_BYTES = 32, TOKEN_TEXT = LIMIT_TOKEN_CHARS + 1 };

struct token_key {
	char id[LIMIT_TOKEN_ID_CHARS + 1];
	uint8_t secret[TOKEN_SECRET_BYTES];
};

struct token {
	char key[LIMIT_TOKEN_ID_CHARS + 1];	 /* of the key that signed; token_format takes it from its key */
	char id[LIMIT_TOKEN_ID_CHARS + 1];	 /* 1 to that many characters of base64url, as the key's */
	char subject[LIMIT_PRINCIPAL_CHARS + 1]; /* 1 to that many bytes of valid text */
	unsigned scopes;			 /* of base/scope.h, at least one */
	bool has_recording;
	struct uuid recording;
	uint64_t max_bytes; /* 1 to LIMIT_NUMBER - 1, or UINT64_MAX: no limit */
	int64_t expires_s;
};

/* Does the text begin as one of ours does? Such a one is nobody else's business, whether it counts or not. */
bool token_is_ours(const char *text);

/* ERR_BAD_FIELD: a field is out of its range; ERR_NO_MEMORY. */
enum err token_format(const struct token *token, const struct token_key *key, char out[TOKEN_TEXT]);

/* The token that one of the keys signed. Whether it has expired or was revoked is the caller's matter. ERR_UNAUTHORIZED
 * for everything else. */
enum err token_parse(const char *text, const struct token_key *keys, unsigned count, struct token *out);

/* The payload alone, as text and as an object (a new one to be released, NULL without memory): false when it is none.
 */
bool token_payload_parse(const char *json, size_t len, struct token *out);
bool token_object_parse(const json_t *object, struct token *out);
json_t *token_object(const struct token *token);
/* Is it 1 to LIMIT_TOKEN_ID_CHARS characters of base64url? */
bool token_id_valid(const char *text);
/* HMAC-SHA256; for signatures of other things too, whose data must not begin as a token does. */
enum err token_mac(const struct token_key *key, const void *data, size_t len, uint8_t out[TOKEN_MAC_BYTES]);

#endif
