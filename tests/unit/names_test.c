/* The machine's names: which addresses count, their order, and what a Host header may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/names_rig.h"

#include <stdio.h>
#include <string.h>

static void only_private_addresses(void **state)
{
	static const char *const private[] = { "10.0.0.0",    "10.255.255.255", "172.16.0.1", "172.31.255.254",
					       "192.168.0.1", "169.254.1.1",	"127.0.0.1",  "127.255.0.1",
					       "fc00::1",     "fdff:ffff::1",	"fe80::1",    "febf::1",
					       "::1",	      "::ffff:10.0.0.9" };
	static const char *const public[] = {
		"9.255.255.255", "11.0.0.1",  "172.15.255.255", "172.32.0.1", "192.167.1.1", "192.169.1.1",
		"169.253.1.1",	 "128.0.0.1", "100.64.0.1",	"8.8.8.8",    "0.0.0.0",     "192.0.2.1",
		"2001:db8::1",	 "fbff::1",   "fe00::1",	"fec0::1",    "::",	     "::2",
		"::ffff:8.8.8.8"
	};
	struct names n;
	names_init(&n, "");
	for (unsigned i = 0; i < sizeof private / sizeof *private; i++)
		names_put(&n, private[i], "eth0");
	assert_int_equal(n.address_count, sizeof private / sizeof *private);
	assert_int_equal(n.left_out, 0);
	for (unsigned i = 0; i < sizeof public / sizeof *public; i++)
		names_put(&n, public[i], "eth0");
	assert_int_equal(n.address_count, sizeof private / sizeof *private);
	assert_int_equal(n.left_out, sizeof public / sizeof *public);
	assert_string_equal(n.example, public[0]);
}

static void the_likeliest_comes_first(void **state)
{
	struct names n;
	char url[NAMES_URL];
	names_init(&n, "studio");
	names_url(&n, "https", 8443, url);
	assert_string_equal(url, "https://127.0.0.1:8443");
	names_put(&n, "127.0.0.1", "lo");
	names_put(&n, "169.254.3.4", "eth1");
	names_put(&n, "fe80::9", "eth0");
	names_url(&n, "https", 8443, url);
	assert_string_equal(url, "https://127.0.0.1:8443");
	names_put(&n, "172.17.0.1", "docker0");
	names_url(&n, "https", 1, url);
	assert_string_equal(url, "https://172.17.0.1:1");
	names_put(&n, "fd00::5", "eth0");
	names_url(&n, "http", 1, url);
	assert_string_equal(url, "http://[fd00::5]:1");
	names_put(&n, "192.168.1.5", "eth0");
	names_put(&n, "10.0.0.5", "eth1");
	names_put(&n, "192.168.1.5", "eth0"); /* again */
	names_url(&n, "https", 1, url);
	assert_string_equal(url, "https://10.0.0.5:1");
	struct sockaddr_in way_out = { .sin_family = AF_INET };
	inet_pton(AF_INET, "192.168.1.5", &way_out.sin_addr);
	names_prefer(&n, (struct sockaddr *)&way_out);
	names_url(&n, "https", 1, url);
	assert_string_equal(url, "https://192.168.1.5:1");
	assert_int_equal(n.address_count, 7);
	inet_pton(AF_INET, "8.8.8.8", &way_out.sin_addr); /* not ours, or not private */
	names_prefer(&n, (struct sockaddr *)&way_out);
	assert_int_equal(n.address_count, 7);
}

static void the_best_stay_when_there_are_too_many(void **state)
{
	struct names n;
	char text[ADDRESS_TEXT];
	names_init(&n, "");
	for (unsigned i = 0; i < 3 * LIMIT_LAN_ADDRESSES; i++) {
		snprintf(text, sizeof text, "fe80::%x", i + 1);
		names_put(&n, text, "veth1");
	}
	names_put(&n, "192.168.1.5", "eth0");
	assert_int_equal(n.address_count, LIMIT_LAN_ADDRESSES);
	address_text(&n.addresses[0], text);
	assert_string_equal(text, "192.168.1.5");
	address_text(&n.addresses[LIMIT_LAN_ADDRESSES - 1], text);
	assert_string_equal(text, "fe80::3f");
}

