/* Uploads in tus 1.0.0: what a request's headers ask for, and what an answer's say. */
#include "net/resumable.h"

#include "proto/tus.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static enum err number_read(const struct request *r, const char *name, uint64_t *out, const char **detail)
{
	const char *text;
	enum err err = files_field(r, name, &text, detail);
	if (err || !text)
		return err;
	err = tus_number_parse(text, out);
	if (err == ERR_BAD_FIELD)
		*detail = "Upload-Length and Upload-Offset are whole numbers of digits only.";
	return err;
}

/* Upload-Length, or that it is said later. */
static enum err length_read(struct request *r, enum tus_concat concat, const char **detail)
{
	struct resumable *u = r->resumable;
	const char *defer;
	enum err err = number_read(r, "upload-length", &u->length, detail);
	if (err == ERR_OK)
		err = files_field(r, "upload-defer-length", &defer, detail);
	if (err)
		return err;
	bool known = u->length != BYTES_UNKNOWN;
	*detail = "There must be one of Upload-Length and Upload-Defer-Length: 1, and of a final upload none.";
	if (concat == TUS_FINAL)
		return known || defer ? ERR_BAD_FIELD : ERR_OK;
	if ((defer != NULL) == known || (defer && strcmp(defer, "1") != 0))
		return ERR_BAD_FIELD;
	return ERR_OK;
}

static enum err checksum_read(struct request *r, const char **detail)
{
	static const enum engine_digest digests[] = {
		[TUS_DIGEST_NONE] = DIGEST_NONE,
		[TUS_DIGEST_CRC32C] = DIGEST_CRC32C,
		[TUS_DIGEST_SHA1] = DIGEST_SHA1,
		[TUS_DIGEST_SHA256] = DIGEST_SHA256,
	};
	struct resumable *u = r->resumable;
	struct tus_checksum sum;
	const char *text;
	enum err err = files_field(r, "upload-checksum", &text, detail);
	if (err || !text)
		return err;
	*detail = "Upload-Checksum is one of " TUS_CHECKSUMS " and its value in base64.";
	if (tus_checksum_parse(text, &sum) != ERR_OK)
		return ERR_BAD_FIELD;
	u->digest = digests[sum.algorithm];
	memcpy(u->digest_value, sum.value, sizeof u->digest_value);
	return ERR_OK;
}

static enum err concat_read(const struct request *r, struct creation *c, enum tus_concat *out, const char **detail)
{
	const char *text;
	enum err err = files_field(r, "upload-concat", &text, detail);
	*out = TUS_WHOLE;
	if (err || !text)
		return err;
	*detail = "Upload-Concat is \"partial\", or \"final;\" and the URLs of partial uploads of this server.";
	err = tus_concat_parse(text, out, &c->parts);
	if (err)
		return err;
	c->upload.partial = *out == TUS_PARTIAL;
	if (*out == TUS_FINAL) {
		c->upload.parts = c->parts.data;
		c->upload.concat = text;
	}
	return ERR_OK;
}

enum err tus_create_read(struct request *r, struct creation *c, const char **detail)
{
	struct resumable *u = r->resumable;
	enum tus_concat concat;
	enum err err = concat_read(r, c, &concat, detail);
	if (!err)
		err = length_read(r, concat, detail);
	if (!err)
		err = files_metadata_read(r, c, detail);
	if (!err)
		err = checksum_read(r, detail);
	if (err)
		return err;
	*detail = NULL;
	if (!files_has_body(r))
		return ERR_OK;
	if (!files_type_is(r, TUS_MEDIA_TYPE)) {
		*detail = "A body that comes with the creation is " TUS_MEDIA_TYPE ".";
		return ERR_UNSUPPORTED_MEDIA;
	}
	if (concat == TUS_FINAL) {
		*detail = "A final upload has no body of its own.";
		return ERR_FORBIDDEN_SCOPE;
	}
	return u->length != BYTES_UNKNOWN && r->head.length > u->length ? ERR_MESSAGE_TOO_LARGE : ERR_OK;
}

