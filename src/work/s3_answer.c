/* What a bucket's answers say, see s3_answer.h. */
#include "work/s3_answer.h"

#include "work/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- what stands in an element --- */

static bool text_set(char *out, size_t size, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	if (len == 0 || len >= size)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	}
	memcpy(out, text, len + 1);
	return true;
}

static bool code_set(char out[LIMIT_S3_CODE_CHARS + 1], const char *text)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	return text && strspn(text, fine) == strlen(text) && text_set(out, LIMIT_S3_CODE_CHARS + 1, text);
}

static bool number_set(uint64_t *out, uint64_t max, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	uint64_t value = 0;
	if (len == 0 || len > 16 || strspn(text, "0123456789") != len)
		return false;
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	*out = value;
	return value <= max;
}

static bool is_true(const char *text)
{
	return text && strcmp(text, "true") == 0;
}

int64_t s3_date_read(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strlen(text) >= 19 ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	if (!end || (*end != '.' && *end != 'Z'))
		return 0;
	time_t when = timegm(&tm);
	return when > 0 ? (int64_t)when * 1000 : 0;
}

/* --- single words --- */

static bool on_error(void *arg, const char *path, const char *text)
{
	char *code = arg;
	if (strcmp(path, "Error/Code") == 0)
		return !*code && code_set(code, text);
	return true;
}

bool s3_error_read(const char *data, size_t len, char code[LIMIT_S3_CODE_CHARS + 1])
{
	*code = '\0';
	if (s3_xml_read(data, len, on_error, code) && *code)
		return true;
	*code = '\0';
	return false;
}

static bool on_created(void *arg, const char *path, const char *text)
{
	char *upload = arg;
	if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0)
		return !*upload && text_set(upload, LIMIT_PUSH_UPLOAD_CHARS + 1, text);
	return true;
}

bool s3_created_read(const char *data, size_t len, char upload[LIMIT_PUSH_UPLOAD_CHARS + 1])
{
	*upload = '\0';
	if (s3_xml_read(data, len, on_created, upload) && *upload)
		return true;
	*upload = '\0';
	return false;
}

static bool on_completed(void *arg, const char *path, const char *text)
{
	struct s3_completed *out = arg;
	if (strcmp(path, "CompleteMultipartUploadResult") == 0)
		out->whole = true;
	if (strcmp(path, "CompleteMultipartUploadResult/ETag") == 0 && text && *text)
		return !*out->etag && text_set(out->etag, sizeof out->etag, text);
	return on_error(out->code, path, text);
}

bool s3_completed_read(const char *data, size_t len, struct s3_completed *out)
{
	*out = (struct s3_completed){ 0 };
	if (s3_xml_read(data, len, on_completed, out) && (out->whole || *out->code))
		return true;
	*out = (struct s3_completed){ 0 };
	return false;
}

/* --- lists --- */

enum { SEEN_FIRST = 1, SEEN_SECOND = 2, SEEN_THIRD = 4, SEEN_ALL = 7 };

/* Each once. */
static bool see(unsigned *seen, unsigned bit, bool ok)
{
	if (*seen & bit)
		return false;
	*seen |= bit;
	return ok;
}

struct parts_reader {
	struct s3_parts *out;
	struct push_part part;
	unsigned seen;
	bool root;
};

static bool part_add(struct parts_reader *r)
{
	struct s3_parts *p = r->out;
	unsigned last = p->count > 0 ? p->items[p->count - 1].number : 0;
	if (r->seen != SEEN_ALL || r->part.number <= last)
		return false; /* as the numbers rise and have an end, so has the list */
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 16;
		struct push_part *items = realloc(p->items, room * sizeof *items);
		if (!items)
			abort(); /* as everywhere */
		p->items = items;
		p->room = room;
	}
	p->items[p->count++] = r->part;
	r->seen = 0;
	return true;
}

