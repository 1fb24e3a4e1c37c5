/* What phones and the desk ask about the local network: where we are, the QR code, whom to trust and how to get it. */
#include "net/private.h"

#include "net/qr.h"
#include "proto/problem.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NO_STORE "Cache-Control: no-store\r\n"

static void text_send(struct request *r, struct buf *text, const char *type, const char *headers)
{
	if (text->failed)
		request_problem(r, ERR_NO_MEMORY, NULL, NULL);
	else
		request_answer(r, &(struct answer){ .status = 200,
						    .type = type,
						    .headers = headers,
						    .body = text->data,
						    .len = text->len });
	buf_release(text);
}

/* Sends the value and gives it back; NULL: out of memory. */
static void json_send(struct request *r, json_t *value)
{
	struct buf text;
	buf_init(&text);
	if (value)
		json_format(&text, value);
	else
		text.failed = true;
	json_decref(value);
	text_send(r, &text, "application/json", NO_STORE);
}

/* Both addresses as this client reached us: its own may be on another of our networks than the first. */
static void own_urls(const struct request *r, char https[LAN_URL], char http[LAN_URL])
{
	const struct lan *lan = r->net->lan;
	const char *host = http_field_get(&r->head, "host");
	if (r->peer->door == DOOR_LAN && host && !host_is_loopback(host)) {
		size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
		snprintf(https, LAN_URL, "https://%.*s:%u", (int)len, host, lan_port(lan));
		snprintf(http, LAN_URL, "http://%.*s:%u", (int)len, host, lan_port(lan));
	} else {
		names_url(lan_names(lan), "https", lan_port(lan), https);
		names_url(lan_names(lan), "http", lan_port(lan), http);
	}
}

/* Who sees the code may record: it is for the machine's own people. */
static bool for_admins(struct request *r)
{
	if (r->grant.scopes & SCOPE_ADMIN)
		return true;
	request_problem(r, ERR_FORBIDDEN_SCOPE, NULL, NULL);
	return false;
}

void lan_run(struct request *r)
{
	if (!for_admins(r))
		return;
	const struct lan *lan = r->net->lan;
	char url[NAMES_URL], plain[NAMES_URL], pair[LAN_URL], plain_pair[LAN_URL];
	int64_t expires_ms;
	if (!lan) {
		json_send(r, json_pack("{s:b}", "enabled", 0));
		return;
	}
	const struct names *names = lan_names(lan);
	names_url(names, "https", lan_port(lan), url);
	names_url(names, "http", lan_port(lan), plain);
	lan_pair_url(lan, "https", net_now(r->net).wall_ms, pair, &expires_ms);
	lan_pair_url(lan, "http", net_now(r->net).wall_ms, plain_pair, &expires_ms);
	json_t *addresses = json_array();
	for (unsigned i = 0; i < names->address_count; i++) {
		char text[ADDRESS_TEXT];
		address_text(&names->addresses[i], text);
		if (address_is_reachable(&names->addresses[i]))
			json_array_append_new(addresses, json_string(text));
	}
	json_send(r, json_pack("{s:b, s:s, s:s, s:s, s:s, s:o, s:s, s:o}", "enabled", 1, "url", url, "plainUrl", plain,
			       "pairUrl", pair, "plainPairUrl", plain_pair, "pairExpiresAt",
			       expires_ms ? json_integer(expires_ms) : json_null(), "fingerprint",
			       ca_fingerprint(lan_ca(lan)), "addresses", addresses));
}

static void qr_send(struct request *r, const char *scheme)
{
	char pair[LAN_URL];
	int64_t expires_ms;
	struct buf image;
	lan_pair_url(r->net->lan, scheme, net_now(r->net).wall_ms, pair, &expires_ms);
	buf_init(&image);
	if (qr_svg(pair, &image) != ERR_OK)
		image.failed = true;
	text_send(r, &image, "image/svg+xml", NO_STORE "Content-Security-Policy: default-src 'none'\r\n");
}

