/* What a token allows, as bits and as the wire's names. */
#ifndef HOLDFAST_BASE_SCOPE_H
#define HOLDFAST_BASE_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

enum scope { SCOPE_RECORD = 1, SCOPE_LISTEN = 2, SCOPE_PLAY = 4, SCOPE_IMPORT = 8, SCOPE_ADMIN = 16 };

enum {
	SCOPE_COUNT = 5,
	SCOPE_ALL = 31,
	SCOPE_OWN = SCOPE_RECORD | SCOPE_IMPORT
}; /* OWN: has recordings, and may read and change them */

/* The name of the bit 1 << index: "record", … */
const char *scope_name(unsigned index);

/* The bit of a name of `len` bytes; false when there is none. */
bool scope_parse(const char *name, size_t len, unsigned *out);

#endif
