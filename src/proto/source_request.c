/* The head of a source's request, see source_request.h. */
#include "proto/source_request.h"

#include "proto/range.h"
#include "proto/source_private.h"
#include "proto/source_text.h"

#include <string.h>

/* May `c` follow `last` (0 at the beginning)? */
static bool head_may(char last, char c)
{
	if (last == '\0')
		return c >= 'A' && c <= 'Z';
	if ((c == '\n') != (last == '\r'))
		return false; /* a bare LF, or a bare CR */
	return c == '\r' || c == '\n' || c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static bool head_ends(const struct source_head *h)
{
	return h->text.len >= 4 && memcmp(h->text.data + h->text.len - 4, "\r\n\r\n", 4) == 0;
}

static enum err head_refuse(struct source_head *h, enum err err, const char *detail)
{
	buf_release(&h->text);
	h->detail = detail;
	return h->err = err;
}

enum err source_head_feed(struct source_head *h, const void *data, size_t len, size_t *used)
{
	const char *bytes = data;
	size_t i = 0;
	*used = 0;
	while (i < len && !h->complete && h->err == ERR_OK) {
		char c = bytes[i];
		if (!head_may(h->last, c))
			return head_refuse(h, ERR_BAD_REQUEST, "The request is malformed.");
		if (h->text.len == LIMIT_SOURCE_HEAD_BYTES)
			return head_refuse(h, ERR_HEADERS_TOO_LARGE, "The request's head is larger than the limit.");
		buf_add(&h->text, &c, 1);
		if (h->text.failed)
			return head_refuse(h, ERR_NO_MEMORY, "The server is out of memory.");
		h->last = c;
		h->complete = c == '\n' && head_ends(h);
		*used = ++i;
	}
	return h->err;
}

void source_head_release(struct source_head *h)
{
	buf_release(&h->text);
	*h = (struct source_head){ 0 };
}

/* Headers that mean something. Those up to SINGLE may come once only: two of them could be understood in two ways. */
enum field {
	HOST,
	AUTHORIZATION,
	CONTENT_TYPE,
	CONTENT_LENGTH,
	CONTENT_ENCODING,
	TRANSFER_ENCODING,
	EXPECT,
	SINGLE = EXPECT,
	NAME,
	DESCRIPTION,
	GENRE,
	URL,
	PUBLIC,
	BITRATE,
	AUDIO_INFO,
	AGENT,
	FIELDS
};

static const struct {
	const char *name;
	enum field field;
} field_names[] = {
	{ "host", HOST },
	{ "authorization", AUTHORIZATION },
	{ "content-type", CONTENT_TYPE },
	{ "content-length", CONTENT_LENGTH },
	{ "content-encoding", CONTENT_ENCODING },
	{ "transfer-encoding", TRANSFER_ENCODING },
	{ "expect", EXPECT },
	{ "ice-name", NAME },
	{ "icy-name", NAME },
	{ "ice-description", DESCRIPTION },
	{ "icy-description", DESCRIPTION },
	{ "ice-genre", GENRE },
	{ "icy-genre", GENRE },
	{ "ice-url", URL },
	{ "icy-url", URL },
	{ "ice-public", PUBLIC },
	{ "icy-pub", PUBLIC },
	{ "ice-bitrate", BITRATE },
	{ "icy-br", BITRATE },
	{ "ice-audio-info", AUDIO_INFO },
	{ "user-agent", AGENT },
};

struct head {
	struct slice method, path, query, version;
	struct slice fields[FIELDS]; /* text NULL when absent */
};

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.text[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!letter && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.len > 0;
}

static bool is_text(struct slice s, bool blanks)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.text[i];
		if (c < ' ' || c == 0x7f ? !blanks || c != '\t' : c == ' ' && !blanks)
			return false;
	}
	return true;
}

/* The next line without its CRLF; false when there is none. */
static bool line_next(struct slice *rest, struct slice *line)
{
	const char *end = memmem(rest->text, rest->len, "\r\n", 2);
	if (!end)
		return false;
	*line = (struct slice){ rest->text, (size_t)(end - rest->text) };
	*rest = (struct slice){ end + 2, rest->len - line->len - 2 };
	return true;
}

