/* Names of files, which are bytes, made into what others take: a recording's title, columns of a terminal. Pure, but
 * for wcwidth(), which goes by the locale. */
#ifndef HOLDFAST_CLIENT_TEXT_H
#define HOLDFAST_CLIENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_TITLE_CHARS = 200, TEXT_TITLE = 4 * TEXT_TITLE_CHARS + 1 };

/* One character from *at on, which is moved behind it; U+FFFD for a byte that is no UTF-8. *at must not be at the end.
 */
uint32_t text_next(const char **at);

/* UTF-8 without control characters, TEXT_TITLE_CHARS of them at most: of a longer one the end, which tells files apart.
 */
void text_title(const char *bytes, char out[TEXT_TITLE]);

/* `bytes` in exactly `columns` columns: what is too long is cut in its middle (`keep_end`) or at its end, what is short
 * is filled with blanks. Control characters, and what the terminal can't show (all that is not ASCII, unless utf8),
 * become a mark. */
struct text_style {
	bool utf8, keep_end;
};
void text_cells(const char *bytes, unsigned columns, struct text_style style, char *out, size_t size);
/* How many columns that is uncut. */
unsigned text_width(const char *bytes, bool utf8);
/* `bytes` as text_cells shows them, uncut. */
void text_shown(const char *bytes, bool utf8, char *out, size_t size);

#endif
