/* The list of tokens: checks, changes, and the answers that wait for their change to be on disk. See auth.h.
 *
 * Changes are numbered. One save is under way at a time and covers all changes before it; who changed something waits
 * for the save that covers it. A save that fails is not repeated by itself: it fails those who waited for it, and the
 * next change brings the next one. */
#include "net/auth_private.h"

#include "proto/base64url.h"
#include "proto/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call {
	struct list link;
	uint64_t generation;
	bool mint;
	char id[LIMIT_TOKEN_ID_CHARS + 1]; /* the token that it is about; "" for none */
	char *token;
	auth_done_fn *done;
	void *arg;
};

void auth_draw(struct auth *a, char out[LIMIT_TOKEN_ID_CHARS + 1])
{
	uint8_t bits[16];
	_Static_assert(BASE64URL_CHARS(sizeof bits) == LIMIT_TOKEN_ID_CHARS, "an id is 128 bits");
	a->config.random(a->config.random_arg, bits, sizeof bits);
	base64url_format(bits, sizeof bits, out);
}

struct auth_token *auth_find(struct auth *a, const char *id)
{
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->tokens[i].token.id, id) == 0)
			return &a->tokens[i];
	return NULL;
}

struct auth_token *auth_known(struct auth *a, const char *text)
{
	struct token parsed;
	if (token_parse(text, a->keys, a->key_count, &parsed) != ERR_OK)
		return NULL;
	return auth_find(a, parsed.id);
}

enum err auth_check(struct auth *a, const char *token, int64_t now_ms, struct grant *out)
{
	const struct auth_token *known = auth_known(a, token);
	if (!known)
		return ERR_UNAUTHORIZED;
	const struct token *t = &known->token;
	if (known->revoked_ms)
		return ERR_TOKEN_REVOKED;
	if (t->expires_s * 1000 <= now_ms)
		return ERR_TOKEN_EXPIRED;
	*out = (struct grant){
		.scopes = t->scopes,
		.has_resource = t->has_recording,
		.resource = t->recording,
		.max_bytes = t->max_bytes,
		.expires_ms = t->expires_s * 1000,
	};
	memcpy(out->subject, t->subject, sizeof out->subject);
	memcpy(out->token_id, t->id, sizeof out->token_id);
	return ERR_OK;
}

const struct auth_token *auth_list(const struct auth *a, size_t index)
{
	return index < a->count ? &a->tokens[index] : NULL;
}

/* --- the list --- */

static void remove_at(struct auth *a, size_t index)
{
	free(a->tokens[index].device);
	a->count--;
	memmove(&a->tokens[index], &a->tokens[index + 1], (a->count - index) * sizeof *a->tokens);
}

/* Room for one more: the one that expired first makes it. */
static enum err make_room(struct auth *a, int64_t now_ms)
{
	size_t oldest = SIZE_MAX;
	for (size_t i = 0; a->count >= LIMIT_TOKENS && i < a->count; i++) {
		int64_t expires_s = a->tokens[i].token.expires_s;
		if (expires_s * 1000 <= now_ms && (oldest == SIZE_MAX || expires_s < a->tokens[oldest].token.expires_s))
			oldest = i;
	}
	if (oldest != SIZE_MAX)
		remove_at(a, oldest);
	if (a->count >= LIMIT_TOKENS)
		return ERR_LIMIT_EXCEEDED;
	if (a->count < a->capacity)
		return ERR_OK;
	size_t capacity = a->capacity ? a->capacity * 2 : 16;
	struct auth_token *tokens = realloc(a->tokens, capacity * sizeof *tokens);
	if (!tokens)
		return ERR_NO_MEMORY;
	a->tokens = tokens;
	a->capacity = capacity;
	return ERR_OK;
}

/* --- saving --- */

