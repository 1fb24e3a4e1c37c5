/* TLS over socket pairs, against OpenSSL's own client: pieces of every size, much data both ways, and peers that are
 * broken or mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/ca.h"
#include "net/tls.h"
#include "support/names_rig.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 70000, LARGE = 8 << 20 };

static SSL_CTX *context;
static struct buf leaf_pem;

/* Both ends of a connection. */
struct link {
	int fds[2]; /* the client's, ours */
	SSL *client;
	SSL_CTX *client_context;
	struct tls *tls;
	size_t fragment; /* so many bytes at a time, both ways */
	enum tls_result result;
	struct buf got; /* plaintext from the client */
};

static int set_up(void **state)
{
	struct buf ca_pem;
	struct names names;
	struct ca *ca;
	const char *why;
	int64_t now = time(NULL);
	buf_init(&ca_pem);
	names_make(&names, "studio", NAMES("127.0.0.1"));
	assert_int_equal(ca_make(&names, now, &ca_pem), ERR_OK);
	assert_int_equal(ca_read(ca_pem.data, now, &ca, &why), ERR_OK);
	assert_int_equal(ca_issue(ca, &names, now, &leaf_pem), ERR_OK);
	assert_int_equal(tls_context_new(leaf_pem.data, leaf_pem.data, &context, &why), ERR_OK);
	ca_free(ca);
	buf_release(&ca_pem);
	return 0;
}

static int tear_down(void **state)
{
	SSL_CTX_free(context);
	buf_release(&leaf_pem);
	return 0;
}

static void link_open(struct link *l, size_t fragment, int version)
{
	*l = (struct link){ .fragment = fragment, .result = TLS_MORE };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, l->fds), 0);
	l->client_context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(l->client_context, version);
	SSL_CTX_set_max_proto_version(l->client_context, version);
	SSL_CTX_set_security_level(l->client_context, 0);
	SSL_CTX_set_mode(l->client_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	l->client = SSL_new(l->client_context);
	SSL_set_fd(l->client, l->fds[0]);
	SSL_set_connect_state(l->client);
	l->tls = tls_new(context);
	assert_non_null(l->tls);
}

static void link_close(struct link *l)
{
	SSL_free(l->client);
	SSL_CTX_free(l->client_context);
	tls_free(l->tls);
	buf_release(&l->got);
	close(l->fds[0]);
	close(l->fds[1]);
	ERR_clear_error();
}

/* Our side's turn, as a peer's would be: what came is read whole, what waits is sent in pieces. True when it moved. */
static bool turn(struct link *l)
{
	uint8_t in[PIECE], plain[PIECE];
	size_t waits, len;
	bool moved = false;
	ssize_t got = recv(l->fds[1], in, l->fragment < PIECE ? l->fragment : PIECE, 0);
	if (got > 0 && l->result != TLS_FAILED && l->result != TLS_END) {
		tls_feed(l->tls, in, (size_t)got);
		do {
			l->result = tls_read(l->tls, plain, sizeof plain, &len);
			buf_add(&l->got, plain, len);
		} while (l->result == TLS_DATA);
		moved = true;
	}
	const uint8_t *out = tls_out(l->tls, &waits);
	assert_true(waits <= LIMIT_TLS_OUT_BYTES);
	if (waits > l->fragment)
		waits = l->fragment;
	ssize_t sent = waits > 0 ? send(l->fds[1], out, waits, MSG_NOSIGNAL) : 0;
	if (sent > 0)
		tls_sent(l->tls, (size_t)sent);
	return moved || sent > 0;
}

static void handshake(struct link *l)
{
	for (unsigned i = 0; !tls_established(l->tls) || !SSL_is_init_finished(l->client); i++) {
		SSL_do_handshake(l->client);
		turn(l);
		assert_true(i < 100000 && l->result == TLS_MORE);
	}
	assert_string_equal(tls_reason(l->tls), "");
}

