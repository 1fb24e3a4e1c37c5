/* Connections of which nobody knows yet who is there. From another machine anybody can open as many as they like, and
 * hold each for as long as our patience lasts: they get a share of all, and when it is used up the oldest makes room.
 * So the machine's own people and the phones that are paired find room whatever strangers do. */
#include "net/private.h"

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
