/* The private authority: what it vouches for, what nobody can make it vouch for, and what it says to damaged files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/ca.h"
#include "support/names_rig.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum { NOW = 1800000000, DAY = 86400 };

static struct names studio;
static struct buf ca_pem;
static struct ca *ca;

static int set_up(void **state)
{
	const char *why;
	names_make(&studio, "studio", NAMES("192.168.1.5", "fd00::5", "127.0.0.1", "::1", "fe80::5"));
	assert_int_equal(ca_make(&studio, NOW, &ca_pem), ERR_OK);
	assert_int_equal(ca_read(ca_pem.data, NOW, &ca, &why), ERR_OK);
	return 0;
}

static int tear_down(void **state)
{
	ca_free(ca);
	buf_release(&ca_pem);
	return 0;
}

static X509 *certificate_of(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_non_null(certificate);
	BIO_free(bio);
	return certificate;
}

static EVP_PKEY *key_of(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	assert_non_null(key);
	BIO_free(bio);
	return key;
}

/* X509_V_OK, or why a client that trusts the authority refuses the certificate. */
static int verify(const char *authority, X509 *leaf, STACK_OF(X509) * between, int64_t at)
{
	X509 *root = certificate_of(authority);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_STORE_add_cert(store, root);
	assert_int_equal(X509_STORE_CTX_init(context, store, leaf, between), 1);
	X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), (time_t)at);
	X509_verify_cert(context);
	int result = X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	X509_free(root);
	return result;
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

/* What a thief of the authority's key would make. */
static X509 *forge(const char *issuer_pem, EVP_PKEY *key, const char *basic, const char *alternatives)
{
	X509 *issuer = certificate_of(issuer_pem), *certificate = X509_new();
	EVP_PKEY *signer = key_of(issuer_pem);
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
	ASN1_TIME_set(X509_getm_notBefore(certificate), NOW - DAY);
	ASN1_TIME_set(X509_getm_notAfter(certificate), NOW + DAY);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "O", MBSTRING_ASC,
				   (const unsigned char *)"forged", -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
	X509_set_pubkey(certificate, key);
	extend(certificate, issuer, NID_basic_constraints, basic);
	if (alternatives)
		extend(certificate, issuer, NID_subject_alt_name, alternatives);
	assert_true(X509_sign(certificate, signer, EVP_sha256()) > 0);
	X509_free(issuer);
	EVP_PKEY_free(signer);
	return certificate;
}

static int forged(const char *issuer_pem, const char *alternatives)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = forge(issuer_pem, key, "critical,CA:FALSE", alternatives);
	int result = verify(issuer_pem, certificate, NULL, NOW);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return result;
}

static void it_vouches_for_private_names_only(void **state)
{
	static const char *const good[] = { "IP:10.1.2.3",     "IP:172.31.0.1", "IP:192.168.77.1", "IP:169.254.0.9",
					    "IP:127.0.0.1",    "IP:fd12::1",	"IP:fe80::1",	   "IP:::1",
					    "DNS:other.local", "DNS:a.b.local", "DNS:localhost",   "DNS:x.lan",
					    "DNS:x.home.arpa" };
	static const char *const bad[] = { "DNS:example.com",
					   "DNS:local.example.com",
					   "DNS:notlocal",
					   "DNS:localhost.com",
					   "DNS:studio",
					   "DNS:www.studio",
					   "DNS:arpa",
					   "DNS:in-addr.arpa",
					   "DNS:*.com",
					   "IP:8.8.8.8",
					   "IP:172.32.0.1",
					   "IP:11.0.0.1",
					   "IP:192.169.0.1",
					   "IP:2001:db8::1",
					   "IP:::2",
					   "IP:fec0::1",
					   "IP:fb00::1",
					   "IP:0.0.0.0",
					   "DNS:a.local,DNS:b.com",
					   "IP:10.0.0.1,IP:8.8.8.8",
					   "IP:::ffff:8.8.8.8" };
	for (unsigned i = 0; i < sizeof good / sizeof *good; i++)
		if (forged(ca_pem.data, good[i]) != X509_V_OK)
			fail_msg("%s is refused", good[i]);
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		if (forged(ca_pem.data, bad[i]) != X509_V_ERR_PERMITTED_VIOLATION)
			fail_msg("%s passes", bad[i]);
}

static void a_name_with_a_dot_may_be_signed(void **state)
{
	struct names n;
	struct buf pem;
	buf_init(&pem);
	names_make(&n, "studio.example.org", NAMES("10.0.0.1"));
	assert_int_equal(ca_make(&n, NOW, &pem), ERR_OK);
	assert_int_equal(forged(pem.data, "DNS:studio.example.org"), X509_V_OK);
	assert_int_equal(forged(pem.data, "DNS:example.org"), X509_V_ERR_PERMITTED_VIOLATION);
	assert_int_equal(forged(pem.data, "DNS:other.example.org"), X509_V_ERR_PERMITTED_VIOLATION);
	buf_release(&pem);
}

