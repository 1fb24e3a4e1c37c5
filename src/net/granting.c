/* Who asks, and what may they do? By a token, which wins over everything else, a signed URL, or from where they ask. */
#include "net/private.h"

#include <stdlib.h>
#include <string.h>

/* What the signature in a query allows; false when there is none in it. */
static bool grant_by_url(struct request *r, int64_t now_ms, enum err *err)
{
	char *track = NULL, *expires = NULL, *signature = NULL;
	struct auth_url url = { .what = route_last(r->route), .track = "" };
	const char *query = r->head.query;
	bool show = r->route->flags & ROUTE_SHOW;
	*err = http_query_get(query, "sig", &signature);
	if (*err == ERR_OK && !signature)
		return false;
	if (*err == ERR_OK && (*err = http_query_get(query, "exp", &expires)) == ERR_OK && !show)
		*err = http_query_get(query, "track", &track);
	url.expires = expires;
	url.signature = signature;
	if (track)
		url.track = track;
	if (show) {
		url.what = "live";
		url.show = r->id;
	}
	if (*err == ERR_OK)
		*err = (show || uuid_parse(r->id, &url.recording)) && r->net->config.auth
			       ? auth_signed(r->net->config.auth, &url, now_ms, &r->grant)
			       : ERR_UNAUTHORIZED;
	free(track);
	free(expires);
	free(signature);
	return true;
}

/* Anybody may listen. He is as unknown as before. */
static enum err grant_listener(struct request *r)
{
	r->grant = (struct grant){ .scopes = SCOPE_LISTEN, .max_bytes = UINT64_MAX, .expires_ms = INT64_MAX };
	return ERR_OK;
}

/* Ours, or one that an outside authority knows: then it may have to be asked (r->asking). */
static enum err grant_by_token(struct request *r, const char *token, int64_t now_ms)
{
	struct auth *auth = r->net->config.auth;
	enum err err = auth ? auth_check(auth, token, now_ms, &r->grant) : ERR_UNAUTHORIZED;
	if (err != ERR_UNAUTHORIZED)
		return err;
	r->asked.done = request_asked;
	r->asked.arg = r;
	r->asked.origin = peer_origin(r->peer);
	err = engine_authority(r->net->engine, token, &r->asked, &r->grant, net_now(r->net));
	r->asking = err == ERR_BUSY;
	return err;
}

enum err request_grant(struct request *r, bool routed)
{
	unsigned flags = routed ? r->route->flags : 0;
	int64_t now_ms = net_now(r->net).wall_ms;
	const char *token;
	if (flags & ROUTE_OPEN)
		return ERR_OK;
	enum err err = guard_bearer(&r->head, &token);
	if (err == ERR_OK && token)
		err = grant_by_token(r, token, now_ms);
	else if (err == ERR_OK && flags & ROUTE_SIGNED && grant_by_url(r, now_ms, &err))
		;
	else if (err == ERR_OK && guard_is_local(&r->head, r->peer->local))
		r->grant = *grant_local();
	else if (err == ERR_OK && flags & ROUTE_SHOW && r->net->config.listen_open)
		return grant_listener(r);
	else if (err == ERR_OK)
		return flags & ROUTE_ANONYMOUS ? ERR_OK : ERR_UNAUTHORIZED;
	r->granted = err == ERR_OK;
	if (r->granted)
		peer_granted(r->peer);
	return err;
}
