/* The words of the IETF draft "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload) and of Digest Fields
 * (RFC 9530): all names, types and the number of the draft that we speak stand here. Pure.
 *
 * They are structured fields (RFC 9651). Parameters behind a value mean nothing to us and are skipped; what has not the
 * type that is asked for is refused. */
#ifndef HOLDFAST_PROTO_RESUMABLE_H
#define HOLDFAST_PROTO_RESUMABLE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESUMABLE_INTEROP    8
#define RESUMABLE_TYPED	     6	 /* from this version on a PATCH has RESUMABLE_MEDIA_TYPE */
#define RESUMABLE_STATUS     104 /* Upload Resumption Supported */
#define RESUMABLE_MEDIA_TYPE "application/partial-upload"

#define RESUMABLE_PROBLEMS	     "https://iana.org/assignments/http-problem-types#"
#define RESUMABLE_MISMATCH	     RESUMABLE_PROBLEMS "mismatching-upload-offset"
#define RESUMABLE_INCONSISTENT	     RESUMABLE_PROBLEMS "inconsistent-upload-length"
#define RESUMABLE_INCONSISTENT_TITLE "inconsistent length values for upload"
#define RESUMABLE_COMPLETED	     RESUMABLE_PROBLEMS "completed-upload"

/* Header fields, in lower case as a parsed head has them, and as we write them. */
#define RESUMABLE_IN_COMPLETE  "upload-complete"
#define RESUMABLE_IN_OFFSET    "upload-offset"
#define RESUMABLE_IN_LENGTH    "upload-length"
#define RESUMABLE_IN_INTEROP   "upload-draft-interop-version"
#define RESUMABLE_OUT_COMPLETE "Upload-Complete"
#define RESUMABLE_OUT_OFFSET   "Upload-Offset"
#define RESUMABLE_OUT_LENGTH   "Upload-Length"
#define RESUMABLE_OUT_INTEROP  "Upload-Draft-Interop-Version"
#define RESUMABLE_OUT_LIMIT    "Upload-Limit"

/* "?1" or "?0". False: something else. */
bool field_boolean(const char *text, bool *out);
/* An Integer that is not negative. ERR_BAD_FIELD; ERR_MESSAGE_TOO_LARGE: above LIMIT_UPLOAD_BYTES. */
enum err field_integer(const char *text, uint64_t *out);
/* Content-Digest or Repr-Digest: *found, and the SHA-256 that is among them. Other algorithms are skipped.
 * ERR_BAD_FIELD. */
enum err field_digest(const char *text, uint8_t sha256[32], bool *found);
/* The file's name in a Content-Disposition, of at most `max_chars` characters, to be freed; NULL: there is none that
 * could be read. `filename*` goes before `filename`. ERR_NO_MEMORY. */
enum err field_filename(const char *text, size_t max_chars, char **out);

#endif
