/* What the operator's file of credentials says: which host is shown what (--fetch-credentials). Never logged, never
 * part of a message. Pure.
 *
 *   [host] or [host:port]
 *   user = NAME           both: HTTP Basic
 *   password = WORD
 *   header = Authorization: Bearer WORD      instead, or any other header */
#ifndef HOLDFAST_WORK_CREDENTIALS_H
#define HOLDFAST_WORK_CREDENTIALS_H

#include "work/source_url.h"

struct credential {
	char host[SOURCE_HOST];
	uint16_t port;	       /* 0: any */
	char *user, *password; /* owned; both or neither … */
	char *header;	       /* owned; … or this */
};

struct credentials {
	struct credential *items; /* owned */
	size_t count;
};

/* `text` is changed by reading it. On false *line and the fixed sentence *problem say what is wrong, and *out is empty.
 */
bool credentials_parse(char *text, struct credentials *out, unsigned *line, const char **problem);
/* Overwrites what is secret. */
void credentials_release(struct credentials *c);
/* What the place is shown, NULL if nothing. One for the very port comes before one for the host. */
const struct credential *credentials_find(const struct credentials *c, const struct source_place *place);

#endif
