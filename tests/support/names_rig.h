/* Names and addresses for tests of what is made of them. */
#ifndef HOLDFAST_TESTS_NAMES_RIG_H
#define HOLDFAST_TESTS_NAMES_RIG_H

#include "net/names.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* Adds an address given as text. */
static inline void names_put(struct names *n, const char *text, const char *interface)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		names_add(n, (struct sockaddr *)&v4, interface);
	else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		names_add(n, (struct sockaddr *)&v6, interface);
}

/* A machine with these addresses, the list ended by NULL. */
static inline void names_make(struct names *n, const char *host, const char *const *addresses)
{
	names_init(n, host);
	for (; *addresses; addresses++)
		names_put(n, *addresses, "eth0");
}

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

#endif
