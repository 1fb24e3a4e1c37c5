/* The address of a foreign Icecast (--icecast). Pure.
 *
 *   icecast://[USER]:PASSWORD@HOST[:PORT]/MOUNT
 *
 * USER is "source" when it is empty, PORT 8000; USER and PASSWORD may hold %XX. "{show}" in the mount is the name of
 * the show that is on air; without it the mount is one show's at a time. */
#ifndef HOLDFAST_WORK_RELAY_URL_H
#define HOLDFAST_WORK_RELAY_URL_H

#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>

enum { RELAY_MOUNT = LIMIT_RELAY_MOUNT_CHARS + LIMIT_SHOW_CHARS + 1 };

struct relay_url {
	char host[256]; /* without brackets */
	uint16_t port;
	char user[LIMIT_SOURCE_USER_CHARS + 1], password[LIMIT_SOURCE_PASSWORD_CHARS + 1];
	char mount[LIMIT_RELAY_MOUNT_CHARS + 1]; /* "/{show}" */
	bool each;				 /* {show} stands in it: each show has a mount of its own */
};

/* On false *problem is a fixed sentence, which repeats nothing of the text, and *out is all zero. */
bool relay_url_parse(const char *text, struct relay_url *out, const char **problem);
/* The mount of a show. */
void relay_mount(const struct relay_url *url, const char *show, char out[RELAY_MOUNT]);

#endif
