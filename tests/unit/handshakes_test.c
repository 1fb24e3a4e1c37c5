/* Who may begin a TLS handshake: a flood costs a bounded part of a core, and delays nobody who is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/handshakes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static struct handshakes h;

static int fresh(void **state)
{
	handshakes_init(&h, 0x1234567890abcdefULL, 1000);
	return 0;
}

static struct source number(uint32_t n)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + n) };
	struct source out;
	source_of((struct sockaddr *)&address, &out);
	return out;
}

/* How many of `tries` one address gets. */
static unsigned share_of(uint32_t n, unsigned tries, uint64_t now_ms)
{
	struct source source = number(n);
	unsigned got = 0;
	while (tries-- > 0)
		got += handshakes_begin(&h, &source, now_ms);
	return got;
}

static void one_address_has_its_share(void **state)
{
	assert_int_equal(share_of(1, 1000, 1000), LIMIT_HANDSHAKES_AT_ONCE);
	assert_int_equal(share_of(1, 1000, 1000 + 1000), LIMIT_HANDSHAKES_A_SOURCE);
	assert_int_equal(share_of(1, 1000, 1000 + 1000 + 1000 / LIMIT_HANDSHAKES_A_SOURCE), 1);
	assert_int_equal(share_of(2, 1, 2000), 1); /* which is not another one's */
	assert_int_equal(share_of(1, 1000, 3600 * 1000), LIMIT_HANDSHAKES_AT_ONCE);
	assert_int_equal(share_of(1, 1000, UINT64_MAX / 2), LIMIT_HANDSHAKES_AT_ONCE);
}

static void many_addresses_have_one_in_common(void **state)
{
	unsigned got = 0;
	for (uint64_t ms = 1000; ms < 11000; ms += 10)
		for (uint32_t n = 0; n < 50; n++)
			got += share_of(1000 + (uint32_t)ms * 50 + n, 1, ms);
	assert_in_range(got, 10 * LIMIT_HANDSHAKES_A_SECOND, 11 * LIMIT_HANDSHAKES_A_SECOND);
}

static void a_flood_does_not_delay_who_is_known(void **state)
{
	struct source phone = number(7);
	handshakes_known(&h, &phone, 1000);
	for (uint32_t n = 0; n < 100000; n++)
		share_of(1000 + n, 1, 1000);
	assert_int_equal(share_of(8, 1, 1000), 0);
	assert_int_equal(share_of(7, 1000, 1000), LIMIT_HANDSHAKES_AT_ONCE); /* though its own share is one, too */
	assert_int_equal(share_of(7, 1000, 2000), LIMIT_HANDSHAKES_A_SOURCE);
}

static void families_are_told_apart(void **state)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 }, v6 = mapped;
	struct source a, b, c;
	inet_pton(AF_INET, "192.168.1.5", &v4.sin_addr);
	inet_pton(AF_INET6, "::ffff:192.168.1.5", &mapped.sin6_addr);
	inet_pton(AF_INET6, "fe80::192.168.1.5", &v6.sin6_addr);
	source_of((struct sockaddr *)&v4, &a);
	source_of((struct sockaddr *)&mapped, &b);
	source_of((struct sockaddr *)&v6, &c);
	assert_memory_equal(&a, &b, sizeof a);
	assert_memory_not_equal(&a, &c, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_address_has_its_share, fresh),
		cmocka_unit_test_setup(many_addresses_have_one_in_common, fresh),
		cmocka_unit_test_setup(a_flood_does_not_delay_who_is_known, fresh),
		cmocka_unit_test_setup(families_are_told_apart, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
