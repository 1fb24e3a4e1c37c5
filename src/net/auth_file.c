/* The list of keys and tokens as the text of tokens.json:
 *   {"version": 1, "keys": [{"id", "secret", "created"}], "tokens": [{"token": {payload}, "device"?, "created",
 * "revoked"?}]} keys with the newest first, tokens with the oldest. Whatever is not exactly that is refused whole: a
 * list that lost its revocations would be worse than none. */
#include "net/auth_private.h"

#include "proto/base64url.h"
#include "proto/message.h"
#include "proto/problem.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };

/* --- reading --- */

static bool ms_read(const json_t *value, int64_t *out)
{
	uint64_t ms;
	if (!json_count(value, &ms))
		return false;
	*out = (int64_t)ms;
	return true;
}

static bool key_read(struct auth *a, const json_t *item)
{
	struct token_key *key = &a->keys[a->key_count];
	const char *id = json_string_value(json_object_get(item, "id"));
	const char *secret = json_string_value(json_object_get(item, "secret"));
	size_t len;
	if (!id || !token_id_valid(id) || !secret ||
	    !base64url_parse(secret, strlen(secret), key->secret, sizeof key->secret, &len) ||
	    len != sizeof key->secret || !ms_read(json_object_get(item, "created"), &a->key_created_ms[a->key_count]))
		return false;
	memcpy(key->id, id, strlen(id) + 1);
	a->key_count++;
	return true;
}

static bool token_read(struct auth *a, const json_t *item)
{
	struct auth_token *t = &a->tokens[a->count];
	const json_t *device = json_object_get(item, "device"), *revoked = json_object_get(item, "revoked");
	*t = (struct auth_token){ 0 };
	if (!token_object_parse(json_object_get(item, "token"), &t->token) || auth_find(a, t->token.id) ||
	    !ms_read(json_object_get(item, "created"), &t->created_ms) ||
	    (revoked && (!ms_read(revoked, &t->revoked_ms) || t->revoked_ms == 0)) ||
	    (device && (!json_string_value(device) || !text_valid(json_string_value(device), LIMIT_NAME_CHARS))))
		return false;
	t->device = device ? strdup(json_string_value(device)) : NULL;
	a->count++;
	return true;
}

static enum err object_read(struct auth *a, const json_t *object)
{
	const json_t *keys = json_object_get(object, "keys"), *tokens = json_object_get(object, "tokens");
	uint64_t version;
	if (!json_count(json_object_get(object, "version"), &version) || version == 0)
		return ERR_CORRUPT;
	if (version > VERSION)
		return ERR_SCHEMA_NEWER;
	if (!json_is_array(keys) || !json_is_array(tokens) || json_array_size(keys) == 0 ||
	    json_array_size(keys) > LIMIT_TOKEN_KEYS || json_array_size(tokens) > LIMIT_TOKENS)
		return ERR_CORRUPT;
	for (size_t i = 0; i < json_array_size(keys); i++)
		if (!key_read(a, json_array_get(keys, i)))
			return ERR_CORRUPT;
	a->capacity = json_array_size(tokens);
	a->tokens = calloc(a->capacity ? a->capacity : 1, sizeof *a->tokens);
	if (!a->tokens)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < a->capacity; i++)
		if (!token_read(a, json_array_get(tokens, i)))
			return ERR_CORRUPT;
	return ERR_OK;
}

enum err auth_read(struct auth *a, const char *text, size_t len)
{
	const char *detail;
	json_t *object;
	enum err err = json_read(text, len, &object, &detail);
	if (err != ERR_OK)
		return err == ERR_NO_MEMORY ? err : ERR_CORRUPT;
	err = object_read(a, object);
	json_decref(object);
	return err;
}

/* --- writing --- */

static json_t *key_write(const struct token_key *key, int64_t created_ms)
{
	char secret[BASE64URL_CHARS(TOKEN_SECRET_BYTES) + 1];
	base64url_format(key->secret, sizeof key->secret, secret);
	return json_pack("{s:s, s:s, s:I}", "id", key->id, "secret", secret, "created", (json_int_t)created_ms);
}

static json_t *token_write(const struct auth_token *t)
{
	json_t *item = json_pack("{s:o, s:I}", "token", token_object(&t->token), "created", (json_int_t)t->created_ms);
	bool ok = item != NULL;
	if (t->device)
		ok = ok && json_object_set_new(item, "device", json_string(t->device)) == 0;
	if (t->revoked_ms)
		ok = ok && json_object_set_new(item, "revoked", json_integer(t->revoked_ms)) == 0;
	if (ok)
		return item;
	json_decref(item);
	return NULL;
}

enum err auth_write(const struct auth *a, struct buf *out)
{
	json_t *keys = json_array(), *tokens = json_array();
	bool ok = keys && tokens;
	for (unsigned i = 0; i < a->key_count; i++)
		ok = ok && json_array_append_new(keys, key_write(&a->keys[i], a->key_created_ms[i])) == 0;
	for (size_t i = 0; i < a->count; i++)
		ok = ok && json_array_append_new(tokens, token_write(&a->tokens[i])) == 0;
	json_t *object = json_pack("{s:i, s:o, s:o}", "version", VERSION, "keys", keys, "tokens", tokens);
	if (ok && object)
		json_format(out, object);
	json_decref(object);
	buf_add_text(out, "\n");
	return ok && object && !out->failed ? ERR_OK : ERR_NO_MEMORY;
}
