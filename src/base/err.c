/* The error table, see err.h. */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct err_row {
	const char *code;
	const char *text;
	enum err_class klass;
	int status;
};

static const struct err_row rows[ERR_COUNT] = {
#define X(name, code, klass, status, text) [ERR_##name] = { code, text, ERR_CLASS_##klass, status },
	ERR_TABLE(X)
#undef X
};

const char *err_code(enum err err)
{
	assert(err < ERR_COUNT);
	return rows[err].code;
}

const char *err_text(enum err err)
{
	assert(err < ERR_COUNT);
	return rows[err].text;
}

enum err_class err_class(enum err err)
{
	assert(err < ERR_COUNT);
	return rows[err].klass;
}

int err_status(enum err err)
{
	assert(err < ERR_COUNT);
	return rows[err].status;
}

bool err_parse(const char *code, enum err *out)
{
	for (int i = 0; i < ERR_COUNT; i++) {
		if (strcmp(rows[i].code, code) == 0) {
			*out = (enum err)i;
			return true;
		}
	}
	return false;
}

enum err err_from_errno(int value, enum err otherwise)
{
	switch (value) {
	case 0:
		return ERR_OK;
	case ENOSPC:
	case EDQUOT:
		return ERR_STORAGE_FULL;
	case ENOENT:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case ENOMEM:
		return ERR_NO_MEMORY;
	default:
		return otherwise;
	}
}