static void save_pump(struct auth *a)
{
	struct buf text;
	if (a->saving || a->changed == a->saved)
		return;
	a->saving = a->changed;
	buf_init(&text);
	enum err err = auth_write(a, &text);
	if (err == ERR_OK)
		a->config.save(a->config.save_arg, a, text.data, text.len);
	else
		auth_saved(a, err);
	buf_release(&text);
}

static void call_free(struct auth *a, struct call *call)
{
	list_remove(&call->link);
	a->call_count--;
	free(call->token);
	free(call);
}

static void call_answer(struct auth *a, struct call *call, enum err err)
{
	const struct auth_token *about = call->id[0] ? auth_find(a, call->id) : NULL;
	if (err != ERR_OK && call->mint && about) /* nobody will ever have it */
		remove_at(a, (size_t)(about - a->tokens));
	else if (err == ERR_OK && call->mint && (!about || about->revoked_ms))
		err = ERR_TOKEN_REVOKED; /* while it was being saved */
	if (err == ERR_OK)
		call->done(call->arg, ERR_OK, call->token, about);
	else
		call->done(call->arg, err, NULL, NULL);
}

void auth_saved(struct auth *a, enum err err)
{
	uint64_t generation = a->saving;
	struct list over;
	a->saving = 0;
	if (err == ERR_OK)
		a->saved = generation;
	list_init(&over);
	while (!list_empty(&a->calls)) {
		struct list *first = a->calls.next;
		if (list_entry(first, struct call, link)->generation > generation)
			break;
		list_remove(first);
		list_push(&over, first);
	}
	while (!list_empty(&over)) {
		struct call *call = list_entry(over.next, struct call, link);
		call_answer(a, call, err);
		call_free(a, call);
	}
	if (!list_empty(&a->calls))
		save_pump(a);
}

/* Something changed: the answer comes when that is on disk. */
static struct call *call_new(struct auth *a, auth_done_fn *done, void *arg)
{
	struct call *call = a->call_count < LIMIT_TOKEN_CALLS ? calloc(1, sizeof *call) : NULL;
	if (!call)
		return NULL;
	call->done = done;
	call->arg = arg;
	list_init(&call->link);
	a->call_count++;
	return call;
}

static void call_wait(struct auth *a, struct call *call)
{
	call->generation = ++a->changed;
	list_push(&a->calls, &call->link);
	save_pump(a);
}

/* --- changes --- */

static enum err token_make(struct auth *a, const struct auth_wish *wish, struct auth_token *out, char text[TOKEN_TEXT])
{
	struct token *t = &out->token;
	if (wish->has_recording) {
		t->has_recording = true;
		t->recording = wish->recording;
	}
	t->scopes = wish->scopes;
	t->max_bytes = wish->max_bytes;
	t->expires_s = wish->expires_ms / 1000;
	auth_draw(a, t->id);
	memcpy(t->key, a->keys[0].id, sizeof t->key);
	if (!wish->subject) {
		memcpy(t->subject, "u-", 2);
		auth_draw(a, t->subject + 2);
	} else if (strlen(wish->subject) <= LIMIT_PRINCIPAL_CHARS && strcmp(wish->subject, PRINCIPAL_LOCAL) != 0) {
		memcpy(t->subject, wish->subject, strlen(wish->subject) + 1);
	}
	if (wish->device && *wish->device) {
		if (!text_valid(wish->device, LIMIT_NAME_CHARS))
			return ERR_BAD_FIELD;
		out->device = strdup(wish->device);
		if (!out->device)
			return ERR_NO_MEMORY;
	}
	return token_format(t, &a->keys[0], text);
}