static void it_makes_no_further_authorities(void **state)
{
	EVP_PKEY *middle_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *middle = forge(ca_pem.data, middle_key, "critical,CA:TRUE", NULL);
	X509 *leaf = forge(ca_pem.data, key, "critical,CA:FALSE", "DNS:a.local");
	X509_set_issuer_name(leaf, X509_get_subject_name(middle));
	X509_NAME_add_entry_by_txt(X509_get_subject_name(leaf), "CN", MBSTRING_ASC, (const unsigned char *)"leaf", -1,
				   -1, 0);
	assert_true(X509_sign(leaf, middle_key, EVP_sha256()) > 0);
	STACK_OF(X509) *between = sk_X509_new_null();
	sk_X509_push(between, middle);
	assert_int_equal(verify(ca_pem.data, leaf, between, NOW), X509_V_ERR_PATH_LENGTH_EXCEEDED);
	sk_X509_free(between);
	X509_free(middle);
	X509_free(leaf);
	EVP_PKEY_free(middle_key);
	EVP_PKEY_free(key);
}

static void its_certificate_serves_all_names(void **state)
{
	struct buf pem;
	buf_init(&pem);
	assert_int_equal(ca_issue(ca, &studio, NOW, &pem), ERR_OK);
	X509 *leaf = certificate_of(pem.data);
	assert_int_equal(verify(ca_pem.data, leaf, NULL, NOW), X509_V_OK);
	assert_int_equal(verify(ca_pem.data, leaf, NULL, NOW - DAY + 60), X509_V_OK);
	assert_int_equal(verify(ca_pem.data, leaf, NULL, NOW + 395 * DAY), X509_V_OK);
	assert_int_equal(verify(ca_pem.data, leaf, NULL, NOW + 397 * DAY), X509_V_ERR_CERT_HAS_EXPIRED);
	for (unsigned i = 0; i < studio.host_count; i++)
		assert_int_equal(X509_check_host(leaf, studio.hosts[i], 0, 0, NULL), 1);
	for (unsigned i = 0; i < studio.address_count; i++) {
		char text[ADDRESS_TEXT];
		address_text(&studio.addresses[i], text);
		assert_int_equal(X509_check_ip_asc(leaf, text, 0), 1);
	}
	assert_int_equal(X509_check_host(leaf, "studio", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(leaf, "192.168.1.6", 0), 0);
	X509_free(leaf);
	buf_release(&pem);
}

static void a_leaf_fits_or_not(void **state)
{
	struct buf pem, other_pem;
	struct names n;
	buf_init(&pem);
	buf_init(&other_pem);
	assert_int_equal(ca_issue(ca, &studio, NOW, &pem), ERR_OK);
	assert_true(ca_leaf_fits(ca, pem.data, &studio, NOW));
	assert_true(ca_leaf_fits(ca, pem.data, &studio, NOW + 365 * DAY));
	assert_false(ca_leaf_fits(ca, pem.data, &studio, NOW + 366 * DAY + 1)); /* 30 days to go */
	assert_false(ca_leaf_fits(ca, pem.data, &studio, NOW - 2 * DAY));
	n = studio;
	n.addresses[0].rank = 9; /* another way out, the same names */
	assert_true(ca_leaf_fits(ca, pem.data, &n, NOW));
	names_put(&n, "10.0.0.9", "eth1");
	assert_false(ca_leaf_fits(ca, pem.data, &n, NOW));
	n = studio;
	n.address_count--;
	assert_false(ca_leaf_fits(ca, pem.data, &n, NOW));
	assert_false(ca_leaf_fits(ca, "", &studio, NOW));
	assert_false(ca_leaf_fits(ca, ca_pem.data, &studio, NOW));
	struct ca *other;
	const char *why;
	assert_int_equal(ca_make(&studio, NOW, &other_pem), ERR_OK);
	assert_int_equal(ca_read(other_pem.data, NOW, &other, &why), ERR_OK);
	assert_false(ca_leaf_fits(other, pem.data, &studio, NOW));
	ca_free(other);
	buf_release(&pem);
	buf_release(&other_pem);
}

static void a_machine_that_was_renamed(void **state)
{
	struct buf pem;
	struct names n;
	buf_init(&pem);
	names_make(&n, "new.example.org", NAMES("10.0.0.1"));
	assert_int_equal(ca_issue(ca, &n, NOW, &pem), ERR_OK);
	X509 *leaf = certificate_of(pem.data);
	assert_int_equal(verify(ca_pem.data, leaf, NULL, NOW), X509_V_OK); /* one name too many spoils all */
	assert_int_equal(X509_check_host(leaf, "new.example.org", 0, 0, NULL), 0);
	assert_int_equal(X509_check_host(leaf, "new.local", 0, 0, NULL), 1);
	assert_true(ca_leaf_fits(ca, pem.data, &n, NOW));
	X509_free(leaf);
	buf_release(&pem);
}

static void at_the_end_of_ten_years(void **state)
{
	int64_t end = ca_not_after(ca);
	struct buf pem;
	buf_init(&pem);
	assert_int_equal(end, NOW + 3652LL * DAY);
	assert_int_equal(ca_issue(ca, &studio, end - 10 * DAY, &pem), ERR_OK);
	X509 *leaf = certificate_of(pem.data);
	assert_int_equal(verify(ca_pem.data, leaf, NULL, end - 60), X509_V_OK);
	assert_true(ca_leaf_fits(ca, pem.data, &studio, end - 60)); /* not made again and again */
	X509_free(leaf);
	buf_release(&pem);
}

static const char *refused(const char *pem, int64_t now)
{
	struct ca *read;
	const char *why = NULL;
	assert_int_equal(ca_read(pem, now, &read, &why), ERR_CORRUPT);
	assert_null(read);
	return why;
}

static void damaged_files(void **state)
{
	assert_non_null(strstr(refused("", NOW), "no key"));
	assert_non_null(strstr(refused("\n", NOW), "no key"));
	assert_non_null(strstr(refused(strstr(ca_pem.data, "-----BEGIN CERT"), NOW), "no key"));
	assert_non_null(strstr(refused(ca_pem.data, ca_not_after(ca) + 1), "expired"));
	assert_non_null(strstr(refused(ca_pem.data, NOW - 2 * DAY), "not valid yet"));
	char *text = strdup(ca_pem.data);
	for (size_t len = 0; len + 1 < ca_pem.len; len++) { /* only the last line's end may be missing */
		text[len] = '\0';
		refused(text, NOW);
		text[len] = ca_pem.data[len];
	}
	for (size_t i = 0; i < ca_pem.len; i++) { /* no bit that turned is taken for another authority */
		struct ca *read;
		const char *why;
		text[i] ^= 1;
		if (ca_read(text, NOW, &read, &why) == ERR_OK)
			assert_string_equal(ca_fingerprint(read), ca_fingerprint(ca));
		ca_free(read);
		text[i] = ca_pem.data[i];
	}
	free(text);
}

/* Key and certificate as one text. */
static char *joined(EVP_PKEY *key, X509 *certificate)
{
	char *data, *text;
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	PEM_write_bio_X509(bio, certificate);
	long len = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)len);
	BIO_free(bio);
	return text;
}

