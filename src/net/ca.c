/* The private authority, by OpenSSL. Profiles after RFC 5280; the names' constraints are its section 4.2.1.10. */
#include "net/ca.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	DAY_S = 24 * 3600,
	EARLY_S = DAY_S, /* valid since yesterday: a phone's clock may be behind */
	SERIAL_BYTES = 16,
	TITLE_CHARS = 64, /* RFC 5280's bound of a common name */
	TITLE_HOST = 40,
};

struct ca {
	X509 *certificate;
	EVP_PKEY *key;
	uint8_t *der;
	size_t der_len;
	char fingerprint[FINGERPRINT_TEXT];
	char name[TITLE_CHARS + 1];
	int64_t not_after;
};

/* --- making certificates --- */

static bool extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool ok = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

static bool subject_set(X509_NAME *subject, const char *title)
{
	return X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"Holdfast", -1, -1, 0) &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)title, -1, -1, 0);
}

static bool serial_set(X509 *certificate)
{
	uint8_t bytes[SERIAL_BYTES];
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and never shorter */
	BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
	bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return ok;
}

/* All that the two kinds have in common. */
static X509 *certificate_new(EVP_PKEY *key, const char *title, int64_t from_s, int64_t until_s)
{
	X509 *certificate = X509_new();
	if (certificate && X509_set_version(certificate, X509_VERSION_3) == 1 && serial_set(certificate) &&
	    ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)from_s) &&
	    ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)until_s) &&
	    subject_set(X509_get_subject_name(certificate), title) && X509_set_pubkey(certificate, key) == 1)
		return certificate;
	X509_free(certificate);
	return NULL;
}

/* Both as PEM behind what is in `out`. */
static bool pem_write(struct buf *out, EVP_PKEY *key, X509 *certificate)
{
	char *text = NULL;
	BIO *bio = BIO_new(BIO_s_secmem());
	bool ok = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		  PEM_write_bio_X509(bio, certificate) == 1;
	long len = ok ? BIO_get_mem_data(bio, &text) : 0; /* it sets `text`: not among the arguments of one call */
	if (ok)
		buf_add(out, text, (size_t)len);
	BIO_free(bio);
	return ok && !out->failed;
}

static enum err result(bool ok)
{
	ERR_clear_error();
	return ok ? ERR_OK : ERR_NO_MEMORY; /* it has no other reason to fail */
}

/* Is the name at or below the base? */
static bool is_within(const char *name, const char *base, size_t base_len)
{
	size_t len = strlen(name);
	return len >= base_len && strncasecmp(name + len - base_len, base, base_len) == 0 &&
	       (len == base_len || name[len - base_len - 1] == '.');
}

/* What may be signed. Of the machine's own names (names_init tells why none is bare) those that are not covered yet. */
static void constraints_format(struct buf *out, const struct names *names)
{
	static const char *const bases[] = { "localhost", "local", "lan", "home.arpa" };
	enum { BASES = sizeof bases / sizeof *bases };
	buf_add_text(out, "critical,permitted;IP:10.0.0.0/255.0.0.0,permitted;IP:172.16.0.0/255.240.0.0,"
			  "permitted;IP:192.168.0.0/255.255.0.0,permitted;IP:169.254.0.0/255.255.0.0,"
			  "permitted;IP:127.0.0.0/255.0.0.0,permitted;IP:fc00::/fe00::,permitted;IP:fe80::/ffc0::,"
			  "permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	for (unsigned i = 0; i < BASES; i++)
		buf_addf(out, ",permitted;DNS:%s", bases[i]);
	for (unsigned i = 0; i < names->host_count; i++) {
		bool covered = false;
		for (unsigned k = 0; k < BASES; k++)
			covered |= is_within(names->hosts[i], bases[k], strlen(bases[k]));
		if (!covered)
			buf_addf(out, ",permitted;DNS:%s", names->hosts[i]);
	}
}

static bool authority_extend(X509 *certificate, const struct names *names)
{
	struct buf constraints;
	buf_init(&constraints);
	constraints_format(&constraints, names);
	bool ok = !constraints.failed &&
		  extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		  extend(certificate, certificate, NID_key_usage, "critical,keyCertSign") &&
		  extend(certificate, certificate, NID_subject_key_identifier, "hash") &&
		  extend(certificate, certificate, NID_name_constraints, constraints.data);
	buf_release(&constraints);
	return ok;
}

enum err ca_make(const struct names *names, int64_t now_s, struct buf *pem)
{
	char title[TITLE_CHARS + 1];
	uint8_t tag[3] = { 0 }; /* a machine that was set up anew has another one in the phone's list */
	const char *host = names->host_count > 1 ? names->hosts[1] : "this machine";
	size_t label = strcspn(host, ".");
	RAND_bytes(tag, sizeof tag);
	snprintf(title, sizeof title, "Holdfast on %.*s, %02X%02X%02X", (int)(label < TITLE_HOST ? label : TITLE_HOST),
		 host, tag[0], tag[1], tag[2]);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate =
		key ? certificate_new(key, title, now_s - EARLY_S, now_s + (int64_t)LIMIT_CA_DAYS * DAY_S) : NULL;
	bool ok = certificate && X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
		  authority_extend(certificate, names) && X509_sign(certificate, key, EVP_sha256()) > 0 &&
		  pem_write(pem, key, certificate);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return result(ok);
}

/* --- reading --- */

static int no_passphrase(char *to, int size, int writing, void *arg)
{
	return -1;
}

/* The key and the certificate of a text; either may be NULL. */
static void pem_read(const char *pem, EVP_PKEY **key, X509 **certificate)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	*key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	bio = BIO_new_mem_buf(pem, -1);
	*certificate = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
}

