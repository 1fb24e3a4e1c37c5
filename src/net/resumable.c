/* Uploads over HTTP: /files, /files/ and /files/{id}, in tus 1.0.0 and in the IETF draft on the same resources.
 *
 * A request that has Upload-Complete, the draft's version or its media type, and no Tus-Resumable, is the draft's; all
 * others are tus. What is promised, a place, an offset, is durable in the engine before it is told. */
#include "net/resumable.h"

#include "proto/problem.h"
#include "proto/resumable.h"
#include "proto/tus.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char files_exposed[] =
	", Location, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, "
	"Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Concat, Upload-Expires, Upload-Complete, "
	"Upload-Limit, Upload-Draft-Interop-Version, Accept-Patch";

/* --- heads --- */

enum err files_field(const struct request *r, const char *name, const char **out, const char **detail)
{
	*out = http_field_get(&r->head, name);
	if (http_field_count(&r->head, name) < 2)
		return ERR_OK;
	*detail = "A header of this upload stands there twice.";
	return ERR_BAD_FIELD;
}

static bool type_is(const struct http_request *head, const char *type)
{
	const char *text = http_field_get(head, "content-type");
	size_t len = strlen(type);
	if (!text || strncasecmp(text, type, len) != 0)
		return false;
	text += len + strspn(text + len, " \t");
	return *text == '\0' || *text == ';';
}

bool files_type_is(const struct request *r, const char *type)
{
	return type_is(&r->head, type);
}

enum dialect files_dialect(const struct http_request *head)
{
	if (http_field_get(head, "tus-resumable"))
		return DIALECT_TUS;
	bool draft = http_field_get(head, RESUMABLE_IN_COMPLETE) || http_field_get(head, RESUMABLE_IN_INTEROP) ||
		     type_is(head, RESUMABLE_MEDIA_TYPE);
	return draft ? DIALECT_DRAFT : DIALECT_TUS;
}

/* Letters and digits behind the last dot. */
static char *extension_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t len = dot ? strlen(dot + 1) : 0;
	if (len == 0 || len > LIMIT_EXT_CHARS ||
	    strspn(dot + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != len)
		return NULL;
	return strdup(dot + 1);
}

enum err files_name_set(struct creation *c, char *name)
{
	c->upload.name = c->name = name;
	c->upload.ext = c->ext = extension_of(name);
	return ERR_OK;
}

enum err files_metadata_read(const struct request *r, struct creation *c, const char **detail)
{
	static const char *const names[] = { "filename", "name" }, *const types[] = { "filetype", "type" };
	const char *text;
	struct uuid id;
	char *name = NULL;
	enum err err = files_field(r, "upload-metadata", &text, detail);
	if (err || !text || !*text)
		return err;
	*detail = "Upload-Metadata is a list of keys and values in base64, \"key dmFsdWU=,other b3RoZXI=\".";
	err = tus_metadata_check(text);
	if (err) {
		*detail = err == ERR_HEADERS_TOO_LARGE ? NULL : *detail;
		return err;
	}
	c->upload.metadata = text;
	for (int i = 0; i < 2 && !err && !name; i++)
		err = tus_metadata_get(text, names[i], LIMIT_NAME_CHARS, &name);
	if (!err && name)
		err = files_name_set(c, name);
	for (int i = 0; i < 2 && !err && !c->mime; i++)
		err = tus_metadata_get(text, types[i], LIMIT_MIME_CHARS, &c->mime);
	if (!err)
		err = tus_metadata_get(text, "recording", UUID_TEXT, &c->item);
	*detail = NULL;
	c->upload.mime = c->mime && *c->mime ? c->mime : NULL;
	c->upload.item = c->item;
	if (!err && c->item && !uuid_parse(c->item, &id)) {
		*detail = "`recording` in Upload-Metadata is the id of a batch's item.";
		return ERR_BAD_FIELD;
	}
	return err;
}

static void creation_release(struct creation *c)
{
	free(c->name);
	free(c->mime);
	free(c->ext);
	free(c->item);
	buf_release(&c->parts);
}

/* --- answers --- */