static enum err request_line_read(struct slice line, struct head *head, const char **detail)
{
	*detail = "The request line is malformed.";
	head->method = slice_cut(&line, ' ');
	head->path = slice_cut(&line, ' ');
	head->version = line;
	if (!is_token(head->method) || !is_text(head->path, false) || !is_text(line, false))
		return ERR_BAD_REQUEST;
	struct slice target = head->path;
	head->path = slice_cut(&target, '?');
	head->query = target;
	bool old = slice_is(head->version, "ICE/1.0") && slice_is(head->method, "SOURCE");
	if (!old && !slice_is(head->version, "HTTP/1.1") && !slice_is(head->version, "HTTP/1.0")) {
		*detail = "The version must be HTTP/1.1, HTTP/1.0 or, for SOURCE, ICE/1.0.";
		return ERR_BAD_REQUEST;
	}
	bool all = slice_is(head->path, "*") && slice_is(head->method, "OPTIONS");
	return all || (head->path.len > 0 && head->path.text[0] == '/') ? ERR_OK : ERR_BAD_REQUEST;
}

static enum err field_read(struct slice line, struct head *head, const char **detail)
{
	struct slice value = line;
	struct slice name = slice_cut(&value, ':');
	*detail = "A header line is malformed.";
	if (name.len == line.len || !is_token(name) || !is_text(value, true))
		return ERR_BAD_REQUEST;
	for (size_t i = 0; i < sizeof field_names / sizeof *field_names; i++) {
		struct slice *field = &head->fields[field_names[i].field];
		if (!slice_is_nocase(name, field_names[i].name))
			continue;
		if (field->text && field_names[i].field <= SINGLE) {
			*detail = "A header that may come once came twice.";
			return ERR_BAD_REQUEST;
		}
		if (!field->text)
			*field = slice_trim(value);
		return ERR_OK;
	}
	return ERR_OK;
}

static enum err head_read(struct slice rest, struct head *head, const char **detail)
{
	struct slice line;
	*detail = "The request is malformed.";
	if (!line_next(&rest, &line))
		return ERR_BAD_REQUEST;
	enum err err = request_line_read(line, head, detail);
	for (unsigned count = 0; err == ERR_OK; count++) {
		if (!line_next(&rest, &line)) {
			*detail = "The request is malformed.";
			return ERR_BAD_REQUEST;
		}
		if (line.len == 0)
			return rest.len == 0 ? ERR_OK : ERR_BAD_REQUEST;
		if (count == LIMIT_SOURCE_FIELDS) {
			*detail = "There are too many headers.";
			return ERR_HEADERS_TOO_LARGE;
		}
		err = field_read(line, head, detail);
	}
	return err;
}

static bool length_read(struct slice s, uint64_t *out)
{
	char digits[24] = { 0 };
	if (s.len >= sizeof digits)
		return false;
	memcpy(digits, s.text, s.len);
	return content_length_parse(digits, out);
}

/* How the body is framed, and whether the client waits before it sends it. */
static enum err framing_read(const struct head *head, struct source_request *r, const char **detail)
{
	struct slice length = head->fields[CONTENT_LENGTH], coding = head->fields[TRANSFER_ENCODING];
	struct slice expect = head->fields[EXPECT];
	r->http11 = slice_is(head->version, "HTTP/1.1");
	r->body = SOURCE_BODY_OPEN;
	*detail = "A request has a Content-Length, or with HTTP/1.1 a Transfer-Encoding, not both.";
	if (coding.text && (length.text || !r->http11))
		return ERR_BAD_REQUEST;
	if (coding.text && !slice_is_nocase(coding, "chunked")) {
		*detail = "The only transfer coding is chunked.";
		return ERR_NOT_SUPPORTED;
	}
	if (coding.text)
		r->body = SOURCE_BODY_CHUNKED;
	if (length.text) {
		*detail = "A Content-Length is digits only.";
		if (!length_read(length, &r->length))
			return ERR_BAD_REQUEST;
		r->body = r->length > 0 ? SOURCE_BODY_LENGTH : SOURCE_BODY_NONE;
	}
	if (expect.text) { /* with HTTP/1.0 too, which has no such thing: liquidsoap's PUT waits for it */
		*detail = "The only expectation is 100-continue.";
		if (!slice_is_nocase(expect, "100-continue"))
			return ERR_BAD_REQUEST;
		r->expects = r->body != SOURCE_BODY_NONE;
	}
	return ERR_OK;
}