void auth_mint(struct auth *a, const struct auth_wish *wish, int64_t now_ms, auth_done_fn *done, void *arg)
{
	char text[TOKEN_TEXT];
	struct auth_token token = { .created_ms = now_ms };
	struct call *call = NULL;
	enum err err = wish->expires_ms / 1000 * 1000 > now_ms ? ERR_OK : ERR_BAD_FIELD;
	if (err == ERR_OK)
		err = token_make(a, wish, &token, text);
	if (err == ERR_OK)
		err = make_room(a, now_ms);
	if (err == ERR_OK && !(call = call_new(a, done, arg)))
		err = ERR_BUSY;
	if (err == ERR_OK && !(call->token = strdup(text))) {
		call_free(a, call);
		err = ERR_NO_MEMORY;
	}
	if (err != ERR_OK) {
		free(token.device);
		done(arg, err, NULL, NULL);
		return;
	}
	a->tokens[a->count++] = token;
	call->mint = true;
	memcpy(call->id, token.token.id, sizeof call->id);
	call_wait(a, call);
}

/* Ends what works under it, at once; a save that fails leaves it so until the process ends. */
static void revoke(struct auth *a, struct auth_token *token, int64_t now_ms)
{
	if (token->revoked_ms)
		return;
	token->revoked_ms = now_ms > 0 ? now_ms : 1;
	if (a->config.revoked)
		a->config.revoked(a->config.revoked_arg, token->token.id);
}

void auth_revoke(struct auth *a, const char *id, int64_t now_ms, auth_done_fn *done, void *arg)
{
	struct auth_token *token = auth_find(a, id);
	struct call *call = token ? call_new(a, done, arg) : NULL;
	if (!call) {
		done(arg, token ? ERR_BUSY : ERR_NOT_FOUND, NULL, NULL);
		return;
	}
	revoke(a, token, now_ms);
	memcpy(call->id, token->token.id, sizeof call->id);
	call_wait(a, call);
}

static void key_make(struct auth *a, int64_t now_ms)
{
	memmove(&a->keys[1], &a->keys[0], (LIMIT_TOKEN_KEYS - 1) * sizeof a->keys[0]);
	memmove(&a->key_created_ms[1], &a->key_created_ms[0], (LIMIT_TOKEN_KEYS - 1) * sizeof a->key_created_ms[0]);
	a->key_count += a->key_count < LIMIT_TOKEN_KEYS;
	auth_draw(a, a->keys[0].id);
	a->config.random(a->config.random_arg, a->keys[0].secret, sizeof a->keys[0].secret);
	a->key_created_ms[0] = now_ms;
}

static bool key_lives(const struct auth *a, const char *id)
{
	for (unsigned i = 0; i < a->key_count; i++)
		if (strcmp(a->keys[i].id, id) == 0)
			return true;
	return false;
}

void auth_rotate(struct auth *a, int64_t now_ms, auth_done_fn *done, void *arg)
{
	struct call *call = call_new(a, done, arg);
	if (!call) {
		done(arg, ERR_BUSY, NULL, NULL);
		return;
	}
	key_make(a, now_ms);
	for (size_t i = a->count; i > 0; i--) {
		if (key_lives(a, a->tokens[i - 1].token.key))
			continue;
		revoke(a, &a->tokens[i - 1], now_ms);
		remove_at(a, i - 1);
	}
	call_wait(a, call);
}

/* --- life --- */

enum err auth_new(const struct auth_config *config, int64_t now_ms, struct auth **out)
{
	struct auth *a = calloc(1, sizeof *a);
	*out = NULL;
	if (!a)
		return ERR_NO_MEMORY;
	a->config = *config;
	list_init(&a->calls);
	enum err err = config->text ? auth_read(a, config->text, config->len) : ERR_OK;
	if (err != ERR_OK) {
		auth_free(a);
		return err;
	}
	*out = a;
	if (!config->text) {
		key_make(a, now_ms);
		a->changed++;
		save_pump(a);
	}
	return ERR_OK;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	while (!list_empty(&a->calls)) {
		struct call *call = list_entry(a->calls.next, struct call, link);
		call->done(call->arg, ERR_SHUTTING_DOWN, NULL, NULL);
		call_free(a, call);
	}
	pairings_free(a);
	for (size_t i = 0; i < a->count; i++)
		free(a->tokens[i].device);
	free(a->tokens);
	explicit_bzero(a->keys, sizeof a->keys);
	free(a);
}
