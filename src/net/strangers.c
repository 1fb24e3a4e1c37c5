/* Connections of which nobody knows yet who is there. From another machine anybody can open as many as they like, and
 * hold each for as long as our patience lasts: they get a share of all, and when it is used up the oldest makes room.
 * So the machine's own people and the phones that are paired find room whatever strangers do. The same for what their
 * TLS handshakes cost (handshakes.h). */
#include "net/private.h"

#include <openssl/rand.h>

void strangers_add(struct peer *p)
{
	struct net *n = p->net;
	unsigned share = n->config.max_connections / 4 + 1;
	list_init(&p->strange);
	if (p->door == DOOR_PLAIN)
		return;
	if (share > LIMIT_STRANGERS)
		share = LIMIT_STRANGERS;
	if (n->stranger_count >= share) {
		struct peer *oldest = list_entry(n->strangers.next, struct peer, strange);
		peer_known(oldest);
		peer_doom(oldest);
	}
	list_push(&n->strangers, &p->strange);
	n->stranger_count++;
}

void peer_known(struct peer *p)
{
	if (list_empty(&p->strange))
		return;
	list_remove(&p->strange);
	p->net->stranger_count--;
}

void peer_granted(struct peer *p)
{
	peer_known(p);
	if (!p->nearby)
		handshakes_known(&p->net->handshakes, &p->source, uv_now(p->net->config.loop));
}

uint64_t peer_origin(const struct peer *p)
{
	return p->nearby ? 0 : source_number(&p->source, p->net->handshakes.key);
}

/* --- their handshakes --- */

void handshakes_start(struct net *n)
{
	uint64_t key = 0;
	RAND_bytes((unsigned char *)&key, sizeof key); /* without one it is a guess that somebody must make */
	handshakes_init(&n->handshakes, key, uv_now(n->config.loop));
}

bool handshake_admit(struct peer *p)
{
	struct net *n = p->net;
	p->admitted = p->nearby || handshakes_begin(&n->handshakes, &p->source, uv_now(n->config.loop));
	if (p->admitted)
		return true;
	list_push(&n->waiting, &p->waiting);
	peer_gate(p, GATE_HANDSHAKE, true);
	return false;
}

void handshakes_tick(struct net *n)
{
	for (struct list *l = n->waiting.next, *next; l != &n->waiting; l = next) {
		next = l->next;
		struct peer *p = list_entry(l, struct peer, waiting);
		p->admitted = !p->doomed && handshakes_begin(&n->handshakes, &p->source, uv_now(n->config.loop));
		if (!p->admitted)
			continue;
		list_remove(&p->waiting);
		peer_gate(p, GATE_HANDSHAKE, false);
	}
}
