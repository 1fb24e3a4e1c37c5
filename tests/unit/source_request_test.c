/* What the clients of Icecast send, byte for byte, and what they are answered. */
#include "proto/source_reply.h"
#include "proto/source_request.h"

#include "proto/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AUTH   "Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n" /* source:hackme */
#define OK_10  "HTTP/1.0 200 OK\r\n\r\n"
#define GO_ON  "HTTP/1.1 100 Continue\r\n\r\n"
#define MEDIA  "\xff\xfb\x90\r\n\r\n\0"
#define SHOUTS "Host: 127.0.0.1:36875\r\nUser-Agent: libshout/2.4.6\r\nContent-Type: audio/mpeg\r\n"
#define SHOUTS_META                                                                                                    \
	"ice-public: 0\r\nice-name: T\xc3\xbcr\r\nice-genre: g\r\nice-url: http://x/\r\nice-description: d\r\n"        \
	"ice-audio-info: bitrate=128;samplerate=44100\r\nPrefer: return=minimal\r\n\r\n"
#define SHOUTS_TITLE                                                                                                   \
	"GET /admin/metadata?mode=updinfo&charset=UTF-8&mount=%2fmorning%2emp3&"                                       \
	"song=Bj%c3%b6rk%20%2d%20It%27s%3b%20%26%20so%2bon&charset=UTF%2d8 HTTP/1.1\r\n"                               \
	"Host: 127.0.0.1:60579\r\nUser-Agent: libshout/2.4.6\r\n"

#define SOAP  "Liquidsoap/2.1.3 (Unix; OCaml 4.13.1)"
#define SOAPS "User-Agent: " SOAP "\r\n"

struct sent {
	const char *who, *head;
	struct source_request is; /* what is compared */
	const char *answer;
};

