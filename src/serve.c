/* `holdfast serve`, see serve.h: one libuv loop, the lanes' threads, the stores, the engine and the network.
 *
 * The engine gets its turn in the loop's prepare phase, behind everything that a turn of the loop brought and before it
 * waits: what gathered is committed at once, and the loop never sleeps beyond engine_next_wake. */
#include "serve.h"

#include "answers.h"
#include "config/config.h"
#include "control.h"
#include "engine/engine.h"
#include "net/server.h"
#include "serve_cert.h"
#include "serve_icecast.h"
#include "serve_source.h"
#include "serve_tls.h"
#include "serve_web.h"
#include "serve_workers.h"
#include "tokens.h"

#include <malloc.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { EXIT_INTERRUPTED = 130, PUMP_WAIT_US = 500, ARENAS = 2 };

struct serve {
	struct config config;
	uv_loop_t loop;
	uv_async_t wake;
	uv_prepare_t turn;
	uv_timer_t timer;
	uv_timer_t deadline; /* of a clean stop */
	uv_signal_t signals[2];
	struct exec_threads *threads;
	struct vfs *vfs;
	struct tokens tokens;
	struct catalog *catalog; /* until the engine owns it */
	struct net *net;
	struct engine *engine;
	struct control *control;
	struct workers *workers;
	struct answers answers;
	char at[128]; /* "http://127.0.0.1:8480" */
	struct serve_lan lan;
	struct serve_cert cert;
	struct serve_web web;
	struct serve_source source;
	struct serve_icecast icecast;
	bool stopping;
};

/* Whatever can't be trusted any more: nothing may be acked behind this, so nothing is cleaned up either. */
static void on_fatal(void *arg, enum err err, const char *what)
{
	log_event(LOG_ERROR, "fatal", "code", err_code(err), "what", what, NULL);
	fprintf(stderr, "holdfast: %s: %s The server stops; what was acknowledged is safe.\n", what, err_text(err));
	_exit(1);
}

static void fill_random(void *arg, void *out, size_t len)
{
	uint8_t *bytes = out;
	while (len > 0) {
		ssize_t got = getrandom(bytes, len, 0);
		if (got > 0) {
			bytes += got;
			len -= (size_t)got;
		}
	}
}

/* The loop */

static void on_wake(uv_async_t *handle)
{
	/* it ended the loop's wait; the turn does the rest */
}

static void wake_loop(void *arg)
{
	struct serve *s = arg;
	uv_async_send(&s->wake);
}

static void on_timer(uv_timer_t *handle)
{
}

static void on_turn(uv_prepare_t *handle)
{
	struct serve *s = handle->data;
	if (s->net && s->engine)
		engine_time(s->engine, net_now(s->net));
	exec_threads_turn(s->threads);
	if (!s->net) /* closed; the engine is next */
		return;
	struct now now = net_now(s->net);
	engine_turn(s->engine, now);
	if (!s->net)
		return;
	uint64_t wake = engine_next_wake(s->engine);
	if (wake == UINT64_MAX)
		uv_timer_stop(&s->timer);
	else
		uv_timer_start(&s->timer, on_timer, wake > now.mono_ms ? wake - now.mono_ms : 0, 0);
}

static void on_net_closed(void *arg)
{
	struct serve *s = arg;
	uv_close((uv_handle_t *)&s->turn, NULL);
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_close((uv_handle_t *)&s->deadline, NULL);
	uv_close((uv_handle_t *)&s->signals[0], NULL);
	uv_close((uv_handle_t *)&s->signals[1], NULL);
	uv_unref((uv_handle_t *)&s->wake); /* the lanes may still use it */
}

/* Without it the server does its work; what is missing is said in the log. */
static void control_begin(struct serve *s)
{
	s->answers = (struct answers){ .engine = s->engine,
				       .net = s->net,
				       .auth = s->tokens.auth,
				       .at = s->at,
				       .started_ms = net_now(s->net).mono_ms };
	struct control_config config = {
		.loop = &s->loop, .dir = s->config.data, .ask = answers_ask, .arg = &s->answers
	};
	(void)control_open(&config, &s->control);
}

