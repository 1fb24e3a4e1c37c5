/* The headers of tus 1.0.0, see tus.h. */
#include "proto/tus.h"

#include "base/limits.h"
#include "proto/base64.h"
#include "proto/message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum err tus_number_parse(const char *text, uint64_t *out)
{
	uint64_t value = 0;
	bool large = false;
	if (*text == '\0' || strspn(text, "0123456789") != strlen(text))
		return ERR_BAD_FIELD;
	for (; *text && !large; text++) {
		value = value * 10 + (uint64_t)(*text - '0');
		large = value > LIMIT_UPLOAD_BYTES; /* far below what would wrap */
	}
	if (large)
		return ERR_MESSAGE_TOO_LARGE;
	*out = value;
	return ERR_OK;
}

/* --- metadata --- */

struct pair {
	const char *key, *value;
	size_t key_len, value_len;
};

/* Cuts the next pair off *text; false at the end. */
static bool pair_next(const char **text, struct pair *out)
{
	const char *p = *text;
	if (!p)
		return false;
	size_t len = strcspn(p, ",");
	*text = p[len] ? p + len + 1 : NULL;
	while (len > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	const char *space = memchr(p, ' ', len);
	size_t key_len = space ? (size_t)(space - p) : len;
	*out = (struct pair){ p, space ? space + 1 : "", key_len, space ? len - key_len - 1 : 0 };
	return true;
}

static bool key_valid(const struct pair *pair)
{
	for (size_t i = 0; i < pair->key_len; i++)
		if (pair->key[i] <= ' ' ||
		    pair->key[i] >= 0x7f) /* char is signed: bytes above 127 are below the blank */
			return false;
	return pair->key_len > 0;
}

/* Is the key that of a pair before? */
static bool key_known(const char *text, const struct pair *pair)
{
	struct pair before;
	while (pair_next(&text, &before) && before.key != pair->key)
		if (before.key_len == pair->key_len && memcmp(before.key, pair->key, pair->key_len) == 0)
			return true;
	return false;
}

enum err tus_metadata_check(const char *text)
{
	uint8_t value[BASE64_BYTES(LIMIT_UPLOAD_METADATA_BYTES)];
	size_t len;
	unsigned count = 0;
	struct pair pair;
	if (strlen(text) > LIMIT_UPLOAD_METADATA_BYTES)
		return ERR_HEADERS_TOO_LARGE;
	if (*text == '\0')
		return ERR_OK;
	for (const char *rest = text; pair_next(&rest, &pair);)
		if (count++ == LIMIT_UPLOAD_METADATA_KEYS || !key_valid(&pair) || key_known(text, &pair) ||
		    !base64_parse(pair.value, pair.value_len, value, sizeof value, &len))
			return ERR_BAD_FIELD;
	return ERR_OK;
}

enum err tus_metadata_get(const char *text, const char *key, size_t max_chars, char **out)
{
	struct pair pair;
	size_t len = 0;
	*out = NULL;
	while (pair_next(&text, &pair)) {
		if (pair.key_len != strlen(key) || memcmp(pair.key, key, pair.key_len) != 0)
			continue;
		size_t size = BASE64_BYTES(pair.value_len);
		char *value = malloc(size + 1);
		if (!value)
			return ERR_NO_MEMORY;
		bool read = base64_parse(pair.value, pair.value_len, value, size, &len);
		value[read ? len : 0] = '\0';
		if (read && strlen(value) == len && text_valid(value, max_chars)) {
			*out = value;
			return ERR_OK;
		}
		free(value);
		return ERR_OK;
	}
	return ERR_OK;
}

/* --- checksums --- */

enum err tus_checksum_parse(const char *text, struct tus_checksum *out)
{
	static const struct {
		const char *name;
		enum tus_digest algorithm;
		size_t len;
	} known[] = {
		{ "sha1", TUS_DIGEST_SHA1, 20 },
		{ "sha256", TUS_DIGEST_SHA256, 32 },
		{ "crc32c", TUS_DIGEST_CRC32C, 4 },
	};
	size_t name_len = strcspn(text, " ");
	*out = (struct tus_checksum){ 0 };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strlen(known[i].name) != name_len || memcmp(known[i].name, text, name_len) != 0)
			continue;
		const char *value = text + name_len + (text[name_len] == ' ');
		if (!base64_parse(value, strlen(value), out->value, sizeof out->value, &out->len) ||
		    out->len != known[i].len)
			return ERR_BAD_FIELD;
		out->algorithm = known[i].algorithm;
		return ERR_OK;
	}
	return ERR_NOT_SUPPORTED;
}

/* --- concatenation --- */

/* The id that a path or URL of `len` characters ends in; what stands before it may be a proxy's. */
static bool part_id(const char *url, size_t len, struct uuid *out)
{
	char text[UUID_TEXT];
	size_t tail = UUID_TEXT - 1;
	for (size_t i = 0; i < len; i++) /* a comma: another list than the specification's, a part would be left out */
		if (url[i] <= ' ' || url[i] >= 0x7f || url[i] == ',')
			return false;
	len -= len > 0 && url[len - 1] == '/';
	if (len < tail || (len > tail && url[len - tail - 1] != '/'))
		return false;
	memcpy(text, url + len - tail, tail);
	text[tail] = '\0';
	return uuid_parse(text, out);
}

enum err tus_concat_parse(const char *text, enum tus_concat *out, struct buf *ids)
{
	static const char final[] = "final;";
	unsigned count = 0;
	if (strcmp(text, "partial") == 0) {
		*out = TUS_PARTIAL;
		return ERR_OK;
	}
	if (strncmp(text, final, sizeof final - 1) != 0)
		return ERR_BAD_FIELD;
	for (text += sizeof final - 1;; count++) {
		struct uuid id;
		char canonical[UUID_TEXT];
		text += strspn(text, " ");
		if (*text == '\0')
			break;
		size_t len = strcspn(text, " ");
		if (count == LIMIT_UPLOAD_PARTS || !part_id(text, len, &id))
			return ERR_BAD_FIELD;
		uuid_format(&id, canonical);
		buf_addf(ids, "%s%s", count ? " " : "", canonical);
		text += len;
	}
	*out = TUS_FINAL;
	return count == 0 ? ERR_BAD_FIELD : ids->failed ? ERR_NO_MEMORY : ERR_OK;
}