/* X509_cmp_time is 0 for a time that is none, else the side that it lies on. */
static bool is_over(const ASN1_TIME *time, int64_t at_s)
{
	time_t at = (time_t)at_s;
	return X509_cmp_time(time, &at) <= 0;
}

static bool has_begun(const ASN1_TIME *time, int64_t now_s)
{
	time_t now = (time_t)now_s;
	return X509_cmp_time(time, &now) < 0;
}

/* What is wrong with it as our authority; NULL: nothing. */
static const char *authority_judge(const struct ca *ca, int64_t now_s)
{
	int critical = -1;
	if (!ca->key)
		return "it holds no key that can be read";
	if (!ca->certificate)
		return "it holds no certificate that can be read";
	if (X509_check_private_key(ca->certificate, ca->key) != 1)
		return "its key is not that of its certificate";
	if (X509_check_ca(ca->certificate) != 1 || X509_verify(ca->certificate, ca->key) != 1)
		return "its certificate is damaged, or not that of an authority";
	NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(ca->certificate, NID_name_constraints, &critical, NULL);
	NAME_CONSTRAINTS_free(constraints);
	if (!constraints || critical != 1)
		return "its certificate does not bind it to private networks";
	if (is_over(X509_get0_notAfter(ca->certificate), now_s))
		return "its certificate has expired (is the clock right?)";
	if (!has_begun(X509_get0_notBefore(ca->certificate), now_s))
		return "its certificate is not valid yet (is the clock right?)";
	return NULL;
}

static bool ca_describe(struct ca *ca)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned sum_len = 0;
	struct tm until;
	int len = i2d_X509(ca->certificate, &ca->der);
	if (len <= 0 || X509_digest(ca->certificate, EVP_sha256(), sum, &sum_len) != 1 || sum_len != 32 ||
	    ASN1_TIME_to_tm(X509_get0_notAfter(ca->certificate), &until) != 1)
		return false;
	ca->der_len = (size_t)len;
	ca->not_after = timegm(&until);
	for (unsigned i = 0; i < sum_len; i++)
		snprintf(ca->fingerprint + i * 3, 4, i + 1 < sum_len ? "%02X:" : "%02X", sum[i]);
	return X509_NAME_get_text_by_NID(X509_get_subject_name(ca->certificate), NID_commonName, ca->name,
					 sizeof ca->name) >= 0;
}

enum err ca_read(const char *pem, int64_t now_s, struct ca **out, const char **why)
{
	struct ca *ca = calloc(1, sizeof *ca);
	*out = NULL;
	*why = "out of memory";
	if (!ca)
		return ERR_NO_MEMORY;
	pem_read(pem, &ca->key, &ca->certificate);
	*why = authority_judge(ca, now_s);
	if (!*why && !ca_describe(ca))
		*why = "its certificate has no name of ours";
	ERR_clear_error();
	if (*why) {
		ca_free(ca);
		return ERR_CORRUPT;
	}
	*out = ca;
	return ERR_OK;
}

void ca_free(struct ca *ca)
{
	if (!ca)
		return;
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
	OPENSSL_free(ca->der);
	free(ca);
}

/* --- leaves --- */

/* May the authority sign for it? A machine may have been renamed since it was made. */
static bool may_sign(const NAME_CONSTRAINTS *constraints, const char *host)
{
	for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); i++) {
		const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i)->base;
		if (base->type == GEN_DNS && is_within(host, (const char *)ASN1_STRING_get0_data(base->d.dNSName),
						       (size_t)ASN1_STRING_length(base->d.dNSName)))
			return true;
	}
	return false;
}

