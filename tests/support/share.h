/* The share of the larger counts that a run takes: HOLDFAST_SHARE=8 in the environment, as with sanitizers, is an
 * eighth of them; without it all are done. */
#ifndef HOLDFAST_TESTS_SHARE_H
#define HOLDFAST_TESTS_SHARE_H

#include <stdlib.h>

/* At least 1: do every so manyth. */
static inline unsigned share(void)
{
	const char *text = getenv("HOLDFAST_SHARE");
	unsigned long every = text ? strtoul(text, NULL, 10) : 1;
	return every >= 1 && every <= 1000 ? (unsigned)every : 1;
}

#endif
