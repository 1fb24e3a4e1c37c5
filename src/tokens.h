/* tokens.json of a data directory: where net/auth.h keeps its state. Written through the vfs (0600, durable before it
 * is answered); the loop never waits for it. */
#ifndef HOLDFAST_TOKENS_H
#define HOLDFAST_TOKENS_H

#include "base/exec.h"
#include "net/auth.h"

struct tokens {
	struct vfs *vfs;
	struct exec *exec; /* NULL: written at once, by a command without a loop */
	struct auth *auth;
};

/* Reads the file, or makes the first key. ERR_CORRUPT, ERR_SCHEMA_NEWER: the file is not ours to use. `revoked` as in
 * auth_config; it may be NULL. With `exec` the first key may still be on its way to the disk. */
enum err tokens_open(struct tokens *t, int64_t now_ms, void (*revoked)(void *arg, const char *token_id), void *arg);
/* Nothing may be under way on the lanes. */
void tokens_close(struct tokens *t);

#endif
