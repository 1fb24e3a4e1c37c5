/* meta.json as text. Inside keep. */
#ifndef HOLDFAST_CLIENT_KEEP_META_H
#define HOLDFAST_CLIENT_KEEP_META_H

#include "keep.h"

/* JSON text to be freed; NULL: no memory, or a string is no UTF-8. */
char *keep_meta_format(const struct keep_meta *m);
/* False for what was not written by keep_meta_format; then *out is empty. */
bool keep_meta_parse(const char *text, size_t len, struct keep_meta *out);

#endif
