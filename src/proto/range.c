/* Ranges, entity tags and lengths of HTTP requests, see range.h. */
#include "proto/range.h"

#include <string.h>
#include <strings.h>

enum { CONTENT_LENGTH_DIGITS = 19 }; /* the most that always fit 64 bits */

static const char *skip_blank(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits, saturating at UINT64_MAX: a position beyond every file means the same whatever it is. */
static bool number_read(const char **text, uint64_t *out)
{
	const char *p = *text;
	uint64_t value = 0;
	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++) {
		uint64_t digit = (uint64_t)(*p - '0');
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*text = p;
	*out = value;
	return true;
}

/* "-n": the last n bytes. */
static enum range_result suffix_parse(const char *p, uint64_t size, uint64_t *first, uint64_t *last)
{
	uint64_t count;
	if (!number_read(&p, &count) || *skip_blank(p) != '\0')
		return RANGE_WHOLE;
	if (count == 0)
		return RANGE_NOT_SATISFIABLE;
	if (size == 0)
		return RANGE_WHOLE; /* satisfiable by the book, but no Content-Range can say it */
	*first = count < size ? size - count : 0;
	*last = size - 1;
	return RANGE_PART;
}

enum range_result range_parse(const char *value, uint64_t size, uint64_t *first, uint64_t *last)
{
	static const char unit[] = "bytes=";
	if (!value || strncasecmp(value, unit, sizeof unit - 1) != 0)
		return RANGE_WHOLE;
	const char *p = skip_blank(value + sizeof unit - 1);
	if (*p == '-')
		return suffix_parse(p + 1, size, first, last);
	uint64_t from, to = UINT64_MAX;
	if (!number_read(&p, &from) || *p++ != '-')
		return RANGE_WHOLE;
	if (is_digit(*p)) {
		number_read(&p, &to);
		if (to < from)
			return RANGE_WHOLE;
	}
	if (*skip_blank(p) != '\0')
		return RANGE_WHOLE;
	if (from >= size)
		return RANGE_NOT_SATISFIABLE;
	*first = from;
	*last = to < size ? to : size - 1;
	return RANGE_PART;
}

/* The length of the quoted tag at p, quotes included; 0 when there is none. */
static size_t tag_length(const char *p)
{
	if (*p != '"')
		return 0;
	const char *end = strchr(p + 1, '"');
	return end ? (size_t)(end - p) + 1 : 0;
}

bool if_range_matches(const char *value, const char *etag)
{
	const char *p = skip_blank(value);
	size_t len = tag_length(p); /* a weak tag or a date does not begin with a quote */
	return len > 0 && len == strlen(etag) && memcmp(p, etag, len) == 0 && *skip_blank(p + len) == '\0';
}

bool if_none_match_matches(const char *value, const char *etag)
{
	const char *p = skip_blank(value);
	if (*p == '*')
		return *skip_blank(p + 1) == '\0';
	while (*p) {
		if (p[0] == 'W' && p[1] == '/')
			p += 2;
		size_t len = tag_length(p);
		if (len == 0)
			return false;
		if (len == strlen(etag) && memcmp(p, etag, len) == 0)
			return true;
		p = skip_blank(p + len);
		if (*p && *p != ',')
			return false;
		while (*p == ',')
			p = skip_blank(p + 1);
	}
	return false;
}

bool content_length_parse(const char *value, uint64_t *out)
{
	size_t len = strlen(value);
	if (len == 0 || len > CONTENT_LENGTH_DIGITS || strspn(value, "0123456789") != len)
		return false;
	return number_read(&value, out);
}