void files_refuse(struct request *r, const struct refusal *why)
{
	struct buf headers, body;
	int status = r->dialect == DIALECT_TUS ? tus_status(r, why) : err_status(why->err);
	json_t *extra = NULL;
	buf_init(&headers);
	buf_init(&body);
	buf_add_text(&headers, "Cache-Control: no-store\r\n");
	if (why->err == ERR_RATE_LIMITED && why->upload)
		buf_addf(&headers, "Retry-After: %" PRIu64 "\r\n", (why->upload->retry_ms + 999) / 1000);
	else
		buf_add_text(&headers, retry_after(why->err));
	if (why->err == ERR_VERSION_UNSUPPORTED)
		buf_add_text(&headers, "Tus-Version: " TUS_VERSION "\r\n");
	if (r->resumable && r->resumable->creates && *r->resumable->id) /* it was made: its client may go on there */
		buf_addf(&headers, "Location: /files/%s\r\n", r->resumable->id);
	if (r->dialect == DIALECT_DRAFT)
		extra = draft_problem(r, why, &status, &headers);
	if (status != err_status(why->err)) {
		extra = extra ? extra : json_pack("{s:s}", "title", http_phrase(status));
		json_object_set_new(extra, "status", json_integer(status));
	}
	problem_format(&body, why->err, why->detail, extra);
	json_decref(extra);
	if (headers.failed || body.failed) {
		peer_doom(r->peer);
		request_end(r);
	} else {
		request_answer(r, &(struct answer){ .status = status,
						    .type = "application/problem+json",
						    .headers = headers.data,
						    .body = body.data,
						    .len = body.len });
	}
	buf_release(&headers);
	buf_release(&body);
}

static void answer(struct request *r, int status, struct buf *headers)
{
	buf_add_text(headers, "Cache-Control: no-store\r\n");
	if (headers->failed)
		files_refuse(r, &(struct refusal){ .err = ERR_NO_MEMORY });
	else
		request_answer(r, &(struct answer){ .status = status, .headers = headers->data });
	buf_release(headers);
}

void files_changed(struct request *r, const struct engine_upload *upload)
{
	const struct resumable *u = r->resumable;
	struct buf headers;
	buf_init(&headers);
	if (u->creates)
		buf_addf(&headers, "Location: /files/%s\r\n", u->id);
	if (r->dialect == DIALECT_DRAFT)
		draft_changed(r, upload, &headers);
	else
		tus_changed(r, upload, &headers);
	answer(r, u->creates ? 201 : 204, &headers);
}

/* --- life --- */

static bool resumable_make(struct request *r)
{
	struct resumable *u = calloc(1, sizeof *u);
	if (!u) {
		files_refuse(r, &(struct refusal){ .err = ERR_NO_MEMORY });
		return false;
	}
	u->request = r;
	u->length = BYTES_UNKNOWN;
	r->resumable = u;
	return true;
}

void resumable_free(struct request *r)
{
	free(r->resumable);
	r->resumable = NULL;
}

/* Before anything is done: the version of those who speak tus, and a server that is open. False: it was answered. */
static bool may_begin(struct request *r, bool version_needed)
{
	const char *version = http_field_get(&r->head, "tus-resumable");
	bool wrong = version ? strcmp(version, TUS_VERSION) != 0 || http_field_count(&r->head, "tus-resumable") > 1
			     : version_needed;
	enum err err = ERR_OK;
	if (r->dialect == DIALECT_TUS && wrong)
		err = ERR_VERSION_UNSUPPORTED;
	else if (r->net->stop != NET_RUNNING || !r->net->listening)
		err = ERR_SHUTTING_DOWN;
	if (err)
		files_refuse(r, &(struct refusal){ .err = err });
	return err == ERR_OK;
}

/* The id of /files/{id}; false: it was answered. */
static bool id_read(struct request *r, char out[UUID_TEXT])
{
	struct uuid id;
	if (!uuid_parse(r->id, &id)) {
		files_refuse(r, &(struct refusal){ .err = ERR_NOT_FOUND });
		return false;
	}
	uuid_format(&id, out);
	return true;
}

/* The peer may be gone by the time of an answer. */
static bool answered(struct request *r)
{
	r->pending = false;
	if (r->peer)
		return true;
	request_settle(r);
	return false;
}

/* --- the routes --- */

void files_options(struct request *r)
{
	struct buf headers;
	buf_init(&headers);
	bool one = r->id != NULL;
	const char *methods = one ? "OPTIONS, GET, HEAD, PATCH, DELETE" : "OPTIONS, POST, PUT";
	buf_addf(&headers,
		 "Allow: %s\r\nAccept-Patch: " TUS_MEDIA_TYPE ", " RESUMABLE_MEDIA_TYPE "\r\nTus-Version: " TUS_VERSION
		 "\r\nTus-Extension: " TUS_EXTENSIONS "\r\nTus-Max-Size: %" PRIu64
		 "\r\nTus-Checksum-Algorithm: " TUS_CHECKSUMS "\r\n",
		 methods, (uint64_t)LIMIT_UPLOAD_BYTES);
	draft_limit(r, NULL, &headers);
	if (r->origin && http_field_get(&r->head, "access-control-request-method"))
		buf_add_text(&headers,
			     "Access-Control-Allow-Methods: OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE\r\n"
			     "Access-Control-Allow-Headers: Authorization, Content-Type, Content-Disposition, "
			     "Content-Digest, Repr-Digest, If-None-Match, If-Range, Range, Tus-Resumable, "
			     "Upload-Length, Upload-Defer-Length, Upload-Offset, Upload-Metadata, Upload-Concat, "
			     "Upload-Checksum, Upload-Complete, Upload-Draft-Interop-Version, "
			     "X-HTTP-Method-Override, X-Request-ID, X-Requested-With\r\n"
			     "Access-Control-Max-Age: 600\r\n");
	answer(r, 204, &headers);
}

