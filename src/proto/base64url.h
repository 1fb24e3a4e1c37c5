/* Base64url without padding (RFC 4648, section 5), and nothing that could be written two ways: other characters, a
 * length of 4n + 1, and bits behind the last byte that are not zero are refused. Pure. */
#ifndef HOLDFAST_PROTO_BASE64URL_H
#define HOLDFAST_PROTO_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>

/* Characters for `len` bytes, without the NUL. */
#define BASE64URL_CHARS(len) (((len)*4 + 2) / 3)

/* `out` holds BASE64URL_CHARS(len) + 1. */
void base64url_format(const void *data, size_t len, char *out);

/* Decodes `len` characters into at most `size` bytes; false when they are none, or too many. */
bool base64url_parse(const char *text, size_t len, void *out, size_t size, size_t *out_len);

#endif
