/* TLS between a peer's socket and its bytes. What was read is decrypted at once and whole, so that a gate that closes
 * in the middle finds plaintext to keep, in order, and never more than one read of it. */
#include "net/private.h"

#include "base/log.h"

#include <stdlib.h>

/* Is it TLS? Then `secure` is made. False when it can't be had. */
static bool begin(struct peer *p, uint8_t first)
{
	struct net *n = p->net;
	bool lan = p->door == DOOR_LAN || (p->door == DOOR_SOURCE && !n->config.tls && n->lan);
	if (first != TLS_FIRST_BYTE)
		return true;
	if (!lan && !n->config.tls)
		return false;
	p->secure = tls_new(lan ? lan_context(n->lan) : n->config.tls);
	p->tls = p->secure != NULL;
	return p->tls;
}

void secure_end(struct peer *p)
{
	tls_free(p->secure);
	p->secure = NULL;
}

bool secure_flush(struct peer *p)
{
	size_t waits;
	const uint8_t *data = tls_out(p->secure, &waits);
	if (waits == 0)
		return true;
	if (p->doomed)
		return false;
	if (!p->blocked) {
		ssize_t sent = peer_socket_send(p, &(struct iovec){ (void *)(uintptr_t)data, waits }, 1);
		if (sent < 0) {
			peer_doom(p);
			return false;
		}
		tls_sent(p->secure, (size_t)sent);
		if ((size_t)sent < waits)
			peer_await_writable(p);
	}
	return true;
}

ssize_t secure_send(struct peer *p, const struct iovec *parts, int count)
{
	size_t done = 0, taken, waits;
	do {
		if (!tls_write(p->secure, parts, count, done, &taken) || !secure_flush(p))
			return -1;
		done += taken;
		tls_out(p->secure, &waits);
	} while (taken > 0 && waits == 0);
	return (ssize_t)done;
}

/* One line for many: anybody on the network can make them fail. */
static void say_failed(struct peer *p)
{
	struct net *n = p->net;
	uint64_t now_ms = uv_now(n->config.loop);
	if (n->tls_said_ms && now_ms - n->tls_said_ms < LIMIT_TLS_LOG_MS) {
		n->tls_unsaid++;
		return;
	}
	log_event(LOG_INFO, "tls_handshake_failed", "why", tls_reason(p->secure), "unsaid", log_number(n->tls_unsaid),
		  NULL);
	n->tls_said_ms = now_ms;
	n->tls_unsaid = 0;
}

/* The peer gets our alert while it still shakes hands; later there is nothing to be said on a broken stream. */
static void failed(struct peer *p)
{
	if (tls_established(p->secure)) {
		peer_doom(p);
		return;
	}
	say_failed(p);
	peer_finish(p);
}

/* Decrypts what was read, all of it, and hands it to peer_receive. */
static void decrypt(struct peer *p, const uint8_t *data, size_t len)
{
	struct net *n = p->net;
	enum tls_result result = TLS_DATA;
	if (p->state == PEER_LINGER || p->ended)
		return;
	if (!n->plain && !(n->plain = malloc(LIMIT_INPUT_RUN_BYTES))) {
		peer_doom(p);
		return;
	}
	tls_feed(p->secure, data, len);
	while (result == TLS_DATA && !p->doomed && p->state != PEER_LINGER) {
		size_t got;
		result = tls_read(p->secure, n->plain, LIMIT_INPUT_RUN_BYTES, &got);
		if (got > 0)
			peer_receive(p, n->plain, got);
	}
	if (p->doomed || !secure_flush(p))
		return;
	if (result == TLS_FAILED)
		failed(p);
	else if (result == TLS_END)
		peer_input_ended(p);
}

void secure_input(struct peer *p, uint8_t *data, size_t len)
{
	if (p->fresh && len > 0) {
		if (p->gates & GATE_HANDSHAKE || (*data == TLS_FIRST_BYTE && !p->admitted && !handshake_admit(p))) {
			buf_add(&p->in, data, len); /* until it is its turn */
			if (p->in.failed)
				peer_doom(p);
			return;
		}
		p->fresh = false;
		if (!begin(p, *data)) {
			peer_doom(p);
			return;
		}
	}
	if (p->secure)
		decrypt(p, data, len);
	else
		peer_receive(p, data, len);
}