static void control_end(struct serve *s)
{
	s->answers.net = NULL;
	control_close(s->control);
	s->control = NULL;
}

/* Its workers are gone too: it killed them and heard of their end. What they had not finished is taken up at the next
 * start. */
static void on_engine_stopped(void *arg)
{
	struct serve *s = arg;
	struct net *net = s->net;
	control_end(s);
	s->net = NULL;
	net_close(net, on_net_closed, s);
}

/* Storage is slow or hangs: what was acknowledged is in the journal, and recovery does the rest, so nothing failed. */
static void on_deadline(uv_timer_t *handle)
{
	(void)handle;
	log_event(LOG_WARN, "stop_left_to_recovery", NULL);
	_exit(EXIT_SUCCESS);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct serve *s = handle->data;
	if (s->stopping)
		_exit(EXIT_INTERRUPTED);
	s->stopping = true;
	log_event(LOG_INFO, "stopping", "signal", number == SIGINT ? "SIGINT" : "SIGTERM", NULL);
	uv_timer_start(&s->deadline, on_deadline, LIMIT_STOP_MS, 0);
	net_refuse(s->net);
	serve_icecast_close(&s->icecast);
	engine_stop(s->engine, net_now(s->net), on_engine_stopped, s);
}

static void loop_open(struct serve *s)
{
	const int numbers[2] = { SIGINT, SIGTERM };
	uv_loop_init(&s->loop);
	uv_async_init(&s->loop, &s->wake, on_wake);
	uv_prepare_init(&s->loop, &s->turn);
	uv_timer_init(&s->loop, &s->timer);
	uv_timer_init(&s->loop, &s->deadline);
	s->turn.data = s;
	for (unsigned i = 0; i < 2; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, numbers[i]);
	}
}

/* Starting */

/* Each recorder holds two descriptors, and each thread that allocates would keep an arena of its own. */
static void set_up_process(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	mallopt(M_ARENA_MAX, ARENAS);
	signal(SIGPIPE, SIG_IGN);
}

static int fail(const char *what, enum err err)
{
	fprintf(stderr, "holdfast: %s: %s\n", what, err_text(err));
	return 1;
}

static int open_stores(struct serve *s)
{
	enum err err = exec_threads_new(wake_loop, s, &s->threads);
	if (err != ERR_OK)
		return fail("starting threads", err);
	err = vfs_posix_open(s->config.data, &s->vfs);
	if (err == ERR_LOCKED) {
		fprintf(stderr, "holdfast: another process uses the data directory %s\n", s->config.data);
		return 1;
	}
	if (err != ERR_OK) {
		fprintf(stderr, "holdfast: cannot use %s as the data directory: %s\n", s->config.data,
			access(s->config.data, F_OK) == 0 ? "it is no directory, or not ours to use" : err_text(err));
		return 1;
	}
	err = catalog_sqlite_open(s->vfs, false, &s->catalog);
	if (err == ERR_CORRUPT || err == ERR_READ_FAILED)
		fprintf(stderr, "holdfast: 'holdfast verify --rebuild --data %s' makes the catalog again\n",
			s->config.data);
	return err == ERR_OK ? 0 : fail("the catalog", err);
}

static void on_revoked(void *arg, const char *token_id)
{
	struct serve *s = arg;
	if (s->net)
		net_revoke(s->net, token_id);
}

static enum err on_grant(void *arg, const char *token, struct grant *out)
{
	struct serve *s = arg;
	return s->net ? auth_check(s->tokens.auth, token, net_now(s->net).wall_ms, out) : ERR_UNAUTHORIZED;
}

static int open_tokens(struct serve *s)
{
	s->tokens.vfs = s->vfs;
	s->tokens.exec = exec_threads_exec(s->threads);
	enum err err = tokens_open(&s->tokens, time(NULL) * 1000LL, on_revoked, s);
	if (err == ERR_CORRUPT)
		fprintf(stderr,
			"holdfast: %s/tokens.json is damaged; with the file moved aside all tokens are void, and the "
			"server starts\n",
			s->config.data);
	return err == ERR_OK ? 0 : fail("the tokens", err);
}

