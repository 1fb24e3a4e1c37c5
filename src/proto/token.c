/* The token codec, see token.h. */
#include "proto/token.h"

#include "base/buf.h"
#include "base/scope.h"
#include "proto/base64url.h"
#include "proto/message.h"
#include "proto/problem.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

static const char prefix[] = "hf1.";

enum { PREFIX_CHARS = sizeof prefix - 1, MAC_CHARS = BASE64URL_CHARS(TOKEN_MAC_BYTES) };

/* A day in the year 9999: whatever is above it is no date. */
static const int64_t latest_s = 253402300799;

bool token_is_ours(const char *text)
{
	return strncmp(text, prefix, PREFIX_CHARS) == 0;
}

bool token_id_valid(const char *text)
{
	size_t len = strlen(text);
	return len > 0 && len <= LIMIT_TOKEN_ID_CHARS &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

enum err token_mac(const struct token_key *key, const void *data, size_t len, uint8_t out[TOKEN_MAC_BYTES])
{
	unsigned mac_len = TOKEN_MAC_BYTES;
	return HMAC(EVP_sha256(), key->secret, sizeof key->secret, data, len, out, &mac_len) ? ERR_OK : ERR_NO_MEMORY;
}

static bool token_valid(const struct token *t)
{
	size_t subject = strlen(t->subject);
	return token_id_valid(t->key) && token_id_valid(t->id) && subject > 0 && subject <= LIMIT_PRINCIPAL_CHARS &&
	       text_valid(t->subject, LIMIT_PRINCIPAL_CHARS) && t->scopes != 0 &&
	       (t->scopes & ~(unsigned)SCOPE_ALL) == 0 && t->max_bytes > 0 &&
	       (t->max_bytes < LIMIT_NUMBER || t->max_bytes == UINT64_MAX) && t->expires_s > 0 &&
	       t->expires_s <= latest_s;
}

/* --- writing --- */

json_t *token_object(const struct token *t)
{
	json_t *scopes = json_array();
	for (unsigned i = 0; i < SCOPE_COUNT; i++)
		if (t->scopes & 1u << i)
			json_array_append_new(scopes, json_string(scope_name(i)));
	json_t *object = json_pack("{s:s, s:s, s:s, s:o}", "k", t->key, "i", t->id, "u", t->subject, "s", scopes);
	if (t->has_recording) {
		char id[UUID_TEXT];
		uuid_format(&t->recording, id);
		json_object_set_new(object, "r", json_string(id));
	}
	if (t->max_bytes != UINT64_MAX)
		json_object_set_new(object, "b", json_integer((json_int_t)t->max_bytes));
	json_object_set_new(object, "e", json_integer(t->expires_s));
	return object;
}

static enum err sign(const struct buf *payload, const struct token_key *key, char out[TOKEN_TEXT])
{
	uint8_t mac[TOKEN_MAC_BYTES];
	size_t signed_len = PREFIX_CHARS + BASE64URL_CHARS(payload->len);
	if (signed_len + 1 + MAC_CHARS > LIMIT_TOKEN_CHARS)
		return ERR_BAD_FIELD;
	memcpy(out, prefix, PREFIX_CHARS);
	base64url_format(payload->data, payload->len, out + PREFIX_CHARS);
	enum err err = token_mac(key, out, signed_len, mac);
	out[signed_len] = '.';
	base64url_format(mac, sizeof mac, out + signed_len + 1);
	return err;
}

enum err token_format(const struct token *token, const struct token_key *key, char out[TOKEN_TEXT])
{
	struct token t = *token;
	struct buf payload;
	snprintf(t.key, sizeof t.key, "%s", key->id);
	if (!token_valid(&t))
		return ERR_BAD_FIELD;
	json_t *object = token_object(&t);
	buf_init(&payload);
	json_format(&payload, object);
	json_decref(object);
	enum err err = payload.failed ? ERR_NO_MEMORY : sign(&payload, key, out);
	buf_release(&payload);
	return err;
}

/* --- reading --- */

static bool text_read(const json_t *object, const char *field, char *out, size_t size)
{
	const json_t *value = json_object_get(object, field);
	const char *text = json_string_value(value);
	if (!text || strlen(text) != json_string_length(value) || strlen(text) >= size)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

static bool scopes_read(const json_t *list, unsigned *out)
{
	*out = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *name = json_array_get(list, i);
		unsigned scope;
		if (!json_is_string(name) || !scope_parse(json_string_value(name), json_string_length(name), &scope) ||
		    *out & scope)
			return false;
		*out |= scope;
	}
	return *out != 0;
}

static bool recording_read(const json_t *value, struct token *t)
{
	char canonical[UUID_TEXT];
	const char *text = json_string_value(value);
	if (!text || json_string_length(value) != UUID_TEXT - 1 || !uuid_parse(text, &t->recording))
		return false;
	uuid_format(&t->recording, canonical);
	t->has_recording = true;
	return strcmp(canonical, text) == 0;
}

bool token_object_parse(const json_t *object, struct token *t)
{
	const json_t *recording = json_object_get(object, "r"), *bytes = json_object_get(object, "b");
	size_t fields = 5 + (recording != NULL) + (bytes != NULL);
	uint64_t expires_s;
	*t = (struct token){ .max_bytes = UINT64_MAX };
	if (json_object_size(object) != fields || !text_read(object, "k", t->key, sizeof t->key) ||
	    !text_read(object, "i", t->id, sizeof t->id) || !text_read(object, "u", t->subject, sizeof t->subject) ||
	    !scopes_read(json_object_get(object, "s"), &t->scopes) ||
	    !json_count(json_object_get(object, "e"), &expires_s) || (recording && !recording_read(recording, t)) ||
	    (bytes && !json_count(bytes, &t->max_bytes)))
		return false;
	t->expires_s = (int64_t)expires_s;
	return token_valid(t);
}

bool token_payload_parse(const char *json, size_t len, struct token *out)
{
	const char *detail;
	json_t *object;
	if (len > LIMIT_TOKEN_CHARS || json_read(json, len, &object, &detail) != ERR_OK)
		return false;
	bool ok = token_object_parse(object, out);
	json_decref(object);
	return ok;
}

/* The key that made the MAC, or NULL. Every key is tried, whatever the first one said. */
static const struct token_key *key_find(const struct token_key *keys, unsigned count, const char *text, size_t len,
					const uint8_t mac[TOKEN_MAC_BYTES])
{
	const struct token_key *found = NULL;
	for (unsigned i = 0; i < count; i++) {
		uint8_t own[TOKEN_MAC_BYTES];
		if (token_mac(&keys[i], text, len, own) == ERR_OK && CRYPTO_memcmp(own, mac, sizeof own) == 0)
			found = &keys[i];
	}
	return found;
}

enum err token_parse(const char *text, const struct token_key *keys, unsigned count, struct token *out)
{
	uint8_t mac[TOKEN_MAC_BYTES];
	char payload[LIMIT_TOKEN_CHARS];
	size_t len = strnlen(text, TOKEN_TEXT), mac_len, payload_len;
	if (len > LIMIT_TOKEN_CHARS || len < PREFIX_CHARS + 1 + MAC_CHARS || memcmp(text, prefix, PREFIX_CHARS) != 0)
		return ERR_UNAUTHORIZED;
	size_t signed_len = len - MAC_CHARS - 1;
	if (text[signed_len] != '.' || !base64url_parse(text + signed_len + 1, MAC_CHARS, mac, sizeof mac, &mac_len) ||
	    !base64url_parse(text + PREFIX_CHARS, signed_len - PREFIX_CHARS, payload, sizeof payload, &payload_len))
		return ERR_UNAUTHORIZED;
	const struct token_key *key = key_find(keys, count, text, signed_len, mac);
	if (!key || !token_payload_parse(payload, payload_len, out) || strcmp(out->key, key->id) != 0)
		return ERR_UNAUTHORIZED;
	return ERR_OK;
}
