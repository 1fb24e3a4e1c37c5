/* Base64 (RFC 4648, section 4) with its padding, and nothing that could be written two ways: other characters, a
 * missing
 * "=" and bits behind the last byte that are not zero are refused. Pure. */
#ifndef HOLDFAST_PROTO_BASE64_H
#define HOLDFAST_PROTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that `len` characters decode to at most. */
#define BASE64_BYTES(len) ((len) / 4 * 3)

/* Decodes `len` characters into at most `size` bytes; false when they are none, or too many. No characters are no
 * bytes. */
bool base64_parse(const char *text, size_t len, void *out, size_t size, size_t *out_len);

#endif
