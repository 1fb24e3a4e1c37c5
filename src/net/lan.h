/* Being found and trusted on the local network: the machine's names, the private authority and the certificate that
 * follows the names, the address and the QR code for phones.
 *
 * It does no I/O but to ask the kernel for addresses: files are their owner's matter (src/lan.c). Loop thread only. */
#ifndef HOLDFAST_NET_LAN_H
#define HOLDFAST_NET_LAN_H

#include "base/buf.h"
#include "base/err.h"
#include "net/ca.h"
#include "net/names.h"

#include <openssl/types.h>

struct lan;

enum { LAN_PAIRING_TEXT = 128, LAN_URL = 512 };

struct lan_config {
	const char *ca_pem;   /* as ca_make made it */
	const char *leaf_pem; /* the certificate that was kept; NULL: none. Anything that does not fit is made anew */
	/* Keep this certificate. It is in use already and can be made again: when keeping it fails, nothing is lost. */
	void (*keep)(void *arg, const char *leaf_pem, size_t len);
	/* The first address is another one: what was printed is out of date. May be NULL. */
	void (*moved)(void *arg);
	/* The current pairing token, until when it is good. NULL: the QR code carries none. */
	void (*pairing)(void *arg, int64_t now_ms, char out[LAN_PAIRING_TEXT], int64_t *expires_ms);
	void *pairing_arg;
	void *arg; /* of the others */
	/* How the machine is called now; NULL: names_collect. Tests bring their own. */
	bool (*collect)(struct names *out);
};

/* ERR_CORRUPT: the authority's text; *why is the end of a sentence about it. */
enum err lan_new(const struct lan_config *config, int64_t now_s, struct lan **out, const char **why);
void lan_free(struct lan *lan); /* accepts NULL */

/* Looks at the addresses and the certificate's end, and makes another one when it must. To be called every
 * LIMIT_LAN_LOOK_MS. */
void lan_look(struct lan *lan, int64_t now_s);

const struct names *lan_names(const struct lan *lan);
const struct ca *lan_ca(const struct lan *lan);
/* For the next connection; those that are open keep theirs. */
SSL_CTX *lan_context(const struct lan *lan);

/* Which port is listened on, once that is known. */
void lan_set_port(struct lan *lan, uint16_t port);
uint16_t lan_port(const struct lan *lan);

/* The address that a phone opens to be paired: over "https", or over "http" where it does not trust the authority.
 * *expires_ms is 0 without a pairing token. */
void lan_pair_url(const struct lan *lan, const char *scheme, int64_t now_ms, char out[LAN_URL], int64_t *expires_ms);

#endif
