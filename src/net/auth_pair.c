/* Pairing tokens and signed URLs, see auth.h. Pairing tokens live in memory only: a restart makes all of them unknown,
 * and the next question for one gets a new one. */
#include "net/auth_private.h"

#include "proto/base64url.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pair_call {
	struct list link;
	auth_done_fn *done;
	void *arg;
};

static void pairing_free(struct pairing *p)
{
	struct list *link;
	while ((link = list_pop(&p->waiting))) {
		struct pair_call *call = list_entry(link, struct pair_call, link);
		call->done(call->arg, ERR_SHUTTING_DOWN, NULL, NULL);
		free(call);
	}
	free(p->token);
	free(p);
}

void pairings_free(struct auth *a)
{
	while (a->pairing_count > 0)
		pairing_free(a->pairings[--a->pairing_count]);
}

/* --- making --- */

/* The oldest that nobody waits for goes. */
static bool forget_one(struct auth *a)
{
	for (unsigned i = 0; i < a->pairing_count; i++) {
		if (a->pairings[i]->state == PAIRING_MINTING)
			continue;
		pairing_free(a->pairings[i]);
		a->pairing_count--;
		memmove(&a->pairings[i], &a->pairings[i + 1], (a->pairing_count - i) * sizeof *a->pairings);
		return true;
	}
	return false;
}

static struct pairing *pairing_new(struct auth *a, int64_t now_ms)
{
	if (a->pairing_count == LIMIT_PAIRINGS && !forget_one(a))
		return NULL;
	struct pairing *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->auth = a;
	p->expires_ms = now_ms + LIMIT_PAIRING_MS;
	list_init(&p->waiting);
	auth_draw(a, p->text);
	a->pairings[a->pairing_count++] = p;
	return p;
}

void auth_pairing(struct auth *a, int64_t now_ms, char out[PAIRING_TEXT], int64_t *expires_ms)
{
	struct pairing *p = a->pairing_count > 0 ? a->pairings[a->pairing_count - 1] : NULL;
	if (!p || p->state != PAIRING_FRESH || p->expires_ms < now_ms + LIMIT_PAIRING_RENEW_MS)
		p = pairing_new(a, now_ms);
	snprintf(out, PAIRING_TEXT, "%s", p ? p->text : "");
	*expires_ms = p ? p->expires_ms : 0;
}

/* --- using --- */

static struct pairing *pairing_find(const struct auth *a, const char *text)
{
	struct pairing *found = NULL;
	if (strlen(text) != PAIRING_TEXT - 1)
		return NULL;
	for (unsigned i = 0; i < a->pairing_count; i++)
		if (CRYPTO_memcmp(a->pairings[i]->text, text, PAIRING_TEXT) == 0)
			found = a->pairings[i];
	return found;
}

static bool same_attempt(const struct pairing *p, const struct auth_pair *pair)
{
	return p->nonce[0] && pair->nonce && strcmp(p->nonce, pair->nonce) == 0;
}

static void minted(void *arg, enum err err, const char *token, const struct auth_token *about)
{
	struct pairing *p = arg;
	struct list waiting, *link;
	list_init(&waiting);
	list_move(&waiting, &p->waiting);
	p->token = err == ERR_OK ? strdup(token) : NULL;
	if (err == ERR_OK && !p->token)
		err = ERR_NO_MEMORY;
	p->state = err == ERR_OK ? PAIRING_USED : PAIRING_FRESH;
	if (err == ERR_OK)
		memcpy(p->token_id, about->token.id, sizeof p->token_id);
	while ((link = list_pop(&waiting))) {
		struct pair_call *call = list_entry(link, struct pair_call, link);
		call->done(call->arg, err, err == ERR_OK ? token : NULL, err == ERR_OK ? about : NULL);
		free(call);
	}
}

static void pair_wait(struct pairing *p, auth_done_fn *done, void *arg)
{
	struct pair_call *call = calloc(1, sizeof *call);
	if (!call) {
		done(arg, ERR_NO_MEMORY, NULL, NULL);
		return;
	}
	call->done = done;
	call->arg = arg;
	list_push(&p->waiting, &call->link);
}

/* Whoever had a token keeps its subject, and so its recordings. */
static const char *subject_of(struct auth *a, const char *token)
{
	const struct auth_token *known = token ? auth_known(a, token) : NULL;
	return known && !known->revoked_ms && known->token.scopes & SCOPE_RECORD ? known->token.subject : NULL;
}

