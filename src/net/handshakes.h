/* How many TLS handshakes may begin: each costs us a signature, and anybody who reaches the port can ask for one. Pure.
 *
 * An address has a share of its own, which is enough for any device and little for a flood; all addresses on which
 * nobody has shown a grant yet have one more in common, so that many of them together cost a bounded part of one core.
 * Addresses of devices that showed a grant need only their own share: no flood from elsewhere delays them.
 * Who may not begin now waits and asks again. */
#ifndef HOLDFAST_NET_HANDSHAKES_H
#define HOLDFAST_NET_HANDSHAKES_H

#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct source {
	uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};

struct allowance {
	uint64_t at_ms;
	uint32_t thousandths;
};

struct handshakes {
	struct {
		struct source source;
		struct allowance own;
		bool used, known;
	} slots[LIMIT_HANDSHAKE_SOURCES]; /* by a hash; a newcomer takes the place of one that is not known */
	struct allowance common;
	uint64_t key; /* of the hash: nobody can choose whose place they take */
};

void handshakes_init(struct handshakes *h, uint64_t key, uint64_t now_ms);
/* May one begin? Then it counts. */
bool handshakes_begin(struct handshakes *h, const struct source *source, uint64_t now_ms);
/* Somebody showed a grant there. */
void handshakes_known(struct handshakes *h, const struct source *source, uint64_t now_ms);

void source_of(const struct sockaddr *address, struct source *out);
/* A number for the address, never 0, that nobody elsewhere can choose; one for all of a network of IPv6. */
uint64_t source_number(const struct source *source, uint64_t key);

#endif
