/* Which addresses may be fetched from. Pure.
 *
 * Judged is the resolved address, the very one that a socket is about to be connected to: how a URL spells it, or what
 * a name resolves to, can make no difference. What is not plainly the public internet is refused; ranges that the
 * operator names (--fetch-allow) are open. */
#ifndef HOLDFAST_WORK_ADDRESS_H
#define HOLDFAST_WORK_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

struct address_range {
	uint8_t bytes[16]; /* an IPv4 address takes the first four */
	unsigned prefix;   /* bits that count */
	bool v6;
};

struct address_ranges {
	struct address_range *items; /* owned */
	size_t count;
};

enum address_verdict {
	ADDRESS_REFUSED,
	ADDRESS_PUBLIC,	 /* the internet */
	ADDRESS_ALLOWED, /* one of the operator's ranges */
};

/* "10.1.0.0/16,fd12::/16"; an address alone is itself. On false *problem is a fixed sentence and *out is empty. */
bool address_ranges_parse(const char *text, struct address_ranges *out, const char **problem);
void address_ranges_release(struct address_ranges *ranges);

/* `allow` may be NULL. Any family but IPv4 and IPv6 is refused. */
enum address_verdict address_judge(const struct sockaddr *address, const struct address_ranges *allow);
/* Of an address as text ("10.0.0.1", "fe80::1", with brackets too); false when it is none: then it is a name. */
bool address_judge_text(const char *text, const struct address_ranges *allow, enum address_verdict *out);

#endif