static const struct {
	size_t fragment;
	int version;
} shapes[] = {
	{ 1, TLS1_3_VERSION },	 { 1, TLS1_2_VERSION },	    { 2, TLS1_3_VERSION },     { 7, TLS1_2_VERSION },
	{ 999, TLS1_3_VERSION }, { 16413, TLS1_3_VERSION }, { PIECE, TLS1_3_VERSION }, { PIECE, TLS1_2_VERSION },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void pattern(uint8_t *to, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		to[i] = (uint8_t)(seed >> 24);
	}
}

/* Sends all of it from the client; our side reads meanwhile. */
static void upload(struct link *l, const uint8_t *data, size_t len)
{
	for (size_t at = 0; at < len || turn(l);) {
		int sent = at < len ? SSL_write(l->client, data + at, len - at > 50000 ? 50000 : (int)(len - at)) : 0;
		if (sent > 0)
			at += (size_t)sent;
		turn(l);
	}
}

/* Sends it from our side, in parts of many sizes, with a queue as a peer has one. */
static void download(struct link *l, const uint8_t *data, size_t len, uint8_t *to)
{
	size_t at = 0, got = 0;
	for (unsigned round = 0; got < len; round++) {
		struct iovec parts[4];
		size_t off = at, taken;
		int count = 0;
		for (; count < 4 && off < len; count++) {
			size_t size = (round * 7919 + (unsigned)count * 104729) % 40000;
			if (size > len - off)
				size = len - off;
			parts[count] = (struct iovec){ (void *)(uintptr_t)(data + off), size };
			off += size;
		}
		size_t skip = count > 0 && parts[0].iov_len > 3 ? 3 : 0; /* as if the queue's first were begun */
		if (skip) {
			parts[0].iov_base = (void *)(uintptr_t)(data + at - (at >= 3 ? 3 : 0));
			skip = at >= 3 ? 3 : 0;
			parts[0].iov_len += skip;
		}
		assert_true(tls_write(l->tls, parts, count, skip, &taken));
		assert_true(taken <= LIMIT_TLS_BURST_BYTES + 16384);
		at += taken;
		turn(l);
		int read = SSL_read(l->client, to + got, (int)(len - got));
		if (read > 0)
			got += (size_t)read;
	}
	assert_int_equal(at, len);
}

static void pieces_of_every_size(void **state)
{
	enum { LEN = 40000 };
	uint8_t *data = malloc(LEN), *back = malloc(LEN);
	for (unsigned i = 0; i < SHAPES; i++) {
		struct link l;
		link_open(&l, shapes[i].fragment, shapes[i].version);
		handshake(&l);
		pattern(data, LEN, i);
		upload(&l, data, LEN);
		assert_int_equal(l.got.len, LEN);
		assert_memory_equal(l.got.data, data, LEN);
		download(&l, data, LEN, back);
		assert_memory_equal(back, data, LEN);
		link_close(&l);
	}
	free(data);
	free(back);
}

static void much_data_both_ways(void **state)
{
	uint8_t *data = malloc(LARGE), *back = malloc(LARGE);
	pattern(data, LARGE, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct link l;
		link_open(&l, PIECE, i ? TLS1_2_VERSION : TLS1_3_VERSION);
		handshake(&l);
		upload(&l, data, LARGE);
		assert_int_equal(l.got.len, LARGE);
		assert_memory_equal(l.got.data, data, LARGE);
		memset(back, 0, LARGE);
		download(&l, data, LARGE, back);
		assert_memory_equal(back, data, LARGE);
		link_close(&l);
	}
	free(data);
	free(back);
}

/* Nothing more is encrypted while the socket takes nothing. */
static void a_peer_that_does_not_read(void **state)
{
	struct link l;
	static uint8_t data[300000];
	size_t taken, waits;
	link_open(&l, PIECE, TLS1_3_VERSION);
	handshake(&l);
	struct iovec part = { data, sizeof data };
	assert_true(tls_write(l.tls, &part, 1, 0, &taken));
	assert_int_equal(taken, LIMIT_TLS_BURST_BYTES);
	tls_out(l.tls, &waits);
	assert_true(waits > taken && waits < taken + 1024);
	assert_true(tls_write(l.tls, &part, 1, taken, &taken));
	assert_int_equal(taken, 0);
	link_close(&l);
}

