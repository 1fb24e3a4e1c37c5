/* Headers of tus 1.0.0: what clients send is read, and what could be understood in two ways is refused. */
#include "proto/tus.h"

#include "base/limits.h"
#include "proto/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID_A "01a21b7c-6267-7aab-b2fb-e3467cc254f8"
#define ID_B "01a21b7c-61e3-77c6-a973-51ff4aec29cd"

static void base64_is_read_strictly(void **state)
{
	static const char *const wrong[] = { "Zg",   "Zg=",  "Zg===", "Zh==",	"Zm9=",
					     "====", "=",    "Z===",  "Zm 9",	"Zm9v ",
					     "Zm9_", "Zm9-", "Z=m=",  "Zm9vYg", "\xff\xff\xff\xff" };
	char out[8];
	size_t len;
	(void)state;
	assert_true(base64_parse("", 0, out, 0, &len) && len == 0);
	assert_true(base64_parse("Zg==", 4, out, 1, &len) && len == 1 && out[0] == 'f');
	assert_true(base64_parse("Zm8=", 4, out, 2, &len) && len == 2 && memcmp(out, "fo", 2) == 0);
	assert_true(base64_parse("Zm9vYmFy", 8, out, 6, &len) && len == 6 && memcmp(out, "foobar", 6) == 0);
	assert_true(base64_parse("+/+/", 4, out, 3, &len) && memcmp(out, "\xfb\xff\xbf", 3) == 0);
	assert_false(base64_parse("Zm9vYmFy", 8, out, 5, &len));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(base64_parse(wrong[i], strlen(wrong[i]), out, sizeof out, &len));
}

static void numbers_are_digits_within_the_limit(void **state)
{
	static const char *const wrong[] = {
		"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "1e3", "1,1", "one", "\xd9\xa1"
	};
	char text[40];
	uint64_t value;
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(tus_number_parse(wrong[i], &value), ERR_BAD_FIELD);
	assert_int_equal(tus_number_parse("0", &value), ERR_OK);
	assert_true(value == 0);
	assert_int_equal(tus_number_parse("007", &value), ERR_OK);
	assert_true(value == 7);
	snprintf(text, sizeof text, "%llu", LIMIT_UPLOAD_BYTES);
	assert_int_equal(tus_number_parse(text, &value), ERR_OK);
	assert_true(value == LIMIT_UPLOAD_BYTES);
	snprintf(text, sizeof text, "%llu", LIMIT_UPLOAD_BYTES + 1);
	assert_int_equal(tus_number_parse(text, &value), ERR_MESSAGE_TOO_LARGE);
	assert_int_equal(tus_number_parse("18446744073709551617", &value), ERR_MESSAGE_TOO_LARGE);
	assert_int_equal(tus_number_parse("99999999999999999999999999999999999999", &value), ERR_MESSAGE_TOO_LARGE);
}

static void metadata_is_pairs_of_key_and_base64(void **state)
{
	static const char *const good[] = {
		"",
		"a",
		"a ",
		"a Zg==",
		"a Zg==,b Zm8=",
		"a Zg==, b Zm8= ,c",
		"filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential",
	};
	static const char *const wrong[] = {
		",", "a,",	  ",a",	 "a Zg==,,b", "a  Zg==",       "a Zg",	  "a Zg== Zg==",
		" ", "a b c d e", "a,a", "a Zg==,a",  "\xc3\xa4 Zg==", "a\tZg==", "a Zm9_",
	};
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(tus_metadata_check(good[i]), ERR_OK);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(tus_metadata_check(wrong[i]), ERR_BAD_FIELD);
}

static void metadata_is_bounded(void **state)
{
	char *text = malloc(LIMIT_UPLOAD_METADATA_BYTES + 2);
	(void)state;
	assert_non_null(text);
	memset(text, 'k', LIMIT_UPLOAD_METADATA_BYTES + 1);
	text[LIMIT_UPLOAD_METADATA_BYTES + 1] = '\0';
	assert_int_equal(tus_metadata_check(text), ERR_HEADERS_TOO_LARGE);
	text[LIMIT_UPLOAD_METADATA_BYTES] = '\0';
	assert_int_equal(tus_metadata_check(text), ERR_OK);
	int at = 0;
	for (int i = 0; i < LIMIT_UPLOAD_METADATA_KEYS; i++)
		at += snprintf(text + at, 16, "%sk%d", i ? "," : "", i);
	assert_int_equal(tus_metadata_check(text), ERR_OK);
	snprintf(text + at, 16, ",more");
	assert_int_equal(tus_metadata_check(text), ERR_BAD_FIELD);
	free(text);
}

static void got(const char *metadata, const char *key, const char *expected)
{
	char *value;
	assert_int_equal(tus_metadata_check(metadata), ERR_OK);
	assert_int_equal(tus_metadata_get(metadata, key, 10, &value), ERR_OK);
	if (expected)
		assert_string_equal(value, expected);
	else
		assert_null(value);
	free(value);
}

