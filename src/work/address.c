/* Which addresses may be fetched from, see address.h. The ranges are those of IANA's registries of special-purpose
 * addresses (RFC 6890 and what followed), and of IPv6 everything outside of 2000::/3. */
#include "work/address.h"

#include "base/limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct block {
	uint32_t base;
	unsigned prefix;
};

static const struct block closed_v4[] = {
	{ 0x00000000, 8 },  /* 0.0.0.0: "this network"; Linux connects it to itself */
	{ 0x0a000000, 8 },  /* 10.0.0.0: private */
	{ 0x64400000, 10 }, /* 100.64.0.0: carriers' NAT; one cloud's metadata */
	{ 0x7f000000, 8 },  /* 127.0.0.0: loopback */
	{ 0xa83f8110, 32 }, /* 168.63.129.16: a public address, and one cloud's metadata */
	{ 0xa9fe0000, 16 }, /* 169.254.0.0: link-local; most clouds' metadata */
	{ 0xac100000, 12 }, /* 172.16.0.0: private */
	{ 0xc0000000, 24 }, /* 192.0.0.0: protocols; one cloud's metadata */
	{ 0xc0000200, 24 }, /* 192.0.2.0: documentation */
	{ 0xc0586300, 24 }, /* 192.88.99.0: 6to4 relays */
	{ 0xc0a80000, 16 }, /* 192.168.0.0: private */
	{ 0xc6120000, 15 }, /* 198.18.0.0: benchmarking */
	{ 0xc6336400, 24 }, /* 198.51.100.0: documentation */
	{ 0xcb007100, 24 }, /* 203.0.113.0: documentation */
	{ 0xe0000000, 4 },  /* 224.0.0.0: multicast */
	{ 0xf0000000, 4 },  /* 240.0.0.0: reserved, broadcast */
};

static const struct address_range closed_v6[] = {
	{ { 0x20, 0x01, 0x00 }, 23, true },		     /* 2001::/23: protocols, Teredo, benchmarking */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, true },	     /* 2001:db8::/32: documentation */
	{ { 0x3f, 0xff, 0x00 }, 20, true },		     /* 3fff::/20: documentation */
	{ { 0x26, 0x20, 0x00, 0x4f, 0x80, 0x00 }, 48, true } /* 2620:4f:8000::/48: sinks of reverse look-ups */
};

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	unsigned rest = bits % 8;
	return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

static bool v4_public(const uint8_t bytes[4])
{
	uint32_t address = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
	for (size_t i = 0; i < sizeof closed_v4 / sizeof closed_v4[0]; i++) {
		uint32_t mask = UINT32_MAX << (32 - closed_v4[i].prefix);
		if ((address & mask) == closed_v4[i].base)
			return false;
	}
	return true;
}

/* NAT64's well-known prefix and 6to4 lead to the IPv4 address inside; Teredo's (2001::/32) is never a server's. */
static bool v6_public(const uint8_t bytes[16])
{
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	if (memcmp(bytes, nat64, sizeof nat64) == 0)
		return v4_public(bytes + 12);
	if (bytes[0] == 0x20 && bytes[1] == 0x02)
		return v4_public(bytes + 2);
	if (bytes[0] >> 5 != 1) /* outside of 2000::/3: ::1, ::a.b.c.d, link-local, unique local, multicast … */
		return false;
	for (size_t i = 0; i < sizeof closed_v6 / sizeof closed_v6[0]; i++) {
		if (bits_equal(bytes, closed_v6[i].bytes, closed_v6[i].prefix))
			return false;
	}
	return true;
}

static enum address_verdict judge_bytes(const uint8_t *bytes, bool v6, const struct address_ranges *allow)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (v6 && memcmp(bytes, mapped, sizeof mapped) == 0) { /* the kernel connects to the IPv4 address */
		bytes += 12;
		v6 = false;
	}
	for (size_t i = 0; allow && i < allow->count; i++) {
		const struct address_range *range = &allow->items[i];
		if (range->v6 == v6 && bits_equal(bytes, range->bytes, range->prefix))
			return ADDRESS_ALLOWED;
	}
	return (v6 ? v6_public(bytes) : v4_public(bytes)) ? ADDRESS_PUBLIC : ADDRESS_REFUSED;
}

enum address_verdict address_judge(const struct sockaddr *address, const struct address_ranges *allow)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		return judge_bytes((const uint8_t *)&in.sin_addr, false, allow);
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in;
		memcpy(&in, address, sizeof in);
		return judge_bytes(in.sin6_addr.s6_addr, true, allow);
	}
	return ADDRESS_REFUSED;
}

/* An address without its brackets and zone; false when the text is none. */
static bool parse(const char *text, size_t len, uint8_t bytes[16], bool *v6)
{
	char host[INET6_ADDRSTRLEN + 1];
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	const char *zone = memchr(text, '%', len);
	if (zone)
		len = (size_t)(zone - text);
	if (len == 0 || len >= sizeof host)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	memset(bytes, 0, 16);
	*v6 = inet_pton(AF_INET6, host, bytes) == 1;
	return *v6 || inet_pton(AF_INET, host, bytes) == 1;
}

bool address_judge_text(const char *text, const struct address_ranges *allow, enum address_verdict *out)
{
	uint8_t bytes[16];
	bool v6;
	if (!parse(text, strlen(text), bytes, &v6))
		return false;
	*out = judge_bytes(bytes, v6, allow);
	return true;
}

static bool prefix_parse(const char *text, size_t len, unsigned max, unsigned *out)
{
	unsigned value = 0;
	if (len == 0 || len > 3)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	*out = value;
	return value <= max;
}

static bool range_parse(const char *text, size_t len, struct address_range *out)
{
	const char *slash = memchr(text, '/', len);
	if (memchr(text, '%', len) || memchr(text, '[', len) ||
	    !parse(text, slash ? (size_t)(slash - text) : len, out->bytes, &out->v6))
		return false;
	unsigned bits = out->v6 ? 128 : 32;
	out->prefix = bits;
	if (slash && !prefix_parse(slash + 1, len - (size_t)(slash + 1 - text), bits, &out->prefix))
		return false;
	for (unsigned i = out->prefix; i < bits; i++) { /* 10.1.2.3/8 is a slip, whichever way it was meant */
		if (out->bytes[i / 8] & 0x80 >> i % 8)
			return false;
	}
	return true;
}

bool address_ranges_parse(const char *text, struct address_ranges *out, const char **problem)
{
	*out = (struct address_ranges){ .items = calloc(LIMIT_FETCH_ALLOW, sizeof *out->items) };
	*problem = "out of memory";
	for (const char *at = text; out->items;) {
		size_t len = strcspn(at, ",");
		bool room = out->count < LIMIT_FETCH_ALLOW;
		if (!room || !range_parse(at, len, &out->items[out->count])) {
			*problem = room ? "it must be addresses or ranges like 10.1.0.0/16, with no bit set behind the "
					  "prefix, separated by commas"
					: "these are too many ranges";
			break;
		}
		out->count++;
		if (!at[len])
			return true;
		at += len + 1;
	}
	address_ranges_release(out);
	return false;
}

void address_ranges_release(struct address_ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct address_ranges){ 0 };
}