void lan_qr_run(struct request *r)
{
	char *scheme = NULL;
	if (!for_admins(r))
		return;
	enum err err = http_query_get(r->head.query, "scheme", &scheme);
	if (!r->net->lan)
		request_problem(r, ERR_NOT_FOUND, "The server does not listen on the local network.", NULL);
	else if (err != ERR_OK)
		request_problem(r, err, NULL, NULL);
	else if (scheme && strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		request_problem(r, ERR_BAD_FIELD, "scheme must be https or http.", NULL);
	else
		qr_send(r, scheme ? scheme : "https");
	free(scheme);
}

/* The authority; NULL when there is none, then it is answered. */
static const struct ca *authority(struct request *r)
{
	if (r->net->lan)
		return lan_ca(r->net->lan);
	request_problem(r, ERR_NOT_FOUND, "The server has no certificate authority: it was started without --lan.",
			NULL);
	return NULL;
}

void trust_run(struct request *r)
{
	char https[LAN_URL], http[LAN_URL];
	const struct ca *ca = authority(r);
	if (!ca)
		return;
	own_urls(r, https, http);
	json_send(r, json_pack("{s:s, s:s, s:I, s:s, s:s}", "fingerprint", ca_fingerprint(ca), "name", ca_name(ca),
			       "notAfter", (json_int_t)(ca_not_after(ca) * 1000), "url", https, "plainUrl", http));
}

void trust_certificate_run(struct request *r)
{
	struct buf der;
	size_t len;
	const struct ca *ca = authority(r);
	if (!ca)
		return;
	const uint8_t *data = ca_der(ca, &len);
	buf_init(&der);
	buf_add(&der, data, len);
	text_send(r, &der, "application/x-x509-ca-cert",
		  NO_STORE "Content-Disposition: attachment; filename=\"holdfast-ca.crt\"\r\n");
}

/* --- the profile for iOS --- */

/* The same certificate gives the same ids: a phone that loads the profile again replaces it. RFC 9562's version 8. */
static void uuid_derive(const struct ca *ca, const char *what, char out[UUID_TEXT])
{
	unsigned char sum[EVP_MAX_MD_SIZE] = { 0 };
	unsigned sum_len;
	char text[FINGERPRINT_TEXT + 32];
	snprintf(text, sizeof text, "%s %s", what, ca_fingerprint(ca));
	EVP_Digest(text, strlen(text), sum, &sum_len, EVP_sha256(), NULL);
	sum[6] = (unsigned char)((sum[6] & 0x0f) | 0x80);
	sum[8] = (unsigned char)((sum[8] & 0x3f) | 0x80);
	for (unsigned i = 0, at = 0; i < 16; i++) {
		bool dash = i == 4 || i == 6 || i == 8 || i == 10;
		at += (unsigned)snprintf(out + at, UUID_TEXT - at, "%s%02X", dash ? "-" : "", sum[i]);
	}
}

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '&':
			buf_add_text(out, "&amp;");
			break;
		case '<':
			buf_add_text(out, "&lt;");
			break;
		case '>':
			buf_add_text(out, "&gt;");
			break;
		default:
			buf_add(out, text, 1);
		}
}

static void add_pair(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "<key>%s</key><string>", key);
	add_escaped(out, value);
	buf_add_text(out, "</string>\n");
}

static void add_base64(struct buf *out, const uint8_t *data, size_t len)
{
	enum { LINE = 48 };
	unsigned char text[LINE * 4 / 3 + 1];
	for (size_t at = 0; at < len; at += LINE) {
		int count = EVP_EncodeBlock(text, data + at, (int)(len - at < LINE ? len - at : LINE));
		buf_add(out, text, (size_t)count);
		buf_add_text(out, "\n");
	}
}

static void profile_format(struct buf *out, const struct ca *ca)
{
	char certificate[UUID_TEXT], profile[UUID_TEXT], id[64];
	size_t len;
	const uint8_t *der = ca_der(ca, &len);
	uuid_derive(ca, "certificate", certificate);
	uuid_derive(ca, "profile", profile);
	buf_add_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			  "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
			  "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
			  "<plist version=\"1.0\"><dict>\n<key>PayloadContent</key><array><dict>\n"
			  "<key>PayloadContent</key><data>\n");
	add_base64(out, der, len);
	buf_add_text(out, "</data>\n<key>PayloadVersion</key><integer>1</integer>\n");
	add_pair(out, "PayloadType", "com.apple.security.root");
	add_pair(out, "PayloadCertificateFileName", "holdfast-ca.crt");
	add_pair(out, "PayloadDisplayName", ca_name(ca));
	add_pair(out, "PayloadDescription", "Lets this device record over https with the computer that runs Holdfast.");
	snprintf(id, sizeof id, "holdfast.%s.root", certificate);
	add_pair(out, "PayloadIdentifier", id);
	add_pair(out, "PayloadUUID", certificate);
	buf_add_text(out, "</dict></array>\n<key>PayloadVersion</key><integer>1</integer>\n"
			  "<key>PayloadRemovalDisallowed</key><false/>\n");
	add_pair(out, "PayloadType", "Configuration");
	add_pair(out, "PayloadDisplayName", ca_name(ca));
	add_pair(out, "PayloadOrganization", "Holdfast");
	add_pair(out, "PayloadDescription",
		 "A certificate authority of the computer that runs Holdfast. It can vouch only for machines of "
		 "private networks. Remove this profile when you no longer record with it.");
	snprintf(id, sizeof id, "holdfast.%s", profile);
	add_pair(out, "PayloadIdentifier", id);
	add_pair(out, "PayloadUUID", profile);
	buf_add_text(out, "</dict></plist>\n");
}

void trust_profile_run(struct request *r)
{
	struct buf profile;
	const struct ca *ca = authority(r);
	if (!ca)
		return;
	buf_init(&profile);
	profile_format(&profile, ca);
	text_send(r, &profile, "application/x-apple-aspen-config",
		  NO_STORE "Content-Disposition: attachment; filename=\"holdfast.mobileconfig\"\r\n");
}