static void goodbyes(void **state)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct link l;
		char text[8];
		link_open(&l, PIECE, version);
		handshake(&l);
		SSL_write(l.client, "last", 4);
		SSL_shutdown(l.client);
		while (l.result != TLS_END)
			assert_true(turn(&l));
		assert_int_equal(l.got.len, 4);
		struct iovec part = { (char[]){ "answer" }, 6 };
		size_t taken;
		assert_true(tls_write(l.tls, &part, 1, 0, &taken)); /* it may still read */
		assert_int_equal(taken, 6);
		tls_goodbye(l.tls);
		tls_goodbye(l.tls);
		while (turn(&l))
			;
		assert_int_equal(SSL_read(l.client, text, sizeof text), 6);
		assert_int_equal(SSL_read(l.client, text, sizeof text), 0);
		assert_int_equal(SSL_get_error(l.client, 0), SSL_ERROR_ZERO_RETURN);
		link_close(&l);
	}
	struct tls *early = tls_new(context);
	size_t waits;
	tls_goodbye(early); /* nothing was agreed on: nothing to say */
	tls_out(early, &waits);
	assert_int_equal(waits, 0);
	tls_free(early);
}

static enum tls_result fed(const void *data, size_t len, const char **reason)
{
	static char kept[128];
	uint8_t plain[256];
	size_t got;
	struct tls *t = tls_new(context);
	tls_feed(t, data, len);
	enum tls_result result = tls_read(t, plain, sizeof plain, &got);
	assert_int_equal(got, 0);
	snprintf(kept, sizeof kept, "%s", tls_reason(t));
	*reason = kept;
	if (result == TLS_FAILED) { /* and stays so */
		tls_feed(t, data, len);
		assert_int_equal(tls_read(t, plain, sizeof plain, &got), TLS_FAILED);
		assert_false(tls_write(t, &(struct iovec){ plain, 1 }, 1, 0, &got));
	}
	tls_free(t);
	return result;
}

