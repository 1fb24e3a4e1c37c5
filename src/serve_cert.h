/* The operator's certificate, --tls-cert and --tls-key: read at the start, and again while the server works, because a
 * certificate that was renewed must not need a restart.
 *
 * The files are looked at every LIMIT_CERT_LOOK_MS and at SIGHUP, on the pool lane. What is new and whole serves the
 * connections that come from then on. What is not (a key that is not the certificate's yet, half a file) is said in
 * the log once, and the old one stays in use. */
#ifndef HOLDFAST_SERVE_CERT_H
#define HOLDFAST_SERVE_CERT_H

#include "base/exec.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <uv.h>

enum { CERT_DIGEST = 32, CERT_WHY = 256 };

/* What one look at the files found. */
struct cert_look {
	uint8_t digest[CERT_DIGEST]; /* of what was read, or of why nothing was */
	SSL_CTX *context;	     /* NULL: `why` */
	char why[CERT_WHY];
};

struct serve_cert {
	const char *cert_file, *key_file;
	struct exec *exec;
	void (*use)(void *arg, SSL_CTX *context); /* takes it over */
	void *arg;
	/* the rest is serve_cert.c's */
	struct task task;
	uv_timer_t timer;
	uv_signal_t hangup;
	struct cert_look look;
	uint8_t seen[CERT_DIGEST]; /* what is in use, or was refused last */
	bool looking, again, asked;
};

/* Reads the files for the first time. NULL: a sentence is on standard error. */
SSL_CTX *serve_cert_load(struct serve_cert *c);
/* Looks after them from here on. The handles do not keep the loop running; who closes the loop closes them. No look may
 * be under way then. */
void serve_cert_watch(struct serve_cert *c, uv_loop_t *loop);

/* A text that may hold a key. */
void secret_free(char *text);

#endif