/* A part of the credentials: within its limit, without control characters. */
static bool credential_copy(const char *bytes, size_t len, char *out, size_t size)
{
	if (len >= size || !is_text((struct slice){ bytes, len }, true) || memchr(bytes, '\t', len))
		return false;
	memcpy(out, bytes, len);
	out[len] = '\0';
	return true;
}

static enum err credentials_read(struct slice value, struct source_request *r, const char **detail)
{
	char decoded[LIMIT_SOURCE_USER_CHARS + 1 + LIMIT_SOURCE_PASSWORD_CHARS];
	size_t len;
	struct slice scheme = slice_cut(&value, ' ');
	if (!slice_is_nocase(scheme, "Basic"))
		return ERR_OK;
	value = slice_trim(value);
	*detail = "The credentials are malformed or too long.";
	if (!source_base64_decode(value.text, value.len, decoded, sizeof decoded, &len))
		return ERR_BAD_REQUEST;
	const char *colon = memchr(decoded, ':', len);
	if (!colon)
		return ERR_BAD_REQUEST;
	size_t user = (size_t)(colon - decoded);
	bool fits = credential_copy(decoded, user, r->user, sizeof r->user) &&
		    credential_copy(colon + 1, len - user - 1, r->password, sizeof r->password);
	explicit_bzero(decoded, sizeof decoded);
	r->has_credentials = fits;
	return fits ? ERR_OK : ERR_BAD_REQUEST;
}

static const struct {
	const char *name;
	enum source_media media;
	const char *mime, *ext;
} media_types[] = {
	{ "audio/mpeg", SOURCE_MP3, "audio/mpeg", "mp3" },     { "audio/mp3", SOURCE_MP3, "audio/mpeg", "mp3" },
	{ "audio/x-mpeg", SOURCE_MP3, "audio/mpeg", "mp3" },   { "audio/aac", SOURCE_AAC, "audio/aac", "aac" },
	{ "audio/aacp", SOURCE_AAC, "audio/aac", "aac" },      { "audio/x-aac", SOURCE_AAC, "audio/aac", "aac" },
	{ "application/ogg", SOURCE_OGG, "audio/ogg", "ogg" }, { "application/x-ogg", SOURCE_OGG, "audio/ogg", "ogg" },
	{ "audio/ogg", SOURCE_OGG, "audio/ogg", "ogg" },       { "audio/opus", SOURCE_OGG, "audio/ogg", "ogg" },
	{ "video/ogg", SOURCE_OGG, "video/ogg", "ogv" },       { "video/webm", SOURCE_WEBM, "video/webm", "webm" },
	{ "audio/webm", SOURCE_WEBM, "audio/webm", "webm" },
};

static enum err media_read(const struct head *head, struct source_request *r, const char **detail)
{
	struct slice value = head->fields[CONTENT_TYPE], encoding = head->fields[CONTENT_ENCODING];
	*detail = "A PUT must say its Content-Type.";
	if (!value.text && slice_is(head->method, "SOURCE"))
		value = (struct slice){ "audio/mpeg", 10 }; /* what such a client has always meant */
	if (!value.text)
		return ERR_UNSUPPORTED_MEDIA;
	*detail = "The Content-Type must be one of MP3, AAC, Ogg or WebM, and not compressed again.";
	if (encoding.text && !slice_is_nocase(encoding, "identity"))
		return ERR_UNSUPPORTED_MEDIA;
	struct slice type = slice_trim(slice_cut(&value, ';'));
	for (size_t i = 0; i < sizeof media_types / sizeof *media_types; i++) {
		if (!slice_is_nocase(type, media_types[i].name))
			continue;
		r->media = media_types[i].media;
		r->mime = media_types[i].mime;
		r->ext = media_types[i].ext;
		return ERR_OK;
	}
	return ERR_UNSUPPORTED_MEDIA;
}

