/* A take, inside the library: take.c works on it, take_api.c begins it and answers questions about it. */
#ifndef HOLDFAST_CLIENT_TAKE_H
#define HOLDFAST_CLIENT_TAKE_H

#include "hash.h"
#include "keep.h"
#include "link.h"
#include "sender.h"
#include "url.h"

#include <holdfast/client.h>

struct hf_take {
	struct keep keep;
	struct hash hash;
	struct sender sender;
	struct url url;
	struct link *link;
	char *buffer;	    /* owned: for reading up the digest */
	char *abort_reason; /* owned, or NULL */
	char *token;	    /* owned, or NULL */
	char **tracks;	    /* owned, ended by NULL; or NULL */
	uint64_t tidied_at; /* ms */
	uint64_t most_sent; /* of a file: read so far; never goes back */
	void (*progress)(void *arg, const struct hf_progress *progress);
	void *arg;
	struct hf_progress reported;
	bool has_reported;
	char error[WIRE_TEXT + 80];
};

/* Makes the take of `meta` (whose strings it takes over), or with NULL opens the one of options->session_id. `t` is
 * zero and its keep closed; hf_take_free is to follow in every case. */
int take_open(struct hf_take *t, const struct hf_options *options, struct keep_meta *meta);

/* Digest, spool and link have a turn. */
void take_step(struct hf_take *t, uint64_t now_ms);
/* How long until the next step at most. */
int take_wait_ms(const struct hf_take *t, uint64_t now_ms, uint64_t deadline);
/* Tells what changed; true when the take has ended. */
bool take_look(struct hf_take *t);

/* What the spool holds of a saved or aborted take goes, before its connection does. */
void take_forget(struct hf_take *t);

/* Monotonic. */
uint64_t take_now_ms(void);

#endif
