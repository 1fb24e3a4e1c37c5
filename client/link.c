/* The WebSocket of a take, see link.h.
 *
 * lws keeps one context per link object and at most one connection in it. Its own poll() is only ever asked without
 * waiting (lws_service with -1); the waiting is done here, on the connection's socket and on the caller's descriptor.
 */
#include "link.h"

#include "resolve.h"

#include <assert.h>
#include <errno.h>
#include <libwebsockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONNECTING_POLL_MS = 10, /* while lws wants what we can't see: a look-up, a connection, a handshake */
	IDLE_POLL_MS = 250,	 /* its own timers, and a pong that waits for room in the socket */
	GOODBYE_MS = 200,
};

enum phase { PHASE_NONE, PHASE_RESOLVING, PHASE_CONNECTING, PHASE_UP };

struct link {
	struct url url;
	struct link_callbacks callbacks;
	struct lws_context *context;
	struct lws *wsi;
	enum phase phase;
	struct resolve *resolve;
	struct resolved addresses;
	unsigned next_address; /* the next of them to try; the last of them failing means lost */
	bool want_write, goodbye, report_lost;
	int status;
	char why[256];
	char *text; /* LINK_TEXT_BYTES: a text message whose pieces gather */
	size_t text_len;
	bool text_too_long;
	unsigned char *message; /* LWS_PRE and LINK_MESSAGE_BYTES */
};

static void note(struct link *l, const char *why, size_t len)
{
	snprintf(l->why, sizeof l->why, "%.*s", (int)(len < 200 ? len : 200), why);
}

/* The connection is gone; whether that is the link's loss is decided in link_service, outside lws. */
static void gone(struct link *l)
{
	l->wsi = NULL;
	l->report_lost = true;
}

static void on_receive(struct link *l, const char *data, size_t len)
{
	if (lws_frame_is_binary(l->wsi))
		return; /* the server sends none; a later one might */
	if (lws_is_first_fragment(l->wsi)) {
		l->text_len = 0;
		l->text_too_long = false;
	}
	if (len > LINK_TEXT_BYTES - l->text_len)
		l->text_too_long = true;
	if (l->text_too_long)
		return;
	memcpy(l->text + l->text_len, data, len);
	l->text_len += len;
	if (lws_is_final_fragment(l->wsi) && lws_remaining_packet_payload(l->wsi) == 0)
		l->callbacks.text(l->callbacks.arg, l->text, l->text_len);
}

static int on_writeable(struct link *l)
{
	size_t len = 0;
	bool is_text = false;
	if (l->goodbye) {
		lws_close_reason(l->wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
		return -1;
	}
	l->want_write = false;
	char *out = (char *)l->message + LWS_PRE;
	if (!l->callbacks.fill(l->callbacks.arg, out, LINK_MESSAGE_BYTES, &len, &is_text))
		return 0;
	int written = lws_write(l->wsi, l->message + LWS_PRE, len, is_text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
	if (written < (int)len) {
		note(l, "Writing to the connection failed.", 200);
		return -1;
	}
	return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct link *l = lws_context_user(lws_get_context(wsi));
	if (!l || wsi != l->wsi) /* a connection that link_close gave up */
		return 0;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		l->phase = PHASE_UP;
		l->callbacks.up(l->callbacks.arg);
		break;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		note(l, in ? in : "The connection could not be made.", in ? len : 200);
		l->status = (int)lws_http_client_http_response(wsi);
		gone(l);
		break;
	case LWS_CALLBACK_CLIENT_CLOSED:
		gone(l);
		break;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		on_receive(l, in, len);
		break;
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return on_writeable(l);
	default:
		break;
	}
	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "holdfast.v1", .callback = on_event, .rx_buffer_size = LINK_TEXT_BYTES },
	{ 0 },
};

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static struct lws_context *context_new(struct link *l, const char *ca_file)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.user = l,
		.fd_limit_per_thread = 8,
		.client_ssl_ca_filepath = l->url.tls ? ca_file : NULL,
		.options = l->url.tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
		/* an address here, with no port, keeps http_proxy from being asked for this machine */
		.http_proxy_address = is_loopback(l->url.host) ? "" : NULL,
	};
	lws_set_log_level(0, NULL);
	return lws_create_context(&info);
}

