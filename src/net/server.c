/* Life of the network: the context, the listening socket, the end. */
#include "net/private.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	TICK_MS = 500,
	BACKLOG = 4096,	     /* thousands of recorders reconnect at once after a restart */
	ACCEPTS_A_TURN = 64, /* then others get their turn */
	DESCRIPTORS_EACH = 2,
	DESCRIPTORS_KEPT = 256, /* for everything that is no connection */
	SETTLE_TICKS = 4,	/* loop turns in which libwebsockets' own handles close */
};

struct now net_now(const struct net *n)
{
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME_COARSE, &wall);
	return (struct now){ .mono_ms = uv_now(n->config.loop),
			     .wall_ms = wall.tv_sec * 1000 + wall.tv_nsec / 1000000 };
}

/* --- making --- */

/* A recorder holds two descriptors, its socket and its spool. Takes as many connections as the system's hard limit
 * allows, so that it is never a take's file that can't be opened. */
static void descriptors_raise(struct net *n)
{
	struct rlimit limit;
	unsigned *connections = &n->config.max_connections;
	rlim_t wanted = (rlim_t)*connections * DESCRIPTORS_EACH + DESCRIPTORS_KEPT;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return;
	rlim_t left = limit.rlim_cur > DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT : 0;
	*connections = left > DESCRIPTORS_EACH ? (unsigned)(left / DESCRIPTORS_EACH) : 1;
	log_event(LOG_INFO, "connections_limited", "connections", log_number(*connections), "descriptors",
		  log_number(limit.rlim_cur), NULL);
}

static void lws_say(int level, const char *line)
{
	log_event(LOG_ERROR, "libwebsockets", "line", line, NULL);
}

static enum err context_make(struct net *n)
{
	static const lws_retry_bo_t no_idle_policy = { 0 }; /* the engine judges silence */
	void *loops[1] = { n->config.loop };
	lws_set_log_level(LLL_ERR, lws_say);
	struct lws_context_creation_info info = {
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
		.foreign_loops = loops,
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = peer_protocols,
		.vhost_name = "holdfast",
		.pt_serv_buf_size = LIMIT_INPUT_BYTES + LWS_PRE,
		.retry_and_idle_policy = &no_idle_policy,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
	};
	n->context = lws_create_context(&info);
	if (n->context)
		n->vhost = lws_create_vhost(n->context, &info);
	return n->vhost ? ERR_OK : ERR_INTERNAL;
}

static void tick(uv_timer_t *timer);

static enum err address_read(const char *host, uint16_t port, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	*out = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		memcpy(out, &v4, sizeof v4);
		*len = sizeof v4;
	} else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		memcpy(out, &v6, sizeof v6);
		*len = sizeof v6;
	} else {
		return ERR_BAD_FIELD;
	}
	return ERR_OK;
}

/* Of --listen: without TLS it is loopback. */
static enum err own_address_read(const struct net *n, struct sockaddr_storage *out, socklen_t *len)
{
	enum err err = address_read(n->host, n->config.port, out, len);
	bool may = err == ERR_OK && (n->config.tls || address_is_loopback((struct sockaddr *)out));
	return may ? ERR_OK : ERR_BAD_FIELD;
}

enum err net_new(const struct net_config *config, struct net **out)
{
	struct sockaddr_storage address;
	socklen_t len;
	struct net *n = calloc(1, sizeof *n);
	if (!n)
		return ERR_NO_MEMORY;
	n->config = *config;
	if (n->config.max_connections == 0)
		n->config.max_connections = LIMIT_CONNECTIONS;
	n->config.host = n->host;
	snprintf(n->host, sizeof n->host, "%s", config->host);
	list_init(&n->peers);
	list_init(&n->timed);
	list_init(&n->todo);
	list_init(&n->strangers);
	list_init(&n->waiting);
	handshakes_start(n);
	list_init(&n->reader_queue);
	list_init(&n->stream_list);
	list_init(&n->mounts);
	list_init(&n->hearers);
	enum err err = own_address_read(n, &address, &len);
	descriptors_raise(n);
	if (err == ERR_OK)
		err = context_make(n);
	if (err != ERR_OK) {
		if (n->context)
			lws_context_destroy(n->context);
		SSL_CTX_free(n->config.tls);
		free(n);
		return err;
	}
	uv_timer_init(config->loop, &n->tick);
	uv_idle_init(config->loop, &n->todo_idle);
	uv_timer_init(config->loop, &n->step_timer);
	n->tick.data = n->todo_idle.data = n->step_timer.data = n;
	n->open_handles = 3;
	*out = n;
	return ERR_OK;
}

static void fatal(void *arg, enum err err, const char *what)
{
	struct net *n = arg;
	n->config.fatal(n->config.fatal_arg, err, what);
}

void net_callbacks(struct net *n, struct engine_callbacks *out)
{
	*out = (struct engine_callbacks){
		.send = conn_send,
		.close = conn_end,
		.pause = conn_pause,
		.ping = conn_ping,
		.roomy = conn_roomy,
		.known = conn_known,
		.air = hearers_air,
		.fatal = fatal,
		.arg = n,
	};
}

