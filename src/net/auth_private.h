/* What the files of auth share: auth.c keeps the list and has it saved, auth_file.c is its text, auth_pair.c pairs and
 * signs. */
#ifndef HOLDFAST_NET_AUTH_PRIVATE_H
#define HOLDFAST_NET_AUTH_PRIVATE_H

#include "base/list.h"
#include "net/auth.h"

enum pairing_state { PAIRING_FRESH, PAIRING_MINTING, PAIRING_USED };

struct pairing {
	struct auth *auth;
	char text[PAIRING_TEXT];
	int64_t expires_ms;
	int64_t repeat_ms; /* used: until then a repeat is answered */
	enum pairing_state state;
	char nonce[LIMIT_NONCE_CHARS + 1]; /* of who used it; "": no repeat is answered */
	char *token;			   /* used: what it gave */
	char token_id[LIMIT_TOKEN_ID_CHARS + 1];
	struct list waiting; /* minting: struct pair_call */
};

struct auth {
	struct auth_config config;
	struct token_key keys[LIMIT_TOKEN_KEYS]; /* the newest first: it signs */
	int64_t key_created_ms[LIMIT_TOKEN_KEYS];
	unsigned key_count;
	struct auth_token *tokens; /* oldest first */
	size_t count, capacity;
	uint64_t changed, saving, saved; /* generations of the state; saving 0: no save is under way */
	struct list calls;		 /* struct call: wait for the save of their generation */
	unsigned call_count;
	struct pairing *pairings[LIMIT_PAIRINGS]; /* oldest first */
	unsigned pairing_count;
};

/* auth.c */
struct auth_token *auth_find(struct auth *a, const char *id);
/* A token of ours as the list knows it, expired or revoked or not; NULL otherwise. */
struct auth_token *auth_known(struct auth *a, const char *text);
/* 128 random bits. */
void auth_draw(struct auth *a, char out[LIMIT_TOKEN_ID_CHARS + 1]);

/* auth_file.c */
enum err auth_read(struct auth *a, const char *text, size_t len);
/* ERR_NO_MEMORY. */
enum err auth_write(const struct auth *a, struct buf *out);

/* auth_pair.c */
void pairings_free(struct auth *a);

#endif
