/* The server on the local network, see lan.h. */
#include "net/lan.h"

#include "base/log.h"
#include "net/tls.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lan {
	struct lan_config config; /* its texts are not kept */
	struct ca *ca;
	struct names names;
	struct buf leaf; /* the certificate in use, PEM */
	SSL_CTX *context;
	uint16_t port;
};

/* Takes the certificate into use. */
static enum err leaf_use(struct lan *lan, const char *pem, size_t len)
{
	const char *why;
	SSL_CTX *context;
	enum err err = tls_context_new(pem, pem, &context, &why);
	if (err != ERR_OK)
		return err;
	struct buf leaf;
	buf_init(&leaf);
	buf_add(&leaf, pem, len);
	if (leaf.failed) {
		SSL_CTX_free(context);
		return ERR_NO_MEMORY;
	}
	SSL_CTX_free(lan->context);
	lan->context = context;
	buf_release(&lan->leaf);
	lan->leaf = leaf;
	return ERR_OK;
}

static enum err leaf_renew(struct lan *lan, int64_t now_s)
{
	struct buf pem;
	buf_init(&pem);
	enum err err = ca_issue(lan->ca, &lan->names, now_s, &pem);
	if (err == ERR_OK)
		err = leaf_use(lan, pem.data, pem.len);
	if (err == ERR_OK) {
		log_event(LOG_INFO, "lan_certificate_made", "addresses", log_number(lan->names.address_count), NULL);
		lan->config.keep(lan->config.arg, pem.data, pem.len);
	} else {
		log_event(LOG_ERROR, "lan_certificate_failed", "code", err_code(err), NULL);
	}
	buf_release(&pem);
	return err;
}

/* An address that the authority may not sign for is not served with a certificate, nor named to anybody. */
static void say_left_out(const struct names *names)
{
	if (names->left_out > 0)
		log_event(LOG_WARN, "lan_addresses_left_out", "count", log_number(names->left_out), "first",
			  names->example, "why", "not private", NULL);
}

static bool collect(const struct lan *lan, struct names *out)
{
	return lan->config.collect ? lan->config.collect(out) : names_collect(out);
}

enum err lan_new(const struct lan_config *config, int64_t now_s, struct lan **out, const char **why)
{
	struct lan *lan = calloc(1, sizeof *lan);
	*out = NULL;
	*why = "out of memory";
	if (!lan)
		return ERR_NO_MEMORY;
	lan->config = *config;
	lan->config.ca_pem = lan->config.leaf_pem = NULL;
	buf_init(&lan->leaf);
	collect(lan, &lan->names);
	say_left_out(&lan->names);
	enum err err = ca_read(config->ca_pem, now_s, &lan->ca, why);
	if (err == ERR_OK) {
		*why = "no certificate can be made with it";
		if (!config->leaf_pem || !ca_leaf_fits(lan->ca, config->leaf_pem, &lan->names, now_s) ||
		    leaf_use(lan, config->leaf_pem, strlen(config->leaf_pem)) != ERR_OK)
			err = leaf_renew(lan, now_s);
	}
	if (err != ERR_OK) {
		lan_free(lan);
		return err;
	}
	*out = lan;
	return ERR_OK;
}

void lan_free(struct lan *lan)
{
	if (!lan)
		return;
	SSL_CTX_free(lan->context);
	ca_free(lan->ca);
	if (lan->leaf.data)
		OPENSSL_cleanse(lan->leaf.data, lan->leaf.len);
	buf_release(&lan->leaf);
	free(lan);
}

void lan_look(struct lan *lan, int64_t now_s)
{
	char before[NAMES_URL], after[NAMES_URL];
	struct names now;
	if (!collect(lan, &now))
		return; /* asked again soon */
	bool same = names_equal(&now, &lan->names);
	names_url(&lan->names, "https", lan->port, before);
	names_url(&now, "https", lan->port, after);
	if (now.left_out != lan->names.left_out)
		say_left_out(&now);
	lan->names = now;
	if (!ca_leaf_fits(lan->ca, lan->leaf.data, &now, now_s) && now_s < ca_not_after(lan->ca))
		leaf_renew(lan, now_s);
	if (!same && strcmp(before, after) != 0) {
		log_event(LOG_INFO, "lan_address_changed", "url", after, NULL);
		if (lan->config.moved)
			lan->config.moved(lan->config.arg);
	}
}

const struct names *lan_names(const struct lan *lan)
{
	return &lan->names;
}

const struct ca *lan_ca(const struct lan *lan)
{
	return lan->ca;
}

SSL_CTX *lan_context(const struct lan *lan)
{
	return lan->context;
}

void lan_set_port(struct lan *lan, uint16_t port)
{
	lan->port = port;
}

uint16_t lan_port(const struct lan *lan)
{
	return lan->port;
}

void lan_pair_url(const struct lan *lan, const char *scheme, int64_t now_ms, char out[LAN_URL], int64_t *expires_ms)
{
	char url[NAMES_URL], token[LAN_PAIRING_TEXT] = "";
	*expires_ms = 0;
	names_url(&lan->names, scheme, lan->port, url);
	if (lan->config.pairing)
		lan->config.pairing(lan->config.pairing_arg, now_ms, token, expires_ms);
	snprintf(out, LAN_URL, "%s/record%s%s", url, *token ? "#pair=" : "", token);
}
