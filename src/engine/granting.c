/* What grants let pass: who asks, for which recordings, how many bytes; and the end of a grant. */
#include "engine/internal.h"

#include "proto/token.h"

#include <string.h>

bool ref_by_session(const char *text)
{
	return strncmp(text, "session:", 8) == 0;
}

enum err take_judge(const struct take *t, const struct grant *g, enum grant_use use, bool by_session)
{
	const char *owner = t->rec.info.principal;
	bool own = strcmp(owner, g->subject) == 0 || (by_session && strcmp(owner, PRINCIPAL_LOCAL) == 0);
	return grant_judge(g, use, own, &t->rec.info.id);
}

enum err conn_grant(struct engine *e, struct conn *c, const char *token, struct grant *out)
{
	enum err err = ERR_UNAUTHORIZED;
	if (token) {
		if (e->config.authority && !token_is_ours(token))
			err = authorities_grant(e, c, token, out);
		else if (e->config.grant)
			err = e->config.grant(e->config.grant_arg, token, out);
		if (err == ERR_OK && !c->known && e->config.callbacks.known)
			e->config.callbacks.known(e->config.callbacks.arg, c->id);
		c->known |= err == ERR_OK;
		return err;
	}
	if (!c->granted)
		return err;
	*out = c->opened;
	return out->expires_ms > engine_wall(e) ? ERR_OK : ERR_TOKEN_EXPIRED;
}

void conn_cut(struct engine *e, struct conn *c, enum err err)
{
	conn_error(e, c, err, NULL, UINT64_MAX);
	c->session.state = SESSION_CLOSING;
	e->config.callbacks.close(e->config.callbacks.arg, c->id, ENGINE_CLOSE_POLICY);
}

void engine_revoke(struct engine *e, const char *token_id, struct now now)
{
	engine_clock(e, now);
	for (struct list *at = e->conns.next, *next; at != &e->conns; at = next) {
		next = at->next;
		struct conn *c = list_entry(at, struct conn, link);
		if (strcmp(c->opened.token_id, token_id) == 0 || strcmp(c->work.token_id, token_id) == 0 ||
		    follow_under(c->follow, token_id))
			conn_cut(e, c, ERR_TOKEN_REVOKED);
	}
}

bool conn_above_quota(const struct conn *c, const struct take *t, uint64_t len)
{
	uint64_t max = c->work.max_bytes;
	if (max == UINT64_MAX)
		return false;
	for (uint32_t i = 0; i < t->rec.info.track_count && max > 0; i++)
		max -= t->rec.tracks[i].accepted < max ? t->rec.tracks[i].accepted : max;
	return len > max;
}
