/* Who may come in, and which row of the table answers. */
#include "net/private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void hosts(void **state)
{
	static const char *const loopback[] = { "localhost", "LocalHost:8480", "127.0.0.1", "127.0.0.1:1",
						"127.9.9.9", "[::1]",	       "[::1]:80" };
	static const char *const others[] = {
		"",	      ":80",	    "localhost.",     "localhost.evil",	    "127.0.0.1.evil", "127.1",
		"2130706433", "0x7f.0.0.1", "evil:127.0.0.1", "localhost:80x",	    "localhost:",     "[::1",
		"[::2]",      "::1",	    "[::1]x",	      "[::ffff:127.0.0.1]", "128.0.0.1",      "localhost@evil"
	};
	for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++)
		assert_true(host_is_loopback(loopback[i]));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		if (strcmp(others[i], "localhost:") == 0)
			continue; /* an empty port is legal */
		if (host_is_loopback(others[i]))
			fail_msg("%s is no loopback", others[i]);
	}
}

static void origins(void **state)
{
	static const struct {
		const char *origin, *host;
		bool own;
	} rows[] = {
		{ "http://127.0.0.1:8480", "127.0.0.1:8480", true },
		{ "HTTP://LOCALHOST:1", "localhost:1", true },
		{ "http://localhost", "localhost:80", true },
		{ "http://localhost:80", "localhost", true },
		{ "http://localhost", "localhost:8480", false },
		{ "http://localhost:8480", "localhost", false },
		{ "https://localhost", "localhost", false },
		{ "http://localhost.evil", "localhost", false },
		{ "http://evil", "localhost", false },
		{ "http://", "", false },
		{ "null", "null", false },
		{ "", "", false },
		{ "localhost", "localhost", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (origin_is_own(rows[i].origin, rows[i].host) != rows[i].own)
			fail_msg("%s at %s", rows[i].origin, rows[i].host);
}

static void addresses(void **state)
{
	static const struct {
		const char *text;
		bool loopback;
	} v4[] = { { "127.0.0.1", true }, { "127.255.0.1", true }, { "128.0.0.1", false }, { "0.0.0.0", false } },
	  v6[] = { { "::1", true },
		   { "::ffff:127.0.0.1", true },
		   { "::ffff:10.0.0.1", false },
		   { "::", false },
		   { "fe80::1", false } };
	for (size_t i = 0; i < sizeof v4 / sizeof *v4; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET };
		assert_int_equal(inet_pton(AF_INET, v4[i].text, &a.sin_addr), 1);
		assert_int_equal(address_is_loopback((struct sockaddr *)&a), v4[i].loopback);
	}
	for (size_t i = 0; i < sizeof v6 / sizeof *v6; i++) {
		struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
		assert_int_equal(inet_pton(AF_INET6, v6[i].text, &a.sin6_addr), 1);
		assert_int_equal(address_is_loopback((struct sockaddr *)&a), v6[i].loopback);
	}
}

static enum err guarded(const char *fields, bool local, const char **principal)
{
	char text[300];
	struct http_request head;
	snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s\r\n", fields);
	assert_int_equal(http_request_parse(text, strlen(text), &head, NULL), ERR_OK);
	enum err err = guard_check(&head, local, principal);
	http_request_release(&head);
	return err;
}

static void who_is_local(void **state)
{
	const char *principal = NULL;
	assert_int_equal(guarded("Host: localhost\r\n", true, &principal), ERR_OK);
	assert_string_equal(principal, "local");
	assert_int_equal(guarded("Host: localhost\r\nOrigin: http://localhost\r\n", true, &principal), ERR_OK);
	static const char *const strangers[] = { "Host: evil\r\n",
						 "Host: localhost\r\nForwarded: for=a\r\n",
						 "Host: localhost\r\nX-Forwarded-For: a\r\n",
						 "Host: localhost\r\nX-FORWARDED-Y:\r\n",
						 "Host: localhost\r\nX-Real-IP: a\r\n",
						 "Host: evil\r\nOrigin: http://evil\r\n" };
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
		assert_int_equal(guarded(strangers[i], true, &principal), ERR_UNAUTHORIZED);
	assert_int_equal(guarded("Host: localhost\r\n", false, &principal), ERR_UNAUTHORIZED);
	assert_int_equal(guarded("Host: localhost\r\nOrigin: null\r\n", true, &principal), ERR_FORBIDDEN_ORIGIN);
	assert_int_equal(
		guarded("Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil\r\n", true, &principal),
		ERR_FORBIDDEN_ORIGIN);
}

static void rows_of_the_table(void **state)
{
	static const struct {
		const char *method, *target, *id, *allow;
		enum err err;
	} rows[] = {
		{ "GET", "/", NULL, "", ERR_OK },
		{ "HEAD", "/record", NULL, "", ERR_OK },
		{ "GET", "/api/recordings?x", NULL, "", ERR_OK },
		{ "GET", "/api/recordings/session:a%2F..%2Foriginal", "session:a/../original", "", ERR_OK },
		{ "POST", "/api/recordings/a%2fb/complete", "a/b", "", ERR_OK },
		{ "HEAD", "/api/recordings/a/original", "a", "", ERR_OK },
		{ "GET", "/api/recordings/", NULL, "", ERR_NOT_FOUND },
		{ "GET", "/api/recordings//original", NULL, "", ERR_NOT_FOUND },
		{ "GET", "/api/recordings/a/original/", NULL, "", ERR_NOT_FOUND },
		{ "GET", "/api/recordings/%00", NULL, "", ERR_NOT_FOUND },
		{ "GET", "//", NULL, "", ERR_NOT_FOUND },
		{ "GET", "/record/", NULL, "", ERR_NOT_FOUND },
		{ "GET", "/{id}", NULL, "", ERR_NOT_FOUND },
		{ "PUT", "/api/recordings/a", NULL, "GET, HEAD, PATCH, DELETE", ERR_METHOD_NOT_ALLOWED },
		{ "GET", "/api/recordings/a/complete", NULL, "POST", ERR_METHOD_NOT_ALLOWED },
		{ "get", "/", NULL, "GET, HEAD", ERR_METHOD_NOT_ALLOWED },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[200], allow[64];
		struct request r = { 0 };
		snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", rows[i].method, rows[i].target);
		assert_int_equal(http_request_parse(text, strlen(text), &r.head, NULL), ERR_OK);
		r.head_only = strcmp(rows[i].method, "HEAD") == 0;
		if (route_find(&r, allow, sizeof allow) != rows[i].err)
			fail_msg("%s", text);
		if (rows[i].id)
			assert_string_equal(r.id, rows[i].id);
		assert_string_equal(rows[i].err == ERR_METHOD_NOT_ALLOWED ? allow : "", rows[i].allow);
		http_request_release(&r.head);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),	cmocka_unit_test(origins),	     cmocka_unit_test(addresses),
		cmocka_unit_test(who_is_local), cmocka_unit_test(rows_of_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
