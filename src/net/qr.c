/* QR codes by libqrencode, see qr.h. */
#include "net/qr.h"

#include <errno.h>
#include <qrencode.h>

enum { QUIET = 4 }; /* modules around it: ISO/IEC 18004 */

static enum err encode(const char *text, QRcode **out)
{
	*out = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	if (*out)
		return ERR_OK;
	return errno == ENOMEM ? ERR_NO_MEMORY : ERR_BAD_FIELD;
}

static bool is_dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width && code->data[y * code->width + x] & 1;
}

enum err qr_svg(const char *text, struct buf *out)
{
	QRcode *code;
	enum err err = encode(text, &code);
	if (err != ERR_OK)
		return err;
	int size = code->width + 2 * QUIET;
	buf_addf(out,
		 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">"
		 "<path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/><path d=\"",
		 size, size, size, size);
	for (int y = 0; y < code->width; y++)
		for (int x = 0, run; x < code->width; x += run) {
			for (run = 1; x + run < code->width && is_dark(code, x + run, y) == is_dark(code, x, y); run++)
				;
			if (is_dark(code, x, y))
				buf_addf(out, "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, run, run);
		}
	buf_add_text(out, "\"/></svg>\n");
	QRcode_free(code);
	return out->failed ? ERR_NO_MEMORY : ERR_OK;
}

enum err qr_terminal(const char *text, struct buf *out, unsigned *columns)
{
	static const char *const halves[] = { " ", "\xe2\x96\x80", "\xe2\x96\x84", "\xe2\x96\x88" };
	QRcode *code;
	enum err err = encode(text, &code);
	if (err != ERR_OK)
		return err;
	*columns = (unsigned)code->width + 2 * QUIET;
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		buf_add_text(out, "\x1b[38;5;16;48;5;231m"); /* black on white in every palette */
		for (int x = -QUIET; x < code->width + QUIET; x++)
			buf_add_text(out, halves[is_dark(code, x, y) + 2 * is_dark(code, x, y + 1)]);
		buf_add_text(out, "\x1b[0m\n");
	}
	QRcode_free(code);
	return out->failed ? ERR_NO_MEMORY : ERR_OK;
}
