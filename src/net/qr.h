/* A QR code of a text, for a page and for a terminal: dark on light with the quiet zone of 4 that readers need,
 * whatever the colours around it are. */
#ifndef HOLDFAST_NET_QR_H
#define HOLDFAST_NET_QR_H

#include "base/buf.h"
#include "base/err.h"

/* An SVG image. ERR_NO_MEMORY; ERR_BAD_FIELD: the text is too long for any code. */
enum err qr_svg(const char *text, struct buf *out);
/* Two rows a line in half-block characters (UTF-8), black on white by escape codes of their own. *columns is its width.
 */
enum err qr_terminal(const char *text, struct buf *out, unsigned *columns);

#endif
