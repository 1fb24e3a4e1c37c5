/* Who may do what: the keys, the tokens made with them, revocation, pairing and signed URLs.
 *
 * Guarantees: a token that this file made is on its list, and nobody gets one before the list with it is on disk
 * (`save` has said so); a revoked token is refused from the moment of the call on, and the caller hears so when that is
 * on disk; a token that is not on the list is none, whoever signed it. Secrets and tokens never stand in a log line.
 *
 * It does no I/O: where the state is kept is its owner's matter (tokens.json of the data directory, src/tokens.c). Loop
 * thread only. Times are wall clock in ms. */
#ifndef HOLDFAST_NET_AUTH_H
#define HOLDFAST_NET_AUTH_H

#include "engine/engine.h"
#include "proto/token.h"

struct auth;

struct auth_config {
	const char *text; /* what was saved last; NULL: nothing yet, a first key is made and saved at once */
	size_t len;
	/* Keep this text, durably; then auth_saved, once, perhaps before this returns. Never called again before. The
	 * text is the callee's to copy. */
	void (*save)(void *arg, struct auth *a, const char *text, size_t len);
	void *save_arg;
	void (*random)(void *arg, void *out, size_t len);
	void *random_arg;
	/* This token counts no longer: what works under it must end. May be NULL. */
	void (*revoked)(void *arg, const char *token_id);
	void *revoked_arg;
};

/* ERR_CORRUPT: the text is none of ours; ERR_SCHEMA_NEWER; ERR_NO_MEMORY. */
enum err auth_new(const struct auth_config *config, int64_t now_ms, struct auth **out);
void auth_saved(struct auth *a, enum err err);
/* Who still waits for an answer gets ERR_SHUTTING_DOWN. Accepts NULL. */
void auth_free(struct auth *a);

/* What a token allows. ERR_UNAUTHORIZED, ERR_TOKEN_EXPIRED, ERR_TOKEN_REVOKED. */
enum err auth_check(struct auth *a, const char *token, int64_t now_ms, struct grant *out);

/* A token as the list knows it. */
struct auth_token {
	struct token token;
	char *device;			/* owned by the list; NULL when not said */
	int64_t created_ms, revoked_ms; /* revoked_ms 0: it is not */
};

/* The answer to a change, once it is on disk. `token` is the text where one was made, `about` what the list says; both
 * are valid during the call and NULL with an error. */
typedef void auth_done_fn(void *arg, enum err err, const char *token, const struct auth_token *about);

struct auth_wish {
	const char *subject; /* NULL: a new one is drawn */
	const char *device;  /* for people; may be NULL */
	unsigned scopes;
	bool has_recording;
	struct uuid recording;
	uint64_t max_bytes;
	int64_t expires_ms;
};

/* Each answers exactly once, perhaps before it returns. ERR_BAD_FIELD: the wish is none (no scope, a subject that is
 * empty, too long or `local`, an expiry that has passed); ERR_LIMIT_EXCEEDED: LIMIT_TOKENS are live. */
void auth_mint(struct auth *a, const struct auth_wish *wish, int64_t now_ms, auth_done_fn *done, void *arg);
/* ERR_NOT_FOUND. Again for a revoked one: ERR_OK. */
void auth_revoke(struct auth *a, const char *id, int64_t now_ms, auth_done_fn *done, void *arg);
/* A new key signs from now on; the one before goes on to be accepted, the one before that does not, and what it signed
 * leaves the list. */
void auth_rotate(struct auth *a, int64_t now_ms, auth_done_fn *done, void *arg);
/* The list, oldest first: NULL behind its end. Valid until the next call of anything else. */
const struct auth_token *auth_list(const struct auth *a, size_t index);

/* --- pairing --- */

enum { PAIRING_TEXT = LIMIT_TOKEN_ID_CHARS + 1 };

/* The current pairing token: a new one when the last was used, or is good for less than LIMIT_PAIRING_RENEW_MS. */
void auth_pairing(struct auth *a, int64_t now_ms, char out[PAIRING_TEXT], int64_t *expires_ms);

struct auth_pair {
	const char *pairing, *nonce, *device, *token; /* all but `pairing` may be NULL */
};

/* A phone presents a pairing token and gets one of scope `record`. ERR_PAIRING_INVALID, ERR_PAIRING_USED,
 * ERR_PAIRING_EXPIRED; the same nonce gets the same token again. */
void auth_pair(struct auth *a, const struct auth_pair *pair, int64_t now_ms, auth_done_fn *done, void *arg);

/* --- signed URLs --- */

enum { SIGNATURE_TEXT = 44 };

/* A URL that needs no token: what of which recording, or a show's stream. */
struct auth_url {
	struct uuid recording;
	const char *what;		 /* "original", "file", …: the route's last segment */
	const char *track;		 /* of an original; "" without one */
	const char *expires, *signature; /* as they stand there; NULL: missing. Not for auth_sign */
	const char *show;		 /* its stream: then `what` is "live". NULL: a recording's */
};
/* The signature of the URL until `expires_s`. ERR_NO_MEMORY. */
enum err auth_sign(struct auth *a, const struct auth_url *url, int64_t expires_s, char out[SIGNATURE_TEXT]);
/* ERR_UNAUTHORIZED, ERR_TOKEN_EXPIRED; else what the URL allows: to read this recording, or to
 * listen. */
enum err auth_signed(struct auth *a, const struct auth_url *url, int64_t now_ms, struct grant *out);

#endif