int link_new(const struct url *url, const char *ca_file, const struct link_callbacks *callbacks, struct link **out)
{
	struct link *l = calloc(1, sizeof *l);
	*out = NULL;
	if (!l)
		return -ENOMEM;
	l->url = *url;
	l->callbacks = *callbacks;
	l->text = malloc(LINK_TEXT_BYTES);
	l->message = malloc(LWS_PRE + LINK_MESSAGE_BYTES);
	if (l->text && l->message)
		l->context = context_new(l, ca_file);
	if (!l->context) {
		link_free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

static void lost(struct link *l, const char *why)
{
	char refused[64];
	if (l->status >= 300) {
		snprintf(refused, sizeof refused, "The server answered HTTP %d instead of a WebSocket.", l->status);
		why = refused;
	}
	l->phase = PHASE_NONE;
	l->callbacks.lost(l->callbacks.arg, *why ? why : "The connection was closed.", l->status);
}

/* lws_client_connect_via_info may call back before it returns; l->wsi is set early so that on_event knows its own. */
static void connect_next(struct link *l)
{
	l->phase = PHASE_CONNECTING;
	l->report_lost = false;
	l->status = 0;
	l->why[0] = '\0';
	struct lws_client_connect_info info = {
		.context = l->context,
		.address = l->addresses.addresses[l->next_address++],
		.port = l->url.port,
		.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (l->url.tls ? LCCSCF_USE_SSL : 0),
		.path = l->url.path,
		.host = l->url.authority,
		.protocol = protocols[0].name,
		.ietf_version_or_minus_one = -1,
		.pwsi = &l->wsi,
	};
	if (!lws_client_connect_via_info(&info))
		gone(l);
}

void link_connect(struct link *l)
{
	assert(l->phase == PHASE_NONE);
	resolve_free(l->resolve);
	l->status = 0;
	l->resolve = resolve_new(l->url.host);
	l->phase = PHASE_RESOLVING;
}

static void resolve_step(struct link *l)
{
	if (!l->resolve) {
		lost(l, "out of memory");
	} else if (resolve_poll(l->resolve, &l->addresses)) {
		resolve_free(l->resolve);
		l->resolve = NULL;
		l->next_address = 0;
		if (l->addresses.count == 0)
			lost(l, l->addresses.error);
		else
			connect_next(l);
	}
}

/* A connection ended in the service call before: the next address is tried, or it is the link's loss. */
static void lost_step(struct link *l)
{
	l->report_lost = false;
	if (l->phase == PHASE_CONNECTING && l->status == 0 && l->next_address < l->addresses.count)
		connect_next(l);
	else if (l->phase != PHASE_NONE)
		lost(l, l->why);
}

void link_close(struct link *l)
{
	struct lws *wsi = l->wsi;
	l->wsi = NULL;
	l->phase = PHASE_NONE;
	l->want_write = l->report_lost = false;
	resolve_free(l->resolve);
	l->resolve = NULL;
	if (wsi)
		lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

void link_want_write(struct link *l)
{
	if (l->phase != PHASE_UP || l->want_write || !l->wsi)
		return;
	l->want_write = true;
	lws_callback_on_writable(l->wsi);
}

static int wait_ms(struct link *l, int timeout_ms)
{
	int limit = l->phase == PHASE_UP ? IDLE_POLL_MS : l->phase == PHASE_NONE ? timeout_ms : CONNECTING_POLL_MS;
	if (timeout_ms > limit)
		timeout_ms = limit;
	if (l->report_lost)
		return 0;
	return timeout_ms > 0 ? lws_service_adjust_timeout(l->context, timeout_ms, 0) : 0;
}

void link_bind(struct link *l, const struct link_callbacks *callbacks)
{
	l->callbacks = *callbacks;
}

bool link_is_up(const struct link *l)
{
	return l->phase == PHASE_UP && l->wsi && !l->report_lost;
}

int link_prepare(struct link *l, struct pollfd *out, int timeout_ms)
{
	*out = (struct pollfd){ .fd = -1 };
	if (l->wsi) {
		out->fd = lws_get_socket_fd(l->wsi);
		out->events = l->want_write ? POLLIN | POLLOUT : POLLIN;
	}
	return wait_ms(l, timeout_ms);
}

void link_service(struct link *l, short revents)
{
	if (l->phase == PHASE_UP && revents & POLLIN)
		l->callbacks.received(l->callbacks.arg);
	if (l->phase == PHASE_RESOLVING)
		resolve_step(l);
	if (l->phase != PHASE_NONE) {
		lws_service(l->context, -1);
		/* what came may have made something to send that only lws knows of: a pong */
		if (revents)
			lws_service(l->context, -1);
	}
	if (l->report_lost)
		lost_step(l);
}

void link_free(struct link *l)
{
	if (!l)
		return;
	if (l->context && l->phase == PHASE_UP && l->wsi) {
		l->goodbye = true;
		lws_callback_on_writable(l->wsi);
		for (int waited = 0; l->wsi && waited < GOODBYE_MS; waited += CONNECTING_POLL_MS) {
			struct pollfd ready = { .fd = lws_get_socket_fd(l->wsi), .events = POLLIN };
			lws_service(l->context, -1);
			if (l->wsi)
				poll(&ready, 1, CONNECTING_POLL_MS);
		}
	}
	if (l->context) {
		link_close(l);
		lws_context_destroy(l->context);
	}
	resolve_free(l->resolve);
	free(l->text);
	free(l->message);
	free(l);
}
