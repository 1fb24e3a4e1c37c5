/* TLS by OpenSSL, joined to the connection's buffers by a BIO of our own: it reads what was fed and appends what is to
 * be sent, so that no copy and no socket stands between. */
#include "net/tls.h"

#include "base/buf.h"
#include "base/limits.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH };

struct tls {
	SSL *ssl;
	const uint8_t *in; /* fed and not yet read; the caller's */
	size_t in_len;
	struct buf out;
	size_t out_sent;
	bool ended, failed;
	const char *reason;
};

/* --- the BIO --- */

static int bio_read(BIO *bio, char *to, int size)
{
	struct tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (t->in_len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	size_t len = t->in_len < (size_t)size ? t->in_len : (size_t)size;
	memcpy(to, t->in, len);
	t->in += len;
	t->in_len -= len;
	return (int)len;
}

static int bio_write(BIO *bio, const char *data, int size)
{
	struct tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	/* above it, a peer makes us answer and does not read the answers */
	if (t->out.len - t->out_sent + (size_t)size > LIMIT_TLS_OUT_BYTES)
		return -1;
	buf_add(&t->out, data, (size_t)size);
	return t->out.failed ? -1 : size;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH;
}

/* Made once, for the life of the process; loop thread only. */
static const BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;
	if (method)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "peer");
	if (method) {
		BIO_meth_set_read(method, bio_read);
		BIO_meth_set_write(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
	}
	return method;
}

/* --- the context --- */

/* A browser that offers HTTP/2 first must not get it; one that offers nothing is as welcome. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *offered,
			   unsigned offered_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, offered, offered_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* A server that nobody watches asks for no passphrase. */
static int no_passphrase(char *to, int size, int writing, void *arg)
{
	return -1;
}

static const char *context_certificates(SSL_CTX *context, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	bool ok = certificate && SSL_CTX_use_certificate(context, certificate) == 1;
	const char *why = certificate ? "its certificate cannot be used" : "it holds no certificate in PEM form";
	X509_free(certificate);
	while (ok && (certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		ok = SSL_CTX_add0_chain_cert(context, certificate) == 1; /* takes it over */
		if (!ok)
			X509_free(certificate);
	}
	BIO_free(bio);
	return ok ? NULL : why;
}

static const char *context_key(SSL_CTX *context, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	const char *why = NULL;
	if (!key)
		why = "it holds no key in PEM form, or an encrypted one";
	else if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
		why = "the key is not that of the certificate";
	EVP_PKEY_free(key);
	BIO_free(bio);
	return why;
}

static const char *context_fill(SSL_CTX *context, const char *chain_pem, const char *key_pem)
{
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* Buffers of a connection that is idle are given back; a session lives in the client's ticket, not here. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
		return "the ciphers are not there";
	const char *why = context_certificates(context, chain_pem);
	return why ? why : context_key(context, key_pem);
}

enum err tls_context_new(const char *chain_pem, const char *key_pem, SSL_CTX **out, const char **why)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	*out = NULL;
	*why = "out of memory";
	if (!context)
		return ERR_NO_MEMORY;
	*why = context_fill(context, chain_pem, key_pem);
	ERR_clear_error(); /* the end of the PEM text is one */
	if (*why) {
		SSL_CTX_free(context);
		return ERR_BAD_FIELD;
	}
	*out = context;
	return ERR_OK;
}

/* --- a connection --- */

struct tls *tls_new(SSL_CTX *context)
{
	struct tls *t = calloc(1, sizeof *t);
	const BIO_METHOD *method = bio_method();
	BIO *bio = t && method ? BIO_new(method) : NULL;
	if (bio)
		t->ssl = SSL_new(context);
	if (!bio || !t->ssl) {
		BIO_free(bio);
		free(t);
		return NULL;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio); /* takes it over */
	SSL_set_accept_state(t->ssl);
	buf_init(&t->out);
	t->reason = "";
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	buf_release(&t->out);
	free(t);
}

