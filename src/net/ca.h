/* The private authority of one server, and the certificates that it signs for it. Pure: texts in, texts out; where they
 * are kept is the owner's matter.
 *
 * Guarantees: the authority's certificate carries critical name constraints, so that whoever steals its key can pretend
 * to be machines of a private network and nothing else: only private addresses and the names in .local, .lan,
 * .home.arpa, localhost and, if it is a name with a dot, the machine's own. It may sign no further authorities. A text
 * that is damaged, expired or not of our making is an error with a reason and never replaced: phones trust the old one.
 */
#ifndef HOLDFAST_NET_CA_H
#define HOLDFAST_NET_CA_H

#include "base/buf.h"
#include "base/err.h"
#include "net/names.h"

#include <stdint.h>

struct ca;

enum { FINGERPRINT_TEXT = 96 }; /* 32 bytes as AA:BB:… */

/* A new authority, valid for LIMIT_CA_DAYS: its key and certificate as PEM. ERR_NO_MEMORY. */
enum err ca_make(const struct names *names, int64_t now_s, struct buf *pem);

/* Reads it. ERR_CORRUPT: *why is the end of a sentence about the text ("it holds no key"). */
enum err ca_read(const char *pem, int64_t now_s, struct ca **out, const char **why);
void ca_free(struct ca *ca); /* accepts NULL */

/* A certificate for all the names that the authority may sign for, with a key of its own; both as PEM. ERR_NO_MEMORY.
 */
enum err ca_issue(const struct ca *ca, const struct names *names, int64_t now_s, struct buf *pem);

/* Is this what ca_issue would make: ours, whole, for exactly these names, and neither too young nor close to its end?
 */
bool ca_leaf_fits(const struct ca *ca, const char *pem, const struct names *names, int64_t now_s);

/* What people and phones are told. All live as long as the authority. */
const uint8_t *ca_der(const struct ca *ca, size_t *len);
const char *ca_fingerprint(const struct ca *ca); /* SHA-256 of the DER */
const char *ca_name(const struct ca *ca);
int64_t ca_not_after(const struct ca *ca);

#endif