static void host_names(void **state)
{
	struct names n;
	names_init(&n, "Studio");
	assert_int_equal(n.host_count, 4);
	assert_string_equal(n.hosts[0], "localhost");
	assert_string_equal(n.hosts[1], "studio.local");
	assert_string_equal(n.hosts[2], "studio.lan");
	assert_string_equal(n.hosts[3], "studio.home.arpa");
	names_init(&n, "studio.example.org");
	assert_int_equal(n.host_count, 5);
	assert_string_equal(n.hosts[1], "studio.example.org");
	assert_string_equal(n.hosts[2], "studio.local");
	names_init(&n, "studio.local");
	assert_int_equal(n.host_count, 4);
	static const char *const none[] = { "",	   "a_b",  "-a",  "a-",	     "a..b", ".a",   "a.",	 "1.2.3.4",
					    "a.9", "1234", "a b", "a,DNS:b", "a.-b", "a-.b", "\xc3\xa4", "localhost" };
	for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
		names_init(&n, none[i]);
		if (n.host_count != 1)
			fail_msg("%s", none[i]);
	}
	char label[70];
	memset(label, 'a', sizeof label);
	label[64] = '\0';
	names_init(&n, label);
	assert_int_equal(n.host_count, 1);
	label[63] = '\0';
	names_init(&n, label);
	assert_int_equal(n.host_count, 4);
}

static void hosts_of_requests(void **state)
{
	struct names n;
	names_make(&n, "studio.example.org", NAMES("192.168.1.5", "fd00::5", "127.0.0.1"));
	static const char *const ours[] = { "192.168.1.5",	  "192.168.1.5:8443",
					    "[fd00::5]",	  "[FD00:0::5]:1",
					    "studio.local",	  "STUDIO.LOCAL:8443",
					    "studio.lan",	  "studio.local.",
					    "studio.example.org", "localhost",
					    "localhost:1",	  "127.0.0.1",
					    "127.8.8.8:1",	  "[::1]",
					    "192.168.1.5:" };
	static const char *const others[] = { "",
					      "192.168.1.6",
					      "192.168.1.5.evil",
					      "evil",
					      "example.org",
					      "studio",
					      "evil.local",
					      "x.studio.local",
					      "studio.local:x",
					      "[fd00::6]",
					      "fd00::5",
					      "[192.168.1.5]",
					      "[fd00::5",
					      "[fd00::5]x",
					      "192.168.1.5@evil",
					      "192.168.1.5 ",
					      "3232235781",
					      "0xc0.168.1.5",
					      ".",
					      "[studio.local]",
					      "[]",
					      ":8443",
					      "[::ffff:192.168.1.5]" };
	for (unsigned i = 0; i < sizeof ours / sizeof *ours; i++)
		if (!names_have(&n, ours[i]))
			fail_msg("%s is ours", ours[i]);
	for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
		if (names_have(&n, others[i]))
			fail_msg("%s is not ours", others[i]);
}

static void changes_are_seen(void **state)
{
	struct names a, b;
	names_make(&a, "studio", NAMES("192.168.1.5", "fd00::5"));
	names_make(&b, "studio", NAMES("fd00::5", "192.168.1.5"));
	assert_true(names_equal(&a, &b));
	names_make(&b, "studio", NAMES("fd00::5", "192.168.1.6"));
	assert_false(names_equal(&a, &b));
	names_make(&b, "studio", NAMES("192.168.1.5"));
	assert_false(names_equal(&a, &b));
	names_make(&b, "studiö", NAMES("192.168.1.5", "fd00::5"));
	assert_false(names_equal(&a, &b));
}

static void this_machine(void **state)
{
	struct names n;
	assert_true(names_collect(&n));
	assert_true(names_have(&n, "127.0.0.1"));
	assert_true(names_have(&n, "[::1]"));
	for (unsigned i = 0; i < n.address_count; i++)
		assert_true(address_is_private(n.addresses[i].bytes, n.addresses[i].len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_private_addresses),
		cmocka_unit_test(the_likeliest_comes_first),
		cmocka_unit_test(the_best_stay_when_there_are_too_many),
		cmocka_unit_test(host_names),
		cmocka_unit_test(hosts_of_requests),
		cmocka_unit_test(changes_are_seen),
		cmocka_unit_test(this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
