/* What the files of net share. A peer is a connection: bytes in and out (peer.c). It is in one of the states below;
 * request.c works the HTTP ones, ingest.c the WebSocket ones. */
#ifndef HOLDFAST_NET_PRIVATE_H
#define HOLDFAST_NET_PRIVATE_H

#include "base/buf.h"
#include "base/limits.h"
#include "base/list.h"
#include "net/auth.h"
#include "net/handshakes.h"
#include "net/lan.h"
#include "net/server.h"
#include "net/tls.h"
#include "proto/chunked.h"
#include "proto/frame.h"
#include "proto/http.h"
#include "proto/source_request.h"

#include <jansson.h>
#include <libwebsockets.h>
#include <sys/uio.h>

enum { CONN_BUCKETS = 16384 }; /* a power of two, about LIMIT_CONNECTIONS */

enum net_stop { NET_RUNNING, NET_FLUSHING, NET_DESTROYING, NET_HANDLES };

/* What a listening socket speaks. */
enum door {
	DOOR_PLAIN,  /* http, on loopback */
	DOOR_TLS,    /* https only, with the operator's certificate */
	DOOR_LAN,    /* both: the first byte decides. Only our own names are answered */
	DOOR_SOURCE, /* Icecast's sources, with and without TLS: the first byte decides */
	DOORS
};

struct listener {
	struct net *net;
	uv_poll_t poll;
	int fd;
	uint16_t port;
	enum door door;
	bool loopback; /* it listens there alone: nobody else on the network reaches it */
	bool open;
};

struct net {
	struct net_config config;
	struct engine *engine;
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct listener listeners[3]; /* --listen, --lan, --source-listen */
	struct lan *lan;	      /* NULL: none; owned */
	uint64_t lan_look_ms;
	uv_timer_t tick; /* waits that are over */
	uv_idle_t todo_idle;
	struct list peers, timed, todo, strangers; /* strangers: the oldest first */
	struct list waiting;			   /* peers whose handshake may not begin yet: the oldest first */
	struct handshakes handshakes;
	unsigned peer_count, stranger_count, ws_count, ws_opened, requests, refused;
	unsigned streams; /* of events */
	struct list stream_list;
	struct list hearers; /* who listens to shows: who was served last is the last */
	unsigned hearer_count, round_left;
	uint64_t heard, heard_bytes, hearers_lost; /* since the start */
	uint64_t step_ms;			   /* when some of them were served last */
	uv_timer_t step_timer;
	unsigned readers;	  /* downloads at work */
	struct list reader_queue; /* requests that wait for one to end */
	struct conn *buckets[CONN_BUCKETS];
	struct conn *opening; /* inside engine_conn_open */
	struct net_source source;
	bool source_failed;
	struct list mounts; /* sources that are on air, or about to be */
	unsigned mount_count, mounts_opened, sources_refused;
	uint64_t source_said_ms;
	enum net_stop stop;
	uint64_t stop_ms;
	unsigned open_handles, settling; /* of the stop */
	void (*done)(void *arg);
	void *done_arg;
	bool listening;
	uint8_t *input; /* LIMIT_INPUT_AT_ONCE_BYTES for large reads, NULL until one comes */
	uint8_t *plain; /* as large: what was decrypted of one read, on its way to its reader */
	uint64_t tls_said_ms;
	unsigned tls_unsaid; /* handshakes that failed and got no log line */
	char host[64];
	char date[32]; /* of the Date header */
	int64_t date_s;
};

/* --- peer.c: a connection's bytes --- */

enum peer_state {
	PEER_HEAD,	  /* a request's head is awaited */
	PEER_BODY,	  /* its body */
	PEER_ANSWER,	  /* it is being answered: nothing is read */
	PEER_STREAM,	  /* it is being told of events until it leaves: input is dropped */
	PEER_WS,	  /* frames */
	PEER_WS_DONE,	  /* our close frame is on its way: frames are dropped until the peer's comes */
	PEER_SOURCE_HEAD, /* a source's head is awaited */
	PEER_SOURCE,	  /* its media, or what it is to be answered */
	PEER_LINGER,	  /* all is said: input is dropped until the peer closes, so that it gets to read the answer */
};