static void nonsense(void **state)
{
	const char *why;
	uint8_t noise[70000];
	assert_int_equal(fed("GET / HTTP/1.1\r\n\r\n", 18, &why), TLS_FAILED);
	assert_true(*why);
	assert_int_equal(fed("\x16\x03\x01", 3, &why), TLS_MORE);
	assert_int_equal(fed("\x16\x03\x01\xff\xff", 5, &why), TLS_FAILED);
	for (unsigned i = 0; i < 2000; i++) {
		pattern(noise, sizeof noise, i);
		memcpy(noise, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", i % 12);
		fed(noise, i % 3 ? i : sizeof noise, &why);
	}
}

/* A client that speaks only what is out of date. */
static void old_versions(void **state)
{
	struct link l;
	link_open(&l, PIECE, TLS1_1_VERSION);
	SSL_set_cipher_list(l.client, "ALL:@SECLEVEL=0");
	for (unsigned i = 0; i < 10 && l.result != TLS_FAILED; i++) {
		SSL_do_handshake(l.client);
		turn(&l);
	}
	assert_int_equal(l.result, TLS_FAILED);
	ERR_clear_error();
	assert_true(SSL_do_handshake(l.client) < 0); /* it got our alert */
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	link_close(&l);
}

static void no_renegotiation(void **state)
{
	struct link l;
	link_open(&l, PIECE, TLS1_2_VERSION);
	handshake(&l);
	SSL_renegotiate(l.client);
	SSL_do_handshake(l.client);
	while (turn(&l))
		;
	ERR_clear_error();
	assert_true(SSL_do_handshake(l.client) <= 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	link_close(&l);
}

/* Each of these asks for an answer, and none is read. */
static void key_updates_without_end(void **state)
{
	struct link l;
	uint8_t in[4096], plain[64];
	size_t len, waits;
	link_open(&l, PIECE, TLS1_3_VERSION);
	handshake(&l);
	for (unsigned i = 0; i < 20000 && l.result != TLS_FAILED; i++) {
		if (SSL_key_update(l.client, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(l.client) != 1)
			break;
		ssize_t got = recv(l.fds[1], in, sizeof in, 0);
		tls_feed(l.tls, in, got > 0 ? (size_t)got : 0);
		l.result = tls_read(l.tls, plain, sizeof plain, &len);
		tls_out(l.tls, &waits);
		assert_true(waits <= LIMIT_TLS_OUT_BYTES);
	}
	link_close(&l);
}

static void protocols(void **state)
{
	static const struct {
		const char *offer, *chosen;
	} rows[] = { { "\x02h2\x08http/1.1", "http/1.1" }, { "\x02h2", "" }, { "", "" } };
	for (unsigned i = 0; i < 3; i++) {
		struct link l;
		const unsigned char *chosen;
		unsigned len;
		link_open(&l, PIECE, TLS1_3_VERSION);
		SSL_set_alpn_protos(l.client, (const unsigned char *)rows[i].offer, (unsigned)strlen(rows[i].offer));
		handshake(&l);
		SSL_get0_alpn_selected(l.client, &chosen, &len);
		assert_int_equal(len, strlen(rows[i].chosen));
		assert_memory_equal(chosen ? (const char *)chosen : "", rows[i].chosen, len);
		link_close(&l);
	}
}

/* A session that is taken up again needs no certificate: the ticket holds it. */
static void tickets(void **state)
{
	struct link l, again;
	char text[4];
	struct iovec part = { (char[]){ "x" }, 1 };
	size_t taken;
	link_open(&l, PIECE, TLS1_3_VERSION);
	handshake(&l);
	assert_true(tls_write(l.tls, &part, 1, 0, &taken));
	while (turn(&l))
		;
	assert_int_equal(SSL_read(l.client, text, sizeof text), 1);
	SSL_SESSION *session = SSL_get1_session(l.client);
	link_open(&again, PIECE, TLS1_3_VERSION);
	SSL_set_session(again.client, session);
	handshake(&again);
	assert_true(SSL_session_reused(again.client));
	SSL_SESSION_free(session);
	link_close(&l);
	link_close(&again);
}

static void wrong_files(void **state)
{
	SSL_CTX *c;
	const char *why;
	assert_int_equal(tls_context_new("", leaf_pem.data, &c, &why), ERR_BAD_FIELD);
	assert_string_equal(why, "it holds no certificate in PEM form");
	assert_int_equal(tls_context_new(leaf_pem.data, "x", &c, &why), ERR_BAD_FIELD);
	assert_string_equal(why, "it holds no key in PEM form, or an encrypted one");
	char *pem;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	BIO_write(bio, "", 1);
	BIO_get_mem_data(bio, &pem);
	assert_int_equal(tls_context_new(leaf_pem.data, pem, &c, &why), ERR_BAD_FIELD);
	assert_string_equal(why, "the key is not that of the certificate");
	BIO_free(bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
	BIO_write(bio, "", 1);
	BIO_get_mem_data(bio, &pem);
	assert_int_equal(tls_context_new(leaf_pem.data, pem, &c, &why), ERR_BAD_FIELD); /* and it asks nobody */
	assert_string_equal(why, "it holds no key in PEM form, or an encrypted one");
	BIO_free(bio);
	EVP_PKEY_free(key);
	assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_every_size),
		cmocka_unit_test(much_data_both_ways),
		cmocka_unit_test(a_peer_that_does_not_read),
		cmocka_unit_test(goodbyes),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(old_versions),
		cmocka_unit_test(no_renegotiation),
		cmocka_unit_test(key_updates_without_end),
		cmocka_unit_test(protocols),
		cmocka_unit_test(tickets),
		cmocka_unit_test(wrong_files),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
