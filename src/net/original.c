/* Downloads of the bytes as received: one piece is read from the engine when the one before is sent, so that a slow
 * reader holds one piece and nothing else. LIMIT_READERS at a time; more wait their turn. */
#include "net/private.h"

#include "proto/range.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILENAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"

struct original {
	struct request *request;
	struct list waiting; /* in net->reader_queue until it is its turn */
	char *track;	     /* NULL: the only one */
	uint64_t reader;     /* the engine's, while `open` */
	uint64_t at, end;    /* what is still to be sent */
	bool counted;	     /* among net->readers */
	bool open, reading, stepping;
};

/* Types that a browser plays and never runs. What is declared as anything else is a download of unknown bytes. */
static const char *const playable[] = {
	"audio/aac",	   "audio/flac",     "audio/matroska",	 "audio/mp4",	"audio/mpeg",	    "audio/ogg",
	"audio/opus",	   "audio/wav",	     "audio/webm",	 "audio/x-m4a", "audio/x-matroska", "audio/x-wav",
	"video/3gpp",	   "video/matroska", "video/mp2t",	 "video/mp4",	"video/mpeg",	    "video/ogg",
	"video/quicktime", "video/webm",     "video/x-matroska",
};

static bool mime_is_playable(const char *mime)
{
	size_t len = strcspn(mime, "; \t");
	for (size_t i = 0; i < sizeof playable / sizeof *playable; i++)
		if (strlen(playable[i]) == len && strncasecmp(playable[i], mime, len) == 0)
			return true;
	return false;
}

/* May the whole text, with its codecs, stand in a header? */
static bool mime_is_plain(const char *mime)
{
	return strspn(mime, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/;=,.+-_\" ") ==
	       strlen(mime);
}

static void headers_format(struct buf *out, const struct engine_original *o)
{
	bool plays = mime_is_playable(o->mime);
	size_t type_len = mime_is_plain(o->mime) ? strlen(o->mime) : strcspn(o->mime, "; \t");
	char name[sizeof o->filename];
	memcpy(name, o->filename, sizeof name);
	for (char *p = name; *p; p++)
		if (!strchr(FILENAME_CHARS, *p) || (p[0] == '.' && p[1] == '.'))
			*p = '_';
	buf_addf(out, "Content-Type: %.*s\r\n", plays ? (int)type_len : 24,
		 plays ? o->mime : "application/octet-stream");
	buf_addf(out, "Content-Disposition: %s; filename=\"%s\"\r\n", plays ? "inline" : "attachment", name);
	buf_addf(out, "ETag: %s\r\n", o->etag);
	buf_add_text(out, "Accept-Ranges: bytes\r\nCache-Control: private, no-cache\r\n"
			  "Content-Security-Policy: sandbox; default-src 'none'; media-src 'self'; style-src "
			  "'unsafe-inline'\r\n");
}

/* --- pieces --- */

static void piece_read(void *arg, enum err err, const void *data, size_t len);

static void reader_close(struct request *r)
{
	struct original *o = r->original;
	if (!o->open)
		return;
	o->open = false;
	engine_reader_close(r->net->engine, o->reader);
}

/* Reads and sends as long as the socket takes it. */
static void step(struct request *r)
{
	struct original *o = r->original;
	peer_deadline(r->peer, 0);
	o->stepping = true;
	while (o->at < o->end && !o->reading && !r->peer->out && !r->peer->doomed) {
		uint64_t left = o->end - o->at;
		o->reading = r->pending = true;
		engine_read(r->net->engine, o->reader, o->at, left < LIMIT_READ_BYTES ? (size_t)left : LIMIT_READ_BYTES,
			    piece_read, r);
	}
	o->stepping = false;
	if (r->peer->out)
		peer_deadline(r->peer, LIMIT_HTTP_SEND_WAIT_S * 1000);
	if (o->at == o->end) {
		reader_close(r);
		request_end(r);
	}
}

static void piece_read(void *arg, enum err err, const void *data, size_t len)
{
	struct request *r = arg;
	struct original *o = r->original;
	o->reading = r->pending = false;
	if (err != ERR_OK || len == 0 || len > o->end - o->at) {
		peer_doom(r->peer); /* the length is promised: cutting off is the only way to say it */
		return;
	}
	request_body(r, data, len);
	o->at += len;
	if (!o->stepping && !r->peer->doomed)
		step(r);
}

