/* The local network's state: the certificate follows the addresses, and what is told to phones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/lan.h"
#include "net/qr.h"
#include "support/names_rig.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum { NOW = 1800000000, DAY = 86400 };

static struct names machine; /* as it is now */
static bool mute;	     /* the kernel does not say */
static struct buf ca_pem;

struct owner {
	char *kept;
	unsigned keeps, moves, pairings;
};

static bool collect(struct names *out)
{
	*out = machine;
	return !mute;
}

static void keep(void *arg, const char *pem, size_t len)
{
	struct owner *o = arg;
	free(o->kept);
	o->kept = strndup(pem, len);
	o->keeps++;
}

static void moved(void *arg)
{
	((struct owner *)arg)->moves++;
}

static void pairing(void *arg, int64_t now_ms, char out[LAN_PAIRING_TEXT], int64_t *expires_ms)
{
	struct owner *o = arg;
	snprintf(out, LAN_PAIRING_TEXT, "token-%u", o->pairings++);
	*expires_ms = now_ms + 600000;
}

static int set_up(void **state)
{
	names_make(&machine, "studio", NAMES("192.168.1.5", "127.0.0.1"));
	return ca_make(&machine, NOW, &ca_pem) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	buf_release(&ca_pem);
	return 0;
}

static int before_each(void **state)
{
	mute = false;
	names_make(&machine, "studio", NAMES("192.168.1.5", "127.0.0.1"));
	return 0;
}

static struct lan *open_lan(struct owner *o, const char *leaf)
{
	struct lan *lan;
	const char *why;
	struct lan_config config = { .ca_pem = ca_pem.data,
				     .leaf_pem = leaf,
				     .keep = keep,
				     .moved = moved,
				     .pairing = pairing,
				     .pairing_arg = o,
				     .arg = o,
				     .collect = collect };
	assert_int_equal(lan_new(&config, NOW, &lan, &why), ERR_OK);
	lan_set_port(lan, 8443);
	return lan;
}

/* Does the certificate that the next connection gets name this address? */
static bool serves(const struct lan *lan, const char *address)
{
	return X509_check_ip_asc(SSL_CTX_get0_certificate(lan_context(lan)), address, 0) == 1;
}

static void the_certificate_follows_the_addresses(void **state)
{
	struct owner o = { 0 };
	struct lan *lan = open_lan(&o, NULL);
	assert_int_equal(o.keeps, 1);
	assert_true(serves(lan, "192.168.1.5"));
	SSL_CTX *before = lan_context(lan);
	SSL *open = SSL_new(before); /* a connection of before */
	lan_look(lan, NOW + 3);
	assert_ptr_equal(lan_context(lan), before);
	assert_int_equal(o.keeps, 1);
	names_put(&machine, "10.9.9.9", "eth1");
	lan_look(lan, NOW + 6);
	assert_ptr_not_equal(lan_context(lan), before);
	assert_true(serves(lan, "10.9.9.9"));
	assert_true(serves(lan, "192.168.1.5"));
	assert_true(names_have(lan_names(lan), "10.9.9.9"));
	assert_int_equal(o.keeps, 2);
	assert_int_equal(o.moves, 1);
	assert_ptr_equal(SSL_get_SSL_CTX(open), before);
	SSL_free(open);
	names_make(&machine, "studio", NAMES("127.0.0.1"));
	lan_look(lan, NOW + 9);
	assert_false(serves(lan, "192.168.1.5"));
	assert_int_equal(o.moves, 2);
	lan_free(lan);
	free(o.kept);
}

static void what_does_not_change_the_names_changes_nothing(void **state)
{
	struct owner o = { 0 };
	struct lan *lan = open_lan(&o, NULL);
	names_put(&machine, "8.8.8.8", "eth1"); /* not private: left out */
	lan_look(lan, NOW + 3);
	mute = true;
	names_make(&machine, "", NAMES("127.0.0.1"));
	lan_look(lan, NOW + 6);
	assert_int_equal(o.keeps, 1);
	assert_int_equal(o.moves, 0);
	assert_false(names_have(lan_names(lan), "8.8.8.8"));
	assert_true(names_have(lan_names(lan), "192.168.1.5"));
	lan_free(lan);
	free(o.kept);
}

static void close_to_its_end_it_is_made_anew(void **state)
{
	struct owner o = { 0 };
	struct lan *lan = open_lan(&o, NULL);
	lan_look(lan, NOW + 360 * DAY);
	assert_int_equal(o.keeps, 1);
	lan_look(lan, NOW + 370 * DAY);
	assert_int_equal(o.keeps, 2);
	lan_look(lan, NOW + 370 * DAY + 3);
	assert_int_equal(o.keeps, 2);
	assert_int_equal(o.moves, 0);
	lan_look(lan, NOW + 3653LL * DAY); /* the authority's end: nothing to be made, nothing tried again and again */
	assert_int_equal(o.keeps, 2);
	lan_free(lan);
	free(o.kept);
}

