/* What a request says about where it comes from: Origin, Host, whether somebody stands between, and its token. Pure. */
#include "net/private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

bool address_is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
		return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
	}
	return false;
}

/* The host without its port into `out`; false when it is too long or the port is none. */
static bool host_cut(const char *host, char *out, size_t size)
{
	const char *close = *host == '[' ? strchr(host, ']') : NULL;
	size_t len = close ? (size_t)(close + 1 - host) : strcspn(host, ":");
	const char *port = host + len;
	if (len >= size || (*port && *port != ':') || (*port && strspn(port + 1, "0123456789") != strlen(port + 1)))
		return false;
	memcpy(out, host, len);
	out[len] = '\0';
	return true;
}

bool host_is_loopback(const char *host)
{
	char name[64];
	struct in_addr v4;
	if (!host_cut(host, name, sizeof name))
		return false;
	return strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0 ||
	       (inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

/* The length without the scheme's default port. */
static size_t authority_length(const char *authority, size_t len, bool tls)
{
	const char *port = tls ? ":443" : ":80";
	size_t port_len = strlen(port);
	return len > port_len && memcmp(authority + len - port_len, port, port_len) == 0 ? len - port_len : len;
}

bool origin_is_own(const char *origin, const char *host, bool tls)
{
	const char *scheme = tls ? "https://" : "http://";
	size_t scheme_len = strlen(scheme);
	if (!host || strncasecmp(origin, scheme, scheme_len) != 0)
		return false;
	origin += scheme_len;
	size_t len = authority_length(origin, strlen(origin), tls);
	return len > 0 && len == authority_length(host, strlen(host), tls) && strncasecmp(origin, host, len) == 0;
}

/* The list is written as config_value.h says: lower case, no default ports. */
static bool origin_is_allowed(const char *origin, const char *allowed)
{
	size_t len = authority_length(origin, strlen(origin), strncasecmp(origin, "https://", 8) == 0);
	while (allowed && *allowed) {
		size_t item = strcspn(allowed, ",");
		if (item == len && len > 0 && strncasecmp(origin, allowed, len) == 0)
			return true;
		allowed += item + (allowed[item] == ',');
	}
	return false;
}

enum guard_origin guard_origin(const struct http_request *head, bool tls, const char *allowed)
{
	const char *origin = http_field_get(head, "origin");
	if (!origin)
		return ORIGIN_NONE;
	if (http_field_count(head, "origin") > 1)
		return ORIGIN_FOREIGN;
	if (origin_is_own(origin, http_field_get(head, "host"), tls))
		return ORIGIN_OWN;
	return origin_is_allowed(origin, allowed) ? ORIGIN_ALLOWED : ORIGIN_FOREIGN;
}

/* Did a proxy pass it on? Behind one the whole internet is loopback. */
static bool was_forwarded(const struct http_request *head)
{
	static const char prefix[] = "x-forwarded";
	for (unsigned i = 0; i < head->field_count; i++) {
		const char *name = head->fields[i].name;
		if (strcmp(name, "forwarded") == 0 || strcmp(name, "x-real-ip") == 0 ||
		    strncmp(name, prefix, sizeof prefix - 1) == 0)
			return true;
	}
	return false;
}

bool guard_is_local(const struct http_request *head, bool peer_local)
{
	const char *host = http_field_get(head, "host");
	return peer_local && host && host_is_loopback(host) && !was_forwarded(head);
}

enum err guard_bearer(const struct http_request *head, const char **token)
{
	static const char scheme[] = "Bearer ";
	const char *value = http_field_get(head, "authorization");
	*token = NULL;
	if (!value)
		return ERR_OK;
	if (http_field_count(head, "authorization") > 1 || strncasecmp(value, scheme, sizeof scheme - 1) != 0)
		return ERR_UNAUTHORIZED;
	value += sizeof scheme - 1;
	*token = value + strspn(value, " ");
	return ERR_OK;
}