static void pair_first(struct auth *a, struct pairing *p, const struct auth_pair *pair, int64_t now_ms)
{
	char subject[LIMIT_PRINCIPAL_CHARS + 1];
	const char *kept = subject_of(a, pair->token);
	if (kept) /* the list may move while it grows */
		memcpy(subject, kept, strlen(kept) + 1);
	snprintf(p->nonce, sizeof p->nonce, "%s", pair->nonce ? pair->nonce : "");
	p->state = PAIRING_MINTING;
	p->repeat_ms = now_ms + LIMIT_PAIRING_MS;
	auth_mint(a,
		  &(struct auth_wish){ .subject = kept ? subject : NULL,
				       .device = pair->device,
				       .scopes = SCOPE_RECORD,
				       .max_bytes = UINT64_MAX,
				       .expires_ms = now_ms + LIMIT_PAIRED_DAYS * 86400000LL },
		  now_ms, minted, p);
}

void auth_pair(struct auth *a, const struct auth_pair *pair, int64_t now_ms, auth_done_fn *done, void *arg)
{
	struct pairing *p = pairing_find(a, pair->pairing);
	const struct auth_token *given = p && p->state == PAIRING_USED ? auth_find(a, p->token_id) : NULL;
	enum err err = ERR_OK;
	if (!p)
		err = ERR_PAIRING_INVALID;
	else if (p->state == PAIRING_FRESH && p->expires_ms <= now_ms)
		err = ERR_PAIRING_EXPIRED;
	else if (p->state != PAIRING_FRESH && !same_attempt(p, pair))
		err = ERR_PAIRING_USED;
	else if (p->state == PAIRING_USED && (p->repeat_ms <= now_ms || !given || given->revoked_ms))
		err = ERR_PAIRING_USED;
	if (err != ERR_OK) {
		done(arg, err, NULL, NULL);
	} else if (p->state == PAIRING_USED) {
		done(arg, ERR_OK, p->token, given);
	} else {
		pair_wait(p, done, arg);
		if (p->state == PAIRING_FRESH)
			pair_first(a, p, pair, now_ms);
	}
}

/* --- signed URLs --- */

static enum err signature_make(const struct token_key *key, const struct auth_url *url, char out[SIGNATURE_TEXT])
{
	char id[UUID_TEXT];
	uint8_t mac[TOKEN_MAC_BYTES];
	struct buf text;
	buf_init(&text);
	uuid_format(&url->recording, id);
	buf_addf(&text, "%s\n%s\n%s\n%s", url->what, url->show ? url->show : id, url->expires, url->track);
	enum err err = text.failed ? ERR_NO_MEMORY : token_mac(key, text.data, text.len, mac);
	buf_release(&text);
	if (err != ERR_OK)
		memset(mac, 0, sizeof mac);
	_Static_assert(BASE64URL_CHARS(sizeof mac) + 1 == SIGNATURE_TEXT, "a signature is a MAC");
	base64url_format(mac, sizeof mac, out);
	return err;
}

enum err auth_sign(struct auth *a, const struct auth_url *url, int64_t expires_s, char out[SIGNATURE_TEXT])
{
	char expires[24];
	struct auth_url whole = *url;
	snprintf(expires, sizeof expires, "%lld", (long long)expires_s);
	whole.expires = expires;
	return signature_make(&a->keys[0], &whole, out);
}

/* A number as auth_sign writes it. */
static bool expires_read(const char *text, int64_t *out)
{
	enum { DIGITS = 12 };
	size_t len = strlen(text);
	if (len == 0 || len > DIGITS || strspn(text, "0123456789") != len || *text == '0')
		return false;
	*out = strtoll(text, NULL, 10);
	return true;
}

enum err auth_signed(struct auth *a, const struct auth_url *url, int64_t now_ms, struct grant *out)
{
	char own[SIGNATURE_TEXT];
	int64_t expires_s;
	bool fits = false;
	if (!url->expires || !url->signature || strlen(url->signature) != SIGNATURE_TEXT - 1 ||
	    !expires_read(url->expires, &expires_s) || expires_s > now_ms / 1000 + LIMIT_SIGNED_S)
		return ERR_UNAUTHORIZED;
	for (unsigned i = 0; i < a->key_count; i++)
		fits |= signature_make(&a->keys[i], url, own) == ERR_OK &&
			CRYPTO_memcmp(own, url->signature, SIGNATURE_TEXT) == 0;
	if (!fits)
		return ERR_UNAUTHORIZED;
	if (expires_s * 1000 <= now_ms)
		return ERR_TOKEN_EXPIRED;
	*out = (struct grant){
		.scopes = url->show ? SCOPE_LISTEN : SCOPE_PLAY,
		.has_resource = !url->show,
		.resource = url->recording,
		.max_bytes = UINT64_MAX,
		.expires_ms = expires_s * 1000,
	};
	return ERR_OK;
}
