/* Secrets and signatures of webhooks, see webhook.h. */
#include "work/webhook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool webhook_secret_parse(const char *text, struct webhook_secret *out)
{
	static const char prefix[] = "whsec_";
	char base64[(LIMIT_SECRET_BYTES + 2) / 3 * 4 + 1];
	uint8_t bytes[(LIMIT_SECRET_BYTES + 2) / 3 * 3];
	static const char blanks[] = " \t\r\n";
	memset(out, 0, sizeof *out);
	text += strspn(text, blanks);
	if (strncmp(text, prefix, sizeof prefix - 1) != 0)
		return false;
	text += sizeof prefix - 1;
	size_t len = strcspn(text, blanks);
	if (text[len + strspn(text + len, blanks)] || len == 0 || len % 4 != 0 || len >= sizeof base64)
		return false;
	memcpy(base64, text, len);
	base64[len] = '\0';
	int got = EVP_DecodeBlock(bytes, (const unsigned char *)base64, (int)len);
	size_t pad = base64[len - 1] != '=' ? 0 : base64[len - 2] != '=' ? 1 : 2;
	bool ok = got > 0 && (size_t)got - pad <= sizeof out->bytes && (size_t)got - pad >= LIMIT_SECRET_MIN_BYTES;
	if (ok) {
		out->len = (size_t)got - pad;
		memcpy(out->bytes, bytes, out->len);
	}
	explicit_bzero(bytes, sizeof bytes);
	explicit_bzero(base64, sizeof base64);
	return ok;
}

bool webhook_sign(const struct webhook_secret *secret, const struct webhook_message *m, char out[WEBHOOK_SIGNATURE])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;
	char *text = NULL;
	int head = asprintf(&text, "%s.%lld.", m->id, (long long)m->timestamp_s);
	if (head < 0)
		return false;
	char *whole = realloc(text, (size_t)head + m->len + 1);
	if (!whole) {
		free(text);
		return false;
	}
	memcpy(whole + head, m->body, m->len);
	bool ok = HMAC(EVP_sha256(), secret->bytes, (int)secret->len, (const unsigned char *)whole,
		       (size_t)head + m->len, mac, &mac_len) != NULL;
	free(whole);
	memcpy(out, "v1,", 3);
	if (ok)
		EVP_EncodeBlock((unsigned char *)out + 3, mac, (int)mac_len);
	return ok;
}
