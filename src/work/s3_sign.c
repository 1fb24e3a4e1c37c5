/* Requests to S3, signed; see s3_sign.h. */
#include "work/s3_sign.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <time.h>

enum { MAC = 32 };

static const char algorithm[] = "AWS4-HMAC-SHA256";

bool s3_time(int64_t now_s, char out[S3_TIME])
{
	time_t when = (time_t)now_s;
	struct tm tm;
	out[0] = '\0';
	return gmtime_r(&when, &tm) && strftime(out, S3_TIME, "%Y%m%dT%H%M%SZ", &tm) == S3_TIME - 1;
}

void s3_hex(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

bool s3_hash(const void *data, size_t len, char out[S3_HASH])
{
	uint8_t hash[MAC];
	unsigned got = 0;
	bool ok = EVP_Digest(data, len, hash, &got, EVP_sha256(), NULL) == 1 && got == sizeof hash;
	out[0] = '\0';
	if (ok)
		s3_hex(hash, sizeof hash, out);
	return ok;
}

static bool plain(unsigned char c, bool path)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~' || (path && c == '/');
}

void s3_encode(struct buf *out, const char *text, bool path)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (plain(*p, path))
			buf_add(out, p, 1);
		else
			buf_addf(out, "%%%02X", *p);
	}
}

/* Points to the pairs, by name. */
static void sort(const struct s3_pair *pairs, size_t count, const struct s3_pair *sorted[S3_SIGNED])
{
	assert(count <= S3_SIGNED);
	for (size_t i = 0; i < count; i++) {
		size_t at = i;
		for (; at > 0 && strcmp(sorted[at - 1]->name, pairs[i].name) > 0; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &pairs[i];
	}
}

void s3_query(struct buf *out, const struct s3_pair *pairs, size_t count)
{
	const struct s3_pair *sorted[S3_SIGNED];
	sort(pairs, count, sorted);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_add_text(out, "&");
		s3_encode(out, sorted[i]->name, false);
		buf_add_text(out, "=");
		s3_encode(out, sorted[i]->value, false);
	}
}

/* Blanks at the ends go, those in a row become one. */
static void add_value(struct buf *out, const char *value)
{
	static const char blanks[] = " \t";
	value += strspn(value, blanks);
	while (*value) {
		size_t word = strcspn(value, blanks);
		buf_add(out, value, word);
		value += word;
		value += strspn(value, blanks);
		if (*value)
			buf_add_text(out, " ");
	}
}

static void add_names(struct buf *out, const struct s3_pair *const *sorted, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_addf(out, "%s%s", i > 0 ? ";" : "", sorted[i]->name);
}

/* The hash of the canonical request. */
static bool hash_request(const struct s3_request *r, const struct s3_pair *const *sorted, char out[S3_HASH])
{
	struct buf b;
	buf_init(&b);
	buf_addf(&b, "%s\n%s\n%s\n", r->method, r->path, r->query);
	for (size_t i = 0; i < r->header_count; i++) {
		buf_addf(&b, "%s:", sorted[i]->name);
		add_value(&b, sorted[i]->value);
		buf_add_text(&b, "\n");
	}
	buf_add_text(&b, "\n");
	add_names(&b, sorted, r->header_count);
	buf_addf(&b, "\n%s", r->payload);
	bool ok = !b.failed && s3_hash(b.data, b.len, out);
	buf_release(&b);
	return ok;
}

static bool mac(const void *key, size_t key_len, const char *text, uint8_t out[MAC])
{
	unsigned len = 0;
	return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), out, &len) &&
	       len == MAC;
}

/* The key of one day, region and service. */
static bool derive(const struct s3_scope *scope, uint8_t key[MAC])
{
	char first[4 + LIMIT_S3_SECRET_CHARS + 1], day[9];
	memcpy(first, "AWS4", 4);
	memcpy(first + 4, scope->keys->secret, sizeof scope->keys->secret);
	memcpy(day, scope->time, 8);
	day[8] = '\0';
	bool ok = mac(first, strlen(first), day, key) && mac(key, MAC, scope->region, key) &&
		  mac(key, MAC, scope->service, key) && mac(key, MAC, "aws4_request", key);
	explicit_bzero(first, sizeof first);
	return ok;
}

bool s3_sign(const struct s3_request *r, const struct s3_scope *scope, struct buf *out)
{
	const struct s3_pair *sorted[S3_SIGNED];
	char hash[S3_HASH], signature[S3_HASH];
	uint8_t key[MAC], bytes[MAC];
	struct buf b;
	sort(r->headers, r->header_count, sorted);
	if (!hash_request(r, sorted, hash))
		return false;
	buf_init(&b);
	buf_addf(&b, "%s\n%s\n%.8s/%s/%s/aws4_request\n%s", algorithm, scope->time, scope->time, scope->region,
		 scope->service, hash);
	bool ok = !b.failed && derive(scope, key) && mac(key, sizeof key, b.data, bytes);
	explicit_bzero(key, sizeof key);
	buf_release(&b);
	if (!ok)
		return false;
	s3_hex(bytes, sizeof bytes, signature);
	buf_addf(out, "%s Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=", algorithm, scope->keys->access,
		 scope->time, scope->region, scope->service);
	add_names(out, sorted, r->header_count);
	buf_addf(out, ", Signature=%s", signature);
	return !out->failed;
}