/* Why reading stands still. */
enum peer_gate { GATE_ANSWER = 1, GATE_PAUSED = 2, GATE_HANDSHAKE = 4 };

/* Bytes that could not be sent at once. */
struct chunk {
	struct chunk *next;
	size_t len, capacity;
	bool is_ack; /* may be replaced by a newer one while nothing of it was sent */
	uint8_t data[];
};

struct peer {
	struct net *net;
	struct lws *wsi;
	struct list all, timed, todo;
	struct list waiting;  /* in net.waiting while GATE_HANDSHAKE is closed; `in` is what was read */
	struct source source; /* where it comes from */
	struct list strange;  /* in net.strangers until somebody there showed a grant */
	uint64_t deadline_ms; /* in `timed` while not 0 */
	struct buf in;	      /* what was read and can't be worked yet */
	size_t in_scanned;    /* of a head: searched for its end */
	uint64_t drop;	      /* before the next head: what is left of a refused body */
	struct chunk *out, **out_tail;
	size_t out_sent; /* of the first chunk */
	unsigned out_count;
	uint8_t state, gates;
	uint8_t door;  /* enum door */
	bool local;    /* loopback on both ends: the peer's address, and that we listen on */
	bool nearby;   /* the peer's address is loopback */
	bool fresh;    /* nothing was understood yet */
	bool admitted; /* its TLS handshake may begin */
	bool tls;      /* it speaks TLS: `secure` */
	bool blocked;  /* the socket takes no more; libwebsockets will say when */
	bool held;     /* reading is switched off at the socket */
	bool in_rx;    /* inside its own receive callback */
	bool finish;   /* half-close when all is sent */
	bool doomed;   /* will be closed at the end of this turn; nothing is sent or understood any more */
	bool ended;    /* the peer said that nothing more comes; it may still read */
	struct tls *secure;
	struct request *request;
	struct ws *ws;
	struct mount *mount;
};

extern const struct lws_protocols peer_protocols[];

/* Takes an accepted socket over; closes it when that fails. */
void peer_adopt(struct listener *l, int fd, const struct sockaddr *address);
/* Sends, or queues what the socket does not take. The bytes are copied. */
void peer_write(struct peer *p, const struct iovec *parts, int count, bool is_ack);
/* Does anything of what was written still wait here? */
bool peer_unsent(const struct peer *p);
void peer_gate(struct peer *p, enum peer_gate gate, bool closed);
/* Closes the connection when it is still the same state in `ms`; 0: no more. */
void peer_deadline(struct peer *p, uint64_t ms);
/* When all is sent: half-close, drop input for a while, close. */
void peer_finish(struct peer *p);
/* Closes at the end of this turn. Safe from anywhere. */
void peer_doom(struct peer *p);

/* --- strangers.c: who has shown no grant yet --- */

/* A new connection from elsewhere is one; too many of them, and the oldest ends. */
void strangers_add(struct peer *p);
/* Leaves them. */
void peer_known(struct peer *p);
/* Somebody showed a grant on it. */
void peer_granted(struct peer *p);
/* Where it comes from, for its share of the questions to an outside authority; 0: from this machine, perhaps for many.
 */
uint64_t peer_origin(const struct peer *p);
/* Once. */
void handshakes_start(struct net *n);
/* May its TLS handshake begin now? If not it waits, and peer_gate tells when. */
bool handshake_admit(struct peer *p);
/* The regular look at those that wait. */
void handshakes_tick(struct net *n);

/* --- secure.c: TLS between a peer's socket and its bytes --- */

/* What came from the socket. The first byte decides whether it is TLS, and such a one may have to wait for its turn. */
void secure_input(struct peer *p, uint8_t *data, size_t len);
void secure_end(struct peer *p);
/* As socket_send: how much of the parts was taken. What of it could not be sent at once waits in `secure`. */
ssize_t secure_send(struct peer *p, const struct iovec *parts, int count);
/* Sends ciphertext that waits; false when nothing can ever be sent any more. */
bool secure_flush(struct peer *p);