void tls_feed(struct tls *t, const uint8_t *data, size_t len)
{
	t->in = data;
	t->in_len = len;
}

static void fail(struct tls *t)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	t->failed = true;
	t->reason = reason ? reason : "it broke off";
	t->in_len = 0;
	ERR_clear_error();
}

enum tls_result tls_read(struct tls *t, uint8_t *out, size_t size, size_t *len)
{
	*len = 0;
	while (*len < size && !t->ended && !t->failed) {
		size_t got;
		ERR_clear_error();
		if (SSL_read_ex(t->ssl, out + *len, size - *len, &got) == 1) {
			*len += got;
			continue;
		}
		int error = SSL_get_error(t->ssl, 0);
		if (error == SSL_ERROR_WANT_READ)
			return *len > 0 ? TLS_DATA : TLS_MORE;
		if (error == SSL_ERROR_ZERO_RETURN)
			t->ended = true;
		else
			fail(t);
	}
	if (*len > 0)
		return TLS_DATA;
	return t->failed ? TLS_FAILED : TLS_END;
}

/* Where the next byte stands among the parts. */
struct cursor {
	const struct iovec *part;
	int left; /* parts, this one included */
	size_t skip;
};

static void cursor_settle(struct cursor *c)
{
	while (c->left > 0 && c->skip >= c->part->iov_len) {
		c->skip -= c->part->iov_len;
		c->part++;
		c->left--;
	}
}

/* At most one record from the parts: where it stands, or gathered into `scratch` when the parts are small: replies are
 * shorter than what a record adds to them. */
static const uint8_t *record_gather(struct cursor *c, uint8_t *scratch, size_t *len)
{
	const uint8_t *at = (const uint8_t *)c->part->iov_base + c->skip;
	size_t here = c->part->iov_len - c->skip;
	*len = 0;
	if (here >= RECORD_BYTES || c->left == 1) {
		*len = here < RECORD_BYTES ? here : RECORD_BYTES;
		c->skip += *len;
		cursor_settle(c);
		return at;
	}
	while (c->left > 0 && *len < RECORD_BYTES) {
		at = (const uint8_t *)c->part->iov_base + c->skip;
		here = c->part->iov_len - c->skip;
		if (here > RECORD_BYTES - *len)
			here = RECORD_BYTES - *len;
		memcpy(scratch + *len, at, here);
		*len += here;
		c->skip += here;
		cursor_settle(c);
	}
	return scratch;
}

bool tls_write(struct tls *t, const struct iovec *parts, int count, size_t skip, size_t *taken)
{
	uint8_t scratch[RECORD_BYTES];
	struct cursor c = { parts, count, skip };
	*taken = 0;
	cursor_settle(&c);
	if (t->out.len > t->out_sent)
		return !t->failed;
	while (c.left > 0 && *taken < LIMIT_TLS_BURST_BYTES && !t->failed) {
		size_t len, written;
		const uint8_t *data = record_gather(&c, scratch, &len);
		ERR_clear_error();
		if (SSL_write_ex(t->ssl, data, len, &written) != 1)
			fail(t);
		else
			*taken += written; /* all of it: our BIO takes everything */
	}
	return !t->failed;
}

void tls_goodbye(struct tls *t)
{
	if (t->failed || !SSL_is_init_finished(t->ssl) || SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN)
		return;
	ERR_clear_error();
	SSL_shutdown(t->ssl);
	ERR_clear_error();
}

const uint8_t *tls_out(const struct tls *t, size_t *len)
{
	*len = t->out.len - t->out_sent;
	return *len ? (const uint8_t *)t->out.data + t->out_sent : NULL;
}

void tls_sent(struct tls *t, size_t len)
{
	t->out_sent += len;
	if (t->out_sent < t->out.len)
		return;
	t->out_sent = 0;
	buf_release(&t->out); /* an idle connection keeps nothing */
	buf_init(&t->out);
}

bool tls_established(const struct tls *t)
{
	return SSL_is_init_finished(t->ssl);
}

const char *tls_reason(const struct tls *t)
{
	return t->reason;
}
