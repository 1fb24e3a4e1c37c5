/* Which URLs are fetched: addresses in every spelling, redirects, and who is shown which credentials. */
#include "support/fetch_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- addresses --- */

static void every_spelling_is_refused_before_it_is_connected(void **state)
{
	static const char *const hosts[] = {
		"127.0.0.1",
		"127.1",
		"2130706433",
		"0x7f000001",
		"017700000001",
		"0177.0.0.1",
		"localhost",
		"[::1]",
		"[::ffff:127.0.0.1]",
		"[::ffff:7f00:1]",
		"0",
		"0.0.0.0",
		"127.0.1",
		"0x7f.0.0x0.1",
		"[::]",
		"[64:ff9b::127.0.0.1]",
		"%31%32%37.0.0.1",
	};
	struct rig *g = *state;
	close_fetcher(g);
	open_fetcher(g, "192.0.2.1", true); /* plain http is open, but to another address */
	g->answer = whole;
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		for (int tls = 0; tls < 2; tls++) {
			char url[128];
			snprintf(url, sizeof url, "http%s://%s:%u/", tls ? "s" : "", hosts[i], g->port);
			begin(g, url, 0, NULL);
			wait_end(g);
			if (g->err != ERR_URL_REFUSED)
				fail_msg("%s: %s %s", url, err_code(g->err), g->message);
		}
	}
	assert_int_equal(web_server_accepted(g->servers[0]), 0);
	assert_int_equal(g->asked, 0);
}

static void urls_are_judged_before_they_are_stored(void **state)
{
	static const struct {
		const char *url;
		enum err err;
	} rows[] = {
		{ "https://example.com/a", ERR_OK },
		{ "HTTPS://EXAMPLE.com:8443/a?b#c", ERR_OK },
		{ "https://8.8.8.8/", ERR_OK },
		{ "http://127.9.9.9/", ERR_OK },
		{ "http://example.com/", ERR_OK }, /* judged when it is resolved */
		{ "http://8.8.8.8/", ERR_URL_REFUSED },
		{ "https://10.0.0.1/", ERR_URL_REFUSED },
		{ "https://0xa.1/", ERR_URL_REFUSED },
		{ "https://167772161/", ERR_URL_REFUSED },
		{ "https://[fe80::1%25eth0]/", ERR_URL_REFUSED },
		{ "https://169.254.169.254/latest", ERR_URL_REFUSED },
		{ "https://ann:word@example.com/", ERR_URL_REFUSED },
		{ "https://ann@example.com/", ERR_URL_REFUSED },
		{ "https://:@example.com/", ERR_URL_REFUSED },
		{ "ftp://example.com/a", ERR_URL_REFUSED },
		{ "file:///etc/passwd", ERR_URL_REFUSED },
		{ "gopher://example.com/", ERR_URL_REFUSED },
		{ "dict://example.com/", ERR_URL_REFUSED },
		{ "javascript:alert(1)", ERR_URL_REFUSED },
		{ "example.com/a", ERR_URL_REFUSED },
		{ "//example.com/a", ERR_URL_REFUSED },
		{ "https://", ERR_URL_REFUSED },
		{ "https://example.com:0/", ERR_URL_REFUSED },
		{ "https://example.com:99999/", ERR_URL_REFUSED },
		{ "https://exa mple.com/", ERR_URL_REFUSED },
		{ "https://example.com/a b", ERR_URL_REFUSED },
		{ "https://example.com/\r\nX: y", ERR_URL_REFUSED },
		{ "https://example.com\\@10.0.0.1/", ERR_URL_REFUSED },
		{ "", ERR_URL_REFUSED },
	};
	struct rig *g = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *why = NULL;
		enum err err = g->f->ops->judge(g->f, rows[i].url, &why);
		if (err != rows[i].err)
			fail_msg("%s: %s %s", rows[i].url, err_code(err), why);
		if (err)
			assert_non_null(why);
	}
	char longer[LIMIT_URL_CHARS + 2] = "https://example.com/";
	memset(longer + strlen(longer), 'a', sizeof longer - 1 - strlen(longer));
	const char *why;
	assert_int_equal(g->f->ops->judge(g->f, longer, &why), ERR_URL_REFUSED);
	close_fetcher(g);
	open_fetcher(g, "127.0.0.0/8", false);
	assert_int_equal(g->f->ops->judge(g->f, "http://127.0.0.1/", &why), ERR_URL_REFUSED);
	assert_int_equal(g->f->ops->judge(g->f, "https://127.0.0.1/", &why), ERR_OK);
}

