/* What a take is, guessed where nobody said it: from a file's name, or from the first bytes of a stream. A hint for the
 * server, which looks for itself. Pure. */
#ifndef HOLDFAST_CLIENT_GUESS_H
#define HOLDFAST_CLIENT_GUESS_H

#include <stddef.h>

struct guess {
	const char *ext, *mime; /* static texts, or NULL */
};

enum { GUESS_BYTES = 64 }; /* so many first bytes suffice */

struct guess guess_from_name(const char *name);
struct guess guess_from_bytes(const void *data, size_t len);
struct guess guess_from_mime(const char *mime);

#endif
