/* What this machine is called on the local network: its addresses and names, as a certificate may hold them.
 *
 * Only private addresses count (RFC 1918, link-local, unique local, loopback): the private CA may sign for no others,
 * and a server that is meant for a room is not advertised to the world. */
#ifndef HOLDFAST_NET_NAMES_H
#define HOLDFAST_NET_NAMES_H

#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	ADDRESS_TEXT = 46, /* INET6_ADDRSTRLEN */
	NAME_CHARS = 253,  /* of a DNS name */
	NAMES_HOSTS = 6,
	NAMES_URL = 80,
};

struct name_address {
	uint8_t rank; /* lower: likelier the one that a phone reaches */
	uint8_t len;  /* 4 or 16 */
	uint8_t bytes[16];
};

struct names {
	struct name_address addresses[LIMIT_LAN_ADDRESSES]; /* by rank, then by value; each once */
	unsigned address_count;
	char hosts[NAMES_HOSTS][NAME_CHARS + 1]; /* lower case */
	unsigned host_count;
	unsigned left_out;	    /* addresses that are not private */
	char example[ADDRESS_TEXT]; /* the first of them */
};

/* As the machine is now. Does not block: the kernel is asked, no name server. False when it did not say: then *out has
 * what is always there. */
bool names_collect(struct names *out);

/* The parts of it. `host` is what gethostname says; one that is no DNS name counts as none. A single label is known by
 * its name in .local, .lan and .home.arpa only: bare, it might be a top-level domain ("studio", "dev"). */
void names_init(struct names *n, const char *host);
/* Adds an address of this interface if it is private and there is room. */
void names_add(struct names *n, const struct sockaddr *address, const char *interface);
/* The one that leads out of here comes first; IPv4 before IPv6. */
void names_prefer(struct names *n, const struct sockaddr *address);

bool names_equal(const struct names *a, const struct names *b);
/* Is a Host header, a port behind it or not, one of them? */
bool names_have(const struct names *n, const char *host);

bool address_is_private(const uint8_t *bytes, unsigned len);
void address_text(const struct name_address *address, char out[ADDRESS_TEXT]);
/* Can a phone reach it: neither loopback nor link-local? */
bool address_is_reachable(const struct name_address *address);
/* "https://192.168.1.5:8443", of the address that comes first; of 127.0.0.1 when none can be reached. */
void names_url(const struct names *n, const char *scheme, uint16_t port, char out[NAMES_URL]);

#endif
