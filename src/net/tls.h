/* TLS on a connection's bytes, without a socket: ciphertext is fed in and plaintext read, plaintext is written and
 * ciphertext taken out. Who owns the socket decides when.
 *
 * Guarantees: TLS 1.2 or 1.3 with forward secrecy, no renegotiation, no compression, no early data. All that is fed is
 * consumed by reading to TLS_MORE; what stays inside is less than one record. Ciphertext that waits to be sent never
 * exceeds LIMIT_TLS_OUT_BYTES, whatever the peer provokes. Nothing blocks. */
#ifndef HOLDFAST_NET_TLS_H
#define HOLDFAST_NET_TLS_H

#include "base/err.h"

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { TLS_FIRST_BYTE = 0x16 }; /* of every connection that begins with a TLS handshake; no HTTP method has it */

struct tls;

enum tls_result {
	TLS_DATA,   /* *len bytes of plaintext; there may be more */
	TLS_MORE,   /* all that was fed is worked */
	TLS_END,    /* the peer said close_notify: nothing more comes, it may still read */
	TLS_FAILED, /* what came was no TLS of ours, or a bad one; an alert may wait in tls_out */
};

/* What a server needs: its certificate, with the chain behind it, and the key; both PEM, the key not encrypted. On
 * error *why is a sentence's end ("it holds no certificate …"). To be freed by SSL_CTX_free; a connection holds its own
 * reference. */
enum err tls_context_new(const char *chain_pem, const char *key_pem, SSL_CTX **out, const char **why);

/* NULL: out of memory. */
struct tls *tls_new(SSL_CTX *context);
void tls_free(struct tls *t); /* accepts NULL */

/* `data` is borrowed until tls_read has said TLS_MORE, TLS_END or TLS_FAILED. */
void tls_feed(struct tls *t, const uint8_t *data, size_t len);
enum tls_result tls_read(struct tls *t, uint8_t *out, size_t size, size_t *len);

/* Encrypts the parts behind their first `skip` bytes, LIMIT_TLS_BURST_BYTES at most, and nothing while ciphertext
 * waits. Returns how many bytes of them it took; false when nothing can ever be sent any more. */
bool tls_write(struct tls *t, const struct iovec *parts, int count, size_t skip, size_t *taken);
/* close_notify, once; does nothing before the handshake is over and after a failure. */
void tls_goodbye(struct tls *t);

/* Ciphertext that waits to be sent, and that so much of it was. */
const uint8_t *tls_out(const struct tls *t, size_t *len);
void tls_sent(struct tls *t, size_t len);

/* Is the handshake over? */
bool tls_established(const struct tls *t);
/* Why it failed, for the log; a fixed text. */
const char *tls_reason(const struct tls *t);

#endif
