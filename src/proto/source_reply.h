/* What a source is answered, in the forms that its clients read. Pure.
 *
 * What they read: ffmpeg's PUT waits for a status line and takes 100 and 200; its SOURCE waits for none. libshout asks
 * without a password first and tries again after a 401, on a new connection when the old one closes; then 100 and 200
 * serve alike. liquidsoap's SOURCE takes nothing below 200, its PUT nothing but 100, though both are HTTP/1.0, and it
 * sends the chunks that it announced only to an answer of HTTP/1.1. BUTT looks at the three digits behind the first
 * blank: 403 makes it try again later, 401 give up, 400 and 404 try SOURCE after PUT. */
#ifndef HOLDFAST_PROTO_SOURCE_REPLY_H
#define HOLDFAST_PROTO_SOURCE_REPLY_H

#include "proto/source_request.h"

/* Holds any answer of source_reply_refuse. */
enum { SOURCE_REPLY_BYTES = 1024 };

/* The whole answer to a request that is taken, a static string: a stream's go-ahead (100 when it waits for that, else
 * 200), a title's success, the list of methods. After the last two the connection closes. */
const char *source_reply_accept(const struct source_request *r);

/* What follows when a stream's body has come to its announced end; "" when the 200 was said already, or when the body
 * ends with its connection. Then the connection closes. */
const char *source_reply_end(const struct source_request *r);

/* Formats a refusal, behind which the connection closes, and returns its length: 400, 401 (asks for Basic credentials),
 * 403 (the mount is in use: clients try again later), 404, 405, 413, 415, 431, 501, 503 … `sentence` is for a person,
 * UTF-8, cut at 300 bytes. */
size_t source_reply_refuse(int status, const char *sentence, char out[SOURCE_REPLY_BYTES]);

#endif
