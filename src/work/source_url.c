/* The URLs that recordings are fetched from, see source_url.h. */
#include "work/source_url.h"

#include "base/limits.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char no_url[] = "sourceUrl is not a URL like https://host/path.";

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool there = curl_url_get(url, part, &text, 0) == CURLUE_OK;
	curl_free(text);
	return there;
}

static bool place_fill(CURLU *url, struct source_place *place)
{
	char *host = NULL, *port = NULL;
	bool ok = curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	size_t len = ok ? strlen(host) : 0;
	const char *from = ok ? host : "";
	if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	}
	ok = ok && len > 0 && len < sizeof place->host;
	for (size_t i = 0; ok && i < len; i++)
		place->host[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] + 32) : from[i];
	if (ok) {
		place->host[len] = '\0';
		place->port = (uint16_t)strtoul(port, NULL, 10);
	}
	curl_free(host);
	curl_free(port);
	return ok && place->port > 0;
}

static enum err judge_scheme(CURLU *url, const struct source_rules *rules, struct source_place *place, const char **why)
{
	char *scheme = NULL;
	if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) {
		*why = no_url;
		return ERR_URL_REFUSED;
	}
	place->tls = strcasecmp(scheme, "https") == 0;
	bool http = strcasecmp(scheme, "http") == 0;
	curl_free(scheme);
	if (place->tls || (http && rules->http && rules->allow.count > 0))
		return ERR_OK;
	*why = http ? "Recordings are fetched by https; the operator can open plain http to named addresses."
		    : "Recordings are fetched by https and nothing else.";
	return ERR_URL_REFUSED;
}

static enum err judge_parts(CURLU *url, const struct source_rules *rules, struct source_place *place, const char **why)
{
	enum err err = judge_scheme(url, rules, place, why);
	if (err)
		return err;
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD)) {
		*why = "A name or password in the URL is refused: the operator configures them by host.";
		return ERR_URL_REFUSED;
	}
	if (!place_fill(url, place)) {
		*why = no_url;
		return ERR_URL_REFUSED;
	}
	enum address_verdict verdict;
	if (!address_judge_text(place->host, &rules->allow, &verdict))
		return ERR_OK; /* a name: what it resolves to is judged then */
	if (verdict == ADDRESS_REFUSED) {
		*why = "The address is not one of the public internet.";
		return ERR_URL_REFUSED;
	}
	if (!place->tls && verdict != ADDRESS_ALLOWED) {
		*why = "Plain http is open to the addresses only that the operator named.";
		return ERR_URL_REFUSED;
	}
	return ERR_OK;
}

enum err source_url_judge(const char *url, const struct source_rules *rules, struct source_place *place,
			  const char **why)
{
	struct source_place unused;
	*why = no_url;
	if (strlen(url) > LIMIT_URL_CHARS)
		return ERR_URL_REFUSED;
	CURLU *parsed = curl_url();
	if (!parsed)
		return ERR_NO_MEMORY;
	enum err err = ERR_URL_REFUSED;
	if (curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
		err = judge_parts(parsed, rules, place ? place : &unused, why);
	curl_url_cleanup(parsed);
	return err;
}

char *source_url_follow(const char *base, const char *location)
{
	CURLU *url = curl_url();
	char *text = NULL, *copy = NULL;
	if (url && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_URL, location, CURLU_URLENCODE) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK)
		copy = strdup(text);
	curl_free(text);
	curl_url_cleanup(url);
	return copy;
}

bool source_address_open(const struct sockaddr *address, bool tls, const struct source_rules *rules)
{
	enum address_verdict verdict = address_judge(address, &rules->allow);
	return verdict == ADDRESS_ALLOWED || (verdict == ADDRESS_PUBLIC && tls);
}