enum err tus_patch_read(struct request *r, const char **detail)
{
	struct resumable *u = r->resumable;
	if (!files_type_is(r, TUS_MEDIA_TYPE)) {
		*detail = "The body of a PATCH is " TUS_MEDIA_TYPE ".";
		return ERR_UNSUPPORTED_MEDIA;
	}
	u->offset = BYTES_UNKNOWN;
	enum err err = number_read(r, "upload-offset", &u->offset, detail);
	if (!err && u->offset == BYTES_UNKNOWN) {
		*detail = "Upload-Offset is missing.";
		return ERR_BAD_FIELD;
	}
	if (err == ERR_MESSAGE_TOO_LARGE) {
		*detail = "No upload is as long as this Upload-Offset.";
		return ERR_BAD_FIELD;
	}
	if (!err)
		err = number_read(r, "upload-length", &u->length, detail);
	if (!err)
		err = checksum_read(r, detail);
	if (!err)
		*detail = NULL;
	return err;
}

/* --- answers --- */

static void expires_add(const struct engine_upload *upload, struct buf *headers)
{
	char text[40];
	struct tm parts;
	time_t at = upload->expires_ms / 1000;
	if (upload->expires_ms == 0 || upload->complete)
		return;
	gmtime_r(&at, &parts);
	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
	buf_addf(headers, "Upload-Expires: %s\r\n", text);
}

void tus_changed(const struct request *r, const struct engine_upload *upload, struct buf *headers)
{
	if (!r->resumable->creates || upload->kind != UPLOAD_FINAL)
		buf_addf(headers, "Upload-Offset: %" PRIu64 "\r\n", upload->offset);
	expires_add(upload, headers);
}

/* With our own addresses: of one whose list nobody kept. */
static void concat_add(const char *ids, struct buf *headers)
{
	buf_add_text(headers, "Upload-Concat: final;");
	for (const char *separator = ""; *ids; separator = " ") {
		size_t len = strcspn(ids, " ");
		buf_addf(headers, "%s/files/%.*s", separator, (int)len, ids);
		ids += len + (ids[len] == ' ');
	}
	buf_add_text(headers, "\r\n");
}

void tus_looked(const struct engine_upload *upload, struct buf *headers)
{
	bool final = upload->kind == UPLOAD_FINAL;
	if (!final || upload->complete) /* of one that is being put together there is no offset */
		buf_addf(headers, "Upload-Offset: %" PRIu64 "\r\n", upload->offset);
	if (upload->length != BYTES_UNKNOWN)
		buf_addf(headers, "Upload-Length: %" PRIu64 "\r\n", upload->length);
	else if (!final)
		buf_add_text(headers, "Upload-Defer-Length: 1\r\n");
	if (upload->metadata)
		buf_addf(headers, "Upload-Metadata: %s\r\n", upload->metadata);
	if (upload->kind == UPLOAD_PARTIAL)
		buf_add_text(headers, "Upload-Concat: partial\r\n");
	if (final && upload->concat)
		buf_addf(headers, "Upload-Concat: %s\r\n", upload->concat);
	else if (final && upload->parts)
		concat_add(upload->parts, headers);
	expires_add(upload, headers);
}

/* Would the body have gone beyond the upload's length? */
static bool overflows(const struct request *r, const struct engine_upload *upload)
{
	const struct resumable *u = r->resumable;
	uint64_t body = r->head.chunked ? u->came : r->head.length;
	bool known = upload && upload->length != BYTES_UNKNOWN;
	uint64_t length = known ? upload->length : u->length;
	if (!known && length < u->offset) /* it is the length that can't be */
		return false;
	return length != BYTES_UNKNOWN && (u->offset > length || body > length - u->offset);
}

int tus_status(const struct request *r, const struct refusal *why)
{
	if (why->err == ERR_CHECKSUM_MISMATCH)
		return 460;
	if (why->err == ERR_LENGTH_MISMATCH && r->resumable && why->upload && overflows(r, why->upload))
		return 413;
	return err_status(why->err);
}