static void created(void *arg, enum err err, const struct engine_upload *upload)
{
	struct request *r = arg;
	struct resumable *u = r->resumable;
	if (!answered(r))
		return;
	if (err) {
		files_refuse(r, &(struct refusal){ .err = err, .upload = upload });
		return;
	}
	uuid_format(&upload->id, u->id);
	bool draft = r->dialect == DIALECT_DRAFT;
	if (draft)
		draft_interim(r, upload, upload->offset);
	bool whole = u->last || u->length == 0;
	if (upload->offset > 0 || upload->complete || (!files_has_body(r) && !whole))
		files_changed(r, upload); /* also of an item whose upload has begun: its client goes on from there */
	else
		resumable_append(r);
}

void files_create(struct request *r)
{
	struct creation c = { .upload = { .grant = &r->grant } };
	const char *detail = NULL;
	if (!may_begin(r, true) || !resumable_make(r))
		return;
	buf_init(&c.parts);
	r->resumable->creates = true;
	enum err err =
		r->dialect == DIALECT_DRAFT ? draft_create_read(r, &c, &detail) : tus_create_read(r, &c, &detail);
	c.upload.length = r->resumable->length;
	if (err) {
		files_refuse(r, &(struct refusal){ .err = err, .detail = detail });
	} else {
		r->pending = true;
		engine_upload_create(r->net->engine, &c.upload, created, r);
	}
	creation_release(&c);
}

void files_patch(struct request *r)
{
	const char *detail = NULL;
	if (!may_begin(r, true) || !resumable_make(r) || !id_read(r, r->resumable->id))
		return;
	enum err err = r->dialect == DIALECT_DRAFT ? draft_patch_read(r, &detail) : tus_patch_read(r, &detail);
	if (err)
		files_refuse(r, &(struct refusal){ .err = err, .detail = detail });
	else
		resumable_append(r);
}

static void looked(void *arg, enum err err, const struct engine_upload *upload)
{
	struct request *r = arg;
	struct buf headers;
	if (!answered(r))
		return;
	if (err) {
		files_refuse(r, &(struct refusal){ .err = err });
		return;
	}
	buf_init(&headers);
	if (r->dialect == DIALECT_DRAFT)
		draft_looked(r, upload, &headers);
	else
		tus_looked(upload, &headers);
	answer(r, r->dialect == DIALECT_DRAFT ? 204 : 200, &headers);
}

void files_get(struct request *r)
{
	char id[UUID_TEXT];
	bool head = strcmp(r->method, "HEAD") == 0;
	if (!may_begin(r, head) || !id_read(r, id))
		return;
	if (!head) {
		download_start(r, RESOURCE_ORIGINAL);
		return;
	}
	r->pending = true;
	engine_upload_look(r->net->engine, (struct engine_ref){ id, &r->grant }, looked, r);
}

static void files_gone(struct request *r)
{
	struct buf headers;
	buf_init(&headers);
	answer(r, 204, &headers);
}

static void deleted(void *arg, enum err err, const char *json, size_t len)
{
	struct request *r = arg;
	(void)json;
	(void)len;
	if (!answered(r))
		return;
	if (err)
		files_refuse(r, &(struct refusal){ .err = err });
	else
		files_gone(r);
}

/* It is an upload, and whoever sent to it is ended. */
static void delete_looked(void *arg, enum err err, const struct engine_upload *upload)
{
	struct request *r = arg;
	char id[UUID_TEXT];
	if (!answered(r))
		return;
	if (err == ERR_DELETED && upload && upload->kind == UPLOAD_PARTIAL) {
		files_gone(r); /* its final one took it: a client that ends all it made is content */
		return;
	}
	if (err) {
		files_refuse(r, &(struct refusal){ .err = err });
		return;
	}
	uuid_format(&upload->id, id);
	r->pending = true;
	engine_delete(r->net->engine, (struct engine_ref){ id, &r->grant }, deleted, r);
}

void files_delete(struct request *r)
{
	char id[UUID_TEXT];
	if (!may_begin(r, true) || !id_read(r, id))
		return;
	r->pending = true;
	engine_upload_look(r->net->engine, (struct engine_ref){ id, &r->grant }, delete_looked, r);
}
