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
		bool plain, tls; /* its own, on either */
	} rows[] = {
		{ "http://127.0.0.1:8480", "127.0.0.1:8480", true, false },
		{ "HTTP://LOCALHOST:1", "localhost:1", true, false },
		{ "http://localhost", "localhost:80", true, false },
		{ "http://localhost:80", "localhost", true, false },
		{ "http://localhost", "localhost:8480", false, false },
		{ "http://localhost:8480", "localhost", false, false },
		{ "http://localhost:443", "localhost", false, false },
		{ "https://localhost", "localhost", false, true },
		{ "https://localhost:443", "localhost", false, true },
		{ "https://localhost", "localhost:443", false, true },
		{ "https://localhost", "localhost:80", false, false },
		{ "https://192.168.1.5:8443", "192.168.1.5:8443", false, true },
		{ "HTTPS://Studio.Local:8443", "studio.local:8443", false, true },
		{ "https://192.168.1.5:8443", "192.168.1.6:8443", false, false },
		{ "http://localhost.evil", "localhost", false, false },
		{ "https://localhost.evil", "localhost", false, false },
		{ "http://evil", "localhost", false, false },
		{ "http://", "", false, false },
		{ "https://", "", false, false },
		{ "null", "null", false, false },
		{ "", "", false, false },
		{ "localhost", "localhost", false, false },
		{ "ftp://localhost", "localhost", false, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (origin_is_own(rows[i].origin, rows[i].host, false) != rows[i].plain ||
		    origin_is_own(rows[i].origin, rows[i].host, true) != rows[i].tls)
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

static struct http_request head_of(const char *fields)
{
	char text[500];
	struct http_request head;
	snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s\r\n", fields);
	assert_int_equal(http_request_parse(text, strlen(text), &head, NULL), ERR_OK);
	return head;
}

/* Every Origin at every Host, on plain http and on TLS, with and without --allow-origin: what is expected follows from
 * the names alone. */
static void origin_by_host(void **state)
{
	static const char *const authorities[] = { "localhost",	       "localhost:8480",    "127.0.0.1:8480",
						   "192.168.1.5:8443", "studio.local:8443", "evil.example",
						   "allowed.example" };
	static const char *const schemes[] = { "http://", "https://" };
	static const char *const odd[] = { "null",
					   "",
					   "file://",
					   "http://evil.example@localhost",
					   "https://allowed.example.evil",
					   "http://allowed.example",
					   "https://allowed.example/",
					   "https://allowed.example:444" };
	static const char allowed[] = "http://a:81,https://allowed.example";
	enum { AUTHORITIES = sizeof authorities / sizeof *authorities };
	char fields[300], origin[100];
	for (unsigned tls = 0; tls < 2; tls++) {
		for (unsigned h = 0; h < AUTHORITIES; h++) {
			snprintf(fields, sizeof fields, "Host: %s\r\n", authorities[h]);
			struct http_request head = head_of(fields);
			assert_int_equal(guard_origin(&head, tls, allowed), ORIGIN_NONE);
			http_request_release(&head);
			for (unsigned o = 0; o < AUTHORITIES * 2; o++) {
				snprintf(origin, sizeof origin, "%s%s", schemes[o % 2], authorities[o / 2]);
				snprintf(fields, sizeof fields, "Host: %s\r\nOrigin: %s\r\n", authorities[h], origin);
				head = head_of(fields);
				bool own = o / 2 == h && o % 2 == tls;
				bool listed = strcmp(origin, "https://allowed.example") == 0;
				enum guard_origin other = own ? ORIGIN_OWN : ORIGIN_FOREIGN;
				if (guard_origin(&head, tls, NULL) != other ||
				    guard_origin(&head, tls, allowed) != (!own && listed ? ORIGIN_ALLOWED : other))
					fail_msg("%s tls %u", fields, tls);
				http_request_release(&head);
			}
			for (unsigned o = 0; o < sizeof odd / sizeof *odd; o++) {
				snprintf(fields, sizeof fields, "Host: %s\r\nOrigin: %s\r\n", authorities[h], odd[o]);
				head = head_of(fields);
				bool own =
					strcmp(odd[o], "http://allowed.example") == 0 && !tls && h == AUTHORITIES - 1;
				if (guard_origin(&head, tls, allowed) != (own ? ORIGIN_OWN : ORIGIN_FOREIGN))
					fail_msg("%s tls %u", fields, tls);
				http_request_release(&head);
			}
		}
	}
}

static void origins_that_are_allowed(void **state)
{
	static const struct {
		const char *fields, *allowed;
		enum guard_origin from;
	} rows[] = {
		{ "Host: a\r\nOrigin: HTTPS://B.example:443\r\n", "https://b.example", ORIGIN_ALLOWED },
		{ "Host: a\r\nOrigin: http://b.example:80\r\n", "http://b.example", ORIGIN_ALLOWED },
		{ "Host: a\r\nOrigin: http://b.example:443\r\n", "http://b.example", ORIGIN_FOREIGN },
		{ "Host: a\r\nOrigin: http://b\r\n", "http://b.example", ORIGIN_FOREIGN },
		{ "Host: a\r\nOrigin: http://b.example\r\n", "http://x,http://b", ORIGIN_FOREIGN },
		{ "Host: a\r\nOrigin: http://b,http://c\r\n", "http://b,http://c", ORIGIN_FOREIGN },
		{ "Host: a\r\nOrigin: \r\n", "", ORIGIN_FOREIGN },
		{ "Host: a\r\nOrigin: http://a\r\nOrigin: http://evil\r\n", NULL, ORIGIN_FOREIGN },
		{ "Host: a\r\nOrigin: http://a\r\nOrigin: http://a\r\n", NULL, ORIGIN_FOREIGN },
		{ "Host: a\r\nOrigin: http://b\r\nOrigin: http://b\r\n", "http://b", ORIGIN_FOREIGN },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct http_request head = head_of(rows[i].fields);
		if (guard_origin(&head, false, rows[i].allowed) != rows[i].from)
			fail_msg("%s", rows[i].fields);
		http_request_release(&head);
	}
}

static void who_is_local(void **state)
{
	static const char *const strangers[] = { "Host: evil\r\n",
						 "Host: localhost\r\nForwarded: for=a\r\n",
						 "Host: localhost\r\nX-Forwarded-For: a\r\n",
						 "Host: localhost\r\nX-FORWARDED-Y:\r\n",
						 "Host: localhost\r\nX-Real-IP: a\r\n",
						 "Host: evil\r\nOrigin: http://evil\r\n" };
	struct http_request head = head_of("Host: localhost\r\n");
	assert_true(guard_is_local(&head, true));
	assert_false(guard_is_local(&head, false));
	http_request_release(&head);
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
		head = head_of(strangers[i]);
		assert_false(guard_is_local(&head, true));
		http_request_release(&head);
	}
}

static void bearers(void **state)
{
	static const struct {
		const char *fields, *token;
		enum err err;
	} rows[] = {
		{ "Host: a\r\n", NULL, ERR_OK },
		{ "Host: a\r\nAuthorization: Bearer hf1.x.y\r\n", "hf1.x.y", ERR_OK },
		{ "Host: a\r\nAuthorization: bearer   z\r\n", "z", ERR_OK },
		{ "Host: a\r\nAuthorization: Basic eDp5\r\n", NULL, ERR_UNAUTHORIZED },
		{ "Host: a\r\nAuthorization: Bearer\r\n", NULL, ERR_UNAUTHORIZED },
		{ "Host: a\r\nAuthorization: \r\n", NULL, ERR_UNAUTHORIZED },
		{ "Host: a\r\nAuthorization: Bearer x\r\nAuthorization: Bearer x\r\n", NULL, ERR_UNAUTHORIZED },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct http_request head = head_of(rows[i].fields);
		const char *token;
		if (guard_bearer(&head, &token) != rows[i].err)
			fail_msg("%s", rows[i].fields);
		if (rows[i].token)
			assert_string_equal(token, rows[i].token);
		else
			assert_null(token);
		http_request_release(&head);
	}
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
		cmocka_unit_test(hosts),	  cmocka_unit_test(origins),
		cmocka_unit_test(addresses),	  cmocka_unit_test(who_is_local),
		cmocka_unit_test(origin_by_host), cmocka_unit_test(origins_that_are_allowed),
		cmocka_unit_test(bearers),	  cmocka_unit_test(rows_of_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