/* --- listening --- */

static void accept_ready(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;
	struct net *n = l->net;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage address;
		socklen_t len = sizeof address;
		if (n->peer_count >= n->config.max_connections) {
			uv_poll_stop(poll); /* the next tick looks again */
			return;
		}
		int fd = accept4(l->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			log_event(LOG_WARN, "accept_failed", "error", strerror(errno), NULL);
			uv_poll_stop(poll);
			return;
		}
		if (fd < 0)
			continue; /* that one gave up */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		peer_adopt(l, fd, (struct sockaddr *)&address);
	}
}

static int socket_bind(const struct sockaddr_storage *address, socklen_t len)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (address->ss_family == AF_INET6) /* all addresses are those of both families */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int));
	if (bind(fd, (const struct sockaddr *)address, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static enum err listener_open(struct listener *l, const struct sockaddr_storage *address, socklen_t len)
{
	struct sockaddr_storage bound;
	struct net *n = l->net;
	l->fd = socket_bind(address, len);
	if (l->fd < 0)
		return errno == EADDRINUSE ? ERR_EXISTS : ERR_INTERNAL;
	len = sizeof bound;
	getsockname(l->fd, (struct sockaddr *)&bound, &len);
	l->port = ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
						   : ((struct sockaddr_in6 *)&bound)->sin6_port);
	l->loopback = address_is_loopback((struct sockaddr *)&bound);
	uv_poll_init(n->config.loop, &l->poll, l->fd);
	l->poll.data = l;
	l->open = true;
	n->open_handles++;
	uv_poll_start(&l->poll, UV_READABLE, accept_ready);
	return ERR_OK;
}

/* All addresses of the machine; of IPv4 alone where the system has no IPv6. */
static enum err everywhere_listen(struct listener *l)
{
	struct sockaddr_storage v6 = { 0 }, v4 = { 0 };
	((struct sockaddr_in6 *)&v6)->sin6_family = AF_INET6;
	((struct sockaddr_in6 *)&v6)->sin6_port = htons(l->port);
	((struct sockaddr_in *)&v4)->sin_family = AF_INET;
	((struct sockaddr_in *)&v4)->sin_port = htons(l->port);
	enum err err = listener_open(l, &v6, sizeof(struct sockaddr_in6));
	if (err == ERR_INTERNAL && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		err = listener_open(l, &v4, sizeof(struct sockaddr_in));
	return err;
}

static void say_not_listening(const char *host, uint16_t port, int error)
{
	log_event(LOG_ERROR, "listen_failed", "host", host, "port", log_number(port), "error", strerror(error), NULL);
}

static enum err source_listen(struct net *n)
{
	struct sockaddr_storage address;
	socklen_t len;
	struct listener *l = &n->listeners[2];
	const char *host = n->source.host;
	if (!n->source.keys)
		return ERR_OK;
	enum err err = *host ? address_read(host, n->source.port, &address, &len) : ERR_OK;
	l->net = n;
	l->door = DOOR_SOURCE;
	l->port = n->source.port;
	if (err == ERR_OK)
		err = *host ? listener_open(l, &address, len) : everywhere_listen(l);
	if (err != ERR_OK)
		say_not_listening(*host ? host : "all addresses", n->source.port, errno);
	n->source_failed = err != ERR_OK;
	return err;
}

enum err net_listen(struct net *n, struct engine *engine)
{
	struct sockaddr_storage address;
	socklen_t len;
	struct listener *first = &n->listeners[0], *lan = &n->listeners[1];
	enum err err = own_address_read(n, &address, &len);
	if (err != ERR_OK)
		return err;
	n->engine = engine;
	first->net = lan->net = n;
	first->door = n->config.tls ? DOOR_TLS : DOOR_PLAIN;
	lan->door = DOOR_LAN;
	err = listener_open(first, &address, len);
	if (err != ERR_OK)
		say_not_listening(n->host, n->config.port, errno);
	if (err == ERR_OK && n->lan) {
		err = everywhere_listen(lan);
		if (err != ERR_OK)
			say_not_listening("all addresses", lan->port, errno);
		lan_set_port(n->lan, lan->port);
	}
	if (err == ERR_OK)
		err = source_listen(n);
	if (err != ERR_OK)
		return err;
	n->listening = true;
	uv_timer_start(&n->tick, tick, TICK_MS, TICK_MS);
	return ERR_OK;
}

void net_lan(struct net *n, struct lan *lan, uint16_t port)
{
	n->lan = lan;
	n->listeners[1].port = port;
	lan_set_port(lan, port);
}

void net_source(struct net *n, const struct net_source *source)
{
	n->source = *source;
}

uint16_t net_source_port(const struct net *n)
{
	return n->listeners[2].open ? n->listeners[2].port : 0;
}

bool net_source_failed(const struct net *n)
{
	return n->source_failed;
}

void net_certificate(struct net *n, SSL_CTX *context)
{
	SSL_CTX_free(n->config.tls); /* a connection holds its own reference */
	n->config.tls = context;
}

uint16_t net_port(const struct net *n)
{
	return n->listeners[0].port;
}

/* --- the end --- */

static void handle_closed(uv_handle_t *handle)
{
	struct net *n = handle->data;
	if (--n->open_handles > 0 || n->stop != NET_HANDLES)
		return;
	void (*done)(void *arg) = n->done;
	void *arg = n->done_arg;
	free(n->input);
	free(n->plain);
	n->input = n->plain = NULL;
	lan_free(n->lan);
	SSL_CTX_free(n->config.tls);
	if (n->requests == 0) /* else the engine owes an answer, which will look at n */
		free(n);
	done(arg);
}

void net_revoke(struct net *n, const char *token_id)
{
	if (!n->engine)
		return;
	engine_revoke(n->engine, token_id, net_now(n));
	for (struct list *l = n->peers.next; l != &n->peers; l = l->next) {
		struct peer *p = list_entry(l, struct peer, all);
		if (p->request && strcmp(p->request->grant.token_id, token_id) == 0)
			peer_doom(p); /* of a download the length is promised: only cutting it off says anything */
	}
}

unsigned net_connections(const struct net *n)
{
	return n->peer_count;
}

static void listener_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;
	close(l->fd);
	handle->data = l->net;
	handle_closed(handle);
}

void net_refuse(struct net *n)
{
	n->listening = false;
	for (unsigned i = 0; i < sizeof n->listeners / sizeof *n->listeners; i++) {
		struct listener *l = &n->listeners[i];
		if (!l->open)
			continue;
		l->open = false;
		uv_poll_stop(&l->poll);
		uv_close((uv_handle_t *)&l->poll, listener_closed);
	}
}

/* Says goodbye to everybody who is not being answered. */
static void peers_end(struct net *n)
{
	for (struct list *l = n->peers.next; l != &n->peers; l = l->next) {
		struct peer *p = list_entry(l, struct peer, all);
		if (p->ws)
			ws_close(p->ws, ENGINE_CLOSE_GOING_AWAY);
		else if (p->state == PEER_HEAD || p->state == PEER_LINGER || p->state == PEER_STREAM ||
			 p->state == PEER_SOURCE_HEAD || p->state == PEER_SOURCE)
			peer_doom(p);
	}
}

static void peers_doom(struct net *n)
{
	for (struct list *l = n->peers.next; l != &n->peers; l = l->next)
		peer_doom(list_entry(l, struct peer, all));
}

/* libwebsockets closes its handles through the loop and does not say when it is through: a first call begins, some
 * turns later a second one frees. */
static void stop_go_on(struct net *n)
{
	if (n->stop == NET_FLUSHING && n->peer_count > 0 && uv_now(n->config.loop) >= n->stop_ms)
		peers_doom(n);
	bool late = uv_now(n->config.loop) >= n->stop_ms + LIMIT_CLOSE_WAIT_MS;
	if (n->stop == NET_FLUSHING && n->peer_count == 0 && (n->requests == 0 || late)) {
		n->stop = NET_DESTROYING;
		lws_context_destroy(n->context);
	} else if (n->stop == NET_DESTROYING && ++n->settling == SETTLE_TICKS) {
		lws_context_destroy(n->context);
		n->stop = NET_HANDLES;
		uv_close((uv_handle_t *)&n->tick, handle_closed);
		uv_close((uv_handle_t *)&n->todo_idle, handle_closed);
		uv_close((uv_handle_t *)&n->step_timer, handle_closed);
	}
}

/* The regular look at waits that are over. */
static void peers_tick(struct net *n)
{
	uint64_t now_ms = uv_now(n->config.loop);
	for (struct list *l = n->timed.next, *next; l != &n->timed; l = next) {
		next = l->next;
		if (list_entry(l, struct peer, timed)->deadline_ms <= now_ms)
			peer_doom(list_entry(l, struct peer, timed));
	}
}

static void tick(uv_timer_t *timer)
{
	struct net *n = timer->data;
	peers_tick(n);
	streams_tick(n);
	hearers_tick(n);
	handshakes_tick(n);
	for (unsigned i = 0; i < sizeof n->listeners / sizeof *n->listeners; i++) {
		struct listener *l = &n->listeners[i];
		if (l->open && !uv_is_active((uv_handle_t *)&l->poll))
			uv_poll_start(&l->poll, UV_READABLE, accept_ready);
	}
	if (n->lan && n->listening && uv_now(n->config.loop) - n->lan_look_ms >= LIMIT_LAN_LOOK_MS) {
		n->lan_look_ms = uv_now(n->config.loop);
		lan_look(n->lan, net_now(n).wall_ms / 1000);
	}
	if (n->stop != NET_RUNNING)
		stop_go_on(n);
}

void net_close(struct net *n, void (*done)(void *arg), void *arg)
{
	assert(n->stop == NET_RUNNING);
	net_refuse(n);
	n->stop = NET_FLUSHING;
	n->stop_ms = uv_now(n->config.loop) + LIMIT_CLOSE_WAIT_MS;
	n->done = done;
	n->done_arg = arg;
	peers_end(n);
	uv_timer_start(&n->tick, tick, 1, 5); /* quicker now */
}
