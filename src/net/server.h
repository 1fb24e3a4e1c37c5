/* The network: HTTP/1.1 and WebSocket for one engine.
 *
 * Sockets and their readiness are libwebsockets', driven as raw sockets on the caller's libuv loop; TLS is OpenSSL's
 * (tls.h); what the bytes mean is read by proto/http.h and proto/frame.h, because libwebsockets 4.1.6's own parsers are
 * not strict enough: they take frames that are not masked, fold encoded dots and slashes of a path together, drop some
 * requests without an answer, and touch freed memory at an unknown Upgrade on a kept connection.
 *
 * Guarantees: what a peer sends never blocks or ends the server; each queue, body and wait is bounded by limits.h; a
 * connection costs about 2 KiB while it is idle, 14 KiB with TLS; reading from a connection stands still while the
 * engine says so or while its request is being answered, and nothing that was read is dropped.
 *
 * The HTTP side. Errors are application/problem+json with `code`. Every request passes the same gates in this order:
 *
 *   400 a head that breaks RFC 9112 · 411 a Transfer-Encoding, but for chunks to an upload · 431 a head above
 * LIMIT_HTTP_HEADERS_BYTES
 *
 *   421 wrong_host: on the local network, a Host that is none of our names and addresses
 *
 *   403 forbidden_origin: an Origin that is neither the request's own nor one of --allow-origin (none passes)
 *
 *   401 unauthorized, token_expired, token_revoked: a token that is none; or none at all, where peer, listening socket
 *   or Host is not loopback or a Forwarded, X-Forwarded-… or X-Real-IP header came. Pages, /healthz, /readyz,
 *   /api/pair and OPTIONS of uploads are everybody's, /ws opens without a grant too, and a recording's file, original,
 * thumbnail and waveform with a signed query
 *
 *   404 no such path · 405 with Allow · 413 a body above LIMIT_HTTP_BODY_BYTES, but for uploads · 501 Upgrade: h2c
 *
 * and then its row of the one table of routes (routes.c). HEAD goes wherever GET goes, and what an
 * upload's request means X-HTTP-Method-Override may say instead. {id} is percent-decoded after
 * the path was cut at its slashes, so that a session's name may hold any; what can't be an id is 404. docs/protocol.md
 * describes each route. */
#ifndef HOLDFAST_NET_SERVER_H
#define HOLDFAST_NET_SERVER_H

#include "base/err.h"
#include "engine/engine.h"

#include <openssl/types.h>
#include <stdint.h>
#include <uv.h>

struct net;
struct auth;
struct lan;
struct source_keys;

struct net_config {
	uv_loop_t *loop;
	const char *host;	    /* an address: 127.0.0.0/8 or ::1, with `tls` any; copied */
	uint16_t port;		    /* 0: the system picks one */
	struct auth *auth;	    /* knows the tokens; NULL: there are none. Outlives net */
	const char *allow_origin;   /* pages of others that may use the server, as config.h writes them; NULL: none */
	bool listen_open;	    /* anybody who reaches the server may listen and see shows */
	const char *version;	    /* of the program */
	SSL_CTX *tls;		    /* speaks https there, and nothing else; NULL: plain http. Owned */
	uint64_t upload_expires_ms; /* as the engine has it, to be told; 0: LIMIT_UPLOAD_EXPIRES_MS */
	unsigned max_connections;   /* sockets open at a time; 0: LIMIT_CONNECTIONS. More wait in the system's queue */
	/* Given to the engine as its callback of the same name. */
	void (*fatal)(void *arg, enum err err, const char *what);
	void *fatal_arg;
};

/* The order: net_new, net_callbacks into the engine's config, engine_open, net_listen, engine_listening; to stop:
 * net_refuse, engine_stop, and when that is done net_close, and when that is done engine_close. Loop thread only. */

/* Raises the limit of descriptors as far as needed and allowed. ERR_BAD_FIELD when host is no address that may be
 * listened on; ERR_INTERNAL. */
enum err net_new(const struct net_config *config, struct net **out);

/* Before net_listen: also listen on all addresses of the machine, for the local network, https and http on one port.
 * Takes `lan` over. Port 0: the system picks one; lan_port tells. */
void net_lan(struct net *n, struct lan *lan, uint16_t port);

/* Before net_listen: also listen for Icecast's sources (PUT, SOURCE, titles), which show the user "source" and their
 * show's password and are the principal "source". With TLS too where there is a certificate. */
struct net_source {
	const char *host;		/* an address, "" for all; outlives net */
	uint16_t port;			/* 0: the system picks one; net_source_port tells */
	const struct source_keys *keys; /* outlive net */
};
void net_source(struct net *n, const struct net_source *source);
/* 0 while nothing is listened on for sources. */
uint16_t net_source_port(const struct net *n);
/* Of a net_listen that failed: at that port? */
bool net_source_failed(const struct net *n);

/* The engine's way out; may be called before net_listen, and takes no connection's id but the engine's own. */
void net_callbacks(struct net *n, struct engine_callbacks *out);

/* Binds and accepts from here on. ERR_EXISTS: an address is in use; ERR_INTERNAL: anything else; both logged. */
enum err net_listen(struct net *n, struct engine *engine);

/* The port that is listened on for net_config's host, 0 before net_listen. */
uint16_t net_port(const struct net *n);

/* The time that net hands to the engine: engine_turn must get it from here too. */
struct now net_now(const struct net *n);

/* Another certificate of the operator's for connections from here on. Takes `context` over. */
void net_certificate(struct net *n, SSL_CTX *context);

/* The token counts no longer: connections that work under it, and downloads, are cut off. */
void net_revoke(struct net *n, const char *token_id);

/* Connections of any kind. */
unsigned net_connections(const struct net *n);

/* Accepts no more and answers /readyz with 503; what is connected goes on. */
void net_refuse(struct net *n);

/* Ends every connection: what is queued for a peer is sent if it reads within LIMIT_CLOSE_WAIT_MS. Calls `done` from
 * the loop when everything of net's is closed and freed, `n` included. The engine must still be open. */
void net_close(struct net *n, void (*done)(void *arg), void *arg);

#endif
