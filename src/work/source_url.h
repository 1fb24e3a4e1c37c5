/* The URLs that recordings are fetched from: their form, before anybody connects anywhere. Pure (libcurl's own URL
 * parser reads them, so that what is judged is what libcurl would go to). */
#ifndef HOLDFAST_WORK_SOURCE_URL_H
#define HOLDFAST_WORK_SOURCE_URL_H

#include "base/err.h"
#include "work/address.h"

enum { SOURCE_HOST = 256 };

struct source_rules {
	struct address_ranges allow; /* addresses that are open though they are not public */
	bool http;		     /* plain http to those of `allow` */
};

struct source_place {
	char host[SOURCE_HOST]; /* in lower case; an IPv6 address without brackets */
	uint16_t port;
	bool tls;
};

/* ERR_OK, or ERR_URL_REFUSED with a fixed sentence in *why. A host that is an address in any spelling is judged here, a
 * name only when it was resolved. `place` may be NULL. */
enum err source_url_judge(const char *url, const struct source_rules *rules, struct source_place *place,
			  const char **why);
/* Where a Location leads from `base`: a new string, NULL when nowhere. */
char *source_url_follow(const char *base, const char *location);
/* May a connection of this kind be made to the resolved address? */
bool source_address_open(const struct sockaddr *address, bool tls, const struct source_rules *rules);

#endif
