/* What clients of tus 1.0.0 write into their headers (https://tus.io/protocols/resumable-upload). Pure.
 *
 * Strict: a number is digits, base64 has its padding, a checksum has its algorithm's length. What is refused changes
 * nothing. */
#ifndef HOLDFAST_PROTO_TUS_H
#define HOLDFAST_PROTO_TUS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUS_VERSION   "1.0.0"
#define TUS_CHECKSUMS "sha1,sha256,crc32c"
#define TUS_EXTENSIONS                                                                                                 \
	"creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,concatenation"
#define TUS_MEDIA_TYPE "application/offset+octet-stream"

/* A count of bytes: digits and nothing else. ERR_BAD_FIELD; ERR_MESSAGE_TOO_LARGE: above LIMIT_UPLOAD_BYTES, however
 * many digits there are. */
enum err tus_number_parse(const char *text, uint64_t *out);

/* Is Upload-Metadata well-formed: pairs of a key and, behind one space, a value in base64, with commas between them? A
 * value may be empty or missing, no key comes twice. No pairs at all are legal: some clients always send the header.
 * ERR_BAD_FIELD, also for more than LIMIT_UPLOAD_METADATA_KEYS; ERR_HEADERS_TOO_LARGE: above
 * LIMIT_UPLOAD_METADATA_BYTES. */
enum err tus_metadata_check(const char *text);
/* The value of a key in well-formed metadata, decoded into *out, to be freed; NULL when it is absent, or no text of at
 * most `max_chars` characters. ERR_NO_MEMORY. */
enum err tus_metadata_get(const char *text, const char *key, size_t max_chars, char **out);

enum tus_digest { TUS_DIGEST_NONE, TUS_DIGEST_CRC32C, TUS_DIGEST_SHA1, TUS_DIGEST_SHA256 };

struct tus_checksum {
	enum tus_digest algorithm;
	uint8_t value[32]; /* of CRC32C: its four bytes, the highest first */
	size_t len;
};
/* ERR_NOT_SUPPORTED: an unknown algorithm; ERR_BAD_FIELD: no base64, or too long or too short for it. */
enum err tus_checksum_parse(const char *text, struct tus_checksum *out);

enum tus_concat { TUS_WHOLE, TUS_PARTIAL, TUS_FINAL };

/* Upload-Concat. Of a final one the ids of its parts go to `ids`, canonical and with a space between two. A part is a
 * path that ends in "/files/" and its id, or a URL with such a path. ERR_BAD_FIELD: something else, no part, or more
 * than LIMIT_UPLOAD_PARTS; ERR_NO_MEMORY. */
enum err tus_concat_parse(const char *text, enum tus_concat *out, struct buf *ids);

#endif
