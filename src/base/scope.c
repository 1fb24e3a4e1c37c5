/* Names of scopes, see scope.h. */
#include "base/scope.h"

#include <assert.h>
#include <string.h>

static const char *const names[SCOPE_COUNT] = { "record", "listen", "play", "import", "admin" };

const char *scope_name(unsigned index)
{
	assert(index < SCOPE_COUNT);
	return names[index];
}

bool scope_parse(const char *name, size_t len, unsigned *out)
{
	for (unsigned i = 0; i < SCOPE_COUNT; i++) {
		if (strlen(names[i]) != len || memcmp(names[i], name, len) != 0)
			continue;
		*out = 1u << i;
		return true;
	}
	return false;
}
