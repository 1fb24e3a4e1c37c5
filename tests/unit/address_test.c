/* Which addresses may be fetched from: each refused range at its edges, and no spelling makes a difference. */
#include "work/address.h"

#include "base/limits.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

/* The very conversion that a fetch goes through: a host's text to the address that a socket is connected to. */
static enum address_verdict judge(const char *host, const struct address_ranges *allow)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *found = NULL;
	if (getaddrinfo(host, "80", &hints, &found) != 0)
		fail_msg("%s is no address", host);
	enum address_verdict verdict = address_judge(found->ai_addr, allow);
	freeaddrinfo(found);
	return verdict;
}

static void expect(const char *host, enum address_verdict verdict)
{
	enum address_verdict got = judge(host, NULL);
	if (got != verdict)
		fail_msg("%s: %d", host, got);
}

static void refused_v4(void **state)
{
	static const char *const hosts[] = {
		"0.0.0.0",	   "0.0.0.1",	      "0.255.255.255",	 "10.0.0.0",	    "10.255.255.255",
		"100.64.0.0",	   "100.100.100.200", "100.127.255.255", "127.0.0.1",	    "127.255.255.255",
		"168.63.129.16",   "169.254.0.1",     "169.254.169.254", "172.16.0.0",	    "172.31.255.255",
		"192.0.0.0",	   "192.0.0.192",     "192.0.2.1",	 "192.88.99.1",	    "192.168.0.1",
		"192.168.255.255", "198.18.0.0",      "198.19.255.255",	 "198.51.100.7",    "203.0.113.9",
		"224.0.0.1",	   "239.255.255.255", "240.0.0.1",	 "255.255.255.255",
	};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		expect(hosts[i], ADDRESS_REFUSED);
}

static void public_v4(void **state)
{
	static const char *const hosts[] = {
		"1.0.0.0",	   "9.255.255.255",   "11.0.0.0",      "100.63.255.255", "100.128.0.0",
		"126.255.255.255", "128.0.0.0",	      "168.63.129.15", "168.63.129.17",	 "169.253.255.255",
		"169.255.0.0",	   "172.15.255.255",  "172.32.0.0",    "192.0.1.0",	 "192.0.3.0",
		"192.88.98.255",   "192.167.255.255", "192.169.0.0",   "198.17.255.255", "198.20.0.0",
		"198.51.99.255",   "198.51.101.0",    "203.0.112.255", "203.0.114.0",	 "223.255.255.255",
	};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		expect(hosts[i], ADDRESS_PUBLIC);
}

/* Decimal, octal, hexadecimal, fewer parts: the resolver makes the same address of each. */
static void spellings_v4(void **state)
{
	static const char *const hosts[] = {
		"2130706433",	 "017700000001",
		"0x7f000001",	 "0x7F.1",
		"127.1",	 "127.0.1",
		"0177.0.0.1",	 "0x7f.0x0.0x0.0x1",
		"0177.0.0x0.1",	 "10.1",
		"0xa.0.0.1",	 "012.0.0.1",
		"167772161",	 "0xA9FEA9FE",
		"2852039166",	 "0251.0376.0251.0376",
		"169.254.43518", "0xa9.254.0251.254",
		"0xc0a80001",	 "3232235521",
		"192.168.1",	 "0",
		"0x0",		 "0.0",
		"4294967295",	 "0xffffffff",
		"172.0x10.1",	 "0144.0100.1",
	};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		expect(hosts[i], ADDRESS_REFUSED);
	expect("134744072", ADDRESS_PUBLIC); /* 8.8.8.8 */
	expect("0x08.010.8.8", ADDRESS_PUBLIC);
}

static void refused_v6(void **state)
{
	static const char *const hosts[] = {
		"::",
		"::1",
		"0:0:0:0:0:0:0:1",
		"::ffff:127.0.0.1",
		"::ffff:7f00:1",
		"0:0:0:0:0:ffff:a9fe:a9fe",
		"::ffff:10.0.0.1",
		"::127.0.0.1",
		"::8.8.8.8",
		"::ffff:0:127.0.0.1",
		"64:ff9b::127.0.0.1",
		"64:ff9b::a00:1",
		"64:ff9b::169.254.169.254",
		"64:ff9b:1::1",
		"64:ff9b:1::8.8.8.8",
		"2002:7f00:1::1",
		"2002:a00:1::",
		"2002:c0a8:101::1",
		"2002:a9fe:a9fe::",
		"2001::1",
		"2001:0:4136:e378:8000:63bf:3fff:fdd2",
		"2001:2::1",
		"2001:10::1",
		"2001:1ff:ffff::1",
		"2001:db8::1",
		"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		"2620:4f:8000::1",
		"3fff::1",
		"3fff:fff::1",
		"100::1",
		"fc00::1",
		"fd00:ec2::254",
		"fdff::1",
		"fe80::1",
		"fe80::1%lo",
		"febf::1",
		"fec0::1",
		"ff02::1",
		"ffff::",
		"4000::1",
		"1fff::1",
		"5f00::1",
	};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		expect(hosts[i], ADDRESS_REFUSED);
}