static int by_value(const void *a, const void *b)
{
	const struct name_address *x = a, *y = b;
	return x->len != y->len ? (int)x->len - (int)y->len : memcmp(x->bytes, y->bytes, x->len);
}

/* The names as the extension's value; which of two networks leads out does not matter here. */
static void alternatives_format(struct buf *out, const struct ca *ca, const struct names *names)
{
	struct names sorted = *names;
	NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(ca->certificate, NID_name_constraints, NULL, NULL);
	const char *comma = "";
	qsort(sorted.addresses, sorted.address_count, sizeof *sorted.addresses, by_value);
	for (unsigned i = 0; constraints && i < sorted.host_count; i++)
		if (may_sign(constraints, sorted.hosts[i])) {
			buf_addf(out, "%sDNS:%s", comma, sorted.hosts[i]);
			comma = ",";
		}
	NAME_CONSTRAINTS_free(constraints);
	for (unsigned i = 0; i < sorted.address_count; i++) {
		char text[ADDRESS_TEXT];
		address_text(&sorted.addresses[i], text);
		buf_addf(out, "%sIP:%s", comma, text);
		comma = ",";
	}
}

static bool leaf_extend(X509 *leaf, const struct ca *ca, const struct names *names)
{
	struct buf alternatives;
	buf_init(&alternatives);
	alternatives_format(&alternatives, ca, names);
	bool ok = !alternatives.failed && alternatives.len > 0 &&
		  extend(leaf, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") &&
		  extend(leaf, ca->certificate, NID_key_usage, "critical,digitalSignature") &&
		  extend(leaf, ca->certificate, NID_ext_key_usage, "serverAuth") &&
		  extend(leaf, ca->certificate, NID_subject_key_identifier, "hash") &&
		  extend(leaf, ca->certificate, NID_authority_key_identifier, "keyid:always") &&
		  extend(leaf, ca->certificate, NID_subject_alt_name, alternatives.data);
	buf_release(&alternatives);
	return ok;
}

enum err ca_issue(const struct ca *ca, const struct names *names, int64_t now_s, struct buf *pem)
{
	int64_t until = now_s - EARLY_S + (int64_t)LIMIT_LEAF_DAYS * DAY_S;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *leaf =
		key ? certificate_new(key, "Holdfast", now_s - EARLY_S, until < ca->not_after ? until : ca->not_after)
		    : NULL;
	bool ok = leaf && X509_set_issuer_name(leaf, X509_get_subject_name(ca->certificate)) == 1 &&
		  leaf_extend(leaf, ca, names) && X509_sign(leaf, ca->key, EVP_sha256()) > 0 &&
		  pem_write(pem, key, leaf);
	X509_free(leaf);
	EVP_PKEY_free(key);
	return result(ok);
}

/* Does it name exactly these? Compared as encoded. */
static bool names_match(X509 *leaf, const struct ca *ca, const struct names *names)
{
	struct buf alternatives;
	int at = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);
	X509_EXTENSION *has = at >= 0 ? X509_get_ext(leaf, at) : NULL, *wanted = NULL;
	buf_init(&alternatives);
	alternatives_format(&alternatives, ca, names);
	if (has && !alternatives.failed && alternatives.len > 0)
		wanted = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternatives.data);
	bool same = wanted && ASN1_STRING_cmp(X509_EXTENSION_get_data(has), X509_EXTENSION_get_data(wanted)) == 0;
	X509_EXTENSION_free(wanted);
	buf_release(&alternatives);
	return same;
}

bool ca_leaf_fits(const struct ca *ca, const char *pem, const struct names *names, int64_t now_s)
{
	EVP_PKEY *key;
	X509 *leaf;
	int64_t soon = now_s + (int64_t)LIMIT_LEAF_RENEW_DAYS * DAY_S;
	if (soon > ca->not_after)
		soon = now_s; /* a new one would not last longer */
	pem_read(pem, &key, &leaf);
	bool fits = key && leaf && X509_check_private_key(leaf, key) == 1 && X509_verify(leaf, ca->key) == 1 &&
		    has_begun(X509_get0_notBefore(leaf), now_s) && !is_over(X509_get0_notAfter(leaf), soon) &&
		    names_match(leaf, ca, names);
	X509_free(leaf);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return fits;
}

const uint8_t *ca_der(const struct ca *ca, size_t *len)
{
	*len = ca->der_len;
	return ca->der;
}

const char *ca_fingerprint(const struct ca *ca)
{
	return ca->fingerprint;
}

const char *ca_name(const struct ca *ca)
{
	return ca->name;
}

int64_t ca_not_after(const struct ca *ca)
{
	return ca->not_after;
}