static const struct sent clients[] = {
	{ "ffmpeg 5.1 icecast://",
	  "PUT /morning HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\nExpect: 100-continue\r\n"
	  "Connection: close\r\nHost: 127.0.0.1:49307\r\nContent-Type: audio/mpeg\r\nIcy-MetaData: 1\r\n"
	  "Ice-Name: T\xc3\xbcr\r\nIce-Description: d\r\nIce-URL: http://x/\r\nIce-Genre: g\r\nIce-Public: 1\r\n" AUTH
	  "\r\n",
	  { .http11 = true,
	    .expects = true,
	    .body = SOURCE_BODY_OPEN,
	    .mount = "morning",
	    .has_credentials = true,
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .name = "Tür",
	    .description = "d",
	    .url = "http://x/",
	    .genre = "g",
	    .agent = "Lavf/59.27.100",
	    .is_public = true },
	  GO_ON },
	{ "ffmpeg 5.1 -legacy_icecast 1",
	  "SOURCE /morning.ogg HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\nConnection: close\r\n"
	  "Host: 127.0.0.1:41897\r\nContent-Type: application/ogg\r\nIcy-MetaData: 1\r\nIce-Public: 0\r\n" AUTH "\r\n",
	  { .http11 = true,
	    .body = SOURCE_BODY_OPEN,
	    .mount = "morning",
	    .has_credentials = true,
	    .media = SOURCE_OGG,
	    .mime = "audio/ogg",
	    .ext = "ogg",
	    .agent = "Lavf/59.27.100" },
	  OK_10 },
	{ "libshout 2.4.6 asks whether a password is needed",
	  "SOURCE /morning.mp3 HTTP/1.0\r\n" SHOUTS "Content-Length: 0\r\nConnection: Keep-Alive\r\n" SHOUTS_META,
	  { .body = SOURCE_BODY_NONE,
	    .mount = "morning",
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .name = "Tür",
	    .description = "d",
	    .url = "http://x/",
	    .genre = "g",
	    .agent = "libshout/2.4.6",
	    .audio_info = "bitrate=128;samplerate=44100",
	    .bitrate_kbps = 128 },
	  OK_10 },
	{ "libshout 2.4.6 with its password",
	  "SOURCE /morning.mp3 HTTP/1.0\r\n" AUTH SHOUTS SHOUTS_META,
	  { .body = SOURCE_BODY_OPEN,
	    .mount = "morning",
	    .has_credentials = true,
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .name = "Tür",
	    .description = "d",
	    .url = "http://x/",
	    .genre = "g",
	    .agent = "libshout/2.4.6",
	    .audio_info = "bitrate=128;samplerate=44100",
	    .bitrate_kbps = 128 },
	  OK_10 },
	{ "libshout 2.4.6 with TLS on demand asks first",
	  "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:60269\r\nUser-Agent: libshout/2.4.6\r\nConnection: Upgrade\r\n"
	  "Upgrade: TLS/1.0, HTTP/1.1\r\n\r\n",
	  { .kind = SOURCE_OPTIONS, .http11 = true, .agent = "libshout/2.4.6" },
	  "HTTP/1.1 200 OK\r\nAllow: GET, PUT, SOURCE, OPTIONS\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
	{ "libshout 2.4.6 that knows of PUT",
	  "PUT /morning.mp3 HTTP/1.1\r\n" AUTH SHOUTS "Expect: 100-continue\r\n" SHOUTS_META,
	  { .http11 = true,
	    .expects = true,
	    .body = SOURCE_BODY_OPEN,
	    .mount = "morning",
	    .has_credentials = true,
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .name = "Tür",
	    .description = "d",
	    .url = "http://x/",
	    .genre = "g",
	    .agent = "libshout/2.4.6",
	    .audio_info = "bitrate=128;samplerate=44100",
	    .bitrate_kbps = 128 },
	  GO_ON },
	{ "curl -T - sends chunks",
	  "PUT /morning HTTP/1.1\r\nHost: 127.0.0.1:44411\r\n" AUTH "User-Agent: curl/7.88.1\r\nAccept: */*\r\n"
	  "Transfer-Encoding: chunked\r\nContent-Type: audio/mpeg\r\nExpect: 100-continue\r\n\r\n",
	  { .http11 = true,
	    .expects = true,
	    .body = SOURCE_BODY_CHUNKED,
	    .mount = "morning",
	    .has_credentials = true,
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .agent = "curl/7.88.1" },
	  GO_ON },
	{ "curl -T of a file",
	  "PUT /morning.mp3 HTTP/1.1\r\nHost: 127.0.0.1:34575\r\n" AUTH "User-Agent: curl/7.88.1\r\nAccept: */*\r\n"
	  "Content-Type: audio/mpeg\r\nContent-Length: 240553\r\nExpect: 100-continue\r\n\r\n",
	  { .http11 = true,
	    .expects = true,
	    .body = SOURCE_BODY_LENGTH,
	    .length = 240553,
	    .mount = "morning",
	    .has_credentials = true,
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .agent = "curl/7.88.1" },
	  GO_ON },
	{ "BUTT 0.1.37",
	  "PUT /morning.mp3 HTTP/1.1\r\n" AUTH "Host: 127.0.0.1:44301\r\nUser-Agent: butt 0.1.37\r\n"
	  "Content-Type: audio/mpeg\r\nice-name: no name\r\nice-public: 0\r\n"
	  "ice-audio-info: ice-bitrate=128;ice-channels=2;ice-samplerate=44100\r\nExpect: 100-continue\r\n\r\n",
	  { .http11 = true,
	    .expects = true,
	    .body = SOURCE_BODY_OPEN,
	    .mount = "morning",
	    .has_credentials = true,
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .name = "no name",
	    .agent = "butt 0.1.37",
	    .audio_info = "ice-bitrate=128;ice-channels=2;ice-samplerate=44100",
	    .bitrate_kbps = 128 },
	  GO_ON },
	{ "BUTT 0.1.37 says what plays, in bytes that a URL should not have",
	  "GET /admin/metadata?mode=updinfo&mount=/morning.mp3&song=Bj\xc3\xb6rk%20-%20J\xc3\xb3ga HTTP/1.0\r\n"
	  "User-Agent: butt 0.1.37\r\n" AUTH "Host: 127.0.0.1:44301\r\n\r\n",
	  { .kind = SOURCE_TITLE,
	    .mount = "morning",
	    .has_credentials = true,
	    .title = "Björk - Jóga",
	    .agent = "butt 0.1.37" },
	  NULL },
	{ "liquidsoap 2.1.3",
	  "SOURCE /morning.mp3 HTTP/1.0\r\nice-name: T\xc3\xbcr\r\n" AUTH "ice-public: 1\r\n" SOAPS
	  "ice-audio-info: channels=2;samplerate=44100;bitrate=64\r\nContent-Type: audio/mpeg\r\n\r\n",
	  { .body = SOURCE_BODY_OPEN,
	    .mount = "morning",
	    .has_credentials = true,
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .name = "Tür",
	    .agent = SOAP,
	    .is_public = true,
	    .bitrate_kbps = 64,
	    .audio_info = "channels=2;samplerate=44100;bitrate=64" },
	  OK_10 },
	{ "liquidsoap 2.1.3 with chunked=true",
	  "SOURCE /second.mp3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: \r\nice-name: /second.mp3\r\n" AUTH
	  "ice-public: 1\r\n" SOAPS "ice-audio-info: channels=2;samplerate=44100;bitrate=64\r\n"
	  "Content-Type: audio/mpeg\r\n\r\n",
	  { .http11 = true,
	    .body = SOURCE_BODY_CHUNKED,
	    .mount = "second",
	    .has_credentials = true,
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .name = "/second.mp3",
	    .agent = SOAP,
	    .is_public = true,
	    .bitrate_kbps = 64,
	    .audio_info = "channels=2;samplerate=44100;bitrate=64" },
	  "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" },
	{ "liquidsoap 2.1.3 with method=\"put\"",
	  "PUT /third HTTP/1.0\r\nice-name: third\r\nExpect: 100-continue\r\n" AUTH "ice-public: 1\r\n" SOAPS
	  "ice-audio-info: channels=2;quality=0.1;samplerate=44100\r\nContent-Type: application/ogg\r\n\r\n",
	  { .expects = true,
	    .body = SOURCE_BODY_OPEN,
	    .mount = "third",
	    .has_credentials = true,
	    .media = SOURCE_OGG,
	    .mime = "audio/ogg",
	    .ext = "ogg",
	    .name = "third",
	    .agent = SOAP,
	    .is_public = true,
	    .audio_info = "channels=2;quality=0.1;samplerate=44100" },
	  GO_ON },
	{ "liquidsoap 2.1.3 says what plays",
	  "GET /admin/metadata?mode=updinfo&mount=/morning.mp3&charset=UTF-8&title=J%C3%B3ga&artist=Bj%C3%B6rk&"
	  "song=Bj%C3%B6rk%20%2D%20J%C3%B3ga HTTP/1.0\r\nice-name: T\xc3\xbcr\r\n" AUTH "ice-public: 1\r\n" SOAPS
	  "ice-audio-info: channels=2;samplerate=44100;bitrate=64\r\n\r\n",
	  { .kind = SOURCE_TITLE,
	    .mount = "morning",
	    .has_credentials = true,
	    .title = "Björk - Jóga",
	    .name = "Tür",
	    .agent = SOAP,
	    .is_public = true,
	    .bitrate_kbps = 64,
	    .audio_info = "channels=2;samplerate=44100;bitrate=64" },
	  NULL },
	{ "an old one",
	  "SOURCE /a-b_c.d ICE/1.0\r\n" AUTH "icy-name: Caf\xe9 \x80\r\nicy-pub: yes\r\nicy-br: 64 kbps\r\n\r\n",
	  { .body = SOURCE_BODY_OPEN,
	    .mount = "a-b_c.d",
	    .has_credentials = true,
	    .media = SOURCE_MP3,
	    .mime = "audio/mpeg",
	    .ext = "mp3",
	    .name = "Café €",
	    .is_public = true,
	    .bitrate_kbps = 64 },
	  OK_10 },
	{ "libshout 2.4.6 says what plays",
	  SHOUTS_TITLE AUTH "\r\n",
	  { .kind = SOURCE_TITLE,
	    .http11 = true,
	    .mount = "morning",
	    .has_credentials = true,
	    .title = "Björk - It's; & so+on",
	    .agent = "libshout/2.4.6" },
	  NULL },
	{ "and asks before whether a password is needed",
	  SHOUTS_TITLE "\r\n",
	  { .kind = SOURCE_TITLE,
	    .http11 = true,
	    .mount = "morning",
	    .title = "Björk - It's; & so+on",
	    .agent = "libshout/2.4.6" },
	  NULL },
};

static void same(const struct source_request *a, const struct source_request *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->http11, b->http11);
	assert_int_equal(a->expects, b->expects);
	assert_int_equal(a->body, b->body);
	assert_int_equal(a->length, b->length);
	assert_string_equal(a->mount, b->mount);
	assert_int_equal(a->has_credentials, b->has_credentials);
	assert_int_equal(a->media, b->media);
	assert_true(!a->mime == !b->mime);
	if (a->mime) {
		assert_string_equal(a->mime, b->mime);
		assert_string_equal(a->ext, b->ext);
	}
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->description, b->description);
	assert_string_equal(a->genre, b->genre);
	assert_string_equal(a->url, b->url);
	assert_string_equal(a->audio_info, b->audio_info);
	assert_string_equal(a->agent, b->agent);
	assert_int_equal(a->bitrate_kbps, b->bitrate_kbps);
	assert_int_equal(a->is_public, b->is_public);
	assert_string_equal(a->title, b->title);
}