static void a_kept_one_is_used_again(void **state)
{
	struct owner o = { 0 }, next = { 0 };
	struct lan *lan = open_lan(&o, NULL);
	lan_free(lan);
	lan = open_lan(&next, o.kept);
	assert_int_equal(next.keeps, 0);
	lan_free(lan);
	static const char *const damaged[] = { "", "rubbish", "-----BEGIN CERTIFICATE-----\n" };
	for (unsigned i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		lan = open_lan(&next, damaged[i]);
		assert_int_equal(next.keeps, i + 1);
		assert_true(serves(lan, "192.168.1.5"));
		lan_free(lan);
	}
	o.kept[strlen(o.kept) / 2] ^= 1;
	lan = open_lan(&next, o.kept);
	assert_int_equal(next.keeps, 4);
	lan_free(lan);
	free(o.kept);
	free(next.kept);
}

static void a_damaged_authority_is_an_error(void **state)
{
	struct lan *lan;
	const char *why;
	struct owner o = { 0 };
	struct lan_config config = { .ca_pem = "rubbish", .keep = keep, .arg = &o, .collect = collect };
	assert_int_equal(lan_new(&config, NOW, &lan, &why), ERR_CORRUPT);
	assert_non_null(strstr(why, "no key"));
	assert_null(lan);
	assert_int_equal(o.keeps, 0);
}

static void where_phones_go(void **state)
{
	struct owner o = { 0 };
	struct lan *lan = open_lan(&o, NULL);
	char url[LAN_URL];
	int64_t expires_ms;
	lan_pair_url(lan, "https", 5000, url, &expires_ms);
	assert_string_equal(url, "https://192.168.1.5:8443/record#pair=token-0");
	assert_int_equal(expires_ms, 605000);
	lan_pair_url(lan, "http", 5000, url,
		     &expires_ms); /* asked again each time: who makes them knows which are good */
	assert_string_equal(url, "http://192.168.1.5:8443/record#pair=token-1");
	lan_free(lan);
	free(o.kept);
}

/* The module at x, y (the quiet zone counts) of the terminal's text. */
static bool terminal_dark(const char *text, unsigned x, unsigned y)
{
	for (unsigned line = 0; line < y / 2; line++)
		text = strchr(text, '\n') + 1;
	text = strchr(text, 'm') + 1;
	for (; x > 0; x--)
		text += *text == ' ' ? 1 : 3;
	if (*text == ' ')
		return false;
	unsigned char last = (unsigned char)text[2]; /* U+2580 upper, U+2584 lower, U+2588 full */
	return last == 0x88 || last == (y % 2 ? 0x84 : 0x80);
}

/* Of the image's path, whose runs are one module high. */
static bool svg_dark(const char *svg, unsigned x, unsigned y)
{
	char begin[32];
	for (unsigned from = 0; from <= x; from++) {
		snprintf(begin, sizeof begin, "M%u %uh", from, y);
		const char *run = strstr(strstr(svg, "<path d="), begin);
		if (run && from + (unsigned)strtoul(run + strlen(begin), NULL, 10) > x)
			return true;
	}
	return false;
}

static void both_codes_are_the_same(void **state)
{
	struct buf svg, text;
	unsigned columns, dark = 0;
	buf_init(&svg);
	buf_init(&text);
	assert_int_equal(qr_svg("https://192.168.1.5:8443/record#pair=abc", &svg), ERR_OK);
	assert_int_equal(qr_terminal("https://192.168.1.5:8443/record#pair=abc", &text, &columns), ERR_OK);
	assert_int_equal(columns, 29 + 8);
	for (unsigned y = 0; y < columns; y++)
		for (unsigned x = 0; x < columns; x++) {
			bool is_dark = svg_dark(svg.data, x, y);
			assert_int_equal(is_dark, terminal_dark(text.data, x, y));
			bool quiet = x < 4 || y < 4 || x >= columns - 4 || y >= columns - 4;
			assert_false(quiet && is_dark);
			dark += is_dark;
		}
	assert_true(dark > 300); /* and it is no empty square */
	assert_true(svg_dark(svg.data, 4, 4) && !svg_dark(svg.data, 5, 5) && svg_dark(svg.data, 6, 6));
	buf_release(&svg);
	buf_release(&text);
	char *too_long = calloc(1, 5000);
	memset(too_long, 'a', 4999);
	assert_int_equal(qr_svg(too_long, &svg), ERR_BAD_FIELD);
	free(too_long);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_certificate_follows_the_addresses, before_each),
		cmocka_unit_test_setup(what_does_not_change_the_names_changes_nothing, before_each),
		cmocka_unit_test_setup(close_to_its_end_it_is_made_anew, before_each),
		cmocka_unit_test_setup(a_kept_one_is_used_again, before_each),
		cmocka_unit_test_setup(a_damaged_authority_is_an_error, before_each),
		cmocka_unit_test_setup(where_phones_go, before_each),
		cmocka_unit_test_setup(both_codes_are_the_same, before_each),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