void peer_receive(struct peer *p, uint8_t *data, size_t len);
/* Nothing more comes; what is being answered is still sent. */
void peer_input_ended(struct peer *p);
/* Sends what the socket takes; the bytes sent, or -1 when nothing more can ever be sent. */
ssize_t peer_socket_send(struct peer *p, const struct iovec *parts, int count);
/* Sends what the socket takes now and keeps nothing: the bytes taken, of which TLS may still have some to send. What is
 * less than all is continued when the socket takes more (request_drained). -1: the connection is doomed. */
ssize_t peer_send(struct peer *p, const struct iovec *parts, int count);
/* Calls back when the socket takes more. */
void peer_await_writable(struct peer *p);

/* --- request.c: HTTP --- */

enum request_flag {
	ROUTE_BODY = 1,	     /* takes a body */
	ROUTE_UPGRADE = 2,   /* the WebSocket */
	ROUTE_OPEN = 4,	     /* everybody's: no grant is looked for */
	ROUTE_ANONYMOUS = 8, /* a grant is taken along where there is one; a token that is none is refused */
	ROUTE_SIGNED = 16,   /* a signed URL is a grant */
	ROUTE_SHOW = 32,     /* {id} is a show: signed as such; with listen_open it is everybody's */
	ROUTE_FILES = 64, /* an upload's: `run` is called with the head and takes the body as it comes, in chunks too;
			   * X-HTTP-Method-Override counts */
};

struct route {
	const char *method; /* "GET" serves HEAD too */
	const char *path;   /* its segments; "{id}" is any that isn't empty */
	unsigned flags;
	void (*run)(struct request *r); /* answers, now or later, once */
};

enum dialect { DIALECT_NONE, DIALECT_TUS, DIALECT_DRAFT }; /* of an upload's request */

struct request {
	struct peer *peer; /* NULL when the connection is gone */
	struct net *net;
	struct http_request head;
	const char *method; /* what is meant: the head's, or the one that it says instead */
	enum dialect dialect;
	const struct route *route;
	const char *id; /* the {id} of the path, decoded */
	struct grant grant;
	bool granted;
	bool asking; /* an outside authority is asked what its token allows: nothing of it is begun … */
	struct engine_asked asked;
	const char *origin; /* of a page that --allow-origin names; else NULL */
	struct buf body;
	uint64_t body_left;
	bool chunks;	/* a body in chunks is not at its end */
	bool expects;	/* it waits for 100 Continue */
	bool head_only; /* HEAD */
	bool keep_alive;
	bool began;		     /* the answer's head is written */
	bool ended;		     /* all of the answer is written */
	bool pending;		     /* the engine has a callback of ours */
	struct download *download;   /* of a recording's bytes */
	struct stream *stream;	     /* of events */
	struct hearer *hearer;	     /* of a show */
	struct resumable *resumable; /* an upload */
};

/* Bytes of a head or a body; returns how many were taken. */
size_t request_input(struct peer *p, uint8_t *data, size_t len);
/* How much of a body may be read at once, 0 when there is no reason to. */
size_t request_room(const struct peer *p);
/* The body of a ROUTE_FILES is wanted from here on (resumable_input), and no more. */
void request_want(struct request *r);
void request_hold(struct request *r);
/* All that was written is sent. */
void request_drained(struct peer *p);
/* The connection is gone. */
void request_orphan(struct request *r);
/* Frees it when neither the connection nor the engine needs it any more. */
void request_settle(struct request *r);

/* granting.c: what it may do, into `grant`. ERR_BUSY with `asking`: request_asked comes later, with what is then known.
 */
enum err request_grant(struct request *r, bool routed);
void request_asked(void *arg, enum err err, const struct grant *grant);

/* The whole answer. `headers`: further lines, each with its CRLF; `type` NULL: none. */
struct answer {
	int status;
	const char *type, *headers;
	const void *body;
	size_t len;
};
void request_answer(struct request *r, const struct answer *answer);
/* A problem document; detail NULL: the table's sentence; headers may be NULL. */
void request_problem(struct request *r, enum err err, const char *detail, const char *headers);
/* The head of an answer whose body of `len` bytes follows by request_body; request_end ends it. REQUEST_ENDLESS: its
 * end is that of the connection. */
#define REQUEST_ENDLESS UINT64_MAX
void request_begin(struct request *r, int status, const char *headers, uint64_t len);
void request_body(struct request *r, const void *data, size_t len);
void request_end(struct request *r);
/* Retry-After for passing errors, "" for others. */
const char *retry_after(enum err err);

