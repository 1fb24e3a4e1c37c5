/* The operator's certificate and its renewal, see serve_cert.h. */
#include "serve_cert.h"

#include "base/limits.h"
#include "base/log.h"
#include "net/tls.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void secret_free(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

/* The file's text; NULL, and why. */
static char *file_read(const char *path, char why[CERT_WHY])
{
	FILE *file = fopen(path, "re");
	char *text = file ? calloc(1, LIMIT_PEM_BYTES + 2) : NULL;
	size_t len = text ? fread(text, 1, LIMIT_PEM_BYTES + 1, file) : 0;
	int error = errno;
	bool ok = text && !ferror(file) && len <= LIMIT_PEM_BYTES;
	if (!ok)
		snprintf(why, CERT_WHY, "cannot read %s: %s", path,
			 len > LIMIT_PEM_BYTES ? "it is larger than 256K" : strerror(error));
	if (file)
		fclose(file);
	if (ok)
		return text;
	secret_free(text);
	return NULL;
}

/* Of both texts with their ends, so that a byte that moved from one to the other is a change; of `why` without them. */
static void digest_of(const char *chain, const char *key, const char *why, uint8_t out[CERT_DIGEST])
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool ok = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
	if (ok && chain && key)
		ok = EVP_DigestUpdate(hash, chain, strlen(chain) + 1) == 1 &&
		     EVP_DigestUpdate(hash, key, strlen(key) + 1) == 1;
	else if (ok)
		ok = EVP_DigestUpdate(hash, why, strlen(why)) == 1;
	if (!ok || EVP_DigestFinal_ex(hash, out, NULL) != 1)
		memset(out, 0, CERT_DIGEST);
	EVP_MD_CTX_free(hash);
}

static void look_at(const struct serve_cert *c, struct cert_look *look)
{
	const char *wrong;
	*look = (struct cert_look){ 0 };
	char *chain = file_read(c->cert_file, look->why), *key = chain ? file_read(c->key_file, look->why) : NULL;
	if (key && tls_context_new(chain, key, &look->context, &wrong) != ERR_OK)
		snprintf(look->why, CERT_WHY, "cannot use %s with %s: %s", c->cert_file, c->key_file, wrong);
	digest_of(chain, key, look->why, look->digest);
	secret_free(chain);
	secret_free(key);
}

SSL_CTX *serve_cert_load(struct serve_cert *c)
{
	look_at(c, &c->look);
	memcpy(c->seen, c->look.digest, CERT_DIGEST);
	if (!c->look.context)
		fprintf(stderr, "holdfast: %s\n", c->look.why);
	return c->look.context;
}

static void look_run(struct task *task)
{
	struct serve_cert *c = (struct serve_cert *)(void *)((char *)task - offsetof(struct serve_cert, task));
	look_at(c, &c->look);
}

static void look_begin(struct serve_cert *c)
{
	if (c->looking) {
		c->again = true; /* what is being read may be from before */
		return;
	}
	c->looking = true;
	exec_submit(c->exec, LANE_POOL, &c->task);
}

static void look_done(struct task *task)
{
	struct serve_cert *c = (struct serve_cert *)(void *)((char *)task - offsetof(struct serve_cert, task));
	struct cert_look *look = &c->look;
	bool same = memcmp(c->seen, look->digest, CERT_DIGEST) == 0;
	c->looking = false;
	memcpy(c->seen, look->digest, CERT_DIGEST);
	if (!look->context && (!same || c->asked))
		log_event(LOG_WARN, "tls_certificate_refused", "why", look->why, "kept", "the one in use", NULL);
	if (look->context && same) {
		SSL_CTX_free(look->context);
	} else if (look->context) {
		log_event(LOG_INFO, "tls_certificate_taken", "file", c->cert_file, NULL);
		c->use(c->arg, look->context);
	}
	look->context = NULL;
	c->asked = false;
	if (c->again) {
		c->again = false;
		look_begin(c);
	}
}

static void on_timer(uv_timer_t *timer)
{
	look_begin(timer->data);
}

static void on_hangup(uv_signal_t *handle, int number)
{
	struct serve_cert *c = handle->data;
	c->asked = true;
	look_begin(c);
}

void serve_cert_watch(struct serve_cert *c, uv_loop_t *loop)
{
	c->task = (struct task){ .run = look_run, .done = look_done };
	uv_timer_init(loop, &c->timer);
	uv_signal_init(loop, &c->hangup);
	c->timer.data = c->hangup.data = c;
	uv_timer_start(&c->timer, on_timer, LIMIT_CERT_LOOK_MS, LIMIT_CERT_LOOK_MS);
	uv_signal_start(&c->hangup, on_hangup, SIGHUP);
	uv_unref((uv_handle_t *)&c->timer);
	uv_unref((uv_handle_t *)&c->hangup);
}
