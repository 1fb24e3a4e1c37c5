/* The head of a request at the port for Icecast sources: somebody goes on air (PUT, SOURCE), says what plays (GET
 * /admin/metadata), or asks what the server can do (OPTIONS, libshout's first question). Pure.
 *
 * Strict where two readers could understand differently: lines end in CRLF, names touch their colon, nothing is folded,
 * no control characters, one of each header that decides something, and never both a Content-Length and a
 * Transfer-Encoding. Lenient where old clients need it: ICE/1.0, no Host, texts that are no UTF-8.
 *
 * SHOUTcast's own protocol (a password's line, "OK2") is not spoken: its sources connect to the port above the one that
 * they are given, and name no show. */
#ifndef HOLDFAST_PROTO_SOURCE_REQUEST_H
#define HOLDFAST_PROTO_SOURCE_REQUEST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of a head as they come. All zero is the state before the first; source_head_release ends it. */
struct source_head {
	struct buf text; /* the head, its empty line included, once `complete` */
	char last;	 /* private */
	enum err err;
	const char *detail; /* a sentence when err is not ERR_OK */
	bool complete;
};

/* Takes in bytes until the head is complete or wrong; *used is how many. The result does not depend on how they were
 * split, and what can't become a head is refused at its first wrong byte. ERR_BAD_REQUEST, ERR_HEADERS_TOO_LARGE,
 * ERR_NO_MEMORY; again in every later call. Behind a complete head nothing is taken. */
enum err source_head_feed(struct source_head *h, const void *data, size_t len, size_t *used);
/* Also makes it ready for the next head of the same connection. */
void source_head_release(struct source_head *h);

enum source_kind {
	SOURCE_STREAM,	/* goes on air */
	SOURCE_TITLE,	/* says what plays */
	SOURCE_OPTIONS, /* asks what there is */
};

enum source_body {
	SOURCE_BODY_NONE,   /* nothing follows: titles, options, and libshout's question whether a password is needed */
	SOURCE_BODY_OPEN,   /* media until the connection closes */
	SOURCE_BODY_LENGTH, /* `length` bytes of media */
	SOURCE_BODY_CHUNKED, /* media in chunks, see chunked.h */
};

enum source_media { SOURCE_MP3, SOURCE_AAC, SOURCE_OGG, SOURCE_WEBM };

/* Holds all it needs; nothing to release. Texts are valid UTF-8 without control characters, "" when absent. */
struct source_request {
	enum source_kind kind;
	bool http11;
	bool expects; /* it waits for 100 Continue before it sends media */
	enum source_body body;
	uint64_t length;
	char mount[LIMIT_SHOW_CHARS + 1]; /* the show: letters, digits, "-", "_", ".", not first a "." */
	bool has_credentials;		  /* Basic ones; other schemes count as none */
	/* As they were sent: bytes without NUL and control characters, not necessarily UTF-8. To be compared in
	 * constant time by the caller. */
	char user[LIMIT_SOURCE_USER_CHARS + 1], password[LIMIT_SOURCE_PASSWORD_CHARS + 1];
	/* Of a stream: what its Content-Type says; parameters are left out. Static strings. */
	enum source_media media;
	const char *mime, *ext; /* "audio/mpeg", "mp3" */
	char name[LIMIT_SOURCE_TEXT_BYTES + 1], description[LIMIT_SOURCE_TEXT_BYTES + 1];
	char genre[LIMIT_SOURCE_TEXT_BYTES + 1], url[LIMIT_SOURCE_TEXT_BYTES + 1];
	char audio_info[LIMIT_SOURCE_TEXT_BYTES + 1]; /* "bitrate=128;samplerate=44100" */
	char agent[LIMIT_SOURCE_TEXT_BYTES + 1];
	unsigned bitrate_kbps; /* 0 when it does not say */
	bool is_public;	       /* wants to be listed */
	/* Of a title. Empty means that nothing has a title now. */
	char title[LIMIT_TITLE_BYTES + 1];
};

/* Parses a complete head. *detail, when not NULL, becomes a sentence for a person, or NULL. ERR_BAD_REQUEST;
 * ERR_BAD_FIELD: a mount's name or a title's query; ERR_NOT_FOUND: a GET of anything else; ERR_METHOD_NOT_ALLOWED;
 * ERR_UNSUPPORTED_MEDIA; ERR_NOT_SUPPORTED: another transfer coding than chunked; ERR_HEADERS_TOO_LARGE: too many. Then
 * *out is all zero. */
enum err source_request_parse(const char *text, size_t len, struct source_request *out, const char **detail);

#endif
