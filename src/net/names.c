/* The machine's names, see names.h. */
#include "net/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum rank { RANK_WAY_OUT, RANK_V4, RANK_V6, RANK_VIRTUAL, RANK_LINK_LOCAL, RANK_LOOPBACK };

static bool bits_are(const uint8_t *bytes, unsigned first, uint8_t mask, uint8_t value)
{
	return (bytes[first] & mask) == value;
}

static bool is_loopback(const uint8_t *bytes, unsigned len)
{
	static const uint8_t v6[16] = { [15] = 1 };
	return len == 4 ? bytes[0] == 127 : memcmp(bytes, v6, sizeof v6) == 0;
}

static bool is_link_local(const uint8_t *bytes, unsigned len)
{
	return len == 4 ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xfe && bits_are(bytes, 1, 0xc0, 0x80);
}

bool address_is_private(const uint8_t *bytes, unsigned len)
{
	if (is_loopback(bytes, len) || is_link_local(bytes, len))
		return true;
	if (len == 16)
		return bits_are(bytes, 0, 0xfe, 0xfc);
	return bytes[0] == 10 || (bytes[0] == 172 && bits_are(bytes, 1, 0xf0, 16)) ||
	       (bytes[0] == 192 && bytes[1] == 168);
}

bool address_is_reachable(const struct name_address *address)
{
	return address->rank < RANK_LINK_LOCAL;
}

void address_text(const struct name_address *address, char out[ADDRESS_TEXT])
{
	inet_ntop(address->len == 4 ? AF_INET : AF_INET6, address->bytes, out, ADDRESS_TEXT);
}

/* The bytes of a socket's address; an IPv4 one in IPv6's clothes is IPv4. */
static bool address_take(const struct sockaddr *address, struct name_address *out)
{
	*out = (struct name_address){ 0 };
	if (address->sa_family == AF_INET) {
		out->len = 4;
		memcpy(out->bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
		return true;
	}
	if (address->sa_family != AF_INET6)
		return false;
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	bool mapped = IN6_IS_ADDR_V4MAPPED(v6);
	out->len = mapped ? 4 : 16;
	memcpy(out->bytes, v6->s6_addr + (mapped ? 12 : 0), out->len);
	return true;
}

/* --- names --- */

/* Letters, digits and hyphens in labels of 1 to 63, and no number at the end, as an address has. */
static bool host_is_valid(const char *host)
{
	size_t len = strlen(host), label = 0;
	bool letters = false;
	if (len == 0 || len > NAME_CHARS)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool dot = host[i] == '.';
		if (dot ? label == 0 || label > 63 || host[i - 1] == '-'
			: !isalnum((unsigned char)host[i]) && (host[i] != '-' || label == 0))
			return false;
		letters = dot ? false : letters || isalpha((unsigned char)host[i]);
		label = dot ? 0 : label + 1;
	}
	return letters && label > 0 && label <= 63 && host[len - 1] != '-';
}

