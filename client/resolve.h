/* A host name to addresses beside the loop's work: a resolver that hangs, as it does when the network is away, must not
 * keep a recording waiting. */
#ifndef HOLDFAST_CLIENT_RESOLVE_H
#define HOLDFAST_CLIENT_RESOLVE_H

#include <stdbool.h>

enum { RESOLVE_ADDRESSES = 8, RESOLVE_TEXT = 64 };

struct resolve;

struct resolved {
	char addresses[RESOLVE_ADDRESSES][RESOLVE_TEXT]; /* numeric */
	unsigned count;
	char error[384]; /* when there is none */
};

/* NULL: no memory. */
struct resolve *resolve_new(const char *host);
/* True once *out holds the answer. */
bool resolve_poll(struct resolve *r, struct resolved *out);
/* Also while it is under way. Accepts NULL. */
void resolve_free(struct resolve *r);

#endif
