/* The token codec: what goes in comes out, and no other text is a token: not by one bit, byte, key or field. */
#include "proto/token.h"

#include "base/scope.h"
#include "proto/base64url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MUTATIONS = 100000 };

static const struct token_key keys[3] = { { "key-one", { 1, 2, 3 } }, { "key-two", { 4, 5 } }, { "three", { 6 } } };

static struct token full(void)
{
	struct token t = { .id = "AbCdEfGhIjKlMnOpQrStUv",
			   .subject = "Ünsal \"the phone\" \\ 7",
			   .scopes = SCOPE_RECORD | SCOPE_PLAY,
			   .has_recording = true,
			   .max_bytes = 5000000000,
			   .expires_s = 1800000000 };
	memset(t.recording.bytes, 0x5a, sizeof t.recording.bytes);
	return t;
}

static void assert_same(const struct token *a, const struct token *b)
{
	assert_string_equal(a->id, b->id);
	assert_string_equal(a->subject, b->subject);
	assert_int_equal(a->scopes, b->scopes);
	assert_int_equal(a->has_recording, b->has_recording);
	assert_memory_equal(a->recording.bytes, b->recording.bytes, 16);
	assert_true(a->max_bytes == b->max_bytes);
	assert_true(a->expires_s == b->expires_s);
}

static void there_and_back(void **state)
{
	char text[TOKEN_TEXT];
	struct token t = full(), back;
	assert_int_equal(token_format(&t, &keys[1], text), ERR_OK);
	assert_int_equal(token_parse(text, keys, 2, &back), ERR_OK);
	assert_same(&t, &back);
	assert_string_equal(back.key, "key-two");
	t.has_recording = false;
	memset(&t.recording, 0, sizeof t.recording);
	t.max_bytes = UINT64_MAX;
	t.scopes = SCOPE_ALL;
	memset(t.subject, '"', LIMIT_PRINCIPAL_CHARS); /* the longest text that there is */
	t.subject[LIMIT_PRINCIPAL_CHARS] = '\0';
	assert_int_equal(token_format(&t, &keys[0], text), ERR_OK);
	assert_true(strlen(text) <= LIMIT_TOKEN_CHARS);
	assert_int_equal(token_parse(text, keys, 2, &back), ERR_OK);
	assert_same(&t, &back);
}

static void only_with_its_key(void **state)
{
	char text[TOKEN_TEXT];
	struct token t = full(), back;
	struct token_key other = keys[0];
	assert_int_equal(token_format(&t, &keys[0], text), ERR_OK);
	assert_int_equal(token_parse(text, keys, 1, &back), ERR_OK);
	assert_int_equal(token_parse(text, keys + 1, 2, &back), ERR_UNAUTHORIZED);
	assert_int_equal(token_parse(text, keys, 0, &back), ERR_UNAUTHORIZED);
	other.secret[31] ^= 1;
	assert_int_equal(token_parse(text, &other, 1, &back), ERR_UNAUTHORIZED);
	other = keys[0];
	other.id[0] = 'K'; /* the right secret under another name */
	assert_int_equal(token_parse(text, &other, 1, &back), ERR_UNAUTHORIZED);
}

static void what_is_no_token(void **state)
{
	struct token t;
	char *text;
	static const char *const texts[] = { "", "hf1.", "hf1..", "hf1.e30.", "hf2.e30.AAAA", "Bearer x", "." };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(token_parse(texts[i], keys, 2, &t), ERR_UNAUTHORIZED);
	for (size_t len = 0; len < LIMIT_TOKEN_CHARS * 3; len += 7) {
		text = malloc(len + 1);
		memset(text, 'A', len);
		text[len] = '\0';
		if (len > 4)
			memcpy(text, "hf1.", 4);
		if (len > 60)
			text[len - 44] = '.';
		assert_int_equal(token_parse(text, keys, 2, &t), ERR_UNAUTHORIZED);
		free(text);
	}
}

