/* The files and the terminal side of TLS, see serve_tls.h. */
#include "serve_tls.h"

#include "serve_cert.h"

#include "base/limits.h"
#include "base/log.h"
#include "net/ca.h"
#include "net/qr.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const char ca_path[] = "tls/ca.pem", leaf_path[] = "tls/leaf.pem";

/* --- the certificate in use --- */

static void keep_run(struct task *task)
{
	struct leaf_keeper *k = (struct leaf_keeper *)(void *)task;
	k->err = vfs_replace(k->vfs, leaf_path, k->pem, strlen(k->pem));
}

static void keep_next(struct leaf_keeper *k)
{
	k->pem = k->next;
	k->next = NULL;
	if (k->pem)
		exec_submit(k->exec, LANE_POOL, &k->task);
}

static void keep_done(struct task *task)
{
	struct leaf_keeper *k = (struct leaf_keeper *)(void *)task;
	if (k->err != ERR_OK)
		log_event(LOG_WARN, "lan_certificate_not_kept", "code", err_code(k->err), NULL);
	secret_free(k->pem);
	keep_next(k);
}

static void keep(void *arg, const char *leaf_pem, size_t len)
{
	struct serve_lan *s = arg;
	secret_free(s->keeper.next);
	s->keeper.next = strndup(leaf_pem, len);
	if (!s->keeper.pem)
		keep_next(&s->keeper);
}

/* --- the authority --- */

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

static enum err authority_make(struct vfs *vfs)
{
	struct names names;
	struct buf pem;
	names_collect(&names);
	buf_init(&pem);
	enum err err = ca_make(&names, now_s(), &pem);
	if (err == ERR_OK)
		err = vfs_mkdir(vfs, "tls");
	if (err == ERR_OK || err == ERR_EXISTS)
		err = vfs_sync_dir(vfs, "");
	if (err == ERR_OK)
		err = vfs_replace(vfs, ca_path, pem.data, pem.len);
	if (err == ERR_OK)
		log_event(LOG_INFO, "lan_authority_made", "file", ca_path, NULL);
	if (pem.data)
		OPENSSL_cleanse(pem.data, pem.len);
	buf_release(&pem);
	return err;
}

static void complain(const char *dir, const char *what, const char *why)
{
	fprintf(stderr,
		"holdfast: %s/%s %s: %s\n"
		"holdfast: phones trust that authority, so it is not replaced by itself: put the file back from a "
		"copy, or "
		"remove %s/tls to begin anew; each phone must then trust the new one\n",
		dir, ca_path, what, why, dir);
}

/* The authority's text, made at the first start. */
static char *authority_load(struct vfs *vfs, const char *dir)
{
	char *ca = NULL, *leaf = NULL;
	size_t len;
	enum err err = vfs_read_all(vfs, ca_path, LIMIT_PEM_BYTES, &ca, &len);
	if (err == ERR_NOT_FOUND) {
		enum err before = vfs_read_all(vfs, leaf_path, LIMIT_PEM_BYTES, &leaf, &len);
		secret_free(leaf);
		if (before != ERR_NOT_FOUND) {
			complain(dir, "is missing", "a certificate that it signed is there");
			return NULL;
		}
		err = authority_make(vfs);
		if (err == ERR_OK)
			err = vfs_read_all(vfs, ca_path, LIMIT_PEM_BYTES, &ca, &len);
		if (err != ERR_OK)
			fprintf(stderr, "holdfast: cannot make %s/%s: %s\n", dir, ca_path, err_text(err));
	} else if (err != ERR_OK) {
		complain(dir, "cannot be read", err_text(err));
	}
	return ca;
}

static void moved(void *arg)
{
	struct serve_lan *s = arg;
	serve_lan_print_addresses(s->lan);
	serve_lan_print_code(s->lan);
}

struct lan *serve_lan_open(struct serve_lan *s, struct vfs *vfs, struct exec *exec, const char *dir,
			   struct lan_pairing pairing)
{
	size_t len;
	const char *why;
	char *ca = authority_load(vfs, dir), *leaf = NULL;
	if (!ca)
		return NULL;
	*s = (struct serve_lan){ .keeper = {
					 .task = { .run = keep_run, .done = keep_done }, .vfs = vfs, .exec = exec } };
	vfs_read_all(vfs, leaf_path, LIMIT_PEM_BYTES, &leaf, &len); /* whatever is wrong: another one is made */
	struct lan_config config = {
		.ca_pem = ca,
		.leaf_pem = leaf,
		.keep = keep,
		.moved = moved,
		.pairing = pairing.token,
		.pairing_arg = pairing.arg,
		.arg = s,
	};
	enum err err = lan_new(&config, now_s(), &s->lan, &why);
	if (err == ERR_CORRUPT)
		complain(dir, "cannot be used", why);
	else if (err != ERR_OK)
		fprintf(stderr, "holdfast: the certificate for the local network: %s\n", why);
	secret_free(ca);
	secret_free(leaf);
	return s->lan;
}

void serve_lan_release(struct serve_lan *s)
{
	secret_free(s->keeper.pem);
	secret_free(s->keeper.next);
}

/* --- the terminal --- */

void serve_lan_print_addresses(const struct lan *lan)
{
	const struct names *names = lan_names(lan);
	unsigned printed = 0;
	for (unsigned i = 0; i < names->address_count; i++) {
		char text[ADDRESS_TEXT];
		const struct name_address *a = &names->addresses[i];
		if (!address_is_reachable(a) || (a->len == 16 && printed > 0))
			continue; /* the long ones only where there is nothing shorter */
		address_text(a, text);
		printf(a->len == 16 ? "listening on https://[%s]:%u\n" : "listening on https://%s:%u\n", text,
		       lan_port(lan));
		printed++;
	}
	fflush(stdout);
}

/* Is a code of so many columns readable there? */
static bool terminal_takes(unsigned columns)
{
	struct winsize size;
	const char *term = getenv("TERM");
	if (!isatty(STDOUT_FILENO) || (term && strcmp(term, "dumb") == 0))
		return false;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_col >= columns;
}

void serve_lan_print_code(const struct lan *lan)
{
	char pair[LAN_URL], https[NAMES_URL], http[NAMES_URL];
	const struct names *names = lan_names(lan);
	struct timespec now;
	struct buf code;
	unsigned columns = 0;
	int64_t expires_ms;
	if (names->address_count == 0 || !address_is_reachable(&names->addresses[0])) {
		printf("this machine has no address on a local network yet; phones can come when it has one\n");
		fflush(stdout);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	lan_pair_url(lan, "https", now.tv_sec * 1000 + now.tv_nsec / 1000000, pair, &expires_ms);
	buf_init(&code);
	if (qr_terminal(pair, &code, &columns) == ERR_OK && terminal_takes(columns))
		printf("\n%s\n", code.data);
	buf_release(&code);
	names_url(names, "https", lan_port(lan), https);
	names_url(names, "http", lan_port(lan), http);
	printf("phones record at %s/record\n"
	       "without trusting the certificate (%s/trust): %s/record, which records with the camera app\n",
	       https, http, http);
	fflush(stdout);
}
