/* What `holdfast serve --lan` needs for TLS beyond the network itself: the files of the private authority in the data
 * directory, and what a person reads on the terminal. The operator's own certificate is serve_cert.h's.
 *
 * DIR/tls/ca.pem is the authority, key and certificate in one file, so that a crash never leaves half of it. It is made
 * once, is durable before anybody hears of it, and is never replaced: whatever is wrong with it is an error.
 * DIR/tls/leaf.pem is the certificate in use; it is kept so that a restart does not change it, and may be lost. */
#ifndef HOLDFAST_SERVE_TLS_H
#define HOLDFAST_SERVE_TLS_H

#include "base/exec.h"
#include "net/lan.h"
#include "store/vfs.h"

/* Keeps the certificate in use, one write after the other. */
struct leaf_keeper {
	struct task task;
	struct vfs *vfs;
	struct exec *exec;
	char *pem, *next; /* being written; to be written after it */
	enum err err;
};

struct serve_lan {
	struct leaf_keeper keeper;
	struct lan *lan; /* the network's */
};

/* Opens the authority of the data directory `dir`, or makes it. NULL after a sentence on standard error. `pairing` and
 * its argument: see lan_config; it may be NULL. */
struct lan_pairing {
	void (*token)(void *arg, int64_t now_ms, char out[LAN_PAIRING_TEXT], int64_t *expires_ms);
	void *arg;
};
struct lan *serve_lan_open(struct serve_lan *s, struct vfs *vfs, struct exec *exec, const char *dir,
			   struct lan_pairing pairing);
/* When no task runs any more. */
void serve_lan_release(struct serve_lan *s);

/* The lines "listening on https://…". */
void serve_lan_print_addresses(const struct lan *lan);
/* The QR code, on a terminal that is wide enough, and what to do without it. */
void serve_lan_print_code(const struct lan *lan);

#endif