/* While start-up waits for its own work, there is no loop yet to be woken. */
static void pump(void *arg)
{
	struct serve *s = arg;
	if (exec_threads_turn(s->threads) == 0)
		usleep(PUMP_WAIT_US);
}

static int open_engine(struct serve *s)
{
	const struct config *c = &s->config;
	struct engine_config config = {
		.vfs = s->vfs,
		.exec = exec_threads_exec(s->threads),
		.catalog = s->catalog,
		.memory_bytes = c->memory_bytes,
		.journal_bytes = c->journal_bytes,
		.journal_io = c->journal_io,
		.grace_ms = c->grace_ms,
		.takeover = c->takeover,
		.heartbeat_ms = c->heartbeat_ms,
		.late_resume_ms = c->late_resume_ms,
		.upload_expires_ms = c->upload_expires_ms,
		.rate_per_s = c->rate_per_s,
		.rate_burst = c->rate_burst,
		.retain_originals_ms = c->retain_originals_ms,
		.retain_ms = c->retain_ms,
		.hash_early = c->hash_early,
		.reserve_bytes = c->reserve_bytes,
		.workers = s->workers,
		.worker_count = c->workers,
		.lease_ms = c->lease_ms,
		.queue_wait_ms = c->queue_wait_ms,
		.random = fill_random,
		.grant = on_grant,
		.grant_arg = s,
		.fetcher = s->web.fetcher,
		.fetch_ms = c->fetch_timeout_ms,
		.notifier = s->web.notifier,
		.pusher = s->web.pusher,
		.authority = s->web.authority,
		.push_part_bytes = c->push_part,
		.pump = pump,
		.pump_arg = s,
	};
	net_callbacks(s->net, &config.callbacks);
	s->catalog->webhooks = s->web.notifier != NULL;
	s->catalog->pushes = s->web.pusher != NULL;
	s->catalog = NULL;
	enum err err = engine_open(&config, net_now(s->net), &s->engine);
	if (err != ERR_OK)
		return fail("opening the journal and the recordings", err);
	const struct engine_recovery *found = engine_recovery(s->engine);
	log_event(LOG_INFO, "recovered", "records", log_number(found->records), "bytes", log_number(found->bytes),
		  "takes", log_number(found->takes), "quarantined", log_number(found->quarantined), "damaged",
		  log_number(found->damaged), NULL);
	return 0;
}

static void on_certificate(void *arg, SSL_CTX *context)
{
	struct serve *s = arg;
	if (s->net)
		net_certificate(s->net, context);
	else
		SSL_CTX_free(context);
}

static int open_net(struct serve *s)
{
	SSL_CTX *tls = NULL;
	s->cert = (struct serve_cert){
		.cert_file = s->config.tls_cert,
		.key_file = s->config.tls_key,
		.exec = exec_threads_exec(s->threads),
		.use = on_certificate,
		.arg = s,
	};
	if (s->config.tls_cert && !(tls = serve_cert_load(&s->cert)))
		return 1;
	struct net_config config = {
		.loop = &s->loop,
		.host = s->config.listen_host,
		.port = s->config.listen_port,
		.auth = s->tokens.auth,
		.allow_origin = s->config.allow_origin,
		.listen_open = s->config.listen_open,
		.version = HOLDFAST_VERSION,
		.tls = tls,
		.upload_expires_ms = s->config.upload_expires_ms,
		.max_connections = s->config.max_connections,
		.fatal = on_fatal,
	};
	enum err err = net_new(&config, &s->net);
	return err == ERR_OK ? 0 : fail("the network", err);
}

/* The authority must be there, and durable, before a port is. */
/* What the QR code carries. */
static void pairing_token(void *arg, int64_t now_ms, char out[LAN_PAIRING_TEXT], int64_t *expires_ms)
{
	_Static_assert((int)PAIRING_TEXT <= (int)LAN_PAIRING_TEXT, "it fits");
	auth_pairing(arg, now_ms, out, expires_ms);
}

static int open_lan(struct serve *s)
{
	if (!s->config.lan)
		return 0;
	struct lan *lan = serve_lan_open(&s->lan, s->vfs, exec_threads_exec(s->threads), s->config.data,
					 (struct lan_pairing){ pairing_token, s->tokens.auth });
	if (lan)
		net_lan(s->net, lan, (uint16_t)s->config.lan_port);
	return lan ? 0 : 1;
}

