/* Who may come in: Origin, Host, and whether somebody stands between. */
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

enum err guard_host(const struct peer *p, const struct http_request *head)
{
	const char *host = http_field_get(head, "host");
	if (p->door != DOOR_LAN || (host && names_have(lan_names(p->net->lan), host)))
		return ERR_OK;
	return ERR_WRONG_HOST;
}

/* The length without a default port. */
static size_t authority_length(const char *authority)
{
	size_t len = strlen(authority);
	return len > 3 && strcmp(authority + len - 3, ":80") == 0 ? len - 3 : len;
}

bool origin_is_own(const char *origin, const char *host)
{
	static const char scheme[] = "http://";
	if (strncasecmp(origin, scheme, sizeof scheme - 1) != 0)
		return false;
	origin += sizeof scheme - 1;
	size_t len = authority_length(origin);
	return len > 0 && len == authority_length(host) && strncasecmp(origin, host, len) == 0;
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

enum err guard_check(const struct http_request *head, bool peer_local, const char **principal)
{
	const char *host = http_field_get(head, "host");
	for (unsigned i = 0; i < head->field_count; i++)
		if (strcmp(head->fields[i].name, "origin") == 0 && !origin_is_own(head->fields[i].value, host))
			return ERR_FORBIDDEN_ORIGIN;
	if (!peer_local || !host_is_loopback(host) || was_forwarded(head))
		return ERR_UNAUTHORIZED;
	*principal = "local";
	return ERR_OK;
}