static void authorities_of_others(void **state)
{
	struct buf pem;
	buf_init(&pem);
	assert_int_equal(ca_make(&studio, NOW, &pem), ERR_OK);
	EVP_PKEY *key = key_of(ca_pem.data), *other_key = key_of(pem.data);
	X509 *certificate = certificate_of(ca_pem.data);
	char *text = joined(other_key, certificate);
	assert_non_null(strstr(refused(text, NOW), "not that of its certificate"));
	free(text);
	X509_EXTENSION_free(X509_delete_ext(certificate, X509_get_ext_by_NID(certificate, NID_name_constraints, -1)));
	X509_sign(certificate, key, EVP_sha256());
	text = joined(key, certificate);
	assert_non_null(strstr(refused(text, NOW), "does not bind it"));
	free(text);
	X509_free(certificate);
	assert_int_equal((buf_release(&pem), ca_issue(ca, &studio, NOW, &pem)), ERR_OK);
	assert_non_null(strstr(refused(pem.data, NOW), "not that of an authority"));
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
	buf_release(&pem);
}

static void what_people_are_told(void **state)
{
	size_t len;
	const uint8_t *der = ca_der(ca, &len);
	X509 *certificate = d2i_X509(NULL, &(const unsigned char *){ der }, (long)len);
	assert_non_null(certificate);
	X509_free(certificate);
	assert_int_equal(strlen(ca_fingerprint(ca)), 95);
	assert_memory_equal(ca_name(ca), "Holdfast on studio, ", 20);
	struct names n;
	struct buf pem;
	char host[64];
	buf_init(&pem);
	memset(host, 'x', 63);
	host[63] = '\0';
	names_make(&n, host, NAMES("10.0.0.1"));
	assert_int_equal(ca_make(&n, NOW, &pem), ERR_OK);
	struct ca *read;
	const char *why;
	assert_int_equal(ca_read(pem.data, NOW, &read, &why), ERR_OK);
	ca_free(read);
	buf_release(&pem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_vouches_for_private_names_only),
		cmocka_unit_test(a_name_with_a_dot_may_be_signed),
		cmocka_unit_test(it_makes_no_further_authorities),
		cmocka_unit_test(its_certificate_serves_all_names),
		cmocka_unit_test(a_leaf_fits_or_not),
		cmocka_unit_test(a_machine_that_was_renamed),
		cmocka_unit_test(at_the_end_of_ten_years),
		cmocka_unit_test(damaged_files),
		cmocka_unit_test(authorities_of_others),
		cmocka_unit_test(what_people_are_told),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
