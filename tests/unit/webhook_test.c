/* Secrets and signatures of webhooks: against figures made by another program (openssl), and what is no secret. */
#include "work/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* printf '%s' 'evt_7.1700000000.{"type":"recording.completed"}' |
 *   openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…17 -binary | base64 */
static void signatures_are_those_of_the_standard(void **state)
{
	struct webhook_secret secret;
	char out[WEBHOOK_SIGNATURE];
	static const char body[] = "{\"type\":\"recording.completed\"}";
	struct webhook_message m = { "evt_7", 1700000000, body, sizeof body - 1 };
	assert_true(webhook_secret_parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\n", &secret));
	assert_int_equal(secret.len, 24);
	assert_int_equal(secret.bytes[23], 23);
	assert_true(webhook_sign(&secret, &m, out));
	assert_string_equal(out, "v1,0xDAdYafSFflMzlgqGG0fnSoBGx8A26Qso9RTi66Nxo=");
	m.timestamp_s++;
	assert_true(webhook_sign(&secret, &m, out));
	assert_string_not_equal(out, "v1,0xDAdYafSFflMzlgqGG0fnSoBGx8A26Qso9RTi66Nxo=");
}

static void secrets_are_read_strictly(void **state)
{
	static const char *const wrong[] = {
		"",
		"whsec_",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
		"whsec_AAECAwQFBgcICQoLDA0O",		 /* 15 bytes */
		"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY", /* no whole base64 */
		"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUF*YX",
		"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX AAAA",
		"WHSEC_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
	};
	struct webhook_secret secret;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (webhook_secret_parse(wrong[i], &secret))
			fail_msg("'%s' was taken", wrong[i]);
	}
	char longer[400] = "whsec_";
	memset(longer + 6, 'A', 172);
	assert_false(webhook_secret_parse(longer, &secret)); /* 129 bytes */
	longer[6 + 171] = '=';
	assert_true(webhook_secret_parse(longer, &secret));
	assert_int_equal(secret.len, 128);
	assert_true(webhook_secret_parse(" whsec_AAECAwQFBgcICQoLDA0ODw== ", &secret));
	assert_int_equal(secret.len, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures_are_those_of_the_standard),
		cmocka_unit_test(secrets_are_read_strictly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