static int cannot_listen(const struct serve *s, enum err err)
{
	const char *why = err == ERR_EXISTS ? "the address is in use" : err_text(err);
	if (net_source_failed(s->net))
		fprintf(stderr, "holdfast: cannot listen for sources on %s port %u: %s\n",
			*s->config.source_host ? s->config.source_host : "all addresses", s->config.source_port, why);
	else if (net_port(s->net) > 0) /* the first one worked */
		fprintf(stderr, "holdfast: cannot listen on the local network, port %u: %s\n", s->config.lan_port, why);
	else
		fprintf(stderr, "holdfast: cannot listen on %s port %u: %s\n", s->config.listen_host,
			s->config.listen_port, why);
	return 1;
}

static int listen_on(struct serve *s)
{
	bool is_v6 = strchr(s->config.listen_host, ':') != NULL;
	enum err err = net_listen(s->net, s->engine);
	if (err != ERR_OK)
		return cannot_listen(s, err);
	uv_update_time(&s->loop); /* the loop's clock stood still during recovery, and a full grace begins now */
	engine_listening(s->engine, net_now(s->net));
	snprintf(s->at, sizeof s->at, "%s://%s%s%s:%u", s->config.tls_cert ? "https" : "http", is_v6 ? "[" : "",
		 s->config.listen_host, is_v6 ? "]" : "", net_port(s->net));
	control_begin(s);
	if (s->config.tls_cert)
		serve_cert_watch(&s->cert, &s->loop);
	serve_icecast_open(&s->icecast, &s->loop, s->engine, s->config.icecast);
	printf("listening on %s\n", s->at);
	if (s->lan.lan)
		serve_lan_print_addresses(s->lan.lan);
	if (net_source_port(s->net))
		serve_source_print(s->config.source_host, net_source_port(s->net));
	printf("record at %s/record\n", s->at);
	if (s->lan.lan)
		serve_lan_print_code(s->lan.lan);
	fflush(stdout);
	return 0;
}

/* Stopping */

static void on_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Everything that is open, whether the start came to its end or not. */
static void close_all(struct serve *s)
{
	if (s->net) { /* a start that failed */
		struct net *net = s->net;
		control_end(s);
		s->net = NULL;
		net_close(net, on_net_closed, s);
		uv_run(&s->loop, UV_RUN_DEFAULT);
	}
	serve_icecast_close(&s->icecast);
	if (s->threads)
		exec_threads_drain(s->threads);
	engine_close(s->engine);
	serve_workers_close(s->workers, &s->loop); /* behind the engine, which knows them until then */
	serve_web_close(&s->web);
	catalog_close(s->catalog);
	tokens_close(&s->tokens);
	exec_threads_free(s->threads);
	serve_lan_release(&s->lan);
	serve_source_close(&s->source);
	vfs_free(s->vfs);
	uv_walk(&s->loop, on_handle, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_loop_close(&s->loop);
}

static int start(struct serve *s)
{
	int status = open_stores(s);
	if (status == 0)
		status = open_tokens(s);
	if (status == 0)
		status = open_net(s);
	if (status == 0)
		status = serve_workers_open(&s->loop, s->config.workers, &s->workers);
	if (status == 0)
		status = serve_web_open(&s->web, &s->loop, &s->config);
	if (status == 0)
		status = open_engine(s);
	if (status == 0)
		status = open_lan(s);
	if (status == 0)
		status = serve_source_open(&s->source, s->net, &s->config);
	return status == 0 ? listen_on(s) : status;
}

int serve_main(int argc, char **argv)
{
	static struct serve s;
	int status = config_load(&s.config, CONFIG_SERVE, argc, argv, environ);
	if (status == CONFIG_GO) {
		log_set_level(s.config.log_level);
		set_up_process();
		loop_open(&s);
		status = start(&s);
		if (status == 0) {
			uv_prepare_start(&s.turn, on_turn);
			uv_run(&s.loop, UV_RUN_DEFAULT);
		}
		close_all(&s);
	}
	config_release(&s.config);
	return status;
}