/* The number that a text begins with; 0 when it is none, or beyond any bitrate. */
static unsigned kbps_read(struct slice s)
{
	unsigned value = 0;
	for (size_t i = 0; i < s.len && s.text[i] >= '0' && s.text[i] <= '9'; i++) {
		value = value * 10 + (unsigned)(s.text[i] - '0');
		if (value > LIMIT_BITRATE_KBPS)
			return 0;
	}
	return value;
}

/* The bitrate from its own header, or from ice-audio-info: "bitrate=128;…", in BUTT's spelling "ice-bitrate=128;…". */
static unsigned bitrate_read(const struct head *head)
{
	struct slice info = head->fields[AUDIO_INFO];
	unsigned kbps = kbps_read(head->fields[BITRATE]);
	while (kbps == 0 && info.len > 0) {
		struct slice value = slice_cut(&info, ';');
		struct slice name = slice_trim(slice_cut(&value, '='));
		if (slice_is_nocase(name, "bitrate") || slice_is_nocase(name, "ice-bitrate"))
			kbps = kbps_read(slice_trim(value));
	}
	return kbps;
}

static void text_read(struct slice s, char out[LIMIT_SOURCE_TEXT_BYTES + 1])
{
	source_text_clean(s.text, s.len, false, out, LIMIT_SOURCE_TEXT_BYTES + 1);
}

static void texts_read(const struct head *head, struct source_request *r)
{
	struct slice listed = head->fields[PUBLIC];
	text_read(head->fields[NAME], r->name);
	text_read(head->fields[DESCRIPTION], r->description);
	text_read(head->fields[GENRE], r->genre);
	text_read(head->fields[URL], r->url);
	text_read(head->fields[AUDIO_INFO], r->audio_info);
	text_read(head->fields[AGENT], r->agent);
	r->bitrate_kbps = bitrate_read(head);
	r->is_public = slice_is(listed, "1") || slice_is_nocase(listed, "true") || slice_is_nocase(listed, "yes");
}

/* What is left once the framing is sound: what it is about. */
static enum err subject_read(const struct head *head, struct source_request *r, const char **detail)
{
	bool media = r->body == SOURCE_BODY_LENGTH || r->body == SOURCE_BODY_CHUNKED;
	if (slice_is(head->method, "PUT") || slice_is(head->method, "SOURCE")) {
		r->kind = SOURCE_STREAM;
		*detail = "A mount has no query.";
		if (head->path.text + head->path.len != head->version.text - 1)
			return ERR_BAD_FIELD;
		enum err err = source_mount_parse(head->path, r->mount, detail);
		return err == ERR_OK ? media_read(head, r, detail) : err;
	}
	*detail = "This request has no body.";
	if (media)
		return ERR_BAD_REQUEST;
	r->body = SOURCE_BODY_NONE;
	r->expects = false;
	if (slice_is(head->method, "OPTIONS")) {
		r->kind = SOURCE_OPTIONS;
		return ERR_OK;
	}
	*detail = "Sources send PUT or SOURCE, and titles with GET.";
	if (!slice_is(head->method, "GET"))
		return ERR_METHOD_NOT_ALLOWED;
	*detail = "Only /admin/metadata can be asked for at the port for sources.";
	if (!slice_is(head->path, "/admin/metadata"))
		return ERR_NOT_FOUND;
	r->kind = SOURCE_TITLE;
	return source_title_parse(head->query, r, detail);
}

enum err source_request_parse(const char *text, size_t len, struct source_request *out, const char **detail)
{
	struct head head = { 0 };
	const char *sentence = NULL;
	*out = (struct source_request){ 0 };
	enum err err = head_read((struct slice){ text, len }, &head, &sentence);
	if (err == ERR_OK)
		err = framing_read(&head, out, &sentence);
	if (err == ERR_OK && head.fields[AUTHORIZATION].text)
		err = credentials_read(head.fields[AUTHORIZATION], out, &sentence);
	if (err == ERR_OK)
		err = subject_read(&head, out, &sentence);
	if (err == ERR_OK)
		texts_read(&head, out);
	else
		explicit_bzero(out, sizeof *out);
	if (detail)
		*detail = err == ERR_OK ? NULL : sentence;
	return err;
}