/* Feeds the bytes in pieces of `step` after the first of `first`; returns how many were taken. */
static size_t fed(struct source_head *h, const char *bytes, size_t len, size_t first, size_t step)
{
	size_t taken = 0;
	for (size_t at = 0, n = first; at < len; at += n, n = step) {
		size_t used;
		if (n > len - at)
			n = len - at;
		assert_int_equal(source_head_feed(h, bytes + at, n, &used), ERR_OK);
		assert_true(h->complete ? used <= n : used == n);
		taken += used;
	}
	return taken;
}

static void every_client_in_every_splitting(void **state)
{
	for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
		char bytes[2048];
		size_t head = strlen(clients[i].head), len = head + sizeof MEDIA - 1;
		memcpy(bytes, clients[i].head, head);
		memcpy(bytes + head, MEDIA, sizeof MEDIA - 1);
		for (size_t cut = 0; cut <= len; cut++) {
			struct source_head h = { 0 };
			assert_int_equal(fed(&h, bytes, len, cut, cut == 0 ? 1 : len), head);
			assert_true(h.complete);
			assert_int_equal(h.text.len, head);
			assert_memory_equal(h.text.data, bytes, head);
			source_head_release(&h);
		}
		struct source_request r;
		const char *detail = "";
		enum err err = source_request_parse(bytes, head, &r, &detail);
		if (err != ERR_OK)
			print_error("%s: %s\n", clients[i].who, detail);
		assert_int_equal(err, ERR_OK);
		assert_null(detail);
		same(&r, &clients[i].is);
		assert_string_equal(r.user, r.has_credentials ? "source" : "");
		assert_string_equal(r.password, r.has_credentials ? "hackme" : "");
		if (clients[i].answer)
			assert_string_equal(source_reply_accept(&r), clients[i].answer);
	}
}