static void host_add(struct names *n, const char *host, int len, const char *suffix)
{
	if (n->host_count == NAMES_HOSTS || (size_t)len + strlen(suffix) > NAME_CHARS)
		return;
	char *to = n->hosts[n->host_count];
	snprintf(to, NAME_CHARS + 1, "%.*s%s", len, host, suffix);
	for (char *p = to; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (unsigned i = 0; i < n->host_count; i++)
		if (strcmp(n->hosts[i], to) == 0)
			return;
	n->host_count++;
}

void names_init(struct names *n, const char *host)
{
	*n = (struct names){ 0 };
	host_add(n, "localhost", 9, "");
	if (!host_is_valid(host))
		return;
	int label = (int)strcspn(host, ".");
	if (host[label])
		host_add(n, host, (int)strlen(host), "");
	if (label == 9 && strncasecmp(host, "localhost", 9) == 0)
		return;
	host_add(n, host, label, ".local");
	host_add(n, host, label, ".lan");
	host_add(n, host, label, ".home.arpa");
}

/* --- addresses --- */

static int compare(const struct name_address *a, const struct name_address *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->len != b->len ? (int)a->len - (int)b->len : memcmp(a->bytes, b->bytes, a->len);
}

static int find(const struct names *n, const struct name_address *address)
{
	for (unsigned i = 0; i < n->address_count; i++)
		if (n->addresses[i].len == address->len &&
		    memcmp(n->addresses[i].bytes, address->bytes, address->len) == 0)
			return (int)i;
	return -1;
}

static void take_out(struct names *n, unsigned at)
{
	n->address_count--;
	memmove(&n->addresses[at], &n->addresses[at + 1], (n->address_count - at) * sizeof *n->addresses);
}

/* At its place in the order; when all are taken, the last one goes. */
static void put_in(struct names *n, const struct name_address *address)
{
	unsigned at = 0;
	while (at < n->address_count && compare(&n->addresses[at], address) < 0)
		at++;
	if (at == LIMIT_LAN_ADDRESSES)
		return;
	if (n->address_count == LIMIT_LAN_ADDRESSES)
		n->address_count--;
	memmove(&n->addresses[at + 1], &n->addresses[at], (n->address_count - at) * sizeof *n->addresses);
	n->addresses[at] = *address;
	n->address_count++;
}

/* Networks of containers, machines within the machine, and tunnels: no phone is there. */
static bool interface_is_virtual(const char *interface)
{
	static const char *const begins[] = { "docker", "br-",	  "veth", "virbr", "vmnet", "vboxnet", "lxc",
					      "lxdbr",	"podman", "cni",  "tun",   "tap",   "wg",      "tailscale" };
	for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
		if (strncmp(interface, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

void names_add(struct names *n, const struct sockaddr *address, const char *interface)
{
	struct name_address a;
	if (!address_take(address, &a))
		return;
	if (!address_is_private(a.bytes, a.len)) {
		if (n->left_out++ == 0)
			address_text(&a, n->example);
		return;
	}
	if (is_loopback(a.bytes, a.len))
		a.rank = RANK_LOOPBACK;
	else if (is_link_local(a.bytes, a.len))
		a.rank = RANK_LINK_LOCAL;
	else if (interface_is_virtual(interface))
		a.rank = RANK_VIRTUAL;
	else
		a.rank = a.len == 4 ? RANK_V4 : RANK_V6;
	if (find(n, &a) < 0)
		put_in(n, &a);
}

void names_prefer(struct names *n, const struct sockaddr *address)
{
	struct name_address a;
	int at = address_take(address, &a) ? find(n, &a) : -1;
	if (at < 0 || !address_is_reachable(&n->addresses[at]))
		return;
	take_out(n, (unsigned)at);
	a.rank = RANK_WAY_OUT;
	put_in(n, &a);
}

/* The address that packets to the world would carry: a datagram socket that is connected sends nothing. */
static void prefer_way_out(struct names *n)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) }, from = { 0 };
	socklen_t len = sizeof from;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	inet_pton(AF_INET, "192.0.2.1", &to.sin_addr); /* an address for documentation: nobody's */
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && getsockname(fd, (struct sockaddr *)&from, &len) == 0)
		names_prefer(n, (struct sockaddr *)&from);
	close(fd);
}

bool names_collect(struct names *out)
{
	char host[NAME_CHARS + 1] = "";
	struct ifaddrs *all = NULL;
	if (gethostname(host, sizeof host - 1) != 0)
		host[0] = '\0';
	names_init(out, host);
	bool said = getifaddrs(&all) == 0;
	for (const struct ifaddrs *i = said ? all : NULL; i; i = i->ifa_next)
		if (i->ifa_addr && i->ifa_flags & IFF_UP)
			names_add(out, i->ifa_addr, i->ifa_name);
	if (said)
		freeifaddrs(all);
	for (unsigned family = 0; family < 2; family++) { /* these two are always ours */
		struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
		names_add(out, family ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, "lo");
	}
	prefer_way_out(out);
	return said;
}

bool names_equal(const struct names *a, const struct names *b)
{
	if (a->address_count != b->address_count || a->host_count != b->host_count)
		return false;
	for (unsigned i = 0; i < a->address_count; i++)
		if (compare(&a->addresses[i], &b->addresses[i]) != 0)
			return false;
	for (unsigned i = 0; i < a->host_count; i++)
		if (strcmp(a->hosts[i], b->hosts[i]) != 0)
			return false;
	return true;
}

/* --- Host --- */

bool names_have(const struct names *n, const char *host)
{
	char name[NAME_CHARS + 1];
	struct name_address a = { 0 };
	bool v6 = *host == '[';
	size_t len = v6 ? strcspn(host + 1, "]") : strcspn(host, ":");
	const char *behind = host + len + (v6 ? 1 : 0);
	if (v6 && *behind++ != ']')
		return false;
	if (len == 0 || len > NAME_CHARS || (*behind && *behind != ':') ||
	    (*behind && strspn(behind + 1, "0123456789") != strlen(behind + 1)))
		return false;
	memcpy(name, host + v6, len);
	name[len] = '\0';
	a.len = v6 ? 16 : 4;
	if (inet_pton(v6 ? AF_INET6 : AF_INET, name, a.bytes) == 1)
		return find(n, &a) >= 0 || is_loopback(a.bytes, a.len);
	if (!v6 && name[len - 1] == '.')
		name[len - 1] = '\0'; /* a name that says it is whole */
	for (unsigned i = 0; !v6 && i < n->host_count; i++)
		if (strcasecmp(name, n->hosts[i]) == 0)
			return true;
	return false;
}

void names_url(const struct names *n, const char *scheme, uint16_t port, char out[NAMES_URL])
{
	char text[ADDRESS_TEXT] = "127.0.0.1";
	bool v6 = false;
	if (n->address_count > 0 && address_is_reachable(&n->addresses[0])) {
		address_text(&n->addresses[0], text);
		v6 = n->addresses[0].len == 16;
	}
	snprintf(out, NAMES_URL, "%s://%s%s%s:%u", scheme, v6 ? "[" : "", text, v6 ? "]" : "", port);
}