static bool on_parts(void *arg, const char *path, const char *text)
{
	static const char root[] = "ListPartsResult";
	struct parts_reader *r = arg;
	uint64_t number = 0;
	if (strncmp(path, root, sizeof root - 1) != 0)
		return false;
	path += sizeof root - 1;
	if (!*path) {
		r->root = true;
		return true;
	}
	if (strcmp(path, "/IsTruncated") == 0) {
		r->out->more = is_true(text);
		return true;
	}
	if (strcmp(path, "/Part/PartNumber") == 0) {
		bool ok = number_set(&number, LIMIT_PUSH_PARTS, text) && number > 0;
		r->part.number = (unsigned)number;
		return see(&r->seen, SEEN_FIRST, ok);
	}
	if (strcmp(path, "/Part/Size") == 0)
		return see(&r->seen, SEEN_SECOND, number_set(&r->part.bytes, LIMIT_NUMBER, text));
	if (strcmp(path, "/Part/ETag") == 0)
		return see(&r->seen, SEEN_THIRD, text_set(r->part.etag, sizeof r->part.etag, text));
	return strcmp(path, "/Part") != 0 || part_add(r);
}

bool s3_parts_read(const char *data, size_t len, struct s3_parts *out)
{
	struct parts_reader r = { .out = out };
	size_t before = out->count;
	out->more = false;
	if (s3_xml_read(data, len, on_parts, &r) && r.root && (!out->more || out->count > before))
		return true;
	out->count = before;
	out->more = false;
	return false;
}

void s3_parts_release(struct s3_parts *p)
{
	free(p->items);
	*p = (struct s3_parts){ 0 };
}

struct uploads_reader {
	struct s3_uploads *out;
	struct push_upload upload;
	unsigned seen;
	bool root;
};

static bool upload_add(struct uploads_reader *r)
{
	struct s3_uploads *u = r->out;
	size_t prefix = strlen(u->prefix);
	if ((r->seen & (SEEN_FIRST | SEEN_SECOND)) != (SEEN_FIRST | SEEN_SECOND))
		return false;
	r->seen = 0;
	if (strncmp(r->upload.key, u->prefix, prefix) != 0 || u->count == LIMIT_PUSH_LIST_UPLOADS)
		return true;
	if (!u->items)
		u->items = malloc(LIMIT_PUSH_LIST_UPLOADS * sizeof *u->items);
	if (!u->items)
		abort();
	struct push_upload *at = &u->items[u->count++];
	*at = r->upload;
	memmove(at->key, at->key + prefix, strlen(at->key + prefix) + 1);
	r->upload.begun_ms = 0;
	return true;
}

static bool on_uploads(void *arg, const char *path, const char *text)
{
	static const char root[] = "ListMultipartUploadsResult";
	struct uploads_reader *r = arg;
	if (strncmp(path, root, sizeof root - 1) != 0)
		return false;
	path += sizeof root - 1;
	if (!*path) {
		r->root = true;
		return true;
	}
	if (strcmp(path, "/IsTruncated") == 0) {
		r->out->more = is_true(text);
		return true;
	}
	if (strcmp(path, "/Upload/Key") == 0)
		return see(&r->seen, SEEN_FIRST, text_set(r->upload.key, sizeof r->upload.key, text));
	if (strcmp(path, "/Upload/UploadId") == 0)
		return see(&r->seen, SEEN_SECOND, text_set(r->upload.upload, sizeof r->upload.upload, text));
	if (strcmp(path, "/Upload/Initiated") == 0) {
		r->upload.begun_ms = text ? s3_date_read(text) : 0;
		return see(&r->seen, SEEN_THIRD, true);
	}
	return strcmp(path, "/Upload") != 0 || upload_add(r);
}

bool s3_uploads_read(const char *data, size_t len, struct s3_uploads *out)
{
	struct uploads_reader r = { .out = out };
	out->more = false;
	out->count = 0;
	if (s3_xml_read(data, len, on_uploads, &r) && r.root) {
		out->more = out->more && out->count > 0; /* the last one is where the next page begins */
		return true;
	}
	out->more = false;
	out->count = 0;
	return false;
}

void s3_uploads_release(struct s3_uploads *u)
{
	free(u->items);
	u->items = NULL;
	u->count = 0;
}

/* --- errors --- */

static bool is_code(const struct s3_refusal *r, const char *const *codes)
{
	for (; *codes; codes++) {
		if (strcmp(r->code, *codes) == 0)
			return true;
	}
	return false;
}

