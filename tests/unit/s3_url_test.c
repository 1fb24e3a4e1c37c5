/* What may stand in --push, and where an operator's access key comes from. */
#include "work/s3_keys.h"
#include "work/s3_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void targets(void **state)
{
	static const struct {
		const char *url, *host, *path, *region;
		bool tls;
	} rows[] = {
		{ "s3://takes?region=eu-central-1", "takes.s3.eu-central-1.amazonaws.com", "/k", "eu-central-1", true },
		{ "s3://takes?region=cn-north-1", "takes.s3.cn-north-1.amazonaws.com.cn", "/k", "cn-north-1", true },
		{ "s3://my.takes/2026?region=eu-west-1", "s3.eu-west-1.amazonaws.com", "/my.takes/2026/k", "eu-west-1",
		  true },
		{ "s3://takes/a/b/?endpoint=https://s3.example.com", "s3.example.com", "/takes/a/b/k", "us-east-1",
		  true },
		{ "s3://takes?endpoint=https://s3.example.com:443/", "s3.example.com", "/takes/k", "us-east-1", true },
		{ "s3://takes?endpoint=https%3A%2F%2Fs3.example.com%3A9000&region=here", "s3.example.com:9000",
		  "/takes/k", "here", true },
		{ "s3://takes/x?style=host&endpoint=https://s3.example.com:9000", "takes.s3.example.com:9000", "/x/k",
		  "us-east-1", true },
		{ "s3://takes?region=eu-west-1&style=path", "s3.eu-west-1.amazonaws.com", "/takes/k", "eu-west-1",
		  true },
		{ "s3://takes/a%20b%3Fc%25?endpoint=http://127.0.0.1:9000", "127.0.0.1:9000", "/takes/a%20b%3Fc%25/k",
		  "us-east-1", false },
		{ "s3://takes/a+b?endpoint=http://[::1]:9000", "[::1]:9000", "/takes/a%2Bb/k", "us-east-1", false },
		{ "s3://takes?endpoint=http://localhost:80", "localhost", "/takes/k", "us-east-1", false },
		{ "s3://Takes_1?endpoint=http://127.9.9.9", "127.9.9.9", "/Takes_1/k", "us-east-1", false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct s3_target t;
		const char *problem = NULL;
		char key[LIMIT_S3_KEY_BYTES + 1];
		struct buf path;
		if (!s3_url_parse(rows[i].url, false, &t, &problem))
			fail_msg("%s: %s", rows[i].url, problem);
		buf_init(&path);
		assert_true(s3_target_key(&t, "k", key));
		s3_target_path(&t, key, &path);
		assert_string_equal(t.host, rows[i].host);
		assert_string_equal(path.data, rows[i].path);
		assert_string_equal(t.region, rows[i].region);
		assert_int_equal(t.tls, rows[i].tls);
		buf_release(&path);
	}
}

static void what_is_no_target(void **state)
{
	static const char *const urls[] = {
		"",
		"takes",
		"https://takes",
		"s3:/takes?region=x",
		"s3://",
		"s3://ab?region=x",
		"s3://-ab?region=x",
		"s3://a..b?region=x",
		"s3://a b?region=x",
		"s3://user:word@takes?region=x",
		"s3://takes",
		"s3://takes?region=",
		"s3://takes?region=a/b",
		"s3://takes?region=a.evil.com%2F",
		"s3://takes?region=a&region=b",
		"s3://takes?regio=a",
		"s3://takes?region=a&secret=b",
		"s3://takes?region",
		"s3://takes?endpoint=s3.example.com",
		"s3://takes?endpoint=ftp://s3.example.com",
		"s3://takes?endpoint=https://",
		"s3://takes?endpoint=https://a:b@s3.example.com",
		"s3://takes?endpoint=https://s3.example.com/path",
		"s3://takes?endpoint=https://s3.example.com:",
		"s3://takes?endpoint=https://s3.example.com:0",
		"s3://takes?endpoint=https://s3.example.com:65536",
		"s3://takes?endpoint=https://s3.example.com:80a",
		"s3://takes?endpoint=https://[::1",
		"s3://takes?endpoint=https://[example]",
		"s3://takes?endpoint=http://s3.example.com",
		"s3://takes?endpoint=http://127.0.0.1.example.com",
		"s3://takes?endpoint=http://10.0.0.1",
		"s3://takes?endpoint=https://s3.example.com&style=other",
		"s3://takes_1?endpoint=https://s3.example.com&style=host",
		"s3://takes?endpoint=https://[::1]&style=host",
		"s3://takes/a%00b?region=x",
		"s3://takes/a%0ab?region=x",
		"s3://takes/a%2?region=x",
		"s3://takes/a%zz?region=x",
		"s3://takes//a?region=x",
		"s3://takes/a?region=x#y",
	};
	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		struct s3_target t;
		const char *problem = NULL;
		if (s3_url_parse(urls[i], false, &t, &problem))
			fail_msg("%s", urls[i]);
		assert_true(problem && *problem);
	}
	struct s3_target t;
	const char *problem;
	assert_true(s3_url_parse("s3://takes?endpoint=http://10.0.0.1", true, &t, &problem));
}

