/* Connections that the engine knows by an id, WebSockets and sources, and the engine's callbacks, which name that id.
 */
#include "net/private.h"

static struct conn **bucket_of(struct net *n, uint64_t id)
{
	return &n->buckets[id & (CONN_BUCKETS - 1)];
}

static void insert(struct net *n, struct conn *c, uint64_t id)
{
	c->id = id;
	c->next = *bucket_of(n, id);
	*bucket_of(n, id) = c;
}

/* Inside engine_conn_open the engine may already speak of an id that it has yet to return: that is the one being
 * opened. */
static struct conn *find(struct net *n, uint64_t id)
{
	for (struct conn *c = *bucket_of(n, id); c; c = c->next)
		if (c->id == id)
			return c;
	struct conn *c = n->opening;
	if (c) {
		n->opening = NULL;
		insert(n, c, id);
	}
	return c;
}

void conn_open(struct conn *c, struct peer *p, const struct grant *grant)
{
	struct net *n = p->net;
	c->peer = p;
	n->opening = c;
	uint64_t id = engine_conn_open(n->engine, grant, net_now(n));
	engine_conn_origin(n->engine, id, peer_origin(p));
	if (n->opening)
		insert(n, c, id);
	n->opening = NULL;
}

void conn_gone(struct conn *c)
{
	struct net *n = c->peer->net;
	struct conn **at = bucket_of(n, c->id);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	engine_conn_closed(n->engine, c->id, net_now(n));
}

size_t conn_room(const struct peer *p)
{
	const struct conn *c = p->ws ? &p->ws->conn : p->mount ? &p->mount->conn : NULL;
	bool reads = p->state == PEER_WS || p->state == PEER_SOURCE;
	return c && reads && !c->closing && !p->gates && !p->doomed ? engine_conn_room(p->net->engine, c->id) : 0;
}

void conn_forget(struct peer *p)
{
	if (p->ws)
		ws_gone(p);
	if (p->mount)
		mount_gone(p);
}

/* The one that may still be spoken to, or NULL. */
static struct conn *open_one(void *arg, uint64_t id)
{
	struct conn *c = find(arg, id);
	return c && !c->closing && !c->peer->doomed ? c : NULL;
}

void conn_send(void *arg, uint64_t id, const char *text, size_t len, bool is_ack)
{
	struct conn *c = open_one(arg, id);
	if (c && c->peer->ws)
		ws_send(c->peer->ws, text, len, is_ack);
	else if (c && !is_ack) /* a source hears of no acks: it keeps nothing */
		mount_hear(c->peer->mount, text, len);
}

void conn_end(void *arg, uint64_t id, enum engine_close_code code)
{
	struct conn *c = find(arg, id);
	if (c && c->peer->ws)
		ws_close(c->peer->ws, code);
	else if (c)
		mount_finish(c->peer->mount);
}

void conn_pause(void *arg, uint64_t id, bool paused)
{
	struct conn *c = open_one(arg, id);
	if (c)
		peer_gate(c->peer, GATE_PAUSED, paused);
}

void conn_ping(void *arg, uint64_t id)
{
	struct conn *c = open_one(arg, id);
	if (c && c->peer->ws)
		ws_ping(c->peer->ws);
}

void conn_known(void *arg, uint64_t id)
{
	struct conn *c = find(arg, id);
	if (c)
		peer_granted(c->peer);
}

bool conn_roomy(void *arg, uint64_t id)
{
	struct conn *c = open_one(arg, id);
	return c && (!c->peer->ws || ws_roomy(c->peer->ws));
}
