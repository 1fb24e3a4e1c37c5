/* What the files of uploads over HTTP share. A request for /files/ is understood by its dialect's file
 * (resumable_tus.c, resumable_draft.c), performed by resumable.c, its body taken by resumable_body.c, and answered in
 * its dialect. */
#ifndef HOLDFAST_NET_RESUMABLE_H
#define HOLDFAST_NET_RESUMABLE_H

#include "net/private.h"

/* A request that changes an upload. */
struct resumable {
	struct request *request;
	char id[UUID_TEXT];
	bool creates;		 /* the answer says where it is */
	bool interim;		 /* the client understands 104 */
	bool last;		 /* the draft's Upload-Complete: with this body it is whole */
	uint64_t offset, length; /* BYTES_UNKNOWN: it does not say */
	enum engine_digest digest;
	uint8_t digest_value[32];
	uint64_t append; /* the engine's, while `appending` */
	bool appending;
	struct chunked chunked;
	uint64_t came;		      /* of the body */
	uint64_t told_ms, told_bytes; /* the last 104 */
};

/* What a new upload is to be; what `upload` points to is owned here. */
struct creation {
	struct engine_upload_new upload;
	char *name, *mime, *ext, *item;
	struct buf parts;
};

struct refusal {
	enum err err;
	const char *detail;		    /* NULL: the table's sentence */
	const struct engine_upload *upload; /* how it stands, where that is known */
};

/* Understand the head; *detail may stay NULL. `c` is filled and `r->resumable` too. */
enum err tus_create_read(struct request *r, struct creation *c, const char **detail);
enum err tus_patch_read(struct request *r, const char **detail);
enum err draft_create_read(struct request *r, struct creation *c, const char **detail);
enum err draft_patch_read(struct request *r, const char **detail);

/* The dialect's own headers: of the answer to POST, PATCH (upload as it is now), and of HEAD. */
void tus_changed(const struct request *r, const struct engine_upload *upload, struct buf *headers);
void tus_looked(const struct engine_upload *upload, struct buf *headers);
void draft_changed(const struct request *r, const struct engine_upload *upload, struct buf *headers);
void draft_looked(const struct request *r, const struct engine_upload *upload, struct buf *headers);
/* The dialect's status of an error. */
int tus_status(const struct request *r, const struct refusal *why);
/* … and what a problem document says besides, with its headers; *status is changed where the draft has its own. */
json_t *draft_problem(const struct request *r, const struct refusal *why, int *status, struct buf *headers);
/* Upload-Limit; `upload` NULL: of any. */
void draft_limit(const struct request *r, const struct engine_upload *upload, struct buf *headers);
/* An interim response: with the upload's place if `upload` is not NULL, else with an offset that is durable. */
void draft_interim(struct request *r, const struct engine_upload *upload, uint64_t offset);

/* The only field of this name into *out, NULL when there is none. ERR_BAD_FIELD: there are several. */
enum err files_field(const struct request *r, const char *name, const char **out, const char **detail);
/* Is the Content-Type this one, whatever its parameters? */
bool files_type_is(const struct request *r, const char *type);
/* Name, type and item of Upload-Metadata, and the rest of it. */
enum err files_metadata_read(const struct request *r, struct creation *c, const char **detail);
/* The name and its extension, taken over. ERR_NO_MEMORY. */
enum err files_name_set(struct creation *c, char *name);
static inline bool files_has_body(const struct request *r)
{
	return r->body_left > 0 || r->chunks;
}

/* Answers; the request is over with them. */
void files_changed(struct request *r, const struct engine_upload *upload);
void files_refuse(struct request *r, const struct refusal *why);

/* The body to the upload `id` from `offset` on. */
void resumable_append(struct request *r);

#endif
