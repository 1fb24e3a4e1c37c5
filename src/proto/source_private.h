/* What the parts of the parser of sources' requests share; nobody else includes it. */
#ifndef HOLDFAST_PROTO_SOURCE_PRIVATE_H
#define HOLDFAST_PROTO_SOURCE_PRIVATE_H

#include "proto/source_request.h"

struct slice {
	const char *text; /* no NUL behind it */
	size_t len;
};

/* Compare with a string, exactly or without regard to case (ASCII). */
bool slice_is(struct slice s, const char *text);
bool slice_is_nocase(struct slice s, const char *text);
/* Cuts *rest at the first `separator`: what is before it is returned, *rest is what is behind it, or empty. */
struct slice slice_cut(struct slice *rest, char separator);
struct slice slice_trim(struct slice s);

/* A path or a query's value, still encoded, becomes a show's name: its slash and one known extension go. */
enum err source_mount_parse(struct slice s, char out[LIMIT_SHOW_CHARS + 1], const char **detail);

/* The query of /admin/metadata: fills mount and title. */
enum err source_title_parse(struct slice query, struct source_request *r, const char **detail);

#endif