/* --- routes.c --- */

/* The row of a request, its {id} set. ERR_NOT_FOUND, or ERR_METHOD_NOT_ALLOWED with the methods that are in `allow`. */
enum err route_find(struct request *r, char *allow, size_t allow_size);

/* The last segment of a route: "file", "original", … */
const char *route_last(const struct route *route);

/* --- guard.c --- */

enum guard_origin { ORIGIN_NONE, ORIGIN_OWN, ORIGIN_ALLOWED, ORIGIN_FOREIGN };

/* Whose page asks? `allowed`: of --allow-origin, or NULL. */
enum guard_origin guard_origin(const struct http_request *head, bool tls, const char *allowed);
/* Peer and Host are loopback, and no proxy stands between. */
bool guard_is_local(const struct http_request *head, bool peer_local);
/* *token is the text behind "Authorization: Bearer", NULL without the header; ERR_UNAUTHORIZED for any other header. */
enum err guard_bearer(const struct http_request *head, const char **token);
/* Was the server asked under one of its own names? Else a page from elsewhere may have been told that its name is our
 * address. ERR_WRONG_HOST. */
enum err guard_host(const struct peer *p, const struct http_request *head);
bool address_is_loopback(const struct sockaddr *address);
/* Of a Host header, a port behind it or not. */
bool host_is_loopback(const char *host);
/* Is the Origin header the scheme and the Host? Default ports and case do not matter. */
bool origin_is_own(const char *origin, const char *host, bool tls);

/* --- the routes' functions --- */

/* Most questions to the engine end here: its JSON, or its problem, is the answer. */
void api_answered(void *arg, enum err err, const char *json, size_t len);
/* A signed URL of it, as good as the asker's own grant. */
void access_url_answer(struct request *r, const struct auth_url *what);
void shows_list(struct request *r);
void shows_get(struct request *r);
void shows_sign(struct request *r);
void shows_end(struct request *r);
void stream_stop(struct request *r);
void listen_run(struct request *r);
void api_list(struct request *r);
void api_get(struct request *r);
void api_rename(struct request *r);
void api_delete(struct request *r);
void api_complete(struct request *r);
/* The body as a JSON object; an empty one only where `optional`: then *out is NULL. False: it was answered. */
bool request_json(struct request *r, bool optional, json_t **out);
void access_pair(struct request *r);
void access_sign(struct request *r);
void access_server(struct request *r);
void health_run(struct request *r);
void ready_run(struct request *r);
void metrics_run(struct request *r);
void page_run(struct request *r);
void lan_run(struct request *r);
void lan_qr_run(struct request *r);
void trust_run(struct request *r);
void trust_certificate_run(struct request *r);
void trust_profile_run(struct request *r);
void asset_run(struct request *r);
void api_register(struct request *r);
/* `status`: of what went well. */
void api_json(struct request *r, int status, enum err err, const char *json, size_t len);
/* batches.c */
void batches_make(struct request *r);
void batches_get(struct request *r);
void batches_list(struct request *r);
void api_unpark(struct request *r);
void api_push_retry(struct request *r);
void download_run(struct request *r);
/* The same of another route; ERR_NO_MEMORY and a query that can't be read are answered. */
void download_start(struct request *r, enum resource resource);
void events_run(struct request *r);

/* Uploads: resumable.c */
void files_options(struct request *r);
void files_create(struct request *r);
void files_get(struct request *r);
void files_patch(struct request *r);
void files_delete(struct request *r);
enum dialect files_dialect(const struct http_request *head);
/* The headers that pages of elsewhere may read of an answer, behind a comma. */
extern const char files_exposed[];
/* Bytes of the body: returns how many were taken, all of them unless the peer's gates close. */
size_t resumable_input(struct peer *p, uint8_t *data, size_t len);
size_t resumable_room(const struct request *r);
/* The connection is gone: what came is kept. */
void resumable_orphan(struct request *r);
void resumable_free(struct request *r);

/* A piece of the download was sent: the next. */
void download_drained(struct request *r);
/* The connection is gone: no callback of a read comes any more. */
void download_orphan(struct request *r);
void download_free(struct request *r);

