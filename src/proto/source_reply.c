/* Answers to sources, see source_reply.h. */
#include "proto/source_reply.h"

#include "proto/http.h"
#include "proto/source_text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCE_BYTES = 300 };

/* Methods that a client may use here. libshout would send titles with POST if it stood among them. */
#define ALLOW "Allow: GET, PUT, SOURCE, OPTIONS\r\n"

static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
static const char taken[] = "HTTP/1.0 200 OK\r\n\r\n";
/* Where chunks are announced: liquidsoap sends none to an answer of HTTP/1.0, though it said so. */
static const char taken_in_chunks[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
static const char ended[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
static const char options[] = "HTTP/1.1 200 OK\r\n" ALLOW "Content-Length: 0\r\nConnection: close\r\n\r\n";
/* Icecast's answer: some clients look for the 1. */
static const char titled[] =
	"HTTP/1.0 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: 113\r\n"
	"Connection: close\r\n\r\n"
	"<?xml version=\"1.0\"?>\n"
	"<iceresponse><message>Metadata update successful</message><return>1</return></iceresponse>\n";

const char *source_reply_accept(const struct source_request *r)
{
	switch (r->kind) {
	case SOURCE_TITLE:
		return titled;
	case SOURCE_OPTIONS:
		return options;
	default:
		return r->expects ? go_on : r->body == SOURCE_BODY_CHUNKED ? taken_in_chunks : taken;
	}
}

const char *source_reply_end(const struct source_request *r)
{
	return r->kind == SOURCE_STREAM && r->expects && r->body != SOURCE_BODY_OPEN ? ended : "";
}

size_t source_reply_refuse(int status, const char *sentence, char out[SOURCE_REPLY_BYTES])
{
	char text[SENTENCE_BYTES + 1];
	size_t len = source_text_clean(sentence, strlen(sentence), false, text, sizeof text);
	const char *more = status == 401   ? "WWW-Authenticate: Basic realm=\"Holdfast\", charset=\"UTF-8\"\r\n"
			   : status == 405 ? ALLOW
					   : "";
	int written = snprintf(out, SOURCE_REPLY_BYTES,
			       "HTTP/1.0 %d %s\r\n%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
			       "Connection: close\r\n\r\n%s\n",
			       status, http_phrase(status), more, len + 1, text);
	assert(written > 0 && written < SOURCE_REPLY_BYTES);
	return (size_t)written;
}
