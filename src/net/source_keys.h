/* The passwords of Icecast's sources: one for all shows, or one of its own for each.
 *
 * Kept as SHA-256 only, and compared in constant time: nothing here can be printed that would open a show. They are no
 * tokens: people type them into a tool once, and who has a show's password is that show's host. Pure. */
#ifndef HOLDFAST_NET_SOURCE_KEYS_H
#define HOLDFAST_NET_SOURCE_KEYS_H

#include "base/err.h"

#include <stdbool.h>

struct source_keys;

/* ERR_NO_MEMORY. */
enum err source_keys_new(struct source_keys **out);
void source_keys_free(struct source_keys *k); /* accepts NULL */

/* `show` "*": each that has none of its own. On false *problem is the end of a sentence that names no password. */
bool source_keys_add(struct source_keys *k, const char *show, const char *password, const char **problem);
/* Lines of "show password", or "* password"; empty ones and such that begin with # are left out. `text` is changed by
 * reading it. On false *line says where it is wrong. */
bool source_keys_parse(struct source_keys *k, char *text, unsigned *line, const char **problem);

/* May who shows these go on air there? The user is "source", as everywhere with Icecast. */
bool source_keys_match(const struct source_keys *k, const char *show, const char *user, const char *password);

#endif