/* All that the stream said was sent: there is room for more. */
void stream_drained(struct request *r);
void stream_free(struct request *r);
/* The regular look: streams that said nothing for long say that they are there. */
void streams_tick(struct net *n);

/* A listener's socket takes more. */
void hearer_drained(struct request *r);
void hearer_free(struct request *r);
/* More of a show is there, or its end: engine_callbacks.air. */
void hearers_air(void *arg, struct broadcast *b);
/* The regular look: who has waited in vain, and who takes nothing any more. */
void hearers_tick(struct net *n);

/* The type that media of this kind is served with: a browser plays it and never runs it. */
const char *mime_served(const char *mime);
#define MIME_UNKNOWN "application/octet-stream"

/* --- conns.c: what the engine knows by an id --- */

struct conn {
	struct peer *peer;
	struct conn *next; /* of its bucket */
	uint64_t id;	   /* the engine's; 0 before conn_open */
	bool closing;	   /* nothing more is said to it */
};

/* The engine knows it from here on; it may already call back. */
void conn_open(struct conn *c, struct peer *p, const struct grant *grant);
/* Tells the engine that the connection is over. */
void conn_gone(struct conn *c);
/* The peer is gone, and so is what it has of these. */
void conn_forget(struct peer *p);
/* How much media it may send now. */
size_t conn_room(const struct peer *p);

/* The engine's callbacks. */
void conn_send(void *arg, uint64_t id, const char *text, size_t len, bool is_ack);
void conn_end(void *arg, uint64_t id, enum engine_close_code code);
void conn_pause(void *arg, uint64_t id, bool paused);
void conn_ping(void *arg, uint64_t id);
void conn_known(void *arg, uint64_t id);
bool conn_roomy(void *arg, uint64_t id);

/* --- ingest.c: WebSocket --- */

struct ws {
	struct conn conn; /* closing: the engine closed it, or the peer did */
	struct frame_reader reader;
	struct buf text;   /* a text message of several pieces */
	bool text_dropped; /* it was too large: the rest is dropped */
	bool full;	   /* the engine waits for room */
};

/* Answers the upgrade; from then on the peer is in PEER_WS. */
void ws_upgrade(struct request *r);
/* The same, and its query is a `start` of a show's host. */
void ws_stream(struct request *r);
size_t ws_input(struct peer *p, uint8_t *data, size_t len);
/* The connection is gone: tells the engine. */
void ws_gone(struct peer *p);
/* A wait of a peer in PEER_WS_DONE is over, or net stops: says goodbye with the code. */
void ws_close(struct ws *w, unsigned code);

void ws_send(struct ws *w, const char *text, size_t len, bool is_ack);
void ws_ping(struct ws *w);
bool ws_roomy(struct ws *w);
/* All that was written is sent. */
void ws_drained(struct ws *w);

/* --- source.c: Icecast's sources --- */

enum mount_phase {
	MOUNT_HEAD,	/* its request is awaited */
	MOUNT_STARTING, /* the engine is asked to begin */
	MOUNT_ON_AIR,	/* its media goes to the engine */
	MOUNT_ENDING,	/* the body has ended as it was announced: the engine is asked to stop the show */
};

struct mount {
	struct conn conn; /* its id is 0 until it starts; closing: it was answered for the last time */
	struct list link; /* in net.mounts from MOUNT_STARTING on */
	enum mount_phase phase;
	struct source_head head;
	struct source_request request; /* its password is wiped once it was judged */
	struct chunked chunked;
	uint64_t left;	   /* of a body whose length was announced */
	uint64_t heard_ms; /* media came last */
};

/* Bytes at the sources' port; returns how many were taken. */
size_t source_input(struct peer *p, uint8_t *data, size_t len);
/* The connection is gone. */
void mount_gone(struct peer *p);
/* A message of the engine. */
void mount_hear(struct mount *m, const char *text, size_t len);
/* Closes when all that was written is sent. */
void mount_finish(struct mount *m);

/* --- pages.c --- */

struct page {
	const char *path;	 /* a route of routes.c, or /assets/NAME */
	const char *type, *etag; /* etag with quotes */
	const unsigned char *data;
	size_t len;
};
extern const struct page pages[]; /* generated by tools/embed.py; ends with a NULL path */

#endif
