/* What Standard Webhooks says of a secret and a signature (specification v1). Pure. */
#ifndef HOLDFAST_WORK_WEBHOOK_H
#define HOLDFAST_WORK_WEBHOOK_H

#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct webhook_secret {
	uint8_t bytes[LIMIT_SECRET_BYTES];
	size_t len;
};

/* "whsec_" and base64, blanks around it ignored. */
bool webhook_secret_parse(const char *text, struct webhook_secret *out);

enum { WEBHOOK_SIGNATURE = 64 };

struct webhook_message {
	const char *id;
	int64_t timestamp_s;
	const char *body;
	size_t len;
};

/* "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body". */
bool webhook_sign(const struct webhook_secret *secret, const struct webhook_message *message,
		  char out[WEBHOOK_SIGNATURE]);

#endif
