/* Titles for listeners, see icy.h. */
#include "proto/icy.h"

#include <assert.h>
#include <string.h>

static const char before[] = "StreamTitle='";
static const char after[] = "';";

bool icy_wanted(const char *value)
{
	return value && value[0] == '1' && value[1] == '\0';
}

static void line_add(struct buf *out, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_addf(out, "%s: ", name);
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p >= ' ' && *p != 0x7f)
			buf_add(out, p, 1);
	buf_add_text(out, "\r\n");
}

void icy_headers_add(struct buf *out, const struct icy_station *station, bool titles)
{
	line_add(out, "icy-name", station->name);
	line_add(out, "icy-genre", station->genre);
	line_add(out, "icy-description", station->description);
	line_add(out, "icy-url", station->url);
	if (station->bitrate_kbps > 0)
		buf_addf(out, "icy-br: %u\r\n", station->bitrate_kbps);
	buf_addf(out, "icy-pub: %d\r\n", station->is_public);
	if (titles)
		buf_addf(out, "icy-metaint: %d\r\n", LIMIT_ICY_INTERVAL_BYTES);
}

/* Players end the title at the first "';", so one inside it gets a blank between; other quotes stay, as players take
 * them. Returns how long the text became. */
static size_t text_write(const char *title, char *out, size_t size)
{
	size_t used = 0, whole = 0; /* whole: up to the last character that is complete */
	for (const char *p = title; *p; p++) {
		if (((unsigned char)*p & 0xc0) != 0x80)
			whole = used;
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			continue;
		bool ends = *p == ';' && used > 0 && out[used - 1] == '\'';
		if (size - used < 1u + ends) {
			memset(out + whole, 0, used - whole); /* the padding is NULs */
			return whole;
		}
		if (ends)
			out[used++] = ' ';
		out[used++] = *p;
	}
	return used;
}

void icy_title_set(struct icy_title *t, const char *title)
{
	uint8_t block[sizeof t->block] = { 0 };
	char *text = (char *)block + 1;
	size_t len = sizeof before - 1;
	memcpy(text, before, len);
	len += text_write(title, text + len, LIMIT_ICY_BLOCK_BYTES - len - (sizeof after - 1));
	memcpy(text + len, after, sizeof after - 1);
	len += sizeof after - 1;
	size_t sixteens = (len + 15) / 16;
	block[0] = (uint8_t)sixteens;
	size_t size = 1 + sixteens * 16;
	if (t->version != 0 && t->len == size && memcmp(t->block, block, size) == 0)
		return;
	memcpy(t->block, block, size);
	t->len = size;
	t->version = t->version == UINT32_MAX ? 1 : t->version + 1;
}

void icy_listener_init(struct icy_listener *l)
{
	*l = (struct icy_listener){ .media_left = LIMIT_ICY_INTERVAL_BYTES };
}

void icy_media_sent(struct icy_listener *l, size_t len)
{
	assert(len <= l->media_left);
	l->media_left -= (uint32_t)len;
}

size_t icy_block_next(struct icy_listener *l, const struct icy_title *t, const uint8_t **block)
{
	static const uint8_t unchanged[1] = { 0 };
	assert(l->media_left == 0);
	l->media_left = LIMIT_ICY_INTERVAL_BYTES;
	bool told = l->version == t->version;
	l->version = t->version;
	*block = told ? unchanged : t->block;
	return told ? sizeof unchanged : t->len;
}