void original_drained(struct request *r)
{
	struct original *o = r->original;
	if (o->open && !o->reading && !o->stepping && r->began)
		step(r);
}

/* --- heads --- */

/* Which answer: 200, 206 with [*first, *end), 304 or 416. */
static int judge(const struct request *r, const struct engine_original *o, uint64_t *first, uint64_t *end)
{
	const char *match = http_field_get(&r->head, "if-none-match"), *range = http_field_get(&r->head, "range");
	const char *if_range = http_field_get(&r->head, "if-range");
	uint64_t last;
	*first = 0;
	*end = o->bytes;
	if (match && if_none_match_matches(match, o->etag))
		return 304;
	if (r->head_only || (if_range && !if_range_matches(if_range, o->etag)))
		return 200; /* by the book a range is a matter of GET */
	switch (range_parse(range, o->bytes, first, &last)) {
	case RANGE_PART:
		*end = last + 1;
		return 206;
	case RANGE_NOT_SATISFIABLE:
		return 416;
	case RANGE_WHOLE:
		break;
	}
	return 200;
}

static void head_answer(struct request *r, const struct engine_original *o)
{
	uint64_t first, end;
	int status = judge(r, o, &first, &end);
	struct buf headers;
	buf_init(&headers);
	if (status == 416)
		buf_addf(&headers, "Content-Range: bytes */%" PRIu64 "\r\nAccept-Ranges: bytes\r\n", o->bytes);
	else
		headers_format(&headers, o);
	if (status == 206)
		buf_addf(&headers, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first, end - 1,
			 o->bytes);
	bool body = (status == 200 || status == 206) && !r->head_only && end > first;
	if (!body)
		reader_close(r);
	if (headers.failed) {
		peer_doom(r->peer);
	} else if (status == 416) {
		request_problem(r, ERR_RANGE_NOT_SATISFIABLE, NULL, headers.data);
	} else {
		r->original->at = first;
		r->original->end = end;
		request_begin(r, status, headers.data, end - first);
		if (!body)
			request_end(r);
		else if (!r->peer->out)
			step(r);
	}
	buf_release(&headers);
}

static void opened(void *arg, enum err err, const struct engine_original *original)
{
	struct request *r = arg;
	struct original *o = r->original;
	r->pending = false;
	if (err == ERR_OK) {
		o->open = true;
		o->reader = original->reader;
	}
	if (!r->peer)
		request_settle(r);
	else if (err != ERR_OK)
		request_problem(r, err, NULL, NULL);
	else
		head_answer(r, original);
}

static void open_now(struct request *r)
{
	r->original->counted = true;
	r->net->readers++;
	r->pending = true;
	engine_original(r->net->engine, (struct engine_ref){ r->id, &r->grant }, r->original->track, opened, r);
}

void original_run(struct request *r)
{
	struct original *o = calloc(1, sizeof *o);
	enum err err = o ? http_query_get(r->head.query, "track", &o->track) : ERR_NO_MEMORY;
	if (err != ERR_OK) {
		free(o);
		request_problem(r, err, NULL, NULL);
		return;
	}
	list_init(&o->waiting);
	r->original = o;
	o->request = r;
	if (r->net->readers < LIMIT_READERS)
		open_now(r);
	else
		list_push(&r->net->reader_queue, &o->waiting);
}

void original_orphan(struct request *r)
{
	/* After reader_close no callback of a read comes; that of engine_original does. */
	if (r->original->open) {
		reader_close(r);
		r->pending = false;
	}
}

void original_free(struct request *r)
{
	struct original *o = r->original;
	struct net *n = r->net;
	bool counted = o->counted;
	reader_close(r);
	list_remove(&o->waiting);
	free(o->track);
	free(o);
	r->original = NULL;
	if (!counted)
		return;
	n->readers--;
	struct list *next = list_pop(&n->reader_queue);
	if (next)
		open_now(list_entry(next, struct original, waiting)->request);
}
