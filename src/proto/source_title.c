/* What names a show and what plays on it: the mount, and the query of a title's request. */
#include "proto/source_private.h"
#include "proto/source_text.h"

#include <string.h>
#include <strings.h>

bool slice_is(struct slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.text, text, s.len) == 0;
}

bool slice_is_nocase(struct slice s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.text, text, s.len) == 0;
}

struct slice slice_cut(struct slice *rest, char separator)
{
	const char *at = rest->len > 0 ? memchr(rest->text, separator, rest->len) : NULL;
	struct slice first = { rest->text, at ? (size_t)(at - rest->text) : rest->len };
	size_t skipped = first.len + (at != NULL);
	*rest = (struct slice){ rest->text + skipped, rest->len - skipped };
	return first;
}

struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && (s.text[0] == ' ' || s.text[0] == '\t'))
		s = (struct slice){ s.text + 1, s.len - 1 };
	while (s.len > 0 && (s.text[s.len - 1] == ' ' || s.text[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static bool is_mount_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.';
}

/* The name without one extension that says nothing more than the Content-Type does. */
static size_t without_extension(const char *name, size_t len)
{
	static const char *const known[] = { "mp3", "aac", "aacp", "ogg", "oga", "ogv", "opus", "webm" };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t ext = strlen(known[i]);
		if (len > ext && name[len - ext - 1] == '.' && strncasecmp(name + len - ext, known[i], ext) == 0)
			return len - ext - 1;
	}
	return len;
}

enum err source_mount_parse(struct slice s, char out[LIMIT_SHOW_CHARS + 1], const char **detail)
{
	char decoded[LIMIT_SHOW_CHARS + 8]; /* with slash and extension */
	size_t len;
	*detail = "The mount must be one name of letters, digits, '-', '_' and '.', within the limit.";
	if (!source_percent_decode(s.text, s.len, false, decoded, sizeof decoded, &len))
		return ERR_BAD_FIELD;
	const char *name = decoded;
	if (len > 0 && name[0] == '/') {
		name++;
		len--;
	}
	len = without_extension(name, len);
	if (len == 0 || len > LIMIT_SHOW_CHARS || name[0] == '.')
		return ERR_BAD_FIELD;
	for (size_t i = 0; i < len; i++)
		if (!is_mount_char(name[i]))
			return ERR_BAD_FIELD;
	memcpy(out, name, len);
	out[len] = '\0';
	return ERR_OK;
}

enum { MODE, MOUNT, SONG, ARTIST, TITLE, CHARSET, NAMES };

/* Finds the values that matter, still encoded. One that comes twice has no meaning, except the charset: libshout sends
 * its own and the caller's. */
static bool query_read(struct slice query, struct slice values[NAMES])
{
	static const char *const names[NAMES] = { "mode", "mount", "song", "artist", "title", "charset" };
	while (query.len > 0) {
		struct slice value = slice_cut(&query, '&');
		struct slice name = slice_cut(&value, '=');
		for (int i = 0; i < NAMES; i++) {
			if (!slice_is(name, names[i]))
				continue;
			if (!values[i].text)
				values[i] = value;
			else if (i != CHARSET)
				return false;
		}
	}
	return true;
}

/* Unknown ones count as not declared: the bytes themselves say enough. */
static bool is_latin1(struct slice charset)
{
	static const char *const names[] = {
		"iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "windows-1252", "cp1252"
	};
	char decoded[16];
	size_t len;
	if (!source_percent_decode(charset.text, charset.len, false, decoded, sizeof decoded, &len))
		return false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (slice_is_nocase((struct slice){ decoded, len }, names[i]))
			return true;
	return false;
}

/* Decodes one value as text behind the `used` bytes of the title. */
static bool title_add(struct slice value, bool latin1, char title[LIMIT_TITLE_BYTES + 1], size_t *used)
{
	char decoded[LIMIT_SOURCE_HEAD_BYTES];
	size_t len;
	if (!source_percent_decode(value.text, value.len, true, decoded, sizeof decoded, &len))
		return false;
	*used += source_text_clean(decoded, len, latin1, title + *used, LIMIT_TITLE_BYTES + 1 - *used);
	return true;
}

static bool title_read(const struct slice values[NAMES], char title[LIMIT_TITLE_BYTES + 1])
{
	static const char between[] = " - ";
	bool latin1 = is_latin1(values[CHARSET]);
	size_t used = 0;
	if (values[SONG].text)
		return title_add(values[SONG], latin1, title, &used);
	if (values[ARTIST].text && !title_add(values[ARTIST], latin1, title, &used))
		return false;
	if (!values[TITLE].text)
		return values[ARTIST].text != NULL;
	if (used > 0 && LIMIT_TITLE_BYTES - used >= sizeof between) {
		memcpy(title + used, between, sizeof between - 1);
		used += sizeof between - 1;
	}
	return title_add(values[TITLE], latin1, title, &used);
}

enum err source_title_parse(struct slice query, struct source_request *r, const char **detail)
{
	struct slice values[NAMES] = { 0 };
	*detail = "A title's request needs mode=updinfo, mount, and song, or artist and title, once each.";
	if (!query_read(query, values) || !slice_is(values[MODE], "updinfo") || !values[MOUNT].text)
		return ERR_BAD_FIELD;
	if (!title_read(values, r->title))
		return ERR_BAD_FIELD;
	return source_mount_parse(values[MOUNT], r->mount, detail);
}