static void public_v6(void **state)
{
	static const char *const hosts[] = {
		"2001:200::1",	  "2001:4860:4860::8888", "2606:4700::1",    "2a00:1450::1",	"2001:db7::1",
		"2001:db9::1",	  "3ffe:ffff::1",	  "3fff:1000::1",    "2620:4f:7fff::1", "2000::1",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8",	  "2002:808:808::1",
	};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		expect(hosts[i], ADDRESS_PUBLIC);
}

static void other_families_are_refused(void **state)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "/run/x" };
	assert_int_equal(address_judge((const struct sockaddr *)&local, NULL), ADDRESS_REFUSED);
}

static void the_operator_opens_ranges(void **state)
{
	struct address_ranges allow;
	const char *problem;
	assert_true(address_ranges_parse("10.1.0.0/16,127.0.0.1,fd12:3456::/32,192.168.7.128/25", &allow, &problem));
	assert_int_equal(allow.count, 4);
	assert_int_equal(judge("10.1.0.0", &allow), ADDRESS_ALLOWED);
	assert_int_equal(judge("10.1.255.255", &allow), ADDRESS_ALLOWED);
	assert_int_equal(judge("0xa.0x1.1", &allow), ADDRESS_ALLOWED);
	assert_int_equal(judge("::ffff:10.1.2.3", &allow), ADDRESS_ALLOWED); /* the same socket */
	assert_int_equal(judge("64:ff9b::10.1.2.3", &allow), ADDRESS_REFUSED);
	assert_int_equal(judge("10.0.255.255", &allow), ADDRESS_REFUSED);
	assert_int_equal(judge("10.2.0.0", &allow), ADDRESS_REFUSED);
	assert_int_equal(judge("127.0.0.1", &allow), ADDRESS_ALLOWED);
	assert_int_equal(judge("127.0.0.2", &allow), ADDRESS_REFUSED);
	assert_int_equal(judge("::1", &allow), ADDRESS_REFUSED);
	assert_int_equal(judge("fd12:3456:ffff::1", &allow), ADDRESS_ALLOWED);
	assert_int_equal(judge("fd12:3457::1", &allow), ADDRESS_REFUSED);
	assert_int_equal(judge("192.168.7.128", &allow), ADDRESS_ALLOWED);
	assert_int_equal(judge("192.168.7.127", &allow), ADDRESS_REFUSED);
	assert_int_equal(judge("8.8.8.8", &allow), ADDRESS_PUBLIC);
	address_ranges_release(&allow);
	assert_true(address_ranges_parse("0.0.0.0/0,::/0", &allow, &problem));
	assert_int_equal(judge("169.254.169.254", &allow), ADDRESS_ALLOWED);
	assert_int_equal(judge("fe80::1", &allow), ADDRESS_ALLOWED);
	address_ranges_release(&allow);
}

static void ranges_are_read_strictly(void **state)
{
	static const char *const wrong[] = {
		"",
		",",
		"10.0.0.0/8,",
		"10.0.0.0/33",
		"::/129",
		"10.0.0.1/8",
		"10/8",
		"10.0.0.0/",
		"10.0.0.0/-1",
		"10.0.0.0/8 ",
		" 10.0.0.0/8",
		"host",
		"host/8",
		"0x7f.0.0.1/32",
		"127.1/32",
		"[::1]/128",
		"fe80::1%lo",
		"10.0.0.0/008x",
		"fd12::1/16",
		"10.0.0.0/8/8",
	};
	struct address_ranges allow;
	const char *problem;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (address_ranges_parse(wrong[i], &allow, &problem))
			fail_msg("'%s' was taken", wrong[i]);
		assert_null(allow.items);
		assert_non_null(problem);
	}
	char many[(LIMIT_FETCH_ALLOW + 1) * 12] = "";
	for (int i = 0; i < (LIMIT_FETCH_ALLOW + 1); i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), "%s10.0.0.%d", i ? "," : "", i);
	assert_false(address_ranges_parse(many, &allow, &problem));
	assert_string_equal(problem, "these are too many ranges");
}

static void text_is_judged_where_it_is_an_address(void **state)
{
	enum address_verdict v;
	assert_true(address_judge_text("127.0.0.1", NULL, &v));
	assert_int_equal(v, ADDRESS_REFUSED);
	assert_true(address_judge_text("[::1]", NULL, &v));
	assert_int_equal(v, ADDRESS_REFUSED);
	assert_true(address_judge_text("fe80::1%eth0", NULL, &v));
	assert_int_equal(v, ADDRESS_REFUSED);
	assert_true(address_judge_text("8.8.8.8", NULL, &v));
	assert_int_equal(v, ADDRESS_PUBLIC);
	assert_false(address_judge_text("localhost", NULL, &v));
	assert_false(address_judge_text("", NULL, &v));
	assert_false(address_judge_text("[]", NULL, &v));
	assert_false(address_judge_text("1.2.3", NULL, &v)); /* libcurl's parser has made four parts of it before */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_v4),
		cmocka_unit_test(public_v4),
		cmocka_unit_test(spellings_v4),
		cmocka_unit_test(refused_v6),
		cmocka_unit_test(public_v6),
		cmocka_unit_test(other_families_are_refused),
		cmocka_unit_test(the_operator_opens_ranges),
		cmocka_unit_test(ranges_are_read_strictly),
		cmocka_unit_test(text_is_judged_where_it_is_an_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
