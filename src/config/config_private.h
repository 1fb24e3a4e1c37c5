/* What config.c (which options there are, and where their values are found) and config_apply.c (what the values mean)
 * share. */
#ifndef HOLDFAST_CONFIG_CONFIG_PRIVATE_H
#define HOLDFAST_CONFIG_CONFIG_PRIVATE_H

#include "config/config.h"

#include <stddef.h>

/* A switch may be given everywhere, with yes or no; a flag is for the command line alone. */
enum kind {
	KIND_TEXT,
	KIND_LISTEN,
	KIND_SOURCE_LISTEN, /* … of sources: all addresses may be named by none */
	KIND_SECRET,	    /* a text that no sentence repeats */
	KIND_ICECAST,	    /* likewise: a URL with a password */
	KIND_MS32,
	KIND_MS64,
	KIND_KEEP, /* … or "forever": UINT64_MAX */
	KIND_SIZE,
	KIND_COUNT,
	KIND_RATE, /* a number, or two with a colon between */
	KIND_CHOICE,
	KIND_FLAG,
	KIND_SWITCH,
	KIND_ORIGINS,
	KIND_RANGES,
	KIND_WEBHOOK,
	KIND_AUTHORITY,
};

enum { EXIT_USAGE = 2 };

struct row {
	const char *name, *arg; /* arg as --help shows it; for a choice its words */
	enum kind kind;
	unsigned commands;
	size_t offset;
	const char *fallback; /* NULL: none */
	uint64_t min, max;
	const char *help;
};

/* A value as it was found; `where` names the place in a sentence. */
struct found {
	const char *text;
	char where[96];
};

/* Says on standard error where the value stands and what is wrong with it; EXIT_USAGE. */
int config_complain(const struct found *f, const char *what);
/* Judges the text and writes it to its place. EXIT_USAGE after a sentence on standard error. */
int config_apply(struct config *c, const struct row *row, const struct found *f);

#endif