static void two_requests_on_one_connection(void **state)
{
	struct source_head h = { 0 };
	size_t used, first = strlen(clients[2].head), second = strlen(clients[3].head);
	char both[4096];
	memcpy(both, clients[2].head, first);
	memcpy(both + first, clients[3].head, second);
	assert_int_equal(source_head_feed(&h, both, first + second, &used), ERR_OK);
	assert_int_equal(used, first);
	assert_int_equal(source_head_feed(&h, both + first, second, &used), ERR_OK);
	assert_int_equal(used, 0);
	source_head_release(&h);
	assert_int_equal(source_head_feed(&h, both + first, second, &used), ERR_OK);
	assert_int_equal(used, second);
	assert_true(h.complete);
	source_head_release(&h);
}

static struct source_request parsed(const char *format, const char *text)
{
	char head[LIMIT_SOURCE_HEAD_BYTES + 1];
	struct source_request r;
	const char *detail = NULL;
	int len = snprintf(head, sizeof head, format, text);
	enum err err = source_request_parse(head, (size_t)len, &r, &detail);
	if (err != ERR_OK)
		print_error("%s: %s\n", head, detail);
	assert_int_equal(err, ERR_OK);
	return r;
}

static void titles(void **state)
{
	static const char *const rows[][2] = {
		{ "mode=updinfo&mount=/m&song=a+b%2Bc", "a b+c" },
		{ "song=&mount=m&mode=updinfo", "" },
		{ "mode=updinfo&mount=/m&song", "" },
		{ "mode=updinfo&mount=/m&song=Caf%E9", "Café" },
		{ "mode=updinfo&mount=/m&song=Caf%C3%A9", "Café" },
		{ "mode=updinfo&mount=/m&song=Caf%C3%A9&charset=iso-8859-1", "CafÃ©" },
		{ "mode=updinfo&mount=/m&song=Caf%C3%A9&charset=ISO%2D8859%2D1", "CafÃ©" },
		{ "mode=updinfo&mount=/m&song=Caf%C3%A9&charset=UTF-8&charset=latin1", "Café" },
		{ "mode=updinfo&mount=/m&song=Caf%E9&charset=UTF-8", "Café" },
		{ "mode=updinfo&mount=/m&song=%93x%94%20%96%81", "“x” –" },
		{ "mode=updinfo&mount=/m&song=Caf\xe9", "Café" },
		{ "mode=updinfo&mount=/m&song=%20a%0D%0Ab%01%7F%C2%85c%09", "a  bc" },
		{ "mode=updinfo&mount=/m&song=%C0%AF", "À¯" }, /* a slash in two bytes is no UTF-8 */
		{ "mode=updinfo&mount=/m&artist=A&title=T", "A - T" },
		{ "mode=updinfo&mount=/m&title=T", "T" },
		{ "mode=updinfo&mount=/m&artist=A", "A" },
		{ "mode=updinfo&mount=/m&artist=&title=T", "T" },
		{ "mode=updinfo&mount=/m&artist=A&title=T&song=S&url=u&x", "S" },
		{ "mode=updinfo&mount=/m&song=%F0%9F%8E%B5%ED%A0%80", "ðŸŽµí\xc2\xa0€" }, /* half a pair is no UTF-8 */
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct source_request r = parsed("GET /admin/metadata?%s HTTP/1.0\r\n\r\n", rows[i][0]);
		assert_int_equal(r.kind, SOURCE_TITLE);
		assert_string_equal(r.mount, "m");
		assert_string_equal(r.title, rows[i][1]);
		assert_int_equal(r.body, SOURCE_BODY_NONE);
	}
}

