/* The head of an HTTP/1.1 request, see http.h. */
#include "proto/http.h"

#include "base/hex.h"
#include "base/limits.h"
#include "proto/message.h"
#include "proto/range.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text)
{
	const char *p = text;
	while (is_token_char(*p))
		p++;
	return p > text && *p == '\0';
}

size_t http_head_length(const char *text, size_t len)
{
	const char *end = memmem(text, len, "\r\n\r\n", 4);
	return end ? (size_t)(end - text) + 4 : 0;
}

bool http_head_plausible(const char *text, size_t len)
{
	return len == 0 || is_token_char(text[0]);
}

/* Cuts the line at *text off behind its CRLF; NULL when it holds a NUL or a bare CR or LF. `end` is behind the head. */
static char *line_cut(char **text, const char *end)
{
	char *line = *text;
	char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);
	if (!stop)
		return NULL;
	*stop = '\0';
	*text = stop + 2;
	return strcspn(line, "\r\n") == (size_t)(stop - line) ? line : NULL;
}

static bool target_valid(const char *target)
{
	for (const char *p = target; *p; p++)
		if (*p <= ' ' || *p >= 0x7f) /* char is signed: bytes above 127 are below the blank */
			return false;
	return target[0] == '/' && strlen(target) <= LIMIT_URI_BYTES;
}

/* A target may be a whole URL, which is cut down to its path. *authority: the host and port that it names, which ends
 * where the path begins; NULL: none. */
static const char *target_path(const char *target, const char **authority)
{
	static const char *const schemes[] = { "http://", "https://" };
	*authority = NULL;
	for (int i = 0; i < 2; i++) {
		size_t len = strlen(schemes[i]);
		if (strncasecmp(target, schemes[i], len) != 0)
			continue;
		*authority = target + len;
		return target + len + strcspn(target + len, "/?");
	}
	return target;
}

static enum err request_line_parse(char *line, struct http_request *r, const char **authority, const char **detail)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	*detail = "The request line is malformed.";
	if (!version)
		return ERR_BAD_REQUEST;
	*target++ = '\0';
	*version++ = '\0';
	const char *path = target_path(target, authority);
	if (!is_token(line))
		return ERR_BAD_REQUEST;
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) {
		*detail = "The version must be HTTP/1.1 or HTTP/1.0.";
		return ERR_BAD_REQUEST;
	}
	if (!target_valid(path)) {
		*detail = "The target must be a path of printable ASCII within the limit.";
		return ERR_BAD_REQUEST;
	}
	r->method = line;
	r->target = path;
	r->minor = version[7] == '1';
	return ERR_OK;
}

static enum err field_parse(char *line, struct http_field *field)
{
	char *colon = strchr(line, ':');
	if (!colon)
		return ERR_BAD_REQUEST;
	*colon = '\0';
	if (!is_token(line))
		return ERR_BAD_REQUEST;
	for (char *p = line; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	char *value = colon + 1 + strspn(colon + 1, " \t");
	size_t len = strlen(value);
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		value[--len] = '\0';
	for (const char *p = value; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return ERR_BAD_REQUEST;
	*field = (struct http_field){ line, value };
	return ERR_OK;
}

static enum err fields_parse(char *text, const char *end, struct http_request *r, const char **detail)
{
	r->fields = calloc(LIMIT_HTTP_HEADER_FIELDS, sizeof *r->fields);
	if (!r->fields)
		return ERR_NO_MEMORY;
	while (end - text > 2) { /* the empty line is left */
		char *line = line_cut(&text, end);
		*detail = "A header line is malformed.";
		if (!line)
			return ERR_BAD_REQUEST;
		if (r->field_count == LIMIT_HTTP_HEADER_FIELDS) {
			*detail = "There are too many headers.";
			return ERR_HEADERS_TOO_LARGE;
		}
		if (field_parse(line, &r->fields[r->field_count]) != ERR_OK)
			return ERR_BAD_REQUEST;
		r->field_count++;
	}
	return ERR_OK;
}

/* What the fields say about the message as a whole. */
static enum err framing_parse(struct http_request *r, const char *authority, const char **detail)
{
	unsigned lengths = http_field_count(r, "content-length");
	if (http_field_count(r, "host") != 1) {
		*detail = "There must be one Host header.";
		return ERR_BAD_REQUEST;
	}
	const char *host = http_field_get(r, "host");
	if (authority &&
	    (!*host || strncasecmp(authority, host, strlen(host)) != 0 || authority + strlen(host) != r->target)) {
		*detail = "The target's host is another one than the Host header's.";
		return ERR_BAD_REQUEST;
	}
	if (lengths > 0 && http_field_get(r, "transfer-encoding")) {
		*detail = "A request has a Content-Length or a Transfer-Encoding, not both.";
		return ERR_BAD_REQUEST;
	}
	r->chunked = http_field_count(r, "transfer-encoding") == 1 && r->minor == 1 &&
		     strcasecmp(http_field_get(r, "transfer-encoding"), "chunked") == 0;
	if (!r->chunked && http_field_get(r, "transfer-encoding")) {
		*detail = "The only transfer coding is chunked, of HTTP/1.1.";
		return ERR_LENGTH_REQUIRED;
	}
	if (lengths > 1 || (lengths == 1 && !content_length_parse(http_field_get(r, "content-length"), &r->length))) {
		*detail = "There must be at most one Content-Length, of digits only.";
		return ERR_BAD_REQUEST;
	}
	r->has_length = lengths == 1;
	r->keep_alive = !http_field_has(r, "connection", "close", false) &&
			(r->minor == 1 || http_field_has(r, "connection", "keep-alive", false));
	return ERR_OK;
}

/* Decodes `len` bytes into `out` (room for len + 1): false when a "%" is not followed by two digits, or when the result
 * is no valid text. */
static bool percent_decode(const char *text, size_t len, bool plus, char *out)
{
	char *to = out;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '%') {
			if (len - i < 3)
				return false;
			int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (plus && c == '+') {
			c = ' ';
		}
		if (c == '\0')
			return false;
		*to++ = c;
	}
	*to = '\0';
	return text_valid(out, SIZE_MAX);
}

/* Cuts the path and decodes its segments. */
static enum err path_parse(struct http_request *r)
{
	const char *p = r->target + 1;
	size_t len = strcspn(p, "?");
	r->query = p[len] == '?' ? p + len + 1 : "";
	char *to = r->decoded = malloc(len + 2);
	if (!to)
		return ERR_NO_MEMORY;
	const char *end = p + len;
	for (;;) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t piece = (size_t)((slash ? slash : end) - p);
		if (r->segment_count == HTTP_SEGMENTS_MAX || !percent_decode(p, piece, false, to)) {
			r->segment_count = 0;
			return ERR_OK;
		}
		r->segments[r->segment_count++] = to;
		to += strlen(to) + 1;
		if (!slash)
			return ERR_OK;
		p = slash + 1;
	}
}

