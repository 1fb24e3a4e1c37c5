/* A recording's file, original, thumbnail and waveform. The engine says which of the four classes the answer is of;
 * what is there is made 200, 206, 304 or 416 of here, by the book (RFC 9110).
 *
 * One piece is read from the engine when the one before is sent, so that a slow reader holds one piece and nothing
 * else. LIMIT_READERS at a time; more wait their turn. */
#include "net/private.h"

#include "proto/range.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILENAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"

struct download {
	struct request *request;
	enum resource resource;
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

const char *mime_served(const char *mime)
{
	return mime_is_playable(mime) && mime_is_plain(mime) ? mime : MIME_UNKNOWN;
}

static void headers_format(struct buf *out, enum resource resource, const struct engine_original *file)
{
	bool ours = resource == RESOURCE_THUMBNAIL || resource == RESOURCE_WAVEFORM; /* we made it, of a type of ours */
	bool plays = ours || mime_is_playable(file->mime);
	size_t type_len = mime_is_plain(file->mime) ? strlen(file->mime) : strcspn(file->mime, "; \t");
	char name[sizeof file->filename];
	memcpy(name, file->filename, sizeof name);
	for (char *p = name; *p; p++)
		if (!strchr(FILENAME_CHARS, *p) || (p[0] == '.' && p[1] == '.'))
			*p = '_';
	buf_addf(out, "Content-Type: %.*s\r\n", plays ? (int)type_len : 24, plays ? file->mime : MIME_UNKNOWN);
	buf_addf(out, "Content-Disposition: %s; filename=\"%s\"\r\n", plays ? "inline" : "attachment", name);
	buf_addf(out, "ETag: %s\r\n", file->etag);
	/* Nothing of it runs. It keeps its origin, or the page that a browser makes around a film whose address is
	 * opened could not load the film: its request would be one from another origin. */
	buf_add_text(out, "Accept-Ranges: bytes\r\nCache-Control: private, no-cache\r\n"
			  "Content-Security-Policy: sandbox allow-same-origin; default-src 'none'; media-src 'self'; "
			  "style-src 'unsafe-inline'\r\n");
}

/* --- pieces --- */

static void piece_read(void *arg, enum err err, const void *data, size_t len);

static void reader_close(struct request *r)
{
	struct download *d = r->download;
	if (!d->open)
		return;
	d->open = false;
	engine_reader_close(r->net->engine, d->reader);
}

/* Reads and sends as long as the socket takes it. */
static void step(struct request *r)
{
	struct download *d = r->download;
	peer_deadline(r->peer, 0);
	d->stepping = true;
	while (d->at < d->end && !d->reading && !peer_unsent(r->peer) && !r->peer->doomed) {
		uint64_t left = d->end - d->at;
		d->reading = r->pending = true;
		engine_read(r->net->engine, d->reader, d->at, left < LIMIT_READ_BYTES ? (size_t)left : LIMIT_READ_BYTES,
			    piece_read, r);
	}
	d->stepping = false;
	if (peer_unsent(r->peer))
		peer_deadline(r->peer, LIMIT_HTTP_SEND_WAIT_S * 1000);
	if (d->at == d->end) {
		reader_close(r);
		request_end(r);
	}
}

static void piece_read(void *arg, enum err err, const void *data, size_t len)
{
	struct request *r = arg;
	struct download *d = r->download;
	d->reading = r->pending = false;
	if (err != ERR_OK || len == 0 || len > d->end - d->at) {
		peer_doom(r->peer); /* the length is promised: cutting off is the only way to say it */
		return;
	}
	request_body(r, data, len);
	d->at += len;
	if (!d->stepping && !r->peer->doomed)
		step(r);
}

void download_drained(struct request *r)
{
	struct download *d = r->download;
	if (d->open && !d->reading && !d->stepping && r->began)
		step(r);
}

/* --- heads --- */

/* Which answer: 200, 206 with [*first, *end), 304 or 416. */
static int judge(const struct request *r, const struct engine_original *file, uint64_t *first, uint64_t *end)
{
	const char *match = http_field_get(&r->head, "if-none-match"), *range = http_field_get(&r->head, "range");
	const char *if_range = http_field_get(&r->head, "if-range");
	uint64_t last;
	*first = 0;
	*end = file->bytes;
	if (match && if_none_match_matches(match, file->etag))
		return 304;
	if (r->head_only || (if_range && !if_range_matches(if_range, file->etag)))
		return 200; /* by the book a range is a matter of GET */
	switch (range_parse(range, file->bytes, first, &last)) {
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

static void head_answer(struct request *r, const struct engine_original *file)
{
	uint64_t first, end;
	int status = judge(r, file, &first, &end);
	struct buf headers;
	buf_init(&headers);
	if (status == 416)
		buf_addf(&headers, "Content-Range: bytes */%" PRIu64 "\r\nAccept-Ranges: bytes\r\n", file->bytes);
	else
		headers_format(&headers, r->download->resource, file);
	if (status == 206)
		buf_addf(&headers, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first, end - 1,
			 file->bytes);
	bool body = (status == 200 || status == 206) && !r->head_only && end > first;
	if (!body)
		reader_close(r);
	if (headers.failed) {
		peer_doom(r->peer);
	} else if (status == 416) {
		request_problem(r, ERR_RANGE_NOT_SATISFIABLE, NULL, headers.data);
	} else {
		r->download->at = first;
		r->download->end = end;
		request_begin(r, status, headers.data, end - first);
		if (!body)
			request_end(r);
		else if (!peer_unsent(r->peer))
			step(r);
	}
	buf_release(&headers);
}

/* Not yet, never or broken: the body says why. */
static void body_answer(struct request *r, const struct serving *s, const char *body, size_t len)
{
	char headers[80];
	char after[40] = "";
	if (r->dialect != DIALECT_NONE && s->err == ERR_DELETED && s->was_whole) {
		/* an upload that was ended is not there: tus's own servers and clients' tests have it so */
		request_problem(r, ERR_NOT_FOUND, NULL, NULL);
		return;
	}
	if (s->retry_after_s > 0)
		snprintf(after, sizeof after, "Retry-After: %u\r\n", s->retry_after_s);
	bool passing = s->status == 503 || s->status == 507; /* of the table every 500 without a time is no such */
	snprintf(headers, sizeof headers, "Cache-Control: no-store\r\n%s",
		 *after || !passing ? after : retry_after(s->err));
	request_answer(r, &(struct answer){ .status = s->status,
					    .type = s->status == 202 ? "application/json" : "application/problem+json",
					    .headers = headers,
					    .body = body,
					    .len = len });
}

static void opened(void *arg, const struct serving *serving, const struct engine_original *file, const char *body,
		   size_t len)
{
	struct request *r = arg;
	struct download *d = r->download;
	r->pending = false;
	if (file) {
		d->open = d->counted = true;
		d->reader = file->reader;
		r->net->readers++;
	}
	if (!r->peer)
		request_settle(r);
	else if (!file && serving->err == ERR_BUSY && r->net->readers >= LIMIT_READERS)
		list_push(&r->net->reader_queue, &d->waiting);
	else if (file)
		head_answer(r, file);
	else
		body_answer(r, serving, body, len);
}

static void open_now(struct request *r)
{
	const struct download *d = r->download;
	r->pending = true;
	engine_download(r->net->engine, (struct engine_ref){ r->id, &r->grant }, d->resource, d->track, opened, r);
}

void download_start(struct request *r, enum resource resource)
{
	struct download *d = calloc(1, sizeof *d);
	enum err err = d ? http_query_get(r->head.query, "track", &d->track) : ERR_NO_MEMORY;
	if (err != ERR_OK) {
		if (d)
			free(d->track);
		free(d);
		request_problem(r, err, NULL, NULL);
		return;
	}
	list_init(&d->waiting);
	r->download = d;
	d->request = r;
	d->resource = resource;
	open_now(r);
}

/* The route's last segment is the resource's name. */
void download_run(struct request *r)
{
	enum resource resource;
	if (resource_parse(route_last(r->route), &resource))
		download_start(r, resource);
	else
		request_problem(r, ERR_INTERNAL, NULL, NULL);
}

void download_orphan(struct request *r)
{
	/* After reader_close no callback of a read comes; that of engine_download does. */
	if (r->download->open) {
		reader_close(r);
		r->pending = false;
	}
}

void download_free(struct request *r)
{
	struct download *d = r->download;
	struct net *n = r->net;
	bool counted = d->counted;
	reader_close(r);
	list_remove(&d->waiting);
	free(d->track);
	free(d);
	r->download = NULL;
	n->readers -= counted;
	/* also behind one that waited in vain: its turn is the next one's */
	struct list *next = n->readers < LIMIT_READERS ? list_pop(&n->reader_queue) : NULL;
	if (next)
		open_now(list_entry(next, struct download, waiting)->request);
}