static void mounts(void **state)
{
	static const char *const rows[][2] = {
		{ "/morning", "morning" },
		{ "/morning.mp3", "morning" },
		{ "/Mor-n_ing.OPUS", "Mor-n_ing" },
		{ "/%6dorning%2Emp3", "morning" },
		{ "/a.mp3.webm", "a.mp3" },
		{ "/a.b", "a.b" },
		{ "/mp3", "mp3" },
		{ "/1..", "1.." },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(parsed("SOURCE %s HTTP/1.0\r\n\r\n", rows[i][0]).mount, rows[i][1]);
}

static void media_types(void **state)
{
	static const struct {
		const char *type, *mime, *ext;
		enum source_media media;
	} rows[] = {
		{ "audio/mpeg", "audio/mpeg", "mp3", SOURCE_MP3 },
		{ "AUDIO/MP3", "audio/mpeg", "mp3", SOURCE_MP3 },
		{ "audio/aac", "audio/aac", "aac", SOURCE_AAC },
		{ "audio/aacp", "audio/aac", "aac", SOURCE_AAC },
		{ "application/ogg", "audio/ogg", "ogg", SOURCE_OGG },
		{ "video/ogg", "video/ogg", "ogv", SOURCE_OGG },
		{ "audio/ogg; codecs=opus", "audio/ogg", "ogg", SOURCE_OGG },
		{ "video/webm", "video/webm", "webm", SOURCE_WEBM },
		{ "audio/webm ;x", "audio/webm", "webm", SOURCE_WEBM },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct source_request r = parsed("PUT /m HTTP/1.1\r\nContent-Type:%s\r\n\r\n", rows[i].type);
		assert_string_equal(r.mime, rows[i].mime);
		assert_string_equal(r.ext, rows[i].ext);
		assert_int_equal(r.media, rows[i].media);
	}
}

static void credentials(void **state)
{
	static const char *const rows[][3] = {
		{ "basic   c291cmNlOmhhY2ttZQ==", "source", "hackme" },
		{ "Basic c291cmNlOmE6Yg==", "source", "a:b" },
		{ "Basic Og==", "", "" },
		{ "Basic c291cmNlOsO8", "source", "ü" },
		{ "Basic c291cmNlOvw=", "source", "\xfc" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct source_request r = parsed("SOURCE /m HTTP/1.0\r\nAuthorization: %s\r\n\r\n", rows[i][0]);
		assert_true(r.has_credentials);
		assert_string_equal(r.user, rows[i][1]);
		assert_string_equal(r.password, rows[i][2]);
	}
	assert_false(parsed("SOURCE /m HTTP/1.0\r\nAuthorization: %s\r\n\r\n", "Bearer abc").has_credentials);
	assert_false(parsed("SOURCE /m HTTP/1.0\r\nAuthorization:%s\r\n\r\n", "").has_credentials);
}

static void long_texts_are_cut(void **state)
{
	char text[4096];
	for (size_t i = 0; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "ü", 3);
	struct source_request r = parsed("SOURCE /m HTTP/1.0\r\nice-name: a%s\r\n\r\n", text);
	assert_int_equal(strlen(r.name), LIMIT_SOURCE_TEXT_BYTES - 1);
	assert_true(text_valid(r.name, SIZE_MAX));
	r = parsed("GET /admin/metadata?mode=updinfo&mount=m&song=a%s HTTP/1.0\r\n\r\n", text);
	assert_int_equal(strlen(r.title), LIMIT_TITLE_BYTES - 1);
	assert_true(text_valid(r.title, SIZE_MAX));
	text[2 * (LIMIT_TITLE_BYTES / 2 - 1)] = '\0';
	r = parsed("GET /admin/metadata?mode=updinfo&mount=m&artist=%s&title=T HTTP/1.0\r\n\r\n", text);
	assert_int_equal(strlen(r.title), LIMIT_TITLE_BYTES - 1); /* no room for " - " */
	assert_true(text_valid(r.title, SIZE_MAX));
}

static void bitrates(void **state)
{
	static const struct {
		const char *fields;
		unsigned kbps;
	} rows[] = {
		{ "ice-bitrate: 128", 128 },
		{ "ice-bitrate: Quality 4", 0 },
		{ "ice-bitrate: 99999999999999999999", 0 },
		{ "ice-bitrate: -1", 0 },
		{ "ice-audio-info: channels=2; Bitrate = 96", 96 },
		{ "ice-bitrate: 64\r\nice-audio-info: bitrate=96", 64 },
		{ "ice-audio-info: ;;=;bitrate", 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(parsed("SOURCE /m HTTP/1.0\r\n%s\r\n\r\n", rows[i].fields).bitrate_kbps, rows[i].kbps);
}

static void answers(void **state)
{
	char out[SOURCE_REPLY_BYTES], sentence[2000];
	struct source_request r = parsed("%s", "PUT /m HTTP/1.1\r\nContent-Type: audio/mpeg\r\nExpect: 100-Continue\r\n"
					       "Content-Length: 5\r\n\r\n");
	assert_string_equal(source_reply_end(&r), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	r.expects = false;
	assert_string_equal(source_reply_end(&r), "");
	r = parsed("%s",
		   "PUT /m HTTP/1.1\r\nContent-Type: audio/mpeg\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
	assert_string_equal(source_reply_accept(&r), OK_10); /* nothing comes that could go on */
	r = parsed("%s", clients[0].head);
	assert_string_equal(source_reply_end(&r), "");
	r = parsed("%s", SHOUTS_TITLE "\r\n");
	const char *titled = source_reply_accept(&r), *body = strstr(titled, "\r\n\r\n");
	assert_int_equal(strncmp(titled, "HTTP/1.0 200 OK\r\n", 17), 0);
	assert_non_null(strstr(titled, "Content-Length: 113\r\n"));
	assert_int_equal(strlen(body + 4), 113);
	assert_string_equal(source_reply_end(&r), "");

	size_t len = source_reply_refuse(401, "Who?", out);
	assert_int_equal(len, strlen(out));
	assert_string_equal(
		out, "HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"Holdfast\", charset=\"UTF-8\"\r\n"
		     "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\nConnection: close\r\n\r\nWho?\n");
	source_reply_refuse(405, "", out);
	assert_non_null(strstr(out, "405 Method Not Allowed\r\nAllow: GET, PUT, SOURCE, OPTIONS\r\n"));
	static const int others[] = { 400, 403, 404, 413, 415, 431, 501, 503 };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		char line[64];
		source_reply_refuse(others[i], "No.", out);
		snprintf(line, sizeof line, "HTTP/1.0 %d ", others[i]);
		assert_memory_equal(out, line, strlen(line));
		assert_true(out[strlen(line)] != '\r'); /* each has its phrase */
		assert_null(strstr(out, "Allow"));
	}
	memset(sentence, 'x', sizeof sentence);
	sentence[sizeof sentence - 1] = '\0';
	assert_true(source_reply_refuse(401, sentence, out) < SOURCE_REPLY_BYTES);
	assert_non_null(strstr(out, "Content-Length: 301\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_client_in_every_splitting),
		cmocka_unit_test(two_requests_on_one_connection),
		cmocka_unit_test(titles),
		cmocka_unit_test(mounts),
		cmocka_unit_test(media_types),
		cmocka_unit_test(credentials),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(bitrates),
		cmocka_unit_test(answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
