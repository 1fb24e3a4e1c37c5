/* Signing requests to S3, by the examples that AWS publishes: those of the S3 API's page "Authenticating Requests:
 * Using the Authorization Header", and two of the Signature Version 4 test suite (get-vanilla, get-header-value-trim).
 *
 * Each signature derived once more, without this code; for the first one (with printf, openssl, and sed for its hash):
 *
 *   h() { openssl dgst -sha256 -mac HMAC -macopt "$1" | sed 's/.* //'; }
 *   empty=$(printf '' | openssl dgst -sha256 | sed 's/.* //')
 *   hash=$(printf
 * 'GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\nx-amz-content-sha256:%s\nx-amz-
 *     date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n%s' $empty $empty |
 *     openssl dgst -sha256 | sed 's/.* //')                       (the line broken here is one)
 *   k=$(printf 20130524 | h key:AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY)
 *   k=$(printf us-east-1 | h hexkey:$k); k=$(printf s3 | h hexkey:$k); k=$(printf aws4_request | h hexkey:$k)
 *   printf 'AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n%s' $hash | h hexkey:$k
 *
 * The other rows differ in their canonical request, the secret and the scope only, which stand in the row. */
#include "work/s3_sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072" /* Welcome to Amazon S3. */
#define S3_HEADERS(payload)                                                                                            \
	{ "host", "examplebucket.s3.amazonaws.com" }, { "x-amz-content-sha256", payload },                             \
	{                                                                                                              \
		"x-amz-date", "20130524T000000Z"                                                                       \
	}

static const struct s3_keys s3_example = { .access = "AKIAIOSFODNN7EXAMPLE",
					   .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
static const struct s3_keys suite = { .access = "AKIDEXAMPLE", .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };

static void expect(const struct s3_request *r, const struct s3_scope *scope, const char *expected)
{
	struct buf out;
	buf_init(&out);
	assert_true(s3_sign(r, scope, &out));
	assert_string_equal(out.data, expected);
	buf_release(&out);
}

static void the_examples_of_s3(void **state)
{
	static const struct {
		const char *method, *path, *payload, *names, *signature;
		struct s3_pair query[2], headers[5];
	} rows[] = {
		{ "GET",
		  "/test.txt",
		  NOTHING,
		  "host;range;x-amz-content-sha256;x-amz-date",
		  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
		  { { 0 } },
		  { S3_HEADERS(NOTHING), { "range", "bytes=0-9" } } },
		{ "PUT",
		  "/test$file.text",
		  WELCOME,
		  "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
		  { { 0 } },
		  { S3_HEADERS(WELCOME),
		    { "x-amz-storage-class", "REDUCED_REDUNDANCY" },
		    { "date", "Fri, 24 May 2013 00:00:00 GMT" } } },
		{ "GET",
		  "/",
		  NOTHING,
		  "host;x-amz-content-sha256;x-amz-date",
		  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
		  { { "lifecycle", "" } },
		  { S3_HEADERS(NOTHING) } },
		{ "GET",
		  "/",
		  NOTHING,
		  "host;x-amz-content-sha256;x-amz-date",
		  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
		  { { "prefix", "J" }, { "max-keys", "2" } },
		  { S3_HEADERS(NOTHING) } },
	};
	struct s3_scope scope = { .keys = &s3_example, .region = "us-east-1", .service = "s3" };
	(void)state;
	assert_true(s3_time(1369353600, scope.time));
	assert_string_equal(scope.time, "20130524T000000Z");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char expected[512], hash[S3_HASH];
		struct buf path, query;
		size_t headers = 0, pairs = 0;
		while (headers < 5 && rows[i].headers[headers].name)
			headers++;
		while (pairs < 2 && rows[i].query[pairs].name)
			pairs++;
		buf_init(&path);
		buf_init(&query);
		buf_add_text(&query, "");
		s3_encode(&path, rows[i].path, true);
		s3_query(&query, rows[i].query, pairs);
		struct s3_request r = {
			rows[i].method, path.data, query.data, rows[i].headers, headers, rows[i].payload
		};
		snprintf(expected, sizeof expected,
			 "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
			 "SignedHeaders=%s, Signature=%s",
			 rows[i].names, rows[i].signature);
		expect(&r, &scope, expected);
		assert_true(s3_hash(i == 1 ? "Welcome to Amazon S3." : "", i == 1 ? 21 : 0, hash));
		assert_string_equal(hash, rows[i].payload);
		buf_release(&path);
		buf_release(&query);
	}
}

static void the_test_suite(void **state)
{
	static const struct s3_pair headers[] = { { "my-header2", " \"a   b   c\"  " },
						  { "my-header1", " value1" },
						  { "x-amz-date", "20150830T123600Z" },
						  { "host", "example.amazonaws.com" } };
	struct s3_scope scope = { .keys = &suite, .region = "us-east-1", .service = "service" };
	(void)state;
	assert_true(s3_time(1440938160, scope.time));
	struct s3_request vanilla = { "GET", "/", "", headers + 2, 2, NOTHING };
	expect(&vanilla, &scope,
	       "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	       "SignedHeaders=host;x-amz-date, "
	       "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
	struct s3_request trim = { "GET", "/", "", headers, 4, NOTHING };
	expect(&trim, &scope,
	       "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	       "SignedHeaders=host;my-header1;my-header2;x-amz-date, "
	       "Signature=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

static void what_is_encoded(void **state)
{
	static const struct {
		const char *text, *path, *word;
	} rows[] = {
		{ "a/b-c_d.e~f", "a/b-c_d.e~f", "a%2Fb-c_d.e~f" },
		{ "one two+three", "one%20two%2Bthree", "one%20two%2Bthree" },
		{ "\xc3\xa9=@:!()*'", "%C3%A9%3D%40%3A%21%28%29%2A%27", "%C3%A9%3D%40%3A%21%28%29%2A%27" },
		{ "100%", "100%25", "100%25" },
		{ "", NULL, NULL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf path, word;
		buf_init(&path);
		buf_init(&word);
		s3_encode(&path, rows[i].text, true);
		s3_encode(&word, rows[i].text, false);
		if (rows[i].path) {
			assert_string_equal(path.data, rows[i].path);
			assert_string_equal(word.data, rows[i].word);
		} else {
			assert_int_equal(path.len + word.len, 0);
		}
		buf_release(&path);
		buf_release(&word);
	}
}

static void years_that_have_no_four_digits(void **state)
{
	char out[S3_TIME];
	(void)state;
	assert_false(s3_time(INT64_C(1) << 40, out));
	assert_false(s3_time(INT64_MAX, out));
	assert_true(s3_time(0, out));
	assert_string_equal(out, "19700101T000000Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_s3),
		cmocka_unit_test(the_test_suite),
		cmocka_unit_test(what_is_encoded),
		cmocka_unit_test(years_that_have_no_four_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
