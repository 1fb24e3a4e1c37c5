/* The texts of a protocol that is older than UTF-8, made into what the rest of the server takes. Pure. */
#ifndef HOLDFAST_PROTO_SOURCE_TEXT_H
#define HOLDFAST_PROTO_SOURCE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Writes `len` bytes of any origin into `out` as text that text_valid accepts, with its NUL at most `size` (> 0) bytes.
 * What is valid UTF-8 is taken for it unless it was declared `latin1`; anything else is read as Windows-1252, which is
 * what they mean who say ISO-8859-1. Tabs and line ends become blanks, other control characters go, blanks at both ends
 * too; what is too long is cut between two characters. Returns the text's length. */
size_t source_text_clean(const char *bytes, size_t len, bool latin1, char *out, size_t size);

/* Decodes %XX, and "+" to a blank when `plus`, into at most `size` bytes; no NUL is added. False when a "%" is not
 * followed by two hexadecimal digits, for an encoded NUL, or when it does not fit. */
bool source_percent_decode(const char *text, size_t len, bool plus, char *out, size_t size, size_t *out_len);

/* Base64 with its padding (RFC 4648, section 4), only as it is written by the book: no other characters, no bits behind
 * the last byte. At most `size` bytes; false otherwise. */
bool source_base64_decode(const char *text, size_t len, char *out, size_t size, size_t *out_len);

#endif
