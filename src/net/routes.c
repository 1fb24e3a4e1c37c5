/* The one table of routes. A new route is a row here and a function that answers. */
#include "net/private.h"

#include <string.h>

static const struct route routes[] = {
	{ "GET", "/", ROUTE_OPEN, page_run },
	{ "GET", "/record", ROUTE_OPEN, page_run },
	{ "GET", "/play/{id}", ROUTE_OPEN, page_run },
	{ "GET", "/listen/{id}", ROUTE_OPEN, page_run },
	{ "GET", "/import", ROUTE_OPEN, page_run },
	{ "GET", "/trust", ROUTE_OPEN, page_run },
	{ "GET", "/assets/{id}", ROUTE_OPEN, asset_run },
	{ "GET", "/ws", ROUTE_UPGRADE | ROUTE_ANONYMOUS, ws_upgrade },
	{ "GET", "/ws/stream", ROUTE_UPGRADE | ROUTE_ANONYMOUS, ws_stream },
	{ "GET", "/api/recordings", 0, api_list },
	{ "POST", "/api/recordings", ROUTE_BODY, api_register },
	{ "GET", "/api/recordings/{id}", 0, api_get },
	{ "PATCH", "/api/recordings/{id}", ROUTE_BODY, api_rename },
	{ "DELETE", "/api/recordings/{id}", 0, api_delete },
	{ "GET", "/api/recordings/{id}/file", ROUTE_SIGNED, download_run },
	{ "GET", "/api/recordings/{id}/original", ROUTE_SIGNED, download_run },
	{ "GET", "/api/recordings/{id}/thumbnail", ROUTE_SIGNED, download_run },
	{ "GET", "/api/recordings/{id}/waveform", ROUTE_SIGNED, download_run },
	{ "POST", "/api/recordings/{id}/complete", ROUTE_BODY, api_complete },
	{ "POST", "/api/recordings/{id}/sign", ROUTE_BODY, access_sign },
	{ "GET", "/live/{id}", ROUTE_SHOW | ROUTE_SIGNED, listen_run },
	{ "GET", "/api/shows", ROUTE_SHOW, shows_list },
	{ "GET", "/api/shows/{id}", ROUTE_SHOW, shows_get },
	{ "POST", "/api/shows/{id}/sign", ROUTE_BODY, shows_sign },
	{ "POST", "/api/shows/{id}/stop", ROUTE_BODY, shows_end },
	{ "POST", "/api/stream/stop", ROUTE_BODY, stream_stop },
	{ "GET", "/api/batches", 0, batches_list },
	{ "POST", "/api/batches", ROUTE_BODY, batches_make },
	{ "GET", "/api/batches/{id}", 0, batches_get },
	{ "GET", "/api/events", 0, events_run },
	{ "POST", "/api/webhooks/retry", 0, api_unpark },
	{ "POST", "/api/push/retry", 0, api_push_retry },
	{ "POST", "/api/pair", ROUTE_BODY | ROUTE_OPEN, access_pair },
	{ "GET", "/api/server", 0, access_server },
	{ "GET", "/api/lan", 0, lan_run },
	{ "GET", "/api/lan/qr.svg", 0, lan_qr_run },
	{ "GET", "/api/trust", ROUTE_OPEN, trust_run },
	{ "GET", "/trust/ca.crt", ROUTE_OPEN, trust_certificate_run },
	{ "GET", "/trust/holdfast.mobileconfig", ROUTE_OPEN, trust_profile_run },
	{ "OPTIONS", "/files", ROUTE_OPEN | ROUTE_FILES, files_options },
	{ "POST", "/files", ROUTE_FILES, files_create },
	{ "PUT", "/files", ROUTE_FILES, files_create },
	{ "OPTIONS", "/files/", ROUTE_OPEN | ROUTE_FILES, files_options },
	{ "POST", "/files/", ROUTE_FILES, files_create },
	{ "PUT", "/files/", ROUTE_FILES, files_create },
	{ "OPTIONS", "/files/{id}", ROUTE_OPEN | ROUTE_FILES, files_options },
	{ "GET", "/files/{id}", ROUTE_FILES, files_get },
	{ "PATCH", "/files/{id}", ROUTE_FILES, files_patch },
	{ "DELETE", "/files/{id}", ROUTE_FILES, files_delete },
	{ "GET", "/healthz", ROUTE_OPEN, health_run },
	{ "GET", "/readyz", ROUTE_OPEN, ready_run },
	{ "GET", "/metrics", 0, metrics_run },
};

/* Does the pattern fit the request's segments? */
static bool path_matches(const char *pattern, const struct http_request *head, const char **id)
{
	unsigned at = 0;
	for (const char *p = pattern + 1;; p++) {
		size_t len = strcspn(p, "/");
		if (at == head->segment_count)
			return false;
		const char *segment = head->segments[at++];
		if (len == 4 && memcmp(p, "{id}", 4) == 0) {
			if (*segment == '\0')
				return false;
			*id = segment;
		} else if (strlen(segment) != len || memcmp(p, segment, len) != 0) {
			return false;
		}
		p += len;
		if (*p == '\0')
			return at == head->segment_count;
	}
}

static void allow_add(char *allow, size_t size, const char *method)
{
	size_t len = strlen(allow);
	const char *more = strcmp(method, "GET") == 0 ? ", HEAD" : "";
	snprintf(allow + len, size - len, "%s%s%s", len ? ", " : "", method, more);
}

/* What a request for a route means: some networks let POST and GET through only. */
static const char *method_of(const struct request *r, const struct route *route)
{
	const char *instead = route->flags & ROUTE_FILES ? http_field_get(&r->head, "x-http-method-override") : NULL;
	return instead ? instead : r->head.method;
}

enum err route_find(struct request *r, char *allow, size_t allow_size)
{
	const char *id = NULL;
	allow[0] = '\0';
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		id = NULL;
		if (!path_matches(routes[i].path, &r->head, &id))
			continue;
		r->method = method_of(r, &routes[i]);
		if (routes[i].flags & ROUTE_FILES)
			r->dialect = files_dialect(&r->head);
		const char *method = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
		if (strcmp(routes[i].method, method) == 0) {
			r->route = &routes[i];
			r->id = id;
			return ERR_OK;
		}
		allow_add(allow, allow_size, routes[i].method);
	}
	return allow[0] ? ERR_METHOD_NOT_ALLOWED : ERR_NOT_FOUND;
}

const char *route_last(const struct route *route)
{
	return strrchr(route->path, '/') + 1;
}