/* --- redirects --- */

static char location[256];
static void redirects_once(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	char text[512];
	if (!asked(g, g->asked - 1, "GET /call")) {
		whole(g, p, r);
		return;
	}
	snprintf(text, sizeof text, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nhere", location);
	web_say(p, text);
}

static void redirects_are_followed(void **state)
{
	struct rig *g = *state;
	g->answer = redirects_once;
	snprintf(location, sizeof location, "/elsewhere?a=b");
	fetch_from(g, 0, NULL);
	expect(g, ERR_OK, "0123456789");
	assert_true(asked(g, 1, "GET /elsewhere?a=b HTTP/1.1\r\n"));
	assert_true(asked(g, 1, "Authorization: Basic")); /* the same host */
}

static void credentials_stay_with_their_host(void **state)
{
	struct rig *g = *state;
	g->answer = redirects_once;
	snprintf(location, sizeof location, "http://127.0.0.1:%u/elsewhere", g->other); /* another port is another */
	fetch_from(g, 0, NULL);
	expect(g, ERR_OK, "0123456789");
	assert_true(asked(g, 0, "Authorization: Basic"));
	assert_false(asked(g, 1, "Authorization"));
	assert_false(asked(g, 1, "Referer"));
}

static void redirects_are_judged(void **state)
{
	static const char *const places[] = {
		"http://10.0.0.1/",	      "http://[::1]/",	   "http://0xa9fea9fe/",
		"https://192.168.0.1/",	      "ftp://127.0.0.1/a", "file:///etc/passwd",
		"http://ann:word@127.0.0.1/", "http://8.8.8.8/",   "gopher://127.0.0.1/",
	};
	struct rig *g = *state;
	g->answer = redirects_once;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(location, sizeof location, "%s", places[i]);
		fetch_from(g, 0, NULL);
		if (g->err != ERR_URL_REFUSED)
			fail_msg("%s: %s %s", places[i], err_code(g->err), g->message);
		assert_non_null(strstr(g->message, "redirect"));
	}
}

static void redirects_for_ever(struct rig *g, struct web_peer *p, const struct web_request *r)
{
	web_say(p, "HTTP/1.1 307 Again\r\nLocation: /call\r\nContent-Length: 0\r\n\r\n");
}

static void redirects_end(void **state)
{
	struct rig *g = *state;
	g->answer = redirects_for_ever;
	fetch_from(g, 0, NULL);
	expect(g, ERR_SOURCE_REFUSED, "");
	assert_int_equal(g->asked, 1 + LIMIT_FETCH_REDIRECTS);
}

static void ranges_survive_redirects(void **state)
{
	struct rig *g = *state;
	g->answer = redirects_once;
	snprintf(location, sizeof location, "/elsewhere");
	fetch_from(g, 4, "\"one\"");
	assert_true(asked(g, 0, "Range: bytes=4-\r\n"));
	assert_true(asked(g, 1, "Range: bytes=4-\r\n"));
	assert_true(asked(g, 1, "If-Range: \"one\"\r\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fetch_rig_set_up, fetch_rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_spelling_is_refused_before_it_is_connected),
		TEST(urls_are_judged_before_they_are_stored),
		TEST(redirects_are_followed),
		TEST(credentials_stay_with_their_host),
		TEST(redirects_are_judged),
		TEST(redirects_end),
		TEST(ranges_survive_redirects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
