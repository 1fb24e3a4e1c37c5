/* Uploads in the words of the IETF draft (proto/resumable.h): what a request's headers ask for, and what answers and
 * interim responses say. */
#include "net/resumable.h"

#include "proto/message.h"
#include "proto/resumable.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static enum err number_read(const struct request *r, const char *name, uint64_t *out, const char **detail)
{
	const char *text;
	enum err err = files_field(r, name, &text, detail);
	if (err || !text)
		return err;
	err = field_integer(text, out);
	return err == ERR_BAD_FIELD ? ERR_OK : err; /* such a field is to be ignored, as if it were not there */
}

/* What every request with a body has. */
static enum err common_read(struct request *r, const char **detail)
{
	struct resumable *u = r->resumable;
	const char *complete, *interop;
	uint64_t version = 0;
	enum err err = files_field(r, RESUMABLE_IN_COMPLETE, &complete, detail);
	if (!err)
		err = files_field(r, RESUMABLE_IN_INTEROP, &interop, detail);
	if (err)
		return err;
	if (!complete || !field_boolean(complete, &u->last)) {
		*detail = "Upload-Complete must be ?0 or ?1.";
		return ERR_BAD_FIELD;
	}
	u->interim = r->head.minor == 1 && interop && field_integer(interop, &version) == ERR_OK &&
		     version == RESUMABLE_INTEROP;
	return number_read(r, RESUMABLE_IN_LENGTH, &u->length, detail);
}

/* The SHA-256 of the body; `whole`: the representation is this body, and its digest will do. */
static enum err digest_read(struct request *r, bool whole, const char **detail)
{
	struct resumable *u = r->resumable;
	const char *content, *repr;
	bool found = false;
	enum err err = files_field(r, "content-digest", &content, detail);
	if (!err)
		err = files_field(r, "repr-digest", &repr, detail);
	if (err)
		return err;
	*detail = "A digest is one of RFC 9530, its SHA-256 of 32 bytes.";
	if (repr)
		err = field_digest(repr, u->digest_value, &found);
	found = found && whole;
	if (!err && content) {
		bool has;
		uint8_t value[32];
		err = field_digest(content, value, &has);
		if (!err && has)
			memcpy(u->digest_value, value, sizeof value);
		found = found || has;
	}
	if (err)
		return err;
	u->digest = found ? DIGEST_SHA256 : DIGEST_NONE;
	*detail = NULL;
	return ERR_OK;
}

/* With the last byte of this body the length is known: what the head says about it must fit. */
static enum err length_judge(struct request *r, const char **detail)
{
	struct resumable *u = r->resumable;
	if (r->head.chunked)
		return ERR_OK;
	uint64_t end = u->offset + r->head.length;
	if (end > LIMIT_UPLOAD_BYTES)
		return ERR_MESSAGE_TOO_LARGE;
	if (u->length != BYTES_UNKNOWN && (u->last ? end != u->length : end > u->length)) {
		*detail = "Upload-Length does not fit the body and where it begins.";
		return ERR_LENGTH_MISMATCH;
	}
	if (u->last)
		u->length = end;
	return ERR_OK;
}

/* What else the head says about the file. */
static enum err described_read(const struct request *r, struct creation *c, const char **detail)
{
	const char *type = http_field_get(&r->head, "content-type");
	const char *disposition = http_field_get(&r->head, "content-disposition");
	char *name = NULL;
	enum err err = files_metadata_read(r, c, detail);
	if (!err && disposition && !c->name)
		err = field_filename(disposition, LIMIT_NAME_CHARS, &name);
	if (!err && name)
		err = files_name_set(c, name);
	bool form = files_type_is(r, "application/x-www-form-urlencoded"); /* what curl says when it is told nothing */
	if (!err && !c->mime && type && *type && !form && text_valid(type, LIMIT_MIME_CHARS))
		c->upload.mime = type;
	return err;
}

enum err draft_create_read(struct request *r, struct creation *c, const char **detail)
{
	enum err err = common_read(r, detail);
	if (!err)
		err = length_judge(r, detail);
	if (!err)
		err = described_read(r, c, detail);
	return err ? err : digest_read(r, r->resumable->last, detail);
}

/* Before its interop version 6 the draft had no media type for a PATCH, and clients send none. */
static bool type_expected(const struct request *r)
{
	const char *interop = http_field_get(&r->head, RESUMABLE_IN_INTEROP);
	uint64_t version;
	return http_field_get(&r->head, "content-type") || !interop || field_integer(interop, &version) != ERR_OK ||
	       version >= RESUMABLE_TYPED;
}

enum err draft_patch_read(struct request *r, const char **detail)
{
	struct resumable *u = r->resumable;
	if (!files_type_is(r, RESUMABLE_MEDIA_TYPE) && type_expected(r)) {
		*detail = "The body of a PATCH is " RESUMABLE_MEDIA_TYPE ".";
		return ERR_UNSUPPORTED_MEDIA;
	}
	enum err err = common_read(r, detail);
	u->offset = BYTES_UNKNOWN;
	if (!err)
		err = number_read(r, RESUMABLE_IN_OFFSET, &u->offset, detail);
	if (err == ERR_MESSAGE_TOO_LARGE || (!err && u->offset == BYTES_UNKNOWN)) {
		*detail = "Upload-Offset is missing, or further than any upload goes.";
		return ERR_BAD_FIELD;
	}
	if (!err)
		err = length_judge(r, detail);
	return err ? err : digest_read(r, false, detail);
}

