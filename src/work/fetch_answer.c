/* What a source's answer says, see fetch_answer.h. */
#include "work/fetch_answer.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Digits up to the end of `text`, or up to *end; BYTES_UNKNOWN when it is no number that JSON could hold. */
static uint64_t number(const char *text, const char **end)
{
	uint64_t value = 0;
	const char *at = text;
	for (; *at >= '0' && *at <= '9'; at++) {
		value = value * 10 + (uint64_t)(*at - '0');
		if (value > LIMIT_NUMBER)
			return BYTES_UNKNOWN;
	}
	if (at == text || (!end && *at))
		return BYTES_UNKNOWN;
	if (end)
		*end = at;
	return value;
}

/* "bytes 5-9/10", "bytes 5-9/" and a star, "bytes * /10" (without the blank) */
static void content_range(struct fetch_answer *a, const char *value)
{
	const char *at = value;
	a->ranged = false;
	a->first = a->total = BYTES_UNKNOWN;
	if (strncasecmp(at, "bytes ", 6) != 0)
		return;
	at += 6;
	if (*at == '*') {
		at++;
	} else {
		a->first = number(at, &at);
		if (a->first == BYTES_UNKNOWN || *at != '-')
			return;
		const char *last_at = at + 1;
		uint64_t last = number(last_at, &at);
		if (last == BYTES_UNKNOWN || last < a->first)
			return;
	}
	if (*at++ != '/')
		return;
	if (strcmp(at, "*") != 0 && (a->total = number(at, NULL)) == BYTES_UNKNOWN)
		return;
	a->ranged = true;
}

/* Copies printable text that fits; else it is none. */
static void text_take(char *out, size_t size, const char *value)
{
	size_t len = strlen(value);
	out[0] = '\0';
	if (len >= size)
		return;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)value[i] < 0x20 || (unsigned char)value[i] > 0x7e)
			return;
	}
	memcpy(out, value, len + 1);
}

static void field(struct fetch_answer *a, const char *name, const char *value)
{
	if (strcasecmp(name, "content-length") == 0)
		a->length = number(value, NULL);
	else if (strcasecmp(name, "content-range") == 0)
		content_range(a, value);
	else if (strcasecmp(name, "content-encoding") == 0)
		a->encoded = *value && strcasecmp(value, "identity") != 0;
	else if (strcasecmp(name, "content-type") == 0)
		text_take(a->mime, sizeof a->mime, value);
	else if (strcasecmp(name, "etag") == 0)
		text_take(a->etag, sizeof a->etag, *value == '"' ? value : ""); /* a weak one names no bytes */
	else if (strcasecmp(name, "last-modified") == 0)
		text_take(a->modified, sizeof a->modified, value);
	else if (strcasecmp(name, "location") == 0)
		text_take(a->location, sizeof a->location, value);
}

void fetch_answer_line(struct fetch_answer *a, const char *line, size_t len)
{
	char copy[LIMIT_URL_CHARS + 64];
	while (len > 0 && (isspace((unsigned char)line[len - 1]) || line[len - 1] == '\0'))
		len--;
	if (len >= sizeof copy)
		return; /* nothing that is of use here is so long */
	if (len == 0)
		a->whole = true;
	memcpy(copy, line, len);
	copy[len] = '\0';
	if (strncasecmp(copy, "HTTP/", 5) == 0) {
		const char *blank = strchr(copy, ' ');
		const char *end;
		uint64_t status = blank ? number(blank + 1, &end) : BYTES_UNKNOWN;
		*a = (struct fetch_answer){ .length = BYTES_UNKNOWN,
					    .first = BYTES_UNKNOWN,
					    .total = BYTES_UNKNOWN,
					    .status = status < 1000 ? (int)status : 0 };
		return;
	}
	char *colon = strchr(copy, ':');
	if (!colon)
		return;
	*colon++ = '\0';
	while (*colon == ' ' || *colon == '\t')
		colon++;
	field(a, copy, colon);
}

const char *fetch_answer_validator(const struct fetch_answer *a)
{
	if (a->etag[0])
		return a->etag;
	return a->modified[0] ? a->modified : NULL;
}

static enum fetch_verdict ended(enum err *err, enum err why)
{
	*err = why;
	return FETCH_ENDED;
}

/* 206. One that is not what was asked for is no reason to give up: the whole can be had. */
static enum fetch_verdict judge_part(const struct fetch_answer *a, uint64_t from, const char *validator, enum err *err)
{
	if (from == 0)
		return ended(err, ERR_SOURCE_FAILED); /* nobody asked for a part */
	bool other = validator && validator[0] == '"' && a->etag[0] && strcmp(a->etag, validator) != 0;
	bool fits = a->ranged && a->first == from && (a->total == BYTES_UNKNOWN || a->total > from);
	return fits && !other ? FETCH_BODY : FETCH_ASK_WHOLE;
}

enum fetch_verdict fetch_answer_judge(const struct fetch_answer *a, uint64_t from, const char *validator, enum err *err)
{
	bool good = a->status == 200 || a->status == 203 || a->status == 206;
	if (good && a->encoded)
		return ended(err, ERR_SOURCE_REFUSED);
	if (a->status == 206)
		return judge_part(a, from, validator, err);
	if (good)
		return FETCH_FROM_START;
	switch (a->status) {
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return a->location[0] ? FETCH_REDIRECT : ended(err, ERR_SOURCE_REFUSED);
	case 404:
	case 410:
		return ended(err, ERR_SOURCE_GONE);
	case 408:
	case 425:
	case 429:
		return ended(err, ERR_SOURCE_FAILED);
	case 416:
		if (from > 0)
			return a->ranged && a->total == from ? FETCH_WHOLE : FETCH_ASK_WHOLE;
		return ended(err, ERR_SOURCE_REFUSED);
	default:
		/* a status of 500 and up, or none that can be read, may be another the next time */
		return ended(err, a->status >= 200 && a->status < 500 ? ERR_SOURCE_REFUSED : ERR_SOURCE_FAILED);
	}
}