static void metadata_is_found_by_its_key(void **state)
{
	(void)state;
	got("name Zm9v,type YmFy", "name", "foo");
	got("name Zm9v, type YmFy", "type", "bar");
	got("name Zm9v,type YmFy", "typ", NULL);
	got("name Zm9v,type YmFy", "types", NULL);
	got("name", "name", "");
	got("", "name", NULL);
	got("name w7ZmZg==", "name",
	    "\xc3\xb6"
	    "ff");
	got("name AAAA", "name", NULL);		    /* NULs */
	got("name /w==", "name", NULL);		    /* no UTF-8 */
	got("name Cg==", "name", NULL);		    /* a line feed */
	got("name YWFhYWFhYWFhYWE=", "name", NULL); /* eleven characters */
}

static void checksums_have_their_length(void **state)
{
	static const char *const wrong[] = {
		"sha1",
		"sha1 ",
		"sha1 Zg==",
		"sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
		"sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu",
		"sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
		"crc32c AAAAAAAA",
		"sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= ",
	};
	static const char *const unknown[] = { "",    " ",	    "md5 Zg==", "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
					       "sha", "sha512 Zg==" };
	struct tus_checksum sum;
	(void)state;
	assert_int_equal(tus_checksum_parse("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", &sum), ERR_OK);
	assert_true(sum.algorithm == TUS_DIGEST_SHA1 && sum.len == 20 && sum.value[0] == 0x2a && sum.value[19] == 0xed);
	assert_int_equal(tus_checksum_parse("sha256 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", &sum), ERR_OK);
	assert_true(sum.algorithm == TUS_DIGEST_SHA256 && sum.len == 32 && sum.value[0] == 0xe3);
	assert_int_equal(tus_checksum_parse("crc32c 4waSgw==", &sum), ERR_OK);
	assert_true(sum.algorithm == TUS_DIGEST_CRC32C && memcmp(sum.value, "\xe3\x06\x92\x83", 4) == 0);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(tus_checksum_parse(wrong[i], &sum), ERR_BAD_FIELD);
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		assert_int_equal(tus_checksum_parse(unknown[i], &sum), ERR_NOT_SUPPORTED);
}

static void parts_are(const char *text, const char *expected)
{
	struct buf ids;
	enum tus_concat concat = TUS_WHOLE;
	buf_init(&ids);
	enum err err = tus_concat_parse(text, &concat, &ids);
	if (expected) {
		assert_int_equal(err, ERR_OK);
		assert_int_equal(concat, TUS_FINAL);
		assert_string_equal(ids.data, expected);
	} else {
		assert_int_equal(err, ERR_BAD_FIELD);
	}
	buf_release(&ids);
}

static void finals_name_their_parts(void **state)
{
	struct buf ids;
	enum tus_concat concat = TUS_WHOLE;
	(void)state;
	buf_init(&ids);
	assert_int_equal(tus_concat_parse("partial", &concat, &ids), ERR_OK);
	assert_true(concat == TUS_PARTIAL && ids.len == 0);
	parts_are("final;/files/" ID_A, ID_A);
	parts_are("final;/files/" ID_A " /files/" ID_B, ID_A " " ID_B);
	parts_are("final; https://a.example/files/" ID_A "  HTTP://b:80/x/files/" ID_B " ", ID_A " " ID_B);
	parts_are("final;/behind/a/proxy/files/" ID_A, ID_A);
	parts_are("final;https://a.example/uploads/" ID_A "/ ../files/" ID_B " " ID_A, ID_A " " ID_B " " ID_A);
	parts_are("final;/files/01A21B7C-6267-7AAB-B2FB-E3467CC254F8", ID_A);
	static const char *const wrong[] = {
		"",
		"final",
		"final;",
		"final; ",
		"partial;",
		"Partial",
		"final;/files/",
		"final;/files/" ID_A "//",
		"final;/files/" ID_A "/x",
		"final;/files/" ID_A "?a=" ID_B,
		"final;/f\xc3\xbc/" ID_A,
		"final;/files/" ID_A "\t/files/" ID_B,
		"final;/files/x" ID_A,
		"final;/files/" ID_A ",/files/" ID_B,
		"final;/files/" ID_A " /files/1",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		parts_are(wrong[i], NULL);
	for (int i = 0; i < LIMIT_UPLOAD_PARTS + 1; i++)
		buf_addf(&ids, "%s/files/" ID_A, i ? " " : "final;");
	parts_are(ids.data, NULL);
	buf_release(&ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_read_strictly),
		cmocka_unit_test(numbers_are_digits_within_the_limit),
		cmocka_unit_test(metadata_is_pairs_of_key_and_base64),
		cmocka_unit_test(metadata_is_bounded),
		cmocka_unit_test(metadata_is_found_by_its_key),
		cmocka_unit_test(checksums_have_their_length),
		cmocka_unit_test(finals_name_their_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