/* --- answers --- */

void draft_limit(const struct request *r, const struct engine_upload *upload, struct buf *headers)
{
	uint64_t expires_ms = r->net->config.upload_expires_ms;
	int64_t now_ms = net_now(r->net).wall_ms;
	uint64_t age_s = (expires_ms ? expires_ms : LIMIT_UPLOAD_EXPIRES_MS) / 1000;
	if (upload && upload->expires_ms)
		age_s = upload->expires_ms > now_ms ? (uint64_t)(upload->expires_ms - now_ms) / 1000 : 0;
	buf_addf(headers, RESUMABLE_OUT_LIMIT ": max-size=%" PRIu64 ", min-size=0", (uint64_t)LIMIT_UPLOAD_BYTES);
	if (!upload || !upload->complete)
		buf_addf(headers, ", max-age=%" PRIu64, age_s);
	buf_add_text(headers, "\r\n");
}

void draft_changed(const struct request *r, const struct engine_upload *upload, struct buf *headers)
{
	buf_addf(headers, RESUMABLE_OUT_COMPLETE ": ?%d\r\n" RESUMABLE_OUT_OFFSET ": %" PRIu64 "\r\n", upload->complete,
		 upload->offset);
	draft_limit(r, upload, headers);
}

void draft_looked(const struct request *r, const struct engine_upload *upload, struct buf *headers)
{
	draft_changed(r, upload, headers);
	if (upload->length != BYTES_UNKNOWN)
		buf_addf(headers, RESUMABLE_OUT_LENGTH ": %" PRIu64 "\r\n", upload->length);
}

static json_t *mismatch(const struct resumable *u, const struct engine_upload *upload, struct buf *headers)
{
	buf_addf(headers, RESUMABLE_OUT_OFFSET ": %" PRIu64 "\r\n" RESUMABLE_OUT_COMPLETE ": ?0\r\n", upload->offset);
	return json_pack("{s:s, s:s, s:I, s:I}", "type", RESUMABLE_MISMATCH, "title",
			 "offset from request does not match offset of resource", "expected-offset",
			 (json_int_t)upload->offset, "provided-offset", (json_int_t)u->offset);
}

json_t *draft_problem(const struct request *r, const struct refusal *why, int *status, struct buf *headers)
{
	const struct resumable *u = r->resumable;
	const struct engine_upload *upload = why->upload;
	bool changes = u && (why->err == ERR_POSITION_CONFLICT || why->err == ERR_SEALED);
	if (changes && upload && upload->complete) {
		*status = 400;
		buf_addf(headers, RESUMABLE_OUT_OFFSET ": %" PRIu64 "\r\n" RESUMABLE_OUT_COMPLETE ": ?1\r\n",
			 upload->offset);
		bool brings = r->head.length > 0 || u->came > 0;
		return json_pack("{s:s, s:s}", "type", brings ? RESUMABLE_INCONSISTENT : RESUMABLE_COMPLETED, "title",
				 brings ? RESUMABLE_INCONSISTENT_TITLE : "upload is already completed");
	}
	if (changes && upload)
		return mismatch(u, upload, headers);
	if (why->err == ERR_LENGTH_MISMATCH) {
		*status = 400;
		return json_pack("{s:s, s:s}", "type", RESUMABLE_INCONSISTENT, "title", RESUMABLE_INCONSISTENT_TITLE);
	}
	if (why->err == ERR_CHECKSUM_MISMATCH)
		*status = 400; /* a conflict would tell the client to ask for the offset, which is where it was */
	return NULL;
}

void draft_interim(struct request *r, const struct engine_upload *upload, uint64_t offset)
{
	struct resumable *u = r->resumable;
	uint64_t now_ms = net_now(r->net).mono_ms;
	struct buf text;
	if (!u->interim || peer_unsent(r->peer) || r->peer->doomed)
		return;
	if (!upload && now_ms - u->told_ms < LIMIT_UPLOAD_TOLD_MS && offset - u->told_bytes < LIMIT_UPLOAD_TOLD_BYTES)
		return;
	u->told_ms = now_ms;
	u->told_bytes = offset;
	buf_init(&text);
	buf_addf(&text, "HTTP/1.1 %d %s\r\n" RESUMABLE_OUT_INTEROP ": %d\r\n", RESUMABLE_STATUS,
		 http_phrase(RESUMABLE_STATUS), RESUMABLE_INTEROP);
	if (upload) {
		buf_addf(&text, "Location: /files/%s\r\n", u->id);
		draft_limit(r, upload, &text);
	} else {
		buf_addf(&text, RESUMABLE_OUT_OFFSET ": %" PRIu64 "\r\n", offset);
	}
	buf_add_text(&text, "\r\n");
	if (!text.failed)
		peer_write(r->peer, &(struct iovec){ text.data, text.len }, 1, false);
	buf_release(&text);
}
