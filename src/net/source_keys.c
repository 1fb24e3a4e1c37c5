/* See source_keys.h. */
#include "net/source_keys.h"

#include "base/limits.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

static const char any_show[] = "*", user_name[] = "source";

struct key {
	char show[LIMIT_SHOW_CHARS + 1]; /* or any_show */
	uint8_t digest[SHA256_DIGEST_LENGTH];
};

struct source_keys {
	struct key *items; /* owned */
	size_t count;
};

enum err source_keys_new(struct source_keys **out)
{
	*out = calloc(1, sizeof **out);
	return *out ? ERR_OK : ERR_NO_MEMORY;
}

void source_keys_free(struct source_keys *k)
{
	if (!k)
		return;
	free(k->items);
	free(k);
}

static bool digest_make(const char *text, uint8_t out[SHA256_DIGEST_LENGTH])
{
	return EVP_Digest(text, strlen(text), out, NULL, EVP_sha256(), NULL) == 1;
}

/* As a mount is read (proto/source_request.h). */
static bool show_fine(const char *show)
{
	static const char may[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t len = strlen(show);
	return strcmp(show, any_show) == 0 ||
	       (len > 0 && len <= LIMIT_SHOW_CHARS && *show != '.' && strspn(show, may) == len);
}

static bool password_fine(const char *password)
{
	size_t len = strlen(password);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)password[i] < ' ' || password[i] == 0x7f)
			return false;
	return len > 0 && len <= LIMIT_SOURCE_PASSWORD_CHARS;
}

static const struct key *key_of(const struct source_keys *k, const char *show)
{
	for (size_t i = 0; i < k->count; i++)
		if (strcmp(k->items[i].show, show) == 0)
			return &k->items[i];
	return NULL;
}

bool source_keys_add(struct source_keys *k, const char *show, const char *password, const char **problem)
{
	*problem = "a show's name has letters, digits, '-', '_' and '.', and no dot in front";
	if (!show_fine(show))
		return false;
	*problem = "a password has 1 to 256 bytes, and no control characters";
	if (!password_fine(password))
		return false;
	*problem = "the show has a password already";
	if (key_of(k, show))
		return false;
	*problem = "out of memory";
	struct key *items = realloc(k->items, (k->count + 1) * sizeof *items);
	if (!items)
		return false;
	k->items = items;
	struct key *key = &items[k->count];
	*key = (struct key){ 0 };
	memcpy(key->show, show, strlen(show));
	if (!digest_make(password, key->digest))
		return false;
	k->count++;
	return true;
}

bool source_keys_parse(struct source_keys *k, char *text, unsigned *line, const char **problem)
{
	*line = 1;
	for (char *at = text, *next; at; at = next, ++*line) {
		next = strchr(at, '\n');
		if (next)
			*next++ = '\0';
		size_t len = strlen(at);
		while (len > 0 && strchr(" \t\r", at[len - 1]))
			at[--len] = '\0';
		at += strspn(at, " \t");
		if (*at == '\0' || *at == '#')
			continue;
		char *password = at + strcspn(at, " \t");
		*problem = "a line is a show's name, a blank, and its password";
		if (*password == '\0')
			return false;
		*password++ = '\0';
		if (!source_keys_add(k, at, password + strspn(password, " \t"), problem))
			return false;
	}
	return true;
}

bool source_keys_match(const struct source_keys *k, const char *show, const char *user, const char *password)
{
	static const struct key none;
	uint8_t digest[SHA256_DIGEST_LENGTH] = { 0 };
	const struct key *key = key_of(k, show);
	if (!key)
		key = key_of(k, any_show);
	bool ok = digest_make(password, digest) & (key != NULL) & (strcmp(user, user_name) == 0);
	ok &= CRYPTO_memcmp(digest, key ? key->digest : none.digest, sizeof digest) == 0;
	OPENSSL_cleanse(digest, sizeof digest);
	return ok;
}
