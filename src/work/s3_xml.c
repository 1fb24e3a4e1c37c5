/* Reading the XML that S3 answers with, see s3_xml.h. */
#include "work/s3_xml.h"

#include "base/buf.h"
#include "base/limits.h"

#include <stdint.h>
#include <string.h>

enum {
	PATH = LIMIT_S3_XML_DEPTH * (LIMIT_S3_XML_NAME_CHARS + 1),
	TEXT = 4 * LIMIT_S3_KEY_BYTES, /* the longest there is: a name, an upload's id, a sentence */
};

struct reader {
	const char *at, *end;
	s3_xml_visit *visit;
	void *arg;
	char path[PATH + 1];
	size_t path_len;
	unsigned depth;
	bool parent[LIMIT_S3_XML_DEPTH + 1]; /* elements stand in it */
	char text[TEXT + 1];
	size_t text_len;
	bool done; /* the root is closed */
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && blank(*r->at))
		r->at++;
}

static bool take(struct reader *r, const char *text)
{
	size_t len = strlen(text);
	if ((size_t)(r->end - r->at) < len || memcmp(r->at, text, len) != 0)
		return false;
	r->at += len;
	return true;
}

static bool name_char(char c, bool first)
{
	bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
	return letter || (!first && ((c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':'));
}

/* The length of the name that stands here, 0 if there is none. */
static size_t name_length(const struct reader *r)
{
	size_t len = 0;
	while (r->at + len < r->end && name_char(r->at[len], len == 0))
		len++;
	return len <= LIMIT_S3_XML_NAME_CHARS ? len : 0;
}

/* Behind "<?": the declaration. */
static bool skip_declaration(struct reader *r)
{
	if (!take(r, "xml") || r->at >= r->end || !blank(*r->at))
		return false;
	while (r->at < r->end && *r->at != '?') {
		if (*r->at == '<' || *r->at == '>')
			return false;
		r->at++;
	}
	return take(r, "?>");
}

/* Up to the '>' or '/' of a start tag. */
static bool skip_attributes(struct reader *r)
{
	for (;;) {
		const char *before = r->at;
		skip_blanks(r);
		size_t len = name_length(r);
		if (len == 0)
			return r->at < r->end && (*r->at == '>' || *r->at == '/');
		if (r->at == before)
			return false;
		r->at += len;
		skip_blanks(r);
		if (!take(r, "="))
			return false;
		skip_blanks(r);
		if (r->at >= r->end || (*r->at != '"' && *r->at != '\''))
			return false;
		char quote = *r->at++;
		while (r->at < r->end && *r->at != quote && *r->at != '<')
			r->at++;
		if (r->at >= r->end || *r->at++ != quote)
			return false;
	}
}

static bool enter(struct reader *r, size_t len)
{
	if (r->done || r->depth == LIMIT_S3_XML_DEPTH)
		return false;
	if (r->depth > 0) {
		for (size_t i = 0; i < r->text_len; i++) {
			if (!blank(r->text[i]))
				return false; /* words and elements in one: none of S3's */
		}
		r->path[r->path_len++] = '/';
	}
	r->parent[r->depth++] = true;
	r->parent[r->depth] = false;
	memcpy(r->path + r->path_len, r->at, len);
	r->path_len += len;
	r->path[r->path_len] = '\0';
	r->text_len = 0;
	return true;
}

static bool leave(struct reader *r)
{
	r->text[r->text_len] = '\0';
	bool parent = r->parent[r->depth];
	for (size_t i = 0; parent && i < r->text_len; i++) {
		if (!blank(r->text[i]))
			return false;
	}
	if (!r->visit(r->arg, r->path, parent ? NULL : r->text))
		return false;
	while (r->path_len > 0 && r->path[r->path_len - 1] != '/')
		r->path_len--;
	if (r->path_len > 0)
		r->path_len--;
	r->path[r->path_len] = '\0';
	r->text_len = 0;
	r->depth--;
	r->done = r->depth == 0;
	return true;
}

/* Behind '<'. */
static bool start_tag(struct reader *r)
{
	size_t len = name_length(r);
	if (len == 0 || !enter(r, len))
		return false;
	r->at += len;
	if (!skip_attributes(r))
		return false;
	bool empty = take(r, "/");
	return take(r, ">") && (!empty || leave(r));
}

/* Behind "</". */
static bool end_tag(struct reader *r)
{
	const char *slash = strrchr(r->path, '/'), *name = slash ? slash + 1 : r->path;
	if (r->depth == 0 || !take(r, name))
		return false;
	skip_blanks(r);
	return take(r, ">") && leave(r);
}

static bool add_char(struct reader *r, uint32_t c)
{
	char bytes[4];
	size_t len = 0;
	if (c < 0x80) {
		bytes[len++] = (char)c;
	} else if (c < 0x800) {
		bytes[len++] = (char)(0xc0 | c >> 6);
		bytes[len++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		bytes[len++] = (char)(0xe0 | c >> 12);
		bytes[len++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[len++] = (char)(0x80 | (c & 0x3f));
	} else {
		bytes[len++] = (char)(0xf0 | c >> 18);
		bytes[len++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[len++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[len++] = (char)(0x80 | (c & 0x3f));
	}
	if (r->text_len + len > TEXT)
		return false;
	memcpy(r->text + r->text_len, bytes, len);
	r->text_len += len;
	return true;
}

static int digit(char c, unsigned base)
{
	int value = c >= '0' && c <= '9'   ? c - '0'
		    : c >= 'a' && c <= 'f' ? c - 'a' + 10
		    : c >= 'A' && c <= 'F' ? c - 'A' + 10
					   : 99;
	return value < (int)base ? value : -1;
}

/* Behind '&'. */
static bool entity(struct reader *r)
{
	static const struct {
		const char *name;
		char is;
	} named[] = { { "lt;", '<' }, { "gt;", '>' }, { "amp;", '&' }, { "quot;", '"' }, { "apos;", '\'' } };
	for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
		if (take(r, named[i].name))
			return add_char(r, (uint32_t)named[i].is);
	}
	if (!take(r, "#"))
		return false;
	unsigned base = take(r, "x") ? 16 : 10, count = 0;
	uint32_t value = 0;
	for (; r->at < r->end && digit(*r->at, base) >= 0 && count < 8; r->at++, count++)
		value = value * base + (uint32_t)digit(*r->at, base);
	bool surrogate = value >= 0xd800 && value < 0xe000;
	return count > 0 && value > 0 && value <= 0x10ffff && !surrogate && take(r, ";") && add_char(r, value);
}

static bool plain(struct reader *r)
{
	char c = *r->at++;
	if (c == '\0')
		return false;
	if (r->depth == 0)
		return blank(c);
	if (r->text_len == TEXT)
		return false;
	r->text[r->text_len++] = c;
	return true;
}

bool s3_xml_read(const char *data, size_t len, s3_xml_visit *visit, void *arg)
{
	struct reader r = { .at = data, .end = data + len, .visit = visit, .arg = arg };
	bool ok = true;
	take(&r, "\xef\xbb\xbf");
	skip_blanks(&r); /* a bucket that needs long says so by blanks, even before the declaration */
	if (take(&r, "<?"))
		ok = skip_declaration(&r);
	while (ok && r.at < r.end) {
		if (take(&r, "</"))
			ok = end_tag(&r);
		else if (take(&r, "<"))
			ok = start_tag(&r);
		else if (take(&r, "&"))
			ok = r.depth > 0 && entity(&r);
		else
			ok = plain(&r);
	}
	return ok && r.done;
}

void s3_xml_add(struct buf *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			buf_add_text(out, "&lt;");
			break;
		case '>':
			buf_add_text(out, "&gt;");
			break;
		case '&':
			buf_add_text(out, "&amp;");
			break;
		case '"':
			buf_add_text(out, "&quot;");
			break;
		default:
			buf_add(out, text, 1);
		}
	}
}
