/* Files to a tus 1.0 server, by libcurl: several at once in one thread.
 *
 * Each upload's URL is kept in the spool, durably, before a byte is sent; a link that is lost, or a new run, asks the
 * server how far it is (HEAD) and goes on there. What the server has forgotten (404, 410) begins anew. Waits between
 * attempts are those of takes. */
#ifndef HOLDFAST_CLIENT_TUS_H
#define HOLDFAST_CLIENT_TUS_H

#include "files.h"

#include <holdfast/client.h>

struct tus_server; /* one, with its connections */
struct tus;	   /* an upload */

struct tus_options {
	const char *url;
	const char *token, *ca_file; /* or NULL */
	const char *spool_dir;
	uint64_t chunk_bytes; /* a request's at most; 0: a file's */
};

/* 0 or a negative errno. The options' strings must live as long as it does. */
int tus_server_new(const struct tus_options *options, struct tus_server **out);
enum tus_ask { TUS_ASK_NO, TUS_ASK_YES, TUS_ASK_SILENT, TUS_ASK_IN_VAIN /* the address or the certificate is wrong */ };

/* Asks whether it speaks tus at all; waits for at most timeout_ms. *why: the reason of a silence, good until the next
 * call. */
enum tus_ask tus_server_ask(struct tus_server *server, int timeout_ms, const char **why);
/* Works on all uploads for at most timeout_ms; returns early when one has ended. */
void tus_server_run(struct tus_server *server, int timeout_ms);
/* After its uploads. Accepts NULL. */
void tus_server_free(struct tus_server *server);

/* Begins with a file, or goes on with it. `name`, `mime`: of its metadata; mime may be NULL. 0 or a negative errno. */
int tus_new(struct tus_server *server, const struct file *file, const char *name, const char *mime, struct tus **out);
/* HF_SAVED: the server has it all. bytes_safe is what it said, bytes_read what was sent. */
void tus_progress(const struct tus *tus, struct hf_progress *out);
/* As it was checked to be from the first byte to the last. */
const struct file *tus_file(const struct tus *tus);
const char *tus_url(const struct tus *tus);
const char *tus_error(const struct tus *tus);
/* The failure would be that of any other file, too. */
bool tus_is_refused(const struct tus *tus);
/* Forgets what is kept of an upload that is saved. */
void tus_settle(struct tus *tus);
void tus_free(struct tus *tus);

#endif