static void what_is_no_wish(void **state)
{
	char text[TOKEN_TEXT];
	struct token t;
#define REFUSED(change)                                                                                                \
	do {                                                                                                           \
		t = full();                                                                                            \
		change;                                                                                                \
		assert_int_equal(token_format(&t, &keys[0], text), ERR_BAD_FIELD);                                     \
	} while (0)
	REFUSED(t.scopes = 0);
	REFUSED(t.scopes = 32);
	REFUSED(t.subject[0] = '\0');
	REFUSED(t.subject[0] = '\n');
	REFUSED(t.id[0] = '\0');
	REFUSED(t.id[3] = '=');
	REFUSED(t.max_bytes = 0);
	REFUSED(t.max_bytes = LIMIT_NUMBER);
	REFUSED(t.expires_s = 0);
	REFUSED(t.expires_s = -1);
	REFUSED(t.expires_s = INT64_MAX);
}

#define K "\"k\":\"a\""
#define I "\"i\":\"b\""
#define U "\"u\":\"c\""
#define S "\"s\":[\"record\"]"
#define E "\"e\":1"
#define R "\"r\":\"01997f3e-8a4d-7c11-9d7e-0d3f4e5a6b7c\""

static void payloads(void **state)
{
	struct token t;
	static const char *const good[] = {
		"{" K "," I "," U "," S "," E "}",
		"{" E "," S "," U "," I "," K "}",
		"{" K "," I "," U "," S "," E "," R ",\"b\":1}",
		"{" K "," I "," U ",\"s\":[\"admin\",\"play\"]," E "}",
	};
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{" K "," I "," U "," S "}",
		"{" I "," U "," S "," E "}",
		"{" K "," U "," S "," E "}",
		"{" K "," I "," S "," E "}",
		"{" K "," I "," U "," E "}",
		"{" K "," I "," U "," S "," E ",\"x\":1}",
		"{" K "," I "," U "," S "," E "," E "}",
		"{" K "," I "," U "," S "," E ",\"e\":2}",
		"{" K "," I "," U "," S "," E "}x",
		"{" K "," I "," U "," S ",\"e\":\"1\"}",
		"{" K "," I "," U "," S ",\"e\":-1}",
		"{" K "," I "," U "," S ",\"e\":1.5}",
		"{" K "," I "," U "," S ",\"e\":0}",
		"{" K "," I "," U "," S ",\"e\":null}",
		"{" K "," I "," U "," S "," E ",\"b\":0}",
		"{" K "," I "," U "," S "," E ",\"b\":-1}",
		"{" K "," I "," U "," S "," E ",\"b\":null}",
		"{" K "," I "," U "," S "," E ",\"b\":9007199254740992}",
		"{" K "," I "," U "," S "," E ",\"r\":null}",
		"{" K "," I "," U "," S "," E ",\"r\":\"\"}",
		"{" K "," I "," U "," S "," E ",\"r\":\"01997F3E-8a4d-7c11-9d7e-0d3f4e5a6b7c\"}",
		"{" K "," I "," U ",\"s\":[]," E "}",
		"{" K "," I "," U ",\"s\":\"record\"," E "}",
		"{" K "," I "," U ",\"s\":[\"Record\"]," E "}",
		"{" K "," I "," U ",\"s\":[\"record\",\"root\"]," E "}",
		"{" K "," I "," U ",\"s\":[\"record\",\"record\"]," E "}",
		"{" K "," I "," U ",\"s\":[\"record\\u0000\"]," E "}",
		"{" K "," I "," U ",\"s\":[1]," E "}",
		"{" K "," I ",\"u\":\"\"," S "," E "}",
		"{" K "," I ",\"u\":7," S "," E "}",
		"{" K "," I ",\"u\":\"a\\u0000b\"," S "," E "}",
		"{" K "," I ",\"u\":\"a\\nb\"," S "," E "}",
		"{\"k\":\"\"," I "," U "," S "," E "}",
		"{\"k\":\"a b\"," I "," U "," S "," E "}",
		"{\"k\":\"AbCdEfGhIjKlMnOpQrStUvW\"," I "," U "," S "," E "}",
		"{" K ",\"i\":\"a/b\"," U "," S "," E "}",
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!token_payload_parse(good[i], strlen(good[i]), &t))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (token_payload_parse(bad[i], strlen(bad[i]), &t))
			fail_msg("accepted: %s", bad[i]);
}