enum err http_request_parse(const char *text, size_t len, struct http_request *out, const char **detail)
{
	const char *sentence = NULL, *authority = NULL;
	struct http_request r = { .text = malloc(len + 1) };
	enum err err = ERR_NO_MEMORY;
	if (r.text) {
		memcpy(r.text, text, len);
		r.text[len] = '\0';
		char *rest = r.text;
		const char *end = r.text + len;
		sentence = "The request is malformed.";
		char *line = memchr(text, '\0', len) ? NULL : line_cut(&rest, end);
		err = line ? request_line_parse(line, &r, &authority, &sentence) : ERR_BAD_REQUEST;
		if (err == ERR_OK)
			err = fields_parse(rest, end, &r, &sentence);
		if (err == ERR_OK)
			err = framing_parse(&r, authority, &sentence);
		if (err == ERR_OK)
			err = path_parse(&r);
	}
	if (detail)
		*detail = err == ERR_OK || err == ERR_NO_MEMORY ? NULL : sentence;
	if (err != ERR_OK)
		http_request_release(&r);
	*out = r;
	return err;
}

void http_request_release(struct http_request *r)
{
	free(r->text);
	free(r->decoded);
	free(r->fields);
	*r = (struct http_request){ 0 };
}

const char *http_field_get(const struct http_request *r, const char *name)
{
	for (unsigned i = 0; i < r->field_count; i++)
		if (strcmp(r->fields[i].name, name) == 0)
			return r->fields[i].value;
	return NULL;
}

unsigned http_field_count(const struct http_request *r, const char *name)
{
	unsigned count = 0;
	for (unsigned i = 0; i < r->field_count; i++)
		count += strcmp(r->fields[i].name, name) == 0;
	return count;
}

/* Is the token one of the list's members? Quoted strings are not looked into: no list of ours has them. */
static bool list_has(const char *list, const char *token, bool exact)
{
	size_t len = strlen(token);
	for (;;) {
		list += strspn(list, " \t,");
		if (!*list)
			return false;
		size_t member = strcspn(list, ",");
		size_t trimmed = member;
		while (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t')
			trimmed--;
		if (trimmed == len && (exact ? strncmp : strncasecmp)(list, token, len) == 0)
			return true;
		list += member;
	}
}

bool http_field_has(const struct http_request *r, const char *name, const char *token, bool exact)
{
	for (unsigned i = 0; i < r->field_count; i++)
		if (strcmp(r->fields[i].name, name) == 0 && list_has(r->fields[i].value, token, exact))
			return true;
	return false;
}

enum err http_query_get(const char *query, const char *name, char **out)
{
	size_t name_len = strlen(name);
	*out = NULL;
	for (;;) {
		size_t len = strcspn(query, "&");
		if (len > name_len && query[name_len] == '=' && memcmp(query, name, name_len) == 0) {
			size_t value_len = len - name_len - 1;
			char *value = malloc(value_len + 1);
			if (!value)
				return ERR_NO_MEMORY;
			if (!percent_decode(query + name_len + 1, value_len, true, value)) {
				free(value);
				return ERR_BAD_FIELD;
			}
			*out = value;
			return ERR_OK;
		}
		if (query[len] == '\0')
			return ERR_OK;
		query += len + 1;
	}
}

static const struct {
	int status;
	const char *phrase;
} phrases[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 104, "Upload Resumption Supported" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 460, "Checksum Mismatch" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 507, "Insufficient Storage" },
};

const char *http_phrase(int status)
{
	for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "";
}