/* What may be otherwise the next time, whatever its status is. */
static bool passing(const struct s3_refusal *r)
{
	static const char *const codes[] = { "RequestTimeout",
					     "BadDigest",
					     "XAmzContentSHA256Mismatch",
					     "IncompleteBody",
					     "OperationAborted",
					     "ConditionalRequestConflict",
					     "SlowDown",
					     "InternalError",
					     "ServiceUnavailable",
					     "RequestLimitExceeded",
					     NULL };
	if (r->status == 501)
		return false;
	return r->status >= 500 || r->status < 200 || r->status == 307 || r->status == 408 || r->status == 425 ||
	       r->status == 429 || is_code(r, codes);
}

static bool clock_wrong(const struct s3_refusal *r)
{
	static const char *const codes[] = { "RequestTimeTooSkewed", "RequestExpired", NULL };
	bool apart = r->skew_s > LIMIT_PUSH_SKEW_S || r->skew_s < -LIMIT_PUSH_SKEW_S;
	return is_code(r, codes) || (r->status == 403 && apart);
}

static const char *plainly(const struct s3_refusal *r)
{
	static const struct {
		const char *code, *sentence;
	} rows[] = {
		{ "NoSuchBucket", "There is no such bucket" },
		{ "SignatureDoesNotMatch", "The bucket refused: the secret key is another one" },
		{ "InvalidAccessKeyId", "The bucket refused: it does not know the access key" },
		{ "ExpiredToken", "The bucket refused: the session of the access key is over" },
		{ "AccessDenied", "The bucket refused: the access key may not do this" },
		{ "QuotaExceeded", "The bucket is full" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strcmp(r->code, rows[i].code) == 0)
			return rows[i].sentence;
	}
	return "The bucket refused";
}

static void say(const struct s3_refusal *r, const char *what, char message[S3_SENTENCE])
{
	snprintf(message, S3_SENTENCE, "%s (%d%s%s).", what, r->status, *r->code ? " " : "", r->code);
}

static enum err said(enum err err, const struct s3_refusal *r, const char *what, char message[S3_SENTENCE])
{
	say(r, what, message);
	return err;
}

enum err s3_refusal_judge(const struct s3_refusal *r, enum push_verb verb, char message[S3_SENTENCE])
{
	static const char *const gone[] = { "NoSuchUpload", "InvalidPart", NULL };
	static const char *const elsewhere[] = { "PermanentRedirect", "AuthorizationHeaderMalformed", NULL };
	bool of_upload = verb == PUSH_PART || verb == PUSH_PARTS || verb == PUSH_COMPLETE || verb == PUSH_ABORT;
	if (clock_wrong(r)) {
		/* passes as soon as somebody sets the clock; what was recorded stays until then */
		long long apart = r->skew_s < 0 ? -(long long)r->skew_s : r->skew_s;
		char how[80] = "";
		if (apart > 0)
			snprintf(how, sizeof how, ", by %lld s: this one is %s", apart,
				 r->skew_s < 0 ? "ahead" : "behind");
		snprintf(message, S3_SENTENCE, "The bucket refused: its clock and this machine's differ%s (%d).", how,
			 r->status);
		return ERR_BUCKET_FAILED;
	}
	/* radosgw calls an upload that it doesn't know a key at times */
	bool missing = r->status == 404 && (!*r->code || strcmp(r->code, "NoSuchKey") == 0);
	if (is_code(r, gone) || (missing && of_upload))
		return said(ERR_UPLOAD_GONE, r, "The bucket knows nothing of this upload any more", message);
	if (missing && (*r->code || verb == PUSH_HEAD))
		return said(ERR_NOT_FOUND, r, "There is no such object in the bucket", message);
	if (r->status == 412)
		return said(ERR_EXISTS, r, "The bucket has an object of this name", message);
	if (r->region || r->status == 301 || is_code(r, elsewhere))
		return said(ERR_BUCKET_REFUSED, r, "The bucket is in another region, or at another endpoint", message);
	if (passing(r))
		return said(ERR_BUCKET_FAILED, r, "The bucket failed", message);
	return said(ERR_BUCKET_REFUSED, r, plainly(r), message);
}