static uint64_t drawn(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 33;
}

/* One change that is one: `text` afterwards differs from `from`. */
static void mutate(char *text, const char *from, uint64_t *seed)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ";
	size_t len = strlen(from), at = drawn(seed) % len, to = drawn(seed) % len;
	memcpy(text, from, len + 1);
	switch (drawn(seed) % 8) {
	case 0: /* a bit */
		text[at] = (char)(text[at] ^ 1 << drawn(seed) % 8);
		break;
	case 1: /* a digit for another */
		text[at] = digits[drawn(seed) % (sizeof digits - 1)];
		break;
	case 2: /* cut */
		text[at] = '\0';
		break;
	case 3: /* without one character */
		memmove(text + at, text + at + 1, len - at);
		break;
	case 4: /* with one more */
		memmove(text + at + 1, text + at, len + 1 - at);
		text[at] = digits[drawn(seed) % (sizeof digits - 1)];
		break;
	case 5: /* two change places */
		text[at] = from[to];
		text[to] = from[at];
		break;
	case 6: /* something behind it */
		text[len] = digits[drawn(seed) % (sizeof digits - 1)];
		text[len + 1] = '\0';
		break;
	default: /* the last character, whose low bits carry nothing */
		text[len - 1] = digits[drawn(seed) % (sizeof digits - 1)];
	}
}

static void mutations(void **state)
{
	char text[TOKEN_TEXT], mutant[TOKEN_TEXT + 8];
	struct token t = full(), back;
	uint64_t seed = 3;
	unsigned tried = 0;
	assert_int_equal(token_format(&t, &keys[0], text), ERR_OK);
	while (tried < MUTATIONS) {
		uint64_t before = seed;
		mutate(mutant, text, &seed);
		if (strcmp(mutant, text) == 0)
			continue;
		tried++;
		if (token_parse(mutant, keys, 2, &back) != ERR_UNAUTHORIZED)
			fail_msg("seed %llu is accepted: %s", (unsigned long long)before, mutant);
	}
	assert_int_equal(token_parse(text, keys, 2, &back), ERR_OK);
}

static void base64url(void **state)
{
	char text[32];
	uint8_t bytes[16];
	size_t len;
	static const struct {
		const char *plain, *coded;
	} rows[] = { { "", "" },
		     { "f", "Zg" },
		     { "fo", "Zm8" },
		     { "foo", "Zm9v" },
		     { "foob", "Zm9vYg" },
		     { "fooba", "Zm9vYmE" },
		     { "\xff\xfe\xfd", "__79" },
		     { "\xfb", "-w" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		base64url_format(rows[i].plain, strlen(rows[i].plain), text);
		assert_string_equal(text, rows[i].coded);
		assert_int_equal(strlen(text), BASE64URL_CHARS(strlen(rows[i].plain)));
		assert_true(base64url_parse(text, strlen(text), bytes, sizeof bytes, &len));
		assert_int_equal(len, strlen(rows[i].plain));
		assert_memory_equal(bytes, rows[i].plain, len);
	}
	static const char *const bad[] = { "Z", "Zh", "Zm9", "Zg==", "Zm9v ", "+w", "/w", "Zm9vZ", "Z\x80" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (base64url_parse(bad[i], strlen(bad[i]), bytes, sizeof bytes, &len))
			fail_msg("accepted: %s", bad[i]);
	assert_false(base64url_parse("Zm9v", 4, bytes, 2, &len));
	assert_true(base64url_parse("Zm8", 3, bytes, 2, &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),   cmocka_unit_test(only_with_its_key),
		cmocka_unit_test(what_is_no_token), cmocka_unit_test(what_is_no_wish),
		cmocka_unit_test(payloads),	    cmocka_unit_test(mutations),
		cmocka_unit_test(base64url),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