static void names_have_a_limit(void **state)
{
	struct s3_target t;
	const char *problem;
	char url[LIMIT_URL_CHARS + 100], key[LIMIT_S3_KEY_BYTES + 1], name[LIMIT_S3_KEY_BYTES + 1];
	(void)state;
	snprintf(url, sizeof url, "s3://takes/%01023d?region=x", 0);
	assert_true(s3_url_parse(url, false, &t, &problem)); /* with its slash it has 1,024, and no room for a name */
	assert_false(s3_target_key(&t, "k", key));
	snprintf(url, sizeof url, "s3://takes/%01024d?region=x", 0);
	assert_false(s3_url_parse(url, false, &t, &problem));
	snprintf(url, sizeof url, "s3://takes?endpoint=https://%0260d", 0);
	assert_false(s3_url_parse(url, false, &t, &problem));
	assert_true(s3_url_parse("s3://takes/p?region=x", false, &t, &problem));
	memset(name, 'n', sizeof name);
	name[LIMIT_S3_KEY_BYTES - 2] = '\0';
	assert_true(s3_target_key(&t, name, key));
	assert_int_equal(strlen(key), LIMIT_S3_KEY_BYTES);
	name[LIMIT_S3_KEY_BYTES - 2] = 'n';
	name[LIMIT_S3_KEY_BYTES - 1] = '\0';
	assert_false(s3_target_key(&t, name, key));
	assert_false(s3_target_key(&t, "", key));
}

static void keys_of_a_file(void **state)
{
	static const struct {
		const char *text, *access, *secret, *token;
		unsigned line; /* of what is wrong */
	} rows[] = {
		{ "aws_access_key_id = AK\naws_secret_access_key=se/cret+=\n", "AK", "se/cret+=", "", 0 },
		{ "# mine\r\n[default]\r\naws_access_key_id = AK\r\naws_secret_access_key = s\r\n", "AK", "s", "", 0 },
		{ "[other]\naws_access_key_id=no\n[default]\nregion = eu\naws_access_key_id=AK\n"
		  "aws_secret_access_key=s\naws_session_token=tok==\n[last]\naws_access_key_id=no\n",
		  "AK", "s", "tok==", 0 },
		{ "", NULL, NULL, NULL, 0 },
		{ "aws_access_key_id=AK\n", NULL, NULL, NULL, 0 },
		{ "[other]\naws_access_key_id=AK\naws_secret_access_key=s\n", NULL, NULL, NULL, 0 },
		{ "aws_access_key_id=A/K\naws_secret_access_key=s\n", NULL, NULL, NULL, 0 },
		{ "aws_access_key_id=AK\naws_access_key_id=AK\n", NULL, NULL, NULL, 2 },
		{ "aws_access_key_id=A K\n", NULL, NULL, NULL, 1 },
		{ "\naws_access_key_id=\n", NULL, NULL, NULL, 2 },
		{ "\n\nAK secret\n", NULL, NULL, NULL, 3 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct s3_keys k;
		unsigned line = 99;
		const char *problem = NULL;
		char *text = strdup(rows[i].text);
		bool ok = s3_keys_parse(text, &k, &line, &problem);
		free(text);
		assert_int_equal(ok, rows[i].access != NULL);
		if (!ok) {
			assert_int_equal(line, rows[i].line);
			assert_true(problem && *problem && !*k.access && !*k.secret);
			continue;
		}
		assert_string_equal(k.access, rows[i].access);
		assert_string_equal(k.secret, rows[i].secret);
		assert_string_equal(k.token, rows[i].token);
	}
	struct s3_keys k;
	char text[LIMIT_S3_SECRET_CHARS + 64];
	unsigned line;
	const char *problem;
	snprintf(text, sizeof text, "aws_secret_access_key=%0*d\n", LIMIT_S3_SECRET_CHARS + 1, 0);
	assert_false(s3_keys_parse(text, &k, &line, &problem));
}

static void keys_of_the_environment(void **state)
{
	struct s3_keys k;
	const char *problem;
	(void)state;
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SESSION_TOKEN");
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	assert_false(s3_keys_environment(&k, &problem));
	setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	assert_true(s3_keys_environment(&k, &problem));
	assert_string_equal(k.access, "AK");
	assert_string_equal(k.secret, "s");
	assert_string_equal(k.token, "");
	setenv("AWS_SESSION_TOKEN", "a b", 1);
	assert_false(s3_keys_environment(&k, &problem));
	assert_string_equal(k.secret, "");
	setenv("AWS_SESSION_TOKEN", "ab", 1);
	assert_true(s3_keys_environment(&k, &problem));
	assert_string_equal(k.token, "ab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets),
		cmocka_unit_test(what_is_no_target),
		cmocka_unit_test(names_have_a_limit),
		cmocka_unit_test(keys_of_a_file),
		cmocka_unit_test(keys_of_the_environment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
